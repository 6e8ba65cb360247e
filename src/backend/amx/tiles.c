/* tiles.c: the functions of tiles.h, the only ones compiled for AMX and AVX-512.
 *
 * A processor whose two hardware threads are both busy renames no tile registers: a load into one
 * then waits until the products that read it are done. So in the inner loop a register is loaded
 * again as soon as its last product is issued, two products before its next one. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* syscall */
#endif
#include "backend/amx/tiles.h"

#if defined(CJ_HAVE_AMX)
#include "backend/amx/parts.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The compiler's tile functions do not say which memory they read and write. */
#define MEMORY_BARRIER() __asm__ volatile("" ::: "memory")

/* ---- Leave to use tiles ---------------------------------------------------------------------- */

bool cj__amx_available(void)
{
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM of <asm/prctl.h> */
    unsigned a, b, c, d;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl"))
        return false;
    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
    const bool has = d >> 24 & 1 && d >> 22 & 1; /* amx-tile, amx-bf16 */
    return has && !syscall(SYS_arch_prctl, REQUEST, TILE_DATA);
}

void cj__amx_begin_rows(size_t rows)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = i < 6 ? (uint8_t)rows : CJ__AMX_ROWS; /* see cj__amx_multiply */
    }
    MEMORY_BARRIER();
    _tile_loadconfig(&config);
}

void cj__amx_begin(void) { cj__amx_begin_rows(CJ__AMX_ROWS); }

void cj__amx_end(void) { _tile_release(); }

/* ---- Panels ---------------------------------------------------------------------------------- */

static inline void split(__m512 x, __m512 y, char *panel)
{
    split_pairs(x, y, panel, CJ__AMX_PART);
}

/* rows of 32 numbers: r[i] the first half of row i, r[16 + i] the second. */
static void load_rows(const float *a, size_t ld, size_t rows, size_t depth, __m512 r[32])
{
    const __mmask16 low = first(depth), high = depth > 16 ? first(depth - 16) : 0;
    for (size_t i = 0; i < 16; i++) {
        r[i] = i < rows ? _mm512_maskz_loadu_ps(low, a + i * ld) : _mm512_setzero_ps();
        r[16 + i] = i < rows && high ? _mm512_maskz_loadu_ps(high, a + i * ld + 16)
                                     : _mm512_setzero_ps();
    }
}

/* 32 rows of 16 numbers. */
static void load_lines(const float *b, size_t ld, size_t depth, size_t columns, __m512 r[32])
{
    const __mmask16 mask = first(columns);
    for (size_t i = 0; i < 32; i++) {
        r[i] = i < depth ? _mm512_maskz_loadu_ps(mask, b + i * ld) : _mm512_setzero_ps();
        _mm_prefetch((const char *)(b + (i + 32) * ld), _MM_HINT_T0); /* the next panel's */
    }
}

static void split_all(const __m512 r[32], char *panel)
{
    for (int i = 0; i < 16; i++) split(r[i], r[16 + i], panel + 64 * i);
}

void cj__amx_left(const float *a, size_t ld, size_t rows, size_t depth, void *panel)
{
    __m512 r[32];
    if (rows == 16 && depth == 32) {
        for (size_t i = 0; i < 16; i++, a += ld)
            split(_mm512_loadu_ps(a), _mm512_loadu_ps(a + 16), (char *)panel + 64 * i);
        return;
    }
    load_rows(a, ld, rows, depth, r);
    split_all(r, panel);
}

void cj__amx_left_transposed(const float *a, size_t ld, size_t rows, size_t depth, void *panel)
{
    __m512 r[32];
    load_lines(a, ld, depth, rows, r);
    transpose(r);
    transpose(r + 16);
    split_all(r, panel);
}

void cj__amx_right(const float *b, size_t ld, size_t depth, size_t columns, void *panel)
{
    __m512 r[32];
    if (columns == 16 && depth == 32) {
        for (size_t i = 0; i < 16; i++, b += ld)
            split(_mm512_loadu_ps(b), _mm512_loadu_ps(b + 16 * ld), (char *)panel + 64 * i);
        return;
    }
    load_lines(b, ld, depth, columns, r);
    split_all(r, panel);
}

void cj__amx_right_transposed(const float *b, size_t ld, size_t depth, size_t columns, void *panel)
{
    __m512 r[32];
    load_rows(b, ld, columns, depth, r);
    transpose(r);
    transpose(r + 16);
    split_all(r, panel);
}

void cj__amx_transpose(const float *a, size_t ld, size_t rows, size_t columns, float *out,
                       size_t ld_out)
{
    __m512 r[16];
    for (size_t i = 0; i < 16; i++)
        r[i] = i < rows ? _mm512_maskz_loadu_ps(first(columns), a + i * ld) : _mm512_setzero_ps();
    transpose(r);
    for (size_t j = 0; j < columns; j++) _mm512_mask_storeu_ps(out + j * ld_out, first(rows), r[j]);
}

