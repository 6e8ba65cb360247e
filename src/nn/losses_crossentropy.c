/* losses_crossentropy.c: cross-entropies of two classes and of many, and their focal forms.
 *
 * Weights of classes multiply the loss of each position by the weight of its class; the mean then
 * divides by the sum of these weights, as PyTorch's does, and as the mean over samples that carry
 * such weights themselves does. */
#include "nn/losses.h"

typedef struct crossentropy_options {
    bool from_logits;
    double label_smoothing;
    cj_floats weights; /* of the positive targets (binary), of the classes */
    cj_ints ignore_class;
} crossentropy_options;

#define FROM_LOGITS(type, activation) \
    CJ_OPTION_BOOL(type, from_logits, false, "the prediction is not yet through " activation)
#define LABEL_SMOOTHING(type) \
    CJ_OPTION_FLOAT(type, label_smoothing, 0, 0, 1, \
                    "share of the target spread evenly (Szegedy et al. 2016)")
#define WEIGHTS(name, help) \
    { \
        name, CJ_OPTION_TYPE_FLOATS, offsetof(crossentropy_options, weights), {0}, {0}, 1e9, help \
    }
#define CLASS_WEIGHTS \
    WEIGHTS("class_weights", "what each class weighs, in the divisor of the mean too; none: 1")

static const cj_option binary_table[] = {
    FROM_LOGITS(crossentropy_options, "sigmoid"), LABEL_SMOOTHING(crossentropy_options),
    WEIGHTS("pos_weight",
            "what positive targets weigh: one number, or one for each output; none: 1"),
    CJ_OPTION_END};
static const cj_option categorical_table[] = {FROM_LOGITS(crossentropy_options, "softmax"),
                                              LABEL_SMOOTHING(crossentropy_options), CLASS_WEIGHTS,
                                              CJ_OPTION_END};
static const cj_option sparse_table[] = {
    FROM_LOGITS(crossentropy_options, "softmax"), LABEL_SMOOTHING(crossentropy_options),
    CLASS_WEIGHTS,
    CJ_OPTION_INTS(crossentropy_options, ignore_class, -2147483647, 2147483647,
                   "labels that do not count: 255, or [-1, 255]"),
    CJ_OPTION_END};

/* ---- Two classes ----------------------------------------------------------------------------- */

static cj_node *binary_target(cj_node *prediction, cj_node *target, double smoothing,
                              const char *loss)
{
    target = cj__target_like(prediction, target, loss);
    if (smoothing > 0) target = cj_shift(cj_scale(target, 1 - smoothing), smoothing / 2);
    return target;
}

static cj_node *one_minus(cj_node *x) { return cj_shift(cj_neg(x), 1); }

cj_node *cj__loss_binary(cj_node *prediction, cj_node *z, cj_node *t, cj_node *weight)
{
    cj_node *p = z ? NULL : cj__loss_clipped(prediction);
    cj_node *positive = z ? cj_softplus(cj_neg(z)) : cj_neg(cj_log(p));
    cj_node *negative = z ? cj_softplus(z) : cj_neg(cj_log(one_minus(p)));
    positive = cj_mul(t, positive);
    if (weight) positive = cj_mul(positive, weight);
    return cj_add(positive, cj_mul(one_minus(t), negative));
}

static cj_node *build_binary(cj_node *prediction, cj_node *target, const void *options)
{
    static const char name[] = "binary_crossentropy";
    const crossentropy_options *o = options;
    cj_node *t = binary_target(prediction, target, o->label_smoothing, name), *weight = NULL;
    if (!t) return NULL;
    if (o->weights.n &&
        !(weight = cj__loss_list(prediction, &o->weights, true, name, "pos_weight")))
        return NULL;
    cj_node *z = o->from_logits ? prediction : cj__loss_logits(prediction, &cj_op_sigmoid);
    return cj__loss_mean(cj__loss_binary(prediction, z, t, weight));
}
const cj_loss cj_loss_binary_crossentropy = {
    .name = "binary_crossentropy",
    .doc = "mean of -(t log p + (1 - t) log(1 - p))",
    .options_size = sizeof(crossentropy_options),
    .options = binary_table,
    .build = build_binary,
    .aliases =
        "bce_loss, binary_cross_entropy, binary_cross_entropy_with_logits(from_logits=true)"};

