/* cmd_train.c: cajal train: from a recipe to a trained model in a run directory.
 *
 *     recipe, keys -> data -> model (new, or from=) -> run directory -> cj_fit -> what to try next
 *
 * Nothing is written before fit has found everything in order: args.yaml is saved when the first
 * epoch begins, and a folder that stays empty is taken away again. Standard output gets the path of
 * the best model, or JSON; all else goes to the error stream. */
#include <stdlib.h>
#include <string.h>

#include "cli/data.h"
#include "cli/json.h"
#include "cli/keys.h"
#include "cli/run_dir.h"
#include "cli/terminal.h"
#include "cli/tune.h"

typedef struct training {
    cli *c;
    cj_dataset *data, *validation; /* validation: a part of its own, or NULL */
    cj_model *model;
    run_dir run;
    const char *resume;
    bool saved_args;
    cj_status failed_args;
} training;

/* ---- What is to be done ---------------------------------------------------------------------- */

static bool is_recipe(const char *word)
{
    return !strcmp(word, "-") || cli_ends_with(word, ".yaml") || cli_ends_with(word, ".yml") ||
           cli_ends_with(word, ".json");
}

/* The recipe of the words, of the run that is resumed, or of the keys alone. */
static cj_recipe *read_recipe(training *t)
{
    cli *c = t->c;
    char path[CLI_PATH_MAX];
    const char *word = c->args.n_words ? c->args.words[0] : NULL;
    run_dir run;
    if (c->args.n_words > 1)
        return cli_misused(c, "train: expected one recipe, found '%.80s' and '%.80s'", word,
                           c->args.words[1]), NULL;
    if (word && !is_recipe(word))
        return cli_misused(c,
                           "train: '%.80s' is no recipe, which ends in .yaml or .json (data=%.80s "
                           "names data)",
                           word, word),
               NULL;
    cj_recipe_get_string(c->given, "resume", &t->resume);
    if (!t->resume) return cli_recipe(c, word);
    if (word)
        return cli_misused(c,
                           "train: a recipe and resume=%s exclude each other: the run has its own",
                           t->resume),
               NULL;
    snprintf(run.path, sizeof run.path, "%s", t->resume);
    if (!run_dir_has(&run, "args.yaml") || !run_dir_file(&run, "args.yaml", path))
        return cli_fail(c, CJ_ERR_NOT_FOUND,
                        "train: %.1000s: no run to resume: it has no args.yaml", t->resume),
               NULL;
    return cli_recipe(c, path);
}

/* What no single row of the table of keys can say. */
static int check_recipe(training *t)
{
    cli *c = t->c;
    const cj_item *model = cj_recipe_find(c->recipe, "model"),
                  *rate = cj_recipe_find(c->recipe, "learning_rate");
    bool has_model = model && model->kind != CJ_ITEM_NULL;
    const char *from = cli_string(c, "from"), *out = cli_string(c, "out");
    if (!cli_string(c, "data"))
        return cli_misused(
            c, "train: expected data=NAME or data=./PATH ('cajal list datasets' names data sets)");
    if (has_model && from)
        return cli_misused(c, "train: model and from=%s exclude each other", from);
    if (!has_model && !from)
        return cli_misused(
            c, "train: expected model=LAYERS, such as model=\"dense 16 relu, dense 3 softmax\", "
               "or from=MODEL.onnx");
    if (!from && (cli_int(c, "head") || cj_recipe_find(c->recipe, "freeze")))
        return cli_misused(c, "train: freeze and head are for the model of from=MODEL.onnx");
    if (from && cli_string(c, "weights"))
        return cli_misused(c, "train: weights and from=%s exclude each other", from);
    if (rate && rate->kind != CJ_ITEM_NULL && !(rate->number > 0))
        return cli_misused(c, "train: learning_rate=%s: expected a number greater than 0",
                           rate->text);
    if (t->resume && out && strcmp(out, t->resume) != 0)
        return cli_misused(c,
                           "train: resume=%s goes on in its own folder: out=%s cannot be another",
                           t->resume, out);
    if (t->resume && c->overwrite)
        return cli_misused(c, "train: resume and --overwrite exclude each other");
    return CLI_DONE;
}

