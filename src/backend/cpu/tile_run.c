/* tile_run.c: runs the list of tile_build.c, tile by tile.
 *
 * A tile runs through the whole list, so that a value between two operations stays in a near cache.
 * A block is some tiles; columns of a block are summed in two steps,
 *
 *     lanes    in float, over rows of few tiles (SUM_ROWS)
 *     partial  in double, over the block
 *
 * and the partial sums of blocks by a tree, at the end. Few columns are summed as several rows side
 * by side (`copies`), so that vectors are full. Blocks do not depend on the threads, so the bits do
 * not either. */
#include "backend/cpu/tile.h"

#include <math.h>
#include <string.h>

enum { SUM_ROWS = 128 };

typedef cj__tile tile;
typedef cj__tile_value value;
typedef cj__tile_operation operation;
typedef cj__tile_sweep sweep;

typedef struct worker { /* one block of tiles */
    const cj_kernel *k;
    const tile *p;
    unsigned char *scratch;
    int64_t block, across;      /* its numbers */
    int64_t row, column;        /* where the tile begins */
    int64_t rows, columns;      /* how large it is */
    int64_t serial;             /* of the tile */
    int64_t pending;            /* rows in the lanes */
    bool deferred[CJ__TILE_OUTPUTS]; /* by output: computed in its slot, copied at the tile's end */
    const bool *stream;              /* by output: it is larger than a cache */
    cj__tile_cell *cells;            /* by value */
} worker;

static int64_t count_of(const worker *w, const value *v)
{
    return v->rows ? w->rows : w->rows * w->columns;
}

static int64_t place_of(const worker *w, const value *v)
{
    return v->rows ? w->row : w->row * w->p->columns + w->column;
}

/* ---- Operands -------------------------------------------------------------------------------- */

static void repeat_bytes(unsigned char *to, const unsigned char *from, size_t size, int64_t n)
{
    if (n <= 0) return;
    if (size == 4) {
        uint32_t one, *words = (uint32_t *)(void *)to;
        memcpy(&one, from, 4);
        for (int64_t i = 0; i < n; i++) words[i] = one;
        return;
    }
    memcpy(to, from, size);
    for (size_t done = size, all = size * (size_t)n; done < all;) { /* doubling */
        size_t more = done < all - done ? done : all - done;
        memcpy(to + done, to, more);
        done += more;
    }
}

static unsigned char *address(worker *w, int number);

/* Row r of the tile of an operand that is read in place. */
static unsigned char *row_address(const worker *w, const value *v, unsigned char *base, int64_t r)
{
    const tile *p = w->p;
    if (v->how == SCALAR && !v->spread) return base;
    if (v->spread || v->how == DIRECT) return base + (size_t)(r * w->columns) * v->size;
    if (v->of >= 0) return base + (size_t)r * v->size;
    int64_t at = v->m == 1 ? 0 : v->q == 1 && v->m == p->rows ? w->row + r
                                                               : (w->row + r) / v->q % v->m;
    if (v->how == ROW) at = at * p->columns + w->column;
    return base + (size_t)at * v->size;
}

/* The bytes from one of these rows to the next; false where that changes. */
static bool row_step(const worker *w, const value *v, size_t *step)
{
    const tile *p = w->p;
    *step = v->how == COLUMN ? v->size : (size_t)p->columns * v->size;
    if (v->spread || v->how == DIRECT) *step = (size_t)w->columns * v->size;
    else if (v->how == SCALAR || (v->of < 0 && v->m == 1)) *step = 0;
    else return v->of >= 0 || (v->q == 1 && v->m == p->rows);
    return true;
}

