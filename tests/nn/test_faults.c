/* test_faults.c: every allocation of making, preparing, assembling and describing a model, and of
 * its losses, fails in turn. */
#include "nn_support.h"

#include "data/dataset.h"
#include "faults.h"

static const char table[] = "size,colour,kind\n1,red,a\n2,blue,b\n3,red,a\n6,green,b\n";

static cj_status use(cj_model *m, const cj_dataset *data)
{
    cj_node *raw[2], *y[2];
    cj_status failed = cj__model_prepare(m, data, NULL);
    cj_graph *g = failed ? NULL : cj__model_assemble(m, raw, y);
    if (!failed && !g) failed = cj_last_status(m->cj);
    cj_graph_free(g);
    if (!failed && !cj_model_text(m)) failed = cj_last_status(m->cj);
    FILE *to = failed ? NULL : tmpfile();
    if (to) {
        failed = cj_model_summary(m, to);
        fclose(to);
    }
    return failed;
}

static cj_status from_text(cj_context *cj, void *arg)
{
    (void)arg;
    cj_dataset *data = cj__table_parse(cj, "t.csv", table, strlen(table),
                                       &(cj_dataset_opts){.types = "colour:categorical"});
    if (!data) return cj_last_status(cj);
    cj_model *m = cj_model_from_text(
        cj,
        "dense(3, relu, kernel_regularizer=l1_l2(l1=0.1, l2=0.1), kernel_constraint=non_neg), "
        "dropout 0.5, dense 2 softmax",
        data, 1);
    cj_status failed = m ? use(m, data) : cj_last_status(cj);
    cj_model_free(m);
    cj_dataset_free(data);
    return failed;
}

static cj_status in_c(cj_context *cj, void *arg)
{
    (void)arg;
    cj_model *m = cj_model_new(cj);
    if (!m) return cj_last_status(cj);
    cj_node *x = cj_input(m, "a", 2, 3), *z = cj_input(m, "b", 6);
    x = cj_layer_apply(&x, 1, "reshape", "[3, -1]");
    x = cj_flatten(x);
    x = cj_add_layer((cj_node *[]){x, z}, 2);
    x = cj_activation_layer(x, .function = "tanh");
    cj_output(m, "y", cj_concatenate((cj_node *[]){x, z}, 2, -1));
    cj_status failed = cj_model_failed(m);
    FILE *to = failed ? NULL : tmpfile();
    if (to) {
        failed = cj_model_summary(m, to);
        fclose(to);
    }
    cj_model_free(m);
    return failed;
}

/* Masks, in a graph of its own: no model. */
static cj_status masks(cj_context *cj, void *arg)
{
    (void)arg;
    cj_graph *g = cj_graph_new(cj);
    if (!g) return cj_last_status(cj);
    cj_dim batch = cj_symbol(g, "batch");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 3, (cj_dim[]){batch, 4, 2}),
            *keep = cj_placeholder(g, "keep", CJ_I32, 2, (cj_dim[]){batch, 4});
    cj_node *all[] = {cj_masking(x), cj_with_mask(x, keep)};
    x = cj_multiply_layer(all, 2);
    x = cj_concatenate((cj_node *[]){x, all[0]}, 2, 1);
    x = cj_gru(cj_batch_normalization(x), .units = 2, .go_backwards = true,
               .return_sequences = true);
    x = cj_multi_head_attention(x, .num_heads = 1, .key_dim = 2);
    cj_global_average_pool1d(x);
    cj_status failed = cj_graph_failed(g);
    cj_graph_free(g);
    return failed;
}

/* Layers that take lists and equations apart. */
static cj_status lists(cj_context *cj, void *arg)
{
    (void)arg;
    static const char *const layers[][2] = {
        {"einsum_dense", "equation=\"abc,cd->abd\", output_shape=[0, 2], bias_axes=d, "
                         "kernel_constraint=max_norm(1)"},
        {"string_lookup", "vocabulary=\"red, 'dark, blue'\", num_oov_indices=2, mask_token=x"},
        {"integer_lookup", "vocabulary=[1, 2], mask_token=0, output_mode=count"},
        {"hashing", "num_bins=5, mask_value=3"},
        {"hashing", "num_bins=5, text=true, mask_value=x"}};
    for (size_t i = 0; i < CJ__COUNT(layers); i++) {
        cj_model *m = cj_model_new(cj);
        if (!m) return cj_last_status(cj);
        cj_node *x = cj_input(m, "x", 3, 4);
        cj_layer_apply(&x, 1, layers[i][0], layers[i][1]);
        cj_status failed = cj_model_failed(m);
        cj_model_free(m);
        if (failed) return failed;
    }
    return CJ_OK;
}

