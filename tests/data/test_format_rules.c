/* test_format_rules.c: the rules of each text format, one by one, and every refusal by its whole
 * message. */
#include "data_support.h"

/* ---- JSON lines ------------------------------------------------------------------------------ */

static void objects_a_line(void **state)
{
    (void)state;
    FILE_TABLE("t.jsonl", "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2.5}\n",
          "a | label(x,y): 1>0 2.5>1", .limit = 0);
    FILE_TABLE("t.ndjson",
          "{\"p\":{\"q\":1,\"r\":[2,3]},\"y\":0.5}\n{\"p\":{\"q\":4,\"r\":[5,6]},\"y\":1}",
          "p.q p.r.0 p.r.1 | target: 1,2,3>0.5 4,5,6>1", .limit = 0);
    FILE_TABLE("t.jsonl", "{\"a\":true,\"y\":\"u\"}\n{\"a\":false,\"y\":\"v\"}\n",
          "a{false,true} | label(u,v): 1>0 0>1", .limit = 0);
    FILE_TABLE("t.jsonl",
          "{\"a\":1,\"y\":1}\n{\"y\":2,\"a\":null}\n{\"y\":2}\n{\"a\":4,\"y\":2,\"b\":7}\n",
          "a | target: 1>1 4>2", .target = "y", .drop = "b", .types = "y:numeric",
          .missing = CJ_MISSING_DROP);
    FILE_TABLE("t.jsonl", "{\"NA\":\"NA\",\"y\":\"?\"}\n{\"NA\":\"b\",\"y\":\"!\"}",
          "NA{NA,b} | label(!,?): 0>1 1>0", .limit = 0);
    FILE_TABLE("t.jsonl", "{\"a\":1,\"y\":9007199254740993}\n{\"a\":1e2,\"y\":9007199254740992}\n",
          "a | target: 1>9.0072e+15 100>9.0072e+15", .limit = 0);
    FILE_TABLE("t.jsonl",
          " \t\r\n{\"\\u00e4\\n\":1,\"y\":\"\\ud83d\\ude00\"}\r{\"\\u00e4\\n\":2,\"y\":\"\"}",
          "\xc3\xa4\n | label(\xf0\x9f\x98\x80): 1>0", .missing = CJ_MISSING_DROP);
}

static void lists_a_line(void **state)
{
    (void)state;
    FILE_TABLE("t.jsonl", "[1,2,\"u\"]\n[3,4,\"v\"]\n", "x0 x1 | label(u,v): 1,2>0 3,4>1",
               .limit = 0);
    FILE_TABLE("t.jsonl", "[[1,2],\"u\"]\n[[3,null],\"v\"]\n[[5,6],\"v\"]\n",
          "x0 x1 | label(u,v): 1,2>0 5,6>1", .missing = CJ_MISSING_DROP);
    FILE_TABLE("t.jsonl", "[\"a\",\"b\"]\n[\"c\",\"d\"]\n", "x0{a,c} | label(b,d): 0>0 1>1",
               .limit = 0);
}

