/* conv.c: convolution and its two transposes, one geometry and three rows.
 *
 * The sum  s(x, w, y) = sum over n, i, k, o, c of x[n, p(i, k), c] w[o, c, k] y[n, i, o]  with
 * p(i, k) = i stride - before + k dilation is linear in each of x, w and y. Each row is its
 * derivative with respect to one of them:
 *
 *     conv(x, w)              = ds/dy     [n, i..., out]
 *     conv_transpose(y, w)    = ds/dx     [n, p..., in]
 *     conv_weight_grad(x, y)  = ds/dw     [out, in / groups, k...]
 *
 * so the gradients of each are the other two, and nothing else is needed for any order. */
#include "graph/ops/conv.h"

#include "graph/ops/block.h"
#include "graph/ops/map.h"

#define GROUPS \
    CJ_OPTION_INT(cj__conv_attrs, groups, 1, 1, CJ__CONV_FAR, "independent parts of the channels")

static const cj_option conv_options[] = {
    CJ__CONV_OPTIONS,
    GROUPS,
    CJ_OPTION_BOOL(cj__conv_attrs, has_bias, false, "operand 2 is a bias [out]"),
    CJ_OPTION_BOOL(cj__conv_attrs, has_addend, false, "the last operand is added to the result"),
    CJ_OPTION_WORD(cj__conv_attrs, activation, 0, cj__epilogue_words, "function of the result"),
    CJ_OPTION_END};
static const cj_option transpose_options[] = {
    CJ__CONV_OPTIONS, GROUPS, CJ_OPTION_DIMS(cj__conv_attrs, dims, "spatial sizes of the result"),
    CJ_OPTION_END};
static const cj_option weight_options[] = {
    CJ__CONV_OPTIONS, GROUPS, CJ_OPTION_DIMS(cj__conv_attrs, dims, "sizes of the kernel"),
    CJ_OPTION_END};

/* ---- Shape rules ----------------------------------------------------------------------------- */

static cj_status check_images(cj_infer *infer, int *spatial)
{
    cj__conv_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *other = &infer->call->in[1]->type;
    cj__sliding s = cj__conv_sliding(a);
    CJ__TRY(cj__infer_image(infer, x, &a->channel_axis, spatial));
    if (other->dtype != x->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the operands' dtypes differ");
    if (other->rank != x->rank)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "operand 1 has rank %d, expected %d", other->rank,
                             x->rank);
    return cj__infer_sliding(infer, &s, *spatial);
}

/* Weights [out, in / groups, kernel...] whose kernel sizes are numbers. */
static cj_status check_weights(cj_infer *infer, const cj_type *w)
{
    cj_graph *g = infer->graph;
    int64_t groups = ((const cj__conv_attrs *)infer->call->attributes)->groups;
    for (int i = 2; i < w->rank; i++)
        if (w->dim[i] < 1 || w->dim[i] > CJ__CONV_FAR)
            return cj_infer_fail(infer, CJ_ERR_SHAPE,
                                 "the kernel has size %s along spatial axis %d",
                                 cj_dim_text(g, w->dim[i]), i - 2);
    if (groups > 1 && (w->dim[0] < 0 || w->dim[0] % groups))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s filters do not divide into %lld groups",
                             cj_dim_text(g, w->dim[0]), (long long)groups);
    return CJ_OK;
}

static cj_status check_addends(cj_infer *infer)
{
    const cj__conv_attrs *a = infer->call->attributes;
    cj_node *const *in = infer->call->in;
    int expected = 2 + a->has_bias + a->has_addend;
    const cj_type *y = &infer->out[0];
    if (infer->call->n_in != expected)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d operands, expected %d", infer->call->n_in,
                             expected);
    for (int i = 2; i < expected; i++)
        if (!cj__epilogue_takes(y->dtype, in[i]->type.dtype, i == 2 && a->has_bias))
            return cj_infer_fail(infer, CJ_ERR_TYPE, "the operands' dtypes differ");
    if (a->has_bias &&
        (in[2]->type.rank != 1 ||
         !cj_infer_equal(infer, in[2]->type.dim[0], y->dim[a->channel_axis])))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "the bias is not a vector of %s, one a filter",
                             cj_dim_text(infer->graph, y->dim[a->channel_axis]));
    if (!a->has_addend) return CJ_OK;
    const cj_type *addend = &in[expected - 1]->type;
    bool same = addend->rank == y->rank;
    for (int i = 0; same && i < y->rank; i++)
        same = cj_infer_equal(infer, addend->dim[i], y->dim[i]);
    return same ? CJ_OK
                : cj_infer_fail(infer, CJ_ERR_SHAPE, "the addend has not the result's shape");
}

