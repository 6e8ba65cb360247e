/* tile_idioms.c: operations of a list that have a kernel together.
 *
 * Every operation of a list reads its tile from the nearest cache and writes it there. That takes
 * longer than its arithmetic, so what optimizers and networks often compute is done in one sweep:
 * a row of the table below each, found by its form alone. What is left without a reader is dropped
 * later (tile_place.c). */
#include "backend/cpu/tile.h"

#include <string.h>

typedef cj__tile tile;
typedef cj__tile_value value;
typedef cj__tile_operation operation;

/* In prefix form: + - * / q (square) r (square root) l (relu) f (erf) x (exp) ? (where) > are
 * operations on floats; a to e stand for whole spans, A to E also for what repeats along rows (and
 * in a form that is one operation to the machine, for any shape), s t u for numbers, 0 for zero. A
 * letter stands for one operand wherever it is. Operands of the kernel are in the order of these
 * letters. Longer forms come first. */
typedef struct idiom {
    const char *form;
    cj__tile_kind kind;
    int function, spans, numbers;
} idiom;
#define ROW_IDIOM(NAME, name, form, spans, numbers, expression) \
    {form, IDIOM_F32, CJ__IDIOM_##NAME, spans, numbers},
static const idiom idioms[] = {CJ__IDIOM_LIST(ROW_IDIOM) /* and the gradient of relu: */
                               {"?>B0A0", BINARY_F32, CJ__BINARY_RELU_GRAD, 2, 0}};
#undef ROW_IDIOM

typedef struct matcher {
    const tile *p;
    const cj_call *call;
    const int *maker, *readers; /* by value: the operation that computes it, or -1; how many */
    int in[CJ__TILE_OPERANDS];
    const idiom *now;
} matcher;

static bool is_zero(const matcher *m, int v)
{
    double number;
    int input = m->p->values[v].input;
    return input >= 0 && cj__is_constant(m->call->in[input], &number) && number == 0;
}

static bool is_operation(const operation *o, char letter)
{
    static const struct {
        char letter;
        cj__tile_kind kind;
        int function;
    } letters[] = {{'+', BINARY_F32, CJ__BINARY_ADD},  {'-', BINARY_F32, CJ__BINARY_SUB},
                   {'*', BINARY_F32, CJ__BINARY_MUL},  {'/', BINARY_F32, CJ__BINARY_DIV},
                   {'q', UNARY_F32, CJ__UNARY_SQUARE}, {'r', UNARY_F32, CJ__UNARY_SQRT},
                   {'l', UNARY_F32, CJ__UNARY_RELU},   {'f', UNARY_F32, CJ__UNARY_ERF},
                   {'x', UNARY_F32, CJ__UNARY_EXP},
                   {'>', COMPARE_F32, CJ__COMPARE_GT}};
    if (letter == '?') return o->kind == WHERE;
    for (size_t i = 0; i < CJ__COUNT(letters); i++)
        if (letters[i].letter == letter)
            return o->kind == letters[i].kind && o->function == letters[i].function;
    return false;
}

/* Is v the operand of the kernel that the letter stands for? */
static bool is_operand(matcher *m, int number, int v)
{
    if (m->in[number] < 0) m->in[number] = v;
    return m->in[number] == v;
}

/* Does a value have the form that begins at *form, which is moved past it? */
static bool matches(matcher *m, int v, const char **form)
{
    const value *x = &m->p->values[v];
    const char letter = *(*form)++;
    if (letter == '0') return is_zero(m, v);
    const bool span = x->how == DIRECT && !x->rows, f32 = x->dtype == CJ_F32;
    if (letter >= 'A' && letter <= 'E')
        return f32 && (span || (x->how == ROW && !x->rows) || m->now->kind != IDIOM_F32) &&
               is_operand(m, letter - 'A', v);
    if (letter >= 'a' && letter <= 'e') return f32 && span && is_operand(m, letter - 'a', v);
    if (letter >= 's' && letter <= 'u')
        return f32 && x->how == SCALAR && is_operand(m, m->now->spans + letter - 's', v);
    if (m->maker[v] < 0) return false;
    const operation *o = &m->p->operations[m->maker[v]];
    if (o->rows || !is_operation(o, letter)) return false;
    if (m->readers[v] > 1 && letter != '>') return false; /* it would be computed twice */
    const char *begin = *form;
    int before[CJ__TILE_OPERANDS];
    memcpy(before, m->in, sizeof before);
    bool all = true;
    for (int k = 0; k < o->n_in && all; k++) all = matches(m, o->in[k], form);
    if (all || (letter != '+' && letter != '*')) return all;
    *form = begin;
    memcpy(m->in, before, sizeof before);
    return matches(m, o->in[1], form) && matches(m, o->in[0], form);
}

static void shorten(matcher *m, operation *o)
{
    for (size_t i = 0; i < CJ__COUNT(idioms); i++) {
        const char *form = idioms[i].form;
        m->now = &idioms[i];
        for (int k = 0; k < CJ__TILE_OPERANDS; k++) m->in[k] = -1;
        if (!matches(m, o->out, &form)) continue;
        o->kind = idioms[i].kind;
        o->function = idioms[i].function;
        o->n_in = idioms[i].spans + idioms[i].numbers;
        for (int k = 0; k < o->n_in; k++) o->in[k] = m->in[k];
        return;
    }
}

cj_status cj__tile_shorten(cj__tile *p, const cj_call *call, cj__arena *arena)
{
    int *maker = cj__arena_array(arena, 2 * (size_t)p->n_values + 1, sizeof *maker),
        *readers = maker + p->n_values;
    if (!maker) return CJ_ERR_MEMORY;
    for (int v = 0; v < p->n_values; v++) maker[v] = -1, readers[v] = 0;
    for (int v = 0; v < p->n_values; v++)
        if (p->values[v].of >= 0) readers[p->values[v].of]++;
    for (int o = 0; o < p->n_operations; o++) {
        maker[p->operations[o].out] = o;
        for (int k = 0; k < p->operations[o].n_in; k++) readers[p->operations[o].in[k]]++;
    }
    for (int o = 0; o < call->n_out; o++) readers[p->output_value[o]]++;
    matcher m = {.p = p, .call = call, .maker = maker, .readers = readers};
    for (int o = p->n_operations - 1; o >= 0; o--) {
        readers[p->operations[o].out] = 1; /* the form's root may have any number */
        shorten(&m, &p->operations[o]);
    }
    return CJ_OK;
}
