/* decode.c: writing token by token with a cache of keys and values.
 *
 * A decoder's position t attends to the positions up to t. When a text grows by one token, all the
 * keys and values before it are as they were, so they are kept (a key/value cache): a step computes
 * one token's query, key and value, writes the latter two behind the others, and attends.
 *
 *     all at once:     y[0 .. T) = attention(q[0 .. T), k[0 .. T), v[0 .. T))     T^2 scores
 *     token by token:  y[t]      = attention(q[t], cache + k[t], cache + v[t])    t scores
 *
 * Both ways give the same numbers but for rounding. Here a block with random weights does it, a
 * prompt of 8 tokens at once and then one by one. */
#include <cajal/cajal.h>
#include <math.h>

enum {
    CHANNELS = 64,
    HEADS = 4,
    HEAD = CHANNELS / HEADS,
    TOKENS = 40,
    PROMPT = 8,
    CAPACITY = 4096
};

/* Random weights: a graph that is run once. */
static cj_tensor *random_tensor(cj_context *cj, int64_t seed, int rank, const int64_t *dims)
{
    cj_graph *g = cj_graph_new(cj);
    cj_tensor *key = cj_tensor_from(cj, CJ_I64, 1, (int64_t[]){3}, (int64_t[]){seed, 0, 0});
    cj_node *x = cj_scale(cj_random_normal(cj_constant(g, key), CJ_F32, 0, rank, dims), 0.3);
    cj_program *program = cj_compile(g, .outputs = {x});
    cj_session *s = cj_session_new(program, cj_graph_store(g));
    cj_tensor *value = NULL;
    if (s) cj_run(s, NULL, 0, &value, 1);
    cj_session_free(s), cj_program_free(program), cj_tensor_free(key), cj_graph_free(g);
    return value;
}

/* x [1, T, CHANNELS] W as [1, T, HEADS, HEAD] */
static cj_node *project(cj_node *x, cj_node *w)
{
    return cj_reshape(cj_matmul(x, w), 4, (cj_dim[]){1, cj_node_dim(x, 1), HEADS, HEAD});
}

static double largest_difference(const cj_tensor *a, const cj_tensor *b, int64_t at)
{
    const float *x = cj_tensor_map_read(a), *y = cj_tensor_map_read(b);
    double worst = 0;
    for (int64_t i = 0; i < cj_tensor_count(b); i++)
        worst = fmax(worst, fabs((double)x[at + i] - y[i]));
    return worst;
}

int main(void)
{
    cj_context *cj = cj_context_new(NULL);
    if (!cj) return 1;
    cj_graph *g = cj_graph_new(cj);
    cj_node *w[3];
    const char *const names[] = {"query", "key", "value"};
    for (int i = 0; i < 3; i++) {
        cj_tensor *t = random_tensor(cj, i + 1, 2, (int64_t[]){CHANNELS, CHANNELS});
        w[i] = cj_parameter(g, names[i], t);
        cj_tensor_free(t);
    }

    /* All at once. */
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 3, (cj_dim[]){1, TOKENS, CHANNELS});
    cj_node *all = cj_attention(project(x, w[0]), project(x, w[1]), project(x, w[2]),
                                .causal = true);
    cj_program *whole = cj_compile(g, .outputs = {all});

    /* As many tokens as come. */
    cj_node *some = cj_placeholder(g, "some", CJ_F32, 3,
                                   (cj_dim[]){1, cj_symbol(g, "tokens"), CHANNELS});
    cj_attention_cache cache;
    cj_node *y = cj_attention_cached(project(some, w[0]), project(some, w[1]), project(some, w[2]),
                                     "block", &cache, .capacity = CAPACITY);
    const cj_update updates[] = {{cache.keys, cache.new_keys},
                                 {cache.values, cache.new_values},
                                 {cache.position, cache.new_position},
                                 {NULL, NULL}};
    cj_program *step = cj_compile(g, .outputs = {y}, .updates = updates);
    cj_session *at_once = cj_session_new(whole, cj_graph_store(g)),
               *stepwise = cj_session_new(step, cj_graph_store(g));
    if (!at_once || !stepwise) return fprintf(stderr, "%s\n", cj_message(cj)), 1;

    cj_tensor *text = random_tensor(cj, 9, 3, (int64_t[]){1, TOKENS, CHANNELS}), *expected = NULL;
    cj_status failed = cj_run(at_once, (cj_feed[]){{x, text}}, 1, &expected, 1);
    double worst = 0;
    for (int t = 0; t < TOKENS && !failed;) {
        int now = t ? 1 : PROMPT;
        const float *from = cj_tensor_map_read(text);
        cj_tensor *part = cj_tensor_from(cj, CJ_F32, 3, (int64_t[]){1, now, CHANNELS},
                                         from + t * CHANNELS),
                  *found = NULL;
        failed = cj_run(stepwise, (cj_feed[]){{some, part}}, 1, &found, 1);
        if (!failed) worst = fmax(worst, largest_difference(expected, found, t * CHANNELS));
        cj_tensor_free(part), cj_tensor_free(found);
        t += now;
    }
    if (failed) fprintf(stderr, "%s\n", cj_session_message(stepwise));
    printf("%d tokens, a prompt of %d and then one by one: the largest difference is %.1e\n",
           TOKENS, PROMPT, worst);
    printf("what a step does:\n");
    cj_session_print(stepwise, stdout);

    cj_session_free(at_once), cj_session_free(stepwise);
    cj_program_free(whole), cj_program_free(step);
    cj_tensor_free(text), cj_tensor_free(expected);
    cj_context_free(cj);
    return !failed && worst < 1e-5 ? 0 : 1;
}
