/* cmd_bench.c: cajal bench: how fast a step is, where its time goes, and how far the roof is.
 *
 * A subject is a workload of workloads.c or an ONNX file; it is measured in modes: train (forward,
 * loss, backward, Adam), infer (a batch forward) and infer1 (one sample), on random data in memory.
 *
 *     subject: program and feeds -> best time of a step -> the same again with a profile
 *
 * A time is the best of several repeats of many steps, as timings on shared machines have to be. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/data.h"
#include "cli/profile.h"
#include "cli/subject.h"

enum { REPEATS = 5, ROWS = 20, MODES = 3 };
static const char *const modes[MODES] = {"train", "infer", "infer1"};

typedef struct bench { /* one measurement */
    cli *c;
    const char *mode;
    cli_subject of;
    cj_status failed;      /* of the last run */
    double seconds;        /* of a step */
    size_t arena_bytes;
    int64_t parameters;
    cli_totals totals;
    double deterministic_cost; /* 0: not asked for */
} bench;

typedef struct settings { /* of the whole command */
    const char *mode;
    int64_t batch;
    double seconds;
    bool deterministic, table;
    cj_roof roof;
    FILE *trace_file;
    cli_trace trace;
} settings;

/* ---- Timing ---------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds for one of `steps` steps; negative after a failure, told through the session. */
static double time_steps(bench *b, cj_session *s, cj_tensor **out, int steps)
{
    double start = now();
    for (int i = 0; i < steps; i++)
        if ((b->failed = cj_run(s, b->of.feeds, b->of.n_in, out, 1))) return -1;
    return (now() - start) / steps;
}

/* The best time of a step in about `seconds`; the first steps make the plan and warm the caches. */
static double best_seconds(bench *b, cj_session *s, double seconds)
{
    cj_tensor *out = NULL;
    double best = time_steps(b, s, &out, 1);
    if (best >= 0) best = time_steps(b, s, &out, 1);
    double wanted = best > 0 ? seconds / REPEATS / best : 0;
    int steps = wanted > 1e6 ? 1000000 : wanted > 1 ? (int)wanted : 1;
    for (int i = 0; i < REPEATS && best >= 0 && seconds > 0; i++) {
        double took = time_steps(b, s, &out, steps);
        if (took < best) best = took;
    }
    cj_tensor_free(out);
    return best;
}

static cj_session *open_session(bench *b, bool profile)
{
    return cj_session_new_opts(
        b->of.program, cj_model_store(b->of.m),
        &(cj_session_opts){.struct_size = sizeof(cj_session_opts), .profile = profile});
}

/* A step of an unprofiled session. */
static int time_session(bench *b, double seconds)
{
    cj_session_info info;
    cj_session *s = open_session(b, false);
    if (!s) return cli_failed(b->c, b->of.cj);
    int status = CLI_DONE;
    b->seconds = best_seconds(b, s, seconds);
    if (b->seconds < 0)
        status = cli_fail(b->c, b->failed, "bench: %s: %s", b->of.name,
                          cj_session_message(s));
    cj_session_get_info(s, &info);
    b->arena_bytes = info.arena_bytes;
    b->parameters = 0;
    cj_graph *g = cj_model_graph(b->of.m);
    for (int i = 0; i < cj_graph_parameter_count(g); i++)
        b->parameters += cj_tensor_count(
            cj_store_get(cj_model_store(b->of.m), cj_node_name(cj_graph_parameter_at(g, i))));
    b->totals = cli_profile_totals(s);
    cj_session_free(s);
    return status;
}

/* ---- Reports --------------------------------------------------------------------------------- */

static double gflops(const bench *b)
{
    return b->seconds > 0 ? 2e-9 * b->totals.multiply_adds / b->seconds : 0;
}

static void print_line(const bench *b, const cj_roof *roof)
{
    FILE *to = b->c->out;
    int threads = cj_threads(b->of.cj);
    fprintf(to, "%-10s %-6s %2d thread%s batch %4lld %11.4f ms %12.1f samples/s %8.1f GFLOP/s",
            b->of.name, b->mode, threads, threads == 1 ? " " : "s", (long long)b->of.batch,
            b->seconds * 1e3, (double)b->of.batch / b->seconds, gflops(b));
    if (roof->gflops > 0) fprintf(to, " %3.0f %% of the roof", 100 * gflops(b) / roof->gflops);
    fprintf(to, " %10.3f MB arena %7.2f MB reordered", (double)b->arena_bytes * 1e-6,
            b->totals.bytes_reordered * 1e-6);
    if (b->deterministic_cost > 0)
        fprintf(to, "  deterministic=true costs %.2f times", b->deterministic_cost);
    fputc('\n', to);
}

