/* custom_op.c: an operator of one's own, checked like Cajal's, then used in training by name.
 *
 * A row says everything there is to know about an operator: its shape rule, what it computes
 * (ref), its derivative (grad, written with the builders everybody uses) and samples to check all
 * that on. Cajal's own tables are made of the same rows. cj_op_check puts the row through the
 * checks that Cajal's own go through; change the sign in softsign_grad, and it names sample,
 * element and both numbers.
 *
 * An operator is a function of nodes; an *activation* is a name for one that layers can be given.
 * Rows must live as long as the context they are registered with; static ones always do. */
#include <cajal/cajal.h>
#include <math.h>

/* y = x / (1 + |x|); elements may be f64, f32 or smaller: cj_load_f64 reads them all. */
static cj_status softsign_ref(const cj_kernel *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++) {
        double x = cj_load_f64(k->in[0]->dtype, k->in[0]->data, (size_t)i);
        cj_store_f64(k->out[0]->dtype, k->out[0]->data, (size_t)i, x / (1 + fabs(x)));
    }
    return CJ_OK;
}

/* dy/dx = 1 / (1 + |x|)^2 */
static void softsign_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_div(dy[0], cj_square(cj_shift(cj_abs(call->in[0]), 1)));
}

/* Samples keep away from 0, where the second derivative jumps. */
static const cj_op softsign;
static cj_node *softsign_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    cj_node *x = cj_sample_away(s, -3, 3, 1e9, 0.1, rank, dims);
    return cj_apply(cj_sampler_graph(s), &softsign, &x, 1, NULL);
}

static const cj_op softsign = {.name = "softsign", .doc = "y = x / (1 + |x|)", .inputs = 1,
                               .flags = CJ_OP_ELEMENTWISE, .infer = cj_infer_same,
                               .grad = softsign_grad, .ref = softsign_ref,
                               .sample = softsign_sample};

static cj_node *softsign_build(cj_node *x, const void *options)
{
    return (void)options, x ? cj_apply(cj_node_graph(x), &softsign, &x, 1, NULL) : NULL;
}
static const cj_activation_row activation = {.name = "softsign", .build = softsign_build};

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_op_report report = {0};
    cj_status failed = cj_op_register(cj, &softsign);
    failed = failed ? failed : cj_op_check(cj, &softsign, &report);
    failed = failed ? failed : cj_activation_register(cj, &activation);
    printf("softsign: %d samples, %d first and %d second derivatives checked\n", report.samples,
           report.gradients, report.second_gradients);

    float xs[200], ys[200]; /* y = sin 3x */
    for (int i = 0; i < 200; i++) ys[i] = sinf(3 * (xs[i] = (float)i / 100 - 1));
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){200, 1}, xs);
    cj_tensor *y = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){200, 1}, ys);
    cj_dataset *data = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x), cj_tensor_free(y);
    const char *layers = "dense 16 softsign, dense 1";
    cj_model *m = failed || !data ? NULL : cj_model_from_text(cj, layers, data, 0);
    cj_scores scores = {0};
    failed = !m ? cj_last_status(cj)
                : cj_fit(m, data, .epochs = 100, .batch_size = 20, .learning_rate = 0.01);
    failed = failed ? failed : cj_evaluate(m, data, &scores);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));
    else printf("sin 3x of 16 softsigns: mean squared error %.5f\n", cj_score(&scores, "loss"));
    cj_context_free(cj);
    return !failed && cj_score(&scores, "loss") < 0.01 ? 0 : 1;
}
