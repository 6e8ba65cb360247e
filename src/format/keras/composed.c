/* composed.c: classes of Keras that are a layer of ours with other nodes around it. */
#include "format/keras/keras.h"

#include <math.h>
#include <string.h>

/* ---- LocallyConnected ------------------------------------------------------------------------ */

/* A convolution whose kernel is another one at each place: all windows, one after another, times
 * the kernel of each: [batch, places, window] [places, window, filters]. */
typedef struct windows {
    int axes;
    int64_t size[2], step[2], out[2];
} windows;

/* Number i of a list, or the one number there is, under today's name or Keras 1's. */
static double number_at(const cj__json *config, const char *const *keys, int i)
{
    const cj__json *value = NULL;
    for (; !value && *keys; keys++) value = cj__json_find(config, *keys);
    if (value && value->type == CJ__JSON_ARRAY) {
        value = value->first;
        for (; i && value; i--) value = value->next;
    }
    return value && value->type == CJ__JSON_NUMBER ? value->number : 0;
}

static cj_status take_windows(cj__keras *k, const cj__keras_layer *l, const cj_node *x, windows *w)
{
    static const char *const size[] = {"kernel_size", "filter_length", NULL},
                             *const step[] = {"strides", "subsample", "subsample_length", NULL};
    static const char *const old[] = {"nb_row", "nb_col"};
    const char *padding = cj__keras_string(l->config, "padding");
    if (!padding) padding = cj__keras_string(l->config, "border_mode");
    const char *format = cj__keras_string(l->config, "data_format");
    if (!format) format = cj__keras_string(l->config, "dim_ordering");
    if ((format && cj__keras_is_word("channels_first th", format)) ||
        (padding && strcmp(padding, "valid") != 0) ||
        cj__keras_number(l->config, "implementation", 1) != 1)
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                              "channels that come first, padding, or an implementation that is not "
                              "1");
    *w = (windows){.axes = strcmp(l->kind, "LocallyConnected1D") ? 2 : 1, .out = {1, 1}};
    if (cj_node_rank(x) != w->axes + 2)
        return cj__keras_fail(k, l, CJ_ERR_SHAPE, "an input of rank %d; %d is expected",
                              cj_node_rank(x), w->axes + 2);
    for (int i = 0; i < w->axes; i++) {
        const double n = number_at(l->config, size, i), s = number_at(l->config, step, i),
                     given = n != 0 ? n : cj__keras_number(l->config, old[i], 0);
        const int64_t from = cj_node_dim(x, i + 1);
        if (!(given >= 1) || !(given <= (double)from) || !(s >= 0) || s > 1e6)
            return cj__keras_fail(k, l, CJ_ERR_SHAPE,
                                  "windows of %g at steps of %g along an axis of %lld", given, s,
                                  (long long)from);
        w->size[i] = (int64_t)given;
        w->step[i] = s >= 1 ? (int64_t)s : 1;
        w->out[i] = (from - w->size[i]) / w->step[i] + 1;
    }
    if (w->axes == 1) w->size[1] = w->step[1] = 1;
    if (w->size[0] > 1024 / w->size[1])
        return cj__keras_fail(k, l, CJ_ERR_LIMIT, "windows of more than 1024 places");
    return CJ_OK;
}

/* [batch, places, window channels] */
static cj_node *unfolded(cj__keras *k, cj_node *x, const windows *w)
{
    const int64_t n = w->size[0] * w->size[1];
    cj_node **part = cj__arena_array(k->arena, (size_t)n, sizeof(cj_node *));
    if (!part) return NULL;
    for (int64_t i = 0; i < n; i++) {
        const int64_t begin[] = {0, i / w->size[1], w->axes > 1 ? i % w->size[1] : 0, 0},
                      step[] = {1, w->step[0], w->axes > 1 ? w->step[1] : 1, 1};
        const cj_dim size[] = {cj_node_dim(x, 0), w->out[0], w->axes > 1 ? w->out[1] : CJ_INFER,
                               CJ_INFER};
        part[i] = cj_slice(x, begin, size, step);
    }
    cj_node *y = cj_concat(part, (int)n, -1);
    if (!y || w->axes == 1) return y;
    return cj_reshape(y, 3, (cj_dim[]){cj_node_dim(x, 0), w->out[0] * w->out[1],
                                       cj_node_dim(y, -1)});
}

CJ__KERAS_BUILDER(local)
{
    windows w = {.axes = 0};
    (void)n;
    cj__text text;
    CJ__TRY(take_windows(k, layer, x[0], &w));
    const double filters = cj__keras_number(layer->config, "filters",
                                            cj__keras_number(layer->config, "nb_filter", 0));
    cj_node *y, *in = unfolded(k, x[0], &w);
    if (!in) return k->g->failed ? k->g->failed : CJ_ERR_MEMORY;
    if (!(filters >= 1) || filters > 1e6)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "%g filters", filters);
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, layer, &text);
    cj__text_format(&text, "%sequation=\"abc,bcd->abd\", output_shape=[%lld, %lld]%s",
                    text.length ? ", " : "", (long long)(w.out[0] * w.out[1]), (long long)filters,
                    cj__keras_bool(layer->config, "use_bias",
                                   cj__keras_bool(layer->config, "bias", true))
                        ? ", bias_axes=bd"
                        : "");
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), &in, 1, &y);
    cj__text_release(&text);
    if (failed) return failed;
    if (w.axes == 2)
        y = cj_reshape(y, 4, (cj_dim[]){cj_node_dim(y, 0), w.out[0], w.out[1],
                                        cj_node_dim(y, -1)});
    call->out[0] = y;
    call->n_out = 1;
    return k->g->failed;
}

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
