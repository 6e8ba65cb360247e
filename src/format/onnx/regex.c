/* regex.c: a pattern becomes a program, which is run on all of its paths at once (Thompson, 1968).
 *
 *     a*b      0: split +1 +3   1: a   2: jump -2   3: b   4: match
 *
 * Jumps are relative, so a piece of program can be moved and copied: x{2,3} is xx(x)? . A run goes
 * over the text once with the set of places where the program can be. */
#include "format/onnx/regex.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { PROGRAM_MAX = 20000, RANGES_MAX = 64, REPEAT_MAX = 1000, DEPTH_MAX = 200 };

typedef enum step_kind { TAKE, SPLIT, JUMP, BEGIN, END, EDGE, NO_EDGE, MATCH } step_kind;

typedef struct range {
    uint32_t first, last;
} range;

typedef struct step {
    step_kind kind;
    int a, b;            /* relative targets; of TAKE: how many ranges, and is it none of them? */
    const range *ranges; /* that a character lies in */
} step;

struct cj__regex {
    step *steps;
    int n;
};

typedef struct parser {
    cj__arena *arena;
    const char *pattern, *at;
    cj_status failed;
    int depth;
    step *steps;
    int n, capacity;
    range ranges[RANGES_MAX]; /* of the class that is being read */
    int n_ranges;
} parser;

static void fail(parser *p, cj_status status, const char *what)
{
    if (!p->failed)
        p->failed = cj_fail(p->arena->cj, status, "pattern '%.200s', character %d: %s", p->pattern,
                            (int)(p->at - p->pattern), what);
}

/* ---- Program --------------------------------------------------------------------------------- */

/* Room for `more` steps at place `at`; what stood there moves. */
static step *insert(parser *p, int at, int more)
{
    if (p->failed) return NULL;
    if (p->n + more > PROGRAM_MAX) {
        fail(p, CJ_ERR_LIMIT, "the pattern is too large");
        return NULL;
    }
    if (p->n + more > p->capacity) {
        int capacity = 2 * (p->n + more) + 32;
        step *grown = cj__arena_array(p->arena, (size_t)capacity, sizeof *grown);
        if (!grown) {
            p->failed = cj_last_status(p->arena->cj);
            return NULL;
        }
        if (p->n) memcpy(grown, p->steps, (size_t)p->n * sizeof *grown);
        p->steps = grown;
        p->capacity = capacity;
    }
    memmove(p->steps + at + more, p->steps + at, (size_t)(p->n - at) * sizeof *p->steps);
    p->n += more;
    return p->steps + at;
}

static void emit(parser *p, int at, step_kind kind, int a, int b)
{
    step *s = insert(p, at, 1);
    if (s) *s = (step){.kind = kind, .a = a, .b = b};
}

/* The ranges that were gathered, as one character of the text. */
static void emit_class(parser *p, bool negative)
{
    range *kept = cj__arena_array(p->arena, (size_t)p->n_ranges + 1, sizeof *kept);
    step *s = kept ? insert(p, p->n, 1) : NULL;
    if (!kept && !p->failed) p->failed = cj_last_status(p->arena->cj);
    if (!s) return;
    memcpy(kept, p->ranges, (size_t)p->n_ranges * sizeof *kept);
    *s = (step){.kind = TAKE, .a = p->n_ranges, .b = negative, .ranges = kept};
    p->n_ranges = 0;
}

/* ---- Characters ------------------------------------------------------------------------------ */

static void add(parser *p, uint32_t first, uint32_t last)
{
    if (p->n_ranges == RANGES_MAX) fail(p, CJ_ERR_LIMIT, "a class of more than 64 ranges");
    else if (first > last) fail(p, CJ_ERR_DATA, "a range that ends before it begins");
    else p->ranges[p->n_ranges++] = (range){first, last};
}

static uint32_t decode(const char **at)
{
    const unsigned char *c = (const unsigned char *)*at;
    const size_t length = cj__utf8_length(*at, strlen(*at));
    uint32_t value = length < 2 ? c[0] : c[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) value = value << 6 | (c[i] & 0x3fu);
    *at += length ? length : 1; /* a byte that is no UTF-8 is itself */
    return value;
}

