#!/usr/bin/python3
"""Makes tests/golden/graph/ops_b.txt: operators on shapes and indices, matmul, softmax, random numbers.

The oracles are numpy and torch in double, results rounded to the dtype once; Philox is written out here from the
paper. A case is

    op NAME [ATTRIBUTES]        as in "begin=[1, -1], size=[2, 3]"; NAME "cj_matmul" is the builder
    x DTYPE SHAPE NUMBERS       the operands, a line each; floats in C's %a
    y DTYPE SHAPE NUMBERS       the results, a line each

    tools/golden/ops_b.py > tests/golden/graph/ops_b.txt
"""
import itertools
import math

import numpy as np
import torch

rng = np.random.default_rng(20240607)
NAMES = {np.dtype(np.float64): "f64", np.dtype(np.float32): "f32", np.dtype(np.float16): "f16",
         np.dtype(np.int64): "i64", np.dtype(np.int32): "i32", np.dtype(np.int8): "i8", np.dtype(np.uint8): "u8",
         np.dtype(np.bool_): "bool"}


def number(v):
    if isinstance(v, (bool, np.bool_, int, np.integer)):
        return str(int(v))
    v = float(v)
    if v.is_integer() and abs(v) < 1e6 and (v or math.copysign(1, v) > 0):
        return str(int(v))
    return "nan" if math.isnan(v) else "inf" if v == math.inf else "-inf" if v == -math.inf else v.hex()


def line(kind, a):
    a = np.asarray(a)
    print(kind, NAMES[a.dtype], ",".join(map(str, a.shape)) or "scalar", *[number(v) for v in np.ravel(a)])


