/* training.c: what a model was compiled with: its loss and metrics become those of ours, so that
 * `evaluate` and `train from=` judge by them unless they are told otherwise. The optimizer is not
 * read.
 *
 *     .h5      attribute training_config   {"loss": "mse", "metrics": ["mae"], ...}
 *     .keras   compile_config, in the configuration
 *
 * A loss is a name, an object with options, or a list or an object of these, one for each output.
 * Whatever has another form or is no loss of Keras's is left out: nobody has asked for it. */
#include "format/keras/keras.h"

#include <string.h>

typedef struct alike {
    const char *theirs, *ours;
} alike;

/* Keras wants one-hot targets for categorical_crossentropy; our data sets have class numbers, for
 * which the sparse one is the same. */
static const alike losses[] = {
    {"mean_squared_error mse MSE", "mse"},
    {"mean_absolute_error mae MAE", "mae"},
    {"mean_absolute_percentage_error mape MAPE", "mape"},
    {"mean_squared_logarithmic_error msle MSLE", "msle"},
    {"huber huber_loss", "huber"},
    {"log_cosh logcosh", "log_cosh"},
    {"poisson", "poisson"},
    {"kl_divergence kullback_leibler_divergence kld", "kl_divergence"},
    {"cosine_similarity", "cosine_similarity"},
    {"binary_crossentropy", "binary_crossentropy"},
    {"categorical_crossentropy sparse_categorical_crossentropy", "sparse_categorical_crossentropy"},
};
static const alike metrics[] = {
    {"accuracy acc categorical_accuracy sparse_categorical_accuracy", "accuracy"},
    {"binary_accuracy", "binary_accuracy"},
    {"auc", "roc_auc"},
    {"precision", "precision"},
    {"recall", "recall"},
    {"mean_squared_error mse MSE", "mse"},
    {"root_mean_squared_error", "rmse"},
    {"mean_absolute_error mae MAE", "mae"},
    {"mean_absolute_percentage_error mape MAPE", "mape"},
    {"r2_score", "r2"},
    {"cosine_similarity", "cosine_similarity"},
};

static const char *find(const alike *list, size_t n, const char *name)
{
    for (size_t i = 0; name && i < n; i++)
        if (cj__keras_is_word(list[i].theirs, name)) return list[i].ours;
    return NULL;
}

/* A name, in one of its three forms: "mse", {"class_name": "function", "config": "mse"},
 * {"class_name": "MeanSquaredError", "config": {...}} or a metric's {"config": {"fn": "mse"}}. */
static const char *name_of(cj__keras *k, const cj__json *value)
{
    if (value->type == CJ__JSON_STRING) return value->string;
    const char *kind = cj__keras_string(value, "class_name");
    const cj__json *config = cj__json_find(value, "config");
    const cj__json *fn = cj__json_find(config, "fn");
    if (!kind) return NULL;
    if (config && config->type == CJ__JSON_STRING) return config->string;
    if (fn) return fn->type == CJ__JSON_STRING ? fn->string : cj__keras_string(fn, "config");
    return cj__keras_snake(k->arena, kind);
}

/* One loss as text: "huber(delta=2)". */
static bool add_loss(cj__keras *k, const cj__json *value, cj__text *out)
{
    const char *ours = find(losses, CJ__COUNT(losses), name_of(k, value));
    const cj__json *config = value->type == CJ__JSON_OBJECT ? cj__json_find(value, "config") : NULL;
    const char *reduction = cj__keras_string(config, "reduction");
    const double smoothing = cj__keras_number(config, "label_smoothing", 0),
                 delta = cj__keras_number(config, "delta", 1);
    if (!ours || (reduction && (!strcmp(reduction, "sum") || !strcmp(reduction, "none"))))
        return false;
    cj__text_add(out, ours);
    const char *next = "(";
    if (cj__keras_bool(config, "from_logits", false)) {
        cj__text_format(out, "%sfrom_logits=true", next);
        next = ", ";
    }
    if (smoothing > 0 && smoothing <= 1) {
        cj__text_format(out, "%slabel_smoothing=", next);
        cj__text_number(out, smoothing);
        next = ", ";
    }
    if (!strcmp(ours, "huber") && delta != 1) {
        cj__text_format(out, "%sdelta=", next);
        cj__text_number(out, delta);
        next = ", ";
    }
    if (*next == ',') cj__text_char(out, ')');
    return true;
}

