/* lookup.c: categories: Discretization, and IntegerLookup and StringLookup: places in a vocabulary,
 * which is in the configuration or, where adapt() made it, in a file of the archive, a line for
 * each word:
 *
 *     [mask_token] [oov_token ...] words ...
 *
 * The first ones may be left out in a configuration. */
#include "format/keras/keras.h"

#include <string.h>

/* A word, or a whole number as one; NULL: neither. */
static const char *word_of(cj__keras *k, const cj__json *value)
{
    if (!value) return NULL;
    if (value->type == CJ__JSON_STRING) return value->string;
    return value->is_integer ? cj__arena_printf(k->arena, "%lld", (long long)value->integer) : NULL;
}

static cj_status from_list(cj__keras *k, const cj__keras_layer *l, const cj__json *list,
                           cj__keras_words *w)
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
static cj_status from_lines(cj__keras *k, char *text, cj__keras_words *w)
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
static void skip_special(cj__keras_words *w, const char *mask, const char *unknown, size_t places)
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
    if ((mode && !cj__keras_is_word("int one_hot multi_hot binary count tf_idf tf-idf", mode)) ||
        cj__keras_bool(of, "sparse", false))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "the output_mode %.40s, or sparse",
                              mode ? mode : "int");
    if (texts && cj__keras_number(of, "num_oov_indices", 1) > 1)
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                              "more than one place for what is not in the vocabulary, which "
                              "Keras's hash of texts decides");
    return CJ_OK;
}

cj_status cj__keras_read_words(cj__keras *k, const cj__keras_layer *l, const char *mask,
                               const char *unknown, size_t places, cj__keras_words *w)
{
    const cj__json *list = cj__json_find(l->config, "vocabulary");
    char *lines = NULL;
    *w = (cj__keras_words){.n = 0};
    if (list && list->type == CJ__JSON_ARRAY) CJ__TRY(from_list(k, l, list, w));
    else CJ__TRY(cj__keras_vocabulary(k, l->path ? l->path : "", &lines));
    if (!lines && !w->n && !strcmp(l->kind, "TextVectorization") && l->path) {
        const char *inner = cj__arena_printf(k->arena, "%s/_lookup_layer", l->path);
        if (!inner) return CJ_ERR_MEMORY;
        CJ__TRY(cj__keras_vocabulary(k, inner, &lines));
    }
    if (lines) CJ__TRY(from_lines(k, lines, w));
    w->given = w->n;
    skip_special(w, mask, unknown, places);
    return w->n ? CJ_OK
                : cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                                 "a vocabulary that is not in the file: Keras keeps the one that "
                                 "adapt() made in a .keras file alone");
}

/* ---- What comes behind the places ------------------------------------------------------------ */

/* What each place counts for: what adapt() found is a weight of an archive, for all places; what
 * the configuration says is for the vocabulary as it was given, and what is before that counts for
 * their mean. */
static cj_status idf_weights(cj__keras *k, const cj__keras_layer *l, const cj__keras_words *w,
                             size_t places, double *out)
{
    const cj__json *said = cj__json_find(l->config, "idf_weights");
    const size_t n = places + w->n;
    cj_tensor *t = NULL;
    double sum = 0;
    size_t at = n - w->given;
    if (said && said->type == CJ__JSON_ARRAY && said->count == w->given) {
        for (const cj__json *i = said->first; i; i = i->next) sum += out[at++] = i->number;
        for (size_t i = 0; i + w->given < n; i++) out[i] = sum / (double)w->given;
        return CJ_OK;
    }
    CJ__TRY(cj__keras_weight_called(k, l, "idf_weights", &t));
    const bool fits = t && cj_tensor_count(t) >= (int64_t)n &&
                      cj_dtype_info(cj_tensor_dtype(t))->kind == CJ_KIND_FLOAT;
    const void *values = fits ? cj_tensor_map_read(t) : NULL;
    for (size_t i = 0; fits && i < n; i++) out[i] = cj_load_f64(cj_tensor_dtype(t), values, i);
    if (fits) cj_tensor_unmap(t);
    cj_tensor_free(t);
    return fits ? CJ_OK
                : cj__keras_fail(k, l, CJ_ERR_DATA,
                                 "no idf_weights for a vocabulary of %zu, neither said nor among "
                                 "its weights",
                                 w->n);
}

cj_status cj__keras_encoded(cj__keras *k, const cj__keras_layer *l, const cj__keras_words *w,
                            size_t places, cj_node **y)
{
    const char *mode = cj__keras_string(l->config, "output_mode");
    const int rank = cj_node_rank(*y);
    const double most = cj__keras_number(l->config, "max_tokens", 0);
    const int64_t n = (int64_t)(places + w->n);
    int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    if (!mode || !strcmp(mode, "int")) return CJ_OK;
    if (cj__keras_is_word("tf_idf tf-idf", mode)) {
        double *values = cj__arena_array(k->arena, (size_t)n, sizeof *values);
        if (!values) return CJ_ERR_MEMORY;
        CJ__TRY(idf_weights(k, l, w, places, values));
        cj_tensor *t = cj_tensor_from(k->cj, CJ_F64, 1, &n, values);
        if (!t) return cj_last_status(k->cj);
        *y = cj_mul(*y, cj_cast(cj_constant(k->g, t), cj_node_dtype(*y)));
        cj_tensor_free(t);
    }
    if (!cj__keras_bool(l->config, "pad_to_max_tokens", false) || !(most > (double)n) || !*y)
        return k->g->failed;
    if (most > 0x1p31) return cj__keras_fail(k, l, CJ_ERR_LIMIT, "max_tokens of %g", most);
    after[rank - 1] = (int64_t)most - n;
    *y = cj_pad(*y, before, after, 0);
    return k->g->failed;
}

