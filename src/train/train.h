/* train.h: the inside of training.
 *
 *     objective   the graph of a model with its target, loss and metrics; what fit and evaluate
 * compile trainer     one call of fit: programs, sessions, loaders, and where training is history
 * what train/ hangs on a model: scores of the epochs, programs for prediction run         the run
 * directory; checkpoint: the files in it from which training goes on */
#ifndef CAJAL_TRAIN_TRAIN_H
#define CAJAL_TRAIN_TRAIN_H

#include "nn/moves.h"

#include <cajal/train.h>

#include "base/registry.h"
#include "train/progress.h"

/* ---- Objective: objective.c ------------------------------------------------------------------ */

/* So many numbers fit into cj_scores: epoch, seconds, learning_rate, loss_scale, and loss and
 * metrics twice. */
enum {
    CJ__METRICS_MAX = (CJ_SCORES_MAX - 6) / 2,
    CJ__INPUTS_MAX = 16,
    CJ__GOALS_MAX = 16,
    CJ__FEEDS_MAX = CJ__INPUTS_MAX + CJ__GOALS_MAX + 2
};

/* What is summed up of each output. */
enum { CJ__SUM_LOSS, CJ__SUM_WEIGHT, CJ__SUM_COUNT, CJ__SUMS };

/* A result of the model that is judged: an output, or an auxiliary one. */
typedef struct cj__goal {
    const char *name;
    const cj_node *output;     /* in the model's graph */
    int field;                 /* of the data set, to compare with; -1: the model's input */
    const cj_field *info;      /* of what it is compared with */
    cj_field restored;         /* that, where it is the model's input */
    const char *loss_text;     /* without its weight */
    double weight;             /* of its loss in the sum of all */
    bool auxiliary;            /* in training alone; behind all outputs */
    cj_node *target;           /* fed; NULL: another goal's, or none */
    cj__followed targets;      /* where layers move or mix them */
    cj__judged samples, steps; /* the same where the prediction has no mask */
    cj_node *loss;             /* mean of the batch, times weight */
    cj_node *sums[CJ__SUMS];   /* f64 */
} cj__goal;

typedef struct cj__metric_use {
    const cj_metric *row;
    const char *name; /* as it was asked for: the row's, or another it is found by */
    const void *options;
    int first, n;    /* its sums among the totals; of one that collects, n numbers a record */
    int64_t numbers; /* shown; `list`: with their index */
    bool list;
} cj__metric_use;

/* Sums over samples: CJ__SUMS of each output, penalty times weight, then each metric's. */
typedef struct cj__objective {
    cj_context *cj;
    cj_model *model;
    const char *data_name;
    cj__arena arena;
    cj_graph *graph;
    const char *loss_text, *metrics_text; /* of all goals */
    const char *output_losses;            /* of the outputs: what the model keeps */
    int n_inputs, input_field[CJ__INPUTS_MAX], weight_field; /* of the data set; -1: none */
    cj_node *raw[CJ__INPUTS_MAX], *weight;                   /* fed; weight NULL: none */
    bool restores;                                           /* the target is the input */
    cj__goal goals[CJ__GOALS_MAX];
    int n_goals, n_outputs; /* outputs stand in front */
    cj_node *loss; /* of the batch with all goals and penalties: what is differentiated */
    cj_node *sums[2 + CJ__METRICS_MAX]; /* head (f64[n_head]), then one vector a metric, the
                                           confusion last */
    cj__metric_use metrics[1 + CJ__METRICS_MAX];
    int n_metrics, n_sums, n_totals, n_head;
    int64_t n_numbers;         /* of all metrics */
    int64_t confusion_classes; /* 0: none wanted; its counts are the last totals */
} cj__objective;

/* goal.c. The next item of a list of losses or metrics ("NAME: item"), NULL at its end, and the
 * goal it is of, NULL where it names none. */
cj_status cj__goal_item(cj__objective *o, const char *what, const char **text, char **item,
                        cj__goal **goal);
