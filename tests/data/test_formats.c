/* test_formats.c: tables of every text format: what others read in the same files (golden files by
 * tools/golden/tables.py), and what all of them have in common. */
#include "data_support.h"

/* ---- Golden files ---------------------------------------------------------------------------- */

static void cells_as_others_read_them(void **state)
{
    (void)state;
    cj_dataset_opts none = {.struct_size = 0};
    check_golden_cells("jsonl", "jsonl.jsonl", "jsonl.hex", &none);
    check_golden_cells("fixed_width", "fixed_width.fwf", "fixed_width.hex", &none);
}

/* A line a sample: the label, and its features as f32, which must be the same bits. */
static void check_golden_numbers(const char *file, const char *golden, int64_t samples, int columns,
                                 int first_column, cj_dataset_opts opts)
{
    cj_context *cj = test_context();
    char path[1200], line[4096];
    snprintf(path, sizeof path, GOLDEN "%s", file);
    opts.source = path;
    cj_dataset *ds = (cj_dataset_open)(cj, &opts);
    assert_parsed(cj, ds);
    const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
    assert_int_equal(cj_dataset_count(ds), samples);
    assert_int_equal(x->columns, columns);
    if (first_column >= 0) {
        snprintf(line, sizeof line, "x%d", first_column);
        assert_string_equal(x->column_info[0].name, line);
    }
    snprintf(path, sizeof path, GOLDEN "%s", golden);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int64_t i = 0; i < samples; i++) {
        float values[64];
        int32_t label;
        char *p = line;
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(cj_dataset_read(ds, &i, 1, 0, values), CJ_OK);
        assert_int_equal(cj_dataset_read(ds, &i, 1, 1, &label), CJ_OK);
        long wanted = strtol(p, &p, 10);
        if (first_column >= 0) assert_int_equal(strtol(y->class_names[label], NULL, 10), wanted);
        else assert_int_equal(label, wanted);
        for (int c = 0; c < columns; c++) {
            float expected = strtof(p, &p);
            if (memcmp(&values[c], &expected, sizeof expected) != 0 &&
                (values[c] != 0 || expected != 0))
                fail_msg("%s: sample %d, column %d: %.9g, expected %.9g", file, (int)i, c,
                         values[c], expected);
        }
    }
    assert_null(fgets(line, sizeof line, f));
    fclose(f);
    cj_context_free(cj);
}

static void numbers_as_scikit_learn_and_scipy_read_them(void **state)
{
    (void)state;
    const cj_dataset_opts none = {.struct_size = 0};
    check_golden_numbers("svmlight.svm", "svmlight.txt", 60, 40, 1, none);
    check_golden_numbers("svmlight0.svm", "svmlight0.txt", 60, 40, 0, none);
    check_golden_numbers("arff.arff", "arff.txt", 48, 3, -1,
                         (cj_dataset_opts){.missing = CJ_MISSING_DROP});
}

/* The same samples from every format: bit for bit the same features and labels. */
static void iris_in_every_format(void **state)
{
    (void)state;
    static const char *const files[] = {"iris.csv", "iris.jsonl", "iris.arff", "iris.fwf",
                                        "iris.svm"};
    cj_context *cj = test_context();
    cj_dataset *first = NULL;
    for (size_t f = 0; f < CJ__COUNT(files); f++) {
        char path[1200];
        snprintf(path, sizeof path, GOLDEN "%s", files[f]);
        cj_dataset *ds = cj_dataset_open(cj, path);
        assert_parsed(cj, ds);
        if (!first) first = ds;
        const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
        assert_int_equal(cj_dataset_count(ds), 150);
        assert_true(x->columns == 4 && y->classes == 3);
        for (int c = 0; c < 4 && f < 4; c++)
            assert_string_equal(x->column_info[c].name,
                                cj_dataset_field(first, 0)->column_info[c].name);
        assert_string_equal(y->class_names[2], f < 4 ? "Iris-virginica" : "2");
        for (int64_t i = 0; i < 150; i++) {
            float a[4], b[4];
            int32_t la, lb;
            assert_int_equal(cj_dataset_read(first, &i, 1, 0, a), CJ_OK);
            assert_int_equal(cj_dataset_read(ds, &i, 1, 0, b), CJ_OK);
            assert_int_equal(cj_dataset_read(first, &i, 1, 1, &la), CJ_OK);
            assert_int_equal(cj_dataset_read(ds, &i, 1, 1, &lb), CJ_OK);
            assert_memory_equal(a, b, sizeof a);
            assert_int_equal(la, lb);
        }
    }
    cj_context_free(cj);
}

