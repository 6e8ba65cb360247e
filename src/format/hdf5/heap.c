/* heap.c: the heaps of an HDF5 file: fractal heaps, in which groups with many links and objects
 * with many attributes keep them, with the B-tree (version 2) that lists what is in one; and global
 * heaps, which hold texts of any length.
 *
 * A fractal heap is an address space of its own, cut into blocks: a table of rows, `width` blocks
 * each, of sizes s, s, 2s, 4s, 8s ... Rows of large blocks hold such tables again.
 *
 *     record of the B-tree -> heap ID -> managed: offset, length -> block -> bytes
 *                                        huge:    another B-tree -> address, length
 *                                        tiny:    the bytes themselves */
#include "format/hdf5/inside.h"

#include <string.h>

static int log2_of(uint64_t n)
{
    int bits = -1;
    for (; n; n >>= 1) bits++;
    return bits;
}

static int bytes_for(uint64_t n) { return n ? log2_of(n) / 8 + 1 : 1; }

/* ---- B-trees, version 2 ---------------------------------------------------------------------- */

enum { LEVELS = 8 };

typedef struct tree {
    cj__hdf5 *f;
    uint64_t type, node_size, record, depth, root, records;
    int count_size, all_size[LEVELS + 1]; /* bytes of counts beside addresses, by height */
} tree;

/*  BTHD, 0, type, node size (4), record size (2), depth (2), split, merge, root, records (2), all
 */
static cj_status open_tree(cj__hdf5 *f, uint64_t address, tree *t)
{
    cj__hdf5_cursor c;
    CJ__TRY(cj__hdf5_go_open(f, address, "BTHD", &c));
    *t = (tree){.f = f};
    const uint64_t version = cj__hdf5_take(&c, 1);
    t->type = cj__hdf5_take(&c, 1);
    t->node_size = cj__hdf5_take(&c, 4);
    t->record = cj__hdf5_take(&c, 2);
    t->depth = cj__hdf5_take(&c, 2);
    cj__hdf5_skip(&c, 2);
    t->root = cj__hdf5_address(&c);
    t->records = cj__hdf5_take(&c, 2);
    cj__hdf5_length(&c);
    CJ__TRY(cj__hdf5_seal(&c, (size_t)address));
    CJ__TRY(cj__hdf5_charge(f, c.at - (size_t)address));
    if (version || !t->record || t->node_size < 64 || t->record > t->node_size ||
        t->depth > LEVELS)
        return cj__hdf5_bad(f, address, "a B-tree of sizes that cannot be");
    /* How wide counts are depends on how many records there can be below. */
    double all = (double)((t->node_size - 10) / t->record);
    t->count_size = bytes_for((t->node_size - 10) / t->record);
    for (uint64_t u = 1; u <= t->depth; u++) {
        const uint64_t pointer = (uint64_t)(f->address_size + t->count_size + t->all_size[u - 1]);
        if (t->node_size <= 10 + pointer)
            return cj__hdf5_bad(f, address, "a B-tree of sizes that cannot be");
        const uint64_t most = (t->node_size - 10 - pointer) / (t->record + pointer);
        all = (double)(most + 1) * all + (double)most;
        if (all >= 0x1p62) return cj__hdf5_bad(f, address, "a B-tree of sizes that cannot be");
        t->all_size[u] = bytes_for((uint64_t)all);
    }
    return CJ_OK;
}

/* A node: its records go to each(); the cursor stays before its children. height 0: a leaf. */
static cj_status open_node(tree *t, uint64_t address, uint64_t records, uint64_t height,
                           cj__hdf5_each each, void *arg, cj__hdf5_cursor *children)
{
    cj__hdf5 *f = t->f;
    cj__hdf5_cursor c;
    const uint64_t pointer = height ? (uint64_t)(f->address_size + t->count_size +
                                                 t->all_size[height - 1])
                                    : 0;
    const uint64_t size = 10 + records * t->record + (height ? (records + 1) * pointer : 0);
    CJ__TRY(cj__hdf5_go(f, address, size, height ? "BTIN" : "BTLF", &c));
    if (cj__hdf5_take(&c, 1) || cj__hdf5_take(&c, 1) != t->type)
        return cj__hdf5_bad(f, address, "a B-tree node of another kind than expected");
    cj__hdf5_cursor seal = {f, (size_t)(address + size - 4), (size_t)(address + size), false};
    CJ__TRY(cj__hdf5_seal(&seal, (size_t)address));
    for (uint64_t i = 0; i < records; i++) {
        cj__hdf5_cursor record = {f, c.at, c.at + (size_t)t->record, false};
        c.at = record.end;
        CJ__TRY(each(arg, &record));
    }
    *children = c;
    return CJ_OK;
}

