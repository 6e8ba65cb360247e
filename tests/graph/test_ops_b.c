/* Operators on shapes and indices, matmul, softmax and random numbers: values against numpy and
 * torch (tests/golden/graph/ops_b.txt says how; tools/golden/ops_b.py made it), what they refuse
 * and with which words, cj_zero, and the promises that no row's samples can show: gradients with
 * symbols, joins of many parts, batches cut in two. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cajal/run.h>

#include "golden.h"
#include "graph/graph.h"

/* ---- Running --------------------------------------------------------------------------------- */

/* A graph and what is fed to it. */
typedef struct bench {
    cj_context *cj;
    cj_graph *g;
    cj_feed feeds[8];
    int n_feeds;
} bench;

static bench start(void)
{
    bench b = {.cj = cj_context_new(NULL)};
    assert_non_null(b.cj);
    b.g = cj_graph_new(b.cj);
    assert_non_null(b.g);
    return b;
}

static void stop(bench *b)
{
    for (int i = 0; i < b->n_feeds; i++) cj_tensor_free((cj_tensor *)(uintptr_t)b->feeds[i].value);
    cj_context_free(b->cj);
}

static cj_node *feed(bench *b, cj_node *placeholder, cj_tensor *value)
{
    assert_non_null(placeholder);
    assert_non_null(value);
    b->feeds[b->n_feeds++] = (cj_feed){placeholder, value};
    return placeholder;
}

static cj_tensor *reals(bench *b, int rank, const int64_t *dims, const double *v)
{
    cj_tensor *t = cj_tensor_new(b->cj, CJ_F64, rank, dims);
    double *to = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) to[i] = v ? v[i] : (double)(i + 1);
    cj_tensor_unmap(t);
    return t;
}

static cj_status try_run(bench *b, cj_node **y, int n, cj_tensor **out, char message[512])
{
    cj_compile_opts o = {
        .struct_size = sizeof(o), .output_list = y, .n_outputs = n, .training = true};
    if (cj_graph_failed(b->g)) fail_msg("%s", cj_message(b->cj));
    cj_program *p = (cj_compile)(b->g, &o);
    if (!p) fail_msg("%s", cj_message(b->cj));
    cj_session_opts how = {.struct_size = sizeof(how),
                           .backend = "reference"}; /* keeps subnormals */
    cj_session *s = cj_session_new_opts(p, cj_graph_store(b->g), &how);
    if (!s) fail_msg("%s", cj_message(b->cj));
    cj_status failed = cj_run(s, b->feeds, b->n_feeds, out, n);
    snprintf(message, 512, "%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(p);
    return failed;
}

static cj_tensor *run(bench *b, cj_node *y)
{
    cj_tensor *out = NULL;
    char message[512];
    if (try_run(b, &y, 1, &out, message)) fail_msg("%s", message);
    return out;
}

static void expect(cj_tensor *t, int64_t n, const double *v)
{
    assert_int_equal(cj_tensor_count(t), n);
    const void *data = cj_tensor_map_read(t);
    for (int64_t i = 0; i < n; i++) {
        double found = cj_load_f64(cj_tensor_dtype(t), data, (size_t)i);
        if (fabs(found - v[i]) > 1e-12 * fabs(v[i]))
            fail_msg("element %lld is %.17g, expected %.17g", (long long)i, found, v[i]);
    }
    cj_tensor_unmap(t);
    cj_tensor_free(t);
}

/* ---- Golden values --------------------------------------------------------------------------- */

typedef struct reader {
    char *at;
    int line;
} reader;

static char *next_line(reader *r)
{
    char *line = r->at, *end = strchr(line, '\n');
    if (!end) return NULL;
    *end = 0;
    r->at = end + 1;
    r->line++;
    return line;
}

static char *word(char **text)
{
    char *begin = *text + strspn(*text, " ");
    *text = begin + strcspn(begin, " ");
    if (**text) *(*text)++ = 0;
    return begin;
}

/* "f32 2,3 1 2 3 4 5 6" */
static cj_tensor *read_tensor(cj_context *cj, char *text)
{
    cj_dtype dtype = cj_dtype_find(word(&text));
    const char *shape = word(&text);
    int64_t dims[CJ_RANK_MAX];
    int rank = 0;
    for (char *end; *shape && strcmp(shape, "scalar"); shape = *end ? end + 1 : end)
        dims[rank++] = strtol(shape, &end, 10);
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, dims);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        const char *number = word(&text);
        assert_true(*number);
        if (cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT)
            cj_store_f64(dtype, data, (size_t)i, strtod(number, NULL));
        else cj_store_i64(dtype, data, (size_t)i, strtoll(number, NULL, 10));
    }
    cj_tensor_unmap(t);
    return t;
}

