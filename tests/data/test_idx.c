/* test_idx.c: IDX files, plain and packed, made here byte by byte; hostile ones by their whole
 * message. */
#define _POSIX_C_SOURCE 200809L
#include "data_support.h"

#include <unistd.h>

#include "data/idx.h"

#ifdef CJ_HAVE_ZLIB
#include <zlib.h>
#endif

static char folder[] = "/tmp/cajal-idx-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 200, "%s/%s", folder, name);
    return path;
}

static void save(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(void *arg, const char *name)
{
    (void)arg;
    return remove(at(name));
}

static int remove_folder(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj__file_list(cj, folder, remove_one, NULL);
    cj_context_free(cj);
    return rmdir(folder);
}

/* n pictures of 2 x 3 whose elements count up, and their labels i % 10. */
static size_t images(unsigned char *b, int n)
{
    unsigned char head[16] = {0, 0, 8, 3, 0, 0, (unsigned char)(n >> 8), (unsigned char)n, 0, 0,
                              0, 2, 0, 0, 0, 3};
    memcpy(b, head, 16);
    for (int i = 0; i < 6 * n; i++) b[16 + i] = (unsigned char)i;
    return 16 + (size_t)(6 * n);
}

static size_t labels(unsigned char *b, int n)
{
    unsigned char head[8] = {0, 0, 8, 1, 0, 0, (unsigned char)(n >> 8), (unsigned char)n};
    memcpy(b, head, 8);
    for (int i = 0; i < n; i++) b[8 + i] = (unsigned char)(i % 10);
    return 8 + (size_t)n;
}

static void save_pair(const char *images_name, const char *labels_name, int n)
{
    static unsigned char b[10000];
    save(images_name, b, images(b, n));
    save(labels_name, b, labels(b, n));
}

static void check_image(const cj_dataset *ds, int64_t i, int first)
{
    unsigned char pixels[6];
    assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_OK);
    for (int k = 0; k < 6; k++) assert_int_equal(pixels[k], (unsigned char)(first + k));
}

static void folder_of_four_files(void **state)
{
    (void)state;
    save_pair("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 30);
    save_pair("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte", 12); /* the other spelling */
    cj_context *cj = test_context();
    cj_dataset *train = cj_dataset_open(cj, folder),
               *test = cj_dataset_open(cj, folder, .split = "test"),
               *all = cj_dataset_open(cj, folder, .split = "all"),
               *few = cj_dataset_open(cj, folder, .limit = 7);
    assert_parsed(cj, train);
    assert_parsed(cj, test);
    assert_parsed(cj, all);
    assert_parsed(cj, few);
    assert_int_equal(cj_dataset_count(train), 30);
    assert_int_equal(cj_dataset_count(test), 12);
    assert_int_equal(cj_dataset_count(all), 42);
    assert_int_equal(cj_dataset_count(few), 7);
    const cj_field *x = cj_dataset_field(all, 0), *y = cj_dataset_field(all, 1);
    assert_string_equal(x->name, "image");
    assert_int_equal(x->dtype, CJ_U8);
    assert_int_equal(x->rank, 3);
    assert_true(x->shape[0] == 2 && x->shape[1] == 3 && x->shape[2] == 1);
    assert_string_equal(y->name, "label");
    assert_int_equal(y->dtype, CJ_I32);
    assert_int_equal(y->classes, 10);
    assert_string_equal(y->class_names[9], "9");
    check_image(train, 29, 29 * 6);
    check_image(all, 30, 0);
    check_image(all, 41, 11 * 6);
    int32_t label;
    assert_int_equal(cj_dataset_read(all, (int64_t[]){41}, 1, 1, &label), CJ_OK);
    assert_int_equal(label, 1);

    assert_null(cj_dataset_open(cj, folder, .split = "valid"));
    assert_null(cj_dataset_open(cj, folder, .classes = 5));
    char expected[300];
    snprintf(expected, sizeof expected,
             "%s: label out of range: label 5 is 5; with 5 classes it must be 0 to 4",
             at("train-labels-idx1-ubyte"));
    assert_message(cj, CJ_ERR_DATA, expected);
    assert_null(cj_dataset_open(cj, folder, .target = "x"));
    cj_context_free(cj);
}

static void one_file_with_and_without_labels(void **state)
{
    (void)state;
    save_pair("my-images-idx3-ubyte", "my-labels-idx1-ubyte", 5);
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, at("my-images-idx3-ubyte"));
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_fields(ds), 2);
    ds = cj_dataset_open(cj, at("my-images-idx3-ubyte"), .no_target = true);
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_fields(ds), 1);
    assert_int_equal(cj_dataset_count(ds), 5);
    assert_null(cj_dataset_open(cj, at("my-labels-idx1-ubyte")));
    cj_context_free(cj);
}

