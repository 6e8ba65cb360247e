/* random.c: Philox 4x32-10: ten rounds of two 32 x 32 -> 64 bit products stir a 128-bit counter
 * with a 64-bit key. Neighbouring counters give unrelated words, so nothing needs to be remembered:
 *
 *     key     = (seed low, seed high)
 *     counter = (element / 4, sample, step, stream)     ->  words 4k, 4k+1, 4k+2, 4k+3 */
#include "base/random.h"

#include <math.h>

typedef struct block {
    uint32_t word[4];
} block;

static inline block philox(block c, uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xd2511f53 * c.word[0], q = (uint64_t)0xcd9e8d57 * c.word[2];
        c = (block){{(uint32_t)(q >> 32) ^ c.word[1] ^ k0, (uint32_t)q,
                     (uint32_t)(p >> 32) ^ c.word[3] ^ k1, (uint32_t)p}};
        k0 += 0x9e3779b9; /* the golden ratio */
        k1 += 0xbb67ae85; /* sqrt(3) - 1 */
    }
    return c;
}

void cj__philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    block b = philox((block){{counter[0], counter[1], counter[2], counter[3]}}, key[0], key[1]);
    for (int i = 0; i < 4; i++) out[i] = b.word[i];
}

static inline block block_at(cj__random_key key, uint32_t index)
{
    return philox((block){{index, key.sample, key.step, key.stream}}, (uint32_t)key.seed,
                  (uint32_t)(key.seed >> 32));
}

uint32_t cj__random_u32(cj__random_key key, uint32_t element)
{
    return block_at(key, element / 4).word[element % 4];
}

void cj__random_fill_u32(cj__random_key key, uint32_t first, uint32_t *out, size_t n)
{
    size_t i = 0;
    while (i < n && (first + (uint32_t)i) % 4) {
        out[i] = cj__random_u32(key, first + (uint32_t)i);
        i++;
    }
    for (; n - i >= 4; i += 4) {
        block b = block_at(key, (first + (uint32_t)i) / 4);
        for (int k = 0; k < 4; k++) out[i + (size_t)k] = b.word[k];
    }
    for (; i < n; i++) out[i] = cj__random_u32(key, first + (uint32_t)i);
}

float cj__random_unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* sqrt(-2 ln u) cos(2 pi v) with u in (0, 1], v in [0, 1). */
double cj__random_normal(uint32_t a, uint32_t b)
{
    double u = ((double)a + 1) * 0x1p-32, v = (double)b * 0x1p-32;
    return sqrt(-2 * log(u)) * cos(6.283185307179586477 * v);
}

/* 64-bit words one after another: block k of the counter (k low, k high, step, stream). */
typedef struct words {
    cj__random_key key;
    uint64_t next;
} words;

static uint64_t next_u64(words *w)
{
    cj__random_key key = w->key;
    key.sample = (uint32_t)(w->next >> 33);
    block b = block_at(key, (uint32_t)(w->next >> 1));
    int half = (int)(w->next++ & 1) * 2;
    return (uint64_t)b.word[half + 1] << 32 | b.word[half];
}

/* Words of the incomplete last round of `bound` are drawn again: every value is equally likely. */
static uint64_t below(words *w, uint64_t bound)
{
    uint64_t x, rest = (UINT64_MAX % bound + 1) % bound; /* 2^64 mod bound */
    do x = next_u64(w);
    while (x > UINT64_MAX - rest);
    return x % bound;
}

void cj__random_shuffle(uint64_t seed, uint32_t stream, uint32_t step, int64_t *items, int64_t n)
{
    words w = {{seed, stream, step, 0}, 0};
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)below(&w, (uint64_t)i + 1), item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}
