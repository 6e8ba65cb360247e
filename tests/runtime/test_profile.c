/* test_profile.c: what a session tells of its steps, with a clock of our own; the roof; what the
 * log is told. */
#include "runtime/run_support.h"

#include <cajal/nn.h>

typedef struct bench {
    cj_context *cj;
    cj_model *m;
    cj_program *program;
    cj_feed feeds[2];
} bench;

static int64_t ticks(void *user) { return *(int64_t *)user += 10; }
static int64_t still(void *user) { (void)user; return 7; }

static void open_bench(bench *b, const cj_config *config)
{
    b->cj = cj_context_new(config);
    b->m = cj_model_new(b->cj);
    cj_graph *g = cj_model_graph(b->m);
    cj_node *y = cj_dense(cj_input(b->m, "x", 6), .units = 4, .activation = "relu");
    y = cj_dense(y, .units = 3);
    cj_node *label = cj_placeholder(g, "label", CJ_I32, CJ_DIMS(cj_symbol(g, "batch")));
    cj_node *loss = cj_mean(
        cj_loss_node(y, label, "sparse_categorical_crossentropy(from_logits=true)"));
    cj_node *parameters[4], *gradients[4];
    for (int i = 0; i < 4; i++) parameters[i] = cj_graph_parameter_at(g, i);
    assert_false(cj_grad(loss, parameters, 4, gradients));
    b->program = cj_compile(g, .outputs = {loss}, .training = true,
                            .updates = cj_updates("adam", parameters, gradients, 4,
                                                   .learning_rate = 1e-3));
    assert_non_null(b->program);
    b->feeds[0] = (cj_feed){cj_program_input(b->program, "x"),
                            random_tensor(b->cj, CJ_F32, SHAPE(5, 6))};
    int32_t labels[5] = {0, 1, 2, 1, 0};
    b->feeds[1] = (cj_feed){cj_program_input(b->program, "label"),
                            cj_tensor_from(b->cj, CJ_I32, SHAPE(5), labels)};
}

static void close_bench(bench *b)
{
    cj_tensor_free((cj_tensor *)(uintptr_t)b->feeds[0].value);
    cj_tensor_free((cj_tensor *)(uintptr_t)b->feeds[1].value);
    cj_program_free(b->program);
    cj_context_free(b->cj);
}

static cj_session *run_some(bench *b, bool profile, int runs)
{
    cj_session *s = cj_session_new_opts(
        b->program, cj_model_store(b->m),
        &(cj_session_opts){.struct_size = sizeof(cj_session_opts), .profile = profile});
    cj_tensor *loss = NULL;
    for (int i = 0; i < runs; i++) assert_false(cj_run(s, b->feeds, 2, &loss, 1));
    cj_tensor_free(loss);
    return s;
}

/* Multiply-adds of a step: two products forward, both weights' gradients, and that of the hidden
 * values. */
