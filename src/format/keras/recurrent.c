/* recurrent.c: recurrent layers of Keras with their states, and what wraps them or their cells. */
#include "format/keras/keras.h"

#include <cajal/recurrent.h>

#include <string.h>

static bool is_row(const cj__keras_layer *l, const char *name)
{
    return !strcmp(l->row->layer, name);
}

static int states_of(const cj__keras_layer *l) { return is_row(l, "lstm") ? 2 : 1; }

static bool is_hard(const cj__keras_layer *l, const char *key)
{
    const cj__json *value = cj__json_find(l->config, key);
    const char *inner = cj__keras_string(value, "config");
    return value && !strcmp(value->type == CJ__JSON_STRING ? value->string : inner ? inner : "",
                            "hard_sigmoid");
}

unsigned cj__keras_slow_gates(const cj__keras *k, const cj__keras_layer *l)
{
    const unsigned states = is_row(l, "gru") ? 4 : 1, all = is_row(l, "lstm") ? 11 : 3;
    if (k->version < 3 || !l->row->layer) return 0;
    return (is_hard(l, "activation") ? states : 0) |
           (is_hard(l, "recurrent_activation") && !is_row(l, "simple_rnn") ? all : 0);
}

/* The options of a layer, or of a cell, without what wraps it. cuDNN's GRU resets after. */
static cj_status recurrent_options(cj__keras *k, const cj__keras_layer *l, cj__text *out)
{
    CJ__TRY(cj__keras_options(k, l, out));
    if (k->version >= 3 && is_row(l, "lstm") && is_hard(l, "activation"))
        return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED,
                              "hard_sigmoid of Keras 3 as the activation of an LSTM's state");
    if (is_row(l, "gru") && strcmp(l->kind, "CuDNNGRU") &&
        !cj__keras_bool(l->config, "reset_after", false))
        cj__text_add(out, ", reset_before=true");
    return out->failed;
}

/* Are the inputs behind the first so many initial states? */
static cj_status check_states(cj__keras *k, const cj__keras_layer *l, const cj__keras_call *call,
                              int n, int expected)
{
    for (int i = 1; call && i < n && i < call->n_refs; i++)
        if (call->refs[i].keyword && strcmp(call->refs[i].keyword, "initial_state"))
            return cj__keras_fail(k, l, CJ_ERR_UNSUPPORTED, "a call with %.40s",
                                  call->refs[i].keyword);
    return n == 1 || n == 1 + expected
               ? CJ_OK
               : cj__keras_fail(k, l, CJ_ERR_DATA, "%d initial states; %d are expected", n - 1,
                                expected);
}

/* x, then the states (NULL: none) of each direction as [directions, batch, units]. */
static int inputs(cj_node *x, cj_node *const *state, int directions, int states, cj_node **in)
{
    int n = 0;
    in[n++] = x;
    for (int s = 0; state && s < states; s++) {
        cj_node *of[2] = {state[s], directions == 2 ? state[states + s] : NULL};
        in[n++] = cj_stack(of, directions, 0);
    }
    return n;
}

/* The states behind a result: h and c of the one direction, then of the other. */
static cj_status add_states(cj__keras *k, const cj__keras_layer *l, cj__keras_call *call,
                            cj_node *y, int directions, int states)
{
    if (!cj__keras_bool(l->config, "return_state", false)) return CJ_OK;
    if (call->n_out + directions * states > CJ__KERAS_OUTPUTS)
        return cj__keras_fail(k, l, CJ_ERR_LIMIT, "more than %d states", CJ__KERAS_OUTPUTS - 1);
    for (int d = 0; d < directions; d++)
        for (int s = 0; s < states; s++) {
            cj_node *state = cj_recurrent_state(y, s);
            call->out[call->n_out++] = cj_squeeze(cj_slice_axis(state, 0, d, 1), 0);
        }
    return k->g->failed;
}

