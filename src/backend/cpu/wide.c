/* wide.c: kernels of f32 for products in 16 bits: operands are widened, results rounded once.
 *
 *     16-bit operands  ->  f32 in the workspace  ->  the f32 kernel  ->  f32  ->  16-bit results
 *
 * Listed last, over the backend's own rows: what it has for f32 so serves f16 and bf16, too, at the
 * price of two sweeps over memory. */
#include "backend/cpu/cpu.h"

#include "base/size.h"

enum { ARRAYS_MAX = 6, BLOCK = 16384, ALIGNMENT = 64 };

typedef struct wide {
    const cj__kernel_row *row;
    cj_call call; /* the same in f32 */
    const void *prepared;
    size_t place[ARRAYS_MAX]; /* of operands, then results, in the workspace; SIZE_MAX: as it is */
    size_t workspace;         /* of the f32 kernel */
} wide;

typedef struct shadow { /* a call and its arrays in f32 */
    cj_call call;
    cj_node nodes[ARRAYS_MAX], *operands[ARRAYS_MAX];
    cj_array arrays[ARRAYS_MAX];
    const cj_array *in[ARRAYS_MAX];
    cj_array *out[ARRAYS_MAX];
    cj_kernel kernel;
} shadow;

static bool is_half(cj_dtype dtype) { return dtype == CJ_F16 || dtype == CJ_BF16; }

static const cj_array *array_of(const cj_kernel *k, int i)
{
    return i < k->call->n_in ? k->in[i] : k->out[i - k->call->n_in];
}

/* False when there is nothing to widen, or too much. */
static bool shadow_of(const cj_kernel *k, shadow *s)
{
    const cj_call *call = k->call;
    int n = call->n_in + call->n_out;
    bool any = false;
    if (!(call->op->flags & CJ_OP_NARROW) || n > ARRAYS_MAX) return false;
    s->call = *call;
    s->call.in = s->operands;
    s->call.out = &s->nodes[call->n_in];
    for (int i = 0; i < n; i++) {
        s->nodes[i] = i < call->n_in ? *call->in[i] : call->out[i - call->n_in];
        s->arrays[i] = *array_of(k, i);
        any = any || is_half(s->arrays[i].dtype);
        if (is_half(s->arrays[i].dtype)) s->nodes[i].type.dtype = s->arrays[i].dtype = CJ_F32;
        if (i < call->n_in) s->operands[i] = &s->nodes[i], s->in[i] = &s->arrays[i];
        else s->out[i - call->n_in] = &s->arrays[i];
    }
    s->kernel = *k;
    s->kernel.call = &s->call;
    s->kernel.in = s->in;
    s->kernel.out = s->out;
    s->kernel.workspace = NULL;
    s->kernel.prepared = NULL;
    return any;
}

static const cj__kernel_row *find(const cj_kernel *k)
{
    for (const cj__kernel_row *rows = cj__backend_cpu.kernels; rows->run; rows++)
        if (rows->op == k->call->op && (!rows->supports || rows->supports(k))) return rows;
    return NULL;
}

bool cj__wide_supports(const cj_kernel *k)
{
    shadow s;
    return shadow_of(k, &s) && find(&s.kernel);
}

cj_status cj__wide_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                           size_t *workspace_bytes)
{
    wide *w = cj__arena_alloc(arena, sizeof *w);
    shadow *s = cj__arena_alloc(arena, sizeof *s); /* kernels may keep pointers to it */
    size_t end = 0, bytes;
    if (!w || !s) return CJ_ERR_MEMORY;
    bool is = shadow_of(k, s);
    CJ_ASSERT(is);
    (void)is;
    w->call = s->call;
    w->row = find(&s->kernel);
    *prepared = w;
    for (int i = 0; i < k->call->n_in + k->call->n_out; i++) {
        w->place[i] = is_half(array_of(k, i)->dtype) ? end : SIZE_MAX;
        if (w->place[i] == SIZE_MAX) continue;
        if (!cj__size_mul((size_t)array_of(k, i)->count, sizeof(float), &bytes) ||
            !cj__size_add(end, cj__round_up(bytes, ALIGNMENT), &end))
            return cj_fail(k->cj, CJ_ERR_LIMIT, "%s: too large to be widened", k->call->op->name);
    }
    w->workspace = end;
    if (w->row->prepare)
        CJ__TRY(w->row->prepare(&s->kernel, arena, &w->prepared, workspace_bytes));
    if (!cj__size_add(end, *workspace_bytes, workspace_bytes))
        return cj_fail(k->cj, CJ_ERR_LIMIT, "%s: too large to be widened", k->call->op->name);
    return CJ_OK;
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct conversion {
    cj__cast_fn convert;
    const char *from;
    char *to;
    size_t from_bytes, to_bytes;
    int64_t count;
} conversion;

static void convert_blocks(void *arg, int64_t begin, int64_t end)
{
    const conversion *c = arg;
    size_t first = (size_t)begin * BLOCK;
    int64_t n = (end < (c->count + BLOCK - 1) / BLOCK ? end * BLOCK : c->count) - begin * BLOCK;
    c->convert((size_t)n, c->from + first * c->from_bytes, c->to + first * c->to_bytes);
}

static void convert(const cj_kernel *k, const cj_array *half, float *wide_data, bool widen)
{
    const cj__isa *isa = cj__isa_best();
    bool bf16 = half->dtype == CJ_BF16;
    int function = widen ? (bf16 ? CJ__CAST_BF16_F32 : CJ__CAST_F16_F32)
                         : (bf16 ? CJ__CAST_F32_BF16 : CJ__CAST_F32_F16);
    conversion c = {.convert = isa->cast[function],
                    .from = widen ? half->data : (const void *)wide_data,
                    .to = widen ? (void *)wide_data : half->data,
                    .from_bytes = widen ? 2 : 4,
                    .to_bytes = widen ? 4 : 2,
                    .count = half->count};
    if (c.count) cj__parallel_for(k->team, (c.count + BLOCK - 1) / BLOCK, 1, convert_blocks, &c);
}

cj_status cj__wide_run(const cj_kernel *k)
{
    const wide *w = k->prepared;
    const int n_in = k->call->n_in, n = n_in + k->call->n_out;
    char *base = k->workspace;
    shadow s;
    (void)shadow_of(k, &s);
    s.call = w->call;
    s.kernel.prepared = w->prepared;
    s.kernel.workspace = base + w->workspace;
    for (int i = 0; i < n; i++) {
        if (w->place[i] == SIZE_MAX) continue;
        s.arrays[i].data = base + w->place[i];
        if (i < n_in) convert(k, k->in[i], s.arrays[i].data, true);
    }
    CJ__TRY(w->row->run(&s.kernel));
    for (int i = n_in; i < n; i++)
        if (w->place[i] != SIZE_MAX) convert(k, k->out[i - n_in], s.arrays[i].data, false);
    return CJ_OK;
}

void cj__wide_release(const void *prepared)
{
    const wide *w = prepared;
    if (w && w->row->release && w->prepared) w->row->release(w->prepared);
}
