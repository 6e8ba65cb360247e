/* table.h: what the fuzz targets of table formats share. Any bytes are parsed as the format, with
 * options taken from the first byte. What is accepted must be consistent: every label within its
 * classes, every feature finite, every category within its map, no weight negative. */
#ifndef CAJAL_FUZZ_TABLE_H
#define CAJAL_FUZZ_TABLE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

static void require(bool condition)
{
    if (!condition) abort();
}

static void check_sample(const cj_dataset *ds, int64_t i)
{
    for (int f = 0; f < cj_dataset_fields(ds); f++) {
        const cj_field *field = cj_dataset_field(ds, f);
        size_t bytes = cj__dataset_root(ds)->item_bytes[f];
        void *item = malloc(bytes);
        require(item && !cj_dataset_read(ds, &i, 1, f, item));
        for (int64_t k = 0; k < cj_field_channels(field); k++) {
            double value = cj_load_f64(field->dtype, item, (size_t)k);
            require(isfinite(value));
            require(field->role != CJ_FIELD_WEIGHT || value >= 0);
            require(!field->classes || (value >= 0 && value < field->classes));
            if (field->columns && field->column_info[k].kind == CJ_COLUMN_CATEGORICAL)
                require(value >= 0 && value < field->column_info[k].categories &&
                        field->column_info[k].category_names);
        }
        free(item);
    }
}

static int check_table(const char *format, const uint8_t *bytes, size_t size)
{
    static const char *const columns[] = {NULL, "a", "-1", "0"};
    static const char *const classes[] = {"yes", "no", "2"}, *const colours[] = {"red", "blue"};
    static const cj_column known[] = {{"a", CJ_COLUMN_NUMERIC, 0, NULL},
                                      {"b", CJ_COLUMN_CATEGORICAL, 2, colours}};
    if (size == 0) return 0;
    unsigned pick = bytes[0];
    cj_dataset_opts opts = {.format = format,
                            .header = (cj_header)(pick % 3),
                            .missing = (cj_missing)(pick / 3 % 2),
                            .no_target = pick & 64};
    if (!opts.no_target) opts.target = columns[pick / 8 % 4];
    if (pick & 32) opts.types = "a:categorical";
    if (pick & 128) opts.limit = 3;
    if (pick % 5 == 4) opts.classes = 3, opts.class_names = pick % 2 ? classes : NULL;
    if (pick % 7 == 6) opts.columns = 2, opts.column_info = known;
    if (pick % 11 == 5) opts.weight = "1";
    if (pick % 13 == 7 && !strcmp(format, "fixed_width")) opts.widths = "3,1,4";
    cj_config config = {.memory_limit_bytes = 64 << 20};
    cj_context *cj = cj_context_new(&config);
    cj_dataset *ds = cj__table_parse(cj, "fuzz", bytes + 1, size - 1, &opts);
    if (ds) {
        int64_t n = cj_dataset_count(ds);
        require(n > 0);
        check_sample(ds, 0);
        check_sample(ds, n / 2);
        check_sample(ds, n - 1);
    } else {
        require(cj_last_status(cj) != CJ_OK && cj_message(cj)[0]);
    }
    cj_dataset_free(ds);
    require(cj_memory_used(cj) == 0);
    cj_context_free(cj);
    return 0;
}

#endif
