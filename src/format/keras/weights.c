/* weights.c: a file's weights into the layers that were built.
 *
 *     .h5      /model_weights/LAYER, whose attribute weight_names lists its weights in order; of a
 *              model in the model those of all of its layers, first those that are trained
 *     .keras   /layers/KIND_2/vars/0, 1 ... by layer, and by part of a layer: /cell, /query_dense
 *
 * Which weights a layer has is in its row, in Keras's order; those that the layer was built without
 * (a bias) are not in the file. Shapes are compared before anything is copied. */
#include "format/keras/keras.h"

#include <string.h>

/* A weight of ours, and where it is in an archive. */
typedef struct target {
    const cj__keras_layer *layer;
    const char *name;    /* of our variable; NULL: we have none for it */
    const char *path;    /* of the group that has vars */
    int number;          /* in it */
    cj__keras_move how;
    bool trained;
} target;

typedef struct targets {
    target *items;
    int count, capacity;
} targets;

/* ---- Which there are ------------------------------------------------------------------------- */

static cj_status add(cj__keras *k, targets *list, const target *t)
{
    if (list->count == list->capacity) {
        const int more = list->capacity ? 2 * list->capacity : 16;
        target *items = cj__arena_array(k->arena, (size_t)more, sizeof *items);
        if (!items) return CJ_ERR_MEMORY;
        if (list->count) memcpy(items, list->items, (size_t)list->count * sizeof *items);
        list->items = items;
        list->capacity = more;
    }
    list->items[list->count++] = *t;
    return CJ_OK;
}

/* How many gates it has, if it is a recurrent layer. */
static int gates_of(const cj__keras_row *row)
{
    return !strcmp(row->layer, "lstm") || !strncmp(row->layer, "conv_lstm", 9) ? 4
           : !strcmp(row->layer, "gru")                                       ? 3
                                                                              : 1;
}

/* Keras 1 has the weights of a gate apart: all of the first, then all of the next. They are ours in
 * another order: i, c, f, o of an LSTM are i, f, c, o. */
static cj_status collect_gates(cj__keras *k, const cj__keras_layer *l, const target *of, int n,
                               targets *list)
{
    static const int order[] = {0, 2, 1, 3};
    const int gates = gates_of(l->row);
    for (int gate = 0; gate < gates; gate++)
        for (int i = 0; i < n; i++) {
            target t = of[i];
            t.how.blocks = gates;
            t.how.block = gates == 4 ? order[gate] : gate;
            CJ__TRY(add(k, list, &t));
        }
    return CJ_OK;
}

/* The weights of a row, as the layer called `full` has them; prefixes of a direction. */
static cj_status collect_row(cj__keras *k, const cj__keras_layer *l, const cj__keras_layer *of,
                             const char *path_prefix, const char *name_prefix, targets *list)
{
    const cj__keras_row *row = of->row;
    const char *how = cj__keras_string(of->config, "consume_less"),
               *order = cj__keras_string(of->config, "dim_ordering");
    const char *mode = cj__keras_string(of->config, "mode"); /* of an STFTSpectrogram */
    const bool first = order && !strcmp(order, "th"),
               one = row->halves && mode && cj__keras_is_word("real imag", mode);
    const bool gates = row->build == cj__keras_build_recurrent ||
                       row->build == cj__keras_build_cell;
    const unsigned slow = gates ? cj__keras_slow_gates(k, of) : 0;
    const double units = slow ? cj__keras_number(of->config, "units", 0) : 0;
    target found[CJ__KERAS_WEIGHTS];
    int number = l->first_weight, n = 0;
    for (int i = 0; i < CJ__KERAS_WEIGHTS && row->weights[i].name; i++) {
        const cj__keras_weight *w = &row->weights[i];
        if (i && strcmp(w->path, row->weights[i - 1].path)) number = 0;
        const char *name = cj__arena_printf(k->arena, "%s/%s%s", l->full, name_prefix, w->name);
        const char *path = cj__arena_printf(k->arena, "%s%s%s%s%s", l->path,
                                            *path_prefix ? "/" : "", path_prefix,
                                            *w->path ? "/" : "", w->path);
        if (!name || !path) return CJ_ERR_MEMORY;
        if (!cj_find_variable(k->g, name) || (one && i)) continue;
        const bool back = w->form == CJ__KERAS_BACK, window = back || w->form == CJ__KERAS_CONV;
        const cj__keras_form turned = back ? CJ__KERAS_BACK_FIRST : CJ__KERAS_FIRST;
        found[n++] = (target){.layer = l,
                              .name = name,
                              .path = path,
                              .number = number++,
                              .how = {.form = window && first ? turned : w->form,
                                      .gates = gates_of(row),
                                      .block = row->halves && i,
                                      .blocks = row->halves && !one ? 2 : 0,
                                      .around = window && k->theano,
                                      .old = k->version == 1,
                                      .local = of->local,
                                      .slow = slow,
                                      .units = (int64_t)units},
                              .trained = !l->frozen && strncmp(w->name, "moving_", 7)};
    }
    if (k->version == 1 && gates_of(row) > 1 && !(how && !strcmp(how, "gpu")))
        return collect_gates(k, of, found, n, list);
    for (int i = 0; i < n; i++) CJ__TRY(add(k, list, &found[i]));
    return CJ_OK;
}

