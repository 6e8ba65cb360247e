/* preprocess.h: what layers that make numbers of categories share. */
#ifndef CAJAL_NN_PREPROCESS_H
#define CAJAL_NN_PREPROCESS_H

#include "nn/model.h"

/* How places in a list come out: as they are, or as zeros and ones, or as counts. */
enum { CJ__ENCODE_INT, CJ__ENCODE_ONE_HOT, CJ__ENCODE_MULTI_HOT, CJ__ENCODE_COUNT };
extern const char *const cj__encode_words[]; /* "int", "one_hot", "multi_hot", "count" */
int cj__encode_mode(const char *word);       /* of these words */

/* Places [batch, ..., n] (i64) as the mode says, in the model's dtype: one_hot [batch, ..., n,
 * depth], where an n of 1 is left out; multi_hot and count [batch, ..., depth]. Places outside 0 ..
 * depth-1 count as none. */
cj_node *cj__encode(cj_layer_build *b, cj_node *places, int64_t depth, int mode);

/* A constant of these numbers. */
cj_node *cj__layer_constant(cj_layer_build *b, cj_dtype dtype, int rank, const int64_t *dims,
                            const void *values);

#endif
