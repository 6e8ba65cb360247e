/* check.c: one row of the operator table against everything that is known about operators.
 *
 * Each sample of a row is built as a small graph and held against, in this order,
 *
 *     attributes   printed, parsed back, equal
 *     kernel       the reference kernel fills the array that the shape rule announced, all of
 *                  it and not a byte more, whatever was there before
 *     lowering     gives the same types and values
 *     backends     every one in every float dtype gives the values of the reference in double
 *     gradient     equals central differences; and so does the gradient of the gradient, also with
 *                  respect to the cotangents that came in
 *
 * Values differ by rounding alone: operands are rounded to the dtype before, so that f16 is
 * compared with the double of the same numbers. Differences are taken at h and h/2 and extrapolated
 * (Richardson), which leaves an error of order h^4 and a rounding error of about 1e-13. */
#include <math.h>
#include <string.h>

#include <cajal/run.h>

#include "backend/backend.h"
#include "graph/sample.h"
#include "tensor/tensor.h"

enum {
    VALUES_MAX = CJ__SAMPLES_MADE_MAX,
    SAMPLES_MAX = 1000,
    SAMPLES_MIN = 20,
    DIFFERENCES_MAX = 48
};

typedef struct check {
    cj_context *cj;
    const cj_op *op;
    int sample; /* its number */
    cj_graph *graph;
    cj_sampler sampler;
    cj_node *y; /* output 0 of the call under test */
    cj_op_report report;
} check;

static cj_status fail(check *c, cj_status status, const char *format, ...) CJ_PRINTF(3, 4);
static cj_status fail(check *c, cj_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    cj__vformat(text, sizeof(text), format, args);
    va_end(args);
    return cj_fail(c->cj, status, "%s: sample %d: %s", c->op->name, c->sample, text);
}

/* A failure on its way up gets the operator and the sample before it. */
static cj_status trace(check *c, cj_status status)
{
    return cj__prefix(c->cj, status, "%s: sample %d", c->op->name, c->sample);
}

/* ---- Samples and runs ---------------------------------------------------------------------- */

static void end_sample(check *c)
{
    cj_graph_free(c->graph);
    c->graph = NULL;
    c->y = NULL;
}

/* Builds the sample; c->y is NULL past the last one. */
static cj_status begin_sample(check *c, cj_dtype dtype, cj_dtype precision)
{
    end_sample(c);
    c->graph = cj_graph_new(c->cj);
    if (!c->graph) return CJ_ERR_MEMORY;
    cj__sampler_init(&c->sampler, c->graph, (uint64_t)c->sample + 1);
    c->sampler.dtype = dtype;
    c->sampler.precision = precision;
    c->y = c->op->sample(&c->sampler, c->sample);
    cj_status failed = cj_graph_failed(c->graph);
    if (failed) return trace(c, failed);
    if (c->y && c->y->call->op != c->op)
        return fail(c, CJ_ERR_STATE, "it is a call of %s", c->y->call->op->name);
    return c->y ? cj_graph_verify(c->graph) : CJ_OK;
}

/* A program with its session, and the outputs of its last run. */
typedef struct run {
    check *c;
    cj_program *program;
    cj_session *session;
    int n;
    cj_tensor *out[VALUES_MAX];
} run;

static cj_status run_begin(run *r, check *c, cj_node *const *nodes, int n, const char *backend,
                           bool passes)
{
    *r = (run){.c = c, .n = n};
    if (n > VALUES_MAX) return fail(c, CJ_ERR_LIMIT, "%d values, at most %d", n, VALUES_MAX);
    cj_compile_opts opts = {.struct_size = sizeof(opts),
                            .output_list = nodes,
                            .n_outputs = n,
                            .training = true,
                            .no_passes = !passes};
    r->program = (cj_compile)(c->graph, &opts);
    if (!r->program) return trace(c, cj_last_status(c->cj));
    cj_session_opts how = {.struct_size = sizeof(how), .backend = backend, .threads = 1};
    r->session = cj_session_new_opts(r->program, cj_graph_store(c->graph), &how);
    return r->session ? CJ_OK : trace(c, cj_last_status(c->cj));
}

static cj_status run_again(run *r)
{
    cj_status failed = cj_run(r->session, NULL, 0, r->out, r->n);
    return failed ? fail(r->c, failed, "%s", cj_session_message(r->session)) : CJ_OK;
}

