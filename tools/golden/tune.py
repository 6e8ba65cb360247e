#!/usr/bin/python3
"""Fine-tuning as PyTorch does it: the same model, pictures and steps, and the loss of each epoch.

    tools/golden/tune.py                       writes tests/golden/cli/tune.onnx, tune.npz, tune.json,
                                               tune_lstm.onnx, tune_tokens.onnx
    tools/golden/tune.py resnet CAJAL BATCHES [COUNT]   ResNet-18 on CIFAR-10 pictures, 4 epochs of
                                               400 (100 steps), compared here

An epoch's loss is the mean of its batches' losses, each before its step. SGD without momentum; no
shuffling, no augmentation. Batch normalisation trains as Keras's and ours do: running statistics
take the batch's variance as it is, PyTorch's take it times n / (n - 1); neither enters the loss.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
from torch import nn
from torch.onnx import TrainingMode

warnings.filterwarnings("ignore")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden/cli")


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


def losses(model, x, y, epochs, batch, rate, dtype, frozen=()):
    """frozen: modules that keep weights and statistics."""
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
        out.append(sums / len(x))
    return out


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
    with open(os.path.join(FOLDER, "tune.json"), "w") as f:
        json.dump({k: losses(model, x, y, 4, 8, 0.05, torch.double, v) for k, v in kinds.items()},
                  f, indent=1)
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


def resnet(cajal, batches, count=400):
    import torchvision
    torch.manual_seed(5)
    torch.set_num_threads(2)
    data = np.fromfile(batches, np.uint8).reshape(-1, 3073)[:count]
    x = np.ascontiguousarray(data[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    y = data[:, 0].astype(np.int64)
    model = torchvision.models.resnet18(num_classes=10)
    stir(model)
    want = losses(model, x, y, 4, 16, 0.01, torch.float)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "resnet18.onnx")
        export(model, path, 32)
        np.savez(os.path.join(folder, "cifar.npz"), x=x, y=y)
        done = subprocess.run([
            cajal, "train", "from=" + path, "data=" + os.path.join(folder, "cifar.npz"), "epochs=4",
            "batch_size=16", "optimizer=sgd", "learning_rate=0.01", "shuffle=false",
            "validation_split=0", "out=" + os.path.join(folder, "run"), "--json"],
            capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    got = [h["loss"] for h in json.loads(done.stdout)["history"]]
    for epoch, (a, b) in enumerate(zip(got, want)):
        print("epoch %d: loss %.5f, PyTorch's %.5f" % (epoch + 1, a, b))
    # Rounding grows from step to step, as between two builds of PyTorch.
    worst = max(abs(a - b) / b for a, b in zip(got, want))
    sys.exit(0 if len(got) == 4 and worst < 0.01 else "differs by %.2g" % worst)


if len(sys.argv) > 1:
    resnet(sys.argv[2], sys.argv[3], *[int(n) for n in sys.argv[4:]])
small()
sequences()
