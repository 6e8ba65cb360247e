"""Recurrent operators, attention and what stands beside it, operators with a state: groups of onnx_cases.py."""
import numpy as np

from onnx_group import Group, elu, graph, node, numbers, random, sigmoid, softmax, tensor, value


FUNCTIONS = {
    "Tanh": lambda x: np.tanh(x), "Sigmoid": sigmoid, "Relu": lambda x: np.maximum(x, 0),
    "Softsign": lambda x: x / (1 + abs(x)), "Softplus": lambda x: np.log1p(np.exp(x)),
    "HardSigmoid": lambda x, a=0.2, b=0.5: np.clip(a * x + b, 0, 1), "Elu": lambda x, a=1.0: elu(x, a),
    "Affine": lambda x, a=1.0, b=0.0: a * x + b, "LeakyRelu": lambda x, a=0.01: np.where(x < 0, a * x, x),
    "ThresholdedRelu": lambda x, a=1.0: np.where(x >= a, x, 0),
    "ScaledTanh": lambda x, a=1.0, b=1.0: a * np.tanh(b * x)}
EACH = {"RNN": (1, 1), "GRU": (3, 2), "LSTM": (4, 3)}  # gates, functions


def recurrent_case(g, op, direction="forward", layout=0, bias=True, lengths=None, states=True, peepholes=False,
                   functions=None, alpha=(), beta=(), clip=0.0, coupled=0, before_reset=0):
    """X [5, 3, 2] to 4 units, from the equations of the specification. functions: names for all directions; alpha and
    beta are taken by those that have them."""
    t, n, c, units = 5, 3, 2, 4
    gates, each = EACH[op]
    d = 2 if direction == "bidirectional" else 1
    names = functions or {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[op] * d
    x = numbers(t, n, c)
    w, r = numbers(d, gates * units, c, low=-0.5, high=0.5), numbers(d, gates * units, units, low=-0.5, high=0.5)
    b = numbers(d, 2 * gates * units, low=-0.5, high=0.5) if bias else None
    h0, c0 = (numbers(d, n, units), numbers(d, n, units)) if states else (None, None)
    p = numbers(d, 3 * units) if peepholes else None
    lengths_in = np.array(lengths, "i4") if lengths else None
    takes = {"HardSigmoid": 2, "Elu": 1, "Affine": 2, "LeakyRelu": 1, "ThresholdedRelu": 1, "ScaledTanh": 2}
    left_a, left_b, fs = list(alpha), list(beta), []
    for f in names:
        own = []
        if takes.get(f, 0) > 0 and left_a:
            own.append(left_a.pop(0))
            if takes[f] > 1 and left_b:
                own.append(left_b.pop(0))
        bound = clip if len(fs) % each < 2 else 0  # not of an LSTM's h, as runtimes do
        fs.append(lambda v, f=f, own=own, bound=bound: FUNCTIONS[f](np.clip(v, -bound, bound) if bound else v, *own))
    y, hs, cs = np.zeros((t, d, n, units)), np.zeros((d, n, units)), np.zeros((d, n, units))
    for k in range(d):
        f = fs[k * each:(k + 1) * each]
        wb, rb = (b[k, :gates * units], b[k, gates * units:]) if bias else (np.zeros(gates * units),) * 2
        pi, po, pf = (p[k, i * units:(i + 1) * units] if peepholes else 0 for i in range(3))
        for s in range(n):
            h = h0[k, s] if states else np.zeros(units)
            cell = c0[k, s] if states else np.zeros(units)
            steps = range(lengths[s] if lengths else t)
            for i in reversed(steps) if k or direction == "reverse" else steps:
                part = lambda v: np.split(v, gates)
                a, u = part(w[k] @ x[i, s] + wb), part(r[k] @ h + rb)
                if op == "RNN":
                    h = f[0](a[0] + u[0])
                elif op == "GRU":
                    z, q = f[0](a[0] + u[0]), f[0](a[1] + u[1])
                    inner = q * u[2] if before_reset else r[k, 2 * units:] @ (q * h) + rb[2 * units:]
                    h = (1 - z) * f[1](a[2] + inner) + z * h
                else:
                    gi = f[0](a[0] + u[0] + pi * cell)
                    gf = 1 - gi if coupled else f[0](a[2] + u[2] + pf * cell)
                    cell = gf * cell + gi * f[1](a[3] + u[3])
                    h = f[0](a[1] + u[1] + po * cell) * f[2](cell)
                y[i, k, s] = h
            hs[k, s], cs[k, s] = h, cell
    more = dict(hidden_size=units, direction=direction)
    if functions:
        more["activations"] = list(functions)
    if alpha:
        more["activation_alpha"] = list(alpha)
    if beta:
        more["activation_beta"] = list(beta)
    if clip:
        more["clip"] = clip
    if layout:
        more["layout"], x, y = 1, x.swapaxes(0, 1), y.transpose(2, 0, 1, 3)
        hs, cs = hs.swapaxes(0, 1), cs.swapaxes(0, 1)
        h0, c0 = (h0.swapaxes(0, 1), c0.swapaxes(0, 1)) if states else (None, None)
    if coupled:
        more["input_forget"] = 1
    if before_reset:
        more["linear_before_reset"] = 1
    ins = [x, w, r, b, lengths_in, h0] + ([c0, p] if op == "LSTM" else [])
    while ins[-1] is None:
        ins.pop()
    g.add(op, ins, [y, hs] + ([cs] if op == "LSTM" else []), **more)


def recurrent():
    g = Group("recurrent", 14)
    # Numbers that a float holds exactly, as attributes are floats.
    for layout in 0, 1:
        for op, one in (("RNN", ["Affine"]), ("GRU", ["HardSigmoid", "ScaledTanh"]),
                        ("LSTM", ["HardSigmoid", "Elu", "ScaledTanh"])):
            gated = len(one) > 1
            recurrent_case(g, op, layout=layout)
            recurrent_case(g, op, "bidirectional", layout, lengths=[5, 2, 3], peepholes=gated)
            recurrent_case(g, op, "reverse", layout, clip=0.25, lengths=[1, 5, 4], peepholes=gated)
            recurrent_case(g, op, "forward", layout, functions=one, alpha=[0.5, 0.75, 0.25][:len(one)],
                           beta=[0.25, 0.375][:max(1, len(one) - 1)])
            recurrent_case(g, op, "bidirectional", layout, bias=False, states=False, clip=0.75,
                           functions=one + ["LeakyRelu", "Softsign", "ThresholdedRelu"][:len(one)],
                           alpha=[0.5, 0.75, 0.25, 0.125, 0.0625][:len(one) + 1])
    recurrent_case(g, "GRU", before_reset=1)
    recurrent_case(g, "GRU", "bidirectional", before_reset=1, clip=0.5, lengths=[5, 2, 3])
    recurrent_case(g, "GRU", before_reset=1, bias=False, clip=0.5)
    recurrent_case(g, "LSTM", coupled=1, peepholes=True)
    recurrent_case(g, "LSTM", "reverse", coupled=1, functions=["HardSigmoid", "Softplus", "Relu"], alpha=[0.25],
                   beta=[0.5])
    recurrent_case(g, "RNN", functions=["Affine"])
    recurrent_case(g, "RNN", "reverse", functions=["relu".capitalize()])
    g.write()


def heads(x, n):
    """[N, T, n * D] -> [N, n, T, D]"""
    return x.reshape(x.shape[0], x.shape[1], n, -1).swapaxes(1, 2)


def attention_case(g, q, k, v, mask=None, past=None, lengths=None, hq=0, hk=0, mode=None, causal=0, scale=None,
                   softcap=0.0, left=-1, right=-1, **more):
    """Every quantity as the specification of Attention-25 defines it, one query after the other."""
    flat = q.ndim == 3
    ins = [q, k, v, mask, *(past or (None, None)), lengths]
    while ins[-1] is None:
        ins.pop()
    if flat:
        q, k, v = heads(q, hq), heads(k, hk), heads(v, hk)
        more.update(q_num_heads=hq, kv_num_heads=hk)
    if past:
        k, v = np.concatenate([past[0], k], 2), np.concatenate([past[1], v], 2)
    n, h, tq, d = q.shape
    tk, group = k.shape[2], h // k.shape[1]
    s = 1 / np.sqrt(d) if scale is None else scale
    scores, seen, extra = np.zeros((n, h, tq, tk)), np.ones((n, h, tq, tk), bool), np.zeros((n, h, tq, tk))
    if mask is not None:
        rest = [(0, 0)] * (mask.ndim - 1) + [(0, tk - mask.shape[-1])]
        if mask.dtype == bool:
            seen &= np.pad(mask, rest)
        else:
            extra += np.pad(mask, rest, constant_values=-np.inf)
    for b in range(n):
        first = past[0].shape[2] if past else lengths[b] - tq if lengths is not None else 0
        for j in range(h):
            scores[b, j] = q[b, j] @ k[b, j // group].T * s
        for i in range(tq):
            for t in range(tk):
                ok = not causal or t <= i + first
                ok &= left < 0 or t >= i + first - left
                ok &= right < 0 or t <= i + first + right
                ok &= lengths is None or t < lengths[b]
                seen[b, :, i, t] &= ok
    capped = softcap * np.tanh(scores / softcap) if softcap else scores
    biased = np.where(seen, capped + extra, -np.inf)
    most = biased.max(-1, keepdims=True)
    e = np.exp(biased - np.where(np.isinf(most), 0, most))
    p = e / np.maximum(e.sum(-1, keepdims=True), 1e-300)
    y = np.stack([np.stack([p[b, j] @ v[b, j // group] for j in range(h)]) for b in range(n)])
    outs = [y.swapaxes(1, 2).reshape(n, tq, -1) if flat else y]
    if past or mode is not None:
        outs += [k, v]
    if mode is not None:
        outs.append((scores, capped, biased, p)[mode])
        more["qk_matmul_output_mode"] = mode
    for name, value in (("is_causal", causal), ("softcap", softcap)):
        if value:
            more[name] = value
    if scale is not None:
        more["scale"] = scale
    if left >= 0 or right >= 0:
        more.update(left_window_size=left, right_window_size=right)
    g.add("Attention", ins, [o.astype(ins[0].dtype) for o in outs], **more)


def attention():
    g = Group("attention", 25)
    q, k, v = numbers(2, 4, 3, 8), numbers(2, 2, 5, 8), numbers(2, 2, 5, 6)
    past = numbers(2, 2, 4, 8), numbers(2, 2, 4, 6)
    new = numbers(2, 2, 3, 8), numbers(2, 2, 3, 6)
    floats, flags = numbers(3, 5), random.uniform(size=(2, 1, 3, 5)) < 0.6
    none = flags.copy()
    none[1, 0, 2] = False  # a query that sees nothing
    f = lambda a: a.astype("f4")
    attention_case(g, q, k, v)
    attention_case(g, f(q), f(k), f(v), causal=1)
    attention_case(g, q, k, v, floats, scale=0.25, softcap=2.0)
    attention_case(g, q, k, v, none, mode=3)
    attention_case(g, q, k, v, none[..., :3], causal=1, mode=2)
    attention_case(g, q, k, v, floats[:, :4], mode=2, softcap=1.5)
    attention_case(g, q, k, v, floats, mode=1, softcap=1.5)
    attention_case(g, q, k, v, numbers(4, 3, 5), mode=0, softcap=1.5)
    attention_case(g, q, *new, past=past, causal=1)
    attention_case(g, q, *new, past=past, causal=1, mask=numbers(3, 7), mode=3)
    lengths = np.array([5, 4], "i8")
    attention_case(g, q, k, v, lengths=lengths)
    attention_case(g, q, k, v, lengths=np.array([5, 2], "i8"), causal=1, mask=flags)
    attention_case(g, q, k, v, left=1, right=0)
    attention_case(g, q, k, v, flags, left=1, right=2)
    attention_case(g, q, k, v, floats, lengths=lengths, left=2, causal=1, mode=2)
    attention_case(g, q, *new, past=past, left=2, right=1)
    q3, k3, v3 = numbers(2, 3, 16), numbers(2, 5, 8), numbers(2, 5, 6)
    attention_case(g, q3, k3, v3, hq=4, hk=2, causal=1)
    attention_case(g, q3, k3, v3, hq=4, hk=2, mask=flags, mode=1, past=(numbers(2, 2, 1, 4), numbers(2, 2, 1, 3)))
    # FlexAttention: scores - 1, probabilities * 2.
    s = np.zeros((2, 4, 3, 5))
    less = graph([node("Sub", ["s", "one"], ["t"])], [value("s", s)], [value("t", s)], [tensor("one", np.array(1.0))])
    twice = graph([node("Add", ["p", "p"], ["r"])], [value("p", s)], [value("r", s)])
    p = np.repeat(k, 2, 1)
    p = 2 * softmax(q @ p.swapaxes(2, 3) * 0.5 - 1)
    g.domains = [("ai.onnx.preview", 1)]
    g.add("FlexAttention", [q, k, v], [p @ np.repeat(v, 2, 1)], "ai.onnx.preview", score_mod=less, prob_mod=twice,
          scale=0.5)
    # Rotary embeddings: halves or pairs are turned.
    x, angle = numbers(2, 3, 4, 6), numbers(8, 2)
    ids = random.integers(0, 8, (2, 4))
    for interleaved in 0, 1:
        c, n = np.cos(angle)[ids][:, None], np.sin(angle)[ids][:, None]
        a, b = (x[..., 0:4:2], x[..., 1:4:2]) if interleaved else (x[..., :2], x[..., 2:4])
        u, w = c * a - n * b, n * a + c * b
        y = np.stack([u, w], -1).reshape(2, 3, 4, 4) if interleaved else np.concatenate([u, w], -1)
        y = np.concatenate([y, x[..., 4:]], -1)
        more = dict(interleaved=interleaved, rotary_embedding_dim=4)
        g.add("RotaryEmbedding", [x, np.cos(angle), np.sin(angle), ids], [y], **more)
        g.add("RotaryEmbedding", [x.swapaxes(1, 2).reshape(2, 4, 18), np.cos(angle)[ids], np.sin(angle)[ids]],
              [y.swapaxes(1, 2).reshape(2, 4, 18)], num_heads=3, **more)
    # Normalisations.
    x, s, b = numbers(2, 4, 3), numbers(4, 3), numbers(3)
    mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    y = (x - mean) / np.sqrt(var + 0.25)
    g.add("LayerNormalization", [x, s, b], [y * s + b, f(mean), f(1 / np.sqrt(var + 0.25))], axis=1, epsilon=0.25)
    g.add("LayerNormalization", [x, s], [y * s, None, 1 / np.sqrt(var + 0.25)], axis=-2, epsilon=0.25, stash_type=11)
    h = x.astype("f2")
    wide = h.astype("f4")
    m = wide.mean(2, keepdims=True)
    g.add("LayerNormalization", [h, f(b).astype("f2")], [None, m], epsilon=0.25)
    rms = np.sqrt((x * x).mean(-1, keepdims=True) + 0.25)
    g.add("RMSNormalization", [x, b], [x / rms * b], epsilon=0.25)
    wide = f(x).astype("f8")
    rms = np.sqrt((wide * wide).mean(-1, keepdims=True) + 0.25)
    g.add("RMSNormalization", [f(x), b], [wide / rms * b], epsilon=0.25)  # Y has the scale's dtype
    c, o = numbers(4), numbers(4)
    z = x.reshape(2, 2, 6)
    z = ((z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + 0.25)).reshape(2, 4, 3)
    g.add("GroupNormalization", [x, c, o], [z * c[:, None] + o[:, None]], num_groups=2, epsilon=0.25)
    g.add("Swish", [x], [x * sigmoid(0.5 * x)], alpha=0.5)
    # softmax_precision f16 of f32 operands: scores without a rounding, probabilities to 11 bits.
    a, b = (np.arange(n, dtype="f4") * 7 % 11 / 4 - 1 for n in (24, 30))
    a, b = a.reshape(1, 2, 3, 4), np.resize(b, (1, 1, 5, 4)).astype("f4")
    p = softmax((a.astype("f8") @ b.swapaxes(2, 3) / 2).astype("f2").astype("f4")).astype("f2").astype("f4")
    g.add("Attention", [a, b, b], [p @ b, b, b, p], softmax_precision=10, qk_matmul_output_mode=3)
    g.write()
    g = Group("group18", 18)  # scale and bias belong to groups
    c, o = numbers(2), numbers(2)
    g.add("GroupNormalization", [x, c, o], [z * c.repeat(2)[:, None] + o.repeat(2)[:, None]], num_groups=2,
          epsilon=0.25)
    # Losses: classes on axis 1; weights, an ignored class, all reductions.
    x, labels, w = numbers(3, 5, 2, 2), random.integers(0, 5, (3, 2, 2)), numbers(5, low=0.5)
    log = np.log(softmax(x, 1))
    for op, l in (("SoftmaxCrossEntropyLoss", log), ("NegativeLogLikelihoodLoss", x)):
        for weights in (None, w):
            for ignored in (None, 2):
                used = (w if weights is not None else np.ones(5))[labels]
                used = used if ignored is None else used * (labels != ignored)
                loss = -np.take_along_axis(l, labels[:, None], 1)[:, 0] * used
                for reduction, value_of in (("none", loss), ("sum", loss.sum()), ("mean", loss.sum() / used.sum())):
                    more = dict(reduction=reduction) if reduction != "mean" else {}
                    if ignored is not None:
                        more["ignore_index"] = ignored
                    outs = [value_of] + ([log] if op[0] == "S" else [])
                    g.add(op, [x, labels, weights], outs, **more)
    g.write()


def linear_attention(g, q, k, v, past, decay, beta, hq, hk, rule, scale=None):
    ins = [q, k, v, past, decay, beta]
    while ins[-1] is None:
        ins.pop()
    n, t, _ = q.shape
    q4, k4, v4 = heads(q, hq), heads(k, hk), heads(v, hk)
    state = past.copy() if past is not None else np.zeros((n, hk, k4.shape[3], v4.shape[3]))
    y = np.zeros((n, hq, t, v4.shape[3]))
    s = 1 / np.sqrt(k4.shape[3]) if scale is None else scale
    for b in range(n):
        for j in range(hk):
            for i in range(t):
                if decay is not None:
                    state[b, j] *= np.exp(heads(decay, hk)[b, j, i])[:, None]
                write = v4[b, j, i]
                if beta is not None:
                    write = heads(beta, beta.shape[2])[b, j % beta.shape[2], i] * (write - state[b, j].T @ k4[b, j, i])
                state[b, j] += np.outer(k4[b, j, i], write)
                for h in range(j * hq // hk, (j + 1) * hq // hk):
                    y[b, h, i] = s * state[b, j].T @ q4[b, h, i]
    more = {} if scale is None else {"scale": scale}
    f = lambda a: a.astype("f4")
    g.add("LinearAttention", [None if a is None else f(a) for a in ins],
          [f(y.swapaxes(1, 2).reshape(n, t, -1)), f(state)], q_num_heads=hq, kv_num_heads=hk, update_rule=rule, **more)


def states():
    """Operators of opset 27 with a state."""
    g = Group("states", 27)
    r = lambda *shape: numbers(*shape, low=-0.5, high=0.5).astype("f4").astype("f8")
    for hq, hk in ((2, 2), (4, 2), (3, 1)):
        q, k, v, past = r(2, 4, hq * 3), r(2, 4, hk * 3), r(2, 4, hk * 5), r(2, hk, 3, 5)
        linear_attention(g, q, k, v, None, None, None, hq, hk, "linear")
        linear_attention(g, q, k, v, past, r(2, 4, hk), None, hq, hk, "gated", 0.5)
        linear_attention(g, q, k, v, past, None, r(2, 4, hk), hq, hk, "delta")
        linear_attention(g, q, k, v, past, r(2, 4, hk * 3), r(2, 4, 1), hq, hk, "gated_delta")
    x, w, b, past = numbers(2, 3, 5), numbers(3, 1, 4), numbers(3), numbers(2, 3, 3)
    for bias in (None, b):
        for before in (None, past):
            for activation in ("none", "silu"):
                all_of = np.concatenate([np.zeros((2, 3, 3)) if before is None else before, x], 2)
                y = sum(w[:, 0, i, None] * all_of[:, :, i:i + 5] for i in range(4))
                y = y if bias is None else y + bias[:, None]
                y = y * sigmoid(y) if activation == "silu" else y
                ins = [x, w, bias, before]
                while ins[-1] is None:
                    ins.pop()
                g.add("CausalConvWithState", ins, [y, all_of[:, :, 5:]], activation=activation)
    g.add("CausalConvWithState", [x, w[:, :, :1]], [x * w[:, 0, 0, None], np.zeros((2, 3, 0))])
    # Scan along other axes, in both directions: s' = s - 2 a + b, which is put out as well.
    one = np.zeros(3)
    body = graph([node("Sub", ["s", "a"], ["t"]), node("Sub", ["t", "a"], ["u"]), node("Add", ["u", "b"], ["next"]),
                  node("Identity", ["next"], ["out"]), node("Neg", ["next"], ["minus"])],
                 [value("s", one), value("a", one), value("b", one)],
                 [value("next", one), value("out", one), value("minus", one)])
    a, b, s = numbers(3, 5), numbers(5, 3), numbers(3)
    out = np.zeros((3, 5))
    last = s
    for i in range(5):
        last = last - 2 * a[:, 4 - i] + b[i]
        out[:, i] = last
    g.add("Scan", [s, a, b], [last, out, -out[:, ::-1].T], body=body, num_scan_inputs=2, scan_input_axes=[-1, 0],
          scan_input_directions=[1, 0], scan_output_axes=[1, 0], scan_output_directions=[0, 1])
    a, b = numbers(2, 3), numbers(2, 3)
    g.add("SwiGLU", [a, b], [a * sigmoid(a) * b])
    g.add("SwiGLU", [a, b], [a * sigmoid(2 * a) * b], alpha=2.0)
    g.write()
