/* Matrix products on tile registers against the reference and against the CPU backend's gemm.
 *
 *     products   every transposition, odd sizes, several blocks of k and of columns, epilogues,
 *                right operands that are state (kept panels) and that are not
 *     accuracy   of many results, the largest error is not above that of multiply-adds in f32: the
 *                parts left out are below 2^-23 of a product, and an addition rounds by 2^-24 of a
 *                sum, which is larger
 *     infinity   infinite, NaN, and largest operands give what the CPU backend gives, class by
 * class threads    the same bits for 1 to 4
 *
 * Where the processor has no tile registers, everything runs on the reference and only the skip is
 * reported. Tolerance: as in test_onednn.c. */
#include "backend/networks.h"

#include "backend/amx/tiles.h"
#include "runtime/runtime.h"

typedef struct network {
    cj_graph *g;
    cj_node *x, *out[3];
} network;

/* x w with w state and with w computed, and with an epilogue. */
static network products(cj_context *cj, const int64_t size[3], int flags)
{
    network net = {.g = cj_graph_new(cj)};
    const int64_t n = size[0], k = size[1], m = size[2];
    const bool ta = flags & 1, tb = flags & 2;
    net.x = cj_placeholder(net.g, "x", CJ_F32, 2, (cj_dim[]){ta ? k : n, ta ? n : k});
    cj_node *w = variable(cj, net.g, "w", 2, (int64_t[]){tb ? m : k, tb ? k : m});
    cj_node *b = variable(cj, net.g, "b", 1, &m);
    cj_node *moving = cj_add(w, cj_reduce_sum(cj_scale(net.x, 0), 0, NULL, false));
    net.out[0] = cj_matmul_transposed(net.x, w, ta, tb);
    net.out[1] = cj_matmul_transposed(net.x, moving, ta, tb);
    net.out[2] = cj_relu(
        cj_add(cj_add(cj_matmul_transposed(net.x, moving, ta, tb), b), net.out[0]));
    return net;
}

/* How many steps ran on tiles. */
static int run(const network *net, const cj_tensor *x, const char *backend, int threads,
               cj_tensor **out)
{
    cj_program *p = cj_compile(net->g, .outputs = {net->out[0], net->out[1], net->out[2]});
    assert_non_null(p);
    cj_session *s = cj_session_new_opts(
        p, cj_graph_store(net->g),
        &(cj_session_opts){sizeof(cj_session_opts), .backend = backend, .threads = threads});
    assert_non_null(s);
    for (int i = 0; i < 2; i++) /* the second time with panels that were kept */
        assert_ok(cj_run(s, &(cj_feed){cj_program_input(p, "x"), x}, 1, out, 3),
                  cj_session_message(s));
    int on_tiles = 0;
    cj_step_info step;
    for (int i = 0; cj_session_step_at(s, i, &step); i++)
        on_tiles += !strncmp(step.kernel, "amx/", 4);
    cj_session_free(s);
    cj_program_free(p);
    return on_tiles;
}

static const int64_t sizes[][3] = {{96, 96, 48},   {32, 128, 64},    {100, 97, 50},
                                   {127, 545, 65}, {130, 1100, 300}, {260, 200, 900},
                                   {48, 160, 700}, {700, 1030, 130}};

static void test_products(void **state)
{
    (void)state;
    if (!cj__amx_available()) skip();
    cj_context *cj = cj_context_new(NULL);
    int on_tiles = 0, networks = 0;
    for (size_t i = 0; i < CJ__COUNT(sizes); i++)
        for (int flags = 0; flags < 4; flags++, networks++) {
            network net = products(cj, sizes[i], flags);
            cj_tensor *x = random_tensor(cj, CJ_F32, 2, net.x->type.dim), *expected[3] = {0},
                      *found[3] = {0}, *again[3] = {0};
            run(&net, x, "reference", 1, expected);
            on_tiles += run(&net, x, "amx", 1, found);
            for (int k = 0; k < 3; k++) {
                char what[60];
                snprintf(what, sizeof what, "sizes %d, flags %d, output %d", (int)i, flags, k);
                assert_tensors_close(expected[k], found[k],
                                     ldexp(2 * (double)sizes[i][1] + 16, -21), what);
            }
            run(&net, x, "amx", 2 + (int)i % 3, again);
            for (int k = 0; k < 3; k++) assert_tensors_equal(found[k], again[k], "other threads");
            free_tensors(expected, 3);
            free_tensors(found, 3);
            free_tensors(again, 3);
            cj_tensor_free(x);
            cj_graph_free(net.g);
        }
    print_message("%d products of %d networks ran on tiles\n", on_tiles, networks);
    assert_true(on_tiles > networks);
    cj_context_free(cj);
}

