#!/usr/bin/python3
"""20 steps of every optimizer on two small problems: PyTorch's by torch.optim, others by their published formulas.

    tools/golden/optimizers.py      writes tests/golden/nn/optimizers.npz

plain: logistic regression with weights w [4] and offset b [], a quadratic in q [2, 3], and a parameter "idle" [2]
with no gradient. extreme: e [6] with constant gradients from 1e10 to 1e-20 and 0, a quadratic in k [2, 2, 2].
The learning rate changes at every step. A run is [20, 13 + 14]: all parameters after each step, of the plain problem
and of the extreme one, each run on its own.
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
PLAIN = {"w": rounded(rng.normal(size=4)), "b": rounded(0.25), "q": rounded(rng.normal(size=(2, 3))), "idle": rounded([0.5, -1.5])}
SLOPE = np.array([rounded(1e10), rounded(-1e10), rounded(1e-20), rounded(-1e-20), 0, 1])
K_CURVATURE = rounded(rng.uniform(0.2, 4, size=(2, 2, 2)))
K_CENTRE = rounded(rng.normal(size=(2, 2, 2)) * 2)
EXTREME = {"e": rounded(rng.normal(size=6)), "k": rounded(rng.normal(size=(2, 2, 2)))}


def rate_at(rate, step):
    return float(np.float32(rate * (1 - 0.03 * step)))


# ---- PyTorch -------------------------------------------------------------------------------------


def flat(p):
    return np.concatenate([np.asarray(v).reshape(-1) for v in p.values()])


def torch_loss(p):
    if "w" in p:
        margin = tensor(Y) * (tensor(X) @ p["w"] + p["b"])
        return torch.nn.functional.softplus(-margin).mean() + 0.5 * (tensor(CURVATURE) * (p["q"] - tensor(CENTRE)) ** 2).sum()
    return (tensor(SLOPE) * p["e"]).sum() + 0.5 * (tensor(K_CURVATURE) * (p["k"] - tensor(K_CENTRE)) ** 2).sum()


def tensor(a):
    return torch.tensor(a, dtype=torch.float64)


def torch_path(start, make, rate, average=None):
    p = {k: tensor(v).requires_grad_() for k, v in start.items()}
    optimizer, path = make(list(p.values()), rate_at(rate, 0)), []
    module = torch.nn.ParameterList(p.values())
    averaged = None
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(rate, step)
        optimizer.zero_grad()
        (torch_loss(p) + sum(0 * v.sum() for v in p.values())).backward()
        optimizer.step()
        if average:
            if averaged is None or step < average[0]:
                averaged = torch.optim.swa_utils.AveragedModel(module)
                averaged.update_parameters(module)
            elif (step + 1 - average[0]) % average[1] == 0:
                averaged.update_parameters(module)
        shown = dict(zip(p, averaged.module)) if average else p
        path.append(flat({k: v.detach().numpy() for k, v in shown.items()}))
    return np.stack(path)


def torch_run(make, rate, average=None):
    return np.concatenate([torch_path(start, make, rate, average) for start in (PLAIN, EXTREME)], axis=1)


T = torch.optim
TORCH = {
    "sgd": (0.1, lambda p, a: T.SGD(p, a)),
    "sgd_momentum": (0.05, lambda p, a: T.SGD(p, a, momentum=0.9)),
    "sgd_nesterov": (0.05, lambda p, a: T.SGD(p, a, momentum=0.8, nesterov=True)),
    "sgd_all": (0.05, lambda p, a: T.SGD(p, a, momentum=0.8, nesterov=True, weight_decay=0.02)),
    "adam": (0.05, lambda p, a: T.Adam(p, a)),
    "adam_decay": (0.05, lambda p, a: T.Adam(p, a, weight_decay=0.02)),
    "adamw": (0.05, lambda p, a: T.AdamW(p, a)),
    "rmsprop": (0.02, lambda p, a: T.RMSprop(p, a)),
    "rmsprop_centered": (0.02, lambda p, a: T.RMSprop(p, a, alpha=0.9, centered=True)),
    "rmsprop_all": (0.01, lambda p, a: T.RMSprop(p, a, alpha=0.9, momentum=0.7, centered=True, weight_decay=0.02, eps=1e-4)),
}

TORCH |= {
    "adam_amsgrad": (0.05, lambda p, a: T.Adam(p, a, amsgrad=True)),
    "adamw_amsgrad": (0.05, lambda p, a: T.AdamW(p, a, amsgrad=True)),
    "adagrad": (0.1, lambda p, a: T.Adagrad(p, a)),
    "adagrad_all": (0.1, lambda p, a: T.Adagrad(p, a, lr_decay=0.1, weight_decay=0.02, initial_accumulator_value=0.3, eps=1e-5)),
    "adadelta": (1.0, lambda p, a: T.Adadelta(p, a)),
    "adadelta_all": (2.0, lambda p, a: T.Adadelta(p, a, rho=0.8, eps=1e-3, weight_decay=0.02)),
    "adamax": (0.05, lambda p, a: T.Adamax(p, a)),
    "adamax_all": (0.05, lambda p, a: T.Adamax(p, a, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.02)),
    "radam": (0.05, lambda p, a: T.RAdam(p, a)),
    "radam_all": (0.05, lambda p, a: T.RAdam(p, a, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.02)),
    "radam_never": (0.05, lambda p, a: T.RAdam(p, a, betas=(0.8, 0.6))),
    "rprop": (0.01, lambda p, a: T.Rprop(p, a)),
    "rprop_all": (0.1, lambda p, a: T.Rprop(p, a, etas=(0.4, 1.5), step_sizes=(1e-3, 0.5))),
    "asgd": (0.1, lambda p, a: T.ASGD(p, a)),
    "asgd_all": (0.1, lambda p, a: T.ASGD(p, a, lambd=0.05, alpha=0.6, t0=5, weight_decay=0.02)),
}

# ---- Keras: update rules as its documentation and source state them ------------------------------


def gradients(p):
    if "w" not in p:
        return {"e": SLOPE, "k": K_CURVATURE * (p["k"] - K_CENTRE)}
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
    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
        self.beta_1, self.beta_2, self.epsilon, self.m, self.v = beta_1, beta_2, epsilon, {}, {}
        self.amsgrad, self.v_hat = amsgrad, {}

    def step(self, k, w, g, a, t):
        m, v = self.m.get(k, 0), self.v.get(k, 0)
        alpha = a * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        m = self.m[k] = m + (g - m) * (1 - self.beta_1)
        v = self.v[k] = v + (g * g - v) * (1 - self.beta_2)
        if self.amsgrad:
            v = self.v_hat[k] = np.maximum(self.v_hat.get(k, 0), v)
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


class Adagrad:
    def __init__(self, initial_accumulator_value=0.1, epsilon=1e-7):
        self.first, self.epsilon, self.n = initial_accumulator_value, epsilon, {}

    def step(self, k, w, g, a, t):
        n = self.n[k] = self.n.get(k, self.first) + g * g
        return w - a * g / np.sqrt(n + self.epsilon)


class Adadelta:
    def __init__(self, rho=0.95, epsilon=1e-7):
        self.rho, self.epsilon, self.n, self.d = rho, epsilon, {}, {}

    def step(self, k, w, g, a, t):
        n = self.n[k] = self.rho * self.n.get(k, 0) + (1 - self.rho) * g * g
        d = self.d.get(k, 0)
        delta = -np.sqrt(d + self.epsilon) * g / np.sqrt(n + self.epsilon)
        self.d[k] = self.rho * d + (1 - self.rho) * delta * delta
        return w + a * delta


class Adamax:
    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self.beta_1, self.beta_2, self.epsilon, self.m, self.u = beta_1, beta_2, epsilon, {}, {}

    def step(self, k, w, g, a, t):
        m = self.m.get(k, 0)
        m = self.m[k] = m + (g - m) * (1 - self.beta_1)
        u = self.u[k] = np.maximum(self.beta_2 * self.u.get(k, 0), np.abs(g))
        return w - a * m / ((1 - self.beta_1**t) * (u + self.epsilon))


class Nadam:
    """momentum_decay 1 is Keras's, 0.004 PyTorch's. (PyTorch 1.13 has mu_t twice in the product of the first term.)"""

    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-7, momentum_decay=1.0):
        self.beta_1, self.beta_2, self.epsilon, self.psi, self.m, self.v = beta_1, beta_2, epsilon, momentum_decay, {}, {}

    def mu(self, t):
        return self.beta_1 * (1 - 0.5 * 0.96 ** (self.psi * t))

    def step(self, k, w, g, a, t):
        m, v = self.m.get(k, 0), self.v.get(k, 0)
        m = self.m[k] = m + (g - m) * (1 - self.beta_1)
        v = self.v[k] = v + (g * g - v) * (1 - self.beta_2)
        product = np.prod([self.mu(i) for i in range(1, t + 1)])
        m_hat = self.mu(t + 1) * m / (1 - product * self.mu(t + 1)) + (1 - self.mu(t)) * g / (1 - product)
        return w - a * m_hat / (np.sqrt(v / (1 - self.beta_2**t)) + self.epsilon)


class Lion:
    def __init__(self, beta_1=0.9, beta_2=0.99):
        self.beta_1, self.beta_2, self.m = beta_1, beta_2, {}

    def step(self, k, w, g, a, t):
        m = self.m.get(k, 0 * g)
        self.m[k] = m * self.beta_2 + g * (1 - self.beta_2)
        return w - a * np.sign(m * self.beta_1 + g * (1 - self.beta_1))


class Lamb:
    """paper_decay: inside the step (You et al. 2020, algorithm 2); Keras has the base class's, outside."""

    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-7, paper_decay=0.0):
        self.beta_1, self.beta_2, self.epsilon, self.decay, self.m, self.v = beta_1, beta_2, epsilon, paper_decay, {}, {}

    def step(self, k, w, g, a, t):
        m, v = self.m.get(k, 0), self.v.get(k, 0)
        m = self.m[k] = m + (g - m) * (1 - self.beta_1)
        v = self.v[k] = v + (g * g - v) * (1 - self.beta_2)
        update = m / (1 - self.beta_1**t) / (np.sqrt(v / (1 - self.beta_2**t)) + self.epsilon) + self.decay * w
        size, step = np.sqrt((w * w).sum()), np.sqrt((update * update).sum())
        return w - a * (size / step if size > 0 and step > 0 else 1) * update


