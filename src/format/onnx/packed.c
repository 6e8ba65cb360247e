/* packed.c: see packed.h.
 *
 * Writing looks for what layers build of their parameters, reshape and concat of variables, so a
 * graph made by hand is written so, too. Reading changes the parsed file before anything looks at
 * its initializers: names for freezing, lists of parameters and rules of training are those of the
 * parts. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "format/onnx/import.h"
#include "format/onnx/packed.h"
#include "format/onnx/tensor.h"

int64_t cj__onnx_gate_row(bool lstm, int blocks, int64_t units, bool back, int64_t i)
{
    /* i o f c, peepholes i o f; ours are i f g o and i f o. */
    static const int64_t ours[] = {0, 3, 1, 2}, onnx[] = {0, 2, 3, 1}, peepholes[] = {0, 2, 1};
    const int64_t *order = blocks == 3 ? peepholes : back ? onnx : ours;
    if (!lstm) return i;
    return i - i % (blocks * units) + order[i / units % blocks] * units + i % units;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static const char *no_memory(cj__onnx_writer *w)
{
    cj__onnx_refuse(w, CJ_ERR_MEMORY, "out of memory");
    return NULL;
}

static bool is_variable(const cj__onnx_writer *w, const cj_node *x)
{
    return x->call->op == &cj_op_variable && w->scope->uses[x->call->id] == 1;
}

/* variable, or concat of a variable and as many zeros. */
static bool add_part(const cj__onnx_writer *w, const cj_node *x, cj__onnx_packed *p)
{
    const cj_call *call = x->call;
    const cj_node *v = x;
    bool half = call->op == &cj_op_concat;
    double zero;
    if (half) {
        const cj_node *z = call->n_in == 2 && x->type.rank == 1 ? call->in[1] : NULL;
        v = call->in[0];
        if (!z || w->scope->uses[call->id] != 1 || z->type.dim[0] != v->type.dim[0]) return false;
        if (z->call->op == &cj_op_broadcast) z = z->call->in[0];
        if (!cj__is_constant(z, &zero) || zero != 0) return false;
    }
    if (!is_variable(w, v) || p->n + 1 + half > CJ__ONNX_PARTS_MAX) return false;
    p->part[p->n++] = ((const cj__source_attrs *)v->call->attributes)->name;
    if (half) p->part[p->n++] = "";
    return true;
}

static bool find_parts(const cj__onnx_writer *w, const cj_node *x, cj__onnx_packed *p)
{
    const cj_type *type = &x->type;
    cj_node *const *row = &(cj_node *){(cj_node *)x};
    int n = 1;
    *p = (cj__onnx_packed){0};
    for (int i = 0; i < type->rank; i++)
        if (type->dim[i] < 1) return false;
    if (x->call->op == &cj_op_concat) {
        if (((const cj__axis_attrs *)x->call->attributes)->axis || w->scope->uses[x->call->id] != 1)
            return false;
        row = x->call->in;
        n = x->call->n_in;
    }
    for (int i = 0; i < n; i++) {
        const cj_call *call = row[i]->call;
        if (call->op != &cj_op_reshape || w->scope->uses[call->id] != 1) return false;
        const cj_type *of = &call->in[0]->type;
        if (of->rank != type->rank - 1 ||
            memcmp(of->dim, type->dim + 1, (size_t)of->rank * sizeof of->dim[0]) ||
            !add_part(w, call->in[0], p))
            return false;
    }
    return type->rank > 1 && type->dim[0] == n && p->n % n == 0;
}

bool cj__onnx_is_packed(const cj__onnx_writer *w, const cj_node *node)
{
    cj__onnx_packed p;
    return w->scope->uses && !w->scope->outer && find_parts(w, node, &p);
}

/* How many bytes a row of [D, rows, ...] has. */
static size_t row_bytes(const cj_type *type)
{
    size_t bytes = (size_t)cj_dtype_info(type->dtype)->bits / 8;
    for (int i = 2; i < type->rank; i++) bytes *= (size_t)type->dim[i];
    return bytes;
}

