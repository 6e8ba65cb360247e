/* dcgan.c: a generator of pictures and a discriminator that learn from each other (Goodfellow et
 * al. 2014) as convolutional networks with batch norm (Radford et al. 2015); on request the class
 * is said, and the generator makes a picture of it (Mirza and Osindero 2014).
 *
 * The discriminator D gives the logarithm of the odds that a picture is real. It is to be right,
 * and the generator is to make it wrong:
 *
 *     discriminator   smallest  mean softplus(-D(real)) + mean softplus(D(made))
 *     generator       smallest  mean softplus(-D(made))
 *
 * Both nets are in one graph and have one store; each program updates the parameters of one. What
 * batch norm keeps is moved by the discriminator's program, which sees all there is. Where the
 * discriminator is right always, its loss goes to 0, and the generator learns nothing more; a loss
 * near 1.39 = 2 ln 2 is that of guessing.
 *
 *     dcgan                              5 steps: what the tests run
 *     dcgan 700 made.png                 minutes: a sheet of 10 x 8 pictures
 *     dcgan 700 made.png conditional     a class in each row: shirts, trousers, coats and boots can
 *                                        be told, at a distance of 5 to real ones (features.h)
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "features.h"
#include "sheet.h"

enum { CLASSES = 10, COLUMNS = 8, BATCH = CLASSES * COLUMNS, NOISE = 64, PARAMETERS = 32 };
#define WIDTH 0.5 /* of the channels of DCGAN: 32 and 64 are enough for such pictures */

/* Applied more than once, a network in a scope is the same. label: NULL, or classes. */
static cj_node *generator(cj_node *z, cj_node *label)
{
    cj_layer_scope(cj_node_graph(z), "generator");
    return label ? cj_zoo_conditional_generator(z, label, .classes = CLASSES, .width = WIDTH)
                 : cj_zoo_dcgan_generator(z, .width = WIDTH);
}

static cj_node *discriminator(cj_node *x, cj_node *label)
{
    cj_layer_scope(cj_node_graph(x), "discriminator");
    return label ? cj_zoo_conditional_discriminator(x, label, .classes = CLASSES, .width = WIDTH,
                                                    .activation = "linear")
                 : cj_zoo_dcgan_discriminator(x, .width = WIDTH, .activation = "linear");
}

static cj_node *mean_softplus(cj_node *x) { return cj_mean(cj_activation(x, "softplus")); }

/* Adam on the parameters whose names begin with `scope`. */
static const cj_update *improve(cj_graph *g, const char *scope, cj_node *loss, bool layers)
{
    cj_node *parameters[PARAMETERS], *slopes[PARAMETERS];
    int n = 0;
    for (int i = 0; i < cj_graph_parameter_count(g); i++) {
        cj_node *p = cj_graph_parameter_at(g, i);
        if (n < PARAMETERS && !strncmp(cj_node_name(p), scope, strlen(scope))) parameters[n++] = p;
    }
    cj_grad(loss, parameters, n, slopes);
    return cj_updates("adam(beta_1=0.5)", parameters, slopes, n, .learning_rate = 2e-4,
                      .prefix = scope, .no_layer_updates = !layers);
}

