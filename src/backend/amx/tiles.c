/* tiles.c: the functions of tiles.h, the only ones compiled for AMX and AVX-512.
 *
 * A processor whose two hardware threads are both busy renames no tile registers: a load into one
 * then waits until the products that read it are done. So in the inner loop a register is loaded
 * again as soon as its last product is issued, two products before its next one. And there, a
 * scheduler full of tile instructions that wait runs them at half the rate that one with few does:
 * so something else stands between them, fetching what comes next, or nothing at all. A busy
 * neighbour costs a half then, where it cost three quarters (bench/internal/tiles.c). */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* syscall */
#endif
#include "backend/amx/tiles.h"

#if defined(CJ_HAVE_AMX)
#include "backend/amx/parts.h"

#include <math.h>
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
    FIRST_ROW = 8,         /* of a step's 24 products: before it, the sums are on their way */
    NAN_OR_INFINITE = 0x99 /* of fpclass */
};

typedef cj__amx_product product;
typedef cj__amx_pipe pipeline;

/* Where the rows of the waiting square go and what is added to them, so that finish_rows need not
 * ask: what there is not is zeros, and what goes nowhere goes to a place nobody reads. */
static void aim(pipeline *w)
{
    const product *p = &w->product;
    w->ends = w->past == p->steps;
    for (size_t r = 0; r < SIDE; r++) {
        const bool there = p->row[r] >= 0;
        const float *before = w->first ? w->whole + r * SIDE
                              : p->from && there ? p->from + r * p->ld_from
                                                 : w->zeros;
        w->before[r] = before;
        w->to[r] = !w->ends ? w->whole + r * SIDE : there ? p->y + p->row[r] : w->nowhere;
    }
}

typedef struct ending {
    __mmask16 mask[2];
    __m512 bias[2], least, check; /* check: nought times each sum, added up */
} ending;

static inline ending ending_of(const pipeline *w)
{
    const product *p = &w->product;
    const __m512 zero = _mm512_setzero_ps();
    ending e = {.mask = {first(p->columns), p->columns > 16 ? first(p->columns - 16) : 0},
                .bias = {zero, zero},
                .least = w->ends && p->relu ? zero : _mm512_set1_ps(-INFINITY),
                .check = zero};
    for (size_t j = 0; j < 2 && w->ends && p->bias; j++)
        e.bias[j] = _mm512_maskz_loadu_ps(e.mask[j], p->bias + 16 * j);
    return e;
}

/* Rows `row` and 16 + row of the square that waits: brought where they go. What was added to them
 * takes their place. */
static inline void finish_rows(pipeline *w, size_t row, ending *e)
{
    const float *addend = w->ends ? w->product.addend : NULL;
    for (size_t r = row; r < SIDE; r += CJ__AMX_ROWS) {
        for (size_t j = 0; j < 2; j++) {
            float *sum = w->sums[w->turn] + r * SIDE + 16 * j;
            const __m512 before = _mm512_maskz_loadu_ps(e->mask[j], w->before[r] + 16 * j);
            __m512 x = _mm512_load_ps(sum);
            e->check = _mm512_fmadd_ps(x, _mm512_setzero_ps(), e->check);
            x = _mm512_add_ps(before, x);
            _mm512_store_ps(sum, before);
            if (addend && w->product.row[r] >= 0)
                x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(e->mask[j], addend + w->product.row[r] +
                                                                           16 * j));
            x = _mm512_add_ps(x, e->bias[j]);
            x = _mm512_max_ps(e->least, x); /* NaN stays */
            _mm512_mask_storeu_ps(w->to[r] + 16 * j, e->mask[j], x);
        }
    }
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
static void multiply_plain(const product *p, size_t first, size_t past, float *square)
{
    memset(square, 0, SIDE * SIDE * sizeof(float));
    for (size_t s = first; s < past; s++) {
        const char *b = p->b + s * p->b_step;
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
                    const __m512 y = join(b + j * p->b_block + i % 16 * 64, p->b_part, i >= 16,
                                          &there),
                                 sum = _mm512_loadu_ps(c + 16 * j);
                    _mm512_storeu_ps(c + 16 * j, _mm512_mask3_fmadd_ps(x, y, sum, there));
                }
            }
        }
    }
}

/* When all rows are finished: were the sums finite? If not, they are made and finished again. */
static inline void conclude(pipeline *w, ending *e)
{
    w->waits = false;
    if (!_mm512_cmp_ps_mask(e->check, e->check, _CMP_UNORD_Q)) return;
    float *sums = w->sums[w->turn];
    memcpy(w->whole, sums, sizeof w->whole); /* what was added */
    for (size_t r = 0; r < SIDE; r++) w->before[r] = w->whole + r * SIDE;
    multiply_plain(&w->product, w->first, w->past, sums);
    for (size_t r = 0; r < w->product.rows; r++) finish_rows(w, r, e);
}

void cj__amx_pipe_init(cj__amx_pipe *w)
{
    w->waits = false;
    w->turn = 0;
    memset(w->zeros, 0, sizeof w->zeros);
}

void cj__amx_finish(cj__amx_pipe *w)
{
    if (!w->waits) return;
    ending e = ending_of(w);
    for (size_t r = 0; r < w->product.rows; r++) finish_rows(w, r, &e);
    conclude(w, &e);
}

/* The compiler's names of tiles are statements. Accumulators 0 1 / 2 3, left 4 and 5, right 6 and
 * 7. */
