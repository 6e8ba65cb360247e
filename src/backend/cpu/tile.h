/* tile.h: the list of operations that tile_build.c makes of a call and tile_run.c runs.
 *
 * The shape of a group is rows x columns. A tile is some whole rows, or a piece of one row where
 * rows are long and nobody needs them whole: contiguous in memory either way. Values are full (an
 * element for each of the tile) or by rows (one for each row of it). */
#ifndef CAJAL_BACKEND_CPU_TILE_H
#define CAJAL_BACKEND_CPU_TILE_H

#include "backend/cpu/cpu.h"

enum {
    CJ__TILE_OPERANDS = 5,
    CJ__TILE_VALUES = 4096, /* the most values of a list */
    CJ__TILE_OUTPUTS = 64,
    CJ__TILE_SCRATCH = 96 * 1024, /* on the stack; more comes from the plan's workspace */
    CJ__TILE_WORKERS = 64         /* that have scratch of their own there */
};

/* How an operand is read for row r, column c of the shape (i: its element):
 *
 *     DIRECT   the same element             SCALAR   one element for all
 *     ROW      (r / q % m, c)               COLUMN   r / q % m           GENERAL   by strides */
typedef enum cj__reading { DIRECT, SCALAR, ROW, COLUMN, GENERAL } cj__reading;

typedef enum cj__tile_kind {
    REFERENCE,
    UNARY_F32,
    UNARY_F64,
    BINARY_F32,
    BINARY_F64,
    COMPARE_F32,
    COMPARE_F64,
    LOGICAL,
    WHERE,
    CAST,
    IDIOM_F32, /* several in one: tile_idioms.c */
    ONE_HOT,
    ROWS_F32,      /* a reduction of each row */
    ROWS_F64,
    ROWS_REFERENCE, /* a reduction, or a function, of rows by the op's own kernel */
    SOFTMAX_F32,
    LOG_SOFTMAX_F32,
    LOGSUMEXP_F32,
    SWEEP          /* adds the tile to a reduction over columns or over all */
} cj__tile_kind;

typedef struct cj__tile_value {
    int input;   /* operand of the call it is, or -1 */
    int of;      /* value by rows that it repeats along them, or -1 */
    int output;  /* result of the call it is, or -1 */
    int slot;    /* scratch it is computed or spread in, or -1 */
    size_t size; /* bytes of an element */
    cj_dtype dtype;
    bool rows;   /* one element a row */
    bool spread; /* some reader needs its elements side by side though there are fewer */
    cj__reading how;
    int64_t q, m;                /* ROW, COLUMN */
    int64_t stride[CJ_RANK_MAX]; /* GENERAL: of each axis of the shape, in elements of the input */
} cj__tile_value;

/* Where a value begins in this tile; of one that is spread out, the tile its slot was filled for
 * (0: none, -1: all). */
typedef struct cj__tile_cell {
    unsigned char *at;
    int64_t held;
} cj__tile_cell;

typedef struct cj__tile_operation {
    cj__tile_kind kind;
    int function;  /* index into the isa's table; SWEEP: the sweep's number */
    int n_in, in[CJ__TILE_OPERANDS], out;
    bool rows;     /* works on values by rows */
    bool loop;     /* row by row, for an operand that is read in place */
    unsigned flags;
    const cj_call *call;
} cj__tile_operation;

/* A reduction whose result leaves the group. */
typedef struct cj__tile_sweep {
    cj__reduce how;  /* SUM, MEAN, MAX, MIN */
    bool all;
    cj_dtype dtype;
    int value;       /* its result */
    int64_t segment; /* rows that are reduced to one row of results */
    double count;    /* elements that make one result */
    size_t partial;  /* in the workspace: doubles, a row of columns (all: one) for each block */
    size_t lanes;    /* in the scratch: sums of some tiles */
} cj__tile_sweep;

typedef struct cj__tile {
    const cj__isa *isa;
    int n_operations, n_values, n_sweeps;
    cj__tile_operation *operations;
    cj__tile_value *values;
    cj__tile_sweep *sweeps;
    int *output_value;  /* by output: its value */
    bool *late_reader;  /* [o * n_in + i]: an operation after that of output o reads input i */
    int rank, leading;  /* of the shape */
    int64_t dim[CJ_RANK_MAX], rows, columns;
    int64_t tile_rows, tile_columns;
    int64_t segment;       /* tiles do not cross its borders; rows where nobody minds */
    int64_t copies;        /* rows added side by side where columns are few */
    int64_t block_rows, block_columns, blocks_down, blocks_across;
    int64_t parts;         /* blocks of a segment; 0: a block has whole segments */
    size_t slot_bytes, scratch_bytes;
    size_t cells;          /* in the scratch: where each value is */
    size_t scratch;        /* in the workspace, for each worker; SIZE_MAX: on the stack */
    int64_t workers;
    const cj_call *nothing; /* a reduction to the largest or smallest of no elements; or NULL */
} cj__tile;

/* tile_idioms.c: puts operations together that have a kernel together. */
cj_status cj__tile_shorten(cj__tile *p, const cj_call *call, cj__arena *arena);

/* tile_place.c: what is left to know of a list whose operations and values are there. */
cj_status cj__tile_place(cj__tile *p, const cj_kernel *k, cj__arena *arena, size_t *workspace);

#endif
