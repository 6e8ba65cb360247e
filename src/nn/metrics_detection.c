/* metrics_detection.c: boxes found against true ones, by the rules of COCO.
 *
 * A record is a picture: {weight, k, m, k candidates {score, class, box}, m true boxes {class,
 * box}}. The candidates are the highest scores of the grid, by falling score; the host suppresses
 * what overlaps, as cj_detections does, and matches class by class:
 *
 *     for each threshold, from the highest score on, a detection takes the true box that it
 * overlaps most, by at least the threshold, of those that none has taken; so it is right, else
 * wrong. Over all pictures, by falling score, precision and recall follow one another; precision is
 *     made to never rise with recall, and read at recalls 0, 0.01 ... 1 (0 where none is reached).
 *
 * The metric is the mean over those 101, the thresholds, and the classes that have true boxes. */
#include "nn/boxes.h"
#include "nn/metrics.h"

#include <float.h>
#include <math.h>

enum { HEAD = 3, CANDIDATE = 6, TRUTH = 5, RECALLS = 101, THRESHOLDS_MAX = 32 };

typedef struct detection_options {
    cj_floats iou;
    double nms, score;
    int64_t most, candidates;
} detection_options;

static const char name[] = "mean_average_precision";
static const cj_option detection_table[] = {
    {"iou", CJ_OPTION_TYPE_FLOATS, offsetof(detection_options, iou), {0}, {0}, 1,
     "thresholds of overlap, at most 32; none: 0.5, 0.55 ... 0.95"},
    CJ_OPTION_FLOAT(detection_options, nms, 0.5, 0, 1,
                    "two of a class that overlap by more are one; 1: all stay"),
    CJ_OPTION_FLOAT(detection_options, score, 0.01, 0, 1, "what a detection's score is above"),
    CJ_OPTION_INT(detection_options, most, 100, 1, 1000000,
                  "detections of a class in a picture that count"),
    CJ_OPTION_INT(detection_options, candidates, 1000, 1, 1000000,
                  "highest scores of a picture that are looked at"),
    CJ_OPTION_END};

/* ---- Records --------------------------------------------------------------------------------- */

/* [batch, a, b] -> [batch, a * b] */
static cj_node *flat(cj_node *x)
{
    return x ? cj_reshape(x, 2, (const cj_dim[]){x->type.dim[0], x->type.dim[1] * x->type.dim[2]})
             : NULL;
}

/* The k highest scores of each picture, with class and box: [batch, k, 6]. */
static cj_node *candidates(const cj__cells *c, int64_t k)
{
    const cj_dim batch = c->box->type.dim[0], all = c->score->type.dim[1] * c->classes;
    cj_graph *g = cj_node_graph(c->box);
    cj_node *top = cj_top_k(cj_reshape(c->score, 2, (const cj_dim[]){batch, all}), k, 1, false);
    cj_node *place = top ? cj_node_output(top, 1) : NULL, *classes = cj_scalar(g, CJ_I64,
                                                                           (double)c->classes);
    if (!place || !classes) return NULL;
    cj_node *cell = cj_broadcast_to(cj_expand_dims(cj_div(place, classes), 2), 3,
                                    (const cj_dim[]){batch, k, 4});
    cj_node *parts[] = {cj_expand_dims(top, 2), cj_expand_dims(cj_mod(place, classes), 2),
                        cj_gather_along(c->box, cell, 1)};
    for (int i = 0; i < 3; i++)
        if (!(parts[i] = cj_cast(parts[i], CJ_F64))) return NULL;
    return cj_concat(parts, 3, 2);
}

static cj_node *build_detection(cj_node *prediction, cj_node *target, cj_node *weight,
                                const void *options)
{
    const detection_options *o = options;
    cj__cells c;
    cj_graph *g = cj_node_graph(prediction);
    if (!g || !weight) return NULL;
    if (o->iou.n > THRESHOLDS_MAX)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "%s: %d thresholds, expected at most %d", name,
                             o->iou.n, THRESHOLDS_MAX);
    if (!cj__cells_of(prediction, target, name, &c)) return NULL;
    const cj_dim cells = c.box->type.dim[1], batch = c.box->type.dim[0],
                 m = target->type.dim[1], one[] = {batch, 1};
    int64_t k;
    if (cells < 1 || CJ__MUL_OVERFLOWS(cells, c.classes, &k))
        return cj_graph_fail(g, CJ_ERR_SHAPE, "%s: the number of cells is not known", name);
    if (k > o->candidates) k = o->candidates;
    cj_node *found = candidates(&c, k);
    cj_node *parts[] = {cj_expand_dims(cj_cast(weight, CJ_F64), 1),
                        cj_broadcast_to(cj_scalar(g, CJ_F64, (double)k), 2, one),
                        cj_broadcast_to(cj_scalar(g, CJ_F64, (double)m), 2, one), flat(found),
                        flat(cj_cast(c.target, CJ_F64))};
    for (int i = 0; i < 5; i++)
        if (!parts[i]) return NULL;
    return cj_concat(parts, 5, 1);
}

/* ---- Matching -------------------------------------------------------------------------------- */

/* A detection of one class: {score, a bit for each threshold at which it is right, 0}. */
typedef cj__triple hit;

static bool is_right(const hit *h, int t) { return (uint64_t)h->a >> t & 1; }

typedef struct judge {
    const detection_options *o;
    double threshold[THRESHOLDS_MAX];
    int thresholds;
    hit *hits, *other; /* of all pictures; as many again, for sorting */
    cj_detection *local;
    double *taken;     /* of the true boxes of a picture: 1 or 0 */
    int64_t n, truths;
    bool nan;
} judge;

static bool is_of(const double *truth, int64_t class_number)
{
    return truth[0] == (double)class_number;
}

