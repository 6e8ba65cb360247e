/* test_formats.c: tables of every text format: what others read in the same files (golden files by
 * tools/golden/tables.py), and every refusal by its whole message. */
#include "data_support.h"

#define TABLE(file, text, expected, ...) \
    check_table(file, text, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, expected)
#define NO_TABLE(file, text, status, message, ...)                                              \
    check_no_table(file, text, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, status,       \
                   message)

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

/* ---- JSON lines ------------------------------------------------------------------------------ */

static void objects_a_line(void **state)
{
    (void)state;
    TABLE("t.jsonl", "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2.5}\n",
          "a | label(x,y): 1>0 2.5>1", .limit = 0);
    TABLE("t.ndjson",
          "{\"p\":{\"q\":1,\"r\":[2,3]},\"y\":0.5}\n{\"p\":{\"q\":4,\"r\":[5,6]},\"y\":1}",
          "p.q p.r.0 p.r.1 | target: 1,2,3>0.5 4,5,6>1", .limit = 0);
    TABLE("t.jsonl", "{\"a\":true,\"y\":\"u\"}\n{\"a\":false,\"y\":\"v\"}\n",
          "a{false,true} | label(u,v): 1>0 0>1", .limit = 0);
    TABLE("t.jsonl",
          "{\"a\":1,\"y\":1}\n{\"y\":2,\"a\":null}\n{\"y\":2}\n{\"a\":4,\"y\":2,\"b\":7}\n",
          "a | target: 1>1 4>2", .target = "y", .drop = "b", .types = "y:numeric",
          .missing = CJ_MISSING_DROP);
    TABLE("t.jsonl", "{\"NA\":\"NA\",\"y\":\"?\"}\n{\"NA\":\"b\",\"y\":\"!\"}",
          "NA{NA,b} | label(!,?): 0>1 1>0", .limit = 0);
    TABLE("t.jsonl", "{\"a\":1,\"y\":9007199254740993}\n{\"a\":1e2,\"y\":9007199254740992}\n",
          "a | target: 1>9.0072e+15 100>9.0072e+15", .limit = 0);
    TABLE("t.jsonl",
          " \t\r\n{\"\\u00e4\\n\":1,\"y\":\"\\ud83d\\ude00\"}\r{\"\\u00e4\\n\":2,\"y\":\"\"}",
          "\xc3\xa4\n | label(\xf0\x9f\x98\x80): 1>0", .missing = CJ_MISSING_DROP);
}

static void lists_a_line(void **state)
{
    (void)state;
    TABLE("t.jsonl", "[1,2,\"u\"]\n[3,4,\"v\"]\n", "x0 x1 | label(u,v): 1,2>0 3,4>1", .limit = 0);
    TABLE("t.jsonl", "[[1,2],\"u\"]\n[[3,null],\"v\"]\n[[5,6],\"v\"]\n",
          "x0 x1 | label(u,v): 1,2>0 5,6>1", .missing = CJ_MISSING_DROP);
    TABLE("t.jsonl", "[\"a\",\"b\"]\n[\"c\",\"d\"]\n", "x0{a,c} | label(b,d): 0>0 1>1", .limit = 0);
}

