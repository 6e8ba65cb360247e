/* text.c: what computes with texts.
 *
 * A graph only moves texts and asks whether they are equal. What makes new ones of them is done
 * while the file is read, as shapes are: for texts that the file holds or that are given with it
 * (`cajal run`). So these operators leave constants behind.
 *
 * Letters change their case where both cases have as many bytes: in Latin (to U+017F), Greek and
 * Cyrillic. Others stay as they are; a locale is not asked for. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "base/strings.h"
#include "format/onnx/import.h"
#include "format/onnx/regex.h"
#include "format/onnx/tensor.h"
#include "graph/ops/map.h"
#include "tensor/print.h"
#include "tensor/tensor.h"

/* ---- In and out ------------------------------------------------------------------------------ */

/* The tensor of operand i; a failure that says what is wanted when there is no value. */
static const cj_tensor *value_in(cj__onnx_reader *r, size_t i)
{
    const cj_tensor *t = cj__onnx_tensor_in(r, i);
    if (!t)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                      "texts are computed with only where they are known: in the file, or given "
                      "with it as cajal run does");
    return t;
}

static const cj_tensor *texts_in(cj__onnx_reader *r, size_t i)
{
    const cj_tensor *t = value_in(r, i);
    if (!t || t->dtype == CJ_STRING) return t;
    cj__onnx_fail(r, CJ_ERR_TYPE, "operand %zu is of %s, expected texts", i,
                  cj_dtype_info(t->dtype)->name);
    return NULL;
}

/* An empty tensor for a result, and its elements; NULL with a failure. */
static cj_tensor *new_tensor(cj__onnx_reader *r, cj_dtype dtype, int rank, const int64_t *shape)
{
    cj_tensor *t = cj_tensor_new(r->cj, dtype, rank, shape);
    if (!t) cj__onnx_fail(r, cj_last_status(r->cj), "%s", cj_message(r->cj));
    return t && cj__onnx_keep(r, t) ? t : NULL;
}

static bool put(cj__onnx_reader *r, cj_tensor *t, int64_t i, const char *text, size_t size)
{
    uint64_t *to = cj__tensor_data(t);
    if (cj__string_number(r->cj, text, size, &to[i]))
        cj__onnx_fail(r, cj_last_status(r->cj), "%s", cj_message(r->cj));
    return !r->failed;
}

static void give(cj__onnx_reader *r, size_t k, cj_tensor *t)
{
    if (t && !r->failed && cj__onnx_wants(r, k))
        cj__onnx_set_source(r, k, &(cj__onnx_source){.tensor = t});
}

cj_tensor *cj__onnx_strings(cj__onnx_reader *r, int rank, size_t n, const cj__slice *texts)
{
    int64_t count = (int64_t)n;
    cj_tensor *t = new_tensor(r, CJ_STRING, rank, &count);
    for (size_t i = 0; t && i < n; i++)
        if (!put(r, t, (int64_t)i, texts[i].at, texts[i].size)) return NULL;
    return t;
}

/* ---- Cast ------------------------------------------------------------------------------------ */

static bool same_word(const char *text, const char *word)
{
    for (; *text && *word; text++, word++) {
        const char c = *text >= 'a' && *text <= 'z' ? (char)(*text - 32) : *text;
        if (c != *word) return false;
    }
    return *text == *word;
}

/* "3.14", "1e-5", "1000", "NaN", "+INF"; a fraction is dropped where a whole number is wanted. */
static bool parse(const char *text, cj_dtype to, void *array, size_t i)
{
    double value;
    int64_t whole;
    const size_t size = strlen(text);
    const bool minus = *text == '-';
    if (!cj__is_float(to) && cj__parse_int64(text, size, &whole)) {
        cj_store_i64(to, array, i, whole);
        return true;
    }
    if (same_word(text, "NAN")) value = (double)NAN;
    else if (same_word(text + (minus || *text == '+'), "INF")) value = minus ? -INFINITY : INFINITY;
    else if (!cj__parse_double(text + (*text == '+'), size - (*text == '+'), &value)) return false;
    cj_store_f64(to, array, i, value);
    return true;
}

