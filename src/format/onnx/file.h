/* file.h: graphs as the bytes of ONNX files; save.c and metadata.c put models on top of it. */
#ifndef CAJAL_FORMAT_ONNX_FILE_H
#define CAJAL_FORMAT_ONNX_FILE_H

#include "format/onnx/map.h"
#include "nn/model.h"

/* A list of metadata_props that is being made, in an arena. */
typedef struct cj__onnx_properties {
    cj__arena *arena;
    cj__onnx_entry items[32];
    size_t count;
    cj_status failed;
} cj__onnx_properties;

/* Appends the file. "cajal.parameters" and "cajal.variables" are added to the properties when the
 * graph has variables. model: the graph whose layers and variables those of g are, g or what it was
 * copied from; opset 0: the default. */
cj_status cj__onnx_write_graph(cj_graph *g, cj_graph *model, int64_t opset,
                               cj__onnx_properties *properties, cj__text *out);
/* A file that is read: its bytes, and where they come from. */
typedef struct cj__onnx_origin {
    const void *bytes;
    size_t size;
    const char *path;        /* NULL: they are memory of the caller's */
    struct cj__buffer *file; /* NULL: nothing may refer to them afterwards */
    const cj_tune_opts *tune;       /* what a model of it is to be, or NULL; */
    struct cj__onnx_tuning *tuning; /* and while it is read, what is changed before */
} cj__onnx_origin;
/* Reads one; model: the parsed file, which refers to the bytes and lives in the arena. */
cj_status cj__onnx_read_graph(cj_context *cj, cj__arena *arena, const cj__onnx_origin *from,
                              const cj_onnx_opts *asked, cj_graph **out, cj__onnx_model **model);
/* The file, which has a path, as a graph; NULL: the context says why not. */
cj_graph *cj__onnx_load_graph(cj_context *cj, const cj__onnx_origin *from,
                              const cj_onnx_opts *opts);

/* The file as a model; from->tune: what is changed before, or NULL. */
cj_status cj__onnx_read_model(cj_context *cj, const cj__onnx_origin *from, cj_model **out);
/* tune.c: changes to a file before it is read as a model. */
typedef struct cj__onnx_tuning {
    cj_tune_opts opts;
    bool keep_batch; /* what the file fixes stays: it cannot be a symbol, */
    int64_t refused; /* this number, */
    char why[512];   /* for this reason */
    bool waits;      /* it failed for want of the values of inputs; */
    bool with_values; /* they are to be asked for */
    cj__text *told;  /* lines for opts.tell, once all is done */
    /* Set by cj__onnx_tune: */
    cj__arena *arena;
    const cj__names *listed; /* the parameters of a file that lists them; else NULL */
    bool ours;               /* it does, as our files do */
    int64_t batch;           /* that became a symbol; 0: none */
    cj__names frozen, new_weights; /* frozen statistics have the map itself as their value */
} cj__onnx_tuning;
cj_status cj__onnx_tune(cj__onnx_tuning *t, cj__arena *arena, cj__onnx_model *model);
/* Holds what was read against what was changed, and writes down what is frozen. */
cj_status cj__onnx_tuned(cj__onnx_tuning *t, cj_model *m, const cj__onnx_model *model);

/* metadata.c: what a model knows beyond its graph. */
void cj__onnx_property(cj__onnx_properties *properties, const char *key, const char *value);
void cj__onnx_describe_model(cj__onnx_properties *properties, cj_model *m);
/* The masks beside the model's outputs become outputs of g, the assembled model, behind its own. */
void cj__onnx_put_masks(cj__onnx_properties *properties, cj_model *m, cj_graph *g);
cj_status cj__onnx_recall_model(cj__arena *arena, const cj__onnx_model *from, cj_model *m);
/* The names in a JSON list of strings under `key`, numbered from 1; *found tells whether there is
 * one. */
cj_status cj__onnx_listed_names(cj_context *cj, cj__arena *arena, const cj__onnx_model *from,
                                const char *key, cj__names *out, bool *found);

#endif
