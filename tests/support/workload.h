/* workload.h: a network of `cajal bench` made ready for cj_run, as the command makes it. Include it
 * once: it brings the networks' code along. */
#ifndef CAJAL_TESTS_WORKLOAD_H
#define CAJAL_TESTS_WORKLOAD_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cajal/cajal.h>

#include "cli/workloads.c"

typedef struct workload {
    cj_model *m;
    cj_program *program; /* NULL: the context says why */
    cj_feed feeds[2];
    int n_feeds;
} workload;

static cj_program *workload_training(cj_model *m, cj_node *y)
{
    cj_graph *g = cj_model_graph(m);
    cj_dim dims[CJ_RANK_MAX];
    for (int i = 0; y && i + 1 < cj_node_rank(y); i++) dims[i] = cj_node_dim(y, i);
    cj_node *label = cj_placeholder(g, "label", CJ_I32, y ? cj_node_rank(y) - 1 : 0, dims);
    cj_node *loss = cj_mean(
        cj_loss_node(y, label, "sparse_categorical_crossentropy(from_logits=true)"));
    int n = cj_graph_parameter_count(g);
    cj_node **p = calloc(2 * (size_t)n + 1, sizeof *p);
    cj_program *program = NULL;
    for (int i = 0; p && i < n; i++) p[i] = cj_graph_parameter_at(g, i);
    if (p && !cj_grad(loss, p, n, p + n))
        program = cj_compile(g, .outputs = {loss}, .training = true,
                             .updates = cj_updates("adam", p, p + n, n, .learning_rate = 1e-3));
    free(p);
    return program;
}

/* Random numbers: reals in -1 .. 1, integers below limit. */
static cj_tensor *workload_feed(cj_context *cj, const cj_type *type, int64_t batch, int64_t limit)
{
    int64_t dims[CJ_RANK_MAX];
    for (int i = 0; i < type->rank; i++) dims[i] = type->dim[i] < 0 ? batch : type->dim[i];
    cj_tensor *t = cj_tensor_new(cj, type->dtype, type->rank, dims);
    void *data = t ? cj_tensor_map(t, CJ_MAP_WRITE) : NULL;
    uint32_t state = 1;
    for (int64_t i = 0; data && i < cj_tensor_count(t); i++) {
        state = state * 1664525u + 1013904223u;
        double unit = (double)(state >> 8) / 16777216.0;
        cj_store_f64(type->dtype, data, (size_t)i,
                     type->dtype == CJ_I32 ? floor(unit * (double)limit) : 2 * unit - 1);
    }
    if (data) cj_tensor_unmap(t);
    return t;
}

/* batch 0: the one that the benchmark has. */
static workload workload_open(cj_context *cj, const cli_workload *of, bool training, int64_t batch)
{
    workload w = {.m = cj_model_new(cj)};
    cj_node *y = of->build(w.m);
    w.program = training ? workload_training(w.m, y)
                         : cj_compile(cj_model_graph(w.m), .outputs = {y});
    for (; w.program && w.n_feeds < cj_program_input_count(w.program); w.n_feeds++) {
        const char *name = cj_program_input_name(w.program, w.n_feeds);
        w.feeds[w.n_feeds] = (cj_feed){
            cj_program_input(w.program, name),
            workload_feed(cj, cj_program_input_type(w.program, w.n_feeds),
                          batch ? batch : of->batch,
                          strcmp(name, "label") ? of->vocabulary : of->classes)};
    }
    return w;
}

static inline void workload_close(workload *w)
{
    for (int i = 0; i < w->n_feeds; i++) cj_tensor_free((cj_tensor *)(uintptr_t)w->feeds[i].value);
    cj_program_free(w->program);
    cj_model_free(w->m);
}

#endif
