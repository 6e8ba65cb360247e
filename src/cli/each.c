/* each.c: samples one by one, and what the model says of them. One that was read with the values of
 * a sample is read anew for the next; another has a session, which plans for each size once.
 *
 * A picture goes through the preparation that any model of pictures gets: a model of one input is
 * made for its size. Three outputs, boxes [n, 4], as many scores and as many whole numbers, are
 * detections, with corners in pixels of what the model saw, or in shares of it when none is above
 * 1.5; other outputs are told as numbers. */
#define _POSIX_C_SOURCE 200809L
#include "cli/each.h"

#include <stdlib.h>
#include <string.h>

#include <cajal/io.h>
#include <cajal/picture.h>
#include <cajal/run.h>

#include "cli/detections.h"
#include "cli/json.h"
#include "cli/tune.h"

enum { OUTPUTS_MAX = 16 };

/* ---- Samples --------------------------------------------------------------------------------- */

cj_status cli_picture_read(cj_context *cj, const char *path, const cj_model_info *info,
                           unsigned char *to, int64_t own[2])
{
    const int64_t *shape = info->input_shape;
    cj_tensor *picture, *fitted = NULL;
    cj_status failed = cj_picture_load(
        cj, path, shape[2] == 1 ? CJ_PICTURE_GREY : CJ_PICTURE_RGB, &picture);
    if (!failed)
        failed = cj_picture_make_fit(picture, shape[0], shape[1], info->input_fit,
                                     CJ_PICTURE_BILINEAR, &fitted);
    if (!failed) memcpy(to, cj_tensor_map_read(fitted), cj_tensor_size_bytes(fitted));
    if (!failed) memcpy(own, cj_tensor_shape(picture), 2 * sizeof *own);
    cj_tensor_free(fitted);
    cj_tensor_free(picture);
    return failed;
}

/* The input of sample `at` of the data set. */
static int read_sample(const cli_each *e, void *to)
{
    return cj_dataset_read(e->data, &e->at, 1, e->field, to) ? cli_failed(e->c, e->c->cj)
                                                             : CLI_DONE;
}

static bool are_channels(cj_dim d) { return d == 1 || d == 3; }

/* Sizes that the file leaves open are those of input.size, or the picture's own; of a data set
 * (path NULL) its samples'. */
static bool find_size(const cli_each *e, const char *path, cj_dim *height, cj_dim *width)
{
    int64_t asked[2] = {0, 0};
    cj_tensor *picture = NULL;
    if (!cli_read_size(e->c, "input.size", &asked[0], &asked[1])) return false;
    if (!path) memcpy(asked, cj_dataset_field(e->data, e->field)->shape, sizeof asked);
    if (!asked[0] && (*height < 0 || *width < 0)) {
        if (cj_picture_load(e->c->cj, path, CJ_PICTURE_RGB, &picture))
            return cli_failed(e->c, e->c->cj), false;
        memcpy(asked, cj_tensor_shape(picture), sizeof asked);
        cj_tensor_free(picture);
    }
    if (*height < 0) *height = asked[0];
    if (*width < 0) *width = asked[1];
    return true;
}

/* The pixels as the model's samples have them: u8 [height, width, channels]. */
static int read_pixels(cli_each *e, const char *path, const cj_model_info *info,
                       unsigned char *to)
{
    if (path)
        return cli_picture_read(e->c->cj, path, info, to, e->size) ? cli_failed(e->c, e->c->cj)
                                                                   : CLI_DONE;
    const int64_t *has = cj_dataset_field(e->data, e->field)->shape, *wants = info->input_shape;
    if (memcmp(has, wants, 3 * sizeof *has) != 0)
        return cli_fail(e->c, CJ_ERR_SHAPE,
                        "%s: pictures of %lld x %lld with %lld channels, the model takes %lld x "
                        "%lld with %lld",
                        e->data_source, (long long)has[0], (long long)has[1], (long long)has[2],
                        (long long)wants[0], (long long)wants[1], (long long)wants[2]);
    return read_sample(e, to);
}

