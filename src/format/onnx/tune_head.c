/* tune_head.c: another last dense layer in a file that is read to be trained: other tensors under
 * the old names, and other sizes in what holds them. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "format/onnx/tune.h"

/* A tensor of the main graph under a new name; f32 or i64 numbers. NULL: out of memory. */
static cj__onnx_tensor *new_tensor(cj__tune_index *x, const char *name, int64_t data_type,
                                   size_t rank, const int64_t *dims, size_t bytes)
{
    cj__arena *arena = x->t->arena;
    cj__onnx_tensor *t = cj__arena_alloc(arena, sizeof *t);
    int64_t *d = cj__arena_array(arena, rank + 1, sizeof *d);
    char *raw = cj__arena_array(arena, bytes + 8, 1);
    if (!t || !d || !raw) return NULL;
    if (rank) memcpy(d, dims, rank * sizeof *d);
    t->name = cj__slice_of(name);
    t->data_type = data_type;
    t->dims.items = d;
    t->dims.count = rank;
    t->raw = (cj__slice){raw, bytes};
    return t;
}

/* Numbers as Keras begins with: Glorot's uniform ones for a matrix, zeros for a bias. */
static bool fill(cj__tune_index *x, cj__onnx_tensor *t, int64_t fan_in, int64_t fan_out, bool bias)
{
    const size_t n = t->raw.size / 4;
    const double limit = sqrt(6.0 / (double)(fan_in + fan_out));
    const cj__random_key key = {.seed = x->t->opts.seed, .stream = 0x68656164}; /* "head" */
    for (size_t i = 0; i < n; i++) {
        float v = bias ? 0
                       : (float)(limit * (2 * (double)cj__random_unit(
                                                  cj__random_u32(key, (uint32_t)i)) - 1));
        uint32_t bits;
        memcpy(&bits, &v, 4);
        for (int k = 0; k < 4; k++)
            ((char *)t->raw.at)[i * 4 + (size_t)k] = (char)(bits >> 8 * k & 255);
    }
    return n <= UINT32_MAX;
}

static char *dims_text(cj__tune_index *x, const cj__onnx_tensor *t)
{
    char *text = cj__arena_strdup(x->t->arena, "[");
    for (size_t i = 0; text && i < t->dims.count; i++)
        text = cj__arena_printf(x->t->arena, "%s%s%lld", text, i ? ", " : "",
                                (long long)t->dims.items[i]);
    return text ? cj__arena_printf(x->t->arena, "%s]", text) : NULL;
}

/* Puts new numbers in the place of a weight, `axis` of which are the units. */
static cj_status replace(cj__tune_index *x, const cj__onnx_node *node, cj__tune_name *v,
                         size_t axis, bool bias)
{
    cj_context *cj = x->t->arena->cj;
    char name[CJ__SLICE_SHOWN], op[CJ__SLICE_SHOWN];
    int64_t dims[CJ_RANK_MAX], count = 1, in = 1;
    cj__onnx_tensor *old = v->tensor;
    if (v->uses != 1 || old->data_type != CJ__ONNX_FLOAT || old->dims.count > CJ_RANK_MAX)
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "head=%lld: the weight '%s' of node '%s' %s, so it cannot be replaced",
                       (long long)x->t->opts.head, v->name, cj__tune_shown(node, name),
                       v->uses != 1 ? "is used by other nodes, too" : "is no matrix of f32");
    for (size_t i = 0; i < old->dims.count; i++) {
        dims[i] = i == axis ? x->t->opts.head : old->dims.items[i];
        if (i != axis) in *= dims[i];
        if (CJ__MUL_OVERFLOWS(count, dims[i], &count) || count > INT32_MAX)
            return cj_fail(cj, CJ_ERR_LIMIT, "head=%lld: more than 2^31 weights",
                           (long long)x->t->opts.head);
    }
    cj__onnx_tensor *t = new_tensor(x, v->name, CJ__ONNX_FLOAT, old->dims.count, dims,
                                    (size_t)count * 4);
    if (!t || !fill(x, t, in, x->t->opts.head, bias)) return CJ_ERR_MEMORY;
    cj__tune_tell(x->t, "head=%lld replaces %s '%s' of node '%s' (%s): %s -> %s",
                  (long long)x->t->opts.head, bias ? "the bias" : "the weights", v->name,
                  cj__tune_shown(node, name), cj__slice_show(node->op_type, op), dims_text(x, old),
                  dims_text(x, t));
    *old = *t;
    return cj__names_put(&x->t->new_weights, v->name, v) ? CJ_OK : CJ_ERR_MEMORY;
}

