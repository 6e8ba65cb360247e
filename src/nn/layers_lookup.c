/* layers_lookup.c: categories become small whole numbers: by a vocabulary, or by a hash. Nothing
 * here is learned, and no gradient passes.
 *
 * A text is a row of bytes with zeros behind it, as numpy's dtype S5 has it: x [batch, ..., width]
 * of any dtype, the bytes along its last axis. (.npy files of such texts load as that.) Of the
 * dtype string x [batch, ...] can only be compared, so there is no hash of it.
 *
 * A vocabulary's places are Keras's:
 *
 *     int           [mask] [out of vocabulary ...] [vocabulary ...]
 *     other modes          [out of vocabulary ...] [vocabulary ...]     the mask is left out
 *
 * The hash of bytes b (numbers: of their four 16 bit parts) is a polynomial modulo a prime (Carter
 * and Wegman 1979), which zeros behind a text do not change:
 *
 *     h = (b[0] k + b[1] k^2 + b[2] k^3 + ...) mod p,     p = 2^31 - 1
 *     k = 2 + floor(((salt + 1) 0x9e3779b97f4a7c15 mod 2^64) / 2^33) mod (p - 2)
 *
 * Keras takes FarmHash64 or SipHash of a number's decimal text, which needs exclusive or, and that
 * ONNX has not: bins are others than Keras's. */
#include "nn/preprocess.h"

#include <cajal/layers.h>

#include <stdlib.h>
#include <string.h>

enum { PRIME = 2147483647, PARTS = 4, PART = 65536 };

/* ---- Texts and hashes ------------------------------------------------------------------------ */

/* x [batch, ..., width] of bytes as i64; NULL with a failed graph. */
static cj_node *bytes_of(cj_layer_build *b, cj_node *x, int64_t *width)
{
    *width = cj_node_rank(x) < 2 ? -1 : cj_node_dim(x, -1);
    if (*width < 1)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d; texts [batch, ..., width] with a known "
                              "width of bytes are expected",
                              cj_node_rank(x)),
               NULL;
    return cj_cast(x, CJ_I64);
}

/* The 16 bit parts of whole numbers, the lowest first, along a new last axis. */
static cj_node *parts_of(cj_layer_build *b, cj_node *x)
{
    cj_node *part[PARTS], *rest = cj_cast(x, CJ_I64),
                          *base = cj_scalar(b->graph, CJ_I64, PART);
    for (int i = 0; i < PARTS; i++) {
        cj_node *low = cj_mod(rest, base); /* 0 or more: the rest divides without one */
        part[i] = cj_expand_dims(low, -1);
        rest = cj_div(cj_sub(rest, low), base);
        if (!part[i]) return NULL;
    }
    return cj_concat(part, PARTS, -1);
}

/* Of the numbers along the last axis, n of them: modulo `bins`. */
static cj_node *hash(cj_layer_build *b, cj_node *x, int64_t n, uint64_t salt, int64_t bins)
{
    int64_t *power = cj__arena_array(&b->graph->arena, (size_t)n, sizeof *power);
    if (!power || !x)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    const uint64_t k = 2 + ((salt + 1) * 0x9e3779b97f4a7c15u >> 33) % (PRIME - 2);
    uint64_t now = 1;
    for (int64_t i = 0; i < n; i++) power[i] = (int64_t)(now = now * k % PRIME);
    cj_node *weighted = cj_mul(x, cj__layer_constant(b, CJ_I64, 1, &n, power));
    cj_node *h = cj_mod(cj_reduce_sum(weighted, 1, (const int64_t[]){-1}, false),
                        cj_scalar(b->graph, CJ_I64, PRIME));
    return cj_mod(h, cj_scalar(b->graph, CJ_I64, (double)bins));
}

typedef struct words {
    const char **at;
    int64_t n;
} words;

/* Which of the words the texts x [..., width] are: i64 [..., n] of 0 and 1. A word that is longer
 * is none: its row of bytes begins with what is no byte. */
