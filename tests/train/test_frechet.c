/* test_frechet.c: distances of sets of features against scipy's (tools/golden/frechet.py), what
 * they have to be, and what is refused. */
#include "train_support.h"

enum { CASES = 12 };

static cj_context *cj;
static int setup(void **state)
{
    (void)state;
    return (cj = cj_context_new(NULL)) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

static cj_tensor *part(cj_tensors *golden, int i, const char *name)
{
    char full[32];
    snprintf(full, sizeof full, "%d/%s", i, name);
    cj_tensor *t = cj_tensors_find(golden, full);
    assert_non_null(t);
    return t;
}

/* The bound is of the traces that cancel: the distance is what is left of them. */
static void distances_are_those_of_scipy(void **state)
{
    (void)state;
    char path[512];
    cj_tensors *golden;
    OK(cj_npz_load(cj, golden_path(path, "train/frechet.npz"), &golden));
    for (int i = 0; i < CASES; i++) {
        cj_tensor *a = part(golden, i, "a"), *b = part(golden, i, "b"),
                  *a64 = cj_tensor_cast(a, CJ_F64);
        const double expected = *(const double *)cj_tensor_map_read(part(golden, i, "distance"));
        const double scale = *(const double *)cj_tensor_map_read(part(golden, i, "traces"));
        double d, back, wide, own;
        OK(cj_frechet_distance(cj, a, b, &d));
        OK(cj_frechet_distance(cj, b, a, &back));
        OK(cj_frechet_distance(cj, a64, b, &wide));
        OK(cj_frechet_distance(cj, a, a, &own));
        if (!(fabs(d - expected) <= 1e-10 * scale))
            fail_msg("case %d: %.17g, expected %.17g", i, d, expected);
        assert_true(fabs(d - back) <= 1e-12 * scale);
        assert_true(d == wide); /* floats are doubles */
        assert_true(own >= 0 && own <= 1e-12 * scale);
        cj_tensor_free(a64);
    }
    cj_tensors_free(golden);
}

/* Features of equal spread, moved by 3 and 4: the distance is 25. */
static void moved(void **state)
{
    (void)state;
    const float a[] = {1, 2, -1, 5, 0.5f, 0.25f, 7, -3};
    float b[8];
    for (int i = 0; i < 8; i++) b[i] = a[i] + (i % 2 ? 4 : -3);
    cj_tensor *x = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 2}, a),
              *y = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){4, 2}, b);
    double d;
    OK(cj_frechet_distance(cj, x, y, &d));
    assert_true(fabs(d - 25) < 1e-12);
    cj_tensor_free(x);
    cj_tensor_free(y);
}

static void refused(void **state)
{
    (void)state;
    const float odd[] = {1, 2, 3, NAN, 5, 6}, large[] = {3e38f, 1, -3e38f, 2, 0, 5};
    const double huge[] = {1e200, -1e200};
    cj_tensor *good = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 2}, large),
              *nan = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){3, 2}, odd),
              *one = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){1, 6}, odd),
              *three = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){2, 3}, odd),
              *flat = cj_tensor_from(cj, CJ_F32, 1, (int64_t[]){6}, odd),
              *whole = cj_tensor_new(cj, CJ_I32, 2, (int64_t[]){3, 2}),
              *none = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){3, 0}),
              *wide = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){2, 4097}),
              *far = cj_tensor_from(cj, CJ_F64, 2, (int64_t[]){2, 1}, huge);
    const struct {
        cj_tensor *a, *b;
        cj_status status;
        const char *message;
    } cases[] = {
        {good, nan, CJ_ERR_NUMERIC, "frechet: feature 1 of sample 1 is nan"},
        {one, good, CJ_ERR_ARGUMENT, "frechet: set 1 has 1 samples; a covariance needs 2"},
        {good, three, CJ_ERR_SHAPE, "frechet: 2 features and 3 features cannot be compared"},
        {good, flat, CJ_ERR_ARGUMENT,
         "frechet: set 2 is f32 of rank 1; floats [samples, features] are expected"},
        {whole, good, CJ_ERR_ARGUMENT,
         "frechet: set 1 is i32 of rank 2; floats [samples, features] are expected"},
        {none, none, CJ_ERR_LIMIT, "frechet: 0 features; 1 to 4096 are possible"},
        {wide, wide, CJ_ERR_LIMIT, "frechet: 4097 features; 1 to 4096 are possible"},
        {far, far, CJ_ERR_NUMERIC, "frechet: the features are too large for doubles"}};
    double d = -1;
    OK(cj_frechet_distance(cj, good, good, &d)); /* large, but their squares are doubles */
    d = -1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cj_frechet_distance(cj, cases[i].a, cases[i].b, &d), cases[i].status);
        assert_string_equal(cj_message(cj), cases[i].message);
    }
    assert_true(d == -1);
    assert_int_equal(cj_frechet_distance(cj, good, NULL, &d), CJ_ERR_ARGUMENT);
    cj_tensor *all[] = {good, nan, one, three, flat, whole, none, wide, far};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) cj_tensor_free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(distances_are_those_of_scipy),
                                       cmocka_unit_test(moved), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
