/* option.c: what can be done with the fields a table describes: fill, check, compare, copy, print.
 *
 * A field is found at its offset and treated by its type, so a structure needs no code of its own.
 * What print writes, option_parse.c reads back to the same value. */
#include "base/option.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/size.h"

/* By value of cj_dtype; tensors know more of dtypes, but they stand above this folder. */
static const char *const dtype_words[] = {"default",
#define NAME(upper, name, ...) #name,
                                          CJ_DTYPE_LIST(NAME)
#undef NAME
                                              NULL};

static const void *field(const cj_option *o, const void *options)
{
    return (const char *)options + o->offset;
}

static void *field_mut(const cj_option *o, void *options)
{
    return (char *)options + o->offset;
}

size_t cj__option_size(cj_option_type type)
{
    switch (type) {
    case CJ_OPTION_NONE:
    case CJ_OPTION_TYPE_MORE: return 0;
    case CJ_OPTION_TYPE_BOOL: return sizeof(bool);
    case CJ_OPTION_TYPE_INT: return sizeof(int64_t);
    case CJ_OPTION_TYPE_FLOAT: return sizeof(double);
    case CJ_OPTION_TYPE_WORD: return sizeof(int);
    case CJ_OPTION_TYPE_STRING: return sizeof(const char *);
    case CJ_OPTION_TYPE_DTYPE: return sizeof(cj_dtype);
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_DIMS: return sizeof(cj_ints);
    case CJ_OPTION_TYPE_FLOATS: return sizeof(cj_floats);
    case CJ_OPTION_TYPE_TENSOR:
    case CJ_OPTION_TYPE_GRAPH: return sizeof(void *);
    case CJ_OPTION_TYPE_SIZES: return CJ_SIZES * sizeof(int64_t);
    }
    return 0;
}

const cj_option *cj__option_find(const cj_option *table, const char *name)
{
    for (const cj_option *o = cj_option_row(table); o->type; o = cj_option_row(o + 1))
        if (!strcmp(o->name, name)) return o;
    return NULL;
}

const char *const *cj__option_words(const cj_option *o)
{
    return o->type == CJ_OPTION_TYPE_DTYPE ? dtype_words : cj_option_words(o);
}

/* ---- Initial values ------------------------------------------------------------------------- */

static int64_t to_int(double v)
{
    return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

static void set_initial(const cj_option *o, void *to)
{
    memset(to, 0, cj__option_size(o->type));
    switch (o->type) {
    case CJ_OPTION_TYPE_BOOL: *(bool *)to = o->initial != 0; break;
    case CJ_OPTION_TYPE_INT:
    case CJ_OPTION_TYPE_SIZES: *(int64_t *)to = to_int(o->initial); break;
    case CJ_OPTION_TYPE_FLOAT: *(double *)to = o->initial; break;
    case CJ_OPTION_TYPE_WORD: *(int *)to = (int)o->initial; break;
    case CJ_OPTION_TYPE_DTYPE: *(cj_dtype *)to = (cj_dtype)o->initial; break;
    case CJ_OPTION_TYPE_STRING: *(const char **)to = o->text; break;
    default: break;
    }
}

void cj__options_init(const cj_option *table, void *options)
{
    for (const cj_option *o = cj_option_row(table); o->type; o = cj_option_row(o + 1))
        set_initial(o, field_mut(o, options));
}

void cj__options_default(const cj_option *table, void *options)
{
    for (const cj_option *o = cj_option_row(table); o->type; o = cj_option_row(o + 1)) {
        const unsigned char *bytes = field(o, options);
        bool zero = true;
        for (size_t i = 0; i < cj__option_size(o->type); i++) zero &= !bytes[i];
        if (zero) set_initial(o, field_mut(o, options));
    }
}

/* ---- Checks --------------------------------------------------------------------------------- */

static bool has_range(const cj_option *o)
{
    return o->min != 0 || o->max != 0;
}

/* Of a range that is open to one side only the other bound is told, unless v is beyond that. */
static cj_status fail_range(cj_context *cj, const char *what, const cj_option *o, const char *value,
                            double v)
{
    const double far = 0x1p53; /* "no bound" in tables of integers */
    char min[32], max[32];
    cj__number(min, o->min);
    cj__number(max, o->max);
    if (o->max >= far && v < o->min)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s=%s is less than %s", what, o->name, value, min);
    if (v > o->max && (o->min <= -far || o->max >= far))
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s=%s is more than %s", what, o->name, value, max);
    return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s=%s is not between %s and %s", what, o->name, value,
                   min, max);
}

