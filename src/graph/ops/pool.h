/* pool.h: the geometry of one pooling, shared by the rows and the kernels of backends.
 *
 * A pooling ties an image x to an image y with one element for each window of x. max_pool and
 * avg_pool go from x to y, pool_spread and avg_pool_grad from y to x. */
#ifndef CAJAL_GRAPH_OPS_POOL_H
#define CAJAL_GRAPH_OPS_POOL_H

#include "graph/ops/window.h"

/* lp_pool: the attributes of the others come first. */
typedef struct cj__lp_pool_attrs {
    cj__pool_attrs pool;
    double p;
} cj__lp_pool_attrs;

/* All sizes, always with three spatial axes: missing ones come first and have size 1. Strides count
 * elements. */
typedef struct cj__pool {
    int64_t images, channels, places; /* places of a window */
    cj__window axis[CJ__SPATIAL_MAX];
    int64_t x_image, x_channel, x_axis[CJ__SPATIAL_MAX];
    int64_t y_image, y_channel, y_axis[CJ__SPATIAL_MAX];
    bool channels_last;
} cj__pool;

cj__pool cj__pool_of(const cj__pool_attrs *a, const cj_array *x, const cj_array *y);

/* Where an element of x or of y is. */
typedef struct cj__spot {
    int64_t at[CJ__SPATIAL_MAX];
    int64_t x, y; /* offsets of its image and channel in x and in y */
    int64_t own;  /* its own offset */
} cj__spot;
/* Element number e of y (of_y) or of x, counted in the order image, axes, channel. */
cj__spot cj__pool_spot(const cj__pool *p, int64_t e, bool of_y);
/* The offset in x of place q of the window at `s`; -1: it is padding. */
int64_t cj__pool_place(const cj__pool *p, const cj__spot *s, int64_t q);
/* The offset in y of the window whose place q is the element at `s`; -1: there is none. window
 * (or NULL) is set to where it is. */
int64_t cj__pool_window(const cj__pool *p, const cj__spot *s, int64_t q, int64_t *window);
/* By how much avg_pool divides the sum of the window at `at`. */
double cj__pool_divisor(const cj__pool_attrs *a, const cj__pool *p, const int64_t *at);

/* ---- Shape rules and builders ---------------------------------------------------------------- */

/* y = x with the number of windows along each spatial axis. covered: a window that is all padding
 * is an error. */
cj_status cj__infer_pool(cj_infer *infer, const cj_type *x, cj_type *y, bool covered);
/* The reverse: x = y with the attribute dims for spatial sizes, which must give y. */
cj_status cj__infer_unpool(cj_infer *infer, const cj_type *y, cj_type *x);
/* The spatial sizes of an image as an attribute; `room` holds them. */
cj_ints cj__spatial_dims(const cj_type *x, int64_t channel_axis, cj_dim room[CJ__SPATIAL_MAX]);
/* The padding in front of axis i, which `same` makes a matter of the size n, maybe a symbol. */
cj_dim cj__pool_before(cj_graph *g, const cj__sliding *s, int i, cj_dim n, int64_t kernel);
/* The operator of these attributes on x, and on x and another operand. */
cj_node *cj__apply_pool(const cj_op *op, cj_node *x, cj_node *other, const cj__pool_attrs *a);
/* pool_lower.c: the rows' lowerings, for spatial sizes that are numbers. */
bool cj__max_pool_lower(cj_graph *g, cj_call *call, cj_node **out);
bool cj__pool_pick_lower(cj_graph *g, cj_call *call, cj_node **out);
bool cj__pool_spread_lower(cj_graph *g, cj_call *call, cj_node **out);
bool cj__avg_pool_lower(cj_graph *g, cj_call *call, cj_node **out);
bool cj__avg_pool_grad_lower(cj_graph *g, cj_call *call, cj_node **out);
/* Attributes and the shape of x of sample i, shared by all rows; false past the last. */
bool cj__pool_sample(int i, cj__pool_attrs *a, int *rank, int64_t x[CJ_RANK_MAX],
                     int64_t y[CJ_RANK_MAX]);

#define CJ__POOL_OPTIONS                                                                           \
    CJ_OPTION_INTS(cj__pool_attrs, kernel, 1, 2147483647.0, "places of a window"),                 \
        CJ_OPTION_INTS(cj__pool_attrs, strides, 1, 2147483647.0,                                   \
                       "from window to window; none given: the kernel"),                           \
        CJ_OPTION_INTS(cj__pool_attrs, dilations, 1, 2147483647.0, "from place to place"),         \
        CJ_OPTION_INTS(cj__pool_attrs, pads_before, 0, 2147483647.0, "padding in front"),          \
        CJ_OPTION_INTS(cj__pool_attrs, pads_after, 0, 2147483647.0, "padding behind"),             \
        CJ_OPTION_WORD(cj__pool_attrs, padding, CJ__PADDING_EXPLICIT, cj__padding_words,           \
                       "where pads come from"),                                                    \
        CJ_OPTION_BOOL(cj__pool_attrs, ceil_mode, false, "round the number of windows up"),        \
        CJ_OPTION_INT(cj__pool_attrs, channel_axis, -1, -CJ_RANK_MAX, CJ_RANK_MAX - 1,             \
                      "1 or the last")
#define CJ__POOL_SIZES CJ_OPTION_DIMS(cj__pool_attrs, dims, "spatial sizes of the result")

#endif
