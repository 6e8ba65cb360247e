/* Random graphs with random updates mean the same with all passes on the vector kernels as without
 * any on the reference kernels: outputs, and what is in the store afterwards, over several runs
 * with other sizes.
 *
 * Values stay near [-2, 2] and functions are continuous, so that rounding cannot grow into a
 * difference. ctest: timeout 120 */
#include "run_support.h"

enum { GRAPHS = 500, NODES_MAX = 64, VARIABLES = 4, RUNS = 3 };

typedef struct scene {
    cj_context *cj;
    cj_graph *g;
    cj_node *nodes[NODES_MAX];
    int n;
    cj_node *x, *y, *variables[VARIABLES];
    cj_update updates[VARIABLES + 1];
    cj_node *outputs[CJ_OUTPUTS_MAX], *commit_if;
    int n_outputs;
} scene;

static cj_node *any(scene *s)
{
    return s->nodes[random_below(s->n)];
}

static bool broadcasts(const cj_node *a, const cj_node *b)
{
    for (int i = 1; i <= cj_node_rank(a) && i <= cj_node_rank(b); i++) {
        cj_dim p = cj_node_dim(a, -i), q = cj_node_dim(b, -i);
        if (p != q && p != 1 && q != 1) return false;
    }
    return true;
}

static cj_node *random_unary(cj_node *x)
{
    switch (random_below(14)) {
    case 0: return cj_tanh(x);
    case 1: return cj_neg(x);
    case 2: return cj_abs(x);
    case 3: return cj_square(cj_tanh(x));
    case 4: return cj_relu(x);
    case 5: return cj_sigmoid(x);
    case 6: return cj_scale(cj_exp(cj_tanh(x)), 0.5);
    case 7: return cj_sin(x);
    case 8: return cj_scale(cj_softplus(x), 0.5);
    case 9: return cj_sqrt(cj_shift(cj_square(x), 1e-2));
    case 10: return cj_leaky_relu(x, 0.1);
    case 11: return cj_log1p(cj_abs(x));
    case 12: return cj_gelu(x);
    default: return cj_silu(cj_identity(x));
    }
}

static cj_node *random_binary(cj_node *a, cj_node *b)
{
    switch (random_below(7)) {
    case 0: return cj_scale(cj_add(a, b), 0.5);
    case 1: return cj_scale(cj_sub(a, b), 0.5);
    case 2: return cj_mul(cj_tanh(a), b);
    case 3: return cj_maximum(a, b);
    case 4: return cj_minimum(a, b);
    case 5: return cj_where(cj_less(a, b), a, b);
    default: return cj_div(a, cj_shift(cj_square(b), 1));
    }
}

/* What is reduced, and read again with what it was reduced from. */
static cj_node *random_norm(cj_node *x, int n, const int64_t *axes)
{
    cj_node *mean = cj_reduce_mean(x, n, axes, true), *centred = cj_sub(x, mean);
    switch (random_below(4)) {
    case 0: return centred;
    case 1: return cj_tanh(cj_mul(x, cj_reduce_max(cj_tanh(x), n, axes, true)));
    case 2: return cj_mul(cj_softmax(x, -1), centred);
    default:
        return cj_tanh(cj_mul(
            centred, cj_rsqrt(cj_shift(cj_reduce_mean(cj_square(centred), n, axes, true), 0.1))));
    }
}

static cj_node *random_shaped(cj_node *x)
{
    int rank = cj_node_rank(x);
    if (!rank) return cj_broadcast_to(x, CJ_DIMS(2, 1));
    int axis = random_below(rank);
    int64_t axes[CJ_RANK_MAX] = {axis};
    switch (random_below(15)) {
    case 0: return cj_reduce_mean(x, 1, axes, random_below(2));
    case 1: return cj_tanh(cj_reduce_sum(x, 1, axes, random_below(2)));
    case 2: return cj_reduce_max(x, 1, axes, random_below(2));
    case 3: return cj_transpose(x, NULL);
    case 4: return cj_reshape(x, 1, (cj_dim[]){CJ_INFER});
    case 5: return cj_expand_dims(x, axis);
    case 6: return cj_softmax(x, axis);
    case 7: return cj_reverse(x, axis);
    case 8: return cj_tanh(cj_logsumexp(x, 1, axes, true));
    case 11:
    case 12: return random_norm(x, 1, axes);
    case 13: /* all axes but one at an end */
    case 14:
        for (int i = 0, first = random_below(2); i < rank - 1; i++) axes[i] = i + first;
        return random_norm(x, rank - 1, axes);
    case 9: return cj_reshape(cj_reshape(x, 1, (cj_dim[]){CJ_INFER}), rank, cj_node_type(x)->dim);
    default: return cj_tanh(cj_cumsum(x, axis, random_below(2), random_below(2)));
    }
}

