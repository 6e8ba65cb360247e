/* profile.c: what each step of a session took and moved.
 *
 * In a session that profiles, a plan's steps run through cj__run_timed, which finds its step around
 * the kernel it is given. A session that does not profile runs the kernels themselves: there is no
 * question to ask, and no cost. */
#include "runtime/runtime.h"

cj_status cj__run_timed(const cj_kernel *kernel)
{
    cj__step *step = (cj__step *)(void *)((char *)(uintptr_t)kernel - offsetof(cj__step, kernel));
    int64_t begin = cj__monotonic_ns(kernel->cj);
    cj_status failed = step->timed(kernel);
    int64_t took = cj__monotonic_ns(kernel->cj) - begin;
    step->begin_ns = begin;
    step->last_ns = took;
    step->total_ns += took;
    if (!step->calls++ || took < step->best_ns) step->best_ns = took;
    return failed;
}

void cj_session_profile_reset(cj_session *s)
{
    for (int i = 0; i < s->n_plans; i++)
        for (int k = 0; k < s->plans[i]->n_steps; k++) {
            cj__step *step = &s->plans[i]->steps[k];
            step->calls = step->total_ns = step->best_ns = step->last_ns = step->begin_ns = 0;
        }
}

static double bytes_of(const cj_array *a)
{
    return (double)a->count * cj_dtype_info(a->dtype)->bits / 8;
}

/* An operand that is read twice is in cache the second time. */
static double bytes_moved(const cj_kernel *k)
{
    double bytes = 0;
    for (int i = 0; i < k->call->n_in; i++) {
        bool again = false;
        for (int j = 0; j < i && !again; j++) again = k->in[j] == k->in[i];
        if (!again) bytes += bytes_of(k->in[i]);
    }
    for (int i = 0; i < k->call->n_out; i++) bytes += bytes_of(k->out[i]);
    return bytes;
}

static cj_step_info describe(const cj__step *step)
{
    const cj_kernel *k = &step->kernel;
    const cj_call *call = step->call;
    return (cj_step_info){
        .kernel = step->name,
        .op = call->op->name,
        .layer = call->layer,
        .where = call->where,
        .dtype = k->out[0]->dtype,
        .rank = k->out[0]->rank,
        .dims = k->out[0]->dim,
        .threads = k->team ? cj__team_threads(k->team) : 1,
        .multiply_adds = call->op->multiply_adds ? call->op->multiply_adds(k) : 0,
        .bytes = bytes_moved(k),
        .bytes_reordered = step->row && step->row->reordered ? (double)step->row->reordered(k) : 0,
        .calls = step->calls,
        .total_ns = step->total_ns,
        .best_ns = step->best_ns,
        .last_ns = step->last_ns,
        .begin_ns = step->begin_ns};
}

bool cj_session_step_at(const cj_session *s, int i, cj_step_info *info)
{
    for (int segment = 0; i >= 0 && segment < s->program->n_segments; segment++) {
        const cj__plan *plan = s->active[segment];
        if (!plan) return false;
        if (i < plan->n_steps) {
            *info = describe(&plan->steps[i]);
            return true;
        }
        i -= plan->n_steps;
    }
    return false;
}
