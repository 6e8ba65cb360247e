/* norm.c: batch, group and instance normalisation: statistics that belong to channels.
 *
 *     y = x a + b      a = scale r,  b = shift - mean a,  r = 1 / sqrt(variance + epsilon)
 *
 * All three are composites. The images are swept by reductions, and once by a multiply-add with
 * vectors: everything else happens to vectors of one number a channel, or a group, of a sample. So
 * the forward form is: sums of x, sums of (x - mean)^2 (the differences, because squares of numbers
 * far from 0 cancel; moments.c gives both in one sweep), one elementwise expression that a
 * following relu or addition joins.
 *
 * Backward. With p1 = sum dy and p2 = sum dy (x - mean) a channel, taken in one sweep,
 *
 *     d shift = p1      d scale = p2 r
 *     d y / d mean = -a                    dmean     = -sum(a dy)              + what came for it
 *     d y / d variance = -a r^2 (x-mean)/2 dvariance = -r^2/2 sum(a dy(x-mean)) + what came for it
 *     dx = dy a + dmean / n + dvariance 2 (x - mean) / n   =   dy a + x c1 + c0
 *
 * (that the variance depends on the mean adds nothing: the sum of x - mean is 0), one sweep again.
 *
 * A statistic lives in one of three shapes: `unit` [channels] or [n, groups], what outputs are;
 * `channel` [channels] or [n, channels]; and `spread`, of x's rank, ready to broadcast. */
#include "graph/ops/norm.h"

#include "graph/ops/block.h"

#include <cajal/norm.h>

#include <string.h>

/* ---- Shape rules ----------------------------------------------------------------------------- */

cj_status cj__infer_channel_axis(cj_infer *infer, int64_t *axis, int rank, int rank_min)
{
    if (rank < rank_min)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "x has rank %d, expected %d at least", rank,
                             rank_min);
    if (*axis != -1 && *axis != 1 && *axis != rank - 1)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                             "channel_axis is %lld; for rank %d it is 1 or %d (-1)",
                             (long long)*axis, rank, rank - 1);
    if (*axis == -1) *axis = rank - 1;
    return CJ_OK;
}

cj_status cj__infer_norm_vectors(cj_infer *infer, int n, const char *const *names, int rank,
                                 const cj_dim *dims)
{
    cj_call *call = infer->call;
    cj_dtype dtype = call->in[0]->type.dtype, wide = cj__wide(dtype);
    if (!cj__is_float(dtype))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "x is %s, a float is expected",
                             cj_dtype_info(dtype)->name);
    for (int i = 0; i < n; i++) {
        const cj_type *v = &call->in[1 + i]->type;
        if (v->dtype != wide)
            return cj_infer_fail(infer, CJ_ERR_TYPE, "the %s is %s, expected %s", names[i],
                                 cj_dtype_info(v->dtype)->name, cj_dtype_info(wide)->name);
        bool same = v->rank == rank;
        for (int k = 0; same && k < rank; k++) same = cj_infer_equal(infer, v->dim[k], dims[k]);
        if (!same)
            return cj_infer_fail(infer, CJ_ERR_SHAPE, "the %s is not of the shape that x is "
                                 "normalised along", names[i]);
    }
    return CJ_OK;
}

int cj__norm_vectors(const cj__norm_attrs *a, const char *names[4])
{
    int n = 0;
    if (a->has_scale) names[n++] = "scale";
    if (a->has_shift) names[n++] = "shift";
    if (a->has_statistics) names[n++] = "mean", names[n++] = "variance";
    return n;
}

static cj_status channels_infer(cj_infer *infer, int rank_min)
{
    cj__norm_attrs *a = infer->call->attributes;
    const cj_type *x = &infer->call->in[0]->type;
    const char *names[4];
    int n = cj__norm_vectors(a, names);
    CJ__TRY(cj__infer_channel_axis(infer, &a->channel_axis, x->rank, rank_min));
    if (infer->call->n_in != 1 + n + a->has_training)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT, "%d operands, its attributes name %d",
                             infer->call->n_in, 1 + n + a->has_training);
    return cj__infer_norm_vectors(infer, n, names, 1, &x->dim[a->channel_axis]);
}

