/* test_picture.c: pictures of other programs against what Pillow reads from them
 * (tools/golden/pictures.py), bit for bit; our own files read again; damaged and hostile bytes. */
#include "format_support.h"

#include <dirent.h>

#include <cajal/picture.h>

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(&(cj_config){.memory_limit_bytes = 512 << 20});
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int leaked = cj_memory_used(cj) != 0;
    cj_context_free(cj);
    return leaked;
}

static bool is_read(const char *path)
{
    const cj_picture_format *format = cj_picture_format_of(path);
    assert_non_null(format);
    return !format->lacks;
}

static unsigned char *file_bytes(const char *name, size_t *size)
{
    char path[512], file[128];
    snprintf(file, sizeof file, "picture/%s", name);
    return golden_bytes(golden_path(path, file), size);
}

static void assert_pixels(const char *name, const cj_tensor *picture, const cj_tensor *expected)
{
    int64_t first;
    if (cj_tensor_close(picture, expected, 0, 0, &first)) return;
    cj__shape_text a, b;
    if (first < 0)
        fail_msg("%s: %s, expected %s", name,
                 cj__shape_string(&a, picture->rank, picture->shape),
                 cj__shape_string(&b, expected->rank, expected->shape));
    fail_msg("%s: value %lld is %d, expected %d", name, (long long)first,
             ((unsigned char *)cj__tensor_data(picture))[first],
             ((unsigned char *)cj__tensor_data(expected))[first]);
}

/* Every array of expected.npz names a file and its colours: "rgb8.png.grey". */
static void reads_what_pillow_reads(void **state)
{
    char path[512], file[128];
    cj_tensors *expected;
    (void)state;
    if (cj_npz_load(cj, golden_path(path, "picture/expected.npz"), &expected))
        fail_msg("%s", cj_message(cj));
    const char *name;
    int read = 0;
    for (size_t i = 0; i < cj_tensors_count(expected); i++) {
        cj_tensor *pixels = cj_tensors_at(expected, i, &name), *picture;
        char *dot = strcpy(file, "picture/") + strlen("picture/");
        dot = strrchr(strcpy(dot, name), '.');
        const cj_picture_colour colour = !strcmp(dot, ".grey")    ? CJ_PICTURE_GREY
                                         : !strcmp(dot, ".index") ? CJ_PICTURE_INDEX
                                                                  : CJ_PICTURE_RGB;
        *dot = '\0';
        if (!is_read(file)) continue;
        if (cj_picture_load(cj, golden_path(path, file), colour, &picture))
            fail_msg("%s", cj_message(cj));
        assert_pixels(name, picture, pixels);
        cj_tensor_free(picture);
        read++;
    }
    assert_true(read > 0);
    cj_tensors_free(expected);
}

static void every_format_is_listed_and_found(void **state)
{
    int n = 0;
    (void)state;
    for (const cj_picture_format *f; (f = cj_picture_format_at(n)); n++) {
        char path[64];
        assert_true(f->name[0] && f->doc[0] && f->suffixes[0] == '.');
        snprintf(path, sizeof path, "a.b%.*s", (int)strcspn(f->suffixes, " "), f->suffixes);
        assert_ptr_equal(cj_picture_format_of(path), f);
    }
    assert_int_equal(n, 4);
    assert_null(cj_picture_format_at(-1));
    assert_string_equal(cj_picture_format_of("A.JPeG")->name, "jpeg");
    assert_null(cj_picture_format_of("jpeg"));
    assert_null(cj_picture_format_of(".jpg/list.csv"));
    assert_null(cj_picture_format_of(NULL));
}

static void saved_pictures_are_read_again(void **state)
{
    const char *names[] = {"saved.png", "saved.ppm"};
    const int64_t shapes[][3] = {{1, 1, 1}, {1, 1, 3}, {7, 5, 3}, {3, 1000, 1}, {200, 130, 3}};
    (void)state;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < CJ__COUNT(shapes); i++) {
            cj_tensor *again, *picture = cj_tensor_new(cj, CJ_U8, 3, shapes[i]);
            unsigned char *pixel = cj__tensor_data(picture);
            for (int64_t j = 0; j < picture->count; j++) pixel[j] = (unsigned char)(j * j / 7);
            if (!is_read(names[k])) {
                assert_int_equal(cj_picture_save(cj, names[k], picture), CJ_ERR_UNSUPPORTED);
                cj_tensor_free(picture);
                continue;
            }
            assert_int_equal(cj_picture_save(cj, names[k], picture), CJ_OK);
            assert_int_equal(cj_picture_load(cj, names[k],
                                             shapes[i][2] == 1 ? CJ_PICTURE_GREY : CJ_PICTURE_RGB,
                                             &again),
                             CJ_OK);
            assert_pixels(names[k], again, picture);
            cj_tensor_free(again);
            cj_tensor_free(picture);
            remove(names[k]);
        }
}

