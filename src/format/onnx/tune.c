/* tune.c: what is changed in a file before it is read as a model, to be used on batches and
 * trained.
 *
 * The changes are made in the file's own structures, so that the reader, its shape rules and its
 * messages are those of any file. What a file cannot tell is said aloud (cj_tune_opts.tell):
 *
 *     batch 1                    -> a symbol, in the inputs (and in Reshape's shapes: map/shape.c)
 *     training_mode of the file  -> switched: on in training, off otherwise
 *     head=10                    -> other tensors for the last dense layer
 *     freeze=conv1*              -> names of weights that become state, not parameters
 *
 * Whether a batch that is a symbol goes through the graph is for the shape rules to say: the caller
 * reads again without that change when they refuse it. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "format/onnx/file.h"
#include "format/onnx/tensor.h"
#include "tensor/tensor.h"

static void tell(cj__onnx_tuning *t, const char *format, ...) CJ_PRINTF(2, 3);
static void tell(cj__onnx_tuning *t, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (!t->opts.tell) return;
    va_start(args, format);
    cj__vformat(text, sizeof text, format, args);
    va_end(args);
    cj__text_add(t->told, text);
    cj__text_char(t->told, '\n');
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* What a name of the main graph is. */
typedef struct value {
    const char *name;
    cj__onnx_tensor *tensor; /* an initializer's */
    cj__onnx_node *node;     /* that makes it */
    int uses;                /* of nodes and outputs */
    bool initializer;
} value;

typedef struct file_index {
    cj__onnx_tuning *t;
    cj__onnx_graph *g;
    cj__names values;
} file_index;

static value *value_of(file_index *x, cj__slice slice)
{
    char *name;
    if (!slice.size || cj__slice_string(x->t->arena, slice, "a name", &name)) return NULL;
    value *v = cj__names_get(&x->values, name);
    if (v) return v;
    v = cj__arena_alloc(x->t->arena, sizeof *v);
    if (!v || !cj__names_put(&x->values, name, v)) return NULL;
    v->name = name;
    return v;
}

static bool is(const cj__onnx_node *node, const char *op)
{
    return cj__slice_is(node->op_type, op) && cj__onnx_is_standard(node->domain);
}

static cj__onnx_attribute *attribute(const cj__onnx_node *node, const char *name)
{
    return (cj__onnx_attribute *)cj__onnx_find_attribute(node, name);
}

static const char *shown(const cj__onnx_node *node, char name[CJ__SLICE_SHOWN])
{
    bool named = node->name.size || !node->output.count;
    return cj__slice_show(named ? node->name : node->output.items[0], name);
}

static value *input_of(file_index *x, const cj__onnx_node *node, size_t i)
{
    return i < node->input.count ? value_of(x, node->input.items[i]) : NULL;
}

static bool make_index(file_index *x)
{
    cj__onnx_graph *g = x->g;
    value *v;
    cj__names_init(&x->values, x->t->arena);
    for (size_t i = 0; i < g->initializer.count; i++) {
        if (!(v = value_of(x, g->initializer.items[i].name))) return false;
        *v = (value){.name = v->name, .tensor = &g->initializer.items[i], .initializer = true};
    }
    for (size_t i = 0; i < g->node.count; i++) {
        cj__onnx_node *node = &g->node.items[i];
        for (size_t k = 0; k < node->input.count; k++)
            if ((v = input_of(x, node, k)) != NULL) v->uses++;
        for (size_t k = 0; k < node->output.count; k++)
            if ((v = value_of(x, node->output.items[k])) != NULL) v->node = node;
    }
    for (size_t i = 0; i < g->output.count; i++)
        if ((v = value_of(x, g->output.items[i].name))) v->uses++;
    return true;
}

/* A tensor of the main graph under a new name; f32 or i64 numbers. NULL: out of memory. */
static cj__onnx_tensor *new_tensor(file_index *x, const char *name, int64_t data_type, size_t rank,
                                   const int64_t *dims, size_t bytes)
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

