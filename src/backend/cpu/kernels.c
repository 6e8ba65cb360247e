/* kernels.c: the CPU backend's list: which calls our vector kernels run, and how they are cut up.
 *
 * A call a row does not support goes to the next row, and at last to the reference kernel. Work is
 * cut into blocks by its own size, never by the number of threads. */
#include "backend/cpu/cpu.h"

#include <math.h>
#include <string.h>

#include "graph/ops/window.h"

/* About how many elements a block should touch before another thread is worth its while. */
enum { BLOCK_ELEMENTS = 16384 };

static int64_t rows_a_block(int64_t row)
{
    return row >= BLOCK_ELEMENTS ? 1 : BLOCK_ELEMENTS / (row ? row : 1);
}

/* ---- matmul ---------------------------------------------------------------------------------- */

static bool gemm_supports(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    cj_dtype d = k->out[0]->dtype;
    return (d == CJ_F32 || d == CJ_F64) && (attrs->activation == CJ__EPILOGUE_NONE ||
                                            attrs->activation == CJ__EPILOGUE_RELU);
}

/* [batch..., n, k] x [batch..., k, m], or with one matrix b for all: then a's leading axes are
 * rows. The first product, and how many. */
static cj__gemm product_of(const cj_kernel *k, int64_t *batch)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    const cj_array *a = k->in[0], *b = k->in[1], *c = k->out[0];
    int64_t rows = a->dim[a->rank - (attrs->transpose_a ? 1 : 2)],
            inner = a->dim[a->rank - (attrs->transpose_a ? 2 : 1)], cols = c->dim[c->rank - 1];
    *batch = 1;
    bool shared = b->rank == 2 && a->rank > 2 && !attrs->transpose_a;
    if (shared) rows = c->count / (cols ? cols : 1);
    else for (int i = 0; i < c->rank - 2; i++) *batch *= c->dim[i];
    return (cj__gemm){.m = rows,
                      .n = cols,
                      .k = inner,
                      .transpose_a = attrs->transpose_a,
                      .transpose_b = attrs->transpose_b,
                      .alpha = 1,
                      .beta = attrs->has_addend,
                      .lda = attrs->transpose_a ? rows : inner,
                      .ldb = attrs->transpose_b ? inner : cols,
                      .ldc = cols,
                      .relu = attrs->activation == CJ__EPILOGUE_RELU};
}

static cj_status gemm_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                              size_t *workspace_bytes)
{
    (void)arena, (void)prepared;
    int64_t batch;
    const cj__gemm g = product_of(k, &batch);
    if (k->out[0]->dtype == CJ_F32) *workspace_bytes = cj__isa_best()->gemm_workspace_f32(&g);
    return CJ_OK;
}

/* An addend is where c begins. */
static cj_status gemm_run(const cj_kernel *k)
{
    const cj__matmul_attrs *attrs = k->call->attributes;
    const cj_array *a = k->in[0], *b = k->in[1], *c = k->out[0];
    const cj__isa *isa = cj__isa_best();
    const size_t size = c->dtype == CJ_F32 ? 4 : 8;
    const bool one_b = b->rank == 2;
    if (!c->count) return CJ_OK;
    int64_t batch;
    cj__gemm g = product_of(k, &batch);
    g.bias = attrs->has_bias ? k->in[2]->data : NULL;
    g.workspace = k->workspace;
    if (attrs->has_addend)
        memcpy(c->data, k->in[2 + attrs->has_bias]->data, size * (size_t)c->count);
    for (int64_t i = 0; i < batch; i++) {
        g.a = (const char *)a->data + (size_t)(i * g.m * g.k) * size;
        g.b = (const char *)b->data + (one_b ? 0 : (size_t)(i * g.k * g.n) * size);
        g.c = (char *)c->data + (size_t)(i * g.m * g.n) * size;
        (c->dtype == CJ_F32 ? isa->gemm_f32 : isa->gemm_f64)(k->team, &g);
    }
    return CJ_OK;
}

/* ---- Rows: softmax, log-softmax, reductions of trailing axes --------------------------------- */

typedef void (*row_fn)(size_t n, const float *a, float *out);

typedef struct row_work {
    const cj_kernel *k;
    int64_t inner; /* elements of a row */
    row_fn row;
    float (*reduce)(size_t n, const float *a);
} row_work;

