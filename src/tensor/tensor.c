/* tensor.c: create, view, copy, compare.
 *
 *     tensor ──> buffer (references, data, size) <── tensor (a view: other shape or offset)
 *
 * A tensor is small and never shared; the buffer is what views share. A buffer over a mapped file
 * is read-only: the first map for writing gives that tensor a private copy, so reading a file of
 * weights costs nothing and writing never reaches the file. */
#include "tensor/tensor.h"

#include <math.h>

#include "base/file.h"
#include "base/size.h"
#include "base/strings.h"
#include "base/text.h"
#include "tensor/low.h"

/* ---- Buffers --------------------------------------------------------------------------------- */

cj__buffer *cj__buffer_wrap(cj_context *cj, void *data, size_t size, bool read_only,
                            void (*release)(void *user, void *data, size_t size), void *user)
{
    cj__buffer *buffer = cj__alloc(cj, sizeof(*buffer));
    if (!buffer) return NULL;
    buffer->cj = cj;
    atomic_init(&buffer->references, 1);
    buffer->data = data;
    buffer->size = size;
    buffer->read_only = read_only;
    buffer->release = release;
    buffer->user = user;
    return buffer;
}

cj__buffer *cj__buffer_new(cj_context *cj, size_t size, bool zero)
{
    if (size == 0) size = 1; /* so that data is never NULL */
    void *data = cj__alloc_aligned(cj, size);
    if (!data) return NULL;
    if (zero) memset(data, 0, size);
    cj__buffer *buffer = cj__buffer_wrap(cj, data, size, false, NULL, NULL);
    if (!buffer) cj__free_aligned(cj, data, size);
    return buffer;
}

static void unload(void *user, void *data, size_t size)
{
    cj__file_bytes *file = user;
    cj_context *cj = file->cj;
    (void)data, (void)size;
    cj__file_unload(file);
    cj__free(cj, file, sizeof(*file));
}

cj__buffer *cj__buffer_of_file(cj_context *cj, const char *path)
{
    cj__file_bytes *file = cj__alloc(cj, sizeof(*file));
    if (!file) return NULL;
    if (cj__file_load(cj, path, 0, file)) {
        cj__free(cj, file, sizeof(*file));
        return NULL;
    }
    file->cj = cj;
    cj__buffer *buffer = cj__buffer_wrap(cj, (void *)(uintptr_t)file->data, file->size, true,
                                         unload, file);
    if (!buffer) unload(file, NULL, 0);
    return buffer;
}

cj__buffer *cj__buffer_ref(cj__buffer *buffer)
{
    atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    return buffer;
}

void cj__buffer_unref(cj__buffer *buffer)
{
    if (!buffer || atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) > 1)
        return;
    if (buffer->release) buffer->release(buffer->user, buffer->data, buffer->size);
    else cj__free_aligned(buffer->cj, buffer->data, buffer->size);
    cj__free(buffer->cj, buffer, sizeof(*buffer));
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

const char *cj__shape_string(cj__shape_text *text, int rank, const int64_t *shape)
{
    size_t used = 1;
    text->text[0] = '(';
    for (int i = 0; i < rank && i < CJ_RANK_MAX; i++)
        used += (size_t)cj__format(text->text + used, sizeof(text->text) - used, "%s%lld",
                                   i ? ", " : "", (long long)shape[i]);
    cj__format(text->text + used, sizeof(text->text) - used, rank == 1 ? ",)" : ")");
    return text->text;
}

bool cj__same_shape(int rank_a, const int64_t *a, int rank_b, const int64_t *b)
{
    if (rank_a != rank_b) return false;
    for (int i = 0; i < rank_a; i++)
        if (a[i] != b[i]) return false;
    return true;
}

cj_status cj__tensor_check(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape,
                           int64_t *count, size_t *bytes)
{
    int64_t elements;
    size_t size;
    if ((int)dtype <= CJ_DTYPE_NONE || (int)dtype >= CJ_DTYPE_COUNT)
        return cj_fail(cj, CJ_ERR_TYPE, "tensor: dtype %d is none of Cajal's", (int)dtype);
    if (rank < 0 || rank > CJ_RANK_MAX)
        return cj_fail(cj, CJ_ERR_SHAPE, "tensor: rank %d is not between 0 and %d", rank,
                       CJ_RANK_MAX);
    if (rank > 0 && !shape)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "tensor: rank %d without a shape", rank);
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0)
            return cj_fail(cj, CJ_ERR_SHAPE, "tensor: dimension %d is %lld, expected at least 0", i,
                           (long long)shape[i]);
    if (!cj__count(rank, shape, &elements) ||
        !cj__bytes(elements, cj_dtype_info(dtype)->bits, &size) || size > PTRDIFF_MAX) {
        cj__shape_text text;
        return cj_fail(cj, CJ_ERR_LIMIT, "tensor: shape %s of %s is more than memory can address",
                       cj__shape_string(&text, rank, shape), cj_dtype_info(dtype)->name);
    }
    if (count) *count = elements;
    if (bytes) *bytes = size;
    return CJ_OK;
}

