/* print.c: the last plans of a session as text: kernel by kernel, and where each result lives. */
#include "runtime/runtime.h"

static void place_text(cj__text *out, const cj__value *v)
{
    switch (v->place) {
    case CJ__PLACE_ARENA: cj__text_format(out, "@%zu", v->offset); break;
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

cj_status cj_session_print(cj_session *s, FILE *to)
{
    cj__text text;
    cj__text_init(&text, &s->cj);
    for (int segment = 0; segment < s->program->n_segments && s->active[segment]; segment++) {
        const cj__plan *plan = s->active[segment];
        cj__text_format(&text, "segment %d: %d kernels, arena of %zu bytes\n", segment,
                        plan->n_steps, plan->arena_bytes);
        for (int i = 0; i < plan->n_steps; i++) {
            if (i == plan->n_early) cj__text_add(&text, "commit:\n");
            step_text(&text, s, plan, &plan->steps[i]);
        }
    }
    cj_status failed = text.failed;
    if (!failed && text.length && fwrite(text.bytes, 1, text.length, to) != text.length)
        failed = cj_fail(&s->cj, CJ_ERR_IO, "cannot write the plan");
    cj__text_release(&text);
    return failed;
}
