/* composed.c: classes of Keras that are a layer of ours with other nodes around it. */
#include "format/keras/keras.h"

#include <math.h>
#include <string.h>

/* ---- ReversibleEmbedding --------------------------------------------------------------------- */

static bool is_reverse(const cj__keras_call *call)
{
    return call->keywords && cj__keras_bool(call->keywords, "reverse", false);
}

/* A table of its own for the way back: [output_dim, input_dim], the layer's second weight. */
static cj_status reverse_dense(cj__keras *k, cj__keras_layer *l, cj_node *x, cj_node **y)
{
    const double units = cj__keras_number(l->config, "input_dim", 0);
    char options[60];
    if (!l->inner) {
        l->inner = cj__arena_alloc(k->arena, sizeof *l->inner);
        if (!l->inner) return CJ_ERR_MEMORY;
        *l->inner = (cj__keras_layer){.row = cj__keras_row_of("Dense"), .kind = l->kind,
                                      .config = l->config, .frozen = l->frozen, .path = l->path,
                                      .first_weight = 1};
        for (int i = 0; i < l->n_calls; i++) l->inner->n_calls += is_reverse(&l->calls[i]);
        l->inner->name = cj__arena_printf(k->arena, "%s.reverse", l->name);
        if (!l->inner->name) return CJ_ERR_MEMORY;
        l->n_inner = 1;
    }
    cj__format(options, sizeof options, "units=%.0f, no_bias=true", units);
    return cj__keras_apply(k, l->inner, l->inner->row->layer, options, &x, 1, y);
}

/* Forward an embedding; in reverse a product with its turned table, or with another one. */
CJ__KERAS_BUILDER(reversible)
{
    const double cap = cj__keras_number(layer->config, "logit_soft_cap", 0);
    const bool tied = cj__keras_bool(layer->config, "tie_weights", true);
    if (!is_reverse(call)) return cj__keras_build_row(k, layer, call, x, n);
    const char *name = cj__arena_printf(k->arena, "%s/embeddings",
                                        layer->full ? layer->full : "");
    if (!name) return CJ_ERR_MEMORY;
    cj_node *table = layer->full ? cj_find_variable(k->g, name) : NULL, *y = NULL;
    if (!table)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "a call in reverse before any other call");
    if (tied) y = cj_matmul_transposed(x[0], table, false, true);
    else CJ__TRY(reverse_dense(k, layer, x[0], &y));
    if (cap != 0) y = cj_scale(cj_tanh(cj_scale(y, 1 / cap)), cap);
    call->out[0] = y;
    call->n_out = 1;
    return k->g->failed;
}

/* ---- Scales ---------------------------------------------------------------------------------- */

/* "[...]" of a list of numbers, or of the one there is, or their squares; false: it is none. */
static bool list_numbers(cj__text *out, const cj__json *value, bool squared, double otherwise)
{
    const bool list = value && value->type == CJ__JSON_ARRAY;
    if (!value) cj__text_number(out, otherwise);
    for (const cj__json *i = list ? value->first : value; i; i = list ? i->next : NULL) {
        if (i->type != CJ__JSON_NUMBER || (squared && !(i->number > 0))) return false;
        cj__text_number(out, squared ? i->number * i->number : i->number);
        if (list && i->next) cj__text_add(out, ", ");
    }
    return true;
}

/* A number for each channel, as EfficientNet has it, is an inverted Normalization. */
CJ__KERAS_BUILDER(rescaling)
{
    const cj__json *scale = cj__json_find(layer->config, "scale"),
                   *offset = cj__json_find(layer->config, "offset");
    if ((!scale || scale->type != CJ__JSON_ARRAY) && (!offset || offset->type != CJ__JSON_ARRAY))
        return cj__keras_build_row(k, layer, call, x, n);
    cj__text text;
    cj__text_init(&text, k->cj);
    cj__text_add(&text, "invert=true, variance=[");
    bool good = list_numbers(&text, scale, true, 1);
    cj__text_add(&text, "], mean=[");
    good = good && list_numbers(&text, offset, false, 0);
    cj__text_char(&text, ']');
    cj_status failed = text.failed;
    if (!failed)
        failed = good ? cj__keras_apply(k, layer, "normalization", cj__text_string(&text), x, n,
                                        &call->out[0])
                      : cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                                       "a scale with what is no number above 0");
    cj__text_release(&text);
    call->n_out = 1;
    return failed;
}