static void spread_by_strides(const worker *w, const value *v, const unsigned char *data,
                              unsigned char *slot)
{
    const tile *p = w->p;
    int64_t n = count_of(w, v), i = place_of(w, v);
    int last = (v->rows ? p->leading : p->rank) - 1;
    for (int64_t done = 0; done < n; done++) {
        int64_t rest = i + done, at = 0;
        for (int axis = last; axis >= 0; axis--) {
            at += rest % p->dim[axis] * v->stride[axis];
            rest /= p->dim[axis];
        }
        memcpy(slot + (size_t)done * v->size, data + (size_t)at * v->size, v->size);
    }
}

/* All elements of a smaller operand for the tile, side by side. */
static unsigned char *spread(worker *w, int number)
{
    const tile *p = w->p;
    const value *v = &p->values[number];
    unsigned char *slot = w->scratch + (size_t)v->slot * p->slot_bytes;
    int64_t *held = &w->cells[number].held;
    if (*held == -1 || *held == w->serial) return slot;
    unsigned char *data = v->of >= 0 ? address(w, v->of) : w->k->in[v->input]->data;
    size_t size = v->size, line = size * (size_t)w->columns;
    *held = w->serial;
    switch (v->how) {
    case SCALAR:
        repeat_bytes(slot, data, size, p->tile_rows * (p->tile_columns ? p->tile_columns : 1));
        *held = -1;
        break;
    case ROW:
        if (v->m == 1 && p->tile_columns == p->columns) { /* the same for every tile */
            repeat_bytes(slot, data, line, p->tile_rows);
            *held = -1;
            break;
        }
        if (v->q == 1 && w->row % v->m + w->rows <= v->m) {
            *held = 0;
            return data + (size_t)(w->row % v->m * p->columns + w->column) * size;
        }
        v = &(value){.size = size, .how = ROW, .of = -1, .q = v->q, .m = v->m};
        for (int64_t r = 0; r < w->rows; r++)
            memcpy(slot + (size_t)r * line, row_address(w, v, data, r), line);
        break;
    case COLUMN:
        v = &(value){.size = size, .how = COLUMN, .of = v->of, .q = v->q, .m = v->m};
        for (int64_t r = 0; r < w->rows; r++)
            repeat_bytes(slot + (size_t)r * line, row_address(w, v, data, r), size, w->columns);
        break;
    default: spread_by_strides(w, v, data, slot); break;
    }
    return slot;
}

/* Where a value of the tile begins; of one that is read in place, its operand. */
static unsigned char *address(worker *w, int number)
{
    return w->p->values[number].spread ? spread(w, number) : w->cells[number].at;
}

static void find_values(worker *w)
{
    const tile *p = w->p;
    for (int i = 0; i < p->n_values; i++) {
        const value *v = &p->values[i];
        cj__tile_cell *cell = &w->cells[i];
        if (v->spread) continue;
        if (v->of >= 0) {
            cell->at = address(w, v->of);
            continue;
        }
        size_t at = (size_t)place_of(w, v) * v->size;
        if (v->input >= 0) {
            cell->at = w->k->in[v->input]->data;
            if (v->how == DIRECT) cell->at += at;
        } else if (v->output >= 0 && !w->deferred[v->output]) {
            cell->at = (unsigned char *)w->k->out[v->output]->data + at;
        } else {
            cell->at = w->scratch + (size_t)v->slot * p->slot_bytes;
        }
    }
}

/* ---- Operations ------------------------------------------------------------------------------ */

