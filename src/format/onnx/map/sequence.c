/* sequence.c: sequences and optional values, which exist only while reading.
 *
 * Cajal's graphs have tensors alone. A sequence is a list of sources here, an optional value its
 * source or nothing, and what ONNX does with them is done at once: which element is taken, how many
 * there are and where they are inserted must be known, for which values.c computes. So no sequence
 * leaves a call behind. As inputs and outputs of a model they are not read. */
#include <string.h>

#include "format/onnx/import.h"
#include "graph/ops/block.h"

enum { LENGTH_MAX = 1 << 20 };

static cj__onnx_list *new_list(cj__onnx_reader *r, int64_t n)
{
    if (n > LENGTH_MAX) {
        cj__onnx_fail(r, CJ_ERR_LIMIT, "a sequence of %lld elements", (long long)n);
        return NULL;
    }
    if (!cj__onnx_spend_looks(r, 1, (size_t)n)) return NULL;
    cj__onnx_list *list = cj__arena_alloc(r->arena, sizeof(*list));
    cj__onnx_source **items = cj__arena_array(r->arena, (size_t)n + 1, sizeof(*items));
    if (!list || !items) return cj__onnx_no_memory(r), NULL;
    *list = (cj__onnx_list){.items = items, .n = n};
    return list;
}

static void set_list(cj__onnx_reader *r, size_t k, const cj__onnx_list *list)
{
    if (list && !r->failed) cj__onnx_set_source(r, k, &(cj__onnx_source){.list = list});
}

static const cj__onnx_list *list_in(cj__onnx_reader *r, size_t i)
{
    cj__onnx_source *source = cj__onnx_source_in(r, i);
    if (source && !source->list)
        cj__onnx_fail(r, CJ_ERR_DATA, "operand %zu ('%s') is no sequence", i, source->name);
    return source ? source->list : NULL;
}

/* A position among n, from the end where it is negative; the last one where it is absent. */
static int64_t position_in(cj__onnx_reader *r, size_t i, int64_t n, int64_t absent)
{
    int64_t at = absent;
    if (cj__onnx_has(r, i) && cj__onnx_numbers_in(r, i, "position", 1, &at) != 1) return -1;
    int64_t from_start = at < 0 ? at + n : at;
    if (from_start >= 0 && from_start < n) return from_start;
    cj__onnx_fail(r, CJ_ERR_DATA, "position %lld in a sequence, expected -%lld to %lld",
                  (long long)at, (long long)n, (long long)n - 1);
    return -1;
}

static void read_empty(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    set_list(r, 0, new_list(r, 0));
}

static void read_construct(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_list *list = new_list(r, (int64_t)r->node->input.count);
    (void)row;
    for (int64_t i = 0; list && i < list->n && !r->failed; i++)
        list->items[i] = cj__onnx_source_in(r, (size_t)i);
    set_list(r, 0, list);
}

static void read_at(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj__onnx_list *list = list_in(r, 0);
    (void)row;
    if (!list) return;
    int64_t at = position_in(r, 1, list->n, list->n - 1);
    if (at >= 0) cj__onnx_set_source(r, 0, list->items[at]);
}

static void read_insert(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj__onnx_list *list = list_in(r, 0);
    cj__onnx_source *item = list ? cj__onnx_source_in(r, 1) : NULL;
    cj__onnx_list *longer = item ? new_list(r, list->n + 1) : NULL;
    (void)row;
    if (!longer) return;
    /* -1 is the place before the last: counted as in the sequence there is. */
    int64_t at = list->n;
    if (cj__onnx_has(r, 2) && cj__onnx_numbers_in(r, 2, "position", 1, &at) != 1) return;
    at = at < 0 ? at + list->n : at;
    if (at < 0 || at > list->n) {
        cj__onnx_fail(r, CJ_ERR_DATA, "it inserts at %lld into %lld elements", (long long)at,
                      (long long)list->n);
        return;
    }
    for (int64_t i = 0; i < longer->n; i++)
        longer->items[i] = i == at ? item : list->items[i - (i > at)];
    set_list(r, 0, longer);
}

