/* guess.h: classes and their probabilities, from what a model gives of a sample. */
#ifndef CAJAL_CLI_GUESS_H
#define CAJAL_CLI_GUESS_H

#include <cajal/train.h>

typedef struct cli_guess {
    int label;          /* -1: no classes */
    double probability;
} cli_guess;

/* Whether results are to become probabilities first, as the loss says. */
bool cli_gives_logits(const cj_model_info *info);
/* Of one sample's n numbers. One output for two classes is the probability of the second. */
cli_guess cli_guess_first(const cj_model_info *info, const double *out, int64_t n);
/* The likeliest classes, the likeliest first; how many: 0 without classes. */
enum { CLI_TOP = 5 };
int cli_guess_top(const cj_model_info *info, const double *out, int64_t n, cli_guess top[CLI_TOP]);
const char *cli_label_text(const cj_model_info *info, int label, char number[32]);

#endif