static bool last_axis_supports(const cj_kernel *k)
{
    const cj__axis_attrs *a = k->call->attributes;
    return cj__is_f32(k->in[0]) && k->in[0]->rank > 0 && a->axis == k->in[0]->rank - 1 &&
           k->in[0]->count > 0;
}

static void rows_block(void *arg, int64_t begin, int64_t end)
{
    const row_work *w = arg;
    const float *x = w->k->in[0]->data;
    float *y = w->k->out[0]->data;
    for (int64_t i = begin; i < end; i++) {
        if (w->row) w->row((size_t)w->inner, x + i * w->inner, y + i * w->inner);
        else y[i] = w->reduce((size_t)w->inner, x + i * w->inner);
    }
}

static cj_status run_rows(const cj_kernel *k, int64_t inner, row_fn row,
                          float (*reduce)(size_t, const float *))
{
    row_work w = {k, inner, row, reduce};
    int64_t rows = inner ? k->in[0]->count / inner : k->out[0]->count;
    cj__parallel_for(k->team, rows, rows_a_block(inner), rows_block, &w);
    return CJ_OK;
}

static cj_status softmax_run(const cj_kernel *k)
{
    return run_rows(k, k->in[0]->dim[k->in[0]->rank - 1], cj__isa_best()->softmax_f32, NULL);
}

static cj_status log_softmax_run(const cj_kernel *k)
{
    return run_rows(k, k->in[0]->dim[k->in[0]->rank - 1], cj__isa_best()->log_softmax_f32, NULL);
}

static bool crossentropy_supports(const cj_kernel *k)
{
    return cj__is_f32(k->in[0]) && k->in[0]->count > 0;
}

static void crossentropy_block(void *arg, int64_t begin, int64_t end)
{
    row_work *w = arg;
    const cj_array *labels = w->k->in[1];
    for (int64_t i = begin; i < end; i++) {
        int64_t label = cj_load_i64(labels->dtype, labels->data, (size_t)i);
        bool valid = label >= 0 && label < w->inner;
        ((float *)w->k->out[0]->data)[i] =
            valid ? cj__isa_best()->crossentropy_f32(
                        (size_t)w->inner, (const float *)w->k->in[0]->data + i * w->inner,
                        (size_t)label)
                  : NAN;
    }
}

/* A label out of range is found again, and named, by the reference kernel. */
static cj_status crossentropy_run(const cj_kernel *k)
{
    const cj_array *labels = k->in[1];
    row_work w = {.k = k, .inner = k->in[0]->dim[k->in[0]->rank - 1]};
    cj__parallel_for(k->team, labels->count, rows_a_block(w.inner), crossentropy_block, &w);
    for (int64_t i = 0; i < labels->count; i++) {
        int64_t label = cj_load_i64(labels->dtype, labels->data, (size_t)i);
        if (label < 0 || label >= w.inner) return k->call->op->ref(k);
    }
    return CJ_OK;
}

/* How many leading axes a reduction keeps if it reduces exactly the rest; -1: it does something
 * else. */
static int trailing(const cj_kernel *k)
{
    const cj__reduce_attrs *a = k->call->attributes;
    int rank = k->in[0]->rank, kept = rank - a->axes.n;
    for (int i = 0; i < a->axes.n; i++)
        if (a->axes.v[i] != kept + i) return -1;
    return kept;
}

static int64_t inner_of(const cj_kernel *k, int kept)
{
    int64_t inner = 1;
    for (int i = kept; i < k->in[0]->rank; i++) inner *= k->in[0]->dim[i];
    return inner;
}

static bool trailing_supports(const cj_kernel *k)
{
    return cj__is_f32(k->in[0]) && trailing(k) >= 0 && inner_of(k, trailing(k)) > 0 &&
           k->out[0]->count > 0;
}

static cj_status trailing_run(const cj_kernel *k)
{
    const cj_op *op = k->call->op;
    const cj__isa *isa = cj__isa_best();
    cj__reduce r = op == &cj_op_reduce_sum    ? CJ__REDUCE_SUM
                   : op == &cj_op_reduce_mean ? CJ__REDUCE_MEAN
                   : op == &cj_op_reduce_max  ? CJ__REDUCE_MAX
                                              : CJ__REDUCE_MIN;
    int64_t inner = inner_of(k, trailing(k));
    return run_rows(k, inner, NULL,
                    op == &cj_op_logsumexp ? isa->logsumexp_f32 : isa->reduce_f32[r]);
}

