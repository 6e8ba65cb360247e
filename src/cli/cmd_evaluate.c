/* cmd_evaluate.c: cajal evaluate: metrics of a saved model on data it has not seen.
 *
 * A named data set gives its test part, a table the whole. A table is read with the columns,
 * categories and classes of the model, so that a number means what it meant in training. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/each.h"
#include "cli/json.h"
#include "cli/tune.h"

enum { SHOWN_CLASSES_MAX = 50, SHOWN_NAME = 20 };

static void print_json(cli *c, const char *model, const cj_scores *scores, const int64_t *confusion,
                       int classes)
{
    cli_json j = {.to = c->out};
    cli_json_object(&j, NULL);
    for (int i = 0; i < scores->n; i++) cli_json_number(&j, scores->name[i], scores->value[i]);
    cli_json_int(&j, "samples", scores->samples);
    cli_json_string(&j, "model", model);
    if (confusion) {
        cli_json_list(&j, "confusion");
        for (int r = 0; r < classes; r++) {
            cli_json_list(&j, NULL);
            for (int k = 0; k < classes; k++)
                cli_json_int(&j, NULL, confusion[(size_t)r * (size_t)classes + (size_t)k]);
            cli_json_end(&j);
        }
        cli_json_end(&j);
    }
    cli_json_end(&j);
    cli_json_line(&j);
}

/* Columns that are as wide as their widest number; rows begin with the name of the class. */
static void print_confusion(FILE *to, const int64_t *confusion, int classes,
                            const char *const *names)
{
    int64_t largest = classes;
    int width = 1, name_width = 1;
    size_t n = (size_t)classes;
    for (size_t i = 0; i < n * n; i++) largest = confusion[i] > largest ? confusion[i] : largest;
    for (; largest >= 10; largest /= 10) width++;
    for (int i = 0; i < classes; i++) {
        int length = names ? (int)strlen(names[i]) : snprintf(NULL, 0, "%d", i);
        if (length > SHOWN_NAME) length = SHOWN_NAME;
        name_width = length > name_width ? length : name_width;
    }
    fprintf(to, "\nconfusion matrix (rows: truth, columns: prediction)\n\n%*s", name_width + 3, "");
    for (int i = 0; i < classes; i++) fprintf(to, " %*d", width, i);
    fputc('\n', to);
    for (int r = 0; r < classes; r++) {
        if (names) fprintf(to, "%*.*s %2d", name_width, SHOWN_NAME, names[r], r);
        else fprintf(to, "%*d   ", name_width, r);
        for (int k = 0; k < classes; k++)
            fprintf(to, " %*" PRId64, width, confusion[(size_t)r * n + (size_t)k]);
        fputc('\n', to);
    }
}

static int print_text(cli *c, cj_model *m, const cj_model_info *info, const cj_scores *scores,
                      const int64_t *confusion)
{
    for (int i = 0; i < scores->n; i++)
        fprintf(c->out, "%s: %.4f\n", scores->name[i], scores->value[i]);
    fprintf(c->out, "samples: %" PRId64 "\n", scores->samples);
    if (!confusion || info->classes > SHOWN_CLASSES_MAX) return CLI_DONE;
    fputc('\n', c->out);
    if (cj_classification_report(m, confusion, info->classes, c->out)) return cli_failed(c, c->cj);
    print_confusion(c->out, confusion, info->classes, info->class_names);
    return CLI_DONE;
}

/* Metrics of the model, which the context frees. */
static int measure(cli *c, const char *name, cj_model *m, const cj_dataset *ds, const char *loss)
{
    cj_model_info info;
    cj_scores scores = {0};
    cj_model_get_info(m, &info);
    size_t n = info.classes > 1 && info.target_kind != CJ_FIELD_BOXES ? (size_t)info.classes : 0;
    int64_t *confusion = n && n < SIZE_MAX / sizeof *confusion / n
                             ? calloc(n * n, sizeof *confusion)
                             : NULL;
    if (n && !confusion) return cli_fail(c, CJ_ERR_MEMORY, "evaluate: out of memory");
    char *metrics = cli_joined(c, "metrics");
    int status = CLI_DONE;
    if (cj_evaluate(m, ds, &scores, .batch_size = cli_int(c, "batch_size"), .loss = loss,
                    .metrics = metrics, .confusion = confusion))
        status = cli_failed(c, c->cj);
    else if (c->json) print_json(c, name, &scores, confusion, info.classes);
    else status = print_text(c, m, &info, &scores, confusion);
    free(metrics);
    free(confusion);
    return status;
}

