/* fft.c: fast Fourier transforms of f32: which passes make a length, and lines side by side.
 *
 * A length is a product of radices 4, 2, 3, 5, 7, 11, 13, a pass of isa_fft.h each. Any other is
 * turned into a convolution (Bluestein 1970): with c_t = e^(-pi i t^2 / n),
 *
 *     X_k = c_k sum over t of (x_t c_t) conj(c_(k - t))
 *
 * by transforms of a power of 2 that is at least 2n - 1. Sixteen lines lie side by side, so that
 * vectors run across them; real lines are taken in pairs as a + i b, and parted afterwards:
 *
 *     A_k = (Z_k + conj Z_(n-k)) / 2      B_k = (Z_k - conj Z_(n-k)) / 2i
 *
 * An inverse is a transform of numbers whose real and imaginary parts are swapped, before and
 * after. Angles are computed in double. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "graph/ops/fft.h"

enum { SIDE = 16, SLOTS = 16, PASSES = 64 };

/* A length made of passes. */
typedef struct ladder {
    int64_t n;
    int passes, radix[PASSES];
    const float *roots[PASSES]; /* e^(-2 pi i t / radix), then the factors of each p */
} ladder;

typedef struct fft {
    ladder ladder;
    int64_t n;           /* of the transform; not the ladder's when chirp is there */
    const float *chirp;  /* c_t, n of them, or NULL */
    const float *filter; /* the transform of conj(c) around 0, ladder.n of them, divided by that */
    int64_t side;        /* lines that go side by side, counted as complex ones */
    int64_t slots;       /* batches at work at once */
    size_t slot_floats;
} fft;

bool cj__fft_supports(const cj_kernel *k)
{
    const cj__fft_shape s = cj__fft_shape_of(k);
    return k->in[0]->dtype == CJ_F32 && s.n > 0 && s.n <= 1 << 24 && s.lines > 0;
}

/* ---- Preparation ----------------------------------------------------------------------------- */

/* The next radix of what is left; 0: it has a larger prime factor. */
static int next_radix(int64_t left)
{
    static const int radices[] = {4, 2, 3, 5, 7, 11, 13};
    for (size_t i = 0; i < CJ__COUNT(radices); i++)
        if (left % radices[i] == 0) return radices[i];
    return 0;
}

static bool divides(int64_t n)
{
    for (int radix; n > 1; n /= radix)
        if (!(radix = next_radix(n))) return false;
    return true;
}

static void put_angle(float *to, double turns)
{
    const double angle = -2 * acos(-1) * turns;
    to[0] = (float)cos(angle), to[1] = (float)sin(angle);
}

static cj_status make_ladder(cj__arena *arena, int64_t n, ladder *l)
{
    *l = (ladder){.n = n};
    for (int64_t left = n; left > 1; l->passes++) {
        const int radix = next_radix(left);
        const int64_t m = left / radix;
        float *roots = cj__arena_array(arena, (size_t)(radix + m * (radix - 1)), 2 * sizeof *roots);
        if (!roots) return CJ_ERR_MEMORY;
        l->radix[l->passes] = radix;
        l->roots[l->passes] = roots;
        for (int t = 0; t < radix; t++, roots += 2) put_angle(roots, (double)t / radix);
        for (int64_t p = 0; p < m; p++)
            for (int u = 1; u < radix; u++, roots += 2)
                put_angle(roots, (double)(p * u) / (double)left);
        left = m;
    }
    return CJ_OK;
}

/* All passes over `side` lines; the four arrays hold n * side floats each. Returns true when the
 * result is in the second pair. */
static bool climb(const ladder *l, int64_t side, float *xr, float *xi, float *yr, float *yi)
{
    const cj__isa *isa = cj__isa_best();
    int64_t left = l->n, stride = side;
    for (int i = 0; i < l->passes; i++) {
        float *from[2] = {i % 2 ? yr : xr, i % 2 ? yi : xi};
        float *to[2] = {i % 2 ? xr : yr, i % 2 ? xi : yi};
        left /= l->radix[i];
        isa->fft_pass_f32(l->radix[i], (size_t)left, (size_t)stride, l->roots[i], from[0], from[1],
                          to[0], to[1]);
        stride *= l->radix[i];
    }
    return l->passes % 2;
}

