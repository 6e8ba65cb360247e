/* api.c: the only file that knows oneDNN's C interface, in versions 2 and 3.
 *
 * What differs: version 2 hands layouts (memory descriptors) out by value, and describes a
 * primitive in two steps; in version 3 layouts are objects to be destroyed, and there is one step.
 * The part "two versions" below hides that; everything after it is common.
 *
 * One piece of work is up to four primitives, which share the workspace:
 *
 *     [ scratchpad, used by each in turn | A in oneDNN's layout | B | OUT ]
 *
 *     reorder A, reorder B  ->  the primitive  ->  reorder OUT     (most need no reorder)
 */
#ifdef CJ_HAVE_DNNL
#include "backend/onednn/api.h"

#include <oneapi/dnnl/dnnl.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"

_Static_assert((int)CJ__DNNL_RANK_MAX == (int)DNNL_MAX_NDIMS, "oneDNN reads whole lists");

/* ---- Threads --------------------------------------------------------------------------------- */

/* oneDNN reads the number of threads from OpenMP when a primitive is made and when it runs. The
 * setting is the calling thread's own. */
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);
static bool threads_are_ours(void) { return true; }
static int enter(int threads)
{
    int before = omp_get_max_threads();
    if (before != threads) omp_set_num_threads(threads);
    return before;
}
static void leave(int before, int threads)
{
    if (before != threads) omp_set_num_threads(before);
}
#else
static bool threads_are_ours(void) { return DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_SEQ; }
static int enter(int threads) { return threads; }
static void leave(int before, int threads) { (void)before, (void)threads; }
#endif

/* ---- Two versions ---------------------------------------------------------------------------- */

typedef struct window { /* of a convolution, dilations counted as oneDNN does: 0 is none */
    dnnl_dims_t strides, dilates, before, after;
} window;

/* Is it this code that a description has chosen? */
static bool is_code(const_dnnl_primitive_desc_t pd, const char *wanted)
{
    const char *code = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&code);
    return !strcmp(code, wanted);
}

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t layout;
typedef const_dnnl_memory_desc_t layout_ref;

static layout_ref refer(const layout *l) { return *l; }
static dnnl_status_t layout_new(layout *l, const cj__dnnl_array *a, bool any)
{
    dnnl_data_type_t type = a->bf16 ? dnnl_bf16 : dnnl_f32;
    return any ? dnnl_memory_desc_create_with_tag(l, a->rank, a->dim, type, dnnl_format_tag_any)
               : dnnl_memory_desc_create_with_strides(l, a->rank, a->dim, type, a->stride);
}
static void layout_free(layout *l)
{
    if (*l) dnnl_memory_desc_destroy(*l);
}

static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0, 0);
}

static dnnl_status_t create(cj__dnnl_kind kind, const window *w, layout_ref const *l,
                            dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                            dnnl_primitive_desc_t *out)
{
    switch (kind) {
    case CJ__DNNL_CONV:
        return dnnl_convolution_forward_primitive_desc_create(
            out, engine, dnnl_forward_training, dnnl_convolution_direct, l[CJ__DNNL_A],
            l[CJ__DNNL_B], l[CJ__DNNL_BIAS], l[CJ__DNNL_OUT], w->strides, w->dilates, w->before,
            w->after, attr);
    case CJ__DNNL_CONV_DATA:
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, dnnl_convolution_direct, l[CJ__DNNL_OUT], l[CJ__DNNL_B], l[CJ__DNNL_A],
            w->strides, w->dilates, w->before, w->after, NULL, attr);
    case CJ__DNNL_CONV_WEIGHTS:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            out, engine, dnnl_convolution_direct, l[CJ__DNNL_A], l[CJ__DNNL_OUT], NULL,
            l[CJ__DNNL_B], w->strides, w->dilates, w->before, w->after, NULL, attr);
    case CJ__DNNL_MATMUL:
        return dnnl_matmul_primitive_desc_create(out, engine, l[CJ__DNNL_A], l[CJ__DNNL_B],
                                                 l[CJ__DNNL_BIAS], l[CJ__DNNL_OUT], attr);
    }
    return dnnl_invalid_arguments;
}

static dnnl_status_t describe(cj__dnnl_kind kind, const window *w, layout_ref const *l,
                              dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                              const char *wanted, dnnl_primitive_desc_t *out)
{
    dnnl_status_t failed = create(kind, w, l, engine, attr, out);
    if (failed || !wanted || is_code(*out, wanted)) return failed;
    while (!dnnl_primitive_desc_next_impl(*out))
        if (is_code(*out, wanted)) return dnnl_success;
    dnnl_primitive_desc_destroy(*out);
    return create(kind, w, l, engine, attr, out);
}

