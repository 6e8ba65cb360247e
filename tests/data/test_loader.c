/* test_loader.c: the same batches with and without a thread, from any place on, and no way to hang.
 */
#define _POSIX_C_SOURCE 200809L
#include "data_support.h"

#include <pthread.h>
#include <time.h>

#include "base/random.h"

/* Field 0 is f32 [3] = (i, i + 0.5, -i); field 1 the label i % 7. */
static cj_dataset *numbered(cj_context *cj, int64_t n)
{
    int64_t shape[2] = {n, 3};
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, shape), *y = cj_tensor_new(cj, CJ_I32, 1, shape);
    float *v = cj_tensor_map(x, CJ_MAP_WRITE);
    int32_t *label = cj_tensor_map(y, CJ_MAP_WRITE);
    for (int64_t i = 0; i < n; i++) {
        v[3 * i] = (float)i;
        v[3 * i + 1] = (float)i + 0.5f;
        v[3 * i + 2] = -(float)i;
        label[i] = (int32_t)(i % 7);
    }
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x);
    cj_tensor_free(y);
    assert_parsed(cj, ds);
    return ds;
}

/* What is in the tensors must be the samples the indices say. */
static void check_batch(const cj_batch *b, int64_t count)
{
    assert_int_equal(b->count, count);
    assert_int_equal(b->fields, 2);
    assert_int_equal(cj_tensor_shape(b->tensors[0])[0], count);
    assert_int_equal(cj_tensor_shape(b->tensors[0])[1], 3);
    assert_int_equal(cj_tensor_rank(b->tensors[1]), 1);
    const float *v = cj_tensor_map_read(b->tensors[0]);
    const int32_t *label = cj_tensor_map_read(b->tensors[1]);
    for (int64_t i = 0; i < count; i++) {
        float expected = (float)b->indices[i];
        if (v[3 * i] != expected || v[3 * i + 1] != expected + 0.5f || v[3 * i + 2] != -expected)
            fail_msg("sample %lld is (%g, %g, %g), not number %g", (long long)i, v[3 * i],
                     v[3 * i + 1], v[3 * i + 2], expected);
        assert_int_equal(label[i], b->indices[i] % 7);
    }
    cj_tensor_unmap(b->tensors[0]);
    cj_tensor_unmap(b->tensors[1]);
}

/* All indices of `epochs` epochs, one after another. */
static void collect(cj_loader *l, int64_t n, int epochs, int64_t batch, int64_t *out)
{
    cj_batch b;
    for (int e = 0; e < epochs; e++) {
        int64_t seen = 0;
        for (;;) {
            assert_int_equal(cj_loader_next(l, &b), CJ_OK);
            assert_int_equal(b.epoch, e);
            if (b.count == 0) break;
            assert_int_equal(b.first, seen);
            assert_int_equal(b.step, seen / batch);
            check_batch(&b, n - seen < batch ? n - seen : batch);
            memcpy(out + e * n + seen, b.indices, (size_t)b.count * sizeof *out);
            seen += b.count;
        }
        assert_int_equal(seen, n);
    }
}

static void every_way_gives_the_same_batches(void **state)
{
    (void)state;
    enum { N = 103, EPOCHS = 3 };
    int64_t first[N * EPOCHS], again[N * EPOCHS];
    static const int prefetch[] = {0, 1, 2, 5, 64};
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        cj_context *cj = test_context();
        cj_dataset *ds = numbered(cj, N);
        cj_loader *l = cj_loader_new(ds, .batch_size = 10, .shuffle = shuffle != 0, .seed = 5,
                                     .no_prefetch = true);
        assert_non_null(l);
        assert_int_equal(cj_loader_steps(l), 11);
        collect(l, N, EPOCHS, 10, first);
        for (int i = 0; i < 5; i++) {
            l = cj_loader_new(ds, .batch_size = 10, .shuffle = shuffle != 0, .seed = 5,
                              .prefetch = prefetch[i]);
            collect(l, N, EPOCHS, 10, again);
            assert_memory_equal(first, again, sizeof first);
            if (i % 2) cj_loader_free(l);
        }
        int64_t order[N];
        for (int e = 0; e < EPOCHS; e++) { /* each epoch is the permutation of (seed, epoch) */
            for (int64_t i = 0; i < N; i++) order[i] = i;
            if (shuffle) cj__random_shuffle(5, CJ__STREAM_LOADER, (uint32_t)e, order, N);
            assert_memory_equal(first + e * N, order, sizeof order);
        }
        if (shuffle) assert_memory_not_equal(first, first + N, sizeof order);
        cj_context_free(cj);
    }
}