/* ---- Classes as one-hot or soft targets ------------------------------------------------------ */

static cj_node *class_weights(cj_node *prediction, const crossentropy_options *o, const char *loss)
{
    return cj__loss_list(prediction, &o->weights, false, loss, "class_weights");
}

static cj_node *build_categorical(cj_node *prediction, cj_node *target, const void *options)
{
    static const char name[] = "categorical_crossentropy";
    const crossentropy_options *o = options;
    if (!cj__loss_classes(prediction, name)) return NULL;
    target = cj__target_like(prediction, target, name);
    target = cj__loss_smoothed(prediction, target, o->label_smoothing, name);
    if (!target) return NULL;
    if (o->weights.n) target = cj_mul(target, class_weights(prediction, o, name));
    cj_node *log_p = cj__loss_log_probabilities(prediction, o->from_logits);
    return cj__loss_mean(cj_neg(cj__loss_last_sum(cj_mul(target, log_p), false)));
}
static cj_node *count_categorical(cj_node *prediction, cj_node *target, const void *options)
{
    static const char name[] = "categorical_crossentropy";
    const crossentropy_options *o = options;
    if (!o->weights.n) return NULL;
    target = cj__target_like(prediction, target, name);
    target = cj_mul(target, class_weights(prediction, o, name));
    return cj__loss_mean(cj__loss_last_sum(target, false));
}
const cj_loss cj_loss_categorical_crossentropy = {
    .name = "categorical_crossentropy",
    .doc = "-sum of w t log p over one-hot or soft targets",
    .options_size = sizeof(crossentropy_options),
    .options = categorical_table,
    .build = build_categorical,
    .count = count_categorical,
    .aliases = "soft_target_cross_entropy(from_logits=true)"};

/* ---- Classes as numbers ---------------------------------------------------------------------- */

static const char sparse[] = "sparse_categorical_crossentropy";

/* Labels [batch, ...] as whole numbers. */
static cj_node *labels_of(cj_node *prediction, cj_node *target)
{
    if (!cj__loss_classes(prediction, sparse) || !target) return NULL;
    cj_graph *g = prediction->call->graph;
    if (target == cj_zero)
        return cj_graph_fail(g, CJ_ERR_TYPE,
                             "%s: the target is cj_zero, expected classes as numbers", sparse);
    if (target->type.rank == prediction->type.rank && cj_node_dim(target, -1) == 1)
        target = cj_squeeze(target, -1);
    if (target && cj_dtype_info(target->type.dtype)->kind == CJ_KIND_FLOAT)
        target = cj_cast(target, CJ_I32);
    if (!target) return NULL;
    if (target->type.rank + 1 != prediction->type.rank)
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "%s: the prediction has rank %d, the target rank %d, expected %d%s",
                             sparse, prediction->type.rank, target->type.rank,
                             prediction->type.rank - 1,
                             prediction->type.rank > 2 ? " (flatten before the first dense?)" : "");
    return target;
}

/* Where the label is one of those that do not count. */
static cj_node *ignored(cj_node *labels, const cj_ints *list)
{
    cj_node *any = NULL, *wide = cj_cast(labels, CJ_I64); /* no label is cut to fit */
    for (int i = 0; wide && i < list->n; i++) {
        cj_node *is = cj_equal(wide, cj_scalar(cj_node_graph(wide), CJ_I64, (double)list->v[i]));
        any = any ? cj_logical_or(any, is) : is;
    }
    return any;
}

