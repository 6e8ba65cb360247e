/* cmd_summary.c: cajal summary: the layers of a model and what they cost, or its graph. */
#include <stdlib.h>
#include <string.h>

#include "cli/data.h"
#include "cli/json.h"
#include "cli/subject.h"

static cj_model *load(cli *c, const char *path)
{
    cli_subject of = {.c = c, .cj = c->cj, .name = path, .batch = 1};
    cj_model *m = cli_subject_load(&of);
    cli_subject_close(&of);
    return m;
}

static cj_model *open_model(cli *c)
{
    const cj_item *model = cj_recipe_find(c->recipe, "model");
    const char *data = cli_string(c, "data");
    bool described = model && model->kind != CJ_ITEM_NULL;
    if (c->args.n_words + described != 1)
        return cli_misused(c, "summary: expected one model: cajal summary MODEL.onnx, or "
                              "model=LAYERS with data=NAME"),
               NULL;
    if (!cli_context(c, c->recipe)) return NULL;
    const char *word = described ? NULL : c->args.words[0];
    if (word && !cli_is_network(c, word)) return load(c, word);
    if (word && cj_recipe_set_string(c->recipe, "model", word)) return cli_failed(c, c->base), NULL;
    cj_dataset *ds = data ? cli_data_open(c, data, .split = NULL) : NULL;
    if (data && !ds) return NULL;
    return cli_model_make(c, ds, 0);
}

/* A loaded model is one graph; its layers are found again by the text it was made from, if it has
 * one. */
static cj_model *with_layers(cli *c, cj_model *m)
{
    cj_model_counts counts;
    if (cj_model_count(m, &counts) || counts.layers) return m;
    const char *text = cj_model_text(m);
    cj_model *again = text ? cj_model_from_text(c->cj, text, NULL, 0) : NULL;
    return again ? again : m;
}

static void print_shape(cli_json *j, const char *key, const cj_type *type)
{
    cli_json_list(j, key);
    for (int i = 0; i < type->rank; i++) {
        if (type->dim[i] < 0) cli_json_null(j, NULL);
        else cli_json_int(j, NULL, type->dim[i]);
    }
    cli_json_end(j);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Bytes: of the values that live at once in a prediction and in a training step (the arena of their
 * plans), of what a prediction keeps of the weights (packed copies), of parameters, and of the
 * optimizer's state. -1: not known. */
typedef struct memory {
    int64_t batch, predict, packed, train, parameters, optimizer;
} memory;

static int64_t store_bytes(cj_model *m)
{
    const cj_store *store = cj_model_store(m);
    int64_t sum = 0;
    for (int i = 0; i < cj_store_count(store); i++)
        sum += (int64_t)cj_tensor_size_bytes(cj_store_tensor_at(store, i));
    return sum;
}

/* Plans without running. The training step adds a loss and an optimizer to the model's graph. */
static int64_t arena_of(cli *c, cj_model *m, int64_t *batch, bool training, int64_t *packed)
{
    cli_subject of = {.c = c, .cj = c->cj, .name = "model", .m = m, .batch = *batch,
                      .training = training, .optional = true};
    cj_session_info info = {0};
    bool planned = false;
    if (!cli_subject_open(&of)) {
        cj_session *s = cj_session_new(of.program, cj_model_store(m));
        planned = s && !cj_session_plan(s, of.feeds, of.n_in);
        if (planned) cj_session_get_info(s, &info);
        cj_session_free(s);
        *batch = of.batch;
    }
    cli_subject_close(&of);
    *packed = (int64_t)info.kept_bytes;
    return planned ? (int64_t)info.arena_bytes : -1;
}

static memory memory_of(cli *c, cj_model *m)
{
    memory t = {.batch = cli_int(c, "batch")};
    int64_t unused;
    if (t.batch < 1) t.batch = 32;
    t.parameters = store_bytes(m);
    t.predict = arena_of(c, m, &t.batch, false, &t.packed);
    t.train = t.predict < 0 ? -1 : arena_of(c, m, &t.batch, true, &unused);
    t.optimizer = t.train < 0 ? -1 : store_bytes(m) - t.parameters;
    return t;
}

static void print_memory(cli *c, const memory *t)
{
    FILE *to = c->out;
    if (t->predict < 0) return;
    fprintf(to, " Memory for %lld samples: %.3f MB to predict (and %.3f MB of packed weights)",
            (long long)t->batch, (double)t->predict * 1e-6, (double)t->packed * 1e-6);
    if (t->train >= 0)
        fprintf(to, ", %.3f MB to train, beside %.3f MB of parameters and %.3f MB of Adam's",
                (double)t->train * 1e-6, (double)t->parameters * 1e-6,
                (double)t->optimizer * 1e-6);
    fputc('\n', to);
}

/* ---- Shares ---------------------------------------------------------------------------------- */

enum { SHARES_MAX = 12 };

/* The layers with most of the work, then those with most of the parameters, each once. */
static int next_share(cj_model *m, const bool *shown, int n)
{
    cj_layer_info layer;
    int best = -1;
    int64_t work = 0, parameters = 0;
    for (int i = 0; i < n && cj_model_layer_at(m, i, &layer); i++) {
        bool more = layer.multiply_adds > work ||
                    (layer.multiply_adds == work && layer.parameters > parameters);
        if (shown[i] || !more) continue;
        best = i;
        work = layer.multiply_adds;
        parameters = layer.parameters;
    }
    return best;
}

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100 * (double)part / (double)whole : 0;
}

