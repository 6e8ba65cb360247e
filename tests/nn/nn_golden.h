/* nn_golden.h: graphs run on golden arrays, and arrays compared with them. */
#ifndef CAJAL_TESTS_NN_GOLDEN_H
#define CAJAL_TESTS_NN_GOLDEN_H

#include <math.h>

#include <cajal/io.h>

#include "nn_support.h"
#include "support/golden.h"

static const char *const backends[] = {NULL, "reference"}; /* NULL: the best there is */

static inline cj_tensors *golden_load(cj_context *cj, const char *name)
{
    char path[512];
    cj_tensors *list = NULL;
    assert_ok(cj, cj_npz_load(cj, golden_path(path, name), &list));
    return list;
}

/* The last message is this, after the place in the caller's source or alone. */
static inline void assert_said(cj_context *cj, const char *message)
{
    const char *said = cj_message(cj), *place = strstr(said, ".c:"),
               *end = place ? strchr(place + 3, ' ') : NULL;
    assert_string_equal(end ? end + 1 : said, message);
}

/* "name/part"; NULL when there is none. */
static inline cj_tensor *golden_find(cj_tensors *list, const char *name, const char *part)
{
    char full[160];
    snprintf(full, sizeof full, "%s/%s", name, part);
    return cj_tensors_find(list, full);
}

static inline cj_tensor *golden_get(cj_tensors *list, const char *name, const char *part)
{
    cj_tensor *t = golden_find(list, name, part);
    if (!t) fail_msg("no golden array %s/%s", name, part);
    return t;
}

/* |found - expected| <= tolerance * max(1, |expected|), everywhere; what is NaN stays so. */
static inline void assert_near(const char *what, const cj_tensor *found, const cj_tensor *expected,
                               double tolerance)
{
    if (cj_tensor_count(found) != cj_tensor_count(expected) ||
        cj_tensor_rank(found) != cj_tensor_rank(expected))
        fail_msg("%s: %lld elements, rank %d; expected %lld, rank %d", what,
                 (long long)cj_tensor_count(found), cj_tensor_rank(found),
                 (long long)cj_tensor_count(expected), cj_tensor_rank(expected));
    for (int64_t i = 0; i < cj_tensor_count(found); i++) {
        double a = cj_load_f64(cj_tensor_dtype(found), cj_tensor_map_read(found), (size_t)i);
        double b = cj_load_f64(cj_tensor_dtype(expected), cj_tensor_map_read(expected), (size_t)i);
        if (isnan(a) && isnan(b)) continue;
        if (!(fabs(a - b) <= tolerance * fmax(1, fabs(b))))
            fail_msg("%s: element %lld is %.17g, expected %.17g", what, (long long)i, a, b);
    }
}

/* A placeholder with a free first axis. */
static inline cj_node *batch_placeholder(cj_graph *g, const char *name, cj_dtype dtype,
                                         const cj_tensor *like)
{
    cj_dim dims[CJ_RANK_MAX] = {cj_symbol(g, "batch")};
    for (int i = 1; i < cj_tensor_rank(like); i++) dims[i] = cj_tensor_shape(like)[i];
    return cj_placeholder(g, name, dtype, cj_tensor_rank(like), dims);
}

/* Runs y and the gradient of sum(y * cotangent) with respect to x. Values are fed as the
 * placeholders' dtypes. */
static inline void run_with_gradient(cj_context *cj, const char *backend, cj_node *y, cj_node *x,
                                     cj_node *cotangent, cj_node *const *inputs,
                                     cj_tensor *const *values, int n, cj_tensor *out[2])
{
    cj_graph *g = cj_node_graph(x);
    cj_node *dx = NULL, *dy = cotangent;
    assert_ok(cj, cj_graph_failed(g));
    assert_ok(cj, cj_vjp(&y, &dy, 1, &x, 1, &dx));
    cj_program *program = cj_compile(g, .outputs = {y, cj_zero_as(dx, x)}, .training = true);
    if (!program) fail_msg("%s", cj_message(cj));
    cj_session *s = cj_session_new_opts(program, cj_graph_store(g),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    assert_non_null(s);
    cj_feed feeds[8];
    for (int i = 0; i < n; i++)
        feeds[i] = (cj_feed){.node = inputs[i],
                             .value = cj_tensor_cast(values[i], cj_node_dtype(inputs[i]))};
    out[0] = out[1] = NULL;
    if (cj_run(s, feeds, n, out, 2)) fail_msg("%s", cj_session_message(s));
    for (int i = 0; i < n; i++) cj_tensor_free((cj_tensor *)feeds[i].value);
    cj_session_free(s);
    cj_program_free(program);
}

#endif