/* What positions hold: labels, class 0 where one does not count; where that is (NULL: nowhere);
 * their classes' weights (NULL: 1). */
typedef struct positions {
    cj_node *labels, *out, *weight;
} positions;

static bool positions_of(cj_node *prediction, cj_node *target, const crossentropy_options *o,
                         positions *at)
{
    *at = (positions){.labels = labels_of(prediction, target)};
    if (!at->labels) return false;
    if (o->ignore_class.n) {
        at->out = ignored(at->labels, &o->ignore_class);
        at->labels = at->out ? cj_where(at->out, cj_zero, at->labels) : NULL;
    }
    if (o->weights.n) at->weight = cj_gather(class_weights(prediction, o, sparse), at->labels, 0);
    return !cj_graph_failed(prediction->call->graph);
}

/* -log p[label]. */
static cj_node *number_losses(cj_node *prediction, cj_node *labels, bool from_logits)
{
    cj_node *z = from_logits ? prediction : cj__loss_logits(prediction, &cj_op_softmax);
    if (z) return cj_sparse_softmax_crossentropy(z, labels);
    /* log(sum p) - log p[label]; clipped probabilities do not quite sum to one, so the first term
     * goes. */
    z = cj__loss_log_probabilities(prediction, false);
    return cj_sub(cj_sparse_softmax_crossentropy(z, labels),
                  cj_logsumexp(z, 1, (const int64_t[]){-1}, false));
}

/* Smoothed, the label's class has 1 - s of the target, and each of the C classes has s / C. */
static cj_node *build_sparse(cj_node *prediction, cj_node *target, const void *options)
{
    const crossentropy_options *o = options;
    positions at;
    if (!positions_of(prediction, target, o, &at)) return NULL;
    cj_node *each = number_losses(prediction, at.labels, o->from_logits);
    if (at.weight) each = cj_mul(each, at.weight);
    if (o->label_smoothing > 0) {
        cj_node *all = cj__loss_log_probabilities(prediction, o->from_logits);
        if (o->weights.n) all = cj_mul(all, class_weights(prediction, o, sparse));
        all = cj_neg(cj_reduce_mean(all, 1, (const int64_t[]){-1}, false));
        each = cj_add(cj_scale(each, 1 - o->label_smoothing), cj_scale(all, o->label_smoothing));
    }
    return cj__loss_mean(at.out ? cj_where(at.out, cj_zero, each) : each);
}
static cj_node *count_sparse(cj_node *prediction, cj_node *target, const void *options)
{
    const crossentropy_options *o = options;
    positions at;
    if (!o->ignore_class.n && !o->weights.n) return NULL;
    if (!positions_of(prediction, target, o, &at)) return NULL;
    if (!at.weight) return cj__loss_mean(cj_cast(cj_logical_not(at.out), prediction->type.dtype));
    return cj__loss_mean(at.out ? cj_where(at.out, cj_zero, at.weight) : at.weight);
}
const cj_loss cj_loss_sparse_categorical_crossentropy = {
    .name = "sparse_categorical_crossentropy",
    .doc = "-w log p[label] for labels as numbers",
    .options_size = sizeof(crossentropy_options),
    .options = sparse_table,
    .build = build_sparse,
    .count = count_sparse,
    .integer_target = true,
    .aliases = "cross_entropy(from_logits=true), nll_loss(from_logits=true)"};

/* ---- Focal (Lin et al. 2017): sure positions count less -------------------------------------- */

typedef struct focal_options {
    bool from_logits, apply_class_balancing;
    double label_smoothing, gamma, alpha;
    cj_floats class_alpha;
} focal_options;

#define GAMMA \
    CJ_OPTION_FLOAT(focal_options, gamma, 2, 0, 100, "how fast sure ones count less; 0: not at all")
