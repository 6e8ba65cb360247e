/* What a newcomer reads after a mistake: every text of tests/golden/graph/errors.txt. After a
 * change of a message, look at what CAJAL_UPDATE=1 writes there. Lines of this file are written as
 * LINE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/nn.h>
#include <cajal/run.h>

#include "golden.h"

static cj_context *cj;
static cj_graph *g;
static cj_model *m;
static cj_node *x, *y, *v, *k, *b, *s, *image,
    *batch; /* f32[2, 3], f32[4], f32[3], i64[3], bool[2, 3], f32[], f32[n, 4, 5], f32[n, 3] */
static char text[65536];
static size_t length;
static int cases, with_place;
static bool all_wrong = true;

static void fresh(void)
{
    cj_model_free(m);
    m = cj_model_new(cj);
    g = cj_model_graph(m);
    batch = cj_model_input(m, "batch", 1, (int64_t[]){3});
    x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(2, 3));
    y = cj_placeholder(g, "y", CJ_F32, CJ_DIMS(4));
    v = cj_placeholder(g, "v", CJ_F32, CJ_DIMS(3));
    k = cj_placeholder(g, "k", CJ_I64, CJ_DIMS(3));
    b = cj_placeholder(g, "b", CJ_BOOL, CJ_DIMS(2, 3));
    s = cj_placeholder(g, "s", CJ_F32, CJ_SCALAR);
    image = cj_placeholder(g, "image", CJ_F32, CJ_DIMS(cj_symbol(g, "n"), 4, 5));
    cj_fail(cj, CJ_OK, "no message");
}

static void put(const char *part)
{
    size_t n = strlen(part);
    assert_true(length + n < sizeof text);
    memcpy(text + length, part, n + 1);
    length += n;
}

/* "WRONG USE\n    message\n", with "tests/graph/test_errors.c:123" as "test_errors.c:LINE". */
static void report(const char *use, bool is_wrong)
{
    const char *message = cj_message(cj), *place = strstr(message, "test_errors.c:");
    cases++;
    if (!is_wrong) print_error("%s did not fail\n", use);
    all_wrong = all_wrong && is_wrong;
    if (is_wrong) assert_string_not_equal(message, "no message");
    put(use);
    put("\n    ");
    if (place && place < strchr(message, ' ')) {
        with_place++;
        message = place + strcspn(place, ": ");
        message += 1 + strspn(message + 1, "0123456789");
        put("test_errors.c:LINE");
    }
    put(message);
    put("\n");
}

