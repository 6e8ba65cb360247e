/* progress.h: the line that shows how training goes, as Keras 3 prints it.
 *
 *     Epoch 1/5
 *     1875/1875 ━━━━━━━━━━━━━━━━━━━━ 4s 2ms/step - accuracy: 0.8912 - loss: 0.3789
 *
 * On a terminal the line is redrawn in place, at most every 0.05 s, with the time that is left;
 * elsewhere there is one line an epoch. Metrics are sorted by name. What the terminal can and
 * what time it is are told by the caller: nothing here looks around. */
#ifndef CAJAL_TRAIN_PROGRESS_H
#define CAJAL_TRAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CJ__PROGRESS_METRICS_MAX = 64 }; /* more are not shown */

typedef struct cj__progress {
    FILE *to;        /* NULL: says nothing */
    bool terminal;   /* redraw in place */
    bool color;
    int columns;     /* width of the terminal; a line drawn meanwhile is cut there */
    int64_t (*now_ns)(void *user);
    void *user;

    int64_t step, steps, start_ns, first_step_ns,
        drawn_ns;    /* of this epoch; first_step_ns 0: not yet */
    int width;       /* columns of the line on the screen, 0: none */
} cj__progress;

/* Epochs count from 1. steps 0: not known yet. */
void cj__progress_begin(cj__progress *p, int64_t epoch, int64_t epochs, int64_t steps);
/* After step `step` (from 1), with the values to show: running means over the epoch so far. */
void cj__progress_step(cj__progress *p, int64_t step, int n, const char *const *names,
                   const double *values);
/* The epoch's last line, validation included. The time per step includes it, as in Keras. */
void cj__progress_end(cj__progress *p, int n, const char *const *names, const double *values);
/* Leaves an unfinished line standing: for interruptions and errors. */
void cj__progress_abort(cj__progress *p);

/* Epoch 7: val_loss improved from 0.13214 to 0.12988, saving model to runs/train1/best.onnx */
void cj__progress_improved(cj__progress *p, int64_t epoch, const char *name, double from, double to,
                       const char *path);
/* Epoch 8: val_loss did not improve from 0.12988 */
void cj__progress_not_improved(cj__progress *p, int64_t epoch, const char *name, double best);
/* Epoch 12: early stopping */
void cj__progress_early_stopping(cj__progress *p, int64_t epoch);
/* Restoring model weights from the end of the best epoch: 9. */
void cj__progress_restored(cj__progress *p, int64_t epoch);

/* "4s", "2:05", "1:02:03": seconds that are left. */
void cj__progress_format_left(double seconds, char *out, size_t size);
/* "2ms/step", "1s/step", "350us/step". */
void cj__progress_format_step(double seconds, char *out, size_t size);

#endif
