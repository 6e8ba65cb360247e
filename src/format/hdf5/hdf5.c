/* hdf5.c: the tree of an HDF5 file: superblock, object headers, groups.
 *
 *     superblock -> header of the root group -> messages: attributes, and where its members are
 *                   symbol table:  B-tree (TREE) -> nodes (SNOD) -> names in a local heap (HEAP)
 *                   links:         in messages, or in a fractal heap (heap.c)
 *     each member -> its header ...
 *
 * Objects whose header is still to be read wait in a list; so depth costs nothing. Every byte of a
 * structure that is read is charged against three times the file's size: files that refer to
 * themselves come to an end there, and reading is linear in the file. */
#include "format/hdf5/inside.h"

#include <string.h>

static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/* ---- Bytes ----------------------------------------------------------------------------------- */

cj_status cj__hdf5_bad(const cj__hdf5 *f, uint64_t at, const char *what)
{
    return cj_fail(f->cj, CJ_ERR_FORMAT, "hdf5: byte %llu: %s", (unsigned long long)at, what);
}

cj_status cj__hdf5_unsupported(const cj__hdf5 *f, const char *what)
{
    return cj_fail(f->cj, CJ_ERR_UNSUPPORTED, "hdf5: %s", what);
}

uint64_t cj__hdf5_take(cj__hdf5_cursor *c, int bytes)
{
    uint64_t value = 0;
    if (c->short_of || c->end - c->at < (size_t)bytes) {
        c->short_of = true;
        return 0;
    }
    for (int i = 0; i < bytes; i++) value |= (uint64_t)c->f->bytes[c->at + (size_t)i] << (8 * i);
    c->at += (size_t)bytes;
    return value;
}

/* All ones mean nowhere, whatever the size. */
uint64_t cj__hdf5_address(cj__hdf5_cursor *c)
{
    const int n = c->f->address_size;
    uint64_t value = cj__hdf5_take(c, n);
    return n < 8 && value == (UINT64_C(1) << (8 * n)) - 1 ? CJ__HDF5_NOWHERE : value;
}

uint64_t cj__hdf5_length(cj__hdf5_cursor *c) { return cj__hdf5_take(c, c->f->length_size); }

void cj__hdf5_skip(cj__hdf5_cursor *c, uint64_t bytes)
{
    if (c->short_of || c->end - c->at < bytes) c->short_of = true;
    else c->at += (size_t)bytes;
}

cj_status cj__hdf5_charge(cj__hdf5 *f, uint64_t size)
{
    if (size > f->left)
        return cj_fail(f->cj, CJ_ERR_FORMAT,
                       "hdf5: its structures are more than the file holds: they refer to one "
                       "another in a circle, or overlap");
    f->left -= (size_t)size;
    return CJ_OK;
}

cj_status cj__hdf5_go_open(cj__hdf5 *f, uint64_t address, const char *letters, cj__hdf5_cursor *c)
{
    if (address > f->size) return cj__hdf5_bad(f, address, "an address beyond the end of the file");
    *c = (cj__hdf5_cursor){f, (size_t)address, f->size, false};
    if (letters && (f->size - c->at < 4 || memcmp(f->bytes + c->at, letters, 4))) {
        char what[40];
        cj__format(what, sizeof what, "'%s' is expected here", letters);
        return cj__hdf5_bad(f, address, what);
    }
    if (letters) c->at += 4;
    return CJ_OK;
}

cj_status cj__hdf5_go(cj__hdf5 *f, uint64_t address, uint64_t size, const char *letters,
                      cj__hdf5_cursor *c)
{
    if (address > f->size || size > f->size - address)
        return cj__hdf5_bad(f, address, "a structure that reaches beyond the end of the file");
    CJ__TRY(cj__hdf5_charge(f, size));
    CJ__TRY(cj__hdf5_go_open(f, address, letters, c));
    c->end = (size_t)(address + size);
    return CJ_OK;
}

/* ---- Checksums: lookup3 (Bob Jenkins 2006, public domain), from 0 ---------------------------- */

