/* balance.c: an epoch in which every class comes as often as every other.
 *
 * Each class is dealt from its own pack, shuffled, over the epochs without a break: a pack that is
 * used up is shuffled anew. So all samples of a class are seen before one is seen again, and an
 * epoch can still be told from seed and number alone: in epoch e a class of size m has its cards
 * e q to e q + q - 1, card c being number c mod m of shuffle c / m.
 *
 *     samples of a: 0 1 2 3 4 5, of b: 6 7, epochs of 8, q = 4
 *     a    3 0 5 1 | 2 4, 5 3 | ...
 *     b    7 6, 6 7 | 6 7, 7 6 | ...
 *
 * What 8 lacks of a multiple of the classes goes to the first ones, another in every epoch. */
#include <string.h>

#include "base/random.h"
#include "data/dataset.h"

static cj_status count_classes(cj__balance *b, cj__arena *arena, int32_t *labels, int classes)
{
    int64_t *sizes = cj__arena_array(arena, (size_t)classes, sizeof *sizes);
    int32_t *place = cj__arena_array(arena, (size_t)classes, sizeof *place);
    b->starts = cj__arena_array(arena, (size_t)classes + 1, sizeof *b->starts);
    if (!sizes || !place || !b->starts) return CJ_ERR_MEMORY;
    for (int64_t i = 0; i < b->count; i++) sizes[labels[i]]++;
    for (int c = 0; c < classes; c++) {
        if (!sizes[c]) continue;
        place[c] = b->classes++;
        b->starts[b->classes] = b->starts[b->classes - 1] + sizes[c];
    }
    int64_t *next = sizes; /* where the next of each class goes */
    for (int c = 0; c < classes; c++)
        if (sizes[c]) next[c] = b->starts[place[c]];
    for (int64_t i = 0; i < b->count; i++) b->members[next[labels[i]]++] = i;
    return CJ_OK;
}

cj_status cj__balance_init(cj__balance *b, cj__arena *arena, const cj_dataset *ds)
{
    const int field = cj__dataset_class_field(ds);
    *b = (cj__balance){.count = ds->count};
    if (field < 0)
        return cj_fail(arena->cj, CJ_ERR_ARGUMENT,
                       "loader: %s has no target with classes, so it cannot be balanced",
                       cj_dataset_name(ds));
    int32_t *labels = cj__arena_array(arena, (size_t)b->count, sizeof *labels);
    b->members = cj__arena_array(arena, (size_t)b->count, sizeof *b->members);
    b->scratch = cj__arena_array(arena, (size_t)b->count, sizeof *b->scratch);
    if (!labels || !b->members || !b->scratch) return CJ_ERR_MEMORY;
    CJ__TRY(cj__dataset_classes(arena->cj, ds, field, labels));
    return count_classes(b, arena, labels, cj_dataset_field(ds, field)->classes);
}

/* n cards of a class from card `first` on. */
static int64_t *deal(const cj__balance *b, int class, uint64_t seed, int64_t first, int64_t n,
                     int64_t *out)
{
    const int64_t *members = b->members + b->starts[class];
    const int64_t size = b->starts[class + 1] - b->starts[class];
    while (n > 0) {
        const int64_t shuffle = first / size, from = first % size;
        const int64_t some = n < size - from ? n : size - from;
        memcpy(b->scratch, members, (size_t)size * sizeof *members);
        cj__random_shuffle(seed ^ (uint64_t)shuffle >> 32, CJ__STREAM_BALANCE + (uint32_t)class,
                           (uint32_t)shuffle, b->scratch, size);
        memcpy(out, b->scratch + from, (size_t)some * sizeof *out);
        out += some;
        first += some;
        n -= some;
    }
    return out;
}

/* How many a class has had in the epochs before: q each, and one more in those where it was among
 * the `rest` that are lucky, from class (e rest) mod classes on. */
static int64_t dealt_before(const cj__balance *b, int class, int64_t epoch)
{
    const int64_t k = b->classes, q = b->count / k, rest = b->count % k;
    const int64_t all = epoch * rest; /* lucky places so far, dealt round and round */
    return epoch * q + all / k + (class < all % k);
}

void cj__balance_draw(const cj__balance *b, uint64_t seed, int64_t epoch, int64_t *out)
{
    for (int class = 0; class < b->classes; class++) {
        const int64_t before = dealt_before(b, class, epoch);
        out = deal(b, class, seed, before, dealt_before(b, class, epoch + 1) - before, out);
    }
}
