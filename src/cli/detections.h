/* detections.h: what a detector says of pictures, printed. */
#ifndef CAJAL_CLI_DETECTIONS_H
#define CAJAL_CLI_DETECTIONS_H

#include <cajal/detect.h>
#include <cajal/train.h>

#include "cli/cli.h"
#include "cli/json.h"

/* The detections of each output [n, size] of the model, a line each, or as JSON. `pictures`: their
 * paths, and in `sizes` their heights and widths, so that corners are told in pixels of the picture
 * in the file; NULL: samples have no names, and corners are shares of width and height. Returns the
 * exit status. */
int cli_print_detections(cli *c, const char *model, cj_model *m, cj_tensor *outputs,
                         const char *const *pictures, int64_t (*sizes)[2]);

/* One detection: a line, or, with j, an object. path: of its picture, whose pixels the corners are
 * in; NULL: the sample's number is told. */
void cli_print_detection(cli *c, cli_json *j, const cj_model_info *info, const char *path,
                         int64_t sample, const cj_detection *d);

/* Corners, shares of what the model saw, become pixels of the picture in the file, of this height
 * and width: what its fit did is undone, and what is outside of the picture cut off. */
void cli_detection_in_file(const cj_model_info *info, const int64_t size[2], double box[4]);

#endif
