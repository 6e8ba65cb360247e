/* Times oneDNN's convolutions of the workloads' shapes, forward and both backward, on one thread.
 *
 * Each is shown as the plan runs it (images channels last, weights plain and packed on each run),
 * with packed weights, and with every layout oneDNN's own choice (images packed beforehand, results
 * taken back on each run). The best of many rounds counts, and the forms take turns. Compare with
 * the roof that `cajal bench` prints.
 *
 *     conv [rounds [NAME]]          NAME: only shapes whose name contains it */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef CJ_HAVE_DNNL
#include "backend/onednn/api.h"
#include "base/size.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct shape {
    const char *name;
    int64_t n, c, h, w, k, kernel, stride, pad;
} shape;

static const shape shapes[] = {
    {"cnn stem", 128, 1, 28, 28, 32, 3, 1, 0},    {"cnn 2", 128, 32, 13, 13, 64, 3, 1, 0},
    {"rn20 stem", 128, 3, 32, 32, 16, 3, 1, 1},   {"rn20 16", 128, 16, 32, 32, 16, 3, 1, 1},
    {"rn20 16-32", 128, 16, 32, 32, 32, 3, 2, 1}, {"rn20 32", 128, 32, 16, 16, 32, 3, 1, 1},
    {"rn20 32-64", 128, 32, 16, 16, 64, 3, 2, 1}, {"rn20 64", 128, 64, 8, 8, 64, 3, 1, 1},
    {"rn20 16-32p", 128, 16, 32, 32, 32, 1, 2, 0}, {"rn18 stem", 8, 3, 224, 224, 64, 7, 2, 3},
    {"rn18 64", 8, 64, 56, 56, 64, 3, 1, 1},      {"rn18 64-128", 8, 64, 56, 56, 128, 3, 2, 1},
    {"rn18 64-128p", 8, 64, 56, 56, 128, 1, 2, 0}, {"rn18 128", 8, 128, 28, 28, 128, 3, 1, 1},
    {"rn18 256", 8, 256, 14, 14, 256, 3, 1, 1},   {"rn18 512", 8, 512, 7, 7, 512, 3, 1, 1},
};

enum { PLAIN, PACKED, FREE, FORMS };

static void image(cj__dnnl_array *a, int64_t n, int64_t c, int64_t h, int64_t w, bool any)
{
    *a = (cj__dnnl_array){.rank = 4,
                          .dim = {n, c, h, w},
                          .stride = {h * w * c, 1, w * c, c},
                          .any = any,
                          .kept = any};
}

static cj__dnnl_work work_of(const shape *s, cj__dnnl_kind kind, int form)
{
    int64_t h = (s->h + 2 * s->pad - s->kernel) / s->stride + 1,
            w = (s->w + 2 * s->pad - s->kernel) / s->stride + 1;
    cj__dnnl_array x, y,
        weights = {.rank = 4,
                   .dim = {s->k, s->c, s->kernel, s->kernel},
                   .stride = {s->c * s->kernel * s->kernel, s->kernel * s->kernel, s->kernel, 1},
                   .any = true,
                   .kept = form != PLAIN};
    image(&x, s->n, s->c, s->h, s->w, form == FREE);
    image(&y, s->n, s->k, h, w, form == FREE);
    cj__dnnl_work work = {.kind = kind,
                          .spatial = 2,
                          .stride = {s->stride, s->stride},
                          .dilation = {1, 1},
                          .before = {s->pad, s->pad},
                          .after = {s->pad, s->pad},
                          .threads = 1};
    for (int i = 0; i < 2; i++) /* as oneDNN wants: exactly the padding that is read */
        work.after[i] = (h - 1) * s->stride + s->kernel - s->h - s->pad;
    work.array[CJ__DNNL_A] = kind == CJ__DNNL_CONV_DATA ? y : x;
    work.array[CJ__DNNL_B] = kind == CJ__DNNL_CONV_WEIGHTS ? y : weights;
    work.array[CJ__DNNL_OUT] = kind == CJ__DNNL_CONV        ? y
                               : kind == CJ__DNNL_CONV_DATA ? x
                                                            : weights;
    return work;
}

static double multiply_adds(const shape *s)
{
    double h = (double)((s->h + 2 * s->pad - s->kernel) / s->stride + 1),
           w = (double)((s->w + 2 * s->pad - s->kernel) / s->stride + 1);
    return (double)s->n * h * w * (double)(s->k * s->c * s->kernel * s->kernel);
}

static float *buffer(size_t bytes)
{
    float *p = aligned_alloc(64, cj__round_up(bytes, 64));
    if (!p) exit(1);
    for (size_t i = 0; i < bytes / 4; i++) p[i] = (float)(rand() % 7 - 3);
    return p;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 30;
    const char *only = argc > 2 ? argv[2] : "";
    cj_context *cj = cj_context_new(NULL);
    static const char *const kinds[] = {"forward", "data", "weights"};
    printf("%-14s %-8s %7s %7s %7s  GFLOP/s: as run, packed weights, free layouts\n", "", "", "run",
           "packed", "free");
    for (size_t s = 0; s < CJ__COUNT(shapes); s++) {
        if (!strstr(shapes[s].name, only)) continue;
        const shape *h = &shapes[s];
        int64_t image = h->n * h->h * h->w * (h->k > h->c ? h->k : h->c),
                weights = h->k * h->c * h->kernel * h->kernel;
        size_t most = (size_t)(image > weights ? image : weights) * 4 + 64;
        float *a = buffer(most), *b = buffer(most), *c = buffer(most);
        for (cj__dnnl_kind kind = CJ__DNNL_CONV; kind <= CJ__DNNL_CONV_WEIGHTS; kind++) {
            cj__arena arena;
            cj__arena_init(&arena, cj);
            cj__dnnl *d[FORMS];
            void *workspace[FORMS];
            double best[FORMS];
            char name[FORMS][64];
            for (int f = 0; f < FORMS; f++) {
                size_t bytes;
                cj__dnnl_work w = work_of(h, kind, f);
                cj__dnnl_code(&w, name[f], sizeof name[f]);
                if (cj__dnnl_prepare(cj, &arena, &w, &d[f], &bytes))
                    return fprintf(stderr, "%s\n", cj_message(cj)), 1;
                workspace[f] = buffer(bytes + 64);
                best[f] = INFINITY;
            }
            uint64_t version = 1;
            for (int round = 0; round < rounds; round++)
                for (int f = 0; f < FORMS; f++) {
                    double start = now();
                    if (cj__dnnl_run(d[f], cj, (void *[]){a, b, c, NULL, NULL}, workspace[f],
                                     f ? &version : NULL))
                        return fprintf(stderr, "%s\n", cj_message(cj)), 1;
                    best[f] = fmin(best[f], now() - start);
                }
            printf("%-14s %-8s", h->name, kinds[kind]);
            for (int f = 0; f < FORMS; f++) printf(" %7.1f", 2e-9 * multiply_adds(h) / best[f]);
            printf("  %s %s\n", name[PLAIN], strcmp(name[PLAIN], name[FREE]) ? name[FREE] : "");
            for (int f = 0; f < FORMS; f++) cj__dnnl_release(d[f]), free(workspace[f]);
            cj__arena_release(&arena);
        }
        free(a), free(b), free(c);
    }
    cj_context_free(cj);
    return 0;
}
#else
int main(void) { return fprintf(stderr, "this build has no oneDNN\n"), 2; }
#endif
