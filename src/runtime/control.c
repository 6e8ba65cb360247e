/* control.c: running if, loop and scan: each body is a program with a session inside the plan.
 *
 * The body programs were compiled with the program around them; a plan opens a session on each,
 * which shares the backend, the threads and the store of the session it is in. What goes in and out
 * are tensors laid over the kernel's arrays (a `window`), so that a step copies only its results:
 *
 *     carried    operand -> out[i] <-> workspace, in turns; the last one ends in out[i]
 *     elements   a window on element t of the sequence
 *     stacked    a window on element t of the output, or of a tensor that grows while the number of
 *                iterations is unknown; a result whose own size is unknown is made by the
 *                body and copied
 */
#include "runtime/runtime.h"

#include "tensor/tensor.h"

#include "graph/ops/control.h"

#include <string.h>

enum { ALIGNMENT = 64, FIRST_STACK_BYTES = 1 << 16 };

/* A tensor over somebody else's bytes, made anew without allocating. */
typedef struct window {
    cj__buffer buffer;
    cj_tensor tensor;
} window;

typedef struct inner {
    const cj_program *program;
    cj_session *session;
    int n_in, n_out;
    cj_feed *feeds;
    window *in, *out;
    cj_tensor **results; /* what cj_run is given: windows, or NULL for a tensor to be made */
} inner;

/* A stacked output. */
typedef struct stack {
    bool known; /* the whole shape was known when planning */
    bool element_known;
    int rank; /* of an element */
    int64_t dim[CJ_RANK_MAX];
    size_t element_bytes;
    cj_tensor *grown; /* of this run, when not known: its first elements are the stack */
    int64_t capacity;
} stack;

typedef struct control {
    cj_context *cj;
    cj__steps steps;
    bool is_scan;
    inner body[2];
    stack *stacks;      /* loop, scan: by stacked output; if: by output, `known` alone */
    size_t *carried_at; /* by carried value: its second place, in the workspace */
    int64_t iteration;
    unsigned char condition, go_on;
} control;

static cj_session *session_of(const cj_kernel *kernel)
{
    return (cj_session *)(void *)((char *)kernel->cj - offsetof(cj_session, cj));
}

/* ---- Windows --------------------------------------------------------------------------------- */

static cj_tensor *look(window *w, cj_context *cj, cj_dtype dtype, int rank, const int64_t *dim,
                       void *data)
{
    int64_t count;
    size_t bytes;
    if (!cj__count(rank, dim, &count) || !cj__bytes(count, cj_dtype_info(dtype)->bits, &bytes))
        return NULL;
    static const unsigned char nothing; /* the address of no elements; never read or written */
    w->buffer.cj = cj;
    w->buffer.data = data ? data : (void *)(uintptr_t)&nothing;
    w->buffer.size = bytes;
    w->tensor =
        (cj_tensor){.cj = cj, .dtype = dtype, .rank = rank, .count = count, .buffer = &w->buffer};
    for (int i = 0; i < rank; i++) w->tensor.shape[i] = dim[i];
    return &w->tensor;
}

static void look_at(window *w, cj_context *cj, const cj_array *a, void *data)
{
    look(w, cj, a->dtype, a->rank, a->dim, data);
}

/* Element t along axis 0. */
static void look_at_element(window *w, cj_context *cj, const cj_array *a, int64_t t)
{
    size_t bytes = a->dim[0] ? (size_t)(a->count / a->dim[0]) * cj__dtype_bytes(a->dtype) : 0;
    look(w, cj, a->dtype, a->rank - 1, a->dim + 1,
         bytes ? (char *)a->data + (size_t)t * bytes : a->data);
}

static size_t bytes_of(const cj_array *a)
{
    return (size_t)a->count * cj__dtype_bytes(a->dtype);
}

static void copy(void *to, const void *from, size_t bytes)
{
    if (bytes && to != from) memcpy(to, from, bytes);
}

/* ---- Preparing ------------------------------------------------------------------------------- */

