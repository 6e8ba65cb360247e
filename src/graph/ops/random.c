/* random.c: random numbers without a generator: each is a function of the key and of its place.
 *
 *     key        {seed, step, index of the first sample}      an i64 vector, operand 0
 *     stream     one number for each random operator of a graph
 *     sample     first + index along axis 0      (a scalar: first)
 *     element    place inside that row
 *
 * So a batch cut in two, with the second half's key moved on, draws the same numbers. */
#include <math.h>

#include "base/random.h"
#include "graph/ops/block.h"

#define KEY_NAME "random/key"
enum { KEY_WORDS = 3, CHUNK = 256 };

static cj_node *key_of(cj_graph *g)
{
    if (!g->random_key) g->random_key = cj_find_variable(g, KEY_NAME);
    if (g->random_key) return g->random_key;
    cj_tensor *zeros = cj_tensor_new(g->cj, CJ_I64, 1, (int64_t[]){KEY_WORDS});
    if (!zeros) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    g->random_key = cj_variable(g, KEY_NAME, zeros);
    cj_tensor_free(zeros);
    return g->random_key;
}

/* Where a sample has several rows (the steps of a sequence, each a sample to the layers inside),
 * its first one is that many times further on. */
cj_node *cj_random_key(cj_graph *g)
{
    if (!g || g->failed) return NULL;
    cj_node *key = key_of(g);
    if (!key || !g->rows_per_sample) return key;
    cj_node *one = cj_scalar(g, CJ_I64, 1);
    return cj_mul(key, cj_stack((cj_node *[]){one, one, cj_dim_value(g, g->rows_per_sample)}, 3,
                                0));
}

cj_status cj__infer_key(cj_infer *infer, int i)
{
    const cj_type *key = &infer->call->in[i]->type;
    if (key->dtype == CJ_I64 && key->rank == 1 && cj_infer_equal(infer, key->dim[0], KEY_WORDS))
        return CJ_OK;
    return cj_infer_fail(infer, CJ_ERR_SHAPE, "operand %d is a key, which is i64[%d]", i,
                         KEY_WORDS);
}

void cj__take_stream(cj_graph *g, int64_t *stream)
{
    if (*stream < 0) *stream = g->next_stream;
    if (*stream >= g->next_stream) g->next_stream = *stream + 1;
}

/* ---- random_uniform, random_normal ----------------------------------------------------------- */

static const cj_option random_options[] = {
    CJ_OPTION_DTYPE(cj__random_attrs, dtype, CJ_F32, "dtype of the result"),
    CJ_OPTION_INT(cj__random_attrs, stream, -1, -1, UINT32_MAX, "its stream; -1: the graph's next"),
    CJ_OPTION_DIMS(cj__random_attrs, dims, "shape of the result"), CJ_OPTION_END};

