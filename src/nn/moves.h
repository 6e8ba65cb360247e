/* moves.h: what belongs to a picture follows it.
 *
 * A layer that moves the pixels of pictures writes down how: which numbers, each a node of the
 * model's graph, and a cj__motion that does the same to other pictures and to points. Masks, boxes
 * and the picture itself, where they are targets, go the same way (cj__moves_follow).
 *
 * One that mixes the samples of a batch says of how many parts a sample then is, itself and the
 * ones behind it in the batch, and how much it has of each. */
#ifndef CAJAL_NN_MOVES_H
#define CAJAL_NN_MOVES_H

#include "nn/model.h"

enum { CJ__MOVE_NUMBERS = 8 };

typedef struct cj__move cj__move;
/* numbers: the record's, or their copies in the graph that x is in. */
typedef struct cj__motion {
    bool in_training; /* elsewhere nothing is moved */
    /* Pictures of the sizes the record has. labels: their numbers are classes, which are not to be
     * mixed, and what comes from outside is 0. */
    cj_node *(*pictures)(const cj__move *m, cj_node *const *numbers, cj_node *x, bool labels);
    /* x and y of points, each [batch, n], in pixels from the left and upper edge. NULL: it mixes.
     */
    void (*points)(const cj__move *m, cj_node *const *numbers, cj_node *xy[2]);
    /* Of layers that mix, in training: the first part is the sample itself. */
    int parts;
    bool blends; /* pixels are sums of those of all parts, so that masks are not moved but mixed */
    cj_node *(*share)(const cj__move *m, cj_node *const *numbers, int part); /* [batch] */
    /* Where boxes [batch, n, 5] of a part come to; NULL: that cannot be said. */
    cj_node *(*boxes)(const cj__move *m, cj_node *const *numbers, int part, cj_node *boxes);
} cj__motion;

struct cj__move {
    struct cj__move *next;
    const cj__motion *motion;
    const char *layer;   /* its name */
    const cj_node *x, *y; /* pictures before and behind */
    const void *options; /* as the motion knows them, of the graph's arena */
    cj_node *numbers[CJ__MOVE_NUMBERS]; /* NULL: not there */
};

/* Writes down that the layer makes y of the pictures x; numbers NULL: none. y, or NULL when the
 * graph has failed. */
cj_node *cj__layer_moves(cj_layer_build *b, const cj_node *x, cj_node *y, const cj__motion *motion,
                         const void *options, cj_node *const *numbers, int n);

/* v of the sample `part` places further in the batch, which begins again behind its last. */
cj_node *cj__part_of_batch(cj_node *v, int part);

typedef enum cj__follower {
    CJ__FOLLOWS_PICTURE,
    CJ__FOLLOWS_MASK,
    CJ__FOLLOWS_BOXES,
    CJ__FOLLOWS_CLASS /* of the whole sample, or other numbers: they are mixed, but go nowhere */
} cj__follower;
enum { CJ__PARTS_MAX = 16 };
/* What a target became: in training, parts of samples that are mixed, and how much of each. */
typedef struct cj__followed {
    int n; /* 1: nothing is mixed */
    cj_node *v[CJ__PARTS_MAX], *share[CJ__PARTS_MAX]; /* share: [batch]; not there when n is 1 */
} cj__followed;
/* What belongs to the model's first input, as it is fed, in an assembled graph: as it belongs to
 * what the layers before `output` that learn make of it. Masks are [batch, height, width], boxes as
 * CJ_FIELD_BOXES. A box of which less than a tenth is left in the picture becomes none. false: the
 * graph has failed. */
bool cj__moves_follow(cj_model *m, cj_graph *to, const cj_node *output, cj__follower what,
                      cj_node *v, cj__followed *out);
/* The part there is most of, in training; else the first. */
cj_node *cj__followed_most(const cj__followed *f);

#endif
