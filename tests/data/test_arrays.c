/* test_arrays.c: .npy and .npz files as data sets: classes and numbers, parts as Keras names them,
 * what is refused. (That numpy's files are read as they are is shown in tests/format.) */
#define _DEFAULT_SOURCE
#include "data_support.h"

#include <unistd.h>

#include <cajal/io.h>

static char path[] = "/tmp/cajal-arrays-XXXXXX.npz";

static cj_tensor *ints(cj_context *cj, cj_dtype dtype, int rank, const int64_t *dims, int first)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, dims);
    void *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) cj_store_i64(dtype, v, (size_t)i, first + i);
    cj_tensor_unmap(t);
    return t;
}

typedef struct array {
    const char *name;
    cj_dtype dtype;
    int rank;
    int64_t dims[4];
    int first;
} array;

static void save(cj_context *cj, int n, const array *a)
{
    cj_tensors *list = cj_tensors_new(cj);
    for (int i = 0; i < n; i++)
        assert_int_equal(cj_tensors_add(list, a[i].name,
                                        ints(cj, a[i].dtype, a[i].rank, a[i].dims, a[i].first)),
                         CJ_OK);
    assert_int_equal(cj_npz_save(cj, path, list, false), CJ_OK);
    cj_tensors_free(list);
}

static void check_field(const cj_field *f, const char *name, cj_dtype dtype, int rank,
                        const int64_t *shape, int classes)
{
    assert_non_null(f);
    assert_string_equal(f->name, name);
    assert_int_equal(f->dtype, dtype);
    assert_int_equal(f->rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(f->shape[i], shape[i]);
    assert_int_equal(f->classes, classes);
}

static void classes_and_numbers(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    save(cj, 2, (array[]){{"x", CJ_F32, 2, {4, 3}, 0}, {"y", CJ_I64, 1, {4}, 2}});
    cj_dataset *ds = cj_dataset_open(cj, path);
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_count(ds), 4);
    check_field(cj_dataset_field(ds, 0), "x", CJ_F32, 1, (int64_t[]){3}, 0);
    check_field(cj_dataset_field(ds, 1), "label", CJ_I32, 0, NULL, 6); /* 0 to 5 */
    float row[3];
    int32_t label;
    assert_int_equal(cj_dataset_read(ds, (int64_t[]){2}, 1, 0, row), CJ_OK);
    assert_true(row[0] == 6 && row[1] == 7 && row[2] == 8);
    assert_int_equal(cj_dataset_read(ds, (int64_t[]){2}, 1, 1, &label), CJ_OK);
    assert_int_equal(label, 4);
    ds = cj_dataset_open(cj, path, .classes = 10, .limit = 2);
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_count(ds), 2);
    assert_int_equal(cj_dataset_field(ds, 1)->classes, 10);
    ds = cj_dataset_open(cj, path, .no_target = true, .split = "auto");
    assert_parsed(cj, ds);
    assert_null(cj_dataset_field(ds, 1));

    save(cj, 2, (array[]){{"target", CJ_F64, 2, {4, 2}, 0}, {"data", CJ_F64, 3, {4, 5, 2}, 0}});
    ds = cj_dataset_open(cj, path);
    assert_parsed(cj, ds);
    check_field(cj_dataset_field(ds, 0), "x", CJ_F64, 2, (int64_t[]){5, 2}, 0);
    check_field(cj_dataset_field(ds, 1), "target", CJ_F32, 1, (int64_t[]){2}, 0);

    save(cj, 2, (array[]){{"X", CJ_F32, 1, {4}, 0}, {"y", CJ_F32, 1, {4}, 7}});
    ds = cj_dataset_open(cj, path);
    assert_parsed(cj, ds);
    check_field(cj_dataset_field(ds, 0), "x", CJ_F32, 1, (int64_t[]){1}, 0);
    check_field(cj_dataset_field(ds, 1), "target", CJ_F32, 1, (int64_t[]){1}, 0);
    float y;
    assert_int_equal(cj_dataset_read(ds, (int64_t[]){3}, 1, 1, &y), CJ_OK);
    assert_true(y == 10);
    cj_context_free(cj);
}

