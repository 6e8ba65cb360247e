/* dim.c: dimensions that are numbers, symbols, or expressions of them.
 *
 * A dimension is one int64: a number from 0 up, or -1 - i for expression i of the graph. Sums of
 * products are brought into one normal form (terms sorted, like terms added), and equal expressions
 * are stored once, so "are these two equal?" is a comparison of two integers. What cannot be
 * decided (batch = length?) is written down as an agreement and checked when a program binds the
 * symbols. */
#include "graph/graph.h"

#include <string.h>

typedef struct poly { /* constant + sum of coefficient * monomial */
    int64_t constant;
    int n;
    int64_t coefficient[CJ__EXPR_TERMS_MAX];
    cj_dim monomial[CJ__EXPR_TERMS_MAX];
} poly;

static int index_of(cj_dim d) { return (int)(-1 - d); }
static const cj__expr *expr_of(const cj_graph *g, cj_dim d)
{
    CJ_ASSERT(d < 0 && index_of(d) < g->dims.count);
    return &g->dims.items[index_of(d)];
}

void cj__dims_release(cj_graph *g)
{
    cj__dims *dims = &g->dims;
    cj__free(g->cj, dims->items, (size_t)dims->capacity * sizeof *dims->items);
    cj__free(g->cj, dims->table, 2 * (size_t)dims->capacity * sizeof *dims->table);
    cj__free(g->cj, dims->agreements, (size_t)dims->agreements_capacity * sizeof *dims->agreements);
    *dims = (cj__dims){0};
}

static cj_dim too_complex(cj_graph *g)
{
    cj__graph_fail(g, "dimension", CJ_ERR_LIMIT, "an expression of symbols has more than %d terms",
                   CJ__EXPR_TERMS_MAX);
    return 0;
}

static cj_dim overflow(cj_graph *g)
{
    cj__graph_fail(g, "dimension", CJ_ERR_SHAPE, "the size does not fit 63 bits");
    return 0;
}

static bool equal(const cj__expr *a, const cj__expr *b)
{
    if (a->kind != b->kind || a->n != b->n || a->constant != b->constant) return false;
    if (a->kind == CJ__EXPR_NAME) return !strcmp(a->name, b->name);
    return !memcmp(a->part, b->part, sizeof a->part) &&
           !memcmp(a->coefficient, b->coefficient, sizeof a->coefficient);
}

/* Where `e` is in the table, or the free place for it. */
static int *find(const cj__dims *dims, const cj__expr *e)
{
    uint64_t hash = e->kind == CJ__EXPR_NAME
                        ? cj__hash(e->name, strlen(e->name), 0)
                        : cj__hash(e->part, sizeof e->part,
                                   cj__hash(e->coefficient, sizeof e->coefficient,
                                            (uint64_t)e->constant + (uint64_t)e->kind));
    size_t size = 2 * (size_t)dims->capacity, at = hash % size;
    while (dims->table[at] && !equal(&dims->items[dims->table[at] - 1], e)) at = (at + 1) % size;
    return &dims->table[at];
}

static bool grow(cj_graph *g)
{
    cj__dims *dims = &g->dims;
    const int old = dims->capacity, capacity = old ? 2 * old : 8;
    int *table = cj__alloc(g->cj, 2 * (size_t)capacity * sizeof *table);
    cj__expr *items = table ? cj__realloc(g->cj, dims->items, (size_t)old * sizeof *items,
                                          (size_t)capacity * sizeof *items)
                            : NULL;
    if (!items) {
        cj__free(g->cj, table, 2 * (size_t)capacity * sizeof *table);
        return false;
    }
    cj__free(g->cj, dims->table, 2 * (size_t)old * sizeof *table);
    dims->items = items;
    dims->table = table;
    dims->capacity = capacity;
    for (int i = 0; i < dims->count; i++) *find(dims, &dims->items[i]) = 1 + i;
    return true;
}