/* Where time and memory go, as far as sizes tell. */
static bool print_shares(cli *c, cj_model *m, const cj_model_counts *counts)
{
    cj_layer_info layer;
    int n = 0, i;
    while (cj_model_layer_at(m, n, &layer)) n++;
    bool *shown = calloc((size_t)n + 1, sizeof *shown);
    if (!shown) return false;
    for (int row = 0; row < SHARES_MAX && (i = next_share(m, shown, n)) >= 0; row++) {
        shown[i] = cj_model_layer_at(m, i, &layer);
        if (!row)
            fputs("\n Most of the work        multiply-adds      %        params      %\n", c->out);
        fprintf(c->out, " %-20.40s %16lld %6.1f %13lld %6.1f\n", layer.name,
                (long long)layer.multiply_adds,
                percent(layer.multiply_adds, counts->multiply_adds), (long long)layer.parameters,
                percent(layer.parameters, counts->parameters));
    }
    free(shown);
    return true;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* Of a model without layers, as other programs write them: what freeze= matches beside the nodes.
 */
static void print_weights(cli *c, cj_model *m, cli_json *j)
{
    cj_graph *g = cj_model_graph(m);
    const cj_store *store = cj_model_store(m);
    if (j) cli_json_list(j, "weights");
    else
        fputs("\n Weights, by the names that freeze= matches (as those of the nodes above)\n",
              c->out);
    for (int i = 0; i < cj_store_count(store); i++) {
        const char *name = cj_store_name_at(store, i);
        const cj_node *node = cj_find_variable(g, name);
        bool trained = false;
        for (int k = 0; node && !trained && k < cj_graph_parameter_count(g); k++)
            trained = cj_graph_parameter_at(g, k) == node;
        if (!node) continue;
        const cj_type *type = cj_node_type(node);
        if (j) {
            cli_json_object(j, NULL);
            cli_json_string(j, "name", name);
            print_shape(j, "shape", type);
            cli_json_bool(j, "trained", trained);
            cli_json_end(j);
            continue;
        }
        fprintf(c->out, " %s [", name);
        for (int k = 0; k < type->rank; k++)
            fprintf(c->out, "%s%lld", k ? ", " : "", (long long)type->dim[k]);
        fprintf(c->out, "]%s\n", trained ? "" : " (state)");
    }
    if (j) cli_json_end(j);
}

static int print_text(cli *c, cj_model *m)
{
    cj_model_counts counts;
    if (cj_model_summary(m, c->out) || cj_model_count(m, &counts)) return cli_failed(c, c->cj);
    if (!print_shares(c, m, &counts)) return cli_fail(c, CJ_ERR_MEMORY, "summary: out of memory");
    if (!counts.layers) print_weights(c, m, NULL);
    memory t = memory_of(c, m); /* which adds a training step, and the optimizer's state */
    print_memory(c, &t);
    return CLI_DONE;
}

static void print_layers(cli_json *j, cj_model *m)
{
    cj_layer_info layer;
    cli_json_list(j, "layers");
    for (int i = 0; cj_model_layer_at(m, i, &layer); i++) {
        cli_json_object(j, NULL);
        cli_json_string(j, "name", layer.name);
        cli_json_string(j, "type", layer.type);
        print_shape(j, "output_shape", layer.output);
        cli_json_int(j, "parameters", layer.parameters);
        cli_json_int(j, "multiply_adds", layer.multiply_adds);
        cli_json_end(j);
    }
    cli_json_end(j);
}

static void json_bytes(cli_json *j, const char *key, int64_t bytes)
{
    if (bytes < 0) cli_json_null(j, key);
    else cli_json_int(j, key, bytes);
}

static int print_json(cli *c, cj_model *m)
{
    cj_model_counts counts;
    cli_json j = {.to = c->out};
    if (cj_model_count(m, &counts)) return cli_failed(c, c->cj);
    cli_json_object(&j, NULL);
    cli_json_int(&j, "parameters", counts.trainable);
    cli_json_int(&j, "trainable", counts.trainable);
    cli_json_int(&j, "non_trainable", counts.parameters - counts.trainable);
    cli_json_int(&j, "multiply_adds", counts.multiply_adds);
    print_layers(&j, m);
    if (!counts.layers) print_weights(c, m, &j);
    memory t = memory_of(c, m);
    cli_json_object(&j, "memory");
    cli_json_int(&j, "batch", t.batch);
    json_bytes(&j, "predict_bytes", t.predict);
    json_bytes(&j, "packed_bytes", t.predict < 0 ? -1 : t.packed);
    json_bytes(&j, "train_bytes", t.train);
    json_bytes(&j, "parameter_bytes", t.parameters);
    json_bytes(&j, "optimizer_bytes", t.optimizer);
    cli_json_end(&j);
    cli_json_end(&j);
    cli_json_line(&j);
    return CLI_DONE;
}

static int run(cli *c)
{
    cj_recipe *recipe = cli_recipe(c, NULL);
    cj_model *m = recipe ? open_model(c) : NULL;
    if (!m) return c->status;
    cj_status failed = CJ_OK;
    if (cli_bool(c, "dot")) failed = cj_graph_dot(cj_model_graph(m), c->out);
    else if (cli_bool(c, "graph")) failed = cj_graph_print(cj_model_graph(m), c->out);
    else if (c->json) return print_json(c, with_layers(c, m));
    else return print_text(c, with_layers(c, m));
    return failed ? cli_failed(c, c->cj) : CLI_DONE;
}

static const char *const keys[] = {"model",  "data",  "format",  "widths", "target",   "weight",
                                   "types",  "drop",  "missing", "header", "pictures", "size",
                                   "colour", "graph", "dot",     "batch",  "classes",  "weights",
                                   "inputs", "dims",  NULL};
const cj_command cj_command_summary = {
    .name = "summary",
    .summary = "tell the layers of a model, or its graph",
    .usage = "MODEL.onnx | NETWORK | model=LAYERS [data=NAME|PATH] [graph=true|dot=true]",
    .text = "  cajal summary runs/train1/best.onnx\n"
            "  cajal summary resnet20\n"
            "  cajal summary model=\"flatten, dense 128 relu, dense 10\" data=fashion-mnist\n"
            "  cajal summary model=\"input 784, dense 128 relu, dense 10\"\n"
            "  cajal summary model=resnet18 classes=1000 --json\n"
            "  cajal summary runs/train1/best.onnx dot=true | dot -Tsvg > model.svg\n\n"
            "Below the table stand the layers with most of the work and of the parameters, and the "
            "memory that\npredicting (packed weights too) and training (with Adam) take for a "
            "batch beside the "
            "parameters. --json tells parameters\n(weights, as PyTorch counts them), trainable, "
            "non_trainable (running statistics; Keras's total\nis the sum of these two), "
            "multiply_adds (of one sample), layers and memory.\n"
            "A file whose shapes depend on values (NonMaxSuppression, NonZero) is read with those "
            "of its\ninputs: the arrays of inputs=A.npy,B.npy, or random numbers.\n",
    .keys = keys,
    .run = run,
};
