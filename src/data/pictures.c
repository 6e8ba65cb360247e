/* pictures.c: pictures with labels: checked, joined, cut, and made a data set. */
#include "data/pictures.h"

#include <string.h>

enum { CLASSES_DEFAULT = 10 };

void cj__pictures_release(cj__pictures *p)
{
    cj_tensor_free(p->images);
    cj_tensor_free(p->labels);
    cj__samples_release(&p->stream);
    *p = (cj__pictures){0};
}

cj_status cj__pictures_options(cj_context *cj, const char *name, const cj_dataset_opts *opts,
                               int *classes)
{
    if (opts->limit < 0)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: limit=%lld is negative", name,
                       (long long)opts->limit);
    if (opts->classes < 0 || opts->classes > 256)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: classes=%d; labels of one byte have 1 to 256",
                       name, opts->classes);
    if (opts->target || opts->types || opts->drop || opts->columns || opts->header ||
        opts->delimiter || opts->pictures)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "%s: target, types, drop, header, delimiter, pictures are for tables; this "
                       "has pictures",
                       name);
    *classes = opts->classes ? opts->classes : CLASSES_DEFAULT;
    return CJ_OK;
}

cj_status cj__pictures_check(cj_context *cj, const char *path, const cj__pictures *p, int classes)
{
    const unsigned char *labels = cj_tensor_map_read(p->labels);
    int64_t n = cj_tensor_count(p->labels), i = 0;
    while (i < n && labels[i] < classes) i++;
    int found = i < n ? labels[i] : 0;
    cj_tensor_unmap(p->labels);
    if (i == n) return CJ_OK;
    return cj_fail(cj, CJ_ERR_DATA,
                   "%s: label out of range: label %lld is %d; with %d classes it must be 0 to %d",
                   path, (long long)i, found, classes, classes - 1);
}

cj_status cj__pictures_append(cj_context *cj, const char *name, cj__pictures *a, cj__pictures *b)
{
    cj_status failed = cj__samples_join(cj, name, &a->images, b->images);
    if (!failed && a->labels && b->labels)
        failed = cj__samples_join(cj, name, &a->labels, b->labels);
    cj__pictures_release(b);
    return failed;
}

cj_dataset *cj__pictures_dataset(cj_context *cj, const char *name, cj__pictures *p, int classes,
                                 const cj_dataset_opts *opts)
{
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    cj_tensor *labels = NULL;
    if ((p->images && cj__samples_cut(cj, &p->images, opts->limit)) ||
        cj__samples_cut(cj, &p->labels, opts->limit) ||
        (p->labels && !(labels = cj_tensor_cast(p->labels, CJ_I32)))) {
        cj__pictures_release(p);
        return NULL;
    }
    const int64_t *shape = p->images ? cj_tensor_shape(p->images) : p->shape;
    cj_field fields[2] = {{.name = "image",
                           .dtype = CJ_U8,
                           .rank = 3,
                           .shape = {shape[1], shape[2], shape[3]},
                           .role = CJ_FIELD_INPUT},
                          {.name = "label",
                           .dtype = CJ_I32,
                           .role = CJ_FIELD_TARGET,
                           .classes = classes,
                           .class_names = opts->class_names            ? opts->class_names
                                          : classes == CLASSES_DEFAULT ? digits
                                                                       : NULL}};
    cj__samples samples[2] = {p->stream, {.tensor = labels}};
    if (p->images) samples[0].tensor = p->images;
    const int64_t count = !p->images && opts->limit > 0 && opts->limit < shape[0] ? opts->limit
                                                                                 : shape[0];
    p->images = NULL;
    p->stream = (cj__samples){0};
    cj__pictures_release(p);
    return cj__dataset_of_samples(cj, name, count, labels ? 2 : 1, fields, samples);
}
