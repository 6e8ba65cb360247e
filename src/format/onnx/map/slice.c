/* slice.c: parts of arrays: Slice, Concat, Split, Pad, and blocks at a begin known when
 * running.
 *
 * Our slice says how many elements are taken, ONNX's where to end; an end beyond any size means all
 * that are left. A block at a run-time begin is written as Slice(x, begin, begin + size): the
 * reader sees the sum and knows the size again. */
#include <string.h>

#include "format/onnx/turned.h"
#include "graph/ops/image.h"

static const int64_t END = INT64_MAX, START = -INT64_MAX; /* beyond the last, before the first */
static const int64_t FAR = 1 << 30; /* from here on, too, where the size is a symbol */

static cj_graph *graph_of(cj__onnx_writer *w)
{
    return w->scope->g;
}

/* ---- Slice ----------------------------------------------------------------------------------- */

typedef struct cut {
    int64_t axis, begin, step, end;
    bool symbolic; /* end is a dimension */
} cut;

/* Where the slice of one axis ends; false when ONNX cannot say it. */
static bool end_of(cj_graph *g, cj_dim n, cj_dim size, cut *c)
{
    if (size >= 0) {
        c->end = c->begin + size * c->step;
        if (size == 0) c->end = c->begin;
        else if (c->step > 0 && c->begin < 0 && c->end >= 0) c->end = END;
        else if (c->step < 0 && c->begin >= 0 && c->end < 0) c->end = START;
        return true;
    }
    cj_dim first = c->begin < 0 ? cj_dim_sub(g, n, -c->begin) : c->begin;
    if (c->step < 0) {
        c->end = START;
        return size == cj__dim_shift(g, cj_dim_div(g, first, -c->step), 1);
    }
    cj_dim left = cj_dim_div(g, cj__dim_shift(g, cj_dim_sub(g, n, first), c->step - 1), c->step);
    c->end = END;
    if (left == size) return true;
    c->symbolic = true;
    c->end = cj_dim_add(g, first, cj_dim_mul(g, size, c->step));
    return true;
}

static void write_slice(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_type *x = &w->call->in[0]->type, *y = &w->call->out[0].type;
    cj_ints begin = cj__onnx_field_ints(w->call, "begin"),
            step = cj__onnx_field_ints(w->call, "step");
    int64_t starts[CJ_RANK_MAX], ends[CJ_RANK_MAX], axes[CJ_RANK_MAX], steps[CJ_RANK_MAX];
    int n = 0;
    const char *value = cj__onnx_in(w, 0);
    (void)row;
    for (int i = 0; i < x->rank; i++) {
        cut c = {.axis = i, .begin = begin.v[i], .step = step.v[i]};
        if (c.begin == 0 && c.step == 1 && y->dim[i] == x->dim[i]) continue;
        if (!end_of(graph_of(w), x->dim[i], y->dim[i], &c)) {
            cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "a walk back of '%s' elements along axis %d",
                            cj_dim_text(graph_of(w), y->dim[i]), i);
            return;
        }
        if (c.symbolic) {
            value = cj__onnx_step(w, "Slice", value, cj__onnx_ints(w, 1, &c.begin),
                                  cj__onnx_dims(w, 1, &c.end), cj__onnx_ints(w, 1, &c.axis),
                                  cj__onnx_ints(w, 1, &c.step), NULL);
            continue;
        }
        starts[n] = c.begin, ends[n] = c.end, axes[n] = i, steps[n++] = c.step;
    }
    if (n == 0) cj__onnx_last(w, "Identity", value, NULL);
    else
        cj__onnx_last(w, "Slice", value, cj__onnx_ints(w, n, starts), cj__onnx_ints(w, n, ends),
                      cj__onnx_ints(w, n, axes), cj__onnx_ints(w, n, steps), NULL);
}

/* What is cut out along each axis, as our slice has it. */
typedef struct window {
    int64_t begin[CJ_RANK_MAX], step[CJ_RANK_MAX];
    cj_dim size[CJ_RANK_MAX];
} window;

