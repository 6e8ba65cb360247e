/* test_boxes.c: overlaps of boxes and suppression against torchvision (tools/golden/detection.py);
 * the loss of a detector whose logits are to be seen; what is refused. */
#include <cajal/detect.h>

#include "nn_golden.h"

static cj_context *cj;
static cj_tensors *golden;

/* ---- Overlaps -------------------------------------------------------------------------------- */

static void overlaps(void **state)
{
    (void)state;
    static const char *const kinds[] = {"iou", "giou", "diou", "ciou", NULL};
    cj_tensor *a = golden_get(golden, "pairs", "a"), *b = golden_get(golden, "pairs", "b");
    for (int k = 0; kinds[k]; k++)
        for (int d = 0; d < 2; d++)
            for (int back = 0; back < 2; back++) {
                cj_graph *g = cj_graph_new(cj);
                const cj_dtype dtype = d ? CJ_F32 : CJ_F64;
                cj_node *in[] = {batch_placeholder(g, "a", dtype, a),
                                 cj_placeholder(g, "b", dtype, CJ_DIMS(9, 4))};
                cj_node *y = cj_box_iou(in[0], in[1], k ? kinds[k] : NULL),
                        *one = cj_full_like(y, 1);
                cj_tensor *out[2], *values[] = {a, b};
                run_with_gradient(cj, backends[back], y, in[0], one, in, values, 2, out);
                /* Two nearly equal boxes of 1e4: a float's 1e-7 of their union is 1e-5 of it. */
                assert_near(kinds[k], out[0], golden_get(golden, "pairs", kinds[k]),
                            d ? 1e-5 : 1e-10);
                for (int64_t i = 0; i < cj_tensor_count(out[1]); i++)
                    assert_true(isfinite(value_of(cj, out[1], i)));
                cj_tensor_free(out[0]), cj_tensor_free(out[1]);
                cj_graph_free(g);
            }
}

/* The numbers of cj_box_iou of constants. */
static void overlap_of(const char *kind, int64_t n, const double *a, const double *b, double *to)
{
    cj_graph *g = cj_graph_new(cj);
    cj_tensor *ts[] = {cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){n, 4}, a),
                       cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){1, 4}, b)},
              *out = NULL;
    cj_node *y = cj_box_iou(cj_constant(g, ts[0]), cj_constant(g, ts[1]), kind);
    cj_program *p = cj_compile(g, .outputs = {y});
    if (!p) fail_msg("%s", cj_message(cj));
    cj_session *s = cj_session_new(p, cj_graph_store(g));
    assert_ok(cj, cj_run(s, NULL, 0, &out, 1));
    for (int64_t i = 0; i < n; i++) to[i] = value_of(cj, out, i);
    cj_tensor_free(out), cj_tensor_free(ts[0]), cj_tensor_free(ts[1]);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
}

/* Boxes without area overlap nothing, not even themselves. */
static void without_area(void **state)
{
    (void)state;
    const double a[] = {1, 1, 1, 1, 0, 0, 2, 2, 1, 0, 1, 2}, b[] = {1, 1, 1, 1};
    double y[3];
    overlap_of("iou", 3, a, b, y);
    for (int i = 0; i < 3; i++) assert_true(y[i] == 0);
    overlap_of("ciou", 3, a, b, y);
    for (int i = 0; i < 3; i++) assert_true(isfinite(y[i]));
}

/* ---- Suppression ----------------------------------------------------------------------------- */

