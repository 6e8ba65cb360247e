/* losses_sequence.c: connectionist temporal classification (Graves et al. 2006).
 *
 * The labels l1 l2 ... become z = blank l1 blank l2 ... blank. alpha[s] is the logarithm of the
 * probability of all ways to have read the first steps and z up to s:
 *
 *     alpha'[s] = log p[z[s]] + log(e^alpha[s] + e^alpha[s - 1] + (e^alpha[s - 2])*)
 *
 *     * where z[s] is no blank and another label than z[s - 2]
 *
 * Steps are those of a scan, so the gradient is the scan's: the backward variables of the paper
 * come out of it. What cannot be is -1e30 instead of -inf, which keeps differences finite. */
#include "nn/losses.h"

#include <math.h>

#define IMPOSSIBLE (-1e30)

typedef struct ctc_options {
    bool from_logits, zero_infinity;
    int64_t blank;
} ctc_options;
static const cj_option ctc_table[] = {
    CJ_OPTION_BOOL(ctc_options, from_logits, false, "the prediction is not yet through softmax"),
    CJ_OPTION_INT(ctc_options, blank, 0, 0, 1000000000, "the class that says nothing"),
    CJ_OPTION_BOOL(ctc_options, zero_infinity, false,
                   "0 instead of inf for labels that the steps are too few for"),
    CJ_OPTION_END};

/* x [batch, s] moved along by n; what comes in is impossible. */
static cj_node *moved(cj_node *x, int64_t n)
{
    return cj_pad(x, (const int64_t[]){0, n}, (const int64_t[]){0, -n}, IMPOSSIBLE);
}

/* One step: alpha, log p[z], and 0 or IMPOSSIBLE for the way over two. */
static cj_graph *step(cj_node *alpha)
{
    const cj_graph *outer = alpha->call->graph;
    cj_graph *body = cj_graph_new(outer->cj);
    if (!body) return NULL;
    cj_dim dims[] = {cj_symbol(body, "batch"), alpha->type.dim[1]};
    cj_node *in[3];
    for (int i = 0; i < 3; i++)
        in[i] = cj_placeholder(body, (const char *const[]){"alpha", "log_p", "skip"}[i],
                               alpha->type.dtype, 2, dims);
    cj_node *ways[] = {in[0], moved(in[0], 1), cj_add(moved(in[0], 2), in[2])};
    cj_node *sum = cj_logsumexp(cj_stack(ways, 3, -1), 1, (const int64_t[]){-1}, false);
    cj_graph_output(body, NULL, cj_add(in[1], sum));
    return body;
}

/* Labels [batch, n] with blanks between and around: [batch, 2 n + 1]. */
static cj_node *with_blanks(cj_node *labels, cj_node *blank)
{
    cj_node *blanks = cj_mul(labels, cj_scalar(labels->call->graph, CJ_I64, 0));
    blanks = cj_add(blanks, blank);
    cj_node *pairs[] = {blanks, labels}, *one = cj_slice_axis(blanks, 1, 0, 1);
    cj_node *both = cj_stack(pairs, 2, -1);
    if (!both || !one) return NULL;
    both = cj_reshape(both, 2, (const cj_dim[]){labels->type.dim[0], 2 * labels->type.dim[1]});
    cj_node *parts[] = {both, one};
    return cj_concat(parts, 2, 1);
}

static cj_node *checked_labels(cj_node *prediction, cj_node *target, int64_t blank)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g || !target) return NULL;
    cj_dim classes = prediction->type.rank == 3 ? prediction->type.dim[2] : 0;
    if (prediction->type.rank != 3)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "ctc: the prediction has rank %d, expected [batch, steps, classes]",
                             prediction->type.rank);
    if (cj_dtype_info(prediction->type.dtype)->kind != CJ_KIND_FLOAT)
        return cj_graph_fail(g, CJ_ERR_TYPE, "ctc: the prediction is %s, expected floats",
                             cj_dtype_info(prediction->type.dtype)->name);
    if (classes >= 0 && blank >= classes)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "ctc: blank=%lld is none of %lld classes",
                             (long long)blank, (long long)classes);
    if (target == cj_zero || target->type.rank != 2 || target->type.dim[1] < 1)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "ctc: the target has rank %d, expected [batch, labels], padded with "
                             "blanks or -1, their number fixed and at least 1",
                             target == cj_zero ? 0 : target->type.rank);
    if (!cj__dim_agree(g, prediction->call, target->type.dim[0], prediction->type.dim[0]))
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "ctc: the prediction has %s along axis 0, the target %s",
                             cj_dim_text(g, prediction->type.dim[0]),
                             cj_dim_text(g, target->type.dim[0]));
    return cj_cast(target, CJ_I64);
}