static void read_erase(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj__onnx_list *list = list_in(r, 0);
    int64_t at = list ? position_in(r, 1, list->n, list->n - 1) : -1;
    cj__onnx_list *shorter = at >= 0 ? new_list(r, list->n - 1) : NULL;
    (void)row;
    for (int64_t i = 0; shorter && i < shorter->n; i++)
        shorter->items[i] = list->items[i + (i >= at)];
    set_list(r, 0, shorter);
}

static void read_length(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj__onnx_list *list = list_in(r, 0);
    cj__onnx_sizes *n = list ? cj__onnx_new_sizes(r, 0, 1, CJ_I64) : NULL;
    (void)row;
    if (n) n->at[0].v = list->n;
    cj__onnx_set_sizes(r, 0, n);
}

static void read_concat(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const cj__onnx_list *list = list_in(r, 0);
    int64_t axis = cj__onnx_get_int(r, "axis", 0);
    bool stack = cj__onnx_get_int(r, "new_axis", 0);
    (void)row;
    if (!list) return;
    cj_node **parts = cj__arena_array(r->arena, (size_t)list->n + 1, sizeof(*parts));
    if (!parts) cj__onnx_no_memory(r);
    if (!list->n) cj__onnx_fail(r, CJ_ERR_DATA, "the sequence is empty");
    for (int64_t i = 0; i < list->n && !r->failed; i++)
        parts[i] = cj__onnx_node_of(r, list->items[i]);
    if (r->failed) return;
    int rank = parts[0]->type.rank + stack, at = cj__axis(parts[0], "Concat", axis, rank);
    if (at < 0) return;
    cj__onnx_set(r, 0, stack ? cj_stack(parts, (int)list->n, at)
                             : cj_concat(parts, (int)list->n, at));
}

/* Parts of the sizes in `split` (a vector), of one size (a scalar), or of 1. */
static void read_split(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    const cj__onnx_sizes *split = cj__onnx_has(r, 1) ? cj__onnx_want_sizes(r, 1) : NULL;
    bool keep = cj__onnx_get_int(r, "keepdims", 1) || cj__onnx_has(r, 1);
    (void)row;
    if (!x || r->failed) return;
    int axis = cj__axis(x, "SplitToSequence", cj__onnx_get_int(r, "axis", 0), x->type.rank);
    if (axis < 0) return;
    int64_t size = x->type.dim[axis], begin = 0;
    if (size < 0 || (cj__onnx_has(r, 1) && !split)) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                      "how it is split is known only when running, or it has more than %d parts",
                      CJ__ONNX_SIZES_MAX);
        return;
    }
    bool vector = split && split->rank == 1;
    int64_t share = split && !vector ? split->at[0].v : 1;
    if (share < 1) cj__onnx_fail(r, CJ_ERR_DATA, "parts of %lld", (long long)share);
    int64_t n = vector ? split->n : share < 1 ? 0 : (size + share - 1) / share;
    cj__onnx_grant_steps(r, (double)n, 0, NULL);
    cj__onnx_list *list = cj__onnx_spend(r, n) ? new_list(r, n) : NULL;
    for (int64_t i = 0; list && i < n && !r->failed; i++) {
        int64_t part = vector ? split->at[i].v : share;
        if (!vector && part > size - begin) part = size - begin;
        if (part < 0 || part > size - begin) {
            cj__onnx_fail(r, CJ_ERR_SHAPE, "part %lld of %lld has %lld of %lld elements",
                          (long long)i, (long long)n, (long long)part, (long long)size);
            return;
        }
        cj_node *y = cj_slice_axis(x, axis, begin, part);
        list->items[i] = cj__onnx_new_source(r, keep ? y : cj_squeeze(y, axis));
        begin += part;
    }
    if (vector && begin != size && !r->failed)
        cj__onnx_fail(r, CJ_ERR_SHAPE, "its parts have %lld of %lld elements", (long long)begin,
                      (long long)size);
    set_list(r, 0, list);
}