/* The number of an expression equal to `e`, stored when it is new. */
static cj_dim intern(cj_graph *g, const cj__expr *e)
{
    cj__dims *dims = &g->dims;
    const int *found = dims->count ? find(dims, e) : NULL;
    if (found && *found) return -*found;
    cj__expr stored = *e;
    if (e->kind == CJ__EXPR_NAME) stored.name = cj__arena_strdup(&g->arena, e->name);
    if ((e->kind == CJ__EXPR_NAME && !stored.name) ||
        (dims->count == dims->capacity && !grow(g))) {
        cj__graph_fail(g, "dimension", CJ_ERR_MEMORY, "out of memory");
        return 0;
    }
    *find(dims, e) = 1 + dims->count;
    dims->items[dims->count] = stored;
    return -1 - dims->count++;
}

cj_dim cj_symbol(cj_graph *g, const char *name)
{
    return g && name ? intern(g, &(cj__expr){.kind = CJ__EXPR_NAME, .name = name}) : 0;
}

cj_dim cj__dim_dynamic(cj_graph *g, const char *name)
{
    cj_dim d = cj_symbol(g, name);
    if (d < 0) g->dims.items[index_of(d)].dynamic = true;
    return d;
}

bool cj__dim_is_dynamic(const cj_graph *g, cj_dim d)
{
    if (d >= 0) return false;
    const cj__expr *e = expr_of(g, d);
    bool found = e->dynamic;
    for (int i = 0; i < e->n && e->kind != CJ__EXPR_NAME && !found; i++)
        found = cj__dim_is_dynamic(g, e->part[i]);
    return found;
}

/* ---- Normal form ----------------------------------------------------------------------------- */

static poly to_poly(const cj_graph *g, cj_dim d)
{
    if (d >= 0) return (poly){.constant = d};
    const cj__expr *e = expr_of(g, d);
    poly p = {.n = 1, .coefficient = {1}, .monomial = {d}};
    if (e->kind != CJ__EXPR_SUM) return p;
    p.constant = e->constant;
    p.n = e->n;
    memcpy(p.coefficient, e->coefficient, sizeof p.coefficient);
    memcpy(p.monomial, e->part, sizeof p.monomial);
    return p;
}

static cj_dim from_poly(cj_graph *g, const poly *p)
{
    if (p->n == 0)
        return p->constant < 0
                   ? (cj__graph_fail(g, "dimension", CJ_ERR_SHAPE, "a size would be negative: %lld",
                                     (long long)p->constant),
                      0)
                   : p->constant;
    if (p->n == 1 && p->constant == 0 && p->coefficient[0] == 1) return p->monomial[0];
    cj__expr e = {.kind = CJ__EXPR_SUM, .n = p->n, .constant = p->constant};
    memcpy(e.coefficient, p->coefficient, (size_t)p->n * sizeof *p->coefficient);
    memcpy(e.part, p->monomial, (size_t)p->n * sizeof *p->monomial);
    return intern(g, &e);
}

/* p += coefficient * monomial, keeping terms sorted and non-zero. */
static bool poly_add(poly *p, int64_t coefficient, cj_dim monomial)
{
    int at = 0;
    while (at < p->n && p->monomial[at] > monomial) at++;
    if (at < p->n && p->monomial[at] == monomial) {
        if (CJ__ADD_OVERFLOWS(p->coefficient[at], coefficient, &p->coefficient[at])) return false;
        if (p->coefficient[at]) return true;
        p->n--;
        memmove(&p->coefficient[at], &p->coefficient[at + 1],
                (size_t)(p->n - at) * sizeof *p->coefficient);
        memmove(&p->monomial[at], &p->monomial[at + 1], (size_t)(p->n - at) * sizeof *p->monomial);
        return true;
    }
    if (p->n == CJ__EXPR_TERMS_MAX) return false;
    memmove(&p->coefficient[at + 1], &p->coefficient[at],
            (size_t)(p->n - at) * sizeof *p->coefficient);
    memmove(&p->monomial[at + 1], &p->monomial[at], (size_t)(p->n - at) * sizeof *p->monomial);
    p->coefficient[at] = coefficient;
    p->monomial[at] = monomial;
    p->n++;
    return true;
}

