/* test_strings.c: tensors of texts in .npy and ONNX files, and what ONNX computes with them,
 * against numpy and Python (tools/golden/strings.py); regular expressions. */
#include <dirent.h>

#include "onnx_support.h"

#include <cajal/io.h>

#include "format/onnx/regex.h"
#include "golden.h"

/* Both byte orders and Fortran's; written again, the file is numpy's to the byte. */
static void npy_files_hold_texts(void **state)
{
    static const char *const names[] = {"little", "big", "fortran"};
    static const char *const texts[] = {"a", "", "\xc3\xa4"
                                                 "b",
                                        "\xe4\xb8\xad\xe6\x96\x87", "\xf0\x9f\x98\x80!", "abcdef"};
    char path[512], file[64];
    (void)state;
    for (int k = 0; k < 3; k++) {
        cj_context *cj = cj_context_new(NULL);
        cj_tensor *t, *same;
        snprintf(file, sizeof file, "format/text-%s.npy", names[k]);
        if (cj_npy_load(cj, golden_path(path, file), &t)) fail_msg("%s", cj_message(cj));
        assert_int_equal(t->dtype, CJ_STRING);
        for (int i = 0; i < 6; i++) assert_string_equal(cj_tensor_string(t, i), texts[i]);
        same = cj_tensor_from_strings(cj, 2, (int64_t[]){2, 3}, texts);
        assert_true(cj_tensor_equal(t, same)); /* equal texts have equal numbers */
        assert_null(cj_tensor_cast(t, CJ_F32));
        assert_string_equal(cj_message(cj), "cast: string cannot become f32");
        assert_int_equal(cj_npy_save(cj, CJ_BUILD_DIR "/test_strings.npy", t), CJ_OK);
        size_t a, b;
        unsigned char *ours = golden_bytes(CJ_BUILD_DIR "/test_strings.npy", &a),
                      *numpys = golden_bytes(golden_path(path, "format/text-little.npy"), &b);
        assert_int_equal(a, b);
        assert_memory_equal(ours, numpys, a);
        free(ours);
        free(numpys);
        cj_tensor_free(t);
        cj_tensor_free(same);
        cj_context_free(cj);
    }
    remove(CJ_BUILD_DIR "/test_strings.npy");
}

typedef struct given {
    cj_tensors *list;
    int n;
    bool none;
} given;

static cj_tensor *numbered(const given *from, const char *kind, int i)
{
    char name[16];
    snprintf(name, sizeof name, "%s%d", kind, i);
    return cj_tensors_find(from->list, name);
}

static cj_status give(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                      const cj_tensor **values)
{
    given *from = user;
    (void)g, (void)inputs;
    from->n = n;
    for (int i = 0; i < n; i++) values[i] = numbered(from, "in", i);
    return CJ_OK;
}

static void check(const char *name)
{
    char file[300], path[800];
    cj_context *cj = cj_context_new(NULL);
    given from = {0};
    cj_tensor *out[OUTPUTS_MAX] = {NULL};
    cj_feed feeds[4] = {{0}};
    snprintf(file, sizeof file, "format/onnx/%s.npz", name);
    if (cj_npz_load(cj, golden_path(path, file), &from.list)) fail_msg("%s", cj_message(cj));
    snprintf(file, sizeof file, "format/onnx/%s.onnx", name);
    cj_onnx_opts opts = {.struct_size = sizeof opts, .values = give, .user = &from};
    cj_graph *g = cj_onnx_load_graph_opts(cj, golden_path(path, file), &opts);
    if (!g) fail_msg("%s: %s", name, cj_message(cj));
    for (int i = 0; i < from.n; i++)
        feeds[i] = (cj_feed){cj_graph_input_at(g, i), numbered(&from, "in", i)};
    if (run_graph(cj, g, feeds, from.n, out)) fail_msg("%s: %s", name, cj_message(cj));
    for (int k = 0; k < cj_graph_output_count(g); k++) {
        const cj_tensor *expected = numbered(&from, "out", k);
        int64_t first = -1;
        if (out[k]->dtype == expected->dtype && cj_tensor_close(out[k], expected, 0, 0, &first))
            continue;
        fail_msg("%s: output %d, element %lld: '%s', expected '%s'", name, k, (long long)first,
                 first < 0 ? "" : cj_tensor_string(out[k], first),
                 first < 0 ? "" : cj_tensor_string(expected, first));
    }
    free_all(out, OUTPUTS_MAX);
    cj_tensors_free(from.list);
    cj_graph_free(g);
    cj_context_free(cj);
}

static void results_are_pythons(void **state)
{
    char path[800], name[256];
    int n = 0;
    (void)state;
    DIR *folder = opendir(golden_path(path, "format/onnx"));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *dot = strstr(entry->d_name, ".onnx");
        if (strncmp(entry->d_name, "text_", 5) || !dot || dot[5] || strstr(entry->d_name, "_bad_"))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
        check(name);
        n++;
    }
    closedir(folder);
    assert_int_equal(n, 24);
}

