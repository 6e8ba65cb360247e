/* window.c: how many windows fit, and where they lie.
 *
 *     n = 5, kernel 3, dilation 1, stride 2, before = after = 1        . a b c d e .
 *                                                           window 0   [_____]
 *                                                           window 1       [_____]
 *                                                           window 2           [_____]
 *
 * Shape rules ask with sizes that may be symbols, kernels with numbers; both read the same lists.
 */
#include "graph/ops/window.h"

#include "graph/ops/block.h"

const char *const cj__padding_words[] = {"explicit", "valid", "same", "same_lower", NULL};

cj__sliding cj__conv_sliding(const cj__conv_attrs *a)
{
    return (cj__sliding){.strides = a->strides,
                         .dilations = a->dilations,
                         .pads_before = a->pads_before,
                         .pads_after = a->pads_after,
                         .padding = a->padding};
}

cj__sliding cj__pool_sliding(const cj__pool_attrs *a)
{
    return (cj__sliding){.strides = a->strides.n ? a->strides : a->kernel,
                         .dilations = a->dilations,
                         .pads_before = a->pads_before,
                         .pads_after = a->pads_after,
                         .padding = a->padding,
                         .ceil_mode = a->ceil_mode};
}

/* Number i of a list that may be missing. */
static int64_t at(cj_ints list, int i, int64_t missing)
{
    return list.n ? list.v[i] : missing;
}

static bool is_same(const cj__sliding *s)
{
    return s->padding == CJ__PADDING_SAME || s->padding == CJ__PADDING_SAME_LOWER;
}

/* ---- Shape rules ----------------------------------------------------------------------------- */

cj_status cj__infer_image(cj_infer *infer, const cj_type *x, int64_t *channel_axis, int *spatial)
{
    if (cj_dtype_info(x->dtype)->kind != CJ_KIND_FLOAT)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes floats, not %s",
                             cj_dtype_info(x->dtype)->name);
    return cj__infer_image_axes(infer, x, channel_axis, spatial);
}

cj_status cj__infer_image_axes(cj_infer *infer, const cj_type *x, int64_t *channel_axis,
                               int *spatial)
{
    if (x->rank < 3 || x->rank > 2 + CJ__SPATIAL_MAX)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "an image of rank %d; [batch, spatial..., channels] with 1 to %d "
                             "spatial axes is expected",
                             x->rank, CJ__SPATIAL_MAX);
    if (*channel_axis != -1 && *channel_axis != 1 && *channel_axis != x->rank - 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                             "channel_axis is %lld; for rank %d it is 1 or %d (-1)",
                             (long long)*channel_axis, x->rank, x->rank - 1);
    if (*channel_axis == -1) *channel_axis = x->rank - 1;
    *spatial = x->rank - 2;
    return CJ_OK;
}

cj_status cj__infer_sliding(cj_infer *infer, const cj__sliding *s, int spatial)
{
    const struct {
        const char *name;
        cj_ints list;
    } lists[] = {{"strides", s->strides},
                 {"dilations", s->dilations},
                 {"pads_before", s->pads_before},
                 {"pads_after", s->pads_after}};
    for (size_t i = 0; i < CJ__COUNT(lists); i++) {
        if (lists[i].list.n && lists[i].list.n != spatial)
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                                 "%s has %d elements, expected %d, one for each spatial axis",
                                 lists[i].name, lists[i].list.n, spatial);
        if (i >= 2 && s->padding != CJ__PADDING_EXPLICIT && lists[i].list.n)
            return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%s is given, and padding=%s",
                                 lists[i].name, cj__padding_words[s->padding]);
    }
    return CJ_OK;
}

static int64_t reach_of(const cj__sliding *s, int i, int64_t kernel)
{
    return (kernel - 1) * at(s->dilations, i, 1) + 1;
}

/* Sizes that only a symbol can tell are written down as expressions: one of them being negative is
 * an error when the symbols are bound. */
cj_status cj__infer_windows(cj_infer *infer, const cj__sliding *s, int i, cj_dim n, int64_t kernel,
                            cj_dim *result)
{
    cj_graph *g = infer->graph;
    int64_t stride = at(s->strides, i, 1), reach = reach_of(s, i, kernel);
    int64_t before = at(s->pads_before, i, 0), pads = before + at(s->pads_after, i, 0);
    if (is_same(s)) {
        *result = cj_dim_div(g, cj__dim_shift(g, n, stride - 1), stride);
        return g->failed;
    }
    int64_t up = s->ceil_mode ? stride - 1 : 0;
    if (n >= 0 && (n > INT64_MAX / 2 || n + pads + up < reach))
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "spatial axis %d has %lld elements (%lld with padding), and a window "
                             "reaches over %lld",
                             i, (long long)n, (long long)(n > INT64_MAX / 2 ? n : n + pads),
                             (long long)reach);
    *result = cj__dim_shift(
        g, cj_dim_div(g, cj__dim_shift(g, n, pads - reach + up), stride), 1);
    if (s->ceil_mode) /* none begins in the padding after */
        *result = cj_dim_min(
            g, *result,
            cj__dim_shift(g, cj_dim_div(g, cj__dim_shift(g, n, before - 1), stride), 1));
    return g->failed;
}

