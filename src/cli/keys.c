/* keys.c: the table that help, the manual, validation and args.yaml are made from.
 *
 * A command names the rows it takes. To add a key: one row here, its name in the command's list. */
#include "cli/keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS INFINITY

const cj_key cli_keys[] = {
    /* data */
    {"data", CJ_KEY_STRING, 0, 0, NULL, "NAME|PATH",
     "data set by name, or a file (CSV, JSON lines, ARFF, arrays ...), or a folder"},
    {"format", CJ_KEY_STRING, 0, 0, NULL, "NAME",
     "format of the file, see cajal list formats; without it as its name ends, else csv"},
    {"widths", CJ_KEY_LIST, 0, 0, NULL, "A,B",
     "characters of each column of a fixed_width table; without it they are found"},
    {"target", CJ_KEY_STRING, 0, 0, NULL, "COLUMN", "column of a table that is to be predicted"},
    {"weight", CJ_KEY_STRING, 0, 0, NULL, "COLUMN",
     "column of a table with how much each sample counts; it is no input"},
    {"pictures", CJ_KEY_STRING, 0, 0, NULL, "COLUMN",
     "column of a table with paths of pictures, which are the samples; from the table's folder on"},
    {"types", CJ_KEY_TREE, 0, 0, NULL, "MAP",
     "number or category for columns of a table, as types.COLUMN=TYPE"},
    {"drop", CJ_KEY_LIST, 0, 0, NULL, "A,B", "columns of a table that are left out"},
    {"missing", CJ_KEY_WORD, 0, 0, "error", "error|drop",
     "rows of a table with missing values: refuse them, or leave them out"},
    {"header", CJ_KEY_WORD, 0, 0, "auto", "auto|yes|no",
     "whether the first row of a table has the names"},
    {"split", CJ_KEY_WORD, 0, 0, NULL, "train|validation|test|all",
     "part of a data set; without it the test part where there is one, else the whole"},
    {"validation_split", CJ_KEY_FLOAT, 0, 0.99, NULL, NULL,
     "part of the training samples kept for validation; without it a folder's own validation part, "
     "or else 0.1"},
    {"normalize", CJ_KEY_WORD, 0, 0, "auto", "auto|none",
     "pixels by 1/255, columns of a table by mean and deviation (but as they are for a model of "
     "another program's file); or nothing"},
    {"shuffle", CJ_KEY_BOOL, 0, 0, "true", NULL, "mix the training samples anew in each epoch"},
    {"balanced", CJ_KEY_BOOL, 0, 0, "false", NULL,
     "draw every class as often as every other: of large classes some, those of small ones again"},
    {"restore_input", CJ_KEY_BOOL, 0, 0, "false", NULL,
     "learn to give what is put in, as an autoencoder does; labels do not count"},
    {"limit", CJ_KEY_INT, 1, NUMBERS, NULL, "N", "use the first N samples only"},
    {"score", CJ_KEY_FLOAT, 0, 1, "0.25", "NUMBER",
     "of a model trained on boxes: detections with less are not told"},
    {"stream", CJ_KEY_BOOL, 0, 0, "false", NULL,
     "leave the samples in their file and read them when they are needed: for data larger than "
     "memory"},
    {"size", CJ_KEY_STRING, 0, 0, NULL, "N|HxW",
     "pixels that pictures in files are brought to; without it all must have one size"},
    {"resize", CJ_KEY_WORD, 0, 0, "stretch", "stretch|crop|pad",
     "how they come to it: distorted, the middle of what covers it, or with black margins"},
    {"colour", CJ_KEY_WORD, 0, 0, "rgb", "rgb|grey", "channels of pictures in files, 3 or 1"},
    {"on_bad_sample", CJ_KEY_WORD, 0, 0, "stop", "stop|skip",
     "pictures, boxes and masks that cannot be read: stop, or read all first, leave those out and "
     "count them"},
    {"batch_size", CJ_KEY_INT, 1, 1 << 24, NULL, "N",
     "samples a step; without it 32 to train, with lbfgs up to 4096, and 256 to evaluate"},
    /* model */
    {"model", CJ_KEY_TREE, 0, 0, NULL, "LAYERS",
     "layers such as \"dense 16 relu, dense 3 softmax\", or a network such as resnet20"},
    {"classes", CJ_KEY_INT, 1, 2147483647, NULL, "N",
     "classes of a network; without it those of the data, or the network's own"},
    {"weights", CJ_KEY_STRING, 0, 0, NULL, "FILE.safetensors",
     "weights for the model by name, ours or PyTorch's"},
    {"from", CJ_KEY_STRING, 0, 0, NULL, "MODEL",
     "model to go on from with new data: a file of ONNX or Keras"},
    {"freeze", CJ_KEY_LIST, 0, 0, NULL, "A,B",
     "weights and nodes of from= that are not trained, by their names, such as conv1* or layer1"},
    {"head", CJ_KEY_INT, 1, 1 << 24, NULL, "N",
     "units of a new last layer in the place of the one of from="},
    {"resume", CJ_KEY_STRING, 0, 0, NULL, "RUN", "run directory to continue"},
    /* training */
    {"loss", CJ_KEY_NAMED, 0, 0, NULL, "NAME", "loss; without it the one that fits the target"},
    {"optimizer", CJ_KEY_NAMED, 0, 0, "adam", "NAME",
     "optimizer, with options as sgd(momentum=0.9)"},
    {"learning_rate", CJ_KEY_FLOAT, 0, NUMBERS, NULL, NULL,
     "step of the optimizer; without it the optimizer's own"},
    {"schedule", CJ_KEY_NAMED, 0, 0, NULL, "NAME", "how the learning rate changes, such as cosine"},
    {"metrics", CJ_KEY_LIST, 0, 0, NULL, "A,B", "what is measured besides the loss"},
    {"epochs", CJ_KEY_INT, 1, 1000000, "5", "N", "passes over the training samples"},
    {"early_stopping", CJ_KEY_INT, 0, 1000000, "0", "N",
     "stop after N epochs without improvement; 0 is never"},
    {"monitor", CJ_KEY_STRING, 0, 0, NULL, "METRIC",
     "what improvement means; without it val_loss, or loss"},
    {"seed", CJ_KEY_INT, 0, NUMBERS, "0", "N", "of everything random"},
    {"threads", CJ_KEY_INT, 0, 4096, "0", "N", "threads to work with; 0 is one a core"},
    {"workers", CJ_KEY_INT, 0, 64, "0", "N",
     "threads that read samples ahead; 0 is one, for pictures in files up to eight"},
    {"deterministic", CJ_KEY_BOOL, 0, 0, "false", NULL, "the same bits for any number of threads"},
    {"recompute", CJ_KEY_WORD, 0, 0, "cheap", "none|cheap|all",
     "what training computes again instead of keeping it: less memory, more work"},
    {"precision", CJ_KEY_WORD, 0, 0, "float32", "float32|mixed_bfloat16|mixed_float16",
     "what products are computed in; mixed is smaller, and faster where the processor has bf16"},
    {"style", CJ_KEY_WORD, 0, 0, "text", "text|markdown",
     "how a list is written; markdown is what docs/reference is made of"},
    {"out", CJ_KEY_STRING, 0, 0, NULL, "DIR",
     "run directory; without it runs/train1, runs/train2 and so on"},
    /* other commands */
    {"inputs", CJ_KEY_LIST, 0, 0, NULL, "A.npy,B.npy",
     "arrays for the inputs of the graph, in its order"},
    {"input", CJ_KEY_TREE, 0, 0, NULL, "NAME=X.npy",
     "array for the input of that name, once for each; or, of pictures for a model of another "
     "program, input.mean, .std, .size and .layout=nchw|nhwc"},
    {"cotangents", CJ_KEY_LIST, 0, 0, NULL, "A.npy,B.npy",
     "an array for each output that is a float; without them ones"},
    {"training", CJ_KEY_BOOL, 0, 0, "false", NULL,
     "switch batch normalisation and dropout to what they do in training"},
    {"opset", CJ_KEY_INT, 17, 21, "17", "N",
     "version of ONNX's operators in files: later ones are shorter, earlier ones read by more"},
    {"output_dir", CJ_KEY_STRING, 0, 0, ".", "DIR", "folder for out0.npy, out1.npy and so on"},
    {"backend", CJ_KEY_STRING, 0, 0, NULL, "NAME",
     "whose kernels are used, see cajal list backends; without it the best there are"},
    {"graph", CJ_KEY_BOOL, 0, 0, "false", NULL, "print the graph, one line a call"},
    {"dot", CJ_KEY_BOOL, 0, 0, "false", NULL, "print the graph for Graphviz: dot -Tsvg"},
    {"mode", CJ_KEY_WORD, 0, 0, NULL, "train|infer|infer1", "what is measured; without it all"},
    {"batch", CJ_KEY_INT, 1, 1 << 24, NULL, "N", "samples a step that is measured or planned"},
    {"dims", CJ_KEY_TREE, 0, 0, NULL, "MAP",
     "sizes of a model's other symbols, as dims.length=128; without it 1"},
    {"seconds", CJ_KEY_FLOAT, 0, 3600, "1", NULL, "time that is spent on a measurement, about"},
    {"trace", CJ_KEY_STRING, 0, 0, NULL, "FILE",
     "file for chrome://tracing and Perfetto, an event for each kernel of a step"},
    {"roof", CJ_KEY_BOOL, 0, 0, "true", NULL, "measure the roof of this machine first"},
    /* flags */
    {"json", CJ_KEY_WORD, 0, 0, NULL, "true|false|lines|steps",
     "one JSON object on standard output, or one a line"},
    {"quiet", CJ_KEY_BOOL, 0, 0, NULL, NULL, "no progress"},
    {"verbose", CJ_KEY_BOOL, 0, 0, NULL, NULL, "say more"},
    {"help", CJ_KEY_BOOL, 0, 0, NULL, NULL, "tell how the command is used"},
    {"draw", CJ_KEY_STRING, 0, 0, NULL, "FOLDER",
     "draw boxes, masks or restored pictures of each sample into FOLDER/NAME.png"},
    {"grid", CJ_KEY_STRING, 0, 0, NULL, "FILE.png",
     "draw the samples, with what is said of them and what is true, on one sheet"},
    {"version", CJ_KEY_BOOL, 0, 0, NULL, NULL, "tell the version"},
    {"overwrite", CJ_KEY_BOOL, 0, 0, NULL, NULL, "replace what is there"},
    {"no_color", CJ_KEY_BOOL, 0, 0, NULL, NULL, "no colours"},
    {NULL, CJ_KEY_NONE, 0, 0, NULL, NULL, NULL}};