static void parts_that_do_not_fit(void **state)
{
    (void)state;
    unsigned char b[200];
    char expected[400];
    cj_context *cj = test_context();
    save_pair("bad-images-idx3-ubyte", "bad-labels-idx1-ubyte", 5);
    save("bad-labels-idx1-ubyte", b, labels(b, 6));
    assert_null(cj_dataset_open(cj, at("bad-images-idx3-ubyte")));
    snprintf(expected, sizeof expected, "%s: 6 labels, but 5 pictures in %s",
             at("bad-labels-idx1-ubyte"), at("bad-images-idx3-ubyte"));
    assert_message(cj, CJ_ERR_DATA, expected);
    size_t n = labels(b, 5);
    b[8 + 3] = 10;
    save("bad-labels-idx1-ubyte", b, n);
    assert_null(cj_dataset_open(cj, at("bad-images-idx3-ubyte")));
    snprintf(expected, sizeof expected,
             "%s: label out of range: label 3 is 10; with 10 classes it must be 0 to 9",
             at("bad-labels-idx1-ubyte"));
    assert_message(cj, CJ_ERR_DATA, expected);
    remove(at("t10k-labels.idx1-ubyte"));
    assert_null(cj_dataset_open(cj, folder, .split = "test"));
    snprintf(expected, sizeof expected, "%s: has no t10k-labels-idx1-ubyte, plain or .gz", folder);
    assert_message(cj, CJ_ERR_NOT_FOUND, expected);
    save("t10k-labels-idx1-ubyte.xz", b, 3);
    assert_null(cj_dataset_open(cj, folder, .split = "test"));
    snprintf(expected, sizeof expected, "%s: is packed with xz: unpack it first (xz -dk)",
             at("t10k-labels-idx1-ubyte.xz"));
    assert_message(cj, CJ_ERR_UNSUPPORTED, expected);
    assert_null(cj_dataset_open(cj, at("nothing-idx3-ubyte")));
    snprintf(expected, sizeof expected, "%s: no such file or folder", at("nothing-idx3-ubyte"));
    assert_message(cj, CJ_ERR_NOT_FOUND, expected);
    cj_context_free(cj);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void check_bytes(const void *bytes, size_t size, cj_status status, const char *message)
{
    cj_context *cj = test_context();
    cj_tensor *t;
    assert_int_equal(cj__idx_parse(cj, "f", bytes, size, &t), status);
    if (status) assert_message(cj, status, message);
    cj_tensor_free(t);
    assert_int_equal(cj_memory_used(cj), 0);
    if (cj_memory_peak(cj) > 1 << 20)
        fail_msg("%lld bytes were allocated", (long long)cj_memory_peak(cj));
    cj_context_free(cj);
}

static void hostile_headers(void **state)
{
    (void)state;
    unsigned char b[100];
    size_t n = images(b, 2);
    check_bytes(b, n, CJ_OK, NULL);
    check_bytes(b, 3, CJ_ERR_FORMAT, "f: 3 bytes are too few for an IDX file");
    check_bytes(b, 0, CJ_ERR_FORMAT, "f: 0 bytes are too few for an IDX file");
    check_bytes(b, 15, CJ_ERR_FORMAT, "f: truncated: it ends within the IDX header");
    check_bytes(b, n - 1, CJ_ERR_FORMAT,
                "f: truncated: the IDX header says more bytes than the file can have (27)");
    check_bytes(b, n + 1, CJ_ERR_FORMAT, "f: more data than the 12 bytes its header says");
    b[0] = 'x';
    check_bytes(b, n, CJ_ERR_FORMAT,
                "f: is no IDX file: it begins with 0x78000803, not with two zeros");
    b[0] = 0, b[2] = 0x0d;
    check_bytes(b, n, CJ_ERR_UNSUPPORTED,
                "f: IDX type 0x0d is not supported, only 0x08 (unsigned bytes)");
    b[2] = 8, b[3] = 0;
    check_bytes(b, n, CJ_ERR_FORMAT, "f: IDX rank 0 is not between 1 and 4");
    b[3] = 5;
    check_bytes(b, n, CJ_ERR_FORMAT, "f: IDX rank 5 is not between 1 and 4");
    b[3] = 3;
    memset(b + 4, 0xff, 12);
    check_bytes(b, n, CJ_ERR_FORMAT,
                "f: truncated: the IDX header says more bytes than the file can have (28)");
    check_bytes("\xfd"
                "7zXZ\0..",
                8, CJ_ERR_UNSUPPORTED, "f: is packed with xz: unpack it first (xz -dk)");
}

#ifdef CJ_HAVE_ZLIB
static size_t pack(const unsigned char *bytes, size_t size, unsigned char *out, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)bytes, z.avail_in = (uInt)size, z.next_out = out, z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = room - z.avail_out;
    deflateEnd(&z);
    return n;
}

