/* parallel.h: fixed blocks over a team of threads.
 *
 * Work is cut into blocks whose size depends on the work alone, never on the number of threads, and
 * partial results are combined in a fixed tree: the same bits for any number of threads. A team of
 * one enters no thread library at all, so fork after load works. Built on OpenMP (default) or on
 * our own pthread pool (CJ_POOL=pthread: TSan, macOS, hosts that fork). */
#ifndef CAJAL_BASE_PARALLEL_H
#define CAJAL_BASE_PARALLEL_H

#include "base/context.h"

typedef struct cj__team cj__team;

/* threads >= 1. The pool's threads start lazily at the first parallel_for that has more than a
 * block. */
cj__team *cj__team_new(cj_context *cj, int threads);
void cj__team_free(cj__team *team);
int cj__team_threads(const cj__team *team);

/* Calls work(arg, begin, end) for [0, block), [block, 2 block) ... up to n, each once, on any
 * thread. Returns when all are done. team may be NULL (this thread alone). Not to be nested. */
typedef void (*cj__work_fn)(void *arg, int64_t begin, int64_t end);
void cj__parallel_for(cj__team *team, int64_t n, int64_t block, cj__work_fn work, void *arg);

/* Sum of `n` partial results in a fixed binary tree; overwrites `partial`. 0 for n = 0. */
double cj__tree_sum_f64(double *partial, int64_t n);
/* The same for n rows of `width` floats: row 0 holds the sums afterwards. */
void cj__tree_sum_rows_f32(float *rows, int64_t n, int64_t width);

#endif