/* An axis of known size: ONNX clamps both ends, a start before the first element to the first, from
 * which a walk back (unlike numpy's) takes that one element. */
static void cut_number(int64_t n, int64_t start, int64_t end, int64_t step, window *win, int axis)
{
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    start = start < 0 ? (start < -n ? low : start + n) : start;
    end = end < 0 ? (end < -n ? low : end + n) : end;
    start = start < 0 ? 0 : start;
    start = start > high ? high : start;
    end = end < low ? low : end > n ? n : end;
    int64_t length = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
    win->size[axis] = length > 0 ? (length - 1) / stride + 1 : 0;
    win->begin[axis] = win->size[axis] ? start : 0;
}

/* A symbolic axis: ends count from the side they are on. */
static bool cut_symbol(cj_graph *g, cj_dim n, int64_t start, bool end_is_dim, int64_t end,
                       int64_t step, window *win, int axis)
{
    int64_t stride = step > 0 ? step : -step;
    win->begin[axis] = start;
    win->size[axis] = CJ_INFER;
    if (step < 0) {
        if (start >= FAR) win->begin[axis] = -1;
        else if (start >= 0) return false;
        if (end_is_dim || end >= 0) return false;
        if (end > -FAR) win->size[axis] = (win->begin[axis] - end + stride - 1) / stride;
        return win->size[axis] == CJ_INFER || win->size[axis] >= 0;
    }
    if (start <= -FAR) win->begin[axis] = start = 0;
    if (end_is_dim ? end == n : end >= FAR) return true;
    if (start < 0) {
        if (end_is_dim || end >= 0) return false;
        win->size[axis] = end > start ? (end - start + step - 1) / step : 0;
        return true;
    }
    cj_dim stop = end_is_dim ? end : end < 0 ? cj__dim_shift(g, n, end) : cj_dim_min(g, n, end);
    win->size[axis] = cj_dim_div(g, cj__dim_shift(g, cj_dim_sub(g, stop, start), step - 1), step);
    return true;
}

/* Slice(x, begin, begin + size). */
static void read_window(cj__onnx_reader *r, cj_node *x, int n, const int64_t *axes)
{
    cj__onnx_source *ends = cj__onnx_source_in(r, 2), *starts = cj__onnx_source_in(r, 1);
    const cj__onnx_sizes *sizes = NULL;
    if (r->failed) return;
    for (int k = 0; k < 2 && !sizes; k++)
        if (ends->sum[k] == starts && ends->sum[1 - k])
            sizes = cj__onnx_sizes_of(r, (cj__onnx_source *)(uintptr_t)ends->sum[1 - k]);
    if (!sizes || sizes->n != n || cj__onnx_has(r, 4)) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                      "where it begins is known only when running, and how much it takes too");
        return;
    }
    cj_node *begin = cj__onnx_node_in(r, 1), *parts[CJ_RANK_MAX];
    cj_dim size[CJ_RANK_MAX];
    for (int i = 0; i < x->type.rank; i++) {
        parts[i] = NULL;
        size[i] = x->type.dim[i];
        for (int k = 0; k < n; k++) {
            if (axes[k] != i) continue;
            parts[i] = cj_slice_axis(begin, 0, k, 1);
            size[i] = sizes->at[k].v;
        }
        if (!parts[i]) parts[i] = cj_reshape(cj_scalar(r->g, CJ_I64, 0), 1, (cj_dim[]){1});
        parts[i] = cj_cast(parts[i], CJ_I64);
    }
    bool in_order = n == x->type.rank;
    for (int k = 0; k < n; k++) in_order = in_order && axes[k] == k;
    cj__onnx_set(r, 0,
                 cj_dynamic_slice(x, in_order ? begin : cj_concat(parts, x->type.rank, 0), size));
}

/* What begins at sizes that are symbols. */
typedef struct late_window {
    cj_dim begin[CJ_RANK_MAX], size[CJ_RANK_MAX]; /* size CJ_INFER: all */
    bool any;
} late_window;

