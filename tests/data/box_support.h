/* box_support.h: data sets with boxes as texts, for the tests of their formats. */
#ifndef CAJAL_TESTS_BOX_SUPPORT_H
#define CAJAL_TESTS_BOX_SUPPORT_H

#include "folder_support.h"

/* "1: cat 0.5 0 1 1; 2: ...": the first value of each picture and its boxes. */
static inline void describe_boxes(cj_dataset *ds, char *out, size_t size)
{
    const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
    unsigned char pixels[1024];
    float boxes[20 * 5];
    assert_int_equal(y->kind, CJ_FIELD_BOXES);
    assert_string_equal(y->name, "boxes");
    assert_int_equal(y->role, CJ_FIELD_TARGET);
    assert_true(y->shape[0] <= 20 && x->shape[0] * x->shape[1] * x->shape[2] <= 1024);
    out[0] = 0;
    for (int64_t i = 0; i < cj_dataset_count(ds); i++) {
        assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_OK);
        assert_int_equal(cj_dataset_read(ds, &i, 1, 1, boxes), CJ_OK);
        snprintf(out + strlen(out), size - strlen(out), "%s%d:", i ? "; " : "",
                 pixels[(x->shape[0] / 2 * x->shape[1] + x->shape[1] / 2) * x->shape[2]]);
        bool behind = false;
        for (int64_t k = 0; k < y->shape[0]; k++) {
            const float *b = boxes + k * 5;
            if (b[0] < 0) {
                behind = true;
                assert_true(b[0] == -1 && b[1] == 0 && b[2] == 0 && b[3] == 0 && b[4] == 0);
                continue;
            }
            assert_false(behind);
            snprintf(out + strlen(out), size - strlen(out), " %s %g %g %g %g",
                     y->class_names[(int)b[0]], b[1], b[2], b[3], b[4]);
        }
    }
}

static inline void check(const char *name, const cj_dataset_opts *opts, int64_t most,
                         const char *expected)
{
    cj_context *cj = test_context();
    char found[600];
    cj_dataset_opts o = *opts;
    o.source = in_root(name);
    cj_dataset *ds = (cj_dataset_open)(cj, &o);
    assert_parsed(cj, ds);
    describe_boxes(ds, found, sizeof found);
    assert_string_equal(found, expected);
    assert_int_equal(cj_dataset_field(ds, 1)->shape[0], most);
    cj_dataset_free(ds);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

#define OPEN(name, most, expected, ...) \
    check(name, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, most, expected)

#endif
