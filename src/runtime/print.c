/* print.c: the last plans of a session as text: kernel by kernel, and where each result lives. */
#include "runtime/runtime.h"

static void place_text(cj__text *out, const cj__value *v)
{
    switch (v->place) {
    case CJ__PLACE_ARENA: cj__text_format(out, "@%zu", v->offset); break;
    case CJ__PLACE_HELD: cj__text_add(out, "@held"); break;
    case CJ__PLACE_STORE: cj__text_add(out, "@store"); break;
    case CJ__PLACE_DYNAMIC: cj__text_add(out, "@dynamic"); break;
    default: break;
    }
}

static void step_text(cj__text *out, cj_session *s, const cj__plan *plan, const cj__step *step)
{
    cj__text_format(out, "%%%-4d %-18s %-14s", step->call->id, step->call->op->name, step->name);
    for (int k = 0; k < step->call->n_out; k++) {
        const cj__value *v = &plan->values[cj__value_of(s, &step->call->out[k])];
        cj__text_format(out, " %s[", cj_dtype_info(v->array.dtype)->name);
        for (int i = 0; i < v->array.rank; i++)
            cj__text_format(out, "%s%lld", i ? ", " : "", (long long)v->array.dim[i]);
        cj__text_char(out, ']');
        place_text(out, v);
    }
    cj__text_char(out, '\n');
}

static void plan_text(cj__text *out, cj_session *s, const cj__plan *plan)
{
    cj__text_format(out, "segment %d: %d kernels, arena of %zu bytes\n", plan->segment,
                    plan->n_steps, plan->arena_bytes);
    for (int i = 0; i < plan->n_steps; i++) {
        if (i == 0 && plan->n_fixed) cj__text_add(out, "when the state has changed:\n");
        if (i == plan->n_fixed && plan->n_fixed) cj__text_add(out, "every run:\n");
        if (i == plan->n_early) cj__text_add(out, "commit:\n");
        step_text(out, s, plan, &plan->steps[i]);
    }
}

void cj__plan_log(cj_session *s, const cj__plan *plan)
{
    int references = 0, teams = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        references += !plan->steps[i].row;
        teams += plan->steps[i].kernel.team != NULL;
    }
    const cj_graph *g = s->program->graph;
    cj__text text;
    cj__text_init(&text, &s->cj);
    for (int i = 0; i < g->dims.count; i++)
        if (g->dims.items[i].kind == CJ__EXPR_NAME)
            cj__text_format(&text, " %s=%lld", g->dims.items[i].name, (long long)plan->symbols[i]);
    cj__log(&s->cj, CJ_LOG_DEBUG,
            "plan for%s: %d kernels (%d reference), arena of %zu bytes, backend %s, %s",
            text.length ? cj__text_string(&text) : " fixed shapes", plan->n_steps, references,
            plan->arena_bytes, s->backend ? s->backend->name : "the best for each call",
            teams     ? "with the session's threads"
            : s->team ? "on one thread: its steps are too short to be shared"
                      : "on one thread");
    cj__text_release(&text);
    cj__text_init(&text, &s->cj);
    if (cj__debugs(&s->cj, 3)) plan_text(&text, s, plan);
    if (!text.failed) cj__log_lines(&s->cj, cj__text_string(&text));
    cj__text_release(&text);
}

cj_status cj_session_print(cj_session *s, FILE *to)
{
    cj__text text;
    cj__text_init(&text, &s->cj);
    for (int segment = 0; segment < s->program->n_segments && s->active[segment]; segment++)
        plan_text(&text, s, s->active[segment]);
    cj_status failed = text.failed;
    if (!failed && text.length && fwrite(text.bytes, 1, text.length, to) != text.length)
        failed = cj_fail(&s->cj, CJ_ERR_IO, "cannot write the plan");
    cj__text_release(&text);
    return failed;
}