static cj_node *cut_late(cj_graph *g, cj_node *x, late_window *late)
{
    cj_node *begin[CJ_RANK_MAX];
    if (!x) return NULL;
    for (int i = 0; i < x->type.rank; i++) {
        begin[i] = cj_dim_value(g, late->begin[i]);
        if (late->size[i] == CJ_INFER) late->size[i] = x->type.dim[i];
    }
    return cj_dynamic_slice(x, cj_stack(begin, x->type.rank, 0), late->size);
}

static void read_slice(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    int64_t start[CJ_RANK_MAX], end[CJ_RANK_MAX], axes[CJ_RANK_MAX], steps[CJ_RANK_MAX];
    bool start_is_dim[CJ_RANK_MAX] = {false}, end_is_dim[CJ_RANK_MAX] = {false};
    int n, m = -1;
    (void)row;
    if (!x) return;
    bool old = r->opset < 10;
    const cj__onnx_sizes *starts = old ? NULL : cj__onnx_want_sizes(r, 1),
                         *ends = old ? NULL : cj__onnx_want_sizes(r, 2);
    int given = cj__onnx_axes(r, "axes", 3, CJ_RANK_MAX, axes);
    if (old) {
        n = cj__onnx_get_ints(r, "starts", CJ_RANK_MAX, start);
        m = cj__onnx_get_ints(r, "ends", CJ_RANK_MAX, end);
        if (n < 0 || n != m) cj__onnx_fail(r, CJ_ERR_DATA, "%d starts and %d ends", n, m);
    } else if (!starts || !ends) {
        const cj_type *begins = cj__onnx_node_in(r, 1) ? &cj__onnx_node_in(r, 1)->type : NULL;
        n = begins && begins->rank == 1 && begins->dim[0] >= 0 && begins->dim[0] <= CJ_RANK_MAX
                ? (int)begins->dim[0]
                : -1;
        if (r->failed) return;
        for (int i = 0; i < n; i++) {
            axes[i] = given < 0 ? i : cj__axis(x, "Slice", axes[i], x->type.rank);
            if (axes[i] < 0) return;
        }
        if (n < 0 || n > x->type.rank || (given >= 0 && given != n))
            cj__onnx_fail(r, CJ_ERR_SHAPE, "its starts are no vector");
        else read_window(r, x, n, axes);
        return;
    } else {
        n = starts->n;
        if (n != ends->n || n > CJ_RANK_MAX)
            cj__onnx_fail(r, CJ_ERR_DATA, "%d starts and %d ends", n, ends->n);
        for (int i = 0; i < n && !r->failed; i++) {
            start[i] = starts->at[i].v;
            end[i] = ends->at[i].v;
            end_is_dim[i] = ends->at[i].symbolic;
            start_is_dim[i] = starts->at[i].symbolic;
        }
    }
    int n_steps = old || !cj__onnx_has(r, 4)
                      ? -1
                      : cj__onnx_numbers_in(r, 4, "steps", CJ_RANK_MAX, steps);
    if (r->failed) return;
    if ((given >= 0 && given != n) || (n_steps >= 0 && n_steps != n) || n > x->type.rank) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%d starts, %d axes and %d steps for rank %d", n, given,
                      n_steps, x->type.rank);
        return;
    }
    if (n == 1 && n_steps == 1 && steps[0] == -1 && start[0] == -1 && end[0] <= START &&
        !end_is_dim[0]) {
        const int axis = given < 0 ? 0 : cj__axis(x, "Slice", axes[0], x->type.rank);
        if (axis >= 0) cj__onnx_set(r, 0, cj_reverse(x, axis));
        return;
    }
    window win;
    late_window late = {0};
    bool seen[CJ_RANK_MAX] = {false};
    for (int i = 0; i < x->type.rank; i++)
        win.begin[i] = 0, win.step[i] = 1, win.size[i] = x->type.dim[i], late.size[i] = CJ_INFER;
    for (int i = 0; i < n; i++) {
        int axis = given < 0 ? i : cj__axis(x, "Slice", axes[i], x->type.rank);
        int64_t step = n_steps < 0 ? 1 : steps[i];
        if (axis < 0) return;
        if (step == 0 || step < -((int64_t)1 << 40) || step > (int64_t)1 << 40 || seen[axis]) {
            cj__onnx_fail(r, CJ_ERR_DATA, "axis %d: %s", axis,
                          seen[axis] ? "named twice" : "a step of 0 or beyond all sizes");
            return;
        }
        seen[axis] = true;
        win.step[axis] = step;
        cj_dim size = x->type.dim[axis];
        if (start_is_dim[i]) {
            if (step != 1 || (!end_is_dim[i] && end[i] < 0)) {
                cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                              "axis %d: it begins at a size that is a symbol, and does not end at "
                              "one in steps of 1",
                              axis);
                return;
            }
            cj_dim stop = end_is_dim[i] || end[i] < FAR ? cj_dim_min(r->g, size, end[i]) : size;
            late.begin[axis] = start[i];
            late.size[axis] = cj_dim_sub(r->g, stop, start[i]);
            late.any = true;
        } else if (size >= 0 && !end_is_dim[i])
            cut_number(size, start[i], end[i], step, &win, axis);
        else if (!cut_symbol(r->g, size, start[i], end_is_dim[i], end[i], step, &win, axis)) {
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED,
                          "axis %d of unknown size is cut from one side to the other", axis);
            return;
        }
    }
    cj_node *y = cj_slice(x, win.begin, win.size, win.step);
    cj__onnx_set(r, 0, late.any ? cut_late(r->g, y, &late) : y);
}

