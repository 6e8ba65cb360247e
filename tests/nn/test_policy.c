/* test_policy.c: trivial_augment, rand_augment, auto_augment: each operation against torchvision's
 * _apply_op (tools/golden/augment.py), how often each is chosen, and that boxes and masks follow.
 */
#include <cajal/layers.h>

#include "nn_random.h"

#include "nn/layers_augment.h"

static cj_context *cj;
static cj_tensors *golden;

static cj_tensor *array(const char *name)
{
    cj_tensor *t = cj_tensors_find(golden, name);
    if (!t) fail_msg("no golden array %s", name);
    return t;
}

/* ---- Each operation -------------------------------------------------------------------------- */

static void run_operations(cj_dtype dtype, const char *backend)
{
    static const char *const names[] = {"x", "which", "strength", "negative"};
    cj_graph *g = cj_graph_new(cj);
    cj_node *node[4], *y;
    cj_feed feeds[4];
    for (int i = 0; i < 4; i++) {
        const cj_dtype of = i < 3 ? dtype : cj_tensor_dtype(array(names[i]));
        node[i] = batch_placeholder(g, names[i], of, array(names[i]));
        feeds[i] = (cj_feed){node[i], cj_tensor_cast(array(names[i]), of)};
    }
    const cj__operations o = {.which = node[1], .strength = node[2],
                              .negative = cj_cast(node[3], CJ_BOOL),
                              .most = {.shear = 0.3, 7.5, 5.3, .degrees = 30, .blend = 0.9,
                                       .bits = 4}};
    cj_image_affine_opts how = {.struct_size = sizeof how};
    cj__operations_affine(&o, node[0], &how);
    y = cj__operations_colour(&o, (cj_image_affine)(node[0], &how));
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .outputs = {y}});
    if (!p) fail_msg("%s", cj_message(cj));
    cj_session *s = cj_session_new_opts(p, cj_graph_store(g),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    cj_tensor *out = NULL;
    if (cj_run(s, feeds, 4, &out, 1)) fail_msg("%s", cj_session_message(s));
    /* In float a rotated pixel's place is exact to 1e-6 of a pixel, and a step between two of them
     * up to 1. */
    assert_near(backend ? backend : "best", out, array("y"), dtype == CJ_F64 ? 1e-10 : 2e-5);
    cj_tensor_free(out);
    for (int i = 0; i < 4; i++) cj_tensor_free((cj_tensor *)feeds[i].value);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
}

static void operations(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) run_operations(i % 2 ? CJ_F32 : CJ_F64, backends[i / 2]);
}

/* ---- Which are chosen ------------------------------------------------------------------------ */

enum { N = 120, MANY = 3000, H = 18, W = 17, C = 3, PICTURE = H * W * C };

/* All the same picture: what was done to it can be told from what has become of it. */
static cj_tensor *samples(int count)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){count, H, W, C});
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int i = 0; i < count * PICTURE; i++)
        v[i] = (float)(i % PICTURE * 7919 % 251) / 255 * 0.8f + 0.05f;
    cj_tensor_unmap(t);
    return t;
}

/* The same sample gets the same picture in any batch, another epoch another one, and nothing
 * happens outside of training. */
static void sample_by_sample(void **state)
{
    (void)state;
    static const char *const layers[] = {"trivial_augment", "rand_augment", "auto_augment",
                                         "auto_augment cifar10", "auto_augment svhn",
                                         "rand_augment 1 20 interpolation=bilinear"};
    cj_tensor *x = samples(N);
    const float *was = cj_tensor_map_read(x);
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char text[200];
        int64_t n, m;
        snprintf(text, sizeof text, "input %d %d %d, %s", H, W, C, layers[k]);
        float *all = run_in_cuts(cj, text, x, N, 4, true, NULL, &n);
        float *parts = run_in_cuts(cj, text, x, 64, 4, true, NULL, &m);
        assert_memory_equal(parts, all, (size_t)n * sizeof *all);
        free(parts);
        parts = run_in_cuts(cj, text, x, 7, 4, true, NULL, &m);
        assert_memory_equal(parts, all, (size_t)n * sizeof *all);
        free(parts);
        float *other = run_in_cuts(cj, text, x, N, 5, true, NULL, &m);
        int same = 0, untouched = 0;
        for (int i = 0; i < N; i++) {
            const size_t bytes = PICTURE * sizeof *all;
            same += !memcmp(all + i * PICTURE, other + i * PICTURE, bytes);
            untouched += !memcmp(all + i * PICTURE, was, bytes);
        }
        if (same > N / 3 || untouched > N / 3) /* cifar10 leaves a fifth alone */
            fail_msg("%s: %d as in another epoch, %d untouched", text, same, untouched);
        free(other);
        other = run_in_cuts(cj, text, x, N, 4, false, NULL, &m);
        assert_memory_equal(other, was, (size_t)m * sizeof *other);
        free(other);
        free(all);
    }
    cj_tensor_free(x);
}

/* At full strength each of the 14 operations leaves a picture of its own, signed ones two, each
 * half as often: they are told apart and counted. */
static void how_often(void **state)
{
    (void)state;
    enum { MOST = 30 };
    int64_t n;
    cj_tensor *x = samples(MANY);
    float *y = run_in_cuts(cj, "input 18 17 3, rand_augment 1 30", x, 500, 3, true, NULL, &n);
    int kinds = 0, first[MOST], count[MOST] = {0};
    for (int i = 0; i < MANY; i++) {
        int k = 0;
        while (k < kinds && memcmp(y + i * PICTURE, y + first[k] * PICTURE, PICTURE * sizeof *y))
            k++;
        if (k == kinds) {
            assert_true(kinds < MOST);
            first[kinds++] = i;
        }
        count[k]++;
    }
    /* Identity, posterize, solarize, auto_contrast, equalize, and 9 that go both ways. */
    assert_int_equal(kinds, 5 + 2 * 9);
    double chi = 0;
    int whole = 0;
    for (int k = 0; k < kinds; k++) {
        const bool signed_one = count[k] < 0.75 * MANY / 14;
        const double expected = MANY / 14.0 * (signed_one ? 0.5 : 1);
        whole += !signed_one;
        chi += (count[k] - expected) * (count[k] - expected) / expected;
    }
    assert_int_equal(whole, 5);
    if (!(chi < 48.3)) fail_msg("chi square of 22 degrees: %g", chi); /* in 999 of 1000 cases */
    free(y);
    cj_tensor_free(x);
}

static void refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"input 6 5 3, rand_augment 2 31",
         "rand_augment: magnitude=31 of num_magnitude_bins=31: the largest is one less"},
        {"input 6 5 3, auto_augment mnist", NULL},
        {"input 6 5 2, trivial_augment",
         "image_saturation: its input is of rank 4 with 2 as last size; pictures [batch, height, "
         "width, 1 or 3] of floats are expected"},
        {"input 6 5, trivial_augment", NULL},
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
    golden = golden_load(cj, "nn/augment_policy.npz");
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
        cmocka_unit_test(operations), cmocka_unit_test(sample_by_sample),
        cmocka_unit_test(how_often), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