static void suppression(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        char name[16];
        snprintf(name, sizeof name, "nms%d", i);
        cj_tensor *box = golden_get(golden, name, "boxes"),
                  *keep = golden_get(golden, name, "keep"),
                  *score = golden_get(golden, name, "scores"),
                  *label = golden_get(golden, name, "labels");
        const double iou = value_of(cj, golden_get(golden, name, "iou"), 0);
        const int64_t n = cj_tensor_count(score);
        cj_detection *d = calloc((size_t)n + 1, sizeof *d);
        for (int64_t k = 0; k < n; k++) {
            for (int c = 0; c < 4; c++) d[k].box[c] = value_of(cj, box, k * 4 + c);
            d[k].score = value_of(cj, score, k);
            d[k].label = (int)value_of(cj, label, k);
        }
        int64_t count = -1;
        assert_ok(cj, cj_suppress(cj, d, n, iou, 0, &count));
        if (count != cj_tensor_count(keep))
            fail_msg("%s: %d stay, expected %d", name, (int)count, (int)cj_tensor_count(keep));
        for (int64_t k = 0; k < count; k++) {
            const int64_t from = (int64_t)value_of(cj, keep, k);
            if (d[k].score != value_of(cj, score, from) ||
                d[k].box[0] != value_of(cj, box, from * 4))
                fail_msg("%s: %d is another one", name, (int)k);
        }
        free(d);
    }
}

static void suppression_of_few(void **state)
{
    (void)state;
    const cj_detection all[] = {{{0, 0, 1, 1}, 0.5, 0}, {{0, 0, 1, 1}, NAN, 0},
                                {{0, 0, 1, 1}, 0.5, 1}, {{0, 0, 1, 1}, 0.9, 0},
                                {{0, 0, 1, 0.5}, 0.5, 0}};
    cj_detection d[5];
    int64_t n;
    memcpy(d, all, sizeof d);
    assert_ok(cj, cj_suppress(cj, d, 5, 0.5, 0, &n)); /* an IoU of 0.5 is not above 0.5 */
    assert_int_equal(n, 3);
    assert_true(d[0].score == 0.9 && d[1].label == 1 && d[2].box[3] == 0.5);
    memcpy(d, all, sizeof d);
    assert_ok(cj, cj_suppress(cj, d, 5, 1, 4, &n));
    assert_int_equal(n, 4);
    assert_true(d[0].score == 0.9 && d[1].label == 0 && d[2].label == 1 && d[3].box[3] == 0.5);
    assert_ok(cj, cj_suppress(cj, NULL, 0, 0.5, 0, &n));
    assert_int_equal(n, 0);
    assert_int_equal(cj_suppress(cj, d, 5, 1.5, 0, &n), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj), "suppress: 5 detections, iou=1.5, most=0; expected none "
                                        "below 0, iou 0 to 1");
    assert_int_equal(cj_suppress(cj, d, 5, NAN, 0, &n), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_suppress(cj, d, 5, 0.5, -1, &n), CJ_ERR_ARGUMENT);
}

/* ---- The loss -------------------------------------------------------------------------------- */

/* Scores of +-30, where probabilities in float are 1 and their loss is cut off, from logits. */
static void logits_are_seen(void **state)
{
    (void)state;
    const float box[] = {0.1f, 0.1f, 0.9f, 0.8f}, logits[] = {30, -30, 2};
    const float truth[] = {1, 0.1f, 0.1f, 0.9f, 0.8f};
    cj_tensor *values[] = {cj_tensor_from(cj, CJ_F32, 4, (int64_t[]){1, 1, 1, 3}, logits),
                           cj_tensor_from(cj, CJ_F32, 4, (int64_t[]){1, 1, 1, 4}, box),
                           cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){1, 1, 5}, truth),
                           cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){1}, (float[]){1})};
    cj_graph *g = cj_graph_new(cj);
    cj_node *z = cj_placeholder(g, "z", CJ_F32, CJ_DIMS(1, 1, 1, 3)),
            *b = cj_placeholder(g, "b", CJ_F32, CJ_DIMS(1, 1, 1, 4)),
            *t = cj_placeholder(g, "t", CJ_F32, CJ_DIMS(1, 1, 5)),
            *one = cj_placeholder(g, "one", CJ_F32, CJ_DIMS(1));
    cj_node *parts[] = {b, cj_sigmoid(z)}, *in[] = {z, b, t, one};
    cj_node *y = cj_loss_node(cj_concat(parts, 2, -1), t, "detection(gamma=0, no_quality=true)");
    if (!y) fail_msg("%s", cj_message(cj));
    cj_tensor *out[2];
    run_with_gradient(cj, NULL, y, z, one, in, values, 4, out);
    /* 30 for the wrong class that is sure, 30 for the right one that is not, log(1 + e^2). */
    assert_true(fabs(value_of(cj, out[0], 0) - (60 + log1p(exp(2)))) < 1e-4);
    assert_true(fabs(value_of(cj, out[1], 0) - 1) < 1e-6);
    assert_true(fabs(value_of(cj, out[1], 1) + 1) < 1e-6);
    for (int i = 0; i < 4; i++) cj_tensor_free(values[i]);
    cj_tensor_free(out[0]), cj_tensor_free(out[1]);
    cj_graph_free(g);
}

