/* isa_conv.h: depthwise convolution: vectors along the channels, four pixels at a time. */
#include "backend/cpu/isa.h"
#include "backend/cpu/simd.h"

enum { DEPTH_PIXELS = 4 };

/* Channels c .. c + n of `now` pixels (1 or 4, a constant where this is inlined). */
SIMD void depth_pixels(int now, const cj__depth *d, size_t c, size_t n, const float *x, float *y)
{
    vf acc[DEPTH_PIXELS];
    const bool full = n == VF_LANES;
    const vf bias = !d->bias ? (vf){0} : full ? vf_load(d->bias + c) : vf_load_n(d->bias + c, n);
    SIMD_UNROLL
    for (int i = 0; i < now; i++) acc[i] = (vf){0};
    for (int p = 0; p < d->places; p++) {
        const float *at = x + d->offset[p] + c, *w = d->w[p] + c;
        const vf weight = full ? vf_load(w) : vf_load_n(w, n);
        SIMD_UNROLL
        for (int i = 0; i < now; i++) {
            const float *from = at + i * d->in_step;
            acc[i] = vf_fma(full ? vf_load(from) : vf_load_n(from, n), weight, acc[i]);
        }
    }
    SIMD_UNROLL
    for (int i = 0; i < now; i++) {
        float *to = y + i * d->out_step + c;
        if (d->add) acc[i] += full ? vf_load(to) : vf_load_n(to, n);
        acc[i] += bias;
        if (d->relu) acc[i] = vf_max(acc[i], (vf){0});
        if (full) vf_store(to, acc[i]);
        else vf_store_n(to, acc[i], n);
    }
}

static void depth_f32(const cj__depth *d, const float *x, float *y)
{
    for (size_t c = 0; c < d->channels; c += VF_LANES) {
        const size_t n = d->channels - c < VF_LANES ? d->channels - c : VF_LANES;
        size_t t = 0;
        for (; t + DEPTH_PIXELS <= d->count; t += DEPTH_PIXELS)
            depth_pixels(DEPTH_PIXELS, d, c, n, x + (ptrdiff_t)t * d->in_step,
                         y + (ptrdiff_t)t * d->out_step);
        for (; t < d->count; t++)
            depth_pixels(1, d, c, n, x + (ptrdiff_t)t * d->in_step, y + (ptrdiff_t)t * d->out_step);
    }
}

static void depth_dot_f32(size_t channels, size_t count, const float *x, ptrdiff_t x_step,
                          const float *y, ptrdiff_t y_step, float *sums)
{
    for (size_t c = 0; c < channels; c += VF_LANES) {
        const size_t n = channels - c < VF_LANES ? channels - c : VF_LANES;
        const bool full = n == VF_LANES;
        const float *a = x + c, *b = y + c;
        vf acc = full ? vf_load(sums + c) : vf_load_n(sums + c, n);
        for (size_t t = 0; t < count; t++, a += x_step, b += y_step)
            acc = full ? vf_fma(vf_load(a), vf_load(b), acc)
                       : vf_fma(vf_load_n(a, n), vf_load_n(b, n), acc);
        if (full) vf_store(sums + c, acc);
        else vf_store_n(sums + c, acc, n);
    }
}
