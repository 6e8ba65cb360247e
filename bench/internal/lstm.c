/* Times one recurrent layer: inference of a batch and of one sample, and a training step (forward,
 * loss, backward, plain updates), each kernel by itself, beside the rate of independent
 * multiply-adds.
 *
 * The best of many rounds counts.
 *
 *     lstm [rounds [threads [lstm|gru|rnn [batch steps features units]]]] */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cajal/cajal.h>

#include "backend/cpu/isa.h"

static clockid_t clock_used = CLOCK_MONOTONIC; /* of one thread: processor time */

static double now(void)
{
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static cj_tensor *numbers(cj_context *cj, int rank, const int64_t *dims, float scale)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, rank, dims);
    if (!t) exit(1);
    float *x = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        x[i] = scale * ((float)rand() / (float)RAND_MAX - 0.5f);
    cj_tensor_unmap(t);
    return t;
}

static double fma_seconds(void)
{
    const cj__isa *isa = cj__isa_best();
    double best = INFINITY;
    for (int round = 0; round < 20; round++) {
        double start = now();
        volatile float sink = isa->fma_chains(100000);
        (void)sink;
        best = fmin(best, now() - start);
    }
    return best / (100000.0 * CJ__FMA_CHAINS * isa->lanes);
}

typedef struct layer {
    cj_node *x, *y, *weights[3];
} layer;

static layer build(cj_graph *g, const char *cell, int64_t steps, int64_t features, int64_t units)
{
    cj_context *cj = cj_graph_context(g);
    const int64_t gates = units * (!strcmp(cell, "lstm") ? 4 : !strcmp(cell, "gru") ? 3 : 1);
    layer l = {
        .x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "batch"), steps, features))};
    static const char *const names[] = {"w", "r", "b"};
    const int64_t dims[][3] = {{1, gates, features}, {1, gates, units}, {1, 2 * gates, 0}};
    for (int i = 0; i < 3; i++) {
        cj_tensor *t = numbers(cj, i < 2 ? 3 : 2, dims[i], 0.2f);
        l.weights[i] = cj_variable(g, names[i], t);
        cj_tensor_free(t);
    }
    const cj_recurrent_opts o = {.bias = l.weights[2], .reset_after = true};
    l.y = (!strcmp(cell, "lstm")  ? (cj_lstm_node)
           : !strcmp(cell, "gru") ? (cj_gru_node)
                                  : (cj_rnn_node))(l.x, l.weights[0], l.weights[1], &o);
    return l;
}

static void measure(const char *what, cj_program *p, cj_graph *g, const cj_node *x, int64_t batch,
                    const int64_t *sizes, int rounds, int threads, double roof, double products)
{
    cj_context *cj = cj_graph_context(g);
    cj_session *s = cj_session_new_opts(
        p, cj_graph_store(g), &(cj_session_opts){.threads = threads, .profile = true});
    cj_tensor *in = numbers(cj, 3, (int64_t[]){batch, sizes[0], sizes[1]}, 2), *out = NULL;
    if (!s) exit(1);
    double best = INFINITY;
    for (int i = 0; i < rounds; i++) {
        double start = now();
        if (cj_run(s, &(cj_feed){x, in}, 1, &out, 1)) {
            printf("%s\n", cj_session_message(s));
            exit(1);
        }
        best = fmin(best, now() - start);
    }
    printf("%-18s %8.3f ms, roof %8.3f ms, %5.1f %%\n", what, best * 1e3, products * roof * 1e3,
           100 * products * roof / best);
    cj_step_info info;
    for (int i = 0; cj_session_step_at(s, i, &info); i++)
        printf("    %-22s %9.1f us  %6.1f %%\n", info.kernel, (double)info.best_ns * 1e-3,
               info.best_ns ? 1e11 * info.multiply_adds * roof / (double)info.best_ns : 0.0);
    cj_tensor_free(in), cj_tensor_free(out), cj_session_free(s);
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 20, threads = argc > 2 ? atoi(argv[2]) : 1;
    if (threads == 1) clock_used = CLOCK_PROCESS_CPUTIME_ID;
    const char *cell = argc > 3 ? argv[3] : "lstm";
    const int64_t batch = argc > 7 ? atoi(argv[4]) : 64, steps = argc > 7 ? atoi(argv[5]) : 100,
                  features = argc > 7 ? atoi(argv[6]) : 64, units = argc > 7 ? atoi(argv[7]) : 128;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    layer l = build(g, cell, steps, features, units);
    cj_node *loss = cj_mean(cj_square(l.y)), *dw[3];
    cj_update updates[4] = {{0}};
    if (!l.y || cj_grad(loss, l.weights, 3, dw)) return printf("%s\n", cj_message(cj)), 1;
    for (int i = 0; i < 3; i++)
        updates[i] = (cj_update){l.weights[i], cj_sub(l.weights[i], cj_scale(dw[i], 1e-3))};
    cj_program *infer = cj_compile(g, .outputs = {l.y}),
               *train = cj_compile(g, .outputs = {loss}, .updates = updates, .training = true);
    if (!infer || !train) return printf("%s\n", cj_message(cj)), 1;
    const double roof = fma_seconds() / threads,
                 once = (double)steps * (double)(features + units) *
                        (double)cj_node_dim(l.weights[0], 1);
    const int64_t sizes[] = {steps, features};
    printf("%s, %d thread%s, %.1f GFLOP/s\n", cell, threads, threads == 1 ? "" : "s", 2e-9 / roof);
    measure("inference", infer, g, l.x, batch, sizes, rounds, threads, roof, once * (double)batch);
    measure("one sample", infer, g, l.x, 1, sizes, 10 * rounds, threads, roof, once);
    measure("training", train, g, l.x, batch, sizes, rounds, threads, roof,
            3 * once * (double)batch);
    cj_context_free(cj);
    return 0;
}