const char *const cli_keys_common[] = {"json",    "quiet",     "verbose",  "help",
                                       "version", "overwrite", "no_color", NULL};

const char *const cli_keys_train[] = {
    "data",          "format",   "widths",    "target",        "weight",   "pictures", "types",
    "drop",          "missing",  "header",    "limit",         "stream",   "validation_split",
    "size",          "resize",   "colour",    "on_bad_sample",
    "normalize",     "shuffle",  "balanced",  "batch_size",    "restore_input",
    "model",         "classes",  "weights",   "from",     "freeze",    "head",      "input",
    "resume",
    "loss",          "optimizer",
    "learning_rate", "schedule", "metrics",   "epochs",        "early_stopping",
    "monitor",       "seed",     "threads",   "workers",  "deterministic", "recompute",
    "precision",     "opset",    "out",      NULL};

const char *const cli_keys_unsaved[] = {"resume", "out",     "json",      "quiet",    "verbose",
                                        "help",   "version", "overwrite", "no_color", NULL};

const cj_key *cli_key(const char *name)
{
    for (const cj_key *key = cli_keys; key->name; key++)
        if (!strcmp(key->name, name)) return key;
    return NULL;
}

static size_t append(cj_key *rows, size_t n, const char *const *names)
{
    for (; names && *names; names++) {
        const cj_key *key = cli_key(*names);
        if (key) rows[n++] = *key;
    }
    return n;
}

