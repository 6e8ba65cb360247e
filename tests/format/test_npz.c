/* test_npz.c: archives of numpy, hostile ones, and ours in all three formats read by numpy
 * (tools/golden/check_numpy.py, skipped where there is no numpy). */
#define _POSIX_C_SOURCE 200809L
#include <sys/stat.h>
#include <sys/wait.h>

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

static unsigned char *golden(const char *name, size_t *size)
{
    char path[512];
    return golden_bytes(golden_path(path, name), size);
}

static void reads_what_numpy_wrote(void **state)
{
    const char *names[] = {"format/stored.npz", "format/deflated.npz"};
    (void)state;
#if defined(CJ_HAVE_ZLIB)
    const int count = 2;
#else
    const int count = 1;
#endif
    for (int i = 0; i < count; i++) {
        cj_tensors *list;
        char path[512];
        if (cj_npz_load(cj, golden_path(path, names[i]), &list)) fail_msg("%s", cj_message(cj));
        assert_sample(cj, cj_tensors_find(list, "a"), CJ_F32, 2, SHAPE(2, 3));
        assert_sample(cj, cj_tensors_find(list, "b"), CJ_I64, 1, SHAPE(4));
        assert_int_equal(cj_tensors_count(list), i == 0 ? 2 : 3);
        if (i) assert_int_equal(cj_tensor_count(cj_tensors_find(list, "zeros")), 10000);
        cj_tensors_free(list);
    }
}

static void without_zlib_deflated_is_unsupported(void **state)
{
    (void)state;
#if !defined(CJ_HAVE_ZLIB)
    size_t size;
    unsigned char *bytes = golden("format/deflated.npz", &size);
    assert_int_equal(read_clean(cj, read_npz, bytes, size), CJ_ERR_UNSUPPORTED);
    free(bytes);
#endif
}

static void damage_never_crashes(void **state)
{
    const char *names[] = {"format/stored.npz", "format/deflated.npz"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t size;
        unsigned char *bytes = golden(names[i], &size);
        refuse_truncations(cj, read_npz, bytes, size);
        size_t accepted = flip_every_bit(cj, read_npz, bytes, size);
        /* No checksum covers times, versions, attributes, and what a local header repeats: in files
         * as small as these that is a third of all bits. */
        print_message("%zu of %zu flipped bits change nothing\n", accepted, 8 * size);
        assert_true(accepted < 8 * size / 2);
        free(bytes);
    }
}

static void put(unsigned char *bytes, unsigned long long value, int width)
{
    for (int i = 0; i < width; i++) bytes[i] = (unsigned char)(value >> 8 * i & 255);
}

/* The central entry of the first member: deflated.npz has three members and no comment. */
static unsigned char *central(unsigned char *bytes, size_t size)
{
    size_t at = bytes[size - 6] | (size_t)bytes[size - 5] << 8 | (size_t)bytes[size - 4] << 16;
    return bytes + at;
}

