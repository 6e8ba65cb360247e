/* test_picture_list.c: a table with a column of paths is a data set of pictures. */
#define _POSIX_C_SOURCE 200809L
#include "folder_support.h"

#include "faults.h"

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(root)) return -1;
    picture("a/1.pgm", 2, 3, 1);
    picture("a/2.pgm", 2, 3, 2);
    picture("b/3.pgm", 4, 3, 3);
    picture("4.pgm", 2, 3, 4);
    text("list.csv", "file,size,species\na/2.pgm,3.5,dog\na/1.pgm,1.5,cat\n4.pgm,2.5,dog\n");
    text("list.jsonl", "{\"species\":\"x\",\"picture\":\"a/1.pgm\"}\n"
                       "{\"picture\":\"a/2.pgm\",\"species\":\"y\",\"more\":[1,2]}\n");
    text("plain.csv", "a/1.pgm,0\na/2.pgm,1\n4.pgm,1\na/1.pgm,0\n");
    text("alone.csv", "file\na/1.pgm\na/2.pgm\n");
    text("sizes.csv", "file,species\na/1.pgm,a\nb/3.pgm,b\n");
    text("holes.csv", "file,species\na/1.pgm,a\n,b\na/2.pgm,NA\n4.pgm,b\n");
    return 0;
}

/* "1>0 2>1.5": the first value of each picture and its target. */
static void check(const char *name, const cj_dataset_opts *opts, const char *expected)
{
    cj_context *cj = test_context();
    char found[300] = "";
    cj_dataset_opts o = *opts;
    o.source = in_root(name);
    cj_dataset *ds = (cj_dataset_open)(cj, &o);
    assert_parsed(cj, ds);
    const cj_field *y = cj_dataset_field(ds, 1);
    for (int64_t i = 0; i < cj_dataset_count(ds); i++) {
        unsigned char pixels[100];
        unsigned char value[8];
        assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_OK);
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d", i ? " " : "",
                 pixels[0]);
        if (!y) continue;
        assert_int_equal(cj_dataset_read(ds, &i, 1, 1, value), CJ_OK);
        snprintf(found + strlen(found), sizeof found - strlen(found), ">%g",
                 cj_load_f64(y->dtype, value, 0));
    }
    assert_string_equal(found, expected);
    assert_string_equal(cj_dataset_field(ds, 0)->name, "image");
    cj_dataset_free(ds);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

#define OPEN(name, expected, ...) \
    check(name, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, expected)

static void columns_are_pictures_and_target(void **state)
{
    static const char *const names[] = {"dog", "cat", "cow"};
    (void)state;
    OPEN("list.csv", "2>1 1>0 4>1", .pictures = "file");
    OPEN("list.csv", "2>1 1>0", .pictures = "file", .limit = 2, .stream = true);
    OPEN("list.csv", "2>0 1>1 4>0", .pictures = "file", .classes = 3, .class_names = names);
    OPEN("list.csv", "2>3.5 1>1.5 4>2.5", .pictures = "file", .target = "size");
    OPEN("list.csv", "2 1 4", .pictures = "file", .no_target = true);
    OPEN("list.jsonl", "1>0 2>1", .pictures = "picture", .target = "species");
    OPEN("plain.csv", "1>0 2>1 4>1 1>0", .pictures = "0");
    OPEN("plain.csv", "1>0 2>1 4>1 1>0", .pictures = "-2", .split = "auto");
    OPEN("alone.csv", "1 2", .pictures = "file", .header = CJ_HEADER_YES);
    OPEN("sizes.csv", "1>0 3>1", .pictures = "file", .height = 2, .width = 2,
         .colour = CJ_PICTURE_GREY);
    OPEN("holes.csv", "1>0 4>1", .pictures = "file", .missing = CJ_MISSING_DROP);
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_root("list.csv"), .pictures = "file");
    const cj_field *y = cj_dataset_field(ds, 1);
    assert_string_equal(y->name, "label");
    assert_int_equal(y->classes, 2);
    assert_string_equal(y->class_names[1], "dog");
    ds = cj_dataset_open(cj, in_root("list.csv"), .pictures = "file", .target = "size");
    y = cj_dataset_field(ds, 1);
    assert_string_equal(y->name, "target");
    assert_int_equal(y->dtype, CJ_F32);
    assert_int_equal(y->rank, 1);
    cj_context_free(cj);
}

