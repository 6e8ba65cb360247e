/* Fourier transforms of many lengths, spectrograms and what is built on them against numpy, torch,
 * scipy and librosa's formulas; errors. tools/golden/spectra.py made tests/golden/graph/signal.npz.
 */
#include <cajal/signal.h>

#include "nn/nn_golden.h"

static cj_node *golden_input(cj_graph *g, cj_tensors *list, const char *name, const char *part,
                             cj_dtype dtype)
{
    cj_tensor *cast = cj_tensor_cast(golden_get(list, name, part), dtype);
    char full[80];
    snprintf(full, sizeof full, "%s_%s", name, part);
    cj_node *x = (cj_variable)(g, full, cast);
    cj_tensor_free(cast);
    return x;
}

/* Runs nodes without inputs and compares the results. */
static void check(cj_context *cj, cj_graph *g, cj_tensors *list, const char *name,
                  cj_node *const *nodes, const char *const *parts, int n, const char *backend,
                  double tolerance)
{
    cj_tensor *out[4] = {NULL};
    assert_ok(cj, cj_graph_failed(g));
    cj_compile_opts how = {.struct_size = sizeof how, .output_list = nodes, .n_outputs = n};
    cj_program *program = (cj_compile)(g, &how);
    if (!program) fail_msg("%s", cj_message(cj));
    cj_session_opts opts = {.struct_size = sizeof opts, .backend = backend};
    cj_session *s = cj_session_new_opts(program, cj_graph_store(g), &opts);
    assert_non_null(s);
    if (cj_run(s, NULL, 0, out, n)) fail_msg("%s", cj_session_message(s));
    for (int i = 0; i < n; i++) {
        char what[160];
        snprintf(what, sizeof what, "%s/%s in %s on %s", name, parts[i],
                 cj_dtype_info(cj_tensor_dtype(out[i]))->name, backend ? backend : "the best");
        assert_near(what, out[i], golden_get(list, name, parts[i]), tolerance);
        cj_tensor_free(out[i]);
    }
    cj_session_free(s);
    cj_program_free(program);
}

/* Values are a few units large and sums of n of them: in f32 some units in the last place of the
 * largest. */
static void test_fft(void **state)
{
    (void)state;
    static const int lengths[] = {1, 2, 7, 16, 30, 64, 77, 17, 208, 331};
    static const struct {
        const char *name;
        bool inverse, onesided;
    } kinds[] = {{"complex", false, false},
                 {"inverse", true, false},
                 {"real", false, true},
                 {"back", true, true}};
    cj_context *cj = test_context();
    cj_tensors *list = golden_load(cj, "graph/signal.npz");
    for (size_t i = 0; i < CJ__COUNT(lengths); i++)
        for (size_t k = 0; k < CJ__COUNT(kinds); k++)
            for (int dtype = 0; dtype < 2; dtype++) {
                char name[40];
                snprintf(name, sizeof name, "%s%d", kinds[k].name, lengths[i]);
                cj_graph *g = cj_graph_new(cj);
                cj_node *x = golden_input(g, list, name, "x", dtype ? CJ_F32 : CJ_F64);
                cj_node *y = cj_fft(x, .axis = 1, .length = lengths[i], .inverse = kinds[k].inverse,
                                    .onesided = kinds[k].onesided);
                check(cj, g, list, name, &y, (const char *[]){"y"}, 1, NULL,
                      dtype ? 4e-7 * sqrt(lengths[i]) * 10 : 1e-11);
                cj_graph_free(g);
            }
    cj_tensors_free(list);
    cj_context_free(cj);
}

static void test_spectrograms(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_tensors *list = golden_load(cj, "graph/signal.npz");
    for (int dtype = 0; dtype < 2; dtype++) {
        cj_dtype real = dtype ? CJ_F32 : CJ_F64;
        double tolerance = dtype ? 5e-6 : 1e-11;
        cj_graph *g = cj_graph_new(cj);
        cj_node *x = golden_input(g, list, "signal", "x", real);
        cj_node *hann = cj_hann_window(g, real, 30, true);
        for (int center = 0; center < 2; center++) {
            const char *name = center ? "stft1" : "stft0";
            cj_node *y = cj_stft(x, .frame_length = 30, .hop = 8, .window = hann, .center = center),
                    *dy = golden_input(g, list, name, "dy", real), *dx = NULL;
            assert_ok(cj, cj_vjp(&y, &dy, 1, &x, 1, &dx));
            check(cj, g, list, name, (cj_node *[]){y, dx}, (const char *[]){"y", "dx"}, 2, NULL,
                  tolerance * 4);
        }
        cj_node *back = cj_istft(golden_input(g, list, "istft", "x", real), 0, .frame_length = 30,
                                 .hop = 8, .window = hann, .center = true);
        check(cj, g, list, "istft", &back, (const char *[]){"y"}, 1, NULL, tolerance);
        cj_node *windows[] = {cj_hann_window(g, real, 30, true), cj_hann_window(g, real, 30, false),
                              cj_hamming_window(g, real, 30, true),
                              cj_blackman_window(g, real, 30, false)};
        check(cj, g, list, "window", windows,
              (const char *[]){"hann1", "hann0", "hamming1", "blackman0"}, 4, NULL, tolerance);
        cj_mel_opts slaney = {.sample_rate = 16000, .frame_length = 256, .mels = 20},
                    htk = {.sample_rate = 8000, .frame_length = 200, .mels = 12, .low = 100,
                           .high = 3500, .htk = true, .no_norm = true};
        cj_node *filters[] = {cj_mel_filters(g, real, &slaney), cj_mel_filters(g, real, &htk)};
        check(cj, g, list, "mel", filters, (const char *[]){"slaney", "htk"}, 2, NULL, tolerance);
        cj_mel_opts mel = {.sample_rate = 8000, .frame_length = 64, .hop = 16, .mels = 10},
                    log_mel = mel;
        log_mel.log = true;
        cj_node *heard[] = {(cj_mel_spectrogram)(x, &mel), (cj_mel_spectrogram)(x, &log_mel),
                            (cj_mfcc)(x, 6, &mel)};
        check(cj, g, list, "mel", heard, (const char *[]){"spectrogram", "log", "mfcc"}, 3, NULL,
              dtype ? 2e-4 : 1e-9); /* decibels: a logarithm of what may be small */
        cj_graph_free(g);
    }
    cj_tensors_free(list);
    cj_context_free(cj);
}