/* [steps, batch, ...] as [batch, steps, ...], or back; its mask, too. */
static cj_node *exchanged(cj_node *x)
{
    int64_t order[CJ_RANK_MAX];
    cj_node *mask = cj_mask_of(x);
    for (int i = 0; i < cj_node_rank(x); i++) order[i] = i < 2 ? 1 - i : i;
    cj_node *y = cj_node_rank(x) < 2 ? x : cj_transpose(x, order);
    return mask && y ? cj_with_mask(y, cj_transpose(mask, (int64_t[]){1, 0})) : y;
}

/* y, 0 where a step does not count, if the layer says so; all: y are all steps, else the last. */
static cj_node *zeroed(const cj__keras_layer *l, const cj_node *x, cj_node *y)
{
    const bool all = cj__keras_bool(l->config, "return_sequences", false),
               back = cj__keras_bool(l->config, "go_backwards", false);
    cj_node *mask = cj_mask_of(x), *own = y ? cj_mask_of(y) : NULL;
    if (!mask || !y || !cj__keras_bool(l->config, "zero_output_for_mask", false)) return y;
    if (back) mask = cj_reverse(mask, 1);
    if (!all) mask = mask ? cj_squeeze(cj_slice_axis(mask, 1, -1, 1), 1) : NULL;
    y = cj_where(cj_expand_dims(mask, -1), y, cj_scalar(cj_node_graph(y), cj_node_dtype(y), 0));
    return own ? cj_with_mask(y, own) : y;
}

CJ__KERAS_BUILDER(recurrent)
{
    cj_node *in[3], *y = NULL;
    const int states = states_of(layer);
    const bool steps_first = cj__keras_bool(layer->config, "time_major", false);
    cj_node *from = steps_first ? exchanged(x[0]) : x[0];
    cj__text text;
    CJ__TRY(check_states(k, layer, call, n, states));
    if (!from) return k->g->failed;
    const int n_in = inputs(from, n > 1 ? x + 1 : NULL, 1, states, in);
    cj__text_init(&text, k->cj);
    cj_status failed = recurrent_options(k, layer, &text);
    if (!failed)
        failed = cj__keras_apply(k, layer, layer->row->layer, cj__text_string(&text), in, n_in, &y);
    cj__text_release(&text);
    if (failed) return failed;
    call->out[0] = zeroed(layer, from, y);
    if (steps_first && cj__keras_bool(layer->config, "return_sequences", false))
        call->out[0] = call->out[0] ? exchanged(call->out[0]) : NULL;
    call->n_out = 1;
    return add_states(k, layer, call, y, 1, states);
}

/* ---- Bidirectional --------------------------------------------------------------------------- */

/* Its steps, along the axis, from the last to the first. */
static cj_node *turned(cj_node *x, int axis)
{
    cj_node *mask = cj_mask_of(x), *y = cj_reverse(x, axis);
    return mask && y ? cj_with_mask(y, cj_reverse(mask, axis)) : y;
}

/* The results of two directions as merge_mode says. */
static cj_status merge(cj__keras *k, const cj__keras_layer *l, cj_node *a, cj_node *b,
                       cj__keras_call *call)
{
    const char *mode = cj__keras_string(l->config, "merge_mode");
    cj_node *both[2] = {a, b}, *mask = cj_mask_of(a);
    if (mode && !cj__keras_is_word("concat sum mul ave", mode))
        return cj__keras_fail(k, l, CJ_ERR_DATA, "merge_mode %.40s", mode);
    if (mode) {
        const bool mean = !strcmp(mode, "ave");
        both[0] = !strcmp(mode, "concat") ? cj_concat(both, 2, -1)
                : !strcmp(mode, "mul")    ? cj_mul(a, b)
                                          : cj_add(a, b);
        if (mean) both[0] = cj_scale(both[0], 0.5);
        if (mask) both[0] = cj_with_mask(both[0], mask);
    }
    call->n_out = mode ? 1 : 2;
    memcpy(call->out, both, sizeof both);
    return k->g->failed;
}

/* Two layers, of which the second is given the steps from the last to the first, where it does not
 * take them so by itself. */
