/* picture_targets.c: boxes and masks of pictures, which follow the picture to the data set's size.
 *
 * A box is kept as shares of its picture. Where the picture is stretched they stay; where it is
 * padded or cropped, cj_picture_fit_frame says where all of it lies, and the box with it:
 *
 *     x' = (left + x width) / to_width      cut to 0 .. 1, and left out when nothing is left
 *
 * A mask goes the way of its picture, by the nearest pixel, for there is no class between two. */
#include <string.h>

#include "base/text.h"
#include "data/picture_files.h"

/* ---- Boxes ----------------------------------------------------------------------------------- */

static double clip(double x, double most)
{
    return x < 0 ? 0 : x > most ? most : x;
}

cj_status cj__picture_box(cj_context *cj, const double c[4], double width, double height,
                          double slack, float box[4], bool *flat)
{
    const double size[2] = {width, height};
    bool inside = true;
    for (int k = 0; k < 2; k++) {
        if (!(c[k] <= c[k + 2])) /* of NaN too */
            return cj_fail(cj, CJ_ERR_DATA,
                           "a box from (%g, %g) to (%g, %g) (x, y), whose second corner is before "
                           "the first",
                           c[0], c[1], c[2], c[3]);
        inside = inside && c[k] >= -slack && c[k + 2] <= size[k] + slack;
    }
    if (!inside)
        return cj_fail(cj, CJ_ERR_DATA,
                       "a box from (%g, %g) to (%g, %g) (x, y) is outside of the picture of %g x "
                       "%g (width x height)",
                       c[0], c[1], c[2], c[3], width, height);
    for (int k = 0; k < 4; k++) box[k] = (float)(clip(c[k], size[k % 2]) / size[k % 2]);
    *flat = !(box[0] < box[2] && box[1] < box[3]);
    return CJ_OK;
}

static bool place(const float *from, const cj_picture_frame *frame, double height, double width,
                  float *to)
{
    to[0] = from[0];
    for (int k = 1; k < CJ__BOX; k += 2) {
        to[k] = (float)clip(((double)frame->left + from[k] * (double)frame->width) / width, 1);
        to[k + 1] =
            (float)clip(((double)frame->top + from[k + 1] * (double)frame->height) / height, 1);
    }
    return to[1] < to[3] && to[2] < to[4];
}

void cj__picture_boxes_read(const cj__picture_files *f, int64_t i, float *to)
{
    const cj__picture_record *r = &f->records[i];
    const bool stays = !f->sized || f->fit == CJ_FIT_STRETCH;
    int64_t n = 0;
    cj_picture_frame frame = {0};
    if (!stays) frame = cj_picture_fit_frame(r->height, r->width, f->height, f->width, f->fit);
    for (int64_t k = 0; k < r->n_boxes; k++) {
        const float *from = r->boxes + k * CJ__BOX;
        if (stays) memcpy(to + n * CJ__BOX, from, CJ__BOX * sizeof *to);
        n += stays || place(from, &frame, (double)f->height, (double)f->width, to + n * CJ__BOX);
    }
    for (; n < f->most; n++) {
        memset(to + n * CJ__BOX, 0, CJ__BOX * sizeof *to);
        to[n * CJ__BOX] = -1;
    }
}

/* ---- Masks ----------------------------------------------------------------------------------- */

cj_status cj__picture_mask_look(cj_context *cj, const char *path, uint64_t values[4],
                                int64_t *height, int64_t *width)
{
    cj_tensor *t;
    CJ__TRY(cj_picture_load(cj, path, CJ_PICTURE_INDEX, &t));
    const unsigned char *pixels = cj_tensor_map_read(t);
    memset(values, 0, 4 * sizeof *values);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        values[pixels[i] / 64] |= UINT64_C(1) << pixels[i] % 64;
    *height = cj_tensor_shape(t)[0];
    *width = cj_tensor_shape(t)[1];
    cj_tensor_unmap(t);
    cj_tensor_free(t);
    return CJ_OK;
}

cj_status cj__picture_mask_unknown(cj_context *cj, const cj__picture_files *f, const char *path,
                                   int value)
{
    char known[120] = "";
    for (int v = 0, n = 0; v < CJ__MASK_VALUES; v++) {
        const size_t length = strlen(known);
        if (f->class_of[v] < 0) continue;
        if (n++ == 20) {
            cj__format(known + length, sizeof known - length, " ...");
            break;
        }
        cj__format(known + length, sizeof known - length, "%s%d", n > 1 ? ", " : "", v);
    }
    return cj_fail(cj, CJ_ERR_DATA, "%s: has the value %d, which is no class; the classes are %s",
                   path, value, known);
}

/* The values become classes where they stand. */
static cj_status classify(cj_context *cj, const cj__picture_files *f, const char *path,
                          cj_tensor *t)
{
    const int64_t n = cj_tensor_count(t);
    unsigned char *pixels = cj_tensor_map(t, CJ_MAP_WRITE);
    int64_t i = 0;
    for (; i < n && f->class_of[pixels[i]] >= 0; i++)
        pixels[i] = (unsigned char)f->class_of[pixels[i]];
    const int value = i < n ? pixels[i] : 0;
    cj_tensor_unmap(t);
    return i == n ? CJ_OK : cj__picture_mask_unknown(cj, f, path, value);
}

cj_status cj__picture_mask_read(cj_context *cj, const cj__picture_files *f, int64_t i, int32_t *to)
{
    const char *path = f->records[i].mask;
    cj_tensor *t;
    CJ__TRY(cj_picture_load(cj, path, CJ_PICTURE_INDEX, &t));
    cj_status failed = classify(cj, f, path, t);
    if (!failed) failed = cj__picture_files_fit(cj, f, path, "pictures", CJ_PICTURE_NEAREST, &t);
    if (!failed && to) {
        const unsigned char *classes = cj_tensor_map_read(t);
        for (int64_t k = 0; k < f->height * f->width; k++) to[k] = classes[k];
        cj_tensor_unmap(t);
    }
    cj_tensor_free(t);
    return failed;
}
