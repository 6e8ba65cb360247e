/* pictures.c: Keras's layers that change pictures, most of them in training alone: where sizes are
 * not known, or there are other channels than ours can do, such a layer is left out. Keras's
 * colours are 0 .. 255 unless value_range says another range; ours are 0 .. 1. */
#include "format/keras/keras.h"

#include <string.h>

static bool is_first(const cj__keras_layer *l)
{
    const char *format = cj__keras_string(l->config, "data_format");
    return format && !strcmp(format, "channels_first");
}

/* Are height, width and channels numbers? */
static bool is_known(const cj__keras_layer *l, const cj_node *x)
{
    if (!x || cj_node_rank(x) != 4) return false;
    for (int i = 1; i < 4; i++)
        if (cj_node_dim(x, i) < 0) return false;
    return !is_first(l);
}

CJ__KERAS_BUILDER(moved)
{
    const bool known = is_known(layer, x[0]) || (is_first(layer) && cj_node_rank(x[0]) == 4 &&
                                                 cj_node_dim(x[0], 2) > 0 &&
                                                 cj_node_dim(x[0], 3) > 0);
    return known ? cj__keras_build_row(k, layer, call, x, n)
                 : cj__keras_build_nothing(k, layer, call, x, n);
}

/* low and high of value_range. */
static cj_status value_range(cj__keras *k, const cj__keras_layer *l, double *low, double *high)
{
    const cj__json *range = cj__json_find(l->config, "value_range");
    *low = 0, *high = 255;
    if (!range || range->type == CJ__JSON_NULL) return CJ_OK;
    if (range->type != CJ__JSON_ARRAY || range->count != 2 ||
        range->first->type != CJ__JSON_NUMBER || range->first->next->type != CJ__JSON_NUMBER ||
        !(range->first->number < range->first->next->number))
        return cj__keras_fail(k, l, CJ_ERR_DATA, "a value_range that is not [low, high]");
    *low = range->first->number, *high = range->first->next->number;
    return CJ_OK;
}

/* Ours of colours 0 .. 1, between two changes of range; outside of training x itself, but of a
 * layer that works there, too. */
CJ__KERAS_BUILDER(coloured)
{
    const bool always = !strcmp(layer->row->layer, "auto_contrast");
    const int64_t channels = cj_node_rank(x[0]) == 4 ? cj_node_dim(x[0], 3) : 0;
    double low, high;
    cj_node *y = NULL;
    if (!always && (!is_known(layer, x[0]) || (channels != 1 && channels != 3)))
        return cj__keras_build_nothing(k, layer, call, x, n);
    if (is_first(layer))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "channels that come first");
    CJ__TRY(value_range(k, layer, &low, &high));
    cj_node *scaled = cj_scale(cj_shift(x[0], -low), 1 / (high - low));
    if (!scaled) return k->g->failed;
    cj__text text;
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, layer, &text);
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), &scaled, 1,
                                 &y);
    cj__text_release(&text);
    if (failed) return failed;
    y = cj_shift(cj_scale(y, high - low), low);
    call->out[0] = always ? y : cj_where(cj_training(k->g), y, x[0]);
    call->n_out = 1;
    return k->g->failed;
}

/* RandomCrop: versions of Keras differ in what it does outside of training to a picture of another
 * size; to one of its own size none does anything. */
CJ__KERAS_BUILDER(cropped)
{
    const int rows = is_first(layer) ? 2 : 1;
    if (n != 1 || cj_node_rank(x[0]) != 4 ||
        (double)cj_node_dim(x[0], rows) != cj__keras_number(layer->config, "height", -1) ||
        (double)cj_node_dim(x[0], rows + 1) != cj__keras_number(layer->config, "width", -1))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "pictures of another size than its result");
    return cj__keras_build_nothing(k, layer, call, x, n);
}

/* A whole number of Keras's: a side in the other's ratio, in floats. */
static int64_t in_ratio(int64_t side, int64_t target, int64_t other)
{
    return (int64_t)((float)(side * target) / (float)other);
}

/* Resizing whose pictures keep their ratio: first the largest part in the middle that has that of
 * the result is cut out, or edges are added, as many on both sides. */
CJ__KERAS_BUILDER(resizing)
{
    const bool crop = cj__keras_bool(layer->config, "crop_to_aspect_ratio", false),
               pad = cj__keras_bool(layer->config, "pad_to_aspect_ratio", false);
    const double height = cj__keras_number(layer->config, "height", 0),
                 width = cj__keras_number(layer->config, "width", 0),
                 value = cj__keras_number(layer->config, "fill_value", 0);
    const int rows = is_first(layer) ? 2 : 1;
    if (!crop && !pad) return cj__keras_build_row(k, layer, call, x, n);
    const int64_t h = cj_node_rank(x[0]) == 4 ? cj_node_dim(x[0], rows) : -1,
                  w = h < 0 ? -1 : cj_node_dim(x[0], rows + 1);
    if (h < 1 || w < 1 || h > 1 << 24 || w > 1 << 24)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "pictures that keep their ratio, but whose sizes are not known");
    if (!(height >= 1) || !(width >= 1) || height > 1 << 24 || width > 1 << 24)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "a height or width that is none");
    const int64_t by_width = in_ratio(w, (int64_t)height, (int64_t)width),
                  by_height = in_ratio(h, (int64_t)width, (int64_t)height);
    cj_node *y = x[0];
    if (crop) {
        const int64_t rest = by_width < 1 ? 1 : by_width < h ? by_width : h,
                      across = by_height < 1 ? 1 : by_height < w ? by_height : w;
        y = cj_slice_axis(y, rows, (h - rest) / 2, rest);
        y = cj_slice_axis(y, rows + 1, (w - across) / 2, across);
    } else {
        int64_t edges[4] = {0};
        if (by_width > 1 << 24 || by_height > 1 << 24)
            return cj__keras_fail(k, layer, CJ_ERR_LIMIT, "edges of more than 2^24 places");
        if (by_width > h) edges[rows] = (by_width - h) / 2;
        if (by_height > w) edges[rows + 1] = (by_height - w) / 2;
        y = cj_pad(y, edges, edges, value);
    }
    return y ? cj__keras_build_row(k, layer, call, &y, 1) : k->g->failed;
}
