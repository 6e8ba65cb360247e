/* stft.c: spectra of a signal's frames, and a signal from spectra.
 *
 *     frames   x[hop f + t]              one gather whose indices are computed; mirrored at the
 * ends stft     fft(frames * window) istft    sum of frames * window / sum of window^2, added where
 * gather took them
 *
 * Both are composites: lowered to gather (or its transpose) and fft. 16-bit floats are computed in
 * f32. */
#include <string.h>

#include "graph/ops/block.h"
#include "graph/ops/norm.h"
#include "graph/ops/signal.h"

/* ---- Shape rules ----------------------------------------------------------------------------- */

static cj_status check_window(cj_infer *infer, const cj__stft_attrs *a, cj_dtype dtype)
{
    if (infer->call->n_in > 2)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d operands, expected 1 or 2",
                             infer->call->n_in);
    if (infer->call->n_in < 2) return CJ_OK;
    const cj_type *w = &infer->call->in[1]->type;
    if (w->dtype == dtype && w->rank == 1 && cj_infer_equal(infer, w->dim[0], a->frame_length))
        return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_SHAPE, "the window is no vector of %lld numbers of %s",
                         (long long)a->frame_length, cj_dtype_info(dtype)->name);
}

static cj_dim frames_in(cj_graph *g, const cj__stft_attrs *a, cj_dim samples)
{
    if (a->center) samples = cj_dim_add(g, samples, a->frame_length / 2 * 2);
    return cj_dim_add(g, cj_dim_div(g, cj_dim_sub(g, samples, a->frame_length), a->hop), 1);
}

cj_status cj__infer_frames(cj_infer *infer, const cj__stft_attrs *a, cj_dim *frames)
{
    const cj_type *x = &infer->call->in[0]->type;
    cj_graph *g = infer->graph;
    int64_t length = a->frame_length, least = a->center ? length / 2 + 1 : length;
    if (x->rank != 2 || !cj__is_float(x->dtype))
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the signal is %s of rank %d; floats [batch, samples] are expected",
                             cj_dtype_info(x->dtype)->name, x->rank);
    CJ__TRY(check_window(infer, a, x->dtype));
    if (x->dim[1] >= 0 && x->dim[1] < least)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "a signal of %lld samples; frames of %lld need %lld at least",
                             (long long)x->dim[1], (long long)length, (long long)least);
    *frames = frames_in(g, a, x->dim[1]);
    return g->failed;
}

static cj_status stft_infer(cj_infer *infer)
{
    cj__stft_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_type *y = &infer->out[0];
    cj_dim frames = 0;
    CJ__TRY(cj__infer_frames(infer, a, &frames));
    *y = (cj_type){.dtype = x->dtype, .rank = 4, .dim = {x->dim[0], frames, 0, 2}};
    y->dim[2] = a->twosided ? a->frame_length : a->frame_length / 2 + 1;
    return CJ_OK;
}

/* The samples that the frames cover. */
static cj_dim covered_by(cj_graph *g, const cj__stft_attrs *a, cj_dim frames)
{
    return cj_dim_add(g, cj_dim_mul(g, a->hop, cj_dim_sub(g, frames, 1)), a->frame_length);
}

static cj_status istft_infer(cj_infer *infer)
{
    cj__stft_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj_graph *g = infer->graph;
    int64_t bins = a->frame_length / 2 + 1;
    if (x->rank != 4 || !cj__is_float(x->dtype) || x->dim[3] != 2 || x->dim[2] != bins ||
        x->dim[1] == 0)
        return cj_infer_fail(infer, CJ_ERR_SHAPE,
                             "the spectra have %s bins in rank %d; floats [batch, frames, %lld, 2] "
                             "are expected",
                             x->rank > 2 ? cj_dim_text(g, x->dim[2]) : "no", x->rank,
                             (long long)bins);
    CJ__TRY(check_window(infer, a, x->dtype));
    CJ__TRY(cj__infer_dims(infer, a->samples, 0));
    if (a->samples.n > 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d numbers of samples, at most one is "
                             "expected", a->samples.n);
    cj_dim size = covered_by(g, a, x->dim[1]);
    if (a->center) size = cj_dim_sub(g, size, a->frame_length / 2 * 2);
    if (a->samples.n) size = a->samples.v[0];
    infer->out[0] = (cj_type){.dtype = x->dtype, .rank = 2, .dim = {x->dim[0], size}};
    return g->failed;
}

