/* test_metrics.c: metrics against scikit-learn and COCO's rules (tools/golden/metrics.py,
 * detection.py): every row, in both dtypes, with weights and without, on both backends, whatever
 * the batches are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/registry.h"
#include "nn_golden.h"

static cj_context *cj;
static cj_tensors *golden, *detection; /* of cases "detect_..." */

enum { METRICS_MAX = 200 };

/* The metrics of a case, built beside one another into one program. */
typedef struct rig {
    int n;
    cj__named named[METRICS_MAX];
    const char *text[METRICS_MAX];
    int64_t count[METRICS_MAX]; /* golden numbers */
    cj_node *p, *t, *w, *sums[METRICS_MAX];
    cj__tally tally[METRICS_MAX];
    cj__arena arena;
    cj_graph *g;
    cj_program *program;
    cj_session *session;
} rig;

static const cj_metric *row_of(const rig *r, int i) { return r->named[i].row; }

static void rig_add(rig *r, const char *text, int64_t count)
{
    assert_true(r->n < METRICS_MAX);
    cj__named *named = &r->named[r->n];
    if (cj__named_parse(&r->arena, cj, CJ__ROW_METRIC, text, named))
        fail_msg("%s: %s", text, cj_message(cj));
    r->text[r->n] = cj__arena_strdup(&r->arena, text);
    r->count[r->n++] = count;
}

static rig *rig_new(void)
{
    rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    cj__arena_init(&r->arena, cj);
    return r;
}

static void rig_build(rig *r, cj_dtype dtype, const cj_tensor *p, const cj_tensor *t,
                      const char *backend)
{
    r->g = cj_graph_new(cj);
    r->p = batch_placeholder(r->g, "p", dtype, p);
    r->t = batch_placeholder(r->g, "t", cj_tensor_dtype(t), t);
    r->w = cj_placeholder(r->g, "w", CJ_F64, 1, (const cj_dim[]){cj_symbol(r->g, "batch")});
    for (int i = 0; i < r->n; i++) {
        r->sums[i] = row_of(r, i)->build(r->p, r->t, r->w, r->named[i].options);
        if (!r->sums[i]) fail_msg("%s: %s", r->text[i], cj_message(cj));
        bool collects = row_of(r, i)->collects;
        int64_t n = cj_node_dim(r->sums[i], -1);
        assert_int_equal(cj_node_rank(r->sums[i]), collects ? 2 : 1);
        r->tally[i].n = n;
        if (!collects) r->tally[i].v = cj__arena_array(&r->arena, (size_t)n, sizeof(double));
    }
    cj_compile_opts co = {
        .struct_size = sizeof co, .output_list = r->sums, .n_outputs = r->n};
    r->program = (cj_compile)(r->g, &co);
    if (!r->program) fail_msg("%s", cj_message(cj));
    r->session = cj_session_new_opts(r->program, cj_graph_store(r->g),
                                     &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                        .backend = backend});
    if (!r->session) fail_msg("%s", cj_message(cj));
}

/* All samples, so many at a time, into the tallies. */
static void rig_run(rig *r, cj_tensor *p, cj_tensor *t, cj_tensor *w,
                    int64_t batch)
{
    int64_t n = cj_tensor_shape(p)[0];
    for (int i = 0; i < r->n; i++) {
        r->tally[i].count = 0;
        for (int64_t k = 0; !row_of(r, i)->collects && k < r->tally[i].n; k++)
            r->tally[i].v[k] = 0;
    }
    for (int64_t at = 0; at < n; at += batch) {
        int64_t end = at + batch < n ? at + batch : n;
        cj_tensor *rows[] = {cj_tensor_rows(p, at, end), cj_tensor_rows(t, at, end),
                             cj_tensor_rows(w, at, end)};
        cj_tensor *out[METRICS_MAX] = {NULL};
        cj_feed feeds[] = {{r->p, rows[0]}, {r->t, rows[1]}, {r->w, rows[2]}};
        if (cj_run(r->session, feeds, 3, out, r->n)) fail_msg("%s", cj_session_message(r->session));
        for (int i = 0; i < r->n; i++) {
            assert_ok(cj, cj__tally_add(cj, row_of(r, i), &r->tally[i], out[i]));
            cj_tensor_free(out[i]);
        }
        for (int i = 0; i < 3; i++) cj_tensor_free(rows[i]);
    }
}

