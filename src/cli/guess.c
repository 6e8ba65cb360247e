/* guess.c: classes and their probabilities, from what a model gives of a sample. */
#include "cli/guess.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool cli_gives_logits(const cj_model_info *info)
{
    return info->loss && strstr(info->loss, "from_logits=true");
}

cli_guess cli_guess_first(const cj_model_info *info, const double *out, int64_t n)
{
    bool logits = cli_gives_logits(info);
    cli_guess g = {-1, NAN};
    if (info->classes == 2 && n == 1) {
        double p = logits ? 1 / (1 + exp(-out[0])) : out[0];
        g.label = p >= 0.5;
        g.probability = g.label ? p : 1 - p;
    } else if (info->classes > 1 && n == info->classes) {
        double sum = 0;
        g.label = 0;
        for (int i = 1; i < n; i++)
            if (out[i] > out[g.label]) g.label = i;
        for (int i = 0; i < n; i++) sum += exp(out[i] - out[g.label]);
        g.probability = logits ? 1 / sum : out[g.label];
    }
    return g;
}

int cli_guess_top(const cj_model_info *info, const double *out, int64_t n, cli_guess top[CLI_TOP])
{
    const cli_guess first = cli_guess_first(info, out, n);
    int count = 0;
    if (first.label < 0) return 0;
    if (n == 1) { /* two classes by one output */
        top[0] = first;
        top[1] = (cli_guess){!first.label, 1 - first.probability};
        return 2;
    }
    const bool logits = cli_gives_logits(info);
    for (int i = 0; i < n; i++) {
        const double p = logits ? first.probability * exp(out[i] - out[first.label]) : out[i];
        int at = count < CLI_TOP ? count++ : CLI_TOP;
        for (; at > 0 && p > top[at - 1].probability; at--)
            if (at < CLI_TOP) top[at] = top[at - 1];
        if (at < CLI_TOP) top[at] = (cli_guess){i, p};
    }
    return count;
}

const char *cli_label_text(const cj_model_info *info, int label, char number[32])
{
    snprintf(number, 32, "%d", label);
    return info->class_names && label < info->classes ? info->class_names[label] : number;
}
