/* test_moves.c: masks, boxes and pictures follow the layers that move pixels. Pictures of labels
 * with rectangles in them go through a layer: where the rectangles are then is where the boxes must
 * be, the mask must be what is seen, and the picture itself must follow to the bit. */
#include <cajal/layers.h>

#include "nn_golden.h"
#include "support/faults.h"

#include <cajal/run.h>

#include "nn/layers_augment.h"

static cj_context *cj;

enum { N = 24, H = 40, W = 48, MOST = 4 };

static float pictures[N][H][W];
static int32_t masks[N][H][W];
static float boxes[N][MOST][5];

static uint32_t random_state = 99;
static int draw(int low, int high)
{
    random_state = random_state * 1664525u + 1013904223u;
    return low + (int)((random_state >> 8) % (uint32_t)(high - low + 1));
}

/* Three rectangles, one in each third, so that none is hidden; the last row is no box. */
static void draw_pictures(void)
{
    for (int i = 0; i < N; i++) {
        memset(pictures[i], 0, sizeof pictures[i]);
        for (int k = 0; k < MOST; k++) boxes[i][k][0] = -1;
        for (int k = 0; k < MOST - 1; k++) {
            const int left = W / 3 * k + draw(0, 6), top = draw(0, H - 12),
                      right = left + draw(5, W / 3 - 7), bottom = top + draw(5, 11);
            for (int y = top; y < bottom; y++)
                for (int x = left; x < right; x++) pictures[i][y][x] = (float)(k + 1);
            const float row[] = {(float)k, (float)left / W, (float)top / H, (float)right / W,
                                 (float)bottom / H};
            memcpy(boxes[i][k], row, sizeof row);
        }
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) masks[i][y][x] = (int32_t)pictures[i][y][x];
    }
}

typedef struct moved {
    cj_tensor *out[4]; /* the picture, the picture that follows, mask, boxes */
    int height, width;
} moved;
enum { SEEN, RESTORED, MASK, BOXES };

static cj_node *followed(cj_model *m, cj_graph *g, cj__follower what, cj_node *v)
{
    cj__followed f;
    if (!cj__moves_follow(m, g, cj_graph_output_at(cj_model_graph(m), 0), what, v, &f)) return NULL;
    return cj__followed_most(&f);
}

static void run_moves(const char *text, int64_t n, bool training, const char *backend, moved *r)
{
    cj_model *m = cj_model_from_text(cj, text, NULL, 0);
    if (!m) fail_msg("%s: %s", text, cj_message(cj));
    cj_node *raw, *seen;
    cj_graph *g = cj__model_assemble(m, &raw, &seen);
    assert_non_null(g);
    const cj_dim batch = cj_symbol(g, "batch");
    cj_node *mask = cj_placeholder(g, "mask", CJ_I32, CJ_DIMS(batch, H, W)),
            *box = cj_placeholder(g, "boxes", CJ_F32, CJ_DIMS(batch, MOST, 5));
    cj_node *all[] = {seen, followed(m, g, CJ__FOLLOWS_PICTURE, raw),
                      followed(m, g, CJ__FOLLOWS_MASK, mask),
                      followed(m, g, CJ__FOLLOWS_BOXES, box)};
    cj_program *p = cj_compile(g, .outputs = {all[0], all[1], all[2], all[3]},
                               .training = training);
    if (!p) fail_msg("%s: %s", text, cj_message(cj));
    cj_session *s = cj_session_new_opts(p, cj_model_store(m),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    cj_tensor *fed[] = {cj_tensor_from(cj, CJ_F32, 4, (int64_t[]){n, H, W, 1}, pictures),
                        cj_tensor_from(cj, CJ_I32, 3, (int64_t[]){n, H, W}, masks),
                        cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){n, MOST, 5}, boxes)};
    memset(r, 0, sizeof *r);
    if (cj_run(s, (cj_feed[]){{raw, fed[0]}, {mask, fed[1]}, {box, fed[2]}}, 3, r->out, 4))
        fail_msg("%s: %s", text, cj_session_message(s));
    r->height = (int)cj_tensor_shape(r->out[SEEN])[1];
    r->width = (int)cj_tensor_shape(r->out[SEEN])[2];
    for (int i = 0; i < 3; i++) cj_tensor_free(fed[i]);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    cj_model_free(m);
}

