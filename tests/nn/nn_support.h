/* nn_support.h: what the tests of models share. */
#ifndef CAJAL_TESTS_NN_SUPPORT_H
#define CAJAL_TESTS_NN_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cajal/nn.h>

#include "nn/model.h"

#ifndef CJ_SOURCE_DIR
#define CJ_SOURCE_DIR "."
#endif

static inline cj_context *test_context(void)
{
    cj_context *cj = cj_context_new(NULL);
    assert_non_null(cj);
    return cj;
}

/* A status that must be CJ_OK, with the sentence when it is not. */
static inline void assert_ok(cj_context *cj, cj_status status)
{
    if (status) print_error("%s\n", cj_message(cj));
    assert_int_equal(status, CJ_OK);
}

static inline void assert_message(cj_context *cj, cj_status status, const char *message)
{
    assert_string_equal(cj_message(cj), message);
    assert_int_equal(cj_last_status(cj), status);
}

/* "[batch, 10]" of a node. */
static inline const char *shape_of(cj_node *x)
{
    static char text[200];
    int n = snprintf(text, sizeof text, "[");
    for (int i = 0; i < cj_node_rank(x); i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%s", i ? ", " : "",
                      cj_dim_text(cj_node_graph(x), cj_node_dim(x, i)));
    snprintf(text + n, sizeof text - (size_t)n, "]");
    return text;
}

/* A layer's sample, "units=3 : 4, 5": options, and the shape of an input. */
static inline int sample_shape(const char *sample, char options[200], int64_t dims[CJ_RANK_MAX])
{
    const char *colon = strchr(sample, ':');
    assert_non_null(colon);
    snprintf(options, 200, "%.*s", (int)(colon - sample), sample);
    int rank = 0;
    for (const char *p = colon; p && *p; p = strchr(p, ',')) dims[rank++] = strtoll(++p, NULL, 10);
    return rank;
}

static inline double value_of(cj_context *cj, cj_tensor *t, int64_t i)
{
    (void)cj;
    double v = cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), (size_t)i);
    cj_tensor_unmap(t);
    return v;
}

/* A data set of n samples from memory: inputs of this dtype and shape, targets may be NULL. */
static inline cj_dataset *memory_data(cj_context *cj, cj_dtype dtype, int rank,
                                      const int64_t *shape, const void *x, const int32_t *y)
{
    cj_tensor *inputs = cj_tensor_from(cj, dtype, rank, shape, x);
    cj_tensor *targets = y ? cj_tensor_from(cj, CJ_I32, 1, shape, y) : NULL;
    cj_dataset *data = cj_dataset_from_tensors(cj, inputs, targets);
    cj_tensor_free(inputs);
    cj_tensor_free(targets);
    if (!data) print_error("%s\n", cj_message(cj));
    assert_non_null(data);
    return data;
}

/* The path of a real file, in $CAJAL_DATA or in the shared folder beside the sources; NULL: skip.
 */
static inline const char *real_file(const char *name)
{
    static char path[1200];
    const char *data = getenv("CAJAL_DATA");
    FILE *f = NULL;
    if (data) {
        snprintf(path, sizeof path, "%s/%s", data, name);
        f = fopen(path, "rb");
    }
    if (!f) {
        snprintf(path, sizeof path, "%s/../shared/datasets/%s", CJ_SOURCE_DIR, name);
        f = fopen(path, "rb");
    }
    if (f) fclose(f);
    else printf("    no %s in $CAJAL_DATA or ../shared/datasets\n", name);
    return f ? path : NULL;
}

#endif
