#!/usr/bin/env python3
"""Writes tests/golden/format/onnx: models of many nodes, GROUP.onnx, and for each GROUP.npz with the arrays that are
fed (by the name of the graph's input) and expected (of the output). What an operator gives is written out here and in
onnx_cells.py in numpy, from the text of its specification. Run from the source folder.

    /usr/bin/python3 tools/golden/onnx_cases.py"""
import numpy as np

from onnx_cells import attention, recurrent, states
from onnx_group import TO, Group, elu, graph, known, node, normalized, numbers, random, softmax, tensor, value


def batch_norm(g, **more):
    """Training in the way of before opset 14: five outputs."""
    x, (s, b, v) = numbers(3, 2, 4), (numbers(2, low=0.5) for _ in range(3))
    m = numbers(2)
    e = float(np.float32(0.01))
    g.add("BatchNormalization", [x, s, b, m, v], [normalized(x, s, b, m, v, 0.01, (1, 2, 1))], epsilon=e,
          **dict(more, **({"is_test": 1} if g.opset < 7 else {})))
    mean, var = x.mean((0, 2)), x.var((0, 2))
    g.add("BatchNormalization", [x, s, b, m, v],
          [normalized(x, s, b, mean, var, 0.01, (1, 2, 1)), 0.75 * m + 0.25 * mean, 0.75 * v + 0.25 * var, mean, var],
          epsilon=e, momentum=0.75, **more)
    if g.opset >= 9:
        return
    s, b, v = (numbers(2, 4, low=0.5) for _ in range(3))
    m = numbers(2, 4)
    g.add("BatchNormalization", [x, s, b, m, v], [normalized(x, s, b, m, v, 0.01, (1, 2, 4))], epsilon=e, spatial=0,
          **dict(more, **({"is_test": 1} if g.opset < 7 else {})))
    mean, var = x.mean(0), x.var(0)
    g.add("BatchNormalization", [x, s, b, m, v],
          [normalized(x, s, b, mean, var, 0.01, (1, 2, 4)), 0.75 * m + 0.25 * mean, 0.75 * v + 0.25 * var],
          epsilon=e, momentum=0.75, spatial=0, **more)


