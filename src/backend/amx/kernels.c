/* kernels.c: the AMX backend's list. Its kernels come before all others where the processor has
 * tile registers and the work is large; everything else is the business of the next backend. */
#ifdef CJ_HAVE_AMX
#include "backend/amx/amx.h"
#include "backend/amx/tiles.h"

static const cj__kernel_row rows[] = {{.name = "amx/gemm",
                                       .op = &cj_op_matmul,
                                       .supports = cj__amx_matmul_supports,
                                       .prepare = cj__amx_matmul_prepare,
                                       .run = cj__amx_matmul_run},
                                      {.name = "amx/conv",
                                       .op = &cj_op_conv,
                                       .supports = cj__amx_conv_supports,
                                       .prepare = cj__amx_conv_prepare,
                                       .run = cj__amx_conv_run},
                                      {.name = "amx/conv_transpose",
                                       .op = &cj_op_conv_transpose,
                                       .supports = cj__amx_conv_supports,
                                       .prepare = cj__amx_conv_prepare,
                                       .run = cj__amx_conv_run},
                                      {.name = "amx/conv_weight_grad",
                                       .op = &cj_op_conv_weight_grad,
                                       .supports = cj__amx_conv_weight_supports,
                                       .prepare = cj__amx_conv_weight_prepare,
                                       .run = cj__amx_conv_weight_run},
                                      {0}};

static const char *variant(void) { return cj__amx_available() ? "avx512 amx" : NULL; }

extern const cj__backend cj__backend_amx;
const cj__backend cj__backend_amx = {
    .name = "amx",
    .doc = "f32 products out of bfloat16 parts, on tile registers",
    .kernels = rows,
    .variant = variant};
#else
typedef int cj__amx_is_not_built; /* a file of C is never empty */
#endif
