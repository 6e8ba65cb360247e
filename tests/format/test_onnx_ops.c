/* Every operator's samples written as ONNX and read again: the same numbers from the reference
 * backend.
 *
 *     test_onnx_ops               all rows
 *     test_onnx_ops softmax       one row
 *     test_onnx_ops --dump DIR    writes DIR/<op>_<i>.onnx and what its outputs are,
 * <op>_<i>_<k>.npy, for other programs (tools/ort_run.js, tools/golden/onnx_check.py)
 *
 * ctest: timeout 300 */
#include "onnx_support.h"

#include <cajal/io.h>

#include "base/file.h"

static const char *only, *folder;

/* Exact but for the few that are written as several operators in f32. */
static bool compare(const cj_op *op, int i, cj_tensor **a, cj_tensor **b, int n)
{
    for (int k = 0; k < n; k++) {
        int64_t first;
        if (cj_tensor_close(b[k], a[k], 1e-5, 1e-6, &first)) continue;
        cj__shape_text s, t;
        print_error("%s sample %d output %d: shape %s and %s", op->name, i, k,
                    cj__shape_string(&s, a[k]->rank, a[k]->shape),
                    cj__shape_string(&t, b[k]->rank, b[k]->shape));
        if (first >= 0)
            print_error("; element %lld is %.9g, after the file %.9g", (long long)first,
                        cj_load_f64(a[k]->dtype, cj__tensor_data(a[k]), (size_t)first),
                        cj_load_f64(b[k]->dtype, cj__tensor_data(b[k]), (size_t)first));
        print_error("\n");
        return false;
    }
    return true;
}

static void dump(cj_context *cj, const cj_op *op, int i, const cj__text *bytes, cj_tensor **y,
                 int n)
{
    char path[512];
    cj__format(path, sizeof(path), "%s/%s_%d.onnx", folder, op->name, i);
    assert_int_equal(cj__file_save(cj, path, bytes->bytes, bytes->length), CJ_OK);
    for (int k = 0; k < n; k++) {
        cj__format(path, sizeof(path), "%s/%s_%d_%d.npy", folder, op->name, i, k);
        assert_int_equal(cj_npy_save(cj, path, y[k]), CJ_OK);
    }
}

typedef struct count {
    int samples, refused, failures;
} count;

static void check_sample(cj_context *cj, const cj_op *op, int i, cj_graph *g, count *c)
{
    cj__text bytes, again;
    cj_tensor *a[OUTPUTS_MAX] = {NULL}, *b[OUTPUTS_MAX] = {NULL};
    int n = cj_graph_output_count(g);
    cj_graph *h = NULL;
    bool good = false, refused = false;
    cj_status failed = run_graph(cj, g, NULL, 0, a);
    if (!failed) {
        failed = graph_bytes(cj, g, &bytes);
        refused = failed == CJ_ERR_UNSUPPORTED;
        if (!failed && folder) dump(cj, op, i, &bytes, a, n);
        if (!failed) h = graph_from(cj, bytes.bytes, bytes.length);
        if (!failed && !h) failed = cj_last_status(cj);
        if (!failed) failed = run_graph(cj, h, NULL, 0, b);
        if (!failed) good = compare(op, i, a, b, n);
        if (!failed && !graph_bytes(cj, g, &again)) /* equal graphs give equal bytes */
            good = good && again.length == bytes.length &&
                   !memcmp(again.bytes, bytes.bytes, bytes.length);
        if (!failed) cj__text_release(&again);
        cj__text_release(&bytes);
    }
    if (failed && !refused) print_error("%s sample %d: %s\n", op->name, i, cj_message(cj));
    c->samples++;
    c->refused += refused;
    c->failures += !good && !refused;
    free_all(a, n);
    free_all(b, n);
    cj_graph_free(h);
}

