/* test_stream.c: samples that stay in their file are the ones that loading gives; data sets put
 * together and dealt out; what cannot be streamed. */
#define _DEFAULT_SOURCE
#include "data_support.h"

#include <unistd.h>

#include <cajal/io.h>

#include "data/table.h"

static char folder[] = "/tmp/cajal-stream-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static void remove_files(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s/*", folder);
    assert_int_equal(system(command), 0);
}

/* Element i is (first + 7 i) mod `modulus`. */
static void write_array(cj_context *cj, const char *name, cj_dtype dtype, int rank,
                        const int64_t *shape, int64_t first, int64_t modulus)
{
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, shape);
    void *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        cj_store_i64(dtype, v, (size_t)i, (first + 7 * i) % modulus);
    cj_tensor_unmap(t);
    assert_int_equal(cj_npy_save(cj, in_folder(name), t), CJ_OK);
    cj_tensor_free(t);
}

/* The same fields, and the same samples whatever the order they are asked for in. */
static void same_samples(cj_context *cj, const cj_dataset *a, const cj_dataset *b)
{
    assert_parsed(cj, a);
    assert_parsed(cj, b);
    const int64_t n = cj_dataset_count(a);
    assert_int_equal(cj_dataset_count(b), n);
    assert_int_equal(cj_dataset_fields(a), cj_dataset_fields(b));
    assert_string_equal(cj_dataset_name(a), cj_dataset_name(b));
    int64_t indices[300];
    uint32_t seed = 1;
    for (int f = 0; f < cj_dataset_fields(a); f++) {
        const cj_field *x = cj_dataset_field(a, f), *y = cj_dataset_field(b, f);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->dtype, y->dtype);
        assert_int_equal(x->rank, y->rank);
        assert_int_equal(x->classes, y->classes);
        size_t size = cj_dtype_info(x->dtype)->bits / 8;
        for (int i = 0; i < x->rank; i++) {
            assert_int_equal(x->shape[i], y->shape[i]);
            size *= (size_t)x->shape[i];
        }
        unsigned char *p = malloc(300 * size), *q = malloc(300 * size);
        for (int k = 0; k < 20; k++) {
            const int64_t count = k == 0 ? (n < 300 ? n : 300) : k;
            for (int64_t i = 0; i < count; i++) {
                seed = seed * 1664525u + 1013904223u;
                indices[i] = k % 3 == 0 ? (k + i) % n : (int64_t)(seed >> 8) % n;
            }
            assert_int_equal(cj_dataset_read(a, indices, count, f, p), CJ_OK);
            if (cj_dataset_read(b, indices, count, f, q)) fail_msg("%s", cj_message(cj));
            assert_memory_equal(p, q, (size_t)count * size);
        }
        free(p);
        free(q);
    }
}

static void arrays(void **state)
{
    (void)state;
    static const char *const splits[] = {"train", "test", "all", "auto"};
    cj_context *cj = test_context();
    write_array(cj, "x_train.npy", CJ_U8, 4, (int64_t[]){50, 6, 5, 3}, 3, 251);
    write_array(cj, "y_train.npy", CJ_I64, 1, (int64_t[]){50}, 0, 4);
    write_array(cj, "x_test.npy", CJ_U8, 4, (int64_t[]){20, 6, 5, 3}, 9, 256);
    write_array(cj, "y_test.npy", CJ_I64, 2, (int64_t[]){20, 1}, 1, 3); /* without class 3 */
    for (int i = 0; i < 4; i++)
        for (int limit = 0; limit < 80; limit += 15) {
            cj_dataset *a = cj_dataset_open(cj, folder, .split = splits[i], .limit = limit),
                       *b = cj_dataset_open(cj, folder, .split = splits[i], .limit = limit,
                                            .stream = true);
            same_samples(cj, a, b);
            assert_int_equal(cj_dataset_field(a, 1)->classes, 4);
            cj_dataset_free(a);
            cj_dataset_free(b);
        }
    remove_files();
    write_array(cj, "features.npy", CJ_F64, 2, (int64_t[]){40, 3}, 3, 1000);
    write_array(cj, "targets.npy", CJ_F32, 1, (int64_t[]){40}, 3, 1000);
    same_samples(cj, cj_dataset_open(cj, folder), cj_dataset_open(cj, folder, .stream = true));
    same_samples(cj, cj_dataset_open(cj, in_folder("features.npy")),
                 cj_dataset_open(cj, in_folder("features.npy"), .stream = true));
    assert_null(cj_dataset_open(cj, folder, .split = "test"));
    assert_non_null(strstr(cj_message(cj), ": has no x_test.npy"));
    cj_context_free(cj);
    remove_files();
}