class Lars:
    """You, Gitman, Ginsburg 2017, algorithm 1."""

    def __init__(self, momentum=0.9, trust=0.001, epsilon=1e-9, paper_decay=0.0):
        self.momentum, self.trust, self.epsilon, self.decay, self.v = momentum, trust, epsilon, paper_decay, {}

    def step(self, k, w, g, a, t):
        size, slope = np.sqrt((w * w).sum()), np.sqrt((g * g).sum())
        local = self.trust * size / (slope + self.decay * size + self.epsilon) if size > 0 and slope > 0 else 1
        v = self.v[k] = self.momentum * self.v.get(k, 0) + a * local * (g + self.decay * w)
        return w - v


class Adafactor:
    def __init__(self, beta_2_decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3, clip_threshold=1.0, relative_step=True):
        self.decay, self.epsilon_1, self.epsilon_2, self.clip, self.relative = (
            beta_2_decay, epsilon_1, epsilon_2, clip_threshold, relative_step)
        self.r, self.c, self.v = {}, {}, {}

    def step(self, k, w, g, a, t):
        rms = lambda x: np.sqrt(np.mean(x * x))
        if self.relative:
            a = min(a, 1 / np.sqrt(t))
        beta, square = 1 - t**self.decay, g * g + self.epsilon_1
        if np.ndim(w) >= 2:
            r = self.r[k] = beta * self.r.get(k, 0) + (1 - beta) * square.mean(axis=-1)
            c = self.c[k] = beta * self.c.get(k, 0) + (1 - beta) * square.mean(axis=-2)
            v = (r / r.mean(axis=-1, keepdims=True))[..., :, None] * c[..., None, :]
        else:
            v = self.v[k] = beta * self.v.get(k, 0) + (1 - beta) * square
        u = g / np.sqrt(v)
        return w - a * max(self.epsilon_2, rms(w)) * u / max(1, rms(u) / self.clip)


