/* test_low.c: low dtypes are moved and cast by every backend, and computed with by none; bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/cajal.h>

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int leaked = cj_memory_used(cj) != 0;
    cj_context_free(cj);
    return leaked;
}

static const char *const backends[] = {NULL, "reference"};

/* Runs the graph, frees it, and returns its one output. */
static cj_tensor *run(cj_graph *g, const char *backend, cj_feed *feeds, int n)
{
    cj_tensor *out = NULL;
    cj_program *program = cj_compile(g, .training = false);
    if (!program) fail_msg("%s", cj_message(cj));
    cj_session_opts opts = {.struct_size = sizeof opts, .backend = backend};
    cj_session *s = cj_session_new_opts(program, cj_graph_store(g), &opts);
    if (!s) fail_msg("%s", cj_message(cj));
    if (cj_run(s, feeds, n, &out, 1)) fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(program);
    cj_graph_free(g);
    return out;
}

static void assert_bytes(cj_tensor *t, cj_dtype dtype, const void *bytes, size_t size)
{
    assert_int_equal(cj_tensor_dtype(t), dtype);
    assert_int_equal(cj_tensor_size_bytes(t), size);
    assert_memory_equal(cj_tensor_map_read(t), bytes, size);
    cj_tensor_unmap(t);
    cj_tensor_free(t);
}

/* x[2, 3], transposed, next to a slice of itself, gathered, chosen, padded and reversed. */
static void they_move(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6};
    for (int dtype = CJ_F8E4M3FN; dtype <= CJ_U4; dtype++) /* 6 does not fit two bits */
        for (int b = 0; b < 2; b++) {
            cj_graph *g = cj_graph_new(cj);
            cj_node *x = cj_placeholder(g, "x", (cj_dtype)dtype, 2, (cj_dim[]){2, 3});
            cj_node *t = cj_transpose(x, (int64_t[]){1, 0}); /* 1 4, 2 5, 3 6 */
            int64_t begin[] = {0, 0}, size[] = {3, 1};
            cj_node *s = cj_slice(t, begin, size, NULL);                 /* 1, 2, 3 */
            cj_node *joined = cj_concat((cj_node *[]){t, s}, 2, 1);      /* 1 4 1, 2 5 2, 3 6 3 */
            cj_tensor *rows = cj_tensor_from(cj, CJ_I64, 1, (int64_t[]){2}, (int64_t[]){2, 0});
            cj_node *picked = cj_gather(joined, cj_constant(g, rows), 0); /* 3 6 3, 1 4 1 */
            cj_tensor_free(rows);
            cj_tensor *mask = cj_tensor_from(cj, CJ_BOOL, 1, (int64_t[]){3}, (char[]){1, 0, 1});
            cj_node *chosen = cj_where(cj_constant(g, mask), picked, x); /* 3 2 3, 1 5 1 */
            cj_tensor_free(mask);
            cj_graph_output(g, "y", cj_identity(cj_reshape(chosen, 1, (cj_dim[]){6})));
            if (cj_graph_verify(g)) fail_msg("%s", cj_message(cj));
            cj_tensor *in = cj_tensor_from(cj, (cj_dtype)dtype, 2, (int64_t[]){2, 3}, bytes);
            cj_feed feed = {.node = x, .value = in};
            assert_bytes(run(g, backends[b], &feed, 1), (cj_dtype)dtype, "\3\2\3\1\5\1", 6);
            cj_tensor_free(in);
        }
}

/* Casts inside a graph are the conversions of test_dtype.c, between fused arithmetic, too. */
static void they_are_cast(void **state)
{
    (void)state;
    const float in[] = {0.3f, -500, 1e30f, 7};
    for (int b = 0; b < 2; b++)
        for (int wrong = 0; wrong < 2; wrong++) {
            cj_graph *g = cj_graph_new(cj);
            cj_tensor *t = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){4}, in);
            cj_node *x = cj_placeholder(g, "x", CJ_F32, 1, (cj_dim[]){4});
            cj_node *low = cj_cast_as(cj_scale(x, 2), CJ_F8E4M3FN,
                                      wrong ? CJ_CAST_OVERFLOW : CJ_CAST_UP);
            cj_graph_output(g, "y", cj_cast_as(low, CJ_F8E5M2, CJ_CAST_OVERFLOW));
            cj_feed feed = {.node = x, .value = t};
            assert_bytes(run(g, backends[b], &feed, 1), CJ_F8E5M2,
                         wrong ? "\x39\xfe\x7e\x4b" : "\x39\xdf\x5f\x4b", 4);
            cj_tensor_free(t);
        }
}

static cj_node *negated(cj_node *x)
{
    return cj_neg(x);
}
static cj_node *doubled(cj_node *x)
{
    return cj_add(x, x);
}
static cj_node *summed(cj_node *x)
{
    return cj_reduce_sum(x, 0, NULL, false);
}
static cj_node *multiplied(cj_node *x)
{
    return cj_matmul(x, x);
}
static cj_node *compared(cj_node *x)
{
    return cj_less(x, x);
}

