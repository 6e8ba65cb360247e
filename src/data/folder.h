/* folder.h: folders that are data sets: their kinds, what lies in them, and their parts. */
#ifndef CAJAL_DATA_FOLDER_H
#define CAJAL_DATA_FOLDER_H

#include "data/dataset.h"

/* ---- Kinds ----------------------------------------------------------------------------------- */

/* One row a kind, beside its code; the list of them, in the order of asking, is folder.c. */
typedef struct cj__folder_kind {
    cj_folder_kind row;
    bool knows_auto; /* split=auto; of others it is the test part */
    /* What is there of each part, in the arena, or NULL: not; of a kind that may have a part for
     * validation. */
    cj_status (*find_parts)(cj__arena *arena, const char *folder, const char *at[]);
    /* Does the folder look like one? */
    cj_status (*look)(cj_context *cj, const char *folder, const cj_dataset_opts *opts, bool *found);
    cj_dataset *(*open)(cj_context *cj, const char *folder, const cj_dataset_opts *opts);
} cj__folder_kind;

extern const cj__folder_kind cj__folder_arrays, cj__folder_cifar, cj__folder_idx, cj__folder_voc,
    cj__folder_coco, cj__folder_yolo, cj__folder_masks, cj__folder_classes;

/* The kind of a folder; that of IDX files, which says what is missing, when it looks like none. */
cj_status cj__folder_kind_of(cj_context *cj, const char *folder, const cj_dataset_opts *opts,
                             const cj__folder_kind **kind);

/* ---- Names ----------------------------------------------------------------------------------- */

typedef struct cj__names {
    cj__arena *arena;
    const char **items;
    int64_t count, room;
} cj__names;

/* Begins an empty list: `*names = (cj__names){.arena = arena}` does. The text is the arena's. */
cj_status cj__names_add(cj__names *names, const char *text);
/* The place of a text, or -1. */
int64_t cj__names_find(const cj__names *names, const char *text);
/* The place of a text in a list that is sorted (*place: where it is or belongs). */
bool cj__names_search(const cj__names *sorted, const char *text, int64_t *place);
/* Puts a text into a sorted list, once. */
cj_status cj__names_insert(cj__names *sorted, const char *text);

/* Entries of a folder, sorted, without those that begin with a dot: all, and folders alone. */
cj_status cj__folder_list(cj__arena *arena, const char *folder, cj__names *out);
cj_status cj__folder_list_folders(cj__arena *arena, const char *folder, cj__names *out);
/* *is: the path is a folder. A path of NULL is a failure of before. */
cj_status cj__folder_is(cj__arena *arena, const char *path, bool *is);
/* *is: there is something at folder/name. */
cj_status cj__folder_has(cj__arena *arena, const char *folder, const char *name, bool *is);

/* Files of a folder that are found by what stands before their suffix. Two of one stem are refused.
 */
typedef struct cj__stem { const char *stem, *name; } cj__stem;
typedef struct cj__stems {
    const char *folder;
    const cj__stem **items; /* sorted by stem */
    int64_t count;
} cj__stems;
/* All files that end as pictures do, or, with a suffix (".txt"), as that. */
cj_status cj__folder_list_stems(cj__arena *arena, const char *folder, const char *suffix,
                                cj__stems *out);
/* folder/NAME of the file of that stem, in the arena; *path NULL: there is none. */
cj_status cj__stems_path(cj__arena *arena, const cj__stems *stems, const char *stem,
                         const char **path);

/* Each line of a text file, of at most `limit` bytes, without its end and counted from 1. A
 * failure, also that a line has a zero byte, is said with file and line. */
typedef cj_status cj__line_reader(void *user, const char *text, size_t length, int64_t number);
cj_status cj__folder_each_line(cj_context *cj, const char *path, size_t limit,
                               cj__line_reader *read, void *user);
/* The lines of a text file, without blanks at their ends; empty ones do not count, and an empty
 * list is refused. */
cj_status cj__folder_read_lines(cj__arena *arena, const char *path, cj__names *out);
/* The same where each must be the name of something in a folder: one word, and no path that leads
 * out of it. */
cj_status cj__folder_read_list(cj__arena *arena, const char *path, cj__names *out);

/* ---- Parts ----------------------------------------------------------------------------------- */

enum { CJ__PART_TRAIN, CJ__PART_VALIDATION, CJ__PART_TEST, CJ__PARTS };
/* The names that each may have, and NULL; the first of each is what the option calls it. */
extern const char *const cj__part_names[CJ__PARTS][4];

/* The paths of the parts, as folders train, val (valid, validation) and test in `folder`, with
 * `suffix` behind each name; NULL for those that are not there. */
cj_status cj__folder_find_parts(cj__arena *arena, const char *folder, const char *suffix,
                                const char *at[CJ__PARTS]);
/* Two folders that belong together, as those of pictures and of masks: their names, or paths. */
typedef struct cj__pair { const char *first, *second; } cj__pair;
/* The paths of both in each part: the parts are folders around the two, or in each of them; or
 * there is but one, called train. NULL for those that are not there. */
cj_status cj__folder_pair_parts(cj__arena *arena, const char *folder, const cj__pair *names,
                                cj__pair parts[CJ__PARTS]);
/* Which of the parts that are there `split` means; `how` says what parts are: "folders train, val
 * and test". */
cj_status cj__folder_choose(cj_context *cj, const char *folder, const char *const at[CJ__PARTS],
                            const char *split, const char *how, bool wanted[CJ__PARTS]);

#endif
