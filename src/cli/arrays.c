/* arrays.c: arrays of files into the inputs of a graph, and results into files.
 *
 * Nothing is prepared or converted: array i feeds input i, or the input it is named for. */
#define _POSIX_C_SOURCE 200809L
#include "cli/arrays.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cajal/io.h>

#include "cli/json.h"

static const char *command(const cli_arrays *a) { return a->c->command->name; }

int cli_arrays_begin(cli *c)
{
    const char *name = c->command->name;
    if (c->args.n_words != 1)
        return cli_misused(
            c, "%s: expected one model, found %d words: cajal %s MODEL.onnx --inputs X.npy", name,
            c->args.n_words, name);
    cj_recipe *recipe = cli_recipe(c, NULL);
    return recipe && cli_context(c, recipe) ? CLI_DONE : c->status;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* "x f32[batch, 4], y i64[]" */
static const char *wanted(const cli_arrays *a, cj_graph *g, char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < a->n_in && n < size; i++) {
        const cj_type *type = &a->inputs[i].type;
        n += (size_t)snprintf(out + n, size - n, "%s%s %s[", i ? ", " : "", a->inputs[i].name,
                              cj_dtype_info(type->dtype)->name);
        if (type->rank < 0 && n < size) n += (size_t)snprintf(out + n, size - n, "...");
        for (int k = 0; k < type->rank && n < size; k++)
            n += (size_t)snprintf(out + n, size - n, "%s%s", k ? ", " : "",
                                  cj_dim_text(g, type->dim[k]));
        if (n < size) n += (size_t)snprintf(out + n, size - n, "]");
    }
    return out;
}

/* Numpy's 'S5' are rows of bytes with zeros behind them: as texts, NULL after a failure. */
static cj_tensor *byte_texts(cli *c, const cj_tensor *array)
{
    const int rank = cj_tensor_rank(array) - 1;
    const int64_t *shape = cj_tensor_shape(array);
    const int64_t width = rank < 0 ? 0 : shape[rank],
                  n = width ? cj_tensor_count(array) / width : 0;
    char **texts = calloc((size_t)n + 1, sizeof *texts);
    char *all = malloc((size_t)(n * (width + 1) + 1));
    const char *from = cj_tensor_map_read(array);
    cj_tensor *made = NULL;
    for (int64_t i = 0; texts && all && from && i < n; i++) {
        texts[i] = memcpy(all + i * (width + 1), from + i * width, (size_t)width);
        texts[i][width] = 0;
    }
    if (!width)
        cli_fail(c, CJ_ERR_SHAPE, "an array of bytes without characters is no array of texts");
    else if (!texts || !all) cli_fail(c, CJ_ERR_MEMORY, "out of memory");
    else if (!(made = cj_tensor_from_strings(c->cj, rank, shape, (const char *const *)texts)))
        cli_failed(c, c->cj);
    free(texts);
    free(all);
    return made;
}

cj_tensor *cli_text_bytes(cli *c, const cj_tensor *texts)
{
    const int rank = cj_tensor_rank(texts);
    const int64_t n = cj_tensor_count(texts);
    int64_t shape[CJ_RANK_MAX + 1] = {0};
    size_t width = 1;
    for (int i = 0; i < rank; i++) shape[i] = cj_tensor_shape(texts)[i];
    for (int64_t i = 0; i < n; i++) {
        const size_t length = strlen(cj_tensor_string(texts, i));
        if (length > width) width = length;
    }
    shape[rank] = (int64_t)width;
    cj_tensor *made = cj_tensor_new(c->cj, CJ_U8, rank + 1, shape);
    char *to = made ? cj_tensor_map(made, CJ_MAP_WRITE) : NULL;
    for (int64_t i = 0; to && i < n; i++) {
        const char *text = cj_tensor_string(texts, i);
        memset(to + (size_t)i * width, 0, width);
        memcpy(to + (size_t)i * width, text, strlen(text));
    }
    if (to) cj_tensor_unmap(made);
    else cli_failed(c, c->cj);
    return made;
}

static int load(cli_arrays *a, int i, const char *path)
{
    cj_tensor *value;
    if (a->feeds[i].value)
        return cli_misused(a->c, "%s: input '%.80s' is given twice", command(a), a->inputs[i].name);
    if (cj_npy_load(a->c->cj, path, &value)) return cli_failed(a->c, a->c->cj);
    a->feeds[i].value = value;
    /* What numpy lacks is there as raw bits: bf16 as u16, f8e5m2 as u8, i4 as i8. */
    const cj_dtype to = a->inputs[i].type.dtype, from = cj_tensor_dtype(value);
    if ((to == CJ_STRING && from == CJ_U8) || (to == CJ_U8 && from == CJ_STRING)) {
        a->feeds[i].value = to == CJ_U8 ? cli_text_bytes(a->c, value) : byte_texts(a->c, value);
        cj_tensor_free(value);
        return a->feeds[i].value ? CLI_DONE : a->c->status;
    }
    if (to == from || strcmp(cj_dtype_info(to)->numpy, cj_dtype_info(from)->numpy)) return CLI_DONE;
    a->feeds[i].value = cj_tensor_bits(value, to);
    cj_tensor_free(value);
    return a->feeds[i].value ? CLI_DONE : cli_failed(a->c, a->c->cj);
}

