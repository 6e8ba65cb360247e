/* fuzz_ppm.c: any bytes as a PBM, PGM and PPM picture; see picture.h. */
#include "picture.h"
