/* updates.c: what one training step does to parameters and state.
 *
 *     gradients -> (mean of the last k) -> (clipped) -> the optimizer's row -> (lookahead)
 *               -> (constraint) -> (its layer's) -> (average) -> new parameters and slots,
 *               committed together
 *
 * What stands in brackets are options of every optimizer (cj_optimizer_common), but for constraints
 * that a layer has for a parameter of its own, and is done here for all of them; each parameter has
 * those of its group. State is named PREFIX/SLOT/PARAMETER and
 * begins as zeros. */
#include "nn/optimizer.h"

#include "base/option.h"
#include "base/registry.h"

#include <float.h>
#include <string.h>

/* ---- Checks ---------------------------------------------------------------------------------- */

static bool same_type(const cj_type *a, cj_dtype dtype, int rank, const cj_dim *dims)
{
    if (a->dtype != dtype || a->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (a->dim[i] != dims[i]) return false;
    return true;
}

static cj_node *state(cj_graph *g, const char *name, cj_dtype dtype, int rank, const cj_dim *dims)
{
    cj_node *there = cj_find_variable(g, name);
    if (there && same_type(&there->type, dtype, rank, dims)) return there;
    if (there)
        return cj_graph_fail(g, CJ_ERR_EXISTS,
                             "variable '%s' is there already, and of another type or shape", name);
    cj_tensor *zeros = cj_tensor_new(g->cj, dtype, rank, dims);
    if (!zeros) return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj));
    cj_node *node = cj_variable(g, name, zeros);
    cj_tensor_free(zeros);
    return node;
}

/* What a caller may have mixed up, said before shapes that broadcast hide it. */
static bool check_pair(cj_graph *g, cj_node *w, cj_node *gradient, int i)
{
    if (!w || !gradient)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "updates: %s %d is NULL",
                             w ? "gradient" : "parameter", i),
               false;
    if (w == cj_zero || w->call->graph != g || w->call->op != &cj_op_variable)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT,
                             "updates: parameter %d is not a variable of the graph", i),
               false;
    if (gradient == cj_zero || same_type(&gradient->type, w->type.dtype, w->type.rank, w->type.dim))
        return true;
    cj__text text;
    cj__text_init(&text, g->cj);
    cj__type_text(&text, g, &gradient->type);
    cj__text_add(&text, ", the parameter ");
    cj__type_text(&text, g, &w->type);
    cj_graph_fail(g, CJ_ERR_SHAPE, "updates: the gradient of '%s' is %s", w->name,
                  cj__text_string(&text));
    cj__text_release(&text);
    return false;
}

static bool check_rate(cj_graph *g, const cj_updates_opts *o)
{
    const cj_node *rate = o->learning_rate_node;
    if (!(o->learning_rate >= 0 && o->learning_rate <= DBL_MAX))
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "learning_rate=%g is not above 0",
                             o->learning_rate),
               false;
    if (rate && (rate == cj_zero || rate->type.rank != 0 ||
                 cj_dtype_info(rate->type.dtype)->kind != CJ_KIND_FLOAT))
        return cj_graph_fail(g, CJ_ERR_SHAPE,
                             "updates: the learning rate is not a scalar of floats"),
               false;
    return true;
}

/* ---- Options of every optimizer -------------------------------------------------------------- */

/* NULL for a row without them: they are where its table has them, at the beginning. */
static const cj_optimizer_common *common_of(const cj_optimizer *row, const void *options)
{
    const cj_option *o = row->options ? cj__option_find(row->options, "clipnorm") : NULL;
    return o && o->offset == offsetof(cj_optimizer_common, clipnorm) ? options : NULL;
}

bool cj__optimizer_averages(const cj_optimizer *row, const void *options)
{
    const cj_optimizer_common *o = common_of(row, options);
    if (o && (o->use_ema || o->swa_start > 0)) return true;
    for (const char *const *slot = row->slots; slot && *slot; slot++)
        if (!strcmp(*slot, CJ__AVERAGE_SLOT)) return true;
    return false;
}

