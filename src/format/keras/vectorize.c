/* vectorize.c: TextVectorization: texts as the places of their words in a vocabulary.
 *
 * A text is its bytes x [batch, width], with zeros behind them, as numpy's S has it: what a graph
 * does to it is arithmetic. All below are whole numbers, T bytes of a text and S segments, of which
 * each has one word or none:
 *
 *     c    [batch, T]  the byte as standardize has it: in lower case; 0: there is none
 *     s    [batch, T]  the segment it is in: how many blanks, or beginnings of characters, are
 *                      before it; 0 of a text that is not split
 *     n    [batch, S]  bytes of a segment; at [batch, T]: the place of a byte in its segment
 *     key  [batch, S]  two polynomials of the segment's bytes, sum of c r^at modulo a prime
 *
 * The words' keys are sorted; the largest that is not above a segment's is found by halving, and
 * the word of it is the segment's if all bytes are equal. */
#include "format/keras/keras.h"

#include <stdlib.h>
#include <string.h>

enum { PRIME_1 = 2147483647, PRIME_2 = 2147483629, TRIES = 16, WIDTHS = 8 };

/* A word and its key, and which of the vocabulary it is. */
typedef struct word {
    const char *text;
    int64_t key, number;
} word;

typedef struct texts {
    cj__keras *k;
    const cj__keras_layer *layer;
    cj__keras_words words, tokens; /* tokens: the words, or, of ngrams, the words in these */
    word *sorted;                  /* tokens */
    int widths[WIDTHS], n_widths;  /* of ngrams, in their order; 0: none */
    int64_t longest, r[2];
    char split;  /* 'w'hitespace, 'c'haracter, 'n'one */
    bool lower, strip, places; /* places: output_mode=int */
    int64_t length;            /* output_sequence_length; 0: none */
} texts;

/* ---- Configuration --------------------------------------------------------------------------- */

static bool is_default(const cj__json *value) { return !value || value->type == CJ__JSON_NULL; }

/* ngrams: so many words at most, or a list of how many. */
static cj_status take_widths(texts *t)
{
    const cj__json *said = cj__json_find(t->layer->config, "ngrams");
    const bool list = said && said->type == CJ__JSON_ARRAY;
    if (is_default(said)) return CJ_OK;
    const int64_t most = said->is_integer ? said->integer : 0;
    bool good = list || (most >= 1 && most <= WIDTHS);
    for (const cj__json *i = list ? said->first : NULL; i; i = i->next)
        if (i->is_integer && i->integer >= 1 && i->integer <= WIDTHS && t->n_widths < WIDTHS)
            t->widths[t->n_widths++] = (int)i->integer;
        else good = false;
    for (int i = 0; !list && good && i < most; i++) t->widths[t->n_widths++] = i + 1;
    return good && t->n_widths && t->split == 'w'
               ? CJ_OK
               : cj__keras_fail(t->k, t->layer, CJ_ERR_UNSUPPORTED,
                                "ngrams that are not of 1 to %d words between blanks", WIDTHS);
}

static cj_status take(texts *t)
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

static int64_t polynomial(const char *text, int64_t r, int64_t prime)
{
    int64_t sum = 0, power = 1;
    for (; *text; text++, power = power * r % prime)
        sum = (sum + (unsigned char)*text * power) % prime;
    return sum;
}

