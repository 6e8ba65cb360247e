/* vectorize.c: TextVectorization: texts as the places of their words in a vocabulary, or as counts
 * of these: what is made of words once they are numbers (words.c), one by one or several as an
 * ngram.
 */
#include "format/keras/texts.h"

#include <stdlib.h>
#include <string.h>

/* ---- Configuration --------------------------------------------------------------------------- */

static bool is_default(const cj__json *value) { return !value || value->type == CJ__JSON_NULL; }

/* ngrams: so many words at most, or a list of how many. */
static cj_status take_widths(cj__texts *t)
{
    const cj__json *said = cj__json_find(t->layer->config, "ngrams");
    const bool list = said && said->type == CJ__JSON_ARRAY;
    if (is_default(said)) return CJ_OK;
    const int64_t most = said->is_integer ? said->integer : 0;
    bool good = list || (most >= 1 && most <= CJ__NGRAMS);
    for (const cj__json *i = list ? said->first : NULL; i; i = i->next)
        if (i->is_integer && i->integer >= 1 && i->integer <= CJ__NGRAMS &&
            t->n_widths < CJ__NGRAMS)
            t->widths[t->n_widths++] = (int)i->integer;
        else good = false;
    for (int i = 0; !list && good && i < most; i++) t->widths[t->n_widths++] = i + 1;
    return good && t->n_widths && t->split == 'w'
               ? CJ_OK
               : cj__keras_fail(t->k, t->layer, CJ_ERR_UNSUPPORTED,
                                "ngrams that are not of 1 to %d words between blanks", CJ__NGRAMS);
}

static cj_status take(cj__texts *t)
{
    const cj__json *of = t->layer->config, *standardize = cj__json_find(of, "standardize"),
                   *split = cj__json_find(of, "split");
    const char *how = standardize ? cj__keras_string(of, "standardize")
                                  : "lower_and_strip_punctuation",
               *by = split ? cj__keras_string(of, "split") : "whitespace",
               *mode = cj__keras_string(of, "output_mode"),
               *encoding = cj__keras_string(of, "encoding");
    const double length = cj__keras_number(of, "output_sequence_length", 0);
    if ((!how && !is_default(standardize)) || (!by && !is_default(split)) ||
        (how && !cj__keras_is_word("lower_and_strip_punctuation lower strip_punctuation", how)) ||
        (by && !cj__keras_is_word("whitespace character", by)))
        return cj__keras_fail(
            t->k, t->layer, CJ_ERR_UNSUPPORTED,
            "a function of its own in standardize or split, which is Python code");
    if (cj__keras_bool(of, "ragged", false) || cj__keras_bool(of, "sparse", false) ||
        (encoding && strcmp(encoding, "utf-8") != 0) ||
        (mode && !cj__keras_is_word("int multi_hot binary count tf_idf tf-idf", mode)))
        return cj__keras_fail(t->k, t->layer, CJ_ERR_UNSUPPORTED,
                              "ragged or sparse results, an encoding that is not utf-8, or the "
                              "output_mode %.40s",
                              mode ? mode : "int");
    t->lower = how && strstr(how, "lower");
    t->strip = how && strstr(how, "strip");
    t->split = by ? *by : 'n';
    t->places = !mode || !strcmp(mode, "int");
    if (!(length >= 0) || length > 1 << 24)
        return cj__keras_fail(t->k, t->layer, CJ_ERR_DATA, "output_sequence_length of %g", length);
    t->length = (int64_t)length;
    return take_widths(t);
}

/* ---- The vocabulary -------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The words in ngrams, each once, sorted: their places are their numbers. */
static cj_status take_tokens(cj__texts *t)
{
    size_t most = 0, n = 0;
    t->tokens = t->words;
    if (!t->n_widths) return CJ_OK;
    for (size_t i = 0; i < t->words.n; i++, most++)
        for (const char *c = t->words.at[i]; *c; c++) most += *c == ' ';
    const char **all = cj__arena_array(t->k->arena, most, sizeof *all);
    if (!all) return CJ_ERR_MEMORY;
    for (size_t i = 0; i < t->words.n; i++) {
        char *at = cj__arena_strdup(t->k->arena, t->words.at[i]);
        if (!at) return CJ_ERR_MEMORY;
        for (; at; n++) {
            all[n] = at;
            if ((at = strchr(at, ' ')) != NULL) *at++ = 0;
        }
    }
    qsort(all, n, sizeof *all, by_text);
    t->tokens = (cj__keras_words){.at = all, .n = 1};
    for (size_t i = 1; i < n; i++)
        if (strcmp(all[i], all[t->tokens.n - 1]) != 0) all[t->tokens.n++] = all[i];
    return CJ_OK;
}

/* ---- Results --------------------------------------------------------------------------------- */

/* `what` of segments at the column of each in [batch, size]; at column `size` it is dropped. */
static cj_node *columns(const cj__texts *t, cj_node *column, cj_node *what, cj_dim size)
{
    cj_node *y = cj__texts_by_segment(t, what, column, cj_dim_add(t->k->g, size, 1));
    return y ? cj_slice_axis(y, 1, 0, size) : NULL;
}

