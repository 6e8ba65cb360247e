/* tune.c: what is changed in a file before it is read as a model, to be used on batches and
 * trained.
 *
 * The changes are made in the file's own structures, so that the reader, its shape rules and its
 * messages are those of any file. What a file cannot tell is said aloud (cj_tune_opts.tell):
 *
 *     batch 1                    -> a symbol, in the inputs (and in Reshape's shapes: map/shape.c)
 *     training_mode of the file  -> switched: on in training, off otherwise
 *     head=10                    -> other tensors for the last dense layer (tune_head.c)
 *     freeze=conv1*              -> names of weights that become state, not parameters
 *                                   (tune_freeze.c)
 *
 * Whether a batch that is a symbol goes through the graph is for the shape rules to say: the caller
 * reads again without that change when they refuse it. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "format/onnx/tune.h"

void cj__tune_tell(cj__onnx_tuning *t, const char *format, ...)
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

cj__tune_name *cj__tune_value(cj__tune_index *x, cj__slice slice)
{
    char *name;
    if (!slice.size || cj__slice_string(x->t->arena, slice, "a name", &name)) return NULL;
    cj__tune_name *v = cj__names_get(&x->values, name);
    if (v) return v;
    v = cj__arena_alloc(x->t->arena, sizeof *v);
    if (!v || !cj__names_put(&x->values, name, v)) return NULL;
    v->name = name;
    return v;
}

bool cj__tune_is(const cj__onnx_node *node, const char *op)
{
    return cj__slice_is(node->op_type, op) && cj__onnx_is_standard(node->domain);
}

cj__onnx_attribute *cj__tune_attribute(const cj__onnx_node *node, const char *name)
{
    return (cj__onnx_attribute *)cj__onnx_find_attribute(node, name);
}

const char *cj__tune_shown(const cj__onnx_node *node, char name[CJ__SLICE_SHOWN])
{
    bool named = node->name.size || !node->output.count;
    return cj__slice_show(named ? node->name : node->output.items[0], name);
}

cj__tune_name *cj__tune_input(cj__tune_index *x, const cj__onnx_node *node, size_t i)
{
    return i < node->input.count ? cj__tune_value(x, node->input.items[i]) : NULL;
}

static bool make_index(cj__tune_index *x)
{
    cj__onnx_graph *g = x->g;
    cj__tune_name *v;
    cj__names_init(&x->values, x->t->arena);
    for (size_t i = 0; i < g->initializer.count; i++) {
        if (!(v = cj__tune_value(x, g->initializer.items[i].name))) return false;
        *v = (cj__tune_name){.name = v->name,
                             .tensor = &g->initializer.items[i],
                             .initializer = true};
    }
    for (size_t i = 0; i < g->node.count; i++) {
        cj__onnx_node *node = &g->node.items[i];
        for (size_t k = 0; k < node->input.count; k++)
            if ((v = cj__tune_input(x, node, k)) != NULL) v->uses++;
        for (size_t k = 0; k < node->output.count; k++)
            if ((v = cj__tune_value(x, node->output.items[k])) != NULL) v->node = node;
    }
    for (size_t i = 0; i < g->output.count; i++)
        if ((v = cj__tune_value(x, g->output.items[i].name))) v->uses++;
    return true;
}

/* ---- Training mode --------------------------------------------------------------------------- */

/* Nothing reads what a node gives behind its first output. */
static bool alone(cj__tune_index *x, const cj__onnx_node *node)
{
    for (size_t k = 1; k < node->output.count; k++) {
        const cj__tune_name *v = cj__tune_value(x, node->output.items[k]);
        if (v && v->uses) return false;
    }
    return true;
}

static void switch_modes(cj__tune_index *x)
{
    int norms = 0, drops = 0;
    for (size_t i = 0; i < x->g->node.count; i++) {
        cj__onnx_node *node = &x->g->node.items[i];
        if (cj__tune_is(node, "BatchNormalization") && alone(x, node)) {
            cj__onnx_attribute *mode = cj__tune_attribute(node, "training_mode");
            bool trains = (mode && mode->as.i) || node->output.count > 1;
            if (!trains) continue;
            if (mode) mode->as.i = 0;
            node->output.count = 1;
            norms++;
        } else if (cj__tune_is(node, "Dropout") && node->input.count > 2 && alone(x, node)) {
            node->input.count = 2;
            drops++;
        }
    }
    if (norms)
        cj__tune_tell(x->t, "%d batch normalisations are in training mode in the file: the batch's "
             "statistics are used in training alone, else the running ones", norms);
    if (drops)
        cj__tune_tell(
            x->t, "%d dropouts are switched by the file: elements are dropped in training alone",
            drops);
}

