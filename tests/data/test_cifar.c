/* test_cifar.c: CIFAR's binary files made here record by record; the real ones where they are and
 * xz can unpack them; hostile ones by their whole message. */
#define _POSIX_C_SOURCE 200809L
#include "data_support.h"

#include <unistd.h>

#include "data/cifar.h"

enum { PIXELS = 3072, MOST = 40 };

static char folder[] = "/tmp/cajal-cifar-XXXXXX";
static unsigned char bytes[MOST * (PIXELS + 2)];

static const char *at(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 200, "%s/%s", folder, name);
    return path;
}

static void save(const char *name, size_t size)
{
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Colour c of pixel p of picture i. */
static unsigned char colour(int i, int p, int c) { return (unsigned char)(i * 7 + p * 3 + c * 50); }

/* n records; the labels are i % classes, the coarse ones 200. */
static size_t records(int n, int label_bytes, int classes)
{
    unsigned char *b = bytes;
    for (int i = 0; i < n; i++) {
        if (label_bytes == 2) *b++ = 200;
        *b++ = (unsigned char)(i % classes);
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < PIXELS / 3; p++) *b++ = colour(i, p, c);
    }
    return (size_t)(b - bytes);
}

static void check(const cj_dataset *ds, int64_t sample, int picture, int label)
{
    unsigned char pixels[PIXELS];
    int32_t found;
    assert_int_equal(cj_dataset_read(ds, &sample, 1, 0, pixels), CJ_OK);
    for (int p = 0; p < PIXELS / 3; p++)
        for (int c = 0; c < 3; c++)
            if (pixels[3 * p + c] != colour(picture, p, c))
                fail_msg("sample %d, pixel %d, colour %d", (int)sample, p, c);
    assert_int_equal(cj_dataset_read(ds, &sample, 1, 1, &found), CJ_OK);
    assert_int_equal(found, label);
}

static void clear(void)
{
    static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "test_batch.bin",   "train.bin",        "test.bin",
                                        "odd.bin",          "test_batch.bin.xz"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) remove(at(names[i]));
}

static void ten_classes(void **state)
{
    (void)state;
    save("data_batch_1.bin", records(5, 1, 10));
    save("data_batch_2.bin", records(12, 1, 10));
    save("test_batch.bin", records(3, 1, 10));
    cj_context *cj = test_context();
    cj_dataset *train = cj_dataset_open(cj, folder),
               *test = cj_dataset_open(cj, folder, .split = "test"),
               *all = cj_dataset_open(cj, "cifar10", .folder = folder, .split = "all"),
               *few = cj_dataset_open(cj, folder, .limit = 7),
               *file = cj_dataset_open(cj, at("data_batch_2.bin")),
               *plain = cj_dataset_open(cj, folder, .no_target = true);
    assert_parsed(cj, train);
    assert_parsed(cj, test);
    assert_parsed(cj, all);
    assert_parsed(cj, few);
    assert_parsed(cj, file);
    assert_parsed(cj, plain);
    assert_int_equal(cj_dataset_count(train), 17);
    assert_int_equal(cj_dataset_count(test), 3);
    assert_int_equal(cj_dataset_count(all), 20);
    assert_int_equal(cj_dataset_count(few), 7);
    assert_int_equal(cj_dataset_count(file), 12);
    assert_null(cj_dataset_field(plain, 1));
    const cj_field *x = cj_dataset_field(all, 0), *y = cj_dataset_field(all, 1);
    assert_true(x->rank == 3 && x->shape[0] == 32 && x->shape[1] == 32 && x->shape[2] == 3);
    assert_int_equal(y->classes, 10);
    assert_string_equal(y->class_names[9], "truck");
    check(train, 4, 4, 4);
    check(train, 5, 0, 0);
    check(all, 16, 11, 1);
    check(all, 19, 2, 2);
    check(file, 11, 11, 1);
    cj_context_free(cj);
    clear();
}

