#!/usr/bin/python3
"""Training of a network with several results, by PyTorch in double.

    tools/golden/outputs.py        writes tests/golden/train/outputs.npz

5 -> 6 tanh, from which come "class" (3, softmax, cross-entropy), "box" (2, mean square, weighed 0.5) and the
auxiliary "early" (3, softmax, cross-entropy, weighed 0.3). 20 samples in batches of 8, 8, 4 in order, 3 epochs
of sgd at 0.1. Scores are those of the last weights on all samples; the weights are in the order they are made.
"""
import pathlib

import numpy as np
import torch

rng = np.random.default_rng(11)
X = rng.normal(size=(20, 5))
LABEL = rng.integers(0, 3, size=20).astype(np.int32)
BOX = rng.normal(size=(20, 2))
SIZES = [(5, 6), (6,), (6, 3), (3,), (6, 2), (2,), (6, 3), (3,)]
W = [rng.normal(size=s) * 0.5 for s in SIZES]
OUT = pathlib.Path(__file__).parents[2] / "tests/golden/train/outputs.npz"


def losses(w, x, label, box):
    h = torch.tanh(x @ w[0] + w[1])
    entropy, square = torch.nn.functional.cross_entropy, torch.nn.functional.mse_loss
    return (entropy(h @ w[2] + w[3], label), square(h @ w[4] + w[5], box), entropy(h @ w[6] + w[7], label),
            (h @ w[4] + w[5] - box).abs().mean())


w = [torch.tensor(a, requires_grad=True) for a in W]
x, label, box = torch.tensor(X), torch.tensor(LABEL.astype(np.int64)), torch.tensor(BOX)
optimizer = torch.optim.SGD(w, lr=0.1)
for _ in range(3):
    for b in (slice(0, 8), slice(8, 16), slice(16, 20)):
        optimizer.zero_grad()
        entropy, square, early, _ = losses(w, x[b], label[b], box[b])
        (entropy + 0.5 * square + 0.3 * early).backward()
        optimizer.step()
entropy, square, _, absolute = (float(v) for v in losses(w, x, label, box))
arrays = {"x": X, "class": LABEL, "box": BOX,
          "scores": np.array([entropy + 0.5 * square, entropy, square, absolute])}
arrays |= {f"initial/{i}": a for i, a in enumerate(W)}
arrays |= {f"trained/{i}": a.detach().numpy() for i, a in enumerate(w)}
np.savez(OUT, **arrays)
