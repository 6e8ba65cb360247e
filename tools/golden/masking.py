#!/usr/bin/python3
"""Keras 3's masking in torch, in double: layers whose inputs have steps that do not count.

    tools/golden/masking.py      writes tests/golden/nn/masking.npz

A case has inputs x0, x1 ..., masks m0, m1 ... of those that have one, parameters p/NAME, the result y, its mask m if it
has one, a cotangent c, and d_x0 ..., d/NAME: gradients of sum(c * y) by autograd. The twelve samples have masks of every
kind: none masked, all, the first, holes, padding behind and in front. Sample 10 is zeros, 11 is large. Recurrent layers
are Keras's loop (backend/torch/rnn.py): a step's output is where(mask, new, previous output), and so is each state; where
an initial state is given, that is the first previous output, as in backend/jax/rnn.py.
"""
import pathlib

import numpy as np
import torch

PATH = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn/masking.npz"
rng = np.random.default_rng(11)
arrays = {}
MASKS = ["111111", "000000", "011111", "110011", "111000", "000111", "101010", "010100", "000001", "100000", "110110", "011010"]
MASK = np.array([[c == "1" for c in m] for m in MASKS])
OTHER = MASK[[4, 3, 1, 5, 5, 6, 0, 0, 2, 1, 7, 11]]


def numbers(*shape, large=30.0):
    x = rng.normal(size=(12, *shape))
    x[10], x[11] = 0, rng.choice([-large, large], size=shape)
    return x


def weights(*shape):
    return rng.normal(size=shape) * 0.5


def case(name, layer, inputs, masks=(), **parameters):
    """layer(inputs, masks, parameters) -> y or (y, mask); floats are rounded so that f32 reads the same ones."""
    def tensor(key, v):
        real = v.dtype.kind == "f"
        arrays[f"{name}/{key}"] = v.astype(np.float32) if real else v
        return torch.tensor(v.astype(np.float32).astype(np.float64) if real else v, requires_grad=real)
    x = [tensor(f"x{i}", v) for i, v in enumerate(inputs)]
    m = [None if v is None else torch.tensor(v) for v in masks]
    for i, v in enumerate(masks):
        if v is not None:
            arrays[f"{name}/m{i}"] = v
    p = {k: tensor(f"p/{k}", v) for k, v in parameters.items()}
    y = layer(x, m, p)
    y, mask = y if isinstance(y, tuple) else (y, None)
    arrays[f"{name}/y"] = y.detach().numpy()
    if mask is not None:
        arrays[f"{name}/m"] = mask.numpy()
    c = arrays[f"{name}/c"] = rng.normal(size=y.shape).astype(np.float32)
    (y * torch.tensor(c.astype(np.float64))).sum().backward()
    for i, t in enumerate(x):
        if t.requires_grad:
            arrays[f"{name}/d_x{i}"] = t.grad.numpy()
    for k, t in p.items():
        arrays[f"{name}/d/{k}"] = t.grad.numpy()


def at(mask, x, elsewhere=0.0):
    """x where the mask counts."""
    return torch.where(mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)), x, torch.as_tensor(elsewhere, dtype=x.dtype))


# ---- Recurrent layers ---------------------------------------------------------------------------------------------------

def simple_step(x, state, w, r, b):
    h = torch.tanh(x @ w.T + b + state[0] @ r.T)
    return h, [h]


