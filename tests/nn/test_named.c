/* test_named.c: every row of every table of named things: complete, found by its name, its options
 * printed and parsed again; what unknown names and options are told; a program's own rows. */
#include <math.h>

#include "nn_rows.h"

static cj_context *cj;

static bool is_word(const char *s)
{
    return s && *s >= 'a' && *s <= 'z' &&
           s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

/* An alias with options, "name(options)", is the row with these options, which others overrule. */
static void check_preset(const kind *k, const row *r, const char *alias, int length, int all)
{
    cj__arena arena;
    cj__named named[3];
    char text[3][200];
    cj__arena_init(&arena, cj);
    const cj_option *o = cj__option_find(r->options, "from_logits");
    snprintf(text[0], 200, "%.*s", length, alias);
    snprintf(text[1], 200, "%s%.*s", r->name, all - length, alias + length);
    snprintf(text[2], 200, "%.*s(from_logits=false)", length, alias);
    for (int i = 0; i < (o ? 3 : 2); i++)
        if (cj__named_parse(&arena, cj, k->number, text[i], &named[i]))
            fail_msg("%s '%s': %s", k->word, text[i], cj_message(cj));
    if (named[0].row != r->row ||
        !cj__options_equal(r->options, named[0].options, named[1].options))
        fail_msg("%s: '%s' is not '%s'", k->word, text[0], text[1]);
    if (o && *(const bool *)((const char *)named[2].options + o->offset))
        fail_msg("%s: '%s' does not overrule", k->word, text[2]);
    cj__arena_release(&arena);
}

/* Other names are words that find this row, and are no row's name. */
static void check_aliases(const kind *k, const row *r)
{
    char word[100];
    for (const char *p = r->aliases; p && *p; p += *p == ',' ? 2 : 0) {
        const char *why = NULL, *end = cj__option_item_end(p, &why);
        if (!end) fail_msg("%s %s: aliases '%s': %s", k->word, r->name, p, why);
        const size_t length = strcspn(p, ",("), all = (size_t)(end - p);
        assert_true(all < sizeof word);
        if (length < all) check_preset(k, r, p, (int)length, (int)all);
        memcpy(word, p, length);
        word[length] = 0;
        p = end;
        if (!is_word(word) || (*p && strncmp(p, ", ", 2)))
            fail_msg("%s %s: '%s' in its aliases is no word", k->word, r->name, word);
        if (k->find(cj, word) != r->row)
            fail_msg("%s '%s' is not %s", k->word, word, r->name);
        row other;
        for (int i = 0; k->at(cj, i, &other); i++)
            if (!strcmp(other.name, word))
                fail_msg("%s '%s' is a row and an alias of %s", k->word, word, r->name);
    }
}

static void complete(const kind *k, const row *r)
{
    check_aliases(k, r);
    if (!is_word(r->name)) fail_msg("a %s is called '%s'", k->word, r->name);
    if (!r->doc || strlen(r->doc) < 5) fail_msg("%s %s: no doc", k->word, r->name);
    if (!r->complete) fail_msg("%s %s: no function", k->word, r->name);
    if (k->find(cj, r->name) != r->row)
        fail_msg("%s %s is not found by its name", k->word, r->name);
    for (const cj_option *o = cj_option_row(r->options); o && o->type; o = cj_option_row(o + 1)) {
        if (!is_word(o->name) || !o->help || strlen(o->help) < 4)
            fail_msg("%s %s: option %s has no name or help", k->word, r->name, o->name);
        if (o->offset + cj__option_size(o->type) > r->size)
            fail_msg("%s %s: option %s lies outside the options", k->word, r->name, o->name);
        if (cj__option_find(r->options, o->name) != o)
            fail_msg("%s %s: option %s is there twice", k->word, r->name, o->name);
    }
}
static void rows_are_complete(void **state)
{
    (void)state;
    each_row(cj, complete);
}

/* ---- Text there and back --------------------------------------------------------------------- */

/* Another value of this option than the initial one, as text. */
static void other_value(const cj_option *o, char text[64])
{
    bool bounded = o->min != 0 || o->max != 0;
    double low = bounded && o->min > -1e6 ? o->min : -1000,
           high = bounded && o->max < 1e6 ? o->max : 1000;
    double middle = low + (high - low) * 0.37, whole = ceil(middle);
    switch (o->type) {
    case CJ_OPTION_TYPE_BOOL:
        snprintf(text, 64, "%s", o->initial != 0 ? "false" : "true");
        return;
    case CJ_OPTION_TYPE_INT:
        snprintf(text, 64, "%.0f", whole == o->initial ? high : whole);
        return;
    case CJ_OPTION_TYPE_FLOAT: snprintf(text, 64, "%.17g", middle); return;
    case CJ_OPTION_TYPE_WORD: snprintf(text, 64, "%s", o->words[o->initial == 0]); return;
    case CJ_OPTION_TYPE_DTYPE:
        snprintf(text, 64, "%s", o->initial == CJ_F64 ? "i8" : "f64");
        return;
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_SIZES: snprintf(text, 64, "[%.0f, %.0f]", whole, high); return;
    case CJ_OPTION_TYPE_DIMS: snprintf(text, 64, "[%d, -1]", 7); return;
    case CJ_OPTION_TYPE_FLOATS: snprintf(text, 64, "[%.17g, %.17g]", middle, high); return;
    case CJ_OPTION_TYPE_STRING: /* one of its words, or what is hard to print */
        if (!o->words) snprintf(text, 64, "\"a, \\\"b\\\" = (c\"");
        else snprintf(text, 64, "%s", o->words[o->text && !strcmp(o->words[0], o->text)]);
        return;
    default: fail_msg("option %s is of a type without text", o->name);
    }
}

static void print_row(cj__text *text, const row *r, const void *options, bool all)
{
    cj__text_format(text, "%s(", r->name);
    cj__options_print(text, r->options, options, all);
    cj__text_char(text, ')');
}

/* all_set: the text gives every option another value than the initial one. */
static void check_text(const kind *k, const row *r, const char *words, bool all_set)
{
    cj__arena arena;
    cj__named a, b;
    cj__arena_init(&arena, cj);
    if (cj__named_parse(&arena, cj, k->number, words, &a))
        fail_msg("%s '%s': %s", k->word, words, cj_message(cj));
    assert_ptr_equal(a.row, r->row);
    assert_non_null(a.options);
    if (all_set && r->options) {
        void *initial = cj__arena_alloc(&arena, r->size);
        cj__options_init(r->options, initial);
        for (const cj_option *o = cj_option_row(r->options); o->type; o = cj_option_row(o + 1))
            if (cj__options_equal((cj_option[]){*o, CJ_OPTION_END}, a.options, initial))
                fail_msg("%s '%s': %s is still as it began", k->word, words, o->name);
    }
    for (int all = 0; all < 2 && r->options; all++) {
        cj__text text;
        cj__text_init(&text, cj);
        print_row(&text, r, a.options, all);
        if (cj__named_parse(&arena, cj, k->number, cj__text_string(&text), &b))
            fail_msg("%s '%s': %s", k->word, cj__text_string(&text), cj_message(cj));
        if (!cj__options_equal(r->options, a.options, b.options))
            fail_msg("%s: '%s' and '%s' differ", k->word, words, cj__text_string(&text));
        cj__text_release(&text);
    }
    cj__arena_release(&arena);
}

/* Options that must be given are those of layers: their initial value is out of range. */
static bool needs_options(const row *r)
{
    for (const cj_option *o = cj_option_row(r->options); o && o->type; o = cj_option_row(o + 1))
        if ((o->type == CJ_OPTION_TYPE_INT || o->type == CJ_OPTION_TYPE_FLOAT) &&
            (o->min != 0 || o->max != 0) && (o->initial < o->min || o->initial > o->max))
            return true;
    return false;
}

static void text_again(const kind *k, const row *r)
{
    char words[4000], value[64], blanks[100];
    if (!needs_options(r)) {
        check_text(k, r, r->name, false);
        snprintf(blanks, sizeof blanks, "  %s ( ) ", r->name);
        check_text(k, r, blanks, false);
    }
    int n = snprintf(words, sizeof words, "%s(", r->name);
    bool first = true;
    for (const cj_option *o = cj_option_row(r->options); o && o->type; o = cj_option_row(o + 1)) {
        other_value(o, value);
        n += snprintf(words + n, sizeof words - (size_t)n, "%s%s=%s", first ? "" : ", ", o->name,
                      value);
        first = false;
    }
    snprintf(words + n, sizeof words - (size_t)n, ")");
    check_text(k, r, words, true);
}
static void options_parse_and_print(void **state)
{
    (void)state;
    each_row(cj, text_again);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void assert_refused(const kind *k, const char *text, const char *message)
{
    cj__arena arena;
    cj__named out;
    cj__arena_init(&arena, cj);
    if (!cj__named_parse(&arena, cj, k->number, text, &out))
        fail_msg("%s '%s' was taken", k->word, text);
    assert_int_equal(cj_last_status(cj), CJ_ERR_ARGUMENT);
    /* A name that is near none is followed by the list of all. */
    size_t length = message ? strlen(message) : 0;
    const char *rest = cj_message(cj) + (strlen(cj_message(cj)) < length ? 0 : length);
    if (message && (strncmp(cj_message(cj), message, length) ||
                    (*rest && strncmp(rest, " (there are: ", 13))))
        fail_msg("%s '%s': \"%s\", expected \"%s\"", k->word, text, cj_message(cj), message);
    cj__arena_release(&arena);
}

static void wrong_texts(const kind *k, const row *r)
{
    char text[300], message[400];
    snprintf(text, sizeof text, "%s(no_such_option=1)", r->name);
    assert_refused(k, text, NULL);
    assert_non_null(strstr(cj_message(cj), "no_such_option"));
    assert_non_null(strstr(cj_message(cj), r->name));
    static const char *const broken[] = {
        "%s(",      "%s)",  "%s(()",   "%s(,)", "%s(1,2,3,4,5,6,7,8,9,10,11,12)",
        "%s extra", "(%s)", "%s(x=1)x"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        int at = (int)(strstr(broken[i], "%s") - broken[i]);
        snprintf(text, sizeof text, "%.*s%s%s", at, broken[i], r->name, broken[i] + at + 2);
        assert_refused(k, text, NULL);
    }
    /* One letter too many is told the nearest name, which is this one or as near. */
    snprintf(text, sizeof text, "%sx", r->name);
    assert_refused(k, text, NULL);
    snprintf(message, sizeof message, "unknown %s '%s' (did you mean '", k->word, text);
    if (strncmp(cj_message(cj), message, strlen(message))) fail_msg("%s: %s", text, cj_message(cj));
    assert_null(k->find(cj, text));
}

static void errors(void **state)
{
    (void)state;
    each_row(cj, wrong_texts);
    for (int i = 0; i < KINDS; i++) {
        char message[200];
        snprintf(message, sizeof message, "unknown %s 'zzzzzzzzzzzzzzzz'", kinds[i].word);
        assert_refused(&kinds[i], "zzzzzzzzzzzzzzzz", message);
        assert_refused(&kinds[i], "", NULL);
        assert_refused(&kinds[i], NULL, NULL);
        snprintf(message, sizeof message, "no name of a %s given", kinds[i].word);
        assert_null(kinds[i].find(cj, NULL));
        assert_string_equal(cj_message(cj), message);
        assert_null(kinds[i].find(cj, ""));
    }
    /* Some by hand. */
    assert_null(cj_optimizer_find(cj, "rmspropp"));
    assert_string_equal(cj_message(cj), "unknown optimizer 'rmspropp' (did you mean 'rmsprop'?)");
    assert_null(cj_loss_find(cj, "binary_crossentropi"));
    assert_string_equal(
        cj_message(cj),
        "unknown loss 'binary_crossentropi' (did you mean 'binary_crossentropy'?)");
    assert_null(cj_initializer_find(cj, "glorot_unifrom"));
    assert_string_equal(cj_message(cj),
                        "unknown initializer 'glorot_unifrom' (did you mean 'glorot_uniform'?)");
}

/* Text from outside may be long, nested and of any bytes. */
static void hostile_text(void **state)
{
    (void)state;
    static char text[200000];
    for (int k = 0; k < KINDS; k++) {
        memset(text, 'a', sizeof text - 1);
        assert_refused(&kinds[k], text, NULL);
        memset(text, '(', sizeof text - 1);
        assert_refused(&kinds[k], text, NULL);
        memset(text, 0xff, sizeof text - 1);
        assert_refused(&kinds[k], text, NULL);
        memset(text, ',', sizeof text - 1);
        memcpy(text, "a(", 2);
        assert_refused(&kinds[k], text, NULL);
        assert_refused(&kinds[k], "%s%n%d", NULL);
    }
}

/* ---- A program's own rows -------------------------------------------------------------------- */

static cj_node *own_activation(cj_node *x, const void *options)
{
    (void)options;
    return cj_scale(x, 3);
}
static const cj_activation_row own_row = {.name = "triple",
                                          .doc = "a test's",
                                          .build = own_activation};
static const cj_activation_row own_relu = {.name = "relu",
                                           .doc = "a test's, found before the library's",
                                           .build = own_activation};
static const cj_activation_row own_again = {.name = "triple",
                                            .doc = "another",
                                            .build = own_activation};

static void own_rows(void **state)
{
    (void)state;
    cj_context *own = test_context();
    const cj_activation_row *builtin = cj_activation_find(own, "relu");
    assert_int_equal(cj_activation_register(own, &own_row), CJ_OK);
    assert_int_equal(cj_activation_register(own, &own_row), CJ_ERR_EXISTS);
    assert_int_equal(cj_activation_register(own, &own_again), CJ_ERR_EXISTS);
    assert_string_equal(cj_message(own), "'triple' is registered already");
    assert_ptr_equal(cj_activation_find(own, "triple"), &own_row);
    assert_ptr_equal(cj_activation_at(own, 0), &own_row);
    assert_int_equal(cj_activation_register(own, &own_relu), CJ_OK);
    assert_ptr_equal(cj_activation_find(own, "relu"), &own_relu);
    cj_graph *g = cj_graph_new(own);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3));
    assert_non_null(cj_activation(x, "triple"));
    assert_null(cj_activation(x, "tripel"));
    assert_string_equal(cj_message(own), "unknown activation 'tripel' (did you mean 'triple'?)");
    assert_null(cj_activation_find(cj, "triple")); /* contexts share nothing */
    assert_ptr_equal(cj_activation_find(cj, "relu"), builtin);
    cj_context_free(own);
}

