/* losses_pairs.c: losses of how near embeddings are to each other.
 *
 * contrastive, hinge_embedding   the prediction is a distance
 * margin_ranking    two scores a sample: [batch, 2]
 * cosine_embedding  two embeddings a sample, stacked: [batch, 2, width]
 * triplet_margin    three, stacked: [batch, 3, width]
 * triplet, circle   one, with a label; triplets, or pairs, are found in the batch
 * info_nce, nt_xent one, and its partner as the target; the rest of the batch are the others
 *
 * Where samples of a batch are compared, a sample's loss depends on the batch it came in. */
#include "nn/losses.h"

typedef struct pair_options {
    double margin, temperature, gamma;
    int mining, distance;
    bool soft, swap, symmetric, remove_diagonal;
} pair_options;

/* More than any distance in float. */
#define FAR 1e30

/* ---- Given pairs and triplets ---------------------------------------------------------------- */

static const cj_option contrastive_table[] = {
    CJ_OPTION_FLOAT(pair_options, margin, 1, 0, 1e6, "how far apart different ones should be"),
    CJ_OPTION_END};
static cj_node *contrastive(cj_node *d, cj_node *t, double margin)
{
    cj_node *near = cj_square(cj_relu(cj_shift(cj_neg(d), margin)));
    return cj_add(cj_mul(t, cj_square(d)), cj_mul(cj_shift(cj_neg(t), 1), near));
}
CJ__LOSS_OF_ELEMENTS(
    contrastive, "contrastive_loss",
    "mean of t d^2 + (1 - t) max(0, margin - d)^2, the prediction a distance d, t 1 "
    "for alike (Hadsell et al. 2006)",
    pair_options, contrastive_table, contrastive(p, t, o->margin))

static const cj_option hinge_embedding_table[] = {
    CJ_OPTION_FLOAT(pair_options, margin, 1, 0, 1e6, "distance from which different ones are free"),
    CJ_OPTION_END};
CJ__LOSS_OF_ELEMENTS(hinge_embedding, "hinge_embedding_loss",
                     "mean of d for t > 0 and max(0, margin - d) else, the prediction a distance "
                     "d, t 1 for alike, -1 "
                     "or 0 for different",
                     pair_options, hinge_embedding_table,
                     cj_where(cj_greater(t, cj__number_like(t, 0)), p,
                              cj_relu(cj_shift(cj_neg(p), o->margin))))

static const cj_option margin_ranking_table[] = {
    CJ_OPTION_FLOAT(pair_options, margin, 0, 0, 1e6, "by how much the better one should lead"),
    CJ_OPTION_END};
static cj_node *build_margin_ranking(cj_node *prediction, cj_node *target, const void *options)
{
    static const char name[] = "margin_ranking";
    const pair_options *o = options;
    cj_graph *g = cj_node_graph(prediction);
    if (!g) return NULL;
    const int rank = prediction->type.rank;
    if (rank != 2 || prediction->type.dim[1] != 2)
        return cj_graph_fail(
            g, CJ_ERR_SHAPE,
            "%s: the prediction has rank %d and %s along axis 1, expected [batch, 2]", name, rank,
            rank > 1 ? cj_dim_text(g, prediction->type.dim[1]) : "nothing");
    cj_node *first = cj_slice_axis(prediction, 1, 0, 1),
            *lead = cj_sub(first, cj_slice_axis(prediction, 1, 1, 1)),
            *t = cj__target_like(first, target, name);
    if (!t) return NULL;
    return cj__loss_mean(cj_relu(cj_shift(cj_neg(cj_mul(cj__loss_sign(t), lead)), o->margin)));
}
const cj_loss cj_loss_margin_ranking = {
    .name = "margin_ranking",
    .doc =
        "max(0, margin - s (a - b)), the prediction two scores a and b: [batch, 2], s = 1 for t > "
        "0: a should be the larger one, else -1",
    .options_size = sizeof(pair_options),
    .options = margin_ranking_table,
    .build = build_margin_ranking,
    .class_target = true,
    .aliases = "margin_ranking_loss"};

/* Embedding i of those stacked along axis 1. */
static cj_node *embedding(cj_node *prediction, int i)
{
    cj_node *x = cj_slice_axis(prediction, 1, i, 1);
    return cj_squeeze(x, 1);
}

