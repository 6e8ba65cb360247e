/* test_augment.c: pictures changed by numbers of each sample against torchvision
 * (tools/golden/augment.py), in double and float, on the best backend and the reference; and the
 * layers that draw those numbers: what they leave alone, how often they do what, and that a sample
 * gets the same picture in whatever batch it is. */
#include <cajal/augment.h>
#include <cajal/layers.h>

#include "nn_random.h"

static cj_context *cj;
static cj_tensors *golden;

static cj_tensor *array(const char *name)
{
    cj_tensor *t = cj_tensors_find(golden, name);
    if (!t) fail_msg("no golden array %s", name);
    return t;
}

/* ---- By numbers that are given --------------------------------------------------------------- */

/* What is fed beside x; NULL: nothing more. */
typedef struct given {
    cj_graph *g;
    cj_node *x;
    cj_feed feeds[8];
    int n;
} given;

static void open_with(given *v, cj_dtype dtype, const char *x)
{
    v->g = cj_graph_new(cj);
    v->n = 1;
    v->x = batch_placeholder(v->g, "x", dtype, array(x));
    v->feeds[0] = (cj_feed){v->x, cj_tensor_cast(array(x), dtype)};
}
static void open_given(given *v, cj_dtype dtype) { open_with(v, dtype, "x"); }

/* The node of a golden array; floats are of x's dtype. */
static cj_node *number(given *v, const char *name)
{
    const cj_tensor *t = array(name);
    bool real = cj_dtype_info(cj_tensor_dtype(t))->kind == CJ_KIND_FLOAT;
    cj_dtype dtype = real ? cj_node_dtype(v->x) : cj_tensor_dtype(t);
    cj_node *node = batch_placeholder(v->g, name, dtype, t);
    v->feeds[v->n++] = (cj_feed){node, cj_tensor_cast(t, dtype)};
    return node;
}

static void check(given *v, cj_node *y, const char *name, double tolerance, const char *backend)
{
    char what[200];
    cj_tensor *out = NULL;
    cj_program *p = cj_compile(v->g, .outputs = {y});
    if (!p) fail_msg("%s: %s", name, cj_message(cj));
    cj_session *s = cj_session_new_opts(p, cj_graph_store(v->g),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    if (cj_run(s, v->feeds, v->n, &out, 1)) fail_msg("%s: %s", name, cj_session_message(s));
    snprintf(what, sizeof what, "%s in %s on %s", name, cj_dtype_info(cj_node_dtype(v->x))->name,
             backend ? backend : "best");
    assert_near(what, out, array(name), tolerance);
    cj_tensor_free(out);
    for (int i = 0; i < v->n; i++) cj_tensor_free((cj_tensor *)v->feeds[i].value);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(v->g);
}

/* Coordinates of up to 20 pixels lose 5 bits in float, and a picture's slope between two pixels is
 * up to 1: 1e-5. Nearest is compared in double alone: where a coordinate lies between two pixels,
 * float may choose the other one. */
static void affine(void **state)
{
    (void)state;
    static const char *const fills[] = {"constant", "reflect", "nearest"},
                            *const ways[] = {"bilinear", "nearest"};
    for (int i = 0; i < 24; i++) {
        const char *fill = fills[i % 3], *way = ways[i / 3 % 2], *backend = backends[i / 6 % 2];
        const cj_dtype dtype = i / 12 ? CJ_F32 : CJ_F64;
        if (dtype == CJ_F32 && i / 3 % 2) continue;
        char name[64];
        snprintf(name, sizeof name, "affine_%s_%s", fill, way);
        given v;
        open_given(&v, dtype);
        cj_node *scale = number(&v, "scale");
        cj_node *y = cj_image_affine(v.x, .angle = number(&v, "angle"), .scale_x = scale,
                                     .scale_y = scale, .translate_x = number(&v, "tx"),
                                     .translate_y = number(&v, "ty"),
                                     .shear_x = number(&v, "shear_x"),
                                     .shear_y = number(&v, "shear_y"), .interpolation = way,
                                     .fill_mode = fill);
        check(&v, y, name, dtype == CJ_F64 ? 1e-10 : 2e-5, backend);
    }
}

/* Torchvision's own functions, which compute in float. Its rotate turns the other way. */
static void as_torchvision(void **state)
{
    (void)state;
    given v;
    open_given(&v, CJ_F64);
    cj_node *scale = number(&v, "scale");
    cj_node *y = cj_image_affine(v.x, .angle = number(&v, "angle"), .scale_x = scale,
                                 .scale_y = scale, .translate_x = number(&v, "tx_whole"),
                                 .translate_y = number(&v, "ty_whole"),
                                 .shear_x = number(&v, "shear_x"),
                                 .shear_y = number(&v, "shear_y"));
    check(&v, y, "affine_torchvision", 2e-5, NULL);
    open_given(&v, CJ_F64);
    y = cj_image_affine(v.x, .angle = cj_neg(number(&v, "angle")), .interpolation = "nearest");
    check(&v, y, "rotate_torchvision", 1e-6, NULL);
}

/* Corners in and out of the picture; nearest as above. */
static void perspective(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        const bool nearest = i >= 4;
        const cj_dtype dtype = i % 2 && !nearest ? CJ_F32 : CJ_F64;
        given v;
        open_given(&v, dtype);
        cj_node *y = cj_image_perspective(v.x, number(&v, "corners"),
                                          .interpolation = nearest ? "nearest" : "bilinear");
        check(&v, y, nearest ? "perspective_nearest" : "perspective_bilinear",
              dtype == CJ_F64 ? 1e-10 : 2e-5, backends[i / 2 % 2]);
    }
}

