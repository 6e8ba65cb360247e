/* test_dataset.c: fields, views, splits and statistics, against brute force and numpy. */
#include "data_support.h"

#include <math.h>

static cj_dataset *numbered(cj_context *cj, int64_t n, int classes)
{
    int64_t shape[2] = {n, 2};
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, shape), *y = cj_tensor_new(cj, CJ_I32, 1, shape);
    float *v = cj_tensor_map(x, CJ_MAP_WRITE);
    int32_t *label = cj_tensor_map(y, CJ_MAP_WRITE);
    for (int64_t i = 0; i < n; i++) {
        v[2 * i] = (float)i;
        v[2 * i + 1] = -(float)i;
        label[i] = (int32_t)(i * i % classes);
    }
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x);
    cj_tensor_free(y);
    assert_parsed(cj, ds);
    return ds;
}

static int64_t number_of(const cj_dataset *ds, int64_t i)
{
    float v[2];
    assert_int_equal(cj_dataset_read(ds, &i, 1, 0, v), CJ_OK);
    assert_true(v[1] == -v[0]);
    return (int64_t)v[0];
}

static int label_of(const cj_dataset *ds, int64_t i)
{
    int32_t label;
    assert_int_equal(cj_dataset_read(ds, &i, 1, 1, &label), CJ_OK);
    return label;
}

static void tensors_become_fields(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = numbered(cj, 10, 3);
    assert_int_equal(cj_dataset_count(ds), 10);
    assert_int_equal(cj_dataset_fields(ds), 2);
    const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
    assert_string_equal(x->name, "features");
    assert_int_equal(x->rank, 1);
    assert_int_equal(x->shape[0], 2);
    assert_string_equal(y->name, "label");
    assert_int_equal(y->classes, 2); /* squares modulo 3 are 0 and 1 */
    assert_null(cj_dataset_field(ds, 2));
    assert_null(cj_dataset_field(ds, -1));
    assert_int_equal(cj_dataset_field_find(ds, "label"), 1);
    assert_int_equal(cj_dataset_field_find(ds, "lable"), -1);

    int64_t bad = 10, shape[1] = {4};
    float v[2];
    assert_int_equal(cj_dataset_read(ds, &bad, 1, 0, v), CJ_ERR_ARGUMENT);
    assert_message(cj, CJ_ERR_ARGUMENT, "memory: there is no sample 10; it has 10");
    bad = -1;
    assert_int_equal(cj_dataset_read(ds, &bad, 1, 0, v), CJ_ERR_ARGUMENT);
    bad = 0;
    assert_int_equal(cj_dataset_read(ds, &bad, 1, 2, v), CJ_ERR_ARGUMENT);
    assert_message(cj, CJ_ERR_ARGUMENT, "memory: there is no field 2; it has 2");

    cj_tensor *four = cj_tensor_new(cj, CJ_F32, 1, shape),
              *scalar = cj_tensor_scalar(cj, CJ_F32, 1);
    shape[0] = 5;
    cj_tensor *five = cj_tensor_new(cj, CJ_F32, 1, shape);
    assert_null(cj_dataset_from_tensors(cj, four, five));
    assert_message(cj, CJ_ERR_SHAPE, "data set: 4 inputs but 5 targets");
    assert_null(cj_dataset_from_tensors(cj, scalar, NULL));
    assert_non_null(cj_dataset_from_tensors(cj, four, NULL));
    cj_tensor_free(four);
    cj_tensor_free(five);
    cj_tensor_free(scalar);
    cj_context_free(cj);
}

static int freed;

static void count_free(void *user)
{
    (void)user;
    freed++;
}

static cj_status square(cj_context *cj, void *user, const int64_t *indices, int64_t n, int field,
                        void *out)
{
    (void)user;
    (void)field;
    for (int64_t i = 0; i < n; i++) {
        if (indices[i] == 666) return cj_fail(cj, CJ_ERR_DATA, "sample 666 is cursed");
        ((double *)out)[i] = (double)(indices[i] * indices[i]);
    }
    return CJ_OK;
}