cj_status cj__goals_find(cj__objective *o, const cj_dataset *data);
/* losses NULL: by the targets. */
cj_status cj__goals_choose_losses(cj__objective *o, const char *losses);
cj_status cj__goal_build(cj__objective *o, cj__goal *goal);
cj_node *cj__goal_placeholder(cj__objective *o, const char *name, const cj_field *field);
int64_t cj__goal_width(const cj__goal *goal);
cj_status cj__objective_status(const cj__objective *o); /* of the graph, which has failed */

/* loss and metrics NULL: by the target. The model is prepared before. */
cj_status cj__objective_init(cj__objective *o, cj_model *m, const cj_dataset *data,
                             const char *loss, const char *metrics, bool confusion);
void cj__objective_release(cj__objective *o);
/* The feeds of a batch: fewer than CJ__FEEDS_MAX. */
int cj__objective_feed(const cj__objective *o, const cj_batch *batch, cj_feed *feeds);
/* Whether another data set has the fields this one was made for. */
cj_status cj__objective_check(const cj__objective *o, const cj_dataset *other,
                              const cj_dataset *data);
/* Tensors for o->sums, to be reused run after run; freed by the caller. NULL for a metric that
 * collects, whose every run makes one. */
cj_status cj__objective_outputs(const cj__objective *o, cj_tensor **outputs);

/* What an epoch's batches came to. */
typedef struct cj__totals {
    double *sums;                           /* n_totals, in an arena */
    cj__tally metrics[1 + CJ__METRICS_MAX]; /* as o->metrics: into `sums`, or records */
} cj__totals;
cj_status cj__totals_init(const cj__objective *o, cj__arena *arena, cj__totals *t);
void cj__totals_zero(const cj__objective *o, cj__totals *t);
void cj__totals_release(cj_context *cj, cj__totals *t);

/* A run's outputs join the totals. */
cj_status cj__objective_add(const cj__objective *o, cj_tensor **outputs, cj__totals *totals);
/* Adds loss and metrics under prefix + name; `running`: without those that collect. */
cj_status cj__objective_scores(const cj__objective *o, const cj__totals *totals, const char *prefix,
                               bool running, cj_scores *scores);
/* The metric with a score of that name ("f1", "recall[2]"); NULL: none. */
const cj_metric *cj__objective_metric(const cj__objective *o, const char *name);
/* All batches of the loader's epoch through a program of o->sums. totals and outputs are the
 * caller's. */
cj_status cj__objective_run(const cj__objective *o, cj_session *s, cj_loader *loader,
                            cj_tensor **outputs, cj__totals *totals);

/* ---- History: history.c ---------------------------------------------------------------------- */

typedef struct cj__predictor { /* a compiled program for cj_model_session; kept until the model goes
                                */
    struct cj__predictor *next;
    cj_program *program;
} cj__predictor;

struct cj_history {
    cj_context *cj;
    cj_scores *epochs;
    double *monitored; /* of each epoch, the score that was monitored */
    int count, capacity, monitored_capacity;
    int64_t epochs_before; /* of earlier fits: orders and random numbers go on */
    char optimizer[256];                 /* of the last fit: another one begins with fresh slots */
    bool fitted, stale;                  /* stale: the newest predictor is of before the last fit */
    cj__predictor *predictors;
};

cj_history *cj__history_of(cj_model *m); /* made when first needed; NULL with a message */
/* monitor: the name of the score that is watched. */
cj_status cj__history_add(cj_history *h, const cj_scores *scores, const char *monitor);
void cj__scores_set(cj_scores *scores, const char *prefix, const char *name, double value);
/* results.csv: the line of names, or that of values, with its newline. */
void cj__scores_csv(cj__text *out, const cj_scores *scores, bool names);
/* Whether the model, if it was prepared for data, was for such data (predict.c). */
cj_status cj__check_prepared(cj_model *m, const cj_dataset *data);
/* The failure of a verb whose data set is NULL. */
cj_status cj__no_dataset(cj_context *cj, const char *verb);
/* Gives a program to the context no more: it goes with its user here. */
void cj__keep_program(cj_program *program);

/* ---- Trainer: trainer.c (building), fit.c (running) ------------------------------------------ */

