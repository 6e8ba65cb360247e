/* turned.c: see turned.h.
 *
 * Writing goes over the nodes once, and knows of each value that is channels-last how its
 * channels-first twin is called. A node that takes twins gives one; the Transpose that makes the
 * channels-last value of it is dropped in the end unless something reads it. The value that stays
 * keeps the name that the layer's result has, and nodes are numbered anew. */
#include <string.h>

#include "format/onnx/turned.h"

int64_t cj__onnx_turned_axis(int rank, bool back, int64_t axis)
{
    if (axis < 0) axis += rank;
    if (axis <= 0 || axis >= rank) return axis; /* or no axis: a row will say so */
    if (back) return axis == 1 ? rank - 1 : axis - 1;
    return axis == rank - 1 ? 1 : axis + 1;
}

static const cj__onnx_attribute *attribute(const cj__onnx_node *node, const char *name,
                                           cj__onnx_attribute_type type)
{
    const cj__onnx_attribute *a = cj__onnx_find_attribute(node, name);
    return a && a->type == type ? a : NULL;
}

bool cj__onnx_turns(const cj__onnx_node *node, const cj__onnx_attribute **axes, bool *reduces)
{
    static const char *const names[] = {
        "Relu", "LeakyRelu", "Elu", "Selu", "Gelu", "Sigmoid", "HardSigmoid", "Tanh", "Softplus",
        "Softsign", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg", "Abs", "Clip", "Min", "Max",
        "Add", "Sub", "Mul", "Div", "Pow", "Dropout"};
    *axes = NULL;
    *reduces = false;
    if (node->domain.size || node->output.count != 1) return false;
    for (size_t i = 0; i < CJ__COUNT(names); i++)
        if (cj__slice_is(node->op_type, names[i])) return true;
    if (cj__slice_is(node->op_type, "Concat"))
        return (*axes = attribute(node, "axis", CJ__ONNX_ATTR_INT)) != NULL;
    *reduces = cj__slice_is(node->op_type, "ReduceMean") ||
               cj__slice_is(node->op_type, "ReduceMax");
    return *reduces && node->input.count == 1 &&
           (*axes = attribute(node, "axes", CJ__ONNX_ATTR_INTS)) != NULL;
}

/* A reduction of all axes between the first and the channels gives [n, channels] of either. */
static bool reduces_all(const cj__onnx_node *node, const cj__onnx_attribute *axes, int rank,
                        bool first)
{
    const cj__onnx_attribute *keep = attribute(node, "keepdims", CJ__ONNX_ATTR_INT);
    const size_t n = axes->as.ints.count;
    if (!keep || keep->as.i || n != (size_t)rank - 2) return false;
    for (size_t i = 0; i < n; i++)
        if (axes->as.ints.items[i] != (int64_t)i + 1 + first) return false;
    return true;
}

/* The same node along the axes of the other layout; its attributes are a copy. */
static bool turn_axes(cj__arena *arena, cj__onnx_node *node, const cj__onnx_attribute *axes,
                      int rank, bool back)
{
    const size_t n = node->attribute.count;
    cj__onnx_attribute *items = cj__arena_copy(arena, node->attribute.items, n * sizeof *items);
    if (!items) return false;
    cj__onnx_attribute *a = &items[axes - node->attribute.items];
    node->attribute.items = items;
    if (a->type == CJ__ONNX_ATTR_INT) {
        a->as.i = cj__onnx_turned_axis(rank, back, a->as.i);
        return true;
    }
    int64_t *v = cj__arena_copy(arena, a->as.ints.items, a->as.ints.count * sizeof *v);
    for (size_t i = 0; v && i < a->as.ints.count; i++)
        v[i] = cj__onnx_turned_axis(rank, back, v[i]);
    a->as.ints.items = v;
    return v != NULL;
}

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct twin { /* of a channels-last value */
    cj__slice first;
    int rank;
    bool made; /* from a channels-first value, by a Transpose that may be dropped */
} twin;

