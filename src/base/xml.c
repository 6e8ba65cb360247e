/* xml.c: one loop over markup and text, and a stack of open elements.
 *
 *     <a> text <b/> more </a>       push a, text, push and pop b, text, pop a
 *
 * The texts of an element are the pieces between its children: they are decoded one behind the
 * other into one buffer a level, and cut at both ends when the element closes. */
#include "base/xml.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

typedef struct parser {
    cj__arena *arena;
    const char *what, *at, *end;
    int line;
} parser;

/* An element that is open, its last child, and its text so far. */
typedef struct level {
    cj__xml *element, *last;
    cj__text text;
} level;

static cj_status unexpected(const parser *p, const char *expected)
{
    cj_context *cj = p->arena->cj;
    if (p->at == p->end)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: line %d: expected %s, found the end", p->what,
                       p->line, expected);
    const unsigned char c = (unsigned char)*p->at;
    if (c > 32 && c < 127)
        return cj_fail(cj, CJ_ERR_FORMAT, "%s: line %d: expected %s, found '%c'", p->what, p->line,
                       expected, c);
    return cj_fail(cj, CJ_ERR_FORMAT, "%s: line %d: expected %s, found byte 0x%02x", p->what,
                   p->line, expected, c);
}

static bool starts(const parser *p, const char *word)
{
    const size_t n = strlen(word);
    return (size_t)(p->end - p->at) >= n && !memcmp(p->at, word, n);
}

static bool accept(parser *p, const char *word)
{
    if (!starts(p, word)) return false;
    p->at += strlen(word);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(parser *p)
{
    for (; p->at < p->end && is_blank(*p->at); p->at++) p->line += *p->at == '\n';
}

/* Over the character at p->at, which must be one that XML has. */
static cj_status skip_char(parser *p)
{
    const size_t n = cj__utf8_length(p->at, (size_t)(p->end - p->at));
    if (!n) return unexpected(p, "UTF-8");
    if ((unsigned char)*p->at < 32 && !is_blank(*p->at))
        return unexpected(p, "no control character");
    p->line += *p->at == '\n';
    p->at += n;
    return CJ_OK;
}

/* Over all up to a word, and over the word. */
static cj_status skip_to(parser *p, const char *word, const char *expected)
{
    while (p->at < p->end && !starts(p, word)) CJ__TRY(skip_char(p));
    return accept(p, word) ? CJ_OK : unexpected(p, expected);
}

/* Letters, digits, and bytes of characters beyond ASCII: more than XML allows at some places. */
static bool is_name_char(char c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':') return true;
    if ((unsigned char)c >= 0x80) return true;
    return !first && ((c >= '0' && c <= '9') || c == '-' || c == '.');
}

