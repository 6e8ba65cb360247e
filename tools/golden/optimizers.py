#!/usr/bin/python3
"""20 steps of every optimizer on a small problem: PyTorch's by torch.optim, Keras's by its published formulas.

    tools/golden/optimizers.py      writes tests/golden/nn/optimizers.npz

The problem: logistic regression with weights w [4] and offset b [], a quadratic in q [2, 3], and a parameter
"idle" [2] with no gradient. The learning rate changes at every step. RUN/w, RUN/b ... are [20, ...]: the
parameter after each step.
"""
import pathlib

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn"
STEPS = 20
rng = np.random.default_rng(3)


def rounded(a):
    return np.asarray(a, np.float32).astype(np.float64)


X = rounded(rng.normal(size=(16, 4)))
Y = np.where(X @ [1, -2, 0.5, 0] + 0.3 * rng.normal(size=16) > 0, 1.0, -1.0)
CURVATURE = rounded(rng.uniform(0.2, 4, size=(2, 3)))
CENTRE = rounded(rng.normal(size=(2, 3)) * 2)
START = {"w": rounded(rng.normal(size=4)), "b": rounded(0.25), "q": rounded(rng.normal(size=(2, 3))), "idle": rounded([0.5, -1.5])}
NAMES = list(START)


def rate_at(rate, step):
    return float(np.float32(rate * (1 - 0.03 * step)))


# ---- PyTorch -------------------------------------------------------------------------------------


def torch_run(make, rate, dtype):
    p = {k: torch.tensor(v, dtype=dtype, requires_grad=True) for k, v in START.items()}
    x, y = torch.tensor(X, dtype=dtype), torch.tensor(Y, dtype=dtype)
    curvature, centre = torch.tensor(CURVATURE, dtype=dtype), torch.tensor(CENTRE, dtype=dtype)
    optimizer = make(list(p.values()), rate)
    path = {k: [] for k in NAMES}
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(rate, step)
        loss = torch.nn.functional.softplus(-y * (x @ p["w"] + p["b"])).mean() + 0.5 * (curvature * (p["q"] - centre) ** 2).sum()
        optimizer.zero_grad()
        (loss + 0 * p["idle"].sum()).backward()
        optimizer.step()
        for k in NAMES:
            path[k].append(p[k].detach().numpy().copy())
    return {k: np.stack(v) for k, v in path.items()}


T = torch.optim
TORCH = {
    "sgd": (0.1, lambda p, a: T.SGD(p, a)),
    "sgd_decay": (0.1, lambda p, a: T.SGD(p, a, weight_decay=0.02)),
    "sgd_momentum": (0.05, lambda p, a: T.SGD(p, a, momentum=0.9)),
    "sgd_nesterov": (0.05, lambda p, a: T.SGD(p, a, momentum=0.8, nesterov=True)),
    "sgd_all": (0.05, lambda p, a: T.SGD(p, a, momentum=0.8, nesterov=True, weight_decay=0.02)),
    "adam": (0.05, lambda p, a: T.Adam(p, a)),
    "adam_betas": (0.05, lambda p, a: T.Adam(p, a, betas=(0.8, 0.95), eps=1e-3)),
    "adam_decay": (0.05, lambda p, a: T.Adam(p, a, weight_decay=0.02)),
    "adamw": (0.05, lambda p, a: T.AdamW(p, a)),
    "adamw_decay": (0.05, lambda p, a: T.AdamW(p, a, weight_decay=0.1)),
    "rmsprop": (0.02, lambda p, a: T.RMSprop(p, a)),
    "rmsprop_momentum": (0.01, lambda p, a: T.RMSprop(p, a, alpha=0.9, momentum=0.7)),
    "rmsprop_centered": (0.02, lambda p, a: T.RMSprop(p, a, alpha=0.9, centered=True)),
    "rmsprop_all": (0.01, lambda p, a: T.RMSprop(p, a, alpha=0.9, momentum=0.7, centered=True, weight_decay=0.02, eps=1e-4)),
}

# ---- Keras: update rules as its documentation and source state them ------------------------------


def gradients(p):
    margin = Y * (X @ p["w"] + p["b"])
    slope = -Y / (1 + np.exp(margin)) / len(Y)
    return {"w": X.T @ slope, "b": slope.sum(), "q": CURVATURE * (p["q"] - CENTRE), "idle": np.zeros(2)}