static void what_is_no_picture_is_not_saved(void **state)
{
    (void)state;
    cj_tensor *floats = cj_tensor_new(cj, CJ_F32, 3, SHAPE(2, 2, 3)),
              *four = cj_tensor_new(cj, CJ_U8, 3, SHAPE(2, 2, 4)),
              *empty = cj_tensor_new(cj, CJ_U8, 3, SHAPE(0, 2, 3)),
              *flat = cj_tensor_new(cj, CJ_U8, 2, SHAPE(2, 2));
    assert_int_equal(cj_picture_save(cj, "x.ppm", floats), CJ_ERR_SHAPE);
    assert_string_equal(cj_message(cj),
                        "x.ppm: a picture is u8 (height, width, 1 or 3), received f32 (2, 2, 3)");
    assert_int_equal(cj_picture_save(cj, "x.ppm", four), CJ_ERR_SHAPE);
    assert_int_equal(cj_picture_save(cj, "x.ppm", empty), CJ_ERR_SHAPE);
    assert_int_equal(cj_picture_save(cj, "x.jpg", flat), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_message(cj),
                        "x.jpg: pictures are written as .png, .ppm, .pgm or .pnm");
    assert_int_equal(cj_picture_save(cj, "no/such/folder/x.ppm", flat), CJ_ERR_NOT_FOUND);
    assert_int_equal(cj_picture_save(cj, "x.ppm", flat), CJ_OK);
    remove("x.ppm");
    cj_tensor_free(floats);
    cj_tensor_free(four);
    cj_tensor_free(empty);
    cj_tensor_free(flat);
}

/* ---- Bad bytes ------------------------------------------------------------------------------- */

static void refuse(const void *bytes, size_t size, cj_status status, const char *message)
{
    cj_tensor *t = (cj_tensor *)1;
    unsigned char *exact = golden_copy(bytes, size);
    const cj_status failed = cj_picture_read(cj, exact, size, CJ_PICTURE_RGB, &t);
    free(exact);
    assert_null(t);
    if (failed != status || (message && strcmp(cj_message(cj), message)))
        fail_msg("%s: \"%s\", expected %s: \"%s\"", cj_status_name(failed), cj_message(cj),
                 cj_status_name(status), message ? message : "");
}

static void bytes_that_are_no_picture_are_refused(void **state)
{
    (void)state;
    refuse("", 0, CJ_ERR_FORMAT, "picture: it is empty");
    refuse("GIF89a", 6, CJ_ERR_FORMAT,
           "picture: neither PNG, JPEG, BMP nor PPM; it begins with 47 49 46 38");
    refuse("P", 1, CJ_ERR_FORMAT, "picture: neither PNG, JPEG, BMP nor PPM; it begins with 50");
    refuse("P7\n", 3, CJ_ERR_FORMAT, NULL);
    refuse("P6 x", 4, CJ_ERR_FORMAT, "ppm: width: expected a number at byte 3, found 'x' (120)");
    refuse("P6 2 2 0 ", 9, CJ_ERR_FORMAT, "ppm: the maximum is 0, expected 1 to 65535");
    refuse("P5 1 1 100 e", 12, CJ_ERR_DATA, "ppm: a sample of 101, and the maximum is 100");
    refuse("P6 0 2 255 ", 11, CJ_ERR_FORMAT, "ppm: 0 x 2 pixels, expected at least 1 x 1");
    refuse("P6 2 2 255 abc", 14, CJ_ERR_FORMAT,
           "ppm: the picture is not complete: the file ends at byte 14");
    refuse("P1 2 2 1 0 1 2", 14, CJ_ERR_DATA, "ppm: a sample of 2, and the maximum is 1");
}

/* A picture that claims much is refused before memory is asked for. */
/* As numbers of classes: what has colours, or does not keep numbers, has none. */
static void check_index(const void *bytes, size_t size, cj_status status, const char *expected)
{
    cj_tensor *t;
    unsigned char *exact = golden_copy(bytes, size);
    assert_int_equal(cj_picture_read(cj, exact, size, CJ_PICTURE_INDEX, &t), status);
    free(exact);
    if (status) assert_string_equal(cj_message(cj), expected);
    else {
        assert_int_equal(cj_tensor_shape(t)[2], 1);
        assert_memory_equal(cj__tensor_data(t), expected, (size_t)cj_tensor_count(t));
    }
    cj_tensor_free(t);
}

