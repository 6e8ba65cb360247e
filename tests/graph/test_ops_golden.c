/* Elementwise operators and reductions against numpy, scipy and Python's integers, at ordinary and
 * extreme operands: signed zeros, subnormals, overflow, infinities, NaN, integers that wrap.
 * tests/golden/graph/ops_a.txt says how; tools/golden/ops_a.py made it. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cajal/run.h>

#include "golden.h"
#include "graph/graph.h"

typedef struct golden {
    char *at; /* what is not read yet; lines end in NUL */
    int line;
} golden;

static char *next_line(golden *f)
{
    char *line = f->at, *end = strchr(line, '\n');
    if (!end) return NULL;
    *end = 0;
    f->at = end + 1;
    f->line++;
    return line;
}

static char *word(char **text)
{
    *text += strspn(*text, " ");
    char *begin = *text;
    *text += strcspn(*text, " ");
    if (**text) *(*text)++ = 0;
    return begin;
}

static int read_shape(const char *text, int64_t *dims)
{
    int rank = 0;
    if (!strcmp(text, "scalar")) return 0;
    for (char *end; *text; text = *end ? end + 1 : end) dims[rank++] = strtol(text, &end, 10);
    return rank;
}

static cj_tensor *read_tensor(cj_context *cj, cj_dtype dtype, int rank, const int64_t *dims,
                              char *text)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, dims);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        const char *number = word(&text);
        assert_true(*number);
        bool real = cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT;
        if (real) cj_store_f64(dtype, data, (size_t)i, strtod(number, NULL));
        else if (dtype == CJ_U64)
            cj_store_i64(dtype, data, (size_t)i, (int64_t)strtoull(number, NULL, 10));
        else cj_store_i64(dtype, data, (size_t)i, strtoll(number, NULL, 10));
    }
    cj_tensor_unmap(t);
    return t;
}

/* Applies the operator of a case; attributes are "key=value key=value". */
static cj_node *apply(cj_context *cj, cj_graph *g, const char *name, cj_node **in, int n,
                      char *attributes)
{
    const cj_op *op = cj_op_find(cj, name);
    assert_non_null(op);
    cj__arena arena;
    cj__arena_init(&arena, cj);
    void *values = NULL;
    if (op->attributes) {
        values = cj__arena_alloc(&arena, op->attributes_size);
        cj__options_init(op->attributes, values);
    }
    while (*attributes) {
        char *value = word(&attributes), *key = value;
        value = strchr(value, '=');
        if (!value) break;
        *value++ = 0;
        assert_int_equal(cj__option_set(&arena, name, op->attributes, values, key, value), CJ_OK);
    }
    cj_node *y = cj_apply(g, op, in, n, values);
    cj__arena_release(&arena);
    return y;
}

/* Units in the last place of double functions on the reference; of float ones elsewhere. Below zero
 * gelu falls as e^(-x^2 / 2), so that rounding x / sqrt(2) costs x^2 / 2 units. */
static double tolerance(const char *backend, cj_dtype dtype, const char *name)
{
    double own = dtype == CJ_F64   ? (strcmp(name, "gelu") ? 4e-15 : 1e-13)
                 : dtype == CJ_F32 ? 1.2e-7
                                   : 1e-3;
    return backend ? own : dtype == CJ_F32 ? 4e-6 : own;
}

/* What differences do not count: some units of the smallest number; elsewhere all that is not
 * normal. */
static double smallest(const char *backend, cj_dtype dtype)
{
    if (backend) return dtype == CJ_F64 ? 1e-319 : dtype == CJ_F32 ? 1.5e-45 : 6e-8;
    return dtype == CJ_F64 ? 1e-300 : dtype == CJ_F32 ? 1.2e-38 : 6e-8;
}

/* Two things may differ on the best backend. Subnormal operands count as zero while a session runs.
 * And a sum of very large numbers that cancel depends on the order of its terms. */
static bool differs_by_design(const char *backend, const char *what, cj_dtype dtype,
                              const cj_tensor *a, size_t i)
{
    cj_dtype from = cj_tensor_dtype(a);
    const void *data = cj_tensor_map_read(a);
    if (backend || cj_dtype_info(from)->kind != CJ_KIND_FLOAT) return false;
    (void)dtype;
    double least = from == CJ_F64 ? DBL_MIN : FLT_MIN;
    if (i < (size_t)cj_tensor_count(a)) {
        double x = fabs(cj_load_f64(from, data, i));
        if ((x > 0 && x < least) || (!strcmp(what, "reciprocal") && 1 / x < least)) return true;
    }
    bool sum = !strcmp(what, "reduce_sum") || !strcmp(what, "reduce_mean");
    for (size_t k = 0; sum && k < (size_t)cj_tensor_count(a); k++) {
        double x = fabs(cj_load_f64(from, data, k));
        if (isfinite(x) && x > 1e18) return true;
    }
    return false;
}

