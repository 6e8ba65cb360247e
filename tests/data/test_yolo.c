/* test_yolo.c: pictures with boxes as YOLO has them: parts, names, boxes that follow their picture,
 * and every way in which such a folder can be wrong. */
#define _POSIX_C_SOURCE 200809L
#include "box_support.h"

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(root)) return -1;
    picture("flat/images/b.pgm", 4, 8, 2);
    text("flat/labels/b.txt", "0 0.5 0.5 0.5 0.5\r\n\n  2\t0.5 0.5 1 1 \n");
    picture("flat/images/a.pgm", 4, 8, 1);
    picture("flat/images/c.pgm", 4, 8, 3);
    text("flat/labels/c.txt", "1 0.25 0.25 0.5 0\n");
    text("flat/labels/classes.txt", "cat\nblue dog \n\nhorse\n");
    picture("within/images/train/1.pgm", 4, 4, 1);
    text("within/labels/train/1.txt", "1 0.5 0.5 0.25 0.25");
    picture("within/images/val/2.pgm", 4, 4, 2);
    text("within/labels/val/2.txt", "0 0.5 0.5 1 1\n1 0.5 0.5 0.5 0.5\n");
    text("within/data.yaml", "path: .\nnc: 2\nnames:\n  0: no\n  1: yes it is\n");
    picture("around/train/images/1.pgm", 4, 4, 1);
    text("around/train/labels/1.txt", "0 0.5 0.5 0.25 0.25");
    picture("around/valid/images/2.pgm", 4, 4, 2);
    folder("around/valid/labels");
    picture("around/test/images/3.pgm", 4, 4, 3);
    text("around/test/labels/3.txt", "2 0.5 0.5 0.5 0.5");
    text("around/data.yaml", "names: ['a', \"b\", c]\n");
    picture("numbers/images/1.pgm", 4, 4, 1);
    text("numbers/labels/1.txt", "2 0.5 0.5 0.25 0.25");
    return 0;
}

static void folders_and_names(void **state)
{
    static const char *const own[] = {"x", "y", "z"};
    (void)state;
    assert_true(has_validation("within"));
    assert_true(has_validation("around"));
    assert_false(has_validation("flat"));
    OPEN("flat", 2, "1:; 2: cat 0.25 0.25 0.75 0.75 horse 0 0 1 1; 3:", .split = NULL);
    OPEN("flat", 2, "1:; 2: x 0.25 0.25 0.75 0.75 z 0 0 1 1; 3:", .classes = 3, .class_names = own,
         .split = "auto");
    OPEN("within", 2, "1: yes it is 0.375 0.375 0.625 0.625", .split = NULL);
    OPEN("within", 2, "2: no 0 0 1 1 yes it is 0.25 0.25 0.75 0.75", .split = "validation");
    OPEN("around", 1, "1: a 0.375 0.375 0.625 0.625", .split = "train");
    OPEN("around", 1, "2:", .split = "validation");
    OPEN("around", 1, "3: c 0.25 0.25 0.75 0.75", .split = "auto");
    OPEN("numbers", 1, "1: 2 0.375 0.375 0.625 0.625", .split = NULL);
    REFUSE("within", CJ_ERR_NOT_FOUND,
           "within: has no part test, only train and validation; parts are folders train, val and "
           "test around images and labels, or in each",
           .split = "test");
}

/* The size of a picture is in no file, so it is looked up where a box depends on it. */
static void boxes_follow_their_picture(void **state)
{
    (void)state;
    OPEN("flat", 2, "1:; 2: cat 0.25 0.375 0.75 0.625 horse 0 0.25 1 0.75; 3:", .height = 8,
         .width = 8, .fit = CJ_FIT_PAD);
    OPEN("flat", 2, "1:; 2: cat 0 0.25 1 0.75 horse 0 0 1 1; 3:", .height = 8, .width = 8,
         .fit = CJ_FIT_CROP);
    OPEN("flat", 2, "1:; 2: cat 0.25 0.25 0.75 0.75 horse 0 0 1 1; 3:", .height = 8, .width = 8);
}

static void refuse_label(const char *label, cj_status status, const char *message)
{
    picture("bad/images/1.pgm", 4, 4, 1);
    text("bad/labels/1.txt", label);
    text("bad/classes.txt", "a\nb\n");
    REFUSE("bad", status, message, .split = NULL);
}

