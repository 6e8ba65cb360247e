/* local.c: LocallyConnected: a convolution whose kernel is another one at each place: all windows,
 * one after another, times the kernel of each:
 *
 *     x [batch, places, window channels]   kernel [places, window channels, filters]
 *
 * How the kernel lies in the file is a matter of its implementation, i being places of the input,
 * o of the result, each of one or two axes:
 *
 *     1   as ours                                     channels first: [o, c window, f]
 *     2   [i, c, o, f], of a dense layer              [c, i, f, o]
 *     3   its numbers that connect, by o, f, i, c     by f, o, c, i
 */
#include "format/keras/keras.h"

#include <string.h>

struct cj__keras_local {
    int axes, implementation;
    bool first; /* channels */
    int64_t in[2], size[2], step[2], out[2], before[2]; /* before: places left of the input */
    int64_t channels, filters;
};

/* ---- Sizes ----------------------------------------------------------------------------------- */

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

static cj_status take_windows(cj__keras *k, const cj__keras_layer *l, const cj_node *x,
                              cj__keras_local *w)
{
    static const char *const size[] = {"kernel_size", "filter_length", NULL},
                             *const step[] = {"strides", "subsample", "subsample_length", NULL};
    static const char *const old[] = {"nb_row", "nb_col"};
    for (int i = 0; i < w->axes; i++) {
        const double n = number_at(l->config, size, i), s = number_at(l->config, step, i),
                     given = n != 0 ? n : cj__keras_number(l->config, old[i], 0);
        const int64_t from = w->in[i] = cj_node_dim(x, i + 1);
        if (!(given >= 1) || !(given <= (double)from) || !(s >= 0) || s > 1e6)
            return cj__keras_fail(k, l, CJ_ERR_SHAPE,
                                  "windows of %g at steps of %g along an axis of %lld", given, s,
                                  (long long)from);
        w->size[i] = (int64_t)given;
        w->step[i] = s >= 1 ? (int64_t)s : 1;
        w->out[i] = w->before[i] >= 0 ? (from + w->step[i] - 1) / w->step[i]
                                      : (from - w->size[i]) / w->step[i] + 1;
        w->before[i] = w->before[i] >= 0 ? w->size[i] / 2 : 0;
    }
    if (w->size[0] > 1024 / w->size[1])
        return cj__keras_fail(k, l, CJ_ERR_LIMIT, "windows of more than 1024 places");
    return CJ_OK;
}

