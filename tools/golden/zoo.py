#!/usr/bin/env python3
"""zoo.py: the networks of the zoo as torchvision and PyTorch have them.

Writes tests/golden/nn/zoo.npz. For each network: count, its trainable parameters with as many
classes as it has by default; keys, its weights and statistics with 10 classes, a line "name sizes"
each; size, the side of a picture; y, what two pictures give; auxiliary0 and auxiliary1, what the heads on the way
give. Weights and pictures are functions of
a name and an index (value_of), which the test computes too, so none is in the file. PyTorch
computes in double. Needs torchvision.
"""
import sys

import numpy as np
import torch
import torchvision.models as tv
from torch import nn

CLASSES = 10
HEADS = "aux1", "aux2", "AuxLogits"  # which are there in training alone


def unit(name, n):
    """n numbers in [0, 1): a hash of the name and the index."""
    h = np.uint32(2166136261)
    for byte in name.encode():
        h = np.uint32((int(h) ^ byte) * 16777619 & 0xFFFFFFFF)
    x = (np.arange(n, dtype=np.uint64) * 2654435761 + int(h)) & 0xFFFFFFFF
    x ^= x >> 16
    x = x * 0x7FEB352D & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x846CA68B & 0xFFFFFFFF
    x ^= x >> 16
    return x.astype(np.float64) / 4294967296.0


def value_of(name, shape):
    """Activations keep their size: kernels are uniform with variance 2 / fan_in."""
    u = unit(name, int(np.prod(shape)))
    if name.endswith("running_var"):
        v = 0.5 + u
    elif len(shape) == 1 and name.endswith("weight"):
        v = 0.5 + 0.5 * u
    elif len(shape) == 1:
        v = 0.1 * (2 * u - 1)
    else:
        v = (2 * u - 1) * np.sqrt(6.0 / int(np.prod(shape[1:])))
    return v.astype(np.float32).reshape(shape)




class LeNet5(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, x):
        x = nn.functional.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = nn.functional.avg_pool2d(torch.tanh(self.conv2(x)), 2).flatten(1)
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


