/* elementwise.c: functions of one and two values, comparisons, where, cast.
 *
 * Most are one to one. ONNX's operators take fewer dtypes than ours: what they do not take is cast
 * to a wider one and back, which for wrapping integers is the same number. */
#include <math.h>
#include <string.h>

#include "format/onnx/import.h"
#include "format/onnx/tensor.h"
#include "graph/ops/map.h"

#define F3 CJ__ONNX_FLOATS
#define F4 CJ__ONNX_FLOATS_BF
#define NUMBERS CJ__ONNX_NUMBERS

static cj_dtype widened(cj_dtype dtype, unsigned types)
{
    if (!types || types & CJ__ONNX_BIT(dtype)) return dtype;
    if (cj__is_float(dtype)) return CJ_F32;
    return types & CJ__ONNX_BIT(CJ_I64) ? CJ_I64 : CJ_I32;
}

/* One to one, with casts around it where ONNX's operator lacks the dtype. */
static void write_same(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    const char *in[4], *op = row->onnx ? row->onnx : row->op->onnx;
    cj_dtype dtype = call->in[call->n_in - 1]->type.dtype, wide = widened(dtype, row->types);
    if (row->broadcasts) cj__onnx_in_broadcast(w, in);
    else
        for (int i = 0; i < call->n_in; i++) in[i] = cj__onnx_in(w, i);
    if (wide == dtype) {
        cj__onnx_last_list(w, op, (size_t)call->n_in, in);
        return;
    }
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i]->type.dtype == dtype) in[i] = cj__onnx_cast(w, in[i], wide);
    if (call->out[0].type.dtype != dtype) { /* a comparison */
        cj__onnx_last_list(w, op, (size_t)call->n_in, in);
        return;
    }
    const char *y = call->n_in == 1   ? cj__onnx_step(w, op, in[0], NULL)
                    : call->n_in == 2 ? cj__onnx_step(w, op, in[0], in[1], NULL)
                                      : cj__onnx_step(w, op, in[0], in[1], in[2], NULL);
    cj__onnx_last(w, "Cast", y, NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(dtype)->onnx);
}

/* The x of min(max(x, low), high), low and high being numbers, which is Clip; NULL: it is not. */
static const cj_node *clipped(const cj_call *call, double *low)
{
    const cj_call *inner = call->in[0]->call;
    double high;
    *low = 0;
    if (!(CJ__ONNX_FLOATS & CJ__ONNX_BIT(call->out[0].type.dtype)) ||
        !cj__is_constant(call->in[1], &high))
        return NULL;
    if (inner->op == &cj_op_relu ||
        (inner->op == &cj_op_maximum && cj__is_constant(inner->in[1], low)))
        return inner->in[0];
    return NULL;
}

static const cj_node *minimum_operand(const cj__onnx_writer *w, const cj_call *call, int i)
{
    double low;
    const cj_node *x = i ? NULL : clipped(call, &low);
    (void)w;
    return x ? x : call->in[i];
}

static void write_minimum(cj__onnx_writer *w, const cj__onnx_row *row)
{
    double low, high;
    const cj_node *x = clipped(w->call, &low);
    const cj_dtype dtype = w->call->out[0].type.dtype;
    if (!x || !cj__is_constant(w->call->in[1], &high)) write_same(w, row);
    else
        cj__onnx_last(w, "Clip", cj__onnx_value_of(w, x), cj__onnx_scalar(w, dtype, low),
                      cj__onnx_scalar(w, dtype, high), NULL);
}

static void read_unary(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_set(r, 0, row->unary(cj__onnx_node_in(r, 0)));
}

cj_node *cj__onnx_second_in(cj__onnx_reader *r, const cj_node *a)
{
    cj_node *b = cj__onnx_node_in(r, 1);
    if (!a || !b || r->opset >= 7 || !cj__onnx_has_attribute(r, "axis")) return b;
    const int own = b->type.rank,
              axis = cj__axis(b, "axis", cj__onnx_get_int(r, "axis", 0), a->type.rank);
    cj_dim dims[CJ_RANK_MAX];
    if (axis < 0) return NULL;
    if (axis + own > a->type.rank) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "%d axes from axis %d of %d on", own, axis, a->type.rank);
        return NULL;
    }
    for (int i = 0; i < a->type.rank - axis; i++) dims[i] = i < own ? b->type.dim[i] : 1;
    return cj_reshape(b, a->type.rank - axis, dims);
}

