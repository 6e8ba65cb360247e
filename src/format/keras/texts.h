/* texts.h: what the files of TextVectorization share. */
#ifndef CAJAL_FORMAT_KERAS_TEXTS_H
#define CAJAL_FORMAT_KERAS_TEXTS_H

#include "format/keras/keras.h"

enum { CJ__NGRAMS = 8 };

/* A token and its key, and which it is. */
typedef struct cj__token {
    const char *text;
    int64_t key, number;
} cj__token;

typedef struct cj__texts {
    cj__keras *k;
    const cj__keras_layer *layer;
    cj__keras_words words, tokens; /* tokens: the words, or, of ngrams, the words in these */
    cj__token *sorted;
    int widths[CJ__NGRAMS], n_widths; /* of ngrams, in their order; 0: none */
    int64_t longest, r[2];
    char split; /* 'w'hitespace, 'c'haracter, 'n'one */
    bool lower, strip, places; /* places: output_mode=int */
    int64_t length;            /* output_sequence_length; 0: none */
} cj__texts;

/* What was found in texts: at each place, if one is there, the number of a word, -1 of one that is
 * not known; and which of its text it is. All [batch, places]. */
typedef struct cj__found {
    cj_node *number, *is, *at;
} cj__found;

/* words.c: the tokens' keys. Then the words of texts x i64 [batch, bytes], of which one has at most
 * *most. */
cj_status cj__texts_sort(cj__texts *t);
cj_status cj__texts_split(const cj__texts *t, cj_node *x, cj__found *out, cj_dim *most);

/* Constants; NULL goes through all of these. */
cj_node *cj__texts_table(const cj__texts *t, int64_t n, const int64_t *values);
cj_node *cj__texts_whole(const cj__texts *t, int64_t value);
/* values[at] of a list. */
cj_node *cj__texts_look_up(cj_node *values, cj_node *at);
/* The sums of x [batch, T] by segment: [batch, size]. */
cj_node *cj__texts_by_segment(const cj__texts *t, cj_node *x, cj_node *segment, cj_dim size);
/* The last of n sorted keys that is not above; the first where all are. */
cj_node *cj__texts_candidate(const cj__texts *t, cj_node *keys, int64_t n, cj_node *key);

#endif
