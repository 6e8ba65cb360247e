/* attention.c: attention, and what belongs to it. Opset 17 has none, so ours is written as what
 * it is made of: MatMul, Softmax's parts, MatMul. Later files may have ONNX's own (Attention, opset
 * 23), whose operands are [N, T, heads * numbers] or [N, heads, T, numbers].
 *
 * LinearAttention is a loop over the positions, CausalConvWithState a convolution. */
#include <math.h>
#include <string.h>

#include "format/onnx/import.h"
#include "format/onnx/tensor.h"
#include "graph/ops/attention.h"
#include "graph/ops/map.h"
#include "graph/ops/norm.h"

#include <cajal/conv.h>
#include <cajal/sequence.h>

/* Files compute; what happens in training alone is left out. */
static void write_attention(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    const cj__attention_places at = cj__attention_places_of(call);
    cj__attention_attrs a = *(const cj__attention_attrs *)call->attributes;
    cj_call plain = *call;
    (void)row;
    if (a.rate > 0) {
        if (call->in[at.training]->call->op != &cj_op_training) {
            cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED,
                            "ONNX has no dropout whose mask is a function of a key");
            return;
        }
        a.rate = 0;
        plain.attributes = &a;
        plain.n_in -= 2; /* key and training are the last ones */
        w->call = &plain;
    }
    cj__onnx_write_lowered(w);
    w->call = call;
}

/* [N, T, heads, numbers] as [N, heads, T, numbers], or the other way. */
static cj_node *turned(cj_node *x)
{
    return cj_transpose(x, (int64_t[]){0, 2, 1, 3});
}

/* Operand i as [N, T, heads, numbers]; heads_name is the attribute that tells heads of rank 3. */
static cj_node *heads_in(cj__onnx_reader *r, size_t i, const char *heads_name)
{
    cj_node *x = cj__onnx_node_in(r, i);
    if (!x) return NULL;
    if (x->type.rank == 4) return turned(x);
    int64_t heads = cj__onnx_get_int(r, heads_name, 0);
    cj_dim last = x->type.rank == 3 ? x->type.dim[2] : 0;
    if (x->type.rank != 3 || heads < 1 || last < 0 || last % heads) {
        cj__onnx_fail(
            r, CJ_ERR_SHAPE,
            "operand %d of rank %d with %s=%lld; [N, T, heads * numbers] or [N, heads, T, "
            "numbers] is expected",
            (int)i, x->type.rank, heads_name, (long long)heads);
        return NULL;
    }
    return cj_reshape(x, 4, (cj_dim[]){x->type.dim[0], x->type.dim[1], heads, last / heads});
}

/* Heads in one axis again: [N, T, heads * numbers]. */
static cj_node *joined(cj_node *y)
{
    if (!y) return NULL;
    const cj_dim *d = y->type.dim;
    return cj_reshape(y, 3, (cj_dim[]){d[0], d[1], cj_dim_mul(cj_node_graph(y), d[2], d[3])});
}

/* ---- Attention ------------------------------------------------------------------------------- */

typedef struct attention {
    cj_node *q, *k, *v, *mask;
    cj_node *lengths;    /* keys that count, [N]; NULL: all */
    cj_node *offset;     /* place of the first query among the keys: a scalar, or [N] */
    int64_t left, right; /* keys seen before and behind a query's place, -1: all */
    bool causal;
    double scale, softcap;
    cj_dtype precise; /* of the softmax */
} attention;

