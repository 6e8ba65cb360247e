/* Pooling, columns, resizing (all coordinates of ONNX), grid sampling and blocks against PyTorch,
 * with gradients, channels first and last, on the reference and on the best backend
 * (tests/golden/graph/pool.txt, made by tools/golden/pool.py); the rules that move relu behind a
 * pooling; and wrong use.
 *
 * ctest: timeout 120 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cajal/conv.h>
#include <cajal/image.h>
#include <cajal/pool.h>
#include <cajal/run.h>

#include "golden.h"
#include "graph/graph.h"

enum { TENSORS_MAX = 8 };

typedef struct named {
    char name[16];
    cj_tensor *t;
} named;

typedef struct test_case {
    char text[256]; /* "max_pool kernel=3,3 " */
    named tensors[TENSORS_MAX];
    int n;
} test_case;

/* ---- Reading --------------------------------------------------------------------------------- */

static const char *find(const test_case *c, const char *key)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, " %s=", key);
    const char *at = strstr(c->text, wanted);
    return at ? at + strlen(wanted) : NULL;
}

static void list(const test_case *c, const char *key, int64_t v[3])
{
    const char *at = find(c, key);
    for (int i = 0; at && i < 3; i++) {
        char *end;
        v[i] = strtoll(at, &end, 10);
        if (*end != ',') break;
        at = end + 1;
    }
}

static void reals(const test_case *c, const char *key, double v[3])
{
    const char *at = find(c, key);
    for (int i = 0; at && i < 3; i++) {
        char *end;
        v[i] = strtod(at, &end);
        if (*end != ',') break;
        at = end + 1;
    }
}

static double number(const test_case *c, const char *key, double otherwise)
{
    return find(c, key) ? strtod(find(c, key), NULL) : otherwise;
}

static const char *word(const test_case *c, const char *key, char out[32])
{
    const char *at = find(c, key);
    if (!at) return NULL;
    size_t n = strcspn(at, " ");
    assert_true(n < 32);
    memcpy(out, at, n);
    out[n] = 0;
    return out;
}

static cj_tensor *tensor_of(const test_case *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->tensors[i].name, name)) return c->tensors[i].t;
    return NULL;
}

/* "x 1,2,5 numbers..." */
static cj_tensor *read_tensor(cj_context *cj, char *line, char name[16])
{
    int64_t dims[CJ_RANK_MAX];
    int rank = 0;
    size_t n = strcspn(line, " ");
    assert_true(n < 16);
    memcpy(name, line, n);
    name[n] = 0;
    char *at = line + n + 1;
    for (;;) {
        char *end;
        dims[rank++] = strtoll(at, &end, 10);
        at = end + 1;
        if (*end != ',') break;
    }
    bool integer = !strcmp(name, "index");
    cj_tensor *t = cj_tensor_new(cj, integer ? CJ_I64 : CJ_F64, rank, dims);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) {
        char *end;
        double v = strtod(at, &end);
        assert_true(end != at);
        cj_store_f64(cj_tensor_dtype(t), data, (size_t)i, v);
        at = end;
    }
    cj_tensor_unmap(t);
    return t;
}

/* ---- Building -------------------------------------------------------------------------------- */

static cj_node *permuted(cj_node *x, bool back)
{
    int64_t p[CJ_RANK_MAX] = {0};
    int last = cj_node_rank(x) - 1;
    for (int i = 1; i <= last; i++)
        p[i] = back ? (i == 1 ? last : i - 1) : i == last ? 1 : i + 1;
    return (cj_transpose)(x, p);
}

