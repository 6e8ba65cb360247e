/* tile.c: elementwise calls, one or a fused group, run tile by tile in cache.
 *
 * A call becomes a short list of span operations on slots. The index space is cut into tiles of
 * some hundred elements; each tile runs through the whole list, so that a value between two
 * operations stays in the first-level cache. Operands smaller than the result are broadcast as they
 * are read:
 *
 *     FULL     the same element         SCALAR   one element for all
 *     ROW      element i % period       COLUMN   element i / repeat      GENERAL  by strides
 *
 * An operation without a vector kernel for its dtypes runs its reference kernel on the tile, so
 * every elementwise call can be in a group. Blocks of tiles have a fixed size: threads never change
 * a bit. */
#include "backend/cpu/cpu.h"

#include <string.h>

enum {
    TILE = 1024,
    SCRATCH_BYTES = 96 * 1024,
    TILES_A_BLOCK = 16,
    OPERANDS_MAX = 4,
    BODY_MAX = 64
};

typedef enum pattern { FULL, SCALAR, ROW, COLUMN, GENERAL } pattern;
typedef enum kind {
    REFERENCE,
    UNARY_F32,
    UNARY_F64,
    BINARY_F32,
    BINARY_F64,
    COMPARE_F32,
    COMPARE_F64,
    LOGICAL,
    WHERE,
    CAST
} kind;

/* A value the list works on. */
typedef struct value {
    int input;  /* operand of the call it is, or -1 */
    int output; /* result of the call it is, or -1 */
    int slot;   /* scratch it is computed or spread in, or -1 */
    size_t size; /* bytes of an element */
    cj_dtype dtype;
    pattern how; /* of an input */
    int64_t period;
    int64_t stride[CJ_RANK_MAX]; /* GENERAL: of each axis of the result, in elements of the input */
    bool spread;                 /* some reader needs all elements though there is one */
} value;

typedef struct operation {
    kind kind;
    int function; /* index into the isa's table */
    int n_in, in[OPERANDS_MAX], out;
    unsigned flags;
    const cj_call *call; /* REFERENCE: attributes */
} operation;

typedef struct program {
    const cj__isa *isa;
    int n_operations, n_values;
    operation *operations;
    value *values;
    int *output_value; /* by output: its value */
    size_t slot_bytes;
    int64_t tile;
    /* late_reader[o * n_in + i]: an operation after the one that makes output o reads input i. */
    bool *late_reader;
} program;

/* ---- Preparing ------------------------------------------------------------------------------- */

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
                 {CJ_I64, CJ_F32, CJ__CAST_I64_F32},   {CJ_BOOL, CJ_F32, CJ__CAST_U8_F32}};
    for (size_t i = 0; i < CJ__COUNT(casts); i++)
        if (casts[i].from == from && casts[i].to == to) return *function = casts[i].function, true;
    return false;
}

/* Which vector kernel does a call's work? REFERENCE when there is none. */
static kind choose(const cj__isa *isa, const cj_call *call, int *function)
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

/* How an input of this shape is read for a result of that one. */
static void find_pattern(value *v, const cj_array *in, const cj_array *out)
{
    if (in->count == out->count) {
        v->how = FULL;
        return;
    }
    int shift = out->rank - in->rank, axis = out->rank - 1;
    int64_t inner = 1, repeat = 1, step = 1;
    v->how = SCALAR;
    if (in->count == 1) return;
    for (; axis >= shift && in->dim[axis - shift] == out->dim[axis]; axis--)
        inner *= out->dim[axis];
    int rest = axis;
    while (rest >= 0 && (rest < shift || in->dim[rest - shift] == 1)) rest--;
    if (rest < 0) {
        v->how = ROW;
        v->period = inner;
        return;
    }
    for (axis = out->rank - 1; axis >= shift && in->dim[axis - shift] == 1; axis--)
        repeat *= out->dim[axis];
    for (rest = axis; rest >= shift && in->dim[rest - shift] == out->dim[rest];) rest--;
    bool leading = rest < 0;
    if (leading) {
        v->how = COLUMN;
        v->period = repeat;
        return;
    }
    v->how = GENERAL;
    for (axis = out->rank - 1; axis >= 0; axis--) {
        bool real = axis >= shift && in->dim[axis - shift] != 1;
        v->stride[axis] = real ? step : 0;
        if (axis >= shift) step *= in->dim[axis - shift];
    }
}

