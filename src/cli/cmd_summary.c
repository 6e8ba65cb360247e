/* cmd_summary.c: cajal summary: the layers of a model and what they cost, or its graph. */
#include <inttypes.h>
#include <string.h>

#include "cli/data.h"
#include "cli/json.h"

static cj_model *open_model(cli *c)
{
    const cj_item *model = cj_recipe_find(c->recipe, "model");
    const char *data = cli_string(c, "data");
    bool described = model && model->kind != CJ_ITEM_NULL;
    if (c->args.n_words + described != 1)
        return cli_misused(c, "summary: expected one model: cajal summary MODEL.onnx, or "
                              "model=LAYERS with data=NAME"),
               NULL;
    if (!described) return cli_context(c, c->recipe) ? cli_model_load(c, c->args.words[0]) : NULL;
    if (!cli_context(c, c->recipe)) return NULL;
    cj_dataset *ds = data ? cli_data_open(c, data, .split = NULL) : NULL;
    if (data && !ds) return NULL;
    cj_model *m = cj_model_from_recipe(c->cj, c->recipe, "model", ds, 0);
    if (!m) cli_failed(c, c->cj);
    return m;
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

static int print_json(cli *c, cj_model *m)
{
    cj_model_counts counts;
    cj_layer_info layer;
    cli_json j = {.to = c->out};
    if (cj_model_count(m, &counts)) return cli_failed(c, c->cj);
    cli_json_object(&j, NULL);
    cli_json_int(&j, "parameters", counts.parameters);
    cli_json_int(&j, "trainable", counts.trainable);
    cli_json_int(&j, "non_trainable", counts.parameters - counts.trainable);
    cli_json_int(&j, "multiply_adds", counts.multiply_adds);
    cli_json_list(&j, "layers");
    for (int i = 0; cj_model_layer_at(m, i, &layer); i++) {
        cli_json_object(&j, NULL);
        cli_json_string(&j, "name", layer.name);
        cli_json_string(&j, "type", layer.type);
        print_shape(&j, "output_shape", layer.output);
        cli_json_int(&j, "parameters", layer.parameters);
        cli_json_end(&j);
    }
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
    else failed = cj_model_summary(with_layers(c, m), c->out);
    return failed ? cli_failed(c, c->cj) : CLI_DONE;
}

static const char *const keys[] = {"model",   "data",   "target", "types", "drop",
                                   "missing", "header", "graph",  "dot",   NULL};
const cj_command cj_command_summary = {
    .name = "summary",
    .summary = "tell the layers of a model, or its graph",
    .usage = "MODEL.onnx | model=LAYERS [data=NAME|PATH] [graph=true|dot=true]",
    .text = "  cajal summary runs/train1/best.onnx\n"
            "  cajal summary model=\"flatten, dense 128 relu, dense 10\" data=fashion-mnist\n"
            "  cajal summary model=\"input 784, dense 128 relu, dense 10\"\n"
            "  cajal summary runs/train1/best.onnx dot=true | dot -Tsvg > model.svg\n\n"
            "--json tells parameters, trainable, non_trainable, multiply_adds (of one sample) and "
            "layers.\n",
    .keys = keys,
    .run = run,
};