static cj_status mistakes(cj_context *cj, void *arg)
{
    (void)arg;
    static const char *const texts[] = {"input 4, dens 3", "input 4, dense 3 unit=4",
                                        "input 4, dense 3 rleu",
                                        "input 4, dense 3 kernel_regularizer=l3",
                                        "input 4, dense 3 kernel_constraint=non_ne"};
    for (size_t i = 0; i < CJ__COUNT(texts); i++) {
        assert_null(cj_model_from_text(cj, texts[i], NULL, 0));
        if (cj_last_status(cj) == CJ_ERR_MEMORY) return CJ_ERR_MEMORY;
        assert_int_equal(cj_last_status(cj), CJ_ERR_ARGUMENT);
    }
    return CJ_OK;
}

typedef struct loss_case {
    const char *loss;
    int rank, target_rank;
    cj_dim dims[3], target_dims[3];
} loss_case;

static cj_status losses(cj_context *cj, void *arg)
{
    (void)arg;
    static const loss_case cases[] = {
        {"cross_entropy(class_weights=[1, 2, 3], ignore_class=[1, 2], label_smoothing=0.1)", 2, 1,
         {4, 3}, {4}},
        {"categorical_focal_crossentropy(alpha=[1, 2, 3])", 2, 1, {4, 3}, {4}},
        {"gaussian_nll(full=true)", 2, 2, {4, 6}, {4, 3}},
        {"log_cosh", 2, 2, {4, 3}, {4, 3}},
        {"multi_margin(class_weights=[1, 2, 3])", 2, 1, {4, 3}, {4}},
        {"dice(per_class=true)", 3, 3, {4, 5, 3}, {4, 5, 3}},
        {"triplet", 2, 1, {4, 3}, {4}},
        {"circle", 2, 1, {4, 3}, {4}},
        {"margin_ranking", 2, 1, {4, 2}, {4}},
        {"triplet(mining=hard, distance=cosine)", 2, 1, {4, 3}, {4}},
        {"triplet_margin(swap=true)", 3, 1, {4, 3, 5}, {4}},
        {"nt_xent", 2, 2, {4, 3}, {4, 3}},
        {"ctc", 3, 2, {4, 6, 3}, {4, 2}},
        {"huber(delta=-1)", 1, 1, {4}, {4}}}; /* a mistake, last */
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        const loss_case *c = &cases[i];
        cj_graph *g = cj_graph_new(cj);
        if (!g) return cj_last_status(cj);
        cj_node *x = cj_placeholder(g, "x", CJ_F32, c->rank, c->dims), *dx = NULL,
                *t = cj_placeholder(g, "t", CJ_F32, c->target_rank, c->target_dims),
                *w = cj_placeholder(g, "w", CJ_F32, CJ_DIMS(4));
        cj_node *y = cj_loss_reduced(x, t, c->loss, .sample_weight = w);
        if (y) cj_grad(y, &x, 1, &dx);
        cj_status failed = cj_graph_failed(g);
        cj_graph_free(g);
        if (failed == CJ_ERR_MEMORY) return failed;
        assert_int_equal(failed, i + 1 < CJ__COUNT(cases) ? CJ_OK : CJ_ERR_ARGUMENT);
    }
    return CJ_OK;
}

static void allocations_fail(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(from_text, NULL, NULL, 0) > 50);
    assert_true(faults_sweep_memory(in_c, NULL, NULL, 0) > 20);
    assert_true(faults_sweep_memory(masks, NULL, NULL, 0) > 20);
    assert_true(faults_sweep_memory(mistakes, NULL, NULL, 0) > 10);
    assert_true(faults_sweep_memory(losses, NULL, NULL, 0) > 100);
    assert_true(faults_sweep_memory(lists, NULL, NULL, 0) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(allocations_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