/* ---- The batch ------------------------------------------------------------------------------- */

/* The inputs that are fed, and the number all have in front; 0 when there is none such. */
static int64_t fixed_batch(cj__tune_index *x)
{
    int64_t batch = 0;
    for (size_t i = 0; i < x->g->input.count; i++) {
        const cj__onnx_value *in = &x->g->input.items[i];
        const cj__tune_name *v = cj__tune_value(x, in->name);
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
static void open_batch(cj__tune_index *x)
{
    const int64_t batch = x->t->keep_batch ? 0 : fixed_batch(x);
    for (size_t i = 0; batch && i < x->g->input.count; i++) {
        const cj__tune_name *v = cj__tune_value(x, x->g->input.items[i].name);
        if (!v || v->initializer) continue;
        cj__onnx_dim *d = &x->g->input.items[i].type->as.tensor->shape->dim.items[0];
        d->which = CJ__ONNX_DIM_PARAM;
        d->as.param = cj__slice_of("batch");
    }
    x->t->batch = batch;
}

/* Sizes of pictures that the file leaves open: behind or before one or three channels. */
static void close_size(cj__tune_index *x)
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

/* ---- What was folded ------------------------------------------------------------------------- */

static void tell_folded(cj__tune_index *x)
{
    int biased = 0, named = 0, norms = 0;
    for (size_t i = 0; i < x->g->node.count; i++) {
        const cj__onnx_node *node = &x->g->node.items[i];
        const cj__tune_name *w = cj__tune_is(node, "Conv") ? cj__tune_input(x, node, 1) : NULL;
        norms += cj__tune_is(node, "BatchNormalization");
        if (!w || node->input.count < 3) continue;
        biased++;
        named += !strncmp(w->name, "onnx::Conv_", 11); /* what PyTorch calls weights it changed */
    }
    if (norms || !biased) return;
    if (named)
        cj__tune_tell(
            x->t,
            "no batch normalisation, and %d of %d convolutions have weights that PyTorch's "
            "exporter changed: it folded them in; they are trained as convolutions with a bias",
            named, biased);
    else
        cj__tune_tell(x->t,
                      "no batch normalisation, and %d convolutions with a bias: if there was one "
                      "before each it is folded in, and is trained as part of it",
                      biased);
}

/* PyTorch's exporter gives tensors that are equal one initializer: fresh weights, for the most. */
static void tell_shared(cj__tune_index *x)
{
    int shared = 0;
    for (size_t i = 0; i < x->g->node.count; i++) {
        const cj__onnx_node *node = &x->g->node.items[i];
        const cj__tune_name *from = cj__tune_is(node, "Identity") ? cj__tune_input(x, node, 0)
                                                                  : NULL;
        shared += from && from->initializer;
    }
    if (shared)
        cj__tune_tell(x->t,
                      "%d weights are other weights by the file (Identity), which an exporter "
                      "does where they are equal: they stay so in training",
                      shared);
}

/* ---- All ------------------------------------------------------------------------------------- */

cj_status cj__onnx_tune(cj__onnx_tuning *t, cj__arena *arena, cj__onnx_model *model)
{
    cj__tune_index x = {.t = t, .g = model->graph};
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
    if (t->opts.tell && !t->opts.inference && !t->listed) tell_folded(&x), tell_shared(&x);
    if (t->opts.head > 0) CJ__TRY(cj__tune_head(&x));
    return cj__tune_freeze(&x);
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
        cj__tune_tell(
            t,
            "shapes depend on values, so the file is read with those of its inputs, and is "
            "what it is for these: %s",
            t->why);
    else if (t->keep_batch)
        cj__tune_tell(t, "the batch stays %lld, as the file has it; as a symbol: %s",
                      (long long)t->refused, t->why);
    else if (t->batch)
        cj__tune_tell(t, "the file's batch of %lld is made a symbol", (long long)t->batch);
    if (t->opts.tell && g->parameters.count < g->variables.count && t->opts.freeze)
        cj__tune_tell(t, "%d weights are trained", g->parameters.count);
    return t->told->failed;
}
