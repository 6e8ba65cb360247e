/* view.c: what a model says of pictures, as pictures.
 *
 *     classes             masks                       restored input           boxes
 *     +---------+         +---------+---------+       +---------+---------+    +-----------+
 *     | picture |         | truth,  | what is |       | what is | what    |    | picture,  |
 *     |         |         | or the  | said    |       | put in  | comes   |    | truth in  |
 *     +---------+         | picture |         |       |         | out     |    | white     |
 *     Bag 0.98            +---------+---------+       +---------+---------+    +-----------+
 *     is Shirt
 */
#define _POSIX_C_SOURCE 200809L
#include "cli/view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cajal/detect.h>
#include <cajal/draw.h>

#include "cli/data.h"
#include "cli/detections.h"
#include "cli/guess.h"

enum { TILES_MAX = 100 };

static const cj_colour right = {0, 120, 0}, wrong = {190, 0, 0};

typedef struct caption {
    char line[2][120];
} caption;

/* ---- Pictures -------------------------------------------------------------------------------- */

static int input_field(const cli_views *v)
{
    int field = cj_dataset_field_find(v->data, v->info->input_name);
    for (int i = 0; field < 0 && i < cj_dataset_fields(v->data); i++)
        if (cj_dataset_field(v->data, i)->role == CJ_FIELD_INPUT) field = i;
    return field;
}

static cj_status sample_picture(cj_context *cj, const cli_views *v, int64_t i, cj_tensor **out)
{
    const cj_model_info *info = v->info;
    const int field = v->data ? input_field(v) : -1;
    const cj_field *of = field >= 0 ? cj_dataset_field(v->data, field) : NULL;
    const int rank = of ? of->rank : info->input_rank;
    const int64_t *shape = of ? of->shape : info->input_shape;
    if (!cli_is_picture(of ? of->dtype : info->input_dtype, rank, shape))
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "predict: %s: samples are no pictures (u8 [height, width, 1 or 3]), which "
                       "alone are drawn",
                       of ? of->name : info->input_name);
    cj_tensor *t = cj_tensor_new(cj, CJ_U8, 3, shape);
    unsigned char *to = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    cj_status failed = to ? CJ_OK : cj_last_status(cj);
    const size_t bytes = t ? cj_tensor_size_bytes(t) : 0;
    if (to && of) failed = cj_dataset_read(v->data, &i, 1, field, to);
    else if (to)
        memcpy(to, (const char *)cj_tensor_map_read(v->samples) + (size_t)i * bytes, bytes);
    if (t) cj_tensor_unmap(t);
    if (failed) cj_tensor_free(t);
    else *out = t;
    return failed;
}

/* As it was put in. */
static cj_status picture_of(cj_context *cj, const cli_views *v, int64_t i, cj_tensor **out)
{
    *out = NULL;
    if (v->paths) return cj_picture_load(cj, v->paths[i], CJ_PICTURE_RGB, out);
    return sample_picture(cj, v, i, out);
}

/* The same picture, to be drawn into: of three channels. */
static cj_status in_colours(cj_context *cj, const cj_tensor *picture, cj_tensor **out)
{
    const int64_t *shape = cj_tensor_shape(picture);
    *out = cj_tensor_new(cj, CJ_U8, 3, (int64_t[]){shape[0], shape[1], 3});
    return *out ? cj_draw_picture(*out, picture, 0, 0) : cj_last_status(cj);
}

/* In the size of the model, and in three colours. */
static cj_status canvas_of(cj_context *cj, const cli_views *v, int64_t i, int64_t height,
                           int64_t width, cj_tensor **out)
{
    cj_tensor *picture, *fitted = NULL;
    *out = NULL;
    cj_status failed = picture_of(cj, v, i, &picture);
    if (!failed)
        failed = cj_picture_make_fit(picture, height, width, v->info->input_fit,
                                     CJ_PICTURE_BILINEAR, &fitted);
    if (!failed) failed = in_colours(cj, fitted, out);
    cj_tensor_free(picture);
    cj_tensor_free(fitted);
    return failed;
}

/* Two of one size, side by side. Takes both. */
static cj_status beside(cj_context *cj, cj_tensor *a, cj_tensor *b, cj_tensor **out)
{
    const int64_t *shape = cj_tensor_shape(a), gap = 1 + shape[1] / 32;
    *out = cj_tensor_new(cj, CJ_U8, 3, (int64_t[]){shape[0], 2 * shape[1] + gap, 3});
    cj_status failed = *out ? CJ_OK : cj_last_status(cj);
    if (!failed) {
        memset(cj_tensor_map(*out, CJ_MAP_WRITE), 255, cj_tensor_size_bytes(*out));
        cj_tensor_unmap(*out);
        failed = cj_draw_picture(*out, a, 0, 0);
    }
    if (!failed) failed = cj_draw_picture(*out, b, shape[1] + gap, 0);
    cj_tensor_free(a);
    cj_tensor_free(b);
    return failed;
}