static void moved_pixels(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) { /* pixels are copied: nothing is rounded */
        const cj_dtype dtype = i % 2 ? CJ_F32 : CJ_F64;
        given v;
        for (int axis = 1; axis <= 2; axis++) {
            open_given(&v, dtype);
            cj_node *y = cj_image_flip(v.x, cj_cast(number(&v, "flip"), CJ_BOOL), axis);
            check(&v, y, axis == 1 ? "flip_1" : "flip_2", 0, backends[i / 2]);
        }
        open_given(&v, dtype);
        cj_node *top = number(&v, "top"), *left = number(&v, "left");
        check(&v, cj_image_crop(v.x, top, left, 4, 3), "crop", 0, backends[i / 2]);
        open_given(&v, dtype);
        check(&v, cj_center_crop(v.x, .height = 3, .width = 4), "center_crop", 0, backends[i / 2]);
        open_given(&v, dtype);
        check(&v, cj_resizing(v.x, .height = 5, .width = 9), "resizing_bilinear",
              dtype == CJ_F64 ? 1e-10 : 1e-5, backends[i / 2]);
        open_given(&v, dtype);
        check(&v, cj_resizing(v.x, .height = 5, .width = 9, .interpolation = "nearest"),
              "resizing_nearest", 0, backends[i / 2]);
        open_given(&v, dtype);
        check(&v, cj_resizing(v.x, .height = 3, .width = 4, .antialias = true),
              "resizing_antialias", dtype == CJ_F64 ? 1e-10 : 1e-5, backends[i / 2]);
    }
}

static cj_node *blur_of_five(cj_node *x, cj_node *sigma)
{
    return cj_image_gaussian_blur(x, sigma, 5);
}

