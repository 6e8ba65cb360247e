/* norm.c: normalisations and rotary embeddings.
 *
 * ONNX has them for channels-first images and, in the opset we write, not all of them: what it
 * lacks is written as the arithmetic it is (cj__onnx_write_lowered), and read as that. But a group
 * normalisation is written as PyTorch exports it, and found again: the groups are the channels of
 *
 *     Reshape [n, groups, -1] - InstanceNormalization - Reshape back - Mul scale - Add shift
 *
 * A batch
 * normalisation keeps its momentum in the file: of a model of ours that is loaded its running
 * statistics move again when it is trained on. */
#include <string.h>

#include "format/onnx/tensor.h"
#include "format/onnx/turned.h"
#include "graph/ops/map.h"
#include "graph/ops/norm.h"
#include "nn/model.h"

#include <cajal/norm.h>

/* ---- Writing --------------------------------------------------------------------------------- */

/* Does anything that is written read this value? (Updates of running statistics are not.) */
bool cj__onnx_is_read(const cj__onnx_writer *w, const cj_node *node)
{
    const cj_graph *g = w->scope->g;
    unsigned char *marks = cj__arena_alloc(w->arena, (size_t)g->n_calls + 1);
    if (!marks) return true;
    for (int i = 0; i < g->outputs.count; i++) {
        cj__graph_mark(g, &g->outputs.items[i].node, 1, marks);
        if (g->outputs.items[i].node == node) return true;
    }
    for (int i = node->call->id + 1; i < g->n_calls; i++)
        for (int k = 0; marks[i] && k < g->calls[i]->n_in; k++)
            if (g->calls[i]->in[k] == node) return true;
    return false;
}

/* Operand i, or this number for each of the sizes: vectors that ONNX does not leave out. */
static const char *vector(cj__onnx_writer *w, int i, bool there, bool ones, int rank,
                          const cj_dim *dims)
{
    if (there) return cj__onnx_in(w, i);
    cj_dtype wide = cj__wide(w->call->in[0]->type.dtype);
    if (rank == 1 && dims[0] > 0) return cj__onnx_full(w, wide, dims[0], ones);
    return cj__onnx_step(w, "Expand", cj__onnx_scalar(w, wide, ones),
                         cj__onnx_dims(w, rank, dims), NULL);
}

/* y alone, in f32: ONNX's scale has x's type. */
static bool plain(const cj__onnx_writer *w, const cj_call *call)
{
    return call->in[0]->type.dtype == CJ_F32 && !cj__onnx_is_read(w, &call->out[1]) &&
           !cj__onnx_is_read(w, &call->out[2]);
}

/* Is only what BatchNormalization gives in inference read? */
static bool is_inference(const cj__onnx_writer *w, const cj_call *call)
{
    const cj__norm_attrs *a = call->attributes;
    return a->has_statistics && !cj__onnx_is_read(w, &call->out[1]) &&
           !cj__onnx_is_read(w, &call->out[2]) &&
           (!a->has_training || call->in[call->n_in - 1]->call->op == &cj_op_training);
}

/* One node of images with the vectors that it is given. */
static void write_image_norm(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    const cj__norm_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type;
    const bool batch = row->op == &cj_op_batch_norm;
    if (!(batch ? is_inference(w, call) : plain(w, call))) {
        cj__onnx_write_lowered(w);
        return;
    }
    const cj_dim *channels = &x->dim[a->channel_axis];
    const int at = 1 + a->has_scale + a->has_shift;
    const char *in[5] = {cj__onnx_image(w, 0, a->channel_axis),
                         vector(w, 1, a->has_scale, 1, 1, channels),
                         vector(w, 1 + a->has_scale, a->has_shift, 0, 1, channels)};
    for (int i = 0; batch && i < 2; i++) in[3 + i] = cj__onnx_in(w, at + i);
    const char *y = NULL;
    if (a->channel_axis == 1) cj__onnx_only_list(w, row->onnx, batch ? 5 : 3, in);
    else y = cj__onnx_step(w, row->onnx, in[0], in[1], in[2], in[3], in[4], NULL);
    cj__onnx_put_float(w, "epsilon", a->epsilon);
    if (batch) cj__onnx_put_float(w, "momentum", a->momentum);
    if (row->op == &cj_op_group_norm) cj__onnx_put_int(w, "num_groups", a->groups);
    if (y) cj__onnx_last_transposed(w, y, x->rank);
}

