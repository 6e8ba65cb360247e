/* test_augment_draws.c: how the numbers are spread that layers of augmentation draw, found again in
 * what they made of one picture many times: evenly over their range. Chi square of ten bins, whose
 * 9 degrees of freedom stay below 27.9 in 999 of 1000 cases; the seed is fixed. */
#include <cajal/layers_augment.h>

#include "nn_random.h"

#include "nn/moves.h"

static cj_context *cj;

enum { N = 600, H = 9, W = 9, C = 3, PICTURE = H * W * C, BINS = 10 };

static void evenly(const char *what, const double *found, double low, double high)
{
    int count[BINS] = {0};
    for (int i = 0; i < N; i++) {
        const double at = (found[i] - low) / (high - low);
        if (!(at > -1e-4 && at < 1 + 1e-4))
            fail_msg("%s: %g is not between %g and %g", what, found[i], low, high);
        const int bin = (int)(at * BINS);
        count[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]++;
    }
    double chi = 0;
    for (int k = 0; k < BINS; k++) chi += pow(count[k] - N / 10.0, 2) / (N / 10.0);
    if (!(chi < 27.9)) fail_msg("%s: chi square %g", what, chi);
}

/* One picture N times through a layer. */
static float *through(const char *layer, const float picture[PICTURE])
{
    char text[200];
    int64_t n;
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){N, H, W, C});
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int i = 0; i < N; i++) memcpy(v + i * PICTURE, picture, PICTURE * sizeof *v);
    cj_tensor_unmap(t);
    snprintf(text, sizeof text, "input %d %d %d, %s", H, W, C, layer);
    float *y = run_in_cuts(cj, text, t, N, 1, true, NULL, &n);
    assert_int_equal(n, N * PICTURE);
    cj_tensor_free(t);
    return y;
}

static int at(int y, int x, int c)
{
    return (y * W + x) * C + c;
}

/* ---- Colours --------------------------------------------------------------------------------- */

/* What is made of a difference: of two pixels by contrast, of two colours by saturation. */
static double contrast_of(const float *y, const float *x)
{
    const int a = at(1, 2, 0), b = at(5, 6, 0);
    return (double)(y[a] - y[b]) / (double)(x[a] - x[b]);
}
static double saturation_of(const float *y, const float *x)
{
    const int a = at(4, 4, 0), b = at(4, 4, 1);
    return (double)(y[a] - y[b]) / (double)(x[a] - x[b]);
}
/* Away from Pillow's mean of neighbours. */
static double sharpness_of(const float *y, const float *x)
{
    const int centre = at(4, 4, 2);
    double smooth = 4 * (double)x[centre] / 13;
    for (int k = 0; k < 9; k++) smooth += (double)x[at(3 + k / 3, 3 + k % 3, 2)] / 13;
    return ((double)y[centre] - smooth) / ((double)x[centre] - smooth);
}
/* Red begins at 0; in turns. */
static double hue_of(const float *y, const float *x)
{
    (void)x;
    const double r = (double)y[0], g = (double)y[1], b = (double)y[2];
    return atan2(sqrt(3) * (g - b), 2 * r - g - b) / (2 * acos(-1));
}
static double brightness_of(const float *y, const float *x) { return (double)y[0] / (double)x[0]; }

static void colours(void **state)
{
    (void)state;
    static const struct {
        const char *layer;
        double (*number)(const float *y, const float *x);
        double low, high;
    } cases[] = {{"random_contrast 0.5", contrast_of, 0.5, 1.5},
                 {"random_contrast [0.2, 0.9]", contrast_of, 0.2, 0.9},
                 {"random_saturation 0.4", saturation_of, 0.6, 1.4},
                 {"random_sharpness 0.9", sharpness_of, 0.1, 1.9},
                 {"random_brightness [0.7, 1.3]", brightness_of, 0.7, 1.3}};
    float x[PICTURE];
    for (int i = 0; i < PICTURE; i++)
        x[i] = 0.4f + 0.2f * (float)(i * 31 % 97) / 97; /* no clipping */
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double found[N];
        float *y = through(cases[k].layer, x);
        for (int i = 0; i < N; i++) found[i] = cases[k].number(y + i * PICTURE, x);
        evenly(cases[k].layer, found, cases[k].low, cases[k].high);
        free(y);
    }
}