static cj_status check_common(cj__arena *arena, const cj_optimizer *row,
                              const cj_optimizer_common *o)
{
    cj_context *cj = arena->cj;
    const char *names[3] = {"clipvalue", "clipnorm", "global_clipnorm"}, *first = NULL;
    const double limits[3] = {o->clipvalue, o->clipnorm, o->global_clipnorm};
    for (int i = 0; i < 3; i++) {
        if (limits[i] == 0) continue;
        if (first)
            return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s and %s are both given; one is possible",
                           row->name, first, names[i]);
        first = names[i];
    }
    bool averages = false;
    for (const char *const *slot = row->slots; slot && *slot; slot++)
        averages |= !strcmp(*slot, CJ__AVERAGE_SLOT);
    if (o->use_ema + (o->swa_start > 0) + averages > 1)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: two averages of the weights: %s", row->name,
                       averages ? "it makes one itself" : "use_ema and swa_start are both given");
    cj_status failed = o->constraint ? cj__constraint_check(arena, o->constraint) : CJ_OK;
    return failed ? cj__prefix(cj, failed, "%s: constraint", row->name) : CJ_OK;
}

/* x times limit / norm where norm is above limit: 1 where both are the same. */
static cj_node *clipped(cj_node *x, cj_node *norm, double limit)
{
    cj_node *most = cj_full_like(norm, limit);
    return cj_mul(x, cj_cast(cj_div(most, cj_maximum(norm, most)), x->type.dtype));
}

void cj__clip_to(cj_node **gradients, int n, cj_node *norm, double limit)
{
    for (int i = 0; i < n && norm; i++)
        if (!cj__is_zero(gradients[i])) gradients[i] = clipped(gradients[i], norm, limit);
}

static void clip_global(cj_graph *g, cj_node **gradients, int n, double limit)
{
    cj_node *sum = cj_scalar(g, CJ_F64, 0);
    for (int i = 0; i < n; i++)
        if (!cj__is_zero(gradients[i]))
            sum = cj_add(sum, cj_sum(cj_square(cj_cast(gradients[i], CJ_F64))));
    cj__clip_to(gradients, n, cj_sqrt(sum), limit);
}

static cj_node *clip(const cj_optimizer_common *o, cj_node *gradient)
{
    if (cj__is_zero(gradient)) return gradient;
    if (o->clipvalue > 0) return cj_clip(gradient, -o->clipvalue, o->clipvalue);
    return o->clipnorm > 0 ? clipped(gradient, cj__norm(gradient), o->clipnorm) : gradient;
}

/* ---- One parameter --------------------------------------------------------------------------- */

/* What is the same for all parameters of one cj_updates. */
typedef struct cj__updates {
    cj_graph *graph;
    const cj_optimizer *row;
    const void *options;
    const cj_optimizer_common *common; /* options, or NULL for a row that has none of these */
    cj__group *groups;
    const char *prefix;
    int n_slots;
    cj_node *step;   /* f64, from 1 */
    cj_node *ready;  /* with gradient accumulation: is this a step of the optimizer? else NULL */
    cj_node *searching; /* of one that searches: is this a trial? else NULL */
    cj_update *list; /* what has been added so far, in the graph's arena */
    int count, room;
} plan;

static cj_node *prefixed(const plan *p, const char *name, cj_dtype dtype, int rank,
                         const cj_dim *dims)
{
    const char *full = cj__arena_printf(&p->graph->arena, "%s/%s", p->prefix, name);
    if (!full) return cj_graph_fail(p->graph, CJ_ERR_MEMORY, "out of memory");
    return state(p->graph, full, dtype, rank, dims);
}

static cj_node *slot_of(const plan *p, const char *name, const cj_node *w, const cj_type *type)
{
    const char *slot = cj__arena_printf(&p->graph->arena, "%s/%s", name, w->name);
    if (!slot) return cj_graph_fail(p->graph, CJ_ERR_MEMORY, "out of memory");
    return prefixed(p, slot, type->dtype, type->rank, type->dim);
}

/* One place is left for the end of the list. */
static void append(plan *p, cj_node *state, cj_node *value)
{
    if (p->count + 1 >= p->room) {
        const int room = p->room ? 2 * p->room : 64;
        cj_update *grown = cj__arena_array(&p->graph->arena, (size_t)room, sizeof *grown);
        if (!grown) {
            cj_graph_fail(p->graph, CJ_ERR_MEMORY, "out of memory");
            return;
        }
        if (p->count) memcpy(grown, p->list, (size_t)p->count * sizeof *grown);
        p->list = grown;
        p->room = room;
    }
    p->list[p->count++] = (cj_update){state, value};
    p->list[p->count] = (cj_update){NULL, NULL};
}

/* Between steps of the optimizer everything stays as it is. */
static void add_update(plan *p, cj_node *state, cj_node *value)
{
    append(p, state, p->ready ? cj_where(p->ready, value, state) : value);
}