static cj_node *apply(cj_graph *g, const char *name, cj_node **in, int n, const char *attributes)
{
    if (!strcmp(name, "cj_matmul")) return cj_matmul(in[0], in[1]);
    const cj_op *op = cj_op_find(g->cj, name);
    if (!op) fail_msg("%s", cj_message(g->cj));
    if (!op->attributes_size) return cj_apply(g, op, in, n, NULL);
    void *options = cj__arena_alloc(&g->arena, op->attributes_size);
    cj__options_init(op->attributes, options);
    if (cj__options_parse(&g->arena, name, op->attributes, options, attributes))
        fail_msg("%s", cj_message(g->cj));
    return cj_apply(g, op, in, n, options);
}

static void compare(const char *name, int line, int output, cj_tensor *found, cj_tensor *expected)
{
    int64_t at = 0;
    double rtol = cj_tensor_dtype(found) == CJ_F64 ? 1e-13
                                                   : 1.3e-7; /* one unit in the last place */
    assert_int_equal(cj_tensor_dtype(found), cj_tensor_dtype(expected));
    if (cj_tensor_close(found, expected, rtol, 1e-300, &at)) return;
    if (at < 0) fail_msg("line %d: %s: output %d has another shape", line, name, output);
    fail_msg("line %d: %s: output %d, element %lld: found %.17g, expected %.17g", line, name,
             output, (long long)at,
             cj_load_f64(cj_tensor_dtype(found), cj_tensor_map_read(found), (size_t)at),
             cj_load_f64(cj_tensor_dtype(found), cj_tensor_map_read(expected), (size_t)at));
}

/* One case, from its "op" line on; returns the line after it. */
static char *golden_case(reader *r, char *head)
{
    enum { MOST = 8 };
    bench b = start();
    cj_node *in[MOST], *out[MOST];
    cj_tensor *expected[MOST], *found[MOST] = {NULL};
    int n_in = 0, n_out = 0, line = r->line;
    char message[512], *next;
    word(&head);
    const char *name = word(&head);
    while ((next = next_line(r)) && *next != 'o') {
        char kind = *word(&next);
        cj_tensor *t = read_tensor(b.cj, next);
        if (kind == 'y') {
            expected[n_out++] = t;
            continue;
        }
        char input[8];
        snprintf(input, sizeof(input), "x%d", n_in);
        in[n_in++] = feed(&b,
                          cj_placeholder(b.g, input, cj_tensor_dtype(t), cj_tensor_rank(t),
                                         cj_tensor_shape(t)),
                          t);
    }
    cj_node *y = apply(b.g, name, in, n_in, head);
    if (!y) fail_msg("line %d: %s", line, cj_message(b.cj));
    assert_int_equal(strcmp(name, "cj_matmul") ? y->call->n_out : 1, n_out);
    for (int i = 0; i < n_out; i++) out[i] = cj_node_output(y, i);
    if (try_run(&b, out, n_out, found, message)) fail_msg("line %d: %s", line, message);
    for (int i = 0; i < n_out; i++) {
        compare(name, line, i, found[i], expected[i]);
        cj_tensor_free(found[i]);
        cj_tensor_free(expected[i]);
    }
    stop(&b);
    return next;
}