/* ---- Products -------------------------------------------------------------------------------- */

enum {
    SIDE = 2 * CJ__AMX_ROWS,
    NAN_OR_INFINITE = 0x99 /* of fpclass */
};

/* Accumulators 0 1 / 2 3, left 4 and 5, right 6 and 7. The compiler's names are statements. */
#define LEFT_0(step, part)                                                                         \
    { _tile_loadd(4, a + p->at[step] + (part) * p->a_part, p->a_row); }
#define LEFT_1(step, part)                                                                         \
    { _tile_loadd(5, a + p->at[step] + (part) * p->a_part + p->a_block, p->a_row); }
#define RIGHT_0(part)                                                                              \
    { _tile_loadd(6, b + (part) * b_part, 64); }
#define RIGHT_1(part)                                                                              \
    { _tile_loadd(7, b + (part) * b_part + p->b_block, 64); }
#define MULTIPLY(c, x, y)                                                                          \
    { _tile_dpbf16ps(c, x, y); }
/* Four products; then the right, or the left, is another part. */
#define THEN_RIGHT(part)                                                                           \
    MULTIPLY(0, 4, 6) MULTIPLY(2, 5, 6) RIGHT_0(part)                                              \
    MULTIPLY(1, 4, 7) MULTIPLY(3, 5, 7) RIGHT_1(part)
#define THEN_LEFT(part)                                                                            \
    MULTIPLY(0, 4, 6) MULTIPLY(1, 4, 7) LEFT_0(s, part)                                            \
    MULTIPLY(2, 5, 6) MULTIPLY(3, 5, 7) LEFT_1(s, part)

/* Accumulators = the sum over steps [first, past). */
static inline void sum_steps(const cj__amx_product *p, size_t first, size_t past)
{
    enum { H, M, L };
    const size_t b_part = p->b_part ? p->b_part : CJ__AMX_PART,
                 b_step = p->b_step ? p->b_step : CJ__AMX_PANEL;
    const char *a = p->a, *b = p->b + first * b_step;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    RIGHT_0(L)
    LEFT_0(first, H)
    RIGHT_1(L)
    LEFT_1(first, H)
    for (size_t s = first; s < past; s++) {
        const bool more = s + 1 < past;
        THEN_RIGHT(M) /* h l' */
        THEN_LEFT(M)  /* h m' */
        THEN_RIGHT(H) /* m m' */
        THEN_LEFT(L)  /* m h' */
        THEN_LEFT(H)  /* l h' */
        b += b_step;
        MULTIPLY(0, 4, 6)
        MULTIPLY(1, 4, 7)
        if (more) LEFT_0(s + 1, H)
        MULTIPLY(2, 5, 6)
        if (more) RIGHT_0(L)
        MULTIPLY(3, 5, 7)
        if (more) LEFT_1(s + 1, H)
        if (more) RIGHT_1(L)
    }
}

static inline void store_sums(float *c, size_t ld)
{
    const size_t row = ld * sizeof(float);
    _tile_stored(0, c, row);
    _tile_stored(1, c + 16, row);
    _tile_stored(2, c + 16 * ld, row);
    _tile_stored(3, c + 16 * ld + 16, row);
    MEMORY_BARRIER();
}

/* 16 floats from their parts; an infinite or NaN h is all there is. */
static inline __m512 join(const char *panel, size_t part_bytes, bool high, __mmask16 *there)
{
    __m512 x[3];
    for (size_t part = 0; part < 3; part++) {
        const __m512i pair = _mm512_loadu_si512(panel + part * part_bytes);
        x[part] = _mm512_castsi512_ps(
            high ? _mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000u))
                 : _mm512_slli_epi32(pair, 16));
    }
    *there = _mm512_cmpneq_epi32_mask(_mm512_castps_si512(x[2]),
                                      _mm512_set1_epi32((int)((unsigned)CJ__AMX_NONE << 16)));
    const __mmask16 odd = _mm512_fpclass_ps_mask(x[0], NAN_OR_INFINITE);
    return _mm512_mask_mov_ps(_mm512_add_ps(_mm512_add_ps(x[0], x[1]), x[2]), odd, x[0]);
}