static cj_node *is_multiple(const plan *p, double of)
{
    cj_node *rest = cj_mod(p->step, cj_full_like(p->step, of));
    return cj_equal(rest, cj_full_like(rest, 0));
}

/* The mean of this gradient and those since the last step (k of them). */
static cj_node *accumulated(plan *p, cj_node *w, cj_node *gradient)
{
    cj_node *slot = slot_of(p, "accumulator", w, &w->type);
    cj_node *sum = cj_add(slot, gradient);
    append(p, slot, cj_where(p->ready, cj_full_like(sum, 0), sum));
    return cj_scale(sum, 1 / (double)p->common->gradient_accumulation_steps);
}

/* Zhang et al. 2019: every k steps the slow weights go part of the way to the fast ones, which go
 * on from there. */
static cj_node *lookahead(plan *p, const cj_optimizer_common *o, cj_node *w, cj_node *fast)
{
    cj_node *slot = slot_of(p, "slow", w, &w->type), *one = cj_full_like(p->step, 1);
    cj_node *slow = cj_where(cj_equal(p->step, one), w, slot),
            *meets = is_multiple(p, (double)o->lookahead_steps);
    cj_node *there = cj_add(slow, cj_scale(cj_sub(fast, slow), o->lookahead_alpha));
    add_update(p, slot, cj_where(meets, there, slow));
    return cj_where(meets, there, fast);
}

/* The share of the newest weights in their average. EMA: 1 at first, then 1 - ema_momentum. SWA: 1
 * up to step swa_start, then 1/2, 1/3 ... every swa_frequency steps, and 0 between them. */
static cj_node *newest_share(const plan *p, const cj_optimizer_common *o)
{
    cj_node *t = p->step, *one = cj_full_like(t, 1), *none = cj_full_like(t, 0);
    if (o->use_ema)
        return cj_where(cj_equal(t, one), one, cj_full_like(t, 1 - o->ema_momentum));
    cj_node *since = cj_shift(t, -(double)o->swa_start),
            *every = cj_full_like(t, (double)o->swa_frequency);
    cj_node *taken = cj_equal(cj_mod(since, every), none);
    cj_node *share = cj_where(taken, cj_div(one, cj_shift(cj_div(since, every), 1)), none);
    return cj_where(cj_greater(since, none), share, one);
}

static cj_node *averaged(plan *p, const cj_optimizer_common *o, cj_node *w, cj_node *new_w)
{
    cj_node *slot = slot_of(p, CJ__AVERAGE_SLOT, w, &w->type);
    cj_node *share = cj_cast(newest_share(p, o), w->type.dtype);
    cj_node *average = cj_add(slot, cj_mul(share, cj_sub(new_w, slot)));
    add_update(p, slot, average);
    if (!o->use_ema || o->ema_overwrite_frequency == 0) return new_w;
    return cj_where(is_multiple(p, (double)o->ema_overwrite_frequency), average, new_w);
}

static bool update_parameter(plan *p, cj_optimizer_step *s)
{
    const cj_optimizer_common *o = p->common ? s->options : NULL;
    cj_node *w = s->parameter;
    s->gradient = cj_zero_as(o ? clip(o, s->gradient) : s->gradient, w);
    if (o && o->learning_rate_factor != 1)
        s->learning_rate = cj_scale(s->learning_rate, o->learning_rate_factor);
    for (int k = 0; k < p->n_slots; k++) {
        cj_type type = w->type;
        if (!p->row->slot || p->row->slot(s->options, k, &type))
            s->slots[k] = slot_of(p, p->row->slots[k], w, &type);
    }
    if (p->graph->failed || !p->row->build(s) || p->graph->failed) return false;
    if (o && o->lookahead_steps > 0) s->new_parameter = lookahead(p, o, w, s->new_parameter);
    if (o && o->constraint) s->new_parameter = cj__constrained(s->new_parameter, o->constraint);
    const char *own = cj__rule_of(p->graph, w, CJ__ROW_CONSTRAINT);
    if (own) s->new_parameter = cj__constrained(s->new_parameter, own);
    if (o && (o->use_ema || o->swa_start > 0))
        s->new_parameter = averaged(p, o, w, s->new_parameter);
    add_update(p, w, s->new_parameter);
    for (int k = 0; k < p->n_slots; k++)
        if (s->new_slots[k]) add_update(p, s->slots[k], s->new_slots[k]);
    return !p->graph->failed;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static bool take_row(cj_graph *g, const char *text, plan *p)
{
    const int most = (int)(sizeof((cj_optimizer_step *)0)->slots / sizeof(cj_node *));
    cj__named named;
    if (cj__named_parse(&g->arena, g->cj, CJ__ROW_OPTIMIZER, text, &named))
        return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj)), false;
    p->row = named.row;
    p->options = named.options;
    p->common = common_of(p->row, p->options);
    while (p->row->slots && p->row->slots[p->n_slots]) p->n_slots++;
    if (p->n_slots > most)
        return cj_graph_fail(g, CJ_ERR_ARGUMENT, "%s: %d slots, and at most %d are possible",
                             p->row->name, p->n_slots, most),
               false;
    if (p->common && (check_common(&g->arena, p->row, p->common) ||
                      cj__groups_parse(&g->arena, p->row, p->options, &p->groups)))
        return cj_graph_fail(g, cj_last_status(g->cj), "%s", cj_message(g->cj)), false;
    return true;
}