cj_key *cli_keys_of(const char *const *names)
{
    size_t n = sizeof cli_keys / sizeof *cli_keys +
               sizeof cli_keys_common / sizeof *cli_keys_common;
    for (const char *const *name = names; name && *name; name++) n++;
    cj_key *rows = calloc(n, sizeof *rows);
    if (rows) append(rows, append(rows, 0, names), cli_keys_common);
    return rows;
}

const char *cli_key_value(const cj_key *key)
{
    if (key->words) return key->words;
    return key->type == CJ_KEY_BOOL                               ? "true|false"
           : key->type == CJ_KEY_INT || key->type == CJ_KEY_FLOAT ? "NUMBER"
                                                                  : "TEXT";
}

void cli_key_help(const cj_key *key, char *out, size_t size)
{
    char range[64] = "", initial[64] = "";
    bool number = key->type == CJ_KEY_INT || key->type == CJ_KEY_FLOAT;
    if (number && isinf(key->max)) snprintf(range, sizeof range, "; at least %.15g", key->min);
    else if (number) snprintf(range, sizeof range, "; %.15g to %.15g", key->min, key->max);
    if (key->initial) snprintf(initial, sizeof initial, "; default %s", key->initial);
    snprintf(out, size, "%s%s%s", key->help, range, initial);
}