/* The operator of a case on a channels-first x; inside, channels are where channel_axis says. */
static cj_node *apply(const test_case *c, cj_node *x, cj_node *other, bool last, cj_node **index)
{
    char a[32], b[32], d[32], name[32];
    memcpy(name, c->text, strcspn(c->text, " "));
    name[strcspn(c->text, " ")] = 0;
    int axis = last ? -1 : 1;
    cj_pool_opts p = {.struct_size = sizeof p, .channel_axis = axis};
    list(c, "kernel", p.kernel);
    list(c, "strides", p.strides);
    list(c, "dilations", p.dilations);
    list(c, "pads", p.pads_before);
    list(c, "pads", p.pads_after);
    list(c, "sizes", p.sizes);
    p.ceil_mode = number(c, "ceil", 0) != 0;
    p.count_include_pad = number(c, "include", 0) != 0;
    p.p = number(c, "p", 0);
    cj_conv_opts windows = {.struct_size = sizeof windows, .channel_axis = axis};
    memcpy(windows.strides, p.strides, sizeof windows.strides);
    memcpy(windows.dilations, p.dilations, sizeof windows.dilations);
    memcpy(windows.pads_before, p.pads_before, sizeof windows.pads_before);
    memcpy(windows.pads_after, p.pads_after, sizeof windows.pads_after);
    memcpy(windows.output_size, p.sizes, sizeof windows.output_size);
    cj_resize_opts r = {.struct_size = sizeof r, .channel_axis = axis};
    list(c, "sizes", r.sizes);
    reals(c, "scales", r.scales);
    reals(c, "begin", r.begin);
    reals(c, "end", r.end);
    r.extrapolation = number(c, "extrapolation", 0);
    r.mode = word(c, "mode", a);
    r.coordinates = word(c, "coordinates", b);
    r.nearest = word(c, "nearest", d);
    r.antialias = number(c, "antialias", 0) != 0;
    r.exclude_outside = number(c, "outside", 0) != 0;
    r.cubic_a = number(c, "cubic", 0);
    cj_block_opts block = {.struct_size = sizeof block, .channel_axis = axis};
    block.block = (int64_t)number(c, "block", 2);
    block.channel_major = number(c, "major", 0) != 0;
    if (last) x = permuted(x, false);
    cj_node *y = NULL;
    if (!strcmp(name, "max_pool")) {
        y = (cj_max_pool)(x, &p);
        *index = (cj_pool_flat_index)(y);
        if (last) *index = permuted(*index, true);
    } else if (!strcmp(name, "avg_pool")) y = (cj_avg_pool)(x, &p);
    else if (!strcmp(name, "lp_pool")) y = (cj_lp_pool)(x, &p);
    else if (!strcmp(name, "im2col")) y = (cj_im2col)(x, p.kernel, &windows);
    else if (!strcmp(name, "col2im")) y = (cj_col2im)(x, p.kernel, &windows);
    else if (!strcmp(name, "adaptive_avg_pool")) y = (cj_adaptive_avg_pool)(x, &p);
    else if (!strcmp(name, "adaptive_max_pool")) y = (cj_adaptive_max_pool)(x, &p);
    else if (!strcmp(name, "max_unpool"))
        y = (cj_max_unpool)(x, last ? permuted(other, false) : other, &p);
    else if (!strcmp(name, "resize")) y = (cj_resize)(x, &r);
    else if (!strcmp(name, "depth_to_space")) y = (cj_depth_to_space)(x, &block);
    else if (!strcmp(name, "space_to_depth")) y = (cj_space_to_depth)(x, &block);
    else if (!strcmp(name, "grid_sample"))
        y = (cj_grid_sample)(x, other,
                             &(cj_grid_sample_opts){.struct_size = sizeof(cj_grid_sample_opts),
                                                    .mode = r.mode,
                                                    .padding = word(c, "padding", b),
                                                    .align_corners = number(c, "align", 0) != 0,
                                                    .channel_axis = axis});
    else fail_msg("unknown case '%s'", name);
    return last && y ? permuted(y, true) : y;
}

static bool compare(const test_case *c, const char *what, const char *how,
                    const cj_tensor *expected, const cj_tensor *found, double tolerance)
{
    const void *e = cj_tensor_map_read(expected), *f = cj_tensor_map_read(found);
    assert_int_equal(cj_tensor_count(expected), cj_tensor_count(found));
    for (size_t i = 0; i < (size_t)cj_tensor_count(expected); i++) {
        double x = cj_load_f64(cj_tensor_dtype(expected), e, i);
        double y = cj_load_f64(cj_tensor_dtype(found), f, i);
        if (fabs(x - y) <= tolerance * (1 + fabs(x))) continue;
        print_error("%s: %s, %s: element %zu is %.12g, expected %.12g\n", c->text, what, how, i, y,
                    x);
        return false;
    }
    return true;
}

/* An input whose axes have names for sizes. */
static cj_node *opened(cj_graph *g, const cj_tensor *like)
{
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < cj_tensor_rank(like); i++)
        dims[i] = cj_symbol(g, (const char *[]){"a", "b", "c", "d", "e"}[i]);
    return cj_placeholder(g, "open", cj_tensor_dtype(like), cj_tensor_rank(like), dims);
}

