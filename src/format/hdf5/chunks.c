/* chunks.c: data that lies in chunks, of which six kinds of index say where they are. Each gives
 * addresses, and with filters sizes; which chunk one is follows from its place in the index, or is
 * said there.
 *
 *     one chunk | chunks one after another | a fixed array | an array that grows | two B-trees
 */
#include "format/hdf5/inside.h"

#include <string.h>

/* Chunks on their way into a tensor. */
typedef struct filling {
    cj__hdf5 *f;
    const cj__hdf5_value *value;
    unsigned char *to;      /* the tensor's bytes */
    unsigned char *work[2]; /* of a chunk, and a checksum */
    uint64_t left;          /* chunks that may still come */
} filling;

/* Rows of a chunk, whose first element is at `at`, to their places. */
static void place(const filling *t, const unsigned char *from, const int64_t *at)
{
    const cj__hdf5_value *v = t->value;
    const size_t element = v->type.size;
    const int last = v->rank - 1;
    int64_t i[CJ_RANK_MAX] = {0};
    int64_t length = v->shape[last] - at[last];
    if (length > v->chunk[last]) length = v->chunk[last];
    for (int k = 0; k >= 0;) {
        int64_t source = 0, target = 0;
        for (int j = 0; j <= last; j++) {
            source = source * v->chunk[j] + i[j];
            target = target * v->shape[j] + at[j] + i[j];
        }
        memcpy(t->to + (size_t)target * element, from + (size_t)source * element,
               (size_t)length * element);
        for (k = last - 1; k >= 0; k--) {
            if (++i[k] < v->chunk[k] && at[k] + i[k] < v->shape[k]) break;
            i[k] = 0;
        }
    }
}

static cj_status put(filling *t, uint64_t address, uint64_t size, uint32_t mask, const int64_t *at)
{
    cj__hdf5 *f = t->f;
    const unsigned char *bytes = NULL;
    if (!t->left--) return cj__hdf5_bad(f, address, "more chunks than the data set can have");
    if (address > f->size || size > f->size - (size_t)address)
        return cj__hdf5_bad(f, address, "a chunk beyond the end of the file");
    CJ__TRY(cj__hdf5_unpack(f, t->value, f->bytes + address, (size_t)size, mask, t->work, &bytes));
    place(t, bytes, at);
    return CJ_OK;
}

/* Chunk i of all that there may ever be, row by row, but that the axis which can grow comes first.
 * false: it is beyond what there is now. */
static bool chunk_at(const cj__hdf5_value *v, uint64_t i, int64_t *at)
{
    int axis[CJ_RANK_MAX], n = 0;
    for (int k = 0; k < v->rank; k++)
        if (v->most[k] == UINT64_MAX) axis[n++] = k;
    for (int k = 0; k < v->rank; k++)
        if (v->most[k] != UINT64_MAX) axis[n++] = k;
    bool there = true;
    while (n-- > 0) {
        const int k = axis[n];
        const uint64_t chunk = (uint64_t)v->chunk[k],
                       count = n && v->most[k] ? (v->most[k] - 1) / chunk + 1 : UINT64_MAX;
        const uint64_t place = i % count;
        there = there && place <= ((uint64_t)v->shape[k] - 1) / chunk;
        at[k] = there ? (int64_t)(place * chunk) : 0;
        i /= count;
    }
    return there;
}

/* A chunk of the B-tree: size (4), mask (4), where in the data set (8 each), 0 */
static cj_status put_entry(void *arg, cj__hdf5_cursor *key, uint64_t child)
{
    filling *t = arg;
    const cj__hdf5_value *v = t->value;
    const uint64_t size = cj__hdf5_take(key, 4), mask = cj__hdf5_take(key, 4);
    int64_t at[CJ_RANK_MAX];
    for (int k = 0; k < v->rank; k++) {
        const uint64_t where = cj__hdf5_take(key, 8);
        if (where >= (uint64_t)v->shape[k] || where % (uint64_t)v->chunk[k])
            return cj__hdf5_bad(t->f, key->at, "a chunk outside its data set");
        at[k] = (int64_t)where;
    }
    return put(t, child, size, (uint32_t)mask, at);
}