/* Pairs of first and last characters. */
static const struct {
    const char *name, *pairs;
} classes[] = {{"d", "09"},           {"w", "09AZ__az"},       {"s", "\t\n\f\r  "},
               {"alnum", "09AZaz"},   {"alpha", "AZaz"},       {"digit", "09"},
               {"lower", "az"},       {"upper", "AZ"},         {"space", "\t\r  "},
               {"punct", "!/:@[`{~"}, {"xdigit", "09AFaf"},    {"word", "09AZ__az"},
               {"blank", "\t\t  "},   {"print", " ~"},         {"graph", "!~"}};

static bool add_named(parser *p, const char *name, size_t size, bool negative)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const char *c = classes[i].pairs;
        uint32_t next = 0;
        if (strlen(classes[i].name) != size || memcmp(classes[i].name, name, size)) continue;
        for (; *c; next = (uint32_t)c[1] + 1, c += 2) {
            if (!negative) add(p, (uint32_t)c[0], (uint32_t)c[1]);
            else if ((uint32_t)c[0] > next) add(p, next, (uint32_t)c[0] - 1);
        }
        if (negative) add(p, next, 0x10ffff);
        return true;
    }
    return false;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \x41 or \x{1F600}; the x is read. */
static uint32_t hexadecimal(parser *p)
{
    uint32_t value = 0;
    const bool braces = *p->at == '{';
    int digits = 0;
    for (p->at += braces; digits < (braces ? 6 : 2) && digit_of(*p->at) >= 0; digits++)
        value = value * 16 + (uint32_t)digit_of(*p->at++);
    if (!digits || (!braces && digits < 2) || (braces && *p->at++ != '}'))
        fail(p, CJ_ERR_DATA, "\\x without its digits");
    return value;
}

/* Behind a backslash: a class (then ranges are gathered and false is returned) or a character. */
static bool escaped(parser *p, uint32_t *out)
{
    static const char letters[] = "tnrfva", values[] = "\t\n\r\f\v\a";
    const char c = *p->at;
    const bool capital = c == 'D' || c == 'W' || c == 'S';
    const char small = capital ? (char)(c + 32) : c;
    if (c && strchr("dwsDWS", c)) {
        p->at++;
        add_named(p, &small, 1, capital);
        return false;
    }
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) *out = (uint32_t)values[letter - letters];
    else if (c == 'x') {
        p->at++;
        *out = hexadecimal(p);
        return true;
    } else if (!c) {
        fail(p, CJ_ERR_DATA, "a backslash at its end");
        return true;
    } else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        fail(p, CJ_ERR_UNSUPPORTED, "this escape is not supported");
        return true;
    } else {
        *out = decode(&p->at);
        return true;
    }
    p->at++;
    return true;
}

/* [^a-z\d[:space:]]; the first bracket is read. A ] that comes first is itself. */
static void read_class(parser *p)
{
    const bool negative = *p->at == '^';
    p->at += negative;
    for (bool first = true; !p->failed && (first || *p->at != ']'); first = false) {
        uint32_t low, high;
        const char *close = p->at[0] == '[' && p->at[1] == ':' ? strstr(p->at, ":]") : NULL;
        if (!*p->at) fail(p, CJ_ERR_DATA, "a class without its ]");
        if (p->failed) return;
        if (close) {
            const bool none = p->at[2] == '^';
            const char *name = p->at + 2 + none;
            if (!add_named(p, name, (size_t)(close - name), none))
                fail(p, CJ_ERR_UNSUPPORTED, "this class is not known");
            p->at = close + 2;
            continue;
        }
        if (*p->at != '\\') low = decode(&p->at);
        else if (p->at++, !escaped(p, &low)) continue;
        high = low;
        if (p->at[0] == '-' && p->at[1] && p->at[1] != ']') {
            p->at++;
            if (*p->at != '\\') high = decode(&p->at);
            else if (p->at++, !escaped(p, &high)) fail(p, CJ_ERR_DATA, "a range up to a class");
        }
        if (!p->failed) add(p, low, high);
    }
    if (p->failed) return;
    p->at++;
    emit_class(p, negative);
}

/* ---- Grammar --------------------------------------------------------------------------------- */

