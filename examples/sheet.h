/* sheet.h: pictures that a program has as floats, side by side in one file. */
#ifndef SHEET_H
#define SHEET_H

#include <cajal/cajal.h>
#include <cajal/draw.h>

enum { SHEET_MAX = 128 };

/* pictures: f32 [n, height, width, 1 or 3] of numbers 0 to 1; others are cut off there. So many in
 * a row; each twice as large as it is. */
static inline cj_status write_sheet(cj_context *cj, const char *path, const cj_tensor *pictures,
                                    int columns)
{
    const int64_t *dims = cj_tensor_shape(pictures), size = dims[1] * dims[2] * dims[3];
    const int n = dims[0] < SHEET_MAX ? (int)dims[0] : SHEET_MAX;
    const float *from = cj_tensor_map_read(pictures);
    cj_tensor *copy[SHEET_MAX] = {NULL}, *sheet = NULL;
    cj_tile tiles[SHEET_MAX] = {{.picture = NULL}};
    cj_status failed = CJ_OK;
    for (int i = 0; i < n && !failed; i++) {
        tiles[i].picture = copy[i] = cj_tensor_new(cj, CJ_U8, 3, dims + 1);
        unsigned char *to = copy[i] ? cj_tensor_map(copy[i], CJ_MAP_WRITE) : NULL;
        if (!to) failed = cj_last_status(cj);
        for (int64_t k = 0; k < size && to; k++) {
            const float v = from[i * size + k];
            to[k] = (unsigned char)((v < 0 ? 0 : v > 1 ? 1 : v) * 255 + 0.5f);
        }
        if (to) cj_tensor_unmap(copy[i]);
    }
    cj_tensor_unmap(pictures);
    if (!failed)
        failed = cj_draw_sheet(cj, &sheet, tiles, n, .columns = columns, .side = 2 * (int)dims[1]);
    if (!failed) failed = cj_picture_save(cj, path, sheet);
    for (int i = 0; i < n; i++) cj_tensor_free(copy[i]);
    cj_tensor_free(sheet);
    return failed;
}

#endif
