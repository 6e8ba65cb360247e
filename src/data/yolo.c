/* yolo.c: pictures with boxes as YOLO has them, a text file for each picture.
 *
 *     images/7.jpg    labels/7.txt:  2 0.5 0.25 0.1 0.2      class, and of its box the middle (x,
 * y), data.yaml       names: [cat, dog, horse]               width and height, as shares
 *
 * A picture without a text file has nothing in it. Names come from data.yaml, else from
 * classes.txt, beside the folders or in labels/; without both, classes are called by their numbers.
 */
#include <string.h>

#include <cajal/recipe.h>

#include "base/text.h"
#include "data/boxes.h"

static const cj__pair folders = {"images", "labels"};
enum { LABEL_BYTES_MAX = 1 << 26, NUMBERS = 5 };
/* Shares are written with a few digits, so a box may reach outside by a rounding of them. */
static const double slack = 1e-3;

typedef struct yolo {
    cj__boxes b;
    cj__pair parts[CJ__PARTS];
} yolo;

/* ---- A file ---------------------------------------------------------------------------------- */

/* Splits a line at its blanks; returns how many words there are, of which NUMBERS are kept. */
static int split_line(const char *text, size_t length, const char *words[NUMBERS],
                      size_t lengths[NUMBERS])
{
    int n = 0;
    for (size_t i = 0; i < length;) {
        const size_t begin = i;
        while (i < length && !strchr(" \t\r", text[i])) i++;
        if (i > begin && n < NUMBERS) words[n] = text + begin, lengths[n] = i - begin;
        n += i > begin;
        i += i == begin;
    }
    return n;
}

typedef struct label_file {
    cj__boxes *b;
    cj__annotation *a;
} label_file;

static cj_status read_line(void *user, const char *text, size_t length, int64_t number)
{
    cj__boxes *b = ((label_file *)user)->b;
    cj__annotation *a = ((label_file *)user)->a;
    const char *words[NUMBERS];
    size_t lengths[NUMBERS];
    double v[NUMBERS];
    int64_t label;
    cj__object *o;
    const int n = split_line(text, length, words, lengths);
    if (!n) return CJ_OK;
    if (n != NUMBERS)
        return cj_fail(b->cj, CJ_ERR_FORMAT,
                       "expected a class, the middle of a box, its width and height: %d numbers, "
                       "found %d", NUMBERS, n);
    for (int i = 0; i < NUMBERS; i++)
        if (!cj__parse_double(words[i], lengths[i], &v[i]))
            return cj_fail(b->cj, CJ_ERR_FORMAT, "expected a number, found '%.*s'",
                           (int)(lengths[i] < 40 ? lengths[i] : 40), words[i]);
    if (!cj__parse_int64(words[0], lengths[0], &label) || label < 0)
        return cj_fail(b->cj, CJ_ERR_FORMAT, "expected the number of a class, found '%.*s'",
                       (int)(lengths[0] < 40 ? lengths[0] : 40), words[0]);
    const double corners[4] = {v[1] - v[3] / 2, v[2] - v[4] / 2, v[1] + v[3] / 2, v[2] + v[4] / 2};
    CJ__TRY(cj__boxes_object(b, a, corners, 1, 1, slack, &o));
    if (!o) return CJ_OK;
    o->line = number;
    o->label = label;
    return CJ_OK;
}

