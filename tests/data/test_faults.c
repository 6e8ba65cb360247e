/* test_faults.c: every allocation and every file operation of opening, splitting and loading fails
 * in turn.
 *
 * A fault must never be taken for "the data set is not there" and end in other data: the run that
 * works checks its samples, so a silent change of source would be seen. */
#define _POSIX_C_SOURCE 200809L
#include "data_support.h"

#include <unistd.h>

#include "faults.h"

static char folder[] = "/tmp/cajal-faults-XXXXXX";

static void save(const char *name, const void *bytes, size_t size)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static const char table[] =
    "size,colour,species\n1,red,u\n2,\"bl\"\"ue\",v\n3,red,u\n4,red,v\n5,red,u\n6,red,v\n";

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    unsigned char images[16 + 24] = {0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0, 0, 2},
                              labels[8 + 6] = {0, 0, 8, 1, 0, 0, 0, 6, 0, 1, 0, 1, 0, 1};
    for (int i = 0; i < 24; i++) images[16 + i] = (unsigned char)i;
    save("train-images-idx3-ubyte", images, sizeof images);
    save("train-labels-idx1-ubyte", labels, sizeof labels);
    save("t10k-images-idx3-ubyte", images, sizeof images);
    save("t10k-labels-idx1-ubyte", labels, sizeof labels);
    save("table.csv", table, sizeof table - 1);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
                                        "table.csv"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder);
}

/* Reads an epoch by a loader, after a split; the sum of the indices is known. */
static cj_status use(cj_context *cj, cj_dataset *ds, bool threaded)
{
    cj_dataset *train = NULL, *held = NULL;
    cj_loader *l = NULL;
    cj_batch b;
    double mean[4];
    int64_t seen = 0;
    if (!ds) return cj_last_status(cj);
    cj_status failed = cj_dataset_split(ds, &train, &held, .fraction = 0.3, .seed = 3);
    if (!failed) failed = cj_dataset_statistics(train, 0, mean, NULL, NULL, NULL);
    if (!failed) {
        l = cj_loader_new(train, .batch_size = 3, .shuffle = true, .no_prefetch = !threaded,
                          .balanced = true);
        failed = l ? CJ_OK : cj_last_status(cj);
    }
    while (!failed && !(failed = cj_loader_next(l, &b)) && b.count > 0) seen += b.count;
    if (!failed) assert_int_equal(seen, cj_dataset_count(train));
    cj_loader_free(l);
    cj_dataset_free(train);
    cj_dataset_free(held);
    cj_dataset_free(ds);
    return failed;
}

/* arg: NULL, "all" or "all, streamed" */
static cj_status open_pictures(cj_context *cj, void *arg)
{
    const bool stream = arg && strstr(arg, "streamed");
    cj_dataset *ds = cj_dataset_open(cj, "mnist", .folder = folder, .split = arg ? "all" : "train",
                                     .limit = arg ? 11 : 0, .stream = stream);
    if (ds) {
        unsigned char pixels[4];
        cj_status failed = cj_dataset_read(ds, (int64_t[]){2}, 1, 0, pixels);
        if (failed && stream) return cj_dataset_free(ds), failed;
        assert_int_equal(failed, CJ_OK);
        assert_int_equal(pixels[3], 11);
        assert_int_equal(cj_dataset_count(ds), arg ? 11 : 6);
    }
    return use(cj, ds, false);
}

static cj_status open_table(cj_context *cj, void *arg)
{
    char path[200];
    snprintf(path, sizeof path, "%s/table.csv", folder);
    cj_dataset *ds = cj_dataset_open(cj, path, .target = "species", .types = "colour:categorical",
                                     .drop = "", .stream = arg != NULL);
    if (ds)
        assert_string_equal(cj_dataset_field(ds, 0)->column_info[1].category_names[0], "bl\"ue");
    return use(cj, ds, false);
}

static cj_status read_ahead(cj_context *cj, void *arg)
{
    (void)arg;
    return use(cj, parse(cj, table, NULL), true);
}

static cj_status mistakes(cj_context *cj, void *arg)
{
    static const cj_dataset_opts opts = {.target = "spezies"};
    (void)arg;
    if (parse(cj, table, &opts)) return CJ_ERR_STATE;
    return cj_last_status(cj) == CJ_ERR_NOT_FOUND ? CJ_OK : cj_last_status(cj);
}

static const char *const formats[][2] = {
    {"t.jsonl",
     "{\"a\":{\"b\":[1,2]},\"w\":1,\"y\":\"\\u00e4\"}\n{\"y\":\"v\",\"w\":0,\"a\":{\"b\":[3,4]}}"},
    {"t.arff",
     "@attribute 'a\\'b' real\n@attribute c {u,v}\n@attribute w real\n@attribute y {p,q}\n"
     "@data\n1,u,2,p,{2}\n{0 4, 3 q}\n"},
    {"t.svm", "# c\n-1 1:1 3:2\n+1 2:5\n1 qid:1 3:1\n"},
    {"t.fwf", "a    w y\n1.5  1 u\n22   2 v\n3    3 u\n"}};

static cj_status parse_format(cj_context *cj, void *arg)
{
    const char *const *format = arg;
    cj_dataset_opts opts = {.weight = strstr(format[1], "w") ? "w" : NULL};
    cj_dataset *ds = cj__table_parse(cj, format[0], format[1], strlen(format[1]), &opts);
    if (!ds) return cj_last_status(cj);
    assert_true(cj_dataset_count(ds) >= 2);
    assert_int_equal(cj_dataset_fields(ds), opts.weight ? 3 : 2);
    cj_dataset_free(ds);
    return CJ_OK;
}

static void every_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(formats); i++)
        assert_true(faults_sweep_memory(parse_format, (void *)formats[i], NULL, 0) > 10);
    assert_true(faults_sweep_memory(open_pictures, NULL, NULL, 0) > 50);
    assert_true(faults_sweep_memory(open_pictures, "all", NULL, 0) > 50);
    assert_true(faults_sweep_memory(open_pictures, "all, streamed", NULL, 0) > 50);
    assert_true(faults_sweep_memory(open_table, NULL, NULL, 0) > 50);
    assert_true(faults_sweep_memory(open_table, "streamed", NULL, 0) > 80);
    assert_true(faults_sweep_memory(read_ahead, NULL, NULL, 0) > 50);
    assert_true(faults_sweep_memory(mistakes, NULL, NULL, 0) >= 10);
}

static void every_file_operation(void **state)
{
    (void)state;
    assert_true(faults_sweep_files(open_pictures, NULL, NULL) > 30);
    assert_true(faults_sweep_files(open_pictures, "all", NULL) > 30);
    assert_true(faults_sweep_files(open_pictures, "all, streamed", NULL) > 30);
    assert_true(faults_sweep_files(open_table, NULL, NULL) > 10);
    assert_true(faults_sweep_files(open_table, "streamed", NULL) > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation),
                                       cmocka_unit_test(every_file_operation)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