static void release(moved *r)
{
    for (int i = 0; i < 4; i++) cj_tensor_free(r->out[i]);
}

/* Where a label is seen in a picture: pixels' outer edges; how many there are. */
static int seen_at(const float *picture, const moved *r, float label, double at[4])
{
    int count = 0;
    at[0] = at[1] = 1e9, at[2] = at[3] = -1;
    for (int y = 0; y < r->height; y++)
        for (int x = 0; x < r->width; x++) {
            if (picture[y * r->width + x] != label) continue;
            count++;
            at[0] = fmin(at[0], x), at[1] = fmin(at[1], y);
            at[2] = fmax(at[2], x + 1), at[3] = fmax(at[3], y + 1);
        }
    return count;
}

/* A box that touches the picture's edge was cut: of a turned rectangle the part that is left may be
 * smaller than the part of the box. */
static void check_box(const char *text, const moved *r, int i, int k, double tolerance)
{
    const float *row = (const float *)cj_tensor_map_read(r->out[BOXES]) + (i * MOST + k) * 5;
    const float *picture = (const float *)cj_tensor_map_read(r->out[RESTORED]) +
                           (ptrdiff_t)i * r->height * r->width;
    double at[4];
    const int count = seen_at(picture, r, (float)(k + 1), at);
    if (row[0] < 0) {
        for (int e = 1; e < 5; e++) assert_true(row[e] == 0);
        /* Of the smallest rectangle, 5 x 5, a tenth are 2 pixels; 12 x 10 drawn twice as large. */
        if (k < MOST - 1 && count > 48) fail_msg("%s: box %d of sample %d is gone", text, k, i);
        return;
    }
    assert_true(row[0] == (float)k);
    const int sizes[] = {r->width, r->height};
    bool cut = false;
    for (int e = 0; e < 4; e++) {
        const double edge = (double)row[e + 1] * sizes[e % 2];
        assert_true(edge >= 0 && edge <= sizes[e % 2] * (1 + 1e-6));
        cut = cut || edge <= 0 || edge >= sizes[e % 2] * (1 - 1e-6);
    }
    for (int e = 0; e < 4; e++) {
        const double edge = (double)row[e + 1] * sizes[e % 2],
                     outside = e < 2 ? edge - at[e] : at[e] - edge;
        if (!count && cut) continue;
        if (outside > tolerance || (!cut && -outside > tolerance))
            fail_msg("%s: edge %d of box %d of sample %d is at %g, the pixels' at %g", text, e, k,
                     i, edge, at[e]);
    }
}

/* Nearest pixels, so that labels stay labels. Where sides stay parallel to the axes, an edge is at
 * most a pixel away from pixels whose centres lie inside; the tip of a corner may be thinner than
 * the pixels it falls between. */
static const struct {
    const char *text;
    double tolerance;
} layers[] = {
    {"random_flip", 1e-4},
    {"random_flip horizontal", 1e-4},
    {"random_flip vertical", 1e-4},
    {"random_rotation 0.5 interpolation=nearest fill_mode=constant", 2},
    {"random_translation 0.4 interpolation=nearest fill_mode=constant", 1},
    {"random_zoom [-0.5, 0.5] width_factor=[-0.3, 1] interpolation=nearest fill_mode=constant", 1},
    {"random_shear 0.4 y_factor=0.2 interpolation=nearest fill_mode=constant", 2},
    {"random_perspective scale=0.6 interpolation=nearest fill_mode=constant", 2},
    {"random_perspective factor=0.5 interpolation=nearest fill_mode=constant", 2},
    {"random_crop 30 20", 1e-4},
    {"random_crop 40 48 padding=8", 1e-4},
    {"center_crop 31 37", 1e-4},
    {"resizing 80 60 interpolation=nearest", 1},
    {"resizing 25 48 interpolation=nearest", 1},
    {"rescaling 1, random_flip, random_rotation 0.1 interpolation=nearest fill_mode=constant, "
     "random_crop 24 48, resizing 48 48 interpolation=nearest", 3},
    {"trivial_augment", 3},
    {"rand_augment 3", 3},
    {"auto_augment svhn", 3},
};

