/* map.h: what the elementwise families share: rules for dtypes, reference loops and samples. */
#ifndef CAJAL_GRAPH_OPS_MAP_H
#define CAJAL_GRAPH_OPS_MAP_H

#include "graph/graph.h"
#include "tensor/low.h"

static inline bool cj__is_float(cj_dtype dtype)
{
    return cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT;
}
static inline bool cj__is_bool(cj_dtype dtype)
{
    return cj_dtype_info(dtype)->kind == CJ_KIND_BOOL;
}

/* Shape rules: out[0] is the one type of all operands, which must be floats, or no bools. */
cj_status cj__infer_floats(cj_infer *infer);
cj_status cj__infer_numbers(cj_infer *infer);

/* Applies an operator of one operand; NULL for NULL. A linear one gives cj_zero for cj_zero. */
cj_node *cj__apply_unary(const cj_op *op, cj_node *x);
cj_node *cj__apply_linear(const cj_op *op, cj_node *x);

/* y[i] = f(x[i]), in double and rounded once; out may be the operand. */
cj_status cj__map_f64(const cj_kernel *k, double (*f)(double x));
cj_status cj__map2_f64(const cj_kernel *k, double (*f)(double a, double b));
/* The same for integers in 64 bits, stored modulo their width. is_u64: bits that mean an unsigned
 * number (narrower unsigned numbers are plain positive ones). */
cj_status cj__map_i64(const cj_kernel *k, int64_t (*f)(int64_t x, bool is_u64));
cj_status cj__map2_i64(const cj_kernel *k, int64_t (*f)(int64_t a, int64_t b, bool is_u64));
/* y[i] = f(x[i]) as bools; the operands are floats. */
cj_status cj__test_f64(const cj_kernel *k, bool (*f)(double x));

/* Is `value` a better extreme than `best`? Of two equal ones the first stays; NaN beats all others.
 */
static inline bool cj__beats_f64(double value, double best, bool largest)
{
    if (best != best) return false;
    return value != value || (largest ? value > best : value < best);
}

static inline bool cj__beats_i64(int64_t value, int64_t best, bool largest, bool is_u64)
{
    int64_t high = largest ? value : best, low = largest ? best : value;
    return is_u64 ? (uint64_t)high > (uint64_t)low : high > low;
}

/* The kernel and the row of an operator of two integers, elementwise, without a gradient; the file
 * has op_sample before it, and its builder. */
#define CJ__MAP2_I64_ROW(op, onnx_name, text, more_flags, rule, why, formula) \
    static int64_t op##_i64(int64_t a, int64_t b, bool is_u64) \
    { \
        (void)is_u64; \
        return formula; \
    } \
    static cj_status op##_ref(const cj_kernel *k) \
    { \
        return cj__map2_i64(k, op##_i64); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 2, \
        .flags = CJ_OP_ELEMENTWISE | (more_flags), \
        .infer = rule, \
        .no_gradient = why, \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    };

/* Sample i over the shared shapes, drawn from [low, high) and at least `gap` away from each
 * multiple of `unit` (0: from nothing); then, past those and when `integers`, a few of integer
 * dtypes. */
typedef cj_node *(*cj__unary_fn)(cj_node *x);
cj_node *cj__sample_unary(cj_sampler *s, int i, cj__unary_fn build, double low, double high,
                          double unit, double gap, bool integers);

#endif
