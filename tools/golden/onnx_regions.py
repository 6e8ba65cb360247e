#!/usr/bin/python3
"""Operators of ONNX on indices, shapes and regions, with inputs, what others make of them, and gradients.

    /usr/bin/python3 tools/golden/onnx_regions.py tests/golden/format/onnx

The oracles are torch, torchvision and numpy in double; what they lack is written out here in torch, so that its
gradients are torch's. For each GROUP.onnx there is GROUP.npz: inputs by name; outputs by name; for some outputs NAME_w,
what the gradient begins with; and d_INPUT, the gradient of the sum of all outputs times these. regions_refused.npz holds
models that are not read.
"""
import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
import torchvision.ops as vision
from onnx import helper, numpy_helper

warnings.simplefilter("ignore")
FOLDER = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(20261123)


class Known(np.ndarray):
    """An operand that is an initializer."""


def known(v):
    return np.asarray(v).view(Known)


class Group:
    def __init__(self, name, opset, symbols=False):
        """symbols: the first size of each input has a name instead of a number, and those of images after channels."""
        self.name, self.opset, self.symbols = name, opset, symbols
        self.nodes, self.inputs, self.outputs, self.weights, self.arrays = [], [], [], [], {}

    def value(self, name, array, symbols=False):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype) if hasattr(helper, "np_dtype_to_tensor_dtype") else \
            onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype]
        self.arrays[name] = array
        shape = [f"{name}_{k}" if symbols and (k == 0 or (k > 1 and array.ndim == 4)) else n
                 for k, n in enumerate(array.shape)]
        return helper.make_tensor_value_info(name, kind, shape)

    def add(self, op, operands, compute, differentiable=(), **attributes):
        """compute(tensors) -> tensors, with torch's gradients for the numbered operands; or arrays."""
        at = f"{op.lower()}{len(self.nodes)}"
        names = [f"{at}_in{i}" if a is not None else "" for i, a in enumerate(operands)]
        given = [None if a is None else np.asarray(a) for a in operands]
        fixed = [isinstance(a, Known) for a in operands]
        self.inputs += [self.value(n, a, self.symbols) for n, a, k in zip(names, given, fixed) if a is not None and not k]
        self.weights += [numpy_helper.from_array(a, n) for n, a, k in zip(names, given, fixed) if k]
        tensors = [None if a is None else torch.tensor(a) for a in given]
        for i in differentiable:
            tensors[i].requires_grad_()
        results = compute(*tensors)
        results = results if isinstance(results, (list, tuple)) else [results]
        outs = [f"{at}_out{k}" if y is not None else "" for k, y in enumerate(results)]
        loss = 0
        for name, y in zip(outs, results):
            if y is None:
                continue
            array = y.detach().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
            self.outputs.append(self.value(name, array))
            if differentiable and array.dtype.kind == "f":
                w = rng.normal(size=array.shape).astype(array.dtype)
                self.arrays[name + "_w"] = w
                loss = loss + (y * torch.tensor(w)).sum()
        if differentiable:
            loss.backward()
            for i in differentiable:
                grad = tensors[i].grad
                self.arrays["d_" + names[i]] = (torch.zeros_like(tensors[i]) if grad is None else grad).numpy()
        self.nodes.append(helper.make_node(op, names, outs, name=at, **attributes))

    def write(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", self.opset)])
        onnx.save(model, str(FOLDER / f"{self.name}.onnx"))
        np.savez_compressed(FOLDER / f"{self.name}.npz", **self.arrays)


def real(*shape, dtype=np.float64):
    return rng.normal(size=shape).astype(dtype)


def i64(*v):
    return np.array(v, np.int64)


# ---- Regions -------------------------------------------------------------------------------------

def boxes(n, scale, dtype=np.float64):
    """Of all kinds: inside, outside, turned round, without area, larger than the image."""
    a = rng.uniform(-4, 14, size=(n, 4))
    a[:, 2:] = a[:, :2] + rng.uniform(0.3, 9, size=(n, 2))
    a[0] = 2, 3, 2, 3
    a[1] = 9, 8, 4, 5
    a[2] = -30, -30, -20, -20
    a[3] = -20, -20, 30, 30
    a[4] = 0, 0, 8, 9
    return (a / scale).astype(dtype)


def roi_align_max(x, rois, batch, bins, ratio, scale, half):
    """The largest weighted element around any sample of a bin."""
    n, c, h, w = x.shape
    out = []
    for roi, b in zip(rois.tolist(), batch.tolist()):
        off = 0.5 if half else 0.0
        x1, y1, x2, y2 = [v * scale - off for v in roi]
        size = [y2 - y1, x2 - x1] if half else [max(y2 - y1, 1.0), max(x2 - x1, 1.0)]
        grid = [ratio if ratio else int(np.ceil(s / k)) for s, k in zip(size, bins)]
        for p in range(bins[0]):
            for q in range(bins[1]):
                seen = []
                for i in range(max(grid[0], 0)):
                    for j in range(max(grid[1], 0)):
                        y = y1 + p * (size[0] / bins[0]) + (i + 0.5) * (size[0] / bins[0]) / grid[0]
                        z = x1 + q * (size[1] / bins[1]) + (j + 0.5) * (size[1] / bins[1]) / grid[1]
                        if y < -1 or y > h or z < -1 or z > w:
                            seen.append(0 * x[b, :, 0, 0])
                            continue
                        y, z = min(max(y, 0), h - 1), min(max(z, 0), w - 1)
                        r, s = int(y), int(z)
                        for dr, wr in ((0, 1 - (y - r)), (1, y - r)):
                            for ds, ws in ((0, 1 - (z - s)), (1, z - s)):
                                seen.append(wr * ws * x[b, :, min(r + dr, h - 1), min(s + ds, w - 1)])
                out.append(torch.stack(seen).max(0)[0] if seen else 0 * x[b, :, 0, 0])
    return torch.stack(out).reshape(len(rois), *bins, c).permute(0, 3, 1, 2)


def deform_1d(x, w, offset):
    """As an image of one row, whose rows are not moved."""
    rows = torch.stack([torch.zeros_like(offset), offset], 2).flatten(1, 2).unsqueeze(2)
    return vision.deform_conv2d(x.unsqueeze(2), rows, w.unsqueeze(2), None, (1, 2), (0, 1)).squeeze(2)


def deform_nd(x, w, offset, bias, mask, strides, pads, dilations, group, parts):
    """By torch's grid_sample, for three axes: place u of n elements is the coordinate (2 u + 1) / n - 1."""
    n, c, *size = x.shape
    kernel, out, d = w.shape[2:], offset.shape[2:], len(size)
    taps = int(np.prod(kernel))
    offset = offset.reshape(n * parts, taps, d, *out)
    seen = []
    for t, place in enumerate(np.ndindex(*kernel)):
        grid = []
        for i in reversed(range(d)):
            base = torch.arange(out[i], dtype=x.dtype) * strides[i] - pads[i] + place[i] * dilations[i]
            u = base.reshape([-1 if k == i else 1 for k in range(d)]) + offset[:, t, i]
            grid.append((2 * u + 1) / size[i] - 1)
        y = F.grid_sample(x.reshape(n * parts, c // parts, *size), torch.stack(grid, -1), align_corners=False)
        if mask is not None:
            y = y * mask.reshape(n * parts, taps, *out)[:, t].unsqueeze(1)
        seen.append(y.reshape(n, c, -1))
    seen = torch.stack(seen, 2).reshape(n, group, c // group * taps, -1)
    y = torch.einsum("gok,ngkp->ngop", w.reshape(group, w.shape[0] // group, -1), seen)
    y = y.reshape(n, w.shape[0], *out)
    return y if bias is None else y + bias.reshape(1, -1, *[1] * d)


def regions():
    g = Group("regions", 22)
    for k, dtype in enumerate([np.float64] * 4 + [np.float32]):
        half, ratio, scale = k % 2 == 0, [0, 2, 3, 0, 2][k], [1, 0.5, 0.25, 0.5, 1][k]
        x, rois, batch = real(2, 3, 9, 8, dtype=dtype), boxes(9, scale, dtype), rng.integers(0, 2, 9)
        attributes = dict(output_height=3, output_width=2, sampling_ratio=ratio, spatial_scale=float(scale),
                          coordinate_transformation_mode="half_pixel" if half else "output_half_pixel")
        g.add("RoiAlign", [x, rois, batch],
              lambda x, rois, b: vision.roi_align(x, torch.cat([b[:, None].to(x.dtype), rois], 1), (3, 2), scale,
                                                  ratio or -1, half), [0], **attributes)
        g.add("RoiAlign", [x, rois, batch],
              lambda x, rois, b: roi_align_max(x, rois, b, (3, 2), ratio, scale, half), [0], mode="max", **attributes)
    for k in range(2):
        x, rois = real(2, 2, 9, 8), boxes(9, 0.5)
        rois = np.concatenate([rng.integers(0, 2, (9, 1)), rois], 1)
        g.add("MaxRoiPool", [x, rois], lambda x, rois: vision.roi_pool(x, rois, (2, 3), 0.5), [0], pooled_shape=[2, 3],
              spatial_scale=0.5)
    for k, dtype in enumerate([np.float64] * 4 + [np.float32]):
        group, parts = [1, 2, 1, 2, 2][k], [1, 1, 2, 4, 2][k]
        stride, pad, dilation = [(1, 1), (2, 1), (1, 2), (2, 2), (1, 1)][k], [(0, 0), (1, 2), (2, 1), (0, 1), (1, 1)][k], \
            [(1, 1), (1, 2), (2, 1), (1, 1), (1, 1)][k]
        x, w = real(2, 4, 7, 6, dtype=dtype), real(4, 4 // group, 2, 3, dtype=dtype)
        out = [(n + 2 * p - d * (m - 1) - 1) // s + 1
               for n, p, d, m, s in zip((7, 6), pad, dilation, (2, 3), stride)]
        offset = 2 * real(2, parts * 12, *out, dtype=dtype)
        offset[:, :2] = 0
        offset[:, -1] *= 20
        mask = real(2, parts * 6, *out, dtype=dtype) if k % 2 else None
        bias = real(4, dtype=dtype) if k != 2 else None
        g.add("DeformConv", [x, w, offset, bias, mask],
              lambda x, w, o, b, m: vision.deform_conv2d(x, o, w, b, stride, pad, dilation, m),
              [i for i, a in enumerate((x, w, offset, bias, mask)) if a is not None], strides=list(stride),
              pads=[*pad, *pad], dilations=list(dilation), group=group, offset_group=parts)
    x, w, offset = real(2, 4, 9), real(2, 2, 3), real(2, 6, 5)
    g.add("DeformConv", [x, w, offset], deform_1d, [0, 1, 2], strides=[2], pads=[1, 1], group=2, offset_group=2)
    x, w, offset, mask = real(1, 2, 4, 5, 3), real(2, 2, 2, 1, 2), real(1, 12, 3, 5, 2), real(1, 4, 3, 5, 2)
    g.add("DeformConv", [x, w, offset, None, mask],
          lambda x, w, o, b, m: deform_nd(x, w, o, b, m, [1] * 3, [0] * 3, [1] * 3, 1, 1), [0, 1, 2, 4])
    for size in ([2, 3, 4, 5], [2, 1, 1, 3], [2, 1, 3, 2, 4]):
        for corners in (0, 1):
            d = len(size) - 2
            g.add("AffineGrid", [real(2, d, d + 1), np.array(size)],
                  lambda t, s: F.affine_grid(t, s.tolist(), align_corners=bool(corners)), [0], align_corners=corners)
    x = real(4, 5, 3, 2)
    g.add("CenterCropPad", [x, i64(7, 2)], lambda x, s: F.pad(x, (0, 0, 0, 0, 1, 1, 0, 0))[1:3], [0], axes=[1, -4])
    g.add("CenterCropPad", [x, i64(5, 2, 4, 2)], lambda x, s: F.pad(x[:, 1:3], (0, 0, 0, 1, 0, 0, 0, 1)), [0])
    g.add("CenterCropPad", [np.arange(6, dtype=np.int8), np.array([3], np.int32)], lambda x, s: x[1:4])
    g.write()


# ---- Places --------------------------------------------------------------------------------------

def det(a):
    """By Laplace: exact polynomials, so that singular matrices have torch's gradients as well."""
    n = a.shape[-1]
    if n == 0:
        return a.sum((-1, -2)) + 1
    total = 0
    for j in range(n):
        rest = torch.cat([a[..., 1:, :j], a[..., 1:, j + 1:]], -1)
        total = total + (-1) ** j * a[..., 0, j] * det(rest)
    return total


def reverse(x, lengths, batch, time):
    y = x.clone().movedim((batch, time), (0, 1))
    for i, n in enumerate(lengths.tolist()):
        y[i, :n] = y[i, :n].clone().flip(0)
    return y.movedim((0, 1), (batch, time))


def cache(x, update, begin, axis, circular):
    y, u = x.clone().movedim(axis, 1), update.movedim(axis, 1)
    for b in range(len(y)):
        for t in range(u.shape[1]):
            at = (0 if begin is None else int(begin[b])) + t
            y[b, at % y.shape[1] if circular else at] = u[b, t]
    return y.movedim(1, axis)


def cumprod(x, axis, exclusive, turned):
    x = x.flip(axis) if turned else x
    if exclusive:
        x = torch.cat([torch.ones_like(x.narrow(axis, 0, 1)), x.narrow(axis, 0, x.shape[axis] - 1)], axis)
    y = x.cumprod(axis)
    return y.flip(axis) if turned else y


def places():
    g = Group("places", 26)
    x = real(2, 3, 5)
    for k in (None, -2, 0, 3, 9, -9):
        for upper in (0, 1):
            operands = [x] if k is None else [x, np.array(k)]
            g.add("Trilu", operands, lambda x, *k: (torch.triu if upper else torch.tril)(x, int(k[0]) if k else 0), [0],
                  upper=upper)
    g.add("Trilu", [rng.integers(0, 2, (3, 4)).astype(bool)], lambda x: np.tril(x.numpy()), upper=0)
    for k in (0, -2, 1, 7):
        g.add("EyeLike", [rng.integers(0, 9, (3, 4)).astype(np.int32)], lambda x: np.eye(3, 4, k, np.int32), k=k)
        g.add("EyeLike", [real(3, 4)], lambda x: np.eye(3, 4, k, np.float32), k=k, dtype=1)
    for batch, time, shape, lengths in ((1, 0, (5, 3), (0, 1, 5)), (0, 1, (3, 5, 2), (2, 5, 3)), (2, 0, (4, 2, 3), (1, 4, 2))):
        g.add("ReverseSequence", [real(*shape), i64(*lengths)], lambda x, n: reverse(x, n, batch, time), [0],
              batch_axis=batch, time_axis=time)
    for axis, begin, mode in ((-2, (1, 3), "linear"), (1, (0, 4), "circular"), (2, (4, 2), "circular"), (-2, None, "linear")):
        x, update = real(2, 5, 5, 3), real(2, 5, 5, 3)
        update = update[:, :, :2] if axis % 4 == 2 else update[:, :2]
        g.add("TensorScatter", [x, update] + ([i64(*begin)] if begin else []),
              lambda x, u, b=None: cache(x, u, b, axis, mode == "circular"), [0, 1], axis=axis, mode=mode)
    x = real(3, 7)
    x[0, 2] = x[1, 3] = x[1, 5] = 0
    for axis, exclusive, turned in ((1, 0, 0), (-2, 1, 0), (1, 1, 1), (1, 0, 1)):
        g.add("CumProd", [x, np.array(axis)], lambda x, a: cumprod(x, axis, exclusive, turned), [0], exclusive=exclusive,
              reverse=turned)
    x = rng.integers(-3, 4, (9,)).astype(np.int32)
    g.add("CumProd", [x, np.array(0)], lambda x, a: np.cumprod(x.numpy(), dtype=np.int32))
    rank_2 = real(3, 2) @ real(2, 3)
    nilpotent = np.array([[0.0, 1], [0, 0]])
    for a in (real(1, 1), real(4, 4), real(2, 3, 5, 5), rank_2, nilpotent, np.zeros((2, 2)), real(3, 0, 0), real(0, 2, 2),
              real(7, 7) * 1e30, np.eye(5)[[3, 1, 4, 0, 2]], real(6, 6, dtype=np.float32)):
        g.add("Det", [a], det, [0])
    a = real(24, 24)
    g.add("Det", [a], lambda a: a.det().reshape(()), [0])
    g.write()


# ---- Selections ----------------------------------------------------------------------------------

def suppress(boxes, scores, most, overlap, least):
    """torchvision's nms, class by class: boxes x1 y1 x2 y2."""
    out = []
    for b in range(scores.shape[0]):
        for c in range(scores.shape[1]):
            s = scores[b, c]
            at = (s > least).nonzero()[:, 0] if least is not None else torch.arange(len(s))
            kept = at[vision.nms(boxes[b, at], s[at], overlap)][:most]
            out += [[b, c, int(k)] for k in kept]
    return np.array(out, np.int64).reshape(-1, 3)


def unique(x, axis, ordered):
    x = x.numpy()
    y, first, inverse, counts = np.unique(x, True, True, True, axis)
    if not ordered:
        order = np.argsort(first)
        place = np.argsort(order)
        first, inverse, counts = first[order], place[inverse], counts[order]
        y = np.take(x if axis is not None else x.ravel(), first, axis or 0)
    return [y, first, inverse.reshape(-1), counts]


def selections():
    g = Group("selections", 20)
    x = real(3, 4, 2)
    for axis in (None, 0, 1, -1):
        n = 24 if axis is None else x.shape[axis]
        for condition in (rng.integers(0, 2, n).astype(bool), np.zeros(n, bool), np.ones(max(n - 1, 1), bool)):
            at = np.flatnonzero(condition)
            attributes = {} if axis is None else {"axis": axis}
            g.add("Compress", [x, condition],
                  lambda x, c: torch.index_select(x.reshape(-1) if axis is None else x, axis or 0, torch.tensor(at)), [0],
                  **attributes)
    for a in (rng.integers(-1, 2, (3, 4)), rng.integers(0, 2, (2, 3, 2)).astype(bool), np.array([0.0, np.nan, -0.0, 3]),
              np.zeros((2, 3)), np.zeros((0, 3)), np.float32(rng.integers(0, 2, 7))):
        g.add("NonZero", [a], lambda x: np.array(np.nonzero(x.numpy()), np.int64))
    whole = rng.integers(-3, 4, (4, 5))
    for a, axis in ((whole, None), (whole % 2, 0), (whole % 2, -1), (np.float32(whole) / 2, None), (np.zeros((0,)), None),
                    (np.array([3, 3, 3], np.uint8), None), (rng.integers(0, 2, (3, 4, 2)).astype(np.int32), 1),
                    (np.array([1.5, -np.inf, np.nan, 1.5, np.inf, np.nan, -0.0, 0.0]), None)):
        for ordered in (1, 0):
            attributes = {} if axis is None else {"axis": axis}
            g.add("Unique", [a], lambda x: unique(x, axis, ordered), sorted=ordered, **attributes)
    for k in range(8):
        centres, n = k % 2, [1, 12, 30, 30, 20, 5, 40, 0][k]
        corners = rng.uniform(0, 4, (2, n, 4)).astype(np.float32)
        corners[..., 2:] += corners[..., :2]
        corners[:, n // 2:] = corners[:, :n - n // 2] + np.float32(0.3)
        scores = rng.permutation(2 * 3 * n).reshape(2, 3, n).astype(np.float32) / max(n, 1)
        # As the file has them: centre and size, or corners with y first, any corner first.
        given = np.concatenate([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], -1) \
            if centres else corners[..., [1, 0, 3, 2]]
        if not centres and n > 2:
            given[:, 1] = given[:, 1, [2, 3, 0, 1]]
            given[:, 2] = given[:, 2, [0, 3, 2, 1]]
        most, overlap, least = [2, 5, 1000, 0, 9, None, 4, 3][k], [0.5, 0.3, 0.9, 0.5, 0.1, 0.5, 0.0, 0.5][k], \
            [None, 1.0, 2.5, None, 9.0, None, None, None][k]
        operands = [given.astype(np.float32), scores, i64(most) if most is not None else None, np.float32([overlap])]
        if least is not None:
            operands.append(np.float32([least]))
        g.add("NonMaxSuppression", operands,
              lambda *_: suppress(torch.tensor(corners), torch.tensor(scores), most or 0, overlap, least),
              center_point_box=centres)
    rgb = rng.integers(0, 256, (3, 2, 3)).astype(np.uint8)
    ppm = np.frombuffer(b"P6 2 3 255\n" + rgb.tobytes(), np.uint8).copy()
    grey = (rgb.astype(np.int64) @ [19595, 38470, 7471] + 32768 >> 16).astype(np.uint8)[..., None]
    for kind, picture in (("RGB", rgb), ("BGR", rgb[..., ::-1].copy()), ("Grayscale", grey)):
        g.add("ImageDecoder", [ppm], lambda _: picture, pixel_format=kind)
    g.add("ImageDecoder", [ppm[:12].copy()], lambda _: np.zeros((0, 0, 3), np.uint8))
    rgb = rng.integers(0, 256, (3, 2, 3)).astype(np.uint8)
    ppm = np.frombuffer(b"P6 2 3 255\n" + rgb.tobytes(), np.uint8).copy()
    grey = (rgb.astype(np.int64) @ [19595, 38470, 7471] + 32768 >> 16).astype(np.uint8)[..., None]
    for kind, picture in (("RGB", rgb), ("BGR", rgb[..., ::-1].copy()), ("Grayscale", grey)):
        g.add("ImageDecoder", [ppm], lambda _: picture, pixel_format=kind)
    g.add("ImageDecoder", [ppm[:12].copy()], lambda _: np.zeros((0, 0, 3), np.uint8))
    g.write()


# ---- Elements by index, and the shapes of arrays -------------------------------------------------

def gather_nd(x, indices, batch):
    at = [torch.arange(x.shape[i]).reshape([-1 if k == i else 1 for k in range(indices.dim() - 1)]) for i in range(batch)]
    return x[tuple(at) + tuple(indices[..., k] for k in range(indices.shape[-1]))]


def scatter_nd(x, indices, updates, name):
    rest = x.shape[indices.shape[-1]:]
    rows = int(np.prod(x.shape[:indices.shape[-1]]))
    stride = np.cumprod([1, *x.shape[:indices.shape[-1]][:0:-1]])[::-1].copy()
    wrapped = torch.where(indices < 0, indices + torch.tensor(x.shape[:indices.shape[-1]]), indices)
    at = (wrapped * torch.tensor(stride)).sum(-1).reshape(-1, 1)
    u = updates.reshape(at.shape[0], -1)
    y = x.reshape(rows, -1).scatter_reduce(0, at.expand(-1, u.shape[1]), u, name)
    return y.reshape(x.shape)


def pad_by_index(x, pads, mode):
    """Of what is left once elements are taken off. numpy's pad is wrong where it mirrors more than once (before 2.0)."""
    n = x.dim()
    for axis in range(n):
        before, after = int(pads[axis]), int(pads[n + axis])
        x = x.narrow(axis, max(-before, 0), x.shape[axis] + min(before, 0) + min(after, 0))
        size, at = x.shape[axis], torch.arange(-max(before, 0), x.shape[axis] + max(after, 0))
        if mode == "edge" or size == 1:
            at = at.clamp(0, size - 1)
        if mode == "wrap":
            at = at % size
        while mode == "reflect" and (at.min() < 0 or at.max() >= size):
            at = at.abs()
            at = torch.where(at >= size, 2 * (size - 1) - at, at)
        x = x.index_select(axis, at)
    return x


def elements():
    g = Group("elements", 24)
    x = real(2, 3, 4)
    for batch, shape, last in ((0, (2, 5), 2), (1, (2, 3), 1), (2, (2, 3), 1), (1, (2, 2, 3), 2), (0, (4,), 3)):
        indices = np.stack([rng.integers(-x.shape[batch + k], x.shape[batch + k], shape) for k in range(last)], -1)
        g.add("GatherND", [x, indices], lambda x, i: gather_nd(x, i, batch), [0], batch_dims=batch)
    for reduction, name in (("add", "sum"), ("mul", "prod"), ("max", "amax"), ("min", "amin")):
        indices = np.stack([rng.integers(-2, 2, (6,)), rng.integers(-3, 3, (6,))], -1)
        g.add("ScatterND", [x, indices, real(6, 4)], lambda x, i, u: scatter_nd(x, i, u, name), [0, 2],
              reduction=reduction)
        along = rng.integers(0, 3, (2, 7, 3))
        g.add("ScatterElements", [x, along, real(2, 7, 3)],
              lambda x, i, u: x.scatter_reduce(1, i, u, name), [0, 2], axis=1, reduction=reduction)
        whole = rng.integers(-9, 9, (5,)).astype(np.int16)
        g.add("ScatterElements", [whole, i64(1, 1, 4, 0), np.array([3, -2, 7, 1], np.int16)],
              lambda x, i, u: x.scatter_reduce(0, i, u, name), reduction=reduction)
    for mode in ("edge", "reflect", "wrap"):
        for pads in ((1, 0, 2, 0, 2, 3), (5, 0, 9, 3, 7, 4), (-1, 1, 2, 0, -1, 6), (0, -2, 0, 4, 1, -1)):
            g.add("Pad", [x, np.array(pads)], lambda x, p: pad_by_index(x, pads, mode), [0], mode=mode)
        g.add("Pad", [x, i64(3, 2), None, i64(-1)], lambda x, p, v, a: pad_by_index(x, (0, 0, 3, 0, 0, 2), mode), [0],
              mode=mode)
        one = np.array([[7]], np.uint8)
        g.add("Pad", [one, i64(0, 2, 3, 0)], lambda x, p: np.full((4, 3), 7, np.uint8), mode=mode)
    g.add("Pad", [x, i64(-1, 0, 2, 1, -2, -3), np.array(4.5)],
          lambda x, p, v: F.pad(x, (2, -3, 0, -2, -1, 1), value=4.5), [0])
    for k, axis, largest in ((2, -1, 1), (0, 0, 1), (3, 1, 0), (1, 0, 0)):
        g.add("TopK", [x, i64(k)], lambda x, n: list(torch.topk(x, k, axis, bool(largest))), [0], axis=axis, largest=largest)
    for a in (np.array([[5, 5, 1, 9]], np.uint8), np.array([[2**40, -2**40, 3, 3]])):
        order = np.argsort(-a.astype(np.int64), 1, kind="stable")[:, :3]
        g.add("TopK", [a, i64(3)], lambda x, k: [np.take_along_axis(x.numpy(), order, 1), order.astype(np.int64)])
    for parts, size in ((3, 7), (4, 5), (2, 6), (5, 3)):
        a = real(2, size)
        step = -(-size // parts)
        g.add("Split", [a], lambda x: [x[:, i * step:(i + 1) * step] for i in range(parts)], [0], axis=1, num_outputs=parts)
    g.add("Split", [x, i64(0, 3, 1)], lambda x, s: list(torch.split(x, [0, 3, 1], 2)), [0], axis=-1)
    labels = np.array([[0, -1, 4], [-5, 5, -6]])
    for kind in (np.int64, np.int32, np.float32):
        for axis in (-1, 0, 1):
            wrapped = np.where(labels < 0, labels + 5, labels)
            hot = (wrapped[..., None] == np.arange(5)) & (wrapped[..., None] >= 0)
            g.add("OneHot", [labels.astype(kind), np.array(5, kind), np.array([2.5, -1])],
                  lambda i, d, v: np.moveaxis(np.where(hot, -1.0, 2.5), -1, axis), axis=axis)
    for shape, to in (((3, 1), (2, 3, 4)), ((3, 4), (1,)), ((1,), (0, 3)), ((), (2, 2)), ((2, 1, 3), (1, 4, 1))):
        a = real(*shape)
        full = np.broadcast_shapes(shape, to)
        g.add("Expand", [a, np.array(to)], lambda x, s: x.expand(full), [0])
    for shape, times in (((2, 3), (2, 1)), ((2, 3), (0, 2)), ((1, 2, 1), (3, 2, 2)), ((3,), (1,))):
        g.add("Tile", [real(*shape), np.array(times)], lambda x, t: x.tile(times), [0])
    g.add("Tile", [real(), np.zeros(0, np.int64)], lambda x, t: x, [0])
    # A walk back from before the first element begins with the first, unlike numpy's.
    g.add("Slice", [x, i64(-9, 1), i64(-99, -99), i64(2, 1), i64(-1, -2)], lambda x, *_: x[:, 1:2, :1], [0])
    for axis, exclusive, turned in ((0, 1, 1), (-1, 1, 0), (1, 0, 1)):
        def sums(x, a):
            y = x.flip(axis) if turned else x
            y = y.cumsum(axis) - y if exclusive else y.cumsum(axis)
            return y.flip(axis) if turned else y
        g.add("CumSum", [x, np.array(axis, np.int32)], sums, [0], exclusive=exclusive, reverse=turned)
    for dims in ((6,), (5, 6), (4, 3, 5)):
        a = rng.permutation(2 * 3 * int(np.prod(dims))).reshape(2, 3, *dims).astype(np.float64)
        pool = [F.max_pool1d, F.max_pool2d, F.max_pool3d][len(dims) - 1]

        def indices(x, columns):
            y, at = pool(x, 2, 1, 0, return_indices=True)
            if columns:
                place = np.unravel_index(at.numpy(), dims)
                at = torch.tensor(np.ravel_multi_index(place, dims, order="F"))
            plane = torch.arange(6).reshape(2, 3, *[1] * len(dims)) * int(np.prod(dims))
            return [y, at + plane]
        for columns in (0, 1):
            g.add("MaxPool", [a], lambda x: indices(x, columns), [0], kernel_shape=[2] * len(dims),
                  strides=[1] * len(dims), storage_order=columns)
    g.write()


# ---- Sizes that are symbols ----------------------------------------------------------------------

def symbols():
    g = Group("symbols", 24, True)
    g.add("Trilu", [real(2, 3, 4), known(np.array(1))], lambda x, k: torch.triu(x, 1), [0])
    g.add("EyeLike", [real(3, 4)], lambda x: np.eye(3, 4, -1), k=-1)
    g.add("ReverseSequence", [real(5, 3, 2), i64(2, 0, 5)], lambda x, n: reverse(x, n, 1, 0), [0])
    g.add("Det", [real(3, 2, 4, 4)], det, [0])
    x, rois, batch = real(2, 3, 9, 8), boxes(9, 1), rng.integers(0, 2, 9)
    g.add("RoiAlign", [x, rois, batch],
          lambda x, rois, b: vision.roi_align(x, torch.cat([b[:, None].to(x.dtype), rois], 1), (3, 2), 1, 2, True), [0],
          output_height=3, output_width=2, sampling_ratio=2)
    g.add("MaxRoiPool", [x, np.concatenate([batch[:, None], rois], 1)],
          lambda x, rois: vision.roi_pool(x, rois, (7, 5)), [0], pooled_shape=[7, 5])
    g.add("DeformConv", [real(2, 2, 5, 4), known(real(3, 2, 2, 2)), real(2, 8, 4, 3)],
          lambda x, w, o: vision.deform_conv2d(x, o, w), [0, 2])
    g.add("TensorScatter", [real(2, 5, 3), real(2, 2, 3), i64(1, 3)], lambda x, u, b: cache(x, u, b, 1, False), [0, 1])
    g.add("GatherND", [real(2, 3, 4), rng.integers(-3, 3, (2, 1))], lambda x, i: gather_nd(x, i, 1), [0], batch_dims=1)
    for mode in ("edge", "reflect", "wrap"):
        g.add("Pad", [real(3, 2), known(i64(4, 0, 7, 1))], lambda x, p: pad_by_index(x, p, mode), [0], mode=mode)
    g.write()


# ---- What is refused -----------------------------------------------------------------------------

def refused():
    """Models of one node as bytes, by name: inputs are not known when reading, those of `fixed` are initializers."""
    models = {}

    def add(name, op, shapes, fixed=(), kinds="", **attributes):
        kinds = (kinds + "d" * len(shapes))[:len(shapes)]
        types = {"d": 11, "i": 7, "b": 9, "u": 2}
        inputs = [helper.make_tensor_value_info(f"x{i}", types[k], s) for i, (s, k) in enumerate(zip(shapes, kinds))]
        weights = [numpy_helper.from_array(np.asarray(a), f"w{i}") for i, a in enumerate(fixed)]
        names = [v.name for v in inputs] + [w.name for w in weights]
        graph = helper.make_graph([helper.make_node(op, names, ["y"], name=name, **attributes)], "g", inputs,
                                  [helper.make_tensor_value_info("y", 11, None)], weights)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 24)])
        models[name] = np.frombuffer(model.SerializeToString(), np.uint8)

    add("trilu_vector", "Trilu", [[3]])
    add("eye_rank", "EyeLike", [[2, 2, 2]])
    add("eye_type", "EyeLike", [[2, 2]], dtype=8)
    add("reverse_axes", "ReverseSequence", [[3, 2], [2]], kinds="di", batch_axis=1, time_axis=-1)
    add("cache_mode", "TensorScatter", [[2, 5, 3], [2, 1, 3]], mode="ring")
    add("cache_batch", "TensorScatter", [[2, 5, 3], [2, 1, 3]], axis=0)
    add("cumprod_axis", "CumProd", [[3], []], kinds="di")
    add("cumprod_size", "CumProd", [["n"]], [np.array(0)])
    add("det_sizes", "Det", [[2, 3, 4]])
    add("det_whole", "Det", [[2, 2]], kinds="i")
    add("compress", "Compress", [[3], [3]], kinds="db")
    add("compress_axis", "Compress", [[3]], [np.array([True])], axis=1)
    add("compress_long", "Compress", [[3]], [np.array([True] * 4)], axis=0)
    add("non_zero", "NonZero", [[3]])
    add("unique", "Unique", [["n"]])
    scores, found = np.zeros((1, 2, 3), np.float32), np.zeros((1, 3, 4), np.float32)
    add("boxes_unknown", "NonMaxSuppression", [[1, 3, 4], [1, 2, 3]])
    add("boxes_shape", "NonMaxSuppression", [], [found, scores[..., :2]])
    add("boxes_threshold", "NonMaxSuppression", [], [found, scores, i64(1), np.float32([0.1, 0.2])])
    rois = [[1, 2, 8, 8], [5, 4], [5]]
    add("align_mode", "RoiAlign", rois, kinds="ddi", mode="sum", sampling_ratio=2)
    add("align_coordinates", "RoiAlign", rois, kinds="ddi", coordinate_transformation_mode="pixel", sampling_ratio=2)
    add("align_ratio", "RoiAlign", rois, kinds="ddi", sampling_ratio=-1)
    add("align_unknown", "RoiAlign", rois, kinds="ddi")
    add("align_large", "RoiAlign", [[1, 2, 8, 8]], [np.array([[0, 0, 1e9, 1e9]]), np.array([0])])
    add("align_rois", "RoiAlign", [[1, 2, 8, 8], [5, 5], [5]], kinds="ddi", sampling_ratio=2)
    add("align_batch", "RoiAlign", [[1, 2, 8, 8], [5, 4], [5, 1]], kinds="ddi", sampling_ratio=2)
    add("align_bins", "RoiAlign", rois, kinds="ddi", sampling_ratio=2, output_width=0)
    add("pool_shape", "MaxRoiPool", [[1, 2, 8, 8], [3, 5]], pooled_shape=[2])
    add("pool_rois", "MaxRoiPool", [[1, 2, 8], [3, 5]], pooled_shape=[2, 2])
    deform = [[1, 4, 5, 5], [2, 4, 2, 2], [1, 8, 4, 4]]
    add("deform_rank", "DeformConv", [[1, 4, 5], [2, 4, 2, 2], [1, 8, 4, 4]])
    add("deform_groups", "DeformConv", deform, group=2)
    add("deform_offsets", "DeformConv", deform, offset_group=2)
    add("deform_strides", "DeformConv", deform, strides=[1, 0])
    add("deform_pads", "DeformConv", deform, pads=[1, 1])
    add("deform_kernel", "DeformConv", deform, kernel_shape=[3, 3])
    add("affine_theta", "AffineGrid", [[2, 2, 4]], [np.array([2, 3, 4, 4])])
    add("affine_size", "AffineGrid", [[2, 2, 3], [4]], kinds="di")
    add("crop_count", "CenterCropPad", [[2, 3]], [np.array([2, 3, 4])])
    add("crop_symbol", "CenterCropPad", [["n", 3]], [np.array([2, 3])])
    add("decoder_unknown", "ImageDecoder", [["n"]], kinds="u")
    add("decoder_format", "ImageDecoder", [], [np.zeros(3, np.uint8)], pixel_format="CMYK")
    add("decoder_webp", "ImageDecoder", [], [np.frombuffer(b"RIFFxxxxWEBP", np.uint8)])
    add("gather_batch", "GatherND", [[2, 3], [2, 1]], kinds="di", batch_dims=2)
    add("scatter_rule", "ScatterND", [[4], [2, 1], [2]], kinds="did", reduction="mean")
    add("scatter_bools", "ScatterElements", [[4], [2], [2]], kinds="bib", reduction="max")
    add("pad_mode", "Pad", [[4]], [np.array([1, 1])], mode="symmetric")
    add("pad_far", "Pad", [[4]], [np.array([2**60, 0])])
    add("pad_empty", "Pad", [[0]], [np.array([1, 1])], mode="wrap")
    np.savez_compressed(FOLDER / "regions_refused.npz", **models)


if __name__ == "__main__":
    regions()
    places()
    selections()
    elements()
    symbols()
    refused()
