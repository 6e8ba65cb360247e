/* binary.c: functions of two numbers, comparisons, logic, and `where`.
 *
 * Operators are strict: both operands have one type. Builders promote and broadcast first, so no
 * gradient here undoes a broadcast. A builder takes cj_zero where the result is known without any
 * number: x + 0 = x, x * 0 = 0. Integers wrap; x / 0 and x mod 0 are 0; the smallest integer / -1
 * is itself. */
#include <math.h>
#include <string.h>

#include "graph/ops/map.h"

/* ---- Building -------------------------------------------------------------------------------- */

static cj_graph *graph_of(cj_node *a, cj_node *b)
{
    return cj_node_graph(cj__is_zero(a) ? b : a);
}

/* Both operands as real tensors of one shape and dtype, then the operator; NULL for NULL. */
static cj_node *build(const cj_op *op, cj_node *a, cj_node *b)
{
    if (!a || !b || (cj__is_zero(a) && cj__is_zero(b))) return NULL;
    cj_graph *g = graph_of(a, b);
    cj_node *in[2] = {cj_zero_as(a, b), cj_zero_as(b, a)};
    return cj__meet(g, op->name, in, 2, true) ? cj_apply(g, op, in, 2, NULL) : NULL;
}

static bool is_zero(const cj_node *node)
{
    return node && cj__is_zero(node);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* The interval an operand of the samples is drawn from, away from multiples of unit by gap. */
typedef struct domain {
    double low, high, unit, gap;
} domain;

typedef cj_node *(*binary_fn)(cj_node *a, cj_node *b);

static cj_node *draw(cj_sampler *s, const domain *d, int rank, const int64_t *dims)
{
    if (d->unit > 0) return cj_sample_away(s, d->low, d->high, d->unit, d->gap, rank, dims);
    return cj_sample_real(s, d->low, d->high, rank, dims);
}

/* Shapes that broadcast: scalars, size 1 on either side, missing axes, nothing at all. */
static const struct {
    int rank_a, rank_b;
    int64_t a[4], b[4];
} broadcasts[] = {
    {0, 1, {0}, {4}},    {1, 0, {5}, {0}},
    {2, 1, {2, 3}, {3}}, {2, 2, {3, 1}, {1, 4}},
    {1, 2, {1}, {2, 5}}, {3, 2, {2, 1, 3}, {4, 1}},
    {2, 1, {0, 3}, {1}}, {4, 3, {2, 1, 3, 1}, {5, 1, 2}},
};

/* Sample i: equal shapes, then broadcasts, both of reals; then, when `dtypes`, of that many integer
 * dtypes with values in [-3, 3] or [0, 6]. */
static cj_node *sample_pair(cj_sampler *s, int i, binary_fn make, const domain *a, const domain *b,
                            int dtypes)
{
    static const cj_dtype integers[] = {CJ_I32, CJ_U8, CJ_I8, CJ_I64, CJ_U64, CJ_I16};
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (cj_sample_shape(i, &rank, dims)) {
        cj_node *left = draw(s, a, rank, dims);
        return make(left, draw(s, b, rank, dims));
    }
    for (int known = 0; cj_sample_shape(known, &rank, dims); known++) i--;
    if (i < (int)CJ__COUNT(broadcasts)) {
        cj_node *left = draw(s, a, broadcasts[i].rank_a, broadcasts[i].a);
        return make(left, draw(s, b, broadcasts[i].rank_b, broadcasts[i].b));
    }
    i -= (int)CJ__COUNT(broadcasts);
    if (i >= dtypes) return NULL;
    int64_t low = cj_dtype_info(integers[i])->kind == CJ_KIND_SIGNED ? -3 : 0;
    cj_node *left = cj_sample_int(s, integers[i], low, low + 6, 2, (int64_t[]){4, 9});
    return make(left, cj_sample_int(s, integers[i], low, low + 6, 2, (int64_t[]){4, 9}));
}

/* ---- Arithmetic ------------------------------------------------------------------------------ */

/* NUMBERS(op, onnx, doc, flags, formula in double, integer formula, samples of a, samples of b):
 * the row and kernel of a function of two numbers whose gradient, op_grad, stands above it. */
#define NUMBERS(op, onnx_name, text, more_flags, formula, integer_formula, domain_a, domain_b) \
    static double op##_f64(double a, double b) \
    { \
        return formula; \
    } \
    static int64_t op##_i64(int64_t a, int64_t b, bool is_u64) \
    { \
        uint64_t ua = (uint64_t)a, ub = (uint64_t)b; \
        (void)ua, (void)ub, (void)is_u64; \
        return (int64_t)(integer_formula); \
    } \
    static cj_status op##_ref(const cj_kernel *k) \
    { \
        if (cj__is_float(k->out[0]->dtype)) return cj__map2_f64(k, op##_f64); \
        return cj__map2_i64(k, op##_i64); \
    } \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return sample_pair(s, i, cj_##op, &(domain)domain_a, &(domain)domain_b, 6); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 2, \
        .flags = CJ_OP_ELEMENTWISE | (more_flags), \
        .infer = cj__infer_numbers, \
        .grad = op##_grad, \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    };
#define ANY \
    { \
        -2, 2, 0, 0 \
    }
#define NOT_0 \
    { \
        -3, 3, 1e9, 0.4 \
    }

static void add_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g, (void)call;
    dx[0] = dx[1] = dy[0];
}
NUMBERS(add, "Add", "y = a + b", CJ_OP_COMMUTATIVE, a + b, ua + ub, ANY, ANY)

cj_node *cj_add(cj_node *a, cj_node *b)
{
    if (is_zero(a)) return b;
    return is_zero(b) ? a : build(&cj_op_add, a, b);
}

static void sub_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g, (void)call;
    dx[0] = dy[0];
    dx[1] = cj_neg(dy[0]);
}
NUMBERS(sub, "Sub", "y = a - b", 0, a - b, ua - ub, ANY, ANY)

cj_node *cj_sub(cj_node *a, cj_node *b)
{
    if (is_zero(b)) return a;
    return is_zero(a) ? cj_neg(b) : build(&cj_op_sub, a, b);
}

static void mul_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_mul(dy[0], call->in[1]);
    dx[1] = cj_mul(dy[0], call->in[0]);
}
NUMBERS(mul, "Mul", "y = a b", CJ_OP_COMMUTATIVE, a *b, ua *ub, ANY, ANY)

cj_node *cj_mul(cj_node *a, cj_node *b)
{
    if (!a || !b) return NULL;
    return is_zero(a) || is_zero(b) ? cj_zero : build(&cj_op_mul, a, b);
}

/* Toward zero, as C and ONNX divide. */
static int64_t divide(int64_t a, int64_t b, bool is_u64)
{
    if (b == 0) return 0;
    if (is_u64) return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

/* y = a / b: d y = da / b - y db / b. */
static void div_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = cj_div(dy[0], call->in[1]);
    dx[1] = cj_neg(cj_mul(dx[0], &call->out[0]));
}
NUMBERS(div, "Div", "y = a / b; integers toward zero, and 0 where b is 0", 0, a / b,
        divide(a, b, is_u64), ANY, NOT_0)

cj_node *cj_div(cj_node *a, cj_node *b)
{
    return is_zero(a) && b ? cj_zero : build(&cj_op_div, a, b);
}

/* By squaring, wrapping; a negative power is the truncated reciprocal: 0 unless a is 1 or -1. */
static int64_t power(int64_t a, int64_t b, bool is_u64)
{
    uint64_t base = (uint64_t)a, left = (uint64_t)b, result = 1;
    if (b < 0 && !is_u64) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    for (; left; left >>= 1, base *= base)
        if (left & 1) result *= base;
    return (int64_t)result;
}

/* d a^b = b a^(b-1) da + a^b ln(a) db. The first term is 0 where b is 0, also at a = 0; the second
 * is taken as 0 where ln(a) does not exist. A constant exponent, which is what most are, needs
 * neither care nor the second term. */
static void pow_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    cj_node *a = call->in[0], *b = call->in[1], *y = &call->out[0];
    cj_dtype dtype = y->type.dtype;
    double exponent;
    if (cj__is_constant(b, &exponent)) {
        cj_node *rest = exponent == 2 ? a : cj_pow(a, cj_scalar(g, dtype, exponent - 1));
        if (exponent != 0) dx[0] = cj_mul(dy[0], cj_scale(rest, exponent));
        return;
    }
    cj_node *zero = cj_scalar(g, dtype, 0), *one = cj_scalar(g, dtype, 1);
    cj_node *slope = cj_where(cj_equal(b, zero), cj_zero, cj_mul(b, cj_pow(a, cj_shift(b, -1))));
    cj_node *positive = cj_greater(a, zero);
    cj_node *logarithm = cj_where(positive, cj_log(cj_where(positive, a, one)), cj_zero);
    dx[0] = cj_mul(dy[0], slope);
    dx[1] = cj_mul(dy[0], cj_mul(y, logarithm));
}