/* ---- Create and free ------------------------------------------------------------------------- */

/* Takes over the caller's reference, whether it succeeds or not. Everything was checked. */
static cj_tensor *tensor_on(cj_context *cj, cj__buffer *buffer, size_t offset, cj_dtype dtype,
                            int rank, const int64_t *shape, int64_t count)
{
    cj_tensor *t = buffer ? cj__alloc(cj, sizeof(*t)) : NULL;
    if (!t) {
        cj__buffer_unref(buffer);
        return NULL;
    }
    t->cj = cj;
    t->dtype = dtype;
    t->rank = rank;
    for (int i = 0; i < rank; i++) t->shape[i] = shape[i];
    t->count = count;
    t->buffer = buffer;
    t->offset = offset;
    return t;
}

static cj_tensor *tensor_new(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape,
                             bool zero)
{
    int64_t count;
    size_t bytes;
    if (cj__tensor_check(cj, dtype, rank, shape, &count, &bytes)) return NULL;
    return tensor_on(cj, cj__buffer_new(cj, bytes, zero), 0, dtype, rank, shape, count);
}

cj_tensor *cj_tensor_new(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape)
{
    return tensor_new(cj, dtype, rank, shape, true);
}

cj_tensor *cj__tensor_new_raw(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape)
{
    return tensor_new(cj, dtype, rank, shape, false);
}

cj_tensor *cj_tensor_from(cj_context *cj, cj_dtype dtype, int rank, const int64_t *shape,
                          const void *data)
{
    cj_tensor *t = tensor_new(cj, dtype, rank, shape, false);
    if (t && t->count) memcpy(cj__tensor_data(t), data, cj_tensor_size_bytes(t));
    return t;
}

cj_tensor *cj_tensor_scalar(cj_context *cj, cj_dtype dtype, double value)
{
    cj_tensor *t = tensor_new(cj, dtype, 0, NULL, true);
    if (t) cj_store_f64(dtype, cj__tensor_data(t), 0, value);
    return t;
}

cj_tensor *cj__tensor_view(cj_context *cj, cj__buffer *buffer, size_t offset, cj_dtype dtype,
                           int rank, const int64_t *shape)
{
    int64_t count;
    size_t bytes;
    if (cj__tensor_check(cj, dtype, rank, shape, &count, &bytes)) return NULL;
    if (offset > buffer->size || bytes > buffer->size - offset) {
        cj_fail(cj, CJ_ERR_SHAPE, "tensor: %zu bytes at %zu do not lie in a buffer of %zu", bytes,
                offset, buffer->size);
        return NULL;
    }
    if (((uintptr_t)buffer->data + offset) % cj__dtype_bytes(dtype) != 0) {
        cj_fail(cj, CJ_ERR_ARGUMENT, "tensor: offset %zu is not aligned for %s", offset,
                cj_dtype_info(dtype)->name);
        return NULL;
    }
    return tensor_on(cj, cj__buffer_ref(buffer), offset, dtype, rank, shape, count);
}

cj_tensor *cj_tensor_reshape(cj_tensor *t, int rank, const int64_t *shape)
{
    int64_t count;
    if (cj__tensor_check(t->cj, t->dtype, rank, shape, &count, NULL)) return NULL;
    if (count != t->count) {
        cj__shape_text from, to;
        cj_fail(t->cj, CJ_ERR_SHAPE, "reshape: %s has %lld elements, %s has %lld",
                cj__shape_string(&from, t->rank, t->shape), (long long)t->count,
                cj__shape_string(&to, rank, shape), (long long)count);
        return NULL;
    }
    return tensor_on(t->cj, cj__buffer_ref(t->buffer), t->offset, t->dtype, rank, shape, count);
}