/* ---- Arrays of chunks ------------------------------------------------------------------------ */

/* What is found in one: its elements, from number `i` on. */
typedef struct array {
    filling *t;
    uint64_t element; /* bytes of one */
    uint64_t count;   /* elements that there are */
    uint64_t page;    /* elements of a page */
} array;

/*  address, with filters its size and mask */
static cj_status put_elements(const array *a, cj__hdf5_cursor *c, uint64_t n, uint64_t i)
{
    const cj__hdf5_value *v = a->t->value;
    const int width = (int)a->element - a->t->f->address_size - 4;
    for (; n && i < a->count; n--, i++) {
        int64_t at[CJ_RANK_MAX];
        const uint64_t address = cj__hdf5_address(c);
        const uint64_t size = v->filters ? cj__hdf5_take(c, width) : v->chunk_bytes;
        const uint64_t mask = v->filters ? cj__hdf5_take(c, 4) : 0;
        if (c->short_of)
            return cj__hdf5_bad(a->t->f, c->at, "an array of chunks that is too short");
        if (address != CJ__HDF5_NOWHERE && chunk_at(v, i, at))
            CJ__TRY(put(a->t, address, size, (uint32_t)mask, at));
    }
    return CJ_OK;
}

/* Bytes of an element: an address, with filters a size of 1 to 8 bytes and a mask. */
static bool fits(const array *a)
{
    const uint64_t least = (uint64_t)a->t->f->address_size + (a->t->value->filters ? 5 : 0);
    return a->element >= least && a->element <= least + (a->t->value->filters ? 7 : 0);
}

/* `n` elements at the cursor, number i and following, of a block that begins at `begin`: then its
 * checksum. Where they are more than a page has, the checksum comes first, and behind it pages with
 * one each; `written` is where a bit says of each of them, from number `bit` on, whether there is
 * something in it, the highest first. */
static cj_status put_block(const array *a, cj__hdf5_cursor *c, size_t begin, uint64_t n, uint64_t i,
                           size_t written, uint64_t bit)
{
    cj__hdf5 *f = a->t->f;
    if (n <= a->page) {
        cj__hdf5_cursor seal = *c;
        cj__hdf5_skip(&seal, n * a->element);
        CJ__TRY(cj__hdf5_seal(&seal, begin));
        CJ__TRY(cj__hdf5_charge(f, seal.at - begin));
        return put_elements(a, c, n, i);
    }
    CJ__TRY(cj__hdf5_seal(c, begin));
    for (uint64_t done = 0; done < n && i + done < a->count; done += a->page, bit++) {
        const uint64_t count = n - done < a->page ? n - done : a->page;
        cj__hdf5_cursor elements = *c, seal = *c;
        cj__hdf5_skip(c, count * a->element + 4);
        if (c->short_of) return cj__hdf5_bad(f, c->at, "an array of chunks that is too short");
        if (!(f->bytes[written + bit / 8] >> (7 - bit % 8) & 1)) continue;
        cj__hdf5_skip(&seal, count * a->element);
        CJ__TRY(cj__hdf5_seal(&seal, elements.at));
        CJ__TRY(cj__hdf5_charge(f, count * a->element));
        CJ__TRY(put_elements(a, &elements, count, i + done));
    }
    return CJ_OK;
}

/*  FAHD, 0, client, element size, page bits, elements, address of: FADB, 0, client, address,
 *  [bits of pages], elements */
