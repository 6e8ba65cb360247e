/* test_draw.c: boxes, masks and pasted pictures against Pillow (tools/golden/draw.py); letters and
 * sheets against pictures that were looked at. */
#include "format_support.h"

#include <cajal/draw.h>

static cj_context *cj;
static cj_tensors *golden;

static int setup(void **state)
{
    (void)state;
    char path[512];
    cj = cj_context_new(NULL);
    return cj_npz_load(cj, golden_path(path, "picture/draw.npz"), &golden) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    cj_tensors_free(golden);
    int leaked = cj_memory_used(cj) != 0;
    cj_context_free(cj);
    return leaked;
}

#define OK(call) \
    do { \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, cj_message(cj)); \
    } while (0)

static cj_tensor *of(const char *name)
{
    return cj_tensors_find(golden, name);
}

static cj_tensor *fresh_copy(void)
{
    cj_tensor *t = cj_tensor_copy(of("picture"));
    assert_non_null(t);
    return t;
}

static void same(const cj_tensor *t, const char *name)
{
    int64_t first;
    if (!cj_tensor_close(t, of(name), 0, 0, &first))
        fail_msg("%s: first difference at %lld", name, (long long)first);
}

static void boxes(void **state)
{
    (void)state;
    cj_tensor *t = fresh_copy(), *list = of("boxes");
    const int64_t *b = cj_tensor_map_read(list);
    for (int64_t i = 0; i < cj_tensor_shape(list)[0]; i++, b += 6)
        OK(cj_draw_box(t, b[0], b[1], b[2], b[3], (int)b[4], cj_colour_of_class((int)b[5])));
    same(t, "drawn");
    /* Nothing to be seen, and nothing that would not end. */
    OK(cj_draw_box(t, 9, 9, 8, 20, 1, (cj_colour){0}));
    OK(cj_draw_box(t, INT64_MIN, INT64_MIN, -1, INT64_MAX, 1, (cj_colour){0}));
    OK(cj_draw_box(t, INT64_MAX - 1, 5, INT64_MAX, 9, INT32_MAX, (cj_colour){0}));
    OK(cj_draw_box(t, INT64_MIN, INT64_MIN, INT64_MAX, INT64_MAX, 1, (cj_colour){0}));
    same(t, "drawn");
    cj_tensor_free(t);
    /* All of a box that is thinner than its line. */
    t = fresh_copy();
    OK(cj_draw_box(t, 2, 3, 4, 7, 50, (cj_colour){1, 2, 3}));
    const unsigned char *at = cj_tensor_map_read(t), *was = cj_tensor_map_read(of("picture"));
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 60; x++) {
            const size_t i = (size_t)(y * 60 + x) * 3;
            const unsigned char in[3] = {1, 2, 3};
            const bool inside = x >= 2 && x <= 4 && y >= 3 && y <= 7;
            assert_memory_equal(at + i, inside ? in : was + i, 3);
        }
    cj_tensor_free(t);
}

static void masks_and_pictures(void **state)
{
    (void)state;
    static const int64_t places[][2] = {{-4, 3}, {50, 35}, {20, -20}, {20, 20}};
    cj_tensor *t = fresh_copy();
    OK(cj_draw_mask(t, cj_tensor_map_read(of("classes")), 1, 0.3));
    same(t, "masked");
    cj_tensor_free(t);
    t = fresh_copy();
    cj_tensor *grey = cj_tensor_reshape(of("small"), 3, SHAPE(10, 15, 1));
    for (int i = 0; i < 4; i++) OK(cj_draw_picture(t, grey, places[i][0], places[i][1]));
    OK(cj_draw_picture(t, grey, INT64_MIN, 0));
    OK(cj_draw_picture(t, grey, 0, INT64_MAX));
    same(t, "pasted");
    cj_tensor_free(grey);
    cj_tensor_free(t);
}

/* The same pixels as a file that was looked at; CAJAL_UPDATE writes it anew. */
static void looks_as(cj_tensor *t, const char *file)
{
    char path[512];
    cj_tensor *expected = NULL;
    int64_t first;
    golden_path(path, file);
    if (getenv("CAJAL_UPDATE")) OK(cj_picture_save(cj, path, t));
    cj_status failed = cj_picture_load(cj, path, CJ_PICTURE_RGB, &expected);
    if (failed == CJ_ERR_UNSUPPORTED) return; /* a build without libpng */
    OK(failed);
    if (!cj_tensor_close(t, expected, 0, 0, &first))
        fail_msg("%s: first difference at %lld", file, (long long)first);
    cj_tensor_free(expected);
}

