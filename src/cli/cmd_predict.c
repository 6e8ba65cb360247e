/* cmd_predict.c: cajal predict: what a model says of samples: a table, an .npy of raw samples, an
 * IDX file, a data set, or pictures.
 *
 * The model knows its preparation, so samples go in as they are; a table is read with the columns
 * and categories of the model. One line a sample, in the order of the input. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cajal/io.h>
#include <cajal/picture.h>

#include "cli/arrays.h"
#include "cli/data.h"
#include "cli/detections.h"
#include "cli/each.h"
#include "cli/guess.h"
#include "cli/json.h"
#include "cli/tune.h"
#include "cli/view.h"

/* ---- Input ----------------------------------------------------------------------------------- */

/* "u8[28, 28, 1]" */
static const char *type_text(cj_dtype dtype, int rank, const int64_t *shape, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "%s[", cj_dtype_info(dtype)->name);
    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (n < size) snprintf(out + n, size - n, "]");
    return out;
}

/* May numbers of this type be read as the model's? Never where values would change their meaning.
 */
static bool converts(cj_dtype from, cj_dtype to)
{
    cj_dtype_kind a = cj_dtype_info(from)->kind, b = cj_dtype_info(to)->kind;
    return from == to || (b == CJ_KIND_FLOAT &&
                          (a == CJ_KIND_FLOAT || a == CJ_KIND_SIGNED || a == CJ_KIND_UNSIGNED));
}

/* The array as samples of the model's type and their number: [n, sample...], or one sample alone.
 * NULL after a failure that has been told. */
static cj_tensor *read_array(cli *c, const char *path, const cj_model_info *info, int64_t *count)
{
    cj_tensor *array = NULL, *samples = NULL;
    char found[160], wanted[160];
    if (cj_npy_load(c->cj, path, &array)) return cli_failed(c, c->cj), NULL;
    if (cj_tensor_dtype(array) == CJ_STRING && info->input_dtype == CJ_U8) {
        cj_tensor *bytes = cli_text_bytes(c, array);
        cj_tensor_free(array);
        if (!(array = bytes)) return NULL;
    }
    int rank = cj_tensor_rank(array), extra = rank - info->input_rank;
    bool fits = info->input_rank >= 0 && (extra == 0 || extra == 1) &&
                converts(cj_tensor_dtype(array), info->input_dtype);
    for (int i = 0; fits && i < info->input_rank; i++)
        fits = info->input_shape[i] < 0 ||
               info->input_shape[i] == cj_tensor_shape(array)[extra + i];
    if (fits) {
        *count = extra ? cj_tensor_shape(array)[0] : 1;
        samples = cj_tensor_cast(array, info->input_dtype);
        if (!samples) cli_failed(c, c->cj);
    } else {
        cli_fail(c, CJ_ERR_SHAPE, "%s: the model takes samples of %s, found an array of %s", path,
                 type_text(info->input_dtype, info->input_rank, info->input_shape, wanted,
                           sizeof wanted),
                 type_text(cj_tensor_dtype(array), rank, cj_tensor_shape(array), found,
                           sizeof found));
    }
    cj_tensor_free(array);
    return samples;
}

static bool has_open_size(const cj_model_info *info)
{
    bool open = false;
    for (int i = 0; i < info->input_rank; i++) open = open || info->input_shape[i] < 0;
    return open;
}

/* Samples [n, ...], of a size that the model takes; or one alone. */
static cj_tensor *predict_open(cli *c, cj_model *m, const cj_model_info *info, cj_tensor *samples,
                               int64_t count)
{
    int64_t shape[CJ_RANK_MAX] = {1};
    const int rank = cj_tensor_rank(samples), alone = rank == info->input_rank;
    cj_tensor *all = NULL, *rows = NULL, *outputs = NULL;
    for (int i = 0; i < rank; i++) shape[i + alone] = cj_tensor_shape(samples)[i];
    if ((all = cj_tensor_reshape(samples, rank + alone, shape)))
        rows = cj_tensor_rows(all, 0, count);
    cj_dataset *ds = rows ? cj_dataset_from_tensors(c->cj, rows, NULL) : NULL;
    if (!ds || cj_predict_dataset(m, ds, &outputs)) cli_failed(c, c->cj);
    cj_dataset_free(ds);
    cj_tensor_free(rows);
    cj_tensor_free(all);
    return outputs;
}

