/* test_masks.c: pictures with masks: where they are found, what their values mean, how they follow
 * their picture, and every way in which such a folder can be wrong. */
#define _POSIX_C_SOURCE 200809L
#include "folder_support.h"

/* A mask of these bytes. */
static void mask(const char *name, int height, int width, const char *values)
{
    char bytes[200];
    const int n = snprintf(bytes, sizeof bytes, "P5 %d %d 255 ", width, height);
    memcpy(bytes + n, values, (size_t)(height * width));
    file(name, bytes, (size_t)(n + height * width));
}

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(root)) return -1;
    picture("flat/image/b.pgm", 2, 2, 2);
    picture("flat/image/a.pgm", 2, 2, 1);
    mask("flat/label/a.pgm", 2, 2, "\0\377\0\377");
    mask("flat/label/b.pgm", 2, 2, "\0\0\200\0");
    text("flat/label/notes.txt", "x");
    picture("around/train/images/1.pgm", 2, 2, 1);
    mask("around/train/masks/1.pgm", 2, 2, "\3\7\7\7");
    picture("around/val/images/2.pgm", 2, 2, 2);
    mask("around/val/masks/2.pgm", 2, 2, "\3\3\3\3");
    picture("around/test/images/3.pgm", 2, 2, 3);
    mask("around/test/masks/3.pgm", 2, 2, "\7\7\7\7");
    picture("within/images/train/1.pgm", 2, 2, 1);
    mask("within/labels/train/1.pgm", 2, 2, "\1\0\0\0");
    picture("within/images/test/3.pgm", 2, 2, 3);
    mask("within/labels/test/3.pgm", 2, 2, "\0\0\1\0");
    picture("voc/JPEGImages/1.pgm", 2, 2, 1);
    picture("voc/JPEGImages/2.pgm", 2, 2, 2);
    picture("voc/JPEGImages/3.pgm", 2, 2, 3);
    mask("voc/SegmentationClass/1.pgm", 2, 2, "\0\2\2\377");
    mask("voc/SegmentationClass/3.pgm", 2, 2, "\0\2\0\0");
    return 0;
}

/* "1: 0011 2: 0002": the first value of each picture and the classes of its mask. */
static void describe_masks(cj_dataset *ds, char *out, size_t size)
{
    const cj_field *x = cj_dataset_field(ds, 0), *y = cj_dataset_field(ds, 1);
    unsigned char pixels[300];
    int32_t classes[100];
    assert_int_equal(y->kind, CJ_FIELD_MASK);
    assert_string_equal(y->name, "mask");
    assert_int_equal(y->dtype, CJ_I32);
    assert_int_equal(y->shape[0], x->shape[0]);
    assert_int_equal(y->shape[1], x->shape[1]);
    out[0] = 0;
    for (int64_t i = 0; i < cj_dataset_count(ds); i++) {
        assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_OK);
        assert_int_equal(cj_dataset_read(ds, &i, 1, 1, classes), CJ_OK);
        const int64_t middle = (x->shape[0] / 2 * x->shape[1] + x->shape[1] / 2) * x->shape[2];
        snprintf(out + strlen(out), size - strlen(out), "%s%d: ", i ? " " : "", pixels[middle]);
        for (int64_t k = 0; k < y->shape[0] * y->shape[1]; k++)
            snprintf(out + strlen(out), size - strlen(out), "%d", classes[k]);
    }
}

