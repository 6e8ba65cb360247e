/* statistics.c: mean, deviation and range of a field, the same bits every time.
 *
 * Samples are read in blocks of a fixed size and added up in order, in double. Numbers of 8 bits,
 * that is pictures, are counted in a histogram first, which makes their sums exact and fast. For
 * the others two passes: the mean, then the squares of the distances to it (one pass with sums of
 * squares loses all digits when the mean is large against the deviation).
 *
 * Numbers with the same place on the last axis share their statistics: columns of a table, colours
 * of a picture. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "data/dataset.h"

enum { BLOCK_BYTES = 1 << 18, BINS = 256 };

typedef struct statistics {
    cj_context *cj;
    const cj_dataset *ds;
    const cj_field *info;
    int field;
    int64_t items, channels, block; /* numbers a sample, statistics, samples a block */
    int64_t *indices;               /* [block] */
    void *values;                   /* [block, items] of the field's dtype */
    double *mean, *std, *min, *max; /* [channels] */
    int64_t *bins;                  /* [channels, BINS], or NULL */
} statistics;

/* "NaN in field 'features' (sample 12, column 'x3')". */
static cj_status fail_not_finite(statistics *s, int64_t sample, int64_t item, double value)
{
    const char *what = isnan(value) ? "NaN" : "infinity";
    if (s->info->columns > 0)
        return cj_fail(s->cj, CJ_ERR_NUMERIC, "%s: %s in the data (row %lld, column '%s')",
                       cj_dataset_name(s->ds), what, (long long)sample + 1,
                       s->info->column_info[item].name);
    return cj_fail(s->cj, CJ_ERR_NUMERIC,
                   "%s: %s in the data (field '%s', sample %lld, element %lld)",
                   cj_dataset_name(s->ds), what, s->info->name, (long long)sample, (long long)item);
}

static cj_status add_sums(statistics *s, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n * s->items; i++) {
        double v = cj_load_f64(s->info->dtype, s->values, (size_t)i);
        int64_t c = i % s->channels;
        if (!isfinite(v)) return fail_not_finite(s, first + i / s->items, i % s->items, v);
        s->mean[c] += v;
        if (v < s->min[c]) s->min[c] = v;
        if (v > s->max[c]) s->max[c] = v;
    }
    return CJ_OK;
}

static cj_status add_squares(statistics *s, int64_t first, int64_t n)
{
    (void)first;
    for (int64_t i = 0; i < n * s->items; i++) {
        int64_t c = i % s->channels;
        double d = cj_load_f64(s->info->dtype, s->values, (size_t)i) - s->mean[c];
        s->std[c] += d * d;
    }
    return CJ_OK;
}

static cj_status add_bins(statistics *s, int64_t first, int64_t n)
{
    const unsigned char *v = s->values;
    (void)first;
    for (int64_t i = 0; i < n * s->items; i += s->channels)
        for (int64_t c = 0; c < s->channels; c++) s->bins[c * BINS + v[i + c]]++;
    return CJ_OK;
}

static cj_status each_block(statistics *s,
                            cj_status (*work)(statistics *s, int64_t first, int64_t n))
{
    for (int64_t first = 0; first < s->ds->count; first += s->block) {
        int64_t n = s->ds->count - first < s->block ? s->ds->count - first : s->block;
        for (int64_t i = 0; i < n; i++) s->indices[i] = first + i;
        CJ__TRY(cj__check_cancel(s->cj));
        CJ__TRY(cj__dataset_read(s->cj, s->ds, s->indices, n, s->field, s->values));
        CJ__TRY(work(s, first, n));
    }
    return CJ_OK;
}