const char *cj__onnx_pack(cj__onnx_writer *w, const cj_node *node, const char *name, bool lstm,
                          int blocks, int64_t units)
{
    const cj_type *type = &node->type;
    cj__onnx_packed *p = cj__arena_alloc(w->arena, sizeof *p);
    if (w->failed || !p || !find_parts(w, node, p)) return no_memory(w);
    const int64_t each = type->dim[0] * type->dim[1] / p->n; /* rows of a part */
    const size_t bytes = row_bytes(type);
    cj_tensor *t = cj__onnx_new_tensor(w, type->dtype, type->rank, type->dim);
    unsigned char *to = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    for (int k = 0; to && k < p->n && !w->failed; k++) {
        const cj_tensor *from = *p->part[k]
                                    ? cj_store_get(cj_graph_store(node->call->graph), p->part[k])
                                    : NULL;
        const unsigned char *at = from ? cj_tensor_map_read(from) : NULL;
        if (*p->part[k] && !at)
            cj__onnx_refuse(w, CJ_ERR_STATE, "the store has no '%s'", p->part[k]);
        for (int64_t i = 0; i < type->dim[0] * type->dim[1] && !w->failed; i++) {
            const int64_t row = cj__onnx_gate_row(lstm, blocks, units, false, i);
            if (row / each != k) continue;
            if (at) memcpy(to + (size_t)i * bytes, at + (size_t)(row % each) * bytes, bytes);
            else memset(to + (size_t)i * bytes, 0, bytes);
        }
        if (at) cj_tensor_unmap(from);
    }
    if (to) cj_tensor_unmap(t);
    p->name = to ? cj__onnx_layer_tensor(w, name, t) : NULL;
    for (int k = 0; p->name && k < p->n; k++)
        if (*p->part[k] && !cj__names_put(&w->variables, p->part[k], p)) p->name = NULL;
    if (!p->name) return no_memory(w);
    *w->last_packed = p;
    w->last_packed = &p->next;
    return p->name;
}

void cj__onnx_packed_text(const cj__onnx_writer *w, cj__text *out)
{
    for (const cj__onnx_packed *p = w->packed; p; p = p->next) {
        cj__text_char(out, p == w->packed ? '{' : ',');
        cj__text_json(out, p->name);
        for (int k = 0; k < p->n; k++) {
            cj__text_add(out, k ? "," : ":[");
            cj__text_json(out, p->part[k]);
        }
        cj__text_char(out, ']');
    }
    if (w->packed) cj__text_char(out, '}');
}

/* ---- Reading --------------------------------------------------------------------------------- */

typedef struct unpacking {
    cj__arena *arena;
    const char *key;
    cj__onnx_tensor *items; /* the file's initializers from now on */
    size_t count;
} unpacking;

static cj_status bad(const unpacking *u)
{
    return cj_fail(u->arena->cj, CJ_ERR_DATA, "metadata '%s' is not what Cajal writes there",
                   u->key);
}

static cj_status read_names(const unpacking *u, const cj__json *item, cj__onnx_packed *p)
{
    if (item->type != CJ__JSON_ARRAY || !item->count || item->count > CJ__ONNX_PARTS_MAX)
        return bad(u);
    *p = (cj__onnx_packed){.name = item->key};
    for (const cj__json *part = item->first; part; part = part->next) {
        if (part->type != CJ__JSON_STRING) return bad(u);
        p->part[p->n++] = part->string;
    }
    return CJ_OK;
}

/* Where the node has the initializer says how its gates lie: W, R, B, P. */
static bool gates_of(const cj__onnx_node *node, size_t i, int64_t rows, int *blocks, int64_t *units)
{
    const bool lstm = cj__slice_is(node->op_type, "LSTM");
    *blocks = i == 7 ? 3 : lstm ? 4 : cj__slice_is(node->op_type, "GRU") ? 3 : 1;
    const int64_t all = *blocks * (i == 3 ? 2 : 1);
    *units = rows / all;
    return rows > 0 && rows % all == 0;
}

static cj_status unpack(unpacking *u, const cj__onnx_node *node, size_t input,
                        const cj__onnx_tensor *t, const cj__onnx_packed *p)
{
    const bool lstm = cj__slice_is(node->op_type, "LSTM");
    const int64_t *dims = t->dims.items;
    int64_t units, rows;
    int blocks;
    if (t->dims.count < 2 || dims[0] < 1 || p->n % dims[0] || p->n / dims[0] > 2 ||
        !gates_of(node, input, dims[1], &blocks, &units) || dims[1] % (p->n / dims[0]) ||
        CJ__MUL_OVERFLOWS(dims[0], dims[1], &rows) || t->typed.count || t->data_location == 1 ||
        !t->raw.size || t->raw.size % (size_t)rows)
        return bad(u);
    const size_t bytes = t->raw.size / (size_t)rows;
    const int64_t each = rows / p->n;
    const char *raw = (const char *)t->raw.at;
    if (lstm) {
        char *turned = cj__arena_array(u->arena, t->raw.size + 1, 1);
        if (!turned) return CJ_ERR_MEMORY;
        for (int64_t i = 0; i < rows; i++)
            memcpy(turned + (size_t)i * bytes,
                   raw + (size_t)cj__onnx_gate_row(true, blocks, units, true, i) * bytes, bytes);
        raw = turned;
    }
    for (int k = 0; k < p->n; k++) {
        cj__onnx_tensor *part = &u->items[u->count];
        *part = *t;
        part->name = cj__slice_of(p->part[k]);
        part->raw = (cj__slice){raw + (size_t)k * (size_t)each * bytes, (size_t)each * bytes};
        part->dims.count = t->dims.count - 1;
        part->dims.items = cj__arena_copy(u->arena, dims + 1, part->dims.count * sizeof *dims);
        if (!part->dims.items) return CJ_ERR_MEMORY;
        part->dims.items[0] = each;
        if (*p->part[k]) u->count++;
        for (size_t i = 0; !*p->part[k] && i < part->raw.size; i++)
            if (((const char *)part->raw.at)[i]) return bad(u);
    }
    return CJ_OK;
}

