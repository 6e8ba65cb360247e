/* tune_freeze.c: which weights of a file are not trained, by patterns of names. */
#include <string.h>

#include "format/onnx/tensor.h"
#include "format/onnx/tune.h"
#include "tensor/tensor.h"

/* "*" any characters, "?" one. */
static bool glob(const char *p, const char *p_end, const char *s, const char *s_end)
{
    const char *star = NULL, *again = NULL;
    while (s < s_end) {
        if (p < p_end && *p == '*') star = p++, again = s;
        else if (p < p_end && (*p == '?' || *p == *s)) p++, s++;
        else if (star) p = star + 1, s = ++again;
        else return false;
    }
    while (p < p_end && *p == '*') p++;
    return p == p_end;
}

/* A name, or the part of it before a '.' or '/': "layer1" is all of layer1. A '/' that a name
 * begins with may be left out. */
static bool matches(const char *p, const char *p_end, const char *name)
{
    name += *name == '/';
    p += p < p_end && *p == '/';
    for (const char *end = name;; end++) {
        if ((!*end || *end == '.' || *end == '/') && glob(p, p_end, name, end)) return true;
        if (!*end) return false;
    }
}

static int64_t count_of(const cj__onnx_tensor *t)
{
    int64_t n = 1;
    for (size_t i = 0; i < t->dims.count; i++)
        if (CJ__MUL_OVERFLOWS(n, t->dims.items[i], &n)) return 0;
    return n;
}

static bool is_float(const cj__onnx_tensor *t)
{
    cj_dtype dtype = cj__onnx_type_dtype(t->data_type);
    return dtype != CJ_DTYPE_NONE && cj_dtype_info(dtype)->kind == CJ_KIND_FLOAT;
}

typedef struct frozen {
    int weights, statistics;
    int64_t numbers;
} frozen;

static bool freeze_one(cj__tune_index *x, const cj__tune_name *v, frozen *f)
{
    cj__onnx_tuning *t = x->t;
    if (v && v->statistic && v->initializer) { /* no weight: see freeze_norms */
        f->statistics++;
        return cj__names_put(&t->frozen, v->name, &t->frozen);
    }
    bool trains = v && v->initializer && is_float(v->tensor) &&
                  (t->listed ? cj__names_get(t->listed, v->name) != NULL
                             : v->tensor->dims.count > 0);
    if (!trains || cj__names_get(&t->frozen, v->name) || cj__names_get(&t->new_weights, v->name))
        return true;
    if (!cj__names_put(&t->frozen, v->name, v->tensor)) return false;
    f->weights++;
    f->numbers += count_of(v->tensor);
    return true;
}

static bool freeze_pattern(cj__tune_index *x, const char *p, const char *end, frozen *f)
{
    bool ok = true;
    for (size_t i = 0; ok && i < x->g->initializer.count; i++) {
        const cj__tune_name *v = cj__tune_value(x, x->g->initializer.items[i].name);
        if (v && matches(p, end, v->name)) ok = freeze_one(x, v, f);
    }
    for (size_t i = 0; ok && i < x->g->node.count; i++) {
        const cj__onnx_node *node = &x->g->node.items[i];
        char *name = NULL;
        if (!node->name.size || cj__slice_string(x->t->arena, node->name, "a name", &name) ||
            !matches(p, end, name))
            continue;
        for (size_t k = 0; ok && k < node->input.count; k++)
            ok = freeze_one(x, cj__tune_input(x, node, k), f);
    }
    return ok;
}

static void mark_statistics(cj__tune_index *x)
{
    for (size_t i = 0; i < x->g->node.count; i++)
        for (size_t k = 3; k < 5 && cj__tune_is(&x->g->node.items[i], "BatchNormalization"); k++) {
            cj__tune_name *v = cj__tune_input(x, &x->g->node.items[i], k);
            if (v) v->statistic = true;
        }
}

/* A batch normalisation whose scale does not train is one of inference: its statistics stay. They
 * are no parameters, so they are told apart. */
static bool freeze_norms(cj__tune_index *x, int *norms)
{
    cj__names *names = &x->t->frozen;
    for (size_t i = 0; i < x->g->node.count; i++) {
        const cj__onnx_node *node = &x->g->node.items[i];
        bool stays = false, norm = cj__tune_is(node, "BatchNormalization");
        for (size_t k = 1; norm && k < 5; k += k == 1 ? 2 : 1) {
            const cj__tune_name *v = cj__tune_input(x, node, k);
            stays = stays || (v && cj__names_get(names, v->name));
        }
        *norms += stays;
        for (size_t k = 3; stays && k < 5; k++) {
            const cj__tune_name *v = cj__tune_input(x, node, k);
            if (v && v->initializer && !cj__names_put(names, v->name, names)) return false;
        }
    }
    return true;
}

cj_status cj__tune_freeze(cj__tune_index *x)
{
    cj_context *cj = x->t->arena->cj;
    const char *at = x->t->opts.freeze;
    int norms = 0;
    mark_statistics(x);
    while (at && *at) {
        at += strspn(at, ", ");
        const char *end = at + strcspn(at, ", ");
        frozen f = {0};
        if (end == at) break;
        if (!freeze_pattern(x, at, end, &f)) return CJ_ERR_MEMORY;
        if (!f.weights && !f.statistics)
            return cj_fail(cj, CJ_ERR_NOT_FOUND,
                           "freeze=%.*s matches no weight and no node that was not frozen before "
                           "(cajal summary names them)", (int)(end - at > 80 ? 80 : end - at), at);
        if (f.weights)
            cj__tune_tell(x->t, "freeze=%.*s: %d weights, %lld numbers, are not trained",
                          (int)(end - at), at, f.weights, (long long)f.numbers);
        at = end;
    }
    if (!freeze_norms(x, &norms)) return CJ_ERR_MEMORY;
    if (norms)
        cj__tune_tell(
            x->t,
            "%d batch normalisations are frozen: they keep their running statistics and use "
            "them in training, too",
            norms);
    return CJ_OK;
}
