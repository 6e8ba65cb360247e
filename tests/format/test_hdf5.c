/* test_hdf5.c: files that h5py wrote (tools/golden/hdf5.py) in its oldest and its newest form,
 * every part of them; truncated ones, and such as no writer makes. */
#include "format_support.h"

#include "format/hdf5/hdf5.h"

#if defined(CJ_CORE)
int main(void) { return 77; } /* the core build has no HDF5 */
#else

static cj_context *cj;
static cj__arena arena;
static cj__hdf5 file;
static unsigned char *bytes;
static size_t size;

static void open_file(const char *name)
{
    char path[512];
    bytes = golden_bytes(golden_path(path, name), &size);
    cj = cj_context_new(NULL);
    cj__arena_init(&arena, cj);
    if (cj__hdf5_open(&file, &arena, bytes, size, NULL)) fail_msg("%s: %s", name, cj_message(cj));
}

static void close_file(void)
{
    cj__arena_release(&arena);
    assert_int_equal(cj_memory_used(cj), 0);
    cj_context_free(cj);
    free(bytes);
}

static cj_tensor *tensor(const char *path)
{
    cj_tensor *t;
    const cj__hdf5_object *o = cj__hdf5_find(file.root, path);
    if (!o || !o->is_data) fail_msg("there is no data set '%s'", path);
    if (cj__hdf5_tensor(&file, &o->value, &t)) fail_msg("%s: %s", path, cj_message(cj));
    return t;
}

static void assert_numbers(const char *path, cj_dtype dtype, int rank, const int64_t *shape)
{
    cj_tensor *t = tensor(path);
    assert_sample(cj, t, dtype, rank, shape);
    cj_tensor_free(t);
}

static void assert_refused(const char *path, const char *message)
{
    cj_tensor *t;
    const cj__hdf5_object *o = cj__hdf5_find(file.root, path);
    assert_non_null(o);
    assert_int_equal(cj__hdf5_tensor(&file, &o->value, &t), CJ_ERR_UNSUPPORTED);
    assert_null(t);
    assert_string_equal(cj_message(cj), message);
}

static const char *const versions[] = {"earliest", "latest"};
static const char *name_of(int version, const char *what)
{
    static char name[64];
    snprintf(name, sizeof name, "hdf5/%s-%s.h5", versions[version], what);
    return name;
}

static void reads_every_type(void **state)
{
    static const struct {
        const char *name;
        cj_dtype dtype;
    } types[] = {{"f2", CJ_F16}, {"f4", CJ_F32}, {"f8", CJ_F64}, {"i1", CJ_I8},
                 {"i2", CJ_I16}, {"i4", CJ_I32}, {"i8", CJ_I64}, {"u1", CJ_U8},
                 {"u2", CJ_U16}, {"u4", CJ_U32}, {"u8", CJ_U64}};
    (void)state;
    for (int v = 0; v < 2; v++) {
        open_file(name_of(v, "types"));
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            for (int big = 0; big < 2; big++) {
                char path[32];
                snprintf(path, sizeof path, "%s/%s", big ? "big" : "little", types[i].name);
                assert_numbers(path, types[i].dtype, 2, SHAPE(2, 3));
            }
        assert_numbers("bool", CJ_BOOL, 2, SHAPE(2, 3));
        assert_numbers("scalar", CJ_F32, 0, NULL);
        assert_numbers("empty", CJ_F32, 2, SHAPE(0, 4));
        assert_numbers("compact", CJ_F32, 2, SHAPE(2, 3));
        cj_tensor *t = tensor("unwritten");
        for (size_t i = 0; i < 6; i++)
            assert_true(cj_load_f64(CJ_F32, cj_tensor_map_read(t), i) == 0);
        cj_tensor_free(t);
        assert_refused("complex", "hdf5: records");
        close_file();
    }
}

static void reads_every_layout(void **state)
{
    static const char *const names[] = {"chunked", "gzip", "shuffle", "fletcher", "all", "single"};
    (void)state;
    for (int v = 0; v < 2; v++) {
        open_file(name_of(v, "layouts"));
#if defined(CJ_HAVE_ZLIB)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            assert_numbers(names[i], CJ_F32, 2, SHAPE(7, 5));
#endif
        assert_numbers("many", CJ_I16, 1, SHAPE(1100));
        cj_tensor *t = tensor("half"); /* the other half was never written */
        for (size_t i = 0; i < 35; i++)
            assert_true(cj_load_f64(CJ_F32, cj_tensor_map_read(t), i) ==
                        (i < 20 ? (double)i - 2.5 : 0));
        cj_tensor_free(t);
        assert_refused("lzf", "hdf5: data compressed by lzf");
        assert_numbers("grows", CJ_F32, 2, SHAPE(7, 5));
        close_file();
    }
}