void cj__onnx_cast_text(cj__onnx_reader *r, cj_dtype to)
{
    const cj_tensor *x = value_in(r, 0);
    cj_tensor *y = x ? new_tensor(r, to, x->rank, x->shape) : NULL;
    for (int64_t i = 0; y && i < x->count && !r->failed; i++) {
        const char *text = cj_tensor_string(x, i);
        char number[CJ__ELEMENT_TEXT];
        if (to == CJ_STRING && x->dtype == CJ_STRING) {
            put(r, y, i, text, strlen(text));
        } else if (to == CJ_STRING) {
            cj__element_text(x, i, number);
            put(r, y, i, number, strlen(number));
        } else if (!parse(text, to, cj__tensor_data(y), (size_t)i)) {
            cj__onnx_fail(r, CJ_ERR_DATA, "text %lld is '%.60s', expected a number", (long long)i,
                          text);
        }
    }
    give(r, 0, y);
}

/* ---- StringNormalizer ------------------------------------------------------------------------ */

/* The other case of a character of one or two bytes, itself when it has none. */
static unsigned change(unsigned c, bool up)
{
    static const struct {
        unsigned first, last, step; /* capitals, and what must be added; 1: pairs of neighbours */
    } ranges[] = {{'A', 'Z', 32},         {0xc0, 0xd6, 32},       {0xd8, 0xde, 32},
                  {0x100, 0x12f, 1},      {0x132, 0x137, 1},      {0x139, 0x148, 1},
                  {0x14a, 0x177, 1},      {0x179, 0x17e, 1},      {0x391, 0x3a1, 32},
                  {0x3a3, 0x3a9, 32},     {0x400, 0x40f, 80},     {0x410, 0x42f, 32}};
    if (c == 0x3c2 && up) return 0x3a3; /* the sigma that ends words */
    for (size_t i = 0; i < CJ__COUNT(ranges); i++) {
        const unsigned first = ranges[i].first, last = ranges[i].last, step = ranges[i].step;
        if (step == 1 && c >= first && c <= last) {
            const bool capital = (c - first) % 2 == 0;
            return capital == up ? c : up ? c - 1 : c + 1;
        }
        if (step > 1 && !up && c >= first && c <= last) return c + step;
        if (step > 1 && up && c >= first + step && c <= last + step) return c - step;
    }
    return c;
}

static void change_case(char *text, bool up)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x80) {
            *c = (unsigned char)change(*c, up);
        } else if (*c >= 0xc2 && *c < 0xe0 && (c[1] & 0xc0) == 0x80) {
            const unsigned other = change((*c & 31u) << 6 | (c[1] & 63u), up);
            *c++ = (unsigned char)(0xc0 | other >> 6);
            *c = (unsigned char)(0x80 | (other & 63));
        }
    }
}

/* A copy in the reader's arena: 'l' and 'u' change the case, 0 does not. */
static char *copy_text(cj__onnx_reader *r, const char *text, size_t size, char action)
{
    char *copy = cj__arena_array(r->arena, size + 1, 1);
    if (!copy) return cj__onnx_no_memory(r), NULL;
    if (size) memcpy(copy, text, size);
    if (action) change_case(copy, action == 'u');
    return copy;
}

static bool is_stop_word(const char *text, char *const *stops, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(text, stops[i])) return true;
    return false;
}

static void read_normalizer(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char word[32];
    const cj_tensor *x = texts_in(r, 0);
    const cj__onnx_attribute *a = cj__onnx_find_attribute(r->node, "stopwords");
    const size_t n_stops = a && a->type == CJ__ONNX_ATTR_STRINGS ? a->as.strings.count : 0;
    const char fold = cj__onnx_get_int(r, "is_case_sensitive", 0) ? 0 : 'l';
    (void)row;
    if (!x || !cj__onnx_get_word(r, "case_change_action", "NONE", word)) return;
    const char action = !strcmp(word, "LOWER") ? 'l' : !strcmp(word, "UPPER") ? 'u' : 0;
    const int last = x->rank - 1;
    if ((!action && strcmp(word, "NONE")) || last < 0 || last > 1 || (last && x->shape[0] != 1)) {
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "case_change_action '%s' and texts of rank %d, expected LOWER, UPPER or "
                      "NONE, and shape [C] or [1, C]",
                      word, x->rank);
        return;
    }
    char **stops = cj__arena_array(r->arena, n_stops + 1, sizeof *stops);
    const char **kept = cj__arena_array(r->arena, (size_t)x->count + 1, sizeof *kept);
    if (!stops || !kept) cj__onnx_no_memory(r);
    for (size_t i = 0; i < n_stops && !r->failed; i++)
        stops[i] = copy_text(r, a->as.strings.items[i].at, a->as.strings.items[i].size, fold);
    int64_t n = 0, shape[2] = {1, 1};
    for (int64_t i = 0; i < x->count && !r->failed; i++) {
        const char *text = cj_tensor_string(x, i);
        const char *compared = copy_text(r, text, strlen(text), fold);
        if (compared && !is_stop_word(compared, stops, n_stops))
            kept[n++] = copy_text(r, text, strlen(text), action);
    }
    shape[last] = n ? n : 1; /* of nothing, one empty text is left */
    cj_tensor *y = r->failed ? NULL : new_tensor(r, CJ_STRING, x->rank, shape);
    for (int64_t i = 0; y && i < n; i++) put(r, y, i, kept[i], strlen(kept[i]));
    give(r, 0, y);
}

