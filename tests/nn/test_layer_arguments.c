/* Arguments that nobody means, for every layer: seeded random options as text on inputs of random
 * shapes give an error with a sentence or a network that runs, forward and backward, and nothing
 * else. Memory is limited, so that sizes that slip through fail here.
 *
 *     test_layer_arguments               all layers
 *     test_layer_arguments conv2d 17     one layer; one set of it
 *
 * ctest: timeout 300 */
#include "nn_support.h"

#include <signal.h>
#include <unistd.h>

#include "nn/model.h"

enum { SETS = 200, HANG_SECONDS = 60, PARAMETERS_MAX = 64 };

static uint64_t state_of_random;
static char now_running[2048];
static int built, runs, failures;

static uint64_t bits(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random * 2685821657736338717u >> 11;
}
static int below(int n)
{
    return (int)(bits() % (uint64_t)n);
}

static void complain(const char *what, const char *message)
{
    print_error("%s\n    %s: %s\n", now_running, what, message);
    failures++;
}

/* ---- Options as text ------------------------------------------------------------------------- */

static const char *odd_integer(void)
{
    static const char *const ends[] = {"-1", "2147483647", "-2147483648", "4294967296",
                                       "9223372036854775807", "-9223372036854775808", "65536",
                                       "1e30", "", "x", "99999999999999999999", "1.5"};
    static const char *const small[] = {"0", "1", "2", "3", "4", "5", "7", "8", "1", "2"};
    return below(4) ? small[below(10)] : ends[below(12)];
}

static const char *odd_real(void)
{
    static const char *const reals[] = {"0", "-1", "0.5", "1", "1e-3", "0.1", "0.9", "2", "inf",
                                        "nan", "1e308", "-0", "", "1e-320"};
    return reals[below(14)];
}

static const char *odd_word(const cj_option *o)
{
    static const char *const texts[] = {"relu", "tanh", "same", "valid", "zeros", "glorot_uniform",
                                        "l2(0.01)", "spectral", "nonsense", "", "(", "max_norm",
                                        "leaky_relu(negative_slope=1e300)", "constant(3)"};
    int n = 0;
    const char *const *words = cj_option_words(o);
    while (words && words[n]) n++;
    return n && below(4) ? words[below(n)] : texts[below(14)];
}

static void odd_text(const cj_layer *row, char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (const cj_option *o = cj_option_row(row->options); o && o->type; o = cj_option_row(o + 1)) {
        bool number = o->type == CJ_OPTION_TYPE_INT || o->type == CJ_OPTION_TYPE_FLOAT ||
                      o->type == CJ_OPTION_TYPE_SIZES,
             required = number && o->min > o->initial; /* or else nearly all sets are one error */
        if (below(10) < (required ? 1 : 7)) continue;
        n += (size_t)snprintf(text + n, size - n, "%s%s=", n ? ", " : "", o->name);
        switch (o->type) {
        case CJ_OPTION_TYPE_BOOL:
            n += (size_t)snprintf(text + n, size - n, "%s", below(2) ? "true" : "false");
            break;
        case CJ_OPTION_TYPE_INT:
            n += (size_t)snprintf(text + n, size - n, "%s", odd_integer());
            break;
        case CJ_OPTION_TYPE_FLOAT:
            n += (size_t)snprintf(text + n, size - n, "%s", odd_real());
            break;
        case CJ_OPTION_TYPE_SIZES:
        case CJ_OPTION_TYPE_INTS:
            n += (size_t)snprintf(text + n, size - n, "[");
            for (int i = below(5); i >= 0; i--)
                n += (size_t)snprintf(text + n, size - n, "%s%s", odd_integer(), i ? ", " : "");
            n += (size_t)snprintf(text + n, size - n, "]");
            break;
        default: n += (size_t)snprintf(text + n, size - n, "%s", odd_word(o)); break;
        }
    }
}

/* ---- Running --------------------------------------------------------------------------------- */

