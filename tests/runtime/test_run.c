/* Sessions: feeding, plans, outputs, updates, failures. What a run promises whatever happens: the
 * store is either as before or wholly new, nothing leaks, nothing is allocated once a plan is
 * there. */
#include "run_support.h"

#include <pthread.h>

#include "faults.h"

static cj_context *cj;
static cj_graph *g;

static int setup(void **state)
{
    (void)state;
    random_state = 7;
    cj = cj_context_new(NULL);
    g = cj_graph_new(cj);
    return !g;
}

static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

static cj_program *compiled(const cj_compile_opts *opts)
{
    cj_program *p = (cj_compile)(g, opts);
    if (!p) print_error("%s\n", cj_message(cj));
    assert_non_null(p);
    return p;
}
#define COMPILED(...) \
    compiled(&(cj_compile_opts){.struct_size = sizeof(cj_compile_opts), __VA_ARGS__})

static cj_session *session_on(cj_program *p, cj_store *store)
{
    cj_session *s = cj_session_new(p, store);
    if (!s) print_error("%s\n", cj_message(cj));
    assert_non_null(s);
    return s;
}

static void finish(cj_session *s, cj_program *p)
{
    cj_session_free(s);
    cj_program_free(p);
}

static cj_node *variable(const char *name, float a, float b, float c)
{
    cj_tensor *t = F32S(cj, a, b, c);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

/* Expects three numbers in a store's variable. */
static void assert_variable(cj_store *store, const char *name, float a, float b, float c)
{
    const cj_tensor *t = cj_store_get(store, name);
    assert_non_null(t);
    float expected[3] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        if (element(t, i) != expected[i])
            print_error("%s[%d] is %g, expected %g\n", name, i, element(t, i), expected[i]);
        assert_true(element(t, i) == expected[i]);
    }
}

/* The run fails with this status and a message that has these words. */
#define assert_refused(s, feeds, n, outputs, n_outputs, status, words) \
    do { \
        assert_int_equal(cj_run(s, feeds, n, outputs, n_outputs), status); \
        assert_contains(cj_session_message(s), words); \
    } while (0)

/* ---- Feeding --------------------------------------------------------------------------------- */

static void feeds(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(3)),
            *y = cj_placeholder(g, "y", CJ_F32, CJ_DIMS(3));
    cj_node *unneeded = cj_placeholder(g, "unneeded", CJ_F32, CJ_DIMS(2));
    cj_program *p = COMPILED(.outputs = {cj_add(x, cj_scale(y, 10))});
    cj_session *s = session_on(p, NULL);
    cj_tensor *a = F32S(cj, 1, 2, 3), *b = F32S(cj, 4, 5, 6), *out = NULL;
    assert_ok(cj_run(s, (cj_feed[]){{x, a}, {y, b}}, 2, &out, 1),
              cj_session_message(s));
    assert_true(element(out, 2) == 63);
    assert_ok(cj_run(s, (cj_feed[]){{cj_program_input(p, "y"), a}, {cj_program_input(p, "x"), b}},
                     2, &out, 1),
              cj_session_message(s)); /* by name, into `out` */
    assert_true(element(out, 2) == 36);
    assert_refused(s, ((cj_feed[]){{x, a}}), 1, &out, 1, CJ_ERR_ARGUMENT,
                   "input 'y' was not fed");
    assert_refused(s, ((cj_feed[]){{x, a}, {y, NULL}}), 2, &out, 1, CJ_ERR_ARGUMENT,
                   "input 'y' is fed NULL");
    assert_refused(s, ((cj_feed[]){{x, a}, {cj_program_input(p, "z"), b}}), 2, &out, 1,
                   CJ_ERR_ARGUMENT, "feed 1 is NULL");
    assert_refused(s, ((cj_feed[]){{NULL, a}}), 1, &out, 1, CJ_ERR_ARGUMENT, "feed 0");
    assert_refused(s, ((cj_feed[]){{x, a}, {y, b}, {x, b}}), 3, &out, 1,
                   CJ_ERR_ARGUMENT, "fed twice");
    assert_refused(s, NULL, 0, &out, 1, CJ_ERR_ARGUMENT, "input 'x' was not fed");
    assert_refused(s, NULL, 2, &out, 1, CJ_ERR_ARGUMENT, "feeds");
    /* An unneeded input may be fed, but then correctly. */
    cj_tensor *two = F32S(cj, 1, 2);
    assert_ok(cj_run(s, (cj_feed[]){{x, a}, {y, b}, {unneeded, two}}, 3, &out, 1),
              cj_session_message(s));
    assert_refused(s, ((cj_feed[]){{x, a}, {y, b}, {unneeded, a}}), 3, &out, 1,
                   CJ_ERR_SHAPE, "unneeded");
    assert_int_equal(cj_run(NULL, NULL, 0, NULL, 0), CJ_ERR_ARGUMENT);
    cj_tensor_free(a), cj_tensor_free(b), cj_tensor_free(two), cj_tensor_free(out);
    finish(s, p);
}