/* Outputs 1 and 2. */
static void set_statistics(cj_infer *infer, int rank, cj_dim first, cj_dim second)
{
    cj_type type = {.dtype = cj__wide(infer->out[0].dtype), .rank = rank, .dim = {first, second}};
    infer->out[1] = infer->out[2] = type;
}

static cj_status batch_infer(cj_infer *infer)
{
    cj_call *call = infer->call;
    cj__norm_attrs *a = call->attributes;
    if (a->has_training && !a->has_statistics)
        return cj_infer_fail(infer, CJ_ERR_ARGUMENT,
                             "has_training chooses between the batch and given statistics, "
                             "but has_statistics is false");
    CJ__TRY(channels_infer(infer, 2));
    infer->out[0] = call->in[0]->type;
    const cj_type *t = &call->in[call->n_in - 1]->type;
    if (a->has_training && (t->dtype != CJ_BOOL || t->rank))
        return cj_infer_fail(infer, CJ_ERR_TYPE, "training is a bool scalar, not %s of rank %d",
                             cj_dtype_info(t->dtype)->name, t->rank);
    set_statistics(infer, 1, infer->out[0].dim[a->channel_axis], 0);
    return CJ_OK;
}

static cj_status group_infer(cj_infer *infer)
{
    cj__norm_attrs *a = infer->call->attributes;
    CJ__TRY(channels_infer(infer, 2));
    infer->out[0] = infer->call->in[0]->type;
    cj_dim channels = infer->out[0].dim[a->channel_axis];
    if (channels < 0 || channels % a->groups)
        return cj_infer_fail(infer, CJ_ERR_SHAPE, "%s channels are not %lld groups of equal size",
                             cj_dim_text(infer->graph, channels), (long long)a->groups);
    set_statistics(infer, 2, infer->out[0].dim[0], a->groups);
    return CJ_OK;
}

static cj_status instance_infer(cj_infer *infer)
{
    cj__norm_attrs *a = infer->call->attributes;
    CJ__TRY(channels_infer(infer, 3));
    infer->out[0] = infer->call->in[0]->type;
    set_statistics(infer, 2, infer->out[0].dim[0], infer->out[0].dim[a->channel_axis]);
    return CJ_OK;
}

/* ---- What lowering and gradient share -------------------------------------------------------- */

typedef struct norm {
    cj_graph *g;
    const cj_type *type;                 /* of x */
    const cj__norm_attrs *a;
    cj_node *x, *scale, *shift, *mean, *variance, *training; /* NULL: absent */
    cj_dtype wide;
    cj_dim channels, groups;
    bool each;                           /* statistics of each sample, not of the batch */
    cj_node *share;                      /* 1 / how many numbers are in a unit */
} norm;

cj_node *cj__norm_share(cj_graph *g, cj_dtype dtype, cj_dim n)
{
    if (n >= 0) return cj_scalar(g, dtype, 1 / (double)(n ? n : 1));
    cj_node *count = cj_maximum(cj_dim_value(g, n), cj_scalar(g, CJ_I64, 1));
    return cj_reciprocal(cj_cast(count, dtype));
}

static norm norm_of(cj_graph *g, cj_call *call)
{
    norm m = {.g = g, .type = &call->in[0]->type, .a = call->attributes};
    cj_node *const *in = call->in + 1;
    m.wide = cj__wide(m.type->dtype);
    m.x = cj_cast(call->in[0], m.wide);
    if (m.a->has_scale) m.scale = *in++;
    if (m.a->has_shift) m.shift = *in++;
    if (m.a->has_statistics) m.mean = *in++, m.variance = *in++;
    if (m.a->has_training) m.training = *in++;
    m.channels = m.type->dim[m.a->channel_axis];
    m.groups = call->op == &cj_op_group_norm ? m.a->groups : m.channels;
    m.each = call->op != &cj_op_batch_norm;
    cj_dim n = 1;
    for (int i = 0; i < m.type->rank; i++)
        if (i != m.a->channel_axis && (i || !m.each)) n = cj_dim_mul(g, n, m.type->dim[i]);
    if (m.groups != m.channels) n = cj_dim_mul(g, n, m.channels / m.groups);
    m.share = cj__norm_share(g, m.wide, n);
    return m;
}