/* ---- What all have in common ----------------------------------------------------------------- */

static void the_format_is_chosen(void **state)
{
    (void)state;
    static const char lines[] = "{\"a\":1,\"y\":2.5}\n";
    FILE_TABLE("t.csv", lines, "a | target: 1>2.5", .format = "jsonl");
    FILE_TABLE("t", "a,y\n1,2.5\n", "a | target: 1>2.5", .limit = 0);
    FILE_TABLE("t.tsv", "a\ty\n1\t2,5\n2\t3,5\n", "a | label(2,5,3,5): 1>0 2>1", .limit = 0);
    FILE_TABLE("t.tsv", "{\"a\":1,\"y\":2.5}\n", "a | target: 1>2.5", .format = "jsonl");
    NO_FILE_TABLE("t.csv", lines, CJ_ERR_ARGUMENT,
             "t.csv: unknown format 'jsnol' (did you mean 'jsonl'?)", .format = "jsnol");
    NO_FILE_TABLE("t.csv", lines, CJ_ERR_ARGUMENT,
             "t.csv: unknown format 'parquet'; there are csv, jsonl, arff, svmlight, fixed_width, "
             "npy, npz, idx, cifar, coco",
             .format = "parquet");
    NO_FILE_TABLE("t.csv", lines, CJ_ERR_ARGUMENT, "t.csv: npy is no format of tables",
                  .format = "npy");
    NO_FILE_TABLE("t.csv", lines, CJ_ERR_ARGUMENT,
             "t.csv: widths are for format=fixed_width, not for csv", .format = "csv",
             .widths = "3");
    NO_FILE_TABLE("t.arff", lines, CJ_ERR_ARGUMENT,
             "t.arff: a delimiter is for format=csv, not for arff", .delimiter = ';');
}

static void rows_of_formats(void **state)
{
    (void)state;
    static const struct {
        const char *path, *format;
    } cases[] = {{"a.csv", "csv"},          {"a.tsv.gz", "csv"}, {"a.ndjson.gz", "jsonl"},
                 {"x/a.arff", "arff"},      {"a.libsvm", "svmlight"}, {"a.npz", "npz"},
                 {"t-images-idx3-ubyte.gz", "idx"}, {"a.bin", "cifar"},
                 {"b.json", "coco"},        {"a", NULL},
                 {"csv", NULL},             {".csv", NULL}, {"", NULL}};
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        const cj_file_format *f = cj_file_format_of(cases[i].path);
        if (!cases[i].format) assert_null(f);
        else assert_string_equal(f->name, cases[i].format);
    }
    int n = 0;
    for (const cj_file_format *f; (f = cj_file_format_at(n)); n++) {
        assert_ptr_equal(cj_file_format_find(f->name), f);
        assert_true(f->doc[0] && f->suffixes[0]);
    }
    assert_int_equal(n, 10);
    assert_null(cj_file_format_at(-1));
    assert_null(cj_file_format_find("nothing"));
}

static void what_no_text_may_have(void **state)
{
    (void)state;
    static const char *const files[] = {"t.csv", "t.jsonl", "t.arff", "t.svm", "t.fwf"};
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(files); i++) {
        char message[200];
        assert_null(cj__table_parse(cj, files[i], "1 \0\n", 4, &(cj_dataset_opts){.limit = 0}));
        snprintf(message, sizeof message, "%s: line 1: a zero byte: this is no text file",
                 files[i]);
        assert_message(cj, CJ_ERR_FORMAT, message);
        assert_null(cj__table_parse(cj, files[i], "\xff\xfe" "1\0", 4,
                                    &(cj_dataset_opts){.limit = 0}));
        snprintf(message, sizeof message, "%s: is UTF-16 text; save it as UTF-8", files[i]);
        assert_message(cj, CJ_ERR_FORMAT, message);
        assert_null(cj__table_parse(cj, files[i], NULL, 0, &(cj_dataset_opts){.limit = 0}));
    }
    cj_context_free(cj);
}

