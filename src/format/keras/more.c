/* more.c: what the words of a row (options.c) cannot say of a configuration: activations with
 * options, axes, edges, equations. Each appends to the options of our layer. */
#include "format/keras/keras.h"

#include <string.h>

static const cj__json *of(const cj__keras_layer *layer, const char *key)
{
    return cj__json_find(layer->config, key);
}

static void append_number(cj__text *out, const char *key, double value)
{
    cj__text_format(out, "%s%s=", out->length ? ", " : "", key);
    cj__text_number(out, value);
}

/* "function=leaky_relu(negative_slope=0.3)": a layer that is an activation; nothing is said of what
 * the file does not say. */
static cj_status function(cj__keras *k, cj__text *out, const char *name,
                          const cj__keras_layer *layer, const char *const keys[][2])
{
    int n = 0;
    cj__text_format(out, "%sfunction=%s(", out->length ? ", " : "", name);
    for (int i = 0; keys[i][0]; i++) {
        const cj__json *value = of(layer, keys[i][0]);
        if (value && value->type == CJ__JSON_ARRAY && value->count == 1) value = value->first;
        if (value && value->type == CJ__JSON_ARRAY)
            return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "several of %s", keys[i][0]);
        if (!value || value->type != CJ__JSON_NUMBER) continue;
        cj__text_format(out, "%s%s=", n++ ? ", " : "", keys[i][1]);
        cj__text_number(out, value->number);
    }
    cj__text_char(out, ')');
    return out->failed;
}

#define FUNCTION(id, name, ...) \
    CJ__KERAS_MORE(id) \
    { \
        static const char *const keys[][2] = {__VA_ARGS__, {NULL, NULL}}; \
        return function(k, out, name, layer, keys); \
    }
FUNCTION(relu, "relu", {"max_value", "max_value"}, {"negative_slope", "negative_slope"},
         {"threshold", "threshold"})
FUNCTION(leaky, "leaky_relu", {"alpha", "negative_slope"}, {"negative_slope", "negative_slope"})
FUNCTION(elu, "elu", {"alpha", "alpha"})
FUNCTION(above, "threshold", {"theta", "threshold"})
FUNCTION(softmax, "softmax", {"axis", "axis"})

/* An axis, or a list of axes, of which the first is ours; the others are to follow it. */
CJ__KERAS_MORE(axis)
{
    const cj__json *a = of(layer, "axis");
    if (a && a->type == CJ__JSON_ARRAY) {
        uint64_t next = a->first && a->first->is_integer ? (uint64_t)a->first->integer : 0;
        for (const cj__json *i = a->first; i; i = i->next)
            if (!i->is_integer || (uint64_t)i->integer != next++)
                return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                                      "axes that do not follow one another");
        a = a->first;
    }
    if (a && a->is_integer) append_number(out, "axis", a->number);
    return out->failed;
}

/* Elements at the ends of each axis: n, [n, m] or [[top, bottom], [left, right]]. */
CJ__KERAS_MORE(edges)
{
    static const char *const names[3][2] = {{"front", "back"},
                                            {"top", "bottom"},
                                            {"left", "right"}};
    const cj__json *all = of(layer, "padding");
    if (!all) all = of(layer, "cropping");
    const int axes = layer->row->layer[strlen(layer->row->layer) - 2] - '0';
    if (!all) return CJ_OK;
    const bool list = all->type == CJ__JSON_ARRAY;
    const bool pair = axes == 1 && list && all->count == 2;
    const cj__json *item = list ? all->first : all;
    if (list && !pair && all->count != (size_t)axes)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "padding of %zu axes; %d are expected",
                              all->count, axes);
    for (int i = 3 - axes; i < 3; i++) {
        const bool two = !pair && item->type == CJ__JSON_ARRAY && item->count == 2;
        const cj__json *first = two ? item->first : item;
        const cj__json *second = two || pair ? first->next : first;
        if (!first->is_integer || !second || !second->is_integer)
            return cj__keras_fail(k, layer, CJ_ERR_DATA, "padding that is no whole number");
        append_number(out, names[i][0], first->number);
        append_number(out, names[i][1], second->number);
        if (list && !pair) item = item->next;
    }
    return out->failed;
}

/* Keras 1 has the sizes of a kernel apart. */
CJ__KERAS_MORE(rows_and_columns)
{
    const double rows = cj__keras_number(layer->config, "nb_row", 0),
                 columns = cj__keras_number(layer->config, "nb_col", 0);
    if (rows > 0 && columns > 0 && rows < 1e6 && columns < 1e6)
        cj__text_format(out, "%skernel=[%d, %d]", out->length ? ", " : "", (int)rows, (int)columns);
    (void)k;
    return out->failed;
}

/* EinsumDense: its equation is a text with commas, its shape may have a null. */
CJ__KERAS_MORE(einsum)
{
    const char *equation = cj__keras_string(layer->config, "equation");
    const cj__json *shape = of(layer, "output_shape");
    if (!equation ||
        equation[strspn(equation, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  ",.->")])
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "no equation, or one of other characters");
    cj__text_format(out, "%sequation=\"%s\"", out->length ? ", " : "", equation);
    if (!shape || shape->type == CJ__JSON_NULL) return out->failed;
    cj__text_add(out, ", output_shape=[");
    const bool list = shape->type == CJ__JSON_ARRAY;
    for (const cj__json *i = list ? shape->first : shape; i; i = list ? i->next : NULL) {
        cj__text_number(out, i->is_integer ? i->number : 0);
        if (list && i->next) cj__text_add(out, ", ");
    }
    cj__text_char(out, ']');
    return out->failed;
}

/* LayerScale of keras.applications' ConvNeXt: a factor for each channel. */
CJ__KERAS_MORE(scale)
{
    (void)k, (void)layer;
    cj__text_add(out, "equation=\"...a,a->...a\"");
    return out->failed;
}

/* The two numbers of a factor, f for -f .. f, behind `about` them. */
static cj_status factor(cj__text *out, const cj__json *f, double sign)
{
    if (!f || (f->type != CJ__JSON_NUMBER && (f->type != CJ__JSON_ARRAY || f->count != 2)))
        return out->failed;
    const bool one = f->type == CJ__JSON_NUMBER;
    const double a = one ? -sign * f->number : f->first->number,
                 b = one ? f->number : f->first->next->number;
    const double low = 1 + sign * a;
    cj__text_format(out, "%sfactor=[", out->length ? ", " : "");
    cj__text_number(out, low > 0 ? low : 0);
    cj__text_add(out, ", ");
    cj__text_number(out, 1 + b);
    cj__text_char(out, ']');
    return out->failed;
}

/* Keras adds a share of the range, -0.1 .. 0.2; ours multiplies by 0.9 .. 1.2. */
CJ__KERAS_MORE(brightness)
{
    (void)k;
    return factor(out, of(layer, "factor"), 1);
}

/* [a, b] are 1 - a .. 1 + b. */
CJ__KERAS_MORE(contrast)
{
    (void)k;
    return factor(out, of(layer, "factor"), -1);
}
