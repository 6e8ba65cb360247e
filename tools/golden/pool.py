"""Pooling, resizing, grid sampling and pixel shuffling by PyTorch, with gradients.

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
