/* tile_idioms.c: operations of a list that have a kernel together.
 *
 * Every operation of a list reads its tile from the nearest cache and writes it there. That takes
 * longer than its arithmetic, so what optimizers and networks often compute is done in one sweep:
 * a row of the table below each, found by its form alone. What is left without a reader is dropped
 * later (tile_place.c). */
#include "backend/cpu/tile.h"

typedef cj__tile tile;
typedef cj__tile_value value;
typedef cj__tile_operation operation;

/* In prefix form: + - * / q (square) r (square root) l (relu) ? (where) > are operations on floats;
 * a to e stand for whole spans, A to E also for what repeats along rows (and in a form that is one
 * operation to the machine, for any shape), s t for numbers, 0 for zero. Operands of the kernel are
 * in the order of these letters. Longer forms come first. */
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
                   {'l', UNARY_F32, CJ__UNARY_RELU},
                   {'>', COMPARE_F32, CJ__COMPARE_GT}};
    if (letter == '?') return o->kind == WHERE;
    for (size_t i = 0; i < CJ__COUNT(letters); i++)
        if (letters[i].letter == letter)
            return o->kind == letters[i].kind && o->function == letters[i].function;
    return false;
}

/* Does a value have the form that begins at *form, which is moved past it? */
static bool matches(matcher *m, int v, const char **form)
{
    const value *x = &m->p->values[v];
    const char letter = *(*form)++;
    if (letter == '0') return is_zero(m, v);
    const bool span = x->how == DIRECT && !x->rows, f32 = x->dtype == CJ_F32;
    if (letter >= 'A' && letter <= 'E')
        return m->in[letter - 'A'] = v,
               f32 && (span || (x->how == ROW && !x->rows) || m->now->kind != IDIOM_F32);
    if (letter >= 'a' && letter <= 'e') return m->in[letter - 'a'] = v, f32 && span;
    if (letter == 's' || letter == 't')
        return m->in[m->now->spans + letter - 's'] = v, f32 && x->how == SCALAR;
    if (m->maker[v] < 0) return false;
    const operation *o = &m->p->operations[m->maker[v]];
    if (o->rows || !is_operation(o, letter)) return false;
    if (m->readers[v] > 1 && letter != '>') return false; /* it would be computed twice */
    const char *begin = *form;
    bool all = true;
    for (int k = 0; k < o->n_in && all; k++) all = matches(m, o->in[k], form);
    if (all || (letter != '+' && letter != '*')) return all;
    *form = begin;
    return matches(m, o->in[1], form) && matches(m, o->in[0], form);
}

static void shorten(matcher *m, operation *o)
{
    for (size_t i = 0; i < CJ__COUNT(idioms); i++) {
        const char *form = idioms[i].form;
        m->now = &idioms[i];
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
