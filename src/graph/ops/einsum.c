/* einsum.c: sums of products by an equation (Einstein's convention), as numpy and PyTorch have it:
 * transposes, products of matrices, sums.
 *
 *     "...ij,jk->...ik"     a letter names an axis; what is not behind "->" is summed
 *
 * Operands are joined from the left, two at a time. Of their axes those that both have and that are
 * needed later are a batch, those that only both have are contracted, and each has free ones:
 *
 *     [batch, free of a, contracted] x [batch, contracted, free of b] -> [batch, free, free]
 *
 * with each of the groups as one axis. An axis of size 1 meets any size: it is dropped first. The
 * axes of "..." are labels too, counted from the last. */
#include "graph/ops/einsum.h"

#include <string.h>

/* ---- Equations ------------------------------------------------------------------------------- */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int cj__einsum_find(const cj__einsum_term *term, char letter)
{
    for (int i = 0; i < term->n; i++)
        if (term->letter[i] == letter) return i;
    return -1;
}

static bool refuse(cj_graph *g, const char *what, const char *equation, const char *why)
{
    cj__graph_fail(g, what, CJ_ERR_ARGUMENT, "'%.100s' %s", equation, why);
    return false;
}

/* One term up to ',' or "->" or the end; *p moves there. */
static bool parse_term(cj_graph *g, const char *what, const char *equation, const char **p,
                       cj__einsum_term *term)
{
    *term = (cj__einsum_term){.dots = -1};
    for (; **p && **p != ',' && **p != '-'; ++*p) {
        if (**p == ' ') continue;
        if (**p == '.') {
            if (strncmp(*p, "...", 3) || term->dots >= 0)
                return refuse(g, what, equation, "has dots that are not one '...' of a term");
            term->dots = term->n;
            *p += 2;
        } else if (!is_letter(**p)) {
            return refuse(g, what, equation, "is not made of letters, '...', ',' and one '->'");
        } else if (term->n == CJ_RANK_MAX) {
            return refuse(g, what, equation, "has a term of more than 8 letters");
        } else {
            term->letter[term->n++] = **p;
        }
    }
    return true;
}

/* Without "->": the letters that occur once, in their order, behind "...". */
static bool usual_result(cj_graph *g, const char *what, const char *equation, cj__einsum *e)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    e->out = (cj__einsum_term){.dots = -1};
    for (int i = 0; i < e->n; i++)
        if (e->in[i].dots >= 0) e->out.dots = 0;
    for (const char *c = letters; *c; c++) {
        int times = 0;
        for (int i = 0; i < e->n; i++)
            for (int k = 0; k < e->in[i].n; k++) times += e->in[i].letter[k] == *c;
        if (times != 1) continue;
        if (e->out.n == CJ_RANK_MAX)
            return refuse(g, what, equation, "means a result of more than 8 letters");
        e->out.letter[e->out.n++] = *c;
    }
    return true;
}

static bool check_result(cj_graph *g, const char *what, const char *equation, const cj__einsum *e)
{
    bool dots = e->out.dots < 0;
    for (int i = 0; i < e->n; i++) dots |= e->in[i].dots >= 0;
    if (!dots) return refuse(g, what, equation, "has '...' behind '->' alone");
    for (int k = 0; k < e->out.n; k++) {
        const char c = e->out.letter[k];
        bool known = false;
        for (int i = 0; i < e->n; i++) known |= cj__einsum_find(&e->in[i], c) >= 0;
        if (!known) return refuse(g, what, equation, "has a letter behind '->' alone");
        if (cj__einsum_find(&e->out, c) != k)
            return refuse(g, what, equation, "has a letter twice behind '->'");
    }
    return true;
}

bool cj__einsum_parse(cj_graph *g, const char *what, const char *equation, cj__einsum *out)
{
    *out = (cj__einsum){.n = 0};
    if (!equation) return refuse(g, what, "", "is no equation such as \"ij,jk->ik\"");
    const char *p = equation;
    for (bool more = true; more; more = *p == ',', p += more) {
        if (out->n == CJ__EINSUM_OPERANDS)
            return refuse(g, what, equation, "has more than 16 operands");
        if (!parse_term(g, what, equation, &p, &out->in[out->n++])) return false;
    }
    if (!*p) return usual_result(g, what, equation, out);
    if (p[1] != '>') return refuse(g, what, equation, "has a '-' that is no '->'");
    p += 2;
    out->has_out = true;
    if (!parse_term(g, what, equation, &p, &out->out)) return false;
    if (*p) return refuse(g, what, equation, "has something behind its result");
    return check_result(g, what, equation, out);
}

/* ---- Terms ----------------------------------------------------------------------------------- */

/* Labels of axes: 52 letters, then the axes of "...", the last one first. */
enum { LETTERS = 52, LABELS = LETTERS + CJ_RANK_MAX };

typedef struct term {
    cj_node *x;
    int rank, label[CJ_RANK_MAX];
} term;

typedef struct sizes {
    cj_graph *g;
    cj_dim of[LABELS]; /* that an axis has once broadcast */
    uint64_t known;    /* labels that were seen */
    int dots;          /* axes of "..." */
} sizes;

