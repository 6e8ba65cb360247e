#!/usr/bin/python3
"""Makes tests/golden/graph/recurrent.npz: rnn, lstm and gru with gradients, from torch and numpy in double.

torch has rnn, lstm (with projection), gru (reset after), directions and lengths (packed sequences); what it lacks
(peepholes, gru with the reset before as Keras writes it) stands here as formulas on torch tensors, so that autograd
gives the gradients. Case NAME has NAME/x, w, r, b, lengths, h0, c0, p, m (projection) as they apply, results y, h, c,
cotangents dy, dh, dc, and gradients gx, gw, gr, gb, gh0, gc0, gp, gm.

    tools/golden/recurrent.py tests/golden/graph/recurrent.npz
"""
import sys

import numpy as np
import torch

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
out = {}
N, T, C, H = 4, 6, 3, 5


def leaf(*shape):
    return (torch.rand(*shape) - 0.5).requires_grad_()


def record(name, operands, results):
    cotangents = {"d" + k: torch.rand_like(v) - 0.5 for k, v in results.items()}
    loss = sum((cotangents["d" + k] * v).sum() for k, v in results.items())
    wrt = {k: v for k, v in operands.items() if v.dtype == torch.float64}
    gradients = torch.autograd.grad(loss, list(wrt.values()))
    for k, v in {**operands, **results, **cotangents}.items():
        out[f"{name}/{k}"] = v.detach().numpy()
    for k, g in zip(wrt, gradients):
        out[f"{name}/g{k}"] = g.numpy()


def by_torch(name, kind, directions=1, lengths=None, projection=0, **options):
    gates = {torch.nn.RNN: 1, torch.nn.LSTM: 4, torch.nn.GRU: 3}[kind]
    state = projection or H
    order = [1, 0, 2] if kind is torch.nn.GRU else list(range(gates))  # torch has r z n
    o = {"x": leaf(N, T, C), "w": leaf(directions, gates * H, C), "r": leaf(directions, gates * H, state),
         "b": leaf(directions, 2 * gates * H), "h0": leaf(directions, N, state)}
    if kind is torch.nn.LSTM:
        o["c0"] = leaf(directions, N, H)
    if projection:
        o["m"] = leaf(directions, state, H)
        options["proj_size"] = projection
    cell = kind(C, H, batch_first=True, bidirectional=directions == 2, **options)

    def turned(v):
        return torch.cat([v.chunk(gates)[k] for k in order])
    weights = []
    for d in range(directions):
        bw, br = o["b"][d].chunk(2)
        weights += [turned(o["w"][d]), turned(o["r"][d]), turned(bw), turned(br)] + ([o["m"][d]] if projection else [])
    x = o["x"]
    states = (o["h0"], o["c0"]) if "c0" in o else o["h0"]
    if lengths is not None:
        o["lengths"] = torch.tensor(lengths)
        x = torch.nn.utils.rnn.pack_padded_sequence(x, o["lengths"], batch_first=True, enforce_sorted=False)
    cell._flat_weights = weights
    y, last = cell(x, states)
    if lengths is not None:
        y = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=T)[0]
    results = {"y": y, "h": last[0], "c": last[1]} if "c0" in o else {"y": y, "h": last}
    record(name, o, results)


def peepholes(name):
    o = {"x": leaf(N, T, C), "w": leaf(1, 4 * H, C), "r": leaf(1, 4 * H, H), "b": leaf(1, 8 * H), "p": leaf(1, 3 * H)}
    h = c = torch.zeros(N, H)
    ys = []
    pi, pf, po = o["p"][0].chunk(3)
    for t in range(T):
        z = o["x"][:, t] @ o["w"][0].T + h @ o["r"][0].T + sum(o["b"][0].chunk(2))
        i, f, g, q = z.chunk(4, 1)
        i, f, g = torch.sigmoid(i + pi * c), torch.sigmoid(f + pf * c), torch.tanh(g)
        c = f * c + i * g
        h = torch.sigmoid(q + po * c) * torch.tanh(c)
        ys.append(h)
    record(name, o, {"y": torch.stack(ys, 1), "h": h[None], "c": c[None]})


def gru_before(name):
    o = {"x": leaf(N, T, C), "w": leaf(1, 3 * H, C), "r": leaf(1, 3 * H, H), "b": leaf(1, 6 * H), "h0": leaf(1, N, H)}
    h = o["h0"][0]
    ys = []
    bw, br = o["b"][0].chunk(2)
    rz, rr, rn = o["r"][0].chunk(3)
    for t in range(T):
        xz, xr, xn = (o["x"][:, t] @ o["w"][0].T + bw + br).chunk(3, 1)
        z, r = torch.sigmoid(xz + h @ rz.T), torch.sigmoid(xr + h @ rr.T)
        h = z * h + (1 - z) * torch.tanh(xn + (r * h) @ rn.T)
        ys.append(h)
    record(name, o, {"y": torch.stack(ys, 1), "h": h[None]})


by_torch("rnn", torch.nn.RNN)
by_torch("rnn_relu_both", torch.nn.RNN, directions=2, nonlinearity="relu")
by_torch("lstm", torch.nn.LSTM)
by_torch("lstm_lengths_both", torch.nn.LSTM, directions=2, lengths=[6, 2, 5, 1])
by_torch("lstm_projection", torch.nn.LSTM, projection=3)
by_torch("gru_after", torch.nn.GRU)
by_torch("gru_after_lengths_both", torch.nn.GRU, directions=2, lengths=[3, 6, 1, 4])
peepholes("lstm_peepholes")
gru_before("gru_before")
np.savez_compressed(sys.argv[1], **out)
