/* rows.c: rows of a table: gather along axis 0, scatter_add, its transpose, and index_add.
 *
 *     gather        y[i, :] = x[index[i], :]         a copy for each index, indices cut into blocks
 *     scatter_add   y = 0; y[index[i], :] += u[i, :] the table cut into blocks of rows
 *     index_add     y = x; y[index[i], :] += u[i, :] the same; in place only those rows are touched
 *
 * A block of the table is cleared (or copied) and then takes all updates that belong to it, in the
 * order of the indices: every element is the same sum, rounded in the same order, for any number of
 * threads, and no memory is needed but the result. All blocks look at all indices, so there are at
 * most BLOCKS_MAX. */
#include "backend/cpu/cpu.h"

#include "graph/ops/block.h"
#include "tensor/dtype.h"

#include <string.h>

enum { BLOCK_BYTES = 1 << 17, BLOCKS_MAX = 64 };

typedef struct rows_work {
    const cj_kernel *k;
    int64_t table_rows, row; /* rows of the table; elements in a row */
    size_t row_bytes;
} rows_work;

static rows_work work_of(const cj_kernel *k, const cj_array *table)
{
    rows_work w = {.k = k, .table_rows = table->dim[0], .row = 1};
    for (int i = 1; i < table->rank; i++) w.row *= table->dim[i];
    w.row_bytes = (size_t)w.row * cj__dtype_bytes(table->dtype);
    return w;
}

/* The first index that is out of range is reported before anything is written. */
static cj_status check_indices(const rows_work *w)
{
    const cj_array *indices = w->k->in[1];
    int64_t index;
    for (int64_t i = 0; i < indices->count; i++)
        if (!cj__read_index(indices, i, w->table_rows, &index))
            return cj__index_fail(w->k, indices, i, 0, w->table_rows);
    return CJ_OK;
}

bool cj__rows_gather_supports(const cj_kernel *k)
{
    return ((const cj__axis_attrs *)k->call->attributes)->axis == 0;
}

static void gather_block(void *arg, int64_t begin, int64_t end)
{
    const rows_work *w = arg;
    const char *x = w->k->in[0]->data;
    char *y = w->k->out[0]->data;
    int64_t index;
    for (int64_t i = begin; i < end; i++)
        if (cj__read_index(w->k->in[1], i, w->table_rows, &index))
            memcpy(y + (size_t)i * w->row_bytes, x + (size_t)index * w->row_bytes, w->row_bytes);
}

cj_status cj__rows_gather(const cj_kernel *k)
{
    rows_work w = work_of(k, k->in[0]);
    CJ__TRY(check_indices(&w));
    int64_t block = w.row_bytes ? (int64_t)(BLOCK_BYTES / w.row_bytes) : 0;
    if (k->out[0]->count)
        cj__parallel_for(k->team, k->in[1]->count, block ? block : 1, gather_block, &w);
    return CJ_OK;
}

bool cj__rows_scatter_supports(const cj_kernel *k)
{
    const bool to_x = k->call->op == &cj_op_index_add;
    const void *attributes = k->call->attributes;
    const int64_t axis = to_x ? ((const cj__axis_attrs *)attributes)->axis
                              : ((const cj__scatter_attrs *)attributes)->axis;
    return axis == 0 && cj__is_f32(k->out[0]);
}

static void scatter_block(void *arg, int64_t begin, int64_t end)
{
    const rows_work *w = arg;
    const cj__isa *isa = cj__isa_best();
    const int to_x = w->k->call->op == &cj_op_index_add;
    const cj_array *indices = w->k->in[to_x + 1];
    const float *updates = w->k->in[to_x]->data, *x = to_x ? w->k->in[0]->data : NULL;
    float *y = w->k->out[0]->data;
    const size_t bytes = (size_t)(end - begin) * w->row_bytes;
    if (!x) memset(y + begin * w->row, 0, bytes);
    else if (x != y) memcpy(y + begin * w->row, x + begin * w->row, bytes);
    int64_t index;
    for (int64_t i = 0; i < indices->count; i++) {
        if (!cj__read_index(indices, i, w->table_rows, &index) || index < begin || index >= end)
            continue;
        float *row = y + index * w->row;
        isa->binary_f32[CJ__BINARY_ADD]((size_t)w->row, row, updates + i * w->row, row, 0);
    }
}

cj_status cj__rows_scatter(const cj_kernel *k)
{
    rows_work w = work_of(k, k->out[0]);
    if (k->call->op == &cj_op_scatter_add) CJ__TRY(check_indices(&w));
    if (!k->out[0]->count) return CJ_OK;
    int64_t block = (int64_t)(BLOCK_BYTES / w.row_bytes),
            least = (w.table_rows + BLOCKS_MAX - 1) / BLOCKS_MAX;
    cj__parallel_for(k->team, w.table_rows, block > least ? block : least, scatter_block, &w);
    return CJ_OK;
}
