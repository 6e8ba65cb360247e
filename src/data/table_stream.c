/* table_stream.c: a table that stays in its file, read part by part.
 *
 *     file   | header | row row row row row row | row row row ro|w row ...
 *            '------------ part 0 --------------'- part 1 -----'
 *            marks:     ^0              ^4                 ^8      byte of every MARK-th sample
 *
 * Opening goes through the file part by part: once to see what the columns are and to set the
 * marks, once more to collect categories if there are any, and once to check all cells and take the
 * targets. Then samples are read on demand: from the mark before them on, their rows are parsed
 * again, by the same code as all others. Nothing but marks and targets grows with the file. */
#include <string.h>

#include "base/file.h"
#include "data/format.h"
#include "data/gzip.h"
#include "data/table.h"

enum { MARK = 4, RUN_MAX = 1024, PART_BYTES_MAX = 1 << 28 };

struct cj__table_stream {
    cj__reader file;
    const cj__file_format *format;
    size_t part_bytes;
    int64_t begin, line;       /* of the first row of the file, after a byte order mark */
    char delimiter;
    bool marked;
    int64_t *marks;            /* byte of sample 0, MARK, 2 MARK ..., and last the end of them */
    size_t mark_count, mark_room;
    /* What the data set reads with: the table, whose options keep no pointer of the caller's. */
    cj__table table;
    cj_dataset_opts opts;
};

/* ---- Parts ----------------------------------------------------------------------------------- */

typedef struct part {
    char *text;
    size_t room;
    int64_t at; /* of the part in the file */
    size_t used;
    bool is_last;
} part;

static cj_status grow(cj_context *cj, part *p, size_t room)
{
    char *text = cj__realloc(cj, p->text, p->room, room);
    if (!text) return cj_last_status(cj);
    p->text = text;
    p->room = room;
    return CJ_OK;
}

/* The rows that are whole in the bytes from p->at on, at least one, in the sheet. */
static cj_status read_part(cj__table *t, part *p)
{
    cj__table_stream *s = t->stream;
    for (;;) {
        const int64_t left = s->file.size - p->at, line = t->sheet.line;
        const size_t size = (uint64_t)left < p->room ? (size_t)left : p->room;
        p->is_last = size == (uint64_t)left;
        CJ__TRY(cj__reader_read(&s->file, t->cj, p->text, size, p->at));
        t->sheet.delimiter = s->delimiter;
        CJ__TRY(s->format->parse_part(&t->sheet, p->text, size, p->is_last, &p->used));
        if (p->used > 0 || p->is_last) return CJ_OK;
        if (p->room >= PART_BYTES_MAX)
            return cj_fail(t->cj, CJ_ERR_LIMIT, "%s: line %lld: a row is longer than %d bytes",
                           t->name, (long long)line, PART_BYTES_MAX);
        CJ__TRY(grow(t->cj, p, 2 * p->room));
        t->sheet.line = line;
    }
}

/* An empty sheet; the text goes on at `line`. */
static void fresh_sheet(cj__table *t, int64_t line)
{
    cj__sheet_release(&t->sheet);
    cj__sheet_init(&t->sheet, t->cj, t->name);
    t->sheet.line = line;
}

static cj_status add_mark(cj__table *t, int64_t at)
{
    cj__table_stream *s = t->stream;
    if (s->mark_count == s->mark_room) {
        const size_t room = s->mark_room ? 2 * s->mark_room : 256, size = sizeof *s->marks;
        int64_t *marks = cj__realloc(t->cj, s->marks, s->mark_room * size, room * size);
        if (!marks) return cj_last_status(t->cj);
        s->marks = marks;
        s->mark_room = room;
    }
    s->marks[s->mark_count++] = at;
    return CJ_OK;
}

static cj_status mark_samples(cj__table *t, const part *p)
{
    for (size_t i = 0; i < t->sample_count; i++)
        if ((t->samples_before + i) % MARK == 0)
            CJ__TRY(add_mark(t, p->at + (int64_t)t->sheet.rows[t->samples[i]].at));
    return CJ_OK;
}

static bool has_enough(const cj__table *t)
{
    return t->opts->limit > 0 && t->samples_before >= (uint64_t)t->opts->limit;
}

/* In the first part of the file there may be a header before the samples. */
cj_status cj__table_stream_each(cj__table *t, cj_status (*visit)(cj__table *t))
{
    cj__table_stream *s = t->stream;
    const size_t header = t->first;
    part p = {.at = s->begin};
    cj_status failed = grow(t->cj, &p, s->part_bytes);
    t->rows_before = t->samples_before = 0;
    fresh_sheet(t, s->line);
    while (!failed) {
        CJ__CHECK(failed = read_part(t, &p));
        CJ__CHECK(failed = cj__table_check_ragged(t));
        CJ__CHECK(failed = cj__table_choose(t));
        if (!s->marked) CJ__CHECK(failed = mark_samples(t, &p));
        CJ__CHECK(failed = visit(t));
        t->rows_before += t->sheet.row_count - t->first;
        t->samples_before += t->sample_count;
        p.at += (int64_t)p.used;
        if (p.is_last || has_enough(t)) break;
        t->first = 0;
        fresh_sheet(t, t->sheet.line);
        failed = cj__check_cancel(t->cj);
    }
    if (!failed && !s->marked) failed = add_mark(t, p.at);
    s->marked = true;
out:
    t->first = header;
    t->rows_before = t->samples_before = 0;
    cj__sheet_release(&t->sheet);
    if (p.text) cj__free(t->cj, p.text, p.room);
    return failed;
}

/* ---- Samples on demand ----------------------------------------------------------------------- */

/* n samples from number `first` on, from their rows in `text`. `t` is the reader's own, with an
 * empty sheet. */
