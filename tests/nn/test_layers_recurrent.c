/* simple_rnn, lstm and gru as layers: shapes and parameters, directions, states, what is said about
 * wrong options; the orthogonal initializer. What the cells compute is tested in
 * tests/graph/test_recurrent.c, saving and training of every layer in test_layers.c. */
#include "nn_support.h"

#include <cajal/layers.h>

#include <math.h>

static void expect(cj_node *y, const char *shape)
{
    assert_non_null(y);
    assert_string_equal(shape_of(y), shape);
}

static void test_shapes(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_node *x = cj_input(m, "x", 7, 4);
    expect(cj_simple_rnn(x, .units = 3), "[batch, 3]");
    expect(cj_lstm(x, .units = 3, .return_sequences = true), "[batch, 7, 3]");
    expect(cj_gru(x, .units = 3, .bidirectional = true), "[batch, 6]");
    expect(cj_gru(x, .units = 3, .bidirectional = true, .merge_mode = "sum"), "[batch, 3]");
    expect(cj_lstm(x, .units = 3, .bidirectional = true, .return_sequences = true),
           "[batch, 7, 6]");
    expect(cj_lstm(x, .units = 5, .projection = 2, .layers = 2), "[batch, 2]");
    cj_node *y = cj_lstm(x, .units = 3, .go_backwards = true, .return_sequences = true);
    expect(y, "[batch, 7, 3]");
    expect(cj_recurrent_state(y, 0), "[1, batch, 3]");
    expect(cj_recurrent_state(y, 1), "[1, batch, 3]");
    y = cj_gru(x, .units = 3, .bidirectional = true, .merge_mode = "ave", .layers = 2);
    expect(cj_recurrent_state(y, 0), "[2, batch, 3]");
    assert_ok(cj, cj_model_failed(m));
    cj_model_free(m);
    cj_context_free(cj);
}

/* Numbers of parameters as Keras counts them. */
static void test_parameters(void **state)
{
    static const struct {
        const char *text;
        int64_t parameters;
    } cases[] = {
        {"input 7 4, simple_rnn 3", 3 * (4 + 3 + 1)},
        {"input 7 4, lstm 3", 4 * 3 * (4 + 3 + 1)},
        {"input 7 4, gru 3", 3 * 3 * (4 + 3 + 2)},
        {"input 7 4, gru 3 reset_before", 3 * 3 * (4 + 3 + 1)},
        {"input 7 4, lstm 3 no_bias", 4 * 3 * (4 + 3)},
        {"input 7 4, lstm 3 bidirectional", 2 * 4 * 3 * (4 + 3 + 1)},
        {"input 7 4, lstm 3 layers=2", 4 * 3 * (4 + 3 + 1) + 4 * 3 * (3 + 3 + 1)},
        {"input 7 4, lstm 3 projection=2", 4 * 3 * (4 + 2 + 1) + 2 * 3},
        {"input 7 4, lstm 3 peepholes", 4 * 3 * (4 + 3 + 1) + 3 * 3},
        {"input 7 4, lstm 3 layers=2 peepholes bidirectional",
         2 * (4 * 3 * (4 + 3 + 1) + 3 * 3 + 4 * 3 * (6 + 3 + 1) + 3 * 3)},
    };
    (void)state;
    cj_context *cj = test_context();
    for (size_t i = 0; i < CJ__COUNT(cases); i++) {
        cj_model *m = cj_model_from_text(cj, cases[i].text, NULL, 1);
        if (!m) fail_msg("%s: %s", cases[i].text, cj_message(cj));
        cj_model_counts counts;
        assert_ok(cj, cj_model_count(m, &counts));
        assert_int_equal(counts.parameters, cases[i].parameters);
        assert_true(counts.multiply_adds >= 7 * 3 * (4 + 2));
        cj_model_free(m);
    }
    cj_context_free(cj);
}

static void test_first_values(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_model *m = cj_model_new(cj);
    cj_lstm(cj_input(m, "x", 7, 4), .units = 5, .peepholes = true);
    assert_ok(cj, cj_model_failed(m));
    cj_tensor *b = cj_store_get(cj_model_store(m), "lstm/bias"),
              *r = cj_store_get(cj_model_store(m), "lstm/recurrent_kernel");
    for (int i = 0; i < 20; i++) assert_true(value_of(cj, b, i) == (i >= 5 && i < 10));
    for (int i = 0; i < 5; i++) /* columns of [20, 5] are orthonormal */
        for (int k = 0; k < 5; k++) {
            double sum = 0;
            for (int row = 0; row < 20; row++)
                sum += value_of(cj, r, row * 5 + i) * value_of(cj, r, row * 5 + k);
            assert_true(fabs(sum - (i == k)) < 1e-6);
        }
    double most = 0; /* glorot_uniform of vectors of 5: up to sqrt(6 / 10); of 15 numbers: 1 / 5 */
    cj_tensor *p = cj_store_get(cj_model_store(m), "lstm/peepholes");
    for (int i = 0; i < 15; i++) most = fmax(most, fabs(value_of(cj, p, i)));
    assert_true(most > sqrt(0.2) && most <= sqrt(0.6));
    cj_model_free(m);
    cj_context_free(cj);
}

#define WRONG(message, ...) \
    do { \
        cj_model *m = cj_model_new(cj); \
        cj_node *x = cj_input(m, "x", 7, 4), *made = __VA_ARGS__; \
        (void)x; \
        assert_null(made); \
        if (!strstr(cj_message(cj), message)) fail_msg("'%s' in '%s'", message, cj_message(cj)); \
        cj_model_free(m); \
    } while (0)

static void test_wrong(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    WRONG("units is required", cj_lstm(x));
    WRONG("merge_mode='max' is not concat, sum, mul or ave",
          cj_lstm(x, .units = 2, .bidirectional = true, .merge_mode = "max"));
    WRONG("[batch, steps, numbers] is expected", cj_gru(cj_input(m, "v", 4), .units = 2));
    WRONG("activation='gelu' is none of", cj_gru(x, .units = 2, .activation = "gelu"));
    WRONG("dropout=1 leaves nothing", cj_lstm(x, .units = 2, .dropout = 1));
    WRONG("initial states go with layers=1",
          cj_lstm(x, .units = 4, .layers = 2, .initial_h = cj_input(m, "h", 4)));
    WRONG("no result of a recurrent layer", cj_recurrent_state(x, 0));
    WRONG("no result of a recurrent layer", cj_recurrent_state(cj_gru(x, .units = 2), 1));
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_first_values),
        cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
