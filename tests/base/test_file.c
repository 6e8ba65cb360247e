/* Files: what a save leaves when any operation fails, and what the messages say. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "support/faults.h"

static cj_context *cj;
static char folder[] = "/tmp/cajal-test-file-XXXXXX";
static char path[300];

static const char *in_folder(const char *name)
{
    static char full[300];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    return full;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void expect_file(const char *file_path, const char *bytes, size_t size)
{
    cj__file_bytes b;
    if (cj__file_load(cj, file_path, 0, &b)) fail_msg("%s", cj_message(cj));
    assert_int_equal(b.size, size);
    assert_memory_equal(b.data, bytes, size);
    cj__file_unload(&b);
}

static void expect_message(const char *part)
{
    if (!strstr(cj_message(cj), part)) fail_msg("'%s' does not say '%s'", cj_message(cj), part);
}

static void test_round_trip(void **state)
{
    (void)state;
    enum { BIG = 1 << 20 };
    char *big = malloc(BIG);
    for (int i = 0; i < BIG; i++) big[i] = (char)(i * 31 + i / 997);
    static const size_t sizes[] = {0, 1, 4095, BIG}; /* the last is mapped */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(cj__file_save(cj, in_folder("a"), big, sizes[i]), CJ_OK);
        expect_file(in_folder("a"), big, sizes[i]);
    }
    assert_int_equal(access(in_folder("a.tmp"), F_OK), -1);
    cj__writer w;
    assert_int_equal(cj__writer_begin(&w, cj, in_folder("b")), CJ_OK);
    for (int i = 0; i < 5; i++) cj__writer_write(&w, "piece", 5);
    assert_int_equal(cj__writer_commit(&w), CJ_OK);
    expect_file(in_folder("b"), "piecepiecepiecepiecepiece", 25);
    assert_int_equal(cj__writer_begin(&w, cj, in_folder("b")), CJ_OK);
    cj__writer_write(&w, "other", 5);
    cj__writer_abandon(&w);
    assert_int_equal(access(in_folder("b.tmp"), F_OK), -1);
    assert_int_equal(cj__file_append(cj, in_folder("b"), "end", 3), CJ_OK);
    expect_file(in_folder("b"), "piecepiecepiecepiecepieceend", 28);
    assert_int_equal(cj__file_append(cj, in_folder("new"), "x", 1), CJ_OK);
    assert_int_equal(cj__file_remove(cj, in_folder("new")), CJ_OK);
    assert_int_equal(cj__file_remove(cj, in_folder("new")), CJ_ERR_NOT_FOUND);
    free(big);
    assert_int_equal(cj_memory_used(cj), 0);
}

static void test_save_in_working_folder(void **state)
{
    (void)state;
    char before[1000];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(cj__file_save(cj, "plain", "p", 1), CJ_OK);
    expect_file("plain", "p", 1);
    assert_int_equal(chdir(before), 0);
}

static void test_refusals(void **state)
{
    (void)state;
    cj__file_bytes b;
    assert_int_equal(cj__file_load(cj, in_folder("missing"), 0, &b), CJ_ERR_NOT_FOUND);
    expect_message("missing': No such file");
    assert_int_equal(cj__file_load(cj, folder, 0, &b), CJ_ERR_IO);
    expect_message("it is a directory");
    assert_int_equal(cj__file_load(cj, "/dev/zero", 0, &b), CJ_ERR_IO);
    expect_message("device");
    put("ten", "0123456789");
    assert_int_equal(cj__file_load(cj, in_folder("ten"), 9, &b), CJ_ERR_LIMIT);
    expect_message("10 bytes, more than the 9 allowed");
    assert_int_equal(cj__file_load(cj, in_folder("ten"), 10, &b), CJ_OK);
    cj__file_unload(&b);
    assert_int_equal(cj__file_load(cj, "", 0, &b), CJ_ERR_ARGUMENT);
    assert_int_equal(cj__file_save(cj, folder, "x", 1), CJ_ERR_IO);
    expect_message("it is a directory");
    assert_int_equal(cj__file_save(cj, in_folder("no/such/file"), "x", 1), CJ_ERR_NOT_FOUND);
    expect_message("cannot write");
    assert_int_equal(cj__file_save(cj, "/dev/full/x", "x", 1), CJ_ERR_NOT_FOUND);
}