/* A model that is read with each sample: what it says of all is measured. */
static int evaluate_each(cli *c, cli_each *each, cj_model *m)
{
    const char *loss = cli_loss(c, m, each->data);
    char *kept = loss ? strdup(loss) : NULL; /* the model's own goes with it */
    cj_dataset *answers;
    if (loss && !kept)
        return cj_model_free(m), cli_fail(c, CJ_ERR_MEMORY, "evaluate: out of memory");
    int status = cli_each_judge(each, m, &m, &answers);
    if (!status) status = measure(c, each->path, m, answers, kept);
    free(kept);
    return status;
}

/* A file, which may be one that asks for values. */
static int evaluate(cli *c, cli_each *each, const char *split)
{
    cj_model_info info;
    const char *source = each->data_source;
    cj_model *m = cli_model_open(c, each->path, false, cli_each_value, each);
    if (m && each->asked) return evaluate_each(c, each, m);
    if (!m || (cli_data_has_files(c, source) && cli_model_pictures(c, m, NULL))) return c->status;
    cj_model_get_info(m, &info);
    cj_dataset *ds = cli_data_open(c, source, .split = split, .info = &info, .same_classes = true);
    if (!ds || cli_model_pictures(c, m, ds)) return c->status;
    return measure(c, each->path, m, ds, cli_loss(c, m, ds));
}

/* A model of the keys, whose weights are in a file of their own. */
static int evaluate_described(cli *c, const char *split)
{
    cj_dataset *ds = cli_data_open(c, cli_string(c, "data"), .split = split, .same_classes = true);
    cj_model *m = ds ? cli_model_make(c, ds, 0) : NULL;
    if (!m) return c->status;
    if (cj_prepare(m, ds, cli_string(c, "normalize"))) return cli_failed(c, c->cj);
    return measure(c, cli_string(c, "weights"), m, ds, cli_named(c, "loss"));
}

static int run(cli *c)
{
    cj_recipe *recipe = cli_recipe(c, NULL);
    if (!recipe) return c->status;
    const cj_item *model = cj_recipe_find(recipe, "model");
    const bool described = model && model->kind != CJ_ITEM_NULL;
    if (c->args.n_words + described != 1)
        return cli_misused(
            c, "evaluate: expected one model, found %d words: cajal evaluate MODEL.onnx data=NAME",
            c->args.n_words);
    if (described != (cli_string(c, "weights") != NULL))
        return cli_misused(c, "evaluate: model=LAYERS and weights=FILE.safetensors are given "
                              "together");
    if (!cli_string(c, "data"))
        return cli_misused(
            c,
            "evaluate: expected data=NAME or data=./PATH ('cajal list datasets' names data sets)");
    if (!cli_context(c, recipe)) return c->status;
    const char *split = cli_string(c, "split") ? cli_string(c, "split") : "auto";
    if (described) return evaluate_described(c, split);
    cli_each each = {.c = c, .path = c->args.words[0], .data_source = cli_string(c, "data"),
                     .data_opts = {.split = split, .same_classes = true}};
    const int status = evaluate(c, &each, split);
    cli_each_release(&each);
    return status;
}

static const char *const keys[] = {"data",    "format",  "widths",     "split",   "target",
                                   "weight",  "types",   "drop",       "missing", "header",
                                   "limit",   "stream",  "loss",       "metrics", "batch_size",
                                   "pictures", "on_bad_sample",
                                   "threads", "deterministic", "model",  "classes", "weights",
                                   "normalize", "input", NULL};
const cj_command cj_command_evaluate = {
    .name = "evaluate",
    .summary = "measure a model on data",
    .usage = "MODEL.onnx data=NAME|PATH [split=train|validation|test|all] [KEY=VALUE...]",
    .text = "  cajal evaluate runs/train1/best.onnx data=fashion-mnist\n"
            "  cajal evaluate runs/train1/best.onnx data=./iris.csv --json\n"
            "  cajal evaluate model=resnet20 weights=resnet20.safetensors data=cifar10\n\n"
            "Tells each metric by its name, the report of each class, and the confusion matrix.\n",
    .keys = keys,
    .run = run,
};
