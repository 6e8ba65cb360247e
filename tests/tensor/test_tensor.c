/* test_tensor.c: create, view, copy, compare, lists, and every allocation failing in turn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "faults.h"
#include "tensor/tensor.h"

#define SHAPE(...) (const int64_t[]){__VA_ARGS__}

static cj_context *cj;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int leaked = cj_memory_used(cj) != 0;
    cj_context_free(cj);
    return leaked;
}

static void new_tensors_are_zero_and_aligned(void **state)
{
    (void)state;
    for (int d = CJ_F64; d < CJ_DTYPE_COUNT; d++) {
        cj_tensor *t = cj_tensor_new(cj, (cj_dtype)d, 2, SHAPE(3, 5));
        assert_non_null(t);
        assert_int_equal(cj_tensor_count(t), 15);
        assert_int_equal(cj_tensor_size_bytes(t), 15 * cj__dtype_bytes((cj_dtype)d));
        assert_int_equal((uintptr_t)cj_tensor_map(t, CJ_MAP_READ) % 64, 0);
        for (size_t i = 0; i < 15; i++)
            assert_true(cj_load_f64((cj_dtype)d, cj_tensor_map_read(t), i) ==
                        (d == CJ_F8E8M0 ? 0x1p-127 : 0)); /* which has no zero */
        cj_tensor_unmap(t);
        cj_tensor_free(t);
    }
    cj_tensor_free(NULL);
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    assert_null(cj_tensor_new(cj, CJ_F32, 9, SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1)));
    assert_string_equal(cj_message(cj), "tensor: rank 9 is not between 0 and 8");
    assert_null(cj_tensor_new(cj, CJ_F32, 2, SHAPE(3, -1)));
    assert_string_equal(cj_message(cj), "tensor: dimension 1 is -1, expected at least 0");
    assert_null(cj_tensor_new(cj, CJ_DTYPE_NONE, 0, NULL));
    assert_int_equal(cj_last_status(cj), CJ_ERR_TYPE);
    assert_null(cj_tensor_new(cj, (cj_dtype)77, 0, NULL));
    assert_null(cj_tensor_new(cj, CJ_F32, 1, NULL));
    assert_null(cj_tensor_new(cj, CJ_F64, 2, SHAPE(INT64_MAX, 2)));
    assert_int_equal(cj_last_status(cj), CJ_ERR_LIMIT);
    assert_null(cj_tensor_new(cj, CJ_F64, 1, SHAPE(INT64_MAX / 4)));
    cj_tensor *empty = cj_tensor_new(cj, CJ_F64, 3, SHAPE(INT64_MAX, 0, INT64_MAX));
    assert_non_null(empty);
    assert_int_equal(cj_tensor_count(empty), 0);
    cj_tensor_free(empty);
}

static void views_share_the_buffer(void **state)
{
    (void)state;
    float values[] = {1, 2, 3, 4, 5, 6};
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 2, SHAPE(3, 2), values);
    cj_tensor *flat = cj_tensor_reshape(t, 1, SHAPE(6)), *rows = cj_tensor_rows(t, 1, 3);
    cj_tensor *none = cj_tensor_rows(t, 3, 3), *one = cj_tensor_rows(rows, 1, 2),
              *copy = cj_tensor_copy(rows);
    assert_null(cj_tensor_reshape(t, 1, SHAPE(5)));
    assert_string_equal(cj_message(cj), "reshape: (3, 2) has 6 elements, (5,) has 5");
    assert_null(cj_tensor_rows(t, 1, 4));
    assert_string_equal(cj_message(cj), "rows: [1, 4) is not inside [0, 3)");
    cj_tensor_free(t);
    ((float *)cj_tensor_map(flat, CJ_MAP_WRITE))[4] = 50;
    assert_true(((const float *)cj_tensor_map_read(rows))[2] == 50);
    assert_true(((const float *)cj_tensor_map_read(one))[0] == 50);
    assert_true(((const float *)cj_tensor_map_read(copy))[2] == 5);
    assert_int_equal(cj_tensor_count(none), 0);
    assert_int_equal(cj_tensor_shape(one)[0], 1);
    assert_int_equal(cj_tensor_rank(one), 2);
    cj_tensor *views[] = {flat, rows, none, one, copy};
    for (int i = 0; i < 5; i++) cj_tensor_free(views[i]);
    cj_tensor *scalar = cj_tensor_scalar(cj, CJ_I32, 7);
    assert_null(cj_tensor_rows(scalar, 0, 0));
    cj_tensor_free(scalar);
}

