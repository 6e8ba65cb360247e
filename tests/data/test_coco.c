/* test_coco.c: pictures with boxes as COCO has them: parts, categories, crowds, boxes that follow
 * their picture, and every way in which such a file can be wrong. */
#define _POSIX_C_SOURCE 200809L
#include "box_support.h"

#define IMAGE(id, file) "{\"id\":" #id ",\"file_name\":\"" file "\",\"height\":4,\"width\":8}"
#define BOX(image, category, a, b, c, d) \
    "{\"id\":1,\"image_id\":" #image ",\"category_id\":" #category ",\"bbox\":[" #a "," #b "," #c \
    "," #d "],\"iscrowd\":0,\"segmentation\":[[1,2,3,4]]}"
#define CROWD(image) \
    "{\"image_id\":" #image ",\"category_id\":1,\"bbox\":[0,0,8,4],\"iscrowd\":1," \
    "\"segmentation\":{\"counts\":[1]}}"
#define CATEGORY(id, name) "{\"id\":" #id ",\"name\":\"" name "\"}"
#define COCO(images, boxes, categories) \
    "{\"info\":{},\"images\":[" images "],\n\"annotations\":[" boxes "],\"categories\":[" \
    categories "]}"
#define CATEGORIES CATEGORY(18, "dog") "," CATEGORY(1, "person")

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(root)) return -1;
    text("coco/annotations/instances_train2017.json",
         COCO(IMAGE(7, "a.pgm") "," IMAGE(5, "b.pgm"),
              BOX(5, 18, 2, 1, 4, 2) "," BOX(7, 1, 0, 0, 8.5, 4) "," CROWD(5) ","
              BOX(5, 1, 4, 0, 4, 4) "," BOX(5, 1, 1, 1, 0, 2), CATEGORIES));
    text("coco/annotations/instances_val2017.json",
         COCO(IMAGE(1, "c.pgm"), BOX(1, 18, 0, 0, 1, 1) "," BOX(1, 18, 0, 0, 2, 2) ","
              BOX(1, 18, 0, 0, 4, 4), CATEGORIES));
    text("coco/annotations/captions_train2017.json", "{}");
    picture("coco/train2017/a.pgm", 4, 8, 1);
    picture("coco/train2017/b.pgm", 4, 8, 2);
    picture("coco/val2017/c.pgm", 4, 8, 3);
    text("around/train/_annotations.coco.json",
         COCO(IMAGE(0, "a.pgm"), BOX(0, 3, 0, 0, 4, 2), CATEGORY(3, "x")));
    picture("around/train/a.pgm", 4, 8, 4);
    text("around/test/_annotations.coco.json", COCO(IMAGE(0, "b.pgm"), "", CATEGORY(3, "x")));
    picture("around/test/b.pgm", 4, 8, 5);
    text("one/boxes.json", COCO(IMAGE(0, "sub/a.pgm"), BOX(0, 3, 0, 0, 4, 2), CATEGORY(3, "x")));
    picture("one/sub/a.pgm", 4, 8, 6);
    text("two/boxes.json", COCO(IMAGE(0, "a.pgm"), BOX(0, 3, 0, 0, 4, 2), CATEGORY(3, "x")));
    picture("two/images/a.pgm", 4, 8, 7);
    return 0;
}

#define TRAIN "1: person 0 0 1 1; 2: dog 0.25 0.25 0.75 0.75 person 0.5 0 1 1"

