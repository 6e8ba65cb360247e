/* test_layer_rules.c: constraints of single parameters: every option ..._constraint of every layer
 * is kept by every kind of update and survives a file; what is refused. */
#include "nn_golden.h"

#include "base/option.h"
#include "base/registry.h"

static cj_context *cj;

/* A model of the layer's sample with these options more. */
static cj_model *sample_with(const cj_layer *row, const char *more)
{
    char given[200], options[400];
    int64_t dims[CJ_RANK_MAX];
    const int rank = sample_shape(row->sample, given, dims);
    const bool none = !given[strspn(given, " ")];
    snprintf(options, sizeof options, "%s%s%s", none ? "" : given, none ? "" : ", ", more);
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_model_input(m, "x", rank, dims), *in[] = {x, x};
    const bool one = row->inputs == 1 || row->inputs_min == 1;
    cj_node *y = cj_layer_apply(in, one ? 1 : 2, row->name, options);
    if (!y) fail_msg("%s %s: %s", row->name, options, cj_message(cj));
    cj_output(m, "y", y);
    return m;
}

/* Parameters of the graph after one step of an optimizer down a slope of 1 everywhere: without a
 * constraint those of value 0 and more are below 0 then. Returns the number of parameters that have
 * a rule, each without a number below 0. */
static int kept(cj_graph *g, cj_store *store, const char *optimizer, const char *what)
{
    cj_node *p[16], *d[16];
    const int n = cj_graph_parameter_count(g);
    int with = 0;
    assert_true(n > 0 && n <= 16);
    for (int i = 0; i < n; i++) {
        p[i] = cj_graph_parameter_at(g, i);
        d[i] = cj_full_like(p[i], 1);
    }
    const cj_update *updates = cj_updates(optimizer, p, d, n, .learning_rate = 5);
    if (!updates) fail_msg("%s: %s", what, cj_message(cj));
    cj_program *program = cj_compile(g, .updates = updates, .training = true);
    cj_session *s = program ? cj_session_new(program, store) : NULL;
    if (!s) fail_msg("%s: %s", what, cj_message(cj));
    if (cj_program_input_count(program)) { /* a layer's own updates read the input */
        cj_session_free(s), cj_program_free(program);
        return -1;
    }
    if (cj_run(s, NULL, 0, NULL, 0)) fail_msg("%s: %s", what, cj_session_message(s));
    for (int i = 0; i < n; i++) {
        const bool rule = cj__rule_of(g, p[i], CJ__ROW_CONSTRAINT) != NULL;
        cj_tensor *t = cj_store_get(store, cj_node_name(p[i]));
        int64_t below = 0;
        for (int64_t k = 0; k < cj_tensor_count(t); k++) below += value_of(cj, t, k) < 0;
        if (rule ? below > 0 : below == 0)
            fail_msg("%s: %s has %lld numbers below 0", what, cj_node_name(p[i]), (long long)below);
        with += rule;
    }
    cj_session_free(s);
    cj_program_free(program);
    return with;
}

static void every_option(void **state)
{
    (void)state;
    const cj_layer *row;
    int options = 0;
    for (int k = 0; (row = cj_layer_at(cj, k)); k++)
        for (const cj_option *o = cj_option_row(row->options); o && o->type;
             o = cj_option_row(o + 1)) {
            const char *constraint = strstr(o->name, "_constraint"),
                       *regularizer = strstr(o->name, "_regularizer");
            char other[100], more[200], path[600];
            if (regularizer) { /* what has a regularizer has a constraint */
                snprintf(other, sizeof other, "%.*s_constraint", (int)(regularizer - o->name),
                         o->name);
                if (!cj__option_find(row->options, other))
                    fail_msg("%s has %s and no %s", row->name, o->name, other);
            }
            if (!constraint) continue;
            options++;
            const cj_option *bias = cj__option_find(row->options, "no_bias");
            snprintf(more, sizeof more, "%s=non_neg%s", o->name,
                     bias && !strstr(row->sample, "no_bias") ? ", no_bias=false" : "");
            if (strstr(row->sample, "no_bias=true") && !strncmp(o->name, "bias", 4)) continue;
            cj_model *m = sample_with(row, more);
            int with = 0;
            for (const cj__rule *r = cj__layers_of(cj_model_graph(m))->rules; r; r = r->next)
                with += r->kind == CJ__ROW_CONSTRAINT && !strcmp(r->text, "non_neg");
            if (!with) fail_msg("%s: %s is of no parameter", row->name, o->name);
            snprintf(path, sizeof path, "%s/test_rules_%s.onnx", CJ_BUILD_DIR, row->name);
            assert_ok(cj, cj_save(m, path));
            cj_model *again = cj_load(cj, path);
            if (!again) fail_msg("%s", cj_message(cj));
            int now = kept(cj_model_graph(m), cj_model_store(m), "sgd", row->name);
            assert_true(now == with || now == -1);
            now = kept(cj_model_graph(again), cj_model_store(again), "adam", row->name);
            assert_true(now == with || now == -1);
            cj_model_free(again);
            cj_model_free(m);
            remove(path);
        }
    assert_true(options >= 40);
}