static void samples_from_a_callback(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_field field = {.name = "x", .dtype = CJ_F64};
    cj_dataset_source source = {.name = "squares",
                                .count = 1000,
                                .field_count = 1,
                                .fields = &field,
                                .read = square,
                                .free = count_free};
    cj_dataset *ds = cj_dataset_new(cj, &source);
    assert_parsed(cj, ds);
    cj_dataset *half = cj_dataset_take(ds, 500, 500),
               *few = cj_dataset_select(half, (int64_t[]){7, 0, 7}, 3);
    cj_dataset_free(ds); /* the views keep what they need */
    cj_dataset_free(half);
    freed = 0;
    double v[3], many[500];
    assert_int_equal(cj_dataset_read(few, (int64_t[]){0, 1, 2}, 3, 0, v), CJ_OK);
    assert_true(v[0] == 507. * 507 && v[1] == 500. * 500 && v[2] == 507. * 507);
    cj_dataset *second = cj_dataset_take(few, 1, 1);
    assert_int_equal(cj_dataset_read(second, (int64_t[]){0}, 1, 0, v), CJ_OK);
    assert_true(v[0] == 500. * 500);
    cj_dataset_free(second);
    assert_int_equal(freed, 0);
    cj_dataset_free(few);
    assert_int_equal(freed, 1);
    assert_int_equal(cj_memory_used(cj), 0);

    ds = cj_dataset_new(cj, &source);
    int64_t list[500];
    for (int i = 0; i < 500; i++) list[i] = i + 400;
    assert_int_equal(cj_dataset_read(ds, list, 200, 0, many), CJ_OK);
    assert_int_equal(cj_dataset_read(cj_dataset_take(ds, 0, 1000), list, 500, 0, many),
                     CJ_ERR_DATA);
    assert_message(cj, CJ_ERR_DATA, "sample 666 is cursed");
    assert_null(cj_dataset_take(ds, 999, 2));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "squares: cannot take 2 samples from number 999 on; it has 1000");
    assert_null(cj_dataset_select(ds, (int64_t[]){1000}, 1));
    assert_message(cj, CJ_ERR_ARGUMENT, "squares: there is no sample 1000; it has 1000");
    assert_int_equal(cj_dataset_count(cj_dataset_select(ds, NULL, 0)), 0);
    cj_context_free(cj);
    assert_int_equal(freed, 2);
}

static void impossible_fields_are_refused(void **state)
{
    (void)state;
    static const cj_column two[2] = {{.name = "a"}, {.name = "b"}};
    static const struct {
        cj_field field;
        const char *message;
    } cases[] = {
        {{.dtype = CJ_F32}, "data set: field 0 has no name"},
        {{.name = "x"}, "data set: field 'x' has no dtype"},
        {{.name = "x", .dtype = CJ_F32, .rank = 8},
         "data set: field 'x' has rank 8; a sample has 0 to 7"},
        {{.name = "x", .dtype = CJ_F32, .rank = 1, .shape = {-1}},
         "data set: a sample of field 'x' has an impossible size"},
        {{.name = "x", .dtype = CJ_F32, .rank = 2, .shape = {INT64_MAX, 4}},
         "data set: a sample of field 'x' has an impossible size"},
        {{.name = "x", .dtype = CJ_F32, .classes = 2},
         "data set: field 'x' has classes, so it must be an integer scalar, not f32 of rank 0"},
        {{.name = "x", .dtype = CJ_I32, .rank = 2, .shape = {3, 5}, .kind = CJ_FIELD_BOXES},
         "data set: field 'x' has boxes, so it must be f32 [most, 5] with classes, not i32 of rank "
         "2"},
        {{.name = "x", .dtype = CJ_F32, .rank = 2, .shape = {3, 5}, .kind = CJ_FIELD_BOXES},
         "data set: field 'x' has boxes, so it must be f32 [most, 5] with classes, not f32 of rank "
         "2"},
        {{.name = "x", .dtype = CJ_U8, .rank = 2, .kind = CJ_FIELD_MASK, .classes = 2},
         "data set: field 'x' is a mask, so it must be i32 [height, width] with classes, not u8 of "
         "rank 2"},
        {{.name = "x", .dtype = CJ_F32, .rank = 1, .shape = {3}, .columns = 2, .column_info = two},
         "data set: field 'x' has 2 columns, so its shape must be [2]"},
    };
    cj_context *cj = test_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_dataset_source source = {
            .count = 1, .field_count = 1, .fields = &cases[i].field, .read = square};
        assert_null(cj_dataset_new(cj, &source));
        assert_string_equal(cj_message(cj), cases[i].message);
    }
    cj_field twice[2] = {{.name = "x", .dtype = CJ_F32}, {.name = "x", .dtype = CJ_F32}};
    assert_null(cj_dataset_new(
        cj, &(cj_dataset_source){.count = 1, .field_count = 2, .fields = twice, .read = square}));
    assert_string_equal(cj_message(cj), "data set: fields 0 and 1 are both called 'x'");
    assert_null(cj_dataset_new(
        cj, &(cj_dataset_source){.count = -1, .field_count = 1, .fields = twice, .read = square}));
    assert_null(
        cj_dataset_new(cj, &(cj_dataset_source){.count = 1, .field_count = 1, .fields = twice}));
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

