/* test_dtype.c: rows, and conversions against numpy's (tools/golden/npy.py) and by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden.h"
#include "tensor/low.h"
#include "tensor/tensor.h"

static void rows_are_found_by_every_name(void **state)
{
    (void)state;
    for (int i = CJ_F64; i < CJ_DTYPE_COUNT; i++) {
        const cj_dtype_row *row = cj_dtype_info((cj_dtype)i);
        assert_int_equal(cj_dtype_find(row->name), i);
        assert_int_equal(cj__dtype_from_onnx(row->onnx), i);
        assert_int_equal(cj__dtype_from_safetensors(row->safetensors, strlen(row->safetensors)),
                         *row->safetensors ? i : CJ_DTYPE_NONE);
        cj_dtype carrier = i == CJ_STRING               ? CJ_DTYPE_NONE
                           : i == CJ_BF16                 ? CJ_U16
                           : i == CJ_I4 || i == CJ_I2   ? CJ_I8
                           : cj__is_low((cj_dtype)i)    ? CJ_U8
                                                        : (cj_dtype)i;
        assert_int_equal(cj__dtype_from_numpy(row->numpy, strlen(row->numpy)), carrier);
    }
    assert_int_equal(cj_dtype_find("float"), CJ_DTYPE_NONE);
    assert_int_equal(cj_dtype_find(NULL), CJ_DTYPE_NONE);
    assert_non_null(cj_dtype_info((cj_dtype)99));
    assert_int_equal(cj__dtype_from_safetensors("F32x", 3), CJ_F32);
}

static void floats_round_as_numpy(void **state)
{
    struct { double value; uint32_t single; uint16_t half, brain; } row;
    char path[512];
    size_t size;
    (void)state;
    unsigned char *bytes = golden_bytes(golden_path(path, "tensor/floats.bin"), &size);
    assert_int_equal(size % 16, 0);
    for (size_t i = 0; i < size / 16; i++) {
        uint32_t single[1];
        uint16_t half[1], brain[1];
        memcpy(&row, bytes + 16 * i, 16);
        cj_store_f64(CJ_F32, single, 0, row.value);
        cj_store_f64(CJ_F16, half, 0, row.value);
        cj_store_f64(CJ_BF16, brain, 0, cj_load_f64(CJ_F32, single, 0));
        if (single[0] != row.single || half[0] != row.half || brain[0] != row.brain)
            fail_msg("%.17g: f32 %08x (numpy %08x), f16 %04x (%04x), bf16 %04x (%04x)", row.value,
                     single[0], row.single, half[0], row.half, brain[0], row.brain);
    }
    free(bytes);
}

/* All 65536 halves survive the way to double and back, and are in order. */
static void small_floats_round_trip(void **state)
{
    (void)state;
    const cj_dtype types[] = {CJ_F16, CJ_BF16};
    for (int t = 0; t < 2; t++)
        for (unsigned i = 0; i < 65536; i++) {
            uint16_t in[1] = {(uint16_t)i}, out[1];
            double value = cj_load_f64(types[t], in, 0);
            cj_store_f64(types[t], out, 0, value);
            if (isnan(value)) assert_true(isnan(cj_load_f64(types[t], out, 0)));
            else assert_int_equal(out[0], i);
        }
    uint16_t one[1] = {0x3c00}, largest[1] = {0x7bff}, smallest[1] = {1}, brain[1] = {0x3fc0};
    assert_true(cj_load_f64(CJ_F16, one, 0) == 1);
    assert_true(cj_load_f64(CJ_F16, largest, 0) == 65504);
    assert_true(cj_load_f64(CJ_F16, smallest, 0) == 0x1p-24);
    assert_true(cj_load_f64(CJ_BF16, brain, 0) == 1.5);
}

static int64_t stored(cj_dtype dtype, double value)
{
    int64_t one[1] = {0};
    cj_store_f64(dtype, one, 0, value);
    return cj_load_i64(dtype, one, 0);
}

static int64_t stored_int(cj_dtype dtype, int64_t value)
{
    int64_t one[1] = {0};
    cj_store_i64(dtype, one, 0, value);
    return cj_load_i64(dtype, one, 0);
}

