/* test_annotations.c: the C half of test_annotations.sh, which unpacks real data sets into
 * $CAJAL_ANNOTATIONS and writes there what Python reads from them. Alone it has nothing to do. */
#include "data_support.h"

#include <math.h>

#include "base/text.h"

static const char *folder;

static const char *in_folder(const char *name)
{
    static char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static uint32_t crc_of(cj_dataset *ds, int64_t i, int field, void *item, size_t bytes)
{
    assert_int_equal(cj_dataset_read(ds, &i, 1, field, item), CJ_OK);
    return cj__crc32(0, item, bytes);
}

/* Returns how many boxes there were. A number may be off by so much. */
static int64_t check_part(const char *set, const char *split, const char *list, double off)
{
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_folder(set), .split = split);
    assert_parsed(cj, ds);
    const cj_field *y = cj_dataset_field(ds, 1);
    const size_t bytes = 480 * 640 * 3;
    assert_int_equal(y->shape[0], 30); /* of all parts */
    assert_int_equal(y->classes, 3);
    assert_string_equal(y->class_names[0], "Platelets");
    unsigned char *picture = malloc(bytes);
    float boxes[30 * 5];
    char name[100];
    unsigned crc;
    int n;
    int64_t i = 0, all = 0;
    FILE *f = fopen(in_folder(list), "r");
    assert_non_null(f);
    assert_non_null(picture);
    for (; fscanf(f, "%99s %x %d", name, &crc, &n) == 3; i++, all += n) {
        if (crc_of(ds, i, 0, picture, bytes) != crc) fail_msg("%s: another picture", name);
        assert_int_equal(cj_dataset_read(ds, &i, 1, 1, boxes), CJ_OK);
        for (int k = 0; k < n; k++)
            for (int c = 0; c < 5; c++) {
                double value;
                assert_int_equal(fscanf(f, "%lf", &value), 1);
                if (!(fabs((double)boxes[k * 5 + c] - (double)(float)value) <= off))
                    fail_msg("%s: box %d: number %d is %.9g, expected %.9g", name, k, c,
                             boxes[k * 5 + c], value);
            }
        assert_true(n == 30 || boxes[n * 5] == -1);
    }
    assert_int_equal(i, cj_dataset_count(ds));
    fclose(f);
    free(picture);
    cj_context_free(cj);
    return all;
}

static void boxes_are_those_of_python(void **state)
{
    (void)state;
    if (!folder || cj_picture_format_of("a.jpg")->lacks) skip();
    static const struct {
        const char *set;
        double off;
    } sets[] = {{"BCCD", 0}, {"coco", 0}, {"yolo", 6e-8}}; /* middle - width / 2: an ulp of 1 */
    for (size_t i = 0; i < CJ__COUNT(sets); i++) {
        const int64_t n = check_part(sets[i].set, "train", "train.txt", sets[i].off) +
                          check_part(sets[i].set, "validation", "val.txt", sets[i].off) +
                          check_part(sets[i].set, "test", "test.txt", sets[i].off);
        assert_int_equal(n, 4888 - 2); /* two have no area */
    }
}

static void masks_are_those_of_python(void **state)
{
    (void)state;
    if (!folder || cj_picture_format_of("a.png")->lacks) skip();
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, in_folder("membrane"));
    assert_parsed(cj, ds);
    cj_dataset *small = cj_dataset_open(cj, in_folder("membrane"), .height = 60, .width = 100);
    assert_parsed(cj, small);
    assert_int_equal(cj_dataset_count(ds), 30);
    assert_int_equal(cj_dataset_field(ds, 1)->classes, 2);
    assert_string_equal(cj_dataset_field(ds, 1)->class_names[1], "255");
    const size_t pixels = 512 * 512;
    void *item = malloc(pixels * 4);
    char name[100];
    unsigned crc[3];
    int64_t i = 0;
    FILE *f = fopen(in_folder("masks.txt"), "r");
    assert_non_null(f);
    for (; fscanf(f, "%99s %x %x %x", name, &crc[0], &crc[1], &crc[2]) == 4; i++)
        if (crc_of(ds, i, 0, item, pixels * 3) != crc[0] ||
            crc_of(ds, i, 1, item, pixels * 4) != crc[1] ||
            crc_of(small, i, 1, item, 60 * 100 * 4) != crc[2])
            fail_msg("%s: picture or mask differ", name);
    assert_int_equal(i, 30);
    fclose(f);
    free(item);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_are_those_of_python),
        cmocka_unit_test(masks_are_those_of_python),
    };
    folder = getenv("CAJAL_ANNOTATIONS");
    return cmocka_run_group_tests_name("data/annotations", tests, NULL, NULL);
}