class Ftrl:
    def __init__(self, learning_rate_power=-0.5, initial_accumulator_value=0.1, l1=0.0, l2=0.0, l2_shrinkage=0.0, beta=0.0):
        self.power, self.first, self.l1, self.l2, self.shrinkage, self.beta = (
            learning_rate_power, initial_accumulator_value, l1, l2, l2_shrinkage, beta)
        self.n, self.z = {}, {}

    def step(self, k, w, g, a, t):
        l2, n, z = self.l2 + self.beta / (2 * a), self.n.get(k, self.first), self.z.get(k, 0)
        new = self.n[k] = n + g * g
        z = self.z[k] = z + g + 2 * self.shrinkage * w - (new**-self.power - n**-self.power) / a * w
        return (np.clip(z, -self.l1, self.l1) - z) / (new**-self.power / a + 2 * l2)


class Muon:
    """kellerjordan.github.io/posts/muon, with weights [..., inputs, outputs] instead of [outputs, inputs]."""

    def __init__(self, momentum=0.95, nesterov=True, ns_steps=5, adam_lr_ratio=0.1):
        self.momentum, self.nesterov, self.ns_steps, self.ratio, self.m = momentum, nesterov, ns_steps, adam_lr_ratio, {}
        self.adam = Adam()

    def step(self, k, w, g, a, t):
        if np.ndim(w) < 2:
            return self.adam.step(k, w, g, a * self.ratio, t)
        m = self.m[k] = self.momentum * self.m.get(k, 0) + (1 - self.momentum) * g
        if self.nesterov:
            m = (1 - self.momentum) * g + self.momentum * m
        x = m.reshape(-1, m.shape[-1]).T  # [outputs, inputs]
        scale = max(1, x.shape[0] / x.shape[1]) ** 0.5
        turned = x.shape[0] > x.shape[1]
        x = x.T if turned else x
        x = x / (np.linalg.norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            y = x @ x.T
            x = 3.4445 * x + (-4.7750 * y + 2.0315 * y @ y) @ x
        x = x.T if turned else x
        return w - a * scale * x.T.reshape(w.shape)


class ScheduleFree:
    """github.com/facebookresearch/schedule_free, AdamWScheduleFree: the weights are y; x = (y - (1 - b1) z) / b1."""

    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-7, decay=0.0, r=0.0, weight_lr_power=2.0):
        self.beta_1, self.beta_2, self.epsilon, self.decay, self.r, self.power = beta_1, beta_2, epsilon, decay, r, weight_lr_power
        self.z, self.v, self.sum, self.largest = {}, {}, {}, {}

    def step(self, k, y, g, a, t):
        v = self.v[k] = self.beta_2 * self.v.get(k, 0) + (1 - self.beta_2) * g * g
        way = g / (np.sqrt(v / (1 - self.beta_2**t)) + self.epsilon) + self.decay * y
        largest = self.largest[k] = max(self.largest.get(k, 0), a)
        weight = t**self.r * largest**self.power
        self.sum[k] = self.sum.get(k, 0) + weight
        c, z = weight / self.sum[k], self.z.get(k, y)
        y = (1 - c) * y + c * z + a * (self.beta_1 * (1 - c) - 1) * way
        self.z[k] = z - a * way
        return y

    def average(self, k, y):
        return (y - (1 - self.beta_1) * self.z[k]) / self.beta_1


