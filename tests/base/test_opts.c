/* Options of programs that were compiled for an older or a newer version of the library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/opts.h"
#include <cajal/cajal.h>

typedef struct options {
    size_t struct_size;
    int units, seed;
} options;

static cj_context *cj;

static void test_sizes(void **state)
{
    (void)state;
    options o = {.units = 3, .seed = 7};
    assert_int_equal(cj__opts_take(cj, "layer", &o, sizeof o, NULL), CJ_OK);
    assert_true(o.struct_size == sizeof o && o.units == 3 && o.seed == 7);
    assert_int_equal(cj__opts_take(cj, "layer", &o, sizeof o, &(options){.units = 4}), CJ_OK);
    assert_true(o.struct_size == sizeof o && o.units == 4 && o.seed == 0);
    o.seed = 7; /* which an older program does not have */
    const options older = {.struct_size = offsetof(options, seed), .units = 5, .seed = 99};
    assert_int_equal(cj__opts_take(cj, "layer", &o, sizeof o, &older), CJ_OK);
    assert_true(o.struct_size == sizeof o && o.units == 5 && o.seed == 7);
}

static void test_newer(void **state)
{
    (void)state;
    options o = {.units = 3};
    const options newer[2] = {{.struct_size = sizeof newer, .units = 4}};
    assert_int_equal(cj__opts_take(cj, "layer", &o, sizeof o, newer), CJ_ERR_UNSUPPORTED);
    assert_non_null(strstr(cj_message(cj), "layer: options of a newer version of the library"));
    assert_true(o.units == 3);
}

/* Builders and verbs take them alike. */
static void test_public(void **state)
{
    (void)state;
    const cj_conv2d_opts conv = {
        .struct_size = sizeof conv + 8, .filters = 2, .kernel = {3, 3}};
    const cj_evaluate_opts evaluate = {.struct_size = sizeof evaluate + 8};
    cj_model *m = cj_model_new(cj);
    assert_null((cj_conv2d)(cj_input(m, "image", 8, 8, 1), &conv));
    assert_non_null(strstr(cj_message(cj), "conv2d: options of a newer version"));
    assert_int_equal((cj_evaluate)(m, NULL, &evaluate), CJ_ERR_UNSUPPORTED);
    cj_model_free(m);
}

static int begin(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return cj ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    cj_context_free(cj);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_newer),
                                       cmocka_unit_test(test_public)};
    return cmocka_run_group_tests(tests, begin, end);
}
