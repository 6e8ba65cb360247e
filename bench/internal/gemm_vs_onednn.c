/* Times our gemm_f32 against oneDNN's dnnl_sgemm and its matmul primitive, in one run.
 *
 * They take turns, the best of many rounds counts for each, so that a change of clock or a
 * neighbour on the machine meets all. `packed` is the primitive with b in its own layout, packed
 * beforehand: a fixed weight. Sizes are those of the workloads: forward, then the gradients of a
 * and of b.
 *
 *     gemm_vs_onednn [rounds [threads [avx512|avx2|generic]]] */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/cpu/isa.h"

#ifdef CJ_HAVE_DNNL
#include "backend/onednn/api.h"

int dnnl_sgemm(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
               int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *numbers(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof(float) + 127) / 64 * 64);
    if (!x) exit(1);
    for (size_t i = 0; i < n; i++) x[i] = (float)(rand() % 7 - 3);
    return x;
}

/* c[m,n] = op(a) op(b) */
typedef struct product {
    int64_t m, n, k;
    bool ta, tb;
} product;

static cj__dnnl_array matrix(int64_t rows, int64_t cols, bool transposed, bool packed)
{
    return (cj__dnnl_array){.rank = 2,
                            .dim = {rows, cols},
                            .stride = {transposed ? 1 : cols, transposed ? rows : 1},
                            .any = packed,
                            .kept = packed};
}

enum { OURS, SGEMM, PRIMITIVE, PACKED, WAYS };

static void measure(cj_context *cj, const cj__isa *isa, cj__team *team, int threads, product p,
                    int rounds, double best[WAYS], char *code, size_t size)
{
    float *a = numbers((size_t)(p.m * p.k)), *b = numbers((size_t)(p.k * p.n)),
          *c = numbers((size_t)(p.m * p.n));
    cj__gemm g = {.m = p.m,
                        .n = p.n,
                        .k = p.k,
                        .transpose_a = p.ta,
                        .transpose_b = p.tb,
                        .alpha = 1,
                        .a = a,
                        .lda = p.ta ? p.m : p.k,
                        .b = b,
                        .ldb = p.tb ? p.k : p.n,
                        .c = c,
                        .ldc = p.n};
    const size_t bytes_of_ours = isa->gemm_workspace_f32(&g);
    g.workspace = bytes_of_ours ? numbers(bytes_of_ours / sizeof(float) + 1) : NULL;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj__dnnl *d[2];
    void *workspace[2];
    uint64_t version = 1;
    for (int packed = 0; packed < 2; packed++) {
        cj__dnnl_work w = {.kind = CJ__DNNL_MATMUL, .threads = threads};
        w.array[CJ__DNNL_A] = matrix(p.m, p.k, p.ta, false);
        w.array[CJ__DNNL_B] = matrix(p.k, p.n, p.tb, packed);
        w.array[CJ__DNNL_OUT] = matrix(p.m, p.n, false, false);
        size_t bytes;
        if (!packed) cj__dnnl_code(&w, code, size);
        if (cj__dnnl_prepare(cj, &arena, &w, &d[packed], &bytes)) exit(1);
        workspace[packed] = numbers(bytes / 4 + 16);
    }
    int calls = 1 + (int)(1e7 / (2.0 * (double)(p.m * p.n * p.k)));
    for (int way = 0; way < WAYS; way++) best[way] = INFINITY;
    for (int round = 0; round < rounds; round++)
        for (int way = 0; way < WAYS; way++) {
            double start = now();
            for (int i = 0; i < calls; i++) {
                if (way == OURS) isa->gemm_f32(team, &g);
                else if (way == SGEMM)
                    dnnl_sgemm(p.ta ? 'T' : 'N', p.tb ? 'T' : 'N', p.m, p.n, p.k, 1, a, g.lda, b,
                               g.ldb, 0, c, p.n);
                else
                    cj__dnnl_run(d[way - PRIMITIVE], cj, (void *[]){a, b, c, NULL, NULL},
                                 workspace[way - PRIMITIVE], &version);
            }
            best[way] = fmin(best[way], (now() - start) / calls);
        }
    for (int i = 0; i < 2; i++) cj__dnnl_release(d[i]), free(workspace[i]);
    cj__arena_release(&arena);
    free(a), free(b), free(c), free(g.workspace);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int m, n, k;
    } sizes[] = {
        {"mlp", 32, 128, 784},        {"mlp", 32, 10, 128},         {"mlp one", 1, 128, 784},
        {"cnn", 128, 10, 1600},       {"lstm", 6400, 512, 64},      {"lstm step", 64, 512, 128},
        {"gpt qkv", 1024, 768, 256},  {"gpt o", 1024, 256, 256},    {"gpt mlp", 1024, 1024, 256},
        {"gpt mlp", 1024, 256, 1024}, {"gpt one", 128, 768, 256},   {"rn18 fc", 8, 1000, 512},
        {"square", 256, 256, 256},    {"square", 1024, 1024, 1024}, {"heads", 128, 128, 64}};
    int rounds = argc > 1 ? atoi(argv[1]) : 40, threads = argc > 2 ? atoi(argv[2]) : 1;
    const cj__isa *isa = argc > 3 ? cj__isa_find(argv[3]) : cj__isa_best();
    if (!isa) return fprintf(stderr, "no such instruction set here\n"), 2;
    setenv("OMP_NUM_THREADS", threads == 1 ? "1" : argv[2], 1);
    cj_context *cj = cj_context_new(NULL);
    cj__team *team = cj__team_new(cj, threads);
    printf("%s, %d threads, GFLOP/s\n%-10s    m    n    k op   ours  sgemm   prim packed\n",
           isa->name, threads, "");
    for (size_t s = 0; s < CJ__COUNT(sizes); s++)
        for (int which = 0; which < 3; which++) {
            /* y = a b;  da = dy b^T;  db = a^T dy */
            int m = sizes[s].m, n = sizes[s].n, k = sizes[s].k;
            product p = which == 0   ? (product){m, n, k, false, false}
                        : which == 1 ? (product){m, k, n, false, true}
                                     : (product){k, n, m, true, false};
            double best[WAYS];
            char code[64];
            measure(cj, isa, team, threads, p, rounds, best, code, sizeof code);
            printf("%-10s %4d %4d %4d %c%c", sizes[s].name, (int)p.m, (int)p.n, (int)p.k,
                   p.ta ? 'T' : 'N', p.tb ? 'T' : 'N');
            for (int way = 0; way < WAYS; way++)
                printf(" %6.1f", 2e-9 * (double)(p.m * p.n * p.k) / best[way]);
            printf("  %s\n", code);
            fflush(stdout);
        }
    cj__team_free(team);
    cj_context_free(cj);
    return 0;
}
#else
int main(void) { return fprintf(stderr, "this build has no oneDNN\n"), 2; }
#endif
