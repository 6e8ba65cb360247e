#!/usr/bin/python3
"""Pictures changed by numbers of each sample: torchvision's functional transforms, in double.

    tools/golden/augment.py      writes tests/golden/nn/augment.npz and augment_policy.npz

Pictures are [12, 7, 6, 3] in 0 .. 1, random; the tenth is black, the eleventh white, the last one has a single white
pixel. Torchvision makes its grids in float where numbers are Python's, so its own functions are called with grids in
double: the coordinates of _gen_affine_grid, which are written out here, and torch's grid_sample, which it calls too.
"""
import math
import pathlib

import numpy as np
import torch
import torchvision.transforms.autoaugment as A
import torchvision.transforms.functional as F
import torchvision.transforms.functional_tensor as T

PATH = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn/augment.npz"
rng = np.random.default_rng(11)
N, H, W, C = 12, 7, 6, 3
arrays = {}


def pictures():
    x = rng.uniform(size=(N, H, W, C))
    x[9], x[10], x[11] = 0, 1, 0
    x[11, 3, 2] = 1
    return x.astype(np.float32).astype(np.float64)


def numbers(low, high):
    v = rng.uniform(low, high, size=N)
    v[0], v[1], v[2] = low, high, (low + high) / 2
    return v.astype(np.float32).astype(np.float64)


def grid_of(inverse):
    """torchvision's _gen_affine_grid in double."""
    x, y = torch.arange(W).double() + 0.5 - W / 2, torch.arange(H).double() + 0.5 - H / 2
    base = torch.stack([x[None].expand(H, W), y[:, None].expand(H, W), torch.ones(H, W).double()], -1)
    theta = torch.tensor(inverse).double().view(2, 3)
    return (base @ theta.T / torch.tensor([W / 2, H / 2]).double())[None]


def colours(first):
    """torchvision in double; its posterize takes bytes."""
    def keep(name, pictures):
        arrays[name] = torch.stack(pictures).permute(0, 2, 3, 1).numpy()

    factor, shift, threshold = numbers(0, 2.5), numbers(-0.5, 0.5), numbers(0, 1)
    arrays["factor"], arrays["shift"], arrays["threshold"] = factor, shift, threshold
    first = first.clone()
    first[8, 1:] = first[8, :1]  # one grey picture, and pixels with two equal channels
    first[7, 1] = first[7, 0]
    arrays["coloured"] = first.permute(0, 2, 3, 1).numpy()
    for name in "brightness", "contrast", "saturation", "sharpness":
        keep(name, [getattr(F, "adjust_" + name)(p, f) for p, f in zip(first, factor)])
    keep("hue", [F.adjust_hue(p, h) for p, h in zip(first, shift)])
    keep("solarize", [F.solarize(p, t) for p, t in zip(first, threshold)])
    keep("grayscale", [F.rgb_to_grayscale(p, 3) for p in first])
    keep("invert", [F.invert(p) for p in first])
    keep("auto_contrast", [F.autocontrast(p) for p in first])
    bytes_ = (first * 255).round().to(torch.uint8)
    many = torch.tensor((rng.uniform(size=(N, 3, 24, 20)) ** np.linspace(0.2, 4, N).reshape(N, 1, 1, 1) * 255).astype(np.uint8))
    many[1], many[2, 0], many[3] = 77, many[2, 0] // 64, many[3] // 2 + 100  # one level, four, only the upper half
    keep("levels", [p.double() / 255 for p in many])
    keep("equalize", [F.equalize(p).double() / 255 for p in many])
    sigma = numbers(0.3, 3)
    arrays["sigma"] = sigma
    torch.set_default_dtype(torch.float64)  # of its kernel
    keep("blur", [F.gaussian_blur(p, [5, 5], [s, s]) for p, s in zip(first, sigma)])
    torch.set_default_dtype(torch.float32)
    keep("posterize", [F.posterize(p, 3).double() / 255 for p in bytes_])
    top, left, height, width = rng.integers(0, H, N), rng.integers(0, W, N), rng.integers(1, H + 1, N), rng.integers(1, W + 1, N)
    arrays["erase_top"], arrays["erase_left"], arrays["erase_height"], arrays["erase_width"] = top, left, height, width
    keep("erase", [F.erase(p, i, j, h, w, torch.tensor(0.25)) for p, i, j, h, w in zip(first, top, left, height, width)])


def perspective(first):
    """torchvision's perspective with the coefficients of _get_perspective_coeffs, which rounds to float, in double."""
    start = [(0, 0), (W, 0), (W, H), (0, H)]
    corners = np.array(start, float)[None] + rng.uniform(-1.4, 1.4, (N, 4, 2))
    corners[0] = start
    corners[1] = [(1, 1), (4, 0), (4, 6), (0, 7)]
    arrays["corners"] = corners.astype(np.float32).astype(np.float64).reshape(N, 8)
    out = {"bilinear": [], "nearest": []}
    for i in range(N):
        rows, right = [], []
        for (u, v), (x, y) in zip(start, arrays["corners"][i].reshape(4, 2)):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            right += [u, v]
        coefficients = np.linalg.solve(np.array(rows), np.array(right))
        grid = T._perspective_grid(coefficients.tolist(), W, H, torch.float64, "cpu")
        for how in out:
            out[how].append(torch.nn.functional.grid_sample(first[i:i + 1], grid, how, "zeros", align_corners=False))
    for how in out:
        arrays["perspective_" + how] = torch.cat(out[how]).permute(0, 2, 3, 1).numpy()


