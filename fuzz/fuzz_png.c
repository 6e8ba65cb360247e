/* fuzz_png.c: any bytes as a PNG picture; see picture.h. */
#include "picture.h"