static void rectangles(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char text[300];
        snprintf(text, sizeof text, "input %d %d 1, %s", H, W, layers[k].text);
        for (int training = 0; training < 2; training++) {
            moved r;
            draw_pictures();
            run_moves(text, N, training, backends[k % 2], &r);
            const size_t pixels = (size_t)(N * r.height * r.width);
            const float *seen = cj_tensor_map_read(r.out[SEEN]);
            const int32_t *mask = cj_tensor_map_read(r.out[MASK]);
            const float *restored = cj_tensor_map_read(r.out[RESTORED]);
            if (!strstr(text, "augment")) /* which changes colours, so that they are no labels */
                assert_memory_equal(seen, restored, pixels * sizeof *seen);
            for (size_t i = 0; i < pixels; i++)
                if (mask[i] != (int32_t)restored[i])
                    fail_msg("%s: pixel %zu is %g, the mask %d", text, i, (double)restored[i],
                             (int)mask[i]);
            for (int i = 0; i < N; i++)
                for (int b = 0; b < MOST; b++) check_box(text, &r, i, b, layers[k].tolerance);
            release(&r);
        }
    }
}

/* What lies outside is mirrored, or repeated, in masks too; of a constant, it is class 0. Pixels
 * between which a picture is interpolated make no new classes. */
static void fills(void **state)
{
    (void)state;
    static const char *const modes[] = {"reflect", "nearest", "constant"};
    for (int k = 0; k < 3; k++) {
        char text[300];
        moved r, smooth;
        draw_pictures();
        snprintf(text, sizeof text,
                 "input 40 48 1, random_rotation 0.3 interpolation=nearest fill_mode=%s", modes[k]);
        run_moves(text, N, true, NULL, &r);
        assert_memory_equal(cj_tensor_map_read(r.out[SEEN]), cj_tensor_map_read(r.out[RESTORED]),
                            sizeof pictures);
        snprintf(text, sizeof text,
                 "input 40 48 1, random_rotation 0.3 fill_mode=%s fill_value=7", modes[k]);
        run_moves(text, N, true, NULL, &smooth);
        const float *seen = cj_tensor_map_read(r.out[SEEN]);
        const int32_t *mask = cj_tensor_map_read(smooth.out[MASK]);
        for (int i = 0; i < N * H * W; i++) assert_int_equal(mask[i], (int32_t)seen[i]);
        assert_memory_equal(cj_tensor_map_read(smooth.out[SEEN]),
                            cj_tensor_map_read(smooth.out[RESTORED]), sizeof pictures);
        release(&r);
        release(&smooth);
    }
}

/* A tenth of a box has to be left, and what is not there stays so. */
static void what_is_left(void **state)
{
    (void)state;
    static const float given[MOST][5] = {{0, 0, 0, 0.5f, 0.5f},    /* 12.5 % are in the middle */
                                         {1, 0.05f, 0, 0.3f, 1},   /* 1/5, twice as far in */
                                         {2, 0, 0.4f, 0.27f, 0.6f}, /* 2/27 */
                                         {-1, 0.4f, 0.4f, 0.6f, 0.6f}};
    const float expected[MOST][5] = {{0, 0, 0, 0.5f, 0.5f},
                                     {1, 0, 0, 0.1f, 1},
                                     {-1, 0, 0, 0, 0},
                                     {-1, 0, 0, 0, 0}};
    moved r;
    memcpy(boxes[0], given, sizeof given);
    run_moves("input 40 48 1, center_crop 20 24", 1, false, NULL, &r);
    const float *found = cj_tensor_map_read(r.out[BOXES]);
    for (int i = 0; i < MOST * 5; i++)
        assert_float_equal(found[i], ((const float *)expected)[i], 1e-6);
    release(&r);
}

