/* option_parse.c: options from text.
 *
 *     text   = name [ "(" [ item { "," item } ] ")" ]
 *     item   = [ key "=" ] value            only the first item may lack its key
 *     value  = anything without a comma outside brackets and quotes
 *     list   = "[" numbers "]" | "(" numbers ")" | numbers
 *
 * One pass with a stack of open brackets: no recursion, and text of any length or shape is either
 * understood or refused with the place named. */
#include "base/option.h"

#include <string.h>

enum { NESTING_MAX = 64, NAME_MAX_BYTES = 100, TABLE_MAX = 128 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_blanks(const char *p)
{
    while (is_blank(*p)) p++;
    return p;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

const char *cj__option_item_end(const char *text, const char **why)
{
    char open[NESTING_MAX], quote = 0; /* the closing brackets still to come */
    int depth = 0;
    const char *p = text;
    for (; *p; p++) {
        if (quote) {
            if (*p == '\\' && p[1]) p++;
            else if (*p == quote) quote = 0;
            continue;
        }
        if (*p == '"' || *p == '\'') quote = *p;
        else if (*p == '(' || *p == '[' || *p == '{') {
            if (depth == NESTING_MAX) return *why = "brackets are nested deeper than 64", NULL;
            open[depth++] = *p == '(' ? ')' : *p == '[' ? ']' : '}';
        } else if (*p == ')' || *p == ']' || *p == '}') {
            if (!depth || open[--depth] != *p)
                return *why = "a closing bracket does not match", NULL;
        } else if (*p == ',' && !depth) break;
    }
    if (quote) return *why = "a closing quote is missing", NULL;
    if (depth) return *why = "a closing bracket is missing", NULL;
    return p;
}

/* ---- Values --------------------------------------------------------------------------------- */

static cj_status fail_value(cj_context *cj, const char *what, const cj_option *o, const char *value,
                            const char *expected)
{
    return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s='%.100s' is not %s", what, o->name, value,
                   expected);
}

static cj_status parse_bool(cj_context *cj, const char *what, const cj_option *o, const char *value,
                            bool *out)
{
    bool yes = !strcmp(value, "true") || !strcmp(value, "1");
    if (!yes && strcmp(value, "false") && strcmp(value, "0"))
        return fail_value(cj, what, o, value, "true or false");
    *out = yes;
    return CJ_OK;
}

/* True when one pair of quotes encloses all of the n bytes. */
static bool in_quotes(const char *value, size_t n)
{
    if (n < 2 || (value[0] != '"' && value[0] != '\'') || value[n - 1] != value[0]) return false;
    size_t i = 1;
    while (i < n - 1 && value[i] != value[0]) i += value[i] == '\\' ? 2 : 1;
    return i == n - 1;
}

/* Text in quotes loses them and its backslashes; other text stays as it is; none at all is NULL. */
static cj_status parse_string(cj__arena *arena, const char *value, const char **out)
{
    size_t n = strlen(value);
    *out = NULL;
    if (!n) return CJ_OK;
    char *copy = cj__arena_copy(arena, value, n + 1);
    if (!copy) return arena->cj->status;
    *out = copy;
    if (!in_quotes(value, n)) return CJ_OK;
    char *to = copy;
    for (const char *p = value + 1; p < value + n - 1; p++) {
        if (*p == '\\') p++;
        *to++ = *p;
    }
    *to = 0;
    return CJ_OK;
}

static cj_status parse_list(cj__arena *arena, const char *what, const cj_option *o,
                            const char *value, void *out)
{
    bool floats = o->type == CJ_OPTION_TYPE_FLOATS;
    const char *expected = floats ? "a list of numbers such as [0.1, 2]"
                                  : "a list of whole numbers such as [1, 2]";
    const char *p = value, *end = value + strlen(value);
    if (p < end && (*p == '[' || *p == '(')) {
        if (end[-1] != (*p == '[' ? ']' : ')'))
            return fail_value(arena->cj, what, o, value, expected);
        p = skip_blanks(p + 1), end--;
        while (end > p && is_blank(end[-1])) end--;
    }
    size_t n = p < end;
    for (const char *q = p; q < end; q++) n += *q == ',';
    if (n > INT32_MAX)
        return cj_fail(arena->cj, CJ_ERR_LIMIT, "%s: %s has %zu elements", what, o->name, n);
    union {
        int64_t i;
        double f;
    } *v = n ? cj__arena_array(arena, n, sizeof *v) : NULL;
    if (n && !v) return arena->cj->status;
    for (size_t i = 0; i < n; i++) {
        p = skip_blanks(p);
        if (p > end) p = end; /* "[2, ]": the blank is not the list's any more */
        const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
        const char *next = comma ? comma + 1 : end;
        while (stop > p && is_blank(stop[-1])) stop--;
        size_t length = (size_t)(stop - p);
        if (floats ? !cj__parse_double(p, length, &v[i].f) : !cj__parse_int64(p, length, &v[i].i))
            return fail_value(arena->cj, what, o, value, expected);
        p = next;
    }
    if (floats) *(cj_floats *)out = (cj_floats){(int)n, n ? &v->f : NULL};
    else *(cj_ints *)out = (cj_ints){(int)n, n ? &v->i : NULL};
    return CJ_OK;
}

/* 3, [3] or [3, 5, 1]: as many numbers as are there, none of them 0. */
static cj_status parse_sizes(cj__arena *arena, const char *what, const cj_option *o,
                             const char *value, int64_t *out)
{
    cj_ints list;
    CJ__TRY(parse_list(arena, what, o, value, &list));
    bool wrong = list.n > CJ_SIZES;
    for (int i = 0; i < list.n && !wrong; i++) wrong = !list.v[i];
    if (wrong) return fail_value(arena->cj, what, o, value, "a list of up to 3 numbers but 0");
    for (int i = 0; i < CJ_SIZES; i++) out[i] = i < list.n ? list.v[i] : 0;
    return CJ_OK;
}

static cj_status parse_value(cj__arena *arena, const char *what, const cj_option *o,
                             const char *value, void *out)
{
    cj_context *cj = arena->cj;
    size_t n = strlen(value);
    int index = 0;
    switch (o->type) {
    case CJ_OPTION_TYPE_BOOL: return parse_bool(cj, what, o, value, out);
    case CJ_OPTION_TYPE_INT:
        if (cj__parse_int64(value, n, out)) return CJ_OK;
        n = *value == '-' || *value == '+';
        return fail_value(cj, what, o, value,
                          value[n] && !value[n + strspn(value + n, "0123456789")]
                              ? "a whole number of 64 bits"
                              : "a whole number");
    case CJ_OPTION_TYPE_FLOAT:
        return cj__parse_double(value, n, out) ? CJ_OK : fail_value(cj, what, o, value, "a number");
    case CJ_OPTION_TYPE_WORD: return cj__option_word(cj, what, o, value, out);
    case CJ_OPTION_TYPE_DTYPE:
        CJ__TRY(cj__option_word(cj, what, o, value, &index));
        *(cj_dtype *)out = (cj_dtype)index;
        return CJ_OK;
    case CJ_OPTION_TYPE_STRING: return parse_string(arena, value, out);
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_DIMS:
    case CJ_OPTION_TYPE_FLOATS: return parse_list(arena, what, o, value, out);
    case CJ_OPTION_TYPE_SIZES: return parse_sizes(arena, what, o, value, out);
    default: return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s cannot be given as text", what, o->name);
    }
}

static cj_status fail_unknown(cj_context *cj, const char *what, const cj_option *table,
                              const char *name)
{
    const char *names[TABLE_MAX + 1];
    char list[700];
    int n = 0;
    for (const cj_option *o = cj_option_row(table); o->type && n < TABLE_MAX;
         o = cj_option_row(o + 1))
        names[n++] = o->name;
    names[n] = NULL;
    cj__list_words(list, sizeof list, names, TABLE_MAX);
    const char *near = cj__nearest(name, names);
    if (near)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: unknown option '%.100s' (did you mean '%s'?)",
                       what, name, near);
    if (!n)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: unknown option '%.100s': it takes none", what,
                       name);
    return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: unknown option '%.100s': it takes %s", what, name,
                   list);
}