/* ---- Lowering -------------------------------------------------------------------------------- */

/* hop f + t, [frames, frame_length] */
static cj_node *places(cj_graph *g, cj_dim frames, int64_t length, int64_t hop)
{
    cj_node *f = cj_iota(g, CJ_I64, 0, 2, (cj_dim[]){frames, 1});
    cj_node *t = cj_iota(g, CJ_I64, 1, 2, (cj_dim[]){1, length});
    return cj_add(cj_mul(f, cj_scalar(g, CJ_I64, (double)hop)), t);
}

/* Places before 0 and behind the end as the places they mirror: |i|, and the same from the end. */
static cj_node *mirrored(cj_graph *g, cj_node *at, int64_t before, cj_dim samples)
{
    cj_node *last = cj_sub(cj_dim_value(g, samples), cj_scalar(g, CJ_I64, 1));
    at = cj_abs(cj_sub(at, cj_scalar(g, CJ_I64, (double)before)));
    return cj_sub(last, cj_abs(cj_sub(last, at)));
}

cj_node *cj__spectra(cj_graph *g, cj_node *signal, cj_node *window, const cj__stft_attrs *a)
{
    if (!signal) return NULL;
    int64_t length = a->frame_length;
    cj_dim samples = signal->type.dim[1];
    cj_node *at = places(g, frames_in(g, a, samples), length, a->hop);
    if (a->center) at = mirrored(g, at, length / 2, samples);
    cj_node *x = cj_gather(signal, at, 1); /* [batch, frames, length] */
    if (window) x = cj_mul(x, window);
    return cj_fft(cj_expand_dims(x, -1), &(cj_fft_opts){.onesided = !a->twosided});
}

/* Operand i in f32 or f64, NULL for one that is absent. */
static cj_node *wide_in(const cj_call *call, int i)
{
    cj_dtype dtype = call->in[0]->type.dtype;
    return i < call->n_in ? cj_cast(call->in[i], cj__wide(dtype)) : NULL;
}

static bool stft_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    cj_node *y = cj__spectra(g, wide_in(call, 0), wide_in(call, 1), call->attributes);
    out[0] = cj_cast(y, call->in[0]->type.dtype);
    return out[0] != NULL;
}

static bool istft_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__stft_attrs *a = call->attributes;
    cj_node *x = wide_in(call, 0), *window = wide_in(call, 1);
    if (!x) return false;
    cj_dtype dtype = x->type.dtype;
    int64_t length = a->frame_length;
    cj_dim frames = x->type.dim[1], one = 1, covered = covered_by(g, a, frames);
    if (!window) window = cj_broadcast_to(cj_scalar(g, dtype, 1), 1, (cj_dim[]){length});
    x = cj_fft(x, &(cj_fft_opts){.length = length, .inverse = true, .onesided = true});
    x = cj_squeeze(x, -1); /* [batch, frames, length] */
    cj_node *at = places(g, frames, length, a->hop);
    cj_node *weight = cj_broadcast_to(cj_square(window), 3, (cj_dim[]){one, frames, length});
    x = cj_scatter_add(cj_mul(x, window), at, 1, covered, 2);
    weight = cj_scatter_add(weight, at, 1, covered, 2);
    cj_node *none_there = cj_less(weight, cj_scalar(g, dtype, 1e-11));
    x = cj_div(x, cj_where(none_there, cj_scalar(g, dtype, 1), weight));
    int64_t begin = a->center ? length / 2 : 0;
    cj_dim size = call->out[0].type.dim[1], rest = 0;
    if (size >= 0 && covered >= 0 && begin + size > covered) /* nothing is known of the rest */
        rest = begin + size - covered;
    if (begin || size != covered) x = cj_slice_axis(x, 1, begin, cj__dim_shift(g, size, -rest));
    if (rest) x = cj_pad(x, (int64_t[]){0, 0}, (int64_t[]){0, rest}, 0);
    out[0] = cj_cast(x, call->in[0]->type.dtype);
    return out[0] != NULL;
}

/* ---- Samples --------------------------------------------------------------------------------- */

