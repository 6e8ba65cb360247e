/* tune.h: what tune.c, tune_head.c and tune_freeze.c share: a file by its names, while it is
 * changed before it is read as a model. */
#ifndef CAJAL_FORMAT_ONNX_TUNE_H
#define CAJAL_FORMAT_ONNX_TUNE_H

#include "format/onnx/file.h"

/* What a name of the main graph is. */
typedef struct cj__tune_name {
    const char *name;
    cj__onnx_tensor *tensor; /* an initializer's */
    cj__onnx_node *node;     /* that makes it */
    int uses;                /* of nodes and outputs */
    bool initializer;
    bool statistic; /* the running mean or variance of a batch normalisation; tune_freeze.c */
} cj__tune_name;

typedef struct cj__tune_index {
    cj__onnx_tuning *t;
    cj__onnx_graph *g;
    cj__names values;
} cj__tune_index;

/* Another line for cj_tune_opts.tell. */
void cj__tune_tell(cj__onnx_tuning *t, const char *format, ...) CJ_PRINTF(2, 3);
/* What is known of a name, and of input i of a node; NULL: it has none, or there is no memory. */
cj__tune_name *cj__tune_value(cj__tune_index *x, cj__slice slice);
cj__tune_name *cj__tune_input(cj__tune_index *x, const cj__onnx_node *node, size_t i);
bool cj__tune_is(const cj__onnx_node *node, const char *op);
cj__onnx_attribute *cj__tune_attribute(const cj__onnx_node *node, const char *name);
/* The node's name, or its first output's, for messages. */
const char *cj__tune_shown(const cj__onnx_node *node, char name[CJ__SLICE_SHOWN]);

/* tune_head.c, tune_freeze.c: what the options say. */
cj_status cj__tune_head(cj__tune_index *x);
cj_status cj__tune_freeze(cj__tune_index *x);

#endif