static void files_are_parts(void **state)
{
    static const char *const own[] = {"person", "dog", "cat"};
    (void)state;
    assert_true(has_validation("coco"));
    assert_false(has_validation("around"));
    assert_false(has_validation("one/boxes.json"));
    OPEN("coco", 3, TRAIN, .split = NULL);
    OPEN("coco", 3, "3: dog 0 0 0.125 0.25 dog 0 0 0.25 0.5 dog 0 0 0.5 1", .split = "validation");
    OPEN("coco", 3, TRAIN "; 3: dog 0 0 0.125 0.25 dog 0 0 0.25 0.5 dog 0 0 0.5 1",
         .split = "auto");
    OPEN("coco", 3, TRAIN, .classes = 3, .class_names = own);
    OPEN("around", 1, "4: x 0 0 0.5 0.5", .split = NULL);
    OPEN("around", 1, "5:", .split = "auto");
    OPEN("one/boxes.json", 1, "6: x 0 0 0.5 0.5", .split = "auto");
    OPEN("coco/annotations/instances_train2017.json", 2, TRAIN, .split = NULL);
    OPEN("two/boxes.json", 1, "7: x 0 0 0.5 0.5", .split = NULL, .format = "coco");
    OPEN("coco", 3, "1: person 0 0.25 1 0.75; 2: dog 0.25 0.375 0.75 0.625 person 0.5 0.25 1 0.75",
         .height = 8, .width = 8, .fit = CJ_FIT_PAD);
    REFUSE("coco", CJ_ERR_NOT_FOUND,
           "coco: has no part test, only train and validation; parts are instances_train*.json, "
           "val* and test* in annotations, or folders train, val and test with "
           "_annotations.coco.json",
           .split = "test");
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_root("coco"));
    const cj_field *y = cj_dataset_field(ds, 1); /* categories by their ids */
    assert_int_equal(y->classes, 2);
    assert_string_equal(y->class_names[0], "person");
    assert_string_equal(y->class_names[1], "dog");
    cj_context_free(cj);
}

static void refuse_json(const char *json, cj_status status, const char *message)
{
    picture("bad/a.pgm", 4, 8, 1);
    text("bad/b.json", json);
    REFUSE("bad/b.json", status, message, .split = NULL);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    refuse_json("{\"images\":", CJ_ERR_FORMAT,
                "bad/b.json: byte 10: expected a value, found the end");
    refuse_json("[]", CJ_ERR_FORMAT,
                "bad/b.json: has no list 'images'; expected images, annotations and categories");
    refuse_json("{\"images\":[],\"annotations\":{}}", CJ_ERR_FORMAT,
                "bad/b.json: has no list 'annotations'; expected images, annotations and "
                "categories");
    refuse_json(COCO("", "", ""), CJ_ERR_DATA, "bad/b.json: has 0 categories, expected 1 to 32768");
    refuse_json(COCO("", "", CATEGORY(1, "")), CJ_ERR_FORMAT,
                "bad/b.json: categories[0]: expected an id and a name");
    refuse_json(COCO("", "", CATEGORY(1, "a") "," CATEGORY(1, "b")), CJ_ERR_DATA,
                "bad/b.json: categories: the id 1 comes twice");
    refuse_json(COCO("", "", CATEGORY(1, "a") "," CATEGORY(2, "a")), CJ_ERR_DATA,
                "bad/b.json: categories: the name 'a' comes twice");
    refuse_json(COCO("", "", CATEGORY(1, "a")), CJ_ERR_DATA, "bad/b.json: has no pictures");
    refuse_json(COCO("{\"id\":1}", "", CATEGORY(1, "a")), CJ_ERR_FORMAT,
                "bad/b.json: images[0]: expected an id, a file_name, and height and width from 1");
    refuse_json(COCO(IMAGE(1, "a.pgm") "," IMAGE(1, "a.pgm"), "", CATEGORY(1, "a")), CJ_ERR_DATA,
                "bad/b.json: images: the id 1 comes twice");
    refuse_json(COCO(IMAGE(1, "c.pgm"), "", CATEGORY(1, "a")), CJ_ERR_NOT_FOUND,
                "bad/b.json: the picture 'c.pgm' is missing in bad");
    refuse_json(COCO(IMAGE(1, "x/c.pgm"), "", CATEGORY(1, "a")), CJ_ERR_NOT_FOUND,
                "bad/b.json: the picture 'x/c.pgm' is missing in bad");
    refuse_json(COCO(IMAGE(1, "../a.pgm"), "", CATEGORY(1, "a")), CJ_ERR_ARGUMENT,
                "bad/b.json: the file name '../a.pgm' is refused: it holds '..'; a name within "
                "'bad' is expected");
    refuse_json(COCO(IMAGE(1, "a.pgm"), "{\"image_id\":1}", CATEGORY(1, "a")), CJ_ERR_FORMAT,
                "bad/b.json: annotations[0]: expected an image_id, a category_id and a bbox of 4 "
                "numbers");
    refuse_json(COCO(IMAGE(1, "a.pgm"), BOX(1, 1, 0, 0, 1, "x"), CATEGORY(1, "a")), CJ_ERR_FORMAT,
                "bad/b.json: annotations[0]: expected an image_id, a category_id and a bbox of 4 "
                "numbers");
    refuse_json(COCO(IMAGE(1, "a.pgm"), BOX(1, 1, 0, 0, 1, 1) "," BOX(2, 1, 0, 0, 1, 1),
                     CATEGORY(1, "a")), CJ_ERR_DATA,
                "bad/b.json: annotations[1]: there is no picture 2");
    refuse_json(COCO(IMAGE(1, "a.pgm"), BOX(1, 2, 0, 0, 1, 1), CATEGORY(1, "a")), CJ_ERR_DATA,
                "bad/b.json: annotations[0]: there is no category 2");
    refuse_json(COCO(IMAGE(1, "a.pgm"), BOX(1, 1, 0, 0, 9.5, 1), CATEGORY(1, "a")), CJ_ERR_DATA,
                "bad/b.json: annotations[0]: a box from (0, 0) to (9.5, 1) (x, y) is outside of "
                "the picture of 8 x 4 (width x height)");
}