/* ---- Splits ---------------------------------------------------------------------------------- */

/* Disjoint, complete, in order; the share of each class within one of its exact share. */
static void check_split(cj_dataset *ds, int64_t n, int classes, double fraction, uint64_t seed,
                        bool stratified)
{
    cj_dataset *train, *held;
    assert_int_equal(cj_dataset_split(ds, &train, &held, .fraction = fraction, .seed = seed,
                                      .stratify = stratified ? CJ_STRATIFY_AUTO : CJ_STRATIFY_NONE),
                     CJ_OK);
    int64_t all[8] = {0}, out[8] = {0};
    char *seen = calloc((size_t)n, 1);
    for (int part = 0; part < 2; part++) {
        cj_dataset *d = part ? held : train;
        int64_t last = -1;
        for (int64_t i = 0; i < cj_dataset_count(d); i++) {
            int64_t number = number_of(d, i);
            assert_true(number > last);
            assert_int_equal(seen[number]++, 0);
            last = number;
            all[label_of(d, i)]++;
            out[label_of(d, i)] += part;
        }
    }
    int64_t exact = (int64_t)(fraction * (double)n + 0.5);
    assert_int_equal(cj_dataset_count(train) + cj_dataset_count(held), n);
    assert_int_equal(cj_dataset_count(held), exact < 1 ? 1 : exact > n - 1 ? n - 1 : exact);
    for (int c = 0; c < classes && stratified; c++) {
        double share = (double)all[c] * (double)cj_dataset_count(held) / (double)n;
        if (fabs((double)out[c] - share) >= 1)
            fail_msg("class %d: %lld held out, share %g", c, (long long)out[c], share);
    }
    free(seen);
    cj_dataset_free(train);
    cj_dataset_free(held);
}

