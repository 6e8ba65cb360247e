/* conv.c: convolutions.
 *
 * ONNX's images are channels-first. A channels-last call is written with a Transpose on either
 * side; when a file is read, a convolution behind such a Transpose becomes channels-last again and
 * its result is transposed for whoever comes next, so that the pairs in between cancel:
 *
 *     x --------> conv(last) ----> y              written and read
 *     x -> T -> Conv -> T' -> y                   as written; see turned.h
 *
 * The gradient with respect to the weights is a Conv with the parts exchanged: channels are the
 * batch, dy is the kernel, strides are dilations. */
#include <string.h>

#include <cajal/conv.h>

#include "format/onnx/map.h"
#include "graph/ops/window.h"

/* ---- Images ---------------------------------------------------------------------------------- */

/* Axes of a channels-first image taken from a channels-last one; or (back) the other way. */
static void permutation(int rank, bool back, int64_t p[CJ_RANK_MAX])
{
    for (int i = 0; i < rank; i++)
        p[i] = i == 0 ? 0 : back ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
}

const char *cj__onnx_transposed(cj__onnx_writer *w, const char *x, int rank, bool back)
{
    int64_t p[CJ_RANK_MAX];
    permutation(rank, back, p);
    const char *y = cj__onnx_step(w, "Transpose", x, NULL);
    cj__onnx_put_ints(w, "perm", rank, p);
    return y;
}

const char *cj__onnx_image(cj__onnx_writer *w, int i, int64_t channel_axis)
{
    const char *x = cj__onnx_in(w, i);
    return channel_axis == 1 ? x : cj__onnx_transposed(w, x, w->call->in[i]->type.rank, false);
}

void cj__onnx_last_transposed(cj__onnx_writer *w, const char *y, int rank)
{
    int64_t p[CJ_RANK_MAX];
    permutation(rank, true, p);
    cj__onnx_only(w, "Transpose", y);
    cj__onnx_put_ints(w, "perm", rank, p);
}

cj_node *cj__onnx_image_in(cj__onnx_reader *r, size_t i, bool *last)
{
    cj_node *x = cj__onnx_node_in(r, i);
    *last = false;
    if (!x || x->type.rank < 3 || x->call->op != &cj_op_transpose) return x;
    const cj_ints *have = &((const cj__permutation_attrs *)x->call->attributes)->permutation;
    int64_t p[CJ_RANK_MAX];
    permutation(x->type.rank, false, p);
    for (int k = 0; k < have->n; k++)
        if (have->v[k] != p[k]) return x;
    *last = have->n == x->type.rank;
    return *last ? x->call->in[0] : x;
}