static void test_message_of_a_full_disk(void **state)
{
    (void)state;
    faults_files files;
    faults_files_init(&files);
    cj_context *c = cj_context_new(&(cj_config){.io = &files.io});
    files.how = FAULT_ERROR, files.error = ENOSPC;
    put("full", "old");
    for (int there = 1; there >= 0; there--) {
        files.calls = 0, files.fail_at = 3; /* info, open, write */
        assert_int_equal(cj__file_save(c, in_folder("full"), "new", 3), CJ_ERR_IO);
        char expected[400];
        snprintf(expected, sizeof expected, "cannot write '%s': No space left on device%s",
                 in_folder("full"), there ? " (old file kept)" : "");
        assert_string_equal(cj_message(c), expected);
        if (there) expect_file(in_folder("full"), "old", 3);
        remove(in_folder("full"));
    }
    cj_context_free(c);
}

/* ---- Every operation of a save fails in turn ------------------------------------------------ */

static cj_status save_scenario(cj_context *c, void *arg)
{
    (void)arg;
    cj__writer w;
    CJ__TRY(cj__writer_begin(&w, c, path));
    cj__writer_write(&w, "new ", 4);
    cj__writer_write(&w, "bytes", 5);
    return cj__writer_commit(&w);
}

static int64_t runs;

/* The old or the new bytes; the new ones after CJ_OK; then the old file again for the next run. */
static void after_save(void *arg, cj_status status)
{
    (void)arg;
    cj__file_bytes b;
    runs++;
    if (cj__file_load(cj, path, 0, &b)) fail_msg("the file is gone: %s", cj_message(cj));
    bool is_old = b.size == 3 && !memcmp(b.data, "old", 3),
         is_new = b.size == 9 && !memcmp(b.data, "new bytes", 9);
    if (!is_old && !is_new) fail_msg("torn: '%.*s'", (int)b.size, (const char *)b.data);
    if (!status && !is_new) fail_msg("a save said it was done, and the old file is there");
    cj__file_unload(&b);
    put("kept", "old");
}

static void test_save_faults(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("kept"));
    put("kept", "old");
    runs = 0;
    int64_t injected = faults_sweep_files(save_scenario, NULL, after_save);
    assert_true(injected > 100 && runs > 80);
    assert_true(faults_sweep_memory(save_scenario, NULL, NULL, 1) >= 5);
}

static cj_status load_scenario(cj_context *c, void *arg)
{
    (void)arg;
    static const char *const names[] = {"small", "large"};
    for (int i = 0; i < 2; i++) {
        cj__file_bytes b;
        CJ__TRY(cj__file_load(c, in_folder(names[i]), 0, &b));
        bool good = b.size == (i ? 300000 : 5);
        for (size_t k = 0; good && k < b.size; k++) good = b.data[k] == 's';
        cj__file_unload(&b);
        if (!good) fail_msg("'%s' was read wrongly, and no error came", names[i]);
    }
    return CJ_OK;
}

static void test_load_faults(void **state)
{
    (void)state;
    char *large = malloc(300001);
    memset(large, 's', 300000);
    large[300000] = 0;
    put("small", "sssss");
    put("large", large);
    free(large);
    assert_true(faults_sweep_files(load_scenario, NULL, NULL) > 50);
    assert_true(faults_sweep_memory(load_scenario, NULL, NULL, 1) >= 2);
}

static cj_status folder_scenario(cj_context *c, void *arg)
{
    (void)arg;
    char deep[300], file[400];
    snprintf(deep, sizeof deep, "%s", in_folder("deep//er/still/"));
    CJ__TRY(cj__file_mkdirs(c, deep));
    snprintf(file, sizeof file, "%sfile", deep);
    CJ__TRY(cj__file_append(c, file, "x", 1));
    CJ__TRY(cj__file_remove(c, file));
    return CJ_OK;
}

