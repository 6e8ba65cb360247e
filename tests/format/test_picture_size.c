/* test_picture_size.c: sizes of pictures against Pillow's Image.resize (tools/golden/pictures.py),
 * bit for bit; crops and fits against their definition. */
#include "format_support.h"

#include <cajal/picture.h>

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int leaked = cj_memory_used(cj) != 0;
    cj_context_free(cj);
    return leaked;
}

static const char *const filters[] = {[CJ_PICTURE_BILINEAR] = "bilinear",
                                      [CJ_PICTURE_BICUBIC] = "bicubic",
                                      [CJ_PICTURE_AREA] = "area",
                                      [CJ_PICTURE_NEAREST] = "nearest"};

/* Arrays "3" are pictures, "3.area.8x5" what becomes of them. */
static void resizes_as_pillow_does(void **state)
{
    char path[512], number[8], filter[16];
    cj_tensors *list;
    const char *name;
    int compared = 0;
    (void)state;
    if (cj_npz_load(cj, golden_path(path, "picture/resize.npz"), &list))
        fail_msg("%s", cj_message(cj));
    for (size_t i = 0; i < cj_tensors_count(list); i++) {
        cj_tensor *expected = cj_tensors_at(list, i, &name), *result;
        long long height, width;
        int64_t first;
        if (sscanf(name, "%7[0-9].%15[a-z].%lldx%lld", number, filter, &height, &width) != 4)
            continue;
        int f = 0;
        while (strcmp(filters[f], filter) != 0) f++;
        if (cj_picture_resize(cj_tensors_find(list, number), height, width, (cj_picture_filter)f,
                              &result))
            fail_msg("%s: %s", name, cj_message(cj));
        if (!cj_tensor_close(result, expected, 0, 0, &first))
            fail_msg("%s: first difference at %lld", name, (long long)first);
        cj_tensor_free(result);
        compared++;
    }
    assert_true(compared >= 11 * 4 * 5);
    cj_tensors_free(list);
}

/* Pixel (y, x) is 10 y + x. */
static cj_tensor *numbered(int64_t height, int64_t width)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_U8, 3, SHAPE(height, width, 1));
    unsigned char *pixel = cj__tensor_data(t);
    for (int64_t i = 0; i < t->count; i++)
        pixel[i] = (unsigned char)(10 * (i / width) + i % width);
    return t;
}

static void assert_bytes(cj_tensor *t, int64_t height, int64_t width, const unsigned char *bytes)
{
    assert_int_equal(t->shape[0], height);
    assert_int_equal(t->shape[1], width);
    assert_memory_equal(cj__tensor_data(t), bytes, (size_t)(height * width));
    cj_tensor_free(t);
}

#define BYTES(...) (const unsigned char[]){__VA_ARGS__}

static void crops(void **state)
{
    cj_tensor *p = numbered(4, 7), *t;
    (void)state;
    assert_int_equal(cj_picture_crop(p, 1, 2, 2, 3, &t), CJ_OK);
    assert_bytes(t, 2, 3, BYTES(12, 13, 14, 22, 23, 24));
    assert_int_equal(cj_picture_centre_crop(p, 1, 2, &t), CJ_OK);
    assert_bytes(t, 1, 2, BYTES(12, 13));
    assert_int_equal(cj_picture_crop(p, 3, 0, 2, 1, &t), CJ_ERR_ARGUMENT);
    assert_null(t);
    assert_string_equal(cj_message(cj), "crop: 2 x 1 (height x width) at (3, 0) is not within a "
                                        "picture of 4 x 7");
    assert_int_equal(cj_picture_crop(p, 0, INT64_MAX, 1, 1, &t), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_picture_crop(p, 0, 1, INT64_MAX, INT64_MAX, &t), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_picture_centre_crop(p, 5, 5, &t), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_picture_centre_crop(p, 0, 5, &t), CJ_ERR_ARGUMENT);
    cj_tensor_free(p);
}