void cj__onnx_set_image(cj__onnx_reader *r, size_t k, cj_node *y, bool last)
{
    int64_t p[CJ_RANK_MAX];
    if (y && last) {
        permutation(y->type.rank, false, p);
        y = cj_transpose(y, p);
    }
    cj__onnx_set(r, k, y);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int64_t at(cj_ints list, int i, int64_t missing)
{
    return list.n ? list.v[i] : missing;
}

/* Attributes of a window on w->node. Pads that only running tells are said by a word. */
static void put_window(cj__onnx_writer *w, int spatial, const int64_t *kernel)
{
    const cj__conv_attrs *a = w->call->attributes;
    int64_t strides[CJ__SPATIAL_MAX], dilations[CJ__SPATIAL_MAX], pads[2 * CJ__SPATIAL_MAX];
    bool padded = false;
    for (int i = 0; i < spatial; i++) {
        strides[i] = at(a->strides, i, 1);
        dilations[i] = at(a->dilations, i, 1);
        pads[i] = at(a->pads_before, i, 0);
        pads[spatial + i] = at(a->pads_after, i, 0);
        padded = padded || pads[i] || pads[spatial + i];
    }
    cj__onnx_put_ints(w, "kernel_shape", spatial, kernel);
    if (a->strides.n) cj__onnx_put_ints(w, "strides", spatial, strides);
    if (a->dilations.n) cj__onnx_put_ints(w, "dilations", spatial, dilations);
    if (padded) cj__onnx_put_ints(w, "pads", 2 * spatial, pads);
    if (a->padding == CJ__PADDING_SAME) cj__onnx_put_string(w, "auto_pad", "SAME_UPPER");
    if (a->padding == CJ__PADDING_SAME_LOWER) cj__onnx_put_string(w, "auto_pad", "SAME_LOWER");
    if (a->groups != 1) cj__onnx_put_int(w, "group", a->groups);
}

/* Operand i; bf16, which the Conv of this opset does not take, as f32. */
static const char *wide(cj__onnx_writer *w, int i)
{
    const char *x = cj__onnx_in(w, i);
    return w->call->in[i]->type.dtype == CJ_BF16 ? cj__onnx_cast(w, x, CJ_F32) : x;
}

static const char *wide_image(cj__onnx_writer *w, int i, int64_t channel_axis)
{
    const char *x = wide(w, i);
    return channel_axis == 1 ? x : cj__onnx_transposed(w, x, w->call->in[i]->type.rank, false);
}

/* What follows Conv: transposed back, the addend, the function, the dtype. */
static void write_conv(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__conv_attrs *a = w->call->attributes;
    const cj_type *y = &w->call->out[0].type, *weights = &w->call->in[1]->type;
    bool last = a->channel_axis != 1, narrow = y->dtype == CJ_BF16;
    int left = last + a->has_addend + (a->activation != CJ__EPILOGUE_NONE) + narrow;
    const char *x = wide_image(w, 0, a->channel_axis), *kernel = wide(w, 1);
    const char *bias = a->has_bias ? wide(w, 2) : NULL;
    const char *addend = a->has_addend ? wide(w, 2 + a->has_bias) : NULL;
    const char *value = cj__onnx_step_or_last(w, left, row->onnx, x, kernel, bias);
    put_window(w, y->rank - 2, &weights->dim[2]);
    if (last) {
        int64_t p[CJ_RANK_MAX];
        permutation(y->rank, true, p);
        value = cj__onnx_step_or_last(w, --left, "Transpose", value, NULL, NULL);
        cj__onnx_put_ints(w, "perm", y->rank, p);
    }
    if (addend) value = cj__onnx_step_or_last(w, --left, "Add", value, addend, NULL);
    if (a->activation != CJ__EPILOGUE_NONE)
        value = cj__onnx_step_or_last(w, --left, "Relu", value, NULL, NULL);
    if (narrow) {
        cj__onnx_last(w, "Cast", value, NULL);
        cj__onnx_put_int(w, "to", cj_dtype_info(CJ_BF16)->onnx);
    }
}

/* A transposed convolution says its result's size by output_padding; explicit pads stand for words
 * where sizes are numbers. */
static void put_transposed(cj__onnx_writer *w)
{
    const cj__conv_attrs *a = w->call->attributes;
    const cj_type *y = &w->call->in[0]->type, *x = &w->call->out[0].type,
                  *weights = &w->call->in[1]->type;
    cj_graph *g = w->scope->g;
    cj__sliding s = cj__conv_sliding(a);
    int spatial = x->rank - 2;
    int64_t more[CJ__SPATIAL_MAX], pads[2 * CJ__SPATIAL_MAX];
    cj__conv_attrs own = *a;
    bool same = a->padding == CJ__PADDING_SAME || a->padding == CJ__PADDING_SAME_LOWER, any = false;
    for (int i = 0; i < spatial; i++) {
        int axis = cj__spatial_axis(a->channel_axis, i);
        int64_t stride = at(a->strides, i, 1),
                reach = (weights->dim[2 + i] - 1) * at(a->dilations, i, 1) + 1;
        if (same && x->dim[axis] >= 0) {
            cj__window window = cj__window_of(&s, i, x->dim[axis], weights->dim[2 + i]);
            pads[i] = window.before;
            pads[spatial + i] = window.after;
        } else {
            pads[i] = at(a->pads_before, i, 0);
            pads[spatial + i] = at(a->pads_after, i, 0);
        }
        cj_dim natural = cj_dim_mul(g, y->dim[axis], stride);
        int64_t fixed = reach - stride - pads[i] - pads[spatial + i];
        if (same && x->dim[axis] < 0) fixed = 0;
        natural = fixed < 0 ? cj_dim_sub(g, natural, -fixed) : cj_dim_add(g, natural, fixed);
        more[i] = cj_dim_sub(g, x->dim[axis], natural);
        any = any || more[i];
        if (more[i] < 0 || g->failed) {
            cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED,
                            "the size %s of its result is not one that ConvTranspose gives",
                            cj_dim_text(g, x->dim[axis]));
            return;
        }
        if (same && x->dim[axis] >= 0) own.padding = CJ__PADDING_EXPLICIT;
    }
    if (own.padding == CJ__PADDING_EXPLICIT) {
        own.pads_before = (cj_ints){spatial, pads};
        own.pads_after = (cj_ints){spatial, pads + spatial};
    }
    cj_call call = *w->call; /* the same with the pads in numbers */
    const cj_call *outer = w->call;
    call.attributes = &own;
    w->call = &call;
    put_window(w, spatial, &weights->dim[2]);
    w->call = outer;
    if (any) cj__onnx_put_ints(w, "output_padding", spatial, more);
}