/* Every picture has labels of its own, so that it is known again among the parts of another. Boxes
 * of part p are those of the sample p places further. */
static void mosaics(void **state)
{
    (void)state;
    moved r;
    draw_pictures();
    for (int i = 0; i < N; i++)
        for (int k = 0; k < H * W; k++) {
            float *label = &pictures[i][0][0] + k;
            if (*label > 0) *label += (float)(3 * i);
            (&masks[i][0][0])[k] = (int32_t)*label;
        }
    for (int training = 0; training < 2; training++) {
        run_moves("input 40 48 1, mosaic interpolation=nearest", N, training, NULL, &r);
        const float *seen = cj_tensor_map_read(r.out[SEEN]),
                    *row = cj_tensor_map_read(r.out[BOXES]);
        const int32_t *mask = cj_tensor_map_read(r.out[MASK]);
        assert_memory_equal(seen, cj_tensor_map_read(r.out[RESTORED]), sizeof pictures);
        for (int i = 0; i < N * H * W; i++) assert_int_equal(mask[i], (int32_t)seen[i]);
        assert_int_equal(cj_tensor_shape(r.out[BOXES])[1], 4 * MOST);
        for (int i = 0; i < N * 4 * MOST; i++, row += 5) {
            const int sample = i / (4 * MOST), part = i / MOST % 4, k = i % MOST;
            const bool none = k == MOST - 1 || (!training && part);
            assert_true(row[0] == (none ? -1 : (float)k));
            if (none) continue;
            double at[4];
            const int label = 3 * ((sample + part) % N) + k + 1;
            assert_true(seen_at(seen + (ptrdiff_t)sample * H * W, &r, (float)label, at) > 0);
            for (int e = 0; e < 4; e++)
                if (fabs((double)row[e + 1] * (e % 2 ? H : W) - at[e]) > 1)
                    fail_msg("edge %d of box %d of sample %d is at %g, the pixels' at %g", e, i,
                             sample, (double)row[e + 1] * (e % 2 ? H : W), at[e]);
        }
        release(&r);
    }
}

/* Boxes of both pictures; where they are in a rectangle that was cut out cannot be said. */
static void blended_boxes(void **state)
{
    (void)state;
    moved r;
    draw_pictures();
    run_moves("input 40 48 1, mix_up", N, true, NULL, &r);
    const float *found = cj_tensor_map_read(r.out[BOXES]);
    for (int i = 0; i < N; i++)
        for (int part = 0; part < 2; part++)
            assert_memory_equal(found + (i * 2 + part) * MOST * 5, boxes[(i + part) % N],
                                sizeof boxes[0]);
    release(&r);
    cj_model *m = cj_model_from_text(cj, "input 40 48 1, cut_mix", NULL, 0);
    cj_node *raw, *y;
    cj_graph *g = cj__model_assemble(m, &raw, &y);
    cj_node *box = cj_placeholder(g, "boxes", CJ_F32, CJ_DIMS(cj_symbol(g, "batch"), MOST, 5));
    assert_null(followed(m, g, CJ__FOLLOWS_BOXES, box));
    assert_string_equal(cj_message(cj), "cut_mix: where boxes are in its pictures cannot be said; "
                                        "mix_up and mosaic are for boxes");
    cj_graph_free(g);
    cj_model_free(m);
}

