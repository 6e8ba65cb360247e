/* mel.c: what is heard of a signal: the strength of its spectra in bands as wide as ears have them.
 *
 *     y = |stft(x)|^power M         M: triangles that are even in mel (signal.c)
 *
 * A composite, lowered to the spectra of its frames (stft.c), their squares and a product with a
 * constant. 16-bit floats are computed in f32. */
#include <math.h>
#include <string.h>

#include "graph/ops/block.h"
#include "graph/ops/norm.h"
#include "graph/ops/signal.h"

static cj__stft_attrs frames_of(const cj__mel_attrs *a)
{
    return (cj__stft_attrs){.frame_length = a->frame_length, .hop = a->hop, .center = a->center};
}

bool cj__mel_bands(const cj__mel_attrs *a)
{
    return a->sample_rate > 0 && a->low >= 0 && a->low < a->high && a->high <= a->sample_rate / 2;
}

static cj_status mel_infer(cj_infer *infer)
{
    const cj__mel_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    cj__stft_attrs stft = frames_of(a);
    cj_dim frames;
    if (!cj__mel_bands(a))
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, CJ__MEL_BANDS, a->low, a->high,
                             a->sample_rate);
    CJ__TRY(cj__infer_frames(infer, &stft, &frames));
    infer->out[0] = (cj_type){.dtype = x->dtype, .rank = 3, .dim = {x->dim[0], frames, a->mels}};
    return CJ_OK;
}

static bool mel_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const cj__mel_attrs *a = call->attributes;
    cj__stft_attrs stft = frames_of(a);
    cj_dtype dtype = call->in[0]->type.dtype, wide = cj__wide(dtype);
    cj_node *window = call->n_in > 1 ? cj_cast(call->in[1], wide) : NULL;
    cj_node *y = cj__spectra(g, cj_cast(call->in[0], wide), window, &stft);
    if (!y) return false;
    y = cj_reduce_sum(cj_square(y), 1, (int64_t[]){-1}, false); /* |.|^2 */
    if (a->power == 1) y = cj_sqrt(y);
    else if (a->power != 2) y = cj_pow(y, cj_scalar(g, wide, a->power / 2));
    y = cj_matmul(y, cj__mel_filters(g, wide, a));
    if (a->log)
        y = cj_scale(cj_log(cj_maximum(y, cj_scalar(g, wide, 1e-10))), 10 / log(10));
    out[0] = cj_cast(y, dtype);
    return out[0] != NULL;
}

static cj_node *mel_sample(cj_sampler *s, int i)
{
    if (i >= 24) return NULL;
    cj__mel_attrs a = {.sample_rate = 8000,
                       .frame_length = 8 + i % 3 * 4,
                       .hop = 2 + i % 3,
                       .center = i / 2 % 2,
                       .mels = 1 + i % 3,
                       .low = i % 4 == 1 ? 300 : 0,
                       .high = 4000 - 500 * (i % 2),
                       .htk = i % 2,
                       .norm = i / 3 % 2,
                       .power = i % 5 == 3 ? 1 : i % 5 == 4 ? 3 : 2,
                       .log = i / 4 % 2};
    int64_t dims[] = {i == 7 ? 0 : 1 + i % 2, a.frame_length + i % 4};
    cj_node *in[] = {cj_sample_real(s, -1, 1, 2, dims),
                     i % 3 ? cj_sample_real(s, 0.3, 1, 1, &a.frame_length) : NULL};
    return cj_apply(cj_sampler_graph(s), &cj_op_mel_spectrogram, in, 1 + (i % 3 != 0), &a);
}

static const cj_option mel_options[] = {
    CJ_OPTION_FLOAT(cj__mel_attrs, sample_rate, 16000, 0, 1e9, "in Hz"),
    CJ_OPTION_INT(cj__mel_attrs, frame_length, 400, 1, CJ__FRAME_MAX, "samples of a frame"),
    CJ_OPTION_INT(cj__mel_attrs, hop, 160, 1, CJ__FRAME_MAX, "from frame to frame"),
    CJ_OPTION_BOOL(cj__mel_attrs, center, true, "frame i is around sample i hop"),
    CJ_OPTION_INT(cj__mel_attrs, mels, 80, 1, 1 << 24, "bands"),
    CJ_OPTION_FLOAT(cj__mel_attrs, low, 0, 0, 1e9, "where the first band begins, in Hz"),
    CJ_OPTION_FLOAT(cj__mel_attrs, high, 8000, 0, 1e9, "where the last one ends"),
    CJ_OPTION_BOOL(cj__mel_attrs, htk, false, "HTK's scale, not Slaney's"),
    CJ_OPTION_BOOL(cj__mel_attrs, norm, true, "triangles of area 1, not of height 1"),
    CJ_OPTION_FLOAT(cj__mel_attrs, power, 2, 1e-3, 1e3, "of the magnitude"),
    CJ_OPTION_BOOL(cj__mel_attrs, log, false, "10 log10(max(1e-10, .)): decibels"),
    CJ_OPTION_END};

const cj_op cj_op_mel_spectrogram = {
    .name = "mel_spectrogram",
    .doc = "y = |stft(x)|^power times triangular filters, a band each",
    .inputs = -1,
    .inputs_min = 1,
    .attributes_size = sizeof(cj__mel_attrs),
    .attributes = mel_options,
    .infer = mel_infer,
    .lower = mel_lower,
    .sample = CJ__SAMPLE(mel_sample),
};

bool cj__mel_options(cj_graph *g, const char *op, const cj_mel_opts *opts, cj_mel_opts *own)
{
    cj_mel_opts o = {0};
    if (!cj__graph_opts(g, op, &o, sizeof o, opts)) return false;
    if (!o.frame_length) o.frame_length = 400;
    if (!o.hop) o.hop = 160;
    if (!o.mels) o.mels = 80;
    if (o.high == 0) o.high = o.sample_rate / 2;
    if (o.power == 0) o.power = 2;
    *own = o;
    return true;
}

cj__mel_attrs cj__mel_attributes(const cj_mel_opts *o)
{
    return (cj__mel_attrs){.sample_rate = o->sample_rate,
                           .frame_length = o->frame_length,
                           .hop = o->hop,
                           .center = !o->no_center,
                           .mels = o->mels,
                           .low = o->low,
                           .high = o->high,
                           .htk = o->htk,
                           .norm = !o->no_norm,
                           .power = o->power,
                           .log = o->log};
}

cj_node *cj_mel_spectrogram(cj_node *signal, const cj_mel_opts *opts)
{
    if (!signal || cj__is_zero(signal)) return NULL;
    cj_graph *g = cj_node_graph(signal);
    cj_mel_opts o;
    if (!cj__mel_options(g, "mel_spectrogram", opts, &o)) return NULL;
    cj__mel_attrs a = cj__mel_attributes(&o);
    cj_dtype dtype = signal->type.dtype;
    cj_node *window = o.window ? cj_cast(o.window, dtype)
                               : cj_hann_window(g, cj__is_float(dtype) ? dtype : CJ_F32,
                                                o.frame_length, true);
    return cj_apply(g, &cj_op_mel_spectrogram, (cj_node *[]){signal, window}, 2, &a);
}
