/* The matrix product of every table this processor runs against a triple loop in double: all
 * transposes, odd sizes, padded rows, unaligned pointers, alpha and beta, bias and relu; the same
 * bits for any threads and rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/isa.h"

enum { PAD = 5 }; /* elements between rows, and before the first: pointers are unaligned */

static uint32_t seed = 1;
static double random_number(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) / (1 << 23) - 1;
}

/* A matrix of float or double with PAD elements before, and `ld - cols` after each row. */
typedef struct matrix {
    bool f64;
    int64_t rows, cols, ld;
    void *block, *first;
} matrix;

static double get(const matrix *a, int64_t i, int64_t j)
{
    const int64_t at = i * a->ld + j;
    return a->f64 ? ((double *)a->first)[at] : ((float *)a->first)[at];
}

static matrix make(bool f64, int64_t rows, int64_t cols)
{
    matrix a = {.f64 = f64, .rows = rows, .cols = cols, .ld = cols + PAD};
    const size_t size = f64 ? sizeof(double) : sizeof(float), n = (size_t)(rows * a.ld + PAD);
    a.block = malloc(n * size);
    assert_non_null(a.block);
    for (size_t i = 0; i < n; i++) {
        if (f64) ((double *)a.block)[i] = random_number();
        else ((float *)a.block)[i] = (float)random_number();
    }
    a.first = (char *)a.block + PAD * size;
    return a;
}

static matrix copy_of(const matrix *a)
{
    matrix b = make(a->f64, a->rows, a->cols);
    const size_t size = a->f64 ? sizeof(double) : sizeof(float);
    memcpy(b.block, a->block, (size_t)(a->rows * a->ld + PAD) * size);
    return b;
}

static bool same_bits(const matrix *a, const matrix *b)
{
    return !memcmp(a->block, b->block,
                   (size_t)(a->rows * a->ld + PAD) * (a->f64 ? sizeof(double) : sizeof(float)));
}

typedef struct problem {
    const cj__isa *isa;
    bool f64, ta, tb, bias, relu;
    int64_t m, n, k;
    double alpha, beta;
} problem;

static cj__gemm gemm_of(const problem *p, const matrix *a, const matrix *b, matrix *c,
                        const matrix *bias)
{
    return (cj__gemm){.m = p->m,
                        .n = p->n,
                        .k = p->k,
                        .transpose_a = p->ta,
                        .transpose_b = p->tb,
                        .alpha = p->alpha,
                        .beta = p->beta,
                        .a = a->first,
                        .lda = a->ld,
                        .b = b->first,
                        .ldb = b->ld,
                        .c = c->first,
                        .ldc = c->ld,
                        .bias = p->bias ? bias->first : NULL,
                        .relu = p->relu};
}

static void run(const problem *p, cj__team *team, const matrix *a, const matrix *b, matrix *c,
                const matrix *bias)
{
    const cj__gemm g = gemm_of(p, a, b, c, bias);
    (p->f64 ? p->isa->gemm_f64 : p->isa->gemm_f32)(team, &g);
}

/* With as much workspace as wanted. Returns whether any was. */
static bool run_blocked(const problem *p, cj__team *team, const matrix *a, const matrix *b,
                        matrix *c, const matrix *bias)
{
    cj__gemm g = gemm_of(p, a, b, c, bias);
    const size_t bytes = p->isa->gemm_workspace_f32(&g);
    if (!bytes) return false;
    g.workspace = malloc(bytes);
    assert_non_null(g.workspace);
    p->isa->gemm_f32(team, &g);
    free(g.workspace);
    return true;
}

