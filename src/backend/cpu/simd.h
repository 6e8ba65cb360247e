/* simd.h: one vocabulary for the vectors of every processor.
 *
 * The file that includes it defines one of CJ__ISA_AVX512, CJ__ISA_AVX2, CJ__ISA_NEON,
 * CJ__ISA_GENERIC and is compiled with that processor's flags. Arithmetic and bit operations are
 * the compilers' vector extensions
 * (+ - * / & | ^ << >> on vf, vd, vi); this header adds what C's operators cannot say.
 *
 *     vf  VF_LANES floats      vi  as many int32      vm  a truth value for each lane
 *     vd  VD_LANES doubles (VF_LANES / 2)
 *
 * Loads and stores take any float address; the _n forms touch only the first n lanes of memory and
 * fill the others with zero. vf_stream writes past the caches, where p is aligned to VF_BYTES;
 * vf_stream_end comes before another thread may read that. Nothing here is contracted behind our
 * back: a fused multiply-add is written vf_fma, and where the processor has none it rounds twice.
 */
#ifndef CAJAL_BACKEND_CPU_SIMD_H
#define CAJAL_BACKEND_CPU_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(CJ__ISA_AVX512) || defined(CJ__ISA_AVX2)
#include <immintrin.h>
#elif defined(CJ__ISA_NEON)
#include <arm_neon.h>
#elif !defined(CJ__ISA_GENERIC)
#error "define one of CJ__ISA_AVX512, CJ__ISA_AVX2, CJ__ISA_NEON, CJ__ISA_GENERIC"
#endif

#if defined(CJ__ISA_AVX512)
#define VF_BYTES 64
#elif defined(CJ__ISA_AVX2)
#define VF_BYTES 32
#else
#define VF_BYTES 16
#endif
#define VF_LANES (VF_BYTES / 4)
#define VD_LANES (VF_BYTES / 8)

#define SIMD static inline __attribute__((always_inline, unused))
/* Long functions of a vector or two. The core build has a table for processors without AVX2 that is
 * to be small above all: there they are calls. */
#if defined(CJ_CORE) && defined(CJ__ISA_GENERIC)
#define SIMD_LONG static __attribute__((noinline, unused))
#else
#define SIMD_LONG SIMD
#endif
#if defined(__clang__)
#define SIMD_UNROLL _Pragma("clang loop unroll(full)")
#define SIMD_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define SIMD_UNROLL _Pragma("GCC unroll 64")
#define SIMD_UNROLL_4 _Pragma("GCC unroll 4")
#endif

typedef float vf __attribute__((vector_size(VF_BYTES)));
typedef double vd __attribute__((vector_size(VF_BYTES)));
typedef int32_t vi __attribute__((vector_size(VF_BYTES)));
typedef uint32_t vu
    __attribute__((vector_size(VF_BYTES))); /* for arithmetic on bits, which may wrap */
typedef int64_t vl __attribute__((vector_size(VF_BYTES)));
typedef float vf_any __attribute__((vector_size(VF_BYTES), aligned(4), may_alias));
typedef double vd_any __attribute__((vector_size(VF_BYTES), aligned(8), may_alias));
typedef int32_t vi_any __attribute__((vector_size(VF_BYTES), aligned(4), may_alias));

/* ---- The same for all ---- */

SIMD vf vf_load(const float *p) { return *(const vf_any *)p; }
SIMD void vf_store(float *p, vf v) { *(vf_any *)p = v; }
SIMD vd vd_load(const double *p) { return *(const vd_any *)p; }
SIMD void vd_store(double *p, vd v) { *(vd_any *)p = v; }
SIMD vi vi_load(const int32_t *p) { return *(const vi_any *)p; }
SIMD void vi_store(int32_t *p, vi v) { *(vi_any *)p = v; }
SIMD vi vi_set(int32_t x) { return x - (vi){0}; }
SIMD vi vf_bits(vf v) { return (vi)v; }
SIMD vf vi_float_bits(vi v) { return (vf)v; }