/* The other way: texts of places, and oov_token of what is none. */
static cj_status text_at(cj__keras *k, const cj__keras_words *w, const char *mask,
                         const char *unknown, size_t places, cj_node *x, cj_node **y)
{
    const size_t first = mask != NULL, n = first + places + w->n;
    const char **all = cj__arena_array(k->arena, n + 1, sizeof *all);
    if (!all) return CJ_ERR_MEMORY;
    for (size_t i = 0; i <= n; i++)
        all[i] = i < first ? mask : i < first + places || i == n ? unknown
                                                                 : w->at[i - first - places];
    cj_tensor *t = cj_tensor_from_strings(k->cj, 1, (int64_t[]){(int64_t)n + 1}, all);
    if (!t) return cj_last_status(k->cj);
    cj_node *place = cj_cast(x, CJ_I64), *none = cj_scalar(k->g, CJ_I64, (double)n);
    cj_node *is_place = cj_logical_and(cj_greater_equal(place, cj_scalar(k->g, CJ_I64, 0)),
                                       cj_less(place, none));
    *y = cj_gather(cj_constant(k->g, t), cj_where(is_place, place, none), 0);
    cj_tensor_free(t);
    return k->g->failed;
}

/* ---- The layers ------------------------------------------------------------------------------ */

cj_status cj__keras_lookup_options(const cj__keras_layer *l, const cj__keras_words *w, bool texts,
                                   const char *mask, cj__text *out)
{
    const char *mode = cj__keras_string(l->config, "output_mode");
    const double places = cj__keras_number(l->config, "num_oov_indices", 1);
    if (mode)
        cj__text_format(out, "%soutput_mode=%s", out->length ? ", " : "",
                        !strcmp(mode, "binary")                     ? "multi_hot"
                        : cj__keras_is_word("tf_idf tf-idf", mode) ? "count"
                                                                   : mode);
    cj__text_format(out, "%snum_oov_indices=", out->length ? ", " : "");
    cj__text_number(out, places != 0 ? places : -1);
    if (mask) {
        cj__text_format(out, ", mask_token=%s", texts ? "\"" : "");
        for (const char *c = mask; *c; c++) {
            if (texts && strchr("\"\\", *c)) cj__text_char(out, '\\');
            cj__text_char(out, *c);
        }
        if (texts) cj__text_char(out, '"');
    }
    cj__text_format(out, ", vocabulary=%c", texts ? '"' : '[');
    for (size_t i = 0; i < w->n; i++) {
        if (i) cj__text_add(out, ", ");
        if (texts) add_quoted(out, w->at[i]);
        else cj__text_add(out, w->at[i]);
    }
    cj__text_char(out, texts ? '"' : ']');
    return out->failed;
}

/* Texts as bytes of an open width: of as many as the longest word has, and one more, by which a
 * longer text is told apart. */
static cj_node *of_known_width(cj_node *x, const cj__keras_words *w, const char *mask)
{
    const int last = cj_node_rank(x) - 1;
    int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0}, width = 1;
    for (size_t i = 0; i < w->n + (mask != NULL); i++) {
        const int64_t length = (int64_t)strlen(i < w->n ? w->at[i] : mask);
        if (length >= width) width = length + 1;
    }
    after[last] = width;
    x = cj_pad(x, before, after, 0);
    return x ? cj_slice_axis(x, last, 0, width) : NULL;
}

CJ__KERAS_BUILDER(lookup)
{
    const cj__json *of = layer->config;
    const bool texts = !strcmp(layer->kind, "StringLookup");
    const char *mode = cj__keras_string(of, "output_mode"),
               *given = word_of(k, cj__json_find(of, "mask_token")),
               *unknown = word_of(k, cj__json_find(of, "oov_token"));
    const double places = cj__keras_number(of, "num_oov_indices", 1);
    const bool kept = !mode || !strcmp(mode, "int"); /* elsewhere there is no place for a mask */
    cj__keras_words w;
    CJ__TRY(check(k, layer, texts));
    if (!(places >= 0) || places > 1e6)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "num_oov_indices of %g", places);
    CJ__TRY(cj__keras_read_words(k, layer, kept ? given : NULL, unknown, (size_t)places, &w));
    call->n_out = 1;
    if (texts && cj__keras_bool(of, "invert", false))
        return text_at(k, &w, given, unknown ? unknown : "[UNK]", (size_t)places, x[0],
                       &call->out[0]);
    cj_node *in = x[0];
    if (texts && cj_node_dtype(in) == CJ_U8 && !(in = of_known_width(in, &w, given)))
        return k->g->failed;
    cj__text text;
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, layer, &text);
    if (!failed) failed = cj__keras_lookup_options(layer, &w, texts, given, &text);
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), &in, n,
                                 &call->out[0]);
    cj__text_release(&text);
    return failed ? failed
                  : cj__keras_encoded(k, layer, &w, (size_t)places, &call->out[0]);
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
