/* cmd_run.c: cajal run: any graph of a file on raw arrays, as a runtime does it.
 *
 * Nothing is prepared or converted: array i feeds input i, or the input it is named for, and output
 * i is written to outI.npy. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cajal/io.h>

#include "cli/data.h"
#include "cli/json.h"

typedef struct job {
    cli *c;
    const char *path, *folder;
    cj_graph *graph;
    cj_program *program;
    cj_session *session;
    int n_in, n_out;
    const cj_onnx_input *inputs; /* while the file is read */
    cj_tensor **in, **out;
    cj_feed *feeds;
} job;

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* "x f32[batch, 4], y i64[]" */
static const char *wanted(const job *t, cj_graph *g, char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < t->n_in && n < size; i++) {
        const cj_type *type = &t->inputs[i].type;
        n += (size_t)snprintf(out + n, size - n, "%s%s %s[", i ? ", " : "", t->inputs[i].name,
                              cj_dtype_info(type->dtype)->name);
        if (type->rank < 0 && n < size) n += (size_t)snprintf(out + n, size - n, "...");
        for (int k = 0; k < type->rank && n < size; k++)
            n += (size_t)snprintf(out + n, size - n, "%s%s", k ? ", " : "",
                                  cj_dim_text(g, type->dim[k]));
        if (n < size) n += (size_t)snprintf(out + n, size - n, "]");
    }
    return out;
}

static int load(job *t, int i, const char *path)
{
    if (t->in[i])
        return cli_misused(t->c, "run: input '%.80s' is given twice", t->inputs[i].name);
    return cj_npy_load(t->c->cj, path, &t->in[i]) ? cli_failed(t->c, t->c->cj) : CLI_DONE;
}

/* "x.npy" for the next input, or "NAME=x.npy". */
static int take(job *t, cj_graph *g, const char *text, bool named, int *next)
{
    char list[1024];
    size_t length = strcspn(text, "=");
    for (int i = 0; i < t->n_in && text[length]; i++) {
        const char *name = t->inputs[i].name;
        if (strlen(name) == length && !memcmp(name, text, length))
            return load(t, i, text + length + 1);
    }
    if (named || (text[length] && !memchr(text, '/', length)))
        return cli_misused(t->c, "run: input=%.200s: expected NAME=FILE.npy with a NAME of %.500s",
                           text, wanted(t, g, list, sizeof list));
    if (*next >= t->n_in)
        return cli_misused(t->c, "run: %.200s: the model takes %d input%s: %.500s", text, t->n_in,
                           t->n_in == 1 ? "" : "s", wanted(t, g, list, sizeof list));
    return load(t, (*next)++, text);
}

static int load_inputs(job *t, cj_graph *g)
{
    cli *c = t->c;
    char list[1024];
    const char *const *items = NULL;
    int n = 0, next = 0;
    if (cj_recipe_get_list(c->recipe, "inputs", &items, &n)) return cli_failed(c, c->base);
    for (int i = 0; i < n; i++)
        if (take(t, g, items[i], false, &next)) return c->status;
    for (int i = 0; i < c->args.n_pairs; i++)
        if (!strcmp(c->args.pairs[i].key, "input") &&
            take(t, g, c->args.pairs[i].value, true, &next))
            return c->status;
    for (int i = 0; i < t->n_in; i++)
        if (!t->in[i])
            return cli_misused(
                c, "run: input '%.80s' is missing; give --inputs A.npy,B.npy for %.500s",
                t->inputs[i].name, wanted(t, g, list, sizeof list));
    return CLI_DONE;
}

/* The file's inputs get their arrays before its nodes are read. */
static cj_status give_values(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                             const cj_tensor **values)
{
    job *t = user;
    t->inputs = inputs;
    t->n_in = n;
    t->in = calloc((size_t)n + 1, sizeof *t->in);
    if (!t->in) return cli_fail(t->c, CJ_ERR_MEMORY, "run: out of memory"), CJ_ERR_MEMORY;
    if (load_inputs(t, g)) return CJ_ERR_ARGUMENT;
    for (int i = 0; i < n; i++) values[i] = t->in[i];
    return CJ_OK;
}

/* ---- Outputs --------------------------------------------------------------------------------- */

static int make_folder(job *t)
{
    if (!mkdir(t->folder, 0777) || errno == EEXIST) return CLI_DONE;
    return cli_fail(t->c, CJ_ERR_IO, "%s: the folder cannot be made: %s", t->folder,
                    strerror(errno));
}

static void print_shape(cli_json *j, const cj_tensor *tensor)
{
    cli_json_list(j, "shape");
    for (int i = 0; i < cj_tensor_rank(tensor); i++)
        cli_json_int(j, NULL, cj_tensor_shape(tensor)[i]);
    cli_json_end(j);
}