static void test_golden(void **state)
{
    (void)state;
    char path[512];
    size_t size;
    unsigned char *bytes = golden_bytes(golden_path(path, "graph/ops_b.txt"), &size);
    char *text = malloc(size + 1);
    memcpy(text, bytes, size);
    text[size] = 0;
    reader r = {text, 0};
    int cases = 0;
    for (char *line = next_line(&r); line; cases++) line = golden_case(&r, line);
    assert_int_equal(cases, 174);
    free(text);
    free(bytes);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

/* The graph failed with this status and these words; a new one takes its place. */
static void refused(bench *b, const cj_node *y, cj_status status, const char *words)
{
    assert_null(y);
    if (!strstr(cj_message(b->cj), words))
        fail_msg("found \"%s\", expected \"%s\"", cj_message(b->cj), words);
    assert_int_equal(cj_graph_failed(b->g), status);
    cj_graph_free(b->g);
    b->g = cj_graph_new(b->cj);
}

#define X(...) cj_placeholder(b.g, "x", CJ_F32, CJ_DIMS(__VA_ARGS__))
#define Y(...) cj_placeholder(b.g, "y", CJ_F32, CJ_DIMS(__VA_ARGS__))
#define I(...) cj_placeholder(b.g, "i", CJ_I64, CJ_DIMS(__VA_ARGS__))

static void test_refused_shapes(void **state)
{
    (void)state;
    bench b = start();
    refused(&b, cj_reshape(X(2, 3), CJ_DIMS(4, 2)), CJ_ERR_SHAPE,
            "reshape: 6 elements do not fill the shape [4, 2] (operand f32[2, 3])");
    refused(&b, cj_reshape(X(2, 3), CJ_DIMS(4, CJ_INFER)), CJ_ERR_SHAPE,
            "6 elements do not fill the shape [4, ?]");
    refused(&b, cj_reshape(X(0, 3), CJ_DIMS(0, CJ_INFER)), CJ_ERR_SHAPE,
            "cannot be inferred beside a size of 0");
    refused(&b, cj_reshape(X(4), CJ_DIMS(CJ_INFER, CJ_INFER)), CJ_ERR_ARGUMENT,
            "dimension 1 is one more");
    refused(&b, cj_reshape(X(4), CJ_DIMS(-9, 4)), CJ_ERR_SHAPE, "no size and no symbol");
    refused(&b, (cj_transpose)(X(2, 3), (int64_t[]){0, 0}), CJ_ERR_ARGUMENT, "names axis 0 twice");
    refused(&b, (cj_transpose)(X(2, 3), (int64_t[]){0, 2}), CJ_ERR_ARGUMENT, "permutation");
    refused(&b, cj_squeeze(X(2, 3), 0), CJ_ERR_SHAPE, "squeeze: axis 0 has size 2, expected 1");
    refused(&b, cj_expand_dims(X(2, 3), 3), CJ_ERR_ARGUMENT, "axis 3 is out of range for rank 3");
    refused(&b, cj_broadcast_to(X(2, 3), CJ_DIMS(3)), CJ_ERR_SHAPE,
            "rank 2 does not broadcast to rank 1");
    refused(&b, cj_broadcast_to(X(2, 3), CJ_DIMS(2, 4)), CJ_ERR_SHAPE,
            "axis 1 of size 3 does not broadcast to 4");
    refused(&b, cj_slice_axis(X(5), 0, 2, 4), CJ_ERR_SHAPE,
            "axis 0: 4 elements from 2 in steps of 1 leave its size 5");
    refused(&b, cj_slice_axis(X(5), 0, -6, 1), CJ_ERR_SHAPE, "1 elements from -6");
    refused(&b, cj_slice(X(5), (int64_t[]){0}, (cj_dim[]){2}, (int64_t[]){0}), CJ_ERR_ARGUMENT,
            "step 0");
    refused(&b, cj_slice(X(5), (int64_t[]){1}, (cj_dim[]){3}, (int64_t[]){-1}), CJ_ERR_SHAPE,
            "steps of -1");
    refused(&b, cj_slice(X(5), (int64_t[]){1}, (cj_dim[]){INT64_MAX}, (int64_t[]){7}), CJ_ERR_SHAPE,
            "leave its size 5");
    refused(&b, cj_pad(X(3), (int64_t[]){-2}, (int64_t[]){-2}, 0), CJ_ERR_SHAPE,
            "axis 0 of size 3 is cropped by 4");
    refused(&b, cj_pad(X(3), (int64_t[]){INT64_MIN}, NULL, 0), CJ_ERR_ARGUMENT, "before");
    refused(&b, (cj_concat)((cj_node *[]){X(2, 3), Y(3, 3)}, 2, 1), CJ_ERR_SHAPE,
            "operand 1 has size 3 along axis 0, expected 2");
    refused(&b, (cj_concat)((cj_node *[]){X(2, 3), cj_zero}, 2, 1), CJ_ERR_ARGUMENT,
            "part 1 is cj_zero");
    refused(&b, cj_split(X(5), 0, 2, (int64_t[]){2, 2}), CJ_ERR_SHAPE,
            "size 4 together, but axis 0 has 5");
    refused(&b, cj_reverse(X(5), 1), CJ_ERR_ARGUMENT, "axis 1 is out of range for rank 1");
    refused(&b, cj_dynamic_slice(X(5), I(1), (cj_dim[]){6}), CJ_ERR_SHAPE,
            "size 6 along axis 0 of size 5");
    refused(&b, cj_update_slice(X(5, 2), Y(1, 1), I(1)), CJ_ERR_SHAPE, "begin must be i64[2]");
    stop(&b);
}

static void test_refused_values(void **state)
{
    (void)state;
    bench b = start();
    refused(&b, cj_matmul(X(2, 3), Y(4, 5)), CJ_ERR_SHAPE,
            "matmul: the inner sizes differ: 3 and 4 (operands f32[2, 3], f32[4, 5])");
    refused(&b, cj_matmul(X(2, 2, 3), Y(3, 3, 5)), CJ_ERR_SHAPE,
            "the leading sizes 2 and 3 do not broadcast");
    refused(&b, cj_matmul(X(3), cj_scalar(b.g, CJ_F32, 1)), CJ_ERR_SHAPE, "a scalar is no matrix");
    refused(&b, cj_gather(X(3), Y(2), 0), CJ_ERR_TYPE,
            "operand 1 holds indices, which are i32 or i64, not f32");
    refused(&b, cj_gather_along(X(3, 2), I(2, 3), 0), CJ_ERR_SHAPE,
            "size 3 along axis 1, more than 2");
    refused(&b, cj_scatter_add(X(3, 2), I(4), 0, 5, 1), CJ_ERR_SHAPE,
            "axis 0 of the updates has size 3, the indices have 4");
    refused(&b, cj_scatter_add(X(3, 2), I(3), 0, 5, 2), CJ_ERR_SHAPE,
            "the indices have rank 1, expected 2");
    refused(&b, cj_scatter_along(X(3), I(2), Y(3), 0, CJ_SCATTER_ADD), CJ_ERR_SHAPE,
            "the shapes of indices and updates differ");
    refused(&b, cj_one_hot(I(2), -1, CJ_F32), CJ_ERR_ARGUMENT, "depth=-1");
    refused(&b, cj_top_k(X(3), 4, 0, false), CJ_ERR_SHAPE, "k=4 is more than the size 3 of axis 0");
    refused(&b, cj_softmax(I(3), 0), CJ_ERR_TYPE, "takes floats, not i64");
    refused(&b, cj_softmax(cj_scalar(b.g, CJ_F32, 1), -1), CJ_ERR_ARGUMENT,
            "axis -1 is out of range for rank 0");
    refused(&b, cj_sparse_softmax_crossentropy(X(3, 4), I(4)), CJ_ERR_SHAPE,
            "axis 0 has size 4 in the labels, 3 in the logits");
    refused(&b, cj_random_uniform(I(2), CJ_F32, 0, CJ_DIMS(3)), CJ_ERR_SHAPE,
            "a key, which is i64[3]");
    refused(&b, cj_random_normal(cj_random_key(b.g), CJ_I32, 0, CJ_DIMS(3)), CJ_ERR_TYPE,
            "makes floats, not i32");
    refused(&b, cj_dropout_node(X(3), 1), CJ_ERR_ARGUMENT, "rate=1 is not in [0, 1)");
    refused(&b, cj_dropout_node(X(3), NAN), CJ_ERR_ARGUMENT, "is not in [0, 1)");
    stop(&b);
}

static void refused_run(cj_node *(*build)(cj_node *x, cj_node *i), const int64_t *indices,
                        const char *words)
{
    bench b = start();
    cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(4, 3)),
                      reals(&b, 2, (int64_t[]){4, 3}, NULL));
    cj_tensor *i = cj_tensor_from(b.cj, CJ_I64, 1, (int64_t[]){4}, indices);
    cj_node *y = build(x, feed(&b, I(4), i));
    cj_tensor *out = NULL;
    char message[512];
    assert_int_equal(try_run(&b, &y, 1, &out, message), CJ_ERR_DATA);
    if (!strstr(message, words)) fail_msg("found \"%s\", expected \"%s\"", message, words);
    assert_null(out);
    stop(&b);
}

