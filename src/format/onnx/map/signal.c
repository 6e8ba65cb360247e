/* signal.c: Fourier transforms, windows, mel filters.
 *
 * ONNX's windows and filters are nodes whose sizes are operands; where these are known when
 * reading, the result is a constant. STFT has no frames around samples: those (center) and the
 * inverse are written as what they are made of. */
#include <math.h>

#include "format/onnx/map.h"
#include "format/onnx/tensor.h"
#include "graph/ops/fft.h"
#include "graph/ops/map.h"
#include "graph/ops/signal.h"

/* ---- DFT ------------------------------------------------------------------------------------- */

/* x from `begin` to `end` along an axis, backwards where step is -1. */
static const char *slice(cj__onnx_writer *w, const char *x, int64_t axis, int64_t begin,
                         int64_t end, int64_t step)
{
    return cj__onnx_step(w, "Slice", x, cj__onnx_ints(w, 1, &begin), cj__onnx_ints(w, 1, &end),
                         cj__onnx_ints(w, 1, &axis), cj__onnx_ints(w, 1, &step), NULL);
}

static const char *joined(cj__onnx_writer *w, const char *x, const char *y, int64_t axis)
{
    const char *all = cj__onnx_step(w, "Concat", x, y, NULL);
    cj__onnx_put_int(w, "axis", axis);
    return all;
}

/* The axis is an attribute up to opset 19, then operand 2 (NULL before). */
static const char *axis_operand(cj__onnx_writer *w)
{
    const cj__fft_attrs *a = w->call->attributes;
    return w->opset < 20 ? NULL : cj__onnx_scalar(w, CJ_I64, (double)a->axis);
}

static void put_axis(cj__onnx_writer *w)
{
    const cj__fft_attrs *a = w->call->attributes;
    if (w->opset < 20) cj__onnx_put_int(w, "axis", a->axis);
}

/* A real signal from half a spectrum, which DFT of this opset has not: the other half is its mirror
 * image, conjugate; the result's real part is the signal. */
static void write_real_inverse(cj__onnx_writer *w)
{
    const cj__fft_attrs *a = w->call->attributes;
    const cj_type *type = &w->call->in[0]->type;
    const int last = type->rank - 1;
    const int64_t n = a->length.v[0], have = type->dim[a->axis], bins = n / 2 + 1;
    if (n < 0 || have < 0) {
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED,
                        "half a spectrum is written with a size that is a number alone");
        return;
    }
    const char *x = cj__onnx_in(w, 0);
    if (type->dim[last] == 1) x = joined(w, x, cj__onnx_step(w, "Sub", x, x, NULL), last);
    if (have > bins) x = slice(w, x, a->axis, 0, bins, 1);
    if (have < bins) {
        int64_t pads[2 * CJ_RANK_MAX] = {0};
        pads[type->rank + a->axis] = bins - have;
        x = cj__onnx_step(w, "Pad", x, cj__onnx_ints(w, 2 * type->rank, pads), NULL);
    }
    if (n > 2) {
        const char *mirror = slice(w, x, a->axis, (n - 1) / 2, 0, -1);
        const char *imaginary = cj__onnx_step(w, "Neg", slice(w, mirror, last, 1, 2, 1), NULL);
        x = joined(w, x, joined(w, slice(w, mirror, last, 0, 1, 1), imaginary, last), a->axis);
    }
    const char *all = cj__onnx_step(w, "DFT", x, cj__onnx_dim_value(w, n), axis_operand(w), NULL);
    put_axis(w);
    cj__onnx_put_int(w, "inverse", 1);
    cj__onnx_last(w, "Slice", all, cj__onnx_ints(w, 1, (int64_t[]){0}),
                  cj__onnx_ints(w, 1, (int64_t[]){1}), cj__onnx_ints(w, 1, (int64_t[]){last}),
                  NULL);
}

static void write_fft(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__fft_attrs *a = w->call->attributes;
    const cj_type *x = &w->call->in[0]->type, *y = &w->call->out[0].type;
    (void)row;
    if (a->inverse && a->onesided) {
        write_real_inverse(w);
        return;
    }
    const char *names[] = {cj__onnx_in(w, 0), cj__onnx_dim_value(w, a->length.v[0]),
                           axis_operand(w)};
    bool cut = a->onesided && x->dim[x->rank - 1] == 2; /* onesided is for real operands */
    const char *all = NULL;
    if (cut) all = cj__onnx_step(w, "DFT", names[0], names[1], names[2], NULL);
    else cj__onnx_last_list(w, "DFT", names[2] ? 3 : 2, names);
    put_axis(w);
    if (a->inverse) cj__onnx_put_int(w, "inverse", 1);
    if (a->onesided && !cut) cj__onnx_put_int(w, "onesided", 1);
    if (!cut) return;
    cj__onnx_last(w, "Slice", all, cj__onnx_ints(w, 1, (int64_t[]){0}),
                  cj__onnx_dims(w, 1, &y->dim[a->axis]), cj__onnx_ints(w, 1, &a->axis), NULL);
}