static void rig_free(rig *r)
{
    for (int i = 0; i < r->n; i++) cj__tally_release(cj, &r->tally[i]);
    cj_session_free(r->session);
    cj_program_free(r->program);
    cj_graph_free(r->g);
    cj__arena_release(&r->arena);
    free(r);
}

static int64_t values_of(const rig *r, int i, double out[64])
{
    bool list;
    int64_t n = cj__metric_numbers(row_of(r, i), r->named[i].options, r->tally[i].n, &list);
    assert_in_range(n, 1, 64);
    assert_ok(cj, cj__tally_values(cj, row_of(r, i), r->named[i].options, &r->tally[i], out));
    return n;
}

/* One metric of these samples in f64. */
static double measure(const char *text, cj_tensor *p, cj_tensor *t, cj_tensor *w,
                      int64_t batch)
{
    rig *r = rig_new();
    double values[64];
    rig_add(r, text, 1);
    rig_build(r, cj_tensor_dtype(p), p, t, NULL);
    rig_run(r, p, t, w, batch);
    values_of(r, 0, values);
    rig_free(r);
    return values[0];
}

static cj_tensor *weights_of(int64_t n, double value)
{
    cj_tensor *w = cj_tensor_new(cj, CJ_F64, 1, &n);
    double *v = cj_tensor_map(w, CJ_MAP_WRITE);
    for (int64_t i = 0; i < n; i++) v[i] = value;
    return w;
}

/* ---- Golden numbers -------------------------------------------------------------------------- */

static const char *const cases[] = {
    "many",           "one_hot",      "random0",      "random1",       "random2",
    "random3",        "random4",      "random5",      "rare",          "certain",
    "ties",           "one_class",    "perfect",      "positions",     "binary",
    "binary1",        "binary2",      "binary3",      "binary_ties",   "binary_column",
    "binary_none",    "binary_all",   "binary_right", "two_classes",   "labels",
    "labels_empty",   "labels_none",  "logits0",      "logits1",       "logits2",
    "logit0",         "logit1",       "logit2",       "numbers",       "offset0",
    "offset1",        "offset2",      "offset3",      "offset4",       "offset5",
    "offset6",        "equal_numbers", "exact",       "constant",      "constant_exact",
    "said_constant",  "zeros",        "sorted",
    "detect_random0", "detect_random1", "detect_random2", "detect_random3", "detect_random4",
    "detect_random5", "detect_ties", "detect_class_without_boxes", "detect_empty_pictures",
    "detect_nothing_found", "detect_nothing_there", "detect_perfect", "detect_doubled"};
static const int64_t batches[] = {1, 7, 32, 1000};

static cj_tensor *of_case(const char *name, const char *part)
{
    return golden_get(strncmp(name, "detect_", 7) ? golden : detection, name, part);
}

/* "count metric" lines. */
static void add_golden(rig *r, const char *name)
{
    const cj_tensor *text = of_case(name, "metrics");
    const char *at = cj_tensor_map_read(text), *end = at + cj_tensor_count(text);
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        char line[200], *metric;
        assert_non_null(line_end);
        snprintf(line, sizeof line, "%.*s", (int)(line_end - at), at);
        int64_t count = strtol(line, &metric, 10);
        rig_add(r, metric + 1, count);
        at = line_end + 1;
    }
}

static bool is_near(double value, double expected, double tolerance)
{
    return (isnan(value) && isnan(expected)) || value == expected ||
           fabs(value - expected) <= tolerance * fmax(1, fabs(expected));
}

static bool all_whole(const cj__tally *t)
{
    for (int64_t i = 0; i < t->n; i++)
        if (t->v[i] != floor(t->v[i])) return false;
    return true;
}