static cj_status conv_infer(cj_infer *infer)
{
    const cj__conv_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *w = &infer->call->in[1]->type;
    cj_type *y = &infer->out[0];
    cj__sliding s = cj__conv_sliding(a);
    cj_graph *g = infer->graph;
    int spatial;
    CJ__TRY(check_images(infer, &spatial));
    CJ__TRY(check_weights(infer, w));
    if (!cj_infer_equal(infer, x->dim[a->channel_axis], cj_dim_mul(g, w->dim[1], a->groups)))
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the image has %s channels, and the weights want %s (%lld group%s of "
                             "%s)",
                             cj_dim_text(g, x->dim[a->channel_axis]),
                             cj_dim_text(g, cj_dim_mul(g, w->dim[1], a->groups)),
                             (long long)a->groups, a->groups == 1 ? "" : "s",
                             cj_dim_text(g, w->dim[1]));
    *y = *x;
    y->dim[a->channel_axis] = w->dim[0];
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        CJ__TRY(cj__infer_windows(infer, &s, i, x->dim[axis], w->dim[2 + i], &y->dim[axis]));
    }
    return check_addends(infer);
}

static cj_status transpose_infer(cj_infer *infer)
{
    const cj__conv_attrs *a = infer->call->attributes;
    const cj_type *y = &infer->call->in[0]->type, *w = &infer->call->in[1]->type;
    cj_type *x = &infer->out[0];
    cj__sliding s = cj__conv_sliding(a);
    cj_graph *g = infer->graph;
    int spatial;
    CJ__TRY(check_images(infer, &spatial));
    CJ__TRY(check_weights(infer, w));
    CJ__TRY(cj__infer_dims(infer, a->dims, 0));
    if (!cj_infer_equal(infer, y->dim[a->channel_axis], w->dim[0]))
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the image has %s channels, and the weights want %s",
                             cj_dim_text(g, y->dim[a->channel_axis]), cj_dim_text(g, w->dim[0]));
    if (a->dims.n && a->dims.n != spatial)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "dims has %d elements, expected %d", a->dims.n,
                             spatial);
    *x = *y;
    x->dim[a->channel_axis] = cj_dim_mul(g, w->dim[1], a->groups);
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        if (!a->dims.n) {
            CJ__TRY(cj__infer_unslid(infer, &s, i, y->dim[axis], w->dim[2 + i], &x->dim[axis]));
        } else {
            x->dim[axis] = a->dims.v[i];
            CJ__TRY(
                cj__infer_window_count(infer, &s, i, x->dim[axis], w->dim[2 + i], y->dim[axis]));
        }
    }
    return CJ_OK;
}