/* The error of a sum of k products is at most about k rounding errors of the sum of their sizes. */
static void check(const problem *p)
{
    matrix a = p->ta ? make(p->f64, p->k, p->m) : make(p->f64, p->m, p->k);
    matrix b = p->tb ? make(p->f64, p->n, p->k) : make(p->f64, p->k, p->n);
    matrix c = make(p->f64, p->m, p->n), bias = make(p->f64, 1, p->n), before = copy_of(&c);
    if (p->beta == 0 && p->m * p->n > 0) { /* must not be read */
        if (p->f64) ((double *)c.first)[0] = NAN;
        else ((float *)c.first)[0] = NAN;
    }
    run(p, NULL, &a, &b, &c, &bias);
    const double epsilon = p->f64 ? 0x1p-52 : 0x1p-23;
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < c.ld; j++) {
            if (j >= p->n) {
                if (i + 1 < p->m && get(&c, i, j) != get(&before, i, j))
                    fail_msg("wrote past row %d", (int)i);
                continue;
            }
            double sum = 0, size = 0;
            for (int64_t q = 0; q < p->k; q++) {
                const double x = p->ta ? get(&a, q, i) : get(&a, i, q),
                             y = p->tb ? get(&b, j, q) : get(&b, q, j);
                sum += x * y, size += fabs(x * y);
            }
            double want = p->alpha * sum;
            size = fabs(p->alpha) * size;
            if (p->beta != 0)
                want += p->beta * get(&before, i, j), size += fabs(p->beta * get(&before, i, j));
            if (p->bias) want += get(&bias, 0, j), size += fabs(get(&bias, 0, j));
            if (p->relu && want < 0) want = 0;
            const double got = get(&c, i, j), tolerance = (4 + sqrt((double)p->k)) * epsilon * size;
            if (!(fabs(got - want) <= tolerance))
                fail_msg("%s %s %dx%dx%d ta=%d tb=%d alpha=%g beta=%g bias=%d relu=%d: c[%d][%d] = "
                         "%.9g, want %.9g +- %.2g",
                         p->isa->name, p->f64 ? "f64" : "f32", (int)p->m, (int)p->n, (int)p->k,
                         p->ta, p->tb, p->alpha, p->beta, p->bias, p->relu, (int)i, (int)j, got,
                         want, tolerance);
        }
    }
    free(a.block), free(b.block), free(c.block), free(bias.block), free(before.block);
}

static const cj__isa *runnable(int *t)
{
    while (cj__isa_at(*t) && !cj__isa_at(*t)->supported()) ++*t;
    return cj__isa_at(*t);
}

static void test_sizes(void **state)
{
    (void)state;
    static const int sizes[][3] = {{1, 1, 1},    {1, 1, 0},      {3, 5, 0},     {1, 7, 3},
                                   {2, 16, 5},   {3, 17, 16},    {4, 31, 17},   {5, 32, 31},
                                   {6, 33, 33},  {7, 47, 2},     {11, 48, 4},   {12, 64, 65},
                                   {13, 63, 66}, {24, 10, 128},  {25, 65, 7},   {1, 128, 200},
                                   {2, 130, 40}, {3, 129, 41},   {1, 300, 257}, {32, 10, 128},
                                   {67, 66, 65}, {65, 100, 513}, {241, 35, 20}, {1, 64, 300},
                                   {1, 33, 19}};
    for (int t = 0; runnable(&t); t++) {
        for (size_t s = 0; s < CJ__COUNT(sizes); s++) {
            for (int flags = 0; flags < 8; flags++) {
                problem p = {.isa = cj__isa_at(t),
                             .f64 = flags & 4,
                             .ta = flags & 2,
                             .tb = flags & 1,
                             .m = sizes[s][0],
                             .n = sizes[s][1],
                             .k = sizes[s][2],
                             .alpha = 1};
                check(&p);
                p.alpha = s % 2 ? 1 : -0.5, p.beta = s % 3 == 0 ? 1 : s % 3 == 1 ? 0.25 : 0;
                p.bias = s % 2, p.relu = s % 4 > 1;
                check(&p);
            }
        }
    }
}

static void test_every_small_size(void **state)
{
    (void)state;
    for (int t = 0; runnable(&t); t++) {
        for (int m = 1; m <= 14; m++) {
            for (int n = 1; n <= 67; n += m % 3 + 1) {
                problem p = {.isa = cj__isa_at(t),
                             .tb = n % 2,
                             .ta = m % 2,
                             .m = m,
                             .n = n,
                             .k = (m * n) % 23,
                             .alpha = 1,
                             .bias = n % 3 == 0};
                check(&p);
            }
        }
    }
}

