/* data.c: what the keys say of data, put into the options of the library.
 *
 * The command has its own words for types of columns (number, category) beside the library's, and
 * takes them as a map, a key a column (types.sex=category), or as the library's text. */
#define _POSIX_C_SOURCE 200809L
#include "cli/data.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool cli_ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && !strcmp(path + n - m, suffix);
}

bool cli_data_is_table(cli *c, const char *source)
{
    const char *format = cli_string(c, "format");
    const cj_file_format *row = format ? cj_file_format_find(format) : cj_file_format_of(source);
    struct stat info;
    if (row || format) return row && row->table;
    return strchr(source, '/') && (stat(source, &info) || !S_ISDIR(info.st_mode));
}

char *cli_joined(cli *c, const char *key)
{
    const char *const *items = NULL;
    int n = 0;
    size_t size = 1;
    if (cj_recipe_get_list(c->recipe, key, &items, &n) || !items) return NULL;
    for (int i = 0; i < n; i++) size += strlen(items[i]) + 2;
    char *text = calloc(size, 1), *end = text;
    for (int i = 0; text && i < n; i++)
        end += snprintf(end, size - (size_t)(end - text), "%s%s", i ? ", " : "", items[i]);
    return text;
}

/* ---- Types of columns ------------------------------------------------------------------------ */

/* "sex:categorical,age:numeric" as it grows. */
typedef struct types {
    char text[8192], name[1024]; /* name: the column, as far as its dots have been walked */
    size_t n;
    const char *wrong; /* the column whose type is none */
} types;

static const char *type_word(const char *word)
{
    if (!strcmp(word, "number") || !strcmp(word, "numeric")) return "numeric";
    if (!strcmp(word, "category") || !strcmp(word, "categorical")) return "categorical";
    return NULL;
}

/* Columns with dots in their names came as maps in maps; the depth is bounded by the recipe. */
static bool add_types(types *t, const cj_item *map)
{
    size_t length = strlen(t->name);
    for (const cj_item *i = map->first; i; i = i->next) {
        size_t room = sizeof t->name - length;
        int n = snprintf(t->name + length, room, "%s%s", length ? "." : "", i->key ? i->key : "");
        if (n < 0 || (size_t)n >= room || strchr(t->name, ',')) return false;
        if (i->kind == CJ_ITEM_MAP) {
            if (!add_types(t, i)) return false;
        } else {
            const char *word = i->text ? type_word(i->text) : NULL;
            if (!word) return false;
            room = sizeof t->text - t->n;
            n = snprintf(t->text + t->n, room, "%s%s:%s", t->n ? "," : "", t->name, word);
            if (n < 0 || (size_t)n >= room) return false;
            t->n += (size_t)n;
        }
        t->name[length] = 0;
    }
    return true;
}

/* false after a failure that has been told. */
static bool read_types(cli *c, types *t)
{
    const cj_item *item = cj_recipe_find(c->recipe, "types");
    if (!item || item->kind == CJ_ITEM_NULL) return true;
    if (item->kind == CJ_ITEM_MAP && add_types(t, item)) return true;
    bool text = item->kind == CJ_ITEM_STRING && strlen(item->text) < sizeof t->text;
    if (text) {
        strcpy(t->text, item->text);
        return true;
    }
    if (t->name[0])
        cli_misused(c, "%s: types.%s: expected number or category", c->command->name, t->name);
    else
        cli_misused(c, "%s: types: expected a map such as {COLUMN: category}", c->command->name);
    return false;
}

/* ---- Opening --------------------------------------------------------------------------------- */

bool cli_read_size(cli *c, const char *key, int64_t *height, int64_t *width)
{
    const char *text = NULL;
    char *end = NULL;
    if (cj_recipe_get_string(c->recipe, key, &text)) return cli_failed(c, c->base), false;
    if (!text) return true;
    *height = *width = strtol(text, &end, 10);
    if (*end == 'x') *width = strtol(end + 1, &end, 10);
    if (!*end && *height > 0 && *width > 0) return true;
    cli_misused(c, "%s: %s: expected pixels such as 64 or 48x64 (height x width), found '%.40s'",
                c->command->name, key, text);
    return false;
}

static bool is_word(cli *c, const char *key, const char *word)
{
    const char *text = cli_string(c, key);
    return text && !strcmp(text, word);
}

bool cli_data_has_files(cli *c, const char *source)
{
    const char *format = cli_string(c, "format");
    const cj_file_format *row = format ? cj_file_format_find(format) : cj_file_format_of(source);
    struct stat there;
    if (cli_string(c, "pictures") || (row && !strcmp(row->name, "coco"))) return true;
    return !stat(source, &there) && S_ISDIR(there.st_mode);
}

