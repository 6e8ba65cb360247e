/* load.c: files of Keras, by what is in them. */
#include "format/keras/keras.h"

#include <string.h>

#include "format/zip.h"

bool cj__keras_is_h5(const void *bytes, size_t size) { return cj__hdf5_is(bytes, size); }

bool cj__keras_is_archive(const void *bytes, size_t size)
{
    return size > 4 && !memcmp(bytes, "PK\3\4", 4);
}

/* Is there a layer in it that takes texts apart? Models in models are at most 64 deep. */
static bool splits_texts(const cj__keras_model *m)
{
    bool splits = false;
    for (int i = 0; i < m->n_layers; i++)
        splits |= m->layers[i].model ? splits_texts(m->layers[i].model)
                                     : !strcmp(m->layers[i].kind, "TextVectorization");
    return splits;
}

/* From a configuration to a model with its weights. */
static cj_status read_model(cj__keras *k, const char *json, size_t size, const cj__json *training,
                            cj_model **out)
{
    const cj__json *root;
    cj__keras_model *model;
    k->most = 1024 + (int64_t)(size / 8);
    cj_node **y;
    int n;
    CJ__TRY(cj__json_parse(k->arena, "the model's configuration", json, size, NULL, &root));
    const char *kind = cj__keras_string(root, "class_name");
    const cj__json *config = cj__json_find(root, "config");
    if (!kind || !config)
        return cj_fail(k->cj, CJ_ERR_DATA, "the model's configuration: no class_name or config");
    CJ__TRY(cj__keras_read_model(k, kind, config, "", &model));
    k->bytes = splits_texts(model);
    if (k->bytes) CJ__TRY(cj__keras_check_widths(k, model));
    if (!(k->m = cj_model_new(k->cj))) return cj_last_status(k->cj);
    k->m->imported = true;
    k->g = cj_model_graph(k->m);
    cj_graph_set_name(k->g, cj__keras_string(config, "name"));
    cj_model_set_dtype(k->m, cj__keras_dtype(model));
    cj__layers *layers = cj__layers_of(k->g);
    layers->bounded = true;
    layers->room = k->room + 65536; /* a few too many have a better message */
    cj_status failed = cj__keras_build_model(k, model, NULL, 0, &y, &n);
    for (int i = 0; !failed && i < n; i++) {
        const cj__keras_layer *last = &model->layers[model->n_layers - 1];
        const cj__keras_layer *of = model->sequential ? last : model->outputs[i].layer;
        char name[120];
        bool again = false;
        for (int j = 0; j < i; j++) again |= model->outputs[j].layer == of;
        cj__format(name, sizeof name, again ? "%.90s_%d" : "%.90s", of->name, i);
        cj_output(k->m, name, y[i]);
        failed = k->g->failed;
    }
    cj_layer_scope(k->g, NULL);
    layers->bounded = false;
    if (!training) training = cj__json_find(root, "compile_config");
    if (!failed) failed = cj__keras_read_training(k, training);
    if (!failed && !k->bare) failed = cj__keras_set_weights(k, model);
    if (failed) cj_model_free(k->m);
    else *out = k->m;
    return failed;
}

/* "2.13.1": 2. Files of Keras 1 may say nothing. */
static int major(const char *version)
{
    return version && *version >= '1' && *version <= '9' ? *version - '0' : 1;
}

static cj_status text_of(cj__keras *k, const cj__hdf5_object *of, const char *name,
                         const char **text, size_t *length)
{
    const cj__hdf5_value *v = cj__hdf5_attribute_of(of, name);
    *text = NULL;
    return v ? cj__hdf5_text(&k->file, v, 0, text, length) : CJ_OK;
}

static cj_status read_h5(cj__keras *k, const void *bytes, size_t size, cj_model **out)
{
    const char *json, *version, *backend, *how;
    size_t length, unused;
    CJ__TRY(cj__hdf5_open(&k->file, k->arena, bytes, size, NULL));
    k->room = k->file.elements;
    CJ__TRY(text_of(k, k->file.root, "model_config", &json, &length));
    if (!json)
        return cj_fail(k->cj, CJ_ERR_DATA,
                       "an HDF5 file without the attribute model_config: %s",
                       cj__hdf5_attribute_of(k->file.root, "layer_names")
                           ? "it holds weights alone (save_weights), not the model they are of"
                           : "Keras did not write a model into it");
    CJ__TRY(text_of(k, k->file.root, "keras_version", &version, &unused));
    k->version = major(version);
    CJ__TRY(text_of(k, k->file.root, "backend", &backend, &unused));
    k->theano = backend && !strcmp(backend, "theano");
    k->weights = cj__hdf5_find(k->file.root, "model_weights");
    const cj__json *training = NULL;
    CJ__TRY(text_of(k, k->file.root, "training_config", &how, &unused));
    if (how)
        CJ__TRY(cj__json_parse(k->arena, "training_config", how, unused, NULL, &training));
    return read_model(k, json, length, training, out);
}

