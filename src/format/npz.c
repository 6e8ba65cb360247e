/* npz.c: numpy's archives of arrays: a zip file whose members are "NAME.npy". */
#include "base/file.h"
#include "format/npy.h"
#include "format/zip.h"

static cj_status read_member(cj__zip *zip, const cj__zip_member *member, cj_tensors *list)
{
    static const char suffix[] = ".npy";
    size_t suffix_length = sizeof(suffix) - 1;
    int shown = member->name_length > 100 ? 100 : (int)member->name_length;
    if (member->name_length < suffix_length ||
        memcmp(member->name + member->name_length - suffix_length, suffix, suffix_length) != 0)
        return cj_fail(zip->cj, CJ_ERR_UNSUPPORTED, "npz: member '%.*s' is no .npy array", shown,
                       member->name);
    const unsigned char *bytes;
    cj_tensor *tensor;
    CJ__TRY(cj__zip_unpack(zip, member, &bytes));
    cj_status failed = cj_npy_read(zip->cj, bytes, member->size, &tensor);
    cj__zip_free_bytes(zip, member, bytes);
    if (failed) return cj__prefix(zip->cj, failed, "npz: member '%.*s'", shown, member->name);
    size_t length = member->name_length - suffix_length;
    char *name = cj__alloc(zip->cj, length + 1);
    if (!name) {
        cj_tensor_free(tensor);
        return zip->cj->status;
    }
    memcpy(name, member->name, length);
    failed = cj_tensors_add(list, name, tensor);
    cj__free(zip->cj, name, length + 1);
    return failed == CJ_ERR_EXISTS
               ? cj_fail(zip->cj, CJ_ERR_FORMAT, "npz: two members '%.*s'", shown, member->name)
               : failed;
}

cj_status cj_npz_read(cj_context *cj, const void *bytes, size_t size, cj_tensors **out)
{
    cj__zip zip;
    cj__zip_member member;
    bool more = true;
    *out = NULL;
    CJ__TRY(cj__zip_open(&zip, cj, bytes, size));
    cj_tensors *list = cj_tensors_new(cj);
    if (!list) return cj->status;
    cj_status failed = cj__zip_next(&zip, &member, &more);
    while (!failed && more) {
        failed = read_member(&zip, &member, list);
        if (!failed) failed = cj__zip_next(&zip, &member, &more);
    }
    if (failed) cj_tensors_free(list);
    else *out = list;
    return failed;
}

cj_status cj_npz_load(cj_context *cj, const char *path, cj_tensors **out)
{
    cj__file_bytes file;
    *out = NULL;
    CJ__TRY(cj__file_load(cj, path, 0, &file));
    cj_status failed = cj_npz_read(cj, file.data, file.size, out);
    cj__file_unload(&file);
    return failed ? cj__prefix(cj, failed, "%s", path) : CJ_OK;
}

static cj_status add_member(cj__zip_writer *zip, const char *name, const cj_tensor *t)
{
    char header[CJ__NPY_HEADER_MAX];
    if (t->dtype == CJ_STRING)
        return cj_fail(zip->cj, CJ_ERR_UNSUPPORTED, "npz: '%.100s': strings are not written", name);
    size_t header_size = cj__npy_header(t, header);
    cj__text member;
    cj__text_init(&member, zip->cj);
    cj__text_add(&member, name);
    cj__text_add(&member, ".npy");
    cj_status failed = member.failed;
    if (!failed)
        failed = cj__zip_add(zip, cj__text_string(&member), header, header_size, cj__tensor_data(t),
                             cj_tensor_size_bytes(t));
    cj__text_release(&member);
    return failed;
}

cj_status cj_npz_save(cj_context *cj, const char *path, const cj_tensors *list, bool compress)
{
    cj__writer file;
    cj__zip_writer zip;
    cj_status failed = CJ_OK;
    CJ__TRY(cj__writer_begin(&file, cj, path));
    cj__zip_begin(&zip, cj, &file, compress);
    for (size_t i = 0; i < cj_tensors_count(list) && !failed; i++) {
        const char *name;
        const cj_tensor *t = cj_tensors_at(list, i, &name);
        failed = add_member(&zip, name, t);
    }
    if (!failed) failed = cj__zip_end(&zip);
    else cj__zip_release(&zip);
    if (!failed) return cj__writer_commit(&file);
    cj__writer_abandon(&file);
    return failed;
}
