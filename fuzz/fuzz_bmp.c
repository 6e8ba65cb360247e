/* fuzz_bmp.c: any bytes as a BMP picture; see picture.h. */
#include "picture.h"
