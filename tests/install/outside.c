/* outside.c: a program that knows only the installed library. */
#include <cajal/base.h>
#include <cajal/tensor.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", CJ_VERSION_MAJOR, CJ_VERSION_MINOR,
             CJ_VERSION_PATCH);
    if (strcmp(cj_version(), expected)) {
        printf("the library says %s, its header %s\n", cj_version(), expected);
        return 1;
    }
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    const float values[] = {1, 2, 3, 4, 5, 6};
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){2, 3}, values);
    double sum = 0;
    if (t) {
        const float *v = cj_tensor_map_read(t);
        for (int i = 0; i < 6; i++) sum += v[i];
        cj_tensor_unmap(t);
    } else {
        printf("%s\n", cj_message(cj));
    }
    /* A failure is a status with a sentence, never a crash. */
    cj_tensor *impossible = cj_tensor_new(cj, CJ_F32, -1, NULL);
    int said = !impossible && cj_message(cj)[0] != '\0';
    cj_tensor_free(t);
    cj_context_free(cj);
    printf("cajal %s: sum %g, message %s\n", expected, sum, said ? "yes" : "no");
    return sum == 21 && said ? 0 : 1;
}
