/* test_safetensors.c: strictness, checksums (every bit), maps without copies, faults. That others
 * can read our files is in test_npz.c. */
#include "format/safetensors.h"
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

/* A file with this header and `data` bytes 0, 1, 2 ... */
static size_t make(unsigned char *out, const char *header, size_t data)
{
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++) out[i] = (unsigned char)((unsigned long long)length >> 8 * i);
    memcpy(out + 8, header, length);
    for (size_t i = 0; i < data; i++) out[8 + length + i] = (unsigned char)i;
    return 8 + length + data;
}

static void headers_are_strict(void **state)
{
    const struct { const char *text; size_t data; const char *message;
    } cases[] = {
        {"{}", 0, NULL},
        {"{}      ", 0, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NULL},
        {"{\"b\":{\"data_offsets\":[4,8],\"dtype\":\"I16\",\"shape\":[2,1]},\"a\":{\"dtype\":"
         "\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
         8, NULL},
        {"{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"U8\",\"shape\":[0,7],\"data_offsets\":"
         "[0,0]}}",
         0, NULL},
        {"{\"__metadata__\":{\"crc32\":\"x\"}}", 0, NULL},
        {"", 0, "the header does not begin with '{'"},
        {" {}", 0, "the header does not begin with '{'"},
        {"[]", 0, "the header does not begin with '{'"},
        {"{}x", 0, "byte 2: expected the end, found 'x'"},
        {"{}", 1, "the tensors have 0 bytes, and the file has room for 1"},
        {"{\"a\":1}", 0, "tensor 'a' has not exactly dtype, shape and data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "tensor 'a' has not exactly"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":0}}", 8,
         "tensor 'a' has not exactly"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\","
         "\"shape\":[2],\"data_offsets\":[0,8]}}",
         8, "the key \"a\" appears twice"},
        {"{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3,
         "tensor 'a': dtype 'F6_E2M3' is not supported"},
        {"{\"a\":{\"dtype\":\"\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1,
         "tensor 'a': dtype '' is not supported"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
         "shape (3,) of f4e2m1 does not fill its 2 bytes"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
         "shape (4,) of f4e2m1 does not fill its 4 bytes"},
        {"{\"a\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "dtype is no string"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":2,\"data_offsets\":[0,2]}}", 2, "shape is no list"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2.0],\"data_offsets\":[0,2]}}", 2,
         "dimension 0 is no size"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2,-1],\"data_offsets\":[0,2]}}", 2,
         "dimension 1 is no size"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
         "9 dimensions, expected at most 8"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2,3]}}", 2,
         "data_offsets are not"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":{}}}", 2, "data_offsets are not"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2,
         "data_offsets are not"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,3]}}", 2,
         "ends at byte 3 of the data, which has 2"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
         "shape (3,) of u8 does not fill its 2 bytes"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0,
         "does not fill its 0 bytes"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3,
         "tensor 'a' begins at byte 1 of the data, expected 0"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\","
         "\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "tensor 'b' begins at byte 1 of the data, expected 2"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\","
         "\"shape\":[1],\"data_offsets\":[3,4]}}",
         4, "tensor 'b' begins at byte 3 of the data, expected 2"},
        {"{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3,
         "tensor 'a': element 2 is 2, no bool"},
        {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "a tensor's name holds a NUL"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ 'k' is no string"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is no object"},
        {"{\"__metadata__\":{\"k\":\"\\u0000\"}}", 0, "__metadata__ 'k' holds a NUL"},
        {"{\"__metadata__\":{\"cajal.checksum\":\"crc32\"}}", 0,
         "the header is damaged: its checksums are not whole"},
        {"{\"__metadata__\":{\"crc32\":\"00000000\"}}", 0,
         "the header is damaged: checksums, but no 'cajal.checksum'"},
        {"{\"__metadata__\":{\"cajal.checksum\":\"crc32\",\"crc32\":\"00000000\"}}", 0,
         "the header is damaged: checksum "},
        {"{\"__metadata__\":{\"cajal.checksum\":\"crc32\",\"crc32\":\"\\u003000000000\"}}", 0,
         "its checksums are not whole"},
        {"{\"__metadata__\":{\"cajal.checksum\":\"crc32\",\"crc32\":\"0000000A\"}}", 0,
         "its checksums are not whole"},
    };
    unsigned char file[1024];
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        size_t size = make(file, cases[i].text, cases[i].data);
        cj_status failed = read_clean(cj, read_safetensors, file, size);
        if (!cases[i].message && failed) fail_msg("%s: %s", cases[i].text, cj_message(cj));
        if (cases[i].message && (!failed || !strstr(cj_message(cj), cases[i].message)))
            fail_msg("%s: message '%s', expected '%s'", cases[i].text, cj_message(cj),
                     cases[i].message);
    }
    assert_int_equal(read_clean(cj, read_safetensors, "1234567", 7), CJ_ERR_FORMAT);
}

