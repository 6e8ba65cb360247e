/* parallel_pthread.c: our own pool, for ThreadSanitizer, macOS and programs that fork.
 *
 * A job is numbered blocks; every thread of the team, the caller among them, takes the next number
 * from an atomic counter until none is left. Workers start at the first job that has more than one
 * block, and sleep between jobs:
 *
 *     caller:  post job, generation++, wake all --- take blocks --- wait until `busy` is 0
 *     worker:  sleep until generation or quit changes --- take blocks --- busy--, wake the caller
 *
 * Every wait ends: the caller's because a worker takes blocks and then signals, the worker's
 * because cj__team_free sets `quit` and joins. A forked child has no workers: it notices by its
 * process number and works alone. */
#if !defined(_GNU_SOURCE) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include "base/float_mode.h"
#include "base/parallel.h"

#if !defined(_OPENMP) || defined(CJ_POOL_PTHREAD)

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct job {
    int64_t n, block, blocks;
    cj__work_fn work;
    void *arg;
    _Atomic int64_t next;
    uint64_t float_mode; /* the caller's */
} job;

typedef struct worker {
    struct cj__team *team;
    int index;
    pthread_t thread;
} worker;

struct cj__team {
    cj_context *cj;
    int threads;
    worker *workers;       /* threads - 1 of them */
    int started;           /* -1: not tried yet; fewer than threads - 1 when the system refused */
    pid_t process;         /* that started them */
    pthread_mutex_t mutex; /* guards what follows, but for job.next */
    pthread_cond_t wake, done;
    uint64_t generation;
    int wanted, busy; /* workers with index < wanted take part; busy of them are not done */
    bool quit;
    job job;
};

static void take_blocks(job *j)
{
    for (;;) {
        int64_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->blocks) return;
        int64_t begin = i * j->block;
        j->work(j->arg, begin, j->n - begin < j->block ? j->n : begin + j->block);
    }
}

static void *worker_main(void *arg)
{
    worker *me = arg;
    cj__team *team = me->team;
    uint64_t seen = 0;
    pthread_mutex_lock(&team->mutex);
    for (;;) {
        while (team->generation == seen && !team->quit)
            pthread_cond_wait(&team->wake, &team->mutex);
        if (team->quit) break;
        seen = team->generation;
        if (me->index >= team->wanted) continue;
        pthread_mutex_unlock(&team->mutex);
        cj__float_mode_set(team->job.float_mode);
        take_blocks(&team->job);
        pthread_mutex_lock(&team->mutex);
        if (--team->busy == 0) pthread_cond_signal(&team->done);
    }
    pthread_mutex_unlock(&team->mutex);
    return NULL;
}

cj__team *cj__team_new(cj_context *cj, int threads)
{
    CJ_ASSERT(threads >= 1);
    cj__team *team = cj__alloc(cj, sizeof *team);
    if (!team) return NULL;
    team->cj = cj;
    team->threads = threads;
    team->started = -1;
    team->workers = cj__alloc(cj, (size_t)(threads - 1) * sizeof *team->workers);
    if (!team->workers) {
        cj__free(cj, team, sizeof *team);
        return NULL;
    }
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->done, NULL);
    return team;
}

/* The program's signal handlers run in the program's threads: workers block every signal. */
static void start_workers(cj__team *team)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    team->process = getpid();
    int n = 0;
    for (; n < team->threads - 1; n++) {
        team->workers[n] = (worker){.team = team, .index = n};
        if (pthread_create(&team->workers[n].thread, NULL, worker_main, &team->workers[n])) break;
    }
    team->started = n;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void cj__team_free(cj__team *team)
{
    if (!team) return;
    bool forked = team->started > 0 && team->process != getpid();
    if (!forked) {
        pthread_mutex_lock(&team->mutex);
        team->quit = true;
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->mutex);
        for (int i = 0; i < team->started; i++) pthread_join(team->workers[i].thread, NULL);
        pthread_cond_destroy(&team->done);
        pthread_cond_destroy(&team->wake);
        pthread_mutex_destroy(&team->mutex);
    }
    cj__free(team->cj, team->workers, (size_t)(team->threads - 1) * sizeof *team->workers);
    cj__free(team->cj, team, sizeof *team);
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
    int helpers = cj__team_threads(team) - 1;
    if (helpers > blocks - 1) helpers = (int)(blocks - 1);
    if (helpers > 0 && team->started < 0) start_workers(team);
    if (helpers > 0 && helpers > team->started) helpers = team->started;
    if (helpers > 0 && team->process != getpid()) helpers = 0;
    if (helpers <= 0) {
        for (int64_t i = 0; i < blocks; i++)
            work(arg, i * block, n - i * block < block ? n : (i + 1) * block);
        return;
    }
    job *j = &team->job;
    pthread_mutex_lock(&team->mutex);
    CJ_ASSERT(team->busy == 0);
    j->n = n, j->block = block, j->blocks = blocks, j->work = work, j->arg = arg;
    j->float_mode = cj__float_mode();
    atomic_store(&j->next, 0);
    team->wanted = team->busy = helpers;
    team->generation++;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
    take_blocks(j);
    pthread_mutex_lock(&team->mutex);
    while (team->busy) pthread_cond_wait(&team->done, &team->mutex);
    pthread_mutex_unlock(&team->mutex);
}

#endif