/* What is made of counts, or of the samples themselves, is the same to the bit for all batches. */
static void compare(const rig *r, const char *where, int64_t batch, const double *expected,
                    double *first)
{
    double values[64];
    for (int i = 0, at = 0; i < r->n; at += (int)r->count[i], i++) {
        int64_t n = values_of(r, i, values);
        if (n != r->count[i])
            fail_msg("%s, %s: %d numbers, expected %d", where, r->text[i], (int)n,
                     (int)r->count[i]);
        bool exact = row_of(r, i)->collects || all_whole(&r->tally[i]);
        for (int k = 0; k < n; k++) {
            if (batch == batches[0]) first[at + k] = values[k];
            if (!is_near(values[k], expected[at + k], 1e-10) ||
                (exact && !is_near(values[k], first[at + k], 0)))
                fail_msg("%s, %s[%d] in batches of %d: %.17g, expected %.17g, first %.17g", where,
                         r->text[i], k, (int)batch, values[k], expected[at + k], first[at + k]);
        }
    }
}

/* Predictions and targets are exact in f32, and everything is computed in f64, so that both dtypes
 * are held to the tolerance of f64. */
static void as_scikit_learn(void **state)
{
    (void)state;
    static double first[2000];
    for (size_t c = 0; c < CJ__COUNT(cases); c++) {
        cj_tensor *target = of_case(cases[c], "target"),
                        *weight = of_case(cases[c], "weight");
        cj_tensor *ones = weights_of(cj_tensor_count(weight), 1);
        for (int d = 0; d < 2; d++) {
            cj_dtype dtype = d ? CJ_F32 : CJ_F64;
            cj_tensor *p = cj_tensor_cast(of_case(cases[c], "prediction"), dtype);
            for (size_t b = 0; b < CJ__COUNT(backends); b++) {
                rig *r = rig_new();
                add_golden(r, cases[c]);
                rig_build(r, dtype, p, target, backends[b]);
                for (int weighted = 0; weighted < 2; weighted++) {
                    const cj_tensor *e = of_case(cases[c], weighted ? "weighted" : "values");
                    assert_true((size_t)cj_tensor_count(e) <= CJ__COUNT(first));
                    for (size_t k = 0; k < CJ__COUNT(batches); k++) {
                        char where[100];
                        snprintf(where, sizeof where, "%s (%s, %s%s)", cases[c],
                                 cj_dtype_info(dtype)->name, backends[b] ? backends[b] : "best",
                                 weighted ? ", weighted" : "");
                        rig_run(r, p, target, weighted ? weight : ones, batches[k]);
                        compare(r, where, batches[k], cj_tensor_map_read(e), first);
                    }
                }
                rig_free(r);
            }
            cj_tensor_free(p);
        }
        cj_tensor_free(ones);
    }
}

/* Every row has golden numbers in some case; the confusion matrix has its own test. */
static void every_row(void **state)
{
    (void)state;
    rig *r[CJ__COUNT(cases)];
    for (size_t c = 0; c < CJ__COUNT(cases); c++) {
        r[c] = rig_new();
        add_golden(r[c], cases[c]);
    }
    const cj_metric *row;
    for (int i = 0; (row = cj_metric_at(cj, i)); i++) {
        int found = !row->value;
        for (size_t c = 0; c < CJ__COUNT(cases); c++)
            for (int k = 0; k < r[c]->n; k++) found += row_of(r[c], k) == row;
        if (!found) fail_msg("metric %s has no golden numbers", row->name);
    }
    for (size_t c = 0; c < CJ__COUNT(cases); c++) rig_free(r[c]);
}

