/* cnn.c: a convolutional network on pictures of clothing, and what the same parameters are to it.
 *
 * A dense layer has a weight for every pair of a pixel and a unit, so it must learn a collar anew
 * at each place. A convolution has one small window of weights that goes over the picture: what it
 * finds in one place it finds everywhere. Pooling then keeps the strongest finding of each 2x2
 * pixels, so that the next windows see more of the picture.
 *
 *     28x28x1  conv 3x3  26x26x32  pool 2  13x13x32  conv 3x3  11x11x64  pool 2  5x5x64  dense  10
 *
 *     cnn                     1000 pictures, one pass: what the tests run
 *     cnn 60000 5             all of them, 5 passes: near 0.90 */
#include <cajal/cajal.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int pictures = argc > 1 ? atoi(argv[1]) : 1000, epochs = argc > 2 ? atoi(argv[2]) : 1;
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_dataset *train = cj_dataset_open(cj, "fashion-mnist", .split = "train", .limit = pictures);
    cj_dataset *test = cj_dataset_open(cj, "fashion-mnist", .split = "test",
                                       .limit = argc > 1 ? 0 : 1000);

    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "image", 28, 28, 1);
    x = cj_conv2d(x, .filters = 32, .kernel = {3, 3}, .activation = "relu");
    x = cj_max_pool2d(x, .size = {2, 2});
    x = cj_conv2d(x, .filters = 64, .kernel = {3, 3}, .activation = "relu");
    x = cj_max_pool2d(x, .size = {2, 2});
    x = cj_dense(cj_flatten(x), .units = 10, .activation = "softmax");
    cj_output(m, "class", x);

    cj_scores scores;
    bool no_data = !test && cj_last_status(cj) == CJ_ERR_NOT_FOUND;
    cj_status failed = train && test ? cj_model_summary(m, stdout) : cj_last_status(cj);
    failed = failed ? failed
                    : cj_fit(m, train, .epochs = epochs, .batch_size = 32, .optimizer = "adam",
                             .learning_rate = 1e-3, .metrics = "accuracy", .progress = stdout);
    failed = failed ? failed : cj_evaluate(m, test, &scores);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));
    else printf("test accuracy %.4f\n", cj_score(&scores, "accuracy"));
    bool learned = !failed && cj_score(&scores, "accuracy") > 0.5;
    cj_context_free(cj);
    return no_data ? 77 : learned ? 0 : 1;
}