/* The weight of an output's loss, of a list by number or an object by name. */
static double weight_of(const cj__json *weights, int i, const char *name)
{
    if (!weights) return 1;
    if (weights->type == CJ__JSON_OBJECT) return cj__keras_number(weights, name, 1);
    const cj__json *at = weights->type == CJ__JSON_ARRAY ? weights->first : NULL;
    while (at && i--) at = at->next;
    return at && at->type == CJ__JSON_NUMBER ? at->number : 1;
}

/* The losses of several outputs: "a: mse, b: 0.5 * mae". */
static bool add_losses(cj__keras *k, const cj__json *from, const cj__json *loss, cj__text *out)
{
    const int n = cj_graph_output_count(k->g);
    const cj__json *weights = cj__json_find(from, "loss_weights"), *at = loss->first;
    const bool list = loss->type == CJ__JSON_ARRAY;
    if (list && loss->count != (size_t)n) return false;
    for (int i = 0; i < n; i++) {
        const char *name = cj_graph_output_name(k->g, i);
        const cj__json *one = list ? at : cj__json_find(loss, name);
        const double weight = weight_of(weights, i, name);
        if (!one) return false;
        if (n > 1) cj__text_format(out, "%s%s: ", i ? ", " : "", name);
        if (weight != 1) {
            cj__text_number(out, weight);
            cj__text_add(out, " * ");
        }
        if (!add_loss(k, one, out)) return false;
        if (list) at = at->next;
    }
    return true;
}

/* Metrics of an only output: a list, perhaps in a list or an object with its name. */
static void add_metrics(cj__keras *k, const cj__json *from, cj__text *out)
{
    const cj__json *list = from;
    while (list && (list->type == CJ__JSON_ARRAY || list->type == CJ__JSON_OBJECT) &&
           list->count == 1 &&
           (list->first->type == CJ__JSON_ARRAY ||
            (list->type == CJ__JSON_OBJECT && !cj__json_find(list, "class_name"))))
        list = list->first;
    for (const cj__json *m = list && list->type == CJ__JSON_ARRAY ? list->first : NULL; m;
         m = m->next) {
        const char *ours = find(metrics, CJ__COUNT(metrics), name_of(k, m));
        if (ours && (!out->length || !strstr(cj__text_string(out), ours)))
            cj__text_format(out, "%s%s", out->length ? ", " : "", ours);
    }
}

static cj_status keep(cj_model *m, const cj__text *text, const char **to)
{
    if (text->failed) return text->failed;
    *to = text->length ? cj__arena_strdup(&m->arena, text->bytes) : NULL;
    return text->length && !*to ? CJ_ERR_MEMORY : CJ_OK;
}

cj_status cj__keras_read_training(cj__keras *k, const cj__json *from)
{
    const cj__json *loss = cj__json_find(from, "loss");
    cj__text text;
    if (!loss) return CJ_OK;
    const bool one = loss->type == CJ__JSON_STRING || cj__json_find(loss, "class_name"),
               many = loss->type == CJ__JSON_ARRAY || loss->type == CJ__JSON_OBJECT;
    cj__text_init(&text, k->cj);
    cj_status failed = CJ_OK;
    if (one ? add_loss(k, loss, &text) : many && add_losses(k, from, loss, &text))
        failed = keep(k->m, &text, &k->m->loss);
    cj__text_release(&text);
    if (failed || cj_graph_output_count(k->g) != 1) return failed;
    cj__text_init(&text, k->cj);
    add_metrics(k, cj__json_find(from, "metrics"), &text);
    failed = keep(k->m, &text, &k->m->metrics);
    cj__text_release(&text);
    return failed;
}