static void write_idx(const char *name, int rank, const unsigned char *shape, unsigned first)
{
    unsigned char bytes[4096] = {0, 0, 8, (unsigned char)rank};
    size_t at = 4, n = 1;
    for (int i = 0; i < rank; i++, at += 4) bytes[at + 3] = shape[i], n *= shape[i];
    for (size_t i = 0; i < n; i++)
        bytes[at + i] = (unsigned char)((first + 7 * i) % (rank == 1 ? 10 : 256));
    write_file(name, bytes, at + n);
}

static void pictures(void **state)
{
    (void)state;
    static const char *const splits[] = {"train", "test", "all"};
    cj_context *cj = test_context();
    write_idx("train-images-idx3-ubyte", 3, (unsigned char[]){60, 4, 5}, 1);
    write_idx("train-labels-idx1-ubyte", 1, (unsigned char[]){60}, 2);
    write_idx("t10k-images-idx3-ubyte", 4, (unsigned char[]){30, 4, 5, 1}, 3);
    write_idx("t10k-labels-idx1-ubyte", 1, (unsigned char[]){30}, 4);
    for (int i = 0; i < 3; i++)
        for (int limit = 0; limit < 100; limit += 35)
            same_samples(cj, cj_dataset_open(cj, folder, .split = splits[i], .limit = limit),
                         cj_dataset_open(cj, folder, .split = splits[i], .limit = limit,
                                         .stream = true));
    const char *file = in_folder("t10k-images-idx3-ubyte");
    same_samples(cj, cj_dataset_open(cj, file), cj_dataset_open(cj, file, .stream = true));
    cj_context_free(cj);
    remove_files();
}

/* 8 MB where 1 MB is allowed: cannot be loaded, can be streamed, batch for batch. */
static void more_than_memory(void **state)
{
    (void)state;
    enum { N = 4096, WIDTH = 512 };
    cj_context *all = test_context(),
               *cj = cj_context_new(&(cj_config){.memory_limit_bytes = 1 << 20});
    write_array(all, "x.npy", CJ_F32, 2, (int64_t[]){N, WIDTH}, 0, 65521);
    write_array(all, "y.npy", CJ_U8, 1, (int64_t[]){N}, 0, 10);
    assert_null(cj_dataset_open(cj, folder));
    assert_int_equal(cj_last_status(cj), CJ_ERR_LIMIT);
    cj_dataset *ds = cj_dataset_open(cj, folder, .stream = true);
    assert_parsed(cj, ds);
    cj_loader *l = cj_loader_new(ds, .batch_size = 64, .shuffle = true, .seed = 5);
    cj_batch b;
    int64_t seen = 0;
    while (assert_int_equal(cj_loader_next(l, &b), CJ_OK), b.count) {
        const float *x = cj_tensor_map_read(b.tensors[0]);
        const int32_t *y = cj_tensor_map_read(b.tensors[1]);
        for (int64_t i = 0; i < b.count; i++) {
            assert_int_equal(y[i], 7 * b.indices[i] % 10);
            for (int64_t k = 0; k < WIDTH; k += 37)
                if (x[i * WIDTH + k] != (float)(7 * (b.indices[i] * WIDTH + k) % 65521))
                    fail_msg("sample %lld, number %lld", (long long)b.indices[i], (long long)k);
        }
        cj_tensor_unmap(b.tensors[0]);
        cj_tensor_unmap(b.tensors[1]);
        seen += b.count;
    }
    assert_int_equal(seen, N);
    cj_context_free(cj);
    cj_context_free(all);
    remove_files();
}

