/* iris_csv.c: from a table to a saved model, and back from the file to an answer.
 *
 * Fisher's 150 irises (1936): four measures of a flower, three species. The table is read, its
 * columns and classes are found, a quarter of each species is held out, a small network is
 * trained and saved. The file is ONNX and has everything inside: means and deviations of the
 * columns, names of the classes. So the program that loads it gives raw centimetres and gets a
 * name.
 *
 *     iris_csv [iris.csv]      any table whose last column is what is to be predicted */
#include <cajal/cajal.h>

#include "example.h"

static cj_status train_and_save(cj_context *cj, const char *table, const char *file,
                                double *accuracy)
{
    cj_dataset *all = cj_dataset_open(cj, table), *train, *held_out;
    if (!all) return cj_last_status(cj);
    cj_status failed = cj_dataset_split(all, &train, &held_out, .fraction = 0.25, .seed = 1);
    if (failed) return failed;

    cj_model *m = cj_model_from_text(cj, "dense 16 relu, dense 3 softmax", train, 0);
    if (!m) return cj_last_status(cj);
    cj_scores scores;
    int64_t confusion[9];
    failed = cj_fit(m, train, .epochs = 60, .batch_size = 16, .learning_rate = 0.01);
    failed = failed ? failed : cj_model_summary(m, stdout);
    failed = failed ? failed : cj_evaluate(m, held_out, &scores, .confusion = confusion);
    failed = failed ? failed : cj_classification_report(m, confusion, 3, stdout);
    if (!failed) *accuracy = cj_score(&scores, "accuracy");
    return failed ? failed : cj_save(m, file);
}

static cj_status load_and_ask(cj_context *cj, const char *file, const float flower[4])
{
    cj_model *m = cj_load(cj, file);
    cj_session *s = m ? cj_model_session(m) : NULL; /* one a thread */
    if (!s) return cj_last_status(cj);
    float p[3];
    cj_status failed = cj_predict(s, flower, 1, p, 3);
    if (failed) cj_fail(cj, failed, "%s", cj_session_message(s));
    cj_model_info info;
    cj_model_get_info(m, &info);
    for (int i = 0; i < 3 && !failed; i++)
        printf("%-10s %.3f\n", info.class_names ? info.class_names[i] : "?", p[i]);
    cj_session_free(s);
    return failed;
}

int main(int argc, char **argv)
{
    char table[1024];
    if (!find_table(argc, argv, "iris.csv", table)) return EXAMPLE_SKIPPED;
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    double accuracy = 0;
    cj_status failed = train_and_save(cj, table, "iris.onnx", &accuracy);
    const float flower[] = {5.1f, 3.5f, 1.4f, 0.2f};
    failed = failed ? failed : load_and_ask(cj, "iris.onnx", flower);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));
    cj_context_free(cj);
    return !failed && accuracy >= 0.90 ? 0 : 1;
}