static void copies_and_casts(void **state)
{
    (void)state;
    double values[] = {1.5, -3.25, 300, NAN};
    cj_tensor *t = cj_tensor_from(cj, CJ_F64, 1, SHAPE(4), values),
              *bytes = cj_tensor_cast(t, CJ_U8);
    assert_memory_equal(cj_tensor_map_read(bytes), ((uint8_t[]){1, 0, 255, 0}), 4);
    assert_int_equal(cj_tensor_assign(t, bytes), CJ_ERR_TYPE);
    assert_string_equal(cj_message(cj), "assign: f64 cannot take u8");
    cj_tensor *other = cj_tensor_new(cj, CJ_F64, 2, SHAPE(2, 2)),
              *same = cj_tensor_new(cj, CJ_F64, 1, SHAPE(4));
    assert_int_equal(cj_tensor_assign(t, other), CJ_ERR_SHAPE);
    assert_false(cj_tensor_equal(t, same));
    assert_int_equal(cj_tensor_assign(same, t), CJ_OK);
    assert_true(cj_tensor_equal(t, same));
    assert_false(cj_tensor_equal(t, other));
    cj_tensor *all[] = {t, bytes, other, same};
    for (int i = 0; i < 4; i++) cj_tensor_free(all[i]);
}

static void closeness_is_numpys(void **state)
{
    (void)state;
    int64_t first = 5;
    cj_tensor *a = cj_tensor_from(cj, CJ_F64, 1, SHAPE(4), (double[]){1, NAN, INFINITY, 2});
    cj_tensor *b = cj_tensor_from(cj, CJ_F32, 1, SHAPE(4), (float[]){1, NAN, INFINITY, 2.5f});
    cj_tensor *c = cj_tensor_new(cj, CJ_F64, 2, SHAPE(2, 2));
    assert_false(cj_tensor_close(a, b, 0.1, 0, &first));
    assert_int_equal(first, 3);
    assert_true(cj_tensor_close(a, b, 0.2, 0, &first));
    assert_true(cj_tensor_close(a, b, 0, 0.5, NULL));
    assert_false(cj_tensor_close(a, c, 1, 1, &first));
    assert_int_equal(first, -1);
    cj_tensor_free(a), cj_tensor_free(b), cj_tensor_free(c);
}

static int releases;

static void count_release(void *user, void *data, size_t size)
{
    (void)user, (void)data, (void)size;
    releases++;
}

static void read_only_buffers_are_copied_on_write(void **state)
{
    (void)state;
    static const _Alignas(8) float pages[] = {1, 2, 3, 4};
    cj__buffer *buffer = cj__buffer_wrap(cj, (void *)pages, sizeof(pages), true, count_release,
                                         NULL);
    cj_tensor *t = cj__tensor_view(cj, buffer, 4, CJ_F32, 1, SHAPE(3));
    assert_null(cj__tensor_view(cj, buffer, 4, CJ_F32, 1, SHAPE(4)));
    assert_null(cj__tensor_view(cj, buffer, 2, CJ_F32, 1, SHAPE(1)));
    assert_null(cj__tensor_view(cj, buffer, 17, CJ_F32, 1, SHAPE(0)));
    cj__buffer_unref(buffer);
    assert_ptr_equal(cj_tensor_map_read(t), pages + 1);
    assert_int_equal(releases, 0);
    float *own = cj_tensor_map(t, CJ_MAP_READ_WRITE);
    assert_int_equal(releases, 1);
    assert_true(own != pages + 1 && own[0] == 2 && own[2] == 4);
    own[0] = 9;
    assert_ptr_equal(cj_tensor_map_read(t), own);
    assert_true(pages[1] == 2);
    cj_tensor_free(t);
}

