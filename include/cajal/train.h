/* train.h: fit, evaluate, predict; saving and loading models; run directories.
 *
 *     cj_scores scores;
 *     cj_status failed = cj_fit(m, train, .epochs = 5, .optimizer = "adam", .metrics = "accuracy",
 * .progress = stderr); failed = failed ? failed : cj_evaluate(m, test, &scores); failed = failed ?
 * failed : cj_save(m, "fashion.onnx");
 *
 * The verbs and names are Keras's. Messages are the context's. */
#ifndef CAJAL_TRAIN_H
#define CAJAL_TRAIN_H

#include <cajal/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CJ_SCORES_MAX = 128, CJ_NAME_MAX = 48 };

/* Names and numbers: "loss", "accuracy", "val_loss", "recall[2]" ... */
typedef struct cj_scores {
    int n;
    int64_t samples;
    char name[CJ_SCORES_MAX][CJ_NAME_MAX];
    double value[CJ_SCORES_MAX];
} cj_scores;
/* The score of that name, NaN when there is none. */
CJ_API double cj_score(const cj_scores *scores, const char *name);

/* ---- Callbacks ------------------------------------------------------------------------------- */

typedef struct cj_fit_state {
    cj_model *model;
    int64_t epoch, epochs, step, steps; /* epoch and step from 1; steps in this epoch */
    int64_t total_step;
    double learning_rate, seconds;
    const cj_scores *scores; /* running means in a step, all scores at the end of an epoch */
    double loss; /* of the batch of the last step alone, with penalties, before its step */
} cj_fit_state;

/* Each may be NULL. Returning false ends training after this step, cleanly. */
typedef struct cj_callback {
    const char *name, *doc;
    void *user;
    bool (*on_epoch_begin)(void *user, const cj_fit_state *state);
    bool (*on_step_end)(void *user, const cj_fit_state *state);
    bool (*on_epoch_end)(void *user, const cj_fit_state *state);
} cj_callback;

/* ---- History --------------------------------------------------------------------------------- */

typedef struct cj_history cj_history; /* owned by the model: of its last fit */
CJ_API int cj_history_epochs(const cj_history *h);
/* epoch (from 1), seconds (of training so far), loss, metrics, val_loss ..., learning_rate; NULL
 * past the last. */
CJ_API const cj_scores *cj_history_at(const cj_history *h, int epoch_index);

/* ---- Fit ------------------------------------------------------------------------------------- */

/* How progress is shown: one line an epoch, or a bar redrawn in place, for terminals. */
typedef enum cj_progress_style {
    CJ_PROGRESS_LINES,
    CJ_PROGRESS_BAR,
    CJ_PROGRESS_COLOR
} cj_progress_style;

typedef struct cj_fit_opts {
    size_t struct_size;
    int64_t epochs;             /* default 1 */
    int64_t batch_size;         /* default 32; all samples, at most 4096, for an optimizer that
                                   searches (lbfgs) */
    const char *optimizer;      /* default "adam" */
    double learning_rate;       /* default the optimizer's */
    const char *schedule;       /* default constant */
    /* Default from the target: sparse_categorical_crossentropy for classes, binary_crossentropy for
     * two classes with one output, mse for numbers. Of a model with several outputs "class: mse,
     * box: 0.5 * huber": each has a loss and a weight (Keras's loss_weights), and the sum is made
     * small; one loss without a name is that of all. */
    const char *loss;
    /* "accuracy, f1"; default accuracy for classes, none for numbers; "none". A loss is a metric
     * too, its mean. Scores have the names that are given here. "box: mae" is of that output, and
     * its score is box_mae; without a name it is of the first. */
    const char *metrics;
    const cj_dataset *validation;
    double validation_split;    /* taken from the training set, stratified, seeded */
    uint64_t seed;              /* shuffling, dropout, the split */
    bool no_shuffle;
    int64_t patience;           /* early stopping: epochs without improvement; 0: none */
    const char *monitor;        /* default val_loss, else loss */
    bool no_restore; /* with patience: keep the last weights instead of the best epoch's */
    const char
        *normalize;  /* "auto" (default): u8 by 1/255, but for layers of whole numbers (embedding,
                       look-ups, hashing), tables by mean and deviation unless the model is from
                       another program's file; "none" */
    const char *run; /* run directory (made): results.csv, best.onnx, last.onnx, checkpoint/ */
    bool overwrite;             /* the run directory may have a run in it, which is lost */
    bool resume;                /* go on from the run directory's checkpoint */
    int64_t
        checkpoint_steps; /* a checkpoint also every so many steps; 0: at the end of each epoch */
    FILE *progress;             /* Keras's progress lines, NULL: none */
    cj_progress_style progress_style;
    int progress_columns;       /* width of the terminal, default 80 */
    const cj_callback *const *callbacks; /* NULL-terminated */
    double clip_norm;           /* of all gradients together; 0: none */
    cj_recompute recompute;     /* less memory for some more work */
    cj_precision precision;     /* mixed: products in 16 bits; with f16 the loss is scaled */
    bool balanced;              /* every class as often as every other in an epoch, as a loader's */
    bool restore_input; /* the target is the model's input, as it is behind its preparation:
                           autoencoders. The model remembers it. The data needs no target */
    int workers; /* threads that read samples ahead, as a loader's; 0: as many as suit the data */
    int64_t opset; /* of best.onnx and last.onnx, as cj_onnx_save_opts has it */
} cj_fit_opts;

