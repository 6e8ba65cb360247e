/* test_csv.c: cells by RFC 4180, and what a table becomes; every refusal by its whole message. */
#include "data_support.h"

#include "data/format.h"

/* ---- Cells ----------------------------------------------------------------------------------- */

static void check_cells(const char *text, char delimiter, const char *expected)
{
    cj_context *cj = test_context();
    cj__sheet csv;
    char found[512] = "";
    cj__sheet_init(&csv, cj, "t.csv");
    if (cj__format_csv.parse(&csv, text, strlen(text), &(cj_dataset_opts){.delimiter = delimiter}))
        fail_msg("%s: %s", text, cj_message(cj));
    for (size_t r = 0; r < csv.row_count; r++) {
        for (int c = 0; c < csv.rows[r].cells; c++) {
            const cj__cell *cell = &csv.cells[csv.rows[r].first + (size_t)c];
            snprintf(found + strlen(found), sizeof found - strlen(found), "[%.*s]",
                     (int)cell->length, cell->text);
        }
        snprintf(found + strlen(found), sizeof found - strlen(found), "%d;", (int)csv.rows[r].line);
    }
    assert_string_equal(found, expected);
    cj__sheet_release(&csv);
    cj_context_free(cj);
}

static void cells_of_every_form(void **state)
{
    (void)state;
    check_cells("", 0, "");
    check_cells("\n\r\n\r", 0, "");
    check_cells("a", 0, "[a]1;");
    check_cells("a,b\nc,d\n", 0, "[a][b]1;[c][d]2;");
    check_cells("a,b\r\nc,d\r\n", 0, "[a][b]1;[c][d]2;");
    check_cells("a,b\rc,d", 0, "[a][b]1;[c][d]2;");
    check_cells("a,\n,b\n", 0, "[a][]1;[][b]2;");
    check_cells("a\n\n\nb\n", 0, "[a]1;[b]4;");
    check_cells("\"\"\nb\n", 0, "[]1;[b]2;");
    check_cells("\"a,b\",c\n", 0, "[a,b][c]1;");
    check_cells("\"a\nb\",c\nd,e\n", 0, "[a\nb][c]1;[d][e]3;");
    check_cells("\"a\r\nb\"\nd\n", 0, "[a\r\nb]1;[d]3;");
    check_cells("\"a\"\"b\",\"\"\"\"\n", 0, "[a\"b][\"]1;");
    check_cells("a\"b,c\n", 0, "[a\"b][c]1;");
    check_cells(" a , \"b \" ,c d\n", 0, "[a][b ][c d]1;");
    check_cells("\xef\xbb\xbf" "a,b\n", 0, "[a][b]1;");
    check_cells("\xef\xbb\xbf\"a\",b\n", 0, "[a][b]1;");
    check_cells("a;b,5;c\n1;2;3\n", 0, "[a][b,5][c]1;[1][2][3]2;");
    check_cells("a\tb\n\tc\n", 0, "[a][b]1;[][c]2;");
    check_cells("1 2 3\n4 5 6\n", ' ', "[1][2][3]1;[4][5][6]2;");
    check_cells("a,b,", 0, "[a][b][]1;");
}

static void check_refused(const char *text, size_t size, char delimiter, cj_status status,
                          const char *message)
{
    cj_context *cj = test_context();
    cj__sheet csv;
    cj__sheet_init(&csv, cj, "t.csv");
    assert_int_equal(
        cj__format_csv.parse(&csv, text, size, &(cj_dataset_opts){.delimiter = delimiter}), status);
    assert_message(cj, status, message);
    cj__sheet_release(&csv);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}
#define REFUSED(text, status, message) check_refused(text, sizeof text - 1, 0, status, message)

