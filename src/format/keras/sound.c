/* sound.c: STFTSpectrogram, whose transform is a convolution with kernels that are in the file, and
 * MelSpectrogram, which has no weights. */
#include "format/keras/keras.h"

#include <cajal/signal.h>

#include <math.h>
#include <string.h>

static const double epsilon = 1e-7; /* Keras's */

static cj_node *at_least(cj_node *x, double least)
{
    return x ? cj_maximum(x, cj_scalar(cj_node_graph(x), cj_node_dtype(x), least)) : NULL;
}

/* Whole number `key`; 0: it says none, or one that cannot be meant. */
static int64_t count_of(const cj__keras_layer *l, const char *key)
{
    const double n = cj__keras_number(l->config, key, 0);
    return n >= 1 && n <= 1 << 24 && floor(n) == n ? (int64_t)n : 0;
}

/* ---- STFTSpectrogram ------------------------------------------------------------------------- */

/* atan2(imag, real): that of the quotient, on the left of the plane half a turn away; on its
 * upright axis a quarter. */
static cj_node *angle(cj_node *real, cj_node *imag)
{
    if (!real || !imag) return NULL;
    const double pi = 3.14159265358979323846;
    cj_graph *g = cj_node_graph(real);
    const cj_dtype dtype = cj_node_dtype(real);
    cj_node *zero = cj_scalar(g, dtype, 0), *one = cj_scalar(g, dtype, 1),
            *upright = cj_equal(real, zero);
    cj_node *y = cj_atan(cj_div(imag, cj_where(upright, one, real)));
    cj_node *turn = cj_where(cj_less(imag, zero), cj_scalar(g, dtype, -pi),
                             cj_scalar(g, dtype, pi));
    y = cj_where(cj_less(real, zero), cj_add(y, turn), y);
    return cj_where(upright, cj_scale(cj_sign(imag), pi / 2), y);
}

/* Two real numbers r, i of each frequency, along the last axis as [r..., i...], as one. */
static cj_node *one_number(cj_node *y, const char *mode, int64_t bins)
{
    cj_node *real = cj_slice_axis(y, -1, 0, bins), *imag = cj_slice_axis(y, -1, bins, bins);
    if (!strcmp(mode, "angle")) return angle(real, imag);
    cj_node *power = cj_add(cj_square(real), cj_square(imag));
    if (!strcmp(mode, "psd")) { /* what is in the middle stands for two frequencies */
        if (bins < 3) return power;
        const int64_t side[CJ_RANK_MAX] = {0, 0, 1};
        return cj_add(power, cj_pad(cj_slice_axis(power, -1, 1, bins - 2), side, side, 0));
    }
    cj_node *magnitude = cj_sqrt(at_least(power, epsilon));
    return strcmp(mode, "magnitude") ? cj_log(at_least(magnitude, epsilon)) : magnitude;
}

/* y [batch channels, frames, n], of each channel, as Keras has it. */
static cj_node *arranged(cj_node *y, cj_dim batch, int64_t channels, bool first, bool apart)
{
    const cj_dim frames = cj_node_dim(y, 1), n = cj_node_dim(y, 2);
    y = cj_reshape(y, 4, (cj_dim[]){batch, channels, frames, n});
    if (apart) return first ? y : cj_transpose(y, (int64_t[]){0, 2, 3, 1});
    if (first)
        return cj_reshape(cj_transpose(y, (int64_t[]){0, 1, 3, 2}), 3,
                          (cj_dim[]){batch, channels * n, frames});
    return cj_reshape(cj_transpose(y, (int64_t[]){0, 2, 1, 3}), 3,
                      (cj_dim[]){batch, frames, channels * n});
}