static void check(const char *name, const cj_dataset_opts *opts, const char *names,
                  const char *expected)
{
    cj_context *cj = test_context();
    char found[600];
    cj_dataset_opts o = *opts;
    o.source = in_root(name);
    cj_dataset *ds = (cj_dataset_open)(cj, &o);
    assert_parsed(cj, ds);
    describe_masks(ds, found, sizeof found);
    assert_string_equal(found, expected);
    found[0] = 0;
    const cj_field *y = cj_dataset_field(ds, 1);
    for (int i = 0; i < y->classes; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", i ? " " : "",
                 y->class_names[i]);
    assert_string_equal(found, names);
    cj_dataset_free(ds);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

#define OPEN(name, names, expected, ...) \
    check(name, &(cj_dataset_opts){.struct_size = 0, __VA_ARGS__}, names, expected)

static void values_are_classes(void **state)
{
    static const char *const words[] = {"sky", "ground", "tree"}, *const many[] = {"a", "b", "c",
                                                                                  "d", "e"};
    static const char *const numbers[] = {"255", "128", "0", "7"};
    (void)state;
    OPEN("flat", "0 128 255", "1: 0202 2: 0010", .split = NULL);
    OPEN("flat", "0 128 255", "1: 0202", .split = "auto", .limit = 1);
    OPEN("flat", "sky ground tree", "1: 0202 2: 0010", .classes = 3, .class_names = words);
    OPEN("flat", "255 128 0 7", "1: 2020 2: 2212", .classes = 4, .class_names = numbers);
    OPEN("within", "a b c d e", "1: 1000", .classes = 5, .class_names = many);
    REFUSE("flat", CJ_ERR_DATA,
           "flat: masks have 3 values up to 255, and 2 names of classes are given", .classes = 2,
           .class_names = words);
}

static void parts_are_folders_or_lists(void **state)
{
    (void)state;
    assert_true(has_validation("around"));
    assert_false(has_validation("within"));
    assert_false(has_validation("voc"));
    assert_false(has_validation("flat"));
    OPEN("around", "3 7", "1: 0111", .split = NULL);
    OPEN("around", "3 7", "2: 0000", .split = "validation");
    OPEN("around", "3 7", "3: 1111", .split = "test");
    OPEN("around", "3 7", "3: 1111", .split = "auto");
    OPEN("around", "3 7", "1: 0111 2: 0000 3: 1111", .split = "all");
    OPEN("within", "0 1", "1: 1000", .split = "train");
    OPEN("within", "0 1", "3: 0010", .split = "test");
    REFUSE("within", CJ_ERR_NOT_FOUND,
           "within: has no part validation, only train and test; parts are folders train, val and "
           "test around the two of pictures and masks, or in each",
           .split = "validation");
    /* VOC has pictures without masks, and lists. */
    OPEN("voc", "0 2 255", "1: 0112 3: 0100", .split = NULL);
    text("voc/ImageSets/Segmentation/train.txt", "3\n");
    text("voc/ImageSets/Segmentation/val.txt", "1\n");
    OPEN("voc", "0 2", "3: 0100", .split = NULL);
    REFUSE("voc", CJ_ERR_DATA,
           "voc/SegmentationClass/1.pgm: has the value 255, which is no class; the classes are 0, "
           "2",
           .split = "validation");
    /* With boxes beside the masks, the target says which of them are meant. */
    text("voc/Annotations/1.xml", "<annotation/>");
    OPEN("voc", "0 2", "3: 0100", .target = "mask");
    REFUSE("voc", CJ_ERR_FORMAT, "voc/Annotations/1.xml: line 1: <annotation> has no <size>",
           .split = NULL);
    remove(in_root("voc/Annotations/1.xml"));
    remove(in_root("voc/Annotations"));
    remove(in_root("voc/ImageSets/Segmentation/train.txt"));
    remove(in_root("voc/ImageSets/Segmentation/val.txt"));
}

/* By the nearest pixel; margins are of the first class. */
static void masks_follow_their_picture(void **state)
{
    (void)state;
    OPEN("flat", "0 128 255", "1: 0022002200220022 2: 0000000011001100", .height = 4, .width = 4);
    OPEN("flat", "0 128 255", "1: 020020 2: 000100", .height = 2, .width = 3, .fit = CJ_FIT_PAD,
         .split = "all");
    OPEN("flat", "0 128 255", "1: 0202 2: 0010", .height = 2, .width = 2, .fit = CJ_FIT_CROP,
         .colour = CJ_PICTURE_GREY);
}

static void workers_and_splits(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_root("around"), .split = "all"), *train, *held;
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_split(ds, &train, &held, .fraction = 0.3, .seed = 1), CJ_OK);
    assert_int_equal(cj_dataset_count(train), 2);
    uint64_t first = 0;
    for (int workers = 1; workers <= 4; workers++) {
        uint64_t sum = 0;
        cj_loader *l = cj_loader_new(ds, .batch_size = 2, .shuffle = true, .workers = workers);
        for (int epoch = 0; epoch < 3; epoch++)
            for (cj_batch b; !cj_loader_next(l, &b) && b.count;) {
                const int32_t *m = cj_tensor_map_read(b.tensors[1]);
                for (int64_t i = 0; i < cj_tensor_count(b.tensors[1]); i++)
                    sum = sum * 31 + (uint64_t)m[i];
                cj_tensor_unmap(b.tensors[1]);
            }
        cj_loader_free(l);
        if (workers == 1) first = sum;
        assert_true(sum == first && sum);
    }
    cj_context_free(cj);
}

