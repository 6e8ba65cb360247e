/* layers_embedding.c: numbers that name things become vectors, and vectors learn their place.
 *
 *     words [batch, length] -> embedding -> [batch, length, width] -> + positions
 *
 * A model's input may be of floats; the numbers are whole ones all the same. */
#include "nn/model.h"

#include <cajal/layers.h>
#include <cajal/norm.h>

/* ---- embedding ------------------------------------------------------------------------------- */

static const cj_option embedding_options[] = {
    CJ_OPTION_INT(cj_embedding_opts, input_dim, 0, 1, 0x1p31, "rows of the table"),
    CJ_OPTION_INT(cj_embedding_opts, output_dim, 0, 1, 0x1p31, "numbers in a row"),
    CJ_OPTION_BOOL(cj_embedding_opts, mask_zero, false, "0 is padding: masked, zeros, no gradient"),
    CJ_OPTION_INT(cj_embedding_opts, padding_index, -1, -1, 0x1p31,
                  "which number is padding; -1: none"),
    CJ_OPTION_STRING(cj_embedding_opts, embeddings_initializer, "random_uniform",
                     "first values of the table"),
    CJ_OPTION_STRING(cj_embedding_opts, embeddings_regularizer, NULL,
                     "added to the loss for the table: l2(0.01)"),
    CJ__CONSTRAINT_OPTION(cj_embedding_opts, embeddings_constraint),
    CJ_OPTION_STRING(cj_embedding_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *embedding_build(cj_layer_build *b)
{
    const cj_embedding_opts *o = b->options;
    cj_node *x = b->x[0];
    if (o->mask_zero && o->padding_index > 0)
        return cj__graph_fail(b->graph, b->name, CJ_ERR_ARGUMENT,
                              "mask_zero and padding_index=%lld name two paddings",
                              (long long)o->padding_index),
               NULL;
    cj_dtype_kind kind = cj_dtype_info(cj_node_dtype(x))->kind;
    if (kind == CJ_KIND_FLOAT || kind == CJ_KIND_BOOL) x = cj_cast(x, CJ_I32);
    if (o->mask_zero) b->mask = cj_not_equal(x, cj__number_like(x, 0));
    cj_node *table = cj_layer_parameter(b, "embeddings", 2,
                                        (int64_t[]){o->input_dim, o->output_dim},
                                        o->embeddings_initializer, 0, 0, o->embeddings_regularizer);
    table = cj_layer_constraint(b, table, o->embeddings_constraint);
    cj_embedding_lookup_opts how = {.struct_size = sizeof how,
                                    .has_padding = o->mask_zero || o->padding_index >= 0,
                                    .padding_index = o->mask_zero ? 0 : o->padding_index};
    return (cj_embedding_lookup)(table, x, &how);
}

CJ__LAYER_OF_NUMBERS(embedding, "each whole number becomes a row of a table", embedding_build,
                     "input_dim=50, output_dim=3, mask_zero=true : 4", CJ_MASK_READS)

/* ---- positions ------------------------------------------------------------------------------- */

/* x [batch, length, width] as floats; NULL with a failed graph. */
static cj_node *sequence_of(cj_layer_build *b)
{
    cj_node *x = cj__layer_float(b, b->x[0]);
    if (x && (cj_node_rank(x) != 3 || cj_node_dim(x, 2) < 0))
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "its input is of rank %d; [batch, length, numbers] is expected",
                              cj_node_rank(x)),
               NULL;
    return x;
}

static const cj_option position_options[] = {
    CJ_OPTION_INT(cj_position_embedding_opts, sequence_length, 0, 0, 0x1p31,
                  "rows of the table; 0: the input's length"),
    CJ_OPTION_STRING(cj_position_embedding_opts, initializer, "glorot_uniform",
                     "first values of the table"),
    CJ_OPTION_STRING(cj_position_embedding_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *position_build(cj_layer_build *b)
{
    const cj_position_embedding_opts *o = b->options;
    cj_node *x = sequence_of(b);
    if (!x) return NULL;
    cj_dim length = cj_node_dim(x, 1);
    int64_t rows = o->sequence_length ? o->sequence_length : length;
    if (rows < 0 || (length >= 0 && length > rows))
        return cj__graph_fail(b->graph, b->name, CJ_ERR_SHAPE,
                              "sequence_length=%lld for inputs of length %s",
                              (long long)o->sequence_length, cj_dim_text(b->graph, length)),
               NULL;
    cj_node *table = cj_layer_parameter(b, "embeddings", 2, (int64_t[]){rows, cj_node_dim(x, 2)},
                                        o->initializer, 0, 0, NULL);
    return cj_add(x, length == rows ? table : cj_slice_axis(table, 0, 0, length));
}

CJ__LAYER_ROW(position_embedding, position_options, "y = x + a learned row for each position",
              position_build, "sequence_length=6 : 4, 3", CJ_MASK_PASSES)

static const cj_option sine_options[] = {
    CJ_OPTION_FLOAT(cj_sine_position_encoding_opts, max_wavelength, 10000, 1, 1e300,
                    "of the slowest sine, over 2 pi"),
    CJ_OPTION_STRING(cj_sine_position_encoding_opts, name, NULL, "of the layer"), CJ_OPTION_END};

static cj_node *sine_build(cj_layer_build *b)
{
    const cj_sine_position_encoding_opts *o = b->options;
    cj_node *x = sequence_of(b);
    return x ? cj_add(x, cj_sinusoidal_positions(b->graph, cj_node_dtype(x), cj_node_dim(x, 1),
                                                 cj_node_dim(x, 2), o->max_wavelength))
             : NULL;
}

CJ__LAYER_ROW(sine_position_encoding, sine_options,
              "y = x + sines and cosines of each position (Vaswani et al. 2017)", sine_build,
              " : 3, 4", CJ_MASK_PASSES)
