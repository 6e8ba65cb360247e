#!/usr/bin/python3
"""Fine-tuning as PyTorch does it: the same model, pictures and steps, and the loss of each epoch, or step.

    tools/golden/tune.py                       writes tests/golden/cli/tune.onnx, tune.npz, tune.json,
                                               tune_shared.onnx, tune_lstm.onnx,
                                               tune_tokens.onnx, tune_keras.h5
    tools/golden/tune.py resnet BATCH          writes tests/golden/cli/tune_resnet.json: ResNet-18 on
                                               CIFAR-10 pictures, each of 100 steps; BATCH: of its
                                               files
    tools/golden/tune.py resnet BATCH FOLDER   writes the model and the pictures of that to a folder

An epoch's loss is the mean of its batches' losses, each before its step. SGD without momentum; no
shuffling, no augmentation. Batch normalisation trains as Keras's and ours do: running statistics
take the batch's variance as it is, PyTorch's take it times n / (n - 1); neither enters the loss.
Where a model is judged in the end, PyTorch's are made to be ours.
"""
import copy
import json
import lzma
import os
import sys
import warnings

import numpy as np
import torch
from torch import nn
from torch.onnx import TrainingMode

warnings.filterwarnings("ignore")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden/cli")
RATE = 2e-4


class Small(nn.Module):
    """Flattens with its batch in the shape, as exports with a fixed batch have it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 16, 4)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(x.reshape(x.shape[0], -1))


def stir(model):
    """No two tensors are equal: PyTorch's exporter would make one of them."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02 * torch.randn_like(p))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(0.1 * torch.randn_like(b))
            elif name.endswith("running_var"):
                b.copy_(0.8 + 0.4 * torch.rand_like(b))


def export(model, path, size):
    torch.onnx.export(copy.deepcopy(model).eval(), torch.randn(1, 3, size, size), path,
                      training=TrainingMode.PRESERVE, do_constant_folding=False, opset_version=13,
                      input_names=["image"], output_names=["scores"])


def losses(model, x, y, epochs, batch, rate, dtype, frozen=(), steps=False, judged=False):
    """frozen: modules that keep weights and statistics. steps: of each step. judged: and in the
    end that of the model that does not train."""
    model = copy.deepcopy(model).to(dtype).train()
    for name, module in model.named_modules():
        if name in frozen:
            module.eval()
            for p in module.parameters():
                p.requires_grad_(False)
    sgd = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=rate)
    x = torch.tensor(x.transpose(0, 3, 1, 2)).to(dtype) / 255
    y = torch.tensor(y)
    out = []
    for _ in range(epochs):
        sums = 0.0
        for i in range(0, len(x), batch):
            loss = nn.functional.cross_entropy(model(x[i:i + batch]), y[i:i + batch])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            sums += loss.item() * len(x[i:i + batch])
            if steps:
                out.append(loss.item())
        if not steps:
            out.append(sums / len(x))
    if judged:
        out.append(nn.functional.cross_entropy(model.eval()(x), y).item())
    return out


class Norm(nn.BatchNorm2d):
    """Running statistics take the batch's variance as it is."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        with torch.no_grad():
            self.running_mean.lerp_(x.mean((0, 2, 3)), self.momentum)
            self.running_var.lerp_(x.var((0, 2, 3), unbiased=False), self.momentum)
        return nn.functional.batch_norm(x, None, None, self.weight, self.bias, True, 0, self.eps)


class Shared(nn.Module):
    """One batch normalisation is used twice."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, bias=False), nn.Conv2d(6, 6, 3, bias=False)
        self.bn, self.fc = Norm(6), nn.Linear(6, 4)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv1(x)))
        return self.fc(torch.relu(self.bn(self.conv2(x))).mean((2, 3)))


def shared(x, y):
    """As the exporter writes equal tensors, the second use has the statistics by other names."""
    import onnx
    torch.manual_seed(5)
    model, path = Shared(), os.path.join(FOLDER, "tune_shared.onnx")
    stir(model)
    export(model, path, 8)
    file = onnx.load(path)
    second = [n for n in file.graph.node if n.op_type == "BatchNormalization"][1]
    for i in 3, 4:
        alias = onnx.helper.make_node("Identity", [second.input[i]], ["alias%d" % i])
        file.graph.node.insert(0, alias)
        second.input[i] = alias.output[0]
    onnx.save(file, path)
    return losses(model, x, y, 4, 8, 0.05, torch.double, judged=True)


def small():
    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    model = Small()
    stir(model)
    export(model, os.path.join(FOLDER, "tune.onnx"), 8)
    y = rng.integers(0, 4, 48)
    x = rng.integers(0, 128, (48, 8, 8, 3)) + 30 * y[:, None, None, None]
    x = np.clip(x, 0, 255).astype(np.uint8)
    np.savez_compressed(os.path.join(FOLDER, "tune.npz"), x=x, y=y.astype(np.int64))
    kinds = {"all": (), "frozen": ("conv1", "bn1")}
    curves = {k: losses(model, x, y, 4, 8, 0.05, torch.double, v) for k, v in kinds.items()}
    curves["shared"] = shared(x, y)
    with open(os.path.join(FOLDER, "tune.json"), "w") as f:
        json.dump(curves, f, indent=1)
        f.write("\n")