/* A folder's own part for validation is used, unless the key says how much of the training part is:
 * without both it is a tenth. */
static int open_validation(training *t, const cj_model_info *info)
{
    static const double fraction = 0.1;
    cli *c = t->c;
    const cj_item *given = cj_recipe_find(c->recipe, "validation_split");
    bool there = false;
    if (given && given->kind != CJ_ITEM_NULL) return CLI_DONE;
    t->validation = cli_data_open(c, cli_string(c, "data"), .info = info, .if_validation = &there);
    if (there && !c->quiet && t->validation)
        fprintf(c->err,
                "%s has a part for validation, %lld samples, which are used; validation_split "
                "takes some of the training part instead\n",
                cli_string(c, "data"), (long long)cj_dataset_count(t->validation));
    if (t->validation || c->status) return c->status;
    return cj_recipe_set_float(c->recipe, "validation_split", fraction) ? cli_failed(c, c->base)
                                                                         : CLI_DONE;
}

/* A model of a file, now that the data is known. */
static int fit_to_data(training *t)
{
    cli *c = t->c;
    cj_model_info info;
    cj_model_get_info(t->model, &info);
    int classes = 0;
    for (int i = 0; i < cj_dataset_fields(t->data); i++)
        if (cj_dataset_field(t->data, i)->role == CJ_FIELD_TARGET)
            classes = cj_dataset_field(t->data, i)->classes;
    if (!info.target && classes > 1 && info.output_rank == 1 && info.output_size != classes &&
        !(classes == 2 && info.output_size == 1) && !cli_string(c, "loss"))
        return cli_misused(c, "train: the model gives %lld numbers, and %s has %d classes: head=%d "
                              "replaces its last layer",
                           (long long)info.output_size, cli_string(c, "data"), classes, classes);
    if (cli_model_pictures(c, t->model, t->data)) return c->status;
    cli_tell_columns(c, &info, t->data);
    const char *loss = cli_loss(c, t->model, t->data);
    return loss && cj_recipe_set_string(c->recipe, "loss", loss) ? cli_failed(c, c->base)
                                                                 : CLI_DONE;
}

static int make_model(training *t)
{
    cli *c = t->c;
    const char *from = cli_string(c, "from");
    cj_model_info info = {0};
    if (from) {
        t->model = cli_model_open(c, from, true, NULL, NULL);
        if (!t->model || (cli_data_has_files(c, cli_string(c, "data")) &&
                          cli_model_pictures(c, t->model, NULL)))
            return c->status;
        cj_model_get_info(t->model, &info);
    }
    t->data = cli_data_open(c, cli_string(c, "data"), .info = from ? &info : NULL);
    if (!t->data || open_validation(t, from ? &info : NULL)) return c->status;
    if (from) return fit_to_data(t);
    t->model = cli_model_make(c, t->data, (uint64_t)cli_int(c, "seed"));
    return t->model ? CLI_DONE : c->status;
}

/* ---- While it runs --------------------------------------------------------------------------- */

static bool save_args(void *user, const cj_fit_state *state)
{
    training *t = user;
    char path[CLI_PATH_MAX];
    (void)state;
    if (t->saved_args) return true;
    t->saved_args = true;
    if (!run_dir_file(&t->run, "args.yaml", path)) return true;
    t->failed_args = cli_save_args(t->c, t->c->recipe, path);
    return !t->failed_args;
}

static bool is_fact(const char *name)
{
    return !strcmp(name, "epoch") || !strcmp(name, "seconds") || !strcmp(name, "learning_rate");
}

static void print_scores(cli_json *j, const cj_scores *scores)
{
    for (int i = 0; i < scores->n; i++)
        if (!is_fact(scores->name[i])) cli_json_number(j, scores->name[i], scores->value[i]);
}

static bool print_epoch(void *user, const cj_fit_state *state)
{
    training *t = user;
    if (!t->c->json_lines) return true;
    cli_json j = {.to = t->c->out};
    cli_json_object(&j, NULL);
    cli_json_int(&j, "epoch", state->epoch);
    cli_json_number(&j, "seconds", state->seconds);
    print_scores(&j, state->scores);
    cli_json_number(&j, "learning_rate", state->learning_rate);
    cli_json_end(&j);
    cli_json_line(&j);
    return true;
}