static cj_node *by_gather(cj_node *x, cj_node *i)
{
    return cj_gather(x, i, 1);
}
static cj_node *by_along(cj_node *x, cj_node *i)
{
    return cj_gather_along(x, cj_reshape(i, CJ_DIMS(2, 2)), 0);
}
static cj_node *by_scatter(cj_node *x, cj_node *i)
{
    return cj_scatter_add(x, i, 0, 6, 1);
}
static cj_node *by_loss(cj_node *x, cj_node *i)
{
    return cj_sparse_softmax_crossentropy(x, i);
}
static cj_node *by_write(cj_node *x, cj_node *i)
{
    cj_node *at = cj_reshape(i, CJ_DIMS(4, 1));
    return cj_scatter_along(x, at, cj_slice_axis(x, 1, 0, 1), 1,
                            CJ_SCATTER_REPLACE);
}

static void test_out_of_range(void **state)
{
    (void)state;
    refused_run(by_gather, (int64_t[]){0, 1, 3, 2},
                "gather: index 3 at position [2] is out of range for axis 1 of size 3");
    refused_run(by_gather, (int64_t[]){0, -4, 1, 2}, "index -4 at position [1]");
    refused_run(
        by_along, (int64_t[]){0, 1, 3, INT64_MIN},
        "index -9223372036854775808 at position [1, 1] is out of range for axis 0 of size 4");
    refused_run(by_scatter, (int64_t[]){0, 1, 6, 2},
                "scatter_add: index 6 at position [2] is out of range for axis 0 of size 6");
    refused_run(by_write, (int64_t[]){0, INT64_MAX, 1, 2},
                "index 9223372036854775807 at position [1, 0]");
    refused_run(by_loss, (int64_t[]){0, 1, 2, 3},
                "label 3 at position [3] is not between 0 and 2 (3 classes)");
    refused_run(by_loss, (int64_t[]){-1, 1, 2, 0}, "label -1 at position [0]");
}

