/* predict.c: programs for raw samples, and what a model knows of its data.
 *
 * The program of a session gives [batch, size] floats whatever the model's output is. It is
 * compiled once and kept with the model, so sessions in many threads share it. */
#include "train/train.h"

#include "nn/losses.h"
#include "tensor/tensor.h"

#include "runtime/runtime.h"

#include <string.h>

enum { PREDICT_BATCH = 256 };

static cj_program *compile(cj_model *m)
{
    cj_node *raw[1], *y[CJ__GOALS_MAX];
    const int outputs = cj_graph_output_count(m->graph);
    if (cj_graph_input_count(m->graph) != 1 || outputs < 1 || outputs > CJ__GOALS_MAX) {
        cj_fail(m->cj, CJ_ERR_UNSUPPORTED,
                "predict: the model has %d inputs and %d outputs; one input and 1 to %d outputs "
                "are possible",
                cj_graph_input_count(m->graph), outputs, CJ__GOALS_MAX);
        return NULL;
    }
    cj_graph *g = cj__model_assemble(m, raw, y);
    if (!g) return NULL;
    int64_t size = 1;
    for (int i = 1; i < y[0]->type.rank; i++) {
        if (y[0]->type.dim[i] >= 0 && !CJ__MUL_OVERFLOWS(size, y[0]->type.dim[i], &size)) continue;
        cj_fail(m->cj, CJ_ERR_UNSUPPORTED,
                "predict: the size of the model's output depends on the data");
        cj_graph_free(g);
        return NULL;
    }
    cj_node *out = cj_cast(cj_reshape(y[0], 2, (const cj_dim[]){CJ_INFER, size}), CJ_F32);
    cj_program *p = (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts),
                                                       .outputs = {out}});
    cj_graph_free(g);
    return p;
}

static cj_program *program_of(cj_model *m)
{
    cj_history *h = cj__history_of(m);
    if (!h) return NULL;
    if (h->predictors && !h->stale) return h->predictors->program;
    cj__predictor *p = cj__alloc(m->cj, sizeof *p);
    cj_program *program = p ? compile(m) : NULL;
    if (!program) {
        cj__free(m->cj, p, sizeof *p);
        return NULL;
    }
    cj__keep_program(program);
    *p = (cj__predictor){h->predictors, program};
    h->predictors = p;
    h->stale = false;
    return program;
}

cj_session *cj_model_session(cj_model *m)
{
    if (!m || cj_model_failed(m)) return NULL;
    cj_program *p = program_of(m);
    return p ? cj_session_new(p, cj_model_store(m)) : NULL;
}

/* ---- Samples in memory ----------------------------------------------------------------------- */

static void keep(void *user, void *data, size_t size) { (void)user, (void)data, (void)size; }

/* The caller's bytes as a tensor. */
static cj_tensor *borrow(cj_context *cj, const void *data, cj_dtype dtype, int rank,
                         const int64_t *shape, bool read_only)
{
    size_t bytes;
    if (cj__tensor_check(cj, dtype, rank, shape, NULL, &bytes)) return NULL;
    cj__buffer *buffer = cj__buffer_wrap(cj, (void *)(uintptr_t)data, bytes, read_only, keep, NULL);
    if (!buffer) return NULL;
    cj_tensor *t = cj__tensor_view(cj, buffer, 0, dtype, rank, shape);
    cj__buffer_unref(buffer);
    return t;
}

cj_status cj_predict(cj_session *s, const void *samples, int64_t n, float *out, int64_t output_size)
{
    const cj_program *p = s->program;
    const cj_type *in = cj_program_input_count(p) == 1 ? cj_program_input_type(p, 0) : NULL;
    const cj_type *y = p->n_outputs == 1 ? &p->outputs[0]->type : NULL;
    if (!in || in->rank < 1 || !y || y->rank != 2 || y->dtype != CJ_F32)
        return cj_fail(&s->cj, CJ_ERR_ARGUMENT,
                       "predict: the session is not one of cj_model_session");
    if (n < 0 || (n && (!samples || !out)))
        return cj_fail(&s->cj, CJ_ERR_ARGUMENT, "predict: %lld samples at no address",
                       (long long)n);
    if (y->dim[1] != output_size)
        return cj_fail(&s->cj, CJ_ERR_SHAPE,
                       "predict: the model gives %lld numbers a sample, not %lld",
                       (long long)y->dim[1], (long long)output_size);
    int64_t shape[CJ_RANK_MAX] = {1}, count;
    for (int i = 1; i < in->rank; i++) shape[i] = in->dim[i];
    for (int i = 1; i < in->rank; i++)
        if (shape[i] < 0)
            return cj_fail(&s->cj, CJ_ERR_UNSUPPORTED,
                           "predict: the size of a sample is not fixed; use cj_run");
    size_t bytes;
    CJ__TRY(cj__tensor_check(&s->cj, in->dtype, in->rank, shape, &count, &bytes));
    for (int64_t at = 0; at < n; at += PREDICT_BATCH) {
        shape[0] = n - at < PREDICT_BATCH ? n - at : PREDICT_BATCH;
        cj_tensor *x = borrow(&s->cj, (const char *)samples + (size_t)at * bytes, in->dtype,
                              in->rank, shape, true);
        cj_tensor *to = x ? borrow(&s->cj, out + at * output_size, CJ_F32, 2,
                                   (int64_t[]){shape[0], output_size}, false)
                          : NULL;
        cj_status failed =
            to ? cj_run(s, &(cj_feed){cj_program_input(p, cj_program_input_name(p, 0)), x}, 1, &to,
                        1)
               : cj_last_status(&s->cj);
        cj_tensor_free(x);
        cj_tensor_free(to);
        CJ__TRY(failed);
    }
    return CJ_OK;
}

