/* onnx_support.h: what the tests of ONNX files share: samples of every operator as files. */
#ifndef CAJAL_TESTS_ONNX_SUPPORT_H
#define CAJAL_TESTS_ONNX_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/norm.h>
#include <cajal/run.h>
#include <cajal/train.h>

#include "format/onnx/file.h"
#include "graph/sample.h"
#include "tensor/tensor.h"

enum { OUTPUTS_MAX = 64 };

/* Runs all outputs on a backend, NULL for the best there are; the caller frees them. */
static inline cj_status run_graph_on(cj_context *cj, const char *backend, cj_graph *g,
                                     const cj_feed *feeds, int n_feeds, cj_tensor **out)
{
    cj_node *nodes[OUTPUTS_MAX];
    int n = cj_graph_output_count(g);
    for (int i = 0; i < n; i++) nodes[i] = cj_graph_output_at(g, i);
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .output_list = nodes,
                                                       .n_outputs = n});
    if (!p) return cj_last_status(cj);
    cj_session_opts opts = {.struct_size = sizeof(opts), .backend = backend};
    cj_session *s = cj_session_new_opts(p, cj_graph_store(g), &opts);
    cj_status failed = s ? cj_run(s, feeds, n_feeds, out, n) : cj_last_status(cj);
    if (failed && s) cj_fail(cj, failed, "%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(p);
    return failed;
}

static inline cj_status run_graph(cj_context *cj, cj_graph *g, const cj_feed *feeds, int n_feeds,
                                  cj_tensor **out)
{
    return run_graph_on(cj, "reference", g, feeds, n_feeds, out);
}

static inline void free_all(cj_tensor **tensors, int n)
{
    for (int i = 0; i < n; i++) cj_tensor_free(tensors[i]);
}

/* Sample i of a row in a graph of its own, all outputs of its call being outputs; NULL past the
 * last. */
static inline cj_graph *sample_graph(cj_context *cj, const cj_op *op, int i, cj_dtype dtype)
{
    cj_graph *g = cj_graph_new(cj);
    cj_sampler s;
    assert_non_null(g);
    cj__sampler_init(&s, g, 1);
    s.dtype = s.precision = dtype;
    cj_node *y = op->sample ? op->sample(&s, i) : NULL;
    if (!y && cj_graph_failed(g)) print_error("%s %d: %s\n", op->name, i, cj_message(cj));
    if (!y) {
        cj_graph_free(g);
        return NULL;
    }
    for (int k = 0; k < y->call->n_out; k++) {
        char name[32];
        cj__format(name, sizeof(name), "y%d", k);
        cj_graph_output(g, name, &y->call->out[k]);
    }
    return g;
}

/* Of files that are written for other programs; 0: the default. */
static inline int64_t test_opset(void)
{
    const char *asked = getenv("CJ_TEST_OPSET");
    return asked ? atoll(asked) : 0;
}

/* The bytes of the graph's file. */
static inline cj_status graph_bytes(cj_context *cj, cj_graph *g, cj__text *out)
{
    cj__arena arena;
    cj__arena_init(&arena, cj);
    cj__text_init(out, cj);
    cj_status failed = cj__onnx_write_graph(g, g, test_opset(),
                                            &(cj__onnx_properties){.arena = &arena}, out);
    cj__arena_release(&arena);
    return failed;
}

static inline cj_graph *graph_from(cj_context *cj, const void *bytes, size_t size)
{
    cj__arena arena;
    cj__onnx_model *model;
    cj_graph *g = NULL;
    cj__arena_init(&arena, cj);
    cj__onnx_origin from = {.bytes = bytes, .size = size};
    cj__onnx_read_graph(cj, &arena, &from, NULL, &g, &model);
    cj__arena_release(&arena);
    return g;
}

#endif