/* The chirp, and its transform on a ladder that is long enough. */
static cj_status make_chirp(cj__arena *arena, fft *f)
{
    int64_t m = 1;
    while (m < 2 * f->n - 1) m *= 2;
    CJ__TRY(make_ladder(arena, m, &f->ladder));
    float *chirp = cj__arena_array(arena, (size_t)f->n, 2 * sizeof *chirp);
    float *filter = cj__arena_array(arena, (size_t)m, 2 * sizeof *filter);
    float *work = cj__arena_array(arena, (size_t)m, 4 * sizeof *work);
    if (!chirp || !filter || !work) return CJ_ERR_MEMORY;
    float *xr = work, *xi = work + m, *yr = work + 2 * m, *yi = work + 3 * m;
    for (int64_t t = 0; t < f->n; t++) {
        put_angle(chirp + 2 * t, (double)(t * t % (2 * f->n)) / (2 * (double)f->n));
        xr[t] = xr[t ? m - t : 0] = chirp[2 * t];
        xi[t] = xi[t ? m - t : 0] = -chirp[2 * t + 1];
    }
    const bool second = climb(&f->ladder, 1, xr, xi, yr, yi);
    for (int64_t i = 0; i < m; i++) {
        filter[2 * i] = (second ? yr : xr)[i] / (float)m;
        filter[2 * i + 1] = (second ? yi : xi)[i] / (float)m;
    }
    f->chirp = chirp;
    f->filter = filter;
    return CJ_OK;
}

/* Lines counted as complex ones. */
static int64_t lines_of(const cj__fft_shape *s)
{
    return s->in_parts == 1 ? (s->lines + 1) / 2 : s->lines;
}

static int64_t at_most(int64_t x, int64_t bound) { return x < bound ? x : bound; }

cj_status cj__fft_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                          size_t *workspace_bytes)
{
    enum { WORKSPACE = 64 << 20 };
    const cj__fft_shape s = cj__fft_shape_of(k);
    fft *f = cj__arena_alloc(arena, sizeof *f);
    if (!f) return CJ_ERR_MEMORY;
    f->n = s.n;
    if (divides(s.n)) CJ__TRY(make_ladder(arena, s.n, &f->ladder));
    else CJ__TRY(make_chirp(arena, f));
    const int64_t line = f->ladder.n * 4 * (int64_t)sizeof(float), room = WORKSPACE / line;
    f->side = at_most(lines_of(&s), room < 1 ? 1 : at_most(room, SIDE));
    f->slot_floats = (size_t)(line * f->side) / sizeof(float);
    f->slots = at_most((lines_of(&s) + f->side - 1) / f->side, SLOTS);
    f->slots = at_most(f->slots, room / f->side < 1 ? 1 : room / f->side);
    *prepared = f;
    *workspace_bytes = f->slot_floats * sizeof(float) * (size_t)f->slots;
    return CJ_OK;
}

/* ---- One batch ------------------------------------------------------------------------------- */

typedef struct job {
    const cj_kernel *k;
    const cj__fft_attrs *attrs;
    const fft *f;
    cj__fft_shape s;
    int64_t side;
} job;

/* (re, im) *= (c, s), for one number of all lines. */
static void turn(int64_t side, float *re, float *im, float c, float s)
{
    for (int64_t i = 0; i < side; i++) {
        const float r = re[i] * c - im[i] * s;
        im[i] = re[i] * s + im[i] * c;
        re[i] = r;
    }
}

/* Lines first .. first + side of the operand into re and im, number by number; zeros behind. */
static void load(const job *j, int64_t first, float *re, float *im)
{
    const cj__fft_shape *s = &j->s;
    const float *x = j->k->in[0]->data;
    const bool pairs = s->in_parts == 1, to_real = j->attrs->inverse && j->attrs->onesided;
    memset(re, 0, (size_t)(s->n * j->side) * sizeof *re);
    memset(im, 0, (size_t)(s->n * j->side) * sizeof *im);
    for (int64_t i = 0; i < j->side; i++) {
        const int64_t line = pairs ? 2 * (first + i) : first + i;
        if (line >= s->lines) break;
        for (int64_t t = 0; t < s->in; t++) {
            const float *a = x + cj__fft_at(s, line, t, s->in_line) * s->in_parts;
            float u = a[0], v = 0;
            if (!pairs) v = a[1];
            else if (line + 1 < s->lines) v = x[cj__fft_at(s, line + 1, t, s->in_line)];
            const bool own = !to_real || t == 0 || 2 * t == s->n;
            if (to_real && own && !pairs) v = 0;
            re[t * j->side + i] = u, im[t * j->side + i] = v;
            if (own) continue; /* the other half is the conjugate */
            re[(s->n - t) * j->side + i] = u;
            im[(s->n - t) * j->side + i] = pairs ? v : -v;
        }
    }
}

