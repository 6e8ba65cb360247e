/* sweep.c: how near to the memory's speed what training sweeps over its arrays comes.
 *
 * Each line is one program on arrays of some ten megabytes: the bytes of the large arrays that it
 * must read and write at least, over its fastest time, and beside it the same for a copy loop in
 * the same run (a copy counts what it reads and what it writes).
 *
 *     build/bench_internal/sweep [threads] */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cajal/cajal.h>

enum { REPEATS = 15 };

/* With one thread the processor's time, which others on the machine disturb less. */
static bool one_thread = true;

static double now(void)
{
    struct timespec t;
    clock_gettime(one_thread ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static cj_tensor *values(cj_context *cj, const cj_type *type)
{
    cj_tensor *t = cj_tensor_new(cj, type->dtype, type->rank, type->dim);
    void *p = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        if (type->dtype == CJ_I64) ((int64_t *)p)[i] = i % 10;
        else ((float *)p)[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
    }
    cj_tensor_unmap(t);
    return t;
}

static double copy_gb_per_s(size_t n)
{
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    double best = 1e9;
    for (size_t i = 0; i < n; i++) a[i] = (float)i, b[i] = 0;
    for (int r = 0; r < REPEATS; r++) {
        double start = now();
        for (size_t i = 0; i < n; i++) b[i] = a[i] * 0.5f;
        double took = now() - start;
        if (took < best) best = took;
        a[r] = b[n - 1 - (size_t)r];
    }
    free(a);
    free(b);
    return 8 * (double)n / best / 1e9;
}

/* Runs outputs and updates; `sweeps` arrays of n floats are what it cannot do without. */
static void measure(cj_graph *g, const char *name, cj_node *const *outputs, int n_outputs,
                    const cj_update *updates, double sweeps, double n, int threads)
{
    cj_context *cj = cj_graph_context(g);
    cj_program *p = cj_compile(g, .output_list = outputs, .n_outputs = n_outputs,
                               .updates = updates, .training = true);
    cj_session_opts how = {.struct_size = sizeof how, .threads = threads};
    cj_session *s = p ? cj_session_new_opts(p, cj_graph_store(g), &how) : NULL;
    cj_tensor *out[CJ_OUTPUTS_MAX] = {NULL};
    cj_feed feeds[8];
    double best = 1e9;
    int n_in = cj_graph_input_count(g);
    if (!s) {
        printf("%-28s %s\n", name, cj_message(cj));
        return;
    }
    for (int i = 0; i < n_in; i++)
        feeds[i] = (cj_feed){cj_graph_input_at(g, i),
                             values(cj, cj_node_type(cj_graph_input_at(g, i)))};
    for (int r = 0; r < REPEATS; r++) {
        double start = now();
        if (cj_run(s, feeds, n_in, out, n_outputs)) {
            printf("%-28s %s\n", name, cj_session_message(s));
            break;
        }
        double took = now() - start;
        if (took < best) best = took;
    }
    cj_session_info info;
    cj_session_get_info(s, &info);
    printf("%-28s %8.3f ms  %5.1f GB/s  %d steps\n", name, best * 1e3, sweeps * 4 * n / best / 1e9,
           info.steps);
    for (int i = 0; i < n_outputs; i++) cj_tensor_free(out[i]);
    for (int i = 0; i < n_in; i++) cj_tensor_free((cj_tensor *)(uintptr_t)feeds[i].value);
    cj_session_free(s);
    cj_program_free(p);
}

static void batch_norm(cj_context *cj, int threads, int64_t rows, int64_t c)
{
    for (int backward = 0; backward < 2; backward++) {
        cj_graph *g = cj_graph_new(cj);
        char name[64];
        cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(rows, 8, 8, c)), *d[4];
        cj_node *scale = cj_placeholder(g, "scale", CJ_F32, CJ_DIMS(c)),
                *shift = cj_placeholder(g, "shift", CJ_F32, CJ_DIMS(c));
        cj_node *y = cj_relu(cj_batch_norm(x, .scale = scale, .shift = shift));
        if (backward) {
            cj_node *dy = cj_placeholder(g, "dy", CJ_F32, CJ_DIMS(rows, 8, 8, c));
            cj_vjp(&y, &dy, 1, (cj_node *[]){x, scale, shift}, 3, d);
        }
        d[backward * 3] = y;
        snprintf(name, sizeof name, "batch_norm %s %lld", backward ? "both" : "forward",
                 (long long)c);
        measure(g, name, d, backward ? 4 : 1, NULL, backward ? 4 + 7 : 4, (double)(rows * 64 * c),
                threads);
        cj_graph_free(g);
    }
}

static void layer_norm(cj_context *cj, int threads, int64_t rows, int64_t c)
{
    for (int backward = 0; backward < 2; backward++) {
        cj_graph *g = cj_graph_new(cj);
        char name[64];
        cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(rows, c)), *d[4];
        cj_node *scale = cj_placeholder(g, "scale", CJ_F32, CJ_DIMS(c)),
                *shift = cj_placeholder(g, "shift", CJ_F32, CJ_DIMS(c));
        cj_node *y = cj_layer_norm(x, .scale = scale, .shift = shift);
        if (backward) {
            cj_node *dy = cj_placeholder(g, "dy", CJ_F32, CJ_DIMS(rows, c));
            cj_vjp(&y, &dy, 1, (cj_node *[]){x, scale, shift}, 3, d);
        }
        d[backward * 3] = y;
        snprintf(name, sizeof name, "layer_norm %s %lld", backward ? "both" : "forward",
                 (long long)c);
        measure(g, name, d, backward ? 4 : 1, NULL, backward ? 2 + 3 : 2, (double)(rows * c),
                threads);
        cj_graph_free(g);
    }
}

