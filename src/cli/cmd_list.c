/* cmd_list.c: cajal list: the rows of a table, with the options of each.
 *
 * Every kind is brought to one shape, an item, by a function that gives number i of it; the context
 * gives rows that a program registered first. */
#include <math.h>
#include <string.h>

#include <cajal/nn.h>
#include <cajal/op.h>
#include <cajal/picture.h>
#include <cajal/run.h>

#include "cli/cli.h"
#include "cli/json.h"

typedef struct item {
    const char *name, *doc, *aliases; /* aliases: or NULL */
    const cj_option *options; /* or NULL */
    const char *more;         /* a further line, or NULL */
    const char *about, *key;  /* what it is about: to people, and in JSON */
} item;

/* ---- Kinds ----------------------------------------------------------------------------------- */

static bool op_at(cj_context *cj, int i, item *out)
{
    const cj_op *row = cj_op_at(cj, i);
    if (row) *out = (item){.name = row->name, .doc = row->doc, .options = row->attributes};
    return row != NULL;
}

#define ROWS(kind, type) \
    static bool kind##_at(cj_context *cj, int i, item *out) \
    { \
        const type *row = cj_##kind##_at(cj, i); \
        if (row) \
            *out = (item){.name = row->name, \
                          .doc = row->doc, \
                          .aliases = row->aliases, \
                          .options = row->options}; \
        return row != NULL; \
    }
CJ_NN_ROWS(ROWS)
#undef ROWS

static bool layer_and_masks_at(cj_context *cj, int i, item *out)
{
    static const char *const masks[] = {
        [CJ_MASK_PASSES] = "the result has that of its input",
        [CJ_MASK_MERGES] = "the result has those of its inputs, merged",
        [CJ_MASK_READS] = "it makes one, or does not use what does not count"};
    const cj_layer *row = cj_layer_at(cj, i);
    if (layer_at(cj, i, out) && (size_t)row->masking < sizeof masks / sizeof *masks)
        out->more = masks[row->masking], out->about = "Mask", out->key = "mask";
    return row != NULL;
}

static bool dataset_at(cj_context *cj, int i, item *out)
{
    const cj_dataset_row *row = cj_dataset_row_at(cj, i);
    if (row)
        *out = (item){.name = row->name,
                      .doc = row->doc,
                      .more = row->how_to_get,
                      .about = "To get it",
                      .key = "how_to_get"};
    return row != NULL;
}

/* Formats of data sets, and behind them those of pictures. */
static bool format_at(cj_context *cj, int i, item *out)
{
    (void)cj;
    int others = 0;
    while (cj_file_format_at(others)) others++;
    const cj_file_format *row = cj_file_format_at(i);
    const cj_picture_format *picture = row ? NULL : cj_picture_format_at(i - others);
    *out = (item){.about = "Files end in", .key = "suffixes"};
    if (row) out->name = row->name, out->doc = row->doc, out->more = row->suffixes;
    if (picture)
        out->name = picture->name, out->doc = picture->doc, out->more = picture->suffixes;
    return row || picture;
}

static bool folder_at(cj_context *cj, int i, item *out)
{
    (void)cj;
    const cj_folder_kind *row = cj_folder_kind_at(i);
    if (row)
        *out = (item){.name = row->name,
                      .doc = row->doc,
                      .more = row->files,
                      .about = "What lies in it",
                      .key = "files"};
    return row != NULL;
}

static bool backend_at(cj_context *cj, int i, item *out)
{
    (void)cj;
    *out = (item){.name = cj_backend_name_at(i), .doc = cj_backend_doc_at(i)};
    return out->name != NULL;
}

static bool command_at(cj_context *cj, int i, item *out)
{
    (void)cj;
    if (cli_commands[i])
        *out = (item){.name = cli_commands[i]->name, .doc = cli_commands[i]->summary};
    return cli_commands[i] != NULL;
}