typedef struct cj__trainer {
    cj_context *cj;
    cj_model *m;
    cj_history *history;
    cj_fit_opts o;                   /* with defaults filled in */
    cj__arena arena;
    cj__objective objective;
    const cj_dataset *data, *validation; /* validation NULL: none */
    cj_dataset *train_part, *held_out;   /* of validation_split; owned */
    bool averages;                       /* the optimizer keeps averages of the weights */
    cj_store *before;                    /* of one that searches: all state before the step */
    const cj_schedule *schedule;
    void *schedule_options;
    cj_program *step_program, *eval_program;
    cj_session *step_session, *eval_session;
    cj_loader *loader, *validation_loader;
    cj_node *rate_node;
    cj_tensor *rate, *key;           /* key: the store's, or NULL */
    cj_tensor *outputs[3 + CJ__METRICS_MAX]; /* {loss, norm^2}, then the objective's sums */
    cj__totals totals, validation_totals;
    cj__progress progress;
    int64_t start_ns;
    bool stop;

    /* Where training is: what a checkpoint holds beside the store, the totals and the best weights.
     */
    int64_t epoch, step, total_step; /* epochs done, steps done in this one, steps of this fit */
    double seconds;                  /* before this call */
    double best;
    int64_t best_epoch, wait;        /* best_epoch 0: none yet */
    double learning_rate, loss_scale, loss; /* of the last step */
    int64_t steps;                   /* an epoch */
    const char *monitor;
    bool smaller_is_better;
    cj_store *best_weights;          /* with patience */
    const char *last_path, *best_path, *results_path, *checkpoint_path;
    const char *arguments;           /* "key=value\n": a resumed run must have the same */
    bool rewrite_results;            /* results.csv lacks rows or has too many */
    bool unsaved;                    /* last.onnx is not of the last epoch */
} cj__trainer;

cj_status cj__trainer_init(cj__trainer *t, cj_model *m, const cj_dataset *train,
                           const cj_fit_opts *opts);
void cj__trainer_release(cj__trainer *t);
double cj__trainer_seconds(const cj__trainer *t); /* of training so far, earlier calls included */
/* Whether the optimizer wants the same batch evaluated again: the step is not over. */
bool cj__trainer_searching(const cj__trainer *t);
/* Copies the model's variables to the store `to`, or back. */
cj_status cj__trainer_weights(cj__trainer *t, cj_store *to, const cj_store *from);
/* The optimizer's averages, where it has them, become the model's parameters. */
cj_status cj__trainer_average(cj__trainer *t);

/* ---- Loss scaling: loss_scale.c -------------------------------------------------------------- */

/* The scale that training begins with, as Keras's. */
#define CJ__LOSS_SCALE_FIRST 0x1p15
/* cj_grad of the loss times the scale, divided by it afterwards. */
cj_status cj__loss_scale_grad(cj_node *loss, cj_node *const *wrt, int n, cj_node **out);
/* How scale and steps change after a step that is `good`, or not: to be committed always. */
bool cj__loss_scale_updates(cj_graph *g, cj_node *good, cj_update out[2]);
/* 1 in a store without a scale. */
double cj__loss_scale_now(const cj_store *store);

/* ---- Run directory: run.c, checkpoint.c ------------------------------------------------------ */

/* Makes or claims t->o.run and restores the newest checkpoint when resuming. */
cj_status cj__run_begin(cj__trainer *t);
/* After an epoch: a row of results.csv, best.onnx when `improved`, last.onnx, a checkpoint. */
cj_status cj__run_epoch(cj__trainer *t, bool improved);
cj_status cj__run_end(cj__trainer *t);
/* folder/name in the trainer's arena. */
const char *cj__run_path(cj__trainer *t, const char *name);
/* CJ_OK for a file that could not be written, with a warning in the log; any other failure as it
 * is. */
cj_status cj__run_warn(cj__trainer *t, cj_status failed, const char *what);

/* Writes checkpoint/step-NNNNNNNNNNNN.safetensors and removes all but the newest two. */
cj_status cj__checkpoint_save(cj__trainer *t);
/* Restores the newest undamaged one. */
cj_status cj__checkpoint_load(cj__trainer *t);
cj_status cj__checkpoint_remove_all(cj__trainer *t);

#endif