/* The vector that v, [channels, 1, ...], is made of or made from; v where there is none. */
static const cj_node *other_form(const cj_node *v, int rank, cj_dim channels)
{
    const cj_node *x = v->call->op == &cj_op_reshape ? v->call->in[0] : NULL;
    bool same = x && x->type.rank == rank && x->type.dim[0] == channels;
    for (int i = 1; same && i < rank; i++) same = x->type.dim[i] == 1;
    return same ? x : v;
}

/* Is it written as an instance normalisation of groups? GroupNormalization of opset 18 has a scale
 * for each group, that of 21 is ours. */
static bool is_split(const cj__onnx_writer *w, const cj_call *call)
{
    const cj_type *x = &call->in[0]->type;
    int symbols = 0;
    for (int i = 0; i < x->rank; i++) {
        symbols += x->dim[i] < 0;
        if (!x->dim[i]) return false;
    }
    return w->opset < 21 && x->rank > 2 && symbols <= 1 && plain(w, call);
}

/* Scale and shift stand along the channels then: those of other programs have done so before. */
static const cj_node *group_operand(const cj__onnx_writer *w, const cj_call *call, int i)
{
    const cj_type *x = &call->in[0]->type;
    const cj__norm_attrs *a = call->attributes;
    return i && is_split(w, call) ? other_form(call->in[i], x->rank - 1, x->dim[a->channel_axis])
                                  : call->in[i];
}

static void write_group_norm(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    const cj__norm_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type;
    const int rank = x->rank, last = a->channel_axis != 1, n = a->has_scale + a->has_shift;
    int64_t back[CJ_RANK_MAX], axes[CJ_RANK_MAX];
    if (w->opset >= 21) {
        write_image_norm(w, row);
        return;
    }
    if (!is_split(w, call)) {
        cj__onnx_write_lowered(w);
        return;
    }
    for (int i = 0; i < rank; i++) {
        const cj_dim size = x->dim[last ? cj__onnx_turned_axis(rank, true, i) : i];
        back[i] = size < 0 ? -1 : size;
        axes[i] = i + 1;
    }
    const char *y = cj__onnx_step(w, "Reshape", cj__onnx_image(w, 0, a->channel_axis),
                                  cj__onnx_ints(w, 3, (int64_t[]){0, a->groups, -1}), NULL);
    y = cj__onnx_step(w, "InstanceNormalization", y, cj__onnx_full(w, CJ_F32, a->groups, true),
                      cj__onnx_full(w, CJ_F32, a->groups, false), NULL);
    cj__onnx_put_float(w, "epsilon", a->epsilon);
    for (int i = 0; i <= n; i++) {
        const cj_node *v = group_operand(w, call, i);
        const char *op = !i ? "Reshape" : i == 1 && a->has_scale ? "Mul" : "Add";
        const char *operand = i ? cj__onnx_value_of(w, v) : cj__onnx_ints(w, rank, back);
        if (i && v->type.rank == 1)
            operand = cj__onnx_step(w, "Unsqueeze", operand, cj__onnx_ints(w, rank - 2, axes),
                                    NULL);
        if (i < n || last) y = cj__onnx_step(w, op, y, operand, NULL);
        else cj__onnx_only_list(w, op, 2, (const char *[]){y, operand});
    }
    if (last) cj__onnx_last_transposed(w, y, rank);
}

static void write_layer_norm(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj_call *call = w->call;
    const cj__norm_attrs *a = call->attributes;
    const cj_type *x = &call->in[0]->type;
    if (!plain(w, call)) {
        cj__onnx_write_lowered(w);
        return;
    }
    const char *in[] = {cj__onnx_in(w, 0),
                        vector(w, 1, a->has_scale, 1, x->rank - (int)a->axis, &x->dim[a->axis]),
                        a->has_shift ? cj__onnx_in(w, 1 + a->has_scale) : NULL};
    cj__onnx_only_list(w, row->onnx, 2 + a->has_shift, in);
    cj__onnx_put_int(w, "axis", a->axis);
    cj__onnx_put_float(w, "epsilon", a->epsilon);
}

