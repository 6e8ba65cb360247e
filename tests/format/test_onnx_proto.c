/* The ONNX codec: every file of the corpus (and of Debian's libonnx-testdata) parses and is written
 * to a fixed point; hostile bytes of every kind are refused with a place and a reason, within a
 * memory bound.
 *
 * `test_onnx_proto --rewrite` reads lines "input TAB output" and writes each file again: what
 * test_onnx_proto.sh compares with the onnx package.
 * ctest: timeout 120 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "format/onnx/model.h"
#include "format/onnx/tensor.h"
#include "support/faults.h"

#define CORPUS CJ_SOURCE_DIR "/fuzz/corpus/onnx"
#define DEBIAN "/usr/share/libonnx-testdata/data"

enum { MEMORY_FACTOR = 32, MEMORY_BASE = 1 << 20 };

static cj_context *cj;
static int64_t used_at_start;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    if (cj) used_at_start = cj_memory_used(cj);
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int64_t left = cj_memory_used(cj) - used_at_start;
    cj_context_free(cj);
    if (left) fprintf(stderr, "%lld bytes are still allocated\n", (long long)left);
    return left ? -1 : 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static void load(const char *path, cj__file_bytes *file)
{
    if (cj__file_load(cj, path, 0, file)) fail_msg("%s", cj_message(cj));
}

/* Parses as a model or as a tensor and writes again. */
static cj_status rewrite(cj_context *with, const void *bytes, size_t size, bool tensor,
                         cj__text *out)
{
    cj__arena arena;
    cj__onnx_model *model;
    cj__onnx_tensor *t;
    cj__arena_init(&arena, with);
    cj_status failed = tensor ? cj__onnx_parse_tensor(&arena, bytes, size, &t)
                              : cj__onnx_parse(&arena, bytes, size, &model);
    if (!failed)
        failed = tensor ? cj__onnx_serialize_tensor(t, out) : cj__onnx_serialize(model, out);
    cj__arena_release(&arena);
    return failed;
}

/* ---- Real files ------------------------------------------------------------------------------ */

static int files, identical, sequences;

/* The bytes written must be a fixed point, and as they were where no list of numbers was there. */
static void check_file(const char *path)
{
    cj__file_bytes file;
    cj__text first, second;
    bool tensor = ends_with(path, ".pb");
    load(path, &file);
    cj__text_init(&first, cj);
    cj__text_init(&second, cj);
    cj_status failed = rewrite(cj, file.data, file.size, tensor, &first);
    if (failed && tensor) {
        sequences++; /* inputs of sequence and optional type are other messages */
    } else if (failed) {
        fail_msg("%s: %s", path, cj_message(cj));
    } else {
        if (rewrite(cj, first.bytes, first.length, tensor, &second))
            fail_msg("%s, again: %s", path, cj_message(cj));
        if (first.length != second.length ||
            (first.length && memcmp(first.bytes, second.bytes, first.length)))
            fail_msg("%s: written twice, %zu and %zu bytes differ", path, first.length,
                     second.length);
        files++;
        identical += first.length == file.size &&
                     (!file.size || !memcmp(first.bytes, file.data, file.size));
    }
    cj__text_release(&first);
    cj__text_release(&second);
    cj__file_unload(&file);
}

static void walk(const char *folder, void (*each)(const char *path))
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[1024];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && !stat(path, &info)) {
            if (S_ISDIR(info.st_mode)) walk(path, each);
            else if (ends_with(path, ".onnx") || ends_with(path, ".pb")) each(path);
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
}

static void test_corpus(void **state)
{
    (void)state;
    files = identical = sequences = 0;
    walk(CORPUS, check_file);
    assert_int_equal(sequences, 0);
    assert_in_range(files, 30, 1000);
    /* Those with lists of numbers cannot be: one model and half of the tensors. */
    assert_in_range(identical, 17, files);
}

static void test_debian(void **state)
{
    (void)state;
    if (access(DEBIAN, R_OK)) {
        printf("no " DEBIAN " (package libonnx-testdata)\n");
        skip();
    }
    files = identical = sequences = 0;
    walk(DEBIAN, check_file);
    printf("%d files, %d identical when written again, %d .pb are no tensors\n", files, identical,
           sequences);
    assert_in_range(files, 4000, 100000);
    assert_in_range(sequences, 0, 100);
    assert_in_range(identical, files / 2, files);
}