static void run_end(run *r)
{
    cj_session_free(r->session);
    cj_program_free(r->program);
    for (int i = 0; i < r->n && i < VALUES_MAX; i++) cj_tensor_free(r->out[i]);
}

static cj_status run_once(run *r, check *c, cj_node *const *nodes, int n, const char *backend,
                          bool passes)
{
    cj_status failed = run_begin(r, c, nodes, n, backend, passes);
    return failed ? failed : run_again(r);
}

/* All outputs of the call under test. */
static int outputs_of(const check *c, cj_node **nodes)
{
    int n = c->y->call->n_out < VALUES_MAX ? c->y->call->n_out : VALUES_MAX;
    for (int k = 0; k < n; k++) nodes[k] = &c->y->call->out[k];
    return n;
}

/* ---- Comparing ----------------------------------------------------------------------------- */

static bool close_enough(double a, double b, double rtol, double atol)
{
    if (a == b || (isnan(a) && isnan(b))) return true;
    return fabs(a - b) <=
           atol + rtol * fmax(fabs(a), fabs(b)); /* false when one is NaN or infinite */
}

/* Floats within tolerance (atol: a share of the largest expected number), integers and bools
 * exactly. */
static cj_status compare(check *c, const char *what, int k, const cj_tensor *expected,
                         const cj_tensor *found, double rtol, double atol)
{
    if (!cj__same_shape(expected->rank, expected->shape, found->rank, found->shape)) {
        cj__shape_text a, b;
        return fail(c, CJ_ERR_SHAPE, "%s gives output %d the shape %s, expected %s", what, k,
                    cj__shape_string(&a, found->rank, found->shape),
                    cj__shape_string(&b, expected->rank, expected->shape));
    }
    const void *e = cj__tensor_data(expected), *f = cj__tensor_data(found);
    bool real = cj_dtype_info(expected->dtype)->kind == CJ_KIND_FLOAT;
    double largest = 1;
    for (size_t i = 0; real && i < (size_t)expected->count; i++) {
        double value = fabs(cj_load_f64(expected->dtype, e, i));
        if (isfinite(value)) largest = fmax(largest, value);
    }
    for (size_t i = 0; i < (size_t)expected->count; i++) {
        double a = cj_load_f64(expected->dtype, e, i), b = cj_load_f64(found->dtype, f, i);
        bool same = real ? close_enough(a, b, rtol, atol * largest)
                         : cj_load_i64(expected->dtype, e, i) == cj_load_i64(found->dtype, f, i);
        if (!same)
            return fail(c, CJ_ERR_NUMERIC,
                        "%s gives element %zu of output %d the value %.17g, expected %.17g", what,
                        i, k, b, a);
    }
    return CJ_OK;
}

/* ---- Attributes ---------------------------------------------------------------------------- */

/* Symbols, tensors and bodies are not written as text. */
static bool printable(const cj_option *table)
{
    for (; table->name; table++)
        if (table->type == CJ_OPTION_TYPE_DIMS || table->type == CJ_OPTION_TYPE_TENSOR ||
            table->type == CJ_OPTION_TYPE_GRAPH)
            return false;
    return true;
}

static cj_status check_attributes(check *c)
{
    const cj_op *op = c->op;
    if (!op->attributes || !printable(op->attributes)) return CJ_OK;
    cj__text text;
    cj__arena arena;
    cj__text_init(&text, c->cj);
    cj__arena_init(&arena, c->cj);
    cj_status failed = CJ_ERR_MEMORY;
    void *back = cj__arena_alloc(&arena, op->attributes_size);
    char *name;
    const char *rest;
    if (!back) goto out;
    cj__options_init(op->attributes, back);
    cj__text_format(&text, "%s(", op->name);
    cj__options_print(&text, op->attributes, c->y->call->attributes, c->sample % 2);
    cj__text_char(&text, ')');
    CJ__CHECK(failed = text.failed);
    CJ__CHECK(failed = cj__options_parse_name(&arena, text.bytes, &name, &rest));
    CJ__CHECK(failed = cj__options_parse(&arena, op->name, op->attributes, back, rest));
    if (!cj__options_equal(op->attributes, back, c->y->call->attributes))
        failed = fail(c, CJ_ERR_STATE, "attributes differ when read back from '%s'", text.bytes);
out:
    cj__arena_release(&arena);
    cj__text_release(&text);
    return failed;
}

/* ---- The kernel against the shape rule ----------------------------------------------------- */