static void bad_folders_are_named(void **state)
{
    (void)state;
    picture("bad/image/1.pgm", 2, 2, 1);
    mask("bad/label/1.pgm", 2, 2, "\0\0\0\1");
    picture("bad/image/2.pgm", 2, 2, 2);
    REFUSE("bad", CJ_ERR_NOT_FOUND,
           "bad/image/2.pgm: its mask is missing: bad/label has no 2.png", .split = NULL);
    mask("bad/label/2.pgm", 2, 2, "\0\0\0\1");
    mask("bad/label/3.pgm", 2, 2, "\0\0\0\1");
    REFUSE("bad", CJ_ERR_NOT_FOUND,
           "bad/label/3.pgm: its picture is missing: bad/image has no 3.jpg or .png",
           .split = NULL);
    file("bad/image/3.pgm", "P5 2 2 255 x", 12);
    file("bad/label/3.pgm", "P6 1 1 255 abc", 14);
    REFUSE("bad", CJ_ERR_DATA,
           "bad/label/3.pgm: picture: it has colours, such as (97, 98, 99) in pixel 0; expected "
           "grey or a palette",
           .split = NULL);
    REFUSE("bad", CJ_ERR_ARGUMENT,
           "bad: target, types, drop, header, delimiter, weight, widths, pictures are for "
           "tables; this has pictures",
           .target = "boxes");
    text("empty/image/notes", "x");
    text("empty/label/train/notes", "x");
    REFUSE("empty", CJ_ERR_DATA,
           "empty: the training part has no masks, so there are no classes", .split = NULL);
}

static void sizes_must_be_equal(void **state)
{
    (void)state;
    told t = {0};
    char found[600];
    unsigned char pixels[100];
    int32_t classes[9];
    cj_context *cj = cj_context_new(&(cj_config){.log = listen, .log_user = &t});
    picture("sizes/image/1.pgm", 2, 2, 1);
    mask("sizes/label/1.pgm", 2, 2, "\0\1\0\1");
    picture("sizes/image/2.pgm", 2, 2, 2);
    mask("sizes/label/2.pgm", 2, 3, "\0\1\0\1\0\0");
    picture("sizes/image/3.pgm", 3, 2, 3);
    mask("sizes/label/3.pgm", 3, 2, "\0\1\0\1\0\0");
    cj_dataset *ds = cj_dataset_open(cj, in_root("sizes"));
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_read(ds, &(int64_t){1}, 1, 0, pixels), CJ_ERR_DATA);
    assert_string_equal(rootless(cj_message(cj)),
                        "sizes/image/2.pgm: is 2 x 2 pixels (height x width), but 2 x 3 in "
                        "sizes/label/2.pgm");
    assert_int_equal(cj_dataset_read(ds, &(int64_t){2}, 1, 1, classes), CJ_ERR_SHAPE);
    assert_string_equal(rootless(cj_message(cj)),
                        "sizes/label/3.pgm: is 3 x 2 pixels (height x width), and pictures are 2 x "
                        "2; 'size' brings all to one");
    /* A mask that was changed since. */
    mask("sizes/label/1.pgm", 2, 2, "\0\1\2\1");
    assert_int_equal(cj_dataset_read(ds, &(int64_t){0}, 1, 1, classes), CJ_ERR_DATA);
    assert_string_equal(rootless(cj_message(cj)),
                        "sizes/label/1.pgm: has the value 2, which is no class; the classes are 0, "
                        "1");
    ds = cj_dataset_open(cj, in_root("sizes"), .height = 2, .width = 2,
                         .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    assert_parsed(cj, ds);
    describe_masks(ds, found, sizeof found);
    assert_string_equal(found, "1: 0121 3: 0100");
    assert_string_equal(t.all,
                        "left out: sizes/image/2.pgm: is 2 x 2 pixels (height x width), but 2 x 3 "
                        "in sizes/label/2.pgm\n"
                        "sizes: 1 of 3 pictures cannot be read and are left out\n");
    cj_context_free(cj);
}

static cj_status use(cj_context *cj, void *arg)
{
    cj_dataset *ds = cj_dataset_open(cj, arg, .height = 3, .width = 3, .fit = CJ_FIT_PAD,
                                     .split = "all", .on_bad_sample = CJ_BAD_SAMPLE_SKIP);
    cj_status failed = ds ? CJ_OK : cj_last_status(cj);
    int32_t classes[9];
    if (!failed)
        assert_int_equal(cj_dataset_count(ds), 3); /* none is left out for want of memory */
    if (!failed) failed = cj_dataset_read(ds, &(int64_t){1}, 1, 1, classes);
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
        cmocka_unit_test(values_are_classes),
        cmocka_unit_test(parts_are_folders_or_lists),
        cmocka_unit_test(masks_follow_their_picture),
        cmocka_unit_test(workers_and_splits),
        cmocka_unit_test(bad_folders_are_named),
        cmocka_unit_test(sizes_must_be_equal),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("data/masks", tests, make, unmake);
}