static void lines_that_are_no_json(void **state)
{
    (void)state;
    NO_TABLE("t.jsonl", "", CJ_ERR_DATA, "t.jsonl: is empty: it has no rows", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":1}\n\n{\"a\":2", CJ_ERR_FORMAT,
             "t.jsonl: line 3: byte 6: expected ',' or '}', found the end", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":1} {\"a\":2}", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 8: expected the end, found '{'", .limit = 0);
    NO_TABLE("t.jsonl", "[\n{\"a\":1}\n]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 1: expected a value, found the end", .limit = 0);
    NO_TABLE("t.jsonl", "[{\"a\":1},{\"a\":2}]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: an object within a list: an object a line is expected", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":1,\"a\":2}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: the key \"a\" appears twice in one object", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":1,\"b\":2}\n{\"b\":{\"c\":1},\"b.c\":1}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2: two values of column 'b.c'", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":1e999}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 5: the number is out of range", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":NaN}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 5: expected a value, found 'N'", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":\"\xff\"}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 6: expected UTF-8, found byte 0xff", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":\"\\u0000\"}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: a text has a zero byte (\\u0000)", .limit = 0);
    NO_TABLE("t.jsonl", "{\"\":1}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: a key is empty or has a zero byte", .limit = 0);
    NO_TABLE("t.jsonl", "5\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: a value alone: expected {...} or [...]", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":1}\n[1]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2: a list, but line 1 has an object", .limit = 0);
    NO_TABLE("t.jsonl", "[1]\n{\"a\":1}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2: an object, but line 1 has a list", .limit = 0);
    NO_TABLE("t.jsonl", "[1,2]\n[3]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2 has 1 cells, but line 1 has 2", .limit = 0);
    NO_TABLE("t.jsonl", "[]\n", CJ_ERR_FORMAT, "t.jsonl: line 1: an empty list", .limit = 0);
    NO_TABLE("t.jsonl", "{}\n{}\n", CJ_ERR_DATA, "t.jsonl: no object has a key", .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":[1,2],\"y\":1}\n{\"a\":[1],\"y\":1}\n", CJ_ERR_DATA,
             "t.jsonl: missing value '' in the data (row 2, line 2, column 'a.1'); fill it in, or "
             "leave such rows out with missing=drop",
             .limit = 0);
    NO_TABLE("t.jsonl", "{\"a\":1,\"y\":1}\n{\"a\":1,\"y\":1,\"new\":1}\n", CJ_ERR_DATA,
             "t.jsonl: missing value '' in the data (row 1, line 1, column 'new'); fill it in, or "
             "leave such rows out with missing=drop",
             .target = "y");
    NO_TABLE("t.jsonl", "{\"a\":1,\"y\":1}\n", CJ_ERR_ARGUMENT,
             "t.jsonl: its rows have no header, so header=yes cannot be", .header = CJ_HEADER_YES);
}

/* ---- ARFF ------------------------------------------------------------------------------------ */

#define HEAD \
    "@relation r\n@attribute a real\n@attribute b {red,'light blue'}\n@attribute y {v,u}\n@data\n"

static void attributes_and_rows(void **state)
{
    (void)state;
    TABLE("t.arff", HEAD "1,red,u\n2,'light blue',v\n",
          "a b{red,light blue} | label(v,u): 1,0>1 2,1>0", .limit = 0);
    TABLE("t.arff", HEAD "1 red u % as Weka\n\t2 , \"light blue\",\tv\n% no row\n\n",
          "a b{red,light blue} | label(v,u): 1,0>1 2,1>0", .limit = 0);
    TABLE("t.arff", HEAD "1,red,u\n?,red,u\n1,red,?\n", "a b{red,light blue} | label(v,u): 1,0>1",
          .missing = CJ_MISSING_DROP);
    TABLE("t.arff", HEAD "{}\n{0 -3.5, 2 u}\n{2 v, 1 'light blue'}\n",
          "a b{red,light blue} | label(v,u): 0,0>0 -3.5,0>1 0,1>0", .limit = 0);
    TABLE("t.arff", HEAD "1,red,u,{2}\n{0 4}, {0.5}\n3,red,v\n",
          "a b{red,light blue} | label(v,u): 1,0>1*2 4,0>0*0.5 3,0>0*1", .limit = 0);
    TABLE("t.arff", HEAD "1,red,u,{2}\n3,red,v\n", "b{red,light blue} | label(v,u): 0>1*1 0>0*3",
          .weight = "a");
    TABLE("t.arff", HEAD "5,red,u\n6,red,v\n", "b{red,light blue} y{v,u} | target: 0,1>5 0,0>6",
          .target = "a");
}

static void names_and_kinds(void **state)
{
    (void)state;
    TABLE("t.arff",
          "@ATTRIBUTE 'it\\'s' INTEGER\n@attribute \"a\\\"b\\\\\\tc\" { 3, 1,2 }\n"
          "@attribute s string\n@attribute d date \"yyyy-MM-dd\"\n@DATA\n"
          "1,2,'NA','2020-01-02'\n2,3,NA,'2020-01-03'\n",
          "it's a\"b\\\tc{3,1,2} s{NA} | label(2020-01-02,2020-01-03): 1,2,0>0 2,0,0>1",
          .limit = 0);
    TABLE(
        "t.arff",
        "@attribute a {NA,'?'}\n@attribute n real\n@attribute y numeric\n@data\nNA,1,0\n'?',2,1\n",
        "a{NA,?} n | target: 0,1>0 1,2>1", .limit = 0);
    TABLE("t.arff", "@attribute a {'',b}\n@attribute y {0,1}\n@data\n'',0\n{0 b}\n{}\n",
          "a{,b} | label(0,1): 0>0 1>0 0>0", .limit = 0);
    TABLE("t.arff", "@attribute a {3,1,2}\n@attribute y {0,1}\n@data\n3,0\n1.0,1\n",
          "a{3,1,2} | label(0,1): 0>0 1>1", .limit = 0);
    TABLE("t.arff", "@attribute a {3,1,2}\n@attribute y numeric\n@data\n3,0\n1,1\n",
          "a | label(0,1): 3>0 1>1", .types = "a:numeric,y:categorical");
}

static void lines_that_are_no_arff(void **state)
{
    (void)state;
#define BAD(text, message) NO_TABLE("t.arff", text, CJ_ERR_FORMAT, message, .limit = 0)
    BAD("", "t.arff: has no @data");
    BAD("@relation r\n@attribute a real\n", "t.arff: has no @data");
    BAD("@data\n1\n", "t.arff: line 1: @data, but there is no @attribute");
    BAD("`data\n", "t.arff: line 1: expected @relation, @attribute or @data, found '`data'");
    BAD("a,b\n1,2\n", "t.arff: line 1: expected @relation, @attribute or @data, found 'a'");
    BAD("@attribute\n",
        "t.arff: line 1: expected the name of an attribute, found the end of the line");
    BAD("@attribute a\n",
        "t.arff: line 1: expected numeric, real, integer, string, date or {A, B}, "
        "found the end of the line");
    BAD("@attribute a number\n",
        "t.arff: line 1: expected numeric, real, integer, string, date or {A, B}, found 'number'");
    BAD("@attribute a real 5\n", "t.arff: line 1: expected the end of the line, found '5'");
    BAD("@attribute a {}\n", "t.arff: line 1: attribute 'a' has no values");
    BAD("@attribute a {x,y\n",
        "t.arff: line 1: expected a value or '}', found the end of the line");
    BAD("@attribute 'a real\n", "t.arff: line 1: a quote is opened and never closed");
    BAD("@attribute a real\n@data\n'1\\'\n", "t.arff: line 3: a quote is opened and never closed");
    BAD(HEAD "1,red\n", "t.arff: line 6: 2 values, but there are 3 attributes");
    BAD(HEAD "1,red,u,5\n", "t.arff: line 6: 4 values, but there are 3 attributes");
    BAD(HEAD "1,,u\n",
        "t.arff: line 6: nothing stands before a comma; a missing value is written ?");
    BAD(HEAD "1,red,u,\n", "t.arff: line 6: the line ends with a comma");
    BAD(HEAD "1,red,u}\n", "t.arff: line 6: expected the end of the line, found '}'");
    BAD(HEAD "{3 u}\n", "t.arff: line 6: expected the index of an attribute, 0 to 2, found '3'");
    BAD(HEAD "{a u}\n", "t.arff: line 6: expected the index of an attribute, 0 to 2, found 'a'");
    BAD(HEAD "{2}\n", "t.arff: line 6: expected a value behind the index, found '}'");
    BAD(HEAD "{2 u, 2 v}\n", "t.arff: line 6: two values of column 'y'");
    BAD(HEAD "{2 u\n", "t.arff: line 6: expected an index or '}', found the end of the line");
    BAD(HEAD "1,red,u,{}\n", "t.arff: line 6: expected the weight of the row, found '}'");
    BAD(HEAD "1,red,u,{1 2}\n", "t.arff: line 6: expected '}' behind the weight, found '2'");
    BAD(HEAD "1,red,u,{1} 2\n", "t.arff: line 6: expected the end of the line, found '2'");
#undef BAD
    NO_TABLE("t.arff", "@attribute a relational\n", CJ_ERR_UNSUPPORTED,
             "t.arff: line 1: attribute 'a' is relational: tables within tables are not read",
             .limit = 0);
    NO_TABLE("t.arff", HEAD, CJ_ERR_DATA, "t.arff: is empty: it has no rows", .limit = 0);
    NO_TABLE("t.arff", "@attribute a {x,x}\n@attribute y real\n@data\nx,1\n", CJ_ERR_DATA,
             "t.arff: 'x' is given twice as a category of column 'a'", .limit = 0);
    NO_TABLE("t.arff", "@attribute a real\n@attribute a real\n@data\n1,1\n", CJ_ERR_DATA,
             "t.arff: two columns are called 'a' (column 1 and one before)", .limit = 0);
    NO_TABLE("t.arff", HEAD "1,green,u\n", CJ_ERR_DATA,
             "t.arff: none of the declared categories, 'green' in the data (row 1, line 6, column "
             "'b')",
             .limit = 0);
    NO_TABLE("t.arff", HEAD "1,red,w\n", CJ_ERR_DATA,
             "t.arff: label out of range: 'w' is none of the 2 classes, 'v' to 'u' (row 1, line 6, "
             "column 'y')",
             .limit = 0);
    NO_TABLE("t.arff", HEAD "x,red,u\n", CJ_ERR_DATA,
             "t.arff: a number is needed, not 'x' in the data (row 1, line 6, column 'a')",
             .limit = 0);
    NO_TABLE("t.arff", HEAD "NaN,red,u\n", CJ_ERR_DATA,
             "t.arff: NaN 'NaN' in the data (row 1, line 6, column 'a')", .limit = 0);
    NO_TABLE("t.arff", HEAD "?,red,u\n", CJ_ERR_DATA,
             "t.arff: missing value '?' in the data (row 1, line 6, column 'a'); fill it in, or "
             "leave such rows out with missing=drop",
             .limit = 0);
    NO_TABLE("t.arff", HEAD "1,red,u,{-1}\n", CJ_ERR_DATA,
             "t.arff: a negative weight '-1' in the data (row 1, line 6, column '{weight}')",
             .limit = 0);
}

/* ---- SVMlight -------------------------------------------------------------------------------- */

static void labels_and_features(void **state)
{
    (void)state;
    TABLE("t.svm", "# c\n-1 1:0.5 3:2 # x\n\n+1 2:+1\n-1\n+1\t3:1e-1 \r\n",
          "x1 x2 x3 | label(-1,1): 0.5,0,2>0 0,1,0>1 0,0,0>0 0,0,0.1>1", .limit = 0);
    TABLE("t.libsvm", "1 0:1\n2 1:1\n1 0:2\n2\n", "x0 x1 | label(1,2): 1,0>0 0,1>1 2,0>0 0,0>1",
          .limit = 0);
    TABLE("t.svmlight", "0.5 qid:1 1:1\n1.5 qid:2 2:1\n", "x1 x2 | target: 1,0>0.5 0,1>1.5",
          .limit = 0);
    TABLE("t.svm", "1 1:1\n3 1:2\n", "x1 | target: 1>1 2>3", .types = "target:numeric");
    TABLE("t.svm", "1 1:1 2:5\n3 1:2\n", "x2 target | target: 5,1>1 0,3>2", .target = "x1");
    TABLE("t.svm", "2 1:1 3:7\n1 3:8\n", "x3 target | target: 7,2>1 8,1>0", .target = "x1",
          .drop = "x2", .types = "target:numeric");
}

/* A file that does not reach the last feature of the model, or its first. */
static void features_of_a_model(void **state)
{
    (void)state;
    static const cj_column zero[] = {{"x0", CJ_COLUMN_NUMERIC, 0, NULL},
                                     {"x1", CJ_COLUMN_NUMERIC, 0, NULL},
                                     {"x2", CJ_COLUMN_NUMERIC, 0, NULL}};
    TABLE("t.svm", "1 1:5\n2 1:6\n", "x0 x1 x2 | target: 0,5,0>1 0,6,0>2", .columns = 3,
          .column_info = zero, .types = "target:numeric");
    TABLE("t.svm", "1 1:5\n2 1:6\n", "x1 x2 : 5,0 6,0", .columns = 2, .column_info = zero + 1,
          .no_target = true);
    TABLE("t.svm", "1 1:5 9:1\n2 1:6\n", "x1 x2 : 5,0 6,0", .columns = 2, .column_info = zero + 1,
          .no_target = true);
}

static void lines_that_are_no_svmlight(void **state)
{
    (void)state;
#define BAD(text, message) NO_TABLE("t.svm", text, CJ_ERR_FORMAT, message, .limit = 0)
    BAD("1:2 2:3\n", "t.svm: line 1: expected a label and INDEX:VALUE behind it, found '1:2'");
    BAD("yes 1:1\n", "t.svm: line 1: expected a label and INDEX:VALUE behind it, found 'yes'");
    BAD("1 2\n", "t.svm: line 1: expected INDEX:VALUE, found '2'");
    BAD("1 2:\n", "t.svm: line 1: expected INDEX:VALUE, found '2:'");
    BAD("1 :2\n", "t.svm: line 1: expected INDEX:VALUE, found ':2'");
    BAD("1 -2:2\n", "t.svm: line 1: expected INDEX:VALUE, found '-2:2'");
    BAD("1 a:2\n", "t.svm: line 1: expected INDEX:VALUE, found 'a:2'");
    BAD("1 99999999999999999999:2\n",
        "t.svm: line 1: expected INDEX:VALUE, found '99999999999999999999:2'");
    BAD("1 1:1\n1 3:1 3:2\n",
        "t.svm: line 2: feature 3 follows feature 3: indices must ascend, each once");
    BAD("1 5:1 3:2\n",
        "t.svm: line 1: feature 3 follows feature 5: indices must ascend, each once");
#undef BAD
    NO_TABLE("t.svm", "1,3 1:1\n", CJ_ERR_UNSUPPORTED,
             "t.svm: line 1: '1,3' are several labels; files with one label a line are read",
             .limit = 0);
    NO_TABLE("t.svm", "1 70000:1\n", CJ_ERR_LIMIT,
             "t.svm: line 1: feature 70000: the largest that is read is 65534, for features become "
             "a dense matrix",
             .limit = 0);
    NO_TABLE("t.svm", "1\n2\n", CJ_ERR_DATA, "t.svm: no line has a feature", .limit = 0);
    NO_TABLE("t.svm", "# nothing\n", CJ_ERR_DATA, "t.svm: is empty: it has no rows", .limit = 0);
    NO_TABLE("t.svm", "1 1:x\n", CJ_ERR_DATA,
             "t.svm: a number is needed, not 'x' in the data (row 1, line 1, column 'x1')",
             .limit = 0);
    NO_TABLE("t.svm", "1 1:1\n2 2:1e99\n", CJ_ERR_DATA,
             "t.svm: a number too large for f32, '1e99' in the data (row 2, line 2, column 'x2')",
             .limit = 0);
    NO_TABLE("t.svm", "1 1:nan\n", CJ_ERR_DATA,
             "t.svm: NaN 'nan' in the data (row 1, line 1, column 'x1'); fill it in, or leave such "
             "rows out with missing=drop",
             .limit = 0);
}

static void a_matrix_that_is_too_large(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.memory_limit_bytes = 64 << 20});
    char text[4096] = "1 60000:1\n";
    for (int i = 0; i < 1000; i++) strcat(text, "2\n");
    assert_null(cj__table_parse(cj, "t.svm", text, strlen(text), &(cj_dataset_opts){.limit = 0}));
    assert_message(cj, CJ_ERR_LIMIT,
                   "t.svm: 1001 rows of 60000 features are too large as a matrix, 240 MB; 'limit' "
                   "takes fewer rows");
    assert_parsed(cj, cj__table_parse(cj, "t.svm", text, strlen(text),
                                      &(cj_dataset_opts){.limit = 100}));
    cj_context_free(cj);
}

