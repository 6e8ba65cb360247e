/* conv.c: the three rows of convolution as oneDNN's convolution forward, backward data and backward
 * weights.
 *
 *     conv               x, w  -> y      forward
 *     conv_transpose     y, w  -> x      backward data: w is the same, so is every attribute
 *     conv_weight_grad   x, y  -> w      backward weights
 *
 * Weights are plain, [out, in / groups, k...] (with groups: [groups, out / groups, ...], the same
 * memory), and packed by oneDNN: once a version when they are fixed, else on each run. Images with
 * channels last are taken as they are (blocked layouts are within noise of them, see
 * bench/internal/ conv.c); with channels first oneDNN has fast code for stems only, so it may
 * choose and pays copies. */
#ifdef CJ_HAVE_DNNL
#include "backend/onednn/onednn.h"

#include <string.h>

#include "graph/ops/window.h"

static bool is_usable(const cj_array *a)
{
    return !a || ((a->dtype == CJ_F32 || a->dtype == CJ_BF16) && a->count > 0);
}

static cj__dnnl_kind kind_of(const cj_kernel *k)
{
    return k->call->op == &cj_op_conv             ? CJ__DNNL_CONV
           : k->call->op == &cj_op_conv_transpose ? CJ__DNNL_CONV_DATA
                                                  : CJ__DNNL_CONV_WEIGHTS;
}

/* [n, spatial..., c] or [n, c, spatial...] told as n, c, spatial. */
static cj__dnnl_array image(const cj_array *a, int64_t channel_axis)
{
    cj__dnnl_array out = {.rank = a->rank, .bf16 = a->dtype == CJ_BF16};
    int64_t stride = 1;
    for (int axis = a->rank - 1; axis >= 0; axis--) {
        int at = axis == 0              ? 0
                 : axis == channel_axis ? 1
                 : channel_axis == 1    ? axis
                                        : axis + 1;
        out.dim[at] = a->dim[axis];
        out.stride[at] = stride;
        stride *= a->dim[axis];
    }
    return out;
}

static cj__dnnl_array weights(const cj_array *a, int64_t groups)
{
    cj__dnnl_array out = {.rank = a->rank + (groups > 1),
                          .bf16 = a->dtype == CJ_BF16,
                          .any = true};
    int64_t stride = 1;
    for (int axis = a->rank - 1; axis >= 0; axis--) {
        int at = axis + (groups > 1);
        out.dim[at] = axis ? a->dim[axis] : a->dim[0] / groups;
        out.stride[at] = stride;
        stride *= out.dim[at];
    }
    if (groups > 1) {
        out.dim[0] = groups;
        out.stride[0] = stride;
    }
    return out;
}

static cj__dnnl_array vector(const cj_array *a)
{
    return (cj__dnnl_array){
        .rank = 1, .bf16 = a->dtype == CJ_BF16, .dim = {a->count}, .stride = {1}};
}

/* In `deterministic` contexts nothing may depend on the number of threads. Forward and backward
 * data sum over channels and window places in one thread each; backward weights share out the
 * batch, and gemm-based code its inner axis: those stay on one thread. */
static int threads_for(const cj_kernel *k, const cj__dnnl_work *work)
{
    int threads = cj__dnnl_threads(k);
    if (threads == 1 || !cj__deterministic(k->cj)) return threads;
    if (work->kind == CJ__DNNL_CONV_WEIGHTS) return 1;
    char code[64];
    cj__dnnl_code(work, code, sizeof code);
    return strncmp(code, "jit", 3) && strncmp(code, "brgconv", 7) ? 1 : threads;
}

/* Where oneDNN's first choice, brgconv, is not the fastest on AVX-512. Measured on one thread, with
 * channels last: of 3 to 32 channels the older code is faster by 1.05 (16 to 16) to 1.6 times (a
 * stem, 3 to 16), of one channel that for AVX2 by 1.13. From 64 results on brgconv is. */
static const char *faster_code(const cj__dnnl_work *work, const cj__conv_shape *c,
                               const cj_array *w)
{
    bool forward = work->kind == CJ__DNNL_CONV && work->spatial == 2 && c->channels_last;
    if (!forward || w->dim[0] > 32 || w->dtype != CJ_F32) return NULL;
    return w->dim[1] == 1 ? "jit:avx2" : w->dim[1] <= 32 ? "jit:avx512_core" : NULL;
}

/* oneDNN's code generators count in int: of a window's axis with its padding, and of weights and
 * single images. Larger sizes make them divide by zero. */
static bool fits_int(const cj__conv_shape *c, const cj__conv_arrays *on)
{
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        const cj__window *w = &c->axis[i];
        if (w->kernel > INT32_MAX || w->n > INT32_MAX || w->before + w->after > INT32_MAX ||
            (w->kernel - 1) * w->dilation + w->n + w->before + w->after > INT32_MAX ||
            w->stride > INT32_MAX)
            return false;
    }
    return c->batch <= INT32_MAX && on->w->count <= INT32_MAX &&
           on->x->count / c->batch <= INT32_MAX && on->y->count / c->batch <= INT32_MAX;
}