/* 4000 numbers, of which six at the beginning and three later were written. */
static void assert_holes(const char *path)
{
    cj_tensor *t = tensor(path);
    for (size_t i = 0; i < 4000; i++) {
        const double expected = i < 6 ? (double)i - 3 : i >= 3000 && i < 3003 ? 7 : 0;
        assert_true(cj_load_f64(CJ_I16, cj_tensor_map_read(t), i) == expected);
    }
    cj_tensor_free(t);
}

static void reads_what_can_grow(void **state)
{
    static const char *const names[] = {"first", "last", "both", "some"};
    (void)state;
    for (int v = 0; v < 2; v++) {
        open_file(name_of(v, "growing"));
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            char path[64];
            assert_numbers(names[i], CJ_F32, 2, SHAPE(7, 5));
#if defined(CJ_HAVE_ZLIB)
            snprintf(path, sizeof path, "%s_gzip", names[i]);
            assert_numbers(path, CJ_F32, 2, SHAPE(7, 5));
#endif
            snprintf(path, sizeof path, "%s_fletcher", names[i]);
            assert_numbers(path, CJ_F32, 2, SHAPE(7, 5));
        }
        assert_numbers("middle", CJ_I32, 3, SHAPE(2, 9, 2));
        assert_numbers("many", CJ_I16, 1, SHAPE(300));
        assert_numbers("plane", CJ_I16, 2, SHAPE(20, 15));
        assert_numbers("shrunk", CJ_F32, 2, SHAPE(7, 5));
        assert_numbers("shrunk_both", CJ_F32, 2, SHAPE(7, 5));
        assert_holes("holes");
        assert_holes("holes_some");
        close_file();
    }
}

static void assert_text(const cj__hdf5_object *o, const char *name, int64_t i, const char *expected)
{
    const char *text;
    size_t length;
    const cj__hdf5_value *v = cj__hdf5_attribute_of(o, name);
    assert_non_null(v);
    if (cj__hdf5_text(&file, v, i, &text, &length)) fail_msg("%s: %s", name, cj_message(cj));
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

static void reads_attributes(void **state)
{
    (void)state;
    for (int v = 0; v < 2; v++) {
        cj_tensor *t;
        const char *text;
        size_t length;
        open_file(name_of(v, "attributes"));
        const cj__hdf5_object *g = cj__hdf5_find(file.root, "attributes");
        assert_text(g, "fixed", 0, "kernel:0");
        assert_text(g, "fixed", 1, "bias:0");
        assert_text(g, "fixed", 2, "");
        assert_text(g, "text", 0, "Ram\xc3\xb3n y Cajal");
        assert_text(g, "bytes", 0, "tensorflow");
        assert_text(g, "texts", 3, "four");
        assert_text(g, "texts", 2, "");
        assert_text(g, "texts", 0, "one");
        assert_int_equal(cj__hdf5_text(&file, cj__hdf5_attribute_of(g, "texts"), 4, &text, &length),
                         CJ_ERR_DATA);
        assert_int_equal(cj__hdf5_text(&file, cj__hdf5_attribute_of(g, "number"), 0, &text,
                                       &length),
                         CJ_ERR_DATA);
        assert_int_equal(cj__hdf5_tensor(&file, cj__hdf5_attribute_of(g, "text"), &t), CJ_ERR_DATA);
        assert_int_equal(cj__hdf5_tensor(&file, cj__hdf5_attribute_of(g, "nothing"), &t),
                         CJ_ERR_UNSUPPORTED);
        assert_int_equal(cj__hdf5_tensor(&file, cj__hdf5_attribute_of(g, "numbers"), &t), CJ_OK);
        assert_sample(cj, t, CJ_F64, 1, SHAPE(4));
        cj_tensor_free(t);
        assert_int_equal(cj__hdf5_tensor(&file, cj__hdf5_attribute_of(g, "yes"), &t), CJ_OK);
        assert_int_equal(cj_tensor_dtype(t), CJ_BOOL);
        assert_true(cj_load_f64(CJ_BOOL, cj_tensor_map_read(t), 0) == 1);
        cj_tensor_free(t);
        assert_null(cj__hdf5_attribute_of(g, "none"));
        close_file();
    }
}

static void reads_groups(void **state)
{
    static const struct {
        const char *file;
        int members;
    } files[] = {{"hdf5/earliest-groups.h5", 60},
                 {"hdf5/latest-groups.h5", 60},
                 {"hdf5/earliest-ordered.h5", 20}};
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        open_file(files[k].file);
        assert_numbers("a/b/c/x", CJ_F32, 2, SHAPE(2, 3));
        assert_numbers("hard", CJ_F32, 2, SHAPE(2, 3));
        assert_null(cj__hdf5_find(file.root, "soft"));
        assert_null(cj__hdf5_find(file.root, "a/b/c/x/y"));
        assert_ptr_equal(cj__hdf5_find(file.root, "/"), file.root);
        int n = 0;
        for (const cj__hdf5_object *o = cj__hdf5_find(file.root, "many_members")->first; o;
             o = o->next, n++) {
            cj_tensor *t;
            assert_int_equal(cj__hdf5_tensor(&file, &o->value, &t), CJ_OK);
            assert_int_equal(cj_load_i64(CJ_I32, cj_tensor_map_read(t), 0), atoi(o->name + 7));
            cj_tensor_free(t);
        }
        assert_int_equal(n, files[k].members);
        close_file();
    }
}