/* Sums over leading axes: the gradient of a bias. Columns are independent, so they are cut, not
 * rows. */
static int leading(const cj_kernel *k)
{
    const cj__reduce_attrs *a = k->call->attributes;
    for (int i = 0; i < a->axes.n; i++)
        if (a->axes.v[i] != i) return -1;
    return a->axes.n;
}

static bool column_sums_support(const cj_kernel *k)
{
    return cj__is_f32(k->in[0]) && leading(k) > 0 && leading(k) < k->in[0]->rank &&
           k->in[0]->count > 0;
}

static void columns_block(void *arg, int64_t begin, int64_t end)
{
    const row_work *w = arg;
    int64_t rows = w->k->in[0]->count / w->inner;
    cj__isa_best()->column_sums_f32((size_t)rows, (size_t)(end - begin), (size_t)w->inner,
                                    (const float *)w->k->in[0]->data + begin,
                                    (float *)w->k->out[0]->data + begin);
}

static cj_status column_sums_run(const cj_kernel *k)
{
    row_work w = {.k = k, .inner = inner_of(k, leading(k))};
    int64_t rows = k->in[0]->count / w.inner, block = (rows_a_block(rows) + 63) / 64 * 64;
    cj__parallel_for(k->team, w.inner, block, columns_block, &w);
    return CJ_OK;
}

/* ---- argmax, transpose, broadcast ------------------------------------------------------------ */

static bool arg_supports(const cj_kernel *k)
{
    return last_axis_supports(k) && k->out[0]->dtype == CJ_I64;
}

static cj_status arg_run(const cj_kernel *k)
{
    const cj__isa *isa = cj__isa_best();
    int64_t inner = k->in[0]->dim[k->in[0]->rank - 1], *y = k->out[0]->data;
    const float *x = k->in[0]->data;
    for (int64_t i = 0; i < k->out[0]->count; i++)
        y[i] = (k->call->op == &cj_op_argmax ? isa->argmax_f32 : isa->argmin_f32)((size_t)inner,
                                                                                  x + i * inner);
    return CJ_OK;
}

/* Swaps the last two axes and leaves the others. */
static bool transpose_supports(const cj_kernel *k)
{
    const cj_ints *p = &((const cj__permutation_attrs *)k->call->attributes)->permutation;
    int bits = cj_dtype_info(k->in[0]->dtype)->bits;
    if (p->n < 2 || bits < 8 || p->v[p->n - 1] != p->n - 2 || k->in[0]->count == 0) return false;
    for (int i = 0; i < p->n - 2; i++)
        if (p->v[i] != i) return false;
    return true;
}

static cj_status transpose_run(const cj_kernel *k)
{
    const cj_array *x = k->in[0];
    int64_t rows = x->dim[x->rank - 2], cols = x->dim[x->rank - 1];
    size_t size = (size_t)cj_dtype_info(x->dtype)->bits / 8, matrix = size * (size_t)(rows * cols);
    for (int64_t i = 0; i < x->count / (rows * cols); i++)
        cj__isa_best()->transpose(size, (size_t)rows, (size_t)cols,
                                  (const char *)x->data + (size_t)i * matrix, (size_t)cols,
                                  (char *)k->out[0]->data + (size_t)i * matrix, (size_t)rows);
    return CJ_OK;
}

/* One element, or one row, for all. */
static bool broadcast_supports(const cj_kernel *k)
{
    const cj_array *x = k->in[0], *y = k->out[0];
    if (x->count == 0 || y->count == 0) return false;
    for (int i = 1; i <= x->rank; i++) { /* leading ones may be spread, then all axes agree */
        if (x->dim[x->rank - i] == y->dim[y->rank - i]) continue;
        for (int j = i; j <= x->rank; j++)
            if (x->dim[x->rank - j] != 1) return false;
        return true;
    }
    return true;
}