/* CustomScaleLayer of keras.applications' InceptionResNetV2: a + scale b. */
CJ__KERAS_BUILDER(scaled_sum)
{
    if (n != 2) return cj__keras_fail(k, layer, CJ_ERR_DATA, "%d inputs; 2 are expected", n);
    call->out[0] = cj_add(x[0], cj_scale(x[1], cj__keras_number(layer->config, "scale", 1)));
    call->n_out = 1;
    return k->g->failed;
}

/* ---- Keras 1 --------------------------------------------------------------------------------- */

/* Merge, whose mode says which of today's merges it is. */
CJ__KERAS_BUILDER(merge)
{
    static const struct {
        const char *mode, *layer;
    } modes[] = {{"sum", "add"}, {"mul", "multiply"}, {"ave", "average"}, {"max", "maximum"},
                 {"concat", "concatenate"}, {"dot", "dot"}, {"cos", "dot"}};
    const char *mode = cj__keras_string(layer->config, "mode");
    const cj__json *axes = cj__json_find(layer->config, "dot_axes");
    const bool list = axes && axes->type == CJ__JSON_ARRAY;
    size_t at = 0;
    cj__text text;
    while (at < CJ__COUNT(modes) && (!mode || strcmp(mode, modes[at].mode) != 0)) at++;
    if (at == CJ__COUNT(modes) || n < 2)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "a function as its mode, which is Python code, or branches before a "
                              "Sequential");
    cj__text_init(&text, k->cj);
    if (!strcmp(mode, "concat")) {
        cj__text_add(&text, "axis=");
        cj__text_number(&text, cj__keras_number(layer->config, "concat_axis", -1));
    }
    if (!strcmp(modes[at].layer, "dot")) {
        cj__text_add(&text, "axes=[");
        for (const cj__json *i = list ? axes->first : axes; i; i = list ? i->next : NULL)
            cj__text_format(&text, "%lld%s", (long long)(i->is_integer ? i->integer : 0),
                            list && i->next ? ", " : "");
        cj__text_format(&text, "]%s", strcmp(mode, "cos") ? "" : ", normalize=true");
    }
    cj_status failed = text.failed;
    if (!failed)
        failed = cj__keras_apply(k, layer, modes[at].layer, cj__text_string(&text), x, n,
                                 &call->out[0]);
    cj__text_release(&text);
    if (!failed && !strcmp(mode, "cos")) call->out[0] = cj_expand_dims(call->out[0], 1);
    call->n_out = 1;
    return failed ? failed : k->g->failed;
}

/* MaxoutDense: the largest of several dense layers. */
CJ__KERAS_BUILDER(maxout)
{
    const double units = cj__keras_number(layer->config, "output_dim", 0),
                 parts = cj__keras_number(layer->config, "nb_feature", 0);
    cj_node *y = NULL;
    char options[160];
    if (!(units >= 1) || !(parts >= 1) || units > 1e9 || parts > 1e9)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "%g features of %g units", parts, units);
    cj__format(options, sizeof options, "equation=\"ab,cbd->acd\", output_shape=[%lld, %lld]%s",
               (long long)parts, (long long)units,
               cj__keras_bool(layer->config, "bias", true) ? ", bias_axes=cd" : "");
    CJ__TRY(cj__keras_apply(k, layer, layer->row->layer, options, x, n, &y));
    call->out[0] = cj_reduce_max(y, 1, (int64_t[]){1}, false);
    call->n_out = 1;
    return k->g->failed;
}

/* Deconvolution2D, which says how large its result is: read where that is what today's makes. */
CJ__KERAS_BUILDER(deconvolution)
{
    const cj__json *shape = cj__json_find(layer->config, "output_shape");
    const char *order = cj__keras_string(layer->config, "dim_ordering"),
               *mode = cj__keras_string(layer->config, "border_mode");
    const int rows = order && !strcmp(order, "th") ? 2 : 1;
    if (!shape || shape->type != CJ__JSON_ARRAY || shape->count != 4 ||
        (mode && !cj__keras_is_word("valid same", mode)))
        return cj__keras_fail(k, layer, CJ_ERR_DATA,
                              "no output_shape of 4 sizes, or a border_mode that is not valid or "
                              "same");
    CJ__TRY(cj__keras_build_row(k, layer, call, x, n));
    const cj__json *size = shape->first->next;
    for (int i = 1; i < 4; i++, size = size->next)
        if ((i == rows || i == rows + 1) &&
            (!size->is_integer || size->integer != cj_node_dim(call->out[0], i)))
            return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                                  "an output_shape that is not the one its strides make");
    return CJ_OK;
}
