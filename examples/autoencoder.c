/* autoencoder.c: a network that takes noise away from pictures, which nobody told it how to do
 * (Vincent et al. 2008).
 *
 * An autoencoder is to give its input again, through a code that is too small for all of it: so it
 * keeps what pictures have in common, and noise is not that. In training it sees pictures with
 * noise added, new noise each time, and is compared with the pictures as they were.
 *
 *     28x28x1  conv/2  14x14x32  conv/2  7x7x64     the encoder
 *     7x7x64   up 2   14x14x32   up 2   28x28x1     the decoder, with transposed convolutions
 *
 *     autoencoder                         1000 pictures, one pass: what the tests run
 *     autoencoder 60000 5 restored.png    minutes; and a sheet: noisy, restored, as they were */
#include <stdlib.h>

#include "sheet.h"

enum { PIXELS = 28 * 28, TESTED = 1000, SHOWN = 16 };
static const double noise = 0.3; /* deviation, of pixels from 0 to 1 */

static cj_node *encoder(cj_node *x)
{
    x = cj_conv2d(x, .filters = 32, .kernel = {3, 3}, .strides = {2, 2}, .padding = "same",
                  .activation = "relu");
    return cj_conv2d(x, .filters = 64, .kernel = {3, 3}, .strides = {2, 2}, .padding = "same",
                     .activation = "relu");
}

static cj_node *decoder(cj_node *code)
{
    cj_node *x = cj_conv2d_transpose(code, .filters = 32, .kernel = {4, 4}, .strides = {2, 2},
                                     .padding = "same", .activation = "relu");
    return cj_conv2d_transpose(x, .filters = 1, .kernel = {4, 4}, .strides = {2, 2},
                               .padding = "same", .activation = "sigmoid");
}

/* The first pictures of a data set as floats from 0 to 1: [TESTED, 28, 28, 1]. */
static cj_tensor *pictures_of(cj_context *cj, const cj_dataset *data)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){TESTED, 28, 28, 1});
    float *v = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    for (int64_t i = 0; v && i < TESTED; i++) {
        unsigned char pixels[PIXELS];
        if (cj_dataset_read(data, &i, 1, 0, pixels)) break;
        for (int k = 0; k < PIXELS; k++) v[i * PIXELS + k] = pixels[k] / 255.0f;
    }
    if (v) cj_tensor_unmap(t);
    return t;
}

static double mean_squared_error(const cj_tensor *a, const cj_tensor *b)
{
    const float *u = cj_tensor_map_read(a), *v = cj_tensor_map_read(b);
    double sum = 0;
    for (int64_t i = 0; i < cj_tensor_count(a); i++) sum += ((double)u[i] - v[i]) * (u[i] - v[i]);
    return sum / (double)cj_tensor_count(a);
}

/* Three rows: noisy, restored, as they were. */
static cj_status write_rows(cj_context *cj, const char *path, cj_tensor *const rows[3])
{
    cj_tensor *all = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){3 * SHOWN, 28, 28, 1});
    float *v = all ? cj_tensor_map(all, CJ_MAP_WRITE) : NULL;
    for (int row = 0; v && row < 3; row++) {
        const float *from = cj_tensor_map_read(rows[row]);
        for (int i = 0; i < SHOWN * PIXELS; i++) v[row * SHOWN * PIXELS + i] = from[i];
    }
    cj_status failed = v ? write_sheet(cj, path, all, SHOWN) : cj_last_status(cj);
    cj_tensor_free(all);
    return failed;
}

int main(int argc, char **argv)
{
    const int pictures = argc > 1 ? atoi(argv[1]) : 1000, epochs = argc > 2 ? atoi(argv[2]) : 1;
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_dataset *train = cj_dataset_open(cj, "fashion-mnist", .split = "train", .limit = pictures),
               *test = cj_dataset_open(cj, "fashion-mnist", .split = "test", .limit = TESTED);
    if (!train || !test) {
        fprintf(stderr, "%s\n", cj_message(cj));
        cj_context_free(cj);
        return 77;
    }
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "image", 28, 28, 1);
    cj_node *noisy = cj_gaussian_noise(x, .stddev = noise), *restored = decoder(encoder(noisy));
    cj_output(m, "restored", restored);
    cj_status failed = cj_fit(m, train, .epochs = epochs, .batch_size = 32, .optimizer = "adam",
                              .learning_rate = 2e-3, .restore_input = true, .progress = stdout);

    /* Noise is there in training only; a program that is told it trains has it, too. */
    cj_tensor *truth = pictures_of(cj, test), *seen[2] = {NULL, NULL};
    cj_program *p = cj_compile(cj_model_graph(m), .outputs = {noisy, restored}, .training = true);
    cj_session *s = cj_session_new(p, cj_model_store(m));
    if (!failed) failed = truth && s ? CJ_OK : cj_last_status(cj);
    if (!failed && (failed = cj_run(s, (cj_feed[]){{x, truth}}, 1, seen, 2)) != CJ_OK)
        fprintf(stderr, "%s\n", cj_session_message(s));
    double before = 0, after = 1;
    if (!failed) {
        before = mean_squared_error(seen[0], truth);
        after = mean_squared_error(seen[1], truth);
        printf("mean squared error: noisy %.4f, restored %.4f\n", before, after);
    }
    if (!failed && argc > 3)
        failed = write_rows(cj, argv[3], (cj_tensor *[]){seen[0], seen[1], truth});
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));
    cj_tensor_free(truth), cj_tensor_free(seen[0]), cj_tensor_free(seen[1]);
    cj_session_free(s);
    cj_program_free(p);
    cj_context_free(cj);
    return !failed && after < before / 2 ? 0 : 1;
}
