/* loader.c: batches in order, read ahead by threads.
 *
 * A ring of slots, each with one tensor a field, made when the loader starts. Threads claim slots
 * one after another, from `claimed` on, fill them side by side, and mark them ready; the consumer
 * takes them in order, from `consumed` on; the slot given out last is not touched until the next
 * call:
 *
 *     slot      0        1        2        3        4         slots = prefetch + 1
 *            [given]  [ready]  [filling] [ready]  [free]
 *               ^consumed-1                          ^claimed
 *
 * Which samples are in batch (epoch, step) is a function of (seed, epoch, step) alone, so there is
 * no state to save: resuming is a seek; and how many threads there are changes nothing but time. A
 * seek begins a new generation: what threads are filling then is dropped, and its slot not claimed
 * again before they are done. A thread whose read failed keeps the message and stops until a seek;
 * the consumer gets status and message when it comes to that slot. Slots are claimed in order, so
 * the slots before it are always in somebody's hands.
 *
 * No wait is unbounded: each looks every 100 ms whether to stop (free) or was cancelled (context).
 * Each thread has a child context, for its own messages, and blocks signals, which belong to the
 * program. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "base/size.h"
#include "data/dataset.h"

#undef cj_loader_new

enum { PREFETCH_MAX = 64, BATCH_DEFAULT = 32, WAIT_NS = 100000000 };
enum { WORKERS_MAX = 64, WORKERS_DEFAULT_MAX = 8 };

typedef struct worker {
    cj_loader *loader;
    cj_context child;
    pthread_t thread;
    bool stuck; /* it has failed in this generation */
} worker;

typedef struct slot {
    bool busy, ready;     /* somebody fills it; it is full, or has failed */
    cj_status status;
    worker *by;           /* who filled it and has the message */
    int64_t epoch, step, count;
    int64_t *indices;      /* [batch_size] */
    cj_tensor **full;      /* [fields] */
    cj_tensor *
        *last; /* [fields], views for the last batch when it is not full, else the same as full */
} slot;

struct cj_loader {
    cj__owned owned;
    cj_context *cj;
    cj__arena arena;
    cj_dataset *ds;
    bool shuffle, balanced;
    cj__balance balance;
    uint64_t seed;
    int64_t batch_size, last_size, steps;
    int fields, slots;
    slot *slot;            /* [slots] */
    int64_t *order;        /* [count], the epoch being claimed */
    int64_t order_epoch;   /* -1: none yet */
    int64_t epoch, step;   /* what the consumer gets next; step == steps: the end of the epoch */

    bool threaded;
    int workers, started;  /* how many there shall be, and are; without threads one fills */
    worker *worker;        /* [workers] */
    pthread_mutex_t mutex; /* guards what follows, `order` and the slots' states */
    pthread_cond_t changed;
    bool stop;
    uint64_t generation;
    int64_t claimed, consumed;       /* since the last seek */
    int64_t next_epoch, next_step;   /* what is claimed next */
};

/* ---- Filling, by threads or without one ------------------------------------------------------ */

static void prepare_order(cj_loader *l, int64_t epoch)
{
    if (l->order_epoch == epoch) return;
    if (l->balanced) cj__balance_draw(&l->balance, l->seed, epoch, l->order);
    else
        for (int64_t i = 0; i < l->ds->count; i++) l->order[i] = i;
    if (l->shuffle)
        cj__random_shuffle(l->seed, CJ__STREAM_LOADER, (uint32_t)epoch, l->order, l->ds->count);
    l->order_epoch = epoch;
}

static cj_tensor **tensors_of(const cj_loader *l, const slot *s)
{
    return s->count == l->batch_size ? s->full : s->last;
}

/* Decides what the slot shall have. Short work: the lock is held. */
static void assign(cj_loader *l, slot *s, int64_t epoch, int64_t step)
{
    s->epoch = epoch;
    s->step = step;
    s->count = step == l->steps - 1 ? l->last_size : l->batch_size;
    prepare_order(l, epoch);
    memcpy(s->indices, l->order + step * l->batch_size, (size_t)s->count * sizeof *s->indices);
}

