/* progress.c: one line, built as text with its width beside it, then written at once.
 *
 * The rules of Keras 3 that users' eyes are used to: 20 cells; time left while it runs and time
 * taken at the end, both without decimals; time per step without the first step, which is slow for
 * other reasons; %.4f, but %.4e at or below 1e-3. */
#include "train/progress.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"

enum { CELLS = 20, LINE_BYTES = 8192 };
static const int64_t redraw_ns = 50 * 1000 * 1000;

/* ---- A line of text that knows its width ----------------------------------------------------- */

typedef struct line {
    char text[LINE_BYTES];
    size_t bytes;
    int width, columns; /* in characters; beyond `columns` nothing is added, 0: no bound */
    bool color;
} line;

/* Adds text in a colour ("1" bold, "32" green, "37" grey; NULL none), cut at a whole character. */
static void add(line *l, const char *color, const char *text)
{
    size_t room = sizeof l->text - l->bytes;
    bool paint = color && l->color;
    if (room < strlen(text) + 32) return;
    if (paint) l->bytes += (size_t)cj__format(l->text + l->bytes, room, "\x1b[%sm", color);
    for (const char *s = text; *s; s++) {
        bool begins = ((unsigned char)*s & 0xc0) != 0x80;
        if (begins && l->columns && l->width >= l->columns) break;
        l->width += begins;
        l->text[l->bytes++] = *s;
    }
    if (paint) l->bytes += (size_t)cj__format(l->text + l->bytes, 8, "\x1b[0m");
    l->text[l->bytes] = 0;
}

