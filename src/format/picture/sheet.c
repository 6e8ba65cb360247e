/* sheet.c: many pictures on one sheet, each with lines of text below it.
 *
 *     gap | side           | gap | side           | gap
 *         | the picture,   |
 *         | in the middle  |     as high as the highest of them needs
 *         | first line     |
 *         | second line    |
 */
#include <cajal/draw.h>

#include <math.h>
#include <string.h>

#include "base/opts.h"
#include "base/size.h"
#include "format/picture/font.h"
#include "format/picture/picture.h"

enum { GAP = 8, LINE = CJ__CELL_HEIGHT + 2, LINES = 2, SIDE = 96, SIDE_MIN = 16, SIDE_MAX = 4096 };

typedef struct layout {
    int64_t side, columns, rows, lines; /* lines: 0 where no tile has any */
    int64_t picture;                    /* height of what is there for the pictures */
    int64_t height;                     /* of a tile with its lines */
} layout;

static cj_status check(cj_context *cj, const cj_tile *tiles, const cj_sheet_opts *o)
{
    if (!tiles || o->count < 1)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "sheet: %d tiles; at least 1 is needed", o->count);
    if (o->columns < 0 || (o->side && (o->side < SIDE_MIN || o->side > SIDE_MAX)))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "sheet: columns=%d, side=%d; columns above 0 and a side of %d to %d are "
                       "possible",
                       o->columns, o->side, SIDE_MIN, SIDE_MAX);
    return CJ_OK;
}

/* The size a picture has on the sheet: as large as the tile allows, by a whole factor, so that
 * pixels stay squares, or smaller. */
static cj_status size_of(const cj_tensor *picture, int64_t side, int64_t *height, int64_t *width)
{
    cj__picture p;
    CJ__TRY(cj__picture_of(picture, "sheet", &p));
    const int64_t longer = p.height > p.width ? p.height : p.width, times = side / longer;
    *height = times ? p.height * times : p.height * side / longer;
    *width = times ? p.width * times : p.width * side / longer;
    if (!*height) *height = 1;
    if (!*width) *width = 1;
    return CJ_OK;
}

static cj_status lay_out(cj_context *cj, const cj_tile *tiles, const cj_sheet_opts *o, layout *out)
{
    layout l = {.side = o->side ? o->side : SIDE};
    for (int i = 0; i < o->count; i++) {
        int64_t height, width;
        cj_status failed = size_of(tiles[i].picture, l.side, &height, &width);
        if (failed) return cj__prefix(cj, failed, "tile %d", i);
        if (l.picture < height) l.picture = height;
        for (int k = 0; k < LINES; k++)
            if (tiles[i].lines[k] && l.lines < k + 1) l.lines = k + 1;
    }
    l.height = l.picture + l.lines * LINE + (l.lines ? 2 : 0);
    l.columns = o->columns;
    if (!l.columns)
        l.columns = (int64_t)ceil(sqrt((double)o->count * (double)l.height / (double)l.side));
    if (l.columns > o->count) l.columns = o->count;
    l.rows = (o->count + l.columns - 1) / l.columns;
    *out = l;
    return CJ_OK;
}

/* Letters that fit into the tile. */
static cj_status draw_line(cj_tensor *sheet, const layout *l, int64_t left, int64_t top,
                           const char *line, cj_colour colour)
{
    char text[SIDE_MAX / CJ__CELL_WIDTH + 8];
    const char *end = line;
    for (int64_t room = l->side / CJ__CELL_WIDTH; room > 0 && *end; room--) (void)cj__letter(&end);
    const size_t n = (size_t)(end - line) < sizeof text ? (size_t)(end - line) : sizeof text - 1;
    memcpy(text, line, n);
    text[n] = '\0';
    return cj_draw_text(sheet, left, top, text, 1, colour, NULL);
}

static cj_status draw_tile(cj_tensor *sheet, const layout *l, int64_t i, const cj_tile *tile)
{
    const int64_t left = GAP + i % l->columns * (l->side + GAP),
                  top = GAP + i / l->columns * (l->height + GAP);
    cj_tensor *scaled;
    int64_t height, width;
    CJ__TRY(size_of(tile->picture, l->side, &height, &width));
    CJ__TRY(cj_picture_resize(
        tile->picture, height, width,
        height % cj_tensor_shape(tile->picture)[0] ? CJ_PICTURE_BILINEAR : CJ_PICTURE_NEAREST,
        &scaled));
    cj_status failed = cj_draw_picture(sheet, scaled, left + (l->side - width) / 2,
                                       top + (l->picture - height) / 2);
    cj_tensor_free(scaled);
    for (int k = 0; !failed && k < LINES; k++)
        if (tile->lines[k])
            failed = draw_line(sheet, l, left, top + l->picture + 2 + k * LINE, tile->lines[k],
                               tile->colours[k]);
    return failed;
}

cj_status (cj_draw_sheet)(cj_context *cj, cj_tensor **out, const cj_tile *tiles,
                          const cj_sheet_opts *opts)
{
    cj_sheet_opts o = {0};
    cj__picture sheet = {.cj = cj};
    *out = NULL;
    CJ__TRY(cj__opts_take(cj, "sheet", &o, sizeof o, opts));
    CJ__TRY(check(cj, tiles, &o));
    layout l = {0};
    CJ__TRY(lay_out(cj, tiles, &o, &l));
    CJ__TRY(cj__picture_begin(&sheet, "sheet", GAP + l.rows * (l.height + GAP),
                              GAP + l.columns * (l.side + GAP), 3));
    memset(sheet.pixels, 255, cj_tensor_size_bytes(sheet.tensor));
    cj_status failed = CJ_OK;
    for (int i = 0; !failed && i < o.count; i++) {
        failed = draw_tile(sheet.tensor, &l, i, &tiles[i]);
        if (failed) failed = cj__prefix(cj, failed, "tile %d", i);
    }
    if (failed) cj_tensor_free(sheet.tensor);
    else *out = sheet.tensor;
    return failed;
}