static void seek_resumes_anywhere(void **state)
{
    (void)state;
    enum { N = 23 };
    int64_t whole[3 * N];
    cj_context *cj = test_context();
    cj_dataset *ds = numbered(cj, N);
    cj_loader *l = cj_loader_new(ds, .batch_size = 5, .shuffle = true, .seed = 9,
                                 .no_prefetch = true);
    collect(l, N, 3, 5, whole);
    for (int threaded = 0; threaded < 2; threaded++) {
        l = cj_loader_new(ds, .batch_size = 5, .shuffle = true, .seed = 9,
                          .no_prefetch = !threaded);
        for (int turn = 0; turn < 200; turn++) {
            int epoch = turn * 7 % 3, step = turn * 11 % 6, left = turn % 4;
            cj_batch b;
            assert_int_equal(cj_loader_seek(l, epoch, step), CJ_OK);
            for (; left > 0; left--) {
                assert_int_equal(cj_loader_next(l, &b), CJ_OK);
                if (b.count == 0) {
                    assert_int_equal(step, 5);
                    step = 0;
                    if (++epoch == 3) break;
                    continue;
                }
                assert_int_equal(b.step, step);
                assert_int_equal(b.epoch, epoch);
                check_batch(&b, step == 4 ? 3 : 5);
                assert_memory_equal(b.indices, whole + epoch * N + step * 5,
                                    (size_t)b.count * sizeof *whole);
                step++;
            }
        }
        assert_int_equal(cj_loader_seek(l, 0, 6), CJ_ERR_ARGUMENT);
        assert_message(cj, CJ_ERR_ARGUMENT,
                       "loader: cannot seek to step 6 of epoch 0; an epoch has 5 steps");
        assert_int_equal(cj_loader_seek(l, -1, 0), CJ_ERR_ARGUMENT);
    }
    l = cj_loader_new(ds, .batch_size = 5, .shuffle = true, .seed = 9, .epoch = 2);
    cj_batch b;
    assert_int_equal(cj_loader_next(l, &b), CJ_OK);
    assert_memory_equal(b.indices, whole + 2 * N, 5 * sizeof *whole);
    cj_context_free(cj);
}

static void sizes_of_batches(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = numbered(cj, 10);
    cj_batch b;
    cj_loader *l = cj_loader_new(ds, .batch_size = 4, .drop_last = true);
    assert_int_equal(cj_loader_steps(l), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cj_loader_next(l, &b), CJ_OK);
        check_batch(&b, 4);
    }
    assert_int_equal(cj_loader_next(l, &b), CJ_OK);
    assert_int_equal(b.count, 0);
    assert_int_equal(cj_loader_next(l, &b), CJ_OK);
    assert_int_equal(b.epoch, 1);
    check_batch(&b, 4);
    l = cj_loader_new(ds, .batch_size = 1000);
    assert_int_equal(cj_loader_next(l, &b), CJ_OK);
    check_batch(&b, 10);
    l = cj_loader_new(ds, .seed = 1); /* 32 by default */
    assert_int_equal(cj_loader_steps(l), 1);
    assert_int_equal(cj_loader_next(l, &b), CJ_OK);
    check_batch(&b, 10);

    assert_null(cj_loader_new(ds, .batch_size = 11, .drop_last = true));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "loader: memory has 10 samples, so drop_last leaves no batch of 11");
    assert_null(cj_loader_new(ds, .batch_size = -1));
    assert_message(cj, CJ_ERR_ARGUMENT, "loader: batch_size=-1 is not at least 1");
    assert_null(cj_loader_new(ds, .prefetch = 65));
    assert_message(cj, CJ_ERR_ARGUMENT, "loader: prefetch=65 is not between 0 and 64");
    assert_null(cj_loader_new(cj_dataset_take(ds, 0, 0), .batch_size = 1));
    assert_message(cj, CJ_ERR_ARGUMENT, "loader: memory has no samples");
    cj_loader_free(NULL);
    cj_context_free(cj);
}

