/* Arguments that nobody means: for every row of the operator table, seeded random attributes and
 * operands give an error with a sentence, or the right answer, and never anything else.
 *
 * A set of arguments is a sample of the row of which some parts are replaced: attributes by
 * numbers at and beyond the ends of their ranges, operands by other shapes, dtypes and values, by
 * symbols that are fed something else, by none. What the shape rule lets pass is run by the
 * reference kernels without passes and by the best backend with all of them, which must agree, and
 * so is its gradient. Memory is limited, so that a size that slips through fails here.
 *
 *     test_arguments              all rows
 *     test_arguments conv 17      one row; one set of it
 *
 * ctest: slow timeout 1200 */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <cajal/run.h>

#include "graph/sample.h"
#include "tensor/tensor.h"

enum { SETS = 1000, OPERANDS_MAX = 32, ELEMENTS_MAX = 1 << 14, HANG_SECONDS = 60 };

typedef struct scene {
    cj_context *cj;
    const cj_op *op;
    int seed;
    cj_sampler sampler;
    cj_graph *g;
    cj_node *in[OPERANDS_MAX];
    int n_in;
    cj_feed feeds[OPERANDS_MAX];
    int n_feeds;
    bool tame; /* values and attributes are such that rounding stays small */
    bool huge; /* an operand of more elements than anybody can walk over: only plans are made */
} scene;

static int sets_applied, sets_run, gradients_run, failures;
static char now_running[96];

/* ---- Random numbers -------------------------------------------------------------------------- */

static uint64_t state_of_random;
static uint64_t bits(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random * 2685821657736338717u >> 11;
}
static int below(int n)
{
    return (int)(bits() % (uint64_t)n);
}

static int64_t odd_integer(const cj_option *o)
{
    static const int64_t ends[] = {0,          -1,          INT32_MAX, INT32_MIN, 1LL << 31,
                                   1LL << 32,  1LL << 40,   1LL << 62, INT64_MAX, INT64_MIN,
                                   -(1LL << 31), 65536,     -2,        1000000007};
    switch (below(8)) {
    case 0: return ends[below((int)(sizeof ends / sizeof ends[0]))];
    case 1: return o->min < o->max && fabs(o->min) < 9e18 ? (int64_t)o->min - below(2) : -below(9);
    case 2: return o->min < o->max && fabs(o->max) < 9e18 ? (int64_t)o->max + below(2) : below(99);
    case 3: return below(40);
    default: return below(6) - 1;
    }
}

static double odd_real(const cj_option *o)
{
    static const double ends[] = {0, -0.0, -1, 1, 1e-300, 1e300, -1e300, INFINITY, -INFINITY, NAN,
                                  0.5, 1e9};
    if (below(3) == 0 && o->min < o->max) return below(2) ? o->min : o->max;
    return below(2) ? ends[below((int)(sizeof ends / sizeof ends[0]))] : below(2000) / 1000.0;
}

/* ---- Operands -------------------------------------------------------------------------------- */

static cj_node *made(scene *s, cj_dtype dtype, int rank, const int64_t *dims)
{
    switch (cj_dtype_info(dtype)->kind) {
    case CJ_KIND_FLOAT:
        s->sampler.dtype = s->sampler.precision = dtype;
        return cj_sample_real(&s->sampler, -2, 2, rank, dims);
    case CJ_KIND_BOOL: return cj_sample_bool(&s->sampler, rank, dims);
    case CJ_KIND_SIGNED:
        if (below(3) == 0) return cj_sample_int(&s->sampler, dtype, -1000, 1000, rank, dims);
        return cj_sample_int(&s->sampler, dtype, -2, 9, rank, dims);
    default: return cj_sample_int(&s->sampler, dtype, 0, 9, rank, dims);
    }
}