/* The axis is an attribute up to opset 19, then input 2. */
static void read_dft(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    int64_t axis = cj__onnx_get_int(r, "axis", r->opset < 20 ? 1 : -2);
    bool inverse = cj__onnx_get_int(r, "inverse", 0), onesided = cj__onnx_get_int(r, "onesided", 0);
    cj_dim length = 0;
    (void)row;
    if (cj__onnx_has(r, 1) && cj__onnx_dims_in(r, 1, "dft_length", 1, &length) != 1) return;
    if (cj__onnx_has(r, 2) && cj__onnx_numbers_in(r, 2, "axis", 1, &axis) != 1) return;
    if (!x) return;
    if (axis == 0) axis = -(int64_t)x->type.rank; /* 0 is the default in options */
    cj__onnx_set(r, 0, cj_fft(x, &(cj_fft_opts){.axis = axis, .length = length, .inverse = inverse,
                                                .onesided = onesided}));
}

/* ---- STFT ------------------------------------------------------------------------------------ */

/* A real signal has a last axis of 1. */
static void write_stft(cj__onnx_writer *w, const cj__onnx_row *row)
{
    const cj__stft_attrs *a = w->call->attributes;
    if (a->center) {
        cj__onnx_write_lowered(w);
        return;
    }
    const char *x = cj__onnx_step(w, "Unsqueeze", cj__onnx_in(w, 0),
                                  cj__onnx_ints(w, 1, (int64_t[]){2}), NULL);
    const char *in[] = {x, cj__onnx_dim_value(w, a->hop),
                        w->call->n_in > 1 ? cj__onnx_in(w, 1) : "",
                        cj__onnx_dim_value(w, a->frame_length)};
    cj__onnx_last_list(w, row->onnx, 4, in);
    cj__onnx_put_int(w, "onesided", !a->twosided);
}

/* x [batch, samples] of [batch, samples, 1]: what was reshaped to that, or a reshape of it. */
static cj_node *without_parts(cj_node *x)
{
    const cj_node *from = x->call->n_in ? x->call->in[0] : NULL;
    if (x->call->op == &cj_op_reshape && from->type.rank == 2 &&
        from->type.dim[0] == x->type.dim[0] && from->type.dim[1] == x->type.dim[1])
        return x->call->in[0];
    return cj_squeeze(x, 2);
}

/* Of a + ib: F a + i F b, in parts (re a - im b, im a + re b). */
static cj_node *complex_stft(cj_node *x, const cj_stft_opts *o)
{
    cj_node *a = cj_stft(cj_squeeze(cj_slice_axis(x, 2, 0, 1), 2), o),
            *b = cj_stft(cj_squeeze(cj_slice_axis(x, 2, 1, 1), 2), o);
    if (!a || !b) return NULL;
    cj_node *turned = cj_concat((cj_node *[]){cj_neg(cj_slice_axis(b, -1, 1, 1)),
                                              cj_slice_axis(b, -1, 0, 1)},
                                2, -1);
    return cj_add(a, turned);
}

static void read_stft(cj__onnx_reader *r, const cj__onnx_row *row)
{
    cj_node *x = cj__onnx_node_in(r, 0),
            *window = cj__onnx_has(r, 2) ? cj__onnx_node_in(r, 2) : NULL;
    int64_t hop, length = 0;
    (void)row;
    if (!x || cj__onnx_numbers_in(r, 1, "frame_step", 1, &hop) != 1) return;
    if (cj__onnx_has(r, 3)) {
        if (cj__onnx_numbers_in(r, 3, "frame_length", 1, &length) != 1) return;
    } else if (window && window->type.rank == 1 && window->type.dim[0] > 0) {
        length = window->type.dim[0];
    }
    const bool complex = x->type.rank == 3 && x->type.dim[2] == 2;
    if (x->type.rank == 3 && x->type.dim[2] == 1) x = without_parts(x);
    if (!complex && (!x || x->type.rank != 2)) {
        cj__onnx_fail(r, CJ_ERR_SHAPE, "a signal of rank %d, expected [batch, samples, 1 or 2]",
                      x ? x->type.rank : 0);
        return;
    }
    if (hop < 1 || length < 1) {
        cj__onnx_fail(r, CJ_ERR_SHAPE,
                      "frame_step=%lld, frame_length=%lld; numbers from 1 on are expected",
                      (long long)hop, (long long)length);
        return;
    }
    cj_stft_opts o = {.frame_length = length,
                      .hop = hop,
                      .window = window,
                      .twosided = complex || !cj__onnx_get_int(r, "onesided", 1)};
    cj__onnx_set(r, 0, complex ? complex_stft(x, &o) : cj_stft(x, &o));
}