/* ---- Training mode --------------------------------------------------------------------------- */

/* Nothing reads what a node gives behind its first output. */
static bool alone(file_index *x, const cj__onnx_node *node)
{
    for (size_t k = 1; k < node->output.count; k++) {
        const value *v = value_of(x, node->output.items[k]);
        if (v && v->uses) return false;
    }
    return true;
}

static void switch_modes(file_index *x)
{
    int norms = 0, drops = 0;
    for (size_t i = 0; i < x->g->node.count; i++) {
        cj__onnx_node *node = &x->g->node.items[i];
        if (is(node, "BatchNormalization") && alone(x, node)) {
            cj__onnx_attribute *mode = attribute(node, "training_mode");
            bool trains = (mode && mode->as.i) || node->output.count > 1;
            if (!trains) continue;
            if (mode) mode->as.i = 0;
            node->output.count = 1;
            norms++;
        } else if (is(node, "Dropout") && node->input.count > 2 && alone(x, node)) {
            node->input.count = 2;
            drops++;
        }
    }
    if (norms)
        tell(x->t, "%d batch normalisations are in training mode in the file: the batch's "
             "statistics are used in training alone, else the running ones", norms);
    if (drops)
        tell(x->t, "%d dropouts are switched by the file: elements are dropped in training alone",
             drops);
}

/* ---- The batch ------------------------------------------------------------------------------- */

/* The inputs that are fed, and the number all have in front; 0 when there is none such. */
static int64_t fixed_batch(file_index *x)
{
    int64_t batch = 0;
    for (size_t i = 0; i < x->g->input.count; i++) {
        const cj__onnx_value *in = &x->g->input.items[i];
        const value *v = value_of(x, in->name);
        const cj__onnx_value_type *type = in->type;
        if (!v || v->initializer) continue;
        if (!type || type->which != CJ__ONNX_TYPE_TENSOR || !type->as.tensor->shape ||
            !type->as.tensor->shape->dim.count)
            return 0;
        const cj__onnx_dim *d = &type->as.tensor->shape->dim.items[0];
        if (d->which != CJ__ONNX_DIM_VALUE || d->as.value < 1 || (batch && batch != d->as.value))
            return 0;
        batch = d->as.value;
    }
    return batch;
}

/* The shapes of Reshape nodes that begin with it are opened when they are read. */
static void open_batch(file_index *x)
{
    const int64_t batch = x->t->keep_batch ? 0 : fixed_batch(x);
    for (size_t i = 0; batch && i < x->g->input.count; i++) {
        const value *v = value_of(x, x->g->input.items[i].name);
        if (!v || v->initializer) continue;
        cj__onnx_dim *d = &x->g->input.items[i].type->as.tensor->shape->dim.items[0];
        d->which = CJ__ONNX_DIM_PARAM;
        d->as.param = cj__slice_of("batch");
    }
    x->t->batch = batch;
}

/* Sizes of pictures that the file leaves open: behind or before one or three channels. */
static void close_size(file_index *x)
{
    const cj_tune_opts *o = &x->t->opts;
    if (!o->height || !x->g->input.count) return;
    const cj__onnx_value_type *type = x->g->input.items[0].type;
    cj__onnx_shape *shape = type && type->which == CJ__ONNX_TYPE_TENSOR ? type->as.tensor->shape
                                                                        : NULL;
    if (!shape || shape->dim.count != 4) return;
    const cj__onnx_dim *last = &shape->dim.items[3];
    bool channels_last = last->which == CJ__ONNX_DIM_VALUE &&
                         (last->as.value == 1 || last->as.value == 3);
    for (int i = 0; i < 2; i++) {
        cj__onnx_dim *d = &shape->dim.items[(channels_last ? 1 : 2) + i];
        if (d->which == CJ__ONNX_DIM_VALUE) continue;
        d->which = CJ__ONNX_DIM_VALUE;
        d->as.value = i ? o->width : o->height;
    }
}

/* ---- The head -------------------------------------------------------------------------------- */