/* From spectrogram to signal again, with a symbol of samples. */
static void test_symbols(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    cj_dim samples = cj_symbol(g, "samples");
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 2, (cj_dim[]){2, samples});
    cj_node *window = cj_hann_window(g, CJ_F32, 16, true);
    cj_node *s = cj_stft(x, .frame_length = 16, .hop = 4, .window = window, .center = true);
    cj_node *y = cj_istft(s, 0, .frame_length = 16, .hop = 4, .window = window, .center = true);
    cj_node *outputs[] = {y};
    cj_compile_opts how = {.struct_size = sizeof how, .output_list = outputs, .n_outputs = 1};
    cj_program *program = (cj_compile)(g, &how);
    if (!program) fail_msg("%s", cj_message(cj));
    cj_session *session = cj_session_new(program, cj_graph_store(g));
    for (int64_t n = 40; n < 100; n += 28) {
        cj_tensor *in = cj_tensor_new(cj, CJ_F32, 2, (int64_t[]){2, n}), *out = NULL;
        float *v = cj_tensor_map(in, CJ_MAP_WRITE);
        for (int64_t i = 0; i < 2 * n; i++) v[i] = (float)(i * 37 % 101) / 50 - 1;
        cj_tensor_unmap(in);
        if (cj_run(session, (cj_feed[]){{x, in}}, 1, &out, 1))
            fail_msg("%s", cj_session_message(session));
        assert_near("signal", out, in, 1e-6);
        cj_tensor_free(in);
        cj_tensor_free(out);
    }
    cj_session_free(session);
    cj_program_free(program);
    cj_context_free(cj);
}

/* As many samples as frames cover, around samples: what is known, then what is not as zeros. */
static void test_all_samples(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    float v[24];
    for (int i = 0; i < 24; i++) v[i] = (float)(i * 37 % 101) / 50 - 1;
    cj_tensor *t = cj_tensor_from(cj, CJ_F32, 2, (int64_t[]){1, 24}, v), *out[1] = {NULL};
    cj_node *window = cj_hann_window(g, CJ_F32, 8, true);
    cj_node *s = cj_stft(cj_constant(g, t), .frame_length = 8, .window = window, .center = true);
    cj_node *y = cj_istft(s, 32, .frame_length = 8, .window = window, .center = true);
    cj_compile_opts how = {.struct_size = sizeof how, .output_list = &y, .n_outputs = 1};
    cj_program *program = (cj_compile)(g, &how);
    if (!program) fail_msg("%s", cj_message(cj));
    cj_session *session = cj_session_new(program, cj_graph_store(g));
    assert_int_equal(cj_run(session, NULL, 0, out, 1), CJ_OK);
    const float *found = cj_tensor_map_read(out[0]);
    for (int i = 0; i < 24; i++) assert_true(fabsf(found[i] - v[i]) < 1e-5F);
    for (int i = 28; i < 32; i++) assert_true(found[i] == 0);
    cj_tensor_free(out[0]);
    cj_tensor_free(t);
    cj_session_free(session);
    cj_program_free(program);
    cj_context_free(cj);
}

static void test_errors(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_graph *g = cj_graph_new(cj);
    assert_null(cj_fft(cj_placeholder(g, "x", CJ_F32, 2, (cj_dim[]){4, 3})));
    assert_non_null(strstr(cj_message(cj), "the last axis is 1 (real) or 2"));
    g = cj_graph_new(cj);
    assert_null(cj_fft(cj_placeholder(g, "x", CJ_F32, 2, (cj_dim[]){4, 2}), .axis = -1));
    assert_non_null(strstr(cj_message(cj), "axis 1 holds the parts of a number, no signal"));
    g = cj_graph_new(cj);
    cj_node *x = cj_placeholder(g, "x", CJ_F32, 2, (cj_dim[]){1, 10});
    assert_null(cj_stft(x, .frame_length = 16));
    assert_non_null(
        strstr(cj_message(cj), "a signal of 10 samples; frames of 16 need 16 at least"));
    g = cj_graph_new(cj);
    x = cj_placeholder(g, "x", CJ_F32, 2, (cj_dim[]){1, 1000});
    assert_null(cj_mel_spectrogram(x, .sample_rate = 8000, .high = 5000));
    assert_non_null(strstr(cj_message(cj), "bands from 0 to 5000 Hz at sample_rate=8000"));
    g = cj_graph_new(cj);
    assert_null(cj_hann_window(g, CJ_F32, 0, true));
    assert_non_null(strstr(cj_message(cj), "window: 0 x 1 numbers of f32"));
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fft),
        cmocka_unit_test(test_spectrograms),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_all_samples),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
