/* features.h: how far made pictures are from real ones, seen by a network that tells real ones
 * apart: the Frechet distance of the numbers that its last layer sees (Heusel et al. 2017). Smaller
 * is better; only distances by the same network can be compared, and it is the same for the same
 * pictures. */
#ifndef FEATURES_H
#define FEATURES_H

#include <cajal/cajal.h>

enum { FEATURES = 64 };

typedef struct eye {
    cj_model *model;
    cj_program *program;
    cj_session *session;
} eye;

static inline void eye_close(eye *e)
{
    cj_session_free(e->session);
    cj_program_free(e->program);
    cj_model_free(e->model);
}

/* Learns to tell the first `n` pictures of a data set of 28x28x1. */
static inline cj_status eye_open(cj_context *cj, const cj_dataset *data, int64_t n, eye *e)
{
    *e = (eye){.model = cj_model_new(cj)};
    cj_dataset *some = cj_dataset_take(data, 0, n);
    cj_node *x = cj_input(e->model, "image", 28, 28, 1);
    cj_node *seen = cj_dense(cj_zoo_cnn(x, .no_top = true), .units = FEATURES,
                             .activation = "relu");
    cj_output(e->model, "class", cj_dense(seen, .units = 10, .activation = "softmax"));
    cj_status failed = some ? cj_fit(e->model, some, .batch_size = 64, .metrics = "accuracy")
                            : cj_last_status(cj);
    cj_dataset_free(some);
    if (failed) return failed;
    e->program = cj_compile(cj_model_graph(e->model), .outputs = {seen});
    e->session = cj_session_new(e->program, cj_model_store(e->model));
    return e->session ? CJ_OK : cj_last_status(cj);
}

/* Copies the features of pictures [n, 28, 28, 1] of numbers 0 to 1 to `to` [n, FEATURES]. */
static inline cj_status eye_see(eye *e, const cj_tensor *pictures, float *to)
{
    cj_node *in = cj_graph_input_at(cj_model_graph(e->model), 0);
    cj_tensor *features = NULL;
    cj_status failed = cj_run(e->session, (cj_feed[]){{in, pictures}}, 1, &features, 1);
    const float *from = failed ? NULL : cj_tensor_map_read(features);
    for (int64_t i = 0; from && i < cj_tensor_count(features); i++) to[i] = from[i];
    cj_tensor_free(features);
    return failed;
}

/* Runs `show`, which gives made pictures and as many real ones, for so many batches of the loader,
 * each with other random numbers. label: fed with the batch's second field, or NULL. */
static inline cj_status eye_compare(cj_context *cj, eye *e, cj_session *show, cj_store *store,
                                    cj_loader *loader, cj_node *pixels, cj_node *label,
                                    int64_t batch_size, int64_t batches, double *distance)
{
    const int64_t shape[] = {batches * batch_size, FEATURES};
    cj_tensor *of[2] = {cj_tensor_new(cj, CJ_F32, 2, shape), cj_tensor_new(cj, CJ_F32, 2, shape)},
              *out[2] = {NULL, NULL};
    float *v[2] = {of[1] ? cj_tensor_map(of[0], CJ_MAP_WRITE) : NULL,
                   of[1] ? cj_tensor_map(of[1], CJ_MAP_WRITE) : NULL};
    cj_status failed = v[0] && v[1] ? CJ_OK : CJ_ERR_MEMORY;
    for (int64_t i = 0; i < batches && !failed; i++) {
        cj_batch batch = {0};
        int64_t *key = cj_tensor_map(cj_store_get(store, "random/key"), CJ_MAP_WRITE);
        key[1] = -1 - i; /* steps of training are 0 and more */
        while (!(failed = cj_loader_next(loader, &batch)) && !batch.count) {} /* a new epoch */
        if (!failed)
            failed = cj_run(show,
                            (cj_feed[]){{pixels, batch.tensors[0]}, {label, batch.tensors[1]}},
                            label ? 2 : 1, out, 2);
        for (int k = 0; k < 2 && !failed; k++)
            failed = eye_see(e, out[k], v[k] + i * batch_size * FEATURES);
    }
    if (!failed) failed = cj_frechet_distance(cj, of[0], of[1], distance);
    for (int k = 0; k < 2; k++) cj_tensor_free(of[k]), cj_tensor_free(out[k]);
    return failed;
}

#endif