/* The picture through h, a model of it alone. */
static cj_tensor *prepared(cli_each *e, cj_model *h, const char *path, int64_t count)
{
    cj_model_info info;
    cj_context *cj = e->c->cj;
    const bool quiet = e->c->quiet;
    e->c->quiet = quiet || e->at > 0; /* what is assumed is told once */
    const int failed = cli_model_pictures(e->c, h, NULL);
    e->c->quiet = quiet;
    if (failed) return NULL;
    cj_model_get_info(h, &info);
    unsigned char *pixels = malloc((size_t)count + 1);
    cj_tensor *floats = pixels ? cj_tensor_new(cj, CJ_F32, 1, &count) : NULL;
    cj_session *s = floats ? cj_model_session(h) : NULL;
    void *to = s ? cj_tensor_map(floats, CJ_MAP_WRITE) : NULL;
    bool done = to && !read_pixels(e, path, &info, pixels);
    if (!to) cli_fail(e->c, CJ_ERR_MEMORY, "%s: out of memory", e->c->command->name);
    if (done && cj_predict(s, pixels, 1, to, count))
        done = false, cli_fail(e->c, CJ_ERR_DATA, "%s", cj_session_message(s));
    if (to) cj_tensor_unmap(floats);
    cj_session_free(s);
    free(pixels);
    if (done) return floats;
    cj_tensor_free(floats);
    return NULL;
}

/* [channels, height, width], channels last or not, with or without a batch of one in front. */
static cj_tensor *picture_value(cli_each *e, const cj_onnx_input *in)
{
    cli *c = e->c;
    const char *path = e->data ? NULL : e->sources[e->at];
    cj_type type = in->type;
    cj_dim *d = type.rank == 4 ? type.dim + 1 : type.dim;
    const bool first = are_channels(d[0]) || !are_channels(d[2]);
    cj_dim *channels = first ? d : d + 2, *height = first ? d + 1 : d, *width = height + 1;
    if ((type.rank != 3 && type.rank != 4) || (type.rank == 4 && type.dim[0] > 1) ||
        cj_dtype_info(type.dtype)->kind != CJ_KIND_FLOAT)
        return cli_misused(c, "%s: the model's input '%.80s' is no picture of floats",
                           c->command->name, in->name),
               NULL;
    if (*channels < 0) *channels = 3;
    if (!find_size(e, path, height, width)) return NULL;
    if (type.rank == 4) type.dim[0] = 1;
    e->saw[0] = *height;
    e->saw[1] = *width;
    const int64_t count = *channels * *height * *width;
    cj_model *h = cj_model_new(c->cj);
    cj_output(h, "picture", cj_model_input(h, "picture", 3, d));
    cj_tensor *flat = prepared(e, h, path, count), *shaped = NULL, *value = NULL;
    if (flat) shaped = cj_tensor_reshape(flat, type.rank, type.dim);
    if (shaped) value = cj_tensor_cast(shaped, type.dtype);
    if (flat && !value) cli_failed(c, c->cj);
    cj_tensor_free(shaped);
    cj_tensor_free(flat);
    cj_model_free(h);
    return value;
}

/* Sample `at` of an array [n, sample...]; an array of the input's rank without a batch, or of one
 * axis less than with one, is a sample alone. */
static cj_tensor *array_value(cli_each *e, const cj_onnx_input *in)
{
    cli *c = e->c;
    const char *source = e->data ? e->data_source : e->sources[0];
    if (!e->all && cj_npy_load(c->cj, source, &e->all)) return cli_failed(c, c->cj), NULL;
    const int rank = cj_tensor_rank(e->all), wanted = in->type.rank;
    const int64_t *shape = cj_tensor_shape(e->all);
    const bool batch = wanted > 0 && (in->type.dim[0] < 0 || in->type.dim[0] == 1);
    int64_t dims[CJ_RANK_MAX] = {1};
    if (wanted < 0 || (rank != wanted && rank != wanted + 1 && !(batch && rank == wanted - 1)))
        return cli_fail(c, CJ_ERR_SHAPE,
                        "%s: the model's input '%.80s' has %d axes, found an array "
                        "of %d",
                        source, in->name, wanted, rank),
               NULL;
    const bool many = rank == wanted + 1 || (rank == wanted && batch);
    const int skip = many ? 1 : 0, ones = wanted - (rank - skip);
    for (int i = skip; i < rank; i++) dims[ones + i - skip] = shape[i];
    const int64_t at = e->data ? 0 : e->at;
    if (!e->data) e->n = many ? shape[0] : 1;
    if (e->n < 1) return cli_fail(c, CJ_ERR_DATA, "%s: no samples", source), NULL;
    cj_tensor *rows = many ? cj_tensor_rows(e->all, at, at + 1) : NULL, *value = NULL;
    cj_tensor *sample = cj_tensor_reshape(many ? rows : e->all, wanted, dims);
    if (sample) value = cj_tensor_cast(sample, in->type.dtype);
    if (!value) cli_failed(c, c->cj);
    cj_tensor_free(sample);
    cj_tensor_free(rows);
    return value;
}