static void test_every_row(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    count all = {0};
    int rows = 0;
    for (const cj_op *op; (op = cj_op_at(cj, rows)); rows++) {
        if (only && strcmp(only, op->name)) continue;
        count c = {0};
        cj_graph *g;
        for (int i = 0; (g = sample_graph(cj, op, i, CJ_F32)); i++) {
            check_sample(cj, op, i, g, &c);
            cj_graph_free(g);
        }
        bool random = !strncmp(op->name, "random_", 7) || !strcmp(op->name, "dropout") ||
                      !strncmp(op->name, "attention", 9); /* with dropout */
        /* Maxima and minima are of opset 18, low dtypes and most bits newer still. */
        bool newer = !strcmp(op->name, "scatter_along") || !strncmp(op->name, "bit", 3) ||
                     !strncmp(op->name, "shift_", 6) || !strcmp(op->name, "cast");
        if (c.refused)
            print_message("%s: %d of %d samples have no ONNX form\n", op->name, c.refused,
                          c.samples);
        if (c.refused && !random && !newer) c.failures++;
        all.samples += c.samples;
        all.refused += c.refused;
        all.failures += c.failures;
    }
    print_message("%d rows, %d samples, %d without an ONNX form\n", rows, all.samples, all.refused);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    assert_int_equal(all.failures, 0);
    assert_true(only || all.samples > 1500);
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/* [batch, 6] through reshapes, slices, joins and products whose sizes are symbols. */
static cj_graph *symbolic(cj_context *cj)
{
    cj_graph *g = cj_graph_new(cj);
    cj_dim batch = cj_symbol(g, "batch"), twice = cj_dim_mul(g, batch, 2);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 2, (cj_dim[]){batch, 6});
    cj_node *pairs = cj_reshape(x, 3, (cj_dim[]){batch, 2, 3});
    cj_node *rows = cj_reshape(pairs, 2, (cj_dim[]){twice, 3});
    cj_node *both = cj_concat((cj_node *[]){rows, rows}, 2, 0);
    cj_graph_output(g, "rows", rows);
    cj_graph_output(g, "first", cj_slice_axis(both, 0, 0, twice));
    cj_graph_output(g, "tail", cj_slice(x, (int64_t[]){-1, 2}, (cj_dim[]){1, CJ_INFER}, NULL));
    cj_graph_output(g, "share",
                    cj_div(x, cj_cast(cj_dim_value(g, cj_dim_add(g, twice, 1)), CJ_F32)));
    cj_graph_output(g, "places", cj_iota(g, CJ_I32, 0, 2, (cj_dim[]){batch, 2}));
    cj_graph_output(g, "gram", cj_matmul_transposed(x, x, false, true));
    cj_graph_output(g, "same", x);
    cj_graph_output(g, "spread",
                    cj_broadcast_to(cj_reduce_mean(x, 1, (int64_t[]){0}, false), 2,
                                    (cj_dim[]){batch, 6}));
    return g;
}