/* A mask is blended as a whole, so that its pixels can be pasted before, but not afterwards. */
static void order_of_mixing(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        cj_model *m = cj_model_from_text(
            cj, late ? "input 4 4 1, mix_up, cut_mix" : "input 4 4 1, cut_mix, mix_up", NULL, 0);
        cj_node *raw, *y;
        cj_graph *g = cj__model_assemble(m, &raw, &y);
        const cj_dim batch = cj_symbol(g, "batch");
        cj_node *mask = cj_placeholder(g, "mask", CJ_I32, CJ_DIMS(batch, 4, 4)),
                *class = cj_placeholder(g, "class", CJ_I32, CJ_DIMS(batch));
        assert_non_null(followed(m, g, CJ__FOLLOWS_CLASS, class));
        assert_int_equal(followed(m, g, CJ__FOLLOWS_MASK, mask) != NULL, !late);
        if (late)
            assert_string_equal(cj_message(cj),
                                "cut_mix: the pictures have been blended before, which masks "
                                "cannot follow: it has to stand in front of mix_up");
        cj_graph_free(g);
        cj_model_free(m);
    }
}

/* 2 x 2 x 2 x 2 parts are what a target may have. */
static void too_many_parts(void **state)
{
    (void)state;
    char text[200] = "input 4 4 1";
    for (int n = 1; n <= 5; n++) {
        strcat(text, ", mix_up");
        cj_model *m = cj_model_from_text(cj, text, NULL, 0);
        cj_node *raw, *y;
        cj_graph *g = cj__model_assemble(m, &raw, &y);
        cj_node *class = cj_placeholder(g, "class", CJ_I32, CJ_DIMS(cj_symbol(g, "batch")));
        const bool fits = followed(m, g, CJ__FOLLOWS_CLASS, class) != NULL;
        assert_int_equal(fits, n < 5);
        if (!fits)
            assert_string_equal(cj_message(cj),
                                "mix_up_4: with it a sample is mixed of 32 others, above 16");
        cj_graph_free(g);
        cj_model_free(m);
    }
}

/* Beta(a, a) from even numbers on a grid: mean 1/2, variance 1 / (4 (2 a + 1)), and how much is
 * below 0.1: x for a = 1, 3 x^2 - 2 x^3 for 2, 2 asin(sqrt x) / pi for 1/2. */
static void beta(void **state)
{
    (void)state;
    enum { STEPS = 200 };
    static const struct {
        double a, below;
    } cases[] = {{0.2, NAN},  {0.5, 0.20483276469913347}, {1, 0.1}, {2, 0.028}, {8, NAN},
                 {0.001, NAN}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        cj_graph *g = cj_graph_new(cj);
        const cj_dim dims[] = {STEPS, STEPS};
        cj_node *uv[2];
        for (int i = 0; i < 2; i++)
            uv[i] = cj_scale(cj_shift(cj_iota(g, CJ_F32, i, 2, dims), 0.5), 1.0 / STEPS);
        cj_node *x = cj__beta_of(uv[0], uv[1], cases[k].a);
        cj_program *p = cj_compile(g, .outputs = {x});
        cj_session *s = cj_session_new(p, cj_graph_store(g));
        cj_tensor *out = NULL;
        assert_int_equal(cj_run(s, NULL, 0, &out, 1), CJ_OK);
        const float *v = cj_tensor_map_read(out);
        double sum = 0, square = 0;
        int below = 0;
        for (int i = 0; i < STEPS * STEPS; i++) {
            assert_true(v[i] >= 0 && v[i] <= 1);
            sum += (double)v[i], square += ((double)v[i] - 0.5) * ((double)v[i] - 0.5);
            below += v[i] < 0.1f;
        }
        const double n = STEPS * STEPS, variance = 0.25 / (2 * cases[k].a + 1);
        /* A grid of 200 x 200 leaves about 1 / 200 open. */
        assert_float_equal(sum / n, 0.5, 1e-4);
        assert_float_equal(square / n, variance, 0.005 * variance + 1e-6);
        if (!isnan(cases[k].below)) assert_float_equal(below / n, cases[k].below, 0.003);
        cj_tensor_free(out);
        cj_session_free(s);
        cj_program_free(p);
        cj_graph_free(g);
    }
}

