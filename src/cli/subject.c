/* subject.c: from a model to something that runs.
 *
 * Training needs a loss and the random feeds need sizes and ranges; for a model of somebody else
 * both are guessed so that the work is right, if not its meaning. */
#include "cli/subject.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arrays.h"
#include "cli/data.h"

/* ---- Programs -------------------------------------------------------------------------------- */

/* The loss a network is trained with: cross-entropy of its logits, or of a file's network, whose
 * purpose nobody knows, the mean of its first output squared. */
static cj_node *loss_of(cli_subject *b, cj_node *y)
{
    cj_dim dims[CJ_RANK_MAX];
    cj_graph *g = cj_model_graph(b->m);
    const cj_type *type = y ? cj_node_type(y) : NULL;
    if (!type) return NULL;
    if (!b->w) return cj_mean(cj_square(y));
    for (int i = 0; i + 1 < type->rank; i++) dims[i] = type->dim[i];
    cj_node *label = cj_placeholder(g, "label", CJ_I32, type->rank - 1, dims);
    return cj_mean(cj_loss_node(y, label, "sparse_categorical_crossentropy(from_logits=true)"));
}

static cj_program *compile_training(cli_subject *b, cj_node *y)
{
    cj_graph *g = cj_model_graph(b->m);
    cj_node *loss = loss_of(b, y);
    int n = cj_graph_parameter_count(g);
    cj_node **nodes = loss ? cj_allocate(b->cj, 2 * ((size_t)n + 1) * sizeof *nodes) : NULL;
    cj_program *program = NULL;
    if (!nodes) return NULL;
    for (int i = 0; i < n; i++) nodes[i] = cj_graph_parameter_at(g, i);
    if (!cj_grad(loss, nodes, n, nodes + n)) {
        const cj_update *updates = cj_updates("adam", nodes, nodes + n, n, .learning_rate = 1e-3);
        if (updates || !n)
            program = cj_compile(g, .outputs = {loss}, .updates = updates, .training = true,
                                 .recompute = b->recompute, .precision = b->precision);
    }
    cj_free(b->cj, nodes);
    return program;
}

static cj_program *compile(cli_subject *b)
{
    cj_graph *g = cj_model_graph(b->m);
    cj_node *y = b->w ? b->w->build(b->m) : cj_graph_output_at(g, 0);
    if (cj_graph_failed(g)) return NULL;
    if (b->training) return compile_training(b, y);
    return b->w ? cj_compile(g, .outputs = {y}, .precision = b->precision)
                : cj_compile(g, .training = false, .precision = b->precision);
}

/* ---- Feeds ----------------------------------------------------------------------------------- */

/* Indices stay below what they index; what a file's integers mean is not known, and 0 and 1 are
 * right for most. 0: reals. */
static int64_t limit_of(const cli_subject *b, const char *input, cj_dtype dtype)
{
    if (cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT) return 0;
    if (!b->w) return 2;
    return !strcmp(input, "label") ? b->w->classes : b->w->vocabulary;
}

