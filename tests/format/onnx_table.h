/* onnx_table.h: the operators of ONNX as a table: of docs/onnx.md.
 *
 * Names and opsets are those of tests/golden/format/onnx/operators.txt. Read is what a row reads;
 * written, what the files of the samples of our operators hold; passed, what the cases said. */
#ifndef CAJAL_TESTS_ONNX_TABLE_H
#define CAJAL_TESTS_ONNX_TABLE_H

#include "golden.h"
#include "onnx_testdata.h"

typedef struct onnx_operator {
    char name[64], opsets[64];
    bool read, written;
} onnx_operator;

typedef struct onnx_operators {
    onnx_operator items[256];
    size_t count;
} onnx_operators;

static onnx_operator *find_operator(onnx_operators *all, cj__slice name)
{
    for (size_t i = 0; i < all->count; i++)
        if (cj__slice_is(name, all->items[i].name)) return &all->items[i];
    return NULL;
}

/* Lines "Abs 1 6 13". */
static void list_operators(onnx_operators *all)
{
    char path[512], line[256];
    FILE *f = fopen(golden_path(path, "format/onnx/operators.txt"), "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        onnx_operator *o = &all->items[all->count++];
        size_t n = strcspn(line, " "), used = 0;
        assert_true(all->count < CJ__COUNT(all->items) && n < sizeof o->name && line[n]);
        memset(o, 0, sizeof *o);
        memcpy(o->name, line, n);
        for (const char *c = line + n + 1; *c && *c != '\n' && used + 2 < sizeof o->opsets; c++) {
            if (*c == ' ') o->opsets[used++] = ',';
            o->opsets[used++] = *c;
        }
    }
    fclose(f);
}

/* A row's operator, in whichever domain. Experimental ones of the first opset, which ONNX has
 * dropped since, are no longer in its list. */
static onnx_operator *operator_of(onnx_operators *all, const char *name)
{
    static const char *const domains[] = {"", "ai.onnx.preview.", "ai.onnx.preview.training."};
    onnx_operator *o = NULL;
    char whole[96];
    for (size_t i = 0; i < CJ__COUNT(domains) && !o; i++) {
        cj__format(whole, sizeof whole, "%s%s", domains[i], name);
        o = find_operator(all, cj__slice_of(whole));
    }
    if (o) return o;
    assert_true(all->count < CJ__COUNT(all->items));
    o = &all->items[all->count++];
    memset(o, 0, sizeof *o);
    cj__format(o->name, sizeof o->name, "%s", name);
    cj__format(o->opsets, sizeof o->opsets, "experimental");
    return o;
}

/* These have no row: the importer itself takes their values. */
static void mark_read(onnx_operators *all)
{
    const cj__onnx_row *row;
    static const char *const without_rows[] = {"Constant", "Shape", "Size"};
    for (size_t i = 0; i < CJ__COUNT(without_rows); i++)
        operator_of(all, without_rows[i])->read = true;
    for (size_t i = 0; (row = cj__onnx_row_at(i)); i++)
        if (row->read && row->onnx) operator_of(all, row->onnx)->read = true;
}

static void mark_nodes(onnx_operators *all, const cj__onnx_graph *g)
{
    for (size_t i = 0; i < g->node.count; i++) {
        const cj__onnx_node *node = &g->node.items[i];
        onnx_operator *o = find_operator(all, node->op_type);
        if (!o) fail_msg("%.*s is no operator of ONNX", (int)node->op_type.size,
                         node->op_type.at);
        else o->written = true;
        for (size_t j = 0; j < node->attribute.count; j++)
            if (node->attribute.items[j].type == CJ__ONNX_ATTR_GRAPH)
                mark_nodes(all, node->attribute.items[j].as.g);
    }
}