static void nothing_is_allocated_on_the_way(void **state)
{
    (void)state;
    for (int threaded = 0; threaded < 2; threaded++) {
        cj_context *cj = test_context();
        cj_dataset *train, *held;
        assert_int_equal(cj_dataset_split(numbered(cj, 1000), &train, &held, .fraction = 0.1),
                         CJ_OK);
        cj_loader *l = cj_loader_new(train, .batch_size = 7, .shuffle = true,
                                     .no_prefetch = !threaded);
        cj_batch b;
        assert_int_equal(cj_loader_next(l, &b), CJ_OK);
        int64_t before = cj__allocation_count(cj);
        for (int i = 0; i < 400; i++) assert_int_equal(cj_loader_next(l, &b), CJ_OK);
        assert_int_equal(cj_loader_seek(l, 7, 3), CJ_OK);
        assert_int_equal(cj_loader_next(l, &b), CJ_OK);
        assert_int_equal(cj__allocation_count(cj), before);
        cj_context_free(cj);
    }
}

/* Freed in any order, in the middle of an epoch, before and after the thread started. */
static void loaders_end_at_any_moment(void **state)
{
    (void)state;
    for (int steps = 0; steps < 30; steps++) {
        cj_context *cj = test_context();
        cj_dataset *ds = numbered(cj, 50);
        cj_loader *l = cj_loader_new(ds, .batch_size = 3, .shuffle = true),
                  *other = cj_loader_new(ds, .batch_size = 4);
        cj_batch b;
        if (steps % 3 == 0) cj_dataset_free(ds); /* the loaders keep it */
        for (int i = 0; i < steps; i++) {
            assert_int_equal(cj_loader_next(l, &b), CJ_OK);
            assert_int_equal(cj_loader_next(other, &b), CJ_OK);
        }
        if (steps % 2) cj_loader_free(l);
        if (steps % 5 == 0) cj_loader_free(other);
        cj_context_free(cj);
    }
}

/* ---- Failing and slow sources ---------------------------------------------------------------- */

typedef struct moody {
    int64_t bad; /* this sample cannot be read */
    int64_t wait_ms;
} moody;

static cj_status read_moody(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                            int field, void *out)
{
    const moody *m = user;
    (void)field;
    for (int64_t i = 0; i < n; i++) {
        if (indices[i] == m->bad)
            return cj_fail(cj, CJ_ERR_IO, "sample %lld is gone", (long long)m->bad);
        ((float *)out)[i] = (float)indices[i];
    }
    nanosleep(&(struct timespec){.tv_nsec = m->wait_ms * 1000000}, NULL);
    return CJ_OK;
}

static cj_dataset *moody_set(cj_context *cj, moody *m)
{
    cj_field field = {.name = "x", .dtype = CJ_F32};
    return cj_dataset_new(cj, &(cj_dataset_source){.name = "moody",
                                                   .count = 100,
                                                   .field_count = 1,
                                                   .fields = &field,
                                                   .read = read_moody,
                                                   .user = m});
}

static void a_failed_read_reaches_the_consumer(void **state)
{
    (void)state;
    for (int threaded = 0; threaded < 2; threaded++) {
        cj_context *cj = test_context();
        moody m = {.bad = 57};
        cj_loader *l = cj_loader_new(moody_set(cj, &m), .batch_size = 10, .no_prefetch = !threaded);
        cj_batch b;
        for (int i = 0; i < 5; i++) {
            assert_int_equal(cj_loader_next(l, &b), CJ_OK);
            assert_int_equal(b.first, i * 10);
        }
        for (int i = 0; i < 3; i++) {
            assert_int_equal(cj_loader_next(l, &b), CJ_ERR_IO);
            assert_message(cj, CJ_ERR_IO, "sample 57 is gone");
            assert_int_equal(b.count, 0);
        }
        assert_int_equal(cj_loader_seek(l, 0, 6), CJ_OK); /* goes on behind it */
        assert_int_equal(cj_loader_next(l, &b), CJ_OK);
        assert_int_equal(b.first, 60);
        cj_context_free(cj);
    }
}