/* Numbers as Keras begins with: Glorot's uniform ones for a matrix, zeros for a bias. */
static bool fill(file_index *x, cj__onnx_tensor *t, int64_t fan_in, int64_t fan_out, bool bias)
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

static char *dims_text(file_index *x, const cj__onnx_tensor *t)
{
    char *text = cj__arena_strdup(x->t->arena, "[");
    for (size_t i = 0; text && i < t->dims.count; i++)
        text = cj__arena_printf(x->t->arena, "%s%s%lld", text, i ? ", " : "",
                                (long long)t->dims.items[i]);
    return text ? cj__arena_printf(x->t->arena, "%s]", text) : NULL;
}

/* Puts new numbers in the place of a weight, `axis` of which are the units. */
static cj_status replace(file_index *x, const cj__onnx_node *node, value *v, size_t axis, bool bias)
{
    cj_context *cj = x->t->arena->cj;
    char name[CJ__SLICE_SHOWN], op[CJ__SLICE_SHOWN];
    int64_t dims[CJ_RANK_MAX], count = 1, in = 1;
    cj__onnx_tensor *old = v->tensor;
    if (v->uses != 1 || old->data_type != CJ__ONNX_FLOAT || old->dims.count > CJ_RANK_MAX)
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "head=%lld: the weight '%s' of node '%s' %s, so it cannot be replaced",
                       (long long)x->t->opts.head, v->name, shown(node, name),
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
    tell(x->t, "head=%lld replaces %s '%s' of node '%s' (%s): %s -> %s", (long long)x->t->opts.head,
         bias ? "the bias" : "the weights", v->name, shown(node, name),
         cj__slice_show(node->op_type, op), dims_text(x, old), dims_text(x, t));
    *old = *t;
    return cj__names_put(&x->t->new_weights, v->name, v) ? CJ_OK : CJ_ERR_MEMORY;
}

static int64_t int_attribute(const cj__onnx_node *node, const char *name, int64_t initial)
{
    const cj__onnx_attribute *a = attribute(node, name);
    return a ? a->as.i : initial;
}

/* Kernels of size 1: every number behind the first two. */
static bool is_dense_conv(const cj__onnx_node *node, const value *w)
{
    bool one = is(node, "Conv") && w && w->initializer && int_attribute(node, "group", 1) == 1;
    for (size_t i = 2; one && i < w->tensor->dims.count; i++) one = w->tensor->dims.items[i] == 1;
    return one;
}

/* The weight behind a Transpose that stands before a MatMul, or the weight itself. */
static value *weight_of(file_index *x, const cj__onnx_node *node, size_t i, bool *transposed)
{
    value *w = input_of(x, node, i);
    *transposed = w && w->node && is(w->node, "Transpose") && w->uses == 1;
    if (*transposed) w = input_of(x, w->node, 0);
    return w && w->initializer && w->tensor->dims.count == 2 ? w : NULL;
}

/* A dense layer, or NULL; *more: what it works on, to look further. */
static cj_status replace_dense(file_index *x, const cj__onnx_node *node, bool *found)
{
    bool turned = false;
    value *w, *b = input_of(x, node, 2);
    *found = true;
    if (is(node, "Gemm") && (w = weight_of(x, node, 1, &turned)) != NULL) {
        turned = turned != (int_attribute(node, "transB", 0) != 0);
        CJ__TRY(replace(x, node, w, turned ? 0 : 1, false));
        return b && b->initializer ? replace(x, node, b, b->tensor->dims.count - 1, true) : CJ_OK;
    }
    if (is(node, "MatMul") && (w = weight_of(x, node, 1, &turned)) != NULL)
        return replace(x, node, w, turned ? 0 : 1, false);
    if (is_dense_conv(node, w = input_of(x, node, 1))) {
        CJ__TRY(replace(x, node, w, 0, false));
        return b && b->initializer ? replace(x, node, b, 0, true) : CJ_OK;
    }
    *found = false;
    return CJ_OK;
}

