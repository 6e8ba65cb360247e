/* pool.c: pooling and unpooling; global pooling is read as reductions.
 *
 * ONNX counts the indices of MaxPool over the whole tensor x, we count places inside the window.
 * They are computed where a file uses them, from our index by arithmetic. */
#include <string.h>

#include <cajal/pool.h>

#include "format/onnx/map.h"
#include "graph/ops/pool.h"

/* ---- Writing --------------------------------------------------------------------------------- */

static void put_window(cj__onnx_writer *w, const cj__pool_attrs *a)
{
    cj__sliding s = cj__pool_sliding(a);
    int n = a->kernel.n;
    int64_t pads[2 * CJ__SPATIAL_MAX];
    for (int i = 0; i < n; i++) {
        pads[i] = s.pads_before.n ? s.pads_before.v[i] : 0;
        pads[n + i] = s.pads_after.n ? s.pads_after.v[i] : 0;
    }
    cj__onnx_put_ints(w, "kernel_shape", n, a->kernel.v);
    cj__onnx_put_ints(w, "strides", n, s.strides.v);
    if (s.pads_before.n || s.pads_after.n) cj__onnx_put_ints(w, "pads", 2 * n, pads);
    if (a->padding == CJ__PADDING_SAME) cj__onnx_put_string(w, "auto_pad", "SAME_UPPER");
    if (a->padding == CJ__PADDING_SAME_LOWER) cj__onnx_put_string(w, "auto_pad", "SAME_LOWER");
    if (a->ceil_mode) cj__onnx_put_int(w, "ceil_mode", 1);
}

static bool is_dilated(const cj__pool_attrs *a)
{
    for (int i = 0; i < a->dilations.n; i++)
        if (a->dilations.v[i] != 1) return true;
    return false;
}

static void write_pool(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__pool_attrs *a = w->call->attributes;
    const cj_op *op = w->call->op;
    bool max = op == &cj_op_max_pool, lp = op == &cj_op_lp_pool, last = a->channel_axis != 1;
    double p = lp ? ((const cj__lp_pool_attrs *)w->call->attributes)->p : 1;
    bool takes = max  ? !cj__onnx_is_read(w, &w->call->out[1])
                 : lp ? !a->ceil_mode && !is_dilated(a) && p == (double)(int64_t)p
                      : !a->sum && !is_dilated(a);
    takes = takes && row->types & CJ__ONNX_BIT(w->call->in[0]->type.dtype);
    if (!takes) {
        cj__onnx_write_lowered(w);
        return;
    }
    const char *x = cj__onnx_image(w, 0, a->channel_axis), *y = NULL;
    if (last) y = cj__onnx_step(w, row->onnx, x, NULL);
    else cj__onnx_only(w, row->onnx, x);
    put_window(w, a);
    if (max && is_dilated(a))
        cj__onnx_put_ints(w, "dilations", a->dilations.n, a->dilations.v);
    if (!max && !lp) cj__onnx_put_int(w, "count_include_pad", a->count_include_pad);
    if (lp) cj__onnx_put_int(w, "p", (int64_t)p);
    if (last) cj__onnx_last_transposed(w, y, a->kernel.n + 2);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* `n` numbers of a list attribute; false when it is absent, or (with a failure) of another length.
 */
static bool read_list(cj__onnx_reader *r, const char *name, int n, int64_t *out)
{
    int found = cj__onnx_get_ints(r, name, 2 * CJ__SPATIAL_MAX, out);
    if (found == n || found < 0) return found == n;
    cj__onnx_fail(r, CJ_ERR_DATA, "%s has %d numbers, expected %d", name, found, n);
    return false;
}

static bool read_window(cj__onnx_reader *r, const cj_node *x, bool last, cj_pool_opts *o)
{
    char pad[32];
    int spatial = x->type.rank - 2;
    int64_t pads[2 * CJ__SPATIAL_MAX], least = 1;
    *o = (cj_pool_opts){.struct_size = sizeof *o, .channel_axis = last ? -1 : 1};
    if (spatial < 1 || spatial > CJ__SPATIAL_MAX) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d, expected 3 to 5", x->type.rank);
        return false;
    }
    if (!read_list(r, "kernel_shape", spatial, o->kernel))
        cj__onnx_fail(r, CJ_ERR_DATA, "kernel_shape is missing");
    bool strides = read_list(r, "strides", spatial, o->strides),
         dilations = read_list(r, "dilations", spatial, o->dilations);
    if (!strides) o->strides[0] = 1;
    if (!dilations) o->dilations[0] = 1;
    if (!cj__onnx_get_word(r, "auto_pad", "NOTSET", pad) || r->failed) return false;
    for (int i = 0; i < spatial; i++)
        if (o->kernel[i] < least)
            cj__onnx_fail(r, CJ_ERR_DATA, "kernel_shape[%d] is %lld", i, (long long)o->kernel[i]);
        else if ((strides && o->strides[i] < 1) || (dilations && o->dilations[i] < 1))
            cj__onnx_fail(r, CJ_ERR_DATA, "stride %lld and dilation %lld, expected 1 and more",
                          (long long)o->strides[i], (long long)o->dilations[i]);
    o->padding = !strcmp(pad, "SAME_UPPER")   ? "same"
                 : !strcmp(pad, "SAME_LOWER") ? "same_lower"
                 : !strcmp(pad, "VALID")      ? "valid"
                                              : NULL;
    if (!o->padding && strcmp(pad, "NOTSET") && *pad)
        cj__onnx_fail(r, CJ_ERR_DATA, "auto_pad is '%s'", pad);
    if (!o->padding && read_list(r, "pads", 2 * spatial, pads))
        for (int i = 0; i < spatial; i++) {
            o->pads_before[i] = pads[i];
            o->pads_after[i] = pads[spatial + i];
        }
    o->ceil_mode = cj__onnx_get_int(r, "ceil_mode", 0);
    return !r->failed;
}