cj_tensor *cj_tensor_rows(cj_tensor *t, int64_t begin, int64_t end)
{
    if (t->rank == 0) {
        cj_fail(t->cj, CJ_ERR_SHAPE, "rows: a tensor of rank 0 has no rows");
        return NULL;
    }
    if (begin < 0 || end < begin || end > t->shape[0]) {
        cj_fail(t->cj, CJ_ERR_ARGUMENT, "rows: [%lld, %lld) is not inside [0, %lld)",
                (long long)begin, (long long)end, (long long)t->shape[0]);
        return NULL;
    }
    int64_t shape[CJ_RANK_MAX] = {end - begin};
    for (int i = 1; i < t->rank; i++) shape[i] = t->shape[i];
    int64_t row = t->shape[0] ? t->count / t->shape[0] : 0;
    size_t offset = t->offset + (size_t)(begin * row) * cj__dtype_bytes(t->dtype);
    return tensor_on(t->cj, cj__buffer_ref(t->buffer), offset, t->dtype, t->rank, shape,
                     (end - begin) * row);
}

cj_tensor *cj_tensor_copy(const cj_tensor *t)
{
    return cj_tensor_from(t->cj, t->dtype, t->rank, t->shape, cj__tensor_data(t));
}

bool cj__tensor_foreign(const cj_context *cj, const cj_tensor *t)
{
    return t->dtype == CJ_STRING && t->cj->core != cj->core;
}

/* The texts of `from`, which is of another context, under the numbers that they have in that of
 * `to`. */
static cj_status take_texts(cj_tensor *to, const cj_tensor *from)
{
    uint64_t *numbers = cj__tensor_data(to);
    for (int64_t i = 0; i < from->count; i++) {
        const char *text = cj_tensor_string(from, i);
        CJ__TRY(cj__string_number(to->cj, text, strlen(text), &numbers[i]));
    }
    return CJ_OK;
}

static bool same_texts(const cj_tensor *a, const cj_tensor *b, int64_t *first)
{
    for (*first = 0; *first < a->count; ++*first)
        if (strcmp(cj_tensor_string(a, *first), cj_tensor_string(b, *first))) return false;
    *first = -1;
    return true;
}

cj_tensor *cj__tensor_keep(cj_context *cj, const cj_tensor *t)
{
    if (cj__tensor_foreign(cj, t)) {
        cj_tensor *own = tensor_new(cj, CJ_STRING, t->rank, t->shape, true);
        if (!own || !take_texts(own, t)) return own;
        cj_tensor_free(own);
        return NULL;
    }
    if (!t->buffer->lasting)
        return cj_tensor_from(cj, t->dtype, t->rank, t->shape, cj__tensor_data(t));
    return tensor_on(cj, cj__buffer_ref(t->buffer), t->offset, t->dtype, t->rank, t->shape,
                     t->count);
}

cj_tensor *cj_tensor_cast(const cj_tensor *t, cj_dtype dtype)
{
    if (dtype != t->dtype && (dtype == CJ_STRING || t->dtype == CJ_STRING)) {
        cj_fail(t->cj, CJ_ERR_TYPE, "cast: %s cannot become %s", cj_dtype_info(t->dtype)->name,
                cj_dtype_info(dtype)->name);
        return NULL;
    }
    cj_tensor *out = tensor_new(t->cj, dtype, t->rank, t->shape, false);
    if (out)
        cj__convert(dtype, cj__tensor_data(out), t->dtype, cj__tensor_data(t), (size_t)t->count);
    return out;
}

cj_tensor *cj_tensor_from_strings(cj_context *cj, int rank, const int64_t *shape,
                                  const char *const *texts)
{
    cj_tensor *t = tensor_new(cj, CJ_STRING, rank, shape, true);
    uint64_t *to = t ? cj__tensor_data(t) : NULL;
    for (int64_t i = 0; t && i < t->count; i++)
        if (cj__string_number(cj, texts[i], strlen(texts[i]), &to[i])) {
            cj_tensor_free(t);
            return NULL;
        }
    return t;
}

const char *cj_tensor_string(const cj_tensor *t, int64_t i)
{
    if (t->dtype != CJ_STRING) return "";
    return cj__string_text(t->cj, ((const uint64_t *)cj__tensor_data(t))[i]);
}

cj_tensor *cj_tensor_bits(cj_tensor *t, cj_dtype dtype)
{
    int64_t count;
    size_t bytes;
    if (cj__tensor_check(t->cj, dtype, t->rank, t->shape, &count, &bytes)) return NULL;
    if (cj__dtype_bytes(dtype) != cj__dtype_bytes(t->dtype) || dtype == CJ_STRING ||
        t->dtype == CJ_STRING) {
        cj_fail(t->cj, CJ_ERR_TYPE, "bits: an element of %s has %d bits, one of %s %d",
                cj_dtype_info(t->dtype)->name, cj_dtype_info(t->dtype)->bits,
                cj_dtype_info(dtype)->name, cj_dtype_info(dtype)->bits);
        return NULL;
    }
    if (!cj__is_packed(dtype))
        return tensor_on(t->cj, cj__buffer_ref(t->buffer), t->offset, dtype, t->rank, t->shape,
                         count);
    cj_tensor *out = tensor_new(t->cj, dtype, t->rank, t->shape, false);
    const uint8_t *from = cj__tensor_data(t);
    uint8_t *to = out ? cj__tensor_data(out) : NULL;
    for (size_t i = 0; out && i < bytes; i++) to[i] = (uint8_t)cj__low_bits(dtype, from[i]);
    return out;
}