/* How many weights it has in the file behind those that are ours: statistics, which went into
 * options, and what training alone reads: a vector, or moving statistics of another kind. */
static int unread_weights(const cj__keras_layer *l)
{
    if (l->row->build == cj__keras_build_normalization) return 3;
    if (!strcmp(l->kind, "SpectralNormalization")) return 1;
    if (cj__keras_bool(l->config, "renorm", false)) return 3;
    return l->row->build == cj__keras_build_batch_normalization && l->n_inner ? 2 : 0;
}

/* Models in models are as deep as JSON is: at most 64. */
static cj_status collect(cj__keras *k, const cj__keras_layer *l, targets *list)
{
    if (l->model) {
        for (int i = 0; i < l->model->n_layers; i++)
            CJ__TRY(collect(k, &l->model->layers[i], list));
        return CJ_OK;
    }
    if (!l->full || !l->row) return CJ_OK;
    if (l->row->build == cj__keras_build_bidirectional && l->n_inner == 1) {
        CJ__TRY(collect_row(k, l, l->inner, "forward_layer", "", list));
        return collect_row(k, l, l->inner, "backward_layer", "backward_", list);
    }
    if (l->row->layer) CJ__TRY(collect_row(k, l, l, "", "", list));
    for (int i = 0; i < l->n_inner; i++) CJ__TRY(collect(k, &l->inner[i], list));
    for (int i = unread_weights(l); i > 0; i--)
        CJ__TRY(add(k, list, &(target){.layer = l, .path = l->path}));
    return CJ_OK;
}

/* ---- Where they are -------------------------------------------------------------------------- */

/* The group vars of a part of a layer: by its path, or as older versions called its parts. */
static const cj__hdf5_object *vars(const cj__keras *k, const char *path)
{
    const cj__hdf5_object *from = k->weights;
    while (from && *path) {
        const size_t n = strcspn(path, "/");
        const cj__hdf5_object *next = cj__hdf5_find_n(from, path, n);
        char other[80];
        if (!next && n < 60) { /* "_query_dense" before it was public */
            cj__format(other, sizeof other, "_%.*s", (int)n, path);
            next = cj__hdf5_find(from, other);
        }
        if (!next && n == 6 && !memcmp(path, "layers", 6)) /* TensorFlow 2.12 */
            next = cj__hdf5_find(from, "_layer_checkpoint_dependencies");
        from = next;
        path += n + (path[n] == '/');
    }
    return from ? cj__hdf5_find(from, "vars") : NULL;
}