/* How pictures in files become samples: as the keys say, or as the model knows them. */
static bool read_pictures(cli *c, const char *source, const cj_model_info *info, cj_dataset_opts *o)
{
    if (is_word(c, "resize", "crop")) o->fit = CJ_FIT_CROP;
    if (is_word(c, "resize", "pad")) o->fit = CJ_FIT_PAD;
    if (is_word(c, "colour", "grey")) o->colour = CJ_PICTURE_GREY;
    if (is_word(c, "on_bad_sample", "skip")) o->on_bad_sample = CJ_BAD_SAMPLE_SKIP;
    if (!cli_read_size(c, "size", &o->height, &o->width)) return false;
    if (o->height || !cli_takes_pictures(info) || !cli_data_has_files(c, source)) return true;
    o->height = info->input_shape[0];
    o->width = info->input_shape[1];
    o->fit = info->input_fit;
    o->colour = info->input_shape[2] == 1 ? CJ_PICTURE_GREY : CJ_PICTURE_RGB;
    return true;
}

bool cli_is_picture(cj_dtype dtype, int rank, const int64_t *shape)
{
    return dtype == CJ_U8 && rank == 3 && shape[0] > 0 && shape[1] > 0 &&
           (shape[2] == 1 || shape[2] == 3);
}

bool cli_takes_pictures(const cj_model_info *info)
{
    return info && cli_is_picture(info->input_dtype, info->input_rank, info->input_shape);
}

cj_dataset *(cli_data_open)(cli *c, const char *source, const cli_data_opts *opts)
{
    types t = {.n = 0};
    cj_dataset_opts o = {.struct_size = sizeof o, .source = source, .split = opts->split};
    const char *header = cli_string(c, "header"), *missing = cli_string(c, "missing");
    if (!read_types(c, &t) || !read_pictures(c, source, opts->info, &o)) return NULL;
    char *drop = cli_joined(c, "drop"), *widths = cli_joined(c, "widths");
    o.format = cli_string(c, "format");
    o.widths = widths;
    o.weight = cli_string(c, "weight");
    o.pictures = cli_string(c, "pictures");
    o.limit = cli_int(c, "limit");
    o.stream = cli_bool(c, "stream");
    o.target = opts->no_target ? NULL : cli_string(c, "target");
    o.no_target = opts->no_target;
    o.types = t.text[0] ? t.text : NULL;
    o.drop = drop;
    if (header && !strcmp(header, "yes")) o.header = CJ_HEADER_YES;
    if (header && !strcmp(header, "no")) o.header = CJ_HEADER_NO;
    if (missing && !strcmp(missing, "drop")) o.missing = CJ_MISSING_DROP;
    if (opts->info && cli_data_is_table(c, source)) {
        o.columns = o.pictures ? 0 : opts->info->columns;
        o.column_info = o.pictures ? NULL : opts->info->column_info;
        o.classes = opts->info->classes;
        o.class_names = opts->info->class_names;
    }
    if (opts->same_classes && opts->info && opts->info->class_names &&
        cli_data_has_files(c, source)) {
        o.classes = opts->info->classes;
        o.class_names = opts->info->class_names;
    }
    cj_status failed = CJ_OK;
    if (opts->if_validation) {
        failed = cj_dataset_has_validation(c->cj, &o, opts->if_validation);
        o.split = "validation";
    }
    const bool wanted = !failed && (!opts->if_validation || *opts->if_validation);
    cj_dataset *ds = wanted ? (cj_dataset_open)(c->cj, &o) : NULL;
    free(drop);
    free(widths);
    if (failed || (wanted && !ds)) cli_failed(c, c->cj);
    return ds;
}

bool cli_is_network(cli *c, const char *text)
{
    char name[128];
    const size_t n = strcspn(text, "( ,");
    if (n >= sizeof name || (text[n] && (text[n] != '(' || text[strlen(text) - 1] != ')')))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    return cj_network_find(c->cj, name) != NULL;
}

/* What the key `classes` says becomes an option of the network. */
static bool set_classes(cli *c)
{
    const cj_item *classes = cj_recipe_find(c->recipe, "classes"),
                  *model = cj_recipe_find(c->recipe, "model"), *name;
    if (!classes || classes->kind == CJ_ITEM_NULL) return true;
    name = model && model->kind == CJ_ITEM_MAP ? cj_recipe_find(c->recipe, "model.name") : model;
    if (!name || name->kind != CJ_ITEM_STRING || !cli_is_network(c, name->text))
        return cli_misused(c,
                           "classes=%s is for a model that is one network, such as "
                           "model=resnet18 ('cajal list networks' names them)",
                           classes->text),
               false;
    return !cj_recipe_set_int(c->recipe, "model.classes", classes->integer) ||
           (cli_failed(c, c->base), false);
}

cj_model *cli_model_make(cli *c, const cj_dataset *data, uint64_t seed)
{
    if (!set_classes(c)) return NULL;
    cj_model *m = cj_model_from_recipe(c->cj, c->recipe, "model", data, seed);
    const char *weights = cli_string(c, "weights");
    /* A run that goes on has weights of its own. */
    if (m && weights && !cli_string(c, "resume") && cj_load_weights(m, weights)) m = NULL;
    if (!m) cli_failed(c, c->cj);
    return m;
}

cj_model *cli_model_load(cli *c, const char *path)
{
    cj_model *m = cj_load(c->cj, path);
    if (!m) cli_failed(c, c->cj);
    return m;
}