static uint32_t turn(uint32_t x, int k) { return x << k | x >> (32 - k); }

static uint32_t word(const unsigned char *k)
{
    return (uint32_t)k[0] | (uint32_t)k[1] << 8 | (uint32_t)k[2] << 16 | (uint32_t)k[3] << 24;
}

static uint32_t checksum(const unsigned char *k, size_t length)
{
    uint32_t a, b, c;
    unsigned char last[12] = {0};
    a = b = c = 0xdeadbeef + (uint32_t)length;
    for (; length > 12; length -= 12, k += 12) {
        a += word(k), b += word(k + 4), c += word(k + 8);
        a -= c, a ^= turn(c, 4), c += b;
        b -= a, b ^= turn(a, 6), a += c;
        c -= b, c ^= turn(b, 8), b += a;
        a -= c, a ^= turn(c, 16), c += b;
        b -= a, b ^= turn(a, 19), a += c;
        c -= b, c ^= turn(b, 4), b += a;
    }
    if (!length) return c;
    memcpy(last, k, length);
    a += word(last), b += word(last + 4), c += word(last + 8);
    c ^= b, c -= turn(b, 14);
    a ^= c, a -= turn(c, 11);
    b ^= a, b -= turn(a, 25);
    c ^= b, c -= turn(b, 16);
    a ^= c, a -= turn(c, 4);
    b ^= a, b -= turn(a, 14);
    c ^= b, c -= turn(b, 24);
    return c;
}

cj_status cj__hdf5_seal(cj__hdf5_cursor *c, size_t begin)
{
    const size_t end = c->at;
    const uint32_t stored = (uint32_t)cj__hdf5_take(c, 4);
    if (c->short_of) return cj__hdf5_bad(c->f, begin, "a structure that ends too early");
    if (c->f->unsealed || stored == checksum(c->f->bytes + begin, end - begin)) return CJ_OK;
    return cj__hdf5_bad(c->f, begin, "a damaged structure: its checksum is another");
}

/* ---- B-trees, version 1 ---------------------------------------------------------------------- */

/*  TREE, type, level, entries, left, right | key, child, key, child ... key */
static cj_status open_node(cj__hdf5 *f, uint64_t address, int type, uint64_t key, int *level,
                           uint64_t *entries, cj__hdf5_cursor *c)
{
    CJ__TRY(cj__hdf5_go_open(f, address, "TREE", c));
    const uint64_t found = cj__hdf5_take(c, 1);
    *level = (int)cj__hdf5_take(c, 1);
    *entries = cj__hdf5_take(c, 2);
    cj__hdf5_skip(c, 2 * (uint64_t)f->address_size);
    if (c->short_of || found != (uint64_t)type)
        return cj__hdf5_bad(f, address, "a B-tree of another kind than expected");
    const uint64_t bytes = *entries * (key + (uint64_t)f->address_size) + key;
    if (bytes > c->end - c->at)
        return cj__hdf5_bad(f, address, "a B-tree node beyond the end of the file");
    c->end = c->at + (size_t)bytes;
    return cj__hdf5_charge(f, bytes + 24);
}

cj_status cj__hdf5_tree_walk(cj__hdf5 *f, uint64_t address, int type, int key,
                             cj__hdf5_entry each, void *arg)
{
    struct {
        cj__hdf5_cursor c;
        uint64_t left;
    } nodes[16];
    int level, depth = 0, top = 0;
    CJ__TRY(open_node(f, address, type, (uint64_t)key, &level, &nodes[0].left, &nodes[0].c));
    top = level;
    if (top >= (int)CJ__COUNT(nodes))
        return cj__hdf5_bad(f, address, "a B-tree of too many levels");
    while (depth >= 0) {
        if (!nodes[depth].left) {
            depth--;
            continue;
        }
        nodes[depth].left--;
        cj__hdf5_cursor *c = &nodes[depth].c, at = *c;
        cj__hdf5_skip(c, (uint64_t)key);
        at.end = c->at;
        const uint64_t child = cj__hdf5_address(c);
        if (depth == top) {
            CJ__TRY(each(arg, &at, child));
            continue;
        }
        depth++;
        CJ__TRY(open_node(f, child, type, (uint64_t)key, &level, &nodes[depth].left,
                          &nodes[depth].c));
        if (level != top - depth)
            return cj__hdf5_bad(f, child, "a B-tree node of another level than expected");
    }
    return CJ_OK;
}

