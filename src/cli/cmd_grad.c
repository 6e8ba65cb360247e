/* cmd_grad.c: cajal grad: the vector-Jacobian product of a whole graph.
 *
 *     sum over outputs of <cotangent, output>, differentiated by each float input and each float
 *     initializer
 *
 * A cotangent is a placeholder like the output it belongs to, or ones. What the outputs do not
 * depend on has a gradient of zeros. */
#include <stdlib.h>
#include <string.h>

#include <cajal/io.h>

#include "cli/arrays.h"

typedef struct job {
    cli *c;
    cli_arrays a;
    cli_results r;
    int n_y, n_inputs; /* outputs, and inputs, that are floats */
    cj_node **y, **dy;
} job;

static bool is_float(const cj_node *node)
{
    return cj_dtype_info(cj_node_dtype(node))->kind == CJ_KIND_FLOAT;
}

/* ---- Cotangents ------------------------------------------------------------------------------ */

static int feed_cotangent(job *t, int i, int output_at, const char *path)
{
    const cj_type *type = cj_node_type(t->y[i]);
    const char *output = cj_graph_output_name(t->a.graph, output_at);
    char name[128];
    cj_tensor *value;
    if (cj_npy_load(t->c->cj, path, &value)) return cli_failed(t->c, t->c->cj);
    cj_feed *feed = &t->a.feeds[t->a.n_feeds++];
    feed->value = value;
    snprintf(name, sizeof name, "cotangent %d (%.80s)", i, output ? output : "");
    feed->node = t->dy[i] = cj_placeholder(t->a.graph, name, type->dtype, type->rank, type->dim);
    return t->dy[i] ? CLI_DONE : cli_failed(t->c, t->c->cj);
}

/* One for each output that is a float, or one for each output: then the others are not read. */
static int take_cotangents(job *t)
{
    cli *c = t->c;
    const char *const *items = NULL;
    int n = 0, outputs = cj_graph_output_count(t->a.graph), next = 0;
    if (cj_recipe_get_list(c->recipe, "cotangents", &items, &n)) return cli_failed(c, c->base);
    if (n && n != t->n_y && n != outputs)
        return cli_misused(c, "grad: %d cotangents: expected one for each of the %d outputs%s", n,
                           t->n_y, outputs > t->n_y ? " that are floats" : "");
    for (int i = 0, k = 0; i < outputs; i++) {
        if (!is_float(cj_graph_output_at(t->a.graph, i))) {
            next += n == outputs;
            continue;
        }
        if (!n) t->dy[k] = cj_full_like(t->y[k], 1);
        else if (feed_cotangent(t, k, i, items[next++])) return c->status;
        k++;
    }
    return CLI_DONE;
}

static int find_outputs(job *t)
{
    int n = cj_graph_output_count(t->a.graph);
    t->y = calloc((size_t)n + 1, sizeof(cj_node *));
    t->dy = calloc((size_t)n + 1, sizeof(cj_node *));
    if (!t->y || !t->dy) return cli_fail(t->c, CJ_ERR_MEMORY, "grad: out of memory");
    for (int i = 0; i < n; i++) {
        cj_node *y = cj_graph_output_at(t->a.graph, i);
        if (is_float(y)) t->y[t->n_y++] = y;
    }
    if (t->n_y) return CLI_DONE;
    return cli_fail(t->c, CJ_ERR_TYPE, "%s: none of its outputs is a float", t->a.path);
}

/* ---- What is differentiated by --------------------------------------------------------------- */

/* How many float inputs and variables there are; with `at` they are written down. */
static int list_wrt(job *t, cli_result *at)
{
    cj_graph *g = t->a.graph;
    const cj_store *store = cj_graph_store(g);
    int n = 0;
    for (int i = 0; i < t->a.n_in; i++) {
        cj_node *x = cj_graph_input_at(g, i);
        if (!is_float(x)) continue;
        if (at) at[n] = (cli_result){.name = cj_node_name(x), .node = x};
        n++;
    }
    t->n_inputs = n;
    for (int i = 0; i < cj_store_count(store); i++) {
        cj_node *x = cj_find_variable(g, cj_store_name_at(store, i));
        if (!x || !is_float(x)) continue;
        if (at) at[n] = (cli_result){.name = cj_store_name_at(store, i), .node = x};
        n++;
    }
    return n;
}

