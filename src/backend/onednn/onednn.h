/* onednn.h: what the files of the oneDNN backend share. */
#ifndef CAJAL_BACKEND_ONEDNN_ONEDNN_H
#define CAJAL_BACKEND_ONEDNN_ONEDNN_H

#include "backend/backend.h"
#include "backend/onednn/api.h"

/* conv.c: the rows conv, conv_transpose, conv_weight_grad. */
bool cj__dnnl_conv_supports(const cj_kernel *k);
cj_status cj__dnnl_conv_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                size_t *workspace_bytes);
cj_status cj__dnnl_conv_run(const cj_kernel *k);

/* matmul.c: by the primitive; by dnnl_sgemm. */
bool cj__dnnl_matmul_supports(const cj_kernel *k);
cj_status cj__dnnl_matmul_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                  size_t *workspace_bytes);
cj_status cj__dnnl_matmul_run(const cj_kernel *k);
bool cj__dnnl_sgemm_supports(const cj_kernel *k);
cj_status cj__dnnl_sgemm_run(const cj_kernel *k);

/* kernels.c: the threads a kernel of this backend may use. oneDNN's are OpenMP's: beside our own
 * pool it stays on the calling thread. */
int cj__dnnl_threads(const cj_kernel *k);

#endif
