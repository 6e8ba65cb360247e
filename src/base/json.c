/* json.c: one loop and a stack of open containers.
 *
 * read_value reads a scalar or the bracket that opens a container; the loop in cj__json_parse knows
 * what may follow in the innermost open container. Members are sorted when their object closes,
 * which finds duplicates and makes cj__json_find a binary search. */
#include "base/json.h"

#include <string.h>

#include "base/text.h"
#include "base/sort.h"

typedef struct parser {
    cj__arena *arena;
    const char *what, *begin, *at, *end;
    size_t values_left;
} parser;

/* "what: byte 17: expected ':', found '}'" */
static cj_status unexpected(parser *p, const char *expected)
{
    cj_context *cj = p->arena->cj;
    size_t byte = (size_t)(p->at - p->begin);
    if (p->at == p->end)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: byte %zu: expected %s, found the end", p->what, byte,
                       expected);
    unsigned char c = (unsigned char)*p->at;
    if (c > 32 && c < 127)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: byte %zu: expected %s, found '%c'", p->what, byte,
                       expected, c);
    return cj_fail(cj, CJ_ERR_FORMAT, "%s: byte %zu: expected %s, found byte 0x%02x", p->what, byte,
                   expected, c);
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
}

static bool accept(parser *p, char c)
{
    if (p->at == p->end || *p->at != c) return false;
    p->at++;
    return true;
}

/* ---- Strings --------------------------------------------------------------------------------- */

/* Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t cj__utf8_length(const char *at, size_t size)
{
    const unsigned char *s = (const unsigned char *)at;
    if (size == 0) return 0;
    if (s[0] < 0x80) return 1;
    size_t length = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : s[0] >= 0xe0 && s[0] <= 0xef ? 3 : 4;
    if (s[0] < 0xc2 || s[0] > 0xf4 || size < length) return 0;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if (s[i] < 0x80 || s[i] > 0xbf) return 0;
    return length;
}

bool cj__utf8_valid(const char *text, size_t size)
{
    while (size) {
        size_t length = cj__utf8_length(text, size);
        if (!length) return false;
        text += length;
        size -= length;
    }
    return true;
}

char *cj__utf8_put(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 63));
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    }
    return out;
}

static bool read_hex4(parser *p, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        char c = p->at < p->end ? *p->at : '\0';
        if (c >= '0' && c <= '9') *code = *code * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f') *code = *code * 16 + (unsigned)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') *code = *code * 16 + (unsigned)(c - 'A' + 10);
        else return false;
    }
    return true;
}

/* Behind the backslash. Every escape is at least as long as what it stands for. */
static cj_status read_escape(parser *p, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = p->at < p->end && *p->at ? strchr(from, *p->at) : NULL;
    if (found) {
        *(*out)++ = to[found - from];
        p->at++;
        return CJ_OK;
    }
    unsigned code, low;
    if (!accept(p, 'u')) return unexpected(p, "an escaped character");
    if (!read_hex4(p, &code)) return unexpected(p, "a hexadecimal digit");
    if (code >= 0xd800 && code <= 0xdfff) {
        if (code >= 0xdc00 || !accept(p, '\\') || !accept(p, 'u'))
            return unexpected(p, "a surrogate pair");
        if (!read_hex4(p, &low)) return unexpected(p, "a hexadecimal digit");
        if (low < 0xdc00 || low > 0xdfff) return unexpected(p, "a low surrogate before this");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = cj__utf8_put(*out, code);
    return CJ_OK;
}

/* How many bytes from here on stand for themselves: neither '"' nor '\\' nor a control character,
 * and below 128. Most of a file is such bytes, so each costs one look at a table of bits. */
static size_t plain_bytes(const parser *p)
{
    static const uint32_t marked[8] = {
        UINT32_MAX, 1u << ('"' - 32), 1u << ('\\' - 64), 0, UINT32_MAX, UINT32_MAX, UINT32_MAX,
        UINT32_MAX};
    const char *at = p->at;
    for (; at < p->end; at++) {
        const unsigned char c = (unsigned char)*at;
        if (marked[c / 32] >> c % 32 & 1) break;
    }
    return (size_t)(at - p->at);
}

static cj_status read_string(parser *p, const char **string, size_t *length)
{
    if (!accept(p, '"')) return unexpected(p, "a string");
    const char *close = p->at + plain_bytes(p);
    while (close < p->end && *close != '"') close += *close == '\\' && close + 1 < p->end ? 2 : 1;
    char *text = cj__arena_alloc(p->arena, (size_t)(close - p->at) + 1), *out = text;
    if (!text) return p->arena->cj->status;
    for (;;) {
        size_t bytes = plain_bytes(p);
        if (!bytes) {
            if (p->at == p->end || *p->at == '"') break;
            if (accept(p, '\\')) {
                CJ__TRY(read_escape(p, &out));
                continue;
            }
            bytes = cj__utf8_length(p->at, (size_t)(p->end - p->at));
            if (bytes == 0) return unexpected(p, "UTF-8");
            if ((unsigned char)*p->at < 32) return unexpected(p, "no control character");
        }
        memcpy(out, p->at, bytes);
        out += bytes;
        p->at += bytes;
    }
    if (!accept(p, '"')) return unexpected(p, "'\"'");
    *string = text;
    *length = (size_t)(out - text);
    return CJ_OK;
}

/* ---- Numbers and words ----------------------------------------------------------------------- */

static bool digits(parser *p)
{
    const char *first = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') p->at++;
    return p->at > first;
}

static cj_status read_number(parser *p, cj__json *value)
{
    const char *first = p->at;
    bool integer = true;
    value->type = CJ__JSON_NUMBER;
    accept(p, '-');
    if (!accept(p, '0') && !digits(p)) return unexpected(p, "a value");
    if (accept(p, '.')) {
        integer = false;
        if (!digits(p)) return unexpected(p, "a digit");
    }
    if (accept(p, 'e') || accept(p, 'E')) {
        integer = false;
        if (!accept(p, '-')) accept(p, '+');
        if (!digits(p)) return unexpected(p, "a digit");
    }
    size_t length = (size_t)(p->at - first);
    if (!cj__parse_double(first, length, &value->number))
        return cj_fail(p->arena->cj, CJ_ERR_FORMAT, "%s: byte %zu: the number is out of range",
                       p->what, (size_t)(first - p->begin));
    value->is_integer = integer && cj__parse_int64(first, length, &value->integer);
    return CJ_OK;
}

static bool accept_word(parser *p, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) return false;
    p->at += length;
    return true;
}

/* A scalar, or a container that has only just begun. */
static cj_status read_value(parser *p, cj__json **out)
{
    if (p->values_left-- == 0)
        return cj_fail(p->arena->cj, CJ_ERR_LIMIT,
                       "%s: byte %zu: more values than expected of its size", p->what,
                       (size_t)(p->at - p->begin));
    cj__json *value = cj__arena_alloc(p->arena, sizeof(*value));
    if (!value) return p->arena->cj->status;
    *out = value;
    value->source = (size_t)(p->at - p->begin);
    if (accept(p, '{')) value->type = CJ__JSON_OBJECT;
    else if (accept(p, '[')) value->type = CJ__JSON_ARRAY;
    else if (accept_word(p, "null")) value->type = CJ__JSON_NULL;
    else if (accept_word(p, "true")) value->type = CJ__JSON_BOOL, value->boolean = true;
    else if (accept_word(p, "false")) value->type = CJ__JSON_BOOL;
    else if (p->at < p->end && *p->at == '"') {
        value->type = CJ__JSON_STRING;
        return read_string(p, &value->string, &value->length);
    } else return read_number(p, value);
    return CJ_OK;
}

/* ---- Objects --------------------------------------------------------------------------------- */