def opset1():
    g = Group("opset1", 1)
    x, y, z = numbers(2, 3, 4), numbers(3, low=0.5), numbers(3, 4, low=0.5)
    g.add("Add", [x, y], [x + y[:, None]], broadcast=1, axis=1)
    g.add("Add", [x, numbers(1, 1, 1) * 0 + 2], [x + 2], broadcast=1)
    g.add("Mul", [x, y[:2]], [x * y[:2, None, None]], broadcast=1, axis=0, consumed_inputs=[0, 0])
    g.add("Sub", [x, z], [x - z], broadcast=1)
    g.add("Div", [x, np.array(3.0)], [x / 3], broadcast=1)
    g.add("Div", [x, z], [x / z], broadcast=1, axis=-2)
    g.add("Pow", [abs(x), y], [abs(x) ** y[:, None]], broadcast=1, axis=1)
    p, q = x > 0, y > 1
    g.add("And", [p, q], [p & q[:, None]], broadcast=1, axis=1)
    g.add("Or", [p, q], [p | q[:, None]], broadcast=1, axis=1)
    g.add("Xor", [p, q], [p ^ q[:, None]], broadcast=1, axis=1)
    i, j = random.integers(0, 3, (2, 3, 4), "i4"), random.integers(0, 3, 3, "i4")
    g.add("Equal", [i, j], [i == j[:, None]], broadcast=1, axis=1)
    g.add("Less", [x, y], [x < y[:, None]], broadcast=1, axis=1)
    g.add("Greater", [x, y], [x > y[:, None]], broadcast=1, axis=1)
    g.add("PRelu", [x, y], [np.where(x < 0, x * y[:, None], x)])
    g.add("PRelu", [x, y[:1]], [np.where(x < 0, x * y[0], x)])
    a, b, c = numbers(4, 3), numbers(5, 4), numbers(5)
    g.add("Gemm", [a, b, c], [0.5 * a.T @ b.T + 2 * c], alpha=0.5, beta=2.0, transA=1, transB=1, broadcast=1)
    g.add("Reshape", [x], [x.reshape(2, -1)], shape=[0, -1])
    g.add("Pad", [x], [np.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=0.5)], paddings=[0, 1, 0, 0, 2, 1],
          value=0.5)
    g.add("Split", [x], np.split(x, [1, 3], 2), axis=2, split=[1, 2, 1])
    g.add("Split", [x, known([1, 2], "i8")], np.split(x, [1], 1), axis=1)
    g.add("Concat", [x, x[:, :1]], [np.concatenate([x, x[:, :1]], 1)])
    g.add("Clip", [x], [np.clip(x, -0.5, 0.75)], min=-0.5, max=0.75)
    g.add("Dropout", [x], [x, np.ones_like(x)], is_test=1, ratio=0.25)
    batch_norm(g, consumed_inputs=[0, 0, 0, 1, 1])
    g.add("Cast", [x], [x.astype("f4")], to="FLOAT")
    g.add("Cast", [x], [x.astype("i4")], to="INT32")
    g.add("Tile", [x, known(2, "i8"), known(1, "i8")], [np.tile(x, (1, 2, 1))])
    g.add("Tile", [x, known(3, "f8"), known(2, "f8")], [np.tile(x, (1, 1, 3))])
    order = np.argsort(-x, 1, kind="stable")[:, :2]
    g.add("TopK", [x], [np.take_along_axis(x, order, 1), order], k=2, axis=1)
    im = numbers(1, 2, 3, 2, dtype="f4")
    g.add("Upsample", [im], [im.repeat(2, 2).repeat(3, 3)], height_scale=2.0, width_scale=3.0)
    flat = x.reshape(2, 12)
    best = np.eye(12)[flat.argmax(1)].reshape(x.shape)
    g.add("Softmax", [x], [softmax(flat).reshape(x.shape)])
    g.add("LogSoftmax", [x], [np.log(softmax(x.reshape(6, 4))).reshape(x.shape)], axis=2)
    g.add("Softmax", [x], [softmax(x.reshape(1, 24)).reshape(x.shape)], axis=0)
    g.add("Hardmax", [x], [best])
    g.add("ReduceSum", [x], [x.sum((0, 2))], axes=[0, 2], keepdims=0)
    pooled = abs(im.astype("f8")) ** 3
    g.add("GlobalLpPool", [im], [(pooled.sum((2, 3), keepdims=True) ** (1 / 3)).astype("f4")], p=3.0)
    lp = (pooled[:, :, :2] + pooled[:, :, 1:])
    g.add("LpPool", [im], [((lp[..., :1] + lp[..., 1:]) ** (1 / 3)).astype("f4")], p=3.0, kernel_shape=[2, 2])
    g.add("Max", [x, -x, x + 0.5], [np.maximum(np.maximum(x, -x), x + 0.5)])
    g.add("Sum", [x], [x])
    g.add("Mean", [x], [x])
    g.add("Selu", [x], [elu(x, 1.6732) * 1.0507])
    g.add("Elu", [x], [elu(x, 2)], alpha=2.0, consumed_inputs=[0])
    s, b = numbers(3), numbers(3)
    mean, var = x.mean(2, keepdims=True), x.var(2, keepdims=True)
    g.add("InstanceNormalization", [x, s, b], [(x - mean) / np.sqrt(var + 0.25) * s[:, None] + b[:, None]],
          epsilon=0.25)
    g.add("Affine", [x], [0.5 * x + 3], alpha=0.5, beta=3.0)
    g.add("ParametricSoftplus", [x], [0.5 * np.log1p(np.exp(3 * x))], alpha=0.5, beta=3.0)
    g.add("ScaledTanh", [x], [0.5 * np.tanh(3 * x)], alpha=0.5, beta=3.0)
    g.write()


