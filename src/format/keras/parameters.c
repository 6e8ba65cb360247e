/* parameters.c: layers that are formulas of nodes with parameters of their own. A parameter is the
 * kernel of a layer einsum_dense of the number 1, "srelu.t_left". */
#include "format/keras/keras.h"

#include <string.h>

/* Parameter i of n, of this shape: [1, dims...]. */
static cj_status parameter(cj__keras *k, cj__keras_layer *l, int i, int n, const char *name,
                           const cj_node *like, int rank, const cj_dim *dims, cj_node **y)
{
    static const char letters[] = "abcdefghijklmnop";
    char options[240];
    if (!l->inner) l->inner = cj__arena_array(k->arena, (size_t)n, sizeof *l->inner);
    if (!l->inner) return CJ_ERR_MEMORY;
    cj__keras_layer *inner = &l->inner[i];
    int at = cj__format(options, sizeof options, "equation=\"a,%.*s->%.*s\", output_shape=[", rank,
                        letters + 1, rank + 1, letters);
    for (int axis = 0; axis < rank; axis++) {
        if (dims[axis] < 1)
            return cj__keras_fail(k, l, CJ_ERR_SHAPE, "an input whose sizes are not known");
        at += cj__format(options + at, sizeof options - (size_t)at, "%s%lld", axis ? ", " : "",
                         (long long)dims[axis]);
    }
    cj__format(options + at, sizeof options - (size_t)at, "]");
    *inner = (cj__keras_layer){.row = cj__keras_row_of("EinsumDense"), .kind = l->kind,
                               .config = l->config, .frozen = l->frozen, .path = l->path,
                               .first_weight = i, .n_calls = l->n_calls};
    inner->name = cj__arena_printf(k->arena, "%s.%s", l->name, name);
    if (!inner->name) return CJ_ERR_MEMORY;
    l->full = l->name;
    l->n_inner = n;
    cj_node *one = cj_broadcast_to(cj_scalar(k->g, cj_node_dtype(like), 1), 1, (cj_dim[]){1});
    return one ? cj__keras_apply(k, inner, inner->row->layer, options, &one, 1, y) : k->g->failed;
}

/* All of the shape of x but for the batch. */
static cj_status parameters(cj__keras *k, cj__keras_layer *l, const cj_node *x, int n,
                            const char *const *names, cj_node **y)
{
    const int rank = cj_node_rank(x);
    cj_dim dims[CJ_RANK_MAX];
    if (rank < 2 || rank > 6)
        return cj__keras_fail(k, l, CJ_ERR_SHAPE, "an input of rank %d; 2 to 6 are possible", rank);
    for (int i = 1; i < rank; i++) dims[i - 1] = cj_node_dim(x, i);
    for (int i = 0; i < n; i++)
        CJ__TRY(parameter(k, l, i, n, names[i], x, rank - 1, dims, &y[i]));
    return CJ_OK;
}

static cj_status result(cj__keras *k, cj__keras_call *call, cj_node *y)
{
    call->out[0] = y;
    call->n_out = 1;
    return k->g->failed;
}

/* ---- Normalizations -------------------------------------------------------------------------- */

/* x without its mean along axes; *variance: its variance and epsilon. */
static cj_node *centred(cj_node *x, int n, const int64_t *axes, double epsilon,
                        cj_node **variance)
{
    cj_node *y = cj_sub(x, cj_reduce_mean(x, n, axes, true));
    *variance = y ? cj_shift(cj_reduce_mean(cj_square(y), n, axes, true), epsilon) : NULL;
    return *variance ? y : NULL;
}

/* LayerNormalization with rms_scaling: x is divided by its deviation, but its mean stays:
 * y = x / sqrt(variance(x) + epsilon) * gamma. */
CJ__KERAS_BUILDER(layer_normalization)
{
    const cj__json *axis = cj__json_find(layer->config, "axis");
    const int rank = cj_node_rank(x[0]);
    int64_t axes[CJ_RANK_MAX];
    cj_dim dims[CJ_RANK_MAX], all[CJ_RANK_MAX];
    cj_node *variance, *gamma;
    if (!cj__keras_bool(layer->config, "rms_scaling", false))
        return cj__keras_build_row(k, layer, call, x, n);
    int count = axis ? cj__keras_axes(axis, rank, axes) : 0;
    if (!axis) axes[count++] = rank - 1;
    if (count < 1 || count > 6)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "axes that the input of rank %d has not",
                              rank);
    for (int i = 0; i < rank; i++) all[i] = 1;
    for (int i = 0; i < count; i++) all[axes[i]] = dims[i] = cj_node_dim(x[0], (int)axes[i]);
    CJ__TRY(parameter(k, layer, 0, 1, "gamma", x[0], count, dims, &gamma));
    if (!centred(x[0], count, axes, cj__keras_number(layer->config, "epsilon", 1e-3), &variance))
        return k->g->failed;
    cj_node *y = cj_mul(x[0], cj_rsqrt(variance));
    return result(k, call, cj_mul(y, cj_reshape(gamma, rank, all)));
}