/* Operand 3; keys that it does not reach are not seen. */
static cj_node *mask_in(cj__onnx_reader *r, cj_dim keys, cj_dtype dtype)
{
    int64_t none[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    cj_node *mask = cj__onnx_node_in(r, 3);
    if (mask && !cj__is_bool(mask->type.dtype)) mask = cj_cast(mask, dtype);
    const int last = mask ? mask->type.rank - 1 : -1;
    if (last < 0 || mask->type.dim[last] < 0 || keys < 0 || mask->type.dim[last] >= keys)
        return mask;
    after[last] = keys - mask->type.dim[last];
    return cj_pad(mask, none, after, cj__is_bool(mask->type.dtype) ? 0 : -INFINITY);
}

static cj_node *both(cj_node *a, cj_node *b)
{
    return a && b ? cj_logical_and(a, b) : a ? a : b;
}

/* Which keys a query sees by its place: bool [Tq, Tk] or [N, 1, Tq, Tk]; NULL: all. lengths: those
 * that count, too. */
static cj_node *seen(cj__onnx_reader *r, const attention *a, bool lengths)
{
    const cj_dim dims[2] = {a->q->type.dim[1], a->k->type.dim[1]};
    const cj_dim each[4] = {a->q->type.dim[0], 1, 1, 1};
    cj_node *place = cj_iota(r->g, CJ_I64, 0, 2, dims), *key = cj_iota(r->g, CJ_I64, 1, 2, dims),
            *yes = NULL;
    cj_node *offset = a->offset && a->offset->type.rank ? cj_reshape(a->offset, 4, each)
                                                        : a->offset;
    place = cj_add(place, offset);
    if (a->causal) yes = cj_less_equal(key, place);
    if (a->left >= 0)
        yes = both(yes,
                   cj_greater_equal(key, cj_sub(place, cj_scalar(r->g, CJ_I64, (double)a->left))));
    if (a->right >= 0)
        yes = both(yes,
                   cj_less_equal(key, cj_add(place, cj_scalar(r->g, CJ_I64, (double)a->right))));
    if (lengths && a->lengths) yes = both(yes, cj_less(key, cj_reshape(a->lengths, 4, each)));
    return yes;
}

/* Nothing where `yes` is not. */
static cj_node *only(cj_node *x, cj_node *yes)
{
    return yes ? cj_where(yes, x, cj__number_like(x, -INFINITY)) : x;
}

/* The dtype of the softmax; `usual` where the node does not say. CJ_DTYPE_NONE with a failure. */
static cj_dtype precision_in(cj__onnx_reader *r, cj_dtype usual)
{
    const int64_t code = cj__onnx_get_int(r, "softmax_precision", 0);
    const cj_dtype precise = code ? cj__onnx_type_dtype(code) : usual;
    if (precise != CJ_DTYPE_NONE && cj__is_float(precise)) return precise;
    cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "softmax_precision %s", cj__onnx_type_name(code));
    return CJ_DTYPE_NONE;
}

/* Probabilities of masked scores, zeros where a query sees nothing, of the dtype of the scores. */
static cj_node *probabilities(cj_node *s, cj_dtype precise)
{
    if (!s) return NULL;
    cj_node *some = cj_greater(cj_reduce_max(s, 1, (int64_t[]){-1}, true),
                               cj__number_like(s, -INFINITY));
    return cj_where(some, cj_cast(cj_softmax(cj_cast(s, precise), -1), s->type.dtype),
                    cj__number_like(s, 0));
}

/* p [N, Hq, Tq, Tk] times the values: [N, Hq, Tq, Dv]. */
static cj_node *weighed(cj__onnx_reader *r, const attention *a, cj_node *p)
{
    const cj_dim *q = a->q->type.dim, *v = a->v->type.dim;
    if (!p) return NULL;
    if (v[2] != a->k->type.dim[2]) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "%s heads of values for %s heads of keys",
                      cj_dim_text(r->g, v[2]), cj_dim_text(r->g, a->k->type.dim[2]));
        return NULL;
    }
    const cj_dim rows = cj_dim_mul(r->g, q[2] / v[2], q[1]);
    p = cj_reshape(p, 4, (cj_dim[]){q[0], v[2], rows, v[1]});
    return cj_reshape(cj_matmul(p, turned(a->v)), 4, (cj_dim[]){q[0], q[2], q[1], v[3]});
}