typedef struct builder {
    const cj_kernel *k;
    program *p;
    int value_of[BODY_MAX * 4]; /* by call of the body */
} builder;

static size_t size_of(cj_dtype dtype) { return (size_t)cj_dtype_info(dtype)->bits / 8; }

static int add_value(program *p, value v)
{
    p->values[p->n_values] = v;
    return p->n_values++;
}

static int add_input(program *p, const cj_kernel *k, int i)
{
    for (int j = 0; j < p->n_values; j++)
        if (p->values[j].input == i) return j;
    value v = {.input = i,
               .output = -1,
               .slot = -1,
               .dtype = k->in[i]->dtype,
               .size = size_of(k->in[i]->dtype)};
    find_pattern(&v, k->in[i], k->out[0]);
    return add_value(p, v);
}

static void add_operation(program *p, const cj_call *call, const int *in)
{
    operation *o = &p->operations[p->n_operations++];
    o->call = call;
    o->kind = choose(p->isa, call, &o->function);
    o->n_in = call->n_in;
    for (int i = 0; i < call->n_in; i++) o->in[i] = in[i];
    o->out = add_value(p, (value){.input = -1,
                                  .output = -1,
                                  .slot = -1,
                                  .dtype = call->out[0].type.dtype,
                                  .size = size_of(call->out[0].type.dtype)});
    bool flags = o->kind == BINARY_F32 || o->kind == BINARY_F64 || o->kind == COMPARE_F32 ||
                 o->kind == COMPARE_F64 || o->kind == WHERE || (o->kind == LOGICAL && o->n_in == 2);
    for (int i = 0; i < o->n_in; i++) {
        value *v = &p->values[o->in[i]];
        if (v->input < 0 || v->how != SCALAR) continue;
        /* where takes (condition, a, b); its kernel calls them c, a, b. */
        static const unsigned where_flags[] = {CJ__SPAN_C_SCALAR, CJ__SPAN_A_SCALAR,
                                               CJ__SPAN_B_SCALAR};
        if (!flags) v->spread = true;
        else
            o->flags |= o->kind == WHERE ? where_flags[i]
                        : i              ? CJ__SPAN_B_SCALAR
                                         : CJ__SPAN_A_SCALAR;
    }
    if (o->kind != WHERE &&
        o->flags == (CJ__SPAN_A_SCALAR | CJ__SPAN_B_SCALAR)) { /* one of them must be a span */
        o->flags = CJ__SPAN_B_SCALAR;
        p->values[o->in[0]].spread = true;
    }
}

static void add_body(program *p, const cj_kernel *k, const cj_graph *body, int *value_of)
{
    for (int id = 0; id < body->n_calls; id++) {
        const cj_call *call = body->calls[id];
        if (call->op == &cj_op_input) {
            int i = 0;
            while (body->inputs.items[i].node != &call->out[0]) i++;
            value_of[id] = add_input(p, k, i);
        } else if (call->op == &cj_op_broadcast) {
            value_of[id] = value_of[call->in[0]->call->id];
        } else {
            int in[OPERANDS_MAX];
            for (int i = 0; i < call->n_in; i++) in[i] = value_of[call->in[i]->call->id];
            add_operation(p, call, in);
            value_of[id] = p->operations[p->n_operations - 1].out;
        }
    }
    for (int o = 0; o < body->outputs.count; o++)
        p->output_value[o] = value_of[body->outputs.items[o].node->call->id];
}

/* Slots by a linear scan: a value's slot is free after its last reader. Outputs and spread inputs
 * keep theirs. Slot numbers are stored; the number needed is returned. */