/* Places of words: 0 behind the last, 1 of what is in no vocabulary. */
static cj_status places(const cj__texts *t, const cj__found *f, int n, cj_dim most, cj_node **y)
{
    cj_graph *g = t->k->g;
    const cj_dim size = t->length ? t->length : t->split == 'n' ? 1 : cj_dim_mul(g, most, n);
    cj_node *end = size > 0 ? cj__texts_whole(t, size) : cj_dim_value(g, size);
    for (int i = 0; i < n; i++) {
        cj_node *place = cj_where(cj_less(f[i].number, cj__texts_whole(t, 0)),
                                  cj__texts_whole(t, 1), cj_shift(f[i].number, 2));
        cj_node *column = cj_where(f[i].is, cj_minimum(f[i].at, end), end);
        cj_node *these = place && column ? columns(t, column, place, size) : NULL;
        *y = i && these ? cj_add(*y, these) : these;
        if (!*y) break;
    }
    return g->failed;
}

/* How often each word is there, or (hot) whether; first what is in no vocabulary. */
static cj_status counts(const cj__texts *t, const cj__found *f, int n, bool hot, cj_node **y)
{
    const int64_t size = (int64_t)t->words.n + 1;
    const cj_dtype dtype = cj__layers_of(t->k->g)->dtype;
    for (int i = 0; i < n; i++) {
        cj_node *column = cj_where(f[i].is, cj_shift(f[i].number, 1), cj__texts_whole(t, size));
        cj_node *these = column ? columns(t, column, cj_cast(f[i].is, dtype), size) : NULL;
        *y = i && these ? cj_add(*y, these) : these;
        if (!*y) return t->k->g->failed;
    }
    if (hot) *y = cj_minimum(*y, cj_scalar(t->k->g, dtype, 1));
    return *y ? cj__keras_encoded(t->k, t->layer, &t->words, 1, y) : t->k->g->failed;
}

/* ---- Several words --------------------------------------------------------------------------- */

/* An ngram of the vocabulary: its tokens' numbers as the digits of one. */
typedef struct gram {
    int64_t key, number;
} gram;

