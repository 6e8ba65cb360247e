/* fuzz_onnx_import.c: any bytes as an ONNX model that becomes a graph: without values of its
 * inputs, and with zeros (2 where a size is open), so that what decides shapes is computed. The
 * memory is bounded by the size of the input, everything is given back, and a failure has a
 * message. */
#include <stdint.h>
#include <stdlib.h>

#include "base/strings.h"
#include "format/onnx/file.h"

#define CHECK(x) ((x) ? (void)0 : abort())

enum { INPUTS_MAX = 16, ELEMENTS_MAX = 256, PEAK = 8 << 20, PEAK_A_BYTE = 2048 };

typedef struct zeros {
    cj_context *cj;
    cj_tensor *values[INPUTS_MAX];
} zeros;

static cj_status give(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                      const cj_tensor **values)
{
    zeros *z = user;
    (void)g;
    for (int i = 0; i < n && i < INPUTS_MAX; i++) {
        int64_t dims[CJ_RANK_MAX], count = 1;
        int rank = inputs[i].type.rank < 0 ? 0 : inputs[i].type.rank;
        for (int k = 0; k < rank; k++) {
            dims[k] = inputs[i].type.dim[k] < 0 ? 2 : inputs[i].type.dim[k];
            count = dims[k] > ELEMENTS_MAX ? ELEMENTS_MAX + 1 : count * dims[k];
            if (count > ELEMENTS_MAX) break;
        }
        if (count > ELEMENTS_MAX) continue;
        z->values[i] = cj_tensor_new(z->cj, inputs[i].type.dtype, rank, dims);
        values[i] = z->values[i];
    }
    return CJ_OK;
}

static void try_import(cj_context *cj, const uint8_t *bytes, size_t size, const cj_onnx_opts *asked)
{
    cj__arena arena;
    cj__onnx_model *model;
    cj_graph *g = NULL;
    const cj__onnx_origin from = {.bytes = bytes, .size = size};
    cj__arena_init(&arena, cj);
    cj_status failed = cj__onnx_read_graph(cj, &arena, &from, asked, &g, &model);
    CHECK(!failed == (g != NULL));
    CHECK(!failed || cj_message(cj)[0]);
    cj_graph_free(g);
    cj__arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1});
    if (!cj) return 0;
    zeros z = {.cj = cj};
    cj_onnx_opts opts = {.struct_size = sizeof opts, .values = give, .user = &z};
    try_import(cj, bytes, size, NULL);
    try_import(cj, bytes, size, &opts);
    for (int i = 0; i < INPUTS_MAX; i++) cj_tensor_free(z.values[i]);
    const int64_t texts = cj__strings_bytes(cj); /* stay as long as the context */
    CHECK(cj_memory_used(cj) == texts);
    CHECK(cj_memory_peak(cj) <= PEAK + PEAK_A_BYTE * (int64_t)size);
    cj_context_free(cj);
    return 0;
}