class Clipped:
    """The base class's clipvalue and clipnorm."""

    def __init__(self, inner, value=None, norm=None):
        self.inner, self.value, self.norm = inner, value, norm

    def step(self, k, w, g, a, t):
        if self.value:
            g = np.clip(g, -self.value, self.value)
        if self.norm:
            size = np.sqrt(np.sum(g * g))
            g = g * self.norm / size if size > self.norm else g
        return self.inner.step(k, w, g, a, t)


class Averaged:
    """use_ema; shows the averages when `shown`."""

    def __init__(self, inner, momentum=0.99, overwrite=None):
        self.inner, self.momentum, self.overwrite, self.x = inner, momentum, overwrite, {}

    def step(self, k, w, g, a, t):
        w = self.inner.step(k, w, g, a, t)
        self.x[k] = w if t == 1 else self.momentum * self.x[k] + (1 - self.momentum) * w
        return self.x[k] if self.overwrite and t % self.overwrite == 0 else w

    def average(self, k, w):
        return self.x[k]


class Constrained:
    """keras.constraints, applied behind the step."""

    def __init__(self, inner, constraint):
        self.inner, self.constraint = inner, constraint

    def step(self, k, w, g, a, t):
        w = self.inner.step(k, w, g, a, t)
        return self.constraint(w)