/* Any number of threads, and each row alone, give the same bits. */
static void test_same_bits(void **state)
{
    (void)state;
    static const int sizes[][3] = {
        {37, 150, 300}, {32, 128, 784}, {300, 260, 70}, {260, 33, 40}, {70, 97, 530},
        {515, 130, 290}, {96, 4160, 17}, {333, 48, 600}, {512, 128, 257}};
    cj_context *cj = cj_context_new(NULL);
    assert_non_null(cj);
    for (int t = 0; runnable(&t); t++) {
        for (size_t s = 0; s < CJ__COUNT(sizes) * 4; s++) {
            const int *size = sizes[s / 4];
            problem p = {.isa = cj__isa_at(t),
                         .ta = s & 2,
                         .tb = s & 1,
                         .m = size[0],
                         .n = size[1],
                         .k = size[2],
                         .alpha = 1,
                         .bias = true};
            matrix a = p.ta ? make(false, p.k, p.m) : make(false, p.m, p.k);
            matrix b = p.tb ? make(false, p.n, p.k) : make(false, p.k, p.n);
            matrix c = make(false, p.m, p.n), bias = make(false, 1, p.n), first = copy_of(&c);
            run(&p, NULL, &a, &b, &first, &bias);
            for (int threads = 1; threads <= 3; threads++) {
                matrix other = copy_of(&c);
                cj__team *team = cj__team_new(cj, threads);
                assert_non_null(team);
                run(&p, team, &a, &b, &other, &bias);
                cj__team_free(team);
                if (!same_bits(&first, &other))
                    fail_msg("%s %zu: %d threads give other bits than one", p.isa->name, s,
                             threads);
                free(other.block);
            }
            for (int threads = 1; threads <= 2; threads++) {
                matrix other = copy_of(&c);
                cj__team *team = cj__team_new(cj, threads);
                assert_non_null(team);
                if (run_blocked(&p, team, &a, &b, &other, &bias) && !same_bits(&first, &other))
                    fail_msg("%s %zu: with workspace, %d threads give other bits", p.isa->name, s,
                             threads);
                cj__team_free(team);
                free(other.block);
            }
            matrix rows = copy_of(&c);
            for (int64_t i = 0, step = 1; i < p.m;
                 i += step, step = step % 5 + 1) { /* 1, 2, 3, 4, 5 rows at a time */
                problem q = p;
                q.m = step < p.m - i ? step : p.m - i;
                matrix ai = a, ci = rows;
                ai.first = (float *)a.first + i * (p.ta ? 1 : a.ld);
                ci.first = (float *)rows.first + i * rows.ld;
                run(&q, NULL, &ai, &b, &ci, &bias);
            }
            if (!same_bits(&first, &rows))
                fail_msg("%s %zu: rows alone give other bits than all", p.isa->name, s);
            free(a.block), free(b.block), free(c.block), free(bias.block), free(first.block),
                free(rows.block);
        }
    }
    cj_context_free(cj);
}

/* An infinity or NaN in one place of B reaches its column only. */
static void test_not_finite(void **state)
{
    (void)state;
    for (int t = 0; runnable(&t); t++) {
        for (int tb = 0; tb < 2; tb++) {
            problem p = {.isa = cj__isa_at(t), .tb = tb, .m = 9, .n = 21, .k = 18, .alpha = 1};
            matrix a = make(false, 9, 18), b = tb ? make(false, 21, 18) : make(false, 18, 21),
                   c = make(false, 9, 21);
            ((float *)b.first)[tb ? 20 * b.ld + 3 : 3 * b.ld + 20] = NAN;
            run(&p, NULL, &a, &b, &c, NULL);
            for (int i = 0; i < 9; i++) {
                for (int j = 0; j < 21; j++) assert_int_equal(!isnan(get(&c, i, j)), j != 20);
            }
            free(a.block), free(b.block), free(c.block);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_every_small_size),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