static void confusion(void **state)
{
    (void)state;
    static const char *const with[] = {"many", "rare", "binary", "positions"};
    for (size_t c = 0; c < CJ__COUNT(with); c++) {
        cj_tensor *p = golden_get(golden, with[c], "prediction"),
                        *t = golden_get(golden, with[c], "target"),
                        *matrix = golden_get(golden, with[c], "confusion");
        cj_tensor *w = weights_of(cj_tensor_shape(p)[0], 1);
        const int64_t *expected = cj_tensor_map_read(matrix);
        rig *r = rig_new();
        rig_add(r, "confusion", 1);
        rig_build(r, CJ_F32, p, t, NULL);
        rig_run(r, p, t, w, 13);
        assert_int_equal(r->tally[0].n, cj_tensor_count(matrix));
        for (int64_t i = 0; i < r->tally[0].n; i++)
            if (r->tally[0].v[i] != (double)expected[i])
                fail_msg("%s: count %d is %g, expected %d", with[c], (int)i, r->tally[0].v[i],
                         (int)expected[i]);
        rig_free(r);
        cj_tensor_free(w);
    }
}

/* ---- By hand --------------------------------------------------------------------------------- */

/* The threshold of one output. */
static void threshold(void **state)
{
    (void)state;
    cj_tensor *p = golden_get(golden, "binary", "prediction"),
              *t = golden_get(golden, "binary", "target");
    cj_tensor *w = weights_of(101, 1);
    const float *ps = cj_tensor_map_read(p);
    const int32_t *ts = cj_tensor_map_read(t);
    int right = 0;
    for (int i = 0; i < 101; i++) right += (ps[i] > 0.9f) == (ts[i] == 1);
    assert_true(measure("accuracy(threshold=0.9)", p, t, w, 10) == right / 101.0);
    assert_true(measure("binary_accuracy(threshold=0.9)", p, t, w, 10) == right / 101.0);
    cj_tensor_free(w);
}

/* A weight of two is the sample twice; of zero, never. For ranks too. */
static void weights(void **state)
{
    (void)state;
    static const char *const some[] = {"accuracy", "f1", "matthews", "roc_auc",
                                       "average_precision", "log_loss", "brier"};
    cj_tensor *p = golden_get(golden, "many", "prediction"),
              *t = golden_get(golden, "many", "target");
    cj_tensor *w = weights_of(203, 1), *w100 = weights_of(100, 1),
              *p100 = cj_tensor_rows(p, 0, 100), *t100 = cj_tensor_rows(t, 0, 100);
    for (int factor = 1; factor < 3; factor++) {
        double *v = cj_tensor_map(w, CJ_MAP_WRITE);
        for (int i = 0; i < 203; i++) v[i] = factor * (i < 100);
        for (size_t k = 0; k < CJ__COUNT(some); k++)
            assert_true(is_near(measure(some[k], p, t, w, 32),
                                measure(some[k], p100, t100, w100, 32), 1e-14));
    }
    cj_tensor_free(p100), cj_tensor_free(t100), cj_tensor_free(w100), cj_tensor_free(w);
}

static cj_tensor *numbers_of(cj_dtype dtype, int rank, const int64_t *shape, const double *values)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, shape);
    void *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) cj_store_f64(dtype, v, (size_t)i, values[i]);
    return t;
}

/* A label that names no class counts nowhere in the table, nor in ranks and log loss; NaN among
 * scores is NaN, and never a hit; without weight there is nothing to rank. */
