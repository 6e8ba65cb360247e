/* groups.c: parameter groups: other options of an optimizer for parameters whose names have a form.
 *
 *     adamw(groups="*bias(weight_decay=0), embedding*(learning_rate_factor=0.1)")
 *
 * A group is a pattern, in which * stands for any text, and options of the same optimizer. The
 * first group whose pattern a name has is its own; what that does not say is as for all. */
#include "nn/optimizer.h"

#include "base/option.h"

#include <string.h>

struct cj__group {
    cj__group *next;
    const char *pattern;
    void *options;
    bool used;
};

/* Without recursion: after a mismatch the last * takes one character more. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *from = name;
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            from = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

static cj_status fail_form(cj_context *cj, const cj_optimizer *row, const char *text)
{
    return cj_fail(cj, CJ_ERR_ARGUMENT,
                   "%s: groups: '%.100s' is not of the form pattern(option=value)", row->name,
                   text);
}

/* What is of all parameters together cannot be another thing for some. */
static cj_status check_group(cj_context *cj, const cj_optimizer *row, const char *pattern,
                             const void *options, const void *all)
{
    static const char *const shared[] = {"global_clipnorm", "gradient_accumulation_steps",
                                         "use_ema",         "swa_start",
                                         "swa_frequency",   "groups"};
    for (size_t i = 0; i < CJ__COUNT(shared); i++) {
        const cj_option *o = cj__option_find(row->options, shared[i]);
        cj_option one[] = {*o, CJ_OPTION_END};
        if (!cj__options_equal(one, options, all))
            return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: groups: %s of '%.100s' is of all parameters",
                           row->name, shared[i], pattern);
    }
    return CJ_OK;
}

/* "pattern(options)", n characters. */
static cj_status parse_group(cj__arena *arena, const cj_optimizer *row, const void *all,
                             const char *text, size_t n, cj__group *group)
{
    char *copy = cj__arena_copy(arena, text, n + 1);
    if (!copy) return cj_last_status(arena->cj);
    while (n && (copy[n - 1] == ' ' || copy[n - 1] == '\n')) n--;
    copy[n] = 0;
    char *pattern = copy + strspn(copy, " \n"), *open = strchr(pattern, '(');
    if (!open || open == pattern || copy[n - 1] != ')') return fail_form(arena->cj, row, copy);
    copy[n - 1] = 0;
    *open = 0;
    group->pattern = pattern;
    group->options = cj__arena_copy(arena, all, row->options_size);
    if (!group->options) return cj_last_status(arena->cj);
    CJ__TRY(cj__options_parse(arena, row->name, row->options, group->options, open + 1));
    return check_group(arena->cj, row, pattern, group->options, all);
}

cj_status cj__groups_parse(cj__arena *arena, const cj_optimizer *row, const void *options,
                           cj__group **out)
{
    const char *text = ((const cj_optimizer_common *)options)->groups, *why = NULL;
    cj__group **last = out;
    *out = NULL;
    while (text && *text) {
        const char *end = cj__option_item_end(text, &why);
        if (!end) return fail_form(arena->cj, row, text);
        cj__group *group = cj__arena_alloc(arena, sizeof *group);
        if (!group) return cj_last_status(arena->cj);
        *group = (cj__group){.next = NULL};
        CJ__TRY(parse_group(arena, row, options, text, (size_t)(end - text), group));
        *last = group;
        last = &group->next;
        text = *end ? end + 1 : end;
    }
    return CJ_OK;
}

const void *cj__groups_options(cj__group *groups, const char *name, const void *options)
{
    for (cj__group *group = groups; group; group = group->next) {
        if (!matches(group->pattern, name)) continue;
        group->used = true;
        return group->options;
    }
    return options;
}

const char *cj__groups_unused(const cj__group *groups)
{
    for (; groups; groups = groups->next)
        if (!groups->used) return groups->pattern;
    return NULL;
}