/* In double the numbers are PyTorch's but for the digits of the file; in f32 coordinates of the
 * grid are rounded before, which a cubic multiplies by its slope. */
static int run_case(cj_context *cj, const test_case *c, bool last, bool open, cj_dtype dtype)
{
    static const char *const others[] = {"index", "grid"};
    char how[64];
    snprintf(how, sizeof how, "channels %s, %s%s", last ? "last" : "first",
             cj_dtype_info(dtype)->name, open ? ", of open sizes" : "");
    cj_graph *g = cj_graph_new(cj);
    cj_node *other = NULL, *index = NULL, *out[8], *dx[2] = {NULL}, *wrt[2];
    const cj_tensor *expected[8];
    const char *names[8];
    int n = 0, n_wrt = 1;
    cj_node *fed = cj_variable(g, "x", tensor_of(c, "x"));
    if (open) fed = opened(g, tensor_of(c, "x"));
    const cj_feed feed = {fed, tensor_of(c, "x")};
    cj_node *x = (cj_cast)(fed, dtype);
    for (int i = 0; i < 2; i++)
        if (tensor_of(c, others[i])) other = cj_variable(g, others[i], tensor_of(c, others[i]));
    bool grid = tensor_of(c, "grid") != NULL;
    if (grid) other = (cj_cast)(other, dtype);
    cj_node *y = apply(c, x, other, last, &index);
    if (!y) fail_msg("%s: %s", c->text, cj_message(cj));
    cj_tensor *dy = cj_tensor_copy(tensor_of(c, "y"));
    double *d = cj_tensor_map(dy, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(dy); i++) d[i] = sin((double)i + 1);
    cj_tensor_unmap(dy);
    cj_node *cotangent = (cj_cast)(cj_constant(g, dy), dtype);
    wrt[0] = x;
    if (grid) wrt[n_wrt++] = other;
    if (cj_vjp(&y, &cotangent, 1, wrt, n_wrt, dx)) fail_msg("%s: %s", c->text, cj_message(cj));
    out[n] = y, names[n] = "y", expected[n++] = tensor_of(c, "y");
    out[n] = cj_zero_as(dx[0], x), names[n] = "dx", expected[n++] = tensor_of(c, "dx");
    if (grid)
        out[n] = cj_zero_as(dx[1], other), names[n] = "dgrid",
        expected[n++] = tensor_of(c, "dgrid");
    if (index) out[n] = index, names[n] = "index", expected[n++] = tensor_of(c, "index");
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .output_list = out,
                                                       .n_outputs = n});
    if (!p) fail_msg("%s: %s", c->text, cj_message(cj));
    cj_session *s = (cj_session_new)(p, cj_graph_store(g));
    cj_tensor *found[8] = {NULL};
    if (!s || cj_run(s, &feed, open, found, n))
        fail_msg("%s: %s", c->text, s ? cj_session_message(s) : cj_message(cj));
    int failures = 0;
    double tolerance = dtype == CJ_F64 ? 2e-7 : grid ? 2e-4 : 1e-5;
    for (int i = 0; i < n; i++) {
        failures += !compare(c, names[i], how, expected[i], found[i], tolerance);
        cj_tensor_free(found[i]);
    }
    cj_tensor_free(dy);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    return failures;
}

static int end_case(cj_context *cj, test_case *c)
{
    int failures = 0;
    const bool opens = !strncmp(c->text, "resize ", 7) && !number(c, "antialias", 0) &&
                       !find(c, "begin");
    for (int i = 0; c->n && i < (opens ? 8 : 4); i++)
        failures += run_case(cj, c, i % 2, i / 4, i / 2 % 2 ? CJ_F32 : CJ_F64);
    for (int i = 0; i < c->n; i++) cj_tensor_free(c->tensors[i].t);
    c->n = 0;
    return failures;
}

