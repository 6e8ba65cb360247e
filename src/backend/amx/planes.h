/* planes.h: how convolutions bring numbers to and from tiles, beside what tiles.h has for matrices.
 *
 * A *plane* holds one part of the numbers of many pixels, 32 channels of a pixel to a row of 64
 * bytes (channel c beside channel c + 16): sixteen rows anywhere in it are a left tile, so the
 * window's places are addresses and nothing is gathered. */
#ifndef CAJAL_BACKEND_AMX_PLANES_H
#define CAJAL_BACKEND_AMX_PLANES_H

#include "backend/amx/tiles.h"

/* Row i < rows: `depth` <= 32 numbers of a + i ld, zeros behind them, at to + i row_bytes; part p
 * lies p part_bytes further on. Rows and parts begin at multiples of 64 bytes. */
void cj__amx_split(const float *a, size_t ld, size_t rows, size_t depth, char *to,
                   size_t row_bytes, size_t part_bytes);

enum { CJ__AMX_PLACES_MAX = 9 };
/* Right panels of b[k * places + i + j * ld], i < places <= 9, k < depth <= 32, j < columns <= 16,
 * one behind the other: of weights [columns, depth, places]. */
void cj__amx_right_places(const float *b, size_t places, size_t ld, size_t depth,
                          size_t columns, char *panels);
/* The right panel of b[k * k_step + j * j_step], k < depth <= 32 and j < columns <= 16. */
void cj__amx_right_apart(const float *b, size_t k_step, size_t j_step, size_t depth,
                         size_t columns, void *panel);

/* One row of padding. */
void cj__amx_split_none(char *to, size_t part_bytes);

/* Pixels at a + at[i], or padding where at[i] < 0, of many numbers each; 32, and the one after. */
typedef struct cj__amx_pixels {
    const float *a;
    ptrdiff_t at[CJ__AMX_K + 1];
} cj__amx_pixels;
/* The left panel whose row j < channels <= 16 is number `channel` + j of the 32 pixels, k the
 * pixel; pixels 2 k and 2 k + 1 are side by side, unlike in other panels. */
void cj__amx_left_pixels(const cj__amx_pixels *p, size_t channel, size_t channels, char *panel);
/* The right tile that belongs to it: 16 rows of 64 bytes, row i numbers `channel` to `channel` + 15
 * of pixels 2 i and 2 i + 1. In a longer plane of them every even pixel begins a tile; `odd`,
 * unless NULL, is the same one pixel later. */
void cj__amx_right_pixels(const cj__amx_pixels *p, size_t channel, size_t channels, char *even,
                          char *odd, size_t part_bytes);

/* w[j * ld + c * places + i] = the sum over k < n of sums[k * step + i * 1024 + j * 32 + c], j <
 * rows and c < depth <= 32: squares of weight gradients, added in order, to where weights lie;
 * places <=
 * 64. False when a sum is not finite. */
void cj__amx_store_places(const float *sums, size_t n, size_t step, size_t places, size_t rows,
                          size_t depth, float *w, size_t ld);

#endif
