/* pool.c: what all poolings share: where windows and their places lie, shape rules, samples.
 *
 * Kernels ask in two directions. From a window: which element of x is place q? From an element of
 * x: which window has it as place q? Each has one answer or none:
 *
 *     x      a b c d e      kernel 3, stride 2, before 1      place 1 of window 1 is c
 *     y      0   1   2                                        c is place 1 of window 1 only
 *                                                             b is place 2 of 0 and place 0 of 1 */
#include "graph/ops/block.h"
#include "graph/ops/pool.h"

/* ---- Geometry -------------------------------------------------------------------------------- */

cj__pool cj__pool_of(const cj__pool_attrs *a, const cj_array *x, const cj_array *y)
{
    cj__sliding s = cj__pool_sliding(a);
    cj__pool p = {.images = x->dim[0],
                  .channels = x->dim[a->channel_axis],
                  .places = 1,
                  .channels_last = a->channel_axis != 1};
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        int own = i - (CJ__SPATIAL_MAX - (x->rank - 2));
        p.axis[i] = (cj__window){1, 1, 1, 1, 0, 0, 1};
        if (own < 0) continue;
        int axis = cj__spatial_axis(a->channel_axis, own);
        p.axis[i] = cj__window_of(&s, own, x->dim[axis], a->kernel.v[own]);
        CJ_ASSERT(p.axis[i].result == y->dim[axis]);
        p.places *= a->kernel.v[own];
    }
    cj__image_strides(x, a->channel_axis, &p.x_image, &p.x_channel, p.x_axis);
    cj__image_strides(y, a->channel_axis, &p.y_image, &p.y_channel, p.y_axis);
    return p;
}

cj__spot cj__pool_spot(const cj__pool *p, int64_t e, bool of_y)
{
    cj__spot s;
    int64_t channel = e % p->channels;
    e /= p->channels;
    for (int i = CJ__SPATIAL_MAX - 1; i >= 0; i--) {
        int64_t n = of_y ? p->axis[i].result : p->axis[i].n;
        s.at[i] = e % n;
        e /= n;
    }
    s.x = e * p->x_image + channel * p->x_channel;
    s.y = e * p->y_image + channel * p->y_channel;
    s.own = of_y ? s.y : s.x;
    for (int i = 0; i < CJ__SPATIAL_MAX; i++)
        s.own += s.at[i] * (of_y ? p->y_axis[i] : p->x_axis[i]);
    return s;
}

int64_t cj__pool_place(const cj__pool *p, const cj__spot *s, int64_t q)
{
    int64_t offset = s->x;
    for (int i = CJ__SPATIAL_MAX - 1; i >= 0; i--) {
        const cj__window *w = &p->axis[i];
        int64_t at = s->at[i] * w->stride - w->before + q % w->kernel * w->dilation;
        if (at < 0 || at >= w->n) return -1;
        q /= w->kernel;
        offset += at * p->x_axis[i];
    }
    return offset;
}

int64_t cj__pool_window(const cj__pool *p, const cj__spot *s, int64_t q, int64_t *window)
{
    int64_t offset = s->y;
    for (int i = CJ__SPATIAL_MAX - 1; i >= 0; i--) {
        const cj__window *w = &p->axis[i];
        int64_t begin = s->at[i] + w->before - q % w->kernel * w->dilation;
        if (begin < 0 || begin % w->stride || begin / w->stride >= w->result) return -1;
        q /= w->kernel;
        if (window) window[i] = begin / w->stride;
        offset += begin / w->stride * p->y_axis[i];
    }
    return offset;
}

/* ---- Shape rules ----------------------------------------------------------------------------- */

/* The first and the last window must hold an element. Those that begin in front of it reach it by
 * steps of the dilation. */
static cj_status check_covered(cj_infer *infer, const cj__sliding *s, int i, cj_dim n,
                               int64_t kernel)
{
    cj__window w = cj__window_of(s, i, n < 0 ? 0 : n, kernel);
    int64_t steps = (w.before + w.dilation - 1) / w.dilation;
    bool covered = steps < kernel;
    if (s->padding != CJ__PADDING_EXPLICIT || n == 0) return CJ_OK;
    if (n >= 0)
        covered = covered && steps * w.dilation - w.before < n &&
                  (w.result - 1) * w.stride - w.before < n;
    if (!covered)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                             "padding of %lld before and %lld after leaves a window of %lld places "
                             "along spatial axis %d without any element",
                             (long long)w.before, (long long)w.after, (long long)kernel, i);
    return CJ_OK;
}

