/* test_strings.c: texts as elements: of several threads at once, of several contexts, printed, and
 * when memory fails. Printing of arrays is test_print.c's; here are the types that numpy lacks. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cajal/graph.h>
#include <cajal/io.h>
#include <cajal/run.h>

#include "base/strings.h"
#include "faults.h"
#include "golden.h"
#include "tensor/tensor.h"

#define SHAPE(...) (const int64_t[]){__VA_ARGS__}

static cj_tensor *texts_of(cj_context *cj, const char *a, const char *b)
{
    cj_tensor *t = cj_tensor_from_strings(cj, 1, SHAPE(2), (const char *const[]){a, b});
    assert_non_null(t);
    return t;
}

/* ---- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, TEXTS = 3000 };

typedef struct worker {
    cj_context cj; /* a child: its own message */
    int first;
    bool failed;
    uint64_t numbers[TEXTS];
} worker;

/* Every thread adds the same texts, in an order of its own, and asks for those that it has. */
static void *add_and_ask(void *arg)
{
    worker *w = arg;
    char text[32];
    for (int k = 0; k < TEXTS; k++) {
        const int i = (w->first + k) % TEXTS;
        snprintf(text, sizeof text, "text %d", i);
        w->failed = w->failed || cj__string_number(&w->cj, text, strlen(text), &w->numbers[i]);
        const int j = (w->first + k / 2) % TEXTS;
        snprintf(text, sizeof text, "text %d", j);
        w->failed = w->failed || strcmp(cj__string_text(&w->cj, w->numbers[j]), text) != 0;
    }
    return NULL;
}

static void threads_agree_on_numbers(void **state)
{
    static worker workers[THREADS];
    pthread_t threads[THREADS];
    cj_context *cj = cj_context_new(NULL);
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        workers[i].first = i * TEXTS / THREADS;
        cj__context_init_child(&workers[i].cj, cj);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_ask, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_false(workers[i].failed);
        assert_memory_equal(workers[i].numbers, workers[0].numbers, sizeof workers[0].numbers);
        cj__context_release_child(&workers[i].cj);
    }
    /* Each text once: the numbers are 1 to TEXTS. */
    static bool seen[TEXTS];
    for (int i = 0; i < TEXTS; i++) {
        const uint64_t n = workers[0].numbers[i];
        assert_in_range(n, 1, TEXTS);
        assert_false(seen[n - 1]);
        seen[n - 1] = true;
    }
    assert_string_equal(cj__string_text(cj, TEXTS + 1), "");
    cj_context_free(cj);
}

/* ---- Contexts -------------------------------------------------------------------------------- */