#else

typedef dnnl_memory_desc_t layout;
typedef const dnnl_memory_desc_t *layout_ref;

static layout_ref refer(const layout *l) { return l->ndims ? l : NULL; }
static dnnl_status_t layout_new(layout *l, const cj__dnnl_array *a, bool any)
{
    dnnl_data_type_t type = a->bf16 ? dnnl_bf16 : dnnl_f32;
    return any ? dnnl_memory_desc_init_by_tag(l, a->rank, a->dim, type, dnnl_format_tag_any)
               : dnnl_memory_desc_init_by_strides(l, a->rank, a->dim, type, a->stride);
}
static void layout_free(layout *l) { (void)l; }

static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_relu, 0, 0);
}

static dnnl_status_t describe(cj__dnnl_kind kind, const window *w, layout_ref const *l,
                              dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                              const char *wanted, dnnl_primitive_desc_t *out)
{
    dnnl_convolution_desc_t conv;
    dnnl_matmul_desc_t matmul;
    dnnl_status_t failed = dnnl_invalid_arguments;
    switch (kind) {
    case CJ__DNNL_CONV:
        failed = dnnl_dilated_convolution_forward_desc_init(
            &conv, dnnl_forward_training, dnnl_convolution_direct, l[CJ__DNNL_A], l[CJ__DNNL_B],
            l[CJ__DNNL_BIAS], l[CJ__DNNL_OUT], w->strides, w->dilates, w->before, w->after);
        break;
    case CJ__DNNL_CONV_DATA:
        failed = dnnl_dilated_convolution_backward_data_desc_init(
            &conv, dnnl_convolution_direct, l[CJ__DNNL_OUT], l[CJ__DNNL_B], l[CJ__DNNL_A],
            w->strides, w->dilates, w->before, w->after);
        break;
    case CJ__DNNL_CONV_WEIGHTS:
        failed = dnnl_dilated_convolution_backward_weights_desc_init(
            &conv, dnnl_convolution_direct, l[CJ__DNNL_A], l[CJ__DNNL_OUT], NULL, l[CJ__DNNL_B],
            w->strides, w->dilates, w->before, w->after);
        break;
    case CJ__DNNL_MATMUL:
        failed = dnnl_matmul_desc_init(&matmul, l[CJ__DNNL_A], l[CJ__DNNL_B], l[CJ__DNNL_BIAS],
                                       l[CJ__DNNL_OUT]);
        break;
    }
    if (failed) return failed;
    const_dnnl_op_desc_t described = kind == CJ__DNNL_MATMUL ? (const_dnnl_op_desc_t)&matmul
                                                             : (const_dnnl_op_desc_t)&conv;
    dnnl_primitive_desc_iterator_t all = NULL;
    if (wanted && !dnnl_primitive_desc_iterator_create(&all, described, attr, engine, NULL))
        do {
            dnnl_primitive_desc_t pd = dnnl_primitive_desc_iterator_fetch(all);
            if (is_code(pd, wanted)) *out = pd;
            else dnnl_primitive_desc_destroy(pd);
        } while (!*out && !dnnl_primitive_desc_iterator_next(all));
    if (all) dnnl_primitive_desc_iterator_destroy(all);
    return *out ? dnnl_success : dnnl_primitive_desc_create(out, described, attr, engine, NULL);
}

#endif

/* ---- Describing ------------------------------------------------------------------------------ */

