/* join.c: concat and split: rows of bytes taken together or apart.
 *
 * Along all axes before the joined one both sides have the same indices r, and a row of the whole
 * is the rows of its parts one after another:
 *
 *     whole[r]   =   part 0 [r]   part 1 [r]   ...
 *
 * The whole is cut into blocks of bytes, wherever they begin, so that parts of any shape keep any
 * number of threads busy. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "graph/ops/block.h"
#include "tensor/dtype.h"

enum { BLOCK_BYTES = 1 << 17, PARTS_MAX = 64, PART_BYTES = 32 /* on average, at least */ };

typedef struct join_work {
    char *whole;
    int n;
    char *parts[PARTS_MAX];
    int64_t bytes[PARTS_MAX]; /* of a row of each part */
    int64_t rows, row;        /* of the whole; bytes of one */
    bool apart;               /* from the whole to its parts */
} join_work;

/* Rows are what lies before the first axis along which a part and the whole differ. */
static join_work work_of(const cj_kernel *k)
{
    join_work w = {.apart = k->call->op == &cj_op_split, .rows = 1};
    const cj_array *whole = w.apart ? k->in[0] : k->out[0];
    w.whole = whole->data;
    w.n = w.apart ? k->call->n_out : k->call->n_in;
    for (int p = 0; p < w.n && p < PARTS_MAX; p++) {
        const cj_array *part = w.apart ? k->out[p] : k->in[p];
        for (int i = 0; !p && part->count < whole->count && part->dim[i] == whole->dim[i]; i++)
            w.rows *= whole->dim[i];
        w.parts[p] = part->data;
        w.bytes[p] = w.rows ? part->count / w.rows * (int64_t)cj__dtype_bytes(part->dtype) : 0;
        w.row += w.bytes[p];
    }
    return w;
}

bool cj__join_supports(const cj_kernel *k)
{
    join_work w = work_of(k);
    return w.n <= PARTS_MAX && w.row >= w.n * PART_BYTES;
}

static void copy_bytes(void *arg, int64_t begin, int64_t end)
{
    const join_work *w = arg;
    for (int64_t r = begin / w->row, at = r * w->row; at < end; r++) {
        for (int p = 0; p < w->n && at < end; at += w->bytes[p++]) {
            int64_t first = at > begin ? 0 : begin - at, n = end - at;
            if (n > w->bytes[p]) n = w->bytes[p];
            if (n <= first) continue;
            char *part = w->parts[p] + r * w->bytes[p] + first, *whole = w->whole + at + first;
            memcpy(w->apart ? part : whole, w->apart ? whole : part, (size_t)(n - first));
        }
    }
}

cj_status cj__join_run(const cj_kernel *k)
{
    join_work w = work_of(k);
    cj__parallel_for(k->team, w.rows * w.row, BLOCK_BYTES, copy_bytes, &w);
    return CJ_OK;
}
