/* draw.h: boxes, letters and masks drawn into pictures, and many pictures on one sheet.
 *
 *     cj_tile tiles[2] = {{.picture = shoe, .lines = {"Sneaker 0.98"}},
 *                         {.picture = shirt, .lines = {"Coat 0.61", "Shirt"}}};
 *     cj_tensor *sheet;
 *     cj_status failed = cj_draw_sheet(cj, &sheet, tiles, 2, .columns = 2);
 *     failed = failed ? failed : cj_picture_save(cj, "sheet.png", sheet);
 *
 * Pictures are u8 [height, width, 3] as cajal/picture.h has them, and are written into; the first
 * pixel, of x = 0 and y = 0, is the upper left one. What would lie outside a picture is left out.
 * CJ_ERR_SHAPE: a tensor is no such picture. Functions may run in any number of threads, each with
 * pictures of its own. */
#ifndef CAJAL_DRAW_H
#define CAJAL_DRAW_H

#include <cajal/picture.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_colour {
    unsigned char red, green, blue;
} cj_colour;
/* Colours that are told apart easily (Okabe and Ito 2008), the same for the same class; a negative
 * one is white. */
CJ_API cj_colour cj_colour_of_class(int label);

/* The outline of a box whose pixels are left .. right and top .. bottom, both included; thickness
 * (at least 1) goes inwards. */
CJ_API cj_status cj_draw_box(cj_tensor *picture, int64_t left, int64_t top, int64_t right,
                             int64_t bottom, int thickness, cj_colour colour);
/* A line of text of 5 x 7 letters, each in a cell of 6 x 8 times `scale` (1 to 16) pixels, on a
 * ground of that size where `ground` is not NULL. ASCII; for other characters stands a frame. */
CJ_API cj_status cj_draw_text(cj_tensor *picture, int64_t left, int64_t top, const char *text,
                              int scale, cj_colour colour, const cj_colour *ground);
/* Of that line, in pixels; its height is 8 * scale. */
CJ_API int64_t cj_text_width(const char *text, int scale);
/* Each pixel gets `opacity` (0 to 1) of the colour of its class; classes: height * width numbers,
 * row by row; pixels of class `clear` stay (-1: none does). */
CJ_API cj_status cj_draw_mask(cj_tensor *picture, const int32_t *classes, int clear,
                              double opacity);
/* A picture, [height, width, 1 or 3], onto another. */
CJ_API cj_status cj_draw_picture(cj_tensor *onto, const cj_tensor *picture, int64_t left,
                                 int64_t top);

/* A picture on a sheet, and what stands below it. */
typedef struct cj_tile {
    const cj_tensor *picture; /* u8 [height, width, 1 or 3] */
    const char *lines[2];     /* or NULL; cut where the tile ends */
    cj_colour colours[2];     /* of the lines; all zero: black */
} cj_tile;

typedef struct cj_sheet_opts {
    size_t struct_size;
    int count;   /* of tiles, at least 1 */
    int columns; /* default as many as make the sheet about as wide as high */
    int side;    /* of a tile, in pixels: 16 to 4096, default 96; a smaller picture is enlarged by a
                    whole factor, a larger one made smaller; neither is distorted */
} cj_sheet_opts;
/* cj_draw_sheet(cj, &sheet, tiles, n, .columns = 8): a new picture [height, width, 3], row by row,
 * on white. */
CJ_API cj_status cj_draw_sheet(cj_context *cj, cj_tensor **out, const cj_tile *tiles,
                               const cj_sheet_opts *opts);

#ifdef __cplusplus
}
#endif

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_draw_sheet(cj, out, tiles, ...) \
    (cj_draw_sheet)(cj, out, tiles, \
                    &(cj_sheet_opts){.struct_size = sizeof(cj_sheet_opts), .count = __VA_ARGS__})
#endif
#endif