/* By kind and array: what oneDNN calls it. */
typedef struct role {
    int argument;
    dnnl_query_t query;
} role;
static const role roles[][CJ__DNNL_ARRAYS] = {
    [CJ__DNNL_CONV] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                       {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                       {DNNL_ARG_DST, dnnl_query_dst_md}},
    [CJ__DNNL_CONV_DATA] = {{DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
                            {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                            {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md}},
    [CJ__DNNL_CONV_WEIGHTS] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                               {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
                               {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md}},
    [CJ__DNNL_MATMUL] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                         {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                         {DNNL_ARG_DST, dnnl_query_dst_md}},
};

/* The addend is operand 1 of the first post-op, a sum. */
enum { ADDEND_ARGUMENT = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1 };

static dnnl_status_t make_attributes(const cj__dnnl_work *work, layout_ref addend,
                                     dnnl_primitive_attr_t *out)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t failed = dnnl_primitive_attr_create(out);
    if (failed) return failed;
    failed = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (!failed) failed = dnnl_primitive_attr_set_fpmath_mode(*out, dnnl_fpmath_mode_strict);
    if (failed || (!addend && !work->relu)) return failed;
    failed = dnnl_post_ops_create(&ops);
    if (!failed && addend) failed = dnnl_post_ops_append_binary(ops, dnnl_binary_add, addend);
    if (!failed && work->relu) failed = append_relu(ops);
    if (!failed) failed = dnnl_primitive_attr_set_post_ops(*out, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return failed;
}

/* *out is NULL after a failure. */
static dnnl_status_t describe_work(const cj__dnnl_work *work, dnnl_engine_t engine,
                                   dnnl_primitive_desc_t *out)
{
    layout layouts[CJ__DNNL_ARRAYS] = {0};
    layout_ref refs[CJ__DNNL_ARRAYS];
    window w = {{0}, {0}, {0}, {0}};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t failed = dnnl_success;
    *out = NULL;
    for (int i = 0; i < work->spatial; i++) {
        w.strides[i] = work->stride[i];
        w.dilates[i] = work->dilation[i] - 1;
        w.before[i] = work->before[i];
        w.after[i] = work->after[i];
    }
    for (int i = 0; i < CJ__DNNL_ARRAYS && !failed; i++)
        if (work->array[i].rank)
            failed = layout_new(&layouts[i], &work->array[i], work->array[i].any);
    for (int i = 0; i < CJ__DNNL_ARRAYS; i++) refs[i] = refer(&layouts[i]);
    if (!failed) failed = make_attributes(work, refs[CJ__DNNL_ADDEND], &attr);
    if (!failed) failed = describe(work->kind, &w, refs, engine, attr, work->code, out);
    if (attr) dnnl_primitive_attr_destroy(attr);
    for (int i = 0; i < CJ__DNNL_ARRAYS; i++) layout_free(&layouts[i]);
    if (failed) *out = NULL;
    return failed;
}

void cj__dnnl_code(const cj__dnnl_work *work, char *name, size_t size)
{
    dnnl_engine_t engine = NULL;
    dnnl_primitive_desc_t pd = NULL;
    const char *code = "";
    if (threads_are_ours()) {
        int before = enter(work->threads);
        if (!dnnl_engine_create(&engine, dnnl_cpu, 0) && !describe_work(work, engine, &pd))
            dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&code);
        leave(before, work->threads);
    }
    cj__format(name, size, "%s", code);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (engine) dnnl_engine_destroy(engine);
}

/* ---- Preparing ------------------------------------------------------------------------------- */

typedef struct cj__dnnl_part { /* an array of the work */
    dnnl_memory_t outer;     /* in the caller's layout; NULL: there is no such array */
    dnnl_memory_t inner;     /* in the primitive's; outer itself when they are one */
    dnnl_primitive_t reorder; /* from outer to inner, of OUT from inner to outer; NULL: none */
    void *address;           /* that outer has now */
    void *inner_address;
    size_t place;            /* of inner in the workspace */
    size_t bytes;            /* of inner */
    void *kept;              /* where inner lies instead */
    bool is_packed;          /* kept, and made of `version` */
    uint64_t version;
} part;

struct cj__dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t scratchpad; /* as large as the largest asks for */
    void *scratchpad_address;
    part parts[CJ__DNNL_ARRAYS];
    dnnl_exec_arg_t arguments[CJ__DNNL_ARRAYS + 1];
    int n_arguments, threads;
};

enum { ALIGNMENT = 64 };

static cj_status fail(cj_context *cj, dnnl_status_t status, const char *doing)
{
    static const char *const words[] = {
        [dnnl_out_of_memory] = "out of memory", [dnnl_invalid_arguments] = "invalid arguments",
        [dnnl_unimplemented] = "not implemented", [dnnl_runtime_error] = "it failed while running"};
    const char *why = (size_t)status < CJ__COUNT(words) && words[status] ? words[status]
                                                                         : "unknown";
    return cj_fail(cj, status == dnnl_out_of_memory ? CJ_ERR_MEMORY : CJ_ERR_UNSUPPORTED,
                   "oneDNN cannot %s: %s (its status %d)", doing, why, (int)status);
}

static size_t scratchpad_of(dnnl_primitive_desc_t pd)
{
    layout_ref l = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    return l ? dnnl_memory_desc_get_size(l) : 0;
}