static void write_transposed(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__conv_attrs *a = w->call->attributes;
    const cj_type *x = &w->call->out[0].type;
    bool last = a->channel_axis != 1, narrow = x->dtype == CJ_BF16;
    const char *y = wide_image(w, 0, a->channel_axis), *kernel = wide(w, 1);
    const char *value = cj__onnx_step_or_last(w, last + narrow, row->onnx, y, kernel, NULL);
    put_transposed(w);
    if (last) {
        int64_t p[CJ_RANK_MAX];
        permutation(x->rank, true, p);
        value = cj__onnx_step_or_last(w, narrow, "Transpose", value, NULL, NULL);
        cj__onnx_put_ints(w, "perm", x->rank, p);
    }
    if (!narrow) return;
    cj__onnx_last(w, "Cast", value, NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(CJ_BF16)->onnx);
}

/* [n, groups in, spatial] as [in, groups n, spatial]: the images of a group are its channels. */
static const char *channels_as_batch(cj__onnx_writer *w, const char *x, const cj_type *type,
                                     int64_t groups)
{
    const cj__conv_attrs *a = w->call->attributes;
    cj_dim dims[CJ_RANK_MAX];
    int64_t p[CJ_RANK_MAX];
    cj_dim in = type->dim[a->channel_axis] / groups;
    int rank = type->rank;
    dims[0] = type->dim[0];
    dims[1] = groups;
    dims[2] = in;
    for (int i = 0; i < rank - 2; i++)
        dims[3 + i] = type->dim[cj__spatial_axis(a->channel_axis, i)];
    for (int i = 0; i < rank + 1; i++) p[i] = i < 3 ? (int64_t[]){2, 1, 0}[i] : i;
    if (groups > 1) x = cj__onnx_step(w, "Reshape", x, cj__onnx_dims(w, rank + 1, dims), NULL);
    if (groups > 1) cj__onnx_put_int(w, "allowzero", 1);
    for (int i = 0; groups == 1 && i < rank; i++) p[i] = i < 2 ? 1 - i : i;
    x = cj__onnx_step(w, "Transpose", x, NULL);
    cj__onnx_put_ints(w, "perm", rank + (groups > 1), p);
    if (groups == 1) return x;
    dims[1] = cj_dim_mul(w->scope->g, groups, dims[0]);
    dims[0] = in;
    for (int i = 2; i < rank; i++) dims[i] = dims[i + 1];
    x = cj__onnx_step(w, "Reshape", x, cj__onnx_dims(w, rank, dims), NULL);
    cj__onnx_put_int(w, "allowzero", 1);
    return x;
}