static void letters(void **state)
{
    (void)state;
    cj_tensor *t = cj_tensor_new(cj, CJ_U8, 3, SHAPE(70, 200, 3));
    const cj_colour white = {255, 255, 255}, yellow = {240, 228, 66}, blue = {0, 0, 120};
    char line[40];
    for (int row = 0; row < 4; row++) { /* all of ASCII */
        int n = 0;
        for (int c = ' ' + 24 * row; c < ' ' + 24 * row + 24 && c <= '~'; c++) line[n++] = (char)c;
        line[n] = '\0';
        OK(cj_draw_text(t, 2, 2 + 9 * row, line, 1, white, NULL));
    }
    OK(cj_draw_text(t, 2, 40, "caf\xc3\xa9 \xe7\xbd\x91 \x01", 2, yellow, &blue));
    OK(cj_draw_text(t, 150, 60, "runs over the edge", 1, yellow, NULL));
    OK(cj_draw_text(t, INT64_MIN, INT64_MIN, "far away", 16, yellow, &blue));
    OK(cj_draw_text(t, INT64_MAX, INT64_MAX, "far away", 16, yellow, &blue));
    OK(cj_draw_text(t, -3, -4, "in part", 1, yellow, NULL));
    assert_int_equal(cj_text_width("caf\xc3\xa9", 2), 4 * 6 * 2);
    assert_int_equal(cj_text_width("", 2), 0);
    assert_int_equal(cj_text_width(NULL, 2), 0);
    looks_as(t, "picture/letters.png");
    cj_tensor_free(t);
}

static void sheets(void **state)
{
    (void)state;
    cj_tensor *sheet, *grey = cj_tensor_reshape(of("small"), 3, SHAPE(10, 15, 1));
    const cj_tile tiles[] = {
        {of("picture"), {"large", "and so smaller"}, {{0, 120, 0}}},
        {grey, {"small", NULL}, {{180, 0, 0}}},
        {of("drawn"), {NULL, "a line longer than its tile"}, {{0}, {0, 0, 200}}},
        {of("masked"), {NULL, NULL}, {{0}}},
        {grey, {"last"}, {{0}}},
    };
    OK(cj_draw_sheet(cj, &sheet, tiles, 5, .columns = 3, .side = 50));
    looks_as(sheet, "picture/sheet.png");
    cj_tensor_free(sheet);
    OK(cj_draw_sheet(cj, &sheet, tiles, 1));
    assert_int_equal(cj_tensor_shape(sheet)[1], 96 + 16);
    cj_tensor_free(sheet);
    OK(cj_draw_sheet(cj, &sheet, tiles + 3, 1, .columns = 100)); /* no line of any */
    assert_int_equal(cj_tensor_shape(sheet)[0], 40 + 16); /* no higher than the picture */
    cj_tensor_free(sheet);
    cj_tensor_free(grey);
}

static void refuses(cj_status failed, cj_status expected, const char *message)
{
    assert_int_equal(failed, expected);
    assert_string_equal(cj_message(cj), message);
}

static void mistakes(void **state)
{
    (void)state;
    cj_tensor *t = fresh_copy(), *sheet,
              *grey = cj_tensor_reshape(of("small"), 3, SHAPE(10, 15, 1));
    const cj_colour white = {255, 255, 255};
    refuses(cj_draw_box(grey, 0, 0, 1, 1, 1, white), CJ_ERR_SHAPE,
            "draw box: the picture has 1 channel; 3 are needed to draw in colour");
    refuses(cj_draw_text(t, 0, 0, "x", 0, white, NULL), CJ_ERR_ARGUMENT,
            "draw text: a line of scale 0; 1 to 16 are possible");
    refuses(cj_draw_text(t, 0, 0, NULL, 1, white, NULL), CJ_ERR_ARGUMENT,
            "draw text: no line of scale 1; 1 to 16 are possible");
    refuses(cj_draw_mask(t, NULL, 0, 0.5), CJ_ERR_ARGUMENT,
            "draw mask: no classes, opacity=0.5; 0 to 1 are possible");
    refuses(cj_draw_mask(t, cj_tensor_map_read(of("classes")), 0, 1.5), CJ_ERR_ARGUMENT,
            "draw mask: classes, opacity=1.5; 0 to 1 are possible");
    const cj_tile none = {.picture = of("classes")};
    refuses(cj_draw_sheet(cj, &sheet, NULL, 3), CJ_ERR_ARGUMENT,
            "sheet: 3 tiles; at least 1 is needed");
    refuses(cj_draw_sheet(cj, &sheet, &none, 0), CJ_ERR_ARGUMENT,
            "sheet: 0 tiles; at least 1 is needed");
    refuses(cj_draw_sheet(cj, &sheet, &none, 1, .side = 5), CJ_ERR_ARGUMENT,
            "sheet: columns=0, side=5; columns above 0 and a side of 16 to 4096 are possible");
    assert_int_equal(cj_draw_sheet(cj, &sheet, &none, 1), CJ_ERR_SHAPE);
    assert_non_null(strstr(cj_message(cj), "tile 0: "));
    assert_null(sheet);
    cj_tensor_free(grey);
    cj_tensor_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(boxes, setup, teardown),
        cmocka_unit_test_setup_teardown(masks_and_pictures, setup, teardown),
        cmocka_unit_test_setup_teardown(letters, setup, teardown),
        cmocka_unit_test_setup_teardown(sheets, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