/* Groups of more than one channel. */
static bool grouped(const norm *m) { return m->groups != m->channels; }

/* x's shape -> channel: sums over everything else. */
static cj_node *channel_sums(const norm *m, cj_node *e)
{
    int64_t axes[CJ_RANK_MAX];
    int n = 0;
    if (!e || cj__is_zero(e)) return e;
    for (int i = m->each ? 1 : 0; i < m->type->rank; i++)
        if (i != m->a->channel_axis) axes[n++] = i;
    return n ? cj_reduce_sum(e, n, axes, false) : e;
}

/* channel -> unit: sums over the channels of a group. */
static cj_node *unit_sums(const norm *m, cj_node *e)
{
    if (!e || cj__is_zero(e) || !grouped(m)) return e;
    cj_dim dims[] = {m->type->dim[0], m->groups, m->channels / m->groups};
    return cj_reduce_sum(cj_reshape(e, 3, dims), 1, (int64_t[]){2}, false);
}

/* unit -> channel: each channel has its group's. */
static cj_node *per_channel(const norm *m, cj_node *s)
{
    if (!s || cj__is_zero(s) || !grouped(m)) return s;
    cj_dim dims[] = {m->type->dim[0], m->groups, m->channels / m->groups};
    cj_node *all = cj_broadcast_to(cj_expand_dims(s, 2), 3, dims);
    return cj_reshape(all, 2, (cj_dim[]){m->type->dim[0], m->channels});
}

/* channel -> spread. */
static cj_node *spread(const norm *m, cj_node *v)
{
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; i < m->type->rank; i++)
        dims[i] = i == m->a->channel_axis || (i == 0 && m->each) ? m->type->dim[i] : 1;
    return cj_reshape(v, m->type->rank, dims);
}

static cj_node *centred(const norm *m, cj_node *mean)
{
    return cj_sub(m->x, spread(m, per_channel(m, mean)));
}

static cj_node *inverse_deviation(const norm *m, cj_node *variance)
{
    return cj_rsqrt(cj_shift(variance, m->a->epsilon));
}

/* a = scale r, a channel. */
static cj_node *slope(const norm *m, cj_node *r)
{
    r = per_channel(m, r);
    return m->scale ? cj_mul(r, m->scale) : r;
}

/* Of two statistics the one that training, if there is such an operand, asks for. */
static cj_node *chosen(const norm *m, cj_node *own, cj_node *given)
{
    double training;
    if (!m->training) return m->a->has_statistics ? given : own;
    if (cj__is_constant(m->training, &training)) return training != 0 ? own : given;
    return cj_where(m->training, own, given);
}

/* Are the statistics those of x's last axis, so that one sweep gives both? */
static bool has_moments(const norm *m)
{
    return m->type->dtype == CJ_F32 && m->a->channel_axis == m->type->rank - 1 && !grouped(m) &&
           m->type->rank > 1 + m->each && m->channels > 0 &&
           m->channels <= CJ__MOMENTS_COLUMNS_MAX;
}

/* ---- Lowering and gradient ------------------------------------------------------------------- */