static void mark_written(onnx_operators *all)
{
    cj_context *cj = cj_context_new(NULL);
    const cj_op *op;
    cj_graph *g;
    assert_non_null(cj);
    for (int row = 0; (op = cj_op_at(cj, row)); row++)
        for (int i = 0; (g = sample_graph(cj, op, i, CJ_F32)); i++) {
            cj__arena arena;
            cj__text bytes;
            cj__onnx_model *model;
            cj__arena_init(&arena, cj);
            if (!graph_bytes(cj, g, &bytes)) {
                assert_int_equal(cj__onnx_parse(&arena, bytes.bytes, bytes.length, &model), 0);
                mark_nodes(all, model->graph);
            }
            cj__text_release(&bytes);
            cj__arena_release(&arena);
            cj_graph_free(g);
        }
    cj_context_free(cj);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static bool is_left(const onnx_case *c, const char *operator_)
{
    return c->kind == PLAIN && c->verdict != PASSED &&
           (!operator_ || !strcmp(c->operator_, operator_));
}

/* What the case says, without the node that the message names: there is only one. */
static const char *reason_of(const onnx_case *c)
{
    const char *end = begins(cj__slice_of(c->reason), "node '") ? strstr(c->reason, "): ") : NULL;
    return end ? end + 3 : c->reason;
}

/* "`test_a`, `test_b`: reason; ..." of the cases of an operator (NULL: of all) that do not pass.
 * That there is no such operator needs no words. */
static void add_reasons(cj__text *to, const onnx_cases *cases, const char *operator_)
{
    char missing[128];
    const char *between = "";
    cj__format(missing, sizeof missing, "Cajal has no operator %s", operator_ ? operator_ : "?");
    for (size_t i = 0; i < cases->count; i++) {
        const onnx_case *c = &cases->items[i];
        bool told = !is_left(c, operator_) || !strcmp(reason_of(c), missing);
        for (size_t k = 0; k < i && !told; k++)
            told = is_left(&cases->items[k], operator_) &&
                   !strcmp(reason_of(&cases->items[k]), reason_of(c));
        if (told) continue;
        for (size_t k = i; k < cases->count; k++)
            if (is_left(&cases->items[k], operator_) &&
                !strcmp(reason_of(&cases->items[k]), reason_of(c))) {
                cj__text_format(to, "%s`%s`", between, cases->items[k].name);
                between = ", ";
            }
        cj__text_format(to, ": %s", reason_of(c));
        between = "; ";
    }
}

typedef struct tally {
    int all[KINDS], passed[KINDS];
} tally;

static tally tally_of(const onnx_cases *cases, const char *operator_)
{
    tally t;
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < cases->count; i++) {
        const onnx_case *c = &cases->items[i];
        if (operator_ && strcmp(c->operator_, operator_) != 0) continue;
        t.all[c->kind]++;
        t.passed[c->kind] += c->verdict == PASSED;
    }
    return t;
}

/* "| 2 of 3 | note |" and the end of the line. reasons: are told. */
static void add_results(cj__text *to, const onnx_cases *cases, const char *operator_, bool reasons)
{
    static const char *const apart[KINDS] = {"", "with sequences or optional values",
                                             "with random numbers"};
    tally t = tally_of(cases, operator_);
    if (t.all[PLAIN]) cj__text_format(to, " %d of %d |", t.passed[PLAIN], t.all[PLAIN]);
    else cj__text_add(to, " |");
    cj__text_char(to, ' ');
    size_t start = to->length;
    if (reasons) add_reasons(to, cases, operator_);
    else cj__text_add(to, "by operator below");
    for (int k = SEQUENCES; k < KINDS; k++)
        if (t.all[k])
            cj__text_format(to, "%s%d of %d %s", to->length > start ? "; " : "", t.passed[k],
                            t.all[k], apart[k]);
    cj__text_add(to, to->length > start ? " |\n" : "|\n");
}

/* cases[0] are those of nodes, which the operators have. */
static void add_table(cj__text *to, onnx_operators *all, const onnx_cases *cases,
                      const char *const *parts, size_t n)
{
    mark_read(all);
    mark_written(all);
    cj__text_add(to, "| cases | passed | notes |\n|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        cj__text_format(to, "| %s |", parts[i]);
        add_results(to, &cases[i], NULL, i > 0);
    }
    cj__text_add(to, "\n| operator | opsets | read | written | passed | notes |\n"
                     "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < all->count; i++) {
        const onnx_operator *o = &all->items[i];
        cj__text_format(to, "| %s | %s | %s | %s |", o->name, o->opsets, o->read ? "yes" : "",
                        o->written ? "yes" : "");
        add_results(to, &cases[0], o->name, true);
    }
}

/* Whether the lines of docs/NAME between those that hold `begin` and `end` are this text.
 * CAJAL_UPDATE=1 puts it there. */
static bool same_in_page(const char *name, const char *begin, const char *end, const char *text)
{
    char path[512];
    size_t size;
    snprintf(path, sizeof path, "%s/docs/%s", CJ_SOURCE_DIR, name);
    char *bytes = (char *)golden_bytes(path, &size), *page = malloc(size + 1);
    assert_non_null(page);
    memcpy(page, bytes, size);
    page[size] = 0;
    char *from = strstr(page, begin), *to = from ? strstr(from, end) : NULL;
    if (!from || !to) fail_msg("docs/%s lacks its marks", name);
    from += strcspn(from, "\n") + 1;
    size_t old = (size_t)(to - from), length = strlen(text), line = 1;
    bool same = old == length && !memcmp(from, text, length);
    if (!same && getenv("CAJAL_UPDATE")) {
        char *whole = malloc(size + length + 1);
        assert_non_null(whole);
        int n = snprintf(whole, size + length + 1, "%.*s%s%s", (int)(from - page), page, text, to);
        golden_write(path, whole, (size_t)n);
        free(whole);
        same = true;
    }
    if (!same) {
        size_t at = 0;
        while (at < old && at < length && from[at] == text[at]) line += from[at++] == '\n';
        while (at && from[at - 1] != '\n') at--;
        print_error("docs/%s, line %zu of the table (CAJAL_UPDATE=1 writes it):\nin the page "
                    "%.*s\nfound       %.*s\n",
                    name, line, (int)strcspn(from + at, "\n"), from + at,
                    (int)strcspn(text + (at < length ? at : length), "\n"),
                    text + (at < length ? at : length));
    }
    free(bytes);
    free(page);
    return same;
}

#endif