static const struct kind {
    const char *name;
    bool (*at)(cj_context *cj, int i, item *out);
} kinds[] = {{"ops", op_at},
             {"layers", layer_and_masks_at},
             {"activations", activation_at},
             {"losses", loss_at},
             {"metrics", metric_at},
             {"optimizers", optimizer_at},
             {"schedules", schedule_at},
             {"initializers", initializer_at},
             {"regularizers", regularizer_at},
             {"constraints", constraint_at},
             {"networks", network_at},
             {"datasets", dataset_at},
             {"formats", format_at},
             {"folders", folder_at},
             {"backends", backend_at},
             {"commands", command_at},
             {NULL, NULL}};
static const char all_kinds[] = "ops|layers|activations|losses|metrics|optimizers|schedules|"
                                "initializers|regularizers|constraints|networks|datasets|formats|"
                                "folders|backends|commands";

/* ---- Options --------------------------------------------------------------------------------- */

static const char *type_name(const cj_option *o)
{
    static const char *const names[] = {
        [CJ_OPTION_TYPE_BOOL] = "true|false", [CJ_OPTION_TYPE_INT] = "integer",
        [CJ_OPTION_TYPE_FLOAT] = "number",    [CJ_OPTION_TYPE_WORD] = "word",
        [CJ_OPTION_TYPE_STRING] = "text",     [CJ_OPTION_TYPE_DTYPE] = "dtype",
        [CJ_OPTION_TYPE_INTS] = "integers",   [CJ_OPTION_TYPE_FLOATS] = "numbers",
        [CJ_OPTION_TYPE_DIMS] = "sizes",      [CJ_OPTION_TYPE_TENSOR] = "tensor",
        [CJ_OPTION_TYPE_GRAPH] = "graph",   [CJ_OPTION_TYPE_SIZES] = "sizes"};
    return (size_t)o->type < sizeof names / sizeof *names && names[o->type] ? names[o->type]
                                                                            : "value";
}

static bool has_range(const cj_option *o)
{
    return o->min < o->max && (o->type == CJ_OPTION_TYPE_INT || o->type == CJ_OPTION_TYPE_FLOAT ||
                               o->type == CJ_OPTION_TYPE_SIZES ||
                               o->type == CJ_OPTION_TYPE_INTS || o->type == CJ_OPTION_TYPE_FLOATS);
}

/* A bound too large to mean anything but "as far as it goes". */
static bool endless(double bound) { return isinf(bound) || fabs(bound) >= 1e12; }

/* The initial value is none that may be given. */
static bool required(const cj_option *o)
{
    bool number = o->type == CJ_OPTION_TYPE_INT || o->type == CJ_OPTION_TYPE_FLOAT ||
                  o->type == CJ_OPTION_TYPE_SIZES;
    return number && has_range(o) && (o->initial < o->min || o->initial > o->max);
}

/* The initial value as it would be written; "" when there is none. */
static const char *initial(const cj_option *o, char *out, size_t size)
{
    const int at = o->type == CJ_OPTION_TYPE_STRING ? 0 : (int)o->initial;
    out[0] = 0;
    if (required(o)) return out;
    switch (o->type) {
    case CJ_OPTION_TYPE_BOOL: snprintf(out, size, "%s", o->initial != 0 ? "true" : "false"); break;
    case CJ_OPTION_TYPE_INT:
    case CJ_OPTION_TYPE_SIZES:
    case CJ_OPTION_TYPE_FLOAT:
        if (!isnan(o->initial)) snprintf(out, size, "%.15g", o->initial);
        break;
    case CJ_OPTION_TYPE_WORD:
        for (int i = 0; o->words[i]; i++)
            if (i == at) snprintf(out, size, "%s", o->words[i]);
        break;
    case CJ_OPTION_TYPE_STRING: snprintf(out, size, "%s", o->text ? o->text : ""); break;
    case CJ_OPTION_TYPE_DTYPE:
        if (at > CJ_DTYPE_NONE && at < CJ_DTYPE_COUNT)
            snprintf(out, size, "%s", cj_dtype_info((cj_dtype)at)->name);
        break;
    default: break;
    }
    return out;
}

/* What may be given; alternatives with `or` between them. */
static void print_values(FILE *to, const cj_option *o, const char *or)
{
    const char *const *words = cj_option_words(o);
    if (words)
        for (int i = 0; words[i]; i++) fprintf(to, "%s%s", i ? or : "", words[i]);
    else if (o->type == CJ_OPTION_TYPE_BOOL) fprintf(to, "true%sfalse", or);
    else fputs(type_name(o), to);
}

