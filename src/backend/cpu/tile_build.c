/* tile_build.c: what a call does to memory, as a short list of operations on tiles.
 *
 * A call is elementwise, or a group with a body (graph/ops/fused.c). Every value of the body gets
 * a way to be read. An operation without a vector kernel for its dtypes runs its reference
 * kernel on the tile, so every elementwise call can be in a group.
 * tile_place.c gives values their places. */
#include "backend/cpu/tile.h"

#include <string.h>

typedef cj__tile tile;
typedef cj__tile_value value;
typedef cj__tile_operation operation;

/* ---- Which kernel ---------------------------------------------------------------------------- */

typedef struct mapped_op {
    const cj_op *op;
    int function;
} mapped_op;

static const mapped_op unary_ops[] = {{&cj_op_neg, CJ__UNARY_NEG},
                                      {&cj_op_abs, CJ__UNARY_ABS},
                                      {&cj_op_sign, CJ__UNARY_SIGN},
                                      {&cj_op_square, CJ__UNARY_SQUARE},
                                      {&cj_op_sqrt, CJ__UNARY_SQRT},
                                      {&cj_op_rsqrt, CJ__UNARY_RSQRT},
                                      {&cj_op_reciprocal, CJ__UNARY_RECIPROCAL},
                                      {&cj_op_exp, CJ__UNARY_EXP},
                                      {&cj_op_expm1, CJ__UNARY_EXPM1},
                                      {&cj_op_log, CJ__UNARY_LOG},
                                      {&cj_op_log1p, CJ__UNARY_LOG1P},
                                      {&cj_op_sin, CJ__UNARY_SIN},
                                      {&cj_op_cos, CJ__UNARY_COS},
                                      {&cj_op_tanh, CJ__UNARY_TANH},
                                      {&cj_op_sigmoid, CJ__UNARY_SIGMOID},
                                      {&cj_op_erf, CJ__UNARY_ERF},
                                      {&cj_op_softplus, CJ__UNARY_SOFTPLUS},
                                      {&cj_op_floor, CJ__UNARY_FLOOR},
                                      {&cj_op_ceil, CJ__UNARY_CEIL},
                                      {&cj_op_round, CJ__UNARY_ROUND},
                                      {&cj_op_relu, CJ__UNARY_RELU},
                                      {NULL, 0}};
static const mapped_op binary_ops[] = {
    {&cj_op_add, CJ__BINARY_ADD},     {&cj_op_sub, CJ__BINARY_SUB},
    {&cj_op_mul, CJ__BINARY_MUL},     {&cj_op_div, CJ__BINARY_DIV},
    {&cj_op_pow, CJ__BINARY_POW},     {&cj_op_maximum, CJ__BINARY_MAX},
    {&cj_op_minimum, CJ__BINARY_MIN}, {NULL, 0}};
static const mapped_op compare_ops[] = {{&cj_op_equal, CJ__COMPARE_EQ},
                                        {&cj_op_not_equal, CJ__COMPARE_NE},
                                        {&cj_op_less, CJ__COMPARE_LT},
                                        {&cj_op_less_equal, CJ__COMPARE_LE},
                                        {&cj_op_greater, CJ__COMPARE_GT},
                                        {&cj_op_greater_equal, CJ__COMPARE_GE},
                                        {NULL, 0}};
static const mapped_op logical_ops[] = {{&cj_op_logical_and, CJ__LOGICAL_AND},
                                        {&cj_op_logical_or, CJ__LOGICAL_OR},
                                        {&cj_op_logical_xor, CJ__LOGICAL_XOR},
                                        {&cj_op_logical_not, CJ__LOGICAL_NOT},
                                        {NULL, 0}};

static bool look_up(const mapped_op *table, const cj_op *op, int *function)
{
    for (; table->op; table++)
        if (table->op == op) return *function = table->function, true;
    return false;
}