static int assign_slots(program *p, int n_out)
{
    int last[BODY_MAX * 6], n_slots = 0, n_free = 0, unused[BODY_MAX * 6];
    for (int v = 0; v < p->n_values; v++) last[v] = -1;
    for (int o = 0; o < p->n_operations; o++)
        for (int i = 0; i < p->operations[o].n_in; i++) last[p->operations[o].in[i]] = o;
    for (int v = 0; v < p->n_values; v++)
        if (p->values[v].input >= 0 && (p->values[v].how > SCALAR || p->values[v].spread))
            p->values[v].slot = n_slots++;
    for (int o = 0; o < n_out; o++) {
        value *v = &p->values[p->output_value[o]];
        if (v->output < 0 && v->input < 0) v->output = o;
        if (v->input < 0 && v->slot < 0) v->slot = n_slots++;
    }
    for (int o = 0; o < p->n_operations; o++) {
        value *out = &p->values[p->operations[o].out];
        if (out->slot < 0) out->slot = n_free ? unused[--n_free] : n_slots++;
        for (int i = 0; i < p->operations[o].n_in; i++) {
            int v = p->operations[o].in[i];
            bool again = false;
            for (int j = 0; j < i; j++) again = again || p->operations[o].in[j] == v;
            if (last[v] == o && !again && p->values[v].input < 0 && p->values[v].output < 0)
                unused[n_free++] = p->values[v].slot;
        }
    }
    return n_slots;
}

static void find_late_readers(program *p, const cj_kernel *k)
{
    int n_in = k->call->n_in;
    for (int out = 0; out < k->call->n_out; out++) {
        int made = 0;
        while (made < p->n_operations && p->operations[made].out != p->output_value[out]) made++;
        for (int o = made + 1; o < p->n_operations; o++)
            for (int i = 0; i < p->operations[o].n_in; i++) {
                int input = p->values[p->operations[o].in[i]].input;
                if (input >= 0) p->late_reader[out * n_in + input] = true;
            }
    }
}

/* A group of one, or a body whose calls all are elementwise (the fuse pass makes no others). */
bool cj__tile_supports(const cj_kernel *k)
{
    const cj_call *call = k->call;
    if (call->op == &cj_op_fused) {
        const cj_graph *body = ((const cj__body_attrs *)call->attributes)->body;
        int operations = 0;
        for (int i = 0; i < body->n_calls; i++) {
            const cj_op *op = body->calls[i]->op;
            if (op == &cj_op_input || op == &cj_op_broadcast) continue;
            if (!(op->flags & CJ_OP_ELEMENTWISE) || !op->ref || body->calls[i]->n_in > OPERANDS_MAX)
                return false;
            operations++;
        }
        return operations && operations <= BODY_MAX && body->n_calls <= BODY_MAX * 4;
    }
    if (!(call->op->flags & CJ_OP_ELEMENTWISE) || !call->op->ref || call->n_out != 1 ||
        call->n_in > OPERANDS_MAX)
        return false;
    int function;
    return call->n_in > 0 && choose(cj__isa_best(), call, &function) != REFERENCE;
}