static void bad_labels_are_named(void **state)
{
    (void)state;
    refuse_label("0 0.5 0.5 0.5", CJ_ERR_FORMAT,
                 "bad/labels/1.txt: line 1: expected a class, the middle of a box, its width and "
                 "height: 5 numbers, found 4");
    refuse_label("\n0 0.1 0.1 0.2 0.1 0.2 0.2", CJ_ERR_FORMAT,
                 "bad/labels/1.txt: line 2: expected a class, the middle of a box, its width and "
                 "height: 5 numbers, found 7");
    refuse_label("0 0.5 half 0.5 0.5", CJ_ERR_FORMAT,
                 "bad/labels/1.txt: line 1: expected a number, found 'half'");
    refuse_label("0.5 0.5 0.5 0.5 0.5", CJ_ERR_FORMAT,
                 "bad/labels/1.txt: line 1: expected the number of a class, found '0.5'");
    refuse_label("-1 0.5 0.5 0.5 0.5", CJ_ERR_FORMAT,
                 "bad/labels/1.txt: line 1: expected the number of a class, found '-1'");
    refuse_label("0 0.5 0.5 0.5 0.5\n2 0.5 0.5 0.5 0.5\n", CJ_ERR_DATA,
                 "bad/labels/1.txt: line 2: class 2; with 2 classes it must be 0 to 1");
    refuse_label("0 0.9 0.5 0.5 0.5", CJ_ERR_DATA,
                 "bad/labels/1.txt: line 1: a box from (0.65, 0.25) to (1.15, 0.75) (x, y) is "
                 "outside of the picture of 1 x 1 (width x height)");
    refuse_label("0 0.5 0.5 -0.5 0.5", CJ_ERR_DATA,
                 "bad/labels/1.txt: line 1: a box from (0.75, 0.25) to (0.25, 0.75) (x, y), whose "
                 "second corner is before the first");
    refuse_label("0 nan 0.5 0.5 0.5", CJ_ERR_DATA,
                 "bad/labels/1.txt: line 1: a box from (nan, 0.25) to (nan, 0.75) (x, y), whose "
                 "second corner is before the first");
}

static void bad_folders_are_named(void **state)
{
    (void)state;
    picture("gone/images/1.pgm", 4, 4, 1);
    text("gone/labels/2.txt", "0 0.5 0.5 0.5 0.5");
    REFUSE("gone", CJ_ERR_NOT_FOUND,
           "gone/labels/2.txt: its picture is missing: gone/images has no 2.jpg or .png",
           .split = NULL);
    picture("names/images/1.pgm", 4, 4, 1);
    text("names/labels/1.txt", "\n");
    REFUSE("names", CJ_ERR_DATA,
           "names: the largest class of the training part is -1; expected 0 to 32767",
           .split = NULL);
    text("names/labels/1.txt", "99999999 0.5 0.5 0.5 0.5");
    REFUSE("names", CJ_ERR_DATA,
           "names: the largest class of the training part is 99999999; expected 0 to 32767",
           .split = NULL);
    text("names/data.yaml", "names: cat\n");
    REFUSE("names", CJ_ERR_FORMAT,
           "names/data.yaml: names: expected a list, or a map by numbers", .split = NULL);
    text("names/data.yaml", "names:\n  0: cat\n  2: dog\n");
    REFUSE("names", CJ_ERR_FORMAT, "names/data.yaml:3: names: expected the name of class 1",
           .split = NULL);
    text("names/data.yaml", "names: [a, [b]]\n");
    REFUSE("names", CJ_ERR_FORMAT, "names/data.yaml:1: names: expected the name of class 1",
           .split = NULL);
}

static void bad_samples_are_left_out_and_counted(void **state)
{
    (void)state;
    told t = {0};
    char found[600];
    cj_context *cj = cj_context_new(&(cj_config){.log = listen, .log_user = &t});
    text("some/labels/1.txt", "0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0 0\n");
    picture("some/images/1.pgm", 4, 8, 1);
    text("some/labels/2.txt", "0 2 2 1 1\n");
    picture("some/images/2.pgm", 4, 8, 2);
    text("some/labels/3.txt", "0 0.5 0.5 0.5 0.5\n");
    file("some/images/3.pgm", "P5 4 4 255 x", 12);
    text("some/labels/4.txt", "0 0.5 0.5 0.5 0.5\n");
    cj_dataset *ds = cj_dataset_open(cj, in_root("some"), .on_bad_sample = CJ_BAD_SAMPLE_SKIP,
                                     .height = 4, .width = 4, .fit = CJ_FIT_PAD);
    assert_parsed(cj, ds);
    describe_boxes(ds, found, sizeof found);
    assert_string_equal(found, "1: 0 0.25 0.375 0.75 0.625");
    assert_string_equal(
        t.all,
        "left out: some/labels/2.txt: line 1: a box from (1.5, 1.5) to (2.5, 2.5) (x, y) is "
        "outside of the picture of 1 x 1 (width x height)\n"
        "left out: some/labels/4.txt: its picture is missing: some/images has no 4.jpg or .png\n"
        "some: 1 boxes have no area and are left out\n"
        "left out: some/images/3.pgm: ppm: the picture is not complete: the file ends at byte 12\n"
        "some: 3 of 4 pictures cannot be read and are left out\n");
    cj_context_free(cj);
}

static cj_status use(cj_context *cj, void *arg)
{
    cj_dataset *ds = cj_dataset_open(cj, arg, .height = 2, .width = 2, .fit = CJ_FIT_PAD,
                                     .split = "all", .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    cj_status failed = ds ? CJ_OK : cj_last_status(cj);
    if (!failed) assert_int_equal(cj_dataset_count(ds), 3); /* none is left out */
    cj_dataset_free(ds);
    return failed;
}

static void every_fault_is_a_status(void **state)
{
    (void)state;
    sweep_faults(use, "around");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_and_names),
        cmocka_unit_test(boxes_follow_their_picture),
        cmocka_unit_test(bad_labels_are_named),
        cmocka_unit_test(bad_folders_are_named),
        cmocka_unit_test(bad_samples_are_left_out_and_counted),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("data/yolo", tests, make, unmake);
}
