/* kernels.c: the oneDNN backend's list: what oneDNN does better than our own kernels.
 *
 * A call it has no fast code for (`ref` and the like), another dtype, an empty array: all go on to
 * the next backend. bf16 it has where the processor has instructions for it. Everything that costs
 * is made when a plan is: primitives, layouts, the workspace. */
#ifdef CJ_HAVE_DNNL
#include "backend/onednn/onednn.h"

int cj__dnnl_threads(const cj_kernel *k)
{
#ifdef CJ_POOL_PTHREAD
    (void)k;
    return 1;
#else
    return cj__team_threads(k->team);
#endif
}

static void release(const void *prepared)
{
    cj__dnnl_release((cj__dnnl *)(uintptr_t)prepared);
}

static size_t reordered(const cj_kernel *k) { return cj__dnnl_reordered(k->prepared); }

static const cj__kernel_row rows[] = {
    {.name = "onednn/conv",
     .op = &cj_op_conv,
     .supports = cj__dnnl_conv_supports,
     .prepare = cj__dnnl_conv_prepare,
     .run = cj__dnnl_conv_run,
     .release = release,
     .reordered = reordered},
    {.name = "onednn/conv_transpose",
     .op = &cj_op_conv_transpose,
     .supports = cj__dnnl_conv_supports,
     .prepare = cj__dnnl_conv_prepare,
     .run = cj__dnnl_conv_run,
     .release = release,
     .reordered = reordered},
    {.name = "onednn/conv_weight_grad",
     .op = &cj_op_conv_weight_grad,
     .supports = cj__dnnl_conv_supports,
     .prepare = cj__dnnl_conv_prepare,
     .run = cj__dnnl_conv_run,
     .release = release,
     .reordered = reordered},
    {.name = "onednn/matmul",
     .op = &cj_op_matmul,
     .supports = cj__dnnl_matmul_supports,
     .prepare = cj__dnnl_matmul_prepare,
     .run = cj__dnnl_matmul_run,
     .release = release,
     .reordered = reordered},
    {.name = "onednn/sgemm",
     .op = &cj_op_matmul,
     .supports = cj__dnnl_sgemm_supports,
     .run = cj__dnnl_sgemm_run},
    {0}};

extern const cj__backend cj__backend_onednn;
const cj__backend cj__backend_onednn = {
    .name = "onednn", .doc = "convolutions and large products by oneDNN", .kernels = rows};
#else
typedef int cj__dnnl_kernels_are_not_built; /* a file of C is never empty */
#endif