/* The optimizer's constraint, then the layer's: lengths 1 and then no number below 0. */
static void behind_the_optimizers(void **state)
{
    (void)state;
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 3),
            *y = cj_dense(x, .units = 1, .no_bias = true, .kernel_constraint = "max_norm(0.25)");
    cj_output(m, "y", y);
    cj_tensor *w = cj_store_get(cj_model_store(m), "dense/kernel");
    const float start[] = {3, 0, 4};
    memcpy(cj_tensor_map(w, CJ_MAP_WRITE), start, sizeof start);
    cj_tensor_unmap(w);
    cj_node *p = cj_graph_parameter_at(cj_model_graph(m), 0), *zero = cj_zero;
    const cj_update *updates = cj_updates("sgd(constraint=unit_norm)", &p, &zero, 1);
    cj_program *program = cj_compile(cj_model_graph(m), .updates = updates);
    cj_session *s = cj_session_new(program, cj_model_store(m));
    if (cj_run(s, NULL, 0, NULL, 0)) fail_msg("%s", cj_session_message(s));
    w = cj_store_get(cj_model_store(m), "dense/kernel");
    for (int i = 0; i < 3; i++)
        assert_true(fabs(value_of(cj, w, i) - (double)start[i] / 20) < 1e-6);
    cj_session_free(s);
    cj_program_free(program);
    cj_model_free(m);
}

/* A search by the loss cannot keep to anything. */
static void searching(void **state)
{
    (void)state;
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 3), *d = NULL;
    cj_node *loss = cj_mean(cj_dense(x, .units = 1, .kernel_constraint = "non_neg")),
            *p = cj_graph_parameter_at(cj_model_graph(m), 0);
    assert_ok(cj, cj_grad(loss, &p, 1, &d));
    assert_null(cj_updates("lbfgs", &p, &d, 1, .loss = loss));
    assert_said(cj, "lbfgs: searches by the loss and keeps to no constraint, and its layer keeps "
                    "'dense/kernel' to non_neg");
    cj_model_free(m);
}

static cj_node *careless_build(cj_layer_build *b)
{
    return cj_layer_constraint(b, b->x[0], "non_neg");
}
static const cj_layer careless = {.name = "careless",
                                  .doc = "a constraint of what is no parameter",
                                  .inputs = 1,
                                  .build = careless_build,
                                  .sample = " : 3"};

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"dense", "units=2, kernel_constraint=max_nrm",
         "dense/kernel: unknown constraint 'max_nrm' (did you mean 'max_norm'?)"},
        {"dense", "units=2, bias_constraint=max_norm(-1)",
         "dense/bias: max_norm: max_value=-1 is less than 0"},
        {"careless", "", "careless: what has a constraint is a parameter (cj_layer_parameter)"}};
    assert_ok(cj, cj_layer_register(cj, &careless));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_model *m = cj_model_new(cj);
        cj_node *x = cj_input(m, "x", 3);
        assert_null(cj_layer_apply(&x, 1, cases[i][0], cases[i][1]));
        assert_string_equal(cj_message(cj), cases[i][2]);
        cj_model_free(m);
    }
}

/* Metadata of a file that says something else. */
static void spoiled_files(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"non_neg", "non_ne_", "metadata 'cajal.constraints': dense/kernel: unknown constraint "
                               "'non_ne_' (did you mean 'non_neg'?)"},
        {"{\"dense/kernel\":\"l2", "{\"dense/kernal\":\"l2",
         "metadata 'cajal.regularizers' is not what Cajal writes there"},
        {"l2(0.5)\"}", "l2(0.5)\"]", NULL},
        {"{\"dense/kernel\":\"l2(0.5)\"}", "[\"dense/kernel\",\"l2(0.5)\"]",
         "metadata 'cajal.regularizers' is not what Cajal writes there"}};
    char path[600];
    snprintf(path, sizeof path, "%s/test_rules_spoiled.onnx", CJ_BUILD_DIR);
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 3);
    cj_output(m, "y", cj_dense(x, .units = 2, .kernel_constraint = "non_neg",
                               .kernel_regularizer = "l2(0.5)"));
    assert_ok(cj, cj_save(m, path));
    cj_model_free(m);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size, length = strlen(cases[i][0]);
        unsigned char *bytes = golden_bytes(path, &size);
        int found = 0; /* cajal.text has the words too */
        for (size_t at = 0; at + length <= size; at++)
            if (!memcmp(bytes + at, cases[i][0], length)) {
                memcpy(bytes + at, cases[i][1], length);
                found++;
            }
        assert_true(found > 0);
        assert_null(cj_load_memory(cj, bytes, size));
        if (cases[i][2]) assert_string_equal(cj_message(cj), cases[i][2]);
        else assert_non_null(strstr(cj_message(cj), "cajal.regularizers"));
        free(bytes);
    }
    remove(path);
}

int main(void)
{
    cj = test_context();
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_option),
                                       cmocka_unit_test(behind_the_optimizers),
                                       cmocka_unit_test(searching),
                                       cmocka_unit_test(spoiled_files), cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cj_context_free(cj);
    return failed;
}
