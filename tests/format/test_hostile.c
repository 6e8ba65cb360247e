/* Arrays, archives, lists of tensors and models of Keras that mean harm (those of ONNX have
 * test_onnx_hostile.c). tools/golden/hostile_files.py makes them; what each is told stands in
 * tests/golden/format/hostile_files.txt, which CAJAL_UPDATE=1 writes anew.
 *
 * Every file is refused with at most 1 MiB of memory beyond its own size, every cut of it, too. The
 * only exception is stated: a deflated member whose size is honest is unpacked before it is looked
 * at, which is 1032 bytes for each byte at most. */
#include <dirent.h>

#include "format_support.h"

#include <cajal/io.h>
#include <cajal/nn.h>

#include "base/text.h"

enum { PEAK_MAX = 1 << 20 };

static bool ends(const char *name, const char *with)
{
    const size_t size = strlen(name), tail = strlen(with);
    return size > tail && !strcmp(name + size - tail, with);
}

static bool is_model(const char *name)
{
    return ends(name, ".h5") || ends(name, ".keras");
}

/* true when it was read. */
static bool load(cj_context *cj, const char *path)
{
    cj_tensor *t = NULL;
    cj_tensors *list = NULL;
    cj_model *m = NULL;
    if (is_model(path)) m = cj_load(cj, path);
    else if (ends(path, ".npy")) cj_npy_load(cj, path, &t);
    else if (ends(path, ".npz")) cj_npz_load(cj, path, &list);
    else cj_safetensors_load(cj, path, &list);
    const bool read = t || list || m;
    cj_tensor_free(t);
    cj_tensors_free(list);
    cj_model_free(m);
    assert_true(read || cj_message(cj)[0]);
    return read;
}

/* What it was told, without the folder; a byte that is no letter is shown as '?'. */
static void tell(cj__text *out, cj_context *cj, bool read)
{
    static const char folder[] = CJ_SOURCE_DIR "/tests/golden/format/hostile_files";
    cj__text_add(out, read ? "read" : cj_status_name(cj_last_status(cj)));
    if (!read) cj__text_add(out, ": ");
    for (const char *at = read ? "" : cj_message(cj); *at;) {
        if (!strncmp(at, folder, sizeof folder - 1)) {
            at += sizeof folder - 1;
            continue;
        }
        cj__text_char(out, (unsigned char)*at < 32 || (unsigned char)*at > 126 ? '?' : *at);
        at++;
    }
    cj__text_char(out, '\n');
}

static void every_file_is_told_its_fault(void **state)
{
    cj_context *texts = cj_context_new(NULL);
    cj__text text;
    char folder[512], path[1024];
    struct dirent **entries;
    int read = 0;
    (void)state;
    cj__text_init(&text, texts);
    int n = scandir(golden_path(folder, "format/hostile_files"), &entries, NULL, alphasort);
    assert_true(n > 130);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        size_t size;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (name[0] != '.') {
            cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
            free(golden_bytes(path, &size));
            const bool was_read = load(cj, path);
            const int64_t most = (int64_t)size * (strstr(name, "bomb") ? 1 + 2 * 1032 : 1) +
                                 PEAK_MAX;
            cj__text_format(&text, "%s: ", name);
            tell(&text, cj, was_read);
            read += was_read;
            if (cj_memory_peak(cj) > most)
                fail_msg("%s: %lld bytes", name, (long long)cj_memory_peak(cj));
            assert_int_equal(cj_memory_used(cj), 0);
            cj_context_free(cj);
        }
        free(entries[i]);
    }
    free(entries);
#if defined(CJ_HAVE_ZLIB) && !defined(CJ_CORE)
    assert_true(golden_text_same("format/hostile_files.txt", cj__text_string(&text), text.length));
#endif
    assert_in_range(read, 0, 4);
    cj__text_release(&text);
    cj_context_free(texts);
}

/* Each file cut at every byte of its first and last 300, where the structures are. */
static void cut_files(void **state)
{
    static const struct { const char *name, *file; } cases[] = {
        {"zip-member-beyond.npz", CJ_BUILD_DIR "/hostile_cut.npz"},
        {"zip-checksum-deflated.npz", CJ_BUILD_DIR "/hostile_cut.npz"},
        {"zip-zip64-counts.npz", CJ_BUILD_DIR "/hostile_cut.npz"},
        {"npy-text-code-point.npy", CJ_BUILD_DIR "/hostile_cut.npy"},
        {"safetensors-shape-other.safetensors", CJ_BUILD_DIR "/hostile_cut.safetensors"},
        {"keras-weights-text.keras", CJ_BUILD_DIR "/hostile_cut.keras"},
        {"h5-loops.h5", CJ_BUILD_DIR "/hostile_cut.h5"},
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        char path[512], name[128];
        size_t size;
        snprintf(name, sizeof name, "format/hostile_files/%s", cases[i].name);
        unsigned char *bytes = golden_bytes(golden_path(path, name), &size);
        for (size_t n = 0; n < size; n++) {
            if (n > 300 && n + 300 < size) continue;
            cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
            golden_write(cases[i].file, bytes, n);
            if (load(cj, cases[i].file)) fail_msg("%s, %zu bytes: read", cases[i].name, n);
            assert_true(cj_memory_peak(cj) < PEAK_MAX + (int64_t)size);
            assert_int_equal(cj_memory_used(cj), 0);
            cj_context_free(cj);
        }
        remove(cases[i].file);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_told_its_fault),
        cmocka_unit_test(cut_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