static bool stacked(cj_node *prediction, int n, const char *loss)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g) return false;
    int rank = prediction->type.rank;
    if (rank == 3 && prediction->type.dim[1] == n) return true;
    cj_graph_fail(g, CJ_ERR_SHAPE,
                  "%s: the prediction has rank %d and %s along axis 1, expected [batch, %d, width]",
                  loss, rank, rank > 1 ? cj_dim_text(g, prediction->type.dim[1]) : "nothing", n);
    return false;
}

static const cj_option cosine_table[] = {
    CJ_OPTION_FLOAT(pair_options, margin, 0, -1, 1, "cosine from which different ones cost"),
    CJ_OPTION_END};
static cj_node *build_cosine_embedding(cj_node *prediction, cj_node *target, const void *options)
{
    static const char name[] = "cosine_embedding";
    const pair_options *o = options;
    if (!stacked(prediction, 2, name)) return NULL;
    cj_node *product = cj_mul(cj__loss_unit(embedding(prediction, 0)),
                              cj__loss_unit(embedding(prediction, 1)));
    cj_node *cosine = cj__loss_last_sum(product, false);
    cj_node *t = cosine ? cj__target_like(cj_expand_dims(cosine, -1), target, name) : NULL;
    if (!t) return NULL;
    t = cj_squeeze(t, -1);
    return cj_where(cj_greater(t, cj__number_like(t, 0)), cj_shift(cj_neg(cosine), 1),
                    cj_relu(cj_shift(cosine, -o->margin)));
}
const cj_loss cj_loss_cosine_embedding = {
    .name = "cosine_embedding",
    .doc =
        "1 - cos(a, b) for t > 0, max(0, cos(a, b) - margin) else, the prediction a and b stacked: "
        "[batch, 2, width]",
    .options_size = sizeof(pair_options),
    .options = cosine_table,
    .build = build_cosine_embedding,
    .class_target = true,
    .aliases = "cosine_embedding_loss"};

static const cj_option triplet_margin_table[] = {
    CJ_OPTION_FLOAT(pair_options, margin, 1, 0, 1e6, "by how much the negative should be farther"),
    CJ_OPTION_BOOL(pair_options, swap, false,
                   "the negative's distance to the positive counts when it is smaller"),
    CJ_OPTION_END};
/* |a - b + 1e-6|: PyTorch's way to have a slope at 0. */
static cj_node *separation(cj_node *a, cj_node *b)
{
    return cj_sqrt(cj__loss_last_sum(cj_square(cj_shift(cj_sub(a, b), 1e-6)), false));
}
static cj_node *build_triplet_margin(cj_node *prediction, cj_node *target, const void *options)
{
    const pair_options *o = options;
    (void)target;
    if (!stacked(prediction, 3, "triplet_margin")) return NULL;
    cj_node *anchor = embedding(prediction, 0), *positive = embedding(prediction, 1),
            *negative = embedding(prediction, 2);
    cj_node *far = separation(anchor, negative);
    if (o->swap) far = cj_minimum(far, separation(positive, negative));
    return cj_relu(cj_shift(cj_sub(separation(anchor, positive), far), o->margin));
}
const cj_loss cj_loss_triplet_margin = {
    .name = "triplet_margin",
    .doc =
        "max(0, |a - p| - |a - n| + margin), the prediction a, p and n stacked: [batch, 3, width]; "
        "the target is not looked at",
    .options_size = sizeof(pair_options),
    .options = triplet_margin_table,
    .build = build_triplet_margin,
    .class_target = true,
    .aliases = "triplet_margin_loss"};

/* ---- Triplets found in the batch ------------------------------------------------------------- */

enum { SEMI_HARD, HARD };
enum { EUCLIDEAN, SQUARED, COSINE };
static const char *const mining_words[] = {"semi_hard", "hard", NULL};
static const char *const distance_words[] = {"euclidean", "squared_euclidean", "cosine", NULL};
static const cj_option triplet_table[] = {
    CJ_OPTION_WORD(pair_options, mining, SEMI_HARD, mining_words,
                   "semi_hard: each positive, the nearest negative beyond it, or the farthest; "
                   "hard: the farthest positive, the nearest negative"),
    CJ_OPTION_FLOAT(pair_options, margin, 1, 0, 1e6, "by how much negatives should be farther"),
    CJ_OPTION_WORD(pair_options, distance, EUCLIDEAN, distance_words, "between embeddings"),
    CJ_OPTION_BOOL(pair_options, soft, false, "hard: log(1 + e^(d+ - d-)) instead of a margin"),
    CJ_OPTION_END};

