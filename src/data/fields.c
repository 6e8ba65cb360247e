/* fields.c: the descriptions of a data set's fields, checked and copied with all their texts. */
#include "data/dataset.h"

#include <string.h>

#include "base/size.h"

enum { FIELDS_MAX = 1024, COLUMNS_MAX = 1 << 16, BOX = 5 };

static cj_status copy_texts(cj__arena *arena, const char *const *from, int n,
                            const char *const **to)
{
    const char **copy = cj__arena_array(arena, (size_t)n, sizeof *copy);
    if (!copy) return cj_last_status(arena->cj);
    for (int i = 0; i < n; i++)
        if (!(copy[i] = cj__arena_strdup(arena, from[i]))) return cj_last_status(arena->cj);
    *to = copy;
    return CJ_OK;
}

static cj_status copy_columns(cj__arena *arena, cj_field *field)
{
    cj_column *columns = cj__arena_array(arena, (size_t)field->columns, sizeof *columns);
    if (!columns) return cj_last_status(arena->cj);
    for (int i = 0; i < field->columns; i++) {
        columns[i] = field->column_info[i];
        if (!(columns[i].name = cj__arena_strdup(arena, columns[i].name)))
            return cj_last_status(arena->cj);
        if (columns[i].categories > 0)
            CJ__TRY(copy_texts(arena, columns[i].category_names, columns[i].categories,
                               &columns[i].category_names));
    }
    field->column_info = columns;
    return CJ_OK;
}

bool cj__is_integer(cj_dtype dtype)
{
    cj_dtype_kind kind = cj_dtype_info(dtype)->kind;
    return kind == CJ_KIND_SIGNED || kind == CJ_KIND_UNSIGNED;
}

static cj_status check_columns(cj_context *cj, const cj_field *field)
{
    if (field->columns < 0 || field->columns > COLUMNS_MAX ||
        (field->columns > 0 && !field->column_info))
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "data set: field '%s' has %d columns without a description", field->name,
                       field->columns);
    if (field->columns > 0 && (field->rank != 1 || field->shape[0] != field->columns))
        return cj_fail(cj, CJ_ERR_SHAPE,
                       "data set: field '%s' has %d columns, so its shape must be [%d]",
                       field->name, field->columns, field->columns);
    for (int i = 0; i < field->columns; i++) {
        const cj_column *column = &field->column_info[i];
        bool bad = !column->name || column->categories < 0 ||
                   (column->categories > 0 && !column->category_names);
        for (int k = 0; !bad && k < column->categories; k++) bad = !column->category_names[k];
        if (bad)
            return cj_fail(cj, CJ_ERR_ARGUMENT, "data set: column %d of field '%s' lacks its names",
                           i, field->name);
    }
    return CJ_OK;
}

/* What the numbers of a field are decides which type and shape they have. */
static cj_status check_kind(cj_context *cj, const cj_field *field)
{
    const char *dtype = cj_dtype_info(field->dtype)->name;
    if (field->kind == CJ_FIELD_BOXES) {
        if (field->dtype == CJ_F32 && field->rank == 2 && field->shape[1] == BOX && field->classes)
            return CJ_OK;
        return cj_fail(cj, CJ_ERR_TYPE,
                       "data set: field '%s' has boxes, so it must be f32 [most, %d] with classes, "
                       "not %s of rank %d",
                       field->name, BOX, dtype, field->rank);
    }
    if (field->kind == CJ_FIELD_MASK) {
        if (field->dtype == CJ_I32 && field->rank == 2 && field->classes) return CJ_OK;
        return cj_fail(cj, CJ_ERR_TYPE,
                       "data set: field '%s' is a mask, so it must be i32 [height, width] with "
                       "classes, not %s of rank %d",
                       field->name, dtype, field->rank);
    }
    if (!field->classes || (cj__is_integer(field->dtype) && field->rank == 0)) return CJ_OK;
    return cj_fail(
        cj, CJ_ERR_TYPE,
        "data set: field '%s' has classes, so it must be an integer scalar, not %s of rank %d",
        field->name, dtype, field->rank);
}

static cj_status check_field(cj_context *cj, const cj_field *field, int i)
{
    if (!field->name || !field->name[0])
        return cj_fail(cj, CJ_ERR_ARGUMENT, "data set: field %d has no name", i);
    if (field->dtype <= CJ_DTYPE_NONE || field->dtype >= CJ_DTYPE_COUNT)
        return cj_fail(cj, CJ_ERR_TYPE, "data set: field '%s' has no dtype", field->name);
    if (field->rank < 0 || field->rank >= CJ_RANK_MAX)
        return cj_fail(cj, CJ_ERR_SHAPE, "data set: field '%s' has rank %d; a sample has 0 to %d",
                       field->name, field->rank, CJ_RANK_MAX - 1);
    if (field->classes < 0 || field->classes > CJ__CLASSES_MAX)
        return cj_fail(cj, CJ_ERR_ARGUMENT,
                       "data set: field '%s' has %d classes; 0 to %d are possible", field->name,
                       field->classes, CJ__CLASSES_MAX);
    CJ__TRY(check_kind(cj, field));
    for (int k = 0; field->class_names && k < field->classes; k++)
        if (!field->class_names[k])
            return cj_fail(cj, CJ_ERR_ARGUMENT, "data set: class %d of field '%s' has no name", k,
                           field->name);
    return check_columns(cj, field);
}

cj_status cj__fields_copy(cj_dataset *ds, int n, const cj_field *fields)
{
    if (n < 1 || n > FIELDS_MAX || !fields)
        return cj_fail(ds->cj, CJ_ERR_ARGUMENT, "data set: %d fields; 1 to %d are possible", n,
                       FIELDS_MAX);
    ds->fields = cj__arena_array(&ds->arena, (size_t)n, sizeof *ds->fields);
    ds->item_bytes = cj__arena_array(&ds->arena, (size_t)n, sizeof *ds->item_bytes);
    if (!ds->fields || !ds->item_bytes) return cj_last_status(ds->cj);
    ds->field_count = n;
    for (int i = 0; i < n; i++) {
        cj_field *field = &ds->fields[i];
        *field = fields[i];
        CJ__TRY(check_field(ds->cj, field, i));
        for (int k = 0; k < i; k++)
            if (!strcmp(fields[k].name, field->name))
                return cj_fail(ds->cj, CJ_ERR_ARGUMENT,
                               "data set: fields %d and %d are both called '%s'", k, i,
                               field->name);
        int64_t items;
        if (!cj__count(field->rank, field->shape, &items) ||
            !cj__bytes(items, cj_dtype_info(field->dtype)->bits, &ds->item_bytes[i]))
            return cj_fail(ds->cj, CJ_ERR_SHAPE,
                           "data set: a sample of field '%s' has an impossible size", field->name);
        if (!(field->name = cj__arena_strdup(&ds->arena, field->name)))
            return cj_last_status(ds->cj);
        if (field->class_names && field->classes > 0)
            CJ__TRY(
                copy_texts(&ds->arena, field->class_names, field->classes, &field->class_names));
        else field->class_names = NULL;
        if (field->columns > 0) CJ__TRY(copy_columns(&ds->arena, field));
        else field->column_info = NULL;
    }
    return CJ_OK;
}