/* Reproducible numbers that look like data; nothing here depends on their distribution. */
static cj_tensor *random_tensor(cli_subject *b, cj_dtype dtype, int rank, const int64_t *dims,
                                int64_t limit)
{
    cj_tensor *t = cj_tensor_new(b->cj, dtype, rank, dims);
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

/* The symbol of the first input's first axis is the batch, wherever it stands; where that axis is a
 * number, a symbol of the first input called so, as sequences with their steps in front have it. */
static cj_dim batch_of(cj_graph *g, const cj_type *type)
{
    for (int k = 1; k < type->rank && type->dim[0] >= 0; k++)
        if (type->dim[k] < 0 && !strncmp(cj_dim_text(g, type->dim[k]), "batch", 5))
            return type->dim[k];
    return type->rank ? type->dim[0] : CJ_INFER;
}

/* Many models need more than 1 to have anything to do, so that is said, once. */
static void tell_open(cli_subject *b, const char *name, cj_dim d)
{
    if (b->optional || b->c->quiet || b->n_open == CLI_INPUTS_MAX) return;
    for (int i = 0; i < b->n_open; i++)
        if (b->open[i] == d) return;
    b->open[b->n_open++] = d;
    fprintf(b->c->err, "%s: the size '%s' is open, and taken as 1: dims.%s=N says another\n",
            b->name, name, name);
}

/* Another symbol than the batch has the size dims.NAME says, or 1. */
static int64_t size_of(cli_subject *b, cj_graph *g, cj_dim d, cj_dim batch)
{
    char key[160];
    int64_t size = 0;
    if (d >= 0) return d;
    if (d == batch) return b->batch;
    const char *name = cj_dim_text(g, d);
    snprintf(key, sizeof key, "dims.%.100s", name);
    if (!cj_recipe_get_int(b->c->recipe, key, &size) && size > 0) return size;
    tell_open(b, name, d);
    return 1;
}

static cj_tensor *random_input(cli_subject *b, cj_graph *g, int i, const char *name,
                               const cj_type *type, cj_dim *batch)
{
    int64_t dims[CJ_RANK_MAX];
    if (i == 0) *batch = batch_of(g, type);
    for (int k = 0; k < type->rank; k++) dims[k] = size_of(b, g, type->dim[k], *batch);
    if (i == 0 && *batch >= 0) b->batch = *batch;
    return random_tensor(b, type->dtype, type->rank, dims, limit_of(b, name, type->dtype));
}

static int make_feeds(cli_subject *b)
{
    cj_dim batch = CJ_INFER;
    b->n_in = cj_program_input_count(b->program);
    if (b->n_in > CLI_INPUTS_MAX)
        return b->optional ? CLI_FAILED
                           : cli_fail(b->c, CJ_ERR_LIMIT, "bench: %s has %d inputs, more than %d",
                                      b->name, b->n_in, CLI_INPUTS_MAX);
    for (int i = 0; i < b->n_in; i++) {
        const cj_type *type = cj_program_input_type(b->program, i);
        const char *name = cj_program_input_name(b->program, i);
        if (i >= b->n_known)
            b->in[i] = random_input(b, cj_program_graph(b->program), i, name, type, &batch);
        if (!b->in[i]) return b->optional ? CLI_FAILED : cli_failed(b->c, b->cj);
        b->feeds[i] = (cj_feed){cj_program_input(b->program, name), b->in[i]};
    }
    return CLI_DONE;
}

/* ---- Files that are read with values --------------------------------------------------------- */

/* The arrays of the key inputs; 0: there are none. -1 after a failure that has been told. */
static int take_arrays(cli_subject *b, cj_graph *g, int n, const cj_onnx_input *inputs)
{
    const char *const *items = NULL;
    const cj_tensor *values[CLI_INPUTS_MAX] = {NULL};
    int given = 0;
    cli_arrays a = {.c = b->c, .path = b->name};
    if (cj_recipe_get_list(b->c->recipe, "inputs", &items, &given) || !given) return 0;
    const int failed = cli_arrays_values(&a, g, n, inputs, values);
    for (int i = 0; i < n && !failed; i++) b->in[i] = (cj_tensor *)a.feeds[i].value;
    if (failed) cli_arrays_close(&a);
    else free(a.feeds);
    return failed ? -1 : n;
}

static cj_status give_values(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                             const cj_tensor **values)
{
    cli_subject *b = user;
    cj_dim batch = CJ_INFER;
    const char *command = b->c->command->name;
    if (n > CLI_INPUTS_MAX)
        return cj_fail(b->cj, CJ_ERR_LIMIT, "%d inputs, more than %d", n, CLI_INPUTS_MAX);
    const int given = take_arrays(b, g, n, inputs);
    if (given < 0) return CJ_ERR_ARGUMENT;
    for (int i = 0; i < n && !given; i++) {
        if (inputs[i].type.rank < 0)
            return cj_fail(b->c->cj, CJ_ERR_UNSUPPORTED,
                           "the file does not tell the shape of input '%.80s': --inputs A.npy does",
                           inputs[i].name);
        b->in[i] = random_input(b, g, i, inputs[i].name, &inputs[i].type, &batch);
        if (!b->in[i]) return cj_last_status(b->cj);
    }
    if (!b->c->quiet)
        fprintf(b->c->err,
                "%s: shapes depend on the values of the inputs, so the file is read with %s"
                "\n",
                command,
                given
                    ? "the arrays of inputs"
                    : "random numbers, open sizes of dims.NAME or 1; --inputs A.npy gives others");
    for (int i = 0; i < n; i++) values[i] = b->in[i];
    b->n_known = n;
    return CJ_OK;
}

cj_model *cli_subject_load(cli_subject *b)
{
    const cj_tune_opts o = {.struct_size = sizeof o, .values = give_values, .user = b};
    cj_model *m = cj_load_to_tune(b->c->cj, b->name, &o);
    if (!m && !b->c->status) cli_failed(b->c, b->c->cj);
    return m;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int cli_subject_open(cli_subject *b)
{
    b->borrowed = b->m != NULL;
    if (!b->m) b->m = b->w ? cj_model_new(b->cj) : cli_subject_load(b);
    if (!b->m) return b->w ? cli_failed(b->c, b->cj) : b->c->status;
    b->program = compile(b);
    if (b->program) return make_feeds(b);
    return b->optional ? CLI_FAILED : cli_failed(b->c, b->cj);
}

void cli_subject_close(cli_subject *b)
{
    for (int i = 0; i < CLI_INPUTS_MAX; i++) {
        cj_tensor_free(b->in[i]);
        b->in[i] = NULL;
    }
    cj_program_free(b->program);
    if (!b->borrowed) cj_model_free(b->m);
    b->n_in = b->n_known = 0;
    b->program = NULL;
    b->m = NULL;
}