static cj_status take(cj__keras *k, const cj__keras_layer *l, const cj_node *x, cj__keras_local *w)
{
    const char *padding = cj__keras_string(l->config, "padding");
    if (!padding) padding = cj__keras_string(l->config, "border_mode");
    const double implementation = cj__keras_number(l->config, "implementation", 1),
                 filters = cj__keras_number(l->config, "filters",
                                            cj__keras_number(l->config, "nb_filter", 0));
    const int64_t same = padding && !strcmp(padding, "same") ? 0 : -1;
    w->axes = strcmp(l->kind, "LocallyConnected1D") ? 2 : 1;
    for (int i = 0; i < 2; i++) w->in[i] = w->out[i] = w->size[i] = w->step[i] = 1;
    w->before[0] = w->before[1] = same;
    if (w->axes == 1) w->before[1] = 0;
    if (implementation != 1 && implementation != 2 && implementation != 3)
        return cj__keras_fail(k, l, CJ_ERR_DATA, "the implementation %g; 1, 2 and 3 are possible",
                              implementation);
    if ((padding && !cj__keras_is_word("valid same", padding)) ||
        (implementation == 1 && same >= 0))
        return cj__keras_fail(k, l, CJ_ERR_DATA, "the padding %.40s of implementation %g", padding,
                              implementation);
    if (!(filters >= 1) || filters > 1e6)
        return cj__keras_fail(k, l, CJ_ERR_DATA, "%g filters", filters);
    if (cj_node_rank(x) != w->axes + 2 || cj_node_dim(x, -1) < 1)
        return cj__keras_fail(k, l, CJ_ERR_SHAPE, "an input of rank %d; %d is expected",
                              cj_node_rank(x), w->axes + 2);
    w->implementation = (int)implementation;
    w->filters = (int64_t)filters;
    w->channels = cj_node_dim(x, -1);
    return take_windows(k, l, x, w);
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* The places of a window at o that are in the input, from *begin: their number. */
static int64_t inside(const cj__keras_local *w, int axis, int64_t o, int64_t *begin)
{
    const int64_t at = o * w->step[axis] - w->before[axis],
                  end = at + w->size[axis] > w->in[axis] ? w->in[axis] : at + w->size[axis];
    *begin = at < 0 ? 0 : at;
    return end > *begin ? end - *begin : 0;
}

/* How many numbers the window at a place has that connect. */
static int64_t connected(const cj__keras_local *w, int64_t place)
{
    int64_t unused;
    return w->channels * inside(w, 0, place / w->out[1], &unused) *
           inside(w, 1, place % w->out[1], &unused);
}

static int64_t all_connected(const cj__keras_local *w)
{
    int64_t n = 0;
    for (int64_t place = 0; place < w->out[0] * w->out[1]; place++) n += connected(w, place);
    return n * w->filters;
}

/* Of implementation 3: where the number of filter f at window place [y, x], channel c is. before:
 * how many connect at the places before; all: at all places. */
static int64_t listed_at(const cj__keras_local *w, int64_t place, int64_t before, int64_t all,
                         int64_t y, int64_t x, int64_t c, int64_t f)
{
    int64_t top, left;
    const int64_t rows = inside(w, 0, place / w->out[1], &top),
                  columns = inside(w, 1, place % w->out[1], &left),
                  n = w->channels * rows * columns;
    y -= top, x -= left;
    if (w->first) return f * all + before + (c * rows + y) * columns + x;
    return before * w->filters + f * n + (y * columns + x) * w->channels + c;
}

/* The same of the others; y and x are places of the input. */
static int64_t dense_at(const cj__keras_local *w, int64_t place, int64_t y, int64_t x, int64_t c,
                        int64_t f)
{
    const int64_t places = w->out[0] * w->out[1], in = y * w->in[1] + x;
    if (w->first) return ((c * w->in[0] * w->in[1] + in) * w->filters + f) * places + place;
    return ((in * w->channels + c) * places + place) * w->filters + f;
}

int cj__keras_local_shape(const cj__keras_local *w, int64_t *out)
{
    const int64_t places = w->out[0] * w->out[1];
    int n = 0;
    if (w->implementation == 3) {
        out[n++] = all_connected(w);
        return n;
    }
    if (w->implementation == 1) {
        out[n++] = places;
        out[n++] = w->size[0] * w->size[1] * w->channels;
        out[n++] = w->filters;
        return n;
    }
    if (w->first) out[n++] = w->channels;
    for (int i = 0; i < w->axes; i++) out[n++] = w->in[i];
    out[n++] = w->first ? w->filters : w->channels;
    for (int i = 0; i < w->axes; i++) out[n++] = w->out[i];
    if (!w->first) out[n++] = w->filters;
    return n;
}

bool cj__keras_move_local(const cj__keras_local *w, const cj_tensor *from, cj_tensor *to)
{
    int64_t shape[CJ_RANK_MAX], before = 0;
    const int rank = cj__keras_local_shape(w, shape);
    const cj_dtype source = cj_tensor_dtype(from), dtype = cj_tensor_dtype(to);
    if (cj_dtype_info(source)->kind != CJ_KIND_FLOAT || cj_tensor_rank(from) != rank ||
        memcmp(cj_tensor_shape(from), shape, (size_t)rank * sizeof *shape) != 0)
        return false;
    const int64_t all = all_connected(w) / w->filters, window = w->size[0] * w->size[1];
    const void *bytes = cj_tensor_map_read(from);
    void *out = cj_tensor_map(to, CJ_MAP_WRITE);
    size_t at = 0;
    for (int64_t place = 0; place < w->out[0] * w->out[1]; before += connected(w, place++))
        for (int64_t i = 0; i < window * w->channels; i++)
            for (int64_t f = 0; f < w->filters; f++, at++) {
                const int64_t c = i % w->channels, k = i / w->channels;
                const int64_t y = place / w->out[1] * w->step[0] - w->before[0] + k / w->size[1],
                              x = place % w->out[1] * w->step[1] - w->before[1] + k % w->size[1];
                const bool in = y >= 0 && y < w->in[0] && x >= 0 && x < w->in[1];
                const int64_t found =
                    w->implementation == 3   ? listed_at(w, place, before, all, y, x, c, f)
                    : w->implementation == 2 ? dense_at(w, place, y, x, c, f)
                    : w->first ? ((place * w->channels + c) * window + k) * w->filters + f
                               : (int64_t)at;
                cj_store_f64(dtype, out, at, in ? cj_load_f64(source, bytes, (size_t)found) : 0);
            }
    cj_tensor_unmap(to);
    cj_tensor_unmap(from);
    return true;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* x with zeros where windows are outside of it. */
static cj_node *with_edges(cj_node *x, const cj__keras_local *w)
{
    int64_t before[CJ_RANK_MAX] = {0}, after[CJ_RANK_MAX] = {0};
    for (int i = 0; i < w->axes; i++) {
        const int64_t reach = (w->out[i] - 1) * w->step[i] + w->size[i] - w->before[i];
        before[i + 1] = w->before[i];
        after[i + 1] = reach > w->in[i] ? reach - w->in[i] : 0;
    }
    return w->before[0] || w->before[1] || after[1] || after[2] ? cj_pad(x, before, after, 0) : x;
}

/* [batch, places, window channels] */
static cj_node *unfolded(cj__keras *k, cj_node *x, const cj__keras_local *w)
{
    const int64_t n = w->size[0] * w->size[1];
    cj_node **part = cj__arena_array(k->arena, (size_t)n, sizeof(cj_node *));
    x = with_edges(x, w);
    if (!part || !x) return NULL;
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

/* Numbers for places outside of the input are zeros that implementation 3 has not in the file: of
 * each axis at most half of a window is outside. */
static cj_status make_room(cj__keras *k, const cj__keras_layer *l, const cj__keras_local *w)
{
    int64_t n;
    if (CJ__MUL_OVERFLOWS(w->out[0], w->out[1], &n) || CJ__MUL_OVERFLOWS(n, w->filters, &n) ||
        CJ__MUL_OVERFLOWS(n, w->size[0] * w->size[1], &n) ||
        CJ__MUL_OVERFLOWS(n, w->channels, &n) || n / 4 > k->room + 65536)
        return cj__keras_fail(k, l, CJ_ERR_LIMIT, "its kernel has more numbers than the file");
    if (w->implementation == 3) cj__layers_of(k->g)->room += n - all_connected(w);
    return CJ_OK;
}

static bool is_first(const cj__keras_layer *l)
{
    const char *format = cj__keras_string(l->config, "data_format");
    if (!format) format = cj__keras_string(l->config, "dim_ordering");
    return format && cj__keras_is_word("channels_first th", format);
}

CJ__KERAS_BUILDER(local)
{
    cj__keras_local *w = cj__arena_alloc(k->arena, sizeof *w);
    if (!w) return CJ_ERR_MEMORY;
    (void)n;
    *w = (cj__keras_local){.first = is_first(layer)};
    cj_node *y, *from = w->first ? cj__keras_move_channels(x[0], true) : x[0];
    cj__text text;
    if (!from) return k->g->failed;
    CJ__TRY(take(k, layer, from, w));
    layer->local = w;
    CJ__TRY(make_room(k, layer, w));
    cj_node *in = unfolded(k, from, w);
    if (!in) return k->g->failed ? k->g->failed : CJ_ERR_MEMORY;
    const int64_t places = w->out[0] * w->out[1];
    cj__text_init(&text, k->cj);
    cj_status failed = cj__keras_options(k, layer, &text);
    cj__text_format(&text, "%sequation=\"abc,bcd->abd\", output_shape=[%lld, %lld]%s",
                    text.length ? ", " : "", (long long)places, (long long)w->filters,
                    cj__keras_bool(layer->config, "use_bias",
                                   cj__keras_bool(layer->config, "bias", true))
                        ? ", bias_axes=bd"
                        : "");
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), &in, 1, &y);
    cj__text_release(&text);
    if (failed) return failed;
    if (w->axes == 2)
        y = cj_reshape(y, 4, (cj_dim[]){cj_node_dim(y, 0), w->out[0], w->out[1],
                                        cj_node_dim(y, -1)});
    call->out[0] = w->first && y ? cj__keras_move_channels(y, false) : y;
    call->n_out = 1;
    return k->g->failed;
}