static cj_status put_fixed_array(filling *t)
{
    cj__hdf5 *f = t->f;
    const uint64_t address = t->value->address;
    array a = {.t = t};
    cj__hdf5_cursor c;
    CJ__TRY(cj__hdf5_go_open(f, address, "FAHD", &c));
    cj__hdf5_skip(&c, 2);
    a.element = cj__hdf5_take(&c, 1);
    const uint64_t bits = cj__hdf5_take(&c, 1);
    a.count = cj__hdf5_length(&c);
    const uint64_t block = cj__hdf5_address(&c);
    CJ__TRY(cj__hdf5_seal(&c, (size_t)address));
    if (bits > 32 || a.count > f->size || !fits(&a))
        return cj__hdf5_bad(f, address, "an array of chunks of sizes that cannot be");
    if (block == CJ__HDF5_NOWHERE) return CJ_OK;
    a.page = UINT64_C(1) << bits;
    const uint64_t pages = a.count > a.page ? (a.count + a.page - 1) / a.page : 0;
    CJ__TRY(cj__hdf5_go_open(f, block, "FADB", &c));
    cj__hdf5_skip(&c, 2 + (uint64_t)f->address_size);
    const size_t written = c.at;
    cj__hdf5_skip(&c, (pages + 7) / 8);
    return put_block(&a, &c, (size_t)block, a.count, 0, written, 0);
}

/* ---- Arrays that grow ------------------------------------------------------------------------ */

/* An array that can grow without end: blocks of elements that are larger and larger. Group g of
 * them has 2^(g/2) blocks of least 2^((g+1)/2) elements. The addresses of the first groups' blocks
 * are in the index itself, those of each later group in a block of its own.
 *
 *     EAIB: elements | addresses of the first groups' blocks | addresses of the later groups
 *     EASB: bits of pages | addresses of the group's blocks      EADB: elements */
typedef struct growing {
    array a;
    uint64_t least, groups, inside; /* elements of the first block; groups, and in the index */
    int offset_size;
} growing;

/* The block at an address, or none; *i goes on behind it. */
static cj_status put_grown(const growing *g, uint64_t address, uint64_t n, uint64_t *i,
                           size_t written, uint64_t bit)
{
    cj__hdf5_cursor c;
    const uint64_t first = *i;
    if (n > g->a.page && !written)
        return cj__hdf5_bad(g->a.t->f, address, "pages of chunks where there are none");
    *i += n;
    if (address == CJ__HDF5_NOWHERE || first >= g->a.count) return CJ_OK;
    CJ__TRY(cj__hdf5_go_open(g->a.t->f, address, "EADB", &c));
    cj__hdf5_skip(&c, 2 + (uint64_t)(g->a.t->f->address_size + g->offset_size));
    return put_block(&g->a, &c, (size_t)address, n, first, written, bit);
}

/* The blocks of a group that has a block of its own. */
static cj_status put_group(const growing *g, uint64_t address, uint64_t group, uint64_t *i)
{
    cj__hdf5 *f = g->a.t->f;
    const uint64_t blocks = UINT64_C(1) << group / 2, n = g->least << (group + 1) / 2;
    const uint64_t pages = n > g->a.page ? n / g->a.page : 0;
    cj__hdf5_cursor c;
    if (address == CJ__HDF5_NOWHERE || *i >= g->a.count) {
        *i += blocks * n;
        return CJ_OK;
    }
    CJ__TRY(cj__hdf5_go_open(f, address, "EASB", &c));
    cj__hdf5_skip(&c, 2 + (uint64_t)(f->address_size + g->offset_size));
    const size_t written = c.at;
    cj__hdf5_skip(&c, blocks * ((pages + 7) / 8));
    cj__hdf5_cursor seal = c;
    cj__hdf5_skip(&seal, blocks * (uint64_t)f->address_size);
    CJ__TRY(cj__hdf5_seal(&seal, (size_t)address));
    CJ__TRY(cj__hdf5_charge(f, seal.at - (size_t)address));
    for (uint64_t b = 0; b < blocks && *i < g->a.count; b++)
        CJ__TRY(put_grown(g, cj__hdf5_address(&c), n, i, written, b * pages));
    return CJ_OK;
}