static int label_of(char letter)
{
    return letter >= 'a' ? letter - 'a' : letter - 'A' + 26;
}

static int place_of(const term *t, int label)
{
    for (int i = 0; i < t->rank; i++)
        if (t->label[i] == label) return i;
    return -1;
}

/* The labels of a term whose "..." stands for `dots` axes. Returns how many, at most `most`; -1:
 * more. */
static int put_labels(const cj__einsum_term *from, int dots, int most, int *label)
{
    int n = 0;
    if (from->n + dots > most) return -1;
    for (int i = 0; i <= from->n; i++) {
        for (int k = dots; i == from->dots && k--;) label[n++] = LETTERS + k;
        if (i < from->n) label[n++] = label_of(from->letter[i]);
    }
    return n;
}

static bool take_operand(sizes *s, const cj__einsum_term *from, cj_node *x, int number, term *t)
{
    const int rank = x->type.rank, dots = from->dots < 0 ? 0 : rank - from->n;
    *t = (term){.x = x, .rank = rank};
    if (dots < 0 || from->n + dots != rank) {
        cj__graph_fail(s->g, "einsum", CJ_ERR_SHAPE,
                       "operand %d has rank %d, and its term has %d letter%s%s", number, rank,
                       from->n, from->n == 1 ? "" : "s", from->dots < 0 ? "" : " and '...'");
        return false;
    }
    put_labels(from, dots, CJ_RANK_MAX, t->label);
    if (dots > s->dots) s->dots = dots;
    for (int i = 0; i < rank; i++) {
        const uint64_t bit = (uint64_t)1 << t->label[i];
        const bool again = place_of(t, t->label[i]) < i, fresh = !(s->known & bit);
        cj_dim *size = &s->of[t->label[i]], d = x->type.dim[i];
        s->known |= bit;
        if (!again && (fresh || *size == 1)) *size = d;
        else if ((again || d != 1) && !cj__dim_agree(s->g, x->call, *size, d)) {
            char other[100];
            cj__format(other, sizeof other, "%s", cj_dim_text(s->g, *size));
            cj__graph_fail(s->g, "einsum", CJ_ERR_SHAPE,
                           "axis %d of operand %d has size %s; the same letter has size %s before",
                           i, number, cj_dim_text(s->g, d), other);
            return false;
        }
    }
    return true;
}

static void drop(term *t, int axis)
{
    t->rank--;
    for (int i = axis; i < t->rank; i++) t->label[i] = t->label[i + 1];
}

static void sum_axis(term *t, int axis)
{
    t->x = cj_reduce_sum(t->x, 1, (const int64_t[]){axis}, false);
    drop(t, axis);
}

/* An axis of size 1 that is larger elsewhere is the same for all of that. */
static void drop_ones(const sizes *s, term *t)
{
    for (int i = t->rank - 1; i >= 0 && t->x; i--) {
        if (t->x->type.dim[i] != 1 || s->of[t->label[i]] == 1) continue;
        t->x = cj_squeeze(t->x, i);
        drop(t, i);
    }
}

/* A letter twice in a term is the diagonal: others become 0, and one of both axes is summed. */
static void take_diagonals(sizes *s, term *t)
{
    for (int i = 0; i < t->rank; i++)
        for (int k = t->rank - 1; k > i; k--) {
            if (t->label[k] != t->label[i] || !t->x) continue;
            cj_node *rows = cj_iota(s->g, CJ_I64, i, t->rank, t->x->type.dim),
                    *columns = cj_iota(s->g, CJ_I64, k, t->rank, t->x->type.dim);
            t->x = cj_where(cj_equal(rows, columns), t->x, cj__number_like(t->x, 0));
            sum_axis(t, k);
        }
}

/* ---- Two terms ------------------------------------------------------------------------------- */

typedef struct group {
    int n, label[CJ_RANK_MAX];
} group;

static void add_label(group *to, int label) { to->label[to->n++] = label; }

static cj_dim product(const sizes *s, const group *labels)
{
    cj_dim size = 1;
    for (int i = 0; i < labels->n; i++) size = cj_dim_mul(s->g, size, s->of[labels->label[i]]);
    return size;
}

/* t with its axes in the order of the groups, which are one axis each: [batch, rows, columns], or
 * [rows, columns] without a batch. Where they stand as [batch, columns, rows] they stay, and
 * *transposed says so. */
static cj_node *as_matrices(const sizes *s, const term *t, const group *batch, const group *rows,
                            const group *columns, bool *transposed)
{
    const group *order[] = {batch, rows, columns};
    int64_t p[CJ_RANK_MAX];
    bool same[2] = {true, true};
    for (int way = 1; way >= 0; way--) {
        int n = 0;
        order[1] = way ? columns : rows;
        order[2] = way ? rows : columns;
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < order[k]->n; i++, n++) {
                p[n] = place_of(t, order[k]->label[i]);
                same[way] = same[way] && p[n] == n;
            }
    }
    *transposed = same[1] && !same[0];
    if (*transposed) order[1] = columns, order[2] = rows;
    cj_node *x = same[0] || same[1] ? t->x : cj_transpose(t->x, p);
    const cj_dim dims[] = {product(s, batch), product(s, order[1]), product(s, order[2])};
    return batch->n ? cj_reshape(x, 3, dims) : cj_reshape(x, 2, dims + 1);
}