int main(int argc, char **argv)
{
    const int steps = argc > 1 ? atoi(argv[1]) : 5;
    const bool tells = argc > 3 && !strcmp(argv[3], "conditional");
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_dataset *clothes = cj_dataset_open(cj, "fashion-mnist", .split = "train",
                                          .limit = argc > 1 ? 0 : 1000);
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
    cj_node *label = tells ? cj_placeholder(g, "label", CJ_I32, CJ_DIMS(BATCH)) : NULL;
    cj_node *real = cj_shift(cj_scale(cj_cast(pixels, CJ_F32), 2.0 / 255), -1); /* as tanh gives */
    cj_node *made = generator(cj_random_normal(key, CJ_F32, 1, CJ_DIMS(BATCH, NOISE)), label);
    cj_node *of_real = discriminator(real, label), *of_made = discriminator(made, label);
    cj_node *wrong = cj_add(mean_softplus(cj_neg(of_real)), mean_softplus(of_made));
    cj_node *caught = mean_softplus(cj_neg(of_made));
    cj_node *show[2] = {cj_shift(cj_scale(made, 0.5), 0.5), cj_shift(cj_scale(real, 0.5), 0.5)};

    cj_program *judge = cj_compile(g, .outputs = {wrong}, .training = true,
                                   .updates = improve(g, "discriminator", wrong, true)),
               *paint = cj_compile(g, .outputs = {caught}, .training = true,
                                   .updates = improve(g, "generator", caught, false)),
               *look = cj_compile(g, .outputs = {show[0], show[1]});
    cj_session *judging = cj_session_new(judge, store), *painting = cj_session_new(paint, store),
               *looking = cj_session_new(look, store);
    cj_loader *loader = cj_loader_new(clothes, .batch_size = BATCH, .shuffle = true,
                                      .drop_last = true);
    cj_status failed = looking && loader ? CJ_OK : cj_last_status(cj);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));

    cj_tensor *losses[2] = {NULL, NULL}, *sheet[2] = {NULL, NULL};
    cj_batch batch = {0};
    float loss[2] = {0, 0};
    for (int step = 0; step < steps && !failed; step++) {
        int64_t *random = cj_tensor_map(cj_store_get(store, "random/key"), CJ_MAP_WRITE);
        random[1] = step;
        do failed = cj_loader_next(loader, &batch);
        while (!failed && !batch.count); /* a new epoch */
        if (failed) break;
        const cj_feed feeds[] = {{pixels, batch.tensors[0]}, {label, batch.tensors[1]}};
        failed = cj_run(judging, feeds, tells ? 2 : 1, &losses[0], 1);
        if (!failed) failed = cj_run(painting, feeds + 1, tells ? 1 : 0, &losses[1], 1);
        for (int i = 0; i < 2 && !failed; i++)
            loss[i] = *(const float *)cj_tensor_map_read(losses[i]);
        if (step % 100 == 0 || step + 1 == steps)
            printf("step %5d: loss of the discriminator %.3f, of the generator %.3f\n", step,
                   (double)loss[0], (double)loss[1]);
    }
    eye e = {0};
    double distance = NAN;
    if (!failed) failed = eye_open(cj, clothes, argc > 1 ? 10000 : 500, &e);
    if (!failed)
        failed = eye_compare(cj, &e, looking, store, loader, pixels, label, BATCH,
                             argc > 1 ? 25 : 2, &distance);
    if (!failed) printf("distance of made pictures to real ones: %.2f\n", distance);
    if (!failed && argc > 2) {
        int32_t rows[BATCH]; /* a class in each row */
        for (int i = 0; i < BATCH; i++) rows[i] = i / COLUMNS;
        cj_tensor *labels = cj_tensor_from(cj, CJ_I32, 1, (int64_t[]){BATCH}, rows),
                  *none = cj_tensor_new(cj, CJ_U8, 4, (int64_t[]){BATCH, 28, 28, 1});
        failed = cj_run(looking, (cj_feed[]){{pixels, none}, {label, labels}}, tells ? 2 : 1, sheet,
                        2);
        if (!failed) failed = write_sheet(cj, argv[2], sheet[0], COLUMNS);
        cj_tensor_free(labels), cj_tensor_free(none);
    }
    if (failed)
        fprintf(stderr, "%s%s%s%s\n", cj_message(cj), cj_session_message(judging),
                cj_session_message(painting), cj_session_message(looking));
    /* One that is always right has a loss of 0, one that has burst none. */
    const bool alive = !failed && loss[0] > 0.01f && loss[0] < 5 && isfinite(loss[1]);

    eye_close(&e);
    cj_loader_free(loader);
    cj_session_free(judging), cj_session_free(painting), cj_session_free(looking);
    cj_program_free(judge), cj_program_free(paint), cj_program_free(look);
    for (int i = 0; i < 2; i++) cj_tensor_free(losses[i]), cj_tensor_free(sheet[i]);
    cj_context_free(cj);
    return alive ? 0 : 1;
}
