/* progress.h: the line that shows how training goes, as Keras 3 prints it.
 *
 *     Epoch 1/5
 *     1875/1875 ━━━━━━━━━━━━━━━━━━━━ 4s 2ms/step - accuracy: 0.8912 - loss: 0.3789
 *
 * On a terminal the line is redrawn in place, at most every 0.05 s, with the time that is left;
 * elsewhere there is one line an epoch. Metrics are sorted by name. The clock is given, so that
 * tests have one. */
#ifndef CAJAL_CLI_PROGRESS_H
#define CAJAL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PROGRESS_METRICS_MAX = 64 }; /* more are not shown */

typedef struct progress {
    FILE *to;        /* NULL: says nothing */
    bool terminal;   /* redraw in place */
    bool color;
    int columns;     /* width of the terminal; a line drawn meanwhile is cut there */
    int64_t (*now_ns)(void *user);
    void *user;

    int64_t step, steps, start_ns, first_step_ns,
        drawn_ns;    /* of this epoch; first_step_ns 0: not yet */
    int width;       /* columns of the line on the screen, 0: none */
} progress;

/* A progress on `to` with the system's monotonic clock; finds out whether it is a terminal, and
 * honours NO_COLOR, TERM=dumb and COLUMNS. no_color: --no-color. */
void progress_init(progress *p, FILE *to, bool no_color);

/* Epochs count from 1. steps 0: not known yet. */
void progress_begin(progress *p, int64_t epoch, int64_t epochs, int64_t steps);
/* After step `step` (from 1), with the values to show: running means over the epoch so far. */
void progress_step(progress *p, int64_t step, int n, const char *const *names,
                   const double *values);
/* The epoch's last line, validation included. The time per step includes it, as in Keras. */
void progress_end(progress *p, int n, const char *const *names, const double *values);
/* Leaves an unfinished line standing: for interruptions and errors. */
void progress_abort(progress *p);

/* Epoch 7: val_loss improved from 0.13214 to 0.12988, saving model to runs/train1/best.onnx */
void progress_improved(progress *p, int64_t epoch, const char *name, double from, double to,
                       const char *path);
/* Epoch 8: val_loss did not improve from 0.12988 */
void progress_not_improved(progress *p, int64_t epoch, const char *name, double best);
/* Epoch 12: early stopping */
void progress_early_stopping(progress *p, int64_t epoch);
/* Restoring model weights from the end of the best epoch: 9. */
void progress_restored(progress *p, int64_t epoch);

/* "4s", "2:05", "1:02:03": seconds that are left. */
void progress_format_left(double seconds, char *out, size_t size);
/* "2ms/step", "1s/step", "350us/step". */
void progress_format_step(double seconds, char *out, size_t size);

#endif
