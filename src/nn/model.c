/* model.c: a model's life, its inputs and outputs, and what can be counted in it.
 *
 * A model is a graph and what layers left in it. The graph is the model's own: it is freed with the
 * model, and the model with its context. Everything else a model remembers (names, columns,
 * statistics) lives in one arena. */
#include "nn/model.h"

#include <math.h>
#include <string.h>

/* ---- What layers leave in a graph ------------------------------------------------------------ */

static void free_layers(cj_graph *g)
{
    cj__layers *layers = g->layers;
    cj__free(g->cj, layers->items, (size_t)layers->capacity * sizeof *layers->items);
    cj__free(g->cj, layers->losses, (size_t)layers->losses_capacity * sizeof(cj_node *));
    cj__free(g->cj, layers->updates, (size_t)layers->updates_capacity * sizeof(cj_update));
    cj__free(g->cj, layers->masks, (size_t)layers->masks_capacity * sizeof(cj__mask));
    cj__free(g->cj, layers->networks,
             (size_t)layers->networks_capacity * sizeof(cj__network_record));
}

cj__layers *cj__layers_of(cj_graph *g)
{
    if (!g->layers) {
        cj__layers *layers = cj__arena_alloc(&g->arena, sizeof *layers);
        if (!layers) return cj__graph_fail(g, NULL, CJ_ERR_MEMORY, "out of memory"), NULL;
        layers->dtype = CJ_F32;
        g->layers = layers;
        g->free_layers = free_layers;
    }
    return g->layers;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void free_owned(cj__owned *object)
{
    cj_model_free((cj_model *)((char *)object - offsetof(cj_model, owned)));
}

cj_model *cj_model_new(cj_context *cj)
{
    if (!cj) return NULL;
    cj_model *m = cj__alloc(cj, sizeof *m);
    if (!m) return NULL;
    m->cj = cj;
    cj__arena_init(&m->arena, cj);
    m->graph = cj_graph_new(cj);
    cj__own(cj, &m->owned, free_owned);
    cj__layers *layers = m->graph ? cj__layers_of(m->graph) : NULL;
    if (!layers) {
        cj_model_free(m);
        return NULL;
    }
    cj__disown(&m->graph->owned);
    layers->model = m;
    return m;
}

void cj_model_free(cj_model *m)
{
    if (!m) return;
    cj_context *cj = m->cj;
    cj__disown(&m->owned);
    if (m->history && m->free_history) m->free_history(cj, m->history);
    cj__free(cj, m->frozen.items, (size_t)m->frozen.capacity * sizeof *m->frozen.items);
    cj__free(cj, m->metadata.items, (size_t)m->metadata.capacity * sizeof *m->metadata.items);
    cj_graph_free(m->graph);
    cj__arena_release(&m->arena);
    cj__free(cj, m, sizeof *m);
}

cj_graph *cj__model_give_graph(cj_model *m)
{
    cj_graph *g = m->graph;
    cj__layers_of(g)->model = NULL;
    cj__graph_own(g);
    m->graph = NULL;
    cj_model_free(m);
    return g;
}

cj_status cj_model_failed(const cj_model *m)
{
    return m ? cj_graph_failed(m->graph) : CJ_ERR_MEMORY;
}
cj_graph *cj_model_graph(cj_model *m) { return m ? m->graph : NULL; }
cj_store *cj_model_store(cj_model *m) { return m ? cj_graph_store(m->graph) : NULL; }

void cj_model_set_seed(cj_model *m, uint64_t seed)
{
    if (!m) return;
    cj__layers *layers = m->graph->layers;
    m->graph->where = NULL; /* of an earlier builder */
    if (layers->count)
        cj_graph_fail(m->graph, CJ_ERR_STATE, "the seed of a model is set before its first layer");
    else layers->seed = seed;
}

void cj_model_set_dtype(cj_model *m, cj_dtype dtype)
{
    if (!m) return;
    cj__layers *layers = m->graph->layers;
    m->graph->where = NULL;
    if (layers->count || m->graph->inputs.count)
        cj_graph_fail(m->graph, CJ_ERR_STATE, "the dtype of a model is set before its first input");
    else if (dtype != CJ_F32 && dtype != CJ_F64)
        cj_graph_fail(m->graph, CJ_ERR_TYPE, "the dtype of a model is f32 or f64, not %s",
                      dtype > CJ_DTYPE_NONE && dtype < CJ_DTYPE_COUNT ? cj_dtype_info(dtype)->name
                                                                      : "default");
    else layers->dtype = dtype;
}

/* ---- Inputs and outputs ---------------------------------------------------------------------- */

/* Room for one preparation more; inputs are few. */
static cj_status add_preparation(cj_model *m)
{
    cj__preparation *grown = cj__arena_array(&m->arena, (size_t)m->n_preparations + 1,
                                             sizeof *grown);
    if (!grown) return cj__graph_fail(m->graph, "input", CJ_ERR_MEMORY, "out of memory");
    if (m->n_preparations) memcpy(grown, m->preparation, (size_t)m->n_preparations * sizeof *grown);
    m->preparation = grown;
    m->n_preparations++;
    return CJ_OK;
}

cj_node *cj_model_input(cj_model *m, const char *name, int rank, const int64_t *dims)
{
    if (!m || m->graph->failed) return NULL;
    cj_graph *g = m->graph;
    g->where = NULL;
    if (rank < 0 || rank >= CJ_RANK_MAX)
        return cj__graph_fail(g, "input", CJ_ERR_SHAPE,
                              "'%s': samples of rank %d; at most %d is possible", name ? name : "",
                              rank, CJ_RANK_MAX - 1),
               NULL;
    cj_dim shape[CJ_RANK_MAX] = {cj_symbol(g, "batch")};
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1)
            return cj__graph_fail(g, "input", CJ_ERR_SHAPE,
                                  "'%s': dimension %d of samples is %lld, less than 1",
                                  name ? name : "", i, (long long)dims[i]),
                   NULL;
        shape[i + 1] = dims[i];
    }
    return cj__model_input_of(m, name, cj__layers_of(g)->dtype, rank + 1, shape);
}