def text(value):
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(text(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def case(name, operands, results, **attributes):
    print("op", name, ", ".join(f"{k}={text(v)}" for k, v in attributes.items()))
    for x in operands:
        line("x", x)
    for y in results:
        line("y", y)


def real(*shape, dtype=np.float32):
    return rng.normal(size=shape).astype(dtype)


def integers(low, high, *shape, dtype=np.int64):
    return rng.integers(low, high, size=shape, dtype=dtype)


def shapes():
    x = real(2, 3, 4)
    for dims in [[24], [4, 6], [2, 1, 12], [1, 2, 3, 4, 1], [8, 3]]:
        case("reshape", [x], [x.reshape(dims)], dims=dims)
    for p in itertools.permutations(range(3)):
        case("transpose", [x], [x.transpose(p)], permutation=p)
    y = integers(-99, 99, 2, 3, 1, 2, dtype=np.int8)
    for p in [(3, 2, 1, 0), (0, 2, 1, 3), (1, 3, 0, 2)]:
        case("transpose", [y], [y.transpose(p)], permutation=p)
    case("transpose", [real(0, 3)], [np.zeros((3, 0), np.float32)], permutation=[1, 0])
    for shape, dims in [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (2, 3)), ((1, 3, 1), (2, 2, 3, 4)), ((1, 2), (0, 2))]:
        x = real(*shape, dtype=np.float64)
        case("broadcast", [x], [np.broadcast_to(x, dims)], dims=dims)
    x = integers(0, 255, 3, 4, 2, dtype=np.uint8)
    for axes in [[0], [-1], [1, 0], [2, 0, 1], []]:
        case("reverse", [x], [np.flip(x, axes)], axes=axes)
    parts = [real(2, n, 3) for n in (1, 0, 4, 2)]
    case("concat", parts, [np.concatenate(parts, 1)], axis=-2)
    case("concat", parts[:1], parts[:1], axis=1)
    flags = [integers(0, 2, n, dtype=np.int64).astype(bool) for n in (3, 1, 5)]
    case("concat", flags, [np.concatenate(flags)], axis=0)
    x = real(3, 7, 2)
    case("split", [x], np.split(x, [2, 2, 6], axis=1), axis=1, sizes=[2, 0, 4, 1])
    case("split", [x], np.split(x, 2, axis=-1), axis=-1, sizes=[1, 1])


def slices():
    x = real(6, 5)
    for rows, columns in itertools.product([slice(1, 5, 2), slice(-3, None, 1), slice(None, None, -1), slice(4, 0, -3),
                                            slice(5, 6, 7), slice(-2, None, -2)], [slice(0, 5, 2), slice(3, None, -2)]):
        y = x[rows, columns]
        begin = [6 if s.start is None and s.step > 0 else -1 if s.start is None else s.start for s in (rows, columns)]
        case("slice", [x], [y], begin=begin, size=list(y.shape), step=[rows.step, columns.step])
    case("slice", [x], [x[6:6, 2:4]], begin=[6, 2], size=[0, 2])
    z = integers(-9, 9, 2, 3, 4, dtype=np.int8)
    case("slice", [z], [z[1:, ::2, -1:0:-2]], begin=[1, 0, -1], size=[1, 2, 2], step=[1, 2, -2])

    def pad(x, before, after, interior, value):
        for axis, (b, a, i) in enumerate(zip(before, after, interior)):
            n = x.shape[axis]
            spread = np.full([*x.shape[:axis], max(0, n + (n - 1) * i), *x.shape[axis + 1:]], value, x.dtype)
            spread[(slice(None),) * axis + (slice(None, None, i + 1),)] = x
            widths = [(0, 0)] * x.ndim
            widths[axis] = (max(b, 0), max(a, 0))
            spread = np.pad(spread, widths, constant_values=value)
            x = np.take(spread, range(max(-b, 0), spread.shape[axis] - max(-a, 0)), axis)
        return x

    x = real(3, 4)
    for before, after, interior, value in [((1, 0), (0, 2), (0, 0), 0.5), ((0, 1), (2, 1), (1, 2), -1),
                                           ((-1, 2), (0, -2), (0, 0), 0), ((-2, -4), (1, 3), (1, 2), 7),
                                           ((-2, -1), (-1, -3), (0, 0), 0), ((0, -2), (-3, -1), (3, 1), 2)]:
        case("pad", [x], [pad(x, before, after, interior, value)], before=before, after=after, interior=interior,
             value=value)
    case("pad", [real(0, 2)], [np.full((3, 2), 9, np.float32)], before=[1, 0], after=[2, 0], value=9)
    case("pad", [x], [pad(x, (1, 2), (3, 0), (1, 0), 0)], before=[1, 2], interior=[1, 0], size=[9, 6])
    for begin in [(0, 0), (1, 2), (-5, 3), (4, 9)]:
        at = [min(max(b, 0), n - m) for b, n, m in zip(begin, (3, 4), (2, 3))]
        window = (slice(at[0], at[0] + 2), slice(at[1], at[1] + 3))
        case("dynamic_slice", [x, np.array(begin)], [x[window]], dims=[2, 3])
        u, y = real(2, 3), x.copy()
        y[window] = u
        case("update_slice", [x, u, np.array(begin)], [y])


def indices():
    x = real(4, 5, 3)
    for axis, index in [(0, integers(0, 4, 2, 3)), (1, integers(-5, 5, 4, dtype=np.int32)), (-1, np.array(1)),
                        (2, integers(0, 3, 0)), (-3, integers(-4, 4, 2, 1, 2, dtype=np.int32))]:
        y = np.take(x, index, axis)
        case("gather", [x, index], [y], axis=axis)
        sums = np.zeros_like(x, dtype=np.float64)
        a = axis % 3
        np.add.at(sums, (slice(None),) * a + (index,), y.astype(np.float64))
        case("scatter_add", [y, index], [sums.astype(np.float32)], axis=axis, size=[x.shape[a]])
    words = integers(-99, 99, 3, 2, dtype=np.int8)
    case("scatter_add", [words, np.array([0, 2, -4])], [np.stack([words[0] + words[2], 0 * words[0], words[1],
                                                                  0 * words[0]])], axis=0, size=[4])
    for axis in (0, 1, -1):
        shape = list(x.shape)
        shape[axis] = 3
        index = integers(-x.shape[axis], x.shape[axis], *shape)
        case("gather_along", [x, index], [np.take_along_axis(x, index, axis)], axis=axis)
    index = integers(0, 5, 2, 6, 3)
    case("gather_along", [x, index], [torch.gather(torch.tensor(x), 1, torch.tensor(index)).numpy()], axis=1)
    x = real(4, 5, dtype=np.float64)
    index, updates = integers(0, 4, 6, 3), real(6, 3, dtype=np.float64)
    args = torch.tensor(index), torch.tensor(updates)
    case("scatter_along", [x, index, updates], [torch.tensor(x).scatter_add(0, *args).numpy()], axis=0, rule="add")
    index = np.array([[4, 1, 0], [2, 3, 1]], np.int32)
    y = torch.tensor(x).scatter(1, torch.tensor(index, dtype=torch.int64), torch.tensor(updates[:2])).numpy()
    case("scatter_along", [x, index, updates[:2]], [y], axis=-1)
    labels = np.array([[0, 3, -1], [2, 9, 1]])
    hot = (labels[..., None] == np.arange(4)).astype(np.float32)
    case("one_hot", [labels], [hot], depth=4)
    case("one_hot", [labels.astype(np.int32)], [hot.astype(bool)], depth=4, dtype="bool")
    x = np.array([[3, 1, 3, np.nan, -np.inf, 2, 3], [0.0, -0.0, np.inf, 5, 5, np.nan, -1]], np.float32)
    for axis, k, smallest in [(1, 4, False), (-1, 7, False), (1, 7, True), (0, 1, True), (0, 2, False), (1, 0, False)]:
        # NaN is largest; a stable sort of the falling order keeps the first of equals first.
        key = np.where(np.isnan(x), np.inf, x)
        order = np.argsort(key if smallest else -key, axis, kind="stable")
        if axis:  # NaN against inf: rank them by hand
            rank = [sorted(range(7), key=lambda j: ((1, 0.0) if math.isnan(r[j]) else (0, r[j])) if smallest else
                           ((0, 0.0) if math.isnan(r[j]) else (1, -r[j]))) for r in x.tolist()]
            order = np.array(rank)
        else:
            order = np.array([sorted(range(2), key=lambda j: ((1, 0.0) if math.isnan(c[j]) else (0, c[j])) if smallest
                                     else ((0, 0.0) if math.isnan(c[j]) else (1, -c[j]))) for c in x.T.tolist()]).T
        order = np.take(order, range(k), axis).astype(np.int64)
        case("top_k", [x], [np.take_along_axis(x, order, axis), order], k=k, axis=axis, smallest=smallest)
    x = integers(0, 255, 40, dtype=np.uint8)
    order = np.argsort(-x.astype(int), kind="stable")[:17].astype(np.int64)
    case("top_k", [x], [x[order], order], k=17)


def products():
    def last(x):
        return np.swapaxes(x, -1, -2)

    for ta, tb in itertools.product([False, True], repeat=2):
        for lead_a, lead_b in [((), ()), ((2,), (2,)), ((3, 2), (3, 2)), ((3, 2), ())]:
            a, b = real(*lead_a, 4, 5), real(*lead_b, 5, 3)
            y = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
            case("matmul", [last(a) if ta else a, last(b) if tb else b], [y], transpose_a=ta, transpose_b=tb)
    a, b = integers(-99, 99, 3, 4, dtype=np.int8), integers(-99, 99, 4, 2, dtype=np.int8)
    case("matmul", [a, b], [np.matmul(a, b)])
    case("matmul", [real(2, 0), real(0, 3)], [np.zeros((2, 3), np.float32)])
    for sa, sb in [((4,), (4,)), ((4,), (4, 3)), ((2, 4), (4,)), ((5, 2, 4), (4,)), ((4,), (5, 4, 2)), ((2, 4), (5, 4, 3)),
                   ((5, 1, 2, 4), (3, 4, 2)), ((1, 2, 4), (6, 4, 3)), ((6, 2, 4), (1, 4, 3))]:
        a, b = real(*sa, dtype=np.float64), real(*sb, dtype=np.float64)
        case("cj_matmul", [a, b], [np.matmul(a, b)])
    a, b = integers(0, 5, 2, 3, dtype=np.int32), real(3, 2)
    case("cj_matmul", [a, b], [np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)])


