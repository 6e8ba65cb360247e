/* sgd_by_hand.c: stochastic gradient descent written out, without an optimizer.
 *
 * Gradient descent takes the gradient over all samples for one step. The stochastic kind (Robbins
 * and Monro 1951) picks one sample at random, pretends that its loss is the whole loss, and
 * steps:
 *
 *     repeat:  i <- random sample;  L = (x_i . w - y_i)^2;  w <- w - rate dL/dw
 *
 * A step is cheap and right on average only. With a constant rate w trembles around the answer
 * for ever, so the rate shrinks with the steps.
 *
 * The handbook's sgd(X, y) is another thing: it changes X, the data, instead of weights, no
 * sample is ever chosen, and its products X X^T y have the wrong shapes. What was meant is below,
 * wholly on the graph: the choice of the sample, its gradient (cj_grad) and the new weights
 * (cj_update). */
#include <cajal/cajal.h>
#include <math.h>

enum { SAMPLES = 200, FEATURES = 4, STEPS = 20000 };

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    const float truth[FEATURES] = {1, -2, 3, 0.5f};
    cj_graph *g = cj_graph_new(cj);
    cj_store *store = cj_graph_store(g);

    /* SAMPLES points, the same in every step: the key they hang on stays. */
    cj_tensor *seed = cj_tensor_from(cj, CJ_I64, 1, (int64_t[]){3}, (int64_t[]){7, 0, 0});
    cj_tensor *w_true = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){FEATURES}, truth);
    cj_node *fixed = cj_constant(g, seed);
    cj_node *all_x = cj_random_normal(fixed, CJ_F32, 0, CJ_DIMS(SAMPLES, FEATURES));
    cj_node *noise = cj_scale(cj_random_normal(fixed, CJ_F32, 1, CJ_DIMS(SAMPLES)), 0.1);
    cj_node *all_y = cj_add(cj_matmul(all_x, cj_constant(g, w_true)), noise);

    /* The random sample. `key` is {seed, step, 0} in the store: another step, another number. */
    cj_node *key = cj_random_key(g);
    cj_node *i = cj_cast(cj_scale(cj_random_uniform(key, CJ_F32, 2, CJ_DIMS(1)), SAMPLES), CJ_I64);
    i = cj_minimum(i, cj_scalar(g, CJ_I64, SAMPLES - 1)); /* 0.99999999 * 200 may round up */
    cj_node *x = cj_gather(all_x, i, 0), *y = cj_gather(all_y, i, 0);

    cj_tensor *zeros = cj_tensor_new(cj, CJ_F32, 1, (int64_t[]){FEATURES});
    cj_node *w = cj_parameter(g, "w", zeros), *dw;
    cj_node *loss = cj_sum(cj_square(cj_sub(cj_matmul(x, w), y)));
    cj_grad(loss, &w, 1, &dw);

    /* rate = 0.05 / (1 + step / 5000); the step is the key's second number. */
    cj_node *step = cj_cast(cj_slice_axis(key, 0, 1, 1), CJ_F32);
    cj_node *rate = cj_reciprocal(cj_scale(cj_shift(cj_scale(step, 1.0 / 5000), 1), 20));
    cj_tensor *one = cj_tensor_from(cj, CJ_I64, 1, (int64_t[]){3}, (int64_t[]){0, 1, 0});
    const cj_update updates[] = {
        {w, cj_sub(w, cj_mul(rate, dw))},
        {key, cj_add(key, cj_constant(g, one))},
        {NULL, NULL},
    };
    cj_program *program = cj_compile(g, .outputs = {loss}, .updates = updates);
    cj_session *s = cj_session_new(program, store);
    cj_status failed = s ? CJ_OK : cj_last_status(cj);
    cj_tensor *value = NULL;
    for (int n = 0; n < STEPS && !failed; n++) failed = cj_run(s, NULL, 0, &value, 1);
    if (failed) fprintf(stderr, "%s\n", s ? cj_session_message(s) : cj_message(cj));

    double worst = failed ? INFINITY : 0;
    const float *found = failed ? NULL : cj_tensor_map_read(cj_store_get(store, "w"));
    for (int k = 0; found && k < FEATURES; k++) {
        printf("w[%d] = %6.3f (should be %g)\n", k, found[k], truth[k]);
        worst = fmax(worst, fabs(found[k] - truth[k]));
    }
    cj_session_free(s), cj_program_free(program);
    cj_tensor *tensors[] = {seed, w_true, zeros, one, value};
    for (int k = 0; k < 5; k++) cj_tensor_free(tensors[k]);
    cj_context_free(cj);
    return worst < 0.05 ? 0 : 1;
}
