/* control_sample.c: bodies for the generic tests of if, loop and scan: small recurrences whose
 * values and derivatives stay near one, so that a few steps in a narrow dtype are still exact
 * enough to compare. */
#include "graph/ops/control.h"

/* A placeholder like a node of the outer graph, whose dimensions are numbers. */
static cj_node *input_like(cj_graph *body, const char *name, const cj_node *like)
{
    return like ? cj_placeholder(body, name, like->type.dtype, like->type.rank, like->type.dim)
                : NULL;
}

static cj_node *real(cj_sampler *s, int rank, const int64_t *dims)
{
    return cj_sample_real(s, -1, 1, rank, dims);
}
static cj_node *number(cj_sampler *s, cj_dtype dtype, int64_t value)
{
    return cj_sample_int(s, dtype, value, value, 0, NULL);
}

/* ---- if -------------------------------------------------------------------------------------- */

/* then: (a sin(b), a); else: (tanh(b), a^2 b). */
static cj_graph *branch(cj_graph *g, bool then, const cj_node *a, const cj_node *b)
{
    cj_graph *body = cj_graph_new(g->cj);
    if (!body) return NULL;
    cj_node *x = input_like(body, "a", a), *y = input_like(body, "b", b);
    cj_graph_output(body, "p", then ? cj_mul(x, cj_sin(y)) : cj_tanh(y));
    cj_graph_output(body, "q", then ? x : cj_mul(cj_square(x), y));
    return body;
}

cj_node *cj__if_sample(cj_sampler *s, int i)
{
    cj_graph *g = cj_sampler_graph(s);
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    cj_node *captures[] = {real(s, rank, dims), real(s, rank, dims)};
    if (!captures[0] || !captures[1]) return NULL;
    return cj_if(number(s, CJ_BOOL, i % 2), branch(g, true, captures[0], captures[1]),
                 branch(g, false, captures[0], captures[1]), captures, 2);
}

/* ---- loop ------------------------------------------------------------------------------------ */

/* (x, y) -> (0.8 x k + 0.1 iteration, sin(y) - 0.5 x), stacking x y; goes on while iteration <
 * last. */
static cj_graph *recurrence(cj_graph *g, const cj_node *like, bool stacks, int last)
{
    cj_graph *body = cj_graph_new(g->cj);
    if (!body) return NULL;
    cj_node *iteration = cj_placeholder(body, "iteration", CJ_I64, CJ_SCALAR);
    cj_placeholder(body, "condition", CJ_BOOL, CJ_SCALAR);
    cj_node *x = input_like(body, "x", like), *y = input_like(body, "y", like),
            *k = input_like(body, "k", like);
    cj_node *t = iteration && like ? cj_cast(iteration, like->type.dtype) : NULL;
    cj_graph_output(body, NULL,
                    last < 0 ? cj_scalar(body, CJ_BOOL, 1)
                             : cj_less(iteration, cj_scalar(body, CJ_I64, last)));
    cj_graph_output(body, NULL, cj_add(cj_scale(cj_mul(x, k), 0.8), cj_scale(t, 0.1)));
    cj_graph_output(body, NULL, cj_sub(cj_sin(y), cj_scale(x, 0.5)));
    if (stacks) cj_graph_output(body, NULL, cj_mul(x, y));
    return body;
}

/* By turns: a known number of steps, with results stacked; a limit found at run time; a condition
 * that ends the loop, with and without a limit. */
cj_node *cj__loop_sample(cj_sampler *s, int i)
{
    cj_graph *g = cj_sampler_graph(s);
    int rank, kind = i % 4, steps = (i / 4 + i) % 4;
    int64_t dims[CJ_RANK_MAX];
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    cj_node *carried[] = {real(s, rank, dims), real(s, rank, dims)}, *k = real(s, rank, dims);
    cj_graph *body = recurrence(g, k, kind == 0, kind < 2 ? -1 : steps);
    cj_node *limit = kind == 0   ? cj_scalar(g, CJ_I64, steps)
                     : kind == 3 ? NULL
                                 : number(s, CJ_I64, kind == 1 ? steps : 9);
    cj_node *condition = kind < 2 ? NULL : number(s, CJ_BOOL, steps != 3);
    return body ? cj_loop(limit, condition, carried, 2, body, &k, 1) : NULL;
}

/* ---- scan ------------------------------------------------------------------------------------ */

/* (h), x, u -> (0.7 h x + sin(u)), stacking h cos(x): one carried value, two sequences. */
static cj_graph *product(cj_graph *g, const cj_node *like)
{
    cj_graph *body = cj_graph_new(g->cj);
    if (!body) return NULL;
    cj_node *h = input_like(body, "h", like), *x = input_like(body, "x", like),
            *u = input_like(body, "u", like);
    cj_graph_output(body, NULL, cj_add(cj_scale(cj_mul(h, x), 0.7), cj_sin(u)));
    cj_graph_output(body, NULL, cj_mul(h, cj_cos(x)));
    return body;
}

static cj_node *sample_product(cj_sampler *s, int rank, const int64_t *dims, int steps,
                               bool reverse)
{
    int64_t whole[CJ_RANK_MAX] = {steps};
    for (int k = 0; k < rank; k++) whole[k + 1] = dims[k];
    cj_node *h = real(s, rank, dims),
            *sequences[] = {real(s, rank + 1, whole), real(s, rank + 1, whole)};
    cj_graph *body = h ? product(cj_sampler_graph(s), h) : NULL;
    return body ? cj_scan(&h, 1, sequences, 2, reverse, body, NULL, 0) : NULL;
}

/* h = tanh(x w + h u + b), stacking h: a recurrent cell whose weights are captures. */
static cj_node *sample_cell(cj_sampler *s, int64_t steps, int64_t batch, int64_t in, int64_t units,
                            bool reverse)
{
    cj_graph *body = cj_graph_new(cj_sampler_graph(s)->cj);
    if (!body) return NULL;
    cj_node *h0 = real(s, 2, (int64_t[]){batch, units}),
            *xs = real(s, 3, (int64_t[]){steps, batch, in});
    cj_node *captures[] = {real(s, 2, (int64_t[]){in, units}),
                           real(s, 2, (int64_t[]){units, units}), real(s, 1, &units)};
    if (!h0 || !captures[2]) return NULL;
    cj_node *h = input_like(body, "h", h0),
            *x = cj_placeholder(body, "x", h0->type.dtype, 2, (int64_t[]){batch, in});
    cj_node *w = input_like(body, "w", captures[0]), *u = input_like(body, "u", captures[1]),
            *b = input_like(body, "b", captures[2]);
    cj_node *next = cj_tanh(cj_add(cj_add(cj_matmul(x, w), cj_matmul(h, u)), b));
    cj_graph_output(body, NULL, next);
    cj_graph_output(body, NULL, next);
    return cj_scan(&h0, 1, &xs, 1, reverse, body, captures, 3);
}

cj_node *cj__scan_sample(cj_sampler *s, int i)
{
    int rank;
    int64_t dims[CJ_RANK_MAX];
    if (i >= 24 && i < 32) return sample_cell(s, i % 4, 1 + i % 3, 2 + i % 2, 1 + i % 4, i % 2);
    if (!cj_sample_shape(i, &rank, dims)) return NULL;
    return sample_product(s, rank, dims, (i + 2) % 4, i % 3 == 1);
}