/* Keras's mnist.npz has these names. */
static void parts(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    save(cj, 4,
         (array[]){{"x_train", CJ_U8, 3, {5, 2, 3}, 0},
                   {"y_train", CJ_U8, 1, {5}, 0},
                   {"x_test", CJ_U8, 3, {2, 2, 3}, 100},
                   {"y_test", CJ_U8, 1, {2}, 3}});
    cj_dataset *train = cj_dataset_open(cj, path),
               *test = cj_dataset_open(cj, path, .split = "test"),
               *all = cj_dataset_open(cj, path, .split = "all"),
               *held_out = cj_dataset_open(cj, path, .split = "auto");
    assert_parsed(cj, train);
    assert_parsed(cj, test);
    assert_parsed(cj, all);
    assert_parsed(cj, held_out);
    assert_int_equal(cj_dataset_count(held_out), 2);
    assert_int_equal(cj_dataset_count(train), 5);
    assert_int_equal(cj_dataset_count(test), 2);
    assert_int_equal(cj_dataset_count(all), 7);
    check_field(cj_dataset_field(all, 0), "image", CJ_U8, 3, (int64_t[]){2, 3, 1}, 0);
    check_field(cj_dataset_field(all, 1), "label", CJ_I32, 0, NULL, 5);
    unsigned char pixels[6];
    assert_int_equal(cj_dataset_read(all, (int64_t[]){6}, 1, 0, pixels), CJ_OK);
    assert_int_equal(pixels[0], 106);
    cj_context_free(cj);
}

static void one_array(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    char *npy = strdup(path);
    strcpy(npy + strlen(npy) - 4, ".npy");
    cj_tensor *t = ints(cj, CJ_F32, 2, (int64_t[]){3, 4}, 0);
    assert_int_equal(cj_npy_save(cj, npy, t), CJ_OK);
    cj_tensor_free(t);
    cj_dataset *ds = cj_dataset_open(cj, npy);
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_count(ds), 3);
    assert_null(cj_dataset_field(ds, 1));
    assert_null(cj_dataset_open(cj, npy, .split = "test"));
    assert_non_null(strstr(cj_message(cj), ": has one part, split=test is none"));
    t = cj_tensor_scalar(cj, CJ_F32, 1);
    assert_int_equal(cj_npy_save(cj, npy, t), CJ_OK);
    cj_tensor_free(t);
    assert_null(cj_dataset_open(cj, npy));
    assert_non_null(strstr(cj_message(cj), ": the samples are of rank 0, expected 1 to 7"));
    remove(npy);
    free(npy);
    cj_context_free(cj);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        array a[2];
        cj_dataset_opts opts;
        const char *message;
    } wrong[] = {
        {{{"a", CJ_F32, 1, {4}, 0}, {"b", CJ_F32, 1, {4}, 0}}, {0}, "has no array x; it has a, b"},
        {{{"x", CJ_F32, 1, {4}, 0}, {"y", CJ_F32, 1, {4}, 0}},
         {.split = "test"},
         "has no array x_test; it has x, y"},
        {{{"x_train", CJ_F32, 1, {4}, 0}, {"y_train", CJ_F32, 1, {4}, 0}},
         {.split = "test"},
         "has no array x_test; it has x_train, y_train"},
        {{{"x_train", CJ_F32, 2, {4, 2}, 0}, {"x_test", CJ_F32, 2, {4, 3}, 0}},
         {.split = "all"},
         "training and test samples are of different kinds"},
        {{{"x", CJ_F32, 2, {4, 2}, 0}, {"y", CJ_I32, 1, {3}, 0}},
         {0},
         "4 samples, and targets of rank 1 and another length; one target a sample is expected"},
        {{{"x", CJ_F32, 2, {4, 2}, 0}, {"y", CJ_I32, 1, {4}, -1}},
         {0},
         "label out of range: label 0 is -1; with 65536 classes it must be 0 to 65535"},
        {{{"x", CJ_F32, 2, {4, 2}, 0}, {"y", CJ_I32, 1, {4}, 0}},
         {.classes = 3},
         "label out of range: label 3 is 3; with 3 classes it must be 0 to 2"},
        {{{"x", CJ_F32, 2, {4, 2}, 0}, {"y", CJ_I32, 1, {4}, 0}},
         {.target = "y"},
         "target, types, drop, header, delimiter, weight, widths, pictures are for tables; "
         "this has arrays"},
    };
    cj_context *cj = test_context();
    char expected[400];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        save(cj, 2, wrong[i].a);
        cj_dataset_opts o = wrong[i].opts;
        o.struct_size = sizeof o;
        o.source = path;
        assert_null((cj_dataset_open)(cj, &o));
        snprintf(expected, sizeof expected, "%s: %s", path, wrong[i].message);
        assert_string_equal(cj_message(cj), expected);
    }
    FILE *f = fopen(path, "wb");
    fputs("no archive", f);
    fclose(f);
    assert_null(cj_dataset_open(cj, path));
    assert_int_equal(cj_last_status(cj), CJ_ERR_FORMAT);
    cj_context_free(cj);
}

static int make_path(void **state)
{
    (void)state;
    int file = mkstemps(path, 4);
    return file < 0 ? -1 : close(file);
}
static int remove_path(void **state)
{
    (void)state;
    return remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes_and_numbers),
                                       cmocka_unit_test(parts), cmocka_unit_test(one_array),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