typedef struct straightening {
    cj__onnx_writer *w;
    cj__onnx_node *items; /* the nodes from now on */
    size_t count;
    cj__names twins;   /* name -> twin */
    cj__names renamed; /* name -> name */
    cj__names read;    /* names that nodes and outputs read */
    cj__names given;   /* names that nodes give, outputs of the graph aside */
    cj__names outputs, tensors; /* initializers: name -> cj__onnx_tensor */
    cj__names uses;    /* by name: how many nodes and outputs read it, as a pointer */
} straightening;

static bool failed(straightening *s)
{
    cj__onnx_refuse(s->w, CJ_ERR_MEMORY, "out of memory");
    return true;
}

/* Is it the Transpose that makes an image channels-first or, `back`, channels-last? */
static int is_turn(const cj__onnx_node *node, bool back)
{
    const cj__onnx_attribute *perm = attribute(node, "perm", CJ__ONNX_ATTR_INTS);
    if (!perm || !cj__slice_is(node->op_type, "Transpose")) return 0;
    const int rank = (int)perm->as.ints.count;
    for (int i = 0; i < rank; i++) /* axis i of the result is this one of the operand */
        if (perm->as.ints.items[i] != cj__onnx_turned_axis(rank, !back, i)) return 0;
    return rank >= 3 ? rank : 0;
}

static void put(straightening *s, cj__names *names, cj__slice name, void *value)
{
    if (!cj__names_put(names, name.at, value)) failed(s);
}

static cj__onnx_graph *body_of(const cj__onnx_attribute *a)
{
    return a->type == CJ__ONNX_ATTR_GRAPH ? a->as.g : NULL;
}

static void rename_inputs(straightening *s, cj__onnx_node *node)
{
    for (size_t i = 0; i < node->input.count; i++) {
        const char *other = node->input.items[i].size
                                ? cj__names_get(&s->renamed, node->input.items[i].at)
                                : NULL;
        if (other) node->input.items[i] = cj__slice_of(other);
    }
    for (size_t k = 0; k < node->attribute.count; k++) {
        cj__onnx_graph *g = body_of(&node->attribute.items[k]);
        for (size_t i = 0; g && i < g->node.count; i++) rename_inputs(s, &g->node.items[i]);
    }
}

/* What a node and its bodies read. */
static void each_read(straightening *s, const cj__onnx_node *node,
                      void (*tell)(straightening *, cj__slice))
{
    for (size_t i = 0; i < node->input.count; i++)
        if (node->input.items[i].size) tell(s, node->input.items[i]);
    for (size_t k = 0; k < node->attribute.count; k++) {
        const cj__onnx_graph *g = body_of(&node->attribute.items[k]);
        for (size_t i = 0; g && i < g->node.count; i++) each_read(s, &g->node.items[i], tell);
        for (size_t i = 0; g && i < g->output.count; i++) tell(s, g->output.items[i].name);
    }
}

static void note_read(straightening *s, cj__slice name) { put(s, &s->read, name, s); }

static void count_use(straightening *s, cj__slice name)
{
    const uintptr_t n = (uintptr_t)cj__names_get(&s->uses, name.at);
    put(s, &s->uses, name, (void *)(n + 1));
}

static void note_given(straightening *s, const cj__onnx_node *node)
{
    for (size_t k = 0; k < node->output.count; k++) {
        const cj__slice y = node->output.items[k];
        if (y.size && !cj__names_get(&s->outputs, y.at)) put(s, &s->given, y, s);
    }
}

/* The rank of the twins that all operands have, scalars aside; 0: they have none. */
static int rank_of_twins(straightening *s, const cj__onnx_node *node)
{
    int rank = 0;
    bool made = false;
    for (size_t i = 0; i < node->input.count; i++) {
        const char *name = node->input.items[i].at;
        if (!node->input.items[i].size) return 0;
        const cj__onnx_tensor *value = cj__names_get(&s->tensors, name);
        if (value && !value->dims.count) continue;
        const twin *t = cj__names_get(&s->twins, name);
        if (!t || (rank && t->rank != rank)) return 0;
        rank = t->rank;
        made = made || t->made;
    }
    return made ? rank : 0;
}