static int64_t int_attribute(const cj__onnx_node *node, const char *name, int64_t initial)
{
    const cj__onnx_attribute *a = cj__tune_attribute(node, name);
    return a ? a->as.i : initial;
}

/* Kernels of size 1: every number behind the first two. */
static bool is_dense_conv(const cj__onnx_node *node, const cj__tune_name *w)
{
    bool one = cj__tune_is(node, "Conv") && w && w->initializer &&
               int_attribute(node, "group", 1) == 1;
    for (size_t i = 2; one && i < w->tensor->dims.count; i++) one = w->tensor->dims.items[i] == 1;
    return one;
}

/* The weight behind a Transpose that stands before a MatMul, or the weight itself. */
static cj__tune_name *weight_of(cj__tune_index *x, const cj__onnx_node *node, size_t i,
                                bool *transposed)
{
    cj__tune_name *w = cj__tune_input(x, node, i);
    *transposed = w && w->node && cj__tune_is(w->node, "Transpose") && w->uses == 1;
    if (*transposed) w = cj__tune_input(x, w->node, 0);
    return w && w->initializer && w->tensor->dims.count == 2 ? w : NULL;
}

/* A dense layer, or NULL; *more: what it works on, to look further. */
static cj_status replace_dense(cj__tune_index *x, const cj__onnx_node *node, bool *found)
{
    bool turned = false;
    cj__tune_name *w, *b = cj__tune_input(x, node, 2);
    *found = true;
    if (cj__tune_is(node, "Gemm") && (w = weight_of(x, node, 1, &turned)) != NULL) {
        turned = turned != (int_attribute(node, "transB", 0) != 0);
        CJ__TRY(replace(x, node, w, turned ? 0 : 1, false));
        return b && b->initializer ? replace(x, node, b, b->tensor->dims.count - 1, true) : CJ_OK;
    }
    if (cj__tune_is(node, "MatMul") && (w = weight_of(x, node, 1, &turned)) != NULL)
        return replace(x, node, w, turned ? 0 : 1, false);
    if (is_dense_conv(node, w = cj__tune_input(x, node, 1))) {
        CJ__TRY(replace(x, node, w, 0, false));
        return b && b->initializer ? replace(x, node, b, 0, true) : CJ_OK;
    }
    *found = false;
    return CJ_OK;
}

/* Adding a vector of weights to a MatMul: its bias. Operand number of the bias, or -1. */
static int bias_of(cj__tune_index *x, const cj__onnx_node *node)
{
    for (int i = 0; cj__tune_is(node, "Add") && i < 2; i++) {
        const cj__tune_name *b = cj__tune_input(x, node, (size_t)i),
                            *y = cj__tune_input(x, node, (size_t)!i);
        if (b && b->initializer && b->tensor->dims.count == 1 && y && y->node &&
            cj__tune_is(y->node, "MatMul"))
            return i;
    }
    return -1;
}

/* From the output back through what changes no unit into another. */
cj_status cj__tune_head(cj__tune_index *x)
{
    static const char *const passed[] = {
        "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Flatten", "Reshape", "Squeeze", "Dropout",
        "GlobalAveragePool", "AveragePool", "ReduceMean", "Relu", "Cast"};
    char name[CJ__SLICE_SHOWN], op[CJ__SLICE_SHOWN];
    cj_context *cj = x->t->arena->cj;
    const cj__tune_name *v = x->g->output.count ? cj__tune_value(x, x->g->output.items[0].name)
                                                : NULL;
    const cj__onnx_node *node = NULL;
    while (v && v->node) {
        bool found, passes = false;
        node = v->node;
        CJ__TRY(replace_dense(x, node, &found));
        if (found) return CJ_OK;
        int bias = bias_of(x, node);
        for (size_t i = 0; i < CJ__COUNT(passed); i++)
            passes = passes || cj__tune_is(node, passed[i]);
        if (bias >= 0) CJ__TRY(replace(x, node, cj__tune_input(x, node, (size_t)bias), 0, true));
        else if (!passes) break;
        v = cj__tune_input(x, node, bias == 0 ? 1 : 0);
        node = NULL;
    }
    return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                   "head=%lld: the model does not end in a dense layer (Gemm, MatMul and Add, or a "
                   "convolution of size 1, and an activation or pooling): before its output there "
                   "is node '%s' (%s)",
                   (long long)x->t->opts.head, node ? cj__tune_shown(node, name) : "an input",
                   node ? cj__slice_show(node->op_type, op) : "none");
}
