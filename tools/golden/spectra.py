#!/usr/bin/python3
"""Makes tests/golden/graph/signal.npz: Fourier transforms of many lengths by numpy, torch's stft, istft and gradient,
windows by scipy, mel filters and coefficients by librosa's formulas.

    tools/golden/spectra.py tests/golden/graph/signal.npz
"""
import sys

import numpy as np
import scipy.fftpack
import scipy.signal
import torch

random = np.random.default_rng(5)
out = {}


def parts(z):
    return np.stack([z.real, z.imag], -1)


def real(*shape):
    return np.round(random.standard_normal(shape) * 64) / 64


for n in (1, 2, 7, 16, 30, 64, 77, 17, 13 * 16, 331):
    x = real(3 if n < 100 else 1, n, 2 if n < 20 else 1, 2)
    z = x[..., 0] + 1j * x[..., 1]
    out[f"complex{n}/x"], out[f"complex{n}/y"] = x, parts(np.fft.fft(z, axis=1))
    out[f"inverse{n}/x"], out[f"inverse{n}/y"] = x, parts(np.fft.ifft(z, axis=1))
    out[f"real{n}/x"], out[f"real{n}/y"] = x[..., :1], parts(np.fft.rfft(x[..., 0], axis=1))
    half = x[:, :n // 2 + 1]
    out[f"back{n}/x"] = half
    out[f"back{n}/y"] = np.fft.irfft(half[..., 0] + 1j * half[..., 1], n, axis=1)[..., None]

signal = real(2, 200)
out["signal/x"] = signal
for name in ("hann", "hamming", "blackman"):
    for kind in (True, False):
        out[f"window/{name}{int(kind)}"] = scipy.signal.get_window(name, 30, fftbins=kind)
hann = torch.hann_window(30, dtype=torch.float64)
for center in (True, False):
    x = torch.from_numpy(signal).clone().requires_grad_()
    s = torch.stft(x, 30, 8, window=hann, center=center, return_complex=True)
    dy = torch.from_numpy(real(*s.shape, 2))
    (torch.view_as_real(s) * dy).sum().backward()
    turn = lambda a: np.ascontiguousarray(np.swapaxes(a, 1, 2))
    key = f"stft{int(center)}"
    out[f"{key}/y"], out[f"{key}/dy"] = turn(torch.view_as_real(s).detach().numpy()), turn(dy.numpy())
    out[f"{key}/dx"] = x.grad.numpy()
s = torch.stft(torch.from_numpy(signal), 30, 8, window=hann, return_complex=True)
out["istft/y"] = torch.istft(s * (1 + 0.5j), 30, 8, window=hann).numpy()
out["istft/x"] = np.ascontiguousarray(np.swapaxes(torch.view_as_real(s * (1 + 0.5j)).numpy(), 1, 2))


def hz_to_mel(f, htk):
    f = np.asarray(f, dtype=np.float64)
    if htk:
        return 2595 * np.log10(1 + f / 700)
    step = np.log(6.4) / 27
    return np.where(f >= 1000, 15 + np.log(np.maximum(f, 1e-9) / 1000) / step, f * 3 / 200)


def mel_to_hz(m, htk):
    if htk:
        return 700 * (10 ** (m / 2595) - 1)
    return np.where(m >= 15, 1000 * np.exp(np.log(6.4) / 27 * (m - 15)), m * 200 / 3)


def mel_filters(rate, n_fft, mels, low, high, htk, norm):
    """librosa.filters.mel."""
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    edges = mel_to_hz(np.linspace(hz_to_mel(low, htk), hz_to_mel(high, htk), mels + 2), htk)
    ramps = edges[:, None] - bins
    weights = np.zeros((mels, len(bins)))
    for i in range(mels):
        weights[i] = np.maximum(0, np.minimum(-ramps[i] / (edges[i + 1] - edges[i]),
                                              ramps[i + 2] / (edges[i + 2] - edges[i + 1])))
    return weights * (2 / (edges[2:] - edges[:-2]))[:, None] if norm else weights


out["mel/slaney"] = mel_filters(16000, 256, 20, 0, 8000, False, True).T.copy()
out["mel/htk"] = mel_filters(8000, 200, 12, 100, 3500, True, False).T.copy()
s = torch.stft(torch.from_numpy(signal), 64, 16, window=torch.hann_window(64, dtype=torch.float64), return_complex=True)
mel = mel_filters(8000, 64, 10, 0, 4000, False, True) @ np.abs(s.numpy()) ** 2
out["mel/spectrogram"] = np.ascontiguousarray(np.swapaxes(mel, 1, 2))
db = np.swapaxes(10 * np.log10(np.maximum(mel, 1e-10)), 1, 2)
out["mel/log"] = np.ascontiguousarray(db)
out["mel/mfcc"] = np.ascontiguousarray(scipy.fftpack.dct(db, axis=-1, type=2, norm="ortho")[..., :6])
np.savez_compressed(sys.argv[1], **out)