static cj_status read_rows(cj__table *t, int64_t first, int64_t n, float *to, const char *text,
                           size_t size)
{
    const size_t skipped = (size_t)(first % MARK);
    size_t used;
    CJ__TRY(t->stream->format->parse_part(&t->sheet, text, size, true, &used));
    CJ__TRY(cj__table_check_ragged(t));
    CJ__TRY(cj__table_choose(t));
    if (t->sample_count < skipped + (size_t)n)
        return cj_fail(t->cj, CJ_ERR_DATA, "%s: rows are gone", t->name);
    return cj__table_features(t, skipped, (size_t)n, to);
}

/* All rows have been checked before, so what does not fit now was changed since. */
static cj_status read_run(cj__table *t, int64_t first, int64_t n, float *to, char *text,
                          int64_t begin, int64_t end)
{
    const size_t size = (size_t)(end - begin);
    CJ__TRY(cj__reader_read(&t->stream->file, t->cj, text, size, begin));
    t->sheet.delimiter = t->stream->delimiter;
    cj_status failed = read_rows(t, first, n, to, text, size);
    if (failed != CJ_ERR_DATA && failed != CJ_ERR_FORMAT) return failed;
    return cj_fail(t->cj, failed, "%s; the file has changed since it was opened",
                   cj_message(t->cj));
}

static cj_status read_features(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                               int field, void *out)
{
    const cj__table_stream *s = user;
    const int64_t width = s->table.input_count;
    (void)field; /* the only one without a tensor */
    for (int64_t i = 0, run; i < n; i += run) {
        run = 1;
        while (run < RUN_MAX && i + run < n && indices[i + run] == indices[i] + run) run++;
        const int64_t begin = s->marks[indices[i] / MARK],
                      end = s->marks[(indices[i] + run - 1) / MARK + 1];
        cj__table t = s->table; /* several threads read at once */
        t.cj = cj;
        t.first = 0;
        cj__sheet_init(&t.sheet, cj, t.name);
        char *text = cj__realloc(cj, NULL, 0, (size_t)(end - begin));
        cj_status failed = text ? read_run(&t, indices[i], run, (float *)out + i * width, text,
                                           begin, end)
                                : cj_last_status(cj);
        cj__sheet_release(&t.sheet);
        if (text) cj__free(cj, text, (size_t)(end - begin));
        CJ__TRY(failed);
    }
    return CJ_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void release(void *user)
{
    cj__table_stream *s = user;
    cj_context *cj = s->table.cj;
    cj__sheet_release(&s->table.sheet);
    cj__arena_release(&s->table.arena);
    if (s->marks) cj__free(cj, s->marks, s->mark_room * sizeof *s->marks);
    cj__reader_close(&s->file);
    cj__free(cj, s, sizeof *s);
}

/* The first part, from which the layout of the table is told. */
static cj_status read_first(cj__table *t)
{
    cj__table_stream *s = t->stream;
    part p = {.text = NULL};
    CJ__TRY(cj__reader_open(&s->file, t->cj, t->name));
    CJ__TRY(grow(t->cj, &p, s->part_bytes));
    const size_t size = (uint64_t)s->file.size < p.room ? (size_t)s->file.size : p.room;
    const char *text = p.text;
    size_t left = size;
    cj_status failed = cj__reader_read(&s->file, t->cj, p.text, size, 0);
    if (!failed && cj__is_gzip((unsigned char *)p.text, size))
        failed = cj__fail_packed(t->cj, t->name);
    if (!failed) failed = cj__text_beginning(t->cj, t->name, &text, &left);
    p.at = s->begin = (int64_t)(size - left);
    s->delimiter = t->opts->delimiter;
    if (!failed) failed = read_part(t, &p);
    s->delimiter = t->sheet.delimiter;
    if (!failed) failed = cj__table_settle(t);
    if (p.text) cj__free(t->cj, p.text, p.room);
    return failed;
}

/* Texts of the caller's options that categories refer to become the table's own. */
static cj_status keep_texts(cj__table *t)
{
    for (int c = 0; c < t->column_count; c++) {
        cj__categories *all = &t->columns[c].categories;
        for (int i = 0; i < all->count; i++) {
            const cj__cell cell = {.text = all->items[i].text, .length = all->items[i].length};
            if (!(all->items[i].text = cj__cell_text(&t->arena, &cell)))
                return cj_last_status(t->cj);
        }
        t->columns[c].names = NULL; /* only for targets, which are not read again */
    }
    return CJ_OK;
}

cj_dataset *cj__table_stream_open(cj_context *cj, const char *path, const cj_dataset_opts *opts,
                                  size_t part_bytes)
{
    const cj__file_format *format = cj__format_for(cj, path, opts);
    if (!format || cj__table_check(cj, path, format, opts)) return NULL;
    cj__table_stream *s = cj__alloc(cj, sizeof *s);
    if (!s) return NULL;
    *s = (cj__table_stream){.format = format, .part_bytes = part_bytes, .line = 1};
    cj__table *t = &s->table;
    *t = (cj__table){.cj = cj, .name = path, .opts = opts, .stream = s};
    cj__arena_init(&t->arena, cj);
    cj__sheet_init(&t->sheet, cj, path);
    cj_dataset *ds = read_first(t) ? NULL : cj__table_build(t);
    if (!ds || keep_texts(t)) {
        cj_dataset_free(ds);
        release(s);
        return NULL;
    }
    s->opts = (cj_dataset_opts){.missing = opts->missing, .columns = opts->columns};
    t->opts = &s->opts;
    t->name = cj_dataset_name(ds);
    ds->source = (cj_dataset_source){.read = read_features, .user = s, .free = release};
    return ds;
}
