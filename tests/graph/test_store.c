/* Stores: names to tensors in the order they came, through growth and failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/graph.h>

#include "faults.h"

static void names_and_values(void **state)
{
    (void)state;
    enum { N = 3000 };
    cj_context *cj = cj_context_new(NULL);
    cj_store *store = cj_store_new(cj);
    assert_null(cj_store_get(store, "nothing"));
    assert_null(cj_store_name_at(store, 0));
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer_%d/kernel", i);
        cj_tensor *t = cj_tensor_scalar(cj, CJ_F32, i);
        assert_int_equal(cj_store_set(store, name, t), CJ_OK);
        cj_tensor_free(t); /* copied */
    }
    assert_int_equal(cj_store_count(store), N);
    assert_true(cj_store_version(store) == N);
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer_%d/kernel", i);
        assert_string_equal(cj_store_name_at(store, i), name);
        assert_ptr_equal(cj_store_get(store, name), cj_store_tensor_at(store, i));
        assert_true(*(const float *)cj_tensor_map_read(cj_store_get(store, name)) == (float)i);
    }
    assert_null(cj_store_get(store, "layer_3000/kernel"));
    assert_null(cj_store_get(store, NULL));
    assert_null(cj_store_tensor_at(store, N));
    assert_null(cj_store_tensor_at(store, -1));
    /* Setting again keeps the tensor and its place, and refuses another type. */
    cj_tensor *t = cj_tensor_scalar(cj, CJ_F32, -1), *other = cj_tensor_scalar(cj, CJ_F64, -1),
              *before = cj_store_tensor_at(store, 7);
    assert_int_equal(cj_store_set(store, "layer_7/kernel", t), CJ_OK);
    assert_ptr_equal(cj_store_tensor_at(store, 7), before);
    assert_true(*(const float *)cj_tensor_map_read(before) == -1);
    assert_int_not_equal(cj_store_set(store, "layer_7/kernel", other), CJ_OK);
    assert_non_null(strstr(cj_message(cj), "layer_7/kernel"));
    assert_true(cj_store_version(store) == N + 1);
    assert_int_equal(cj_store_set(store, "", t), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_store_set(store, "x", NULL), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_store_set(NULL, "x", t), CJ_ERR_ARGUMENT);
    cj_tensor_free(t), cj_tensor_free(other);
    cj_store_free(store);
    cj_store_free(NULL);
    cj_context_free(cj);
}

static cj_status grown(cj_context *cj, void *arg)
{
    (void)arg;
    cj_store *store = cj_store_new(cj);
    cj_status failed = store ? CJ_OK : cj_last_status(cj);
    for (int i = 0; i < 40 && !failed; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", i);
        cj_tensor *t = cj_tensor_scalar(cj, CJ_F64, i);
        failed = t ? cj_store_set(store, name, t) : cj_last_status(cj);
        cj_tensor_free(t);
        for (int k = 0; k < cj_store_count(store); k++) /* what was there is there */
            if (cj_store_get(store, cj_store_name_at(store, k)) != cj_store_tensor_at(store, k))
                failed = CJ_ERR_STATE;
        if (cj_store_get(store, "absent")) failed = CJ_ERR_STATE;
    }
    cj_store_free(store);
    return failed;
}

static void failing_allocations(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(grown, NULL, NULL, 1) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_and_values),
                                       cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
