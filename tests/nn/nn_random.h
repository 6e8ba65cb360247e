/* nn_random.h: layers that draw numbers, run in training on a set of samples that is cut into
 * batches in different ways. */
#ifndef CAJAL_TESTS_NN_RANDOM_H
#define CAJAL_TESTS_NN_RANDOM_H

#include "nn_golden.h"

#include <cajal/run.h>

/* A model's text on samples x [n, ...], `cut` of them at a time, as step `step` of a training
 * (or not in training): the results of all, one after another. Freed by the caller. */
static inline float *run_in_cuts(cj_context *cj, const char *text, const cj_tensor *x, int64_t cut,
                                 int64_t step, bool training, const char *backend,
                                 int64_t *elements)
{
    cj_model *m = cj_model_from_text(cj, text, NULL, 0);
    if (!m) fail_msg("%s: %s", text, cj_message(cj));
    cj_graph *g = cj_model_graph(m);
    cj_program *p = cj_compile(g, .outputs = {cj_graph_output_at(g, 0)}, .training = training);
    cj_session *s =
        p ? cj_session_new_opts(p, cj_model_store(m),
                                &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                   .backend = backend})
          : NULL;
    if (!s) fail_msg("%s: %s", text, cj_message(cj));
    cj_tensor *key = cj_store_get(cj_model_store(m), "random/key"), *out = NULL;
    int64_t n = cj_tensor_shape(x)[0], of = cj_tensor_count(x) / n, shape[CJ_RANK_MAX];
    memcpy(shape, cj_tensor_shape(x), sizeof shape[0] * (size_t)cj_tensor_rank(x));
    float *y = NULL;
    *elements = 0;
    for (int64_t first = 0; first < n; first += cut) {
        shape[0] = n - first < cut ? n - first : cut;
        const float *from = (const float *)cj_tensor_map_read(x) + first * of;
        cj_tensor *part = cj_tensor_from(cj, CJ_F32, cj_tensor_rank(x), shape, from);
        if (key) {
            int64_t *k = cj_tensor_map(key, CJ_MAP_WRITE);
            k[0] = 7, k[1] = step, k[2] = first;
            cj_tensor_unmap(key);
        }
        if (cj_run(s, (cj_feed[]){{cj_graph_input_at(g, 0), part}}, 1, &out, 1))
            fail_msg("%s: %s", text, cj_session_message(s));
        const int64_t count = cj_tensor_count(out);
        float *more = realloc(y, (size_t)(*elements + count) * sizeof *y);
        if (!more) fail_msg("out of memory");
        y = more;
        memcpy(y + *elements, cj_tensor_map_read(out), (size_t)count * sizeof *y);
        *elements += count;
        cj_tensor_free(part);
        cj_tensor_free(out);
        out = NULL;
    }
    cj_session_free(s);
    cj_program_free(p);
    cj_model_free(m);
    return y;
}

#endif
