/* matmul.c: matrix products, by whichever of oneDNN's two ways is faster than our own gemm.
 *
 *     onednn/matmul   the primitive: for a fixed b, packed once a version, and with an epilogue
 *     onednn/sgemm    dnnl_sgemm for the rest, cut into blocks that our own team works on
 *
 * Measured on one core with AVX-512 (bench/internal/gemm_vs_onednn.c, GFLOP/s ours / sgemm /
 * primitive / packed): 1024x768x256 107 / 129 / 119 / 112;  6400x512x64 79 / 124 / 100 / 103;
 * 32x128x784 89 / 103 / 105 / 111;  64x128x512 b^T 90 / 94 / 97 / 119;  8x512x1000 b^T 48 / 52 / 44
 * / 79; 1x128x784 54 / 52 / 46 / 46;  32x128x10 72 / 51 / 44 / 55. So: packed wins with few rows,
 * sgemm with many (but for weight gradients, a^T b, of FEW_ROWS rows or more, where ours packs a
 * better), and below some hundred thousand multiply-adds nothing beats ours, which costs no call.
 *
 * A block of sgemm is a slice of rows or columns whose size depends on the shape alone: so the
 * result has the same bits for any number of threads, and other threads than OpenMP's can share the
 * work. Of random shapes about one in a hundred has other bits when it is not cut, so on one
 * thread the whole, some 10 % faster, is taken only when bits do not matter. The primitive, when
 * they do, stays on one thread.
 */
#ifdef CJ_HAVE_DNNL
#include "backend/onednn/onednn.h"

#include <stdatomic.h>
#include <string.h>

#include "graph/ops/window.h"

/* c = a b, `batch` times; b_step 0: one b for all. */
typedef struct product {
    int64_t batch, rows, cols, inner, b_step;
    bool transpose_a, transpose_b, bf16;
} product;

static bool is_product(const cj_kernel *k, cj_dtype dtype, product *p)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    const cj_array *a = k->in[0], *b = k->in[1], *y = k->out[0];
    for (int i = 0; i < k->call->n_in; i++) {
        const bool f32_bias = i == 2 && attrs->has_bias && k->in[i]->dtype == CJ_F32;
        if ((k->in[i]->dtype != dtype && !f32_bias) || !k->in[i]->count) return false;
    }
    if (y->dtype != dtype || !y->count) return false;
    *p = (product){.bf16 = dtype == CJ_BF16,
                   .rows = y->dim[y->rank - 2],
                   .cols = y->dim[y->rank - 1],
                   .inner = a->dim[a->rank - (attrs->transpose_a ? 2 : 1)],
                   .transpose_a = attrs->transpose_a,
                   .transpose_b = attrs->transpose_b};
    p->batch = y->count / (p->rows * p->cols);
    p->b_step = b->rank == 2 ? 0 : p->inner * p->cols;
    if (!p->b_step && !p->transpose_a) {
        p->rows *= p->batch;
        p->batch = 1;
    }
    return true;
}

static double multiply_adds(const product *p)
{
    return (double)p->rows * (double)p->cols * (double)p->inner;
}

enum { WORTH_A_CALL = 1000000, WORTH_PACKING = 100000, FEW_ROWS = 256 }; /* multiply-adds; rows */

/* ---- The primitive --------------------------------------------------------------------------- */

static cj__dnnl_array matrices(int64_t batch, int64_t rows, int64_t cols, bool transposed)
{
    cj__dnnl_array a = {.rank = 3,
                        .dim = {batch, rows, cols},
                        .stride = {rows * cols, transposed ? 1 : cols, transposed ? rows : 1}};
    return a;
}

static void drop_batch(cj__dnnl_array *a)
{
    if (a->rank != 3) return;
    a->rank = 2;
    for (int i = 0; i < 2; i++) {
        a->dim[i] = a->dim[i + 1];
        a->stride[i] = a->stride[i + 1];
    }
}

static cj__dnnl_work describe(const cj_kernel *k, const product *p)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    cj__dnnl_work work = {.kind = CJ__DNNL_MATMUL,
                          .relu = attrs->activation == CJ__EPILOGUE_RELU,
                          .threads = cj__deterministic(k->cj) ? 1 : cj__dnnl_threads(k)};
    cj__dnnl_array *of = work.array;
    of[CJ__DNNL_A] = matrices(p->batch, p->rows, p->inner, p->transpose_a);
    of[CJ__DNNL_B] = matrices(p->b_step ? p->batch : 1, p->inner, p->cols, p->transpose_b);
    of[CJ__DNNL_OUT] = matrices(p->batch, p->rows, p->cols, false);
    if (attrs->has_bias) of[CJ__DNNL_BIAS] = matrices(1, 1, p->cols, false);
    if (attrs->has_addend) of[CJ__DNNL_ADDEND] = of[CJ__DNNL_OUT];
    for (int i = 0; i < CJ__DNNL_ARRAYS && p->batch == 1; i++) drop_batch(&of[i]);
    for (int i = 0; i < CJ__DNNL_ARRAYS; i++) of[i].bf16 = p->bf16;
    if (attrs->has_bias) of[CJ__DNNL_BIAS].bf16 = k->in[2]->dtype == CJ_BF16;
    of[CJ__DNNL_B].any = of[CJ__DNNL_B].kept = k->fixed && k->fixed[1];
    return work;
}

static bool has_epilogue(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    return attrs->has_bias || attrs->has_addend || attrs->activation != CJ__EPILOGUE_NONE;
}

