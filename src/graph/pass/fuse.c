/* fuse.c: calls over one shape become one call of `fused`, which runs tile by tile in cache.
 *
 * Every call begins as a group of its own. Walking in order, a call joins the groups that it reads:
 *
 *     elementwise     of the group's shape; or with one element for each row of it
 *     reduction       of the group's shape, over rows, columns or all; also one that reads what the
 *                     group reads, so that all sums over some data share one sweep
 *     softmax         along rows; and one_hot, which makes them
 *     view            of one element a row
 *
 * What is reduced over rows can be read again in the group, for a row stays in cache; other
 * reductions are known after the last tile: they are `terminal`. A broadcast belongs to no group:
 * whoever reads it inside a group gets a copy in the body, so that a bias or a scalar is never
 * spread out in memory.
 *
 * Each group has a `place` in the order of the new graph: the id of one of its calls. One rule
 * keeps the order possible: whatever a group reads from outside has a lower place than the group
 * itself. Two groups may become one in two ways:
 *
 *     later     the one with the lower place moves up to the other's, if nobody outside reads it
 *     earlier   the one with the higher place moves down, if what it reads is there by then
 *
 * `reader` is the lowest place of a reader outside a group (never higher than the truth, so a few
 * legal unions are missed). Sources and their broadcasts come first of all; a view outside of
 * groups is where what it views is.
 *
 * Afterwards, a value that only other groups read is computed again in each of them where that
 * costs less memory traffic than writing and reading it: fuse_again.c. */
#include "graph/pass/fuse.h"

#include <string.h>

enum { ROW_MAX = 65536 }; /* elements of a row that still stays in cache */

static cj__fuse_kind kind_of(const cj_call *call)
{
    const cj_op *op = call->op;
    if (op == &cj_op_broadcast) return CJ__FUSE_SPREAD;
    if (op == &cj_op_reshape) return CJ__FUSE_VIEW;
    if (op->flags & CJ_OP_ELEMENTWISE && call->n_out == 1 && call->n_in > 0 &&
        call->n_in <= CJ__GROUP_OPERANDS && op->ref)
        return CJ__FUSE_POINT;
    if (call->n_in != 1) return CJ__FUSE_PLAIN;
    if (op == &cj_op_one_hot) return call->in[0]->type.rank ? CJ__FUSE_ONE_HOT : CJ__FUSE_PLAIN;
    const cj_type *x = &call->in[0]->type;
    cj__cut cut;
    bool real = cj_dtype_info(x->dtype)->kind == CJ_KIND_FLOAT;
    if ((op == &cj_op_softmax || op == &cj_op_log_softmax) && real)
        return ((const cj__axis_attrs *)call->attributes)->axis == x->rank - 1 &&
                       x->dim[x->rank - 1] <= ROW_MAX
                   ? CJ__FUSE_ROWWISE
                   : CJ__FUSE_PLAIN;
    bool sum = op == &cj_op_reduce_sum || op == &cj_op_reduce_mean || op == &cj_op_reduce_max ||
               op == &cj_op_reduce_min;
    if (!real || !(sum || op == &cj_op_logsumexp) || !cj__reduction_cut(call, &cut))
        return CJ__FUSE_PLAIN;
    bool over_rows = cut.inner == x->rank && cut.outer;
    return sum || over_rows ? CJ__FUSE_REDUCE : CJ__FUSE_PLAIN;
}

cj_node *cj__fuse_source(const cj__fuser *f, const cj_call *call, int k)
{
    cj_node *x = call->in[k];
    if (cj__is_member(f, call->id))
        while (x->call->op == &cj_op_broadcast) x = x->call->in[0];
    return x;
}

