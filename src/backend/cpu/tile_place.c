/* tile_place.c: where the values of a list of operations live, and how its work is cut.
 *
 * Operands smaller than the shape are read in place where the kernels can, else spread out in
 * slots. Slots are given by a linear scan. A tile is as large as its slots stay in a near cache;
 * blocks have a size that depends on the shapes alone: threads never change a bit. */
#include "backend/cpu/tile.h"

#include <string.h>

enum {
    TILE_BYTES = 4096, /* of one slot */
    FAR_BYTES = 1 << 21, /* arrays from here on come from memory: */
    NEAR_BYTES = 16384,  /* then all that a tile touches has this much, */
    SLOTS_BYTES = 49152, /* else what it computes, for each tile has its price */
    BLOCK_ELEMENTS = 32768,
    BLOCK_ROWS = 64,    /* at least, where columns are summed: partial sums cost 1/64 */
    ROW_IN_PLACE = 128, /* columns from which reading row by row beats spreading out */
    LANES_MIN = 64      /* columns summed side by side, at least */
};

typedef cj__tile tile;
typedef cj__tile_value value;
typedef cj__tile_operation operation;

/* May one operand of this kind of operation be one number for a whole span? */
static bool takes_scalars(const operation *o)
{
    return o->kind == BINARY_F32 || o->kind == BINARY_F64 || o->kind == COMPARE_F32 ||
           o->kind == COMPARE_F64 || o->kind == WHERE || (o->kind == LOGICAL && o->n_in == 2);
}


/* Drops operations whose results nobody needs: a group may have members that others compute again.
 */
static void drop_dead(tile *p, int n_out, int *used)
{
    int kept = p->n_operations;
    for (int v = 0; v < p->n_values; v++) used[v] = 0;
    for (int o = 0; o < n_out; o++) used[p->output_value[o]] = 1;
    for (int o = p->n_operations - 1; o >= 0; o--) {
        const operation *op = &p->operations[o];
        for (int v = 0; v < p->n_values; v++) /* what repeats it along rows */
            if (p->values[v].of == op->out && used[v]) used[op->out] = 1;
        if (!used[op->out]) continue;
        for (int k = 0; k < op->n_in; k++) used[op->in[k]] = 1;
        p->operations[--kept] = *op;
    }
    p->n_operations -= kept;
    memmove(p->operations, p->operations + kept, (size_t)p->n_operations * sizeof *p->operations);
}

/* ---- In place or spread out, and where ------------------------------------------------------- */

static void spread_operands(tile *p, operation *o)
{
    if (o->kind == IDIOM_F32) { /* spans and numbers as they lie, and what repeats along rows */
        for (int k = 0; k < o->n_in; k++) {
            value *v = &p->values[o->in[k]];
            if (v->how == ROW) v->spread = v->spread || p->columns < ROW_IN_PLACE;
        }
        return;
    }
    bool flagged = takes_scalars(o);
    int scalars = 0;
    for (int k = 0; k < o->n_in; k++) {
        value *v = &p->values[o->in[k]];
        bool contiguous = o->kind >= ROWS_F32;
        if (v->how == GENERAL) v->spread = true;
        if (v->how == SCALAR) v->spread = v->spread || !flagged;
        if (v->how == ROW) v->spread = v->spread || contiguous || p->columns < ROW_IN_PLACE;
        if (v->how == COLUMN) v->spread = v->spread || !flagged || p->columns < ROW_IN_PLACE;
        scalars += (v->how == SCALAR || v->how == COLUMN) && !v->spread;
    }
    /* One of two must be a span. */
    if (o->kind != WHERE && scalars > 1) p->values[o->in[0]].spread = true;
}

static void set_flags(const tile *p, operation *o)
{
    if (o->kind == IDIOM_F32) {
        for (int k = 0; k < o->n_in; k++)
            o->loop = o->loop || (p->values[o->in[k]].how == ROW && !p->values[o->in[k]].spread);
        return;
    }
    /* where takes (condition, a, b); its kernel calls them c, a, b. */
    static const unsigned where_flags[] = {CJ__SPAN_C_SCALAR, CJ__SPAN_A_SCALAR, CJ__SPAN_B_SCALAR};
    for (int k = 0; k < o->n_in; k++) {
        const value *v = &p->values[o->in[k]];
        if (v->spread) continue;
        if (v->how == ROW || v->how == COLUMN) o->loop = true;
        if (v->how == SCALAR || v->how == COLUMN)
            o->flags |= o->kind == WHERE ? where_flags[k]
                        : k              ? CJ__SPAN_B_SCALAR
                                         : CJ__SPAN_A_SCALAR;
    }
}