/* Of the batch alone: an epoch's line has the mean. */
static bool print_step(void *user, const cj_fit_state *state)
{
    training *t = user;
    cli_json j = {.to = t->c->out};
    cli_json_object(&j, NULL);
    cli_json_int(&j, "epoch", state->epoch);
    cli_json_int(&j, "step", state->step);
    cli_json_number(&j, "loss", state->loss);
    cli_json_number(&j, "learning_rate", state->learning_rate);
    cli_json_end(&j);
    cli_json_line(&j);
    return true;
}

static cj_status fit(training *t)
{
    cli *c = t->c;
    char *metrics = cli_joined(c, "metrics");
    cj_callback callback = {
        .name = "command", .user = t, .on_epoch_begin = save_args, .on_epoch_end = print_epoch};
    if (c->json_steps) callback.on_step_end = print_step;
    const cj_callback *callbacks[] = {&callback, NULL};
    cj_status failed = cj_fit(t->model, t->data,
        .epochs = cli_int(c, "epochs"),
        .batch_size = cli_int(c, "batch_size"),
        .optimizer = cli_named(c, "optimizer"),
        .learning_rate = cli_float(c, "learning_rate"),
        .schedule = cli_named(c, "schedule"),
        .loss = cli_named(c, "loss"),
        .metrics = metrics,
        .validation = t->validation,
        .validation_split = t->validation ? 0 : cli_float(c, "validation_split"),
        .workers = (int)cli_int(c, "workers"),
        .seed = (uint64_t)cli_int(c, "seed"),
        .no_shuffle = !cli_bool(c, "shuffle"),
        .balanced = cli_bool(c, "balanced"),
        .restore_input = cli_bool(c, "restore_input"),
        .patience = cli_int(c, "early_stopping"),
        .recompute = cli_recompute(c),
        .precision = cli_precision(c),
        .monitor = cli_string(c, "monitor"),
        .normalize = cli_string(c, "normalize"),
        .opset = cli_int(c, "opset"),
        .run = t->run.path,
        .overwrite = c->overwrite,
        .resume = t->resume != NULL,
        .progress = c->quiet ? NULL : c->err,
        .progress_style = terminal_style(c->err, c->no_color),
        .progress_columns = terminal_columns(c->err),
        .callbacks = callbacks);
    free(metrics);
    return failed;
}

/* ---- When it is done ------------------------------------------------------------------------- */

static const char *best_model(const training *t)
{
    return run_dir_has(&t->run, "best.onnx") ? "best.onnx" : "last.onnx";
}

static void print_json(training *t, const char *model)
{
    const cj_history *h = cj_model_history(t->model);
    int epochs = h ? cj_history_epochs(h) : 0;
    cli_json j = {.to = t->c->out};
    cli_json_object(&j, NULL);
    cli_json_string(&j, "run", t->run.path);
    cli_json_string(&j, "model", model);
    cli_json_int(&j, "epochs", epochs);
    cli_json_number(&j, "seconds", epochs ? cj_score(cj_history_at(h, epochs - 1), "seconds") : 0);
    if (epochs) print_scores(&j, cj_history_at(h, epochs - 1));
    cli_json_list(&j, "history");
    for (int i = 0; i < epochs; i++) {
        const cj_scores *s = cj_history_at(h, i);
        cli_json_object(&j, NULL);
        for (int k = 0; k < s->n; k++) {
            if (!strcmp(s->name[k], "epoch")) cli_json_int(&j, "epoch", (int64_t)s->value[k]);
            else cli_json_number(&j, s->name[k], s->value[k]);
        }
        cli_json_end(&j);
    }
    cli_json_end(&j);
    cli_json_end(&j);
    cli_json_line(&j);
}

static void say_key(FILE *to, const char *key, const char *value)
{
    if (!value) return;
    fprintf(to, " %s=", key);
    cli_quote(to, value);
}