def operations():
    """torchvision's _apply_op, two of each: to tests/golden/nn/augment_policy.npz."""
    names = ["ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness",
             "Posterize", "Solarize", "AutoContrast", "Equalize", "Invert"]
    most = dict(ShearX=0.3, ShearY=0.3, TranslateX=7.5, TranslateY=5.3, Rotate=30.0, Posterize=4)  # else 0.9
    kept = dict(x=[], y=[], which=[], strength=[], negative=[])
    for which, name in enumerate(["Identity"] + names):
        for negative in 0, 1:
            levels = torch.tensor((rng.uniform(size=(3, 18, 16)) ** 2 * 200).astype(np.uint8))
            strength = float(np.float32(rng.uniform(0.2, 1)))
            v = strength * most.get(name, 0.9)
            if name in ("Posterize", "Equalize"):
                x = F.posterize(levels, int(8 - round(v))) if name == "Posterize" else F.equalize(levels)
                x = x.double() / 255
            else:
                magnitude = {"Solarize": 1 - strength}.get(name, -v if negative else v)
                x = A._apply_op(levels.double() / 255, name, magnitude, F.InterpolationMode.BILINEAR, None)
            kept["x"].append((levels.double() / 255).permute(1, 2, 0).numpy())
            kept["y"].append(x.permute(1, 2, 0).numpy())
            kept["which"].append(float(which))
            kept["strength"].append(strength)
            kept["negative"].append(negative)
    np.savez_compressed(PATH.with_name("augment_policy.npz"), **{name: np.stack(v) for name, v in kept.items()})


def main():
    x = pictures()
    first = torch.tensor(x).permute(0, 3, 1, 2)
    arrays["x"] = x
    angle, tx, ty = numbers(-180, 180), numbers(-3, 3), numbers(-8, 8)  # degrees; far outside, too
    scale, sx, sy = numbers(0.4, 2.5), numbers(-50, 50), numbers(-50, 50)
    arrays["angle"], arrays["tx"], arrays["ty"], arrays["scale"] = np.radians(angle), tx, ty, scale
    arrays["shear_x"], arrays["shear_y"] = np.tan(np.radians(sx)), np.tan(np.radians(sy))
    for fill, padding in ("constant", "zeros"), ("reflect", "reflection"), ("nearest", "border"):
        for how in "bilinear", "nearest":
            out = []
            for i in range(N):
                inverse = F._get_inverse_affine_matrix([0, 0], angle[i], [tx[i], ty[i]], scale[i], [sx[i], sy[i]])
                out.append(torch.nn.functional.grid_sample(first[i:i + 1], grid_of(inverse), how, padding, align_corners=False))
            arrays[f"affine_{fill}_{how}"] = torch.cat(out).permute(0, 2, 3, 1).numpy()
    whole = [F.affine(first[i].float(), float(angle[i]), [int(tx[i]), int(ty[i])], float(scale[i]), [float(sx[i]), float(sy[i])],
                      interpolation=F.InterpolationMode.BILINEAR) for i in range(N)]
    arrays["affine_torchvision"] = torch.stack(whole).permute(0, 2, 3, 1).double().numpy()
    arrays["tx_whole"], arrays["ty_whole"] = np.trunc(tx), np.trunc(ty)
    turned = [F.rotate(first[i].float(), float(angle[i]), F.InterpolationMode.NEAREST) for i in range(N)]
    arrays["rotate_torchvision"] = torch.stack(turned).permute(0, 2, 3, 1).double().numpy()
    flip = rng.integers(0, 2, N)
    arrays["flip"] = flip
    arrays["flip_2"] = torch.stack([F.hflip(p) if f else p for p, f in zip(first, flip)]).permute(0, 2, 3, 1).numpy()
    arrays["flip_1"] = torch.stack([F.vflip(p) if f else p for p, f in zip(first, flip)]).permute(0, 2, 3, 1).numpy()
    top, left = rng.integers(0, H - 4 + 1, N), rng.integers(0, W - 3 + 1, N)
    top[:2], left[:2] = [0, H - 4], [W - 3, 0]
    arrays["top"], arrays["left"] = top, left
    arrays["crop"] = torch.stack([F.crop(p, t, s, 4, 3) for p, t, s in zip(first, top, left)]).permute(0, 2, 3, 1).numpy()
    arrays["center_crop"] = F.center_crop(first, [3, 4]).permute(0, 2, 3, 1).numpy()
    for how in "bilinear", "nearest-exact":
        y = torch.nn.functional.interpolate(first, (5, 9), mode=how)
        arrays["resizing_" + how.split("-")[0]] = y.permute(0, 2, 3, 1).numpy()
    y = torch.nn.functional.interpolate(first, (3, 4), mode="bilinear", antialias=True)
    arrays["resizing_antialias"] = y.permute(0, 2, 3, 1).numpy()
    colours(first)
    perspective(first)
    operations()
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