static void as_pytorch(void **state)
{
    (void)state;
    char path[512];
    size_t size;
    char *bytes = (char *)golden_bytes(golden_path(path, "graph/pool.txt"), &size);
    cj_context *cj = cj_context_new(NULL);
    test_case c = {.n = 0};
    int cases = 0, failures = 0;
    for (char *line = bytes, *end; (end = memchr(line, '\n', (size_t)(bytes + size - line)));
         line = end + 1) {
        *end = 0;
        if (strchr(line, '=')) {
            failures += end_case(cj, &c);
            snprintf(c.text, sizeof c.text, "%s ", line);
            cases++;
        } else {
            named *t = &c.tensors[c.n++];
            assert_true(c.n <= TENSORS_MAX);
            t->t = read_tensor(cj, line, t->name);
        }
    }
    failures += end_case(cj, &c);
    print_message("%d cases\n", cases);
    free(bytes);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    assert_int_equal(failures, 0);
    assert_true(cases > 150);
}

/* ---- NaN, ties, infinities ------------------------------------------------------------------- */

static cj_tensor *run_one(cj_context *cj, cj_graph *g, cj_node *y)
{
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .output_list = &y,
                                                       .n_outputs = 1});
    if (!p) fail_msg("%s", cj_message(cj));
    cj_session *s = (cj_session_new)(p, cj_graph_store(g));
    cj_tensor *found = NULL;
    if (!s || cj_run(s, NULL, 0, &found, 1))
        fail_msg("%s", s ? cj_session_message(s) : cj_message(cj));
    cj_session_free(s);
    cj_program_free(p);
    return found;
}

/* In every window of four: the first NaN, else the first of the largest, whatever the padding. */
static void first_of_the_largest(void **state)
{
    (void)state;
    static const float windows[][4] = {{1, 2, 2, 1},        {NAN, 3, NAN, 9},
                                       {5, NAN, 7, 8},      {-INFINITY, -INFINITY, -INFINITY, -9},
                                       {0, 0, 0, 0},        {-1, -2, -1, -3},
                                       {INFINITY, 1, INFINITY, 2}, {-4, -3, -2, -1}};
    static const uint8_t expected[] = {1, 0, 1, 3, 0, 0, 0, 3};
    enum { N = 8, C = 37 };
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 3, (int64_t[]){1, 4 * N, C});
    float *x = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int i = 0; i < 4 * N; i++)
        for (int c = 0; c < C; c++) x[i * C + c] = windows[(i / 4 + c) % N][i % 4];
    cj_tensor_unmap(t);
    cj_node *y = (cj_max_pool)(cj_variable(g, "x", t),
                               &(cj_pool_opts){.struct_size = sizeof(cj_pool_opts), .kernel = {4}});
    cj_tensor *index = run_one(cj, g, cj_node_output(y, 1)), *best = run_one(cj, g, y);
    const uint8_t *q = cj_tensor_map_read(index);
    const float *v = cj_tensor_map_read(best);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < C; c++) {
            int k = (i + c) % N;
            float e = windows[k][expected[k]];
            assert_int_equal(q[i * C + c], expected[k]);
            assert_true(v[i * C + c] == e || (isnan(e) && isnan(v[i * C + c])));
        }
    cj_tensor_free(t);
    cj_tensor_free(index);
    cj_tensor_free(best);
    cj_context_free(cj);
}

/* ---- relu and pooling trade places ----------------------------------------------------------- */

typedef struct step {
    cj_tensor *out[3];
    bool large_relu; /* is relu, or its mask, computed at the size of x? */
} step;

static step train_step(cj_context *cj, cj_tensor *t, bool passes)
{
    cj_graph *g = cj_graph_new(cj);
    step s = {.large_relu = false};
    int64_t axes[] = {0, 1, 2};
    cj_node *x = cj_parameter(g, "x", t), *dx;
    cj_node *y = (cj_max_pool)((cj_relu)(x), &(cj_pool_opts){.struct_size = sizeof(cj_pool_opts),
                                                             .kernel = {2}});
    assert_int_equal(cj_grad((cj_sum)((cj_square)(y)), &x, 1, &dx), CJ_OK);
    cj_node *out[] = {y, dx, (cj_reduce_sum)(dx, 3, axes, false)};
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .output_list = out,
                                                       .n_outputs = 3,
                                                       .no_passes = !passes,
                                                       .training = true});
    if (!p) fail_msg("%s", cj_message(cj));
    cj_session *session = (cj_session_new)(p, cj_graph_store(g));
    if (!session || cj_run(session, NULL, 0, s.out, 3))
        fail_msg("%s", session ? cj_session_message(session) : cj_message(cj));
    const cj_graph *lowered = cj_program_graph(p);
    for (int i = 0; i < lowered->n_calls; i++) {
        const cj_call *call = lowered->calls[i];
        bool source = call->op->flags & CJ_OP_SOURCE;
        if (!source && call->op != &cj_op_pool_spread && call->out[0].type.rank == 4 &&
            call->out[0].type.dim[1] == 6)
            s.large_relu = true;
    }
    cj_session_free(session);
    cj_program_free(p);
    return s;
}