static cj_node *which(cj_layer_build *b, cj_node *x, int64_t width, const words *w)
{
    int64_t count;
    int64_t *row = CJ__MUL_OVERFLOWS(w->n, width, &count)
                       ? NULL
                       : cj__arena_array(&b->graph->arena, (size_t)count, sizeof *row);
    if (!row) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    for (int64_t i = 0; i < w->n; i++) {
        const int64_t length = (int64_t)strlen(w->at[i]);
        for (int64_t k = 0; k < length && k < width; k++)
            row[i * width + k] = (unsigned char)w->at[i][k];
        if (length > width) row[i * width] = -1;
    }
    cj_node *rows = cj__layer_constant(b, CJ_I64, 2, (int64_t[]){w->n, width}, row);
    cj_node *other = cj_cast(cj_not_equal(cj_expand_dims(x, -2), rows), CJ_I64);
    cj_node *differences = cj_reduce_sum(other, 1, (const int64_t[]){-1}, false);
    return cj_cast(cj_equal(differences, cj_scalar(b->graph, CJ_I64, 0)), CJ_I64);
}

/* Is x this text? bool [...] */
static cj_node *is_text(cj_layer_build *b, cj_node *x, int64_t width, const char *text)
{
    return cj_cast(cj_squeeze(which(b, x, width, &(words){&text, 1}), -1), CJ_BOOL);
}

/* ---- Places in a vocabulary ------------------------------------------------------------------ */

typedef struct lookup {
    cj_node *same;   /* [..., n]: which word it is, i64 of 0 and 1 */
    cj_node *masked; /* bool [...]; NULL: there is no mask */
    cj_node *other;  /* i64 [...]: a place from 0 among those out of the vocabulary; NULL: one */
    int64_t n, out;  /* words; places out of the vocabulary */
    int mode;
} lookup;

/* How many places there are for what is in no vocabulary: -1 says 0, because in C 0 is the default
 * of 1. */
static int64_t places_out(int64_t num_oov_indices)
{
    return num_oov_indices < 0 ? 0 : num_oov_indices;
}

static cj_node *place_of(cj_layer_build *b, const lookup *l)
{
    cj_graph *g = b->graph;
    const bool numbers = l->mode == CJ__ENCODE_INT;
    const int64_t first = numbers && l->masked;
    cj_node *places = cj_shift(cj_iota(g, CJ_I64, 0, 1, &l->n), (double)(first + l->out));
    const int64_t last = -1;
    cj_node *known = cj_reduce_sum(l->same, 1, &last, false),
            *place = cj_reduce_sum(cj_mul(l->same, places), 1, &last, false);
    cj_node *out = !l->out     ? cj_scalar(g, CJ_I64, -1)
                   : !l->other ? cj_scalar(g, CJ_I64, (double)first)
                               : cj_shift(l->other, (double)first);
    place = cj_where(cj_greater(known, cj_scalar(g, CJ_I64, 0)), place, out);
    if (l->masked) place = cj_where(l->masked, cj_scalar(g, CJ_I64, numbers ? 0 : -1), place);
    return cj__encode(b, place, l->out + l->n, l->mode);
}

/* ---- integer_lookup -------------------------------------------------------------------------- */

#define OUT_OPTIONS(type)                                                                          \
    CJ_OPTION_INT(type, num_oov_indices, 1, -1, 0x1p30,                                            \
                  "places for what is not in the vocabulary, by its remainder or hash; -1: none, " \
                  "it is -1"),                                                                     \
        CJ_OPTION_CHOICE(type, output_mode, "int", cj__encode_words,                               \
                         "places; or zeros and ones, or counts")

