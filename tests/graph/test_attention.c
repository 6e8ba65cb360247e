/* Attention against torch, in every float dtype and on every backend; queries that see nothing;
 * the same bits for any number of threads; dropout; and its errors.
 * tools/golden/attention.py made tests/golden/graph/attention.npz. */
#include <cajal/layers.h>
#include <cajal/sequence.h>

#include "nn/nn_golden.h"

/* ---- Against torch --------------------------------------------------------------------------- */

typedef struct attention_case {
    const char *name;
    cj_attention_opts opts;
} attention_case;

static const attention_case cases[] = {
    {"plain", {0}},
    {"causal", {.causal = true}},
    {"causal_late", {.causal = true}},
    {"grouped", {.causal = true}},
    {"softcap", {.softcap = 1.5, .scale = 0.75}},
    {"mask", {0}},
    {"bias", {.causal = true}},
    {"chosen", {0}},
    {"lengths", {0}},
    {"long", {.causal = true}},
};

static cj_node *golden_variable(cj_graph *g, cj_tensors *list, const char *name, const char *part,
                                cj_dtype dtype)
{
    cj_tensor *t = golden_find(list, name, part);
    if (!t) return NULL;
    bool real = cj_dtype_info(cj_tensor_dtype(t))->kind == CJ_KIND_FLOAT;
    cj_tensor *cast = cj_tensor_cast(t, real ? dtype : cj_tensor_dtype(t));
    cj_node *x = (cj_variable)(g, part, cast);
    cj_tensor_free(cast);
    return x;
}

/* Runs nodes of a graph without inputs. */
static void run_nodes(cj_context *cj, cj_graph *g, cj_node *const *nodes, int n,
                      const char *backend, int threads, cj_tensor **out)
{
    assert_ok(cj, cj_graph_failed(g));
    cj_compile_opts how = {.struct_size = sizeof how, .output_list = nodes, .n_outputs = n,
                           .training = true};
    cj_program *program = (cj_compile)(g, &how);
    if (!program) fail_msg("%s", cj_message(cj));
    cj_session_opts opts = {.struct_size = sizeof opts, .backend = backend, .threads = threads};
    cj_session *s = cj_session_new_opts(program, cj_graph_store(g), &opts);
    assert_non_null(s);
    for (int i = 0; i < n; i++) out[i] = NULL;
    if (cj_run(s, NULL, 0, out, n)) fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(program);
}

static void check_case(cj_context *cj, cj_tensors *list, const attention_case *c, cj_dtype dtype,
                       const char *backend, double tolerance)
{
    static const char *const parts[] = {"y", "lse", "dq", "dk", "dv", "dmask"};
    cj_graph *g = cj_graph_new(cj);
    cj_attention_opts opts = c->opts;
    cj_node *wrt[4], *out[6];
    static const char *const names[] = {"q", "k", "v"};
    for (int i = 0; i < 3; i++) wrt[i] = golden_variable(g, list, c->name, names[i], dtype);
    wrt[3] = opts.mask = golden_variable(g, list, c->name, "mask", dtype);
    opts.lengths = golden_variable(g, list, c->name, "lengths", dtype);
    cj_node *dy = golden_variable(g, list, c->name, "dy", dtype);
    bool mask_gradient = golden_find(list, c->name, "dmask");
    out[0] = (cj_attention)(wrt[0], wrt[1], wrt[2], &opts);
    out[1] = cj_node_output(out[0], 1);
    int n = mask_gradient ? 4 : 3;
    assert_ok(cj, cj_vjp(out, &dy, 1, wrt, n, out + 2));
    cj_tensor *found[6];
    run_nodes(cj, g, out, n + 2, backend, 2, found);
    for (int i = 0; i < n + 2; i++) {
        char what[160];
        snprintf(what, sizeof what, "%s/%s in %s on %s", c->name, parts[i],
                 cj_dtype_info(dtype)->name, backend ? backend : "the best");
        assert_near(what, found[i], golden_get(list, c->name, parts[i]), tolerance);
        cj_tensor_free(found[i]);
    }
    cj_graph_free(g);
}

