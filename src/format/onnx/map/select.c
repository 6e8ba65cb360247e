/* select.c: operators whose result is as large as its operand's values say: Compress, NonZero,
 * Unique, NonMaxSuppression.
 *
 * Sizes of a graph cannot come from values, so operands that decide must be known when reading.
 * What is chosen becomes a constant of indices; elements themselves come from gathers with it, and
 * so have gradients. */
#include <math.h>
#include <string.h>

#include "format/onnx/map.h"
#include "graph/ops/block.h"
#include "nn/boxes.h"
#include "nn/metrics.h"
#include "tensor/tensor.h"

/* Operand i as a tensor, or a failure that names it. */
static const cj_tensor *known_in(cj__onnx_reader *r, size_t i, const char *what)
{
    const cj_tensor *t = cj__onnx_tensor_in(r, i);
    if (!t)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                      "%s (operand %zu) decides how large the result is, and is not known when "
                      "reading", what, i);
    return t;
}

static double element(const cj_tensor *t, int64_t i)
{
    return cj_load_f64(t->dtype, cj__tensor_data(t), (size_t)i);
}

/* Room for n numbers until the model is read. */
static int64_t *room(cj__onnx_reader *r, int64_t n)
{
    int64_t *v = cj__arena_array(r->arena, (size_t)n + 1, sizeof *v);
    if (!v) cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory for %lld indices", (long long)n);
    return v;
}

static cj_node *constant(cj__onnx_reader *r, int rank, const int64_t *dims, const int64_t *v)
{
    cj_tensor *t = v && !r->failed ? cj_tensor_from(r->cj, CJ_I64, rank, dims, v) : NULL;
    cj_node *node = t ? cj_constant(r->g, t) : NULL;
    if (!t && v) cj__onnx_fail(r, cj_last_status(r->cj), "%s", cj_message(r->cj));
    cj_tensor_free(t);
    return node;
}

/* x, or x as one row of all its elements where the operator has no axis. */
static cj_node *along_axis(cj__onnx_reader *r, int *axis)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    *axis = 0;
    if (!x) return NULL;
    if (!cj__onnx_has_attribute(r, "axis")) {
        cj_dim all = cj__type_count(r->g, &x->type);
        return cj_reshape(x, 1, &all);
    }
    char op[CJ__SLICE_SHOWN];
    *axis = cj__axis(x, cj__slice_show(r->node->op_type, op), cj__onnx_get_int(r, "axis", 0),
                     x->type.rank);
    return *axis < 0 ? NULL : x;
}

/* ---- Compress, NonZero ----------------------------------------------------------------------- */

static void read_compress(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int axis;
    cj_node *x = along_axis(r, &axis);
    const cj_tensor *condition = x ? known_in(r, 1, "condition") : NULL;
    int64_t *chosen = condition ? room(r, condition->count) : NULL, n = 0;
    (void)row;
    if (!chosen) return;
    for (int64_t i = 0; i < condition->count; i++)
        if (element(condition, i) != 0) chosen[n++] = i;
    cj_dim size = x->type.dim[axis];
    if (n && size >= 0 && chosen[n - 1] >= size) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "the condition is true at %lld, of %lld elements",
                      (long long)chosen[n - 1], (long long)size);
        return;
    }
    cj__onnx_set(r, 0, cj_gather(x, constant(r, 1, &n, chosen), axis));
}

/* A row of indices for each axis; elements in their order. A scalar counts as a vector. */
static void read_non_zero(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj_tensor *x = known_in(r, 0, "X");
    (void)row;
    if (!x) return;
    int rank = x->rank ? x->rank : 1;
    int64_t n = 0, at = 0;
    for (int64_t i = 0; i < x->count; i++) n += element(x, i) != 0;
    int64_t *v = n < INT64_MAX / CJ_RANK_MAX ? room(r, n * rank) : NULL;
    for (int64_t i = 0; v && i < x->count; i++) {
        if (element(x, i) == 0) continue;
        for (int64_t k = rank - 1, rest = i; k >= 0; k--) {
            int64_t size = x->rank ? x->shape[k] : 1;
            v[k * n + at] = rest % size;
            rest /= size;
        }
        at++;
    }
    cj__onnx_set(r, 0, constant(r, 2, (int64_t[]){rank, n}, v));
}

/* ---- Unique ---------------------------------------------------------------------------------- */

/* What is compared: item i is elements i * inner + k of each of `outer` blocks of n * inner. */
typedef struct items {
    const cj_tensor *x;
    int64_t n, outer, inner;
} items;

