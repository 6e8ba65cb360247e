/* gpt.c: a small Transformer that learns to write a short text, letter by letter.
 *
 * The model reads LENGTH letters and says, for each place, how likely every letter is to be the
 * next one. A block does two things to the numbers of each place, both added to what was there:
 *
 *     attention    looks at the places before (causal: never at those to come) and takes from them
 *     two layers   think about each place by itself
 *
 * Training is a loop of one's own, what fit does inside. For writing, the model sees its last
 * LENGTH letters and one letter is drawn from what it says comes next. (decode.c shows how not to
 * compute the earlier letters again.)
 *
 *     gpt                300 steps, some seconds: what the tests run
 *     gpt 1000           until the text is known by heart
 *
 * The text is from Lewis Carroll's "Jabberwocky" (1871). */
#include <cajal/cajal.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 32, WIDTH = 48, HEADS = 4, BLOCKS = 2, BATCH = 8, LETTERS = 128 };

static const char text[] =
    "'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe;\n"
    "All mimsy were the borogoves,\nAnd the mome raths outgrabe.\n\n"
    "\"Beware the Jabberwock, my son!\nThe jaws that bite, the claws that catch!\n"
    "Beware the Jubjub bird, and shun\nThe frumious Bandersnatch!\"\n\n"
    "He took his vorpal sword in hand:\nLong time the manxome foe he sought--\n"
    "So rested he by the Tumtum tree,\nAnd stood awhile in thought.\n\n"
    "And as in uffish thought he stood,\nThe Jabberwock, with eyes of flame,\n"
    "Came whiffling through the tulgey wood,\nAnd burbled as it came!\n";

static cj_node *block(cj_node *x)
{
    cj_node *y = cj_layer_normalization(x);
    x = cj_add(x, cj_multi_head_attention(y, .num_heads = HEADS, .key_dim = WIDTH / HEADS,
                                          .causal = true));
    y = cj_dense(cj_layer_normalization(x), .units = 4 * WIDTH, .activation = "gelu");
    return cj_add(x, cj_dense(y, .units = WIDTH));
}

/* Letters [batch, length] -> scores of the next letter [batch, length, LETTERS]. */
static cj_node *gpt(cj_node *letters)
{
    cj_node *x = cj_embedding(letters, .input_dim = LETTERS, .output_dim = WIDTH);
    x = cj_position_embedding(x, .sequence_length = LENGTH);
    for (int i = 0; i < BLOCKS; i++) x = block(x);
    return cj_dense(cj_layer_normalization(x), .units = LETTERS);
}

/* A number from 0 to 1 that looks random (xorshift). */
static double draw(void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    return state / 4294967296.0;
}

/* The program's step: BATCH pieces of the text, and the same one letter on. */
static cj_status learn(cj_session *s, cj_node *letters, cj_node *next, cj_tensor *from,
                       cj_tensor *to, cj_tensor **loss)
{
    int32_t *x = cj_tensor_map(from, CJ_MAP_WRITE), *y = cj_tensor_map(to, CJ_MAP_WRITE);
    for (int b = 0; b < BATCH; b++) {
        size_t at = (size_t)(draw() * (sizeof text - 1 - LENGTH));
        for (int t = 0; t < LENGTH; t++) {
            x[b * LENGTH + t] = text[at + (size_t)t];
            y[b * LENGTH + t] = text[at + (size_t)t + 1];
        }
    }
    return cj_run(s, (cj_feed[]){{letters, from}, {next, to}}, 2, loss, 1);
}

/* One letter drawn with the probabilities softmax(score / temperature). */
static int pick(const float *score, double temperature)
{
    double most = score[0], sum = 0, p[LETTERS];
    for (int i = 1; i < LETTERS; i++) most = fmax(most, score[i]);
    for (int i = 0; i < LETTERS; i++) sum += p[i] = exp((score[i] - most) / temperature);
    double left = draw() * sum;
    for (int i = 0; i < LETTERS; i++)
        if ((left -= p[i]) < 0) return i;
    return LETTERS - 1;
}

/* Writes `n` letters after the text's first ones. */
static cj_status sample(cj_session *s, cj_node *letters, cj_tensor *window, int n)
{
    int32_t *x = cj_tensor_map(window, CJ_MAP_READ_WRITE);
    cj_tensor *scores = NULL;
    for (int t = 0; t < LENGTH; t++) x[t] = text[t], putchar(text[t]);
    printf("|");
    for (int i = 0; i < n; i++) {
        cj_status failed = cj_run(s, (cj_feed[]){{letters, window}}, 1, &scores, 1);
        if (failed) return failed;
        const float *last = cj_tensor_map_read(scores);
        memmove(x, x + 1, (LENGTH - 1) * sizeof *x);
        x[LENGTH - 1] = pick(last + (ptrdiff_t)(LENGTH - 1) * LETTERS, 0.5);
        putchar(x[LENGTH - 1]);
    }
    printf("\n");
    cj_tensor_free(scores);
    return CJ_OK;
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 300;
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;

    cj_model *m = cj_model_new(cj);
    cj_graph *g = cj_model_graph(m);
    cj_dim batch = cj_symbol(g, "batch");
    cj_node *letters = cj_placeholder(g, "letters", CJ_I32, CJ_DIMS(batch, LENGTH));
    cj_node *next = cj_placeholder(g, "next", CJ_I32, CJ_DIMS(batch, LENGTH));
    cj_node *scores = gpt(letters);
    cj_node *loss = cj_mean(cj_sparse_softmax_crossentropy(scores, next));

    cj_node *parameters[64] = {NULL}, *slopes[64];
    int n = cj_graph_parameter_count(g);
    for (int i = 0; i < n && i < 64; i++) parameters[i] = cj_graph_parameter_at(g, i);
    cj_grad(loss, parameters, n, slopes);
    cj_program *training = cj_compile(g, .outputs = {loss}, .training = true,
                                      .updates = cj_updates("adam", parameters, slopes, n,
                                                            .learning_rate = 3e-3));
    cj_program *reading = cj_compile(g, .outputs = {scores});
    cj_session *learner = cj_session_new(training, cj_graph_store(g)),
               *writer = cj_session_new(reading, cj_graph_store(g));
    cj_tensor *from = cj_tensor_new(cj, CJ_I32, 2, (int64_t[]){BATCH, LENGTH}),
              *to = cj_tensor_new(cj, CJ_I32, 2, (int64_t[]){BATCH, LENGTH}),
              *window = cj_tensor_new(cj, CJ_I32, 2, (int64_t[]){1, LENGTH}), *value = NULL;
    cj_status failed = learner && writer && window ? CJ_OK : cj_last_status(cj);
    if (failed) fprintf(stderr, "%s\n", cj_message(cj));

    double now = 0;
    for (int i = 0; i < steps && !failed; i++) {
        failed = learn(learner, letters, next, from, to, &value);
        if (failed) fprintf(stderr, "%s\n", cj_session_message(learner));
        else now = *(const float *)cj_tensor_map_read(value);
        if (i % 50 == 0 || i + 1 == steps) printf("step %4d: loss %.3f\n", i, now);
    }
    if (!failed && (failed = sample(writer, letters, window, 200)))
        fprintf(stderr, "%s\n", cj_session_message(writer));

    cj_session_free(learner), cj_session_free(writer);
    cj_program_free(training), cj_program_free(reading);
    cj_tensor_free(from), cj_tensor_free(to), cj_tensor_free(window), cj_tensor_free(value);
    cj_context_free(cj);
    return !failed && now < 2 ? 0 : 1;
}