static void text_that_is_no_csv(void **state)
{
    (void)state;
    REFUSED("a,b\n1,\"2\n3,4\n", CJ_ERR_FORMAT,
            "t.csv: line 2: a quote is opened and never closed");
    REFUSED("\"a\"b\n", CJ_ERR_FORMAT,
            "t.csv: line 1: text follows a closing quote; a quote within quotes is written twice");
    REFUSED("a,b\n1,\0002\n", CJ_ERR_FORMAT, "t.csv: line 2: a zero byte: this is no text file");
    REFUSED("a,\"\0\"\n", CJ_ERR_FORMAT, "t.csv: line 1: a zero byte: this is no text file");
    REFUSED("\xff\xfe" "a\0", CJ_ERR_FORMAT, "t.csv: is UTF-16 text; save it as UTF-8");
    REFUSED("\xfd"
            "7zXZ\0",
            CJ_ERR_UNSUPPORTED, "t.csv: is packed with xz: unpack it first (xz -dk)");
    REFUSED("PK\3\4..", CJ_ERR_UNSUPPORTED, "t.csv: is packed with zip or bzip2: unpack it first");
    check_refused("a", 1, '"', CJ_ERR_ARGUMENT,
                  "t.csv: a quote or line end cannot be the delimiter");
}

static void cells_and_columns_are_bounded(void **state)
{
    (void)state;
    size_t size = (size_t)CJ__SHEET_CELL_BYTES_MAX + 10;
    char *text = malloc(size);
    memset(text, 'x', size);
    check_refused(text, size, 0, CJ_ERR_LIMIT,
                  "t.csv: line 1: a cell is longer than 1048576 bytes");
    text[0] = '"';
    check_refused(text, size, 0, CJ_ERR_LIMIT,
                  "t.csv: line 1: a cell is longer than 1048576 bytes");
    memset(text, ',', size);
    check_refused(text, size, 0, CJ_ERR_LIMIT, "t.csv: line 1: more than 65536 columns");
    free(text);
}

/* Python's csv module wrote the one file and read what stands in the other. */
static void cells_as_python_reads_them(void **state)
{
    (void)state;
    check_golden_cells("csv", "cells.csv", "cells.hex", &(cj_dataset_opts){.delimiter = ','});
}

/* ---- Tables ---------------------------------------------------------------------------------- */

#define TABLE(text, expected, ...) FILE_TABLE("t.csv", text, expected, __VA_ARGS__)

static void header_is_found(void **state)
{
    (void)state;
    TABLE("a,b,y\n1,2,u\n3,4,v\n5,6,u\n7,8,v\n", "a b | label(u,v): 1,2>0 3,4>1 5,6>0 7,8>1",
          .limit = 0);
    TABLE("1,2,u\n3,4,v\n", "x0 x1 | label(u,v): 1,2>0 3,4>1", .limit = 0);
    TABLE("1,2,0.5\n3,4,1.5\n", "x0 x1 | target: 1,2>0.5 3,4>1.5", .limit = 0);
    TABLE("colour,y\nred,u\nblue,v\nred,v\n", "colour{blue,red} | label(u,v): 1>0 0>1 1>1",
          .limit = 0);
    TABLE("red,u\nblue,v\nred,v\n", "x0{blue,red} | label(u,v): 1>0 0>1 1>1", .limit = 0);
    TABLE("1,2\n3,4.5\n", "1 | target: 3>4.5", .header = CJ_HEADER_YES);
    TABLE("a,y\nb,z\n", "x0{a,b} | label(y,z): 0>0 1>1", .header = CJ_HEADER_NO);
    TABLE(",y\n1,2.5\n", "x0 | target: 1>2.5", .limit = 0);
}

static void first_line_of_scikit_learn(void **state)
{
    (void)state;
    TABLE("4,1,no,yes\n1,0\n2,1\n3,1\n4,0\n", "x0 | label(no,yes): 1>0 2>1 3>1 4>0", .limit = 0);
    TABLE("2,1,,\n\"A\",\"B\"\n1,0.5\n2,1.5\n", "A | target: 1>0.5 2>1.5", .limit = 0);
    TABLE("4,1\n1,0\n2,1\n3,1\n4,0\n", "x0 | label(0,1): 1>0 2>1 3>1 4>0", .limit = 0);
    TABLE("4,1.5\n1,0.5\n2,1\n3,1\n", "x0 | target: 4>1.5 1>0.5 2>1 3>1", .limit = 0);
}

