/* Open tables: a program's rows come first, and unknown names name their neighbour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/registry.h"
#include "support/faults.h"

typedef struct layer {
    const char *name;
    int number;
} layer;

static const layer dense = {"dense", 1}, dropout = {"dropout", 2}, own_dense = {"dense", 3},
                   mine = {"mine", 4};
static const void *const builtin[] = {&dense, &dropout, NULL};

static void test_registry(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL), child;
    cj__context_init_child(&child, cj);
    assert_ptr_equal(cj__find(cj, CJ__ROW_LAYER, builtin, "layer", "dense"), &dense);
    assert_null(cj__find(cj, CJ__ROW_LAYER, builtin, "layer", "dens"));
    assert_string_equal(cj_message(cj), "unknown layer 'dens' (did you mean 'dense'?)");
    assert_int_equal(cj_last_status(cj), CJ_ERR_ARGUMENT);
    assert_null(cj__find(cj, CJ__ROW_LAYER, builtin, "layer", "zzzzzz"));
    assert_string_equal(cj_message(cj), "unknown layer 'zzzzzz' (there are: dense, dropout)");
    assert_null(cj__find(cj, CJ__ROW_LAYER, NULL, "layer", NULL));
    assert_int_equal(cj__register(cj, CJ__ROW_LAYER, &own_dense), CJ_OK);
    assert_int_equal(cj__register(cj, CJ__ROW_LAYER, &mine), CJ_OK);
    assert_int_equal(cj__register(cj, CJ__ROW_LAYER, &mine), CJ_ERR_EXISTS);
    assert_int_equal(cj__register(cj, CJ__ROW_LAYER, &(layer){NULL, 0}), CJ_ERR_ARGUMENT);
    assert_int_equal(cj__register(cj, CJ__ROW_LAYER, NULL), CJ_ERR_ARGUMENT);
    assert_ptr_equal(cj__find(cj, CJ__ROW_LAYER, builtin, "layer", "dense"), &own_dense);
    assert_ptr_equal(cj__find(&child, CJ__ROW_LAYER, builtin, "layer", "mine"), &mine);
    assert_null(cj__find(cj, CJ__ROW_LOSS, builtin, "loss", "mine"));
    assert_ptr_equal(cj__row_at(cj, CJ__ROW_LAYER, builtin, 0), &own_dense);
    assert_ptr_equal(cj__row_at(cj, CJ__ROW_LAYER, builtin, 2), &dense);
    assert_null(cj__row_at(cj, CJ__ROW_LAYER, builtin, 4));
    assert_null(cj__row_at(cj, CJ__ROW_LAYER, builtin, -1));
    assert_null(cj__row_at(cj, CJ__ROW_LAYER, NULL, 2));
    cj__context_release_child(&child);
    cj_context_free(cj);
}

static cj_status scenario(cj_context *cj, void *arg)
{
    layer *rows = arg;
    for (int i = 0; i < 26; i++)
        if (!cj__find_quiet(cj, CJ__ROW_OP, NULL, rows[i].name))
            CJ__TRY(cj__register(cj, CJ__ROW_OP, &rows[i]));
    for (int i = 0; i < 26; i++)
        if (cj__row_at(cj, CJ__ROW_OP, NULL, i) != &rows[i])
            return cj_fail(cj, CJ_ERR_STATE, "row %d is lost", i);
    return CJ_OK;
}

static void test_faults(void **state)
{
    (void)state;
    static char names[26][2];
    static layer rows[26];
    for (int i = 0; i < 26; i++) {
        names[i][0] = (char)('a' + i);
        rows[i] = (layer){names[i], i};
    }
    assert_true(faults_sweep_memory(scenario, rows, NULL, 1) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_registry),
                                       cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