/* The index over the whole of a channels-first x; by columns: the first spatial axis is the
 * fastest.
 */
static cj_node *whole_index(cj_node *pooled, bool columns)
{
    const cj_type *x = &pooled->call->in[0]->type, *y = &pooled->type;
    cj_graph *g = cj_node_graph(pooled);
    cj_node *flat = cj_pool_flat_index(pooled), *turned = NULL;
    cj_dim plane = 1;
    for (int i = 2; i < x->rank; i++) plane = cj_dim_mul(g, plane, x->dim[i]);
    cj_dim stride = plane;
    for (int i = x->rank - 1; columns && i >= 2; i--) { /* the last axis is that of rows */
        stride = cj_dim_div(g, stride, x->dim[i]);
        cj_node *place = cj_mul(cj_mod(flat, cj_dim_value(g, x->dim[i])), cj_dim_value(g, stride));
        turned = turned ? cj_add(turned, place) : place;
        flat = cj_div(flat, cj_dim_value(g, x->dim[i]));
    }
    if (columns) flat = turned;
    cj_node *image = cj_iota(g, CJ_I64, 0, y->rank, y->dim),
            *channel = cj_iota(g, CJ_I64, 1, y->rank, y->dim);
    cj_node *before = cj_add(cj_mul(image, cj_dim_value(g, x->dim[1])), channel);
    return cj_add(cj_mul(before, cj_dim_value(g, plane)), flat);
}

static void read_max_pool(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last = false, wants = cj__onnx_wants(r, 1),
         columns = cj__onnx_get_int(r, "storage_order", 0);
    cj_node *x = wants ? cj__onnx_node_in(r, 0) : cj__onnx_image_in(r, 0, &last);
    cj_pool_opts o;
    (void)row;
    if (!x || !read_window(r, x, last, &o)) return;
    cj_node *y = (cj_max_pool)(x, &o);
    cj__onnx_set_image(r, 0, y, last);
    if (wants && y) cj__onnx_set(r, 1, whole_index(y, columns));
}

/* p is a float in opset 1, an int after. */
static double power(cj__onnx_reader *r)
{
    return r->opset < 2 ? cj__onnx_get_float(r, "p", 2) : (double)cj__onnx_get_int(r, "p", 2);
}

static void read_pool(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last;
    cj_node *x = cj__onnx_image_in(r, 0, &last);
    cj_pool_opts o;
    if (!x || !read_window(r, x, last, &o)) return;
    bool lp = !strcmp(row->onnx, "LpPool");
    o.count_include_pad = !lp && cj__onnx_get_int(r, "count_include_pad", 0);
    o.p = lp ? power(r) : 0;
    cj__onnx_set_image(r, 0, lp ? (cj_lp_pool)(x, &o) : (cj_avg_pool)(x, &o), last);
}

