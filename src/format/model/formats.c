/* formats.c: files of models, of any format: one row each, found by what is in the file and not by
 * its name.
 *
 * Whatever begins like none of the others is taken for ONNX, which has no signature of its own. */
#include "base/file.h"
#include "format/keras/keras.h"
#include "format/onnx/file.h"
#include "format/onnx/tensor.h"
#include "tensor/tensor.h"

typedef struct model_format {
    const char *name;
    bool (*is)(const void *bytes, size_t size); /* NULL: anything */
    cj_status (*read)(cj_context *cj, const cj__onnx_origin *from, cj_model **out);
} model_format;

#if !defined(CJ_CORE)
#define KERAS(kind) \
    static cj_status read_keras_##kind(cj_context *cj, const cj__onnx_origin *from, \
                                       cj_model **out) \
    { \
        return cj__keras_read_##kind(cj, from->bytes, from->size, out); \
    }
KERAS(h5)
KERAS(archive)
#endif

static const model_format formats[] = {
#if !defined(CJ_CORE)
    {"Keras .h5", cj__keras_is_h5, read_keras_h5},
    {"Keras .keras", cj__keras_is_archive, read_keras_archive},
#endif
    {"ONNX", NULL, cj__onnx_read_model},
};

static const model_format *format_of(const cj__onnx_origin *from)
{
    const model_format *f = formats;
    while (f->is && !f->is(from->bytes, from->size)) f++;
    return f;
}

static cj_status read_any(cj_context *cj, const cj__onnx_origin *from, cj_model **out)
{
    const model_format *f = format_of(from);
    const cj_tune_opts *o = from->tune;
    if (f->is && o && (o->freeze || o->head))
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "%s is changed by the names of an ONNX file alone; `cajal convert` makes "
                       "one of it",
                       o->freeze ? "what is frozen" : "the head");
    return f->read(cj, from, out);
}

static cj_model *read_model(cj_context *cj, const cj__onnx_origin *from)
{
    cj_model *m = NULL;
    cj_status failed = read_any(cj, from, &m);
    if (failed && from->path) cj__prefix(cj, failed, "%s", from->path);
    return failed ? NULL : m;
}

cj_model *cj_load_memory(cj_context *cj, const void *bytes, size_t size)
{
    return cj ? read_model(cj, &(cj__onnx_origin){.bytes = bytes, .size = size}) : NULL;
}

cj_model *cj_load(cj_context *cj, const char *path) { return cj_load_to_tune(cj, path, NULL); }

cj_model *cj_load_to_tune(cj_context *cj, const char *path, const cj_tune_opts *opts)
{
    cj__buffer *file;
    if (!cj || cj__onnx_map(cj, path, &file)) return NULL;
    cj__onnx_origin from = {.bytes = file->data, .size = file->size, .path = path, .file = file,
                            .tune = opts};
    cj_model *m = read_model(cj, &from);
    cj__buffer_unref(file);
    return m;
}

/* Tells the caller the inputs of a graph that did not wait for their values. */
static cj_status tell_inputs(cj_context *cj, cj_graph *g, const cj_onnx_opts *opts)
{
    cj__arena arena;
    const int n = g->inputs.count;
    if (!opts || !opts->values) return CJ_OK;
    cj__arena_init(&arena, cj);
    cj_onnx_input *inputs = cj__arena_array(&arena, (size_t)n + 1, sizeof *inputs);
    const cj_tensor **values = cj__arena_array(&arena, (size_t)n + 1, sizeof *values);
    cj_status failed = inputs && values ? CJ_OK : CJ_ERR_MEMORY;
    for (int i = 0; !failed && i < n; i++)
        inputs[i] = (cj_onnx_input){g->inputs.items[i].name, g->inputs.items[i].node->type};
    if (!failed) failed = opts->values(opts->user, g, n, inputs, values);
    cj__arena_release(&arena);
    return failed;
}

cj_graph *cj_load_graph(cj_context *cj, const char *path, const cj_onnx_opts *opts)
{
    cj__buffer *file;
    if (!cj || cj__onnx_map(cj, path, &file)) return NULL;
    const cj__onnx_origin from = {
        .bytes = file->data, .size = file->size, .path = path, .file = file};
    const bool onnx = !format_of(&from)->is;
    cj_model *m = onnx ? NULL : read_model(cj, &from);
    cj_graph *g = onnx ? cj__onnx_load_graph(cj, &from, opts) : m ? cj__model_give_graph(m) : NULL;
    cj__buffer_unref(file);
    if (!onnx && g && tell_inputs(cj, g, opts)) {
        cj_graph_free(g);
        return NULL;
    }
    return g;
}