def size(w, axis=0):
    if np.ndim(w) == 0:
        return np.abs(w)
    return np.sqrt(np.sum(w * w, axis=axis, keepdims=True))


def max_norm(w, most=2.0, axis=0):
    return w * np.clip(size(w, axis), 0, most) / (1e-7 + size(w, axis))


def min_max_norm(w, least, most, rate, axis=0):
    wanted = rate * np.clip(size(w, axis), least, most) + (1 - rate) * size(w, axis)
    return w * wanted / (1e-7 + size(w, axis))


class Grouped:
    """An optimizer for each parameter; (optimizer, factor of the rate, weight decay)."""

    def __init__(self, others, first):
        self.others, self.first = others, first

    def step(self, k, w, g, a, t):
        optimizer, factor, decay = self.others.get(k, self.first)
        return optimizer.step(k, w - w * decay * a * factor, g, a * factor, t)


class Lookahead:
    """Zhang et al. 2019, algorithm 1."""

    def __init__(self, inner, steps, alpha=0.5):
        self.inner, self.steps, self.alpha, self.slow = inner, steps, alpha, {}

    def step(self, k, w, g, a, t):
        slow = self.slow.setdefault(k, w)
        w = self.inner.step(k, w, g, a, t)
        if t % self.steps:
            return w
        self.slow[k] = slow + self.alpha * (w - slow)
        return self.slow[k]


def formula_path(start, make, rate, weight_decay, average, every, global_norm):
    p, path, optimizer, t = dict(start), [], make(), 0
    sums = {k: 0.0 for k in p}
    for step in range(STEPS):
        a, g = rate_at(rate, step), gradients(p)
        sums = {k: sums[k] + g[k] for k in p}
        if (step + 1) % every == 0:
            t += 1
            g, sums = {k: v / every for k, v in sums.items()}, {k: 0.0 for k in p}
            if global_norm:
                norm = np.sqrt(sum((v * v).sum() for v in g.values()))
                g = {k: v * global_norm / max(norm, global_norm) for k, v in g.items()}
            for k in p:
                # Keras's base class takes the decay off the variable before the update, for every optimizer.
                p[k] = optimizer.step(k, p[k] - p[k] * weight_decay * a, g[k], a, t)
        path.append(flat({k: optimizer.average(k, v) for k, v in p.items()} if average else p))
    return np.stack(path)


def formula_run(rate, make, weight_decay=0.0, average=False, every=1, global_norm=None):
    return np.concatenate(
        [formula_path(start, make, rate, weight_decay, average, every, global_norm) for start in (PLAIN, EXTREME)], axis=1)