static cj_status weight_infer(cj_infer *infer)
{
    const cj__conv_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *y = &infer->call->in[1]->type;
    cj_type *w = &infer->out[0];
    cj__sliding s = cj__conv_sliding(a);
    int spatial;
    CJ__TRY(check_images(infer, &spatial));
    CJ__TRY(cj__infer_dims(infer, a->dims, 0));
    if (a->dims.n != spatial)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "dims has %d elements, expected %d", a->dims.n,
                             spatial);
    cj_dim in = x->dim[a->channel_axis];
    if (a->groups > 1 && (in < 0 || in % a->groups))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s channels do not divide into %lld groups",
                             cj_dim_text(infer->graph, in), (long long)a->groups);
    *w = (cj_type){.dtype = x->dtype, .rank = x->rank};
    w->dim[0] = y->dim[a->channel_axis];
    w->dim[1] = a->groups > 1 ? in / a->groups : in;
    for (int i = 0; i < spatial; i++) w->dim[2 + i] = a->dims.v[i];
    CJ__TRY(check_weights(infer, w));
    if (!cj_infer_equal(infer, x->dim[0], y->dim[0]))
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "batches of %s and %s images",
                             cj_dim_text(infer->graph, x->dim[0]),
                             cj_dim_text(infer->graph, y->dim[0]));
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        CJ__TRY(cj__infer_window_count(infer, &s, i, x->dim[axis], w->dim[2 + i], y->dim[axis]));
    }
    return CJ_OK;
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* The row applied with the geometry of `a`. */
static cj_node *apply(const cj_op *op, const cj__conv_attrs *a, cj_node *first, cj_node *second,
                      cj_ints dims)
{
    if (!first || !second) return NULL;
    if (cj__is_zero(first) || cj__is_zero(second)) return cj_zero;
    cj__conv_attrs own = *a;
    own.dims = dims;
    own.has_bias = own.has_addend = false;
    own.activation = CJ__EPILOGUE_NONE;
    return cj_apply(cj_node_graph(first), op, (cj_node *[]){first, second}, 2, &own);
}

static cj_node *conv_of(const cj__conv_attrs *a, cj_node *x, cj_node *w)
{
    return apply(&cj_op_conv, a, x, w, (cj_ints){0, NULL});
}

/* The transposes need what the operands do not tell: the sizes of x, of w. */
static cj_node *transpose_of(const cj__conv_attrs *a, cj_node *y, cj_node *w, const cj_type *x)
{
    cj_dim dims[CJ__SPATIAL_MAX] = {0};
    for (int i = 0; i < x->rank - 2; i++) dims[i] = x->dim[cj__spatial_axis(a->channel_axis, i)];
    return apply(&cj_op_conv_transpose, a, y, w, (cj_ints){x->rank - 2, dims});
}

static cj_node *weight_of(const cj__conv_attrs *a, cj_node *x, cj_node *y, const cj_type *w)
{
    return apply(&cj_op_conv_weight_grad, a, x, y, (cj_ints){w->rank - 2, &w->dim[2]});
}

/* The sum over all axes but the channels. */
static cj_node *bias_grad(cj_node *dy, int64_t channel_axis)
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    for (int i = 0; i < dy->type.rank; i++)
        if (i != channel_axis) axes[n++] = i;
    return cj_reduce_sum(dy, n, axes, false);
}

static void conv_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    (void)g;
    const cj__conv_attrs *a = call->attributes;
    cj_node *dy = cj__epilogue_grad(a->activation, &call->out[0], dys[0]);
    if (!dy) return;
    dx[0] = transpose_of(a, dy, call->in[1], &call->in[0]->type);
    dx[1] = weight_of(a, call->in[0], dy, &call->in[1]->type);
    if (a->has_bias) dx[2] = cj_cast(bias_grad(dy, a->channel_axis), call->in[2]->type.dtype);
    if (a->has_addend) dx[2 + a->has_bias] = dy;
}

static void transpose_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    (void)g;
    const cj__conv_attrs *a = call->attributes;
    dx[0] = conv_of(a, dys[0], call->in[1]);
    dx[1] = weight_of(a, dys[0], call->in[0], &call->in[1]->type);
}

static void weight_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    (void)g;
    const cj__conv_attrs *a = call->attributes;
    dx[0] = transpose_of(a, call->in[1], dys[0], &call->in[0]->type);
    dx[1] = conv_of(a, call->in[0], dys[0]);
}

/* ---- Reference kernels ----------------------------------------------------------------------- */

/* Sums of products over channels, in double. */
static int64_t place(const cj__conv_shape *c, const int64_t k[3])
{
    return (k[0] * c->axis[1].kernel + k[1]) * c->axis[2].kernel + k[2];
}

/* The next position of an odometer of three axes; false past the last. */
static bool next(int64_t at[3], const int64_t size[3])
{
    for (int i = 2; i >= 0; i--) {
        if (++at[i] < size[i]) return true;
        at[i] = 0;
    }
    return false;
}