/* Between all samples of the batch: [batch, batch]. |a|^2 + |b|^2 - 2 a b, never below 0; the
 * root's slope at 0 counts as 0. */
static cj_node *distances(cj_node *x, int kind)
{
    if (kind == COSINE) {
        cj_node *unit = cj__loss_unit(x);
        return cj_shift(cj_neg(cj_matmul_transposed(unit, unit, false, true)), 1);
    }
    cj_node *squares = cj__loss_last_sum(cj_square(x), true);
    cj_node *sums = cj_add(squares, cj_transpose(squares, NULL));
    cj_node *d = cj_relu(cj_sub(sums, cj_scale(cj_matmul_transposed(x, x, false, true), 2)));
    if (kind == SQUARED || !d) return d;
    cj_node *apart = cj_greater(d, cj__number_like(d, 0));
    return cj_where(apart, cj_sqrt(cj_where(apart, d, cj__number_like(d, 1))), cj_zero);
}

/* Which pairs [anchor, other] are of one class and which of two, as bools. An anchor without a
 * negative has no positives either, and the other way round: it is in no triplet. */
typedef struct pairs {
    cj_node *positive, *negative;
} pairs;

static cj_node *any_along_last(cj_node *is)
{
    cj_node *n = cj_reduce_sum(is, 1, (const int64_t[]){-1}, true);
    return cj_greater(n, cj__number_like(n, 0));
}

/* own: a sample and itself count as a pair of one class. */
static bool pairs_of(cj_node *prediction, cj_node *target, const char *loss, bool own, pairs *out)
{
    cj_graph *g = cj_node_graph(prediction);
    if (!g || !target) return false;
    if (prediction->type.rank != 2) {
        cj_graph_fail(g, CJ_ERR_SHAPE,
                      "%s: the prediction has rank %d, expected [batch, width]", loss,
                      prediction->type.rank);
        return false;
    }
    cj_node *label = cj_reduce_sum(prediction, 1, (const int64_t[]){-1}, true);
    label = label ? cj__target_like(label, target, loss) : NULL;
    if (!label) return false;
    cj_node *same = cj_equal(label, cj_transpose(label, NULL));
    cj_dim n = prediction->type.dim[0], square[2] = {n, n};
    cj_node *other = cj_not_equal(cj_iota(g, CJ_I32, 0, 2, square),
                                  cj_iota(g, CJ_I32, 1, 2, square));
    cj_node *positive = own ? same : cj_logical_and(same, other), *negative = cj_logical_not(same);
    out->positive = cj_logical_and(positive, any_along_last(negative));
    out->negative = cj_logical_and(negative, any_along_last(positive));
    return out->positive && out->negative;
}

/* For anchor i and positive j the nearest negative k beyond d_ij, else the farthest of all. */
static cj_node *semi_hard(cj_node *d, const pairs *is, double margin)
{
    cj_node *far = cj__number_like(d, FAR), *zero = cj__number_like(d, 0);
    cj_node *to_negative = cj_expand_dims(d, 1), *negative = cj_expand_dims(is->negative, 1);
    cj_node *beyond = cj_logical_and(negative, cj_greater(to_negative, cj_expand_dims(d, 2)));
    cj_node *outside = cj_reduce_min(cj_where(beyond, to_negative, far), 1, (const int64_t[]){-1},
                                     false);
    cj_node *inside = cj_reduce_max(cj_where(is->negative, d, cj_zero), 1, (const int64_t[]){-1},
                                    true);
    cj_node *chosen = cj_where(cj_less(outside, far), outside, inside);
    cj_node *each = cj_where(is->positive, cj_relu(cj_shift(cj_sub(d, chosen), margin)), zero);
    return cj__loss_last_sum(each, false);
}

static cj_node *hard(cj_node *d, const pairs *is, const pair_options *o)
{
    const int64_t last[] = {-1};
    cj_node *far = cj__number_like(d, FAR);
    cj_node *positive = cj_reduce_max(cj_where(is->positive, d, cj_zero), 1, last, true),
            *negative = cj_reduce_min(cj_where(is->negative, d, far), 1, last, true);
    cj_node *gap = cj_sub(positive, negative);
    cj_node *each = o->soft ? cj_softplus(gap) : cj_relu(cj_shift(gap, o->margin));
    return cj_squeeze(cj_where(any_along_last(is->positive), each, cj_zero), -1);
}