/* Thresholds are compared with values that float rounds as it rounds them. */
static void colours(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        cj_node *(*with)(cj_node *x, cj_node *number);
        const char *number;
        cj_node *(*alone)(cj_node *x);
    } cases[] = {
        {"brightness", cj_image_brightness, "factor", NULL},
        {"contrast", cj_image_contrast, "factor", NULL},
        {"saturation", cj_image_saturation, "factor", NULL},
        {"sharpness", cj_image_sharpness, "factor", NULL},
        {"hue", cj_image_hue, "shift", NULL},
        {"solarize", cj_image_solarize, "threshold", NULL},
        {"grayscale", NULL, NULL, cj_image_grayscale},
        {"invert", NULL, NULL, cj_image_invert},
        {"auto_contrast", NULL, NULL, cj_image_auto_contrast},
        {"blur", blur_of_five, "sigma", NULL},
    };
    for (size_t i = 0; i < 4 * sizeof cases / sizeof *cases; i++) {
        const size_t k = i / 4;
        const cj_dtype dtype = i % 2 ? CJ_F32 : CJ_F64;
        given v;
        open_with(&v, dtype, "coloured");
        cj_node *y = cases[k].with ? cases[k].with(v.x, number(&v, cases[k].number))
                                   : cases[k].alone(v.x);
        check(&v, y, cases[k].name, dtype == CJ_F64 ? 1e-10 : 1e-5, backends[i / 2 % 2]);
    }
    for (int i = 0; i < 4; i++) {
        const cj_dtype dtype = i % 2 ? CJ_F32 : CJ_F64;
        given v;
        open_with(&v, dtype, "coloured");
        check(&v, cj_image_posterize(v.x, 3), "posterize", 1e-6, backends[i / 2]);
        open_with(&v, dtype, "levels");
        check(&v, cj_image_equalize(v.x), "equalize", dtype == CJ_F64 ? 1e-10 : 1e-7,
              backends[i / 2]);
        open_with(&v, dtype, "coloured");
        cj_node *top = number(&v, "erase_top"), *left = number(&v, "erase_left");
        cj_node *y = cj_image_erase(v.x, top, left, number(&v, "erase_height"),
                                    number(&v, "erase_width"), 0.25);
        check(&v, y, "erase", 1e-7, backends[i / 2]);
    }
}

/* ---- The layers ------------------------------------------------------------------------------ */

enum { N = 600, H = 6, W = 5, C = 3, PICTURE = H * W * C };

static cj_tensor *samples(void)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){N, H, W, C});
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int i = 0; i < N * PICTURE; i++)
        v[i] = (float)(i % PICTURE) / PICTURE; /* all the same picture */
    cj_tensor_unmap(t);
    return t;
}

static const char *const layers[] = {
    "random_flip", "random_rotation 0.2", "random_translation 0.3 fill_mode=constant",
    "random_zoom [-0.3, 0.2]", "random_shear 0.3 y_factor=0.1", "random_crop 6 5 padding=2",
    "random_brightness 0.5", "random_contrast 0.5", "random_saturation [0.2, 0.9]",
    "random_sharpness 0.9", "random_hue 0.5", "solarization [0.2, 0.8]", "random_erasing",
    "random_perspective", "random_gaussian_blur sigma=[0.3, 2]",
};
enum { LAYERS = sizeof layers / sizeof *layers };

/* The same sample gets the same picture alone and in any batch; another step another one; outside
 * of training nothing happens. */
static void random_layers(void **state)
{
    (void)state;
    cj_tensor *x = samples();
    for (int k = 0; k < LAYERS; k++) {
        char text[200];
        int64_t n, m;
        snprintf(text, sizeof text, "input %d %d %d, %s", H, W, C, layers[k]);
        float *all = run_in_cuts(cj, text, x, N, 4, true, NULL, &n);
        static const int64_t cuts[] = {64, 7, 1};
        for (int i = 0; i < 3; i++) {
            float *parts = run_in_cuts(cj, text, x, cuts[i], 4, true, NULL, &m);
            assert_int_equal(m, n);
            assert_memory_equal(parts, all, (size_t)n * sizeof *all);
            free(parts);
        }
        float *other = run_in_cuts(cj, text, x, N, 5, true, NULL, &m);
        int same = 0, like_the_first = 0;
        for (int i = 0; i < N; i++) {
            const size_t bytes = PICTURE * sizeof *all;
            same += !memcmp(all + i * PICTURE, other + i * PICTURE, bytes);
            like_the_first += !memcmp(all + i * PICTURE, all, bytes);
        }
        /* A flip has four ways, a crop 25. */
        if (same > N / 3 || like_the_first > N / 3)
            fail_msg("%s: %d as in another step, %d like the first", layers[k], same,
                     like_the_first);
        free(other);
        other = run_in_cuts(cj, text, x, N, 4, false, NULL, &m);
        assert_memory_equal(other, cj_tensor_map_read(x), (size_t)m * sizeof *other);
        free(other);
        float *plain = run_in_cuts(cj, text, x, N, 4, true, "reference", &m);
        for (int64_t i = 0; i < m; i++) assert_float_equal(plain[i], all[i], 1e-5);
        free(plain);
        free(all);
    }
    cj_tensor_free(x);
}