#define WRONG(...) \
    do { \
        fresh(); \
        bool made = (__VA_ARGS__) != NULL; \
        report(#__VA_ARGS__, !made && cj_graph_failed(g)); \
    } while (0)
#define FAILS(...) \
    do { \
        fresh(); \
        report(#__VA_ARGS__, (__VA_ARGS__) != CJ_OK); \
    } while (0)

static void builders(void)
{
    put("# Elementwise\n");
    WRONG(cj_add(x, y));
    WRONG(cj_mul(image, y));
    WRONG(cj_where(b, x, y));
    WRONG(cj_exp(k));
    WRONG(cj_tanh(b));
    WRONG(cj_cast(x, (cj_dtype)99));
    WRONG(cj_sub(b, b));
    put("# Reductions\n");
    WRONG(cj_reduce_sum(x, 1, (int64_t[]){2}, false));
    WRONG(cj_reduce_mean(x, 2, (int64_t[]){0, -2}, false));
    WRONG(cj_argmax(x, 5, false));
    WRONG(cj_cumsum(x, -3, false, false));
    WRONG(cj_logsumexp(k, 0, NULL, false));
    put("# Shapes\n");
    WRONG(cj_reshape(x, CJ_DIMS(4, 2)));
    WRONG(cj_reshape(x, CJ_DIMS(CJ_INFER, CJ_INFER)));
    WRONG(cj_reshape(x, CJ_DIMS(4, CJ_INFER)));
    WRONG(cj_reshape(x, 9, (cj_dim[9]){1}));
    WRONG(cj_transpose(x, (int64_t[]){0, 0}));
    WRONG(cj_transpose(x, (int64_t[]){0, 2}));
    WRONG(cj_expand_dims(x, 4));
    WRONG(cj_squeeze(x, 0));
    WRONG(cj_broadcast_to(x, CJ_DIMS(2, 4)));
    WRONG(cj_broadcast_to(x, CJ_DIMS(3)));
    WRONG(cj_slice(x, (int64_t[]){0, 2}, (cj_dim[]){2, 2}, NULL));
    WRONG(cj_slice(x, (int64_t[]){0, 0}, (cj_dim[]){2, 2}, (int64_t[]){1, 0}));
    WRONG(cj_slice_axis(x, 0, 1, 2));
    WRONG(cj_slice_axis(x, 2, 0, 1));
    WRONG(cj_dynamic_slice(x, v, (cj_dim[]){1, 1}));
    WRONG(cj_update_slice(x, v, k));
    WRONG(cj_concat((cj_node *[]){x, y}, 2, 0));
    WRONG(cj_concat((cj_node *[]){x, image}, 2, 0));
    WRONG(cj_stack((cj_node *[]){v, y}, 2, 0));
    WRONG(cj_split(x, 1, 2, (int64_t[]){1, 1}));
    WRONG(cj_pad(x, (int64_t[]){0, -2}, (int64_t[]){0, -2}, 0));
    WRONG(cj_reverse(x, 2));
    WRONG(cj_extend(x, (int64_t[]){0, 1}, NULL, "mirror"));
    WRONG(cj_extend(x, (int64_t[]){0, -1}, NULL, "edge"));
    WRONG(cj_node_output(cj_top_k(x, 2, 1, false), 2));
    put("# Indices\n");
    WRONG(cj_gather(x, v, 0));
    WRONG(cj_gather(x, k, 2));
    WRONG(cj_gather_along(x, k, 0));
    WRONG(cj_scatter_along(x, k, x, 0, CJ_SCATTER_ADD));
    WRONG(cj_scatter_add(x, k, 0, 5, 1));
    WRONG(cj_one_hot(x, 5, CJ_F32));
    WRONG(cj_one_hot(k, -1, CJ_F32));
    WRONG(cj_top_k(x, 4, 1, false));
    put("# Linear algebra, softmax, random\n");
    WRONG(cj_matmul(x, x));
    WRONG(cj_matmul(x, y));
    WRONG(cj_matmul(s, x));
    WRONG(cj_matmul(image, x));
    WRONG(cj_softmax(x, 2));
    WRONG(cj_softmax(k, 0));
    WRONG(cj_sparse_softmax_crossentropy(x, v));
    WRONG(cj_sparse_softmax_crossentropy(x, k));
    WRONG(cj_random_uniform(x, CJ_F32, -1, CJ_DIMS(3)));
    WRONG(cj_random_normal(cj_random_key(g), CJ_I32, -1, CJ_DIMS(3)));
    WRONG(cj_dropout_node(x, 1.5));
    put("# Sources\n");
    WRONG(cj_placeholder(g, "x", CJ_F32, CJ_DIMS(3)));
    WRONG(cj_placeholder(g, "", CJ_F32, CJ_DIMS(3)));
    WRONG(cj_placeholder(g, "z", CJ_F32, CJ_DIMS(-77)));
    WRONG(cj_placeholder(g, "z", CJ_DTYPE_NONE, CJ_DIMS(3)));
    WRONG(cj_variable(g, "w", NULL));
    WRONG(cj_iota(g, CJ_I64, 1, CJ_DIMS(3)));
    WRONG(cj_placeholder(g, "z", CJ_F32, CJ_DIMS(cj_dim_div(g, 4, 0))));
}

static cj_status gradient(cj_node *of, cj_node *wrt)
{
    cj_node *d;
    return cj_grad(of, &wrt, 1, &d);
}

static void gradients_and_layers(void)
{
    put("# Gradients\n");
    FAILS(gradient(cj_cast(x, CJ_I32), x));
    FAILS(gradient(x, k));
    FAILS(gradient(x, cj_zero));
    FAILS(gradient(x, NULL));
    put("# Layers\n");
    WRONG(cj_dense(batch));
    WRONG(cj_dense(batch, .units = -3));
    WRONG(cj_dense(batch, .units = 4, .activation = "rellu"));
    WRONG(cj_dense(batch, .units = 4, .kernel_initializer = "glorot"));
    WRONG(cj_dense(batch, .units = 4, .kernel_regularizer = "l2(alpha=1)"));
    WRONG(cj_dense(k, .units = 4));
    WRONG(cj_dense(s, .units = 4));
    WRONG(cj_dropout(batch, .rate = 2));
    WRONG(cj_layer_apply(&batch, 1, "dens", "units=3"));
    WRONG(cj_layer_apply(&batch, 1, "dense", "unit=3"));
    WRONG(cj_layer_apply(&batch, 1, "dense", "units=three"));
    WRONG(cj_reshape_layer(batch, 2, (int64_t[]){2, 2}));
    WRONG(cj_add_layer((cj_node *[]){batch, image}, 2));
    WRONG(cj_loss_node(batch, batch, "mean_square"));
    WRONG(cj_loss_node(x, y, "mse"));
    WRONG(cj_activation(batch, "relu(slope=)"));
}

/* Programs and sessions: the messages of test_run.c in one place. */
static cj_status run_with(const char *name, cj_dtype dtype, int rank, const int64_t *shape)
{
    cj_program *p = cj_compile(g, .outputs = {cj_sum(image)});
    cj_session *session = p ? cj_session_new(p, NULL) : NULL;
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, shape);
    cj_feed feed = {cj_program_input(p, name), t};
    cj_status failed = cj_run(session, &feed, 1, NULL, 0);
    if (failed) cj_fail(cj, failed, "%s", cj_session_message(session));
    cj_tensor_free(t);
    cj_session_free(session);
    cj_program_free(p);
    return failed;
}

static void programs(void)
{
    put("# Programs and runs\n");
    FAILS(cj_compile(g, .outputs = {x}, .commit_if = x) ? CJ_OK : cj_last_status(cj));
    FAILS(cj_compile(g) ? CJ_OK : cj_last_status(cj));
    FAILS(cj_compile(g, .outputs = {cj_add(x, y), x}) ? CJ_OK : cj_last_status(cj));
    FAILS(cj_compile(g, .outputs = {cj_zero}) ? CJ_OK : cj_last_status(cj));
    FAILS(cj_compile(g, .updates = (cj_update[]){{x, x}, {NULL, NULL}}) ? CJ_OK
                                                                        : cj_last_status(cj));
    FAILS(run_with("images", CJ_F32, 3, (int64_t[]){2, 4, 5}));
    FAILS(run_with("image", CJ_F64, 3, (int64_t[]){2, 4, 5}));
    FAILS(run_with("image", CJ_F32, 2, (int64_t[]){2, 4}));
    FAILS(run_with("image", CJ_F32, 3, (int64_t[]){2, 5, 5}));
}

static void texts(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    builders();
    gradients_and_layers();
    programs();
    print_message("%d messages, %d with their place\n", cases, with_place);
    assert_true(all_wrong);
    assert_true(golden_text_same("graph/errors.txt", text, length));
    cj_model_free(m);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