static cj_status build_twice(cj__keras *k, cj__keras_layer *l, cj__keras_call *call,
                             cj_node *const *x, int n)
{
    cj__keras_call way[2];
    const bool turns = cj__keras_bool(l->inner[0].config, "go_backwards", false) ==
                       cj__keras_bool(l->inner[1].config, "go_backwards", false);
    const int states = (n - 1) / 2,
              axis = cj__keras_bool(l->inner->config, "time_major", false) ? 0 : 1;
    if (n != 1 + 2 * states || states > CJ__KERAS_OUTPUTS)
        return cj__keras_fail(k, l, CJ_ERR_DATA, "%d initial states; they are of two directions",
                              n - 1);
    for (int i = 0; i < 2; i++) {
        cj__keras_layer *inner = &l->inner[i];
        cj_node *in[CJ__KERAS_OUTPUTS + 1] = {i && turns ? turned(x[0], axis) : x[0]};
        memcpy(in + 1, x + 1 + i * states, (size_t)states * sizeof *in);
        way[i] = (cj__keras_call){.layer = inner};
        inner->n_calls = l->n_calls;
        if (!l->full) /* a name beside which nothing else can stand */
            inner->name = cj__arena_printf(k->arena, "%s.%s", l->name, i ? "backward" : "forward");
        if (!inner->name) return CJ_ERR_MEMORY;
        CJ__TRY(cj__keras_build(k, inner, &way[i], in, 1 + states));
    }
    l->full = l->name;
    cj_node *back = way[1].out[0];
    if (cj__keras_bool(l->inner->config, "return_sequences", false)) back = turned(back, axis);
    CJ__TRY(merge(k, l, way[0].out[0], back, call));
    for (int i = 0; i < 2; i++)
        for (int s = 1; s < way[i].n_out; s++) {
            if (call->n_out == CJ__KERAS_OUTPUTS)
                return cj__keras_fail(k, l, CJ_ERR_LIMIT, "more than %d results",
                                      CJ__KERAS_OUTPUTS);
            call->out[call->n_out++] = way[i].out[s];
        }
    return k->g->failed;
}

