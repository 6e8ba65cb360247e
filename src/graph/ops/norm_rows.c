/* norm_rows.c: layer and RMS normalisation: statistics that belong to rows.
 *
 *     layer_norm   c = x - mean     y = c r scale + shift     r = 1 / sqrt(mean of c^2 + epsilon)
 *     rms_norm     c = x            y = c r scale
 *
 * A row is what lies along the axes from `axis` to the last; it fits a cache, so that the sums and
 * the elementwise expression behind them are one walk over it. Scale and shift are as long as a
 * row. Backward, with g = dy scale and n numbers a row:
 *
 *     dr = sum(g c) + what came for r        dmean = -r sum(g) + what came for the mean
 *     d (mean of c^2) = -r^3 dr / 2
 *     dx = g r - r^3 dr c / n + dmean / n   =   g r + x c1 + c0       numbers of a row: r, c1, c0
 *     d scale = sum over rows of dy c r      d shift = sum over rows of dy */
#include "graph/ops/block.h"
#include "graph/ops/norm.h"

#include <cajal/norm.h>

static cj_status rows_infer(cj_infer *infer)
{
    cj__norm_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    const char *names[4];
    int n = cj__norm_vectors(a, names);
    if (x->rank < 1) return cj_infer_fail(infer, CJ_ERR_SHAPE, "x is a scalar");
    CJ__TRY(cj_infer_axis(infer, &a->axis, x->rank));
    if (infer->call->n_in != 1 + n)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d operands, its attributes name %d",
                             infer->call->n_in, 1 + n);
    CJ__TRY(cj__infer_norm_vectors(infer, n, names, x->rank - (int)a->axis, &x->dim[a->axis]));
    infer->out[0] = infer->out[1] = *x;
    infer->out[1].dtype = cj__wide(x->dtype);
    for (int i = (int)a->axis; i < x->rank; i++) infer->out[1].dim[i] = 1;
    if (infer->call->op == &cj_op_layer_norm) infer->out[2] = infer->out[1];
    return CJ_OK;
}

typedef struct rows {
    const cj_type *type; /* of x */
    cj_dtype wide;
    cj_node *x, *scale, *shift; /* NULL: absent */
    bool centred;               /* layer_norm */
    int64_t axes[CJ_RANK_MAX];
    int n_axes;
    cj_node *share;             /* 1 / length of a row */
} rows;

static rows rows_of(cj_graph *g, cj_call *call)
{
    const cj__norm_attrs *a = call->attributes;
    rows m = {.type = &call->in[0]->type, .centred = call->op == &cj_op_layer_norm};
    m.wide = cj__wide(m.type->dtype);
    m.x = cj_cast(call->in[0], m.wide);
    if (a->has_scale) m.scale = call->in[1];
    if (a->has_shift) m.shift = call->in[1 + a->has_scale];
    cj_dim n = 1;
    for (int i = (int)a->axis; i < m.type->rank; i++) {
        m.axes[m.n_axes++] = i;
        n = cj_dim_mul(g, n, m.type->dim[i]);
    }
    m.share = cj__norm_share(g, m.wide, n);
    return m;
}

static cj_node *row_sums(const rows *m, cj_node *e)
{
    return e && !cj__is_zero(e) ? cj_reduce_sum(e, m->n_axes, m->axes, true) : e;
}

/* Sums over all rows: the shape of a row. */
static cj_node *over_rows(const rows *m, cj_node *e)
{
    int64_t axes[CJ_RANK_MAX];
    int n = m->type->rank - m->n_axes;
    for (int i = 0; i < n; i++) axes[i] = i;
    return e && !cj__is_zero(e) && n ? cj_reduce_sum(e, n, axes, false) : e;
}

static bool rows_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    rows m = rows_of(g, call);
    double epsilon = ((const cj__norm_attrs *)call->attributes)->epsilon;
    cj_node *mean = m.centred ? cj_mul(row_sums(&m, m.x), m.share) : NULL;
    cj_node *c = m.centred ? cj_sub(m.x, mean) : m.x;
    cj_node *r = cj_rsqrt(cj_shift(cj_mul(row_sums(&m, cj_square(c)), m.share), epsilon));
    cj_node *y = cj_mul(c, r);
    if (m.scale) y = cj_mul(y, m.scale);
    if (m.shift) y = cj_add(y, m.shift);
    out[0] = cj_cast(y, m.type->dtype);
    out[1] = m.centred ? mean : r;
    if (m.centred) out[2] = r;
    return out[0] != NULL;
}

