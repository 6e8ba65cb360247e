/* forms.c: how a weight lies in a file and how it lies here.
 *
 *     ours [b, a, places]    the file's, by its form: [places, a, b], [a b, places], ...
 *
 * b are output channels, a input channels, places those of a window. A weight may be one of several
 * equal parts of ours, the gates of a recurrent layer. */
#include "format/keras/keras.h"

#include <string.h>

/* Of the file's weight and of the part of ours. */
typedef struct sizes {
    int rank, to_rank;
    int64_t from[CJ_RANK_MAX], to[CJ_RANK_MAX];
    int64_t places, a, b;
} sizes;

static bool is_window(cj__keras_form form)
{
    return form == CJ__KERAS_CONV || form == CJ__KERAS_FIRST || form == CJ__KERAS_DEEP ||
           form == CJ__KERAS_BACK || form == CJ__KERAS_BACK_FIRST;
}

static bool is_matrix(cj__keras_form form)
{
    return form == CJ__KERAS_SWAP || form == CJ__KERAS_GATES || form == CJ__KERAS_TURNED;
}

static void take_sizes(const cj__keras_move *how, const cj_tensor *from, const cj_tensor *to,
                       sizes *s)
{
    *s = (sizes){.rank = cj_tensor_rank(from), .to_rank = cj_tensor_rank(to)};
    memcpy(s->from, cj_tensor_shape(from), (size_t)s->rank * sizeof *s->from);
    memcpy(s->to, cj_tensor_shape(to), (size_t)s->to_rank * sizeof *s->to);
    if (how->blocks) s->to[0] /= how->blocks;
    if (how->form == CJ__KERAS_CONV && how->old && s->rank == 4 && s->to_rank == 3 &&
        s->from[1] == 1) { /* Keras 1 has [k, 1, a, b] of a Convolution1D */
        s->from[1] = s->from[2], s->from[2] = s->from[3];
        s->rank = 3;
    }
}

/* Do they fit? Then places, a and b are set. */
static bool fits(cj__keras_form form, sizes *s)
{
    int64_t count, expected;
    const int64_t *from = s->from, *to = s->to;
    s->places = s->a = 1;
    if (!cj__count(s->rank, from, &count) || !cj__count(s->to_rank, to, &expected)) return false;
    s->b = expected;
    if (count != (form == CJ__KERAS_SUM ? 2 * expected : expected)) return false;
    if (form == CJ__KERAS_FLAT || form == CJ__KERAS_SUM) return true;
    if (s->rank != s->to_rank) return false;
    if (form == CJ__KERAS_SAME) return !memcmp(from, to, (size_t)s->rank * sizeof *to);
    if (s->rank < 2) return false;
    s->b = to[0];
    if (is_matrix(form)) {
        s->places = to[1];
        return s->rank == 2 && from[0] == to[1] && from[1] == to[0];
    }
    const bool first = form == CJ__KERAS_FIRST || form == CJ__KERAS_BACK_FIRST;
    const int64_t *window = first ? from + 2 : from,
                  *channels = first ? from : from + s->rank - 2;
    for (int i = 2; i < s->rank; i++) {
        if (window[i - 2] != to[i]) return false;
        s->places *= to[i];
    }
    if (form == CJ__KERAS_DEEP) return channels[0] * channels[1] == to[0];
    s->a = to[1];
    return form == CJ__KERAS_FIRST || form == CJ__KERAS_BACK
               ? channels[0] == to[0] && channels[1] == to[1]
               : channels[0] == to[1] && channels[1] == to[0];
}

int cj__keras_expected(const cj__keras_move *how, const cj_tensor *from, const cj_tensor *to,
                       int64_t *out)
{
    sizes s;
    if (how->form == CJ__KERAS_LOCAL) return cj__keras_local_shape(how->local, out);
    take_sizes(how, from, to, &s);
    const int rank = s.to_rank;
    memcpy(out, s.to, sizeof s.to);
    if (how->form == CJ__KERAS_SUM && rank == 1) out[0] = 2 * s.to[0];
    if (is_matrix(how->form) && rank == 2) out[0] = s.to[1], out[1] = s.to[0];
    if (!is_window(how->form) || how->form == CJ__KERAS_FIRST || rank < 2) return rank;
    if (how->form == CJ__KERAS_BACK_FIRST) return out[0] = s.to[1], out[1] = s.to[0], rank;
    for (int i = 2; i < rank; i++) out[i - 2] = s.to[i];
    if (how->form == CJ__KERAS_BACK)
        return out[rank - 2] = s.to[0], out[rank - 1] = s.to[1], rank;
    out[rank - 2] = how->form == CJ__KERAS_CONV ? s.to[1] : s.to[0];
    out[rank - 1] = how->form == CJ__KERAS_CONV ? s.to[0] : 1;
    return rank;
}

/* Where element [i, j, p] of ours is in the file. */
static size_t place_of(const cj__keras_move *how, const sizes *s, int64_t i, int64_t j, int64_t p)
{
    if (how->around) p = s->places - 1 - p;
    if (how->form == CJ__KERAS_BACK) return (size_t)((p * s->b + i) * s->a + j);
    if (how->form == CJ__KERAS_BACK_FIRST) return (size_t)((j * s->b + i) * s->places + p);
    if (how->form == CJ__KERAS_FIRST) return (size_t)((i * s->a + j) * s->places + p);
    if (how->form != CJ__KERAS_GATES && how->form != CJ__KERAS_TURNED)
        return (size_t)((p * s->a + j) * s->b + i);
    const int64_t units = s->b / how->gates, gate = i / units, unit = i % units;
    if (how->form == CJ__KERAS_TURNED) return (size_t)(unit * s->b + gate * units + p);
    const int64_t at = unit * s->places + p; /* of the gate's columns, row by row */
    return (size_t)(at / units * s->b + gate * units + at % units);
}

bool cj__keras_move_weight(const cj__keras_move *how, const cj_tensor *from, cj_tensor *to)
{
    const cj_dtype dtype = cj_tensor_dtype(to), source = cj_tensor_dtype(from);
    sizes s;
    if (how->form == CJ__KERAS_LOCAL) return cj__keras_move_local(how->local, from, to);
    take_sizes(how, from, to, &s);
    if (cj_dtype_info(source)->kind != CJ_KIND_FLOAT || !fits(how->form, &s)) return false;
    const void *bytes = cj_tensor_map_read(from);
    void *out = cj_tensor_map(to, CJ_MAP_WRITE);
    const int64_t first = how->block * s.b * s.a * s.places;
    for (int64_t i = 0; i < s.b; i++)
        for (int64_t j = 0; j < s.a; j++)
            for (int64_t p = 0; p < s.places; p++) {
                const size_t at = place_of(how, &s, i, j, p);
                double v = cj_load_f64(source, bytes, at);
                if (how->form == CJ__KERAS_SUM)
                    v += cj_load_f64(source, bytes, at + (size_t)s.b);
                if (how->units > 0 && how->slow >> (i / how->units) % how->gates & 1) v *= 5.0 / 6;
                cj_store_f64(dtype, out, (size_t)(first + (i * s.a + j) * s.places + p), v);
            }
    cj_tensor_unmap(to);
    cj_tensor_unmap(from);
    return true;
}
