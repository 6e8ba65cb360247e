/* font.h: letters for what is drawn into pictures. */
#ifndef CAJAL_FORMAT_PICTURE_FONT_H
#define CAJAL_FORMAT_PICTURE_FONT_H

enum { CJ__LETTER_WIDTH = 5, CJ__LETTER_HEIGHT = 7, CJ__CELL_WIDTH = 6, CJ__CELL_HEIGHT = 8 };

/* The columns of the next letter, the lowest bit on top; *text goes on behind it. One that is not
 * there is a frame. */
const unsigned char *cj__letter(const char **text);

#endif
