/* cmd_convert.c: cajal convert: a model's file as another one.
 *
 * The model is loaded and saved, so what it knows of its data comes along, and what Cajal does not
 * use (other programs' metadata, names of unused values) stays behind. */
#include <string.h>
#include <sys/stat.h>

#include "cli/data.h"
#include "cli/json.h"

static bool ends_in(const char *path, const char *suffix)
{
    const size_t n = strlen(path), k = strlen(suffix);
    return n > k && !strcmp(path + n - k, suffix);
}

static int run(cli *c)
{
    struct stat there;
    if (c->args.n_words != 2)
        return cli_misused(c, "convert: expected two files, found %d words: cajal convert "
                              "MODEL OUT.onnx",
                           c->args.n_words);
    const char *from = c->args.words[0], *to = c->args.words[1];
    if (!ends_in(to, ".onnx"))
        return cli_misused(c, "convert: '%.200s' does not end in .onnx, which is what can be "
                              "written",
                           to);
    cj_recipe *recipe = cli_recipe(c, NULL);
    if (!recipe || !cli_context(c, recipe)) return c->status;
    if (!c->overwrite && !stat(to, &there))
        return cli_fail(c, CJ_ERR_EXISTS, "%s: exists already; --overwrite replaces it", to);
    cj_model *m = cli_model_load(c, from);
    if (!m) return c->status;
    const cj_onnx_save_opts opts = {.struct_size = sizeof opts, .opset = cli_int(c, "opset")};
    if (cj_save_opts(m, to, &opts)) return cli_failed(c, c->cj);
    if (c->json) {
        cli_json j = {.to = c->out};
        cli_json_object(&j, NULL);
        cli_json_string(&j, "model", from);
        cli_json_string(&j, "file", to);
        cli_json_int(&j, "opset", opts.opset);
        cli_json_end(&j);
        cli_json_line(&j);
    } else if (!c->quiet)
        fprintf(c->out, "%s: opset %lld\n", to, (long long)opts.opset);
    return CLI_DONE;
}

static const char *const keys[] = {"opset", NULL};
const cj_command cj_command_convert = {
    .name = "convert",
    .summary = "write a model's file as another one",
    .usage = "MODEL OUT.onnx [opset=N]",
    .text = "  cajal convert model.onnx newer.onnx opset=21\n"
            "  cajal convert model.keras model.onnx\n\n"
            "What the model knows of its data comes along: preparation, classes, columns.\n",
    .keys = keys,
    .run = run,
};
