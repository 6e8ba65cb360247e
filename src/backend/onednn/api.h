/* api.h: oneDNN behind a few plain functions; api.c alone knows its interface and its versions.
 *
 *     cj__dnnl_work w = {.kind = CJ__DNNL_MATMUL, .threads = 1};
 *     w.array[CJ__DNNL_A] = (cj__dnnl_array){.rank = 2, .dim = {32, 64}, .stride = {64, 1}};
 *     ...
 *     cj__dnnl_prepare(cj, arena, &w, &d, &workspace_bytes);        // all that costs is here
 *     cj__dnnl_run(d, cj, data, workspace, NULL);                   // sets addresses, executes
 *     cj__dnnl_release(d);
 *
 * A piece of work has arrays in the caller's layout. Where the caller leaves the layout to oneDNN
 * (`any`) and that likes another, the array is copied into that layout before the primitive runs,
 * or back from it afterwards; an array that is `kept` only when its version has changed.
 *
 * Globals: oneDNN's own cache of primitives (1024 of them, shared by all sessions; code is
 * generated once for equal work) and the setting of OpenMP's threads, which is put back after each
 * call. Its allocations escape our allocator table. It never works on more than `threads` threads;
 * with 1 it enters no thread team. */
#ifndef CAJAL_BACKEND_ONEDNN_API_H
#define CAJAL_BACKEND_ONEDNN_API_H

#include "base/arena.h"

enum { CJ__DNNL_RANK_MAX = 12, CJ__DNNL_SPATIAL_MAX = 3 }; /* 12: oneDNN reads so many */

/* An array of f32 or bf16 as oneDNN is told of it: sizes in its order (n, c, spatial ...; weights
 * [groups,] out, in, spatial ...), strides in elements. rank 0: there is none. */
typedef struct cj__dnnl_array {
    int rank;
    bool bf16;
    int64_t dim[CJ__DNNL_RANK_MAX], stride[CJ__DNNL_RANK_MAX];
    bool any;  /* oneDNN may take another layout and pay with a copy */
    bool kept; /* the copy lives as long as the work: made when the version changes */
} cj__dnnl_array;

/*                     A        B        OUT     optional
 *     CONV            x        w        y       BIAS, ADDEND, relu
 *     CONV_DATA       dy       w        dx
 *     CONV_WEIGHTS    x        dy       dw
 *     MATMUL          a        b        y       BIAS, ADDEND, relu */
typedef enum cj__dnnl_kind {
    CJ__DNNL_CONV,
    CJ__DNNL_CONV_DATA,
    CJ__DNNL_CONV_WEIGHTS,
    CJ__DNNL_MATMUL
} cj__dnnl_kind;
enum {
    CJ__DNNL_A,
    CJ__DNNL_B,
    CJ__DNNL_OUT,
    CJ__DNNL_BIAS,   /* convolution: [out]; matmul: of the result's rank */
    CJ__DNNL_ADDEND, /* of OUT's sizes and layout */
    CJ__DNNL_ARRAYS
};

typedef struct cj__dnnl_work {
    cj__dnnl_kind kind;
    cj__dnnl_array array[CJ__DNNL_ARRAYS];
    int spatial; /* convolutions; the lists below have so many numbers */
    int64_t stride[CJ__DNNL_SPATIAL_MAX], dilation[CJ__DNNL_SPATIAL_MAX],
        before[CJ__DNNL_SPATIAL_MAX], after[CJ__DNNL_SPATIAL_MAX];
    bool relu; /* OUT = max(OUT, 0) after bias and addend */
    int threads;
    const char *code; /* that is to do it, if oneDNN has it for this work; NULL: its first choice */
} cj__dnnl_work;

typedef struct cj__dnnl cj__dnnl;

/* The name of the code that would do the work, "jit:avx512_core"; "" when oneDNN has none, or is
 * linked to a thread library that we cannot limit. */
void cj__dnnl_code(const cj__dnnl_work *work, char *name, size_t size);
/* Makes everything the work needs; small things in `arena`, the rest is oneDNN's. *out is set, also
 * on a failure after which something is to be released. */
cj_status cj__dnnl_prepare(cj_context *cj, cj__arena *arena, const cj__dnnl_work *work,
                           cj__dnnl **out, size_t *workspace_bytes);
/* data: addresses of the arrays. version: of kept arrays; NULL: they are copied on every run. */
cj_status cj__dnnl_run(cj__dnnl *d, cj_context *cj, void *const data[CJ__DNNL_ARRAYS],
                       void *workspace, const uint64_t *version);
/* c[m,n] = op(a) op(b), row-major, on this thread alone; any thread may call it. False: it failed.
 */
bool cj__dnnl_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                    const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                    int64_t ldc);
/* Bytes that each run copies from one layout to another, kept arrays not counted. */
size_t cj__dnnl_reordered(const cj__dnnl *d);
void cj__dnnl_release(cj__dnnl *d);

#endif