static const cj_option integer_lookup_options[] = {
    CJ_OPTION_INTS(cj_integer_lookup_opts, vocabulary, -9007199254740992.0, 9007199254740992.0,
                   "numbers that are known"),
    OUT_OPTIONS(cj_integer_lookup_opts),
    CJ_OPTION_INTS(cj_integer_lookup_opts, mask_token, -9007199254740992.0, 9007199254740992.0,
                   "a number that is place 0, or left out; without it none"),
    CJ_OPTION_BOOL(cj_integer_lookup_opts, invert, false,
                   "numbers of places instead, -1 of those out of the vocabulary"),
    CJ_OPTION_STRING(cj_integer_lookup_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool check_numbers(cj_layer_build *b, const cj_integer_lookup_opts *o)
{
    const cj_ints *list = &o->vocabulary;
    if (!list->n) {
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "a vocabulary is required");
        return false;
    }
    if (o->mask_token.n > 1) {
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                       "mask_token has %d numbers, expected one", o->mask_token.n);
        return false;
    }
    const int n = list->n + (o->mask_token.n == 1);
    int64_t *sorted = cj__arena_array(&b->graph->arena, (size_t)n, sizeof *sorted);
    if (!sorted) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), false;
    memcpy(sorted, list->v, (size_t)list->n * sizeof *sorted);
    if (n > list->n) sorted[n - 1] = o->mask_token.v[0];
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int i = 1; i < n; i++)
        if (sorted[i] == sorted[i - 1]) {
            cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "%lld is in the vocabulary twice",
                           (long long)sorted[i]);
            return false;
        }
    return true;
}

/* The other way: [mask] [-1 ...] [vocabulary ...] at place x; -1 of what is no place. */
static cj_node *number_at(cj_layer_build *b, const cj_integer_lookup_opts *o)
{
    cj_graph *g = b->graph;
    const int64_t first = o->mask_token.n, out = places_out(o->num_oov_indices),
                  n = first + out + o->vocabulary.n;
    int64_t *table = cj__arena_array(&g->arena, (size_t)n, sizeof *table);
    if (!table) return cj__graph_fail(g, b->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    if (cj__encode_mode(o->output_mode) != CJ__ENCODE_INT)
        return cj__graph_fail(g, b->name, CJ_ERR_ARGUMENT, "invert gives numbers: output_mode=int "
                                                           "is expected, not %s",
                              o->output_mode),
               NULL;
    for (int64_t i = 0; i < n; i++)
        table[i] = i < first         ? o->mask_token.v[0]
                   : i < first + out ? -1
                                     : o->vocabulary.v[i - first - out];
    cj_node *x = cj_cast(b->x[0], CJ_I64), *zero = cj_scalar(g, CJ_I64, 0);
    cj_node *is_place = cj_logical_and(cj_greater_equal(x, zero),
                                       cj_less(x, cj_scalar(g, CJ_I64, (double)n)));
    cj_node *found = cj_gather(cj__layer_constant(b, CJ_I64, 1, &n, table),
                               cj_where(is_place, x, zero), 0);
    return cj_where(is_place, found, cj_scalar(g, CJ_I64, -1));
}

static cj_node *integer_lookup_build(cj_layer_build *b)
{
    const cj_integer_lookup_opts *o = b->options;
    cj_graph *g = b->graph;
    lookup l = {.n = o->vocabulary.n,
                .out = places_out(o->num_oov_indices),
                .mode = cj__encode_mode(o->output_mode)};
    if (!check_numbers(b, o)) return NULL;
    if (o->invert) return number_at(b, o);
    cj_node *x = cj_cast(b->x[0], CJ_I64),
            *known = cj__layer_constant(b, CJ_I64, 1, &l.n, o->vocabulary.v);
    l.same = cj_cast(cj_equal(cj_expand_dims(x, -1), known), CJ_I64);
    if (l.out > 1) l.other = cj_mod(x, cj_scalar(g, CJ_I64, (double)l.out));
    if (o->mask_token.n) l.masked = cj_equal(x, cj_scalar(g, CJ_I64, (double)o->mask_token.v[0]));
    return place_of(b, &l);
}

/* ---- string_lookup --------------------------------------------------------------------------- */

static const cj_option string_lookup_options[] = {
    CJ_OPTION_STRING(cj_string_lookup_opts, vocabulary, NULL,
                     "texts that are known: \"red, green, 'dark, blue'\""),
    OUT_OPTIONS(cj_string_lookup_opts),
    CJ_OPTION_STRING(cj_string_lookup_opts, mask_token, NULL,
                     "a text that is place 0, or left out; without it none"),
    CJ_OPTION_STRING(cj_string_lookup_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* The next item of a list, without blanks around it and without its quotes. */
static bool next_word(cj_layer_build *b, const char **p, const char **word)
{
    const char *why, *from = *p + strspn(*p, " \n\t"), *end = cj__option_item_end(from, &why);
    if (!end) {
        cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "vocabulary='%.100s': %s", from, why);
        return false;
    }
    *p = *end ? end + 1 : end;
    while (end > from && strchr(" \n\t", end[-1])) end--;
    char *to = cj__arena_alloc(&b->graph->arena, (size_t)(end - from) + 1);
    if (!to) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), false;
    *word = to;
    const char quote = end - from > 1 && strchr("\"'", *from) && end[-1] == *from ? *from : 0;
    for (from += quote != 0, end -= quote != 0; from < end; from++) {
        if (quote && *from == '\\' && from + 1 < end) from++;
        *to++ = *from;
    }
    return true;
}

static bool no_twice(cj_layer_build *b, const words *w, const char *mask, int64_t most)
{
    const char **sorted = cj__arena_array(&b->graph->arena, (size_t)most, sizeof *sorted);
    int64_t n = w->n;
    if (!sorted) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), false;
    memcpy(sorted, w->at, (size_t)n * sizeof *sorted);
    if (mask) sorted[n++] = mask;
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    for (int64_t i = 1; i < n; i++)
        if (!strcmp(sorted[i], sorted[i - 1])) {
            cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "'%.60s' is in the vocabulary twice",
                           sorted[i]);
            return false;
        }
    return true;
}

