/* einsum.h: equations such as "...ij,jk->...ik": what their letters say, for einsum.c and for
 * layers whose weights have shapes that an equation tells. */
#ifndef CAJAL_GRAPH_OPS_EINSUM_H
#define CAJAL_GRAPH_OPS_EINSUM_H

#include "graph/graph.h"

enum { CJ__EINSUM_OPERANDS = 16 };

typedef struct cj__einsum_term { /* "b...ij" */
    int n;                       /* letters */
    char letter[CJ_RANK_MAX];
    int dots;                    /* how many letters stand before "..."; -1: there is none */
} cj__einsum_term;

typedef struct cj__einsum {
    int n; /* operands */
    cj__einsum_term in[CJ__EINSUM_OPERANDS], out;
    bool has_out; /* the equation has "->"; else `out` is what it means without */
} cj__einsum;

/* Reads an equation; blanks do not count. False with a failure that begins with `what`. */
bool cj__einsum_parse(cj_graph *g, const char *what, const char *equation, cj__einsum *out);
/* The place of a letter in a term, -1 when it is not there. */
int cj__einsum_find(const cj__einsum_term *term, char letter);

#endif