/* The factors of a monomial: a PRODUCT's, or itself. */
static int factors_of(const cj_graph *g, cj_dim monomial, cj_dim *factors)
{
    const cj__expr *e = expr_of(g, monomial);
    if (e->kind != CJ__EXPR_PRODUCT) return factors[0] = monomial, 1;
    memcpy(factors, e->part, (size_t)e->n * sizeof *factors);
    return e->n;
}

static cj_dim monomial_of(cj_graph *g, const cj_dim *factors, int n)
{
    if (n == 1) return factors[0];
    cj__expr e = {.kind = CJ__EXPR_PRODUCT, .n = n};
    memcpy(e.part, factors, (size_t)n * sizeof *factors);
    return intern(g, &e);
}

static cj_dim monomial_mul(cj_graph *g, cj_dim a, cj_dim b)
{
    cj_dim fa[CJ__EXPR_TERMS_MAX], fb[CJ__EXPR_TERMS_MAX], f[2 * CJ__EXPR_TERMS_MAX];
    int na = factors_of(g, a, fa), nb = factors_of(g, b, fb), n = 0;
    for (int i = 0, j = 0; i < na || j < nb;)
        f[n++] = j == nb || (i < na && fa[i] >= fb[j]) ? fa[i++] : fb[j++];
    return n > CJ__EXPR_TERMS_MAX ? too_complex(g) : monomial_of(g, f, n);
}

/* a / b when b's factors are all among a's: *quotient is 1 (with nothing left) or a monomial. */
static bool monomial_div(cj_graph *g, cj_dim a, cj_dim b, cj_dim *quotient)
{
    cj_dim fa[CJ__EXPR_TERMS_MAX], fb[CJ__EXPR_TERMS_MAX], left[CJ__EXPR_TERMS_MAX];
    int na = factors_of(g, a, fa), nb = factors_of(g, b, fb), n = 0, j = 0;
    for (int i = 0; i < na; i++) {
        if (j < nb && fa[i] == fb[j]) j++;
        else left[n++] = fa[i];
    }
    if (j < nb) return false;
    *quotient = n ? monomial_of(g, left, n) : 1;
    return true;
}

static cj_dim combine(cj_graph *g, cj_dim a, cj_dim b, int64_t sign)
{
    if (!g || g->failed) return 0;
    poly p = to_poly(g, a), q = to_poly(g, b);
    if (CJ__ADD_OVERFLOWS(p.constant, sign * q.constant, &p.constant)) return overflow(g);
    for (int i = 0; i < q.n; i++)
        if (!poly_add(&p, sign * q.coefficient[i], q.monomial[i])) return too_complex(g);
    return from_poly(g, &p);
}

cj_dim cj_dim_add(cj_graph *g, cj_dim a, cj_dim b) { return combine(g, a, b, 1); }
cj_dim cj_dim_sub(cj_graph *g, cj_dim a, cj_dim b) { return combine(g, a, b, -1); }

cj_dim cj_dim_mul(cj_graph *g, cj_dim a, cj_dim b)
{
    if (!g || g->failed) return 0;
    poly p = to_poly(g, a), q = to_poly(g, b), r = {0};
    if (CJ__MUL_OVERFLOWS(p.constant, q.constant, &r.constant)) return overflow(g);
    for (int i = -1; i < p.n; i++) {
        for (int j = -1; j < q.n; j++) {
            if (i < 0 && j < 0) continue;
            int64_t c;
            if (CJ__MUL_OVERFLOWS(i < 0 ? p.constant : p.coefficient[i],
                                  j < 0 ? q.constant : q.coefficient[j], &c))
                return overflow(g);
            if (c == 0) continue;
            cj_dim m = i < 0   ? q.monomial[j]
                       : j < 0 ? p.monomial[i]
                               : monomial_mul(g, p.monomial[i], q.monomial[j]);
            if (g->failed) return 0;
            if (!poly_add(&r, c, m)) return too_complex(g);
        }
    }
    return from_poly(g, &r);
}