def opset8():
    """What changed between 2 and 12."""
    g = Group("opset8", 8)
    x, im = numbers(2, 3, 4), numbers(1, 2, 3, 2, dtype="f4")
    g.add("Upsample", [im], [im.repeat(2, 2).repeat(3, 3)], scales=[1.0, 1.0, 2.0, 3.0])
    g.add("Dropout", [x], [x, np.ones_like(x)])
    batch_norm(g)
    # Scan with a batch: s' = 0.5 s + x, which is put out twice; the second sequence backwards.
    def step(outer):
        """`outer` is a value of the graph around the body."""
        one, row = np.zeros(4), np.zeros(4)
        nodes = [node("Mul", ["s", outer], ["half"]), node("Add", ["half", "a"], ["t"]),
                 node("Add", ["t", "b"], ["next"]), node("Identity", ["next"], ["out"])]
        return graph(nodes, [value("s", one), value("a", row), value("b", row)],
                     [value("next", one), value("out", row)])

    def scan(x, lengths):
        s, out = np.ones((2, 4)), np.zeros((2, 5, 4))
        for n in range(2):
            for t in range(lengths[n]):
                s[n] = 0.5 * s[n] + x[n, t] + x[n, lengths[n] - 1 - t]
                out[n, t] = s[n]
        return s, out

    x = numbers(2, 5, 4)
    s, out = scan(x, [5, 5])
    g.initializers.append(tensor("half_of_it", np.array(0.5)))
    g.add("Scan", [None, np.ones((2, 4)), x, x], [s, out], body=step("half_of_it"), num_scan_inputs=2,
          directions=[0, 1])
    s, _ = scan(x, [3, 5])
    g.add("Scan", [known([3, 5], "i8"), np.ones((2, 4)), x, x], [s], body=step("half_of_it"), num_scan_inputs=2,
          directions=[0, 1])
    g.write()


def training():
    d = "ai.onnx.preview.training"
    g = Group("training", 17, [(d, 1)])
    r, t0, t = np.array(0.1), np.array(0, "i8"), np.array(7, "i8")
    xs, gs = [numbers(3), numbers(2, 2)], [numbers(3), numbers(2, 2)]
    v, h = [numbers(3), numbers(2, 2)], [numbers(3, low=0.1), numbers(2, 2, low=0.1)]

    def adagrad(steps, n, decay, epsilon, norm):
        rate, new, states = r / (1 + steps * decay), [], []
        for i in range(n):
            grad = norm * xs[i] + gs[i]
            states.append(h[i] + grad * grad)
            new.append(xs[i] - rate * grad / (np.sqrt(states[-1]) + epsilon))
        g.add("Adagrad", [r, steps, *xs[:n], *gs[:n], *h[:n]], new + states, d, decay_factor=decay, epsilon=epsilon,
              norm_coefficient=norm)

    def adam(steps, n, alpha, beta, epsilon, norm, post):
        new, vs, hs = [], [], []
        rate = r * np.sqrt(1 - beta**steps) / (1 - alpha**steps) if steps > 0 else r
        for i in range(n):
            grad = norm * xs[i] + gs[i]
            vs.append(alpha * v[i] + (1 - alpha) * grad)
            hs.append(beta * h[i] + (1 - beta) * grad * grad)
            new.append((1 - post) * (xs[i] - rate * vs[-1] / (np.sqrt(hs[-1]) + epsilon)))
        g.add("Adam", [r, steps, *xs[:n], *gs[:n], *v[:n], *h[:n]], new + vs + hs, d, alpha=alpha, beta=beta,
              epsilon=epsilon, norm_coefficient=norm, norm_coefficient_post=post)

    def momentum(steps, n, mode, alpha, beta, norm):
        new, vs = [], []
        for i in range(n):
            grad = norm * xs[i] + gs[i]
            vs.append(alpha * v[i] + (beta if steps > 0 else 1) * grad)
            new.append(xs[i] - r * (vs[-1] if mode == "standard" else grad + alpha * vs[-1]))
        g.add("Momentum", [r, steps, *xs[:n], *gs[:n], *v[:n]], new + vs, d, mode=mode, alpha=alpha, beta=beta,
              norm_coefficient=norm)

    for steps in t0, t:
        adagrad(steps, 2, 0.5, 0.25, 0.125)
        adam(steps, 2, 0.75, 0.875, 0.25, 0.125, 0.0625)
        momentum(steps, 2, "standard", 0.75, 0.5, 0.125)
        momentum(steps, 1, "nesterov", 0.75, 0.5, 0.125)
    # Gradients: of y = a tanh(a b), at its operands and at others; in the second order.
    a, b, c = numbers(3), numbers(3), numbers(3)

    def slopes(a, b):
        u = np.tanh(a * b)
        return u + a * b * (1 - u * u), a * a * (1 - u * u)

    g.ins += [value(n, a) for n in "abc"]
    g.arrays.update(a=a, b=b, c=c)
    g.nodes += [node("Mul", ["a", "b"], ["ab"]), node("Tanh", ["ab"], ["tanh"]), node("Mul", ["a", "tanh"], ["y"]),
                node("Gradient", ["a", "b"], ["da", "db"], d, xs=["a", "b"], y="y"),
                node("Gradient", ["c", "b"], ["dc"], d, xs=["a"], zs=["b"], y="y"),
                node("Gradient", ["tanh"], ["dtanh"], d, xs=["tanh"], y="y"),
                node("Gradient", ["a", "b"], ["", "dbb"], d, xs=["a", "b"], y="db")]
    u = np.tanh(a * b)
    da, db = slopes(a, b)
    for name, result in (("da", da), ("db", db), ("dc", slopes(c, b)[0]), ("dtanh", a),
                         ("dbb", -2 * a**3 * u * (1 - u * u))):
        g.outs.append(value(name, result))
        g.arrays[name] = result
    # Training forms of operators of the first domain.
    x, s, o, m, w = numbers(3, 2, 4), numbers(2), numbers(2), numbers(2), numbers(2, low=0.1)
    mean, var = x.mean((0, 2)), x.var((0, 2))
    y = (x - mean[:, None]) / np.sqrt(var[:, None] + 0.25) * s[:, None] + o[:, None]
    g.add("BatchNormalization", [x, s, o, m, w], [y, 0.75 * m + 0.25 * mean, 0.75 * w + 0.25 * var],
          epsilon=0.25, momentum=0.75, training_mode=1)
    g.add("Dropout", [x, known(0.0, "f4"), known(True)], [x, np.ones(x.shape, bool)])
    g.add("Dropout", [x, known(0.5, "f4"), known(False)], [x, np.ones(x.shape, bool)])
    g.write()


INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
FLOATS = ["f2", "f4", "f8"]


def some(dtype, *shape, low=1):
    """Both signs where there are two; never 0."""
    if np.dtype(dtype).kind == "f":
        return (random.integers(-40, 40, shape) / 8 + 0.0625).astype(dtype)
    v = random.integers(low, 11, shape)
    return (v * random.choice([-1, 1], shape) if np.dtype(dtype).kind == "i" else v).astype(dtype)


def t_one(t):
    return np.dtype(t).type(1)


def types():
    """Operators of one and two operands in all dtypes that numpy has."""
    g = Group("types", 20)
    for t in INTEGERS + FLOATS:
        a, b, least = some(t, 2, 3), some(t, 3), (np.iinfo(t).min if np.dtype(t).kind != "f" else -np.inf)
        floats, signed = np.dtype(t).kind == "f", np.dtype(t).kind != "u"
        g.add("Add", [a, b], [a + b])
        g.add("Sub", [a, b], [a - b])
        g.add("Mul", [a, b], [a * b])
        # Integers are divided towards zero.
        g.add("Div", [a, b], [a / b if floats else (np.trunc(a / b)).astype(t)])
        g.add("Mod", [a, b], [np.fmod(a, b)], fmod=1)
        if not floats:
            g.add("Mod", [a, b], [a % b])
        g.add("Max", [a, b, b[:1]], [np.maximum(np.maximum(a, b), b[:1])])
        g.add("Min", [a, b], [np.minimum(a, b)])
        g.add("Abs", [a], [abs(a)])
        g.add("Sign", [a], [np.sign(a)])
        if signed:
            g.add("Neg", [a], [-a])
            g.add("Relu", [a], [np.maximum(a, 0).astype(t)])
        g.add("Less", [a, b], [a < b])
        g.add("GreaterOrEqual", [a, b], [a >= b])
        g.add("Equal", [a, b], [a == b])
        g.add("Where", [a > b, a, b], [np.where(a > b, a, b)])
        lo, hi = np.array(2, t), np.array(6, t)
        g.add("Clip", [a, lo, hi], [np.clip(a, lo, hi)])
        g.add("Clip", [a, hi, lo], [np.full_like(a, lo)])  # the upper bound wins
        g.add("Clip", [a, None, hi], [np.minimum(a, hi)])
        g.add("ReduceMax", [a], [np.array(a.max(), t)], keepdims=0)
        g.add("ReduceMin", [a, known([1], "i8")], [a.min(1, keepdims=True)])
        if t in ("i4", "u4", "i8", "u8", *FLOATS):
            one = np.array([[1, 2, 3], [2, 1, 1]], t)
            g.add("ReduceSum", [one, known([0], "i8")], [one.sum(0, dtype=t)], keepdims=0)
            g.add("ReduceProd", [one], [np.array(one.prod(dtype=t), t)], keepdims=0)
            g.add("ReduceSumSquare", [one], [np.array((one * one).sum(dtype=t), t)], keepdims=0)
            g.add("ReduceL1", [one], [np.array(one.sum(dtype=t), t)], keepdims=0)
            g.add("ReduceMean", [one, known([1], "i8")], [(one.sum(1) / 3).astype(t)], keepdims=0)
            g.add("CumSum", [one, known(1, "i8")], [one.cumsum(1, dtype=t)])
        g.add("Cast", [a], [a.astype("i4")], to=6)
        g.add("CastLike", [b, known([0], "f8")], [b.astype("f8")])
        for e in "i4", "f4", "f8":  # the base's dtype is the result's
            p, q = abs(a[:1]), np.array([0, 1, 2], e)
            g.add("Pow", [p, q], [(p.astype("f8") ** q.astype("f8")).astype(t)]) if t in ("i4", "i8", *FLOATS) else None
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, -0.0, 1e300, np.inf])
    g.add("Round", [x], [np.rint(x)])  # half to even
    y = np.array([-np.inf, -1, 0, 1, np.inf, np.nan])
    g.add("IsInf", [y], [np.isinf(y)])
    g.add("IsInf", [y], [y == np.inf], detect_negative=0)
    g.add("IsInf", [y], [y == -np.inf], detect_positive=0)
    g.add("IsInf", [y], [np.zeros(6, bool)], detect_positive=0, detect_negative=0)
    g.add("IsNaN", [y], [np.isnan(y)])
    g.add("Sign", [y[:5]], [np.sign(y[:5])])
    for t in FLOATS:  # small and large ones, and what is neither
        z = np.array([0, 1e-8, -1e-6, 1e-3, -0.5, 1, 50, -1e4, np.inf, -np.inf, np.nan], t)
        far = np.array([1e8, -1e12, 1e20, 3e38] if t != "f2" else [6e4], t)
        z = np.concatenate([z, far])
        w = z.astype("f8")
        with np.errstate(all="ignore"):
            g.add("Asinh", [z], [np.arcsinh(w).astype(t)])
            g.add("Acosh", [abs(z) + t_one(t)], [np.arccosh((abs(z) + t_one(t)).astype("f8")).astype(t)])
            g.add("Atanh", [np.clip(z, -1, 1)], [np.arctanh(np.clip(w, -1, 1)).astype(t)])
            low, high = np.array(-2, t), np.array(3, t)
            g.add("Clip", [z, low, high], [np.clip(z, low, high)])
            g.add("Max", [z, np.full_like(z, 1)], [np.maximum(z, 1)])
            g.add("ReduceMax", [z], [np.array([np.nan], t)])
    v = numbers(3, 4)
    g.add("Sum", [v, v[:1], v[:, :1]], [v + v[:1] + v[:, :1]])
    g.add("Mean", [v, v[:1]], [(v + v[:1]) / 2])
    g.add("Mean", [v], [v])
    g.add("Celu", [v.astype("f4")], [np.where(v > 0, v, 0.5 * np.expm1(v / 0.5)).astype("f4")], alpha=0.5)
    g.add("HardSwish", [v], [v * np.clip(v / 6 + 0.5, 0, 1)])
    g.add("Mish", [v], [v * np.tanh(np.log1p(np.exp(v)))])
    inner = np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)
    g.add("Gelu", [v], [0.5 * v * (1 + np.tanh(inner))], approximate="tanh")
    g.write()


