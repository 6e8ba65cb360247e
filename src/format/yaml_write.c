/* yaml_write.c: a recipe as YAML in block style.
 *
 * Every value is written so that it has the same type in YAML 1.2 and in the YAML 1.1 that PyYAML
 * speaks: floats have a point and a signed exponent (1.0e-08), and text is plain only where neither
 * can take it for anything else (no, 1:30, 0777, 1e-3 and 2020-01-01 are something else to
 * YAML 1.1), else in single quotes, else, with anything unprintable, in double quotes. */
#include <math.h>
#include <string.h>

#include "format/recipe.h"

static bool is_word(const char *text)
{
    static const char *const words[] = {"y",   "n",    "yes",   "no",   "on",
                                        "off", "true", "false", "null", NULL};
    for (int i = 0; words[i]; i++) {
        size_t k = 0;
        while (text[k] && (text[k] | 0x20) == words[i][k]) k++;
        if (!text[k] && !words[i][k]) return true;
    }
    return false;
}

/* A letter, "_", "/", "./" or "../" first, and nothing YAML gives a meaning to. */
static bool may_be_plain(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
    static const char others[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.,+-=() ";
    size_t length = strlen(text);
    bool path = !strncmp(text, "./", 2) || !strncmp(text, "../", 3);
    if (!length || length > 120 || (!path && !strchr(letters, text[0]))) return false;
    return strspn(text, others) == length && text[length - 1] != ' ' && !is_word(text);
}

/* The code point at s, which is valid UTF-8; *size is its number of bytes. */
static uint32_t decode(const char *s, int *size)
{
    const unsigned char *u = (const unsigned char *)s;
    *size = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    uint32_t code = *size == 1 ? u[0] : u[0] & (0x7fu >> *size);
    for (int i = 1; i < *size; i++) code = code << 6 | (u[i] & 0x3f);
    return code;
}

static bool needs_escape(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || (code & 0xfffe) == 0xfffe;
}

static void write_quoted(cj__text *out, const char *text)
{
    int size = 0;
    bool escape = false;
    for (const char *s = text; *s; s += size) escape |= needs_escape(decode(s, &size));
    const char *quote = escape ? "\"" : "'";
    cj__text_add(out, quote);
    for (const char *s = text; *s; s += size) {
        uint32_t code = decode(s, &size);
        if (!escape && *s == '\'') cj__text_add(out, "''");
        else if (escape && (*s == '"' || *s == '\\')) cj__text_format(out, "\\%c", *s);
        else if (escape && *s == '\n') cj__text_add(out, "\\n");
        else if (escape && *s == '\t') cj__text_add(out, "\\t");
        else if (!needs_escape(code)) cj__text_append(out, s, (size_t)size);
        else if (code > 0xffff) cj__text_format(out, "\\U%08x", (unsigned)code);
        else cj__text_format(out, code > 0xff ? "\\u%04x" : "\\x%02x", (unsigned)code);
    }
    cj__text_add(out, quote);
}

static void write_string(cj__text *out, const char *text)
{
    if (may_be_plain(text)) cj__text_add(out, text);
    else write_quoted(out, text);
}

/* The shortest digits that read back, with a point before the exponent and a sign in it. */
void cj__recipe_write_float(cj__text *out, double value)
{
    cj__text digits;
    cj__text_init(&digits, out->cj);
    cj__text_number(&digits, value);
    const char *text = cj__text_string(&digits), *exponent = text + strcspn(text, "eE");
    cj__text_append(out, text, (size_t)(exponent - text));
    if (!memchr(text, '.', (size_t)(exponent - text))) cj__text_add(out, ".0");
    if (*exponent) {
        const char *sign = exponent[1] == '-' || exponent[1] == '+' ? "" : "+";
        cj__text_format(out, "e%s%s", sign, exponent + 1);
    }
    if (digits.failed) out->failed = digits.failed;
    cj__text_release(&digits);
}

static void write_float(cj__text *out, double value)
{
    if (isnan(value)) cj__text_add(out, ".nan");
    else if (isinf(value)) cj__text_add(out, value < 0 ? "-.inf" : ".inf");
    else cj__recipe_write_float(out, value);
}

static void write_children(cj__text *out, const cj_item *item, int indent);

/* What follows "key:" or "-"; children of a list's item begin in its own line. */
static void write_value(cj__text *out, const cj_item *item, int indent, bool in_list)
{
    switch (item->kind) {
    case CJ_ITEM_NULL: cj__text_add(out, " null\n"); return;
    case CJ_ITEM_BOOL: cj__text_add(out, item->truth ? " true\n" : " false\n"); return;
    case CJ_ITEM_INT: cj__text_format(out, " %lld\n", (long long)item->integer); return;
    case CJ_ITEM_FLOAT:
    case CJ_ITEM_STRING:
        cj__text_char(out, ' ');
        if (item->kind == CJ_ITEM_FLOAT) write_float(out, item->number);
        else write_string(out, item->text);
        cj__text_char(out, '\n');
        return;
    case CJ_ITEM_LIST:
    case CJ_ITEM_MAP:
        break;
    }
    if (!item->first) {
        cj__text_add(out, item->kind == CJ_ITEM_LIST ? " []\n" : " {}\n");
        return;
    }
    cj__text_char(out, in_list ? ' ' : '\n');
    write_children(out, item, in_list ? -indent : indent);
}

/* indent < 0: the first line is begun already, behind "- " at -indent. */
static void write_children(cj__text *out, const cj_item *item, int indent)
{
    bool begun = indent < 0;
    int column = begun ? -indent : indent;
    for (const cj_item *i = item->first; i; i = i->next, begun = false) {
        for (int k = 0; k < column && !begun; k++) cj__text_char(out, ' ');
        if (i->key) write_string(out, i->key);
        cj__text_char(out, i->key ? ':' : '-');
        write_value(out, i, column + 2, !i->key);
    }
}

void cj__recipe_write_yaml(cj__text *out, const cj_item *root)
{
    if (root->first) write_children(out, root, 0);
    else cj__text_add(out, "{}\n");
}