/* ---- cj_zero --------------------------------------------------------------------------------- */

static void test_zero(void **state)
{
    (void)state;
    bench b = start();
    cj_node *x = X(2, 3), *i = I(2);
    cj_node *zeros[] = {cj_reshape(cj_zero, CJ_DIMS(6)),
                        cj_transpose(cj_zero, NULL),
                        cj_expand_dims(cj_zero, 0),
                        cj_squeeze(cj_zero, 0),
                        cj_broadcast_to(cj_zero, CJ_DIMS(3)),
                        cj_slice_axis(cj_zero, 0, 1, 1),
                        cj_pad(cj_zero, NULL, NULL, 0),
                        cj_reverse(cj_zero, 0),
                        cj_extend(cj_zero, NULL, NULL, "edge"),
                        cj_gather(cj_zero, i, 0),
                        cj_scatter_add(cj_zero, i, 0, 4, 1),
                        cj_matmul(cj_zero, x),
                        cj_matmul(x, cj_zero),
                        cj_gather_along(cj_zero, i, 0),
                        cj_dropout_node(cj_zero, 0.5)};
    for (size_t k = 0; k < CJ__COUNT(zeros); k++)
        if (zeros[k] != cj_zero) fail_msg("builder %zu does not give cj_zero", k);
    assert_int_equal(cj_graph_failed(b.g), CJ_OK);
    /* What changes nothing is x itself. */
    assert_ptr_equal(cj_reshape(x, CJ_DIMS(2, 3)), x);
    assert_ptr_equal((cj_transpose)(x, (int64_t[]){0, 1}), x);
    assert_ptr_equal(cj_broadcast_to(x, CJ_DIMS(2, 3)), x);
    assert_ptr_equal(cj_slice_axis(x, 1, 0, CJ_INFER), x);
    assert_ptr_equal(cj_pad(x, (int64_t[]){0, 0}, NULL, 5), x);
    assert_ptr_equal(cj_dropout_node(x, 0), x);
    assert_ptr_equal(cj_concat(&x, 1, 0), x);
    stop(&b);
}

/* ---- Gradients with symbols, ties, many parts ------------------------------------------------ */

/* d sum(y^2) / d x = 2 y at the places y came from. */
static void slice_gradient(int64_t begin, cj_dim size, int64_t step, const double expected[5])
{
    bench b = start();
    cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(cj_symbol(b.g, "n"))),
                      reals(&b, 1, (int64_t[]){5}, NULL));
    cj_node *y = cj_slice(x, &begin, &size, &step), *dx;
    assert_int_equal(cj_grad(cj_sum(cj_square(y)), &x, 1, &dx), CJ_OK);
    expect(run(&b, cj_zero_as(dx, x)), 5, expected);
    stop(&b);
}

static void test_symbolic_slices(void **state)
{
    (void)state;
    slice_gradient(1, 2, 1, (double[]){0, 4, 6, 0, 0});
    slice_gradient(1, CJ_INFER, 2, (double[]){0, 4, 0, 8, 0});
    slice_gradient(0, CJ_INFER, 3, (double[]){2, 0, 0, 8, 0});
    slice_gradient(-2, CJ_INFER, 1, (double[]){0, 0, 0, 8, 10});
    slice_gradient(-4, 2, 2, (double[]){0, 4, 0, 8, 0});
    slice_gradient(-1, CJ_INFER, -1, (double[]){2, 4, 6, 8, 10});
    slice_gradient(-2, 2, -3, (double[]){2, 0, 0, 8, 0});
    slice_gradient(3, CJ_INFER, -2, (double[]){0, 4, 0, 8, 0});
    slice_gradient(-3, 0, 1, (double[]){0, 0, 0, 0, 0});
}

/* Nothing, back to front, is nothing. */
static void test_empty_reversal(void **state)
{
    (void)state;
    bench b = start();
    int64_t begin = -1, step = -1;
    cj_dim size = CJ_INFER;
    cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(cj_symbol(b.g, "n"))),
                      reals(&b, 1, (int64_t[]){0}, NULL));
    expect(run(&b, cj_slice(x, &begin, &size, &step)), 0, NULL);
    stop(&b);
}