/* The body for each element; operands that are tensors are the same for all. */
static void read_map(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_graph *body = cj__onnx_get_graph(r, "body");
    const cj__onnx_list *first = list_in(r, 0);
    size_t n_in = r->node->input.count, n_out = r->node->output.count;
    (void)row;
    if (!body || !first) return;
    cj__onnx_source **in = cj__arena_array(r->arena, n_in + 1, sizeof(*in)),
                    **out = cj__arena_array(r->arena, body->output.count + 1, sizeof(*out));
    cj__onnx_list **lists = cj__arena_array(r->arena, n_out + 1, sizeof(*lists));
    if (!in || !out || !lists) cj__onnx_no_memory(r);
    if (n_out > body->output.count)
        cj__onnx_fail(r, CJ_ERR_DATA, "%zu outputs, and %zu of its body", n_out,
                      body->output.count);
    for (size_t k = 0; k < n_out && !r->failed; k++) lists[k] = new_list(r, first->n);
    cj__onnx_grant_steps(r, (double)first->n, body->node.count, body->node.items);
    for (int64_t i = 0; i < first->n && !r->failed; i++) {
        for (size_t k = 0; k < n_in && !r->failed; k++) {
            cj__onnx_source *from = cj__onnx_source_in(r, k);
            if (from && from->list && from->list->n != first->n)
                cj__onnx_fail(r, CJ_ERR_SHAPE, "sequences of %lld and %lld elements",
                              (long long)first->n, (long long)from->list->n);
            in[k] = from && from->list && !r->failed ? from->list->items[i] : from;
        }
        if (!cj__onnx_read_in_place(r, body, in, n_in, out)) return;
        for (size_t k = 0; k < n_out; k++) lists[k]->items[i] = out[k];
    }
    for (size_t k = 0; k < n_out; k++) set_list(r, k, lists[k]);
}

/* ---- Optional values ------------------------------------------------------------------------- */

static void read_optional(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    if (cj__onnx_has(r, 0)) cj__onnx_set_source(r, 0, cj__onnx_source_in(r, 0));
    else cj__onnx_set_source(r, 0, &(cj__onnx_source){.absent = true});
}

static void read_has_element(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_source *source = cj__onnx_has(r, 0) ? cj__onnx_source_in(r, 0) : NULL;
    (void)row;
    if (!r->failed) cj__onnx_set(r, 0, cj_scalar(r->g, CJ_BOOL, source && !source->absent));
}

static void read_get_element(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_source *source = cj__onnx_source_in(r, 0);
    (void)row;
    if (source && source->absent)
        cj__onnx_fail(r, CJ_ERR_DATA, "the optional value '%s' is none", source->name);
    else cj__onnx_set_source(r, 0, source);
}

const cj__onnx_row cj__onnx_rows_sequence[] = {
    {.onnx = "SequenceEmpty", .read = read_empty},
    {.onnx = "SequenceConstruct", .read = read_construct},
    {.onnx = "SequenceAt", .read = read_at},
    {.onnx = "SequenceInsert", .read = read_insert},
    {.onnx = "SequenceErase", .read = read_erase},
    {.onnx = "SequenceLength", .read = read_length},
    {.onnx = "ConcatFromSequence", .read = read_concat},
    {.onnx = "SplitToSequence", .read = read_split},
    {.onnx = "SequenceMap", .read = read_map},
    {.onnx = "Optional", .read = read_optional},
    {.onnx = "OptionalHasElement", .read = read_has_element},
    {.onnx = "OptionalGetElement", .read = read_get_element},
    {0},
};
