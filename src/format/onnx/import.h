/* import.h: what the files of the importer share; rows of operators need map.h alone. */
#ifndef CAJAL_FORMAT_ONNX_IMPORT_H
#define CAJAL_FORMAT_ONNX_IMPORT_H

#include "format/onnx/map.h"

/* ---- import_source.c ------------------------------------------------------------------------- */

cj_status cj__onnx_no_memory(cj__onnx_reader *r);
/* How a node is called for people: by its name, or else by its first output. */
const char *cj__onnx_shown_name(const cj__onnx_node *node, char name[CJ__SLICE_SHOWN]);
/* "node 'dense/MatMul' (MatMul): " before the message there is. */
void cj__onnx_name_node(cj__onnx_reader *r);
/* A copy in the arena; NULL after a failure, which says `what` it was. */
char *cj__onnx_string_of(cj__onnx_reader *r, cj__slice slice, const char *what);
/* A new source of that name in the level. */
cj__onnx_source *cj__onnx_declare(cj__onnx_reader *r, cj__slice name, const char *what);
/* The source of output k of the node; NULL when it has no name. */
cj__onnx_source *cj__onnx_result(cj__onnx_reader *r, size_t k);

#endif