/* ---- What is said, and what is true ---------------------------------------------------------- */

static const float *said_of(const cli_views *v, int64_t i)
{
    return (const float *)cj_tensor_map_read(v->outputs) + i * v->info->output_size;
}

static int target_field(const cli_views *v, cj_field_kind kind)
{
    for (int i = 0; v->data && i < cj_dataset_fields(v->data); i++) {
        const cj_field *field = cj_dataset_field(v->data, i);
        if (field->role == CJ_FIELD_TARGET && field->kind == kind && field->classes) return i;
    }
    return -1;
}

/* -1: it is not known. */
static cj_status true_class(const cli_views *v, int64_t i, int *class)
{
    const int field = target_field(v, CJ_FIELD_VALUES);
    uint64_t value;
    *class = -1;
    if (field < 0) return CJ_OK;
    cj_status failed = cj_dataset_read(v->data, &i, 1, field, &value);
    if (!failed) *class = (int)cj_load_i64(cj_dataset_field(v->data, field)->dtype, &value, 0);
    return failed;
}

static cj_status show_class(cj_context *cj, const cli_views *v, int64_t i, cj_tile *tile,
                            caption *words, cj_tensor **picture)
{
    const cj_model_info *info = v->info;
    const float *said = said_of(v, i);
    char number[32];
    int truth;
    double *out = malloc((size_t)info->output_size * sizeof *out);
    if (!out) return cj_fail(cj, CJ_ERR_MEMORY, "predict: out of memory");
    for (int64_t k = 0; k < info->output_size; k++) out[k] = said[k];
    const cli_guess guess = cli_guess_first(info, out, info->output_size);
    free(out);
    if (guess.label < 0)
        snprintf(words->line[0], sizeof words->line[0], "%.5g", (double)said[0]);
    else
        snprintf(words->line[0], sizeof words->line[0], "%.100s %.2f",
                 cli_label_text(info, guess.label, number), guess.probability);
    tile->lines[0] = words->line[0];
    cj_status failed = true_class(v, i, &truth);
    if (truth >= 0 && guess.label >= 0) {
        tile->colours[0] = truth == guess.label ? right : wrong;
        if (truth != guess.label && truth < info->classes) {
            snprintf(words->line[1], sizeof words->line[1], "is %.100s",
                     cli_label_text(info, truth, number));
            tile->lines[1] = words->line[1];
        }
    }
    return failed ? failed : picture_of(cj, v, i, picture);
}

/* ---- Masks ----------------------------------------------------------------------------------- */

/* [height, width, classes], or one number a pixel for two of them. */
static bool says_masks(const cj_model_info *info)
{
    return info->output_rank == 3 && info->classes > 1 &&
           (info->output_shape[2] == info->classes ||
            (info->output_shape[2] == 1 && info->classes == 2));
}

static void likeliest(const cj_model_info *info, const float *said, int32_t *classes)
{
    const bool logits = cli_gives_logits(info);
    const int64_t n = info->output_shape[2], pixels = info->output_shape[0] * info->output_shape[1];
    for (int64_t i = 0; i < pixels; i++, said += n) {
        classes[i] = n == 1 && said[0] >= (logits ? 0 : 0.5F);
        for (int k = 1; k < n; k++)
            if (said[k] > said[classes[i]]) classes[i] = k;
    }
}

/* Every class but the first lies over the picture. */
static cj_status show_mask(cj_context *cj, const cli_views *v, int64_t i, cj_tensor **picture)
{
    const cj_model_info *info = v->info;
    const int64_t h = info->output_shape[0], w = info->output_shape[1];
    const int field = target_field(v, CJ_FIELD_MASK);
    cj_tensor *truth = NULL, *said = NULL;
    int32_t *classes = malloc((size_t)(h * w) * sizeof *classes);
    cj_status failed = classes ? CJ_OK : cj_fail(cj, CJ_ERR_MEMORY, "predict: out of memory");
    if (!failed) failed = canvas_of(cj, v, i, h, w, &truth);
    if (!failed && !(said = cj_tensor_copy(truth))) failed = cj_last_status(cj);
    if (!failed && field >= 0) {
        const cj_field *mask = cj_dataset_field(v->data, field);
        if (mask->shape[0] == h && mask->shape[1] == w) {
            failed = cj_dataset_read(v->data, &i, 1, field, classes);
            if (!failed) failed = cj_draw_mask(truth, classes, 0, 0.5);
        }
    }
    if (!failed) {
        likeliest(info, said_of(v, i), classes);
        failed = cj_draw_mask(said, classes, 0, 0.5);
    }
    free(classes);
    if (!failed) return beside(cj, truth, said, picture);
    cj_tensor_free(truth);
    cj_tensor_free(said);
    return failed;
}