static cj_status array_of(check *c, const cj_type *type, cj_array *out, size_t *bytes)
{
    *out = (cj_array){.dtype = type->dtype, .rank = type->rank};
    for (int i = 0; i < type->rank; i++) out->dim[i] = type->dim[i];
    if (!cj__count(out->rank, out->dim, &out->count) ||
        !cj__bytes(out->count, cj_dtype_info(out->dtype)->bits, bytes))
        return fail(c, CJ_ERR_SHAPE, "an impossible shape");
    return CJ_OK;
}

/* The operands and outputs of the call under test, for calling its kernel by hand. */
typedef struct stage {
    cj_array operand[VALUES_MAX], output[VALUES_MAX];
    size_t bytes[VALUES_MAX], guard; /* of each output, and of what follows each */
    void *fresh[VALUES_MAX];         /* memory for the outputs */
} stage;

static cj_status set_stage(check *c, stage *st, cj_tensor *const *in, cj__arena *arena)
{
    cj_call *call = c->y->call;
    st->guard = 64;
    for (int i = 0; i < call->n_in; i++) {
        size_t bytes;
        CJ__TRY(array_of(c, &call->in[i]->type, &st->operand[i], &bytes));
        st->operand[i].data = cj__tensor_data(in[i]);
        st->guard += bytes;
    }
    for (int k = 0; k < call->n_out; k++) {
        CJ__TRY(array_of(c, &call->out[k].type, &st->output[k], &st->bytes[k]));
        st->fresh[k] = st->output[k].data = cj__arena_alloc(arena, st->bytes[k] + st->guard);
        if (!st->fresh[k]) return CJ_ERR_MEMORY;
    }
    return CJ_OK;
}

static cj_status run_kernel(check *c, stage *st)
{
    const cj_array *in[VALUES_MAX];
    cj_array *out[VALUES_MAX];
    for (int i = 0; i < c->y->call->n_in; i++) in[i] = &st->operand[i];
    for (int k = 0; k < c->y->call->n_out; k++) out[k] = &st->output[k];
    cj_kernel kernel = {.call = c->y->call, .cj = c->cj, .in = in, .out = out};
    cj_status failed = c->op->ref(&kernel);
    return failed ? trace(c, failed) : CJ_OK;
}

/* Outputs that begin as `fill` in every byte and are followed by `guard` more, which must stay. */
static cj_status run_filled(check *c, stage *st, int fill)
{
    int n = c->y->call->n_out;
    for (int k = 0; k < n; k++) memset(st->fresh[k], fill, st->bytes[k] + st->guard);
    CJ__TRY(run_kernel(c, st));
    for (int k = 0; k < n; k++)
        for (size_t i = 0; i < st->guard; i++)
            if (((unsigned char *)st->fresh[k])[st->bytes[k] + i] != fill)
                return fail(
                    c, CJ_ERR_SHAPE,
                    "the kernel writes behind output %d, which the shape rule gives %zu bytes", k,
                    st->bytes[k]);
    return CJ_OK;
}

static cj_status run_over(check *c, stage *st, int k, int i, const cj_tensor *in)
{
    if (cj_tensor_size_bytes(in) != st->bytes[k] || !st->bytes[k]) return CJ_OK;
    cj_tensor *copy = cj_tensor_copy(in);
    if (!copy) return CJ_ERR_MEMORY;
    void *operand = st->operand[i].data;
    st->operand[i].data = st->output[k].data = cj__tensor_data(copy);
    cj_status failed = run_kernel(c, st);
    bool same = !memcmp(cj__tensor_data(copy), st->fresh[k], st->bytes[k]);
    st->operand[i].data = operand;
    st->output[k].data = st->fresh[k];
    cj_tensor_free(copy);
    if (failed) return failed;
    return same ? CJ_OK
                : fail(c, CJ_ERR_STATE, "the kernel gives output %d other values over operand %d",
                       k, i);
}

/* Outputs over the operands that the row allows. */
static cj_status run_in_place(check *c, stage *st, cj_tensor *const *in)
{
    const cj_call *call = c->y->call;
    for (int i = 0; c->op->flags & CJ_OP_ELEMENTWISE && i < call->n_in; i++)
        CJ__TRY(run_over(c, st, 0, i, in[i]));
    for (int k = 0; c->op->inplace && k < call->n_out; k++) {
        const int i = c->op->inplace(call, k);
        if (i >= 0) CJ__TRY(run_over(c, st, k, i, in[i]));
    }
    return CJ_OK;
}