/* Some samples have negative bases, under whole exponents. */
static cj_node *pow_real(cj_node *a, cj_node *b)
{
    return cj_pow(a, b);
}
static cj_node *pow_sample(cj_sampler *s, int i)
{
    enum { WHOLE = 6 };
    if (i >= WHOLE)
        return sample_pair(s, i - WHOLE, pow_real, &(domain){0.4, 2, 0, 0}, &(domain)ANY, 6);
    cj_node *a = cj_sample_away(s, -2, 2, 1e9, 0.4, 2, (int64_t[]){3, 4});
    if (!a) return NULL;
    if (i < 4) return cj_pow(a, cj_scalar(cj_sampler_graph(s), a->type.dtype, i));
    return cj_pow(a, cj_cast(cj_sample_int(s, CJ_I32, i == 4 ? -3 : 0, 3, 2, (int64_t[]){3, 4}),
                             a->type.dtype));
}

static double pow_f64(double a, double b)
{
    return pow(a, b);
}
static cj_status pow_ref(const cj_kernel *k)
{
    return cj__is_float(k->out[0]->dtype) ? cj__map2_f64(k, pow_f64) : cj__map2_i64(k, power);
}
const cj_op cj_op_pow = {
    .name = "pow",
    .doc = "y = a^b; integers wrap, and their negative powers are truncated reciprocals",
    .inputs = 2,
    .flags = CJ_OP_ELEMENTWISE,
    .infer = cj__infer_numbers,
    .grad = pow_grad,
    .ref = pow_ref,
    .sample = CJ__SAMPLE(pow_sample),
    .onnx = "Pow",
};
cj_node *cj_pow(cj_node *a, cj_node *b)
{
    return build(&cj_op_pow, a, b);
}

