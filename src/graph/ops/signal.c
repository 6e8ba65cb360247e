/* signal.c: windows, spectrograms and what is heard of them, built of ordinary operators.
 *
 *     frames   x[hop f + t]              one gather whose indices are computed; mirrored at the
 * ends stft     fft(frames * window) mel      |stft|^power M            M: triangles that are even
 * in mel mfcc     10 log10(mel) C           C: the cosine transform
 *
 * The inverse adds frames where gather took them (scatter_add). Tables are constants, computed in
 * double. */
#include <math.h>

#include "graph/ops/block.h"

#include <cajal/signal.h>

/* A constant from numbers that `value` gives. */
typedef double (*table_fn)(const void *arg, int64_t row, int64_t column);

static cj_node *table(cj_graph *g, const char *what, cj_dtype dtype, int64_t rows, int64_t columns,
                      table_fn value, const void *arg)
{
    if (!g || g->failed) return NULL;
    if (!cj__is_float(dtype) || rows < 1 || columns < 1 || rows > 1 << 24 || columns > 1 << 24)
        return cj__graph_fail(g, what, CJ_ERR_ARGUMENT,
                              "%lld x %lld numbers of %s; floats, 1 to 2^24 each way, are expected",
                              (long long)rows, (long long)columns,
                              dtype ? cj_dtype_info(dtype)->name : "no dtype"),
               NULL;
    cj_tensor *t = cj_tensor_new(g->cj, dtype, columns > 1 ? 2 : 1, (int64_t[]){rows, columns});
    void *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (!data) {
        cj_tensor_free(t);
        return cj__graph_fail(g, what, cj_last_status(g->cj), "%s", cj_message(g->cj)), NULL;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            cj_store_f64(dtype, data, (size_t)(i * columns + j), value(arg, i, j));
    cj_tensor_unmap(t);
    cj_node *x = cj_constant(g, t);
    cj_tensor_free(t);
    return x;
}

static double pi(void) { return acos(-1); }

/* ---- Windows --------------------------------------------------------------------------------- */

struct cosine {
    double a[3], n;
};

static double cosine_value(const void *arg, int64_t t, int64_t column)
{
    const struct cosine *c = arg;
    (void)column;
    if (c->n == 0) return 1; /* symmetric, of one number */
    double angle = 2 * pi() * (double)t / c->n;
    return c->a[0] - c->a[1] * cos(angle) + c->a[2] * cos(2 * angle);
}

cj_node *cj_cosine_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic, double a0,
                          double a1, double a2)
{
    struct cosine c = {{a0, a1, a2}, (double)(periodic ? length : length - 1)};
    return table(g, "window", dtype, length, 1, cosine_value, &c);
}