cj_status cj__infer_pool(cj_infer *infer, const cj_type *x, cj_type *y, bool covered)
{
    cj__pool_attrs *a = infer->call->attributes;
    int spatial;
    int64_t places = 1;
    if (cj__is_bool(x->dtype)) return cj_infer_fail(infer, CJ_ERR_TYPE, "takes numbers, not bool");
    CJ__TRY(cj__infer_image_axes(infer, x, &a->channel_axis, &spatial));
    if (a->kernel.n != spatial)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "kernel has %d elements, expected %d",
                             a->kernel.n, spatial);
    cj__sliding s = cj__pool_sliding(a);
    CJ__TRY(cj__infer_sliding(infer, &s, spatial));
    cj_type in = *x;
    *y = in;
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        int64_t kernel = a->kernel.v[i];
        if (CJ__MUL_OVERFLOWS(places, kernel, &places) || places > INT32_MAX)
            return cj_infer_fail(infer, CJ_ERR_LIMIT, "a window of more than %d places", INT32_MAX);
        CJ__TRY(cj__infer_windows(infer, &s, i, in.dim[axis], kernel, &y->dim[axis]));
        if (covered) CJ__TRY(check_covered(infer, &s, i, in.dim[axis], kernel));
    }
    return infer->graph->failed;
}

cj_status cj__infer_unpool(cj_infer *infer, const cj_type *y, cj_type *x)
{
    cj__pool_attrs *a = infer->call->attributes;
    cj_type in = *y, windows;
    int spatial;
    CJ__TRY(cj__infer_image_axes(infer, y, &a->channel_axis, &spatial));
    CJ__TRY(cj__infer_dims(infer, a->dims, 0));
    if (a->dims.n != spatial)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "dims has %d elements, expected %d", a->dims.n,
                             spatial);
    for (int i = 0; i < spatial; i++)
        in.dim[cj__spatial_axis(a->channel_axis, i)] = a->dims.v[i];
    CJ__TRY(cj__infer_pool(infer, &in, &windows, false));
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        if (!cj_infer_equal(infer, windows.dim[axis], y->dim[axis]))
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "dims[%d]=%s has %s windows, and axis %d of the operand is %s", i,
                                 cj_dim_text(infer->graph, a->dims.v[i]),
                                 cj_dim_text(infer->graph, windows.dim[axis]), axis,
                                 cj_dim_text(infer->graph, y->dim[axis]));
    }
    *x = in;
    return infer->graph->failed;
}

cj_ints cj__spatial_dims(const cj_type *x, int64_t channel_axis, cj_dim room[CJ__SPATIAL_MAX])
{
    int spatial = x->rank - 2;
    for (int i = 0; i < spatial; i++) room[i] = x->dim[cj__spatial_axis(channel_axis, i)];
    return (cj_ints){spatial, room};
}

cj_node *cj__apply_pool(const cj_op *op, cj_node *x, cj_node *other, const cj__pool_attrs *a)
{
    if (!x) return NULL;
    if (cj__is_zero(x)) return x;
    cj_node *in[] = {x, other};
    return cj_apply(cj_node_graph(x), op, in, op->inputs, a);
}

