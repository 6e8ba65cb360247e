/* test_metrics.c: metrics against scikit-learn (tools/golden/metrics.py), the same for any batch
 * size. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/model.h"

#include <cajal/io.h>

#include "base/registry.h"
#include "support/golden.h"

static cj_context *cj;
static cj_tensors *golden;

static cj_tensor *array(const char *name, const char *part)
{
    char full[100];
    snprintf(full, sizeof full, "%s/%s", name, part);
    return cj_tensors_find(golden, full);
}

typedef struct measured {
    double sums[64];
    int64_t n;
    double value;
} measured;

static cj_node *sample_placeholder(cj_graph *g, const char *name, const cj_tensor *like)
{
    cj_dim dims[CJ_RANK_MAX] = {cj_symbol(g, "batch")};
    for (int i = 1; i < cj_tensor_rank(like); i++) dims[i] = cj_tensor_shape(like)[i];
    return cj_placeholder(g, name, cj_tensor_dtype(like), cj_tensor_rank(like), dims);
}

static measured measure(const char *metric, cj_tensor *prediction, cj_tensor *target,
                        cj_tensor *weight, int64_t batch)
{
    measured m = {0};
    cj__arena arena;
    cj__named named;
    cj__arena_init(&arena, cj);
    assert_int_equal(cj__named_parse(&arena, cj, CJ__ROW_METRIC, metric, &named), CJ_OK);
    const cj_metric *row = named.row;
    cj_graph *g = cj_graph_new(cj);
    cj_node *p = sample_placeholder(g, "p", prediction), *t = sample_placeholder(g, "t", target);
    cj_node *w = sample_placeholder(g, "w", weight);
    cj_node *sums = row->build(p, t, w, named.options);
    if (!sums) fail_msg("%s: %s", metric, cj_message(cj));
    cj_program *program = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                             .outputs = {sums}});
    cj_session *s = program ? cj_session_new(program, NULL) : NULL;
    if (!s) fail_msg("%s: %s", metric, cj_message(cj));
    int64_t n = cj_tensor_shape(prediction)[0];
    for (int64_t at = 0; at < n; at += batch) {
        int64_t end = at + batch < n ? at + batch : n;
        cj_tensor *rows[] = {cj_tensor_rows(prediction, at, end), cj_tensor_rows(target, at, end),
                             cj_tensor_rows(weight, at, end)};
        cj_tensor *out = NULL;
        cj_feed feeds[] = {{p, rows[0]}, {t, rows[1]}, {w, rows[2]}};
        if (cj_run(s, feeds, 3, &out, 1)) fail_msg("%s: %s", metric, cj_session_message(s));
        m.n = cj_tensor_count(out);
        assert_in_range(m.n, 1, 64);
        for (int64_t i = 0; i < m.n; i++)
            m.sums[i] += cj_load_f64(cj_tensor_dtype(out), cj_tensor_map_read(out), (size_t)i);
        cj_tensor_free(out);
        for (int i = 0; i < 3; i++) cj_tensor_free(rows[i]);
    }
    if (row->value) m.value = row->value(m.sums, m.n, named.options);
    cj_session_free(s);
    cj_program_free(program);
    cj_graph_free(g);
    cj__arena_release(&arena);
    return m;
}

static cj_tensor *ones(int64_t n)
{
    cj_tensor *w = cj_tensor_new(cj, CJ_F32, 1, &n);
    float *v = cj_tensor_map(w, CJ_MAP_WRITE);
    for (int64_t i = 0; i < n; i++) v[i] = 1;
    return w;
}

static const char *const cases[] = {"many", "one_hot", "rare", "binary", "binary_none", "numbers"};
static const char *const names[] = {"accuracy", "precision", "recall", "f1", "mse", "mae"};
static const int64_t batches[] = {1, 7, 32, 1000};

static void as_scikit_learn(void **state)
{
    (void)state;
    int compared = 0;
    for (size_t c = 0; c < CJ__COUNT(cases); c++) {
        cj_tensor *p = array(cases[c], "prediction"), *t = array(cases[c], "target"),
                  *w = ones(cj_tensor_shape(p)[0]);
        for (size_t k = 0; k < CJ__COUNT(names); k++) {
            const cj_tensor *golden_value = array(cases[c], names[k]);
            if (!golden_value) continue;
            double expected = *(const double *)cj_tensor_map_read(golden_value);
            bool counts =
                k <
                4; /* exact whatever the batches; means of numbers to the rounding of their sum */
            double first = measure(names[k], p, t, w, batches[0]).value;
            for (size_t b = 0; b < CJ__COUNT(batches); b++, compared++) {
                double value = measure(names[k], p, t, w, batches[b]).value;
                if (!(fabs(value - expected) <= 1e-14 * (1 + fabs(expected))) ||
                    (counts && value != first))
                    fail_msg("%s of %s in batches of %d: %.17g, expected %.17g", names[k], cases[c],
                             (int)batches[b], value, expected);
            }
        }
        cj_tensor_free(w);
    }
    assert_int_equal(compared, 22 * (int)CJ__COUNT(batches));
}