/* ---- Objects --------------------------------------------------------------------------------- */

/* What is known of an object while its header is read. */
typedef struct header {
    cj__hdf5 *f;
    cj__hdf5_object *o, *last;      /* last member so far */
    cj__hdf5_attribute *last_attribute;
    cj__hdf5_object **waiting;
    uint64_t tree, names;           /* of a symbol table */
    uint64_t links, link_names;     /* of links in a heap */
    uint64_t more, more_names;      /* of attributes in a heap */
    uint64_t block[32], block_size[32]; /* of the header, still to be read */
    int blocks;
    bool spaced, typed, laid;
} header;

static cj_status add_member(header *h, const char *name, size_t length, uint64_t address)
{
    cj__hdf5 *f = h->f;
    if (address == CJ__HDF5_NOWHERE) return CJ_OK; /* a soft link */
    CJ__TRY(cj__hdf5_charge(f, length + 1));
    cj__hdf5_object *o = cj__arena_alloc(f->arena, sizeof *o);
    char *copy = cj__arena_alloc(f->arena, length + 1);
    if (!o || !copy) return CJ_ERR_MEMORY;
    memcpy(copy, name, length);
    o->name = copy;
    o->address = address;
    if (h->last) h->last->next = o;
    else h->o->first = o;
    h->last = o;
    o->waiting = *h->waiting;
    *h->waiting = o;
    return CJ_OK;
}

/* ---- Groups: symbol tables ------------------------------------------------------------------- */

typedef struct table {
    header *h;
    size_t names, names_end; /* of the local heap */
} table;

/*  SNOD, version, 0, symbols | name, header address, cache, 0, scratch ... */
static cj_status read_symbols(void *arg, cj__hdf5_cursor *key, uint64_t address)
{
    table *t = arg;
    cj__hdf5 *f = t->h->f;
    cj__hdf5_cursor c;
    (void)key;
    CJ__TRY(cj__hdf5_go_open(f, address, "SNOD", &c));
    cj__hdf5_skip(&c, 2);
    const uint64_t n = cj__hdf5_take(&c, 2);
    CJ__TRY(cj__hdf5_charge(f, 8 + n * (24 + 2 * (uint64_t)f->address_size)));
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t name = cj__hdf5_address(&c), where = cj__hdf5_address(&c);
        const uint64_t kind = cj__hdf5_take(&c, 4);
        cj__hdf5_skip(&c, 20);
        if (c.short_of) return cj__hdf5_bad(f, address, "a table of symbols that ends too early");
        if (name >= t->names_end - t->names)
            return cj__hdf5_bad(f, address, "a name outside the heap of names");
        const unsigned char *text = f->bytes + t->names + name;
        const unsigned char *end = memchr(text, 0, t->names_end - t->names - (size_t)name);
        if (!end) return cj__hdf5_bad(f, t->names, "a name without an end");
        if (kind != 2) CJ__TRY(add_member(t->h, (const char *)text, (size_t)(end - text), where));
    }
    return CJ_OK;
}

/*  HEAP, version, 0 0 0, size, free list, address of the names */
static cj_status read_table(header *h)
{
    cj__hdf5 *f = h->f;
    cj__hdf5_cursor c, names;
    CJ__TRY(cj__hdf5_go(f, h->names, 8 + 2 * (uint64_t)f->length_size + (uint64_t)f->address_size,
                        "HEAP", &c));
    cj__hdf5_skip(&c, 4);
    const uint64_t size = cj__hdf5_length(&c);
    cj__hdf5_length(&c);
    CJ__TRY(cj__hdf5_go(f, cj__hdf5_address(&c), size, NULL, &names));
    table t = {h, names.at, names.end};
    return cj__hdf5_tree_walk(f, h->tree, 0, f->length_size, read_symbols, &t);
}