static cj_node *build_triplet(cj_node *prediction, cj_node *target, const void *options)
{
    const pair_options *o = options;
    pairs is;
    if (!pairs_of(prediction, target, "triplet", false, &is)) return NULL;
    cj_node *d = distances(prediction, o->distance);
    if (!d) return NULL;
    return o->mining == HARD ? hard(d, &is, o) : semi_hard(d, &is, o->margin);
}
/* Triplets of each anchor: one, or one for each positive. */
static cj_node *count_triplet(cj_node *prediction, cj_node *target, const void *options)
{
    const pair_options *o = options;
    pairs is;
    if (!pairs_of(prediction, target, "triplet", false, &is)) return NULL;
    cj_node *n = o->mining == HARD ? any_along_last(is.positive) : is.positive;
    return n ? cj__loss_last_sum(cj_cast(n, prediction->type.dtype), false) : NULL;
}
const cj_loss cj_loss_triplet = {
    .name = "triplet",
    .doc =
        "sum over an anchor's triplets in the batch of max(0, d+ - d- + margin), the prediction "
        "embeddings [batch, width], the target labels (Schroff et al. 2015, Hermans et al. 2017)",
    .options_size = sizeof(pair_options),
    .options = triplet_table,
    .build = build_triplet,
    .count = count_triplet,
    .class_target = true,
    .whole = true,
    .aliases = "triplet_semihard_loss, triplet_hard_loss(mining=hard)"};

/* ---- All pairs of the batch ------------------------------------------------------------------ */

static const cj_option circle_table[] = {
    CJ_OPTION_FLOAT(pair_options, gamma, 80, 1e-6, 1e6, "how much the worst pairs outweigh others"),
    CJ_OPTION_FLOAT(pair_options, margin, 0.4, 0, 1, "relaxation: the radius of the circle"),
    CJ_OPTION_BOOL(pair_options, remove_diagonal, true,
                   "a sample and itself are no pair of one class"),
    CJ_OPTION_END};

/* log of the sum of e^x over the pairs of each anchor; far below any other where there is none. */
static cj_node *log_sum(cj_node *x, cj_node *pair)
{
    return cj_logsumexp(cj_where(pair, x, cj__number_like(x, -FAR)), 1, (const int64_t[]){-1},
                        false);
}

/* With d = 1 - a b the weights of the paper are d + m for pairs of one class, where d >= 0, and
 * max(0, 1 + m - d) for others, so that the exponents are g (d + m) (d - m) and
 * g max(0, 1 + m - d) (1 - m - d). Keras lets gradients pass the weights. */
static cj_node *build_circle(cj_node *prediction, cj_node *target, const void *options)
{
    const pair_options *o = options;
    pairs is;
    if (!pairs_of(prediction, target, "circle", !o->remove_diagonal, &is)) return NULL;
    cj_node *d = cj_relu(cj_shift(
        cj_neg(cj_matmul_transposed(prediction, prediction, false, true)), 1));
    cj_node *near = cj_neg(d);
    cj_node *positive = cj_scale(cj_mul(cj_shift(d, o->margin), cj_shift(d, -o->margin)), o->gamma),
            *negative = cj_scale(cj_mul(cj_relu(cj_shift(near, 1 + o->margin)),
                                        cj_shift(near, 1 - o->margin)),
                                 o->gamma);
    return cj_softplus(cj_add(log_sum(positive, is.positive), log_sum(negative, is.negative)));
}
/* Anchors with a pair of each kind. */
static cj_node *count_circle(cj_node *prediction, cj_node *target, const void *options)
{
    const pair_options *o = options;
    pairs is;
    if (!pairs_of(prediction, target, "circle", !o->remove_diagonal, &is)) return NULL;
    cj_node *any = any_along_last(is.positive);
    return any ? cj_squeeze(cj_cast(any, prediction->type.dtype), -1) : NULL;
}
const cj_loss cj_loss_circle = {
    .name = "circle",
    .doc =
        "log(1 + sum e^(gamma (d + margin) (d - margin)) sum e^(gamma max(0, 1 + margin - d) (1 - "
        "margin - d))) over an anchor's pairs of one class, and of two, in the batch, d = 1 - a b, "
        "the prediction embeddings of length 1 [batch, width], the target labels (Sun et al. 2020)",
    .options_size = sizeof(pair_options),
    .options = circle_table,
    .build = build_circle,
    .class_target = true,
    .count = count_circle};