static bool ask(void *user)
{
    return *(_Atomic int *)user != 0;
}

static void cancelling_ends_a_wait(void **state)
{
    (void)state;
    for (int threaded = 0; threaded < 2; threaded++) {
        _Atomic int cancelled = 0;
        cj_context *cj = cj_context_new(&(cj_config){.cancel = ask, .cancel_user = &cancelled});
        moody m = {.bad = -1, .wait_ms = 20};
        cj_loader *l = cj_loader_new(moody_set(cj, &m), .batch_size = 10, .no_prefetch = !threaded);
        cj_batch b;
        assert_int_equal(cj_loader_next(l, &b), CJ_OK);
        cancelled = 1;
        assert_int_equal(cj_loader_next(l, &b), CJ_ERR_CANCELLED);
        assert_message(cj, CJ_ERR_CANCELLED, "cancelled by the program");
        cj_context_free(cj);
    }
}

static void a_slow_source_changes_nothing(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    moody m = {.bad = -1, .wait_ms = 3};
    cj_loader *l = cj_loader_new(moody_set(cj, &m), .batch_size = 7);
    cj_batch b;
    for (int turn = 0; turn < 2; turn++) {
        int64_t seen = 0;
        while (!cj_loader_next(l, &b) && b.count > 0) {
            const float *v = cj_tensor_map_read(b.tensors[0]);
            for (int64_t i = 0; i < b.count; i++) assert_true(v[i] == (float)(seen + i));
            seen += b.count;
            if (seen % 3 == 0) nanosleep(&(struct timespec){.tv_nsec = 4000000}, NULL);
        }
        assert_int_equal(seen, 100);
    }
    cj_context_free(cj);
}

/* ---- Several threads ------------------------------------------------------------------------- */

/* Samples that take now long, now no time, so that batches become ready out of order. */
static cj_status read_unevenly(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                               int field, void *out)
{
    (void)cj;
    (void)user;
    (void)field;
    for (int64_t i = 0; i < n; i++) ((float *)out)[i] = (float)indices[i];
    nanosleep(&(struct timespec){.tv_nsec = indices[0] * 7919 % 5 * 300000}, NULL);
    return CJ_OK;
}

static cj_dataset *uneven_set(cj_context *cj, int64_t n)
{
    cj_field field = {.name = "x", .dtype = CJ_F32};
    return cj_dataset_new(cj, &(cj_dataset_source){.name = "uneven",
                                                   .count = n,
                                                   .field_count = 1,
                                                   .fields = &field,
                                                   .read = read_unevenly});
}

static void workers_change_nothing(void **state)
{
    (void)state;
    enum { N = 97, EPOCHS = 3 };
    static const struct { int workers, prefetch; bool none; } ways[] = {
        {0, 0, true}, {0, 0, false}, {1, 0, false},  {2, 0, false}, {3, 1, false},
        {7, 3, false}, {4, 9, false}, {64, 0, false}, {5, 64, false}};
    int64_t first[N * EPOCHS];
    for (size_t k = 0; k < CJ__COUNT(ways); k++) {
        cj_context *cj = test_context();
        cj_loader *l = cj_loader_new(uneven_set(cj, N), .batch_size = 5, .shuffle = true, .seed = 3,
                                     .workers = ways[k].workers, .prefetch = ways[k].prefetch,
                                     .no_prefetch = ways[k].none);
        cj_batch b;
        for (int64_t e = 0, at = 0; e < EPOCHS; e++)
            for (;;) {
                assert_int_equal(cj_loader_next(l, &b), CJ_OK);
                if (!b.count) break;
                assert_int_equal(b.epoch, e);
                assert_int_equal(b.first, at - e * N);
                const float *v = cj_tensor_map_read(b.tensors[0]);
                for (int64_t i = 0; i < b.count; i++, at++) {
                    assert_true(v[i] == (float)b.indices[i]);
                    if (!k) first[at] = b.indices[i];
                    assert_int_equal(b.indices[i], first[at]);
                }
            }
        cj_context_free(cj);
    }
}