static void wrong_feeds(void **state)
{
    (void)state;
    cj_dim batch = cj_symbol(g, "batch");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(batch, 3)),
            *y = cj_placeholder(g, "y", CJ_F32, CJ_DIMS(batch));
    cj_node *z = cj_placeholder(g, "z", CJ_F32, CJ_DIMS(cj_dim_mul(g, batch, 2)));
    cj_program *p = COMPILED(.outputs = {cj_sum(cj_add(cj_sum(x), cj_sum(y))), cj_sum(z)});
    cj_session *s = session_on(p, NULL);
    cj_tensor *x43 = random_tensor(cj, CJ_F32, SHAPE(4, 3)),
              *x42 = random_tensor(cj, CJ_F32, SHAPE(4, 2));
    cj_tensor *x4 = random_tensor(cj, CJ_F32, SHAPE(4)), *x5 = random_tensor(cj, CJ_F32, SHAPE(5)),
              *x8 = random_tensor(cj, CJ_F32, SHAPE(8));
    cj_tensor *d43 = random_tensor(cj, CJ_F64, SHAPE(4, 3));
    const struct {
        cj_tensor *x, *y, *z;
        cj_status status;
        const char *words;
    } cases[] = {{d43, x4, x8, CJ_ERR_TYPE, "input 'x' has dtype f64, expected f32"},
                 {x4, x4, x8, CJ_ERR_SHAPE, "input 'x' has rank 1, expected 2"},
                 {x42, x4, x8, CJ_ERR_SHAPE, "input 'x': dimension 1 is 2, expected 3"},
                 {x43, x5, x8, CJ_ERR_SHAPE, "input 'y': dimension 0 (batch) is 5, expected 4"},
                 {x43, x4, x4, CJ_ERR_SHAPE, "input 'z': dimension 0 (2*batch) is 4, expected 8"},
                 {x43, x4, x8, CJ_OK, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_tensor *out[2] = {NULL, NULL};
        cj_feed fed[] = {{x, cases[i].x}, {y, cases[i].y}, {z, cases[i].z}};
        assert_int_equal(cj_run(s, fed, 3, out, 2), cases[i].status);
        assert_contains(cj_session_message(s), cases[i].words);
        if (cases[i].status) assert_null(out[0]);
        cj_tensor_free(out[0]), cj_tensor_free(out[1]);
    }
    cj_tensor_free(x43), cj_tensor_free(x42), cj_tensor_free(x4), cj_tensor_free(x5),
        cj_tensor_free(x8), cj_tensor_free(d43);
    finish(s, p);
}