static cj_status open_body(control *c, const cj_kernel *kernel, cj__arena *arena, int which)
{
    cj_session *s = session_of(kernel);
    inner *b = &c->body[which];
    cj_program *program = s->program->bodies[2 * kernel->call->id + which];
    CJ_ASSERT(program);
    b->program = program;
    b->n_in = program->n_inputs;
    b->n_out = program->n_outputs;
    b->feeds = cj__arena_array(arena, (size_t)b->n_in + 1, sizeof *b->feeds);
    b->in = cj__arena_array(arena, (size_t)b->n_in + 1, sizeof *b->in);
    b->out = cj__arena_array(arena, (size_t)b->n_out + 1, sizeof *b->out);
    b->results = cj__arena_array(arena, (size_t)b->n_out + 1, sizeof *b->results);
    if (!b->feeds || !b->in || !b->out || !b->results) return CJ_ERR_MEMORY;
    for (int i = 0; i < b->n_in; i++) {
        b->feeds[i] = (cj_feed){.node = program->original_inputs[i], .value = &b->in[i].tensor};
        atomic_init(&b->in[i].buffer.references, 1);
    }
    for (int i = 0; i < b->n_out; i++) atomic_init(&b->out[i].buffer.references, 1);
    b->session = cj__session_new_inside(program, s);
    return b->session ? CJ_OK : s->cj.status;
}

static control *new_control(const cj_kernel *kernel, cj__arena *arena)
{
    control *c = cj__arena_alloc(arena, sizeof *c);
    if (!c) return NULL;
    c->cj = kernel->cj;
    c->steps = cj__steps_of(kernel->call);
    c->is_scan = kernel->call->op == &cj_op_scan;
    c->stacks = cj__arena_array(arena, (size_t)kernel->call->n_out, sizeof *c->stacks);
    c->carried_at = cj__arena_array(arena, (size_t)c->steps.n_carried + 1, sizeof *c->carried_at);
    return c->stacks && c->carried_at ? c : NULL;
}

/* Which dimensions of output k, from axis `first` on, are known now? */
static cj_status prepare_stack(const cj_kernel *kernel, int k, int first, stack *st)
{
    const cj_type *type = &kernel->call->out[k].type;
    st->known = st->element_known = true;
    st->rank = type->rank - first;
    for (int i = 0; i < type->rank; i++) {
        int64_t size = cj_kernel_dim(kernel, type->dim[i]);
        if (size < 0) st->known = false;
        if (i < first) continue;
        if (size < 0) st->element_known = false;
        st->dim[i - first] = size < 0 ? 0 : size;
    }
    int64_t count;
    if (!cj__count(st->rank, st->dim, &count) ||
        !cj__bytes(count, cj_dtype_info(type->dtype)->bits, &st->element_bytes) ||
        st->element_bytes > (size_t)1 << 47)
        return cj_fail(kernel->cj, CJ_ERR_LIMIT, "%s: its result has too many elements",
                       kernel->call->op->name);
    return CJ_OK;
}

static cj_status prepare_if(const cj_kernel *kernel, cj__arena *arena, const void **prepared,
                            size_t *workspace_bytes)
{
    (void)workspace_bytes;
    control *c = new_control(kernel, arena);
    if (!c) return CJ_ERR_MEMORY;
    *prepared = c;
    for (int k = 0; k < kernel->call->n_out; k++)
        CJ__TRY(prepare_stack(kernel, k, 0, &c->stacks[k]));
    for (int j = 0; j < 2; j++) CJ__TRY(open_body(c, kernel, arena, j));
    return CJ_OK;
}

static cj_status prepare_steps(const cj_kernel *kernel, cj__arena *arena, const void **prepared,
                               size_t *workspace_bytes)
{
    control *c = new_control(kernel, arena);
    if (!c) return CJ_ERR_MEMORY;
    *prepared = c;
    size_t total = 0;
    for (int i = 0; i < c->steps.n_carried; i++) {
        c->carried_at[i] = total;
        if (!cj__size_add(total, cj__round_up(bytes_of(kernel->in[c->steps.first + i]), ALIGNMENT),
                          &total))
            return cj_fail(kernel->cj, CJ_ERR_LIMIT, "%s: the carried values are too large",
                           kernel->call->op->name);
    }
    *workspace_bytes = total;
    for (int i = 0; i < c->steps.n_stacked; i++)
        CJ__TRY(prepare_stack(kernel, c->steps.n_carried + i, 1, &c->stacks[i]));
    return open_body(c, kernel, arena, 0);
}

static void release(const void *prepared)
{
    const control *c = prepared;
    for (int j = 0; j < 2; j++) cj_session_free(c->body[j].session);
}

/* ---- Results whose size was unknown ---------------------------------------------------------- */