static cj_status fill(cj_loader *l, slot *s, cj_context *child)
{
    CJ__TRY(cj__check_cancel(child));
    for (int i = 0; i < l->fields; i++) {
        cj_tensor *t = tensors_of(l, s)[i];
        void *to = cj_tensor_map(t, CJ_MAP_WRITE);
        cj_status failed = to ? cj__dataset_read(child, l->ds, s->indices, s->count, i, to)
                              : CJ_ERR_MEMORY;
        cj_tensor_unmap(t);
        CJ__TRY(failed);
    }
    return CJ_OK;
}

/* Waits for a signal, 100 ms at most; the caller looks again at what it waits for. (This is no work
 * of the context's clock, which may be a test's: it must be the one the system's condition
 * variables go by.) */
static void wait_briefly(cj_loader *l)
{
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    until.tv_nsec += WAIT_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&l->changed, &l->mutex, &until);
}

static void block_signals(void)
{
    sigset_t ours; /* a fault still reaches the program's handler */
    sigfillset(&ours);
    sigdelset(&ours, SIGSEGV);
    sigdelset(&ours, SIGBUS);
    sigdelset(&ours, SIGFPE);
    sigdelset(&ours, SIGILL);
    pthread_sigmask(SIG_BLOCK, &ours, NULL);
}

/* The next slot, with what it shall have; NULL while there is none. The lock is held. */
static slot *claim(cj_loader *l, worker *w)
{
    slot *s = &l->slot[l->claimed % l->slots];
    /* The slot before `consumed` is in the hands of the consumer. */
    if (w->stuck || s->busy || l->claimed - l->consumed >= l->slots - 1) return NULL;
    s->busy = true;
    s->by = w;
    assign(l, s, l->next_epoch, l->next_step);
    l->claimed++;
    if (++l->next_step == l->steps) {
        l->next_step = 0;
        l->next_epoch++;
    }
    return s;
}