CJ__KERAS_BUILDER(stft)
{
    const char *mode = cj__keras_string(layer->config, "mode"),
               *format = cj__keras_string(layer->config, "data_format"),
               *padding = cj__keras_string(layer->config, "padding");
    const bool first = format && !strcmp(format, "channels_first");
    const int64_t length = count_of(layer, "frame_length"), step = count_of(layer, "frame_step");
    int64_t fft = count_of(layer, "fft_length");
    cj_node *in = x[0], *y;
    cj__text text;
    if (!mode || !cj__keras_is_word("log magnitude psd real imag angle stft", mode))
        return cj__keras_fail(k, layer, CJ_ERR_DATA,
                              "the mode %.40s; log, magnitude, psd, real, imag, angle and stft are "
                              "possible",
                              mode ? mode : "none");
    if (n != 1 || cj_node_rank(in) != 3 || !length)
        return cj__keras_fail(k, layer, CJ_ERR_DATA,
                              "no frame_length, or an input that is not of rank 3");
    const int64_t channels = cj_node_dim(in, first ? 1 : 2);
    const cj_dim batch = cj_node_dim(in, 0), samples = cj_node_dim(in, first ? 2 : 1);
    if (channels < 1) return cj__keras_fail(k, layer, CJ_ERR_SHAPE, "channels of unknown number");
    for (int64_t power = 1; !fft; power *= 2) fft = power >= length ? power : 0;
    const bool single = !strcmp(mode, "real") || !strcmp(mode, "imag");
    const int64_t bins = fft / 2 + 1;
    if (!first) in = cj_transpose(in, (int64_t[]){0, 2, 1});
    in = cj_reshape(in, 3, (cj_dim[]){cj_dim_mul(k->g, batch, channels), samples, 1});
    cj__text_init(&text, k->cj);
    cj__text_format(&text, "filters=%lld, kernel=%lld, strides=%lld, no_bias=true, padding=%s",
                    (long long)(single ? bins : 2 * bins), (long long)length,
                    (long long)(step ? step : length > 1 ? length / 2 : 1),
                    padding && !strcmp(padding, "same") ? "same" : "valid");
    cj_status failed = text.failed ? text.failed
                                   : cj__keras_apply(k, layer, "conv1d", cj__text_string(&text),
                                                     &in, 1, &y);
    cj__text_release(&text);
    if (failed) return failed;
    if (!single && strcmp(mode, "stft")) y = one_number(y, mode, bins);
    if (!y) return k->g->failed;
    call->out[0] = arranged(y, batch, channels, first,
                            cj__keras_bool(layer->config, "expand_dims", false));
    call->n_out = 1;
    return k->g->failed;
}

/* ---- MelSpectrogram -------------------------------------------------------------------------- */

static double mel(double hertz) { return 1127.0 * log(1 + hertz / 700); }

/* A constant; the values are freed with the arena. */
static cj_node *constant(cj__keras *k, int rank, const int64_t *dims, const double *values)
{
    cj_tensor *t = cj_tensor_from(k->cj, CJ_F64, rank, dims, values);
    cj_node *y = t ? cj_constant(k->g, t) : NULL;
    cj_tensor_free(t);
    return y;
}

/* The window, in the middle of `fft` samples. */
static cj_status window_of(cj__keras *k, const cj__keras_layer *l, int64_t length, int64_t fft,
                           cj_node **out)
{
    static const double pi = 3.14159265358979323846;
    const cj__json *window = cj__json_find(l->config, "window");
    const char *name = cj__keras_string(l->config, "window");
    const bool list = window && window->type == CJ__JSON_ARRAY;
    double *values = cj__arena_array(k->arena, (size_t)fft, sizeof *values);
    if (!values) return CJ_ERR_MEMORY;
    if ((name && !cj__keras_is_word("hann hamming", name)) ||
        (list && window->count != (size_t)length))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                              "a window that is neither hann nor hamming nor a list of "
                              "sequence_length numbers");
    const double a = name && !strcmp(name, "hamming") ? 0.54 : 0.5;
    const cj__json *item = list ? window->first : NULL;
    for (int64_t i = 0; i < length; i++, item = item ? item->next : NULL)
        values[(fft - length) / 2 + i] = list   ? item->number
                                         : name ? a - (1 - a) * cos(2 * pi * (double)i /
                                                                    (double)length)
                                                : 1;
    *out = constant(k, 1, &fft, values);
    return k->g->failed;
}