static void symbols_keep_their_sizes(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = symbolic(cj);
    cj__text bytes;
    if (graph_bytes(cj, g, &bytes)) fail_msg("%s", cj_message(cj));
    cj_graph *h = graph_from(cj, bytes.bytes, bytes.length);
    if (!h) fail_msg("%s", cj_message(cj));
    for (int64_t n = 1; n < 5; n++) {
        cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){n, 6}), *a[OUTPUTS_MAX] = {NULL},
                  *b[OUTPUTS_MAX] = {NULL};
        for (int64_t i = 0; i < 6 * n; i++)
            cj_store_f64(CJ_F32, cj__tensor_data(x), (size_t)i, (double)(i * i % 7) - 3);
        cj_feed feed = {cj_graph_input_at(g, 0), x}, again = {cj_graph_input_at(h, 0), x};
        if (run_graph(cj, g, &feed, 1, a) || run_graph(cj, h, &again, 1, b))
            fail_msg("batch %d: %s", (int)n, cj_message(cj));
        for (int k = 0; k < cj_graph_output_count(g); k++) {
            assert_string_equal(cj_graph_output_name(g, k), cj_graph_output_name(h, k));
            if (!cj_tensor_close(b[k], a[k], 1e-6, 1e-6, NULL))
                fail_msg("output '%s' differs", cj_graph_output_name(g, k));
        }
        free_all(a, cj_graph_output_count(g));
        free_all(b, cj_graph_output_count(g));
        cj_tensor_free(x);
    }
    cj__text_release(&bytes);
    cj_graph_free(g);
    cj_graph_free(h);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void names_are_readable(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    cj_tensor *w = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){3, 2}),
              *b = cj_tensor_new(cj, CJ_F32, 1, (int64_t[]){2});
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 2, (cj_dim[]){cj_symbol(g, "batch"), 3});
    cj_node *y = cj_add(cj_matmul(x, cj_parameter(g, "dense/kernel", w)),
                        cj_parameter(g, "dense/bias", b));
    cj_graph_output(g, "class", cj_softmax(cj_relu(y), -1));
    cj__text bytes;
    cj__arena arena;
    cj__onnx_model *model;
    if (graph_bytes(cj, g, &bytes)) fail_msg("%s", cj_message(cj));
    cj__arena_init(&arena, cj);
    assert_int_equal(cj__onnx_parse(&arena, bytes.bytes, bytes.length, &model), CJ_OK);
    const char *nodes[] = {"dense/MatMul", "dense/Add", "dense/Relu", "dense/Softmax"};
    assert_int_equal(model->graph->node.count, 4); /* the bias is not expanded */
    for (size_t i = 0; i < 4; i++)
        assert_true(cj__slice_is(model->graph->node.items[i].name, nodes[i]));
    assert_int_equal(model->graph->initializer.count, 2);
    assert_true(cj__slice_is(model->graph->initializer.items[0].name, "dense/kernel"));
    assert_true(cj__slice_is(model->graph->initializer.items[1].name, "dense/bias"));
    assert_true(cj__slice_is(model->graph->output.items[0].name, "class"));
    assert_true(cj__slice_is(
        model->graph->input.items[0].type->as.tensor->shape->dim.items[0].as.param, "batch"));
    cj__arena_release(&arena);
    cj__text_release(&bytes);
    cj_tensor_free(w);
    cj_tensor_free(b);
    cj_graph_free(g);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* ---- One call, one node ---------------------------------------------------------------------- */

/* Is the file's one `onnx` node, and is it the one call of the row again when it is read? */
static bool is_one_node(cj_context *cj, const cj_op *op, const char *onnx, cj_graph *g)
{
    cj__text bytes;
    cj__arena arena;
    cj__onnx_model *model;
    int nodes = 0, calls = 0;
    if (graph_bytes(cj, g, &bytes)) fail_msg("%s", cj_message(cj));
    cj__arena_init(&arena, cj);
    assert_int_equal(cj__onnx_parse(&arena, bytes.bytes, bytes.length, &model), CJ_OK);
    for (size_t i = 0; i < model->graph->node.count; i++)
        nodes += cj__slice_is(model->graph->node.items[i].op_type, onnx);
    cj_graph *h = graph_from(cj, bytes.bytes, bytes.length);
    assert_non_null(h);
    for (int i = 0; i < h->n_calls; i++) calls += h->calls[i]->op == op;
    if (calls != nodes) fail_msg("%d %s, read as %d %s", nodes, onnx, calls, op->name);
    cj_graph_free(h);
    cj__arena_release(&arena);
    cj__text_release(&bytes);
    return nodes == 1;
}

/* ---- Opsets ---------------------------------------------------------------------------------- */