/* The keys with which this data was read. What a model knows of its columns needs no saying. */
static void say_data(training *t, bool target)
{
    cli *c = t->c;
    const char *data = cli_string(c, "data"), *missing = cli_string(c, "missing"),
               *header = cli_string(c, "header");
    say_key(c->err, "data", data);
    say_key(c->err, "format", cli_string(c, "format"));
    if (!cli_data_is_table(c, data)) return;
    char *widths = cli_joined(c, "widths");
    say_key(c->err, "widths", widths);
    free(widths);
    if (target) say_key(c->err, "target", cli_string(c, "target"));
    if (target) say_key(c->err, "weight", cli_string(c, "weight"));
    say_key(c->err, "pictures", cli_string(c, "pictures"));
    if (header && strcmp(header, "auto") != 0) say_key(c->err, "header", header);
    if (missing && strcmp(missing, "error") != 0) say_key(c->err, "missing", missing);
}

/* Commands that work as they stand here. */
static void say_next(training *t, const char *model)
{
    cli *c = t->c;
    fputs("\nTry next:\n  ", c->err);
    cli_quote(c->err, c->program);
    fputs(" evaluate ", c->err);
    cli_quote(c->err, model);
    say_data(t, true);
    fputs("\n  ", c->err);
    cli_quote(c->err, c->program);
    fputs(" predict ", c->err);
    cli_quote(c->err, model);
    say_data(t, false);
    fputs(" limit=5\n  ", c->err);
    cli_quote(c->err, c->program);
    fputs(" summary ", c->err);
    cli_quote(c->err, model);
    fputs("\n", c->err);
}

static int finish(training *t, cj_status failed)
{
    cli *c = t->c;
    char model[CLI_PATH_MAX];
    if (t->failed_args) return cli_failed(c, c->base);
    if (failed == CJ_ERR_CANCELLED && run_dir_has(&t->run, "checkpoint"))
        return cli_fail(
            c, failed, "train: interrupted; what is done is saved. To go on: %s train resume=%s",
            c->program, t->run.path);
    if (failed) return cli_failed(c, c->cj);
    if (!run_dir_file(&t->run, best_model(t), model)) model[0] = 0;
    if (c->json && !c->json_lines) print_json(t, model);
    else if (!c->json) fprintf(c->out, "%s\n", model);
    if (!c->quiet) say_next(t, model);
    return CLI_DONE;
}

static int run(cli *c)
{
    training t = {.c = c};
    cj_recipe *recipe = read_recipe(&t);
    if (!recipe || check_recipe(&t) || !cli_context(c, recipe)) return c->status;
    const char *out = t.resume ? t.resume : cli_string(c, "out");
    if (make_model(&t) || !run_dir_claim(c, &t.run, out, c->overwrite || t.resume))
        return c->status;
    int status = finish(&t, fit(&t));
    run_dir_drop(&t.run);
    return status;
}

const cj_command cj_command_train = {
    .name = "train",
    .summary = "train a model on data, in a run directory of its own",
    .usage = "[RECIPE.yaml] [KEY=VALUE...]",
    .text =
        "  cajal train data=fashion-mnist model=\"flatten, dense 128 relu, dense 10 softmax\"\n"
        "  cajal train data=./iris.csv model=\"dense 16 relu, dense 3 softmax\" epochs=50\n"
        "  cajal train data=fashion-mnist model=lenet5\n"
        "  cajal train recipe.yaml learning_rate=0.01 --json\n"
        "  cajal train from=best.onnx data=./more.csv\n"
        "  cajal train from=resnet18.onnx data=./flowers head=5 freeze=layer1,layer2\n"
        "  cajal train resume=runs/train1\n\n"
        "Standard output has the path of the best model. The run directory has args.yaml (a "
        "recipe\n"
        "again), results.csv, best.onnx, last.onnx and checkpoint/. Ctrl-C saves before it ends.\n"
        "--json tells run, model, epochs, seconds, the last epoch's metrics, and the history;\n"
        "--json=lines one object an epoch, --json=steps one a step, too: the loss of its batch.\n",
    .keys = cli_keys_train,
    .run = run,
};