/* Adding a vector of weights to a MatMul: its bias. Operand number of the bias, or -1. */
static int bias_of(file_index *x, const cj__onnx_node *node)
{
    for (int i = 0; is(node, "Add") && i < 2; i++) {
        const value *b = input_of(x, node, (size_t)i), *y = input_of(x, node, (size_t)!i);
        if (b && b->initializer && b->tensor->dims.count == 1 && y && y->node &&
            is(y->node, "MatMul"))
            return i;
    }
    return -1;
}

/* From the output back through what changes no unit into another. */
static cj_status replace_head(file_index *x)
{
    static const char *const passed[] = {
        "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Flatten", "Reshape", "Squeeze", "Dropout",
        "GlobalAveragePool", "AveragePool", "ReduceMean", "Relu", "Cast"};
    char name[CJ__SLICE_SHOWN], op[CJ__SLICE_SHOWN];
    cj_context *cj = x->t->arena->cj;
    const value *v = x->g->output.count ? value_of(x, x->g->output.items[0].name) : NULL;
    const cj__onnx_node *node = NULL;
    while (v && v->node) {
        bool found, passes = false;
        node = v->node;
        CJ__TRY(replace_dense(x, node, &found));
        if (found) return CJ_OK;
        int bias = bias_of(x, node);
        for (size_t i = 0; i < CJ__COUNT(passed); i++) passes = passes || is(node, passed[i]);
        if (bias >= 0) CJ__TRY(replace(x, node, input_of(x, node, (size_t)bias), 0, true));
        else if (!passes) break;
        v = input_of(x, node, bias == 0 ? 1 : 0);
        node = NULL;
    }
    return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                   "head=%lld: the model does not end in a dense layer (Gemm, MatMul and Add, or a "
                   "convolution of size 1, and an activation or pooling): before its output there "
                   "is node '%s' (%s)",
                   (long long)x->t->opts.head, node ? shown(node, name) : "an input",
                   node ? cj__slice_show(node->op_type, op) : "none");
}

/* ---- Freezing -------------------------------------------------------------------------------- */

/* "*" any characters, "?" one. */
static bool glob(const char *p, const char *p_end, const char *s, const char *s_end)
{
    const char *star = NULL, *again = NULL;
    while (s < s_end) {
        if (p < p_end && *p == '*') star = p++, again = s;
        else if (p < p_end && (*p == '?' || *p == *s)) p++, s++;
        else if (star) p = star + 1, s = ++again;
        else return false;
    }
    while (p < p_end && *p == '*') p++;
    return p == p_end;
}

/* A name, or the part of it before a '.' or '/': "layer1" is all of layer1. */
static bool matches(const char *p, const char *p_end, const char *name)
{
    name += *name == '/';
    for (const char *end = name;; end++) {
        if ((!*end || *end == '.' || *end == '/') && glob(p, p_end, name, end)) return true;
        if (!*end) return false;
    }
}

static int64_t count_of(const cj__onnx_tensor *t)
{
    int64_t n = 1;
    for (size_t i = 0; i < t->dims.count; i++)
        if (CJ__MUL_OVERFLOWS(n, t->dims.items[i], &n)) return 0;
    return n;
}

static bool is_float(const cj__onnx_tensor *t)
{
    cj_dtype dtype = cj__onnx_type_dtype(t->data_type);
    return dtype != CJ_DTYPE_NONE && cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT;
}

typedef struct frozen {
    int weights;
    int64_t numbers;
} frozen;

static bool freeze_one(file_index *x, const value *v, frozen *f)
{
    cj__onnx_tuning *t = x->t;
    bool trains = v && v->initializer && is_float(v->tensor) &&
                  (t->listed ? cj__names_get(t->listed, v->name) != NULL
                             : v->tensor->dims.count > 0);
    if (!trains || cj__names_get(&t->frozen, v->name) || cj__names_get(&t->new_weights, v->name))
        return true;
    if (!cj__names_put(&t->frozen, v->name, v->tensor)) return false;
    f->weights++;
    f->numbers += count_of(v->tensor);
    return true;
}