static void steps_are_described(void **state)
{
    (void)state;
    int64_t time = 0;
    cj_clock clock = {&time, ticks, ticks};
    bench b;
    open_bench(&b, &(cj_config){.threads = 1, .clock = &clock});
    cj_session *s = run_some(&b, true, 3);
    cj_step_info info;
    cj_session_info all;
    cj_session_get_info(s, &all);
    double products = 0;
    int n = 0;
    int64_t begin = 0;
    bool forward = false, backward = false, adam = false, loss = false;
    for (; cj_session_step_at(s, n, &info); n++) {
        products += info.multiply_adds;
        assert_non_null(info.kernel);
        assert_int_equal(info.threads, 1);
        assert_int_equal(info.calls, 3);
        assert_int_equal(info.total_ns, 30);
        assert_int_equal(info.best_ns, 10);
        assert_int_equal(info.last_ns, 10);
        assert_true(info.begin_ns > begin);
        begin = info.begin_ns;
        if (!info.layer) continue;
        bool matmul = !strcmp(info.op, "matmul");
        forward |= matmul && !strcmp(info.layer, "dense");
        backward |= matmul && !strcmp(info.layer, "dense backward");
        adam |= !strcmp(info.layer, "adam");
        loss |= !strcmp(info.layer, "loss");
        if (matmul && !strcmp(info.layer, "dense")) {
            assert_true(info.multiply_adds == 5 * 6 * 4);
            assert_true(info.bytes >= 4 * (5 * 6 + 6 * 4 + 5 * 4));
            assert_int_equal(info.rank, 2);
            assert_int_equal(info.dims[0], 5);
            assert_int_equal(info.dims[1], 4);
        }
    }
    assert_int_equal(n, all.steps);
    assert_true(forward && backward && adam && loss);
    assert_true(products == 5 * (2 * 6 * 4 + 3 * 4 * 3));
    assert_false(cj_session_step_at(s, -1, &info));
    cj_session_profile_reset(s);
    assert_true(cj_session_step_at(s, 0, &info));
    assert_int_equal(info.calls, 0);
    assert_int_equal(info.total_ns, 0);
    cj_session_free(s);
    close_bench(&b);
}

/* Without a profile there is the same list, no clock is asked, and the numbers are the same. */
static void no_profile_asks_no_clock(void **state)
{
    (void)state;
    int64_t time = 0;
    cj_clock clock = {&time, ticks, ticks};
    bench b;
    open_bench(&b, &(cj_config){.threads = 1, .clock = &clock});
    int64_t before = time;
    cj_session *s = run_some(&b, false, 3);
    assert_int_equal(time, before);
    cj_step_info info;
    assert_true(cj_session_step_at(s, 0, &info));
    assert_int_equal(info.calls, 0);
    assert_int_equal(info.best_ns, 0);
    cj_session_free(s);
    s = run_some(&b, false, 0);
    assert_false(cj_session_step_at(s, 0, &info));
    cj_session_free(s);
    close_bench(&b);
}

static void the_roof_is_measured(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.threads = 2});
    cj_roof roof;
    for (int threads = 0; threads < 3; threads++) {
        assert_false(cj_measure_roof(cj, threads, &roof));
        assert_true(roof.gflops > 0.01 && roof.gb_per_s > 0.01);
    }
    cj_context_free(cj);
    cj_clock clock = {NULL, still, still};
    cj = cj_context_new(&(cj_config){.threads = 1, .clock = &clock});
    assert_false(cj_measure_roof(cj, 1, &roof));
    assert_true(roof.gflops > 0 && isfinite(roof.gflops));
    cj_context_free(cj);
    cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 1 << 20});
    assert_true(cj_measure_roof(cj, 1, &roof) != CJ_OK);
    assert_true(roof.gflops == 0);
    cj_context_free(cj);
}

typedef struct heard {
    int passes, plans, lines;
} heard;

static void listen(void *user, cj_log_level level, const char *text)
{
    heard *h = user;
    if (level != CJ_LOG_DEBUG) return;
    h->passes += !strncmp(text, "pass ", 5);
    h->plans += !strncmp(text, "plan for batch=5: ", 18);
    h->lines++;
}

static void debug_levels(void **state)
{
    (void)state;
    heard last = {0};
    for (int debug = 0; debug < 4; debug++) {
        heard h = {0};
        bench b;
        open_bench(&b, &(cj_config){.threads = 1, .log = listen, .log_user = &h, .debug = debug});
        cj_session_free(run_some(&b, false, 2));
        close_bench(&b);
        assert_int_equal(h.plans, debug >= 1);
        assert_int_equal(h.passes > 4, debug >= 2);
        assert_true(debug < 3 ? h.lines == h.plans + h.passes : h.lines > last.lines + 20);
        last = h;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_described), cmocka_unit_test(no_profile_asks_no_clock),
        cmocka_unit_test(the_roof_is_measured), cmocka_unit_test(debug_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