static void workers_seek_fail_and_end(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_batch b;
    cj_loader *l = cj_loader_new(uneven_set(cj, 97), .batch_size = 5, .workers = 4);
    for (int turn = 0; turn < 100; turn++) { /* while others are at work on the batches of before */
        const int64_t step = turn * 13 % 19;
        assert_int_equal(cj_loader_seek(l, turn % 3, step), CJ_OK);
        for (int i = 0; i < turn % 4 && step + i < 19; i++) {
            assert_int_equal(cj_loader_next(l, &b), CJ_OK);
            assert_int_equal(b.step, step + i);
            assert_true(((const float *)cj_tensor_map_read(b.tensors[0]))[4] ==
                        (float)(5 * b.step + 4));
        }
    }
    cj_loader_free(l);
    moody m = {.bad = 57};
    l = cj_loader_new(moody_set(cj, &m), .batch_size = 1, .workers = 5);
    for (int turn = 0; turn < 20; turn++) { /* every batch before comes; the failure stays */
        assert_int_equal(cj_loader_seek(l, turn, 50), CJ_OK);
        for (int i = 50; i < 57; i++) {
            assert_int_equal(cj_loader_next(l, &b), CJ_OK);
            assert_int_equal(b.first, i);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(cj_loader_next(l, &b), CJ_ERR_IO);
            assert_message(cj, CJ_ERR_IO, "sample 57 is gone");
        }
    }
    assert_null(cj_loader_new(uneven_set(cj, 9), .workers = 65));
    assert_message(cj, CJ_ERR_ARGUMENT, "loader: workers=65 is not between 0 and 64");
    assert_null(cj_loader_new(uneven_set(cj, 9), .workers = -1));
    cj_context_free(cj);
}

/* Two threads with a context each, and two loaders over the same data in one of them. */
static void *work(void *argument)
{
    int64_t *sum = argument;
    cj_context *cj = test_context();
    cj_dataset *ds = numbered(cj, 500);
    cj_loader *a = cj_loader_new(ds, .batch_size = 16, .shuffle = true),
              *b = cj_loader_new(ds, .batch_size = 9, .shuffle = true);
    cj_batch x, y;
    for (int i = 0; i < 300; i++) {
        if (cj_loader_next(a, &x) || cj_loader_next(b, &y)) break;
        for (int64_t k = 0; k < x.count; k++) *sum += x.indices[k];
        for (int64_t k = 0; k < y.count; k++) *sum += y.indices[k];
    }
    cj_context_free(cj);
    return NULL;
}

static void contexts_and_loaders_do_not_meet(void **state)
{
    (void)state;
    pthread_t threads[2];
    int64_t sums[2] = {0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &sums[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(sums[0] > 0);
    assert_int_equal(sums[0], sums[1]);
}

/* ---- Balanced -------------------------------------------------------------------------------- */

static cj_dataset *of_classes(cj_context *cj, const int *sizes, int classes)
{
    int64_t n = 0, at = 0;
    for (int c = 0; c < classes; c++) n += sizes[c];
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 1, &n), *y = cj_tensor_new(cj, CJ_I32, 1, &n);
    int32_t *label = cj_tensor_map(y, CJ_MAP_WRITE);
    for (int c = 0; c < classes; c++)
        for (int i = 0; i < sizes[c]; i++) label[at++] = c;
    cj_tensor_unmap(y);
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x);
    cj_tensor_free(y);
    return ds;
}

/* In each epoch the counts of two classes differ by one at most, over all epochs too; and of one
 * class no sample comes for the k-th time before all have come k - 1 times. */
