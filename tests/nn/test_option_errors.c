/* test_option_errors.c: what each option of each row says of a value it does not take, and each row
 * of an option it does not have: every text of tests/golden/nn/option_errors.txt. A message names
 * row, option and value, so it stands there alone. CAJAL_UPDATE=1 writes the file anew; read what
 * it writes. */
#include <math.h>

#include "nn_rows.h"
#include "support/golden.h"

static cj_context *cj;
static cj__text all;
static const char *section = "";

/* The last message as a line of the file. It names the option or the value; `begin` is how it
 * begins. */
static void report(const kind *k, const row *r, const char *begin, const char *option,
                   const char *value)
{
    const char *message = cj_message(cj);
    if (strncmp(message, begin, strlen(begin)) || strchr(message, '\n') ||
        (!strstr(message, option) && !strstr(message, value)))
        fail_msg("%s %s(%s=%s): \"%s\"", k->word, r->name, option, value, message);
    if (strcmp(section, k->word)) cj__text_format(&all, "%s# %s\n", *section ? "\n" : "", k->word);
    section = k->word;
    cj__text_format(&all, "%s\n", message);
}

/* row(option=value) is no text of this kind; false: it is. */
static bool refused(const kind *k, const row *r, const char *option, const char *value)
{
    cj__arena arena;
    cj__named named;
    char text[300];
    cj__arena_init(&arena, cj);
    snprintf(text, sizeof text, "%s(%s=%s)", r->name, option, value);
    cj_status failed = cj__named_parse(&arena, cj, k->number, text, &named);
    if (failed) assert_int_equal(failed, CJ_ERR_ARGUMENT);
    cj__arena_release(&arena);
    return failed != CJ_OK;
}

static void must_refuse(const kind *k, const row *r, const char *option, const char *value)
{
    if (!refused(k, r, option, value))
        fail_msg("%s: %s(%s=%s) was taken", k->word, r->name, option, value);
    char begin[200];
    const bool unknown = !strcmp(option, "no_such_option");
    snprintf(begin, sizeof begin, "%s: %s%s", r->name, unknown ? "unknown option '" : "", option);
    report(k, r, begin, option, value);
}

/* ---- Strings, which are looked at when they are used ----------------------------------------- */

/* The layer as its sample has it, but for this option. */
static void apply_layer(cj_model *m, const row *r, const cj_option *o, const char *value)
{
    const cj_layer *layer = r->row;
    char given[200];
    int64_t dims[CJ_RANK_MAX];
    const int rank = sample_shape(layer->sample, given, dims);
    cj_node *x = cj_model_input(m, "x", rank, dims), *in[] = {x, x};
    cj__arena *arena = &cj_model_graph(m)->arena;
    void *options = cj__arena_alloc(arena, r->size);
    cj__options_init(r->options, options);
    assert_ok(cj, cj__options_parse(arena, r->name, r->options, options, given));
    for (const cj_option *no = cj_option_row(r->options); no->type;
         no = cj_option_row(no + 1)) /* bias_initializer is for a bias */
        if (!strncmp(no->name, "no_", 3)) *(bool *)((char *)options + no->offset) = false;
    assert_ok(cj, cj__option_set(arena, r->name, r->options, options, o->name, value));
    const bool one = layer->inputs == 1 || layer->inputs_min == 1;
    cj__layer_add(in, one ? 1 : 2, layer, options);
}

/* Whether using it fails; the message is the context's. */
static bool refused_in_use(const kind *k, const row *r, const cj_option *o, const char *value)
{
    cj_model *m = cj_model_new(cj);
    if (k->number == CJ__ROW_LAYER) apply_layer(m, r, o, value);
    else if (k->number == CJ__ROW_OPTIMIZER) {
        char text[300];
        snprintf(text, sizeof text, "%s(%s=%s)", r->name, o->name, value);
        cj_node *x = cj_model_input(m, "x", 1, (int64_t[]){3}), *y = cj_dense(x, .units = 2);
        cj_node *p = cj_graph_parameter_at(cj_model_graph(m), 0), *dp;
        assert_ok(cj, cj_grad(cj_mean(y), &p, 1, &dp));
        (cj_updates)(text, &p, &dp, 1, NULL);
    } else fail_msg("%s %s: what looks at its text '%s'?", k->word, r->name, o->name);
    const bool failed = cj_model_failed(m) != CJ_OK;
    cj_model_free(m);
    return failed;
}

/* ---- Values by type -------------------------------------------------------------------------- */

static bool is_number(const cj_option *o)
{
    return o->type == CJ_OPTION_TYPE_INT || o->type == CJ_OPTION_TYPE_FLOAT ||
           o->type == CJ_OPTION_TYPE_INTS || o->type == CJ_OPTION_TYPE_FLOATS ||
           o->type == CJ_OPTION_TYPE_SIZES;
}

/* Both ends of a range, where a double can say what lies outside; without a range what is no number
 * of the type at all. */
static void out_of_range(const kind *k, const row *r, const cj_option *o)
{
    const bool list = o->type == CJ_OPTION_TYPE_INTS || o->type == CJ_OPTION_TYPE_FLOATS,
               whole = o->type == CJ_OPTION_TYPE_INT || o->type == CJ_OPTION_TYPE_INTS ||
                       o->type == CJ_OPTION_TYPE_SIZES;
    const double outside[] = {floor(o->min - 1 - fabs(o->min)), ceil(o->max + 1 + fabs(o->max))};
    char value[64];
    for (int i = 0; (o->min != 0 || o->max != 0) && i < 2; i++) {
        if (!(fabs(outside[i]) <= (whole ? 9e15 : 1e300)) || (o->type == CJ_OPTION_TYPE_SIZES &&
                                                             outside[i] == 0))
            continue;
        snprintf(value, sizeof value, list ? "[%.17g]" : "%.17g", outside[i]);
        must_refuse(k, r, o->name, value);
    }
    const char *never = whole ? "99999999999999999999" : isnan(o->initial) ? NULL : "nan";
    if (never) must_refuse(k, r, o->name, never);
}

static void wrong_values(const kind *k, const row *r, const cj_option *o)
{
    if (is_number(o)) out_of_range(k, r, o);
    const bool text = o->type == CJ_OPTION_TYPE_STRING;
    static const char *const values[] = {"no_such_thing", "a b"};
    for (int i = 0; i < (text ? 2 : 1); i++) {
        if (!text || o->words) {
            must_refuse(k, r, o->name, values[i]);
            break;
        }
        if (refused_in_use(k, r, o, values[i])) {
            report(k, r, "", o->name, values[i]);
            return;
        }
    }
    if (text && !o->words) cj__text_format(&all, "%s: %s is any text\n", r->name, o->name);
}

static void wrong_uses(const kind *k, const row *r)
{
    must_refuse(k, r, "no_such_option", "1");
    for (const cj_option *o = cj_option_row(r->options); o && o->type; o = cj_option_row(o + 1))
        wrong_values(k, r, o);
}

static void texts(void **state)
{
    (void)state;
    cj__text_init(&all, cj);
    each_row(cj, wrong_uses);
    const char *text = cj__text_string(&all);
    assert_true(golden_text_same("nn/option_errors.txt", text, strlen(text)));
    cj__text_release(&all);
}

int main(void)
{
    cj = test_context();
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