/* A file that is cut while it is read from: the batch it shows in fails, the program goes on. */
static void cut_meanwhile(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    write_array(cj, "x.npy", CJ_F32, 2, (int64_t[]){100, 8}, 0, 1000);
    cj_dataset *ds = cj_dataset_open(cj, in_folder("x.npy"), .stream = true);
    assert_parsed(cj, ds);
    assert_int_equal(truncate(in_folder("x.npy"), 128 + 50 * 32 + 5), 0);
    float sample[8];
    assert_int_equal(cj_dataset_read(ds, (int64_t[]){49}, 1, 0, sample), CJ_OK);
    assert_int_equal(cj_dataset_read(ds, (int64_t[]){50}, 1, 0, sample), CJ_ERR_IO);
    char expected[300];
    snprintf(expected, sizeof expected,
             "cannot read '%s': it ends at byte 1733, before byte 1760", in_folder("x.npy"));
    assert_string_equal(cj_message(cj), expected);
    cj_context_free(cj);
    remove_files();
}

static void assert_refused(cj_context *cj, const char *name, cj_status status, const char *message)
{
    char expected[500];
    assert_null(cj_dataset_open(cj, in_folder(name), .stream = true));
    snprintf(expected, sizeof expected, "%s: %s", in_folder(name), message);
    assert_message(cj, status, expected);
}

static void write_npy(const char *name, const char *descr, const char *fortran)
{
    char bytes[128 + 48] = "\x93NUMPY\1", text[119];
    snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': (4, 3), }", descr,
             fortran);
    memset(bytes + 10, ' ', 117);
    memcpy(bytes + 10, text, strlen(text));
    bytes[8] = 118;
    bytes[127] = '\n';
    write_file(name, bytes, sizeof bytes);
}

