/* parallel_openmp.c: the team is a number, OpenMP keeps the threads. Blocks are handed out one by
 * one, because cores may be shared or of two kinds; which thread takes a block changes no bit.
 * Compiled without OpenMP, or with CJ_POOL_PTHREAD, this file is empty and parallel_pthread.c
 * stands in. */
#include "base/float_mode.h"
#include "base/parallel.h"

#if defined(_OPENMP) && !defined(CJ_POOL_PTHREAD)

struct cj__team {
    cj_context *cj;
    int threads;
};

cj__team *cj__team_new(cj_context *cj, int threads)
{
    CJ_ASSERT(threads >= 1);
    cj__team *team = cj__alloc(cj, sizeof *team);
    if (team) *team = (cj__team){cj, threads};
    return team;
}

void cj__team_free(cj__team *team)
{
    if (team) cj__free(team->cj, team, sizeof *team);
}

int cj__team_threads(const cj__team *team)
{
    return team ? team->threads : 1;
}

void cj__parallel_for(cj__team *team, int64_t n, int64_t block, cj__work_fn work, void *arg)
{
    if (n <= 0) return;
    if (block <= 0 || block > n) block = n;
    int64_t blocks = (n - 1) / block + 1;
    int threads = cj__team_threads(team);
    if (threads > blocks) threads = (int)blocks;
    if (threads <= 1) {
        for (int64_t i = 0; i < blocks; i++)
            work(arg, i * block, n - i * block < block ? n : (i + 1) * block);
        return;
    }
    uint64_t mode = cj__float_mode();
#pragma omp parallel num_threads(threads)
    {
        uint64_t before = cj__float_mode();
        cj__float_mode_set(mode);
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < blocks; i++)
            work(arg, i * block, n - i * block < block ? n : (i + 1) * block);
        cj__float_mode_set(before);
    }
}

#endif