/* Nodes of recurrent layers whose operands are listed. */
static cj_status unpack_nodes(unpacking *u, const cj__onnx_graph *g, cj__names *tensors,
                              const cj__names *packed)
{
    size_t done = 0;
    for (size_t i = 0; i < g->node.count; i++) {
        const cj__onnx_node *node = &g->node.items[i];
        if (!cj__slice_is(node->op_type, "LSTM") && !cj__slice_is(node->op_type, "GRU") &&
            !cj__slice_is(node->op_type, "RNN"))
            continue;
        for (size_t k = 1; k < node->input.count && k < 8; k++) {
            const cj__slice name = node->input.items[k];
            const cj__onnx_packed *p = cj__names_get_bytes(packed, name.at, name.size);
            cj__onnx_tensor *t = p ? cj__names_get(tensors, p->name) : NULL;
            if (!p) continue;
            if (!t || !t->name.size) return bad(u);
            CJ__TRY(unpack(u, node, k, t, p));
            t->name.size = 0;
            done++;
        }
    }
    return done == packed->count ? CJ_OK : bad(u);
}

cj_status cj__onnx_unpack(cj__arena *arena, cj__onnx_model *model, const char *key,
                          cj__names *out)
{
    cj__onnx_graph *g = model->graph;
    unpacking u = {.arena = arena, .key = key};
    const cj__json *all;
    cj__names tensors;
    cj__names_init(out, arena);
    cj__names_init(&tensors, arena);
    CJ__TRY(cj__onnx_metadata_json(arena, model, key, &all));
    if (!all) return CJ_OK;
    if (all->type != CJ__JSON_OBJECT) return bad(&u);
    u.items = cj__arena_array(arena, g->initializer.count + CJ__ONNX_PARTS_MAX * all->count + 1,
                              sizeof *u.items);
    if (!u.items) return CJ_ERR_MEMORY;
    for (const cj__json *item = all->first; item; item = item->next) {
        cj__onnx_packed *p = cj__arena_alloc(arena, sizeof *p);
        if (!p || !cj__names_put(out, item->key, p)) return CJ_ERR_MEMORY;
        CJ__TRY(read_names(&u, item, p));
    }
    for (size_t i = 0; i < g->initializer.count; i++) {
        cj__onnx_tensor *t = &g->initializer.items[i];
        const cj__onnx_packed *p = cj__names_get_bytes(out, t->name.at, t->name.size);
        if (p && !cj__names_put(&tensors, p->name, t)) return CJ_ERR_MEMORY;
    }
    CJ__TRY(unpack_nodes(&u, g, &tensors, out));
    for (size_t i = 0; i < g->initializer.count; i++) {
        const cj__onnx_tensor *t = &g->initializer.items[i];
        if (t->name.size) u.items[u.count++] = *t;
    }
    g->initializer.items = u.items;
    g->initializer.count = u.count;
    return CJ_OK;
}

cj_node *cj__onnx_stacked(cj__onnx_reader *r, const cj__onnx_packed *p)
{
    cj_node *rows[CJ__ONNX_PARTS_MAX];
    int n = 0;
    for (int k = 0; k < p->n; k++) {
        cj_node *x = cj__onnx_node_of(r, cj__onnx_find(r, cj__slice_of(p->part[k])));
        if (!x) return NULL;
        if (k + 1 < p->n && !*p->part[k + 1]) {
            const cj_type *type = &x->type;
            cj_node *zeros = cj_broadcast_to(cj_scalar(r->g, type->dtype, 0), type->rank,
                                             type->dim);
            x = cj_concat(((cj_node *[]){x, zeros}), 2, 0);
            k++;
        }
        rows[n++] = x;
    }
    return cj_stack(rows, n, 0);
}