static bool freeze_pattern(file_index *x, const char *p, const char *end, frozen *f)
{
    bool ok = true;
    for (size_t i = 0; ok && i < x->g->initializer.count; i++) {
        const value *v = value_of(x, x->g->initializer.items[i].name);
        if (v && matches(p, end, v->name)) ok = freeze_one(x, v, f);
    }
    for (size_t i = 0; ok && i < x->g->node.count; i++) {
        const cj__onnx_node *node = &x->g->node.items[i];
        char *name = NULL;
        if (!node->name.size || cj__slice_string(x->t->arena, node->name, "a name", &name) ||
            !matches(p, end, name))
            continue;
        for (size_t k = 0; ok && k < node->input.count; k++)
            ok = freeze_one(x, input_of(x, node, k), f);
    }
    return ok;
}

/* A batch normalisation whose scale does not train is one of inference: its statistics stay. They
 * are no parameters, so they are told apart. */
static bool freeze_norms(file_index *x, int *norms)
{
    cj__names *names = &x->t->frozen;
    for (size_t i = 0; i < x->g->node.count; i++) {
        const cj__onnx_node *node = &x->g->node.items[i];
        bool stays = false, norm = is(node, "BatchNormalization");
        for (size_t k = 1; norm && k < 5; k += k == 1 ? 2 : 1) {
            const value *v = input_of(x, node, k);
            stays = stays || (v && cj__names_get(names, v->name));
        }
        *norms += stays;
        for (size_t k = 3; stays && k < 5; k++) {
            const value *v = input_of(x, node, k);
            if (v && v->initializer && !cj__names_put(names, v->name, names)) return false;
        }
    }
    return true;
}

static cj_status freeze(file_index *x)
{
    cj_context *cj = x->t->arena->cj;
    const char *at = x->t->opts.freeze;
    frozen all = {0};
    int norms = 0;
    while (at && *at) {
        at += strspn(at, ", ");
        const char *end = at + strcspn(at, ", ");
        frozen f = {0};
        if (end == at) break;
        if (!freeze_pattern(x, at, end, &f)) return CJ_ERR_MEMORY;
        if (!f.weights)
            return cj_fail(cj, CJ_ERR_NOT_FOUND,
                           "freeze=%.*s matches no weight and no node that was not frozen before "
                           "(cajal summary names them)", (int)(end - at > 80 ? 80 : end - at), at);
        tell(x->t, "freeze=%.*s: %d weights, %lld numbers, are not trained", (int)(end - at), at,
             f.weights, (long long)f.numbers);
        all.weights += f.weights;
        all.numbers += f.numbers;
        at = end;
    }
    if (!freeze_norms(x, &norms)) return CJ_ERR_MEMORY;
    if (norms)
        tell(x->t, "%d batch normalisations are frozen: they keep their running statistics and use "
             "them in training, too", norms);
    return CJ_OK;
}

/* ---- What was folded ------------------------------------------------------------------------- */

static void tell_folded(file_index *x)
{
    int biased = 0, named = 0, norms = 0;
    for (size_t i = 0; i < x->g->node.count; i++) {
        const cj__onnx_node *node = &x->g->node.items[i];
        const value *w = is(node, "Conv") ? input_of(x, node, 1) : NULL;
        norms += is(node, "BatchNormalization");
        if (!w || node->input.count < 3) continue;
        biased++;
        named += !strncmp(w->name, "onnx::Conv_", 11); /* what PyTorch calls weights it changed */
    }
    if (norms || !biased) return;
    if (named)
        tell(x->t, "no batch normalisation, and %d of %d convolutions have weights that PyTorch's "
             "exporter changed: it folded them in; they are trained as convolutions with a bias",
             named, biased);
    else
        tell(x->t, "no batch normalisation, and %d convolutions with a bias: if there was one "
             "before each it is folded in, and is trained as part of it", biased);
}

