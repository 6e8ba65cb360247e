/* format.h: the file formats of data sets. One row a format, beside its code; the list of them is
 * format.c. */
#ifndef CAJAL_DATA_FORMAT_H
#define CAJAL_DATA_FORMAT_H

#include "data/dataset.h"
#include "data/sheet.h"

typedef struct cj__file_format {
    cj_file_format row;
    bool knows_auto; /* split=auto; of others there is one part */
    cj_dataset *(*open)(cj_context *cj, const char *path, const cj_dataset_opts *opts);
    /* Of a table: the rows of a text, which stays while the sheet does. The sheet is ready, and is
     * released by the caller, on failure too. */
    cj_status (*parse)(cj__sheet *sheet, const char *bytes, size_t size,
                       const cj_dataset_opts *opts);
    /* Of a table that can be streamed: the rows that are whole in a part of the text that begins
     * with one; *used: the bytes of these. The last row of the text needs no line end. */
    cj_status (*parse_part)(cj__sheet *sheet, const char *bytes, size_t size, bool is_last,
                            size_t *used);
} cj__file_format;

extern const cj__file_format cj__format_csv, cj__format_jsonl, cj__format_arff, cj__format_svmlight,
    cj__format_fixed_width, cj__format_idx, cj__format_cifar, cj__format_npy, cj__format_npz,
    cj__format_coco;

/* The format that an option names, or else the end of the path, which may be followed by .gz; csv
 * when nothing does. NULL with a message: there is none of that name. */
const cj__file_format *cj__format_for(cj_context *cj, const char *path,
                                      const cj_dataset_opts *opts);

#endif