static void target_and_types(void **state)
{
    (void)state;
    static const char text[] = "a,b,y\n10,2,0.5\n9,2,1.5\n10,3,2\n9,3,2\n";
    TABLE(text, "a b | target: 10,2>0.5 9,2>1.5 10,3>2 9,3>2", .limit = 0);
    TABLE(text, "b y | label(9,10): 2,0.5>1 2,1.5>0 3,2>1 3,2>0", .target = "a");
    TABLE(text, "a y | label(2,3): 10,0.5>0 9,1.5>0 10,2>1 9,2>1", .target = "-2");
    TABLE(text, "b y | target: 2,0.5>10 2,1.5>9 3,2>10 3,2>9", .target = "0", .types = "a:numeric");
    TABLE(text, "a{9,10} b | target: 1,2>0.5 0,2>1.5 1,3>2 0,3>2",
          .types = "a:categorical, b:numeric");
    TABLE(text, "a | target: 10>0.5 9>1.5", .drop = "b", .limit = 2);
    TABLE(text, "a b y : 10,2,0.5 9,2,1.5 10,3,2 9,3,2", .no_target = true);
    TABLE("a,y\n1,0\n1.0,2\n2,0\n2,2\n", "a | label(0,1,2): 1>0 1>2 2>0 2>2", .classes = 3);
    TABLE("a,y\n1,0\n,2\n?,0\n2,\n4,1\n", "a | target: 1>0 4>1", .missing = CJ_MISSING_DROP);
    TABLE("a,y\n0,0\n1,1\n0,1\n1,0\n", "a | label(0,1): 0>0 1>1 0>1 1>0",
          .limit = 0); /* XOR-sized */
    TABLE("x,y\n0,2\n1,5\n2,8\n3,11\n", "x | target: 0>2 1>5 2>8 3>11",
          .limit = 0); /* y = 3x + 2 */
    TABLE("flag,y\nTrue,1\nFalse,2\nTrue,2\nTrue,1\n",
          "flag{False,True} | label(1,2): 1>0 0>1 1>1 1>0", .limit = 0);
}

static void columns_as_a_model_has_them(void **state)
{
    (void)state;
    static const char *const colours[] = {"red", "blue"};
    static const char *const classes[] = {"v", "u"};
    static const cj_column columns[] = {{"colour", CJ_COLUMN_CATEGORICAL, 2, colours},
                                        {"size", CJ_COLUMN_NUMERIC, 0, NULL}};
    TABLE("size,other,colour,y\n1,z,blue,u\n2,z,red,v\n",
          "colour{red,blue} size | label(v,u): 1,1>1 0,2>0", .columns = 2, .column_info = columns,
          .classes = 2, .class_names = classes, .target = "y");
    TABLE("size,colour,y\n1,red,0.5\n2,red,1\n", "colour{red,blue} size | target: 0,1>0.5 0,2>1",
          .columns = 2, .column_info = columns);
    TABLE("size,colour\n1,red\n", "colour{red,blue} size : 0,1", .columns = 2,
          .column_info = columns);
    TABLE("blue,5\nred,6\n", "colour{red,blue} size : 1,5 0,6", .columns = 2,
          .column_info = columns, .no_target = true);
    cj_context *cj = test_context();
    assert_null(parse(cj, "colour,size\nred,1\ngreen,2\n",
                      &(cj_dataset_opts){.columns = 2, .column_info = columns, .no_target = true}));
    assert_message(cj, CJ_ERR_DATA,
                   "t.csv: a category the model does not know, 'green' in the data (row 2, line 3, "
                   "column 'colour')");
    assert_null(parse(cj, "color,size\nred,1\nred,2\n",
                      &(cj_dataset_opts){.columns = 2, .column_info = columns, .no_target = true}));
    assert_message(
        cj, CJ_ERR_NOT_FOUND,
        "t.csv: the model needs its inputs: there is no column 'colour' (did you mean 'color'?)");
    assert_null(parse(cj, "colour,size\nred,1\n",
                      &(cj_dataset_opts){.columns = 2, .column_info = columns, .target = "size"}));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "t.csv: column 'size' is both the target and an input of the model");
    static const cj_column nameless[] = {{"colour", CJ_COLUMN_CATEGORICAL, 2, NULL}};
    assert_null(parse(cj, "colour,size\nred,1\n",
                      &(cj_dataset_opts){.columns = 1, .column_info = nameless}));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "t.csv: column 0 of the model lacks its name or those of its categories");
    cj_context_free(cj);
}

#define NO_TABLE(text, status, message, ...) \
    NO_FILE_TABLE("t.csv", text, status, message, __VA_ARGS__)