def lstm_step(x, state, w, r, b):
    i, f, g, o = (x @ w.T + state[0] @ r.T + b).chunk(4, -1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, [h, c]


def gru_step(x, state, w, r, b):
    n = b.shape[0] // 2
    xz, xr, xh = (x @ w.T + b[:n]).chunk(3, -1)
    hz, hr, hh = (state[0] @ r.T + b[n:]).chunk(3, -1)
    z, reset = torch.sigmoid(xz + hz), torch.sigmoid(xr + hr)
    h = z * state[0] + (1 - z) * torch.tanh(xh + reset * hh)
    return h, [h]


STEPS = {"simple_rnn": (simple_step, 1, 1, 1), "lstm": (lstm_step, 4, 4, 2), "gru": (gru_step, 3, 6, 1)}


def loop(kind, x, mask, w, r, b, backwards=False, zero=False, first=None):
    """Outputs in the order of the steps of x, and the last output."""
    step, _, _, states = STEPS[kind]
    units = r.shape[1]
    start = torch.zeros(x.shape[0], units, dtype=x.dtype)
    previous = start if first is None else first
    state = [previous] + [start] * (states - 1)
    outputs = [None] * x.shape[1]
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        out, new = step(x[:, t], state, w, r, b)
        m = mask[:, t, None]
        state = [torch.where(m, a, s) for a, s in zip(new, state)]
        previous = torch.where(m, out, previous)
        outputs[t] = torch.where(m, out, torch.zeros_like(out)) if zero else previous
    return torch.stack(outputs, 1), previous


MERGES = {"concat": lambda a, b: torch.cat([a, b], -1), "sum": lambda a, b: a + b, "mul": lambda a, b: a * b,
          "ave": lambda a, b: (a + b) / 2}


def recurrent(kind, sequences, both=None, backwards=False, layers=1, lengths=False, first=False):
    def layer(x, m, p):
        mask, y = m[0], x[0]
        if lengths:
            mask = mask & (torch.arange(y.shape[1]) < x[1][:, None])
        start = x[-1][0] if first else None
        for i in range(layers):
            tail = f"_{i}" if i else ""
            own = lambda side: [p[f"{kind}/{side}{k}{tail}"] for k in ("kernel", "recurrent_kernel", "bias")]  # noqa: E731,B023
            every, last = loop(kind, y, mask, *own(""), backwards=backwards, zero=both is not None, first=start)
            if both:
                more, end = loop(kind, y, mask, *own("backward_"), backwards=True, zero=True)
                every, last = MERGES[both](every, more), MERGES[both](last, end)
            y = every
        if not sequences:
            return last
        return (y.flip(1), mask.flip(1)) if backwards else (y, mask)
    return layer


def recurrent_case(name, kind, sequences, units=3, **how):
    _, gates, biases, _ = STEPS[kind]
    p, inputs = {}, 3
    for i in range(how.get("layers", 1)):
        tail = f"_{i}" if i else ""
        for side in ("", "backward_") if how.get("both") else ("",):
            p[f"{kind}/{side}kernel{tail}"] = weights(gates * units, inputs)
            p[f"{kind}/{side}recurrent_kernel{tail}"] = weights(gates * units, units)
            p[f"{kind}/{side}bias{tail}"] = weights(biases * units)
        inputs = units * (2 if how.get("both") == "concat" else 1)
    x = [numbers(6, 3)]
    if how.get("lengths"):
        x.append(rng.integers(0, 7, size=12))
    if how.get("first"):
        x.append(rng.normal(size=(1, 12, units)))
    case(name, recurrent(kind, sequences, **how), x, [MASK], **p)


# ---- The others ---------------------------------------------------------------------------------------------------------

def attention(x, m, p, causal=False, given=None):
    """Two heads of 3, biases none. A query that sees nothing gives zeros; Keras gives it any mean, which nobody reads."""
    query, value = x[0], x[1] if len(x) > 1 else x[0]
    key = x[2] if len(x) > 2 else value
    names = "qkv_kernel" if len(x) == 1 else None
    if names:
        q, k, v = (query @ p["multi_head_attention/qkv_kernel"]).split(6, -1)
    else:
        q, k, v = (t @ p[f"multi_head_attention/{n}_kernel"] for t, n in ((query, "query"), (key, "key"), (value, "value")))
    q, k, v = (t.reshape(12, -1, 2, 3).transpose(1, 2) for t in (q, k, v))
    seen = torch.ones(12, 1, q.shape[2], k.shape[2], dtype=torch.bool)
    masks = list(m) + [None] * (3 - len(m))
    if len(x) == 1:
        masks[1] = masks[0]
    if masks[0] is not None:
        seen = seen & masks[0][:, None, :, None]
    for mask in masks[1:3]:
        if mask is not None:
            seen = seen & mask[:, None, None, :]
    if causal:
        seen = seen & torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    scores = q @ k.transpose(2, 3) / 3 ** 0.5
    if given is not None:
        scores = scores + given
    scores = torch.where(seen, scores, torch.tensor(-np.inf, dtype=scores.dtype))
    most = scores.amax(-1, keepdim=True).clamp(min=-1e300).detach()
    e = torch.exp(scores - most)
    y = (e / e.sum(-1, keepdim=True).clamp(min=1e-300)) @ v
    y = y.transpose(1, 2).reshape(12, -1, 6) @ p["multi_head_attention/output_kernel"]
    return y, masks[0]


def attention_case(name, inputs, masks, causal=False):
    n = "multi_head_attention/"
    p = {n + "qkv_kernel": weights(4, 18)} if len(inputs) == 1 else {
        n + "query_kernel": weights(4, 6), n + "key_kernel": weights(4, 6), n + "value_kernel": weights(4, 6)}
    p[n + "output_kernel"] = weights(6, 4)
    def layer(x, m, p):
        y, mask = attention(x, m, p, causal)
        return (y, mask) if mask is not None else y
    case(name, layer, inputs, masks, **p)


def multiply(x, m, p):
    """base_merge.py, multiply.py: 1 where an input is masked, 0 where all are."""
    y = 1
    for t, mask in zip(x, m):
        y = y * (t if mask is None else at(mask, t, 1.0))
    if any(mask is None for mask in m):
        return y
    either = m[0] | m[1]
    return at(either, y), either


def extreme(op):
    def layer(x, m, p):
        """base_merge.py, _apply_merge_op_and_or_mask."""
        a, b = x
        if m[1] is not None:
            b = torch.where(m[1][..., None], b, a)
        if m[0] is not None:
            a = torch.where(m[0][..., None], a, b)
        y = op(a, b)
        return (y, m[0] | m[1]) if m[0] is not None and m[1] is not None else y
    return layer


def pooled(keep):
    def layer(x, m, p):
        return at(m[0], x[0]).sum(1, keepdim=keep) / m[0].sum(1, keepdim=True).reshape(12, *[1] * (1 + keep)).clamp(min=1)
    return layer


def batch_norm(x, m, p):
    count = m[0].double().sum() + 1e-7
    mean = at(m[0], x[0]).sum((0, 1)) / count
    variance = (at(m[0], x[0] - mean) ** 2).sum((0, 1)) / count
    y = (x[0] - mean) * torch.rsqrt(variance + 1e-3)
    return y * p["batch_normalization/gamma"] + p["batch_normalization/beta"], m[0]


def chain(x, m, p):
    mask = (x[0] != -1).any(-1)
    y = torch.tanh(at(mask, x[0]) @ p["dense/kernel"] + p["dense/bias"])
    return loop("gru", y, mask, p["gru/kernel"], p["gru/recurrent_kernel"], p["gru/bias"])[1]


def embedded(x, m, p):
    mask = x[0] != 0
    y = at(mask, p["embedding/embeddings"][x[0]])
    return loop("lstm", y, mask, p["lstm/kernel"], p["lstm/recurrent_kernel"], p["lstm/bias"])[1]


# ---- Losses -------------------------------------------------------------------------------------------------------------

def reduced(each, mask, weight=None, count=None, how="mean"):
    """Keras's reduce_weighted_values with the mask as weights; the mean is over what counts, as Cajal's is."""
    w = mask.double() * (1 if weight is None else torch.tensor(weight)[:, None])
    if how != "mean":
        return (each * w).sum() if how == "sum" else (each * w).reshape(-1)
    return (each * w).sum() / (w if count is None else w * count).sum()


def loss_case(name, loss, prediction, target, weight=None, **how):
    case(name, lambda x, m, p: reduced(loss(x[0], torch.tensor(target)), m[0], weight, **how), [prediction], [MASK])
    arrays[f"{name}/t"] = target
    if weight is not None:
        arrays[f"{name}/w"] = weight


def losses():
    entropy = lambda x, t: -torch.log_softmax(x, -1).gather(-1, t[..., None])[..., 0]  # noqa: E731
    z, labels, weight = numbers(6, 4, large=1e4), rng.integers(0, 4, size=(12, 6)), rng.integers(0, 4, size=12) / 2
    loss_case("loss_classes", entropy, z, labels)
    loss_case("loss_softmax", entropy, z, labels, weight)
    counted = torch.tensor(labels != 3)
    loss_case("loss_ignored", lambda x, t: entropy(x, t) * counted, z, labels, weight, count=counted)
    loss_case("loss_numbers", lambda x, t: ((x - t) ** 2).mean(-1), numbers(6, 2), rng.normal(size=(12, 6, 2)).astype("f4"))
    loss_case("loss_sum", lambda x, t: (x[..., 0] - t).abs(), numbers(6, 1), rng.normal(size=(12, 6)).astype("f4"), how="sum")
    loss_case("loss_none", lambda x, t: (x[..., 0] - t) ** 2, numbers(6, 1), rng.normal(size=(12, 6)).astype("f4"),
              weight, how="none")


def main():
    losses()
    for kind in STEPS:
        recurrent_case(kind + "_steps", kind, True)
        recurrent_case(kind + "_last", kind, False)
    recurrent_case("lstm_backwards", "lstm", True, backwards=True)
    recurrent_case("gru_backwards_last", "gru", False, backwards=True)
    recurrent_case("lstm_both", "lstm", True, both="concat")
    recurrent_case("gru_both_last", "gru", False, both="sum")
    recurrent_case("rnn_both_mul", "simple_rnn", True, both="mul")
    recurrent_case("lstm_stacked", "lstm", False, layers=2)
    recurrent_case("gru_stacked_both", "gru", True, both="concat", layers=2)
    recurrent_case("gru_lengths", "gru", True, lengths=True)
    recurrent_case("gru_first", "gru", True, first=True)
    recurrent_case("gru_first_backwards", "gru", True, first=True, backwards=True)
    x = numbers(6, 4)
    x[~MASK] = -1
    case("masking", lambda x, m, p: (at((x[0] != -1).any(-1), x[0]), (x[0] != -1).any(-1)), [x])
    gru = {"gru/kernel": weights(9, 3), "gru/recurrent_kernel": weights(9, 3), "gru/bias": weights(18)}
    case("chain", chain, [x], **{"dense/kernel": weights(4, 3), "dense/bias": weights(3)}, **gru)
    words = rng.integers(1, 7, size=(12, 6)) * MASK
    case("embedding", embedded, [words], **{"embedding/embeddings": weights(7, 4), "lstm/kernel": weights(12, 4),
                                            "lstm/recurrent_kernel": weights(12, 3), "lstm/bias": weights(12)})
    a, b, c = numbers(6, 4, large=2.0), numbers(6, 4, large=2.0), numbers(6, 4, large=2.0)
    attention_case("attention_self", [a], [MASK])
    attention_case("attention_causal", [a], [MASK], causal=True)
    attention_case("attention_cross", [a, b[:, :5]], [MASK, OTHER[:, :5]])
    attention_case("attention_key", [a, b, c], [None, OTHER, MASK])
    a, b = numbers(6, 4, large=1e4), numbers(6, 4, large=1e4)
    case("pool", pooled(False), [a], [MASK])
    case("pool_keep", pooled(True), [a], [MASK])
    case("add", lambda x, m, p: (x[0] + x[1], m[0] | m[1]), [a, b], [MASK, OTHER])
    case("add_one", lambda x, m, p: x[0] + x[1], [a, b], [MASK, None])
    case("multiply", multiply, [a, b], [MASK, OTHER])
    case("multiply_one", multiply, [a, b], [None, OTHER])
    a[10], b[10], b[11] = 1, 2, a[11] / 2  # no ties
    case("concatenate_steps", lambda x, m, p: (torch.cat(x, 1), torch.cat(m, 1)), [a, b[:, :3]], [MASK, OTHER[:, :3]])
    case("concatenate_one", lambda x, m, p: (torch.cat(x, 1), torch.cat([m[0], torch.ones(12, 3, dtype=torch.bool)], 1)),
         [a, b[:, :3]], [MASK, None])
    case("concatenate_numbers", lambda x, m, p: (torch.cat(x, 2), m[0] | m[1]), [a, b], [MASK, OTHER])
    case("batch_norm", batch_norm, [numbers(6, 4)], [MASK],
         **{"batch_normalization/gamma": weights(4), "batch_normalization/beta": weights(4)})
    # Where both are masked the two are equal, and torch halves the gradient: masks that never are both.
    case("maximum", extreme(torch.maximum), [a, b], [MASK, ~MASK])
    case("minimum", extreme(torch.minimum), [a, b], [MASK, ~MASK])
    case("maximum_one", extreme(torch.maximum), [a, b], [MASK, None])
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