static void write_reverse(cj__onnx_writer *w, const cj__onnx_row *row)
{
    cj_ints reversed = cj__onnx_field_ints(w->call, "axes");
    int64_t starts[CJ_RANK_MAX], ends[CJ_RANK_MAX], axes[CJ_RANK_MAX];
    int n = 0;
    const char *x = cj__onnx_in(w, 0);
    (void)row;
    for (int i = 0; i < reversed.n; i++) {
        cj_dim size = w->call->out[0].type.dim[reversed.v[i]];
        if (size == 0 || size == 1)
            continue; /* nothing to turn; onnx 1.12 takes an empty axis for one of 1 */
        starts[n] = -1, ends[n] = START, axes[n++] = reversed.v[i];
    }
    if (n == 0) cj__onnx_last(w, "Identity", x, NULL);
    else
        cj__onnx_last(w, "Slice", x, cj__onnx_ints(w, n, starts), cj__onnx_ints(w, n, ends),
                      cj__onnx_ints(w, n, axes), cj__onnx_ints(w, n, starts), NULL);
}

/* ---- Blocks at a begin known when running ---------------------------------------------------- */

/* begin kept where the whole block lies inside: min(begin, n - size), and not below 0. */
static const char *clamped(cj__onnx_writer *w, int operand, const cj_type *x, const cj_type *block)
{
    cj_dim room[CJ_RANK_MAX];
    for (int i = 0; i < x->rank; i++) room[i] = cj_dim_sub(graph_of(w), x->dim[i], block->dim[i]);
    const char *begin = cj__onnx_in(w, operand);
    begin = cj__onnx_step(w, "Min", begin, cj__onnx_dims(w, x->rank, room), NULL);
    return cj__onnx_step(w, "Max", begin, cj__onnx_scalar(w, CJ_I64, 0), NULL);
}

