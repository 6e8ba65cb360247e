/* zoo_support.h: networks of the zoo against the ones of torchvision and PyTorch
 * (tools/golden/zoo.py): as many parameters, and the same results from the same weights, which are
 * loaded by PyTorch's names. Weights and pictures are functions of a name and an index, computed
 * here as there. */
#ifndef CAJAL_TESTS_NN_ZOO_SUPPORT_H
#define CAJAL_TESTS_NN_ZOO_SUPPORT_H

#include <cajal/zoo.h>

#include "nn_golden.h"

#include "nn/model.h"

/* Number `index` of those of a name, in [0, 1). */
static inline double zoo_unit(const char *name, uint32_t index)
{
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    uint32_t x = index * 2654435761u + h;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x / 4294967296.0;
}

static inline bool zoo_ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end);
}

static inline cj_tensor *zoo_tensor(cj_context *cj, const char *name, int rank, const int64_t *dims)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, rank, dims);
    assert_non_null(t);
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    const int64_t n = cj_tensor_count(t);
    const double limit = rank > 1 ? sqrt(6.0 / (double)(n / dims[0])) : 0;
    for (int64_t i = 0; i < n; i++) {
        const double u = zoo_unit(name, (uint32_t)i);
        v[i] = (float)(zoo_ends_in(name, "running_var")         ? 0.5 + u
                       : rank > 1                               ? (2 * u - 1) * limit
                       : zoo_ends_in(name, "weight")            ? 0.5 + 0.5 * u
                                                                : 0.1 * (2 * u - 1));
    }
    cj_tensor_unmap(t);
    return t;
}

/* "conv1.weight 6 1 5 5\n" ... as the weights of a file of PyTorch's. */
static inline cj_tensors *zoo_weights(cj_context *cj, const cj_tensor *keys)
{
    cj_tensors *list = cj_tensors_new(cj);
    const char *p = cj_tensor_map_read(keys), *end = p + cj_tensor_count(keys);
    while (p < end) {
        char line[256], *rest;
        const size_t n = (size_t)((const char *)memchr(p, '\n', (size_t)(end - p)) - p);
        assert_true(n < sizeof line);
        memcpy(line, p, n);
        line[n] = 0;
        p += n + 1;
        int64_t dims[4];
        int rank = 0;
        rest = strchr(line, ' ');
        *rest++ = 0;
        for (char *next; rank < 4; rest = next) {
            dims[rank] = strtoll(rest, &next, 10);
            if (next == rest) break;
            rank++;
        }
        assert_ok(cj, cj_tensors_add(list, line, zoo_tensor(cj, line, rank, dims)));
    }
    cj_tensor_unmap(keys);
    return list;
}

/* Numbers from `from` to 1. */
static inline cj_tensor *zoo_pictures(cj_context *cj, int rank, const int64_t *dims, double from)
{
    cj_tensor *t = cj_tensor_new(cj, CJ_F32, rank, dims);
    assert_non_null(t);
    float *v = cj_tensor_map(t, CJ_MAP_WRITE);
    for (int64_t i = 0; i < cj_tensor_count(t); i++)
        v[i] = (float)((1 - from) * zoo_unit("picture", (uint32_t)i) + from);
    cj_tensor_unmap(t);
    return t;
}

/* "resnet20(shortcut=B)" and more options -> "resnet20(shortcut=B, classes=10)" */
static inline const char *zoo_text(char out[300], int64_t side, int64_t channels, const char *name,
                                   const char *more)
{
    const size_t n = strlen(name);
    const bool open = name[n - 1] == ')';
    snprintf(out, 300, "input %lld %lld %lld, %.*s%s%s)", (long long)side, (long long)side,
             (long long)channels, (int)(n - open), name, open ? ", " : "(", more);
    return out;
}

/* The bound is of the largest result: networks this deep double and halve what goes through them,
 * and all that is rounded on the way is of that size. */
static inline void zoo_close(cj_context *cj, const char *name, cj_tensor *out, const cj_tensor *y)
{
    double largest = 0, worst = 0;
    assert_int_equal(cj_tensor_count(out), cj_tensor_count(y));
    for (int64_t i = 0; i < cj_tensor_count(y); i++) {
        const double a = value_of(cj, out, i), b = value_of(cj, (cj_tensor *)(uintptr_t)y, i);
        largest = fmax(largest, fabs(b));
        worst = isnan(a) ? INFINITY : fmax(worst, fabs(a - b));
    }
    if (!(worst <= 1e-4 * largest))
        fail_msg("%s: off by %g where the largest is %g", name, worst, largest);
}

