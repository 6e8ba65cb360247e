/* Lists of tensors in several files: read as numpy wrote them (tools/golden/shards.py), written and
 * read back; every way in which index and files disagree is told; every failure of memory and of
 * files leaves the old list, the new one, or no index.
 * ctest: timeout 300 (it waits for the disk) */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <unistd.h>

#include "format_support.h"

#include <cajal/io.h>

static char folder[] = CJ_BUILD_DIR "/shards-XXXXXX";

static const char *in_folder(char path[512], const char *name)
{
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static void empty_folder(void)
{
    char path[512];
    struct dirent *entry;
    DIR *d = opendir(folder);
    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.') unlink(in_folder(path, entry->d_name));
    if (d) closedir(d);
}

static void check_golden(const char *path)
{
    cj_context *cj = cj_context_new(NULL);
    cj_tensors *list;
    const char *name;
    if (cj_safetensors_load(cj, path, &list)) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_tensors_count(list), 3);
    const cj_tensor *w = cj_tensors_at(list, 0, &name), *n = cj_tensors_at(list, 1, NULL),
                    *b = cj_tensors_find(list, "layer.b");
    assert_string_equal(name, "layer.w");
    assert_string_equal(cj_tensors_metadata(list, "format"), "pt");
    assert_int_equal(w->rank, 2);
    assert_int_equal(w->shape[1], 4);
    for (int i = 0; i < 12; i++) assert_true(((float *)cj__tensor_data(w))[i] == (float)i / 4);
    for (int i = 0; i < 4; i++) assert_true(((double *)cj__tensor_data(b))[i] == -i);
    for (int i = 0; i < 5; i++) assert_true(((int64_t *)cj__tensor_data(n))[i] == 3 * i);
    cj_tensors_free(list);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
}

static void reads_an_index_and_a_folder(void **state)
{
    char path[512];
    (void)state;
    check_golden(golden_path(path, "format/shards/model.safetensors.index.json"));
    check_golden(golden_path(path, "format/shards"));
}

static const char one[] = "model-00001-of-00002.safetensors",
                  two[] = "model-00002-of-00002.safetensors";

static void copy_golden(const char *name)
{
    char from[512], to[512], full[512];
    size_t size;
    snprintf(full, sizeof full, "format/shards/%s", name);
    unsigned char *bytes = golden_bytes(golden_path(from, full), &size);
    golden_write(in_folder(to, name), bytes, size);
    free(bytes);
}

