#!/usr/bin/python3
"""Losses by PyTorch, in double and in float: values, and gradients by its autograd.

    tools/golden/losses.py      writes tests/golden/nn/losses.npz

Losses of probabilities follow Keras: scaled to sum to one, kept 1e-7 away from 0 and 1. A case is one batch:
random samples, then extremes. Gradients are of sum(cotangent * loss).
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn"
EPSILON = 1e-7
SAMPLES = 12
rng = np.random.default_rng(7)


def per_sample(x):
    return x.flatten(1).mean(1) if x.dim() > 1 else x


def mse(p, t):
    return per_sample((p - t) ** 2)


def binary_logits(z, t, smoothing=0.0):
    t = t * (1 - smoothing) + 0.5 * smoothing
    return per_sample(F.binary_cross_entropy_with_logits(z, t, reduction="none"))


def binary(p, t, smoothing=0.0):
    t = t * (1 - smoothing) + 0.5 * smoothing
    p = p.clamp(EPSILON, 1 - EPSILON)
    return per_sample(-(t * p.log() + (1 - t) * (1 - p).log()))


def smooth(t, smoothing):
    return t * (1 - smoothing) + smoothing / t.shape[-1]


def categorical_logits(z, t, smoothing=0.0):
    return per_sample(-(smooth(t, smoothing) * F.log_softmax(z, -1)).sum(-1))


def scaled_log(p):
    return (p / p.sum(-1, keepdim=True)).clamp(EPSILON, 1 - EPSILON).log()


def categorical(p, t, smoothing=0.0):
    return per_sample(-(smooth(t, smoothing) * scaled_log(p)).sum(-1))


def sparse_logits(z, t):
    return per_sample(F.nll_loss(F.log_softmax(z, -1).movedim(-1, 1), t, reduction="none"))


def sparse(p, t):
    return per_sample(-scaled_log(p).gather(-1, t[..., None])[..., 0])


out = {}


def case(name, loss, prediction, target):
    """Prediction and target are representable in float, so that both precisions have the same question."""
    prediction = prediction.astype(np.float32).astype(np.float64)
    if target.dtype.kind == "f":
        target = target.astype(np.float32).astype(np.float64)
    cotangent = rng.normal(size=len(prediction)).astype(np.float32).astype(np.float64)
    out[f"{name}/prediction"], out[f"{name}/target"], out[f"{name}/cotangent"] = prediction, target, cotangent
    for dtype, suffix in ((torch.float64, "f64"), (torch.float32, "f32")):
        x = torch.tensor(prediction, dtype=dtype, requires_grad=True)
        t = torch.tensor(target) if target.dtype.kind == "i" else torch.tensor(target, dtype=dtype)
        y = loss(x, t)
        (y * torch.tensor(cotangent, dtype=dtype)).sum().backward()
        out[f"{name}/loss_{suffix}"], out[f"{name}/gradient_{suffix}"] = y.detach().numpy(), x.grad.numpy()


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def logits(*shape):
    """Random rows, then rows of 0, of +-1e4, of 30, of a mixture."""
    z = rng.normal(size=(SAMPLES, *shape)) * 3
    signs = np.where(rng.random(shape) < 0.5, -1.0, 1.0)
    return np.concatenate([z, [np.zeros(shape), 1e4 * signs, -1e4 * signs, 30 * signs, rng.choice([-1e4, 0, 20.0], size=shape)]])


def probabilities(*shape):
    """Random rows that sum to one, then not, then rows with 0 and 1, and nearly so."""
    p = rng.dirichlet(np.ones(shape[-1]) * 0.7, size=(SAMPLES, *shape[:-1]))
    p[SAMPLES // 2:] *= rng.uniform(0.2, 3, size=(SAMPLES - SAMPLES // 2, *[1] * len(shape)))
    sure = one_hot(rng.integers(0, shape[-1], size=shape[:-1]), shape[-1])
    near = np.clip(sure, 1e-9, None)
    return np.concatenate([p, [sure, near, np.full(shape, 0.25)]])


def unit(*shape):
    """Independent probabilities."""
    p = rng.uniform(size=(SAMPLES, *shape))
    return np.concatenate([p, [np.zeros(shape), np.ones(shape), np.full(shape, 1e-9), rng.choice([0.0, 1.0], size=shape)]])


def losses():
    for name, shape in (("vector", (5,)), ("steps", (3, 4)), ("one", (1,))):
        p = np.concatenate([rng.normal(size=(SAMPLES, *shape)), [np.zeros(shape), np.full(shape, 1e4)]])
        case(f"mse_{name}", mse, p, rng.normal(size=p.shape))
        z, u = logits(*shape), unit(*shape)
        for kind, x, loss in (("logits", z, binary_logits), ("plain", u, binary)):
            t = (rng.random(x.shape) < 0.4).astype(float)
            t[1] = rng.random(shape)
            case(f"binary_{kind}_{name}", loss, x, t)
            case(f"binary_{kind}_smooth_{name}", lambda x, t, loss=loss: loss(x, t, 0.1), x, t)
        z, u = logits(*shape), probabilities(*shape)
        for kind, x, loss, by_number in (("logits", z, categorical_logits, sparse_logits), ("plain", u, categorical, sparse)):
            labels = rng.integers(0, shape[-1], size=x.shape[:-1])
            case(f"sparse_{kind}_{name}", by_number, x, labels)
            t = one_hot(labels, shape[-1])
            t[:3] = rng.dirichlet(np.ones(shape[-1]), size=(3, *shape[:-1]))
            case(f"categorical_{kind}_{name}", loss, x, t)
            case(f"categorical_{kind}_smooth_{name}", lambda x, t, loss=loss: loss(x, t, 0.2), x, t)
    np.savez_compressed(ROOT / "losses.npz", **out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    losses()
