/* test_open.c: names, paths and places; and the real data sets that are there. */
#define _POSIX_C_SOURCE 200809L
#include "data_support.h"

static void words_that_are_no_data_set(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    assert_null(cj_dataset_open(cj, "fashion-mnis"));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "unknown data set 'fashion-mnis' (did you mean 'fashion-mnist'?); a path has a "
                   "slash (./fashion-mnis) or "
                   "ends in .csv, .tsv, .txt, .jsonl, .ndjson, .arff, .svm, .svmlight, .libsvm, "
                   ".fwf, .npy, .npz, -ubyte, .bin, .json, .gz");
    assert_null(cj_dataset_open(cj, ""));
    assert_message(cj, CJ_ERR_ARGUMENT, "data set: no name and no path given");
    assert_null(cj_dataset_open(cj, NULL));
    assert_null(cj_dataset_open(cj, "nothing.csv"));
    assert_message(cj, CJ_ERR_NOT_FOUND, "nothing.csv: no such file or folder");
    assert_null(cj_dataset_open(cj, "./nothing"));
    assert_message(cj, CJ_ERR_NOT_FOUND, "./nothing: no such file or folder");
    assert_null(cj_dataset_open(cj, "mnist", .split = "tests"));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "data set mnist: split='tests' is none of train, test, all, auto, validation");
    assert_null(cj_dataset_open(cj, "mnist", .limit = -1));
    assert_message(cj, CJ_ERR_ARGUMENT, "data set mnist: limit=-1 is negative");
    cj_context_free(cj);
}

static void a_missing_set_says_where_it_was_looked_for(void **state)
{
    (void)state;
    char *data = getenv("CAJAL_DATA") ? strdup(getenv("CAJAL_DATA")) : NULL;
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    cj_context *cj = test_context();
    setenv("CAJAL_DATA", "/nowhere/data", 1);
    setenv("HOME", "/nowhere/home", 1);
    assert_null(cj_dataset_open(cj, "mnist"));
    assert_message(cj, CJ_ERR_NOT_FOUND,
                   "data set 'mnist' was not found; looked in /nowhere/data/mnist, "
                   "/nowhere/home/.cache/cajal/mnist, "
                   "/usr/share/datasets/mnist, /nowhere/data. To get it: put the four files "
                   "train-images-idx3-ubyte, "
                   "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte "
                   "(plain or .gz) into one of "
                   "these folders, or name the folder as data=./FOLDER");
    unsetenv("CAJAL_DATA");
    assert_null(cj_dataset_open(cj, "mnist"));
    assert_non_null(strstr(cj_message(cj),
                           "looked in /nowhere/home/.cache/cajal/mnist, /usr/share/datasets/mnist "
                           "(and CAJAL_DATA is not set). To get it: "));
    assert_null(cj_dataset_open(cj, "fashion-mnist", .folder = "/nowhere"));
    assert_message(cj, CJ_ERR_NOT_FOUND,
                   "data set 'fashion-mnist' was not found; looked in /nowhere/fashion-mnist, "
                   "/nowhere. To get it: apt-get "
                   "install dataset-fashion-mnist (Debian), or put its four IDX files (plain or "
                   ".gz) into one of these folders");
    if (data) setenv("CAJAL_DATA", data, 1);
    if (home) setenv("HOME", home, 1);
    free(data);
    free(home);
    cj_context_free(cj);
}

static cj_dataset *open_own(cj_context *cj, const cj_dataset_row *row, const cj_dataset_opts *opts)
{
    float v[2] = {1, (float)opts->limit};
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){2, 1}, v);
    (void)row;
    cj_dataset *ds = cj_dataset_from_tensors(cj, t, NULL);
    cj_tensor_free(t);
    return ds;
}

static void programs_have_rows_of_their_own(void **state)
{
    (void)state;
    static const cj_dataset_row own = {
        .name = "own.csv", .doc = "two numbers", .how_to_get = "it is here", .open = open_own};
    cj_context *cj = test_context();
    assert_int_equal(cj_dataset_register(cj, &own), CJ_OK);
    assert_int_equal(cj_dataset_register(cj, &own), CJ_ERR_EXISTS);
    assert_int_equal(cj_dataset_register(cj, &(cj_dataset_row){.name = "x"}), CJ_ERR_ARGUMENT);
    cj_dataset *ds = cj_dataset_open(cj, "own.csv", .limit = 5);
    float v;
    assert_int_equal(cj_dataset_read(ds, (int64_t[]){1}, 1, 0, &v), CJ_OK);
    assert_true(v == 5);
    assert_null(cj_dataset_open(cj, "own.csv", .weight = "w"));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "memory: is no table, so weight='w' names none of its columns");
    assert_null(cj_dataset_open(cj, "own.csv", .format = "csv"));
    assert_message(cj, CJ_ERR_NOT_FOUND, "own.csv: no such file or folder");
    assert_ptr_equal(cj_dataset_row_at(cj, 0), &own);
    assert_string_equal(cj_dataset_row_at(cj, 1)->name, "fashion-mnist");
    assert_string_equal(cj_dataset_row_at(cj, 2)->name, "mnist");
    assert_null(cj_dataset_row_at(cj, 5));
    cj_context_free(cj);
}

