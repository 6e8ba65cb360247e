/* fuzz_boxes.c: any bytes as the annotation of a picture: VOC's, YOLO's or COCO's by the first
 * byte. What is accepted has boxes within the picture, with classes that there are. */
#define _POSIX_C_SOURCE 200809L
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/dataset.h"

#define CHECK(x) ((x) ? (void)0 : abort())

static char root[] = "/tmp/cajal-fuzz-boxes-XXXXXX";

/* Folders of one picture of 8 x 4 each; the annotation is written anew for each input. */
static const struct { const char *picture, *annotation, *source; } kinds[] = {
    {"voc/JPEGImages/1.pgm", "voc/Annotations/1.xml", "voc"},
    {"yolo/images/1.pgm", "yolo/labels/1.txt", "yolo"},
    {"coco/1.pgm", "coco/boxes.json", "coco/boxes.json"}};

static const char *in_root(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(in_root(name), "wb");
    CHECK(f && fwrite(bytes, 1, size, f) == size);
    CHECK(!fclose(f));
}

static void clean(void)
{
    static const char *const folders[] = {"voc/JPEGImages", "voc/Annotations", "yolo/images",
                                          "yolo/labels", "voc", "yolo", "coco"};
    for (size_t i = 0; i < CJ__COUNT(kinds); i++) {
        remove(in_root(kinds[i].picture));
        remove(in_root(kinds[i].annotation));
    }
    for (size_t i = 0; i < CJ__COUNT(folders); i++) remove(in_root(folders[i]));
    remove(root);
}

static void prepare(void)
{
    static const char *const folders[] = {"voc", "yolo", "coco", "voc/JPEGImages",
                                          "voc/Annotations", "yolo/images", "yolo/labels"};
    static const char picture[] = "P5 8 4 255 abcdefghijklmnopqrstuvwxyzabcdef";
    static bool prepared; /* the folder's name may end as its template does */
    if (prepared) return;
    prepared = true;
    CHECK(mkdtemp(root));
    CHECK(!atexit(clean));
    for (size_t i = 0; i < CJ__COUNT(folders); i++) CHECK(!mkdir(in_root(folders[i]), 0700));
    for (size_t i = 0; i < CJ__COUNT(kinds); i++)
        write_file(kinds[i].picture, picture, sizeof picture - 1);
}

static void check(const cj_dataset *ds)
{
    const cj_field *y = cj_dataset_field(ds, 1);
    for (int64_t i = 0; i < cj_dataset_count(ds); i++) {
        const size_t numbers = (size_t)y->shape[0] * 5;
        float *boxes = malloc(numbers * sizeof *boxes);
        CHECK(boxes && !cj_dataset_read(ds, &i, 1, 1, boxes));
        for (const float *b = boxes; b < boxes + numbers; b += 5) {
            if (b[0] == -1) continue;
            CHECK(b[0] >= 0 && b[0] < (float)y->classes && b[0] == (float)(int)b[0]);
            CHECK(b[1] >= 0 && b[1] < b[3] && b[3] <= 1 && b[2] >= 0 && b[2] < b[4] && b[4] <= 1);
        }
        free(boxes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!size) return 0;
    prepare();
    const size_t kind = bytes[0] % CJ__COUNT(kinds);
    write_file(kinds[kind].annotation, bytes + 1, size - 1);
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 64 << 20});
    if (!cj) return 0;
    const bool padded = bytes[0] & 64;
    cj_dataset *ds = cj_dataset_open(cj, in_root(kinds[kind].source),
                                     .on_bad_sample = bytes[0] & 128 ? CJ_BAD_SAMPLE_SKIP
                                                                     : CJ_BAD_SAMPLE_STOP,
                                     .height = padded ? 5 : 0, .width = padded ? 5 : 0,
                                     .fit = CJ_FIT_PAD);
    if (ds) check(ds);
    else CHECK(cj_last_status(cj) != CJ_OK && cj_message(cj)[0]);
    cj_dataset_free(ds);
    CHECK(cj_memory_used(cj) == 0);
    cj_context_free(cj);
    return 0;
}