/* ---- Fixed width ----------------------------------------------------------------------------- */

static void columns_of_fixed_width(void **state)
{
    (void)state;
    TABLE("t.fwf", "name  age city\nAnn    41 Rome\nRosa    7 Turin\nAnn     8 Rome\n",
          "name{Ann,Rosa} age | label(Rome,Turin): 0,41>0 1,7>1 0,8>0", .limit = 0);
    TABLE("t.fwf", "1    2.5\n10 13.5\n", "x0 | target: 1>2.5 10>13.5", .limit = 0);
    TABLE("t.txt", "Ann41Rome\n\nBob 7Turin", "x0{Ann,Bob} x1 | label(Rome,Turin): 0,41>0 1,7>1",
          .widths = "3, 2,5");
    TABLE("t.dat", "a  1\nb 22\n", "x0{a,b} | target: 0>1 1>22", .format = "fixed_width",
          .types = "target:numeric");
    TABLE("t.fwf", "\xc3\xa4\xc3\xb6 1\n\xc3\xbc  2\nx  3\n",
          "x0{x,\xc3\xa4\xc3\xb6,\xc3\xbc} | target: 1>1 2>2 0>3",
          .types = "target:numeric,x0:categorical");
    TABLE("t.fwf", "a  1\n   2\nb  3\n", "x0{a,b} | target: 0>1 1>3", .missing = CJ_MISSING_DROP,
          .types = "target:numeric");
}