/* Twice, without a name or a function, or nothing at all: refused for every kind. */
static void registering(void **state)
{
    (void)state;
    cj_context *own = test_context();
    static const cj_layer
        nameless; /* rows begin with their name; this one is of no kind in particular */
    void *named = calloc(1, 1024); /* nor is this one */
    assert_non_null(named);
    *(const char **)named = "functionless";
    for (int k = 0; k < KINDS; k++) {
        row r;
        char message[100];
        assert_int_equal(kinds[k].add(own, named), CJ_ERR_ARGUMENT);
        snprintf(message, sizeof message, "a %s to register needs a name and its function",
                 kinds[k].word);
        assert_string_equal(cj_message(own), message);
        assert_true(kinds[k].at(cj, 1, &r));
        assert_int_equal(kinds[k].add(own, r.row),
                         CJ_OK); /* a copy of the library's is one's own */
        assert_int_equal(kinds[k].add(own, r.row), CJ_ERR_EXISTS);
        assert_non_null(strstr(cj_message(own), r.name));
        assert_int_equal(kinds[k].add(own, &nameless), CJ_ERR_ARGUMENT);
        assert_int_equal(kinds[k].add(own, NULL), CJ_ERR_ARGUMENT);
        assert_ptr_equal(kinds[k].find(own, r.name), r.row);
    }
    free(named);
    cj_context_free(own);
}

int main(void)
{
    cj = test_context();
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_complete),
                                       cmocka_unit_test(options_parse_and_print),
                                       cmocka_unit_test(errors),
                                       cmocka_unit_test(hostile_text),
                                       cmocka_unit_test(own_rows),
                                       cmocka_unit_test(registering)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