cj_dim cj_dim_div(cj_graph *g, cj_dim a, cj_dim b)
{
    if (!g || g->failed) return 0;
    if (b == 0) return cj__graph_fail(g, "dimension", CJ_ERR_SHAPE, "a size is divided by zero"), 0;
    if (a >= 0 && b > 0) return a / b;
    if (a == b) return 1;
    /* Exact division term by term: 784*batch / 784, 784*batch / batch, (2*n + 4) / 2. */
    poly p = to_poly(g, a), q = to_poly(g, b), r = {0};
    bool exact = q.n == 0 || (q.n == 1 && q.constant == 0 && p.constant == 0);
    int64_t divisor = q.n ? q.coefficient[0] : q.constant;
    exact = exact && divisor > 0 && p.constant % divisor == 0;
    if (exact) r.constant = p.constant / divisor;
    for (int i = 0; exact && i < p.n; i++) {
        cj_dim m = p.monomial[i];
        exact = p.coefficient[i] % divisor == 0 && (!q.n || monomial_div(g, m, q.monomial[0], &m));
        if (!exact) break;
        if (m == 1) r.constant += p.coefficient[i] / divisor;
        else exact = poly_add(&r, p.coefficient[i] / divisor, m);
    }
    if (exact && !g->failed) return from_poly(g, &r);
    return intern(g, &(cj__expr){.kind = CJ__EXPR_QUOTIENT, .n = 2, .part = {a, b}});
}

static cj_dim extreme(cj_graph *g, cj__expr_kind kind, cj_dim a, cj_dim b)
{
    if (!g || g->failed) return 0;
    if (a == b) return a;
    if (a >= 0 && b >= 0) return (kind == CJ__EXPR_MAX) == (a > b) ? a : b;
    return intern(g, &(cj__expr){.kind = kind, .n = 2, .part = {a > b ? a : b, a > b ? b : a}});
}

cj_dim cj_dim_max(cj_graph *g, cj_dim a, cj_dim b) { return extreme(g, CJ__EXPR_MAX, a, b); }
cj_dim cj_dim_min(cj_graph *g, cj_dim a, cj_dim b) { return extreme(g, CJ__EXPR_MIN, a, b); }

/* ---- Text ------------------------------------------------------------------------------------ */

static void print_dim(cj__text *out, const cj_graph *g, cj_dim d, int depth)
{
    if (d >= 0) {
        cj__text_format(out, "%lld", (long long)d);
        return;
    }
    const cj__expr *e = expr_of(g, d);
    if (depth > 16) {
        cj__text_add(out, "...");
    } else if (e->kind == CJ__EXPR_NAME) {
        cj__text_add(out, e->name);
    } else if (e->kind == CJ__EXPR_PRODUCT) {
        for (int i = 0; i < e->n; i++) {
            if (i) cj__text_char(out, '*');
            print_dim(out, g, e->part[i], depth + 1);
        }
    } else if (e->kind == CJ__EXPR_SUM) {
        for (int i = 0; i < e->n; i++) {
            int64_t c = e->coefficient[i];
            if (i && c > 0) cj__text_char(out, '+');
            if (c == -1) cj__text_char(out, '-');
            else if (c != 1) cj__text_format(out, "%lld*", (long long)c);
            print_dim(out, g, e->part[i], depth + 1);
        }
        if (e->constant) cj__text_format(out, "%+lld", (long long)e->constant);
    } else {
        cj__text_add(out, e->kind == CJ__EXPR_QUOTIENT ? "floor("
                          : e->kind == CJ__EXPR_MAX    ? "max("
                                                       : "min(");
        for (int i = 0; i < 2; i++) {
            bool sum = e->kind == CJ__EXPR_QUOTIENT && e->part[i] < 0 &&
                       expr_of(g, e->part[i])->kind == CJ__EXPR_SUM;
            if (i) cj__text_add(out, e->kind == CJ__EXPR_QUOTIENT ? "/" : ", ");
            if (sum) cj__text_char(out, '(');
            print_dim(out, g, e->part[i], depth + 1);
            if (sum) cj__text_char(out, ')');
        }
        cj__text_char(out, ')');
    }
}