static void what_cannot_be_streamed(void **state)
{
    (void)state;
    static const char rows[] = "has its columns one after the other, or its bytes the other way "
                               "round; streaming needs rows as numpy.ascontiguousarray saves them";
    cj_context *cj = test_context();
    write_npy("fortran.npy", "<f4", "True");
    assert_refused(cj, "fortran.npy", CJ_ERR_UNSUPPORTED, rows);
    write_npy("swapped.npy", ">f4", "False");
    assert_refused(cj, "swapped.npy", CJ_ERR_UNSUPPORTED, rows);
    write_file("a-images-idx3-ubyte.gz", "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
    assert_refused(cj, "a-images-idx3-ubyte.gz", CJ_ERR_UNSUPPORTED,
                   "is packed, so it cannot be streamed: unpack it first (gunzip -k), or leave "
                   "stream out");
    cj_tensors *list = cj_tensors_new(cj);
    int64_t n = 3;
    assert_int_equal(cj_tensors_add(list, "x", cj_tensor_new(cj, CJ_F32, 1, &n)), CJ_OK);
    assert_int_equal(cj_npz_save(cj, in_folder("a.npz"), list, false), CJ_OK);
    cj_tensors_free(list);
    assert_refused(cj, "a.npz", CJ_ERR_UNSUPPORTED,
                   "an archive cannot be streamed; a folder of .npy files can (unzip it)");
    write_idx("b-images-idx3-ubyte", 3, (unsigned char[]){3, 4, 5}, 1);
    assert_int_equal(truncate(in_folder("b-images-idx3-ubyte"), 40), 0);
    assert_refused(cj, "b-images-idx3-ubyte", CJ_ERR_FORMAT,
                   "truncated: the IDX header says more bytes than the file can have (40)");
    cj_context_free(cj);
    remove_files();
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Rows that make every hard case: quotes with line ends and delimiters in them, blank lines, both
 * line ends, texts that come late, missing cells, weights. */
static size_t write_table(const char *name, int rows, const char *end, bool bom)
{
    static const char *const colours[] = {"red", "green", "blue", "\"dark, red\"",
                                          "\"two\nlines\"", "\"say \"\"x\"\"\""};
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    if (bom) fputs("\xef\xbb\xbf", f);
    fprintf(f, "width,colour,n,kind,w%s", end);
    for (int i = 0; i < rows; i++) {
        if (i % 17 == 5) fputs(end, f);
        if (i % 11 == 7) fprintf(f, ",red,3,a,1%s", end); /* a missing cell */
        fprintf(f, "%d.%d,%s,%d,%s,%g%s", i * 13 % 97, i % 10,
                colours[(i * 7 + i / 13) % (i < rows / 2 ? 3 : 6)], i * 5 % 23,
                i % 3 ? "a" : i % 2 ? "b" : "c", 0.5 * (i % 4), end);
    }
    const long size = ftell(f);
    fclose(f);
    return (size_t)size;
}

static const size_t part_sizes[] = {230, 300, 1000, 1 << 20};
enum { PART_SIZES = sizeof part_sizes / sizeof *part_sizes };

static void same_columns(const cj_field *x, const cj_field *y)
{
    assert_int_equal(x->columns, y->columns);
    for (int i = 0; i < x->columns; i++) {
        const cj_column *a = &x->column_info[i], *b = &y->column_info[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->categories, b->categories);
        for (int k = 0; k < a->categories; k++)
            assert_string_equal(a->category_names[k], b->category_names[k]);
    }
    for (int k = 0; x->class_names && k < x->classes; k++)
        assert_string_equal(x->class_names[k], y->class_names[k]);
}

static void same_table(cj_context *cj, const char *name, cj_dataset_opts opts)
{
    opts.source = in_folder(name);
    cj_dataset *whole = (cj_dataset_open)(cj, &opts);
    assert_parsed(cj, whole);
    opts.stream = true;
    for (int k = 0; k < PART_SIZES; k++) {
        cj_dataset *ds = cj__table_stream_open(cj, opts.source, &opts, part_sizes[k]);
        same_samples(cj, whole, ds);
        for (int f = 0; f < cj_dataset_fields(ds); f++)
            same_columns(cj_dataset_field(whole, f), cj_dataset_field(ds, f));
        double mean[2][8], deviation[2][8];
        assert_int_equal(cj_dataset_statistics(whole, 0, mean[0], deviation[0], NULL, NULL), CJ_OK);
        assert_int_equal(cj_dataset_statistics(ds, 0, mean[1], deviation[1], NULL, NULL), CJ_OK);
        const size_t bytes = (size_t)cj_field_channels(cj_dataset_field(ds, 0)) * sizeof(double);
        assert_memory_equal(mean[0], mean[1], bytes);
        assert_memory_equal(deviation[0], deviation[1], bytes);
        cj_dataset_free(ds);
    }
    cj_dataset_free(whole);
}

static void tables(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    for (int e = 0; e < 3; e++) {
        write_table("t.csv", 200, ends[e], e == 1);
        for (int limit = 0; limit < 230; limit += 57) {
            cj_dataset_opts o = {.missing = CJ_MISSING_DROP, .target = "kind", .limit = limit};
            same_table(cj, "t.csv", o);
            o.weight = "w";
            same_table(cj, "t.csv", o);
            o.target = "n"; /* integers: more than 20 different ones are numbers */
            same_table(cj, "t.csv", o);
            o.types = "n:categorical,w:numeric";
            o.drop = "width";
            same_table(cj, "t.csv", o);
            o = (cj_dataset_opts){.missing = CJ_MISSING_DROP, .no_target = true, .limit = limit};
            same_table(cj, "t.csv", o);
        }
    }
    FILE *f = fopen(in_folder("numbers.tsv"), "wb");
    for (int i = 0; i < 150; i++) fprintf(f, "%d\t%d.5\t%d\n", i, 7 * i % 50, i % 4);
    fclose(f);
    same_table(cj, "numbers.tsv", (cj_dataset_opts){.limit = 0});
    same_table(cj, "numbers.tsv", (cj_dataset_opts){.limit = 100, .header = CJ_HEADER_NO});
    cj_context_free(cj);
    remove_files();
}

/* A model's columns and classes, given by texts that are gone when samples are read. */
static void tables_of_a_model(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    write_table("t.csv", 120, "\n", false);
    cj_dataset_opts o = {.missing = CJ_MISSING_DROP, .target = "kind", .drop = "w"};
    o.source = in_folder("t.csv");
    cj_dataset *model = (cj_dataset_open)(cj, &o);
    assert_parsed(cj, model);
    const cj_field *x = cj_dataset_field(model, 0), *y = cj_dataset_field(model, 1);
    o.columns = x->columns;
    o.column_info = x->column_info;
    o.classes = y->classes;
    o.class_names = y->class_names;
    cj_dataset *ds = cj__table_stream_open(cj, o.source, &o, 300);
    assert_parsed(cj, ds);
    float before[120][3], after[120][3];
    int64_t all[120];
    for (int i = 0; i < 120; i++) all[i] = (i * 7) % 120;
    assert_int_equal(cj_dataset_read(model, all, 120, 0, before), CJ_OK);
    cj_dataset_free(model);
    assert_int_equal(cj_dataset_read(ds, all, 120, 0, after), CJ_OK);
    assert_memory_equal(before, after, sizeof before);
    cj_context_free(cj);
    remove_files();
}

/* What is wrong with a file is told in the same words. */
static void bad_tables(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        cj_dataset_opts opts;
    } cases[] = {{"1,red,2,a\n", {.limit = 0}},
                 {"1,red,2,a,1,5\n", {.limit = 0}},
                 {"x,red,2,a,1\n", {.limit = 0}},
                 {"1,red,2,a,-1\n", {.weight = "w"}},
                 {",red,2,a,1\n", {.limit = 0}},
                 {"1,red,2,a,1e99\n", {.types = "w:numeric"}},
                 {"1,\"red,2,a,1\n", {.limit = 0}},
                 {"1,\"red\"x,2,a,1\n", {.limit = 0}},
                 {"1,red,2,d,1\n", {.classes = 2, .target = "kind"}}};
    cj_context *cj = test_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < PART_SIZES; k++) {
            char message[500];
            FILE *f = fopen(in_folder("t.csv"), "wb");
            fputs("width,colour,n,kind,w\n", f);
            for (int r = 0; r < 90; r++)
                fprintf(f, "%d,%s,%d,%s,1\n", r, r % 2 ? "red" : "blue", r % 5, r % 3 ? "a" : "b");
            fputs(cases[i].row, f);
            for (int r = 0; r < 40; r++) fprintf(f, "%d,red,1,a,2\n", r);
            fclose(f);
            cj_dataset_opts o = cases[i].opts;
            o.source = in_folder("t.csv");
            assert_null((cj_dataset_open)(cj, &o));
            snprintf(message, sizeof message, "%s", cj_message(cj));
            const cj_status status = cj_last_status(cj);
            o.stream = true;
            assert_null(cj__table_stream_open(cj, o.source, &o, part_sizes[k]));
            assert_message(cj, status, message);
        }
    assert_null(cj_dataset_open(cj, in_folder("t.csv"), .stream = true, .format = "jsonl"));
    assert_non_null(strstr(cj_message(cj), ": jsonl cannot be streamed, only csv can; leave"));
    write_file("t.csv.gz", "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
    assert_refused(cj, "t.csv.gz", CJ_ERR_UNSUPPORTED,
                   "is packed, so it cannot be streamed: unpack it first (gunzip -k), or leave "
                   "stream out");
    write_file("t.csv", "", 0);
    assert_refused(cj, "t.csv", CJ_ERR_DATA, "is empty: it has no rows");
    cj_context_free(cj);
    remove_files();
}

static void table_changed_meanwhile(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    const size_t size = write_table("t.csv", 100, "\n", false);
    cj_dataset_opts o = {.missing = CJ_MISSING_DROP, .target = "kind", .stream = true};
    o.source = in_folder("t.csv");
    cj_dataset *ds = (cj_dataset_open)(cj, &o);
    assert_parsed(cj, ds);
    float sample[4];
    FILE *f = fopen(o.source, "r+b");
    assert_int_equal(fseek(f, (long)size - 30, SEEK_SET), 0);
    fputs("xxxxxxxxxxxxxxxxxxxxxxxx", f);
    fclose(f);
    assert_int_equal(cj_dataset_read(ds, (int64_t[]){3}, 1, 0, sample), CJ_OK);
    assert_int_not_equal(cj_dataset_read(ds, (int64_t[]){99}, 1, 0, sample), CJ_OK);
    assert_non_null(strstr(cj_message(cj), "; the file has changed since it was opened"));
    cj_context_free(cj);
    remove_files();
}

/* 60 columns, 6,000 rows, 1.5 MB of text, 1.4 MB of features, under 1 MB. */
static void table_larger_than_memory(void **state)
{
    (void)state;
    enum { ROWS = 6000, COLUMNS = 60 };
    cj_context *cj = cj_context_new(&(cj_config){.memory_limit_bytes = 1 << 20});
    FILE *f = fopen(in_folder("big.csv"), "wb");
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k <= COLUMNS; k++)
            fprintf(f, k < COLUMNS ? "%d," : "%d\n", k < COLUMNS ? i * 31 % 1000 + k : i % 3);
    fclose(f);
    assert_null(cj_dataset_open(cj, in_folder("big.csv"), .header = CJ_HEADER_NO));
    assert_int_equal(cj_last_status(cj), CJ_ERR_LIMIT);
    cj_dataset_opts o = {.header = CJ_HEADER_NO, .stream = true};
    cj_dataset *ds = cj__table_stream_open(cj, in_folder("big.csv"), &o, 1 << 14);
    assert_parsed(cj, ds);
    cj_loader *l = cj_loader_new(ds, .batch_size = 50, .shuffle = true);
    cj_batch b;
    int64_t seen = 0;
    while (assert_int_equal(cj_loader_next(l, &b), CJ_OK), b.count) {
        const float *x = cj_tensor_map_read(b.tensors[0]);
        for (int64_t i = 0; i < b.count; i++)
            for (int k = 0; k < COLUMNS; k++)
                assert_true(x[i * COLUMNS + k] == (float)(b.indices[i] * 31 % 1000 + k));
        cj_tensor_unmap(b.tensors[0]);
        seen += b.count;
    }
    assert_int_equal(seen, ROWS);
    cj_context_free(cj);
    remove_files();
}