static void store(const job *j, int64_t first, const float *re, const float *im, float factor)
{
    const cj__fft_shape *s = &j->s;
    float *y = j->k->out[0]->data;
    const bool pairs = s->in_parts == 1, swapped = j->attrs->inverse;
    for (int64_t i = 0; i < j->side; i++) {
        const int64_t line = pairs ? 2 * (first + i) : first + i;
        if (line >= s->lines) break;
        for (int64_t t = 0; t < s->out; t++) {
            const int64_t at = t * j->side + i, other = (t ? s->n - t : 0) * j->side + i;
            float *to = y + cj__fft_at(s, line, t, s->out_line) * s->out_parts;
            float zr = factor * (swapped ? im : re)[at], zi = factor * (swapped ? re : im)[at];
            if (!pairs) {
                to[0] = zr;
                if (s->out_parts == 2) to[1] = zi;
                continue;
            }
            float wr = factor * (swapped ? im : re)[other],
                  wi = factor * (swapped ? re : im)[other];
            to[0] = 0.5f * (zr + wr);
            if (s->out_parts == 2) to[1] = 0.5f * (zi - wi);
            if (line + 1 >= s->lines) continue;
            to = y + cj__fft_at(s, line + 1, t, s->out_line) * s->out_parts;
            to[0] = 0.5f * (zi + wi);
            if (s->out_parts == 2) to[1] = 0.5f * (wr - zr);
        }
    }
}

static void transform(const job *j, int64_t first, float *work)
{
    const fft *f = j->f;
    const int64_t side = j->side, m = f->ladder.n, size = m * side;
    float *xr = work, *xi = work + size, *yr = work + 2 * size, *yi = work + 3 * size;
    const bool inverse = j->attrs->inverse;
    load(j, first, inverse ? xi : xr, inverse ? xr : xi);
    if (f->chirp) {
        for (int64_t t = 0; t < f->n; t++)
            turn(side, xr + t * side, xi + t * side, f->chirp[2 * t], f->chirp[2 * t + 1]);
        memset(xr + f->n * side, 0, (size_t)((m - f->n) * side) * sizeof *xr);
        memset(xi + f->n * side, 0, (size_t)((m - f->n) * side) * sizeof *xi);
    }
    bool second = climb(&f->ladder, side, xr, xi, yr, yi);
    float *re = second ? yr : xr, *im = second ? yi : xi;
    if (f->chirp) { /* times the filter, and back: with the parts swapped */
        for (int64_t t = 0; t < m; t++)
            turn(side, re + t * side, im + t * side, f->filter[2 * t], f->filter[2 * t + 1]);
        float *zr = second ? xr : yr, *zi = second ? xi : yi;
        if (climb(&f->ladder, side, im, re, zi, zr)) re = zr, im = zi;
        for (int64_t t = 0; t < f->n; t++)
            turn(side, re + t * side, im + t * side, f->chirp[2 * t], f->chirp[2 * t + 1]);
    }
    store(j, first, re, im, inverse ? 1 / (float)f->n : 1);
}

static void work_slots(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    const int64_t batches = (lines_of(&j->s) + j->side - 1) / j->side;
    for (int64_t slot = begin; slot < end; slot++)
        for (int64_t batch = slot; batch < batches; batch += j->f->slots)
            transform(j, batch * j->side,
                      (float *)j->k->workspace + (size_t)slot * j->f->slot_floats);
}

cj_status cj__fft_run(const cj_kernel *k)
{
    job j = {.k = k, .attrs = k->call->attributes, .f = k->prepared, .s = cj__fft_shape_of(k)};
    j.side = j.f->side;
    cj__parallel_for(k->team, j.f->slots, 1, work_slots, &j);
    return CJ_OK;
}