cj_status cj__infer_window_count(cj_infer *infer, const cj__sliding *s, int i, cj_dim n,
                                 int64_t kernel, cj_dim windows)
{
    cj_dim fit = 0;
    CJ__TRY(cj__infer_windows(infer, s, i, n, kernel, &fit));
    if (cj_infer_equal(infer, fit, windows)) return CJ_OK;
    cj_graph *g = infer->graph;
    return cj_infer_fail(infer, CJ_ERR_SHAPE,
                         "spatial axis %d: %s elements have %s windows, and there are %s results",
                         i, cj_dim_text(g, n), cj_dim_text(g, fit), cj_dim_text(g, windows));
}

cj_status cj__infer_unslid(cj_infer *infer, const cj__sliding *s, int i, cj_dim result,
                           int64_t kernel, cj_dim *n)
{
    cj_graph *g = infer->graph;
    int64_t stride = at(s->strides, i, 1), reach = reach_of(s, i, kernel);
    int64_t pads = at(s->pads_before, i, 0) + at(s->pads_after, i, 0);
    *n = cj_dim_mul(g, result, stride);
    if (is_same(s)) return g->failed;
    int64_t whole = 0;
    if (*n >= 0 && result && CJ__ADD_OVERFLOWS(*n - stride, reach, &whole))
        return cj_infer_fail(infer, CJ_ERR_LIMIT, "spatial axis %d of %lld elements", i,
                             (long long)result);
    if (*n >= 0 && (result == 0 || whole < pads))
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "spatial axis %d has %lld elements, and nothing is left of their "
                             "%lld after padding of %lld is taken off",
                             i, (long long)result, (long long)whole, (long long)pads);
    *n = cj__dim_shift(g, *n, reach - stride - pads);
    return g->failed;
}

/* ---- Concrete sizes -------------------------------------------------------------------------- */

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

cj__window cj__window_of(const cj__sliding *s, int i, int64_t n, int64_t kernel)
{
    cj__window w = {.n = n,
                    .kernel = kernel,
                    .stride = at(s->strides, i, 1),
                    .dilation = at(s->dilations, i, 1),
                    .before = at(s->pads_before, i, 0),
                    .after = at(s->pads_after, i, 0)};
    int64_t reach = reach_of(s, i, kernel);
    if (is_same(s)) {
        w.result = (n + w.stride - 1) / w.stride;
        int64_t total = max64((w.result - 1) * w.stride + reach - n, 0);
        w.before = s->padding == CJ__PADDING_SAME ? total / 2 : total - total / 2;
        w.after = total - w.before;
        return w;
    }
    int64_t steps = n + w.before + w.after - reach + (s->ceil_mode ? w.stride - 1 : 0);
    if (steps < 0) return w;
    w.result = steps / w.stride + 1;
    if (s->ceil_mode) w.result = min64(w.result, (n + w.before - 1) / w.stride + 1);
    return w;
}

void cj__window_range(const cj__window *w, int64_t k, int64_t *low, int64_t *high)
{
    int64_t offset = w->before - k * w->dilation; /* element i stride - offset is in 0 .. n-1 */
    *low = offset > 0 ? (offset + w->stride - 1) / w->stride : 0;
    *high = w->n + offset > 0 ? min64((w->n + offset - 1) / w->stride + 1, w->result) : 0;
    *low = min64(*low, *high);
}

void cj__image_strides(const cj_array *image, int64_t channel_axis, int64_t *batch,
                       int64_t *channel, int64_t axis[CJ__SPATIAL_MAX])
{
    int64_t stride[CJ_RANK_MAX];
    int spatial = image->rank - 2;
    cj__strides(image, stride);
    *batch = stride[0];
    *channel = stride[channel_axis];
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        int own = i - (CJ__SPATIAL_MAX - spatial);
        axis[i] = own < 0 ? 0 : stride[cj__spatial_axis(channel_axis, own)];
    }
}

cj__conv_shape cj__conv_shape_of(const cj__conv_attrs *a, const cj_array *x, const cj_array *w,
                                 const cj_array *y)
{
    cj__sliding s = cj__conv_sliding(a);
    cj__conv_shape c = {.batch = x->dim[0],
                        .in = x->dim[a->channel_axis],
                        .out = y->dim[a->channel_axis],
                        .groups = a->groups,
                        .places = 1,
                        .channels_last = a->channel_axis != 1};
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        int own = i - (CJ__SPATIAL_MAX - (x->rank - 2));
        c.axis[i] = (cj__window){1, 1, 1, 1, 0, 0, 1};
        if (own < 0) continue;
        int axis = cj__spatial_axis(a->channel_axis, own);
        c.axis[i] = cj__window_of(&s, own, x->dim[axis], w->dim[2 + own]);
        c.axis[i].result = y->dim[axis];
        c.places *= w->dim[2 + own];
    }
    cj__image_strides(x, a->channel_axis, &c.x_batch, &c.x_channel, c.x_axis);
    cj__image_strides(y, a->channel_axis, &c.y_batch, &c.y_channel, c.y_axis);
    return c;
}

cj__conv_arrays cj__conv_arrays_of(const cj_kernel *k)
{
    const cj__conv_attrs *a = k->call->attributes;
    if (k->call->op == &cj_op_conv_transpose)
        return (cj__conv_arrays){.x = k->out[0], .w = k->in[1], .y = k->in[0]};
    if (k->call->op == &cj_op_conv_weight_grad)
        return (cj__conv_arrays){.x = k->in[0], .w = k->out[0], .y = k->in[1]};
    return (cj__conv_arrays){.x = k->in[0],
                             .w = k->in[1],
                             .y = k->out[0],
                             .bias = a->has_bias ? k->in[2] : NULL,
                             .addend = a->has_addend ? k->in[2 + a->has_bias] : NULL};
}