/* What is not written keeps its two different fills. */
static cj_status check_kernel(check *c)
{
    cj_call *call = c->y->call;
    if (!c->op->ref || call->n_in > VALUES_MAX || call->n_out > VALUES_MAX) return CJ_OK;
    for (int k = 0; k < call->n_out; k++)
        for (int i = 0; i < call->out[k].type.rank; i++)
            if (call->out[k].type.dim[i] < 0) return CJ_OK; /* known after it has run */
    run operands = {0};
    stage first = {0}, second = {0};
    cj__arena arena;
    cj__arena_init(&arena, c->cj);
    cj_status failed = CJ_OK;
    if (call->n_in)
        CJ__CHECK(failed = run_once(&operands, c, call->in, call->n_in, "reference", false));
    CJ__CHECK(failed = set_stage(c, &first, operands.out, &arena));
    CJ__CHECK(failed = set_stage(c, &second, operands.out, &arena));
    CJ__CHECK(failed = run_filled(c, &first, 0xA5));
    CJ__CHECK(failed = run_filled(c, &second, 0x3C));
    for (int k = 0; k < call->n_out; k++)
        if (first.bytes[k] && memcmp(first.fresh[k], second.fresh[k], first.bytes[k]))
            CJ__CHECK(
                failed = fail(c, CJ_ERR_SHAPE, "the kernel leaves some of output %d unwritten", k));
    failed = run_in_place(c, &first, operands.out);
out:
    run_end(&operands);
    cj__arena_release(&arena);
    return failed;
}

/* ---- Lowering and backends ----------------------------------------------------------------- */

static cj_status check_lowering(check *c)
{
    cj_node *nodes[VALUES_MAX], *lowered[VALUES_MAX] = {NULL};
    int n = outputs_of(c, nodes);
    if (!c->op->lower || c->y->call->n_out > VALUES_MAX) return CJ_OK;
    if (!c->op->lower(c->graph, c->y->call, lowered)) {
        cj_status failed = cj_graph_failed(c->graph);
        return failed ? trace(c, failed) : fail(c, CJ_ERR_STATE, "the lowering gives up");
    }
    for (int k = 0; k < n; k++)
        if (!lowered[k] || !cj__type_equal(&lowered[k]->type, &nodes[k]->type))
            return fail(c, CJ_ERR_SHAPE, "the lowering gives output %d another type", k);
    run own = {0}, other = {0};
    cj_status failed;
    CJ__CHECK(failed = run_once(&own, c, nodes, n, "reference", false));
    CJ__CHECK(failed = run_once(&other, c, lowered, n, "reference", false));
    for (int k = 0; k < n && !failed; k++)
        failed = compare(c, "the lowering", k, own.out[k], other.out[k], 1e-9, 1e-12);
out:
    run_end(&own);
    run_end(&other);
    return failed;
}

/* How far a dtype's results may be from the double of the same operands: some units in the last
 * place, of the result and of the largest number around it. */
static double tolerance_of(cj_dtype dtype)
{
    return dtype == CJ_F64 ? 1e-11 : dtype == CJ_F32 ? 2e-5 : dtype == CJ_F16 ? 4e-3 : 3e-2;
}

/* This sample in `dtype` on a backend against the reference in double. */
static cj_status check_backend(check *c, cj_dtype dtype, const cj__backend *backend)
{
    cj_node *nodes[VALUES_MAX];
    run expected = {0}, found = {0};
    char what[64];
    cj__format(what, sizeof(what), "%s in %s", backend->name, cj_dtype_info(dtype)->name);
    cj_status failed = begin_sample(c, dtype, dtype);
    if (failed == CJ_ERR_TYPE) return CJ_OK; /* an operator need not take every float */
    CJ__CHECK(failed);
    CJ__CHECK(failed = run_once(&found, c, nodes, outputs_of(c, nodes), backend->name, true));
    CJ__CHECK(failed = begin_sample(c, CJ_F64, dtype));
    CJ__CHECK(failed = run_once(&expected, c, nodes, outputs_of(c, nodes), "reference", false));
    for (int k = 0; k < found.n && !failed; k++)
        failed = compare(c, what, k, expected.out[k], found.out[k], tolerance_of(dtype),
                         tolerance_of(dtype));
    c->report.backends++;
out:
    run_end(&found);
    run_end(&expected);
    return failed;
}

