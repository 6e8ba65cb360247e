/* lookup.c: categories: Discretization, and IntegerLookup and StringLookup: places in a vocabulary,
 * which is in the configuration or, where adapt() made it, in a file of the archive, a line for
 * each word:
 *
 *     [mask_token] [oov_token ...] words ...
 *
 * The first ones may be left out in a configuration. */
#include "format/keras/keras.h"

#include <string.h>

typedef struct words {
    const char **at;
    size_t n;
} words;

/* A word, or a whole number as one; NULL: neither. */
static const char *word_of(cj__keras *k, const cj__json *value)
{
    if (!value) return NULL;
    if (value->type == CJ__JSON_STRING) return value->string;
    return value->is_integer ? cj__arena_printf(k->arena, "%lld", (long long)value->integer) : NULL;
}

static cj_status from_list(cj__keras *k, const cj__keras_layer *l, const cj__json *list, words *w)
{
    w->at = cj__arena_array(k->arena, list->count + 1, sizeof *w->at);
    if (!w->at) return CJ_ERR_MEMORY;
    for (const cj__json *item = list->first; item; item = item->next)
        if (!(w->at[w->n++] = word_of(k, item)))
            return cj__keras_fail(k, l, CJ_ERR_DATA,
                                  "a vocabulary with what is neither a text nor a whole number");
    return CJ_OK;
}

/* The text's lines become words in place; empty ones at its end are none. */
static cj_status from_lines(cj__keras *k, char *text, words *w)
{
    size_t lines = 1, n = strlen(text);
    while (n && strchr("\r\n", text[n - 1])) text[--n] = 0;
    for (const char *c = text; *c; c++) lines += *c == '\n';
    w->at = cj__arena_array(k->arena, lines, sizeof *w->at);
    if (!w->at) return CJ_ERR_MEMORY;
    for (char *line = text; line && n;) {
        char *end = strchr(line, '\n');
        w->at[w->n++] = line;
        if (end) {
            if (end > line && end[-1] == '\r') end[-1] = 0;
            *end++ = 0;
        }
        line = end;
    }
    return CJ_OK;
}

/* Leaves out the tokens before the words, if all of them are there. */
static void skip_special(words *w, const char *mask, const char *unknown, size_t places)
{
    const size_t n = (mask != NULL) + places;
    if (n > w->n || (mask && strcmp(w->at[0], mask) != 0)) return;
    for (size_t i = mask != NULL; i < n; i++)
        if (!unknown || strcmp(w->at[i], unknown) != 0) return;
    w->at += n;
    w->n -= n;
}

/* 'word', as part of a text in double quotes. */
static void add_quoted(cj__text *out, const char *word)
{
    cj__text_char(out, '\'');
    for (; *word; word++) {
        if (strchr("'\\", *word)) cj__text_add(out, "\\\\");
        if (strchr("\"\\", *word)) cj__text_char(out, '\\');
        cj__text_char(out, *word);
    }
    cj__text_char(out, '\'');
}

static cj_status check(cj__keras *k, const cj__keras_layer *l, bool texts)
{
    const cj__json *of = l->config;
    const char *mode = cj__keras_string(of, "output_mode");
    if ((mode && !cj__keras_is_word("int one_hot multi_hot count", mode)) ||
        cj__keras_bool(of, "sparse", false) || cj__keras_bool(of, "pad_to_max_tokens", false))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "the output_mode %.40s, sparse or "
                                                        "pad_to_max_tokens",
                              mode ? mode : "int");
    if (texts && (cj__keras_bool(of, "invert", false) ||
                  cj__keras_number(of, "num_oov_indices", 1) > 1))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                              "invert, or more than one place for what is not in the vocabulary, "
                              "which Keras's hash of texts decides");
    return CJ_OK;
}

CJ__KERAS_BUILDER(lookup)
{
    const cj__json *of = layer->config, *list = cj__json_find(of, "vocabulary");
    const bool texts = !strcmp(layer->kind, "StringLookup");
    const char *mode = cj__keras_string(of, "output_mode"),
               *given = word_of(k, cj__json_find(of, "mask_token")),
               *unknown = word_of(k, cj__json_find(of, "oov_token"));
    const double places = cj__keras_number(of, "num_oov_indices", 1);
    words w = {.n = 0};
    char *lines = NULL;
    CJ__TRY(check(k, layer, texts));
    if (list && list->type == CJ__JSON_ARRAY) CJ__TRY(from_list(k, layer, list, &w));
    else CJ__TRY(cj__keras_vocabulary(k, layer->path ? layer->path : "", &lines));
    if (lines) CJ__TRY(from_lines(k, lines, &w));
    const bool kept = !mode || !strcmp(mode, "int"); /* elsewhere there is no place for a mask */
    if (places >= 0 && places < 1e6)
        skip_special(&w, kept ? given : NULL, unknown, (size_t)places);
    if (!w.n)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "a vocabulary that is not in the file: Keras keeps the one that "
                              "adapt() made in a .keras file alone");
    cj__text text;
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, layer, &text);
    cj__text_format(&text, "%snum_oov_indices=", text.length ? ", " : "");
    cj__text_number(&text, places != 0 ? places : -1);
    if (given) {
        cj__text_format(&text, ", mask_token=%s", texts ? "\"" : "");
        for (const char *c = given; *c; c++) {
            if (texts && strchr("\"\\", *c)) cj__text_char(&text, '\\');
            cj__text_char(&text, *c);
        }
        if (texts) cj__text_char(&text, '"');
    }
    cj__text_format(&text, ", vocabulary=%c", texts ? '"' : '[');
    for (size_t i = 0; i < w.n; i++) {
        if (i) cj__text_add(&text, ", ");
        if (texts) add_quoted(&text, w.at[i]);
        else cj__text_add(&text, w.at[i]);
    }
    cj__text_char(&text, texts ? '"' : ']');
    if (!failed) failed = text.failed;
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), x, n,
                                 &call->out[0]);
    cj__text_release(&text);
    call->n_out = 1;
    return failed;
}

/* Discretization: bins, as they are or as zeros and ones. */
CJ__KERAS_BUILDER(bins)
{
    const char *mode = cj__keras_string(layer->config, "output_mode");
    const cj__json *bounds = cj__json_find(layer->config, "bin_boundaries");
    char options[80];
    CJ__TRY(cj__keras_build_row(k, layer, call, x, n));
    if (!mode || !strcmp(mode, "int")) return CJ_OK;
    if (!cj__keras_is_word("one_hot multi_hot count", mode) || !bounds)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "the output_mode %.40s", mode);
    const char *full = layer->full, *name = layer->name;
    cj__format(options, sizeof options, "num_tokens=%zu, output_mode=%s", bounds->count + 1, mode);
    layer->name = cj__arena_printf(k->arena, "%s.encoded", name);
    if (!layer->name) return CJ_ERR_MEMORY;
    cj_status failed = cj__keras_apply(k, layer, "category_encoding", options, call->out, 1,
                                       &call->out[0]);
    layer->name = name, layer->full = full;
    return failed;
}