static void relu_moves_behind(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){2, 6, 4, 5});
    float *x = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int i = 0; i < 240; i++)
        x[i] = (float)((i * 37 + i / 7) % 23) - 14; /* most are negative */
    x[3] = NAN;
    cj_tensor_unmap(t);
    step plain = train_step(cj, t, false), moved = train_step(cj, t, true);
    assert_true(plain.large_relu);
    assert_false(moved.large_relu);
    for (int k = 0; k < 3; k++) {
        int64_t first;
        assert_true(cj_tensor_close(moved.out[k], plain.out[k], k == 2 ? 1e-6 : 0, 0, &first));
        cj_tensor_free(plain.out[k]);
        cj_tensor_free(moved.out[k]);
    }
    cj_tensor_free(t);
    cj_context_free(cj);
}

/* ---- Wrong use ------------------------------------------------------------------------------- */

#define REFUSES(part, build) \
    do { \
        cj_graph *g = cj_graph_new(cj); \
        cj_node *x = cj_placeholder(g, "x", CJ_F32, 4, (cj_dim[]){1, 6, 6, 3}); \
        cj_node *v = cj_placeholder(g, "v", CJ_F32, 2, (cj_dim[]){2, 3}); \
        (void)x, (void)v; \
        assert_null(build); \
        if (!strstr(cj_message(cj), part)) print_error("'%s' lacks '%s'\n", cj_message(cj), part); \
        assert_non_null(strstr(cj_message(cj), part)); \
        cj_graph_free(g); \
    } while (0)
#define OPTS(...) (&(cj_pool_opts){.struct_size = sizeof(cj_pool_opts), __VA_ARGS__})

static void wrong_use_is_named(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    REFUSES("rank", (cj_max_pool)(v, OPTS(.kernel = {2})));
    REFUSES("kernel has 0 elements", (cj_max_pool)(x, OPTS(.strides = {2})));
    REFUSES("a window reaches over 7", (cj_max_pool)(x, OPTS(.kernel = {7})));
    REFUSES("without any element", (cj_max_pool)(x, OPTS(.kernel = {2}, .pads_before = {2, 2})));
    REFUSES("without any element",
            (cj_avg_pool)(x, OPTS(.kernel = {1}, .pads_after = {1, 0})));
    REFUSES("padding 'full'", (cj_avg_pool)(x, OPTS(.kernel = {2}, .padding = "full")));
    REFUSES("channel_axis", (cj_max_pool)(x, OPTS(.kernel = {2}, .channel_axis = 2)));
    REFUSES("takes floats", (cj_avg_pool)((cj_cast)(x, CJ_I32), OPTS(.kernel = {2})));
    REFUSES("the index is f32", (cj_pool_pick)(x, x, OPTS(.kernel = {1})));
    REFUSES("dims has 0 elements",
            (cj_pool_spread)(x, (cj_cast)(x, CJ_U8), OPTS(.kernel = {2})));
    REFUSES("windows", (cj_pool_spread)(x, (cj_cast)(x, CJ_U8), OPTS(.kernel = {2}, .sizes = {9})));
    REFUSES("no result of max_pool", (cj_pool_flat_index)(x));
    REFUSES("mode 'quintic'", (cj_resize)(x, &(cj_resize_opts){.sizes = {2}, .mode = "quintic"}));
    REFUSES("0 results", (cj_resize)(x, &(cj_resize_opts){.mode = "linear"}));
    REFUSES("grid of rank 2", (cj_grid_sample)(x, v, NULL));
    REFUSES("divide", (cj_depth_to_space)(x, &(cj_block_opts){.block = 2}));
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pytorch),
        cmocka_unit_test(first_of_the_largest),
        cmocka_unit_test(relu_moves_behind),
        cmocka_unit_test(wrong_use_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