/* ---- Data sets ------------------------------------------------------------------------------- */

/* A model that was never prepared takes raw samples, which the program checks by itself. */
cj_status cj__check_prepared(cj_model *m, const cj_dataset *data)
{
    bool known = m->n_preparations > 0;
    for (int i = 0; i < m->n_preparations; i++) known = known && m->preparation[i].known;
    return known ? cj__model_prepare(m, data, NULL) : CJ_OK;
}

static cj_status predict_all(cj_model *m, cj_session *s, const cj_dataset *data, cj_loader *loader,
                             cj_tensor *flat)
{
    const char *name = cj_program_input_name(s->program, 0);
    int field = cj_dataset_field_find(data, name);
    for (int i = 0; field < 0 && i < cj_dataset_fields(data); i++)
        if (cj_dataset_field(data, i)->role == CJ_FIELD_INPUT) field = i;
    if (field < 0)
        return cj_fail(m->cj, CJ_ERR_NOT_FOUND, "%s has no field for the model's input '%s'",
                       cj_dataset_name(data), name);
    for (;;) {
        cj_batch batch;
        CJ__TRY(cj_loader_next(loader, &batch));
        if (!batch.count) return CJ_OK;
        cj_tensor *rows = cj_tensor_rows(flat, batch.first, batch.first + batch.count);
        if (!rows) return cj_last_status(m->cj);
        cj_status failed = cj_run(
            s, &(cj_feed){cj_program_input(s->program, name), batch.tensors[field]}, 1, &rows, 1);
        cj_tensor_free(rows);
        if (failed) return cj_fail(m->cj, failed, "%s", cj_session_message(s));
    }
}

cj_status cj_predict_dataset(cj_model *m, const cj_dataset *data, cj_tensor **out)
{
    *out = NULL;
    CJ__TRY(cj_model_failed(m));
    CJ__TRY(cj__check_prepared(m, data));
    cj_session *s = cj_model_session(m);
    if (!s) return cj_last_status(m->cj);
    const cj_type *y = &cj_graph_output_at(m->graph, 0)->type;
    int64_t shape[CJ_RANK_MAX] = {cj_dataset_count(data)};
    for (int i = 1; i < y->rank; i++) shape[i] = y->dim[i];
    cj_tensor *flat = NULL;
    cj_loader *loader = NULL;
    cj_status failed = CJ_ERR_MEMORY;
    loader = (cj_loader_new)((cj_dataset *)(uintptr_t)data,
                             &(cj_loader_opts){.struct_size = sizeof(cj_loader_opts),
                                               .batch_size = PREDICT_BATCH,
                                               .no_prefetch = cj_threads(m->cj) == 1});
    if (loader)
        flat = cj_tensor_new(m->cj, CJ_F32, 2,
                             (int64_t[]){shape[0], s->program->outputs[0]->type.dim[1]});
    failed = flat ? predict_all(m, s, data, loader, flat) : cj_last_status(m->cj);
    if (!failed && !(*out = cj_tensor_reshape(flat, y->rank > 0 ? y->rank : 1, shape)))
        failed = cj_last_status(m->cj);
    cj_tensor_free(flat);
    cj_loader_free(loader);
    cj_session_free(s);
    return failed;
}

/* ---- What a model knows ---------------------------------------------------------------------- */

void cj_model_get_info(cj_model *m, cj_model_info *info)
{
    *info = (cj_model_info){0};
    if (!m) return;
    info->imported = m->imported;
    info->classes = m->classes;
    info->class_names = m->class_names;
    info->loss = m->loss;
    info->metrics = m->metrics;
    info->target = m->target;
    info->target_kind = m->target_kind;
    const cj_graph *g = m->graph;
    if (cj_graph_input_count(g)) {
        const cj_node *x = cj_graph_input_at(g, 0);
        const cj__preparation *p = m->n_preparations ? &m->preparation[0] : NULL;
        bool known = p && p->known;
        info->input_name = known && p->field && !p->in_graph ? p->field : x->name;
        info->input_dtype = known ? p->dtype : x->type.dtype;
        info->input_rank = known ? p->rank : x->type.rank - 1;
        for (int i = 0; i < info->input_rank; i++)
            info->input_shape[i] = known ? p->shape[i] : x->type.dim[i + 1];
        info->prepared = known;
        info->input_fit = p ? p->fit : CJ_FIT_STRETCH;
        info->columns = known ? p->columns : 0;
        info->column_info = known ? p->column_info : NULL;
    }
    if (!cj_graph_output_count(g)) return;
    const cj_type *y = &cj_graph_output_at(g, 0)->type;
    info->gives_probabilities = cj__loss_logits(cj_graph_output_at(g, 0), &cj_op_softmax) ||
                                cj__loss_logits(cj_graph_output_at(g, 0), &cj_op_sigmoid);
    info->output_size = 1;
    info->output_rank = y->rank ? y->rank - 1 : 0;
    for (int i = 0; i < info->output_rank; i++) info->output_shape[i] = y->dim[i + 1];
    for (int i = 1; i < y->rank; i++)
        if (y->dim[i] < 0 || CJ__MUL_OVERFLOWS(info->output_size, y->dim[i], &info->output_size)) {
            info->output_size = 0;
            return;
        }
}
