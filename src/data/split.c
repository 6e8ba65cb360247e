/* split.c: cuts a data set in two, at random but the same every time.
 *
 * All samples are shuffled by the seed; then, walking along the shuffled order, a sample is held
 * out while its class has places left. The places of a class are its share of all places, rounded
 * by largest remainder, so that they add up exactly:
 *
 *     100 samples, 10 held out    class a: 55 -> 5.5 -> 6    class b: 25 -> 2.5 -> 2    class c: 20
 * -> 2
 *
 * (of equal remainders the first class gets the place). Without classes all samples are one class.
 * Both halves keep the order of the data set: a file's order is often useful to see, and loaders
 * shuffle. */
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "data/dataset.h"

#undef cj_dataset_split

typedef struct split {
    cj_context *cj;
    const cj_dataset *ds;
    int64_t n, held, classes;
    int64_t *order;  /* [n] shuffled */
    int32_t *labels; /* [n] */
    int64_t *places; /* [classes] */
    int64_t *sizes;  /* [classes] */
    bool *out;       /* [n] whether the sample is held out */
} split;

/* Largest remainder. Products of two counts do not overflow: both are far below 2^31 in any data
 * set that fits a machine, and long double has 64 bits where they would. */
static void share_places(split *s)
{
    int64_t given = 0;
    for (int64_t i = 0; i < s->n; i++) s->sizes[s->labels[i]]++;
    for (int64_t c = 0; c < s->classes; c++) {
        s->places[c] = (int64_t)((long double)s->sizes[c] * (long double)s->held /
                                 (long double)s->n);
        given += s->places[c];
    }
    while (given < s->held) {
        int64_t best = -1;
        long double best_rest = 0;
        for (int64_t c = 0; c < s->classes; c++) {
            long double rest = (long double)s->sizes[c] * (long double)s->held / (long double)s->n -
                               (long double)s->places[c];
            if (rest > best_rest && s->places[c] < s->sizes[c]) {
                best = c;
                best_rest = rest;
            }
        }
        CJ_ASSERT(best >= 0);
        s->places[best]++;
        given++;
    }
}

static cj_status make_views(split *s, cj_dataset **train, cj_dataset **held_out)
{
    size_t bytes = sizeof(int64_t);
    int64_t *in = cj__alloc(s->cj, (size_t)(s->n - s->held) * bytes);
    int64_t *out = in ? cj__alloc(s->cj, (size_t)s->held * bytes) : NULL;
    if (!out) {
        if (in) cj__free(s->cj, in, (size_t)(s->n - s->held) * bytes);
        return cj_last_status(s->cj);
    }
    for (int64_t i = 0, a = 0, b = 0; i < s->n; i++)
        if (s->out[i]) out[b++] = i;
        else in[a++] = i;
    *train = cj__dataset_view(s->ds, in, s->n - s->held);
    *held_out = cj__dataset_view(s->ds, out, s->held);
    if (*train && *held_out) return CJ_OK;
    cj_dataset_free(*train);
    cj_dataset_free(*held_out);
    *train = *held_out = NULL;
    return cj_last_status(s->cj);
}

static cj_status check(cj_context *cj, const cj_dataset *ds, const cj_split_opts *o)
{
    const char *name = cj_dataset_name(ds);
    if (!(o->fraction > 0 && o->fraction < 1))
        return cj_fail(cj, CJ_ERR_ARGUMENT, "split of %s: fraction=%g is not between 0 and 1", name,
                       o->fraction);
    if (ds->count < 2)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "split of %s: %lld samples cannot be cut in two", name,
                       (long long)ds->count);
    if ((unsigned)o->stratify > CJ_STRATIFY_CLASSES)
        return cj_fail(cj, CJ_ERR_ARGUMENT, "split of %s: stratify=%d is none of the choices", name,
                       (int)o->stratify);
    if (o->stratify == CJ_STRATIFY_CLASSES && cj__dataset_class_field(ds) < 0)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "split of %s: it has no target with classes to stratify by", name);
    return CJ_OK;
}

cj_status cj_dataset_split(const cj_dataset *ds, cj_dataset **train, cj_dataset **held_out,
                           const cj_split_opts *opts)
{
    *train = *held_out = NULL;
    if (!ds) return CJ_ERR_ARGUMENT;
    cj_context *cj = ds->cj;
    cj_split_opts o;
    CJ__TRY(cj__data_options(cj, "split", &o, sizeof o, opts));
    CJ__TRY(check(cj, ds, &o));
    int field = o.stratify == CJ_STRATIFY_NONE ? -1 : cj__dataset_class_field(ds);
    split s = {.cj = cj,
               .ds = ds,
               .n = ds->count,
               .classes = field < 0 ? 1 : cj_dataset_field(ds, field)->classes};
    s.held = (int64_t)((double)s.n * o.fraction + 0.5);
    if (s.held < 1) s.held = 1;
    if (s.held > s.n - 1) s.held = s.n - 1;

    cj_status failed = CJ_OK;
    cj__arena arena;
    cj__arena_init(&arena, cj);
    if (!(s.order = cj__arena_array(&arena, (size_t)s.n, sizeof *s.order)) ||
        !(s.labels = cj__arena_array(&arena, (size_t)s.n, sizeof *s.labels)) ||
        !(s.places = cj__arena_array(&arena, (size_t)s.classes, sizeof *s.places)) ||
        !(s.sizes = cj__arena_array(&arena, (size_t)s.classes, sizeof *s.sizes)) ||
        !(s.out = cj__arena_array(&arena, (size_t)s.n, sizeof *s.out))) {
        failed = cj_last_status(cj);
        goto out;
    }
    if (field >= 0) CJ__CHECK(failed = cj__dataset_classes(s.cj, s.ds, field, s.labels));
    share_places(&s);
    for (int64_t i = 0; i < s.n; i++) s.order[i] = i;
    cj__random_shuffle(o.seed, CJ__STREAM_SPLIT, 0, s.order, s.n);
    for (int64_t i = 0; i < s.n; i++) {
        int64_t *places = &s.places[s.labels[s.order[i]]];
        if (*places > 0) {
            s.out[s.order[i]] = true;
            --*places;
        }
    }
    failed = make_views(&s, train, held_out);
out:
    cj__arena_release(&arena);
    return failed;
}