static void packed_files(void **state)
{
    (void)state;
    static unsigned char plain[2000], packed[4000];
    size_t size = images(plain, 100), n = pack(plain, size, packed, sizeof packed), m;
    check_bytes(packed, n, CJ_OK, NULL);
    for (size_t cut = 2; cut < n; cut++) { /* every truncation */
        cj_context *cj = test_context();
        cj_tensor *t;
        assert_int_equal(cj__idx_parse(cj, "f", packed, cut, &t), CJ_ERR_FORMAT);
        assert_non_null(strstr(cj_message(cj), "truncated"));
        assert_int_equal(cj_memory_used(cj), 0);
        cj_context_free(cj);
    }
    check_bytes(packed, n - 4, CJ_ERR_FORMAT,
                "f: truncated gzip: it ends in the middle, after 616 unpacked bytes");
    memcpy(packed + n, "junk", 4);
    check_bytes(packed, n + 4, CJ_ERR_FORMAT,
                "f: 4 bytes of garbage follow the end of the gzip data");
    m = pack(plain, 10, packed, sizeof packed); /* two members are one file */
    m += pack(plain + 10, size - 10, packed + m, sizeof packed - m);
    check_bytes(packed, m, CJ_OK, NULL);
    n = pack(plain, size - 6, packed, sizeof packed);
    check_bytes(packed, n, CJ_ERR_FORMAT,
                "f: truncated: 594 bytes of data, but its header says 600");
    n = pack(plain, size + 1, packed, sizeof packed);
    check_bytes(packed, n, CJ_ERR_FORMAT, "f: more data than the 600 bytes its header says");
    n = pack(plain, size, packed, sizeof packed);
    packed[n - 6] ^= 1; /* in the checksum */
    check_bytes(packed, n, CJ_ERR_FORMAT,
                "f: damaged gzip data after 616 unpacked bytes (incorrect data check)");
    n = pack(plain, 12, packed, sizeof packed);
    check_bytes(packed, n, CJ_ERR_FORMAT, "f: truncated: it ends within the IDX header");
}

/* A header that says 281 TB, in a packed file of 40 bytes; and one whose zeros are all there, but
 * more. */
static void bombs(void **state)
{
    (void)state;
    static unsigned char plain[1 << 19], packed[4000];
    char expected[200];
    images(plain, 0);
    memset(plain + 4, 0xff, 6);
    size_t n = pack(plain, 100, packed, sizeof packed);
    snprintf(expected, sizeof expected,
             "f: truncated: the IDX header says more bytes than the file can have (%zu)", n * 1032);
    check_bytes(packed, n, CJ_ERR_FORMAT, expected);
    memset(plain, 0, sizeof plain);
    images(plain, 3);
    n = pack(plain, sizeof plain, packed, sizeof packed);
    check_bytes(packed, n, CJ_ERR_FORMAT, "f: more data than the 18 bytes its header says");
}