/* a - b floor(a / b): the sign of b, as in Python. fmod is exact, and has the sign of a. */
static double modulo(double a, double b)
{
    double rest = fmod(a, b);
    if (rest == 0) return copysign(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

static int64_t modulo_i64(int64_t a, int64_t b, bool is_u64)
{
    if (b == 0 || (b == -1 && !is_u64)) return 0;
    if (is_u64) return (int64_t)((uint64_t)a % (uint64_t)b);
    int64_t rest = a % b;
    return rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* d (a - b floor(a / b)) = da - floor(a / b) db. */
static void mod_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[0] = dy[0];
    dx[1] = cj_neg(cj_mul(dy[0], cj_floor(cj_div(call->in[0], call->in[1]))));
}
#define AROUND_0 \
    { \
        -1.7, 1.7, 1e9, 0.3 \
    }
#define ABOVE_2 \
    { \
        2, 2.2, 0, 0 \
    }
NUMBERS(mod, NULL, "y = a - b floor(a / b), with the sign of b; integers: 0 where b is 0", 0,
        modulo(a, b), modulo_i64(a, b, is_u64), AROUND_0, ABOVE_2)
cj_node *cj_mod(cj_node *a, cj_node *b)
{
    return build(&cj_op_mod, a, b);
}

/* ---- Larger and smaller ---------------------------------------------------------------------- */

static bool below(int64_t a, int64_t b, bool is_u64)
{
    return is_u64 ? (uint64_t)a < (uint64_t)b : a < b;
}

/* The gradient goes to the operand that was taken; to the first when both are equal. */
static void choose_grad(cj_node *first, cj_node *dy, cj_node **dx)
{
    dx[0] = cj_where(first, dy, cj_zero);
    dx[1] = cj_where(first, cj_zero, dy);
}

static void maximum_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    choose_grad(cj_greater_equal(call->in[0], call->in[1]), dy[0], dx);
}

static void minimum_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    choose_grad(cj_less_equal(call->in[0], call->in[1]), dy[0], dx);
}
#define OUTSIDE \
    { \
        -3, 3, 1e9, 1.2 \
    }
#define INSIDE \
    { \
        -1, 1, 0, 0 \
    }
NUMBERS(maximum, NULL,
        "the larger of a and b; NaN when either is; the gradient of equal ones goes to a",
        CJ_OP_COMMUTATIVE, a >= b || isnan(a) ? a : b, below(a, b, is_u64) ? b : a, OUTSIDE, INSIDE)