/* ---- Put together and dealt out -------------------------------------------------------------- */

static cj_dataset *numbers(cj_context *cj, int64_t n, int first)
{
    cj_tensor *x = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){n, 2}),
              *y = cj_tensor_new(cj, CJ_I32, 1, &n);
    float *v = cj_tensor_map(x, CJ_MAP_WRITE);
    int32_t *label = cj_tensor_map(y, CJ_MAP_WRITE);
    for (int64_t i = 0; i < n; i++) {
        v[2 * i] = v[2 * i + 1] = (float)(first + i);
        label[i] = i == 0 ? 4 : (int32_t)(i % 5);
    }
    cj_tensor_unmap(x);
    cj_tensor_unmap(y);
    cj_dataset *ds = cj_dataset_from_tensors(cj, x, y);
    cj_tensor_free(x);
    cj_tensor_free(y);
    return ds;
}

static int number_of(const cj_dataset *ds, int64_t i)
{
    float v[2];
    assert_int_equal(cj_dataset_read(ds, &i, 1, 0, v), CJ_OK);
    assert_true(v[0] == v[1]);
    return (int)v[0];
}

static void concatenated(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *whole = numbers(cj, 20, 100), *parts[4] = {
        numbers(cj, 7, 0), cj_dataset_take(whole, 5, 3), cj_dataset_take(whole, 0, 0),
        numbers(cj, 1, 50)};
    cj_dataset *all = cj_dataset_concatenate(parts, 4);
    assert_parsed(cj, all);
    for (int i = 0; i < 4; i++) cj_dataset_free(parts[i]);
    cj_dataset_free(whole);
    static const int expected[11] = {0, 1, 2, 3, 4, 5, 6, 105, 106, 107, 50};
    assert_int_equal(cj_dataset_count(all), 11);
    for (int i = 0; i < 11; i++) assert_int_equal(number_of(all, i), expected[i]);
    static const int64_t mixed[6] = {10, 0, 8, 7, 9, 6};
    float v[12];
    assert_int_equal(cj_dataset_read(all, mixed, 6, 0, v), CJ_OK);
    for (int i = 0; i < 6; i++) assert_int_equal((int)v[2 * i], expected[mixed[i]]);
    cj_dataset *view = cj_dataset_take(all, 6, 3);
    cj_dataset_free(all);
    assert_int_equal(number_of(view, 2), 106);
    cj_context_free(cj);
}

