/* quant.c: numbers as small integers and back, and the bits of integers.
 *
 *     q = clip(round(x / scale) + zero, least, largest)          x = (q - zero) scale
 *
 * All is built of casts, divisions and products, so there is no kernel of its own. Sums of products
 * of 8-bit numbers are taken in double, which holds each of them exactly up to 2^53; floats of
 * twice as many bits as needed cost less than an integer kernel that nobody tunes.
 *
 * Scale and zero are numbers for all of x, for each index of an axis, or (opset 21) for each block
 * of `block_size` along it. */
#include <string.h>

#include "format/onnx/map.h"
#include "format/onnx/tensor.h"
#include "graph/ops/map.h"

cj_cast_mode cj__onnx_cast_mode(cj__onnx_reader *r)
{
    char word[32];
    cj_cast_mode mode = cj__onnx_get_int(r, "saturate", 1) ? CJ_CAST_UP : CJ_CAST_OVERFLOW;
    if (!cj__onnx_get_word(r, "round_mode", "up", word)) return mode;
    const bool down = !strcmp(word, "down"), nearest = !strcmp(word, "nearest");
    if (!down && !nearest && strcmp(word, "up"))
        cj__onnx_fail(r, CJ_ERR_DATA, "round_mode '%s' is none of up, down, nearest", word);
    return mode + (down ? CJ_CAST_DOWN : nearest ? CJ_CAST_NEAREST : CJ_CAST_UP);
}

/* The dtype an attribute tells by ONNX's number; `none` when it is absent or 0. */
static cj_dtype dtype_of(cj__onnx_reader *r, const char *name, cj_dtype none)
{
    const int64_t number = cj__onnx_get_int(r, name, 0);
    const cj_dtype dtype = number ? cj__onnx_type_dtype(number) : none;
    if (number && !dtype)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "%s is %s, which Cajal does not have", name,
                      cj__onnx_type_name(number));
    return dtype;
}

/* ---- Scales and zero points ------------------------------------------------------------------ */

/* Element i / block of the axis at place i. */
static cj_node *repeated(cj__onnx_reader *r, cj_node *s, cj_dim size, int axis, int64_t block)
{
    if (size < 0 || s->type.dim[axis] < 0) {
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "blocks along an axis whose size is a symbol");
        return NULL;
    }
    if (block < 1 || (size - 1) / block >= s->type.dim[axis]) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "%lld scales of blocks of %lld for an axis of size %lld",
                      (long long)s->type.dim[axis], (long long)block, (long long)size);
        return NULL;
    }
    cj_tensor *indices = cj_tensor_new(r->cj, CJ_I64, 1, &size);
    int64_t *to = indices ? cj_tensor_map(indices, CJ_MAP_WRITE) : NULL;
    for (int64_t i = 0; to && i < size; i++) to[i] = i / block;
    cj_node *at = to ? cj_constant(r->g, indices) : NULL;
    cj_tensor_free(indices);
    if (!to) cj__onnx_fail(r, cj_last_status(r->cj), "%s", cj_message(r->cj));
    return cj_gather(s, at, axis);
}

/* s as it meets x: one number, numbers along the axis, or blocks. */
static cj_node *along(cj__onnx_reader *r, cj_node *s, const cj_node *x, int64_t axis, int64_t block)
{
    const int rank = x ? x->type.rank : 0;
    cj_dim dims[CJ_RANK_MAX] = {0};
    if (!s || !x) return NULL;
    if (s->type.rank == 0) return s;
    if (s->type.rank == 1 && s->type.dim[0] == 1 && !block) return cj_reshape(s, 0, dims);
    if (axis < 0) axis += rank;
    if (s->type.rank == 1 && rank == 1 && !block) return s;
    if (axis < 0 || axis >= rank || s->type.rank != (block ? rank : 1)) {
        cj__onnx_fail(r, CJ_ERR_SHAPE,
                      "a scale or zero point of rank %d along axis %lld of a tensor of rank %d",
                      s->type.rank, (long long)axis, rank);
        return NULL;
    }
    if (block) return repeated(r, s, x->type.dim[axis], (int)axis, block);
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? s->type.dim[0] : 1;
    return cj_reshape(s, rank, dims);
}

/* Operand i, NULL when it is not there. */
static cj_node *optional(cj__onnx_reader *r, size_t i)
{
    return cj__onnx_has(r, i) ? cj__onnx_node_in(r, i) : NULL;
}