/* Output 3, the scores [N, Hq, Tq, Tk]. mode 0: as they are, 1: capped, 2: masked as well, 3: the
 * probabilities. Query heads of a group share a key's head. */
static cj_node *scores_of(cj__onnx_reader *r, const attention *a, int64_t mode)
{
    const cj_dim *q = a->q->type.dim, *k = a->k->type.dim;
    if (q[2] < 0 || k[2] < 1 || q[2] % k[2]) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "%s query heads for %s heads of keys",
                      cj_dim_text(r->g, q[2]), cj_dim_text(r->g, k[2]));
        return NULL;
    }
    const cj_dim rows = cj_dim_mul(r->g, q[2] / k[2], q[1]);
    cj_node *s = cj_matmul_transposed(
        cj_reshape(turned(a->q), 4, (cj_dim[]){q[0], k[2], rows, q[3]}), turned(a->k), false, true);
    s = cj_scale(cj_reshape(s, 4, (cj_dim[]){q[0], q[2], q[1], k[1]}), a->scale);
    if (mode && a->softcap > 0) s = cj_scale(cj_tanh(cj_scale(s, 1 / a->softcap)), a->softcap);
    if (mode < 2) return s;
    if (a->mask && cj__is_bool(a->mask->type.dtype)) s = only(s, a->mask);
    else if (a->mask) s = cj_add(s, a->mask);
    s = only(s, seen(r, a, true));
    return mode == 2 ? s : probabilities(s, a->precise);
}

/* Keys or values with those of a cache before them, for output k as [N, heads, T, numbers]. */
static cj_node *with_past(cj__onnx_reader *r, cj_node *x, size_t i, size_t k)
{
    cj_node *past = NULL;
    if (cj__onnx_has(r, i)) {
        past = cj__onnx_permuted(r, cj__onnx_node_in(r, i), 4, (int64_t[]){0, 2, 1, 3});
        if (!past) return NULL;
    }
    if (past) x = cj_concat((cj_node *[]){past, x}, 2, 1);
    if (x && cj__onnx_wants(r, k)) cj__onnx_set(r, k, turned(x));
    return x;
}

/* Of a window; what is farther than any key is as far. */
static int64_t reach(cj__onnx_reader *r, const char *name)
{
    const int64_t far = (int64_t)1 << 40, n = cj__onnx_get_int(r, name, -1);
    return n < far ? n : far;
}

static bool read_operands(cj__onnx_reader *r, attention *a)
{
    *a = (attention){.q = heads_in(r, 0, "q_num_heads"),
                     .k = heads_in(r, 1, "kv_num_heads"),
                     .v = heads_in(r, 2, "kv_num_heads"),
                     .left = reach(r, "left_window_size"),
                     .right = reach(r, "right_window_size"),
                     .causal = cj__onnx_get_int(r, "is_causal", 0),
                     .scale = cj__onnx_get_float(r, "scale", 0),
                     .softcap = cj__onnx_get_float(r, "softcap", 0)};
    if (!a->q || !a->k || !a->v || r->failed) return false;
    a->precise = precision_in(r, cj__wide(a->q->type.dtype));
    if (a->scale == 0 && a->q->type.dim[3] > 0) a->scale = 1 / sqrt((double)a->q->type.dim[3]);
    cj_node *past = cj__onnx_has(r, 4) ? cj__onnx_node_in(r, 4) : NULL;
    a->k = with_past(r, a->k, 4, 1);
    a->v = with_past(r, a->v, 5, 2);
    if (!a->k || !a->v) return false;
    if (cj__onnx_has(r, 3)) a->mask = mask_in(r, a->k->type.dim[1], a->q->type.dtype);
    a->offset = past ? cj_dim_value(r->g, past->type.dim[2]) : cj_scalar(r->g, CJ_I64, 0);
    if (!cj__onnx_has(r, 6)) return !r->failed;
    /* A cache of fixed room: the queries are the last of the keys that count. */
    a->lengths = cj_cast(cj__onnx_node_in(r, 6), CJ_I64);
    if (!past && a->lengths)
        a->offset = cj_sub(a->lengths, cj_dim_value(r->g, a->q->type.dim[1]));
    return !r->failed;
}

