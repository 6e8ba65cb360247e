#!/usr/bin/env python3
"""Fully convolutional models that PyTorch exports with open sizes, pictures, and what PyTorch makes of them.

    /usr/bin/python3 tools/golden/onnx_open.py tests/golden/format/onnx

For each case NAME.onnx, whose input is [N, 3, H, W] of names, and NAME.npz with inputs of two sizes (in0, in1) and
PyTorch's outputs (out0, out1). U-Nets meet their skip as people write it: resized to its size, resized by 2 and padded
to it, or transposed convolutions with either side cropped; sizes are odd, too, where the model takes such.
"""
import pathlib
import sys
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings("ignore")
FOLDER = pathlib.Path(sys.argv[1])
torch.manual_seed(8)


class UNet(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.up = nn.ConvTranspose2d(5, 5, 3 if how == "cut" else 2, stride=2)
        self.last = nn.Conv2d(9, 2, 3, padding=1)

    def join(self, skip, y):
        if self.how == "sizes":
            y = F.interpolate(y, size=skip.shape[2:], mode="bilinear", align_corners=False)
        elif self.how == "pad":
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
            down, right = skip.size(2) - y.size(2), skip.size(3) - y.size(3)
            y = F.pad(y, [right // 2, right - right // 2, down // 2, down - down // 2])
        else:
            y = self.up(y)
        if self.how == "cut":
            y = y[:, :, :skip.shape[2], :skip.shape[3]]
        if self.how == "crop":
            top, left = (skip.shape[2] - y.shape[2]) // 2, (skip.shape[3] - y.shape[3]) // 2
            skip = skip[:, :, top:top + y.shape[2], left:left + y.shape[3]]
        return torch.cat([skip, y], 1)

    def forward(self, x):
        skip = torch.relu(self.first(x))
        y = torch.relu(self.second(F.max_pool2d(skip, 2)))
        return self.last(self.join(skip, y))


class Pyramid(nn.Module):
    """What a pooled picture says of it all is resized to the features, and these to the picture."""

    def __init__(self):
        super().__init__()
        self.features, self.pooled = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 2, 1)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        y = torch.relu(self.features(x))
        all_of_it = self.pooled(F.adaptive_avg_pool2d(y, 1))
        y = torch.cat([y, F.interpolate(all_of_it, size=y.shape[-2:], mode="bilinear", align_corners=False)], 1)
        return F.interpolate(self.last(y), size=x.shape[-2:], mode="bicubic", align_corners=False)


class Classes(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        y = F.interpolate(torch.relu(self.features(x)), scale_factor=0.5, mode="nearest")
        return self.last(torch.flatten(F.adaptive_max_pool2d(y, 1), 1))


def case(name, model, opsets):
    axes = {0: "N", 2: "H", 3: "W"}
    arrays = {}
    for i, shape in enumerate([(2, 3, 8, 12), (1, 3, 9, 7)]):
        x = torch.randn(shape)
        arrays[f"in{i}"], arrays[f"out{i}"] = x.numpy(), model(x).detach().numpy()
    for opset in opsets:
        torch.onnx.export(model, torch.randn(1, 3, 10, 8), str(FOLDER / f"{name}_{opset}.onnx"), opset_version=opset,
                          input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": axes, "y": {0: "N"} if name == "open_classes" else axes})
    np.savez(FOLDER / f"{name}.npz", **arrays)


for kind in "sizes", "pad", "cut", "crop":
    case(f"open_{kind}", UNet(kind).eval(), (11, 17))
case("open_pyramid", Pyramid().eval(), (11, 13, 17))
case("open_classes", Classes().eval(), (11, 17))