cj_status cj__hdf5_new_tree_walk(cj__hdf5 *f, uint64_t address, cj__hdf5_each each, void *arg)
{
    tree t;
    struct {
        cj__hdf5_cursor c;
        uint64_t left, height;
    } nodes[LEVELS + 1];
    if (address == CJ__HDF5_NOWHERE) return CJ_OK;
    CJ__TRY(open_tree(f, address, &t));
    if (t.root == CJ__HDF5_NOWHERE) return CJ_OK;
    int at = 0;
    nodes[0].height = t.depth;
    nodes[0].left = t.depth ? t.records + 1 : 0;
    CJ__TRY(open_node(&t, t.root, t.records, t.depth, each, arg, &nodes[0].c));
    while (at >= 0) {
        if (!nodes[at].left) {
            at--;
            continue;
        }
        nodes[at].left--;
        const uint64_t height = nodes[at].height - 1, child = cj__hdf5_address(&nodes[at].c);
        const uint64_t records = cj__hdf5_take(&nodes[at].c, t.count_size);
        cj__hdf5_skip(&nodes[at].c, (uint64_t)t.all_size[height]);
        if (records > t.node_size) return cj__hdf5_bad(f, child, "a B-tree node too large");
        at++;
        nodes[at].height = height;
        nodes[at].left = height ? records + 1 : 0;
        CJ__TRY(open_node(&t, child, records, height, each, arg, &nodes[at].c));
    }
    return CJ_OK;
}

/* ---- Fractal heaps --------------------------------------------------------------------------- */

typedef struct heap {
    cj__hdf5 *f;
    uint64_t id_size, most, width, start, most_direct, root, rows, huge;
    int offset_size, length_size; /* in IDs */
    int skip;
    cj__hdf5_each each;
    void *arg;
    uint64_t key, found, found_size; /* of a huge object */
} heap;

/*  FRHP, 0, ID (2), filters (2), flags, managed (4), next huge, huge tree, free, free list, space,
 *  allocated, iterator, managed, huge size, huges, tiny size, tinies, width (2), start, largest
 *  direct block, bits (2), rows at first (2), root, rows now (2) */
static cj_status open_heap(cj__hdf5 *f, uint64_t address, heap *h)
{
    cj__hdf5_cursor c;
    CJ__TRY(cj__hdf5_go_open(f, address, "FRHP", &c));
    const uint64_t version = cj__hdf5_take(&c, 1);
    h->f = f;
    h->id_size = cj__hdf5_take(&c, 2);
    const uint64_t filters = cj__hdf5_take(&c, 2);
    cj__hdf5_skip(&c, 1);
    h->most = cj__hdf5_take(&c, 4);
    cj__hdf5_length(&c);
    h->huge = cj__hdf5_address(&c);
    cj__hdf5_length(&c);
    cj__hdf5_address(&c);
    for (int i = 0; i < 8; i++) cj__hdf5_length(&c);
    h->width = cj__hdf5_take(&c, 2);
    h->start = cj__hdf5_length(&c);
    h->most_direct = cj__hdf5_length(&c);
    const uint64_t bits = cj__hdf5_take(&c, 2);
    cj__hdf5_skip(&c, 2);
    h->root = cj__hdf5_address(&c);
    h->rows = cj__hdf5_take(&c, 2);
    if (filters) return cj__hdf5_unsupported(f, "a group whose links are compressed");
    CJ__TRY(cj__hdf5_seal(&c, (size_t)address));
    CJ__TRY(cj__hdf5_charge(f, c.at - (size_t)address));
    const uint64_t most = UINT64_C(1) << 30;
    if (version || h->id_size < 2 || bits < 1 || bits > 64 || !h->width || !h->start ||
        h->start > most || h->most_direct > most || h->most_direct < h->start)
        return cj__hdf5_bad(f, address, "a heap of sizes that cannot be");
    h->offset_size = (int)(bits + 7) / 8;
    h->length_size = (log2_of(h->most_direct) + 7) / 8;
    if (h->length_size > bytes_for(h->most)) h->length_size = bytes_for(h->most);
    return CJ_OK;
}

/* The address of what is at an offset of the heap: down the tables of blocks. */
static cj_status locate(const heap *h, uint64_t offset, uint64_t length, uint64_t *out)
{
    cj__hdf5 *f = h->f;
    uint64_t address = h->root, rows = h->rows;
    const int direct_rows = log2_of(h->most_direct) - log2_of(h->start) + 2;
    for (int level = 0; rows && level < 16; level++) {
        const uint64_t first = h->width * h->start;
        int row = 0;
        while (row < 32 && offset >= first << row) row++;
        if ((uint64_t)row >= rows || row == 32) break;
        const uint64_t size = row ? h->start << (row - 1) : h->start;
        if (row) offset -= first << (row - 1);
        const uint64_t place = (uint64_t)row * h->width + offset / size;
        cj__hdf5_cursor c;
        CJ__TRY(cj__hdf5_go_open(f, address, "FHIB", &c));
        cj__hdf5_skip(&c, 1 + (uint64_t)(f->address_size + h->offset_size) +
                              place * (uint64_t)f->address_size);
        address = cj__hdf5_address(&c);
        offset %= size;
        if (c.short_of || address == CJ__HDF5_NOWHERE) break;
        if (row < direct_rows) {
            if (length > size - offset) break;
            CJ__TRY(cj__hdf5_go_open(f, address, "FHDB", &c));
            *out = address + offset;
            return CJ_OK;
        }
        const int below = log2_of(size) - log2_of(first) + 1;
        rows = below > 0 ? (uint64_t)below : 0;
        if (!rows) break;
    }
    if (h->rows) return cj__hdf5_bad(f, h->root, "an object outside its heap");
    if (offset > h->start || length > h->start - offset)
        return cj__hdf5_bad(f, h->root, "an object outside its heap");
    *out = address + offset;
    return address == CJ__HDF5_NOWHERE ? cj__hdf5_bad(f, 0, "an object of an empty heap") : CJ_OK;
}