static int by_digits(const void *a, const void *b)
{
    const gram *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* Those of so many words, sorted; their number. */
static size_t grams_of(const cj__texts *t, int width, gram *out)
{
    size_t n = 0;
    for (size_t i = 0; i < t->words.n; i++) {
        gram g = {.number = (int64_t)i};
        const char *at = t->words.at[i];
        int words = 0;
        for (bool more = true; more; words++) {
            const size_t length = strcspn(at, " ");
            size_t low = 0, high = t->tokens.n;
            while (high - low > 1) { /* all are there */
                const size_t middle = (low + high) / 2;
                const char *other = t->tokens.at[middle];
                const int sign = strncmp(other, at, length);
                if (sign < 0 || (!sign && !other[length])) low = middle;
                else high = middle;
            }
            if (words < width) g.key = g.key * (int64_t)t->tokens.n + (int64_t)low;
            more = at[length] == ' ';
            at += length + more;
        }
        if (words == width) out[n++] = g;
    }
    qsort(out, n, sizeof *out, by_digits);
    return n;
}

/* codes [batch, most]: 0 of no word, 1 of one that is no token, then tokens. */
static cj_status by_width(const cj__texts *t, cj_node *codes, cj_dim most, int width, cj__found *f)
{
    const int64_t zero[] = {0, 0}, more[] = {0, width - 1};
    gram *grams = cj__arena_array(t->k->arena, t->words.n, sizeof *grams);
    int64_t *v = cj__arena_array(t->k->arena, 2 * t->words.n + 1, sizeof *v);
    cj_node *key = NULL, *known = NULL, *padded = cj_pad(codes, zero, more, 0);
    if (!grams || !v) return CJ_ERR_MEMORY;
    for (int j = 0; j < width && padded; j++) {
        cj_node *code = cj_slice_axis(padded, 1, j, most);
        cj_node *is = cj_greater(code, cj__texts_whole(t, 1)),
                *digit = cj_maximum(cj_shift(code, -2), cj__texts_whole(t, 0));
        key = key ? cj_add(cj_mul(key, cj__texts_whole(t, (int64_t)t->tokens.n)), digit) : digit;
        known = known ? cj_logical_and(known, is) : is;
        f->is = cj_greater(code, cj__texts_whole(t, 0));
    }
    if (!key || !known || !f->is) return t->k->g->failed;
    const int64_t n = (int64_t)grams_of(t, width, grams);
    for (int64_t i = 0; i < n; i++) v[i] = grams[i].key, v[n + i] = grams[i].number;
    if (!n) f->number = cj_where(known, cj__texts_whole(t, -1), cj__texts_whole(t, -1));
    else {
        cj_node *keys = cj__texts_table(t, n, v), *at = cj__texts_candidate(t, keys, n, key);
        cj_node *there = cj__texts_look_up(keys, at),
                *number = cj__texts_look_up(cj__texts_table(t, n, v + n), at);
        if (!there || !number) return t->k->g->failed;
        f->number = cj_where(cj_logical_and(known, cj_equal(there, key)), number,
                             cj__texts_whole(t, -1));
    }
    return t->k->g->failed;
}

/* Of each width what there is, one width's behind the other's. */
static cj_status several(const cj__texts *t, const cj__found *one, cj_dim most, cj__found *f)
{
    const int64_t last = 1;
    cj_graph *g = t->k->g;
    double keys = 1;
    cj_node *end = most > 0 ? cj__texts_whole(t, most) : cj_dim_value(g, most), *before = NULL;
    cj_node *codes = columns(t, cj_where(one->is, one->at, end), cj_shift(one->number, 2), most);
    if (!codes) return g->failed;
    for (int i = 0; i < t->n_widths; i++) {
        for (int j = keys = 1; j <= t->widths[i]; j++) keys *= (double)t->tokens.n;
        if (keys > 0x1p62)
            return cj__keras_fail(t->k, t->layer, CJ_ERR_LIMIT, "ngrams of %d of %zu words",
                                  t->widths[i], t->tokens.n);
        CJ__TRY(by_width(t, codes, most, t->widths[i], &f[i]));
        cj_node *is = cj_cast(f[i].is, CJ_I64), *at = is ? cj_cumsum(is, 1, true, false) : NULL;
        f[i].at = before ? cj_add(at, before) : at;
        cj_node *all = is ? cj_reduce_sum(is, 1, &last, true) : NULL;
        before = before ? cj_add(before, all) : all;
    }
    return g->failed;
}

/* ---- Widths ---------------------------------------------------------------------------------- */

/* Without an output_sequence_length Keras's result is as wide as the longest text of a batch has
 * words; ours as one of so many bytes can have. What follows is not to see the difference. */
static bool is_open(const cj__keras_layer *l)
{
    const char *mode = cj__keras_string(l->config, "output_mode");
    const cj__json *split = cj__json_find(l->config, "split");
    return !strcmp(l->kind, "TextVectorization") && (!mode || !strcmp(mode, "int")) &&
           !(split && split->type == CJ__JSON_NULL) &&
           cj__keras_number(l->config, "output_sequence_length", 0) == 0;
}

static bool masks_zeros(const cj__keras_layer *l)
{
    return !strcmp(l->kind, "Embedding") && cj__keras_bool(l->config, "mask_zero", false);
}

cj_status cj__keras_check_widths(cj__keras *k, const cj__keras_model *m)
{
    const cj__keras_layer *open = NULL;
    for (int i = 0; i < m->n_layers && !open; i++) {
        const cj__keras_layer *l = &m->layers[i];
        if (l->model) CJ__TRY(cj__keras_check_widths(k, l->model));
        if (m->sequential && is_open(l) && (i + 1 == m->n_layers || !masks_zeros(l + 1))) open = l;
        for (int c = 0; c < l->n_calls && !m->sequential; c++)
            for (int r = 0; r < l->calls[c].n_refs; r++)
                if (is_open(l->calls[c].refs[r].layer) && !masks_zeros(l))
                    open = l->calls[c].refs[r].layer;
    }
    for (int i = 0; i < m->n_outputs && !open; i++)
        if (is_open(m->outputs[i].layer)) open = m->outputs[i].layer;
    return !open ? CJ_OK
                 : cj__keras_fail(k, open, CJ_ERR_UNSUPPORTED,
                                  "no output_sequence_length: its result is as wide as the longest "
                                  "text of a batch has words, which only an Embedding with "
                                  "mask_zero does not see");
}

CJ__KERAS_BUILDER(vectorize)
{
    cj__texts t = {.k = k, .layer = layer};
    const char *mode = cj__keras_string(layer->config, "output_mode");
    cj__found one = {.number = NULL}, all[CJ__NGRAMS] = {{NULL}};
    cj_node *in = x[0];
    cj_dim most;
    const int rank = cj_node_rank(in);
    CJ__TRY(take(&t));
    if (n != 1 || cj_node_dtype(in) != CJ_U8 || rank < 2 || rank > 3 ||
        (rank == 3 && cj_node_dim(in, 1) != 1))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "an input that is not of one text a sample, or no input of the "
                              "model");
    CJ__TRY(cj__keras_read_words(k, layer, t.places ? "" : NULL, "[UNK]", 1, &t.words));
    CJ__TRY(take_tokens(&t));
    CJ__TRY(cj__texts_sort(&t));
    if (rank == 3) in = cj_squeeze(in, 1);
    if (!in || !(in = cj_cast(in, CJ_I64))) return k->g->failed;
    CJ__TRY(cj__texts_split(&t, in, &one, &most));
    if (!one.number || !one.at) return k->g->failed;
    if (t.n_widths) CJ__TRY(several(&t, &one, most, all));
    const cj__found *f = t.n_widths ? all : &one;
    const int n_found = t.n_widths ? t.n_widths : 1;
    call->n_out = 1;
    return t.places ? places(&t, f, n_found, most, &call->out[0])
                    : counts(&t, f, n_found, mode && cj__keras_is_word("multi_hot binary", mode),
                             &call->out[0]);
}
