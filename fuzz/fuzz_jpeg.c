/* fuzz_jpeg.c: any bytes as a JPEG picture; see picture.h. */
#include "picture.h"