static bool take_words(cj_layer_build *b, const char *list, const char *mask, words *out)
{
    int64_t most = 2;
    for (const char *p = list; p && *p; p++) most += *p == ',';
    *out = (words){.at = cj__arena_array(&b->graph->arena, (size_t)most, sizeof *out->at)};
    if (!out->at) return cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory"), false;
    for (const char *p = list; p && *p;) {
        const char *word;
        if (!next_word(b, &p, &word)) return false;
        out->at[out->n++] = word;
    }
    if (out->n) return no_twice(b, out, mask, most);
    cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "a vocabulary is required");
    return false;
}

static cj_node *texts(cj_layer_build *b, int rank, const char *const *at, int64_t n)
{
    cj_tensor *t = cj_tensor_from_strings(b->graph->cj, rank, &n, at);
    cj_node *y = t ? cj_constant(b->graph, t) : NULL;
    if (!t) cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory");
    cj_tensor_free(t);
    return y;
}

/* Of texts that are no bytes. */
static cj_node *string_places(cj_layer_build *b, lookup *l, const words *w)
{
    const cj_string_lookup_opts *o = b->options;
    cj_node *x = b->x[0];
    if (l->out > 1)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_UNSUPPORTED,
                              "num_oov_indices=%lld needs the bytes of texts, which the dtype "
                              "string has not",
                              (long long)l->out),
               NULL;
    l->same = cj_cast(cj_equal(cj_expand_dims(x, -1), texts(b, 1, w->at, w->n)), CJ_I64);
    if (o->mask_token) l->masked = cj_equal(x, texts(b, 0, &o->mask_token, 1));
    return place_of(b, l);
}