static void bad_lists_are_named(void **state)
{
    (void)state;
    REFUSE("list.csv", CJ_ERR_NOT_FOUND,
           "list.csv: pictures: there is no column 'fil' (did you mean 'file'?)",
           .pictures = "fil");
    REFUSE("list.csv", CJ_ERR_ARGUMENT, "list.csv: column 'file' is both the target and the "
           "pictures", .pictures = "file", .target = "file");
    REFUSE("list.csv", CJ_ERR_ARGUMENT, "list.csv: column 'file' is both the pictures and dropped",
           .pictures = "file", .drop = "file");
    REFUSE("list.csv", CJ_ERR_ARGUMENT,
           "list.csv: pictures='file' makes it a list of pictures, which has no weight, types and "
           "columns of numbers",
           .pictures = "file", .weight = "size");
    REFUSE("holes.csv", CJ_ERR_DATA,
           "holes.csv: missing value '' in the data (row 2, line 3, column 'file'); fill it in, or "
           "leave such rows out with missing=drop",
           .pictures = "file");
    REFUSE("a", CJ_ERR_ARGUMENT,
           "a: target, types, drop, header, delimiter, pictures are for tables; this has pictures",
           .pictures = "x", .split = "train");
    text("gone.csv", "file,species\na/1.pgm,x\na/7.pgm,y\n");
    REFUSE("gone.csv", CJ_ERR_NOT_FOUND, "gone.csv: line 3: there is no picture 'a/7.pgm'",
           .pictures = "file");
    text("up.csv", "file,species\na/1.pgm,x\n../1.pgm,y\n");
    REFUSE("up.csv", CJ_ERR_ARGUMENT,
           "up.csv: line 3: the file name '../1.pgm' is refused: it holds '..'; a name within "
           "'ROOT' is expected", .pictures = "file");
    text("absolute.csv", "file,species\n/etc/1.pgm,x\na/1.pgm,y\n");
    REFUSE("absolute.csv", CJ_ERR_ARGUMENT,
           "absolute.csv: line 2: the file name '/etc/1.pgm' is refused: it is absolute; a name "
           "within 'ROOT' is expected", .pictures = "file");
}

static void bad_samples_are_left_out_and_counted(void **state)
{
    (void)state;
    told t = {0};
    cj_context *cj = cj_context_new(&(cj_config){.log = listen, .log_user = &t});
    text("some.csv", "file,species\na/1.pgm,x\na/7.pgm,y\nb/3.pgm,y\na/2.pgm,y\n");
    cj_dataset *ds = cj_dataset_open(cj, in_root("some.csv"), .pictures = "file",
                                     .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_count(ds), 2);
    assert_string_equal(
        t.all,
        "left out: some.csv: line 3: there is no picture 'a/7.pgm'\n"
        "left out: b/3.pgm: is 4 x 3 pixels (height x width), and others are 2 x 3; 'size' brings "
        "all to one\n"
        "some.csv: 2 of 4 pictures cannot be read and are left out\n");
    cj_context_free(cj);
}

static cj_status use(cj_context *cj, void *arg)
{
    cj_dataset *ds = cj_dataset_open(cj, arg, .pictures = "file",
                                     .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    cj_status failed = ds ? CJ_OK : cj_last_status(cj);
    if (!failed) assert_int_equal(cj_dataset_count(ds), 3); /* none is left out */
    cj_dataset_free(ds);
    return failed;
}

static void every_fault_is_a_status(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/list.csv", root);
    assert_true(faults_sweep_memory(use, path, NULL, 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_pictures_and_target),
        cmocka_unit_test(bad_lists_are_named),
        cmocka_unit_test(bad_samples_are_left_out_and_counted),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("data/picture_list", tests, make, unmake);
}
