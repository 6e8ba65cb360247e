/* tiles.h: f32 products on tile registers (Intel AMX), which multiply bfloat16 and add in f32.
 *
 * A float is the sum of three bfloat16 of 8 bits each, exactly: x = h + m + l. Of the nine products
 * of parts the three smallest are below 2^-23 of the whole and left out:
 *
 *     x y  =  h h' + (h m' + m h') + (h l' + m m' + l h')
 *
 * Six bfloat16 products for one of f32 are still faster, for a tile instruction does 16 x 16 x 32
 * of them in 16 cycles. Errors are not above those of a chain of f32 multiply-adds: tests/backend/
 * test_amx.c measures both. An infinity has no such parts: a block with a result that is not finite
 * is computed again in f32 from what the panels hold, so infinities and NaNs are as f32 has them.
 * There, padding is no operand at all: its last part is -0, which a number never has
 * (CJ__AMX_NONE). Numbers below 2^-102 lose their last part. The idea: Henry, Tang, Heinecke,
 * "Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations",
 * ARITH 2019.
 *
 * A *left panel* is 16 rows by 32 k, a *right panel* 32 k by 16 columns; each has three parts of
 * CJ__AMX_PART bytes, h, m, l. In a left panel row r has k and k + 16 of its 32 side by side, so
 * has a right panel: one dword holds both, and the parts come out of masks and shifts alone. */
#ifndef CAJAL_BACKEND_AMX_TILES_H
#define CAJAL_BACKEND_AMX_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CJ__AMX_ROWS = 16,
    CJ__AMX_K = 32,
    CJ__AMX_PART = 1024,                /* bytes of one part of a panel */
    CJ__AMX_PANEL = 3 * CJ__AMX_PART,
    CJ__AMX_NONE = 0x8000               /* the last part of what is not there */
};

/* Has this processor the registers, and does the system let this process use them? Asking is a
 * system call, so it is for plans, not for runs. False where they are not compiled in. */
bool cj__amx_available(void);

/* What is between these two on a thread may use tiles: the functions below that say so. */
void cj__amx_begin(void);
/* The same with fewer rows of left tiles and results, which takes less time: cj__amx_multiply then
 * makes rows 0 .. rows - 1 and 16 .. 16 + rows - 1. */
void cj__amx_begin_rows(size_t rows);
void cj__amx_end(void);

/* The panel of a[r * ld + k], r < rows <= 16 and k < depth <= 32; zeros elsewhere. */
void cj__amx_left(const float *a, size_t ld, size_t rows, size_t depth, void *panel);
/* The same of a[k * ld + r]. */
void cj__amx_left_transposed(const float *a, size_t ld, size_t rows, size_t depth, void *panel);
/* The panel of b[k * ld + j], k < depth <= 32 and j < columns <= 16; zeros elsewhere. */
void cj__amx_right(const float *b, size_t ld, size_t depth, size_t columns, void *panel);
/* The same of b[j * ld + k]. */
void cj__amx_right_transposed(const float *b, size_t ld, size_t depth, size_t columns, void *panel);

/* y = act(from + sum over `steps` of left times right + addend + bias), 32 rows and columns. */
typedef struct cj__amx_product {
    size_t steps;           /* 0: the sum is zero */
    size_t rows;            /* of cj__amx_begin_rows, or 16 */
    const char *a; /* tile of row block i, part p, step s: a + i a_block + p a_part + at[s] */
    const ptrdiff_t *at;    /* bytes, by step */
    size_t a_row;           /* bytes between rows of a tile; 64: panels as above */
    size_t a_part, a_block;
    const char *b;          /* right panels */
    size_t b_part, b_step;  /* bytes from part to part, from step to step */
    size_t b_block;         /* bytes from those of columns 0..15 to those of 16..31 */
    float *y;               /* not overlapping the others */
    ptrdiff_t row[32];      /* floats from y to row r; negative: it goes nowhere */
    size_t columns;         /* that go somewhere, 1 to 32 */
    const float *from;      /* rows ld_from floats apart, possibly y's; NULL: zeros */
    size_t ld_from;
    const float *bias;      /* by column, or NULL */
    const float *addend;    /* where it is as in y, or NULL */
    bool relu;
} cj__amx_product;

/* Products of one thread, one behind the other: the last one's sums are brought where they go while
 * the next is computed, and all it points to must stay until then. Begins with
 * cj__amx_pipe_init and ends with cj__amx_finish. */
typedef struct cj__amx_pipe {
    bool waits, ends;       /* steps [first, past) of a product; they are its last */
    int turn;               /* their sums */
    size_t first, past;
    cj__amx_product product;
    const float *before[32]; /* by row: what is added */
    float *to[32];
    _Alignas(64) float sums[2][1024];
    float whole[1024];      /* of steps [0, first) */
    float zeros[32], nowhere[32];
} cj__amx_pipe;
void cj__amx_pipe_init(cj__amx_pipe *pipe);
void cj__amx_multiply(cj__amx_pipe *pipe, const cj__amx_product *p); /* uses tiles */
void cj__amx_finish(cj__amx_pipe *pipe);

/* out[j * ld_out + i] = a[i * ld + j], i < rows <= 16 and j < columns <= 16. */
void cj__amx_transpose(const float *a, size_t ld, size_t rows, size_t columns, float *out,
                       size_t ld_out);

#endif
