/* layers_preprocess.c: what data needs before a network takes it, as layers, so that it is saved in
 * the model: scales, bins, categories. Nothing here is learned, and no gradient passes where whole
 * numbers come out. */
#include "nn/preprocess.h"

#include <cajal/layers.h>

#include <string.h>

/* ---- rescaling, normalization ---------------------------------------------------------------- */

static const cj_option rescaling_options[] = {
    CJ_OPTION_FLOAT(cj_rescaling_opts, scale, 0, -1e300, 1e300, "factor; 0 counts as 1"),
    CJ_OPTION_FLOAT(cj_rescaling_opts, offset, 0, -1e300, 1e300, "what is added afterwards"),
    CJ_OPTION_STRING(cj_rescaling_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *rescaling_build(cj_layer_build *b)
{
    const cj_rescaling_opts *o = b->options;
    cj_node *x = cj_scale(cj__layer_float(b, b->x[0]), o->scale != 0 ? o->scale : 1);
    return cj_identity(cj_shift(x, o->offset));
}

static const cj_option normalization_options[] = {
    CJ_OPTION_FLOATS(cj_normalization_opts, mean, -1e300, 1e300, "of each number of the last axis"),
    CJ_OPTION_FLOATS(cj_normalization_opts, variance, 0, 1e300, "of each"),
    CJ_OPTION_BOOL(cj_normalization_opts, invert, false, "y = x sqrt(variance) + mean instead"),
    CJ_OPTION_STRING(cj_normalization_opts, name, NULL, "of the layer"), CJ_OPTION_END};

cj_node *cj__layer_constant(cj_layer_build *b, cj_dtype dtype, int rank, const int64_t *dims,
                            const void *values)
{
    cj_tensor *t = cj_tensor_from(b->graph->cj, dtype, rank, dims, values);
    cj_node *y = t ? cj_constant(b->graph, t) : NULL;
    if (!t) cj__graph_fail(b->graph, b->name, CJ_ERR_MEMORY, "out of memory");
    cj_tensor_free(t);
    return y;
}

/* The list in x's dtype; the graph fails, and names the option, when it does not fit. */
static cj_node *vector_for(cj_layer_build *b, cj_node *x, const cj_floats *list, const char *option)
{
    const int64_t n = list->n, last = cj_node_rank(x) > 1 ? cj_node_dim(x, -1) : 1;
    if (n < 1 || (n > 1 && n != last))
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "%s has %lld numbers, expected one, or %s as the last axis has",
                              option, (long long)n, cj_dim_text(b->graph, last)),
               NULL;
    return cj_cast(cj__layer_constant(b, CJ_F64, 1, &n, list->v), x->type.dtype);
}

/* As Keras: a deviation below its epsilon, 1e-7, counts as that. */
static cj_node *normalization_build(cj_layer_build *b)
{
    const cj_normalization_opts *o = b->options;
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x) return NULL;
    cj_node *mean = vector_for(b, x, &o->mean, "mean"),
            *deviation = cj_sqrt(vector_for(b, x, &o->variance, "variance"));
    if (o->invert) return cj_add(cj_mul(x, deviation), mean);
    return cj_div(cj_sub(x, mean),
                  cj_maximum(deviation, cj__number_like(x, 1e-7)));
}

/* ---- Whole numbers --------------------------------------------------------------------------- */

static const cj_option discretization_options[] = {
    CJ_OPTION_FLOATS(cj_discretization_opts, bin_boundaries, -1e300, 1e300,
                     "rising; bin 0 is below the first"),
    CJ_OPTION_STRING(cj_discretization_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *discretization_build(cj_layer_build *b)
{
    const cj_floats *list = &((const cj_discretization_opts *)b->options)->bin_boundaries;
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (!x) return NULL;
    if (!list->n)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT, "bin_boundaries are required"),
               NULL;
    for (int i = 1; i < list->n; i++)
        if (!(list->v[i] > list->v[i - 1]))
            return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                                  "bin_boundaries[%d]=%g is not above %g before it", i, list->v[i],
                                  list->v[i - 1]),
                   NULL;
    const int64_t n = list->n;
    cj_node *bounds = cj_cast(cj__layer_constant(b, CJ_F64, 1, &n, list->v), x->type.dtype);
    cj_node *reached = cj_cast(cj_greater_equal(cj_expand_dims(x, -1), bounds), CJ_I64);
    return cj_reduce_sum(reached, 1, (int64_t[]){-1}, false);
}

/* ---- Categories ------------------------------------------------------------------------------ */

const char *const cj__encode_words[] = {"int", "one_hot", "multi_hot", "count", NULL};

int cj__encode_mode(const char *word)
{
    int mode = 0;
    while (cj__encode_words[mode] && strcmp(cj__encode_words[mode], word)) mode++;
    return mode;
}

cj_node *cj__encode(cj_layer_build *b, cj_node *places, int64_t depth, int mode)
{
    const int64_t numbers = -2;
    if (!places || mode == CJ__ENCODE_INT) return places;
    const int rank = cj_node_rank(places);
    if (mode == CJ__ENCODE_ONE_HOT && rank > 1 && cj_node_dim(places, -1) == 1)
        places = cj_squeeze(places, -1);
    if (mode != CJ__ENCODE_ONE_HOT && rank == 1) places = cj_expand_dims(places, -1);
    cj_node *hot = cj_one_hot(places, depth, cj__layers_of(b->graph)->dtype);
    return mode == CJ__ENCODE_ONE_HOT ? hot
           : mode == CJ__ENCODE_COUNT ? cj_reduce_sum(hot, 1, &numbers, false)
                                      : cj_reduce_max(hot, 1, &numbers, false);
}

static const cj_option category_encoding_options[] = {
    CJ_OPTION_INT(cj_category_encoding_opts, num_tokens, 0, 1, 0x1p31, "how many categories"),
    CJ_OPTION_CHOICE(cj_category_encoding_opts, output_mode, "multi_hot",
                     cj__encode_words + CJ__ENCODE_ONE_HOT,
                     "1 for each that occurs; an axis more for each number; or how often"),
    CJ_OPTION_STRING(cj_category_encoding_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *category_encoding_build(cj_layer_build *b)
{
    const cj_category_encoding_opts *o = b->options;
    const int mode = cj__encode_mode(o->output_mode);
    if (cj_node_rank(b->x[0]) < 2 && mode != CJ__ENCODE_ONE_HOT)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d; [batch, ..., numbers] is expected",
                              cj_node_rank(b->x[0])),
               NULL;
    return cj__encode(b, cj_cast(b->x[0], CJ_I64), o->num_tokens, mode);
}

CJ__LAYER_WITH_MASKS(rescaling, "y = scale x + offset", rescaling_build, "scale=0.5, offset=1 : 4",
                     CJ_MASK_PASSES)
CJ__LAYER_WITH_MASKS(normalization, "y = (x - mean) / sqrt(variance), numbers that are given",
                     normalization_build, "mean=[1, 2, 3], variance=[1, 4, 9] : 3", CJ_MASK_PASSES)
CJ__LAYER_OF_KEYWORDS(discretization, "the number of the bin that x lies in, from 0",
                      discretization_build, "bin_boundaries=[-1, 0, 0.5] : 4")
CJ__LAYER_OF_NUMBERS(category_encoding,
                      "whole numbers as zeros and ones, or counts; others than 0 to "
                      "num_tokens - 1 count as none",
                      category_encoding_build, "num_tokens=5, output_mode=count : 4", CJ_MASK_STOPS)
