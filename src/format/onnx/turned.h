/* turned.h: nodes that do the same to a channels-first image and to a channels-last one.
 *
 * Our images are channels-last, ONNX's Conv takes channels-first ones. The rows of such operators
 * write a Transpose before and one behind. Between two of them most do nothing but undo each other:
 *
 *     T -> Conv -> T' -> Relu -> T -> Conv -> T'     as the rows write it
 *     T -> Conv -> Relu -> Conv -> T'                in the file
 *
 * Reading goes the other way: what such a node does to a transposed image is done to the image, and
 * the result is transposed. So a model that is read is channels-last again. */
#ifndef CAJAL_FORMAT_ONNX_TURNED_H
#define CAJAL_FORMAT_ONNX_TURNED_H

#include "format/onnx/import.h"

/* Axis of the channels-first image that is this one of the channels-last one; `back`: the other
 * way. */
int64_t cj__onnx_turned_axis(int rank, bool back, int64_t axis);
/* Does the node go element by element, or along axes that it names? *axes: the attribute with
 * these, "axis" or "axes", or NULL. */
bool cj__onnx_turns(const cj__onnx_node *node, const cj__onnx_attribute **axes, bool *reduces);

/* Leaves Transposes out of the main graph. */
void cj__onnx_straighten(cj__onnx_writer *w, cj__onnx_graph *graph);
/* What stands behind the Transpose of a channels-last image; NULL: it is none. */
cj_node *cj__onnx_untransposed(const cj_node *x);
/* Reads such a node, whose row is given; false: its operands are not transposed images. */
bool cj__onnx_read_turned(cj__onnx_reader *r, const cj__onnx_row *row);

#endif