const char *cj_dim_text(cj_graph *g, cj_dim d)
{
    cj__text out;
    cj__text_init(&out, g->cj);
    print_dim(&out, g, d, 0);
    const char *text = out.failed ? NULL : cj__arena_strdup(&g->arena, cj__text_string(&out));
    cj__text_release(&out);
    return text ? text : "?";
}

void cj__dim_print(cj__text *out, const cj_graph *g, cj_dim d) { print_dim(out, g, d, 0); }

void cj__type_text(cj__text *out, const cj_graph *g, const cj_type *type)
{
    cj__text_add(out, type->dtype == CJ_DTYPE_NONE ? "?" : cj_dtype_info(type->dtype)->name);
    cj__text_char(out, '[');
    for (int i = 0; i < type->rank; i++) {
        if (i) cj__text_add(out, ", ");
        print_dim(out, g, type->dim[i], 0);
    }
    cj__text_char(out, ']');
}

/* ---- Binding and moving ---------------------------------------------------------------------- */

int64_t cj__dim_number(cj_dim d, const int64_t *values) { return d >= 0 ? d : values[index_of(d)]; }

/* The value of one expression whose parts are known; false when it does not fit. */
static bool evaluate(const cj__expr *e, const int64_t *values, int64_t *result)
{
    int64_t a = cj__dim_number(e->part[0], values),
            b = e->n > 1 ? cj__dim_number(e->part[1], values) : 0;
    int64_t sum = e->kind == CJ__EXPR_PRODUCT ? 1 : e->constant;
    switch (e->kind) {
    case CJ__EXPR_NAME: return true;
    case CJ__EXPR_MAX: *result = a > b ? a : b; return true;
    case CJ__EXPR_MIN: *result = a < b ? a : b; return true;
    case CJ__EXPR_QUOTIENT:
        if (b <= 0) return false;
        *result = a / b;
        return true;
    case CJ__EXPR_PRODUCT:
        for (int i = 0; i < e->n; i++)
            if (CJ__MUL_OVERFLOWS(sum, cj__dim_number(e->part[i], values), &sum)) return false;
        break;
    case CJ__EXPR_SUM:
        for (int i = 0; i < e->n; i++) {
            int64_t term;
            if (CJ__MUL_OVERFLOWS(e->coefficient[i], cj__dim_number(e->part[i], values), &term) ||
                CJ__ADD_OVERFLOWS(sum, term, &sum))
                return false;
        }
        break;
    }
    *result = sum;
    return sum >= 0;
}

cj_status cj__dims_evaluate(cj_context *cj, const cj_graph *g, int64_t *values)
{
    for (int i = 0; i < g->dims.count; i++) { /* parts come before what is made of them */
        const cj__expr *e = &g->dims.items[i];
        if (e->kind == CJ__EXPR_NAME) continue;
        bool known = true;
        for (int k = 0; k < e->n; k++) known = known && cj__dim_number(e->part[k], values) >= 0;
        values[i] = -1;
        if (known && !evaluate(e, values, &values[i])) {
            cj__text text;
            cj__text_init(&text, cj);
            print_dim(&text, g, -1 - i, 0);
            cj_fail(cj, CJ_ERR_SHAPE,
                    "the size %s is negative or does not fit 63 bits for this input",
                    cj__text_string(&text));
            cj__text_release(&text);
            return CJ_ERR_SHAPE;
        }
    }
    return CJ_OK;
}

/* Parts have smaller indices, so the recursion ends; its depth is bounded by the nesting of the
 * expression, which print_dim's reader could not follow either beyond a few levels. */