static void they_are_not_computed_with(void **state)
{
    cj_node *(*const make[])(cj_node *x) = {negated, doubled, summed, multiplied, compared};
    const char *const names[] = {"neg", "add", "reduce_sum", "matmul", "less"};
    (void)state;
    for (int dtype = CJ_F8E4M3FN; dtype < CJ_DTYPE_COUNT; dtype++)
        for (size_t i = 0; i < sizeof make / sizeof *make; i++) {
            char expected[128];
            const char *name = cj_dtype_info((cj_dtype)dtype)->name;
            cj_graph *g = cj_graph_new(cj);
            assert_null(make[i](cj_placeholder(g, "x", (cj_dtype)dtype, 2, (cj_dim[]){3, 3})));
            snprintf(expected, sizeof expected,
                     "%s: does not compute with %s, which is only stored, moved and cast", names[i],
                     name);
            cj_graph_verify(g);
            if (!strstr(cj_message(cj), expected))
                fail_msg("found '%s', expected '%s'", cj_message(cj), expected);
            cj_graph_free(g);
        }
}

static cj_tensor *integers(cj_node *(*make)(cj_node *a, cj_node *b), const char *backend,
                           cj_dtype dtype, int n, const void *a, const void *b)
{
    int64_t count = n;
    cj_graph *g = cj_graph_new(cj);
    cj_tensor *x = cj_tensor_from(cj, dtype, 1, &count, a),
              *y = cj_tensor_from(cj, dtype, 1, &count, b);
    cj_node *p = cj_placeholder(g, "p", dtype, 1, &count),
            *q = cj_placeholder(g, "q", dtype, 1, &count);
    cj_graph_output(g, "r", make(p, q));
    if (cj_graph_verify(g)) fail_msg("%s", cj_message(cj));
    cj_feed feeds[] = {{.node = p, .value = x}, {.node = q, .value = y}};
    cj_tensor *out = run(g, backend, feeds, 2);
    cj_tensor_free(x);
    cj_tensor_free(y);
    return out;
}

static cj_node *only_not(cj_node *a, cj_node *b)
{
    return cj_concat((cj_node *[]){cj_bitwise_not(a), cj_bitwise_not(b)}, 2, 0);
}

static void bits_are_bits(void **state)
{
    const uint8_t a[] = {0xf0, 0x81, 0xff, 0}, b[] = {0x3c, 1, 9, 7};
    const int16_t c[] = {-300, 255, -1, 16384}, d[] = {3, 1, 20, 70};
    const uint64_t e[] = {UINT64_MAX, UINT64_C(1) << 63}, f[] = {63, 64};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *on = backends[i];
        assert_bytes(integers(cj_bitwise_and, on, CJ_U8, 4, a, b), CJ_U8, "\x30\1\x09\0", 4);
        assert_bytes(integers(cj_bitwise_or, on, CJ_U8, 4, a, b), CJ_U8, "\xfc\x81\xff\7", 4);
        assert_bytes(integers(cj_bitwise_xor, on, CJ_U8, 4, a, b), CJ_U8, "\xcc\x80\xf6\7", 4);
        assert_bytes(integers(cj_shift_left, on, CJ_U8, 4, a, b), CJ_U8, "\0\2\0\0", 4);
        assert_bytes(integers(only_not, on, CJ_U8, 4, a, b), CJ_U8,
                     "\x0f\x7e\0\xff\xc3\xfe\xf6\xf8", 8);
        assert_bytes(integers(cj_shift_right, on, CJ_I16, 4, c, d), CJ_I16,
                     (int16_t[]){-38, 127, -1, 0}, 8);
        assert_bytes(integers(cj_bitwise_and, on, CJ_I16, 4, c, d), CJ_I16,
                     (int16_t[]){0, 1, 20, 0}, 8);
        assert_bytes(integers(cj_shift_right, on, CJ_U64, 2, e, f), CJ_U64, (uint64_t[]){1, 0}, 16);
    }
}

static void bits_change_their_dtype(void **state)
{
    (void)state;
    const struct { cj_dtype from, to; const void *in, *out; } cases[] = {
        {CJ_F32, CJ_I32, (float[]){1, -2}, (int32_t[]){0x3f800000, -0x40000000}},
        {CJ_U64, CJ_F64, (uint64_t[]){UINT64_C(0x3ff8) << 48, 0}, (double[]){1.5, 0}},
        {CJ_BF16, CJ_F16, "\x80\x3f\0\1", "\x80\x3f\0\1"},
        {CJ_U8, CJ_F8E5M2, "\x3c\xbc", "\x3c\xbc"},
        {CJ_U4, CJ_I4, "\x0f\7", "\xff\7"},
        {CJ_BOOL, CJ_U8, "\1\0", "\1\0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int b = 0; b < 2; b++) {
            cj_graph *g = cj_graph_new(cj);
            cj_node *x = cj_placeholder(g, "x", cases[i].from, 1, (cj_dim[]){2});
            cj_graph_output(g, "y", cj_bit_cast(x, cases[i].to));
            cj_tensor *in = cj_tensor_from(cj, cases[i].from, 1, (int64_t[]){2}, cases[i].in);
            cj_feed feed = {.node = x, .value = in};
            assert_bytes(run(g, backends[b], &feed, 1), cases[i].to, cases[i].out,
                         (size_t)cj_dtype_info(cases[i].to)->bits / 4);
            cj_tensor_free(in);
        }
    cj_graph *g = cj_graph_new(cj);
    assert_null(cj_bit_cast(cj_placeholder(g, "x", CJ_F32, 0, NULL), CJ_I64));
    cj_graph_verify(g);
    assert_non_null(strstr(cj_message(cj), "bit_cast: f32 has 32 bits, and i64 has 64"));
    cj_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_move, setup, teardown),
        cmocka_unit_test_setup_teardown(they_are_cast, setup, teardown),
        cmocka_unit_test_setup_teardown(they_are_not_computed_with, setup, teardown),
        cmocka_unit_test_setup_teardown(bits_are_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(bits_change_their_dtype, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
