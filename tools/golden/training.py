#!/usr/bin/python3
"""Whole trainings of a small network, by PyTorch and by Keras's formulas in numpy.

    tools/golden/training.py        writes tests/golden/train/training.npz

A network 5 -> 7 tanh -> 3 softmax, 20 samples in batches of 8, 8, 4 in order, 20 steps, the mean of the
cross-entropy. PyTorch (autograd, its optimizers) in double and float; the Keras forms of the optimizers in
numpy, in double, with gradients by hand that are first checked against PyTorch's. Each array is named
RUN/PARAMETER, with RUN as in tests/train/test_golden.c.
"""
import pathlib

import numpy as np
import torch

STEPS, BATCH, LR = 20, 8, {"sgd": 0.1, "adam": 0.01, "rmsprop": 0.005}
NAMES = ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
rng = np.random.default_rng(5)
X = rng.normal(size=(20, 5))
Y = rng.integers(0, 3, size=20).astype(np.int32)
W = [rng.normal(size=s) * 0.5 for s in [(5, 7), (7,), (7, 3), (3,)]]


def batches():
    per_epoch = [slice(0, 8), slice(8, 16), slice(16, 20)]
    return [per_epoch[i % 3] for i in range(STEPS)]


def torch_loss(w, x, y):
    h = torch.tanh(x @ w[0] + w[1])
    return torch.nn.functional.cross_entropy(h @ w[2] + w[3], y)


def by_torch(make, dtype):
    w = [torch.tensor(a, dtype=dtype, requires_grad=True) for a in W]
    x, y = torch.tensor(X, dtype=dtype), torch.tensor(Y.astype(np.int64))
    optimizer = make(w)
    for b in batches():
        optimizer.zero_grad()
        torch_loss(w, x[b], y[b]).backward()
        optimizer.step()
    return [a.detach().numpy() for a in w]


def gradients(w, x, y):
    h = np.tanh(x @ w[0] + w[1])
    z = h @ w[2] + w[3]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    p /= len(y)
    dh = (p @ w[2].T) * (1 - h * h)
    return [x.T @ dh, dh.sum(0), h.T @ p, p.sum(0)]


def by_keras(step):
    w = [a.copy() for a in W]
    slots = [{} for _ in w]
    for t, b in enumerate(batches(), 1):
        for a, g, s in zip(w, gradients(w, X[b], Y[b]), slots):
            step(a, g, s, t)
    return w


def sgd(momentum=0.0, nesterov=False):
    def step(w, g, s, t):
        v = s["v"] = momentum * s.get("v", 0) - LR["sgd"] * g
        w += momentum * v - LR["sgd"] * g if nesterov else v
    return step


def adam(decay=0.0, epsilon=1e-7):
    def step(w, g, s, t):
        w -= w * decay * LR["adam"]
        m = s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        v = s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
        alpha = LR["adam"] * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        w -= alpha * m / (np.sqrt(v) + epsilon)
    return step


def rmsprop(momentum=0.0, centered=False, rho=0.9, epsilon=1e-7):
    def step(w, g, s, t):
        v = s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
        if centered:
            mean = s["g"] = rho * s.get("g", 0) + (1 - rho) * g
            v = v - mean * mean
        u = s["u"] = momentum * s.get("u", 0) + LR["rmsprop"] * g / np.sqrt(v + epsilon)
        w -= u
    return step


def main():
    w = [torch.tensor(a, requires_grad=True) for a in W]
    torch_loss(w, torch.tensor(X), torch.tensor(Y.astype(np.int64))).backward()
    for a, g in zip(w, gradients(W, X, Y)):
        assert np.allclose(a.grad.numpy(), g, rtol=1e-12, atol=1e-14)

    o = torch.optim
    torches = {
        "sgd": lambda w: o.SGD(w, lr=LR["sgd"]),
        "sgd_momentum": lambda w: o.SGD(w, lr=LR["sgd"], momentum=0.9),
        "sgd_nesterov": lambda w: o.SGD(w, lr=LR["sgd"], momentum=0.9, nesterov=True),
        "sgd_decay": lambda w: o.SGD(w, lr=LR["sgd"], momentum=0.9, weight_decay=0.01),
        "adam": lambda w: o.Adam(w, lr=LR["adam"]),
        "adam_decay": lambda w: o.Adam(w, lr=LR["adam"], weight_decay=0.01),
        "adamw": lambda w: o.AdamW(w, lr=LR["adam"], weight_decay=0.01),
        "rmsprop": lambda w: o.RMSprop(w, lr=LR["rmsprop"]),
        "rmsprop_all": lambda w: o.RMSprop(w, lr=LR["rmsprop"], momentum=0.5, centered=True),
    }
    kerases = {
        "sgd": sgd(), "sgd_momentum": sgd(0.9), "sgd_nesterov": sgd(0.9, True), "adam": adam(), "adamw": adam(0.004),
        "rmsprop": rmsprop(), "rmsprop_all": rmsprop(0.5, True),
    }
    out = {"x": X, "y": Y}
    out.update({f"initial/{n}": a for n, a in zip(NAMES, W)})
    for name, make in torches.items():
        for kind, dtype in (("f64", torch.float64), ("f32", torch.float32)):
            out.update({f"torch_{kind}/{name}/{n}": a for n, a in zip(NAMES, by_torch(make, dtype))})
    for name, step in kerases.items():
        out.update({f"keras/{name}/{n}": a for n, a in zip(NAMES, by_keras(step))})
    path = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/train/training.npz"
    np.savez(path, **out)
    print(path.name, len(out), "arrays")


if __name__ == "__main__":
    main()
