/* Random networks (convolutions, pooling, normalisation, recurrence, attention) mean the same on
 * the fast kernels as in double on the reference kernels without any pass: results, the gradient of
 * the input, and what two steps of gradient descent leave in the store. Channel counts are such
 * that all kinds of convolution and product kernels get their share.
 *
 * Tolerance, against the largest number of a tensor: the networks are at most a dozen layers deep,
 * which keep the size of what they are given; each rounds sums of up to 1000 products in float, an
 * error of about 1e-6, and normalisations and gradients multiply it by what they divide by. Where
 * relu or max pooling chose otherwise for two numbers that are nearly equal, an element of a
 * gradient is another one: there the sum of squared differences is held against that of squares.
 *
 * ctest: timeout 240 */
#include "run_support.h"

#include <cajal/conv.h>
#include <cajal/norm.h>
#include <cajal/pool.h>
#include <cajal/recurrent.h>
#include <cajal/sequence.h>

enum { NETWORKS = 120, LAYERS_MAX = 12, VARIABLES_MAX = 64, STEPS = 2, CLASSES = 5 };
static const double close_to = 1e-4, close_to_kinks = 0.05;

typedef struct network {
    cj_context *cj;
    cj_graph *g;
    cj_dtype dtype;
    bool first;  /* channels are */
    bool smooth; /* no relu, no largest element */
    cj_node *x, *label, *layers[LAYERS_MAX], *variables[VARIABLES_MAX], *loss, *y, *dx;
    int n_layers, n_variables;
    cj_update updates[VARIABLES_MAX + 1];
} network;

static cj_node *variable(network *net, int rank, const int64_t *dims, double scale, double shift)
{
    char name[16];
    assert_true(net->n_variables < VARIABLES_MAX);
    snprintf(name, sizeof name, "v%d", net->n_variables);
    cj_tensor *t = cj_tensor_new(net->cj, net->dtype, rank, dims);
    assert_non_null(t);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) /* the same numbers in f32 and f64 */
        cj_store_f64(net->dtype, data, (size_t)i, (float)(random_real() * scale + shift));
    cj_tensor_unmap(t);
    cj_node *v = cj_parameter(net->g, name, t);
    cj_tensor_free(t);
    return net->variables[net->n_variables++] = v;
}

static int64_t channels(const network *net, const cj_node *x)
{
    return cj_node_dim(x, net->first ? 1 : cj_node_rank(x) - 1);
}
static int64_t side(const network *net, const cj_node *x, int axis)
{
    return cj_node_dim(x, (net->first ? 2 : 1) + axis);
}

static int64_t any_channels(void)
{
    static const int64_t counts[] = {3, 8, 16, 24, 32, 33, 48, 64};
    return counts[random_below((int)CJ__COUNT(counts))];
}

/* ---- Layers ---------------------------------------------------------------------------------- */

static cj_node *random_activation(network *net, cj_node *x)
{
    switch (random_below(net->smooth ? 5 : 8)) {
    case 0: return cj_tanh(x);
    case 1: return cj_gelu(x);
    case 2: return cj_silu(x);
    case 3: return cj_sigmoid(x);
    case 4: return cj_softplus(x);
    case 5: return cj_leaky_relu(x, 0.1);
    default: return cj_relu(x);
    }
}

static cj_node *random_conv(network *net, cj_node *x)
{
    const int64_t in = channels(net, x), k = 1 + 2 * random_below(3);
    const int kind = random_below(6);
    const int64_t out = kind == 0 ? in : any_channels();
    const int64_t groups = kind == 0 ? in : kind == 1 && in % 2 == 0 && out % 2 == 0 ? 2 : 1;
    const double fan = (double)(in / groups * k * k);
    cj_conv_opts o = {.struct_size = sizeof o,
                      .groups = groups,
                      .channel_axis = net->first ? 1 : -1,
                      .padding = "same"};
    cj_node *w = variable(net, 4, (int64_t[]){out, in / groups, k, k}, sqrt(3 / fan), 0);
    o.strides[0] = 1 + (random_below(4) == 0);
    if (random_below(4) == 0) o.dilations[0] = 2;
    if (k <= side(net, x, 0) && k <= side(net, x, 1) && !o.dilations[0] && random_below(3) == 0)
        o.padding = "valid";
    if (random_below(2)) o.bias = variable(net, 1, &out, 0.2, 0);
    return (cj_conv)(x, w, &o);
}

static cj_node *random_transpose(network *net, cj_node *x)
{
    const int64_t in = channels(net, x), out = any_channels();
    if (side(net, x, 0) > 8 || side(net, x, 1) > 8) return NULL;
    cj_node *w = variable(net, 4, (int64_t[]){in, out, 3, 3}, sqrt(3 / (double)(in * 3)), 0);
    return cj_conv_transpose(x, w, .strides = {2}, .padding = "same",
                             .channel_axis = net->first ? 1 : -1);
}