/* The operands meet in one dtype by themselves in a valid model. */
static void read_binary(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_second_in(r, a);
    cj__onnx_set(r, 0, row->binary(a, b));
}

/* Is y = op(x, number), the number as y's dtype has it? Then x. */
static const cj_node *before(const cj_node *y, const cj_op *op, double number)
{
    const cj_dtype dtype = y->type.dtype;
    double found;
    uint64_t room;
    if (y->call->op != op || !cj__is_float(dtype) || !cj__is_constant(y->call->in[1], &found))
        return NULL;
    cj_store_f64(dtype, &room, 0, number);
    return found == cj_load_f64(dtype, &room, 0) ? y->call->in[0] : NULL;
}

/* Is it 1 + erf(x / sqrt 2)? */
static bool is_erf_of(const cj_node *y, const cj_node *x)
{
    const cj_node *erf = y && x ? before(y, &cj_op_add, 1) : NULL, *scaled;
    if (!erf || erf->call->op != &cj_op_erf) return false;
    scaled = erf->call->in[0];
    return before(scaled, &cj_op_mul, 0.70710678118654752440) == x ||
           before(scaled, &cj_op_div, 1.41421356237309504880) == x;
}

/* The x of which a product is gelu, x (1 + erf) / 2 in any order, as activation.c writes it before
 * opset 20 and PyTorch exports it; or NULL. */
static cj_node *gelu_of(cj_node *a, cj_node *b)
{
    double half;
    if (is_erf_of(before(b, &cj_op_mul, 0.5), a)) return a;
    const cj_node *x = before(a, &cj_op_mul, 0.5);
    if (is_erf_of(b, x)) return a->call->in[0];
    if (a->call->op == &cj_op_mul && cj__is_constant(b, &half) && half == 0.5 &&
        is_erf_of(a->call->in[1], a->call->in[0]))
        return a->call->in[0];
    return NULL;
}

static void read_mul(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *y = cj__onnx_second_in(r, x), *of;
    if (!x || !y || cj__onnx_read_affine(r, x, y, false)) return;
    of = gelu_of(x, y);
    cj__onnx_set(r, 0, of ? cj_gelu(of) : row->binary(x, y));
}

/* A sum remembers its terms: Slice(x, begin, begin + size) has the size of `size`. */
static void read_add(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char *name;
    cj_node *x = cj__onnx_node_in(r, 0), *y = cj__onnx_second_in(r, x);
    if (!x || !y || cj__onnx_read_affine(r, x, y, true)) return;
    cj__onnx_set(r, 0, row->binary(x, y));
    if (r->failed || r->g->failed || !cj__onnx_wants(r, 0) ||
        cj__slice_string(r->arena, r->node->output.items[0], "a name", &name))
        return;
    cj__onnx_source *sum = cj__names_get(&r->level->values, name);
    for (size_t i = 0; sum && i < 2; i++) sum->sum[i] = cj__onnx_source_in(r, i);
}

/* ---- Compositions of one operand ------------------------------------------------------------- */

static cj_dtype dtype_in(const cj__onnx_writer *w)
{
    return w->call->in[0]->type.dtype;
}

static const char *number(cj__onnx_writer *w, double value)
{
    return cj__onnx_scalar(w, dtype_in(w), value);
}

static void write_identity(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_last(w, "Identity", cj__onnx_in(w, 0), NULL);
}

static void write_square(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    const char *x = cj__onnx_in(w, 0);
    cj__onnx_last(w, "Mul", x, x, NULL);
}

static void write_rsqrt(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_last(w, "Reciprocal", cj__onnx_step(w, "Sqrt", cj__onnx_in(w, 0), NULL), NULL);
}

static void write_expm1(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_last(w, "Sub", cj__onnx_step(w, "Exp", cj__onnx_in(w, 0), NULL), number(w, 1), NULL);
}