static cj_status check_int(cj_context *cj, const char *what, const cj_option *o, int64_t v)
{
    if (!has_range(o) || ((double)v >= o->min && (double)v <= o->max)) return CJ_OK;
    char value[32];
    cj__format(value, sizeof value, "%lld", (long long)v);
    return fail_range(cj, what, o, value, (double)v);
}

static cj_status check_float(cj_context *cj, const char *what, const cj_option *o, double v)
{
    char value[32];
    cj__number(value, v);
    if (isnan(v)) {
        if (isnan(o->initial)) return CJ_OK;
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s=nan, and a number is expected", what, o->name);
    }
    if (has_range(o) && !(v >= o->min && v <= o->max)) return fail_range(cj, what, o, value, v);
    bool open = !has_range(o) || (isinf(o->min) && isinf(o->max));
    if (isinf(v) && !open && v != o->initial)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s=%s, and a finite number is expected", what,
                       o->name, value);
    return CJ_OK;
}

static cj_status check_list(cj_context *cj, const char *what, const cj_option *o, int n,
                            const void *v)
{
    if (n >= 0 && (n == 0 || v)) return CJ_OK;
    return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s has %d elements%s", what, o->name, n,
                   v ? "" : " at no address");
}

cj_status cj__option_word(cj_context *cj, const char *what, const cj_option *o, const char *s,
                          int *index)
{
    const char *const *words = cj__option_words(o);
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], s)) {
            *index = i;
            return CJ_OK;
        }
    char list[400];
    cj__list_words(list, sizeof list, words, INT_MAX);
    const char *near = cj__nearest(s, words);
    if (near)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s='%.100s' is none of %s (did you mean '%s'?)",
                       what, o->name, s, list, near);
    return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s='%.100s' is none of %s", what, o->name, s, list);
}

/* "key=" is NULL, which is only a word where it is the initial value. */
static cj_status check_word(cj_context *cj, const char *what, const cj_option *o, const char *s)
{
    int index;
    if (!o->words || (!s && !o->text)) return CJ_OK;
    return cj__option_word(cj, what, o, s ? s : "", &index);
}

/* Numbers up to the first 0; behind it nothing. */
static cj_status check_sizes(cj_context *cj, const char *what, const cj_option *o, const int64_t *v)
{
    for (int i = 0, n = CJ_SIZES; i < CJ_SIZES; i++) {
        if (i > n && v[i])
            return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s has a 0 at place %d, before a %lld", what,
                           o->name, n, (long long)v[i]);
        if (v[i]) CJ__TRY(check_int(cj, what, o, v[i]));
        else if (i < n) n = i;
    }
    return CJ_OK;
}

