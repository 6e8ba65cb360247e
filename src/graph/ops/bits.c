/* bits.c: integers as rows of bits. Nothing here has a gradient. */
#include <string.h>

#include "graph/ops/map.h"

static cj_status integers_infer(cj_infer *infer)
{
    cj_dtype dtype = infer->call->in[0]->type.dtype;
    if (cj__is_float(dtype) || cj__is_bool(dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes integers, not %s",
                             cj_dtype_info(dtype)->name);
    return cj_infer_all_same(infer);
}

/* Every shape that samples share, in turn of three dtypes. */
static cj_node *sample_bits(cj_sampler *s, int i, int64_t high)
{
    static const cj_dtype dtypes[] = {CJ_U8, CJ_I32, CJ_U64};
    int rank;
    int64_t dims[CJ_RANK_MAX];
    return cj_sample_shape(i, &rank, dims) ? cj_sample_int(s, dtypes[i % 3], 0, high, rank, dims)
                                           : NULL;
}

#define BITS(op, onnx_name, text, more_flags, high, formula) \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        cj_node *a = sample_bits(s, i, 127); \
        return cj_##op(a, sample_bits(s, i, high)); \
    } \
    CJ__MAP2_I64_ROW(op, onnx_name, text, more_flags, integers_infer, "integer result", formula) \
    cj_node *cj_##op(cj_node *a, cj_node *b) \
    { \
        cj_node *in[2] = {a, b}; \
        if (!a || !b) return NULL; \
        cj_graph *g = cj_node_graph(a); \
        return cj__meet(g, #op, in, 2, true) ? cj_apply(g, &cj_op_##op, in, 2, NULL) : NULL; \
    }

/* Toward minus infinity: >> of a negative number is not C's to say. */
static int64_t shift_down(int64_t a, int64_t b, bool is_u64)
{
    const bool negative = a < 0 && !is_u64;
    if (b < 0 || b > 63) return negative ? -1 : 0;
    return negative ? (int64_t) ~(~(uint64_t)a >> b) : (int64_t)((uint64_t)a >> b);
}

BITS(bitwise_and, "BitwiseAnd", "the bits that are set in both", CJ_OP_COMMUTATIVE, 127, a &b)
BITS(bitwise_or, "BitwiseOr", "the bits that are set in either", CJ_OP_COMMUTATIVE, 127, a | b)
BITS(bitwise_xor, "BitwiseXor", "the bits that differ", CJ_OP_COMMUTATIVE, 127, a ^ b)
BITS(shift_left, NULL, "a 2^b, without the bits that do not fit", 0, 9,
     b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b))
BITS(shift_right, NULL, "a 2^-b, rounded down", 0, 9, shift_down(a, b, is_u64))

static int64_t bitwise_not_i64(int64_t x, bool is_u64)
{
    (void)is_u64;
    return ~x;
}

static cj_status bitwise_not_ref(const cj_kernel *k)
{
    return cj__map_i64(k, bitwise_not_i64);
}

static cj_node *bitwise_not_sample(cj_sampler *s, int i)
{
    return cj_bitwise_not(sample_bits(s, i, 127));
}

const cj_op cj_op_bitwise_not = {
    .name = "bitwise_not",
    .doc = "every bit the other way",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE,
    .infer = integers_infer,
    .no_gradient = "integer result",
    .ref = bitwise_not_ref,
    .sample = CJ__SAMPLE(bitwise_not_sample),
    .onnx = "BitwiseNot",
};

cj_node *cj_bitwise_not(cj_node *x)
{
    return cj__apply_unary(&cj_op_bitwise_not, x);
}

/* ---- The bits themselves --------------------------------------------------------------------- */

struct bit_cast_attrs {
    cj_dtype to;
};

static const cj_option bit_cast_options[] = {
    CJ_OPTION_DTYPE(struct bit_cast_attrs, to, CJ_I32, "dtype of the result"), CJ_OPTION_END};

static cj_status bit_cast_infer(cj_infer *infer)
{
    const cj_dtype to = ((const struct bit_cast_attrs *)infer->call->attributes)->to;
    const cj_type *x = &infer->call->in[0]->type;
    if (to == CJ_STRING || x->dtype == CJ_STRING)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "strings have no bits");
    if (cj_dtype_info(to)->bits != cj_dtype_info(x->dtype)->bits || to == CJ_DTYPE_NONE)
        return cj_infer_fail(infer, CJ_ERR_TYPE, "%s has %d bits, and %s has %d",
                             cj_dtype_info(x->dtype)->name, cj_dtype_info(x->dtype)->bits,
                             cj_dtype_info(to)->name, cj_dtype_info(to)->bits);
    infer->out[0] = *x;
    infer->out[0].dtype = to;
    return CJ_OK;
}

static cj_status bit_cast_ref(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    const size_t n = (size_t)y->count;
    const unsigned char *from = x->data;
    unsigned char *to = y->data;
    if (y->dtype == CJ_BOOL)
        for (size_t i = 0; i < n; i++) to[i] = from[i] != 0;
    else if (cj__is_packed(y->dtype))
        for (size_t i = 0; i < n; i++) to[i] = (unsigned char)cj__low_bits(y->dtype, from[i]);
    else if (to != from && n)
        memcpy(to, from, n * (size_t)cj_dtype_info(y->dtype)->bits / 8);
    return CJ_OK;
}

static cj_node *bit_cast_sample(cj_sampler *s, int i)
{
    static const cj_dtype to[] = {CJ_I8, CJ_F32, CJ_F64};
    return cj_bit_cast(sample_bits(s, i, 127), to[i % 3]);
}

const cj_op cj_op_bit_cast = {
    .name = "bit_cast",
    .doc = "the bits of x as another dtype of the same size",
    .inputs = 1,
    .flags = CJ_OP_ELEMENTWISE | CJ_OP_ANY_DTYPE,
    .attributes_size = sizeof(struct bit_cast_attrs),
    .attributes = bit_cast_options,
    .infer = bit_cast_infer,
    .no_gradient = "bits are no numbers",
    .ref = bit_cast_ref,
    .sample = CJ__SAMPLE(bit_cast_sample),
};

cj_node *cj_bit_cast(cj_node *x, cj_dtype dtype)
{
    if (!x || cj__is_zero(x)) return NULL;
    return cj_apply(cj_node_graph(x), &cj_op_bit_cast, &x, 1, &(struct bit_cast_attrs){dtype});
}
