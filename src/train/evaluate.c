/* evaluate.c: loss and metrics of a model on a data set, and the report on its classes. */
#include "train/train.h"

#include "base/opts.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

/* ---- Evaluate -------------------------------------------------------------------------------- */

typedef struct evaluation {
    cj__objective objective;
    cj_program *program;
    cj_session *session;
    cj_loader *loader;
    cj_tensor *outputs[2 + CJ__METRICS_MAX];
    cj__totals totals;
} evaluation;

static int64_t now_ns(void *user) { return cj__monotonic_ns(user); }

/* NULL is mostly what a failed cj_dataset_open gave: its sentence is kept behind ours. */
cj_status cj__no_dataset(cj_context *cj, const char *verb)
{
    if (cj_last_status(cj))
        return cj__prefix(cj, CJ_ERR_ARGUMENT, "%s: there is no data set", verb);
    return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: there is no data set", verb);
}

static cj_status prepare(evaluation *e, cj_model *m, const cj_dataset *data,
                         const cj_evaluate_opts *o)
{
    if (!data) return cj__no_dataset(m->cj, "evaluate");
    if (!cj_dataset_count(data))
        return cj_fail(m->cj, CJ_ERR_ARGUMENT, "evaluate: %s has no samples",
                       cj_dataset_name(data));
    if (o->batch_size < 0)
        return cj_fail(m->cj, CJ_ERR_ARGUMENT, "evaluate: batch_size=%lld is not above 0",
                       (long long)o->batch_size);
    CJ__TRY(cj_model_failed(m));
    CJ__TRY(cj__check_prepared(m, data));
    CJ__TRY(cj__objective_init(&e->objective, m, data, o->loss ? o->loss : m->loss,
                               o->metrics ? o->metrics : m->metrics, o->confusion != NULL));
    cj_compile_opts co = {.struct_size = sizeof co,
                          .output_list = e->objective.sums,
                          .n_outputs = e->objective.n_sums};
    cj_loader_opts lo = {.struct_size = sizeof lo,
                         .batch_size = o->batch_size ? o->batch_size : 256,
                         .no_prefetch = cj_threads(m->cj) == 1};
    if (!(e->program = (cj_compile)(e->objective.graph, &co)) ||
        !(e->session = cj_session_new(e->program, cj_model_store(m))) ||
        !(e->loader = (cj_loader_new)((cj_dataset *)(uintptr_t)data, &lo)))
        return cj_last_status(m->cj);
    CJ__TRY(cj__totals_init(&e->objective, &e->objective.arena, &e->totals));
    return cj__objective_outputs(&e->objective, e->outputs);
}

static void show(const cj_evaluate_opts *o, cj_context *cj, const cj_scores *scores, int64_t steps,
                 int64_t start_ns)
{
    const char *names[CJ_SCORES_MAX];
    for (int i = 0; i < scores->n; i++) names[i] = scores->name[i];
    cj__progress p = {.to = o->progress,
                      .terminal = o->progress_style != CJ_PROGRESS_LINES,
                      .color = o->progress_style == CJ_PROGRESS_COLOR,
                      .columns = o->progress_columns > 0 ? o->progress_columns : 80,
                      .now_ns = now_ns,
                      .user = cj,
                      .step = steps,
                      .steps = steps,
                      .start_ns = start_ns};
    cj__progress_end(&p, scores->n, names, scores->value);
}

cj_status cj_prepare(cj_model *m, const cj_dataset *data, const char *normalize)
{
    if (!m) return CJ_ERR_ARGUMENT;
    if (!data) return cj__no_dataset(m->cj, "prepare");
    return cj__model_prepare(m, data, normalize);
}

cj_status (cj_evaluate)(cj_model *m, const cj_dataset *data, const cj_evaluate_opts *opts)
{
    if (!m) return CJ_ERR_ARGUMENT;
    cj_evaluate_opts o = {0};
    CJ__TRY(cj__opts_take(m->cj, "evaluate", &o, sizeof o, opts));
    evaluation e = {0};
    int64_t start_ns = cj__monotonic_ns(m->cj);
    cj_status failed = prepare(&e, m, data, &o);
    cj_scores scores = {.samples = data ? cj_dataset_count(data) : 0};
    if (!failed)
        failed = cj__objective_run(&e.objective, e.session, e.loader, e.outputs, &e.totals);
    if (!failed) failed = cj__objective_scores(&e.objective, &e.totals, "", false, &scores);
    if (!failed) {
        if (o.scores) *o.scores = scores;
        int64_t n = e.objective.confusion_classes * e.objective.confusion_classes;
        for (int64_t i = 0; o.confusion && i < n; i++)
            o.confusion[i] = llround(e.totals.sums[e.objective.n_totals - n + i]);
        show(&o, m->cj, &scores, cj_loader_steps(e.loader), start_ns);
    }
    cj_loader_free(e.loader);
    cj_session_free(e.session);
    cj_program_free(e.program);
    for (size_t i = 0; i < CJ__COUNT(e.outputs); i++) cj_tensor_free(e.outputs[i]);
    cj__totals_release(m->cj, &e.totals);
    cj__objective_release(&e.objective);
    return failed;
}