static bool channels_lower(cj_graph *g, cj_call *call, cj_node **out)
{
    norm m = norm_of(g, call);
    cj_node *mean = m.mean, *variance = m.variance;
    if ((!mean || m.training) && has_moments(&m)) {
        cj_node *own = cj__moments(m.x, m.each);
        mean = chosen(&m, own, mean);
        variance = chosen(&m, own ? cj_node_output(own, 1) : NULL, variance);
    } else if (!mean || m.training) {
        cj_node *own = cj_mul(unit_sums(&m, channel_sums(&m, m.x)), m.share);
        cj_node *squares = cj_square(centred(&m, own));
        squares = cj_mul(unit_sums(&m, channel_sums(&m, squares)), m.share);
        mean = chosen(&m, own, mean);
        variance = chosen(&m, squares, variance);
    }
    cj_node *a = slope(&m, inverse_deviation(&m, variance));
    cj_node *b = cj_neg(cj_mul(per_channel(&m, mean), a));
    if (m.shift) b = cj_add(m.shift, b);
    out[0] = cj_cast(cj_add(cj_mul(m.x, spread(&m, a)), spread(&m, b)), m.type->dtype);
    out[1] = mean;
    out[2] = variance;
    return out[0] != NULL;
}

/* A sum over the samples of what has one number a channel of each; [channels] stays. */
static cj_node *over_samples(const norm *m, cj_node *v)
{
    return v && !cj__is_zero(v) && m->each ? cj_reduce_sum(v, 1, (int64_t[]){0}, false) : v;
}

static cj_node *scaled(const norm *m, cj_node *v) { return m->scale ? cj_mul(v, m->scale) : v; }

static void channels_grad(cj_graph *g, cj_call *call, cj_node *const *dys, cj_node **dx)
{
    norm m = norm_of(g, call);
    cj_node *mean = &call->out[1], *variance = &call->out[2], *dy = cj_cast(dys[0], m.wide);
    cj_node *r = inverse_deviation(&m, variance), *a = slope(&m, r);
    cj_node *p1 = channel_sums(&m, dy), *p2 = channel_sums(&m, cj_mul(dy, centred(&m, mean)));
    cj_node *dmean = cj_sub(dys[1], cj_mul(r, unit_sums(&m, scaled(&m, p1))));
    cj_node *cube = cj_mul(cj_square(r), cj_scale(r, 0.5));
    cj_node *dvariance = cj_sub(dys[2], cj_mul(cube, unit_sums(&m, scaled(&m, p2))));
    cj_node *c1 = cj_scale(cj_mul(dvariance, m.share), 2);
    cj_node *c0 = cj_sub(cj_mul(dmean, m.share), cj_mul(mean, c1));
    int k = 1;
    if (m.a->has_scale) dx[k++] = over_samples(&m, cj_mul(p2, per_channel(&m, r)));
    if (m.a->has_shift) dx[k++] = over_samples(&m, p1);
    if (m.a->has_statistics) {
        dx[k++] = m.training ? cj_where(m.training, cj_zero, dmean) : dmean;
        dx[k++] = m.training ? cj_where(m.training, cj_zero, dvariance) : dvariance;
    }
    if (m.training) c1 = cj_where(m.training, c1, cj_zero), c0 = cj_where(m.training, c0, cj_zero);
    dx[0] = cj_mul(dy, spread(&m, a));
    if (!m.a->has_statistics || m.training) {
        dx[0] = cj_add(dx[0], cj_mul(m.x, spread(&m, per_channel(&m, c1))));
        dx[0] = cj_add(dx[0], spread(&m, per_channel(&m, c0)));
    }
    dx[0] = cj_cast(dx[0], m.type->dtype);
}

/* ---- Builders -------------------------------------------------------------------------------- */