/* An array has no field names and no columns, so it goes to the model's session as it is; where the
 * model leaves sizes open, as a data set, which tells them. */
static cj_tensor *predict_array(cli *c, const char *path, cj_model *m, const cj_model_info *info,
                                cj_tensor **kept)
{
    int64_t count = 0, limit = cli_int(c, "limit");
    cj_tensor *samples = *kept = read_array(c, path, info, &count), *outputs = NULL;
    cj_session *s = samples ? cj_model_session(m) : NULL;
    if (limit && limit < count) count = limit;
    if (s && has_open_size(info)) {
        cj_session_free(s);
        return predict_open(c, m, info, samples, count);
    }
    if (s) outputs = cj_tensor_new(c->cj, CJ_F32, 2, (int64_t[]){count, info->output_size});
    if (samples && !outputs) cli_failed(c, c->cj);
    float *out = outputs ? cj_tensor_map(outputs, CJ_MAP_WRITE) : NULL;
    cj_status failed =
        out ? cj_predict(s, cj_tensor_map_read(samples), count, out, info->output_size) : CJ_OK;
    if (failed) {
        cli_fail(c, failed, "%s: %s", path, cj_session_message(s));
        cj_tensor_free(outputs);
        outputs = NULL;
    }
    cj_session_free(s);
    return outputs;
}

/* Pictures of kinds that are not read are still no tables. */
static bool is_picture(const char *path)
{
    return cj_picture_format_of(path) || cli_ends_with(path, ".gif") ||
           cli_ends_with(path, ".webp");
}

static cj_tensor *predict_pictures(cli *c, const char *const *paths, int n, cj_model *m,
                                   const cj_model_info *info, int64_t (*sizes)[2])
{
    if (!cli_takes_pictures(info))
        return cli_misused(c, "predict: %.500s: the model was not trained on pictures of one size",
                           paths[0]),
               NULL;
    const int64_t *shape = info->input_shape, size = shape[0] * shape[1] * shape[2];
    cj_tensor *outputs = cj_tensor_new(c->cj, CJ_F32, 2, (int64_t[]){n, info->output_size});
    cj_tensor *samples = outputs ? cj_tensor_new(c->cj, CJ_U8, 2, (int64_t[]){n, size}) : NULL;
    unsigned char *to = samples ? cj_tensor_map(samples, CJ_MAP_WRITE) : NULL;
    cj_session *s = to ? cj_model_session(m) : NULL;
    cj_status failed = s ? CJ_OK : cj_last_status(c->cj);
    for (int i = 0; !failed && i < n; i++)
        failed = cli_picture_read(c->cj, paths[i], info, to + i * size, sizes[i]);
    if (failed) cli_failed(c, c->cj);
    else if ((failed = cj_predict(s, to, n, cj_tensor_map(outputs, CJ_MAP_WRITE),
                                  info->output_size)))
        cli_fail(c, failed, "%s", cj_session_message(s));
    cj_session_free(s);
    cj_tensor_free(samples);
    if (!failed) return outputs;
    cj_tensor_free(outputs);
    return NULL;
}

static cj_tensor *predict_dataset(cli *c, const char *source, bool word, cj_model *m,
                                  const cj_model_info *info, const cj_dataset **kept)
{
    const char *split = cli_string(c, "split");
    bool table = cli_data_is_table(c, source);
    cj_tensor *outputs = NULL;
    if (table && !cli_string(c, "pictures") && info->columns == 0 && info->input_rank != 1)
        return cli_misused(c, "predict: %.500s: the model was not trained on a table", source),
               NULL;
    if (!split && !word) split = "auto";
    cj_dataset *ds = cli_data_open(c, source, .split = split, .info = info, .no_target = table);
    if (ds && !cli_model_pictures(c, m, ds) && cj_predict_dataset(m, ds, &outputs))
        cli_failed(c, c->cj);
    *kept = ds;
    return outputs;
}

/* ---- Output ---------------------------------------------------------------------------------- */

static void print_json_top(cli_json *j, const cj_model_info *info, const double *out, int64_t n)
{
    cli_guess top[CLI_TOP];
    char number[32];
    const int count = cli_guess_top(info, out, n, top);
    cli_json_list(j, "top");
    for (int i = 0; i < count; i++) {
        cli_json_object(j, NULL);
        cli_json_string(j, "label", cli_label_text(info, top[i].label, number));
        cli_json_int(j, "class", top[i].label);
        cli_json_number(j, "probability", top[i].probability);
        cli_json_end(j);
    }
    cli_json_end(j);
}