/* "x.npy" for the next input, or "NAME=x.npy". */
static int take(cli_arrays *a, cj_graph *g, const char *text, bool named, int *next)
{
    char list[1024];
    size_t length = strcspn(text, "=");
    for (int i = 0; i < a->n_in && text[length]; i++) {
        const char *name = a->inputs[i].name;
        if (strlen(name) == length && !memcmp(name, text, length))
            return load(a, i, text + length + 1);
    }
    if (named || (text[length] && !memchr(text, '/', length)))
        return cli_misused(a->c, "%s: input=%.200s: expected NAME=FILE.npy with a NAME of %.500s",
                           command(a), text, wanted(a, g, list, sizeof list));
    if (*next >= a->n_in)
        return cli_misused(a->c, "%s: %.200s: the model takes %d input%s: %.500s", command(a), text,
                           a->n_in, a->n_in == 1 ? "" : "s", wanted(a, g, list, sizeof list));
    return load(a, (*next)++, text);
}

static int load_inputs(cli_arrays *a, cj_graph *g)
{
    cli *c = a->c;
    char list[1024];
    const char *const *items = NULL;
    int n = 0, next = 0;
    if (cj_recipe_get_list(c->recipe, "inputs", &items, &n)) return cli_failed(c, c->base);
    for (int i = 0; i < n; i++)
        if (take(a, g, items[i], false, &next)) return c->status;
    for (int i = 0; i < c->args.n_pairs; i++)
        if (!strcmp(c->args.pairs[i].key, "input") &&
            take(a, g, c->args.pairs[i].value, true, &next))
            return c->status;
    for (int i = 0; i < a->n_in; i++)
        if (!a->feeds[i].value)
            return cli_misused(
                c, "%s: input '%.80s' is missing; give --inputs A.npy,B.npy for %.500s", command(a),
                a->inputs[i].name, wanted(a, g, list, sizeof list));
    return CLI_DONE;
}

/* The file's inputs get their arrays before its nodes are read. */
cj_status cli_arrays_values(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                            const cj_tensor **values)
{
    cli_arrays *a = user;
    a->inputs = inputs;
    a->feeds = calloc((size_t)n + (size_t)a->n_feeds + 1, sizeof *a->feeds);
    if (!a->feeds)
        return cli_fail(a->c, CJ_ERR_MEMORY, "%s: out of memory", command(a)), CJ_ERR_MEMORY;
    a->n_in = a->n_feeds = n;
    if (load_inputs(a, g)) return CJ_ERR_ARGUMENT;
    for (int i = 0; i < n; i++) values[i] = a->feeds[i].value;
    a->batch = n && inputs[0].type.rank > 0 ? inputs[0].type.dim[0] : 0;
    return CJ_OK;
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
    cli_misused(c, "%s: there is no backend '%.80s'%s%s%s", c->command->name, wanted,
                near ? " (did you mean '" : "", near ? near : "; cajal list backends tells them",
                near ? "'?)" : "");
    return false;
}

int cli_arrays_open(cli_arrays *a, int more)
{
    cli *c = a->c;
    if (!choose_backend(c, &a->backend)) return c->status;
    a->n_feeds = more;
    const cj_onnx_opts opts = {.struct_size = sizeof opts,
                               .values = cli_arrays_values,
                               .user = a,
                               .all_weights = a->all_weights};
    a->graph = cj_load_graph(c->cj, a->path, &opts);
    if (!a->graph) return c->status ? c->status : cli_failed(c, c->cj);
    for (int i = 0; i < a->n_in; i++) a->feeds[i].node = cj_graph_input_at(a->graph, i);
    if (a->batch > 0 && cj_node_type(a->feeds[0].node)->dim[0] < 0 && !c->quiet)
        fprintf(c->err, "the file's batch of %lld is made a symbol\n", (long long)a->batch);
    return CLI_DONE;
}

void cli_arrays_close(cli_arrays *a)
{
    for (int i = 0; a->feeds && i < a->n_feeds; i++) cj_tensor_free((cj_tensor *)a->feeds[i].value);
    free(a->feeds);
}

/* ---- Running --------------------------------------------------------------------------------- */

int cli_results_new(cli *c, cli_results *r, int n)
{
    r->n = n;
    r->at = calloc((size_t)n + 1, sizeof *r->at);
    return r->at ? CLI_DONE : cli_fail(c, CJ_ERR_MEMORY, "%s: out of memory", c->command->name);
}