static twin *add_twin(straightening *s, cj__slice last, cj__slice first, int rank, bool made)
{
    twin *t = cj__arena_alloc(s->w->arena, sizeof *t);
    if (!t) return failed(s), NULL;
    *t = (twin){first, rank, made};
    put(s, &s->twins, last, t);
    return t;
}

/* "conv1/Transpose" for a node "conv1/Relu". */
static const char *name_of_turn(straightening *s, cj__slice node)
{
    const char *slash = node.size ? strrchr(node.at, '/') : NULL;
    const char *base = slash ? cj__arena_printf(s->w->arena, "%.*s/Transpose",
                                                (int)(slash - node.at), node.at)
                             : "Transpose";
    return base ? cj__names_unique(&s->w->nodes, base) : NULL;
}

/* y = T'(y'), where y' is what the node gives from now on. What is no output of the graph keeps its
 * name, and the Transpose's result gets one. */
static void add_turn(straightening *s, cj__onnx_node *node, int rank)
{
    cj__onnx_writer *w = s->w;
    const cj__slice y = node->output.items[0];
    const char *name = name_of_turn(s, node->name),
               *inner = name ? cj__names_unique(&w->values, node->name.at) : NULL;
    cj__slice *ends = cj__arena_array(w->arena, 2, sizeof *ends);
    int64_t perm[CJ_RANK_MAX];
    if (!inner || !ends) {
        failed(s);
        return;
    }
    for (int i = 0; i < rank; i++) perm[i] = cj__onnx_turned_axis(rank, false, i);
    node->output.items[0] = ends[0] = cj__slice_of(inner);
    ends[1] = y;
    cj__onnx_node *turn = &s->items[s->count++];
    *turn = (cj__onnx_node){.name = cj__slice_of(name), .op_type = cj__slice_of("Transpose")};
    turn->input.items = ends;
    turn->output.items = ends + 1;
    turn->input.count = turn->output.count = 1;
    w->node = turn;
    cj__onnx_put_ints(w, "perm", rank, perm);
    add_twin(s, y, ends[0], rank, true);
}

/* T'(ConvTranspose(x, w)) + b, b being one number for each channel: b is its third operand. */
static bool takes_bias(straightening *s, const cj__onnx_node *sum)
{
    if (s->count < 2 || !cj__slice_is(sum->op_type, "Add")) return false;
    cj__onnx_node *conv = &s->items[s->count - 2], *turn = conv + 1;
    if (!cj__slice_is(conv->op_type, "ConvTranspose") || conv->input.count != 2 ||
        !is_turn(turn, true) || !cj__slice_equal(turn->input.items[0], conv->output.items[0]) ||
        !cj__slice_equal(turn->output.items[0], sum->input.items[0]))
        return false;
    const cj__slice y = turn->output.items[0], b = sum->input.items[1];
    const cj__onnx_tensor *weights = cj__names_get(&s->tensors, conv->input.items[1].at),
                          *bias = cj__names_get(&s->tensors, b.at);
    if (!weights || !bias || bias->dims.count != 1 || attribute(conv, "group", CJ__ONNX_ATTR_INT) ||
        weights->dims.count < 3 || weights->dims.items[1] != bias->dims.items[0] ||
        cj__names_get(&s->uses, y.at) != (void *)1 || cj__names_get(&s->outputs, y.at) ||
        cj__names_get(&s->uses, turn->input.items[0].at) != (void *)1)
        return false;
    cj__slice *ends = cj__arena_array(s->w->arena, 4, sizeof *ends);
    if (!ends) return failed(s);
    for (int i = 0; i < 2; i++) ends[i] = conv->input.items[i];
    ends[2] = b;
    ends[3] = sum->output.items[0];
    conv->input.items = ends;
    conv->input.count = 3;
    if (cj__slice_equal(ends[3], sum->name)) {
        put(s, &s->renamed, ends[3], (void *)(uintptr_t)y.at);
        return true;
    }
    turn->output.items = &ends[3];
    add_twin(s, ends[3], turn->input.items[0], is_turn(turn, true), true);
    return true;
}