static void splits_keep_their_promises(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    static const int64_t sizes[] = {2, 3, 10, 101, 1000};
    static const double fractions[] = {0.001, 0.1, 0.25, 0.5, 0.9, 0.999};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < sizeof fractions / sizeof *fractions; k++)
            for (int stratified = 0; stratified < 2; stratified++) {
                cj_dataset *ds = numbered(cj, sizes[i], 7);
                check_split(ds, sizes[i], 7, fractions[k], i * 10 + k, stratified != 0);
                cj_dataset_free(ds);
            }
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void splits_come_from_their_seed(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = numbered(cj, 1000, 7), *train[3], *held[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(cj_dataset_split(ds, &train[i], &held[i], .fraction = 0.2,
                                          .seed = i == 2 ? 8 : 7),
                         CJ_OK);
    int different = 0;
    for (int64_t i = 0; i < 200; i++) {
        assert_int_equal(number_of(held[0], i), number_of(held[1], i));
        different += number_of(held[0], i) != number_of(held[2], i);
    }
    assert_true(different > 100);
    assert_int_equal(cj_dataset_split(ds, &train[0], &held[0], .fraction = 1), CJ_ERR_ARGUMENT);
    assert_message(cj, CJ_ERR_ARGUMENT, "split of memory: fraction=1 is not between 0 and 1");
    assert_null(train[0]);
    assert_int_equal(cj_dataset_split(ds, &train[0], &held[0], .fraction = (double)NAN),
                     CJ_ERR_ARGUMENT);
    ds = cj_dataset_take(ds, 3, 1);
    assert_int_equal(cj_dataset_split(ds, &train[0], &held[0], .fraction = 0.5), CJ_ERR_ARGUMENT);
    assert_message(cj, CJ_ERR_ARGUMENT, "split of memory: 1 samples cannot be cut in two");
    ds = parse(cj, "x,y\n1,0.5\n2,1.5\n", NULL);
    assert_int_equal(cj_dataset_split(ds, &train[0], &held[0], .fraction = 0.5,
                                      .stratify = CJ_STRATIFY_CLASSES),
                     CJ_ERR_ARGUMENT);
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "split of t.csv: it has no target with classes to stratify by");
    cj_context_free(cj);
}

/* ---- Statistics ------------------------------------------------------------------------------ */

static double relative(double a, double b)
{
    return fabs(a - b) / (fabs(b) > 1e-300 ? fabs(b) : 1);
}

/* numpy's numbers, of the same columns rounded to f32. 1e-13: both add up in double, in other
 * orders. */
static void check_statistics(const cj_dataset *ds, const char *name)
{
    cj__file_bytes golden;
    cj_context *cj = ds->cj;
    double found[4][64];
    int64_t channels = cj_field_channels(cj_dataset_field(ds, 0));
    assert_true(channels <= 64);
    if (cj_dataset_statistics(ds, 0, found[0], found[1], found[2], found[3]))
        fail_msg("%s", cj_message(cj));
    assert_int_equal(cj__file_load(cj, GOLDEN "statistics.txt", 0, &golden), CJ_OK);
    char *text = malloc(golden.size + 1), *line = text;
    memcpy(text, golden.data, golden.size);
    text[golden.size] = 0;
    int what = 0;
    while (*line) {
        size_t n = strcspn(line, "\n");
        char *p = line + strlen(name);
        bool ours = !strncmp(line, name, strlen(name)) && *p == ' ';
        for (int64_t c = 0; ours && c < channels; c++) {
            double expected = strtod(p, &p);
            if (relative(found[what][c], expected) > 1e-13)
                fail_msg("%s: statistic %d of channel %d is %.17g, numpy says %.17g", name, what,
                         (int)c, found[what][c], expected);
        }
        what += ours;
        line += n + (line[n] == '\n');
    }
    assert_int_equal(what, 4);
    free(text);
    cj__file_unload(&golden);
}

static void statistics_as_numpy_has_them(void **state)
{
    (void)state;
    static const char *const names[] = {"iris", "breast_cancer", "wine_data"};
    cj_context *cj = test_context();
    for (int i = 0; i < 3; i++) {
        char file[100];
        snprintf(file, sizeof file, "tabular/%s.csv", names[i]);
        const char *path = real_file(file);
        if (!path) continue;
        cj_dataset *ds = cj_dataset_open(cj, path);
        assert_parsed(cj, ds);
        check_statistics(ds, names[i]);
    }
    cj_dataset *fashion = cj_dataset_open(cj, "fashion-mnist");
    if (fashion) check_statistics(fashion, "fashion-mnist");
    cj_context_free(cj);
}

