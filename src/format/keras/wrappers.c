/* wrappers.c: classes of Keras that are no single layer of ours, or more than its options say:
 * TimeDistributed, chains, those that are refused. */
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
        {"Hashing HashedCrossing",
         "bins are those of a hash that a graph does not compute; write the model that begins "
         "behind it"},
        {"FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
         "what it wraps is a program of another library, which is not run"},
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
