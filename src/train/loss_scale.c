/* loss_scale.c: dynamic loss scaling for mixed_float16, as Keras's LossScaleOptimizer and PyTorch's
 * GradScaler do it.
 *
 * f16 ends at 65504 and at 6e-8, and gradients are small: so the loss is taken `scale` times as
 * large, and the gradients are divided again in f32. A scale that is too large shows as a gradient
 * that is not finite; then this step is left out and the scale halved. After STEPS good steps in a
 * row it is doubled:
 *
 *     scale, steps  <-  2 scale, 0      good, and steps + 1 = STEPS
 *                       scale, steps+1  good
 *                       scale / 2, 0    not, and scale > 1
 *
 * "Good" is the question commit_if asks, so a step is left out as any step that is not finite.
 * Scale and steps are state; they alone are committed always. Powers of two change no bit of a
 * gradient. A scale of 1 that is still too large ends training, as without scaling. */
#include "train/train.h"

#include "tensor/tensor.h"

static const char *const scale_name = "loss_scale/scale", *const steps_name = "loss_scale/steps";

static cj_node *state(cj_graph *g, const char *name, cj_dtype dtype, double value)
{
    cj_tensor *t = cj_tensor_new(g->cj, dtype, 0, NULL);
    if (!t) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    cj_store_f64(dtype, cj__tensor_data(t), 0, value);
    cj_node *node = cj_variable(g, name, t);
    cj_tensor_free(t);
    return node;
}

cj_status cj__loss_scale_grad(cj_node *loss, cj_node *const *wrt, int n, cj_node **out)
{
    cj_graph *g = cj_node_graph(loss);
    cj_node *scale = state(g, scale_name, CJ_F32, CJ__LOSS_SCALE_FIRST);
    cj_node *cotangent = cj_cast(scale, loss->type.dtype);
    if (!cotangent) return cj_graph_failed(g);
    CJ__TRY(cj_vjp(&loss, &cotangent, 1, wrt, n, out));
    cj_node *inverse = cj_reciprocal(scale);
    for (int i = 0; i < n; i++)
        if (!cj__is_zero(out[i])) out[i] = cj_mul(out[i], cj_cast(inverse, out[i]->type.dtype));
    return cj_graph_failed(g);
}

bool cj__loss_scale_updates(cj_graph *g, cj_node *good, cj_update out[2])
{
    enum { STEPS = 2000 };
    cj_node *scale = cj_find_variable(g, scale_name);
    cj_node *steps = state(g, steps_name, CJ_I64, 0), *one = cj_scalar(g, CJ_I64, 1);
    cj_node *none = cj_scalar(g, CJ_I64, 0), *next = cj_add(steps, one);
    cj_node *grows = cj_logical_and(good, cj_greater_equal(next, cj_scalar(g, CJ_I64, STEPS)));
    cj_node *larger = cj_minimum(cj_scale(scale, 2), cj_scalar(g, CJ_F32, 0x1p100)),
            *smaller = cj_maximum(cj_scale(scale, 0.5), cj_scalar(g, CJ_F32, 1));
    cj_node *goes_on = cj_logical_and(good, cj_logical_not(grows));
    out[0] = (cj_update){scale, cj_where(good, cj_where(grows, larger, scale), smaller)};
    out[1] = (cj_update){steps, cj_where(goes_on, next, none)};
    return out[0].value && out[1].value;
}

double cj__loss_scale_now(const cj_store *store)
{
    const cj_tensor *scale = cj_store_get(store, scale_name);
    return scale ? cj_load_f64(CJ_F32, cj__tensor_data(scale), 0) : 1;
}