static void confusion(void **state)
{
    (void)state;
    static const char *const with[] = {"many", "rare", "binary"};
    for (size_t c = 0; c < CJ__COUNT(with); c++) {
        cj_tensor *p = array(with[c], "prediction"), *t = array(with[c], "target"),
                  *w = ones(cj_tensor_shape(p)[0]);
        const cj_tensor *matrix = array(with[c], "confusion");
        const int64_t *expected = cj_tensor_map_read(matrix);
        measured m = measure("confusion", p, t, w, 13);
        assert_int_equal(m.n, cj_tensor_count(matrix));
        for (int64_t i = 0; i < m.n; i++)
            if (m.sums[i] != (double)expected[i])
                fail_msg("%s: count %d is %g, expected %d", with[c], (int)i, m.sums[i],
                         (int)expected[i]);
        cj_tensor_free(w);
    }
}

/* A weight of two is the sample twice; of zero, never. */
static void weights(void **state)
{
    (void)state;
    cj_tensor *p = array("many", "prediction"), *t = array("many", "target"), *w = ones(203);
    float *v = cj_tensor_map(w, CJ_MAP_WRITE);
    for (int i = 0; i < 203; i++) v[i] = (float)(i < 100);
    cj_tensor *p100 = cj_tensor_rows(p, 0, 100), *t100 = cj_tensor_rows(t, 0, 100),
              *w100 = ones(100);
    for (int k = 0; k < 4; k++)
        assert_true(measure(names[k], p, t, w, 32).value ==
                    measure(names[k], p100, t100, w100, 32).value);
    for (int i = 0; i < 203; i++) v[i] *= 2;
    for (int k = 0; k < 4; k++)
        assert_true(measure(names[k], p, t, w, 32).value ==
                    measure(names[k], p100, t100, w100, 32).value);
    cj_tensor_free(p100), cj_tensor_free(t100), cj_tensor_free(w100), cj_tensor_free(w);
}

/* The threshold of one output. */
static void threshold(void **state)
{
    (void)state;
    cj_tensor *p = array("binary", "prediction"), *t = array("binary", "target"), *w = ones(101);
    const float *ps = cj_tensor_map_read(p);
    const int32_t *ts = cj_tensor_map_read(t);
    int right = 0;
    for (int i = 0; i < 101; i++) right += (ps[i] > 0.9f) == (ts[i] == 1);
    double value = measure("accuracy(threshold=0.9)", p, t, w, 10).value;
    if (value != right / 101.0) fail_msg("%g, expected %g", value, right / 101.0);
    cj_tensor_free(w);
}

static int setup(void **state)
{
    (void)state;
    char path[512];
    cj = cj_context_new(NULL);
    if (cj_npz_load(cj, golden_path(path, "nn/metrics.npz"), &golden))
        fail_msg("%s", cj_message(cj));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cj_tensors_free(golden);
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_scikit_learn),
                                       cmocka_unit_test(confusion), cmocka_unit_test(weights),
                                       cmocka_unit_test(threshold)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