cj_status cj__option_check(cj_context *cj, const char *what, const cj_option *o,
                           const void *options)
{
    const void *p = field(o, options);
    switch (o->type) {
    case CJ_OPTION_TYPE_INT: return check_int(cj, what, o, *(const int64_t *)p);
    case CJ_OPTION_TYPE_FLOAT: return check_float(cj, what, o, *(const double *)p);
    case CJ_OPTION_TYPE_STRING: return check_word(cj, what, o, *(const char *const *)p);
    case CJ_OPTION_TYPE_SIZES: return check_sizes(cj, what, o, p);
    case CJ_OPTION_TYPE_WORD:
    case CJ_OPTION_TYPE_DTYPE: {
        int64_t index = o->type == CJ_OPTION_TYPE_WORD ? *(const int *)p
                                                       : (int64_t) * (const cj_dtype *)p,
                n = 0;
        while (cj__option_words(o)[n]) n++;
        if (index >= 0 && index < n) return CJ_OK;
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s is choice %lld of %lld", what, o->name,
                       (long long)index, (long long)n);
    }
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_DIMS: {
        const cj_ints *a = p;
        CJ__TRY(check_list(cj, what, o, a->n, a->v));
        for (int i = 0; i < a->n; i++) CJ__TRY(check_int(cj, what, o, a->v[i]));
        return CJ_OK;
    }
    case CJ_OPTION_TYPE_FLOATS: {
        const cj_floats *a = p;
        CJ__TRY(check_list(cj, what, o, a->n, a->v));
        for (int i = 0; i < a->n; i++) CJ__TRY(check_float(cj, what, o, a->v[i]));
        return CJ_OK;
    }
    default: return CJ_OK;
    }
}

cj_status cj__options_check(cj_context *cj, const char *what, const cj_option *table,
                            const void *options)
{
    for (const cj_option *o = cj_option_row(table); o->type; o = cj_option_row(o + 1))
        CJ__TRY(cj__option_check(cj, what, o, options));
    return CJ_OK;
}

/* ---- Comparing and copying ------------------------------------------------------------------ */

