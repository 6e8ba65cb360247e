/* test_voc.c: pictures with boxes as Pascal VOC has them: what is found, how boxes follow their
 * picture, and every way in which such a folder can be wrong. Real annotations against Python's
 * reader of XML are test_annotations.sh. */
#define _POSIX_C_SOURCE 200809L
#include "box_support.h"

#define SIZE(w, h) "<size><width>" #w "</width><height>" #h "</height><depth>3</depth></size>"
#define OBJECT(name, a, b, c, d) \
    "<object><name>" name "</name><pose>Left</pose><part><name>head</name><bndbox><xmin>9</xmin>" \
    "</bndbox></part><bndbox><xmin>" #a "</xmin><ymin>" #b "</ymin><xmax>" #c "</xmax><ymax>" #d \
    "</ymax></bndbox></object>"
#define VOC(inside) "<annotation><filename>x.jpg</filename>\n" inside "\n</annotation>\n"

/* One picture of 8 x 4 (width x height) with its annotation. */
static void sample(const char *set, const char *name, int value, const char *xml)
{
    char path[200];
    snprintf(path, sizeof path, "%s/JPEGImages/%s.pgm", set, name);
    picture(path, 4, 8, value);
    snprintf(path, sizeof path, "%s/Annotations/%s.xml", set, name);
    text(path, xml);
}

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(root)) return -1;
    sample("parts", "b", 2,
           VOC(SIZE(8, 4) OBJECT("cat", 2, 1, 6, 3) OBJECT("ant", 0, 0, 8, 4)));
    sample("parts", "a", 1, VOC(SIZE(8, 4) OBJECT("cat", 4, 0, 8.5, 4) OBJECT("cat", 5, 2, 5, 2)));
    sample("parts", "c", 3, VOC(SIZE(8, 4)));
    sample("parts", "d", 4, VOC(SIZE(8, 4) OBJECT("ant", 1, 1, 2, 2) OBJECT("ant", 1, 1, 3, 2)
                                    OBJECT("cat", 1, 1, 4, 2)));
    text("parts/ImageSets/Main/train.txt", "b\r\na\n\n");
    text("parts/ImageSets/Main/val.txt", "  c ");
    text("parts/ImageSets/Main/test.txt", "d\n");
    text("parts/ImageSets/Main/trainval.txt", "a\nb\nc\n");
    sample("flat", "y", 6, VOC(SIZE(8, 4) OBJECT("b", 0, 0, 4, 4)));
    sample("flat", "x", 5, VOC(SIZE(8, 4) OBJECT("c", 0, 0, 4, 2) OBJECT("a", 4, 2, 8, 4)));
    text("flat/Annotations/notes.txt", "x");
    return 0;
}

#define TRAIN "2: cat 0.25 0.25 0.75 0.75 ant 0 0 1 1; 1: cat 0.5 0 1 1"
#define TEST "4: ant 0.125 0.25 0.25 0.5 ant 0.125 0.25 0.375 0.5 cat 0.125 0.25 0.5 0.5"

static void lists_are_parts(void **state)
{
    (void)state;
    assert_true(has_validation("parts"));
    assert_false(has_validation("flat"));
    OPEN("parts", 3, TRAIN, .split = NULL);
    OPEN("parts", 3, TRAIN, .split = "train");
    OPEN("parts", 3, "3:", .split = "validation");
    OPEN("parts", 3, TEST, .split = "test");
    OPEN("parts", 3, TEST, .split = "auto");
    OPEN("parts", 3, TRAIN "; 3:; " TEST, .split = "all");
    OPEN("parts", 3, "2: cat 0.25 0.25 0.75 0.75 ant 0 0 1 1; 3:", .split = "all", .limit = 2);
    OPEN("flat", 2, "5: c 0 0 0.5 0.5 a 0.5 0.5 1 1; 6: b 0 0 0.5 1", .split = NULL);
    OPEN("flat", 2, "5: c 0 0 0.5 0.5 a 0.5 0.5 1 1; 6: b 0 0 0.5 1", .split = "auto");
    /* Without train.txt, trainval.txt is the training part. */
    char from[200], to[200];
    snprintf(from, sizeof from, "%s", in_root("parts/ImageSets/Main/train.txt"));
    snprintf(to, sizeof to, "%s", in_root("parts/ImageSets/Main/other"));
    assert_int_equal(rename(from, to), 0);
    OPEN("parts", 3, "1: cat 0.5 0 1 1; 2: cat 0.25 0.25 0.75 0.75 ant 0 0 1 1; 3:", .split = NULL);
    assert_int_equal(rename(to, from), 0);
}