/* The value is read into a place of its own and kept only when it is legal. */
static cj_status set_option(cj__arena *arena, const char *what, const cj_option *o, void *options,
                            const char *value)
{
    union {
        double align;
        cj_floats room;
        int64_t sizes[CJ_SIZES];
        const void *pointer;
    } old;
    void *p = (char *)options + o->offset;
    size_t size = cj__option_size(o->type);
    memcpy(&old, p, size);
    cj_status failed = parse_value(arena, what, o, value, p);
    if (!failed) failed = cj__option_check(arena->cj, what, o, options);
    if (failed) memcpy(p, &old, size);
    return failed;
}

cj_status cj__option_set(cj__arena *arena, const char *what, const cj_option *table, void *options,
                         const char *name, const char *value)
{
    const cj_option *o = cj__option_find(table, name);
    if (!o) return fail_unknown(arena->cj, what, table, name);
    value = skip_blanks(value);
    size_t n = strlen(value);
    while (n && is_blank(value[n - 1])) n--;
    if (o->type != CJ_OPTION_TYPE_STRING && in_quotes(value, n)) value++, n -= 2;
    if (value[n]) { /* something is behind it */
        char *copy = cj__arena_alloc(arena, n + 1);
        if (!copy) return arena->cj->status;
        value = memcpy(copy, value, n);
    }
    return set_option(arena, what, o, options, value);
}