/* The field for the model's input: of its name, or the only one. */
static int find_field(cli_each *e, const char *name)
{
    int first = -1, n = 0;
    for (int i = cj_dataset_fields(e->data) - 1; i >= 0; i--) {
        if (cj_dataset_field(e->data, i)->role != CJ_FIELD_INPUT) continue;
        first = i;
        n++;
    }
    e->field = cj_dataset_field_find(e->data, name);
    if (e->field < 0 && n == 1) e->field = first;
    if (e->field >= 0) return CLI_DONE;
    return cli_fail(e->c, CJ_ERR_NOT_FOUND, "%s has no field for the model's input '%.80s'",
                    e->data_source, name);
}

/* Opened for pictures of the size that the model takes, where it says one. */
static int open_data(cli_each *e, const cj_onnx_input *in)
{
    const cj_dim *d = in->type.rank == 4 ? in->type.dim + 1 : in->type.dim;
    const bool first = in->type.rank >= 3 && (are_channels(d[0]) || !are_channels(d[2]));
    cj_model_info info = {.input_dtype = CJ_U8, .input_rank = 3};
    cli_data_opts o = e->data_opts;
    if (in->type.rank == 3 || in->type.rank == 4) {
        info.input_shape[0] = d[first];
        info.input_shape[1] = d[first + 1];
        info.input_shape[2] = d[first ? 0 : 2] == 1 ? 1 : 3;
        if (!cli_read_size(e->c, "input.size", &info.input_shape[0], &info.input_shape[1]))
            return e->c->status;
        if (cli_takes_pictures(&info)) o.info = &info;
    }
    e->data = (cli_data_open)(e->c, e->data_source, &o);
    if (!e->data || find_field(e, in->name)) return e->c->status;
    e->n = cj_dataset_count(e->data);
    return e->n > 0 ? CLI_DONE : cli_fail(e->c, CJ_ERR_DATA, "%s: no samples", e->data_source);
}

/* Sample `at` of the data set. */
static cj_tensor *data_value(cli_each *e, const cj_onnx_input *in)
{
    if (!e->data && open_data(e, in)) return NULL;
    const cj_field *f = cj_dataset_field(e->data, e->field);
    int64_t shape[CJ_RANK_MAX] = {1};
    if (cli_is_picture(f->dtype, f->rank, f->shape) &&
        cj_dtype_info(in->type.dtype)->kind == CJ_KIND_FLOAT)
        return picture_value(e, in);
    for (int i = 0; i < f->rank; i++) shape[i + 1] = f->shape[i];
    cj_tensor_free(e->all);
    e->all = cj_tensor_new(e->c->cj, f->dtype, f->rank + 1, shape);
    void *to = e->all ? cj_tensor_map(e->all, CJ_MAP_WRITE) : NULL;
    if (!to) return cli_failed(e->c, e->c->cj), NULL;
    const int failed = read_sample(e, to);
    cj_tensor_unmap(e->all);
    return failed ? NULL : array_value(e, in);
}

cj_status cli_each_value(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                         const cj_tensor **values)
{
    cli_each *e = user;
    (void)g;
    e->asked = true;
    if (n != 1) {
        cli_misused(e->c,
                    "%s: %.300s: shapes depend on the values of the model's %d inputs: it takes "
                    "samples of one input; cajal run takes any",
                    e->c->command->name, e->path, n);
        return CJ_ERR_UNSUPPORTED;
    }
    cj_tensor_free(e->value);
    if (e->pictures || e->array) e->n = e->n_sources;
    e->value = e->pictures ? picture_value(e, inputs)
               : e->array  ? array_value(e, inputs)
                           : data_value(e, inputs);
    values[0] = e->value;
    return e->value ? CJ_OK : CJ_ERR_DATA;
}

bool cli_each_wants(const cli_each *e, const cj_model *m)
{
    const cj_graph *g = cj_model_graph((cj_model *)(uintptr_t)m);
    bool open = false;
    for (int i = 0; i < cj_graph_output_count(g); i++) {
        const cj_type *y = cj_node_type(cj_graph_output_at(g, i));
        for (int k = 1; k < y->rank; k++) open = open || y->dim[k] < 0;
    }
    return e->asked || (open && cj_graph_input_count(g) == 1 && (e->pictures || e->array));
}

