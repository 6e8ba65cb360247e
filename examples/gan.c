/* gan.c: a generator of pictures of clothing, taught by a critic: a Wasserstein GAN with gradient
 * penalty (Goodfellow et al. 2014; Arjovsky et al. 2017; Gulrajani et al. 2017).
 *
 * The generator makes pictures of random numbers; the critic D gives pictures a score. It learns to
 * score real ones higher than made ones, and the generator to raise the score of what it makes:
 *
 *     critic       smallest  mean D(made) - mean D(real) + 10 mean (|dD/dx| - 1)^2
 *     generator    smallest  -mean D(made)
 *
 * The last term keeps the critic's slope near 1, at pictures between a real and a made one. It is a
 * gradient in a loss, so the step of the critic is a gradient of a gradient: cj_grad of what
 * cj_grad gave. Without it the critic becomes as steep as it can, and there is nothing to learn
 * from it.
 *
 * Both nets are in one graph and have one store; each program updates the parameters of one. The
 * critic is applied three times (cj_layer_scope).
 *
 *     gan                     12 steps: what the tests run
 *     gan 1500 made.png       minutes: shirts, trousers, bags can be told on its sheet of 8 x 8;
 *                             and how far they are from real ones (features.h) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "features.h"
#include "sheet.h"

enum { BATCH = 64, NOISE = 64, CRITIC_STEPS = 3, PARAMETERS = 16 };

static cj_node *generator(cj_node *z)
{
    cj_layer_scope(cj_node_graph(z), "generator");
    cj_node *x = cj_dense(z, .units = 7 * 7 * 64, .activation = "relu");
    x = cj_reshape(x, 4, (int64_t[]){BATCH, 7, 7, 64});
    x = cj_conv2d_transpose(x, .filters = 32, .kernel = {4, 4}, .strides = {2, 2},
                            .padding = "same", .activation = "relu");
    return cj_conv2d_transpose(x, .filters = 1, .kernel = {4, 4}, .strides = {2, 2},
                               .padding = "same", .activation = "sigmoid");
}

/* No normalisation over the batch: the penalty is of each picture by itself. */
static cj_node *critic(cj_node *x)
{
    cj_layer_scope(cj_node_graph(x), "critic");
    x = cj_conv2d(x, .filters = 32, .kernel = {4, 4}, .strides = {2, 2}, .padding = "same",
                  .activation = "leaky_relu(0.2)");
    x = cj_conv2d(x, .filters = 64, .kernel = {4, 4}, .strides = {2, 2}, .padding = "same",
                  .activation = "leaky_relu(0.2)");
    return cj_dense(cj_flatten(x), .units = 1);
}

/* 10 mean (|dD/dx| - 1)^2 at pictures between real and made ones. */
static cj_node *penalty(cj_node *real, cj_node *made, cj_node *key)
{
    cj_node *share = cj_random_uniform(key, CJ_F32, 2, CJ_DIMS(BATCH, 1, 1, 1)), *slope;
    cj_node *between = cj_add(real, cj_mul(share, cj_sub(made, real)));
    cj_grad(cj_sum(critic(between)), &between, 1, &slope);
    cj_node *square = cj_reduce_sum(cj_square(slope), 3, (int64_t[]){1, 2, 3}, false);
    cj_node *steepness = cj_sqrt(cj_shift(square, 1e-12)); /* a slope of 0 has a gradient, too */
    return cj_scale(cj_mean(cj_square(cj_shift(steepness, -1))), 10);
}

/* Adam on the parameters whose names begin with `scope`. */
static const cj_update *improve(cj_graph *g, const char *scope, cj_node *loss)
{
    cj_node *parameters[PARAMETERS], *slopes[PARAMETERS];
    int n = 0;
    for (int i = 0; i < cj_graph_parameter_count(g); i++) {
        cj_node *p = cj_graph_parameter_at(g, i);
        if (n < PARAMETERS && !strncmp(cj_node_name(p), scope, strlen(scope))) parameters[n++] = p;
    }
    cj_grad(loss, parameters, n, slopes);
    return cj_updates("adam(beta_1=0, beta_2=0.9)", parameters, slopes, n, .learning_rate = 2e-4,
                      .prefix = scope);
}

