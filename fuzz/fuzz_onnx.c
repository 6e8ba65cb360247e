/* fuzz_onnx.c: any bytes as an ONNX model and as a tensor. What is accepted must be written and
 * read back to the same bytes, every tensor in it must decode or say why not, and memory is bounded
 * by the size of the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "format/onnx/model.h"
#include "format/onnx/tensor.h"

#define CHECK(x) ((x) ? (void)0 : abort())

static void decode(cj_context *cj, const cj__onnx_tensor *from)
{
    cj_tensor *tensor;
    if (cj__onnx_tensor_decode(cj, from, NULL, &tensor)) return;
    cj_tensor_free(tensor);
}

static void decode_all(cj_context *cj, const cj__onnx_graph *graph, int depth)
{
    CHECK(depth <= CJ__PROTO_DEPTH_MAX);
    for (size_t i = 0; i < graph->initializer.count; i++) decode(cj, &graph->initializer.items[i]);
    for (size_t i = 0; i < graph->node.count; i++) {
        const cj__onnx_node *node = &graph->node.items[i];
        for (size_t j = 0; j < node->attribute.count; j++) {
            const cj__onnx_attribute *a = &node->attribute.items[j];
            if (a->type == CJ__ONNX_ATTR_TENSOR && a->which) decode(cj, a->as.t);
            if (a->type == CJ__ONNX_ATTR_GRAPH && a->which) decode_all(cj, a->as.g, depth + 1);
        }
    }
}

static void try_model(cj_context *cj, const uint8_t *bytes, size_t size)
{
    cj__arena arena, again;
    cj__onnx_model *model;
    cj__arena_init(&arena, cj);
    cj__arena_init(&again, cj);
    cj_status failed = cj__onnx_parse(&arena, bytes, size, &model);
    CHECK(cj__arena_bytes(&arena) <= 32 * size + 65536);
    if (!failed) {
        cj__text first, second;
        cj__text_init(&first, cj);
        cj__text_init(&second, cj);
        decode_all(cj, model->graph, 0);
        CHECK(!cj__onnx_serialize(model, &first));
        CHECK(!cj__onnx_parse(&again, first.bytes, first.length, &model));
        CHECK(!cj__onnx_serialize(model, &second));
        CHECK(first.length == second.length && !memcmp(first.bytes, second.bytes, first.length));
        cj__text_release(&first);
        cj__text_release(&second);
    }
    cj__arena_release(&again);
    cj__arena_release(&arena);
}

static void try_tensor(cj_context *cj, const uint8_t *bytes, size_t size)
{
    cj__arena arena;
    cj__onnx_tensor *tensor;
    cj__arena_init(&arena, cj);
    if (!cj__onnx_parse_tensor(&arena, bytes, size, &tensor)) decode(cj, tensor);
    CHECK(cj__arena_bytes(&arena) <= 32 * size + 65536);
    cj__arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static cj_context *cj;
    if (!cj) cj = cj_context_new(NULL);
    if (!cj) return 0;
    const int64_t had = cj__strings_bytes(cj), before = cj_memory_used(cj) - had;
    try_model(cj, bytes, size);
    try_tensor(cj, bytes, size);
    const int64_t texts = cj__strings_bytes(cj); /* stay as long as the context */
    CHECK(cj_memory_used(cj) - texts == before);
    return 0;
}