static void others(cj_context *cj, int threads)
{
    const int64_t n = 4000000;
    for (int kind = 0; kind < 5; kind++) {
        cj_graph *g = cj_graph_new(cj);
        int64_t classes = kind == 1 ? 10 : 1000;
        cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(n / classes, classes)), *d[2];
        if (kind < 2) {
            cj_node *labels = cj_placeholder(g, "labels", CJ_I64, CJ_DIMS(n / classes));
            d[0] = cj_mean(cj_sparse_softmax_crossentropy(x, labels));
            cj_grad(d[0], &x, 1, d + 1);
            measure(g, kind ? "cross-entropy 10, gradient" : "cross-entropy 1000, gradient", d, 2,
                    NULL, 3, (double)n, threads);
        } else if (kind == 2) {
            d[0] = cj_softmax(x, -1);
            measure(g, "softmax 1000", d, 1, NULL, 2, (double)n, threads);
        } else if (kind == 3) {
            d[0] = cj_gelu(x);
            measure(g, "gelu", d, 1, NULL, 2, (double)n, threads);
        } else {
            d[0] = cj_sum(cj_square(x));
            measure(g, "sum of squares", d, 1, NULL, 1, (double)n, threads);
        }
        cj_graph_free(g);
    }
}

/* Adam on one large parameter, and on many small ones. */
static void adam(cj_context *cj, int threads, int count, int64_t n)
{
    cj_graph *g = cj_graph_new(cj);
    cj_update *updates = calloc((size_t)count * 3 + 1, sizeof *updates);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(1));
    char name[64];
    for (int i = 0; i < count; i++) {
        cj_node *v[4];
        int64_t size = n + i; /* no two of one shape */
        for (int k = 0; k < 4; k++) {
            cj_tensor *t = values(cj, &(cj_type){.dtype = CJ_F32, .rank = 1, .dim = {size}});
            snprintf(name, sizeof name, "v%d_%d", k, i);
            v[k] = cj_variable(g, name, t);
            cj_tensor_free(t);
        }
        cj_node *dw = cj_mul(v[3], x);
        cj_node *m = cj_add(cj_scale(v[1], 0.9), cj_scale(dw, 0.1)),
                *s = cj_add(cj_scale(v[2], 0.999), cj_scale(cj_square(dw), 0.001));
        cj_node *w = cj_sub(v[0], cj_div(cj_scale(m, 1e-3), cj_shift(cj_sqrt(cj_abs(s)), 1e-8)));
        updates[3 * i] = (cj_update){v[0], w};
        updates[3 * i + 1] = (cj_update){v[1], m};
        updates[3 * i + 2] = (cj_update){v[2], s};
    }
    snprintf(name, sizeof name, "adam %d x %lld", count, (long long)n);
    measure(g, name, NULL, 0, updates, 7, (double)n * count, threads);
    free(updates);
    cj_graph_free(g);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    one_thread = threads == 1;
    cj_context *cj = cj_context_new(NULL);
    printf("%-28s              %5.1f GB/s\n", "copy loop, one thread", copy_gb_per_s(4000000));
    batch_norm(cj, threads, 1000, 64);
    batch_norm(cj, threads, 4000, 16);
    batch_norm(cj, threads, 120, 512);
    layer_norm(cj, threads, 5000, 768);
    layer_norm(cj, threads, 60000, 64);
    others(cj, threads);
    adam(cj, threads, 1, 4000000);
    adam(cj, threads, 65, 300);
    printf("%-28s              %5.1f GB/s\n", "copy loop, one thread", copy_gb_per_s(4000000));
    cj_context_free(cj);
    return 0;
}