static void test_golden(void **state)
{
    (void)state;
    /* Operands are multiples of 1/8, exact in all dtypes. f16 and bf16 are computed in f32 and
     * rounded at the end; gradients read the rounded forward result. */
    static const struct {
        cj_dtype dtype;
        double tolerance;
    } dtypes[] = {{CJ_F64, 1e-12}, {CJ_F32, 4e-6}, {CJ_F16, 4e-3}, {CJ_BF16, 4e-2}};
    cj_context *cj = test_context();
    cj_tensors *list = golden_load(cj, "graph/attention.npz");
    for (size_t c = 0; c < CJ__COUNT(cases); c++)
        for (size_t d = 0; d < CJ__COUNT(dtypes); d++)
            for (size_t b = 0; b < CJ__COUNT(backends); b++)
                check_case(cj, list, &cases[c], dtypes[d].dtype, backends[b], dtypes[d].tolerance);
    cj_tensors_free(list);
    cj_context_free(cj);
}

/* torch.nn.MultiheadAttention with the same parameters. */
static void test_layer_golden(void **state)
{
    (void)state;
    static const char *const names[] = {"qkv_kernel", "qkv_bias", "output_kernel", "output_bias"};
    cj_context *cj = test_context();
    cj_tensors *list = golden_load(cj, "graph/attention.npz");
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = golden_variable(g, list, "mha", "x", CJ_F64), *out[6], *wrt[5] = {x};
    cj_node *dy = golden_variable(g, list, "mha", "dy", CJ_F64);
    out[0] = cj_multi_head_attention(x, .num_heads = 3, .key_dim = 4, .causal = true);
    for (int i = 0; i < 4; i++) {
        char name[80];
        snprintf(name, sizeof name, "multi_head_attention/%s", names[i]);
        wrt[i + 1] = cj_find_variable(g, name);
        assert_ok(cj, cj_store_set(cj_graph_store(g), name, golden_get(list, "mha", names[i])));
    }
    assert_ok(cj, cj_vjp(out, &dy, 1, wrt, 5, out + 1));
    cj_tensor *found[6];
    run_nodes(cj, g, out, 6, NULL, 1, found);
    assert_near("y", found[0], golden_get(list, "mha", "y"), 1e-12);
    assert_near("dx", found[1], golden_get(list, "mha", "d_x"), 1e-12);
    for (int i = 0; i < 4; i++) {
        char name[80];
        snprintf(name, sizeof name, "d_%s", names[i]);
        assert_near(name, found[i + 2], golden_get(list, "mha", name), 1e-12);
    }
    for (int i = 0; i < 6; i++) cj_tensor_free(found[i]);
    cj_tensors_free(list);
    cj_context_free(cj);
}

/* ---- Properties ------------------------------------------------------------------------------ */

static cj_node *numbers(cj_graph *g, const char *name, cj_dtype dtype, int rank,
                        const int64_t *dims)
{
    cj_tensor *t = cj_tensor_new(cj_graph_context(g), dtype, rank, dims);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        cj_store_f64(dtype, data, (size_t)i, (double)((i * 37 + name[0]) % 101) / 50 - 1);
    cj_tensor_unmap(t);
    cj_node *x = (cj_variable)(g, name, t);
    cj_tensor_free(t);
    return x;
}

/* q, k, v, and a cotangent w. */
static void heads(cj_graph *g, cj_dtype dtype, const int64_t s[6], cj_node *x[4])
{
    x[0] = numbers(g, "q", dtype, 4, (int64_t[]){s[0], s[1], s[3], s[5]});
    x[1] = numbers(g, "k", dtype, 4, (int64_t[]){s[0], s[2], s[4], s[5]});
    x[2] = numbers(g, "v", dtype, 4, (int64_t[]){s[0], s[2], s[4], s[5]});
    x[3] = numbers(g, "w", dtype, 4, (int64_t[]){s[0], s[1], s[3], s[5]});
}

/* More queries than keys, causal: the first ones see nothing; and a length of 0. Zeros come out,
 * and no NaN goes back. */
