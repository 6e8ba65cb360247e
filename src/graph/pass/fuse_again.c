/* fuse_again.c: values that are computed twice because that moves less memory.
 *
 * A value that one group writes and only other groups read costs a sweep of writing (and fetching
 * what is written over) and one of reading for each of them. When it is a few cheap operations on
 * values that are in memory anyway, the readers compute it themselves: the normalised input of a
 * batch norm comes again from the input, the gradient behind a relu from the gradient before it.
 *
 *     cost of writing     2 + readers            sweeps
 *     cost of again       operands that are new to each reader, added up */
#include "graph/pass/fuse.h"

enum { OPERATIONS_MAX = 8, LEAVES_MAX = 16, NEW_MAX = 24 };

typedef struct tree {
    int operations[OPERATIONS_MAX], n_operations;
    int leaves[LEAVES_MAX], n_leaves;
    bool refused;
} tree;

/* Operations that take about as long as a load. */
static bool is_cheap(const cj_op *op)
{
    static const cj_op *const ops[] = {
        &cj_op_add,         &cj_op_sub,         &cj_op_mul,     &cj_op_div,
        &cj_op_neg,         &cj_op_abs,         &cj_op_square,  &cj_op_relu,
        &cj_op_where,       &cj_op_maximum,     &cj_op_minimum, &cj_op_equal,
        &cj_op_not_equal,   &cj_op_less,        &cj_op_greater, &cj_op_less_equal,
        &cj_op_logical_and, &cj_op_logical_or,  &cj_op_sign,    &cj_op_greater_equal,
        &cj_op_sqrt,        &cj_op_logical_not, &cj_op_cast};
    for (size_t i = 0; i < CJ__COUNT(ops); i++)
        if (ops[i] == op) return true;
    return false;
}

static bool listed(const int *list, int n, int id)
{
    for (int i = 0; i < n; i++)
        if (list[i] == id) return true;
    return false;
}

/* Adds what value `id` is computed from; `top` is the value asked about. The number of operations
 * bounds the recursion. */
static void grow(cj__fuser *f, tree *t, int top, int id)
{
    const cj_call *call = f->g->calls[id];
    bool mine = f->group_of[id] == f->group_of[top];
    if (t->refused || listed(t->operations, t->n_operations, id) ||
        listed(t->leaves, t->n_leaves, id))
        return;
    bool open = id == top || f->again[id] || (mine && !f->escapes[id]);
    if (open && f->kind[id] == CJ__FUSE_POINT && !f->rows[id] && is_cheap(call->op)) {
        if (t->n_operations == OPERATIONS_MAX) t->refused = true;
        else t->operations[t->n_operations++] = id;
        for (int k = 0; !t->refused && k < call->n_in; k++)
            grow(f, t, top, cj__fuse_source(f, call, k)->call->id);
        return;
    }
    if ((mine && !f->escapes[id] && !f->rows[id]) || call->n_out > 1 || t->n_leaves == LEAVES_MAX)
        t->refused = true;
    else t->leaves[t->n_leaves++] = id;
}

static bool reads(const cj__fuser *f, const cj__group *group, int source)
{
    for (int id = group->first; id >= 0; id = f->next[id])
        for (int k = 0; k < f->g->calls[id]->n_in; k++)
            if (cj__fuse_source(f, f->g->calls[id], k)->call->id == source) return true;
    return false;
}

static bool same_shape(const cj_type *a, const cj_type *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dim[i] == b->dim[i];
    return same;
}

/* Operands of the tree that group `number` does not read yet; of the value's own shape, or all. */
static int count_new(cj__fuser *f, const tree *t, const cj_type *whole, int number, bool all)
{
    int n = 0;
    for (int i = 0; i < t->n_leaves; i++) {
        const cj_type *type = &f->g->calls[t->leaves[i]]->out[0].type;
        n += (all || same_shape(type, whole)) && f->group_of[t->leaves[i]] != number &&
             !reads(f, &f->groups[number], t->leaves[i]);
    }
    return n;
}

/* Do groups that read the value move less when they compute it? added[g]: operands that group g got
 * so before. */
static bool pays(cj__fuser *f, const tree *t, int id, int *added)
{
    int readers[LEAVES_MAX], n = 0, cost = 0;
    const cj_type *type = &f->g->calls[id]->out[0].type;
    for (int i = id + 1; i < f->n; i++) {
        const cj_call *call = f->g->calls[i];
        bool reader = false;
        for (int k = 0; f->live[i] && k < call->n_in; k++)
            reader = reader || cj__fuse_source(f, call, k)->call->id == id;
        int number = f->group_of[i];
        if (!reader || number == f->group_of[id] || listed(readers, n, number)) continue;
        if (!cj__is_member(f, i) || n == LEAVES_MAX ||
            !same_shape(f->groups[number].shape, type)) /* it would be smaller than the group */
            return false;
        readers[n++] = number;
        cost += count_new(f, t, type, number, false);
        if (added[number] + count_new(f, t, type, number, true) > NEW_MAX) return false;
    }
    if (!n || cost >= 2 + n) return false;
    for (int i = 0; i < n; i++) added[readers[i]] += count_new(f, t, type, readers[i], true);
    return true;
}

bool cj__fuse_again(cj__fuser *f)
{
    int *added = cj__arena_array(&f->scratch, (size_t)f->n + 1, sizeof *added);
    unsigned char *roots = cj__arena_alloc(&f->scratch, (size_t)f->n + 1);
    if (!added || !roots) return false;
    for (int i = 0; i < f->n_roots; i++)
        if (*f->roots[i]) roots[(*f->roots[i])->call->id] = 1;
    for (int id = 0; id < f->n; id++) {
        tree t = {.n_operations = 0};
        if (!f->live[id] || !f->escapes[id] || roots[id] || f->kind[id] != CJ__FUSE_POINT ||
            f->rows[id])
            continue;
        grow(f, &t, id, id);
        if (t.refused || !t.n_operations || !pays(f, &t, id, added)) continue;
        for (int i = 0; i < t.n_operations; i++) f->again[t.operations[i]] = 1;
        for (int i = 0; i < t.n_leaves; i++) f->escapes[t.leaves[i]] = 1;
        f->escapes[id] = 0;
    }
    return true;
}