/* One threshold's matches of the n detections in j->local. Of equal overlaps the last true box
 * counts, as COCO's program has it. */
static void match(judge *j, const double *truth, int64_t m, int64_t class_number, int64_t n, int t,
                  hit *hits)
{
    for (int64_t i = 0; i < m; i++) j->taken[i] = 0;
    for (int64_t i = 0; i < n; i++) {
        double best = fmin(j->threshold[t], 1 - 1e-10);
        int64_t at = -1;
        for (int64_t k = 0; k < m; k++) {
            const double *box = truth + k * TRUTH;
            if (!is_of(box, class_number) || j->taken[k] > 0) continue;
            const double iou = cj__box_iou_of(j->local[i].box, box + 1);
            if (iou < best) continue;
            best = iou, at = k;
        }
        if (at < 0) continue;
        j->taken[at] = 1;
        hits[i].a += (double)((uint64_t)1 << t);
    }
}

/* What a picture adds to a class. */
static void add_picture(judge *j, const double *record, int64_t class_number)
{
    const int64_t k = (int64_t)record[1], m = (int64_t)record[2];
    const double *found = record + HEAD, *truth = found + k * CANDIDATE;
    int64_t n = 0;
    if (record[0] == 0) return;
    for (int64_t i = 0; i < k; i++, found += CANDIDATE) {
        j->nan = j->nan || isnan(found[0]);
        if (found[1] != (double)class_number || !(found[0] > j->o->score)) continue;
        j->local[n++] = (cj_detection){{found[2], found[3], found[4], found[5]}, found[0], 0};
    }
    n = cj__suppress_sorted(j->local, n, j->o->nms, j->o->most);
    for (int64_t i = 0; i < m; i++) j->truths += is_of(truth + i * TRUTH, class_number);
    hit *hits = j->hits + j->n;
    for (int64_t i = 0; i < n; i++) hits[i] = (hit){j->local[i].score, 0, 0};
    for (int t = 0; t < j->thresholds; t++) match(j, truth, m, class_number, n, t, hits);
    j->n += n;
}

/* The mean precision over recalls of one threshold. The largest precision at a recall or a higher
 * one is found from the last detection on, while the recalls are gone through from the highest. */
static double average_precision(const judge *j, const hit *hits, int t)
{
    double right = 0, sum = 0, best = 0;
    int at = RECALLS - 1;
    for (int64_t i = 0; i < j->n; i++) right += is_right(&hits[i], t);
    for (int64_t i = j->n - 1; i >= 0; i--) {
        const double recall = right / (double)j->truths,
                     precision = right / ((double)(i + 1) + DBL_EPSILON);
        for (; at >= 0 && (at == RECALLS - 1 ? 1 : at * 0.01) > recall; at--)
            sum += best; /* later detections reach it, or none */
        best = fmax(best, precision);
        right -= is_right(&hits[i], t);
    }
    return (sum + (at + 1) * best) / RECALLS;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static int64_t hits_of(int64_t n, int64_t count, const detection_options *o)
{
    const int64_t k = n / CANDIDATE;
    return count * (k < o->most ? k : o->most);
}

static int64_t detection_scratch(int64_t n, int64_t count, const void *options)
{
    return 6 * hits_of(n, count, options) + 2 * n;
}

static int64_t classes_of(const cj_metric_totals *t)
{
    double most = -1;
    for (int64_t i = 0; i < t->count; i++) {
        const double *r = t->v + i * t->n, *truth = r + HEAD + (int64_t)r[1] * CANDIDATE;
        for (int64_t k = 0; k < (int64_t)r[2]; k++) most = fmax(most, truth[k * TRUTH]);
    }
    return most < 1 << 24 ? (int64_t)most + 1 : 0;
}

static void judge_init(judge *j, const cj_metric_totals *t, const detection_options *o)
{
    const int64_t hits = hits_of(t->n, t->count, o);
    *j = (judge){.o = o, .thresholds = o->iou.n ? o->iou.n : 10, .hits = (hit *)t->scratch};
    j->other = j->hits + hits;
    j->local = (cj_detection *)(j->other + hits);
    j->taken = (double *)(j->local + t->n / CANDIDATE);
    for (int i = 0; i < j->thresholds; i++) /* numpy's linspace(0.5, 0.95, 10) */
        j->threshold[i] = o->iou.n ? o->iou.v[i] : i == 9 ? 0.95 : i * ((0.95 - 0.5) / 9) + 0.5;
}

static double detection_value(const cj_metric_totals *t, int64_t i, const void *options)
{
    const int64_t classes = classes_of(t);
    double sum = 0, count = 0;
    judge j;
    (void)i;
    judge_init(&j, t, options);
    for (int64_t c = 0; c < classes; c++) {
        j.n = j.truths = 0;
        for (int64_t r = 0; r < t->count; r++) add_picture(&j, t->v + r * t->n, c);
        if (j.nan) return NAN;
        if (!j.truths) continue;
        const hit *hits = cj__sort_triples(j.hits, j.other, j.n);
        for (int k = 0; k < j.thresholds; k++, count++) sum += average_precision(&j, hits, k);
    }
    return cj__ratio(sum, count, (double)NAN);
}
const cj_metric cj_metric_mean_average_precision = {
    .name = name,
    .doc = "COCO's mean over classes with true boxes, overlaps and 101 recalls of the precision of "
           "boxes and scores [batch, rows, columns, 4 + classes] against true boxes [batch, most, "
           "5]; a picture of weight 0 does not count, any other is 1. Keeps the candidates",
    .options_size = sizeof(detection_options),
    .options = detection_table,
    .build = build_detection,
    .value = detection_value,
    .collects = true,
    .scratch = detection_scratch,
    .aliases = "map, map50(iou=0.5), map75(iou=0.75)"};