/* ---- StringConcat, StringSplit --------------------------------------------------------------- */

/* Element i of `shape` (of that rank) as an element of t, which is broadcast to it. */
static int64_t place(const cj_tensor *t, int rank, const int64_t *shape, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int axis = rank - 1, own = t->rank - 1; axis >= 0; axis--, own--) {
        if (own >= 0 && t->shape[own] > 1) at += i % shape[axis] * step;
        if (own >= 0) step *= t->shape[own];
        i /= shape[axis];
    }
    return at;
}

static bool meet(cj__onnx_reader *r, const cj_tensor *a, const cj_tensor *b, int64_t *shape)
{
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < rank; i++) {
        const int ia = i - rank + a->rank, ib = i - rank + b->rank;
        const int64_t na = ia < 0 ? 1 : a->shape[ia], nb = ib < 0 ? 1 : b->shape[ib];
        shape[i] = na == 1 ? nb : na;
        if (na == 1 || nb == 1 || na == nb) continue;
        cj__onnx_fail(r, CJ_ERR_SHAPE, "axis %d has %lld and %lld texts", i, (long long)na,
                      (long long)nb);
        return false;
    }
    return true;
}

static void read_concat_texts(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj_tensor *a = texts_in(r, 0), *b = a ? texts_in(r, 1) : NULL;
    int64_t shape[CJ_RANK_MAX];
    (void)row;
    if (!b || !meet(r, a, b, shape)) return;
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    cj_tensor *y = new_tensor(r, CJ_STRING, rank, shape);
    for (int64_t i = 0; y && i < y->count && !r->failed; i++) {
        const char *first = cj_tensor_string(a, place(a, rank, shape, i)),
                   *second = cj_tensor_string(b, place(b, rank, shape, i));
        const size_t n = strlen(first), m = strlen(second);
        char *both = cj__alloc(r->cj, n + m + 1);
        if (!both) {
            cj__onnx_no_memory(r);
            return;
        }
        memcpy(both, first, n);
        memcpy(both + n, second, m);
        put(r, y, i, both, n + m);
        cj__free(r->cj, both, n + m + 1);
    }
    give(r, 0, y);
}

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Takes the next piece off *at, as Python's split() does: the rest when `last`. */
static bool next_piece(const char **at, const char *delimiter, bool last, cj__slice *piece)
{
    const char *begin = *at, *end;
    if (!begin) return false;
    if (!*delimiter) {
        while (blank(*begin)) begin++;
        if (!*begin) return false;
        for (end = begin; *end && (last || !blank(*end)); end++) {}
        *at = end;
    } else {
        end = last ? NULL : strstr(begin, delimiter);
        *at = end ? end + strlen(delimiter) : NULL;
        if (!end) end = begin + strlen(begin);
    }
    *piece = (cj__slice){begin, (size_t)(end - begin)};
    return true;
}