static void test_unseen(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    for (int how = 0; how < 4; how++) {
        cj_dtype dtype = how & 1 ? CJ_F32 : CJ_F64;
        cj_graph *g = cj_graph_new(cj);
        cj_node *x[4], *out[5];
        heads(g, dtype, (int64_t[]){2, 6, 4, 2, 1, 3}, x);
        cj_tensor *none = cj_tensor_new(cj, CJ_I64, 1, (int64_t[]){2});
        cj_node *lengths = cj_variable(g, "lengths", none);
        if (how & 2) out[0] = cj_attention(x[0], x[1], x[2], .lengths = lengths);
        else out[0] = cj_attention(x[0], x[1], x[2], .causal = true);
        out[1] = cj_node_output(out[0], 1);
        assert_ok(cj, cj_vjp(out, &x[3], 1, x, 3, out + 2));
        cj_tensor *found[5];
        run_nodes(cj, g, out, 5, NULL, 1, found);
        int unseen = how & 2 ? 6 : 2;
        for (int64_t i = 0; i < cj_tensor_count(found[0]); i++) {
            double y = value_of(cj, found[0], i);
            assert_true(isfinite(y));
            if (i / 6 % 6 < unseen) assert_true(y == 0);
        }
        assert_true(value_of(cj, found[1], 0) == -INFINITY);
        for (int k = 2; k < 5; k++)
            for (int64_t i = 0; i < cj_tensor_count(found[k]); i++)
                assert_true(isfinite(value_of(cj, found[k], i)));
        for (int k = 0; k < 5; k++) cj_tensor_free(found[k]);
        cj_tensor_free(none);
        cj_graph_free(g);
    }
    cj_context_free(cj);
}

static void test_threads(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    cj_node *x[4], *out[4];
    heads(g, CJ_F32, (int64_t[]){3, 150, 170, 4, 2, 24}, x);
    out[0] = cj_attention(x[0], x[1], x[2], .causal = true, .dropout = 0.25);
    assert_ok(cj, cj_vjp(out, &x[3], 1, x, 3, out + 1));
    cj_tensor *one[4], *many[4];
    run_nodes(cj, g, out, 4, NULL, 1, one);
    run_nodes(cj, g, out, 4, NULL, 5, many);
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(cj_tensor_map_read(one[i]), cj_tensor_map_read(many[i]),
                            cj_tensor_size_bytes(one[i]));
        cj_tensor_free(one[i]), cj_tensor_free(many[i]);
    }
    cj_context_free(cj);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        int64_t q[4], k[4], v[4], mask[4];
        const char *message;
    } wrong[] = {
        {{2, 3, 4, 5}, {2, 3, 3, 5}, {2, 3, 3, 5}, {0},
         "attention: the 4 heads of q are no multiple of the 3 of k"},
        {{2, 3, 4, 5}, {2, 3, 4, 6}, {2, 3, 4, 6}, {0},
         "attention: a head of q has 5 numbers, one of k 6"},
        {{2, 3, 4, 5}, {2, 7, 4, 5}, {2, 8, 4, 5}, {0},
         "attention: positions: 3 in q, 7 in k, 8 in v"},
        {{2, 3, 4, 5}, {1, 7, 4, 5}, {1, 7, 4, 5}, {0},
         "attention: samples: 2 in q, 1 in k, 1 in v"},
        {{2, 3, 4, 5}, {2, 7, 4, 5}, {2, 7, 4, 5}, {2, 1, 3, 3},
         "attention: the mask has 3 keys; 1 or 7 is expected"},
    };
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *q = numbers(g, "q", CJ_F32, 4, wrong[i].q),
                *k = numbers(g, "k", CJ_F32, 4, wrong[i].k),
                *v = numbers(g, "v", CJ_F32, 4, wrong[i].v);
        cj_node *mask = wrong[i].mask[0] ? numbers(g, "m", CJ_F32, 4, wrong[i].mask) : NULL;
        assert_null((cj_attention)(q, k, v, &(cj_attention_opts){.mask = mask}));
        if (!strstr(cj_message(cj), wrong[i].message))
            fail_msg("'%s', expected '%s'", cj_message(cj), wrong[i].message);
        cj_graph_free(g);
    }
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = numbers(g, "x", CJ_F32, 3, (int64_t[]){2, 3, 8});
    assert_null(cj_multi_head_attention(x, .num_heads = 3, .key_dim = 4, .num_kv_heads = 2));
    assert_said(cj, "multi_head_attention: num_heads=3 is no multiple of num_kv_heads=2");
    cj_graph_free(g);
    g = cj_graph_new(cj);
    x = numbers(g, "x", CJ_F32, 2, (int64_t[]){2, 8});
    assert_null(cj_multi_head_attention(x, .num_heads = 3, .key_dim = 4));
    assert_said(cj, "multi_head_attention: query is f32 of rank 2; floats [batch, positions, "
                    "numbers] are expected");
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),  cmocka_unit_test(test_layer_golden),
        cmocka_unit_test(test_unseen),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