static void read_choice(parser *p);

static void read_group(parser *p)
{
    if (p->at[0] == '?') {
        const bool named = !strncmp(p->at, "?P<", 3) || !strncmp(p->at, "?<", 2);
        const char *end = named ? strchr(p->at, '>') : NULL;
        if (p->at[1] == ':') p->at += 2;
        else if (end && p->at[2] != '=' && p->at[2] != '!') p->at = end + 1;
        else fail(p, CJ_ERR_UNSUPPORTED, "flags and looking around are not supported");
    }
    if (++p->depth > DEPTH_MAX) fail(p, CJ_ERR_LIMIT, "groups nested more than 200 deep");
    if (p->failed) return;
    read_choice(p);
    p->depth--;
    if (*p->at == ')') p->at++;
    else fail(p, CJ_ERR_DATA, "a group without its )");
}

static void read_backslash(parser *p)
{
    static const char letters[] = "bBAz";
    static const step_kind kinds[] = {EDGE, NO_EDGE, BEGIN, END};
    const char *letter = *p->at ? strchr(letters, *p->at) : NULL;
    uint32_t c;
    if (letter) {
        emit(p, p->n, kinds[letter - letters], 0, 0);
        p->at++;
        return;
    }
    if (escaped(p, &c) && !p->failed) add(p, c, c);
    emit_class(p, false);
}

static void read_atom(parser *p)
{
    const char c = *p->at;
    if (c == '*' || c == '+' || c == '?') {
        fail(p, CJ_ERR_DATA, "a repetition of nothing");
        return;
    }
    if (!strchr(".^$([\\", c)) {
        const uint32_t literal = decode(&p->at);
        add(p, literal, literal);
        emit_class(p, false);
        return;
    }
    p->at++;
    switch (c) {
    case '(': read_group(p); return;
    case '[': read_class(p); return;
    case '\\': read_backslash(p); return;
    case '.':
        add(p, '\n', '\n');
        emit_class(p, true);
        return;
    default: emit(p, p->n, c == '^' ? BEGIN : END, 0, 0);
    }
}

/* {m}, {m,} or {m,n}; false (and nothing is read) for a brace that is only one. */
static bool read_bounds(parser *p, int *least, int *most)
{
    const char *c = p->at + 1;
    int bounds[2] = {0, -1}, k = 0;
    if (*p->at != '{' || *c < '0' || *c > '9') return false;
    for (; *c && *c != '}'; c++) {
        if (*c == ',' && k == 0) k = 1;
        else if (*c >= '0' && *c <= '9')
            bounds[k] = (bounds[k] < 0 ? 0 : bounds[k] * 10) + (*c - '0');
        else return false;
        if (bounds[k] > REPEAT_MAX) {
            fail(p, CJ_ERR_LIMIT, "more than 1000 repetitions");
            return false;
        }
    }
    if (*c != '}') return false;
    *least = bounds[0];
    *most = k ? bounds[1] : bounds[0];
    p->at = c + 1;
    if (*most >= 0 && *most < *least)
        fail(p, CJ_ERR_DATA, "repetitions of fewer than there must be");
    return true;
}

/* The piece from `from` on, least to most times (-1: any number). */
static void repeat(parser *p, int from, int least, int most)
{
    const int size = p->n - from, copies = most < 0 ? least + 1 : most;
    if (copies == 0) {
        p->n = from;
        return;
    }
    for (int i = 1; i < copies; i++) {
        step *to = insert(p, p->n, size);
        if (!to) return;
        memcpy(to, p->steps + from, (size_t)size * sizeof *to);
    }
    /* From the last copy on, so that those in front keep their places. */
    for (int i = copies - 1; i >= least && !p->failed; i--) {
        const int at = from + i * size;
        const bool again = most < 0;
        if (again) emit(p, at + size, JUMP, -(size + 1), 0);
        emit(p, at, SPLIT, 1, size + 1 + again);
    }
}