static void floats_saturate(void **state)
{
    (void)state;
    assert_int_equal(stored(CJ_I8, 127.9), 127);
    assert_int_equal(stored(CJ_I8, 128), 127);
    assert_int_equal(stored(CJ_I8, -1e300), -128);
    assert_int_equal(stored(CJ_I8, -2.9), -2);
    assert_int_equal(stored(CJ_U8, -1), 0);
    assert_int_equal(stored(CJ_U8, INFINITY), 255);
    assert_int_equal(stored(CJ_I32, NAN), 0);
    assert_int_equal(stored(CJ_U64, NAN), 0);
    assert_int_equal(stored(CJ_I64, 0x1p63), INT64_MAX);
    assert_int_equal(stored(CJ_I64, -0x1p63), INT64_MIN);
    assert_int_equal(stored(CJ_U64, 0x1p64), -1);
    assert_int_equal(stored(CJ_U32, 4294967295.5), UINT32_MAX);
    assert_int_equal(stored(CJ_BOOL, 0.25), 1);
    assert_int_equal(stored(CJ_BOOL, -0.0), 0);
    float huge[1] = {1e30f};
    assert_int_equal(cj_load_i64(CJ_F32, huge, 0), INT64_MAX);
    uint8_t odd[1] = {7};
    assert_true(cj_load_f64(CJ_BOOL, odd, 0) == 1);
}

static void integers_wrap(void **state)
{
    (void)state;
    assert_int_equal(stored_int(CJ_I8, 200), -56);
    assert_int_equal(stored_int(CJ_U8, -1), 255);
    assert_int_equal(stored_int(CJ_U16, 65536 + 7), 7);
    assert_int_equal(stored_int(CJ_I64, INT64_MIN), INT64_MIN);
    assert_int_equal(stored_int(CJ_BOOL, 256), 1);
}

/* 2^53 + 2^29 + 1 lies just above the middle of two floats: by way of a double it would fall on it.
 */
static void integers_become_floats_in_one_rounding(void **state)
{
    int64_t value[1] = {(INT64_C(1) << 54) + (INT64_C(1) << 30) + 1};
    uint64_t large[1] = {(UINT64_C(1) << 63) + (UINT64_C(1) << 39) + 1};
    float one[1];
    (void)state;
    cj__convert(CJ_F32, one, CJ_I64, value, 1);
    assert_true(one[0] == 0x1p54f + 0x1p31f);
    cj__convert(CJ_F32, one, CJ_U64, large, 1);
    assert_true(one[0] == 0x1p63f + 0x1p40f);
    uint16_t brain[1];
    int64_t tie[1] = {-((INT64_C(1) << 62) + (INT64_C(1) << 54) + 1)};
    cj__convert(CJ_BF16, brain, CJ_I64, tie, 1);
    assert_true(cj_load_f64(CJ_BF16, brain, 0) == -(0x1p62 + 0x1p55));
}

/* Arrays longer than a block, from every type to every type, agree with one element at a time. */
static void arrays_convert_as_elements(void **state)
{
    enum { N = 600 };
    static int64_t from[N], to[N], one[1];
    (void)state;
    for (int a = CJ_F64; a < CJ_DTYPE_COUNT; a++)
        for (int b = CJ_F64; b < CJ_DTYPE_COUNT; b++) {
            for (size_t i = 0; i < N; i++)
                cj_store_i64((cj_dtype)a, from, i, (int64_t)(i * i % 199) - 50);
            cj__convert((cj_dtype)b, to, (cj_dtype)a, from, N);
            for (size_t i = 0; i < N; i++) {
                cj_dtype_kind kind = cj_dtype_info((cj_dtype)a)->kind;
                bool real = kind == CJ_KIND_FLOAT || kind == CJ_KIND_LOW_FLOAT;
                if (real) cj_store_f64((cj_dtype)b, one, 0, cj_load_f64((cj_dtype)a, from, i));
                else if (a == CJ_U64 && (cj_dtype_info((cj_dtype)b)->kind == CJ_KIND_FLOAT ||
                                         cj_dtype_info((cj_dtype)b)->kind == CJ_KIND_LOW_FLOAT))
                    cj_store_f64((cj_dtype)b, one, 0, (double)((uint64_t *)from)[i]);
                else cj_store_i64((cj_dtype)b, one, 0, cj_load_i64((cj_dtype)a, from, i));
                double x = cj_load_f64((cj_dtype)b, to, i), y = cj_load_f64((cj_dtype)b, one, 0);
                if (x != y && !(isnan(x) && isnan(y)))
                    fail_msg("%s to %s, element %zu: %g, alone %g",
                             cj_dtype_info((cj_dtype)a)->name, cj_dtype_info((cj_dtype)b)->name, i,
                             x, y);
            }
        }
}