/* "cat.png  cat 0.9312  dog 0.0521 ..." with tabs between. */
static void print_top(FILE *to, const char *path, const cj_model_info *info, const double *out,
                      int64_t n)
{
    cli_guess top[CLI_TOP];
    char number[32];
    const int count = cli_guess_top(info, out, n, top);
    fprintf(to, "%s", path);
    for (int i = 0; i < count; i++)
        fprintf(to, "\t%s\t%.4f", cli_label_text(info, top[i].label, number), top[i].probability);
    for (int64_t i = 0; !count && i < n; i++) fprintf(to, "\t%.7g", out[i]);
    fprintf(to, "\n");
}

static void print_json_guess(cli_json *j, const char *path, const cj_model_info *info, cli_guess g,
                             const double *out, int64_t n)
{
    char number[32];
    cli_json_object(j, NULL);
    if (path) cli_json_string(j, "picture", path);
    if (g.label >= 0) {
        cli_json_string(j, "label", cli_label_text(info, g.label, number));
        cli_json_int(j, "class", g.label);
        cli_json_number(j, "probability", g.probability);
    }
    if (path) print_json_top(j, info, out, n);
    cli_json_list(j, "output");
    for (int64_t i = 0; i < n; i++) cli_json_number(j, NULL, out[i]);
    cli_json_end(j);
    cli_json_end(j);
}

static void print_guess(FILE *to, const cj_model_info *info, cli_guess g, const double *out,
                        int64_t n)
{
    if (g.label >= 0 && info->class_names)
        fprintf(to, "%s\t%.4f\n", info->class_names[g.label], g.probability);
    else if (g.label >= 0) fprintf(to, "%d\t%.4f\n", g.label, g.probability);
    else
        for (int64_t i = 0; i < n; i++) fprintf(to, "%.7g%c", out[i], i + 1 < n ? '\t' : '\n');
}

/* `pictures`: their paths, one a sample; NULL: samples have no names. */
static int print_all(cli *c, const char *model, const cj_model_info *info, cj_tensor *outputs,
                     const char *const *pictures)
{
    int64_t count = cj_tensor_shape(outputs)[0], n = count ? cj_tensor_count(outputs) / count : 0;
    const void *data = cj_tensor_map_read(outputs);
    double *out = calloc((size_t)n + 1, sizeof *out);
    cli_json j = {.to = c->out};
    if (!out || !data) return free(out), cli_fail(c, CJ_ERR_MEMORY, "predict: out of memory");
    if (c->json) {
        cli_json_object(&j, NULL);
        cli_json_string(&j, "model", model);
        cli_json_list(&j, "predictions");
    }
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < n; k++)
            out[k] = cj_load_f64(cj_tensor_dtype(outputs), data, (size_t)(i * n + k));
        cli_guess g = cli_guess_first(info, out, n);
        const char *path = pictures ? pictures[i] : NULL;
        if (c->json) print_json_guess(&j, path, info, g, out, n);
        else if (path) print_top(c->out, path, info, out, n);
        else print_guess(c->out, info, g, out, n);
    }
    if (c->json) {
        cli_json_end(&j);
        cli_json_end(&j);
        cli_json_line(&j);
    }
    cj_tensor_unmap(outputs);
    free(out);
    return CLI_DONE;
}