static void write_dynamic_slice(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_type *x = &w->call->in[0]->type, *y = &w->call->out[0].type;
    const char *value = cj__onnx_in(w, 0);
    int64_t axes[CJ_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
    (void)row;
    if (x->rank == 0) {
        cj__onnx_last(w, "Identity", value, NULL);
        return;
    }
    const char *begin = clamped(w, 1, x, y);
    const char *end = cj__onnx_step(w, "Add", begin, cj__onnx_dims(w, y->rank, y->dim), NULL);
    cj__onnx_last(w, "Slice", value, begin, end, cj__onnx_ints(w, x->rank, axes), NULL);
}

/* ScatterND with the index of every element of the block: begin + (i, j ...). */
static void write_update_slice(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_type *x = &w->call->in[0]->type, *block = &w->call->in[1]->type;
    const char *value = cj__onnx_in(w, 0), *update = cj__onnx_in(w, 1), *grid = NULL;
    int64_t shape[CJ_RANK_MAX + 1];
    (void)row;
    if (x->rank == 0) {
        cj__onnx_last(w, "Identity", update, NULL);
        return;
    }
    if (x->rank == CJ_RANK_MAX) {
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "rank %d", x->rank);
        return;
    }
    const char *begin = clamped(w, 2, x, block), *zero = cj__onnx_scalar(w, CJ_I64, 0),
               *one = cj__onnx_scalar(w, CJ_I64, 1);
    cj_dim full[CJ_RANK_MAX + 1];
    for (int i = 0; i < x->rank; i++) full[i] = block->dim[i];
    full[x->rank] = 1;
    const char *target = cj__onnx_dims(w, x->rank + 1, full);
    for (int i = 0; i < x->rank && !w->failed; i++) {
        for (int k = 0; k <= x->rank; k++) shape[k] = k == i ? -1 : 1;
        const char *at = cj__onnx_step(w, "Range", zero, cj__onnx_dim_value(w, block->dim[i]), one,
                                       NULL);
        const char *first = cj__onnx_step(w, "Gather", begin, cj__onnx_scalar(w, CJ_I64, i), NULL);
        at = cj__onnx_step(w, "Reshape", cj__onnx_step(w, "Add", at, first, NULL),
                           cj__onnx_ints(w, x->rank + 1, shape), NULL);
        at = cj__onnx_step(w, "Expand", at, target, NULL);
        if (i) {
            at = cj__onnx_step(w, "Concat", grid, at, NULL);
            cj__onnx_put_int(w, "axis", x->rank);
        }
        grid = at;
    }
    cj__onnx_last(w, "ScatterND", value, grid, update, NULL);
}

/* ---- Concat and Split ------------------------------------------------------------------------ */

static void write_concat(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char *in[80];
    size_t n = (size_t)w->call->n_in;
    if (n > 80) {
        cj__onnx_refuse(w, CJ_ERR_LIMIT, "%zu operands", n);
        return;
    }
    for (size_t i = 0; i < n; i++) in[i] = cj__onnx_in(w, (int)i);
    cj__onnx_last_list(w, row->onnx, n, in);
    cj__onnx_put_int(w, "axis", cj__onnx_field_int(w->call, "axis"));
}