/* The angle of Smith's hexagon and of the circle agree at multiples of 1/12 of a turn and are less
 * than 0.004 apart elsewhere, a tenth of a bin. */
static void hue(void **state)
{
    (void)state;
    float x[PICTURE];
    double found[N];
    for (int i = 0; i < PICTURE; i++) x[i] = i % 3 ? 0.3f : 0.7f;
    float *y = through("random_hue [-0.25, 0.25]", x);
    for (int i = 0; i < N; i++) found[i] = hue_of(y + i * PICTURE, x);
    evenly("random_hue", found, -0.25, 0.25);
    free(y);
}

/* A single pixel's neighbour has exp(-1 / 2 sigma^2) of it. */
static void blur(void **state)
{
    (void)state;
    float x[PICTURE] = {0};
    double found[N];
    for (int c = 0; c < C; c++) x[at(4, 4, c)] = 1;
    float *y = through("random_gaussian_blur kernel_size=5 sigma=[0.5, 2]", x);
    for (int i = 0; i < N; i++) {
        const float *one = y + i * PICTURE;
        found[i] = sqrt(0.5 / log((double)one[at(4, 4, 1)] / (double)one[at(4, 5, 1)]));
    }
    evenly("random_gaussian_blur", found, 0.5, 2);
    free(y);
    y = through("random_gaussian_blur factor=0.3", x);
    int changed = 0;
    for (int i = 0; i < N; i++) changed += memcmp(y + i * PICTURE, x, sizeof x) != 0;
    assert_true(fabs(changed - 0.3 * N) < 5 * sqrt(0.21 * N));
    free(y);
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* Of columns' numbers, a sheared row shows others by the tangent times its distance. */
static void shear(void **state)
{
    (void)state;
    float x[PICTURE];
    double found[N];
    for (int i = 0; i < PICTURE; i++) x[i] = (float)(i / C % W);
    float *y = through("random_shear [-0.2, 0.4]", x);
    for (int i = 0; i < N; i++) {
        const float *one = y + i * PICTURE;
        found[i] = (double)(one[at(6, 4, 0)] - one[at(4, 4, 0)]) / 2;
    }
    evenly("random_shear", found, -0.2, 0.4);
    free(y);
}

/* The numbers themselves, as the layer wrote them down. */
static void perspective(void **state)
{
    (void)state;
    cj_model *m = cj_model_from_text(cj, "input 9 9 3, random_perspective factor=1 scale=0.5", NULL,
                                     0);
    assert_non_null(m);
    cj_graph *g = cj_model_graph(m);
    const cj__layers *layers = g->layers;
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .outputs = {layers->moves->numbers[0],
                                                                   cj_graph_output_at(g, 0)},
                                                       .training = true});
    cj_session *s = cj_session_new(p, cj_model_store(m));
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){N, H, W, C}), *out[2] = {0};
    if (cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), x}}, 1, out, 2))
        fail_msg("%s", cj_session_message(s));
    const float *corners = cj_tensor_map_read(out[0]);
    for (int k = 0; k < 8; k++) {
        static const int far[] = {0, 0, 1, 0, 1, 1, 0, 1};
        double found[N];
        for (int i = 0; i < N; i++) found[i] = (double)corners[i * 8 + k];
        evenly("random_perspective", found, far[k] ? 0.75 * W : 0, far[k] ? W : 0.25 * W);
    }
    for (int i = 0; i < 2; i++) cj_tensor_free(out[i]);
    cj_tensor_free(x);
    cj_session_free(s);
    cj_program_free(p);
    cj_model_free(m);
}

static int setup(void **state)
{
    (void)state;
    cj = test_context();
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(colours), cmocka_unit_test(hue),
                                       cmocka_unit_test(blur), cmocka_unit_test(shear),
                                       cmocka_unit_test(perspective)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