cj_node *cj_hann_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic)
{
    return cj_cosine_window(g, dtype, length, periodic, 0.5, 0.5, 0);
}
cj_node *cj_hamming_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic)
{
    return cj_cosine_window(g, dtype, length, periodic, 0.54, 0.46, 0);
}
cj_node *cj_blackman_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic)
{
    return cj_cosine_window(g, dtype, length, periodic, 0.42, 0.5, 0.08);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static bool check_frames(cj_graph *g, const char *what, const cj_stft_opts *o, int64_t *hop)
{
    *hop = o->hop ? o->hop : o->frame_length / 4;
    if (o->frame_length >= 1 && o->frame_length < 1 << 24 && *hop >= 1 && *hop < 1 << 24)
        return true;
    cj__graph_fail(g, what, CJ_ERR_ARGUMENT,
                   "frame_length=%lld, hop=%lld; 1 to 2^24 - 1 samples are expected",
                   (long long)o->frame_length, (long long)*hop);
    return false;
}

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

cj_node *cj_stft(cj_node *signal, const cj_stft_opts *opts)
{
    static const cj_stft_opts none = {0};
    const cj_stft_opts *o = opts ? opts : &none;
    if (!signal || cj__is_zero(signal)) return NULL;
    cj_graph *g = cj_node_graph(signal);
    int64_t hop, length = o->frame_length;
    if (!check_frames(g, "stft", o, &hop)) return NULL;
    if (signal->type.rank != 2 || !cj__is_float(signal->type.dtype))
        return cj__graph_fail(g, "stft", CJ_ERR_SHAPE,
                              "the signal is %s of rank %d; floats [batch, samples] are expected",
                              cj_dtype_info(signal->type.dtype)->name, signal->type.rank),
               NULL;
    cj_dim samples = signal->type.dim[1];
    int64_t least = o->center ? length / 2 + 1 : length;
    if (samples >= 0 && samples < least)
        return cj__graph_fail(g, "stft", CJ_ERR_SHAPE,
                              "a signal of %lld samples; frames of %lld need %lld at least",
                              (long long)samples, (long long)length, (long long)least),
               NULL;
    cj_dim covered = o->center ? cj_dim_add(g, samples, length / 2 * 2) : samples;
    cj_dim frames = cj_dim_add(g, cj_dim_div(g, cj_dim_sub(g, covered, length), hop), 1);
    cj_node *at = places(g, frames, length, hop);
    if (o->center) at = mirrored(g, at, length / 2, samples);
    cj_node *x = cj_gather(signal, at, 1); /* [batch, frames, length] */
    if (o->window) x = cj_mul(x, cj_cast(o->window, signal->type.dtype));
    return cj_fft(cj_expand_dims(x, -1), &(cj_fft_opts){.onesided = !o->twosided});
}

cj_node *cj_istft(cj_node *spectra, cj_dim samples, const cj_stft_opts *opts)
{
    static const cj_stft_opts none = {0};
    const cj_stft_opts *o = opts ? opts : &none;
    if (!spectra || cj__is_zero(spectra)) return NULL;
    cj_graph *g = cj_node_graph(spectra);
    int64_t hop, length = o->frame_length;
    if (!check_frames(g, "istft", o, &hop)) return NULL;
    const cj_type *t = &spectra->type;
    if (t->rank != 4 || t->dim[3] != 2 || t->dim[2] != length / 2 + 1)
        return cj__graph_fail(g, "istft", CJ_ERR_SHAPE,
                              "the spectra have %s bins in rank %d; [batch, frames, %lld, 2] is "
                              "expected",
                              t->rank > 2 ? cj_dim_text(g, t->dim[2]) : "no", t->rank,
                              (long long)(length / 2 + 1)),
               NULL;
    cj_dtype dtype = t->dtype;
    cj_dim frames = t->dim[1], one = 1, covered =
        cj_dim_add(g, cj_dim_mul(g, hop, cj_dim_sub(g, frames, 1)), length);
    cj_node *x = cj_fft(spectra,
                        &(cj_fft_opts){.length = length, .inverse = true, .onesided = true});
    x = cj_squeeze(x, -1); /* [batch, frames, length] */
    cj_node *window = o->window ? cj_cast(o->window, dtype)
                                : cj_broadcast_to(cj_scalar(g, dtype, 1), 1, (cj_dim[]){length});
    cj_node *at = places(g, frames, length, hop);
    cj_node *weight = cj_broadcast_to(cj_square(window), 3, (cj_dim[]){one, frames, length});
    x = cj_scatter_add(cj_mul(x, window), at, 1, covered, 2);
    weight = cj_scatter_add(weight, at, 1, covered, 2);
    cj_node *none_there = cj_less(weight, cj_scalar(g, dtype, 1e-11));
    x = cj_div(x, cj_where(none_there, cj_scalar(g, dtype, 1), weight));
    int64_t begin = o->center ? length / 2 : 0;
    cj_dim size = samples ? samples : cj_dim_sub(g, covered, 2 * begin);
    if (size == covered) return x;
    if (size >= 0 && covered >= 0 && begin + size > covered) /* nothing is known of the rest */
        return cj_pad(cj_slice_axis(x, 1, begin, covered - begin), (int64_t[]){0, 0},
                      (int64_t[]){0, begin + size - covered}, 0);
    return cj_slice_axis(x, 1, begin, size);
}

/* ---- Mel ------------------------------------------------------------------------------------- */

/* Slaney's scale (Auditory Toolbox): 3 mel for 200 Hz up to 1 kHz, then 27 for a factor of 6.4. */
static double to_mel(double hz, bool htk)
{
    if (htk) return 2595 * log10(1 + hz / 700);
    return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4);
}

static double from_mel(double mel, bool htk)
{
    if (htk) return 700 * (pow(10, mel / 2595) - 1);
    return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27);
}

struct mel {
    double bin; /* Hz from bin to bin */
    double low, step;
    bool htk, norm;
};

static double mel_value(const void *arg, int64_t bin, int64_t band)
{
    const struct mel *m = arg;
    double f = m->bin * (double)bin, edge[3];
    for (int i = 0; i < 3; i++) edge[i] = from_mel(m->low + m->step * (double)(band + i), m->htk);
    double up = (f - edge[0]) / (edge[1] - edge[0]), down = (edge[2] - f) / (edge[2] - edge[1]);
    double height = fmax(0, fmin(up, down));
    return m->norm ? height * 2 / (edge[2] - edge[0]) : height;
}