static bool print_object(const bench *b, const settings *t, const cj_session *profiled)
{
    cli_json j = {.to = b->c->out};
    char peer[64];
    bool done = true;
    snprintf(peer, sizeof peer, "cajal %s", cj_version());
    cli_json_object(&j, NULL);
    cli_json_string(&j, "peer", peer);
    cli_json_string(&j, "workload", b->of.name);
    cli_json_string(&j, "mode", b->mode);
    cli_json_int(&j, "threads", cj_threads(b->of.cj));
    cli_json_string(&j, "layout", b->of.w ? "channels_last" : "as_saved");
    cli_json_string(&j, "precision", cli_string(b->c, "precision"));
    cli_json_int(&j, "batch", b->of.batch);
    cli_json_number(&j, "ms", b->seconds * 1e3);
    cli_json_number(&j, "samples_per_s", (double)b->of.batch / b->seconds);
    cli_json_number(&j, "roof_gflops", t->roof.gflops);
    cli_json_number(&j, "roof_gb_per_s", t->roof.gb_per_s);
    cli_json_number(&j, "gflops", gflops(b));
    cli_json_number(&j, "of_roof", t->roof.gflops > 0 ? gflops(b) / t->roof.gflops : 0);
    cli_json_int(&j, "arena_bytes", (int64_t)b->arena_bytes);
    cli_json_number(&j, "reordered_bytes", b->totals.bytes_reordered);
    cli_json_int(&j, "kernels", b->totals.kernels);
    cli_json_int(&j, "parameters", b->parameters);
    cli_json_number(&j, "multiply_adds", b->totals.multiply_adds);
    if (b->deterministic_cost > 0)
        cli_json_number(&j, "deterministic_cost", b->deterministic_cost);
    if (profiled) done = cli_profile_json(&j, "profile", profiled, &t->roof);
    cli_json_end(&j);
    cli_json_line(&j);
    return done;
}

/* The same steps, one by one, with a clock around each kernel. *between: the shortest time of a
 * step that was no kernel's. */
static cj_session *profile(bench *b, const settings *t, double *between)
{
    cj_session *s = open_session(b, true);
    if (!s) return cli_failed(b->c, b->of.cj), NULL;
    cj_tensor *out = NULL;
    double took = time_steps(b, s, &out, 2), begin = now(); /* a plan, and cold caches */
    cj_session_profile_reset(s);
    *between = INFINITY;
    for (int i = 0; took >= 0 && (i < 3 || now() - begin < t->seconds); i++) {
        double before = cli_profile_seconds(s);
        took = time_steps(b, s, &out, 1);
        double rest = took - (cli_profile_seconds(s) - before);
        if (rest < *between) *between = rest > 0 ? rest : 0;
    }
    cj_tensor_free(out);
    if (took >= 0) return s;
    cli_fail(b->c, b->failed, "bench: %s: %s", b->of.name, cj_session_message(s));
    cj_session_free(s);
    return NULL;
}

static int report(bench *b, settings *t)
{
    char title[128];
    cli *c = b->c;
    bool all = c->verbose || t->table, done = true;
    double between = 0;
    cj_session *s = NULL;
    if ((c->json ? c->verbose : all) || t->trace_file) {
        if (!(s = profile(b, t, &between))) return c->status;
    }
    if (c->json) done = print_object(b, t, c->verbose ? s : NULL);
    else print_line(b, &t->roof);
    if (s && all && !c->json)
        done = cli_profile_print(c->out, s, between, &t->roof, c->verbose ? 0 : ROWS);
    if (t->roof.gflops > 0 && !c->json && !c->quiet) {
        cj_roof after;
        if (cj_measure_roof(b->of.cj, 0, &after)) done = false;
        else
            cli_profile_doubts(c->out, b->of.precision == CJ_PRECISION_FLOAT32 ? s : NULL, &t->roof,
                               &after);
    }
    snprintf(title, sizeof title, "%.100s %s", b->of.name, b->mode);
    if (s && t->trace_file) cli_trace_add(&t->trace, title, s);
    cj_session_free(s);
    return done ? CLI_DONE : cli_fail(c, CJ_ERR_MEMORY, "bench: out of memory");
}

/* ---- One measurement ------------------------------------------------------------------------- */

/* The same once more in a context that promises nothing. */
static int compare_deterministic(bench *b, const settings *t)
{
    bench free = {.c = b->c, .mode = b->mode, .of = b->of};
    cj_context *before = b->c->cj;
    free.of.m = NULL;
    free.of.program = NULL;
    free.of.n_in = 0;
    free.of.cj = cj_context_new(&(cj_config){.threads = cj_threads(before)});
    if (!free.of.cj) return cli_failed(b->c, NULL);
    b->c->cj = free.of.cj; /* files are opened in it */
    int status = cli_subject_open(&free.of);
    if (!status) status = time_session(&free, t->seconds);
    if (!status && free.seconds > 0) b->deterministic_cost = b->seconds / free.seconds;
    cli_subject_close(&free.of);
    b->c->cj = before;
    cj_context_free(free.of.cj);
    return status;
}

