/* sample.c: operands for the generic tests of operators.
 *
 * Element e of operand k is a function of (seed, k, e), so that a failure can be repeated and the
 * same sample made again in another dtype. Operands are variables named "s0", "s1" ...: a test
 * changes their values in the graph's store, which is how central differences are taken. */
#include <math.h>

#include "base/random.h"
#include "graph/sample.h"
#include "tensor/tensor.h"

void cj__sampler_init(cj_sampler *s, cj_graph *graph, uint64_t seed)
{
    *s = (cj_sampler){.graph = graph, .seed = seed, .dtype = CJ_F64, .precision = CJ_F64};
}

cj_graph *cj_sampler_graph(cj_sampler *s)
{
    return s->graph;
}

/* The tensor an operand is made from; NULL with a failed graph. */
static cj_tensor *new_tensor(cj_sampler *s, cj_dtype dtype, int rank, const int64_t *dims)
{
    cj_context *cj = cj_graph_context(s->graph);
    if (cj_graph_failed(s->graph)) return NULL;
    if (s->count == CJ__SAMPLES_MADE_MAX) {
        cj__graph_fail(s->graph, "sample", CJ_ERR_LIMIT, "more than %d operands in one sample",
                       CJ__SAMPLES_MADE_MAX);
        return NULL;
    }
    cj_tensor *t = cj_tensor_new(cj, dtype, rank, dims);
    if (!t)
        cj__graph_fail(s->graph, "sample", cj_last_status(cj), "no tensor for operand %d",
                       s->count);
    return t;
}

static cj_node *finish(cj_sampler *s, cj_tensor *t, bool differentiable)
{
    char name[16];
    cj__format(name, sizeof(name), "s%d", s->count);
    cj_node *node = cj_variable(s->graph, name, t);
    cj_tensor_free(t);
    if (node) s->made[s->count++] = (cj__sample_made){node, differentiable};
    return node;
}

/* Draw number `attempt` for element i of the operand now being made, in [0, 1) with 53 bits. */
static double unit(const cj_sampler *s, int64_t i, uint32_t attempt)
{
    cj__random_key key = {s->seed, (uint32_t)s->count, attempt, 0};
    uint32_t high = cj__random_u32(key, (uint32_t)(2 * i)),
             low = cj__random_u32(key, (uint32_t)(2 * i + 1));
    return (double)((uint64_t)high << 21 | low >> 11) * 0x1p-53;
}

static void put(const cj_sampler *s, cj_tensor *t, int64_t i, double value)
{
    unsigned char rounded[8];
    cj_store_f64(s->precision, rounded, 0, value);
    cj_store_f64(t->dtype, cj__tensor_data(t), (size_t)i, cj_load_f64(s->precision, rounded, 0));
}

cj_node *cj_sample_real(cj_sampler *s, double low, double high, int rank, const int64_t *dims)
{
    cj_tensor *t = new_tensor(s, s->dtype, rank, dims);
    if (!t) return NULL;
    for (int64_t i = 0; i < t->count; i++) put(s, t, i, low + (high - low) * unit(s, i, 0));
    return finish(s, t, true);
}

cj_node *cj_sample_away(cj_sampler *s, double low, double high, double kinks, double gap, int rank,
                        const int64_t *dims)
{
    enum { ATTEMPTS = 64 };
    cj_tensor *t = new_tensor(s, s->dtype, rank, dims);
    if (!t) return NULL;
    for (int64_t i = 0; i < t->count; i++) {
        double value = low, nearest = 0;
        for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
            value = low + (high - low) * unit(s, i, attempt);
            nearest = kinks * nearbyint(value / kinks);
            if (fabs(value - nearest) >= gap) break;
        }
        if (fabs(value - nearest) < gap) value = nearest + (value < nearest ? -gap : gap);
        put(s, t, i, value);
    }
    return finish(s, t, true);
}

/* Rungs 0.1 apart around zero in random order, each moved by less than 0.05. */
cj_node *cj_sample_distinct(cj_sampler *s, int rank, const int64_t *dims)
{
    cj_context *cj = cj_graph_context(s->graph);
    cj_tensor *t = new_tensor(s, s->dtype, rank, dims);
    if (!t) return NULL;
    size_t bytes = (size_t)t->count * sizeof(int64_t);
    int64_t *rung = cj__alloc(cj, bytes);
    if (bytes && !rung) {
        cj_tensor_free(t);
        cj__graph_fail(s->graph, "sample", cj_last_status(cj), "no memory for operand %d",
                       s->count);
        return NULL;
    }
    for (int64_t i = 0; i < t->count; i++) rung[i] = i;
    cj__random_shuffle(s->seed, (uint32_t)s->count, 1, rung, t->count);
    for (int64_t i = 0; i < t->count; i++)
        put(s, t, i, 0.1 * ((double)rung[i] - 0.5 * (double)t->count) + 0.05 * unit(s, i, 0));
    cj__free(cj, rung, bytes);
    return finish(s, t, true);
}

cj_node *cj_sample_int(cj_sampler *s, cj_dtype dtype, int64_t low, int64_t high, int rank,
                       const int64_t *dims)
{
    cj_tensor *t = new_tensor(s, dtype, rank, dims);
    if (!t) return NULL;
    for (int64_t i = 0; i < t->count; i++) {
        int64_t step = (int64_t)(unit(s, i, 0) * ((double)high - (double)low + 1));
        cj_store_i64(dtype, cj__tensor_data(t), (size_t)i, low + step);
    }
    return finish(s, t, false);
}

cj_node *cj_sample_bool(cj_sampler *s, int rank, const int64_t *dims)
{
    return cj_sample_int(s, CJ_BOOL, 0, 1, rank, dims);
}

bool cj_sample_shape(int i, int *rank, int64_t dims[CJ_RANK_MAX])
{
    static const struct {
        int rank;
        int64_t dim[5];
    } shapes[24] = {
        {0, {0}},       {1, {1}},          {1, {2}},          {1, {3}},
        {1, {7}},       {1, {8}},          {1, {16}},         {1, {33}},
        {1, {0}},       {2, {1, 1}},       {2, {2, 3}},       {2, {3, 1}},
        {2, {1, 4}},    {2, {4, 8}},       {2, {5, 7}},       {2, {0, 3}},
        {2, {3, 0}},    {3, {2, 3, 4}},    {3, {1, 5, 1}},    {3, {2, 0, 2}},
        {3, {3, 2, 5}}, {4, {2, 3, 1, 4}}, {4, {2, 2, 3, 3}}, {5, {2, 1, 3, 2, 2}},
    };
    if (i < 0 || i >= (int)CJ__COUNT(shapes)) return false;
    *rank = shapes[i].rank;
    for (int axis = 0; axis < CJ_RANK_MAX; axis++)
        dims[axis] = axis < *rank ? shapes[i].dim[axis] : 0;
    return true;
}
