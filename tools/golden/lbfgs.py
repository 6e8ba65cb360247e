#!/usr/bin/python3
"""20 steps of L-BFGS as torch.optim.LBFGS takes them, from 12 starts, some of them far away.

    tools/golden/lbfgs.py      writes tests/golden/nn/lbfgs.npz

rosenbrock: a [4], b [2, 3] as one vector x [10]: sum 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2.
logistic: the mean of log(1 + e^(-y (x a' + b'))) + |parameters|^2 / 200, where a [4] and b [2, 3] are joined as before
and features are 10 random ones. fit: scikit-learn's logistic regression of the same data. A run is [starts, 20, 11]: the parameters after each step, and evaluations so far.
"""
import pathlib

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn"
STEPS, STARTS = 20, 12
rng = np.random.default_rng(11)
X = rng.normal(size=(32, 10)).astype(np.float32).astype(np.float64)
Y = np.where(X @ rng.normal(size=10) + 0.5 * rng.normal(size=32) > 0, 1.0, -1.0)
SCALES = [1, 1, 1, 1, 1, 1, 0, 1e-3, 3, 10, 30, 100]
START = np.stack([(s * rng.normal(size=10)).astype(np.float32).astype(np.float64) for s in SCALES])


def rosenbrock(p):
    return (100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2).sum()


def logistic(p):
    margin = torch.tensor(Y) * (torch.tensor(X) @ p)  # torch's softplus is linear from 20 on, which shows in 1e-10
    return torch.logaddexp(-margin, torch.zeros(len(Y))).mean() + (p**2).sum() / 200


def run(loss, **options):
    return np.stack([path(loss, start, **options) for start in START])


def path(loss, start, **options):
    a, b = (torch.tensor(v).requires_grad_() for v in (start[:4], start[4:].reshape(2, 3)))
    optimizer = torch.optim.LBFGS([a, b], **options)
    evaluations, rows = [0], []

    def closure():
        optimizer.zero_grad()
        value = loss(torch.cat([a, b.reshape(-1)]))
        value.backward()
        evaluations[0] += 1
        return value

    for _ in range(STEPS):
        optimizer.step(closure)
        rows.append(np.concatenate([a.detach().numpy(), b.detach().numpy().reshape(-1), [evaluations[0]]]))
    return np.stack(rows)


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    wolfe = {"line_search_fn": "strong_wolfe"}
    out = {"x": X, "y": Y, "start": START}
    for name, loss in (("rosenbrock", rosenbrock), ("logistic", logistic)):
        out[f"{name}/one"] = run(loss, max_iter=1, max_eval=1000, history_size=5, **wolfe)
        out[f"{name}/all"] = run(loss, max_iter=4, history_size=10, tolerance_grad=1e-4, tolerance_change=1e-6, **wolfe)
        out[f"{name}/slow"] = run(loss, max_iter=2, max_eval=1000, history_size=3, lr=0.5, **wolfe)
    out["logistic/none"] = run(logistic, lr=0.3, max_iter=3, history_size=4)
    fitted = LogisticRegression(C=1, tol=1e-10, max_iter=10000).fit(X, Y)
    out["fit/kernel"], out["fit/bias"] = fitted.coef_.T, fitted.intercept_
    np.savez_compressed(ROOT / "lbfgs.npz", **out)


if __name__ == "__main__":
    main()
