/* linear_regression.c: find the line behind noisy points by gradient descent.
 *
 * The points are y = 3x + 2 + noise. The line is y = w x + b; its loss is the mean squared
 * distance to the points. A step computes the slope of the loss in w and in b and walks a little
 * downhill:
 *
 *     w <- w - rate dL/dw        b <- b - rate dL/db
 *
 * Where Python records a "tape" while it computes and plays it backwards, Cajal has the whole
 * computation before it runs: cj_grad appends the gradient to the graph as nodes like any others,
 * and cj_compile makes one program of a step.
 *
 * The handbook's program builds its layer without a bias, so it can never find the 2; and it adds
 * an array of shape (100, 1) to one of shape (100), which makes 100 x 100 targets. Here all have
 * shape [n, 1]. */
#include <cajal/cajal.h>
#include <math.h>

enum { POINTS = 1000, STEPS = 500 };

static double value_of(cj_store *store, const char *name)
{
    return cj_load_f64(CJ_F32, cj_tensor_map_read(cj_store_get(store, name)), 0);
}

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_graph *g = cj_graph_new(cj);

    /* The data come from a program too: random numbers are nodes, a function of a key. */
    cj_node *key = cj_random_key(g);
    cj_node *drawn = cj_random_normal(key, CJ_F32, -1, CJ_DIMS(POINTS, 1));
    cj_node *noise = cj_scale(cj_random_normal(key, CJ_F32, -1, CJ_DIMS(POINTS, 1)), 0.5);
    cj_node *truth = cj_add(cj_shift(cj_scale(drawn, 3), 2), noise);
    cj_program *draw = cj_compile(g, .outputs = {drawn, truth});
    cj_session *drawing = cj_session_new(draw, cj_graph_store(g));
    cj_tensor *data[2] = {NULL, NULL}; /* NULL: cj_run makes them, we free them */
    cj_status failed = drawing ? cj_run(drawing, NULL, 0, data, 2) : cj_last_status(cj);

    /* The model: two parameters, which begin at zero and live in the graph's store. */
    cj_tensor *zero = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){1, 1});
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "points"), 1));
    cj_node *y = cj_placeholder(g, "y", CJ_F32, CJ_DIMS(cj_symbol(g, "points"), 1));
    cj_node *params[2] = {cj_parameter(g, "w", zero), cj_parameter(g, "b", zero)};
    cj_node *prediction = cj_add(cj_matmul(x, params[0]), params[1]);

    /* One step: the loss, its gradient, and what becomes of the parameters. */
    cj_node *loss = cj_mse(prediction, y), *gradient[2];
    cj_grad(loss, params, 2, gradient);
    const cj_update *updates = cj_updates("sgd", params, gradient, 2, .learning_rate = 0.1);
    cj_program *step = cj_compile(g, .outputs = {loss}, .updates = updates);
    cj_session *s = cj_session_new(step, cj_graph_store(g)); /* NULL gives NULL: checked once */
    if (!s) failed = cj_last_status(cj);

    cj_tensor *loss_value = NULL;
    for (int i = 0; i < STEPS && !failed; i++)
        failed = cj_run(s, (cj_feed[]){{x, data[0]}, {y, data[1]}}, 2, &loss_value, 1);

    bool found = false;
    if (failed) {
        fprintf(stderr, "%s\n", s ? cj_session_message(s) : cj_message(cj));
    } else {
        double w = value_of(cj_graph_store(g), "w"), b = value_of(cj_graph_store(g), "b");
        printf("y = %.3f x + %.3f, mean squared error ", w, b);
        cj_tensor_print(loss_value, stdout); /* about 0.25, the noise's own: no line is nearer */
        found = fabs(w - 3) < 0.1 && fabs(b - 2) < 0.1;
    }
    cj_tensor *tensors[] = {zero, data[0], data[1], loss_value};
    for (int i = 0; i < 4; i++) cj_tensor_free(tensors[i]);
    cj_session_free(s), cj_session_free(drawing);
    cj_program_free(step), cj_program_free(draw);
    cj_context_free(cj); /* and the graph with it */
    return found ? 0 : 1;
}