class Sgd:
    def __init__(self, momentum=0.0, nesterov=False):
        self.momentum, self.nesterov, self.velocity = momentum, nesterov, {}

    def step(self, k, w, g, a, t):
        if not self.momentum:
            return w - a * g
        v = self.velocity[k] = self.momentum * self.velocity.get(k, 0) - a * g
        return w + self.momentum * v - a * g if self.nesterov else w + v


class Adam:
    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self.beta_1, self.beta_2, self.epsilon, self.m, self.v = beta_1, beta_2, epsilon, {}, {}

    def step(self, k, w, g, a, t):
        m, v = self.m.get(k, 0), self.v.get(k, 0)
        alpha = a * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        m = self.m[k] = m + (g - m) * (1 - self.beta_1)
        v = self.v[k] = v + (g * g - v) * (1 - self.beta_2)
        return w - alpha * m / (np.sqrt(v) + self.epsilon)


class RMSprop:
    def __init__(self, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        self.v, self.mean, self.moment = {}, {}, {}

    def step(self, k, w, g, a, t):
        v = self.v[k] = self.rho * self.v.get(k, 0) + (1 - self.rho) * g * g
        if self.centered:
            mean = self.mean[k] = self.rho * self.mean.get(k, 0) + (1 - self.rho) * g
            denominator = v - mean * mean + self.epsilon
        else:
            denominator = v + self.epsilon
        increment = a * g / np.sqrt(denominator)
        if not self.momentum:
            return w - increment
        moment = self.moment[k] = self.momentum * self.moment.get(k, 0) + increment
        return w - moment


def keras_run(optimizer, rate, weight_decay=0.0):
    p, path = dict(START), {k: [] for k in NAMES}
    for step in range(STEPS):
        a, g = rate_at(rate, step), gradients(p)
        for k in NAMES:
            # Keras's base class takes the decay off the variable before the update, for every optimizer.
            w = p[k] - p[k] * weight_decay * a
            p[k] = optimizer.step(k, w, g[k], a, step + 1)
            path[k].append(p[k])
    return {k: np.stack(v) for k, v in path.items()}


KERAS = {
    "sgd": (0.1, Sgd, {}, 0), "sgd_decay": (0.1, Sgd, {}, 0.02), "sgd_momentum": (0.05, Sgd, {"momentum": 0.9}, 0),
    "sgd_nesterov": (0.05, Sgd, {"momentum": 0.8, "nesterov": True}, 0),
    "sgd_all": (0.05, Sgd, {"momentum": 0.8, "nesterov": True}, 0.02),
    "adam": (0.05, Adam, {}, 0), "adam_betas": (0.05, Adam, {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}, 0),
    "adam_decay": (0.05, Adam, {}, 0.02), "adamw": (0.05, Adam, {}, 0.004), "adamw_decay": (0.05, Adam, {}, 0.1),
    "rmsprop": (0.02, RMSprop, {}, 0), "rmsprop_momentum": (0.01, RMSprop, {"momentum": 0.7}, 0),
    "rmsprop_centered": (0.02, RMSprop, {"centered": True}, 0),
    "rmsprop_all": (0.01, RMSprop, {"momentum": 0.7, "centered": True, "epsilon": 1e-4, "rho": 0.8}, 0.02),
}


def main():
    torch.set_num_threads(1)
    out = {"x": X, "y": Y, "curvature": CURVATURE, "centre": CENTRE, **{f"start/{k}": v for k, v in START.items()}}
    runs = {}
    for name, (rate, make) in TORCH.items():
        runs[f"torch_f64/{name}"] = torch_run(make, rate, torch.float64)
        runs[f"torch_f32/{name}"] = torch_run(make, rate, torch.float32)
    for name, (rate, kind, how, weight_decay) in KERAS.items():
        runs[f"keras/{name}"] = keras_run(kind(**how), rate, weight_decay)
    for name, path in runs.items():
        # One array a run: [20, w 4 + b 1 + q 6 + idle 2]
        out[name] = np.concatenate([path[k].reshape(STEPS, -1) for k in NAMES], axis=1)
    np.savez_compressed(ROOT / "optimizers.npz", **out)


if __name__ == "__main__":
    main()