cj_status cj__tile_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                           size_t *workspace_bytes)
{
    (void)workspace_bytes;
    const cj_call *call = k->call;
    const cj_graph *body = call->op == &cj_op_fused
                               ? ((const cj__body_attrs *)call->attributes)->body
                               : NULL;
    int n = body ? body->n_calls : 1;
    program *p = cj__arena_alloc(arena, sizeof *p);
    int *value_of = cj__arena_array(arena, (size_t)n, sizeof *value_of);
    if (!p || !value_of) return CJ_ERR_MEMORY;
    p->isa = cj__isa_best();
    p->operations = cj__arena_array(arena, (size_t)n, sizeof *p->operations);
    p->values = cj__arena_array(arena, (size_t)(n + call->n_in), sizeof *p->values);
    p->output_value = cj__arena_array(arena, (size_t)call->n_out, sizeof *p->output_value);
    p->late_reader = cj__arena_array(arena, (size_t)(call->n_out * call->n_in + 1),
                                     sizeof *p->late_reader);
    if (!p->operations || !p->values || !p->output_value || !p->late_reader) return CJ_ERR_MEMORY;
    if (body) {
        add_body(p, k, body, value_of);
    } else {
        int in[OPERANDS_MAX];
        for (int i = 0; i < call->n_in; i++) in[i] = add_input(p, k, i);
        add_operation(p, call, in);
        p->output_value[0] = p->operations[0].out;
    }
    int slots = assign_slots(p, call->n_out);
    find_late_readers(p, k);
    p->tile = TILE;
    while (p->tile > 64 && (size_t)slots * (size_t)p->tile * 8 > SCRATCH_BYTES) p->tile /= 2;
    if ((size_t)slots * (size_t)p->tile * 8 > SCRATCH_BYTES)
        return cj_fail(k->cj, CJ_ERR_LIMIT, "a fused group has too many values (%d)", slots);
    int64_t period = 0; /* tiles that hold whole rows need a short row spread out once only */
    for (int v = 0; v < p->n_values; v++)
        if (p->values[v].input >= 0 && p->values[v].how == ROW &&
            (!period || p->values[v].period < period))
            period = p->values[v].period;
    if (period && period <= p->tile) p->tile -= p->tile % period;
    p->slot_bytes = cj__round_up((size_t)p->tile * 8, 64);
    *prepared = p;
    return CJ_OK;
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct worker { /* one block of tiles */
    const cj_kernel *k;
    const program *p;
    unsigned char *scratch;
    bool deferred[CJ__EXPR_TERMS_MAX *
                  8]; /* by output: computed in its slot, copied at the tile's end */
    int64_t spread_period[BODY_MAX * 6]; /* by value: what its slot holds already; 0: nothing yet */
} worker;

static void repeat_bytes(unsigned char *to, const unsigned char *from, size_t size, int64_t n)
{
    if (n <= 0) return;
    memcpy(to, from, size);
    for (size_t done = size, all = size * (size_t)n; done < all;) { /* doubling */
        size_t more = done < all - done ? done : all - done;
        memcpy(to + done, to, more);
        done += more;
    }
}

/* Elements [i, i + n) of a broadcast operand, contiguous. */
static const void *spread(worker *w, const value *v, int64_t i, int64_t n)
{
    const program *p = w->p;
    const unsigned char *data = w->k->in[v->input]->data;
    unsigned char *slot = w->scratch + (size_t)v->slot * p->slot_bytes;
    int64_t *held = &w->spread_period[v - p->values];
    size_t size = v->size;
    if (v->how == SCALAR) {
        if (!*held) repeat_bytes(slot, data, size, p->tile);
        *held = 1;
        return slot;
    }
    if (v->how == ROW) {
        int64_t phase = i % v->period;
        if (phase + n <= v->period) return data + (size_t)phase * size;
        if (p->tile % v->period == 0 && phase == 0) { /* the same for every tile */
            if (!*held) repeat_bytes(slot, data, size * (size_t)v->period, p->tile / v->period);
            *held = 1;
            return slot;
        }
        for (int64_t done = 0; done < n;) {
            int64_t some = v->period - phase < n - done ? v->period - phase : n - done;
            memcpy(slot + (size_t)done * size, data + (size_t)phase * size, (size_t)some * size);
            done += some;
            phase = 0;
        }
        return slot;
    }
    if (v->how == COLUMN) {
        for (int64_t done = 0; done < n;) {
            int64_t at = (i + done) / v->period, some = (at + 1) * v->period - (i + done);
            if (some > n - done) some = n - done;
            repeat_bytes(slot + (size_t)done * size, data + (size_t)at * size, size, some);
            done += some;
        }
        return slot;
    }
    const cj_array *out = w->k->out[0];
    for (int64_t done = 0; done < n; done++) {
        int64_t rest = i + done, at = 0;
        for (int axis = out->rank - 1; axis >= 0; axis--) {
            at += rest % out->dim[axis] * v->stride[axis];
            rest /= out->dim[axis];
        }
        memcpy(slot + (size_t)done * size, data + (size_t)at * size, size);
    }
    return slot;
}

static void *address(worker *w, int number, int64_t i, int64_t n)
{
    const program *p = w->p;
    const value *v = &p->values[number];
    if (v->input >= 0) {
        if (v->how == FULL) return (unsigned char *)w->k->in[v->input]->data + (size_t)i * v->size;
        if (v->how == SCALAR && !v->spread) return w->k->in[v->input]->data;
        return (void *)(uintptr_t)spread(w, v, i, n);
    }
    if (v->output >= 0 && !w->deferred[v->output])
        return (unsigned char *)w->k->out[v->output]->data + (size_t)i * v->size;
    return w->scratch + (size_t)v->slot * p->slot_bytes;
}

static void run_reference(worker *w, const operation *o, void *const *in, void *out, int64_t n)
{
    cj_array arrays[OPERANDS_MAX + 1];
    const cj_array *ins[OPERANDS_MAX];
    for (int i = 0; i <= o->n_in; i++) {
        arrays[i] = (cj_array){.dtype = w->p->values[i < o->n_in ? o->in[i] : o->out].dtype,
                               .rank = 1,
                               .dim = {n},
                               .count = n,
                               .data = i < o->n_in ? in[i] : out};
        if (i < o->n_in) ins[i] = &arrays[i];
    }
    cj_kernel k = {.call = o->call,
                   .cj = w->k->cj,
                   .in = ins,
                   .out = (cj_array *const[]){&arrays[o->n_in]},
                   .symbols = w->k->symbols};
    (void)o->call->op->ref(&k); /* elementwise kernels do not fail */
}

static void run_operation(worker *w, const operation *o, int64_t i, int64_t n)
{
    const program *p = w->p;
    const cj__isa *isa = p->isa;
    void *in[OPERANDS_MAX] = {NULL};
    for (int j = 0; j < o->n_in; j++) in[j] = address(w, o->in[j], i, n);
    void *out = address(w, o->out, i, n);
    /* An operand already spread out is a span, whatever the pattern says. */
    unsigned flags = o->flags;
    if (o->kind == WHERE) {
        flags &= ~(p->values[o->in[0]].spread ? CJ__SPAN_C_SCALAR : 0u) &
                 ~(p->values[o->in[1]].spread ? CJ__SPAN_A_SCALAR : 0u) &
                 ~(p->values[o->in[2]].spread ? CJ__SPAN_B_SCALAR : 0u);
    } else if (flags) {
        flags &= ~(p->values[o->in[0]].spread ? CJ__SPAN_A_SCALAR : 0u);
        if (o->n_in > 1) flags &= ~(p->values[o->in[1]].spread ? CJ__SPAN_B_SCALAR : 0u);
    }
    switch (o->kind) {
    case UNARY_F32: isa->unary_f32[o->function]((size_t)n, in[0], out); break;
    case UNARY_F64: isa->unary_f64[o->function]((size_t)n, in[0], out); break;
    case BINARY_F32: isa->binary_f32[o->function]((size_t)n, in[0], in[1], out, flags); break;
    case BINARY_F64: isa->binary_f64[o->function]((size_t)n, in[0], in[1], out, flags); break;
    case COMPARE_F32: isa->compare_f32[o->function]((size_t)n, in[0], in[1], out, flags); break;
    case COMPARE_F64: isa->compare_f64[o->function]((size_t)n, in[0], in[1], out, flags); break;
    case LOGICAL:
        isa->logical[o->function]((size_t)n, in[0], o->n_in > 1 ? in[1] : in[0], out, flags);
        break;
    case WHERE:
        isa->where(p->values[o->out].size, (size_t)n, in[0], in[1], in[2], out, flags);
        break;
    case CAST: isa->cast[o->function]((size_t)n, in[0], out); break;
    case REFERENCE: run_reference(w, o, in, out, n); break;
    }
}

static void run_block(void *arg, int64_t begin, int64_t end)
{
    _Alignas(64) unsigned char scratch[SCRATCH_BYTES + 64];
    worker w = *(const worker *)arg;
    w.scratch = scratch;
    const program *p = w.p;
    for (int64_t i = begin; i < end; i += p->tile) {
        int64_t n = end - i < p->tile ? end - i : p->tile;
        for (int o = 0; o < p->n_operations; o++) run_operation(&w, &p->operations[o], i, n);
        for (int o = 0; o < w.k->call->n_out; o++) {
            const value *v = &p->values[p->output_value[o]];
            char *to = (char *)w.k->out[o]->data + (size_t)i * v->size;
            const void *from = address(&w, p->output_value[o], i, n);
            if (from != to) memcpy(to, from, (size_t)n * v->size);
        }
    }
}

cj_status cj__tile_run(const cj_kernel *k)
{
    worker w = {.k = k, .p = k->prepared};
    int64_t count = k->out[0]->count;
    if (!count) return CJ_OK;
    for (int o = 0; o < k->call->n_out; o++)
        for (int i = 0; i < k->call->n_in; i++)
            w.deferred[o] = w.deferred[o] || (k->out[o]->data == k->in[i]->data &&
                                              w.p->late_reader[o * k->call->n_in + i]);
    cj__parallel_for(k->team, count, w.p->tile * TILES_A_BLOCK, run_block, &w);
    return CJ_OK;
}
