/* wrappers.c: classes of Keras that are no single layer of ours, or more than its options say:
 * TimeDistributed, Normalization, those that are refused. */
#include "format/keras/keras.h"

#include <cajal/sequence.h>

#include <string.h>

/* ---- TimeDistributed ------------------------------------------------------------------------- */

typedef struct step {
    cj__keras *k;
    cj__keras_layer *inner;
    cj_status failed;
} step;

static cj_node *build_step(void *arg, cj_node *x)
{
    step *s = arg;
    cj__keras_call call = {.layer = s->inner};
    s->failed = cj__keras_build(s->k, s->inner, &call, &x, 1);
    return s->failed ? NULL : call.out[0];
}

CJ__KERAS_BUILDER(steps)
{
    step s = {.k = k, .inner = layer->inner};
    if (!s.inner || n != 1)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "it wraps nothing, or is given %d inputs", n);
    s.inner->n_calls = layer->n_calls;
    if (!layer->full) { /* a name beside which nothing else can stand */
        s.inner->name = cj__arena_printf(k->arena, "%s.%s", layer->name, s.inner->name);
        layer->full = layer->name;
        if (!s.inner->name) return CJ_ERR_MEMORY;
    }
    cj_node *y = cj__each_step(layer->name, x[0], build_step, &s);
    if (s.failed) return s.failed;
    cj_node *mask = cj_mask_of(x[0]);
    call->out[0] = mask ? cj_with_mask(y, mask) : y;
    call->n_out = 1;
    return k->g->failed;
}

/* ---- The rest -------------------------------------------------------------------------------- */

CJ__KERAS_BUILDER(refused)
{
    (void)call, (void)x, (void)n;
    return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                          "its function is Python code, which is not run; write the model without "
                          "it, or with layers in its place");
}

CJ__KERAS_BUILDER(unread)
{
    static const struct {
        const char *kinds, *what;
    } why[] = {
        {"TextVectorization",
         "it takes texts apart, which a graph does not; write the model that begins behind it, and "
         "give that the numbers of words"},
        {"Hashing HashedCrossing",
         "bins are those of a hash that a graph does not compute; write the model that begins "
         "behind it"},
        {"FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
         "what it wraps is a program of another library, which is not run"},
        {"DeviceWrapper DropoutWrapper ResidualWrapper AbstractRNNCell",
         "a cell in a wrapper of TensorFlow 1; write the model with plain cells"},
    };
    (void)call, (void)x, (void)n;
    const char *text = "this class of Keras's is not read";
    for (size_t i = 0; i < CJ__COUNT(why); i++)
        if (cj__keras_is_word(why[i].kinds, layer->kind)) text = why[i].what;
    return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "%s", text);
}

/* The layers in it, one after another: Pipeline, SpectralNormalization (whose kernel training has
 * normalized). */
CJ__KERAS_BUILDER(chain)
{
    cj__keras_call made = {.layer = layer, .n_out = 1};
    if (!layer->n_inner || n != 1)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "it wraps nothing, or is given %d inputs", n);
    made.out[0] = x[0];
    for (int i = 0; i < layer->n_inner; i++) {
        cj__keras_layer *inner = &layer->inner[i];
        cj_node *in = made.out[0];
        made = (cj__keras_call){.layer = inner};
        inner->n_calls = layer->n_calls;
        if (!layer->full) /* a name beside which nothing else can stand */
            inner->name = cj__arena_printf(k->arena, "%s.%s", layer->name, inner->name);
        if (!inner->name) return CJ_ERR_MEMORY;
        CJ__TRY(cj__keras_build(k, inner, &made, &in, 1));
        if (made.n_out != 1)
            return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "a layer of %d results in it",
                                  made.n_out);
    }
    layer->full = layer->name;
    call->out[0] = made.out[0];
    call->n_out = 1;
    return CJ_OK;
}

CJ__KERAS_BUILDER(nothing)
{
    (void)k, (void)layer, (void)n;
    call->out[0] = x[0];
    call->n_out = 1;
    return CJ_OK;
}

/* Numbers of a configuration, in lists of any depth, as a list of an option. */
static void flat_numbers(cj__text *out, const cj__json *value, int *count)
{
    if (value->type == CJ__JSON_NUMBER) {
        if ((*count)++) cj__text_add(out, ", ");
        cj__text_number(out, value->number);
    }
    if (value->type == CJ__JSON_ARRAY)
        for (const cj__json *item = value->first; item; item = item->next)
            flat_numbers(out, item, count);
}

/* "mean=[...]": weight i, which adapt() made, or what the configuration says. */
static cj_status statistic(cj__keras *k, const cj__keras_layer *l, const char *name, int i,
                           cj__text *out)
{
    cj_tensor *t = NULL;
    const cj__json *said = cj__json_find(l->config, name);
    int count = 0;
    cj__text_format(out, "%s%s=[", out->length ? ", " : "", name);
    if (said && said->type != CJ__JSON_NULL) flat_numbers(out, said, &count);
    else {
        CJ__TRY(cj__keras_weight_at(k, l, i, name, &t));
        const int64_t n = t ? cj_tensor_count(t) : 0;
        for (; count < n && count < 1 << 20; count++) {
            if (count) cj__text_add(out, ", ");
            cj__text_number(out, cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t),
                                             (size_t)count));
        }
        cj_tensor_free(t);
    }
    cj__text_char(out, ']');
    return count ? out->failed
                 : cj__keras_fail(k, l, CJ_ERR_DATA, "no %s, neither said nor among its weights",
                                  name);
}

/* The two axes change places. */
static cj_node *swapped(cj_node *x, int a, int b)
{
    int64_t order[CJ_RANK_MAX];
    if (!x || a == b) return x;
    for (int i = 0; i < cj_node_rank(x); i++) order[i] = i == a ? b : i == b ? a : i;
    return cj_transpose(x, order);
}

CJ__KERAS_BUILDER(normalization)
{
    const cj__json *axis = cj__json_find(layer->config, "axis");
    const int last = cj_node_rank(x[0]) - 1;
    cj__text text;
    if (axis && axis->type == CJ__JSON_ARRAY && axis->count == 1) axis = axis->first;
    const bool one = axis && axis->is_integer;
    const int64_t at = !one ? last : axis->integer < 0 ? axis->integer + last + 1 : axis->integer;
    if ((axis && !one && axis->type != CJ__JSON_NULL) || at < 0 || at > last || n != 1)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "several axes, or one that is not there");
    cj_node *in = swapped(x[0], (int)at, last), *y = NULL;
    cj__text_init(&text, k->cj);
    cj_status failed = statistic(k, layer, "mean", 0, &text);
    if (!failed) failed = statistic(k, layer, "variance", 1, &text);
    if (cj__keras_bool(layer->config, "invert", false)) cj__text_add(&text, ", invert=true");
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), &in, 1, &y);
    cj__text_release(&text);
    call->out[0] = failed ? NULL : swapped(y, (int)at, last);
    call->n_out = 1;
    return failed;
}