static void print_help(FILE *to, const cj_option *o)
{
    fputs(o->help ? o->help : "", to);
    if (!has_range(o)) return;
    if (!endless(o->max)) fprintf(to, "; %.15g to %.15g", o->min, o->max);
    else if (!endless(o->min)) fprintf(to, "; at least %.15g", o->min);
}

static void print_option(FILE *to, const cj_option *o)
{
    char value[128];
    fprintf(to, "    %s=", o->name);
    print_values(to, o, "|");
    fputs("  ", to);
    print_help(to, o);
    if (*initial(o, value, sizeof value)) fprintf(to, "; default %s", value);
    if (required(o)) fputs("; required", to);
    fputc('\n', to);
}

static void print_json_option(cli_json *j, const cj_option *o)
{
    const char *const *words = cj_option_words(o);
    char value[128];
    cli_json_object(j, NULL);
    cli_json_string(j, "name", o->name);
    cli_json_string(j, "type", type_name(o));
    cli_json_bool(j, "required", required(o));
    cli_json_string(j, "default", *initial(o, value, sizeof value) ? value : NULL);
    if (words) {
        cli_json_list(j, "words");
        for (int i = 0; words[i]; i++) cli_json_string(j, NULL, words[i]);
        cli_json_end(j);
    }
    if (has_range(o)) {
        cli_json_number(j, "min", endless(o->min) ? -INFINITY : o->min);
        cli_json_number(j, "max", endless(o->max) ? INFINITY : o->max);
    }
    cli_json_string(j, "help", o->help);
    cli_json_end(j);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) { return a && b ? !strcmp(a, b) : a == b; }

static bool same_initial(const cj_option *a, const cj_option *b)
{
    return a->type == CJ_OPTION_TYPE_STRING ? same_text(a->text, b->text)
                                            : a->initial == b->initial;
}

/* Is it an option of every row of the kind, or of all but one of many, which is said once?
 * *without: that one, or NULL. */
static bool is_shared(cli *c, const struct kind *kind, const cj_option *o, const char **without)
{
    enum { MANY = 8 };
    item row;
    int rows = 0, lacking = 0;
    *without = NULL;
    for (; kind->at(c->cj, rows, &row); rows++) {
        const cj_option *other = cj_option_row(row.options);
        while (other && other->type && strcmp(other->name, o->name) != 0)
            other = cj_option_row(other + 1);
        if (other && other->type && other->type == o->type && same_initial(other, o) &&
            same_text(other->help, o->help))
            continue;
        *without = row.name;
        lacking++;
    }
    return rows > 1 && (!lacking || (lacking == 1 && rows > MANY));
}

/* Calls print for the options of a row that are shared, or for those that are not. */
static int each_option(cli *c, const struct kind *kind, const cj_option *o, bool shared,
                       void (*print)(FILE *to, const cj_option *o))
{
    const char *without;
    int n = 0;
    for (o = cj_option_row(o); o && o->type; o = cj_option_row(o + 1))
        if (is_shared(c, kind, o, &without) == shared && ++n && print) print(c->out, o);
    return n;
}

/* "all optimizers but lbfgs", from the options of a row that has what is shared. */
static void print_sharers(cli *c, const struct kind *kind, const cj_option *o)
{
    const char *without = NULL;
    o = cj_option_row(o);
    while (o && o->type && !is_shared(c, kind, o, &without)) o = cj_option_row(o + 1);
    fprintf(c->out, "all %s", kind->name);
    if (o && o->type && without) fprintf(c->out, " but %s", without);
}

static void print_list(cli *c, const struct kind *kind)
{
    item row;
    for (int i = 0; kind->at(c->cj, i, &row); i++) {
        fprintf(c->out, "%s\n    %s\n", row.name, row.doc ? row.doc : "");
        if (row.aliases) fprintf(c->out, "    also: %s\n", row.aliases);
        if (row.more) fprintf(c->out, "    %s: %s\n", row.about, row.more);
        each_option(c, kind, row.options, false, print_option);
    }
    if (!kind->at(c->cj, 0, &row) || !each_option(c, kind, row.options, true, NULL)) return;
    fputs("  ", c->out);
    print_sharers(c, kind, row.options);
    fputc('\n', c->out);
    each_option(c, kind, row.options, true, print_option);
}