/* Pad: the same with its pads in the order of the other layout; false: it has no twin to pad. */
static bool turn_pad(straightening *s, cj__onnx_node *node)
{
    const twin *t = cj__names_get(&s->twins, node->input.items[0].at);
    const cj__onnx_tensor *pads = cj__names_get(&s->tensors, node->input.items[1].at);
    int64_t turned[2 * CJ_RANK_MAX];
    if (!t || !t->made || !pads || pads->dims.items[0] != 2 * t->rank) return false;
    for (int i = 0; i < 2 * t->rank; i++) {
        const int at = i % t->rank, to = (int)cj__onnx_turned_axis(t->rank, false, at);
        turned[i - at + to] = cj_load_i64(CJ_I64, pads->raw.at, (size_t)i);
    }
    const char *name = cj__onnx_ints(s->w, 2 * t->rank, turned);
    cj__slice *in = cj__arena_copy(s->w->arena, node->input.items,
                                   node->input.count * sizeof *in);
    if (!name || !in) return failed(s);
    in[0] = t->first;
    in[1] = cj__slice_of(name);
    node->input.items = in;
    if (!cj__names_get(&s->tensors, name)) /* it is new, then */
        put(s, &s->tensors, in[1], &s->w->initializers[s->w->n_initializers - 1]);
    s->items[s->count] = *node;
    add_turn(s, &s->items[s->count++], t->rank);
    return true;
}

static void straighten_node(straightening *s, cj__onnx_node node)
{
    const cj__onnx_attribute *axes;
    bool reduces;
    int rank;
    rename_inputs(s, &node);
    if (takes_bias(s, &node)) return;
    if (cj__slice_is(node.op_type, "Pad") && turn_pad(s, &node)) return;
    if ((rank = is_turn(&node, false)) != 0) {
        const cj__slice x = node.input.items[0], y = node.output.items[0];
        const twin *t = cj__names_get(&s->twins, x.at);
        const bool output = cj__names_get(&s->outputs, y.at) != NULL;
        if (t && !output) {
            put(s, &s->renamed, y, (void *)(uintptr_t)t->first.at);
            return;
        }
        if (t && cj__names_get(&s->given, t->first.at) &&
            !cj__names_get(&s->renamed, t->first.at)) { /* the twin is the output */
            put(s, &s->renamed, t->first, (void *)(uintptr_t)y.at);
            return;
        }
        if (!t) add_twin(s, x, y, rank, false);
        if (!t && rank == 3) add_twin(s, y, x, rank, true); /* it goes both ways */
    } else if ((rank = is_turn(&node, true)) != 0) {
        add_twin(s, node.output.items[0], node.input.items[0], rank, true);
    } else if (cj__onnx_turns(&node, &axes, &reduces) && (rank = rank_of_twins(s, &node)) != 0) {
        const bool flat = reduces && reduces_all(&node, axes, rank, false);
        if (!reduces || flat) {
            for (size_t i = 0; i < node.input.count; i++) {
                const twin *t = cj__names_get(&s->twins, node.input.items[i].at);
                if (t) node.input.items[i] = t->first;
            }
            if (axes && !turn_axes(s->w->arena, &node, axes, rank, false)) failed(s);
            cj__onnx_node *kept = &s->items[s->count++];
            *kept = node;
            if (!flat) add_turn(s, kept, rank);
            return;
        }
    }
    s->items[s->count++] = node;
}

/* Drops the Transposes that nothing reads, last first; what they were made of takes the name, where
 * it is one that the layer gave. */