/* ---- What differs ---- */

#if defined(CJ__ISA_AVX512)

typedef __mmask16 vm;
SIMD vf vf_set(float x) { return (vf)_mm512_set1_ps(x); }
SIMD vd vd_set(double x) { return (vd)_mm512_set1_pd(x); }
SIMD vf vf_load_n(const float *p, size_t n)
{
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
SIMD void vf_stream(float *p, vf v) { _mm512_stream_ps(p, (__m512)v); }
SIMD void vf_stream_end(void) { _mm_sfence(); }
SIMD void vf_store_n(float *p, vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
SIMD vd vd_load_n(const double *p, size_t n)
{
    return (vd)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
SIMD void vd_store_n(double *p, vd v, size_t n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
SIMD vf vf_fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
SIMD vd vd_fma(vd a, vd b, vd c) { return (vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
SIMD vf vf_sqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
SIMD vf vf_round(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT); }
SIMD vf vf_floor(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEG_INF); }
SIMD vf vf_ceil(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_POS_INF); }
SIMD vd vd_round(vd a) { return (vd)_mm512_roundscale_pd((__m512d)a, _MM_FROUND_TO_NEAREST_INT); }
SIMD vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
SIMD vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ); }
SIMD vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
SIMD vm vf_nan(vf a) { return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q); }
SIMD vm vi_lt(vi a, vi b) { return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b); }
SIMD vm vm_or(vm a, vm b) { return (vm)(a | b); }
SIMD vm vm_and(vm a, vm b) { return (vm)(a & b); }
SIMD vm vm_not(vm a) { return (vm)~a; }
SIMD int vm_any(vm a) { return a != 0; }
SIMD vf vf_select(vm m, vf a, vf b) { return (vf)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a); }
/* Lane i is table[the lowest bits of index's lane i]; n is 16 or 32. */
SIMD vf vf_look_up(int n, const float *table, vf index)
{
    const __m512 first = _mm512_loadu_ps(table);
    if (n == 16) return (vf)_mm512_permutexvar_ps((__m512i)index, first);
    return (vf)_mm512_permutex2var_ps(first, (__m512i)index, _mm512_loadu_ps(table + 16));
}
SIMD void vm_store(uint8_t *p, vm m) { _mm_storeu_si128((__m128i *)p, _mm_maskz_set1_epi8(m, 1)); }
SIMD vm vm_load(const uint8_t *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    return _mm_test_epi8_mask(v, v);
}

#else /* a mask is a vector of 0 and -1 */