static cj_status check_backends(check *c)
{
    static const cj_dtype dtypes[] = {CJ_F64, CJ_F32, CJ_F16, CJ_BF16};
    bool reals = false;
    for (int i = 0; i < c->sampler.count; i++) reals = reals || c->sampler.made[i].differentiable;
    for (size_t d = 0; d < (reals ? CJ__COUNT(dtypes) : 1); d++)
        for (const cj__backend *const *b = cj__backends(); *b; b++)
            CJ__TRY(check_backend(c, dtypes[d], *b));
    return CJ_OK;
}

/* ---- Gradients ----------------------------------------------------------------------------- */

/* A scalar function of the variables: the sum of weight * value over all elements of some nodes.
 * The weights are variables too: as cotangents they make cj_vjp the gradient of just this function.
 */
typedef struct pairing {
    int n;
    cj_node *node[VALUES_MAX], *weight[VALUES_MAX];
} pairing;

static cj_tensor *value_of(check *c, const cj_node *variable)
{
    return cj_store_get(cj_graph_store(c->graph), variable->name);
}

/* Adds a node, with random weights. Differences of anything narrower than f64 would be noise. */
static cj_status pair(check *c, pairing *p, cj_node *node)
{
    if (!node || cj__is_zero(node) || node->type.dtype != CJ_F64 || p->n == VALUES_MAX)
        return CJ_OK;
    p->weight[p->n] = cj_sample_real(&c->sampler, -1, 1, node->type.rank, node->type.dim);
    p->node[p->n++] = node;
    return cj_graph_failed(c->graph) ? trace(c, cj_graph_failed(c->graph)) : CJ_OK;
}

static cj_status pairing_value(run *r, const pairing *p, double *sum)
{
    CJ__TRY(run_again(r));
    *sum = 0;
    for (int k = 0; k < p->n; k++) {
        const cj_tensor *weight = value_of(r->c, p->weight[k]);
        for (size_t i = 0; i < (size_t)r->out[k]->count; i++)
            *sum += cj_load_f64(r->out[k]->dtype, cj__tensor_data(r->out[k]), i) *
                    cj_load_f64(weight->dtype, cj__tensor_data(weight), i);
    }
    return CJ_OK;
}

/* (f(x + h) - f(x - h)) / 2h at element i of a variable, whose value is `x` and stays so. */
static cj_status difference(run *r, const pairing *p, const cj_node *variable, cj_tensor *x,
                            int64_t i, double h, double *slope)
{
    cj_store *store = cj_graph_store(r->c->graph);
    double *at = (double *)cj__tensor_data(x) + i, middle = *at, sum[2] = {0, 0};
    cj_status failed = CJ_OK;
    for (int side = 0; side < 2 && !failed; side++) {
        *at = side ? middle - h : middle + h;
        failed = cj_store_set(store, variable->name, x);
        if (!failed) failed = pairing_value(r, p, &sum[side]);
    }
    *at = middle;
    *slope = (sum[0] - sum[1]) / (2 * h);
    cj_status restored = cj_store_set(store, variable->name, x);
    return failed ? failed : restored;
}

/* Every element (of large variables: some) of the gradient of one variable. found NULL: zero. */
static cj_status compare_differences(run *r, const pairing *p, const char *what,
                                     const cj_node *variable, const cj_tensor *found)
{
    check *c = r->c;
    cj_tensor *x = cj_tensor_copy(value_of(c, variable));
    if (!x) return CJ_ERR_MEMORY;
    cj_status failed = CJ_OK;
    const double h = 1e-3;
    for (int64_t i = 0; i < x->count && !failed; i += 1 + x->count / DIFFERENCES_MAX) {
        double wide = 0, narrow = 0,
               have = found ? cj_load_f64(found->dtype, cj__tensor_data(found), (size_t)i) : 0;
        CJ__CHECK(failed = difference(r, p, variable, x, i, h, &wide));
        CJ__CHECK(failed = difference(r, p, variable, x, i, h / 2, &narrow));
        double expected = (4 * narrow - wide) / 3;
        if (!close_enough(have, expected, 1e-6, 1e-8))
            failed = fail(c, CJ_ERR_NUMERIC, "the %s of %s[%lld] is %.12g, by differences %.12g",
                          what, variable->name, (long long)i, have, expected);
    }
out:
    cj_tensor_free(x);
    return failed;
}

/* Gradient nodes `dx` of the pairing against differences, and, run through the passes on the best
 * backend, against themselves. */