/* The value of sample `at` for a model that is not read for it. */
static int next_value(cli_each *e, cj_model *m)
{
    const cj_tensor *value;
    cj_node *x = cj_graph_input_at(cj_model_graph(m), 0);
    const cj_onnx_input in = {.name = cj_node_name(x), .type = *cj_node_type(x)};
    const bool asked = e->asked;
    cli_each_value(e, NULL, 1, &in, &value);
    e->asked = asked;
    return e->c->status;
}

static void close_session(cli_each *e)
{
    cj_session_free(e->session);
    cj_program_free(e->program);
    e->session = NULL;
    e->program = NULL;
}

void cli_each_release(cli_each *e)
{
    cj_tensor_free(e->all);
    cj_tensor_free(e->value);
}

/* ---- What the model says --------------------------------------------------------------------- */

typedef struct said {
    cj_graph *g;
    int n;
    cj_tensor *at[OUTPUTS_MAX];
} said;

static int run(cli_each *e, cj_model *m, said *s)
{
    cli *c = e->c;
    s->g = cj_model_graph(m);
    s->n = cj_graph_output_count(s->g);
    if (s->n > OUTPUTS_MAX)
        return cli_fail(c, CJ_ERR_LIMIT, "%s: %d outputs; cajal run takes any number",
                        c->command->name, s->n);
    if (!e->session) {
        e->program = cj_compile(s->g, .training = false);
        e->session = e->program ? cj_session_new(e->program, cj_model_store(m)) : NULL;
    }
    const cj_feed feed = {cj_graph_input_at(s->g, 0), e->value};
    if (!e->session) cli_failed(c, c->cj);
    else if (cj_run(e->session, &feed, 1, s->at, s->n))
        cli_fail(c, CJ_ERR_DATA, "%s", cj_session_message(e->session));
    return c->status;
}

static double number(const cj_tensor *t, int64_t i)
{
    return cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), (size_t)i);
}

typedef struct found {
    const cj_tensor *boxes, *scores, *labels; /* NULL: no detections */
    int64_t n;
} found;

static found find_detections(const said *s)
{
    found f = {0};
    for (int i = 0; i < s->n; i++) {
        const cj_tensor *t = s->at[i];
        const int rank = cj_tensor_rank(t);
        if (rank > 1 && cj_tensor_shape(t)[rank - 1] == 4 &&
            cj_dtype_info(cj_tensor_dtype(t))->kind == CJ_KIND_FLOAT)
            f.boxes = t, f.n = cj_tensor_count(t) / 4;
    }
    for (int i = 0; f.boxes && i < s->n; i++) {
        const cj_tensor *t = s->at[i];
        const bool real = cj_dtype_info(cj_tensor_dtype(t))->kind == CJ_KIND_FLOAT;
        if (t == f.boxes || cj_tensor_count(t) != f.n) continue;
        if (real) f.scores = t;
        else f.labels = t;
    }
    if (!f.scores || !f.labels) f.boxes = NULL;
    return f;
}

static void print_detections(const cli_each *e, cli_json *j, const found *f)
{
    const cj_model_info info = {.input_rank = 3, .input_shape = {e->saw[0], e->saw[1], 3}};
    const char *path = e->pictures ? e->sources[e->at] : NULL;
    const double least = cli_float(e->c, "score");
    bool shares = true;
    for (int64_t i = 0; i < 4 * f->n; i++) shares = shares && number(f->boxes, i) <= 1.5;
    if (j) cli_json_list(j, "detections");
    for (int64_t i = 0; i < f->n; i++) {
        cj_detection d = {.score = number(f->scores, i), .label = (int)number(f->labels, i)};
        if (!(d.score >= least)) continue;
        for (int k = 0; k < 4; k++) {
            d.box[k] = number(f->boxes, 4 * i + k);
            if (path && !shares) d.box[k] /= (double)e->saw[k % 2 ? 0 : 1];
        }
        if (path) cli_detection_in_file(&info, e->size, d.box);
        cli_print_detection(e->c, j, &info, path, e->at, &d);
    }
    if (j) cli_json_end(j);
}