/* Only what is done to pictures counts, not what networks do to what they have learned. */
static void only_pictures(void **state)
{
    (void)state;
    moved r;
    draw_pictures();
    run_moves("input 40 48 1, conv2d 1 1, resizing 10 10, center_crop 5 5", N, true, NULL, &r);
    assert_memory_equal(cj_tensor_map_read(r.out[MASK]), masks, sizeof masks);
    assert_memory_equal(cj_tensor_map_read(r.out[BOXES]), boxes, sizeof boxes);
    assert_int_equal(cj_tensor_shape(r.out[RESTORED])[1], H);
    release(&r);
}

/* Layers, and all that follows them, with every allocation failing in turn. */
static cj_status follow_all(cj_context *c, void *arg)
{
    cj_model *m = cj_model_from_text(c, arg, NULL, 0);
    cj_node *raw, *y;
    cj_graph *g = m ? cj__model_assemble(m, &raw, &y) : NULL;
    cj_status failed = g ? CJ_OK : cj_last_status(c);
    for (int i = 0; g && !failed && i < 4; i++) {
        static const cj__follower what[] = {CJ__FOLLOWS_PICTURE, CJ__FOLLOWS_MASK,
                                            CJ__FOLLOWS_BOXES, CJ__FOLLOWS_CLASS};
        static const char *const names[] = {NULL, "mask", "boxes", "class"};
        static const int ranks[] = {4, 3, 3, 1};
        const cj_dim batch = cj_symbol(g, "batch"),
                     dims[][3] = {{0}, {batch, 6, 8}, {batch, 3, 5}, {batch}};
        cj_node *v = i ? cj_placeholder(g, names[i], i == 2 ? CJ_F32 : CJ_I32, ranks[i], dims[i])
                       : raw;
        cj__followed f;
        if (!v ||
            !cj__moves_follow(m, g, cj_graph_output_at(cj_model_graph(m), 0), what[i], v, &f) ||
            !cj__followed_most(&f))
            failed = cj_graph_failed(g) ? cj_graph_failed(g) : cj_last_status(c);
    }
    cj_graph_free(g);
    cj_model_free(m);
    return failed;
}

static void faults(void **state)
{
    (void)state;
    static char text[] = "input 6 8 3, random_flip, random_rotation 0.1, random_perspective, "
                         "auto_augment, mosaic, mix_up, random_crop 5 5 padding=1, "
                         "random_gaussian_blur, center_crop 4 4, resizing 5 5";
    assert_true(faults_sweep_memory(follow_all, text, NULL, 13) > 50);
}

static void another_size(void **state)
{
    (void)state;
    cj_model *m = cj_model_from_text(cj, "input 40 48 1, random_flip, flatten, dense 1", NULL, 0);
    cj_node *raw, *y;
    cj_graph *g = cj__model_assemble(m, &raw, &y);
    cj_node *mask = cj_placeholder(g, "mask", CJ_I32, CJ_DIMS(cj_symbol(g, "batch"), 40, 40));
    assert_null(followed(m, g, CJ__FOLLOWS_MASK, mask));
    assert_string_equal(cj_message(cj), "random_flip: its pictures are of 40x48 pixels, but their "
                                        "masks, which are to follow them, of 40x40");
    cj_graph_free(g);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rectangles), cmocka_unit_test(fills), cmocka_unit_test(what_is_left),
        cmocka_unit_test(mosaics), cmocka_unit_test(blended_boxes),
        cmocka_unit_test(order_of_mixing), cmocka_unit_test(too_many_parts), cmocka_unit_test(beta),
        cmocka_unit_test(only_pictures), cmocka_unit_test(another_size), cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