/* A placeholder of symbols that is fed a tensor of other sizes now and then. */
static cj_node *symbolic(scene *s, cj_dtype dtype, int rank, const int64_t *dims)
{
    cj_dim symbols[CJ_RANK_MAX];
    int64_t fed[CJ_RANK_MAX];
    char name[16];
    for (int i = 0; i < rank; i++) {
        cj__format(name, sizeof name, "n%d", below(3) ? i : below(4));
        symbols[i] = below(4) ? cj_symbol(s->g, name) : dims[i];
        fed[i] = below(12) ? dims[i] : below(5);
    }
    cj__format(name, sizeof name, "p%d", s->n_feeds);
    cj_node *p = cj_placeholder(s->g, name, dtype, rank, symbols);
    cj_tensor *t = p ? cj_tensor_new(s->cj, dtype, rank, fed) : NULL;
    for (int64_t i = 0; t && i < t->count; i++)
        if (cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT)
            cj_store_f64(dtype, cj__tensor_data(t), (size_t)i, below(2001) / 1e3 - 1);
        else cj_store_i64(dtype, cj__tensor_data(t), (size_t)i, below(2));
    if (t) s->feeds[s->n_feeds++] = (cj_feed){p, t};
    return p;
}

static cj_node *other_operand(scene *s, const cj_node *old)
{
    int64_t dims[CJ_RANK_MAX];
    int rank = old->type.rank;
    cj_dtype dtype = old->type.dtype;
    for (int i = 0; i < rank; i++) dims[i] = old->type.dim[i] >= 0 ? old->type.dim[i] : 2;
    switch (below(8)) {
    case 0:
    case 1: /* one size is another */
        if (rank) dims[below(rank)] = below(7);
        return made(s, dtype, rank, dims);
    case 2: /* another rank */
        rank = below(7);
        for (int i = 0; i < rank; i++) dims[i] = below(4);
        return made(s, dtype, rank, dims);
    case 3: /* an axis more or less */
        if (rank < CJ_RANK_MAX && below(2)) dims[rank++] = 1 + below(2);
        else if (rank) rank--;
        return made(s, dtype, rank, dims);
    case 4: return made(s, (cj_dtype)(1 + below(CJ_DTYPE_COUNT - 1)), rank, dims);
    case 5: { /* huge, and nothing but one number */
        cj_node *x = made(s, dtype, 0, dims);
        if (!rank || !x) return x;
        static const int64_t huge[] = {1LL << 28, 1LL << 31, 1LL << 40, 1LL << 61, INT64_MAX};
        dims[below(rank)] = huge[below(5)];
        s->huge = true;
        return cj_broadcast_to(x, rank, dims);
    }
    default: return symbolic(s, dtype, rank, dims);
    }
}