static cj_node *string_lookup_build(cj_layer_build *b)
{
    const cj_string_lookup_opts *o = b->options;
    lookup l = {.out = places_out(o->num_oov_indices), .mode = cj__encode_mode(o->output_mode)};
    words w;
    int64_t width;
    if (!take_words(b, o->vocabulary, o->mask_token, &w)) return NULL;
    l.n = w.n;
    if (cj_node_dtype(b->x[0]) == CJ_STRING) return string_places(b, &l, &w);
    cj_node *x = bytes_of(b, b->x[0], &width);
    if (!x) return NULL;
    l.same = which(b, x, width, &w);
    if (l.out > 1) l.other = hash(b, x, width, 0, l.out);
    if (o->mask_token) l.masked = is_text(b, x, width, o->mask_token);
    return place_of(b, &l);
}

/* ---- hashing --------------------------------------------------------------------------------- */

static const cj_option hashing_options[] = {
    CJ_OPTION_INT(cj_hashing_opts, num_bins, 0, 1, PRIME, "how many bins"),
    CJ_OPTION_INT(cj_hashing_opts, salt, 0, 0, 0x1p53, "another number, other bins"),
    CJ_OPTION_STRING(cj_hashing_opts, mask_value, NULL,
                     "a text, or a number, that bin 0 is for alone; without it none"),
    CJ_OPTION_CHOICE(cj_hashing_opts, output_mode, "int", cj__encode_words,
                     "bins; or zeros and ones, or counts"),
    CJ_OPTION_BOOL(cj_hashing_opts, text, false,
                   "the last axis are the bytes of a text, as it is for u8; else x are numbers"),
    CJ_OPTION_STRING(cj_hashing_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *masked_by(cj_layer_build *b, cj_node *x, int64_t width, const char *value)
{
    int64_t number;
    if (width) return is_text(b, x, width, value);
    if (!cj__parse_int64(value, strlen(value), &number))
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "mask_value='%.40s' is not a whole number, as the input's are",
                              value),
               NULL;
    return cj_equal(cj_cast(x, CJ_I64),
                    cj__layer_constant(b, CJ_I64, 0, NULL, &number));
}

static cj_node *hashing_build(cj_layer_build *b)
{
    const cj_hashing_opts *o = b->options;
    cj_graph *g = b->graph;
    cj_node *x = b->x[0];
    int64_t width = 0;
    if ((o->text || cj_node_dtype(x) == CJ_U8) && !(x = bytes_of(b, x, &width))) return NULL;
    const int64_t first = o->mask_value && o->num_bins > 1;
    cj_node *bin = hash(b, width ? x : parts_of(b, x), width ? width : PARTS, (uint64_t)o->salt,
                        o->num_bins - first);
    if (first) {
        cj_node *masked = masked_by(b, x, width, o->mask_value);
        bin = cj_where(masked, cj_scalar(g, CJ_I64, 0), cj_shift(bin, 1));
    }
    return cj__encode(b, bin, o->num_bins, cj__encode_mode(o->output_mode));
}

CJ__LAYER_OF_NUMBERS(integer_lookup,
                     "the place of x in the vocabulary, behind those for what is "
                     "not in it: from 1, and 0",
                     integer_lookup_build,
                     "vocabulary=[10, 20, 40], num_oov_indices=2, output_mode=count : 4",
                     CJ_MASK_STOPS)
CJ__LAYER_OF_NUMBERS(string_lookup,
                     "the place of texts [..., width of bytes] in the vocabulary, behind those "
                     "for what is not in it: from 1, and 0",
                     string_lookup_build,
                     "vocabulary=\"red, green\", num_oov_indices=3, mask_token=\"\" : 3, 5",
                     CJ_MASK_STOPS)
CJ__LAYER_OF_NUMBERS(hashing,
                     "one of num_bins for each number or text, by a polynomial of its parts "
                     "modulo 2^31 - 1 (Carter and Wegman 1979)",
                     hashing_build, "num_bins=7, salt=3, mask_value=0 : 4", CJ_MASK_STOPS)