static cj_dataset *with_field(cj_context *cj, cj_field field)
{
    static const cj_dataset_source nothing;
    cj_dataset_source source = nothing;
    source.count = 0;
    source.name = field.classes ? "other" : "made";
    source.field_count = 1;
    source.fields = &field;
    source.read = (cj_status (*)(cj_context *, void *, const int64_t *, int64_t, int, void *))abort;
    return cj_dataset_new(cj, &source);
}

static void what_does_not_fit_together(void **state)
{
    (void)state;
    static const char *const ab[] = {"a", "b"}, *const ac[] = {"a", "c"};
    static const cj_column one = {.name = "h"}, two = {.name = "w"};
    const cj_field base = {.name = "x", .dtype = CJ_I32};
    struct {
        cj_field a, b;
        const char *what;
    } cases[] = {
        {base, {.name = "y", .dtype = CJ_I32}, "names"},
        {base, {.name = "x", .dtype = CJ_I64}, "types"},
        {base, {.name = "x", .dtype = CJ_I32, .rank = 1, .shape = {1}}, "shapes"},
        {base, {.name = "x", .dtype = CJ_I32, .role = CJ_FIELD_TARGET}, "roles"},
        {base, {.name = "x", .dtype = CJ_I32, .classes = 2}, "classes"},
        {{.name = "x", .dtype = CJ_I32, .classes = 2, .class_names = ab},
         {.name = "x", .dtype = CJ_I32, .classes = 2, .class_names = ac},
         "classes"},
        {{.name = "x", .dtype = CJ_F32, .rank = 1, .shape = {1}, .columns = 1, .column_info = &one},
         {.name = "x", .dtype = CJ_F32, .rank = 1, .shape = {1}, .columns = 1, .column_info = &two},
         "columns"}};
    cj_context *cj = test_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_dataset *parts[2] = {with_field(cj, cases[i].a), with_field(cj, cases[i].b)};
        char expected[200];
        assert_null(cj_dataset_concatenate(parts, 2));
        snprintf(expected, sizeof expected,
                 "concatenate: field 'x' of %s and field '%s' of %s have different %s",
                 cj_dataset_name(parts[0]), cases[i].b.name, cj_dataset_name(parts[1]),
                 cases[i].what);
        assert_message(cj, CJ_ERR_SHAPE, expected);
    }
    cj_dataset *parts[2] = {numbers(cj, 3, 0), with_field(cj, base)};
    assert_null(cj_dataset_concatenate(parts, 2));
    assert_message(cj, CJ_ERR_SHAPE, "concatenate: made has 1 fields, and memory 2");
    assert_null(cj_dataset_concatenate(parts, 0));
    parts[1] = NULL;
    assert_null(cj_dataset_concatenate(parts, 2));
    cj_context_free(cj);
}