static void *read_ahead(void *argument)
{
    worker *w = argument;
    cj_loader *l = w->loader;
    block_signals();
    pthread_mutex_lock(&l->mutex);
    while (!l->stop) {
        slot *s = claim(l, w);
        if (!s) {
            wait_briefly(l);
            continue;
        }
        const uint64_t generation = l->generation;
        pthread_mutex_unlock(&l->mutex);
        const cj_status status = fill(l, s, &w->child);
        pthread_mutex_lock(&l->mutex);
        s->busy = false;
        s->ready = generation == l->generation;
        s->status = status;
        w->stuck = s->ready && status != CJ_OK;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* ---- Consuming ------------------------------------------------------------------------------- */

static void give(cj_loader *l, const slot *s, cj_batch *batch)
{
    *batch = (cj_batch){.count = s->count,
                        .epoch = s->epoch,
                        .step = s->step,
                        .first = s->step * l->batch_size,
                        .indices = s->indices,
                        .fields = l->fields,
                        .tensors = tensors_of(l, s)};
    l->step++;
}

static cj_status report(cj_loader *l, cj_status status, const cj_context *child)
{
    if (status == CJ_ERR_MEMORY && !cj_message(child)[0])
        return cj_fail(l->cj, status, "loader: out of memory");
    return cj_fail(l->cj, status, "%s", cj_message(child));
}

/* A system that gives some threads, but not all, makes it slower and nothing else. */
static cj_status start(cj_loader *l)
{
    while (l->started < l->workers &&
           !pthread_create(&l->worker[l->started].thread, NULL, read_ahead, &l->worker[l->started]))
        l->started++;
    if (l->started) return CJ_OK;
    return cj_fail(l->cj, CJ_ERR_LIMIT,
                   "loader: the system gives no thread; open it with no_prefetch");
}

static cj_status next_threaded(cj_loader *l, cj_batch *batch)
{
    cj_status failed = CJ_OK;
    if (!l->started) CJ__TRY(start(l));
    pthread_mutex_lock(&l->mutex);
    slot *s = &l->slot[l->consumed % l->slots];
    while (!s->ready) {
        pthread_mutex_unlock(&l->mutex);
        CJ__TRY(cj__check_cancel(l->cj));
        pthread_mutex_lock(&l->mutex);
        if (!s->ready) wait_briefly(l);
    }
    if (s->status) failed = report(l, s->status, &s->by->child);
    else {
        s->ready = false;
        l->consumed++; /* and so gives back the slot before */
        give(l, s, batch);
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->mutex);
    return failed;
}

cj_status cj_loader_next(cj_loader *l, cj_batch *batch)
{
    *batch = (cj_batch){.epoch = l->epoch, .step = l->step, .first = l->ds->count};
    if (l->step == l->steps) {
        l->epoch++;
        l->step = 0;
        return CJ_OK;
    }
    CJ__TRY(cj__check_cancel(l->cj));
    if (l->threaded) return next_threaded(l, batch);
    assign(l, &l->slot[0], l->epoch, l->step);
    cj_status failed = fill(l, &l->slot[0], &l->worker[0].child);
    if (failed) return report(l, failed, &l->worker[0].child);
    give(l, &l->slot[0], batch);
    return CJ_OK;
}

cj_status cj_loader_seek(cj_loader *l, int64_t epoch, int64_t step)
{
    if (epoch < 0 || epoch > UINT32_MAX || step < 0 || step > l->steps)
        return cj_fail(l->cj, CJ_ERR_ARGUMENT,
                       "loader: cannot seek to step %lld of epoch %lld; an epoch has %lld steps",
                       (long long)step, (long long)epoch, (long long)l->steps);
    pthread_mutex_lock(&l->mutex);
    l->epoch = epoch;
    l->step = step;
    l->generation++;
    l->claimed = l->consumed = 0;
    for (int i = 0; i < l->slots; i++) l->slot[i].ready = false;
    for (int i = 0; i < l->workers; i++) l->worker[i].stuck = false;
    l->next_epoch = step < l->steps ? epoch : epoch + 1;
    l->next_step = step < l->steps ? step : 0;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    return CJ_OK;
}

int64_t cj_loader_steps(const cj_loader *l)
{
    return l->steps;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void release(cj_loader *l)
{
    if (l->started) {
        pthread_mutex_lock(&l->mutex);
        l->stop = true;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->mutex);
        for (int i = 0; i < l->started; i++) pthread_join(l->worker[i].thread, NULL);
    }
    for (int i = 0; l->slot && i < l->slots; i++) {
        slot *s = &l->slot[i];
        for (int k = 0; s->last && k < l->fields; k++) {
            if (s->last[k] != s->full[k]) cj_tensor_free(s->last[k]);
            cj_tensor_free(s->full[k]);
        }
    }
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    for (int i = 0; l->worker && i < l->workers; i++)
        cj__context_release_child(&l->worker[i].child);
    cj__arena_release(&l->arena);
    cj__dataset_unref(l->ds);
    cj__free(l->cj, l, sizeof *l);
}

static void free_owned(cj__owned *object)
{
    release((cj_loader *)object);
}

void cj_loader_free(cj_loader *l)
{
    if (!l) return;
    cj__disown(&l->owned);
    release(l);
}

static cj_status make_slot(cj_loader *l, slot *s)
{
    s->indices = cj__arena_array(&l->arena, (size_t)l->batch_size, sizeof *s->indices);
    s->full = s->indices ? cj__arena_array(&l->arena, (size_t)l->fields, sizeof(cj_tensor *))
                         : NULL;
    s->last = s->full ? cj__arena_array(&l->arena, (size_t)l->fields, sizeof(cj_tensor *)) : NULL;
    if (!s->last) return cj_last_status(l->cj);
    for (int i = 0; i < l->fields; i++) {
        const cj_field *field = cj_dataset_field(l->ds, i);
        int64_t shape[CJ_RANK_MAX] = {l->batch_size};
        memcpy(shape + 1, field->shape, (size_t)field->rank * sizeof *shape);
        if (!(s->full[i] = cj_tensor_new(l->cj, field->dtype, field->rank + 1, shape)))
            return cj_last_status(l->cj);
        s->last[i] = s->full[i];
        if (l->last_size == l->batch_size) continue;
        cj_tensor *part = cj_tensor_rows(s->full[i], 0, l->last_size);
        if (!part) return cj_last_status(l->cj);
        s->last[i] = part;
    }
    return CJ_OK;
}

static cj_status make_workers(cj_loader *l)
{
    l->worker = cj__arena_array(&l->arena, (size_t)l->workers, sizeof *l->worker);
    if (!l->worker) return cj_last_status(l->cj);
    for (int i = 0; i < l->workers; i++) {
        l->worker[i].loader = l;
        cj__context_init_child(&l->worker[i].child, l->cj);
    }
    return CJ_OK;
}

static cj_status make_slots(cj_loader *l)
{
    l->slot = cj__arena_array(&l->arena, (size_t)l->slots, sizeof *l->slot);
    l->order = cj__arena_array(&l->arena, (size_t)l->ds->count, sizeof *l->order);
    if (!l->slot || !l->order) return cj_last_status(l->cj);
    for (int i = 0; i < l->slots; i++) CJ__TRY(make_slot(l, &l->slot[i]));
    return CJ_OK;
}

static cj_status check(cj_context *cj, const cj_dataset *ds, const cj_loader_opts *o)
{
    const char *name = cj_dataset_name(ds);
    if (ds->count == 0) return cj_fail(cj, CJ_ERR_ARGUMENT, "loader: %s has no samples", name);
    if (o->batch_size < 0)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "loader: batch_size=%lld is not at least 1",
                       (long long)o->batch_size);
    if (o->prefetch < 0 || o->prefetch > PREFETCH_MAX)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "loader: prefetch=%d is not between 0 and %d",
                       o->prefetch, PREFETCH_MAX);
    if (o->workers < 0 || o->workers > WORKERS_MAX)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "loader: workers=%d is not between 0 and %d",
                       o->workers, WORKERS_MAX);
    if (o->epoch < 0 || o->epoch > UINT32_MAX)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "loader: epoch=%lld is not between 0 and 2^32-1",
                       (long long)o->epoch);
    return CJ_OK;
}