static void tables_that_are_refused(void **state)
{
    (void)state;
    NO_TABLE("", CJ_ERR_DATA, "t.csv: is empty: it has no rows", .limit = 0);
    NO_TABLE("a,b\n", CJ_ERR_DATA, "t.csv: has a header but no rows", .limit = 0);
    NO_TABLE("a,b,y\n1,2,3\n\n4,5\n", CJ_ERR_FORMAT, "t.csv: line 4 has 2 cells, but line 1 has 3",
             .limit = 0);
    NO_TABLE("a,y\n\"1\n2\",3\n4,5,6\n", CJ_ERR_FORMAT,
             "t.csv: line 4 has 3 cells, but line 1 has 2", .limit = 0);
    NO_TABLE("a,b,a\n1,2,3\n", CJ_ERR_DATA,
             "t.csv: two columns are called 'a' (column 2 and one before)", .limit = 0);
    NO_TABLE("a,y\n1,2\nnan,3\n", CJ_ERR_DATA,
             "t.csv: NaN 'nan' in the data (row 2, line 3, column 'a'); fill it in, or leave such "
             "rows out with missing=drop",
             .limit = 0);
    NO_TABLE("a,y\n1,2\n,3\n", CJ_ERR_DATA,
             "t.csv: missing value '' in the data (row 2, line 3, column 'a'); fill it in, or "
             "leave such rows out with missing=drop",
             .limit = 0);
    NO_TABLE("a,y\n1,2\n3,N/A\n", CJ_ERR_DATA,
             "t.csv: missing value 'N/A' in the data (row 2, line 3, column 'y'); fill it in, or "
             "leave such rows out with missing=drop",
             .limit = 0);
    NO_TABLE("a,y\n,2\n", CJ_ERR_DATA, "t.csv: every one of 1 rows has a missing value",
             .missing = CJ_MISSING_DROP);
    NO_TABLE("a,y\n1,2\n-inf,3\n", CJ_ERR_DATA,
             "t.csv: infinity '-inf' in the data (row 2, line 3, column 'a')", .limit = 0);
    NO_TABLE("a,y\n1,2.5\n1e300,3\n", CJ_ERR_DATA,
             "t.csv: a number too large for f32, '1e300' in the data (row 2, line 3, column 'a')",
             .limit = 0);
    NO_TABLE("a,y\n1,2\nx,3\n", CJ_ERR_DATA,
             "t.csv: a number is needed, not 'x' in the data (row 2, line 3, column 'a')",
             .types = "a:numeric");
    NO_TABLE("a,y\n1,2\n", CJ_ERR_NOT_FOUND,
             "t.csv: types: there is no column 'b'; the 2 columns are 'a' to 'y'",
             .types = "b:numeric");
    NO_TABLE("a,y\n1,2\n", CJ_ERR_ARGUMENT,
             "t.csv: types: 'a:number' is not NAME:numeric or NAME:categorical",
             .types = "a:number");
    NO_TABLE("age,y\n1,2\n", CJ_ERR_NOT_FOUND,
             "t.csv: drop: there is no column 'agge' (did you mean 'age'?)", .drop = "y,agge");
    NO_TABLE("a,species\n1,2\n", CJ_ERR_NOT_FOUND,
             "t.csv: target: there is no column 'spezies' (did you mean 'species'?)",
             .target = "spezies");
    NO_TABLE("a,y\n1,2\n", CJ_ERR_NOT_FOUND,
             "t.csv: target=-3: there are 2 columns, numbered from 0", .target = "-3");
    NO_TABLE("a,y\n1,2\n", CJ_ERR_ARGUMENT, "t.csv: column 'y' is both the target and dropped",
             .target = "y", .drop = "y");
    NO_TABLE("a,y\n1,2\n", CJ_ERR_ARGUMENT, "t.csv: target='y' and no_target exclude each other",
             .target = "y", .no_target = true);
    NO_TABLE("a,y\n1,2\n", CJ_ERR_DATA, "t.csv: no column is left as an input", .drop = "a");
    NO_TABLE("a,y\n1,2\n", CJ_ERR_NOT_FOUND,
             "t.csv: a table has one part and no 'test'; cut it in two by cj_dataset_split",
             .split = "test");
    NO_TABLE("2,1,no,yes\n1,0\n2,2\n", CJ_ERR_DATA,
             "t.csv: label out of range: '2' is none of the 2 classes, 'no' to 'yes' (row 2, line "
             "3, column 'target')",
             .limit = 0);
}