static cj_status by_path(const cj__keras *k, const char *path, int number,
                         const cj__hdf5_object **out)
{
    char name[24];
    const cj__hdf5_object *group = vars(k, path);
    cj__format(name, sizeof name, "%d", number);
    *out = group ? cj__hdf5_find(group, name) : NULL;
    return CJ_OK;
}

/* weight_names, or, of many, weight_names0, weight_names1 ...: text i; NULL: there is none. */
static cj_status weight_name(cj__keras *k, const cj__hdf5_object *group, int64_t i,
                             const char **out)
{
    const cj__hdf5_value *v = cj__hdf5_attribute_of(group, "weight_names");
    size_t length;
    *out = NULL;
    for (int part = 0; part < 1000; part++) {
        char name[40];
        cj__format(name, sizeof name, "weight_names%d", part);
        if (!v && !(v = cj__hdf5_attribute_of(group, name))) return CJ_OK;
        if (i < v->count) return cj__hdf5_text(&k->file, v, i, out, &length);
        i -= v->count;
        v = NULL;
    }
    return CJ_OK;
}

/* Weight i of a layer of the whole model, and what it is called there. */
static cj_status by_order(cj__keras *k, const cj__keras_layer *l, int i, const char **name,
                          const cj__hdf5_object **out)
{
    const cj__hdf5_object *group = cj__hdf5_find(k->weights, l->name);
    *out = NULL, *name = NULL;
    if (!group) return CJ_OK;
    CJ__TRY(weight_name(k, group, i, name));
    if (!*name) return CJ_OK;
    *out = cj__hdf5_find(group, *name);
    return *out ? CJ_OK
                : cj__keras_fail(k, l, CJ_ERR_DATA, "its weight '%.100s' is listed, but not there",
                                 *name);
}

/* Is a weight of the list, ".../normalization/mean:0", the layer's own of this name? */
static bool is_own(const char *listed, const cj__keras_layer *l, const char *name)
{
    const size_t n = strlen(listed), back = n > 2 && !strcmp(listed + n - 2, ":0") ? 2 : 0,
                 tail = strlen(l->name) + 1 + strlen(name);
    if (n < tail + back) return false;
    const char *at = listed + n - back - tail, *slash = at + strlen(l->name);
    return (at == listed || at[-1] == '/') && !memcmp(at, l->name, strlen(l->name)) &&
           *slash == '/' && !memcmp(slash + 1, name, strlen(name));
}

/* A weight of a layer in a model or wrapper, found among all of that by its name. */
static cj_status by_name(cj__keras *k, const cj__keras_layer *l, const char *name,
                         const cj__hdf5_object **out)
{
    const char *listed;
    for (int i = 0;; i++) {
        CJ__TRY(by_order(k, k->top, i, &listed, out));
        if (!listed || is_own(listed, l, name)) return CJ_OK;
    }
}

cj_status cj__keras_weight_at(cj__keras *k, const cj__keras_layer *l, int i, const char *name,
                              cj_tensor **out)
{
    const cj__hdf5_object *o;
    const char *listed;
    *out = NULL;
    if (!k->weights) return CJ_OK;
    CJ__TRY(k->by_path    ? by_path(k, l->path, i, &o)
            : l != k->top ? by_name(k, l, name, &o)
                          : by_order(k, l, i, &listed, &o));
    return o && o->is_data ? cj__hdf5_tensor(&k->file, &o->value, out) : CJ_OK;
}

cj_status cj__keras_weight_called(cj__keras *k, const cj__keras_layer *l, const char *name,
                                  cj_tensor **out)
{
    const char *inner = cj__arena_printf(k->arena, "%s/_lookup_layer", l->path ? l->path : "");
    *out = NULL;
    if (!inner) return CJ_ERR_MEMORY;
    const cj__hdf5_object *group = k->by_path && l->path ? vars(k, l->path) : NULL;
    const cj__hdf5_object *o = group ? cj__hdf5_find(group, name) : NULL;
    if (!o && k->by_path && (group = vars(k, inner)) != NULL) o = cj__hdf5_find(group, name);
    return o && o->is_data ? cj__hdf5_tensor(&k->file, &o->value, out) : CJ_OK;
}

