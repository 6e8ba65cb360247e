/* Writing token by token: the cache of keys and values is written where it lies, a step moves the
 * bytes of its own tokens, and the results are those of attention over the whole sequence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cajal/cajal.h>

enum { SAMPLES = 2, HEADS = 4, GROUPS = 2, HEAD = 8, TOKENS = 30, CAPACITY = 4096 };

static void check(cj_context *cj, cj_status failed)
{
    if (failed) fail_msg("%s", cj_message(cj));
}

static cj_tensor *numbers(cj_context *cj, int seed, int64_t tokens, int64_t heads)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){SAMPLES, tokens, heads, HEAD});
    assert_non_null(t);
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        v[i] = (float)((i * 7919 + seed * 104729) % 1013) / 500 - 1;
    cj_tensor_unmap(t);
    return t;
}

/* Positions begin .. begin + n of every sample. */
static cj_tensor *cut(cj_context *cj, const cj_tensor *t, int64_t begin, int64_t n)
{
    int64_t heads = cj_tensor_shape(t)[2], row = heads * HEAD;
    cj_tensor *part = cj_tensor_new(cj, CJ_F32, 4, (int64_t[]){SAMPLES, n, heads, HEAD});
    assert_non_null(part);
    float *to = cj_tensor_map(part, CJ_MAP_WRITE);
    const float *from = cj_tensor_map_read(t);
    for (int64_t i = 0; i < SAMPLES; i++)
        memcpy(to + i * n * row, from + (i * cj_tensor_shape(t)[1] + begin) * row,
               (size_t)(n * row) * sizeof *to);
    cj_tensor_unmap(part);
    return part;
}

typedef struct decoder {
    cj_graph *g;
    cj_node *in[3], *allowed;
    cj_attention_cache cache;
    cj_program *program;
    cj_session *session;
} decoder;

static decoder make(cj_context *cj)
{
    static const char *const names[] = {"q", "k", "v"};
    decoder d = {.g = cj_graph_new(cj)};
    for (int i = 0; i < 3; i++) {
        cj_dim dims[] = {SAMPLES, cj_symbol(d.g, "tokens"), i ? GROUPS : HEADS, HEAD};
        d.in[i] = cj_placeholder(d.g, names[i], CJ_F32, 4, dims);
    }
    d.allowed = cj_placeholder(d.g, "allowed", CJ_BOOL, 0, NULL);
    cj_node *y = cj_attention_cached(d.in[0], d.in[1], d.in[2], "block", &d.cache,
                                     .capacity = CAPACITY);
    const cj_attention_cache *c = &d.cache;
    const cj_update updates[] = {{c->keys, c->new_keys},
                                 {c->values, c->new_values},
                                 {c->position, c->new_position},
                                 {NULL, NULL}};
    check(cj, cj_graph_failed(d.g));
    d.program = cj_compile(d.g, .outputs = {y}, .updates = updates, .commit_if = d.allowed);
    if (!d.program) fail_msg("%s", cj_message(cj));
    d.session = cj_session_new(d.program, cj_graph_store(d.g));
    assert_non_null(d.session);
    return d;
}

/* One step with tokens begin .. begin + n. */
static cj_tensor *step(cj_context *cj, decoder *d, cj_tensor *const *all, int64_t begin, int64_t n,
                       bool allowed)
{
    cj_tensor *parts[4], *y = NULL;
    cj_feed feeds[4];
    for (int i = 0; i < 3; i++) {
        parts[i] = cut(cj, all[i], begin, n);
        feeds[i] = (cj_feed){d->in[i], parts[i]};
    }
    parts[3] = cj_tensor_from(cj, CJ_BOOL, 0, NULL, &allowed);
    feeds[3] = (cj_feed){d->allowed, parts[3]};
    if (cj_run(d->session, feeds, 4, &y, 1)) fail_msg("%s", cj_session_message(d->session));
    for (int i = 0; i < 4; i++) cj_tensor_free(parts[i]);
    return y;
}