static cj_status broadcast_run(const cj_kernel *k)
{
    size_t size = (size_t)cj_dtype_info(k->in[0]->dtype)->bits / 8,
           row = size * (size_t)k->in[0]->count;
    size_t all = size * (size_t)k->out[0]->count;
    char *to = k->out[0]->data;
    memcpy(to, k->in[0]->data, row);
    for (size_t done = row; done < all;) {
        size_t more = done < all - done ? done : all - done;
        memcpy(to + done, to, more);
        done += more;
    }
    return CJ_OK;
}

static const cj__kernel_row rows[] = {
    {.name = "cpu/rnn",
     .op = &cj_op_rnn,
     .supports = cj__recurrent_supports,
     .prepare = cj__recurrent_prepare,
     .run = cj__recurrent_run},
    {.name = "cpu/rnn_grad",
     .op = &cj_op_rnn_grad,
     .supports = cj__recurrent_supports,
     .prepare = cj__recurrent_prepare,
     .run = cj__recurrent_run},
    {.name = "cpu/lstm",
     .op = &cj_op_lstm,
     .supports = cj__recurrent_supports,
     .prepare = cj__recurrent_prepare,
     .run = cj__recurrent_run},
    {.name = "cpu/lstm_grad",
     .op = &cj_op_lstm_grad,
     .supports = cj__recurrent_supports,
     .prepare = cj__recurrent_prepare,
     .run = cj__recurrent_run},
    {.name = "cpu/gru",
     .op = &cj_op_gru,
     .supports = cj__recurrent_supports,
     .prepare = cj__recurrent_prepare,
     .run = cj__recurrent_run},
    {.name = "cpu/gru_grad",
     .op = &cj_op_gru_grad,
     .supports = cj__recurrent_supports,
     .prepare = cj__recurrent_prepare,
     .run = cj__recurrent_run},
    {.name = "cpu/conv",
     .op = &cj_op_conv,
     .supports = cj__conv_supports,
     .prepare = cj__conv_prepare,
     .run = cj__conv_run},
    {.name = "cpu/conv_transpose",
     .op = &cj_op_conv_transpose,
     .supports = cj__conv_supports,
     .prepare = cj__conv_prepare,
     .run = cj__conv_run},
    {.name = "cpu/conv_weight_grad",
     .op = &cj_op_conv_weight_grad,
     .supports = cj__conv_supports,
     .prepare = cj__conv_weight_prepare,
     .run = cj__conv_weight_run},
    {.name = "cpu/depthwise",
     .op = &cj_op_conv,
     .supports = cj__depth_supports,
     .prepare = cj__depth_prepare,
     .run = cj__depth_run},
    {.name = "cpu/depthwise_transpose",
     .op = &cj_op_conv_transpose,
     .supports = cj__depth_supports,
     .prepare = cj__depth_prepare,
     .run = cj__depth_run},
    {.name = "cpu/depthwise_weight_grad",
     .op = &cj_op_conv_weight_grad,
     .supports = cj__depth_supports,
     .prepare = cj__depth_prepare,
     .run = cj__depth_weight_run},
    {.name = "cpu/gemm",
     .op = &cj_op_matmul,
     .supports = gemm_supports,
     .prepare = gemm_prepare,
     .run = gemm_run},
    {.name = "cpu/softmax",
     .op = &cj_op_softmax,
     .supports = last_axis_supports,
     .run = softmax_run},
    {.name = "cpu/crossentropy",
     .op = &cj_op_sparse_softmax_crossentropy,
     .supports = crossentropy_supports,
     .run = crossentropy_run},
    {.name = "cpu/log_softmax",
     .op = &cj_op_log_softmax,
     .supports = last_axis_supports,
     .run = log_softmax_run},
    {.name = "cpu/column_sums",
     .op = &cj_op_reduce_sum,
     .supports = column_sums_support,
     .run = column_sums_run},
    {.name = "cpu/reduce",
     .op = &cj_op_reduce_sum,
     .supports = trailing_supports,
     .run = trailing_run},
    {.name = "cpu/reduce",
     .op = &cj_op_reduce_mean,
     .supports = trailing_supports,
     .run = trailing_run},
    {.name = "cpu/reduce",
     .op = &cj_op_reduce_max,
     .supports = trailing_supports,
     .run = trailing_run},
    {.name = "cpu/reduce",
     .op = &cj_op_reduce_min,
     .supports = trailing_supports,
     .run = trailing_run},
    {.name = "cpu/reduce",
     .op = &cj_op_logsumexp,
     .supports = trailing_supports,
     .run = trailing_run},
    {.name = "cpu/argmax", .op = &cj_op_argmax, .supports = arg_supports, .run = arg_run},
    {.name = "cpu/argmin", .op = &cj_op_argmin, .supports = arg_supports, .run = arg_run},
    {.name = "cpu/transpose",
     .op = &cj_op_transpose,
     .supports = transpose_supports,
     .run = transpose_run},
    {.name = "cpu/broadcast",
     .op = &cj_op_broadcast,
     .supports = broadcast_supports,
     .run = broadcast_run},
    {.name = "cpu/join",
     .op = &cj_op_concat,
     .supports = cj__join_supports,
     .run = cj__join_run},
    {.name = "cpu/join",
     .op = &cj_op_split,
     .supports = cj__join_supports,
     .run = cj__join_run},
    {.name = "cpu/fft",
     .op = &cj_op_fft,
     .supports = cj__fft_supports,
     .prepare = cj__fft_prepare,
     .run = cj__fft_run},
    {.name = "cpu/attention",
     .op = &cj_op_attention,
     .supports = cj__attention_supports,
     .run = cj__attention_run},
    {.name = "cpu/attention_grad",
     .op = &cj_op_attention_grad,
     .supports = cj__attention_supports,
     .run = cj__attention_grad_run},
    {.name = "cpu/pool",
     .op = &cj_op_max_pool,
     .supports = cj__pool_supports,
     .run = cj__pool_run},
    {.name = "cpu/pool",
     .op = &cj_op_pool_spread,
     .supports = cj__pool_supports,
     .run = cj__pool_run},
    {.name = "cpu/pool",
     .op = &cj_op_avg_pool,
     .supports = cj__pool_supports,
     .run = cj__pool_run},
    {.name = "cpu/pool",
     .op = &cj_op_avg_pool_grad,
     .supports = cj__pool_supports,
     .run = cj__pool_run},
    {.name = "cpu/moments",
     .op = &cj_op_moments,
     .supports = cj__moments_supports,
     .prepare = cj__moments_prepare,
     .run = cj__moments_run},
    {.name = "cpu/gather",
     .op = &cj_op_gather,
     .supports = cj__rows_gather_supports,
     .run = cj__rows_gather},
    {.name = "cpu/scatter_add",
     .op = &cj_op_scatter_add,
     .supports = cj__rows_scatter_supports,
     .run = cj__rows_scatter},
    {.name = "cpu/index_add",
     .op = &cj_op_index_add,
     .supports = cj__rows_scatter_supports,
     .run = cj__rows_scatter},
    {.name = "cpu/fused",
     .supports = cj__tile_supports,
     .prepare = cj__tile_prepare,
     .run = cj__tile_run},
    {.name = "cpu/widened",
     .supports = cj__wide_supports,
     .prepare = cj__wide_prepare,
     .run = cj__wide_run,
     .release = cj__wide_release},
    {0}};

static const cj__kernel_row winograd_rows[] = {
    {.name = "winograd/conv",
     .op = &cj_op_conv,
     .supports = cj__winograd_supports,
     .prepare = cj__winograd_prepare,
     .run = cj__winograd_run},
    {.name = "winograd/conv_transpose",
     .op = &cj_op_conv_transpose,
     .supports = cj__winograd_supports,
     .prepare = cj__winograd_prepare,
     .run = cj__winograd_run},
    {.name = "winograd/conv_weight_grad",
     .op = &cj_op_conv_weight_grad,
     .supports = cj__winograd_supports,
     .prepare = cj__winograd_weight_prepare,
     .run = cj__winograd_weight_run},
    {0}};

static const char *variant(void) { return cj__isa_best()->name; }

const cj__backend cj__backend_cpu = {
    .name = "cpu",
    .doc = "portable vector kernels, chosen for the processor at run time",
    .kernels = rows,
    .variant = variant,
    .measure = cj__cpu_measure};

const cj__backend cj__backend_winograd = {
    .name = "winograd",
    .doc = "3x3 convolutions with a quarter of the products",
    .kernels = winograd_rows,
    .variant = variant};