static void test_contents(void **state)
{
    (void)state;
    cj__file_bytes file;
    cj__arena arena;
    cj__onnx_model *m;
    char *doc;
    load(CORPUS "/mlp.onnx", &file);
    cj__arena_init(&arena, cj);
    assert_int_equal(cj__onnx_parse(&arena, file.data, file.size, &m), CJ_OK);
    assert_int_equal(m->ir_version, 8);
    assert_true(cj__slice_is(m->producer_name, "corpus"));
    assert_null(m->domain.at);
    assert_int_equal(m->opset_import.count, 1);
    assert_int_equal(m->opset_import.items[0].version, 17);
    assert_int_equal(m->metadata_props.count, 2);
    const cj__onnx_graph *g = m->graph;
    assert_int_equal(g->node.count, 4);
    assert_true(cj__slice_is(g->node.items[2].op_type, "LeakyRelu"));
    const cj__onnx_attribute *alpha = cj__onnx_find_attribute(&g->node.items[2], "alpha");
    assert_non_null(alpha);
    assert_string_equal(cj__onnx_attribute_type_name(alpha->type), "FLOAT");
    assert_float_equal(alpha->as.f, 0.125, 0);
    assert_int_equal(cj__onnx_find_attribute(&g->node.items[3], "axis")->as.i, -1);
    assert_null(cj__onnx_find_attribute(&g->node.items[3], "axes"));
    assert_int_equal(g->input.items[0].type->which, CJ__ONNX_TYPE_TENSOR);
    const cj__onnx_tensor_type *x = g->input.items[0].type->as.tensor;
    assert_int_equal(x->elem_type, CJ__ONNX_FLOAT);
    assert_int_equal(x->shape->dim.count, 2);
    assert_int_equal(x->shape->dim.items[0].which, CJ__ONNX_DIM_PARAM);
    assert_true(cj__slice_is(x->shape->dim.items[0].as.param, "batch"));
    assert_int_equal(x->shape->dim.items[1].as.value, 3);
    assert_int_equal(cj__slice_string(&arena, g->doc_string, "doc", &doc), CJ_OK);
    assert_string_equal(doc, "two lines\nof UTF-8: \xc3\xa9\xe4\xb8\xad");
    cj_tensor *w, *b;
    assert_int_equal(cj__onnx_tensor_decode(cj, &g->initializer.items[0], NULL, &w), CJ_OK);
    assert_int_equal(cj__onnx_tensor_decode(cj, &g->initializer.items[1], NULL, &b), CJ_OK);
    for (size_t i = 0; i < 12; i++)
        assert_float_equal(((const float *)cj_tensor_map_read(w))[i], (float)i, 0);
    const float expected[] = {0.5f, -1.5f, 2.0f, 1e-8f};
    assert_memory_equal(cj_tensor_map_read(b), expected, sizeof expected);
    cj_tensor_unmap(w);
    cj_tensor_unmap(b);
    cj_tensor_free(w);
    cj_tensor_free(b);
    cj__arena_release(&arena);
    cj__file_unload(&file);
}

/* ---- Hostile bytes --------------------------------------------------------------------------- */

/* One attempt in a context of its own: the peak is what this input made it allocate. */
static cj_status attempt(const unsigned char *bytes, size_t size, char *message,
                         size_t message_size)
{
    cj_context *own = cj_context_new(NULL);
    assert_non_null(own);
    cj__text out;
    unsigned char *exact = malloc(size ? size : 1); /* so that ASan sees a read beyond */
    assert_non_null(exact);
    if (size) memcpy(exact, bytes, size);
    cj__text_init(&out, own);
    int64_t before = cj_memory_used(own);
    cj_status failed = rewrite(own, exact, size, false, &out);
    if (message) snprintf(message, message_size, "%s", failed ? cj_message(own) : "");
    if (failed) assert_true(cj_message(own)[0]);
    cj__text_release(&out);
    int64_t peak = cj_memory_peak(own) - before,
            limit = (int64_t)size * MEMORY_FACTOR + MEMORY_BASE;
    if (peak > limit) fail_msg("%zu bytes of input took %lld bytes", size, (long long)peak);
    assert_int_equal(cj_memory_used(own), before);
    free(exact);
    cj_context_free(own);
    return failed;
}

static void refused(cj_status status, const char *bytes, size_t size, const char *part)
{
    char message[1024];
    cj_status found = attempt((const unsigned char *)bytes, size, message, sizeof message);
    if (found != status || !strstr(message, part))
        fail_msg("expected %s and '%s', found %s: %s", cj_status_name(status), part,
                 cj_status_name(found), message);
}
#define REFUSED(status, bytes, part) refused(CJ_ERR_##status, bytes, sizeof bytes - 1, part)

