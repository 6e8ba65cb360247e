/* test_npy.c: .npy files of numpy (tools/golden/npy.py), hostile ones, and ours read by numpy. */
#include "format_support.h"

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

static cj_tensor *load(const char *name)
{
    char path[512], file[128];
    cj_tensor *t;
    snprintf(file, sizeof(file), "format/%s", name);
    if (cj_npy_load(cj, golden_path(path, file), &t)) fail_msg("%s", cj_message(cj));
    return t;
}

static void reads_what_numpy_wrote(void **state)
{
    const char *forms[] = {"little", "big", "fortran"}; /* versions 1, 2 and 3 */
    (void)state;
    for (int d = CJ_F64; d <= CJ_BOOL; d++)
        for (int form = 0; form < 3 && d != CJ_BF16; form++) {
            char name[64];
            snprintf(name, sizeof(name), "%s-%s.npy", cj_dtype_info((cj_dtype)d)->numpy,
                     forms[form]);
            cj_tensor *t = load(name);
            assert_sample(cj, t, (cj_dtype)d, 2, SHAPE(2, 3));
            cj_tensor_free(t);
        }
    const struct { const char *name; cj_dtype dtype; int rank; const int64_t *shape;
    } others[] = {
        {"rank1.npy", CJ_I32, 1, SHAPE(5)},
        {"empty.npy", CJ_F32, 2, SHAPE(0, 4)},
        {"fortran4.npy", CJ_I32, 4, SHAPE(2, 3, 4, 5)},
        {"rank8.npy", CJ_U8, 8, SHAPE(1, 2, 1, 2, 1, 2, 1, 2)},
    };
    for (size_t i = 0; i < CJ__COUNT(others); i++) {
        cj_tensor *t = load(others[i].name);
        assert_sample(cj, t, others[i].dtype, others[i].rank, others[i].shape);
        cj_tensor_free(t);
    }
    cj_tensor *t = load("rank0.npy");
    assert_int_equal(cj_tensor_rank(t), 0);
    assert_true(*(const float *)cj_tensor_map_read(t) == 2.5f);
    cj_tensor_free(t);
}

/* Texts are rows of bytes, padded with zeros. */
static void texts_are_bytes(void **state)
{
    static const char *const names[] = {"bytes.npy", "bytes-fortran.npy"},
                             *const texts[] = {"red", "", "green", "blue", "re", "\xc3\xa4"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        cj_tensor *t = load(names[i]);
        assert_int_equal(cj_tensor_dtype(t), CJ_U8);
        assert_int_equal(cj_tensor_rank(t), 3);
        assert_memory_equal(cj_tensor_shape(t), ((int64_t[]){2, 3, 5}), 3 * sizeof(int64_t));
        const unsigned char *bytes = cj_tensor_map_read(t);
        for (int k = 0; k < 6; k++) {
            char expected[5] = {0};
            memcpy(expected, texts[k], strlen(texts[k]));
            assert_memory_equal(bytes + 5 * k, expected, 5);
        }
        cj_tensor_free(t);
    }
}

static void types_without_a_dtype_are_unsupported(void **state)
{
    const char *names[] = {"format/record.npy", "format/complex.npy"};
    char path[512];
    (void)state;
    for (int i = 0; i < 2; i++) {
        cj_tensor *t = (cj_tensor *)1;
        assert_int_equal(cj_npy_load(cj, golden_path(path, names[i]), &t), CJ_ERR_UNSUPPORTED);
        assert_null(t);
    }
    assert_non_null(
        strstr(cj_message(cj), "complex.npy: npy: element type '<c8' is not supported"));
}

/* A version 1 file with this header text and `size` zero bytes of data. */
static size_t make(unsigned char *out, const char *text, size_t size)
{
    size_t length = strlen(text);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (unsigned char)(length & 255);
    out[9] = (unsigned char)(length >> 8);
    memcpy(out + 10, text, length);
    memset(out + 10 + length, 0, size);
    return 10 + length + size;
}