/* `same` adds ((n - 1) / stride) stride + reach - n where that is more than 0. */
cj_dim cj__pool_before(cj_graph *g, const cj__sliding *s, int i, cj_dim n, int64_t kernel)
{
    bool same = s->padding == CJ__PADDING_SAME || s->padding == CJ__PADDING_SAME_LOWER;
    cj__window w = cj__window_of(s, i, n < 0 ? 0 : n, kernel);
    if (n >= 0 || !same) return w.before;
    cj_dim covered = cj_dim_mul(g, cj_dim_div(g, cj__dim_shift(g, n, -1), w.stride), w.stride);
    covered = cj__dim_shift(g, covered, (kernel - 1) * w.dilation + 1);
    cj_dim total = cj_dim_sub(g, cj_dim_max(g, covered, n), n);
    return cj_dim_div(g, s->padding == CJ__PADDING_SAME ? total : cj__dim_shift(g, total, 1), 2);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* Every rank, stride below, at and above the kernel, gaps, pads of both kinds and sides, windows
 * that ceil_mode adds and drops, both channel axes, size 1 and no images or channels at all. */
bool cj__pool_sample(int i, cj__pool_attrs *a, int *rank, int64_t x[CJ_RANK_MAX],
                     int64_t y[CJ_RANK_MAX])
{
    enum { E = CJ__PADDING_EXPLICIT, V = CJ__PADDING_VALID, S = CJ__PADDING_SAME,
           L = CJ__PADDING_SAME_LOWER };
    static const struct {
        int spatial;
        int64_t images, channels, n[3], kernel[3], stride[3], dilation[3], before[3], after[3];
        int padding;
        bool ceil, first;
    } cases[] = {
        {1, 1, 1, {1}, {1}, {1}, {1}, {0}, {0}, V, 0, 0},
        {1, 2, 3, {6}, {2}, {2}, {1}, {0}, {0}, V, 0, 0},
        {1, 1, 2, {7}, {3}, {2}, {1}, {1}, {1}, E, 0, 1},
        {1, 2, 1, {8}, {3}, {1}, {2}, {2}, {1}, E, 0, 0},
        {1, 1, 2, {5}, {2}, {3}, {1}, {0}, {0}, E, 1, 0},
        {1, 1, 2, {6}, {3}, {2}, {1}, {0}, {0}, E, 1, 1},
        {1, 1, 1, {6}, {1}, {2}, {1}, {0}, {1}, E, 1, 0},
        {1, 0, 2, {4}, {2}, {2}, {1}, {0}, {0}, V, 0, 0},
        {1, 2, 0, {4}, {2}, {2}, {1}, {0}, {0}, V, 0, 1},
        {2, 2, 3, {4, 4}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, V, 0, 0},
        {2, 1, 2, {4, 6}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, V, 0, 1},
        {2, 1, 2, {5, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, E, 0, 0},
        {2, 1, 2, {5, 6}, {3, 3}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, S, 0, 0},
        {2, 1, 2, {6, 5}, {3, 2}, {2, 3}, {1, 1}, {0, 0}, {0, 0}, L, 0, 1},
        {2, 1, 17, {4, 4}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, V, 0, 0},
        {2, 1, 2, {5, 4}, {2, 3}, {1, 2}, {2, 1}, {1, 0}, {0, 2}, E, 0, 0},
        {2, 1, 1, {5, 7}, {3, 2}, {3, 2}, {1, 1}, {0, 1}, {0, 0}, E, 1, 1},
        {2, 1, 1, {1, 6}, {1, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, S, 0, 0},
        {2, 1, 1, {17, 17}, {17, 17}, {17, 17}, {1, 1}, {0, 0}, {0, 0}, V, 0, 0},
        {2, 1, 1, {1, 1}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, E, 1, 0},
        {2, 2, 2, {3, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, E, 0, 1},
        {3, 1, 2, {4, 2, 4}, {2, 2, 2}, {2, 2, 2}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, V, 0, 0},
        {3, 1, 1, {3, 4, 3}, {2, 3, 2}, {1, 2, 1}, {1, 1, 2}, {1, 1, 0}, {0, 1, 1}, E, 0, 1},
        {3, 2, 1, {3, 3, 2}, {2, 2, 2}, {2, 2, 2}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, E, 1, 0},
        {2, 1, 33, {3, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, E, 0, 0},
        {2, 1, 9, {6, 6}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, V, 0, 0},
    };
    if (i < 0 || i >= (int)CJ__COUNT(cases)) return false;
    int n = cases[i].spatial;
    bool pads = cases[i].padding == E;
    *rank = n + 2;
    *a = (cj__pool_attrs){.kernel = {n, cases[i].kernel},
                          .strides = {i % 2 ? n : 0, cases[i].stride},
                          .dilations = {n, cases[i].dilation},
                          .pads_before = {pads ? n : 0, cases[i].before},
                          .pads_after = {pads ? n : 0, cases[i].after},
                          .padding = cases[i].padding,
                          .ceil_mode = cases[i].ceil,
                          .channel_axis = cases[i].first ? 1 : -1};
    for (int k = 0; k < n; k++)
        if (cases[i].stride[k] != cases[i].kernel[k]) a->strides.n = n;
    cj__sliding s = cj__pool_sliding(a);
    x[0] = y[0] = cases[i].images;
    x[cases[i].first ? 1 : n + 1] = y[cases[i].first ? 1 : n + 1] = cases[i].channels;
    for (int k = 0; k < n; k++) {
        int axis = cj__spatial_axis(cases[i].first ? 1 : n + 1, k);
        x[axis] = cases[i].n[k];
        y[axis] = cj__window_of(&s, k, x[axis], cases[i].kernel[k]).result;
    }
    return true;
}