def softmaxes():
    x = np.array([[1, 2, 3, 4], [1e4, -1e4, 0, 9999], [-math.inf, 0, 1, -1], [-1e4, -1e4, -1e4, -10001],
                  [5e-3, -5e-3, 0, 88]], np.float64)
    for dtype in (np.float64, np.float32):
        t = torch.tensor(x.astype(dtype), dtype=torch.float64)
        for axis in (0, 1, -1):
            case("softmax", [x.astype(dtype)], [torch.softmax(t, axis).numpy().astype(dtype)], axis=axis)
            case("log_softmax", [x.astype(dtype)], [torch.log_softmax(t, axis).numpy().astype(dtype)], axis=axis)
        for labels in ([0, 1, 2, 3, 3], [3, 0, 0, 0, 1]):
            y = torch.nn.functional.cross_entropy(t, torch.tensor(labels), reduction="none").numpy().astype(dtype)
            case("sparse_softmax_crossentropy", [x.astype(dtype), np.array(labels)], [y])
    x = real(2, 3, 4, 5, dtype=np.float64)
    labels = integers(0, 5, 2, 3, 4, dtype=np.int32)
    y = torch.nn.functional.cross_entropy(torch.tensor(x).moveaxis(-1, 1), torch.tensor(labels).long(), reduction="none")
    case("sparse_softmax_crossentropy", [x, labels], [y.numpy()])
    case("sparse_softmax_crossentropy", [x[0, 0, 0], np.array(3)],
         [torch.nn.functional.cross_entropy(torch.tensor(x[0, 0, 0]), torch.tensor(3)).numpy()])