static void fits(void **state)
{
    cj_tensor *p = numbered(2, 6), *t;
    (void)state;
    assert_int_equal(cj_picture_make_fit(p, 2, 2, CJ_FIT_CROP, CJ_PICTURE_NEAREST, &t), CJ_OK);
    assert_bytes(t, 2, 2, BYTES(2, 3, 12, 13));
    assert_int_equal(cj_picture_make_fit(p, 3, 3, CJ_FIT_PAD, CJ_PICTURE_NEAREST, &t), CJ_OK);
    assert_bytes(t, 3, 3, BYTES(0, 0, 0, 11, 13, 15, 0, 0, 0));
    assert_int_equal(cj_picture_make_fit(p, 1, 3, CJ_FIT_STRETCH, CJ_PICTURE_NEAREST, &t), CJ_OK);
    assert_bytes(t, 1, 3, BYTES(11, 13, 15));
    cj_tensor_free(p);
    /* Every size comes out as asked for, with each of the ways. */
    for (int64_t h = 1; h <= 9; h += 2)
        for (int64_t w = 1; w <= 13; w += 3)
            for (int64_t size = 1; size <= 8; size++)
                for (int fit = CJ_FIT_STRETCH; fit <= CJ_FIT_PAD; fit++) {
                    p = numbered(h, w);
                    assert_int_equal(cj_picture_make_fit(p, size, 7, (cj_picture_fit)fit,
                                                         CJ_PICTURE_BILINEAR, &t),
                                     CJ_OK);
                    assert_int_equal(t->shape[0], size);
                    assert_int_equal(t->shape[1], 7);
                    cj_tensor_free(t);
                    cj_tensor_free(p);
                }
}

static void assert_frame(cj_picture_frame f, int64_t top, int64_t left, int64_t height,
                         int64_t width)
{
    assert_int_equal(f.top, top);
    assert_int_equal(f.left, left);
    assert_int_equal(f.height, height);
    assert_int_equal(f.width, width);
}

/* One white pixel of a large picture is found again where the frame says. */
static void frames_say_where_a_picture_lies(void **state)
{
    (void)state;
    assert_frame(cj_picture_fit_frame(480, 640, 128, 96, CJ_FIT_STRETCH), 0, 0, 128, 96);
    assert_frame(cj_picture_fit_frame(480, 640, 128, 128, CJ_FIT_PAD), 16, 0, 96, 128);
    assert_frame(cj_picture_fit_frame(480, 640, 128, 128, CJ_FIT_CROP), 0, -21, 128, 171);
    assert_frame(cj_picture_fit_frame(1000, 1, 5, 5, CJ_FIT_PAD), 0, 2, 5, 1);
    for (int fit = CJ_FIT_STRETCH; fit <= CJ_FIT_PAD; fit++)
        for (int64_t width = 8; width <= 40; width += 8) {
            cj_tensor *p = cj_tensor_new(cj, CJ_U8, 3, (int64_t[]){30, 20, 1}), *t;
            ((unsigned char *)cj__tensor_data(p))[15 * 20 + 10] = 255;
            assert_int_equal(cj_picture_make_fit(p, 90, width * 3, (cj_picture_fit)fit,
                                                 CJ_PICTURE_NEAREST, &t), CJ_OK);
            const cj_picture_frame f = cj_picture_fit_frame(30, 20, 90, width * 3,
                                                            (cj_picture_fit)fit);
            const int64_t y = f.top + (int64_t)(15.5 / 30 * (double)f.height);
            const int64_t x = f.left + (int64_t)(10.5 / 20 * (double)f.width);
            assert_int_equal(((unsigned char *)cj__tensor_data(t))[y * width * 3 + x], 255);
            cj_tensor_free(t);
            cj_tensor_free(p);
        }
}

static void impossible_sizes_are_refused(void **state)
{
    cj_tensor *p = numbered(2, 6), *t, *floats = cj_tensor_new(cj, CJ_F32, 3, SHAPE(2, 2, 3));
    (void)state;
    assert_int_equal(cj_picture_resize(p, 0, 5, CJ_PICTURE_AREA, &t), CJ_ERR_ARGUMENT);
    assert_null(t);
    assert_string_equal(cj_message(cj), "resize: to 0 x 5 pixels (height x width), expected 1 x 1 "
                                        "to 134217728 pixels");
    assert_int_equal(cj_picture_resize(p, INT64_MAX, 5, CJ_PICTURE_AREA, &t), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_picture_resize(p, 5, 5, (cj_picture_filter)9, &t), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_picture_resize(floats, 5, 5, CJ_PICTURE_AREA, &t), CJ_ERR_SHAPE);
    assert_int_equal(cj_picture_make_fit(p, 5, 5, (cj_picture_fit)3, CJ_PICTURE_AREA, &t),
                     CJ_ERR_ARGUMENT);
    cj_tensor_free(p);
    cj_tensor_free(floats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes_as_pillow_does),
        cmocka_unit_test(crops),
        cmocka_unit_test(fits),
        cmocka_unit_test(frames_say_where_a_picture_lies),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("format/picture_size", tests, setup, teardown);
}