static int measure(cli *c, settings *t, const char *name, const char *mode)
{
    const cli_workload *w = cli_workload_find(name);
    bench b = {.c = c,
               .mode = mode,
               .of = {.c = c,
                      .cj = c->cj,
                      .name = name,
                      .w = w,
                      .training = !strcmp(mode, "train"),
                      .recompute = cli_recompute(c),
                      .precision = cli_precision(c),
                      .batch = !strcmp(mode, "infer1") ? 1
                               : t->batch              ? t->batch
                               : w                     ? w->batch
                                                       : 1}};
    int status = cli_subject_open(&b.of);
    if (!status) status = time_session(&b, t->seconds);
    if (!status && t->deterministic) status = compare_deterministic(&b, t);
    if (!status) status = report(&b, t);
    cli_subject_close(&b.of);
    return status;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* "mlp, cnn or the path of an ONNX file" */
static int check_words(cli *c)
{
    char names[256];
    size_t n = 0;
    for (const cli_workload *w = cli_workloads; w->name && n < sizeof names; w++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", w->name);
    for (int i = 0; i < c->args.n_words; i++) {
        const char *word = c->args.words[i];
        if (!cli_workload_find(word) && !strchr(word, '/') && !cli_ends_with(word, ".onnx") &&
            !cli_ends_with(word, ".h5") && !cli_ends_with(word, ".keras"))
            return cli_misused(
                c, "bench: unknown workload '%.80s' (there are %s, and paths of .onnx files)",
                word, names);
    }
    return CLI_DONE;
}

/* Is this mode measured for this subject? A file is measured forward, unless asked otherwise. */
static bool wanted(const settings *t, const char *name, const char *mode)
{
    if (t->mode) return !strcmp(t->mode, mode);
    return cli_workload_find(name) || !strcmp(mode, t->batch > 1 ? "infer" : "infer1");
}

static int measure_all(cli *c, settings *t)
{
    const char *names[64];
    int n = 0, status = CLI_DONE;
    for (int i = 0; i < c->args.n_words && n < 64; i++) names[n++] = c->args.words[i];
    for (const cli_workload *w = cli_workloads; !c->args.n_words && w->name; w++)
        names[n++] = w->name;
    t->table = n == 1 && (t->mode || !cli_workload_find(names[0]));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < MODES && !status; k++)
            if (wanted(t, names[i], modes[k])) status = measure(c, t, names[i], modes[k]);
    return status;
}

static int measure_roof(cli *c, settings *t)
{
    if (cj_measure_roof(c->cj, 0, &t->roof)) return cli_failed(c, c->cj);
    if (!c->json && !c->quiet)
        fprintf(c->out, "the roof here, %d thread%s: %.1f GFLOP/s, %.1f GB/s\n",
                cj_threads(c->cj), cj_threads(c->cj) == 1 ? "" : "s", t->roof.gflops,
                t->roof.gb_per_s);
    return CLI_DONE;
}

static int run(cli *c)
{
    settings t = {0};
    cj_recipe *recipe = cli_recipe(c, NULL);
    if (!recipe || check_words(c) || !cli_context(c, recipe)) return c->status;
    t.mode = cli_string(c, "mode");
    t.batch = cli_int(c, "batch");
    t.seconds = cli_float(c, "seconds");
    t.deterministic = cli_bool(c, "deterministic");
    const char *path = cli_string(c, "trace");
    if (cli_bool(c, "roof") && measure_roof(c, &t)) return c->status;
    if (path && !(t.trace_file = fopen(path, "w")))
        return cli_fail(c, CJ_ERR_IO, "bench: %s: the file cannot be written", path);
    if (path) cli_trace_begin(&t.trace, t.trace_file);
    int status = measure_all(c, &t);
    if (!path) return status;
    cli_trace_end(&t.trace);
    bool broken = ferror(t.trace_file) != 0;
    if ((fclose(t.trace_file) || broken) && !status)
        status = cli_fail(c, CJ_ERR_IO, "bench: %s: the file cannot be written", path);
    return status;
}

static const char *const keys[] = {"threads", "deterministic", "mode",  "batch",
                                   "dims",    "seconds",       "trace", "roof",
                                   "recompute", "precision",   "inputs", NULL};
const cj_command cj_command_bench = {
    .name = "bench",
    .summary = "measure how fast training and inference are, and tell why",
    .usage = "[WORKLOAD|MODEL.onnx...] [mode=train|infer|infer1] [threads=N] [batch=N]",
    .text =
        "  cajal bench                                   all workloads in all modes\n"
        "  cajal bench resnet20 mode=train threads=1     with a table of its kernels\n"
        "  cajal bench model.onnx batch=8 dims.length=128 --verbose\n"
        "  cajal bench gpt mode=train --trace gpt.json   for chrome://tracing or Perfetto\n\n"
        "A time is the best of several. The roof is what multiply-adds and sweeps over memory "
        "reach here and\nnow when they wait for nothing; a kernel's share of it is the larger "
        "of the two. One workload in one\nmode, a model, and --verbose print the kernels, the "
        "slowest first, and a sentence on where the time\ngoes; layers with the same kernel and "
        "result are one row without --verbose. When the machine was too\nbusy to tell shares, "
        "a line says so. --json prints a line for each measurement, with --verbose its\nkernels "
        "too.\n",
    .keys = keys,
    .run = run};