static void read_concat(cj__onnx_reader *r, const cj__onnx_row *row)
{
    size_t n = r->node->input.count;
    cj_node **parts = cj__arena_array(r->arena, n + 1, sizeof(*parts));
    (void)row;
    if (!parts || n < 1 || n > 1 << 20) {
        cj__onnx_fail(r, parts ? CJ_ERR_DATA : CJ_ERR_MEMORY, "%zu operands", n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (!(parts[i] = cj__onnx_node_in(r, i))) return;
    cj__onnx_set(r, 0, cj_concat(parts, (int)n, cj__onnx_get_axis(r, "axis", r->opset < 4)));
}

static void write_split(cj__onnx_writer *w, const cj__onnx_row *row)
{
    cj_ints sizes = cj__onnx_field_ints(w->call, "sizes");
    const char *x = cj__onnx_in(w, 0);
    bool symbols = false;
    (void)row;
    for (int i = 0; i < sizes.n; i++) symbols = symbols || sizes.v[i] < 0;
    if (symbols && sizes.n > 2 * CJ_RANK_MAX) {
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "%d parts whose sizes are symbols", sizes.n);
        return;
    }
    cj__onnx_last(w, "Split", x,
                  symbols ? cj__onnx_dims(w, sizes.n, sizes.v) : cj__onnx_ints(w, sizes.n, sizes.v),
                  NULL);
    cj__onnx_put_int(w, "axis", cj__onnx_field_int(w->call, "axis"));
}

/* Sizes are an attribute before opset 13, then an operand; without them the parts are equal, but
 * that from opset 18 the last may be smaller. */
static void read_split(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t sizes[64];
    cj_node *x = cj__onnx_node_in(r, 0);
    int n = (int)r->node->output.count;
    (void)row;
    if (!x) return;
    int axis = cj__axis(x, "Split", cj__onnx_get_int(r, "axis", 0), x->type.rank);
    if (axis < 0 || n < 1 || n > 64) {
        cj__onnx_fail(r, CJ_ERR_LIMIT, "%d parts", n);
        return;
    }
    cj_dim size = x->type.dim[axis];
    cj_node *begin_at = NULL;
    const bool listed = cj__onnx_has_attribute(r, "split"); /* opset 1 has both ways */
    if (listed || cj__onnx_has(r, 1)) {
        const cj__onnx_sizes *known = listed ? NULL : cj__onnx_want_sizes(r, 1);
        int given = listed  ? cj__onnx_get_ints(r, "split", 64, sizes)
                    : known ? known->n
                            : -1;
        if (!listed && !known)
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "the sizes are not known before running");
        if (given != n) {
            cj__onnx_fail(r, CJ_ERR_DATA, "%d sizes for %d outputs", given, n);
            return;
        }
        for (int i = 0; known && i < n; i++) sizes[i] = known->at[i].v;
    } else {
        cj_dim share = size >= 0 ? (size + n - 1) / n : cj_dim_div(r->g, size, n);
        if (size >= 0 && r->opset < 18 && share * n != size)
            cj__onnx_fail(r, CJ_ERR_SHAPE, "%lld elements in %d equal parts", (long long)size, n);
        for (int i = 0; i < n; i++)
            sizes[i] = size >= 0 && (i + 1) * share > size
                           ? (size > i * share ? size - i * share : 0)
                           : share;
    }
    if (r->failed) return;
    begin_at = cj_split(x, axis, n, sizes);
    for (int i = 0; begin_at && i < n; i++) cj__onnx_set(r, (size_t)i, cj_node_output(begin_at, i));
}

/* ---- Pad ------------------------------------------------------------------------------------- */

/* interior elements behind each one along an axis, the last ones taken off again:
 * [.., n, ..] -> [.., n, 1, ..] -> [.., n, 1 + interior, ..] -> [.., n (1 + interior), ..] */
static const char *spread(cj__onnx_writer *w, const char *x, int rank, cj_dim *dims, int axis,
                          int64_t interior, const char *value)
{
    cj_dim shape[CJ_RANK_MAX + 1];
    int64_t pads[2 * (CJ_RANK_MAX + 1)] = {0}, at = axis, next = axis + 1, zero = 0, one = 1,
                                    end = -interior;
    const char *y = cj__onnx_step(w, "Unsqueeze", x, cj__onnx_ints(w, 1, &next), NULL);
    pads[rank + 1 + next] = interior;
    y = cj__onnx_step(w, "Pad", y, cj__onnx_ints(w, 2 * (rank + 1), pads), value, NULL);
    for (int i = 0; i < rank; i++) shape[i] = dims[i];
    shape[axis] = cj_dim_mul(graph_of(w), dims[axis], interior + 1);
    y = cj__onnx_step(w, "Reshape", y, cj__onnx_dims(w, rank, shape), NULL);
    cj__onnx_put_int(w, "allowzero", 1);
    cj_dim gaps = dims[axis] > 0
                      ? dims[axis] - 1
                      : cj_dim_sub(graph_of(w), cj_dim_max(graph_of(w), dims[axis], 1), 1);
    if (dims[axis] == 0) return y;
    dims[axis] = cj_dim_add(graph_of(w), dims[axis], cj_dim_mul(graph_of(w), gaps, interior));
    return cj__onnx_step(w, "Slice", y, cj__onnx_ints(w, 1, &zero), cj__onnx_ints(w, 1, &end),
                         cj__onnx_ints(w, 1, &at), cj__onnx_ints(w, 1, &one), NULL);
}