static cj_node *stft_sample(cj_sampler *s, int i, bool back)
{
    static const int64_t lengths[] = {1, 2, 3, 4, 6, 5, 8};
    if (i >= 28) return NULL;
    cj__stft_attrs a = {.frame_length = lengths[i % 7],
                        .hop = 1 + i % 3,
                        .center = i / 7 % 2,
                        .twosided = !back && i / 2 % 2};
    int64_t n = a.frame_length, samples = n + i % 5, frames = 1 + i % 4,
            batch = i == 9 ? 0 : 1 + i % 2;
    int64_t dims[] = {batch, back ? frames : samples, n / 2 + 1, 2};
    int64_t covered = (frames - 1) * a.hop + n - (a.center ? n / 2 * 2 : 0);
    cj_dim wanted = i % 3 ? covered > 1 ? covered - 1 : 1 : covered + 2;
    if (back && (i % 4 == 1 || covered < 1)) a.samples = (cj_ints){1, &wanted};
    cj_node *x = cj_sample_real(s, -1, 1, back ? 4 : 2, dims);
    cj_node *in[] = {x, i % 3 < 2 ? cj_sample_real(s, 0.3, 1, 1, &n) : NULL};
    return cj_apply(cj_sampler_graph(s), back ? &cj_op_istft : &cj_op_stft, in, 1 + (i % 3 < 2),
                    &a);
}

static cj_node *forward_sample(cj_sampler *s, int i) { return stft_sample(s, i, false); }
static cj_node *back_sample(cj_sampler *s, int i) { return stft_sample(s, i, true); }

/* ---- Rows and builders ----------------------------------------------------------------------- */

#define FRAMES \
    CJ_OPTION_INT(cj__stft_attrs, frame_length, 1, 1, CJ__FRAME_MAX, "samples of a frame"), \
        CJ_OPTION_INT(cj__stft_attrs, hop, 1, 1, CJ__FRAME_MAX, "from frame to frame"), \
        CJ_OPTION_BOOL(cj__stft_attrs, center, false, "frame i is around sample i hop")

static const cj_option stft_options[] = {
    FRAMES, CJ_OPTION_BOOL(cj__stft_attrs, twosided, false, "all numbers of a spectrum"),
    CJ_OPTION_END};
static const cj_option istft_options[] = {
    FRAMES, CJ_OPTION_DIMS(cj__stft_attrs, samples, "how many are wanted; none: what is covered"),
    CJ_OPTION_END};

const cj_op cj_op_stft = {
    .name = "stft",
    .doc = "spectra of overlapping frames, y[n, f] = fft of x[n, f hop + t] window[t]",
    .inputs = -1,
    .inputs_min = 1,
    .attributes_size = sizeof(cj__stft_attrs),
    .attributes = stft_options,
    .infer = stft_infer,
    .lower = stft_lower,
    .sample = CJ__SAMPLE(forward_sample),
};

const cj_op cj_op_istft = {
    .name = "istft",
    .doc = "the signal of spectra: frames times window, added up, over the sum of window^2",
    .inputs = -1,
    .inputs_min = 1,
    .attributes_size = sizeof(cj__stft_attrs),
    .attributes = istft_options,
    .infer = istft_infer,
    .lower = istft_lower,
    .sample = CJ__SAMPLE(back_sample),
};

static cj_node *apply(const cj_op *op, cj_node *x, const cj_stft_opts *opts, const cj_dim *samples)
{
    cj_stft_opts o = {0};
    if (!x || cj__is_zero(x)) return NULL;
    if (!cj__graph_opts(cj_node_graph(x), op->name, &o, sizeof o, opts)) return NULL;
    cj__stft_attrs a = {.frame_length = o.frame_length,
                        .hop = o.hop ? o.hop : o.frame_length / 4,
                        .center = o.center,
                        .twosided = o.twosided,
                        .samples = {*samples != 0, samples}};
    cj_node *in[] = {x, o.window ? cj_cast(o.window, x->type.dtype) : NULL};
    return cj_apply(cj_node_graph(x), op, in, 1 + (o.window != NULL), &a);
}

cj_node *cj_stft(cj_node *signal, const cj_stft_opts *opts)
{
    static const cj_dim all = 0;
    return apply(&cj_op_stft, signal, opts, &all);
}

cj_node *cj_istft(cj_node *spectra, cj_dim samples, const cj_stft_opts *opts)
{
    return apply(&cj_op_istft, spectra, opts, &samples);
}