/* Sums what nobody else has. */
static void sum_own(term *t, const term *other, uint64_t later)
{
    for (int i = t->rank - 1; i >= 0; i--)
        if (place_of(other, t->label[i]) < 0 && !(later >> t->label[i] & 1)) sum_axis(t, i);
}

/* Multiplies two terms; `later` are the labels that are needed afterwards. */
static void join(const sizes *s, term *a, term *b, uint64_t later)
{
    group batch = {0}, inner = {0}, of_a = {0}, of_b = {0};
    sum_own(a, b, later);
    sum_own(b, a, later);
    for (int i = 0; i < a->rank; i++) {
        const bool both = place_of(b, a->label[i]) >= 0;
        add_label(!both ? &of_a : later >> a->label[i] & 1 ? &batch : &inner, a->label[i]);
    }
    for (int i = 0; i < b->rank; i++)
        if (place_of(a, b->label[i]) < 0) add_label(&of_b, b->label[i]);
    if (batch.n + of_a.n + of_b.n > CJ_RANK_MAX) {
        cj__graph_fail(s->g, "einsum", CJ_ERR_LIMIT,
                       "two operands together have %d axes, at most 8 are possible",
                       batch.n + of_a.n + of_b.n);
        return;
    }
    if (!a->x || !b->x) return;
    bool ta, tb;
    cj_node *x = as_matrices(s, a, &batch, &of_a, &inner, &ta),
            *y = as_matrices(s, b, &batch, &inner, &of_b, &tb), *z;
    z = inner.n ? cj_matmul_transposed(x, y, ta, tb) : cj_mul(x, y); /* [.., n, 1] [.., 1, m] */
    const group *order[] = {&batch, &of_a, &of_b};
    cj_dim dims[CJ_RANK_MAX];
    a->rank = 0;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < order[k]->n; i++) {
            dims[a->rank] = s->of[order[k]->label[i]];
            a->label[a->rank++] = order[k]->label[i];
        }
    a->x = cj_reshape(z, a->rank, dims);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static cj_node *in_order(term *t, const int *label, int n)
{
    int64_t p[CJ_RANK_MAX];
    bool same = true;
    for (int i = t->rank - 1; i >= 0; i--) {
        bool wanted = false;
        for (int k = 0; k < n; k++) wanted |= label[k] == t->label[i];
        if (!wanted) sum_axis(t, i);
    }
    for (int k = 0; k < n; k++) {
        p[k] = place_of(t, label[k]);
        same = same && p[k] == k;
    }
    return same || !t->x ? t->x : cj_transpose(t->x, p);
}

cj_node *cj_einsum(cj_node *const *x, int n, const char *equation)
{
    cj__einsum e;
    term t[CJ__EINSUM_OPERANDS];
    uint64_t later[CJ__EINSUM_OPERANDS + 1] = {0};
    int label[CJ_RANK_MAX];
    for (int i = 0; i < n; i++)
        if (!x[i]) return NULL;
    cj_graph *g = cj__graph_of(x, n);
    if (!g) return n > 0 ? cj_zero : NULL;
    sizes s = {.g = g};
    if (g->failed || !cj__einsum_parse(g, "einsum", equation, &e)) return NULL;
    if (e.n != n)
        return cj__graph_fail(g, "einsum", CJ_ERR_ARGUMENT,
                              "'%.100s' is of %d operand%s, %d %s there", equation, e.n,
                              e.n == 1 ? "" : "s", n, n == 1 ? "is" : "are"),
               NULL;
    for (int i = 0; i < n; i++)
        if (cj__is_zero(x[i])) return cj_zero;
    for (int i = 0; i < n; i++) {
        if (!take_operand(&s, &e.in[i], x[i], i, &t[i])) return NULL;
        take_diagonals(&s, &t[i]);
    }
    for (int i = 0; i < n; i++) drop_ones(&s, &t[i]);
    const int rank = put_labels(&e.out, e.out.dots < 0 ? 0 : s.dots, CJ_RANK_MAX, label);
    if (rank < 0)
        return cj__graph_fail(g, "einsum", CJ_ERR_LIMIT,
                              "the result of '%.100s' has more than 8 axes", equation),
               NULL;
    for (int k = 0; k < rank; k++) later[n] |= (uint64_t)1 << label[k];
    for (int i = n; i-- > 0;) {
        later[i] = later[i + 1];
        for (int k = 0; k < t[i].rank; k++) later[i] |= (uint64_t)1 << t[i].label[k];
    }
    for (int i = 1; i < n && !g->failed; i++) join(&s, &t[0], &t[i], later[i + 1]);
    return g->failed ? NULL : in_order(&t[0], label, rank);
}
