/* test_class_folders.c: folders of pictures, one a class: what is found, in which order and size,
 * and every way in which such a folder can be wrong. */
#define _POSIX_C_SOURCE 200809L
#include "folder_support.h"

#include "faults.h"

/* flat: zebra and ant, two and three pictures of 2 x 3. parts: train, val, test of the same. */
static int make(void **state)
{
    (void)state;
    if (!mkdtemp(root)) return -1;
    folder("flat");
    folder("flat/zebra");
    folder("flat/ant");
    folder("flat/ant/more");
    folder("flat/.hidden");
    picture("flat/ant/b.pgm", 2, 3, 11);
    picture("flat/ant/a.PGM", 2, 3, 10);
    picture("flat/ant/c.ppm", 2, 3, 12);
    picture("flat/ant/.d.ppm", 2, 3, 99);
    file("flat/ant/notes.txt", "x", 1);
    file("flat/readme", "x", 1);
    picture("flat/zebra/y.pgm", 2, 3, 20);
    picture("flat/zebra/z.pgm", 2, 3, 21);
    folder("parts");
    folder("parts/train");
    folder("parts/train/0");
    folder("parts/train/1");
    folder("parts/valid");
    folder("parts/valid/1");
    folder("parts/test");
    folder("parts/test/1");
    picture("parts/train/0/x.pgm", 4, 4, 1);
    picture("parts/train/1/x.pgm", 4, 4, 2);
    picture("parts/valid/1/x.pgm", 4, 4, 3);
    picture("parts/test/1/x.pgm", 4, 4, 4);
    folder("bad");
    folder("bad/a");
    folder("bad/b");
    picture("bad/a/1.pgm", 2, 2, 1);
    picture("bad/a/2.pgm", 3, 2, 2);
    file("bad/a/3.pgm", "P5 2 2 255 x", 12);
    file("bad/b/4.png", "no picture", 10);
    picture("bad/b/5.pgm", 2, 2, 5);
    folder("empty");
    folder("empty/a");
    folder("empty/b");
    picture("empty/a/1.pgm", 2, 2, 1);
    file("empty/b/1.txt", "x", 1);
    folder("strange");
    folder("strange/train");
    folder("strange/train/a");
    folder("strange/test");
    folder("strange/test/b");
    picture("strange/train/a/1.pgm", 2, 2, 1);
    picture("strange/test/b/1.pgm", 2, 2, 1);
    return 0;
}

/* "10>0 11>0 ...": the first value of each picture and its label. */
static void describe_pictures(cj_dataset *ds, char *out, size_t size)
{
    const cj_field *x = cj_dataset_field(ds, 0);
    unsigned char pixels[256];
    assert_true(x->shape[0] * x->shape[1] * x->shape[2] <= 256);
    out[0] = 0;
    for (int64_t i = 0; i < cj_dataset_count(ds); i++) {
        int32_t label = -1;
        assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_OK);
        if (cj_dataset_fields(ds) > 1)
            assert_int_equal(cj_dataset_read(ds, &i, 1, 1, &label), CJ_OK);
        snprintf(out + strlen(out), size - strlen(out), "%s%d>%d", i ? " " : "", pixels[0], label);
    }
}

static void check(const char *name, const cj_dataset_opts *opts, const char *expected)
{
    cj_context *cj = test_context();
    char found[200];
    cj_dataset_opts o = *opts;
    o.source = in_root(name);
    cj_dataset *ds = (cj_dataset_open)(cj, &o);
    assert_parsed(cj, ds);
    describe_pictures(ds, found, sizeof found);
    assert_string_equal(found, expected);
    cj_dataset_free(ds);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

#define OPEN(name, expected, ...) \
    check(name, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, expected)
static void classes_are_folders(void **state)
{
    (void)state;
    assert_true(has_validation("parts"));
    assert_false(has_validation("flat"));
    assert_false(has_validation("flat/ant/b.pgm"));
    assert_false(has_validation("flat/none"));
    assert_false(has_validation("flat/ant/more"));
    OPEN("flat", "10>0 11>0 12>0 20>1 21>1", .split = NULL);
    OPEN("flat", "10>0 11>0 12>0 20>1 21>1", .split = "auto");
    OPEN("flat", "10>0 11>0 12>0 20>1 21>1", .split = "all", .stream = true);
    OPEN("flat", "10>-1 11>-1 12>-1 20>-1 21>-1", .no_target = true);
    OPEN("flat", "10>0 12>0", .limit = 2);
    OPEN("flat", "10>0 11>0 20>1", .limit = 3); /* numbers 0, 1, 3 of 5 */
    static const char *const own[] = {"zebra", "dog", "ant"};
    OPEN("flat", "10>2 11>2 12>2 20>0 21>0", .classes = 3, .class_names = own);
    REFUSE("flat", CJ_ERR_DATA,
           "flat/zebra: is the folder of a class that the training part does not have",
           .classes = 2, .class_names = own + 1);
    OPEN("parts", "1>0 2>1", .split = NULL);
    OPEN("parts", "4>1", .split = "test");
    OPEN("parts", "4>1", .split = "auto");
    OPEN("parts", "3>1", .split = "validation");
    OPEN("parts", "1>0 2>1 3>1 4>1", .split = "all");
}

static void fields_say_size_and_names(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_root("flat"));
    assert_parsed(cj, ds);
    const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
    assert_string_equal(x->name, "image");
    assert_int_equal(x->shape[0], 2);
    assert_int_equal(x->shape[1], 3);
    assert_int_equal(x->shape[2], 3);
    assert_int_equal(y->classes, 2);
    assert_string_equal(y->class_names[0], "ant");
    assert_string_equal(y->class_names[1], "zebra");
    ds = cj_dataset_open(cj, in_root("flat"), .height = 5, .width = 7, .fit = CJ_FIT_PAD,
                         .colour = CJ_PICTURE_GREY);
    x = cj_dataset_field(ds, 0);
    assert_int_equal(x->shape[0], 5);
    assert_int_equal(x->shape[1], 7);
    assert_int_equal(x->shape[2], 1);
    assert_int_equal(x->fit, CJ_FIT_PAD);
    unsigned char pixels[35];
    int64_t i = 3;
    assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_OK);
    for (int k = 0; k < 35; k++) assert_int_equal(pixels[k], 20); /* 2 x 3 becomes 5 x 7 */
    cj_context_free(cj);
}