/* ---- Classification report ------------------------------------------------------------------- */

typedef struct judged { /* one line */
    double precision, recall, f1;
    int64_t support;
} judged;

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

static judged judge(const int64_t *confusion, int classes, int c)
{
    double tp = (double)confusion[(size_t)c * (size_t)classes + (size_t)c], said = 0;
    int64_t support = 0;
    for (int i = 0; i < classes; i++) {
        support += confusion[(size_t)c * (size_t)classes + (size_t)i];
        said += (double)confusion[(size_t)i * (size_t)classes + (size_t)c];
    }
    return (judged){ratio(tp, said), ratio(tp, (double)support),
                    ratio(2 * tp, said + (double)support), support};
}

/* In characters, for UTF-8. */
static int width_of(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void add_name(cj__text *out, int width, const char *name)
{
    cj__text_format(out, "%*s%s", width - width_of(name), "", name);
}

static void add_line(cj__text *out, int width, const char *name, judged j)
{
    add_name(out, width, name);
    cj__text_format(out, "  %9.2f %9.2f %9.2f %9lld\n", j.precision, j.recall, j.f1,
                    (long long)j.support);
}

static const char *class_name(const cj_model *m, int c, char number[16])
{
    if (m && m->class_names && c < m->classes) return m->class_names[c];
    cj__format(number, 16, "%d", c);
    return number;
}

static void add_averages(cj__text *out, int width, const int64_t *confusion, int classes)
{
    judged macro = {0}, weighted = {0};
    double right = 0;
    int64_t all = 0;
    for (int c = 0; c < classes; c++) {
        judged j = judge(confusion, classes, c);
        double w = (double)j.support;
        macro.precision += j.precision / classes, macro.recall += j.recall / classes,
            macro.f1 += j.f1 / classes;
        weighted.precision += w * j.precision, weighted.recall += w * j.recall,
            weighted.f1 += w * j.f1;
        right += (double)confusion[(size_t)c * (size_t)classes + (size_t)c];
        all += j.support;
    }
    double n = (double)all;
    weighted = (judged){ratio(weighted.precision, n), ratio(weighted.recall, n),
                        ratio(weighted.f1, n), all};
    macro.support = all;
    add_name(out, width, "accuracy");
    cj__text_format(out, "  %9s %9s %9.2f %9lld\n", "", "", ratio(right, n), (long long)all);
    add_line(out, width, "macro avg", macro);
    add_line(out, width, "weighted avg", weighted);
}

cj_status cj_classification_report(cj_model *m, const int64_t *confusion, int classes, FILE *to)
{
    if (!m || !confusion || !to) return CJ_ERR_ARGUMENT;
    if (classes < 1 || classes > 1 << 20)
        return cj_fail(m->cj, CJ_ERR_ARGUMENT, "report: %d classes", classes);
    char number[16];
    int width = width_of("weighted avg");
    for (int c = 0; c < classes; c++) {
        int w = width_of(class_name(m, c, number));
        if (w > width) width = w;
    }
    cj__text out;
    cj__text_init(&out, m->cj);
    add_name(&out, width, "");
    cj__text_format(&out, "  %9s %9s %9s %9s\n\n", "precision", "recall", "f1-score", "support");
    for (int c = 0; c < classes; c++)
        add_line(&out, width, class_name(m, c, number), judge(confusion, classes, c));
    cj__text_char(&out, '\n');
    add_averages(&out, width, confusion, classes);
    cj_status failed = out.failed;
    if (!failed && fwrite(out.bytes, 1, out.length, to) != out.length)
        failed = cj_fail(m->cj, CJ_ERR_IO, "the report could not be written");
    cj__text_release(&out);
    return failed;
}