void cj_tensor_free(cj_tensor *t)
{
    if (!t) return;
    cj__buffer_unref(t->buffer);
    cj__free(t->cj, t, sizeof(*t));
}

/* ---- What it is ------------------------------------------------------------------------------ */

cj_dtype cj_tensor_dtype(const cj_tensor *t)
{
    return t->dtype;
}

int cj_tensor_rank(const cj_tensor *t)
{
    return t->rank;
}

const int64_t *cj_tensor_shape(const cj_tensor *t)
{
    return t->shape;
}

int64_t cj_tensor_count(const cj_tensor *t)
{
    return t->count;
}

size_t cj_tensor_size_bytes(const cj_tensor *t)
{
    return (size_t)t->count * cj__dtype_bytes(t->dtype); /* checked when the tensor was made */
}

cj_status cj__tensor_writable(cj_tensor *t)
{
    t->buffer->writes++;
    if (!t->buffer->read_only) return CJ_OK;
    size_t size = cj_tensor_size_bytes(t);
    cj__buffer *own = cj__buffer_new(t->cj, size, false);
    if (!own) return t->cj->status;
    if (size) memcpy(own->data, cj__tensor_data(t), size);
    own->writes = t->buffer->writes;
    cj__buffer_unref(t->buffer);
    t->buffer = own;
    t->offset = 0;
    return CJ_OK;
}

void *cj_tensor_map(cj_tensor *t, cj_map_mode mode)
{
    if (mode != CJ_MAP_READ && cj__tensor_writable(t)) return NULL;
    return cj__tensor_data(t);
}

const void *cj_tensor_map_read(const cj_tensor *t)
{
    return cj__tensor_data(t);
}

void cj_tensor_unmap(const cj_tensor *t)
{
    (void)t;
}

/* ---- Copy and compare ------------------------------------------------------------------------ */

cj_status cj_tensor_assign(cj_tensor *to, const cj_tensor *from)
{
    cj__shape_text a, b;
    if (to->dtype != from->dtype)
        return cj_fail(to->cj, CJ_ERR_TYPE, "assign: %s cannot take %s",
                       cj_dtype_info(to->dtype)->name, cj_dtype_info(from->dtype)->name);
    if (!cj__same_shape(to->rank, to->shape, from->rank, from->shape))
        return cj_fail(to->cj, CJ_ERR_SHAPE, "assign: shape %s cannot take %s",
                       cj__shape_string(&a, to->rank, to->shape),
                       cj__shape_string(&b, from->rank, from->shape));
    CJ__TRY(cj__tensor_writable(to));
    if (cj__tensor_foreign(to->cj, from)) return take_texts(to, from);
    if (to->count) memmove(cj__tensor_data(to), cj__tensor_data(from), cj_tensor_size_bytes(to));
    return CJ_OK;
}

bool cj_tensor_equal(const cj_tensor *a, const cj_tensor *b)
{
    int64_t first;
    if (a->dtype != b->dtype || !cj__same_shape(a->rank, a->shape, b->rank, b->shape)) return false;
    if (cj__tensor_foreign(a->cj, b)) return same_texts(a, b, &first);
    return memcmp(cj__tensor_data(a), cj__tensor_data(b), cj_tensor_size_bytes(a)) == 0;
}

static bool close_enough(double a, double b, double rtol, double atol)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= atol + rtol * fabs(b);
}

bool cj_tensor_close(const cj_tensor *a, const cj_tensor *b, double rtol, double atol,
                     int64_t *first)
{
    int64_t unused;
    if (!first) first = &unused;
    *first = -1;
    if (!cj__same_shape(a->rank, a->shape, b->rank, b->shape)) return false;
    if (a->dtype == CJ_STRING && cj__tensor_foreign(a->cj, b)) return same_texts(a, b, first);
    const void *va = cj__tensor_data(a), *vb = cj__tensor_data(b);
    for (int64_t i = 0; i < a->count; i++) {
        double x = cj_load_f64(a->dtype, va, (size_t)i), y = cj_load_f64(b->dtype, vb, (size_t)i);
        if (close_enough(x, y, rtol, atol)) continue;
        *first = i;
        return false;
    }
    return true;
}
