/* layers_wrap.c: layers made of other layers, which are given as text, one after another:
 *
 *     residual [conv2d 16 3 relu padding=same, conv2d 16 3 padding=same] relu
 *     time_distributed [conv2d 8 3, flatten, dense 4]
 *
 * The inner layers keep names of their own ("conv2d_1/kernel"), as if they stood in the model
 * itself; summary and text show the outer one. */
#include "nn/model.h"

#include <cajal/layers.h>

#include <string.h>

static bool is_given(cj_layer_build *b, const char *option, const char *text)
{
    if (text && *text) return true;
    cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "%s is required: [dense 8, dropout 0.5]",
                   option);
    return false;
}

/* ---- residual -------------------------------------------------------------------------------- */

static const cj_option residual_options[] = {
    CJ_OPTION_STRING(cj_residual_opts, layers, NULL, "one after another: [dense 8 relu, dense 8]"),
    CJ_OPTION_STRING(cj_residual_opts, activation, NULL, "function of the sum"),
    CJ_OPTION_STRING(cj_residual_opts, shortcut, NULL,
                     "layers of the way around them; none: x itself"),
    CJ_OPTION_STRING(cj_residual_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static void shape_text(cj__text *out, cj_node *x)
{
    for (int i = 0; i < cj_node_rank(x); i++)
        cj__text_format(out, "%s%s", i ? ", " : "[", cj_dim_text(x->call->graph, x->type.dim[i]));
    cj__text_char(out, ']');
}

/* Both ways are to be of one shape: an addition would broadcast and hide a mistake. */
static bool agree(cj_layer_build *b, cj_node *y, cj_node *around)
{
    const size_t size = (size_t)cj_node_rank(y) * sizeof *y->type.dim;
    if (cj_node_rank(y) == cj_node_rank(around) && !memcmp(y->type.dim, around->type.dim, size))
        return true;
    cj__text text;
    cj__text_init(&text, b->graph->cj);
    shape_text(&text, y);
    cj__text_add(&text, ", the way around them ");
    shape_text(&text, around);
    cj__graph_fail(b->graph, b->name, text.failed ? text.failed : CJ_ERR_SHAPE,
                   "its layers give %s; one shape is expected (shortcut=[...] changes it)",
                   cj__text_string(&text));
    cj__text_release(&text);
    return false;
}

static cj_node *residual_build(cj_layer_build *b)
{
    const cj_residual_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]), *around = x;
    if (!is_given(b, "layers", o->layers)) return NULL;
    cj_node *y = cj__layers_follow(b, x, "layers", o->layers);
    if (o->shortcut && *o->shortcut) around = cj__layers_follow(b, x, "shortcut", o->shortcut);
    if (!y || !around || !agree(b, y, around)) return NULL;
    cj_layer_build sum = {.graph = b->graph, .x = (cj_node *[]){y, around}, .n = 2};
    b->mask = cj__mask_merged(&sum);
    return cj__layer_activate(b, cj_add(y, around), o->activation);
}
CJ__LAYER_WITH_MASKS(residual, "y = activation(layers(x) + shortcut(x)) (He et al. 2015)",
                     residual_build,
                     "layers=[dense 3 tanh, layer_normalization, dense 4], "
                     "shortcut=[dense 4, dropout 0.5], activation=tanh : 3",
                     CJ_MASK_READS)

/* ---- time_distributed ------------------------------------------------------------------------ */

static const cj_option time_distributed_options[] = {
    CJ_OPTION_STRING(cj_time_distributed_opts, layer, NULL,
                     "one layer, or several one after another: [flatten, dense 8]"),
    CJ_OPTION_STRING(cj_time_distributed_opts, name, NULL, "of the layer"), CJ_OPTION_END};

/* Steps as if each were a sample: [batch, steps, ...] -> [batch steps, ...]. Random numbers are of
 * a sample, so those of a step are counted from the sample's first one on. */
cj_node *cj__each_step(const char *name, cj_node *x, cj_node *(*layers)(void *arg, cj_node *x),
                       void *arg)
{
    cj_graph *g = cj_node_graph(x);
    const int rank = cj_node_rank(x);
    if (rank < 3)
        return cj__graph_fail(g, name, CJ_ERR_SHAPE,
                              "its input is of rank %d; [batch, steps, ...] is expected", rank),
               NULL;
    const cj_dim batch = x->type.dim[0], steps = x->type.dim[1], all = cj_dim_mul(g, batch, steps);
    const cj_dim outer = g->rows_per_sample;
    cj_dim dims[CJ_RANK_MAX + 1] = {all};
    memcpy(dims + 1, x->type.dim + 2, (size_t)(rank - 2) * sizeof *dims);
    x = cj_reshape(x, rank - 1, dims);
    g->rows_per_sample = outer ? cj_dim_mul(g, outer, steps) : steps;
    cj_node *y = layers(arg, x);
    g->rows_per_sample = outer;
    if (!y) return NULL;
    if (y->type.dim[0] != all || y->type.rank >= CJ_RANK_MAX)
        return cj__graph_fail(g, name, CJ_ERR_SHAPE,
                              "its layers give %s results of rank %d for %s steps",
                              cj_dim_text(g, y->type.dim[0]), y->type.rank, cj_dim_text(g, all)),
               NULL;
    dims[0] = batch, dims[1] = steps;
    memcpy(dims + 2, y->type.dim + 1, (size_t)(y->type.rank - 1) * sizeof *dims);
    return cj_reshape(y, y->type.rank + 1, dims);
}

static cj_node *follow(void *arg, cj_node *x)
{
    cj_layer_build *b = arg;
    return cj__layers_follow(b, x, "layer", ((const cj_time_distributed_opts *)b->options)->layer);
}

static cj_node *time_distributed_build(cj_layer_build *b)
{
    const cj_time_distributed_opts *o = b->options;
    return is_given(b, "layer", o->layer) ? cj__each_step(b->name, b->x[0], follow, b) : NULL;
}
CJ__LAYER_WITH_MASKS(time_distributed, "the same layer for each step of [batch, steps, ...]",
                     time_distributed_build,
                     "layer=[conv1d 3 2, activation tanh, flatten, dense 4] : 3, 4, 2",
                     CJ_MASK_PASSES)