static void text_outside_of_the_columns(void **state)
{
    (void)state;
    char text[2000] = "";
    for (int i = 0; i < 100; i++) strcat(text, "a  1  7\n");
    strcat(text, "a  1  77\n");
    NO_TABLE("t.fwf", text, CJ_ERR_FORMAT,
             "t.fwf: line 101: '7' (character 8) is in none of the 3 columns that the first 100 "
             "lines show: give their widths",
             .limit = 0);
    strcpy(text + 800, "\n\n a 1  7\n");
    NO_TABLE("t.fwf", text, CJ_ERR_FORMAT,
             "t.fwf: line 103: 'a' (character 2) is in none of the 3 columns that the first 100 "
             "lines show: give their widths",
             .limit = 0);
    NO_TABLE("t.fwf", "ab12cd\n", CJ_ERR_FORMAT,
             "t.fwf: line 1: 'cd' follows behind the last of the columns, which are 4 characters "
             "wide",
             .widths = "2,2");
    static const char *const wrong[] = {"", "x", "3,", ",3", "3,,4", "0", "-1", "3 4", "99999999"};
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        char message[200];
        snprintf(message, sizeof message,
                 "t.fwf: widths='%s': expected the width of each column, as 5,3,10", wrong[i]);
        NO_TABLE("t.fwf", "ab12cd\n", CJ_ERR_ARGUMENT, message, .widths = wrong[i]);
    }
}