static void disagreement_is_told(void **state)
{
    static const struct {
        const char *index, *message;
        cj_status status;
    } wrong[] = {
        {"{}", "it has no weight_map", CJ_ERR_FORMAT},
        {"[]", "it has no weight_map", CJ_ERR_FORMAT},
        {"{\"weight_map\": {}}", "it has no weight_map", CJ_ERR_FORMAT},
        {"{\"weight_map\": 5}", "it has no weight_map", CJ_ERR_FORMAT},
        {"{\"metadata\": 5, \"weight_map\": {\"n\": \"model-00002-of-00002.safetensors\"}}",
         "metadata is no object", CJ_ERR_FORMAT},
        {"{\"weight_map\": {\"n\": 7}}", "tensor 'n' has no file's name", CJ_ERR_FORMAT},
        {"{\"weight_map\": {\"n\": \"a\\u0000b\"}}", "tensor 'n' has no file's name",
         CJ_ERR_FORMAT},
        {"{\"weight_map\": {\"n\": \"a\", \"n\": \"a\"}}", "n", CJ_ERR_FORMAT}, /* key twice */
        {"{\"weight_map\": {\"n\": \"../shards/model.safetensors\"}}",
         "the file name '../shards/model.safetensors' is refused: it holds '..'", CJ_ERR_ARGUMENT},
        {"{\"weight_map\": {\"n\": \"/etc/passwd\"}}",
         "the file name '/etc/passwd' is refused: it is absolute", CJ_ERR_ARGUMENT},
        {"{\"weight_map\": {\"n\": \"not_there.safetensors\"}}",
         "/not_there.safetensors': No such file or directory", CJ_ERR_NOT_FOUND},
        {"{\"weight_map\": {\"n\": \"model.safetensors.index.json\"}}",
         "model.safetensors.index.json: the header claims", CJ_ERR_FORMAT},
        {"{\"weight_map\": {\"n\": \"model-00002-of-00002.safetensors\", "
         "\"m\": \"model-00002-of-00002.safetensors\"}}",
         "'model-00002-of-00002.safetensors' has no tensor 'm'", CJ_ERR_DATA},
        {"{\"weight_map\": {\"layer.w\": \"model-00001-of-00002.safetensors\"}}",
         "'model-00001-of-00002.safetensors' has the tensor 'layer.b', which is not in the map",
         CJ_ERR_DATA},
        {"{\"weight_map\": {\"n\": \"model-00001-of-00002.safetensors\"}}",
         "'model-00001-of-00002.safetensors' has no tensor 'n'", CJ_ERR_DATA},
        {"{\"weight_map\": {\"layer.w\": \"model-00001-of-00002.safetensors\", "
         "\"layer.b\": \"model-00001-of-00002.safetensors\", "
         "\"n\": \"model-00002-of-00002.safetensors\"", "", CJ_ERR_FORMAT}, /* cut */
    };
    char path[512];
    (void)state;
    empty_folder();
    copy_golden(one);
    copy_golden(two);
    in_folder(path, "model.safetensors.index.json");
    for (size_t i = 0; i < CJ__COUNT(wrong); i++) {
        cj_context *cj = cj_context_new(NULL);
        cj_tensors *list;
        golden_write(path, wrong[i].index, strlen(wrong[i].index));
        assert_int_equal(cj_safetensors_load(cj, path, &list), wrong[i].status);
        assert_null(list);
        if (strncmp(cj_message(cj), path, strlen(path)) ||
            !strstr(cj_message(cj), wrong[i].message))
            fail_msg("%zu: %s", i, cj_message(cj));
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
}

static void assert_same(cj_context *cj, const char *path, const cj_tensors *expected)
{
    cj_tensors *list;
    if (cj_safetensors_load(cj, path, &list)) fail_msg("%s", cj_message(cj));
    assert_int_equal(cj_tensors_count(list), cj_tensors_count(expected));
    for (size_t i = 0; i < cj_tensors_count(list); i++) {
        const char *name;
        int64_t first;
        const cj_tensor *t = cj_tensors_at(list, i, &name);
        assert_true(cj_tensor_close(t, cj_tensors_find(expected, name), 0, 0, &first));
    }
    assert_string_equal(cj_tensors_metadata(list, "epoch"), "3");
    cj_tensors_free(list);
}

static cj_status save(cj_context *cj, const char *path, const cj_tensors *list, int64_t max)
{
    cj_safetensors_opts opts = {.struct_size = sizeof opts, .max_shard_bytes = max};
    return cj_safetensors_save_opts(cj, path, list, &opts);
}

static void written_shards_come_back(void **state)
{
    cj_context *cj = cj_context_new(NULL);
    char path[512], index[512], first[512];
    cj_tensors *list = sample_list(cj);
    (void)state;
    empty_folder();
    cj_tensors_set_metadata(list, "epoch", "3");
    in_folder(path, "model.safetensors");
    in_folder(index, "model.safetensors.index.json");
    for (int64_t max = 1; max <= 64; max *= 4) {
        assert_int_equal(save(cj, path, list, max), CJ_OK);
        assert_same(cj, index, list);
        assert_same(cj, folder, list);
    }
    /* All in one: the file of that name, and no index of an older save. */
    assert_int_equal(save(cj, path, list, 1 << 20), CJ_OK);
    assert_same(cj, path, list);
    assert_true(access(index, F_OK) != 0);
    assert_int_equal(save(cj, path, list, 0), CJ_OK);
    assert_int_equal(save(cj, path, list, -1), CJ_ERR_ARGUMENT);
    assert_non_null(strstr(cj_message(cj), "max_shard_bytes=-1, expected 1 or more"));
    assert_int_equal(save(cj, in_folder(first, "model.bin"), list, 8), CJ_ERR_ARGUMENT);
    assert_non_null(strstr(cj_message(cj), "a name ending in .safetensors is expected for shards"));
    cj_tensors_free(list);
    cj_context_free(cj);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static cj_tensors *list_from(cj_context *cj, float first)
{
    cj_tensors *list = cj_tensors_new(cj);
    cj_status failed = list ? cj_tensors_set_metadata(list, "epoch", "3") : CJ_ERR_MEMORY;
    for (int i = 0; i < 4 && !failed; i++) {
        const char name[] = {(char)('a' + i), 0};
        failed = cj_tensors_add(list, name, cj_tensor_scalar(cj, CJ_F32, first + (float)i));
    }
    if (!failed) return list;
    cj_tensors_free(list);
    return NULL;
}

/* The old list lies there when the new one is saved over it, and read. */
static cj_status save_over(cj_context *cj, void *arg)
{
    char path[512];
    cj_context *sound = cj_context_new(NULL);
    cj_tensors *old = list_from(sound, 0), *list = list_from(cj, 10), *again = NULL;
    (void)arg;
    empty_folder();
    in_folder(path, "model.safetensors");
    assert_int_equal(save(sound, path, old, 8), CJ_OK);
    cj_status failed = list ? save(cj, path, list, 8) : cj_last_status(cj);
    if (!failed) failed = cj_safetensors_load(cj, folder, &again);
    cj_tensors_free(old);
    cj_tensors_free(list);
    cj_tensors_free(again);
    cj_context_free(sound);
    return failed;
}

/* What lies in the folder: one of the two lists, or no index. */
static void no_mixture(void *arg, cj_status status)
{
    char index[512];
    (void)arg;
    in_folder(index, "model.safetensors.index.json");
    if (access(index, F_OK)) {
        assert_int_not_equal(status, CJ_OK);
        return;
    }
    cj_context *cj = cj_context_new(NULL);
    cj_tensors *list;
    if (cj_safetensors_load(cj, index, &list)) fail_msg("%s", cj_message(cj));
    float first = *(const float *)cj__tensor_data(cj_tensors_at(list, 0, NULL));
    cj_tensors *expected = list_from(cj, first);
    cj_tensors_free(list);
    assert_true(first == 10 || (status && first == 0));
    assert_same(cj, index, expected);
    cj_tensors_free(expected);
    cj_context_free(cj);
}

static void faults_leave_no_mixture(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(save_over, NULL, NULL, 1) > 100);
    assert_true(faults_sweep_files(save_over, NULL, no_mixture) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_an_index_and_a_folder),
        cmocka_unit_test(disagreement_is_told),
        cmocka_unit_test(written_shards_come_back),
        cmocka_unit_test(faults_leave_no_mixture),
    };
    if (!mkdtemp(folder)) return 2;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    empty_folder();
    rmdir(folder);
    return failed;
}