cj_node *cj__norm_apply(const cj_op *op, cj_node *x, const cj_norm_opts *opts, unsigned allowed)
{
    cj_norm_opts o = {0};
    if (!x || cj__is_zero(x)) return NULL;
    cj_graph *g = cj_node_graph(x);
    if (!cj__graph_opts(g, op->name, &o, sizeof o, opts)) return NULL;
    cj_node *vectors[] = {o.scale, o.shift, o.mean, o.variance}, *in[6] = {x};
    const struct {
        const char *name;
        bool given;
        unsigned bit;
    } fields[] = {{"shift", o.shift, CJ__NORM_SHIFT},
                  {"mean", o.mean || o.variance, CJ__NORM_GIVEN},
                  {"training", o.training, CJ__NORM_GIVEN},
                  {"momentum", o.momentum != 0, CJ__NORM_GIVEN},
                  {"groups", o.groups, CJ__NORM_GROUPS},
                  {"axis", o.axis, CJ__NORM_ROWS},
                  {"channel_axis", o.channel_axis, CJ__NORM_CHANNELS}};
    for (size_t i = 0; i < CJ__COUNT(fields); i++)
        if (fields[i].given && !(allowed & fields[i].bit))
            return cj__graph_fail(g, op->name, CJ_ERR_ARGUMENT, "it has no option '%s'",
                                  fields[i].name),
                   NULL;
    if (!o.mean != !o.variance || (o.training && !o.mean))
        return cj__graph_fail(g, op->name, CJ_ERR_ARGUMENT,
                              "mean and variance are given together, and training beside them"),
               NULL;
    int n = 1;
    for (size_t i = 0; i < CJ__COUNT(vectors); i++)
        if (vectors[i] && !(in[n++] = cj_cast(vectors[i], cj__wide(x->type.dtype)))) return NULL;
    if (o.training) in[n++] = o.training;
    cj__norm_attrs a = {.channel_axis = o.channel_axis ? o.channel_axis : -1,
                        .axis = o.axis ? o.axis : -1,
                        .groups = o.groups,
                        .epsilon = o.epsilon != 0 ? o.epsilon : 1e-5,
                        .momentum = o.momentum != 0 ? o.momentum : 0.9,
                        .has_scale = o.scale,
                        .has_shift = o.shift,
                        .has_statistics = o.mean,
                        .has_training = o.training};
    return cj_apply(g, op, in, n, &a);
}

cj_node *cj_batch_norm(cj_node *x, const cj_norm_opts *opts)
{
    return cj__norm_apply(&cj_op_batch_norm, x, opts,
                          CJ__NORM_SHIFT | CJ__NORM_CHANNELS | CJ__NORM_GIVEN);
}

cj_node *cj_group_norm(cj_node *x, const cj_norm_opts *opts)
{
    return cj__norm_apply(&cj_op_group_norm, x, opts,
                          CJ__NORM_SHIFT | CJ__NORM_CHANNELS | CJ__NORM_GROUPS);
}

cj_node *cj_instance_norm(cj_node *x, const cj_norm_opts *opts)
{
    return cj__norm_apply(&cj_op_instance_norm, x, opts, CJ__NORM_SHIFT | CJ__NORM_CHANNELS);
}

/* ---- Samples and rows ------------------------------------------------------------------------ */

/* Shapes of x with the number of channels last; odd samples have it at axis 1 instead. A single
 * number in a unit has the variance 0, so that an epsilon of 0.1 keeps differences smooth. */
static const struct {
    int rank;
    int64_t dim[5];
} shapes[] = {
    {2, {4, 3}},       {2, {1, 1}},       {2, {7, 4}},       {2, {3, 0}},    {3, {2, 3, 4}},
    {3, {1, 5, 2}},    {3, {3, 1, 1}},    {3, {0, 2, 3}},    {3, {2, 0, 4}}, {4, {2, 3, 2, 4}},
    {4, {1, 1, 1, 6}}, {4, {3, 2, 2, 1}}, {5, {2, 1, 3, 2, 4}},
};