static cj_node *scale_of(cj__onnx_reader *r, size_t i, const cj_node *x, int64_t axis,
                         int64_t block)
{
    return along(r, cj__onnx_node_in(r, i), x, axis, block);
}

/* x - zero in `dtype`, in which both and their difference are exact. */
static cj_node *centred(cj_node *x, cj_node *zero, cj_dtype dtype)
{
    x = cj_cast(x, dtype);
    return zero ? cj_sub(x, cj_cast(zero, dtype)) : x;
}

/* Divided numbers as `to`. Floats of 8 bits have no zero point (ONNX wants it to be 0), of 4 bits
 * they have. Integers are taken wide enough for all there are to clip. */
static cj_node *quantized(cj_node *x, cj_node *zero, cj_dtype to, cj_cast_mode mode)
{
    const cj_dtype_row *row = cj_dtype_info(to);
    const bool is_signed = row->kind == CJ_KIND_SIGNED || row->kind == CJ_KIND_LOW_SIGNED;
    if (!x) return NULL;
    if (row->packed < 8 && row->kind == CJ_KIND_LOW_FLOAT && zero)
        x = cj_add(x, cj_cast(zero, x->type.dtype));
    if (row->kind == CJ_KIND_FLOAT || row->kind == CJ_KIND_LOW_FLOAT)
        return cj_cast_as(x, to, mode);
    x = cj_round(x);
    if (x && x->type.dtype != CJ_F64) x = cj_cast(x, CJ_F32);
    if (x && zero) x = cj_add(x, cj_cast(zero, x->type.dtype));
    const double count = (double)(UINT64_C(1) << (row->packed > 32 ? 32 : row->packed));
    return cj_cast(cj_clip(x, is_signed ? -count / 2 : 0, is_signed ? count / 2 - 1 : count - 1),
                   to);
}

static bool computes(cj_dtype dtype)
{
    return cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT;
}

/* ---- QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear --------------------------------- */

static void read_quantize(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const int64_t axis = cj__onnx_get_int(r, "axis", 1),
                  block = cj__onnx_get_int(r, "block_size", 0);
    cj_node *x = cj__onnx_node_in(r, 0), *scale = scale_of(r, 1, x, axis, block),
            *zero = optional(r, 2);
    (void)row;
    if (!scale) return;
    const cj_dtype to = dtype_of(r, "output_dtype", zero ? zero->type.dtype : CJ_U8);
    if (zero && to != zero->type.dtype) {
        cj__onnx_fail(r, CJ_ERR_TYPE, "output_dtype is %s, and the zero point is %s",
                      cj_dtype_info(to)->name, cj_dtype_info(zero->type.dtype)->name);
        return;
    }
    cj_dtype precision = dtype_of(r, "precision", scale->type.dtype);
    if (!computes(precision)) precision = computes(x->type.dtype) ? x->type.dtype : CJ_F32;
    x = cj_div(cj_cast(x, precision), cj_cast(scale, precision));
    zero = zero ? along(r, zero, x, axis, block) : NULL;
    if (r->failed) return;
    cj__onnx_set(r, 0, quantized(x, zero, to, cj__onnx_cast_mode(r)));
}

static void read_dequantize(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const int64_t axis = cj__onnx_get_int(r, "axis", 1),
                  block = cj__onnx_get_int(r, "block_size", 0);
    cj_node *x = cj__onnx_node_in(r, 0), *scale = scale_of(r, 1, x, axis, block),
            *zero = optional(r, 2);
    (void)row;
    if (!scale) return;
    const cj_dtype to = dtype_of(r, "output_dtype", scale->type.dtype);
    const bool small_float = cj_dtype_info(x->type.dtype)->kind == CJ_KIND_LOW_FLOAT;
    if (zero) zero = small_float ? NULL : along(r, zero, x, axis, block);
    if (r->failed) return;
    const cj_dtype wide = to == CJ_F64 ? CJ_F64 : CJ_F32;
    x = cj_mul(centred(x, zero, wide), cj_cast(scale, wide));
    cj__onnx_set(r, 0, cj_cast(x, to));
}