/* Trains. An output's target is the target field of its name, or the only one of the data set; with
 * several outputs "NAME_loss" is a score of each. May be called again: training goes on where it
 * was, with new orders and masks.
 *
 * NaN or infinity in the loss or the gradient: CJ_ERR_NUMERIC naming epoch, step and which; the
 * model is as it was before that step. Cancelled by the context: CJ_ERR_CANCELLED; the model is as
 * it was after the last whole step.
 *
 * With a run directory there is a checkpoint before the first step, at the end of each epoch, every
 * checkpoint_steps, and when cancelled; the newest two are kept. A fit with `resume` and the same
 * data and options goes on from the newest undamaged one, to the same bits as if it had never
 * stopped; only epochs, patience, workers, opset and how progress is shown may differ. A file that
 * cannot be written while training goes on (disk full) is a warning to the context's log, and the
 * last good one stays; one that cannot be written at the beginning or at the end is an error. */
CJ_API cj_status cj_fit(cj_model *m, const cj_dataset *train, const cj_fit_opts *opts);
/* Of the last fit; NULL before the first. */
CJ_API const cj_history *cj_model_history(const cj_model *m);

/* For a model whose weights come from elsewhere (cj_load_weights): decides what cj_fit does before
 * its first step, how raw samples of this data become the model's input (`normalize` as fit has it;
 * NULL: "auto") and which classes there are. */
CJ_API cj_status cj_prepare(cj_model *m, const cj_dataset *data, const char *normalize);

/* cj_evaluate(m, data, &scores, .confusion = counts) */
typedef struct cj_evaluate_opts {
    size_t struct_size;
    cj_scores *scores;    /* "loss" and the metrics; or NULL */
    int64_t batch_size;   /* default 256 */
    const char *loss;     /* default what the model was trained with */
    const char *metrics;  /* default what the model was trained with */
    int64_t *confusion; /* classes * classes (2 * 2 for one output), rows truth, columns prediction;
                           or NULL */
    FILE *progress;
    cj_progress_style progress_style;
    int progress_columns;
} cj_evaluate_opts;
CJ_API cj_status cj_evaluate(cj_model *m, const cj_dataset *data, const cj_evaluate_opts *opts);
/* scikit-learn's classification_report of a confusion matrix, for all classes. */
CJ_API cj_status cj_classification_report(cj_model *m, const int64_t *confusion, int classes,
                                          FILE *to);

/* ---- Predict --------------------------------------------------------------------------------- */

/* A session on a model for raw samples (as the data set had them); one a thread. Free with
 * cj_session_free, before the model. The model must have one input; of several outputs the first is
 * given. Make sessions after training. */
CJ_API cj_session *cj_model_session(cj_model *m);
/* n raw samples of the model's single input in, n * output_size floats out. The message of a
 * failure is the session's. */
CJ_API cj_status cj_predict(cj_session *s, const void *samples, int64_t n, float *out,
                            int64_t output_size);
/* The whole data set: a new tensor [count, outputs...]. */
CJ_API cj_status cj_predict_dataset(cj_model *m, const cj_dataset *data, cj_tensor **out);

/* What a model knows of its data. */
typedef struct cj_model_info {
    int classes;
    const char *const *class_names; /* or NULL */
    const char *input_name;
    cj_dtype input_dtype;           /* of raw samples */
    int input_rank;
    int64_t input_shape[CJ_RANK_MAX];
    int64_t output_size; /* of a sample: of the first output; 0: it depends on the data */
    int output_rank;
    int64_t output_shape[CJ_RANK_MAX];
    int columns;
    const cj_column *column_info;
    const char *loss, *metrics;     /* trained with, or NULL */
    const char *target;             /* name of the target column or field */
    cj_picture_fit input_fit;       /* how pictures in files come to input_shape */
    bool prepared;            /* it knows how raw samples become what its graph takes */
    bool imported;            /* it is from a file of another program */
    bool gives_probabilities; /* its first output comes out of softmax or sigmoid */
    cj_field_kind target_kind;      /* CJ_FIELD_BOXES: the output is a detector's (detect.h) */
} cj_model_info;
CJ_API void cj_model_get_info(cj_model *m, cj_model_info *info);

/* ---- Sets of samples ------------------------------------------------------------------------- */

/* How far two sets are from each other, such as made and real pictures, by features of their
 * samples, floats [samples, features], say of a classifier's last layer but one: the Frechet
 * distance of the normal distributions with their means and covariances (divided by samples - 1;
 * Heusel et al. 2017). 0 for equal sets. At least 2 samples a set; several times as many as
 * features say more. Computed in double; time grows with features^3: 64 take 30 ms, 256 a second,
 * and 4096 are the most. A feature that is not finite: CJ_ERR_NUMERIC. */
CJ_API cj_status cj_frechet_distance(cj_context *cj, const cj_tensor *a, const cj_tensor *b,
                                     double *distance);

/* cj_save, cj_load, cj_load_memory are in nn.h. */

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_fit(m, data, ...) \
    (cj_fit)(m, data, &(cj_fit_opts){.struct_size = sizeof(cj_fit_opts), __VA_ARGS__})
#define cj_evaluate(m, data, ...) \
    (cj_evaluate)(m, data, \
                  &(cj_evaluate_opts){.struct_size = sizeof(cj_evaluate_opts), \
                                      .scores = __VA_ARGS__})
#endif

#ifdef __cplusplus
}
#endif
#endif
