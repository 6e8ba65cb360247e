/* random.c: random numbers of ONNX's operators, and dropout that drops.
 *
 * ONNX does not say which numbers a seed gives. Ours are a function of (key, stream, place): a node
 * with a seed has a key of its own, so equal seeds give equal numbers; others share the graph's key
 * (cj_random_key) and have streams of their own. */
#include <string.h>

#include "format/onnx/map.h"
#include "format/onnx/tensor.h"

/* In the model's graph, not in a body of its own, which has no place for the graph's key. */
static bool in_main_graph(const cj__onnx_reader *r)
{
    const cj__onnx_level *level = r->level;
    while (level->open && level->outer) level = level->outer;
    return !level->outer;
}

/* seed is an int or a float; its bits count. */
static cj_node *key_of(cj__onnx_reader *r, int64_t *stream)
{
    const cj__onnx_attribute *a = cj__onnx_find_attribute(r->node, "seed");
    int64_t words[3] = {0}, n = 3;
    *stream = a ? 0 : -1;
    if (!a && in_main_graph(r)) return cj_random_key(r->g);
    if (a && a->type == CJ__ONNX_ATTR_INT) words[0] = a->as.i;
    else if (a && a->type == CJ__ONNX_ATTR_FLOAT) memcpy(words, &a->as.f, sizeof(a->as.f));
    else if (a) cj__onnx_fail(r, CJ_ERR_DATA, "its seed is no number");
    cj_tensor *t = r->failed ? NULL : cj_tensor_from(r->cj, CJ_I64, 1, &n, words);
    cj_node *key = t ? cj_constant(r->g, t) : NULL;
    if (!t) cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
    cj_tensor_free(t);
    return key;
}

static cj_node *random_of(cj__onnx_reader *r, bool normal, cj_dtype dtype, int rank,
                          const cj_dim *dims)
{
    int64_t stream;
    cj_node *key = key_of(r, &stream);
    return normal ? cj_random_normal(key, dtype, stream, rank, dims)
                  : cj_random_uniform(key, dtype, stream, rank, dims);
}

/* The attribute, or what is there without it; CJ_DTYPE_NONE with a failure. */
static cj_dtype dtype_of(cj__onnx_reader *r, cj_dtype initial)
{
    if (!cj__onnx_has_attribute(r, "dtype")) return initial;
    int64_t code = cj__onnx_get_int(r, "dtype", 0);
    cj_dtype dtype = cj__onnx_type_dtype(code);
    if (dtype == CJ_DTYPE_NONE)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "dtype %s", cj__onnx_type_name(code));
    return dtype;
}

/* RandomNormal, RandomUniform: of the attribute `shape`; ...Like: of the operand's. */
static void read_random(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const bool normal = !strncmp(row->onnx, "RandomNormal", 12);
    double low = cj__onnx_get_float(r, "low", 0), high = cj__onnx_get_float(r, "high", 1),
           mean = cj__onnx_get_float(r, "mean", 0), scale = cj__onnx_get_float(r, "scale", 1);
    cj_type type = {.dtype = CJ_F32};
    if (strstr(row->onnx, "Like")) {
        cj_node *like = cj__onnx_node_in(r, 0);
        if (like) type = like->type;
    } else if ((type.rank = cj__onnx_get_ints(r, "shape", CJ_RANK_MAX, type.dim)) < 0) {
        cj__onnx_fail(r, CJ_ERR_DATA, "it has no shape");
    }
    type.dtype = dtype_of(r, type.dtype);
    if (r->failed) return;
    cj_node *y = random_of(r, normal, type.dtype, type.rank, type.dim);
    cj__onnx_set(r, 0, cj_shift(cj_scale(y, normal ? scale : high - low), normal ? mean : low));
}

/* 1 with probability x. */
static void read_bernoulli(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    cj_dtype dtype = x ? dtype_of(r, x->type.dtype) : CJ_DTYPE_NONE;
    (void)row;
    if (!dtype) return;
    cj_node *u = random_of(r, false, x->type.dtype, x->type.rank, x->type.dim);
    cj__onnx_set(r, 0, cj_cast(cj_less(u, x), dtype));
}