bool cj__dnnl_matmul_supports(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    product p;
    char code[64];
    if (!is_product(k, CJ_F32, &p) && !is_product(k, CJ_BF16, &p)) return false;
    if (attrs->activation != CJ__EPILOGUE_NONE && attrs->activation != CJ__EPILOGUE_RELU)
        return false;
    bool fixed = k->fixed && k->fixed[1];
    bool packed = fixed && p.rows <= FEW_ROWS && (p.rows > 1 || p.transpose_b) &&
                  multiply_adds(&p) >= WORTH_PACKING;
    bool large = has_epilogue(k) && multiply_adds(&p) >= WORTH_A_CALL;
    if (!packed && !large && !(p.bf16 && multiply_adds(&p) >= WORTH_PACKING)) return false;
    cj__dnnl_work work = describe(k, &p);
    cj__dnnl_code(&work, code, sizeof code);
    return code[0] && strncmp(code, "ref", 3) != 0;
}

cj_status cj__dnnl_matmul_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                  size_t *workspace_bytes)
{
    product p;
    cj__dnnl *d = NULL;
    bool is = is_product(k, CJ_F32, &p) || is_product(k, CJ_BF16, &p);
    CJ_ASSERT(is);
    (void)is;
    cj__dnnl_work work = describe(k, &p);
    cj_status failed = cj__dnnl_prepare(k->cj, arena, &work, &d, workspace_bytes);
    *prepared = d;
    return failed;
}

cj_status cj__dnnl_matmul_run(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    void *data[CJ__DNNL_ARRAYS] = {[CJ__DNNL_A] = k->in[0]->data,
                                   [CJ__DNNL_B] = k->in[1]->data,
                                   [CJ__DNNL_OUT] = k->out[0]->data};
    if (attrs->has_bias) data[CJ__DNNL_BIAS] = k->in[2]->data;
    if (attrs->has_addend) data[CJ__DNNL_ADDEND] = k->in[2 + attrs->has_bias]->data;
    return cj__dnnl_run((cj__dnnl *)(uintptr_t)k->prepared, k->cj, data, k->workspace, k->version);
}

/* ---- sgemm ----------------------------------------------------------------------------------- */

bool cj__dnnl_sgemm_supports(const cj_kernel *k)
{
    product p;
    if (!is_product(k, CJ_F32, &p)) return false;
    const bool better_ours = p.transpose_a && !p.transpose_b && p.rows >= FEW_ROWS;
    return !has_epilogue(k) && !better_ours &&
           multiply_adds(&p) >= WORTH_A_CALL * (double)p.batch;
}

typedef struct slices {
    const cj_kernel *k;
    product p;
    bool by_rows;
    int64_t size, of_one; /* rows or columns of a slice; slices of one product */
    atomic_int failed;
} slices;

static void multiply_slices(void *arg, int64_t begin, int64_t end)
{
    slices *s = arg;
    const product *p = &s->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t which = i / s->of_one, first = i % s->of_one * s->size;
        int64_t left = (s->by_rows ? p->rows : p->cols) - first,
                n = left < s->size ? left : s->size;
        const float *a = (const float *)s->k->in[0]->data + which * p->rows * p->inner,
                    *b = (const float *)s->k->in[1]->data + which * p->b_step;
        float *c = (float *)s->k->out[0]->data + which * p->rows * p->cols;
        if (s->by_rows) {
            a += p->transpose_a ? first : first * p->inner;
            c += first * p->cols;
        } else {
            b += p->transpose_b ? first * p->inner : first;
            c += first;
        }
        if (!cj__dnnl_sgemm(p->transpose_a, p->transpose_b, s->by_rows ? n : p->rows,
                           s->by_rows ? p->cols : n, p->inner, a,
                           p->transpose_a ? p->rows : p->inner, b,
                           p->transpose_b ? p->inner : p->cols, c, p->cols))
            atomic_store(&s->failed, 1);
    }
}

cj_status cj__dnnl_sgemm_run(const cj_kernel *k)
{
    enum { SLICES_MAX = 8, SLICE_OF = 16 }; /* of so many rows or columns is a multiple */
    const double slice_work = 4e6; /* multiply-adds: about 70 microseconds */
    slices s = {.k = k};
    bool is = is_product(k, CJ_F32, &s.p);
    CJ_ASSERT(is);
    (void)is;
    s.by_rows = s.p.rows >= s.p.cols;
    int64_t long_side = s.by_rows ? s.p.rows : s.p.cols;
    const bool whole = cj__team_threads(k->team) == 1 && !cj__deterministic(k->cj);
    double wanted = whole ? 1 : multiply_adds(&s.p) / slice_work;
    int64_t count = wanted < 1 ? 1 : wanted > SLICES_MAX ? SLICES_MAX : (int64_t)wanted;
    s.size = ((long_side - 1) / count + SLICE_OF) / SLICE_OF * SLICE_OF;
    s.of_one = (long_side - 1) / s.size + 1;
    cj__parallel_for(k->team, s.p.batch * s.of_one, 1, multiply_slices, &s);
    if (atomic_load(&s.failed))
        return cj_fail(k->cj, CJ_ERR_MEMORY,
                       "oneDNN cannot multiply matrices of %lld x %lld x %lld", (long long)s.p.rows,
                       (long long)s.p.inner, (long long)s.p.cols);
    return CJ_OK;
}
#else
typedef int cj__dnnl_matmul_is_not_built; /* a file of C is never empty */
#endif
