/* import_sizes.c: shapes as values, computed when importing.
 *
 * Exporters write "flatten all but the batch" as Shape, Gather, Concat and Reshape. Shape of a
 * value of ours is a list of dimensions, numbers or symbols, and the operators here keep such lists
 * known: Shape([batch, 3, 4]) gives (batch, 3, 4), Gather of 0 gives batch, times 2 gives 2*batch.
 * What an operator here does not understand is left to the ordinary reader, which then makes nodes.
 */
#include <string.h>

#include "format/onnx/import.h"
#include "graph/ops/block.h"
#include "tensor/tensor.h"

typedef struct element {
    bool symbolic;
    int64_t v;
} element;

static element at(const cj__onnx_sizes *s, int i)
{
    return (element){s->at[i].symbolic, s->at[i].v};
}

static void put(cj__onnx_sizes *s, int i, element e)
{
    bool number = e.v >= 0; /* an expression may turn out a number */
    s->at[i].symbolic = e.symbolic && !number;
    s->at[i].v = e.v;
}

static bool fold_shape(cj__onnx_reader *r, bool size)
{
    cj_node *x = cj__onnx_node_in(r, 0);
    if (!x) return false;
    int64_t rank = x->type.rank, start = cj__onnx_get_int(r, "start", 0),
            end = cj__onnx_get_int(r, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    cj__onnx_sizes *s = cj__onnx_new_sizes(r, !size, size ? 1 : (int)(end - start), CJ_I64);
    if (!s) return false;
    for (int i = 0; !size && i < s->n; i++)
        put(s, i, (element){x->type.dim[start + i] < 0, x->type.dim[start + i]});
    cj_dim count = size ? cj__type_count(r->g, &x->type) : 0;
    if (size) put(s, 0, (element){count < 0, count});
    cj__onnx_set_sizes(r, 0, s);
    return true;
}

/* a op b; false when it is no size any more (a negative number made of symbols). */
static bool combine(cj_graph *g, const char *op, element a, element b, element *y)
{
    y->symbolic = a.symbolic || b.symbolic;
    if (!y->symbolic) {
        switch (op[0]) {
        case 'A': return !CJ__ADD_OVERFLOWS(a.v, b.v, &y->v);
        case 'S': return !CJ__ADD_OVERFLOWS(a.v, b.v == INT64_MIN ? INT64_MAX : -b.v, &y->v);
        case 'D':
            if (b.v == 0 || (a.v == INT64_MIN && b.v == -1)) return false;
            y->v = a.v / b.v;
            return true;
        default: break;
        }
        if (!strcmp(op, "Mul")) return !CJ__MUL_OVERFLOWS(a.v, b.v, &y->v);
        y->v = !strcmp(op, "Max") == (a.v > b.v) ? a.v : b.v;
        return true;
    }
    const int64_t far = (int64_t)1 << 40;
    if ((!a.symbolic && (a.v < -far || a.v > far)) || (!b.symbolic && (b.v < -far || b.v > far)))
        return false;
    bool a_negative = !a.symbolic && a.v < 0, b_negative = !b.symbolic && b.v < 0;
    if (op[0] == 'A' && (a_negative || b_negative)) {
        y->v = a_negative ? cj__dim_shift(g, b.v, a.v) : cj__dim_shift(g, a.v, b.v);
        return true;
    }
    if (op[0] == 'S' && b_negative) {
        y->v = cj__dim_shift(g, a.v, -b.v);
        return true;
    }
    if (!strcmp(op, "Max") && (a_negative || b_negative)) {
        y->v = a_negative ? b.v : a.v;
        return true;
    }
    if (a_negative || b_negative || (op[0] == 'D' && b.v == 0)) return false;
    y->v = op[0] == 'A'          ? cj_dim_add(g, a.v, b.v)
           : op[0] == 'S'        ? cj_dim_sub(g, a.v, b.v)
           : op[0] == 'D'        ? cj_dim_div(g, a.v, b.v)
           : !strcmp(op, "Mul")  ? cj_dim_mul(g, a.v, b.v)
           : !strcmp(op, "Max")  ? cj_dim_max(g, a.v, b.v)
                                 : cj_dim_min(g, a.v, b.v);
    return true;
}

static bool fold_arithmetic(cj__onnx_reader *r, const char *op, const cj__onnx_sizes *a,
                            const cj__onnx_sizes *b)
{
    if (a->n != b->n && a->n != 1 && b->n != 1) return false;
    bool vector = a->rank || b->rank;
    int n = a->n == 1 ? b->n : a->n;
    cj__onnx_sizes *y = cj__onnx_new_sizes(r, vector, n, a->dtype);
    for (int i = 0; y && i < n; i++) {
        element e;
        if (!combine(r->g, op, at(a, a->n == 1 ? 0 : i), at(b, b->n == 1 ? 0 : i), &e) ||
            r->g->failed)
            return false;
        y->at[i].symbolic = e.symbolic && e.v < 0;
        y->at[i].v = e.v;
    }
    cj__onnx_set_sizes(r, 0, y);
    return y != NULL;
}

static bool fold_gather(cj__onnx_reader *r, const cj__onnx_sizes *x, const cj__onnx_sizes *indices)
{
    if (x->rank != 1) return false;
    cj__onnx_sizes *y = cj__onnx_new_sizes(r, indices->rank, indices->n, x->dtype);
    for (int i = 0; y && i < indices->n; i++) {
        int64_t k = indices->at[i].v < 0 ? indices->at[i].v + x->n : indices->at[i].v;
        if (indices->at[i].symbolic || k < 0 || k >= x->n) return false;
        put(y, i, at(x, (int)k));
        y->at[i].symbolic = x->at[k].symbolic;
    }
    cj__onnx_set_sizes(r, 0, y);
    return y != NULL;
}

static bool fold_concat(cj__onnx_reader *r)
{
    int n = 0, k = 0;
    const cj__onnx_sizes *part = NULL;
    for (size_t i = 0; i < r->node->input.count; i++) {
        part = cj__onnx_sizes_in(r, i);
        if (!part || part->rank != 1 || (n += part->n) > CJ__ONNX_SIZES_MAX) return false;
    }
    cj__onnx_sizes *y = part ? cj__onnx_new_sizes(r, 1, n, part->dtype) : NULL;
    for (size_t i = 0; y && i < r->node->input.count; i++) {
        part = cj__onnx_sizes_in(r, i);
        for (int j = 0; j < part->n; j++) y->at[k++] = part->at[j];
    }
    cj__onnx_set_sizes(r, 0, y);
    return y != NULL;
}

static bool fold_slice(cj__onnx_reader *r, const cj__onnx_sizes *x)
{
    int64_t start, end, step = 1;
    if (x->rank != 1) return false;
    if (r->opset < 10) {
        if (cj__onnx_get_ints(r, "starts", 1, &start) != 1 ||
            cj__onnx_get_ints(r, "ends", 1, &end) != 1)
            return false;
    } else {
        const cj__onnx_sizes *a = cj__onnx_sizes_in(r, 1), *b = cj__onnx_sizes_in(r, 2);
        const cj__onnx_sizes *c = cj__onnx_has(r, 4) ? cj__onnx_sizes_in(r, 4) : NULL;
        if (!a || !b || a->n != 1 || b->n != 1 || a->at[0].symbolic || b->at[0].symbolic)
            return false;
        if (cj__onnx_has(r, 4) && (!c || c->n != 1)) return false;
        start = a->at[0].v;
        end = b->at[0].v;
        step = c ? c->at[0].v : 1;
    }
    if (step != 1 && step != -1) return false;
    int64_t n = x->n, low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1, k = 0;
    start = start < 0 ? (start < -n ? low : start + n) : start > high ? high : start;
    end = end < 0 ? (end < -n ? low : end + n) : end > n ? n : end;
    int64_t count = step > 0 ? end - start : start - end;
    cj__onnx_sizes *y = cj__onnx_new_sizes(r, 1, count > 0 ? (int)count : 0, x->dtype);
    for (int64_t i = start; y && k < y->n; i += step) y->at[k++] = x->at[i];
    cj__onnx_set_sizes(r, 0, y);
    return y != NULL;
}

/* Squeeze, Unsqueeze, Reshape, Identity and Cast keep the elements. */
static bool fold_view(cj__onnx_reader *r, const cj__onnx_sizes *x, int rank, cj_dtype dtype)
{
    if (rank > 1 || (rank == 0 && x->n != 1)) return false;
    cj__onnx_sizes *y = cj__onnx_new_sizes(r, rank, x->n, dtype);
    for (int i = 0; y && i < x->n; i++) y->at[i] = x->at[i];
    cj__onnx_set_sizes(r, 0, y);
    return y != NULL;
}

static bool is_op(const cj__onnx_reader *r, const char *op)
{
    return cj__slice_is(r->node->op_type, op);
}

/* A vector with symbols becomes rows of a width that is a number. */
static bool fold_rows(cj__onnx_reader *r, const cj__onnx_sizes *x, const cj__onnx_sizes *shape)
{
    bool symbols = false;
    int64_t rows = shape->at[0].v, width = shape->at[1].v;
    for (int i = 0; i < x->n; i++) symbols = symbols || x->at[i].symbolic;
    if (!symbols || x->rank != 1 || shape->at[0].symbolic || shape->at[1].symbolic) return false;
    if (width == -1 && rows > 0 && x->n % rows == 0) width = x->n / rows;
    if (width < 1 || width > x->n || x->n % width || (rows != -1 && rows != x->n / width))
        return false;
    cj__onnx_sizes *y = cj__onnx_new_sizes(r, 2, x->n, x->dtype);
    if (!y) return false;
    y->width = (int)width;
    for (int i = 0; i < x->n; i++) y->at[i] = x->at[i];
    cj__onnx_set_sizes(r, 0, y);
    return true;
}

/* All rows back to front; rows as columns; all one after another. */
static bool fold_of_rows(cj__onnx_reader *r, const cj__onnx_sizes *x)
{
    const int width = x->width, rows = x->n / width;
    int64_t p[CJ_RANK_MAX];
    bool turns = is_op(r, "Transpose"), ends = is_op(r, "Reshape");
    if (turns) {
        const int n = cj__onnx_get_ints(r, "perm", CJ_RANK_MAX, p);
        if (n >= 0 && (n != 2 || p[0] != 1 || p[1] != 0)) return false;
    } else if (ends) {
        const cj__onnx_sizes *shape = cj__onnx_sizes_in(r, 1);
        if (!shape || shape->rank != 1 || shape->n != 1 || shape->at[0].symbolic ||
            (shape->at[0].v != -1 && shape->at[0].v != x->n))
            return false;
    } else if (is_op(r, "Slice") && r->opset >= 10) {
        static const int64_t last = -1, before_all = -1 - CJ__ONNX_SIZES_MAX;
        for (size_t i = 1; i < 5; i++) {
            const cj__onnx_sizes *v = cj__onnx_has(r, i) ? cj__onnx_sizes_in(r, i) : NULL;
            if (!v || v->n != 1 || v->at[0].symbolic) return false;
            p[i] = v->at[0].v;
        }
        if (p[1] != last || p[2] > before_all || p[3] != 0 || p[4] != -1) return false;
    } else return false;
    cj__onnx_sizes *y = cj__onnx_new_sizes(r, ends ? 1 : 2, x->n, x->dtype);
    if (!y) return false;
    y->width = turns ? rows : width;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < width; k++) {
            const int to = turns ? k * rows + i : ends ? i * width + k : (rows - 1 - i) * width + k;
            y->at[to] = x->at[i * width + k];
        }
    cj__onnx_set_sizes(r, 0, y);
    return true;
}