/* Two symbols that a broadcast takes for equal: the fused group must not forget to check. */
static void symbols_that_must_agree(void **state)
{
    (void)state;
    cj_dim n = cj_symbol(g, "n"), m = cj_symbol(g, "m");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(4, n)),
            *y = cj_placeholder(g, "y", CJ_F32, CJ_DIMS(m));
    for (int no_passes = 0; no_passes < 2; no_passes++) {
        cj_program *p = COMPILED(.outputs = {cj_tanh(cj_mul(cj_exp(x), y))},
                                 .no_passes = no_passes);
        cj_session *s = session_on(p, NULL);
        cj_tensor *x7 = random_tensor(cj, CJ_F32, SHAPE(4, 7)),
                  *y7 = random_tensor(cj, CJ_F32, SHAPE(7)),
                  *y5 = random_tensor(cj, CJ_F32, SHAPE(5));
        cj_tensor *out = NULL;
        assert_ok(cj_run(s, (cj_feed[]){{x, x7}, {y, y7}}, 2, &out, 1),
                  cj_session_message(s));
        assert_refused(s, ((cj_feed[]){{x, x7}, {y, y5}}), 2, &out, 1, CJ_ERR_SHAPE,
                       "must be equal");
        cj_tensor_free(x7), cj_tensor_free(y7), cj_tensor_free(y5), cj_tensor_free(out);
        finish(s, p);
    }
}

/* ---- Plans ----------------------------------------------------------------------------------- */

static void plans_and_their_cache(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "batch"), 4));
    cj_program *p = COMPILED(.outputs = {cj_reduce_sum(cj_square(x), 1, (int64_t[]){1}, false)});
    cj_session *s = cj_session_new_opts(
        p, NULL, &(cj_session_opts){.struct_size = sizeof(cj_session_opts), .plans = 2});
    static const int64_t sizes[] = {5, 5, 3, 5, 7, 5, 3, 0, 1};
    static const int plans[] = {1, 1, 2, 2, 3,
                                3, 4, 5, 6}; /* 7 drops 3, which was used longest ago, not 5 */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(sizes[i], 4)), *out = NULL;
        assert_ok(cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1), cj_session_message(s));
        assert_int_equal(cj_tensor_rank(out), 1);
        assert_int_equal(cj_tensor_shape(out)[0], sizes[i]);
        for (int64_t k = 0; k < sizes[i]; k++) {
            double sum = 0;
            for (int c = 0; c < 4; c++) sum += element(t, 4 * k + c) * element(t, 4 * k + c);
            assert_true(fabs(sum - element(out, k)) < 1e-5);
        }
        cj_session_info info;
        cj_session_get_info(s, &info);
        assert_int_equal(info.plans, plans[i]);
        cj_tensor_free(t), cj_tensor_free(out);
    }
    finish(s, p);
}

/* ---- Outputs --------------------------------------------------------------------------------- */