/* What differs between them, read back from a file of each. */
static void opsets_have_their_words(void **state)
{
    (void)state;
    static const struct {
        int64_t opset, ir;
        bool gelu, group_norm, axes;
    } rows[] = {{0, 8, false, false, true},  {17, 8, false, false, true},
                {18, 8, false, false, false}, {19, 9, false, false, false},
                {20, 9, true, false, false},  {21, 10, true, true, false}};
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 3, (cj_dim[]){cj_symbol(g, "batch"), 4, 5});
    x = (cj_group_norm)(cj_gelu(x), &(cj_norm_opts){.struct_size = sizeof(cj_norm_opts),
                                                    .groups = 2, .channel_axis = 1});
    cj_graph_output(g, "y", cj_reduce_max(x, 1, (int64_t[]){2}, false));
    for (size_t i = 0; i < CJ__COUNT(rows); i++) {
        cj__text bytes;
        cj__arena arena;
        cj__onnx_model *model;
        bool gelu = false, group_norm = false, axes = false;
        cj__arena_init(&arena, cj);
        cj__text_init(&bytes, cj);
        if (cj__onnx_write_graph(g, g, rows[i].opset, &(cj__onnx_properties){.arena = &arena},
                                 &bytes))
            fail_msg("%s", cj_message(cj));
        assert_int_equal(cj__onnx_parse(&arena, bytes.bytes, bytes.length, &model), CJ_OK);
        for (size_t k = 0; k < model->graph->node.count; k++) {
            const cj__onnx_node *node = &model->graph->node.items[k];
            gelu |= cj__slice_is(node->op_type, "Gelu");
            group_norm |= cj__slice_is(node->op_type, "GroupNormalization");
            if (cj__slice_is(node->op_type, "ReduceMax"))
                axes = cj__onnx_find_attribute(node, "axes") != NULL;
        }
        assert_int_equal(model->opset_import.items[0].version,
                         rows[i].opset ? rows[i].opset : 17);
        assert_int_equal(model->ir_version, rows[i].ir);
        assert_int_equal(gelu, rows[i].gelu);
        assert_int_equal(group_norm, rows[i].group_norm);
        assert_int_equal(axes, rows[i].axes);
        cj_graph *h = graph_from(cj, bytes.bytes, bytes.length);
        if (!h) fail_msg("opset %lld: %s", (long long)rows[i].opset, cj_message(cj));
        cj_graph_free(h);
        cj__arena_release(&arena);
        cj__text_release(&bytes);
    }
    static const int64_t wrong[] = {16, 22, -1};
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        const cj_onnx_save_opts opts = {.struct_size = sizeof opts, .opset = wrong[i]};
        char text[60];
        snprintf(text, sizeof text, "opset=%lld: expected 17 to 21", (long long)wrong[i]);
        assert_int_equal(cj_onnx_save_graph_opts(g, "never-written.onnx", &opts),
                         CJ_ERR_ARGUMENT);
        assert_string_equal(cj_message(cj), text);
    }
    cj_graph_free(g);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void composites_are_one_node(void **state)
{
    (void)state;
    const struct {
        const cj_op *op;
        const char *onnx;
        int least; /* samples that ONNX has a node for in the opset we write */
    } rows[] = {{&cj_op_resize, "Resize", 20},
                {&cj_op_grid_sample, "GridSample", 36},
                {&cj_op_depth_to_space, "DepthToSpace", 28},
                {&cj_op_space_to_depth, "SpaceToDepth", 14},
                {&cj_op_extend, "Pad", 25},
                {&cj_op_stft, "STFT", 14}};
    cj_context *cj = cj_context_new(NULL);
    for (size_t k = 0; k < CJ__COUNT(rows); k++) {
        cj_graph *g;
        int written = 0;
        for (int i = 0; (g = sample_graph(cj, rows[k].op, i, CJ_F32)); i++) {
            written += is_one_node(cj, rows[k].op, rows[k].onnx, g);
            cj_graph_free(g);
        }
        if (written < rows[k].least) fail_msg("%s: %d samples", rows[k].onnx, written);
    }
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* ---- Hostile models -------------------------------------------------------------------------- */

#define NAMES(...) \
    { \
        .items = (cj__slice[]){__VA_ARGS__}, \
        .count = sizeof((cj__slice[]){__VA_ARGS__}) / sizeof(cj__slice) \
    }
#define NAME(text) {text, sizeof(text) - 1}

/* Col2Im, which is newer than what we write: torch.nn.functional.fold of the numbers 1, 2 ... with
 * these sizes, kernel (2, 2) and strides (2, 2). */
static void columns_are_read(void **state)
{
    (void)state;
    const struct {
        int64_t image[2], dilations[2], pads[4];
        float expected[12];
    } cases[] = {{{3, 4}, {1, 1}, {1, 0, 1, 0}, {9, 13, 10, 14, 3, 7, 4, 8, 11, 15, 12, 16}},
                 {{4, 3}, {2, 1}, {1, 1, 1, 1}, {0, 0, 0, 20, 14, 22, 0, 0, 0, 15, 12, 16}}};
    static const int64_t two[] = {2, 2}, vector[] = {2}, shape[] = {1, 4, 4};
    float numbers[16];
    cj_context *cj = cj_context_new(NULL);
    for (int i = 0; i < 16; i++) numbers[i] = (float)(i + 1);
    for (size_t k = 0; k < CJ__COUNT(cases); k++) {
        cj__onnx_tensor t[] = {
            {.name = NAME("x"), .dims = {(int64_t *)shape, 3}, .data_type = CJ__ONNX_FLOAT,
             .raw = {(char *)numbers, sizeof numbers}},
            {.name = NAME("image"), .dims = {(int64_t *)vector, 1}, .data_type = CJ__ONNX_INT64,
             .raw = {(const char *)cases[k].image, sizeof cases[k].image}},
            {.name = NAME("block"), .dims = {(int64_t *)vector, 1}, .data_type = CJ__ONNX_INT64,
             .raw = {(const char *)two, sizeof two}}};
        cj__onnx_attribute a[3];
        const char *const names[] = {"strides", "dilations", "pads"};
        const int64_t *const lists[] = {two, cases[k].dilations, cases[k].pads};
        for (int i = 0; i < 3; i++) {
            cj__onnx_attribute_init(&a[i], names[i], CJ__ONNX_ATTR_INTS);
            a[i].as.ints.items = (int64_t *)lists[i];
            a[i].as.ints.count = i < 2 ? 2 : 4;
        }
        cj__onnx_node node = {.input = NAMES(NAME("x"), NAME("image"), NAME("block")),
                              .output = NAMES(NAME("y")),
                              .op_type = NAME("Col2Im"),
                              .attribute = {a, 3}};
        cj__onnx_value out = {.name = NAME("y")};
        cj__onnx_graph graph = {.name = NAME("g"), .node = {&node, 1}, .output = {&out, 1},
                                .initializer = {t, 3}};
        cj__onnx_opset opset = {.version = 18};
        cj__onnx_model model = {.ir_version = 8, .graph = &graph, .opset_import = {&opset, 1}};
        cj__arena arena;
        cj_graph *g = NULL;
        cj_tensor *y = NULL;
        cj__arena_init(&arena, cj);
        if (cj__onnx_import(cj, &arena, &model, &(cj__onnx_import_opts){0}, &g) ||
            run_graph(cj, g, NULL, 0, &y))
            fail_msg("%s", cj_message(cj));
        assert_int_equal(cj_tensor_count(y), 12);
        assert_memory_equal(cj__tensor_data(y), cases[k].expected, sizeof cases[k].expected);
        cj_tensor_free(y);
        cj_graph_free(g);
        cj__arena_release(&arena);
    }
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* x [2, 3] f32 and these nodes; the message must hold `expected`. */
static void refuses(cj__onnx_node *nodes, size_t n, const char *output, cj_status status,
                    const char *expected)
{
    cj_context *cj = cj_context_new(NULL);
    cj__arena arena;
    cj__onnx_dim dims[] = {{CJ__ONNX_DIM_VALUE, {.value = 2}}, {CJ__ONNX_DIM_VALUE, {.value = 3}}};
    cj__onnx_shape shape = {.dim = {dims, 2}};
    cj__onnx_tensor_type tensor = {CJ__ONNX_FLOAT, &shape};
    cj__onnx_value_type type = {.which = CJ__ONNX_TYPE_TENSOR, .as.tensor = &tensor};
    cj__onnx_value in = {.name = NAME("x"), .type = &type},
                   out = {.name = cj__slice_of(output), .type = &type};
    cj__onnx_graph graph = {
        .name = NAME("g"), .node = {nodes, n}, .input = {&in, 1}, .output = {&out, 1}};
    cj__onnx_opset opset = {.version = 17};
    cj__onnx_model model = {.ir_version = 8, .graph = &graph, .opset_import = {&opset, 1}};
    cj_graph *g = NULL;
    cj__arena_init(&arena, cj);
    cj_status failed = cj__onnx_import(cj, &arena, &model, &(cj__onnx_import_opts){0}, &g);
    if (failed != status || !strstr(cj_message(cj), expected))
        fail_msg("status %d, expected %d; message '%s', expected '%s'", failed, status,
                 cj_message(cj), expected);
    assert_null(g);
    cj__arena_release(&arena);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void hostile_models_are_refused(void **state)
{
    (void)state;
    cj__onnx_node relu = {.input = NAMES(NAME("x")),
                          .output = NAMES(NAME("y")),
                          .name = NAME("a"),
                          .op_type = NAME("Relu")};
    cj__onnx_node cycle[] = {relu, relu}, twice[] = {relu, relu}, unknown = relu, foreign = relu,
                  bare = relu, wrong = relu;
    cycle[0].input.items = &(cj__slice)NAME("z");
    cycle[1].output.items = &(cj__slice)NAME("z");
    refuses(cycle, 2, "y", CJ_ERR_DATA,
            "uses 'z', which is no input and no result of a node before it");
    refuses(twice, 2, "y", CJ_ERR_DATA, "the name 'y' is given twice");
    refuses(&relu, 1, "z", CJ_ERR_DATA, "nothing gives the output 'z'");
    unknown.op_type = (cj__slice)NAME("Frobnicate");
    refuses(&unknown, 1, "y", CJ_ERR_UNSUPPORTED,
            "node 'a' (Frobnicate): Cajal has no operator Frobnicate");
    foreign.domain = (cj__slice)NAME("com.example");
    refuses(&foreign, 1, "y", CJ_ERR_UNSUPPORTED, "Cajal has no operator com.example.Relu");
    bare.input.count = 0;
    refuses(&bare, 1, "y", CJ_ERR_DATA, "it has no operand 0");
    cj__onnx_attribute axis;
    cj__onnx_attribute_init(&axis, "axis", CJ__ONNX_ATTR_FLOAT);
    axis.as.f = 1;
    wrong.op_type = (cj__slice)NAME("Softmax");
    wrong.attribute.items = &axis;
    wrong.attribute.count = 1;
    refuses(&wrong, 1, "y", CJ_ERR_DATA, "attribute 'axis' is FLOAT, expected INT");
    cj__onnx_attribute_init(&axis, "axis", CJ__ONNX_ATTR_INT);
    axis.as.i = 5;
    refuses(&wrong, 1, "y", CJ_ERR_ARGUMENT, "node 'a' (Softmax): ");
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "--dump")) folder = argv[2];
    else if (argc > 1) only = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(symbols_keep_their_sizes),
        cmocka_unit_test(names_are_readable),
        cmocka_unit_test(opsets_have_their_words),
        cmocka_unit_test(composites_are_one_node),
        cmocka_unit_test(columns_are_read),
        cmocka_unit_test(hostile_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