static void read_global(cj__onnx_reader *r, const cj__onnx_row *row)
{
    bool last;
    cj_node *x = cj__onnx_image_in(r, 0, &last), *y;
    int64_t axes[CJ_RANK_MAX];
    if (!x) return;
    int rank = x->type.rank;
    if (rank < 3) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand of rank %d, expected 3 or more", rank);
        return;
    }
    for (int i = 2; i < rank; i++) axes[i - 2] = last ? i - 1 : i;
    if (!strcmp(row->onnx, "GlobalLpPool")) {
        double p = power(r);
        cj_dtype dtype = x->type.dtype;
        if (p == 2) y = cj_sqrt(cj_reduce_sum(cj_square(x), rank - 2, axes, true));
        else {
            y = cj_pow(cj_abs(x), cj_scalar(r->g, dtype, p));
            y = cj_pow(cj_reduce_sum(y, rank - 2, axes, true), cj_scalar(r->g, dtype, 1 / p));
        }
    } else {
        y = row->reduce(x, rank - 2, axes, true);
    }
    cj__onnx_set_image(r, 0, y, last);
}

/* Indices count over the whole of the result that the window gives; output_shape may add to that.
 */
static void read_unpool(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *y = cj__onnx_node_in(r, 0), *index = cj__onnx_node_in(r, 1);
    int64_t wanted[CJ_RANK_MAX], before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    cj_dim dims[CJ_RANK_MAX], all = 1, count = 1;
    cj_pool_opts o;
    (void)row;
    if (!y || !index || !read_window(r, y, false, &o)) return;
    int rank = y->type.rank;
    for (int i = 0; i < rank; i++) {
        dims[i] = y->type.dim[i];
        count = cj_dim_mul(r->g, count, dims[i]);
        if (i >= 2) {
            int64_t stride = o.strides[i - 2] ? o.strides[i - 2] : 1;
            dims[i] = cj_dim_mul(r->g, cj_dim_sub(r->g, dims[i], 1), stride);
            dims[i] = cj_dim_add(r->g, dims[i], o.kernel[i - 2]);
            int64_t pads = o.pads_before[i - 2] + o.pads_after[i - 2];
            if (pads < 0 || r->g->failed) return;
            dims[i] = cj_dim_sub(r->g, dims[i], pads);
        }
        all = cj_dim_mul(r->g, all, dims[i]);
    }
    cj_node *zeros = cj_broadcast_to(cj_scalar(r->g, y->type.dtype, 0), 1, &all);
    cj_node *x = cj_scatter_along(zeros, cj_reshape(index, 1, &count), cj_reshape(y, 1, &count), 0,
                                  CJ_SCATTER_REPLACE);
    x = cj_reshape(x, rank, dims);
    if (cj__onnx_has(r, 2)) {
        if (cj__onnx_numbers_in(r, 2, "output_shape", rank, wanted) != rank) {
            cj__onnx_fail(r, CJ_ERR_DATA, "output_shape has not %d numbers", rank);
            return;
        }
        for (int i = 2; i < rank; i++) {
            if (dims[i] < 0) {
                cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "output_shape for an image of unknown size");
                return;
            }
            after[i] = wanted[i] - dims[i];
        }
        x = cj_pad(x, before, after, 0);
    }
    cj__onnx_set(r, 0, x);
}

const cj__onnx_row cj__onnx_rows_pool[] = {
    {.onnx = "MaxPool", .op = &cj_op_max_pool, .write = write_pool, .read = read_max_pool,
     .types = CJ__ONNX_FLOATS | CJ__ONNX_BYTES},
    {.onnx = "AveragePool", .op = &cj_op_avg_pool, .write = write_pool, .read = read_pool,
     .types = CJ__ONNX_FLOATS},
    {.onnx = "LpPool", .op = &cj_op_lp_pool, .write = write_pool, .read = read_pool,
     .types = CJ__ONNX_FLOATS},
    {.onnx = "GlobalAveragePool", .read = read_global, .reduce = cj_reduce_mean},
    {.onnx = "GlobalMaxPool", .read = read_global, .reduce = cj_reduce_max},
    {.onnx = "GlobalLpPool", .read = read_global},
    {.onnx = "MaxUnpool", .read = read_unpool},
    {0},
};