cj_status cj__dynamic_output(const cj_kernel *kernel, int k, cj_tensor *tensor)
{
    if (!tensor) return kernel->cj->status ? kernel->cj->status : CJ_ERR_MEMORY;
    cj_session *s = session_of(kernel);
    int number = cj__value_of(s, &kernel->call->out[k]);
    cj_tensor_free(s->dynamic[number]);
    s->dynamic[number] = tensor;
    return CJ_OK;
}

/* A tensor for `capacity` elements that begins with the `n` elements of the one before. */
static cj_status grow(control *c, cj_dtype dtype, stack *st, int64_t n, int64_t capacity)
{
    int64_t shape[CJ_RANK_MAX] = {capacity};
    for (int i = 0; i < st->rank; i++) shape[i + 1] = st->dim[i];
    cj_tensor *t = cj__tensor_new_raw(c->cj, dtype, st->rank + 1, shape);
    if (!t) return c->cj->status;
    if (st->grown)
        copy(cj__tensor_data(t), cj__tensor_data(st->grown), (size_t)n * st->element_bytes);
    cj_tensor_free(st->grown);
    st->grown = t;
    st->capacity = capacity;
    return CJ_OK;
}

/* Makes room for element t of at most `limit` (-1: unknown). */
static cj_status reserve(control *c, cj_dtype dtype, stack *st, int64_t t, int64_t limit)
{
    if (st->grown && t < st->capacity) return CJ_OK;
    int64_t capacity = st->capacity ? st->capacity
                                    : (int64_t)(FIRST_STACK_BYTES / (st->element_bytes + 1)) + 1;
    if (c->is_scan) capacity = limit; /* which is its length, perhaps begun at the end */
    else if (st->capacity && CJ__MUL_OVERFLOWS(capacity, 2, &capacity))
        return cj_fail(c->cj, CJ_ERR_LIMIT, "more iterations than can be stacked");
    if (limit >= 0 && capacity > limit) capacity = limit;
    return grow(c, dtype, st, t, capacity);
}

/* The first result of an element that only the body could size tells the size of all. */
static cj_status take_made(control *c, stack *st, int k, const cj_tensor *made, int64_t t,
                           int64_t limit)
{
    if (!st->grown) {
        for (int i = 0; i < st->rank; i++) st->dim[i] = made->shape[i];
        st->element_bytes = cj_tensor_size_bytes(made);
    }
    if (!cj__same_shape(st->rank, st->dim, made->rank, made->shape)) {
        cj__shape_text a, b;
        return cj_fail(c->cj, CJ_ERR_SHAPE,
                       "output %d has shape %s, but %s in the iterations before", k,
                       cj__shape_string(&a, made->rank, made->shape),
                       cj__shape_string(&b, st->rank, st->dim));
    }
    CJ__TRY(reserve(c, made->dtype, st, t, limit));
    copy((char *)cj__tensor_data(st->grown) + (size_t)t * st->element_bytes, cj__tensor_data(made),
         st->element_bytes);
    return CJ_OK;
}

static void drop_grown(control *c)
{
    for (int i = 0; i < c->steps.n_stacked; i++) {
        cj_tensor_free(c->stacks[i].grown);
        c->stacks[i].grown = NULL;
        c->stacks[i].capacity = 0;
    }
}

/* ---- if -------------------------------------------------------------------------------------- */

static cj_status run_if(const cj_kernel *kernel)
{
    control *c = (control *)(uintptr_t)kernel->prepared;
    bool then = *(const unsigned char *)kernel->in[0]->data;
    inner *b = &c->body[then ? 0 : 1];
    for (int i = 0; i < b->n_in; i++)
        look_at(&b->in[i], c->cj, kernel->in[i + 1], kernel->in[i + 1]->data);
    for (int k = 0; k < b->n_out; k++) {
        b->results[k] = c->stacks[k].known ? &b->out[k].tensor : NULL;
        if (c->stacks[k].known) look_at(&b->out[k], c->cj, kernel->out[k], kernel->out[k]->data);
    }
    cj_status failed = cj_run(b->session, b->feeds, b->n_in, b->results, b->n_out);
    if (failed)
        cj_fail(c->cj, failed, "%s: %s", then ? "then" : "else", cj_session_message(b->session));
    for (int k = 0; k < b->n_out; k++) {
        if (c->stacks[k].known || !b->results[k]) continue;
        if (failed) cj_tensor_free(b->results[k]);
        else failed = cj__dynamic_output(kernel, k, b->results[k]);
        b->results[k] = NULL;
    }
    return failed;
}