static void reads_attributes_of_heaps(void **state)
{
    (void)state;
    open_file("hdf5/latest-dense.h5");
    const cj__hdf5_object *g = cj__hdf5_find(file.root, "dense");
    for (int i = 0; i < 40; i++) {
        char name[32];
        cj_tensor *t;
        snprintf(name, sizeof name, "attribute_%d", i);
        assert_int_equal(cj__hdf5_tensor(&file, cj__hdf5_attribute_of(g, name), &t), CJ_OK);
        assert_int_equal(cj_load_i64(CJ_I32, cj_tensor_map_read(t), 0), i);
        cj_tensor_free(t);
    }
    const char *text;
    size_t length;
    assert_int_equal(cj__hdf5_text(&file, cj__hdf5_attribute_of(g, "long"), 0, &text, &length),
                     CJ_OK);
    assert_int_equal(length, 5000);
    assert_int_equal(cj__hdf5_text(&file, cj__hdf5_attribute_of(g, "fixed_long"), 5, &text,
                                   &length),
                     CJ_OK);
    assert_int_equal(length, 900);
    close_file();
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* Values that are refused are as good as read; but for want of memory. */
static cj_status read_values(cj__hdf5 *f, const cj__hdf5_object *o)
{
    for (; o; o = o->next) {
        cj_tensor *t = NULL;
        cj_status failed = o->is_data ? cj__hdf5_tensor(f, &o->value, &t) : CJ_OK;
        cj_tensor_free(t);
        if (failed == CJ_ERR_MEMORY) return failed;
        if ((failed = read_values(f, o->first)) != CJ_OK) return failed;
    }
    return CJ_OK;
}

static cj_status read_tree(cj_context *with, const void *data, size_t n)
{
    cj__arena a;
    cj__hdf5 f;
    cj__arena_init(&a, with);
    cj_status failed = cj__hdf5_open(&f, &a, data, n, NULL);
    if (!failed) failed = read_values(&f, f.root);
    cj__arena_release(&a);
    return failed;
}

static void damage_never_crashes(void **state)
{
    static const char *const names[] = {"hdf5/earliest-attributes.h5", "hdf5/latest-attributes.h5"};
    (void)state;
    cj_context *with = cj_context_new(NULL);
    for (int i = 0; i < 2; i++) {
        char path[512];
        unsigned char *data = golden_bytes(golden_path(path, names[i]), &size);
        refuse_truncations(with, read_tree, data, size);
        size_t accepted = flip_every_bit(with, read_tree, data, size);
        print_message("%zu of %zu flipped bits change nothing\n", accepted, 8 * size);
        free(data);
    }
    cj_context_free(with);
}

/* A group that is a member of itself: the hard link's address becomes the root's. */
static void circles_are_refused(void **state)
{
    char path[512];
    (void)state;
    unsigned char *data = golden_bytes(golden_path(path, "hdf5/earliest-groups.h5"), &size);
    cj_context *with = cj_context_new(NULL);
    bool made = false;
    for (size_t i = 0; !made && i + 64 < size; i++)
        if (!memcmp(data + i, "SNOD", 4)) { /* the first table of symbols is of "a" or the root */
            memcpy(data + i + 16, data + 64,
                   8); /* the root's header is at its superblock's entry */
            made = true;
        }
    assert_true(made);
    assert_int_equal(read_clean(with, read_tree, data, size), CJ_ERR_FORMAT);
    assert_non_null(strstr(cj_message(with), "circle"));
    cj_context_free(with);
    free(data);
}

static void checksums_are_compared(void **state)
{
    char path[512];
    (void)state;
    unsigned char *data = golden_bytes(golden_path(path, "hdf5/latest-groups.h5"), &size);
    cj_context *with = cj_context_new(NULL);
    data[40] ^= 1; /* of the superblock */
    assert_int_equal(read_clean(with, read_tree, data, size), CJ_ERR_FORMAT);
    assert_string_equal(cj_message(with),
                        "hdf5: byte 0: a damaged structure: its checksum is another");
    cj_context_free(with);
    free(data);
}

static cj_status scenario(cj_context *with, void *arg)
{
    (void)arg;
    return read_tree(with, bytes, size);
}

static void allocations_may_fail(void **state)
{
    char path[512];
    (void)state;
    bytes = golden_bytes(golden_path(path, "hdf5/latest-attributes.h5"), &size);
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) > 0);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(reads_every_layout),
        cmocka_unit_test(reads_what_can_grow),
        cmocka_unit_test(reads_attributes),
        cmocka_unit_test(reads_groups),
        cmocka_unit_test(reads_attributes_of_heaps),
        cmocka_unit_test(damage_never_crashes),
        cmocka_unit_test(circles_are_refused),
        cmocka_unit_test(checksums_are_compared),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