static int by_key(const void *a, const void *b)
{
    const word *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : strcmp(x->text, y->text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The words in ngrams, each once, sorted: their places are their numbers. */
static cj_status take_tokens(texts *t)
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

/* Keys of the tokens, with numbers r for which no two are equal. */
static cj_status sort_words(texts *t)
{
    const int64_t n = (int64_t)t->tokens.n;
    t->sorted = cj__arena_array(t->k->arena, t->tokens.n, sizeof *t->sorted);
    if (!t->sorted) return CJ_ERR_MEMORY;
    for (int i = 0; i < TRIES; i++) {
        int64_t same = 0;
        t->r[0] = 1000003 + 2 * i, t->r[1] = 998244353 + 2 * i;
        for (int64_t j = 0; j < n; j++) {
            const char *text = t->tokens.at[j];
            const int64_t length = (int64_t)strlen(text);
            if (length > t->longest) t->longest = length;
            t->sorted[j] = (word){text,
                                  polynomial(text, t->r[0], PRIME_1) * ((int64_t)1 << 31) +
                                      polynomial(text, t->r[1], PRIME_2),
                                  j};
        }
        qsort(t->sorted, t->tokens.n, sizeof *t->sorted, by_key);
        for (int64_t j = 1; j < n; j++) {
            if (!strcmp(t->sorted[j].text, t->sorted[j - 1].text))
                return cj__keras_fail(t->k, t->layer, CJ_ERR_DATA,
                                      "'%.60s' is in the vocabulary twice", t->sorted[j].text);
            same += t->sorted[j].key == t->sorted[j - 1].key;
        }
        if (!same) return CJ_OK;
    }
    return cj__keras_fail(t->k, t->layer, CJ_ERR_LIMIT, "a vocabulary whose words have equal keys");
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static cj_node *table(const texts *t, int64_t n, const int64_t *values)
{
    cj_tensor *of = cj_tensor_from(t->k->cj, CJ_I64, 1, &n, values);
    cj_node *y = of ? cj_constant(t->k->g, of) : NULL;
    cj_tensor_free(of);
    return y;
}

static cj_node *whole(const texts *t, int64_t value)
{
    return cj_scalar(t->k->g, CJ_I64, (double)value);
}

/* values[at] of a list. */
static cj_node *look_up(cj_node *values, cj_node *at)
{
    return values && at ? cj_gather(values, at, 0) : NULL;
}

/* The sums of x [batch, T] by segment: [batch, size]. */
static cj_node *by_segment(const texts *t, cj_node *x, cj_node *segment, cj_dim size)
{
    if (!x || !segment) return NULL;
    const cj_dim dims[] = {cj_node_dim(x, 0), size};
    cj_node *zeros = cj_broadcast_to(cj_scalar(t->k->g, cj_node_dtype(x), 0), 2, dims);
    return zeros ? cj_scatter_along(zeros, segment, x, 1, CJ_SCATTER_ADD) : NULL;
}

static bool is_blank(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* c, of which blanks and what is left out are 0; *blank: 1 of blanks that split. */
static cj_node *standardized(const texts *t, cj_node *x, cj_node **blank)
{
    static const char marks[] = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'";
    int64_t byte[256], is[256];
    for (int c = 0; c < 256; c++) {
        is[c] = t->split == 'w' && is_blank(c);
        byte[c] = is[c] || (t->strip && c && strchr(marks, c)) ? 0
                  : t->lower && c >= 'A' && c <= 'Z'           ? c - 'A' + 'a'
                                                               : c;
    }
    *blank = look_up(table(t, 256, is), x);
    return look_up(table(t, 256, byte), x);
}

static cj_node *segments(const texts *t, cj_node *c, cj_node *blank)
{
    if (!c || !blank) return NULL;
    if (t->split == 'w') return cj_cumsum(blank, 1, false, false);
    if (t->split == 'n') return blank; /* zeros */
    cj_node *inner = cj_logical_and(cj_greater_equal(c, whole(t, 0x80)),
                                    cj_less(c, whole(t, 0xc0))); /* of a character in UTF-8 */
    cj_node *begins = cj_logical_and(cj_greater(c, whole(t, 0)),
                                     inner ? cj_logical_not(inner) : NULL);
    cj_node *count = begins ? cj_cumsum(cj_cast(begins, CJ_I64), 1, false, false) : NULL;
    return count ? cj_maximum(cj_shift(count, -1), whole(t, 0)) : NULL;
}

/* Texts taken apart. */
typedef struct parts {
    cj_node *c, *s, *at, *n;
    cj_dim size; /* S */
} parts;

static cj_status take_apart(const texts *t, cj_node *x, parts *p)
{
    cj_node *blank;
    p->c = standardized(t, x, &blank);
    p->s = segments(t, p->c, blank);
    p->size = cj_dim_add(t->k->g, cj_node_dim(x, 1), 1);
    cj_node *is = p->c ? cj_cast(cj_greater(p->c, whole(t, 0)), CJ_I64) : NULL;
    p->n = by_segment(t, is, p->s, p->size);
    cj_node *before = p->n ? cj_cumsum(p->n, 1, true, false) : NULL;
    cj_node *first = before ? cj_gather_along(before, p->s, 1) : NULL;
    p->at = first ? cj_sub(cj_cumsum(is, 1, true, false), first) : NULL;
    return t->k->g->failed;
}

/* One polynomial of each segment's bytes; a byte behind those of the longest word counts for
 * nothing, as such a segment is no word. */
static cj_node *hashed(const texts *t, const parts *p, int64_t r, int64_t prime)
{
    int64_t *power = cj__arena_array(t->k->arena, (size_t)t->longest + 1, sizeof *power);
    if (!power) return NULL;
    power[0] = 1;
    for (int64_t i = 1; i < t->longest; i++) power[i] = power[i - 1] * r % prime;
    power[t->longest] = t->longest ? 0 : 1;
    cj_node *of = look_up(table(t, t->longest + 1, power),
                          cj_minimum(p->at, whole(t, t->longest)));
    cj_node *sum = of ? by_segment(t, cj_mul(p->c, of), p->s, p->size) : NULL;
    return sum ? cj_mod(sum, whole(t, prime)) : NULL;
}

/* Of each word, in the order of keys. */
typedef struct tables {
    cj_node *key, *number, *length, *first, *bytes; /* first: where in bytes it begins */
} tables;

static cj_status make_tables(const texts *t, tables *out)
{
    const int64_t n = (int64_t)t->tokens.n;
    int64_t total = 0, at = 0;
    for (int64_t i = 0; i < n; i++) total += (int64_t)strlen(t->sorted[i].text);
    int64_t *v = cj__arena_array(t->k->arena, (size_t)(4 * n + total + 1), sizeof *v);
    if (!v) return CJ_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        const char *text = t->sorted[i].text;
        v[i] = t->sorted[i].key, v[n + i] = t->sorted[i].number;
        v[2 * n + i] = (int64_t)strlen(text), v[3 * n + i] = at;
        for (; *text; text++) v[4 * n + at++] = (unsigned char)*text;
    }
    v[4 * n + total] = 0;
    *out = (tables){table(t, n, v), table(t, n, v + n), table(t, n, v + 2 * n),
                    table(t, n, v + 3 * n), table(t, total + 1, v + 4 * n)};
    return t->k->g->failed;
}

/* The last of n sorted keys that is not above; the first where all are. */
static cj_node *candidate(const texts *t, cj_node *keys, int64_t n, cj_node *key)
{
    int64_t step = 1;
    while (step < n) step *= 2;
    cj_node *at = key ? cj_mul(key, whole(t, 0)) : NULL;
    for (; step && at; step /= 2) {
        cj_node *next = cj_minimum(cj_shift(at, (double)step), whole(t, n - 1));
        cj_node *there = look_up(keys, next);
        at = there ? cj_where(cj_less_equal(there, key), next, at) : NULL;
    }
    return at;
}

/* The number of the token that each segment is, -1 of one that is none. */
static cj_status numbers(const texts *t, const parts *p, cj_node **y)
{
    tables of;
    CJ__TRY(make_tables(t, &of));
    cj_node *high = hashed(t, p, t->r[0], PRIME_1), *low = hashed(t, p, t->r[1], PRIME_2);
    if (!high || !low) return t->k->g->failed ? t->k->g->failed : CJ_ERR_MEMORY;
    cj_node *key = cj_add(cj_mul(high, whole(t, (int64_t)1 << 31)), low);
    cj_node *found = candidate(t, of.key, (int64_t)t->tokens.n, key),
            *length = look_up(of.length, found);
    if (!length) return t->k->g->failed;
    cj_node *mine = cj_gather_along(found, p->s, 1); /* of each byte's segment */
    cj_node *last = cj_maximum(cj_shift(look_up(of.length, mine), -1), whole(t, 0));
    cj_node *at = cj_add(look_up(of.first, mine), cj_minimum(p->at, last));
    cj_node *expected = look_up(of.bytes, at);
    cj_node *other = cj_logical_and(cj_not_equal(expected, p->c),
                                    cj_greater(p->c, whole(t, 0)));
    cj_node *others = other ? by_segment(t, cj_cast(other, CJ_I64), p->s, p->size) : NULL;
    if (!others) return t->k->g->failed;
    cj_node *same = cj_logical_and(cj_equal(others, whole(t, 0)), cj_equal(length, p->n));
    *y = cj_where(same, look_up(of.number, found), whole(t, -1));
    return t->k->g->failed;
}

/* ---- Results --------------------------------------------------------------------------------- */

/* `what` of segments at the column of each in [batch, size]; at column `size` it is dropped. */
static cj_node *columns(const texts *t, cj_node *column, cj_node *what, cj_dim size)
{
    cj_node *y = by_segment(t, what, column, cj_dim_add(t->k->g, size, 1));
    return y ? cj_slice_axis(y, 1, 0, size) : NULL;
}

/* What was found in texts: at each place, if one is there, the number of a word of the vocabulary,
 * -1 of another; and which of its text it is. */
typedef struct found {
    cj_node *number, *is, *at;
} found;

/* Places of words: 0 behind the last, 1 of what is in no vocabulary. */
static cj_status places(const texts *t, const found *f, int n, cj_dim most, cj_node **y)
{
    cj_graph *g = t->k->g;
    const cj_dim size = t->length ? t->length : t->split == 'n' ? 1 : cj_dim_mul(g, most, n);
    cj_node *end = size > 0 ? whole(t, size) : cj_dim_value(g, size);
    for (int i = 0; i < n; i++) {
        cj_node *place = cj_where(cj_less(f[i].number, whole(t, 0)), whole(t, 1),
                                  cj_shift(f[i].number, 2));
        cj_node *column = cj_where(f[i].is, cj_minimum(f[i].at, end), end);
        cj_node *these = place && column ? columns(t, column, place, size) : NULL;
        *y = i && these ? cj_add(*y, these) : these;
        if (!*y) break;
    }
    return g->failed;
}

/* How often each word is there, or (hot) whether; first what is in no vocabulary. */
static cj_status counts(const texts *t, const found *f, int n, bool hot, cj_node **y)
{
    const int64_t size = (int64_t)t->words.n + 1;
    const cj_dtype dtype = cj__layers_of(t->k->g)->dtype;
    for (int i = 0; i < n; i++) {
        cj_node *column = cj_where(f[i].is, cj_shift(f[i].number, 1), whole(t, size));
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
static size_t grams_of(const texts *t, int width, gram *out)
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
static cj_status by_width(const texts *t, cj_node *codes, cj_dim most, int width, found *f)
{
    const int64_t zero[] = {0, 0}, more[] = {0, width - 1};
    gram *grams = cj__arena_array(t->k->arena, t->words.n, sizeof *grams);
    int64_t *v = cj__arena_array(t->k->arena, 2 * t->words.n + 1, sizeof *v);
    cj_node *key = NULL, *known = NULL, *padded = cj_pad(codes, zero, more, 0);
    if (!grams || !v) return CJ_ERR_MEMORY;
    for (int j = 0; j < width && padded; j++) {
        cj_node *code = cj_slice_axis(padded, 1, j, most);
        cj_node *is = cj_greater(code, whole(t, 1)),
                *digit = cj_maximum(cj_shift(code, -2), whole(t, 0));
        key = key ? cj_add(cj_mul(key, whole(t, (int64_t)t->tokens.n)), digit) : digit;
        known = known ? cj_logical_and(known, is) : is;
        f->is = cj_greater(code, whole(t, 0));
    }
    if (!key || !known || !f->is) return t->k->g->failed;
    const int64_t n = (int64_t)grams_of(t, width, grams);
    for (int64_t i = 0; i < n; i++) v[i] = grams[i].key, v[n + i] = grams[i].number;
    if (!n) f->number = cj_where(known, whole(t, -1), whole(t, -1));
    else {
        cj_node *keys = table(t, n, v), *at = candidate(t, keys, n, key);
        cj_node *there = look_up(keys, at), *number = look_up(table(t, n, v + n), at);
        if (!there || !number) return t->k->g->failed;
        f->number = cj_where(cj_logical_and(known, cj_equal(there, key)), number, whole(t, -1));
    }
    return t->k->g->failed;
}

/* Of each width what there is, one width's behind the other's. */
static cj_status several(const texts *t, const found *one, cj_dim most, found *f)
{
    const int64_t last = 1;
    cj_graph *g = t->k->g;
    double keys = 1;
    cj_node *end = most > 0 ? whole(t, most) : cj_dim_value(g, most), *before = NULL;
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
    texts t = {.k = k, .layer = layer};
    const char *mode = cj__keras_string(layer->config, "output_mode");
    found one = {.number = NULL}, all[WIDTHS] = {{NULL}};
    cj_node *in = x[0];
    parts p;
    const int rank = cj_node_rank(in);
    CJ__TRY(take(&t));
    if (n != 1 || cj_node_dtype(in) != CJ_U8 || rank < 2 || rank > 3 ||
        (rank == 3 && cj_node_dim(in, 1) != 1))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "an input that is not of one text a sample, or no input of the "
                              "model");
    CJ__TRY(cj__keras_read_words(k, layer, t.places ? "" : NULL, "[UNK]", 1, &t.words));
    CJ__TRY(take_tokens(&t));
    CJ__TRY(sort_words(&t));
    if (rank == 3) in = cj_squeeze(in, 1);
    if (!in || !(in = cj_cast(in, CJ_I64))) return k->g->failed;
    CJ__TRY(take_apart(&t, in, &p));
    CJ__TRY(numbers(&t, &p, &one.number));
    one.is = cj_greater(p.n, whole(&t, 0));
    one.at = one.is ? cj_cumsum(cj_cast(one.is, CJ_I64), 1, true, false) : NULL;
    if (!one.number || !one.at) return k->g->failed;
    const cj_dim most = t.split == 'w' ? cj_dim_div(k->g, p.size, 2)
                                       : cj_dim_sub(k->g, p.size, 1);
    if (t.n_widths) CJ__TRY(several(&t, &one, most, all));
    const found *f = t.n_widths ? all : &one;
    const int n_found = t.n_widths ? t.n_widths : 1;
    call->n_out = 1;
    return t.places ? places(&t, f, n_found, most, &call->out[0])
                    : counts(&t, f, n_found, mode && cj__keras_is_word("multi_hot binary", mode),
                             &call->out[0]);
}
