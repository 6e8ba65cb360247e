/* moves.h: what belongs to a picture follows it.
 *
 * A layer that moves the pixels of pictures writes down how: which numbers, each a node of the
 * model's graph, and a cj__motion that does the same to other pictures and to points. Masks, boxes
 * and the picture itself, where they are targets, go the same way (cj__moves_follow). */
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
    /* x and y of points, each [batch, n], in pixels from the left and upper edge. */
    void (*points)(const cj__move *m, cj_node *const *numbers, cj_node *xy[2]);
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

typedef enum cj__follower { CJ__FOLLOWS_PICTURE, CJ__FOLLOWS_MASK, CJ__FOLLOWS_BOXES } cj__follower;
/* What belongs to the model's first input, as it is fed, in an assembled graph: as it belongs to
 * what the layers before `output` that learn make of it. Masks are [batch, height, width], boxes as
 * CJ_FIELD_BOXES. A box of which less than a tenth is left in the picture becomes none. NULL: the
 * graph has failed. */
cj_node *cj__moves_follow(cj_model *m, cj_graph *to, const cj_node *output, cj__follower what,
                          cj_node *v);

#endif
