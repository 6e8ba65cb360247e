/* draw.c: boxes, letters and masks drawn into pictures. */
#include <cajal/draw.h>

#include <math.h>
#include <string.h>

#include "format/picture/font.h"
#include "format/picture/picture.h"

/* Okabe and Ito (2008), "Color universal design", without black, and mixtures between them. */
static const cj_colour colours[] = {
    {230, 159, 0},   {86, 180, 233}, {0, 158, 115},   {240, 228, 66}, {0, 114, 178},
    {213, 94, 0},    {204, 121, 167}, {153, 102, 51}, {128, 0, 128},  {0, 206, 209},
    {154, 205, 50},  {255, 127, 127}, {119, 136, 153}, {255, 215, 180}, {75, 0, 130}};

cj_colour cj_colour_of_class(int label)
{
    if (label < 0) return (cj_colour){255, 255, 255};
    return colours[(size_t)label % CJ__COUNT(colours)];
}

/* A picture to be written, of three channels. */
static cj_status begin(cj_tensor *t, const char *what, cj__picture *p)
{
    CJ__TRY(cj__picture_of(t, what, p));
    if (p->channels != 3)
        return cj_fail(p->cj, CJ_ERR_SHAPE,
                       "%s: the picture has %lld channel; 3 are needed to draw in colour", what,
                       (long long)p->channels);
    p->pixels = cj_tensor_map(t, CJ_MAP_WRITE);
    return p->pixels ? CJ_OK : cj_last_status(p->cj);
}

static unsigned char *pixel(const cj__picture *p, int64_t x, int64_t y)
{
    return p->pixels + (size_t)(y * p->width + x) * 3;
}

static int64_t within(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* From (left, top) up to and without (right, bottom), as far as it is in the picture. */
static void fill(const cj__picture *p, int64_t left, int64_t top, int64_t right, int64_t bottom,
                 cj_colour colour)
{
    left = within(left, 0, p->width), right = within(right, 0, p->width);
    top = within(top, 0, p->height), bottom = within(bottom, 0, p->height);
    for (int64_t y = top; y < bottom; y++)
        for (int64_t x = left; x < right; x++) memcpy(pixel(p, x, y), &colour, 3);
}

cj_status cj_draw_box(cj_tensor *picture, int64_t left, int64_t top, int64_t right, int64_t bottom,
                      int thickness, cj_colour colour)
{
    cj__picture p;
    CJ__TRY(begin(picture, "draw box", &p));
    /* What lies far outside looks the same a pixel outside; sums then stay small. */
    const int64_t t = within(thickness, 1, p.height + p.width);
    left = within(left, -t - 1, p.width), right = within(right, -1, p.width + t);
    top = within(top, -t - 1, p.height), bottom = within(bottom, -1, p.height + t);
    if (left <= right && top <= bottom) {
        const int64_t across = within(t, 1, right - left + 1),
                      down = within(t, 1, bottom - top + 1);
        fill(&p, left, top, right + 1, top + down, colour);
        fill(&p, left, bottom + 1 - down, right + 1, bottom + 1, colour);
        fill(&p, left, top, left + across, bottom + 1, colour);
        fill(&p, right + 1 - across, top, right + 1, bottom + 1, colour);
    }
    cj_tensor_unmap(picture);
    return CJ_OK;
}

/* ---- Text ------------------------------------------------------------------------------------ */

int64_t cj_text_width(const char *text, int scale)
{
    int64_t letters = 0;
    for (const char *t = text ? text : ""; *t; letters++) (void)cj__letter(&t);
    return letters * CJ__CELL_WIDTH * scale;
}

static void draw_letter(const cj__picture *p, int64_t left, int64_t top,
                        const unsigned char *letter, int64_t scale, cj_colour colour)
{
    for (int x = 0; x < CJ__LETTER_WIDTH; x++)
        for (int y = 0; y < CJ__LETTER_HEIGHT; y++)
            if (letter[x] >> y & 1)
                fill(p, left + x * scale, top + y * scale, left + (x + 1) * scale,
                     top + (y + 1) * scale, colour);
}

cj_status cj_draw_text(cj_tensor *picture, int64_t left, int64_t top, const char *text, int scale,
                       cj_colour colour, const cj_colour *ground)
{
    cj__picture p;
    CJ__TRY(begin(picture, "draw text", &p));
    if (!text || scale < 1 || scale > 16) {
        cj_tensor_unmap(picture);
        return cj_fail(p.cj, CJ_ERR_ARGUMENT, "draw text: %s of scale %d; 1 to 16 are possible",
                       text ? "a line" : "no line", scale);
    }
    const int64_t cell = CJ__CELL_WIDTH * (int64_t)scale, far = CJ_PICTURE_PIXELS_MAX;
    left = within(left, -far, far);
    top = within(top, -far, far);
    for (const char *t = text; *t && left < p.width; left += cell) {
        const unsigned char *letter = cj__letter(&t);
        if (ground)
            fill(&p, left, top, left + cell, top + CJ__CELL_HEIGHT * (int64_t)scale, *ground);
        draw_letter(&p, left, top, letter, scale, colour);
    }
    cj_tensor_unmap(picture);
    return CJ_OK;
}

/* ---- Masks and pictures ---------------------------------------------------------------------- */

cj_status cj_draw_mask(cj_tensor *picture, const int32_t *classes, int clear, double opacity)
{
    cj__picture p;
    CJ__TRY(begin(picture, "draw mask", &p));
    if (!classes || !(opacity >= 0 && opacity <= 1)) {
        cj_tensor_unmap(picture);
        return cj_fail(p.cj, CJ_ERR_ARGUMENT, "draw mask: %s, opacity=%g; 0 to 1 are possible",
                       classes ? "classes" : "no classes", opacity);
    }
    for (int64_t i = 0; i < p.height * p.width; i++) {
        const cj_colour colour = cj_colour_of_class(classes[i]);
        const unsigned char to[3] = {colour.red, colour.green, colour.blue};
        unsigned char *at = p.pixels + (size_t)i * 3;
        for (int k = 0; classes[i] != clear && k < 3; k++)
            at[k] = (unsigned char)floor(at[k] + opacity * (to[k] - at[k]) + 0.5);
    }
    cj_tensor_unmap(picture);
    return CJ_OK;
}

cj_status cj_draw_picture(cj_tensor *onto, const cj_tensor *picture, int64_t left, int64_t top)
{
    cj__picture p, from;
    CJ__TRY(cj__picture_of(picture, "draw picture", &from));
    CJ__TRY(begin(onto, "draw picture", &p));
    const int64_t far = CJ_PICTURE_PIXELS_MAX;
    left = within(left, -far, far);
    top = within(top, -far, far);
    const int64_t first = within(-left, 0, from.width),
                  last = within(p.width - left, 0, from.width);
    for (int64_t y = within(-top, 0, from.height); y < from.height && top + y < p.height; y++)
        for (int64_t x = first; x < last; x++) {
            const unsigned char *c = from.pixels +
                                     (size_t)((y * from.width + x) * from.channels);
            unsigned char *to = pixel(&p, left + x, top + y);
            for (int64_t k = 0; k < 3; k++) to[k] = c[from.channels == 3 ? k : 0];
        }
    cj_tensor_unmap(onto);
    return CJ_OK;
}