/* Cells of 10 MB, in the places where each format has cells; and as many columns as fit. */
static void cells_and_columns_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *file, *before, *after;
    } cases[] = {{"t.jsonl", "{\"a\":\"", "\"}"},
                 {"t.arff", "@attribute a string\n@data\n'", "'"},
                 {"t.svm", "1 1:", ""},
                 {"t.fwf", "", ""}};
    const size_t large = 10 << 20;
    char *text = malloc(large + 100), message[200];
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        size_t n = strlen(cases[i].before);
        memcpy(text, cases[i].before, n);
        memset(text + n, '1', large);
        strcpy(text + n + large, cases[i].after);
        assert_null(cj__table_parse(cj, cases[i].file, text, strlen(text),
                                    &(cj_dataset_opts){.limit = 0}));
        snprintf(message, sizeof message, "%s: line %d: a cell is longer than 1048576 bytes",
                 cases[i].file, i == 1 ? 3 : 1);
        assert_message(cj, CJ_ERR_LIMIT, message);
    }
    memset(text, '[', large);
    assert_null(cj__table_parse(cj, "t.jsonl", text, large, &(cj_dataset_opts){.limit = 0}));
    assert_message(cj, CJ_ERR_LIMIT, "t.jsonl: line 1: byte 65: nested deeper than 64");
    for (size_t i = 0; i < large; i += 2) memcpy(text + i, "1 ", 2);
    assert_null(cj__table_parse(cj, "t.fwf", text, large, &(cj_dataset_opts){.limit = 0}));
    assert_message(cj, CJ_ERR_LIMIT, "t.fwf: more than 65536 columns");
    *text = '[';
    for (size_t i = 1; i < large; i += 2) memcpy(text + i, "1,", 2);
    assert_null(cj__table_parse(cj, "t.jsonl", text, 400000, &(cj_dataset_opts){.limit = 0}));
    assert_int_equal(cj_last_status(cj), CJ_ERR_FORMAT); /* the list is not closed */
    text[399998] = ']';
    assert_null(cj__table_parse(cj, "t.jsonl", text, 399999, &(cj_dataset_opts){.limit = 0}));
    assert_message(cj, CJ_ERR_LIMIT, "t.jsonl: line 1: more than 65536 columns");
    free(text);
    cj_context_free(cj);
}

/* What is no UTF-8 is as good a text as another, but in JSON, which is UTF-8. */
static void bytes_pass_through(void **state)
{
    (void)state;
    FILE_TABLE("t.csv", "a,\xff\n1,\xfe\n2,\xfd\n", "a | label(\xfd,\xfe): 1>1 2>0", .limit = 0);
    FILE_TABLE("t.arff", "@attribute a real\n@attribute y {\xfe,\xfd}\n@data\n1,\xfd\n",
          "a | label(\xfe,\xfd): 1>1", .limit = 0);
    FILE_TABLE("t.fwf", "1 \xff\n2 \xfd\n3 \xfd\n", "x0 | label(\xfd,\xff): 1>1 2>0 3>0",
               .limit = 0);
}

/* ---- Weights --------------------------------------------------------------------------------- */

