/* options.c: what a layer's configuration says, as the text of our layer's options: "units=32,
 * activation=relu, no_bias=true". The words of the row (rows.c) say which of its keys count; the
 * rest is of training, or changes nothing here. */
#include "format/keras/keras.h"

#include "base/registry.h"
#include "graph/ops/recurrent.h"

#include <string.h>

const char *cj__keras_string(const cj__json *object, const char *key)
{
    const cj__json *value = cj__json_find(object, key);
    return value && value->type == CJ__JSON_STRING ? value->string : NULL;
}

double cj__keras_number(const cj__json *object, const char *key, double otherwise)
{
    const cj__json *value = cj__json_find(object, key);
    return value && value->type == CJ__JSON_NUMBER ? value->number : otherwise;
}

bool cj__keras_bool(const cj__json *object, const char *key, bool otherwise)
{
    const cj__json *value = cj__json_find(object, key);
    return value && value->type == CJ__JSON_BOOL ? value->boolean : otherwise;
}

/* ---- Activations ----------------------------------------------------------------------------- */

static bool is_word(const char *text)
{
    size_t n = 0;
    for (; text[n]; n++) {
        const char c = text[n];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return n > 0 && n < 64;
}

static bool is_recurrent(const cj__keras_layer *layer)
{
    return layer->row && (layer->row->build == cj__keras_build_recurrent ||
                          layer->row->build == cj__keras_build_cell);
}

/* Is it one of ours, or, in a recurrent layer, one of the operator's? */
static bool is_known(const cj__keras *k, const cj__keras_layer *layer, const char *name)
{
    const char *const *word = cj__gate_words;
    if (!is_recurrent(layer)) return strchr(name, '(') ||
                                     cj__named_known(k->cj, CJ__ROW_ACTIVATION, name);
    while (*word && strcmp(*word, name)) word++;
    return *word != NULL;
}

/* An activation's name, or a layer that is one: {"class_name": "LeakyReLU", "config": {...}}, or a
 * function written as {"class_name": "function", "config": "relu"}. */
cj_status cj__keras_activation(cj__keras *k, const cj__keras_layer *layer, const cj__json *value,
                               const char **out)
{
    *out = NULL;
    const char *name = value->type == CJ__JSON_STRING ? value->string : NULL;
    if (value->type == CJ__JSON_OBJECT) {
        const char *kind = cj__keras_string(value, "class_name");
        const cj__json *config = cj__json_find(value, "config");
        const cj__keras_row *row = kind ? cj__keras_row_of(kind) : NULL;
        if (config && config->type == CJ__JSON_STRING) name = config->string;
        else if (row && row->layer && !strcmp(row->layer, "activation") && config) {
            cj__keras_layer as = {.row = row, .config = config, .kind = kind, .name = layer->name};
            cj__text text;
            cj__text_init(&text, k->cj);
            cj_status failed = cj__keras_options(k, &as, &text);
            const char *function = failed ? NULL : strstr(cj__text_string(&text), "function=");
            if (function && !(*out = cj__arena_strdup(k->arena, function + 9)))
                failed = CJ_ERR_MEMORY;
            cj__text_release(&text);
            if (failed || *out) return failed;
        }
    }
    if (!name || !is_word(name))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "an activation that is no function of Keras's own");
    if (!strcmp(name, "linear")) return CJ_OK;
    if (!strcmp(name, "leaky_relu")) name = "leaky_relu(negative_slope=0.2)";
    /* Keras 3 changed its slope from 1/5 to 1/6; that of a recurrent operator is 1/5, and weights
     * make up for it (cj__keras_slow_gates). */
    if (!strcmp(name, "hard_sigmoid") && !is_recurrent(layer) && k->version < 3)
        name = "hard_sigmoid(slope=0.2)";
    if (!strcmp(name, "hard_swish")) name = "hard_silu";
    if (!is_known(k, layer, name))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "the activation '%s' is not known%s",
                              name, is_recurrent(layer) ? " in a recurrent layer" : "");
    *out = cj__arena_strdup(k->arena, name);
    return *out ? CJ_OK : CJ_ERR_MEMORY;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void append_list(cj__text *out, const cj__json *value)
{
    cj__text_char(out, '[');
    for (const cj__json *item = value->first; item; item = item->next) {
        cj__text_number(out, item->number);
        if (item->next) cj__text_add(out, ", ");
    }
    cj__text_char(out, ']');
}

static bool all_numbers(const cj__json *value)
{
    for (const cj__json *item = value->first; item; item = item->next)
        if (item->type != CJ__JSON_NUMBER) return false;
    return true;
}

