/* amx.h: what the files of the AMX backend share. */
#ifndef CAJAL_BACKEND_AMX_AMX_H
#define CAJAL_BACKEND_AMX_AMX_H

#include "backend/backend.h"
#include "graph/ops/window.h"

/* matmul.c */
bool cj__amx_matmul_supports(const cj_kernel *k);
cj_status cj__amx_matmul_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                 size_t *workspace_bytes);
cj_status cj__amx_matmul_run(const cj_kernel *k);

/* conv.c: conv and conv_transpose */
bool cj__amx_conv_supports(const cj_kernel *k);
cj_status cj__amx_conv_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                               size_t *workspace_bytes);
cj_status cj__amx_conv_run(const cj_kernel *k);

/* conv_weight.c */
bool cj__amx_conv_weight_supports(const cj_kernel *k);
cj_status cj__amx_conv_weight_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                      size_t *workspace_bytes);
cj_status cj__amx_conv_weight_run(const cj_kernel *k);

#endif
