/* folder.c: which kind of data set a folder is, and what the kinds share: sorted listings, files
 * found by their stems, lists of names, and parts.
 *
 * Names come from the listing of a folder, or from a list whose names are checked, so none of them
 * leads out of it. */
#include "data/folder.h"

#include <stdlib.h>
#include <string.h>

#include "base/sort.h"

/* The last one takes any folder with folders in it. */
static const cj__folder_kind *const kinds[] = {
    &cj__folder_arrays, &cj__folder_cifar, &cj__folder_idx,
    &cj__folder_voc, &cj__folder_coco, &cj__folder_yolo,  &cj__folder_masks,
    &cj__folder_classes};

const cj_folder_kind *cj_folder_kind_at(int i)
{
    return i >= 0 && (size_t)i < CJ__COUNT(kinds) ? &kinds[i]->row : NULL;
}

cj_status cj__folder_kind_of(cj_context *cj, const char *folder, const cj_dataset_opts *opts,
                             const cj__folder_kind **kind)
{
    bool found = false;
    *kind = &cj__folder_idx;
    for (size_t i = 0; i < CJ__COUNT(kinds) && !found; i++) {
        CJ__TRY(kinds[i]->look(cj, folder, opts, &found));
        if (found) *kind = kinds[i];
    }
    return CJ_OK;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static cj_status make_room(cj__names *n)
{
    if (n->count < n->room) return CJ_OK;
    const int64_t room = n->room ? 2 * n->room : 64;
    const char **items = cj__arena_array(n->arena, (size_t)room, sizeof *items);
    if (!items) return cj_last_status(n->arena->cj);
    if (n->count) memcpy(items, n->items, (size_t)n->count * sizeof *items);
    n->items = items;
    n->room = room;
    return CJ_OK;
}

cj_status cj__names_add(cj__names *names, const char *text)
{
    if (!text) return cj_last_status(names->arena->cj);
    CJ__TRY(make_room(names));
    names->items[names->count++] = text;
    return CJ_OK;
}

int64_t cj__names_find(const cj__names *names, const char *text)
{
    for (int64_t i = 0; i < names->count; i++)
        if (!strcmp(names->items[i], text)) return i;
    return -1;
}

bool cj__names_search(const cj__names *sorted, const char *text, int64_t *place)
{
    int64_t from = 0, to = sorted->count;
    while (from < to) {
        const int64_t middle = from + (to - from) / 2;
        const int order = strcmp(text, sorted->items[middle]);
        if (!order) {
            *place = middle;
            return true;
        }
        if (order < 0) to = middle;
        else from = middle + 1;
    }
    *place = from;
    return false;
}

cj_status cj__names_insert(cj__names *sorted, const char *text)
{
    int64_t place;
    if (cj__names_search(sorted, text, &place)) return CJ_OK;
    CJ__TRY(make_room(sorted));
    memmove(sorted->items + place + 1, sorted->items + place,
            (size_t)(sorted->count - place) * sizeof *sorted->items);
    sorted->items[place] = text;
    sorted->count++;
    return CJ_OK;
}

/* ---- Listings -------------------------------------------------------------------------------- */

static int add_entry(void *arg, const char *name)
{
    cj__names *n = arg;
    return name[0] == '.' ? 0 : (int)cj__names_add(n, cj__arena_strdup(n->arena, name));
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

cj_status cj__folder_list(cj__arena *arena, const char *folder, cj__names *out)
{
    *out = (cj__names){.arena = arena};
    if (!folder) return cj_last_status(arena->cj);
    CJ__TRY(cj__file_list(arena->cj, folder, add_entry, out));
    cj__sort((const void **)out->items, (size_t)out->count, compare_texts);
    return CJ_OK;
}

cj_status cj__folder_is(cj__arena *arena, const char *path, bool *is)
{
    cj_file_info info;
    if (!path) return cj_last_status(arena->cj);
    CJ__TRY(cj__file_info(arena->cj, path, &info));
    *is = info.kind == CJ_FILE_DIRECTORY;
    return CJ_OK;
}

cj_status cj__folder_has(cj__arena *arena, const char *folder, const char *name, bool *is)
{
    cj_file_info info;
    const char *path = cj__arena_printf(arena, "%s/%s", folder, name);
    if (!path) return cj_last_status(arena->cj);
    CJ__TRY(cj__file_info(arena->cj, path, &info));
    *is = info.kind != CJ_FILE_NONE;
    return CJ_OK;
}

cj_status cj__folder_list_folders(cj__arena *arena, const char *folder, cj__names *out)
{
    int64_t kept = 0;
    CJ__TRY(cj__folder_list(arena, folder, out));
    for (int64_t i = 0; i < out->count; i++) {
        bool is = false;
        const char *path = cj__arena_printf(arena, "%s/%s", folder, out->items[i]);
        CJ__TRY(cj__folder_is(arena, path, &is));
        if (is) out->items[kept++] = out->items[i];
    }
    out->count = kept;
    return CJ_OK;
}

/* ---- Stems ----------------------------------------------------------------------------------- */

static int compare_stems(const void *a, const void *b)
{
    const cj__stem *x = a, *y = b;
    const int order = strcmp(x->stem, y->stem);
    return order ? order : strcmp(x->name, y->name);
}

static bool ends_as(const char *name, const char *suffix)
{
    const size_t n = strlen(name);
    if (!suffix) return cj_picture_format_of(name);
    return n > strlen(suffix) && !strcmp(name + n - strlen(suffix), suffix);
}

static cj__stem *make_stem(cj__arena *arena, const char *name)
{
    cj__stem *s = cj__arena_alloc(arena, sizeof *s);
    const char *dot = strrchr(name, '.');
    s = s && (s->stem = cj__arena_printf(arena, "%.*s", (int)(dot - name), name)) ? s : NULL;
    if (s) s->name = name;
    return s;
}

cj_status cj__folder_list_stems(cj__arena *arena, const char *folder, const char *suffix,
                                cj__stems *out)
{
    cj__names all;
    *out = (cj__stems){.folder = folder};
    CJ__TRY(cj__folder_list(arena, folder, &all));
    if (!(out->items = cj__arena_array(arena, (size_t)all.count + 1, sizeof *out->items)))
        return cj_last_status(arena->cj);
    for (int64_t i = 0; i < all.count; i++) {
        if (!ends_as(all.items[i], suffix)) continue;
        if (!(out->items[out->count++] = make_stem(arena, all.items[i])))
            return cj_last_status(arena->cj);
    }
    cj__sort((const void **)out->items, (size_t)out->count, compare_stems);
    for (int64_t i = 1; i < out->count; i++)
        if (!strcmp(out->items[i - 1]->stem, out->items[i]->stem))
            return cj_fail(arena->cj, CJ_ERR_DATA,
                           "%s: %s and %s have the same name before the dot", folder,
                           out->items[i - 1]->name, out->items[i]->name);
    return CJ_OK;
}

cj_status cj__stems_path(cj__arena *arena, const cj__stems *stems, const char *stem,
                         const char **path)
{
    int64_t from = 0, to = stems->count;
    *path = NULL;
    while (from < to) {
        const int64_t middle = from + (to - from) / 2;
        const int order = strcmp(stem, stems->items[middle]->stem);
        if (!order) {
            *path = cj__arena_printf(arena, "%s/%s", stems->folder, stems->items[middle]->name);
            return *path ? CJ_OK : cj_last_status(arena->cj);
        }
        if (order < 0) to = middle;
        else from = middle + 1;
    }
    return CJ_OK;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

enum { LIST_BYTES_MAX = 1 << 30 };

cj_status cj__folder_each_line(cj_context *cj, const char *path, size_t limit,
                               cj__line_reader *read, void *user)
{
    cj__file_bytes file;
    cj_status failed = CJ_OK;
    CJ__TRY(cj__file_load(cj, path, limit, &file));
    const char *text = (const char *)file.data;
    size_t at = 0;
    for (int64_t number = 1; at < file.size && !failed; number++) {
        const char *end = memchr(text + at, '\n', file.size - at);
        const size_t length = end ? (size_t)(end - text) - at : file.size - at;
        failed = memchr(text + at, 0, length) ? cj_fail(cj, CJ_ERR_FORMAT, "a zero byte")
                                              : read(user, text + at, length, number);
        if (failed) failed = cj__prefix(cj, failed, "%s: line %lld", path, (long long)number);
        at += length + 1;
    }
    cj__file_unload(&file);
    return failed;
}

static cj_status add_line(void *user, const char *text, size_t length, int64_t number)
{
    cj__names *out = user;
    (void)number;
    while (length && strchr(" \t\r", text[length - 1])) length--;
    while (length && strchr(" \t", *text)) text++, length--;
    return length ? cj__names_add(out, cj__arena_printf(out->arena, "%.*s", (int)length, text))
                  : CJ_OK;
}

cj_status cj__folder_read_lines(cj__arena *arena, const char *path, cj__names *out)
{
    *out = (cj__names){.arena = arena};
    CJ__TRY(cj__folder_each_line(arena->cj, path, LIST_BYTES_MAX, add_line, out));
    if (out->count) return CJ_OK;
    return cj_fail(arena->cj, CJ_ERR_DATA, "%s: the list is empty; expected names, a line each",
                   path);
}

cj_status cj__folder_read_list(cj__arena *arena, const char *path, cj__names *out)
{
    cj_context *cj = arena->cj;
    CJ__TRY(cj__folder_read_lines(arena, path, out));
    for (int64_t i = 0; i < out->count; i++) {
        char *inside = NULL;
        if (strpbrk(out->items[i], " \t"))
            return cj_fail(cj, CJ_ERR_FORMAT, "%s: '%.80s': expected one name a line", path,
                           out->items[i]);
        const cj_status failed = cj__file_inside(cj, "the data set", out->items[i], &inside);
        if (failed) return cj__prefix(cj, failed, "%s", path);
        cj__free(cj, inside, strlen(inside) + 1);
    }
    return CJ_OK;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

const char *const cj__part_names[CJ__PARTS][4] = {
    {"train", NULL}, {"validation", "val", "valid", NULL}, {"test", NULL}};

cj_status cj__folder_find_parts(cj__arena *arena, const char *folder, const char *suffix,
                                const char *at[CJ__PARTS])
{
    for (int i = 0; i < CJ__PARTS; i++) {
        at[i] = NULL;
        for (int k = 0; cj__part_names[i][k] && !at[i]; k++) {
            cj_file_info info;
            const char *path = cj__arena_printf(arena, "%s/%s%s", folder, cj__part_names[i][k],
                                                suffix);
            if (!path) return cj_last_status(arena->cj);
            CJ__TRY(cj__file_info(arena->cj, path, &info));
            if (info.kind == (*suffix ? CJ_FILE_REGULAR : CJ_FILE_DIRECTORY)) at[i] = path;
        }
    }
    return CJ_OK;
}

/* folder/first and folder/second; NULL both when one is not there. */
static cj_status find_pair(cj__arena *arena, const char *folder, const cj__pair *names,
                           cj__pair *out)
{
    bool first = false, second = false;
    out->first = cj__arena_printf(arena, "%s/%s", folder, names->first);
    out->second = cj__arena_printf(arena, "%s/%s", folder, names->second);
    CJ__TRY(cj__folder_is(arena, out->first, &first));
    CJ__TRY(cj__folder_is(arena, out->second, &second));
    if (!first || !second) *out = (cj__pair){NULL, NULL};
    return CJ_OK;
}

cj_status cj__folder_pair_parts(cj__arena *arena, const char *folder, const cj__pair *names,
                                cj__pair out[CJ__PARTS])
{
    const char *first[CJ__PARTS], *second[CJ__PARTS];
    cj__pair all;
    memset(out, 0, CJ__PARTS * sizeof *out);
    CJ__TRY(find_pair(arena, folder, names, &all));
    CJ__TRY(cj__folder_find_parts(arena, all.first ? all.first : folder, "", first));
    CJ__TRY(cj__folder_find_parts(arena, all.first ? all.second : folder, "", second));
    for (int i = 0; i < CJ__PARTS; i++)
        if (all.first && first[i] && second[i]) out[i] = (cj__pair){first[i], second[i]};
        else if (!all.first && first[i]) CJ__TRY(find_pair(arena, first[i], names, &out[i]));
    if (!all.first || out[CJ__PART_TRAIN].first) return CJ_OK;
    memset(out, 0, CJ__PARTS * sizeof *out);
    out[CJ__PART_TRAIN] = all;
    return CJ_OK;
}

cj_status cj__folder_choose(cj_context *cj, const char *folder, const char *const at[CJ__PARTS],
                            const char *split, const char *how, bool wanted[CJ__PARTS])
{
    if (!split) split = cj__part_names[CJ__PART_TRAIN][0];
    if (!strcmp(split, "auto"))
        split = at[CJ__PART_TEST] ? cj__part_names[CJ__PART_TEST][0] : "all";
    const char *there[CJ__PARTS] = {NULL};
    int n = 0;
    for (int i = 0; i < CJ__PARTS; i++) {
        if (at[i]) there[n++] = cj__part_names[i][0];
        wanted[i] = at[i] && (!strcmp(split, "all") || !strcmp(split, cj__part_names[i][0]));
    }
    if (wanted[0] || wanted[1] || wanted[2]) return CJ_OK;
    return cj_fail(cj, CJ_ERR_NOT_FOUND, "%s: has no part %s, only %s%s%s; parts are %s", folder,
                   split, n ? there[0] : "nothing", n > 1 ? " and " : "", n > 1 ? there[1] : "",
                   how);
}