/* Same bits, or both NaN: 0 and -0 are different options, because 1/x tells them apart. */
static bool same_floats(const double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

static bool same_value(const cj_option *o, const void *a, const void *b)
{
    switch (o->type) {
    case CJ_OPTION_TYPE_FLOAT: return same_floats(a, b, 1);
    case CJ_OPTION_TYPE_STRING: {
        const char *s = *(const char *const *)a, *t = *(const char *const *)b;
        return s && t ? !strcmp(s, t) : s == t;
    }
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_DIMS: {
        const cj_ints *x = a, *y = b;
        return x->n == y->n && (x->n <= 0 || !memcmp(x->v, y->v, (size_t)x->n * sizeof *x->v));
    }
    case CJ_OPTION_TYPE_FLOATS: {
        const cj_floats *x = a, *y = b;
        return x->n == y->n && same_floats(x->v, y->v, x->n);
    }
    default: return !memcmp(a, b, cj__option_size(o->type));
    }
}

bool cj__options_equal(const cj_option *table, const void *a, const void *b)
{
    for (const cj_option *o = cj_option_row(table); o->type; o = cj_option_row(o + 1))
        if (!same_value(o, field(o, a), field(o, b))) return false;
    return true;
}

/* *v becomes a copy of its n items in the arena; NULL for none. */
static cj_status copy_items(cj__arena *arena, const void **v, int64_t n, size_t item_size)
{
    const void *from = *v;
    if (n <= 0 || !from) {
        *v = NULL;
        return CJ_OK;
    }
    void *copy = cj__arena_array(arena, (size_t)n, item_size);
    if (!copy) return arena->cj->status;
    memcpy(copy, from, (size_t)n * item_size);
    *v = copy;
    return CJ_OK;
}

static cj_status copy_value(cj__arena *arena, const cj_option *o, void *to, const void *from)
{
    const void *items;
    switch (o->type) {
    case CJ_OPTION_TYPE_STRING:
        items = *(const char *const *)from;
        CJ__TRY(copy_items(arena, &items, items ? (int64_t)strlen(items) + 1 : 0, 1));
        *(const char **)to = items;
        return CJ_OK;
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_DIMS: {
        cj_ints a = *(const cj_ints *)from;
        items = a.v;
        CJ__TRY(copy_items(arena, &items, a.n, sizeof *a.v));
        *(cj_ints *)to = (cj_ints){a.n, items};
        return CJ_OK;
    }
    case CJ_OPTION_TYPE_FLOATS: {
        cj_floats a = *(const cj_floats *)from;
        items = a.v;
        CJ__TRY(copy_items(arena, &items, a.n, sizeof *a.v));
        *(cj_floats *)to = (cj_floats){a.n, items};
        return CJ_OK;
    }
    default: memmove(to, from, cj__option_size(o->type)); return CJ_OK;
    }
}

cj_status cj__options_copy(cj__arena *arena, const cj_option *table, void *to, const void *from)
{
    for (const cj_option *o = cj_option_row(table); o->type; o = cj_option_row(o + 1))
        CJ__TRY(copy_value(arena, o, field_mut(o, to), field(o, from)));
    return CJ_OK;
}

/* ---- Printing ------------------------------------------------------------------------------- */

/* A string that would be read back as something else gets quotes. */
static void print_string(cj__text *out, const char *s)
{
    const char *why, *end = cj__option_item_end(s, &why);
    size_t n = strlen(s);
    bool bare = n && end == s + n && !strpbrk(s, "\"'\\") && !strchr(" \t\n\r", s[0]) &&
                !strchr(" \t\n\r", s[n - 1]);
    if (bare) {
        cj__text_add(out, s);
        return;
    }
    cj__text_char(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') cj__text_char(out, '\\');
        cj__text_char(out, *s);
    }
    cj__text_char(out, '"');
}

static void print_sizes(cj__text *out, const int64_t *v)
{
    cj__text_char(out, '[');
    for (int i = 0; i < CJ_SIZES && v[i]; i++)
        cj__text_format(out, "%s%lld", i ? ", " : "", (long long)v[i]);
    cj__text_char(out, ']');
}

static void print_value(cj__text *out, const cj_option *o, const void *p)
{
    switch (o->type) {
    case CJ_OPTION_TYPE_BOOL: cj__text_add(out, *(const bool *)p ? "true" : "false"); break;
    case CJ_OPTION_TYPE_INT: cj__text_format(out, "%lld", (long long)*(const int64_t *)p); break;
    case CJ_OPTION_TYPE_FLOAT: cj__text_number(out, *(const double *)p); break;
    case CJ_OPTION_TYPE_SIZES: print_sizes(out, p); break;
    case CJ_OPTION_TYPE_WORD: cj__text_add(out, o->words[*(const int *)p]); break;
    case CJ_OPTION_TYPE_DTYPE: cj__text_add(out, dtype_words[*(const cj_dtype *)p]); break;
    case CJ_OPTION_TYPE_STRING:
        if (*(const char *const *)p) print_string(out, *(const char *const *)p);
        break;
    case CJ_OPTION_TYPE_INTS:
    case CJ_OPTION_TYPE_DIMS:
    case CJ_OPTION_TYPE_FLOATS: {
        bool floats = o->type == CJ_OPTION_TYPE_FLOATS;
        int n = floats ? ((const cj_floats *)p)->n : ((const cj_ints *)p)->n;
        cj__text_char(out, '[');
        for (int i = 0; i < n; i++) {
            if (i) cj__text_add(out, ", ");
            if (floats) cj__text_number(out, ((const cj_floats *)p)->v[i]);
            else cj__text_format(out, "%lld", (long long)((const cj_ints *)p)->v[i]);
        }
        cj__text_char(out, ']');
        break;
    }
    default: break;
    }
}

void cj__options_print(cj__text *out, const cj_option *table, const void *options, bool all)
{
    bool first = true;
    for (const cj_option *o = cj_option_row(table); o->type; o = cj_option_row(o + 1)) {
        if (o->type == CJ_OPTION_TYPE_TENSOR || o->type == CJ_OPTION_TYPE_GRAPH)
            continue; /* no text says them */
        union {
            double align;
            cj_floats room;
            int64_t sizes[CJ_SIZES];
            const void *pointer;
        } initial;
        set_initial(o, &initial);
        if (!all && same_value(o, field(o, options), &initial)) continue;
        cj__text_format(out, "%s%s=", first ? "" : ", ", o->name);
        print_value(out, o, field(o, options));
        first = false;
    }
}