static void drop_turns(straightening *s)
{
    size_t kept = s->count;
    for (size_t i = s->count; i-- > 0;) {
        cj__onnx_node *node = &s->items[i];
        const cj__slice y = node->output.count ? node->output.items[0] : (cj__slice){0};
        const twin *t = y.size && is_turn(node, true) ? cj__names_get(&s->twins, y.at) : NULL;
        const bool read = !t || !t->made || cj__names_get(&s->read, y.at);
        /* The layer's name is not that of a node. */
        const bool named = t && t->made && !cj__slice_equal(y, node->name) &&
                           !cj__names_get(&s->outputs, y.at) &&
                           cj__names_get(&s->given, t->first.at) &&
                           !cj__names_get(&s->renamed, t->first.at);
        if (named) put(s, &s->renamed, t->first, (void *)(uintptr_t)y.at);
        if (!read) continue;
        const char *own = named ? cj__names_unique(&s->w->values, node->name.at) : NULL;
        if (named && !own) failed(s);
        if (own) put(s, &s->renamed, y, (void *)(uintptr_t)own);
        each_read(s, node, note_read);
        s->items[--kept] = *node;
    }
    memmove(s->items, s->items + kept, (s->count - kept) * sizeof *s->items);
    s->count -= kept;
}

static void rename_all(straightening *s)
{
    for (size_t i = 0; i < s->count; i++) {
        cj__onnx_node *node = &s->items[i];
        rename_inputs(s, node);
        for (size_t k = 0; k < node->output.count; k++) {
            const cj__slice y = node->output.items[k];
            const char *other = y.size ? cj__names_get(&s->renamed, y.at) : NULL;
            if (other) node->output.items[k] = cj__slice_of(other);
        }
    }
}

/* Is the node's result called as the node? */
static bool is_default(const straightening *s, const cj__onnx_node *node)
{
    return node->output.count == 1 && cj__slice_equal(node->output.items[0], node->name) &&
           !cj__names_get(&s->outputs, node->name.at);
}

/* Values of the node, unless that is one that may be renamed, and everything of its bodies. */
static void take_names(straightening *s, cj__names *taken, const cj__onnx_node *node, bool inside)
{
    for (size_t k = 0; k < node->output.count && (inside || !is_default(s, node)); k++)
        if (node->output.items[k].size) put(s, taken, node->output.items[k], s);
    if (inside) put(s, taken, node->name, s);
    for (size_t k = 0; k < node->attribute.count; k++) {
        const cj__onnx_graph *g = body_of(&node->attribute.items[k]);
        for (size_t i = 0; g && i < g->input.count; i++) put(s, taken, g->input.items[i].name, s);
        for (size_t i = 0; g && i < g->node.count; i++)
            take_names(s, taken, &g->node.items[i], true);
    }
}

/* "conv1/Conv_2" without the numbers that dropped nodes have left behind; results that are called
 * as their node stay so. */
static void renumber(straightening *s, const cj__onnx_graph *graph)
{
    cj__names nodes;
    cj__arena *arena = s->w->arena;
    cj__names_init(&nodes, arena);
    for (size_t i = 0; i < graph->input.count; i++) put(s, &nodes, graph->input.items[i].name, s);
    for (size_t i = 0; i < s->w->n_initializers; i++)
        put(s, &nodes, s->w->initializers[i].name, s);
    for (size_t i = 0; i < s->count; i++) take_names(s, &nodes, &s->items[i], false);
    for (size_t i = 0; i < s->count && !s->w->failed; i++) {
        cj__onnx_node *node = &s->items[i];
        const char *slash = strrchr(node->name.at, '/'), *last = slash ? slash + 1 : node->name.at;
        const char *base = cj__arena_printf(arena, "%.*s%.*s", (int)(last - node->name.at),
                                            node->name.at, (int)node->op_type.size,
                                            (const char *)node->op_type.at);
        const char *name = base && !strncmp(base, node->name.at, strlen(base)) ? base
                                                                               : node->name.at;
        name = base ? cj__names_unique(&nodes, name) : NULL;
        if (!name) {
            failed(s);
            return;
        }
        if (is_default(s, node))
            put(s, &s->renamed, node->name, (void *)(uintptr_t)name);
        node->name = cj__slice_of(name);
    }
}

