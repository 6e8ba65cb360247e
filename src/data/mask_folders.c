/* mask_folders.c: pictures with masks, two folders whose files have the same names before the dot.
 *
 *     cells/image/7.jpg    or    cells/train/image/7.jpg    or    cells/image/train/7.jpg
 *     cells/label/7.png          cells/train/label/7.png          cells/label/train/7.png
 *
 * What the two are called is in the table below. VOC's pictures are more than its masks, and which
 * of them are in a part stands in lists, ImageSets/Segmentation/train.txt and so on.
 *
 * The values of the training part's masks, sorted, are the classes: 0 and 255 become 0 and 1. So
 * its masks are read once when the folder is opened, and those of the part that is asked for. */
#include <string.h>

#include "base/text.h"
#include "data/folder.h"
#include "data/picture_files.h"

/* The folder of pictures and that of masks; VOC's have more pictures than masks. */
typedef struct pair {
    cj__pair names;
    bool voc;
} pair;

static const pair pairs[] = {{{"image", "label"}, false},
                             {{"images", "labels"}, false},
                             {{"images", "masks"}, false},
                             {{"image", "mask"}, false},
                             {{"imgs", "masks"}, false},
                             {{"images", "annotations"}, false},
                             {{"JPEGImages", "SegmentationClass"}, true}};

typedef struct sample {
    struct sample *next;
    cj__picture_record record;
    uint64_t values[4]; /* that its mask has */
} sample;

typedef struct part {
    bool wanted;
    cj__pair folders; /* of pictures and masks; NULL: there is no such part */
    const char *list; /* of VOC; NULL: all */
    sample *first;
} part;

typedef struct reader {
    cj_context *cj;
    cj__arena *arena;
    cj__picture_files *f;
    const char *folder;
    bool voc;
    part parts[CJ__PARTS];
} reader;

/* ---- Which folders --------------------------------------------------------------------------- */

/* The two folders are there, and the one of masks has pictures, or folders (its parts). */
static cj_status is_pair(cj__arena *arena, const char *folder, const cj__pair *p, bool *is)
{
    cj__stems masks;
    cj__names folders;
    bool pictures = false;
    const char *path = cj__arena_printf(arena, "%s/%s", folder, p->second);
    *is = false;
    CJ__TRY(cj__folder_is(arena, path, is));
    if (!*is) return CJ_OK;
    CJ__TRY(cj__folder_is(arena, cj__arena_printf(arena, "%s/%s", folder, p->first), &pictures));
    *is = false;
    if (!pictures) return CJ_OK;
    CJ__TRY(cj__folder_list_stems(arena, path, NULL, &masks));
    CJ__TRY(cj__folder_list_folders(arena, path, &folders));
    *is = masks.count || folders.count;
    return CJ_OK;
}

/* The row of two folders that are in `folder`, or else in its training part; NULL: none. */
static cj_status find_pair(cj__arena *arena, const char *folder, const pair **found)
{
    const char *at[CJ__PARTS];
    *found = NULL;
    CJ__TRY(cj__folder_find_parts(arena, folder, "", at));
    const char *const places[] = {folder, at[CJ__PART_TRAIN]};
    for (size_t k = 0; k < CJ__COUNT(places) && places[k]; k++)
        for (size_t i = 0; i < CJ__COUNT(pairs) && !*found; i++) {
            bool is;
            CJ__TRY(is_pair(arena, places[k], &pairs[i].names, &is));
            if (is) *found = &pairs[i];
        }
    return CJ_OK;
}

static cj_status look(cj_context *cj, const char *folder, const cj_dataset_opts *opts, bool *found)
{
    const pair *p = NULL;
    cj__arena arena;
    (void)opts;
    cj__arena_init(&arena, cj);
    const cj_status failed = find_pair(&arena, folder, &p);
    *found = !failed && p;
    cj__arena_release(&arena);
    return failed;
}

/* Those of VOC are lists where there are some. */
static cj_status find_lists(cj__arena *arena, const char *folder, part parts[CJ__PARTS])
{
    const char *lists[CJ__PARTS];
    const char *sets = cj__arena_printf(arena, "%s/ImageSets/Segmentation", folder);
    if (!sets) return cj_last_status(arena->cj);
    CJ__TRY(cj__folder_find_parts(arena, sets, ".txt", lists));
    if (!lists[CJ__PART_TRAIN]) return CJ_OK;
    const cj__pair all = parts[CJ__PART_TRAIN].folders;
    for (int i = 0; i < CJ__PARTS; i++)
        parts[i] = (part){.folders = lists[i] ? all : (cj__pair){NULL, NULL}, .list = lists[i]};
    return CJ_OK;
}