/* Slots by a linear scan: a value's slot is free after its last reader. Outputs and spread operands
 * keep theirs. Returns how many are needed. */
static int assign_slots(tile *p, int n_out, int *last, int *unused)
{
    int n_slots = 0, n_free = 0;
    for (int v = 0; v < p->n_values; v++) last[v] = -1;
    for (int o = 0; o < p->n_operations; o++)
        for (int i = 0; i < p->operations[o].n_in; i++) {
            const value *v = &p->values[p->operations[o].in[i]];
            last[p->operations[o].in[i]] = o;
            if (v->of >= 0) last[v->of] = o;
        }
    for (int o = 0; o < n_out; o++) {
        value *v = &p->values[p->output_value[o]];
        if (v->input < 0 && v->of < 0 && v->output < 0) v->output = o;
        if (v->output >= 0 && v->slot < 0) v->slot = n_slots++;
        if (v->of >= 0) last[v->of] = p->n_operations;
    }
    for (int v = 0; v < p->n_values; v++)
        if (p->values[v].spread) p->values[v].slot = n_slots++;
    for (int o = 0; o < p->n_operations; o++) {
        const operation *op = &p->operations[o];
        value *out = &p->values[op->out];
        if (op->kind != SWEEP && out->slot < 0) out->slot = n_free ? unused[--n_free] : n_slots++;
        for (int v = 0; v < p->n_values; v++)
            if (last[v] == o && p->values[v].input < 0 && p->values[v].of < 0 &&
                p->values[v].output < 0)
                unused[n_free++] = p->values[v].slot;
    }
    return n_slots;
}

static void find_late_readers(tile *p, const cj_call *call)
{
    for (int out = 0; out < call->n_out; out++) {
        int made = 0;
        while (made < p->n_operations && p->operations[made].out != p->output_value[out]) made++;
        for (int o = made + 1; o < p->n_operations; o++)
            for (int i = 0; i < p->operations[o].n_in; i++) {
                int input = p->values[p->operations[o].in[i]].input;
                if (input >= 0) p->late_reader[out * call->n_in + input] = true;
            }
    }
}

/* ---- Tiles and blocks ------------------------------------------------------------------------ */

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t pieces(int64_t n, int64_t of) { return n ? (n - 1) / of + 1 : 0; }

static void cut_tiles(tile *p, size_t largest, int slots)
{
    bool whole_rows = false;
    p->segment = p->rows;
    for (int o = 0; o < p->n_operations; o++)
        whole_rows = whole_rows || p->operations[o].rows ||
                     (p->operations[o].kind >= ROWS_F32 && p->operations[o].kind != SWEEP);
    for (int s = 0; s < p->n_sweeps; s++)
        if (!p->sweeps[s].all) p->segment = at_most(p->segment, p->sweeps[s].segment);
    int64_t elements = TILE_BYTES / (int64_t)largest, row = at_least(p->columns, 1);
    const bool far = (double)p->rows * (double)p->columns * (double)largest >= FAR_BYTES;
    const size_t most = far ? NEAR_BYTES : SLOTS_BYTES;
    int touched = slots;
    for (int v = 0; v < p->n_values; v++)
        touched += far && p->values[v].input >= 0 && p->values[v].how == DIRECT;
    while (elements > 256 && (size_t)elements * largest * (size_t)touched > most) elements /= 2;
    if (whole_rows || p->columns <= elements) {
        p->tile_columns = p->columns;
        p->tile_rows = at_most(at_least(elements / row, 1), p->segment);
    } else {
        p->tile_columns = elements;
        p->tile_rows = 1;
    }
}