static cj_status from_bins(statistics *s, double each)
{
    CJ__TRY(each_block(s, add_bins));
    for (int64_t c = 0; c < s->channels; c++) {
        const int64_t *bins = s->bins + c * BINS;
        double squares = 0;
        for (int v = 0; v < BINS; v++) {
            if (!bins[v]) continue;
            if (v < s->min[c]) s->min[c] = v;
            s->max[c] = v;
            s->mean[c] += (double)bins[v] * v;
        }
        s->mean[c] /= each;
        for (int v = 0; v < BINS; v++)
            squares += (double)bins[v] * (v - s->mean[c]) * (v - s->mean[c]);
        s->std[c] = sqrt(squares / each);
    }
    return CJ_OK;
}

static cj_status from_passes(statistics *s, double each)
{
    CJ__TRY(each_block(s, add_sums));
    for (int64_t c = 0; c < s->channels; c++) s->mean[c] /= each;
    CJ__TRY(each_block(s, add_squares));
    for (int64_t c = 0; c < s->channels; c++) {
        s->std[c] = sqrt(s->std[c] / each);
        if (!isfinite(s->mean[c]) || !isfinite(s->std[c]))
            return cj_fail(s->cj, CJ_ERR_NUMERIC,
                           "%s: the numbers of field '%s' are too large to add up",
                           cj_dataset_name(s->ds), s->info->name);
    }
    return CJ_OK;
}

static cj_status prepare(statistics *s, cj__arena *arena)
{
    const char *name = cj_dataset_name(s->ds);
    s->info = cj_dataset_field(s->ds, s->field);
    if (!s->info)
        return cj_fail(s->cj, CJ_ERR_ARGUMENT, "%s: there is no field %d", name, s->field);
    if (!cj__count(s->info->rank, s->info->shape, &s->items))
        return cj_fail(s->cj, CJ_ERR_SHAPE, "%s: impossible shape", name);
    s->channels = cj_field_channels(s->info);
    if (s->ds->count == 0 || s->items == 0)
        return cj_fail(s->cj, CJ_ERR_STATE, "%s: no numbers in field '%s' to take statistics of",
                       name, s->info->name);
    size_t bytes = cj__dataset_root(s->ds)->item_bytes[s->field];
    s->block = bytes < BLOCK_BYTES ? (int64_t)(BLOCK_BYTES / bytes) : 1;
    if (s->block > s->ds->count) s->block = s->ds->count;
    s->indices = cj__arena_array(arena, (size_t)s->block, sizeof *s->indices);
    s->values = s->indices ? cj__arena_array(arena, (size_t)s->block, bytes) : NULL;
    double *all = s->values ? cj__arena_array(arena, (size_t)s->channels, 4 * sizeof *all) : NULL;
    if (!all) return cj_last_status(s->cj);
    if (s->info->dtype == CJ_U8 &&
        !(s->bins = cj__arena_array(arena, (size_t)s->channels, BINS * sizeof *s->bins)))
        return cj_last_status(s->cj);
    s->mean = all;
    s->std = all + s->channels;
    s->min = all + 2 * s->channels;
    s->max = all + 3 * s->channels;
    for (int64_t c = 0; c < s->channels; c++) {
        s->min[c] = INFINITY;
        s->max[c] = -INFINITY;
    }
    return CJ_OK;
}

cj_status cj_dataset_statistics(const cj_dataset *ds, int field, double *mean, double *std,
                                double *min, double *max)
{
    if (!ds) return CJ_ERR_ARGUMENT;
    statistics s = {.cj = ds->cj, .ds = ds, .field = field};
    cj_status failed;
    cj__arena arena;
    cj__arena_init(&arena, ds->cj);
    CJ__CHECK(failed = prepare(&s, &arena));
    double each = (double)ds->count * (double)(s.items / s.channels);
    CJ__CHECK(failed = s.bins ? from_bins(&s, each) : from_passes(&s, each));
    double *to[4] = {mean, std, min, max}, *from[4] = {s.mean, s.std, s.min, s.max};
    for (int i = 0; i < 4; i++)
        if (to[i]) memcpy(to[i], from[i], (size_t)s.channels * sizeof *to[i]);
out:
    cj__arena_release(&arena);
    return failed;
}