static void test_other_graph(void **state)
{
    (void)state;
    bench b = start();
    cj_graph *other = cj_graph_new(b.cj);
    cj_node *y = cj_placeholder(other, "y", CJ_F32, CJ_DIMS(2, cj_symbol(other, "n"), 3));
    refused(&b, cj_matmul(X(2, 3, 3), y), CJ_ERR_ARGUMENT, "operand 1 belongs to another graph");
    refused(&b, cj_gather(X(2, 3), y, 0), CJ_ERR_ARGUMENT, "operand 1 belongs to another graph");
    refused(&b, (cj_concat)((cj_node *[]){X(2, 3, 3), y}, 2, 0), CJ_ERR_ARGUMENT,
            "operand 1 belongs to another graph");
    stop(&b);
}

/* A slice that does not fit is found when the symbol is bound. */
static void test_symbolic_refusals(void **state)
{
    (void)state;
    static const struct {
        int64_t begin, size, step;
    } bad[] = {{4, 2, 1}, {6, CJ_INFER, 1}, {-6, 1, 1}, {0, 3, 3}, {-1, 6, -1}, {5, 1, -1}};
    for (size_t i = 0; i < CJ__COUNT(bad); i++) {
        bench b = start();
        cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(cj_symbol(b.g, "n"))),
                          reals(&b, 1, (int64_t[]){5}, NULL));
        cj_node *y = cj_slice(x, &bad[i].begin, &bad[i].size, &bad[i].step);
        cj_tensor *out = NULL;
        char message[512];
        if (try_run(&b, &y, 1, &out, message) != CJ_ERR_SHAPE) fail_msg("slice %zu was taken", i);
        stop(&b);
    }
}

/* Of several updates of one place the last stands, and only it has a gradient. */
static void test_scatter_ties(void **state)
{
    (void)state;
    bench b = start();
    cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(3)),
                      reals(&b, 1, (int64_t[]){3}, NULL));
    cj_node *u = feed(&b, cj_placeholder(b.g, "u", CJ_F64, CJ_DIMS(4)),
                      reals(&b, 1, (int64_t[]){4}, NULL));
    cj_node *i = feed(&b, I(4),
                      cj_tensor_from(b.cj, CJ_I64, 1, (int64_t[]){4}, (int64_t[]){0, 2, 0, -1}));
    cj_node *y = cj_scatter_along(x, i, u, 0, CJ_SCATTER_REPLACE), *wrt[] = {x, u}, *d[2];
    expect(run(&b, y), 3, (double[]){3, 2, 4});
    assert_int_equal(cj_grad(cj_sum(cj_square(y)), wrt, 2, d), CJ_OK);
    expect(run(&b, d[0]), 3, (double[]){0, 4, 0});
    expect(run(&b, d[1]), 4, (double[]){0, 0, 6, 8});
    stop(&b);
}

/* Zeros among what is multiplied, equal extremes: torch's scatter_reduce gives these numbers. */
static void test_scatter_rules(void **state)
{
    static const struct {
        cj_scatter_rule rule;
        double y[3], dx[3], du[5];
    } cases[] = {
        {CJ_SCATTER_MUL, {0, 0, 4}, {0, 0, 3}, {0, 0, 4, 18, 12}},
        {CJ_SCATTER_MAX, {2, 3, 4}, {0.5, 1, 3}, {0.5, 1, 0, 0, 0}},
        {CJ_SCATTER_MIN, {0, 0, 1}, {0, 0, 0}, {0, 0, 1, 2, 3}},
    };
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        bench b = start();
        cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(3)),
                          reals(&b, 1, (int64_t[]){3}, (double[]){2, 3, 4}));
        cj_node *u = feed(&b, cj_placeholder(b.g, "u", CJ_F64, CJ_DIMS(5)),
                          reals(&b, 1, (int64_t[]){5}, (double[]){2, 3, 0, 0, 1}));
        cj_node *i = feed(&b, I(5), cj_tensor_from(b.cj, CJ_I64, 1, (int64_t[]){5},
                                                   (int64_t[]){0, 1, 0, 1, -1}));
        cj_node *weight = feed(&b, cj_placeholder(b.g, "w", CJ_F64, CJ_DIMS(3)),
                               reals(&b, 1, (int64_t[]){3}, (double[]){1, 2, 3}));
        cj_node *y = cj_scatter_along(x, i, u, 0, cases[k].rule), *wrt[] = {x, u}, *d[2];
        expect(run(&b, y), 3, cases[k].y);
        assert_int_equal(cj_grad(cj_sum(cj_mul(y, weight)), wrt, 2, d), CJ_OK);
        expect(run(&b, d[0]), 3, cases[k].dx);
        expect(run(&b, d[1]), 5, cases[k].du);
        stop(&b);
    }
}