/* batch_size is cut to the number of samples: no tensor is larger than it can become full. */
static cj_status count_steps(cj_loader *l, int64_t batch_size, bool drop_last)
{
    int64_t n = l->ds->count, rest;
    if (batch_size == 0) batch_size = BATCH_DEFAULT;
    if (drop_last && n < batch_size)
        return cj_fail(l->cj, CJ_ERR_ARGUMENT,
                       "loader: %s has %lld samples, so drop_last leaves no batch of %lld",
                       cj_dataset_name(l->ds), (long long)n, (long long)batch_size);
    l->batch_size = batch_size < n ? batch_size : n;
    rest = n % l->batch_size;
    l->steps = n / l->batch_size + (rest > 0 && !drop_last);
    l->last_size = rest > 0 && !drop_last ? rest : l->batch_size;
    return CJ_OK;
}

/* One thread copies samples that lie in memory as fast as they are used; what a callback makes may
 * take long. */
static int choose_workers(const cj_dataset *ds, const cj_loader_opts *o)
{
    if (o->no_prefetch) return 1;
    if (o->workers) return o->workers;
    if (!cj__dataset_root(ds)->source.read) return 1;
    const int threads = cj_threads(ds->cj);
    return threads < WORKERS_DEFAULT_MAX ? threads : WORKERS_DEFAULT_MAX;
}

static bool make_locks(cj_loader *l)
{
    if (pthread_mutex_init(&l->mutex, NULL)) return false;
    if (!pthread_cond_init(&l->changed, NULL)) return true;
    pthread_mutex_destroy(&l->mutex);
    return false;
}

cj_loader *cj_loader_new(cj_dataset *ds, const cj_loader_opts *opts)
{
    if (!ds) return NULL;
    cj_context *cj = ds->cj;
    cj_loader_opts o;
    if (cj__data_options(cj, "loader", &o, sizeof o, opts) || check(cj, ds, &o)) return NULL;
    cj_loader *l = cj__alloc(cj, sizeof *l);
    if (!l) return NULL;
    if (!make_locks(l)) {
        cj_fail(cj, CJ_ERR_MEMORY, "loader: the system gives no lock");
        cj__free(cj, l, sizeof *l);
        return NULL;
    }
    l->cj = cj;
    l->ds = ds;
    cj__dataset_ref(ds);
    cj__arena_init(&l->arena, cj);
    l->shuffle = o.shuffle;
    l->balanced = o.balanced;
    l->seed = o.seed;
    l->fields = cj_dataset_fields(ds);
    l->threaded = !o.no_prefetch;
    l->workers = choose_workers(ds, &o);
    l->slots = o.no_prefetch ? 1 : (o.prefetch ? o.prefetch : l->workers + 1) + 1;
    l->order_epoch = -1;
    l->epoch = l->next_epoch = o.epoch;
    if (count_steps(l, o.batch_size, o.drop_last) || make_slots(l) || make_workers(l) ||
        (l->balanced && cj__balance_init(&l->balance, &l->arena, ds))) {
        release(l);
        return NULL;
    }
    cj__own(cj, &l->owned, free_owned);
    return l;
}
