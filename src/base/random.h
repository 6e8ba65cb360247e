/* random.h: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * There is no generator state. Number i of a tensor is a function of the key (seed) and the counter
 * (stream, step, global sample index, element), so results do not depend on threads or batches. */
#ifndef CAJAL_BASE_RANDOM_H
#define CAJAL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void cj__philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* What a random value is a function of, but for the element. */
typedef struct cj__random_key {
    uint64_t seed;
    uint32_t stream, step, sample;
} cj__random_key;

/* Word `element` of the stream: counter = (element / 4, sample, step, stream), word element % 4. */
uint32_t cj__random_u32(cj__random_key key, uint32_t element);
/* `n` words from element `first` on: whole Philox blocks are used as they come. */
void cj__random_fill_u32(cj__random_key key, uint32_t first, uint32_t *out, size_t n);
/* [0, 1) with 24 bits, exact in float: (word >> 8) * 2^-24. */
float cj__random_unit(uint32_t word);
/* Standard normal from two words (Box-Muller, in double). */
double cj__random_normal(uint32_t a, uint32_t b);

/* Permutes the n items in place (Fisher-Yates with unbiased bounded draws), the same everywhere:
 * fill them with 0 .. n-1 before for a seeded permutation. */
void cj__random_shuffle(uint64_t seed, uint32_t stream, uint32_t step, int64_t *items, int64_t n);

#endif