/* ---- What all have in common ----------------------------------------------------------------- */

static void the_format_is_chosen(void **state)
{
    (void)state;
    static const char lines[] = "{\"a\":1,\"y\":2.5}\n";
    TABLE("t.csv", lines, "a | target: 1>2.5", .format = "jsonl");
    TABLE("t", "a,y\n1,2.5\n", "a | target: 1>2.5", .limit = 0);
    TABLE("t.tsv", "a\ty\n1\t2,5\n2\t3,5\n", "a | label(2,5,3,5): 1>0 2>1", .limit = 0);
    TABLE("t.tsv", "{\"a\":1,\"y\":2.5}\n", "a | target: 1>2.5", .format = "jsonl");
    NO_TABLE("t.csv", lines, CJ_ERR_ARGUMENT,
             "t.csv: unknown format 'jsnol' (did you mean 'jsonl'?)", .format = "jsnol");
    NO_TABLE("t.csv", lines, CJ_ERR_ARGUMENT,
             "t.csv: unknown format 'parquet'; there are csv, jsonl, arff, svmlight, fixed_width, "
             "npy, npz, idx, cifar",
             .format = "parquet");
    NO_TABLE("t.csv", lines, CJ_ERR_ARGUMENT, "t.csv: npy is no format of tables", .format = "npy");
    NO_TABLE("t.csv", lines, CJ_ERR_ARGUMENT,
             "t.csv: widths are for format=fixed_width, not for csv", .format = "csv",
             .widths = "3");
    NO_TABLE("t.arff", lines, CJ_ERR_ARGUMENT,
             "t.arff: a delimiter is for format=csv, not for arff", .delimiter = ';');
}