/* ---- loop and scan --------------------------------------------------------------------------- */

/* Where carried value i lies: the operand at first, then its output and the workspace in turns. */
static void *carried_place(const cj_kernel *kernel, const control *c, int i, bool in_output)
{
    return in_output ? kernel->out[i]->data : (char *)kernel->workspace + c->carried_at[i];
}

/* Captures are the same in all steps. */
static void show_captures(control *c, const cj_kernel *kernel)
{
    const cj__steps *s = &c->steps;
    int after = s->n_carried + s->n_sequences;
    for (int i = after; i < after + s->n_captures; i++)
        look_at(&c->body[0].in[s->first_in + i], c->cj, kernel->in[s->first + i],
                kernel->in[s->first + i]->data);
}

/* A step beside what its kernels do: it is begun, and results are copied; those that are stacked,
 * into memory that is new (8 ns a byte, so that a limit of time is one of memory, too). */
static double step_ns(const control *c, const cj_kernel *kernel)
{
    double bytes = 0, fresh = 0;
    for (int i = 0; i < c->steps.n_carried; i++)
        bytes += (double)kernel->in[c->steps.first + i]->count *
                 cj_dtype_info(kernel->in[c->steps.first + i]->dtype)->bits / 8;
    for (int i = 0; i < c->steps.n_stacked; i++)
        if (c->stacks[i].element_known) fresh += (double)c->stacks[i].element_bytes;
    return CJ__STEP_NS + bytes / 10 + 8 * fresh;
}

/* Runs the body once; element t is read and written; carried values go to out[] or the workspace.
 */
static cj_status run_step(control *c, const cj_kernel *kernel, int64_t t, bool first,
                          bool to_output, int64_t limit)
{
    const cj__steps *s = &c->steps;
    inner *b = &c->body[0];
    CJ__TRY(cj__check_cancel(c->cj));
    CJ__TRY(cj__spend(session_of(kernel), step_ns(c, kernel)));
    for (int i = 0; i < s->n_carried; i++) {
        const cj_array *a = kernel->in[s->first + i];
        look_at(&b->in[s->first_in + i], c->cj, a,
                first ? a->data : carried_place(kernel, c, i, !to_output));
        look_at(&b->out[s->first_out + i], c->cj, a, carried_place(kernel, c, i, to_output));
        b->results[s->first_out + i] = &b->out[s->first_out + i].tensor;
    }
    for (int i = s->n_carried; i < s->n_carried + s->n_sequences; i++)
        look_at_element(&b->in[s->first_in + i], c->cj, kernel->in[s->first + i], t);
    for (int i = 0; i < s->n_stacked; i++) {
        int k = s->n_carried + i;
        stack *st = &c->stacks[i];
        cj_array *out = kernel->out[k];
        window *w = &b->out[s->first_out + k];
        b->results[s->first_out + k] = st->element_known ? &w->tensor : NULL;
        if (!st->element_known) continue;
        if (!st->known) CJ__TRY(reserve(c, out->dtype, st, t, limit));
        char *data = st->known ? out->data : cj__tensor_data(st->grown);
        look(w, c->cj, out->dtype, st->rank, st->dim, data + (size_t)t * st->element_bytes);
    }
    cj_status failed = cj_run(b->session, b->feeds, b->n_in, b->results, b->n_out);
    if (failed) cj_fail(c->cj, failed, "%s", cj_session_message(b->session));
    for (int i = 0; i < s->n_stacked; i++) {
        int k = s->n_carried + i;
        cj_tensor **made = &b->results[s->first_out + k];
        if (c->stacks[i].element_known) continue;
        if (!failed) failed = take_made(c, &c->stacks[i], s->first_out + k, *made, t, limit);
        cj_tensor_free(*made);
        *made = NULL;
    }
    return failed;
}

/* Carried values not yet in their output are brought there. */
static void settle_carried(control *c, const cj_kernel *kernel, int64_t steps, bool in_output)
{
    for (int i = 0; i < c->steps.n_carried; i++) {
        const cj_array *out = kernel->out[i];
        const void *from = steps ? carried_place(kernel, c, i, in_output)
                                 : kernel->in[c->steps.first + i]->data;
        copy(out->data, from, bytes_of(out));
    }
}