static void rows_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    rows m = rows_of(g, call);
    cj_node *mean = m.centred ? &call->out[1] : NULL, *r = &call->out[m.centred ? 2 : 1];
    cj_node *dmean = m.centred ? dys[1] : cj_zero, *dr = dys[m.centred ? 2 : 1];
    cj_node *dy = cj_cast(dys[0], m.wide), *c = m.centred ? cj_sub(m.x, mean) : m.x;
    cj_node *scaled = m.scale ? cj_mul(dy, m.scale) : dy;
    dr = cj_add(dr, row_sums(&m, cj_mul(scaled, c)));
    cj_node *cube = cj_mul(cj_mul(r, cj_square(r)), m.share);
    cj_node *c1 = cj_neg(cj_mul(cube, dr));
    dx[0] = cj_add(cj_mul(scaled, r), cj_mul(m.x, c1));
    if (m.centred) {
        dmean = cj_sub(dmean, cj_mul(r, row_sums(&m, scaled)));
        dx[0] = cj_add(dx[0], cj_sub(cj_mul(dmean, m.share), cj_mul(mean, c1)));
    }
    dx[0] = cj_cast(dx[0], m.type->dtype);
    int k = 1;
    if (m.scale) dx[k++] = over_rows(&m, cj_mul(cj_mul(dy, c), r));
    if (m.shift) dx[k++] = over_rows(&m, dy);
}

cj_node *cj_layer_norm(cj_node *x, const cj_norm_opts *opts)
{
    return cj__norm_apply(&cj_op_layer_norm, x, opts, CJ__NORM_SHIFT | CJ__NORM_ROWS);
}

cj_node *cj_rms_norm(cj_node *x, const cj_norm_opts *opts)
{
    return cj__norm_apply(&cj_op_rms_norm, x, opts, CJ__NORM_ROWS);
}

/* The shared shapes over the last axis, then from another one on; epsilon 0.1 as norm.c has it. */
static cj_node *rows_sample(cj_sampler *s, int i, bool centred)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (i >= 46 || !cj_sample_shape(i % 23 + 1, &rank, dims)) return NULL;
    cj_norm_opts o = {.struct_size = sizeof o, .epsilon = 0.1, .axis = i < 23 ? -1 : -1 - i % rank};
    cj_node *x = cj_sample_real(s, -1, 3, rank, dims);
    int n = (int)-o.axis;
    if (i % 4 < 3) o.scale = cj_sample_real(s, -2, 2, n, dims + rank - n);
    if (i % 4 != 1 && centred) o.shift = cj_sample_real(s, -2, 2, n, dims + rank - n);
    return centred ? (cj_layer_norm)(x, &o) : (cj_rms_norm)(x, &o);
}

static cj_node *layer_sample(cj_sampler *s, int i) { return rows_sample(s, i, true); }
static cj_node *rms_sample(cj_sampler *s, int i) { return rows_sample(s, i, false); }

#define ROW_OPTIONS \
    CJ_OPTION_INT(cj__norm_attrs, axis, -1, -CJ_RANK_MAX, CJ_RANK_MAX - 1, \
                  "the first normalised axis; negative counts from the end"), \
        CJ_OPTION_FLOAT(cj__norm_attrs, epsilon, 1e-5, 0, 1e30, "added to the mean square"), \
        CJ_OPTION_BOOL(cj__norm_attrs, has_scale, false, "an operand multiplies what is normal")

static const cj_option layer_options[] = {
    ROW_OPTIONS, CJ_OPTION_BOOL(cj__norm_attrs, has_shift, false, "an operand is added to that"),
    CJ_OPTION_END};
static const cj_option rms_options[] = {ROW_OPTIONS, CJ_OPTION_END};

const cj_op cj_op_layer_norm = {
    .name = "layer_norm",
    .doc = "y = (x - mean) / sqrt(variance + epsilon) scale + shift, over the axes from one on",
    .inputs = -1,
    .inputs_min = 1,
    .outputs = 3,
    .attributes_size = sizeof(cj__norm_attrs),
    .attributes = layer_options,
    .infer = rows_infer,
    .grad = rows_grad,
    .lower = rows_lower,
    .sample = CJ__SAMPLE(layer_sample),
};

const cj_op cj_op_rms_norm = {
    .name = "rms_norm",
    .doc = "y = x / sqrt(mean of x^2 + epsilon) scale, over the axes from one on",
    .inputs = -1,
    .inputs_min = 1,
    .outputs = 2,
    .attributes_size = sizeof(cj__norm_attrs),
    .attributes = rms_options,
    .infer = rows_infer,
    .grad = rows_grad,
    .lower = rows_lower,
    .sample = CJ__SAMPLE(rms_sample),
};
