/* workloads.c: the networks of `cajal bench`, from a perceptron to ResNet-18 and a small GPT.
 *
 * They are the usual ones, layer for layer as other frameworks build them, so that times can be
 * compared; and they show how networks are written here: a block is a function from node to node,
 * a network a few lines of blocks. A failed builder gives NULL and NULL goes through all builders,
 * so nothing is checked before the end. */
#include "cli/workloads.h"

#include <cajal/zoo.h>

#include <string.h>

/* ---- 784-128-10 ------------------------------------------------------------------------------ */

static cj_node *mlp(cj_model *m)
{
    cj_node *x = cj_flatten(cj_input(m, "image", 28, 28, 1));
    x = cj_dense(x, .units = 128, .activation = "relu");
    return cj_dense(x, .units = 10);
}

/* ---- The small convolutional network of the handbook ----------------------------------------- */

static cj_node *cnn(cj_model *m)
{
    cj_node *x = cj_input(m, "image", 28, 28, 1);
    x = cj_conv2d(x, .filters = 32, .kernel = {3}, .activation = "relu");
    x = cj_max_pool2d(x, .size = {2});
    x = cj_conv2d(x, .filters = 64, .kernel = {3}, .activation = "relu");
    x = cj_max_pool2d(x, .size = {2});
    return cj_dense(cj_flatten(x), .units = 10);
}

/* ---- 100 steps of 64 features, 128 units, the last state to 10 classes ----------------------- */

static cj_node *lstm(cj_model *m)
{
    cj_node *x = cj_input(m, "sequence", 100, 64);
    return cj_dense(cj_lstm(x, .units = 128), .units = 10);
}

/* ---- ResNet, of the zoo ---------------------------------------------------------------------- */

static cj_node *resnet20(cj_model *m)
{
    return cj_zoo_resnet20(cj_input(m, "image", 32, 32, 3), .shortcut = "B",
                           .activation = "linear");
}

static cj_node *resnet18(cj_model *m)
{
    return cj_zoo_resnet18(cj_input(m, "image", 224, 224, 3), .activation = "linear");
}

/* ---- GPT ------------------------------------------------------------------------------------- */

enum { TOKENS = 128, WIDTH = 256, HEADS = 4, DEPTH = 4, VOCABULARY = 256 };

/* Attention over the tokens before, then two layers for each token; both are added to what comes
 * in, and both see it normalised. */
static cj_node *gpt_block(cj_node *x)
{
    cj_node *y = cj_layer_normalization(x, .epsilon = 1e-5);
    x = cj_add(x, cj_multi_head_attention(y, .num_heads = HEADS, .key_dim = WIDTH / HEADS,
                                          .causal = true));
    y = cj_layer_normalization(x, .epsilon = 1e-5);
    y = cj_dense(y, .units = 4 * WIDTH, .activation = "gelu");
    return cj_add(x, cj_dense(y, .units = WIDTH));
}

static cj_node *gpt(cj_model *m)
{
    cj_graph *g = cj_model_graph(m);
    cj_node *tokens = cj_placeholder(g, "tokens", CJ_I32, CJ_DIMS(cj_symbol(g, "batch"), TOKENS));
    cj_node *x = cj_embedding(tokens, .input_dim = VOCABULARY, .output_dim = WIDTH);
    x = cj_position_embedding(x, .sequence_length = TOKENS);
    for (int i = 0; i < DEPTH; i++) x = gpt_block(x);
    return cj_dense(cj_layer_normalization(x, .epsilon = 1e-5), .units = VOCABULARY);
}

/* ---- All ------------------------------------------------------------------------------------- */

const cli_workload cli_workloads[] = {
    {"mlp", "784-128-10 with ReLU, batch 32", mlp, 32, 10, 0},
    {"cnn", "conv 32, pool, conv 64, pool, dense 10, batch 128", cnn, 128, 10, 0},
    {"lstm", "100 steps of 64 features, 128 units, batch 64", lstm, 64, 10, 0},
    {"resnet20", "ResNet-20, images of 32x32, batch 128", resnet20, 128, 10, 0},
    {"gpt", "4 blocks of width 256, 4 heads, 128 tokens, batch 8", gpt, 8, VOCABULARY, VOCABULARY},
    {"resnet18", "ResNet-18, images of 224x224, batch 8", resnet18, 8, 1000, 0},
    {0}};

const cli_workload *cli_workload_find(const char *name)
{
    for (const cli_workload *w = cli_workloads; w->name; w++)
        if (!strcmp(w->name, name)) return w;
    return NULL;
}