static void odd_samples(void **state)
{
    (void)state;
    const double scores[] = {.7, .2, .1, .1, .8, .1, .3, .3, .4, .2, .5, .3}, nan = (double)NAN;
    double broken[12];
    memcpy(broken, scores, sizeof scores);
    broken[7] = nan;
    cj_tensor *p = numbers_of(CJ_F64, 2, (int64_t[]){4, 3}, scores),
              *t = numbers_of(CJ_I32, 1, (int64_t[]){4}, (double[]){0, -1, 2, 1}),
              *q = numbers_of(CJ_F64, 2, (int64_t[]){4, 3}, broken), *w = weights_of(4, 1),
              *none = weights_of(4, 0);
    assert_true(measure("precision(average=micro)", p, t, w, 2) == 1);
    assert_true(measure("roc_auc", p, t, w, 2) == 1);
    assert_true(is_near(measure("log_loss", p, t, w, 3), -(log(.7) + log(.4) + log(.5)) / 3,
                        1e-14));
    assert_true(measure("top_k_accuracy(k=3)", p, t, w, 2) == .75);
    assert_true(isnan(measure("roc_auc", q, t, w, 2)));
    assert_true(isnan(measure("roc_auc(multi_class=ovo)", q, t, w, 2)));
    assert_true(isnan(measure("average_precision", q, t, w, 2)));
    assert_true(isnan(measure("spearman", q, p, w, 2)));
    assert_true(isnan(measure("pearson", q, p, w, 2)));
    assert_true(isnan(measure("r2", q, p, w, 2)));
    assert_true(measure("top_k_accuracy(k=1)", q, t, w, 2) == .5);
    static const char *const undefined[] = {"roc_auc", "cohen_kappa", "balanced_accuracy",
                                            "roc_auc(multi_class=ovo)"};
    for (size_t i = 0; i < CJ__COUNT(undefined); i++)
        assert_true(isnan(measure(undefined[i], p, t, none, 2)));
    assert_true(measure("f1", p, t, none, 2) == 0);
    assert_true(isnan(measure("r2", p, p, none, 2)));
    assert_true(isnan(measure("spearman", p, p, none, 2)));
    cj_tensor *one = cj_tensor_rows(p, 0, 1), *w1 = weights_of(1, 1);
    assert_true(isnan(measure("r2", one, one, w1, 1))); /* one sample, as scikit-learn */
    assert_true(measure("explained_variance", one, one, w1, 1) == 1);
    cj_tensor_free(one), cj_tensor_free(w1);
    cj_tensor_free(p), cj_tensor_free(t), cj_tensor_free(q), cj_tensor_free(w),
        cj_tensor_free(none);
}

/* An offset far above the spread costs moments no digits: r of y = x + c is 1, and R2 of targets
 * x + 1e9 is that of x. */
static void large_offset(void **state)
{
    (void)state;
    enum { N = 64 };
    double x[N], y[N], far[N], near[N];
    for (int i = 0; i < N; i++) {
        x[i] = (i * 37 % N) / 64.0, y[i] = x[i] + (i % 5) / 8.0;
        far[i] = x[i] + 0x1p30, near[i] = y[i] + 0x1p30;
    }
    int64_t shape[] = {N, 1};
    cj_tensor *tx = numbers_of(CJ_F64, 2, shape, x), *ty = numbers_of(CJ_F64, 2, shape, y),
              *tfar = numbers_of(CJ_F64, 2, shape, far),
              *tnear = numbers_of(CJ_F64, 2, shape, near), *w = weights_of(N, 1);
    static const char *const some[] = {"r2", "explained_variance", "pearson", "spearman"};
    for (size_t b = 0; b < CJ__COUNT(batches); b++) {
        for (size_t i = 0; i < CJ__COUNT(some); i++) {
            double a = measure(some[i], ty, tx, w, batches[b]),
                   c = measure(some[i], tnear, tfar, w, batches[b]);
            if (!is_near(c, a, 1e-12)) fail_msg("%s: %.17g, expected %.17g", some[i], c, a);
        }
        assert_true(is_near(measure("pearson", tfar, tx, w, batches[b]), 1, 1e-14));
    }
    cj_tensor_free(tx), cj_tensor_free(ty), cj_tensor_free(tfar), cj_tensor_free(tnear),
        cj_tensor_free(w);
}

/* [batch, positions, outputs] are batch * positions rows of their sample's weight; [batch] is
 * [batch, 1]. */