static cj_node *random_pool(network *net, cj_node *x)
{
    const int64_t k = 2 + random_below(2);
    cj_pool_opts o = {.struct_size = sizeof o,
                      .kernel = {k, k},
                      .strides = {2, 2},
                      .channel_axis = net->first ? 1 : -1,
                      .ceil_mode = random_below(2)};
    if (side(net, x, 0) < 4 || side(net, x, 1) < 4) return NULL;
    if (k == 3 && random_below(2)) o.pads_before[0] = o.pads_before[1] = 1;
    o.count_include_pad = random_below(2);
    if (!net->smooth && random_below(2)) return (cj_max_pool)(x, &o);
    if (random_below(5)) return (cj_avg_pool)(x, &o);
    return (cj_lp_pool)(cj_shift(cj_sigmoid(x), 0.1), &o); /* its gradient bends at 0 */
}

static cj_node *random_norm(network *net, cj_node *x)
{
    int64_t c = channels(net, x);
    cj_norm_opts o = {.struct_size = sizeof o, .channel_axis = net->first ? 1 : -1, .epsilon = 0.1};
    const int kind = random_below(net->first ? 3 : 5);
    if (kind > 2) o.channel_axis = 0;
    if (random_below(3)) {
        o.scale = variable(net, 1, &c, 0.5, 1);
        if (kind != 4) o.shift = variable(net, 1, &c, 0.5, 0);
    }
    switch (kind) {
    case 0: return (cj_batch_norm)(x, &o);
    case 1: o.groups = c % 8 ? c : c / 8; return (cj_group_norm)(x, &o);
    case 2: return (cj_instance_norm)(x, &o);
    case 3: return (cj_layer_norm)(x, &o);
    default: return (cj_rms_norm)(x, &o);
    }
}

static bool same_shape(const cj_node *a, const cj_node *b)
{
    bool same = cj_node_rank(a) == cj_node_rank(b);
    for (int i = 0; same && i < cj_node_rank(a); i++) same = cj_node_dim(a, i) == cj_node_dim(b, i);
    return same;
}

/* The sum with a layer before, as in residual networks. */
static cj_node *random_sum(network *net, cj_node *x)
{
    for (int tries = 0; tries < 6 && net->n_layers > 1; tries++) {
        cj_node *other = net->layers[random_below(net->n_layers - 1)];
        if (!same_shape(x, other)) continue;
        cj_node *sum = cj_scale(cj_add(x, other), 0.7);
        return net->smooth || random_below(2) ? sum : cj_relu(sum);
    }
    return NULL;
}

static cj_node *dense(network *net, cj_node *x, int64_t units)
{
    const int64_t in = cj_node_dim(x, cj_node_rank(x) - 1);
    cj_node *w = variable(net, 2, (int64_t[]){in, units}, sqrt(3 / (double)in), 0);
    return cj_add(cj_matmul(x, w), variable(net, 1, &units, 0.2, 0));
}

/* [batch, steps, channels] -> the same with other channels. */
static cj_node *random_recurrent(network *net, cj_node *x)
{
    static cj_node *(*const builds[])(cj_node *, cj_node *, cj_node *,
                                      const cj_recurrent_opts *) = {(cj_rnn_node), (cj_lstm_node),
                                                                    (cj_gru_node)};
    static const int64_t gates[] = {1, 4, 3};
    const int cell = random_below(3);
    const int64_t in = cj_node_dim(x, 2), units = 5 + random_below(40), both = random_below(2);
    const double bound = sqrt(1 / (double)units);
    const int64_t d = 1 + both, rows = gates[cell] * units;
    cj_node *w = variable(net, 3, (int64_t[]){d, rows, in}, sqrt(3 / (double)in), 0);
    cj_node *r = variable(net, 3, (int64_t[]){d, rows, units}, bound, 0);
    cj_recurrent_opts o = {.struct_size = sizeof o,
                           .direction = both ? "bidirectional" : "forward",
                           .reset_after = random_below(2)};
    if (random_below(2)) o.bias = variable(net, 2, (int64_t[]){d, 2 * rows}, 0.2, 0);
    if (cell == 1 && random_below(3) == 0)
        o.peepholes = variable(net, 2, (int64_t[]){d, 3 * units}, 0.5, 0);
    return builds[cell](x, w, r, &o);
}

static cj_node *heads(cj_node *x, int64_t n)
{
    return cj_reshape(x, 4, (cj_dim[]){cj_node_dim(x, 0), cj_node_dim(x, 1), n, CJ_INFER});
}

