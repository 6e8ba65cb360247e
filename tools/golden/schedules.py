#!/usr/bin/python3
"""Learning rates over a training: PyTorch's by torch.optim.lr_scheduler, Keras's by its published formulas.

    tools/golden/schedules.py      writes tests/golden/nn/schedules.npz

Epochs have 7 steps, training 100; every run is [120], the rate at each step, the first rate 0.3. Schedules that
PyTorch steps once an epoch are stepped so. `scores` is what the plateau schedules watch, one an epoch.
"""
import math
import pathlib

import numpy as np
import torch
from torch.optim import lr_scheduler as L

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn"
RATE, PER_EPOCH, TOTAL, STEPS = 0.3, 7, 100, 120
SCORES = [1.0, 0.9, 0.89999, 0.9, 0.95, 0.8, 0.8, 0.8, 0.85, 0.79995, 0.7, 0.75, math.nan, 0.7, 0.7, 0.7, 0.7, 0.6]


def optimizer(rate=RATE):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], rate, momentum=0.9)


def by_step(make, rate=RATE, steps=STEPS):
    o = optimizer(rate)
    s = make(o)
    rates = []
    for _ in range(steps):
        rates.append(o.param_groups[0]["lr"])
        o.step()
        s.step()
    return np.array(rates + [rates[-1]] * (STEPS - steps))


def by_epoch(make):
    return np.repeat(by_step(make, steps=STEPS // PER_EPOCH + 1)[: STEPS // PER_EPOCH + 1], PER_EPOCH)[:STEPS]


def plateau(**how):
    o = optimizer()
    s = L.ReduceLROnPlateau(o, eps=0, **how)
    rates = []
    for score in SCORES:
        s.step(score)
        rates.append(o.param_groups[0]["lr"])
    return np.array(rates)


def keras_plateau(maximize=False, factor=0.1, patience=10, min_delta=1e-4, cooldown=0, min_lr=0.0):
    """keras.callbacks.ReduceLROnPlateau.on_epoch_end."""
    rate, wait, cool, best, rates = RATE, 0, 0, -np.inf if maximize else np.inf, []
    for score in SCORES:
        if cool > 0:
            cool -= 1
            wait = 0
        if score > best + min_delta if maximize else score < best - min_delta:
            best, wait = score, 0
        elif not cool > 0:
            wait += 1
            if wait >= patience and rate > min_lr:
                rate, cool, wait = max(rate * factor, min_lr), cooldown, 0
        rates.append(rate)
    return np.array(rates)


def keras(f):
    return np.array([f(float(step)) for step in range(STEPS)])


def cosine_restarts(step, first, t_mul, m_mul, alpha):
    """keras.optimizers.schedules.CosineDecayRestarts, its sums counted out instead of by a logarithm."""
    begin, length, m = 0.0, float(first), 1.0
    while step >= begin + length:
        begin, length, m = begin + length, length * t_mul, m * m_mul
    part = (step - begin) / length
    return RATE * ((1 - alpha) * 0.5 * m * (1 + math.cos(math.pi * part)) + alpha)


def polynomial(step, steps, end, power, cycle):
    if cycle:
        steps = steps * (1 if step == 0 else math.ceil(step / steps))
    else:
        step = min(step, steps)
    return (RATE - end) * (1 - step / steps) ** power + end


def cosine(step, steps, alpha):
    return RATE * ((1 - alpha) * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps)) + alpha)


def warm(f, n):
    return lambda step: f(0.0) * (step + 1) / n if step < n else f(step - n)