static void write_response_norm(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__response_attrs *a = w->call->attributes;
    const char *x = cj__onnx_image(w, 0, a->channel_axis), *y = NULL;
    if (a->channel_axis == 1) cj__onnx_last(w, row->onnx, x, NULL);
    else y = cj__onnx_step(w, row->onnx, x, NULL);
    cj__onnx_put_int(w, "size", a->size);
    cj__onnx_put_float(w, "alpha", a->alpha);
    cj__onnx_put_float(w, "beta", a->beta);
    cj__onnx_put_float(w, "bias", a->bias);
    if (y) cj__onnx_last_transposed(w, y, w->call->in[0]->type.rank);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* x with channels on axis 1, or last when it comes from a Transpose; options begin with that. */
static cj_node *image_in(cj__onnx_reader *r, int rank_min, bool *last, cj_norm_opts *o)
{
    cj_node *x = cj__onnx_image_in(r, 0, last);
    *o = (cj_norm_opts){.struct_size = sizeof *o,
                        .epsilon = cj__onnx_get_float(r, "epsilon", 1e-5),
                        .channel_axis = *last ? -1 : 1};
    if (x && x->type.rank < rank_min)
        return cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d, expected %d or more",
                             x->type.rank, rank_min),
               NULL;
    return x;
}

/* Running statistics that are state move on in training. A file of ours lists its state. */
static bool is_state(const cj__onnx_reader *r, const cj_node *node)
{
    return !r->level->outer && node && node->call->op == &cj_op_variable &&
           !cj__nodes_find(&r->g->parameters, node->name) &&
           !(r->frozen && cj__names_get(r->frozen, node->name));
}

static cj_node *moved(cj_node *old, cj_node *batch, double momentum)
{
    return cj_add(cj_scale(old, momentum),
                  cj_scale(batch ? cj_cast(batch, old->type.dtype) : NULL, 1 - momentum));
}

/* In training the state moves on to the batch's; of what two share, by one after the other, as
 * PyTorch's modules that are called twice. */
static void move(cj_layer_build *b, cj_node *state, cj_node *batch, double momentum)
{
    cj__layers *layers = cj__layers_of(b->graph);
    for (int i = 0; layers && i < layers->n_updates; i++) {
        cj_update *u = &layers->updates[i];
        if (u->variable != state) continue;
        u->value = cj_where(cj_training(b->graph), moved(u->value, batch, momentum), state);
        return;
    }
    cj_layer_update(b, state, moved(state, batch, momentum));
}

/* Statistics for every element of a sample (spatial=0): each is a channel of its own. */
static cj_node *as_channels(cj_node *x, int from)
{
    cj_dim dims[2] = {x ? x->type.dim[0] : 0, 1};
    for (int i = from; x && i < x->type.rank; i++)
        dims[1] = cj_dim_mul(cj_node_graph(x), dims[1], x->type.dim[i]);
    return cj_reshape(x, from + 1, from ? dims : dims + 1);
}

/* In training outputs 1 and 2 are running statistics; before opset 14, where only wanting these
 * says that it is in training, 3 and 4 are the batch's. Before opset 7 is_test says that it is not.
 */
static void read_batch_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    const bool old = r->opset < 14, flat = r->opset < 9 && !cj__onnx_get_int(r, "spatial", 1);
    bool last = false, training = cj__onnx_get_int(r, "training_mode", 0);
    cj_norm_opts o;
    cj_node *x = image_in(r, 2, &last, &o), *in[4];
    (void)row;
    for (size_t k = 1; old && k < 5; k++) training |= cj__onnx_wants(r, k);
    if (r->opset < 7 && cj__onnx_get_int(r, "is_test", 0)) training = false;
    if (!training && cj__onnx_wants(r, 1)) {
        cj__onnx_fail(r, CJ_ERR_DATA, "it gives new statistics, but is not in training mode");
        return;
    }
    double momentum = cj__onnx_get_float(r, "momentum", 0.9);
    for (size_t k = 0; k < 4; k++)
        in[k] = k < 2 || training ? cj__onnx_node_in(r, k + 1) : cj__onnx_state_in(r, k + 1);
    if (!x || !in[2] || r->failed) return;
    if (flat) {
        if (last) x = cj__onnx_node_in(r, 0), last = false;
        o.channel_axis = 1;
    }
    const cj_type image = x->type, each = in[2]->type;
    if (flat) x = as_channels(x, 1);
    for (size_t k = 0; flat && k < 4; k++) in[k] = as_channels(in[k], 0);
    cj_node *mean = in[2], *variance = in[3];
    o.scale = in[0];
    o.shift = in[1];
    bool state = !training && is_state(r, mean) && is_state(r, variance);
    if (!training) o.mean = mean, o.variance = variance, o.momentum = momentum;
    if (state) o.training = cj_training(r->g);
    cj_node *y = cj_batch_norm(x, &o);
    cj__onnx_set_image(r, 0, flat ? cj_reshape(y, image.rank, image.dim) : y, last);
    if (!y || (!training && !state)) return;
    if (state) {
        cj_layer_build b = {.graph = r->g, .name = "batch_normalization"};
        move(&b, o.mean, cj_node_output(y, 1), momentum);
        move(&b, o.variance, cj_node_output(y, 2), momentum);
        return;
    }
    cj_node *next[4] = {moved(mean, cj_node_output(y, 1), momentum),
                        moved(variance, cj_node_output(y, 2), momentum), cj_node_output(y, 1),
                        cj_node_output(y, 2)};
    for (size_t k = 0; k < (old ? 4 : 2); k++)
        if (cj__onnx_wants(r, k + 1))
            cj__onnx_set(r, k + 1,
                         cj_cast(cj_reshape(next[k], each.rank, each.dim), each.dtype));
}