FORMULA = {
    "sgd": (0.1, Sgd), "sgd_momentum": (0.05, lambda: Sgd(0.9)),
    "sgd_nesterov": (0.05, lambda: Sgd(0.8, True)), "sgd_all": (0.05, lambda: Sgd(0.8, True), 0.02),
    "adam": (0.05, Adam), "adam_betas": (0.05, lambda: Adam(0.8, 0.95, 1e-3)), "adam_decay": (0.05, Adam, 0.02),
    "adam_amsgrad": (0.05, lambda: Adam(beta_2=0.9, amsgrad=True)),
    "adamw": (0.05, Adam, 0.004),
    "rmsprop": (0.02, RMSprop),
    "rmsprop_centered": (0.02, lambda: RMSprop(centered=True)),
    "rmsprop_all": (0.01, lambda: RMSprop(momentum=0.7, centered=True, epsilon=1e-4, rho=0.8), 0.02),
    "adagrad": (0.1, Adagrad), "adagrad_all": (0.1, lambda: Adagrad(0.3, 1e-3), 0.02),
    "adadelta": (1.0, Adadelta), "adadelta_all": (2.0, lambda: Adadelta(0.8, 1e-3), 0.02),
    "adamax": (0.05, Adamax), "adamax_all": (0.05, lambda: Adamax(0.8, 0.95, 1e-3), 0.02),
    "nadam": (0.05, Nadam), "nadam_all": (0.05, lambda: Nadam(0.8, 0.95, 1e-3), 0.02),
    "nadam_slow": (0.05, lambda: Nadam(epsilon=1e-8, momentum_decay=0.004)),
    "lion": (0.02, Lion), "lion_all": (0.02, lambda: Lion(0.8, 0.95), 0.02),
    "lamb": (0.02, Lamb),
    "lamb_paper": (0.02, lambda: Lamb(0.8, 0.95, 1e-3, 0.1)),
    "lars": (10.0, Lars), "lars_decay": (10.0, lambda: Lars(0.5, 0.01), 0.002),
    "lars_paper": (10.0, lambda: Lars(0.8, 0.002, paper_decay=0.1)),
    "adafactor": (0.1, Adafactor), "adafactor_all": (0.6, lambda: Adafactor(-0.6, 1e-10, 0.1, 0.7), 0.02),
    "adafactor_absolute": (0.9, lambda: Adafactor(relative_step=False)),
    "ftrl": (0.1, Ftrl), "ftrl_all": (0.1, lambda: Ftrl(-0.7, 0.3, 0.05, 0.02, 0.03, 0.1)),
    "muon": (0.02, Muon), "muon_plain": (0.02, lambda: Muon(0.8, False, 3, 0.5), 0.02),
    "schedule_free_adamw": (0.05, ScheduleFree),
    "schedule_free_adamw_all": (0.05, lambda: ScheduleFree(0.8, 0.95, 1e-3, 0.02, 1, 1)),
    "schedule_free_adamw_average": (0.05, ScheduleFree, 0.0, True),
    "clipvalue": (0.05, lambda: Clipped(Sgd(0.9), value=0.1)), "clipnorm": (0.05, lambda: Clipped(Sgd(0.9), norm=0.2)),
    "global_clipnorm": (0.5, Adam, 0.0, False, 1, 0.3),
    "accumulated": (0.1, lambda: Sgd(0.9), 0.02, False, 3),
    "accumulated_all": (0.05, lambda: Lookahead(Adam(), 2), 0.0, False, 2, 5.0),
    "ema": (0.1, lambda: Averaged(Adam(), 0.8), 0.0, True), "ema_overwrite": (0.1, lambda: Averaged(Adam(), 0.8, 4)),
    "max_norm": (0.1, lambda: Constrained(Sgd(), lambda w: max_norm(w, 0.7))),
    "non_neg": (0.1, lambda: Constrained(Adam(), lambda w: w * (w >= 0))),
    "unit_norm": (0.1, lambda: Constrained(Sgd(), lambda w: w / (1e-7 + size(w, -1)))),
    "min_max_norm": (0.1, lambda: Constrained(Sgd(), lambda w: min_max_norm(w, 0.5, 0.8, 0.3))),
    "groups": (0.05, lambda: Grouped({"w": (Adam(0.5), 1, 0), "b": (Clipped(Adam(), value=1e-3), 0.2, 0.02), "idle": (Adam(amsgrad=True), 0, 0.02)},
                                     (Adam(), 1, 0.02))),
    "lookahead": (0.1, lambda: Lookahead(Adam(), 5)), "lookahead_all": (0.1, lambda: Averaged(Lookahead(Adam(), 3, 0.8), 0.5), 0.0, True),
}


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # ASGD keeps numbers of its own in the default type
    out = {"x": X, "y": Y, "curvature": CURVATURE, "centre": CENTRE, "slope": SLOPE, "k_curvature": K_CURVATURE, "k_centre": K_CENTRE}
    out |= {f"start/{k}": v for k, v in (PLAIN | EXTREME).items()}
    out |= {f"torch/{name}": torch_run(make, rate) for name, (rate, make) in TORCH.items()}
    out["torch/swa"] = torch_run(lambda p, a: T.SGD(p, a), 0.1, (5, 3))
    out |= {f"formula/{name}": formula_run(*how) for name, how in FORMULA.items()}
    np.savez_compressed(ROOT / "optimizers.npz", **out)


if __name__ == "__main__":
    main()