CJ__KERAS_BUILDER(bidirectional)
{
    if (layer->n_inner == 2) return build_twice(k, layer, call, x, n);
    cj_node *in[3], *y = NULL;
    const cj__keras_layer *inner = layer->inner;
    if (!inner || !inner->row || inner->row->build != cj__keras_build_recurrent)
        return cj__keras_fail(
            k, layer, CJ_ERR_UNSUPPORTED,
            "it wraps a %.60s; SimpleRNN, LSTM, GRU, RNN and ConvLSTM are possible",
            inner ? inner->kind : "nothing");
    const int states = states_of(inner);
    const char *mode = cj__keras_string(layer->config, "merge_mode");
    cj__text text;
    CJ__TRY(check_states(k, layer, call, n, 2 * states));
    const bool steps_first = cj__keras_bool(inner->config, "time_major", false);
    cj_node *from = steps_first ? exchanged(x[0]) : x[0], *made = NULL;
    if (!from) return k->g->failed;
    const int n_in = inputs(from, n > 1 ? x + 1 : NULL, 2, states, in);
    cj__text_init(&text, k->cj);
    cj_status failed = recurrent_options(k, inner, &text);
    cj__text_format(&text, ", bidirectional=true, merge_mode=%.20s", mode ? mode : "concat");
    if (!failed)
        failed = cj__keras_apply(k, layer, inner->row->layer, cj__text_string(&text), in, n_in,
                                 &made);
    cj__text_release(&text);
    if (failed) return failed;
    y = steps_first && cj__keras_bool(inner->config, "return_sequences", false) ? exchanged(made)
                                                                              : made;
    if (!y) return k->g->failed;
    call->n_out = mode ? 1 : 2;
    call->out[0] = y;
    if (!mode) { /* the directions are not merged, but two results */
        const int64_t units = cj_node_dim(y, -1) / 2;
        call->out[0] = cj_slice_axis(y, -1, 0, units);
        call->out[1] = cj_slice_axis(y, -1, units, units);
    }
    return add_states(k, inner, call, made, 2, states);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* One cell of an RNN, as a layer. The last one's steps are the RNN's own affair; it goes backwards
 * at the first alone, whose steps come in the order they were made in. */
static cj_status build_cell(cj__keras *k, const cj__keras_layer *rnn, int i, cj_node *const *in,
                            int n_in, cj_node **y)
{
    cj__keras_layer *cell = &rnn->inner[i];
    const bool last = i + 1 == rnn->n_inner;
    const bool all = !last || cj__keras_bool(rnn->config, "return_sequences", false),
               back = !i && cj__keras_bool(rnn->config, "go_backwards", false);
    cj__text text;
    cj__text_init(&text, k->cj);
    cj_status failed = recurrent_options(k, cell, &text);
    cj__text_format(&text, "%s%s", all ? ", return_sequences=true" : "",
                    back ? ", go_backwards=true" : "");
    if (!failed)
        failed = cj__keras_apply(k, cell, cell->row->layer, cj__text_string(&text), in, n_in, y);
    cj__text_release(&text);
    return failed;
}

/* y, which cells made of x, and so often x, as their wrappers say; back: y's steps are turned. */
static cj_status add_residual(cj__keras *k, const cj__keras_layer *rnn, int times, bool back,
                              cj_node *x, cj_node **y)
{
    if (!times) return CJ_OK;
    if (cj_mask_of(x))
        return cj__keras_fail(k, rnn, CJ_ERR_UNSUPPORTED, "a ResidualWrapper and a mask");
    if (cj_node_rank(*y) == cj_node_rank(x)) x = back ? cj_reverse(x, 1) : x;
    else x = cj_squeeze(cj_slice_axis(x, 1, back ? 0 : -1, 1), 1);
    if (times > 1) x = cj_scale(x, times);
    *y = cj_add(*y, x);
    return k->g->failed;
}

CJ__KERAS_BUILDER(cells)
{
    int states = 0, used = 1;
    const bool steps_first = cj__keras_bool(layer->config, "time_major", false),
               back = cj__keras_bool(layer->config, "go_backwards", false);
    cj_node *from = steps_first ? exchanged(x[0]) : x[0];
    if (!from) return k->g->failed;
    for (int i = 0; i < layer->n_inner; i++) states += states_of(&layer->inner[i]);
    CJ__TRY(check_states(k, layer, call, n, states));
    call->out[0] = from;
    call->n_out = 1;
    for (int i = 0; i < layer->n_inner; i++) {
        cj__keras_layer *cell = &layer->inner[i];
        cj_node *in[3];
        const int own = states_of(cell),
                  n_in = inputs(call->out[0], n > 1 ? x + used : NULL, 1, own, in);
        cell->n_calls = layer->n_calls;
        if (!layer->full) /* a name beside which nothing else can stand */
            cell->name = layer->n_inner == 1 ? layer->name
                                             : cj__arena_printf(k->arena, "%s.%s", layer->name,
                                                                cell->name);
        if (!cell->name) return CJ_ERR_MEMORY;
        CJ__TRY(build_cell(k, layer, i, in, n_in, &call->out[0]));
        CJ__TRY(add_states(k, layer, call, call->out[0], 1, own));
        CJ__TRY(add_residual(k, layer, cell->residuals, back && !i, in[0], &call->out[0]));
        used += own;
    }
    layer->full = layer->name;
    CJ__TRY(add_residual(k, layer, layer->residuals, back, from, &call->out[0]));
    call->out[0] = zeroed(layer, from, call->out[0]);
    if (steps_first && cj__keras_bool(layer->config, "return_sequences", false))
        call->out[0] = call->out[0] ? exchanged(call->out[0]) : NULL;
    return k->g->failed;
}

CJ__KERAS_BUILDER(cell)
{
    (void)call, (void)x, (void)n;
    return cj__keras_fail(k, layer, CJ_ERR_DATA, "a cell that is not in an RNN");
}