static void read_instance_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last;
    cj_norm_opts o;
    cj_node *x = image_in(r, 3, &last, &o);
    (void)row;
    o.scale = cj__onnx_node_in(r, 1);
    o.shift = cj__onnx_node_in(r, 2);
    if (x && !r->failed) cj__onnx_set_image(r, 0, cj_instance_norm(x, &o), last);
}

/* [groups] as [channels]: before opset 21 scale and bias belong to groups. */
static cj_node *each_channel(cj_node *v, int64_t groups, cj_dim channels)
{
    if (!v || v->type.rank != 1 || v->type.dim[0] == channels || channels < 0 ||
        v->type.dim[0] != groups || channels % groups)
        return v;
    cj_node *all = cj_broadcast_to(cj_expand_dims(v, 1), 2, (cj_dim[]){groups, channels / groups});
    return cj_reshape(all, 1, &channels);
}

static void read_group_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last;
    cj_norm_opts o;
    cj_node *x = image_in(r, 2, &last, &o);
    (void)row;
    o.groups = cj__onnx_get_int(r, "num_groups", 0);
    cj_node *scale = cj__onnx_node_in(r, 1), *shift = cj__onnx_node_in(r, 2);
    if (!x || r->failed) return;
    if (o.groups < 1) {
        cj__onnx_fail(r, CJ_ERR_DATA, "num_groups=%lld, expected 1 or more", (long long)o.groups);
        return;
    }
    cj_dim channels = x->type.dim[last ? x->type.rank - 1 : 1];
    o.scale = each_channel(scale, o.groups, channels);
    o.shift = each_channel(shift, o.groups, channels);
    cj__onnx_set_image(r, 0, cj_group_norm(x, &o), last);
}

static bool is_full(const cj_node *v, double number)
{
    if (v->call->op != &cj_op_constant) return false;
    const cj_tensor *t = ((const cj__constant_attrs *)v->call->attributes)->value;
    const void *data = cj_tensor_map_read(t);
    int64_t i = 0;
    while (i < cj_tensor_count(t) && cj_load_f64(cj_tensor_dtype(t), data, (size_t)i) == number)
        i++;
    cj_tensor_unmap(t);
    return i == cj_tensor_count(t);
}

static void set_groups(cj__onnx_reader *r, cj_node *x, bool last, cj_norm_opts *o)
{
    o->struct_size = sizeof *o;
    o->channel_axis = last ? -1 : 1;
    cj__onnx_set_image(r, 0, cj_group_norm(x, o), last);
}

bool cj__onnx_read_groups(cj__onnx_reader *r, const cj_node *x, const cj_type *type)
{
    const cj_call *norm = x->call, *from = norm->n_in ? norm->in[0]->call : NULL;
    const cj__norm_attrs *a = norm->attributes;
    if (norm->op != &cj_op_instance_norm || x->output || from->op != &cj_op_reshape ||
        a->channel_axis != 1 || x->type.rank != 3 || !a->has_scale || !a->has_shift ||
        !cj__type_equal(&from->in[0]->type, type) || type->rank < 3 ||
        type->dim[0] != x->type.dim[0] || type->dim[1] < 1 || type->dim[1] % x->type.dim[1] ||
        !is_full(norm->in[1], 1) || !is_full(norm->in[2], 0))
        return false;
    cj_node *inner = cj__onnx_untransposed(from->in[0]);
    set_groups(r, inner ? inner : from->in[0], inner != NULL,
               &(cj_norm_opts){.epsilon = a->epsilon, .groups = x->type.dim[1]});
    return true;
}