/* Attention over all tokens at once. */
static cj_tensor *whole(cj_context *cj, cj_tensor *const *all)
{
    cj_graph *g = cj_graph_new(cj);
    cj_node *x[3];
    for (int i = 0; i < 3; i++) x[i] = cj_constant(g, all[i]);
    cj_node *y = cj_attention(x[0], x[1], x[2], .causal = true);
    cj_program *program = cj_compile(g, .outputs = {y});
    if (!program) fail_msg("%s", cj_message(cj));
    cj_session *s = cj_session_new(program, cj_graph_store(g));
    cj_tensor *out = NULL;
    if (cj_run(s, NULL, 0, &out, 1)) fail_msg("%s", cj_session_message(s));
    cj_session_free(s);
    cj_program_free(program);
    cj_graph_free(g);
    return out;
}

static void assert_part(const cj_tensor *found, cj_tensor *expected)
{
    const float *a = cj_tensor_map_read(found), *b = cj_tensor_map_read(expected);
    assert_int_equal(cj_tensor_count(found), cj_tensor_count(expected));
    for (int64_t i = 0; i < cj_tensor_count(found); i++)
        if (!(fabsf(a[i] - b[i]) < 2e-6f)) /* values up to 1, rounded in two sums instead of one */
            fail_msg("element %lld is %.9g, expected %.9g", (long long)i, a[i], b[i]);
    cj_tensor_free(expected);
}

static void test_equal(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_tensor *all[3];
    for (int i = 0; i < 3; i++) all[i] = numbers(cj, i, TOKENS, i ? GROUPS : HEADS);
    cj_tensor *expected = whole(cj, all);
    decoder d = make(cj);
    static const int64_t sizes[] = {9, 1, 1, 4, 1};
    for (int64_t t = 0, i = 0; t < TOKENS; i++) {
        int64_t n = i < 5 ? sizes[i] : 1;
        /* A step that is not committed leaves the cache as it was. */
        cj_tensor *refused = step(cj, &d, all, (t + 3) % (TOKENS - n), n, false);
        cj_tensor_free(refused);
        cj_tensor *found = step(cj, &d, all, t, n, true);
        assert_part(found, cut(cj, expected, t, n));
        cj_tensor_free(found);
        t += n;
        const int64_t *position = cj_tensor_map_read(cj_store_get(cj_graph_store(d.g),
                                                                  "block/position"));
        assert_int_equal(*position, t);
    }
    cj_session_free(d.session);
    cj_program_free(d.program);
    for (int i = 0; i < 3; i++) cj_tensor_free(all[i]);
    cj_tensor_free(expected);
    cj_context_free(cj);
}

/* The writes are of the commit and go where the variables lie; nothing of the cache's size is in
 * the arena. */
static void test_in_place(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_tensor *all[3];
    for (int i = 0; i < 3; i++) all[i] = numbers(cj, i, TOKENS, i ? GROUPS : HEADS);
    decoder d = make(cj);
    cj_tensor_free(step(cj, &d, all, 0, 1, true));
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    assert_int_equal(cj_session_print(d.session, f), CJ_OK);
    fclose(f);
    char *commit = strstr(text, "commit:");
    assert_non_null(commit);
    int writes = 0;
    for (char *line = text; (line = strstr(line, "update_slice")); line++) {
        assert_true(line > commit);
        char *end = strchr(line, '\n'), *store = strstr(line, "@store");
        assert_true(store && store < end);
        writes++;
    }
    assert_int_equal(writes, 2);
    cj_session_info info;
    cj_session_get_info(d.session, &info);
    assert_true(info.arena_bytes < 16384); /* the cache has 1 MiB */
    free(text);
    cj_session_free(d.session);
    cj_program_free(d.program);
    for (int i = 0; i < 3; i++) cj_tensor_free(all[i]);
    cj_context_free(cj);
}

static void test_errors(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    cj_graph *g = cj_graph_new(cj);
    cj_attention_cache cache;
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 4, (cj_dim[]){2, 1, 4, 8});
    assert_null(cj_attention_cached(x, x, x, "block", &cache, .scale = 1));
    assert_non_null(strstr(cj_message(cj), "attention_cached: capacity=0 is less than 1"));
    g = cj_graph_new(cj);
    x = cj_placeholder(g, "x", CJ_F32, 4, (cj_dim[]){cj_symbol(g, "batch"), 1, 4, 8});
    assert_null(cj_attention_cached(x, x, x, "block", &cache, .capacity = 8));
    assert_non_null(strstr(cj_message(cj), "k is f32[batch, 1, 4, 8]; [samples, positions, heads, "
                                           "numbers] is expected"));
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