/* The range of x with 0 in it, cut into 255 steps; a step of 1/255 when all is 0. */
static void read_dynamic(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    if (!x) return;
    cj_node *nothing = cj_scalar(r->g, x->type.dtype, 0), *one = cj_scalar(r->g, x->type.dtype, 1);
    cj_node *high = cj_maximum(cj_reduce_max(x, 0, NULL, false), nothing),
            *low = cj_minimum(cj_reduce_min(x, 0, NULL, false), nothing);
    cj_node *range = cj_where(cj_equal(high, low), one, cj_sub(high, low));
    cj_node *scale = cj_div(range, cj_scalar(r->g, x->type.dtype, 255));
    cj_node *zero = cj_round(cj_clip(cj_div(cj_neg(low), scale), 0, 255));
    cj__onnx_set(r, 0, quantized(cj_div(x, scale), zero, CJ_U8, CJ_CAST_UP));
    cj__onnx_set(r, 1, scale);
    if (cj__onnx_wants(r, 2)) cj__onnx_set(r, 2, cj_cast(zero, CJ_U8));
}

/* ---- Products -------------------------------------------------------------------------------- */

/* Numbers by row of a matrix (n > 1 of them) stand under each other. */
static cj_node *by_row(cj_node *s)
{
    if (!s || s->type.rank != 1 || s->type.dim[0] == 1) return s;
    return cj_reshape(s, 2, (cj_dim[]){s->type.dim[0], 1});
}

static cj_node *one_or_more(cj_node *s)
{
    return s && s->type.rank == 1 && s->type.dim[0] == 1 ? cj_reshape(s, 0, NULL) : s;
}

static cj_node *factor(cj__onnx_reader *r, size_t i)
{
    return one_or_more(cj_cast(cj__onnx_node_in(r, i), CJ_F64));
}

/* As 32 bits: sums that do not fit wrap. */
static cj_node *sums(cj_node *y)
{
    return cj_cast(cj_cast(y, CJ_I64), CJ_I32);
}

static void read_matmul_integer(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_node_in(r, 1);
    (void)row;
    a = centred(a, one_or_more(by_row(optional(r, 2))), CJ_F64);
    b = centred(b, one_or_more(optional(r, 3)), CJ_F64);
    cj__onnx_set(r, 0, sums(cj_matmul(a, b)));
}

static void read_qlinear_matmul(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_node_in(r, 3), *zero = optional(r, 7);
    (void)row;
    if (!a || !b) return;
    const cj_dtype to = zero ? zero->type.dtype : a->type.dtype;
    a = centred(a, one_or_more(by_row(optional(r, 2))), CJ_F64);
    b = centred(b, one_or_more(optional(r, 5)), CJ_F64);
    cj_node *scale = cj_mul(by_row(factor(r, 1)), factor(r, 4));
    scale = cj_div(scale, by_row(factor(r, 6)));
    zero = one_or_more(by_row(zero));
    cj__onnx_set(r, 0, quantized(cj_mul(cj_matmul(a, b), scale), zero, to, CJ_CAST_UP));
}

/* By output channel: axis 0 of weights, axis 1 of images. */
static cj_node *by_channel(cj__onnx_reader *r, cj_node *s, const cj_node *x, int axis)
{
    return s && x ? along(r, s, x, axis, 0) : s;
}

static void read_conv_integer(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *w = cj__onnx_node_in(r, 1);
    (void)row;
    cj_node *images = centred(x, one_or_more(optional(r, 2)), CJ_F64);
    cj_node *weights = centred(w, by_channel(r, optional(r, 3), w, 0), CJ_F64);
    cj__onnx_set(r, 0, sums(cj__onnx_conv(r, images, weights)));
}

static void read_qlinear_conv(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *w = cj__onnx_node_in(r, 3), *zero = optional(r, 7);
    (void)row;
    if (!x || !w) return;
    const cj_dtype to = zero ? zero->type.dtype : x->type.dtype;
    cj_node *images = centred(x, one_or_more(optional(r, 2)), CJ_F64);
    cj_node *weights = centred(w, by_channel(r, optional(r, 5), w, 0), CJ_F64);
    cj_node *y = cj__onnx_conv(r, images, weights);
    if (cj__onnx_has(r, 8))
        y = cj_add(y, by_channel(r, cj_cast(cj__onnx_node_in(r, 8), CJ_F64), x, 1));
    cj_node *scale = cj_mul(factor(r, 1), by_channel(r, factor(r, 4), x, 1));
    scale = cj_div(scale, factor(r, 6));
    cj__onnx_set(r, 0, quantized(cj_mul(y, scale), one_or_more(zero), to, CJ_CAST_UP));
}