cj_node *cj__model_input_of(cj_model *m, const char *name, cj_dtype dtype, int rank,
                            const cj_dim *dims)
{
    cj_node *x = cj_placeholder(m->graph, name, dtype, rank, dims);
    return x && !add_preparation(m) ? x : NULL;
}

void cj_output(cj_model *m, const char *name, cj_node *x)
{
    if (!m || m->graph->failed) return;
    m->graph->where = NULL;
    if (x) cj_graph_output(m->graph, name, x);
    else
        cj__graph_fail(m->graph, "output", CJ_ERR_ARGUMENT, "'%s' is given no node",
                       name ? name : "");
}

void cj_auxiliary_output(cj_model *m, const char *name, cj_node *x, double weight)
{
    if (m) cj__auxiliary_add(m->graph, name, x, weight);
}

void cj__auxiliary_add(cj_graph *g, const char *name, cj_node *x, double weight)
{
    if (g->failed) return;
    const char *said = name && *name ? name : "(no name)";
    cj__layers *layers = cj__layers_of(g);
    cj__auxiliary *a = cj__arena_alloc(&g->arena, sizeof *a), **last;
    if (!x || cj__is_zero(x) || cj_node_graph(x) != g) {
        cj__graph_fail(g, "auxiliary output", CJ_ERR_ARGUMENT, "'%s' is given no node of its model",
                       said);
        return;
    }
    if (!name || !*name || !(weight >= 0) || isinf(weight)) {
        cj__graph_fail(g, "auxiliary output", CJ_ERR_ARGUMENT,
                       "'%s' has the weight %g; a name and a number of 0 or more are expected",
                       said, weight);
        return;
    }
    if (!layers || !a || !(a->name = cj__arena_strdup(&g->arena, name))) {
        cj__graph_fail(g, "auxiliary output", CJ_ERR_MEMORY, "out of memory");
        return;
    }
    a->x = x;
    a->weight = weight;
    for (last = &layers->auxiliaries; *last;) last = &(*last)->next;
    *last = a;
}

