/* zoo.c: how a network of the zoo is built by its row, and the short forms they are written with.
 *
 * While a network is built its name stands in front of what fails: "vgg16: features.0: ...". */
#include "nn/zoo/zoo.h"

#include "base/registry.h"

#include <stdarg.h>
#include <string.h>

/* ---- Rows ------------------------------------------------------------------------------------ */

static const cj_option no_options[] = {CJ_OPTION_END};

static cj_status write_down(cj_graph *g, const cj__network_record *record)
{
    cj__layers *layers = cj__layers_of(g);
    if (layers->n_networks == layers->networks_capacity) {
        const int capacity = layers->networks_capacity ? 2 * layers->networks_capacity : 4;
        cj__network_record *more = cj__realloc(g->cj, layers->networks,
                                               (size_t)layers->networks_capacity * sizeof *more,
                                               (size_t)capacity * sizeof *more);
        if (!more) return cj__graph_fail(g, record->row->name, CJ_ERR_MEMORY, "out of memory");
        layers->networks = more;
        layers->networks_capacity = capacity;
    }
    layers->networks[layers->n_networks++] = *record;
    return CJ_OK;
}

cj_node *cj__network_add(cj_node *x, const cj_network *row, const void *options)
{
    cj_graph *g = x->call->graph;
    cj__layers *layers = g->failed ? NULL : cj__layers_of(g);
    if (!layers) return NULL;
    const char *where = g->where;
    cj__network_record record = {row, options, x, NULL, layers->count, 0};
    const int networks = layers->n_networks;
    cj_status failed = cj__options_check(g->cj, row->name, row->options ? row->options : no_options,
                                         options);
    if (failed) return cj_graph_fail(g, failed, "%s", cj_message(g->cj));
    g->where = where ? cj__arena_printf(&g->arena, "%s: %s", where, row->name) : row->name;
    if (!g->where) return cj__graph_fail(g, row->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    cj_node *y = row->build(x, options);
    if (!g->failed && (!y || cj__is_zero(y) || cj_node_graph(y) != g))
        cj_graph_fail(g, CJ_ERR_STATE, "the network's builder gave no node of its graph");
    g->where = where;
    record.y = y;
    record.count = layers->count - record.first;
    layers->n_networks = networks; /* those inside are part of this one */
    return g->failed || write_down(g, &record) ? NULL : y;
}

cj_node *cj__zoo_keywords(cj_node *x, const cj_network *row, const cj_zoo_opts *opts)
{
    if (!x || cj__is_zero(x) || x->call->graph->failed) return NULL;
    cj_graph *g = x->call->graph;
    cj_zoo_opts given = {0}, *complete = cj__arena_alloc(&g->arena, sizeof *complete);
    if (!cj__graph_opts(g, row->name, &given, sizeof given, opts)) return NULL;
    cj__options_default(row->options, &given);
    if (!complete || cj__options_copy(&g->arena, row->options, complete, &given))
        return cj__graph_fail(g, row->name, CJ_ERR_MEMORY, "out of memory"), NULL;
    return cj__network_add(x, row, complete);
}

cj_node *cj_network_apply(cj_node *x, const char *network)
{
    if (!x || cj__is_zero(x) || x->call->graph->failed) return NULL;
    cj_graph *g = x->call->graph;
    cj__named named;
    cj_status failed = cj__named_parse(&g->arena, g->cj, CJ__ROW_NETWORK, network, &named);
    if (failed) return cj_graph_fail(g, failed, "%s", cj_message(g->cj));
    return cj__network_add(x, named.row, named.options);
}

/* ---- Places ---------------------------------------------------------------------------------- */

cj__zoo cj__zoo_at(const char *name)
{
    cj__zoo at = {""};
    if (name && *name) cj__format(at.prefix, sizeof at.prefix, "%s.", name);
    return at;
}

cj__zoo cj__zoo_in(const cj__zoo *outer, const char *format, ...)
{
    cj__zoo at = *outer;
    const size_t length = strlen(at.prefix);
    va_list args;
    va_start(args, format);
    cj__vformat(at.prefix + length, sizeof at.prefix - length, format, args);
    va_end(args);
    const size_t end = strlen(at.prefix);
    if (end + 1 < sizeof at.prefix) memcpy(at.prefix + end, ".", 2);
    return at;
}

/* A layer's name, which is copied where the layer is made. One that is too long is refused there.
 */
typedef struct full_name {
    char text[160];
} full_name;

static full_name name_of(const cj__zoo *at, const char *name)
{
    full_name full;
    cj__format(full.text, sizeof full.text, "%s%s", at->prefix, name);
    return full;
}

/* The same for calls from number `first` on. */
static cj_node *here(const cj__zoo *at, const char *name, int first, cj_node *y)
{
    const cj__zoo place = name ? cj__zoo_in(at, "%s", name) : *at;
    const int length = (int)strlen(place.prefix) - 1; /* without the last point */
    if (!y || cj__is_zero(y) || length < 1) return y;
    cj_graph *g = y->call->graph;
    for (int id = first; id <= y->call->id; id++)
        if (!g->calls[id]->layer)
            g->calls[id]->layer = cj__arena_printf(&g->arena, "%.*s/%s", length, place.prefix,
                                                   g->calls[id]->op->name);
    return y;
}

cj_node *cj__zoo_here(const cj__zoo *at, const char *name, const cj_node *x, cj_node *y)
{
    return x ? here(at, name, x->call->id + 1, y) : y;
}

/* How many calls there are before the next one. */
static int calls_of(const cj_node *x) { return x ? x->call->graph->n_calls : 0; }

/* ---- Layers ---------------------------------------------------------------------------------- */

cj_node *cj__zoo_conv(const cj__zoo *at, const char *name, cj_node *x, cj_conv2d_opts o)
{
    const full_name full = name_of(at, name);
    o.struct_size = sizeof o;
    o.name = full.text;
    if (!o.kernel_initializer) o.kernel_initializer = "he_normal";
    return (cj_conv2d)(x, &o);
}

cj_node *cj__zoo_rise(const cj__zoo *at, const char *name, cj_node *x, cj_conv2d_transpose_opts o)
{
    const full_name full = name_of(at, name);
    o.struct_size = sizeof o;
    o.name = full.text;
    if (!o.kernel_initializer) o.kernel_initializer = "he_normal";
    return (cj_conv2d_transpose)(x, &o);
}

cj_node *cj__zoo_norm(const cj__zoo *at, const char *name, cj_node *x, double epsilon)
{
    const full_name full = name_of(at, name);
    return (cj_batch_normalization)(x, &(cj_batch_normalization_opts){
                                           .struct_size = sizeof(cj_batch_normalization_opts),
                                           .momentum = 0.9,
                                           .epsilon = epsilon,
                                           .name = full.text});
}

cj_node *cj__zoo_layer_norm(const cj__zoo *at, const char *name, cj_node *x, double epsilon)
{
    const full_name full = name_of(at, name);
    return (cj_group_normalization)(x, &(cj_group_normalization_opts){
                                           .struct_size = sizeof(cj_group_normalization_opts),
                                           .groups = 1,
                                           .epsilon = epsilon,
                                           .name = full.text});
}

cj_node *cj__zoo_instance_norm(const cj__zoo *at, const char *name, cj_node *x, double epsilon)
{
    const full_name full = name_of(at, name);
    return (cj_instance_normalization)(x, &(cj_instance_normalization_opts){
                                              .struct_size = sizeof(cj_instance_normalization_opts),
                                              .epsilon = epsilon,
                                              .name = full.text});
}

cj_node *cj__zoo_embedding(const cj__zoo *at, const char *name, cj_node *x, int64_t rows,
                           int64_t width)
{
    const full_name full = name_of(at, name);
    return (cj_embedding)(x, &(cj_embedding_opts){.struct_size = sizeof(cj_embedding_opts),
                                                  .input_dim = rows,
                                                  .output_dim = width,
                                                  .name = full.text});
}

cj_node *cj__zoo_dense(const cj__zoo *at, const char *name, cj_node *x, int64_t units,
                       const char *activation)
{
    const full_name full = name_of(at, name);
    return (cj_dense)(x, &(cj_dense_opts){.struct_size = sizeof(cj_dense_opts),
                                          .units = units,
                                          .activation = activation,
                                          .name = full.text});
}

cj_node *cj__zoo_sampling(const cj__zoo *at, const char *name, cj_node *mean, cj_node *log_var,
                          double weight)
{
    const full_name full = name_of(at, name);
    return (cj_sampling)(mean, log_var, &(cj_sampling_opts){.struct_size = sizeof(cj_sampling_opts),
                                                            .weight = weight,
                                                            .name = full.text});
}

int64_t cj__zoo_widened(int64_t channels, const cj_zoo_opts *o)
{
    const double wide = (double)channels * o->width + 0.5;
    return wide < 1 ? 1 : (int64_t)wide;
}

static cj_pool_opts pool_of(cj__zoo_window w)
{
    return (cj_pool_opts){.struct_size = sizeof(cj_pool_opts),
                          .kernel = {w.size},
                          .strides = {w.stride},
                          .pads_before = {w.pads, w.pads},
                          .pads_after = {w.pads, w.pads},
                          .ceil_mode = w.ceil_mode,
                          .count_include_pad = true};
}

cj_node *cj__zoo_max_pool(const cj__zoo *at, const char *name, cj_node *x, cj__zoo_window w)
{
    const cj_pool_opts o = pool_of(w);
    const int first = calls_of(x);
    return here(at, name, first, (cj_max_pool)(x, &o));
}

cj_node *cj__zoo_mean_pool(const cj__zoo *at, const char *name, cj_node *x, cj__zoo_window w)
{
    const cj_pool_opts o = pool_of(w);
    const int first = calls_of(x);
    return here(at, name, first, (cj_avg_pool)(x, &o));
}

cj_node *cj__zoo_adaptive_pool(const cj__zoo *at, cj_node *x, int64_t size)
{
    const cj_pool_opts o = {.struct_size = sizeof o, .sizes = {size, size}};
    const int first = calls_of(x);
    return here(at, "avgpool", first, (cj_adaptive_avg_pool)(x, &o));
}

cj_node *cj__zoo_dropout(cj_node *x, double rate)
{
    return (cj_dropout)(x, &(cj_dropout_opts){.struct_size = sizeof(cj_dropout_opts),
                                              .rate = rate});
}

cj_node *cj__zoo_means(const cj__zoo *at, cj_node *x)
{
    return cj__zoo_here(at, "avgpool", x, (cj_global_avg_pool)(x, -1, false));
}

cj_node *cj__zoo_top(const cj__zoo *at, const char *name, cj_node *x, const cj_zoo_opts *o)
{
    return o->no_top ? x : cj__zoo_dense(at, name, x, o->classes, o->activation);
}

void cj__zoo_auxiliary(const cj__zoo *at, const char *name, cj_node *x, double weight)
{
    const full_name full = name_of(at, name);
    if (x) cj__auxiliary_add(x->call->graph, full.text, x, weight);
}

int64_t cj__zoo_size(const cj_node *x, int axis) { return x ? cj_node_dim(x, axis) : 1; }
int64_t cj__zoo_channels(const cj_node *x) { return cj__zoo_size(x, -1); }
