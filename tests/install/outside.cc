// outside.cc: the same from C++: the headers are C++ too, and the plain functions are called
// with their structures of options, since the keyword macros are C's.
#include <cajal/cajal.h>

#include <cstdio>
#include <memory>

static cj_node *dense(cj_node *x, int64_t units, const char *activation)
{
    cj_dense_opts o = {};
    o.struct_size = sizeof o;
    o.units = units;
    o.activation = activation;
    return cj_dense(x, &o);
}

int main()
{
    using context = std::unique_ptr<cj_context, void (*)(cj_context *)>;
    context owner(cj_context_new(nullptr), cj_context_free);
    cj_context *cj = owner.get();
    if (!cj) return 1;
    const float corners[] = {0, 0, 0, 1, 1, 0, 1, 1}, truth[] = {0, 1, 1, 0};
    const int64_t x_shape[] = {4, 2}, y_shape[] = {4, 1}, sample[] = {2};
    using tensor = std::unique_ptr<cj_tensor, void (*)(cj_tensor *)>;
    tensor x(cj_tensor_from(cj, CJ_F32, 2, x_shape, corners), cj_tensor_free);
    tensor y(cj_tensor_from(cj, CJ_F32, 2, y_shape, truth), cj_tensor_free);
    cj_dataset *data = x && y ? cj_dataset_from_tensors(cj, x.get(), y.get()) : nullptr;

    cj_model *m = cj_model_new(cj);
    cj_node *h = dense(cj_model_input(m, "corner", 1, sample), 4, "tanh");
    cj_output(m, "xor", dense(h, 1, "sigmoid"));

    cj_fit_opts fit = {};
    fit.struct_size = sizeof fit;
    fit.epochs = 500;
    fit.batch_size = 4;
    fit.learning_rate = 0.05;
    fit.loss = "binary_crossentropy";
    fit.metrics = "none";
    fit.normalize = "none";
    if (!data || cj_fit(m, data, &fit)) {
        std::printf("%s\n", cj_message(cj));
        return 1;
    }
    std::unique_ptr<cj_session, void (*)(cj_session *)> s(cj_model_session(m), cj_session_free);
    float p[4] = {};
    if (!s || cj_predict(s.get(), corners, 4, p, 1)) {
        std::printf("%s\n", s ? cj_session_message(s.get()) : cj_message(cj));
        return 1;
    }
    int right = 0;
    for (int i = 0; i < 4; i++) right += (p[i] > 0.5f) == (truth[i] > 0.5f);
    std::printf("cajal %s from C++: xor %d of 4\n", cj_version(), right);
    return right == 4 ? 0 : 1;
}