/* The primitive of a description, which is used up. */
static dnnl_status_t realise(dnnl_primitive_desc_t pd, dnnl_primitive_t *out, size_t *scratchpad)
{
    size_t bytes = scratchpad_of(pd);
    if (bytes > *scratchpad) *scratchpad = bytes;
    dnnl_status_t failed = dnnl_primitive_create(out, pd);
    if (failed) *out = NULL;
    return failed;
}

static dnnl_status_t make_reorder(cj__dnnl *d, layout_ref from, layout_ref to,
                                  dnnl_primitive_t *out, size_t *scratchpad)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t failed = dnnl_primitive_attr_create(&attr);
    if (!failed) failed = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!failed)
        failed = dnnl_reorder_primitive_desc_create(&pd, from, d->engine, to, d->engine, attr);
    if (!failed) failed = realise(pd, out, scratchpad);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return failed;
}

/* Memories of one array; a reorder if the primitive wants another layout than the caller has. */
static dnnl_status_t make_part(cj__dnnl *d, const cj__dnnl_array *a, bool is_out, layout_ref wanted,
                               part *p, size_t *scratchpad)
{
    layout plain = {0};
    dnnl_status_t failed = layout_new(&plain, a, false);
    if (!failed) failed = dnnl_memory_create(&p->outer, refer(&plain), d->engine, DNNL_MEMORY_NONE);
    p->inner = p->outer;
    if (!failed && wanted && !dnnl_memory_desc_equal(refer(&plain), wanted)) {
        p->inner = NULL;
        p->bytes = dnnl_memory_desc_get_size(wanted);
        failed = dnnl_memory_create(&p->inner, wanted, d->engine, DNNL_MEMORY_NONE);
        if (!failed)
            failed = make_reorder(d, is_out ? wanted : refer(&plain),
                                  is_out ? refer(&plain) : wanted, &p->reorder, scratchpad);
    }
    layout_free(&plain);
    return failed;
}