static int write_outputs(job *t, double ms)
{
    cli *c = t->c;
    cli_json j = {.to = c->out};
    size_t room = strlen(t->folder) + 32;
    char *file = malloc(room);
    if (!file) return cli_fail(c, CJ_ERR_MEMORY, "run: out of memory");
    for (int i = 0; i < t->n_out; i++) {
        snprintf(file, room, "%s/out%d.npy", t->folder, i);
        if (cj_npy_save(c->cj, file, t->out[i])) return free(file), cli_failed(c, c->cj);
    }
    if (c->json) {
        cli_json_object(&j, NULL);
        cli_json_string(&j, "model", t->path);
        cli_json_number(&j, "ms", ms);
        cli_json_list(&j, "outputs");
    }
    for (int i = 0; i < t->n_out; i++) {
        const char *name = cj_graph_output_name(t->graph, i),
                   *dtype = cj_dtype_info(cj_tensor_dtype(t->out[i]))->name;
        snprintf(file, room, "%s/out%d.npy", t->folder, i);
        if (!c->json) {
            fprintf(c->out, "%s\t%s\t%s[", file, name ? name : "", dtype);
            for (int k = 0; k < cj_tensor_rank(t->out[i]); k++)
                fprintf(c->out, "%s%lld", k ? ", " : "", (long long)cj_tensor_shape(t->out[i])[k]);
            fputs("]\n", c->out);
            continue;
        }
        cli_json_object(&j, NULL);
        cli_json_string(&j, "name", name);
        cli_json_string(&j, "dtype", dtype);
        print_shape(&j, t->out[i]);
        cli_json_string(&j, "file", file);
        cli_json_end(&j);
    }
    if (c->json) {
        cli_json_end(&j);
        cli_json_end(&j);
        cli_json_line(&j);
    }
    free(file);
    return CLI_DONE;
}

/* ---- Running --------------------------------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The backend of the keys, NULL for the best there are. false after a failure that has been told.
 */
static bool choose_backend(cli *c, const char **out)
{
    const char *names[32] = {NULL}, *wanted = cli_string(c, "backend");
    *out = wanted;
    for (int i = 0; i < 31 && (names[i] = cj_backend_name_at(i)) != NULL; i++)
        if (wanted && !strcmp(names[i], wanted)) return true;
    if (!wanted) return true;
    const char *near = cj_nearest(wanted, names);
    cli_misused(c, "run: there is no backend '%.80s'%s%s%s", wanted, near ? " (did you mean '" : "",
                near ? near : "; cajal list backends tells them", near ? "'?)" : "");
    return false;
}

static int run_graph(job *t)
{
    cli *c = t->c;
    const char *backend;
    if (!choose_backend(c, &backend)) return c->status;
    cj_onnx_opts ask = {.struct_size = sizeof ask, .values = give_values, .user = t};
    t->graph = cj_onnx_load_graph_opts(c->cj, t->path, &ask);
    if (!t->graph) return c->status ? c->status : cli_failed(c, c->cj);
    t->n_out = cj_graph_output_count(t->graph);
    t->out = calloc((size_t)t->n_out + 1, sizeof *t->out);
    t->feeds = calloc((size_t)t->n_in + 1, sizeof *t->feeds);
    if (!t->out || !t->feeds) return cli_fail(c, CJ_ERR_MEMORY, "run: out of memory");
    for (int i = 0; i < t->n_in; i++)
        t->feeds[i] = (cj_feed){.node = cj_graph_input_at(t->graph, i), .value = t->in[i]};
    t->program = cj_compile(t->graph, .training = false);
    cj_session_opts opts = {.struct_size = sizeof opts, .backend = backend};
    if (t->program) t->session = cj_session_new_opts(t->program, cj_graph_store(t->graph), &opts);
    if (!t->session) return cli_failed(c, c->cj);
    double start = now_ms();
    cj_status failed = cj_run(t->session, t->feeds, t->n_in, t->out, t->n_out);
    if (failed) return cli_fail(c, failed, "%s", cj_session_message(t->session));
    double ms = now_ms() - start;
    return make_folder(t) ? c->status : write_outputs(t, ms);
}

static void release(job *t)
{
    for (int i = 0; t->in && i < t->n_in; i++) cj_tensor_free(t->in[i]);
    for (int i = 0; t->out && i < t->n_out; i++) cj_tensor_free(t->out[i]);
    free(t->in);
    free(t->out);
    free(t->feeds);
    cj_session_free(t->session);
    cj_program_free(t->program);
}

static int run(cli *c)
{
    if (c->args.n_words != 1)
        return cli_misused(
            c, "run: expected one model, found %d words: cajal run MODEL.onnx --inputs X.npy",
            c->args.n_words);
    cj_recipe *recipe = cli_recipe(c, NULL);
    if (!recipe || !cli_context(c, recipe)) return c->status;
    job t = {.c = c, .path = c->args.words[0], .folder = cli_string(c, "output_dir")};
    int status = run_graph(&t);
    release(&t);
    return status;
}

static const char *const keys[] = {"inputs",  "input",         "output_dir", "backend",
                                   "threads", "deterministic", NULL};
const cj_command cj_command_run = {
    .name = "run",
    .summary = "run the graph of a model on arrays",
    .usage = "MODEL.onnx --inputs A.npy,B.npy [--output-dir DIR]",
    .text = "  cajal run model.onnx --inputs x.npy --output-dir out\n"
            "  cajal run model.onnx --input image=x.npy --input mask=m.npy\n\n"
            "Arrays are fed as they are: types and shapes must fit. Writes out0.npy, out1.npy and "
            "so on,\n"
            "and tells name, type, shape and file of each. Exit status 3: the model needs an "
            "operator or\n"
            "a type that Cajal does not have.\n",
    .keys = keys,
    .run = run,
};
