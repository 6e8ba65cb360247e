/* format.c: the list of file formats, and which of them a file has. */
#include "data/format.h"

#include <string.h>

#include "base/text.h"

static const cj__file_format *const formats[] = {&cj__format_csv,         &cj__format_jsonl,
                                                 &cj__format_arff,        &cj__format_svmlight,
                                                 &cj__format_fixed_width, &cj__format_npy,
                                                 &cj__format_npz,         &cj__format_idx,
                                                 &cj__format_cifar,       &cj__format_coco};

const cj_file_format *cj_file_format_at(int i)
{
    return i >= 0 && (size_t)i < CJ__COUNT(formats) ? &formats[i]->row : NULL;
}

static size_t length_without_gz(const char *path)
{
    const size_t n = strlen(path);
    return n > 3 && !strcmp(path + n - 3, ".gz") ? n - 3 : n;
}

/* Does the path end in one of ".csv .tsv"? */
static bool has_suffix(const char *path, const char *suffixes)
{
    const size_t length = length_without_gz(path);
    for (const char *s = suffixes; *s;) {
        const size_t n = strcspn(s, " ");
        if (length > n && !memcmp(path + length - n, s, n)) return true;
        s += n + (s[n] == ' ');
    }
    return false;
}

const cj_file_format *cj_file_format_of(const char *path)
{
    for (size_t i = 0; path && i < CJ__COUNT(formats); i++)
        if (has_suffix(path, formats[i]->row.suffixes)) return &formats[i]->row;
    return NULL;
}

const cj_file_format *cj_file_format_find(const char *name)
{
    for (size_t i = 0; name && i < CJ__COUNT(formats); i++)
        if (!strcmp(formats[i]->row.name, name)) return &formats[i]->row;
    return NULL;
}

static const cj__file_format *fail_unknown(cj_context *cj, const char *path, const char *name)
{
    const char *names[CJ__COUNT(formats) + 1] = {NULL};
    cj__text all;
    cj__text_init(&all, cj);
    for (size_t i = 0; i < CJ__COUNT(formats); i++) {
        names[i] = formats[i]->row.name;
        cj__text_format(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = cj__nearest(name, names);
    if (!all.failed && near)
        cj_fail(cj, CJ_ERR_ARGUMENT, "%s: unknown format '%.80s' (did you mean '%s'?)", path, name,
                near);
    else if (!all.failed)
        cj_fail(cj, CJ_ERR_ARGUMENT, "%s: unknown format '%.80s'; there are %s", path, name,
                cj__text_string(&all));
    cj__text_release(&all);
    return NULL;
}

const cj__file_format *cj__format_for(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    const cj_file_format *row = opts->format   ? cj_file_format_find(opts->format)
                                : opts->widths ? &cj__format_fixed_width.row
                                               : cj_file_format_of(path);
    if (opts->format && !row) return fail_unknown(cj, path, opts->format);
    return row ? (const cj__file_format *)row : &cj__format_csv; /* `row` is its first member */
}