/* How often a flip flips, and how often a crop begins where: within five deviations. */
static void how_often(void **state)
{
    (void)state;
    int64_t n;
    cj_tensor *x = samples();
    const float *was = cj_tensor_map_read(x);
    float *y = run_in_cuts(cj, "input 6 5 3, random_flip horizontal", x, N, 1, true, NULL, &n);
    int flips = 0;
    for (int i = 0; i < N; i++) {
        const bool flipped = y[i * PICTURE] != was[0];
        assert_float_equal(y[i * PICTURE], flipped ? was[(W - 1) * C] : was[0], 0);
        flips += flipped;
    }
    assert_true(fabs(flips - N / 2.0) < 5 * sqrt(N / 4.0));
    free(y);
    y = run_in_cuts(cj, "input 6 5 3, random_crop 4 4", x, N, 1, true, NULL, &n);
    int places[3][2] = {{0}};
    for (int i = 0; i < N; i++) {
        const int at = (int)lround((double)y[i * 4 * 4 * C] * PICTURE) / C;
        places[at / W][at % W]++;
    }
    for (int i = 0; i < 6; i++)
        assert_true(fabs(places[i / 2][i % 2] - N / 6.0) < 5 * sqrt(N * 5 / 36.0));
    free(y);
    cj_tensor_free(x);
}

/* A picture of columns' numbers, shifted: the middle tells how far. */
static void how_far(void **state)
{
    (void)state;
    enum { SIDE = 21 };
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){N, SIDE, SIDE, 1});
    float *v = cj_tensor_map(x, CJ_MAP_WRITE);
    for (int i = 0; i < N * SIDE * SIDE; i++) v[i] = (float)(i % SIDE);
    cj_tensor_unmap(x);
    int64_t n;
    const int middle = SIDE * (SIDE / 2) + SIDE / 2;
    float *y = run_in_cuts(cj, "input 21 21 1, random_translation 0 width_factor=[-0.1, 0.2]", x,
                           N, 1, true, NULL, &n);
    double sum = 0, least = 1, most = -1;
    for (int i = 0; i < N; i++) {
        const double shift = (SIDE / 2 - (double)y[i * SIDE * SIDE + middle]) / SIDE;
        sum += shift;
        least = fmin(least, shift), most = fmax(most, shift);
    }
    free(y);
    assert_true(least >= -0.1 - 1e-6 && least < -0.09 && most <= 0.2 + 1e-6 && most > 0.19);
    assert_true(fabs(sum / N - 0.05) < 5 * 0.3 / sqrt(12.0 * N));
    y = run_in_cuts(cj, "input 21 21 1, random_rotation [0.25, 0.25]", x, N, 1, true, NULL, &n);
    /* A quarter counter-clockwise: what was on the right is on top. */
    assert_float_equal(y[SIDE / 2], 20.0f, 1e-3);
    free(y);
    y = run_in_cuts(cj, "input 21 21 1, random_zoom [1, 1] fill_mode=nearest", x, N, 1, true, NULL,
                    &n);
    assert_float_equal(y[middle + 2], 14.0f, 1e-3); /* half as large: 10 + 2 * 2 */
    free(y);
    cj_tensor_free(x);
}