/* The same text has another number in each context. */
static void texts_of_two_contexts(void **state)
{
    cj_context *one = cj_context_new(NULL), *two = cj_context_new(NULL);
    int64_t first;
    (void)state;
    cj_tensor_free(texts_of(two, "x", "y"));
    cj_tensor *a = texts_of(one, "cat", "dog"), *b = texts_of(two, "dog", "cat"),
              *c = texts_of(two, "cat", "dog"), *same = texts_of(one, "cat", "dog");
    assert_true(cj_tensor_equal(a, same));
    assert_true(cj_tensor_equal(a, c));
    assert_true(cj_tensor_close(a, c, 0, 0, &first));
    assert_int_equal(first, -1);
    assert_false(cj_tensor_equal(a, b));
    assert_false(cj_tensor_close(a, b, 0, 0, &first));
    assert_int_equal(first, 0);
    assert_int_equal(cj_tensor_assign(a, b), CJ_OK);
    assert_string_equal(cj_tensor_string(a, 0), "dog");
    assert_true(cj_tensor_equal(a, b));

    cj_graph *g = cj_graph_new(one);
    cj_node *x = cj_placeholder(g, "x", CJ_STRING, 1, SHAPE(2));
    cj_node *kept = cj_constant(g, c);
    cj_graph_output(g, "y", cj_reshape(x, 2, SHAPE(2, 1)));
    cj_graph_output(g, "kept", kept);
    cj_program *p = cj_compile(g);
    cj_session *s = p ? cj_session_new(p, cj_graph_store(g)) : NULL;
    cj_tensor *out[2] = {NULL, NULL};
    if (!s) fail_msg("%s", cj_message(one));
    assert_int_equal(cj_run(s, (cj_feed[]){{x, b}}, 1, out, 2), CJ_ERR_ARGUMENT);
    assert_string_equal(cj_session_message(s), "input 'x' has texts of another context");
    assert_int_equal(cj_run(s, (cj_feed[]){{x, a}}, 1, out, 2), CJ_OK);
    assert_string_equal(cj_tensor_string(out[0], 1), "cat");
    assert_string_equal(cj_tensor_string(out[1], 1), "dog"); /* a constant's texts are copied */
    cj_tensor_free(out[0]), cj_tensor_free(out[1]);
    cj_session_free(s);
    cj_program_free(p);
    cj_graph_free(g);
    cj_tensor_free(a), cj_tensor_free(b), cj_tensor_free(c), cj_tensor_free(same);
    cj_context_free(one);
    cj_context_free(two);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Of 100 texts, so that the table grows; copied, reshaped, saved and read back. */
static cj_status scenario(cj_context *cj, void *arg)
{
    static char storage[100][8];
    const char *texts[100];
    const char *path = CJ_BUILD_DIR "/test_strings_faults.npy";
    cj_tensor *back = NULL;
    (void)arg;
    for (int i = 0; i < 100; i++) {
        snprintf(storage[i], sizeof storage[i], "t%d", i);
        texts[i] = storage[i];
    }
    cj_tensor *t = cj_tensor_from_strings(cj, 2, SHAPE(10, 10), texts),
              *flat = t ? cj_tensor_reshape(t, 1, SHAPE(100)) : NULL,
              *copy = flat ? cj_tensor_copy(flat) : NULL;
    cj_status failed = copy ? CJ_OK : cj_last_status(cj);
    if (!failed) failed = cj_npy_save(cj, path, copy);
    if (!failed) failed = cj_npy_load(cj, path, &back);
    if (!failed && !cj_tensor_equal(copy, back)) failed = CJ_ERR_DATA;
    cj_tensor_free(t), cj_tensor_free(flat), cj_tensor_free(copy), cj_tensor_free(back);
    return failed;
}

/* Texts of another context are copied into a new store and an old tensor. */
static cj_status between_contexts(cj_context *cj, void *arg)
{
    cj_tensor *own = cj_tensor_from_strings(cj, 1, SHAPE(2), (const char *const[]){"", ""});
    cj_graph *g = own ? cj_graph_new(cj) : NULL;
    cj_status failed = g ? cj_tensor_assign(own, arg) : cj_last_status(cj);
    if (!failed && !cj_constant(g, arg)) failed = cj_last_status(cj);
    if (!failed && !cj_tensor_equal(own, arg)) failed = CJ_ERR_DATA;
    cj_graph_free(g);
    cj_tensor_free(own);
    return failed;
}

static void allocation_failures(void **state)
{
    cj_context *other = cj_context_new(NULL);
    cj_tensor *texts = texts_of(other, "cat", "dog");
    (void)state;
    assert_true(faults_sweep_memory(scenario, NULL, NULL, 1) > 200);
    assert_true(faults_sweep_memory(between_contexts, texts, NULL, 1) > 10);
    remove(CJ_BUILD_DIR "/test_strings_faults.npy");
    cj_tensor_free(texts);
    cj_context_free(other);
}

/* ---- Printing of low types ------------------------------------------------------------------- */

static void low_types_are_printed(void **state)
{
    /* As numpy prints its f2: the shortest decimals that are the same elements, aligned. */
    static const struct {
        cj_dtype dtype;
        double values[4];
        const char *text;
    } cases[] = {
        {CJ_I4, {-8, 7, 0, -1}, "[-8  7  0 -1]\n"},
        {CJ_U4, {15, 0, 7, 8}, "[15  0  7  8]\n"},
        {CJ_I2, {-2, 1, 0, -1}, "[-2  1  0 -1]\n"},
        {CJ_U2, {3, 0, 2, 1}, "[3 0 2 1]\n"},
        {CJ_F4E2M1, {6, -0.5, 0, 1.5}, "[ 6.  -0.5  0.   1.5]\n"},
        {CJ_F8E4M3FN, {448, -1.5, 0.25, NAN}, "[448.    -1.5    0.25    nan]\n"},
        {CJ_F8E5M2, {1.5, -0.25, 8, 2}, "[ 1.5  -0.25  8.    2.  ]\n"},
        {CJ_F8E8M0, {1, 2, 0.5, 4}, "[1.  2.  0.5 4. ]\n"},
    };
    cj_context *cj = cj_context_new(NULL);
    char found[200];
    (void)state;
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_tensor *t = cj_tensor_new(cj, cases[i].dtype, 1, SHAPE(4));
        for (size_t k = 0; k < 4; k++)
            cj_store_f64(cases[i].dtype, cj__tensor_data(t), k, cases[i].values[k]);
        FILE *f = tmpfile();
        assert_non_null(f);
        cj_tensor_print(t, f);
        rewind(f);
        found[fread(found, 1, sizeof found - 1, f)] = 0;
        fclose(f);
        cj_tensor_free(t);
        assert_string_equal(found, cases[i].text);
    }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_agree_on_numbers),
        cmocka_unit_test(texts_of_two_contexts),
        cmocka_unit_test(allocation_failures),
        cmocka_unit_test(low_types_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