/* ---- Windows and filters --------------------------------------------------------------------- */

/* "output_datatype", f32 by default; CJ_DTYPE_NONE with a failure for what Cajal does not have. */
static cj_dtype result_dtype(cj__onnx_reader *r)
{
    int64_t code = cj__onnx_get_int(r, "output_datatype", 1);
    cj_dtype dtype = cj__onnx_type_dtype(code);
    if (dtype == CJ_DTYPE_NONE)
        cj__onnx_fail(r, CJ_ERR_UNSUPPORTED, "output_datatype is %s", cj__onnx_type_name(code));
    return dtype;
}

static void read_window(cj__onnx_reader *r, double a0, double a1, double a2)
{
    cj_dtype dtype = result_dtype(r);
    bool periodic = cj__onnx_get_int(r, "periodic", 1), floats = dtype && cj__is_float(dtype);
    int64_t size;
    if (!dtype || cj__onnx_numbers_in(r, 0, "size", 1, &size) != 1) return;
    cj_node *y = cj_cosine_window(r->g, floats ? dtype : CJ_F64, size, periodic, a0, a1, a2);
    cj__onnx_set(r, 0, cj_cast(y, dtype));
}

static void read_hann(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    read_window(r, 0.5, 0.5, 0);
}
static void read_hamming(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    read_window(r, 25.0 / 46, 21.0 / 46, 0);
}
static void read_blackman(cj__onnx_reader *r, const cj__onnx_row *row)
{
    (void)row;
    read_window(r, 0.42, 0.5, 0.08);
}

/* ONNX's own triangles: edges are whole bins, on HTK's scale. */
static void fill_mel(cj_dtype dtype, void *data, int64_t bins, int64_t bands, const double edge[3])
{
    const double low = 2595 * log10(1 + edge[0] / 700), high = 2595 * log10(1 + edge[1] / 700),
                 step = (high - low) / (double)(bands + 2);
    for (int64_t band = 0; band < bands; band++) {
        int64_t at[3];
        for (int i = 0; i < 3; i++) {
            double hz = 700 * (pow(10, (low + step * (double)(band + i)) / 2595) - 1);
            at[i] = (int64_t)floor(edge[2] * hz);
            at[i] = at[i] < 0 ? 0 : at[i] < bins ? at[i] : bins - 1;
        }
        for (int64_t j = at[0]; j <= at[1]; j++)
            cj_store_f64(dtype, data, (size_t)(j * bands + band),
                         at[1] == at[0] ? 1 : (double)(j - at[0]) / (double)(at[1] - at[0]));
        for (int64_t j = at[1]; j < at[2]; j++)
            cj_store_f64(dtype, data, (size_t)(j * bands + band),
                         (double)(at[2] - j) / (double)(at[2] - at[1]));
    }
}

static void read_mel(cj__onnx_reader *r, const cj__onnx_row *row)
{
    static const char *const names[] = {"num_mel_bins", "dft_length", "sample_rate",
                                        "lower_edge_hertz", "upper_edge_hertz"};
    cj_dtype dtype = result_dtype(r);
    double v[5];
    (void)row;
    for (size_t i = 0; i < 5; i++)
        if (!cj__onnx_number_in(r, i, names[i], &v[i])) return;
    if (!dtype) return;
    if (!(v[0] >= 1 && v[0] <= 65536 && v[1] >= 1 && v[1] <= 1 << 24 && v[2] > 0 && v[3] >= 0 &&
          v[3] <= v[4] && v[4] <= 1e9)) {
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "%g bands of %g numbers at %g Hz from %g to %g Hz are no mel filters", v[0],
                      v[1], v[2], v[3], v[4]);
        return;
    }
    int64_t bins = (int64_t)v[1] / 2 + 1, bands = (int64_t)v[0];
    cj_tensor *t = cj_tensor_new(r->cj, dtype, 2, (int64_t[]){bins, bands});
    void *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    if (data) {
        fill_mel(dtype, data, bins, bands, (double[]){v[3], v[4], (floor(v[1]) + 1) / v[2]});
        cj_tensor_unmap(t);
        cj__onnx_set(r, 0, cj_constant(r->g, t));
    } else {
        cj__onnx_fail(r, cj_last_status(r->cj), "%s", cj_message(r->cj));
    }
    cj_tensor_free(t);
}

const cj__onnx_row cj__onnx_rows_signal[] = {
    {.onnx = "DFT", .op = &cj_op_fft, .write = write_fft, .read = read_dft,
     .types = CJ__ONNX_FLOATS_BF},
    {.onnx = "STFT", .op = &cj_op_stft, .write = write_stft, .read = read_stft},
    {.onnx = "HannWindow", .read = read_hann},
    {.onnx = "HammingWindow", .read = read_hamming},
    {.onnx = "BlackmanWindow", .read = read_blackman},
    {.onnx = "MelWeightMatrix", .read = read_mel},
    {0},
};