static cj_status random_infer(cj_infer *infer)
{
    cj__random_attrs *a = infer->call->attributes;
    cj_type *y = &infer->out[0];
    CJ__TRY(cj__infer_key(infer, 0));
    CJ__TRY(cj__infer_dims(infer, a->dims, 0));
    if (a->dtype == CJ_DTYPE_NONE || !cj__is_float(a->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "makes floats, not %s",
                             a->dtype ? cj_dtype_info(a->dtype)->name : "nothing");
    cj__take_stream(infer->graph, &a->stream);
    *y = (cj_type){.dtype = a->dtype, .rank = a->dims.n};
    for (int i = 0; i < y->rank; i++) y->dim[i] = a->dims.v[i];
    return CJ_OK;
}

/* As many leading bits as the dtype holds exactly, so that nothing is rounded up to 1. */
static double unit(cj_dtype dtype, uint32_t word)
{
    if (dtype == CJ_F16) return (word >> 21) * 0x1p-11;
    if (dtype == CJ_BF16) return (word >> 24) * 0x1p-8;
    return cj__random_unit(word);
}

/* Elements first .. first+n-1 of a row, n <= CHUNK; a normal number takes two words. */
static void draw(const cj_array *y, int64_t at, cj__random_key key, int64_t first, int64_t n,
                 bool normal)
{
    uint32_t words[2 * CHUNK];
    cj__random_fill_u32(key, (uint32_t)(normal ? 2 * first : first), words,
                        (size_t)(normal ? 2 * n : n));
    for (int64_t i = 0; i < n; i++)
        cj_store_f64(y->dtype, y->data, (size_t)(at + i),
                     normal ? cj__random_normal(words[2 * i], words[2 * i + 1])
                            : unit(y->dtype, words[i]));
}

static cj_status random_fill(const cj_kernel *k, bool normal)
{
    const cj__random_attrs *a = k->call->attributes;
    const int64_t *key = k->in[0]->data;
    const cj_array *y = k->out[0];
    int64_t rows = y->rank ? y->dim[0] : 1, length = rows ? y->count / rows : 0;
    for (int64_t row = 0; row < rows; row++) {
        cj__random_key counter = {.seed = (uint64_t)key[0],
                                  .stream = (uint32_t)a->stream,
                                  .step = (uint32_t)key[1],
                                  .sample = (uint32_t)((uint64_t)key[2] + (uint64_t)row)};
        for (int64_t i = 0; i < length; i += CHUNK)
            draw(y, row * length + i, counter, i, length - i < CHUNK ? length - i : CHUNK, normal);
    }
    return CJ_OK;
}

static cj_status random_uniform_ref(const cj_kernel *k)
{
    return random_fill(k, false);
}
static cj_status random_normal_ref(const cj_kernel *k)
{
    return random_fill(k, true);
}

static cj_node *sample_random(cj_sampler *s, int i,
                              cj_node *(*build)(cj_node *, cj_dtype, int64_t, int, const cj_dim *))
{
    static const cj_dtype dtypes[] = {CJ_F64, CJ_F32, CJ_F16, CJ_BF16};
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    cj_node *key = cj_sample_int(s, CJ_I64, 0, 1000, 1, (int64_t[]){KEY_WORDS});
    return build(key, dtypes[i % 4], i % 3 - 1, rank, dims);
}

#define RANDOM(op, text) \
    static cj_node *op##_sample(cj_sampler *s, int i) \
    { \
        return sample_random(s, i, cj_##op); \
    } \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = 1, \
        .flags = CJ_OP_STOCHASTIC, \
        .attributes_size = sizeof(cj__random_attrs), \
        .attributes = random_options, \
        .infer = random_infer, \
        .no_gradient = "integer operand", \
        .ref = op##_ref, \
        .sample = CJ__SAMPLE(op##_sample), \
    }; \
    cj_node *cj_##op(cj_node *key, cj_dtype dtype, int64_t stream, int rank, const cj_dim *dims) \
    { \
        if (!key || cj__is_zero(key)) return NULL; \
        cj_graph *g = cj_node_graph(key); \
        cj__random_attrs a = {dtype, stream, {rank, dims}}; \
        if (!g->failed && stream < 0) a.stream = g->next_stream; \
        return cj_apply(g, &cj_op_##op, &key, 1, &a); \
    }

RANDOM(random_uniform, "numbers in [0, 1) from the key, every one as likely")
RANDOM(random_normal,
       "numbers from the key with mean 0 and standard deviation 1, normally distributed")

/* ---- dropout --------------------------------------------------------------------------------- */

struct dropout_attrs {
    double rate;
    int64_t stream;
};

static const cj_option dropout_options[] = {
    CJ_OPTION_FLOAT(struct dropout_attrs, rate, 0.5, 0, 1, "probability of a zero, below 1"),
    CJ_OPTION_INT(struct dropout_attrs, stream, -1, -1, UINT32_MAX,
                  "its stream; -1: the graph's next"),
    CJ_OPTION_END};

static cj_status dropout_infer(cj_infer *infer)
{
    struct dropout_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type, *training = &infer->call->in[2]->type;
    if (!cj__is_float(x->dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "takes floats, not %s",
                             cj_dtype_info(x->dtype)->name);
    CJ__TRY(cj__infer_key(infer, 1));
    if (training->dtype != CJ_BOOL || training->rank)
        return cj_infer_fail(infer, CJ_ERR_TYPE,
                             "operand 2 says whether it is training: a bool scalar");
    if (!(a->rate >= 0 && a->rate < 1))
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "rate=%g is not in [0, 1)", a->rate);
    cj__take_stream(infer->graph, &a->stream);
    return cj_infer_same(infer);
}

/* Kept elements are divided by 1 - rate, so that their expectation stays; the mask is drawn in f32
 * whatever x is, so that the same elements are kept in every dtype. */
static bool dropout_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    const struct dropout_attrs *a = call->attributes;
    cj_node *x = call->in[0], *key = call->in[1], *training = call->in[2];
    cj_node *u = cj_random_uniform(key, CJ_F32, a->stream, x->type.rank, x->type.dim);
    cj_node *kept = cj_greater_equal(u, cj_scalar(g, CJ_F32, a->rate));
    cj_node *scaled = cj_scale(x, 1 / (1 - a->rate));
    out[0] = cj_where(training, cj_where(kept, scaled, cj_full_like(x, 0)), x);
    return out[0] != NULL;
}

static cj_node *dropout_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    cj_node *in[] = {cj_sample_real(s, -2, 2, rank, dims),
                     cj_sample_int(s, CJ_I64, 0, 1000, 1, (int64_t[]){KEY_WORDS}),
                     cj_sample_int(s, CJ_BOOL, i % 4 > 0, 1, 0, NULL)};
    return cj_apply(cj_sampler_graph(s), &cj_op_dropout, in, 3,
                    &(struct dropout_attrs){i % 5 * 0.2, -1});
}

const cj_op cj_op_dropout = {
    .name = "dropout",
    .doc = "in training 0 with probability rate, else x / (1 - rate); otherwise x",
    .inputs = 3,
    .flags = CJ_OP_STOCHASTIC,
    .attributes_size = sizeof(struct dropout_attrs),
    .attributes = dropout_options,
    .infer = dropout_infer,
    .lower = dropout_lower,
    .sample = CJ__SAMPLE(dropout_sample),
};

cj_node *cj_dropout_node(cj_node *x, double rate)
{
    if (!x || cj__is_zero(x)) return x;
    cj_graph *g = cj_node_graph(x);
    if (!(rate >= 0 && rate < 1))
        return cj__graph_fail(g, "dropout", CJ_ERR_ARGUMENT, "rate=%g is not in [0, 1)", rate),
               NULL;
    if (rate == 0) return x;
    cj_node *in[] = {x, cj_random_key(g), cj_training(g)};
    return cj_apply(g, &cj_op_dropout, in, 3, &(struct dropout_attrs){rate, -1});
}