static void classes_are_names(void **state)
{
    static const char *const names[] = {"dog", "cat", "ant"};
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_root("parts"));
    const cj_field *y = cj_dataset_field(ds, 1);
    assert_int_equal(y->classes, 2);
    assert_string_equal(y->class_names[0], "ant");
    assert_string_equal(y->class_names[1], "cat");
    ds = cj_dataset_open(cj, in_root("parts"), .classes = 3, .class_names = names);
    y = cj_dataset_field(ds, 1);
    float boxes[15];
    int64_t first = 0;
    assert_int_equal(y->classes, 3);
    assert_string_equal(y->class_names[0], "dog");
    assert_int_equal(cj_dataset_read(ds, &first, 1, 1, boxes), CJ_OK);
    assert_true(boxes[0] == 1 && boxes[5] == 2);
    ds = cj_dataset_open(cj, in_root("parts"), .no_target = true);
    assert_int_equal(cj_dataset_fields(ds), 1);
    cj_context_free(cj);
    REFUSE("parts", CJ_ERR_DATA,
           "parts/Annotations/b.xml: line 2: 'ant' is no class of the training part", .classes = 2,
           .class_names = names);
}

static void boxes_follow_their_picture(void **state)
{
    (void)state;
    OPEN("parts", 3, TRAIN, .height = 6, .width = 6);
    /* 8 x 4 within 8 x 8: two rows above and below. */
    OPEN("parts", 3, "2: cat 0.25 0.375 0.75 0.625 ant 0 0.25 1 0.75; 1: cat 0.5 0.25 1 0.75",
         .height = 8, .width = 8, .fit = CJ_FIT_PAD);
    /* 16 x 8 of which the middle 8 columns stay. */
    OPEN("parts", 3, "2: cat 0 0.25 1 0.75 ant 0 0 1 1; 1: cat 0.5 0 1 1", .height = 8, .width = 8,
         .fit = CJ_FIT_CROP);
    /* The left quarter is cut off, and what lay there. */
    OPEN("parts", 3, "4: ant 0 0.25 0.25 0.5 cat 0 0.25 0.5 0.5", .height = 4, .width = 4,
         .fit = CJ_FIT_CROP, .split = "test");
}

static void parts_have_the_same_fields(void **state)
{
    cj_dataset *parts[3], *train, *held;
    (void)state;
    cj_context *cj = test_context();
    parts[0] = cj_dataset_open(cj, in_root("parts"));
    parts[1] = cj_dataset_open(cj, in_root("parts"), .split = "validation");
    parts[2] = cj_dataset_open(cj, in_root("parts"), .split = "test");
    cj_dataset *all = cj_dataset_concatenate(parts, 3);
    assert_parsed(cj, all);
    char found[600];
    describe_boxes(all, found, sizeof found);
    assert_string_equal(found, TRAIN "; 3:; " TEST);
    assert_int_equal(cj_dataset_split(all, &train, &held, .fraction = 0.25, .seed = 1), CJ_OK);
    assert_int_equal(cj_dataset_count(train), 3);
    assert_int_equal(cj_dataset_count(held), 1);
    cj_context_free(cj);
}

/* Batches do not depend on how many threads read them. */
static void workers_give_the_same_batches(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_root("parts"), .split = "all", .height = 5, .width = 7,
                                     .fit = CJ_FIT_CROP);
    assert_parsed(cj, ds);
    uint64_t first = 0;
    for (int workers = 1; workers <= 5; workers += 2) {
        uint64_t sum = 14695981039346656037u;
        cj_loader *l = cj_loader_new(ds, .batch_size = 3, .shuffle = true, .seed = 3,
                                     .workers = workers);
        for (int epoch = 0; epoch < 4; epoch++)
            for (cj_batch b; !cj_loader_next(l, &b) && b.count;)
                for (int f = 0; f < b.fields; f++) {
                    const unsigned char *bytes = cj_tensor_map_read(b.tensors[f]);
                    for (size_t i = 0; i < cj_tensor_size_bytes(b.tensors[f]); i++)
                        sum = (sum ^ bytes[i]) * 1099511628211u;
                    cj_tensor_unmap(b.tensors[f]);
                }
        cj_loader_free(l);
        if (workers == 1) first = sum;
        assert_true(sum == first);
    }
    cj_context_free(cj);
}

/* ---- Bad folders ----------------------------------------------------------------------------- */

/* One annotation is refused with this message. */
static void refuse_xml(const char *xml, cj_status status, const char *message)
{
    sample("bad", "1", 1, VOC(SIZE(8, 4) OBJECT("a", 0, 0, 1, 1)));
    sample("bad", "2", 2, xml);
    REFUSE("bad", status, message, .split = NULL);
}