static void bombs_are_refused_cheaply(void **state)
{
    unsigned char file[512];
    (void)state;
    refuse_bomb(read_safetensors, "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    refuse_bomb(read_safetensors, "\x00\xe1\xf5\x05\0\0\0\0{}", 10);
    refuse_bomb(read_safetensors, file,
                make(file,
                     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1099511627776],\"data_offsets\":[0,"
                     "1099511627776]}}",
                     9));
    size_t size = 30000; /* nothing but values, and nothing but brackets */
    unsigned char *large = malloc(size + 8);
    memset(large + 8, '[', size);
    memcpy(large, "\x30\x75\0\0\0\0\0\0{\"a\":", 13);
    refuse_bomb(read_safetensors, large, size + 8);
    for (size_t i = 14; i < size + 8; i++) large[i] = i % 2 ? ',' : '0';
    refuse_bomb(read_safetensors, large, size + 8);
    free(large);
}

/* What the format lacks is refused before anything is written. */
static void dtypes_it_lacks_are_refused(void **state)
{
    (void)state;
    const struct { cj_dtype dtype; int64_t n; const char *message; } cases[] = {
        {CJ_I4, 4, "safetensors: tensor 'w': the format has no i4"},
        {CJ_U2, 4, "safetensors: tensor 'w': the format has no u2"},
        {CJ_F4E2M1, 3, "safetensors: tensor 'w': 3 elements of f4e2m1 do not fill whole bytes"},
    };
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_tensors *list = cj_tensors_new(cj);
        cj_tensors_add(list, "w", cj_tensor_new(cj, cases[i].dtype, 1, &cases[i].n));
        assert_int_equal(cj_safetensors_save(cj, CJ_BUILD_DIR "/lacks.safetensors", list),
                         CJ_ERR_UNSUPPORTED);
        assert_string_equal(cj_message(cj), cases[i].message);
        cj_tensors_free(list);
    }
}

static unsigned char *our_file(size_t *size)
{
    cj_tensors *list = sample_list(cj);
    assert_int_equal(cj_tensors_set_metadata(list, "step", "17"), CJ_OK);
    assert_int_equal(cj_safetensors_save(cj, CJ_BUILD_DIR "/test.safetensors", list), CJ_OK);
    cj_tensors_free(list);
    return golden_bytes(CJ_BUILD_DIR "/test.safetensors", size);
}

static void our_files_come_back(void **state)
{
    size_t size;
    cj_tensors *list = sample_list(cj), *back;
    (void)state;
    free(our_file(&size));
    if (cj_safetensors_load(cj, CJ_BUILD_DIR "/test.safetensors", &back))
        fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_tensors_count(back), cj_tensors_count(list));
    for (size_t i = 0; i < cj_tensors_count(list); i++) {
        const char *name;
        const cj_tensor *t = cj_tensors_at(list, i, &name);
        assert_true(cj_tensor_equal(t, cj_tensors_find(back, name)));
    }
    assert_int_equal(cj_tensors_metadata_count(back), 1);
    assert_string_equal(cj_tensors_metadata(back, "step"), "17");
    /* The same list gives the same bytes, so does what was loaded. */
    size_t again_size;
    unsigned char *once = golden_bytes(CJ_BUILD_DIR "/test.safetensors", &size);
    assert_int_equal(cj_safetensors_save(cj, CJ_BUILD_DIR "/test.safetensors", back), CJ_OK);
    unsigned char *again = golden_bytes(CJ_BUILD_DIR "/test.safetensors", &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(once, again, size);
    free(once);
    free(again);
    cj_tensors_free(back);
    cj_tensors_free(list);
}

static void every_flipped_bit_is_noticed(void **state)
{
    size_t size;
    (void)state;
    unsigned char *bytes = our_file(&size);
    assert_int_equal(read_clean(cj, read_safetensors, bytes, size), CJ_OK);
    assert_int_equal(flip_every_bit(cj, read_safetensors, bytes, size), 0);
    refuse_truncations(cj, read_safetensors, bytes, size);
    size_t data = 8 + (bytes[0] | (size_t)bytes[1] << 8);
    bytes[data + 50] ^= 1; /* 48 bytes of f64, then i64 */
    assert_int_equal(read_clean(cj, read_safetensors, bytes, size), CJ_ERR_FORMAT);
    assert_non_null(strstr(cj_message(cj), "safetensors: tensor 'i64' is damaged: checksum "));
    free(bytes);
}

/* Python's zlib computes the same checksums (tools/golden/fuzz_arrays.py). */
static void checksums_are_as_documented(void **state)
{
    cj_tensors *list;
    (void)state;
    if (cj_safetensors_load(cj, CJ_SOURCE_DIR "/fuzz/corpus/safetensors/checked", &list))
        fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_tensors_count(list), 2);
    assert_int_equal(cj_tensors_metadata_count(list), 1);
    assert_string_equal(cj_tensors_metadata(list, "k"), "v");
    cj_tensors_free(list);
}

