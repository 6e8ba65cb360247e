/* cmd_bench.c: cajal bench: how fast a step is, on random data in memory.
 *
 * A workload is a row: how its network is built, the shape of a sample, its batch. Three modes are
 * measured: train (forward, loss, backward, Adam), infer (a batch forward) and infer1 (one sample).
 * A time is the best of several repeats of many steps, as timings on shared machines have to be. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cajal/nn.h>
#include <cajal/run.h>

#include "cli/cli.h"
#include "cli/json.h"

typedef struct workload {
    const char *name, *doc;
    cj_node *(*build)(cj_model *m); /* gives the logits */
    int rank;
    int64_t shape[4];
    int64_t batch, classes;
    int steps; /* of one repeat */
} workload;

static cj_node *build_mlp(cj_model *m)
{
    cj_node *x = cj_flatten(cj_input(m, "image", 28, 28, 1));
    x = cj_dense(x, .units = 128, .activation = "relu");
    return cj_dense(x, .units = 10);
}

static const workload workloads[] = {
    {"mlp", "784-128-10 with ReLU, batch 32", build_mlp, 3, {28, 28, 1}, 32, 10, 300},
    {0}};

enum { REPEATS = 5 };
static const char *const modes[] = {"train", "infer", "infer1"};

typedef struct bench {
    cli *c;
    cj_context *cj;
    const workload *w;
    int64_t batch;
    int threads;
} bench;

/* Reproducible numbers that look like data; nothing here depends on their distribution. */
static cj_tensor *random_tensor(bench *b, cj_dtype dtype, int64_t rows, int64_t limit)
{
    int64_t shape[5] = {rows};
    int rank = 1;
    for (int i = 0; dtype == CJ_F32 && i < b->w->rank; i++) shape[rank++] = b->w->shape[i];
    cj_tensor *t = cj_tensor_new(b->cj, dtype, rank, shape);
    void *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    uint32_t state = 1;
    for (int64_t i = 0; data && i < cj_tensor_count(t); i++) {
        state = state * 1664525u + 1013904223u;
        double unit = (double)(state >> 8) / 16777216.0;
        cj_store_f64(dtype, data, (size_t)i, limit ? floor(unit * (double)limit) : 2 * unit - 1);
    }
    if (data) cj_tensor_unmap(t);
    return t;
}

static cj_program *compile(bench *b, cj_model *m, bool train)
{
    cj_graph *g = cj_model_graph(m);
    cj_node *logits = b->w->build(m);
    if (!train) return cj_compile(g, .outputs = {logits});
    cj_node *label = cj_placeholder(g, "label", CJ_I32, CJ_DIMS(cj_symbol(g, "batch")));
    cj_node *loss = cj_loss_node(logits, label,
                                 "sparse_categorical_crossentropy(from_logits=true)");
    enum { PARAMETERS_MAX = 64 };
    cj_node *parameters[PARAMETERS_MAX], *gradients[PARAMETERS_MAX];
    int n = cj_graph_parameter_count(g);
    if (n > PARAMETERS_MAX)
        cj_graph_fail(g, CJ_ERR_LIMIT, "bench: %s has %d parameters, at most %d are expected",
                      b->w->name, n, PARAMETERS_MAX);
    loss = loss ? cj_mean(loss) : NULL;
    if (cj_graph_failed(g)) return NULL;
    for (int i = 0; i < n; i++) parameters[i] = cj_graph_parameter_at(g, i);
    if (cj_grad(loss, parameters, n, gradients)) return NULL;
    const cj_update *updates = cj_updates("adam", parameters, gradients, n, .learning_rate = 1e-3);
    return cj_compile(g, .outputs = {loss}, .updates = updates, .training = true);
}

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best time of a step; negative after a failure, told through the session. */
static double best_seconds(cj_session *s, const cj_feed *feeds, int n, cj_tensor **out, int steps)
{
    double best = INFINITY;
    for (int repeat = 0; repeat <= REPEATS; repeat++) { /* the first one warms up */
        double start = now();
        for (int i = 0; i < steps; i++)
            if (cj_run(s, feeds, n, out, 1)) return -1;
        double took = (now() - start) / steps;
        if (repeat && took < best) best = took;
    }
    return best;
}

