/* line_search.h: a line search by the strong Wolfe conditions, an evaluation a run. */
#ifndef CAJAL_NN_LINE_SEARCH_H
#define CAJAL_NN_LINE_SEARCH_H

#include "nn/model.h"

/* A point of the line x + t d: what the loss is there, its slope along d, and its gradient. t, f
 * and slope are f64 scalars, the gradient f64 [all parameters]. */
typedef struct cj__line_point {
    cj_node *t, *f, *slope, *gradient;
} cj__line_point;

/* What stays the same from one line's first trial to its last. */
typedef struct cj__line {
    cj__line_point origin; /* t = 0 */
    cj_node *reach;        /* the largest element of |d| */
    double tolerance;      /* a bracket that moves no parameter by more is small enough */
} cj__line;

/* Where the search is between two evaluations. low and high: the bracket, low the better end;
 * before there is one, low is the point before the trial. */
typedef struct cj__line_search {
    cj__line_point low, high;
    cj_node *bracketed, *insufficient; /* bool */
    cj_node *tries;                    /* f64 */
} cj__line_search;

/* The first trial has been evaluated when this is the search before. */
cj__line_search cj__line_search_begin(const cj__line *line);

/* One step of the search, after the evaluation of `now`: *found says whether it ended, then *best
 * is the point; else the next trial is at *t, and `next` the state of the search. */
void cj__line_search_step(const cj__line *line, const cj__line_search *search,
                          const cj__line_point *now, cj__line_search *next, cj_node **found,
                          cj__line_point *best, cj_node **t);

/* Where condition: a, else b. */
cj__line_point cj__line_point_where(cj_node *condition, const cj__line_point *a,
                                    const cj__line_point *b);

#endif