static void change_operands(scene *s)
{
    int way = below(12);
    if (way == 0 && s->n_in) s->n_in--;
    else if (way == 1 && s->n_in && s->n_in < OPERANDS_MAX) {
        s->in[s->n_in] = s->in[below(s->n_in)];
        s->n_in++;
    } else if (way == 2 && s->n_in) s->in[below(s->n_in)] = s->in[below(s->n_in)];
    else if (way == 3 && s->n_in && below(4) == 0) s->in[below(s->n_in)] = cj_zero;
    else if (s->n_in) {
        int i = below(s->n_in);
        if (!cj__is_zero(s->in[i])) s->in[i] = other_operand(s, s->in[i]);
    }
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static void odd_list(cj_ints *list, int64_t *room, const cj_option *o)
{
    int n = below(4) && list->n ? list->n : below(CJ_RANK_MAX + 3);
    for (int i = 0; i < n; i++)
        room[i] = i < list->n && below(3) ? list->v[i] : odd_integer(o);
    *list = (cj_ints){n, room};
}

/* `room` holds what the changed attribute points to. */
static bool change_attribute(const cj_option *o, void *attributes, int64_t *room)
{
    static const char *const texts[] = {"", "relu", "nonsense", "linear", NULL};
    void *at = (char *)attributes + o->offset;
    switch (o->type) {
    case CJ_OPTION_TYPE_BOOL: *(bool *)at = !*(bool *)at; return true;
    case CJ_OPTION_TYPE_INT: *(int64_t *)at = odd_integer(o); return true;
    case CJ_OPTION_TYPE_FLOAT: *(double *)at = odd_real(o); return false;
    case CJ_OPTION_TYPE_WORD: *(int *)at = below(20) ? below(6) : (int)odd_integer(o); return true;
    case CJ_OPTION_TYPE_STRING: *(const char **)at = texts[below(5)]; return true;
    case CJ_OPTION_TYPE_DTYPE: *(cj_dtype *)at = (cj_dtype)(below(CJ_DTYPE_COUNT + 2)); return true;
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_DIMS: odd_list(at, room, o); return true;
    case CJ_OPTION_TYPE_FLOATS: {
        cj_floats *list = at;
        double *v = (double *)room;
        list->n = below(CJ_RANK_MAX + 3);
        for (int i = 0; i < list->n; i++) v[i] = odd_real(o);
        list->v = v;
        return false;
    }
    default: return true;
    }
}

static int options_in(const cj_option *table)
{
    int n = 0;
    while (table && table[n].name) n++;
    return n;
}

/* ---- Running --------------------------------------------------------------------------------- */

static void complain(const scene *s, const char *what, const char *message)
{
    print_error("%s %d: %s: %s\n", s->op->name, s->seed, what, message);
    failures++;
}

/* What a limit or a size that turned up while running may be answered with. */
static bool is_answer(cj_status status)
{
    return status == CJ_OK || status == CJ_ERR_LIMIT || status == CJ_ERR_MEMORY ||
           status == CJ_ERR_SHAPE || status == CJ_ERR_ARGUMENT || status == CJ_ERR_DATA ||
           status == CJ_ERR_TYPE || status == CJ_ERR_UNSUPPORTED;
}

static cj_status run(scene *s, cj_node *const *nodes, int n, const char *backend, bool passes,
                     cj_tensor **out, char message[512])
{
    cj_compile_opts opts = {.struct_size = sizeof opts,
                            .output_list = nodes,
                            .n_outputs = n,
                            .training = s->seed % 3 != 0,
                            .no_passes = !passes};
    cj_session_opts how = {.struct_size = sizeof how, .backend = backend,
                           .threads = passes ? 1 + s->seed % 3 : 1};
    cj_program *p = (cj_compile)(s->g, &opts);
    cj_session *session = p ? cj_session_new_opts(p, cj_graph_store(s->g), &how) : NULL;
    cj_status failed = !session  ? cj_last_status(s->cj)
                       : s->huge ? cj_session_plan(session, s->feeds, s->n_feeds)
                                 : cj_run(session, s->feeds, s->n_feeds, out, n);
    if (failed) cj__format(message, 512, "%s: %s", cj_status_name(failed),
                           session ? cj_session_message(session) : cj_message(s->cj));
    if (failed && (!session || !*cj_session_message(session)) && !*cj_message(s->cj))
        complain(s, "a failure without a message", cj_status_name(failed));
    cj_session_free(session);
    cj_program_free(p);
    return failed;
}

/* Finite numbers agree to what the dtype can hold after some hundred operations. */
static void compare(scene *s, int k, const cj_tensor *a, const cj_tensor *b)
{
    double largest = 1, tolerance = a->dtype == CJ_F64   ? 1e-8
                                    : a->dtype == CJ_F32 ? 2e-3
                                                         : 0.1;
    char message[160];
    if (!cj__same_shape(a->rank, a->shape, b->rank, b->shape)) {
        complain(s, "shapes", "of the two backends differ");
        return;
    }
    const cj_dtype_kind kind = cj_dtype_info(a->dtype)->kind;
    bool real = kind == CJ_KIND_FLOAT || kind == CJ_KIND_LOW_FLOAT;
    for (size_t i = 0; i < (size_t)a->count; i++) {
        double x = cj_load_f64(a->dtype, cj__tensor_data(a), i);
        if (real && !isfinite(x)) return;
        largest = fmax(largest, fabs(x));
    }
    for (size_t i = 0; i < (size_t)a->count; i++) {
        double x = cj_load_f64(a->dtype, cj__tensor_data(a), i),
               y = cj_load_f64(b->dtype, cj__tensor_data(b), i);
        if (fabs(x - y) <= (real ? tolerance * largest : 0)) continue;
        cj__format(message, sizeof message, "output %d (%s), element %zu: %.9g and %.9g", k,
                   cj_dtype_info(a->dtype)->name, i, x, y);
        complain(s, "the backends differ", message);
        return;
    }
}

static bool small(const cj_node *node)
{
    int64_t count = 1;
    for (int i = 0; i < node->type.rank; i++) {
        int64_t d = node->type.dim[i] < 0 ? 4 : node->type.dim[i];
        if (d > ELEMENTS_MAX) return false;
        count *= d;
        if (count > ELEMENTS_MAX) return false;
    }
    return true;
}

static void run_gradient(scene *s, cj_call *call)
{
    cj_node *loss = NULL, *wrt[OPERANDS_MAX], *dx[OPERANDS_MAX] = {NULL}, *nodes[OPERANDS_MAX];
    cj_tensor *out[OPERANDS_MAX] = {NULL};
    char message[512];
    int n = 0, m = 0;
    for (int k = 0; k < call->n_out; k++) {
        if (cj_dtype_info(call->out[k].type.dtype)->kind != CJ_KIND_FLOAT) continue;
        cj_node *sum = cj_sum(cj_cast(&call->out[k], CJ_F64));
        loss = loss ? cj_add(loss, sum) : sum;
    }
    for (int i = 0; i < call->n_in && n < OPERANDS_MAX; i++)
        if (cj_dtype_info(call->in[i]->type.dtype)->kind == CJ_KIND_FLOAT) wrt[n++] = call->in[i];
    if (!loss || !n || cj_grad(loss, wrt, n, dx)) return;
    for (int i = 0; i < n; i++) {
        if (dx[i] && !cj__is_zero(dx[i])) nodes[m++] = dx[i];
        if (dx[i] && !cj__is_zero(dx[i]) && !s->n_feeds && /* else: assumed equal, checked later */
            !cj__type_equal(&dx[i]->type, &wrt[i]->type))
            complain(s, "a gradient", "has another type than its operand");
    }
    if (!m) return;
    cj_status failed = run(s, nodes, m, NULL, true, out, message);
    if (failed && failed != CJ_ERR_LIMIT && failed != CJ_ERR_MEMORY)
        complain(s, "the gradient of what ran", message);
    if (failed && getenv("CAJAL_TEST_TELL")) cj_graph_print(s->g, stderr);
    gradients_run += !failed;
    for (int i = 0; i < m; i++) cj_tensor_free(out[i]);
}

static void run_both(scene *s, cj_call *call)
{
    cj_node *nodes[OPERANDS_MAX];
    cj_tensor *plain[OPERANDS_MAX] = {NULL}, *best[OPERANDS_MAX] = {NULL};
    char message[2][512] = {"", ""};
    int n = call->n_out < OPERANDS_MAX ? call->n_out : OPERANDS_MAX;
    bool fits = true;
    for (int k = 0; k < n; k++) fits &= small(nodes[k] = &call->out[k]);
    if (!fits || s->huge) { /* what cannot be held is an error of the plan */
        cj_status failed = run(s, nodes, n, NULL, true, best, message[0]);
        if (!is_answer(failed)) complain(s, "a large result", message[0]);
        for (int k = 0; k < n; k++) cj_tensor_free(best[k]);
        return;
    }
    cj_status a = run(s, nodes, n, "reference", false, plain, message[0]);
    cj_status b = run(s, nodes, n, NULL, true, best, message[1]);
    if (!is_answer(a)) complain(s, "the reference kernel", message[0]);
    if (!is_answer(b)) complain(s, "the best kernel", message[1]);
    if (a != b && a != CJ_ERR_LIMIT && b != CJ_ERR_LIMIT) {
        complain(s, "the reference kernel says", message[0]);
        complain(s, "         the best kernel", message[1]);
    }
    for (int k = 0; k < n && !a && !b && s->tame; k++) compare(s, k, plain[k], best[k]);
    for (int k = 0; k < n; k++) {
        cj_tensor_free(plain[k]);
        cj_tensor_free(best[k]);
    }
    sets_run += !a;
    if (!a && !b) run_gradient(s, call);
}

/* ---- Sets ------------------------------------------------------------------------------------ */

static int samples_of(cj_context *cj, const cj_op *op)
{
    for (int i = 0;; i++) {
        cj_sampler sampler;
        cj_graph *g = cj_graph_new(cj);
        cj__sampler_init(&sampler, g, 1);
        bool past = !op->sample || !op->sample(&sampler, i);
        cj_graph_free(g);
        if (past) return i;
    }
}

static void one_set(cj_context *cj, const cj_op *op, int samples, int seed)
{
    static const cj_dtype dtypes[] = {CJ_F32, CJ_F64, CJ_F32, CJ_F16, CJ_BF16, CJ_F32};
    scene s = {.cj = cj, .op = op, .seed = seed, .tame = true};
    int64_t rooms[4][CJ_RANK_MAX + 4];
    state_of_random = ((uint64_t)seed + 1) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 8; i++) bits();
    cj_fail(cj, CJ_OK, "%s", "");
    s.g = cj_graph_new(cj);
    cj__sampler_init(&s.sampler, s.g, (uint64_t)seed);
    s.sampler.dtype = s.sampler.precision = dtypes[below(6)];
    cj_node *y = op->sample(&s.sampler, below(samples));
    if (!y) goto out; /* it does not take the dtype */
    s.n_in = y->call->n_in;
    if (s.n_in > OPERANDS_MAX) goto out;
    for (int i = 0; i < s.n_in; i++) s.in[i] = y->call->in[i];
    void *attributes = op->attributes_size ? malloc(op->attributes_size) : NULL;
    if (attributes) memcpy(attributes, y->call->attributes, op->attributes_size);
    int options = options_in(op->attributes), changes = below(4);
    for (int i = 0; i < changes && !cj_graph_failed(s.g); i++) {
        if (options && below(2))
            s.tame &= change_attribute(&op->attributes[below(options)], attributes, rooms[i]);
        else change_operands(&s);
    }
    y = cj_graph_failed(s.g) ? NULL : cj_apply(s.g, op, s.in, s.n_in, attributes);
    free(attributes);
    sets_applied++;
    if (!y) {
        if (!cj_graph_failed(s.g)) complain(&s, "no node", "and the graph has not failed");
        else if (!*cj_message(cj)) complain(&s, "the graph failed", "without a message");
        goto out;
    }
    if (cj_graph_verify(s.g)) complain(&s, "the graph", cj_message(cj));
    run_both(&s, y->call);
out:
    for (int i = 0; i < s.n_feeds; i++) cj_tensor_free((cj_tensor *)s.feeds[i].value);
    cj_graph_free(s.g);
}

