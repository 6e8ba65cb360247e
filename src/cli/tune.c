/* tune.c: what the command assumes of a model that another program wrote, said aloud. */
#include "cli/tune.h"

#include <stdlib.h>
#include <string.h>

#include "cli/guess.h"

enum { CHANNELS_MAX = 4 };

static void tell(void *user, const char *sentence)
{
    cli *c = user;
    if (!c->quiet) fprintf(c->err, "%s\n", sentence);
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* The map has no other keys than these. */
static int check_input(cli *c)
{
    static const char *const known[] = {"mean", "std", "size", "layout", NULL};
    const cj_item *map = cj_recipe_find(c->recipe, "input");
    if (!map || map->kind == CJ_ITEM_NULL) return CLI_DONE;
    if (map->kind != CJ_ITEM_MAP)
        return cli_misused(c, "%s: input: expected input.mean, input.std, input.size or "
                              "input.layout", c->command->name);
    for (const cj_item *i = map->first; i; i = i->next) {
        bool found = false;
        for (int k = 0; known[k]; k++) found = found || !strcmp(i->key, known[k]);
        const char *near = found ? NULL : cj_nearest(i->key, known);
        if (!found)
            return cli_misused(c, "%s: input.%.80s: expected mean, std, size or layout%s%s%s",
                               c->command->name, i->key, near ? " (did you mean '" : "",
                               near ? near : "", near ? "'?)" : "");
    }
    return CLI_DONE;
}

typedef struct opening {
    cli *c;
    cli_values_fn values;
    void *user;
} opening;

static void tell_opening(void *user, const char *sentence)
{
    tell(((opening *)user)->c, sentence);
}

static cj_status give_values(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                             const cj_tensor **values)
{
    const opening *of = user;
    return of->values(of->user, g, n, inputs, values);
}

cj_model *cli_model_open(cli *c, const char *path, bool training, cli_values_fn values,
                         void *user)
{
    opening of = {c, values, user};
    cj_tune_opts o = {.struct_size = sizeof o, .head = cli_int(c, "head"),
                      .seed = (uint64_t)cli_int(c, "seed"),
                      .inference = !training, .tell = tell_opening, .user = &of,
                      .values = values ? give_values : NULL};
    if (check_input(c) || !cli_read_size(c, "input.size", &o.height, &o.width)) return NULL;
    char *freeze = cli_joined(c, "freeze");
    o.freeze = freeze;
    cj_model *m = cj_load_to_tune(c->cj, path, &o);
    free(freeze);
    if (!m && !c->status) cli_failed(c, c->cj);
    return m;
}

/* ---- Pictures -------------------------------------------------------------------------------- */

/* Numbers of input.mean or input.std; how many, -1 after a failure that has been told. */
static int read_numbers(cli *c, const char *key, double *out)
{
    const char *const *items = NULL;
    int n = 0;
    if (cj_recipe_get_list(c->recipe, key, &items, &n)) return cli_failed(c, c->base), -1;
    for (int i = 0; i < n; i++) {
        char *end = NULL;
        double v = i < CHANNELS_MAX ? strtod(items[i], &end) : 0;
        if (!end || end == items[i] || *end)
            return cli_misused(c, "%s: %s: expected a number, or one a channel, found '%.80s'",
                               c->command->name, key, items[i]),
                   -1;
        out[i] = v;
    }
    return n;
}

static bool is_u8_picture(const cj_dataset *ds)
{
    for (int i = 0; i < cj_dataset_fields(ds); i++) {
        const cj_field *f = cj_dataset_field(ds, i);
        if (f->role == CJ_FIELD_INPUT) return cli_is_picture(f->dtype, f->rank, f->shape);
    }
    return false;
}

static bool takes_float_pictures(const cj_model_info *info)
{
    const int64_t *d = info->input_shape;
    return info->input_rank == 3 && cj_dtype_info(info->input_dtype)->kind == CJ_KIND_FLOAT &&
           (d[0] == 1 || d[0] == 3 || d[2] == 1 || d[2] == 3);
}

int cli_model_pictures(cli *c, cj_model *m, const cj_dataset *ds)
{
    double mean[CHANNELS_MAX], deviation[CHANNELS_MAX];
    cj_model_info info;
    const char *layout = NULL;
    cj_model_get_info(m, &info);
    const cj_item *map = cj_recipe_find(c->recipe, "input");
    bool said = map && map->kind == CJ_ITEM_MAP;
    if (info.prepared && said && !ds)
        return cli_misused(c, "%s: the model knows how its input is prepared: input.%.40s is for "
                              "models of other programs",
                           c->command->name, map->first ? map->first->key : "mean");
    if (info.prepared || !takes_float_pictures(&info) || (ds && !is_u8_picture(ds)))
        return CLI_DONE;
    cj_pictures_opts o = {.struct_size = sizeof o, .mean = mean, .deviation = deviation,
                          .tell = tell, .user = c};
    if (!cli_read_size(c, "input.size", &o.height, &o.width)) return c->status;
    if (info.input_shape[1] < 1 && !o.height)
        return cli_misused(c, "%s: the model's input leaves height and width open: expected "
                              "input.size=N or input.size=HxW", c->command->name);
    o.means = read_numbers(c, "input.mean", mean);
    o.deviations = o.means < 0 ? -1 : read_numbers(c, "input.std", deviation);
    if (o.deviations < 0) return c->status;
    if (cj_recipe_get_string(c->recipe, "input.layout", &layout)) return cli_failed(c, c->base);
    o.layout = !layout                  ? CJ_LAYOUT_AUTO
               : !strcmp(layout, "nchw") ? CJ_LAYOUT_NCHW
                                         : CJ_LAYOUT_NHWC;
    if (layout && strcmp(layout, "nchw") != 0 && strcmp(layout, "nhwc") != 0)
        return cli_misused(c, "%s: input.layout=%.80s: expected nchw or nhwc", c->command->name,
                           layout);
    return cj_model_pictures(m, &o) ? cli_failed(c, c->cj) : CLI_DONE;
}

void cli_tell_columns(cli *c, const cj_model_info *info, const cj_dataset *ds)
{
    for (int i = 0; info->imported && !info->prepared && i < cj_dataset_fields(ds); i++) {
        const cj_field *f = cj_dataset_field(ds, i);
        if (f->role == CJ_FIELD_INPUT && f->columns)
            tell(c,
                 "columns go to the model as they are, not standardised (assumed: its weights are "
                 "for such)");
    }
}

/* ---- The loss -------------------------------------------------------------------------------- */

static int classes_of(const cj_dataset *ds)
{
    for (int i = 0; i < cj_dataset_fields(ds); i++)
        if (cj_dataset_field(ds, i)->role == CJ_FIELD_TARGET)
            return cj_dataset_field(ds, i)->classes;
    return 0;
}

const char *cli_loss(cli *c, cj_model *m, const cj_dataset *ds)
{
    const char *given = cli_named(c, "loss");
    cj_model_info info;
    cj_model_get_info(m, &info);
    const int classes = classes_of(ds);
    if (!given && info.loss && !info.prepared && !cli_gives_logits(&info) &&
        !cli_bool(c, "restore_input")) {
        char text[400];
        snprintf(text, sizeof text, "the file names its loss: %.360s", info.loss);
        tell(c, text);
        return info.loss;
    }
    if (given || classes < 2 || (info.loss && !cli_gives_logits(&info)) ||
        cli_bool(c, "restore_input"))
        return given;
    bool one = classes == 2 && info.output_size == 1;
    if (!one && info.output_size != classes) return NULL;
    const char *loss = one ? "binary_crossentropy(from_logits=true)"
                           : "sparse_categorical_crossentropy(from_logits=true)";
    if (info.loss) return loss;
    if (info.gives_probabilities)
        tell(c, "the model ends in softmax or sigmoid: the loss takes probabilities");
    else {
        char text[160];
        snprintf(text, sizeof text, "the model has no softmax at its end: loss=%s", loss);
        tell(c, text);
    }
    return info.gives_probabilities ? NULL : loss;
}