static void read_attention(cj__onnx_reader *r, const cj__onnx_row *row)
{
    attention a;
    const int64_t mode = cj__onnx_get_int(r, "qk_matmul_output_mode", 0);
    (void)row;
    if (!read_operands(r, &a)) return;
    if (cj__onnx_wants(r, 3)) cj__onnx_set(r, 3, scores_of(r, &a, mode));
    if (r->failed) return;
    const cj_node *x = cj__onnx_node_in(r, 0);
    const cj_dtype dtype = a.q->type.dtype;
    /* Ours computes 16 bits in f32, which is what is asked for, or better. */
    if (a.precise != cj__wide(dtype) && a.precise != dtype) {
        cj_node *y = weighed(r, &a, scores_of(r, &a, 3));
        if (x && y) cj__onnx_set(r, 0, x->type.rank == 4 ? y : joined(turned(y)));
        return;
    }
    cj_attention_opts o = {.struct_size = sizeof o,
                           .scale = a.scale,
                           .softcap = a.softcap,
                           .lengths = a.lengths,
                           .mask = a.mask};
    if (a.left >= 0 || a.right >= 0) {
        cj_node *yes = seen(r, &a, false);
        const bool words = !o.mask || cj__is_bool(o.mask->type.dtype);
        o.mask = words ? both(o.mask, yes) : only(o.mask, yes);
    } else if (a.causal) {
        o.causal = true;
        o.offset = a.offset;
    }
    cj_node *y = (cj_attention)(a.q, a.k, a.v, &o);
    if (x && y) cj__onnx_set(r, 0, x->type.rank == 4 ? turned(y) : joined(y));
}

/* ---- FlexAttention --------------------------------------------------------------------------- */

/* x through a body of one input, read in place; as it is without one. */
static cj_node *modified(cj__onnx_reader *r, const char *name, cj_node *x)
{
    cj__onnx_graph *body = cj__onnx_has_attribute(r, name) ? cj__onnx_get_graph(r, name) : NULL;
    cj__onnx_source *in = x && body ? cj__onnx_new_source(r, x) : NULL, *out = NULL;
    if (!body) return x;
    if (body->input.count != 1 || body->output.count != 1) {
        cj__onnx_fail(r, CJ_ERR_DATA, "%s has %zu inputs and %zu outputs, expected one of each",
                      name, body->input.count, body->output.count);
        return NULL;
    }
    if (!in || !cj__onnx_read_in_place(r, body, &in, 1, &out)) return NULL;
    return cj__onnx_node_of(r, out);
}

/* Scores and probabilities are changed by bodies of the file's own; of the dtype softmax_precision.
 */
static void read_flex_attention(cj__onnx_reader *r, const cj__onnx_row *row)
{
    attention a;
    (void)row;
    if (!read_operands(r, &a)) return;
    cj_node *p = modified(r, "score_mod", cj_cast(scores_of(r, &a, 0), a.precise));
    p = modified(r, "prob_mod", cj_softmax(p, -1));
    if (p) cj__onnx_set(r, 0, weighed(r, &a, cj_cast(p, a.q->type.dtype)));
}

/* ---- LinearAttention ------------------------------------------------------------------------- */

enum { STATE, QUERY, KEY, VALUE, DECAY, BETA, OPERANDS };

/* The rule for one position: state [N, Hk, D, Dv], q [N, Hq, D], k [N, Hk, D], v [N, Hk, Dv], decay
 * [N, Hk, D or 1], beta [N, Hk or 1, 1]. */