def hann(n, periodic, a=(0.5, 0.5, 0.0)):
    k = 2 * np.pi * np.arange(n) / (n if periodic else n - 1)
    return a[0] - a[1] * np.cos(k) + a[2] * np.cos(2 * k)


def parts(z):
    return np.stack([z.real, z.imag], -1)


def signal():
    g = Group("signal", 20)
    windows = (("HannWindow", (0.5, 0.5, 0)), ("HammingWindow", (25 / 46, 21 / 46, 0)),
               ("BlackmanWindow", (0.42, 0.5, 0.08)))
    for op, a in windows:
        g.add(op, [known(10, "i8")], [hann(10, True, a)], output_datatype=11)
        g.add(op, [known(7, "i4")], [hann(7, False, a).astype("f4")], periodic=0)
        g.add(op, [known(7, "i4")], [hann(7, False, a).astype("f2")], periodic=0, output_datatype=10)
        g.add(op, [known(5, "i4")], [hann(5, True, a).astype("i4")], output_datatype=6)
    x = numbers(2, 6, 3, 1)
    z = numbers(2, 6, 3, 2)
    c = z[..., 0] + 1j * z[..., 1]
    for axis in 0, 1, -3:
        at = axis + 1 if axis < 0 else axis
        n = x.shape[axis]
        ax = known(axis, "i8")
        for length in (None, 4, 9):
            lin = None if length is None else known(length, "i8")
            g.add("DFT", [x, lin, ax], [parts(np.fft.fft(x[..., 0], length, at))])
            g.add("DFT", [x, lin, ax], [parts(np.fft.rfft(x[..., 0], length, at))], onesided=1)
            g.add("DFT", [z, lin, ax], [parts(np.fft.fft(c, length, at))])
            g.add("DFT", [z, lin, ax], [parts(np.fft.ifft(c, length, at))], inverse=1)
            m = length or 2 * (n - 1)
            half = np.moveaxis(c, at, 0).copy()  # what is no part of a real signal is not looked at
            half[0] = half[0].real
            if m % 2 == 0 and m // 2 < n:
                half[m // 2] = half[m // 2].real
            h = np.moveaxis(half, 0, at)
            g.add("DFT", [parts(h), lin, ax], [np.fft.irfft(h, m, at)[..., None]], inverse=1, onesided=1)
    g.add("DFT", [x[:, :, 0]], [parts(np.fft.fft(x[:, :, 0, 0], axis=1))])  # the last axis of the signal
    s = numbers(2, 20, 1)
    cs = numbers(2, 20, 2)
    w = hann(6, True)

    def frames(v, step, n, window, one):
        v = np.stack([v[:, i:i + n] * window for i in range(0, v.shape[1] - n + 1, step)], 1)
        return parts((np.fft.rfft if one else np.fft.fft)(v))

    g.add("STFT", [s, known(4, "i8"), w, known(6, "i8")], [frames(s[..., 0], 4, 6, w, True)])
    g.add("STFT", [s, known(3, "i8"), w], [frames(s[..., 0], 3, 6, w, False)], onesided=0)
    g.add("STFT", [s, known(5, "i8"), None, known(7, "i8")], [frames(s[..., 0], 5, 7, 1, True)])
    g.add("STFT", [cs, known(4, "i8"), w, known(6, "i8")], [frames(cs[..., 0] + 1j * cs[..., 1], 4, 6, w, False)],
          onesided=0)
    g.write()
    g = Group("dft17", 17)  # the axis is an attribute
    g.add("DFT", [x], [parts(np.fft.fft(x[..., 0], axis=1))])
    g.add("DFT", [x, known(4, "i8")], [parts(np.fft.rfft(x[..., 0], 4, 2))], axis=2, onesided=1)
    g.add("DFT", [z], [parts(np.fft.ifft(c, axis=0))], axis=0, inverse=1)
    g.write()


def random_numbers():
    """No expected numbers: tests/format/test_onnx_random.c looks at what they are like."""
    g = Group("random", 17)
    many = np.zeros((100, 50), "f2")
    g.ins.append(value("like", many))

    def add(op, ins, out, a, **more):
        g.nodes.append(node(op, ins, [out] if isinstance(out, str) else out, **more))
        for name in [out] if isinstance(out, str) else out:
            g.outs.append(value(name, a))

    f4, row = np.zeros((100, 50), "f4"), np.zeros((2, 5000), "i8")
    add("RandomUniform", [], "uniform", f4, shape=[100, 50], low=2.0, high=4.0)
    add("RandomUniform", [], "other", f4, shape=[100, 50], low=2.0, high=4.0)
    add("RandomNormal", [], "normal", f4.astype("f8"), shape=[100, 50], mean=3.0, scale=0.5, dtype=11)
    add("RandomNormalLike", ["like"], "seeded", many, seed=2.5)
    add("RandomNormalLike", ["like"], "seeded_again", many, seed=2.5)
    add("RandomUniformLike", ["like"], "seeded_otherwise", f4, seed=3.5, dtype=1)
    g.initializers.append(tensor("p", np.full((100, 50), 0.25, "f4")))
    add("Bernoulli", ["p"], "bernoulli", f4)
    add("Bernoulli", ["p"], "bernoulli_i32", f4.astype("i4"), dtype=6, seed=1.0)
    g.initializers.append(tensor("logits", np.log(np.array([[0.125, 0.25, 0.625], [0.5, 0.5, 1e-9]], "f4"))))
    add("Multinomial", ["logits"], "classes", row, sample_size=5000, dtype=7)
    g.initializers += [tensor("ones", np.ones((100, 50))), tensor("rate", np.array(0.25, "f4")),
                       tensor("yes", np.array(True))]
    g.nodes.append(node("Dropout", ["ones", "rate", "yes"], ["dropped", "mask"], seed=4))
    g.outs += [value("dropped", f4.astype("f8")), value("mask", f4.astype("?"))]
    g.write(arrays=False)


def refused():
    """Nodes that say what is not so, each a model: refused.npz holds their bytes, refused.txt (which the test writes
    anew) the messages."""
    models = []
    x, v = np.zeros((2, 3), "f4"), np.zeros(3, "f4")
    train = "ai.onnx.preview.training"

    def bad(op, ins, n_out=1, opset=17, domain="", **attributes):
        g = Group("", opset, [(train, 1), ("ai.onnx.preview", 1)])
        g.add(op, ins, [x] * n_out, domain, **attributes)
        models.append(g.bytes())

    q = np.zeros((1, 2, 3, 4), "f4")
    bad("Add", [x, x], opset=6, broadcast=1, axis=1)
    bad("Add", [x, v], opset=6, broadcast=1, axis=5)
    bad("Cast", [x], opset=5, to="COMPLEX64")
    bad("Cast", [x], opset=5, to="nothing")
    bad("Reshape", [x], opset=1)
    bad("Tile", [x, known(2, "i8"), known(7, "i8")], opset=1)
    bad("Upsample", [q], opset=7, scales=[2.0])
    bad("BatchNormalization", [x, v, v, v, v], n_out=3, opset=17)
    bad("Dropout", [x, known(1.5, "f4"), known(True)])
    bad("RandomNormal", [], dtype=1)
    bad("RandomNormal", [], dtype=14, shape=[2])
    bad("RandomUniform", [], dtype=6, shape=[2])
    bad("RandomUniform", [], seed="1", shape=[2])
    bad("Multinomial", [v])
    bad("Multinomial", [x], sample_size=-1)
    bad("Adam", [v[0], v[0], v, v], domain=train)
    bad("Momentum", [v[0], v[0], v, v, v], domain=train, mode="other")
    bad("Adagrad", [x, v[0], v, v, v], domain=train)
    bad("Gradient", [x], domain=train, xs=["nothing"], y="gradient_0_i0")
    bad("Gradient", [x], domain=train, xs=["gradient_0_i0", "b"], y="gradient_0_i0")
    bad("Gradient", [x], domain=train, y="gradient_0_i0")
    bad("Attention", [x, x, x], opset=24)
    bad("Attention", [q, q, np.zeros((1, 1, 3, 4), "f4")], n_out=1, opset=24)
    bad("Attention", [q, np.zeros((1, 0, 3, 4), "f4"), np.zeros((1, 0, 3, 4), "f4")], n_out=4, opset=24)
    row = np.zeros((1, 2, 4), "f4")
    bad("LinearAttention", [row, row, row], opset=27, q_num_heads=2, kv_num_heads=2, update_rule="other")
    bad("LinearAttention", [row, row, row], opset=27, q_num_heads=2, kv_num_heads=0, update_rule="linear")
    bad("LinearAttention", [row, row, row, x], opset=27, q_num_heads=2, kv_num_heads=2, update_rule="linear")
    bad("LinearAttention", [row, row, row], opset=27, q_num_heads=2, kv_num_heads=2)
    bad("CausalConvWithState", [row, x], opset=27)
    bad("CausalConvWithState", [row, np.zeros((2, 1, 3), "f4")], opset=27, activation="other")
    one = graph([node("Identity", ["a"], ["b"])], [value("a", q)], [value("b", q)])
    two = graph([node("Identity", ["a"], ["b"])], [value("a", q), value("c", q)], [value("b", q)])
    bad("FlexAttention", [q, q, q], domain="ai.onnx.preview", score_mod=two)
    bad("FlexAttention", [q, q, q], domain="ai.onnx.preview", softmax_precision=7)
    bad("FlexAttention", [q, q, np.zeros((1, 1, 3, 4), "f4")], domain="ai.onnx.preview", score_mod=one)
    w, r = np.zeros((1, 16, 2), "f4"), np.zeros((1, 16, 4), "f4")
    steps = np.zeros((5, 3, 2), "f4")
    bad("LSTM", [steps, w, r], activations=["Tanh"])
    bad("LSTM", [steps, w, r], activations=["Tanh", "Sine", "Tanh"])
    bad("LSTM", [steps, w, r], direction="sideways")
    bad("LSTM", [steps, w, r[:, :15]], clip=1.0)
    bad("LSTM", [steps[0], w, r], clip=1.0)
    bad("GRU", [steps, w, r], clip=1.0)
    bad("Scan", [None, v], opset=8, body=one, num_scan_inputs=1)
    bad("Scan", [None, x], opset=8, body=one, num_scan_inputs=2)
    # What is found inside of bodies that the importer makes.
    longer = np.zeros((1, 3, 4), "f4")
    bad("LinearAttention", [row, longer, longer], opset=27, q_num_heads=2, kv_num_heads=2, update_rule="linear")
    bad("LinearAttention", [row, row, row, q], opset=27, q_num_heads=2, kv_num_heads=2, update_rule="linear")
    bad("LSTM", [steps, w, r, None, np.zeros(2, "i4")], clip=1.0)
    bad("LSTM", [steps, w[..., :1], r], clip=1.0)
    bad("LSTM", [steps, w, r, None, None, x[None]], clip=1.0)
    bad("Scan", [known([1, 2], "i8"), x, q], opset=8, body=graph(
        [node("Add", ["s", "a"], ["t"])], [value("s", v), value("a", v)], [value("t", v)]), num_scan_inputs=1)
    bad("Scan", [known([1], "i8"), q, q], opset=8, body=graph(
        [node("Frobnicate", ["s", "a"], ["t"])], [value("s", v), value("a", v)], [value("t", v)]), num_scan_inputs=1)
    bad("Scan", [None, v, q], opset=8, body=graph(
        [node("Identity", ["s"], ["t"])], [value("s", v[0]), value("a", v)], [value("t", v[0])]), num_scan_inputs=1)
    bad("Attention", [q, q, q, None, q[0], q[0]], opset=24, n_out=3)
    bad("LSTM", [steps, w, r, None, None, x])
    many = graph([node("Identity", ["a"], [f"t{i}"]) for i in range(99)], [value("s", v), value("a", v)],
                 [value(f"t{i}", v) for i in range(99)])
    bad("Scan", [known([1], "i8"), x, q], opset=8, body=many, num_scan_inputs=1)
    bad("FlexAttention", [q, np.zeros((1, 0, 3, 4), "f4"), np.zeros((1, 0, 3, 4), "f4")], domain="ai.onnx.preview")
    bad("STFT", [q, known(2, "i8"), None, known(2, "i8")], opset=17)
    bad("HannWindow", [known(4, "i8")], output_datatype=14)
    np.savez(f"{TO}/refused.npz", **{f"m{i}": np.frombuffer(b, "u1") for i, b in enumerate(models)})


for group in (opset1, opset8, training, recurrent, types, signal, attention, states, random_numbers, refused):
    group()