typedef vi vm;
SIMD vf vf_set(float x)
{
#if defined(CJ__ISA_AVX2)
    return (vf)_mm256_set1_ps(x);
#elif defined(CJ__ISA_NEON)
    return (vf)vdupq_n_f32(x);
#else
    return (vf){x, x, x, x};
#endif
}
SIMD vd vd_set(double x)
{
#if defined(CJ__ISA_AVX2)
    return (vd)_mm256_set1_pd(x);
#elif defined(CJ__ISA_NEON)
    return (vd)vdupq_n_f64(x);
#else
    return (vd){x, x};
#endif
}
#if defined(CJ__ISA_AVX2)
/* The first n of all lanes, as the mask moves want them. */
SIMD __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SIMD __m256i first_lanes_64(size_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((int64_t)n), _mm256_setr_epi64x(0, 1, 2, 3));
}
SIMD vf vf_load_n(const float *p, size_t n) { return (vf)_mm256_maskload_ps(p, first_lanes(n)); }
SIMD void vf_stream(float *p, vf v) { _mm256_stream_ps(p, (__m256)v); }
SIMD void vf_stream_end(void) { _mm_sfence(); }
SIMD void vf_store_n(float *p, vf v, size_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), (__m256)v);
}
SIMD vd vd_load_n(const double *p, size_t n)
{
    return (vd)_mm256_maskload_pd(p, first_lanes_64(n));
}
SIMD void vd_store_n(double *p, vd v, size_t n)
{
    _mm256_maskstore_pd(p, first_lanes_64(n), (__m256d)v);
}
#else
SIMD vf vf_load_n(const float *p, size_t n)
{
    float lanes[VF_LANES] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[i];
    return vf_load(lanes);
}
SIMD void vf_stream(float *p, vf v) { vf_store(p, v); }
SIMD void vf_stream_end(void) {}
SIMD void vf_store_n(float *p, vf v, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = v[i];
}
SIMD vd vd_load_n(const double *p, size_t n)
{
    double lanes[VD_LANES] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[i];
    return vd_load(lanes);
}
SIMD void vd_store_n(double *p, vd v, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = v[i];
}
#endif
SIMD vm vf_lt(vf a, vf b) { return (vm)(a < b); }
SIMD vm vf_le(vf a, vf b) { return (vm)(a <= b); }
SIMD vm vf_eq(vf a, vf b) { return (vm)(a == b); }
SIMD vm vf_nan(vf a) { return (vm)(a != a); }
SIMD vm vi_lt(vi a, vi b) { return (vm)(a < b); }
SIMD vm vm_or(vm a, vm b) { return a | b; }
SIMD vm vm_and(vm a, vm b) { return a & b; }
SIMD vm vm_not(vm a) { return ~a; }
SIMD vf vf_select(vm m, vf a, vf b)
{
#if defined(CJ__ISA_AVX2)
    return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
#else
    return (vf)((m & (vi)a) | (~m & (vi)b));
#endif
}
typedef uint8_t vm_bytes __attribute__((vector_size(VF_LANES)));
SIMD void vm_store(uint8_t *p, vm m)
{
    vm_bytes bytes = __builtin_convertvector(m & 1, vm_bytes);
    memcpy(p, &bytes, sizeof(bytes));
}
SIMD vm vm_load(const uint8_t *p)
{
    vm_bytes bytes;
    memcpy(&bytes, p, sizeof(bytes));
    return (vm)(__builtin_convertvector(bytes, vi) != 0);
}