static cj_node *random_matmul(cj_node *a, cj_node *b)
{
    if (cj_node_rank(a) != 2 || cj_node_rank(b) != 2) return NULL;
    for (int way = 0; way < 4; way++) {
        bool ta = way & 1, tb = way & 2;
        if (cj_node_dim(a, ta ? 0 : 1) != cj_node_dim(b, tb ? 1 : 0)) continue;
        cj_node *p = ta && random_below(2) ? cj_transpose(a, NULL) : NULL;
        return cj_tanh(p ? cj_matmul_transposed(p, b, false, tb)
                         : cj_matmul_transposed(a, b, ta, tb));
    }
    return NULL;
}

static void push(scene *s, cj_node *node)
{
    if (!node || cj_node_rank(node) > 4 || s->n == NODES_MAX) return;
    s->nodes[s->n++] = node;
}

static void make_sources(scene *s)
{
    static const int64_t shapes[VARIABLES][2] = {{4, 3}, {4, 3}, {3, 1}, {1, 4}};
    for (int i = 0; i < VARIABLES; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        cj_tensor *t = random_tensor(s->cj, CJ_F64, i == 2 ? 1 : 2, shapes[i]);
        s->variables[i] = cj_variable(s->g, name, t);
        cj_tensor_free(t);
        push(s, s->variables[i]);
    }
    cj_dim batch = cj_symbol(s->g, "batch");
    push(s, s->x = cj_placeholder(s->g, "x", CJ_F64, CJ_DIMS(batch, 4)));
    push(s, s->y = cj_placeholder(s->g, "y", CJ_F64, CJ_DIMS(batch, 1)));
    push(s, cj_scalar(s->g, CJ_F64, 0.5));
}

/* Something of the variable's shape out of anything. */
static cj_node *new_value(scene *s, cj_node *variable)
{
    for (int tries = 0; tries < 8; tries++) { /* of that shape already: another variable, perhaps */
        cj_node *node = any(s);
        bool same = node != variable && cj_node_rank(node) == cj_node_rank(variable);
        for (int k = 0; same && k < cj_node_rank(node); k++)
            same = cj_node_dim(node, k) == cj_node_dim(variable, k);
        if (same && random_below(2)) return node;
        if (same) return cj_sub(cj_scale(variable, 0.9), cj_scale(node, 0.1));
    }
    cj_node *other = any(s);
    if (broadcasts(other, variable) && cj_node_rank(other) <= cj_node_rank(variable) &&
        random_below(2)) {
        cj_node *sum = cj_add(cj_scale(variable, 0.7), cj_scale(other, 0.2));
        bool same = sum && cj_node_rank(sum) == cj_node_rank(variable);
        for (int k = 0; same && k < cj_node_rank(sum); k++)
            same = cj_node_dim(sum, k) == cj_node_dim(variable, k);
        if (same) return sum;
    }
    return cj_add(cj_scale(variable, 0.9), cj_tanh(cj_mean(other)));
}

static void make_graph(scene *s)
{
    s->g = cj_graph_new(s->cj);
    make_sources(s);
    int wanted = 5 + random_below(30);
    while (s->n < wanted) {
        cj_node *a = any(s), *b = any(s);
        switch (random_below(8)) {
        case 0:
        case 1: push(s, random_unary(a)); break;
        case 2:
        case 3:
        case 4:
            if (broadcasts(a, b)) push(s, random_binary(a, b));
            break;
        case 5: push(s, random_matmul(a, b)); break;
        case 6: push(s, random_shaped(a)); break;
        default: push(s, cj_scale(a, random_below(3) - 1)); break;
        }
    }
    if (random_below(2)) { /* a real backward pass */
        cj_node *gradients[VARIABLES];
        cj_grad(cj_mean(cj_square(s->nodes[s->n - 1])), s->variables, VARIABLES, gradients);
        for (int i = 0; i < VARIABLES; i++)
            push(s, cj_tanh(cj_zero_as(gradients[i], s->variables[i])));
    }
    int n = 0;
    for (int i = 0; i < VARIABLES; i++)
        if (random_below(4))
            s->updates[n++] = (cj_update){s->variables[i], new_value(s, s->variables[i])};
    s->n_outputs = 1 + random_below(4);
    for (int i = 0; i < s->n_outputs; i++) s->outputs[i] = any(s);
    if (random_below(2)) s->outputs[0] = s->nodes[s->n - 1];
    if (random_below(3) == 0) s->commit_if = cj_greater(cj_mean(s->x), cj_scalar(s->g, CJ_F64, 0));
    if (cj_graph_failed(s->g)) print_error("%s\n", cj_message(s->cj));
    assert_int_equal(cj_graph_failed(s->g), CJ_OK);
}