static void write_weight_grad(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__conv_attrs *a = w->call->attributes;
    const cj_type *x = &w->call->in[0]->type, *out = &w->call->out[0].type;
    int rank = x->rank, spatial = rank - 2;
    cj__sliding s = cj__conv_sliding(a);
    int64_t strides[CJ__SPATIAL_MAX], dilations[CJ__SPATIAL_MAX], pads[2 * CJ__SPATIAL_MAX],
        p[CJ_RANK_MAX], zeros[CJ__SPATIAL_MAX] = {0}, axes[CJ__SPATIAL_MAX];
    (void)row;
    for (int i = 0; i < spatial; i++) {
        int64_t n = x->dim[cj__spatial_axis(a->channel_axis, i)];
        if (n < 0 && a->padding >= CJ__PADDING_SAME) {
            cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "padding=same of %s elements",
                            cj_dim_text(w->scope->g, n));
            return;
        }
        cj__window window = cj__window_of(&s, i, n < 0 ? 0 : n, out->dim[2 + i]);
        strides[i] = at(a->dilations, i, 1);
        dilations[i] = at(a->strides, i, 1);
        pads[i] = window.before;
        pads[spatial + i] = window.after;
        axes[i] = 2 + i;
    }
    for (int i = 0; i < rank; i++) p[i] = i < 2 ? 1 - i : i;
    bool narrow = out->dtype == CJ_BF16;
    const char *image = channels_as_batch(w, wide_image(w, 0, a->channel_axis), x, a->groups);
    const char *kernel = cj__onnx_step(w, "Transpose", wide_image(w, 1, a->channel_axis), NULL);
    cj__onnx_put_ints(w, "perm", rank, p);
    const char *sums = cj__onnx_step(w, "Conv", image, kernel, NULL);
    cj__onnx_put_ints(w, "strides", spatial, strides);
    cj__onnx_put_ints(w, "dilations", spatial, dilations);
    cj__onnx_put_ints(w, "pads", 2 * spatial, pads);
    if (a->groups != 1) cj__onnx_put_int(w, "group", a->groups);
    sums = cj__onnx_step(w, "Slice", sums, cj__onnx_ints(w, spatial, zeros),
                         cj__onnx_ints(w, spatial, &out->dim[2]), cj__onnx_ints(w, spatial, axes),
                         NULL);
    sums = cj__onnx_step_or_last(w, narrow, "Transpose", sums, NULL, NULL);
    cj__onnx_put_ints(w, "perm", rank, p);
    if (!narrow) return;
    cj__onnx_last(w, "Cast", sums, NULL);
    cj__onnx_put_int(w, "to", cj_dtype_info(CJ_BF16)->onnx);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* A list of numbers by spatial axis; false when it is not there. */
static bool read_list(cj__onnx_reader *r, const char *name, int n, int64_t *out)
{
    int found = cj__onnx_get_ints(r, name, n, out);
    if (found >= 0 && found != n)
        cj__onnx_fail(r, CJ_ERR_DATA, "%s has %d elements, expected %d", name, found, n);
    return found == n && !r->failed;
}

static const char *padding_of(cj__onnx_reader *r)
{
    static const struct {
        const char *word, *padding;
    } words[] = {{"NOTSET", NULL}, {"VALID", "valid"}, {"SAME_UPPER", "same"},
                 {"SAME_LOWER", "same_lower"}};
    char word[32];
    if (!cj__onnx_get_word(r, "auto_pad", "NOTSET", word)) return NULL;
    for (size_t i = 0; i < CJ__COUNT(words); i++)
        if (!strcmp(word, words[i].word)) return words[i].padding;
    cj__onnx_fail(r, CJ_ERR_DATA, "auto_pad '%s' is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER",
                  word);
    return NULL;
}