static void bad_annotations_are_named(void **state)
{
    (void)state;
    refuse_xml(VOC(SIZE(8, 4) OBJECT("a", 0, 0, 1, 1)) "x", CJ_ERR_FORMAT,
               "bad/Annotations/2.xml: line 4: expected the end, found 'x'");
    refuse_xml("<annotation><size></annotation>", CJ_ERR_FORMAT,
               "bad/Annotations/2.xml: line 1: expected '</size>' for that of line 1, found "
               "'</annotation>'");
    refuse_xml("<html/>", CJ_ERR_FORMAT,
               "bad/Annotations/2.xml: line 1: expected <annotation>, found <html>");
    refuse_xml(VOC(""), CJ_ERR_FORMAT, "bad/Annotations/2.xml: line 1: <annotation> has no <size>");
    refuse_xml(VOC("<size><width>8</width></size>"), CJ_ERR_FORMAT,
               "bad/Annotations/2.xml: line 2: <size> has no <height>");
    refuse_xml(VOC(SIZE(0, 4)), CJ_ERR_DATA,
               "bad/Annotations/2.xml: line 2: a picture of 0 x 4 pixels (width x height) is not "
               "possible");
    refuse_xml(VOC(SIZE(1e9, 1e9)), CJ_ERR_DATA,
               "bad/Annotations/2.xml: line 2: a picture of 1e+09 x 1e+09 pixels (width x height) "
               "is not possible");
    refuse_xml(VOC(SIZE(eight, 4)), CJ_ERR_FORMAT,
               "bad/Annotations/2.xml: line 2: <width>: expected a number, found 'eight'");
    refuse_xml(VOC(SIZE(8, 4) "<object/>"), CJ_ERR_FORMAT,
               "bad/Annotations/2.xml: line 2: <object> has no <name>");
    refuse_xml(VOC(SIZE(8, 4) "<object><name>a</name></object>"), CJ_ERR_FORMAT,
               "bad/Annotations/2.xml: line 2: <object> has no <bndbox>");
    refuse_xml(VOC(SIZE(8, 4) "<object><name>a</name><bndbox><xmin>1</xmin></bndbox></object>"),
               CJ_ERR_FORMAT, "bad/Annotations/2.xml: line 2: <bndbox> has no <ymin>");
    refuse_xml(VOC(SIZE(8, 4) OBJECT("", 1, 1, 2, 2)), CJ_ERR_DATA,
               "bad/Annotations/2.xml: line 2: <name> is empty");
    refuse_xml(VOC(SIZE(8, 4) "\n" OBJECT("a", 1, 1, 10, 2)), CJ_ERR_DATA,
               "bad/Annotations/2.xml: line 3: a box from (1, 1) to (10, 2) (x, y) is outside of "
               "the picture of 8 x 4 (width x height)");
    refuse_xml(VOC(SIZE(8, 4) OBJECT("a", 1, -2, 2, 2)), CJ_ERR_DATA,
               "bad/Annotations/2.xml: line 2: a box from (1, -2) to (2, 2) (x, y) is outside of "
               "the picture of 8 x 4 (width x height)");
    refuse_xml(VOC(SIZE(8, 4) OBJECT("a", 3, 1, 2, 2)), CJ_ERR_DATA,
               "bad/Annotations/2.xml: line 2: a box from (3, 1) to (2, 2) (x, y), whose second "
               "corner is before the first");
    refuse_xml(VOC(SIZE(8, 4) OBJECT("a", nan, 1, 2, 2)), CJ_ERR_DATA,
               "bad/Annotations/2.xml: line 2: a box from (nan, 1) to (2, 2) (x, y), whose second "
               "corner is before the first");
}

static void bad_folders_are_named(void **state)
{
    (void)state;
    sample("gone", "1", 1, VOC(SIZE(8, 4) OBJECT("a", 0, 0, 1, 1)));
    text("gone/Annotations/2.xml", VOC(SIZE(8, 4)));
    REFUSE("gone", CJ_ERR_NOT_FOUND,
           "gone/Annotations/2.xml: its picture is missing: gone/JPEGImages has no 2.jpg or .png",
           .split = NULL);
    REFUSE("gone", CJ_ERR_NOT_FOUND,
           "gone: has no part test, only train; parts are lists train.txt, val.txt and test.txt in "
           "ImageSets/Main",
           .split = "test");
    text("gone/ImageSets/Main/train.txt", "1\n3\n");
    text("gone/ImageSets/Main/val.txt", "\n \n");
    text("gone/ImageSets/Main/test.txt", "1\n../1\n");
    REFUSE("gone", CJ_ERR_NOT_FOUND,
           "cannot read 'gone/Annotations/3.xml': No such file or directory", .split = NULL);
    text("gone/ImageSets/Main/train.txt", "1\n");
    REFUSE("gone", CJ_ERR_DATA,
           "gone/ImageSets/Main/val.txt: the list is empty; expected names, a line each",
           .split = "validation");
    REFUSE("gone", CJ_ERR_ARGUMENT,
           "gone/ImageSets/Main/test.txt: the file name '../1' is refused: it holds '..'; "
           "a name within 'the data set' is expected",
           .split = "test");
    text("gone/ImageSets/Main/test.txt", "1 -1\n");
    REFUSE("gone", CJ_ERR_FORMAT, "gone/ImageSets/Main/test.txt: '1 -1': expected one name a line",
           .split = "test");
    OPEN("gone", 1, "1: a 0 0 0.125 0.25", .split = "train");
    picture("gone/JPEGImages/1.ppm", 4, 8, 1);
    REFUSE("gone", CJ_ERR_DATA,
           "gone/JPEGImages: 1.pgm and 1.ppm have the same name before the dot", .split = NULL);
    sample("nothing", "1", 1, VOC(SIZE(8, 4)));
    REFUSE("nothing", CJ_ERR_DATA,
           "nothing: the training part has no object, so there are no classes", .split = NULL);
    picture("none/JPEGImages/1.pgm", 4, 8, 1);
    text("none/Annotations/x", "");
    REFUSE("none", CJ_ERR_DATA,
           "none/Annotations: has no annotations; expected files such as 1.xml", .split = NULL);
    REFUSE("parts", CJ_ERR_ARGUMENT,
           "parts: target, types, drop, header, delimiter, weight, widths, pictures are for "
           "tables; this has pictures",
           .target = "x");
}