/* The options of one parameter, of its group if it has one. */
static const void *options_of(plan *p, const cj_node *w)
{
    const void *options = cj__groups_options(p->groups, w->name, p->options);
    if (options != p->options && check_common(&p->graph->arena, p->row, options))
        cj_graph_fail(p->graph, cj_last_status(p->graph->cj), "%s", cj_message(p->graph->cj));
    return options;
}

/* The count of steps and, with gradient accumulation, that of gradients since the last one. */
static bool count_steps(plan *p, cj_update *step_update)
{
    cj_graph *g = p->graph;
    const int64_t every = p->common ? p->common->gradient_accumulation_steps : 0;
    cj_node *step = prefixed(p, "step", CJ_I64, CJ_SCALAR), *one = cj_scalar(g, CJ_I64, 1);
    cj_node *next = cj_add(step, one);
    p->step = cj_cast(next, CJ_F64);
    if (every > 1) {
        cj_node *seen = prefixed(p, "gradients", CJ_I64, CJ_SCALAR), *now = cj_add(seen, one);
        p->ready = cj_greater_equal(now, cj_scalar(g, CJ_I64, (double)every));
        append(p, seen, cj_where(p->ready, cj_scalar(g, CJ_I64, 0), now));
        next = cj_where(p->ready, next, step);
    }
    *step_update = (cj_update){step, next};
    return p->step != NULL && next != NULL;
}

/* Each parameter by its own. */
static void build_each(plan *p, cj_node *const *parameters, cj_node *const *gradients, int n,
                       const cj_updates_opts *o)
{
    cj_graph *g = p->graph;
    cj_update step;
    cj_node **gradient = cj__arena_array(&g->arena, (size_t)n, sizeof *gradient);
    if (!gradient) cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
    if (!gradient || !count_steps(p, &step)) return;
    for (int i = 0; i < n; i++)
        gradient[i] = p->ready ? accumulated(p, parameters[i],
                                             cj_zero_as(gradients[i], parameters[i]))
                               : gradients[i];
    if (p->common && p->common->global_clipnorm > 0 && !g->failed)
        clip_global(g, gradient, n, p->common->global_clipnorm);
    const double rate = o->learning_rate > 0 ? o->learning_rate : p->row->learning_rate;
    for (int i = 0; i < n && !g->failed; i++) {
        cj_optimizer_step s = {.graph = g,
                               .parameter = parameters[i],
                               .gradient = gradient[i],
                               .step = p->step,
                               .options = options_of(p, parameters[i])};
        s.learning_rate = o->learning_rate_node
                              ? cj_cast(o->learning_rate_node, s.parameter->type.dtype)
                              : cj_scalar(g, s.parameter->type.dtype, rate);
        if (!update_parameter(p, &s)) return;
    }
    append(p, step.variable, step.value);
    const char *unused = cj__groups_unused(p->groups);
    if (unused)
        cj_graph_fail(g, CJ_ERR_ARGUMENT, "%s: groups: no parameter has a name like '%.100s'",
                      p->row->name, unused);
}

/* A search goes down the slope of the loss alone; it would not come to rest at a constraint. */
static bool search_is_free(const plan *p, cj_node *const *parameters, int n)
{
    for (int i = 0; i < n; i++) {
        const char *own = cj__rule_of(p->graph, parameters[i], CJ__ROW_CONSTRAINT);
        if (!own) continue;
        cj_graph_fail(p->graph, CJ_ERR_UNSUPPORTED,
                      "%s: searches by the loss and keeps to no constraint, and its layer keeps "
                      "'%s' to %s",
                      p->row->name, parameters[i]->name, own);
        return false;
    }
    return true;
}