/* ---- name(item, item) ----------------------------------------------------------------------- */

cj_status cj__options_parse_name(cj__arena *arena, const char *text, char **name, const char **rest)
{
    cj_context *cj = arena->cj;
    const char *p = skip_blanks(text), *begin = p, *why = NULL;
    while (is_name(*p)) p++;
    size_t length = (size_t)(p - begin);
    if (!length) return cj_fail(cj, CJ_ERR_ARGUMENT, "'%.100s' does not begin with a name", text);
    if (length > NAME_MAX_BYTES)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "the name '%.40s...' has %zu characters, more than %d",
                       begin, length, NAME_MAX_BYTES);
    p = skip_blanks(p);
    size_t inner = 0;
    const char *end = cj__option_item_end(p, &why);
    if (!end) return cj_fail(cj, CJ_ERR_ARGUMENT, "'%.100s': %s", text, why);
    while (end > p && is_blank(end[-1])) end--;
    if (*p && (*p != '(' || end[-1] != ')' || *skip_blanks(end)))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "'%.100s' is not of the form name(key=value, key=value)", text);
    if (*p) inner = (size_t)(end - p) - 2;
    char *head = cj__arena_alloc(arena, length + 1), *tail = cj__arena_alloc(arena, inner + 1);
    if (!head || !tail) return cj->status;
    memcpy(head, begin, length);
    if (inner) memcpy(tail, p + 1, inner);
    const char *item = tail; /* refuses "a()()", whose outer brackets are no pair */
    while ((item = cj__option_item_end(item, &why)) && *item) item++;
    if (!item)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "'%.100s' is not of the form name(key=value, key=value)", text);
    *name = head;
    *rest = tail;
    return CJ_OK;
}

/* Cuts "key = value" at its '='; an item without a key leaves *key NULL. */
static void split_item(char *item, char **key, char **value)
{
    char *p = item;
    while (is_name(*p)) p++;
    char *end = p;
    p += skip_blanks(p) - p;
    *key = NULL;
    *value = item;
    if (end == item || *p != '=') return;
    *end = 0;
    *key = item;
    *value = p + 1;
}

/* The number of an option in its table. */
static size_t number_of(const cj_option *table, const cj_option *option)
{
    size_t n = 0;
    for (const cj_option *o = cj_option_row(table); o != option; o = cj_option_row(o + 1)) n++;
    return n;
}

cj_status cj__options_parse(cj__arena *arena, const char *what, const cj_option *table,
                            void *options, const char *rest)
{
    cj_context *cj = arena->cj;
    const cj_option *const first_option = cj_option_row(table);
    const char *p = skip_blanks(rest), *why = NULL;
    uint64_t seen[TABLE_MAX / 64] = {0};
    for (bool first = true; *p || !first; first = false) {
        p = skip_blanks(p);
        const char *end = cj__option_item_end(p, &why);
        if (!end) return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: '%.100s': %s", what, p, why);
        if (end == p)
            return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: an option is missing in '%.100s'", what, rest);
        char *item = cj__arena_alloc(arena, (size_t)(end - p) + 1), *key, *value;
        if (!item) return cj->status;
        memcpy(item, p, (size_t)(end - p));
        split_item(item, &key, &value);
        if (!key && !first)
            return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: '%.100s' is not of the form key=value", what,
                           item);
        if (!key && !first_option->type)
            return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: takes no options, not '%.100s'", what, item);
        const cj_option *o = key ? cj__option_find(table, key) : first_option;
        if (!o) return fail_unknown(cj, what, table, key);
        const size_t index = number_of(table, o);
        if (index < TABLE_MAX) {
            uint64_t bit = (uint64_t)1 << index % 64;
            if (seen[index / 64] & bit)
                return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: option '%s' is given twice", what,
                               o->name);
            seen[index / 64] |= bit;
        }
        CJ__TRY(cj__option_set(arena, what, table, options, o->name, value));
        if (!*end) break;
        p = end + 1;
    }
    return CJ_OK;
}