int main(int argc, char **argv)
{
    const int steps = argc > 1 ? atoi(argv[1]) : 12;
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_dataset *clothes = cj_dataset_open(cj, "fashion-mnist", .split = "train",
                                          .limit = argc > 1 ? 0 : 2000);
    if (!clothes) {
        fprintf(stderr, "%s\n", cj_message(cj));
        cj_context_free(cj);
        return 77;
    }
    cj_model *m = cj_model_new(cj);
    cj_graph *g = cj_model_graph(m);
    cj_store *store = cj_graph_store(g);
    cj_node *key = cj_random_key(g); /* {seed, step, 0}: another step, other numbers */
    cj_node *pixels = cj_placeholder(g, "pixels", CJ_U8, CJ_DIMS(BATCH, 28, 28, 1));
    cj_node *real = cj_scale(cj_cast(pixels, CJ_F32), 1.0 / 255);
    cj_node *made = generator(cj_random_normal(key, CJ_F32, 1, CJ_DIMS(BATCH, NOISE)));
    cj_node *of_real = cj_mean(critic(real)), *of_made = cj_mean(critic(made));
    cj_node *distance = cj_sub(of_real, of_made);
    cj_node *critic_loss = cj_sub(penalty(real, made, key), distance);

    cj_program *judge = cj_compile(g, .outputs = {distance, critic_loss}, .training = true,
                                   .updates = improve(g, "critic", critic_loss)),
               *paint = cj_compile(g, .outputs = {of_made}, .training = true,
                                   .updates = improve(g, "generator", cj_neg(of_made))),
               *show = cj_compile(g, .outputs = {made, real});
    cj_session *judging = cj_session_new(judge, store), *painting = cj_session_new(paint, store),
               *showing = cj_session_new(show, store);
    cj_loader *loader = cj_loader_new(clothes, .batch_size = BATCH, .shuffle = true,
                                      .drop_last = true);
    cj_status failed = showing && loader ? CJ_OK : cj_last_status(cj);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));

    cj_tensor *seen[2] = {NULL, NULL}, *score = NULL, *sheet[2] = {NULL, NULL};
    double first = 0, last = 0;
    for (int64_t step = 0; step < (int64_t)steps * (CRITIC_STEPS + 1) && !failed; step++) {
        int64_t *random = cj_tensor_map(cj_store_get(store, "random/key"), CJ_MAP_WRITE);
        random[1] = step;
        cj_batch batch = {0};
        if (step % (CRITIC_STEPS + 1) < CRITIC_STEPS) {
            while (!(failed = cj_loader_next(loader, &batch)) && !batch.count) {} /* a new epoch */
            if (!failed)
                failed = cj_run(judging, (cj_feed[]){{pixels, batch.tensors[0]}}, 1, seen, 2);
            continue;
        }
        failed = cj_run(painting, NULL, 0, &score, 1);
        last = *(const float *)cj_tensor_map_read(seen[0]);
        if (step == CRITIC_STEPS) first = last;
        const int64_t round = step / (CRITIC_STEPS + 1);
        if (round % 100 == 0 || round + 1 == steps)
            printf("step %4d: the critic tells real from made by %.3f, its loss is %.3f\n",
                   (int)round, last, *(const float *)cj_tensor_map_read(seen[1]));
    }
    eye e = {0};
    if (!failed && argc > 2) {
        cj_tensor *none = cj_tensor_new(cj, CJ_U8, 4, (int64_t[]){BATCH, 28, 28, 1});
        double apart;
        failed = cj_run(showing, (cj_feed[]){{pixels, none}}, 1, sheet, 2);
        if (!failed) failed = write_sheet(cj, argv[2], sheet[0], 8);
        if (!failed) failed = eye_open(cj, clothes, 10000, &e);
        if (!failed)
            failed = eye_compare(cj, &e, showing, store, loader, pixels, NULL, BATCH, 30, &apart);
        if (!failed) printf("distance of made pictures to real ones: %.2f\n", apart);
        cj_tensor_free(none);
    }
    if (failed)
        fprintf(stderr, "%s%s%s%s\n", cj_message(cj), cj_session_message(judging),
                cj_session_message(painting), cj_session_message(showing));
    /* A critic that sees nothing has distance 0; one that has collapsed or burst is no number. */
    const bool alive = !failed && isfinite(last) && last > first && last > 0.1;

    cj_loader_free(loader);
    cj_session_free(judging), cj_session_free(painting), cj_session_free(showing);
    cj_program_free(judge), cj_program_free(paint), cj_program_free(show);
    cj_tensor_free(seen[0]), cj_tensor_free(seen[1]), cj_tensor_free(score);
    cj_tensor_free(sheet[0]), cj_tensor_free(sheet[1]);
    eye_close(&e);
    cj_context_free(cj);
    return alive ? 0 : 1;
}
