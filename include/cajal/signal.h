/* signal.h: graph builders for sound and other signals: Fourier transforms, windows, spectrograms.
 *
 *     cj_node *window = cj_hann_window(g, CJ_F32, 512, true);
 *     cj_node *s = cj_stft(x, .frame_length = 512, .hop = 128, .window = window);
 *     cj_node *mel = cj_mel_spectrogram(x, .sample_rate = 16000, .mels = 80, .log = true);
 *
 * A complex number is a last axis of 2: real and imaginary part, as ONNX has it. A last axis of 1
 * is real. All builders are sticky as those of graph.h are. */
#ifndef CAJAL_SIGNAL_H
#define CAJAL_SIGNAL_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Fourier transform ----------------------------------------------------------------------- */

typedef struct cj_fft_opts {
    size_t struct_size;
    int64_t axis;   /* of the signal; 0: the last before the parts (-2); axis 0 itself: -rank */
    cj_dim length;  /* n: the signal is cut or gets zeros behind; 0: as it is */
    bool inverse;   /* e^(+2 pi i k t / n), divided by n */
    bool onesided; /* the first n/2 + 1 numbers of the spectrum of a real signal; with inverse these
                      are given, and the result is real (last axis 1) */
} cj_fft_opts;
/* Discrete Fourier transform along an axis: X_k = sum of x_t e^(-2 pi i k t / n), ONNX's DFT.
 * x [..., n, ..., 1 or 2] -> [..., n, ..., 2]; any n. With inverse and onesided n is 2 (bins - 1)
 * unless length says it; what is imaginary in bins 0 and n/2 does not count. Differentiable. */
CJ_API cj_node *cj_fft(cj_node *x, const cj_fft_opts *opts);

/* ---- Windows --------------------------------------------------------------------------------- */

/* A constant [length] of the dtype: a0 - a1 cos(2 pi t / n) + a2 cos(4 pi t / n) with n = length
 * (periodic: for spectra) or length - 1 (symmetric). Hann: 0.5, 0.5; Hamming: 0.54, 0.46 (ONNX says
 * 25/46, 21/46); Blackman: 0.42, 0.5, 0.08. */
CJ_API cj_node *cj_cosine_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic,
                                 double a0, double a1, double a2);
CJ_API cj_node *cj_hann_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic);
CJ_API cj_node *cj_hamming_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic);
CJ_API cj_node *cj_blackman_window(cj_graph *g, cj_dtype dtype, int64_t length, bool periodic);

/* ---- Short-time Fourier transform ------------------------------------------------------------ */

typedef struct cj_stft_opts {
    size_t struct_size;
    int64_t frame_length; /* required: samples of a frame, and n of its transform */
    int64_t hop;          /* from frame to frame; 0: frame_length / 4 */
    cj_node *window;      /* [frame_length]; NULL: ones */
    bool center;          /* frame i is around sample i * hop: the signal is mirrored at its ends by
                             frame_length / 2 samples */
    bool twosided;        /* all frame_length numbers of a spectrum, not the first half + 1 */
} cj_stft_opts;
/* Spectra of overlapping frames: signal [batch, samples] -> [batch, frames, bins, 2], torch's stft
 * with frames and bins swapped. frames = 1 + (samples - frame_length) / hop, with center 1 +
 * samples / hop. */
CJ_API cj_node *cj_stft(cj_node *signal, const cj_stft_opts *opts);
/* The signal again from such spectra (not twosided): frames are transformed back, multiplied by the
 * window, added where they overlap and divided by the sum of the squared windows there (Griffin and
 * Lim 1984). `samples`: how many are wanted (0: what the frames cover). */
CJ_API cj_node *cj_istft(cj_node *spectra, cj_dim samples, const cj_stft_opts *opts);

/* ---- Mel ------------------------------------------------------------------------------------- */

typedef struct cj_mel_opts {
    size_t struct_size;
    double sample_rate;   /* required, in Hz */
    int64_t frame_length; /* 0: 400; hop 0: 160, as speech has them at 16 kHz */
    int64_t hop;
    cj_node *window;      /* NULL: periodic Hann */
    bool no_center;
    int64_t mels;         /* bands; 0: 80 */
    double low, high;     /* of the bands, in Hz; high 0: half the sample rate */
    bool htk; /* HTK's scale, 2595 log10(1 + f / 700); default Slaney's, linear below 1 kHz */
    bool no_norm;         /* triangles of height 1, not of area 1 */
    double power;         /* of the magnitude; 0: 2 */
    bool log;             /* 10 log10(max(1e-10, .)): decibels */
} cj_mel_opts;
/* Triangular filters: a constant [frame_length/2 + 1, mels] (librosa's, transposed). */
CJ_API cj_node *cj_mel_filters(cj_graph *g, cj_dtype dtype, const cj_mel_opts *opts);
/* signal [batch, samples] -> [batch, frames, mels] */
CJ_API cj_node *cj_mel_spectrogram(cj_node *signal, const cj_mel_opts *opts);
/* Cepstral coefficients: the orthonormal cosine transform (DCT-II) of the mel spectrogram in
 * decibels, its first `count` numbers: [batch, frames, count]. */
CJ_API cj_node *cj_mfcc(cj_node *signal, int64_t count, const cj_mel_opts *opts);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define CJ_SIGNAL_(name, type, x, ...) \
    cj_at_end((name)(cj_at(x, CJ_HERE), &(type){.struct_size = sizeof(type), __VA_ARGS__}))
#define cj_fft(x, ...) CJ_SIGNAL_(cj_fft, cj_fft_opts, x, __VA_ARGS__)
#define cj_stft(x, ...) CJ_SIGNAL_(cj_stft, cj_stft_opts, x, __VA_ARGS__)
#define cj_istft(x, samples, ...) \
    cj_at_end((cj_istft)(cj_at(x, CJ_HERE), samples, \
                         &(cj_stft_opts){.struct_size = sizeof(cj_stft_opts), __VA_ARGS__}))
#define cj_mel_spectrogram(x, ...) CJ_SIGNAL_(cj_mel_spectrogram, cj_mel_opts, x, __VA_ARGS__)
#define cj_mfcc(x, count, ...) \
    cj_at_end((cj_mfcc)(cj_at(x, CJ_HERE), count, \
                        &(cj_mel_opts){.struct_size = sizeof(cj_mel_opts), __VA_ARGS__}))
#endif

#ifdef __cplusplus
}
#endif
#endif
