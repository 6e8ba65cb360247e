/* category.c: the different texts of a column as a sorted array, found by halving.
 *
 * The order is by value when all texts are numbers ("2" before "10"), else by bytes, so it is the
 * same whatever the order of the rows. Insertion moves the rest along, which is fast enough up to
 * the bound of 10,000; a column with more is no category. */
#include <string.h>

#include "data/table.h"

static int compare(const cj__categories *c, const cj__category *item, const cj__cell *cell,
                   double value)
{
    if (c->numbers) return value < item->value ? -1 : value > item->value;
    size_t shorter = cell->length < item->length ? cell->length : item->length;
    int order = shorter ? memcmp(cell->text, item->text, shorter) : 0;
    return order ? order : cell->length < item->length ? -1 : cell->length > item->length;
}

int cj__categories_find(const cj__categories *c, const cj__cell *cell, bool *found)
{
    int low = 0, high = c->count;
    double value = 0;
    *found = false;
    if (c->numbers && !cj__cell_number(cell, &value)) return 0;
    while (low < high) {
        int middle = low + (high - low) / 2, order = compare(c, &c->items[middle], cell, value);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return low;
}

cj_status cj__categories_insert(cj__categories *c, cj__arena *arena, const cj__cell *cell)
{
    bool found;
    int at = cj__categories_find(c, cell, &found);
    if (found) return CJ_OK;
    if (c->count == c->room) {
        int room = c->room ? 2 * c->room : 16;
        cj__category *items = cj__arena_array(arena, (size_t)room, sizeof *items);
        if (!items) return cj_last_status(arena->cj);
        if (c->count) memcpy(items, c->items, (size_t)c->count * sizeof *items);
        c->items = items;
        c->room = room;
    }
    cj__category item = {.text = cell->text, .length = cell->length, .rank = c->count};
    if (c->numbers) cj__cell_number(cell, &item.value);
    memmove(c->items + at + 1, c->items + at, (size_t)(c->count - at) * sizeof *c->items);
    c->items[at] = item;
    c->count++;
    return CJ_OK;
}

/* The text of a part goes with it, so it is copied. */
static cj_status add(cj__table *t, cj__categories *c, const cj__cell *cell)
{
    bool found = !t->stream;
    cj__cell kept = *cell;
    if (t->stream) cj__categories_find(c, cell, &found);
    if (!found && !(kept.text = cj__cell_text(&t->arena, cell))) return cj_last_status(t->cj);
    return t->stream && found ? CJ_OK : cj__categories_insert(c, &t->arena, &kept);
}

cj_status cj__categories_collect(cj__table *t, int column)
{
    cj__table_column *c = &t->columns[column];
    for (size_t i = 0; i < t->sample_count && !c->too_many; i++) {
        c->too_many = c->categories.count == CJ__CATEGORIES_MAX;
        if (!c->too_many)
            CJ__TRY(add(t, &c->categories, cj__table_cell(t, t->samples[i], column)));
    }
    return CJ_OK;
}

cj_status cj__categories_given(cj__table *t, const char *const *names, int n, cj__categories *out)
{
    *out = (cj__categories){.numbers = n > 0};
    for (int i = 0; i < n; i++) {
        double value;
        cj__cell cell = cj__cell_of(names[i], strlen(names[i]));
        out->numbers = out->numbers && cj__cell_number(&cell, &value) && value == value;
    }
    for (int i = 0; i < n; i++) {
        cj__cell cell = cj__cell_of(names[i], strlen(names[i]));
        int before = out->count;
        CJ__TRY(cj__categories_insert(out, &t->arena, &cell));
        if (out->count == before)
            return cj_fail(t->cj, CJ_ERR_ARGUMENT, "%s: '%s' is given twice as a category", t->name,
                           names[i]);
    }
    return CJ_OK;
}

cj_status cj__categories_count(cj__table *t, int n, cj__categories *out)
{
    *out = (cj__categories){.numbers = true};
    for (int i = 0; i < n; i++) {
        const char *digits = cj__arena_printf(&t->arena, "%d", i);
        if (!digits) return cj_last_status(t->cj);
        cj__cell cell = {.text = digits, .length = (uint32_t)strlen(digits)};
        CJ__TRY(cj__categories_insert(out, &t->arena, &cell));
    }
    return CJ_OK;
}