static void hung(int number)
{
    static const char text[] = "this set of arguments hangs: ";
    (void)number;
    if (write(2, text, sizeof text - 1) < 0 || write(2, now_running, strlen(now_running)) < 0 ||
        write(2, "\n", 1) < 0)
        _exit(2);
    _exit(1);
}

static const char *only; /* from the command line */
static int only_set = -1;

static void test_arguments(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.memory_limit_bytes = 32 << 20});
    assert_non_null(cj);
    signal(SIGALRM, hung);
    const char *wanted = getenv("CAJAL_TEST_SETS");
    int sets = wanted ? atoi(wanted) : SETS;
    int64_t before = cj_memory_used(cj);
    for (int row = 0; cj_op_at(cj, row); row++) {
        const cj_op *op = cj_op_at(cj, row);
        if ((only && strcmp(only, op->name)) || (op->flags & (CJ_OP_SOURCE | CJ_OP_CONTROL)))
            continue;
        int samples = samples_of(cj, op), first = only_set < 0 ? 0 : only_set;
        for (int i = first; samples && i < (only_set < 0 ? sets : only_set + 1); i++) {
            cj__format(now_running, sizeof now_running, "%s %d", op->name, i);
            if (getenv("CAJAL_TEST_TELL")) fprintf(stderr, "%s\n", now_running);
            alarm(HANG_SECONDS);
            one_set(cj, op, samples, i);
            alarm(0);
        }
        if (cj_memory_used(cj) != before)
            print_error("%s: %lld bytes are lost\n", op->name,
                        (long long)(cj_memory_used(cj) - before)),
                failures++, before = cj_memory_used(cj);
    }
    print_message("%d sets applied, %d run, %d gradients run\n", sets_applied, sets_run,
                  gradients_run);
    cj_context_free(cj);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    only_set = argc > 2 ? atoi(argv[2]) : -1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_arguments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