static void other_shapes(void **state)
{
    (void)state;
    static const char *const some[] = {"mse",  "rmse",     "mae", "mape", "cosine_similarity",
                                       "r2",   "pearson",  "spearman", "explained_variance",
                                       "binary_accuracy",
                                       "roc_auc(multilabel=true)", "f1(multilabel=true)"};
    double x[24], y[24], each[24];
    for (int i = 0; i < 24; i++) {
        x[i] = (i * 7 % 23) / 23.0, y[i] = i * 11 % 5 > 2;
        each[i] = 1 + i / 6 % 3;
    }
    double of_rows[12];
    for (int i = 0; i < 12; i++) of_rows[i] = each[2 * i];
    cj_tensor *x3 = numbers_of(CJ_F64, 3, (int64_t[]){4, 3, 2}, x),
              *y3 = numbers_of(CJ_F64, 3, (int64_t[]){4, 3, 2}, y),
              *w3 = numbers_of(CJ_F64, 1, (int64_t[]){4}, (double[]){1, 2, 3, 1}),
              *x2 = numbers_of(CJ_F64, 2, (int64_t[]){12, 2}, x),
              *y2 = numbers_of(CJ_F64, 2, (int64_t[]){12, 2}, y),
              *w2 = numbers_of(CJ_F64, 1, (int64_t[]){12}, of_rows),
              *x1 = numbers_of(CJ_F64, 1, (int64_t[]){24}, x),
              *y1 = numbers_of(CJ_F64, 1, (int64_t[]){24}, y),
              *w1 = numbers_of(CJ_F64, 1, (int64_t[]){24}, each),
              *xc = numbers_of(CJ_F64, 2, (int64_t[]){24, 1}, x),
              *yc = numbers_of(CJ_F64, 2, (int64_t[]){24, 1}, y);
    for (size_t i = 0; i < CJ__COUNT(some); i++) {
        double a = measure(some[i], x3, y3, w3, 3), b = measure(some[i], x2, y2, w2, 5),
               c = measure(some[i], x1, y1, w1, 7), d = measure(some[i], xc, y1, w1, 24),
               e = measure(some[i], xc, yc, w1, 9);
        if (!is_near(a, b, 1e-14) || !is_near(c, d, 1e-14) || !is_near(d, e, 1e-14) || isnan(a) ||
            isnan(c))
            fail_msg("%s: %g and %g, %g and %g and %g", some[i], a, b, c, d, e);
    }
    cj_tensor *all[] = {x3, y3, w3, x2, y2, w2, x1, y1, w1, xc, yc};
    for (size_t i = 0; i < CJ__COUNT(all); i++) cj_tensor_free(all[i]);
}

/* ---- Names and errors ------------------------------------------------------------------------ */

static void other_names(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"acc", "accuracy"},           {"sparse_categorical_accuracy", "accuracy"},
        {"auc", "roc_auc"},            {"roc_auc_score", "roc_auc"},
        {"mcc", "matthews"},           {"matthews_corrcoef", "matthews"},
        {"f1_score", "f1"},            {"dice", "f1"},
        {"jaccard_score", "iou"},      {"mean_iou", "iou"},
        {"r2_score", "r2"},            {"brier_score_loss", "brier"},
        {"top_k_categorical_accuracy", "top_k_accuracy"},
        {"root_mean_squared_error", "rmse"}};
    for (size_t i = 0; i < CJ__COUNT(pairs); i++) {
        const cj_metric *row = cj_metric_find(cj, pairs[i][0]);
        assert_non_null(row);
        assert_string_equal(row->name, pairs[i][1]);
    }
}

