/* packed.h: weights of recurrent layers in the form that ONNX's nodes take them in.
 *
 *     ours                                              in the file
 *     lstm/kernel, lstm/backward_kernel [4 H, C]        lstm/W [2, 4 H, C], gates i o f c
 *     lstm/bias [4 H]                                   lstm/B [1, 8 H], the second half 0
 *
 * One initializer is written for all parts, and metadata say what it is of: {"lstm/W":
 * ["lstm/kernel", "lstm/backward_kernel"], "lstm/B": ["lstm/bias", ""]}, "" being zeros. Read
 * again, the parts are what they were. */
#ifndef CAJAL_FORMAT_ONNX_PACKED_H
#define CAJAL_FORMAT_ONNX_PACKED_H

#include "format/onnx/map.h"

enum { CJ__ONNX_PARTS_MAX = 4 }; /* two directions, two biases */

typedef struct cj__onnx_packed {
    const char *name;
    const char *part[CJ__ONNX_PARTS_MAX]; /* of the first direction, then of the second; "": 0 */
    int n;
    struct cj__onnx_packed *next;
} cj__onnx_packed;

/* Row i of ONNX's is this row of ours or, `back`, the other way; blocks: gates of each bias, 4 or
 * (peepholes) 3 for an LSTM. What is no LSTM's stays. */
int64_t cj__onnx_gate_row(bool lstm, int blocks, int64_t units, bool back, int64_t i);

/* Is the node a stack of variables that nothing else reads? Then they may be packed. */
bool cj__onnx_is_packed(const cj__onnx_writer *w, const cj_node *node);
/* An initializer for such a node: "lstm/W" for the name "W". */
const char *cj__onnx_pack(cj__onnx_writer *w, const cj_node *node, const char *name, bool lstm,
                          int blocks, int64_t units);
/* The list as JSON; "" when nothing is packed. */
void cj__onnx_packed_text(const cj__onnx_writer *w, cj__text *out);

/* metadata.c: the value of a metadata key; *out is NULL when the file has none. */
struct cj__json;
cj_status cj__onnx_metadata_json(cj__arena *arena, const cj__onnx_model *from, const char *key,
                                 const struct cj__json **out);
/* Puts parts in the place of what metadata say is packed; *out: name -> cj__onnx_packed. */
cj_status cj__onnx_unpack(cj__arena *arena, cj__onnx_model *model, const char *key,
                          cj__names *out);
/* The parts in a stack, as the operand of ours takes them. NULL after a failure. */
cj_node *cj__onnx_stacked(cj__onnx_reader *r, const cj__onnx_packed *packed);

#endif