/* ---- Restored input -------------------------------------------------------------------------- */

static bool restores(const cj_model_info *info)
{
    return info->target && !strcmp(info->target, info->input_name) && info->output_rank == 3 &&
           cli_is_picture(CJ_U8, 3, info->output_shape);
}

/* What comes out is taken to lie between 0 and 1. */
static cj_status show_restored(cj_context *cj, const cli_views *v, int64_t i, cj_tensor **picture)
{
    const cj_model_info *info = v->info;
    const int64_t *shape = info->output_shape;
    const float *said = said_of(v, i);
    cj_tensor *before = NULL, *raw = NULL, *after = NULL;
    cj_status failed = canvas_of(cj, v, i, shape[0], shape[1], &before);
    if (!failed && !(raw = cj_tensor_new(cj, CJ_U8, 3, shape))) failed = cj_last_status(cj);
    if (!failed) {
        unsigned char *to = cj_tensor_map(raw, CJ_MAP_WRITE);
        for (int64_t k = 0; k < info->output_size; k++)
            to[k] = (unsigned char)lround(255 * fmin(fmax((double)said[k], 0), 1));
        cj_tensor_unmap(raw);
        failed = in_colours(cj, raw, &after);
    }
    cj_tensor_free(raw);
    if (!failed) return beside(cj, before, after, picture);
    cj_tensor_free(before);
    cj_tensor_free(after);
    return failed;
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

enum { FOUND_MAX = 100, BOX = 5 };

/* In three colours, with a longer side of `side`; `least`: a larger one stays as it is. */
static cj_status sized(cj_context *cj, const cli_views *v, int64_t i, int64_t side, bool least,
                       int64_t size[2], cj_tensor **out)
{
    cj_tensor *picture, *large = NULL;
    cj_status failed = picture_of(cj, v, i, &picture);
    if (failed) return failed;
    const int64_t *shape = cj_tensor_shape(picture), longer = shape[shape[1] > shape[0]];
    const int64_t to = least && longer > side ? longer : side;
    const int64_t height = shape[0] * to / longer, width = shape[1] * to / longer;
    size[0] = shape[0];
    size[1] = shape[1];
    failed = cj_picture_resize(picture, height ? height : 1, width ? width : 1,
                               CJ_PICTURE_BILINEAR, &large);
    if (!failed) failed = in_colours(cj, large, out);
    cj_tensor_free(large);
    cj_tensor_free(picture);
    return failed;
}

/* Corners are shares of width and height. */
static cj_status draw_box(cj_tensor *picture, const double box[4], int thickness, cj_colour colour,
                          const char *text)
{
    const int64_t *shape = cj_tensor_shape(picture);
    const double sides[2] = {(double)shape[1], (double)shape[0]};
    const cj_colour black = {0};
    int64_t at[4];
    for (int k = 0; k < 4; k++) at[k] = (int64_t)floor(box[k] * sides[k % 2]);
    cj_status failed = cj_draw_box(picture, at[0], at[1], at[2] - 1, at[3] - 1, thickness, colour);
    const int scale = shape[1] > 800 ? 2 : 1;
    const int64_t above = at[1] - 8 * scale;
    if (failed || !text) return failed;
    return cj_draw_text(picture, at[0], above < 0 ? 0 : above, text, scale, black, &colour);
}

static cj_status draw_truth(cj_context *cj, const cli_views *v, int64_t i, cj_tensor *picture)
{
    const int field = target_field(v, CJ_FIELD_BOXES);
    const cj_colour white = {255, 255, 255};
    if (field < 0) return CJ_OK;
    const int64_t most = cj_dataset_field(v->data, field)->shape[0];
    float *boxes = malloc((size_t)most * BOX * sizeof *boxes + 1);
    if (!boxes) return cj_fail(cj, CJ_ERR_MEMORY, "predict: out of memory");
    cj_status failed = cj_dataset_read(v->data, &i, 1, field, boxes);
    for (int64_t k = 0; !failed && k < most; k++) {
        const float *b = boxes + k * BOX;
        const double corners[4] = {b[1], b[2], b[3], b[4]};
        if (b[0] >= 0) failed = draw_box(picture, corners, 1, white, NULL);
    }
    free(boxes);
    return failed;
}

/* What is true in thin white lines, what is said in the colours of its classes. */
static cj_status show_boxes(cli *c, const cli_views *v, int64_t i, int64_t side, bool least,
                            cj_tensor **picture)
{
    cj_detection *found = malloc(FOUND_MAX * sizeof *found);
    int64_t n = 0, size[2];
    char text[120], number[32];
    cj_status failed = found ? CJ_OK : cj_fail(c->cj, CJ_ERR_MEMORY, "predict: out of memory");
    if (!failed) failed = sized(c->cj, v, i, side, least, size, picture);
    if (!failed) failed = draw_truth(c->cj, v, i, *picture);
    if (!failed)
        failed = cj_detections(v->model, said_of(v, i), found, &n, .most = FOUND_MAX,
                               .score = cli_float(c, "score"));
    while (!failed && n-- > 0) { /* the surest one last */
        cj_detection *d = &found[n];
        if (v->paths) cli_detection_in_file(v->info, size, d->box);
        for (int k = 0; v->paths && k < 4; k++) d->box[k] /= (double)size[k % 2 ? 0 : 1];
        snprintf(text, sizeof text, "%.100s %.2f", cli_label_text(v->info, d->label, number),
                 d->score);
        failed = draw_box(*picture, d->box, 2, cj_colour_of_class(d->label), text);
    }
    free(found);
    return failed;
}

/* ---- Sheet ----------------------------------------------------------------------------------- */

int cli_view_sheet(cli *c, const cli_views *v, const char *path)
{
    const int64_t all = cj_tensor_shape(v->outputs)[0];
    const int n = all < TILES_MAX ? (int)all : TILES_MAX;
    const bool boxes = v->info->target_kind == CJ_FIELD_BOXES, masks = says_masks(v->info),
               restored = restores(v->info);
    const int side = masks || boxes ? 384 : restored ? 160 : 96;
    cj_tile *tiles = calloc((size_t)n + 1, sizeof *tiles);
    caption *captions = calloc((size_t)n + 1, sizeof *captions);
    cj_tensor **pictures = calloc((size_t)n + 1, sizeof *pictures), *sheet = NULL;
    cj_status failed = tiles && captions && pictures
                           ? CJ_OK
                           : cj_fail(c->cj, CJ_ERR_MEMORY, "predict: out of memory");
    for (int i = 0; !failed && i < n; i++) {
        failed = boxes      ? show_boxes(c, v, i, side, false, &pictures[i])
                 : masks    ? show_mask(c->cj, v, i, &pictures[i])
                 : restored ? show_restored(c->cj, v, i, &pictures[i])
                            : show_class(c->cj, v, i, &tiles[i], &captions[i], &pictures[i]);
        tiles[i].picture = pictures[i];
    }
    if (!failed)
        failed = cj_draw_sheet(c->cj, &sheet, tiles, n, .side = side);
    if (!failed) failed = cj_picture_save(c->cj, path, sheet);
    for (int i = 0; pictures && i < n; i++) cj_tensor_free(pictures[i]);
    cj_tensor_free(sheet);
    free(pictures);
    free(captions);
    free(tiles);
    return failed ? cli_failed(c, c->cj) : CLI_DONE;
}

/* ---- One picture a sample -------------------------------------------------------------------- */

/* "cells/a.jpg" -> "FOLDER/a.png"; samples without a name have their number. */
static void name_of(const cli_views *v, int64_t i, const char *folder, char *out, size_t size)
{
    const char *path = v->paths ? v->paths[i] : NULL, *slash = path ? strrchr(path, '/') : NULL,
               *name = slash ? slash + 1 : path, *dot = name ? strrchr(name, '.') : NULL;
    if (!path) snprintf(out, size, "%s/%06lld.png", folder, (long long)i);
    else
        snprintf(out, size, "%s/%.*s.png", folder, dot ? (int)(dot - name) : (int)strlen(name),
                 name);
}

int cli_view_draw(cli *c, const cli_views *v, const char *folder)
{
    enum { LEAST = 256 };
    const int64_t n = cj_tensor_shape(v->outputs)[0];
    const bool boxes = v->info->target_kind == CJ_FIELD_BOXES, masks = says_masks(v->info);
    char path[4096];
    if (!boxes && !masks && !restores(v->info))
        return cli_misused(c, "predict: draw=%.500s: the model gives no boxes, masks or pictures; "
                              "grid=FILE.png shows classes",
                           folder);
    if (mkdir(folder, 0777) && errno != EEXIST)
        return cli_fail(c, CJ_ERR_IO, "%.500s: cannot be made: %s", folder, strerror(errno));
    cj_status failed = CJ_OK;
    for (int64_t i = 0; !failed && i < n; i++) {
        cj_tensor *picture = NULL;
        name_of(v, i, folder, path, sizeof path);
        if (!c->overwrite && !access(path, F_OK))
            return cli_fail(c, CJ_ERR_IO, "%s: is there already; --overwrite replaces it", path);
        failed = boxes   ? show_boxes(c, v, i, LEAST, true, &picture)
                 : masks ? show_mask(c->cj, v, i, &picture)
                         : show_restored(c->cj, v, i, &picture);
        if (!failed) failed = cj_picture_save(c->cj, path, picture);
        cj_tensor_free(picture);
    }
    return failed ? cli_failed(c, c->cj) : CLI_DONE;
}