static void headers_are_strict(void **state)
{
    const struct { const char *text; size_t size; const char *message;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 12, NULL},
        {"{'shape': (3L, 1L), 'fortran_order': True, 'descr': \"<f4\"}   \n", 12, NULL},
        {"{'descr':'|u1','fortran_order':False,'shape':()}", 1, NULL},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 16,
         "npy: shape (3,) of f32 does not fill the 16 bytes"},
        {"{'descr': '|S2', 'fortran_order': False, 'shape': (3,), }", 6, NULL},
        {"{'descr': '|S0', 'fortran_order': False, 'shape': (3,), }", 0, NULL},
        {"{'descr': '|S2', 'fortran_order': False, 'shape': (3,), }", 7,
         "npy: shape (3,) of u8 does not fill the 7 bytes"},
        {"{'descr': '|S', 'fortran_order': False, 'shape': (3,), }", 0,
         "npy: element type '|S' is not supported"},
        {"{'descr': '|Sx', 'fortran_order': False, 'shape': (3,), }", 0,
         "npy: element type '|Sx' has no length"},
        {"{'descr': '|S999999999999', 'fortran_order': False, 'shape': (3,), }", 0,
         "npy: element type '|S999999999999' has no length"},
        {"{'descr': '|S1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1), }", 1,
         "npy: texts of more than 7 dimensions are not supported"},
        {"{'descr': '<U1', 'fortran_order': False, 'shape': (3,), }", 12, NULL},
        {"{'descr': '>U0', 'fortran_order': False, 'shape': (3,), }", 0, NULL},
        {"{'descr': '<U1', 'fortran_order': False, 'shape': (3,), }", 13,
         "npy: shape (3,) of string does not fill the 13 bytes"},
        {"{'descr': '<Ux', 'fortran_order': False, 'shape': (3,), }", 0,
         "npy: element type '<Ux' has no length"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3), }", 12,
         "npy: header character 53 is ',' (44), expected a ','"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", 12,
         "is '-' (45), expected a dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3 3,), }", 12, "expected ',' or ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,3), }", 12,
         "npy: more than 8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 12,
         "npy: dimension 0 is larger than any array"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0,
         "npy: shape (4294967296, 4294967296) of f32 does not fill the 0 bytes"},
        {"{'descr': '<f4', 'fortran_order': False}", 12, "npy: the header has no shape"},
        {"{'fortran_order': False, 'shape': (3,)}", 12, "npy: the header has no descr"},
        {"{'descr': '<f4', 'shape': (3,)}", 12, "npy: the header has no fortran_order"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 12,
         "npy: header key 'descr' is there twice"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}", 12,
         "npy: header key 'x' is none of"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}", 12, "expected True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x", 12,
         "expected blanks up to its end"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)", 12,
         "npy: the header ends at character 54, expected ',' or '}'"},
        {"{'descr': '<f4', 'fortran_order': False 'shape': (3,)}", 12, "expected ',' or '}'"},
        {"{'descr': 'f4', 'fortran_order': False, 'shape': (3,)}", 12,
         "npy: element type 'f4' is not supported"},
        {"{'descr': '|f4', 'fortran_order': False, 'shape': (3,)}", 12,
         "npy: element type '|f4' is not supported"},
        {"{'descr': '', 'fortran_order': False, 'shape': (3,)}", 12,
         "npy: element type '' is not supported"},
        {"{'descr': 'a\\'b', 'fortran_order': False, 'shape': (3,)}", 12,
         "expected the end of a string"},
        {"{'descr' '<f4'}", 12, "expected ':'"},
        {"{descr: 1}", 12, "expected a string"},
        {"[]", 12, "expected '{'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 3}", 12, "expected '('"},
        {"", 12, "npy: the header ends at character 0, expected '{'"},
    };
    unsigned char file[256];
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        size_t size = make(file, cases[i].text, cases[i].size);
        cj_status failed = read_clean(cj, read_npy, file, size);
        if (!cases[i].message && failed) fail_msg("%s: %s", cases[i].text, cj_message(cj));
        if (cases[i].message && (!failed || !strstr(cj_message(cj), cases[i].message)))
            fail_msg("%s: message '%s', expected '%s'", cases[i].text, cj_message(cj),
                     cases[i].message);
    }
    assert_int_equal(read_npy(cj, "\x93NUMPY\4\0abcdef", 14), CJ_ERR_UNSUPPORTED);
    assert_string_equal(cj_message(cj),
                        "npy: format version 4.0 is not supported, expected 1.0 to 3.0");
    assert_int_equal(read_npy(cj, "\x93NUMPY\2\0ab", 10), CJ_ERR_FORMAT);
    assert_int_equal(read_npy(cj, "\x93NUMPY\2\0\xff\xff\xff\xff", 12), CJ_ERR_FORMAT);
}