static void shards(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_dataset *ds = numbers(cj, 23, 0);
    for (int n = 1; n < 30; n++) {
        int seen[23] = {0};
        for (int k = 0; k < n; k++) {
            cj_dataset *part = cj_dataset_shard(ds, n, k);
            assert_parsed(cj, part);
            const int64_t count = cj_dataset_count(part);
            assert_true(count == 23 / n || count == 23 / n + 1);
            for (int64_t i = 0; i < count; i++) seen[number_of(part, i)]++;
            cj_dataset_free(part);
        }
        for (int i = 0; i < 23; i++) assert_int_equal(seen[i], 1);
    }
    assert_null(cj_dataset_shard(ds, 3, 3));
    assert_message(cj, CJ_ERR_ARGUMENT, "memory: shard 3 of 3; there are 0 to count - 1");
    assert_null(cj_dataset_shard(ds, 0, 0));
    assert_null(cj_dataset_shard(ds, 2, -1));
    assert_null(cj_dataset_shard(NULL, 2, 0));
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays),
        cmocka_unit_test(pictures),
        cmocka_unit_test(more_than_memory),
        cmocka_unit_test(cut_meanwhile),
        cmocka_unit_test(what_cannot_be_streamed),
        cmocka_unit_test(tables),
        cmocka_unit_test(tables_of_a_model),
        cmocka_unit_test(bad_tables),
        cmocka_unit_test(table_changed_meanwhile),
        cmocka_unit_test(table_larger_than_memory),
        cmocka_unit_test(concatenated),
        cmocka_unit_test(what_does_not_fit_together),
        cmocka_unit_test(shards),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