static void read_split(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj_tensor *x = texts_in(r, 0);
    const int64_t most = cj__onnx_get_int(r, "maxsplit", INT64_MAX);
    const char *delimiter = "";
    int64_t shape[CJ_RANK_MAX + 1], longest = 0;
    (void)row;
    if (cj__onnx_has_attribute(r, "delimiter")) delimiter = cj__onnx_get_text(r, "delimiter");
    if (!x || !delimiter) return;
    if (x->rank == CJ_RANK_MAX) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "texts of %d axes", CJ_RANK_MAX);
        return;
    }
    cj_tensor *z = new_tensor(r, CJ_I64, x->rank, x->shape), *y = NULL;
    int64_t *counts = z ? cj__tensor_data(z) : NULL;
    for (int pass = 0; z && pass < 2; pass++) { /* count, then take */
        for (int64_t i = 0; i < x->count && !r->failed; i++) {
            const char *at = cj_tensor_string(x, i);
            int64_t n = 0;
            for (cj__slice piece; next_piece(&at, delimiter, most >= 0 && n >= most, &piece); n++)
                if (y && !put(r, y, i * longest + n, piece.at, piece.size)) break;
            counts[i] = n;
            longest = n > longest ? n : longest;
        }
        if (pass) break;
        memcpy(shape, x->shape, sizeof x->shape);
        shape[x->rank] = longest;
        if (!(y = new_tensor(r, CJ_STRING, x->rank + 1, shape))) return;
    }
    give(r, 0, y);
    give(r, 1, z);
}

static void read_match(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj_tensor *x = texts_in(r, 0);
    const char *pattern = x ? cj__onnx_get_text(r, "pattern") : NULL;
    const cj__regex *regex;
    (void)row;
    if (!pattern) return;
    cj_status failed = cj__regex_compile(r->arena, pattern, &regex);
    cj_tensor *y = failed ? NULL : new_tensor(r, CJ_BOOL, x->rank, x->shape);
    bool *to = y ? cj__tensor_data(y) : NULL;
    for (int64_t i = 0; y && i < x->count && !failed; i++)
        failed = cj__regex_matches(r->cj, regex, cj_tensor_string(x, i), &to[i]);
    if (failed) cj__onnx_fail(r, failed, "%s", cj_message(r->cj));
    give(r, 0, y);
}

/* ---- TfIdfVectorizer ------------------------------------------------------------------------- */

typedef struct grams {
    const int64_t *pool;                    /* texts by their numbers */
    int64_t n_pool, *counts, *indexes;      /* where each length begins; places in the result */
    int64_t n_counts, n_indexes;
    float *weights;                         /* NULL: ones */
    int64_t shortest, longest, skips;
} grams;

static int64_t *ints(cj__onnx_reader *r, const char *name, int64_t *n)
{
    const cj__onnx_attribute *a = cj__onnx_find_attribute(r->node, name);
    *n = a && a->type == CJ__ONNX_ATTR_INTS ? (int64_t)a->as.ints.count : 0;
    return *n ? a->as.ints.items : NULL;
}

/* Which n-gram of the pool the items at `at`, `step` apart, are; -1 for none. */
static int64_t find_gram(const grams *g, int64_t n, const int64_t *at, int64_t step)
{
    int64_t number = 0;
    for (int64_t length = 1; length <= n && length <= g->n_counts; length++) {
        const int64_t begin = g->counts[length - 1],
                      end = length < g->n_counts ? g->counts[length] : g->n_pool;
        for (int64_t k = begin; k + length <= end; k += length, number++) {
            int64_t same = 0;
            while (length == n && same < n && g->pool[k + same] == at[same * step]) same++;
            if (length == n && same == n) return number;
        }
    }
    return -1;
}

static void count_grams(const grams *g, const int64_t *row, int64_t size, float *out)
{
    for (int64_t n = g->shortest; n <= g->longest; n++)
        for (int64_t step = 1; step <= (n == 1 ? 1 : g->skips + 1); step++)
            for (int64_t at = 0; at + (n - 1) * step < size; at++) {
                const int64_t found = find_gram(g, n, row + at, step);
                if (found >= 0) out[g->indexes[found]]++;
            }
}

