/* fft.c: the discrete Fourier transform along an axis, forward and back, of real and complex
 * numbers.
 *
 *     forward             X_k = sum over t of x_t w^(k t)           w = e^(-2 pi i / n)
 *     inverse             x_t = 1/n sum over k of X_k w^(-k t)
 *     onesided            k up to n/2 alone, as much as a real signal's spectrum has
 *     inverse, onesided   x_t = 1/n sum over k of c_k Re(X_k w^(-k t))
 *                         c_k = 1 for k = 0 and n/2, else 2
 *
 * Each is linear in the parts of its operand, so its gradient is its transpose. That of w^(k t) is
 * w^(-k t): the gradient of a transform is the other one, times or divided by n.
 *
 * The reference sums as it is written, in double. The CPU backend has a fast one for f32. */
#include "graph/ops/fft.h"

#include <math.h>

#include "graph/ops/block.h"

#include <cajal/signal.h>

static const cj_option fft_options[] = {
    CJ_OPTION_INT(cj__fft_attrs, axis, -2, -CJ_RANK_MAX, CJ_RANK_MAX - 1, "of the signal"),
    CJ_OPTION_DIMS(cj__fft_attrs, length, "numbers transformed; none: as the axis has them"),
    CJ_OPTION_BOOL(cj__fft_attrs, inverse, false, "from the spectrum to the signal"),
    CJ_OPTION_BOOL(cj__fft_attrs, onesided, false, "the spectrum's first half + 1 alone"),
    CJ_OPTION_END};

/* n/2 + 1 */
static cj_dim half(cj_graph *g, cj_dim n) { return cj_dim_add(g, cj_dim_div(g, n, 2), 1); }

static cj_status fft_infer(cj_infer *infer)
{
    cj__fft_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_type *y = &infer->out[0];
    cj_graph *g = infer->graph;
    CJ__TRY(cj__infer_floats(infer));
    if (x->rank < 2 || (x->dim[x->rank - 1] != 1 && x->dim[x->rank - 1] != 2))
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the last axis is 1 (real) or 2 (real and imaginary part), behind the "
                             "signal's");
    CJ__TRY(cj_infer_axis(infer, &a->axis, x->rank));
    if (a->axis == x->rank - 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                             "axis %d holds the parts of a number, no signal", x->rank - 1);
    if (a->length.n > 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d lengths, at most one is expected",
                             a->length.n);
    CJ__TRY(cj__infer_dims(infer, a->length, 0));
    cj_dim n = x->dim[a->axis];
    if (a->length.n) n = a->length.v[0];
    else if (a->inverse && a->onesided) n = cj_dim_mul(g, 2, cj_dim_sub(g, n, 1));
    if (n == 0 || n == CJ_INFER)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "a transform of no numbers");
    a->length = (cj_ints){1, cj__keep_ints(g, &n, 1)};
    if (!a->length.v) return CJ_ERR_MEMORY;
    *y = *x;
    y->dim[a->axis] = a->onesided && !a->inverse ? half(g, n) : n;
    y->dim[x->rank - 1] = a->onesided && a->inverse ? 1 : 2;
    return g->failed;
}

cj__fft_shape cj__fft_shape_of(const cj_kernel *k)
{
    const cj__fft_attrs *a = k->call->attributes;
    const cj_array *x = k->in[0], *y = k->out[0];
    cj__fft_shape s = {.n = cj_kernel_dim(k, a->length.v[0]),
                       .in_line = x->dim[a->axis],
                       .out_line = y->dim[a->axis],
                       .stride = 1,
                       .in_parts = (int)x->dim[x->rank - 1],
                       .out_parts = (int)y->dim[y->rank - 1]};
    int64_t most = a->inverse && a->onesided ? s.n / 2 + 1 : s.n;
    s.in = s.in_line < most ? s.in_line : most;
    s.out = s.out_line;
    for (int i = (int)a->axis + 1; i < x->rank - 1; i++) s.stride *= x->dim[i];
    s.lines = s.stride;
    for (int i = 0; i < (int)a->axis; i++) s.lines *= x->dim[i];
    return s;
}

static cj_status fft_ref(const cj_kernel *k)
{
    const cj__fft_attrs *a = k->call->attributes;
    const cj_array *x = k->in[0], *y = k->out[0];
    const cj__fft_shape s = cj__fft_shape_of(k);
    const bool to_real = a->inverse && a->onesided;
    const double turn = (a->inverse ? 2 : -2) * acos(-1) / (double)s.n,
                 factor = a->inverse ? 1 / (double)s.n : 1;
    for (int64_t i = 0; i < s.lines; i++) {
        for (int64_t j = 0; j < s.out; j++) {
            double re = 0, im = 0;
            for (int64_t t = 0; t < s.in; t++) {
                size_t at = (size_t)(cj__fft_at(&s, i, t, s.in_line) * s.in_parts);
                double c = cos(turn * (double)(j * t % s.n)), d = sin(turn * (double)(j * t % s.n));
                double u = cj_load_f64(x->dtype, x->data, at),
                       v = s.in_parts == 2 ? cj_load_f64(x->dtype, x->data, at + 1) : 0;
                double weight = to_real && t > 0 && 2 * t != s.n ? 2 : 1;
                if (to_real && weight == 1) v = 0;
                re += weight * (u * c - v * d);
                im += weight * (u * d + v * c);
            }
            size_t at = (size_t)(cj__fft_at(&s, i, j, s.out_line) * s.out_parts);
            cj_store_f64(y->dtype, y->data, at, factor * re);
            if (s.out_parts == 2) cj_store_f64(y->dtype, y->data, at + 1, factor * im);
        }
    }
    return CJ_OK;
}