static bool cast_function(cj_dtype from, cj_dtype to, int *function)
{
    static const struct {
        cj_dtype from, to;
        int function;
    } casts[] = {{CJ_F32, CJ_F64, CJ__CAST_F32_F64},   {CJ_F64, CJ_F32, CJ__CAST_F64_F32},
                 {CJ_F32, CJ_U8, CJ__CAST_F32_U8},     {CJ_F32, CJ_I8, CJ__CAST_F32_I8},
                 {CJ_F32, CJ_I32, CJ__CAST_F32_I32},   {CJ_F32, CJ_I64, CJ__CAST_F32_I64},
                 {CJ_F32, CJ_BOOL, CJ__CAST_F32_BOOL}, {CJ_U8, CJ_F32, CJ__CAST_U8_F32},
                 {CJ_I8, CJ_F32, CJ__CAST_I8_F32},     {CJ_I32, CJ_F32, CJ__CAST_I32_F32},
                 {CJ_I64, CJ_F32, CJ__CAST_I64_F32},   {CJ_BOOL, CJ_F32, CJ__CAST_U8_F32},
                 {CJ_F32, CJ_BF16, CJ__CAST_F32_BF16}, {CJ_BF16, CJ_F32, CJ__CAST_BF16_F32},
                 {CJ_F32, CJ_F16, CJ__CAST_F32_F16},   {CJ_F16, CJ_F32, CJ__CAST_F16_F32}};
    for (size_t i = 0; i < CJ__COUNT(casts); i++)
        if (casts[i].from == from && casts[i].to == to) return *function = casts[i].function, true;
    return false;
}

/* Which vector kernel does a call's work? REFERENCE when there is none. */
static cj__tile_kind choose(const cj__isa *isa, const cj_call *call, int *function)
{
    const cj_op *op = call->op;
    cj_dtype a = call->n_in ? call->in[0]->type.dtype : CJ_DTYPE_NONE;
    bool f32 = a == CJ_F32, f64 = a == CJ_F64;
    if ((f32 || f64) && look_up(unary_ops, op, function)) {
        if (f32 ? isa->unary_f32[*function] != NULL : isa->unary_f64[*function] != NULL)
            return f32 ? UNARY_F32 : UNARY_F64;
    } else if ((f32 || f64) && look_up(binary_ops, op, function)) {
        if (f32 ? isa->binary_f32[*function] != NULL : isa->binary_f64[*function] != NULL)
            return f32 ? BINARY_F32 : BINARY_F64;
    } else if ((f32 || f64) && look_up(compare_ops, op, function)) {
        if (f32 ? isa->compare_f32[*function] != NULL : isa->compare_f64[*function] != NULL)
            return f32 ? COMPARE_F32 : COMPARE_F64;
    } else if (a == CJ_BOOL && look_up(logical_ops, op, function)) {
        return LOGICAL;
    } else if (op == &cj_op_where) {
        return WHERE;
    } else if (op == &cj_op_cast && cast_function(a, call->out[0].type.dtype, function)) {
        return CAST;
    }
    return REFERENCE;
}


static const mapped_op row_ops[] = {{&cj_op_reduce_sum, CJ__REDUCE_SUM},
                                    {&cj_op_reduce_mean, CJ__REDUCE_MEAN},
                                    {&cj_op_reduce_max, CJ__REDUCE_MAX},
                                    {&cj_op_reduce_min, CJ__REDUCE_MIN},
                                    {NULL, 0}};

static bool is_softmax(const cj_op *op)
{
    return op == &cj_op_softmax || op == &cj_op_log_softmax;
}