static bool same_shape(const cj_type *a, const cj_type *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

/* Has `type` one element for each row of `shape`, whose first `leading` axes number them? */
static bool is_by_rows(const cj_type *type, const cj_type *shape, int leading)
{
    int at = 0;
    if (leading < 0) return false;
    for (int i = 0; i < type->rank; i++) {
        if (type->dim[i] == 1) continue;
        while (at < leading && shape->dim[at] == 1) at++;
        if (at == leading || shape->dim[at++] != type->dim[i]) return false;
    }
    while (at < leading && shape->dim[at] == 1) at++;
    return at == leading;
}

/* ... and does a broadcast repeat each along its row? */
static bool is_repeated(const cj_type *type, const cj_type *shape, int leading)
{
    int shift = shape->rank - type->rank;
    for (int i = 0; i < shape->rank; i++) {
        cj_dim d = i < shift ? 1 : type->dim[i - shift];
        if (d != (i < leading ? shape->dim[i] : 1)) return false;
    }
    return true;
}

/* ---- Unions ---------------------------------------------------------------------------------- */

typedef enum fit { NO_FIT, SAME_SHAPE, A_HAS_ROWS, B_HAS_ROWS } fit;

/* May two groups be one, as far as shapes go? B_HAS_ROWS: b works on one element for each row of a.
 */
static fit fits(const cj__group *a, const cj__group *b)
{
    if (!a->shape || !b->shape || a->late != b->late || a->stage != b->stage) return NO_FIT;
    if (same_shape(a->shape, b->shape)) {
        bool cut = a->leading >= 0 && b->leading >= 0 && a->leading != b->leading;
        bool middle = a->outer && b->outer && a->outer != b->outer;
        return cut || middle ? NO_FIT : SAME_SHAPE;
    }
    if (!b->reduces && is_by_rows(b->shape, a->shape, a->leading)) return B_HAS_ROWS;
    if (!a->reduces && is_by_rows(a->shape, b->shape, b->leading)) return A_HAS_ROWS;
    return NO_FIT;
}

/* The values that two groups read from outside both, or -1 when one of them reads a value of the
 * other that it cannot have. */
static int count_edges(cj__fuser *f, const cj__group *a, const cj__group *b, fit how)
{
    int edges = 0;
    const cj_type *shape = how == A_HAS_ROWS ? b->shape : a->shape;
    int leading = a->leading > b->leading ? a->leading : b->leading;
    for (int which = 0; which < 2; which++) {
        for (int id = which ? b->first : a->first; id >= 0; id = f->next[id]) {
            const cj_call *call = f->g->calls[id];
            for (int k = 0; k < call->n_in; k++) {
                const cj_node *from = cj__fuse_source(f, call, k);
                const cj__group *owner = cj__group_at(f, from->call->id);
                edges += owner != a && owner != b;
                if (owner != a && owner != b) continue;
                bool rows = f->rows[from->call->id] || (how == A_HAS_ROWS && owner == a) ||
                            (how == B_HAS_ROWS && owner == b);
                if (f->terminal[from->call->id]) return -1;
                if (f->kind[id] == CJ__FUSE_ONE_HOT && !rows) return -1;
                if (from != call->in[k] && (!rows || !is_repeated(&from->type, shape, leading)))
                    return -1;
            }
        }
    }
    return edges;
}

static void join(cj__fuser *f, cj__group *into, cj__group *from, int place, fit how)
{
    cj__group *small = how == A_HAS_ROWS ? into : how == B_HAS_ROWS ? from : NULL;
    for (int id = small ? small->first : -1; id >= 0; id = f->next[id]) f->rows[id] = 1;
    for (int id = from->first; id >= 0; id = f->next[id])
        f->group_of[id] = (int)(into - f->groups);
    f->next[into->last] = from->first;
    into->last = from->last;
    into->calls += from->calls;
    into->place = place;
    if (from->reader < into->reader) into->reader = from->reader;
    if (how == A_HAS_ROWS) into->shape = from->shape;
    if (from->leading > into->leading) into->leading = from->leading;
    if (from->outer > into->outer) into->outer = from->outer;
    into->reduces = into->reduces || from->reduces;
}

/* Where a call's result is there. */
static int place_of(cj__fuser *f, int id)
{
    while (cj__is_free_view(f, id)) id = f->g->calls[id]->in[0]->call->id;
    return cj__group_at(f, id)->place;
}

/* May group b, which comes later, be placed where group a is? */
static bool ready_at(cj__fuser *f, const cj__group *b, const cj__group *a)
{
    for (int id = b->first; id >= 0; id = f->next[id]) {
        const cj_call *call = f->g->calls[id];
        for (int k = 0; k < call->n_in; k++) {
            const int from = cj__fuse_source(f, call, k)->call->id;
            const cj__group *owner = cj__group_at(f, from);
            if (owner != a && owner != b && place_of(f, from) >= a->place) return false;
        }
    }
    return true;
}

/* Puts the group of call `id` together with a if that is possible. */
static void try_join(cj__fuser *f, int id, cj__group *a)
{
    cj__group *b = cj__group_at(f, id);
    fit how = a == b ? NO_FIT : fits(a, b);
    if (how == NO_FIT || a->calls + b->calls > CJ__GROUP_CALLS) return;
    int edges = count_edges(f, a, b, how);
    if (edges < 0 || edges > CJ__GROUP_EDGES) return;
    cj__group *low = a->place < b->place ? a : b, *high = low == a ? b : a;
    if (low->reader > high->place) join(f, a, b, high->place, how);
    else if (low == a && ready_at(f, b, a)) join(f, a, b, a->place, how);
}

/* A view of one element a row costs nothing where those are. */
static void try_view(cj__fuser *f, int id)
{
    const cj_call *call = f->g->calls[id];
    cj__group *a = cj__group_at(f, call->in[0]->call->id), *b = cj__group_at(f, id);
    if (!f->rows[call->in[0]->call->id] || a->calls == CJ__GROUP_CALLS ||
        !is_by_rows(&call->out[0].type, a->shape, a->leading))
        return;
    f->rows[id] = 1;
    join(f, a, b, a->place, SAME_SHAPE);
}

/* ---- Walking --------------------------------------------------------------------------------- */

static bool reads_whole(const cj__fuser *f, const cj_call *call, int k)
{
    return cj__is_member(f, call->id) && f->kind[call->id] != CJ__FUSE_ONE_HOT &&
           cj__fuse_source(f, call, k) == call->in[k];
}

static void find_group(cj__fuser *f, const cj_call *call)
{
    int id = call->id;
    for (int k = 0; cj__is_member(f, id) && k < call->n_in; k++) {
        int from = cj__fuse_source(f, call, k)->call->id;
        if (cj__is_member(f, from) || f->kind[from] == CJ__FUSE_VIEW)
            try_join(f, id, cj__group_at(f, from));
    }
    for (int k = 0; reads_whole(f, call, k < call->n_in ? k : 0) && k < call->n_in; k++) {
        int other = f->sibling[call->in[k]->call->id];
        if (other >= 0 && (cj__group_at(f, other)->reduces || cj__group_at(f, id)->reduces))
            try_join(f, id, cj__group_at(f, other));
    }
    if (f->kind[id] == CJ__FUSE_VIEW) try_view(f, id);
}

/* Group `mine` reads call `id`, and what that views. */
static void note_reader(cj__fuser *f, int id, const cj__group *mine)
{
    for (;; id = f->g->calls[id]->in[0]->call->id) {
        cj__group *from = cj__group_at(f, id);
        if (from != mine && mine->place < from->reader) from->reader = mine->place;
        if (!cj__is_free_view(f, id)) return;
    }
}

static void form_groups(cj__fuser *f)
{
    for (int i = 0; i < f->n; i++) {
        const cj_call *call = f->g->calls[i];
        if (!f->live[i]) continue;
        bool moves_nothing = f->kind[i] == CJ__FUSE_SPREAD || f->kind[i] == CJ__FUSE_VIEW;
        bool first = call->n_in == 0 ||
                     (moves_nothing &&
                      cj__group_at(f, call->in[0]->call->id)->place == CJ__GROUP_FIRST);
        f->groups[i].place = first ? CJ__GROUP_FIRST : i;
        find_group(f, call);
        const cj__group *mine = cj__group_at(f, i);
        for (int k = 0; k < call->n_in; k++) {
            const int source = cj__fuse_source(f, call, k)->call->id;
            note_reader(f, source, mine);
            if (reads_whole(f, call, k)) f->sibling[source] = i;
        }
    }
}

static void find_escapes(cj__fuser *f)
{
    for (int i = 0; i < f->n; i++)
        for (int k = 0; f->live[i] && k < f->g->calls[i]->n_in; k++) {
            int from = cj__fuse_source(f, f->g->calls[i], k)->call->id;
            if (f->group_of[from] != f->group_of[i]) f->escapes[from] = 1;
        }
    for (int i = 0; i < f->n_roots; i++)
        if (*f->roots[i]) f->escapes[(*f->roots[i])->call->id] = 1;
}

/* ---- Before ---------------------------------------------------------------------------------- */

static void begin_group(cj__fuser *f, int id)
{
    const cj_call *call = f->g->calls[id];
    cj__group *mine = &f->groups[id];
    cj__cut cut;
    *mine = (cj__group){.first = id,
                        .last = id,
                        .calls = 1,
                        .place = id,
                        .reader = f->n,
                        .leading = -1,
                        .late = f->late[id],
                        .stage = f->apart ? call->stage : 0};
    if (cj__is_member(f, id)) mine->shape = &call->out[0].type;
    if (f->kind[id] < CJ__FUSE_ONE_HOT) return;
    mine->reduces = f->kind[id] != CJ__FUSE_ONE_HOT;
    if (f->kind[id] == CJ__FUSE_REDUCE) mine->shape = &call->in[0]->type;
    if (f->kind[id] != CJ__FUSE_REDUCE) {
        mine->leading = mine->shape->rank - 1;
        while (mine->leading && mine->shape->dim[mine->leading - 1] == 1) mine->leading--;
        return;
    }
    cj__reduction_cut(call, &cut);
    bool all = !cut.outer && cut.inner == mine->shape->rank;
    f->terminal[id] = 1;
    if (all) return;
    mine->leading = cut.inner < mine->shape->rank ? cut.inner : cut.outer;
    mine->outer = cut.inner < mine->shape->rank ? cut.outer : 0;
    if (cut.inner < mine->shape->rank) return;
    int64_t row = 1; /* symbols count as short */
    for (int i = cut.outer; i < cut.inner && row <= ROW_MAX; i++)
        if (mine->shape->dim[i] > 0) row *= mine->shape->dim[i];
    f->terminal[id] = row > ROW_MAX;
    f->rows[id] = !f->terminal[id];
}

/* Calls that updates alone need, and broadcasts that somebody outside of groups reads: others are
 * not live. */
static void mark_calls(cj__fuser *f)
{
    enum { IN_GROUPS = 2 };
    for (int i = 0; i < f->n; i++) {
        f->late[i] = 1;
        f->inner_of[i] = f->sibling[i] = f->next[i] = -1;
        f->group_of[i] = i;
        f->kind[i] = (unsigned char)kind_of(f->g->calls[i]);
        if (f->kind[i] == CJ__FUSE_SPREAD && f->live[i]) f->live[i] = IN_GROUPS;
    }
    for (int i = 0; i < f->n_roots; i++) {
        if (!*f->roots[i]) continue;
        int id = (*f->roots[i])->call->id;
        f->live[id] = 1;
        if (i < f->first_late || i >= f->first_late + f->n_late) f->late[id] = 0;
    }
    for (int i = f->n - 1; i >= 0; i--) {
        const cj_call *call = f->g->calls[i];
        bool light = f->kind[i] == CJ__FUSE_SPREAD || f->kind[i] == CJ__FUSE_VIEW;
        f->late[i] = f->late[i] && (f->kind[i] == CJ__FUSE_POINT || light);
        for (int k = 0; f->live[i] && k < call->n_in; k++) {
            int from = call->in[k]->call->id;
            if (!f->late[i]) f->late[from] = 0;
            if (f->live[from] == IN_GROUPS && f->live[i] != IN_GROUPS && !cj__is_member(f, i))
                f->live[from] = 1;
        }
        if (f->live[i] == IN_GROUPS) f->live[i] = 0;
    }
    for (int i = 0; i < f->n; i++) begin_group(f, i);
}

static bool allocate(cj__fuser *f)
{
    size_t n = (size_t)f->n + 1;
    f->group_of = cj__arena_array(&f->scratch, n, sizeof *f->group_of);
    f->next = cj__arena_array(&f->scratch, n, sizeof *f->next);
    f->sibling = cj__arena_array(&f->scratch, n, sizeof *f->sibling);
    f->groups = cj__arena_array(&f->scratch, n, sizeof *f->groups);
    f->kind = cj__arena_alloc(&f->scratch, n);
    f->live = cj__arena_alloc(&f->scratch, n);
    f->rows = cj__arena_alloc(&f->scratch, n);
    f->terminal = cj__arena_alloc(&f->scratch, n);
    f->late = cj__arena_alloc(&f->scratch, n);
    f->escapes = cj__arena_alloc(&f->scratch, n);
    f->again = cj__arena_alloc(&f->scratch, n);
    f->map = cj__arena_array(&f->scratch, n, sizeof *f->map);
    f->inner = cj__arena_array(&f->scratch, n, sizeof *f->inner);
    f->inner_of = cj__arena_array(&f->scratch, n, sizeof *f->inner_of);
    return f->group_of && f->next && f->sibling && f->groups && f->kind && f->live && f->rows &&
           f->terminal && f->late && f->escapes && f->again && f->map && f->inner && f->inner_of;
}

static bool fuse(cj__fuser *f)
{
    const cj_graph *g = f->g;
    f->n = g->n_calls;
    cj_node **nodes = cj__arena_array(&f->scratch, (size_t)f->n_roots + 1, sizeof *nodes);
    if (!allocate(f) || !nodes) return false;
    for (int i = 0; i < f->n_roots; i++) nodes[i] = *f->roots[i];
    cj__graph_mark(g, nodes, f->n_roots, f->live);
    for (int i = 0; i < f->n; i++)
        if (g->calls[i]->op == &cj_op_input || g->calls[i]->op->flags & CJ_OP_OPAQUE)
            f->live[i] = 1;
    mark_calls(f);
    form_groups(f);
    find_escapes(f);
    return cj__fuse_again(f) && cj__fuse_write(f);
}

cj_graph *cj__pass_fuse(const cj_graph *g, cj_node ***roots, int n_roots, int first_late,
                        int n_late, bool apart)
{
    cj__fuser f = {.g = g,
                   .to = cj_graph_new(g->cj),
                   .roots = roots,
                   .n_roots = n_roots,
                   .first_late = first_late,
                   .n_late = n_late,
                   .apart = apart};
    if (!f.to) return NULL;
    cj__arena_init(&f.scratch, g->cj);
    bool done = fuse(&f);
    cj__arena_release(&f.scratch);
    if (!done) {
        if (f.to->failed == CJ_OK) cj_fail(g->cj, CJ_ERR_MEMORY, "fuse: out of memory");
        cj_graph_free(f.to);
        return NULL;
    }
    f.to->shared_store = g->store ? g->store : g->shared_store;
    return f.to;
}