static void test_folder_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep_files(folder_scenario, NULL, NULL) > 50);
    assert_true(faults_sweep_memory(folder_scenario, NULL, NULL, 1) >= 2);
}

/* ---- Folders and names ---------------------------------------------------------------------- */

static int count_entry(void *arg, const char *name)
{
    int *count = arg;
    assert_true(strcmp(name, ".") && strcmp(name, ".."));
    ++*count;
    return *count == 100 ? CJ_ERR_DATA : 0;
}

static void test_folders(void **state)
{
    (void)state;
    cj_file_info info;
    assert_int_equal(cj__file_mkdir(cj, in_folder("one")), CJ_OK);
    assert_int_equal(cj__file_mkdir(cj, in_folder("one")), CJ_ERR_EXISTS);
    assert_int_equal(cj__file_mkdirs(cj, in_folder("one/two/three")), CJ_OK);
    assert_int_equal(cj__file_mkdirs(cj, in_folder("one/two/three")), CJ_OK);
    assert_int_equal(cj__file_mkdirs(cj, "/"), CJ_OK);
    put("one/file", "12");
    assert_int_equal(cj__file_mkdirs(cj, in_folder("one/file")), CJ_ERR_EXISTS);
    assert_int_equal(cj__file_info(cj, in_folder("one/file"), &info), CJ_OK);
    assert_true(info.kind == CJ_FILE_REGULAR && info.size_bytes == 2);
    assert_int_equal(cj__file_info(cj, in_folder("one/file/below"), &info), CJ_OK);
    assert_int_equal(info.kind, CJ_FILE_NONE);
    int count = 0;
    assert_int_equal(cj__file_list(cj, in_folder("one"), count_entry, &count), CJ_OK);
    assert_int_equal(count, 2);
    count = 99;
    assert_int_equal(cj__file_list(cj, in_folder("one"), count_entry, &count), CJ_ERR_DATA);
    assert_int_equal(cj__file_list(cj, in_folder("none"), count_entry, &count), CJ_ERR_NOT_FOUND);
    char to[300];
    snprintf(to, sizeof to, "%s", in_folder("one/moved"));
    assert_int_equal(cj__file_rename(cj, in_folder("one/file"), to), CJ_OK);
    assert_int_equal(cj__file_rename(cj, in_folder("one/file"), to), CJ_ERR_NOT_FOUND);
    expect_message("one/moved");
}

static void test_inside(void **state)
{
    (void)state;
    static const struct {
        const char *base, *name, *path;
    } good[] = {{"d", "x.bin", "d/x.bin"}, {"d/", "sub/x", "d/sub/x"}, {"", "x", "x"},
                {"/", "x", "/x"},          {"d", "..x", "d/..x"},      {"d", "x..", "d/x.."},
                {"d", "a/...", "d/a/..."}};
    char *out;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(cj__file_inside(cj, good[i].base, good[i].name, &out), CJ_OK);
        assert_string_equal(out, good[i].path);
        cj__free(cj, out, strlen(out) + 1);
    }
    static const char *const bad[] = {"",     "/etc/passwd", "..",   "../x", "a/../b",
                                      "a/..", "a\\b",        "a\nb", "..\\x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (cj__file_inside(cj, "d", bad[i], &out) != CJ_ERR_ARGUMENT)
            fail_msg("'%s' was accepted", bad[i]);
        assert_null(out);
    }
    assert_int_equal(cj__file_inside(cj, "d", NULL, &out), CJ_ERR_ARGUMENT);
    assert_int_equal(cj_memory_used(cj), 0);
}

static int set_up(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    return !cj || !mkdtemp(folder);
}

static int tear_down(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    cj_context_free(cj);
    return system(command) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_save_in_working_folder),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_message_of_a_full_disk),
        cmocka_unit_test(test_save_faults),   cmocka_unit_test(test_load_faults),
        cmocka_unit_test(test_folder_faults), cmocka_unit_test(test_folders),
        cmocka_unit_test(test_inside)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