static void lines_that_are_no_json(void **state)
{
    (void)state;
    NO_FILE_TABLE("t.jsonl", "", CJ_ERR_DATA, "t.jsonl: is empty: it has no rows", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":1}\n\n{\"a\":2", CJ_ERR_FORMAT,
             "t.jsonl: line 3: byte 6: expected ',' or '}', found the end", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":1} {\"a\":2}", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 8: expected the end, found '{'", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "[\n{\"a\":1}\n]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 1: expected a value, found the end", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "[{\"a\":1},{\"a\":2}]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: an object within a list: an object a line is expected", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":1,\"a\":2}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: the key \"a\" appears twice in one object", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":1,\"b\":2}\n{\"b\":{\"c\":1},\"b.c\":1}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2: two values of column 'b.c'", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":1e999}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 5: the number is out of range", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":NaN}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 5: expected a value, found 'N'", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":\"\xff\"}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: byte 6: expected UTF-8, found byte 0xff", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":\"\\u0000\"}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: a text has a zero byte (\\u0000)", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"\":1}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: a key is empty or has a zero byte", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "5\n", CJ_ERR_FORMAT,
             "t.jsonl: line 1: a value alone: expected {...} or [...]", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":1}\n[1]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2: a list, but line 1 has an object", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "[1]\n{\"a\":1}\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2: an object, but line 1 has a list", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "[1,2]\n[3]\n", CJ_ERR_FORMAT,
             "t.jsonl: line 2 has 1 cells, but line 1 has 2", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "[]\n", CJ_ERR_FORMAT, "t.jsonl: line 1: an empty list", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{}\n{}\n", CJ_ERR_DATA, "t.jsonl: no object has a key", .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":[1,2],\"y\":1}\n{\"a\":[1],\"y\":1}\n", CJ_ERR_DATA,
             "t.jsonl: missing value '' in the data (row 2, line 2, column 'a.1'); fill it in, or "
             "leave such rows out with missing=drop",
             .limit = 0);
    NO_FILE_TABLE("t.jsonl", "{\"a\":1,\"y\":1}\n{\"a\":1,\"y\":1,\"new\":1}\n", CJ_ERR_DATA,
             "t.jsonl: missing value '' in the data (row 1, line 1, column 'new'); fill it in, or "
             "leave such rows out with missing=drop",
             .target = "y");
    NO_FILE_TABLE("t.jsonl", "{\"a\":1,\"y\":1}\n", CJ_ERR_ARGUMENT,
             "t.jsonl: its rows have no header, so header=yes cannot be", .header = CJ_HEADER_YES);
}

/* ---- ARFF ------------------------------------------------------------------------------------ */

#define HEAD \
    "@relation r\n@attribute a real\n@attribute b {red,'light blue'}\n@attribute y {v,u}\n@data\n"

static void attributes_and_rows(void **state)
{
    (void)state;
    FILE_TABLE("t.arff", HEAD "1,red,u\n2,'light blue',v\n",
          "a b{red,light blue} | label(v,u): 1,0>1 2,1>0", .limit = 0);
    FILE_TABLE("t.arff", HEAD "1 red u % as Weka\n\t2 , \"light blue\",\tv\n% no row\n\n",
          "a b{red,light blue} | label(v,u): 1,0>1 2,1>0", .limit = 0);
    FILE_TABLE("t.arff", HEAD "1,red,u\n?,red,u\n1,red,?\n",
               "a b{red,light blue} | label(v,u): 1,0>1", .missing = CJ_MISSING_DROP);
    FILE_TABLE("t.arff", HEAD "{}\n{0 -3.5, 2 u}\n{2 v, 1 'light blue'}\n",
          "a b{red,light blue} | label(v,u): 0,0>0 -3.5,0>1 0,1>0", .limit = 0);
    FILE_TABLE("t.arff", HEAD "1,red,u,{2}\n{0 4}, {0.5}\n3,red,v\n",
          "a b{red,light blue} | label(v,u): 1,0>1*2 4,0>0*0.5 3,0>0*1", .limit = 0);
    FILE_TABLE("t.arff", HEAD "1,red,u,{2}\n3,red,v\n",
               "b{red,light blue} | label(v,u): 0>1*1 0>0*3", .weight = "a");
    FILE_TABLE("t.arff", HEAD "5,red,u\n6,red,v\n",
               "b{red,light blue} y{v,u} | target: 0,1>5 0,0>6", .target = "a");
}

static void names_and_kinds(void **state)
{
    (void)state;
    FILE_TABLE("t.arff",
          "@ATTRIBUTE 'it\\'s' INTEGER\n@attribute \"a\\\"b\\\\\\tc\" { 3, 1,2 }\n"
          "@attribute s string\n@attribute d date \"yyyy-MM-dd\"\n@DATA\n"
          "1,2,'NA','2020-01-02'\n2,3,NA,'2020-01-03'\n",
          "it's a\"b\\\tc{3,1,2} s{NA} | label(2020-01-02,2020-01-03): 1,2,0>0 2,0,0>1",
          .limit = 0);
    FILE_TABLE(
        "t.arff",
        "@attribute a {NA,'?'}\n@attribute n real\n@attribute y numeric\n@data\nNA,1,0\n'?',2,1\n",
        "a{NA,?} n | target: 0,1>0 1,2>1", .limit = 0);
    FILE_TABLE("t.arff", "@attribute a {'',b}\n@attribute y {0,1}\n@data\n'',0\n{0 b}\n{}\n",
          "a{,b} | label(0,1): 0>0 1>0 0>0", .limit = 0);
    FILE_TABLE("t.arff", "@attribute a {3,1,2}\n@attribute y {0,1}\n@data\n3,0\n1.0,1\n",
          "a{3,1,2} | label(0,1): 0>0 1>1", .limit = 0);
    FILE_TABLE("t.arff", "@attribute a {3,1,2}\n@attribute y numeric\n@data\n3,0\n1,1\n",
          "a | label(0,1): 3>0 1>1", .types = "a:numeric,y:categorical");
}

static void lines_that_are_no_arff(void **state)
{
    (void)state;
#define BAD(text, message) NO_FILE_TABLE("t.arff", text, CJ_ERR_FORMAT, message, .limit = 0)
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
    NO_FILE_TABLE("t.arff", "@attribute a relational\n", CJ_ERR_UNSUPPORTED,
             "t.arff: line 1: attribute 'a' is relational: tables within tables are not read",
             .limit = 0);
    NO_FILE_TABLE("t.arff", HEAD, CJ_ERR_DATA, "t.arff: is empty: it has no rows", .limit = 0);
    NO_FILE_TABLE("t.arff", "@attribute a {x,x}\n@attribute y real\n@data\nx,1\n", CJ_ERR_DATA,
             "t.arff: 'x' is given twice as a category of column 'a'", .limit = 0);
    NO_FILE_TABLE("t.arff", "@attribute a real\n@attribute a real\n@data\n1,1\n", CJ_ERR_DATA,
             "t.arff: two columns are called 'a' (column 1 and one before)", .limit = 0);
    NO_FILE_TABLE("t.arff", HEAD "1,green,u\n", CJ_ERR_DATA,
             "t.arff: none of the declared categories, 'green' in the data (row 1, line 6, column "
             "'b')",
             .limit = 0);
    NO_FILE_TABLE("t.arff", HEAD "1,red,w\n", CJ_ERR_DATA,
             "t.arff: label out of range: 'w' is none of the 2 classes, 'v' to 'u' (row 1, line 6, "
             "column 'y')",
             .limit = 0);
    NO_FILE_TABLE("t.arff", HEAD "x,red,u\n", CJ_ERR_DATA,
             "t.arff: a number is needed, not 'x' in the data (row 1, line 6, column 'a')",
             .limit = 0);
    NO_FILE_TABLE("t.arff", HEAD "NaN,red,u\n", CJ_ERR_DATA,
             "t.arff: NaN 'NaN' in the data (row 1, line 6, column 'a')", .limit = 0);
    NO_FILE_TABLE("t.arff", HEAD "?,red,u\n", CJ_ERR_DATA,
             "t.arff: missing value '?' in the data (row 1, line 6, column 'a'); fill it in, or "
             "leave such rows out with missing=drop",
             .limit = 0);
    NO_FILE_TABLE("t.arff", HEAD "1,red,u,{-1}\n", CJ_ERR_DATA,
             "t.arff: a negative weight '-1' in the data (row 1, line 6, column '{weight}')",
             .limit = 0);
}

/* ---- SVMlight -------------------------------------------------------------------------------- */

static void labels_and_features(void **state)
{
    (void)state;
    FILE_TABLE("t.svm", "# c\n-1 1:0.5 3:2 # x\n\n+1 2:+1\n-1\n+1\t3:1e-1 \r\n",
          "x1 x2 x3 | label(-1,1): 0.5,0,2>0 0,1,0>1 0,0,0>0 0,0,0.1>1", .limit = 0);
    FILE_TABLE("t.libsvm", "1 0:1\n2 1:1\n1 0:2\n2\n",
               "x0 x1 | label(1,2): 1,0>0 0,1>1 2,0>0 0,0>1", .limit = 0);
    FILE_TABLE("t.svmlight", "0.5 qid:1 1:1\n1.5 qid:2 2:1\n", "x1 x2 | target: 1,0>0.5 0,1>1.5",
          .limit = 0);
    FILE_TABLE("t.svm", "1 1:1\n3 1:2\n", "x1 | target: 1>1 2>3", .types = "target:numeric");
    FILE_TABLE("t.svm", "1 1:1 2:5\n3 1:2\n", "x2 target | target: 5,1>1 0,3>2", .target = "x1");
    FILE_TABLE("t.svm", "2 1:1 3:7\n1 3:8\n", "x3 target | target: 7,2>1 8,1>0", .target = "x1",
          .drop = "x2", .types = "target:numeric");
}

/* A file that does not reach the last feature of the model, or its first. */
static void features_of_a_model(void **state)
{
    (void)state;
    static const cj_column zero[] = {{"x0", CJ_COLUMN_NUMERIC, 0, NULL},
                                     {"x1", CJ_COLUMN_NUMERIC, 0, NULL},
                                     {"x2", CJ_COLUMN_NUMERIC, 0, NULL}};
    FILE_TABLE("t.svm", "1 1:5\n2 1:6\n", "x0 x1 x2 | target: 0,5,0>1 0,6,0>2", .columns = 3,
          .column_info = zero, .types = "target:numeric");
    FILE_TABLE("t.svm", "1 1:5\n2 1:6\n", "x1 x2 : 5,0 6,0", .columns = 2, .column_info = zero + 1,
          .no_target = true);
    FILE_TABLE("t.svm", "1 1:5 9:1\n2 1:6\n", "x1 x2 : 5,0 6,0", .columns = 2,
               .column_info = zero + 1, .no_target = true);
}

static void log_warning(void *user, cj_log_level level, const char *text)
{
    if (level == CJ_LOG_WARNING) snprintf(user, 300, "%s", text);
}

/* What is counted from 0 in the one and from 1 in the other. */
static void features_that_may_be_shifted(void **state)
{
    (void)state;
    static const cj_column columns[] = {{"x0", CJ_COLUMN_NUMERIC, 0, NULL},
                                        {"x1", CJ_COLUMN_NUMERIC, 0, NULL}};
    static const char text[] = "1 0:3 1:5\n2 1:6\n";
    char said[300] = "";
    NO_FILE_TABLE("t.svm", "1 1:5 2:1\n2 1:6\n", CJ_ERR_DATA,
             "t.svm: its indices begin at 1 and end at 2, but the features of the model are x0 to "
             "x1: is it counted from 0?",
             .columns = 2, .column_info = columns);
    cj_context *cj = cj_context_new(&(cj_config){.log = log_warning, .log_user = said});
    assert_parsed(cj, cj__table_parse(cj, "t.svm", text, strlen(text),
                                      &(cj_dataset_opts){.columns = 2, .column_info = columns}));
    assert_string_equal(said, "");
    assert_parsed(cj,
                  cj__table_parse(cj, "t.svm", text, strlen(text),
                                  &(cj_dataset_opts){.columns = 1, .column_info = columns + 1}));
    assert_string_equal(said, "t.svm: has a feature 0, which the model does not know; if it was "
                              "trained on indices from 1, all others are shifted");
    cj_context_free(cj);
}

static void lines_that_are_no_svmlight(void **state)
{
    (void)state;
#define BAD(text, message) NO_FILE_TABLE("t.svm", text, CJ_ERR_FORMAT, message, .limit = 0)
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
    NO_FILE_TABLE("t.svm", "1,3 1:1\n", CJ_ERR_UNSUPPORTED,
             "t.svm: line 1: '1,3' are several labels; files with one label a line are read",
             .limit = 0);
    NO_FILE_TABLE("t.svm", "1 70000:1\n", CJ_ERR_LIMIT,
             "t.svm: line 1: feature 70000: the largest that is read is 65534, for features become "
             "a dense matrix",
             .limit = 0);
    NO_FILE_TABLE("t.svm", "1\n2\n", CJ_ERR_DATA, "t.svm: no line has a feature", .limit = 0);
    NO_FILE_TABLE("t.svm", "# nothing\n", CJ_ERR_DATA, "t.svm: is empty: it has no rows",
                  .limit = 0);
    NO_FILE_TABLE("t.svm", "1 1:x\n", CJ_ERR_DATA,
             "t.svm: a number is needed, not 'x' in the data (row 1, line 1, column 'x1')",
             .limit = 0);
    NO_FILE_TABLE("t.svm", "1 1:1\n2 2:1e99\n", CJ_ERR_DATA,
             "t.svm: a number too large for f32, '1e99' in the data (row 2, line 2, column 'x2')",
             .limit = 0);
    NO_FILE_TABLE("t.svm", "1 1:nan\n", CJ_ERR_DATA,
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
    FILE_TABLE("t.fwf", "name  age city\nAnn    41 Rome\nRosa    7 Turin\nAnn     8 Rome\n",
          "name{Ann,Rosa} age | label(Rome,Turin): 0,41>0 1,7>1 0,8>0", .limit = 0);
    FILE_TABLE("t.fwf", "1    2.5\n10 13.5\n", "x0 | target: 1>2.5 10>13.5", .limit = 0);
    FILE_TABLE("t.txt", "Ann41Rome\n\nBob 7Turin",
               "x0{Ann,Bob} x1 | label(Rome,Turin): 0,41>0 1,7>1", .widths = "3, 2,5");
    FILE_TABLE("t.dat", "a  1\nb 22\n", "x0{a,b} | target: 0>1 1>22", .format = "fixed_width",
          .types = "target:numeric");
    FILE_TABLE("t.fwf", "\xc3\xa4\xc3\xb6 1\n\xc3\xbc  2\nx  3\n",
          "x0{x,\xc3\xa4\xc3\xb6,\xc3\xbc} | target: 1>1 2>2 0>3",
          .types = "target:numeric,x0:categorical");
    FILE_TABLE("t.fwf", "a  1\n   2\nb  3\n", "x0{a,b} | target: 0>1 1>3",
               .missing = CJ_MISSING_DROP, .types = "target:numeric");
}

static void text_outside_of_the_columns(void **state)
{
    (void)state;
    char text[2000] = "";
    for (int i = 0; i < 100; i++) strcat(text, "a  1  7\n");
    strcat(text, "a  1  77\n");
    NO_FILE_TABLE("t.fwf", text, CJ_ERR_FORMAT,
             "t.fwf: line 101: '7' (character 8) is in none of the 3 columns that the first 100 "
             "lines show: give their widths",
             .limit = 0);
    strcpy(text + 800, "\n\n a 1  7\n");
    NO_FILE_TABLE("t.fwf", text, CJ_ERR_FORMAT,
             "t.fwf: line 103: 'a' (character 2) is in none of the 3 columns that the first 100 "
             "lines show: give their widths",
             .limit = 0);
    NO_FILE_TABLE("t.fwf", "ab12cd\n", CJ_ERR_FORMAT,
             "t.fwf: line 1: 'cd' follows behind the last of the columns, which are 4 characters "
             "wide",
             .widths = "2,2");
    static const char *const wrong[] = {"", "x", "3,", ",3", "3,,4", "0", "-1", "3 4", "99999999"};
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        char message[200];
        snprintf(message, sizeof message,
                 "t.fwf: widths='%s': expected the width of each column, as 5,3,10", wrong[i]);
        NO_FILE_TABLE("t.fwf", "ab12cd\n", CJ_ERR_ARGUMENT, message, .widths = wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_a_line),
        cmocka_unit_test(lists_a_line),
        cmocka_unit_test(lines_that_are_no_json),
        cmocka_unit_test(attributes_and_rows),
        cmocka_unit_test(names_and_kinds),
        cmocka_unit_test(lines_that_are_no_arff),
        cmocka_unit_test(labels_and_features),
        cmocka_unit_test(features_of_a_model),
        cmocka_unit_test(features_that_may_be_shifted),
        cmocka_unit_test(lines_that_are_no_svmlight),
        cmocka_unit_test(a_matrix_that_is_too_large),
        cmocka_unit_test(columns_of_fixed_width),
        cmocka_unit_test(text_outside_of_the_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