/* Keras 1's BatchNormalization of mode 1, of each sample along the last axis, by its deviation and
 * epsilon once more; and of mode 2, by what the batch is, outside of training, too. */
CJ__KERAS_BUILDER(batch_normalization)
{
    const double mode = cj__keras_number(layer->config, "mode", 0),
                 epsilon = cj__keras_number(layer->config, "epsilon", 1e-3);
    const int rank = cj_node_rank(x[0]);
    int64_t axes[CJ_RANK_MAX], axis;
    cj_dim all[CJ_RANK_MAX];
    cj_node *variance, *of[2];
    if (mode != 1 && mode != 2) return cj__keras_build_row(k, layer, call, x, n);
    const cj__json *said = cj__json_find(layer->config, "axis");
    const int count = said ? cj__keras_axes(said, rank, axes) : 1;
    axis = said ? axes[0] : rank - 1;
    if (count != 1 || axis < 1 || (mode == 1 && axis != rank - 1))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "mode %g along such an axis", mode);
    for (int i = 0; i < rank; i++) all[i] = i == axis ? cj_node_dim(x[0], i) : 1;
    for (int i = 0; i < 2; i++)
        CJ__TRY(parameter(k, layer, i, 2, i ? "beta" : "gamma", x[0], 1, &all[axis], &of[i]));
    int others = 0;
    for (int i = 0; i < rank; i++)
        if ((i == axis) == (mode == 1)) axes[others++] = i;
    cj_node *y = centred(x[0], others, axes, epsilon, &variance);
    if (!y) return k->g->failed;
    y = mode == 1 ? cj_div(y, cj_shift(cj_sqrt(variance), epsilon))
                  : cj_mul(y, cj_rsqrt(variance));
    y = cj_mul(y, cj_reshape(of[0], rank, all));
    return result(k, call, cj_add(y, cj_reshape(of[1], rank, all)));
}

/* ---- Functions ------------------------------------------------------------------------------- */

/* ParametricSoftplus: y = alpha softplus(beta x). */
CJ__KERAS_BUILDER(softplus)
{
    static const char *const names[] = {"alphas", "betas"};
    cj_node *p[2];
    (void)n;
    CJ__TRY(parameters(k, layer, x[0], 2, names, p));
    return result(k, call, cj_mul(p[0], cj_softplus(cj_mul(p[1], x[0]))));
}

/* SReLU: a line of slope a_l up to t_l, x itself up to t_l + |t_r|, a line of slope a_r beyond:
 * y = t_l - a_l relu(t_l - x) + min(relu(x - t_l), |t_r|) + a_r relu(x - t_l - |t_r|). */
CJ__KERAS_BUILDER(bent)
{
    static const char *const names[] = {"t_left", "a_left", "t_right", "a_right"};
    cj_node *p[4];
    (void)n;
    CJ__TRY(parameters(k, layer, x[0], 4, names, p));
    cj_node *width = cj_abs(p[2]), *over = cj_sub(x[0], p[0]);
    if (!width || !over) return k->g->failed;
    cj_node *y = cj_sub(cj_minimum(cj_relu(over), width), cj_mul(p[1], cj_relu(cj_neg(over))));
    y = cj_add(y, cj_mul(p[3], cj_relu(cj_sub(over, width))));
    return result(k, call, cj_add(p[0], y));
}

/* RandomFourierFeatures: y = cos(x K / scale + b), of which scale alone may be trained. */
CJ__KERAS_BUILDER(fourier)
{
    const double units = cj__keras_number(layer->config, "output_dim", 0);
    cj_node *p[3];
    if (n != 1 || cj_node_rank(x[0]) != 2 || !(units >= 1) || units > 1 << 24)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "an input of rank %d, or no output_dim",
                              cj_node_rank(x[0]));
    const cj_dim one = 1, out = (cj_dim)units, all[] = {cj_node_dim(x[0], 1), out};
    CJ__TRY(parameter(k, layer, 0, 3, "scale", x[0], 1, &one, &p[0]));
    CJ__TRY(parameter(k, layer, 1, 3, "kernel", x[0], 2, all, &p[1]));
    CJ__TRY(parameter(k, layer, 2, 3, "bias", x[0], 1, &out, &p[2]));
    layer->inner[1].frozen = layer->inner[2].frozen = true;
    cj_node *y = cj_matmul(cj_div(x[0], p[0]), cj_reshape(p[1], 2, all));
    return result(k, call, cj_cos(cj_add(y, p[2])));
}
