#!/usr/bin/python3
"""Activations by PyTorch in double, and where it has none by Keras 3's formula: values and gradients.

    tools/golden/activations.py      writes tests/golden/nn/activations.npz

A case is random numbers, then 0, then numbers where e^x overflows or vanishes; numbers at which a slope jumps are left
out, but for relu's 0. Gradients are of sum(cotangent * y).
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

PATH = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn/activations.npz"
rng = np.random.default_rng(11)


def relu_of_keras(x, negative_slope=0.0, max_value=float("inf"), threshold=0.0):
    positive = x >= threshold if threshold > 0 else x > 0
    return torch.where(positive, x, negative_slope * (x - threshold)).clamp(max=max_value)


def hard_sigmoid(x):  # PyTorch's has 1/6 as a float, also in double
    return (x / 6 + 0.5).clamp(0, 1)


def sparse_plus(x):
    return torch.where(x <= -1, torch.zeros_like(x), torch.where(x < 1, 0.25 * (x + 1) ** 2, x))


def squareplus(x, b=4.0):
    return (x + torch.sqrt(x * x + b)) / 2


class Sparsemax(torch.autograd.Function):
    """The threshold by bisection, the gradient by its formula (Martins and Astudillo 2016, equation 14)."""

    @staticmethod
    def forward(context, x):
        low, high = x.max(-1, keepdim=True).values - 1, x.max(-1, keepdim=True).values
        for _ in range(200):
            middle = (low + high) / 2
            more = (x - middle).clamp(min=0).sum(-1, keepdim=True) > 1
            low, high = torch.where(more, middle, low), torch.where(more, high, middle)
        support = x > (low + high) / 2
        t = (torch.where(support, x, torch.zeros_like(x)).sum(-1, keepdim=True) - 1) / support.sum(-1, keepdim=True)
        context.save_for_backward(support)
        return torch.where(support, x - t, torch.zeros_like(x))

    @staticmethod
    def backward(context, dy):
        support, = context.saved_tensors
        inside = torch.where(support, dy, torch.zeros_like(dy))
        mean = inside.sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
        return torch.where(support, inside - mean, torch.zeros_like(dy))


def over_first(f):
    return lambda x: f(x.movedim(1, -1)).movedim(-1, 1)


# The name is the row's, or one of the test's own for a row with options.
ACTIVATIONS = {
    "linear": lambda x: x * 1, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "exponential": torch.exp, "silu": F.silu,
    "mish": F.mish, "log_sigmoid": F.logsigmoid, "softsign": F.softsign, "tanh_shrink": F.tanhshrink,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "softplus_beta": lambda x: torch.logaddexp(2.5 * x, torch.zeros_like(x)) / 2.5,
    "squareplus": squareplus, "squareplus_narrow": lambda x: squareplus(x, 0.01),
    "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "elu": F.elu, "elu2": lambda x: F.elu(x, 2.0), "celu": F.celu, "celu2": lambda x: F.celu(x, 2.0), "selu": F.selu,
    "relu": F.relu, "relu_options": lambda x: relu_of_keras(x, 0.1, 4.5, 0.75),
    "relu_most": lambda x: relu_of_keras(x, max_value=2.5), "relu_slope": lambda x: relu_of_keras(x, 0.2),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3), "steep": lambda x: F.leaky_relu(x, 0.01), "relu6": F.relu6,
    "hard_sigmoid": hard_sigmoid, "hard_silu": lambda x: x * hard_sigmoid(x), "sparse_sigmoid": lambda x: (0.5 * (x + 1)).clamp(0, 1),
    "sparse_plus": sparse_plus, "hard_shrink": F.hardshrink, "hard_shrink2": lambda x: F.hardshrink(x, 2.0),
    "soft_shrink": F.softshrink, "soft_shrink2": lambda x: F.softshrink(x, 2.0), "hard_tanh": F.hardtanh,
    "hard_tanh_wide": lambda x: F.hardtanh(x, -2.5, 3.5), "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "threshold_own": lambda x: F.threshold(x, 0.7, 20.0), "softmax": lambda x: torch.softmax(x, -1),
    "softmax_axis": lambda x: torch.softmax(x, 1), "softmin": lambda x: F.softmin(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1), "log_softmax_axis": lambda x: torch.log_softmax(x, 1),
    "glu": F.glu, "glu_axis": lambda x: F.glu(x, 1), "sparsemax": Sparsemax.apply,
    "sparsemax_axis": over_first(Sparsemax.apply),
    "rrelu": lambda x: F.rrelu(x, 0.125, 0.375, training=False),
}


def main():
    arrays = {}
    for name, f in ACTIVATIONS.items():
        x = np.concatenate([rng.normal(size=(10, 2, 4)) * 3, [np.zeros((2, 4)), np.full((2, 4), -1e4), np.full((2, 4), 1e4)],
                            rng.choice([-1e4, 1e4, 0, -80, 80, 1e-30, -1e-30], size=(2, 2, 4))])
        if name == "exponential":  # e^1e4 is no number
            x = x.clip(-80, 80)
        x = x.astype(np.float32).astype(np.float64)
        a = torch.tensor(x, requires_grad=True)
        y = f(a)
        c = rng.normal(size=y.shape).astype(np.float32).astype(np.float64)
        (y * torch.tensor(c)).sum().backward()
        arrays.update({f"{name}/x": x, f"{name}/cotangent": c, f"{name}/y": y.detach().numpy(), f"{name}/gradient": a.grad.numpy()})
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