static inline cj_session *zoo_session(cj_program *p, cj_model *m, const char *backend)
{
    cj_session *s = cj_session_new_opts(p, cj_model_store(m),
                                        &(cj_session_opts){.struct_size = sizeof(cj_session_opts),
                                                           .backend = backend});
    assert_non_null(s);
    return s;
}

static inline void zoo_same_results(cj_context *cj, cj_tensors *golden, const char *name,
                                    cj_model *m, const char *backend, int64_t side)
{
    cj_graph *g = cj_model_graph(m);
    cj_node *x = cj_graph_input_at(g, 0);
    const cj__layers *layers = cj__layers_of(g);
    int n = 0;
    cj_node *results[3] = {cj_graph_output_at(g, 0)};
    for (const cj__auxiliary *a = layers->auxiliaries; a; a = a->next) {
        assert_in_range(n, 0, 1);
        results[++n] = a->x;
    }
    cj_program *p = cj_compile(g, .outputs = {results[0], results[1], results[2]});
    if (!p) fail_msg("%s: %s", name, cj_message(cj));
    cj_session *s = zoo_session(p, m, backend);
    const int64_t dims[] = {2, side, side, cj_node_dim(x, 3)};
    cj_tensor *pictures = zoo_pictures(cj, 4, dims, -1), *out[3] = {NULL};
    if (cj_run(s, (cj_feed[]){{x, pictures}}, 1, out, 1 + n))
        fail_msg("%s: %s", name, cj_session_message(s));
    zoo_close(cj, name, out[0], golden_get(golden, name, "y"));
    for (int i = 0; i < n; i++)
        zoo_close(cj, name, out[1 + i], golden_get(golden, name, i ? "auxiliary1" : "auxiliary0"));
    cj_tensor_free(pictures);
    for (int i = 0; i <= n; i++) cj_tensor_free(out[i]);
    cj_session_free(s);
    cj_program_free(p);
}

/* The network as it is by default has as many parameters as PyTorch's, if those are in the file. */
static inline void zoo_count(cj_tensors *golden, const char *name)
{
    cj_tensor *expected = golden_find(golden, name, "count");
    if (!expected) return;
    cj_context *cj = test_context();
    cj_model_counts counts;
    cj_model *m = cj_model_from_text(cj, name, NULL, 0);
    if (!m) fail_msg("%s: %s", name, cj_message(cj));
    assert_ok(cj, cj_model_count(m, &counts));
    assert_int_equal(counts.trainable, (int64_t)value_of(cj, expected, 0));
    cj_context_free(cj);
}

/* Parameters with the default number of classes, results with 10. */
static inline void zoo_check(cj_tensors *golden, const char *name, bool reference)
{
    cj_context *cj = test_context();
    char text[300];
    const int64_t channels = strstr("lenet5 cnn", name) ? 1 : 3;
    const int64_t side = (int64_t)value_of(cj, golden_get(golden, name, "size"), 0);
    golden_get(golden, name, "count");
    zoo_count(golden, name);
    cj_model *m = cj_model_from_text(cj,
                           zoo_text(text, side, channels, name,
                                    strcmp(name, "detector") ? "classes=10, activation=linear"
                                                             : "classes=10"),
                           NULL, 0);
    if (!m) fail_msg("%s: %s", name, cj_message(cj));
    cj_tensors *weights = zoo_weights(cj, golden_get(golden, name, "keys"));
    assert_ok(cj, cj_set_weights(m, weights));
    cj_tensors_free(weights);
    for (int b = 0; b < (reference ? 2 : 1); b++)
        zoo_same_results(cj, golden, name, m, backends[b], side);
    cj_context_free(cj);
}

static inline double zoo_run(cj_context *cj, cj_session *s, const char *name, const cj_feed *feeds,
                             cj_tensor **out)
{
    (void)cj;
    if (cj_run(s, feeds, 3, out, 2)) fail_msg("%s: %s", name, cj_session_message(s));
    return value_of(cj, out[0], 0);
}

/* A step down the gradient lowers the loss by what the gradient says, 0.2 % of it: between a third
 * and three times that, for it is bent. The feeds are what the loss needs. */