static void outputs(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(3)), *w = variable("w", 1, 2, 3);
    cj_tensor *c3 = F32S(cj, 7, 8, 9);
    cj_node *c = cj_constant(g, c3), *y = cj_mul(x, w);
    cj_node *view = cj_reshape(y, CJ_DIMS(3, 1)), *view_of_input = cj_expand_dims(x, 0);
    cj_program *p = COMPILED(.outputs = {x, w, c, y, y, view, view_of_input,
                                         cj_reshape(w, CJ_DIMS(1, 3))},
                             .updates = (cj_update[]){{w, cj_scale(w, 2)}, {NULL, NULL}});
    cj_session *s = session_on(p, cj_graph_store(g));
    cj_tensor *in = F32S(cj, 10, 20, 30), *out[8] = {NULL};
    out[3] = F32S(cj, 0, 0, 0);
    assert_ok(cj_run(s, (cj_feed[]){{x, in}}, 1, out, 8), cj_session_message(s));
    static const double expected[8][3] = {{10, 20, 30}, {1, 2, 3},    {7, 8, 9},    {10, 40, 90},
                                          {10, 40, 90}, {10, 40, 90}, {10, 20, 30}, {1, 2, 3}};
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 3; k++) assert_true(element(out[i], k) == expected[i][k]);
    assert_int_equal(cj_tensor_rank(out[5]), 2);
    assert_variable(cj_graph_store(g), "w", 2, 4, 6);
    cj_tensor *fewer[2] = {NULL, NULL};
    assert_ok(cj_run(s, (cj_feed[]){{x, in}}, 1, fewer, 2),
              cj_session_message(s)); /* the first two */
    assert_true(element(fewer[1], 2) == 6);
    /* Wrong tensors to write to: nothing is committed, nothing made is left behind. */
    cj_tensor *wrong[4] = {NULL, NULL, NULL, fewer[0]}, *two = F32S(cj, 0, 0);
    wrong[3] = two;
    assert_refused(s, ((cj_feed[]){{x, in}}), 1, wrong, 4, CJ_ERR_SHAPE, "output 3");
    assert_contains(cj_session_message(s), "f32[2]");
    assert_contains(cj_session_message(s), "f32[3]");
    assert_null(wrong[0]);
    assert_variable(cj_graph_store(g), "w", 4, 8, 12);
    assert_refused(s, ((cj_feed[]){{x, in}}), 1, out, 9, CJ_ERR_ARGUMENT, "9 outputs");
    assert_refused(s, ((cj_feed[]){{x, in}}), 1, NULL, 1, CJ_ERR_ARGUMENT, "outputs");
    for (int i = 0; i < 8; i++) cj_tensor_free(out[i]);
    cj_tensor_free(fewer[0]), cj_tensor_free(fewer[1]), cj_tensor_free(two), cj_tensor_free(in),
        cj_tensor_free(c3);
    finish(s, p);
}

/* An output written over its own input must not change what the updates read. */
static void output_over_input(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(3)), *w = variable("w", 1, 1, 1);
    cj_program *p = COMPILED(.outputs = {cj_scale(x, 100)},
                             .updates = (cj_update[]){{w, cj_add(w, x)}, {NULL, NULL}});
    cj_session *s = session_on(p, cj_graph_store(g));
    cj_tensor *t = F32S(cj, 1, 2, 3);
    assert_ok(cj_run(s, (cj_feed[]){{x, t}}, 1, &t, 1), cj_session_message(s));
    assert_true(element(t, 2) == 300);
    assert_variable(cj_graph_store(g), "w", 2, 3, 4);
    cj_tensor_free(t);
    finish(s, p);
}

/* ---- Updates --------------------------------------------------------------------------------- */

static void updates_meet_their_own_reads(void **state)
{
    (void)state;
    cj_node *a = variable("a", 1, 2, 3), *b = variable("b", 4, 5, 6), *c = variable("c", 7, 8, 9),
            *d = variable("d", 0, 0, 0);
    cj_node *shared = cj_mul(a, b);
    cj_program *p = COMPILED(.outputs = {a}, .updates = (cj_update[]){{a, b},
                                                                      {b, a},
                                                                      {c, cj_add(shared, c)},
                                                                      {d, shared},
                                                                      {NULL, NULL}});
    cj_session *s = session_on(p, cj_graph_store(g));
    uint64_t version = cj_store_version(cj_graph_store(g));
    cj_tensor *out = NULL;
    assert_ok(cj_run(s, NULL, 0, &out, 1), cj_session_message(s));
    assert_true(element(out, 0) == 1);
    assert_variable(cj_graph_store(g), "a", 4, 5, 6);
    assert_variable(cj_graph_store(g), "b", 1, 2, 3);
    assert_variable(cj_graph_store(g), "c", 11, 18, 27);
    assert_variable(cj_graph_store(g), "d", 4, 10, 18);
    assert_true(cj_store_version(cj_graph_store(g)) == version + 1);
    cj_tensor_free(out);
    finish(s, p);
}

