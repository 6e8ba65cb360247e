/* export_dims.c: sizes that are symbols, as values that ONNX computes.
 *
 * "batch" is Gather(Shape(x), 0) of some x that has it in its shape: an input where possible, else
 * the earliest call before this one. "4*batch+1" is that with Mul and Add. Each is computed once a
 * graph. */
#include <string.h>

#include "format/onnx/map.h"

/* A value of the scope that has the dimension d, and along which axis. */
static const cj_node *bearer(const cj__onnx_writer *w, cj_dim d, int *axis)
{
    const cj_graph *g = w->scope->g;
    for (int i = 0; i < g->inputs.count; i++) {
        const cj_node *x = g->inputs.items[i].node;
        for (*axis = 0; *axis < x->type.rank; ++*axis)
            if (x->type.dim[*axis] == d) return x;
    }
    int last = w->call ? w->call->id : g->n_calls;
    for (int id = 0; id < last; id++)
        for (int k = 0; k < g->calls[id]->n_out; k++) {
            const cj_node *x = &g->calls[id]->out[k];
            if (!w->scope->names[id] || !w->scope->names[id][k]) continue;
            for (*axis = 0; *axis < x->type.rank; ++*axis)
                if (x->type.dim[*axis] == d) return x;
        }
    return NULL;
}

static const char *size_of(cj__onnx_writer *w, cj_dim d)
{
    int axis;
    const cj_node *x = bearer(w, d, &axis);
    if (!x) {
        cj__onnx_refuse(w, CJ_ERR_UNSUPPORTED, "no value has the size '%s', which it needs",
                        cj_dim_text(w->scope->g, d));
        return NULL;
    }
    const char *shape = cj__onnx_step(w, "Shape", cj__onnx_value_of(w, x), NULL);
    return cj__onnx_step(w, "Gather", shape, cj__onnx_scalar(w, CJ_I64, axis), NULL);
}

/* What is taken off comes last, so that all that is computed on the way is a size, too. */
static const char *compute_sum(cj__onnx_writer *w, const cj__expr *e)
{
    const char *sum = e->constant > 0 ? cj__onnx_scalar(w, CJ_I64, (double)e->constant) : NULL;
    for (int off = 0; off < 2; off++) {
        for (int i = 0; i < e->n; i++) {
            const int64_t c = e->coefficient[i];
            if ((c < 0) != off) continue;
            const char *term = cj__onnx_dim_value(w, e->part[i]);
            if (c != 1 && c != -1)
                term = cj__onnx_step(w, "Mul", term,
                                     cj__onnx_scalar(w, CJ_I64, (double)(off ? -c : c)), NULL);
            sum = sum ? cj__onnx_step(w, off ? "Sub" : "Add", sum, term, NULL) : term;
        }
    }
    if (e->constant >= 0) return sum;
    return cj__onnx_step(w, "Sub", sum, cj__onnx_scalar(w, CJ_I64, -(double)e->constant), NULL);
}

static const char *compute(cj__onnx_writer *w, const cj__expr *e, cj_dim d)
{
    if (e->kind == CJ__EXPR_NAME) return size_of(w, d);
    if (e->kind == CJ__EXPR_SUM) return compute_sum(w, e);
    const char *op = e->kind == CJ__EXPR_PRODUCT    ? "Mul"
                     : e->kind == CJ__EXPR_QUOTIENT ? "Div"
                     : e->kind == CJ__EXPR_MAX      ? "Max"
                                                    : "Min";
    const char *value = cj__onnx_dim_value(w, e->part[0]);
    for (int i = 1; i < e->n; i++)
        value = cj__onnx_step(w, op, value, cj__onnx_dim_value(w, e->part[i]), NULL);
    return value;
}

const char *cj__onnx_dim_value(cj__onnx_writer *w, cj_dim d)
{
    cj__onnx_scope *scope = w->scope;
    if (w->failed) return NULL;
    if (d >= 0) return cj__onnx_scalar(w, CJ_I64, (double)d);
    int index = (int)(-1 - d), count = scope->g->dims.count;
    if (scope->n_dims < count) {
        const char **dims = cj__arena_array(w->arena, (size_t)count, sizeof(*dims));
        if (!dims) {
            cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
            return NULL;
        }
        if (scope->n_dims) memcpy(dims, scope->dims, (size_t)scope->n_dims * sizeof(*dims));
        scope->dims = dims;
        scope->n_dims = count;
    }
    if (!scope->dims[index]) {
        const cj__expr e = scope->g->dims.items[index];
        const char *value = compute(w, &e, d);
        scope->dims[index] = value;
    }
    return scope->dims[index];
}

/* Runs of numbers are initializers, symbols are unsqueezed; all are joined. */
const char *cj__onnx_dims(cj__onnx_writer *w, int n, const cj_dim *dims)
{
    const char *parts[2 * CJ_RANK_MAX + 1];
    size_t n_parts = 0;
    for (int i = 0, run; i < n && !w->failed; i += run) {
        for (run = 0; i + run < n && dims[i + run] >= 0;) run++;
        if (run) {
            parts[n_parts++] = cj__onnx_ints(w, run, dims + i);
        } else {
            const char *value = cj__onnx_dim_value(w, dims[i]);
            parts[n_parts++] = cj__onnx_step(w, "Unsqueeze", value,
                                             cj__onnx_ints(w, 1, (int64_t[]){0}), NULL);
            run = 1;
        }
    }
    if (n == 0) return cj__onnx_ints(w, 0, NULL);
    if (n_parts == 1 || w->failed) return w->failed ? NULL : parts[0];
    parts[n_parts] = NULL;
    const char *a = parts[0];
    for (size_t i = 1; i < n_parts; i++) { /* pairwise: a list of any length in one form */
        a = cj__onnx_step(w, "Concat", a, parts[i], NULL);
        cj__onnx_put_int(w, "axis", 0);
    }
    return a;
}