static void hundred_classes(void **state)
{
    (void)state;
    save("train.bin", records(40, 2, 100));
    save("test.bin", records(2, 2, 100));
    cj_context *cj = test_context();
    cj_dataset *all = cj_dataset_open(cj, "cifar100", .folder = folder, .split = "all"),
               *file = cj_dataset_open(cj, at("train.bin"));
    assert_parsed(cj, all);
    assert_parsed(cj, file);
    assert_int_equal(cj_dataset_count(all), 42);
    assert_int_equal(cj_dataset_field(all, 1)->classes, 100);
    assert_string_equal(cj_dataset_field(all, 1)->class_names[99], "worm");
    check(all, 39, 39, 39);
    check(all, 41, 1, 1);
    check(file, 39, 39, 39);
    cj_context_free(cj);
    clear();
}

static void refused(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    char expected[400];
    cj__pictures p;
    assert_int_equal(cj__cifar_parse(cj, "f", bytes, 0, 1, &p), CJ_ERR_FORMAT);
    assert_message(cj, CJ_ERR_FORMAT, "f: 0 bytes are no number of CIFAR records of 3073 bytes");
    assert_int_equal(cj__cifar_parse(cj, "f", bytes, 3073, 2, &p), CJ_ERR_FORMAT);
    assert_true(!p.images && !p.labels);
    save("odd.bin", records(2, 1, 10) - 1);
    assert_null(cj_dataset_open(cj, at("odd.bin")));
    snprintf(expected, sizeof expected,
             "%s: 6145 bytes are no number of CIFAR records of 3073 bytes", at("odd.bin"));
    assert_message(cj, CJ_ERR_FORMAT, expected);
    save("data_batch_1.bin", records(12, 1, 11));
    assert_null(cj_dataset_open(cj, folder));
    snprintf(expected, sizeof expected,
             "%s: label out of range: label 10 is 10; with 10 classes it must be 0 to 9", folder);
    assert_message(cj, CJ_ERR_DATA, expected);
    assert_null(cj_dataset_open(cj, folder, .split = "test"));
    snprintf(expected, sizeof expected, "%s: has no test_batch.bin or test.bin", folder);
    assert_message(cj, CJ_ERR_NOT_FOUND, expected);
    save("test_batch.bin.xz", 10);
    assert_null(cj_dataset_open(cj, folder, .split = "test"));
    snprintf(expected, sizeof expected, "%s: is packed with xz: unpack it first (xz -dk)",
             at("test_batch.bin.xz"));
    assert_message(cj, CJ_ERR_UNSUPPORTED, expected);
    assert_null(cj_dataset_open(cj, at("nothing.bin")));
    clear();
    assert_null(cj_dataset_open(cj, "cifar10", .folder = "/nowhere"));
    assert_non_null(strstr(cj_message(cj), "data set 'cifar10' was not found; looked in "
                                           "/nowhere/cifar10, /nowhere. To get it: "));
    cj_context_free(cj);
}

/* The subset of 250 test pictures: 25 of each class; the sum of its bytes as Python has it. */
static void real(void **state)
{
    (void)state;
    const char *packed = real_file("cifar10-small/test_250.bin.xz");
    char command[2000];
    snprintf(command, sizeof command, "xz -dc '%s' > %s/test_batch.bin 2>/dev/null",
             packed ? packed : "", folder);
    if (!packed || system(command)) {
        printf("    no real CIFAR-10, or no xz: skipped\n");
        clear();
        return;
    }
    cj_context *cj = test_context();
    cj_dataset *ds = cj_dataset_open(cj, folder, .split = "test");
    assert_parsed(cj, ds);
    assert_int_equal(cj_dataset_count(ds), 250);
    int counts[10] = {0};
    int64_t sum = 0;
    for (int64_t i = 0; i < 250; i++) {
        unsigned char pixels[PIXELS];
        int32_t label;
        assert_int_equal(cj_dataset_read(ds, &i, 1, 0, pixels), CJ_OK);
        assert_int_equal(cj_dataset_read(ds, &i, 1, 1, &label), CJ_OK);
        counts[label]++;
        for (int k = 0; k < PIXELS; k++) sum += pixels[k];
        if (i == 0) assert_int_equal(label, 3); /* the cat that every tutorial shows */
    }
    for (int c = 0; c < 10; c++) assert_int_equal(counts[c], 25);
    assert_int_equal(sum, 94026264);
    cj_context_free(cj);
    clear();
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}
static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ten_classes),
                                       cmocka_unit_test(hundred_classes), cmocka_unit_test(refused),
                                       cmocka_unit_test(real)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