static void write_log1p(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_last(w, "Log", cj__onnx_step(w, "Add", cj__onnx_in(w, 0), number(w, 1), NULL), NULL);
}

static void write_cast(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_last(w, "Cast", cj__onnx_in(w, 0), NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(w->call->out[0].type.dtype)->onnx);
    if (cj__onnx_field_bool(w->call, "overflow")) cj__onnx_put_int(w, "saturate", 0);
}

cj_dtype cj__onnx_cast_to(cj__onnx_reader *r)
{
    const cj__onnx_attribute *a = cj__onnx_find_attribute(r->node, "to");
    int64_t code = 0;
    if (a && a->type == CJ__ONNX_ATTR_STRING) {
        while (code < 32 && !cj__slice_is(a->as.s, cj__onnx_type_name(code))) code++;
        if (code == 32) {
            char word[CJ__SLICE_SHOWN];
            cj__onnx_fail(r, CJ_ERR_DATA, "it casts to '%s', which is no type",
                          cj__slice_show(a->as.s, word));
            return CJ_DTYPE_NONE;
        }
    } else {
        code = cj__onnx_get_int(r, "to", 0);
    }
    cj_dtype to = cj__onnx_type_dtype(code);
    if (to == CJ_DTYPE_NONE)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "it casts to %s, which Cajal does not have",
                      cj__onnx_type_name(code));
    return to;
}

static void read_cast(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    cj_node *like = strcmp(row->onnx, "CastLike") ? NULL : cj__onnx_node_in(r, 1);
    cj_dtype to = r->failed ? CJ_DTYPE_NONE : like ? like->type.dtype : cj__onnx_cast_to(r);
    if (to == CJ_DTYPE_NONE || !x) return;
    if (to == CJ_STRING || x->type.dtype == CJ_STRING) cj__onnx_cast_text(r, to);
    else cj__onnx_set(r, 0, cj_cast_as(x, to, cj__onnx_cast_mode(r)));
}

static void read_is_inf(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *y = cj_is_inf(x);
    (void)row;
    if (!x) return;
    bool up = cj__onnx_get_int(r, "detect_positive", 1),
         down = cj__onnx_get_int(r, "detect_negative", 1);
    cj_node *zero = cj_scalar(r->g, x->type.dtype, 0);
    if (!up && !down) y = cj_logical_and(y, cj_scalar(r->g, CJ_BOOL, 0));
    else if (!up) y = cj_logical_and(y, cj_less(x, zero));
    else if (!down) y = cj_logical_and(y, cj_greater(x, zero));
    cj__onnx_set(r, 0, y);
}

/* ---- Two operands ---------------------------------------------------------------------------- */

static void write_not_equal(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char *in[2];
    (void)row;
    cj__onnx_in_broadcast(w, in);
    cj__onnx_last(w, "Not", cj__onnx_step(w, "Equal", in[0], in[1], NULL), NULL);
}

/* Bools are compared as numbers. */
static void write_ordered(cj__onnx_writer *w, const cj__onnx_row *row)
{
    if (!cj__is_bool(dtype_in(w))) {
        write_same(w, row);
        return;
    }
    const char *in[2];
    cj__onnx_in_broadcast(w, in);
    cj__onnx_last(w, row->op->onnx, cj__onnx_cast(w, in[0], CJ_I32),
                  cj__onnx_cast(w, in[1], CJ_I32), NULL);
}

/* ONNX's Mod has the sign of b for integers only: fmod's remainder of floats (the sign of a) is
 * moved by b where the signs differ. */
static void write_mod(cj__onnx_writer *w, const cj__onnx_row *row)
{
    if (!cj__is_float(dtype_in(w))) {
        write_same(w, row);
        return;
    }
    const char *in[2];
    cj__onnx_in_broadcast(w, in);
    const char *rest = cj__onnx_step(w, "Mod", in[0], in[1], NULL);
    cj__onnx_put_int(w, "fmod", 1);
    const char *differ = cj__onnx_step(w, "Less", cj__onnx_step(w, "Mul", rest, in[1], NULL),
                                       number(w, 0), NULL);
    cj__onnx_last(w, "Where", differ, cj__onnx_step(w, "Add", rest, in[1], NULL), rest, NULL);
}