static void masks_have_numbers(void **state)
{
    static const char *const bad[][2] = {
        {"baseline.jpg", "jpeg: is only nearly what was drawn"},
        {"grey16.png", "png: has 16 bits"},
        {"rgb16.png", "png: has 16 bits"},
        {"p6-wide.ppm", "ppm: has a maximum above 255"}};
    (void)state;
    check_index("P6 2 1 255 aaabbb", 17, CJ_OK, "ab");
    check_index("P6 2 1 255 aaabbc", 17, CJ_ERR_DATA,
                "picture: it has colours, such as (98, 98, 99) in pixel 1; expected grey or a "
                "palette");
    for (size_t i = 0; i < CJ__COUNT(bad); i++) {
        char message[300];
        size_t size;
        if (!is_read(bad[i][0])) continue;
        unsigned char *bytes = file_bytes(bad[i][0], &size);
        snprintf(message, sizeof message,
                 "%s, so its pixels are no numbers that a mask could have; expected PNG, BMP or "
                 "PPM of at most 8 bits",
                 bad[i][1]);
        check_index(bytes, size, CJ_ERR_UNSUPPORTED, message);
        free(bytes);
    }
}

static void claims_are_checked_first(void **state)
{
    static const unsigned char bmp[54] = {'B', 'M', [10] = 54, [14] = 40, [18] = 0xa0, 0x86, 1,
                                          [22] = 0xa0, 0x86, 1, [26] = 1, [28] = 24};
    size_t size;
    (void)state;
    const int64_t peak = cj_memory_peak(cj);
    refuse("P6 100000 100000 255 ", 21, CJ_ERR_LIMIT,
           "ppm: it claims 100000 x 100000 pixels, and at most 134217728 are read");
    refuse("P6 999999999999999999 999999999999999999 255 ", 45, CJ_ERR_LIMIT, NULL);
    refuse(bmp, sizeof bmp, CJ_ERR_LIMIT,
           "bmp: it claims 100000 x 100000 pixels, and at most 134217728 are read");
    unsigned char *png = file_bytes("rgb8.png", &size);
    /* Width and height are at byte 16, then comes the checksum of the chunk at byte 29. */
    static const unsigned char sides[8] = {0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0};
    memcpy(png + 16, sides, 8);
    static const unsigned char crc[4] = {0x27, 0x30, 0x9c, 0x9f};
    memcpy(png + 29, crc, 4);
    if (is_read("x.png"))
        refuse(png, size, CJ_ERR_LIMIT,
               "png: it claims 100000 x 100000 pixels, and at most 134217728 are read");
    free(png);
    unsigned char *jpeg = file_bytes("baseline.jpg", &size);
    for (size_t i = 0; i + 9 < size; i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) memset(jpeg + i + 5, 0xea, 4);
    if (is_read("x.jpg"))
        refuse(jpeg, size, CJ_ERR_LIMIT,
               "jpeg: it claims 60138 x 60138 pixels, and at most 134217728 are read");
    free(jpeg);
    assert_true(cj_memory_peak(cj) - peak < 1 << 20);
}

static const char *const whole[] = {"rgb8.png", "interlaced.png", "palette4.png", "baseline.jpg",
                                    "progressive.jpg", "cmyk.jpg", "rgb24.bmp", "palette8.bmp",
                                    "rgb565.bmp", "core.bmp", "p6.ppm", "p4.ppm", "p3.ppm"};

/* No prefix of a file is a picture, but for a JPEG without its end marker (two bytes), or a text
 * that ends within its last number. */
static void truncated_files_are_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < CJ__COUNT(whole); k++) {
        size_t size;
        if (!is_read(whole[k])) continue;
        unsigned char *bytes = file_bytes(whole[k], &size);
        const size_t slack = strstr(whole[k], ".jpg") ? 2 : strstr(whole[k], "p3") ? 3 : 0;
        for (size_t n = 0; n + slack < size; n++) {
            cj_tensor *t = (cj_tensor *)1;
            unsigned char *exact = golden_copy(bytes, n);
            const cj_status failed = cj_picture_read(cj, exact, n, CJ_PICTURE_GREY, &t);
            if (failed != CJ_ERR_FORMAT || t)
                fail_msg("%s: its first %zu of %zu bytes: %s, %s", whole[k], n, size,
                         cj_status_name(failed), cj_message(cj));
            free(exact);
        }
        free(bytes);
    }
    size_t size;
    unsigned char *bytes = file_bytes("rgb8.png", &size);
    if (is_read("x.png"))
        refuse(bytes, 200, CJ_ERR_FORMAT,
               "png: the picture is not complete: the file ends at byte 200");
    free(bytes);
    bytes = file_bytes("baseline.jpg", &size);
    if (is_read("x.jpg"))
        refuse(bytes, 700, CJ_ERR_FORMAT,
               "jpeg: the picture is not complete: the file ends at byte 700");
    free(bytes);
}