/* Its brgconv makes tables of places of the window times results along an axis. */
static bool fits_tables(const cj__conv_shape *c)
{
    enum { ENTRIES = 1 << 20 };
    int64_t longest = 1;
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        const cj__window *w = &c->axis[i];
        const int64_t n = w->n + w->before + w->after, reach = (w->kernel - 1) * w->dilation;
        if (n > longest) longest = n;
        if (reach > longest) longest = reach;
    }
    return c->places <= ENTRIES && longest <= ENTRIES / c->places;
}

/* Where a window may have no element of the image in it, or places beyond both ends of an axis,
 * oneDNN 2.6's forward code leaves results without the addend, or sums what is in its memory. */
static bool fits_windows(const cj__conv_shape *c)
{
    for (int i = 0; i < CJ__SPATIAL_MAX; i++) {
        const cj__window *w = &c->axis[i];
        const int64_t reach = (w->kernel - 1) * w->dilation + 1;
        if (reach > w->n || w->before >= reach || w->after >= reach) return false;
    }
    return true;
}

/* False when oneDNN cannot be told of it. */
static bool describe(const cj_kernel *k, cj__dnnl_work *work)
{
    const cj__conv_attrs *a = k->call->attributes;
    cj__conv_arrays on = cj__conv_arrays_of(k);
    if (!is_usable(on.x) || !is_usable(on.w) || !is_usable(on.y) || !is_usable(on.bias) ||
        !is_usable(on.addend))
        return false;
    cj__conv_shape c = cj__conv_shape_of(a, on.x, on.w, on.y);
    if (!fits_int(&c, &on) || !fits_tables(&c)) return false;
    if (kind_of(k) == CJ__DNNL_CONV && !fits_windows(&c)) return false;
    *work = (cj__dnnl_work){.kind = kind_of(k),
                            .spatial = on.x->rank - 2,
                            .relu = a->activation == CJ__EPILOGUE_RELU};
    if (work->kind != CJ__DNNL_CONV && a->activation != CJ__EPILOGUE_NONE) return false;
    if (a->activation != CJ__EPILOGUE_NONE && !work->relu) return false;
    for (int i = 0; i < work->spatial; i++) {
        const cj__window *w = &c.axis[CJ__SPATIAL_MAX - work->spatial + i];
        if (w->before < 0 || w->after < 0) return false;
        work->stride[i] = w->stride;
        work->dilation[i] = w->dilation;
        work->before[i] = w->before;
        work->after[i] = w->after;
    }
    cj__dnnl_array x = image(on.x, a->channel_axis), y = image(on.y, a->channel_axis),
                   w = weights(on.w, a->groups);
    x.any = y.any = !c.channels_last && !on.addend;
    w.kept = k->fixed && k->fixed[1];
    work->array[CJ__DNNL_A] = work->kind == CJ__DNNL_CONV_DATA ? y : x;
    work->array[CJ__DNNL_B] = work->kind == CJ__DNNL_CONV_WEIGHTS ? y : w;
    work->array[CJ__DNNL_OUT] = work->kind == CJ__DNNL_CONV        ? y
                                : work->kind == CJ__DNNL_CONV_DATA ? x
                                                                   : w;
    if (on.bias) work->array[CJ__DNNL_BIAS] = vector(on.bias);
    if (on.addend) work->array[CJ__DNNL_ADDEND] = y;
    if (a->groups == 1) work->code = faster_code(work, &c, on.w);
    work->threads = cj__dnnl_threads(k);
    work->threads = threads_for(k, work);
    return true;
}

bool cj__dnnl_conv_supports(const cj_kernel *k)
{
    cj__dnnl_work work;
    char code[64];
    if (!describe(k, &work)) return false;
    cj__dnnl_code(&work, code, sizeof code);
    return code[0] && strncmp(code, "ref", 3) != 0;
}

cj_status cj__dnnl_conv_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                size_t *workspace_bytes)
{
    cj__dnnl_work work;
    cj__dnnl *d = NULL;
    bool described = describe(k, &work);
    CJ_ASSERT(described);
    (void)described;
    cj_status failed = cj__dnnl_prepare(k->cj, arena, &work, &d, workspace_bytes);
    *prepared = d;
    return failed;
}

cj_status cj__dnnl_conv_run(const cj_kernel *k)
{
    const cj__conv_attrs *a = k->call->attributes;
    void *data[CJ__DNNL_ARRAYS] = {[CJ__DNNL_A] = k->in[0]->data,
                                   [CJ__DNNL_B] = k->in[1]->data,
                                   [CJ__DNNL_OUT] = k->out[0]->data};
    if (a->has_bias) data[CJ__DNNL_BIAS] = k->in[2]->data;
    if (a->has_addend) data[CJ__DNNL_ADDEND] = k->in[2 + a->has_bias]->data;
    return cj__dnnl_run((cj__dnnl *)(uintptr_t)k->prepared, k->cj, data, k->workspace, k->version);
}
#else
typedef int cj__dnnl_conv_is_not_built; /* a file of C is never empty */
#endif