NUMBERS(minimum, NULL,
        "the smaller of a and b; NaN when either is; the gradient of equal ones goes to a",
        CJ_OP_COMMUTATIVE, a <= b || isnan(a) ? a : b, below(b, a, is_u64) ? b : a, OUTSIDE, INSIDE)
cj_node *cj_maximum(cj_node *a, cj_node *b)
{
    return build(&cj_op_maximum, a, b);
}
cj_node *cj_minimum(cj_node *a, cj_node *b)
{
    return build(&cj_op_minimum, a, b);
}

/* ---- Comparisons ----------------------------------------------------------------------------- */

static cj_status compare_infer(cj_infer *infer)
{
    const cj_dtype dtype = infer->call->in[0]->type.dtype;
    if (cj__is_low(dtype) && dtype != CJ_STRING)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes numbers and strings, not %s",
                             cj_dtype_info(dtype)->name);
    cj_status failed = cj_infer_all_same(infer);
    if (!failed) infer->out[0].dtype = CJ_BOOL;
    return failed;
}

static cj_status compare(const cj_kernel *k, bool (*f)(double a, double b),
                         int64_t (*i64)(int64_t a, int64_t b, bool is_u64))
{
    const cj_array *a = k->in[0], *b = k->in[1], *y = k->out[0];
    if (!cj__is_float(a->dtype)) return cj__map2_i64(k, i64);
    for (size_t i = 0; i < (size_t)y->count; i++)
        cj_store_i64(y->dtype, y->data, i,
                     f(cj_load_f64(a->dtype, a->data, i), cj_load_f64(b->dtype, b->data, i)));
    return CJ_OK;
}