void cli_results_free(cli_results *r)
{
    for (int i = 0; r->at && i < r->n; i++) {
        cj_tensor_free(r->at[i].value);
        free(r->at[i].file);
    }
    free(r->at);
}

int cli_result_file(cli *c, cli_result *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    r->file = length < 0 ? NULL : malloc((size_t)length + 1);
    if (!r->file) return cli_fail(c, CJ_ERR_MEMORY, "%s: out of memory", c->command->name);
    va_start(args, format);
    vsnprintf(r->file, (size_t)length + 1, format, args);
    va_end(args);
    return CLI_DONE;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int run_program(cli_arrays *a, cli_results *r, cj_program *program, cj_tensor **out)
{
    cli *c = a->c;
    cj_session_opts opts = {.struct_size = sizeof opts, .backend = a->backend};
    cj_session *s = cj_session_new_opts(program, cj_graph_store(a->graph), &opts);
    if (!s) return cli_failed(c, c->cj);
    double start = now_ms();
    cj_status failed = cj_run(s, a->feeds, a->n_feeds, out, r->n);
    a->ms = now_ms() - start;
    for (int i = 0; i < r->n; i++) r->at[i].value = out[i];
    if (failed) cli_fail(c, failed, "%s", cj_session_message(s));
    cj_session_free(s);
    return failed ? c->status : CLI_DONE;
}

int cli_arrays_run(cli_arrays *a, cli_results *r, bool training)
{
    cli *c = a->c;
    cj_node **nodes = calloc((size_t)r->n + 1, sizeof(cj_node *));
    cj_tensor **out = calloc((size_t)r->n + 1, sizeof(cj_tensor *));
    cj_program *program = NULL;
    int status = CLI_DONE;
    if (!nodes || !out) status = cli_fail(c, CJ_ERR_MEMORY, "%s: out of memory", command(a));
    for (int i = 0; !status && i < r->n; i++) nodes[i] = r->at[i].node;
    if (!status) {
        program = cj_compile(a->graph, .output_list = nodes, .n_outputs = r->n,
                             .training = training);
        status = program ? run_program(a, r, program, out) : cli_failed(c, c->cj);
    }
    cj_program_free(program);
    free(nodes);
    free(out);
    return status;
}

/* ---- Results --------------------------------------------------------------------------------- */

static void print_text(cli *c, const cli_result *r, const char *file)
{
    fprintf(c->out, "%s\t%s\t%s[", file, r->name ? r->name : "",
            cj_dtype_info(cj_tensor_dtype(r->value))->name);
    for (int k = 0; k < cj_tensor_rank(r->value); k++)
        fprintf(c->out, "%s%lld", k ? ", " : "", (long long)cj_tensor_shape(r->value)[k]);
    fputs("]\n", c->out);
}

static void print_json(cli_json *j, const cli_result *r, const char *file)
{
    cli_json_object(j, NULL);
    cli_json_string(j, "name", r->name);
    cli_json_string(j, "dtype", cj_dtype_info(cj_tensor_dtype(r->value))->name);
    cli_json_list(j, "shape");
    for (int i = 0; i < cj_tensor_rank(r->value); i++)
        cli_json_int(j, NULL, cj_tensor_shape(r->value)[i]);
    cli_json_end(j);
    cli_json_string(j, "file", file);
    cli_json_end(j);
}

static int save_all(cli *c, const cli_results *r, const char *folder, cli_json *j)
{
    for (int i = 0; i < r->n; i++) {
        const cli_result *result = &r->at[i];
        size_t room = strlen(folder) + strlen(result->file) + 2;
        char *file = malloc(room);
        if (!file) return cli_fail(c, CJ_ERR_MEMORY, "%s: out of memory", c->command->name);
        snprintf(file, room, "%s/%s", folder, result->file);
        cj_status failed = j ? CJ_OK : cj_npy_save(c->cj, file, result->value);
        if (j && c->json) print_json(j, result, file);
        else if (j) print_text(c, result, file);
        free(file);
        if (failed) return cli_failed(c, c->cj);
    }
    return CLI_DONE;
}

/* Nothing is told before all is written. */
int cli_results_write(cli_arrays *a, const cli_results *r)
{
    cli *c = a->c;
    const char *folder = cli_string(c, "output_dir");
    cli_json j = {.to = c->out};
    if (mkdir(folder, 0777) && errno != EEXIST)
        return cli_fail(c, CJ_ERR_IO, "%s: the folder cannot be made: %s", folder, strerror(errno));
    if (save_all(c, r, folder, NULL)) return c->status;
    if (c->json) {
        cli_json_object(&j, NULL);
        cli_json_string(&j, "model", a->path);
        cli_json_number(&j, "ms", a->ms);
        cli_json_list(&j, r->list);
    }
    if (save_all(c, r, folder, &j)) return c->status;
    if (c->json) {
        cli_json_end(&j);
        cli_json_end(&j);
        cli_json_line(&j);
    }
    return CLI_DONE;
}