/* y at window i of filter o. */
static double window_sum(const cj__conv_shape *c, const cj__conv_arrays *t, int64_t n,
                         const int64_t i[3], int64_t o)
{
    int64_t in = c->in / c->groups, first = o / (c->out / c->groups) * in, k[3] = {0};
    int64_t kernel[3] = {c->axis[0].kernel, c->axis[1].kernel, c->axis[2].kernel};
    double sum = 0;
    do {
        int64_t x = n * c->x_batch + first * c->x_channel;
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            const cj__window *w = &c->axis[a];
            int64_t p = i[a] * w->stride - w->before + k[a] * w->dilation;
            inside = inside && p >= 0 && p < w->n;
            x += p * c->x_axis[a];
        }
        if (inside)
            sum += cj__dot(t->x, x, c->x_channel, t->w, o * in * c->places + place(c, k), c->places,
                           in);
    } while (next(k, kernel));
    return sum;
}

/* x at place p of channel ch. */
static double source_sum(const cj__conv_shape *c, const cj__conv_arrays *t, int64_t n,
                         const int64_t p[3], int64_t ch)
{
    int64_t in = c->in / c->groups, out = c->out / c->groups, group = ch / in, k[3] = {0};
    int64_t kernel[3] = {c->axis[0].kernel, c->axis[1].kernel, c->axis[2].kernel};
    double sum = 0;
    do {
        int64_t y = n * c->y_batch + group * out * c->y_channel;
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            const cj__window *w = &c->axis[a];
            int64_t from = p[a] + w->before - k[a] * w->dilation, i = from / w->stride;
            inside = inside && from >= 0 && from % w->stride == 0 && i < w->result;
            y += i * c->y_axis[a];
        }
        if (inside)
            sum += cj__dot(t->y, y, c->y_channel, t->w,
                           (group * out * in + ch % in) * c->places + place(c, k), in * c->places,
                           out);
    } while (next(k, kernel));
    return sum;
}

/* w of filter o, channel ch of its group, place k: rows along the last axis are dot products. */
static double weight_sum(const cj__conv_shape *c, const cj__conv_arrays *t, int64_t o, int64_t ch,
                         const int64_t k[3])
{
    int64_t low[3], high[3];
    int64_t x = (o / (c->out / c->groups) * (c->in / c->groups) + ch) * c->x_channel;
    double sum = 0;
    for (int a = 0; a < 3; a++) {
        cj__window_range(&c->axis[a], k[a], &low[a], &high[a]);
        x += (k[a] * c->axis[a].dilation - c->axis[a].before) * c->x_axis[a];
    }
    int64_t x_step[3];
    for (int a = 0; a < 3; a++) x_step[a] = c->axis[a].stride * c->x_axis[a];
    for (int64_t n = 0; n < c->batch; n++)
        for (int64_t i = low[0]; i < high[0]; i++)
            for (int64_t j = low[1]; j < high[1]; j++)
                sum += cj__dot(t->x,
                               x + n * c->x_batch + i * x_step[0] + j * x_step[1] +
                                   low[2] * x_step[2],
                               x_step[2], t->y,
                               n * c->y_batch + o * c->y_channel + i * c->y_axis[0] +
                                   j * c->y_axis[1] + low[2] * c->y_axis[2],
                               c->y_axis[2], high[2] - low[2]);
    return sum;
}

static cj_status conv_ref(const cj_kernel *k)
{
    const cj__conv_attrs *a = k->call->attributes;
    cj__conv_arrays t = cj__conv_arrays_of(k);
    cj__conv_shape c = cj__conv_shape_of(a, t.x, t.w, t.y);
    int64_t result[3] = {c.axis[0].result, c.axis[1].result, c.axis[2].result}, i[3] = {0};
    if (!t.y->count) return CJ_OK;
    for (int64_t n = 0; n < c.batch; n++) {
        do {
            int64_t y = n * c.y_batch;
            for (int axis = 0; axis < 3; axis++) y += i[axis] * c.y_axis[axis];
            for (int64_t o = 0; o < c.out; o++) {
                size_t e = (size_t)(y + o * c.y_channel);
                double sum = window_sum(&c, &t, n, i, o);
                if (t.bias) sum += cj_load_f64(t.bias->dtype, t.bias->data, (size_t)o);
                if (t.addend) sum += cj_load_f64(t.addend->dtype, t.addend->data, e);
                cj_store_f64(t.y->dtype, t.y->data, e, cj__epilogue_apply(a->activation, sum));
            }
        } while (next(i, result));
    }
    return CJ_OK;
}

