/* json.c: a comma before every item but the first, and strings escaped; no tree is built. */
#include "cli/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes the UTF-8 character at `s` has, 0 when it is none (overlong, surrogate, cut). */
static int utf8_size(const unsigned char *s)
{
    int n = s[0] < 0x80                   ? 1
            : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
            : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
            : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                          : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || outside ? 0 : n;
}

static void quoted(FILE *to, const char *text)
{
    fputc('"', to);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = utf8_size(s);
        if (*s == '"' || *s == '\\') fprintf(to, "\\%c", *s);
        else if (*s == '\n') fputs("\\n", to);
        else if (*s == '\t') fputs("\\t", to);
        else if (*s < 0x20 || *s == 0x7f) fprintf(to, "\\u%04x", *s);
        else if (n) fwrite(s, 1, (size_t)n, to);
        else fputs("\xef\xbf\xbd", to);
        s += n ? n : 1;
    }
    fputc('"', to);
}

static void item(cli_json *j, const char *key)
{
    if (j->depth) {
        if (j->more[j->depth - 1]) fputs(", ", j->to);
        j->more[j->depth - 1] = true;
    }
    if (!key) return;
    quoted(j->to, key);
    fputs(": ", j->to);
}

static void open(cli_json *j, const char *key, char opening, char closing)
{
    assert(j->depth < CLI_JSON_DEPTH);
    item(j, key);
    fputc(opening, j->to);
    j->more[j->depth] = false;
    j->closing[j->depth++] = closing;
}

void cli_json_object(cli_json *j, const char *key) { open(j, key, '{', '}'); }
void cli_json_list(cli_json *j, const char *key) { open(j, key, '[', ']'); }

void cli_json_end(cli_json *j)
{
    assert(j->depth > 0);
    fputc(j->closing[--j->depth], j->to);
}

void cli_json_string(cli_json *j, const char *key, const char *value)
{
    if (!value) {
        cli_json_null(j, key);
        return;
    }
    item(j, key);
    quoted(j->to, value);
}

/* The shortest of 1 to 17 digits that reads back the same. The command never calls setlocale, so
 * the point is a point. */
void cli_json_number(cli_json *j, const char *key, double value)
{
    char text[32];
    if (!isfinite(value)) {
        cli_json_null(j, key);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    item(j, key);
    fputs(text, j->to);
}

void cli_json_int(cli_json *j, const char *key, int64_t value)
{
    item(j, key);
    fprintf(j->to, "%lld", (long long)value);
}

void cli_json_bool(cli_json *j, const char *key, bool value)
{
    item(j, key);
    fputs(value ? "true" : "false", j->to);
}

void cli_json_null(cli_json *j, const char *key)
{
    item(j, key);
    fputs("null", j->to);
}

void cli_json_line(cli_json *j)
{
    assert(j->depth == 0);
    fputc('\n', j->to);
    fflush(j->to);
}
