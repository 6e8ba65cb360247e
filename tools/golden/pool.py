"""Pooling, columns, resizing, grid sampling and pixel shuffling by PyTorch, with gradients.

    OPENBLAS_CORETYPE=SkylakeX /usr/bin/python3 -P tools/golden/pool.py > tests/golden/graph/pool.txt

A case is a line "operator key=value ...", the operands ("x 1,2,5,5 numbers...") and what comes out:
y, other results, and the gradients of sum(y dy), where element k of dy is sin(k + 1). Images are
channels-first."""
import math

import torch
import torch.nn.functional as F

torch.manual_seed(3)


def numbers(t):
    return " ".join(format(float(v), ".8g") if t.dtype.is_floating_point else str(int(v)) for v in t.flatten())


def show(name, t):
    print(name, ",".join(map(str, t.shape)), numbers(t.detach()))


def case(text, y, wrt, more=()):
    print(text)
    for name, t in wrt:
        show(name, t)
    for name, t in more:
        show(name, t)
    show("y", y)
    dy = torch.sin(torch.arange(1, y.numel() + 1, dtype=torch.float64)).reshape(y.shape)
    for (name, _), d in zip(wrt, torch.autograd.grad((y * dy).sum(), [t for _, t in wrt])):
        show("d" + name, d)


def image(*shape):
    t = torch.randperm(math.prod(shape)).double().reshape(shape) * 0.1 - 1 + 0.01 * torch.rand(shape).double()
    t = torch.round(t * 1e4) / 1e4
    return t.requires_grad_()


def text(name, **values):
    def one(v):
        return ",".join(map(str, v)) if isinstance(v, (tuple, list)) else str(v)
    return " ".join([name] + [f"{k}={one(v)}" for k, v in values.items()])


MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
AMAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
AAVG = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}

for shape, k, s, p, d, ceil in [((1, 2, 7), (3,), (2,), (1,), (1,), 0), ((2, 1, 8), (2,), (3,), (0,), (2,), 1),
                                ((1, 3, 5, 6), (2, 2), (2, 2), (0, 0), (1, 1), 0),
                                ((1, 3, 5, 6), (2, 2), (2, 2), (0, 0), (1, 1), 1),
                                ((2, 2, 6, 5), (3, 2), (1, 2), (1, 1), (1, 1), 1),
                                ((1, 2, 7, 7), (3, 3), (2, 1), (1, 1), (2, 1), 0),
                                ((1, 20, 4, 4), (3, 3), (2, 2), (1, 1), (1, 1), 0),
                                ((1, 2, 4, 3, 5), (2, 2, 2), (2, 1, 2), (0, 1, 1), (1, 1, 1), 0)]:
    x = image(*shape)
    y, index = MAX[len(k)](x, k, s, p, d, bool(ceil), return_indices=True)
    case(text("max_pool", kernel=k, strides=s, pads=p, dilations=d, ceil=ceil), y, [("x", x)], [("index", index)])
    if d == (1,) * len(d):
        for include in (0, 1):
            x = image(*shape)
            y = AVG[len(k)](x, k, s, p, bool(ceil), bool(include))
            case(text("avg_pool", kernel=k, strides=s, pads=p, ceil=ceil, include=include), y, [("x", x)])

for shape, m in [((1, 2, 7), (3,)), ((1, 2, 5, 7), (3, 4)), ((1, 2, 6, 4), (3, 2)), ((1, 1, 3, 4), (5, 1)), ((1, 2, 4, 5, 3), (2, 3, 3))]:
    x = image(*shape)
    case(text("adaptive_avg_pool", sizes=m), AAVG[len(m)](x, m), [("x", x)])
    x = image(*shape)
    case(text("adaptive_max_pool", sizes=m), AMAX[len(m)](x, m), [("x", x)])

x = image(1, 2, 4, 4)
y, index = F.max_pool2d(x, 2, return_indices=True)
y = y.detach().requires_grad_()
case(text("max_unpool", sizes=(4, 4)), F.max_unpool2d(y, index, 2), [("x", y)], [("index", index)])