/* The window's attributes for images like x; false: the reader has failed. */
static bool read_window(cj__onnx_reader *r, const cj_node *x, const cj_node *w, cj_conv_opts *o)
{
    int spatial = x->type.rank - 2;
    int64_t pads[2 * CJ__SPATIAL_MAX], kernel[CJ__SPATIAL_MAX];
    if (spatial < 1 || spatial > CJ__SPATIAL_MAX || w->type.rank != x->type.rank) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "an image of rank %d and weights of rank %d", x->type.rank,
                      w->type.rank);
        return false;
    }
    read_list(r, "strides", spatial, o->strides);
    read_list(r, "dilations", spatial, o->dilations);
    for (int i = 0; i < spatial && !r->failed; i++)
        if ((cj__onnx_has_attribute(r, "strides") && o->strides[i] < 1) ||
            (cj__onnx_has_attribute(r, "dilations") && o->dilations[i] < 1))
            cj__onnx_fail(r, CJ_ERR_DATA, "a stride or dilation less than 1");
    if (read_list(r, "kernel_shape", spatial, kernel))
        for (int i = 0; i < spatial; i++)
            if (kernel[i] != w->type.dim[2 + i] && w->type.dim[2 + i] >= 0)
                cj__onnx_fail(r, CJ_ERR_DATA, "kernel_shape[%d] is %lld, and the weights have %lld",
                              i, (long long)kernel[i], (long long)w->type.dim[2 + i]);
    o->padding = padding_of(r);
    o->groups = cj__onnx_get_int(r, "group", 1);
    if (o->groups < 1) cj__onnx_fail(r, CJ_ERR_DATA, "group is %lld", (long long)o->groups);
    if (!o->padding && read_list(r, "pads", 2 * spatial, pads))
        for (int i = 0; i < spatial; i++) {
            o->pads_before[i] = pads[i];
            o->pads_after[i] = pads[spatial + i];
        }
    return !r->failed;
}

cj_node *cj__onnx_conv(cj__onnx_reader *r, cj_node *x, cj_node *w)
{
    cj_conv_opts o = {.channel_axis = 1};
    return x && w && read_window(r, x, w, &o) ? (cj_conv)(x, w, &o) : NULL;
}

static void read_conv(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last;
    cj_node *x = cj__onnx_image_in(r, 0, &last), *w = cj__onnx_node_in(r, 1);
    cj_conv_opts o = {0};
    (void)row;
    if (!x || !w || !read_window(r, x, w, &o)) return;
    o.channel_axis = last ? -1 : 1;
    if (cj__onnx_has(r, 2)) o.bias = cj__onnx_node_in(r, 2);
    cj__onnx_set_image(r, 0, (cj_conv)(x, w, &o), last);
}

/* Sizes asked for: the pads are what is too much, the larger half before unless SAME_UPPER; what is
 * too little is added behind. */
static bool read_output_shape(cj__onnx_reader *r, const cj_node *y, const cj_node *w, bool last,
                              const char *padding, cj_conv_opts *o)
{
    int spatial = y->type.rank - 2;
    int64_t sizes[CJ__SPATIAL_MAX];
    if (!read_list(r, "output_shape", spatial, sizes)) return !r->failed;
    bool upper = padding && !strcmp(padding, "same");
    for (int i = 0; i < spatial; i++) {
        int64_t stride = o->strides[i] ? o->strides[i] : 1;
        int64_t dilation = o->dilations[i] ? o->dilations[i] : 1, total;
        cj_dim n = y->type.dim[cj__spatial_axis(last ? -1 : 1, i)], kernel = w->type.dim[2 + i];
        if (n < 0 || kernel < 1) {
            cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "output_shape for an image of unknown size");
            return false;
        }
        if (CJ__MUL_OVERFLOWS(n - 1, stride, &total) || total > INT32_MAX ||
            sizes[i] > INT32_MAX || dilation > INT32_MAX || kernel > INT32_MAX) {
            cj__onnx_fail(r, CJ_ERR_LIMIT, "output_shape[%d] is too large", i);
            return false;
        }
        total += o->output_padding[i] + (kernel - 1) * dilation + 1 - sizes[i];
        o->pads_before[i] = total <= 0 ? 0 : upper ? total / 2 : total - total / 2;
        o->pads_after[i] = total <= 0 ? 0 : total - o->pads_before[i];
        if (total < 0) o->output_padding[i] -= total;
    }
    o->padding = NULL;
    return true;
}