/* A model's classes keep their numbers, whatever the table calls them. */
static void classes_as_a_model_has_them(void **state)
{
    (void)state;
    static const char *const classes[] = {"yes", "no", "never"};
    TABLE("2,1,no,yes\n5,0\n6,1\n", "x0 | label(yes,no,never): 5>1 6>0", .classes = 3,
          .class_names = classes);
    TABLE("a,y\n5,no\n6,yes\n", "a | label(yes,no,never): 5>1 6>0", .classes = 3,
          .class_names = classes);
    TABLE("a,y\n5,2\n6,0\n", "a | label(yes,no,never): 5>2 6>0", .classes = 3,
          .class_names = classes);
    TABLE("2,1,no,yes\n5,0\n6,1\n", "x0 | label(no,yes): 5>0 6>1", .classes = 2);
    NO_TABLE("2,1,no,maybe\n5,0\n6,1\n", CJ_ERR_DATA,
             "t.csv: class 'maybe' of the first line is none of the 3 classes, 'yes' to 'never'",
             .classes = 3, .class_names = classes);
    NO_TABLE("a,y\n5,no\n6,si\n", CJ_ERR_DATA,
             "t.csv: label out of range: 'si' is none of the 3 classes, 'yes' to 'never' (row 2, "
             "line 3, column 'y')",
             .classes = 3, .class_names = classes);
    NO_TABLE("2,1,no,no,no,no\n5,0\n6,7\n", CJ_ERR_DATA,
             "t.csv: label out of range: '7' is none of the 3 classes, 'yes' to 'never' (row 2, "
             "line 3, column 'target')",
             .classes = 3, .class_names = classes);
    NO_TABLE("a,y\n5,0\n6,3\n", CJ_ERR_DATA,
             "t.csv: label out of range: '3' is none of the 3 classes, 'yes' to 'never' (row 2, "
             "line 3, column 'y')",
             .classes = 3, .class_names = classes);
}

/* Guesses that are probably wrong. */
static void doubtful_columns_are_asked_about(void **state)
{
    (void)state;
    char text[2000] = "name,age,y\n", *p = text + strlen(text);
    for (int i = 0; i < 30; i++) p += sprintf(p, "n%d,%d%s,%d\n", i, i, i == 17 ? "a" : "", i % 2);
    NO_TABLE(
        text, CJ_ERR_DATA,
        "t.csv: column 'name' has 30 different texts in 30 rows, so it is hardly a category; leave "
        "it out with drop=NAME, or say types=NAME:categorical",
        .limit = 0);
    NO_TABLE(
        text, CJ_ERR_DATA,
        "t.csv: nearly all cells are numbers, but not '17a' in the data (row 18, line 19, column "
        "'age'); or say types=NAME:categorical",
        .drop = "name");
    cj_context *cj = test_context();
    assert_parsed(cj,
                  parse(cj, text, &(cj_dataset_opts){.types = "name:categorical,age:categorical"}));
    cj_context_free(cj);
}

static void log_text(void *user, cj_log_level level, const char *text)
{
    assert_int_equal(level, CJ_LOG_INFO);
    snprintf(user, 200, "%s", text);
}

static void chosen_target_is_said(void **state)
{
    (void)state;
    char said[200] = "";
    cj_context *cj = cj_context_new(&(cj_config){.log = log_text, .log_user = said});
    assert_parsed(cj, parse(cj, "a,species\n1,u\n2,v\n", NULL));
    assert_string_equal(said, "t.csv: no target was chosen, so it is the last column, 'species'");
    said[0] = 0;
    assert_parsed(cj, parse(cj, "a,species\n1,u\n2,v\n", &(cj_dataset_opts){.target = "a"}));
    assert_string_equal(said, "");
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_every_form),
        cmocka_unit_test(text_that_is_no_csv),
        cmocka_unit_test(cells_and_columns_are_bounded),
        cmocka_unit_test(cells_as_python_reads_them),
        cmocka_unit_test(header_is_found),
        cmocka_unit_test(first_line_of_scikit_learn),
        cmocka_unit_test(target_and_types),
        cmocka_unit_test(columns_as_a_model_has_them),
        cmocka_unit_test(tables_that_are_refused),
        cmocka_unit_test(doubtful_columns_are_asked_about),
        cmocka_unit_test(classes_as_a_model_has_them),
        cmocka_unit_test(chosen_target_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
