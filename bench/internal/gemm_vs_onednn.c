/* Times our gemm_f32 against oneDNN's dnnl_sgemm on one thread, in one run.
 *
 * The two take turns, the best of many rounds counts for each, so that a change of clock or a
 * neighbour on the machine meets both. oneDNN is opened at run time; without it only our own speed
 * is shown.
 *
 *     gemm_vs_onednn [avx512|avx2|generic]     (OMP_NUM_THREADS=1 is set for oneDNN) */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/cpu/isa.h"

typedef int (*sgemm_fn)(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                        const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                        float *c, int64_t ldc);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *numbers(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    if (!x) exit(1);
    for (size_t i = 0; i < n; i++) x[i] = (float)(rand() % 7 - 3);
    return x;
}

int main(int argc, char **argv)
{
    static const int sizes[][3] = {{256, 256, 256},   {32, 128, 784}, {784, 128, 32},
                                   {32, 10, 128},     {1, 128, 784},  {128, 512, 512},
                                   {1024, 1024, 1024}};
    const cj__isa *isa = argc > 1 ? cj__isa_find(argv[1]) : cj__isa_best();
    if (!isa) return fprintf(stderr, "no such instruction set here\n"), 2;
    setenv("OMP_NUM_THREADS", "1", 1);
    void *library = dlopen("libdnnl.so.2", RTLD_NOW);
    if (!library) library = dlopen("libdnnl.so.3", RTLD_NOW);
    sgemm_fn sgemm = NULL;
    if (library) *(void **)&sgemm = dlsym(library, "dnnl_sgemm");
    printf("%s, one thread, GFLOP/s\n   m    n    k  op    ours  oneDNN  ratio\n", isa->name);
    for (size_t s = 0; s < CJ__COUNT(sizes); s++) {
        for (int flags = 0; flags < 4; flags++) {
            const int m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
            const bool ta = flags & 2, tb = flags & 1;
            const double work = 2.0 * m * n * k;
            float *a = numbers((size_t)m * (size_t)k), *b = numbers((size_t)k * (size_t)n);
            float *c = numbers((size_t)m * (size_t)n), *d = numbers((size_t)m * (size_t)n);
            const cj__gemm g = {.m = m,
                                .n = n,
                                .k = k,
                                .transpose_a = ta,
                                .transpose_b = tb,
                                .alpha = 1,
                                .a = a,
                                .lda = ta ? m : k,
                                .b = b,
                                .ldb = tb ? k : n,
                                .c = c,
                                .ldc = n};
            double ours = INFINITY, theirs = INFINITY;
            const int calls = 1 + (int)(2e7 / work);
            for (int round = 0; round < 40; round++) {
                double start = now();
                for (int i = 0; i < calls; i++) isa->gemm_f32(NULL, &g);
                ours = fmin(ours, (now() - start) / calls);
                if (!sgemm) continue;
                start = now();
                for (int i = 0; i < calls; i++)
                    sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a, g.lda, b, g.ldb, 0, d, n);
                theirs = fmin(theirs, (now() - start) / calls);
            }
            for (int i = 0; sgemm && i < m * n; i++) {
                if (c[i] != d[i])
                    return fprintf(stderr, "results differ at %d: %g, %g\n", i, c[i], d[i]), 1;
            }
            printf("%4d %4d %4d  %c%c  %6.1f  %6.1f  %5.2f\n", m, n, k, ta ? 'T' : 'N',
                   tb ? 'T' : 'N', work / ours * 1e-9, work / theirs * 1e-9, theirs / ours);
            free(a), free(b), free(c), free(d);
        }
    }
    return 0;
}