static double largest_error(const cj_tensor *a, const cj_tensor *b)
{
    double largest = 0;
    for (int64_t i = 0; i < cj_tensor_count(a); i++)
        largest = fmax(largest, fabs(element(a, i) - element(b, i)));
    return largest;
}

static void test_accuracy(void **state)
{
    (void)state;
    if (!cj__amx_available()) skip();
    cj_context *cj = cj_context_new(NULL);
    for (int positive = 0; positive < 2; positive++) {
        network net = products(cj, (int64_t[]){200, 1500, 128}, 0);
        cj_tensor *x = random_tensor(cj, CJ_F32, 2, net.x->type.dim), *expected[3] = {0},
                  *tiles[3] = {0}, *cpu[3] = {0};
        if (positive) { /* all errors of the parts left out have one sign */
            cj_tensor *both[] = {x, cj_store_get(cj_graph_store(net.g), "w")};
            for (int t = 0; t < 2; t++) {
                float *v = cj_tensor_map(both[t], CJ_MAP_WRITE);
                for (int64_t i = 0; i < cj_tensor_count(both[t]); i++) v[i] = fabsf(v[i]);
                cj_tensor_unmap(both[t]);
            }
        }
        run(&net, x, "reference", 1, expected);
        run(&net, x, "cpu", 1, cpu);
        assert_true(run(&net, x, "amx", 1, tiles) > 0);
        const double on_tiles = largest_error(expected[1], tiles[1]),
                     on_cpu = largest_error(expected[1], cpu[1]);
        print_message("largest error of sums of 1500 %s: %.3g, by multiply-adds %.3g\n",
                      positive ? "positive products" : "products", on_tiles, on_cpu);
        assert_true(on_tiles <= on_cpu);
        free_tensors(expected, 3);
        free_tensors(tiles, 3);
        free_tensors(cpu, 3);
        cj_tensor_free(x);
        cj_graph_free(net.g);
    }
    cj_context_free(cj);
}

static void test_infinity(void **state)
{
    (void)state;
    if (!cj__amx_available()) skip();
    static const float odd[] = {INFINITY, -INFINITY, NAN, 3.4e38f, -3.4e38f, 1e-44f};
    cj_context *cj = cj_context_new(NULL);
    for (size_t i = 0; i < CJ__COUNT(odd); i++)
        for (int flags = 0; flags < 4; flags++) {
            network net = products(cj, sizes[4 + i % 2], flags);
            cj_tensor *x = random_tensor(cj, CJ_F32, 2, net.x->type.dim), *cpu[3] = {0},
                      *tiles[3] = {0};
            float *v = cj_tensor_map(x, CJ_MAP_WRITE);
            v[cj_tensor_count(x) / 3] = odd[i];
            cj_tensor_unmap(x);
            run(&net, x, "cpu", 1, cpu);
            assert_true(run(&net, x, "amx", 1, tiles) > 0);
            for (int64_t e = 0; e < cj_tensor_count(cpu[0]); e++) {
                const double a = element(cpu[0], e), b = element(tiles[0], e);
                if (isnan(a) ? isnan(b) : isinf(a) ? a == b : isfinite(b)) continue;
                print_error("%g in the left operand, flags %d: %g and %g\n", (double)odd[i], flags,
                            a, b);
                fail();
            }
            free_tensors(cpu, 3);
            free_tensors(tiles, 3);
            cj_tensor_free(x);
            cj_graph_free(net.g);
        }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products),
                                       cmocka_unit_test(test_accuracy),
                                       cmocka_unit_test(test_infinity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
