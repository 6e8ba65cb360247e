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

static bool are_channels(cj_dim d) { return d == 1 || d == 3; }

/* Sizes that the file leaves open are those of input.size, or the picture's own. */
static bool find_size(const cli_each *e, const char *path, cj_dim *height, cj_dim *width)
{
    int64_t asked[2] = {0, 0};
    cj_tensor *picture = NULL;
    if (!cli_read_size(e->c, "input.size", &asked[0], &asked[1])) return false;
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
    bool done = to && !cli_picture_read(cj, path, &info, pixels, e->size);
    if (to && !done) cli_failed(e->c, cj);
    else if (!to) cli_fail(e->c, CJ_ERR_MEMORY, "%s: out of memory", e->c->command->name);
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
    const char *path = e->sources[e->at];
    cj_type type = in->type;
    cj_dim *d = type.rank == 4 ? type.dim + 1 : type.dim;
    const bool first = are_channels(d[0]) || !are_channels(d[2]);
    cj_dim *channels = first ? d : d + 2, *height = first ? d + 1 : d, *width = height + 1;
    if ((type.rank != 3 && type.rank != 4) || (type.rank == 4 && type.dim[0] > 1) ||
        cj_dtype_info(type.dtype)->kind != CJ_KIND_FLOAT)
        return cli_misused(c, "predict: the model's input '%.80s' is no picture of floats",
                           in->name),
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
    if (!e->all && cj_npy_load(c->cj, e->sources[0], &e->all)) return cli_failed(c, c->cj), NULL;
    const int rank = cj_tensor_rank(e->all), wanted = in->type.rank;
    const int64_t *shape = cj_tensor_shape(e->all);
    const bool batch = wanted > 0 && (in->type.dim[0] < 0 || in->type.dim[0] == 1);
    int64_t dims[CJ_RANK_MAX] = {1};
    if (wanted < 0 || (rank != wanted && rank != wanted + 1 && !(batch && rank == wanted - 1)))
        return cli_fail(c, CJ_ERR_SHAPE,
                        "%s: the model's input '%.80s' has %d axes, found an array "
                        "of %d",
                        e->sources[0], in->name, wanted, rank),
               NULL;
    const bool many = rank == wanted + 1 || (rank == wanted && batch);
    const int skip = many ? 1 : 0, ones = wanted - (rank - skip);
    for (int i = skip; i < rank; i++) dims[ones + i - skip] = shape[i];
    e->n = many ? shape[0] : 1;
    if (e->n < 1) return cli_fail(c, CJ_ERR_DATA, "%s: no samples", e->sources[0]), NULL;
    cj_tensor *rows = many ? cj_tensor_rows(e->all, e->at, e->at + 1) : NULL, *value = NULL;
    cj_tensor *sample = cj_tensor_reshape(many ? rows : e->all, wanted, dims);
    if (sample) value = cj_tensor_cast(sample, in->type.dtype);
    if (!value) cli_failed(c, c->cj);
    cj_tensor_free(sample);
    cj_tensor_free(rows);
    return value;
}

cj_status cli_each_value(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                         const cj_tensor **values)
{
    cli_each *e = user;
    (void)g;
    e->asked = true;
    if (n != 1 || (!e->pictures && !e->array)) {
        cli_misused(e->c,
                    "predict: %.300s: shapes depend on the values of the model's %d input%s: it "
                    "takes pictures or an .npy array%s; cajal run takes any",
                    e->path, n, n == 1 ? "" : "s", n == 1 ? "" : ", with one input");
        return CJ_ERR_UNSUPPORTED;
    }
    cj_tensor_free(e->value);
    e->n = e->n_sources;
    e->value = e->pictures ? picture_value(e, inputs) : array_value(e, inputs);
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
        return cli_fail(c, CJ_ERR_LIMIT, "predict: %d outputs; cajal run takes any number", s->n);
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
    for (; m && e->at < e->n && (!limit || e->at < limit) && !c->status;) {
        said s = {0};
        if (!run(e, m, &s)) {
            if (to && !e->at) {
                cli_json_object(to, NULL);
                cli_json_string(to, "model", e->path);
                cli_json_list(to, "predictions");
            }
            print_sample(e, to, &s);
        }
        for (int i = 0; i < s.n && i < OUTPUTS_MAX; i++) cj_tensor_free(s.at[i]);
        c->quiet = true; /* what was assumed is told */
        const bool more = !c->status && ++e->at < e->n && (!limit || e->at < limit);
        if (!e->asked) {
            if (more) next_value(e, m);
            continue;
        }
        close_session(e);
        cj_model_free(m);
        m = more ? cli_model_open(c, e->path, false, cli_each_value, e) : NULL;
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