static void read_transposed(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last;
    cj_node *y = cj__onnx_image_in(r, 0, &last), *w = cj__onnx_node_in(r, 1);
    cj_conv_opts o = {0};
    (void)row;
    if (!y || !w || !read_window(r, y, w, &o)) return;
    o.channel_axis = last ? -1 : 1;
    read_list(r, "output_padding", y->type.rank - 2, o.output_padding);
    if (!read_output_shape(r, y, w, last, o.padding, &o)) return;
    if (cj__onnx_has(r, 2)) o.bias = cj__onnx_node_in(r, 2);
    cj__onnx_set_image(r, 0, (cj_conv_transpose)(y, w, &o), last);
}

static bool is_size(int64_t v, int64_t least) { return v >= least && v <= INT32_MAX; }

/* Columns [n, channels places, windows], the windows of all axes in one. */
static void read_columns(cj__onnx_reader *r, const cj__onnx_row *row)
{
    int64_t kernel[CJ__SPATIAL_MAX], pads[2 * CJ__SPATIAL_MAX] = {0};
    cj_conv_opts o = {.channel_axis = 1};
    cj_node *x = cj__onnx_node_in(r, 0);
    int n = cj__onnx_numbers_in(r, 1, "image_shape", CJ__SPATIAL_MAX, o.output_size);
    int m = cj__onnx_numbers_in(r, 2, "block_shape", CJ__SPATIAL_MAX, kernel);
    (void)row;
    if (!x || r->failed) return;
    if (x->type.rank != 3 || n < 1 || m != n) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "columns of rank %d, %d sizes and %d of a block; rank 3 and "
                      "as many of both are expected", x->type.rank, n, m);
        return;
    }
    cj_dim dims[CJ_RANK_MAX] = {x->type.dim[0], x->type.dim[1]};
    if (!read_list(r, "strides", n, o.strides))
        for (int i = 0; i < n; i++) o.strides[i] = 1;
    if (!read_list(r, "dilations", n, o.dilations))
        for (int i = 0; i < n; i++) o.dilations[i] = 1;
    read_list(r, "pads", 2 * n, pads);
    for (int i = 0; i < n && !r->failed; i++) {
        if (!is_size(o.output_size[i], 1) || !is_size(kernel[i], 1) || !is_size(o.strides[i], 1) ||
            !is_size(o.dilations[i], 1) || !is_size(pads[i], 0) || !is_size(pads[n + i], 0)) {
            cj__onnx_fail(r, CJ_ERR_DATA, "a size, stride, dilation or pad of axis %d is out of "
                          "range", i);
            return;
        }
        o.pads_before[i] = pads[i];
        o.pads_after[i] = pads[n + i];
        int64_t free = o.output_size[i] + pads[i] + pads[n + i] - (kernel[i] - 1) * o.dilations[i];
        dims[2 + i] = free < 1 ? 0 : (free - 1) / o.strides[i] + 1;
    }
    if (!r->failed)
        cj__onnx_set(r, 0, (cj_col2im)(cj_reshape(x, 2 + n, dims), kernel, &o));
}

const cj__onnx_row cj__onnx_rows_conv[] = {
    {.onnx = "Conv", .op = &cj_op_conv, .write = write_conv, .read = read_conv},
    {.onnx = "ConvTranspose", .op = &cj_op_conv_transpose, .write = write_transposed,
     .read = read_transposed},
    {.op = &cj_op_conv_weight_grad, .write = write_weight_grad},
    {.onnx = "Col2Im", .read = read_columns},
    {0},
};
