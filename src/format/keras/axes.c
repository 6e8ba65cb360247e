/* axes.c: what Keras does along several axes and ours along the last one: these are brought to the
 * end and become one, and afterwards what they were.
 *
 *     [a, B, c, D]  ->  [a, c, B, D]  ->  [a, c, B D]  ->  y  ->  back
 */
#include "format/keras/keras.h"

#include <string.h>

/* Where the axes of x went. */
typedef struct ends {
    int rank, n; /* axes of x, and those at the end */
    int64_t order[CJ_RANK_MAX], back[CJ_RANK_MAX];
    cj_dim dims[CJ_RANK_MAX]; /* in that order */
} ends;

static cj_node *to_end(cj_node *x, const int64_t *axes, int n, ends *e)
{
    cj_graph *g = cj_node_graph(x);
    int at = 0;
    *e = (ends){.rank = cj_node_rank(x), .n = n};
    for (int i = 0, k = 0; i < e->rank; i++) {
        if (k < n && axes[k] == i) k++;
        else e->order[at++] = i;
    }
    for (int k = 0; k < n; k++) e->order[at++] = axes[k];
    cj_dim last = 1, dims[CJ_RANK_MAX];
    for (int i = 0; i < e->rank; i++) {
        e->back[e->order[i]] = i;
        dims[i] = e->dims[i] = cj_node_dim(x, (int)e->order[i]);
        if (i >= e->rank - n) last = cj_dim_mul(g, last, dims[i]);
    }
    dims[e->rank - n] = last;
    x = cj_transpose(x, e->order);
    return x ? cj_reshape(x, e->rank - n + 1, dims) : NULL;
}

static cj_node *from_end(cj_node *y, const ends *e)
{
    y = y ? cj_reshape(y, e->rank, e->dims) : NULL;
    return y ? cj_transpose(y, e->back) : NULL;
}

cj_node *cj__keras_softmax(cj_node *x, const int64_t *axes, int n)
{
    ends e;
    if (!x) return NULL;
    if (n == 1) return cj_softmax(x, (int)axes[0]);
    cj_node *y = to_end(x, axes, n, &e);
    return from_end(y ? cj_softmax(y, -1) : NULL, &e);
}

int cj__keras_axes(const cj__json *value, int rank, int64_t out[CJ_RANK_MAX])
{
    const bool list = value && value->type == CJ__JSON_ARRAY;
    bool given[CJ_RANK_MAX] = {false};
    int n = 0;
    if (value && !list && !value->is_integer) return value->type == CJ__JSON_NULL ? 0 : -1;
    for (const cj__json *i = list ? value->first : value; i; i = list ? i->next : NULL) {
        const int64_t at = i->is_integer && i->integer < 0 ? i->integer + rank : i->integer;
        if (!i->is_integer || at < 0 || at >= rank || given[at]) return -1;
        given[at] = true;
    }
    for (int i = 0; i < rank; i++)
        if (given[i]) out[n++] = i;
    return n;
}

CJ__KERAS_BUILDER(softmax)
{
    int64_t axes[CJ_RANK_MAX];
    const cj__json *axis = cj__json_find(layer->config, "axis");
    if (!axis || axis->type != CJ__JSON_ARRAY || axis->count < 2)
        return cj__keras_build_row(k, layer, call, x, n);
    const int count = cj__keras_axes(axis, cj_node_rank(x[0]), axes);
    if (count < 1)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "axes that the input of rank %d has not",
                              cj_node_rank(x[0]));
    call->out[0] = cj__keras_softmax(x[0], axes, count);
    call->n_out = 1;
    return k->g->failed;
}

/* ---- Normalization --------------------------------------------------------------------------- */

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

CJ__KERAS_BUILDER(normalization)
{
    int64_t axes[CJ_RANK_MAX];
    const cj__json *axis = cj__json_find(layer->config, "axis");
    const int rank = cj_node_rank(x[0]);
    int count = axis ? cj__keras_axes(axis, rank, axes) : 0;
    ends e;
    cj__text text;
    if (count < 0 || n != 1)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "axes that the input of rank %d has not",
                              rank);
    if (!count) axes[count++] = rank - 1; /* one number, or the last axis */
    cj_node *in = to_end(x[0], axes, count, &e), *y = NULL;
    if (!in) return k->g->failed;
    cj__text_init(&text, k->cj);
    cj_status failed = statistic(k, layer, "mean", 0, &text);
    if (!failed) failed = statistic(k, layer, "variance", 1, &text);
    if (cj__keras_bool(layer->config, "invert", false)) cj__text_add(&text, ", invert=true");
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), &in, 1, &y);
    cj__text_release(&text);
    call->out[0] = failed ? NULL : from_end(y, &e);
    call->n_out = 1;
    return failed;
}
