/* planes.c: the functions of planes.h; compiled for AVX-512 as tiles.c is. */
#include "backend/amx/planes.h"

#if defined(CJ_HAVE_AMX)
#include "backend/amx/parts.h"

/* Numbers of a row that are padding, of the first and of the second of each pair. */
static inline void mark_none(__mmask16 x, __mmask16 y, char *last)
{
    const __m512i low = _mm512_maskz_set1_epi32(x, CJ__AMX_NONE),
                  high = _mm512_maskz_set1_epi32(y, (int)((unsigned)CJ__AMX_NONE << 16));
    _mm512_store_si512(last,
                       _mm512_or_si512(_mm512_load_si512(last), _mm512_or_si512(low, high)));
}

void cj__amx_split(const float *a, size_t ld, size_t rows, size_t depth, char *to,
                   size_t row_bytes, size_t part_bytes)
{
    if (depth == 32) {
        for (size_t i = 0; i < rows; i++, a += ld, to += row_bytes)
            split_pairs(_mm512_loadu_ps(a), _mm512_loadu_ps(a + 16), to, part_bytes);
        return;
    }
    const uint32_t mask = (1u << depth) - 1u;
    for (size_t i = 0; i < rows; i++, a += ld, to += row_bytes) {
        split_pairs(_mm512_maskz_loadu_ps((__mmask16)mask, a),
                    _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), a + 16), to, part_bytes);
        mark_none((__mmask16)~mask, (__mmask16)~(mask >> 16), to + 2 * part_bytes);
    }
}

void cj__amx_split_none(char *to, size_t part_bytes)
{
    const __m512i zero = _mm512_setzero_si512();
    _mm512_store_si512(to, zero);
    _mm512_store_si512(to + part_bytes, zero);
    _mm512_store_si512(to + 2 * part_bytes, _mm512_set1_epi16((short)CJ__AMX_NONE));
}

/* The numbers of one k, j < columns. */
static inline __m512 gather(const float *b, __m512i at, __mmask16 mask)
{
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, at, b, 4);
}

void cj__amx_right_apart(const float *b, size_t k_step, size_t j_step, size_t depth,
                         size_t columns, void *panel)
{
    const __m512i at = _mm512_mullo_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        _mm512_set1_epi32((int)j_step));
    const __mmask16 mask = first(columns);
    for (size_t k = 0; k < 16; k++) {
        const __m512 x = k < depth ? gather(b + k * k_step, at, mask) : _mm512_setzero_ps(),
                     y = k + 16 < depth ? gather(b + (k + 16) * k_step, at, mask)
                                        : _mm512_setzero_ps();
        split_pairs(x, y, (char *)panel + 64 * k, CJ__AMX_PART);
    }
}

void cj__amx_right_places(const float *b, size_t places, size_t ld, size_t depth,
                          size_t columns, char *panels)
{
    __m512 line[CJ__AMX_K * CJ__AMX_PLACES_MAX + 16], r[16];
    for (size_t from = 0; from < depth * places; from += 16) {
        const __mmask16 mask = first(depth * places - from);
        for (size_t j = 0; j < 16; j++)
            r[j] = j < columns ? _mm512_maskz_loadu_ps(mask, b + j * ld + from)
                               : _mm512_setzero_ps();
        transpose(r);
        for (size_t j = 0; j < 16; j++) line[from + j] = r[j];
    }
    for (size_t i = depth * places; i < CJ__AMX_K * places; i++) line[i] = _mm512_setzero_ps();
    for (size_t i = 0; i < places; i++, panels += CJ__AMX_PANEL)
        for (size_t k = 0; k < 16; k++)
            split_pairs(line[k * places + i], line[(k + 16) * places + i], panels + 64 * k,
                        CJ__AMX_PART);
}

/* ---- Weight gradients ------------------------------------------------------------------------ */

static inline __m512 pixel(const cj__amx_pixels *p, int i, size_t channel, __mmask16 mask)
{
    return p->at[i] < 0 ? _mm512_setzero_ps()
                        : _mm512_maskz_loadu_ps(mask, p->a + p->at[i] + channel);
}

void cj__amx_left_pixels(const cj__amx_pixels *p, size_t channel, size_t channels, char *panel)
{
    const __mmask16 mask = first(channels);
    const __m512i top = _mm512_set1_epi32((int)0xffff0000u),
                  count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                  odd = _mm512_add_epi32(_mm512_mullo_epi32(count, _mm512_set1_epi32(4 << 16 | 4)),
                                         _mm512_set1_epi32(3 << 16 | 1)); /* 1, 3, 5 .. 63 */
    __m512 r[32];
    __mmask32 none = 0;
    for (int i = 0; i < 32; i++) {
        r[i] = pixel(p, i, channel, mask);
        none |= (__mmask32)(p->at[i] < 0) << i;
    }
    transpose(r);
    transpose(r + 16);
    for (size_t c = 0; c < 16; c++, panel += 64) {
        __m512 x = r[c], y = r[16 + c];
        for (size_t part = 0; part < 3; part++) {
            const __m512i hx = _mm512_and_si512(_mm512_castps_si512(x), top),
                          hy = _mm512_and_si512(_mm512_castps_si512(y), top);
            __m512i line = _mm512_permutex2var_epi16(hx, odd, hy);
            if (part == 2)
                line = _mm512_mask_mov_epi16(line, none, _mm512_set1_epi16((short)CJ__AMX_NONE));
            _mm512_store_si512(panel + part * CJ__AMX_PART, line);
            x = _mm512_sub_ps(x, _mm512_castsi512_ps(hx));
            y = _mm512_sub_ps(y, _mm512_castsi512_ps(hy));
        }
    }
}

void cj__amx_right_pixels(const cj__amx_pixels *p, size_t channel, size_t channels, char *even,
                          char *odd, size_t part_bytes)
{
    const __mmask16 mask = first(channels);
    for (int i = 0; i < 32; i += 2) {
        const __m512 x = pixel(p, i, channel, mask), y = pixel(p, i + 1, channel, mask);
        const __mmask16 none_x = p->at[i] < 0 ? 0xffff : 0, none_y = p->at[i + 1] < 0 ? 0xffff : 0,
                        none_z = p->at[i + 2] < 0 ? 0xffff : 0;
        split_pairs(x, y, even + 32 * i, part_bytes);
        if (none_x | none_y) mark_none(none_x, none_y, even + 32 * i + 2 * part_bytes);
        if (!odd) continue;
        split_pairs(y, pixel(p, i + 2, channel, mask), odd + 32 * i, part_bytes);
        if (none_y | none_z) mark_none(none_y, none_z, odd + 32 * i + 2 * part_bytes);
    }
}

void cj__amx_store_places(const float *sums, size_t n, size_t step, size_t places, size_t rows,
                          size_t depth, float *w, size_t ld)
{
    _Alignas(64) int32_t at[CJ__AMX_K * 64];
    const size_t all = depth * places;
    for (size_t i = 0; i < all; i++) at[i] = (int32_t)(i % places * 1024 + i / places);
    for (size_t j = 0; j < rows; j++, sums += CJ__AMX_K, w += ld)
        for (size_t from = 0; from < all; from += 16) {
            const __mmask16 mask = first(all - from);
            const __m512i where = _mm512_maskz_load_epi32(mask, at + from);
            __m512 x = gather(sums, where, mask);
            for (size_t k = 1; k < n; k++)
                x = _mm512_add_ps(x, gather(sums + k * step, where, mask));
            _mm512_mask_storeu_ps(w + from, mask, x);
        }
}
#else
typedef int cj__amx_planes_are_not_built; /* a file of C is never empty */
#endif