bool cj__onnx_read_affine(cj__onnx_reader *r, cj_node *x, cj_node *v, bool shift)
{
    const cj_node *inner = cj__onnx_untransposed(x), *y = inner ? inner : x;
    const cj_call *norm = y->call;
    const cj__norm_attrs *a = norm->attributes;
    const cj_type *t = &x->type;
    if (norm->op != &cj_op_group_norm || y->output || a->has_shift || (!shift && a->has_scale) ||
        v->type.rank != t->rank - 1 || v->type.dim[0] != t->dim[1] || v->type.dtype != CJ_F32 ||
        t->dtype != CJ_F32 || (inner != NULL) == (a->channel_axis == 1))
        return false;
    for (int i = 1; i < v->type.rank; i++)
        if (v->type.dim[i] != 1) return false;
    cj_node *flat = (cj_node *)(uintptr_t)other_form(v, 1, t->dim[1]);
    if (flat == v) flat = cj_reshape(v, 1, &t->dim[1]);
    cj_norm_opts o = {.epsilon = a->epsilon, .groups = a->groups};
    o.scale = !shift ? flat : a->has_scale ? norm->in[1] : NULL;
    o.shift = shift ? flat : NULL;
    set_groups(r, norm->in[0], inner != NULL, &o);
    return true;
}

/* Scale and bias may be smaller than a row, and broadcast. */
static void read_rows_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool centred = !strcmp(row->onnx, "LayerNormalization");
    cj_node *x = cj__onnx_node_in(r, 0), *scale = cj__onnx_node_in(r, 1);
    cj_node *shift = centred && cj__onnx_has(r, 2) ? cj__onnx_node_in(r, 2) : NULL;
    int64_t axis = cj__onnx_get_int(r, "axis", -1);
    if (!x || r->failed || (axis = cj__axis(x, row->onnx, axis, x->type.rank)) < 0) return;
    int rank = x->type.rank - (int)axis;
    if (!centred && scale) x = cj_cast(x, cj__promote(x->type.dtype, scale->type.dtype));
    if (!x) return;
    const cj_dim *dims = &x->type.dim[axis];
    cj_norm_opts o = {.struct_size = sizeof o,
                      .axis = axis - x->type.rank,
                      .epsilon = cj__onnx_get_float(r, "epsilon", 1e-5),
                      .scale = cj_broadcast_to(scale, rank, dims),
                      .shift = shift ? cj_broadcast_to(shift, rank, dims) : NULL};
    cj_node *y = !o.scale || (shift && !o.shift) ? NULL
                 : centred                       ? cj_layer_norm(x, &o)
                                                 : cj_rms_norm(x, &o);
    /* The dtype of Y is RMS's scale's; that of the statistics is stash_type. */
    cj__onnx_set(r, 0, y && !centred ? cj_cast(y, scale->type.dtype) : y);
    cj_dtype stash = cj__onnx_type_dtype(cj__onnx_get_int(r, "stash_type", 1));
    for (size_t k = 1; y && centred && k < 3; k++)
        if (cj__onnx_wants(r, k)) cj__onnx_set(r, k, cj_cast(cj_node_output(y, (int)k), stash));
}

static void read_response_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last;
    cj_node *x = cj__onnx_image_in(r, 0, &last);
    (void)row;
    cj_local_response_norm_opts o = {.struct_size = sizeof o,
                                     .size = cj__onnx_get_int(r, "size", 0),
                                     .alpha = cj__onnx_get_float(r, "alpha", 1e-4),
                                     .beta = cj__onnx_get_float(r, "beta", 0.75),
                                     .bias = cj__onnx_get_float(r, "bias", 1),
                                     .channel_axis = last ? -1 : 1};
    if (x && !r->failed) cj__onnx_set_image(r, 0, cj_local_response_norm(x, &o), last);
}