for size in [(7, 9), (3, 2), (4, 5), (1, 10)]:
    for mode in ("nearest", "bilinear", "bicubic"):
        for align in ((0,) if mode == "nearest" else (0, 1)):
            x = image(1, 2, 4, 5)
            y = F.interpolate(x, size, mode=mode, align_corners=bool(align) if mode != "nearest" else None)
            case(text("resize", sizes=size, mode={"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}[mode],
                      coordinates="asymmetric" if mode == "nearest" else "align_corners" if align else "half_pixel",
                      nearest="floor"), y, [("x", x)])
for size in [(3, 2), (2, 5)]:
    for mode in ("bilinear", "bicubic"):
        x = image(1, 2, 6, 9)
        y = F.interpolate(x, size, mode=mode, align_corners=False, antialias=True)
        a = -0.5
        case(text("resize", sizes=size, mode={"bilinear": "linear", "bicubic": "cubic"}[mode], antialias=1, outside=1, cubic=a), y, [("x", x)])
x = image(1, 2, 3, 4, 2)
case(text("resize", sizes=(5, 3, 4), mode="linear"), F.interpolate(x, (5, 3, 4), mode="trilinear", align_corners=False), [("x", x)])
x = image(1, 2, 5)
case(text("resize", sizes=(8,), mode="linear"), F.interpolate(x, 8, mode="linear", align_corners=False), [("x", x)])

for mode in ("bilinear", "nearest", "bicubic"):
    for padding in ("zeros", "border", "reflection"):
        for align in (0, 1):
            x = image(1, 2, 4, 5)
            grid = (torch.round(torch.rand(1, 2, 4, 2).double() * 3.4e3) / 1e3 - 1.7).requires_grad_()
            y = F.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=bool(align))
            case(text("grid_sample", mode={"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}[mode],
                      padding=padding, align=align), y, [("x", x), ("grid", grid)])
x = image(1, 2, 3, 4, 3)
grid = (torch.round(torch.rand(1, 2, 3, 2, 3).double() * 2.4e3) / 1e3 - 1.2).requires_grad_()
case(text("grid_sample", mode="linear", padding="zeros", align=0), F.grid_sample(x, grid, align_corners=False), [("x", x), ("grid", grid)])

x = image(1, 8, 2, 3)
case(text("depth_to_space", block=2, major=1), F.pixel_shuffle(x, 2), [("x", x)])
x = image(1, 2, 4, 6)
case(text("space_to_depth", block=2, major=1), F.pixel_unshuffle(x, 2), [("x", x)])

# Lp pooling. torch's takes no pads, and its powers are of x, not of |x|: even ones, or x above 0.
LP = {1: F.lp_pool1d, 2: F.lp_pool2d}
for shape, k, s, p, power, above in [((1, 2, 7), 3, 2, 1, 2, 0), ((2, 3, 8), 2, 3, 0, 4, 0), ((1, 2, 7), 3, 1, 0, 1.5, 1),
                                     ((1, 3, 5, 6), (2, 3), (2, 1), (0, 1), 2, 0), ((2, 2, 6, 5), (3, 2), (1, 2), (1, 1), 4, 0),
                                     ((1, 20, 4, 4), (2, 2), (2, 2), (0, 0), 3, 1)]:
    x = image(*shape)
    if above:
        x = (x.detach() + 1.5).requires_grad_()
    d = len(shape) - 2
    pads = [v for v in reversed((p,) * d if d == 1 else p) for _ in range(2)]
    case(text("lp_pool", kernel=k, strides=s, pads=p, p=power), LP[d](F.pad(x, pads), power, k, s), [("x", x)])

# Windows as columns, and back: the places of the result as two axes, not one.
for shape, k, s, p, d in [((1, 2, 5, 6), (2, 3), (1, 1), (0, 0), (1, 1)), ((2, 3, 6, 5), (3, 2), (2, 1), (1, 0), (1, 1)),
                          ((1, 1, 7, 7), (2, 3), (3, 2), (1, 2), (3, 2)), ((2, 4, 4, 4), (1, 1), (2, 2), (0, 0), (1, 1))]:
    n = [(shape[2 + i] + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(2)]
    x = image(*shape)
    columns = F.unfold(x, k, dilation=d, padding=p, stride=s)
    case(text("im2col", kernel=k, strides=s, pads=p, dilations=d), columns.reshape(*columns.shape[:2], *n), [("x", x)])
    x = image(shape[0], shape[1] * k[0] * k[1], *n)
    case(text("col2im", kernel=k, strides=s, pads=p, dilations=d, sizes=shape[2:]),
         F.fold(x.flatten(2), shape[2:], k, dilation=d, padding=p, stride=s), [("x", x)])


def place(coordinates, i, n, m, s, begin, end):
    """ONNX's Resize, coordinate_transformation_mode: n elements, m results, scale s."""
    if coordinates == "half_pixel_symmetric":
        return n / 2 * (1 - m / (s * n)) + (i + 0.5) / s - 0.5
    if coordinates == "tf_crop_and_resize":
        return begin * (n - 1) + i * (end - begin) * (n - 1) / (m - 1) if m > 1 else 0.5 * (begin + end) * (n - 1)
    return {"half_pixel": (i + 0.5) / s - 0.5, "pytorch_half_pixel": (i + 0.5) / s - 0.5 if m > 1 else 0.0,
            "align_corners": i * (n - 1) / (n * s - 1) if n * s != 1 else 0.0, "asymmetric": i / s,
            "tf_half_pixel_for_nn": (i + 0.5) / s}[coordinates]


def nearest_of(rounding, u):
    low = math.floor(u)
    return {"floor": low, "ceil": math.ceil(u), "round_prefer_floor": low if u - low <= 0.5 else low + 1,
            "round_prefer_ceil": low if u - low < 0.5 else low + 1}[rounding]


def weights(mode, coordinates, rounding, n, m, s, begin=0, end=1, a=-0.75):
    """[m, n], and which results lie outside of what is cropped. Beyond the edges the edge's elements go on."""
    w, outside = torch.zeros(m, n, dtype=torch.float64), torch.zeros(m, dtype=torch.bool)
    for i in range(m):
        u = place(coordinates, i, n, m, s, begin, end)
        outside[i] = coordinates == "tf_crop_and_resize" and not 0 <= u <= n - 1
        low, t = math.floor(u), u - math.floor(u)
        if mode == "nearest":
            parts = {nearest_of(rounding, u): 1}
        elif mode == "linear":
            parts = {low: 1 - t, low + 1: t}
        else:
            parts = {low - 1: ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a, low: ((a + 2) * t - (a + 3)) * t * t + 1,
                     low + 1: ((a + 2) * (1 - t) - (a + 3)) * (1 - t) ** 2 + 1,
                     low + 2: ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a}
        for at, part in parts.items():
            w[i, min(max(at, 0), n - 1)] += part
    return w, outside


number = 0
for coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric",
                    "tf_crop_and_resize", "tf_half_pixel_for_nn"):
    for mode in ("nearest", "linear", "cubic"):
        for scales in [(1.6, 2.3), (0.7, 0.55), (0.3, 0.95)]:
            x = image(1, 1, 4, 5)
            rounding = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")[number % 4]
            number += 1
            m, crop, more = [math.floor(n * s) for n, s in zip((4, 5), scales)], [(0, 1), (0, 1)], {}
            if coordinates == "tf_crop_and_resize":
                crop = [(0.1, 0.8), (-0.25, 1.2)]
                more = {"begin": (0.1, -0.25), "end": (0.8, 1.2), "extrapolation": 0.5}
            (h, above), (w, beside) = [weights(mode, coordinates, rounding, n, k, s, *c) for n, k, s, c in zip((4, 5), m, scales, crop)]
            y = torch.einsum("bchw,yh,xw->bcyx", x, h, w).masked_fill(above[:, None] | beside[None], 0.5)
            case(text("resize", sizes=m, scales=scales, mode=mode, coordinates=coordinates, nearest=rounding, **more), y, [("x", x)])
# An axis that keeps its size stays as it is, as ONNX Runtime has it; the formula alone would move it by a half.
for mode, rounding in (("nearest", "ceil"), ("nearest", "round_prefer_ceil"), ("linear", "floor"), ("cubic", "floor")):
    x = image(1, 1, 4, 5)
    w, _ = weights(mode, "tf_half_pixel_for_nn", rounding, 5, 10, 2)
    case(text("resize", sizes=(4, 10), mode=mode, coordinates="tf_half_pixel_for_nn", nearest=rounding),
         torch.einsum("bchw,xw->bchx", x, w), [("x", x)])