/* How many pictures lose their colour, become negative; how much of them is erased. */
static void how_much(void **state)
{
    (void)state;
    int64_t n;
    cj_tensor *x = samples();
    const float *was = cj_tensor_map_read(x);
    static const char *const texts[] = {"input 6 5 3, random_grayscale 0.2",
                                        "input 6 5 3, random_invert 0.2",
                                        "input 6 5 3, random_erasing 0.2 fill_value=9"};
    for (int k = 0; k < 3; k++) {
        float *y = run_in_cuts(cj, texts[k], x, 50, 1, true, NULL, &n);
        int changed = 0;
        for (int i = 0; i < N; i++)
            changed += memcmp(y + i * PICTURE, was + i * PICTURE, PICTURE * sizeof *y) != 0;
        if (fabs(changed - 0.2 * N) >= 5 * sqrt(0.16 * N)) fail_msg("%s: %d", texts[k], changed);
        free(y);
    }
    float *y = run_in_cuts(cj, "input 6 5 3, random_erasing scale=[0.3, 0.5] fill_value=9", x, N, 1,
                           true, NULL, &n);
    double share = 0;
    for (int64_t i = 0; i < n; i++) share += y[i] == 9;
    share /= (double)n; /* 0.4 on average, a little less where a side would be too long */
    if (!(share > 0.33 && share < 0.42)) fail_msg("erased: %g", share);
    free(y);
    y = run_in_cuts(cj, "input 6 5 3, random_brightness [0.5, 0.75]", x, N, 1, true, NULL, &n);
    double least = 1, most = 0, sum = 0;
    for (int i = 0; i < N; i++) {
        const double f = (double)y[i * PICTURE + PICTURE - 1] / (double)was[PICTURE - 1];
        least = fmin(least, f), most = fmax(most, f), sum += f / N;
    }
    assert_true(least >= 0.5 - 1e-6 && least < 0.51 && most <= 0.75 + 1e-6 && most > 0.74);
    assert_true(fabs(sum - 0.625) < 5 * 0.25 / sqrt(12.0 * N));
    free(y);
    cj_tensor_free(x);
}

static void refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"input 6 5, random_flip", "random_flip: its input is of rank 3; [batch, height, width, "
                                   "channels] of known height and width is expected"},
        {"input 6 5 2, random_rotation", "random_rotation: factor has 0 numbers; one, f for -f .. "
                                         "f, or two, the smaller first, are expected"},
        {"input 6 5 2, random_rotation [0.2, 0.1]", NULL},
        {"input 6 5 2, random_rotation 2", NULL},
        {"input 6 5 2, random_zoom -1", NULL},
        {"input 6 5 2, random_shear", NULL},
        {"input 6 5 2, random_translation 0.1 width_factor=[1, 2, 3]", NULL},
        {"input 6 5 2, random_crop 7 5", "random_crop: 7x5 pixels of pictures of 6x5"},
        {"input 6 5 2, random_crop", "random_crop: height is required"},
        {"input 6 5 2, center_crop 6 6", "center_crop: 6x6 pixels of pictures of 6x5"},
        {"input 6 5 2, random_flip sideways", NULL},
        {"input 6 5 2, random_saturation 0.5",
         "image_saturation: its input is of rank 4 with 2 as last size; pictures [batch, height, "
         "width, 1 or 3] of floats are expected"},
        {"input 6 5 3, random_hue 0.6", NULL},
        {"input 6 5 3, random_posterization 9", NULL},
        {"input 6 5 3, random_gaussian_blur kernel_size=4",
         "image_gaussian_blur: 4x4 pixels of pictures of 6x5; an odd number whose half is less "
         "than "
         "each of their sides is expected"},
        {"input 6 2 3, random_gaussian_blur kernel_size=5", NULL},
        {"input 6 2 3, random_gaussian_blur sigma=[2, 1]", NULL},
        {"input 6 2 3, random_perspective scale=1", NULL},
        {"input 6 5 3, random_erasing scale=[0.4, 0.2]", NULL},
        {"input 6 5 2, resizing 3", "resizing: width is required"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (cj_model_from_text(cj, wrong[i][0], NULL, 0)) fail_msg("%s was built", wrong[i][0]);
        if (wrong[i][1]) assert_string_equal(cj_message(cj), wrong[i][1]);
    }
}

static int setup(void **state)
{
    (void)state;
    cj = test_context();
    golden = golden_load(cj, "nn/augment.npz");
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cj_tensors_free(golden);
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(affine),    cmocka_unit_test(as_torchvision),
        cmocka_unit_test(moved_pixels), cmocka_unit_test(colours),
        cmocka_unit_test(perspective),
        cmocka_unit_test(how_much),     cmocka_unit_test(random_layers),
        cmocka_unit_test(how_often), cmocka_unit_test(how_far),
        cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
