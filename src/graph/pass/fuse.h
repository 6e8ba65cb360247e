/* fuse.h: what fuse.c finds and fuse_write.c writes. */
#ifndef CAJAL_GRAPH_PASS_FUSE_H
#define CAJAL_GRAPH_PASS_FUSE_H

#include "graph/pass/pass.h"

enum {
    CJ__GROUP_CALLS = 48,
    CJ__GROUP_EDGES = 40,  /* values it reads from outside */
    CJ__GROUP_OPERANDS = 4, /* of one of its calls */
    CJ__GROUP_FIRST = -1
};

/* What a call is to groups. */
typedef enum cj__fuse_kind {
    CJ__FUSE_PLAIN,   /* in no group */
    CJ__FUSE_SPREAD,  /* broadcast: in no group, copied into the body of each that reads it */
    CJ__FUSE_VIEW,    /* in a group where it views one element a row */
    CJ__FUSE_POINT,   /* elementwise */
    CJ__FUSE_ONE_HOT, /* rows from one element for each */
    CJ__FUSE_REDUCE,
    CJ__FUSE_ROWWISE  /* softmax */
} cj__fuse_kind;

typedef struct cj__group {
    int first, last; /* its calls are linked from first to last by `next` */
    int calls;
    int place;       /* CJ__GROUP_FIRST, or the id of one of its calls */
    int reader;      /* lowest place of a reader outside */
    const cj_type *shape; /* that all is about; NULL: none */
    int leading;     /* axes that number rows, where some reduction says so, else -1 */
    int outer;       /* axes before those that a reduction in the middle takes, else 0 */
    bool reduces, late;
    int stage;       /* of its calls, where stages stay apart, else 0 */
} cj__group;

typedef struct cj__fuser {
    const cj_graph *g;
    cj_graph *to;
    cj__arena scratch;
    int n;              /* calls = the most groups there can be */
    int *group_of;      /* by call */
    int *next;          /* by call: the next one of its group, -1 */
    int *sibling;       /* by call: the last group's call that reads it whole, -1 */
    cj__group *groups;  /* by number: the id of one of its calls */
    unsigned char *kind, *live;
    unsigned char *rows;     /* by call: gives one element a row */
    unsigned char *terminal; /* by call: a reduction that its own group cannot read */
    unsigned char *late;     /* by call: needed by updates alone */
    unsigned char *escapes;  /* by call: read from outside its group */
    unsigned char *again;    /* by call: computed again by each group that reads it */
    cj_node **map, **inner;  /* by call: what stands for it in the new graph, in its group's body */
    int *inner_of;           /* by call: the body that `inner` is for */
    cj_node ***roots;
    int n_roots, first_late, n_late; /* roots that are updates */
    bool apart;         /* forward and backward calls do not meet: what is recomputed stays late */
} cj__fuser;

static inline cj__group *cj__group_at(cj__fuser *f, int call)
{
    return &f->groups[f->group_of[call]];
}
/* Is the call computed in a group, whatever becomes of it? */
static inline bool cj__is_member(const cj__fuser *f, int call)
{
    return f->kind[call] >= CJ__FUSE_POINT;
}
/* A view outside of groups moves nothing: it is written when it is first read, so it is there as
 * soon as what it views is. */
static inline bool cj__is_free_view(const cj__fuser *f, int call)
{
    return f->kind[call] == CJ__FUSE_VIEW && f->group_of[call] == call &&
           f->groups[call].calls == 1;
}
/* Operand k of a call; of a member, what a broadcast makes it from. */
cj_node *cj__fuse_source(const cj__fuser *f, const cj_call *call, int k);
/* fuse_again.c: which values are computed again. */
bool cj__fuse_again(cj__fuser *f);
/* fuse_write.c: the new graph, groups in the order of their places. */
bool cj__fuse_write(cj__fuser *f);

#endif