static cj_status locate(cj__arena *arena, const char *folder, part parts[CJ__PARTS], bool *voc)
{
    const pair *p;
    cj__pair folders[CJ__PARTS];
    CJ__TRY(find_pair(arena, folder, &p));
    *voc = p->voc;
    CJ__TRY(cj__folder_pair_parts(arena, folder, &p->names, folders));
    for (int i = 0; i < CJ__PARTS; i++) parts[i] = (part){.folders = folders[i]};
    return *voc ? find_lists(arena, folder, parts) : CJ_OK;
}

static cj_status find_parts(cj__arena *arena, const char *folder, const char *at[])
{
    part parts[CJ__PARTS];
    bool voc;
    CJ__TRY(locate(arena, folder, parts, &voc));
    for (int i = 0; i < CJ__PARTS; i++) at[i] = parts[i].folders.first;
    return CJ_OK;
}

static cj_status choose_parts(reader *r, const char *split)
{
    const char *at[CJ__PARTS];
    bool wanted[CJ__PARTS];
    CJ__TRY(locate(r->arena, r->folder, r->parts, &r->voc));
    for (int i = 0; i < CJ__PARTS; i++) at[i] = r->parts[i].folders.first;
    CJ__TRY(cj__folder_choose(r->cj, r->folder, at, split,
                              "folders train, val and test around the two of pictures and masks, "
                              "or in each", wanted));
    for (int i = 0; i < CJ__PARTS; i++) r->parts[i].wanted = wanted[i];
    return CJ_OK;
}

/* ---- Samples --------------------------------------------------------------------------------- */

static cj_status read_sample(reader *r, const part *p, const cj__stems *pictures,
                             const cj__stems *masks, const char *stem, sample *s)
{
    cj__picture_record *record = &s->record;
    CJ__TRY(cj__stems_path(r->arena, pictures, stem, &record->path));
    CJ__TRY(cj__stems_path(r->arena, masks, stem, &record->mask));
    if (!record->path)
        return cj_fail(r->cj, CJ_ERR_NOT_FOUND, "%s: its picture is missing: %s has no %s.jpg or "
                       ".png", record->mask ? record->mask : p->list, p->folders.first, stem);
    if (!record->mask)
        return cj_fail(r->cj, CJ_ERR_NOT_FOUND, "%s: its mask is missing: %s has no %s.png",
                       record->path, p->folders.second, stem);
    record->source = record->mask;
    return cj__picture_mask_look(r->cj, record->mask, s->values, &record->height, &record->width);
}

/* What is in a part: the list's names, or all that has a picture or a mask; of VOC all masks. */
static cj_status list_names(reader *r, const part *p, const cj__stems *pictures,
                            const cj__stems *masks, cj__names *names)
{
    *names = (cj__names){.arena = r->arena};
    if (p->list) return cj__folder_read_list(r->arena, p->list, names);
    for (int64_t i = 0, k = 0; i < pictures->count || k < masks->count;) {
        const int order = i == pictures->count ? 1
                          : k == masks->count
                              ? -1
                              : strcmp(pictures->items[i]->stem, masks->items[k]->stem);
        if (order >= 0 || !r->voc)
            CJ__TRY(cj__names_add(names, order <= 0 ? pictures->items[i]->stem
                                                    : masks->items[k]->stem));
        i += order <= 0;
        k += order >= 0;
    }
    return CJ_OK;
}

static cj_status read_part(reader *r, part *p)
{
    cj__stems pictures, masks;
    cj__names names;
    sample **last = &p->first;
    CJ__TRY(cj__folder_list_stems(r->arena, p->folders.first, NULL, &pictures));
    CJ__TRY(cj__folder_list_stems(r->arena, p->folders.second, NULL, &masks));
    CJ__TRY(list_names(r, p, &pictures, &masks, &names));
    for (int64_t i = 0; i < names.count; i++) {
        sample *s = cj__arena_alloc(r->arena, sizeof *s);
        if (!s) return cj_last_status(r->cj);
        CJ__TRY(cj__check_cancel(r->cj));
        const cj_status failed = read_sample(r, p, &pictures, &masks, names.items[i], s);
        CJ__TRY(cj__picture_files_bad(r->f, failed));
        if (failed) continue;
        *last = s;
        last = &s->next;
    }
    return CJ_OK;
}

/* ---- Classes --------------------------------------------------------------------------------- */

static bool has(const uint64_t values[4], int v)
{
    return values[v / 64] >> v % 64 & 1;
}

/* Names that are all numbers of a byte, as they are made here, say themselves which values the
 * classes have. */
