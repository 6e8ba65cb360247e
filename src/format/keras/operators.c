/* operators.c: operators that are written between layers, x * 2 + y: a TFOpLambda with the name of
 * a function of TensorFlow, or, of Keras 3, an operation.
 *
 *     .h5      ["conv", 0, 0, {"y": 2.0}]    or    ["_CONSTANT_VALUE", -1, 2.0, {"y": ["conv", 0,
 * 0]}] .keras   "args": [{"class_name": "__keras_tensor__", ...}, 2.0]
 *
 * One of the two may be a number. What else an operator is told, an axis, stands in its
 * configuration (Keras 3) or among the keywords of its call (TensorFlow). */
#include "format/keras/keras.h"

#include <cajal/image.h>

#include <string.h>

/* b is NULL for those of one operand. */
static const struct {
    const char *names;
    cj_node *(*two)(cj_node *a, cj_node *b);
    cj_node *(*one)(cj_node *a);
} operators[] = {
    {"Add add math.add __operators__.add nn.bias_add", (cj_add), NULL},
    {"Subtract math.subtract __operators__.sub", (cj_sub), NULL},
    {"Multiply math.multiply __operators__.mul", (cj_mul), NULL},
    {"TrueDivide Divide math.truediv math.divide realdiv __operators__.truediv", (cj_div), NULL},
    {"Maximum math.maximum", (cj_maximum), NULL},
    {"Minimum math.minimum", (cj_minimum), NULL},
    {"Negative math.negative __operators__.neg", NULL, (cj_neg)},
    {"Absolute Abs math.abs", NULL, (cj_abs)},
    {"Exp math.exp", NULL, (cj_exp)},
    {"Log math.log", NULL, (cj_log)},
    {"Sqrt math.sqrt", NULL, (cj_sqrt)},
    {"Square math.square", NULL, (cj_square)},
    {"Relu nn.relu", NULL, (cj_relu)},
    {"Sigmoid math.sigmoid nn.sigmoid", NULL, (cj_sigmoid)},
    {"Tanh math.tanh nn.tanh", NULL, (cj_tanh)},
    {"Power math.pow __operators__.pow", (cj_pow), NULL},
    {"Matmul linalg.matmul __operators__.matmul", (cj_matmul), NULL},
    {"Rsqrt math.rsqrt", NULL, (cj_rsqrt)},
    {"Reciprocal math.reciprocal", NULL, (cj_reciprocal)},
    {"Log1p math.log1p", NULL, (cj_log1p)},
    {"Expm1 math.expm1", NULL, (cj_expm1)},
    {"Sin math.sin", NULL, (cj_sin)},
    {"Cos math.cos", NULL, (cj_cos)},
    {"Sign math.sign", NULL, (cj_sign)},
    {"Floor math.floor", NULL, (cj_floor)},
    {"Ceil math.ceil", NULL, (cj_ceil)},
    {"Round math.round", NULL, (cj_round)},
    {"Silu nn.silu", NULL, (cj_silu)},
    {"Softplus math.softplus", NULL, (cj_softplus)},
};

/* ---- What else it is told -------------------------------------------------------------------- */

/* The first of these words that says something; NULL: none. */
static const cj__json *told(const cj__keras_call *call, const char *words)
{
    while (*words) {
        char key[32];
        const size_t n = strcspn(words, " ");
        cj__format(key, sizeof key, "%.*s", (int)n, words);
        words += n + (words[n] == ' ');
        const cj__json *value = cj__json_find(call->layer->config, key);
        if (!value && call->keywords) value = cj__json_find(call->keywords, key);
        if (value && value->type != CJ__JSON_NULL) return value;
    }
    return NULL;
}

/* Whole numbers of a list, or the one there is; their count, -1: something else. */
static int whole_numbers(const cj__json *value, int64_t out[CJ_RANK_MAX])
{
    const bool list = value && value->type == CJ__JSON_ARRAY;
    int n = 0;
    for (const cj__json *i = list ? value->first : value; i; i = list ? i->next : NULL) {
        if (!i->is_integer || n == CJ_RANK_MAX) return -1;
        out[n++] = i->integer;
    }
    return n;
}

static cj_status fail_told(const cj__keras *k, const cj__keras_call *call, const char *what)
{
    return cj__keras_fail(k, call->layer, CJ_ERR_UNSUPPORTED, "%s of a form that is not read",
                          what);
}

/* ---- Numbers as operands --------------------------------------------------------------------- */

