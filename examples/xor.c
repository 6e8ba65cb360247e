/* xor.c: the smallest problem that a single layer cannot solve.
 *
 * "Exactly one of two" is 1 at two opposite corners of a square and 0 at the other two; no
 * straight line has the ones on one side (Minsky and Papert 1969). A hidden layer bends the plane
 * first: two lines, and then what lies between them. Four tanh units make it easy to find. */
#include <cajal/cajal.h>

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    const float inputs[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, truth[4] = {0, 1, 1, 0};
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 2}, inputs);
    cj_tensor *y = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 1}, truth);
    cj_dataset *corners = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x), cj_tensor_free(y); /* the data set holds on to the numbers */

    cj_model *m = cj_model_new(cj);
    cj_node *h = cj_dense(cj_input(m, "corner", 2), .units = 4, .activation = "tanh");
    cj_output(m, "xor", cj_dense(h, .units = 1, .activation = "sigmoid"));

    cj_status failed = cj_fit(m, corners, .epochs = 500, .batch_size = 4, .learning_rate = 0.05,
                              .loss = "binary_crossentropy", .metrics = "none",
                              .normalize = "none");
    cj_session *s = failed ? NULL : cj_model_session(m);
    float p[4] = {0};
    failed = failed ? failed : s ? cj_predict(s, inputs, 4, p, 1) : cj_last_status(cj);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));

    bool solved = !failed;
    for (int i = 0; i < 4 && !failed; i++) {
        printf("%g xor %g = %.3f\n", inputs[i][0], inputs[i][1], p[i]);
        solved = solved && (p[i] > 0.5f) == (truth[i] > 0.5f);
    }
    cj_session_free(s);
    cj_context_free(cj);
    return solved ? 0 : 1;
}