static cj_status transpose_ref(const cj_kernel *k)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    cj__conv_shape c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    int64_t size[3] = {c.axis[0].n, c.axis[1].n, c.axis[2].n}, p[3] = {0};
    if (!t.x->count) return CJ_OK;
    for (int64_t n = 0; n < c.batch; n++) {
        do {
            int64_t x = n * c.x_batch;
            for (int axis = 0; axis < 3; axis++) x += p[axis] * c.x_axis[axis];
            for (int64_t ch = 0; ch < c.in; ch++)
                cj_store_f64(t.x->dtype, t.x->data, (size_t)(x + ch * c.x_channel),
                             source_sum(&c, &t, n, p, ch));
        } while (next(p, size));
    }
    return CJ_OK;
}

static cj_status weight_ref(const cj_kernel *k)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    cj__conv_shape c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    int64_t kernel[3] = {c.axis[0].kernel, c.axis[1].kernel, c.axis[2].kernel}, i[3] = {0};
    size_t e = 0;
    if (!t.w->count) return CJ_OK;
    for (int64_t o = 0; o < c.out; o++)
        for (int64_t ch = 0; ch < c.in / c.groups; ch++)
            do {
                cj_store_f64(t.w->dtype, t.w->data, e++, weight_sum(&c, &t, o, ch, i));
            } while (next(i, kernel));
    return CJ_OK;
}

/* A product for each result, channel of its group and place; padding counts as if it were there. */
static double multiply_adds(const cj_kernel *k)
{
    cj__conv_arrays t = cj__conv_arrays_of(k);
    int64_t out = t.w->dim[0];
    return out ? (double)t.y->count * (double)(t.w->count / out) : 0;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

const cj_op cj_op_conv = {
    .name = "conv",
    .doc = "y[n, i, o] = sum over c, k of x[n, i stride - before + k dilation, c] w[o, c, k]; then "
           "activation(y + bias + addend), where there are such operands",
    .inputs = -1,
    .inputs_min = 2,
    .flags = CJ_OP_NOFAIL | CJ_OP_NARROW,
    .attributes_size = sizeof(cj__conv_attrs),
    .attributes = conv_options,
    .infer = conv_infer,
    .grad = conv_grad,
    .ref = conv_ref,
    .multiply_adds = multiply_adds,
    .sample = CJ__SAMPLE(cj__conv_sample),
};

const cj_op cj_op_conv_transpose = {
    .name = "conv_transpose",
    .doc =
        "x[n, i stride - before + k dilation, c] += y[n, i, o] w[o, c, k]: the transpose of conv",
    .inputs = 2,
    .flags = CJ_OP_NOFAIL | CJ_OP_NARROW,
    .attributes_size = sizeof(cj__conv_attrs),
    .attributes = transpose_options,
    .infer = transpose_infer,
    .grad = transpose_grad,
    .ref = transpose_ref,
    .multiply_adds = multiply_adds,
    .sample = CJ__SAMPLE(cj__conv_transpose_sample),
};

const cj_op cj_op_conv_weight_grad = {
    .name = "conv_weight_grad",
    .doc = "w[o, c, k] = sum over n, i of x[n, i stride - before + k dilation, c] y[n, i, o]",
    .inputs = 2,
    .flags = CJ_OP_NOFAIL | CJ_OP_NARROW,
    .attributes_size = sizeof(cj__conv_attrs),
    .attributes = weight_options,
    .infer = weight_infer,
    .grad = weight_grad,
    .ref = weight_ref,
    .multiply_adds = multiply_adds,
    .sample = CJ__SAMPLE(cj__conv_weight_grad_sample),
};