static bool is_reduction(const cj_op *op)
{
    int function;
    return look_up(row_ops, op, &function) || op == &cj_op_logsumexp;
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

typedef struct shape {
    int rank;
    int64_t dim[CJ_RANK_MAX];
} shape;

typedef struct builder {
    const cj_kernel *k;
    tile *p;
    const cj_graph *body; /* NULL: a call by itself */
    int64_t *symbols;     /* of the body's expressions */
    int *value_of;        /* by call of the body */
} builder;

static shape array_shape(const cj_array *a)
{
    shape s = {.rank = a->rank};
    memcpy(s.dim, a->dim, sizeof s.dim);
    return s;
}

static shape node_shape(const builder *b, const cj_node *node)
{
    shape s = {.rank = node->type.rank};
    for (int i = 0; i < s.rank; i++) s.dim[i] = cj__dim_number(node->type.dim[i], b->symbols);
    return s;
}

static int64_t count_of(const shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}

static bool is_whole(const tile *p, const shape *s)
{
    return s->rank == p->rank && !memcmp(s->dim, p->dim, (size_t)s->rank * sizeof s->dim[0]);
}

/* The body's symbols have the names that they have outside. */
static cj_status bind_symbols(builder *b, cj__arena *arena)
{
    const cj_graph *body = b->body, *outside = b->k->call->graph;
    b->symbols = cj__arena_array(arena, (size_t)body->dims.count + 1, sizeof *b->symbols);
    if (!b->symbols) return CJ_ERR_MEMORY;
    for (int i = 0; i < body->dims.count; i++) {
        b->symbols[i] = -1;
        for (int j = 0; j < outside->dims.count && body->dims.items[i].kind == CJ__EXPR_NAME; j++)
            if (outside->dims.items[j].kind == CJ__EXPR_NAME &&
                !strcmp(outside->dims.items[j].name, body->dims.items[i].name))
                b->symbols[i] = b->k->symbols[j];
    }
    return cj__dims_evaluate(b->k->cj, body, b->symbols);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Do the axes [begin, end) of an operand, aligned with the shape, hold elements of their own on one
 * run of neighbours, [*first, *last)? Axes of size 1 of the shape belong to either side. */
static bool one_run(const tile *p, const shape *in, int shift, int begin, int end, int *first,
                    int *last)
{
    *first = *last = end;
    bool over = false, any = false;
    for (int axis = begin; axis < end; axis++) {
        bool real = axis >= shift && in->dim[axis - shift] != 1;
        if (p->dim[axis] == 1) continue;
        if (real && over) return false;
        if (real && !any) *first = axis;
        if (real) *last = axis + 1;
        over = over || (any && !real);
        any = any || real;
    }
    return true;
}

/* How an operand of shape `in` is read for all of the shape, with `leading` axes for its rows. */
static void read_whole(const tile *p, int leading, const shape *in, value *v)
{
    int shift = p->rank - in->rank, first, last;
    int64_t step = 1, all = 1;
    for (int i = 0; i < p->rank; i++) all *= p->dim[i];
    v->how = DIRECT;
    if (count_of(in) == all) return;
    v->how = SCALAR;
    if (count_of(in) == 1) return;
    v->how = GENERAL;
    for (int axis = p->rank - 1; axis >= 0; axis--) {
        bool real = axis >= shift && in->dim[axis - shift] != 1;
        v->stride[axis] = real ? step : 0;
        if (axis >= shift) step *= in->dim[axis - shift];
    }
    if (!one_run(p, in, shift, leading, p->rank, &first, &last)) return;
    bool none = true, every = true;
    for (int axis = leading; axis < p->rank; axis++) {
        bool real = axis >= shift && in->dim[axis - shift] != 1;
        none = none && !real;
        every = every && (real || p->dim[axis] == 1);
    }
    if ((!none && !every) || !one_run(p, in, shift, 0, leading, &first, &last)) return;
    v->how = every && !none ? ROW : COLUMN;
    v->q = v->m = 1;
    for (int axis = last; axis < leading; axis++) v->q *= p->dim[axis];
    for (int axis = first; axis < last; axis++) v->m *= p->dim[axis];
}

/* The same for one element a row. The target is the shape without its row, or with ones for it. */
static void read_rows(const tile *p, const shape *in, const shape *target, value *v)
{
    int shift = target->rank - in->rank;
    int64_t step = 1;
    v->rows = true;
    v->how = count_of(in) == p->rows ? DIRECT : count_of(in) == 1 ? SCALAR : GENERAL;
    for (int axis = target->rank - 1; axis >= 0; axis--) {
        bool real = axis >= shift && in->dim[axis - shift] != 1;
        if (axis < p->leading) v->stride[axis] = real ? step : 0;
        if (axis >= shift) step *= in->dim[axis - shift];
    }
}

/* Where rows begin does not matter to a group without reductions: as few operands as can be are
 * read by strides, and rows are as long as can be. */
static int choose_leading(const builder *b)
{
    int best = 0, fewest = CJ__TILE_VALUES;
    for (int leading = 0; leading <= b->p->rank; leading++) {
        int general = 0;
        for (int i = 0; i < b->k->call->n_in; i++) {
            value v;
            shape in = array_shape(b->k->in[i]);
            read_whole(b->p, leading, &in, &v);
            general += v.how == GENERAL;
        }
        if (general >= fewest) continue;
        fewest = general;
        best = leading;
    }
    return best;
}

/* ---- Values and operations ------------------------------------------------------------------- */

static size_t size_of(cj_dtype dtype) { return (size_t)cj_dtype_info(dtype)->bits / 8; }

static int add_value(tile *p, value v)
{
    for (int i = 0; i < p->n_values; i++) { /* one that reads the same in the same way */
        const value *old = &p->values[i];
        if ((v.input >= 0 || v.of >= 0) && old->input == v.input && old->of == v.of &&
            old->rows == v.rows && old->how == v.how && old->q == v.q && old->m == v.m &&
            !memcmp(old->stride, v.stride, sizeof v.stride))
            return i;
    }
    p->values[p->n_values] = v;
    return p->n_values++;
}

/* Operand i of the call as it is read where `target` is wanted. */
static int add_input(builder *b, int i, const shape *target)
{
    tile *p = b->p;
    shape in = array_shape(b->k->in[i]);
    value v = {.input = i,
               .of = -1,
               .output = -1,
               .slot = -1,
               .dtype = b->k->in[i]->dtype,
               .size = size_of(b->k->in[i]->dtype)};
    if (is_whole(p, target)) read_whole(p, p->leading, &in, &v);
    else read_rows(p, &in, target, &v);
    if (v.how != ROW && v.how != COLUMN) v.q = v.m = 0;
    if (v.how != GENERAL) memset(v.stride, 0, sizeof v.stride);
    return add_value(p, v);
}

static int add_result(tile *p, cj_dtype dtype, bool rows)
{
    return add_value(p, (value){.input = -1,
                                .of = -1,
                                .output = -1,
                                .slot = -1,
                                .rows = rows,
                                .how = DIRECT,
                                .dtype = dtype,
                                .size = size_of(dtype)});
}

static void add_elementwise(builder *b, const cj_call *call, const int *in, bool rows)
{
    tile *p = b->p;
    operation *o = &p->operations[p->n_operations++];
    o->call = call;
    o->kind = choose(p->isa, call, &o->function);
    o->n_in = call->n_in;
    o->rows = rows;
    for (int i = 0; i < call->n_in; i++) o->in[i] = in[i];
    o->out = add_result(p, call->out[0].type.dtype, rows);
}

/* A function or a reduction of each row. */
static void add_row(builder *b, const cj_call *call, int in, bool reduces)
{
    tile *p = b->p;
    operation *o = &p->operations[p->n_operations++];
    bool f32 = call->in[0]->type.dtype == CJ_F32, f64 = call->in[0]->type.dtype == CJ_F64;
    bool mapped = look_up(row_ops, call->op, &o->function);
    *o = (operation){.kind = ROWS_REFERENCE,
                     .function = o->function,
                     .call = call,
                     .n_in = 1,
                     .in = {in},
                     .out = add_result(p, call->out[0].type.dtype, reduces)};
    if (mapped && (f32 || f64)) o->kind = f32 ? ROWS_F32 : ROWS_F64;
    if (call->op == &cj_op_softmax && f32) o->kind = SOFTMAX_F32;
    if (call->op == &cj_op_log_softmax && f32) o->kind = LOG_SOFTMAX_F32;
    if (call->op == &cj_op_logsumexp && f32) o->kind = LOGSUMEXP_F32;
}

/* A reduction of columns or of all; false when it is none that can be. */
static bool add_sweep(builder *b, const cj_call *call, int in, bool all)
{
    tile *p = b->p;
    cj_dtype dtype = call->in[0]->type.dtype;
    int function;
    if (!look_up(row_ops, call->op, &function) || cj_dtype_info(dtype)->kind != CJ_KIND_FLOAT)
        return false;
    shape from = node_shape(b, call->in[0]), to = node_shape(b, &call->out[0]);
    cj__tile_sweep *s = &p->sweeps[p->n_sweeps];
    int64_t results = count_of(&to);
    *s = (cj__tile_sweep){.how = (cj__reduce)function,
                          .all = all,
                          .dtype = dtype,
                          .segment = p->rows,
                          .count = results ? (double)count_of(&from) / (double)results : 0};
    if (!all && p->columns) {
        int64_t outer = results / p->columns; /* rows of results */
        s->segment = outer ? p->rows / outer : p->rows;
        if (s->segment < 1 && p->rows) return false;
    }
    operation *o = &p->operations[p->n_operations++];
    *o = (operation){.kind = SWEEP,
                     .function = p->n_sweeps++,
                     .call = call,
                     .n_in = 1,
                     .in = {in},
                     .out = add_result(p, dtype, true)};
    s->value = o->out;
    return true;
}

static bool is_read_inside(const builder *b, const cj_call *made)
{
    for (int id = made->id + 1; id < b->body->n_calls; id++)
        for (int k = 0; k < b->body->calls[id]->n_in; k++)
            if (b->body->calls[id]->in[k]->call == made) return true;
    return false;
}

/* Over rows, columns or all? The result of a reduction of rows can be used again in the group. */
static bool add_reduction(builder *b, const cj_call *call, int in)
{
    const cj__reduce_attrs *a = call->attributes;
    const tile *p = b->p;
    bool reduced[CJ_RANK_MAX] = {false}, above = false, below = false, all = true, row = true;
    shape from = node_shape(b, call->in[0]), to = node_shape(b, &call->out[0]);
    if (b->p->values[in].rows && p->columns != 1) return false;
    if ((call->op == &cj_op_reduce_max || call->op == &cj_op_reduce_min) && !count_of(&from) &&
        count_of(&to))
        b->p->nothing = call;
    for (int i = 0; i < a->axes.n; i++) reduced[a->axes.v[i]] = true;
    for (int axis = 0; axis < p->rank; axis++) {
        if (p->dim[axis] == 1) continue;
        if (axis < p->leading) above = above || reduced[axis];
        else below = below || reduced[axis], row = row && reduced[axis];
        all = all && reduced[axis];
    }
    if (call->op != &cj_op_logsumexp && all &&
        (above || (p->leading == 0 && !is_read_inside(b, call))))
        return add_sweep(b, call, in, true);
    if (above && below) return false;
    if (row && !above) return add_row(b, call, in, true), true;
    if (call->op == &cj_op_logsumexp || below) return false;
    for (int axis = p->leading - 1, last = 1; axis >= 0;
         axis--) { /* the last of the leading ones */
        if (p->dim[axis] == 1) continue;
        if (reduced[axis] && !last) return false;
        last = reduced[axis];
    }
    return add_sweep(b, call, in, false);
}

/* False for a body that is none of a group. */
static bool add_call(builder *b, const cj_call *call)
{
    tile *p = b->p;
    int in[CJ__TILE_OPERANDS], *to = &b->value_of[call->id];
    shape target = node_shape(b, &call->out[0]);
    const cj_node *x = call->n_in ? call->in[0] : NULL;
    if (call->op == &cj_op_input) {
        *to = -1;
        return true;
    }
    if (call->op == &cj_op_broadcast) { /* as wide as its reader wants it */
        while (x->call->op == &cj_op_broadcast) x = x->call->in[0];
        int from = b->value_of[x->call->id];
        shape narrow = node_shape(b, x);
        if (from >= 0 && !p->values[from].rows) { /* a symbol that is 1: nothing is repeated */
            *to = from;
            return count_of(&narrow) == count_of(&target);
        }
        *to = -1;
        if (from < 0) return x->call->op == &cj_op_input;
        value v = p->values[from];
        v.of = from;
        v.input = v.output = v.slot = -1;
        v.how = COLUMN;
        v.q = 1;
        v.m = p->rows;
        v.rows = false;
        *to = is_whole(p, &target) ? add_value(p, v) : from;
        return true;
    }
    if (call->op->flags & CJ_OP_VIEW && call->op == &cj_op_reshape) {
        *to = b->value_of[x->call->id];
        return *to >= 0 && (p->values[*to].rows || p->columns == 1);
    }
    if (call->n_in < 1 || call->n_in > CJ__TILE_OPERANDS) return false;
    for (int k = 0; k < call->n_in; k++) {
        const cj_node *from = call->in[k];
        in[k] = b->value_of[from->call->id];
        if (in[k] >= 0) continue;
        shape wanted = node_shape(b, from);
        while (from->call->op == &cj_op_broadcast) from = from->call->in[0];
        int i = 0;
        while (b->body->inputs.items[i].node != from) i++;
        in[k] = add_input(b, i, &wanted);
    }
    if (is_reduction(call->op)) {
        if (!add_reduction(b, call, in[0])) return false;
    } else if (call->op == &cj_op_one_hot) {
        if (!p->values[in[0]].rows || !is_whole(p, &target)) return false;
        add_elementwise(b, call, in, false);
        p->operations[p->n_operations - 1].kind = ONE_HOT;
    } else if (is_softmax(call->op)) {
        if (((const cj__axis_attrs *)call->attributes)->axis != target.rank - 1) return false;
        add_row(b, call, in[0], false);
    } else if (call->op->flags & CJ_OP_ELEMENTWISE && call->op->ref) {
        add_elementwise(b, call, in, !is_whole(p, &target));
    } else {
        return false;
    }
    *to = p->operations[p->n_operations - 1].out;
    return true;
}

static bool add_body(builder *b)
{
    for (int id = 0; id < b->body->n_calls; id++)
        if (!add_call(b, b->body->calls[id])) return false;
    for (int o = 0; o < b->body->outputs.count; o++) {
        const cj_node *node = b->body->outputs.items[o].node;
        int v = b->value_of[node->call->id];
        shape wanted = node_shape(b, node);
        if (v < 0) { /* an operand as it is, or broadcast */
            while (node->call->op == &cj_op_broadcast) node = node->call->in[0];
            for (int i = 0; v < 0; i++)
                if (b->body->inputs.items[i].node == node) v = add_input(b, i, &wanted);
        }
        b->p->output_value[o] = v;
    }
    return true;
}

/* ---- Preparing ------------------------------------------------------------------------------- */

static bool is_candidate(const cj_call *call)
{
    const cj_op *op = call->op;
    if (op == &cj_op_input || op == &cj_op_broadcast || op == &cj_op_reshape) return true;
    if (is_reduction(op) || is_softmax(op) || op == &cj_op_one_hot) return true;
    return op->flags & CJ_OP_ELEMENTWISE && op->ref && call->n_out == 1 && call->n_in > 0 &&
           call->n_in <= CJ__TILE_OPERANDS;
}

/* An elementwise call, or a body of what groups are made of (the fuse pass makes no others). */
bool cj__tile_supports(const cj_kernel *k)
{
    const cj_call *call = k->call;
    int function;
    if (call->op != &cj_op_fused)
        return call->op->flags & CJ_OP_ELEMENTWISE && is_candidate(call) &&
               choose(cj__isa_best(), call, &function) != REFERENCE;
    const cj_graph *body = ((const cj__fused_attrs *)call->attributes)->body;
    for (int i = 0; i < body->n_calls; i++)
        if (!is_candidate(body->calls[i])) return false;
    return body->n_calls * (CJ__TILE_OPERANDS + 1) + CJ__TILE_OUTPUTS <= CJ__TILE_VALUES &&
           body->outputs.count <= CJ__TILE_OUTPUTS && k->symbols;
}

static cj_status take_shape(builder *b, const cj_kernel *k)
{
    const cj__fused_attrs *a = k->call->attributes;
    tile *p = b->p;
    p->rank = b->body ? a->dims.n : k->out[0]->rank;
    for (int i = 0; i < p->rank; i++)
        p->dim[i] = b->body ? cj_kernel_dim(k, a->dims.v[i]) : k->out[0]->dim[i];
    int64_t all = 1; /* what lies inside a group need not fit memory, but 63 bits */
    for (int i = 0; i < p->rank; i++) {
        if (p->dim[i] < 0) return CJ_ERR_STATE;
        if (CJ__MUL_OVERFLOWS(all, p->dim[i], &all) || all > INT64_MAX / 16)
            return cj_fail(k->cj, CJ_ERR_LIMIT, "fused: a group over more elements than 2^59");
    }
    p->leading = b->body && a->leading >= 0 ? (int)a->leading : choose_leading(b);
    p->rows = p->columns = 1;
    for (int i = 0; i < p->rank; i++) *(i < p->leading ? &p->rows : &p->columns) *= p->dim[i];
    return CJ_OK;
}

static cj_status build(builder *b, const cj_kernel *k, cj__arena *arena)
{
    tile *p = b->p;
    size_t n = b->body ? (size_t)b->body->n_calls : 1, n_out = (size_t)k->call->n_out;
    b->value_of = cj__arena_array(arena, n, sizeof *b->value_of);
    p->operations = cj__arena_array(arena, n, sizeof *p->operations);
    p->sweeps = cj__arena_array(arena, n, sizeof *p->sweeps);
    p->values = cj__arena_array(arena, n * (CJ__TILE_OPERANDS + 1) + n_out, sizeof *p->values);
    p->output_value = cj__arena_array(arena, n_out, sizeof *p->output_value);
    p->late_reader = cj__arena_array(arena, n_out * (size_t)k->call->n_in + 1,
                                     sizeof *p->late_reader);
    if (!b->value_of || !p->operations || !p->sweeps || !p->values || !p->output_value ||
        !p->late_reader)
        return CJ_ERR_MEMORY;
    if (b->body) CJ__TRY(bind_symbols(b, arena));
    CJ__TRY(take_shape(b, k));
    if (b->body) return add_body(b) ? CJ_OK : CJ_ERR_STATE;
    int in[CJ__TILE_OPERANDS];
    shape whole = array_shape(k->out[0]);
    for (int i = 0; i < k->call->n_in; i++) in[i] = add_input(b, i, &whole);
    add_elementwise(b, k->call, in, false);
    p->output_value[0] = p->operations[0].out;
    return CJ_OK;
}

cj_status cj__tile_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                           size_t *workspace)
{
    const cj_call *call = k->call;
    const cj__fused_attrs *a = call->attributes;
    tile *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    builder b = {.k = k, .p = p, .body = call->op == &cj_op_fused ? a->body : NULL};
    p->isa = cj__isa_best();
    cj_status failed = build(&b, k, arena);
    if (failed == CJ_ERR_STATE)
        return cj_fail(k->cj, CJ_ERR_UNSUPPORTED, "fused: a group that has no list of operations");
    if (failed) return failed;
    CJ__TRY(cj__tile_shorten(p, call, arena));
    *prepared = p;
    return cj__tile_place(p, k, arena, workspace);
}