static cj_status append_value(cj__keras *k, const cj__keras_layer *layer, const char *key,
                              char sign, const cj__json *value, cj__text *out)
{
    const char *activation;
    if (sign == '@') {
        CJ__TRY(cj__keras_activation(k, layer, value, &activation));
        cj__text_add(out, activation ? activation : "linear");
    } else if (value->type == CJ__JSON_BOOL)
        cj__text_add(out, value->boolean != (sign == '!') ? "true" : "false");
    else if (value->type == CJ__JSON_NUMBER) cj__text_number(out, value->number);
    else if (value->type == CJ__JSON_STRING && is_word(value->string))
        cj__text_add(out, value->string);
    else if (value->type == CJ__JSON_ARRAY && all_numbers(value)) append_list(out, value);
    else
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "%.40s of a form that is not read",
                              key);
    return out->failed;
}

/* ---- Regularizers and constraints ------------------------------------------------------------ */

/* "l2(l2=0.01)", where it is one of ours: false, and nothing is said, if not. Constraints have axes
 * of Keras's kernels, which those of a dense layer alone have, too. */
static bool append_rule(const cj__json *value, bool dense, cj__text *out)
{
    static const struct {
        const char *theirs, *ours, *keys;
        bool axis;
    } rules[] = {
        {"L1", "l1", "l1", false},
        {"L2", "l2", "l2", false},
        {"L1L2", "l1_l2", "l1 l2", false},
        {"NonNeg", "non_neg", "", false},
        {"MaxNorm", "max_norm", "max_value", true},
        {"UnitNorm", "unit_norm", "", true},
        {"MinMaxNorm", "min_max_norm", "min_value max_value rate", true},
    };
    const char *kind = cj__keras_string(value, "class_name");
    const cj__json *config = cj__json_find(value, "config"), *axis = cj__json_find(config, "axis");
    size_t i = 0;
    while (i < CJ__COUNT(rules) && (!kind || strcmp(rules[i].theirs, kind) != 0)) i++;
    if (axis && axis->type == CJ__JSON_ARRAY && axis->count == 1) axis = axis->first;
    if (i == CJ__COUNT(rules) || (rules[i].axis && !dense) ||
        (axis && (!axis->is_integer || axis->integer)))
        return false;
    cj__text_format(out, "%s(", rules[i].ours);
    int n = 0;
    for (const char *at = rules[i].keys; *at;) {
        char key[24];
        const size_t length = strcspn(at, " ");
        cj__format(key, sizeof key, "%.*s", (int)length, at);
        at += length + (at[length] == ' ');
        cj__text_format(out, "%s%s=", n++ ? ", " : "", key);
        cj__text_number(out, cj__keras_number(config, key, 0));
    }
    cj__text_char(out, ')');
    return true;
}

/* Those of the configuration that our layer has under the same name: kernel_regularizer. */
static void append_rules(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    const cj_layer *row = layer->row->layer ? cj_layer_find(k->cj, layer->row->layer) : NULL;
    cj__text rule;
    cj__text_init(&rule, k->cj);
    for (const cj_option *o = row ? row->options : NULL; o && o->name; o++) {
        const cj__json *value = cj__json_find(layer->config, o->name);
        if (!value || (!strstr(o->name, "_regularizer") && !strstr(o->name, "_constraint")))
            continue;
        cj__text_clear(&rule);
        if (append_rule(value, !strcmp(row->name, "dense"), &rule))
            cj__text_format(out, "%s%s=%s", out->length ? ", " : "", o->name,
                            cj__text_string(&rule));
    }
    if (rule.failed && !out->failed) out->failed = rule.failed;
    cj__text_release(&rule);
}

/* ---- All ------------------------------------------------------------------------------------- */

cj_status cj__keras_options(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    for (const char *at = layer->row->options; *at;) {
        char theirs[40], ours[40];
        const size_t n = strcspn(at, " "), equals = strcspn(at, " =");
        const char sign = *at == '!' || *at == '@' ? *at : 0;
        const size_t skip = sign ? 1 : 0;
        cj__format(theirs, sizeof theirs, "%.*s", (int)(equals - skip), at + skip);
        if (at[equals] == '=')
            cj__format(ours, sizeof ours, "%.*s", (int)(n - equals - 1), at + equals + 1);
        else cj__format(ours, sizeof ours, "%s", theirs);
        at += n + (at[n] == ' ');
        const cj__json *value = cj__json_find(layer->config, theirs);
        if (!value || value->type == CJ__JSON_NULL) continue;
        cj__text_format(out, "%s%s=", out->length ? ", " : "", ours);
        CJ__TRY(append_value(k, layer, theirs, sign, value, out));
    }
    if (layer->row->more) CJ__TRY(layer->row->more(k, layer, out));
    append_rules(k, layer, out);
    return out->failed;
}