static void write_pad(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_type *x = &w->call->in[0]->type, *y = &w->call->out[0].type;
    cj_ints before = cj__onnx_field_ints(w->call, "before"),
            interior = cj__onnx_field_ints(w->call, "interior");
    cj_ints behind = cj__onnx_field_ints(w->call, "after"),
            size = cj__onnx_field_ints(w->call, "size");
    const char *fill = cj__onnx_scalar(w, x->dtype,
                                       *(const double *)cj__onnx_field(w->call, "value"));
    const char *value = cj__onnx_in(w, 0);
    int rank = x->rank;
    bool symbols = false;
    cj_dim dims[CJ_RANK_MAX], pads[2 * CJ_RANK_MAX];
    (void)row;
    for (int i = 0; i < rank; i++) dims[i] = x->dim[i];
    for (int i = 0; i < rank && !w->failed; i++)
        if (interior.n && interior.v[i] && rank == CJ_RANK_MAX)
            cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "rank %d", rank);
        else if (interior.n && interior.v[i])
            value = spread(w, value, rank, dims, i, interior.v[i], fill);
    for (int i = 0; i < rank && !w->failed; i++) {
        pads[i] = before.n ? before.v[i] : 0;
        pads[rank + i] = behind.n ? behind.v[i] : 0;
        if (!size.n) continue;
        pads[rank + i] = cj_dim_sub(graph_of(w), y->dim[i],
                                    cj__dim_shift(graph_of(w), dims[i], pads[i]));
        symbols = symbols || pads[rank + i] < 0;
    }
    if (rank == 0) cj__onnx_last(w, "Identity", value, NULL);
    else
        cj__onnx_last(w, "Pad", value,
                      symbols ? cj__onnx_dims(w, 2 * rank, pads) : cj__onnx_ints(w, 2 * rank, pads),
                      fill, NULL);
}

/* Runtimes mirror once, and wrap nothing empty; "wrap" is of opset 19. */
static void write_extend(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__extend_attrs *a = w->call->attributes;
    const cj_type *x = &w->call->in[0]->type;
    const cj_ints *lists[] = {&a->before, &a->after};
    int64_t pads[2 * CJ_RANK_MAX];
    bool takes = x->rank && (a->mode != CJ__EXTEND_WRAP || w->opset >= 19);
    (void)row;
    for (int i = 0; i < 2 * x->rank; i++) {
        const cj_ints *list = lists[i >= x->rank];
        const cj_dim n = x->dim[i % x->rank] - (a->mode == CJ__EXTEND_REFLECT);
        pads[i] = list->n ? list->v[i % x->rank] : 0;
        takes = takes && x->dim[i % x->rank] &&
                (a->mode == CJ__EXTEND_EDGE || n < 0 || pads[i] <= n);
    }
    if (!takes) {
        cj__onnx_write_lowered(w);
        return;
    }
    cj__onnx_last(w, "Pad", cj__onnx_in(w, 0), cj__onnx_ints(w, 2 * x->rank, pads), NULL);
    cj__onnx_put_string(w, "mode", cj__extend_words[a->mode]);
}

/* `n` elements more along an axis, a number or a symbol, at either end. */
static cj_node *lengthen(cj__onnx_reader *r, cj_node *x, int axis, cj_dim n, double value,
                         bool in_front)
{
    if (!x || n == 0) return x;
    cj_type type = x->type;
    type.dim[axis] = n;
    cj_node *more = cj_broadcast_to(cj_scalar(r->g, type.dtype, value), type.rank, type.dim);
    return cj_concat((cj_node *[]){in_front ? more : x, in_front ? x : more}, 2, axis);
}

