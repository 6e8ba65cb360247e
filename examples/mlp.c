/* mlp.c: the handbook's two networks, 784-64-64-10 and 784-128-10, on pictures of clothing.
 *
 * A multi-layer perceptron sees a picture as a list of 784 numbers. Each hidden unit is a
 * weighted sum with a bend (ReLU: below zero, zero); softmax makes ten probabilities of the last
 * ten sums; the loss is -log of the one that should have been 1.
 *
 * What a reader of the chapters would stumble over: the first program never loads x_train, and
 * calls Adam "gradient descent"; the last one feeds pixels of 0 to 255, with which training
 * starts badly. Here fit divides pixels by 255 and remembers it in the model, so that everyone
 * who asks the model gives raw pixels. One chapter validates with the test pictures; here a tenth
 * of the training set is held out, and the test set is looked at once, at the end.
 *
 *     mlp                     both networks for a moment: what the tests run
 *     mlp 128 5               784-128-10, 5 epochs: near 0.88
 *     mlp 64,64 5             784-64-64-10 */
#include <cajal/cajal.h>
#include <stdlib.h>
#include <string.h>

/* Trains 784-hidden...-10 and returns its accuracy on the test pictures; -1 when that failed. */
static double learn(cj_context *cj, const char *hidden, int epochs, const cj_dataset *train,
                    const cj_dataset *test)
{
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_flatten(cj_input(m, "image", 28, 28, 1));
    for (char *end; *hidden; hidden = *end == ',' ? end + 1 : end)
        x = cj_dense(x, .units = strtol(hidden, &end, 10), .activation = "relu");
    cj_output(m, "class", cj_dense(x, .units = 10, .activation = "softmax"));

    cj_scores scores;
    cj_status failed = cj_fit(m, train, .epochs = epochs, .batch_size = 32, .optimizer = "adam",
                              .learning_rate = 1e-3, .loss = "sparse_categorical_crossentropy",
                              .validation_split = 0.1, .metrics = "accuracy", .progress = stdout);
    failed = failed ? failed : cj_evaluate(m, test, &scores);
    if (failed) return cj_model_free(m), -1;

    /* One picture as a program would have it: raw bytes in, ten probabilities out. */
    uint8_t picture[784];
    int32_t label = 0;
    float p[10] = {0};
    cj_dataset_read(test, (const int64_t[]){0}, 1, 0, picture);
    cj_dataset_read(test, (const int64_t[]){0}, 1, 1, &label);
    cj_session *s = cj_model_session(m);
    if (s && cj_predict(s, picture, 1, p, 10)) fprintf(stderr, "%s\n", cj_session_message(s));
    const char *const *names = cj_dataset_field(test, 1)->class_names;
    int best = 0;
    for (int i = 1; i < 10; i++) best = p[i] > p[best] ? i : best;
    printf("test accuracy %.4f; the first picture is %s with probability %.2f (truth: %s)\n",
           cj_score(&scores, "accuracy"), names[best], p[best], names[label]);
    cj_session_free(s), cj_model_free(m);
    return cj_score(&scores, "accuracy");
}

int main(int argc, char **argv)
{
    bool brief = argc < 2;
    int epochs = argc > 2 ? atoi(argv[2]) : brief ? 1 : 5;
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_dataset *train = cj_dataset_open(cj, "fashion-mnist", .limit = brief ? 10000 : 0);
    cj_dataset *test = cj_dataset_open(cj, "fashion-mnist", .split = "test");
    double worst = -1;
    if (train && test) worst = learn(cj, brief ? "128" : argv[1], epochs, train, test);
    if (worst >= 0 && brief) {
        double deep = learn(cj, "64,64", epochs, train, test);
        worst = deep < worst ? deep : worst;
    }
    bool no_data = !test && cj_last_status(cj) == CJ_ERR_NOT_FOUND;
    if (worst < 0) fprintf(stderr, "%s\n", cj_message(cj));
    cj_context_free(cj);
    return no_data ? 77 : worst >= 0.70 ? 0 : 1;
}