/* The pool and its tables agree with each other; *width: how many places the result has. */
static bool read_grams(cj__onnx_reader *r, const cj_tensor *x, grams *g, int64_t *width)
{
    const cj__onnx_attribute *texts = cj__onnx_find_attribute(r->node, "pool_strings"),
                             *weights = cj__onnx_find_attribute(r->node, "weights");
    g->shortest = cj__onnx_get_int(r, "min_gram_length", 1);
    g->longest = cj__onnx_get_int(r, "max_gram_length", 1);
    g->skips = cj__onnx_get_int(r, "max_skip_count", 0);
    g->counts = ints(r, "ngram_counts", &g->n_counts);
    g->indexes = ints(r, "ngram_indexes", &g->n_indexes);
    g->pool = ints(r, "pool_int64s", &g->n_pool);
    if (x->dtype == CJ_STRING && texts && texts->type == CJ__ONNX_ATTR_STRINGS) {
        g->n_pool = (int64_t)texts->as.strings.count;
        cj_tensor *t = cj__onnx_strings(r, 1, texts->as.strings.count, texts->as.strings.items);
        g->pool = t ? cj__tensor_data(t) : NULL;
    } else if (x->dtype == CJ_STRING) {
        g->pool = NULL;
    }
    bool good = g->pool && g->counts && g->indexes && g->shortest >= 1 &&
                g->shortest <= g->longest && g->longest <= g->n_counts && g->skips >= 0 &&
                g->skips < 1 << 20;
    int64_t number = 0;
    for (int64_t i = 0; good && i < g->n_counts; i++) {
        const int64_t end = i + 1 < g->n_counts ? g->counts[i + 1] : g->n_pool;
        good = g->counts[i] >= 0 && g->counts[i] <= end && end <= g->n_pool &&
               (end - g->counts[i]) % (i + 1) == 0;
        number += good ? (end - g->counts[i]) / (i + 1) : 0;
    }
    for (int64_t i = 0; good && i < g->n_indexes; i++) {
        good = g->indexes[i] >= 0 && g->indexes[i] < 1 << 28;
        *width = g->indexes[i] >= *width ? g->indexes[i] + 1 : *width;
    }
    if (weights && weights->type == CJ__ONNX_ATTR_FLOATS) {
        g->weights = weights->as.floats.items;
        good = good && (int64_t)weights->as.floats.count == g->n_indexes;
    }
    if (!good || number > g->n_indexes)
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "its pool, ngram_counts, ngram_indexes, weights and lengths do not fit each "
                      "other or texts");
    return !r->failed;
}

static void read_tf_idf(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj_tensor *x = value_in(r, 0);
    grams g = {0};
    char mode[32];
    int64_t width = 0;
    (void)row;
    if (!x || !cj__onnx_get_word(r, "mode", "", mode)) return;
    const bool idf = !strcmp(mode, "IDF"), both = !strcmp(mode, "TFIDF");
    const bool whole = x->dtype == CJ_STRING || x->dtype == CJ_I64 || x->dtype == CJ_I32;
    if ((!idf && !both && strcmp(mode, "TF")) || x->rank < 1 || x->rank > 2 || !whole) {
        cj__onnx_fail(
            r, CJ_ERR_DATA,
            "mode '%s' and operand of rank %d of %s, expected TF, IDF or TFIDF, and texts "
            "or integers of rank 1 or 2",
            mode, x->rank, cj_dtype_info(x->dtype)->name);
        return;
    }
    if (!read_grams(r, x, &g, &width)) return;
    const int64_t size = x->shape[x->rank - 1], rows = x->rank == 2 ? x->shape[0] : 1;
    int64_t shape[2] = {rows, width};
    cj_tensor *y = new_tensor(r, CJ_F32, x->rank, x->rank == 2 ? shape : &width);
    cj_tensor *items = y ? new_tensor(r, CJ_I64, x->rank, x->shape) : NULL;
    if (!items) return;
    int64_t *item = cj__tensor_data(items);
    for (int64_t i = 0; i < x->count; i++)
        item[i] = cj_load_i64(x->dtype, cj__tensor_data(x), (size_t)i);
    for (int64_t i = 0; i < rows; i++) {
        float *out = (float *)cj__tensor_data(y) + i * width;
        count_grams(&g, item + i * size, size, out);
        for (int64_t k = 0; idf && k < width; k++) out[k] = out[k] > 0;
        for (int64_t k = 0; g.weights && (idf || both) && k < g.n_indexes; k++)
            out[g.indexes[k]] *= g.weights[k];
    }
    give(r, 0, y);
}

const cj__onnx_row cj__onnx_rows_text[] = {
    {.onnx = "StringNormalizer", .read = read_normalizer},
    {.onnx = "StringConcat", .read = read_concat_texts},
    {.onnx = "StringSplit", .read = read_split},
    {.onnx = "RegexFullMatch", .read = read_match},
    {.onnx = "TfIdfVectorizer", .read = read_tf_idf},
    {0},
};
