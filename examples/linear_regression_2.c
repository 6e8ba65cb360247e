/* linear_regression_2.c: a line through two features, trained by one program and used by another.
 *
 * Variables live in a store, not in a program. The training program changes them, the prediction
 * program binds the same store and sees what was learned. The handbook's program opens a second
 * session and initialises the variables again, so it predicts with fresh random numbers.
 *
 * Three more things a reader would stumble over there. Its targets have shape (4) and its
 * predictions (4, 1), which broadcast to 4 x 4 differences; cj_mse takes [4] as [4, 1]. A
 * learning rate of 0.1 is too large for these features: steps grow above 2 / (largest curvature),
 * here 2 / 43.7 = 0.046. And the second feature is always the first plus one, so w1, w2 and b are
 * not unique, though predictions are: w1 x + w2 (x + 1) + b = x only says w1 + w2 = 1 and w2 + b
 * = 0. */
#include <cajal/cajal.h>
#include <math.h>

static double at(const cj_tensor *t, int i)
{
    return t ? cj_load_f64(CJ_F32, cj_tensor_map_read(t), (size_t)i) : NAN;
}

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    const float features[] = {1, 2, 2, 3, 3, 4, 4, 5}, targets[] = {1, 2, 3, 4};
    const float unseen[] = {5, 6, 6, 7};
    cj_tensor *xs = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 2}, features);
    cj_tensor *ys = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){4}, targets);
    cj_tensor *news = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){2, 2}, unseen);
    cj_tensor *w0 = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){2, 1});
    cj_tensor *b0 = cj_tensor_new(cj, CJ_F32, 1, (int64_t[]){1});

    /* "rows" is a symbol: 4 while training, 2 when asked about new rows; nothing is built twice. */
    cj_graph *g = cj_graph_new(cj);
    cj_dim rows = cj_symbol(g, "rows");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(rows, 2));
    cj_node *y = cj_placeholder(g, "y", CJ_F32, CJ_DIMS(rows));
    cj_node *params[2] = {cj_parameter(g, "w", w0), cj_parameter(g, "b", b0)};
    cj_node *prediction = cj_add(cj_matmul(x, params[0]), params[1]);
    cj_node *loss = cj_mse(prediction, y), *gradient[2];
    cj_grad(loss, params, 2, gradient);

    const cj_update *updates = cj_updates("sgd", params, gradient, 2, .learning_rate = 0.04);
    cj_program *train = cj_compile(g, .outputs = {loss}, .updates = updates);
    cj_program *predict = cj_compile(g, .outputs = {prediction});
    cj_session *training = cj_session_new(train, cj_graph_store(g));
    cj_session *predicting = cj_session_new(predict, cj_graph_store(g));
    cj_status failed = training && predicting ? CJ_OK : cj_last_status(cj);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));

    cj_tensor *error = NULL, *answer = NULL;
    for (int i = 0; i < 2000 && !failed; i++) {
        failed = cj_run(training, (cj_feed[]){{x, xs}, {y, ys}}, 2, &error, 1);
        if (failed) fprintf(stderr, "%s\n", cj_session_message(training));
        else if (i % 500 == 0) printf("step %4d: mean squared error %.6f\n", i, at(error, 0));
    }
    if (!failed && (failed = cj_run(predicting, (cj_feed[]){{x, news}}, 1, &answer, 1)))
        fprintf(stderr, "%s\n", cj_session_message(predicting));

    cj_tensor *w = cj_store_get(cj_graph_store(g), "w"), *b = cj_store_get(cj_graph_store(g), "b");
    printf("y = %.3f x1 + %.3f x2 + %.3f\n", at(w, 0), at(w, 1), at(b, 0));
    printf("(5, 6) gives %.3f, (6, 7) gives %.3f\n", at(answer, 0), at(answer, 1));
    bool right = fabs(at(answer, 0) - 5) < 0.01 && fabs(at(answer, 1) - 6) < 0.01;

    cj_session_free(training), cj_session_free(predicting);
    cj_program_free(train), cj_program_free(predict);
    cj_tensor *tensors[] = {xs, ys, news, w0, b0, error, answer};
    for (int i = 0; i < 7; i++) cj_tensor_free(tensors[i]);
    cj_context_free(cj);
    return right ? 0 : 1;
}
