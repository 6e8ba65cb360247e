/* test_einsum.c: sums of products by equations against torch.einsum (tools/golden/einsum.py),
 * values and gradients; sizes that are symbols; what equations are refused. */
#include "nn/nn_golden.h"

static cj_context *cj;
enum { OPERANDS = 4 };

static void check(cj_tensors *golden, int number, cj_dtype dtype, const char *backend)
{
    char name[16], part[16], what[200], equation[64];
    snprintf(name, sizeof name, "%d", number);
    cj_tensor *text = golden_get(golden, name, "equation"), *c = golden_get(golden, name, "c"),
              *out[1 + OPERANDS] = {NULL};
    snprintf(equation, sizeof equation, "%.*s", (int)cj_tensor_count(text),
             (const char *)cj_tensor_map_read(text));
    cj_graph *g = cj_graph_new(cj);
    cj_node *x[OPERANDS], *d[OPERANDS], *y;
    cj_feed feeds[1 + OPERANDS];
    int n = 0;
    for (; n < OPERANDS; n++) {
        snprintf(part, sizeof part, "x%d", n);
        cj_tensor *value = golden_find(golden, name, part);
        if (!value) break;
        x[n] = cj_placeholder(g, part, dtype, cj_tensor_rank(value), cj_tensor_shape(value));
        feeds[n] = (cj_feed){x[n], cj_tensor_cast(value, dtype)};
    }
    cj_node *dy = cj_placeholder(g, "c", dtype, cj_tensor_rank(c), cj_tensor_shape(c));
    feeds[n] = (cj_feed){dy, cj_tensor_cast(c, dtype)};
    y = cj_einsum(x, n, equation);
    if (!y) fail_msg("%s: %s", equation, cj_message(cj));
    assert_ok(cj, cj_vjp(&y, &dy, 1, x, n, d));
    cj_compile_opts o = {.struct_size = sizeof o, .outputs = {y}};
    for (int i = 0; i < n; i++) o.outputs[1 + i] = cj_zero_as(d[i], x[i]);
    cj_program *program = (cj_compile)(g, &o);
    if (!program) fail_msg("%s: %s", equation, cj_message(cj));
    cj_session *s = cj_session_new_opts(program, cj_graph_store(g),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    if (cj_run(s, feeds, n + 1, out, n + 1)) fail_msg("%s: %s", equation, cj_session_message(s));
    for (int i = 0; i <= n; i++) {
        snprintf(part, sizeof part, i ? "d%d" : "y", i - 1);
        snprintf(what, sizeof what, "%d: %s in %s on %s: %s", number, equation,
                 cj_dtype_info(dtype)->name, backend ? backend : "best", part);
        assert_near(what, out[i], golden_get(golden, name, part), dtype == CJ_F64 ? 1e-10 : 1e-5);
        cj_tensor_free(out[i]);
        cj_tensor_free((cj_tensor *)feeds[i].value);
    }
    cj_session_free(s);
    cj_program_free(program);
    cj_graph_free(g);
}

static void as_torch(void **state)
{
    (void)state;
    cj_tensors *golden = golden_load(cj, "graph/einsum.npz");
    int n = 0;
    for (char name[16] = "0"; golden_find(golden, name, "y"); snprintf(name, 16, "%d", n)) {
        for (int b = 0; b < 2; b++) {
            check(golden, n, CJ_F64, backends[b]);
            check(golden, n, CJ_F32, backends[b]);
        }
        n++;
    }
    assert_true(n > 90);
    cj_tensors_free(golden);
}

/* Symbols stay what they are, also where axes become one. */
static void symbols(void **state)
{
    (void)state;
    cj_graph *g = cj_graph_new(cj);
    cj_dim n = cj_symbol(g, "batch"), t = cj_symbol(g, "steps");
    cj_node *q = cj_placeholder(g, "q", CJ_F32, CJ_DIMS(n, t, 2, 4)),
            *k = cj_placeholder(g, "k", CJ_F32, CJ_DIMS(n, t, 2, 4)),
            *w = cj_placeholder(g, "w", CJ_F32, CJ_DIMS(2, 4, 5));
    assert_string_equal(shape_of(cj_einsum((cj_node *[]){q, k}, 2, "bqhd,bkhd->bhqk")),
                        "[batch, 2, steps, steps]");
    assert_string_equal(shape_of(cj_einsum((cj_node *[]){q, w}, 2, "...hd,hde->...e")),
                        "[batch, steps, 5]");
    assert_string_equal(shape_of(cj_einsum((cj_node *[]){q}, 1, "bqhd->hb")), "[2, batch]");
    assert_int_equal(cj_graph_failed(g), CJ_OK);
    assert_ptr_equal(cj_einsum((cj_node *[]){q, cj_zero}, 2, "bqhd,bkhd->bhqk"), cj_zero);
    assert_null(cj_einsum((cj_node *[]){q, NULL}, 2, "bqhd,bkhd->bhqk"));
    cj_node *i = cj_placeholder(g, "i", CJ_I32, CJ_DIMS(3, 3));
    cj_node *y = cj_einsum(&i, 1, "jj->j"), *z = cj_einsum((cj_node *[]){i, i}, 2, "ij,jk->ik");
    assert_true(cj_node_dtype(y) == CJ_I32 && cj_node_dtype(z) == CJ_I32);
    cj_graph_free(g);
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"ij", "einsum: 'ij' is of 1 operand, 2 are there"},
        {"ij,jk,kl", "einsum: 'ij,jk,kl' is of 3 operands, 2 are there"},
        {"ij,j->i", "einsum: operand 1 has rank 2, and its term has 1 letter"},
        {"ij,j...k->i", "einsum: axis 0 of operand 1 has size 2; the same letter has size 3 "
                        "before"},
        {"ij,jkl...->i", "einsum: operand 1 has rank 2, and its term has 3 letters and '...'"},
        {"ij,ik->jk", NULL},
        {"ij,jk->ik", "einsum: axis 0 of operand 1 has size 2; the same letter has size 3 before"},
        {"ii,jk->k", "einsum: axis 1 of operand 0 has size 3; the same letter has size 2 before"},
        {"i1,jk->k", "einsum: 'i1,jk->k' is not made of letters, '...', ',' and one '->'"},
        {"ij,jk>ik", "einsum: 'ij,jk>ik' is not made of letters, '...', ',' and one '->'"},
        {"ij,jk-ik", "einsum: 'ij,jk-ik' has a '-' that is no '->'"},
        {"ij,jk->ik->", "einsum: 'ij,jk->ik->' has something behind its result"},
        {"ij,ik->i,k", "einsum: 'ij,ik->i,k' has something behind its result"},
        {"ij,ik->im", "einsum: 'ij,ik->im' has a letter behind '->' alone"},
        {"ij,ik->ii", "einsum: 'ij,ik->ii' has a letter twice behind '->'"},
        {"ij,ik->...i", "einsum: 'ij,ik->...i' has '...' behind '->' alone"},
        {"i..j,ik", "einsum: 'i..j,ik' has dots that are not one '...' of a term"},
        {"......ij,ik", "einsum: '......ij,ik' has dots that are not one '...' of a term"},
        {"abcdefghi,ik", "einsum: 'abcdefghi,ik' has a term of more than 8 letters"},
        {"a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
         "einsum: 'a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a' has more than 16 operands"},
        {NULL, "einsum: '' is no equation such as \"ij,jk->ik\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_graph *g = cj_graph_new(cj);
        cj_node *x[] = {cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3)),
                        cj_placeholder(g, "y", CJ_F32, CJ_DIMS(2, 4))};
        cj_node *y = cj_einsum(x, 2, cases[i][0]);
        if (!y != (cases[i][1] != NULL)) fail_msg("%s", cases[i][0]);
        if (cases[i][1]) assert_string_equal(cj_message(cj), cases[i][1]);
        cj_graph_free(g);
    }
    /* Products of more axes than a tensor has. */
    cj_graph *g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 2, 2, 2, 2));
    assert_null(cj_einsum((cj_node *[]){x, x}, 2, "abcde,fghij->abcdefghij"));
    assert_string_equal(cj_message(cj),
                        "einsum: 'abcde,fghij->abcdefghij' has a term of more than 8 letters");
    cj_graph_free(g);
    g = cj_graph_new(cj);
    x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 2, 2, 2, 2));
    assert_null(cj_einsum((cj_node *[]){x, x, x, x}, 4, "abcde,fghij,abcde,fghij->"));
    assert_string_equal(cj_message(cj), "einsum: two operands together have 10 axes, at most 8 are "
                                        "possible");
    cj_graph_free(g);
    assert_null(cj_einsum(NULL, 0, "->"));
}

int main(void)
{
    cj = test_context();
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_torch), cmocka_unit_test(symbols),
                                       cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