static void print_option_row(FILE *to, const cj_option *o)
{
    char value[128];
    fprintf(to, "| `%s` | ", o->name);
    print_values(to, o, ", ");
    fprintf(to, " | %s | ", required(o) ? "required" : initial(o, value, sizeof value));
    print_help(to, o);
    fputs(" |\n", to);
}

static void print_option_table(cli *c, const struct kind *kind, const cj_option *o, bool shared)
{
    if (!each_option(c, kind, o, shared, NULL)) return;
    if (shared) {
        fputs("\nOptions of ", c->out);
        print_sharers(c, kind, o);
        fputs(":\n", c->out);
    }
    fputs("\n| option | values | default | meaning |\n|---|---|---|---|\n", c->out);
    each_option(c, kind, o, shared, print_option_row);
}

/* The same as a page: of docs/reference. */
static void print_page(cli *c, const struct kind *kind)
{
    item row;
    fprintf(c->out,
            "# %c%s\n\nWritten by `cajal list %s style=markdown`, from the rows themselves.\n",
            kind->name[0] - 'a' + 'A', kind->name + 1, kind->name);
    if (kind->at(c->cj, 0, &row)) print_option_table(c, kind, row.options, true);
    for (int i = 0; kind->at(c->cj, i, &row); i++) {
        fprintf(c->out, "\n## %s\n\n%s\n", row.name, row.doc ? row.doc : "");
        if (row.aliases) fprintf(c->out, "\nAlso: %s\n", row.aliases);
        if (row.more) fprintf(c->out, "\n%s: %s\n", row.about, row.more);
        print_option_table(c, kind, row.options, false);
    }
}

static void print_json_list(cli *c, const struct kind *kind)
{
    item row;
    cli_json j = {.to = c->out};
    cli_json_object(&j, NULL);
    cli_json_list(&j, kind->name);
    for (int i = 0; kind->at(c->cj, i, &row); i++) {
        cli_json_object(&j, NULL);
        cli_json_string(&j, "name", row.name);
        cli_json_string(&j, "doc", row.doc);
        if (row.aliases) cli_json_string(&j, "aliases", row.aliases);
        if (row.more) cli_json_string(&j, row.key, row.more);
        if (row.options) {
            cli_json_list(&j, "options");
            for (const cj_option *o = cj_option_row(row.options); o->type; o = cj_option_row(o + 1))
                print_json_option(&j, o);
            cli_json_end(&j);
        }
        cli_json_end(&j);
    }
    cli_json_end(&j);
    cli_json_end(&j);
    cli_json_line(&j);
}

static int run(cli *c)
{
    const char *names[sizeof kinds / sizeof *kinds];
    const char *word = c->args.n_words ? c->args.words[0] : "";
    const struct kind *kind = kinds;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) names[i] = kinds[i].name;
    if (c->args.n_words != 1) return cli_misused(c, "list: expected one of %s", all_kinds);
    while (kind->name && strcmp(kind->name, word) != 0) kind++;
    const char *near = kind->name ? NULL : cj_nearest(word, names);
    if (near) return cli_misused(c, "list: there are no '%.80s' (did you mean '%s'?)", word, near);
    if (!kind->name)
        return cli_misused(c, "list: there are no '%.80s': expected one of %s", word, all_kinds);
    cj_recipe *recipe = cli_recipe(c, NULL);
    if (!recipe || !cli_context(c, recipe)) return c->status;
    if (c->json) print_json_list(c, kind);
    else if (!strcmp(cli_string(c, "style"), "markdown")) print_page(c, kind);
    else print_list(c, kind);
    return CLI_DONE;
}

static const char *const keys[] = {"style", NULL};
const cj_command cj_command_list = {
    .name = "list",
    .summary = "tell what there is of a kind, with all options",
    .usage = "ops|layers|activations|losses|metrics|optimizers|schedules|initializers|regularizers|"
             "constraints|networks|datasets|formats|folders|backends|commands",
    .text = "  cajal list layers\n  cajal list datasets --json\n",
    .keys = keys,
    .run = run,
};
