/* isa_move.h: moving elements: transposes in tiles that fit the cache, gathers, scatters.
 *
 * A transpose reads or writes against the grain, so it goes by tiles of TILE x TILE, of which all
 * lines stay in the first-level cache. Elements are bytes with a size; their type does not matter.
 */
#include "backend/cpu/isa.h"
#include "backend/cpu/simd.h"

enum { TILE = 32 };

#define TRANSPOSE(T) \
    static void transpose_##T(size_t rows, size_t cols, const T *a, size_t stride, T *out, \
                              size_t out_stride) \
    { \
        for (size_t i = 0; i < rows; i++) { \
            for (size_t j = 0; j < cols; j++) out[j * out_stride + i] = a[i * stride + j]; \
        } \
    }
TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)
TRANSPOSE(uint64_t)

/* Four-byte elements by vectors: VF_LANES rows and four columns at a time. */
static void transpose_tile_32(size_t rows, size_t cols, const uint32_t *a, size_t stride,
                              uint32_t *out, size_t out_stride)
{
    const size_t whole_rows = rows / VF_LANES * VF_LANES, whole_cols = cols / 4 * 4;
    for (size_t i = 0; i < whole_rows; i += VF_LANES) {
        for (size_t j = 0; j < whole_cols; j += 4) {
            vf x[4];
            vf_load_columns((const float *)(const void *)(a + i * stride + j), stride, x);
            for (size_t q = 0; q < 4; q++)
                vf_store((float *)(void *)(out + (j + q) * out_stride + i), x[q]);
        }
    }
    transpose_uint32_t(whole_rows, cols - whole_cols, a + whole_cols, stride,
                       out + whole_cols * out_stride, out_stride);
    transpose_uint32_t(rows - whole_rows, cols, a + whole_rows * stride, stride, out + whole_rows,
                       out_stride);
}

static void stream_any(size_t bytes, const void *a, void *out)
{
    const char *from = a;
    char *to = out;
    size_t head = (VF_BYTES - (uintptr_t)to % VF_BYTES) % VF_BYTES, i;
    if (head > bytes) head = bytes;
    memcpy(to, from, head);
    for (i = head; i + VF_BYTES <= bytes; i += VF_BYTES)
        vf_stream((float *)(void *)(to + i), vf_load((const float *)(const void *)(from + i)));
    memcpy(to + i, from + i, bytes - i);
}

static void stream_end(void) { vf_stream_end(); }

static void transpose_any(size_t size, size_t rows, size_t cols, const void *a, size_t stride,
                          void *out, size_t out_stride)
{
    for (size_t i = 0; i < rows; i += TILE) {
        const size_t r = rows - i < TILE ? rows - i : TILE;
        for (size_t j = 0; j < cols; j += TILE) {
            const size_t c = cols - j < TILE ? cols - j : TILE;
            const void *from = (const char *)a + (i * stride + j) * size;
            void *to = (char *)out + (j * out_stride + i) * size;
            switch (size) {
            case 1: transpose_uint8_t(r, c, from, stride, to, out_stride); break;
            case 2: transpose_uint16_t(r, c, from, stride, to, out_stride); break;
            case 4: transpose_tile_32(r, c, from, stride, to, out_stride); break;
            case 8: transpose_uint64_t(r, c, from, stride, to, out_stride); break;
            default: break;
            }
        }
    }
}

/* A constant size makes memcpy one move. */
SIMD void copy_strided(size_t size, size_t n, const char *a, ptrdiff_t a_stride, char *out,
                       ptrdiff_t out_stride)
{
    for (size_t i = 0; i < n; i++)
        memcpy(out + (ptrdiff_t)i * out_stride, a + (ptrdiff_t)i * a_stride, size);
}

SIMD void copy_any(size_t size, size_t n, const char *a, ptrdiff_t a_stride, char *out,
                   ptrdiff_t out_stride)
{
    if (a_stride == (ptrdiff_t)size && out_stride == (ptrdiff_t)size) {
        if (n) memcpy(out, a, n * size);
        return;
    }
    switch (size) {
    case 1: copy_strided(1, n, a, a_stride, out, out_stride); break;
    case 2: copy_strided(2, n, a, a_stride, out, out_stride); break;
    case 4: copy_strided(4, n, a, a_stride, out, out_stride); break;
    case 8: copy_strided(8, n, a, a_stride, out, out_stride); break;
    default: copy_strided(size, n, a, a_stride, out, out_stride); break;
    }
}

static void gather_any(size_t size, size_t n, const void *a, ptrdiff_t stride, void *out)
{
    copy_any(size, n, a, stride, out, (ptrdiff_t)size);
}

static void scatter_any(size_t size, size_t n, const void *a, void *out, ptrdiff_t stride)
{
    copy_any(size, n, a, (ptrdiff_t)size, out, stride);
}
