/* pictures.c: how decoded pictures become the input of a model that does not say it: of another
 * program, or one made by hand.
 *
 *     u8 [batch, height, width, channels] -> (x - mean) / std -> channels first, if the model wants
 * it
 *
 * It is a preparation like any other: in front of the graph when a program is made, and inside it
 * in a saved file. */
#include <math.h>
#include <string.h>

#include "base/opts.h"
#include "base/text.h"
#include "nn/model.h"

static bool are_channels(cj_dim d) { return d == 1 || d == 3; }

/* Mean or deviation of pixels in 0..255, one number or one a channel. */
static cj_status take_numbers(cj_model *m, const char *what, int n, const double *values,
                              double initial, double unit, int64_t channels, double **out)
{
    *out = cj__arena_array(&m->arena, (size_t)channels, sizeof **out);
    if (!*out) return m->cj->status;
    if (n != 0 && n != 1 && n != channels)
        return cj_fail(m->cj, CJ_ERR_ARGUMENT,
                       "pictures: %d numbers as %s; the model takes pictures of %lld channels: 1 "
                       "number, or one a channel",
                       n, what, (long long)channels);
    for (int i = 0; i < n; i++)
        if (!isfinite(values[i]) || (what[0] == 's' && !(values[i] > 0)))
            return cj_fail(m->cj, CJ_ERR_ARGUMENT, "pictures: %s %g", what, values[i]);
    for (int64_t i = 0; i < channels; i++)
        (*out)[i] = unit * (n ? values[n == 1 ? 0 : i] : initial);
    return CJ_OK;
}

/* Means such as 123.7 are of pixels in 0..255, those such as 0.485 in 0..1. */
static bool in_bytes(const cj_pictures_opts *o)
{
    for (int i = 0; i < o->means; i++)
        if (o->mean[i] > 1) return true;
    for (int i = 0; i < o->deviations; i++)
        if (o->deviation[i] > 1) return true;
    return false;
}

static void tell(const cj_pictures_opts *o, const cj__preparation *p, bool bytes)
{
    char text[512], numbers[256] = "";
    size_t n = 0;
    for (int64_t i = 0; p->offset && i < p->channels && n < sizeof numbers; i++)
        n += (size_t)cj__format(numbers + n, sizeof numbers - n, "%s(%.5g, %.5g)", i ? ", " : "",
                                p->offset[i], 1 / p->scale[i]);
    cj__format(text, sizeof text,
               "pictures are [%lld, %lld, %lld], %s; less mean, by deviation, in pixels of 0..255: "
               "%s%s",
               (long long)p->shape[0], (long long)p->shape[1], (long long)p->shape[2],
               p->channels_first ? "and the model takes channels first (NCHW)"
                                 : "as the model takes them (NHWC)",
               numbers,
               !o->means && !o->deviations ? " (assumed: 0..1 is meant)"
               : bytes                     ? " (numbers above 1 are of pixels of 0..255)"
                                           : "");
    if (o->tell) o->tell(o->user, text);
}

cj_status cj_model_pictures(cj_model *m, const cj_pictures_opts *opts)
{
    cj_pictures_opts o = {0};
    if (!m) return CJ_ERR_ARGUMENT;
    CJ__TRY(m->graph->failed);
    CJ__TRY(cj__opts_take(m->cj, "pictures", &o, sizeof o, opts));
    const cj_node *x = m->graph->inputs.count ? m->graph->inputs.items[0].node : NULL;
    if (!x || !m->n_preparations || x->type.rank != 4 ||
        cj_dtype_info(x->type.dtype)->kind != CJ_KIND_FLOAT)
        return cj_fail(m->cj, CJ_ERR_SHAPE,
                       "pictures: the model's first input is no batch of pictures of floats");
    const cj_dim *d = x->type.dim;
    cj__preparation p = {.known = true, .dtype = CJ_U8, .rank = 3, .fit = o.fit};
    p.channels_first = o.layout == CJ_LAYOUT_NCHW ||
                       (o.layout == CJ_LAYOUT_AUTO && are_channels(d[1]));
    const int at = p.channels_first ? 2 : 1;
    p.shape[0] = d[at] < 0 ? o.height : d[at];
    p.shape[1] = d[at + 1] < 0 ? o.width : d[at + 1];
    p.shape[2] = p.channels = d[p.channels_first ? 1 : 3];
    if (!are_channels(p.channels))
        return cj_fail(m->cj, CJ_ERR_SHAPE,
                       "pictures: the model's input '%s' does not have 1 or 3 channels %s", x->name,
                       p.channels_first ? "on axis 1 (NCHW)" : "on its last axis (NHWC)");
    if (p.shape[0] < 1 || p.shape[1] < 1)
        return cj_fail(m->cj, CJ_ERR_SHAPE,
                       "pictures: the model's input '%s' leaves height and width open: they are to "
                       "be said",
                       x->name);
    bool bytes = in_bytes(&o);
    CJ__TRY(take_numbers(m, "mean", o.means, o.mean, 0, bytes ? 1 : 255, p.channels, &p.offset));
    CJ__TRY(take_numbers(m, "std", o.deviations, o.deviation, 1,
                         bytes ? 1 : 255, p.channels, &p.scale));
    for (int64_t i = 0; i < p.channels; i++) p.scale[i] = 1 / p.scale[i];
    if (!(p.field = cj__arena_strdup(&m->arena, x->name))) return m->cj->status;
    tell(&o, &p, bytes);
    m->preparation[0] = p;
    return CJ_OK;
}