/* C's comparisons have IEEE's rules for NaN: only not_equal holds. */
#define COMPARISON(op, onnx_name, text, more_flags, operator, integer_formula) \
    static bool op##_f64(double a, double b) \
    { \
        return a operator b; \
    } \
    static int64_t op##_i64(int64_t a, int64_t b, bool is_u64) \
    { \
        (void)is_u64; \
        return integer_formula; \
    } \
    static cj_status op##_ref(const cj_kernel *k) \
    { \
        return compare(k, op##_f64, op##_i64); \
    } \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return sample_pair(s, i, cj_##op, &(domain)ANY, &(domain)ANY, 6); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 2, \
        .flags = CJ_OP_ELEMENTWISE | (more_flags), \
        .infer = compare_infer, \
        .no_gradient = "boolean result", \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
        .onnx = onnx_name, \
    }; \
    cj_node *cj_##op(cj_node *a, cj_node *b) \
    { \
        return build(&cj_op_##op, a, b); \
    }

COMPARISON(equal, "Equal", "is a = b?", CJ_OP_COMMUTATIVE | CJ_OP_ANY_DTYPE, ==, a == b)
COMPARISON(not_equal, NULL, "is a different from b? NaN is",
           CJ_OP_COMMUTATIVE | CJ_OP_ANY_DTYPE, !=, a != b)
COMPARISON(less, "Less", "is a < b?", 0, <, below(a, b, is_u64))
COMPARISON(less_equal, "LessOrEqual", "is a <= b?", 0, <=, !below(b, a, is_u64))
COMPARISON(greater, "Greater", "is a > b?", 0, >, below(b, a, is_u64))
COMPARISON(greater_equal, "GreaterOrEqual", "is a >= b?", 0, >=, !below(a, b, is_u64))

/* ---- Logic ----------------------------------------------------------------------------------- */

static cj_status logic_infer(cj_infer *infer)
{
    cj_dtype dtype = infer->call->in[0]->type.dtype;
    if (!cj__is_bool(dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes bools, not %s", cj_dtype_info(dtype)->name);
    return cj_infer_all_same(infer);
}

static cj_node *sample_logic(cj_sampler *s, int i, binary_fn make)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (cj_sample_shape(i, &rank, dims)) {
        cj_node *a = cj_sample_bool(s, rank, dims);
        return make(a, cj_sample_bool(s, rank, dims));
    }
    for (int known = 0; cj_sample_shape(known, &rank, dims); known++) i--;
    if (i >= (int)CJ__COUNT(broadcasts)) return NULL;
    cj_node *a = cj_sample_bool(s, broadcasts[i].rank_a, broadcasts[i].a);
    return make(a, cj_sample_bool(s, broadcasts[i].rank_b, broadcasts[i].b));
}

#define LOGIC(op, onnx_name, text, formula) \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return sample_logic(s, i, cj_##op); \
    } \
    CJ__MAP2_I64_ROW(op, onnx_name, text, CJ_OP_COMMUTATIVE, logic_infer, "boolean result", \
                     formula) \
    cj_node *cj_##op(cj_node *a, cj_node *b) \
    { \
        return build(&cj_op_##op, cj_cast(a, CJ_BOOL), cj_cast(b, CJ_BOOL)); \
    }

LOGIC(logical_and, "And", "are both true?", a &&b)
LOGIC(logical_or, "Or", "is either true?", a || b)
LOGIC(logical_xor, "Xor", "is one of the two true?", a != b)

/* ---- where ----------------------------------------------------------------------------------- */

static cj_status where_infer(cj_infer *infer)
{
    const cj_type *c = &infer->call->in[0]->type, *a = &infer->call->in[1]->type,
                  *b = &infer->call->in[2]->type;
    if (!cj__is_bool(c->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the condition is %s, not bool",
                             cj_dtype_info(c->dtype)->name);
    if (a->dtype != b->dtype)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "the choices are %s and %s, not of one dtype",
                             cj_dtype_info(a->dtype)->name, cj_dtype_info(b->dtype)->name);
    bool same = c->rank == a->rank && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = cj_infer_equal(infer, c->dim[i], a->dim[i]) &&
               cj_infer_equal(infer, a->dim[i], b->dim[i]);
    if (!same)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "condition and choices have different shapes");
    infer->out[0] = *a;
    return CJ_OK;
}

static void where_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
{
    (void)g;
    dx[1] = cj_where(call->in[0], dy[0], cj_zero);
    dx[2] = cj_where(call->in[0], cj_zero, dy[0]);
}

static cj_status where_ref(const cj_kernel *k)
{
    const unsigned char *condition = k->in[0]->data, *a = k->in[1]->data, *b = k->in[2]->data;
    unsigned char *y = k->out[0]->data;
    size_t size = (size_t)cj_dtype_info(k->out[0]->dtype)->bits / 8;
    for (size_t i = 0; i < (size_t)k->out[0]->count; i++)
        memmove(y + i * size, (condition[i] ? a : b) + i * size, size);
    return CJ_OK;
}

static cj_node *where_sample(cj_sampler *s, int i)
{
    static const int64_t c[] = {3, 1}, a[] = {4}, b[] = {2, 1, 1};
    int rank;
    int64_t dims[CJ_RANK_MAX];
    cj_node *condition, *first;
    if (cj_sample_shape(i, &rank, dims)) {
        condition = cj_sample_bool(s, rank, dims);
        first = cj_sample_real(s, -2, 2, rank, dims);
        return cj_where(condition, first, cj_sample_real(s, -2, 2, rank, dims));
    }
    for (int known = 0; cj_sample_shape(known, &rank, dims); known++) i--;
    if (i >= 3) return NULL;
    condition = cj_sample_bool(s, i < 2 ? 2 : 0, c);
    if (i == 2) { /* integers */
        first = cj_sample_int(s, CJ_I16, -9, 9, 1, a);
        return cj_where(condition, first, cj_sample_int(s, CJ_I8, -9, 9, 3, b));
    }
    first = cj_sample_real(s, -2, 2, 1, a);
    return cj_where(condition, first, cj_sample_real(s, -2, 2, i == 0 ? 3 : 0, b));
}

const cj_op cj_op_where = {
    .name = "where",
    .doc = "a where the condition holds, else b",
    .inputs = 3,
    .flags = CJ_OP_ELEMENTWISE | CJ_OP_ANY_DTYPE,
    .infer = where_infer,
    .grad = where_grad,
    .ref = where_ref,
    .sample = CJ__SAMPLE(where_sample),
    .onnx = "Where",
};

cj_node *cj_where(cj_node *condition, cj_node *a, cj_node *b)
{
    if (!condition || !a || !b || cj__is_zero(condition)) return NULL;
    if (cj__is_zero(a) && cj__is_zero(b)) return cj_zero;
    cj_graph *g = cj_node_graph(condition);
    a = cj_zero_as(a, b);
    b = cj_zero_as(b, a);
    if (!a || !b) return NULL;
    cj_dtype dtype = cj__promote(a->type.dtype, b->type.dtype);
    cj_node *in[3] = {cj_cast(condition, CJ_BOOL), cj_cast(a, dtype), cj_cast(b, dtype)};
    if (!in[0] || !in[1] || !in[2]) return NULL;
    return cj__meet(g, "where", in, 3, false) ? cj_apply(g, &cj_op_where, in, 3, NULL) : NULL;
}