static void test_many_parts(void **state)
{
    (void)state;
    enum { PARTS = 200 };
    static cj_node *parts[PARTS];
    bench b = start();
    cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(PARTS)),
                      reals(&b, 1, (int64_t[]){PARTS}, NULL));
    for (int i = 0; i < PARTS; i++) parts[i] = cj_scale(cj_slice_axis(x, 0, PARTS - 1 - i, 1), 2);
    cj_node *y = cj_stack(parts, PARTS, -1), *dx;
    assert_int_equal(cj_grad(cj_sum(cj_square(y)), &x, 1, &dx), CJ_OK);
    double twice[PARTS], slope[PARTS];
    for (int i = 0; i < PARTS; i++) twice[i] = 2.0 * (PARTS - i), slope[i] = 8.0 * (i + 1);
    expect(run(&b, y), PARTS, twice);
    expect(run(&b, dx), PARTS, slope);
    stop(&b);
}

/* Parts of symbolic sizes: [a] and [b] joined, the gradient cut again. */
static void test_symbolic_concat(void **state)
{
    (void)state;
    bench b = start();
    cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(cj_symbol(b.g, "a"))),
                      reals(&b, 1, (int64_t[]){2}, NULL));
    cj_node *y = feed(&b, cj_placeholder(b.g, "y", CJ_F64, CJ_DIMS(cj_symbol(b.g, "b"))),
                      reals(&b, 1, (int64_t[]){3}, NULL));
    cj_node *both[] = {x, y}, *d[2], *z = cj_cumsum(cj_concat(both, 2, 0), 0, false, false);
    assert_int_equal(cj_grad(cj_sum(z), both, 2, d), CJ_OK);
    expect(run(&b, z), 5, (double[]){1, 3, 4, 6, 9});
    expect(run(&b, d[0]), 2, (double[]){5, 4});
    expect(run(&b, d[1]), 3, (double[]){3, 2, 1});
    stop(&b);
}

/* A dense layer on [batch, length, 4] and the gradient of its weights, which is one product. */
static void test_shared_matrix(void **state)
{
    (void)state;
    bench b = start();
    cj_node *x = feed(&b,
                      cj_placeholder(b.g, "x", CJ_F64,
                                     CJ_DIMS(cj_symbol(b.g, "batch"), cj_symbol(b.g, "length"), 2)),
                      reals(&b, 3, (int64_t[]){2, 2, 2}, NULL));
    cj_node *w = feed(&b, cj_placeholder(b.g, "w", CJ_F64, CJ_DIMS(2, 3)),
                      reals(&b, 2, (int64_t[]){2, 3}, NULL));
    cj_node *y = cj_matmul(x, w), *dw;
    expect(run(&b, y), 12, (double[]){9, 12, 15, 19, 26, 33, 29, 40, 51, 39, 54, 69});
    assert_int_equal(cj_grad(cj_sum(y), &w, 1, &dw), CJ_OK);
    assert_ptr_equal(dw->call->op, &cj_op_matmul);
    assert_int_equal(dw->call->in[0]->type.rank, 2);
    expect(run(&b, dw), 6, (double[]){16, 16, 16, 20, 20, 20});
    stop(&b);
}

/* ---- Random numbers -------------------------------------------------------------------------- */

/* The tensor belongs to `keep`, which outlives the graph. */
static cj_tensor *draw(cj_context *keep, int64_t first, int64_t rows, bool normal)
{
    bench b = start();
    int64_t words[] = {42, 7, first};
    cj_tensor *key = cj_tensor_from(b.cj, CJ_I64, 1, (int64_t[]){3}, words), *copy;
    cj_node *k = feed(&b, cj_placeholder(b.g, "key", CJ_I64, CJ_DIMS(3)), key);
    cj_node *y = normal ? cj_random_normal(k, CJ_F32, 5, CJ_DIMS(rows, 37))
                        : cj_random_uniform(k, CJ_F32, 5, CJ_DIMS(rows, 37));
    cj_tensor *out = run(&b, y);
    copy = cj_tensor_from(keep, CJ_F32, 2, cj_tensor_shape(out), cj_tensor_map_read(out));
    cj_tensor_free(out);
    stop(&b);
    return copy;
}

static void test_batches_cut(void **state)
{
    (void)state;
    cj_context *keep = cj_context_new(NULL);
    for (int normal = 0; normal < 2; normal++) {
        cj_tensor *whole = draw(keep, 10, 8, normal);
        for (int64_t cut = 0; cut <= 8; cut++) {
            cj_tensor *parts[] = {draw(keep, 10, cut, normal),
                                  draw(keep, 10 + cut, 8 - cut, normal)};
            cj_tensor *rows[] = {cj_tensor_rows(whole, 0, cut), cj_tensor_rows(whole, cut, 8)};
            for (int k = 0; k < 2; k++) {
                if (!cj_tensor_equal(parts[k], rows[k]))
                    fail_msg("cut at %d: part %d differs", (int)cut, k);
                cj_tensor_free(parts[k]);
                cj_tensor_free(rows[k]);
            }
        }
        cj_tensor_free(whole);
    }
    cj_context_free(keep);
}