/* ---- Real data ------------------------------------------------------------------------------- */

static void check_real(cj_context *cj, const char *file, const char *name, int64_t rows,
                       int columns, const char *first_column, int classes, const char *first_class)
{
    const char *path = real_file(file);
    if (!path) return;
    cj_dataset *ds = cj_dataset_open(cj, path, .missing = CJ_MISSING_DROP, .target = name);
    assert_parsed(cj, ds);
    const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
    assert_int_equal(cj_dataset_count(ds), rows);
    assert_int_equal(x->columns, columns);
    assert_string_equal(x->column_info[0].name, first_column);
    assert_int_equal(y->classes, classes);
    if (classes) assert_string_equal(y->class_names[0], first_class);
    else assert_string_equal(y->name, "target");
}

static void real_tables(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    check_real(cj, "tabular/iris.csv", NULL, 150, 4, "x0", 3, "setosa");
    check_real(cj, "tabular/breast_cancer.csv", NULL, 569, 30, "x0", 2, "malignant");
    check_real(cj, "tabular/wine_data.csv", NULL, 178, 13, "x0", 3, "class_0");
    check_real(cj, "tabular/boston_house_prices.csv", NULL, 506, 13, "CRIM", 0, NULL);
    check_real(cj, "tabular/diabetes.csv", NULL, 442, 10, "age", 0, NULL);
    check_real(cj, "tabular/penguins.csv", "species", 333, 6, "island", 3, "Adelie");
    check_real(cj, "tabular/titanic.csv", "survived", 182, 14, "pclass", 2, "0");
    const char *path = real_file("tabular/penguins.csv");
    if (path) {
        assert_null(cj_dataset_open(cj, path));
        assert_non_null(strstr(
            cj_message(cj),
            "penguins.csv: missing value '' in the data (row 4, line 5, column 'bill_length_mm')"));
    }
    path = real_file("tabular/mpg.csv");
    if (path) {
        assert_null(cj_dataset_open(cj, path, .target = "mpg", .missing = CJ_MISSING_DROP));
        assert_non_null(
            strstr(cj_message(cj), "column 'name' has 301 different texts in 392 rows"));
        cj_dataset *ds = cj_dataset_open(cj, path, .target = "mpg", .missing = CJ_MISSING_DROP,
                                         .drop = "name");
        assert_parsed(cj, ds);
        assert_int_equal(cj_dataset_count(ds), 392);
        assert_int_equal(cj_dataset_field(ds, 0)->columns, 7);
    }
    cj_context_free(cj);
}

static void check_pictures(const char *name, int32_t first_label, int32_t first_test_label,
                           const char *class_name)
{
    cj_context *cj = test_context();
    cj_dataset *train = cj_dataset_open(cj, name, .split = "train"),
               *test = train ? cj_dataset_open(cj, name, .split = "test") : NULL;
    if (train) {
        assert_parsed(cj, test);
        int32_t label;
        const cj_field *x = cj_dataset_field(train, 0);
        assert_int_equal(cj_dataset_count(train), 60000);
        assert_int_equal(cj_dataset_count(test), 10000);
        assert_true(x->shape[0] == 28 && x->shape[1] == 28 && x->shape[2] == 1 &&
                    x->dtype == CJ_U8);
        assert_string_equal(cj_dataset_field(train, 1)->class_names[9], class_name);
        assert_int_equal(cj_dataset_read(train, (int64_t[]){0}, 1, 1, &label), CJ_OK);
        assert_int_equal(label, first_label);
        assert_int_equal(cj_dataset_read(test, (int64_t[]){0}, 1, 1, &label), CJ_OK);
        assert_int_equal(label, first_test_label);
        assert_string_equal(cj_dataset_name(train), name);
    } else {
        if (cj_last_status(cj) != CJ_ERR_NOT_FOUND && cj_last_status(cj) != CJ_ERR_UNSUPPORTED)
            fail_msg("%s", cj_message(cj));
        printf("    %s\n", cj_message(cj));
    }
    cj_context_free(cj);
}

static void real_pictures(void **state)
{
    (void)state;
    check_pictures("fashion-mnist", 9, 9, "Ankle boot");
    check_pictures("mnist", 5, 7, "9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_that_are_no_data_set),
        cmocka_unit_test(a_missing_set_says_where_it_was_looked_for),
        cmocka_unit_test(programs_have_rows_of_their_own),
        cmocka_unit_test(real_tables),
        cmocka_unit_test(real_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