static cj_status put_groups(const growing *g, uint64_t address, uint64_t own)
{
    cj__hdf5 *f = g->a.t->f;
    cj__hdf5_cursor c;
    uint64_t i = 0, addresses = g->groups - g->inside;
    for (uint64_t k = 0; k < g->inside; k++) addresses += UINT64_C(1) << k / 2;
    CJ__TRY(cj__hdf5_go_open(f, address, "EAIB", &c));
    cj__hdf5_skip(&c, 2 + (uint64_t)f->address_size);
    cj__hdf5_cursor elements = c, seal = c;
    cj__hdf5_skip(&c, own * g->a.element);
    cj__hdf5_skip(&seal, own * g->a.element + addresses * (uint64_t)f->address_size);
    CJ__TRY(cj__hdf5_seal(&seal, (size_t)address));
    CJ__TRY(cj__hdf5_charge(f, seal.at - (size_t)address));
    CJ__TRY(put_elements(&g->a, &elements, own, i));
    i = own;
    for (uint64_t k = 0; k < g->groups && i < g->a.count; k++) {
        const uint64_t blocks = k < g->inside ? UINT64_C(1) << k / 2 : 0;
        for (uint64_t b = 0; b < blocks; b++)
            CJ__TRY(put_grown(g, cj__hdf5_address(&c), g->least << (k + 1) / 2, &i, 0, 0));
        if (!blocks) CJ__TRY(put_group(g, cj__hdf5_address(&c), k, &i));
    }
    return CJ_OK;
}

static int log2_of(uint64_t n)
{
    int bits = -1;
    for (; n; n >>= 1) bits++;
    return bits;
}

/*  EAHD, 0, client, element size, bits of numbers, elements of the index, of the first block,
 * blocks of the first group with a block, bits of a page, 5 lengths of which the last is how many
 * elements there are ..., address of the index */
static cj_status put_growing_array(filling *t)
{
    cj__hdf5 *f = t->f;
    const uint64_t address = t->value->address;
    growing g = {.a = {.t = t}};
    cj__hdf5_cursor c;
    CJ__TRY(cj__hdf5_go_open(f, address, "EAHD", &c));
    cj__hdf5_skip(&c, 2);
    g.a.element = cj__hdf5_take(&c, 1);
    const uint64_t bits = cj__hdf5_take(&c, 1), own = cj__hdf5_take(&c, 1);
    g.least = cj__hdf5_take(&c, 1);
    const uint64_t pointers = cj__hdf5_take(&c, 1), page_bits = cj__hdf5_take(&c, 1);
    for (int k = 0; k < 4; k++) cj__hdf5_length(&c);
    g.a.count = cj__hdf5_length(&c);
    cj__hdf5_length(&c);
    const uint64_t index = cj__hdf5_address(&c);
    CJ__TRY(cj__hdf5_seal(&c, (size_t)address));
    const int least = log2_of(g.least), first = log2_of(pointers);
    if (!fits(&g.a) || bits > 48 || page_bits > 32 || least < 0 || first < 1 ||
        (int)bits <= least || (int)bits - least < 2 * first)
        return cj__hdf5_bad(f, address, "an array of chunks of sizes that cannot be");
    g.groups = 1 + bits - (uint64_t)least;
    g.inside = 2 * (uint64_t)first;
    g.a.page = UINT64_C(1) << page_bits;
    g.offset_size = (int)(bits + 7) / 8;
    return index == CJ__HDF5_NOWHERE ? CJ_OK : put_groups(&g, index, own);
}

/* ---- All ------------------------------------------------------------------------------------- */