class Cnn(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.fc = nn.Linear(1600, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


class Basic(nn.Module):
    def __init__(self, channels, planes, stride, a):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(planes), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.a, self.more = a, planes - channels
        self.shortcut = nn.Sequential()
        if not a and (stride != 1 or self.more):
            self.shortcut = nn.Sequential(nn.Conv2d(channels, planes, 1, stride, bias=False),
                                          nn.BatchNorm2d(planes))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.a and self.more:  # He et al. 2015: every second pixel, zeros for new channels
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return torch.relu(y + self.shortcut(x))


class Cifar(nn.Module):
    def __init__(self, n, a, classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        channels = 16
        for i, planes in enumerate((16, 32, 64)):
            blocks = []
            for k in range(n):
                blocks.append(Basic(channels, planes, 2 if i and not k else 1, a))
                channels = planes
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class DetectorLayer(nn.Module):
    def __init__(self, inputs, filters):
        super().__init__()
        for i, (n, stride) in enumerate(((inputs, 2), (filters, 1), (filters, 1)), 1):
            setattr(self, f"conv{i}", nn.Conv2d(n, filters, 3, stride, 1, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(filters))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(y)) + x)


class Detector(nn.Module):
    """src/nn/zoo/detector.c; there is none like it in torchvision."""

    def __init__(self, classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1, self.layer2 = DetectorLayer(16, 32), DetectorLayer(32, 64)
        self.layer3, self.layer4 = DetectorLayer(64, 128), DetectorLayer(128, 128)
        self.lateral4, self.lateral3, self.lateral2 = nn.Conv2d(128, 64, 1), nn.Conv2d(128, 64, 1), nn.Conv2d(64, 64, 1)
        self.conv2, self.bn2 = nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        self.conv3, self.bn3 = nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        self.distances, self.scores = nn.Conv2d(64, 4, 3, 1, 1), nn.Conv2d(64, classes, 3, 1, 1)

    def forward(self, x):
        near = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        middle = self.layer3(near)
        up = self.lateral4(self.layer4(middle))
        for lateral, level in ((self.lateral3, middle), (self.lateral2, near)):
            up = lateral(level) + nn.functional.interpolate(up, level.shape[2:], mode="nearest")
        x = torch.relu(self.bn2(self.conv2(up)))
        x = torch.relu(self.bn3(self.conv3(x)))
        d, (rows, columns) = 4 * nn.functional.softplus(self.distances(x)), x.shape[2:]
        cx = ((torch.arange(columns) + 0.5) / columns).to(d.dtype)[None, None, :]
        cy = ((torch.arange(rows) + 0.5) / rows).to(d.dtype)[None, :, None]
        box = torch.stack([cx - d[:, 0] / columns, cy - d[:, 1] / rows, cx + d[:, 2] / columns, cy + d[:, 3] / rows], -1)
        return torch.cat([box, torch.sigmoid(self.scores(x)).permute(0, 2, 3, 1)], -1)


def from_torchvision(name, **extra):
    def make(classes):
        return getattr(tv, name)(num_classes=classes, **extra)

    return make


def networks():
    """name -> (maker, default classes, side, channels)"""
    yield "lenet5", lambda c: LeNet5(c), 10, 28, 1
    yield "cnn", lambda c: Cnn(c), 10, 28, 1
    for layers in (20, 32, 56):
        yield f"resnet{layers}", lambda c, n=(layers - 2) // 6: Cifar(n, True, c), 10, 19, 3
        yield f"resnet{layers}(shortcut=B)", lambda c, n=(layers - 2) // 6: Cifar(n, False, c), 10, 19, 3
    for name, side in ("googlenet", 43), ("inception_v3", 107):
        plain = dict(init_weights=False, transform_input=False)
        yield name, from_torchvision(name, aux_logits=False, **plain), 1000, side, 3
        # The smallest that leaves the head of Inception v3 a window of 5x5.
        yield (f"{name}(aux=true)", from_torchvision(name, aux_logits=True, **plain), 1000,
               299 if name == "inception_v3" else side, 3)
    for name in ("resnet18 resnet34 resnet50 resnet101 resnet152 squeezenet1_0 squeezenet1_1 "
                 "mobilenet_v2 densenet121 densenet169 vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn "
                 "vgg16_bn vgg19_bn alexnet").split():
        yield name, from_torchvision(name), 1000, 64 if name == "alexnet" else 43, 3


    yield "detector", Detector, 20, 43, 3


def main():
    out = {}
    for name, make, classes, side, channels in networks():
        out[f"{name}/count"] = np.int64(sum(p.numel() for p in make(classes).parameters()))
        net = make(CLASSES).eval()
        keys = []
        with torch.no_grad():
            for key, t in net.state_dict().items():
                if key.endswith("num_batches_tracked"):
                    continue
                keys.append(" ".join([key] + [str(n) for n in t.shape]))
                t.copy_(torch.from_numpy(value_of(key, tuple(t.shape))))
            x = value_of("picture", (2, side, side, channels)).astype(np.float64)
            x /= np.sqrt(6.0 / (side * side * channels))
            heads = [getattr(net, k) for k in HEADS if getattr(net, k, None)]
            for i, head in enumerate(heads):
                head.register_forward_hook(
                    lambda _, __, y, key=f"{name}/auxiliary{i}": out.update({key: y.numpy()}))
            net.double().training = bool(heads)  # of the network alone, not of its layers
            y = net(torch.from_numpy(x).permute(0, 3, 1, 2))
            y = y.logits if heads else y
        out[f"{name}/keys"] = np.frombuffer(("\n".join(keys) + "\n").encode(), np.uint8)
        out[f"{name}/size"] = np.int64(side)
        out[f"{name}/y"] = y.numpy()
        print(name, out[f"{name}/count"], float(y.abs().max()), file=sys.stderr)
    np.savez_compressed("tests/golden/nn/zoo.npz", **out)


if __name__ == "__main__":
    main()
