/* isa_pool.h: pooling over runs of windows that lie alike.
 *
 * A run is `count` results; each reads from the same places, at the same distances from its own
 * first element. A result is `lanes` numbers: the channels of a pixel (they follow one another),
 * or, in images with channels first, neighbours along a row, which are x_lane apart:
 *
 *     result r, lane l:   out[r out_step + l out_lane]   from   in[offset[p] + r in_step + l
 * in_lane]
 *
 * The case of few places is compiled once for each number of them, so that loops over places are
 * unrolled and the largest so far stays in a register. */
#include "backend/cpu/isa.h"
#include "backend/cpu/simd.h"

SIMD vf pool_load(const float *p, ptrdiff_t lane, size_t n)
{
    if (lane == 1) return n == VF_LANES ? vf_load(p) : vf_load_n(p, n);
    float lanes[VF_LANES] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[(ptrdiff_t)i * lane];
    return vf_load(lanes);
}

SIMD void pool_store(float *p, ptrdiff_t lane, vf v, size_t n)
{
    if (lane == 1 && n == VF_LANES) vf_store(p, v);
    else if (lane == 1) vf_store_n(p, v, n);
    else {
        float lanes[VF_LANES];
        vf_store(lanes, v);
        for (size_t i = 0; i < n; i++) p[(ptrdiff_t)i * lane] = lanes[i];
    }
}

/* Places are bytes here and 32-bit lanes in registers. */
SIMD vi pool_load_places(const uint8_t *p, size_t n)
{
    uint8_t bytes[VF_LANES] = {0};
    if (n == VF_LANES) return vi_load_bytes(p);
    for (size_t i = 0; i < n; i++) bytes[i] = p[i];
    return vi_load_bytes(bytes);
}

SIMD void pool_store_places(uint8_t *p, vi places, size_t n)
{
    uint8_t bytes[VF_LANES];
    vi_store_bytes(n == VF_LANES ? p : bytes, places);
    for (size_t i = 0; n < VF_LANES && i < n; i++) p[i] = bytes[i];
}

/* Calls STEP(n, offset of the lanes in, out) for every vector of every result. */
#define POOL_EACH(r, l, n) \
    for (int64_t r = 0; r < s->count; r++) \
        for (int64_t l = 0, n; n = s->lanes - l < VF_LANES ? s->lanes - l : VF_LANES, \
                              l < s->lanes; \
             l += VF_LANES)

/* ---- Maximum --------------------------------------------------------------------------------- */

/* Whether few: a constant number of places, which then stay in registers. */
SIMD void pool_max_span(const cj__pool_span *s, const float *x, float *y, uint8_t *index,
                        ptrdiff_t lane, int places, bool few)
{
    enum { FEW = 9 };
    int64_t offset[FEW];
    vi place[FEW];
    for (int p = 0; few && p < places; p++)
        offset[p] = s->offset[p], place[p] = vi_set(s->place[p]);
    POOL_EACH(r, l, n) {
        const float *from = x + r * s->in_step + l * lane;
        vf best = pool_load(from + (few ? offset : s->offset)[0], lane, (size_t)n);
        vi at = few ? place[0] : vi_set(s->place[0]);
        for (int p = 1; p < places; p++) {
            vf v = pool_load(from + (few ? offset : s->offset)[p], lane, (size_t)n);
            vm better = vm_or(vf_lt(best, v), vm_and(vf_nan(v), vm_not(vf_nan(best))));
            best = vf_select(better, v, best);
            at = (vi)vf_select(better, (vf)(few ? place[p] : vi_set(s->place[p])), (vf)at);
        }
        int64_t to = r * s->out_step + l;
        pool_store(y + to, 1, best, (size_t)n);
        if (index) pool_store_places(index + to, at, (size_t)n);
    }
}

static void pool_max_f32(const cj__pool_span *s, const float *x, float *y, uint8_t *index)
{
    const int places = s->in_lane == 1 ? s->places : 0;
    switch (places) {
    case 4: pool_max_span(s, x, y, index, 1, 4, true); break;
    case 9: pool_max_span(s, x, y, index, 1, 9, true); break;
    case 0: pool_max_span(s, x, y, index, s->in_lane, s->places, false); break;
    default: pool_max_span(s, x, y, index, 1, places, false); break;
    }
}