/* ---- Low dtypes ------------------------------------------------------------------------------ */

static const cj_dtype low_floats[] = {CJ_F8E4M3FN,   CJ_F8E4M3FNUZ, CJ_F8E5M2,
                                      CJ_F8E5M2FNUZ, CJ_F8E8M0,     CJ_F4E2M1};
static const cj_cast_mode modes[] = {CJ_CAST_UP,
                                     CJ_CAST_DOWN,
                                     CJ_CAST_NEAREST,
                                     CJ_CAST_OVERFLOW,
                                     CJ_CAST_OVERFLOW + CJ_CAST_DOWN,
                                     CJ_CAST_OVERFLOW + CJ_CAST_NEAREST};

/* tools/golden/low.py: every code, and numbers on, between and far beyond the codes. */
static void low_floats_are_as_defined(void **state)
{
    char path[512];
    size_t size;
    (void)state;
    unsigned char *bytes = golden_bytes(golden_path(path, "tensor/low.bin"), &size);
    const double *values = (const double *)bytes, *in = values + 6 * 256 + 1;
    const size_t n = (size_t)in[-1];
    const uint8_t *codes = (const uint8_t *)(in + n);
    assert_int_equal(size, 8 * (6 * 256 + 1 + n) + 36 * n);
    for (int t = 0; t < 6; t++) {
        const char *name = cj_dtype_info(low_floats[t])->name;
        for (unsigned code = 0; code < 256; code++, values++) {
            uint8_t one[1] = {(uint8_t)code}, back[1];
            if (low_floats[t] == CJ_F4E2M1 && code > 15) continue;
            double value = cj_load_f64(low_floats[t], one, 0);
            if (memcmp(&value, values, 8) && !(isnan(value) && isnan(*values)))
                fail_msg("%s: code %02x is %g, expected %g", name, code, value, *values);
            cj_store_f64(low_floats[t], back, 0, value);
            if (!isnan(value) && !isinf(value)) assert_int_equal(back[0], code);
        }
        for (int m = 0; m < 6; m++, codes += n)
            for (size_t i = 0; i < n; i++) {
                uint8_t code = cj__low_store(low_floats[t], in[i], modes[m]);
                if (code != codes[i])
                    fail_msg("%s, mode %d: %.17g is %02x, expected %02x", name, modes[m], in[i],
                             code, codes[i]);
            }
    }
    free(bytes);
}

static void low_integers_keep_their_low_bits(void **state)
{
    (void)state;
    for (int64_t v = -300; v < 300; v++) {
        int64_t four = (v % 16 + 16) % 16, two = (v % 4 + 4) % 4;
        assert_int_equal(stored_int(CJ_U4, v), four);
        assert_int_equal(stored_int(CJ_I4, v), four < 8 ? four : four - 16);
        assert_int_equal(stored_int(CJ_U2, v), two);
        assert_int_equal(stored_int(CJ_I2, v), two < 2 ? two : two - 4);
        assert_int_equal(stored(CJ_I4, (double)v + (v < 0 ? -0.5 : 0.5)), stored_int(CJ_I4, v));
    }
    assert_int_equal(stored(CJ_I4, NAN), 0);
    assert_int_equal(stored(CJ_U2, 2.99), 2);
    uint8_t dirty[1] = {0xf9}; /* bits above the element's own count for nothing */
    assert_int_equal(cj_load_i64(CJ_I4, dirty, 0), -7);
    assert_int_equal(cj_load_i64(CJ_U4, dirty, 0), 9);
}