/* Sample i over the shapes, with scale and shift or one or none of them. */
static cj_node *channels_sample(cj_sampler *s, int i, const cj_op *op, int rank_min)
{
    int n = (int)CJ__COUNT(shapes), rank = shapes[i % n].rank;
    int64_t dims[5], channels = shapes[i % n].dim[rank - 1];
    if (i >= 3 * n) return NULL;
    for (int k = 0; k < 5; k++) dims[k] = shapes[i % n].dim[k];
    bool first = i % 2 && rank > 2;
    if (first) dims[rank - 1] = dims[1], dims[1] = channels;
    if (rank < rank_min) dims[rank++] = 3, first = true;
    cj_norm_opts o = {.struct_size = sizeof o, .epsilon = 0.1, .channel_axis = first};
    cj_node *x = cj_sample_real(s, -1, 3, rank, dims);
    if (i % 4 < 3) o.scale = cj_sample_real(s, -2, 2, 1, &channels);
    if (i % 4 != 1) o.shift = cj_sample_real(s, -2, 2, 1, &channels);
    if (op == &cj_op_instance_norm) return (cj_instance_norm)(x, &o);
    if (op == &cj_op_group_norm) {
        o.groups = channels % 2 ? channels : i % 3 ? 2 : 1;
        if (o.groups == 0) o.groups = 1;
        return (cj_group_norm)(x, &o);
    }
    if (i >= n) {
        o.mean = cj_sample_real(s, -1, 1, 1, &channels);
        o.variance = cj_sample_real(s, 0.5, 2, 1, &channels);
    }
    if (i >= 2 * n) o.training = cj_sample_bool(s, 0, NULL);
    return (cj_batch_norm)(x, &o);
}

static cj_node *batch_sample(cj_sampler *s, int i)
{
    return channels_sample(s, i, &cj_op_batch_norm, 2);
}

static cj_node *group_sample(cj_sampler *s, int i)
{
    return channels_sample(s, i, &cj_op_group_norm, 2);
}

static cj_node *instance_sample(cj_sampler *s, int i)
{
    return channels_sample(s, i, &cj_op_instance_norm, 3);
}

#define CHANNEL_OPTIONS \
    CJ_OPTION_INT(cj__norm_attrs, channel_axis, -1, -1, CJ_RANK_MAX - 1, \
                  "axis of the channels: 1 or the last (-1)"), \
        CJ_OPTION_FLOAT(cj__norm_attrs, epsilon, 1e-5, 0, 1e30, "added to the variance"), \
        CJ_OPTION_BOOL(cj__norm_attrs, has_scale, false, "an operand multiplies what is normal"), \
        CJ_OPTION_BOOL(cj__norm_attrs, has_shift, false, "an operand is added to that")

static const cj_option batch_options[] = {
    CHANNEL_OPTIONS,
    CJ_OPTION_BOOL(cj__norm_attrs, has_statistics, false, "mean and variance are operands"),
    CJ_OPTION_BOOL(cj__norm_attrs, has_training, false,
                   "a bool operand says whether the batch's own are taken after all"),
    CJ_OPTION_FLOAT(cj__norm_attrs, momentum, 0.9, 0, 1,
                    "what running statistics keep in a step of training; changes nothing here"),
    CJ_OPTION_END};
static const cj_option group_options[] = {
    CHANNEL_OPTIONS,
    CJ_OPTION_INT(cj__norm_attrs, groups, 1, 1, 0x1p31, "how many sets the channels are cut into"),
    CJ_OPTION_END};
static const cj_option instance_options[] = {CHANNEL_OPTIONS, CJ_OPTION_END};

#define NORM(op, text, rule, table, draw) \
    const cj_op cj_op_##op = { \
        .name = #op, \
        .doc = text, \
        .inputs = -1, \
        .inputs_min = 1, \
        .outputs = 3, \
        .attributes_size = sizeof(cj__norm_attrs), \
        .attributes = table, \
        .infer = rule, \
        .grad = channels_grad, \
        .lower = channels_lower, \
        .sample = CJ__SAMPLE(draw), \
    };

NORM(batch_norm, "y = (x - mean) / sqrt(variance + epsilon) scale + shift, over all but channels",
     batch_infer, batch_options, batch_sample)
NORM(group_norm, "the same over each sample's groups of channels", group_infer, group_options,
     group_sample)
NORM(instance_norm, "the same over each sample's channels", instance_infer, instance_options,
     instance_sample)