static void test_malformed(void **state)
{
    (void)state;
    refused(CJ_ERR_DATA, NULL, 0, "byte 0: this is not an ONNX model: it has no graph");
    REFUSED(FORMAT, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            "byte 1: a varint of more than 64 bits");
    REFUSED(FORMAT, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            "byte 1: a varint of more than 64 bits");
    REFUSED(FORMAT, "\x08\x80", "byte 1: the bytes end inside a varint");
    REFUSED(FORMAT, "\x08\x01\x12", "byte 3: the bytes end after a field's tag");
    REFUSED(FORMAT,
            "\x08\x01\x12\x05"
            "ab",
            "byte 2: field 2 says 5 bytes, but 2 are left");
    REFUSED(FORMAT, "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "says 18446744073709551615 bytes, but 0 are left");
    REFUSED(FORMAT, "\x0a\x01x", "byte 0: ModelProto.ir_version (field 1) has wire type 2, not 0");
    REFUSED(FORMAT, "\x08\x01\x38\x01",
            "byte 2: ModelProto.graph (field 7) has wire type 0, not 2");
    REFUSED(FORMAT, "\x15\x01\x02\x03\x04",
            "ModelProto.producer_name (field 2) has wire type 5, not 2");
    REFUSED(FORMAT, "\x3d\x01\x02", "byte 1: a number of 4 bytes, but 2 are left");
    REFUSED(FORMAT, "\x02\x01x", "byte 0: no field has the tag 2");
    REFUSED(FORMAT, "\xf8\xff\xff\xff\xff\x01\x01", "byte 0: no field has the tag");
    REFUSED(FORMAT, "\x0b\x0c", "byte 0: field 1 has wire type 3, which is not read");
    REFUSED(DATA, "\x3a\x00", "byte 0: ModelProto.graph of 0 bytes: a GraphProto has at least 3");
    REFUSED(DATA,
            "\x3a\x05\x12\x03"
            "abc"
            "\x3a\x05\x12\x03"
            "abc",
            "byte 7: ModelProto.graph is given twice");
    REFUSED(DATA, "\x3a\x05\x0a\x03\x0a\x01x", "byte 4: node '' has no op_type");
    REFUSED(DATA,
            "\x3a\x05\x12\x03"
            "abc"
            "\xca\x01\x06\x52\x04"
            "abcd",
            "byte 10: a function without a name");
    REFUSED(DATA,
            "\x3a\x05\x12\x03"
            "abc"
            "\xca\x01\x05\x0a\x03"
            "abc",
            "byte 10: an empty function");
    REFUSED(DATA, "\x3a\x05\x32\x03" "abc", "byte 2: an empty graph"); /* an unknown field */
}

/* A graph with one node (op_type x) whose one attribute is these bytes. */
static void refused_attribute(const char *bytes, size_t size, const char *part)
{
    char text[256];
    assert_true(size < 64);
    int head = snprintf(text, sizeof text, "\x3a%c\x0a%c\x22\x01x\x2a%c", (int)(size + 7),
                        (int)(size + 5), (int)size);
    memcpy(text + head, bytes, size);
    refused(CJ_ERR_DATA, text, (size_t)head + size, part);
}
#define REFUSED_ATTRIBUTE(bytes, part) refused_attribute(bytes, sizeof bytes - 1, part)

static void test_attributes(void **state)
{
    (void)state;
    REFUSED_ATTRIBUTE("\x18\x01\xa0\x01\x02", "byte 9: an attribute without a name");
    REFUSED_ATTRIBUTE("\x0a\x01q\xa0\x01\x63", "attribute 'q' has type 99, which is none");
    REFUSED_ATTRIBUTE("\x0a\x01q", "attribute 'q' has type 0");
    REFUSED_ATTRIBUTE("\x0a\x01q\x18\x05\xa0\x01\x07",
                      "attribute 'q' is said to be INTS, but its value is in field 3");
    REFUSED_ATTRIBUTE("\x0a\x01q\x18\x05\x40\x05\xa0\x01\x02",
                      "byte 14: AttributeProto has both i and ints");
    REFUSED_ATTRIBUTE("\x0a\x01q\xa0\x01\x04", "attribute 'q' of type TENSOR has no value");
    REFUSED_ATTRIBUTE("\x0a\x01q\xa0\x01\x05", "attribute 'q' of type GRAPH has no value");
}

static void refused_tensor(cj_status status, const char *bytes, size_t size, const char *part)
{
    cj__arena arena;
    cj__onnx_tensor *t;
    cj__arena_init(&arena, cj);
    cj_status found = cj__onnx_parse_tensor(&arena, bytes, size, &t);
    if (found != status || !strstr(cj_message(cj), part))
        fail_msg("expected %s and '%s', found %s: %s", cj_status_name(status), part,
                 cj_status_name(found), cj_message(cj));
    cj__arena_release(&arena);
}
#define REFUSED_TENSOR(status, bytes, part) \
    refused_tensor(CJ_ERR_##status, bytes, sizeof bytes - 1, part)

static void test_tensors_refused(void **state)
{
    (void)state;
    REFUSED_TENSOR(DATA, "\x08\x80\x80\x80\x80\x20\x10\x01\x42\x01w",
                   "byte 0: tensor 'w' of type FLOAT (1) and shape [8589934592] needs 34359738368 "
                   "bytes, but 0 are there");
    REFUSED_TENSOR(
        DATA,
        "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x10\x01",
        "too many elements");
    REFUSED_TENSOR(DATA, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01",
                   "negative dimension");
    REFUSED_TENSOR(DATA,
                   "\x08\x02\x10\x01\x4a\x05"
                   "abcde",
                   "needs 8 bytes, but 5 are there");
    REFUSED_TENSOR(DATA, "\x08\x02\x10\x07\x3a\x01\x05", "needs 16 bytes, but 8 are there");
    REFUSED_TENSOR(DATA, "\x08\x01\x10\x07\x2a\x01\x05", "holds data of another type");
    REFUSED_TENSOR(DATA, "\x08\x01\x10\x07\x3a\x01\x05\x2a\x01\x05",
                   "byte 7: TensorProto.int32_data beside field 7");
    REFUSED_TENSOR(DATA,
                   "\x08\x01\x10\x06\x2a\x01\x05\x4a\x04"
                   "abcd",
                   "holds its data twice");
    REFUSED_TENSOR(DATA,
                   "\x08\x01\x10\x08\x4a\x04"
                   "abcd",
                   "holds data of another type");
    REFUSED_TENSOR(DATA,
                   "\x08\x02\x10\x08\x32\x04"
                   "abcd",
                   "needs 2 strings, but 1 are there");
    REFUSED_TENSOR(DATA,
                   "\x08\x01\x10\x06\x32\x04"
                   "abcd",
                   "holds data of another type");
    REFUSED_TENSOR(DATA,
                   "\x08\x01\x4a\x04"
                   "abcd",
                   "has no data type");
    REFUSED_TENSOR(DATA, "\x10\x63\x32\x00", "holds data of another type");
    REFUSED_TENSOR(DATA, "\x10\x63\x7a\x00", "has no data");
    REFUSED_TENSOR(DATA, "\x08\x00\x10\x01\x70\x07", "unknown data_location");
    REFUSED_TENSOR(UNSUPPORTED, "\x08\x01\x10\x01\x1a\x00", "byte 4: a tensor in segments");
    REFUSED_TENSOR(UNSUPPORTED, "\x08\x01\x10\x63\x2a\x01\x05", "newer than this library");
    REFUSED_TENSOR(FORMAT,
                   "\x08\x01\x10\x01\x22\x03"
                   "abc",
                   "byte 6: a number of 4 bytes, but 3 are left");
    REFUSED_TENSOR(FORMAT, "\x08\x01\x10\x07\x3a\x01\x85", "the bytes end inside a varint");
    REFUSED_TENSOR(FORMAT, "\x08\x01\x10\x07\x3d\x01\x85\x00\x00",
                   "TensorProto.int64_data (field 7) has wire type 5, not 0");
}

static void test_tensor_spellings(void **state)
{
    (void)state;
    /* Lists: packed in two pieces, not packed, and both; packed dims; boolean 2 is true; a negative
     * half. */
    static const struct {
        const char *bytes;
        size_t size;
        cj_dtype dtype;
        double values[3];
    } cases[] = {
#define CASE(text) text, sizeof text - 1
        {CASE("\x0a\x01\x03\x10\x07\x3a\x02\x05\x06\x3a\x01\x07"), CJ_I64, {5, 6, 7}},
        {CASE("\x38\x05\x3a\x01\x06\x38\x07\x10\x07\x08\x03"), CJ_I64, {5, 6, 7}},
        {CASE("\x08\x03\x10\x01\x25\x00\x00\x80\x3f\x22\x08\x00\x00\x00\x40\x00\x00\x40\xc0"),
         CJ_F32,
         {1, 2, -3}},
        {CASE("\x08\x03\x10\x09\x2a\x03\x00\x02\x01"), CJ_BOOL, {0, 1, 1}},
        {CASE("\x08\x03\x10\x09\x4a\x03\x00\x02\x01"), CJ_BOOL, {0, 1, 1}},
        {CASE("\x08\x03\x10\x0a\x2a\x08\x80\x80\x03\x80\x78\x80\xf8\x02"), CJ_F16, {-2, 1, -1}},
        {CASE("\x08\x03\x10\x03\x2a\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x7f"),
         CJ_I8,
         {-1, 1, 127}},
        {CASE("\x08\x03\x10\x0c\x5a\x07\xff\xff\xff\xff\x0f\x00\x01"),
         CJ_U32,
         {4294967295.0, 0, 1}},
        /* Low types: several to a byte, the first in the lowest bits, in lists as in raw data. */
        {CASE("\x08\x03\x10\x16\x2a\x02\x39\x0f"), CJ_I4, {-7, 3, -1}},
        {CASE("\x08\x03\x10\x15\x4a\x02\x39\x0f"), CJ_U4, {9, 3, 15}},
        {CASE("\x08\x03\x10\x17\x4a\x02\x72\x0e"), CJ_F4E2M1, {1, 6, -4}},
        {CASE("\x08\x03\x10\x19\x4a\x01\x39"), CJ_U2, {1, 2, 3}},
        {CASE("\x08\x03\x10\x1a\x2a\x01\x39"), CJ_I2, {1, -2, -1}},
        {CASE("\x08\x03\x10\x11\x4a\x03\x38\xb8\x7e"), CJ_F8E4M3FN, {1, -1, 448}},
        {CASE("\x08\x03\x10\x13\x2a\x04\x3c\xbc\x01\x7b"), CJ_F8E5M2, {1, -1, 57344}},
        {CASE("\x08\x03\x10\x18\x4a\x03\x7f\x80\x7e"), CJ_F8E8M0, {1, 2, 0.5}},
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj__arena arena;
        cj__onnx_tensor *t, again;
        cj_tensor *value, *back;
        cj__arena_init(&arena, cj);
        if (cj__onnx_parse_tensor(&arena, cases[i].bytes, cases[i].size, &t))
            fail_msg("case %zu: %s", i, cj_message(cj));
        if (cj__onnx_tensor_decode(cj, t, NULL, &value))
            fail_msg("case %zu: %s", i, cj_message(cj));
        assert_int_equal(cj_tensor_dtype(value), cases[i].dtype);
        assert_int_equal(cj_tensor_count(value), 3);
        for (size_t j = 0; j < 3; j++) {
            double found = cj_load_f64(cases[i].dtype, cj_tensor_map_read(value), j);
            if (found != cases[i].values[j])
                fail_msg("case %zu, value %zu: %g instead of %g", i, j, found, cases[i].values[j]);
            cj_tensor_unmap(value);
        }
        assert_int_equal(cj__onnx_tensor_encode(&arena, "w", value, &again), CJ_OK);
        assert_int_equal(cj__onnx_tensor_decode(cj, &again, NULL, &back), CJ_OK);
        cj_tensor_unmap(value);
        assert_true(cj_tensor_equal(value, back));
        cj_tensor_free(value);
        cj_tensor_free(back);
        cj__arena_release(&arena);
    }
}

/* ModelProto > graph > node > attribute > graph ...: `levels` messages below the model, made from
 * the inside out. */
static size_t nest(unsigned char *buffer, size_t capacity, int levels)
{
    static const struct {
        const char *before; /* fields it needs to be whole */
        unsigned char tag;  /* in the message around it */
    } steps[] = {{"\x12\x03"
                  "sub",
                  0x32},
                 {"\x22\x01x", 0x0a},
                 {"\x0a\x01"
                  "a",
                  0x2a}};
    unsigned char *at = buffer + capacity;
    size_t size = 0;
    /* Level 1 is the graph; then node, attribute, graph ... */
    for (int level = levels; level >= 1; level--) {
        int kind = (level - 1) % 3; /* 0 graph, 1 node, 2 attribute */
        size_t own = strlen(steps[kind].before);
        at -= own;
        memcpy(at, steps[kind].before, own);
        size += own;
        unsigned char length[10];
        size_t n = 0, value = size;
        for (; value >= 0x80; value >>= 7) length[n++] = (unsigned char)(value | 0x80);
        length[n++] = (unsigned char)value;
        at -= n;
        memcpy(at, length, n);
        *--at = level == 1 ? 0x3a : steps[kind].tag; /* the outermost graph is the model's */
        size += n + 1;
    }
    memmove(buffer, at, size);
    return size;
}

static void test_depth(void **state)
{
    (void)state;
    static unsigned char buffer[1 << 20];
    char message[1024];
    /* 64 levels end in a graph (64 = 1 + 3 * 21), which is whole; one more is too many. */
    size_t size = nest(buffer, sizeof buffer, 64);
    assert_int_equal(attempt(buffer, size, message, sizeof message), CJ_OK);
    for (int levels = 65; levels <= 40000; levels = levels * 5 + 2) {
        size = nest(buffer, sizeof buffer, levels);
        assert_int_equal(attempt(buffer, size, message, sizeof message), CJ_ERR_LIMIT);
        assert_non_null(strstr(message, "nested more than 64 deep"));
    }
}

/* Lists of the shortest messages: the most structures for the bytes. */
static void test_memory(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static const struct {
        unsigned char tag; /* in the graph, or in the model when `model` */
        const char *item;
        bool model;
    } bombs[] = {
        {0x0a, "", false}, {0x0a, "\x22\x01x", false},
        {0x2a, "", false}, {0x2a, "\x08\x00\x10\x01", false},
        {0x5a, "", false}, {0x5a, "\x12\x00", false},
        {0x7a, "", false}, {0x42, "", true},
        {0x72, "", true},
    };
    unsigned char *bytes = malloc(SIZE + 64);
    assert_non_null(bytes);
    for (size_t b = 0; b < sizeof bombs / sizeof *bombs; b++) {
        size_t length = bombs[b].tag == 0x2a && bombs[b].item[0] ? 4 : strlen(bombs[b].item),
               at = 0, head = 0;
        if (!bombs[b].model) head = 6;
        for (at = head; at + 2 + length <= SIZE; at += 2 + length) {
            bytes[at] = bombs[b].tag;
            bytes[at + 1] = (unsigned char)length;
            memcpy(bytes + at + 2, bombs[b].item, length);
        }
        if (head) {
            size_t body = at - head;
            bytes[0] = 0x3a;
            for (int i = 0; i < 5; i++)
                bytes[1 + i] = (unsigned char)((body >> (7 * i)) | (i < 4 ? 0x80 : 0));
            bytes[5] = (unsigned char)(bytes[5] & 0x7f);
        }
        attempt(bytes, at, NULL, 0);
    }
    free(bytes);
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static int mutations, accepted;

static void mutate_file(const char *path)
{
    cj__file_bytes file;
    uint64_t random = 88172645463325252u;
    if (!ends_with(path, ".onnx")) return;
    load(path, &file);
    unsigned char *copy = malloc(file.size);
    assert_non_null(copy);
    for (size_t size = 0; size <= file.size; size++, mutations++)
        accepted += !attempt(file.data, size, NULL, 0);
    for (int i = 0; i < 2000; i++, mutations++) {
        memcpy(copy, file.data, file.size);
        for (uint64_t n = 1 + next_random(&random) % 3; n; n--) {
            uint64_t r = next_random(&random);
            copy[(r >> 16) % file.size] = r & 1
                                              ? (unsigned char)(r >> 8)
                                              : copy[(r >> 16) % file.size] ^ (1u << (r >> 8) % 8);
        }
        accepted += !attempt(copy, file.size, NULL, 0);
    }
    for (int i = 0; i < 500; i++, mutations++) {
        size_t size = next_random(&random) % file.size;
        for (size_t j = 0; j < size; j++) copy[j] = (unsigned char)next_random(&random);
        accepted += !attempt(copy, size, NULL, 0);
    }
    free(copy);
    cj__file_unload(&file);
}

static void test_mutations(void **state)
{
    (void)state;
    mutations = accepted = 0;
    walk(CORPUS, mutate_file);
    printf("%d mutations and truncations, %d accepted\n", mutations, accepted);
    assert_in_range(mutations, 10000, 1000000);
    assert_in_range(accepted, 1, mutations - 1);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* A model made by hand, as an exporter does. */
static void test_build(void **state)
{
    (void)state;
    cj__slice in[] = {cj__slice_of("x")}, out[] = {cj__slice_of("y")};
    int64_t axes[] = {-1, 300};
    cj__onnx_dim dims[2] = {{.which = CJ__ONNX_DIM_VALUE}, {.which = CJ__ONNX_DIM_PARAM}};
    cj__onnx_shape shape = {{dims, 2}};
    cj__onnx_tensor_type tensor_type = {CJ__ONNX_FLOAT, &shape};
    cj__onnx_value_type type = {.which = CJ__ONNX_TYPE_TENSOR, .as.tensor = &tensor_type};
    cj__onnx_value y = {.name = out[0], .type = &type};
    cj__onnx_attribute attributes[2];
    cj__onnx_attribute_init(&attributes[0], "zero", CJ__ONNX_ATTR_INT);
    cj__onnx_attribute_init(&attributes[1], "axes", CJ__ONNX_ATTR_INTS);
    attributes[1].as.ints.items = axes, attributes[1].as.ints.count = 2;
    dims[1].as.param = cj__slice_of("n");
    cj__onnx_node node = {.input = {in, 1},
                          .output = {out, 1},
                          .op_type = cj__slice_of("Op"),
                          .attribute = {attributes, 2}};
    cj__onnx_graph graph = {.node = {&node, 1}, .name = cj__slice_of("g"), .output = {&y, 1}};
    cj__onnx_opset opset = {cj__slice_of(""), 17};
    cj__onnx_model model = {.ir_version = 8, .graph = &graph, .opset_import = {&opset, 1}};
    /* Made with onnx 1.12: ModelProto(...).SerializeToString(deterministic=True). */
    static const char expected[] =
        "\x08\x08\x3a\x4b"
        "\x0a\x30\x0a\x01x\x12\x01y\x22\x02Op"
        "\x2a\x0b\x0a\x04zero\x18\x00\xa0\x01\x02"
        "\x2a\x17\x0a\x04"
        "axes\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x40\xac\x02\xa0\x01\x07"
        "\x12\x01g"
        "\x62\x14\x0a\x01y\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x02\x08\x00\x0a\x03\x12\x01n"
        "\x42\x04\x0a\x00\x10\x11";
    cj__text text;
    cj__text_init(&text, cj);
    assert_int_equal(cj__onnx_serialize(&model, &text), CJ_OK);
    cj__arena arena;
    cj__onnx_model *back;
    cj__arena_init(&arena, cj);
    assert_int_equal(cj__onnx_parse(&arena, text.bytes, text.length, &back), CJ_OK);
    const cj__onnx_attribute *zero = cj__onnx_find_attribute(&back->graph->node.items[0], "zero");
    assert_int_equal(zero->type, CJ__ONNX_ATTR_INT);
    assert_int_equal(zero->which, 3);
    assert_int_equal(back->graph->node.items[0].attribute.items[1].as.ints.items[1], 300);
    assert_int_equal(back->graph->output.items[0].type->as.tensor->shape->dim.items[0].which,
                     CJ__ONNX_DIM_VALUE);
    assert_int_equal(text.length, sizeof expected - 1);
    assert_memory_equal(text.bytes, expected, sizeof expected - 1);
    cj__arena_release(&arena);

    /* 3 GiB of data is refused before a byte of it is looked at. */
    cj__onnx_tensor huge = {.data_type = CJ__ONNX_UINT8, .raw = {"", (size_t)3 << 30}};
    graph.initializer.items = &huge, graph.initializer.count = 1;
    assert_int_equal(cj__onnx_serialize(&model, &text), CJ_ERR_LIMIT);
    assert_non_null(strstr(cj_message(cj), "protobuf messages end below 2 GiB"));
    assert_int_equal(text.length, sizeof expected - 1);
    cj__text_release(&text);
}

/* ---- Strings, external data, memory ---------------------------------------------------------- */

static void test_strings(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "a\xff"};
    cj__arena arena;
    char *out, shown[CJ__SLICE_SHOWN];
    cj__arena_init(&arena, cj);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(cj__slice_string(&arena, cj__slice_of(bad[i]), "the name", &out),
                         CJ_ERR_FORMAT);
        assert_non_null(strstr(cj_message(cj), "the name is not UTF-8 at its byte"));
    }
    assert_int_equal(cj__slice_string(&arena, (cj__slice){"a\0b", 3}, "the name", &out),
                     CJ_ERR_FORMAT);
    assert_string_equal(cj_message(cj), "the name holds a NUL at its byte 1");
    assert_int_equal(
        cj__slice_string(&arena, cj__slice_of("\xf0\x9f\x98\x80 \xed\x9f\xbf"), "x", &out), CJ_OK);
    assert_string_equal(out, "\xf0\x9f\x98\x80 \xed\x9f\xbf");
    assert_int_equal(cj__slice_string(&arena, (cj__slice){NULL, 0}, "x", &out), CJ_OK);
    assert_string_equal(out, "");
    assert_string_equal(cj__slice_show(cj__slice_of("a\n\xff"), shown), "a??");
    cj__arena_release(&arena);
}

static void external_case(const char *folder, const char *location, const char *offset,
                          const char *length, cj_status status, const char *part)
{
    int64_t dims[] = {3};
    cj__onnx_entry entries[3] = {{cj__slice_of("location"), cj__slice_of(location)}};
    cj__onnx_tensor t = {.name = cj__slice_of("w"),
                         .data_type = CJ__ONNX_INT16,
                         .data_location = 1};
    cj_tensor *out;
    size_t n = 1;
    if (offset) entries[n++] = (cj__onnx_entry){cj__slice_of("offset"), cj__slice_of(offset)};
    if (length) entries[n++] = (cj__onnx_entry){cj__slice_of("length"), cj__slice_of(length)};
    t.dims.items = dims, t.dims.count = 1;
    t.external.items = entries, t.external.count = n;
    cj_status found = cj__onnx_tensor_decode(cj, &t, folder, &out);
    if (found != status || (found && !strstr(cj_message(cj), part)))
        fail_msg("'%s': expected %s and '%s', found %s: %s", location, cj_status_name(status), part,
                 cj_status_name(found), cj_message(cj));
    if (found) return;
    assert_memory_equal(cj_tensor_map_read(out), part, 6);
    cj_tensor_unmap(out);
    cj_tensor_free(out);
}

static void test_external(void **state)
{
    (void)state;
    char folder[] = CJ_BUILD_DIR "/onnx-XXXXXX", path[sizeof folder + 8];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/w.bin", folder);
    assert_int_equal(cj__file_save(cj, path, "0123456789", 10), CJ_OK);
    external_case(folder, "w.bin", NULL, NULL, CJ_OK, "012345");
    external_case(folder, "w.bin", "4", "6", CJ_OK, "456789");
    external_case(folder, "w.bin", "5", NULL, CJ_ERR_DATA, "tensor 'w'");
    external_case(folder, "w.bin", "9223372036854775807", NULL, CJ_ERR_DATA, "needs 6 bytes;");
    external_case(folder, "w.bin", "0", "7", CJ_ERR_DATA, "needs 6 bytes;");
    external_case(folder, "w.bin", "-1", NULL, CJ_ERR_DATA, "offset that is no number");
    external_case(folder, "w.bin", "0", "x", CJ_ERR_DATA, "length that is no number");
    external_case(folder, "", NULL, NULL, CJ_ERR_DATA, "without a location");
    external_case(NULL, "w.bin", NULL, NULL, CJ_ERR_ARGUMENT, "has no folder");
    external_case(folder, "v.bin", NULL, NULL, CJ_ERR_NOT_FOUND, "v.bin");
    char outside[sizeof folder + 16];
    snprintf(outside, sizeof outside, "..%s/w.bin", strrchr(folder, '/'));
    external_case(folder, outside, NULL, NULL, CJ_ERR_ARGUMENT, "it holds '..'");
    external_case(folder, path, NULL, NULL, CJ_ERR_ARGUMENT, "w.bin");
    remove(path);
    rmdir(folder);
}

static void test_ranks(void **state)
{
    (void)state;
    int64_t dims[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    cj__onnx_tensor t = {.data_type = CJ__ONNX_UINT8, .raw = {"a", 1}};
    cj_tensor *out;
    t.dims.items = dims;
    for (t.dims.count = 0; t.dims.count <= 9; t.dims.count++) {
        cj_status expected = t.dims.count <= CJ_RANK_MAX ? CJ_OK : CJ_ERR_UNSUPPORTED;
        assert_int_equal(cj__onnx_tensor_decode(cj, &t, NULL, &out), expected);
        cj_tensor_free(out);
    }
    t.dims.count = 0;
    t.data_type = CJ__ONNX_COMPLEX64;
    t.raw = (cj__slice){"abcdefgh", 8};
    assert_int_equal(cj__onnx_tensor_decode(cj, &t, NULL, &out), CJ_ERR_UNSUPPORTED);
    assert_non_null(strstr(cj_message(cj),
                           "type COMPLEX64 (14) and shape [] is of a type Cajal does not have"));
}

static cj_status load_and_write(cj_context *with, void *arg)
{
    const cj__file_bytes *file = arg;
    cj__arena arena;
    cj__onnx_model *model;
    cj__text out;
    cj_tensor *t = NULL;
    cj_status failed;
    cj__arena_init(&arena, with);
    cj__text_init(&out, with);
    failed = cj__onnx_parse(&arena, file->data, file->size, &model);
    if (!failed && model->graph->initializer.count)
        failed = cj__onnx_tensor_decode(with, &model->graph->initializer.items[0], NULL, &t);
    if (!failed) failed = cj__onnx_serialize(model, &out);
    cj_tensor_free(t);
    cj__text_release(&out);
    cj__arena_release(&arena);
    return failed;
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const paths[] = {CORPUS "/mlp.onnx", CORPUS "/attributes.onnx",
                                        CORPUS "/function.onnx"};
    for (size_t i = 0; i < 3; i++) {
        cj__file_bytes file;
        load(paths[i], &file);
        assert_true(faults_sweep_memory(load_and_write, &file, NULL, 1) > 0);
        cj__file_unload(&file);
    }
}

/* ---- For the comparison with the onnx package ------------------------------------------------ */

static int save(const char *path, const char *suffix, const cj__text *text)
{
    char name[2048];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    FILE *f = fopen(name, "wb");
    if (!f) return 1;
    size_t n = text->length ? fwrite(text->bytes, 1, text->length, f) : 0;
    return fclose(f) || n != text->length;
}

/* The tensor of a file through a cj_tensor and back; nothing for types Cajal does not have. */
static int through_tensor(const cj__file_bytes *file, const char *out)
{
    cj__arena arena;
    cj__onnx_tensor *t, again;
    cj_tensor *value;
    cj__text text;
    char *name;
    int bad = 0;
    cj__arena_init(&arena, cj);
    cj__text_init(&text, cj);
    if (cj__onnx_parse_tensor(&arena, file->data, file->size, &t)) bad = 1;
    if (!bad && !cj__onnx_tensor_decode(cj, t, NULL, &value)) {
        bad = cj__slice_string(&arena, t->name, "name", &name) ||
              cj__onnx_tensor_encode(&arena, name, value, &again);
        again.doc_string = t->doc_string;
        bad = bad || cj__onnx_serialize_tensor(&again, &text) || save(out, ".tensor", &text);
        cj_tensor_unmap(value);
        cj_tensor_free(value);
    } else if (!bad && cj_last_status(cj) != CJ_ERR_UNSUPPORTED) {
        bad = 1;
    }
    cj__text_release(&text);
    cj__arena_release(&arena);
    return bad;
}

static int rewrite_main(void)
{
    char line[4096];
    int bad = 0;
    cj = cj_context_new(NULL);
    while (cj && fgets(line, sizeof line, stdin)) {
        char *out = strchr(line, '\t');
        cj__file_bytes file;
        cj__text text;
        if (!out) continue;
        *out++ = 0;
        out[strcspn(out, "\n")] = 0;
        bool tensor = ends_with(line, ".pb");
        if (cj__file_load(cj, line, 0, &file)) {
            fprintf(stderr, "%s\n", cj_message(cj));
            bad = 1;
            continue;
        }
        cj__text_init(&text, cj);
        if (rewrite(cj, file.data, file.size, tensor, &text) || save(out, "", &text) ||
            (tensor && through_tensor(&file, out))) {
            fprintf(stderr, "%s: %s\n", line, cj_message(cj));
            bad = 1;
        }
        cj__text_release(&text);
        cj__file_unload(&file);
    }
    cj_context_free(cj);
    return bad;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_debian),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_tensors_refused),
        cmocka_unit_test(test_tensor_spellings),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_ranks),
    };
    if (argc > 1 && !strcmp(argv[1], "--rewrite")) return rewrite_main();
    return cmocka_run_group_tests(tests, setup, teardown);
}
