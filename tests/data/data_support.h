/* data_support.h: what the tests of data sets share: where real data lies, files to make and to
 * remove. */
#ifndef CAJAL_TESTS_DATA_SUPPORT_H
#define CAJAL_TESTS_DATA_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cajal/data.h>

#include "base/context.h"
#include "base/file.h"
#include "data/format.h"

#define GOLDEN CJ_SOURCE_DIR "/tests/golden/data/"

static inline cj_context *test_context(void)
{
    cj_context *cj = cj_context_new(NULL);
    assert_non_null(cj);
    return cj;
}

/* The path of a real file, in $CAJAL_DATA or in the shared folder beside the sources; NULL: skip.
 */
static inline const char *real_file(const char *name)
{
    static char path[1200];
    const char *data = getenv("CAJAL_DATA");
    cj_context *cj = test_context();
    cj_file_info info = {0};
    if (data) {
        snprintf(path, sizeof path, "%s/%s", data, name);
        cj__file_info(cj, path, &info);
    }
    if (info.kind == CJ_FILE_NONE) {
        snprintf(path, sizeof path, "%s/../shared/datasets/%s", CJ_SOURCE_DIR, name);
        cj__file_info(cj, path, &info);
    }
    cj_context_free(cj);
    if (info.kind != CJ_FILE_NONE) return path;
    printf("    no %s in $CAJAL_DATA or ../shared/datasets\n", name);
    return NULL;
}

static inline void assert_message(cj_context *cj, cj_status status, const char *message)
{
    assert_string_equal(cj_message(cj), message);
    assert_int_equal(cj_last_status(cj), status);
}

/* A table from text, and the message of one that is refused. */
static inline cj_dataset *parse(cj_context *cj, const char *text, const cj_dataset_opts *opts)
{
    static const cj_dataset_opts none;
    return cj__table_parse(cj, "t.csv", text, strlen(text), opts ? opts : &none);
}

static inline void assert_parsed(cj_context *cj, const cj_dataset *ds)
{
    if (!ds) print_error("%s\n", cj_message(cj));
    assert_non_null(ds);
}

/* "a b{x,y} | label(u,v): 1,0>1 2,1>0"; with weights "1,0>1*0.5" */
static inline void describe(const cj_dataset *ds, char *out, size_t size)
{
    const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
    const int weight = cj_dataset_field_find(ds, "weight");
    float values[16], target = 0;
    int32_t label = 0;
    out[0] = 0;
    if (weight == 1) y = NULL;
#define ADD(...) snprintf(out + strlen(out), size - strlen(out), __VA_ARGS__)
    for (int c = 0; c < x->columns; c++) {
        ADD("%s", x->column_info[c].name);
        for (int k = 0; k < x->column_info[c].categories; k++)
            ADD("%c%s", k ? ',' : '{', x->column_info[c].category_names[k]);
        ADD("%s", x->column_info[c].kind == CJ_COLUMN_CATEGORICAL ? "} " : " ");
    }
    if (y) ADD("| %s", y->name);
    for (int k = 0; y && k < y->classes; k++) ADD("%c%s", k ? ',' : '(', y->class_names[k]);
    ADD("%s", y && y->classes ? "):" : ":");
    for (int64_t i = 0; i < cj_dataset_count(ds); i++) {
        assert_int_equal(cj_dataset_read(ds, &i, 1, 0, values), CJ_OK);
        for (int c = 0; c < x->columns; c++) ADD("%c%g", c ? ',' : ' ', values[c]);
        if (y && y->classes) {
            assert_int_equal(cj_dataset_read(ds, &i, 1, 1, &label), CJ_OK);
            ADD(">%d", label);
        } else if (y) {
            assert_int_equal(cj_dataset_read(ds, &i, 1, 1, &target), CJ_OK);
            ADD(">%g", target);
        }
        if (weight < 0) continue;
        assert_int_equal(cj_dataset_field(ds, weight)->role, CJ_FIELD_WEIGHT);
        assert_int_equal(cj_dataset_read(ds, &i, 1, weight, &target), CJ_OK);
        ADD("*%g", target);
    }
#undef ADD
}

/* The text as a file of that name is the table so described. */
static inline void check_table(const char *name, const char *text, const cj_dataset_opts *opts,
                               const char *expected)
{
    cj_context *cj = test_context();
    char found[512];
    cj_dataset *ds = cj__table_parse(cj, name, text, strlen(text), opts);
    assert_parsed(cj, ds);
    describe(ds, found, sizeof found);
    assert_string_equal(found, expected);
    cj_context_free(cj);
}
/* It is none, with this message, and leaves nothing behind. */
static inline void check_no_table(const char *name, const char *text, const cj_dataset_opts *opts,
                                  cj_status status, const char *message)
{
    cj_context *cj = test_context();
    cj_dataset *ds = cj__table_parse(cj, name, text, strlen(text), opts);
    if (ds) fail_msg("accepted, but expected: %s", message);
    assert_message(cj, status, message);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* A table of a file of that name, with options behind what is expected; and one that is refused. */
#define FILE_TABLE(file, text, expected, ...) \
    check_table(file, text, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, expected)
#define NO_FILE_TABLE(file, text, status, message, ...) \
    check_no_table(file, text, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, status, message)

static inline int hex(int c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Is the cell the one that *p describes ("-" or bytes in hexadecimal)? Passes the description. */
static inline void check_golden_cell(const cj__cell *cell, const char **p, const char *end)
{
    uint32_t n = 0;
    if (**p == '-') ++*p;
    for (; *p < end && **p != ' ' && **p != '\n'; *p += 2, n++) {
        assert_true(n < cell->length);
        assert_int_equal((unsigned char)cell->text[n], hex((*p)[0]) * 16 + hex((*p)[1]));
    }
    assert_int_equal(cell->length, n);
    ++*p;
}

/* The cells of the one file are what stands in the other, a line a row. In a sheet with columns the
 * first line has their names. */
static inline void check_golden_cells(const char *format, const char *file, const char *golden,
                                      const cj_dataset_opts *opts)
{
    cj_context *cj = test_context();
    cj__file_bytes text, cells;
    cj__sheet sheet;
    char path[1200];
    size_t row = 0;
    snprintf(path, sizeof path, GOLDEN "%s", file);
    assert_int_equal(cj__file_load(cj, path, 0, &text), CJ_OK);
    snprintf(path, sizeof path, GOLDEN "%s", golden);
    assert_int_equal(cj__file_load(cj, path, 0, &cells), CJ_OK);
    cj__sheet_init(&sheet, cj, file);
    const cj__file_format *f = cj__format_for(cj, file, &(cj_dataset_opts){.format = format});
    assert_non_null(f);
    if (f->parse(&sheet, (const char *)text.data, text.size, opts)) fail_msg("%s", cj_message(cj));
    const char *p = (const char *)cells.data, *end = p + cells.size;
    for (int c = 0; c < sheet.column_count; c++) {
        cj__cell name = cj__cell_of(sheet.columns[c].name, strlen(sheet.columns[c].name));
        check_golden_cell(&name, &p, end);
    }
    for (; p < end; row++) {
        assert_true(row < sheet.row_count);
        int n = sheet.keyed ? sheet.column_count : sheet.rows[row].cells;
        for (int c = 0; c < n; c++) check_golden_cell(cj__sheet_cell(&sheet, row, c), &p, end);
    }
    assert_int_equal(row, sheet.row_count);
    cj__sheet_release(&sheet);
    cj__file_unload(&text);
    cj__file_unload(&cells);
    cj_context_free(cj);
}

#endif