static inline void zoo_falls(cj_context *cj, const char *name, cj_model *m, cj_node *loss,
                             const cj_feed given[2])
{
    cj_graph *g = cj_model_graph(m);
    const int n = cj_graph_parameter_count(g);
    cj_node **p = calloc(2 * (size_t)n, sizeof *p), *norm = cj_scalar(g, CJ_F64, 0);
    for (int i = 0; i < n; i++) p[i] = cj_graph_parameter_at(g, i);
    assert_ok(cj, cj_grad(loss, p, n, p + n));
    for (int i = 0; i < n; i++)
        norm = cj_add(norm, cj_sum(cj_square(cj_cast(cj_zero_as(p[n + i], p[i]), CJ_F64))));
    cj_node *rate = cj_placeholder(g, "rate", CJ_F64, CJ_SCALAR);
    const cj_update *updates = cj_updates("sgd", p, p + n, n, .learning_rate_node = rate);
    cj_program *program = cj_compile(g, .outputs = {loss, norm}, .updates = updates,
                                     .training = true);
    if (!program) fail_msg("%s: %s", name, cj_message(cj));
    cj_session *s = cj_session_new(program, cj_model_store(m));
    cj_tensor *step = cj_tensor_scalar(cj, CJ_F64, 0), *out[2] = {NULL, NULL};
    const cj_feed feeds[3] = {given[0], given[1], {rate, step}};
    const double first = zoo_run(cj, s, name, feeds, out), expected = 0.002 * first;
    *(double *)cj_tensor_map(step, CJ_MAP_WRITE) = expected / value_of(cj, out[1], 0);
    cj_tensor_unmap(step);
    zoo_run(cj, s, name, feeds, out); /* the step is made with the loss of before */
    const double fell = first - zoo_run(cj, s, name, feeds, out);
    if (!(fell > expected / 3 && fell < expected * 3))
        fail_msg("%s: the loss %g fell by %g, not by about %g", name, first, fell, expected);
    free(p);
    cj_tensor_free(out[0]);
    cj_tensor_free(out[1]);
    cj_tensor_free(step);
    cj_session_free(s);
    cj_program_free(program);
}

/* The model of a network's sample; *rank and dims: of a batch of 4. Small pictures are taken twice
 * as large: a norm over four numbers, as there are where one of 32x32 has become one pixel, is no
 * smooth function. */
static inline cj_model *zoo_sample(cj_context *cj, const char *name, int *rank, int64_t dims[4])
{
    const cj_network *row = cj_network_find(cj, name);
    assert_non_null(row);
    char text[300];
    const char *colon = strchr(row->sample, ':');
    int n = snprintf(text, sizeof text, "input");
    dims[0] = 4;
    *rank = 1;
    for (const char *p = colon; p && *rank < 4; p = strchr(p + 1, ','))
        dims[(*rank)++] = atoll(p + 1);
    const bool small = *rank == 4 && dims[1] <= 32 && strncmp(name, "lenet", 5) != 0; /* 28x28 */
    for (int i = 1; i < 3 && small; i++) dims[i] *= 2;
    for (int i = 1; i < *rank; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %lld", (long long)dims[i]);
    snprintf(text + n, sizeof text - (size_t)n, ", %s(%.*s)", name, (int)(colon - row->sample),
             row->sample);
    cj_model *m = cj_model_from_text(cj, text, NULL, 1);
    if (!m) fail_msg("%s: %s", name, cj_message(cj));
    return m;
}

static inline void zoo_learns(const char *name)
{
    cj_context *cj = test_context();
    int64_t dims[4];
    int rank;
    cj_model *m = zoo_sample(cj, name, &rank, dims);
    cj_graph *g = cj_model_graph(m);
    cj_node *x = cj_graph_input_at(g, 0), *y = cj_graph_output_at(g, 0);
    cj_node *label = cj_placeholder(g, "label", CJ_I32, CJ_DIMS(cj_node_dim(y, 0)));
    cj_node *loss = cj_mean(cj_loss_node(y, label, "sparse_categorical_crossentropy"));
    cj_tensor *pictures = zoo_pictures(cj, rank, dims, 0),
              *labels = cj_tensor_from(cj, CJ_I32, 1, dims, (int32_t[]){0, 1, 2, 1});
    zoo_falls(cj, name, m, loss, (cj_feed[]){{x, pictures}, {label, labels}});
    cj_tensor_free(pictures);
    cj_tensor_free(labels);
    cj_context_free(cj);
}

#endif
