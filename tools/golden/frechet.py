#!/usr/bin/env python3
"""frechet.py: distances of sets of features, with scipy.linalg.sqrtm as the usual programs have it.

Writes tests/golden/train/frechet.npz: for each case a and b [samples, features], distance, and the size of the terms it is made of, traces. Where
a covariance has no inverse sqrtm is right to half of the digits only; such cases have the sum of
singular values of S^(1/2) T^(1/2), from numpy's symmetric eigenvectors, in its place (exact: 1).
"""
import numpy as np
from scipy.linalg import sqrtm


def root(s):
    l, v = np.linalg.eigh(s)
    l[l < len(l) * 1e-16 * l.max()] = 0
    return (v * np.sqrt(l)) @ v.T


def distance(a, b, singular):
    s, t = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    if singular:
        common = np.linalg.svd(root(s) @ root(t), compute_uv=False).sum()
    else:
        common = sqrtm(s @ t).real.trace()
    between = np.square(a.mean(0) - b.mean(0)).sum()
    traces = np.trace(s) + np.trace(t)
    return between + traces - 2 * common, between + traces


def main():
    rng, out = np.random.default_rng(11), {}
    # samples of both, features, scale of the second, its shift
    cases = [(50, 40, 5, 1, 0), (200, 100, 16, 2, 1), (30, 30, 1, 0.1, 5), (70, 90, 24, 1e-3, 0),
             (64, 64, 8, 1e4, 1e5), (40, 60, 12, 1, 0), (9, 7, 3, 3, -2), (100, 80, 32, 0.5, 0.5),
             (5, 6, 12, 1, 1), (2, 2, 4, 1, 0), (20, 15, 6, 0, 3), (300, 300, 10, 1, 0)]
    for i, (n, m, d, scale, shift) in enumerate(cases):
        mix = rng.normal(size=(d, d))
        a = rng.normal(size=(n, d)) @ mix
        b = scale * rng.normal(size=(m, d)) @ (mix if i % 2 else rng.normal(size=(d, d))) + shift
        singular = min(n, m) <= d or scale == 0
        out[f"{i}/a"], out[f"{i}/b"] = a.astype(np.float32), b.astype(np.float32)
        a, b = out[f"{i}/a"].astype(np.float64), out[f"{i}/b"].astype(np.float64)
        out[f"{i}/distance"], out[f"{i}/traces"] = distance(a, b, singular)
    np.savez_compressed("tests/golden/train/frechet.npz", **out)


if __name__ == "__main__":
    main()