#if defined(CJ__ISA_AVX2)
SIMD int vm_any(vm a) { return _mm256_movemask_ps((__m256)a) != 0; }
SIMD vf vf_fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
SIMD vd vd_fma(vd a, vd b, vd c) { return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
SIMD vf vf_sqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
SIMD vf vf_round(vf a)
{
    return (vf)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
SIMD vf vf_floor(vf a) { return (vf)_mm256_floor_ps((__m256)a); }
SIMD vf vf_ceil(vf a) { return (vf)_mm256_ceil_ps((__m256)a); }
SIMD vd vd_round(vd a)
{
    return (vd)_mm256_round_pd((__m256d)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(CJ__ISA_NEON)
SIMD int vm_any(vm a) { return vmaxvq_u32((uint32x4_t)a) != 0; }
SIMD vf vf_fma(vf a, vf b, vf c)
{
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
SIMD vd vd_fma(vd a, vd b, vd c)
{
    return (vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
SIMD vf vf_sqrt(vf a) { return (vf)vsqrtq_f32((float32x4_t)a); }
SIMD vf vf_round(vf a) { return (vf)vrndnq_f32((float32x4_t)a); }
SIMD vf vf_floor(vf a) { return (vf)vrndmq_f32((float32x4_t)a); }
SIMD vf vf_ceil(vf a) { return (vf)vrndpq_f32((float32x4_t)a); }
SIMD vd vd_round(vd a) { return (vd)vrndnq_f64((float64x2_t)a); }
#else
SIMD int vm_any(vm a)
{
    vl halves = (vl)a;
    return (halves[0] | halves[1]) != 0;
}
SIMD vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
SIMD vd vd_fma(vd a, vd b, vd c) { return a * b + c; }
SIMD vf vf_sqrt(vf a)
{
    return (vf){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]),
                __builtin_sqrtf(a[3])};
}
/* Adding and taking away 2^23 leaves no room for a fraction; larger numbers have none. The sign is
 * put back for results of zero. */
SIMD vf vf_round(vf a)
{
    vi sign = (vi)a & vi_set(INT32_MIN);
    vf magnitude = (vf)((vi)a ^ sign), large = vf_set(8388608.0f);
    vf rounded = (vf)((vi)(magnitude + large - large) | sign);
    return vf_select(vf_lt(magnitude, large), rounded, a);
}
SIMD vf vf_floor(vf a)
{
    vf r = vf_round(a);
    r = vf_select(vf_lt(a, r), r - vf_set(1.0f), r);
    return (vf)((vi)r | ((vi)a & vi_set(INT32_MIN)));
}
SIMD vf vf_ceil(vf a)
{
    vf r = vf_round(a);
    r = vf_select(vf_lt(r, a), r + vf_set(1.0f), r);
    return (vf)((vi)r | ((vi)a & vi_set(INT32_MIN)));
}
/* For magnitudes below 2^51 only, which is all the callers have. */
SIMD vd vd_round(vd a)
{
    vd large = vd_set(6755399441055744.0);
    return a + large - large;
}
#endif
#endif /* masks as vectors */

/* ---- Built from the above ---- */

SIMD vf vf_abs(vf a) { return (vf)((vi)a & vi_set(INT32_MAX)); }
SIMD vf vf_sign_of(vf magnitude, vf sign)
{
    return (vf)(((vi)magnitude & vi_set(INT32_MAX)) | ((vi)sign & vi_set(INT32_MIN)));
}
/* NaN wins, as in numpy's maximum and minimum. */
SIMD vf vf_max(vf a, vf b) { return vf_select(vm_or(vf_lt(b, a), vf_nan(a)), a, b); }
SIMD vf vf_min(vf a, vf b) { return vf_select(vm_or(vf_lt(a, b), vf_nan(a)), a, b); }
/* The same for a bound that is no NaN; a NaN in x stays. */
SIMD vf vf_at_least(vf x, vf bound)
{
#if defined(CJ__ISA_AVX512)
    return (vf)_mm512_max_ps((__m512)bound, (__m512)x);
#elif defined(CJ__ISA_AVX2)
    return (vf)_mm256_max_ps((__m256)bound, (__m256)x);
#else
    return vf_select(vf_lt(x, bound), bound, x);
#endif
}
SIMD vf vf_at_most(vf x, vf bound)
{
#if defined(CJ__ISA_AVX512)
    return (vf)_mm512_min_ps((__m512)bound, (__m512)x);
#elif defined(CJ__ISA_AVX2)
    return (vf)_mm256_min_ps((__m256)bound, (__m256)x);
#else
    return vf_select(vf_lt(bound, x), bound, x);
#endif
}
/* The lane-wise concatenation of the four floats at p, p + step, p + 2 step ... */
SIMD vf vf_load_quads(const float *p, size_t step)
{
#if defined(CJ__ISA_AVX512)
    __m512 r = _mm512_castps128_ps512(_mm_loadu_ps(p));
    r = _mm512_insertf32x4(r, _mm_loadu_ps(p + step), 1);
    r = _mm512_insertf32x4(r, _mm_loadu_ps(p + 2 * step), 2);
    return (vf)_mm512_insertf32x4(r, _mm_loadu_ps(p + 3 * step), 3);
#elif defined(CJ__ISA_AVX2)
    return (vf)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + step),
                                    1);
#else
    (void)step;
    return vf_load(p);
#endif
}

/* Transposes VF_LANES rows of four floats, `stride` apart: lane j of r[i] is p[j * stride + i].
 * Lane 4 q + t starts in place t of quad q, so that only shuffles within 128 bits are needed. */
SIMD void vf_load_columns(const float *p, size_t stride, vf r[4])
{
#if VF_LANES == 16
#define VF_SHUFFLE4(a, b, w, x, y, z) \
    __builtin_shufflevector(a, b, w, x, y, z, w + 4, x + 4, y + 4, z + 4, w + 8, x + 8, y + 8, \
                            z + 8, w + 12, x + 12, y + 12, z + 12)
#elif VF_LANES == 8
#define VF_SHUFFLE4(a, b, w, x, y, z)                                                              \
    __builtin_shufflevector(a, b, w, x, y, z, w + 4, x + 4, y + 4, z + 4)
#else
#define VF_SHUFFLE4(a, b, w, x, y, z) __builtin_shufflevector(a, b, w, x, y, z)
#endif
    enum { L = VF_LANES };
    vf t[4];
    SIMD_UNROLL
    for (size_t i = 0; i < 4; i++) t[i] = vf_load_quads(p + i * stride, 4 * stride);
    vf a = VF_SHUFFLE4(t[0], t[1], 0, L, 1, L + 1), b = VF_SHUFFLE4(t[0], t[1], 2, L + 2, 3, L + 3);
    vf c = VF_SHUFFLE4(t[2], t[3], 0, L, 1, L + 1), d = VF_SHUFFLE4(t[2], t[3], 2, L + 2, 3, L + 3);
    r[0] = VF_SHUFFLE4(a, c, 0, 1, L, L + 1), r[1] = VF_SHUFFLE4(a, c, 2, 3, L + 2, L + 3);
    r[2] = VF_SHUFFLE4(b, d, 0, 1, L, L + 1), r[3] = VF_SHUFFLE4(b, d, 2, 3, L + 2, L + 3);
#undef VF_SHUFFLE4
}

/* VF_LANES bytes as lanes from 0 to 255, and back. */
typedef uint8_t vi_bytes __attribute__((vector_size(VF_LANES)));
SIMD vi vi_load_bytes(const uint8_t *p)
{
    vi_bytes bytes;
    memcpy(&bytes, p, sizeof bytes);
#if defined(CJ__ISA_AVX512)
    return (vi)_mm512_cvtepu8_epi32((__m128i)bytes);
#else
    return __builtin_convertvector(bytes, vi);
#endif
}
SIMD void vi_store_bytes(uint8_t *p, vi a)
{
#if defined(CJ__ISA_AVX512)
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8((__m512i)a));
#elif defined(CJ__ISA_AVX2)
    __m128i q = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)a),
                                 _mm256_extracti128_si256((__m256i)a, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(q, q));
#else
    vi_bytes bytes = __builtin_convertvector(a, vi_bytes);
    memcpy(p, &bytes, sizeof bytes);
#endif
}