/* ---- All ------------------------------------------------------------------------------------- */

cj_status cj__onnx_tune(cj__onnx_tuning *t, cj__arena *arena, cj__onnx_model *model)
{
    file_index x = {.t = t, .g = model->graph};
    t->arena = arena;
    t->batch = 0;
    cj__names_init(&t->frozen, arena);
    cj__names_init(&t->new_weights, arena);
    if (!make_index(&x))
        return cj_last_status(arena->cj) ? cj_last_status(arena->cj) : CJ_ERR_MEMORY;
    cj__text_clear(t->told);
    switch_modes(&x);
    open_batch(&x);
    close_size(&x);
    if (t->opts.tell && !t->opts.inference && !t->listed) tell_folded(&x);
    if (t->opts.head > 0) CJ__TRY(replace_head(&x));
    return freeze(&x);
}

/* Would running it with another batch find sizes that must be equal and are not, such as those of
 * an initial state that the file has as numbers? Tried with twice the batch. */
static cj_status check_sizes(const cj__onnx_tuning *t, cj_graph *g)
{
    const cj_dim batch = cj_symbol(g, "batch");
    int64_t *values = cj__arena_array(t->arena, (size_t)g->dims.count + 1, sizeof *values);
    if (batch >= 0 || !values) return CJ_ERR_MEMORY;
    for (int i = 0; i < g->dims.count; i++) values[i] = -1;
    values[-1 - batch] = 2 * t->batch;
    CJ__TRY(cj__dims_evaluate(g->cj, g, values));
    for (int i = 0; i < g->dims.n_agreements; i++) {
        const cj__agreement *both = &g->dims.agreements[i];
        const int64_t a = cj__dim_number(both->a, values), b = cj__dim_number(both->b, values);
        if (a < 0 || b < 0 || a == b) continue;
        return cj_fail(g->cj, CJ_ERR_SHAPE,
                       "%s: with a batch of %lld the sizes %lld and %lld would have to be equal",
                       both->call && both->call->layer ? both->call->layer : "the graph",
                       (long long)(2 * t->batch), (long long)a, (long long)b);
    }
    return CJ_OK;
}

cj_status cj__onnx_tuned(cj__onnx_tuning *t, cj_model *m, const cj__onnx_model *model)
{
    cj_graph *g = m->graph;
    if (t->batch) CJ__TRY(check_sizes(t, g));
    for (int i = 0; t->batch && i < g->outputs.count; i++) {
        const cj_node *y = g->outputs.items[i].node;
        if (!y->type.rank || y->type.dim[0] != cj_symbol(g, "batch"))
            return cj_fail(g->cj, CJ_ERR_SHAPE, "output '%.80s' does not begin with it",
                           g->outputs.items[i].name);
    }
    for (size_t i = 0; i < model->graph->initializer.count; i++) {
        char *name;
        CJ__TRY(cj__slice_string(t->arena, model->graph->initializer.items[i].name, "a name",
                                 &name));
        const void *kept = cj__names_get(&t->frozen, name);
        cj_node *node = kept && kept != &t->frozen ? cj__nodes_find(&g->variables, name) : NULL;
        if (node) CJ__TRY(cj__nodes_add(g, &m->frozen, node->name, node));
    }
    if (t->opts.head > 0) {
        m->text = m->target = m->loss = m->metrics = NULL;
        m->classes = 0;
        m->class_names = NULL;
    }
    if (t->with_values)
        tell(t, "shapes depend on values, so the file is read with those of its inputs, and is "
             "what it is for these: %s", t->why);
    else if (t->keep_batch)
        tell(t, "the batch stays %lld, as the file has it; as a symbol: %s", (long long)t->refused,
             t->why);
    else if (t->batch)
        tell(t, "the file's batch of %lld is made a symbol", (long long)t->batch);
    if (t->opts.tell && g->parameters.count < g->variables.count && t->opts.freeze)
        tell(t, "%d weights are trained", g->parameters.count);
    return t->told->failed;
}