static cj_status check_derivative(check *c, const pairing *p, const char *what, cj_node *const *wrt,
                                  int n, cj_node **dx)
{
    cj_node *nodes[VALUES_MAX];
    int at[VALUES_MAX], m = 0;
    cj_status failed = cj_vjp(p->node, p->weight, p->n, wrt, n, dx);
    if (failed) return trace(c, failed);
    for (int v = 0; v < n; v++) {
        at[v] = cj__is_zero(dx[v]) ? -1 : m;
        if (at[v] >= 0 && !cj__type_equal(&dx[v]->type, &wrt[v]->type))
            return fail(c, CJ_ERR_SHAPE, "the %s of %s has another type", what, wrt[v]->name);
        if (at[v] >= 0) nodes[m++] = dx[v];
    }
    run forward = {0}, plain = {0}, best = {0};
    if (m) CJ__CHECK(failed = run_once(&plain, c, nodes, m, "reference", false));
    if (m) CJ__CHECK(failed = run_once(&best, c, nodes, m, NULL, true));
    for (int k = 0; k < m; k++)
        CJ__CHECK(failed = compare(c, what, k, plain.out[k], best.out[k], 1e-10, 1e-10));
    CJ__CHECK(failed = run_begin(&forward, c, p->node, p->n, "reference", false));
    for (int v = 0; v < n; v++)
        CJ__CHECK(failed = compare_differences(&forward, p, what, wrt[v],
                                               at[v] < 0 ? NULL : plain.out[at[v]]));
out:
    run_end(&forward);
    run_end(&plain);
    run_end(&best);
    return failed;
}

static cj_status check_gradients(check *c)
{
    cj_node *wrt[VALUES_MAX], *dx[VALUES_MAX] = {NULL}, *unused[VALUES_MAX];
    cj_call *call = c->y->call;
    pairing first = {0}, second = {0};
    int n = 0;
    for (int i = 0; i < c->sampler.count; i++)
        if (c->sampler.made[i].differentiable) wrt[n++] = c->sampler.made[i].node;
    for (int k = 0; k < call->n_out; k++) CJ__TRY(pair(c, &first, &call->out[k]));
    if (!n || !first.n) return CJ_OK;
    CJ__TRY(check_derivative(c, &first, "gradient", wrt, n, dx));
    c->report.gradients++;
    for (int v = 0; v < n; v++) CJ__TRY(pair(c, &second, dx[v]));
    for (int k = 0; k < first.n && n < VALUES_MAX; k++) wrt[n++] = first.weight[k];
    if (!second.n) return CJ_OK;
    CJ__TRY(check_derivative(c, &second, "second derivative", wrt, n, unused));
    c->report.second_gradients++;
    return CJ_OK;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static bool differentiable(const cj_op *op)
{
    return (op->grad || op->lower) && !op->no_gradient;
}

static cj_status check_sample(check *c)
{
    CJ__TRY(check_attributes(c));
    CJ__TRY(check_kernel(c));
    CJ__TRY(check_lowering(c));
    if (differentiable(c->op)) CJ__TRY(check_gradients(c));
    return check_backends(c);
}

cj_status cj_op_check(cj_context *cj, const cj_op *op, cj_op_report *report)
{
    if (!op || !op->name || !op->infer)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "an operator's row needs a name and a shape rule");
    check c = {.cj = cj, .op = op};
    cj_status failed = CJ_OK;
    if (!op->sample && !(op->flags & CJ_OP_SOURCE))
        failed = cj_fail(cj, CJ_ERR_STATE, "%s: the row has no samples", op->name);
    if (!op->grad && !op->lower && !op->no_gradient && !(op->flags & CJ_OP_SOURCE))
        failed = cj_fail(cj, CJ_ERR_STATE, "%s: the row has no gradient and does not say why",
                         op->name);
    while (op->sample && !failed && c.sample < SAMPLES_MAX) {
        failed = begin_sample(&c, CJ_F64, CJ_F64);
        if (failed || !c.y) break;
        failed = check_sample(&c);
        c.report.samples = ++c.sample;
    }
    end_sample(&c);
    if (!failed && differentiable(op) && c.sample < SAMPLES_MIN)
        failed = cj_fail(cj, CJ_ERR_STATE, "%s: %d samples, at least %d are wanted", op->name,
                         c.sample, SAMPLES_MIN);
    if (report) *report = c.report;
    return failed;
}