/* A chunk of the newer B-tree: address, [size, mask (4)], which one along each axis (8 each) */
static cj_status put_record(void *arg, cj__hdf5_cursor *c)
{
    filling *t = arg;
    const cj__hdf5_value *v = t->value;
    const int width = (int)(c->end - c->at) - t->f->address_size - 4 - 8 * v->rank;
    const uint64_t address = cj__hdf5_address(c);
    if (v->filters && (width < 1 || width > 8))
        return cj__hdf5_bad(t->f, c->at, "a record of a chunk of a size that cannot be");
    const uint64_t size = v->filters ? cj__hdf5_take(c, width) : v->chunk_bytes;
    const uint64_t mask = v->filters ? cj__hdf5_take(c, 4) : 0;
    int64_t at[CJ_RANK_MAX];
    bool there = true;
    for (int k = 0; k < v->rank; k++) {
        const uint64_t where = cj__hdf5_take(c, 8);
        there = there && where <= (uint64_t)(v->shape[k] - 1) / (uint64_t)v->chunk[k];
        at[k] = there ? (int64_t)where * v->chunk[k] : 0;
    }
    if (c->short_of) return cj__hdf5_bad(t->f, c->at, "a record of a chunk that ends too early");
    return there ? put(t, address, size, (uint32_t)mask, at) : CJ_OK;
}

/* Chunks that lie one after another. */
static cj_status put_row_by_row(filling *t)
{
    const cj__hdf5_value *v = t->value;
    int64_t at[CJ_RANK_MAX];
    const uint64_t room = v->address < t->f->size ? t->f->size - v->address : 0;
    for (uint64_t i = 0; i < room / v->chunk_bytes && t->left; i++)
        if (chunk_at(v, i, at))
            CJ__TRY(put(t, v->address + i * v->chunk_bytes, v->chunk_bytes, 0, at));
    return t->left ? cj__hdf5_bad(t->f, v->address, "a chunk beyond the end of the file") : CJ_OK;
}

static cj_status put_all(filling *t)
{
    const cj__hdf5_value *v = t->value;
    int64_t at[CJ_RANK_MAX] = {0};
    if (v->address == CJ__HDF5_NOWHERE) return CJ_OK; /* nothing was written */
    switch (v->layout) {
    case CJ__HDF5_CHUNKS:
        return cj__hdf5_tree_walk(t->f, v->address, 1, 8 + 8 * (v->rank + 1), put_entry, t);
    case CJ__HDF5_ONE_CHUNK:
        return put(t, v->address, v->packed_size ? v->packed_size : v->chunk_bytes, v->mask, at);
    case CJ__HDF5_IMPLICIT: return put_row_by_row(t);
    case CJ__HDF5_ARRAY: return put_growing_array(t);
    case CJ__HDF5_TREE: return cj__hdf5_new_tree_walk(t->f, v->address, put_record, t);
    default: return put_fixed_array(t);
    }
}

cj_status cj__hdf5_fill(cj__hdf5 *f, const cj__hdf5_value *v, unsigned char *to)
{
    filling t = {.f = f, .value = v, .to = to};
    uint64_t chunks = 1;
    size_t all = v->chunk_bytes, work = v->filters ? v->chunk_bytes + 4 : 0;
    if (v->layout == CJ__HDF5_WHOLE) {
        if (v->data) memcpy(to, v->data, v->data_size);
        return CJ_OK;
    }
    for (int k = 0; k < v->rank; k++) {
        const size_t n = (size_t)((v->shape[k] - 1) / v->chunk[k] + 1);
        if (!cj__size_mul(all, n, &all)) all = SIZE_MAX;
        else chunks *= n;
    }
    if (all > f->memory_left)
        return cj_fail(f->cj, CJ_ERR_LIMIT,
                       "hdf5: a data set of %zu bytes in chunks, more than %zu bytes of file can "
                       "hold",
                       all, f->size);
    f->memory_left -= all;
    t.left = chunks;
    for (int i = 0; i < 2 && work; i++)
        if (!(t.work[i] = cj__alloc(f->cj, work))) {
            cj__free(f->cj, t.work[0], i ? work : 0);
            return cj_last_status(f->cj);
        }
    const size_t left = f->left; /* of the tree, which is read already */
    f->left = 3 * f->size;
    cj_status failed = put_all(&t);
    f->left = left;
    cj__free(f->cj, t.work[0], work);
    cj__free(f->cj, t.work[1], work);
    return failed;
}