/* ---- One of the batch is the partner --------------------------------------------------------- */

#define TEMPERATURE(initial) \
    CJ_OPTION_FLOAT(pair_options, temperature, initial, 1e-4, 1e4, "of the softmax over cosines")
static const cj_option info_nce_table[] = {
    TEMPERATURE(0.07),
    CJ_OPTION_BOOL(pair_options, symmetric, false,
                   "the mean of both directions (CLIP, Radford et al. 2021)"),
    CJ_OPTION_END};
static const cj_option nt_xent_table[] = {TEMPERATURE(0.5), CJ_OPTION_END};

/* Cosines over the temperature: [batch of a, batch of b]. */
static cj_node *cosines(cj_node *a, cj_node *b, double temperature)
{
    return cj_scale(cj_matmul_transposed(cj__loss_unit(a), cj__loss_unit(b), false, true),
                    1 / temperature);
}

/* -log softmax of each row at its own number. */
static cj_node *own_number(cj_node *scores)
{
    if (!scores) return NULL;
    cj_node *numbers = cj_iota(scores->call->graph, CJ_I64, 0, 1, scores->type.dim);
    return cj_sparse_softmax_crossentropy(scores, numbers);
}

static cj_node *partners(cj_node *prediction, cj_node *target, const char *loss)
{
    cj_graph *g = cj_node_graph(prediction);
    if (g && prediction->type.rank != 2)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "%s: the prediction has rank %d, expected [batch, width]", loss,
                             prediction->type.rank);
    return cj__target_like(prediction, target, loss);
}

static cj_node *build_info_nce(cj_node *prediction, cj_node *target, const void *options)
{
    const pair_options *o = options;
    cj_node *t = partners(prediction, target, "info_nce");
    if (!t) return NULL;
    cj_node *scores = cosines(prediction, t, o->temperature), *each = own_number(scores);
    if (!o->symmetric) return each;
    return cj_scale(cj_add(each, own_number(cj_transpose(scores, NULL))), 0.5);
}
const cj_loss cj_loss_info_nce = {
    .name = "info_nce",
    .doc =
        "-log softmax over the batch's targets j of cos(p[i], t[j]) / temperature at j = i, both "
        "embeddings [batch, width] (van den Oord et al. 2018)",
    .options_size = sizeof(pair_options),
    .options = info_nce_table,
    .build = build_info_nce,
    .whole = true,
    .aliases = "clip_loss(symmetric=true)"};

/* The others of p[i] are all t and all p but itself; the other way round for t[i]. */
static cj_node *build_nt_xent(cj_node *prediction, cj_node *target, const void *options)
{
    const pair_options *o = options;
    cj_node *t = partners(prediction, target, "nt_xent"), *views[] = {prediction, t}, *sum = NULL;
    if (!t) return NULL;
    cj_graph *g = prediction->call->graph;
    cj_dim square[] = {prediction->type.dim[0], prediction->type.dim[0]};
    cj_node *self = cj_equal(cj_iota(g, CJ_I32, 0, 2, square), cj_iota(g, CJ_I32, 1, 2, square));
    for (int i = 0; i < 2; i++) {
        cj_node *own = cosines(views[i], views[i], o->temperature);
        own = cj_where(self, cj__number_like(own, -FAR), own);
        cj_node *scores[] = {cosines(views[i], views[1 - i], o->temperature), own};
        cj_node *each = scores[0] && own ? own_number(cj_concat(scores, 2, 1)) : NULL;
        sum = i ? cj_add(sum, each) : each;
    }
    return cj_scale(sum, 0.5);
}
const cj_loss cj_loss_nt_xent = {
    .name = "nt_xent",
    .doc = "as info_nce, both ways, among all 2 batch - 1 other embeddings (Chen et al. 2020)",
    .options_size = sizeof(pair_options),
    .options = nt_xent_table,
    .build = build_nt_xent,
    .whole = true,
    .aliases = "nt_xent_loss"};