/* ---- Counts ---------------------------------------------------------------------------------- */

/* Of one sample: every symbol is 1, or else, but for the batch, the smallest power of two that the
 * graph takes. */
static cj_status smallest_sizes(const cj_graph *g, int64_t *symbols)
{
    const cj_type *x = g->inputs.count ? &g->inputs.items[0].node->type : NULL;
    const cj_dim batch = x && x->rank ? x->dim[0] : CJ_INFER;
    cj_status failed = CJ_ERR_SHAPE;
    for (int64_t size = 1; failed == CJ_ERR_SHAPE && size <= 1024; size *= 2) {
        for (int i = 0; i < g->dims.count; i++)
            symbols[i] = g->dims.items[i].kind != CJ__EXPR_NAME ? -1 : -1 - i == batch ? 1 : size;
        failed = cj__dims_evaluate(g->cj, g, symbols);
    }
    return failed;
}

/* What an operator multiplies is its row's to tell. Counted are the calls that the model's outputs
 * need: all, those of a layer, or one. */
static cj_status count_multiply_adds(cj_model *m, const char *layer, const cj_call *only,
                                     int64_t *sum)
{
    const cj_graph *g = m->graph;
    size_t marks_size = (size_t)g->n_calls + 1,
           symbols_size = ((size_t)g->dims.count + 1) * sizeof(int64_t);
    unsigned char *marks = cj__alloc(m->cj, marks_size);
    int64_t *symbols = cj__alloc(m->cj, symbols_size);
    cj_status failed = marks && symbols ? CJ_OK : CJ_ERR_MEMORY;
    if (!failed) failed = smallest_sizes(g, symbols);
    for (int i = 0; !failed && i < g->outputs.count; i++)
        cj__graph_mark(g, &g->outputs.items[i].node, 1, marks);
    double all = 0;
    for (int i = 0; !failed && i < g->n_calls; i++) {
        const cj_call *call = g->calls[i];
        double one = 0;
        bool counts = layer ? call->layer && !strcmp(call->layer, layer) : !only || call == only;
        if (marks[i] && counts) failed = cj__call_multiply_adds(call, symbols, &one);
        if (!failed && !((all += one) < 0x1p63))
            failed = cj_fail(m->cj, CJ_ERR_LIMIT, "the model has more than 2^63 multiply-adds");
    }
    *sum = failed ? 0 : (int64_t)all;
    cj__free(m->cj, marks, marks_size);
    cj__free(m->cj, symbols, symbols_size);
    return failed;
}

int64_t cj__model_multiply_adds(cj_model *m, const char *layer, const cj_call *only)
{
    int64_t sum;
    return count_multiply_adds(m, layer, only, &sum) ? 0 : sum;
}

static int64_t elements(const cj_node *node)
{
    int64_t count = 1;
    for (int i = 0; i < node->type.rank; i++)
        count *= node->type.dim[i]; /* of a tensor that exists */
    return count;
}

cj_status cj_model_count(cj_model *m, cj_model_counts *counts)
{
    *counts = (cj_model_counts){0};
    if (!m) return CJ_ERR_ARGUMENT;
    CJ__TRY(m->graph->failed);
    const cj_graph *g = m->graph;
    const cj__layers *layers = g->layers;
    for (int i = 0; i < g->parameters.count; i++)
        counts->trainable += elements(g->parameters.items[i].node);
    for (int i = 0; i < g->variables.count; i++) {
        const cj_node *v = g->variables.items[i].node;
        /* Random numbers' key, integers, is none. */
        if (cj_dtype_info(v->type.dtype)->kind == CJ_KIND_FLOAT) counts->parameters += elements(v);
    }
    counts->layers = layers->count;
    return count_multiply_adds(m, NULL, NULL, &counts->multiply_adds);
}