static cj_node *random_attention(network *net, cj_node *x)
{
    const int64_t width = 16, q = 4, kv = 1 << random_below(3), c = cj_node_dim(x, 2);
    cj_node *y = cj_attention(heads(dense(net, x, width * q), q),
                              heads(dense(net, x, width * kv), kv),
                              heads(dense(net, x, width * kv), kv), .causal = random_below(2));
    y = dense(net, cj_reshape(y, 3, (cj_dim[]){cj_node_dim(x, 0), cj_node_dim(x, 1), width * q}),
              c);
    return cj_scale(cj_add(x, y), 0.7);
}

/* ---- Networks -------------------------------------------------------------------------------- */

static void add(network *net, cj_node *x)
{
    if (x && net->n_layers < LAYERS_MAX) net->layers[net->n_layers++] = x;
}

static cj_node *last(const network *net)
{
    return net->layers[net->n_layers - 1];
}

static void add_image_layer(network *net)
{
    cj_node *x = last(net);
    switch (random_below(10)) {
    case 0:
    case 1:
    case 2: add(net, random_conv(net, x)); break;
    case 3: add(net, random_transpose(net, x)); break;
    case 4: add(net, random_pool(net, x)); break;
    case 5:
    case 6: add(net, random_norm(net, x)); break;
    case 7: add(net, random_sum(net, x)); break;
    default: add(net, random_activation(net, x));
    }
}

/* Pixels one after another, or the mean of them all. */
static cj_node *head(network *net, cj_node *x)
{
    cj_node *last_axis = net->first ? cj_transpose(x, ((int64_t[]){0, 2, 3, 1})) : x;
    cj_dim steps = cj_node_dim(last_axis, 1) * cj_node_dim(last_axis, 2);
    cj_node *y = cj_reshape(last_axis, 3, (cj_dim[]){cj_node_dim(x, 0), steps, CJ_INFER});
    if (steps <= 80 && random_below(2)) y = random_attention(net, y);
    if (steps <= 80 && random_below(2)) y = random_recurrent(net, y);
    return cj_reduce_mean(y, 1, (int64_t[]){1}, false);
}

