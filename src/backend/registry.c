/* registry.c: the one place that names concrete backends. */
#include "backend/backend.h"

extern const cj__backend cj__backend_cpu, cj__backend_winograd;
#ifdef CJ_HAVE_AMX
extern const cj__backend cj__backend_amx;
#endif
#ifdef CJ_HAVE_DNNL
extern const cj__backend cj__backend_onednn;
#endif

static const cj__kernel_row no_kernels[] = {{0}};
static const cj__backend reference = {.name = "reference",
                                      .doc = "the operators' own plain kernels, in double",
                                      .kernels = no_kernels,
                                      .keeps_subnormals = true};

static const cj__backend *const backends[] = {
    &cj__backend_winograd,
#ifdef CJ_HAVE_AMX
    &cj__backend_amx,
#endif
#ifdef CJ_HAVE_DNNL
    &cj__backend_onednn,
#endif
    &cj__backend_cpu, &reference, NULL};

const cj__backend *const *cj__backends(void) { return backends; }