static dnnl_status_t make_all(cj__dnnl *d, const cj__dnnl_work *work, size_t *scratchpad)
{
    const role *called = roles[work->kind];
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t failed = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (!failed) failed = dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
    if (!failed) failed = describe_work(work, d->engine, &pd);
    if (!failed) failed = realise(pd, &d->primitive, scratchpad);
    for (int i = 0; i < CJ__DNNL_ARRAYS && !failed; i++) {
        const cj__dnnl_array *a = &work->array[i];
        if (!a->rank) continue;
        layout_ref wanted = a->any ? dnnl_primitive_desc_query_md(pd, called[i].query, 0) : NULL;
        failed = make_part(d, a, i == CJ__DNNL_OUT, wanted, &d->parts[i], scratchpad);
        int argument = i == CJ__DNNL_BIAS     ? DNNL_ARG_BIAS
                       : i == CJ__DNNL_ADDEND ? ADDEND_ARGUMENT
                                              : called[i].argument;
        d->arguments[d->n_arguments++] = (dnnl_exec_arg_t){argument, d->parts[i].inner};
    }
    cj__dnnl_array bytes = {.rank = 1,
                            .dim = {(int64_t)(*scratchpad + sizeof(float) - 1) / 4},
                            .stride = {1}};
    layout l = {0};
    if (!failed && *scratchpad) {
        failed = layout_new(&l, &bytes, false);
        if (!failed)
            failed = dnnl_memory_create(&d->scratchpad, refer(&l), d->engine, DNNL_MEMORY_NONE);
        layout_free(&l);
        d->arguments[d->n_arguments++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, d->scratchpad};
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    return failed;
}

/* Where copies lie: in the arena when they are kept, else behind the scratchpad. */
static cj_status place_copies(cj__dnnl *d, cj__arena *arena, const cj__dnnl_work *work,
                              size_t scratchpad, size_t *workspace_bytes)
{
    size_t end = cj__round_up(scratchpad, ALIGNMENT);
    for (int i = 0; i < CJ__DNNL_ARRAYS; i++) {
        part *p = &d->parts[i];
        if (!p->reorder) continue;
        if (work->array[i].kept && i != CJ__DNNL_OUT) {
            char *block = cj__arena_alloc(arena, p->bytes + ALIGNMENT);
            if (!block) return CJ_ERR_MEMORY;
            p->kept = block + (ALIGNMENT - (uintptr_t)block % ALIGNMENT) % ALIGNMENT;
            continue;
        }
        p->place = end;
        if (!cj__size_add(end, cj__round_up(p->bytes, ALIGNMENT), &end))
            return cj_fail(arena->cj, CJ_ERR_LIMIT, "oneDNN's layouts need too much memory");
    }
    *workspace_bytes = end;
    return CJ_OK;
}

cj_status cj__dnnl_prepare(cj_context *cj, cj__arena *arena, const cj__dnnl_work *work,
                           cj__dnnl **out, size_t *workspace_bytes)
{
    cj__dnnl *d = *out = cj__arena_alloc(arena, sizeof *d);
    size_t scratchpad = 0;
    if (!d) return CJ_ERR_MEMORY;
    d->threads = work->threads;
    int before = enter(work->threads);
    dnnl_status_t failed = make_all(d, work, &scratchpad);
    leave(before, work->threads);
    if (failed) return fail(cj, failed, "prepare an operator");
    return place_copies(d, arena, work, scratchpad, workspace_bytes);
}

void cj__dnnl_release(cj__dnnl *d)
{
    if (!d) return;
    for (int i = 0; i < CJ__DNNL_ARRAYS; i++) {
        part *p = &d->parts[i];
        if (p->reorder) dnnl_primitive_destroy(p->reorder);
        if (p->inner && p->inner != p->outer) dnnl_memory_destroy(p->inner);
        if (p->outer) dnnl_memory_destroy(p->outer);
    }
    if (d->scratchpad) dnnl_memory_destroy(d->scratchpad);
    if (d->primitive) dnnl_primitive_destroy(d->primitive);
    if (d->stream) dnnl_stream_destroy(d->stream);
    if (d->engine) dnnl_engine_destroy(d->engine);
}

/* ---- Running --------------------------------------------------------------------------------- */

static dnnl_status_t point(dnnl_memory_t memory, void **now, void *address)
{
    if (*now == address) return dnnl_success;
    *now = address;
    return dnnl_memory_set_data_handle(memory, address);
}

static dnnl_status_t reorder(cj__dnnl *d, part *p, bool is_out)
{
    dnnl_exec_arg_t arguments[3] = {{DNNL_ARG_FROM, is_out ? p->inner : p->outer},
                                    {DNNL_ARG_TO, is_out ? p->outer : p->inner},
                                    {DNNL_ARG_SCRATCHPAD, d->scratchpad}};
    return dnnl_primitive_execute(p->reorder, d->stream, d->scratchpad ? 3 : 2, arguments);
}

static dnnl_status_t run_parts(cj__dnnl *d, void *const *data, char *workspace,
                               const uint64_t *version)
{
    dnnl_status_t failed = dnnl_success;
    if (d->scratchpad) failed = point(d->scratchpad, &d->scratchpad_address, workspace);
    for (int i = 0; i < CJ__DNNL_ARRAYS && !failed; i++) {
        part *p = &d->parts[i];
        if (!p->outer) continue;
        failed = point(p->outer, &p->address, data[i]);
        if (failed || !p->reorder) continue;
        failed = point(p->inner, &p->inner_address, p->kept ? p->kept : workspace + p->place);
        if (failed || i == CJ__DNNL_OUT) continue;
        if (p->kept && version && p->is_packed && p->version == *version) continue;
        failed = reorder(d, p, false);
        p->is_packed = !failed;
        if (version) p->version = *version;
    }
    if (!failed)
        failed = dnnl_primitive_execute(d->primitive, d->stream, d->n_arguments, d->arguments);
    if (!failed && d->parts[CJ__DNNL_OUT].reorder)
        failed = reorder(d, &d->parts[CJ__DNNL_OUT], true);
    return failed;
}

cj_status cj__dnnl_run(cj__dnnl *d, cj_context *cj, void *const data[CJ__DNNL_ARRAYS],
                       void *workspace, const uint64_t *version)
{
    int before = enter(d->threads);
    dnnl_status_t failed = run_parts(d, data, workspace, version);
    leave(before, d->threads);
    return failed ? fail(cj, failed, "run an operator") : CJ_OK;
}

bool cj__dnnl_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                    const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc)
{
    int before = enter(1);
    dnnl_status_t failed = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1,
                                      a, lda, b, ldb, 0, c, ldc);
    leave(before, 1);
    return !failed;
}

size_t cj__dnnl_reordered(const cj__dnnl *d)
{
    size_t bytes = 0;
    for (int i = 0; i < CJ__DNNL_ARRAYS; i++)
        if (d->parts[i].reorder && !d->parts[i].kept) bytes += d->parts[i].bytes;
    return bytes;
}
#else
typedef int cj__dnnl_is_not_built; /* a file of C is never empty */
#endif