static void commit_if_and_zero_updates(void **state)
{
    (void)state;
    cj_node *go = cj_placeholder(g, "go", CJ_BOOL, CJ_SCALAR), *a = variable("a", 1, 2, 3),
            *b = variable("b", 4, 5, 6);
    cj_program *p = COMPILED(.commit_if = go, .updates = (cj_update[]){
                                                  {a, cj_zero}, {b, cj_add(a, b)}, {NULL, NULL}});
    cj_session *s = session_on(p, cj_graph_store(g));
    uint64_t version = cj_store_version(cj_graph_store(g));
    for (int i = 0; i < 2; i++) {
        cj_tensor *t = cj_tensor_scalar(cj, CJ_BOOL, i);
        assert_ok(cj_run(s, (cj_feed[]){{go, t}}, 1, NULL, 0), cj_session_message(s));
        cj_session_info info;
        cj_session_get_info(s, &info);
        assert_int_equal(info.committed, i);
        assert_true(cj_store_version(cj_graph_store(g)) == version + (uint64_t)i);
        assert_variable(cj_graph_store(g), "a", i ? 0 : 1, i ? 0 : 2, i ? 0 : 3);
        assert_variable(cj_graph_store(g), "b", i ? 5 : 4, i ? 7 : 5, i ? 9 : 6);
        cj_tensor_free(t);
    }
    finish(s, p);
}

/* An index out of range, in an output or in an update behind others that are computed in place. */
static void failed_run_leaves_the_store(void **state)
{
    (void)state;
    cj_node *i = cj_placeholder(g, "i", CJ_I64, CJ_DIMS(3)), *a = variable("a", 1, 2, 3),
            *b = variable("b", 4, 5, 6), *c = variable("c", 7, 8, 9);
    cj_node *picked = cj_gather(b, i, 0);
    const cj_update updates[] = {{a, cj_scale(a, 2)},
                                 {b, cj_add(b, picked)},
                                 {c, cj_scatter_along(c, i, picked, 0, CJ_SCATTER_ADD)},
                                 {NULL, NULL}};
    for (int way = 0; way < 4; way++) {
        cj_program *p = COMPILED(.outputs = {way & 1 ? picked : a}, .updates = updates,
                                 .no_passes = way & 2);
        cj_session *s = session_on(p, cj_graph_store(g));
        cj_tensor *bad = cj_tensor_from(cj, CJ_I64, 1, (int64_t[]){3}, (int64_t[]){0, 3, 1}),
                  *out = NULL;
        uint64_t version = cj_store_version(cj_graph_store(g));
        assert_refused(s, ((cj_feed[]){{i, bad}}), 1, &out, 1, CJ_ERR_DATA, "gather");
        assert_contains(cj_session_message(s), "3");
        assert_null(out);
        assert_variable(cj_graph_store(g), "a", 1, 2, 3);
        assert_variable(cj_graph_store(g), "b", 4, 5, 6);
        assert_variable(cj_graph_store(g), "c", 7, 8, 9);
        assert_true(cj_store_version(cj_graph_store(g)) == version);
        cj_tensor_free(bad);
        finish(s, p);
    }
}

/* A store of another program: an update that nothing reads must not be written over something else.
 */
static void store_of_other_shapes(void **state)
{
    (void)state;
    cj_node *a = variable("a", 1, 2, 3), *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(3));
    cj_program *p = COMPILED(.updates = (cj_update[]){{a, cj_scale(x, 2)}, {NULL, NULL}});
    cj_store *other = cj_store_new(cj);
    assert_null(cj_session_new(p, other));
    assert_contains(cj_message(cj), "the store has no variable 'a'");
    assert_null(cj_session_new(p, NULL));
    assert_contains(cj_message(cj), "variable 'a'");
    cj_tensor *two = F32S(cj, 1, 2);
    assert_ok(cj_store_set(other, "a", two), cj_message(cj));
    assert_null(cj_session_new(p, other));
    assert_contains(cj_message(cj), "'a'");
    assert_contains(cj_message(cj), "f32[2]");
    assert_contains(cj_message(cj), "f32[3]");
    cj_tensor_free(two);
    cj_store_free(other);
    cj_program_free(p);
}