static void report(bench *b, const char *mode, int64_t batch, double s)
{
    if (!b->c->json) {
        fprintf(b->c->out, "%-10s %-7s %2d thread%s batch %4lld  %9.4f ms  %12.1f samples/s\n",
                b->w->name, mode, b->threads, b->threads == 1 ? " " : "s", (long long)batch,
                s * 1e3, (double)batch / s);
        return;
    }
    cli_json j = {.to = b->c->out};
    cli_json_object(&j, NULL);
    cli_json_string(&j, "workload", b->w->name);
    cli_json_string(&j, "mode", mode);
    cli_json_int(&j, "threads", b->threads);
    cli_json_int(&j, "batch", batch);
    cli_json_number(&j, "ms", s * 1e3);
    cli_json_number(&j, "samples_per_s", (double)batch / s);
    cli_json_end(&j);
    cli_json_line(&j);
}

static int measure(bench *b, const char *mode)
{
    bool train = !strcmp(mode, "train");
    int64_t batch = !strcmp(mode, "infer1") ? 1 : b->batch;
    cj_model *m = cj_model_new(b->cj);
    cj_program *program = m ? compile(b, m, train) : NULL;
    cj_session *s = program ? cj_session_new(program, cj_model_store(m)) : NULL;
    cj_tensor *x = random_tensor(b, CJ_F32, batch, 0),
              *y = random_tensor(b, CJ_I32, batch, b->w->classes);
    cj_tensor *out = NULL;
    int status = CLI_DONE;
    if (!s || !x || !y) {
        status = cli_failed(b->c, b->cj);
    } else {
        cj_feed feeds[] = {{cj_program_input(program, "image"), x},
                           {cj_program_input(program, "label"), y}};
        double took = best_seconds(s, feeds, train ? 2 : 1, &out, b->w->steps);
        if (took < 0) status = cli_fail(b->c, CJ_ERR_STATE, "%s", cj_session_message(s));
        else report(b, mode, batch, took);
    }
    cj_tensor_free(out);
    cj_tensor_free(x);
    cj_tensor_free(y);
    cj_session_free(s);
    cj_program_free(program);
    cj_model_free(m);
    return status;
}

static int run(cli *c)
{
    cj_recipe *recipe = cli_recipe(c, NULL);
    cj_context *cj = recipe ? cli_context(c, recipe) : NULL;
    if (!cj) return c->status;
    const char *mode = NULL;
    int64_t batch = 0;
    if (cj_recipe_get_string(recipe, "mode", &mode) || cj_recipe_get_int(recipe, "batch", &batch))
        return cli_failed(c, c->base);
    for (int i = 0; i < c->args.n_words; i++) {
        int known = 0;
        for (const workload *w = workloads; w->name; w++)
            known |= !strcmp(w->name, c->args.words[i]);
        if (!known)
            return cli_misused(c, "bench: unknown workload '%.80s' (there is: mlp)",
                               c->args.words[i]);
    }
    for (const workload *w = workloads; w->name; w++) {
        bool wanted = !c->args.n_words;
        for (int i = 0; i < c->args.n_words; i++)
            wanted = wanted || !strcmp(w->name, c->args.words[i]);
        for (int i = 0; wanted && i < 3; i++) {
            if (mode && strcmp(mode, modes[i])) continue;
            bench b = {c, cj, w, batch ? batch : w->batch, cj_threads(cj)};
            int status = measure(&b, modes[i]);
            if (status) return status;
        }
    }
    return CLI_DONE;
}

static const char *const keys[] = {"threads", "deterministic", "mode", "batch", NULL};
const cj_command cj_command_bench = {.name = "bench",
                                     .summary = "measure how fast training and inference are",
                                     .usage = "[WORKLOAD...] [threads=N] [mode=train|infer|infer1]",
                                     .keys = keys,
                                     .run = run};
