/* layer_kernel.c: kernels that are normalised before they are used.
 *
 *     weight    w = g v / |v|, a length g for each output (Salimans and Kingma 2016); g begins as
 * |v| spectral  w = k / sigma, sigma the largest singular value of the kernel as a matrix M
 *               [outputs, the rest] (Miyato et al. 2018)
 *
 * sigma is found by one step of the power method in each training step, from the vector u that the
 * layer keeps:  v = M'u / |M'u|,  u = M v / |M v|,  sigma = u'M v,  where the gradient goes through
 * M alone. */
#include "nn/model.h"

#include <math.h>
#include <string.h>

/* The kernel as a matrix with its outputs first. */
static cj_node *matrix_of(cj_node *kernel, int axis)
{
    int64_t p[CJ_RANK_MAX];
    int rank = cj_node_rank(kernel), n = 0;
    p[n++] = axis;
    for (int i = 0; i < rank; i++)
        if (i != axis) p[n++] = i;
    cj_node *first = axis ? cj_transpose(kernel, p) : kernel;
    return cj_reshape(first, 2, (cj_dim[]){cj_node_dim(kernel, axis), CJ_INFER});
}

static cj_node *unit(cj_node *v)
{
    return cj_mul(v, cj_rsqrt(cj_shift(cj_sum(cj_square(v)), 1e-12)));
}

/* "layer/kernel" -> "kernel_u": a state or parameter of the same layer. */
static const char *beside(cj_layer_build *b, const cj_node *kernel, const char *suffix)
{
    const char *name = kernel->name ? strrchr(kernel->name, '/') : NULL;
    name = cj__arena_printf(&b->graph->arena, "%s_%s", name ? name + 1 : "kernel", suffix);
    if (!name) cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory");
    return name;
}

/* Where the power method begins: numbers without a pattern, so that the singular vector has a part
 * in them. */
static void fill_start(cj_tensor *u)
{
    void *data = cj_tensor_map(u, CJ_MAP_WRITE);
    for (int64_t i = 0; data && i < cj_tensor_count(u); i++)
        cj_store_f64(cj_tensor_dtype(u), data, (size_t)i, sin(1 + 2.399963 * (double)i));
    cj_tensor_unmap(u);
}

static cj_node *spectral(cj_layer_build *b, cj_node *kernel, int axis)
{
    int64_t outputs = cj_node_dim(kernel, axis);
    const char *name = beside(b, kernel, "u");
    cj_node *state = name ? cj_layer_state(b, name, 1, &outputs, 0) : NULL;
    if (!state) return NULL;
    fill_start(cj_store_get(cj_graph_store(b->graph), state->name));
    cj_node *m = matrix_of(kernel, axis), *fixed = cj_stop_gradient(m);
    cj_node *v = unit(cj_matmul(state, fixed)), *u = unit(cj_matmul(fixed, v));
    cj_layer_update(b, state, u);
    return cj_div(kernel, cj_sum(cj_mul(cj_matmul(m, v), u)));
}

/* |v| of each output, from the first values. */
static void fill_lengths(cj_tensor *g, cj_tensor *v, int axis)
{
    int64_t outputs = cj_tensor_count(g), after = 1;
    for (int i = axis + 1; i < cj_tensor_rank(v); i++) after *= cj_tensor_shape(v)[i];
    const void *from = cj_tensor_map_read(v);
    void *to = cj_tensor_map(g, CJ_MAP_WRITE);
    for (int64_t k = 0; from && to && k < outputs; k++) {
        double sum = 0;
        for (int64_t i = 0; i < cj_tensor_count(v); i++) {
            double x = cj_load_f64(cj_tensor_dtype(v), from, (size_t)i);
            if (i / after % outputs == k) sum += x * x;
        }
        cj_store_f64(cj_tensor_dtype(g), to, (size_t)k, sqrt(sum));
    }
    cj_tensor_unmap(g);
    cj_tensor_unmap(v);
}

static cj_node *weight(cj_layer_build *b, cj_node *kernel, int axis)
{
    int64_t outputs = cj_node_dim(kernel, axis), axes[CJ_RANK_MAX];
    int n = 0, rank = cj_node_rank(kernel);
    const char *name = beside(b, kernel, "length");
    cj_node *g = name ? cj_layer_parameter(b, name, 1, &outputs, "ones", 0, 0, NULL) : NULL;
    if (!g) return NULL;
    cj_store *store = cj_graph_store(b->graph);
    fill_lengths(cj_store_get(store, g->name), cj_store_get(store, kernel->name), axis);
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) {
        dims[i] = i == axis ? outputs : 1;
        if (i != axis) axes[n++] = i;
    }
    cj_node *squares = cj_square(kernel);
    if (n) squares = cj_reduce_sum(squares, n, axes, true);
    cj_node *factor = cj_mul(cj_reshape(g, rank, dims), cj_rsqrt(cj_shift(squares, 1e-12)));
    return cj_mul(kernel, factor);
}

cj_node *cj__layer_normalized(cj_layer_build *b, cj_node *kernel, int axis, const char *how)
{
    if (!kernel || !how || !*how) return kernel;
    if (!strcmp(how, "spectral")) return spectral(b, kernel, axis);
    if (!strcmp(how, "weight")) return weight(b, kernel, axis);
    return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                          "kernel_normalization='%.50s' is neither spectral nor weight", how),
           NULL;
}