static int compare(const cj_tensor *found, const cj_tensor *expected, const cj_tensor *a,
                   const char *what, int line, const char *backend)
{
    cj_dtype dtype = cj_tensor_dtype(expected);
    const void *f = cj_tensor_map_read(found), *e = cj_tensor_map_read(expected);
    bool real = cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT;
    assert_int_equal(cj_tensor_dtype(found), dtype);
    assert_int_equal(cj_tensor_count(found), cj_tensor_count(expected));
    for (size_t i = 0; i < (size_t)cj_tensor_count(expected); i++) {
        double x = cj_load_f64(dtype, f, i), y = cj_load_f64(dtype, e, i);
        bool same = real ? x == y || (isnan(x) && isnan(y)) ||
                               fabs(x - y) <= tolerance(backend, dtype, what) * fabs(y) +
                                                  smallest(backend, dtype)
                         : cj_load_i64(dtype, f, i) == cj_load_i64(dtype, e, i);
        /* x (1 + erf(x / sqrt 2)) / 2 and x sigmoid(x) in float: the far left tail is lost in the
         * rounding of the factor, which is of size 1. */
        bool tail = !backend && dtype == CJ_F32 && (!strcmp(what, "gelu") || !strcmp(what, "silu"));
        if (tail &&
            fabs(x - y) <= FLT_EPSILON * fabs(cj_load_f64(CJ_F32, cj_tensor_map_read(a), i)))
            continue;
        if (same || differs_by_design(backend, what, dtype, a, i)) continue;
        double operand = i < (size_t)cj_tensor_count(a)
                             ? cj_load_f64(cj_tensor_dtype(a), cj_tensor_map_read(a), i)
                             : NAN;
        print_error(
            "line %d: %s (%s): element %zu is %.17g, expected %.17g; first operand there %.17g\n",
            line, what, backend ? backend : "best backend", i, x, y, operand);
        return 1;
    }
    return 0;
}

/* Runs one case, its lines having been read; returns the number of failures. */
static int run_case(cj_context *cj, const char *name, char *attributes, cj_tensor **operand, int n,
                    const cj_tensor *expected, int line, const char *backend)
{
    cj_graph *g = cj_graph_new(cj);
    cj_node *in[3];
    for (int k = 0; k < n; k++) {
        const char *names[] = {"a", "b", "c"};
        in[k] = cj_variable(g, names[k], operand[k]);
    }
    char copy[128];
    snprintf(copy, sizeof copy, "%s", attributes);
    cj_node *y = apply(cj, g, name, in, n, copy);
    if (!y) print_error("line %d: %s\n", line, cj_message(cj));
    assert_non_null(y);
    cj_compile_opts opts = {.struct_size = sizeof opts,
                            .outputs = {y},
                            .no_passes = backend != NULL};
    cj_program *program = (cj_compile)(g, &opts);
    assert_non_null(program);
    cj_session_opts how = {.struct_size = sizeof how, .backend = backend, .threads = 1};
    cj_session *session = cj_session_new_opts(program, cj_graph_store(g), &how);
    assert_non_null(session);
    cj_tensor *found = NULL;
    if (cj_run(session, NULL, 0, &found, 1))
        print_error("line %d: %s: %s\n", line, name, cj_session_message(session));
    assert_non_null(found);
    int failures = compare(found, expected, operand[0], name, line, backend);
    cj_tensor_free(found);
    cj_session_free(session);
    cj_program_free(program);
    cj_graph_free(g);
    return failures;
}

static void run_all(const char *backend)
{
    char path[512];
    size_t size;
    unsigned char *bytes = golden_bytes(golden_path(path, "graph/ops_a.txt"), &size);
    char *text = malloc(size + 1);
    memcpy(text, bytes, size);
    text[size] = 0;
    cj_context *cj = cj_context_new(NULL);
    golden f = {text, 0};
    int cases = 0, failures = 0;
    for (char *line = next_line(&f); line;) {
        int64_t dims[CJ_RANK_MAX];
        cj_tensor *operand[3], *expected = NULL;
        int n = 0, begin = f.line;
        assert_string_equal(word(&line), "op");
        char *name = word(&line);
        cj_dtype dtype = cj_dtype_find(word(&line));
        int rank = read_shape(word(&line), dims);
        char *attributes = line;
        while ((line = next_line(&f)) && *line != 'o') {
            bool is_operand = *word(&line) == 'a';
            if (is_operand) {
                operand[n++] = read_tensor(cj, dtype, rank, dims, line);
                continue;
            }
            cj_dtype to = cj_dtype_find(word(&line));
            int y_rank = read_shape(word(&line), dims);
            expected = read_tensor(cj, to, y_rank, dims, line);
        }
        failures += run_case(cj, name, attributes, operand, n, expected, begin, backend);
        cases++;
        for (int k = 0; k < n; k++) cj_tensor_free(operand[k]);
        cj_tensor_free(expected);
    }
    print_message("%d cases\n", cases);
    cj_context_free(cj);
    free(text);
    free(bytes);
    assert_true(cases > 200);
    assert_int_equal(failures, 0);
}

static void test_reference(void **state)
{
    (void)state;
    run_all("reference");
}

/* Through the passes, on the best backend: extreme operands must not differ there either. */
static void test_best_backend(void **state)
{
    (void)state;
    run_all(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference),
                                       cmocka_unit_test(test_best_backend)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