static void bytes_behind_a_picture_do_not_matter(void **state)
{
    (void)state;
    for (size_t k = 0; k < CJ__COUNT(whole); k++) {
        size_t size;
        if (!is_read(whole[k])) continue;
        unsigned char *bytes = file_bytes(whole[k], &size), *longer = malloc(size + 50);
        cj_tensor *a, *b;
        memcpy(longer, bytes, size);
        memset(longer + size, ' ', 50); /* also no digit of a text */
        assert_int_equal(cj_picture_read(cj, bytes, size, CJ_PICTURE_RGB, &a), CJ_OK);
        assert_int_equal(cj_picture_read(cj, longer, size + 50, CJ_PICTURE_RGB, &b), CJ_OK);
        assert_true(cj_tensor_equal(a, b));
        cj_tensor_free(a);
        cj_tensor_free(b);
        free(bytes);
        free(longer);
    }
}

static void damaged_files_are_named(void **state)
{
    size_t size;
    char path[512];
    cj_tensor *t;
    (void)state;
    unsigned char *bytes = file_bytes("rgb8.png", &size);
    bytes[29] ^= 1;
    if (is_read("x.png")) refuse(bytes, size, CJ_ERR_FORMAT, "png: IHDR: CRC error");
    free(bytes);
    bytes = file_bytes("rgb24.bmp", &size);
    bytes[30] = 1;
    refuse(bytes, size, CJ_ERR_UNSUPPORTED,
           "bmp: compression 1 of 24 bits a pixel; only plain pixels are read");
    bytes[30] = 0;
    bytes[28] = 7;
    refuse(bytes, size, CJ_ERR_FORMAT,
           "bmp: 7 bits a pixel, expected 1, 4, 8, 16, 24 or 32");
    free(bytes);
    assert_int_equal(cj_picture_load(cj, "none.png", CJ_PICTURE_RGB, &t), CJ_ERR_NOT_FOUND);
    assert_null(t);
    assert_int_equal(cj_picture_load(cj, golden_path(path, "picture/resize.npz"), CJ_PICTURE_RGB,
                                     &t),
                     CJ_ERR_FORMAT);
    assert_non_null(strstr(cj_message(cj), "resize.npz: picture: neither PNG"));
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static cj_status read_all(cj_context *context, void *arg)
{
    const char *const *names = arg;
    cj_status failed = CJ_OK;
    for (; *names && !failed; names++) {
        char path[512], file[128];
        cj_tensor *t = NULL, *small = NULL;
        snprintf(file, sizeof file, "picture/%s", *names);
        failed = cj_picture_load(context, golden_path(path, file), CJ_PICTURE_GREY, &t);
        if (!failed && strstr(file, "turned")) /* not without its orientation, for want of memory */
            assert_true(t->shape[0] > t->shape[1]);
        if (!failed) failed = cj_picture_make_fit(t, 9, 6, CJ_FIT_PAD, CJ_PICTURE_BICUBIC, &small);
        cj_tensor_free(small);
        cj_tensor_free(t);
    }
    return failed;
}

/* Saving waits for the disk each time, so it is done once in a run. */
static cj_status save_one(cj_context *context, void *arg)
{
    cj_tensor *t = cj_tensor_new(context, CJ_U8, 3, SHAPE(2, 3, 3));
    cj_status failed = t ? cj_picture_save(context, arg, t) : cj_last_status(context);
    cj_tensor_free(t);
    return failed;
}

static void every_fault_is_a_status(void **state)
{
    const char *names[8] = {"p3.ppm", "palette8.bmp"};
    int n = 2;
    (void)state;
    if (is_read("x.png")) {
        names[n++] = "turned.png";
        names[n++] = "interlaced.png";
    }
    if (is_read("x.jpg")) {
        names[n++] = "cmyk.jpg";
        names[n++] = "turned6.jpg";
    }
    assert_true(faults_sweep_memory(read_all, names, NULL, 1) > 0);
    assert_true(faults_sweep_files(read_all, names, NULL) > 0);
    char *saved[] = {"picture-faults.ppm", "picture-faults.png"};
    for (int i = 0; i < 1 + is_read("x.png"); i++) {
        assert_true(faults_sweep_memory(save_one, saved[i], NULL, 1) > 0);
        assert_true(faults_sweep_files(save_one, saved[i], NULL) > 0);
        remove(saved[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_pillow_reads),
        cmocka_unit_test(every_format_is_listed_and_found),
        cmocka_unit_test(saved_pictures_are_read_again),
        cmocka_unit_test(what_is_no_picture_is_not_saved),
        cmocka_unit_test(bytes_that_are_no_picture_are_refused),
        cmocka_unit_test(masks_have_numbers),
        cmocka_unit_test(claims_are_checked_first),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(bytes_behind_a_picture_do_not_matter),
        cmocka_unit_test(damaged_files_are_named),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("format/picture", tests, setup, teardown);
}