/* ---- Allocation ------------------------------------------------------------------------------ */

static cj_program *small_step(cj_context *c, cj_graph *graph, cj_node **x, cj_node **loss)
{
    int64_t shape[] = {4, 3};
    cj_tensor *t = cj_tensor_new(c, CJ_F32, 2, shape),
              *bias = cj_tensor_new(c, CJ_F32, 1, shape + 1);
    cj_node *w = t ? cj_parameter(graph, "w", t) : NULL,
            *b = bias ? cj_parameter(graph, "b", bias) : NULL;
    cj_tensor_free(t), cj_tensor_free(bias);
    *x = cj_placeholder(graph, "x", CJ_F32, CJ_DIMS(cj_symbol(graph, "batch"), 4));
    cj_node *y = cj_softmax(cj_tanh(cj_add(cj_matmul(*x, w), b)), -1);
    *loss = cj_mean(cj_square(cj_sub(y, cj_scalar(graph, CJ_F32, 0.5))));
    cj_node *wrt[] = {w, b}, *d[2];
    if (!w || !b || cj_grad(*loss, wrt, 2, d)) return NULL;
    return cj_compile(graph, .outputs = {*loss}, .training = true,
                      .updates = (cj_update[]){{w, cj_sub(w, cj_scale(d[0], 0.1))},
                                               {b, cj_sub(b, cj_scale(d[1], 0.1))},
                                               {NULL, NULL}});
}

static void running_allocates_nothing(void **state)
{
    (void)state;
    cj_node *x, *loss;
    cj_program *p = small_step(cj, g, &x, &loss);
    assert_non_null(p);
    for (int threads = 1; threads <= 2; threads++) {
        cj_session *s = cj_session_new_opts(
            p, cj_graph_store(g),
            &(cj_session_opts){.struct_size = sizeof(cj_session_opts), .threads = threads});
        cj_tensor *small = random_tensor(cj, CJ_F32, SHAPE(3, 4)),
                  *large = random_tensor(cj, CJ_F32, SHAPE(500, 4));
        cj_tensor *out = cj_tensor_scalar(cj, CJ_F32, 0);
        int64_t before = 0;
        for (int i = 0; i < 104; i++) {
            if (i == 4) before = cj__allocation_count(cj);
            assert_ok(cj_run(s, (cj_feed[]){{x, i % 2 ? large : small}}, 1, &out, 1),
                      cj_session_message(s));
        }
        assert_int_equal(cj__allocation_count(cj), before);
        cj_tensor_free(small), cj_tensor_free(large), cj_tensor_free(out);
        cj_session_free(s);
    }
    cj_program_free(p);
}

static cj_status whole_life(cj_context *c, void *arg)
{
    (void)arg;
    cj_graph *graph = cj_graph_new(c);
    cj_node *x, *loss;
    cj_program *p = graph ? small_step(c, graph, &x, &loss) : NULL;
    cj_session *s =
        p ? cj_session_new_opts(p, cj_graph_store(graph),
                                &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                   .threads = 1})
          : NULL;
    cj_status failed = s ? CJ_OK : cj_last_status(c);
    for (int64_t n = 3; !failed && n < 5; n++) {
        cj_tensor *t = cj_tensor_new(c, CJ_F32, 2, (int64_t[]){n, 4}), *out = NULL;
        failed = t ? cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1) : cj_last_status(c);
        if (failed && t) cj_fail(c, failed, "%s", cj_session_message(s));
        if (failed && out) failed = CJ_ERR_STATE; /* a failed run leaves nothing to free */
        cj_tensor_free(out), cj_tensor_free(t);
    }
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(graph);
    return failed;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    int64_t injected = faults_sweep_memory(whole_life, NULL, NULL, 1);
    print_message("%lld allocations failed\n", (long long)injected);
    assert_true(injected > 300);
}