/* x cut, or with zeros behind, to `size` along the axis; which of the two, symbols do not tell. */
static cj_node *resize(cj_node *x, int64_t axis, cj_dim size)
{
    if (!x || cj__is_zero(x) || x->type.dim[axis] == size) return x;
    int64_t zero[CJ_RANK_MAX] = {0};
    cj_dim dims[CJ_RANK_MAX], most = cj_dim_max(cj_node_graph(x), x->type.dim[axis], size);
    for (int i = 0; i < x->type.rank; i++) dims[i] = x->type.dim[i];
    dims[axis] = most;
    if (most != x->type.dim[axis]) x = cj__pad_to(x, zero, zero, dims);
    return most == size ? x : cj_slice_axis(x, (int)axis, 0, size);
}

static cj_node *apply(cj_node *x, int64_t axis, cj_dim n, bool inverse, bool onesided)
{
    if (!x || cj__is_zero(x)) return x;
    cj__fft_attrs a = {axis, {1, &n}, inverse, onesided};
    return cj_apply(cj_node_graph(x), &cj_op_fft, &x, 1, &a);
}

/* x times n, or divided by it. */
static cj_node *times_n(cj_graph *g, cj_node *x, cj_dim n, bool divide)
{
    if (!x) return NULL;
    cj_node *by = cj_cast(cj_dim_value(g, n), x->type.dtype);
    return divide ? cj_div(x, by) : cj_mul(x, by);
}

/* c of the inverse, onesided transform, along the axis of x. */
static cj_node *shares(cj_graph *g, cj_node *x, int64_t axis, cj_dim n)
{
    if (!x) return NULL;
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < x->type.rank; i++) dims[i] = i == axis ? x->type.dim[i] : 1;
    cj_node *k = cj_iota(g, CJ_I64, (int)axis, x->type.rank, dims);
    cj_node *end = cj_logical_or(cj_equal(k, cj_scalar(g, CJ_I64, 0)),
                                 cj_equal(cj_add(k, k), cj_dim_value(g, n)));
    return cj_where(end, cj_scalar(g, x->type.dtype, 1), cj_scalar(g, x->type.dtype, 2));
}

static void fft_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    const cj__fft_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type;
    int64_t axis = a->axis;
    cj_dim n = a->length.v[0];
    cj_node *dy = dys[0];
    if (cj__is_zero(dy)) return;
    if (!a->inverse) {
        if (a->onesided) dy = resize(dy, axis, n);
        dy = times_n(g, apply(dy, axis, n, true, false), n, false);
    } else {
        dy = times_n(g, apply(dy, axis, n, false, a->onesided), n, true);
        if (a->onesided) dy = cj_mul(dy, shares(g, dy, axis, n));
    }
    if (dy && x->dim[x->rank - 1] == 1) dy = cj_slice_axis(dy, x->rank - 1, 0, 1);
    dx[0] = resize(dy, axis, x->dim[axis]);
}

/* n log2 n butterflies, about two products of complex numbers each. */
static double fft_multiply_adds(const cj_kernel *k)
{
    const cj__fft_shape s = cj__fft_shape_of(k);
    return s.n > 0 ? 2 * (double)s.lines * (double)s.n * log2((double)s.n) : 0;
}

static cj_node *fft_sample(cj_sampler *s, int i)
{
    static const int64_t lengths[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 17, 30};
    enum { LENGTHS = CJ__COUNT(lengths) };
    if (i >= 5 * LENGTHS) return NULL;
    int64_t n = lengths[i % LENGTHS];
    int kind = i / LENGTHS; /* complex; real; real onesided; inverse; inverse onesided */
    int64_t bins = kind == 4 ? n / 2 + 1 : n, parts = kind == 1 || kind == 2 ? 1 : 2;
    int64_t dims[4] = {2, bins, i % 3 + 1, parts};
    cj_dim length = n;
    cj__fft_attrs a = {.axis = 1, .length = {1, &length}, .inverse = kind > 2,
                       .onesided = kind == 2 || kind == 4};
    int rank = 4;
    if (i % 4 == 1) dims[1] = bins + 2;             /* cut */
    if (i % 4 == 2 && bins > 2) dims[1] = bins - 1; /* zeros behind */
    if (i % 4 == 3) { /* the last axis, and the length it has */
        rank = 3, dims[1] = bins, dims[2] = parts;
        a.axis = -2;
        if (kind != 4) a.length.n = 0;
    }
    if (i == 5) dims[0] = 0;
    cj_node *x = cj_sample_real(s, -1, 1, rank, dims);
    return cj_apply(cj_sampler_graph(s), &cj_op_fft, &x, 1, &a);
}

const cj_op cj_op_fft = {
    .name = "fft",
    .doc = "X_k = sum of x_t e^(-2 pi i k t / n) along an axis; the last axis holds real and "
           "imaginary part",
    .inputs = 1,
    .attributes_size = sizeof(cj__fft_attrs),
    .attributes = fft_options,
    .infer = fft_infer,
    .grad = fft_grad,
    .ref = fft_ref,
    .multiply_adds = fft_multiply_adds,
    .sample = CJ__SAMPLE(fft_sample),
};

cj_node *cj_fft(cj_node *x, const cj_fft_opts *opts)
{
    static const cj_fft_opts none = {0};
    const cj_fft_opts *o = opts ? opts : &none;
    if (!x || cj__is_zero(x)) return x;
    cj__fft_attrs a = {.axis = o->axis ? o->axis : -2,
                       .length = {o->length != 0, &o->length},
                       .inverse = o->inverse,
                       .onesided = o->onesided};
    return cj_apply(cj_node_graph(x), &cj_op_fft, &x, 1, &a);
}