/*  address, length, ID */
static cj_status find_huge(void *arg, cj__hdf5_cursor *c)
{
    heap *h = arg;
    const uint64_t address = cj__hdf5_address(c), size = cj__hdf5_length(c);
    if (cj__hdf5_length(c) == h->key) h->found = address, h->found_size = size;
    return c->short_of ? cj__hdf5_bad(h->f, c->at, "a record too short") : CJ_OK;
}

static cj_status read_record(void *arg, cj__hdf5_cursor *c)
{
    heap *h = arg;
    cj__hdf5 *f = h->f;
    const size_t begin = c->at;
    uint64_t at, length;
    cj__hdf5_cursor object;
    cj__hdf5_skip(c, (uint64_t)h->skip);
    if (c->short_of || c->end - c->at < h->id_size)
        return cj__hdf5_bad(f, begin, "a record without a heap ID");
    c->end = c->at + (size_t)h->id_size;
    const uint64_t kind = cj__hdf5_take(c, 1);
    switch (kind >> 4 & 3) {
    case 0:
        at = cj__hdf5_take(c, h->offset_size);
        length = cj__hdf5_take(c, h->length_size);
        if (!c->short_of) CJ__TRY(locate(h, at, length, &at));
        break;
    case 1:
        if (h->id_size > (uint64_t)(f->address_size + f->length_size)) {
            at = cj__hdf5_address(c);
            length = cj__hdf5_length(c);
            break;
        }
        h->key = cj__hdf5_take(c, h->id_size - 1 < 8 ? (int)h->id_size - 1 : 8);
        h->found = CJ__HDF5_NOWHERE;
        CJ__TRY(cj__hdf5_new_tree_walk(f, h->huge, find_huge, h));
        at = h->found, length = h->found_size;
        break;
    case 2:
        at = c->at;
        length = (kind & 15) + 1;
        if (length > c->end - c->at) c->short_of = true;
        break;
    default: return cj__hdf5_bad(f, begin, "a heap ID of an unknown kind");
    }
    if (c->short_of) return cj__hdf5_bad(f, begin, "a heap ID that ends too early");
    CJ__TRY(cj__hdf5_go(f, at, length, NULL, &object));
    return h->each(h->arg, &object);
}

cj_status cj__hdf5_heap_walk(cj__hdf5 *f, uint64_t address, uint64_t names, int skip,
                             cj__hdf5_each each, void *arg)
{
    heap h = {.skip = skip, .each = each, .arg = arg};
    CJ__TRY(open_heap(f, address, &h));
    return cj__hdf5_new_tree_walk(f, names, read_record, &h);
}

/* ---- Global heaps ---------------------------------------------------------------------------- */

/*  GCOL, 1, 0 0 0, size | index (2), references (2), 0 (4), size, bytes up to a multiple of 8 ...
 */
cj_status cj__hdf5_heap_text(cj__hdf5 *f, uint64_t address, uint32_t index, size_t length,
                             const unsigned char **out)
{
    cj__hdf5_cursor c;
    CJ__TRY(cj__hdf5_go_open(f, address, "GCOL", &c));
    const uint64_t version = cj__hdf5_take(&c, 1);
    cj__hdf5_skip(&c, 3);
    const uint64_t size = cj__hdf5_length(&c);
    if (version != 1 || c.short_of || size > f->size - (size_t)address || address + size < c.at)
        return cj__hdf5_bad(f, address, "a damaged heap of texts");
    c.end = (size_t)(address + size);
    while (c.end - c.at >= 8 + (size_t)f->length_size) {
        const uint64_t found = cj__hdf5_take(&c, 2);
        cj__hdf5_skip(&c, 6);
        const uint64_t bytes = cj__hdf5_length(&c);
        if (bytes > c.end - c.at) break;
        if (!found) break; /* what is free comes last */
        if (found == index) {
            if (length > bytes) return cj__hdf5_bad(f, address, "a text longer than its place");
            *out = f->bytes + c.at;
            return CJ_OK;
        }
        cj__hdf5_skip(&c, (bytes + 7) / 8 * 8);
        if (f->memory_left < 16)
            return cj__hdf5_bad(f, address, "more texts are looked for than the file can have");
        f->memory_left -= 16;
    }
    return cj__hdf5_bad(f, address, "a text that is not in its heap");
}
