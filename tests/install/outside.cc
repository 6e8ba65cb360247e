// outside.cc: the same from C++: the headers are C++ too, and the plain functions are called.
#include <cajal/base.h>
#include <cajal/tensor.h>

#include <cstdio>
#include <memory>

int main()
{
    std::unique_ptr<cj_context, void (*)(cj_context *)> cj(cj_context_new(nullptr),
                                                           cj_context_free);
    if (!cj) return 1;
    const int64_t shape[] = {2, 2};
    const double values[] = {1, 2, 3, 4};
    std::unique_ptr<cj_tensor, void (*)(cj_tensor *)> t(
        cj_tensor_from(cj.get(), CJ_F64, 2, shape, values), cj_tensor_free);
    if (!t) {
        std::printf("%s\n", cj_message(cj.get()));
        return 1;
    }
    const double *v = static_cast<const double *>(cj_tensor_map_read(t.get()));
    const double sum = v[0] + v[1] + v[2] + v[3];
    cj_tensor_unmap(t.get());
    std::printf("cajal %s from C++: sum %g\n", cj_version(), sum);
    return sum == 10 ? 0 : 1;
}