static cj_status read_name(parser *p, const char **name, size_t *length)
{
    const char *begin = p->at;
    while (p->at < p->end && is_name_char(*p->at, p->at == begin)) CJ__TRY(skip_char(p));
    *name = begin;
    *length = (size_t)(p->at - begin);
    return *length ? CJ_OK : unexpected(p, "a name");
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* U+0001 to U+10FFFF without surrogates. */
static size_t put_utf8(char out[4], unsigned code)
{
    const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char marks[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(marks[more] | code >> 6 * more);
    for (int i = 1; i <= more; i++) out[i] = (char)(0x80 | (code >> 6 * (more - i) & 63));
    return (size_t)more + 1;
}

/* "&#65;" or "&#x41;", of which the first two are read. */
static cj_status read_number(parser *p, cj__text *to)
{
    const unsigned base = accept(p, "x") ? 16 : 10;
    unsigned code = 0;
    char utf8[4];
    const char *begin = p->at;
    for (; p->at < p->end && *p->at != ';' && code <= 0x10ffff; p->at++) {
        const char c = *p->at;
        const int digit = c >= '0' && c <= '9'                 ? c - '0'
                          : base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : base == 16 && c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                               : -1;
        if (digit < 0) return unexpected(p, "a digit");
        code = code * base + (unsigned)digit;
    }
    const bool possible = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) &&
                          (code >= 32 || (code && is_blank((char)code)));
    if (p->at == begin || !accept(p, ";") || !possible)
        return cj_fail(p->arena->cj, CJ_ERR_FORMAT,
                       "%s: line %d: '&#' is not followed by the number of a character and ';'",
                       p->what, p->line);
    cj__text_append(to, utf8, put_utf8(utf8, code));
    return to->failed;
}

static cj_status read_entity(parser *p, cj__text *to)
{
    static const struct { const char *word; char is; } known[] = {
        {"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}};
    if (accept(p, "#")) return read_number(p, to);
    for (size_t i = 0; i < CJ__COUNT(known); i++)
        if (accept(p, known[i].word)) {
            cj__text_char(to, known[i].is);
            return to->failed;
        }
    return unexpected(p, "lt;, gt;, amp;, quot;, apos; or #NUMBER; behind '&'");
}

/* Up to the next markup. */
static cj_status read_text(parser *p, cj__text *to)
{
    while (p->at < p->end && *p->at != '<') {
        if (accept(p, "&")) {
            CJ__TRY(read_entity(p, to));
            continue;
        }
        const char *begin = p->at;
        if (starts(p, "]]>")) return unexpected(p, "no ']]>' in a text");
        while (p->at < p->end && *p->at != '<' && *p->at != '&' && !starts(p, "]]>"))
            CJ__TRY(skip_char(p));
        cj__text_append(to, begin, (size_t)(p->at - begin));
    }
    return to->failed;
}

static cj_status read_cdata(parser *p, cj__text *to)
{
    const char *begin = p->at;
    CJ__TRY(skip_to(p, "]]>", "']]>'"));
    cj__text_append(to, begin, (size_t)(p->at - begin) - 3);
    return to->failed;
}

/* ---- Markup ---------------------------------------------------------------------------------- */

/* Behind "<!--". */
static cj_status skip_comment(parser *p)
{
    CJ__TRY(skip_to(p, "--", "'-->'"));
    return accept(p, ">") ? CJ_OK : unexpected(p, "'>' behind '--' of a comment");
}

/* Comments, processing instructions and blanks: what may stand around the root. */
static cj_status skip_misc(parser *p)
{
    for (;;) {
        skip_blanks(p);
        if (accept(p, "<!--")) CJ__TRY(skip_comment(p));
        else if (accept(p, "<?")) CJ__TRY(skip_to(p, "?>", "'?>'"));
        else return CJ_OK;
    }
}

/* name="value", which is not kept. Twice the same name is not told. */
static cj_status skip_attribute(parser *p)
{
    const char *name;
    size_t length;
    CJ__TRY(read_name(p, &name, &length));
    skip_blanks(p);
    if (!accept(p, "=")) return unexpected(p, "'='");
    skip_blanks(p);
    const char *quote = starts(p, "'") ? "'" : "\"";
    if (!accept(p, quote)) return unexpected(p, "'\"'");
    while (p->at < p->end && *p->at != *quote) {
        if (*p->at == '<') return unexpected(p, "no '<' in an attribute");
        CJ__TRY(skip_char(p));
    }
    return accept(p, quote) ? CJ_OK : unexpected(p, "the end of an attribute");
}

/* Behind '<': makes an element; *closed: it was <name/>. */
static cj_status open_element(parser *p, cj__xml **out, bool *closed)
{
    const char *name;
    size_t length;
    cj__xml *e = cj__arena_alloc(p->arena, sizeof *e);
    if (!e) return cj_last_status(p->arena->cj);
    e->line = p->line;
    CJ__TRY(read_name(p, &name, &length));
    char *copy = cj__arena_alloc(p->arena, length + 1);
    if (!copy) return cj_last_status(p->arena->cj);
    memcpy(copy, name, length);
    e->name = copy;
    e->text = "";
    for (;;) {
        const char *before = p->at;
        skip_blanks(p);
        *closed = accept(p, "/>");
        if (*closed || accept(p, ">")) break;
        if (p->at == before) return unexpected(p, "'>'");
        CJ__TRY(skip_attribute(p));
    }
    *out = e;
    return CJ_OK;
}

/* Behind "</": the name must be that of the element. */
static cj_status close_element(parser *p, level *in)
{
    cj__xml *e = in->element;
    const char *name;
    size_t length;
    CJ__TRY(read_name(p, &name, &length));
    if (length != strlen(e->name) || memcmp(name, e->name, length) != 0)
        return cj_fail(p->arena->cj, CJ_ERR_FORMAT,
                       "%s: line %d: expected '</%.60s>' for that of line %d, found '</%.*s>'",
                       p->what, p->line, e->name, e->line, (int)(length < 60 ? length : 60), name);
    skip_blanks(p);
    if (!accept(p, ">")) return unexpected(p, "'>'");
    const char *text = cj__text_string(&in->text);
    size_t from = 0, to = in->text.length;
    while (from < to && is_blank(text[from])) from++;
    while (to > from && is_blank(text[to - 1])) to--;
    if (from == to) return CJ_OK;
    char *copy = cj__arena_alloc(p->arena, to - from + 1);
    if (!copy) return cj_last_status(p->arena->cj);
    memcpy(copy, text + from, to - from);
    e->text = copy;
    e->length = to - from;
    return CJ_OK;
}

/* ---- The loop -------------------------------------------------------------------------------- */

static cj_status push(parser *p, level *stack, int *depth, cj__xml *e)
{
    if (*depth == CJ__XML_DEPTH)
        return cj_fail(p->arena->cj, CJ_ERR_LIMIT, "%s: line %d: nested deeper than %d", p->what,
                       p->line, CJ__XML_DEPTH);
    stack[*depth].element = e;
    stack[*depth].last = NULL;
    cj__text_clear(&stack[(*depth)++].text);
    return CJ_OK;
}

/* One piece of what stands in the innermost open element. */
static cj_status read_piece(parser *p, level *stack, int *depth)
{
    level *in = &stack[*depth - 1];
    cj__xml *e;
    bool closed;
    if (p->at == p->end || *p->at != '<') {
        if (p->at < p->end) return read_text(p, &in->text);
        return cj_fail(p->arena->cj, CJ_ERR_FORMAT,
                       "%s: line %d: expected '</%.60s>' for that of line %d, found the end",
                       p->what, p->line, in->element->name, in->element->line);
    }
    if (accept(p, "<!--")) return skip_comment(p);
    if (accept(p, "<![CDATA[")) return read_cdata(p, &in->text);
    if (accept(p, "<?")) return skip_to(p, "?>", "'?>'");
    if (accept(p, "</")) {
        --*depth;
        return close_element(p, in);
    }
    p->at++;
    CJ__TRY(open_element(p, &e, &closed));
    if (in->last) in->last->next = e;
    else in->element->first = e;
    in->last = e;
    return closed ? CJ_OK : push(p, stack, depth, e);
}

static cj_status parse(parser *p, level *stack, const cj__xml **out)
{
    int depth = 0;
    bool closed;
    cj__xml *root;
    accept(p, "\xef\xbb\xbf");
    CJ__TRY(skip_misc(p));
    if (starts(p, "<!DOCTYPE"))
        return cj_fail(p->arena->cj, CJ_ERR_UNSUPPORTED,
                       "%s: line %d: a document type (<!DOCTYPE) is not read", p->what, p->line);
    if (!accept(p, "<")) return unexpected(p, "'<'");
    CJ__TRY(open_element(p, &root, &closed));
    if (!closed) CJ__TRY(push(p, stack, &depth, root));
    while (depth) CJ__TRY(read_piece(p, stack, &depth));
    CJ__TRY(skip_misc(p));
    *out = root;
    return p->at == p->end ? CJ_OK : unexpected(p, "the end");
}

cj_status cj__xml_parse(cj__arena *arena, const char *what, const void *bytes, size_t size,
                        const cj__xml **out)
{
    parser p = {.arena = arena, .what = what, .at = bytes, .line = 1};
    level stack[CJ__XML_DEPTH];
    p.end = size ? p.at + size : p.at;
    for (int i = 0; i < CJ__XML_DEPTH; i++) cj__text_init(&stack[i].text, arena->cj);
    const cj_status failed = parse(&p, stack, out);
    for (int i = 0; i < CJ__XML_DEPTH; i++) cj__text_release(&stack[i].text);
    return failed;
}

const cj__xml *cj__xml_next(const cj__xml *before, const char *name)
{
    const cj__xml *e = before ? before->next : NULL;
    while (e && strcmp(e->name, name) != 0) e = e->next;
    return e;
}

const cj__xml *cj__xml_find(const cj__xml *parent, const char *name)
{
    const cj__xml *e = parent ? parent->first : NULL;
    return !e || !strcmp(e->name, name) ? e : cj__xml_next(e, name);
}
