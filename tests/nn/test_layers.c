/* test_layers.c: every layer of the table, the library's and a program's own: built from its
 * sample, printed and built again the same, with shapes that hold for every batch, the same
 * from a file, and one step of descent lowers the loss. */
#include "nn_support.h"

/* A model of this layer between two dense ones, so that there are weights before and behind it. */
static cj_model *sample_model(cj_context *cj, const cj_layer *row)
{
    char options[200];
    int64_t dims[CJ_RANK_MAX];
    int rank = sample_shape(row->sample, options, dims);
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_model_input(m, "x", rank, dims);
    cj_node *in[2] = {x, NULL};
    in[0] = cj_dense(x, .units = dims[rank - 1], .name = "before");
    const bool one = row->inputs == 1 || row->inputs_min == 1;
    in[1] = one ? NULL : x;
    cj_node *y = cj_layer_apply(in, one ? 1 : 2, row->name, options);
    cj_output(m, "y", y);
    if (cj_model_failed(m)) print_error("%s: %s\n", row->name, cj_message(cj));
    assert_int_equal(cj_model_failed(m), CJ_OK);
    return m;
}

static void check_options_again(cj_context *cj, const cj_layer *row, cj_model *m)
{
    const cj__layers *layers = cj__layers_of(cj_model_graph(m));
    const cj__layer_record *r = &layers->items[layers->count - 1];
    cj__text text;
    cj__text_init(&text, cj);
    if (row->options) cj__options_print(&text, row->options, r->options, false);
    cj_model *again = cj_model_new(cj);
    cj_node *in[2] = {NULL, NULL};
    for (int i = 0; i < r->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        in[i] = cj_model_input(again, name, r->x[i]->type.rank - 1, r->x[i]->type.dim + 1);
    }
    cj_node *y = cj_layer_apply(in, r->n, row->name, cj__text_string(&text));
    if (!y) print_error("%s: '%s': %s\n", row->name, cj__text_string(&text), cj_message(cj));
    assert_non_null(y);
    layers = cj__layers_of(cj_model_graph(again)); /* the last one: others may be inside of it */
    const cj__layer_record *s = &layers->items[layers->count - 1];
    if (row->options) assert_true(cj__options_equal(row->options, r->options, s->options));
    assert_int_equal(r->n_parameters, s->n_parameters);
    assert_int_equal(r->state_elements, s->state_elements);
    char shape[200];
    snprintf(shape, sizeof shape, "%s", shape_of(r->y));
    assert_string_equal(shape, shape_of(y));
    assert_non_null(strstr(shape, "batch"));
    cj__text_release(&text);
    cj_model_free(again);
}

/* Numbers for the only input of a graph. */
static cj_tensor *samples_for(cj_context *cj, const cj_graph *g)
{
    const cj_node *x = cj_graph_input_at(g, 0);
    int64_t shape[CJ_RANK_MAX] = {5};
    for (int i = 1; i < x->type.rank; i++) shape[i] = x->type.dim[i];
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, x->type.rank, shape);
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) v[i] = (float)(i * 7 % 11) / 5 - 1;
    cj_tensor_unmap(t);
    return t;
}

/* How far the output is from 1/4 before and after steps of gradient descent on it (not from 0: what
 * has a fixed length would stay as far). */
static void check_step(cj_context *cj, const cj_layer *row, cj_model *m)
{
    cj_graph *g = cj_model_graph(m);
    cj_node *y = cj_graph_output_at(g, 0), *p[16], *dp[16];
    cj_node *loss = cj_mean(cj_square(cj_shift(y, -0.25)));
    int n = cj_graph_parameter_count(g);
    assert_true(n > 0 && n <= 16);
    bool learns = false; /* no gradient passes a layer that gives whole numbers */
    for (int i = 0; i < n; i++) p[i] = cj_graph_parameter_at(g, i);
    assert_ok(cj, cj_grad(loss, p, n, dp));
    cj_update updates[17] = {{NULL, NULL}};
    for (int i = 0; i < n; i++) learns = learns || dp[i] != cj_zero;
    for (int i = 0; i < n; i++)
        updates[i] = (cj_update){p[i], cj_sub(p[i], cj_scale(cj_zero_as(dp[i], p[i]), 0.05))};
    cj_program *program = cj_compile(g, .outputs = {loss}, .updates = updates);
    cj_session *s = program ? cj_session_new(program, cj_model_store(m)) : NULL;
    if (!s) print_error("%s: %s\n", row->name, cj_message(cj));
    assert_non_null(s);
    const cj_node *x = cj_graph_input_at(g, 0);
    cj_tensor *samples = samples_for(cj, g), *out = NULL;
    double first = 0, last = 0;
    for (int i = 0; i < 5; i++) {
        cj_status failed = cj_run(s, (cj_feed[]){{x, samples}}, 1, &out, 1);
        if (failed) print_error("%s: %s\n", row->name, cj_session_message(s));
        assert_int_equal(failed, CJ_OK);
        last = value_of(cj, out, 0);
        if (!i) first = last;
    }
    if (learns ? !(last < first) : last != first)
        fail_msg("%s: loss %g then %g", row->name, first, last);
    cj_tensor_free(out);
    cj_tensor_free(samples);
    cj_session_free(s);
    cj_program_free(program);
}