#define SPACE __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop; nop; nop");
#define LEFT_0(part)                                                                               \
    { _tile_loadd(4, a + (part) * p->a_part, p->a_row); SPACE }
#define LEFT_1(part)                                                                               \
    { _tile_loadd(5, a + (part) * p->a_part + p->a_block, p->a_row); SPACE }
#define RIGHT_0(part)                                                                              \
    { _tile_loadd(6, b + (part) * p->b_part, 64); SPACE }
#define RIGHT_1(part)                                                                              \
    { _tile_loadd(7, b + (part) * p->b_part + p->b_block, 64); SPACE }
#define MULTIPLY(n, c, x, y)                                                                       \
    { _tile_dpbf16ps(c, x, y); do_beside(p, next_a, next_b, n, w, &e); }
/* Four products; then the right, or the left, is another part. */
#define THEN_RIGHT(n, part)                                                                        \
    MULTIPLY(n, 0, 4, 6) MULTIPLY(n + 1, 2, 5, 6) RIGHT_0(part)                                    \
    MULTIPLY(n + 2, 1, 4, 7) MULTIPLY(n + 3, 3, 5, 7) RIGHT_1(part)
#define THEN_LEFT(n, part)                                                                         \
    MULTIPLY(n, 0, 4, 6) MULTIPLY(n + 1, 1, 4, 7) LEFT_0(part)                                     \
    MULTIPLY(n + 2, 2, 5, 6) MULTIPLY(n + 3, 3, 5, 7) LEFT_1(part)
#define INLINE static inline __attribute__((always_inline))

enum { H, M, L }; /* parts */

/* What follows product n of a step: a quarter of a tile of the next step's, left and right, is
 * fetched, and two rows of the square that waits in w, if not NULL, are finished. */
INLINE void do_beside(const product *p, const char *next_a, const char *next_b, size_t n,
                      pipeline *w, ending *e)
{
    const size_t part = n / 8, block = n / 4 % 2, row = n % 4 * 4;
    next_a += part * p->a_part + block * p->a_block + row * p->a_row;
    next_b += part * p->b_part + block * p->b_block + row * 64;
    for (size_t i = 0; i < 4; i++) {
        _mm_prefetch(next_a + i * p->a_row, _MM_HINT_T0);
        _mm_prefetch(next_b + i * 64, _MM_HINT_T0);
    }
    if (w && n >= FIRST_ROW && n - FIRST_ROW < w->product.rows) finish_rows(w, n - FIRST_ROW, e);
    else __asm__ volatile("nop; nop; nop; nop");
}

/* Left h and right l are loaded before; in the end those of the next step are, if there is one. */
INLINE void add_step(const product *p, size_t s, size_t past, pipeline *w)
{
    const bool more = s + 1 < past;
    const char *a = p->a + p->at[s], *b = p->b + s * p->b_step,
               *next_a = more ? p->a + p->at[s + 1] : a, *next_b = b + p->b_step;
    ending e;
    if (w) e = ending_of(w);
    THEN_RIGHT(0, M) /* h l' */
    THEN_LEFT(4, M)  /* h m' */
    THEN_RIGHT(8, H) /* m m' */
    THEN_LEFT(12, L) /* m h' */
    THEN_LEFT(16, H) /* l h' */
    a = next_a;
    b = next_b;
    MULTIPLY(20, 0, 4, 6)
    MULTIPLY(21, 1, 4, 7)
    if (more) LEFT_0(H)
    MULTIPLY(22, 2, 5, 6)
    if (more) RIGHT_0(L)
    MULTIPLY(23, 3, 5, 7)
    if (more) LEFT_1(H)
    if (more) RIGHT_1(L)
    if (w) conclude(w, &e);
}

/* Accumulators = the sum over steps [first, past), while what waits in w is finished. */
static void sum_steps(const product *p, size_t first, size_t past, pipeline *w)
{
    const char *a = p->a + p->at[first], *b = p->b + first * p->b_step;
    RIGHT_0(L)
    LEFT_0(H)
    RIGHT_1(L)
    LEFT_1(H)
    if (w->waits) add_step(p, first++, past, w);
    for (size_t s = first; s < past; s++) add_step(p, s, past, NULL);
}

static inline void store_sums(float *square)
{
    const size_t row = SIDE * sizeof(float);
    _tile_stored(0, square, row);
    _tile_stored(1, square + 16, row);
    _tile_stored(2, square + 16 * SIDE, row);
    _tile_stored(3, square + 16 * SIDE + 16, row);
    MEMORY_BARRIER();
}

void cj__amx_multiply(cj__amx_pipe *w, const cj__amx_product *p)
{
    enum { STEPS = 9 }; /* longer sums round more; windows have nine places */
    const size_t parts = p->steps ? (p->steps + STEPS - 1) / STEPS : 1,
                 steps = (p->steps + parts - 1) / parts;
    size_t first = 0;
    MEMORY_BARRIER();
    do {
        const size_t past = first + steps < p->steps ? first + steps : p->steps;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        if (p->steps) sum_steps(p, first, past, w);
        else cj__amx_finish(w);
        w->turn = !w->turn;
        store_sums(w->sums[w->turn]);
        if (!first) w->product = *p;
        w->first = first;
        w->past = past;
        w->waits = true;
        aim(w);
        first = past;
    } while (first < p->steps);
}

#else

bool cj__amx_available(void) { return false; }

#endif