def philox(counter, key):
    for _ in range(10):
        p, q = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [q >> 32 ^ counter[1] ^ key[0], q & 0xFFFFFFFF, p >> 32 ^ counter[3] ^ key[1], p & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def scatters():
    """Of several updates for one place, with x itself; torch's include_self."""
    own = np.random.default_rng(20261123)
    for dtype in (np.float64, np.float32, np.int64, np.int8):
        whole = np.issubdtype(dtype, np.integer)
        x = own.integers(-9, 9, size=(4, 5)).astype(dtype) if whole else own.normal(size=(4, 5)).astype(dtype)
        u = own.integers(-9, 9, size=(7, 4)).astype(dtype) if whole else own.normal(size=(7, 4)).astype(dtype)
        if not whole:
            x[0, :3] = np.nan, np.inf, 0
            u[0, :4] = -np.inf, np.inf, 0, np.nan
        index = own.integers(0, 4, size=u.shape)
        for rule, name in (("mul", "prod"), ("max", "amax"), ("min", "amin")):
            y = torch.tensor(x.astype(np.float64) if dtype == np.float32 else x)
            y = y.scatter_reduce(0, torch.tensor(index), torch.tensor(u).to(y.dtype), name).numpy().astype(dtype)
            case("scatter_along", [x, index, u], [y], axis=0, rule=rule)


def randoms():
    def word(key, stream, sample, element):
        seed = key[0] % 2**64
        counter = [element // 4, (key[2] + sample) % 2**32, key[1] % 2**32, stream]
        return philox(counter, [seed & 0xFFFFFFFF, seed >> 32])[element % 4]

    for key, stream, dims in [((0, 0, 0), 0, [3, 5]), ((-7, 41, 2**32 - 2), 9, [4, 3]), ((1 << 40, 3, 17), 2, []),
                              ((5, 6, 7), 1, [2, 300]), ((5, 6, 7), 1, [0, 3])]:
        rows, length = (dims[0], int(np.prod(dims[1:]))) if dims else (1, 1)
        u = [(word(key, stream, r, e) >> 8) * 2.0**-24 for r in range(rows) for e in range(length)]
        n = []
        for r in range(rows):
            for e in range(length):
                a, b = word(key, stream, r, 2 * e), word(key, stream, r, 2 * e + 1)
                n.append(math.sqrt(-2 * math.log((a + 1) * 2.0**-32)) * math.cos(2 * math.pi * b * 2.0**-32))
        for dtype in (np.float64, np.float32):
            name = NAMES[np.dtype(dtype)]
            for op, v in (("random_uniform", u), ("random_normal", n)):
                case(op, [np.array(key)], [np.array(v, np.float64).reshape(dims).astype(dtype)], dtype=name,
                     stream=stream, dims=dims)


def extends():
    x = real(3, 4, 2)
    for mode in ("edge", "reflect", "wrap"):
        for before, after in (([1, 0, 0], [0, 3, 1]), ([2, 2, 1], [1, 3, 0]), ([5, 9, 3], [7, 4, 2])):
            case("extend", [x], [np.pad(x, list(zip(before, after)), mode)], before=before, after=after, mode=mode)
    y = integers(0, 255, 1, 5, dtype=np.uint8)
    case("extend", [y], [np.pad(y, [(3, 1), (0, 6)], "reflect")], before=[3, 0], after=[1, 6], mode="reflect")


shapes()
slices()
indices()
products()
softmaxes()
randoms()
scatters()
extends()