/* Tables come packed too; one larger than the first piece, one cut short. */
static void packed_tables(void **state)
{
    (void)state;
    static unsigned char text[200000], packed[100000];
    char expected[200];
    size_t n = (size_t)sprintf((char *)text, "x\ty\n");
    for (int i = 0; i < 12000; i++)
        n += (size_t)sprintf((char *)text + n, "%d\t%d\n", i % 7, 2 * i);
    save("table.tsv", text, n);
    size_t m = pack(text, n, packed, sizeof packed);
    save("table.tsv.gz", packed, m);
    cj_context *cj = test_context();
    for (int gz = 0; gz < 2; gz++) {
        cj_dataset *ds = cj_dataset_open(cj, at(gz ? "table.tsv.gz" : "table.tsv"));
        float x, y;
        assert_parsed(cj, ds);
        assert_int_equal(cj_dataset_count(ds), 12000);
        assert_string_equal(cj_dataset_field(ds, 1)->name,
                            "target"); /* 12,000 integers are no classes */
        assert_int_equal(cj_dataset_read(ds, (int64_t[]){11999}, 1, 0, &x), CJ_OK);
        assert_int_equal(cj_dataset_read(ds, (int64_t[]){11999}, 1, 1, &y), CJ_OK);
        assert_true(x == 11999 % 7 && y == 2 * 11999);
    }
    assert_null(cj_dataset_open(cj, at("table.tsv"), .types = "y:categorical"));
    snprintf(expected, sizeof expected,
             "%s: column 'y' has more than 9999 different texts: too many for categories",
             at("table.tsv"));
    assert_message(cj, CJ_ERR_LIMIT, expected);
    save("cut.csv.gz", packed, m - 9);
    assert_null(cj_dataset_open(cj, at("cut.csv.gz")));
    assert_int_equal(cj_last_status(cj), CJ_ERR_FORMAT);
    assert_non_null(
        strstr(cj_message(cj), "cut.csv.gz: truncated gzip: it ends in the middle, after "));
    cj_context_free(cj);
    cj = cj_context_new(&(cj_config){.memory_limit_bytes = 1 << 20}); /* 64 MB of zeros in 64 KB */
    memset(text, 0, sizeof text);
    static unsigned char bomb[100000];
    z_stream z = {.next_out = bomb, .avail_out = sizeof bomb};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 320; i++) {
        z.next_in = text, z.avail_in = sizeof text;
        assert_true(deflate(&z, i == 319 ? Z_FINISH : Z_NO_FLUSH) >= 0);
    }
    save("bomb.csv.gz", bomb, sizeof bomb - z.avail_out);
    deflateEnd(&z);
    assert_null(cj_dataset_open(cj, at("bomb.csv.gz")));
    assert_int_equal(cj_last_status(cj), CJ_ERR_LIMIT);
    cj_context_free(cj);
}
#endif

static void parts_of_different_sizes(void **state)
{
    (void)state;
    unsigned char b[100] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2};
    char expected[200];
    save_pair("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 1);
    save("t10k-images-idx3-ubyte", b, 16 + 6);
    cj_context *cj = test_context();
    assert_null(cj_dataset_open(cj, folder, .split = "all"));
    snprintf(expected, sizeof expected, "%s: training and test samples are of different kinds",
             folder);
    assert_message(cj, CJ_ERR_SHAPE, expected);
    save("t10k-labels-idx1-ubyte", b, 16 + 6);
    assert_null(cj_dataset_open(cj, folder, .split = "test"));
    snprintf(expected, sizeof expected, "%s: labels have rank 1, not 3",
             at("t10k-labels-idx1-ubyte"));
    assert_message(cj, CJ_ERR_FORMAT, expected);
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_of_four_files), cmocka_unit_test(one_file_with_and_without_labels),
        cmocka_unit_test(parts_that_do_not_fit), cmocka_unit_test(hostile_headers),
        cmocka_unit_test(parts_of_different_sizes),
#ifdef CJ_HAVE_ZLIB
        cmocka_unit_test(packed_files), cmocka_unit_test(bombs),
        cmocka_unit_test(packed_tables),
#endif
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