/* Without values texts are not computed with; wrong ones are named. */
static void what_makes_no_sense_is_named(void **state)
{
    static const struct { const char *name, *message; } cases[] = {
        {"concat", "(StringConcat): texts are computed with only where they are known"},
        {"bad_number", "(Cast): text 0 is 'x', expected a number"},
        {"bad_add", "add: does not compute with string"},
        {"bad_type", "(StringConcat): operand 1 is of f32, expected texts"},
        {"bad_shape", "(StringConcat): axis 0 has 2 and 3 texts"},
        {"bad_case", "(StringNormalizer): case_change_action 'TITLE' and texts of rank 1"},
        {"bad_rank", "(StringNormalizer): case_change_action 'NONE' and texts of rank 2"},
        {"bad_pattern", "(RegexFullMatch): pattern 'a(b', character 3: a group without its )"},
        {"bad_grams", "(TfIdfVectorizer): its pool, ngram_counts, ngram_indexes, weights"},
    };
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        char file[300], path[800];
        cj_context *cj = cj_context_new(NULL);
        given from = {.list = cj_tensors_new(cj)};
        cj_tensor *second =
            strcmp(cases[i].name, "bad_type") ? NULL : cj_tensor_new(cj, CJ_F32, 1, (int64_t[]){2});
        const char *const texts[] = {"x", "7", "y"};
        const bool column = !strcmp(cases[i].name, "bad_rank");
        cj_tensors_add(from.list, "in0",
                       cj_tensor_from_strings(cj, 1 + column, (int64_t[]){2, 1}, texts));
        if (!second)
            second = cj_tensor_from_strings(
                cj, 1, (int64_t[]){strcmp(cases[i].name, "bad_shape") ? 2 : 3}, texts);
        cj_tensors_add(from.list, "in1", second);
        snprintf(file, sizeof file, "format/onnx/text_%s.onnx", cases[i].name);
        cj_onnx_opts opts = {.struct_size = sizeof opts, .values = give, .user = &from};
        cj_graph *g = i ? cj_onnx_load_graph_opts(cj, golden_path(path, file), &opts)
                        : cj_onnx_load_graph(cj, golden_path(path, file));
        assert_null(g);
        if (!strstr(cj_message(cj), cases[i].message))
            fail_msg("found '%s', expected '%s'", cj_message(cj), cases[i].message);
        cj_tensors_free(from.list);
        cj_context_free(cj);
    }
}

/* \t, \n and \\ of the file's texts. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text; text++)
        if (*text != '\\') *to++ = *text;
        else *to++ = *++text == 't' ? '\t' : *text == 'n' ? '\n' : '\\';
    *to = 0;
}

static void patterns_match_as_pythons(void **state)
{
    char path[512];
    size_t size;
    int n = 0;
    (void)state;
    unsigned char *bytes = golden_bytes(golden_path(path, "format/regex.txt"), &size);
    char *all = malloc(size + 1);
    memcpy(all, bytes, size);
    all[size] = 0;
    cj_context *cj = cj_context_new(NULL);
    for (char *line = all, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        char *text = strchr(line, '\t') + 1, *answer = strrchr(line, '\0');
        *end = 0;
        text[-1] = 0;
        answer = strrchr(text, '\t');
        *answer++ = 0;
        unescape(text);
        cj__arena arena;
        const cj__regex *regex;
        bool found;
        cj__arena_init(&arena, cj);
        if (cj__regex_compile(&arena, line, &regex)) fail_msg("%s", cj_message(cj));
        assert_int_equal(cj__regex_matches(cj, regex, text, &found), CJ_OK);
        if (found != (*answer == '1')) fail_msg("'%s' on '%s': %d", line, text, found);
        cj__arena_release(&arena);
    }
    assert_true(n > 80);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    free(all);
    free(bytes);
}

static void wrong_patterns_are_refused(void **state)
{
    static const struct { const char *pattern; cj_status status; } cases[] = {
        {"*a", CJ_ERR_DATA},       {"a**", CJ_ERR_DATA},       {"(a", CJ_ERR_DATA},
        {"a)", CJ_ERR_DATA},       {"[a", CJ_ERR_DATA},        {"[z-a]", CJ_ERR_DATA},
        {"a{3,2}", CJ_ERR_DATA},   {"\\", CJ_ERR_DATA},        {"\\x4", CJ_ERR_DATA},
        {"a{1001}", CJ_ERR_LIMIT}, {"(?i)a", CJ_ERR_UNSUPPORTED}, {"(?=a)", CJ_ERR_UNSUPPORTED},
        {"\\pL", CJ_ERR_UNSUPPORTED}, {"\\1", CJ_ERR_UNSUPPORTED},
        {"((a{1000}){1000}){1000}", CJ_ERR_LIMIT}};
    cj_context *cj = cj_context_new(NULL);
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj__arena arena;
        const cj__regex *regex;
        cj__arena_init(&arena, cj);
        if (cj__regex_compile(&arena, cases[i].pattern, &regex) != cases[i].status)
            fail_msg("'%s': %s", cases[i].pattern, cj_message(cj));
        assert_null(regex);
        cj__arena_release(&arena);
    }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_files_hold_texts),         cmocka_unit_test(results_are_pythons),
        cmocka_unit_test(what_makes_no_sense_is_named), cmocka_unit_test(patterns_match_as_pythons),
        cmocka_unit_test(wrong_patterns_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