static void bad_samples_are_left_out_and_counted(void **state)
{
    (void)state;
    told t = {0};
    char found[600];
    unsigned char pixels[200];
    cj_context *cj = cj_context_new(&(cj_config){.log = listen, .log_user = &t});
    sample("some", "1", 1, VOC(SIZE(8, 4) OBJECT("a", 0, 0, 8, 4) OBJECT("b", 0, 1, 2, 1)));
    sample("some", "2", 2, VOC(SIZE(8, 4) OBJECT("a", 0, 0, 80, 4)));
    sample("some", "3", 3, VOC(SIZE(6, 4) OBJECT("a", 0, 0, 1, 1)));
    sample("some", "4", 4, "<annotation>");
    text("some/Annotations/5.xml", VOC(SIZE(8, 4)));
    sample("some", "6", 6, VOC(SIZE(8, 4)));
    cj_dataset *ds = cj_dataset_open(cj, in_root("some"), .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    assert_parsed(cj, ds);
    describe_boxes(ds, found, sizeof found);
    assert_string_equal(found, "1: a 0 0 1 1; 6:");
    assert_string_equal(
        t.all,
        "left out: some/Annotations/2.xml: line 2: a box from (0, 0) to (80, 4) (x, y) is outside "
        "of the picture of 8 x 4 (width x height)\n"
        "left out: some/Annotations/4.xml: line 1: expected '</annotation>' for that of line 1, "
        "found the end\n"
        "left out: some/Annotations/5.xml: its picture is missing: some/JPEGImages has no 5.jpg or "
        ".png\n"
        "some: 1 boxes have no area and are left out\n"
        "left out: some/JPEGImages/3.pgm: is 4 x 8 pixels (height x width), but 4 x 6 in "
        "some/Annotations/3.xml\n"
        "some: 4 of 6 pictures cannot be read and are left out\n");
    /* Where bad samples stop, a picture of another size does when it is read. */
    text("some/ImageSets/Main/train.txt", "1\n3\n");
    ds = cj_dataset_open(cj, in_root("some"));
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_read(ds, &(int64_t){1}, 1, 0, pixels), CJ_ERR_DATA);
    assert_string_equal(rootless(cj_message(cj)),
                        "some/JPEGImages/3.pgm: is 4 x 8 pixels (height x width), but 4 x 6 in "
                        "some/Annotations/3.xml");
    cj_context_free(cj);
}

static cj_status use(cj_context *cj, void *arg)
{
    cj_dataset *ds = cj_dataset_open(cj, arg, .height = 2, .width = 2, .fit = CJ_FIT_PAD,
                                     .split = "all", .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    cj_status failed = ds ? CJ_OK : cj_last_status(cj);
    float boxes[15];
    if (!failed)
        assert_int_equal(cj_dataset_count(ds), 4); /* none is left out for want of memory */
    if (!failed) failed = cj_dataset_read(ds, &(int64_t){1}, 1, 1, boxes);
    cj_dataset_free(ds);
    return failed;
}

static void every_fault_is_a_status(void **state)
{
    (void)state;
    sweep_faults(use, "parts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_parts),
        cmocka_unit_test(classes_are_names),
        cmocka_unit_test(boxes_follow_their_picture),
        cmocka_unit_test(parts_have_the_same_fields),
        cmocka_unit_test(workers_give_the_same_batches),
        cmocka_unit_test(bad_annotations_are_named),
        cmocka_unit_test(bad_folders_are_named),
        cmocka_unit_test(bad_samples_are_left_out_and_counted),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("data/voc", tests, make, unmake);
}