/* ---- Its transpose --------------------------------------------------------------------------- */

SIMD void pool_spread_span(const cj__pool_span *s, const float *dy, const uint8_t *index, float *dx,
                           ptrdiff_t lane, int places)
{
    POOL_EACH(r, l, n) {
        int64_t from = r * s->in_step + l;
        vf sum = {0};
        for (int p = 0; p < places; p++) {
            vi at = pool_load_places(index + from + s->offset[p], (size_t)n);
            vf v = pool_load(dy + from + s->offset[p], 1, (size_t)n);
            v = (vf)((vi)v & (vi)(at == vi_set(s->place[p])));
            sum = p ? sum + v : v;
        }
        pool_store(dx + r * s->out_step + l * lane, lane, sum, (size_t)n);
    }
}

/* Windows side by side: each is read once, and its places are written one after the other. */
SIMD void pool_spread_tiles(const cj__pool_span *s, const float *dy, const uint8_t *index,
                            float *dx, int phases, bool stream)
{
    POOL_EACH(r, l, n) {
        int64_t from = r * s->in_step + l + s->offset[0];
        vi at = pool_load_places(index + from, (size_t)n);
        vf v = pool_load(dy + from, 1, (size_t)n);
        for (int p = 0; p < phases; p++) {
            vf chosen = (vf)((vi)v & (vi)(at == vi_set(s->place[p])));
            float *to = dx + r * s->out_step + p * s->out_phase + l;
            if (stream) vf_stream(to, chosen);
            else pool_store(to, 1, chosen, (size_t)n);
        }
    }
}

static void pool_spread_f32(const cj__pool_span *s, const float *dy, const uint8_t *index,
                            float *dx)
{
    if (s->phases > 1) {
        const bool stream = s->stream && s->lanes % VF_LANES == 0;
        if (stream && s->phases == 2) pool_spread_tiles(s, dy, index, dx, 2, true);
        else if (stream) pool_spread_tiles(s, dy, index, dx, s->phases, true);
        else pool_spread_tiles(s, dy, index, dx, s->phases, false);
        return;
    }
    if (s->out_lane != 1) {
        pool_spread_span(s, dy, index, dx, s->out_lane, s->places);
        return;
    }
    switch (s->places) {
    case 0: pool_spread_span(s, dy, index, dx, 1, 0); break;
    case 1: pool_spread_span(s, dy, index, dx, 1, 1); break;
    case 2: pool_spread_span(s, dy, index, dx, 1, 2); break;
    case 4: pool_spread_span(s, dy, index, dx, 1, 4); break;
    default: pool_spread_span(s, dy, index, dx, 1, s->places); break;
    }
}

/* ---- Sums ------------------------------------------------------------------------------------ */

SIMD void pool_sum_span(const cj__pool_span *s, const float *x, float *y, ptrdiff_t in_lane,
                        ptrdiff_t out_lane, int places)
{
    const vf divisor = vf_set(s->divisor);
    POOL_EACH(r, l, n) {
        const float *from = x + r * s->in_step + l * in_lane;
        vf sum = {0};
        for (int p = 0; p < places; p++) {
            vf v = pool_load(from + s->offset[p], in_lane, (size_t)n);
            sum += s->weight ? v * vf_set(s->weight[p]) : v;
        }
        pool_store(y + r * s->out_step + l * out_lane, out_lane, sum / divisor, (size_t)n);
    }
}

static void pool_sum_f32(const cj__pool_span *s, const float *x, float *y)
{
    if (s->in_lane != 1 || s->out_lane != 1)
        pool_sum_span(s, x, y, s->in_lane, s->out_lane, s->places);
    else if (s->places == 4) pool_sum_span(s, x, y, 1, 1, 4);
    else if (s->places == 1) pool_sum_span(s, x, y, 1, 1, 1);
    else pool_sum_span(s, x, y, 1, 1, s->places);
}
#undef POOL_EACH