RUNS = {
    "constant": lambda: by_step(lambda o: L.ConstantLR(o, factor=1)),
    "step": lambda: by_epoch(lambda o: L.StepLR(o, 3)),
    "step_steps": lambda: by_step(lambda o: L.StepLR(o, 12, gamma=0.5)),
    "halving": lambda: by_epoch(lambda o: L.StepLR(o, 4, gamma=0.5)),
    "multi_step": lambda: by_epoch(lambda o: L.MultiStepLR(o, [2, 5, 11], gamma=0.3)),
    "multi_step_steps": lambda: by_step(lambda o: L.MultiStepLR(o, [20, 21, 77])),
    "piecewise_constant": lambda: keras(lambda s: 1.0 if s <= 10 else 0.5 if s <= 40 else 0.25),
    "exponential": lambda: by_epoch(lambda o: L.ExponentialLR(o, 0.9)),
    "exponential_steps": lambda: keras(lambda s: RATE * 0.9 ** (s / 5)),
    "exponential_stairs": lambda: keras(lambda s: RATE * 0.9 ** (s // 5)),
    "natural_exponential": lambda: keras(lambda s: RATE * math.exp(-0.3 * s / 9)),
    "inverse_time": lambda: keras(lambda s: RATE / (1 + 0.7 * s / 9)),
    "inverse_time_stairs": lambda: keras(lambda s: RATE / (1 + 0.7 * (s // 9))),
    "polynomial": lambda: by_step(lambda o: L.PolynomialLR(o, total_iters=TOTAL, power=2), steps=STEPS),
    "polynomial_end": lambda: keras(lambda s: polynomial(s, 60, 0.03, 0.5, False)),
    "polynomial_cycle": lambda: keras(lambda s: polynomial(s, 25, 0.03, 1, True)),
    "cosine": lambda: by_step(lambda o: L.CosineAnnealingLR(o, TOTAL), steps=TOTAL + 1),
    "cosine_alpha": lambda: keras(lambda s: cosine(s, 60, 0.1)),
    "cosine_warmup": lambda: keras(warm(lambda s: cosine(s, TOTAL - 10, 0), 10)),
    "step_warmup": lambda: keras(warm(lambda s: RATE * 0.5 ** (s // 12), 9)),
    "cosine_restarts": lambda: by_step(lambda o: L.CosineAnnealingWarmRestarts(o, 10, 2)),
    "cosine_restarts_even": lambda: by_step(lambda o: L.CosineAnnealingWarmRestarts(o, 13)),
    "cosine_restarts_all": lambda: keras(lambda s: cosine_restarts(s, 6, 1.5, 0.8, 0.05)),
    "one_cycle": lambda: by_step(lambda o: L.OneCycleLR(o, RATE, total_steps=TOTAL), steps=TOTAL),
    "one_cycle_linear": lambda: by_step(
        lambda o: L.OneCycleLR(o, RATE, total_steps=50, pct_start=0.43, anneal_strategy="linear", div_factor=10,
                               final_div_factor=100), steps=50),
    "one_cycle_three": lambda: by_step(lambda o: L.OneCycleLR(o, RATE, total_steps=TOTAL, three_phase=True), steps=TOTAL),
    "cyclic": lambda: by_step(lambda o: L.CyclicLR(o, RATE / 4, RATE, step_size_up=8)),
    "cyclic_2": lambda: by_step(lambda o: L.CyclicLR(o, RATE / 4, RATE, step_size_up=8, step_size_down=5,
                                                     mode="triangular2")),
    "cyclic_exp": lambda: by_step(lambda o: L.CyclicLR(o, 0.1 * RATE, RATE, step_size_up=9, mode="exp_range", gamma=0.98)),
    "plateau": lambda: keras_plateau(patience=2, factor=0.5),
    "plateau_cooldown": lambda: keras_plateau(patience=1, factor=0.3, cooldown=2, min_lr=0.01),
    "plateau_large": lambda: keras_plateau(maximize=True, patience=2, min_delta=0.01),
    "plateau_torch": lambda: plateau(patience=1, factor=0.5),
    "plateau_torch_cooldown": lambda: plateau(patience=0, factor=0.3, cooldown=2, min_lr=0.01),
    "plateau_torch_large": lambda: plateau(mode="max", patience=2, threshold=0.01),
}

if __name__ == "__main__":
    np.savez_compressed(ROOT / "schedules.npz", scores=np.array(SCORES), **{k: f() for k, f in RUNS.items()})