/* The sum over steps [first, past) by multiply-adds in f32, as infinities and NaNs want it. */
static void multiply_plain(const cj__amx_product *p, size_t first, size_t past,
                           float square[SIDE * SIDE])
{
    const size_t b_part = p->b_part ? p->b_part : CJ__AMX_PART,
                 b_step = p->b_step ? p->b_step : CJ__AMX_PANEL;
    memset(square, 0, SIDE * SIDE * sizeof(float));
    for (size_t s = first; s < past; s++) {
        const char *b = p->b + s * b_step;
        for (size_t r = 0; r < SIDE; r++) {
            const char *a = p->a + p->at[s] + r % 16 * p->a_row + r / 16 * p->a_block;
            float left[32], *c = square + r * SIDE;
            __mmask16 low, high, there;
            _mm512_storeu_ps(left, join(a, p->a_part, false, &low));
            _mm512_storeu_ps(left + 16, join(a, p->a_part, true, &high));
            for (size_t i = 0; i < 32; i++) {
                if (!(((uint32_t)high << 16 | low) >> i & 1)) continue;
                const __m512 x = _mm512_set1_ps(left[i]);
                for (size_t j = 0; j < 2; j++) {
                    const __m512 y = join(b + j * p->b_block + i % 16 * 64, b_part, i >= 16,
                                          &there),
                                 sum = _mm512_loadu_ps(c + 16 * j);
                    _mm512_storeu_ps(c + 16 * j, _mm512_mask3_fmadd_ps(x, y, sum, there));
                }
            }
        }
    }
}

/* Rows r and 16 + r, r < rows, of 32 numbers are finite: so is nought times them. */
static inline bool is_finite(const float *c, size_t ld, size_t rows)
{
    const float *below = c + CJ__AMX_ROWS * ld;
    const __m512 zero = _mm512_setzero_ps();
    __m512 sum[4] = {zero, zero, zero, zero};
    for (size_t r = 0; r < rows; r++, c += ld, below += ld) {
        sum[0] = _mm512_fmadd_ps(_mm512_loadu_ps(c), zero, sum[0]);
        sum[1] = _mm512_fmadd_ps(_mm512_loadu_ps(c + 16), zero, sum[1]);
        sum[2] = _mm512_fmadd_ps(_mm512_loadu_ps(below), zero, sum[2]);
        sum[3] = _mm512_fmadd_ps(_mm512_loadu_ps(below + 16), zero, sum[3]);
    }
    const __m512 all = _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]),
                                     _mm512_add_ps(sum[2], sum[3]));
    return !_mm512_cmp_ps_mask(all, all, _CMP_UNORD_Q);
}

static inline void add_rows(float *c, size_t ld, const float *square, size_t rows, bool add)
{
    for (size_t r = 0; r < rows; r++, c += ld, square += SIDE)
        for (size_t j = 0; j < SIDE; j += 16) {
            const __m512 x = _mm512_load_ps(square + j);
            _mm512_storeu_ps(c + j, add ? _mm512_add_ps(_mm512_loadu_ps(c + j), x) : x);
        }
}

void cj__amx_multiply(const cj__amx_product *p)
{
    enum { STEPS = 9 }; /* longer sums round more; windows have nine places */
    const size_t rows = p->rows ? p->rows : CJ__AMX_ROWS, parts = (p->steps + STEPS - 1) / STEPS,
                 steps = parts ? (p->steps + parts - 1) / parts : 0;
    _Alignas(64) float square[SIDE * SIDE];
    MEMORY_BARRIER();
    for (size_t first = 0; first < p->steps; first += steps) {
        const size_t past = first + steps < p->steps ? first + steps : p->steps;
        const bool add = first || p->add;
        float *sums = add ? square : p->c;
        sum_steps(p, first, past);
        store_sums(sums, add ? SIDE : p->ldc);
        const bool finite = is_finite(sums, add ? SIDE : p->ldc, rows);
        if (!finite) multiply_plain(p, first, past, square);
        if (!add && finite) continue;
        add_rows(p->c, p->ldc, square, rows, add);
        add_rows(p->c + CJ__AMX_ROWS * p->ldc, p->ldc, square + CJ__AMX_ROWS * SIDE, rows, add);
    }
}

void cj__amx_store(const float *c, size_t ldc, size_t rows, size_t columns, const float *bias,
                   const float *addend, bool relu, float *y, size_t ldy)
{
    for (size_t i = 0; i < rows; i++, c += ldc, y += ldy) {
        for (size_t j = 0; j < columns; j += 16) {
            const __mmask16 mask = first(columns - j);
            __m512 x = _mm512_maskz_loadu_ps(mask, c + j);
            if (addend)
                x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, addend + i * ldy + j));
            if (bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, bias + j));
            if (relu) x = _mm512_max_ps(_mm512_setzero_ps(), x); /* NaN stays */
            _mm512_mask_storeu_ps(y + j, mask, x);
        }
    }
}

#else

bool cj__amx_available(void) { return false; }

#endif
