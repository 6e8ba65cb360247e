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

static inline bool cj__is_f32(const cj_array *a) { return a->dtype == CJ_F32; }

#endif