static void linear_step(cj_graph *g, cj_node **x, double scale)
{
    cj_node *state = x[STATE], *v = x[VALUE];
    if (x[DECAY]) state = cj_mul(state, cj_expand_dims(cj_exp(x[DECAY]), -1));
    cj_node *k = cj_expand_dims(x[KEY], -1); /* [N, Hk, D, 1] */
    if (x[BETA]) {
        cj_node *known = cj_matmul_transposed(state, k, true, false); /* [N, Hk, Dv, 1] */
        v = cj_mul(x[BETA], cj_sub(v, cj_squeeze(known, -1)));
    }
    state = cj_add(state, cj_mul(k, cj_expand_dims(v, 2)));
    cj_graph_output(g, NULL, state);
    if (!state) return;
    const cj_dim *q = x[QUERY]->type.dim, *s = state->type.dim;
    cj_node *groups = cj_reshape(x[QUERY], 4, (cj_dim[]){q[0], s[1], q[1] / s[1], q[2]});
    cj_node *y = cj_reshape(cj_matmul(groups, state), 3, (cj_dim[]){q[0], q[1], s[3]});
    cj_graph_output(g, NULL, cj_scale(y, scale));
}

/* [N, T, heads * numbers] as [T, N, heads, numbers] of f32. */
static cj_node *positions(cj__onnx_reader *r, size_t i, int64_t heads)
{
    cj_node *x = cj__onnx_node_in(r, i);
    if (!x) return NULL;
    const cj_dim *d = x->type.dim;
    if (x->type.rank != 3 || heads < 1 || d[2] < 0 || d[2] % heads) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "operand %d is not [N, T, %lld * numbers]", (int)i,
                      (long long)heads);
        return NULL;
    }
    x = cj_reshape(cj_cast(x, CJ_F32), 4, (cj_dim[]){d[0], d[1], heads, d[2] / heads});
    return cj_transpose(x, (int64_t[]){1, 0, 2, 3});
}

static void read_linear_attention(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char how[32];
    int64_t heads = cj__onnx_get_int(r, "q_num_heads", 0),
            shared = cj__onnx_get_int(r, "kv_num_heads", 0);
    double scale = cj__onnx_get_float(r, "scale", 0);
    (void)row;
    if (!cj__onnx_get_word(r, "update_rule", "gated_delta", how)) return;
    const bool gated = !strncmp(how, "gated", 5), delta = strstr(how, "delta") != NULL;
    if ((!gated && !delta && strcmp(how, "linear")) || shared < 1 || heads % shared) {
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "update_rule '%s' with %lld query heads for %lld heads of keys", how,
                      (long long)heads, (long long)shared);
        return;
    }
    cj_node *x[OPERANDS] = {NULL, positions(r, 0, heads), positions(r, 1, shared),
                            positions(r, 2, shared), gated ? positions(r, 4, shared) : NULL, NULL};
    cj_node *beta = delta ? cj__onnx_node_in(r, 5) : NULL,
            *past = cj__onnx_has(r, 3) ? cj__onnx_node_in(r, 3) : NULL;
    if (r->failed || r->g->failed) return;
    if (beta && beta->type.rank == 3) x[BETA] = positions(r, 5, beta->type.dim[2]);
    if (past && (past->type.rank != 4 || past->type.dim[1] != shared)) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "past_state is not [N, %lld, D, Dv]", (long long)shared);
        return;
    }
    const cj_dim *k = x[KEY]->type.dim;
    const cj_dim dims[4] = {k[1], shared, k[3], x[VALUE]->type.dim[3]};
    x[STATE] = past ? cj_cast(past, CJ_F32) : cj_broadcast_to(cj_scalar(r->g, CJ_F32, 0), 4, dims);
    if (!scale && k[3] > 0) scale = 1 / sqrt((double)k[3]);
    cj_graph *body = cj_graph_new(r->cj);
    if (!body) {
        cj__onnx_fail(r, CJ_ERR_MEMORY, "out of memory");
        return;
    }
    cj_node *in[OPERANDS], *inside[OPERANDS] = {NULL};
    int n = 0;
    for (int i = 0; i < OPERANDS; i++)
        if (x[i]) inside[i] = cj__onnx_body_input(r, body, in[n++] = x[i], i != STATE);
    linear_step(body, inside, scale);
    cj_node *y = cj__onnx_took(cj_scan(in, 1, in + 1, n - 1, false, body, NULL, 0), body);
    const cj_node *q = cj__onnx_node_in(r, 0);
    if (!y || !q) return;
    if (cj__onnx_wants(r, 1))
        cj__onnx_set(r, 1, cj_cast(y, past ? past->type.dtype : q->type.dtype));
    y = cj_transpose(cj_node_output(y, 1), (int64_t[]){1, 0, 2, 3}); /* [T, N, Hq, Dv] */
    cj__onnx_set(r, 0, cj_cast(joined(y), q->type.dtype));
}