/* 2^60 + 1 is above a power of two, which a double does not tell. */
static void integers_become_low_floats_in_one_rounding(void **state)
{
    int64_t value[1] = {(INT64_C(1) << 60) + 1};
    uint64_t large[1] = {(UINT64_C(1) << 63) + 1};
    uint8_t code[1];
    (void)state;
    cj__convert(CJ_F8E8M0, code, CJ_I64, value, 1);
    assert_int_equal(code[0], 127 + 61);
    cj__convert(CJ_F8E8M0, code, CJ_U64, large, 1);
    assert_int_equal(code[0], 127 + 64);
    cj__convert_as(CJ_F8E8M0, code, CJ_I64, value, 1, CJ_CAST_DOWN);
    assert_int_equal(code[0], 127 + 60);
    cj__convert(CJ_F8E4M3FN, code, CJ_I64, value, 1);
    assert_int_equal(code[0], 0x7e);
    cj__convert_as(CJ_F8E4M3FN, code, CJ_I64, value, 1, CJ_CAST_OVERFLOW);
    assert_int_equal(code[0], 0x7f);
}

/* Of every count, also where packed bytes are the end of the elements' own memory. */
static void elements_are_packed_and_unpacked(void **state)
{
    const cj_dtype dtypes[] = {CJ_I4, CJ_U4, CJ_F4E2M1, CJ_I2, CJ_U2};
    (void)state;
    for (int d = 0; d < 5; d++)
        for (size_t n = 0; n < 40; n++) {
            uint8_t in[40], packed[21], out[40];
            for (size_t i = 0; i < n; i++)
                in[i] = (uint8_t)cj__low_bits(dtypes[d], (int64_t)(i * 7 + n));
            size_t bytes = (n * (size_t)cj_dtype_info(dtypes[d])->packed + 7) / 8;
            packed[bytes] = 0xaa;
            cj__bits_pack(dtypes[d], packed, in, n);
            assert_int_equal(packed[bytes], 0xaa);
            memcpy(out + n - bytes, packed, bytes);
            cj__bits_unpack(dtypes[d], out, out + n - bytes, n);
            if (n) assert_memory_equal(out, in, n);
        }
    uint8_t three[] = {0xf9, 3, 0xff}, packed[2];
    cj__bits_pack(CJ_I4, packed, three, 3);
    assert_int_equal(packed[0], 0x39);
    assert_int_equal(packed[1], 0x0f);
}

static void tensors_change_their_dtype_and_keep_their_bits(void **state)
{
    cj_context *cj = cj_context_new(NULL);
    uint8_t bytes[3] = {0x38, 0xf9, 0x7e};
    (void)state;
    cj_tensor *t = cj_tensor_from(cj, CJ_U8, 1, (int64_t[]){3}, bytes);
    cj_tensor *f = cj_tensor_bits(t, CJ_F8E4M3FN), *i = cj_tensor_bits(t, CJ_I4);
    assert_true(cj_load_f64(CJ_F8E4M3FN, cj_tensor_map_read(f), 0) == 1);
    assert_true(cj_tensor_map_read(f) == cj_tensor_map_read(t));
    assert_int_equal(((const int8_t *)cj_tensor_map_read(i))[1], -7);
    assert_null(cj_tensor_bits(t, CJ_BF16));
    assert_string_equal(cj_message(cj), "bits: an element of u8 has 8 bits, one of bf16 16");
    cj_tensor_free(i);
    cj_tensor_free(f);
    cj_tensor_free(t);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_every_name), cmocka_unit_test(floats_round_as_numpy),
        cmocka_unit_test(small_floats_round_trip), cmocka_unit_test(floats_saturate),
        cmocka_unit_test(integers_wrap), cmocka_unit_test(integers_become_floats_in_one_rounding),
        cmocka_unit_test(arrays_convert_as_elements),
        cmocka_unit_test(low_floats_are_as_defined),
        cmocka_unit_test(low_integers_keep_their_low_bits),
        cmocka_unit_test(integers_become_low_floats_in_one_rounding),
        cmocka_unit_test(elements_are_packed_and_unpacked),
        cmocka_unit_test(tensors_change_their_dtype_and_keep_their_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
