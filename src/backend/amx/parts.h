/* parts.h: floats into bfloat16 parts, for the files compiled for AVX-512. */
#ifndef CAJAL_BACKEND_AMX_PARTS_H
#define CAJAL_BACKEND_AMX_PARTS_H

#include <immintrin.h>
#include <stddef.h>

/* 16 pairs of numbers, one pair a dword, part p at to + p part_bytes. What h and m leave over is
 * exact. */
static inline void split_pairs(__m512 x, __m512 y, char *to, size_t part_bytes)
{
    const __m512i top = _mm512_set1_epi32((int)0xffff0000u);
    for (int part = 0; part < 3; part++) {
        const __m512i hx = _mm512_and_si512(_mm512_castps_si512(x), top),
                      hy = _mm512_and_si512(_mm512_castps_si512(y), top);
        _mm512_store_si512(to + (size_t)part * part_bytes,
                           _mm512_or_si512(_mm512_srli_epi32(hx, 16), hy));
        x = _mm512_sub_ps(x, _mm512_castsi512_ps(hx));
        y = _mm512_sub_ps(y, _mm512_castsi512_ps(hy));
    }
}

static inline __mmask16 first(size_t n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

static inline void transpose(__m512 r[16])
{
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        for (int j = 0; j < 2; j++) {
            const __m512d x = _mm512_castps_pd(t[i + j]), y = _mm512_castps_pd(t[i + j + 2]);
            r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
            r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
        }
    }
    for (int i = 0; i < 16; i += 8) {
        for (int j = 0; j < 4; j++) {
            t[i + j] = _mm512_shuffle_f32x4(r[i + j], r[i + j + 4], 0x88);
            t[i + j + 4] = _mm512_shuffle_f32x4(r[i + j], r[i + j + 4], 0xdd);
        }
    }
    for (int j = 0; j < 8; j++) {
        r[j] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88);
        r[j + 8] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0xdd);
    }
}

#endif
