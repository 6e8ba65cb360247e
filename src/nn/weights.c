/* weights.c: weights of another program by their names.
 *
 *     ours                      PyTorch's               what is done
 *     conv1/kernel              conv1.weight            nothing: both are [out, in, kernel...]
 *     fc/kernel [in, out]       fc.weight [out, in]     transposed
 *     bn1/gamma, beta           bn1.weight, bias        nothing
 *     bn1/moving_mean           bn1.running_mean        nothing
 *     bn1/moving_variance       bn1.running_var         nothing
 *     any/name                  any/name                nothing: a file with our own names
 *
 * PyTorch's pictures have the channels first, so what is behind a flatten has its numbers in
 * another order: PyTorch's c, h, w are our h, w, c. A dense layer there (and a norm between) has
 * its rows moved accordingly.
 *
 * All is found and compared before anything is changed. */
#include "nn/model.h"

#include "base/text.h"

#include "tensor/tensor.h"

#include <string.h>

typedef struct loading {
    cj_model *m;
    const cj_tensors *list;
    const char *file;
    bool *used; /* by tensor of the list */
    bool partial;
} loading;

/* A weight of the model and what it is loaded from. */
typedef struct source {
    const char *name;         /* in the file */
    const cj_tensor *from;
    bool transposed;
    const cj_type *flattened; /* the picture that became the inputs, or NULL */
} source;

/* ---- Which layer ----------------------------------------------------------------------------- */

static const cj__layer_record *record_of(const cj__layers *layers, const char *name, size_t length)
{
    for (int i = 0; i < layers->count; i++)
        if (strlen(layers->items[i].name) == length &&
            !memcmp(layers->items[i].name, name, length))
            return &layers->items[i];
    return NULL;
}

static const cj__layer_record *maker_of(const cj__layers *layers, const cj_node *node)
{
    for (int i = layers->count - 1; i >= 0; i--)
        if (layers->items[i].y == node) return &layers->items[i];
    return NULL;
}

/* Does it leave each number in its place: a dropout, an activation, a norm of batches? */
static bool keeps_places(const cj__layer_record *maker, const cj_node *x)
{
    if (maker)
        return maker->n == 1 &&
               (!maker->n_parameters || !strcmp(maker->row->name, "batch_normalization"));
    return x->call->n_in == 1 && x->call->op->flags & CJ_OP_ELEMENTWISE;
}