/* Large enough to be mapped: loading copies nothing, writing changes neither file nor neighbour. */
static void loading_maps_the_file(void **state)
{
    cj_tensors *list = cj_tensors_new(cj), *back;
    (void)state;
    assert_int_equal(cj_tensors_add(list, "odd", sample_tensor(cj, CJ_U8, 1, SHAPE(3))), CJ_OK);
    assert_int_equal(cj_tensors_add(list, "big", sample_tensor(cj, CJ_F32, 2, SHAPE(1000, 500))),
                     CJ_OK);
    assert_int_equal(cj_safetensors_save(cj, CJ_BUILD_DIR "/test_map.safetensors", list), CJ_OK);
    int64_t before = cj_memory_used(cj);
    assert_int_equal(cj_safetensors_load(cj, CJ_BUILD_DIR "/test_map.safetensors", &back), CJ_OK);
    assert_true(cj_memory_used(cj) - before < 10000);
    cj_tensor *big = cj_tensors_find(back, "big"), *view = cj_tensor_rows(big, 1, 2);
    assert_true(cj_tensor_equal(big, cj_tensors_find(list, "big")));
    float *own = cj_tensor_map(big, CJ_MAP_READ_WRITE);
    assert_non_null(own);
    own[500] = 12345;
    assert_true(((const float *)cj_tensor_map_read(view))[0] == 497.5f);
    cj_tensors_free(back);
    assert_true(((const float *)cj_tensor_map_read(view))[1] ==
                498.5f); /* the map lives as long as a view */
    cj_tensor_free(view);
    assert_int_equal(cj_memory_used(cj), before);
    cj_tensors_free(list);
    remove(CJ_BUILD_DIR "/test_map.safetensors");
}

static void names_that_cannot_be_saved(void **state)
{
    (void)state;
    const struct { const char *name, *key, *value, *message; } cases[] = {
        {"__metadata__", NULL, NULL, "a tensor may not be named '__metadata__'"},
        {"\xff", NULL, NULL, "a tensor may not be named"},
        {"a", "crc32", "x", "metadata 'crc32' is a key the file needs for itself"},
        {"a", "k", "\xff", "metadata 'k' is no UTF-8"},
    };
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_tensors *list = cj_tensors_new(cj);
        assert_int_equal(cj_tensors_add(list, cases[i].name, cj_tensor_scalar(cj, CJ_F32, 1)),
                         CJ_OK);
        if (cases[i].key)
            assert_int_equal(cj_tensors_set_metadata(list, cases[i].key, cases[i].value), CJ_OK);
        assert_int_equal(cj_safetensors_save(cj, CJ_BUILD_DIR "/test_none.safetensors", list),
                         CJ_ERR_ARGUMENT);
        if (!strstr(cj_message(cj), cases[i].message)) fail_msg("%s", cj_message(cj));
        cj_tensors_free(list);
    }
}

static cj_status save_and_load(cj_context *c, void *arg)
{
    (void)arg;
    cj_tensors *list = sample_list(c), *back = NULL;
    if (!list) return cj_last_status(c);
    cj_status failed = cj_tensors_set_metadata(list, "step", "17");
    if (!failed) failed = cj_safetensors_save(c, CJ_BUILD_DIR "/test_faults.safetensors", list);
    if (!failed) failed = cj_safetensors_load(c, CJ_BUILD_DIR "/test_faults.safetensors", &back);
    cj_tensors_free(list);
    cj_tensors_free(back);
    return failed;
}

/* After any fault the file is whole: the one before or the one after. */
static void still_whole(void *arg, cj_status status)
{
    cj_context *fresh = cj_context_new(NULL);
    cj_tensors *back;
    (void)arg, (void)status;
    cj_status failed = cj_safetensors_load(fresh, CJ_BUILD_DIR "/test_faults.safetensors", &back);
    if (failed && failed != CJ_ERR_NOT_FOUND) fail_msg("%s", cj_message(fresh));
    cj_tensors_free(back);
    cj_context_free(fresh);
}

static void every_fault(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(save_and_load, NULL, NULL, 1) > 100);
    assert_true(faults_sweep_files(save_and_load, NULL, still_whole) > 20);
    remove(CJ_BUILD_DIR "/test_faults.safetensors");
    remove(CJ_BUILD_DIR "/test.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dtypes_it_lacks_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_are_strict, setup, teardown),
        cmocka_unit_test_setup_teardown(bombs_are_refused_cheaply, setup, teardown),
        cmocka_unit_test_setup_teardown(our_files_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(checksums_are_as_documented, setup, teardown),
        cmocka_unit_test_setup_teardown(loading_maps_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_cannot_be_saved, setup, teardown),
        cmocka_unit_test(every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
