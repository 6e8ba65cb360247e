/* map_attention.c: attention. Opset 17 has none, so it is written as what it is made of: MatMul,
 * Softmax's parts, MatMul. Later files may have ONNX's own (Attention, opset 23), whose operands
 * are [N, T, heads * numbers] or [N, heads, T, numbers]; it is read without a cache of its own. */
#include "format/onnx/map.h"
#include "graph/ops/attention.h"

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

/* Operand i as [N, T, heads, numbers]; heads_name is the attribute that tells heads of rank 3. */
static cj_node *heads_in(cj__onnx_reader *r, size_t i, const char *heads_name)
{
    cj_node *x = cj__onnx_node_in(r, i);
    if (!x) return NULL;
    if (x->type.rank == 4) return cj_transpose(x, (int64_t[]){0, 2, 1, 3});
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

static void read_attention(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    if (cj__onnx_has(r, 4) || cj__onnx_has(r, 5) || cj__onnx_has(r, 6) || cj__onnx_wants(r, 1) ||
        cj__onnx_wants(r, 2) || cj__onnx_wants(r, 3)) {
        cj__onnx_fail(
            r, CJ_ERR_UNSUPPORTED,
            "past and present keys and values, and scores as a result, are not supported");
        return;
    }
    cj_node *q = heads_in(r, 0, "q_num_heads"), *k = heads_in(r, 1, "kv_num_heads"),
            *v = heads_in(r, 2, "kv_num_heads");
    cj_attention_opts o = {.scale = cj__onnx_get_float(r, "scale", 0),
                           .softcap = cj__onnx_get_float(r, "softcap", 0),
                           .causal = cj__onnx_get_int(r, "is_causal", 0)};
    if (cj__onnx_has(r, 3)) o.mask = cj__onnx_node_in(r, 3);
    if (!q || !k || !v || r->failed) return;
    if (o.causal) o.offset = cj_scalar(r->g, CJ_I64, 0); /* ONNX counts keys from the first */
    cj_node *y = cj_attention(q, k, v, &o);
    if (!y) return;
    const cj_type *t = &y->type;
    if (cj__onnx_node_in(r, 0)->type.rank == 4)
        cj__onnx_set(r, 0, cj_transpose(y, (int64_t[]){0, 2, 1, 3}));
    else
        cj__onnx_set(r, 0, cj_reshape(y, 3, (cj_dim[]){t->dim[0], t->dim[1],
                                                       cj_dim_mul(r->g, t->dim[2], t->dim[3])}));
}

const cj__onnx_row cj__onnx_rows_attention[] = {
    {.op = &cj_op_attention, .write = write_attention},
    {.onnx = "Attention", .read = read_attention},
    {0},
};