static cj_dim translate(const cj_graph *from, cj_graph *to, const cj_dim *map, cj_dim d, int depth)
{
    if (d >= 0) return d;
    if (map && map[index_of(d)] != CJ_INFER) return map[index_of(d)];
    if (depth > 64) return too_complex(to);
    cj__expr e = *expr_of(from, d);
    if (e.kind == CJ__EXPR_NAME) {
        cj_dim s = cj_symbol(to, e.name);
        if (s < 0) to->dims.items[index_of(s)].dynamic |= e.dynamic;
        return s;
    }
    cj_dim part[CJ__EXPR_TERMS_MAX];
    for (int i = 0; i < e.n; i++) part[i] = translate(from, to, map, e.part[i], depth + 1);
    switch (e.kind) {
    case CJ__EXPR_QUOTIENT: return cj_dim_div(to, part[0], part[1]);
    case CJ__EXPR_MAX: return cj_dim_max(to, part[0], part[1]);
    case CJ__EXPR_MIN: return cj_dim_min(to, part[0], part[1]);
    case CJ__EXPR_PRODUCT: {
        cj_dim product = 1;
        for (int i = 0; i < e.n; i++) product = cj_dim_mul(to, product, part[i]);
        return product;
    }
    default: break;
    }
    cj_dim positive = e.constant > 0 ? e.constant : 0, negative = e.constant < 0 ? -e.constant : 0;
    for (int i = 0; i < e.n; i++) {
        int64_t c = e.coefficient[i];
        cj_dim term = cj_dim_mul(to, c < 0 ? -c : c, part[i]);
        if (c < 0) negative = cj_dim_add(to, negative, term);
        else positive = cj_dim_add(to, positive, term);
    }
    return cj_dim_sub(to, positive, negative);
}

cj_dim cj__dim_translate(const cj_graph *from, cj_graph *to, const cj_dim *map, cj_dim d)
{
    return translate(from, to, map, d, 0);
}

cj_dim cj__type_count(cj_graph *g, const cj_type *type)
{
    cj_dim count = 1;
    for (int i = 0; i < type->rank; i++) count = cj_dim_mul(g, count, type->dim[i]);
    return count;
}

bool cj__type_equal(const cj_type *a, const cj_type *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

/* batch and batch + 1; 3*batch and 4*batch, which only a batch of none would make equal. */
static bool surely_differ(const cj_graph *g, cj_dim a, cj_dim b)
{
    poly p = to_poly(g, a), q = to_poly(g, b);
    bool same_terms = p.n == q.n, same_factors = p.n == q.n;
    for (int i = 0; i < p.n && same_terms; i++) {
        same_terms = p.monomial[i] == q.monomial[i];
        same_factors = same_factors && p.coefficient[i] == q.coefficient[i];
    }
    return same_terms &&
           (same_factors ? p.constant != q.constant : p.n == 1 && !p.constant && !q.constant);
}

bool cj__dim_agree(cj_graph *g, const cj_call *call, cj_dim a, cj_dim b)
{
    if (a == b) return true;
    if (surely_differ(g, a, b)) return false;
    cj__dims *dims = &g->dims;
    if (dims->n_agreements == dims->agreements_capacity) {
        int capacity = dims->agreements_capacity ? 2 * dims->agreements_capacity : 8;
        cj__agreement *items = cj__realloc(g->cj, dims->agreements,
                                           (size_t)dims->agreements_capacity * sizeof *items,
                                           (size_t)capacity * sizeof *items);
        if (!items) return cj__graph_fail(g, "dimension", CJ_ERR_MEMORY, "out of memory"), true;
        dims->agreements = items;
        dims->agreements_capacity = capacity;
    }
    dims->agreements[dims->n_agreements++] = (cj__agreement){a, b, call};
    return true;
}

bool cj_infer_equal(cj_infer *infer, cj_dim a, cj_dim b)
{
    return cj__dim_agree(infer->graph, infer->call, a, b);
}