static void memory_limit(void **state)
{
    (void)state;
    cj_context *small = cj_context_new(&(cj_config){.memory_limit_bytes = 4 << 20});
    cj_graph *graph = cj_graph_new(small);
    cj_node *x = cj_placeholder(graph, "x", CJ_F32, CJ_DIMS(cj_symbol(graph, "n"), 1));
    /* n x n in the middle, n at the ends */
    cj_node *y = cj_reduce_sum(cj_exp(cj_matmul(x, cj_transpose(x, NULL))), 1, (int64_t[]){1},
                               false);
    cj_program *p = cj_compile(graph, .outputs = {y});
    cj_session *s = cj_session_new(p, NULL);
    for (int round = 0; round < 3; round++) {
        static const int64_t sizes[] = {100, 4000, 700};
        cj_tensor *t = random_tensor(small, CJ_F32, SHAPE(sizes[round], 1)), *out = NULL;
        cj_status failed = cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1);
        if (failed) print_message("%s\n", cj_session_message(s));
        assert_int_equal(failed, round == 1 ? CJ_ERR_LIMIT : CJ_OK);
        if (failed) assert_contains(cj_session_message(s), "memory");
        cj_tensor_free(t), cj_tensor_free(out);
    }
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(small);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static bool cancel_after(void *user)
{
    return --*(int *)user < 0;
}
static int64_t far_away(void *user)
{
    return (void)user, 1000;
}

static void cancel_and_deadline(void **state)
{
    (void)state;
    int questions = 1 << 30;
    cj_clock clock = {.wall_ns = far_away, .monotonic_ns = far_away};
    for (int way = 0; way < 2; way++) {
        cj_context *c = cj_context_new(&(cj_config){.cancel = way ? NULL : cancel_after,
                                                    .cancel_user = &questions,
                                                    .clock = &clock,
                                                    .deadline_ns = way ? 999 : 0,
                                                    .threads = 1});
        cj_graph *graph = cj_graph_new(c);
        cj_node *x, *loss;
        cj_program *p = small_step(c, graph, &x, &loss);
        if (!p) print_error("%s\n", cj_message(c));
        assert_non_null(p);
        cj_session *s = cj_session_new(p, cj_graph_store(graph));
        uint64_t version = cj_store_version(cj_graph_store(graph));
        cj_tensor *t = random_tensor(c, CJ_F32, SHAPE(3, 4)), *out = NULL;
        for (int k = 0; k < 5; k++) { /* stopped before kernel k */
            questions = k % 3;
            assert_int_equal(cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1), CJ_ERR_CANCELLED);
            assert_true(*cj_session_message(s));
            assert_null(out);
            assert_true(cj_store_version(cj_graph_store(graph)) == version);
        }
        questions = 1 << 30;
        if (!way)
            assert_ok(cj_run(s, (cj_feed[]){{x, t}}, 1, &out, 1), cj_session_message(s));
        cj_tensor_free(t), cj_tensor_free(out);
        finish(s, p);
        cj_context_free(c);
    }
}

/* ---- Threads --------------------------------------------------------------------------------- */

typedef struct user { /* one thread: its own session on the shared program and store */
    cj_session *s;
    const cj_node *x;
    cj_tensor *in, *out;
    cj_status failed;
} user;

static void *use(void *arg)
{
    user *u = arg;
    for (int i = 0; i < 200 && !u->failed; i++)
        u->failed = cj_run(u->s, (cj_feed[]){{u->x, u->in}}, 1, &u->out, 1);
    cj_run(u->s, NULL, 0, &u->out, 1); /* a failure of its own */
    return NULL;
}