/* < 0, 0, > 0; NaN is the largest, and all NaNs are one, as numpy's unique has it. */
static int compare(const items *s, int64_t a, int64_t b)
{
    bool whole = !cj__is_float(s->x->dtype), large = s->x->dtype == CJ_U64;
    const void *data = cj__tensor_data(s->x);
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t k = 0; k < s->inner; k++) {
            size_t i = (size_t)((o * s->n + a) * s->inner + k),
                   j = (size_t)((o * s->n + b) * s->inner + k);
            if (whole) {
                int64_t u = cj_load_i64(s->x->dtype, data, i),
                        v = cj_load_i64(s->x->dtype, data, j);
                if (u != v) return (large ? (uint64_t)u < (uint64_t)v : u < v) ? -1 : 1;
                continue;
            }
            double u = cj_load_f64(s->x->dtype, data, i), v = cj_load_f64(s->x->dtype, data, j);
            if (u == v || (isnan(u) && isnan(v))) continue;
            return isnan(v) || u < v ? -1 : 1;
        }
    return 0;
}

/* Merge sort, which keeps equal ones in their order; the result is in v. */
static void sort_items(const items *s, int64_t *v, int64_t *other, int64_t n)
{
    int64_t *from = v, *to = other;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t low = 0; low < n; low += 2 * width) {
            int64_t middle = low + width < n ? low + width : n,
                    high = middle + width < n ? middle + width : n, a = low, b = middle;
            for (int64_t k = low; k < high; k++)
                to[k] = a < middle && (b == high || compare(s, from[a], from[b]) <= 0) ? from[a++]
                                                                                       : from[b++];
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != v) memcpy(v, from, (size_t)n * sizeof *v);
}

/* Of n sorted items the classes of equal ones: first[c] its first item, count[c], inverse[item] =
 * c. Returns how many. */
static int64_t classes_of(const items *s, const int64_t *order, int64_t *first, int64_t *count,
                          int64_t *inverse)
{
    int64_t classes = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (!i || compare(s, order[i - 1], order[i]) != 0) {
            first[classes] = order[i];
            count[classes++] = 0;
        }
        count[classes - 1]++;
        inverse[order[i]] = classes - 1;
    }
    return classes;
}

/* The classes in the order of their first items instead. */
static void by_appearance(int64_t n, int64_t classes, int64_t *first, int64_t *count,
                          int64_t *inverse, int64_t *renamed)
{
    int64_t *old_count = renamed + classes, next = 0;
    memcpy(old_count, count, (size_t)classes * sizeof *count);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = inverse[i];
        if (first[c] == i) renamed[c] = next++;
    }
    for (int64_t i = 0; i < n; i++) inverse[i] = renamed[inverse[i]];
    for (int64_t c = 0; c < classes; c++) count[renamed[c]] = old_count[c];
    for (int64_t i = n - 1; i >= 0; i--) first[inverse[i]] = i;
}

static void read_unique(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int axis;
    cj_node *x = along_axis(r, &axis);
    const cj_tensor *known = x ? known_in(r, 0, "X") : NULL;
    (void)row;
    if (!known) return;
    items s = {known, known->count, 1, 1};
    if (cj__onnx_has_attribute(r, "axis")) {
        s.n = known->shape[axis];
        for (int i = 0; i < known->rank; i++)
            if (i != axis) *(i < axis ? &s.outer : &s.inner) *= known->shape[i];
    }
    int64_t n = s.n, *order = room(r, n), *first = room(r, n), *count = room(r, n),
            *inverse = room(r, n), *spare = room(r, 2 * n);
    if (r->failed) return;
    for (int64_t i = 0; i < n; i++) order[i] = i;
    sort_items(&s, order, spare, n);
    int64_t classes = classes_of(&s, order, first, count, inverse);
    if (!cj__onnx_get_int(r, "sorted", 1))
        by_appearance(n, classes, first, count, inverse, spare);
    cj_node *chosen = constant(r, 1, &classes, first);
    cj__onnx_set(r, 0, cj_gather(x, chosen, axis));
    cj__onnx_set(r, 1, chosen);
    cj__onnx_set(r, 2, constant(r, 1, &n, inverse));
    cj__onnx_set(r, 3, constant(r, 1, &classes, count));
}

/* ---- NonMaxSuppression ----------------------------------------------------------------------- */

typedef struct suppression {
    const cj_tensor *boxes, *scores;
    bool centres, has_least;
    double overlap, least; /* what boxes may share, and the score they must exceed */
    int64_t most;
    cj__triple *order, *spare;
    int64_t *kept;
} suppression;

/* Box i of an image as x_min, y_min, x_max, y_max: the file has two corners, y before x, or centre
 * and size, x first. */
static void box_of(const suppression *s, int64_t image, int64_t i, double box[4])
{
    int64_t at = (image * s->boxes->shape[1] + i) * 4;
    double v[4];
    for (int k = 0; k < 4; k++) v[k] = element(s->boxes, at + k);
    for (int k = 0; k < 2; k++) {
        double a = s->centres ? v[k] - v[k + 2] / 2 : v[1 - k],
               b = s->centres ? v[k] + v[k + 2] / 2 : v[3 - k];
        box[k] = a < b || s->centres ? a : b;
        box[k + 2] = a < b || s->centres ? b : a;
    }
}