/* Hands over what grew, cut to the number of steps. */
static cj_status settle_stacks(control *c, const cj_kernel *kernel, int64_t steps)
{
    for (int i = 0; i < c->steps.n_stacked; i++) {
        stack *st = &c->stacks[i];
        int k = c->steps.n_carried + i;
        if (st->known) {
            if (kernel->out[k]->dim[0] == steps) continue;
            return cj_fail(c->cj, CJ_ERR_STATE, "it ran %lld times, but %lld were expected",
                           (long long)steps, (long long)kernel->out[k]->dim[0]);
        }
        if (!st->grown) CJ__TRY(grow(c, kernel->out[k]->dtype, st, 0, 0));
        CJ__TRY(cj__dynamic_output(kernel, k, cj_tensor_rows(st->grown, 0, steps)));
    }
    return CJ_OK;
}

/* The bound that a known stacked output sets; -1: none. A loop that would pass it has gone wrong.
 */
static int64_t stack_bound(const control *c, const cj_kernel *kernel)
{
    for (int i = 0; i < c->steps.n_stacked; i++)
        if (c->stacks[i].known) return kernel->out[c->steps.n_carried + i]->dim[0];
    return -1;
}

static cj_status run_loop(const cj_kernel *kernel)
{
    control *c = (control *)(uintptr_t)kernel->prepared;
    const cj__body_attrs *a = kernel->call->attributes;
    inner *b = &c->body[0];
    int64_t limit = a->has_limit ? *(const int64_t *)kernel->in[0]->data : -1,
            bound = stack_bound(c, kernel), t = 0;
    if (a->has_limit && limit < 0) limit = 0;
    c->condition = a->has_condition ? *(const unsigned char *)kernel->in[a->has_limit]->data : 1;
    bool to_output = true;
    cj_status failed = CJ_OK;
    look(&b->in[0], c->cj, CJ_I64, 0, NULL, &c->iteration);
    look(&b->in[1], c->cj, CJ_BOOL, 0, NULL, &c->condition);
    look(&b->out[0], c->cj, CJ_BOOL, 0, NULL, &c->go_on);
    b->results[0] = &b->out[0].tensor;
    show_captures(c, kernel);
    for (; c->condition && (limit < 0 || t < limit); t++, to_output = !to_output) {
        c->iteration = t;
        failed = bound >= 0 && t >= bound
                     ? cj_fail(c->cj, CJ_ERR_STATE, "more than the %lld expected", (long long)bound)
                     : run_step(c, kernel, t, t == 0, to_output, limit);
        if (failed) {
            drop_grown(c);
            return cj__prefix(c->cj, failed, "iteration %lld", (long long)t);
        }
        c->condition = c->go_on;
    }
    settle_carried(c, kernel, t, !to_output);
    failed = settle_stacks(c, kernel, t);
    drop_grown(c);
    return failed;
}

static cj_status run_scan(const cj_kernel *kernel)
{
    control *c = (control *)(uintptr_t)kernel->prepared;
    const cj__body_attrs *a = kernel->call->attributes;
    int64_t n = kernel->in[c->steps.n_carried]->dim[0];
    bool to_output = n % 2; /* the last step, which goes to the output, is the n-th */
    show_captures(c, kernel);
    for (int64_t i = 0; i < n; i++, to_output = !to_output) {
        int64_t t = a->reverse ? n - 1 - i : i;
        cj_status failed = run_step(c, kernel, t, i == 0, to_output, n);
        if (failed) {
            drop_grown(c);
            return cj__prefix(c->cj, failed, "element %lld", (long long)t);
        }
    }
    settle_carried(c, kernel, n, true);
    cj_status failed = settle_stacks(c, kernel, n);
    drop_grown(c);
    return failed;
}

const cj__kernel_row cj__control_kernels[] = {{.name = "control/if",
                                               .op = &cj_op_if,
                                               .prepare = prepare_if,
                                               .run = run_if,
                                               .release = release},
                                              {.name = "control/loop",
                                               .op = &cj_op_loop,
                                               .prepare = prepare_steps,
                                               .run = run_loop,
                                               .release = release},
                                              {.name = "control/scan",
                                               .op = &cj_op_scan,
                                               .prepare = prepare_steps,
                                               .run = run_scan,
                                               .release = release},
                                              {0}};