/* ---- All ------------------------------------------------------------------------------------- */

static cj_status fail_shape(const cj__keras *k, const target *t, const cj_tensor *from,
                            const cj_tensor *to)
{
    int64_t shape[CJ_RANK_MAX];
    cj__shape_text found, expected;
    const int n = cj__keras_expected(&t->how, from, to, shape);
    return cj__keras_fail(k, t->layer, CJ_ERR_SHAPE,
                          "its %s is %s %s in the file; floats %s are expected",
                          strrchr(t->name, '/') + 1, cj_dtype_info(cj_tensor_dtype(from))->name,
                          cj__shape_string(&found, cj_tensor_rank(from), cj_tensor_shape(from)),
                          cj__shape_string(&expected, n, shape));
}

static cj_status load(cj__keras *k, const target *t, const cj__hdf5_object *from)
{
    cj_tensor *tensor;
    if (!t->name) return CJ_OK;
    if (!from || !from->is_data)
        return cj__keras_fail(k, t->layer, CJ_ERR_NOT_FOUND, "its %s is not in the file%s%.200s",
                              strrchr(t->name, '/') + 1, k->by_path ? ": /" : "",
                              k->by_path ? t->path : "");
    cj_tensor *to = cj_store_get(cj_graph_store(k->g), t->name);
    CJ__TRY(cj__hdf5_tensor(&k->file, &from->value, &tensor));
    cj_status failed = cj__keras_move_weight(&t->how, tensor, to) ? CJ_OK
                                                                  : fail_shape(k, t, tensor, to);
    cj_tensor_free(tensor);
    return failed;
}

/* The statistics of a Normalization stand among the weights of the model it is in; they went into
 * its options (wrappers.c). */
static bool is_statistic(const char *listed, const cj__keras_layer *l)
{
    static const char *const names[] = {"mean", "variance", "count"};
    bool is = false;
    for (int i = 0; i < 3 && listed && l->row->build == cj__keras_build_normalization; i++)
        is |= is_own(listed, l, names[i]);
    return is;
}

/* The weights of a layer of the whole model, in order: trained ones first. */
static cj_status load_in_order(cj__keras *k, const cj__keras_layer *l, const targets *list)
{
    const cj__hdf5_object *from;
    const char *name;
    int i = 0;
    for (int trained = 1; trained >= 0; trained--)
        for (int j = 0; j < list->count; j++) {
            const target *t = &list->items[j];
            if (t->trained != (trained != 0)) continue;
            CJ__TRY(by_order(k, l, i, &name, &from));
            if (t->layer->row->build == cj__keras_build_normalization &&
                !is_statistic(name, t->layer))
                continue;
            i++;
            CJ__TRY(load(k, t, from));
        }
    CJ__TRY(by_order(k, l, i, &name, &from));
    return !from || !i ? CJ_OK
                       : cj__keras_fail(k, l, CJ_ERR_DATA,
                                        "it has more weights in the file than the %d expected", i);
}

cj_status cj__keras_set_weights(cj__keras *k, cj__keras_model *model)
{
    for (int i = 0; i < model->n_layers; i++) {
        const cj__keras_layer *l = &model->layers[i];
        targets list = {.count = 0};
        const cj__hdf5_object *from;
        bool any = false;
        CJ__TRY(collect(k, l, &list));
        for (int j = 0; j < list.count; j++) any |= list.items[j].name != NULL;
        if (!any) continue;
        if (!k->weights)
            return cj_fail(k->cj, CJ_ERR_DATA, "the file has the model's layers, but no weights");
        if (!k->by_path) CJ__TRY(load_in_order(k, l, &list));
        for (int j = 0; k->by_path && j < list.count; j++) {
            CJ__TRY(by_path(k, list.items[j].path, list.items[j].number, &from));
            CJ__TRY(load(k, &list.items[j], from));
        }
    }
    return CJ_OK;
}