/* Classes drawn with probabilities softmax(x): the largest of x - ln(-ln u) is such a class (Gumbel
 * 1954). */
static void read_multinomial(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    cj_dim n = cj__onnx_get_int(r, "sample_size", 1);
    cj_dtype dtype = dtype_of(r, CJ_I32);
    (void)row;
    if (!x || r->failed) return;
    if (x->type.rank != 2 || n < 0) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "sample_size=%lld of an operand of rank %d, expected 2",
                      (long long)n, x->type.rank);
        return;
    }
    cj_node *u = random_of(r, false, CJ_F64, 3,
                                 (cj_dim[]){x->type.dim[0], n, x->type.dim[1]});
    cj_node *score = cj_sub(cj_expand_dims(cj_cast(x, CJ_F64), 1), cj_log(cj_neg(cj_log(u))));
    cj__onnx_set(r, 0, cj_cast(cj_argmax(score, 2, false), dtype));
}

/* ---- Dropout --------------------------------------------------------------------------------- */

/* Of a file that says training_mode: what it drops is dropped whenever it runs. */
static void drop(cj__onnx_reader *r, cj_node *x, double rate)
{
    cj_node *u = random_of(r, false, CJ_F32, x->type.rank, x->type.dim),
            *kept = cj_greater_equal(u, cj_scalar(r->g, CJ_F32, rate));
    if (!kept) return;
    cj__onnx_set(r, 0, cj_where(kept, cj_scale(x, 1 / (1 - rate)), cj_full_like(x, 0)));
    if (cj__onnx_wants(r, 1)) cj__onnx_set(r, 1, kept);
}

/* ONNX's Dropout without its third operand does nothing, and keeps the rate for who trains on. */
static void write_dropout(cj__onnx_writer *w, const cj__onnx_row *row)
{
    (void)row;
    if (w->call->in[2]->call->op != &cj_op_training) {
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED,
                        "ONNX has no dropout whose mask is a function of a key");
        return;
    }
    const char *rate = cj__onnx_scalar(w, CJ_F32,
                                       *(const double *)cj__onnx_field(w->call, "rate"));
    cj__onnx_last(w, "Dropout", cj__onnx_in(w, 0), rate, NULL);
}

/* Before opset 7 dropping was the default (is_test=0), which nobody meant who ran the file. The
 * mask has x's type before opset 10. */
static void read_dropout(cj__onnx_reader *r, const cj__onnx_row *row)
{
    double rate = cj__onnx_get_float(r, "ratio", 0.5), training = 0;
    cj_node *x = cj__onnx_node_in(r, 0);
    (void)row;
    if (r->opset >= 12 && cj__onnx_has(r, 1) && !cj__onnx_number_in(r, 1, "ratio", &rate)) return;
    if (cj__onnx_has(r, 2) && !cj__onnx_number_in(r, 2, "training_mode", &training)) return;
    if (!x) return;
    if (training && !(rate >= 0 && rate < 1)) {
        cj__onnx_fail(r, CJ_ERR_DATA, "ratio=%g is not in [0, 1)", rate);
        return;
    }
    if (training && rate > 0) {
        drop(r, x, rate);
        return;
    }
    cj__onnx_set(r, 0,
                 !in_main_graph(r) || rate <= 0 || rate >= 1 ? cj_identity(x)
                                                             : cj_dropout_node(x, rate));
    cj_dtype mask = r->opset < 10 ? x->type.dtype : CJ_BOOL;
    if (cj__onnx_wants(r, 1))
        cj__onnx_set(r, 1, cj_broadcast_to(cj_scalar(r->g, mask, 1), x->type.rank, x->type.dim));
}

const cj__onnx_row cj__onnx_rows_random[] = {
    {.onnx = "RandomNormal", .read = read_random},
    {.onnx = "RandomUniform", .read = read_random},
    {.onnx = "RandomNormalLike", .read = read_random},
    {.onnx = "RandomUniformLike", .read = read_random},
    {.onnx = "Bernoulli", .read = read_bernoulli},
    {.onnx = "Multinomial", .read = read_multinomial},
    {.onnx = "Dropout", .op = &cj_op_dropout, .write = write_dropout, .read = read_dropout},
    {0},
};