/* Defaults filled in; false: the graph has failed. */
static bool complete_mel(cj_graph *g, const char *what, const cj_mel_opts *opts, cj_mel_opts *o)
{
    *o = opts ? *opts : (cj_mel_opts){0};
    if (!o->frame_length) o->frame_length = 400;
    if (!o->hop) o->hop = 160;
    if (!o->mels) o->mels = 80;
    if (o->high == 0) o->high = o->sample_rate / 2;
    if (o->power == 0) o->power = 2;
    if (!(o->sample_rate > 0) || !(o->low >= 0) || !(o->low < o->high) ||
        !(o->high <= o->sample_rate / 2))
        return cj__graph_fail(g, what, CJ_ERR_ARGUMENT,
                              "bands from %g to %g Hz at sample_rate=%g; 0 <= low < high <= half "
                              "the rate is expected",
                              o->low, o->high, o->sample_rate),
               false;
    return true;
}

cj_node *cj_mel_filters(cj_graph *g, cj_dtype dtype, const cj_mel_opts *opts)
{
    cj_mel_opts o;
    if (!g || g->failed || !complete_mel(g, "mel_filters", opts, &o)) return NULL;
    double low = to_mel(o.low, o.htk), high = to_mel(o.high, o.htk);
    struct mel m = {o.sample_rate / (double)o.frame_length, low,
                    (high - low) / (double)(o.mels + 1), o.htk, !o.no_norm};
    cj_node *x = table(g, "mel_filters", dtype, o.frame_length / 2 + 1, o.mels, mel_value, &m);
    return x && x->type.rank == 1 ? cj_expand_dims(x, -1) : x;
}

cj_node *cj_mel_spectrogram(cj_node *signal, const cj_mel_opts *opts)
{
    cj_mel_opts o;
    if (!signal || cj__is_zero(signal)) return NULL;
    cj_graph *g = cj_node_graph(signal);
    if (!complete_mel(g, "mel_spectrogram", opts, &o)) return NULL;
    cj_dtype dtype = signal->type.dtype;
    cj_node *window = o.window ? o.window
                               : cj_hann_window(g, cj__is_float(dtype) ? dtype : CJ_F32,
                                                o.frame_length, true);
    cj_node *s = cj_stft(signal, &(cj_stft_opts){.frame_length = o.frame_length,
                                                 .hop = o.hop,
                                                 .window = window,
                                                 .center = !o.no_center});
    if (!s) return NULL;
    s = cj_reduce_sum(cj_square(s), 1, (int64_t[]){-1}, false); /* |.|^2 */
    if (o.power == 1) s = cj_sqrt(s);
    else if (o.power != 2) s = cj_pow(s, cj_scalar(g, dtype, o.power / 2));
    s = cj_matmul(s, cj_mel_filters(g, dtype, &o));
    if (!o.log || !s) return s;
    return cj_scale(cj_log(cj_maximum(s, cj_scalar(g, dtype, 1e-10))), 10 / log(10));
}

/* Orthonormal DCT-II of `*arg` numbers. */
static double dct_value(const void *arg, int64_t band, int64_t k)
{
    double n = (double)*(const int64_t *)arg;
    return sqrt((k ? 2 : 1) / n) * cos(pi() * (double)k * ((double)band + 0.5) / n);
}

cj_node *cj_mfcc(cj_node *signal, int64_t count, const cj_mel_opts *opts)
{
    if (!signal || cj__is_zero(signal)) return NULL;
    cj_graph *g = cj_node_graph(signal);
    cj_mel_opts o = opts ? *opts : (cj_mel_opts){0};
    if (!o.mels) o.mels = 80;
    o.log = true;
    if (count < 1 || count > o.mels)
        return cj__graph_fail(g, "mfcc", CJ_ERR_ARGUMENT,
                              "%lld coefficients of %lld bands; 1 to as many are expected",
                              (long long)count, (long long)o.mels),
               NULL;
    cj_node *mel = cj_mel_spectrogram(signal, &o);
    cj_node *dct = table(g, "mfcc", signal->type.dtype, o.mels, count, dct_value, &o.mels);
    if (dct && dct->type.rank == 1) dct = cj_expand_dims(dct, -1);
    return mel && dct ? cj_matmul(mel, dct) : NULL;
}