static void weights_of_samples(void **state)
{
    (void)state;
    static const char text[] = "a,w,y\n1,2,u\n2,0.5,v\n3,0,u\n";
    FILE_TABLE("t.csv", text, "a | label(u,v): 1>0*2 2>1*0.5 3>0*0", .weight = "w");
    FILE_TABLE("t.csv", text, "a | label(u,v): 1>0*2 2>1*0.5 3>0*0", .weight = "1");
    FILE_TABLE("t.csv", text, "a | label(u,v): 1>0*2 2>1*0.5 3>0*0", .weight = "-2", .target = "y");
    FILE_TABLE("t.csv", text, "a y{u,v} : 1,0*2 2,1*0.5 3,0*0", .weight = "w", .no_target = true);
    FILE_TABLE("t.csv", "a,y,w\n1,2.5,1\n2,3.5,4\n", "a | target: 1>2.5*1 2>3.5*4", .weight = "w");
    FILE_TABLE("t.csv", "a,y,w\n1,2.5,1\n2,3.5,\n", "a | target: 1>2.5*1", .weight = "w",
          .missing = CJ_MISSING_DROP);
    FILE_TABLE("t.csv", "2,1,u\n1,2,v\n", "x1 | label(u,v): 1>0*2 2>1*1", .weight = "0");
    FILE_TABLE("t.jsonl", "{\"a\":1,\"y\":2.5,\"w\":1}\n", "a | target: 1>2.5*1", .weight = "w");
    FILE_TABLE("t.svm", "1 1:2 2:5\n2 2:6\n", "x2 | label(1,2): 5>0*2 6>1*0", .weight = "x1",
          .types = "target:categorical");
    NO_FILE_TABLE("t.csv", "a,w,y\n1,2,u\n\n2,-0.5,v\n", CJ_ERR_DATA,
             "t.csv: a negative weight '-0.5' in the data (row 2, line 4, column 'w')",
             .weight = "w");
    NO_FILE_TABLE("t.csv", "a,w,y\n1,2,u\n2,nan,v\n", CJ_ERR_DATA,
             "t.csv: NaN 'nan' in the data (row 2, line 3, column 'w'); fill it in, or leave such "
             "rows out with missing=drop",
             .weight = "w");
    NO_FILE_TABLE(
        "t.csv", "a,w,y\n1,2,u\n2,,v\n", CJ_ERR_DATA,
        "t.csv: missing value '' in the data (row 2, line 3, column 'w'); fill it in, or leave "
        "such rows out with missing=drop",
        .weight = "w");
    NO_FILE_TABLE("t.csv", "a,w,y\n1,2,u\n2,inf,v\n", CJ_ERR_DATA,
             "t.csv: infinity 'inf' in the data (row 2, line 3, column 'w')", .weight = "w");
    NO_FILE_TABLE("t.csv", "a,w,y\n1,2,u\n2,x,v\n", CJ_ERR_DATA,
             "t.csv: a number is needed, not 'x' in the data (row 2, line 3, column 'w')",
             .weight = "w");
    NO_FILE_TABLE("t.csv", text, CJ_ERR_NOT_FOUND,
             "t.csv: weight: there is no column 'v'; the 3 columns are 'a' to 'y'", .weight = "v");
    NO_FILE_TABLE("t.csv", text, CJ_ERR_NOT_FOUND,
             "t.csv: weight=3: there are 3 columns, numbered from 0", .weight = "3");
    NO_FILE_TABLE("t.csv", text, CJ_ERR_ARGUMENT,
                  "t.csv: column 'w' is both the target and the weight", .weight = "w",
                  .target = "w");
    NO_FILE_TABLE("t.csv", text, CJ_ERR_ARGUMENT,
                  "t.csv: column 'w' is both the weight and dropped", .weight = "w", .drop = "w");
}

/* The model does not know the weights: they may be there or not. */
static void weights_beside_a_model(void **state)
{
    (void)state;
    static const cj_column known[] = {{"a", CJ_COLUMN_NUMERIC, 0, NULL}},
                           unnamed[] = {{"x1", CJ_COLUMN_NUMERIC, 0, NULL}};
    FILE_TABLE("t.csv", "a,w,y\n1,2,0.5\n", "a | target: 1>0.5*2", .weight = "w", .columns = 1,
          .column_info = known);
    FILE_TABLE("t.csv", "w,a\n2,1\n", "a : 1", .columns = 1, .column_info = known,
               .no_target = true);
    FILE_TABLE("t.csv", "a\n1\n", "a : 1", .columns = 1, .column_info = known, .no_target = true,
          .header = CJ_HEADER_YES);
    FILE_TABLE("t.csv", "2,1,0.5\n3,4,1.5\n", "x1 | target: 1>0.5*2 4>1.5*3", .weight = "0",
          .columns = 1, .column_info = unnamed);
    NO_FILE_TABLE("t.csv", "a,y\n1,0.5\n", CJ_ERR_ARGUMENT,
             "t.csv: column 'a' is both the weight and an input of the model", .weight = "a",
             .columns = 1, .column_info = known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_as_others_read_them),
        cmocka_unit_test(numbers_as_scikit_learn_and_scipy_read_them),
        cmocka_unit_test(iris_in_every_format),
        cmocka_unit_test(the_format_is_chosen),
        cmocka_unit_test(rows_of_formats),
        cmocka_unit_test(what_no_text_may_have),
        cmocka_unit_test(cells_and_columns_are_bounded),
        cmocka_unit_test(bytes_pass_through),
        cmocka_unit_test(weights_of_samples),
        cmocka_unit_test(weights_beside_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