static bool fill(const cj__json *value, int rank, const int64_t *dims, double **out)
{
    if (!rank) {
        *(*out)++ = value->number;
        return value->type == CJ__JSON_NUMBER;
    }
    if (value->type != CJ__JSON_ARRAY || (int64_t)value->count != *dims) return false;
    for (const cj__json *i = value->first; i; i = i->next)
        if (!fill(i, rank - 1, dims + 1, out)) return false;
    return true;
}

/* A number, or lists of them in lists, of which all are of one length. */
static cj_status constant(cj__keras *k, const cj__keras_call *call, const cj__json *value,
                          cj_dtype dtype, cj_node **out)
{
    int64_t dims[CJ_RANK_MAX], count = 1;
    int rank = 0;
    const cj__json *at = value;
    for (; at && at->type == CJ__JSON_ARRAY && rank < CJ_RANK_MAX; at = at->first)
        if (CJ__MUL_OVERFLOWS(count, (int64_t)at->count, &count) ||
            (dims[rank++] = (int64_t)at->count) < 1 || count > 1 << 20)
            return fail_told(k, call, "an operand");
    if (!rank) return *out = cj_scalar(k->g, dtype, value->number), k->g->failed;
    double *values = cj__arena_array(k->arena, (size_t)count, sizeof *values), *to = values;
    if (!values) return CJ_ERR_MEMORY;
    if (!fill(value, rank, dims, &to)) return fail_told(k, call, "an operand");
    cj_tensor *t = cj_tensor_from(k->cj, CJ_F64, rank, dims, values);
    *out = t ? cj_cast(cj_constant(k->g, t), dtype) : NULL;
    cj_tensor_free(t);
    return t ? k->g->failed : cj_last_status(k->cj);
}

/* ---- Slices ---------------------------------------------------------------------------------- */

/* x[begin:end:step] along an axis, as Python means it; each may be missing. */
static cj_status slice(cj__keras *k, const cj__keras_call *call, const cj__json *item, int axis,
                       cj_node **y)
{
    int64_t begin[CJ_RANK_MAX] = {0}, step[CJ_RANK_MAX];
    cj_dim size[CJ_RANK_MAX];
    const cj__json *from = cj__json_find(item, "start"), *to = cj__json_find(item, "stop"),
                   *by = cj__json_find(item, "step");
    const cj_dim n = cj_node_dim(*y, axis);
    const bool open = !to || to->type == CJ__JSON_NULL;
    for (int i = 0; i < CJ_RANK_MAX; i++) step[i] = 1, size[i] = CJ_INFER;
    if (by && by->is_integer) step[axis] = by->integer;
    if (from && from->is_integer) begin[axis] = from->integer;
    else if (step[axis] == -1 && open) return *y = cj_reverse(*y, axis), k->g->failed;
    int64_t first = begin[axis], end = !open && to->is_integer ? to->integer : 0;
    if (n >= 0) {
        first = first < 0 ? first + n : first;
        first = first < 0 ? 0 : first > n ? n : first;
        end = open ? n : end < 0 ? end + n : end > n ? n : end;
        begin[axis] = first;
        if (step[axis] > 0)
            size[axis] = end > first ? (end - first + step[axis] - 1) / step[axis] : 0;
    } else if (!open) {
        if (end >= 0 || first < 0) return fail_told(k, call, "a slice of an axis of unknown size");
        size[axis] = step[axis] == 1 ? cj_dim_sub(k->g, n, first - end) : CJ_INFER;
    }
    if (step[axis] < 1 || (n < 0 && !open && step[axis] > 1))
        return fail_told(k, call, "a slice with such a step");
    *y = cj_slice(*y, begin, size, step);
    return k->g->failed;
}

/* x[:, 0, ..., None, 1:]: a list of numbers, slices, one ellipsis, and null for a new axis. */
static cj_status get_item(cj__keras *k, const cj__keras_call *call, cj_node *x, cj_node **y)
{
    const cj__json *key = told(call, "slice_spec key");
    const cj__json *args = call->args && call->args->count == 2 ? call->args->first->next : NULL;
    if (!key) key = args;
    if (!key) return fail_told(k, call, "a slice");
    const bool list = key->type == CJ__JSON_ARRAY;
    int axis = 0, rest = 0;
    for (const cj__json *i = list ? key->first : key; i; i = list ? i->next : NULL)
        rest += i->type != CJ__JSON_NULL;
    *y = x;
    for (const cj__json *i = list ? key->first : key; i && *y; i = list ? i->next : NULL) {
        const char *kind = cj__keras_string(i, "class_name");
        const cj__json *config = cj__json_find(i, "config");
        rest -= i->type != CJ__JSON_NULL;
        if (i->type == CJ__JSON_NULL) *y = cj_expand_dims(*y, axis++);
        else if (kind && !strcmp(kind, "__ellipsis__")) axis = cj_node_rank(*y) - rest;
        else if (axis < 0 || axis >= cj_node_rank(*y))
            return cj__keras_fail(k, call->layer, CJ_ERR_DATA,
                                  "a slice of more axes than there are");
        else if (i->is_integer)
            *y = cj_squeeze(cj_slice_axis(*y, axis, i->integer, 1), axis);
        else if (i->type == CJ__JSON_OBJECT)
            CJ__TRY(slice(k, call, config ? config : i, axis++, y));
        else return fail_told(k, call, "a slice");
    }
    return k->g->failed;
}