static void print_numbers(const cli_each *e, cli_json *j, const said *s)
{
    FILE *to = e->c->out;
    if (j) cli_json_list(j, "outputs");
    for (int i = 0; i < s->n; i++) {
        const cj_tensor *t = s->at[i];
        const char *name = cj_graph_output_name(s->g, i);
        if (j) {
            cli_json_object(j, NULL);
            cli_json_string(j, "name", name);
            cli_json_list(j, "shape");
            for (int k = 0; k < cj_tensor_rank(t); k++)
                cli_json_int(j, NULL, cj_tensor_shape(t)[k]);
            cli_json_end(j);
            cli_json_list(j, "values");
        } else if (e->pictures) fprintf(to, "%s\t", e->sources[e->at]);
        if (!j && s->n > 1) fprintf(to, "%s", name ? name : "");
        for (int64_t k = 0; k < cj_tensor_count(t); k++) {
            if (j) cli_json_number(j, NULL, number(t, k));
            else fprintf(to, "%s%.7g", k || s->n > 1 ? "\t" : "", number(t, k));
        }
        if (j) cli_json_end(j), cli_json_end(j);
        else fputc('\n', to);
    }
    if (j) cli_json_end(j);
}

static void print_sample(const cli_each *e, cli_json *j, const said *s)
{
    const found f = find_detections(s);
    if (j) cli_json_object(j, NULL);
    if (j && e->pictures) cli_json_string(j, "picture", e->sources[e->at]);
    if (f.boxes) print_detections(e, j, &f);
    else print_numbers(e, j, s);
    if (j) cli_json_end(j);
}

/* Frees what was said of a sample; the model for the next one, NULL behind the last. */
static cj_model *next(cli_each *e, cj_model *m, said *s, int64_t limit)
{
    for (int i = 0; i < s->n && i < OUTPUTS_MAX; i++) cj_tensor_free(s->at[i]);
    e->c->quiet = true; /* what was assumed is told */
    const bool more = !e->c->status && ++e->at < e->n && (!limit || e->at < limit);
    if (more && !e->asked && !next_value(e, m)) return m;
    close_session(e);
    cj_model_free(m);
    return more && e->asked ? cli_model_open(e->c, e->path, false, cli_each_value, e) : NULL;
}

int cli_each_predict(cli_each *e, cj_model *m)
{
    cli *c = e->c;
    cli_json j = {.to = c->out}, *to = c->json ? &j : NULL;
    const int64_t limit = cli_int(c, "limit");
    if (cli_string(c, "grid") || cli_string(c, "draw"))
        return cj_model_free(m),
               cli_misused(c,
                           "predict: grid and draw are for models whose results are of one size");
    const bool quiet = c->quiet;
    if (!e->asked && next_value(e, m)) return cj_model_free(m), c->status;
    while (m && !c->status) {
        said s = {0};
        if (!run(e, m, &s)) {
            if (to && !e->at) {
                cli_json_object(to, NULL);
                cli_json_string(to, "model", e->path);
                cli_json_list(to, "predictions");
            }
            print_sample(e, to, &s);
        }
        m = next(e, m, &s, limit);
    }
    close_session(e);
    c->quiet = quiet;
    cj_model_free(m);
    if (to && e->at) {
        cli_json_end(to);
        cli_json_end(to);
        cli_json_line(to);
    }
    return c->status;
}

/* ---- Answers as data ------------------------------------------------------------------------- */

enum { FIELDS_MAX = OUTPUTS_MAX + 16 };

typedef struct answers { /* the outputs, then what they are compared with; all in memory */
    int n_outputs, n;
    char name[OUTPUTS_MAX][128];
    cj_field field[FIELDS_MAX];
    cj_tensor *at[FIELDS_MAX]; /* [samples, shape of the field...] */
} answers;

static void free_answers(void *user)
{
    answers *a = user;
    for (int i = 0; i < a->n; i++) cj_tensor_free(a->at[i]);
    free(a);
}

static cj_status read_answers(cj_context *cj, void *user, const int64_t *indices, int64_t n,
                              int field, void *out)
{
    const answers *a = user;
    const cj_tensor *t = a->at[field];
    const size_t bytes = cj_tensor_size_bytes(t) / (size_t)cj_tensor_shape(t)[0];
    const char *from = cj_tensor_map_read(t);
    (void)cj;
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)out + (size_t)i * bytes, from + (size_t)indices[i] * bytes, bytes);
    return CJ_OK;
}

/* Room for field i of all samples. */
static int add_field(cli_each *e, answers *a, const cj_field *field)
{
    int64_t shape[CJ_RANK_MAX] = {e->n};
    if (a->n == FIELDS_MAX || field->rank >= CJ_RANK_MAX)
        return cli_fail(e->c, CJ_ERR_LIMIT, "%s: more than %d outputs and targets, or a rank of %d",
                        e->path, FIELDS_MAX, field->rank);
    for (int i = 0; i < field->rank; i++) shape[i + 1] = field->shape[i];
    a->field[a->n] = *field;
    a->at[a->n] = cj_tensor_new(e->c->cj, field->dtype, field->rank + 1, shape);
    return a->at[a->n++] ? CLI_DONE : cli_failed(e->c, e->c->cj);
}

