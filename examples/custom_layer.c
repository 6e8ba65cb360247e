/* custom_layer.c: a layer, a loss and a callback of one's own, used by name like those of Cajal.
 *
 * A layer is a few graph nodes and some parameters; a loss is a few nodes. Neither has a
 * derivative of its own: cj_grad knows the operators they are made of. Options are described
 * once, as a table of the fields of a structure: parsing, range checks, help and error messages
 * come from it, so that "squash(power=2)" works in C, in recipes and on the command line of a
 * program that registers it. */
#include <cajal/cajal.h>
#include <math.h>

/* ---- Layer: y = tanh(gain x^power), with one gain to learn for each number ------------------- */
typedef struct squash_opts {
    int64_t power;
    const char *name; /* the layer's; every layer may have this option */
} squash_opts;
static const cj_option squash_options[] = {
    CJ_OPTION_INT(squash_opts, power, 1, 1, 9, "what x is raised to"),
    CJ_OPTION_STRING(squash_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *squash_build(cj_layer_build *b)
{
    const squash_opts *o = b->options;
    int64_t units = cj_node_dim(b->x[0], -1);
    cj_node *gain = cj_layer_parameter(b, "gain", 1, &units, "ones", 0, 0, NULL);
    cj_node *x = b->x[0];
    for (int64_t i = 1; i < o->power; i++) x = cj_mul(x, b->x[0]);
    return cj_tanh(cj_mul(x, gain));
}
static const cj_layer squash = {.name = "squash", .doc = "y = tanh(gain x^power)", .inputs = 1,
                                .options_size = sizeof(squash_opts), .options = squash_options,
                                .build = squash_build};

/* ---- Loss: ln(1 + e^2): a square near 0, hardly more for an outlier (Cauchy) ----------------- */
static cj_node *cauchy_build(cj_node *prediction, cj_node *target, const void *options)
{
    (void)options;
    cj_node *e = cj_sub(prediction, target); /* both [batch, 1]; a loss gives [batch] */
    return cj_squeeze(cj_log1p(cj_square(e)), -1);
}
static const cj_loss cauchy = {.name = "cauchy", .doc = "ln(1 + (prediction - target)^2)",
                               .build = cauchy_build};

/* ---- Callback: enough is enough -------------------------------------------------------------- */
static bool good_enough(void *user, const cj_fit_state *state)
{
    return cj_score(state->scores, "loss") > *(const double *)user; /* false: the end */
}

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_status failed = cj_layer_register(cj, &squash);
    failed = failed ? failed : cj_loss_register(cj, &cauchy);

    float xs[200], ys[200]; /* y = sin 3x */
    for (int i = 0; i < 200; i++) ys[i] = sinf(3 * (xs[i] = (float)i / 100 - 1));
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){200, 1}, xs);
    cj_tensor *y = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){200, 1}, ys);
    cj_dataset *data = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x), cj_tensor_free(y);

    const char *layers = "dense 16, squash power=1, dense 1";
    cj_model *m = failed || !data ? NULL : cj_model_from_text(cj, layers, data, 0);
    double enough = 0.002;
    const cj_callback stop = {.name = "good_enough", .user = &enough, .on_epoch_end = good_enough};
    failed = !m ? cj_last_status(cj)
                : cj_fit(m, data, .epochs = 500, .batch_size = 20, .learning_rate = 0.01,
                         .loss = "cauchy", .callbacks = (const cj_callback *[]){&stop, NULL});
    const cj_history *h = failed ? NULL : cj_model_history(m);
    int epochs = h ? cj_history_epochs(h) : 0;
    double loss = h ? cj_score(cj_history_at(h, epochs - 1), "loss") : INFINITY;
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));
    else printf("cauchy is %.4f after %d epochs of: %s\n", loss, epochs, cj_model_text(m));
    cj_context_free(cj);
    return loss <= enough && epochs < 500 ? 0 : 1;
}