static bool named_by_value(const cj_dataset_opts *o, int16_t class_of[CJ__MASK_VALUES])
{
    for (int i = 0; i < o->classes; i++) {
        int64_t value;
        if (!cj__parse_int64(o->class_names[i], strlen(o->class_names[i]), &value) || value < 0 ||
            value >= CJ__MASK_VALUES || class_of[value] >= 0)
            return false;
        class_of[value] = (int16_t)i;
    }
    return true;
}

static void clear(int16_t class_of[CJ__MASK_VALUES])
{
    for (int v = 0; v < CJ__MASK_VALUES; v++) class_of[v] = -1;
}

/* Other names are those of the values that were found, in their order; or, when fewer were, of 0,
 * 1, 2 ... */
static cj_status name_values(reader *r, const cj_dataset_opts *o, const uint64_t values[4], int n)
{
    int16_t *class_of = r->f->class_of;
    int next = 0, largest = 0;
    clear(class_of);
    if (named_by_value(o, class_of)) return CJ_OK;
    clear(class_of);
    for (int v = 0; v < CJ__MASK_VALUES; v++)
        if (has(values, v)) largest = v;
    if (o->classes != n && largest >= o->classes)
        return cj_fail(r->cj, CJ_ERR_DATA,
                       "%s: masks have %d values up to %d, and %d names of classes are given",
                       r->folder, n, largest, o->classes);
    for (int v = 0; v < CJ__MASK_VALUES; v++)
        if (o->classes == n ? has(values, v) : v < o->classes) class_of[v] = (int16_t)next++;
    return CJ_OK;
}

static cj_status find_classes(reader *r, const cj_dataset_opts *opts)
{
    uint64_t values[4] = {0};
    int n = 0;
    for (const sample *s = r->parts[CJ__PART_TRAIN].first; s; s = s->next)
        for (int k = 0; k < 4; k++) values[k] |= s->values[k];
    const char **names = cj__arena_array(r->arena, CJ__MASK_VALUES, sizeof *names);
    if (!names) return cj_last_status(r->cj);
    clear(r->f->class_of);
    for (int v = 0; v < CJ__MASK_VALUES; v++) {
        if (!has(values, v)) continue;
        r->f->class_of[v] = (int16_t)n;
        if (!(names[n++] = cj__arena_printf(r->arena, "%d", v))) return cj_last_status(r->cj);
    }
    if (!n && !opts->class_names)
        return cj_fail(r->cj, CJ_ERR_DATA, "%s: the training part has no masks, so there are no "
                       "classes", r->folder);
    r->f->classes = n;
    r->f->class_names = names;
    if (!opts->class_names) return CJ_OK;
    r->f->classes = opts->classes;
    r->f->class_names = opts->class_names; /* copied with the fields */
    return name_values(r, opts, values, n);
}

static cj_status add_sample(reader *r, const sample *s)
{
    for (int v = 0; v < CJ__MASK_VALUES; v++)
        if (has(s->values, v) && r->f->class_of[v] < 0)
            return cj__picture_files_bad(
                r->f, cj__picture_mask_unknown(r->cj, r->f, s->record.mask, v));
    return cj__picture_files_add(r->f, &s->record);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static cj_status collect(reader *r, const cj_dataset_opts *opts)
{
    r->f->target = CJ_FIELD_MASK;
    CJ__TRY(choose_parts(r, opts->split));
    for (int i = 0; i < CJ__PARTS; i++)
        if (r->parts[i].wanted || (i == CJ__PART_TRAIN && r->parts[i].folders.first))
            CJ__TRY(read_part(r, &r->parts[i]));
    CJ__TRY(find_classes(r, opts));
    for (int i = 0; i < CJ__PARTS; i++)
        for (const sample *s = r->parts[i].wanted ? r->parts[i].first : NULL; s; s = s->next)
            CJ__TRY(add_sample(r, s));
    return CJ_OK;
}

static cj_dataset *open_masks(cj_context *cj, const char *folder, const cj_dataset_opts *opts)
{
    if (cj__picture_files_options(cj, folder, opts, "mask")) return NULL;
    reader r = {.cj = cj, .folder = folder, .f = cj__picture_files_new(cj, opts)};
    if (!r.f) return NULL;
    r.arena = &r.f->arena;
    if (!collect(&r, opts)) return cj__picture_files_dataset(r.f, folder, opts);
    cj__picture_files_free(r.f);
    return NULL;
}

const cj__folder_kind cj__folder_masks = {
    .row = {.name = "masks",
            .doc = "pictures with masks, the class of each pixel",
            .files = "image/NAME.jpg, label/NAME.png (images and masks, JPEGImages and "
                     "SegmentationClass ...); folders train, val, test around the two or in "
                     "each"},
    .knows_auto = true,
    .find_parts = find_parts,
    .look = look,
    .open = open_masks};
