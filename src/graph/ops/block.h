/* block.h: what the operators that move elements share: blocks, lines, and checks of dimensions. */
#ifndef CAJAL_GRAPH_OPS_BLOCK_H
#define CAJAL_GRAPH_OPS_BLOCK_H

#include "graph/ops/map.h"

/* Copies dim[0] x dim[1] ... elements between two layouts. Strides count elements; 0 repeats one,
 * negative ones walk back. to and from point at the elements with all indices 0. */
typedef struct cj__block {
    int rank;
    int64_t dim[CJ_RANK_MAX], to_stride[CJ_RANK_MAX], from_stride[CJ_RANK_MAX];
} cj__block;

void cj__block_copy(const cj__block *block, cj_dtype dtype, void *to, const void *from);
/* stride[i] = product of the dimensions after i. */
void cj__strides(const cj_array *x, int64_t stride[CJ_RANK_MAX]);
/* Address of element i of an array's data. */
void *cj__element(const cj_array *x, int64_t i);
/* x = 0 in every element. */
void cj__clear(const cj_array *x);

/* An array taken apart along one axis: line i begins at cj__line_start, its elements are `stride`
 * apart. */
typedef struct cj__lines {
    int64_t count, length, stride;
} cj__lines;

cj__lines cj__lines_of(const cj_array *x, int64_t axis);
static inline int64_t cj__line_start(const cj__lines *l, int64_t i)
{
    return i / l->stride * l->length * l->stride + i % l->stride;
}

/* For rows whose only attribute is the axis of a cj__axis_attrs; initial -1 and 0. */
extern const cj_option cj__last_axis_options[], cj__first_axis_options[];

/* Each is a size or a symbol of the graph; at most `infer_max` are CJ_INFER. */
cj_status cj__infer_dims(cj_infer *infer, cj_ints dims, int infer_max);
/* A copy of n numbers that lives as long as the graph; NULL when out of memory. */
const int64_t *cj__keep_ints(cj_graph *g, const int64_t *v, int n);
/* Bound of begins, steps and paddings: sums of a few fit 63 bits. */
#define CJ__FAR 0x1p52
/* Zeros of the given sizes with x's elements at before + i (interior + 1); pad.c. */
cj_node *cj__pad_to(cj_node *x, const int64_t *before, const int64_t *interior, const cj_dim *size);
/* d + by, where by is a plain number that may be negative. */
cj_dim cj__dim_shift(cj_graph *g, cj_dim d, int64_t by);
/* Fails unless operand i holds indices: i32 or i64. */
cj_status cj__infer_indices(cj_infer *infer, int i);
/* Integers of other widths as i32 or i64; NULL and cj_zero stay. */
cj_node *cj__as_indices(cj_node *indices);
/* Index `at` made 0 .. size-1; false when it is out of range. */
bool cj__read_index(const cj_array *indices, int64_t at, int64_t size, int64_t *index);
/* y[to + i] += x[from + i] for n elements; integers wrap. */
void cj__add_row(cj_dtype dtype, int64_t n, void *y, int64_t to, const void *x, int64_t from);
/* The sum of a[ai + i a_step] b[bi + i b_step] for n elements of floats, in double; matmul.c. */
double cj__dot(const cj_array *a, int64_t ai, int64_t a_step, const cj_array *b, int64_t bi,
               int64_t b_step, int64_t n);
/* CJ_ERR_DATA: "index 9 at position [1, 2] is out of range for axis 0 of size 5". */
cj_status cj__index_fail(const cj_kernel *k, const cj_array *indices, int64_t at, int64_t axis,
                         int64_t size);
/* Fails unless operand i is a random key: i64[3]. random.c */
cj_status cj__infer_key(cj_infer *infer, int i);
/* -1 becomes the graph's next stream. Those given count too, so that a copy does not give them
 * again. */
void cj__take_stream(cj_graph *g, int64_t *stream);
/* cj_op.inplace: output 0 over operand 0. */
int cj__inplace_first(const cj_call *call, int output);
/* "[1, 2]": where element `at` of an array is. */
const char *cj__position(char text[128], const cj_array *x, int64_t at);

#endif