/* The picture that a layer's input was flattened from: [batch, spatial..., channels]. */
static const cj_type *flattened(const cj__layers *layers, const cj_node *x)
{
    while (x->type.rank == 2 && x->call->n_in) {
        const cj__layer_record *maker = maker_of(layers, x);
        const cj_node *in = maker ? maker->x[0] : x->call->in[0];
        if (in == x) in = x->call->in[0]; /* of a layer that did nothing */
        if (in->type.rank > 2) {
            const bool flatten = maker ? !strcmp(maker->row->name, "flatten") : false;
            return flatten ? &in->type : NULL;
        }
        if (!keeps_places(maker, x) || !cj__type_equal(&in->type, &x->type)) return NULL;
        x = in;
    }
    return NULL;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static const char *torch_name(const char *own)
{
    static const char *const names[][2] = {{"kernel", "weight"},          {"gamma", "weight"},
                                           {"embeddings", "weight"},      {"alpha", "weight"},
                                           {"bias", "bias"},              {"beta", "bias"},
                                           {"moving_mean", "running_mean"},
                                           {"moving_variance", "running_var"}};
    for (size_t i = 0; i < CJ__COUNT(names); i++)
        if (!strcmp(names[i][0], own)) return names[i][1];
    return NULL;
}

static bool mark(const loading *l, const char *name, source *s)
{
    const char *found;
    const cj_tensor *t;
    for (size_t i = 0; (t = cj_tensors_at(l->list, i, &found)) != NULL; i++)
        if (!strcmp(found, name)) {
            l->used[i] = true;
            *s = (source){.name = found, .from = t};
            return true;
        }
    return false;
}

/* "layer/kernel" in the list, by our name or PyTorch's; false: it is not there. */
static bool find(const loading *l, const char *full, source *s)
{
    const cj__layers *layers = l->m->graph->layers;
    const char *slash = strrchr(full, '/');
    const char *theirs = slash ? torch_name(slash + 1) : NULL;
    char name[256];
    if (mark(l, full, s)) return true;
    if (!theirs) return false;
    cj__format(name, sizeof name, "%.*s.%s", (int)(slash - full), full, theirs);
    if (!mark(l, name, s)) return false;
    const cj__layer_record *r = record_of(layers, full, (size_t)(slash - full));
    if (!r) return true;
    s->transposed = !strcmp(r->row->name, "dense") && !strcmp(slash + 1, "kernel");
    if (s->transposed || !strcmp(r->row->name, "batch_normalization")) /* a number for each input */
        s->flattened = flattened(layers, r->x[0]);
    return true;
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

static bool fits(const source *s, const cj_tensor *to)
{
    const int rank = cj_tensor_rank(to);
    const int64_t *a = cj_tensor_shape(s->from), *b = cj_tensor_shape(to);
    if (cj_tensor_rank(s->from) != rank) return false;
    for (int i = 0; i < rank; i++)
        if (a[i] != b[s->transposed ? rank - 1 - i : i]) return false;
    return cj_dtype_info(cj_tensor_dtype(s->from))->kind == CJ_KIND_FLOAT;
}

static cj_status misfit(const loading *l, const char *full, const source *s, const cj_tensor *to)
{
    cj__shape_text found, expected;
    int64_t turned[CJ_RANK_MAX];
    const int rank = cj_tensor_rank(to);
    for (int i = 0; i < rank; i++)
        turned[i] = cj_tensor_shape(to)[s->transposed ? rank - 1 - i : i];
    return cj_fail(l->m->cj, CJ_ERR_SHAPE, "%s: '%s' is %s %s; for '%s' floats %s are expected",
                   l->file, s->name, cj_dtype_info(cj_tensor_dtype(s->from))->name,
                   cj__shape_string(&found, cj_tensor_rank(s->from), cj_tensor_shape(s->from)),
                   full, cj__shape_string(&expected, rank, turned));
}

/* ---- Copying --------------------------------------------------------------------------------- */

/* Where number i of our flattened picture [spatial..., channels] is in PyTorch's [channels,
 * spatial...]. */
static int64_t place_of(const cj_type *picture, int64_t i)
{
    const int64_t channels = picture->dim[picture->rank - 1];
    int64_t pixels = 1;
    for (int k = 1; k + 1 < picture->rank; k++) pixels *= picture->dim[k];
    return i % channels * pixels + i / channels;
}

static cj_status copy(cj_context *cj, const source *s, const cj_tensor *to, cj_tensor **out)
{
    cj_tensor *t = cj_tensor_new(cj, cj_tensor_dtype(to), cj_tensor_rank(to), cj_tensor_shape(to));
    void *v = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    const void *from = v ? cj_tensor_map_read(s->from) : NULL;
    if (!from) {
        if (v) cj_tensor_unmap(t);
        cj_tensor_free(t);
        return cj_last_status(cj) ? cj_last_status(cj) : CJ_ERR_MEMORY;
    }
    const int64_t count = cj_tensor_count(to);
    const int64_t rows = cj_tensor_rank(to) ? cj_tensor_shape(to)[0] : 1;
    const int64_t width = rows ? count / rows : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = i / width, at = i % width;
        if (s->flattened) row = place_of(s->flattened, row);
        const int64_t source_index = s->transposed ? at * rows + row : row * width + at;
        cj_store_f64(cj_tensor_dtype(t), v, (size_t)i,
                     cj_load_f64(cj_tensor_dtype(s->from), from, (size_t)source_index));
    }
    cj_tensor_unmap(s->from);
    cj_tensor_unmap(t);
    *out = t;
    return CJ_OK;
}

/* ---- All ------------------------------------------------------------------------------------- */

/* Looks at variable i of the model (load: and sets it); *found: it is in the file. */
static cj_status one(const loading *l, int i, bool load, bool *found)
{
    cj_store *store = cj_model_store(l->m);
    const char *full = l->m->graph->variables.items[i].name;
    const cj_tensor *to = cj_store_get(store, full);
    const char *end = strrchr(full, '/');
    source s;
    *found = false;
    if (!to || !end || !record_of(l->m->graph->layers, full, (size_t)(end - full)))
        return CJ_OK; /* no layer's: the key of random numbers */
    *found = find(l, full, &s);
    if (!*found && !l->partial) {
        const char *slash = strrchr(full, '/');
        const char *theirs = slash ? torch_name(slash + 1) : NULL;
        return cj_fail(l->m->cj, CJ_ERR_NOT_FOUND, "%s: there is no '%s'%s%.*s%s%s%s", l->file,
                       full, theirs ? ", nor '" : "", theirs ? (int)(slash - full) : 0, full,
                       theirs ? "." : "", theirs ? theirs : "", theirs ? "'" : "");
    }
    if (!*found) return CJ_OK;
    if (!fits(&s, to)) {
        *found = false;
        return l->partial ? CJ_OK : misfit(l, full, &s, to);
    }
    if (!load) return CJ_OK;
    cj_tensor *t = NULL;
    CJ__TRY(copy(l->m->cj, &s, to, &t));
    cj_status failed = cj_store_set(store, full, t);
    cj_tensor_free(t);
    return failed;
}

/* PyTorch counts the batches a norm has seen; nothing here needs it. */
static bool is_counter(const char *name)
{
    static const char counter[] = "num_batches_tracked";
    const size_t n = strlen(name), k = sizeof counter - 1;
    return n >= k && !strcmp(name + n - k, counter);
}

static cj_status check_unused(const loading *l)
{
    const char *name;
    for (size_t i = 0; !l->partial && cj_tensors_at(l->list, i, &name); i++)
        if (!l->used[i] && !is_counter(name))
            return cj_fail(l->m->cj, CJ_ERR_ARGUMENT, "%s: the model has no place for '%s'",
                           l->file, name);
    return CJ_OK;
}

static cj_status load(loading *l)
{
    const int n = l->m->graph->variables.count;
    int loaded = 0;
    bool found;
    for (int i = 0; i < n; i++) {
        CJ__TRY(one(l, i, false, &found));
        loaded += found;
    }
    CJ__TRY(check_unused(l));
    if (!loaded)
        return cj_fail(l->m->cj, CJ_ERR_NOT_FOUND,
                       "%s: none of its names and shapes is the model's", l->file);
    for (int i = 0; i < n; i++) CJ__TRY(one(l, i, true, &found));
    return CJ_OK;
}

cj_status cj_set_weights(cj_model *m, const cj_tensors *list, const cj_weights_opts *opts)
{
    if (!m || !list) return CJ_ERR_ARGUMENT;
    CJ__TRY(cj_model_failed(m));
    const size_t bytes = cj_tensors_count(list) + 1;
    loading l = {.m = m,
                 .list = list,
                 .file = opts && opts->what ? opts->what : "weights",
                 .partial = opts && opts->partial,
                 .used = cj__alloc(m->cj, bytes)};
    if (!l.used) return cj_last_status(m->cj);
    cj_status failed = load(&l);
    cj__free(m->cj, l.used, bytes);
    return failed;
}

cj_status cj_load_weights(cj_model *m, const char *path, const cj_weights_opts *opts)
{
    cj_tensors *list;
    if (!m) return CJ_ERR_ARGUMENT;
    CJ__TRY(cj_model_failed(m));
    CJ__TRY(cj_safetensors_load(m->cj, path, &list));
    cj_weights_opts o = {0};
    if (opts) o = *opts;
    if (!o.what) o.what = path;
    cj_status failed = cj_set_weights(m, list, &o);
    cj_tensors_free(list);
    return failed;
}