/* The outputs of the first sample say what those of all are. */
static int add_outputs(cli_each *e, answers *a, const said *s)
{
    a->n_outputs = s->n;
    for (int k = 0; k < s->n; k++) {
        cj_field f = {.name = a->name[k], .dtype = CJ_F32, .rank = cj_tensor_rank(s->at[k]) - 1};
        snprintf(a->name[k], sizeof a->name[k], "%s", cj_graph_output_name(s->g, k));
        for (int i = 0; i < f.rank; i++) f.shape[i] = cj_tensor_shape(s->at[k])[i + 1];
        if (f.rank < 0) f.rank = 0;
        if (add_field(e, a, &f)) return e->c->status;
    }
    return CLI_DONE;
}

static int take_outputs(cli_each *e, answers *a, const said *s)
{
    if (!e->at && add_outputs(e, a, s)) return e->c->status;
    for (int k = 0; k < a->n_outputs; k++) {
        const cj_tensor *t = s->at[k];
        const int64_t *shape = cj_tensor_shape(t), *all = cj_tensor_shape(a->at[k]);
        const int rank = cj_tensor_rank(t);
        const size_t n = (size_t)cj_tensor_count(t);
        bool same = rank == cj_tensor_rank(a->at[k]) && shape[0] == 1;
        for (int i = 1; same && i < rank; i++) same = shape[i] == all[i];
        if (!same)
            return cli_fail(e->c, CJ_ERR_UNSUPPORTED,
                            "evaluate: output '%s' has not [1, ...] of one size for each sample: "
                            "there is nothing to compare it with; cajal predict tells it",
                            a->name[k]);
        void *to = cj_tensor_map(a->at[k], CJ_MAP_WRITE);
        for (size_t i = 0; i < n; i++)
            cj_store_f64(CJ_F32, to, (size_t)e->at * n + i, number(t, (int64_t)i));
        cj_tensor_unmap(a->at[k]);
    }
    return CLI_DONE;
}

/* Targets and weights of all samples. */
static int take_targets(cli_each *e, answers *a)
{
    int64_t *indices = malloc(((size_t)e->n + 1) * sizeof *indices);
    if (!indices) return cli_fail(e->c, CJ_ERR_MEMORY, "evaluate: out of memory");
    for (int64_t i = 0; i < e->n; i++) indices[i] = i;
    for (int i = 0; i < cj_dataset_fields(e->data) && !e->c->status; i++) {
        const cj_field *f = cj_dataset_field(e->data, i);
        if (f->role == CJ_FIELD_INPUT || add_field(e, a, f)) continue;
        cj_tensor *t = a->at[a->n - 1];
        if (cj_dataset_read(e->data, indices, e->n, i, cj_tensor_map(t, CJ_MAP_WRITE)))
            cli_failed(e->c, e->c->cj);
        cj_tensor_unmap(t);
    }
    free(indices);
    return e->c->status;
}

int cli_each_judge(cli_each *e, cj_model *m, cj_model **judged, cj_dataset **data)
{
    cli *c = e->c;
    const bool quiet = c->quiet;
    answers *a = calloc(1, sizeof *a);
    if (!a) return cj_model_free(m), cli_fail(c, CJ_ERR_MEMORY, "evaluate: out of memory");
    while (m && !c->status) {
        said s = {0};
        if (!run(e, m, &s)) take_outputs(e, a, &s);
        m = next(e, m, &s, 0);
    }
    close_session(e);
    cj_model_free(m);
    c->quiet = quiet;
    if (!c->status) take_targets(e, a);
    *judged = c->status ? NULL : cj_model_new(c->cj);
    for (int k = 0; *judged && k < a->n_outputs; k++) {
        const cj_field *f = &a->field[k];
        cj_output(*judged, f->name, cj_model_input(*judged, f->name, f->rank, f->shape));
    }
    const cj_dataset_source source = {.name = cj_dataset_name(e->data),
                                      .count = e->n,
                                      .field_count = a->n,
                                      .fields = a->field,
                                      .read = read_answers,
                                      .user = a,
                                      .free = free_answers};
    *data = *judged ? cj_dataset_new(c->cj, &source) : NULL;
    if (*data) return CLI_DONE;
    free_answers(a);
    return c->status ? c->status : cli_failed(c, c->cj);
}