static int compare_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_keys(const void *a, const void *b)
{
    const cj__json *x = a, *y = b;
    return compare_text(x->key, x->key_length, y->key, y->key_length);
}

static cj_status close_object(parser *p, cj__json *object)
{
    const cj__json **sorted = cj__arena_array(p->arena, object->count ? object->count : 1,
                                              sizeof(*sorted));
    size_t n = 0;
    if (!sorted) return p->arena->cj->status;
    for (const cj__json *member = object->first; member; member = member->next)
        sorted[n++] = member;
    cj__sort((const void **)sorted, n, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (compare_keys(sorted[i - 1], sorted[i]) == 0)
            return cj_fail(p->arena->cj, CJ_ERR_FORMAT,
                           "%s: the key \"%.100s\" appears twice in one object", p->what,
                           sorted[i]->key);
    object->sorted = sorted;
    return CJ_OK;
}

const cj__json *cj__json_find(const cj__json *object, const char *key)
{
    if (!object || object->type != CJ__JSON_OBJECT) return NULL;
    size_t begin = 0, end = object->count, length = strlen(key);
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        const cj__json *member = object->sorted[middle];
        int order = compare_text(key, length, member->key, member->key_length);
        if (order == 0) return member;
        if (order < 0) end = middle;
        else begin = middle + 1;
    }
    return NULL;
}

/* ---- The loop -------------------------------------------------------------------------------- */

/* The containers that are open, outermost first, and the last item of each. */
typedef struct open_container {
    cj__json *container, *last;
} open_container;

/* Reads one item of the container with its key and what stands before it. */
static cj_status read_item(parser *p, open_container *in, cj__json **out)
{
    bool object = in->container->type == CJ__JSON_OBJECT;
    const char *key = NULL;
    size_t key_length = 0;
    if (in->last) {
        if (!accept(p, ',')) return unexpected(p, object ? "',' or '}'" : "',' or ']'");
        skip_space(p);
    }
    if (object) {
        CJ__TRY(read_string(p, &key, &key_length));
        skip_space(p);
        if (!accept(p, ':')) return unexpected(p, "':'");
        skip_space(p);
    }
    CJ__TRY(read_value(p, out));
    (*out)->key = key;
    (*out)->key_length = key_length;
    if (in->last) in->last->next = *out;
    else in->container->first = *out;
    in->last = *out;
    in->container->count++;
    return CJ_OK;
}

cj_status cj__json_parse(cj__arena *arena, const char *what, const void *bytes, size_t size,
                         const cj__json_limits *limits, const cj__json **out)
{
    parser p = {
        .arena = arena, .what = what, .begin = bytes, .at = bytes, .values_left = size / 2 + 1};
    open_container stack[CJ__JSON_DEPTH];
    int depth = 0;
    cj__json *value = NULL;
    p.end = p.begin + size;
    if (limits && limits->values_max) p.values_left = limits->values_max;
    skip_space(&p);
    CJ__TRY(read_value(&p, &value));
    *out = value;
    for (;;) {
        if (value && value->type >= CJ__JSON_ARRAY) {
            if (depth == CJ__JSON_DEPTH)
                return cj_fail(arena->cj, CJ_ERR_LIMIT, "%s: byte %zu: nested deeper than %d", what,
                               (size_t)(p.at - p.begin), CJ__JSON_DEPTH);
            stack[depth++] = (open_container){value, NULL};
        }
        skip_space(&p);
        if (depth == 0) break;
        open_container *in = &stack[depth - 1];
        value = NULL;
        if (accept(&p, in->container->type == CJ__JSON_OBJECT ? '}' : ']')) {
            if (in->container->type == CJ__JSON_OBJECT) CJ__TRY(close_object(&p, in->container));
            depth--;
        } else CJ__TRY(read_item(&p, in, &value));
    }
    return p.at == p.end ? CJ_OK : unexpected(&p, "the end");
}