/* A list of one number, as often as a list of one number says. */
static bool fold_repeated(cj__onnx_reader *r, const cj__onnx_sizes *x)
{
    const cj__onnx_attribute *value = cj__onnx_find_attribute(r->node, "value");
    if (x->rank != 1 || x->n != 1 || x->at[0].symbolic || x->at[0].v < 0 ||
        x->at[0].v > CJ__ONNX_SIZES_MAX || !value || value->type != CJ__ONNX_ATTR_TENSOR ||
        value->as.t->data_type != CJ__ONNX_INT64)
        return false;
    const cj_tensor *t = cj__onnx_decode(r, value->as.t);
    cj__onnx_sizes *y = t && t->count == 1
                            ? cj__onnx_new_sizes(r, 1, (int)x->at[0].v, CJ_I64)
                            : NULL;
    for (int i = 0; y && i < y->n; i++)
        y->at[i].v = cj_load_i64(CJ_I64, cj__tensor_data(t), 0), y->at[i].symbolic = false;
    if (y) cj__onnx_set_sizes(r, 0, y);
    return y != NULL;
}

bool cj__onnx_fold(cj__onnx_reader *r)
{
    static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Div", "Max", "Min"};
    if (is_op(r, "Shape") || is_op(r, "Size")) return fold_shape(r, is_op(r, "Size"));
    if (is_op(r, "Concat")) return r->node->input.count && cj__onnx_has(r, 0) && fold_concat(r);
    if (!cj__onnx_has(r, 0)) return false;
    /* Only what is small and known at once: an initializer that is a weight is not decoded for
     * this. */
    cj__onnx_source *first = cj__onnx_source_in(r, 0);
    if (first && (first->list || first->absent || first->is_weight) && is_op(r, "Identity"))
        return cj__onnx_set_source(r, 0, first), true;
    if (first && first->sizes && first->sizes->rank == 2) return fold_of_rows(r, first->sizes);
    const cj__onnx_sizes *x = first ? cj__onnx_sizes_of(r, first) : NULL;
    if (!x) return false;
    for (size_t i = 0; i < CJ__COUNT(arithmetic); i++) {
        if (!is_op(r, arithmetic[i]) || r->node->input.count != 2 || !cj__onnx_has(r, 1)) continue;
        const cj__onnx_sizes *b = cj__onnx_sizes_in(r, 1);
        return b && b->dtype == x->dtype && fold_arithmetic(r, arithmetic[i], x, b);
    }
    if (is_op(r, "Gather")) {
        const cj__onnx_sizes *indices = cj__onnx_has(r, 1) ? cj__onnx_sizes_in(r, 1) : NULL;
        return indices && fold_gather(r, x, indices);
    }
    if (is_op(r, "Slice")) return fold_slice(r, x);
    if (is_op(r, "ConstantOfShape")) return fold_repeated(r, x);
    if (is_op(r, "Identity")) return fold_view(r, x, x->rank, x->dtype);
    if (is_op(r, "Squeeze")) return x->n == 1 && fold_view(r, x, 0, x->dtype);
    if (is_op(r, "Unsqueeze")) return x->rank == 0 && fold_view(r, x, 1, x->dtype);
    if (is_op(r, "Cast")) {
        return cj__onnx_cast_to(r) == CJ_I64 && fold_view(r, x, x->rank, CJ_I64);
    }
    if (is_op(r, "Reshape")) {
        const cj__onnx_sizes *shape = cj__onnx_has(r, 1) ? cj__onnx_sizes_in(r, 1) : NULL;
        if (!shape || shape->rank != 1 || shape->n > 2) return false;
        if (shape->n == 2) return fold_rows(r, x, shape);
        return (shape->n == 0 || shape->at[0].v == -1 || shape->at[0].v == x->n) &&
               fold_view(r, x, shape->n, x->dtype);
    }
    return false;
}
