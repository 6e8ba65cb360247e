/* classes.c: which class each sample of a data set is of. */
#include "data/dataset.h"

int cj__dataset_class_field(const cj_dataset *ds)
{
    for (int i = 0; i < cj_dataset_fields(ds); i++) {
        const cj_field *field = cj_dataset_field(ds, i);
        if (field->role == CJ_FIELD_TARGET && field->classes > 0 && field->kind == CJ_FIELD_VALUES)
            return i;
    }
    return -1;
}

cj_status cj__dataset_classes(cj_context *cj, const cj_dataset *ds, int field, int32_t *labels)
{
    const cj_field *info = cj_dataset_field(ds, field);
    for (int64_t i = 0; i < ds->count; i++) {
        uint64_t value; /* room for any integer dtype */
        CJ__TRY(cj__dataset_read(cj, ds, &i, 1, field, &value));
        const int64_t label = cj_load_i64(info->dtype, &value, 0);
        if (label < 0 || label >= info->classes)
            return cj_fail(cj, CJ_ERR_DATA,
                           "%s: %s of sample %lld is %lld; with %d classes it must be 0 to %d",
                           cj_dataset_name(ds), info->name, (long long)i, (long long)label,
                           info->classes, info->classes - 1);
        labels[i] = (int32_t)label;
    }
    return CJ_OK;
}