static void test_streams(void **state)
{
    (void)state;
    bench b = start();
    cj_node *key = cj_random_key(b.g), *x = X(2, 3);
    assert_ptr_equal(cj_random_key(b.g), key);
    assert_ptr_equal(cj_find_variable(b.g, "random/key"), key);
    cj_node *u = cj_random_uniform(key, CJ_F32, -1, CJ_DIMS(3)),
            *n = cj_random_normal(key, CJ_F32, -1, CJ_DIMS(3));
    assert_int_equal(((const cj__random_attrs *)u->call->attributes)->stream, 0);
    assert_int_equal(((const cj__random_attrs *)n->call->attributes)->stream, 1);
    cj_random_uniform(key, CJ_F32, 7, CJ_DIMS(3));
    cj_dropout_node(x, 0.5);
    assert_int_equal(b.g->next_stream, 9);
    cj_graph *copy = cj__graph_clone(b.g);
    assert_non_null(copy);
    assert_int_equal(copy->next_stream, 9);
    assert_ptr_equal(cj_random_key(copy), cj_find_variable(copy, "random/key"));
    stop(&b);
}

/* Half precision rounds, but never up to 1. */
static void test_unit_interval(void **state)
{
    (void)state;
    static const cj_dtype dtypes[] = {CJ_F64, CJ_F32, CJ_F16, CJ_BF16};
    for (size_t d = 0; d < CJ__COUNT(dtypes); d++) {
        bench b = start();
        cj_tensor *y = run(&b,
                           cj_random_uniform(cj_random_key(b.g), dtypes[d], 3, CJ_DIMS(50, 1000)));
        double sum = 0, least = 1, most = 0;
        const void *data = cj_tensor_map_read(y);
        for (size_t i = 0; i < 50000; i++) {
            double v = cj_load_f64(dtypes[d], data, i);
            sum += v;
            least = v < least ? v : least;
            most = v > most ? v : most;
        }
        if (!(least >= 0 && most < 1))
            fail_msg("%s: from %.17g to %.17g", cj_dtype_info(dtypes[d])->name, least, most);
        if (fabs(sum / 50000 - 0.5) > 0.01)
            fail_msg("%s: mean %g", cj_dtype_info(dtypes[d])->name, sum / 50000);
        cj_tensor_free(y);
        stop(&b);
    }
}

/* In training a quarter is dropped and the rest grows by 4/3; the gradient has the same mask. */
static void test_dropout(void **state)
{
    (void)state;
    enum { N = 20000 };
    bench b = start();
    cj_tensor *ones = cj_tensor_new(b.cj, CJ_F64, 2, (int64_t[]){N / 100, 100});
    double *v = cj_tensor_map(ones, CJ_MAP_WRITE);
    for (int i = 0; i < N; i++) v[i] = 1;
    cj_tensor_unmap(ones);
    cj_node *x = feed(&b, cj_placeholder(b.g, "x", CJ_F64, CJ_DIMS(cj_symbol(b.g, "batch"), 100)),
                      ones),
            *dx;
    cj_node *y = cj_dropout_node(x, 0.25);
    assert_int_equal(cj_grad(cj_sum(y), &x, 1, &dx), CJ_OK);
    cj_tensor *a = run(&b, y), *d = run(&b, dx);
    const double *p = cj_tensor_map_read(a);
    int dropped = 0;
    for (int i = 0; i < N; i++) {
        if (p[i] != 0 && fabs(p[i] - 4.0 / 3) > 1e-12) fail_msg("element %d is %g", i, p[i]);
        dropped += p[i] == 0;
    }
    if (abs(dropped - N / 4) > 300)
        fail_msg("%d of %d were dropped, expected about %d", dropped, N, N / 4);
    assert_true(cj_tensor_equal(a, d));
    cj_tensor_free(a);
    cj_tensor_free(d);
    stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_refused_shapes),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_empty_reversal),
        cmocka_unit_test(test_other_graph),
        cmocka_unit_test(test_symbolic_slices),
        cmocka_unit_test(test_symbolic_refusals),
        cmocka_unit_test(test_scatter_ties),
        cmocka_unit_test(test_scatter_rules),
        cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_symbolic_concat),
        cmocka_unit_test(test_shared_matrix),
        cmocka_unit_test(test_batches_cut),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_unit_interval),
        cmocka_unit_test(test_dropout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