static void bad_folders_are_named(void **state)
{
    static const char *const own[] = {"cat"};
    (void)state;
    text("double/annotations/instances_train2014.json", "{}");
    REFUSE("double", CJ_ERR_NOT_FOUND,
           "double: has no folder with the pictures of instances_train2014.json; looked for "
           "double/train2014, double/images/train2014 and double/images",
           .split = NULL);
    folder("double/images");
    REFUSE("double/annotations/instances_train2014.json", CJ_ERR_FORMAT,
           "double/annotations/instances_train2014.json: has no list 'images'; expected images, "
           "annotations and categories",
           .split = NULL);
    text("double/annotations/instances_train2017.json", "{}");
    REFUSE("double", CJ_ERR_DATA,
           "double/annotations: instances_train2014.json and instances_train2017.json are both for "
           "one part; name one of them as the data",
           .split = NULL);
    REFUSE("around", CJ_ERR_DATA,
           "around/train/_annotations.coco.json: annotation 0: 'x' is no class of the training "
           "part",
           .classes = 1, .class_names = own);
}

static void bad_samples_are_left_out_and_counted(void **state)
{
    (void)state;
    told t = {0};
    char found[600];
    cj_context *cj = cj_context_new(&(cj_config){.log = listen, .log_user = &t});
    text("some/boxes.json",
         COCO(IMAGE(1, "a.pgm") "," IMAGE(2, "b.pgm") "," IMAGE(3, "gone.pgm"),
              BOX(1, 1, 0, 0, 8, 4) "," BOX(1, 1, 2, 2, 0, 0) "," CROWD(1) ","
              BOX(2, 1, 0, 0, 80, 4) "," BOX(2, 1, 0, 0, 90, 4) "," BOX(3, 1, 0, 0, 1, 1),
              CATEGORY(1, "x")));
    picture("some/a.pgm", 4, 8, 1);
    picture("some/b.pgm", 4, 8, 2);
    cj_dataset *ds = cj_dataset_open(cj, in_root("some/boxes.json"),
                                     .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    assert_parsed(cj, ds);
    describe_boxes(ds, found, sizeof found);
    assert_string_equal(found, "1: x 0 0 1 1");
    assert_string_equal(
        t.all,
        "left out: some/boxes.json: the picture 'gone.pgm' is missing in some\n"
        "left out: some/boxes.json: annotations[3]: a box from (0, 0) to (80, 4) (x, y) is outside "
        "of the picture of 8 x 4 (width x height)\n"
        "some/boxes.json: 1 boxes have no area and are left out\n"
        "some/boxes.json: 1 boxes are of crowds and are left out\n"
        "some/boxes.json: 2 of 3 pictures cannot be read and are left out\n");
    cj_context_free(cj);
}

static cj_status use(cj_context *cj, void *arg)
{
    cj_dataset *ds = cj_dataset_open(cj, arg, .height = 2, .width = 2, .split = "all",
                                     .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    cj_status failed = ds ? CJ_OK : cj_last_status(cj);
    if (!failed) assert_int_equal(cj_dataset_count(ds), 3); /* none is left out */
    cj_dataset_free(ds);
    return failed;
}

static void every_fault_is_a_status(void **state)
{
    (void)state;
    sweep_faults(use, "coco");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_parts),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(bad_folders_are_named),
        cmocka_unit_test(bad_samples_are_left_out_and_counted),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("data/coco", tests, make, unmake);
}