static network build(cj_context *cj, int seed, cj_dtype dtype)
{
    network net = {.cj = cj, .g = cj_graph_new(cj), .dtype = dtype};
    random_state = (uint64_t)seed * 0x9e3779b97f4a7c15u;
    net.first = random_below(3) == 0;
    net.smooth = random_below(2);
    const int64_t h = 5 + random_below(9), w = 5 + random_below(9), c = random_below(2) ? 3 : 16;
    cj_dim batch = cj_symbol(net.g, "batch");
    net.x = cj_placeholder(net.g, "x", dtype, 4,
                           net.first ? (cj_dim[]){batch, c, h, w} : (cj_dim[]){batch, h, w, c});
    net.label = cj_placeholder(net.g, "label", CJ_I32, 1, &batch);
    add(&net, net.x);
    add(&net, random_conv(&net, net.x));
    for (int wanted = 4 + random_below(LAYERS_MAX - 4); net.n_layers < wanted;) {
        add_image_layer(&net);
        if (cj_graph_failed(net.g)) fail_msg("seed %d: %s", seed, cj_message(cj));
    }
    net.y = dense(&net, head(&net, last(&net)), CLASSES);
    net.loss = cj_mean(cj_sparse_softmax_crossentropy(net.y, net.label));
    cj_node *wrt[VARIABLES_MAX + 1] = {net.x}, *slopes[VARIABLES_MAX + 1];
    for (int i = 0; i < net.n_variables; i++) wrt[1 + i] = net.variables[i];
    if (cj_graph_failed(net.g) || cj_grad(net.loss, wrt, 1 + net.n_variables, slopes))
        fail_msg("seed %d: %s", seed, cj_message(cj));
    net.dx = slopes[0];
    for (int i = 0; i < net.n_variables; i++)
        net.updates[i] = (cj_update){wrt[1 + i], cj_sub(wrt[1 + i], cj_scale(slopes[1 + i], 0.1))};
    return net;
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct result {
    cj_tensor *y[STEPS], *dx[STEPS];
    cj_store *store;
} result;

/* Numbers of step `step`, the same ones whatever the dtype. */
static cj_tensor *fed(cj_context *cj, const cj_node *x, cj_dtype dtype, int64_t n, int step)
{
    int64_t dims[4], count = 1;
    for (int i = 0; i < cj_node_rank(x); i++) {
        dims[i] = i ? cj_node_dim(x, i) : n;
        count *= dims[i];
    }
    cj_tensor *t = cj_tensor_new(cj, dtype, cj_node_rank(x), dims);
    void *data = cj_tensor_map(t, CJ_MAP_WRITE);
    random_state = 77 + (uint64_t)step;
    for (int64_t i = 0; i < count; i++) {
        if (dtype == CJ_I32) cj_store_i64(dtype, data, (size_t)i, random_below(CLASSES));
        else cj_store_f64(dtype, data, (size_t)i, (float)(2 * random_real()));
    }
    cj_tensor_unmap(t);
    return t;
}

static result run(network *net, bool no_passes, const char *backend, int threads)
{
    result r = {.store = copy_store(net->cj, cj_graph_store(net->g))};
    cj_program *p = cj_compile(net->g, .outputs = {net->y, net->dx}, .updates = net->updates,
                               .training = true, .no_passes = no_passes);
    if (!p) fail_msg("%s", cj_message(net->cj));
    cj_session_opts how = {.struct_size = sizeof how, .backend = backend, .threads = threads};
    cj_session *s = cj_session_new_opts(p, r.store, &how);
    assert_non_null(s);
    for (int step = 0; step < STEPS; step++) {
        const int64_t n = 2 + step;
        cj_tensor *x = fed(net->cj, net->x, net->dtype, n, step), *out[2] = {NULL},
                  *label = fed(net->cj, net->label, CJ_I32, n, step);
        const cj_feed feeds[] = {{net->x, x}, {net->label, label}};
        assert_ok(cj_run(s, feeds, 2, out, 2), cj_session_message(s));
        r.y[step] = out[0], r.dx[step] = out[1];
        cj_tensor_free(x);
        cj_tensor_free(label);
    }
    cj_session_free(s);
    cj_program_free(p);
    return r;
}

static void release(result *r)
{
    for (int i = 0; i < STEPS; i++) cj_tensor_free(r->y[i]), cj_tensor_free(r->dx[i]);
    cj_store_free(r->store);
}

static int compare(const cj_tensor *expected, const cj_tensor *found, bool kinks, const char *what)
{
    const int64_t n = cj_tensor_count(expected);
    double largest = 0, worst = 0, squares = 0, differences = 0;
    assert_int_equal(n, cj_tensor_count(found));
    for (int64_t i = 0; i < n; i++) {
        const double e = element(expected, i), d = fabs(element(found, i) - e);
        largest = fmax(largest, fabs(e));
        worst = isfinite(d) ? fmax(worst, d) : INFINITY;
        squares += e * e;
        differences += d * d;
    }
    if (worst <= close_to * (largest + 1e-3)) return 0;
    if (kinks && sqrt(differences) <= close_to_kinks * sqrt(squares)) return 0;
    print_error("%s: off by %g, the largest is %g (root of squares: %g of %g)\n", what, worst,
                largest, sqrt(differences), sqrt(squares));
    return 1;
}

static const struct {
    const char *name, *backend;
    bool no_passes;
    int threads;
} ways[] = {{"passes, best kernels", NULL, false, 1},
            {"passes, best kernels, 2 threads", NULL, false, 2},
            {"passes, own kernels", "cpu", false, 1},
            {"no passes, best kernels", NULL, true, 1},
            {"passes, reference kernels", "reference", false, 1}};

static void random_networks(void **state)
{
    (void)state;
    int failures = 0;
    const char *only = getenv("CAJAL_TEST_SEED"); /* to look at one failure */
    const int most = getenv("CAJAL_TEST_LONG") ? 10 * NETWORKS : NETWORKS;
    for (int seed = only ? atoi(only) : 1; seed <= (only ? atoi(only) : most); seed++) {
        cj_context *cj = cj_context_new(NULL);
        network exact = build(cj, seed, CJ_F64), net = build(cj, seed, CJ_F32);
        result expected = run(&exact, true, "reference", 1);
        if (only) cj_graph_print(net.g, stderr);
        for (size_t way = 0; way < CJ__COUNT(ways); way++) {
            result found = run(&net, ways[way].no_passes, ways[way].backend, ways[way].threads);
            char what[120];
            for (int i = 0; i < STEPS; i++) {
                snprintf(what, sizeof what, "%s, seed %d, step %d: y", ways[way].name, seed, i);
                failures += compare(expected.y[i], found.y[i], !net.smooth && i, what);
                snprintf(what, sizeof what, "%s, seed %d, step %d: dx", ways[way].name, seed, i);
                failures += compare(expected.dx[i], found.dx[i], !net.smooth, what);
            }
            for (int i = 0; i < cj_store_count(expected.store); i++) {
                const char *name = cj_store_name_at(expected.store, i);
                snprintf(what, sizeof what, "%s, seed %d: %s", ways[way].name, seed, name);
                failures += compare(cj_store_tensor_at(expected.store, i),
                                    cj_store_get(found.store, name), !net.smooth, what);
            }
            release(&found);
        }
        release(&expected);
        cj_graph_free(exact.g);
        cj_graph_free(net.g);
        assert_int_equal(cj_last_status(cj), CJ_OK);
        cj_context_free(cj);
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