static void option_errors(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"top_k_accuracy(k=0)", "top_k_accuracy: k=0 is not between 1 and 2147483648"},
        {"fbeta(beta=-1)", "fbeta: beta=-1 is not between 0 and 1000000"},
        {"precision(zero_division=2)", "precision: zero_division=2 is not between 0 and 1"},
        {"recall(average=most)",
         "recall: average='most' is none of auto, binary, micro, macro, weighted, none"},
        {"calibration_error(bins=0)", "calibration_error: bins=0 is not between 1 and 100000"},
        {"calibration_error(norm=l3)",
         "calibration_error: norm='l3' is none of l1, l2, max (did you mean 'l1'?)"},
        {"cohen_kappa(weights=cubic)",
         "cohen_kappa: weights='cubic' is none of none, linear, quadratic"},
        {"roc_auc(multi_class=all)",
         "roc_auc: multi_class='all' is none of ovr, ovo"},
        {"r2(multioutput=raw)",
         "r2: multioutput='raw' is none of uniform_average, none, variance_weighted"},
        {"accuracy(threshold=none)",
         "accuracy: threshold='none' is not a number"},
        {"f1(beta=2)",
         "f1: unknown option 'beta': it takes threshold, average, zero_division, multilabel"},
        {"roc_uac",
         "unknown metric 'roc_uac' (did you mean 'roc_auc'?)"}};
    cj__arena arena;
    cj__arena_init(&arena, cj);
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        cj__named named;
        assert_int_equal(cj__named_parse(&arena, cj, CJ__ROW_METRIC, wrong[i][0], &named),
                         CJ_ERR_ARGUMENT);
        if (strcmp(cj_message(cj), wrong[i][1]))
            fail_msg("%s: \"%s\", expected \"%s\"", wrong[i][0], cj_message(cj), wrong[i][1]);
    }
    cj__arena_release(&arena);
}

static void shape_errors(void **state)
{
    (void)state;
    static const struct {
        const char *metric;
        int p_rank, t_rank;
        int64_t width;
        const char *message;
    } wrong[] = {
        {"accuracy", 1, 1, 0,
         "accuracy: the prediction needs a last axis of classes of a known size"},
        {"accuracy", 3, 1, 4, "accuracy: the prediction has rank 3, the target rank 1"},
        {"f1(average=binary)", 2, 1, 3, "average=binary is for two classes, but there are 3"},
        {"f1(average=binary, multilabel=true)", 2, 2, 3,
         "average=binary is for two classes, but multilabel=true"},
        {"top_k_accuracy", 2, 1, 1,
         "top_k_accuracy: the prediction has one value a sample, expected one for each class"},
        {"mse", 2, 1, 3, "mse: the prediction has rank 2, the target rank 1"},
        {"spearman", 3, 2, 3, "spearman: the prediction has rank 3, the target rank 2"},
        {"map", 3, 3, 5,
         "mean_average_precision: the prediction is f32 of rank 3 with 5 along its last axis, "
         "expected floats [batch, rows, columns, 4 + classes]"},
        {"map(iou=[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1])", 3, 3, 5,
         "mean_average_precision: 33 thresholds, expected at most 32"}};
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        rig *r = rig_new();
        cj_graph *g = cj_graph_new(cj);
        cj_dim dims[] = {cj_symbol(g, "batch"), wrong[i].p_rank == 3 ? 5 : wrong[i].width,
                         wrong[i].width},
               of_target[] = {dims[0], wrong[i].width, wrong[i].width};
        rig_add(r, wrong[i].metric, 1);
        cj_node *sums = row_of(r, 0)->build(
            cj_placeholder(g, "p", CJ_F32, wrong[i].p_rank, dims),
            cj_placeholder(g, "t", CJ_F32, wrong[i].t_rank, of_target),
            cj_placeholder(g, "w", CJ_F32, 1, dims), r->named[0].options);
        assert_null(sums);
        assert_said(cj, wrong[i].message);
        cj_graph_free(g);
        rig_free(r);
    }
}

static int setup(void **state)
{
    (void)state;
    cj = test_context();
    golden = golden_load(cj, "nn/metrics.npz");
    detection = golden_load(cj, "nn/metrics_detection.npz");
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cj_tensors_free(golden);
    cj_tensors_free(detection);
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_scikit_learn), cmocka_unit_test(every_row),
        cmocka_unit_test(confusion),       cmocka_unit_test(threshold),
        cmocka_unit_test(weights),         cmocka_unit_test(odd_samples),
        cmocka_unit_test(large_offset),    cmocka_unit_test(other_shapes),
        cmocka_unit_test(other_names),     cmocka_unit_test(option_errors),
        cmocka_unit_test(shape_errors)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