static void cut_blocks(tile *p)
{
    bool columns = false;
    for (int s = 0; s < p->n_sweeps; s++) columns = columns || !p->sweeps[s].all;
    p->block_columns = p->columns;
    if (p->tile_columns < p->columns)
        p->block_columns = columns ? p->tile_columns : p->tile_columns * 16;
    p->block_columns = at_most(p->block_columns, p->columns);
    int64_t row = at_least(p->block_columns, 1); /* rows of nothing have sums, too */
    p->block_rows = at_least(BLOCK_ELEMENTS / row, columns ? BLOCK_ROWS : 1);
    if (p->block_rows > p->tile_rows) p->block_rows -= p->block_rows % p->tile_rows;
    if (p->segment == p->rows) {
        p->parts = pieces(p->rows, p->block_rows);
    } else if (p->block_rows >= p->segment) {
        p->block_rows -= p->block_rows % p->segment;
        p->parts = 0;
    } else {
        p->parts = pieces(p->segment, p->block_rows);
    }
    p->blocks_down = p->parts ? p->parts * (p->rows / p->segment) : pieces(p->rows, p->block_rows);
    p->blocks_across = pieces(at_least(p->columns, 1), row);
    p->copies = at_most(at_least(LANES_MIN / row, 1), p->tile_rows);
}

static cj_status lay_out(tile *p, int slots, size_t largest, size_t *workspace)
{
    size_t elements, lanes, bytes;
    *workspace = 0;
    if (!cj__size_mul((size_t)p->tile_rows, (size_t)at_least(p->tile_columns, 1), &elements) ||
        !cj__size_mul(elements, largest, &bytes))
        return CJ_ERR_LIMIT;
    p->slot_bytes = cj__round_up(bytes, 64);
    if (!cj__size_mul(p->slot_bytes, (size_t)slots, &p->scratch_bytes)) return CJ_ERR_LIMIT;
    p->cells = p->scratch_bytes;
    p->scratch_bytes += cj__round_up((size_t)p->n_values * sizeof(cj__tile_cell), 64);
    lanes = cj__round_up((size_t)(p->tile_columns * p->copies) * sizeof(double), 64);
    for (int i = 0; i < p->n_sweeps; i++) {
        cj__tile_sweep *s = &p->sweeps[i];
        size_t width = s->all ? (size_t)p->blocks_across : (size_t)p->columns;
        s->lanes = p->scratch_bytes;
        if (!s->all) p->scratch_bytes += lanes;
        s->partial = *workspace;
        if (!cj__size_mul((size_t)p->blocks_down * sizeof(double), width, &bytes) ||
            !cj__size_add(*workspace, cj__round_up(bytes, 64), workspace))
            return CJ_ERR_LIMIT;
    }
    p->workers = p->blocks_down * p->blocks_across;
    p->scratch = SIZE_MAX;
    if (p->scratch_bytes <= CJ__TILE_SCRATCH) return CJ_OK;
    p->workers = at_most(p->workers, CJ__TILE_WORKERS);
    p->scratch = *workspace;
    if (!cj__size_mul(p->scratch_bytes, (size_t)p->workers, &bytes) ||
        !cj__size_add(*workspace, bytes, workspace))
        return CJ_ERR_LIMIT;
    return CJ_OK;
}

/* ---- All of it ------------------------------------------------------------------------------- */

cj_status cj__tile_place(cj__tile *p, const cj_kernel *k, cj__arena *arena, size_t *workspace)
{
    const cj_call *call = k->call;
    int *last = cj__arena_array(arena, 2 * (size_t)p->n_values + 1, sizeof *last);
    if (!last) return CJ_ERR_MEMORY;
    drop_dead(p, call->n_out, last);
    for (int o = 0; o < call->n_out; o++) { /* operands that are results */
        value *v = &p->values[p->output_value[o]];
        v->spread = v->how != DIRECT;
    }
    for (int o = 0; o < p->n_operations; o++) spread_operands(p, &p->operations[o]);
    for (int o = 0; o < p->n_operations; o++) set_flags(p, &p->operations[o]);
    int slots = assign_slots(p, call->n_out, last, last + p->n_values);
    find_late_readers(p, call);
    size_t largest = 1;
    for (int v = 0; v < p->n_values; v++)
        if (p->values[v].slot >= 0 && p->values[v].size > largest) largest = p->values[v].size;
    if (!p->rows) return CJ_OK;
    cut_tiles(p, largest, slots);
    cut_blocks(p);
    if (lay_out(p, slots, largest, workspace))
        return cj_fail(k->cj, CJ_ERR_LIMIT, "fused: a tile of %lld elements is too large",
                       (long long)(p->tile_rows * p->tile_columns));
    return CJ_OK;
}