static cj_status read_file(cj__boxes *b, cj__annotation *a)
{
    label_file file = {b, a};
    return cj__folder_each_line(b->cj, a->path, LABEL_BYTES_MAX, read_line, &file);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static cj_status read_sample(cj__boxes *b, const cj__stems *pictures, const cj__stems *labels,
                             const char *stem, cj__annotation *a)
{
    CJ__TRY(cj__stems_path(b->arena, pictures, stem, &a->picture));
    CJ__TRY(cj__stems_path(b->arena, labels, stem, &a->path));
    if (!a->picture)
        return cj_fail(b->cj, CJ_ERR_NOT_FOUND,
                       "%s: its picture is missing: %s has no %s.jpg or .png", a->path,
                       pictures->folder, stem);
    if (a->path) return read_file(b, a);
    a->path = a->picture;
    return CJ_OK;
}

/* Both lists are sorted, and one stem is in one of them or in both. */
static cj_status read_part(yolo *y, int part)
{
    cj__boxes *b = &y->b;
    cj__stems pictures, labels;
    CJ__TRY(cj__folder_list_stems(b->arena, y->parts[part].first, NULL, &pictures));
    CJ__TRY(cj__folder_list_stems(b->arena, y->parts[part].second, ".txt", &labels));
    for (int64_t i = 0, k = 0; i < pictures.count || k < labels.count;) {
        const int order = i == pictures.count ? 1
                          : k == labels.count ? -1
                                              : strcmp(pictures.items[i]->stem,
                                                       labels.items[k]->stem);
        const char *stem = order <= 0 ? pictures.items[i]->stem : labels.items[k]->stem;
        i += order <= 0;
        k += order >= 0;
        if (order > 0 && !strcmp(stem, "classes")) continue;
        cj__annotation *a = cj__boxes_annotation(b);
        if (!a) return cj_last_status(b->cj);
        CJ__TRY(cj__check_cancel(b->cj));
        CJ__TRY(cj__boxes_add(b, part, a, read_sample(b, &pictures, &labels, stem, a)));
    }
    return CJ_OK;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* A list of names, or a map from their numbers, which count from 0. */
static cj_status take_names(cj__boxes *b, const char *path, const cj_item *names)
{
    if (names->kind != CJ_ITEM_LIST && names->kind != CJ_ITEM_MAP)
        return cj_fail(b->cj, CJ_ERR_FORMAT, "%s: names: expected a list, or a map by numbers",
                       path);
    for (const cj_item *i = names->first; i; i = i->next) {
        char number[32];
        cj__format(number, sizeof number, "%lld", (long long)b->classes.count);
        if (!i->text || (i->key && strcmp(i->key, number) != 0))
            return cj_fail(b->cj, CJ_ERR_FORMAT, "%s:%d: names: expected the name of class %s",
                           path, i->line, number);
        CJ__TRY(cj__names_add(&b->classes, cj__arena_strdup(b->arena, i->text)));
    }
    return CJ_OK;
}

static cj_status read_yaml(cj__boxes *b, const char *path)
{
    cj_recipe *recipe = cj_recipe_load(b->cj, path);
    if (!recipe) return cj_last_status(b->cj);
    const cj_item *names = cj_recipe_find(recipe, "names");
    const cj_status failed = names ? take_names(b, path, names) : CJ_OK;
    cj_recipe_free(recipe);
    return failed;
}

static cj_status read_list(cj__boxes *b, const char *path)
{
    return cj__folder_read_lines(b->arena, path, &b->classes);
}

static cj_status number_classes(cj__boxes *b)
{
    int64_t largest = -1;
    for (const cj__annotation *a = b->first[CJ__PART_TRAIN]; a; a = a->next)
        for (const cj__object *o = a->first; o; o = o->next)
            if (o->label > largest) largest = o->label;
    if (largest < 0 || largest >= CJ__BOX_CLASSES_MAX)
        return cj_fail(b->cj, CJ_ERR_DATA, "%s: the largest class of the training part is %lld; "
                       "expected 0 to %d", b->folder, (long long)largest,
                       CJ__BOX_CLASSES_MAX - 1);
    for (int64_t i = 0; i <= largest; i++)
        CJ__TRY(cj__names_add(&b->classes, cj__arena_printf(b->arena, "%lld", (long long)i)));
    return CJ_OK;
}

static cj_status find_names(yolo *y)
{
    static const struct {
        const char *name;
        cj_status (*read)(cj__boxes *b, const char *path);
    } files[] = {{"data.yaml", read_yaml},
                 {"dataset.yaml", read_yaml},
                 {"classes.txt", read_list},
                 {"labels/classes.txt", read_list}};
    cj__boxes *b = &y->b;
    for (size_t i = 0; i < CJ__COUNT(files) && !b->classes.count; i++) {
        bool there = false;
        const char *path = cj__arena_printf(b->arena, "%s/%s", b->folder, files[i].name);
        if (!path) return cj_last_status(b->cj);
        CJ__TRY(cj__folder_has(b->arena, b->folder, files[i].name, &there));
        if (there) CJ__TRY(files[i].read(b, path));
    }
    return b->classes.count ? CJ_OK : number_classes(b);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static cj_status find_parts(cj__arena *arena, const char *folder, const char *at[])
{
    cj__pair parts[CJ__PARTS];
    CJ__TRY(cj__folder_pair_parts(arena, folder, &folders, parts));
    for (int i = 0; i < CJ__PARTS; i++) at[i] = parts[i].first;
    return CJ_OK;
}

static cj_status collect(yolo *y, const cj_dataset_opts *opts)
{
    cj__boxes *b = &y->b;
    const char *at[CJ__PARTS];
    CJ__TRY(cj__folder_pair_parts(b->arena, b->folder, &folders, y->parts));
    for (int i = 0; i < CJ__PARTS; i++) at[i] = y->parts[i].first;
    CJ__TRY(cj__folder_choose(b->cj, b->folder, at, opts->split,
                              "folders train, val and test around images and labels, or in each",
                              b->wanted));
    for (int i = 0; i < CJ__PARTS; i++)
        if (at[i]) CJ__TRY(read_part(y, i));
    return find_names(y);
}

static cj_dataset *open_yolo(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    yolo y = {.parts = {{NULL, NULL}}};
    return cj__boxes_begin(&y.b, cj, folder, opts)
               ? NULL
               : cj__boxes_end(&y.b, opts, collect(&y, opts));
}

/* There are images and labels, and text files in these. */
static cj_status look(cj_context *cj, const char *folder, const cj_dataset_opts *opts, bool *found)
{
    cj__pair parts[CJ__PARTS];
    cj__stems labels = {.count = 0};
    cj__arena arena;
    (void)opts;
    cj__arena_init(&arena, cj);
    cj_status failed = cj__folder_pair_parts(&arena, folder, &folders, parts);
    for (int i = 0; i < CJ__PARTS && !failed && !labels.count; i++)
        if (parts[i].first)
            failed = cj__folder_list_stems(&arena, parts[i].second, ".txt", &labels);
    *found = !failed && labels.count;
    cj__arena_release(&arena);
    return failed;
}

const cj__folder_kind cj__folder_yolo = {
    .row = {.name = "yolo",
            .doc = "pictures with boxes, as YOLO has them",
            .files = "images/NAME.jpg, labels/NAME.txt, data.yaml or classes.txt; folders "
                     "train, val, test around the two or in each"},
    .knows_auto = true,
    .find_parts = find_parts,
    .look = look,
    .open = open_yolo};