typedef struct runner {
    cj_program *program;
    cj_store *store;
    cj_session *session;
} runner;

static runner start(scene *s, bool no_passes, const char *backend, int threads)
{
    runner r = {.store = copy_store(s->cj, cj_graph_store(s->g))};
    r.program = cj_compile(s->g, .output_list = s->outputs, .n_outputs = s->n_outputs,
                           .updates = s->updates, .commit_if = s->commit_if,
                           .no_passes = no_passes);
    if (!r.program) print_error("%s\n", cj_message(s->cj));
    assert_non_null(r.program);
    cj_session_opts how = {
        .struct_size = sizeof how, .backend = backend, .threads = threads, .plans = 2};
    r.session = cj_session_new_opts(r.program, r.store, &how);
    assert_non_null(r.session);
    return r;
}

static void stop(runner *r)
{
    cj_session_free(r->session);
    cj_program_free(r->program);
    cj_store_free(r->store);
}

static void compare(scene *s, runner *expected, runner *found, const char *what, int seed, int run,
                    const cj_feed *feeds)
{
    cj_tensor *a[CJ_OUTPUTS_MAX] = {NULL}, *b[CJ_OUTPUTS_MAX] = {NULL};
    char text[128];
    assert_ok(cj_run(expected->session, feeds, 2, a, s->n_outputs),
              cj_session_message(expected->session));
    assert_ok(cj_run(found->session, feeds, 2, b, s->n_outputs),
              cj_session_message(found->session));
    for (int i = 0; i < s->n_outputs; i++) {
        snprintf(text, sizeof text, "%s, seed %d, run %d: output %d", what, seed, run, i);
        assert_tensors_close(a[i], b[i], 1e-9, text);
        cj_tensor_free(a[i]);
        cj_tensor_free(b[i]);
    }
    for (int i = 0; i < cj_store_count(expected->store); i++) {
        snprintf(text, sizeof text, "%s, seed %d, run %d: variable %s", what, seed, run,
                 cj_store_name_at(expected->store, i));
        assert_tensors_close(cj_store_tensor_at(expected->store, i),
                             cj_store_tensor_at(found->store, i), 1e-9, text);
    }
    assert_int_equal(cj_store_version(expected->store), cj_store_version(found->store));
}

static void random_graphs(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    const char *only = getenv("CAJAL_TEST_SEED"); /* to look at one failure */
    for (int seed = only ? atoi(only) : 1; seed <= (only ? atoi(only) : GRAPHS); seed++) {
        random_state = (uint64_t)seed * 0x9e3779b97f4a7c15u;
        scene s = {.cj = cj};
        make_graph(&s);
        static const char *const names[] = {"passes", "passes, any backend, 3 threads",
                                            "no passes"};
        for (int way = 0; way < 3; way++) {
            uint64_t before = random_state;
            runner expected = start(&s, true, "reference", 1);
            runner found = start(&s, way == 2, way == 1 ? NULL : "cpu", way == 1 ? 3 : 1);
            if (only && way == 0)
                cj_graph_print(s.g, stderr),
                    cj_graph_print(cj_program_graph(found.program), stderr);
            for (int run = 0; run < RUNS; run++) {
                static const int64_t sizes[] = {3, 5, 3, 1};
                int64_t n = sizes[(run + seed) % 4];
                cj_tensor *x = random_tensor(cj, CJ_F64, SHAPE(n, 4)),
                          *y = random_tensor(cj, CJ_F64, SHAPE(n, 1));
                compare(&s, &expected, &found, names[way], seed, run,
                        (cj_feed[]){{s.x, x}, {s.y, y}});
                cj_tensor_free(x);
                cj_tensor_free(y);
            }
            if (only && way == 0) cj_session_print(found.session, stderr);
            stop(&expected);
            stop(&found);
            random_state = before;
        }
        cj_graph_free(s.g);
    }
    assert_int_equal(cj_last_status(cj), CJ_OK);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_graphs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