/* `inputs` has n_inputs words, or the key data; several are pictures. */
static int predict(cli *c, cli_each *each, const char *const *inputs, int n_inputs)
{
    const bool word = n_inputs > 0;
    const char *path = each->path, *source = word ? inputs[0] : cli_string(c, "data"),
               *format = cli_string(c, "format");
    cj_model_info info;
    const bool pictures = word && is_picture(source),
               array = format ? !strcmp(format, "npy") : cli_ends_with(source, ".npy");
    each->sources = inputs;
    each->n_sources = n_inputs;
    each->pictures = pictures;
    each->array = word && array;
    each->data_source = source;
    each->data_opts = (cli_data_opts){.split = cli_string(c, "split") || word
                                                   ? cli_string(c, "split")
                                                   : "auto",
                                      .no_target = cli_data_is_table(c, source)};
    for (int i = 1; i < n_inputs; i++)
        if (!pictures || !is_picture(inputs[i]))
            return cli_misused(c, "predict: expected one input, or pictures only; found '%.500s'",
                               inputs[i]);
    cj_model *m = cli_model_open(c, path, false, cli_each_value, each);
    if (m && cli_each_wants(each, m)) return cli_each_predict(each, m);
    if (!m || ((is_picture(source) || cli_data_has_files(c, source)) &&
               cli_model_pictures(c, m, NULL)))
        return c->status;
    cj_model_get_info(m, &info);
    if (!strcmp(source, "-")) source = "/dev/stdin";
    const char *grid = cli_string(c, "grid"), *draw = cli_string(c, "draw");
    int64_t(*sizes)[2] = calloc((size_t)n_inputs + 1, sizeof *sizes);
    if (!sizes) return cli_fail(c, CJ_ERR_MEMORY, "predict: out of memory");
    cli_views views = {.model = m, .info = &info, .paths = pictures ? inputs : NULL};
    cj_tensor *samples = NULL;
    cj_tensor *outputs = pictures ? predict_pictures(c, inputs, n_inputs, m, &info, sizes)
                         : array  ? predict_array(c, source, m, &info, &samples)
                                  : predict_dataset(c, source, word, m, &info, &views.data);
    int status = outputs ? CLI_DONE : c->status;
    views.outputs = outputs;
    views.samples = samples;
    if (outputs && grid) status = cli_view_sheet(c, &views, grid);
    if (!status && draw) status = cli_view_draw(c, &views, draw);
    if (!status)
        status = info.target_kind == CJ_FIELD_BOXES
                     ? cli_print_detections(c, path, m, outputs, views.paths, sizes)
                     : print_all(c, path, &info, outputs, views.paths);
    cj_tensor_free(samples);
    cj_tensor_free(outputs);
    free(sizes);
    return status;
}

static int run(cli *c)
{
    cj_recipe *recipe = cli_recipe(c, NULL);
    if (!recipe) return c->status;
    const int inputs = c->args.n_words - 1;
    if (inputs < 0 || (inputs > 0) == (cli_string(c, "data") != NULL))
        return cli_misused(
            c, "predict: expected a model and one input, or pictures: cajal predict MODEL.onnx "
               "INPUT, or data=NAME instead of INPUT");
    if (!cli_context(c, recipe)) return c->status;
    cli_each each = {.c = c, .path = c->args.words[0]};
    int status = predict(c, &each, c->args.words + 1, inputs);
    cli_each_release(&each);
    return status;
}

static const char *const keys[] = {"data",    "format",  "widths", "split", "types",   "drop",
                                   "missing", "header",  "limit",  "stream", "pictures",
                                   "score",   "draw",    "grid",   "threads",
                                   "deterministic", "input", NULL};
const cj_command cj_command_predict = {
    .name = "predict",
    .summary = "tell what a model says of new samples",
    .usage = "MODEL.onnx INPUT|PICTURE...|data=NAME [limit=N] [KEY=VALUE...]",
    .text =
        "  cajal predict runs/train1/best.onnx flowers.csv\n"
        "  cajal predict runs/train1/best.onnx shoes.npy --json\n"
        "  cajal predict runs/train1/best.onnx data=fashion-mnist limit=5\n"
        "  cajal predict runs/train1/best.onnx cat.png dog.jpg\n"
        "  cajal predict runs/train1/best.onnx data=fashion-mnist limit=40 grid=sheet.png\n\n"
        "INPUT is a table (the columns of training, a target is not needed), an .npy array of raw\n"
        "samples, an IDX file, or - for a table on standard input. Prints the class and its\n"
        "probability, or the outputs of a regression, a line a sample. --json tells predictions:\n"
        "label, class, probability and output of each.\n"
        "Pictures are brought to the size of training; a line has the five likeliest classes.\n"
        "Of a model trained on boxes a line is a detection: class, score, and corners x_min,\n"
        "y_min, x_max, y_max in pixels of the picture (of other inputs: shares of width and\n"
        "height). grid=FILE.png draws the first hundred on a sheet, with what is said of them\n"
        "and, where the data knows it, what is true; draw=FOLDER draws boxes, masks and restored\n"
        "pictures into a picture each.\n",
    .keys = keys,
    .run = run,
};