/* An op's own kernel on some elements, or (of rows) on an array of the original rank. */
static void run_reference(worker *w, const operation *o, void *const *in, void *out, int64_t n)
{
    const tile *p = w->p;
    cj_array arrays[CJ__TILE_OPERANDS + 1];
    const cj_array *ins[CJ__TILE_OPERANDS];
    for (int i = 0; i <= o->n_in; i++) {
        const value *v = &p->values[i < o->n_in ? o->in[i] : o->out];
        cj_array *a = &arrays[i];
        *a = (cj_array){.dtype = v->dtype,
                        .rank = 1,
                        .dim = {n},
                        .count = n,
                        .data = i < o->n_in ? in[i] : out};
        if (o->kind == ROWS_REFERENCE) {
            const cj_node *node = i < o->n_in ? o->call->in[i] : &o->call->out[0];
            a->rank = node->type.rank;
            for (int axis = 0; axis < a->rank; axis++) a->dim[axis] = 1;
            if (a->rank && p->leading) a->dim[0] = w->rows;
            if (!v->rows) a->dim[p->rank - 1] = w->columns;
            if (!v->rows && p->rank == 1 && p->leading) a->dim[0] = w->rows * w->columns;
            a->count = count_of(w, v);
        }
        if (i < o->n_in) ins[i] = a;
    }
    cj_kernel k = {.call = o->call,
                   .cj = w->k->cj,
                   .in = ins,
                   .out = (cj_array *const[]){&arrays[o->n_in]},
                   .symbols = w->k->symbols};
    (void)o->call->op->ref(&k); /* elementwise kernels and reductions do not fail */
}

static void run_span(worker *w, const operation *o, void *const *in, void *out, int64_t count)
{
    const tile *p = w->p;
    const cj__isa *isa = p->isa;
    const size_t n = (size_t)count;
    switch (o->kind) {
    case UNARY_F32: isa->unary_f32[o->function](n, in[0], out); break;
    case UNARY_F64: isa->unary_f64[o->function](n, in[0], out); break;
    case BINARY_F32: isa->binary_f32[o->function](n, in[0], in[1], out, o->flags); break;
    case BINARY_F64: isa->binary_f64[o->function](n, in[0], in[1], out, o->flags); break;
    case COMPARE_F32: isa->compare_f32[o->function](n, in[0], in[1], out, o->flags); break;
    case COMPARE_F64: isa->compare_f64[o->function](n, in[0], in[1], out, o->flags); break;
    case LOGICAL:
        isa->logical[o->function](n, in[0], o->n_in > 1 ? in[1] : in[0], out, o->flags);
        break;
    case WHERE: isa->where(p->values[o->out].size, n, in[0], in[1], in[2], out, o->flags); break;
    case CAST: isa->cast[o->function](n, in[0], out); break;
    case IDIOM_F32: isa->idiom_f32[o->function](n, in, out); break;
    default: run_reference(w, o, in, out, count); break;
    }
}

/* Every row of the tile to a number, or to a row. */
static void run_rows(worker *w, const operation *o, const void *in, void *out)
{
    const cj__isa *isa = w->p->isa;
    const size_t n = (size_t)w->columns;
    const float *x = in;
    const double *d = in;
    float *y = out;
    for (int64_t r = 0; r < w->rows; r++, x += n, d += n) {
        switch (o->kind) {
        case ROWS_F32: y[r] = isa->reduce_f32[o->function](n, x); break;
        case ROWS_F64: ((double *)out)[r] = isa->reduce_f64[o->function](n, d); break;
        case LOGSUMEXP_F32: y[r] = isa->logsumexp_f32(n, x); break;
        case SOFTMAX_F32: isa->softmax_f32(n, x, y + (size_t)r * n); break;
        default: isa->log_softmax_f32(n, x, y + (size_t)r * n); break;
        }
    }
}