static cj_node *build_ctc(cj_node *prediction, cj_node *target, const void *options)
{
    const ctc_options *o = options;
    cj_node *labels = checked_labels(prediction, target, o->blank);
    if (!labels) return NULL;
    cj_graph *g = prediction->call->graph;
    const int64_t last[] = {-1};
    cj_node *blank = cj_scalar(g, CJ_I64, (double)o->blank), *two = cj_scalar(g, CJ_I64, 2);
    /* Padding: negative, or the blank itself. */
    cj_node *is_label = cj_logical_and(cj_not_equal(labels, blank),
                                       cj_greater_equal(labels, cj_scalar(g, CJ_I64, 0)));
    cj_node *length = cj_reduce_sum(cj_cast(is_label, CJ_I64), 1, last, true);
    labels = cj_where(is_label, labels, blank);
    cj_node *z = labels ? with_blanks(labels, blank) : NULL;
    if (!z) return NULL;
    /* Whether z[s] may follow z[s - 2] directly. */
    cj_node *before = cj_pad(z, (const int64_t[]){0, 2}, (const int64_t[]){0, -2}, 0);
    cj_node *skips = cj_logical_and(cj_not_equal(z, blank), cj_not_equal(z, before));
    /* log p[z] of each step: [steps, batch, 2 n + 1]. */
    cj_node *log_p = cj__loss_log_probabilities(prediction, o->from_logits);
    cj_dim dims[] = {prediction->type.dim[0], prediction->type.dim[1], z->type.dim[1]};
    cj_node *indices = cj_broadcast_to(cj_expand_dims(z, 1), 3, dims);
    cj_node *each_step = cj_transpose(cj_gather_along(log_p, indices, -1), (int64_t[]){1, 0, 2});
    if (!each_step) return NULL;
    /* Before the first step: as if on the first blank. */
    cj_node *place = cj_iota(g, CJ_I64, 1, 2, (const cj_dim[]){dims[0], dims[2]});
    cj_node *impossible = cj__number_like(each_step, IMPOSSIBLE);
    cj_node *alpha = cj_where(cj_equal(place, cj_scalar(g, CJ_I64, 0)), cj_zero, impossible);
    cj_node *skip = cj_where(skips, cj_zero, impossible);
    cj_graph *body = alpha && skip ? step(alpha) : NULL;
    if (!body) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    alpha = cj_scan(&alpha, 1, &each_step, 1, false, body, &skip, 1);
    /* The end is the last label or the blank behind it. */
    cj_node *end = cj_mul(length, two);
    cj_node *ends = cj_logical_or(cj_equal(place, end), cj_equal(cj_shift(place, 1), end));
    cj_node *log_sum = cj_logsumexp(cj_where(ends, alpha, impossible), 1, last, false);
    cj_node *possible = cj_greater(log_sum, cj__number_like(log_sum, IMPOSSIBLE / 10));
    return cj_where(possible, cj_neg(log_sum),
                    cj__number_like(log_sum, o->zero_infinity ? 0 : INFINITY));
}
const cj_loss cj_loss_ctc = {
    .name = "ctc",
    .doc =
        "-log of the probability of all ways to write the labels over the steps (Graves et al. "
        "2006); the prediction [batch, steps, classes], the target [batch, labels] padded at its "
        "end with the blank, as Keras does, or with -1",
    .options_size = sizeof(ctc_options),
    .options = ctc_table,
    .build = build_ctc,
    .class_target = true,
    .whole = true,
    .aliases = "ctc_loss(from_logits=true)"};