static void bad_pictures_stop_or_are_counted(void **state)
{
    (void)state;
    told t = {0};
    cj_context *cj = cj_context_new(&(cj_config){.log = listen, .log_user = &t});
    char found[200], message[300];
    unsigned char pixels[64];
    cj_dataset *ds = cj_dataset_open(cj, in_root("bad"));
    assert_int_equal(cj_dataset_count(ds), 5);
    int64_t i = 1;
    assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_ERR_SHAPE);
    snprintf(message, sizeof message,
             "%s/bad/a/2.pgm: is 3 x 2 pixels (height x width), and others "
             "are 2 x 2; 'size' brings all to one",
             root);
    assert_string_equal(cj_message(cj), message);
    i = 2;
    assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_ERR_FORMAT);
    snprintf(message, sizeof message, "%s/bad/a/3.pgm: ppm: the picture is not complete: the file "
             "ends at byte 12", root);
    assert_string_equal(cj_message(cj), message);
    cj_loader *l = cj_loader_new(ds, .batch_size = 2, .workers = 3); /* the first bad one */
    cj_batch b;
    assert_int_equal(cj_loader_next(l, &b), CJ_ERR_SHAPE);
    cj_loader_free(l);
    assert_int_equal(t.warnings, 0);
    ds = cj_dataset_open(cj, in_root("bad"), .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    describe_pictures(ds, found, sizeof found);
    assert_string_equal(found, "1>0 5>1");
    assert_int_equal(t.warnings, 4);
    snprintf(message, sizeof message, "%s/bad: 3 of 5 pictures cannot be read and are left out",
             root);
    assert_string_equal(t.last, message);
    ds = cj_dataset_open(cj, in_root("bad"), .on_bad_sample = CJ_BAD_SAMPLE_SKIP, .height = 1,
                         .width = 1);
    describe_pictures(ds, found, sizeof found);
    assert_string_equal(found, "1>0 2>0 5>1");
    cj_context_free(cj);
}

static void wrong_folders_are_named(void **state)
{
    (void)state;
    REFUSE("empty", CJ_ERR_DATA,
           "empty/b: the folder of a class has no pictures; expected files such as .png or .jpg",
           .split = NULL);
    REFUSE("strange", CJ_ERR_DATA,
           "strange/test/b: is the folder of a class that the training part does not have",
           .split = "test");
    REFUSE("strange", CJ_ERR_NOT_FOUND,
           "strange: has no part validation, only train and test; parts are folders train, "
           "val and test",
           .split = "validation");
    REFUSE("flat", CJ_ERR_NOT_FOUND,
           "flat: has no part test, only train; parts are folders train, val and test",
           .split = "test");
    REFUSE("flat", CJ_ERR_ARGUMENT,
           "flat: target, types, drop, header, delimiter, weight, widths, pictures are for "
           "tables; this has pictures",
           .target = "x");
    REFUSE("flat/ant/b.pgm", CJ_ERR_NOT_FOUND,
           "flat/ant/b.pgm: split=validation is for folders of pictures", .split = "validation");
    cj_context *cj = test_context();
    assert_null(cj_dataset_open(cj, "./x", .height = 3));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "data set ./x: pictures of height 3 and width 0 are not possible");
    assert_null(cj_dataset_open(cj, "./x", .height = 100000, .width = 100000));
    assert_message(cj, CJ_ERR_ARGUMENT,
                   "data set ./x: pictures of height 100000 and width 100000 are not possible");
    assert_null(cj_dataset_open(cj, "./x", .fit = (cj_picture_fit)7));
    cj_context_free(cj);
}

/* Opening, reading by several threads, and an epoch's sum. */
static cj_status use(cj_context *cj, void *arg)
{
    cj_dataset *ds = cj_dataset_open(cj, arg, .height = 2, .width = 2, .limit = 4,
                                     .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    cj_loader *l = ds ? cj_loader_new(ds, .batch_size = 1, .no_prefetch = true) : NULL;
    cj_batch b;
    cj_status failed = l ? CJ_OK : cj_last_status(cj);
    int64_t seen = 0;
    while (!failed && !(failed = cj_loader_next(l, &b)) && b.count > 0) seen += b.count;
    if (!failed) assert_int_equal(seen, 4); /* no picture is left out for want of memory */
    cj_loader_free(l);
    cj_dataset_free(ds);
    return failed;
}

static void every_fault_is_a_status(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/flat", root);
    assert_true(faults_sweep_memory(use, path, NULL, 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_folders),
        cmocka_unit_test(fields_say_size_and_names),
        cmocka_unit_test(bad_pictures_stop_or_are_counted),
        cmocka_unit_test(wrong_folders_are_named),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("data/class_folders", tests, make, unmake);
}