static bool is_taken(const cli_results *r, const char *file)
{
    for (int i = 0; i < r->n; i++)
        if (r->at[i].file && !strcmp(r->at[i].file, file)) return true;
    return false;
}

/* grad_NAME.npy, with "_" for "/"; and with as many more at the end as tell it from the others.
 * Names that are files as they stand come first. */
static int name_files(job *t)
{
    cli *c = t->c;
    for (int i = 0; i < t->n_inputs; i++)
        if (cli_result_file(c, &t->r.at[i], "grad%d.npy", i)) return c->status;
    for (int changed = 0; changed < 2; changed++) {
        for (int i = t->n_inputs; i < t->r.n; i++) {
            cli_result *r = &t->r.at[i];
            if ((strchr(r->name, '/') != NULL) != changed) continue;
            for (int more = 0;; more++) {
                char *file;
                cli_result one = {.name = r->name};
                if (cli_result_file(c, &one, "grad_%s%.*s.npy", r->name, more,
                                    "________________________________"))
                    return c->status;
                file = one.file;
                for (char *at = file; (at = strchr(at, '/')) != NULL;) *at = '_';
                if (more < 32 && is_taken(&t->r, file)) {
                    free(file);
                    continue;
                }
                r->file = file;
                break;
            }
        }
    }
    return CLI_DONE;
}

static int differentiate(job *t)
{
    cli *c = t->c;
    cj_node **wrt = calloc(2 * (size_t)t->r.n + 1, sizeof(cj_node *)), **d = wrt + t->r.n;
    if (!wrt) return cli_fail(c, CJ_ERR_MEMORY, "grad: out of memory");
    for (int i = 0; i < t->r.n; i++) wrt[i] = t->r.at[i].node;
    cj_status failed = cj_vjp(t->y, t->dy, t->n_y, wrt, t->r.n, d);
    for (int i = 0; !failed && i < t->r.n; i++) t->r.at[i].node = cj_zero_as(d[i], wrt[i]);
    free(wrt);
    if (!failed) failed = cj_graph_failed(t->a.graph);
    return failed ? cli_failed(c, c->cj) : CLI_DONE;
}

static int run_job(job *t)
{
    cli *c = t->c;
    const char *const *items = NULL;
    int n = 0;
    if (cj_recipe_get_list(c->recipe, "cotangents", &items, &n)) return cli_failed(c, c->base);
    if (cli_arrays_open(&t->a, n) || find_outputs(t) || take_cotangents(t) ||
        cli_results_new(c, &t->r, list_wrt(t, NULL)))
        return c->status;
    list_wrt(t, t->r.at);
    if (name_files(t) || differentiate(t) || cli_arrays_run(&t->a, &t->r, cli_bool(c, "training")))
        return c->status;
    return cli_results_write(&t->a, &t->r);
}

static int run(cli *c)
{
    if (cli_arrays_begin(c)) return c->status;
    job t = {.c = c,
             .a = {.c = c, .path = c->args.words[0], .all_weights = true},
             .r = {.list = "gradients"}};
    int status = run_job(&t);
    free(t.y);
    free(t.dy);
    cli_results_free(&t.r);
    cli_arrays_close(&t.a);
    return status;
}

static const char *const keys[] = {"inputs",  "input",   "cotangents",    "training", "output_dir",
                                   "backend", "threads", "deterministic", NULL};
const cj_command cj_command_grad = {
    .name = "grad",
    .summary = "gradients of a model's outputs by its inputs and weights",
    .usage = "MODEL.onnx --inputs A.npy,B.npy [--cotangents C.npy] [--output-dir DIR]",
    .text =
        "  cajal grad model.onnx --inputs x.npy --output-dir out\n"
        "  cajal grad model.onnx --inputs x.npy --cotangents dy.npy --training\n\n"
        "The vector-Jacobian product: the gradient of the sum of all outputs, each times its\n"
        "cotangent, an array like it (one for each output that is a float; ones when none are\n"
        "given). Writes grad0.npy, grad1.npy and so on for the inputs that are floats, in the\n"
        "order of the graph, and grad_NAME.npy for each float initializer, with _ for each / "
        "of\n"
        "NAME. What the outputs do not depend on, or is read as a number when the model is "
        "loaded\n"
        "(a Dropout's ratio), has zeros. Batch normalisation and dropout do what the file says;\n"
        "--training gives them the batch's statistics and dropped elements.\n",
    .keys = keys,
    .run = run,
};
