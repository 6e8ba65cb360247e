/* Functions of ONNX that are read as arithmetic, against those of the C library: small, large and
 * infinite arguments, f64, f32 and f16, on two backends; and slopes against differences. */
#include <math.h>

#include "onnx_support.h"

#include "format/onnx/import.h"

enum { MANY = 32 };

typedef struct function {
    const char *name;
    double (*one)(double x);
    double (*two)(double x, double y);
    double slope[4]; /* arguments where it has one; NaN ends */
} function;

static const function functions[] = {
    {"Asinh", asinh, NULL, {0, 0.5, -2, NAN}},
    {"Acosh", acosh, NULL, {1.5, 2, 30, NAN}},
    {"Atanh", atanh, NULL, {0, 0.5, -0.75, NAN}},
    {"Mod", NULL, fmod, {NAN}},
};

/* The graph of one node, of one or two operands. */
static cj_graph *graph_of(cj_context *cj, const function *f, cj_dtype dtype, int64_t n)
{
    cj__arena arena;
    cj__onnx_dim dim = {CJ__ONNX_DIM_VALUE, {.value = n}};
    cj__onnx_shape shape = {.dim = {&dim, 1}};
    cj__onnx_tensor_type tensor = {cj_dtype_info(dtype)->onnx, &shape};
    cj__onnx_value_type type = {.which = CJ__ONNX_TYPE_TENSOR, .as.tensor = &tensor};
    cj__slice names[] = {cj__slice_of("x"), cj__slice_of("y"), cj__slice_of("z")};
    cj__onnx_value in[] = {{.name = names[0], .type = &type}, {.name = names[1], .type = &type}},
                   out = {.name = names[2], .type = &type};
    cj__onnx_attribute fmod_is_set;
    cj__onnx_attribute_init(&fmod_is_set, "fmod", CJ__ONNX_ATTR_INT);
    fmod_is_set.as.i = 1;
    size_t n_in = f->two ? 2 : 1;
    cj__onnx_node node = {.input = {names, n_in},
                          .output = {&names[2], 1},
                          .op_type = cj__slice_of(f->name),
                          .attribute = {&fmod_is_set, f->two ? 1 : 0}};
    cj__onnx_graph graph = {.name = cj__slice_of("g"),
                            .node = {&node, 1},
                            .input = {in, n_in},
                            .output = {&out, 1}};
    cj__onnx_opset opset = {.version = 17};
    cj__onnx_model model = {.ir_version = 8, .graph = &graph, .opset_import = {&opset, 1}};
    cj_graph *g = NULL;
    cj__arena_init(&arena, cj);
    if (cj__onnx_import(cj, &arena, &model, &(cj__onnx_import_opts){0}, &g))
        fail_msg("%s", cj_message(cj));
    cj__arena_release(&arena);
    return g;
}

static cj_tensor *tensor_of(cj_context *cj, cj_dtype dtype, int n, const double *numbers)
{
    int64_t shape = n;
    cj_tensor *t = cj_tensor_new(cj, dtype, 1, &shape);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int i = 0; i < n; i++) cj_store_f64(dtype, data, (size_t)i, numbers[i]);
    cj_tensor_unmap(t);
    return t;
}

static const double numbers[MANY] = {
    0,    1e-6,  1e-3,  0.25,  0.5,   0.999, 1,        1.0009765625, 1.5,      2,   3,
    10,   127,   129,   1000,  60000, -1e-6, -1e-3,    -0.5,         -0.999,   -1,  -1.5,
    -2,   -3,    -10,   -129,  -1000, -60000, INFINITY, -INFINITY,   NAN,      7.25};

static void check(const function *f, cj_dtype dtype, const char *backend, double tolerance)
{
    cj_context *cj = cj_context_new(NULL);
    double given[MANY], others[MANY], more[] = {1e15, -1e15, 1e30, -1e30};
    memcpy(given, numbers, sizeof given);
    if (dtype != CJ_F16) memcpy(given + 12, more, sizeof more);
    for (int i = 0; i < MANY; i++) others[i] = numbers[(i * 7 + 3) % MANY];
    cj_graph *g = graph_of(cj, f, dtype, MANY);
    cj_tensor *in[] = {tensor_of(cj, dtype, MANY, given), tensor_of(cj, dtype, MANY, others)};
    cj_tensor *y = NULL;
    cj_feed feeds[2];
    int n = cj_graph_input_count(g);
    for (int i = 0; i < n; i++) feeds[i] = (cj_feed){cj_graph_input_at(g, i), in[i]};
    if (run_graph_on(cj, backend, g, feeds, n, &y)) fail_msg("%s", cj_message(cj));
    for (int i = 0; i < MANY; i++) {
        double a = cj_load_f64(dtype, cj__tensor_data(in[0]), (size_t)i),
               b = cj_load_f64(dtype, cj__tensor_data(in[1]), (size_t)i),
               found = cj_load_f64(dtype, cj__tensor_data(y), (size_t)i),
               expected = f->one ? f->one(a) : f->two(a, b);
        bool same = isnan(expected) ? isnan(found)
                                    : found == expected ||
                                          fabs(found - expected) <= tolerance * fabs(expected);
        if (!same)
            fail_msg("%s(%g, %g) in %s is %.17g, expected %.17g", f->name, a, b,
                     cj_dtype_info(dtype)->name, found, expected);
    }
    cj_tensor_free(y);
    free_all(in, 2);
    cj_graph_free(g);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* Every step is rounded to the dtype: a few digits of the last place. */
static void values_are_those_of_c(void **state)
{
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(functions); i++)
        for (int k = 0; k < 2; k++) {
            const char *backend = k ? "reference" : NULL;
            check(&functions[i], CJ_F64, backend, 1e-14);
            check(&functions[i], CJ_F32, backend, 1e-6);
            check(&functions[i], CJ_F16, backend, 4e-3);
        }
}

static void slopes_are_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(functions); i++) {
        const function *f = &functions[i];
        int n = 0;
        while (!isnan(f->slope[n])) n++;
        if (!n) continue;
        cj_context *cj = cj_context_new(NULL);
        cj_graph *g = graph_of(cj, f, CJ_F64, n);
        cj_node *x = cj_graph_input_at(g, 0), *dx = NULL;
        cj_tensor *in = tensor_of(cj, CJ_F64, n, f->slope), *out[2] = {NULL};
        if (cj_grad(cj_sum(cj_graph_output_at(g, 0)), (cj_node *[]){x}, 1, &dx))
            fail_msg("%s", cj_message(cj));
        cj_graph_output(g, "dx", dx);
        if (run_graph(cj, g, &(cj_feed){x, in}, 1, out)) fail_msg("%s", cj_message(cj));
        for (int k = 0; k < n; k++) {
            double a = f->slope[k], h = 1e-5, found = ((const double *)cj__tensor_data(out[1]))[k],
                   expected = (f->one(a + h) - f->one(a - h)) / (2 * h);
            if (!(fabs(found - expected) <= 1e-8)) /* h^2, and the rounding of the quotient */
                fail_msg("%s'(%g) is %.17g, expected %.17g", f->name, a, found, expected);
        }
        free_all(out, 2);
        cj_tensor_free(in);
        cj_graph_free(g);
        cj_context_free(cj);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_are_those_of_c),
                                       cmocka_unit_test(slopes_are_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