/* ---- CausalConvWithState --------------------------------------------------------------------- */

/* x [N, C, T] behind the last numbers before it (zeros); each channel has a kernel of its own,
 * weight [C, 1, k]. Output 1: the last k - 1 numbers. */
static void read_causal_conv(cj__onnx_reader *r, const cj__onnx_row *row)
{
    char activation[32];
    cj_node *x = cj__onnx_node_in(r, 0), *w = cj__onnx_node_in(r, 1);
    (void)row;
    if (!x || !w || !cj__onnx_get_word(r, "activation", "none", activation)) return;
    if (x->type.rank != 3 || w->type.rank != 3 || w->type.dim[0] < 1 || w->type.dim[2] < 1) {
        cj__onnx_fail(r, CJ_ERR_SHAPE,
                      "x of rank %d, weight of rank %d; [N, C, T] and [C, 1, k] are expected",
                      x->type.rank, w->type.rank);
        return;
    }
    const int64_t before = w->type.dim[2] - 1;
    const cj_dim length = x->type.dim[2];
    if (cj__onnx_has(r, 3)) x = cj_concat((cj_node *[]){cj__onnx_node_in(r, 3), x}, 2, 2);
    else x = cj_pad(x, (int64_t[]){0, 0, before}, (int64_t[]){0, 0, 0}, 0);
    const cj_conv_opts o = {.struct_size = sizeof o,
                            .channel_axis = 1,
                            .groups = w->type.dim[0],
                            .bias = cj__onnx_has(r, 2) ? cj__onnx_node_in(r, 2) : NULL};
    cj_node *y = (cj_conv)(x, w, &o);
    if (!strcmp(activation, "silu") || !strcmp(activation, "swish")) y = cj_silu(y);
    else if (strcmp(activation, "none"))
        cj__onnx_fail(r, CJ_ERR_DATA, "activation '%s', expected none, silu or swish", activation);
    cj__onnx_set(r, 0, y);
    if (!y || !cj__onnx_wants(r, 1)) return;
    cj_node *at = cj_dim_value(r->g, length), *zero = cj_scalar(r->g, CJ_I64, 0);
    cj__onnx_set(r, 1, cj_dynamic_slice(x, cj_stack((cj_node *[]){zero, zero, at}, 3, 0),
                                        (cj_dim[]){x->type.dim[0], x->type.dim[1], before}));
}

const cj__onnx_row cj__onnx_rows_attention[] = {
    {.op = &cj_op_attention, .write = write_attention},
    {.onnx = "Attention", .read = read_attention},
    {.onnx = "FlexAttention", .domain = "ai.onnx.preview", .read = read_flex_attention},
    {.onnx = "LinearAttention", .read = read_linear_attention},
    {.onnx = "CausalConvWithState", .read = read_causal_conv},
    {0},
};
