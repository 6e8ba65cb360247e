/* io.h: arrays and lists of named arrays in files that other programs read: .npy, .npz,
 * safetensors.
 *
 *     cj_tensors *list;
 *     if (cj_safetensors_load(cj, "model.safetensors", &list)) return fail(cj_message(cj));
 *     cj_tensor *w = cj_tensors_find(list, "dense.kernel");      // belongs to the list
 *     if (w) cj_npy_save(cj, "kernel.npy", w);
 *     cj_tensors_free(list);
 *
 * Files are saved whole or not at all (a temporary file, synced, renamed). Every byte that is read
 * is taken as hostile: CJ_ERR_FORMAT for bytes that are not what they claim to be,
 * CJ_ERR_UNSUPPORTED for well-formed files with types Cajal has not. On failure *out is NULL. */
#ifndef CAJAL_IO_H
#define CAJAL_IO_H

#include <cajal/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Named tensors --------------------------------------------------------------------------- */

/* A list in the order of adding, with unique names, and strings of metadata beside it. */
typedef struct cj_tensors cj_tensors;

CJ_API cj_tensors *cj_tensors_new(cj_context *cj);
/* Frees the list and its tensors. NULL is a no-op. */
CJ_API void cj_tensors_free(cj_tensors *list);
/* Takes the tensor over, even when it fails; so a tensor may be made in the call: NULL gives the
 * status of the failure that made it. CJ_ERR_EXISTS for a name that is in the list. The name is
 * copied. */
CJ_API cj_status cj_tensors_add(cj_tensors *list, const char *name, cj_tensor *tensor);
/* The tensor of that name, which belongs to the list; NULL without a message when there is none. */
CJ_API cj_tensor *cj_tensors_find(const cj_tensors *list, const char *name);
CJ_API size_t cj_tensors_count(const cj_tensors *list);
/* Number i in the order of adding, NULL past the last; its name goes to *name (may be NULL). */
CJ_API cj_tensor *cj_tensors_at(const cj_tensors *list, size_t i, const char **name);

/* A string beside the tensors (safetensors' __metadata__); replaces one with the same key. */
CJ_API cj_status cj_tensors_set_metadata(cj_tensors *list, const char *key, const char *value);
/* The string, or NULL when there is none. */
CJ_API const char *cj_tensors_metadata(const cj_tensors *list, const char *key);
CJ_API size_t cj_tensors_metadata_count(const cj_tensors *list);
/* The key of string i in the order of setting, NULL past the last; the string goes to *value. */
CJ_API const char *cj_tensors_metadata_at(const cj_tensors *list, size_t i, const char **value);

/* ---- numpy's .npy and .npz ------------------------------------------------------------------- */

/* Format versions 1 to 3, C and Fortran order, both byte orders, the types of CJ_DTYPE_LIST (what
 * numpy lacks is saved as raw bits, bf16 as u2, f8 as u1, i4 as i1, and loaded as u16, u8, i8:
 * cj_tensor_bits makes of them what they were; "U5" is
 * string, in UTF-32, and back). Texts of bytes, numpy's "S5", are u8 with one
 * axis more: rows of 5 bytes, zeros behind the text. The caller frees the tensor. */
CJ_API cj_status cj_npy_load(cj_context *cj, const char *path, cj_tensor **out);
CJ_API cj_status cj_npy_read(cj_context *cj, const void *bytes, size_t size, cj_tensor **out);
CJ_API cj_status cj_npy_save(cj_context *cj, const char *path, const cj_tensor *tensor);
/* What is in a .npy file, from its header alone. */
typedef struct cj_npy_info {
    cj_dtype dtype;
    int rank;
    int64_t shape[CJ_RANK_MAX];
    int64_t offset; /* of the first element, in bytes */
    bool plain;     /* row by row, and numbers as this machine has them: as in a tensor */
} cj_npy_info;
CJ_API cj_status cj_npy_look(cj_context *cj, const char *path, cj_npy_info *out);

/* A zip archive of .npy members, stored or (where the library was built with zlib, else
 * CJ_ERR_UNSUPPORTED) deflated; checksums are verified. The caller frees the list. */
CJ_API cj_status cj_npz_load(cj_context *cj, const char *path, cj_tensors **out);
CJ_API cj_status cj_npz_read(cj_context *cj, const void *bytes, size_t size, cj_tensors **out);
/* compress: deflate, as numpy.savez_compressed. Metadata is not saved: the format has no place for
 * it. */
CJ_API cj_status cj_npz_save(cj_context *cj, const char *path, const cj_tensors *list,
                             bool compress);

/* ---- safetensors ----------------------------------------------------------------------------- */

/* Files we write carry a CRC-32 of the header and one of each tensor (metadata keys
 * "cajal.checksum" and "crc32", kept out of the list); so every flipped bit is noticed on loading,
 * and the tensor named. Loading maps the file and copies nothing that is aligned: the file must not
 * be changed in place while the tensors live (replacing it by another is fine).
 *
 * A list may be cut into shards: the path of their index (it ends in ".json"), or of a folder with
 * a model.safetensors.index.json, loads all of them. Every name of its weight_map must be in the
 * file that it says, every tensor of the files in the map, and the files in the index's folder. */
CJ_API cj_status cj_safetensors_load(cj_context *cj, const char *path, cj_tensors **out);
/* The same from memory, with copies. */
CJ_API cj_status cj_safetensors_read(cj_context *cj, const void *bytes, size_t size,
                                     cj_tensors **out);
CJ_API cj_status cj_safetensors_save(cj_context *cj, const char *path, const cj_tensors *list);
typedef struct cj_safetensors_opts {
    size_t struct_size;
    /* At most so many bytes of tensors a file, though one tensor is never cut; 0: any. More become
     * shards: NAME.safetensors stands for NAME-00001-of-00003.safetensors ... and, written last,
     * NAME.safetensors.index.json. After a failure the folder has the old files or, where some were
     * replaced already, no index: never an index for two saves' files. */
    int64_t max_shard_bytes;
} cj_safetensors_opts;
CJ_API cj_status cj_safetensors_save_opts(cj_context *cj, const char *path, const cj_tensors *list,
                                          const cj_safetensors_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