static void bombs_are_refused_cheaply(void **state)
{
    unsigned char file[256];
    (void)state;
    const char *text[] = {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296,), }",
                          "{'descr': '<f8', 'fortran_order': True, 'shape': (65536, 65536), }",
        "{'descr':'<f8','fortran_order':True,'shape':(9223372036854775807,9223372036854775)}"};
    for (int i = 0; i < 3; i++) refuse_bomb(read_npy, file, make(file, text[i], 64));
    /* Empty, but with dimensions whose strides would overflow. */
    size_t size = make(
        file, "{'descr': '<f8', 'fortran_order': True, 'shape': (9223372036854775807, 9, 0), }", 0);
    assert_int_equal(read_clean(cj, read_npy, file, size), CJ_OK);
}

static void damage_never_crashes(void **state)
{
    const char *names[] = {"format/f4-little.npy", "format/i2-fortran.npy", "format/rank8.npy",
                           "format/bytes-fortran.npy"};
    char path[512];
    size_t size;
    (void)state;
    for (int i = 0; i < 4; i++) {
        unsigned char *bytes = golden_bytes(golden_path(path, names[i]), &size);
        refuse_truncations(cj, read_npy, bytes, size);
        assert_true(flip_every_bit(cj, read_npy, bytes, size) >
                    0); /* no checksum: data may change */
        free(bytes);
    }
}

static void files_that_are_none(void **state)
{
    cj_tensor *t;
    (void)state;
    assert_int_equal(cj_npy_load(cj, CJ_BUILD_DIR "/no-such.npy", &t), CJ_ERR_NOT_FOUND);
    assert_null(t);
    assert_int_not_equal(cj_npy_load(cj, CJ_BUILD_DIR, &t), CJ_OK);
    cj_tensor *one = cj_tensor_scalar(cj, CJ_F32, 1);
    assert_int_not_equal(cj_npy_save(cj, CJ_BUILD_DIR "/no-such-folder/x.npy", one), CJ_OK);
    cj_tensor_free(one);
}

static void our_files_come_back(void **state)
{
    (void)state;
    for (int d = CJ_F64; d < CJ_STRING; d++) {
        cj_tensor *t = sample_tensor(cj, (cj_dtype)d, 3, SHAPE(2, 1, 3)), *back;
        assert_int_equal(cj_npy_save(cj, CJ_BUILD_DIR "/test_npy.npy", t), CJ_OK);
        assert_int_equal(cj_npy_load(cj, CJ_BUILD_DIR "/test_npy.npy", &back), CJ_OK);
        const char *code = cj_dtype_info((cj_dtype)d)->numpy; /* what it travels as */
        assert_int_equal(cj_tensor_dtype(back), cj__dtype_from_numpy(code, 2));
        assert_memory_equal(cj_tensor_map_read(back), cj_tensor_map_read(t),
                            cj_tensor_size_bytes(t));
        cj_tensor_free(t);
        cj_tensor_free(back);
    }
    remove(CJ_BUILD_DIR "/test_npy.npy");
}

static cj_status save_and_load(cj_context *c, void *arg)
{
    (void)arg;
    cj_tensor *t = sample_tensor(c, CJ_F32, 2, SHAPE(4, 5)), *back = NULL;
    if (!t) return cj_last_status(c);
    cj_status failed = cj_npy_save(c, CJ_BUILD_DIR "/test_npy_faults.npy", t);
    if (!failed) failed = cj_npy_load(c, CJ_BUILD_DIR "/test_npy_faults.npy", &back);
    if (!failed) assert_true(cj_tensor_equal(t, back));
    cj_tensor_free(t);
    cj_tensor_free(back);
    return failed;
}

static void every_fault(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(save_and_load, NULL, NULL, 1) > 5);
    assert_true(faults_sweep_files(save_and_load, NULL, NULL) > 20);
    remove(CJ_BUILD_DIR "/test_npy_faults.npy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_numpy_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_are_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(types_without_a_dtype_are_unsupported, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_are_strict, setup, teardown),
        cmocka_unit_test_setup_teardown(bombs_are_refused_cheaply, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_never_crashes, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(our_files_come_back, setup, teardown),
        cmocka_unit_test(every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