/* fmod=1 has the sign of a, ours that of b. Floats: from |a| mod |b|, which is exact; that of a and
 * b would be rounded where they differ in sign. */
static void read_mod(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_node_in(r, 1);
    (void)row;
    if (!a || !b) return;
    bool as_c = cj__onnx_get_int(r, "fmod", 0) != 0;
    cj_node *zero = cj_scalar(r->g, a->type.dtype, 0), *m;
    if (as_c && cj_dtype_info(a->type.dtype)->kind == CJ_KIND_FLOAT) {
        cj_node *negative = cj_less(a, zero);
        m = cj_mod(cj_where(negative, cj_neg(a), a), cj_abs(b));
        m = cj_where(negative, cj_neg(m), m);
    } else {
        m = cj_mod(a, b);
        if (as_c)
            m = cj_where(cj_logical_and(cj_not_equal(m, zero),
                                        cj_not_equal(cj_less(m, zero), cj_less(a, zero))),
                         cj_sub(m, b), m);
    }
    cj__onnx_set(r, 0, m);
}

/* The result of Pow has the base's dtype. */
static void read_pow(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_second_in(r, a);
    (void)row;
    if (a && b) cj__onnx_set(r, 0, cj_cast(cj_pow(a, b), a->type.dtype));
}

/* Max, Min, Sum and Mean of any number of operands. */
static cj_node *fold(cj__onnx_reader *r, cj_node *(*binary)(cj_node *a, cj_node *b))
{
    cj_node *y = cj__onnx_node_in(r, 0);
    for (size_t i = 1; y && i < r->node->input.count; i++) y = binary(y, cj__onnx_node_in(r, i));
    return y;
}

static void read_fold(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj__onnx_set(r, 0, fold(r, row->binary));
}

static void read_mean(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *y = fold(r, row->binary);
    if (y)
        cj__onnx_set(r, 0, cj_div(y, cj_scalar(r->g, y->type.dtype, (double)r->node->input.count)));
}

static void read_where(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *c = cj__onnx_node_in(r, 0), *a = cj__onnx_node_in(r, 1), *b = cj__onnx_node_in(r, 2);
    (void)row;
    cj__onnx_set(r, 0, cj_where(c, a, b));
}