static const cj_option binary_focal_table[] = {
    FROM_LOGITS(focal_options, "sigmoid"), LABEL_SMOOTHING(focal_options), GAMMA,
    CJ_OPTION_FLOAT(focal_options, alpha, 0.25, 0, 1, "what the class 1 weighs, 0 the rest"),
    CJ_OPTION_BOOL(focal_options, apply_class_balancing, false, "whether alpha is used"),
    CJ_OPTION_END};
static const cj_option categorical_focal_table[] = {
    FROM_LOGITS(focal_options, "softmax"), LABEL_SMOOTHING(focal_options), GAMMA,
    {"alpha", CJ_OPTION_TYPE_FLOATS, offsetof(focal_options, class_alpha), {0}, {0}, 1e9,
     "a factor, or one for each class; none: 0.25"},
    CJ_OPTION_END};

cj_node *cj__loss_focus(cj_node *x, double gamma)
{
    if (gamma == 0) return cj_full_like(x, 1);
    return cj_pow(cj_maximum(x, cj__number_like(x, 1e-30)), cj__number_like(x, gamma));
}

static cj_node *build_binary_focal(cj_node *prediction, cj_node *target, const void *options)
{
    const focal_options *o = options;
    cj_node *t = binary_target(prediction, target, o->label_smoothing, "binary_focal_crossentropy");
    if (!t) return NULL;
    cj_node *z = o->from_logits ? prediction : cj__loss_logits(prediction, &cj_op_sigmoid);
    cj_node *p = z ? cj_sigmoid(z) : prediction, *q = z ? cj_sigmoid(cj_neg(z)) : one_minus(p);
    cj_node *wrong = cj_add(cj_mul(t, q), cj_mul(one_minus(t), p));
    cj_node *each = cj_mul(cj__loss_focus(wrong, o->gamma),
                           cj__loss_binary(prediction, z, t, NULL));
    if (o->apply_class_balancing) /* t alpha + (1 - t) (1 - alpha) */
        each = cj_mul(each, cj_shift(cj_scale(t, 2 * o->alpha - 1), 1 - o->alpha));
    return cj__loss_mean(each);
}
const cj_loss cj_loss_binary_focal_crossentropy = {
    .name = "binary_focal_crossentropy",
    .doc = "mean of -(1 - q)^gamma log q, q = p for the class 1, 1 - p for 0 (Lin et al. 2017)",
    .options_size = sizeof(focal_options),
    .options = binary_focal_table,
    .build = build_binary_focal,
    .aliases = "focal, sigmoid_focal_loss(from_logits=true, apply_class_balancing=true)"};

/* From logits 1 - p is -(e^(log p) - 1), exact for the surest. */
static cj_node *build_categorical_focal(cj_node *prediction, cj_node *target, const void *options)
{
    static const char name[] = "categorical_focal_crossentropy";
    const focal_options *o = options;
    cj_node *t = cj__loss_one_hot(prediction, target, name);
    t = cj__loss_smoothed(prediction, t, o->label_smoothing, name);
    if (!t) return NULL;
    cj_node *log_p = cj__loss_log_probabilities(prediction, o->from_logits);
    cj_node *each = cj_mul(t, cj_mul(cj__loss_focus(cj_neg(cj_expm1(log_p)), o->gamma), log_p));
    cj_node *alpha = o->class_alpha.n
                         ? cj__loss_list(prediction, &o->class_alpha, true, name, "alpha")
                         : cj__number_like(prediction, 0.25);
    return cj__loss_mean(cj_neg(cj__loss_last_sum(cj_mul(each, alpha), false)));
}
const cj_loss cj_loss_categorical_focal_crossentropy = {
    .name = "categorical_focal_crossentropy",
    .doc = "-sum of alpha t (1 - p)^gamma log p over one-hot targets or class numbers (Lin et al. "
           "2017)",
    .options_size = sizeof(focal_options),
    .options = categorical_focal_table,
    .build = build_categorical_focal,
    .class_target = true,
    .aliases = "softmax_focal_loss(from_logits=true)"};