/* All of them together, in evaluations; a step is counted when its search ends. */
static void build_search(plan *p, cj_node *const *parameters, cj_node *const *gradients, int n,
                         const cj_updates_opts *o)
{
    cj_graph *g = p->graph;
    if (!o->loss || o->loss == cj_zero || o->loss->type.rank != 0) {
        cj_graph_fail(g, CJ_ERR_ARGUMENT,
                      "%s: searches for the step by the loss, which is to be given as a scalar "
                      "(.loss = loss)",
                      p->row->name);
        return;
    }
    if (!search_is_free(p, parameters, n)) return;
    const double rate = o->learning_rate > 0 ? o->learning_rate : p->row->learning_rate;
    cj_node **lists = cj__arena_array(&g->arena, 2 * (size_t)n, sizeof *lists);
    if (!lists) {
        cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory");
        return;
    }
    for (int i = 0; i < n; i++) lists[i] = cj_zero_as(gradients[i], parameters[i]);
    p->searching = prefixed(p, "searching", CJ_BOOL, CJ_SCALAR);
    cj_optimizer_search s = {.graph = g,
                             .n = n,
                             .parameters = parameters,
                             .gradients = lists,
                             .loss = cj_cast(o->loss, CJ_F64),
                             .learning_rate = o->learning_rate_node
                                                  ? cj_cast(o->learning_rate_node, CJ_F64)
                                                  : cj_scalar(g, CJ_F64, rate),
                             .searching = p->searching,
                             .options = p->options,
                             .new_parameters = lists + n,
                             .updates = p};
    if (g->failed || !p->row->search(&s)) return;
    for (int i = 0; i < n; i++) append(p, parameters[i], s.new_parameters[i]);
    cj_node *step = prefixed(p, "step", CJ_I64, CJ_SCALAR),
            *next = cj_add(step, cj_scalar(g, CJ_I64, 1));
    append(p, p->searching, s.new_searching);
    append(p, step, cj_where(s.new_searching, step, next));
}

cj_node *cj_optimizer_state(cj_optimizer_search *s, const char *name, cj_dtype dtype, int rank,
                            const cj_dim *dims)
{
    return s->graph->failed ? NULL : prefixed(s->updates, name, dtype, rank, dims);
}

void cj_optimizer_keep(cj_optimizer_search *s, cj_node *state, cj_node *value)
{
    if (!s->graph->failed) append(s->updates, state, value);
}

const cj_update *(cj_updates)(const char *optimizer, cj_node *const *parameters,
                              cj_node *const *gradients, int n, const cj_updates_opts *opts)
{
    cj_graph *g = parameters && gradients ? cj__graph_of(parameters, n) : NULL;
    if (!g || g->failed) return NULL;
    cj_updates_opts o = {0};
    if (!cj__graph_opts(g, "updates", &o, sizeof o, opts)) return NULL;
    cj_graph_at(g, o.where);
    plan p = {.graph = g, .prefix = o.prefix ? o.prefix : "optimizer"};
    if (!take_row(g, optimizer, &p) || !check_rate(g, &o)) return NULL;
    for (int i = 0; i < n; i++)
        if (!check_pair(g, parameters[i], gradients[i], i)) return NULL;
    const char *outer = g->layer;
    cj__graph_layer(g, p.row->name);
    (p.row->search ? build_search : build_each)(&p, parameters, gradients, n, &o);
    /* A layer's running mean takes in what a step began with, not the trials of a search. */
    const cj__layers *layers = cj__layers_of(g);
    for (int i = 0; layers && !o.no_layer_updates && i < layers->n_updates && !g->failed; i++) {
        const cj_update *u = &layers->updates[i];
        append(&p, u->variable,
               p.searching ? cj_where(p.searching, u->variable, u->value) : u->value);
    }
    g->layer = outer;
    return g->failed ? NULL : p.list;
}

const cj_update *cj_layer_updates(cj_graph *g)
{
    cj__layers *layers = g && !g->failed ? cj__layers_of(g) : NULL;
    if (!layers) return NULL;
    cj_update *updates = cj__arena_array(&g->arena, (size_t)layers->n_updates + 1, sizeof *updates);
    if (!updates) return cj_graph_fail(g, CJ_ERR_MEMORY, "out of memory"), NULL;
    for (int i = 0; i < layers->n_updates; i++) updates[i] = layers->updates[i];
    return updates;
}