/* HTK's triangles, straight in mel: [bins, bands]. */
static cj_status bands_of(cj__keras *k, const cj__keras_layer *l, int64_t bins, int64_t bands,
                          cj_node **out)
{
    const double rate = cj__keras_number(l->config, "sampling_rate", 16000),
                 low = mel(cj__keras_number(l->config, "min_freq", 20)),
                 most = cj__keras_number(l->config, "max_freq", 0),
                 high = mel(most != 0 ? most : floor(rate / 2)),
                 width = (high - low) / (double)(bands + 1);
    double *values = cj__arena_array(k->arena, (size_t)(bins * bands), sizeof *values);
    if (!values) return CJ_ERR_MEMORY;
    if (!(rate > 0) || !(width > 0))
        return cj__keras_fail(k, l, CJ_ERR_DATA, "frequencies of which the last is not above the "
                                                 "first");
    for (int64_t i = 1; i < bins; i++)
        for (int64_t j = 0; j < bands; j++) {
            const double at = (mel(rate / 2 * (double)i / (double)(bins - 1)) - low) / width,
                         up = at - (double)j, down = (double)(j + 2) - at;
            values[i * bands + j] = fmax(0, fmin(up, down));
        }
    *out = constant(k, 2, (int64_t[]){bins, bands}, values);
    return k->g->failed;
}

/* Decibels, at most top_db below the largest of all. */
static cj_node *decibels(const cj__keras_layer *l, cj_node *y)
{
    const double least = cj__keras_number(l->config, "min_power", 1e-10),
                 reference = fabs(cj__keras_number(l->config, "ref_power", 1));
    y = cj_shift(cj_scale(cj_log(at_least(y, least)), 10 / log(10)),
                 -10 * log10(fmax(reference, least)));
    cj_node *top = cj_reduce_max(y, 3, (int64_t[]){0, 1, 2}, true);
    return cj_maximum(y, cj_shift(top, -cj__keras_number(l->config, "top_db", 80)));
}

CJ__KERAS_BUILDER(mel)
{
    const int64_t fft = count_of(layer, "fft_length"), step = count_of(layer, "sequence_stride"),
                  own = count_of(layer, "sequence_length"), length = own ? own : fft,
                  bands = count_of(layer, "num_mel_bins"), bins = fft / 2 + 1;
    const double power = cj__keras_number(layer->config, "mag_exp", 2);
    cj_node *window = NULL, *matrix = NULL, *in = x[0];
    if (n != 1 || cj_node_rank(in) != 2 || !fft || !step || !bands || length > fft)
        return cj__keras_fail(k, layer, CJ_ERR_DATA,
                              "an input that is not [batch, samples], or sizes that are none");
    if (bins > (1 << 20) / bands)
        return cj__keras_fail(k, layer, CJ_ERR_LIMIT, "more than 2^20 weights of bands");
    CJ__TRY(window_of(k, layer, length, fft, &window));
    CJ__TRY(bands_of(k, layer, bins, bands, &matrix));
    const cj_dtype given = cj_node_dtype(in), dtype = given == CJ_F64 ? CJ_F64 : CJ_F32;
    if (given != dtype) in = cj_cast(in, dtype);
    const cj_stft_opts how = {.frame_length = fft,
                              .hop = step,
                              .window = cj_cast(window, dtype),
                              .center = true};
    cj_node *s = (cj_stft)(in, &how);
    s = cj_reduce_sum(cj_square(s), 1, (int64_t[]){3}, false);
    if (s && power != 2) s = cj_pow(s, cj_scalar(k->g, dtype, power / 2));
    cj_node *y = cj_matmul(s, cj_cast(matrix, dtype));
    if (y && cj__keras_bool(layer->config, "power_to_db", true)) y = decibels(layer, y);
    call->out[0] = cj_transpose(y, (int64_t[]){0, 2, 1});
    call->n_out = 1;
    return k->g->failed;
}