static void addf(line *l, const char *color, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    cj__vformat(text, sizeof text, format, args);
    va_end(args);
    add(l, color, text);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

void cj__progress_format_left(double seconds, char *out, size_t size)
{
    long long s = seconds > 0 && seconds < 1e15 ? (long long)seconds : 0;
    if (s > 3600) cj__format(out, size, "%lld:%02lld:%02lld", s / 3600, s % 3600 / 60, s % 60);
    else if (s > 60) cj__format(out, size, "%lld:%02lld", s / 60, s % 60);
    else cj__format(out, size, "%llds", s);
}

void cj__progress_format_step(double seconds, char *out, size_t size)
{
    if (seconds >= 1 || seconds == 0) cj__format(out, size, "%.0fs/step", seconds);
    else if (seconds >= 1e-3) cj__format(out, size, "%.0fms/step", seconds * 1e3);
    else cj__format(out, size, "%.0fus/step", seconds * 1e6);
}

static void add_metrics(line *l, int n, const char *const *names, const double *values)
{
    int order[CJ__PROGRESS_METRICS_MAX];
    if (n > CJ__PROGRESS_METRICS_MAX) n = CJ__PROGRESS_METRICS_MAX;
    for (int i = 0; i < n; i++) {
        int k = i;
        for (; k > 0 && strcmp(names[order[k - 1]], names[i]) > 0; k--) order[k] = order[k - 1];
        order[k] = i;
    }
    for (int i = 0; i < n; i++) {
        double v = values[order[i]];
        addf(l, NULL, fabs(v) > 1e-3 ? " - %.100s: %.4f" : " - %.100s: %.4e", names[order[i]], v);
    }
}

static void add_bar(line *l, int64_t step, int64_t steps)
{
    char cells[CELLS * 3 + 1], number[32];
    int digits = cj__format(number, sizeof number, "%lld", (long long)steps);
    int done = (int)((double)CELLS * (double)step / (double)steps);
    for (int i = 0; i < CELLS; i++) memcpy(cells + 3 * i, "\xe2\x94\x81", 3); /* ━ */
    cells[sizeof cells - 1] = 0;
    addf(l, "1", "%*lld/%lld", digits, (long long)step, (long long)steps);
    add(l, NULL, " ");
    if (done > 0) addf(l, "32", "%.*s", 3 * done, cells);
    if (done < CELLS) addf(l, "37", "%.*s", 3 * (CELLS - done), cells);
    add(l, NULL, " ");
}

/* Seconds a step: without the first one as soon as there are others. */
static double step_seconds(const cj__progress *p, int64_t now)
{
    if (p->step <= 0) return 0;
    if (p->first_step_ns && p->step > 1)
        return (double)(now - p->first_step_ns) / 1e9 / (double)(p->step - 1);
    return (double)(now - p->start_ns) / 1e9 / (double)p->step;
}

/* ---- Drawing --------------------------------------------------------------------------------- */

static void draw(cj__progress *p, bool last, int64_t now, int n, const char *const *names,
                 const double *values)
{
    line l = {.color = p->color, .columns = p->terminal && !last ? p->columns - 1 : 0};
    int64_t steps = p->steps ? p->steps : last ? p->step : 0;
    double each = step_seconds(p, now), taken = (double)(now - p->start_ns) / 1e9;
    char left[32], step[32];
    cj__progress_format_left(each * (double)(steps - p->step), left, sizeof left);
    cj__progress_format_step(each, step, sizeof step);
    if (last || !steps) cj__format(left, sizeof left, "%.0fs", taken);
    if (!p->terminal) {
        addf(&l, NULL, "%lld/%lld - %s - %s", (long long)p->step, (long long)steps, left, step);
    } else {
        if (steps) add_bar(&l, p->step, steps);
        else addf(&l, "1", "%lld/? ", (long long)p->step);
        add(&l, "1", left);
        addf(&l, NULL, " %s", step);
    }
    add_metrics(&l, n, names, values);
    if (p->terminal) fputc('\r', p->to);
    fwrite(l.text, 1, l.bytes, p->to);
    if (p->terminal) fprintf(p->to, "%*s", p->width > l.width ? p->width - l.width : 0, "");
    if (last) fputc('\n', p->to);
    fflush(p->to);
    p->width = last ? 0 : l.width;
    p->drawn_ns = now;
}

void cj__progress_begin(cj__progress *p, int64_t epoch, int64_t epochs, int64_t steps)
{
    if (!p->to) return;
    p->step = p->first_step_ns = 0;
    p->steps = steps;
    p->start_ns = p->now_ns(p->user);
    p->drawn_ns = p->start_ns - redraw_ns;
    fprintf(p->to, "Epoch %lld/%lld\n", (long long)epoch, (long long)epochs);
    fflush(p->to);
}

void cj__progress_step(cj__progress *p, int64_t step, int n, const char *const *names,
                       const double *values)
{
    if (!p->to) return;
    int64_t now = p->now_ns(p->user);
    p->step = step;
    if (step == 1) p->first_step_ns = now;
    if (p->terminal && now - p->drawn_ns >= redraw_ns) draw(p, false, now, n, names, values);
}

void cj__progress_end(cj__progress *p, int n, const char *const *names, const double *values)
{
    if (p->to) draw(p, true, p->now_ns(p->user), n, names, values);
}

void cj__progress_abort(cj__progress *p)
{
    if (p->to && p->width) fputc('\n', p->to);
    p->width = 0;
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void say(cj__progress *p, const char *format, ...)
{
    char text[2048];
    va_list args;
    if (!p->to) return;
    cj__progress_abort(p);
    va_start(args, format);
    cj__vformat(text, sizeof text, format, args);
    va_end(args);
    fprintf(p->to, "%s\n", text);
    fflush(p->to);
}

void cj__progress_improved(cj__progress *p, int64_t epoch, const char *name, double from, double to,
                       const char *path)
{
    say(p, "Epoch %lld: %s improved from %.5f to %.5f, saving model to %s", (long long)epoch, name,
        from, to, path);
}

void cj__progress_not_improved(cj__progress *p, int64_t epoch, const char *name, double best)
{
    say(p, "Epoch %lld: %s did not improve from %.5f", (long long)epoch, name, best);
}

void cj__progress_early_stopping(cj__progress *p, int64_t epoch)
{
    say(p, "Epoch %lld: early stopping", (long long)epoch);
}

void cj__progress_restored(cj__progress *p, int64_t epoch)
{
    say(p, "Restoring model weights from the end of the best epoch: %lld.", (long long)epoch);
}