static cj_tensor *predict(cj_context *cj, cj_model *m, const cj_tensor *samples)
{
    cj_graph *g = cj_model_graph(m);
    cj_program *p = cj_compile(g, .outputs = {cj_graph_output_at(g, 0)});
    cj_session *s = p ? cj_session_new(p, cj_model_store(m)) : NULL;
    cj_tensor *out = NULL;
    if (!s) fail_msg("%s", cj_message(cj));
    if (cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), samples}}, 1, &out, 1))
        fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(p);
    return out;
}

/* Written to a file and read again, it predicts the same; some is said in other operators there. */
static void check_file(cj_context *cj, const cj_layer *row, cj_model *m)
{
    char path[512];
    snprintf(path, sizeof path, "%s/test_layers_%s.onnx", CJ_BUILD_DIR, row->name);
    if (cj_save(m, path)) fail_msg("%s: %s", row->name, cj_message(cj));
    cj_model *again = cj_load(cj, path);
    if (!again) fail_msg("%s: %s", row->name, cj_message(cj));
    cj_tensor *samples = samples_for(cj, cj_model_graph(m)), *a = predict(cj, m, samples),
              *b = predict(cj, again, samples);
    int64_t first = -1;
    if (!cj_tensor_close(a, b, 1e-5, 1e-5, &first))
        fail_msg("%s: read again, output %lld is %g, it was %g", row->name, (long long)first,
                 value_of(cj, b, first), value_of(cj, a, first));
    cj_tensor_free(a);
    cj_tensor_free(b);
    cj_tensor_free(samples);
    cj_model_free(again);
    remove(path);
}

static void check_layer(cj_context *cj, const cj_layer *row)
{
    assert_non_null(row->doc);
    assert_non_null(row->sample);
    cj_model *m = sample_model(cj, row);
    assert_ok(cj, cj_graph_verify(cj_model_graph(m)));
    check_options_again(cj, row, m);
    check_file(cj, row, m);
    check_step(cj, row, m);
    cj_model_free(m);
}

static void every_layer(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const cj_layer *row;
    int n = 0;
    for (; (row = cj_layer_at(cj, n)); n++) check_layer(cj, row);
    assert_true(n >= 7);
    cj_context_free(cj);
}

/* y = scale * x + running: a layer of a program. */
typedef struct own_options {
    double start;
} own_options;
static const cj_option own_table[] = {
    CJ_OPTION_FLOAT(own_options, start, 1, -10, 10, "first value"), CJ_OPTION_END};

static cj_node *own_build(cj_layer_build *b)
{
    char initializer[40];
    snprintf(initializer, sizeof initializer, "constant(value=%g)",
             ((const own_options *)b->options)->start);
    int64_t n = cj_node_dim(b->x[0], -1);
    cj_node *scale = cj_layer_parameter(b, "scale", 1, &n, initializer, 0, 0, NULL);
    return cj_add(cj_mul(b->x[0], scale), cj_layer_state(b, "running", 1, &n, 0.5));
}

static const cj_layer own = {.name = "own_scale",
                             .doc = "y = scale x + running",
                             .inputs = 1,
                             .options_size = sizeof(own_options),
                             .options = own_table,
                             .build = own_build,
                             .sample = "start=2 : 3, 4"};

static cj_node *broken_build(cj_layer_build *b)
{
    (void)b;
    return NULL;
}
static const cj_layer broken = {
    .name = "broken", .doc = "gives nothing", .inputs = 1, .build = broken_build, .sample = " : 1"};

static void a_layer_of_a_program(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    assert_ok(cj, cj_layer_register(cj, &own));
    assert_int_equal(cj_layer_register(cj, &own), CJ_ERR_EXISTS);
    assert_ptr_equal(cj_layer_at(cj, 0), &own);
    check_layer(cj, &own);
    cj_model *m = cj_model_from_text(cj, "input 4, own_scale 3, own_scale, dense 2", NULL, 0);
    if (!m) print_error("%s\n", cj_message(cj));
    assert_non_null(m);
    assert_string_equal(cj_model_text(m), "input 4, own_scale 3, own_scale, dense 2");
    cj_model_counts counts;
    assert_ok(cj, cj_model_count(m, &counts));
    assert_int_equal(counts.parameters, 4 + 4 + 4 + 4 + 10);
    assert_int_equal(counts.trainable, 4 + 4 + 10);
    assert_float_equal(value_of(cj, cj_store_get(cj_model_store(m), "own_scale/scale"), 3), 3, 0);
    assert_float_equal(value_of(cj, cj_store_get(cj_model_store(m), "own_scale_1/running"), 0), 0.5,
                       0);
    assert_ok(cj, cj_layer_register(cj, &broken));
    assert_null(cj_model_from_text(cj, "input 4, broken", NULL, 0));
    assert_message(cj, CJ_ERR_STATE, "broken: the layer's builder gave no node of its graph");
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_layer),
                                       cmocka_unit_test(a_layer_of_a_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