/* 1 where the column is the number of the row, else 0. */
static void run_one_hot(worker *w, const operation *o, const void *in, unsigned char *out)
{
    const value *from = &w->p->values[o->in[0]], *to = &w->p->values[o->out];
    memset(out, 0, (size_t)(w->rows * w->columns) * to->size); /* zero in every dtype */
    for (int64_t r = 0; r < w->rows; r++) {
        int64_t at = cj_load_i64(from->dtype, in, (size_t)r) - w->column;
        if (at >= 0 && at < w->columns)
            cj_store_i64(to->dtype, out, (size_t)(r * w->columns + at), 1);
    }
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

static double neutral(const sweep *s)
{
    return s->how == CJ__REDUCE_MAX ? -INFINITY : s->how == CJ__REDUCE_MIN ? INFINITY : 0;
}

static double combine(const sweep *s, double a, double b)
{
    if (s->how == CJ__REDUCE_MAX) return a > b || a != a ? a : b;
    if (s->how == CJ__REDUCE_MIN) return a < b || a != a ? a : b;
    return a + b;
}

static double *partial_of(const worker *w, const sweep *s)
{
    const tile *p = w->p;
    double *all = (double *)(void *)((char *)w->k->workspace + s->partial);
    return all + (s->all ? w->block * p->blocks_across + w->across : w->block * p->columns);
}

static void clear_lanes(worker *w, const sweep *s)
{
    void *lanes = w->scratch + s->lanes;
    const double none = neutral(s);
    for (int64_t j = 0; j < w->p->tile_columns * w->p->copies; j++) {
        if (s->dtype == CJ_F32) ((float *)lanes)[j] = (float)none;
        else ((double *)lanes)[j] = none;
    }
}

/* The same as isa->columns_f32 for other floats, from element `at` on. */
static void add_wide(const sweep *s, size_t rows, size_t cols, const void *a, size_t at,
                     double *acc)
{
    for (size_t r = 0; r < rows; r++, at += cols) {
        if (s->dtype == CJ_F64)
            for (size_t j = 0; j < cols; j++)
                acc[j] = combine(s, acc[j], ((const double *)a)[at + j]);
        else
            for (size_t j = 0; j < cols; j++)
                acc[j] = combine(s, acc[j], cj_load_f64(s->dtype, a, at + j));
    }
}

static void add_columns(worker *w, const sweep *s, const void *in)
{
    const tile *p = w->p;
    const int how = s->how == CJ__REDUCE_MEAN ? CJ__REDUCE_SUM : (int)s->how;
    const size_t cols = (size_t)w->columns, copies = (size_t)p->copies, rows = (size_t)w->rows;
    const size_t groups = rows / copies, rest = rows % copies, done = groups * copies * cols;
    void *lanes = w->scratch + s->lanes;
    if (s->dtype == CJ_F32) {
        p->isa->columns_f32[how](groups, cols * copies, in, lanes);
        p->isa->columns_f32[how](rest ? 1 : 0, cols * rest, (const float *)in + done, lanes);
    } else {
        add_wide(s, groups, cols * copies, in, 0, lanes);
        add_wide(s, rest ? 1 : 0, cols * rest, in, done, lanes);
    }
}

static void add_all(worker *w, const sweep *s, const void *in)
{
    const int how = s->how == CJ__REDUCE_MEAN ? CJ__REDUCE_SUM : (int)s->how;
    const size_t n = (size_t)(w->rows * w->columns);
    double *to = partial_of(w, s);
    if (s->dtype == CJ_F32) *to = combine(s, *to, (double)w->p->isa->reduce_f32[how](n, in));
    else if (s->dtype == CJ_F64) *to = combine(s, *to, w->p->isa->reduce_f64[how](n, in));
    else
        for (size_t i = 0; i < n; i++) *to = combine(s, *to, cj_load_f64(s->dtype, in, i));
}

/* Lanes into the block's partial sums. */
static void flush(worker *w)
{
    const tile *p = w->p;
    for (int i = 0; i < p->n_sweeps; i++) {
        const sweep *s = &p->sweeps[i];
        if (s->all) continue;
        double *to = partial_of(w, s) + w->column;
        const void *lanes = w->scratch + s->lanes;
        const bool f32 = s->dtype == CJ_F32, adds = s->how <= CJ__REDUCE_MEAN;
        for (int64_t c = 0, at = 0; c < p->copies; c++, at += w->columns) {
            const float *narrow = (const float *)lanes + at;
            const double *wide = (const double *)lanes + at;
            if (adds && f32)
                for (int64_t j = 0; j < w->columns; j++) to[j] += (double)narrow[j];
            else
                for (int64_t j = 0; j < w->columns; j++)
                    to[j] = combine(s, to[j], f32 ? (double)narrow[j] : wide[j]);
        }
        clear_lanes(w, s);
    }
    w->pending = 0;
}

/* n sums are results, from element `at` on. */
static void store(const cj_kernel *k, const sweep *s, const double *sums, int64_t at, int64_t n)
{
    const tile *p = k->prepared;
    for (int o = 0; o < k->call->n_out; o++) {
        if (p->output_value[o] != s->value) continue;
        for (int64_t j = 0; j < n; j++) {
            double y = s->how == CJ__REDUCE_MEAN ? sums[j] / s->count : sums[j];
            cj_store_f64(s->dtype, k->out[o]->data, (size_t)(at + j), y + 0.0);
        }
    }
}

/* The row before this one was the last of a segment, whose blocks this one holds whole. */
static void end_segment(worker *w, int64_t segment)
{
    const tile *p = w->p;
    flush(w);
    for (int i = 0; i < p->n_sweeps; i++) {
        const sweep *s = &p->sweeps[i];
        if (s->all || s->segment != p->segment) continue;
        double *sums = partial_of(w, s) + w->column;
        store(w->k, s, sums, segment * p->columns + w->column, w->columns);
        for (int64_t j = 0; j < w->columns; j++) sums[j] = neutral(s);
    }
}

typedef struct combining {
    const cj_kernel *k;
    const sweep *s;
} combining;

/* The partial sums of blocks in a tree, for columns [begin, end) of all segments. */
static void combine_columns(void *arg, int64_t begin, int64_t end)
{
    const combining *c = arg;
    const tile *p = c->k->prepared;
    const sweep *s = c->s;
    int64_t width = s->all ? p->blocks_across : p->columns;
    int64_t blocks = s->all || s->segment == p->rows ? p->blocks_down : p->parts;
    double *partial = (double *)(void *)((char *)c->k->workspace + s->partial);
    for (int64_t at = 0; at < p->blocks_down; at += blocks, partial += blocks * width) {
        for (int64_t step = 1; step < blocks; step *= 2)
            for (int64_t b = 0; b + step < blocks; b += 2 * step) {
                double *to = partial + b * width, *from = to + step * width;
                if (s->how == CJ__REDUCE_SUM || s->how == CJ__REDUCE_MEAN)
                    for (int64_t j = begin; j < end; j++) to[j] += from[j];
                else
                    for (int64_t j = begin; j < end; j++) to[j] = combine(s, to[j], from[j]);
            }
        if (!s->all) store(c->k, s, partial + begin, at / blocks * width + begin, end - begin);
    }
}

static void finish_sweeps(const cj_kernel *k)
{
    enum { COLUMNS = 512 };
    const tile *p = k->prepared;
    for (int i = 0; i < p->n_sweeps; i++) {
        const sweep *s = &p->sweeps[i];
        combining c = {k, s};
        double *partial = (double *)(void *)((char *)k->workspace + s->partial);
        if (s->all) {
            combine_columns(&c, 0, p->blocks_across);
            for (int64_t j = 1; j < p->blocks_across; j++)
                partial[0] = combine(s, partial[0], partial[j]);
            store(k, s, partial, 0, 1);
        } else if (s->segment == p->rows || p->parts) {
            cj__parallel_for(k->team, p->columns, COLUMNS, combine_columns, &c);
        }
    }
}

/* ---- Tiles ----------------------------------------------------------------------------------- */

/* Row by row, for operands that are read in place. */
static void run_lines(worker *w, const operation *o, void *const *in, unsigned char *out)
{
    const tile *p = w->p;
    const size_t line = (size_t)w->columns * p->values[o->out].size;
    size_t step[CJ__TILE_OPERANDS];
    void *at[CJ__TILE_OPERANDS] = {NULL};
    bool even[CJ__TILE_OPERANDS];
    for (int j = 0; j < o->n_in; j++) {
        const value *v = &p->values[o->in[j]];
        even[j] = row_step(w, v, &step[j]);
        at[j] = row_address(w, v, in[j], 0);
    }
    for (int64_t r = 0; r < w->rows; r++, out += line) {
        run_span(w, o, at, out, w->columns);
        for (int j = 0; j < o->n_in; j++) {
            if (even[j]) at[j] = (unsigned char *)at[j] + step[j];
            else if (r + 1 < w->rows) at[j] = row_address(w, &p->values[o->in[j]], in[j], r + 1);
        }
    }
}

static void run_operation(worker *w, const operation *o)
{
    const tile *p = w->p;
    void *in[CJ__TILE_OPERANDS] = {NULL};
    for (int j = 0; j < o->n_in; j++) in[j] = address(w, o->in[j]);
    if (o->kind == SWEEP) {
        const sweep *s = &p->sweeps[o->function];
        if (s->all) add_all(w, s, in[0]);
        else add_columns(w, s, in[0]);
        return;
    }
    unsigned char *out = address(w, o->out);
    if (o->kind == ONE_HOT) {
        run_one_hot(w, o, in[0], out);
    } else if (o->kind > ROWS_REFERENCE || o->kind == ROWS_F32 || o->kind == ROWS_F64) {
        run_rows(w, o, in[0], out);
    } else if (!o->loop) {
        run_span(w, o, in, out, o->rows ? w->rows : w->rows * w->columns);
    } else {
        run_lines(w, o, in, out);
    }
}

static void run_tile(worker *w)
{
    const tile *p = w->p;
    w->serial++;
    find_values(w);
    for (int o = 0; o < p->n_operations; o++) run_operation(w, &p->operations[o]);
    for (int o = 0; o < w->k->call->n_out; o++) {
        const value *v = &p->values[p->output_value[o]];
        if (v->output == o && !w->deferred[o]) continue;
        bool swept = false;
        for (int i = 0; i < p->n_sweeps; i++)
            swept = swept || p->sweeps[i].value == p->output_value[o];
        if (swept) continue;
        char *to = (char *)w->k->out[o]->data + (size_t)place_of(w, v) * v->size;
        const void *from = address(w, p->output_value[o]);
        size_t bytes = (size_t)count_of(w, v) * v->size;
        if (from == to) continue;
        if (w->stream[o]) p->isa->stream(bytes, from, to);
        else memcpy(to, from, bytes);
    }
}

/* A column of tiles: rows [begin, end) of some columns. */
static void run_strip(worker *w, int64_t begin, int64_t end)
{
    const tile *p = w->p;
    for (int i = 0; i < p->n_sweeps; i++) {
        const sweep *s = &p->sweeps[i];
        if (s->all) continue;
        double *to = partial_of(w, s) + w->column;
        for (int64_t j = 0; j < w->columns; j++) to[j] = neutral(s);
        clear_lanes(w, s);
    }
    w->pending = 0;
    for (w->row = begin; w->row < end;) {
        int64_t border = (w->row / p->segment + 1) * p->segment;
        if (border > end) border = end;
        w->rows = border - w->row < p->tile_rows ? border - w->row : p->tile_rows;
        run_tile(w);
        w->row += w->rows;
        if (!p->n_sweeps) continue;
        w->pending += w->rows;
        if (!p->parts && w->row % p->segment == 0) end_segment(w, w->row / p->segment - 1);
        else if (w->pending >= SUM_ROWS * p->copies) flush(w);
    }
    if (p->n_sweeps) flush(w);
}

static void run_block(worker *w, int64_t number)
{
    const tile *p = w->p;
    w->block = number / p->blocks_across;
    w->across = number % p->blocks_across;
    int64_t begin = w->block * p->block_rows, end = begin + p->block_rows, limit = p->rows;
    if (p->parts) {
        begin = w->block / p->parts * p->segment + w->block % p->parts * p->block_rows;
        end = begin + p->block_rows;
        limit = (w->block / p->parts + 1) * p->segment;
    }
    if (end > limit) end = limit;
    if (begin > end) begin = end;
    for (int i = 0; i < p->n_sweeps; i++)
        if (p->sweeps[i].all) *partial_of(w, &p->sweeps[i]) = neutral(&p->sweeps[i]);
    int64_t last = (w->across + 1) * p->block_columns;
    if (last > p->columns) last = p->columns;
    w->cells = (cj__tile_cell *)(void *)(w->scratch + p->cells);
    memset(w->cells, 0, (size_t)p->n_values * sizeof w->cells[0]);
    w->serial = 0;
    w->column = w->across * p->block_columns;
    do {
        w->columns = last - w->column < p->tile_columns ? last - w->column : p->tile_columns;
        run_strip(w, begin, end);
    } while ((w->column += p->tile_columns) < last);
}

typedef struct work {
    const cj_kernel *k;
    bool deferred[CJ__TILE_OUTPUTS], stream[CJ__TILE_OUTPUTS];
} work;

static void run_blocks(void *arg, int64_t begin, int64_t end)
{
    _Alignas(64) unsigned char scratch[CJ__TILE_SCRATCH];
    const work *all = arg;
    const tile *p = all->k->prepared;
    int64_t blocks = p->blocks_down * p->blocks_across;
    worker w;
    w.k = all->k;
    w.p = p;
    memcpy(w.deferred, all->deferred, sizeof w.deferred);
    w.stream = all->stream;
    for (int64_t i = begin; i < end; i++) {
        w.scratch = scratch;
        if (p->scratch != SIZE_MAX)
            w.scratch = (unsigned char *)all->k->workspace + p->scratch +
                        (size_t)i * p->scratch_bytes;
        for (int64_t b = i * blocks / p->workers; b < (i + 1) * blocks / p->workers; b++)
            run_block(&w, b);
    }
    p->isa->stream_end();
}

/* Reductions of no rows. */
static void fill_empty(const cj_kernel *k)
{
    const tile *p = k->prepared;
    for (int o = 0; o < k->call->n_out; o++) {
        cj_array *y = k->out[o];
        double nothing = 0;
        for (int i = 0; i < p->n_sweeps; i++)
            if (p->sweeps[i].value == p->output_value[o])
                nothing = p->sweeps[i].how == CJ__REDUCE_MEAN ? NAN : neutral(&p->sweeps[i]);
        for (int64_t j = 0; j < y->count; j++)
            cj_store_f64(y->dtype, y->data, (size_t)j, nothing);
    }
}

cj_status cj__tile_run(const cj_kernel *k)
{
    const tile *p = k->prepared;
    work all = {.k = k};
    if (p->nothing)
        return cj_fail(k->cj, CJ_ERR_SHAPE, "%s: the reduced axes have no elements",
                       p->nothing->op->name);
    if (!p->rows) {
        fill_empty(k);
        return CJ_OK;
    }
    for (int o = 0; o < k->call->n_out; o++) {
        bool whole = k->out[o]->count == p->rows * p->columns;
        size_t bytes = (size_t)k->out[o]->count * p->values[p->output_value[o]].size;
        all.stream[o] = whole && bytes >= CJ__STREAM_BYTES;
        for (int i = 0; i < k->call->n_in; i++) {
            bool same = k->out[o]->data == k->in[i]->data;
            if (same) all.stream[o] = false; /* what was read just now is in a cache */
            all.deferred[o] = all.deferred[o] || (same && p->late_reader[o * k->call->n_in + i]);
        }
        all.deferred[o] = all.deferred[o] || all.stream[o];
    }
    cj__parallel_for(k->team, p->workers, 1, run_blocks, &all);
    if (p->n_sweeps) finish_sweeps(k);
    return CJ_OK;
}