void cj__onnx_straighten(cj__onnx_writer *w, cj__onnx_graph *graph)
{
    const cj__onnx_value *outputs = graph->output.items;
    const size_t n_outputs = graph->output.count, n_nodes = graph->node.count;
    straightening s = {.w = w};
    cj__names *all[] = {&s.twins,   &s.renamed, &s.read,
                        &s.outputs, &s.tensors, &s.given, &s.uses};
    size_t done = 0;
    if (w->failed) return;
    for (size_t i = 0; i < CJ__COUNT(all); i++) cj__names_init(all[i], w->arena);
    s.items = cj__arena_array(w->arena, 2 * n_nodes + 1, sizeof *s.items);
    if (!s.items) failed(&s);
    for (size_t i = 0; i < n_outputs; i++) put(&s, &s.outputs, outputs[i].name, &s);
    for (size_t i = 0; i < w->n_initializers; i++)
        put(&s, &s.tensors, w->initializers[i].name, &w->initializers[i]);
    for (size_t i = 0; i < n_nodes; i++) each_read(&s, &graph->node.items[i], count_use);
    for (size_t i = 0; i < n_outputs; i++) count_use(&s, outputs[i].name);
    for (size_t i = 0; i < n_nodes && !w->failed; i++) {
        straighten_node(&s, graph->node.items[i]);
        for (; done < s.count; done++) note_given(&s, &s.items[done]);
    }
    for (size_t i = 0; i < n_outputs; i++) note_read(&s, outputs[i].name);
    if (w->failed) return;
    drop_turns(&s);
    if (w->failed) return;
    rename_all(&s);
    cj__names_init(&s.renamed, w->arena);
    renumber(&s, graph);
    rename_all(&s);
    graph->node.items = s.items;
    graph->node.count = s.count;
}

/* ---- Reading --------------------------------------------------------------------------------- */

cj_node *cj__onnx_untransposed(const cj_node *x)
{
    if (!x || x->type.rank < 3 || x->call->op != &cj_op_transpose) return NULL;
    const cj_ints *p = &((const cj__permutation_attrs *)x->call->attributes)->permutation;
    for (int i = 0; i < p->n; i++)
        if (p->v[i] != cj__onnx_turned_axis(p->n, true, i)) return NULL;
    return p->n ? x->call->in[0] : NULL;
}

static bool is_scalar(const cj__onnx_source *s)
{
    return s->node ? !s->node->type.rank : s->initializer && !s->initializer->dims.count;
}

bool cj__onnx_read_turned(cj__onnx_reader *r, const cj__onnx_row *row)
{
    enum { OPERANDS = 80 };
    const cj__onnx_node *node = r->node;
    const cj__onnx_attribute *axes;
    cj_node *outer[OPERANDS], *inner[OPERANDS];
    cj__onnx_source *source[OPERANDS];
    const size_t n = node->input.count;
    bool reduces;
    int rank = 0;
    if (n > OPERANDS || !cj__onnx_turns(node, &axes, &reduces)) return false;
    for (size_t i = 0; i < n; i++) {
        source[i] = node->input.items[i].size ? cj__onnx_find(r, node->input.items[i]) : NULL;
        if (!source[i]) return false;
        outer[i] = source[i]->node;
        inner[i] = cj__onnx_untransposed(outer[i]);
        if (!inner[i] && !is_scalar(source[i])) return false;
        if (!inner[i]) continue;
        if (rank && inner[i]->type.rank != rank) return false;
        rank = inner[i]->type.rank;
    }
    const bool flat = rank && reduces && reduces_all(node, axes, rank, true);
    if (!rank || (reduces && !flat)) return false;
    cj__onnx_node turned = *node;
    if (axes && !turn_axes(r->arena, &turned, axes, rank, true)) {
        cj__onnx_no_memory(r);
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (inner[i]) source[i]->node = inner[i];
    r->node = &turned;
    row->read(r, row);
    r->node = node;
    for (size_t i = 0; i < n; i++)
        if (inner[i]) source[i]->node = outer[i];
    cj__onnx_source *y = r->failed || flat ? NULL : cj__onnx_find(r, node->output.items[0]);
    int64_t p[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) p[i] = cj__onnx_turned_axis(rank, true, i);
    if (y && y->node) y->node = cj_transpose(y->node, p);
    return true;
}