/* Bounds are attributes before opset 11, operands after; absent ones are none. */
static void read_clip(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    if (!x) return;
    if (r->opset < 11) {
        double low = cj__onnx_get_float(r, "min", -INFINITY),
               high = cj__onnx_get_float(r, "max", INFINITY);
        cj__onnx_set(r, 0, cj_identity(cj_clip(x, low, high)));
        return;
    }
    double low;
    const bool bounded = cj__onnx_has(r, 1), real = cj__is_float(x->type.dtype);
    if (bounded && real && cj__is_constant(cj__onnx_node_in(r, 1), &low) && low == 0)
        x = cj_relu(x); /* whose slope at 0 is 0, as PyTorch's relu6 has it */
    else if (bounded) x = cj_maximum(x, cj__onnx_node_in(r, 1));
    if (cj__onnx_has(r, 2)) x = cj_minimum(x, cj__onnx_node_in(r, 2));
    cj__onnx_set(r, 0, x);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

#define UNARY(name, onnx_, types_) \
    { \
        .onnx = onnx_, .op = &cj_op_##name, .write = write_same, .read = read_unary, \
        .types = types_, .unary = cj_##name \
    }
#define BINARY(name, onnx_, types_) \
    { \
        .onnx = onnx_, .op = &cj_op_##name, .write = write_same, .read = read_binary, \
        .types = types_, .broadcasts = true, .binary = (cj_##name) \
    }
#define ORDERED(name, onnx_) \
    { \
        .onnx = onnx_, .op = &cj_op_##name, .write = write_ordered, .read = read_binary, \
        .types = NUMBERS, .broadcasts = true, .binary = cj_##name \
    }

const cj__onnx_row cj__onnx_rows_elementwise[] = {
    UNARY(identity, "Identity", 0),
    {.op = &cj_op_stop_gradient, .write = write_identity},
    {.op = &cj_op_checkpoint, .write = write_identity},
    UNARY(neg, "Neg", F4 | 1u << CJ_I8 | 1u << CJ_I16 | 1u << CJ_I32 | 1u << CJ_I64),
    UNARY(abs, "Abs", NUMBERS),
    UNARY(sign, "Sign", NUMBERS),
    {.op = &cj_op_square, .write = write_square},
    UNARY(sqrt, "Sqrt", F4),
    {.op = &cj_op_rsqrt, .write = write_rsqrt},
    UNARY(reciprocal, "Reciprocal", F4),
    UNARY(exp, "Exp", F4),
    {.op = &cj_op_expm1, .write = write_expm1},
    UNARY(log, "Log", F4),
    {.op = &cj_op_log1p, .write = write_log1p},
    UNARY(sin, "Sin", F3),
    UNARY(cos, "Cos", F3),
    UNARY(tan, "Tan", F3),
    UNARY(asin, "Asin", F3),
    UNARY(acos, "Acos", F3),
    UNARY(atan, "Atan", F3),
    UNARY(sinh, "Sinh", F3),
    UNARY(cosh, "Cosh", F3),
    UNARY(tanh, "Tanh", F4),
    UNARY(erf, "Erf", NUMBERS),
    UNARY(floor, "Floor", F4),
    UNARY(ceil, "Ceil", F4),
    UNARY(round, "Round", F3),
    UNARY(logical_not, "Not", 0),
    UNARY(is_nan, "IsNaN", F4),
    {.onnx = "IsInf",
     .op = &cj_op_is_inf,
     .write = write_same,
     .read = read_is_inf,
     .types = 1u << CJ_F32 | 1u << CJ_F64},
    {.onnx = "Cast", .op = &cj_op_cast, .write = write_cast, .read = read_cast},
    {.onnx = "CastLike", .read = read_cast},
    {.onnx = "Add",
     .op = &cj_op_add,
     .write = write_same,
     .read = read_add,
     .types = NUMBERS,
     .broadcasts = true,
     .binary = (cj_add)},
    BINARY(sub, "Sub", NUMBERS),
    {.onnx = "Mul",
     .op = &cj_op_mul,
     .write = write_same,
     .read = read_mul,
     .types = NUMBERS,
     .broadcasts = true,
     .binary = (cj_mul)},
    BINARY(div, "Div", NUMBERS),
    {.onnx = "Pow",
     .op = &cj_op_pow,
     .write = write_same,
     .read = read_pow,
     .types = F4 | 1u << CJ_I32 | 1u << CJ_I64,
     .broadcasts = true},
    {.onnx = "Mod",
     .op = &cj_op_mod,
     .write = write_mod,
     .read = read_mod,
     .types = NUMBERS,
     .broadcasts = true},
    {.onnx = "Max",
     .op = &cj_op_maximum,
     .write = write_same,
     .read = read_fold,
     .types = NUMBERS,
     .broadcasts = true,
     .binary = cj_maximum},
    {.onnx = "Min",
     .op = &cj_op_minimum,
     .write = write_minimum,
     .operand = minimum_operand,
     .read = read_fold,
     .types = NUMBERS,
     .broadcasts = true,
     .binary = cj_minimum},
    {.onnx = "Sum", .read = read_fold, .binary = cj_add},
    {.onnx = "Mean", .read = read_mean, .binary = cj_add},
    BINARY(equal, "Equal", 0),
    {.op = &cj_op_not_equal, .write = write_not_equal},
    ORDERED(less, "Less"),
    ORDERED(less_equal, "LessOrEqual"),
    ORDERED(greater, "Greater"),
    ORDERED(greater_equal, "GreaterOrEqual"),
    BINARY(logical_and, "And", 0),
    BINARY(logical_or, "Or", 0),
    BINARY(logical_xor, "Xor", 0),
    {.onnx = "Where",
     .op = &cj_op_where,
     .write = write_same,
     .read = read_where,
     .broadcasts = true},
    {.onnx = "Clip", .read = read_clip},
    {0},
};
