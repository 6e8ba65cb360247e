/* map.c: elementwise operators have no shape of their own to care for: one loop over all elements
 * serves them all. Floats are computed in double and rounded once when stored, integers in 64 bits
 * modulo their width; f64 and f32 have loops of their own because they are what everybody runs. */
#include "graph/ops/map.h"

#include "tensor/dtype.h"

/* ---- Rules for dtypes ------------------------------------------------------------------------ */

cj_status cj__infer_floats(cj_infer *infer)
{
    cj_dtype dtype = infer->call->in[0]->type.dtype;
    if (!cj__is_float(dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes floats, not %s",
                             cj_dtype_info(dtype)->name);
    return cj_infer_all_same(infer);
}

cj_status cj__infer_numbers(cj_infer *infer)
{
    if (cj__is_bool(infer->call->in[0]->type.dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes numbers, not bool");
    return cj_infer_all_same(infer);
}

cj_node *cj__apply_unary(const cj_op *op, cj_node *x)
{
    if (!x || cj__is_zero(x)) return NULL;
    return cj_apply(cj_node_graph(x), op, &x, 1, NULL);
}

cj_node *cj__apply_linear(const cj_op *op, cj_node *x)
{
    return x && cj__is_zero(x) ? x : cj__apply_unary(op, x);
}

/* ---- Loops ----------------------------------------------------------------------------------- */

cj_status cj__map_f64(const cj_kernel *k, double (*f)(double x))
{
    cj_dtype dtype = k->out[0]->dtype;
    int64_t n = k->out[0]->count;
    const void *in = k->in[0]->data;
    void *out = k->out[0]->data;
    if (dtype == CJ_F64) {
        const double *x = in;
        double *y = out;
        for (int64_t i = 0; i < n; i++) y[i] = f(x[i]);
    } else if (dtype == CJ_F32) {
        const float *x = in;
        float *y = out;
        for (int64_t i = 0; i < n; i++) y[i] = (float)f(x[i]);
    } else {
        for (int64_t i = 0; i < n; i++)
            cj_store_f64(dtype, out, (size_t)i, f(cj_load_f64(dtype, in, (size_t)i)));
    }
    return CJ_OK;
}

cj_status cj__map2_f64(const cj_kernel *k, double (*f)(double a, double b))
{
    cj_dtype dtype = k->out[0]->dtype;
    int64_t n = k->out[0]->count;
    const void *left = k->in[0]->data, *right = k->in[1]->data;
    void *out = k->out[0]->data;
    if (dtype == CJ_F64) {
        const double *a = left, *b = right;
        double *y = out;
        for (int64_t i = 0; i < n; i++) y[i] = f(a[i], b[i]);
    } else if (dtype == CJ_F32) {
        const float *a = left, *b = right;
        float *y = out;
        for (int64_t i = 0; i < n; i++) y[i] = (float)f(a[i], b[i]);
    } else {
        for (size_t i = 0; i < (size_t)n; i++)
            cj_store_f64(dtype, out, i,
                         f(cj_load_f64(dtype, left, i), cj_load_f64(dtype, right, i)));
    }
    return CJ_OK;
}

cj_status cj__map_i64(const cj_kernel *k, int64_t (*f)(int64_t x, bool is_u64))
{
    const cj_array *x = k->in[0], *y = k->out[0];
    for (size_t i = 0; i < (size_t)y->count; i++)
        cj_store_i64(y->dtype, y->data, i,
                     f(cj_load_i64(x->dtype, x->data, i), x->dtype == CJ_U64));
    return CJ_OK;
}

cj_status cj__map2_i64(const cj_kernel *k, int64_t (*f)(int64_t a, int64_t b, bool is_u64))
{
    const cj_array *a = k->in[0], *b = k->in[1], *y = k->out[0];
    for (size_t i = 0; i < (size_t)y->count; i++) {
        int64_t left = cj_load_i64(a->dtype, a->data, i), right = cj_load_i64(b->dtype, b->data, i);
        cj_store_i64(y->dtype, y->data, i, f(left, right, a->dtype == CJ_U64));
    }
    return CJ_OK;
}

cj_status cj__test_f64(const cj_kernel *k, bool (*f)(double x))
{
    const cj_array *x = k->in[0], *y = k->out[0];
    for (size_t i = 0; i < (size_t)y->count; i++)
        cj_store_i64(y->dtype, y->data, i, f(cj_load_f64(x->dtype, x->data, i)));
    return CJ_OK;
}

/* ---- Samples --------------------------------------------------------------------------------- */

cj_node *cj__sample_unary(cj_sampler *s, int i, cj__unary_fn build, double low, double high,
                          double unit, double gap, bool integers)
{
    static const cj_dtype dtypes[] = {CJ_I8, CJ_I32, CJ_I64, CJ_U8, CJ_U64};
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (cj_sample_shape(i, &rank, dims)) {
        if (unit > 0) return build(cj_sample_away(s, low, high, unit, gap, rank, dims));
        return build(cj_sample_real(s, low, high, rank, dims));
    }
    int shapes = 0;
    while (cj_sample_shape(shapes, &rank, dims)) shapes++;
    if (!integers || i - shapes >= (int)CJ__COUNT(dtypes)) return NULL;
    cj_dtype dtype = dtypes[i - shapes];
    bool is_signed = cj_dtype_info(dtype)->kind == CJ_KIND_SIGNED;
    return build(cj_sample_int(s, dtype, is_signed ? -128 : 0, 127, 2, (int64_t[]){3, 5}));
}