static void statistics_of_bad_numbers(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    float v[6] = {1, 2, 3, (float)NAN, (float)INFINITY, 6};
    double mean[2];
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 2}, v);
    cj_dataset *ds = cj_dataset_from_tensors(cj, t, NULL);
    assert_int_equal(cj_dataset_statistics(ds, 0, mean, NULL, NULL, NULL), CJ_ERR_NUMERIC);
    assert_message(cj, CJ_ERR_NUMERIC,
                   "memory: NaN in the data (field 'features', sample 1, element 1)");
    assert_int_equal(cj_dataset_statistics(cj_dataset_take(ds, 2, 1), 0, mean, NULL, NULL, NULL),
                     CJ_ERR_NUMERIC);
    assert_message(cj, CJ_ERR_NUMERIC,
                   "memory: infinity in the data (field 'features', sample 0, element 0)");
    assert_int_equal(cj_dataset_statistics(cj_dataset_take(ds, 0, 1), 0, mean, NULL, NULL, NULL),
                     CJ_OK);
    assert_true(mean[0] == 1 && mean[1] == 2);
    assert_int_equal(cj_dataset_statistics(cj_dataset_take(ds, 0, 0), 0, mean, NULL, NULL, NULL),
                     CJ_ERR_STATE);
    assert_message(cj, CJ_ERR_STATE,
                   "memory: no numbers in field 'features' to take statistics of");
    assert_int_equal(cj_dataset_statistics(ds, 1, mean, NULL, NULL, NULL), CJ_ERR_ARGUMENT);

    cj_column columns[2] = {{.name = "a"}, {.name = "b"}};
    cj_field field = {.name = "f",
                      .dtype = CJ_F32,
                      .rank = 1,
                      .shape = {2},
                      .columns = 2,
                      .column_info = columns};
    cj_tensor *again = cj_tensor_copy(t);
    ds = cj__dataset_of_samples(cj, "made", 3, 1, &field, &(cj__samples){.tensor = again});
    assert_int_equal(cj_dataset_statistics(ds, 0, mean, NULL, NULL, NULL), CJ_ERR_NUMERIC);
    assert_message(cj, CJ_ERR_NUMERIC, "made: NaN in the data (row 2, column 'b')");
    cj_tensor_free(t);
    cj_context_free(cj);
}

/* 10^8 + {1, 2, 3}: sums of squares in one pass would lose the deviation. */
static void statistics_far_from_zero(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    double v[3] = {1e8 + 1, 1e8 + 2, 1e8 + 3}, mean, std;
    cj_tensor *t = cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){3, 1}, v);
    assert_int_equal(cj_dataset_statistics(cj_dataset_from_tensors(cj, t, NULL), 0, &mean, &std,
                                           NULL, NULL),
                     CJ_OK);
    assert_true(mean == 1e8 + 2);
    assert_true(fabs(std - sqrt(2. / 3)) < 1e-15);
    cj_tensor_free(t);
    cj_context_free(cj);
}

static void option_structures_of_other_versions(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = numbered(cj, 10, 3), *a, *b;
    cj_split_opts opts = {
        .struct_size = offsetof(cj_split_opts, seed), .fraction = 0.5, .seed = 1, .stratify = 77};
    assert_int_equal((cj_dataset_split)(ds, &a, &b, &opts),
                     CJ_OK); /* an older header: the rest is not read */
    opts.struct_size = sizeof opts + 8;
    assert_int_equal((cj_dataset_split)(ds, &a, &b, &opts), CJ_ERR_ARGUMENT);
    opts.struct_size = 0;
    assert_int_equal((cj_dataset_split)(ds, &a, &b, &opts), CJ_ERR_ARGUMENT);
    assert_message(cj, CJ_ERR_ARGUMENT, "split of memory: stratify=77 is none of the choices");
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_become_fields),
        cmocka_unit_test(samples_from_a_callback),
        cmocka_unit_test(impossible_fields_are_refused),
        cmocka_unit_test(splits_keep_their_promises),
        cmocka_unit_test(splits_come_from_their_seed),
        cmocka_unit_test(statistics_as_numpy_has_them),
        cmocka_unit_test(statistics_of_bad_numbers),
        cmocka_unit_test(statistics_far_from_zero),
        cmocka_unit_test(option_structures_of_other_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