static void classes_in_equal_parts(void **state)
{
    (void)state;
    enum { CLASSES = 6, EPOCHS = 25, MOST = 200 };
    static const int sizes[4][CLASSES] = {
        {50, 3, 1, 0, 20, 7}, {5, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}, {100, 1, 0, 0, 99, 0}};
    cj_context *cj = test_context();
    for (int k = 0; k < 4; k++) {
        cj_dataset *ds = of_classes(cj, sizes[k], CLASSES);
        const int64_t n = cj_dataset_count(ds);
        cj_loader *l = cj_loader_new(ds, .batch_size = 16, .shuffle = true, .balanced = true);
        int seen[MOST] = {0}, all[CLASSES] = {0};
        for (int e = 0; e < EPOCHS; e++) {
            int now[CLASSES] = {0}, low = MOST, high = 0;
            int64_t count = 0;
            cj_batch b;
            for (;;) {
                assert_int_equal(cj_loader_next(l, &b), CJ_OK);
                if (!b.count) break;
                const int32_t *label = cj_tensor_map_read(b.tensors[1]);
                for (int64_t i = 0; i < b.count; i++) now[label[i]]++, seen[b.indices[i]]++;
                cj_tensor_unmap(b.tensors[1]);
                count += b.count;
            }
            assert_int_equal(count, n);
            for (int c = 0; c < CLASSES; c++) {
                if (!sizes[k][c]) continue;
                all[c] += now[c];
                low = now[c] < low ? now[c] : low;
                high = now[c] > high ? now[c] : high;
            }
            assert_true(high - low <= 1);
        }
        for (int c = 0, at = 0, first = -1; c < CLASSES; at += sizes[k][c++]) {
            int low = 1 << 30, high = 0;
            for (int i = at; i < at + sizes[k][c]; i++) {
                low = seen[i] < low ? seen[i] : low;
                high = seen[i] > high ? seen[i] : high;
            }
            if (!sizes[k][c]) continue;
            assert_true(high - low <= 1);
            if (first < 0) first = all[c];
            assert_true(abs(all[c] - first) <= 1);
        }
        cj_loader_free(l);
        cj_dataset_free(ds);
    }
    cj_context_free(cj);
}

/* An epoch is the same whether those before it were drawn or not. */
static void balanced_from_any_epoch(void **state)
{
    (void)state;
    static const int sizes[3] = {30, 4, 9};
    cj_context *cj = test_context();
    cj_dataset *ds = of_classes(cj, sizes, 3);
    cj_loader *a = cj_loader_new(ds, .batch_size = 64, .balanced = true, .seed = 3),
              *b = cj_loader_new(ds, .batch_size = 64, .balanced = true, .seed = 3);
    cj_batch x, y;
    for (int e = 0; e < 7; e++) {
        assert_int_equal(cj_loader_next(a, &x), CJ_OK);
        assert_int_equal(cj_loader_seek(b, e, 0), CJ_OK);
        assert_int_equal(cj_loader_next(b, &y), CJ_OK);
        assert_int_equal(x.count, 43);
        assert_memory_equal(x.indices, y.indices, 43 * sizeof *x.indices);
        assert_int_equal(cj_loader_next(a, &x), CJ_OK);
    }
    cj_context_free(cj);
}

static void what_cannot_be_balanced(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    int64_t n = 3;
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 1, &n);
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, NULL);
    cj_tensor_free(x);
    assert_null(cj_loader_new(ds, .balanced = true));
    assert_string_equal(cj_message(cj),
                        "loader: memory has no target with classes, so it cannot be balanced");
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_gives_the_same_batches),
        cmocka_unit_test(seek_resumes_anywhere),
        cmocka_unit_test(sizes_of_batches),
        cmocka_unit_test(nothing_is_allocated_on_the_way),
        cmocka_unit_test(loaders_end_at_any_moment),
        cmocka_unit_test(a_failed_read_reaches_the_consumer),
        cmocka_unit_test(cancelling_ends_a_wait),
        cmocka_unit_test(a_slow_source_changes_nothing),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(workers_seek_fail_and_end),
        cmocka_unit_test(contexts_and_loaders_do_not_meet),
        cmocka_unit_test(classes_in_equal_parts),
        cmocka_unit_test(balanced_from_any_epoch),
        cmocka_unit_test(what_cannot_be_balanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