/* ---- Functions ------------------------------------------------------------------------------- */

static double number_told(const cj__keras_call *call, const char *words, double otherwise)
{
    const cj__json *value = told(call, words);
    return value && value->type == CJ__JSON_NUMBER ? value->number : otherwise;
}

/* x over its length along the axis. TensorFlow's epsilon is of the square, Keras's of the length.
 */
static cj_node *unit(const cj__keras_call *call, cj_node *x, int64_t axis, bool theirs)
{
    const double epsilon = number_told(call, "epsilon", theirs ? 1e-12 : 1e-7);
    cj_node *sum = cj_reduce_sum(cj_square(x), 1, &axis, true);
    return sum ? cj_mul(x, cj_rsqrt(cj_maximum(sum, cj_scalar(cj_node_graph(x), cj_node_dtype(x),
                                                              theirs ? epsilon
                                                                     : epsilon * epsilon))))
               : NULL;
}

/* A function with a number; NULL: it is none of these. */
static cj_node *function(const cj__keras_call *call, const char *name, cj_node *x, int64_t axis)
{
    const cj__json *rough = told(call, "approximate");
#define IS(words) cj__keras_is_word(words, name)
    if (IS("Gelu nn.gelu"))
        return cj_activation(x, rough && rough->boolean ? "gelu(approximate=true)" : "gelu");
    if (IS("LeakyRelu nn.leaky_relu"))
        return cj_leaky_relu(x, number_told(call, "negative_slope alpha", 0.2));
    if (IS("Elu nn.elu")) return cj_elu(x, number_told(call, "alpha", 1));
    if (IS("Relu6 nn.relu6")) return cj_clip(x, 0, 6);
    if (IS("nn.softmax")) return cj_softmax(x, (int)axis);
    if (IS("LogSoftmax nn.log_softmax")) return cj_log_softmax(x, (int)axis);
    if (IS("math.l2_normalize")) return unit(call, x, axis, true);
    if (IS("Normalize") && number_told(call, "order", 2) == 2) return unit(call, x, axis, false);
#undef IS
    return NULL;
}

/* ---- Axes and shapes ------------------------------------------------------------------------- */

typedef cj_node *(*reduction)(cj_node *x, int n, const int64_t *axes, bool keep);

static const struct {
    const char *names;
    reduction reduce;
} reductions[] = {
    {"Mean math.reduce_mean", (cj_reduce_mean)}, {"Sum math.reduce_sum", (cj_reduce_sum)},
    {"Max Amax math.reduce_max", (cj_reduce_max)}, {"Min Amin math.reduce_min", (cj_reduce_min)},
    {"Prod math.reduce_prod", (cj_reduce_prod)},
};

static cj_node *reduced(reduction of, const cj__keras_call *call, cj_node *x, const int64_t *given,
                        int n)
{
    const cj__json *keep = told(call, "keepdims");
    int64_t axes[CJ_RANK_MAX];
    const int rank = cj_node_rank(x);
    for (int i = 0; i < rank; i++) axes[i] = i;
    return of(x, n ? n : rank, n ? given : axes, keep && keep->boolean);
}

static cj_node *reshaped(cj_node *x, const int64_t *given, int n)
{
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < n; i++) dims[i] = given[i] < 0 ? CJ_INFER : given[i];
    return cj_reshape(x, n, dims);
}

static bool is_order(const int64_t *axes, int n, int rank)
{
    unsigned seen = 0;
    for (int i = 0; i < n; i++)
        if (axes[i] >= 0 && axes[i] < rank) seen |= 1u << axes[i];
    return n == rank && seen == (1u << rank) - 1;
}

