/* topk.c: the k largest or smallest elements along an axis, in order.
 *
 * The indices output holds a heap of the best k so far with the worst of them at its root: an
 * element that beats the root replaces it. At the end the roots are taken off one by one, last
 * place first. That is O(n log k) and needs no memory of its own. */
#include "graph/ops/block.h"

struct top_k_attrs {
    int64_t k, axis;
    bool smallest;
};

static const cj_option top_k_options[] = {
    CJ_OPTION_INT(struct top_k_attrs, k, 1, 0, 0x1p52, "how many"),
    CJ_OPTION_INT(struct top_k_attrs, axis, -1, -CJ_RANK_MAX, CJ_RANK_MAX - 1, "along which axis"),
    CJ_OPTION_BOOL(struct top_k_attrs, smallest, false, "the smallest in rising order instead"),
    CJ_OPTION_END};

static cj_status top_k_infer(cj_infer *infer)
{
    struct top_k_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    if (x->rank == 0) return cj_infer_fail(infer, CJ_ERR_SHAPE, "a scalar has no axis");
    CJ__TRY(cj_infer_axis(infer, &a->axis, x->rank));
    cj_dim size = x->dim[a->axis];
    if (size >= 0 && a->k > size)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "k=%lld is more than the size %lld of axis %d",
                             (long long)a->k, (long long)size, (int)a->axis);
    cj_dim_sub(infer->graph, size, a->k); /* not negative, when a symbol is bound */
    infer->out[0] = *x;
    infer->out[0].dim[a->axis] = a->k;
    infer->out[1] = infer->out[0];
    infer->out[1].dtype = CJ_I64;
    return infer->graph->failed;
}

/* One line of x and the indices chosen from it. */
typedef struct line {
    const cj_array *x;
    int64_t start, stride;
    int64_t *chosen;
    int64_t chosen_stride;
    bool smallest;
} line;

/* Does element a come before element b? NaN counts as the largest; of equals the first comes first.
 */
static bool before(const line *l, int64_t a, int64_t b)
{
    cj_dtype dtype = l->x->dtype;
    size_t at = (size_t)(l->start + a * l->stride), bt = (size_t)(l->start + b * l->stride);
    bool greater, less;
    if (cj__is_float(dtype)) {
        double x = cj_load_f64(dtype, l->x->data, at), y = cj_load_f64(dtype, l->x->data, bt);
        bool x_nan = x != x, y_nan = y != y;
        greater = x_nan ? !y_nan : x > y;
        less = y_nan ? !x_nan : x < y;
    } else {
        int64_t x = cj_load_i64(dtype, l->x->data, at), y = cj_load_i64(dtype, l->x->data, bt);
        greater = cj__beats_i64(x, y, true, dtype == CJ_U64);
        less = cj__beats_i64(y, x, true, dtype == CJ_U64);
    }
    if (greater || less) return l->smallest ? less : greater;
    return a < b;
}

static int64_t *slot(const line *l, int64_t i)
{
    return &l->chosen[i * l->chosen_stride];
}

/* Puts `element` into the heap of size n from slot i on down: parents come after their children. */
static void sift_down(const line *l, int64_t n, int64_t i, int64_t element)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(l, *slot(l, child), *slot(l, child + 1))) child++;
        if (!before(l, element, *slot(l, child))) break;
        *slot(l, i) = *slot(l, child);
    }
    *slot(l, i) = element;
}

static void choose(const line *l, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < k; i++) *slot(l, i) = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift_down(l, k, i, *slot(l, i));
    for (int64_t i = k; i < n; i++)
        if (before(l, i, *slot(l, 0))) sift_down(l, k, 0, i);
    for (int64_t left = k - 1; left > 0; left--) {
        int64_t worst = *slot(l, 0), last = *slot(l, left);
        sift_down(l, left, 0, last);
        *slot(l, left) = worst;
    }
}

static cj_status top_k_ref(const cj_kernel *kernel)
{
    const struct top_k_attrs *a = kernel->call->attributes;
    const cj_array *x = kernel->in[0], *values = kernel->out[0], *indices = kernel->out[1];
    cj__lines from = cj__lines_of(x, a->axis), to = cj__lines_of(indices, a->axis);
    for (int64_t i = 0; a->k && i < from.count; i++) {
        int64_t start = cj__line_start(&to, i);
        line l = {x,           cj__line_start(&from, i),
                  from.stride, (int64_t *)indices->data + start,
                  to.stride,   a->smallest};
        choose(&l, from.length, a->k);
        cj__block b = {1, {1}, {1}, {1}};
        for (int64_t j = 0; j < a->k; j++)
            cj__block_copy(&b, x->dtype, cj__element(values, start + j * to.stride),
                           cj__element(x, l.start + *slot(&l, j) * l.stride));
    }
    return CJ_OK;
}

/* Each value came from one place of x. */
static void top_k_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    int axis = (int)((const struct top_k_attrs *)call->attributes)->axis;
    if (cj__is_zero(dy[0])) return;
    dx[0] = cj_scatter_along(cj_full_like(call->in[0], 0), &call->out[1], dy[0], axis,
                             CJ_SCATTER_ADD);
}

static cj_node *top_k_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (i >= 46 || !cj_sample_shape(i % 23 + 1, &rank, dims)) return NULL;
    int axis = i % rank;
    int64_t k = i >= 23 || dims[axis] < 2 ? dims[axis] : 1 + i % (dims[axis] - 1);
    cj_node *x = i % 10 == 9 ? cj_sample_int(s, i % 20 == 9 ? CJ_I8 : CJ_U8, 0, 3, rank, dims)
                             : cj_sample_distinct(s, rank, dims);
    return cj_top_k(x, k, i % 2 ? axis : axis - rank, i / 2 % 2);
}

const cj_op cj_op_top_k = {
    .name = "top_k",
    .doc = "the k largest (or smallest) elements along an axis in order, and their indices",
    .inputs = 1,
    .outputs = 2,
    .attributes_size = sizeof(struct top_k_attrs),
    .attributes = top_k_options,
    .infer = top_k_infer,
    .grad = top_k_grad,
    .ref = top_k_ref,
    .sample = CJ__SAMPLE(top_k_sample),
};

cj_node *cj_top_k(cj_node *x, int64_t k, int axis, bool smallest)
{
    if (!x || cj__is_zero(x)) return NULL;
    return cj_apply(cj_node_graph(x), &cj_op_top_k, &x, 1,
                    &(struct top_k_attrs){k, axis, smallest});
}
