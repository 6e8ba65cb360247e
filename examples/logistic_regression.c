/* logistic_regression.c: malignant or benign, from 30 measures of cell nuclei.
 *
 * Logistic regression turns a weighted sum into a probability, p = 1 / (1 + e^-(w x + b)), and
 * its loss is the log loss: the mean over all samples of -(y log p + (1 - y) log(1 - p)). (The
 * handbook's formula has a 1/m but has lost its sum over the m samples.) As a network it is one
 * dense layer of one unit with a sigmoid; its log loss is called binary_crossentropy.
 *
 * Two habits make such a result worth something. The model is judged on samples it has not seen.
 * And the columns are brought to mean 0 and deviation 1 (areas near 1000 beside smoothness near
 * 0.1 would need different learning rates) with the mean and deviation of the *training* samples:
 * fit does that, and the numbers become part of the model, which is asked with raw rows.
 *
 *     logistic_regression [breast_cancer.csv]     scikit-learn's table: 569 rows, target last */
#include <cajal/cajal.h>

#include "example.h"

int main(int argc, char **argv)
{
    char path[1024];
    if (!find_table(argc, argv, "breast_cancer.csv", path)) return EXAMPLE_SKIPPED;
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;

    cj_dataset *all = cj_dataset_open(cj, path), *train = NULL, *held_out = NULL;
    cj_status failed = !all ? cj_last_status(cj)
                            : cj_dataset_split(all, &train, &held_out, .fraction = 0.25, .seed = 1);

    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "features", 30);
    cj_output(m, "benign", cj_dense(x, .units = 1, .activation = "sigmoid"));

    failed = failed ? failed : cj_fit(m, train, .epochs = 50, .batch_size = 32,
                                      .optimizer = "sgd(momentum=0.9)", .learning_rate = 0.05,
                                      .loss = "binary_crossentropy", .metrics = "accuracy");
    cj_scores scores = {0};
    int64_t confusion[4] = {0}; /* rows: what is true; columns: what was said */
    failed = failed ? failed : cj_evaluate(m, held_out, &scores, .confusion = confusion);

    double accuracy = failed ? 0 : cj_score(&scores, "accuracy");
    if (failed) {
        fprintf(stderr, "%s\n", cj_message(cj));
    } else {
        printf("%lld samples held out: log loss %.3f, accuracy %.3f\n", (long long)scores.samples,
               cj_score(&scores, "loss"), accuracy);
        printf("            said malignant  said benign\n");
        for (int i = 0; i < 2; i++)
            printf("%-10s %15lld %12lld\n", i ? "benign" : "malignant", (long long)confusion[2 * i],
                   (long long)confusion[2 * i + 1]);
    }
    cj_context_free(cj); /* and data sets and model with it */
    return accuracy >= 0.95 ? 0 : 1;
}
