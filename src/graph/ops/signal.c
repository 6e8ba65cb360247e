/* signal.c: tables of numbers that spectra are made with: windows, mel filters, the cosine
 * transform.
 *
 * Tables are constants, computed in double. Cepstral coefficients are a product with one of them.
 */
#include <math.h>

#include "graph/ops/block.h"
#include "graph/ops/signal.h"

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

cj_node *cj__mel_filters(cj_graph *g, cj_dtype dtype, const cj__mel_attrs *a)
{
    double low = to_mel(a->low, a->htk), high = to_mel(a->high, a->htk);
    struct mel m = {a->sample_rate / (double)a->frame_length, low,
                    (high - low) / (double)(a->mels + 1), a->htk, a->norm};
    cj_node *x = table(g, "mel_filters", dtype, a->frame_length / 2 + 1, a->mels, mel_value, &m);
    return x && x->type.rank == 1 ? cj_expand_dims(x, -1) : x;
}

cj_node *cj_mel_filters(cj_graph *g, cj_dtype dtype, const cj_mel_opts *opts)
{
    cj_mel_opts o;
    if (!g || g->failed || !cj__mel_options(g, "mel_filters", opts, &o)) return NULL;
    cj__mel_attrs a = cj__mel_attributes(&o);
    if (!cj__mel_bands(&a))
        return cj__graph_fail(g, "mel_filters", CJ_ERR_ARGUMENT, CJ__MEL_BANDS, a.low, a.high,
                              a.sample_rate),
               NULL;
    return cj__mel_filters(g, dtype, &a);
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
    cj_mel_opts o;
    if (!cj__mel_options(g, "mfcc", opts, &o)) return NULL;
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