static void lies_are_refused(void **state)
{
    const struct { int at; int width; unsigned long long value; const char *message; } lies[] = {
        {24, 4, 0xfffffff0, "which its"},
        {20, 4, 0xfffffff0, "outside of the archive"},
        {42, 4, 0xfffffff0, "outside of the archive"},
        {42, 4, 3, "outside of the archive"},
        {28, 2, 0xffff, "is damaged"},
        {8, 2, 1, "is encrypted"},
        {10, 2, 12, "packed by another method"},
        {10, 2, 0, "own header disagrees"},
        {16, 4, 12345, "is damaged: checksum"},
        {46, 1, 'x', "own header disagrees"},
        {46, 1, 0, "holds a NUL"},
        {24, 4, 0xffffffff, "is damaged"}, /* a zip64 size that is not there */
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(lies); i++) {
        size_t size;
        unsigned char *bytes = golden("format/deflated.npz", &size);
        put(central(bytes, size) + lies[i].at, lies[i].value, lies[i].width);
#if defined(CJ_HAVE_ZLIB)
        assert_int_not_equal(read_clean(cj, read_npz, bytes, size), CJ_OK);
        if (!strstr(cj_message(cj), lies[i].message))
            fail_msg("%s, expected %s", cj_message(cj), lies[i].message);
#endif
        refuse_bomb(read_npz, bytes, size);
        free(bytes);
    }
    size_t size;
    unsigned char *bytes = golden("format/stored.npz", &size), *first = central(bytes, size);
    unsigned char *second = first + 46 + first[28] + first[30];
    memcpy(second + 42, first + 42, 4); /* both members at one place */
    second[46] = first[46];
    assert_int_equal(read_clean(cj, read_npz, bytes, size), CJ_ERR_FORMAT);
    free(bytes);
    assert_int_equal(read_clean(cj, read_npz, "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22),
                     CJ_OK);
    assert_int_equal(read_clean(cj, read_npz, "", 0), CJ_ERR_FORMAT);
}

static void our_files_come_back(void **state)
{
    (void)state;
    for (int compress = 0; compress < 2; compress++) {
        cj_tensors *list = sample_list(cj), *back;
        cj_status failed = cj_npz_save(cj, CJ_BUILD_DIR "/test_npz.npz", list, compress);
#if !defined(CJ_HAVE_ZLIB)
        if (compress) {
            assert_int_equal(failed, CJ_ERR_UNSUPPORTED);
            cj_tensors_free(list);
            continue;
        }
#endif
        assert_int_equal(failed, CJ_OK);
        if (cj_npz_load(cj, CJ_BUILD_DIR "/test_npz.npz", &back)) fail_msg("%s", cj_message(cj));
        assert_int_equal(cj_tensors_count(back), cj_tensors_count(list));
        for (size_t i = 0; i < cj_tensors_count(list); i++) {
            const char *name;
            const cj_tensor *t = cj_tensors_at(list, i, &name), *b = cj_tensors_find(back, name);
            assert_non_null(b);
            assert_true(t->dtype != b->dtype || cj_tensor_equal(t, b));
        }
        cj_tensors_free(list);
        cj_tensors_free(back);
    }
    remove(CJ_BUILD_DIR "/test_npz.npz");
}

/* Member bytes over several zlib buffers, incompressible and highly compressible. */
static void large_members(void **state)
{
    (void)state;
#if defined(CJ_HAVE_ZLIB)
    cj_tensors *list = cj_tensors_new(cj), *back;
    cj_tensor *noise = cj_tensor_new(cj, CJ_U32, 1, SHAPE(200000));
    uint32_t word = 1, *v = cj_tensor_map(noise, CJ_MAP_WRITE);
    for (int i = 0; i < 200000; i++) v[i] = word = word * 1664525 + 1013904223;
    assert_int_equal(cj_tensors_add(list, "noise", noise), CJ_OK);
    assert_int_equal(cj_tensors_add(list, "zeros", cj_tensor_new(cj, CJ_F64, 1, SHAPE(300000))),
                     CJ_OK);
    assert_int_equal(cj_npz_save(cj, CJ_BUILD_DIR "/test_npz.npz", list, true), CJ_OK);
    if (cj_npz_load(cj, CJ_BUILD_DIR "/test_npz.npz", &back)) fail_msg("%s", cj_message(cj));
    for (int i = 0; i < 2; i++)
        assert_true(cj_tensor_equal(cj_tensors_at(list, (size_t)i, NULL),
                                    cj_tensors_at(back, (size_t)i, NULL)));
    cj_tensors_free(list);
    cj_tensors_free(back);
    remove(CJ_BUILD_DIR "/test_npz.npz");
#endif
}

static void numpy_reads_ours(void **state)
{
    char command[1024];
    (void)state;
    mkdir(CJ_BUILD_DIR "/numpy", 0777);
    cj_tensors *list = sample_list(cj);
    assert_int_equal(cj_tensors_set_metadata(list, "note", "\"\\ \n\xc3\xa9"), CJ_OK);
    assert_int_equal(cj_npz_save(cj, CJ_BUILD_DIR "/numpy/stored.npz", list, false), CJ_OK);
#if defined(CJ_HAVE_ZLIB)
    assert_int_equal(cj_npz_save(cj, CJ_BUILD_DIR "/numpy/deflated.npz", list, true), CJ_OK);
#endif
    assert_int_equal(cj_safetensors_save(cj, CJ_BUILD_DIR "/numpy/all.safetensors", list), CJ_OK);
    for (size_t i = 0; i < cj_tensors_count(list); i++) {
        const char *name;
        char path[512];
        const cj_tensor *t = cj_tensors_at(list, i, &name);
        snprintf(path, sizeof(path), "%s/numpy/%s.npy", CJ_BUILD_DIR, name);
        assert_int_equal(cj_npy_save(cj, path, t), CJ_OK);
    }
    cj_tensors_free(list);
    const char *pythons[] = {"python3", "/usr/bin/python3"}; /* the first with numpy */
    int result = 77;
    for (int i = 0; i < 2 && (result == 77 || result == 127); i++) {
        snprintf(command, sizeof(command), "%s '%s/tools/golden/check_numpy.py' '%s/numpy'",
                 pythons[i], CJ_SOURCE_DIR, CJ_BUILD_DIR);
        int status = system(command);
        result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    if (result == 77 || result == 127) print_message("skipped: no python3 with numpy\n");
    else assert_int_equal(result, 0);
}

static cj_status save_and_load(cj_context *c, void *arg)
{
    const bool *compress = arg;
    cj_tensors *list = sample_list(c), *back = NULL;
    if (!list) return cj_last_status(c);
    cj_status failed = cj_npz_save(c, CJ_BUILD_DIR "/test_npz_faults.npz", list, *compress);
    if (!failed) failed = cj_npz_load(c, CJ_BUILD_DIR "/test_npz_faults.npz", &back);
    cj_tensors_free(list);
    cj_tensors_free(back);
    return failed;
}

static void every_fault(void **state)
{
    bool compress[] = {false, true};
    (void)state;
    assert_true(faults_sweep_memory(save_and_load, &compress[0], NULL, 1) > 100);
#if defined(CJ_HAVE_ZLIB)
    assert_true(faults_sweep_memory(save_and_load, &compress[1], NULL, 1) > 100);
#endif
    assert_true(faults_sweep_files(save_and_load, &compress[0], NULL) > 20);
    remove(CJ_BUILD_DIR "/test_npz_faults.npz");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_numpy_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(without_zlib_deflated_is_unsupported, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_never_crashes, setup, teardown),
        cmocka_unit_test_setup_teardown(lies_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(our_files_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(large_members, setup, teardown),
        cmocka_unit_test_setup_teardown(numpy_reads_ours, setup, teardown),
        cmocka_unit_test(every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