static void read_repeated(parser *p)
{
    const int from = p->n;
    int least, most;
    read_atom(p);
    if (p->failed) return;
    const char c = *p->at;
    if (c == '*' || c == '+' || c == '?') {
        p->at++;
        least = c == '+';
        most = c == '?' ? 1 : -1;
    } else if (!read_bounds(p, &least, &most)) {
        return;
    }
    if (*p->at == '?') p->at++; /* lazy: the same texts match */
    if (!p->failed) repeat(p, from, least, most);
    if (*p->at == '*' || *p->at == '+' || *p->at == '?')
        fail(p, CJ_ERR_DATA, "a repetition of a repetition");
}

static void read_choice(parser *p)
{
    const int from = p->n;
    while (!p->failed && *p->at && *p->at != '|' && *p->at != ')') read_repeated(p);
    while (!p->failed && *p->at == '|') {
        p->at++;
        emit(p, from, SPLIT, 1, p->n - from + 2);
        const int jump = p->n;
        emit(p, jump, JUMP, 0, 0);
        while (!p->failed && *p->at && *p->at != '|' && *p->at != ')') read_repeated(p);
        if (!p->failed) p->steps[jump].a = p->n - jump;
    }
}

cj_status cj__regex_compile(cj__arena *arena, const char *pattern, const cj__regex **out)
{
    parser p = {.arena = arena, .pattern = pattern, .at = pattern};
    cj__regex *regex = cj__arena_alloc(arena, sizeof *regex);
    *out = NULL;
    if (!regex) return cj_last_status(arena->cj);
    read_choice(&p);
    if (*p.at == ')') fail(&p, CJ_ERR_DATA, "a ) without its (");
    emit(&p, p.n, MATCH, 0, 0);
    if (p.failed) return p.failed;
    *regex = (cj__regex){p.steps, p.n};
    *out = regex;
    return CJ_OK;
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct places { /* a set; `seen` holds the round in which each was added */
    int *items, n;
} places;

static bool is_word(int64_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool takes(const step *s, uint32_t c)
{
    for (int i = 0; i < s->a; i++)
        if (c >= s->ranges[i].first && c <= s->ranges[i].last) return !s->b;
    return s->b;
}

/* Adds a place and all that can be reached from it without a character. */
static void reach(const cj__regex *r, places *to, int *stack, int *seen, int round, int place,
                  int64_t before, int64_t after)
{
    int depth = 0;
    stack[depth++] = place;
    while (depth) {
        const int at = stack[--depth];
        const step *s = &r->steps[at];
        const bool edge = is_word(before) != is_word(after);
        if (seen[at] == round) continue;
        seen[at] = round;
        switch (s->kind) {
        case TAKE:
        case MATCH: to->items[to->n++] = at; break;
        case SPLIT: stack[depth++] = at + s->b; stack[depth++] = at + s->a; break;
        case JUMP: stack[depth++] = at + s->a; break;
        case BEGIN:
            if (before < 0) stack[depth++] = at + 1;
            break;
        case END:
            if (after < 0) stack[depth++] = at + 1;
            break;
        case EDGE:
        case NO_EDGE:
            if (edge == (s->kind == EDGE)) stack[depth++] = at + 1;
            break;
        }
    }
}

static int64_t peek(const char *text)
{
    return *text ? (int64_t)decode(&text) : -1;
}

cj_status cj__regex_matches(cj_context *cj, const cj__regex *r, const char *text, bool *out)
{
    const size_t n = (size_t)r->n, size = (n * 5 + 2) * sizeof(int);
    int *memory = cj__alloc(cj, size), *seen = memory + 2 * n, *stack = seen + n;
    places now = {memory, 0}, next = {memory + n, 0};
    int round = 1;
    *out = false;
    if (!memory) return cj->status;
    reach(r, &now, stack, seen, round, 0, -1, peek(text));
    while (*text && now.n) {
        const uint32_t c = decode(&text);
        next.n = 0;
        round++;
        for (int i = 0; i < now.n; i++)
            if (r->steps[now.items[i]].kind == TAKE && takes(&r->steps[now.items[i]], c))
                reach(r, &next, stack, seen, round, now.items[i] + 1, (int64_t)c, peek(text));
        const places old = now;
        now = next;
        next = old;
    }
    for (int i = 0; i < now.n && !*text; i++) *out |= r->steps[now.items[i]].kind == MATCH;
    cj__free(cj, memory, size);
    return CJ_OK;
}