/* ---- What is refused ------------------------------------------------------------------------- */

typedef struct wrong {
    const char *loss; /* NULL: box_iou */
    int rank[2];
    int64_t last[2];
    const char *message;
} wrong;

static void refused(void **state)
{
    (void)state;
    static const wrong cases[] = {
        {"giou",
         {2, 2},
         {5, 5},
         "giou: the prediction has rank 2 and 5 along its last axis, expected boxes [batch, ..., "
         "4]"},
        {"iou",
         {1, 1},
         {4, 4},
         "iou: the prediction has rank 1 and 4 along its last axis, expected boxes [batch, ..., "
         "4]"},
        {"ciou", {2, 3}, {4, 4}, "ciou: the prediction has rank 2, the target rank 3"},
        {"detection",
         {3, 3},
         {7, 5},
         "detection: the prediction is f32 of rank 3 with 7 along its last axis, expected floats "
         "[batch, rows, columns, 4 + classes]"},
        {"detection",
         {4, 3},
         {4, 5},
         "detection: the prediction is f32 of rank 4 with 4 along its last axis, expected floats "
         "[batch, rows, columns, 4 + classes]"},
        {"detection",
         {4, 3},
         {7, 4},
         "detection: the target has rank 3 and 4 along its last axis, expected boxes [batch, most, "
         "5]"},
        {"detection",
         {4, 2},
         {7, 5},
         "detection: the target has rank 2 and 5 along its last axis, expected boxes [batch, most, "
         "5]"},
        {NULL,
         {2, 2},
         {4, 5},
         "box_iou: boxes of rank 2, f32 with 5 along the last axis, expected floats [..., n, 4]"},
        {NULL,
         {1, 2},
         {4, 4},
         "box_iou: boxes of rank 1, f32 with 4 along the last axis, expected floats [..., n, 4]"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *x[2];
        for (int k = 0; k < 2; k++) {
            cj_dim dims[4] = {2, 2, 2, 2};
            dims[cases[i].rank[k] - 1] = cases[i].last[k];
            x[k] = cj_placeholder(g, k ? "t" : "p", CJ_F32, cases[i].rank[k], dims);
        }
        assert_null(cases[i].loss ? cj_loss_node(x[0], x[1], cases[i].loss)
                                  : cj_box_iou(x[0], x[1], NULL));
        assert_said(cj, cases[i].message);
        cj_graph_free(g);
    }
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(3, 4));
    assert_null(cj_box_iou(x, x, "gious"));
    assert_said(cj, "box_iou: kind='gious' is none of iou, giou, diou, ciou");
    cj_graph_free(g);
}

static int setup(void **state)
{
    (void)state;
    cj = test_context();
    golden = golden_load(cj, "nn/boxes.npz");
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlaps),           cmocka_unit_test(without_area),
        cmocka_unit_test(suppression),        cmocka_unit_test(suppression_of_few),
        cmocka_unit_test(logits_are_seen),    cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
