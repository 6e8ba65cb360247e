/* words.c: the words of texts as numbers of tokens: arithmetic on bytes.
 *
 * A text is its bytes x [batch, width], with zeros behind them, as numpy's S has it. All below are
 * whole numbers, T bytes of a text and S segments, of which each has one word or none:
 *
 *     c    [batch, T]  the byte as standardize has it: in lower case; 0: there is none
 *     s    [batch, T]  the segment it is in: how many blanks, or beginnings of characters, are
 *                      before it; 0 of a text that is not split
 *     n    [batch, S]  bytes of a segment; at [batch, T]: the place of a byte in its segment
 *     key  [batch, S]  two polynomials of the segment's bytes, sum of c r^at modulo a prime
 *
 * The tokens' keys are sorted; the largest that is not above a segment's is found by halving, and
 * the token of it is the segment's if all bytes are equal. */
#include "format/keras/texts.h"

#include <stdlib.h>
#include <string.h>

enum { PRIME_1 = 2147483647, PRIME_2 = 2147483629, TRIES = 16 };

/* ---- Keys ------------------------------------------------------------------------------------ */

static int64_t polynomial(const char *text, int64_t r, int64_t prime)
{
    int64_t sum = 0, power = 1;
    for (; *text; text++, power = power * r % prime)
        sum = (sum + (unsigned char)*text * power) % prime;
    return sum;
}

static int by_key(const void *a, const void *b)
{
    const cj__token *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : strcmp(x->text, y->text);
}