/* An operator that is told axes, a shape, a type or bounds; *y stays NULL when it is none. */
static cj_status build_told(cj__keras *k, const cj__keras_call *call, const char *name,
                            cj_node *const *x, int n, cj_node **y)
{
    int64_t axes[CJ_RANK_MAX];
    const int rank = cj_node_rank(x[0]), given = whole_numbers(told(call, "axis"), axes);
    const int64_t axis = given == 1 ? axes[0] : -1;
#define IS(words) cj__keras_is_word(words, name)
    if (IS("GetItem __operators__.getitem")) return get_item(k, call, x[0], y);
    for (size_t i = 0; i < CJ__COUNT(reductions); i++)
        if (IS(reductions[i].names)) {
            if (given < 0) return fail_told(k, call, "an axis");
            *y = reduced(reductions[i].reduce, call, x[0], axes, given);
        }
    if (IS("Reshape reshape") || IS("Transpose transpose")) {
        const bool order = IS("Transpose transpose");
        const cj__json *list = told(call, order ? "axes perm" : "newshape shape");
        const int count = whole_numbers(list, axes);
        if (count < 0 || (!order && !count) || (order && count && !is_order(axes, count, rank)))
            return fail_told(k, call, order ? "an order of axes" : "a shape");
        *y = order ? cj_transpose(x[0], count ? axes : NULL) : reshaped(x[0], axes, count);
    }
    const bool one_axis = IS("ExpandDims expand_dims Squeeze squeeze");
    if (one_axis && given != 1) return fail_told(k, call, "an axis");
    if (one_axis)
        *y = IS("ExpandDims expand_dims") ? cj_expand_dims(x[0], (int)axis)
                                          : cj_squeeze(x[0], (int)axis);
    if (IS("concat")) *y = cj_concat(x, n, (int)axis);
    if (IS("Stack stack")) *y = cj_stack(x, n, given == 1 ? (int)axis : 0);
    if (!*y && !k->g->failed) *y = function(call, name, x[0], axis);
    if (IS("DepthToSpace nn.depth_to_space")) {
        const double block = number_told(call, "block_size", 0);
        const cj__json *format = told(call, "data_format");
        const char *order = format && format->type == CJ__JSON_STRING ? format->string : "NHWC";
        if (!(block >= 1) || block > 1e6 || !cj__keras_is_word("NHWC channels_last", order))
            return fail_told(k, call, "a block_size or data_format");
        *y = (cj_depth_to_space)(x[0], &(cj_block_opts){.block = (int64_t)block});
    }
    if (IS("Cast cast")) {
        const cj__json *type = told(call, "dtype");
        const char *word = !type ? NULL
                           : type->type == CJ__JSON_STRING
                               ? type->string
                               : cj__keras_string(cj__json_find(type, "config"), "name");
        const cj_dtype to = word ? cj__keras_dtype_of(word) : CJ_DTYPE_NONE;
        if (!to || to == CJ_STRING) return fail_told(k, call, "a type");
        *y = cj_cast(x[0], to);
    }
    if (IS("Clip clip_by_value")) {
        const cj__json *low = told(call, "x_min clip_value_min"),
                       *high = told(call, "x_max clip_value_max");
        if (!low || !high || low->type != CJ__JSON_NUMBER || high->type != CJ__JSON_NUMBER)
            return fail_told(k, call, "a bound");
        *y = cj_clip(x[0], low->number, high->number);
    }
#undef IS
    return k->g->failed;
}

/* ---- All ------------------------------------------------------------------------------------- */

CJ__KERAS_BUILDER(operator)
{
    const char *function = cj__keras_string(layer->config, "function");
    const bool slices = !strcmp(layer->kind, "SlicingOpLambda");
    const char *name = strcmp(layer->kind, "TFOpLambda") && !slices ? layer->kind
                     : function                                     ? function
                                                                    : "";
    cj_node *of[2] = {NULL};
    size_t at = 0;
    int used = 0;
    call->n_out = 1;
    CJ__TRY(build_told(k, call, name, x, n, &call->out[0]));
    if (call->out[0]) return CJ_OK;
    while (at < CJ__COUNT(operators) && !cj__keras_is_word(operators[at].names, name)) at++;
    if (at == CJ__COUNT(operators))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "the operator '%.60s' is not read",
                              name);
    const int operands = operators[at].two ? 2 : 1;
    for (int i = 0; i < operands; i++) {
        if (call->number[i])
            CJ__TRY(constant(k, call, call->number[i], cj_node_dtype(x[0]), &of[i]));
        else if (used < n) of[i] = x[used++];
    }
    const cj__json *format = told(call, "data_format");
    const bool first = format && format->type == CJ__JSON_STRING &&
                       cj__keras_is_word("channels_first NCHW NC*", format->string);
    if (used != n || !of[operands - 1] || first || told(call, "transpose_a transpose_b"))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "the operator '%.60s' of other operands than results of layers and a "
                              "number",
                              name);
    call->out[0] = operands == 2 ? operators[at].two(of[0], of[1]) : operators[at].one(of[0]);
    return k->g->failed;
}
