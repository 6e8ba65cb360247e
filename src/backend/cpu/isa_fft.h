/* isa_fft.h: one pass of a Fourier transform (Stockham: the result is in order without a shuffle).
 *
 * A transform of r m numbers becomes r transforms of m numbers: for p < m, w = e^(-2 pi i / (r m)),
 *
 *     y[r p + u] = w^(p u)  sum over t < r of  x[p + t m] e^(-2 pi i t u / r)
 *
 * Each of these numbers stands for `stride` of them that lie side by side and are treated alike:
 * those of the passes before, and of the lines that are transformed together. So vectors run along
 * them, and no pass needs a shuffle. */
#include "backend/cpu/isa.h"
#include "backend/cpu/simd.h"

SIMD vf fft_load(const float *p, size_t n) { return n < VF_LANES ? vf_load_n(p, n) : vf_load(p); }
SIMD void fft_store(float *p, vf v, size_t n)
{
    if (n < VF_LANES) vf_store_n(p, v, n);
    else vf_store(p, v);
}
/* (re, im) w, stored. */
SIMD void fft_turn(float *yr, float *yi, vf re, vf im, const float *w, size_t n)
{
    vf c = vf_set(w[0]), s = vf_set(w[1]);
    fft_store(yr, re * c - im * s, n);
    fft_store(yi, re * s + im * c, n);
}

/* The sums over t for u = 0 .. radix-1 of one vector. */
SIMD void fft_butterfly(int radix, const float *roots, vf *re, vf *im)
{
    if (radix == 2) {
        vf r = re[0] - re[1], i = im[0] - im[1];
        re[0] += re[1], im[0] += im[1];
        re[1] = r, im[1] = i;
    } else if (radix == 4) {
        vf ar = re[0] + re[2], ai = im[0] + im[2], br = re[0] - re[2], bi = im[0] - im[2];
        vf cr = re[1] + re[3], ci = im[1] + im[3], dr = re[1] - re[3], di = im[1] - im[3];
        re[0] = ar + cr, im[0] = ai + ci;
        re[1] = br + di, im[1] = bi - dr;
        re[2] = ar - cr, im[2] = ai - ci;
        re[3] = br - di, im[3] = bi + dr;
    } else {
        vf sr[CJ__FFT_RADIX_MAX], si[CJ__FFT_RADIX_MAX];
        for (int u = 0; u < radix; u++) {
            sr[u] = re[0], si[u] = im[0];
            for (int t = 1; t < radix; t++) {
                const float *w = roots + 2 * (t * u % radix);
                vf c = vf_set(w[0]), s = vf_set(w[1]);
                sr[u] += re[t] * c - im[t] * s;
                si[u] += re[t] * s + im[t] * c;
            }
        }
        for (int u = 0; u < radix; u++) re[u] = sr[u], im[u] = si[u];
    }
}

SIMD void fft_pass(int radix, size_t m, size_t stride, const float *roots, const float *xr,
                   const float *xi, float *yr, float *yi)
{
    const float *w = roots + 2 * radix;
    const size_t step = m * stride;
    for (size_t p = 0; p < m; p++, w += 2 * (radix - 1)) {
        for (size_t q = 0; q < stride; q += VF_LANES) {
            const size_t n = stride - q, from = p * stride + q,
                         to = (size_t)radix * p * stride + q;
            vf re[CJ__FFT_RADIX_MAX], im[CJ__FFT_RADIX_MAX];
            for (int t = 0; t < radix; t++) {
                re[t] = fft_load(xr + from + (size_t)t * step, n);
                im[t] = fft_load(xi + from + (size_t)t * step, n);
            }
            fft_butterfly(radix, roots, re, im);
            fft_store(yr + to, re[0], n);
            fft_store(yi + to, im[0], n);
            for (int u = 1; u < radix; u++)
                fft_turn(yr + to + (size_t)u * stride, yi + to + (size_t)u * stride, re[u], im[u],
                         w + 2 * (u - 1), n);
        }
    }
}

static void fft_pass_f32(int radix, size_t m, size_t stride, const float *roots, const float *xr,
                         const float *xi, float *yr, float *yi)
{
    switch (radix) {
    case 2: fft_pass(2, m, stride, roots, xr, xi, yr, yi); break;
    case 3: fft_pass(3, m, stride, roots, xr, xi, yr, yi); break;
    case 4: fft_pass(4, m, stride, roots, xr, xi, yr, yi); break;
    case 5: fft_pass(5, m, stride, roots, xr, xi, yr, yi); break;
    case 7: fft_pass(7, m, stride, roots, xr, xi, yr, yi); break;
    case 11: fft_pass(11, m, stride, roots, xr, xi, yr, yi); break;
    case 13: fft_pass(13, m, stride, roots, xr, xi, yr, yi); break;
    default: break;
    }
}