/* Keys of the tokens, with numbers r for which no two are equal. */
cj_status cj__texts_sort(cj__texts *t)
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
            t->sorted[j] = (cj__token){text,
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

cj_node *cj__texts_table(const cj__texts *t, int64_t n, const int64_t *values)
{
    cj_tensor *of = cj_tensor_from(t->k->cj, CJ_I64, 1, &n, values);
    cj_node *y = of ? cj_constant(t->k->g, of) : NULL;
    cj_tensor_free(of);
    return y;
}

cj_node *cj__texts_whole(const cj__texts *t, int64_t value)
{
    return cj_scalar(t->k->g, CJ_I64, (double)value);
}

/* values[at] of a list. */
cj_node *cj__texts_look_up(cj_node *values, cj_node *at)
{
    return values && at ? cj_gather(values, at, 0) : NULL;
}

/* The sums of x [batch, T] by segment: [batch, size]. */
cj_node *cj__texts_by_segment(const cj__texts *t, cj_node *x, cj_node *segment, cj_dim size)
{
    if (!x || !segment) return NULL;
    const cj_dim dims[] = {cj_node_dim(x, 0), size};
    cj_node *zeros = cj_broadcast_to(cj_scalar(t->k->g, cj_node_dtype(x), 0), 2, dims);
    return zeros ? cj_scatter_along(zeros, segment, x, 1, CJ_SCATTER_ADD) : NULL;
}

static bool is_blank(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* c, of which blanks and what is left out are 0; *blank: 1 of blanks that split. */
static cj_node *standardized(const cj__texts *t, cj_node *x, cj_node **blank)
{
    static const char marks[] = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'";
    int64_t byte[256], is[256];
    for (int c = 0; c < 256; c++) {
        is[c] = t->split == 'w' && is_blank(c);
        byte[c] = is[c] || (t->strip && c && strchr(marks, c)) ? 0
                  : t->lower && c >= 'A' && c <= 'Z'           ? c - 'A' + 'a'
                                                               : c;
    }
    *blank = cj__texts_look_up(cj__texts_table(t, 256, is), x);
    return cj__texts_look_up(cj__texts_table(t, 256, byte), x);
}

static cj_node *segments(const cj__texts *t, cj_node *c, cj_node *blank)
{
    if (!c || !blank) return NULL;
    if (t->split == 'w') return cj_cumsum(blank, 1, false, false);
    if (t->split == 'n') return blank; /* zeros */
    cj_node *inner =
        cj_logical_and(cj_greater_equal(c, cj__texts_whole(t, 0x80)),
                       cj_less(c, cj__texts_whole(t, 0xc0))); /* of a character in UTF-8 */
    cj_node *begins = cj_logical_and(cj_greater(c, cj__texts_whole(t, 0)),
                                     inner ? cj_logical_not(inner) : NULL);
    cj_node *count = begins ? cj_cumsum(cj_cast(begins, CJ_I64), 1, false, false) : NULL;
    return count ? cj_maximum(cj_shift(count, -1), cj__texts_whole(t, 0)) : NULL;
}

/* Texts taken apart. */
typedef struct parts {
    cj_node *c, *s, *at, *n;
    cj_dim size; /* S */
} parts;

static cj_status take_apart(const cj__texts *t, cj_node *x, parts *p)
{
    cj_node *blank;
    p->c = standardized(t, x, &blank);
    p->s = segments(t, p->c, blank);
    p->size = cj_dim_add(t->k->g, cj_node_dim(x, 1), 1);
    cj_node *is = p->c ? cj_cast(cj_greater(p->c, cj__texts_whole(t, 0)), CJ_I64) : NULL;
    p->n = cj__texts_by_segment(t, is, p->s, p->size);
    cj_node *before = p->n ? cj_cumsum(p->n, 1, true, false) : NULL;
    cj_node *first = before ? cj_gather_along(before, p->s, 1) : NULL;
    p->at = first ? cj_sub(cj_cumsum(is, 1, true, false), first) : NULL;
    return t->k->g->failed;
}

/* One polynomial of each segment's bytes; a byte behind those of the longest word counts for
 * nothing, as such a segment is no word. */
static cj_node *hashed(const cj__texts *t, const parts *p, int64_t r, int64_t prime)
{
    int64_t *power = cj__arena_array(t->k->arena, (size_t)t->longest + 1, sizeof *power);
    if (!power) return NULL;
    power[0] = 1;
    for (int64_t i = 1; i < t->longest; i++) power[i] = power[i - 1] * r % prime;
    power[t->longest] = t->longest ? 0 : 1;
    cj_node *of = cj__texts_look_up(cj__texts_table(t, t->longest + 1, power),
                          cj_minimum(p->at, cj__texts_whole(t, t->longest)));
    cj_node *sum = of ? cj__texts_by_segment(t, cj_mul(p->c, of), p->s, p->size) : NULL;
    return sum ? cj_mod(sum, cj__texts_whole(t, prime)) : NULL;
}

/* Of each word, in the order of keys. */
typedef struct tables {
    cj_node *key, *number, *length, *first, *bytes; /* first: where in bytes it begins */
} tables;

static cj_status make_tables(const cj__texts *t, tables *out)
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
    *out = (tables){cj__texts_table(t, n, v), cj__texts_table(t, n, v + n),
                    cj__texts_table(t, n, v + 2 * n), cj__texts_table(t, n, v + 3 * n),
                    cj__texts_table(t, total + 1, v + 4 * n)};
    return t->k->g->failed;
}

/* The last of n sorted keys that is not above; the first where all are. */
cj_node *cj__texts_candidate(const cj__texts *t, cj_node *keys, int64_t n, cj_node *key)
{
    int64_t step = 1;
    while (step < n) step *= 2;
    cj_node *at = key ? cj_mul(key, cj__texts_whole(t, 0)) : NULL;
    for (; step && at; step /= 2) {
        cj_node *next = cj_minimum(cj_shift(at, (double)step), cj__texts_whole(t, n - 1));
        cj_node *there = cj__texts_look_up(keys, next);
        at = there ? cj_where(cj_less_equal(there, key), next, at) : NULL;
    }
    return at;
}

/* The number of the token that each segment is, -1 of one that is none. */
static cj_status numbers(const cj__texts *t, const parts *p, cj_node **y)
{
    tables of;
    CJ__TRY(make_tables(t, &of));
    cj_node *high = hashed(t, p, t->r[0], PRIME_1), *low = hashed(t, p, t->r[1], PRIME_2);
    if (!high || !low) return t->k->g->failed ? t->k->g->failed : CJ_ERR_MEMORY;
    cj_node *key = cj_add(cj_mul(high, cj__texts_whole(t, (int64_t)1 << 31)), low);
    cj_node *found = cj__texts_candidate(t, of.key, (int64_t)t->tokens.n, key),
            *length = cj__texts_look_up(of.length, found);
    if (!length) return t->k->g->failed;
    cj_node *mine = cj_gather_along(found, p->s, 1); /* of each byte's segment */
    cj_node *last = cj_maximum(cj_shift(cj__texts_look_up(of.length, mine), -1),
                               cj__texts_whole(t, 0));
    cj_node *at = cj_add(cj__texts_look_up(of.first, mine), cj_minimum(p->at, last));
    cj_node *expected = cj__texts_look_up(of.bytes, at);
    cj_node *other = cj_logical_and(cj_not_equal(expected, p->c),
                                    cj_greater(p->c, cj__texts_whole(t, 0)));
    cj_node *others = other ? cj__texts_by_segment(t, cj_cast(other, CJ_I64), p->s, p->size) : NULL;
    if (!others) return t->k->g->failed;
    cj_node *same = cj_logical_and(cj_equal(others, cj__texts_whole(t, 0)), cj_equal(length, p->n));
    *y = cj_where(same, cj__texts_look_up(of.number, found), cj__texts_whole(t, -1));
    return t->k->g->failed;
}

cj_status cj__texts_split(const cj__texts *t, cj_node *x, cj__found *out, cj_dim *most)
{
    cj_graph *g = t->k->g;
    parts p;
    CJ__TRY(take_apart(t, x, &p));
    CJ__TRY(numbers(t, &p, &out->number));
    out->is = cj_greater(p.n, cj__texts_whole(t, 0));
    out->at = out->is ? cj_cumsum(cj_cast(out->is, CJ_I64), 1, true, false) : NULL;
    *most = t->split == 'w' ? cj_dim_div(g, p.size, 2) : cj_dim_sub(g, p.size, 1);
    return g->failed;
}