static void lists_keep_order_and_names(void **state)
{
    (void)state;
    cj_tensors *list = cj_tensors_new(cj);
    char name[32];
    assert_null(cj_tensors_find(list, "x"));
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "layer.%d", i);
        assert_int_equal(cj_tensors_add(list, name, cj_tensor_scalar(cj, CJ_I32, i)), CJ_OK);
    }
    assert_int_equal(cj_tensors_count(list), 500);
    for (int i = 0; i < 500; i++) {
        const char *at;
        snprintf(name, sizeof(name), "layer.%d", i);
        assert_ptr_equal(cj_tensors_at(list, (size_t)i, &at), cj_tensors_find(list, name));
        assert_string_equal(at, name);
        assert_int_equal(*(const int *)cj_tensor_map_read(cj_tensors_find(list, name)), i);
    }
    assert_null(cj_tensors_at(list, 500, NULL));
    assert_null(cj_tensors_find(list, "layer.500"));
    assert_int_equal(cj_tensors_add(list, "layer.7", cj_tensor_scalar(cj, CJ_I32, 0)),
                     CJ_ERR_EXISTS);
    assert_string_equal(cj_message(cj), "tensors: 'layer.7' is in the list already");
    assert_int_equal(cj_tensors_add(list, "bad", cj_tensor_new(cj, CJ_F32, 1, SHAPE(-1))),
                     CJ_ERR_SHAPE);
    assert_int_equal(cj_tensors_set_metadata(list, "a", "1"), CJ_OK);
    assert_int_equal(cj_tensors_set_metadata(list, "b", "2"), CJ_OK);
    assert_int_equal(cj_tensors_set_metadata(list, "a", "3"), CJ_OK);
    assert_int_equal(cj_tensors_metadata_count(list), 2);
    assert_string_equal(cj_tensors_metadata(list, "a"), "3");
    assert_null(cj_tensors_metadata(list, "c"));
    const char *value;
    assert_string_equal(cj_tensors_metadata_at(list, 1, &value), "b");
    assert_string_equal(value, "2");
    assert_null(cj_tensors_metadata_at(list, 2, &value));
    cj_tensors_free(list);
    cj_tensors_free(NULL);
}

static cj_status scenario(cj_context *c, void *arg)
{
    (void)arg;
    cj_tensors *list = cj_tensors_new(c);
    cj_status failed = list ? CJ_OK : cj_last_status(c);
    for (int i = 0; i < 20 && !failed; i++) {
        char name[2] = {(char)('a' + i), 0};
        failed = cj_tensors_add(list, name, cj_tensor_new(c, CJ_F32, 2, SHAPE(i, 3)));
        if (!failed) failed = cj_tensors_set_metadata(list, name, "value");
    }
    if (!failed) {
        cj_tensor *t = cj_tensors_find(list, "f"), *flat = cj_tensor_reshape(t, 1, SHAPE(15));
        cj_tensor *cast = flat ? cj_tensor_cast(flat, CJ_F16) : NULL,
                  *copy = cast ? cj_tensor_copy(cast) : NULL;
        cj_tensor *rows = copy ? cj_tensor_rows(copy, 2, 5) : NULL;
        if (!rows) failed = cj_last_status(c);
        cj_tensor_free(flat), cj_tensor_free(cast), cj_tensor_free(copy), cj_tensor_free(rows);
    }
    cj_tensors_free(list);
    return failed;
}

static void allocation_failures(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(new_tensors_are_zero_and_aligned, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_arguments_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(views_share_the_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(copies_and_casts, setup, teardown),
        cmocka_unit_test_setup_teardown(closeness_is_numpys, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only_buffers_are_copied_on_write, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_keep_order_and_names, setup, teardown),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