/* The sum of all lanes, by halves: lane i and lane i + VF_LANES / 2, and so on. */
SIMD float vf_fold(vf a)
{
#if defined(CJ__ISA_AVX512) || defined(CJ__ISA_AVX2)
#if defined(CJ__ISA_AVX512)
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256((__m512)a),
                             _mm512_extractf32x8_ps((__m512)a, 1));
#else
    __m256 h = (__m256)a;
#endif
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
#else
    return (a[0] + a[2]) + (a[1] + a[3]);
#endif
}

/* The two halves as doubles, and back (rounding). */
typedef float vf_half __attribute__((vector_size(VF_BYTES / 2)));
SIMD vd vf_low(vf a)
{
    vf_half h;
    memcpy(&h, &a, sizeof(h));
    return __builtin_convertvector(h, vd);
}
SIMD vd vf_high(vf a)
{
    vf_half h;
    memcpy(&h, (const char *)&a + sizeof(h), sizeof(h));
    return __builtin_convertvector(h, vd);
}
SIMD vf vd_join(vd low, vd high)
{
    vf r;
    vf_half h = __builtin_convertvector(low, vf_half);
    memcpy(&r, &h, sizeof(h));
    h = __builtin_convertvector(high, vf_half);
    memcpy((char *)&r + sizeof(h), &h, sizeof(h));
    return r;
}

/* The lanes are whole numbers that fit. */
SIMD vi vf_int(vf a) { return __builtin_convertvector(a, vi); }
SIMD vf vi_float(vi a) { return __builtin_convertvector(a, vf); }

#endif