static void run(cj_context *cj, cj_model *m, cj_node *x, cj_node *y)
{
    cj_graph *g = cj_model_graph(m);
    cj_node *p[PARAMETERS_MAX + 1], *dp[PARAMETERS_MAX + 1];
    cj_node *loss = cj_mean(cj_square(cj_cast(y, CJ_F32)));
    int n = cj_graph_parameter_count(g), count = 1;
    const cj_type *type = cj_node_type(x);
    int64_t dims[CJ_RANK_MAX];
    if (n > PARAMETERS_MAX) return;
    for (int i = 0; i < n; i++) p[i] = cj_graph_parameter_at(g, i);
    if (cj_node_dtype(x) == CJ_F32) p[n++] = x;
    if (n && cj_grad(loss, p, n, dp)) {
        complain("no gradient", cj_message(cj));
        return;
    }
    cj_node *outputs[CJ_OUTPUTS_MAX] = {loss};
    for (int i = 0; i < n && count < CJ_OUTPUTS_MAX; i++)
        if (dp[i] && !cj__is_zero(dp[i])) outputs[count++] = dp[i];
    cj_program *program = cj_compile(g, .output_list = outputs, .n_outputs = count,
                                     .training = below(2));
    cj_session *s = program ? cj_session_new(program, cj_model_store(m)) : NULL;
    for (int i = 0; i < type->rank; i++) dims[i] = type->dim[i] < 0 ? below(4) : type->dim[i];
    cj_tensor *t = s ? cj_tensor_new(cj, type->dtype, type->rank, dims) : NULL;
    cj_tensor *out[CJ_OUTPUTS_MAX] = {NULL};
    for (int64_t i = 0; t && i < cj_tensor_count(t); i++)
        cj_store_f64(type->dtype, cj_tensor_map(t, CJ_MAP_WRITE), (size_t)i, below(3));
    cj_feed feed = {cj_program_input_count(program) ? x : NULL, t};
    cj_status failed = t ? cj_run(s, &feed, feed.node != NULL, out, count) : cj_last_status(cj);
    /* Sizes and indices that only a run can tell may be wrong; the message says so. */
    if (failed && failed != CJ_ERR_LIMIT && failed != CJ_ERR_SHAPE && failed != CJ_ERR_ARGUMENT &&
        failed != CJ_ERR_DATA)
        complain("it does not run", s ? cj_session_message(s) : cj_message(cj));
    runs += !failed;
    for (int i = 0; i < count; i++) cj_tensor_free(out[i]);
    cj_tensor_free(t);
    cj_session_free(s);
    cj_program_free(program);
}

static void one_set(cj_context *cj, const cj_layer *row, int seed)
{
    char text[1500];
    int64_t dims[CJ_RANK_MAX];
    state_of_random = ((uint64_t)seed + 1) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 8; i++) bits();
    cj_fail(cj, CJ_OK, "%s", "");
    cj_model *m = cj_model_new(cj);
    cj_graph *g = cj_model_graph(m);
    odd_text(row, text, sizeof text);
    snprintf(now_running, sizeof now_running, "%s %d: %s", row->name, seed, text);
    if (getenv("CAJAL_TEST_TELL")) fprintf(stderr, "%s\n", now_running);
    /* The rank its name tells, often. */
    size_t length = strlen(row->name);
    int digit = length > 2 ? row->name[length - 2] - '0' : 0;
    int rank = digit >= 1 && digit <= 3 ? digit + 2 : 3;
    if (below(6) == 0) rank = below(7);
    for (int i = 0; i < rank; i++) dims[i] = below(8) ? 1 + below(6) : below(2) ? 0 : 13;
    cj_dim sizes[CJ_RANK_MAX];
    for (int i = 0; i < rank; i++) sizes[i] = dims[i];
    if (rank && below(4)) sizes[0] = cj_symbol(g, "batch");
    if (rank > 1 && below(8) == 0) sizes[1] = cj_symbol(g, "time");
    cj_node *x = cj_placeholder(g, "x", below(8) ? CJ_F32 : CJ_I32, rank, sizes);
    cj_node *in[] = {x, x, x};
    cj_node *y = cj_layer_apply(in, below(12) ? 1 : 1 + below(3), row->name, text);
    if (!y && !cj_graph_failed(g)) complain("no node", "and the graph has not failed");
    if (!y && !*cj_message(cj)) complain("the layer failed", "without a message");
    if (y) {
        built++;
        if (cj_graph_verify(g)) complain("the graph", cj_message(cj));
        run(cj, m, x, y);
    }
    cj_model_free(m);
}

static void hung(int number)
{
    (void)number;
    if (write(2, now_running, strlen(now_running)) < 0 || write(2, " hangs\n", 7) < 0) _exit(2);
    _exit(1);
}

static const char *only; /* from the command line */
static int only_set = -1;

static void test_layer_arguments(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(&(cj_config){.memory_limit_bytes = 32 << 20});
    assert_non_null(cj);
    signal(SIGALRM, hung);
    const char *wanted = getenv("CAJAL_TEST_SETS");
    int sets = wanted ? atoi(wanted) : SETS;
    int64_t before = cj_memory_used(cj);
    for (int i = 0; cj_layer_at(cj, i); i++) {
        const cj_layer *row = cj_layer_at(cj, i);
        if (only && strcmp(only, row->name)) continue;
        for (int k = only_set < 0 ? 0 : only_set; k < (only_set < 0 ? sets : only_set + 1); k++) {
            alarm(HANG_SECONDS);
            one_set(cj, row, k);
            alarm(0);
        }
        if (cj_memory_used(cj) != before) complain("bytes are lost", row->name);
        before = cj_memory_used(cj);
    }
    print_message("%d built, %d run\n", built, runs);
    cj_context_free(cj);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    only_set = argc > 2 ? atoi(argv[2]) : -1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layer_arguments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
