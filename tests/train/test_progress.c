/* test_progress.c: the progress line with a clock of ours, against what Keras 3 prints. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/progress.c"

static int64_t now;
static int64_t clock_ns(void *user)
{
    (void)user;
    return now;
}

static char *text;
static size_t size;
static cj__progress p;

static void start(bool terminal, bool color, int columns)
{
    now = 0;
    p = (cj__progress){.to = open_memstream(&text, &size),
                   .terminal = terminal,
                   .color = color,
                   .columns = columns,
                   .now_ns = clock_ns};
    assert_non_null(p.to);
}

static void prints(const char *expected)
{
    fclose(p.to);
    assert_string_equal(text, expected);
    free(text);
}

static const char *const names[] = {"loss", "accuracy", "val_loss", "val_accuracy"};
static const int64_t ms = 1000000;

static void one_line_an_epoch(void **state)
{
    (void)state;
    start(false, false, 0);
    cj__progress_begin(&p, 1, 10, 1875);
    for (int64_t step = 1; step <= 1875; step++) {
        now += 2 * ms;
        cj__progress_step(&p, step, 2, names, (double[]){0.5, 0.8});
    }
    now += 50 * ms;
    cj__progress_end(&p, 4, names, (double[]){0.3789, 0.89124, 0.14881, 0.9561});
    prints("Epoch 1/10\n"
           "1875/1875 - 4s - 2ms/step - accuracy: 0.8912 - loss: 0.3789 - val_accuracy: 0.9561 - "
           "val_loss: 0.1488\n");
}

#define CELL "\xe2\x94\x81"
#define CELLS5 CELL CELL CELL CELL CELL
#define CELLS20 CELLS5 CELLS5 CELLS5 CELLS5

static void redraws_in_place(void **state)
{
    (void)state;
    start(true, false, 120);
    cj__progress_begin(&p, 2, 2, 100);
    now += 1000 * ms; /* the first step is slow and does not count */
    cj__progress_step(&p, 1, 1, names, (double[]){2.5});
    now += 20 * ms; /* too soon to draw */
    cj__progress_step(&p, 2, 1, names, (double[]){2.4});
    now += 20 * ms;
    cj__progress_step(&p, 3, 1, names, (double[]){2.3});
    now += 20 * ms;
    cj__progress_step(&p, 50, 1, names, (double[]){1e-3});
    now += 40 * ms;
    cj__progress_step(&p, 100, 1, names, (double[]){2});
    now += 900 * ms;
    cj__progress_end(&p, 2, names, (double[]){0.25, 1});
    prints("Epoch 2/2\n"
           "\r  1/100 " CELLS20 " 1:39 1s/step - loss: 2.5000"
           "\r 50/100 " CELLS20 " 0s 1ms/step - loss: 1.0000e-03"
           "\r100/100 " CELLS20 " 2s 10ms/step - accuracy: 1.0000 - loss: 0.2500\n");
}

static void colours(void **state)
{
    (void)state;
    start(true, true, 120);
    cj__progress_begin(&p, 1, 1, 4);
    now += 3000 * ms;
    cj__progress_step(&p, 1, 0, names, NULL);
    now += 3 * 4000 * ms;
    p.step = 4;
    cj__progress_end(&p, 0, names, NULL);
    prints("Epoch 1/1\n"
           "\r\x1b[1m1/4\x1b[0m \x1b[32m" CELLS5 "\x1b[0m\x1b[37m" CELLS5 CELLS5 CELLS5
           "\x1b[0m \x1b[1m9s\x1b[0m 3s/step"
           "\r\x1b[1m4/4\x1b[0m \x1b[32m" CELLS20 "\x1b[0m \x1b[1m15s\x1b[0m 4s/step\n");
}

/* Shorter lines leave nothing of longer ones; narrow terminals cut a line, never a character. */
static void widths(void **state)
{
    (void)state;
    start(true, false, 20);
    cj__progress_begin(&p, 1, 1, 10);
    now += 100 * ms;
    cj__progress_step(&p, 1, 1, names, (double[]){2});
    cj__progress_abort(&p);
    prints("Epoch 1/1\n\r 1/10 " CELLS5 CELLS5 CELL CELL CELL "\n");
    start(true, false, 100);
    cj__progress_begin(&p, 1, 1, 0); /* the number of steps is not known yet */
    now += 60 * ms;
    cj__progress_step(&p, 1, 2, names, (double[]){123456, -1e-9});
    now += 60 * ms;
    cj__progress_step(&p, 2, 1, names, (double[]){1});
    prints("Epoch 1/1\n"
           "\r1/? 0s 60ms/step - accuracy: -1.0000e-09 - loss: 123456.0000"
           "\r2/? 0s 60ms/step - loss: 1.0000                             ");
}

static void times(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *left, *step;
    } cases[] = {{0, "0s", "0s/step"},          {0.0003504, "0s", "350us/step"},
                 {0.0016, "0s", "2ms/step"},    {0.9994, "0s", "999ms/step"},
                 {1, "1s", "1s/step"},          {59.9, "59s", "60s/step"},
                 {60, "60s", "60s/step"},       {125, "2:05", "125s/step"},
                 {3600, "60:00", "3600s/step"}, {3723, "1:02:03", "3723s/step"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        cj__progress_format_left(cases[i].seconds, out, sizeof out);
        assert_string_equal(out, cases[i].left);
        cj__progress_format_step(cases[i].seconds, out, sizeof out);
        assert_string_equal(out, cases[i].step);
    }
}

static void messages(void **state)
{
    (void)state;
    start(true, false, 80);
    p.width = 5; /* a line is on the screen */
    cj__progress_improved(&p, 7, "val_loss", 0.13214, 0.129881, "runs/train1/best.onnx");
    cj__progress_not_improved(&p, 8, "val_loss", 0.12988);
    cj__progress_early_stopping(&p, 12);
    cj__progress_restored(&p, 9);
    prints("\nEpoch 7: val_loss improved from 0.13214 to 0.12988, saving model to "
           "runs/train1/best.onnx\n"
           "Epoch 8: val_loss did not improve from 0.12988\n"
           "Epoch 12: early stopping\n"
           "Restoring model weights from the end of the best epoch: 9.\n");
}

static void odd_values(void **state)
{
    (void)state;
    char name[600];
    const char *many[100];
    double values[100];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    for (int i = 0; i < 100; i++) many[i] = name, values[i] = i % 2 ? 1e300 : 0.0 / 0.0;
    start(true, true, 80);
    cj__progress_begin(&p, INT64_MAX, INT64_MAX, INT64_MAX);
    now = INT64_MAX / 2;
    cj__progress_step(&p, INT64_MAX, 100, many, values);
    cj__progress_end(&p, 100, many, values);
    fclose(p.to);
    assert_true(size > 100);
    free(text);
    cj__progress silent = {0};
    cj__progress_begin(&silent, 1, 1, 1);
    cj__progress_step(&silent, 1, 0, NULL, NULL);
    cj__progress_end(&silent, 0, NULL, NULL);
    cj__progress_restored(&silent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_line_an_epoch),
                                       cmocka_unit_test(redraws_in_place),
                                       cmocka_unit_test(colours),
                                       cmocka_unit_test(widths),
                                       cmocka_unit_test(times),
                                       cmocka_unit_test(messages),
                                       cmocka_unit_test(odd_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
