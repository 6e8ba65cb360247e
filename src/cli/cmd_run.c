/* cmd_run.c: cajal run: any graph of a file on raw arrays, as a runtime does it: output i is
 * written to outI.npy. */
#include "cli/arrays.h"

static int run_graph(cli *c, cli_arrays *a, cli_results *r)
{
    if (cli_arrays_open(a, 0) || cli_results_new(c, r, cj_graph_output_count(a->graph)))
        return c->status;
    for (int i = 0; i < r->n; i++) {
        r->at[i].name = cj_graph_output_name(a->graph, i);
        r->at[i].node = cj_graph_output_at(a->graph, i);
        if (cli_result_file(c, &r->at[i], "out%d.npy", i)) return c->status;
    }
    return cli_arrays_run(a, r, false) ? c->status : cli_results_write(a, r);
}

static int run(cli *c)
{
    if (cli_arrays_begin(c)) return c->status;
    cli_arrays a = {.c = c, .path = c->args.words[0]};
    cli_results results = {.list = "outputs"};
    int status = run_graph(c, &a, &results);
    cli_results_free(&results);
    cli_arrays_close(&a);
    return status;
}

static const char *const keys[] = {"inputs",  "input",         "output_dir", "backend",
                                   "threads", "deterministic", NULL};
const cj_command cj_command_run = {
    .name = "run",
    .summary = "run the graph of a model on arrays",
    .usage = "MODEL --inputs A.npy,B.npy [--output-dir DIR]",
    .text = "  cajal run model.onnx --inputs x.npy --output-dir out\n"
            "  cajal run model.onnx --input image=x.npy --input mask=m.npy\n"
            "  cajal run model.keras --inputs x.npy\n\n"
            "MODEL is a file of ONNX, or of Keras, .h5 or .keras: what is in it decides. Arrays "
            "are\n"
            "fed as they are: types and shapes must fit (but for a batch that the file fixes);\n"
            "what numpy lacks is raw bits (bf16: u16, 8 bits and fewer: u8, i8). Writes out0.npy,\n"
            "out1.npy and so on, and tells name, type, shape and file of each. Exit status 3: the\n"
            "model needs an operator or a type that Cajal does not have.\n",
    .keys = keys,
    .run = run,
};