/* Numbers of the boxes that stay for a class of an image go to s->kept; returns how many. */
static int64_t suppress(const suppression *s, int64_t image, int64_t class)
{
    int64_t n = s->boxes->shape[1], all = 0, kept = 0;
    for (int64_t i = 0; i < n; i++) {
        double score = element(s->scores, (image * s->scores->shape[1] + class) * n + i);
        if (s->has_least && !(score > s->least)) continue;
        s->order[all++] = (cj__triple){isnan(score) ? -INFINITY : score, (double)i, 0};
    }
    const cj__triple *sorted = cj__sort_triples(s->order, s->spare, all);
    for (int64_t i = 0; i < all && kept < s->most; i++) {
        double box[4], other[4];
        bool stays = true;
        box_of(s, image, (int64_t)sorted[i].a, box);
        for (int64_t k = 0; k < kept && stays; k++) {
            box_of(s, image, s->kept[k], other);
            stays = !(cj__box_iou_of(box, other) > s->overlap);
        }
        if (stays) s->kept[kept++] = (int64_t)sorted[i].a;
    }
    return kept;
}

/* As the file has it: 0.1f, which scores of the same float do not exceed, not 0.1. */
static bool read_threshold(cj__onnx_reader *r, size_t i, const char *what, double *value)
{
    if (!cj__onnx_has(r, i)) return true;
    const cj_tensor *t = known_in(r, i, what);
    if (t && t->count != 1)
        cj__onnx_fail(r, CJ_ERR_SHAPE, "%s has %lld numbers, expected 1", what,
                      (long long)t->count);
    if (t && !r->failed) *value = element(t, 0);
    return !r->failed;
}

static bool read_suppression(cj__onnx_reader *r, suppression *s)
{
    double most = 0;
    *s = (suppression){.centres = cj__onnx_get_int(r, "center_point_box", 0) != 0,
                       .boxes = known_in(r, 0, "boxes"),
                       .scores = known_in(r, 1, "scores"),
                       .has_least = cj__onnx_has(r, 4)};
    if (r->failed || (cj__onnx_has(r, 2) &&
                      !cj__onnx_number_in(r, 2, "max_output_boxes_per_class", &most)) ||
        !read_threshold(r, 3, "iou_threshold", &s->overlap) ||
        !read_threshold(r, 4, "score_threshold", &s->least))
        return false;
    const cj_tensor *b = s->boxes, *c = s->scores;
    if (b->rank != 3 || b->shape[2] != 4 || c->rank != 3 || b->shape[0] != c->shape[0] ||
        b->shape[1] != c->shape[2]) {
        cj__shape_text boxes, scores;
        cj__onnx_fail(r, CJ_ERR_SHAPE, "boxes %s and scores %s, expected [n, m, 4] and [n, k, m]",
                      cj__shape_string(&boxes, b->rank, b->shape),
                      cj__shape_string(&scores, c->rank, c->shape));
        return false;
    }
    s->most = most > 0 ? (most < (double)b->shape[1] ? (int64_t)most : b->shape[1]) : 0;
    s->order = cj__arena_array(r->arena, 2 * (size_t)b->shape[1] + 1, sizeof *s->order);
    s->spare = s->order ? s->order + b->shape[1] : NULL;
    s->kept = room(r, b->shape[1]);
    if (!s->order) cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory for its boxes");
    return !r->failed;
}

/* Rows of image, class, box. The first pass counts, the second one writes. */
static void read_non_max_suppression(cj__onnx_reader *r, const cj__onnx_row *row)
{
    suppression s;
    (void)row;
    if (!read_suppression(r, &s)) return;
    int64_t classes = s.scores->shape[1], pairs = s.scores->shape[0] * classes, n = 0, *v = NULL;
    for (int pass = 0; pass < 2 && !r->failed; pass++) {
        int64_t at = 0;
        for (int64_t i = 0; i < pairs; i++) {
            int64_t kept = suppress(&s, i / classes, i % classes);
            for (int64_t k = 0; v && k < kept; k++) {
                v[(at + k) * 3] = i / classes;
                v[(at + k) * 3 + 1] = i % classes;
                v[(at + k) * 3 + 2] = s.kept[k];
            }
            at += kept;
        }
        if (!pass) v = room(r, 3 * (n = at));
    }
    cj__onnx_set(r, 0, constant(r, 2, (int64_t[]){n, 3}, v));
}

const cj__onnx_row cj__onnx_rows_select[] = {
    {.onnx = "Compress", .read = read_compress},
    {.onnx = "NonZero", .read = read_non_zero},
    {.onnx = "Unique", .read = read_unique},
    {.onnx = "NonMaxSuppression", .read = read_non_max_suppression},
    {0},
};
