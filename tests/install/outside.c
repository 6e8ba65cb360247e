/* outside.c: a program that knows only the installed library. It registers a layer of its
 * own, learns exclusive or with it, saves the model and asks the file. */
#include <cajal/cajal.h>
#include <string.h>

/* y = gain x, one gain for each number. */
static cj_node *gain_build(cj_layer_build *b)
{
    int64_t units = cj_node_dim(b->x[0], -1);
    return cj_mul(b->x[0], cj_layer_parameter(b, "gain", 1, &units, "ones", 0, 0, NULL));
}
static const cj_layer gain = {.name = "gain", .doc = "y = gain x", .inputs = 1,
                              .build = gain_build};

static const float corners[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, truth[4] = {0, 1, 1, 0};

static cj_status learn(cj_context *cj, const char *file)
{
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 2}, corners);
    cj_tensor *y = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 1}, truth);
    cj_dataset *data = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x), cj_tensor_free(y);
    if (!data || cj_layer_register(cj, &gain)) return cj_last_status(cj);

    cj_model *m = cj_model_new(cj);
    cj_node *h = cj_dense(cj_input(m, "corner", 2), .units = 4, .activation = "tanh");
    h = cj_layer_apply(&h, 1, "gain", NULL);
    cj_output(m, "xor", cj_dense(h, .units = 1, .activation = "sigmoid"));
    cj_status failed = cj_fit(m, data, .epochs = 500, .batch_size = 4, .learning_rate = 0.05,
                              .loss = "binary_crossentropy", .metrics = "none",
                              .normalize = "none");
    return failed ? failed : cj_save(m, file);
}

/* Right answers of the model in the file. */
static int ask(cj_context *cj, const char *file)
{
    cj_model *m = cj_load(cj, file);
    cj_session *s = m ? cj_model_session(m) : NULL;
    float p[4];
    int right = 0;
    if (s && !cj_predict(s, corners, 4, p, 1))
        for (int i = 0; i < 4; i++) right += (p[i] > 0.5f) == (truth[i] > 0.5f);
    cj_session_free(s);
    return right;
}

int main(void)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", CJ_VERSION_MAJOR, CJ_VERSION_MINOR,
             CJ_VERSION_PATCH);
    if (strcmp(cj_version(), expected)) {
        printf("the library says %s, its header %s\n", cj_version(), expected);
        return 1;
    }
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    if (!cj) return 1;
    const char *file = "outside.onnx";
    cj_status failed = learn(cj, file);
    int right = failed ? 0 : ask(cj, file);
    remove(file);
    if (failed || right < 4) printf("xor: %d of 4 right: %s\n", right, cj_message(cj));

    /* A failure is a status with a sentence, never a crash. */
    cj_tensor *impossible = cj_tensor_new(cj, CJ_F32, -1, NULL);
    int said = !impossible && cj_message(cj)[0] != '\0';
    cj_context_free(cj);
    printf("cajal %s: xor %d of 4, message %s\n", expected, right, said ? "yes" : "no");
    return right == 4 && said ? 0 : 1;
}
