/* Times 3 x 3 convolutions of the workloads' shapes by backend, forward, with respect to the image,
 * and to the weights, on one thread. What counts is the thread's own processor time, the least of
 * many rounds in which the backends take turns; weights are transformed or packed in each round, as
 * in training.
 *
 *     winograd [rounds [NAME]]      NAME: only shapes whose name contains it */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cajal/cajal.h>
#include <cajal/conv.h>
#include <cajal/run.h>

typedef struct shape {
    const char *name;
    int64_t n, side, in, out, pad;
} shape;

static const shape shapes[] = {
    {"fmnist 8", 32, 28, 8, 16, 1},   {"fmnist 12", 32, 28, 12, 24, 1},
    {"cnn 2", 128, 13, 32, 64, 0},    {"rn20 16", 128, 32, 16, 16, 1},
    {"rn20 32", 128, 16, 32, 32, 1},  {"rn20 64", 128, 8, 64, 64, 1},
    {"rn18 64", 8, 56, 64, 64, 1},    {"rn18 128", 8, 28, 128, 128, 1},
    {"rn18 256", 8, 14, 256, 256, 1}, {"rn18 512", 8, 7, 512, 512, 1},
    {"vgg 64", 1, 224, 64, 64, 1},    {"one 64", 1, 56, 64, 64, 1},
    {"one 128", 1, 28, 128, 128, 1},  {"one 256", 1, 14, 256, 256, 1},
    {"one 512", 1, 7, 512, 512, 1},
};

static const char *const backends[] = {"winograd", "onednn", "cpu"};
static const char *const words[] = {"conv", "image", "weights"};
enum { BACKENDS = 3, KINDS = 3 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static cj_tensor *numbers(cj_context *cj, int64_t a, int64_t b, int64_t c, int64_t d)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){a, b, c, d});
    float *x = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (!x) exit(1);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) x[i] = (float)(rand() % 2001 - 1000) / 1000;
    cj_tensor_unmap(t);
    return t;
}

/* One kind on one backend: a session, or NULL where another backend would run it. */
static cj_session *session_of(cj_context *cj, const shape *s, int kind, const char *backend,
                              const cj_node *in[2])
{
    const int64_t to = s->side + 2 * s->pad - 2;
    cj_graph *g = cj_graph_new(cj);
    cj_conv_opts o = {.struct_size = sizeof o,
                      .pads_before = {s->pad, s->pad},
                      .pads_after = {s->pad, s->pad}};
    const int64_t x[] = {s->n, s->side, s->side, s->in}, y[] = {s->n, to, to, s->out},
                  w[] = {s->out, s->in, 3, 3};
    cj_node *a = cj_placeholder(g, "a", CJ_F32, 4, kind == 1 ? y : x),
            *b = cj_placeholder(g, "b", CJ_F32, 4, kind == 2 ? y : w);
    cj_node *out = kind == 0   ? (cj_conv)(a, b, &o)
                   : kind == 1 ? (cj_conv_transpose)(a, b, &o)
                               : (cj_conv_weight_grad)(a, b, (int64_t[]){3, 3}, &o);
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .output_list = &out,
                                                       .n_outputs = 1});
    cj_session *run =
        p ? cj_session_new_opts(p, NULL,
                                &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                   .backend = backend,
                                                   .threads = 1})
          : NULL;
    if (!run) fprintf(stderr, "%s\n", cj_message(cj));
    in[0] = p ? cj_program_input(p, "a") : NULL;
    in[1] = p ? cj_program_input(p, "b") : NULL;
    return run;
}

static void time_kind(cj_context *cj, const shape *s, int kind, int rounds)
{
    const int64_t to = s->side + 2 * s->pad - 2;
    cj_tensor *x = numbers(cj, s->n, s->side, s->side, s->in),
              *y = numbers(cj, s->n, to, to, s->out), *w = numbers(cj, s->out, s->in, 3, 3);
    cj_session *runs[BACKENDS] = {0};
    const cj_node *in[BACKENDS][2];
    double best[BACKENDS];
    char kernel[BACKENDS][40] = {{0}};
    for (int b = 0; b < BACKENDS; b++) {
        best[b] = INFINITY;
        runs[b] = session_of(cj, s, kind, backends[b], in[b]);
    }
    for (int r = 0; r < rounds; r++)
        for (int b = 0; b < BACKENDS; b++) {
            if (!runs[b] || (r && strncmp(kernel[b], backends[b], strlen(backends[b])))) continue;
            cj_tensor *out = NULL;
            const double start = now();
            if (cj_run(runs[b],
                       (cj_feed[]){{in[b][0], kind == 1 ? y : x}, {in[b][1], kind == 2 ? y : w}}, 2,
                       &out, 1))
                fprintf(stderr, "%s\n", cj_session_message(runs[b]));
            if (r) best[b] = fmin(best[b], now() - start);
            cj_tensor_free(out);
            cj_step_info step;
            for (int i = 0; cj_session_step_at(runs[b], i, &step); i++)
                if (strstr(step.kernel, "conv"))
                    snprintf(kernel[b], sizeof kernel[b], "%s", step.kernel);
        }
    const double products = 2e-6 * 9 * (double)(s->n * to * to) * (double)(s->in * s->out);
    printf("%-10s %-8s", s->name, words[kind]);
    for (int b = 0; b < BACKENDS; b++)
        printf("  %8.3f ms %5.0f GFLOP/s", best[b], products / best[b]);
    printf("  x %.2f\n", best[1] / best[0]);
    for (int b = 0; b < BACKENDS; b++) cj_session_free(runs[b]);
    cj_tensor_free(x);
    cj_tensor_free(y);
    cj_tensor_free(w);
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 10;
    printf("%-19s", "");
    for (int b = 0; b < BACKENDS; b++) printf("  %-24s", backends[b]);
    printf("  winograd to onednn\n");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < KINDS && (argc < 3 || strstr(shapes[i].name, argv[2])); kind++) {
            cj_context *cj = cj_context_new(NULL);
            time_kind(cj, &shapes[i], kind, rounds + 1);
            cj_context_free(cj);
        }
    return 0;
}
