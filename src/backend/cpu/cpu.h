/* cpu.h: what the files of the CPU backend share. */
#ifndef CAJAL_BACKEND_CPU_CPU_H
#define CAJAL_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "backend/cpu/isa.h"

/* tile.c: elementwise calls, alone or fused. */
bool cj__tile_supports(const cj_kernel *k);
cj_status cj__tile_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                           size_t *workspace_bytes);
cj_status cj__tile_run(const cj_kernel *k);

/* roof.c: multiply-adds and memory as fast as this processor goes. */
cj_status cj__cpu_measure(cj_context *cj, cj__team *team, double *gflops, double *gb_per_s);

/* attention.c: attention and its gradient. */
bool cj__attention_supports(const cj_kernel *k);
cj_status cj__attention_run(const cj_kernel *k);
cj_status cj__attention_grad_run(const cj_kernel *k);

/* conv.c: conv and conv_transpose; conv_weight_grad. */
bool cj__conv_supports(const cj_kernel *k);
cj_status cj__conv_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                           size_t *workspace_bytes);
cj_status cj__conv_run(const cj_kernel *k);
cj_status cj__conv_weight_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                  size_t *workspace_bytes);
cj_status cj__conv_weight_run(const cj_kernel *k);

/* conv_depth.c: the same where every channel has a filter of its own. */
bool cj__depth_supports(const cj_kernel *k);
cj_status cj__depth_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                            size_t *workspace_bytes);
cj_status cj__depth_run(const cj_kernel *k);
cj_status cj__depth_weight_run(const cj_kernel *k);

/* winograd.c: conv and conv_transpose of 3 x 3 places; conv_weight_grad. */
bool cj__winograd_supports(const cj_kernel *k);
cj_status cj__winograd_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                               size_t *workspace_bytes);
cj_status cj__winograd_run(const cj_kernel *k);
cj_status cj__winograd_weight_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                      size_t *workspace_bytes);
cj_status cj__winograd_weight_run(const cj_kernel *k);

/* recurrent.c: rnn, lstm, gru and their gradients. */
bool cj__recurrent_supports(const cj_kernel *k);
cj_status cj__recurrent_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                size_t *workspace_bytes);
cj_status cj__recurrent_run(const cj_kernel *k);

/* pool.c: max_pool, pool_spread, avg_pool, avg_pool_grad. */
bool cj__pool_supports(const cj_kernel *k);
cj_status cj__pool_run(const cj_kernel *k);

/* moments.c: mean and variance of columns. */
bool cj__moments_supports(const cj_kernel *k);
cj_status cj__moments_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                              size_t *workspace_bytes);
cj_status cj__moments_run(const cj_kernel *k);

/* rows.c: gather and scatter_add along axis 0. */
bool cj__rows_gather_supports(const cj_kernel *k);
cj_status cj__rows_gather(const cj_kernel *k);
bool cj__rows_scatter_supports(const cj_kernel *k);
cj_status cj__rows_scatter(const cj_kernel *k);

/* join.c: concat and split. */
bool cj__join_supports(const cj_kernel *k);
cj_status cj__join_run(const cj_kernel *k);

/* fft.c: Fourier transforms. */
bool cj__fft_supports(const cj_kernel *k);
cj_status cj__fft_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                          size_t *workspace_bytes);
cj_status cj__fft_run(const cj_kernel *k);

/* wide.c: products in 16 bits by the kernels for f32. */
bool cj__wide_supports(const cj_kernel *k);
cj_status cj__wide_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                           size_t *workspace_bytes);
cj_status cj__wide_run(const cj_kernel *k);
void cj__wide_release(const void *prepared);

extern const cj__backend cj__backend_cpu;

/* From this size on results are written past the caches: they would push out what is in there, and
 * be fetched first to be written over. */
enum { CJ__STREAM_BYTES = 1 << 22 };

static inline bool cj__is_f32(const cj_array *a) { return a->dtype == CJ_F32; }

#endif