/* ---- Bits ------------------------------------------------------------------------------------ */

static void read_bit_cast(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    const cj_dtype to = dtype_of(r, "to", CJ_DTYPE_NONE);
    (void)row;
    if (!x || r->failed) return;
    /* In memory all of them have a byte, in ONNX they have not. */
    if (cj_dtype_info(to)->packed != cj_dtype_info(x->type.dtype)->packed) {
        cj__onnx_fail(r, CJ_ERR_TYPE, "%s has %d bits, and %s has %d",
                      cj_dtype_info(x->type.dtype)->name, cj_dtype_info(x->type.dtype)->packed,
                      cj_dtype_info(to)->name, cj_dtype_info(to)->packed);
        return;
    }
    cj__onnx_set(r, 0, cj_bit_cast(x, to));
}

static void read_shift(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char word[32];
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_node_in(r, 1);
    (void)row;
    if (!a || !b || !cj__onnx_get_word(r, "direction", "", word)) return;
    if (strcmp(word, "LEFT") && strcmp(word, "RIGHT"))
        cj__onnx_fail(r, CJ_ERR_DATA, "direction '%s' is neither LEFT nor RIGHT", word);
    else cj__onnx_set(r, 0, *word == 'L' ? cj_shift_left(a, b) : cj_shift_right(a, b));
}

static void write_shift(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char *in[2];
    const cj_dtype dtype = w->call->in[0]->type.dtype;
    if (cj_dtype_info(dtype)->kind != CJ_KIND_UNSIGNED) {
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "BitShift does not take %s",
                        cj_dtype_info(dtype)->name);
        return;
    }
    cj__onnx_in_broadcast(w, in);
    cj__onnx_last(w, "BitShift", in[0], in[1], NULL);
    cj__onnx_put_string(w, "direction", row->op == &cj_op_shift_left ? "LEFT" : "RIGHT");
}

static bool has_operator(cj__onnx_writer *w, const cj__onnx_row *row, int64_t since)
{
    if (w->opset < since)
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "%s is of opset %lld, newer than %lld, which is "
                        "written", row->onnx, (long long)since, (long long)w->opset);
    return w->opset >= since;
}

static void write_bitwise(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const char *in[2];
    if (!has_operator(w, row, 18)) return;
    cj__onnx_in_broadcast(w, in);
    cj__onnx_last(w, row->onnx, in[0], w->call->n_in > 1 ? in[1] : NULL, NULL);
}

static void write_bit_cast(cj__onnx_writer *w, const cj__onnx_row *row)
{
    has_operator(w, row, 26); /* which none is that is written */
}

static void read_bitwise(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *a = cj__onnx_node_in(r, 0), *b = cj__onnx_node_in(r, 1);
    cj__onnx_set(r, 0, row->binary(a, b));
}

static void read_bitwise_not(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    cj__onnx_set(r, 0, cj_bitwise_not(cj__onnx_node_in(r, 0)));
}

#define BITWISE(name, onnx_) \
    { \
        .onnx = onnx_, .op = &cj_op_bitwise_##name, .write = write_bitwise, .read = read_bitwise, \
        .binary = cj_bitwise_##name \
    }

const cj__onnx_row cj__onnx_rows_quant[] = {
    {.onnx = "QuantizeLinear", .read = read_quantize},
    {.onnx = "DequantizeLinear", .read = read_dequantize},
    {.onnx = "DynamicQuantizeLinear", .read = read_dynamic},
    {.onnx = "MatMulInteger", .read = read_matmul_integer},
    {.onnx = "QLinearMatMul", .read = read_qlinear_matmul},
    {.onnx = "ConvInteger", .read = read_conv_integer},
    {.onnx = "QLinearConv", .read = read_qlinear_conv},
    {.onnx = "BitCast", .op = &cj_op_bit_cast, .write = write_bit_cast, .read = read_bit_cast},
    {.onnx = "BitShift",
     .op = &cj_op_shift_left,
     .write = write_shift,
     .read = read_shift,
     .broadcasts = true},
    {.op = &cj_op_shift_right, .write = write_shift, .broadcasts = true},
    BITWISE(and, "BitwiseAnd"),
    BITWISE(or, "BitwiseOr"),
    BITWISE(xor, "BitwiseXor"),
    {.onnx = "BitwiseNot",
     .op = &cj_op_bitwise_not,
     .write = write_bitwise,
     .read = read_bitwise_not},
    {0},
};
