#!/usr/bin/python3
"""Regularizers by Keras 3's formulas in torch, in double: values, and gradients by its autograd.

    tools/golden/regularizers.py      writes tests/golden/nn/regularizers.npz

Matrices: random ones of several shapes, then with a row of zeros, with two equal rows, all zeros, very large and small.
"""
import pathlib

import numpy as np
import torch

PATH = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn/regularizers.npz"
rng = np.random.default_rng(3)


def orthogonal(w, factor, columns):
    w = w.T if columns else w
    w = w * torch.rsqrt((w * w).sum(1, keepdim=True).clamp(min=1e-12))
    n = len(w)
    apart = (w @ w.T) * (1 - torch.eye(n, dtype=w.dtype))
    return factor * 0.5 * apart.abs().sum() / (n * (n - 1) / 2)


RULES = {
    "l1": lambda w: 0.01 * w.abs().sum(), "l2": lambda w: 0.01 * (w * w).sum(),
    "l1_l2": lambda w: 0.25 * w.abs().sum() + 0.125 * (w * w).sum(),
    "rows": lambda w: orthogonal(w, 0.01, False), "columns": lambda w: orthogonal(w, 2.0, True),
}


def matrices():
    for shape in ((2, 2), (3, 5), (5, 3), (4, 4), (8, 2), (2, 9)):
        yield rng.normal(size=shape)
    w = rng.normal(size=(4, 3))
    zero, twin = w.copy(), w.copy()
    zero[1] = 0
    twin[2] = twin[0]
    yield from (zero, twin, np.zeros((3, 3)), w * 1e4, w * 1e-3, np.eye(3))


def main():
    arrays = {}
    for i, w in enumerate(matrices()):
        w = w.astype(np.float32).astype(np.float64)
        arrays[f"{i}/w"] = w
        for name, rule in RULES.items():
            a = torch.tensor(w, requires_grad=True)
            y = rule(a)
            y.backward()
            arrays[f"{i}/{name}"], arrays[f"{i}/{name}_gradient"] = y.detach().numpy(), a.grad.numpy()
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    main()