/* (x - mean) / (sqrt(mean of squares - mean^2) + 1e-9), with the squares of differences. */
static void read_mean_variance(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t axes[CJ_RANK_MAX] = {0, 2, 3};
    cj_node *x = cj__onnx_node_in(r, 0);
    int n = cj__onnx_get_ints(r, "axes", CJ_RANK_MAX, axes);
    (void)row;
    if (!x || r->failed) return;
    if (n < 0) n = 3;
    cj_node *c = cj_sub(x, cj_reduce_mean(x, n, axes, true));
    cj_node *deviation = cj_sqrt(cj_reduce_mean(cj_square(c), n, axes, true));
    cj__onnx_set(r, 0, cj_div(c, cj_shift(deviation, 1e-9)));
}

/* Rows of zeros stay. */
static void read_lp_norm(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    int64_t axis = cj__onnx_get_int(r, "axis", -1), p = cj__onnx_get_int(r, "p", 2);
    (void)row;
    if (!x || r->failed) return;
    if (p != 1 && p != 2) {
        cj__onnx_fail(r, CJ_ERR_DATA, "p=%lld, expected 1 or 2", (long long)p);
        return;
    }
    cj_node *norm = cj_reduce_sum(p == 1 ? cj_abs(x) : cj_square(x), 1, &axis, true);
    if (p == 2) norm = cj_sqrt(norm);
    cj_node *nothing = cj_equal(norm, cj_scalar(r->g, x->type.dtype, 0));
    cj__onnx_set(r, 0, cj_div(x, cj_where(nothing, cj_scalar(r->g, x->type.dtype, 1), norm)));
}

/* x [batch, heads, length, numbers], or [batch, length, heads * numbers]; caches [batch, length,
 * dim/2], or [positions, dim/2] of which position_ids takes rows. */
static void read_rotary(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0), *cache[2] = {cj__onnx_node_in(r, 1), NULL};
    int64_t heads = cj__onnx_get_int(r, "num_heads", 0),
            dim = cj__onnx_get_int(r, "rotary_embedding_dim", 0);
    bool interleaved = cj__onnx_get_int(r, "interleaved", 0);
    cache[1] = cj__onnx_node_in(r, 2);
    cj_node *ids = cj__onnx_has(r, 3) ? cj__onnx_node_in(r, 3) : NULL;
    (void)row;
    if (!x || r->failed) return;
    bool flat = x->type.rank == 3;
    cj_dim width = x->type.dim[x->type.rank - 1];
    if (x->type.rank != 4 && (!flat || heads < 1 || width < 0 || width % heads)) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "x of rank %d with num_heads=%lld", x->type.rank,
                      (long long)heads);
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (ids) cache[i] = cj_gather(cache[i], ids, 0);
        cache[i] = cache[i] ? cj_expand_dims(cache[i], flat ? 2 : 1) : NULL;
    }
    cj_dim dims[4] = {x->type.dim[0], x->type.dim[1], heads, flat ? width / heads : 0};
    cj_node *y = cj_rotary_apply(flat ? cj_reshape(x, 4, dims) : x, cache[0], cache[1], dim,
                                 interleaved);
    cj__onnx_set(r, 0, flat ? cj_reshape(y, 3, x->type.dim) : y);
}

const cj__onnx_row cj__onnx_rows_norm[] = {
    {.onnx = "BatchNormalization",
     .op = &cj_op_batch_norm,
     .write = write_image_norm,
     .read = read_batch_norm},
    {.onnx = "InstanceNormalization",
     .op = &cj_op_instance_norm,
     .write = write_image_norm,
     .read = read_instance_norm},
    {.onnx = "LayerNormalization",
     .op = &cj_op_layer_norm,
     .write = write_layer_norm,
     .read = read_rows_norm},
    {.onnx = "LRN",
     .op = &cj_op_local_response_norm,
     .write = write_response_norm,
     .read = read_response_norm},
    {.onnx = "GroupNormalization",
     .op = &cj_op_group_norm,
     .write = write_group_norm,
     .read = read_group_norm,
     .operand = group_operand},
    {.onnx = "RMSNormalization", .read = read_rows_norm},
    {.onnx = "MeanVarianceNormalization", .read = read_mean_variance},
    {.onnx = "LpNormalization", .read = read_lp_norm},
    {.onnx = "RotaryEmbedding", .read = read_rotary},
    {0},
};