static void rows_of_formats(void **state)
{
    (void)state;
    static const struct {
        const char *path, *format;
    } cases[] = {{"a.csv", "csv"},          {"a.tsv.gz", "csv"}, {"a.ndjson.gz", "jsonl"},
                 {"x/a.arff", "arff"},      {"a.libsvm", "svmlight"}, {"a.npz", "npz"},
                 {"t-images-idx3-ubyte.gz", "idx"}, {"a.bin", "cifar"}, {"a", NULL},
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
    assert_int_equal(n, 9);
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
    TABLE("t.csv", "a,\xff\n1,\xfe\n2,\xfd\n", "a | label(\xfd,\xfe): 1>1 2>0", .limit = 0);
    TABLE("t.arff", "@attribute a real\n@attribute y {\xfe,\xfd}\n@data\n1,\xfd\n",
          "a | label(\xfe,\xfd): 1>1", .limit = 0);
    TABLE("t.fwf", "1 \xff\n2 \xfd\n3 \xfd\n", "x0 | label(\xfd,\xff): 1>1 2>0 3>0", .limit = 0);
}

/* ---- Weights --------------------------------------------------------------------------------- */

static void weights_of_samples(void **state)
{
    (void)state;
    static const char text[] = "a,w,y\n1,2,u\n2,0.5,v\n3,0,u\n";
    TABLE("t.csv", text, "a | label(u,v): 1>0*2 2>1*0.5 3>0*0", .weight = "w");
    TABLE("t.csv", text, "a | label(u,v): 1>0*2 2>1*0.5 3>0*0", .weight = "1");
    TABLE("t.csv", text, "a | label(u,v): 1>0*2 2>1*0.5 3>0*0", .weight = "-2", .target = "y");
    TABLE("t.csv", text, "a y{u,v} : 1,0*2 2,1*0.5 3,0*0", .weight = "w", .no_target = true);
    TABLE("t.csv", "a,y,w\n1,2.5,1\n2,3.5,4\n", "a | target: 1>2.5*1 2>3.5*4", .weight = "w");
    TABLE("t.csv", "a,y,w\n1,2.5,1\n2,3.5,\n", "a | target: 1>2.5*1", .weight = "w",
          .missing = CJ_MISSING_DROP);
    TABLE("t.csv", "2,1,u\n1,2,v\n", "x1 | label(u,v): 1>0*2 2>1*1", .weight = "0");
    TABLE("t.jsonl", "{\"a\":1,\"y\":2.5,\"w\":1}\n", "a | target: 1>2.5*1", .weight = "w");
    TABLE("t.svm", "1 1:2 2:5\n2 2:6\n", "x2 | label(1,2): 5>0*2 6>1*0", .weight = "x1",
          .types = "target:categorical");
    NO_TABLE("t.csv", "a,w,y\n1,2,u\n\n2,-0.5,v\n", CJ_ERR_DATA,
             "t.csv: a negative weight '-0.5' in the data (row 2, line 4, column 'w')",
             .weight = "w");
    NO_TABLE("t.csv", "a,w,y\n1,2,u\n2,nan,v\n", CJ_ERR_DATA,
             "t.csv: NaN 'nan' in the data (row 2, line 3, column 'w'); fill it in, or leave such "
             "rows out with missing=drop",
             .weight = "w");
    NO_TABLE(
        "t.csv", "a,w,y\n1,2,u\n2,,v\n", CJ_ERR_DATA,
        "t.csv: missing value '' in the data (row 2, line 3, column 'w'); fill it in, or leave "
        "such rows out with missing=drop",
        .weight = "w");
    NO_TABLE("t.csv", "a,w,y\n1,2,u\n2,inf,v\n", CJ_ERR_DATA,
             "t.csv: infinity 'inf' in the data (row 2, line 3, column 'w')", .weight = "w");
    NO_TABLE("t.csv", "a,w,y\n1,2,u\n2,x,v\n", CJ_ERR_DATA,
             "t.csv: a number is needed, not 'x' in the data (row 2, line 3, column 'w')",
             .weight = "w");
    NO_TABLE("t.csv", text, CJ_ERR_NOT_FOUND,
             "t.csv: weight: there is no column 'v'; the 3 columns are 'a' to 'y'", .weight = "v");
    NO_TABLE("t.csv", text, CJ_ERR_NOT_FOUND,
             "t.csv: weight=3: there are 3 columns, numbered from 0", .weight = "3");
    NO_TABLE("t.csv", text, CJ_ERR_ARGUMENT, "t.csv: column 'w' is both the target and the weight",
             .weight = "w", .target = "w");
    NO_TABLE("t.csv", text, CJ_ERR_ARGUMENT, "t.csv: column 'w' is both the weight and dropped",
             .weight = "w", .drop = "w");
}

/* The model does not know the weights: they may be there or not. */
static void weights_beside_a_model(void **state)
{
    (void)state;
    static const cj_column known[] = {{"a", CJ_COLUMN_NUMERIC, 0, NULL}},
                           unnamed[] = {{"x1", CJ_COLUMN_NUMERIC, 0, NULL}};
    TABLE("t.csv", "a,w,y\n1,2,0.5\n", "a | target: 1>0.5*2", .weight = "w", .columns = 1,
          .column_info = known);
    TABLE("t.csv", "w,a\n2,1\n", "a : 1", .columns = 1, .column_info = known, .no_target = true);
    TABLE("t.csv", "a\n1\n", "a : 1", .columns = 1, .column_info = known, .no_target = true,
          .header = CJ_HEADER_YES);
    TABLE("t.csv", "2,1,0.5\n3,4,1.5\n", "x1 | target: 1>0.5*2 4>1.5*3", .weight = "0",
          .columns = 1, .column_info = unnamed);
    NO_TABLE("t.csv", "a,y\n1,0.5\n", CJ_ERR_ARGUMENT,
             "t.csv: column 'a' is both the weight and an input of the model", .weight = "a",
             .columns = 1, .column_info = known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_as_others_read_them),
        cmocka_unit_test(numbers_as_scikit_learn_and_scipy_read_them),
        cmocka_unit_test(iris_in_every_format),
        cmocka_unit_test(objects_a_line),
        cmocka_unit_test(lists_a_line),
        cmocka_unit_test(lines_that_are_no_json),
        cmocka_unit_test(attributes_and_rows),
        cmocka_unit_test(names_and_kinds),
        cmocka_unit_test(lines_that_are_no_arff),
        cmocka_unit_test(labels_and_features),
        cmocka_unit_test(features_of_a_model),
        cmocka_unit_test(lines_that_are_no_svmlight),
        cmocka_unit_test(a_matrix_that_is_too_large),
        cmocka_unit_test(columns_of_fixed_width),
        cmocka_unit_test(text_outside_of_the_columns),
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