static void read_pad(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char mode[32];
    double value = 0;
    int64_t pads[2 * CJ_RANK_MAX], given[CJ_RANK_MAX], axes[CJ_RANK_MAX];
    bool symbolic[2 * CJ_RANK_MAX] = {false};
    bool last;
    cj_node *x = cj__onnx_image_in(r, 0, &last);
    (void)row;
    if (!x || !cj__onnx_get_word(r, "mode", "constant", mode)) return;
    int rank = x->type.rank, n,
        n_axes = cj__onnx_has(r, 3) ? cj__onnx_numbers_in(r, 3, "axes", CJ_RANK_MAX, given) : -1;
    if (r->opset < 11) {
        n = cj__onnx_get_ints(r, r->opset < 2 ? "paddings" : "pads", 2 * CJ_RANK_MAX, pads);
        value = cj__onnx_get_float(r, "value", 0);
    } else {
        const cj__onnx_sizes *known = cj__onnx_want_sizes(r, 1);
        if (!known || known->n > 2 * CJ_RANK_MAX) {
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "how much is added is not known before running");
            return;
        }
        n = known->n;
        for (int i = 0; i < n; i++) pads[i] = known->at[i].v, symbolic[i] = known->at[i].symbolic;
        if (cj__onnx_has(r, 2) && !cj__onnx_number_in(r, 2, "constant_value", &value)) return;
    }
    int covered = n_axes < 0 ? rank : n_axes;
    if (r->failed) return;
    if (n != 2 * covered) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%d pads for %d axes", n, covered);
        return;
    }
    for (int i = 0; i < covered; i++)
        if ((axes[i] = n_axes < 0 ? i : cj__axis(x, "Pad", given[i], rank)) < 0) return;
    const bool constant = !strcmp(mode, "constant");
    if (!constant && strcmp(mode, "edge") && strcmp(mode, "reflect") && strcmp(mode, "wrap")) {
        cj__onnx_fail(r, CJ_ERR_DATA, "mode '%s', expected constant, edge, reflect or wrap", mode);
        return;
    }
    int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0}, front[CJ_RANK_MAX] = {0},
            behind[CJ_RANK_MAX] = {0};
    for (int i = 0; i < covered; i++) {
        int axis = (int)(last ? cj__onnx_turned_axis(rank, true, axes[i]) : axes[i]);
        for (int k = i; k < n; k += covered)
            if (!symbolic[k] && !((double)pads[k] >= -CJ__FAR && (double)pads[k] <= CJ__FAR))
                cj__onnx_fail(r, CJ_ERR_LIMIT, "pads[%d] is %lld, beyond 2^52", k,
                              (long long)pads[k]);
        if (!symbolic[i]) before[axis] = pads[i];
        if (!symbolic[covered + i]) after[axis] = pads[covered + i];
        if (!constant && (symbolic[i] || symbolic[covered + i]))
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "mode '%s' by a size known only when running",
                          mode);
        if (r->failed) return;
        if (symbolic[i]) x = lengthen(r, x, axis, pads[i], value, true);
        if (symbolic[covered + i]) x = lengthen(r, x, axis, pads[covered + i], value, false);
        if (constant) continue;
        if (before[axis] > 0) front[axis] = before[axis], before[axis] = 0;
        if (after[axis] > 0) behind[axis] = after[axis], after[axis] = 0;
    }
    x = cj_pad(x, before, after, value); /* what is taken off comes first */
    cj__onnx_set_image(r, 0, constant ? x : cj_extend(x, front, behind, mode), last);
}

const cj__onnx_row cj__onnx_rows_slice[] = {
    {.onnx = "Slice", .op = &cj_op_slice, .write = write_slice, .read = read_slice},
    {.op = &cj_op_reverse, .write = write_reverse},
    {.op = &cj_op_dynamic_slice, .write = write_dynamic_slice},
    {.op = &cj_op_update_slice, .write = write_update_slice},
    {.onnx = "Concat", .op = &cj_op_concat, .write = write_concat, .read = read_concat},
    {.onnx = "Split", .op = &cj_op_split, .write = write_split, .read = read_split},
    {.onnx = "Pad", .op = &cj_op_pad, .write = write_pad, .read = read_pad},
    {.op = &cj_op_extend, .write = write_extend},
    {0},
};
