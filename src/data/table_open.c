/* table_open.c: tables from bytes and from files that are read whole. */
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "data/format.h"
#include "data/gzip.h"
#include "data/table.h"

cj_status cj__table_check(cj_context *cj, const char *name, const cj__file_format *format,
                          const cj_dataset_opts *o)
{
    if (!format->parse)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: %s is no format of tables", name,
                       format->row.name);
    if (o->split && !strcmp(o->split, "test"))
        return cj_fail(cj, CJ_ERR_NOT_FOUND,
                       "%s: a table has one part and no 'test'; cut it in two by cj_dataset_split",
                       name);
    if (o->stream && !o->pictures && !format->parse_part)
        return cj_fail(cj, CJ_ERR_UNSUPPORTED,
                       "%s: %s cannot be streamed, only csv can; leave stream out", name,
                       format->row.name);
    if ((unsigned)o->header > CJ_HEADER_NO || (unsigned)o->missing > CJ_MISSING_DROP)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: header=%d or missing=%d is none of the choices",
                       name, (int)o->header, (int)o->missing);
    if (o->widths && format != &cj__format_fixed_width)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: widths are for format=fixed_width, not for %s",
                       name, format->row.name);
    if (o->delimiter && format != &cj__format_csv)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "%s: a delimiter is for format=csv, not for %s", name,
                       format->row.name);
    return CJ_OK;
}

cj_dataset *cj__table_parse(cj_context *cj, const char *name, const void *bytes, size_t size,
                            const cj_dataset_opts *opts)
{
    cj__table t = {.cj = cj, .name = name, .opts = opts};
    cj_dataset *ds = NULL;
    const cj__file_format *format = cj__format_for(cj, name, opts);
    if (!format || cj__table_check(cj, name, format, opts)) return NULL;
    cj__arena_init(&t.arena, cj);
    cj__sheet_init(&t.sheet, cj, name);
    if (!format->parse(&t.sheet, bytes, size, opts) && !cj__table_settle(&t))
        ds = cj__table_build(&t);
    cj__sheet_release(&t.sheet);
    cj__arena_release(&t.arena);
    return ds;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Unpacks all of a gzip file into a block that grows by doubling. */
static cj_status unpack(cj_context *cj, const char *name, const cj__file_bytes *packed, char **text,
                        size_t *size, size_t *room)
{
    cj__gzip z;
    cj_status failed = cj__gzip_open(&z, cj, name, packed->data, packed->size);
    while (!failed && !z.ended) {
        size_t wanted = *room ? *room : (size_t)1 << 16, got = 0;
        if (*room && !cj__size_mul(*room, 2, &wanted)) {
            failed = cj_fail(cj, CJ_ERR_LIMIT, "%s: too large", name);
            break;
        }
        char *grown = cj__realloc(cj, *text, *room, wanted);
        if (!grown) {
            failed = cj_last_status(cj);
            break;
        }
        *text = grown;
        *room = wanted;
        failed = cj__gzip_read(&z, *text + *size, *room - *size, &got);
        *size += got;
    }
    cj__gzip_close(&z);
    return failed;
}

cj_dataset *cj__table_open(cj_context *cj, const char *path, const cj_dataset_opts *opts)
{
    cj__file_bytes bytes;
    if (opts->stream && !opts->pictures) /* which stay in their files anyway */
        return cj__table_stream_open(cj, path, opts, CJ__TABLE_PART_BYTES);
    if (cj__file_load(cj, path, 0, &bytes)) return NULL;
    size_t size = 0, room = 0;
    cj_dataset *ds = NULL;
    char *text = NULL;
    if (!cj__is_gzip(bytes.data, bytes.size))
        ds = cj__table_parse(cj, path, bytes.data, bytes.size, opts);
    else if (!unpack(cj, path, &bytes, &text, &size, &room))
        ds = cj__table_parse(cj, path, text, size, opts);
    if (room) cj__free(cj, text, room);
    cj__file_unload(&bytes);
    return ds;
}