static void two_threads(void **state)
{
    (void)state;
    cj_tensor *t = random_tensor(cj, CJ_F32, SHAPE(4, 3));
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(cj_symbol(g, "n"), 4)),
            *w = cj_variable(g, "w", t);
    cj_program *p = COMPILED(.outputs = {cj_softmax(cj_tanh(cj_matmul(x, w)), -1)});
    user users[2] = {{0}};
    pthread_t threads[2];
    cj_tensor *expected[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        users[i] = (user){.s = session_on(p, cj_graph_store(g)),
                          .x = x,
                          .in = random_tensor(cj, CJ_F32, SHAPE(5 + i, 4))};
        assert_ok(cj_run(users[i].s, (cj_feed[]){{x, users[i].in}}, 1, &expected[i], 1),
                  cj_session_message(users[i].s));
        users[i].out = cj_tensor_copy(expected[i]);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(users[i].failed, CJ_OK);
        assert_contains(cj_session_message(users[i].s), "was not fed");
        assert_tensors_equal(expected[i], users[i].out, "a thread's output");
        cj_tensor_free(expected[i]), cj_tensor_free(users[i].in), cj_tensor_free(users[i].out);
        cj_session_free(users[i].s);
    }
    cj_tensor_free(t);
    cj_program_free(p);
}

/* ---- Names, versions, odd programs ----------------------------------------------------------- */

static void odd_programs(void **state)
{
    (void)state;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, CJ_DIMS(3)), *a = variable("a", 1, 2, 3);
    assert_null(
        cj_compile(g, .outputs = {x}, .updates = (cj_update[]){{a, x}, {a, a}, {NULL, NULL}}));
    assert_contains(cj_message(cj), "'a' is updated twice");
    assert_null(cj_compile(g, .updates = (cj_update[]){{x, a}, {NULL, NULL}}));
    assert_contains(cj_message(cj), "not a variable");
    assert_null(cj_compile(g, .updates = (cj_update[]){{a, cj_sum(a)}, {NULL, NULL}}));
    assert_contains(cj_message(cj), "f32[3]");
    assert_null(cj_compile(g, .updates = (cj_update[]){{a, NULL}, {NULL, NULL}}));
    assert_contains(cj_message(cj), "NULL");
    assert_null(cj_compile(g, .outputs = {x}, .commit_if = x));
    assert_contains(cj_message(cj), "bool scalar");
    assert_null(cj_compile(g, .outputs = {cj_zero}));
    assert_contains(cj_message(cj), "cj_zero");
    cj_graph *other = cj_graph_new(cj);
    assert_null(cj_compile(other, .outputs = {x}));
    assert_contains(cj_message(cj), "another graph");
    assert_null(cj_compile(other));
    assert_contains(cj_message(cj), "no outputs");
    cj_program *p = COMPILED(.outputs = {x});
    assert_null(cj_session_new_opts(
        p, NULL, &(cj_session_opts){.struct_size = sizeof(cj_session_opts), .backend = "gpu"}));
    assert_contains(cj_message(cj), "'gpu'");
    assert_int_equal(cj_program_input_count(p), 1);
    assert_string_equal(cj_program_input_name(p, 0), "x");
    assert_null(cj_program_input_name(p, 1));
    cj_session *s = session_on(p, NULL);
    cj_graph_free(g); /* inputs are then fed by name */
    cj_tensor *t = F32S(cj, 1, 2, 3), *out = NULL;
    assert_ok(cj_run(s, (cj_feed[]){{cj_program_input(p, "x"), t}}, 1, &out, 1),
              cj_session_message(s));
    assert_tensors_equal(t, out, "x");
    cj_tensor_free(t), cj_tensor_free(out);
    finish(s, p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(feeds, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_feeds, setup, teardown),
        cmocka_unit_test_setup_teardown(symbols_that_must_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(plans_and_their_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(outputs, setup, teardown),
        cmocka_unit_test_setup_teardown(output_over_input, setup, teardown),
        cmocka_unit_test_setup_teardown(updates_meet_their_own_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(commit_if_and_zero_updates, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_run_leaves_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(store_of_other_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(running_allocates_nothing, setup, teardown),
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test_setup_teardown(memory_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_and_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(two_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_programs, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