class Recurrent(nn.Module):
    """Its initial state has the batch of the export as a number."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.lstm = nn.LSTM(6, 7, batch_first=True)
        self.head = nn.Linear(7, 3)

    def forward(self, ids):
        return self.head(self.lstm(self.embedding(ids))[0])


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(50, 12), nn.Embedding(16, 12)
        self.layer = nn.TransformerEncoderLayer(12, 3, 20, batch_first=True)
        self.head = nn.Linear(12, 50)

    def forward(self, ids, mask):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        return self.head(self.layer(x, src_key_padding_mask=mask == 0))


def sequences():
    """Of integers: all sizes fixed, with a batch of 2; and batch and length open."""
    torch.manual_seed(4)
    ids = torch.randint(0, 11, (2, 5))
    lstm, tokens = Recurrent().eval(), Tokens().eval()
    stir(lstm), stir(tokens)
    torch.onnx.export(lstm, ids, os.path.join(FOLDER, "tune_lstm.onnx"), opset_version=14,
                      input_names=["ids"], output_names=["y"])
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(tokens, (ids, torch.ones_like(ids)),
                      os.path.join(FOLDER, "tune_tokens.onnx"), opset_version=14,
                      input_names=["ids", "mask"], output_names=["y"],
                      dynamic_axes={"ids": axes, "mask": axes})


def keras():
    """Pictures of any size: the mean of each channel, and a dense layer that shows them, but for the
    last class."""
    import h5py
    config = {"class_name": "Sequential", "config": {"name": "means", "layers": [
        {"class_name": "InputLayer", "config": {
            "name": "image", "batch_input_shape": [None, None, None, 3], "dtype": "float32"}},
        {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool", "dtype": "float32"}},
        {"class_name": "Dense", "config": {"name": "scores", "units": 4, "dtype": "float32",
                                           "activation": "linear", "use_bias": False}}]}}
    with h5py.File(os.path.join(FOLDER, "tune_keras.h5"), "w") as f:
        f.attrs["model_config"] = json.dumps(config)
        f.attrs["keras_version"] = "2.13.1"
        f.attrs["backend"] = "tensorflow"
        weights = f.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"pool", b"scores"])
        weights.create_group("pool").attrs["weight_names"] = np.array([], dtype="S1")
        dense = weights.create_group("scores")
        dense.attrs["weight_names"] = np.array([b"scores/kernel:0"])
        dense.create_dataset("scores/kernel:0", data=np.eye(3, 4, dtype=np.float32))


def resnet18():
    """Weights by numpy's generator, which stays the same from version to version.

    Each residual block begins nearly as the identity (torchvision's zero_init_residual): otherwise
    batch normalisation of 32 numbers, which is what layer4 has of 32 pictures, makes a network in
    which PyTorch's own floats and doubles part after ten steps at any rate that learns."""
    import torchvision
    rng = np.random.default_rng(5)
    model = torchvision.models.resnet18(num_classes=10)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = rng.standard_normal(tuple(p.shape))
            if p.dim() == 4:
                noise *= np.sqrt(2 / (p.shape[0] * p.shape[2] * p.shape[3]))
            elif p.dim() == 2:
                noise *= np.sqrt(1 / p.shape[1])
            else:
                noise = 0.02 * noise + (name.endswith(("bn1.weight", "downsample.1.weight")))
            p.copy_(torch.tensor(noise))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(torch.tensor(0.1 * rng.standard_normal(tuple(b.shape))))
            elif name.endswith("running_var"):
                b.copy_(torch.tensor(0.8 + 0.4 * rng.random(tuple(b.shape))))
    return model


# What is frozen of the curve of that name. All are 25 epochs of 4 steps.
CURVES = {"whole": (), "frozen": ("conv1", "bn1", "layer1", "layer2", "layer3")}


def resnet(batch, folder=None):
    data = np.frombuffer(lzma.open(batch).read(), np.uint8).reshape(-1, 3073)[:128]
    x = np.ascontiguousarray(data[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    y = data[:, 0].astype(np.int64)
    model = resnet18()
    if folder:
        export(model, os.path.join(folder, "resnet18.onnx"), 32)
        np.savez(os.path.join(folder, "cifar.npz"), x=x, y=y)
        return
    curves = {}
    for name, frozen in CURVES.items():
        double, single = (losses(model, x, y, 25, 32, RATE, dtype, frozen, steps=True)
                          for dtype in (torch.double, torch.float))
        curves[name] = {"double": double, "float": single}
    with open(os.path.join(FOLDER, "tune_resnet.json"), "w") as f:
        json.dump(curves, f, indent=1)
        f.write("\n")


if len(sys.argv) > 1:
    resnet(*sys.argv[2:])
else:
    small()
    sequences()
    keras()