/* ---- Groups: links --------------------------------------------------------------------------- */

/*  version, flags, [type], [order], [character set], length of the name, name, address */
static cj_status read_link(void *arg, cj__hdf5_cursor *c)
{
    header *h = arg;
    const size_t begin = c->at;
    const uint64_t version = cj__hdf5_take(c, 1), flags = cj__hdf5_take(c, 1);
    const uint64_t type = flags & 8 ? cj__hdf5_take(c, 1) : 0;
    cj__hdf5_skip(c, (flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0));
    const uint64_t length = cj__hdf5_take(c, 1 << (flags & 3));
    const size_t name = c->at;
    cj__hdf5_skip(c, length);
    const uint64_t address = type ? CJ__HDF5_NOWHERE : cj__hdf5_address(c);
    if (c->short_of || version != 1) return cj__hdf5_bad(h->f, begin, "a damaged link");
    if (memchr(h->f->bytes + name, 0, (size_t)length))
        return cj__hdf5_bad(h->f, name, "a name with a zero in it");
    return add_member(h, (const char *)h->f->bytes + name, (size_t)length, address);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

/* The part of the cursor that begins here and has this size; rounded: to a multiple of 8. */
static cj__hdf5_cursor part(cj__hdf5_cursor *c, uint64_t size, bool rounded)
{
    cj__hdf5_cursor p = *c;
    cj__hdf5_skip(c, rounded ? (size + 7) / 8 * 8 : size);
    p.end = p.at + (c->short_of ? 0 : (size_t)size);
    p.short_of = c->short_of;
    return p;
}

static cj_status read_attribute(void *arg, cj__hdf5_cursor *c)
{
    header *h = arg;
    cj__hdf5 *f = h->f;
    const size_t begin = c->at;
    const uint64_t version = cj__hdf5_take(c, 1), flags = cj__hdf5_take(c, 1);
    const uint64_t name_size = cj__hdf5_take(c, 2), type_size = cj__hdf5_take(c, 2),
                   space_size = cj__hdf5_take(c, 2);
    if (version < 1 || version > 3)
        return cj__hdf5_bad(f, begin, "an attribute of an unknown version");
    if (version == 3) cj__hdf5_skip(c, 1);
    cj__hdf5_cursor name = part(c, name_size, version == 1);
    cj__hdf5_cursor type = part(c, type_size, version == 1);
    cj__hdf5_cursor space = part(c, space_size, version == 1);
    if (c->short_of || !name_size || f->bytes[name.end - 1])
        return cj__hdf5_bad(f, begin, "a damaged attribute");
    cj__hdf5_attribute *a = cj__arena_alloc(f->arena, sizeof *a);
    if (!a) return CJ_ERR_MEMORY;
    a->name = cj__arena_copy(f->arena, f->bytes + name.at, (size_t)name_size);
    if (!a->name) return CJ_ERR_MEMORY;
    if (version > 1 && flags & 3) a->value.wrong = "a committed datatype";
    else {
        CJ__TRY(cj__hdf5_read_type(&type, &a->value.type));
        CJ__TRY(cj__hdf5_read_space(&space, &a->value));
    }
    a->value.layout = CJ__HDF5_WHOLE;
    a->value.data = f->bytes + c->at;
    a->value.data_size = c->end - c->at;
    CJ__TRY(cj__hdf5_settle(f, &a->value));
    if (h->last_attribute) h->last_attribute->next = a;
    else h->o->attributes = a;
    h->last_attribute = a;
    return CJ_OK;
}

/* ---- Headers --------------------------------------------------------------------------------- */

enum {
    SPACE = 0x01, LINK_INFO = 0x02, TYPE = 0x03, LINK = 0x06, LAYOUT = 0x08, FILTERS = 0x0b,
    ATTRIBUTE = 0x0c, CONTINUED = 0x10, SYMBOLS = 0x11, ATTRIBUTE_INFO = 0x15
};

/* Where links or attributes are that stand in a heap; `wide`: bytes of the largest order. */
static cj_status read_info(header *h, cj__hdf5_cursor *c, int wide, uint64_t *heap, uint64_t *tree)
{
    const uint64_t version = cj__hdf5_take(c, 1), flags = cj__hdf5_take(c, 1);
    if (flags & 1) cj__hdf5_skip(c, (uint64_t)wide);
    *heap = cj__hdf5_address(c);
    *tree = cj__hdf5_address(c);
    return version == 0 && !c->short_of ? CJ_OK
                                        : cj__hdf5_bad(h->f, c->at, "a damaged message of a group");
}

static cj_status read_message(header *h, int type, uint64_t flags, cj__hdf5_cursor *c)
{
    cj__hdf5_value *value = &h->o->value;
    const bool shared = flags & 2;
    if (shared && (type == SPACE || type == TYPE || type == LAYOUT || type == FILTERS)) {
        value->wrong = "a committed datatype";
        h->spaced |= type == SPACE, h->typed |= type == TYPE, h->laid |= type == LAYOUT;
        return CJ_OK;
    }
    switch (type) {
    case SPACE: return h->spaced = true, cj__hdf5_read_space(c, value);
    case TYPE: return h->typed = true, cj__hdf5_read_type(c, &value->type);
    case LAYOUT: return h->laid = true, cj__hdf5_read_layout(c, value);
    case FILTERS: return cj__hdf5_read_filters(c, value);
    case LINK: return shared ? CJ_OK : read_link(h, c);
    case ATTRIBUTE: return shared ? CJ_OK : read_attribute(h, c);
    case LINK_INFO: return read_info(h, c, 8, &h->links, &h->link_names);
    case ATTRIBUTE_INFO: return read_info(h, c, 2, &h->more, &h->more_names);
    case SYMBOLS:
        h->tree = cj__hdf5_address(c);
        h->names = cj__hdf5_address(c);
        return c->short_of ? cj__hdf5_bad(h->f, c->at, "a damaged symbol table") : CJ_OK;
    case CONTINUED:
        if (h->blocks == (int)CJ__COUNT(h->block))
            return cj__hdf5_bad(h->f, c->at, "a header in too many pieces");
        h->block[h->blocks] = cj__hdf5_address(c);
        h->block_size[h->blocks++] = cj__hdf5_length(c);
        return c->short_of ? cj__hdf5_bad(h->f, c->at, "a damaged continuation") : CJ_OK;
    default: return CJ_OK;
    }
}

/* The messages up to the cursor's end; `ordered`: of version 2, each with its order. */
static cj_status read_messages(header *h, cj__hdf5_cursor *c, int version, bool ordered)
{
    const size_t least = version == 1 ? 8 : ordered ? 6 : 4;
    while (c->end - c->at >= least) {
        const int type = (int)cj__hdf5_take(c, version == 1 ? 2 : 1);
        const uint64_t size = cj__hdf5_take(c, 2), flags = cj__hdf5_take(c, 1);
        cj__hdf5_skip(c, version == 1 ? 3 : ordered ? 2 : 0);
        cj__hdf5_cursor m = part(c, size, false);
        if (m.short_of) return cj__hdf5_bad(h->f, m.at, "a message longer than its header");
        CJ__TRY(read_message(h, type, flags, &m));
    }
    return CJ_OK;
}

/*  1, 0, messages (2), references (4), size (4), 0 (4) | messages */
static cj_status open_old_header(header *h, cj__hdf5_cursor *c)
{
    const size_t begin = c->at;
    cj__hdf5_skip(c, 8);
    const uint64_t size = cj__hdf5_take(c, 4);
    cj__hdf5_skip(c, 4);
    if (c->short_of) return cj__hdf5_bad(h->f, begin, "a header that ends too early");
    return cj__hdf5_go(h->f, c->at, size, NULL, c);
}

/*  OHDR, 2, flags, [times (16)], [limits (4)], size (1 to 8) | messages | checksum */
static cj_status open_new_header(header *h, cj__hdf5_cursor *c, bool *ordered)
{
    const size_t begin = c->at;
    cj__hdf5_skip(c, 4);
    const uint64_t version = cj__hdf5_take(c, 1), flags = cj__hdf5_take(c, 1);
    cj__hdf5_skip(c, (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0));
    const uint64_t size = cj__hdf5_take(c, 1 << (flags & 3));
    if (c->short_of || version != 2) return cj__hdf5_bad(h->f, begin, "a damaged header");
    *ordered = flags & 4;
    CJ__TRY(cj__hdf5_go(h->f, c->at, size, NULL, c));
    cj__hdf5_cursor seal = {h->f, c->end, h->f->size, false};
    return cj__hdf5_seal(&seal, begin);
}

static cj_status read_header(header *h)
{
    cj__hdf5 *f = h->f;
    cj__hdf5_cursor c = {0};
    bool ordered = false;
    CJ__TRY(cj__hdf5_go_open(f, h->o->address, NULL, &c));
    const bool is_new = f->size - c.at >= 4 && !memcmp(f->bytes + c.at, "OHDR", 4);
    if (!is_new && (c.at >= f->size || f->bytes[c.at] != 1))
        return cj__hdf5_bad(f, h->o->address, "the header of an object is expected here");
    CJ__TRY(cj__hdf5_charge(f, 16));
    CJ__TRY(is_new ? open_new_header(h, &c, &ordered) : open_old_header(h, &c));
    CJ__TRY(read_messages(h, &c, is_new ? 2 : 1, ordered));
    while (h->blocks) {
        const uint64_t at = h->block[--h->blocks], size = h->block_size[h->blocks];
        CJ__TRY(cj__hdf5_go(f, at, size, is_new ? "OCHK" : NULL, &c));
        CJ__TRY(cj__hdf5_charge(f, 1)); /* an empty one, too, is not free */
        if (is_new) {
            if (size < 8) return cj__hdf5_bad(f, at, "a damaged continuation");
            cj__hdf5_cursor seal = {f, c.end -= 4, c.end, false};
            seal.end = c.end + 4;
            CJ__TRY(cj__hdf5_seal(&seal, (size_t)at));
        }
        CJ__TRY(read_messages(h, &c, is_new ? 2 : 1, ordered));
    }
    return CJ_OK;
}

static cj_status read_object(cj__hdf5 *f, cj__hdf5_object *o, cj__hdf5_object **waiting)
{
    header h = {.f = f, .o = o, .waiting = waiting};
    h.tree = h.names = h.links = h.link_names = h.more = h.more_names = CJ__HDF5_NOWHERE;
    CJ__TRY(read_header(&h));
    o->is_data = h.spaced || h.laid;
    if (o->is_data) {
        if (!h.spaced || !h.typed || !h.laid)
            return cj__hdf5_bad(f, o->address, "a data set without type, sizes or layout");
        CJ__TRY(cj__hdf5_settle(f, &o->value));
        const int64_t most = 1032 * (int64_t)f->size, room = INT64_MAX - f->elements;
        const int64_t count = o->value.count < most ? o->value.count : most;
        f->elements += count < room ? count : room;
    }
    if (h.more != CJ__HDF5_NOWHERE)
        CJ__TRY(cj__hdf5_heap_walk(f, h.more, h.more_names, 0, read_attribute, &h));
    if (h.links != CJ__HDF5_NOWHERE)
        CJ__TRY(cj__hdf5_heap_walk(f, h.links, h.link_names, 4, read_link, &h));
    return h.tree != CJ__HDF5_NOWHERE ? read_table(&h) : CJ_OK;
}

/* ---- The file -------------------------------------------------------------------------------- */

bool cj__hdf5_is(const void *bytes, size_t size)
{
    return size >= sizeof signature && !memcmp(bytes, signature, sizeof signature);
}

/* The address of the root group's header. */
static cj_status read_superblock(cj__hdf5 *f, uint64_t *root)
{
    cj__hdf5_cursor c = {f, sizeof signature, f->size, false};
    const uint64_t version = cj__hdf5_take(&c, 1);
    if (version > 3) return cj__hdf5_unsupported(f, "a superblock of a version above 3");
    if (version < 2) cj__hdf5_skip(&c, 4);
    f->address_size = (int)cj__hdf5_take(&c, 1);
    f->length_size = (int)cj__hdf5_take(&c, 1);
    cj__hdf5_skip(&c, version == 0 ? 9 : version == 1 ? 13 : 1);
    if (c.short_of || (f->address_size != 4 && f->address_size != 8) ||
        (f->length_size != 4 && f->length_size != 8))
        return cj__hdf5_bad(f, 0, "addresses or lengths of neither 4 nor 8 bytes");
    const uint64_t base = cj__hdf5_address(&c);
    cj__hdf5_address(&c); /* free space, or what extends the superblock */
    const uint64_t end = cj__hdf5_address(&c);
    cj__hdf5_address(&c); /* a driver's; of the newer versions the root */
    if (version < 2) cj__hdf5_address(&c); /* the root's name; then its header */
    if (version >= 2) c.at -= (size_t)f->address_size;
    *root = cj__hdf5_address(&c);
    if (c.short_of) return cj__hdf5_bad(f, 0, "a superblock that ends too early");
    if (version >= 2) CJ__TRY(cj__hdf5_seal(&c, 0));
    if (base) return cj__hdf5_unsupported(f, "a file with bytes of another program before it");
    if (end > f->size)
        return cj_fail(f->cj, CJ_ERR_FORMAT, "hdf5: the file is cut off: %zu bytes of %llu",
                       f->size, (unsigned long long)end);
    return CJ_OK;
}

cj_status cj__hdf5_open(cj__hdf5 *f, cj__arena *arena, const void *bytes, size_t size,
                        const cj__hdf5_limits *limits)
{
    cj__hdf5_object *waiting;
    *f = (cj__hdf5){.cj = arena->cj, .arena = arena, .bytes = bytes, .size = size};
    f->unsealed = limits && limits->unsealed;
    if (!cj__hdf5_is(bytes, size)) return cj__hdf5_bad(f, 0, "this is not an HDF5 file");
    if (size > SIZE_MAX / 4096) return cj__hdf5_unsupported(f, "a file of this size");
    f->left = 3 * size + 4096;
    f->memory_left = limits && limits->memory_max ? limits->memory_max : 1032 * size + 65536;
    if (!(f->root = waiting = cj__arena_alloc(arena, sizeof *f->root))) return CJ_ERR_MEMORY;
    f->root->name = "";
    CJ__TRY(read_superblock(f, &f->root->address));
    while (waiting) {
        cj__hdf5_object *o = waiting;
        waiting = o->waiting;
        o->waiting = NULL;
        CJ__TRY(read_object(f, o, &waiting));
    }
    return CJ_OK;
}

const cj__hdf5_object *cj__hdf5_find_n(const cj__hdf5_object *from, const char *path, size_t length)
{
    const char *end = path + length;
    while (from && path < end) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        const size_t n = (size_t)((slash ? slash : end) - path);
        if (n) {
            for (from = from->first; from; from = from->next)
                if (!strncmp(from->name, path, n) && !from->name[n]) break;
        }
        path += n + (slash != NULL);
    }
    return from;
}

const cj__hdf5_object *cj__hdf5_find(const cj__hdf5_object *from, const char *path)
{
    return cj__hdf5_find_n(from, path, strlen(path));
}

const cj__hdf5_value *cj__hdf5_attribute_of(const cj__hdf5_object *of, const char *name)
{
    for (const cj__hdf5_attribute *a = of ? of->attributes : NULL; a; a = a->next)
        if (!strcmp(a->name, name)) return &a->value;
    return NULL;
}