/* What is read of an archive. */
typedef struct members {
    cj__zip zip;
    cj__zip_member config, metadata, weights;
    const unsigned char *config_bytes, *metadata_bytes, *weights_bytes;
} members;

static bool is_called(const cj__zip_member *m, const char *name)
{
    return m->name_length == strlen(name) && !memcmp(m->name, name, m->name_length);
}

static cj_status find_members(members *a)
{
    cj__zip_member m;
    bool more;
    for (;;) {
        CJ__TRY(cj__zip_next(&a->zip, &m, &more));
        if (!more) return CJ_OK;
        if (is_called(&m, "config.json")) a->config = m;
        if (is_called(&m, "metadata.json")) a->metadata = m;
        if (is_called(&m, "model.weights.h5")) a->weights = m;
    }
}

cj_status cj__keras_vocabulary(cj__keras *k, const char *path, char **out)
{
    cj__zip zip;
    cj__zip_member m;
    bool more = k->archive != NULL;
    const char *name = cj__arena_printf(k->arena, "assets/%s/vocabulary.txt", path);
    *out = NULL;
    if (!name) return CJ_ERR_MEMORY;
    if (!more) return CJ_OK;
    CJ__TRY(cj__zip_open(&zip, k->cj, k->archive, k->archive_size));
    for (;;) {
        const unsigned char *bytes;
        CJ__TRY(cj__zip_next(&zip, &m, &more));
        if (!more) return CJ_OK;
        if (!is_called(&m, name)) continue;
        CJ__TRY(cj__zip_unpack(&zip, &m, &bytes));
        if ((*out = cj__arena_alloc(k->arena, m.size + 1))) memcpy(*out, bytes, m.size);
        cj__zip_free_bytes(&zip, &m, bytes);
        return *out ? CJ_OK : CJ_ERR_MEMORY;
    }
}

static cj_status read_archive(cj__keras *k, members *a, cj_model **out)
{
    const cj__json *metadata = NULL;
    CJ__TRY(find_members(a));
    if (!a->config.name)
        return cj_fail(k->cj, CJ_ERR_DATA,
                       "a zip archive without config.json: it is no model of Keras");
    CJ__TRY(cj__zip_unpack(&a->zip, &a->config, &a->config_bytes));
    k->version = 3;
    if (a->metadata.name) {
        CJ__TRY(cj__zip_unpack(&a->zip, &a->metadata, &a->metadata_bytes));
        CJ__TRY(cj__json_parse(k->arena, "metadata.json", a->metadata_bytes, a->metadata.size, NULL,
                               &metadata));
        k->version = major(cj__keras_string(metadata, "keras_version"));
    }
    if (a->weights.name) {
        CJ__TRY(cj__zip_unpack(&a->zip, &a->weights, &a->weights_bytes));
        CJ__TRY(cj__hdf5_open(&k->file, k->arena, a->weights_bytes, a->weights.size, NULL));
        k->room = k->file.elements;
        k->weights = k->file.root;
        k->by_path = true;
    }
    return read_model(k, (const char *)a->config_bytes, a->config.size, NULL, out);
}

/* Bytes of one of the three kinds of files. */
typedef cj_status (*reading)(cj__keras *k, const void *bytes, size_t size, cj_model **out);

static cj_status read_any(cj__keras k, const void *bytes, size_t size, reading read, cj_model **out)
{
    cj__arena arena;
    *out = NULL;
    cj__arena_init(&arena, k.cj);
    k.arena = &arena;
    cj_status failed = read(&k, bytes, size, out);
    cj__arena_release(&arena);
    return failed;
}

static cj_status read_config(cj__keras *k, const void *json, size_t size, cj_model **out)
{
    return read_model(k, json, size, NULL, out);
}

static cj_status read_zip(cj__keras *k, const void *bytes, size_t size, cj_model **out)
{
    members a = {.config_bytes = NULL};
    cj_status failed = cj__zip_open(&a.zip, k->cj, bytes, size);
    k->archive = bytes, k->archive_size = size;
    if (!failed) failed = read_archive(k, &a, out);
    if (a.config_bytes) cj__zip_free_bytes(&a.zip, &a.config, a.config_bytes);
    if (a.metadata_bytes) cj__zip_free_bytes(&a.zip, &a.metadata, a.metadata_bytes);
    if (a.weights_bytes) cj__zip_free_bytes(&a.zip, &a.weights, a.weights_bytes);
    return failed;
}

cj_status cj__keras_read_config(cj_context *cj, const void *json, size_t size, int version,
                                cj_model **out)
{
    const cj__keras k = {.cj = cj, .version = version, .bare = true, .room = 1 << 20};
    return read_any(k, json, size, read_config, out);
}

cj_status cj__keras_read_h5(cj_context *cj, const void *bytes, size_t size, cj_model **out)
{
    return read_any((cj__keras){.cj = cj}, bytes, size, read_h5, out);
}

cj_status cj__keras_read_archive(cj_context *cj, const void *bytes, size_t size, cj_model **out)
{
    return read_any((cj__keras){.cj = cj}, bytes, size, read_zip, out);
}
