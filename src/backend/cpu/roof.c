/* roof.c: how fast the processor is when nothing stands in its way.
 *
 * Two loops give the two limits that every kernel has: vector multiply-adds out of registers, and
 * the sum of two arrays that no cache holds, which is what a sweep over memory does. Each loop is
 * cut into blocks for the team and timed some times; the best time counts, because a shared machine
 * can only make a time longer. */
#include "backend/cpu/cpu.h"

#include <string.h>

enum { TRIES = 6, BLOCKS = 16 /* for each thread */, ROUNDS = 1 << 15, ELEMENTS = 1 << 23 };

typedef struct loop {
    const cj__isa *isa;
    float *a, *b, *sum; /* ELEMENTS each */
    float results[4096];
} loop;

static void multiply(void *arg, int64_t begin, int64_t end)
{
    loop *l = arg;
    for (int64_t i = begin; i < end; i++)
        l->results[i % (int64_t)CJ__COUNT(l->results)] = l->isa->fma_chains(ROUNDS);
}

static void add(void *arg, int64_t begin, int64_t end)
{
    loop *l = arg;
    l->isa->binary_f32[CJ__BINARY_ADD]((size_t)(end - begin), l->a + begin, l->b + begin,
                                       l->sum + begin, 0);
}

static double best_seconds(cj_context *cj, cj__team *team, int64_t n, int64_t block,
                           cj__work_fn work, loop *l)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        int64_t begin = cj__monotonic_ns(cj);
        cj__parallel_for(team, n, block, work, l);
        int64_t took = cj__monotonic_ns(cj) - begin;
        if (took < best) best = took;
    }
    return best > 0 ? (double)best * 1e-9 : 1e-9; /* a clock that stands still */
}

cj_status cj__cpu_measure(cj_context *cj, cj__team *team, double *gflops, double *gb_per_s)
{
    const size_t bytes = ELEMENTS * sizeof(float);
    loop *l = cj__alloc(cj, sizeof *l);
    float *arrays = l ? cj__alloc_aligned(cj, 3 * bytes) : NULL;
    if (arrays) {
        memset(arrays, 0, 3 * bytes); /* pages nobody wrote are all one page of zeros */
        *l = (loop){cj__isa_best(), arrays, arrays + ELEMENTS, arrays + 2 * ELEMENTS, {0}};
        int64_t blocks = (int64_t)cj__team_threads(team) * BLOCKS;
        double flops = 2.0 * CJ__FMA_CHAINS * l->isa->lanes * ROUNDS * (double)blocks;
        *gflops = flops / best_seconds(cj, team, blocks, 1, multiply, l) * 1e-9;
        *gb_per_s = 3.0 * (double)bytes /
                    best_seconds(cj, team, ELEMENTS, ELEMENTS / 64, add, l) * 1e-9;
    }
    cj__free_aligned(cj, arrays, 3 * bytes);
    if (l) cj__free(cj, l, sizeof *l);
    return arrays ? CJ_OK : CJ_ERR_MEMORY;
}
