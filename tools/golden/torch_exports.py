#!/usr/bin/python3
"""Models as PyTorch exports them, against PyTorch: outputs to 1e-4, gradients to 1e-3.

    tools/golden/torch_exports.py CAJAL [MODEL...] [--opsets 9,13,17]

Every model has random weights of a fixed seed, all of them away from PyTorch's zeros and ones (its
exporter merges equal tensors into one). It is exported twice: as people export (constants folded,
batch normalisation in the convolutions), for outputs and the gradients of the inputs; and with its
weights as they are, under the module's names, for their gradients. Errors are relative to the
largest number of the tensor. Prints a line a file; exit status 1 when one is wrong.
"""
import argparse
import copy
import io
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
from torch import nn
from torch.onnx import TrainingMode

warnings.filterwarnings("ignore")
OUTPUTS, GRADIENTS = 1e-4, 1e-3
ALL = list(range(9, 18))
LINEAR = list(range(11, 18))  # before, PyTorch itself warns, interpolation is another


# ---- Models --------------------------------------------------------------------------------------

class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, stride=2, bias=False), nn.BatchNorm2d(12), nn.LeakyReLU(0.1),
            nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        return self.head(torch.flatten(self.features(x), 1))


class Recurrent(nn.Module):
    def __init__(self, kind, both):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.cells = kind(6, 7, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(14 if both else 7, 3)

    def forward(self, ids):
        y, _ = self.cells(self.embedding(ids))
        return self.head(y)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(12, 3, 20, dropout=0.1, batch_first=True,
                                           activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        return self.encoder(x)


class Decoder(nn.Module):
    """Its mask is a constant, or (traced) computed, by an operator that opset 14 has."""

    def __init__(self, traced):
        super().__init__()
        layer = nn.TransformerDecoderLayer(12, 3, 20, dropout=0.1)
        self.decoder = nn.TransformerDecoder(layer, 2)
        self.mask = None if traced else torch.triu(torch.full((4, 4), float("-inf")), diagonal=1)

    def forward(self, x, memory):
        n, mask = x.shape[0], self.mask
        if mask is None:
            mask = torch.triu(torch.full((n, n), float("-inf")), diagonal=1)
        return self.decoder(x, memory, tgt_mask=mask)


class UNet(nn.Module):
    def __init__(self, mode, corners):
        super().__init__()

        def block(a, b):
            return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
                                 nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())

        self.down1, self.down2, self.bottom = block(1, 4), block(4, 8), block(8, 16)
        self.up2 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.up1 = nn.Upsample(scale_factor=2, mode=mode, align_corners=corners)
        self.right2, self.right1 = block(16, 8), block(12, 4)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(nn.functional.max_pool2d(a, 2))
        y = self.bottom(nn.functional.max_pool2d(b, 2))
        y = self.right2(torch.cat([self.up2(y), b], 1))
        return self.head(self.right1(torch.cat([self.up1(y), a], 1)))


def picture(size, channels=3, n=2):
    return (torch.randn(n, channels, size, size),)


def small_vgg():
    from torchvision.models.vgg import VGG, make_layers
    model = VGG(make_layers([8, "M", 12, "M", 16, 16, "M", 20, "M"], batch_norm=True), 10)
    model.avgpool = nn.AdaptiveAvgPool2d(1)  # to 7 from 2 PyTorch does not export
    model.classifier = nn.Sequential(nn.Linear(20, 16), nn.ReLU(True), nn.Dropout(),
                                     nn.Linear(16, 10))
    return model


def zoo(name, size, **options):
    import torchvision
    return lambda: (getattr(torchvision.models, name)(**options), picture(size))


def densenet():
    from torchvision.models.densenet import DenseNet
    return DenseNet(8, (6, 12, 24, 16), 16, num_classes=10), picture(32)


def ids():
    return (torch.randint(0, 11, (2, 5)),)


# name -> (model and inputs, opsets)
MODELS = {
    "mlp": (lambda: (nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 8), nn.Tanh(),
                                   nn.LayerNorm(8), nn.Linear(8, 4), nn.Softmax(-1)),
                     (torch.randn(3, 6),)), ALL),
    "cnn": (lambda: (Cnn(), picture(16)), ALL),
    "resnet18": (zoo("resnet18", 32, num_classes=10), [9, 13, 17]),
    "mobilenet_v2": (zoo("mobilenet_v2", 32, num_classes=10, width_mult=0.25), [9, 13, 17]),
    "densenet121": (densenet, [10, 17]),
    "googlenet": (zoo("googlenet", 64, num_classes=10, aux_logits=False, init_weights=False),
                  [11, 17]),
    "squeezenet": (zoo("squeezenet1_1", 64, num_classes=10), [9, 12, 17]),
    "vgg": (lambda: (small_vgg(), picture(32)), [9, 14, 17]),
    "lstm": (lambda: (Recurrent(nn.LSTM, False), ids()), ALL),
    "bilstm": (lambda: (Recurrent(nn.LSTM, True), ids()), [9, 13, 17]),
    "gru": (lambda: (Recurrent(nn.GRU, False), ids()), ALL),
    "bigru": (lambda: (Recurrent(nn.GRU, True), ids()), [9, 13, 17]),
    "encoder": (lambda: (Encoder(), (torch.randn(2, 5, 12),)), ALL),
    "decoder": (lambda: (Decoder(False), (torch.randn(4, 2, 12), torch.randn(6, 2, 12))), ALL),
    "decoder_triu": (lambda: (Decoder(True), (torch.randn(4, 2, 12), torch.randn(6, 2, 12))),
                     [14, 17]),
    "unet_nearest": (lambda: (UNet("nearest", None), picture(16, 1)), ALL),
    "unet": (lambda: (UNet("bilinear", False), picture(16, 1)), LINEAR),
}


def stir(model):
    """No weight is as it was made: equal tensors would become one initializer."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02 * torch.randn_like(p))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(0.1 * torch.randn_like(b))
            elif name.endswith("running_var"):
                b.copy_(0.8 + 0.4 * torch.rand_like(b))


# ---- PyTorch -------------------------------------------------------------------------------------

def truth(model, inputs, cotangent):
    """The output, and gradients of inputs (floats) and of parameters by name."""
    model.zero_grad()
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    y = model(*inputs)
    y.backward(cotangent)
    return (y.detach().numpy(), [x.grad.numpy() for x in inputs if x.is_floating_point()],
            {n: p.grad.numpy() for n, p in model.named_parameters()})


def export(model, inputs, path, opset, plain, dynamic, training=TrainingMode.PRESERVE):
    names = ["x%d" % i for i in range(len(inputs))]
    batch = 1 if isinstance(model, Decoder) else 0
    options = {"dynamic_axes": {n: {batch: "batch"} for n in names + ["y"]}} if dynamic else {}
    torch.onnx.export(model, inputs, path, opset_version=opset, input_names=names,
                      output_names=["y"], do_constant_folding=not plain,
                      training=training if plain else TrainingMode.EVAL, **options)


# ---- Comparing -----------------------------------------------------------------------------------

def largest(arrays):
    return max([float(np.abs(a).max()) for a in arrays if a.size] + [1e-6])


def error(got, want, floor=0):
    """floor: what counts as nothing. The bias before a batch normalisation has gradients that are
    rounding errors and nothing else."""
    if got.shape != want.shape:
        return float("inf")
    if not want.size:
        return 0.0
    size = max(largest([want]), floor)
    e = float(np.abs(got.astype(np.float64) - want).max()) / size
    return e if np.isfinite(e) else float("inf")


class Failed(Exception):
    pass


def cajal(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip().splitlines()[-1] if done.stderr else "?")


def check(program, model, inputs, folder, opset, plain, dynamic, flags=()):
    path = os.path.join(folder, "model.onnx")
    export(model, inputs, path, opset, plain, dynamic)
    if "--training" in flags:
        model = copy.deepcopy(model).train()
    with torch.no_grad():
        like = copy.deepcopy(model)(*inputs)
    cotangent = torch.randn(like.shape)
    y, dx, dw = truth(copy.deepcopy(model), inputs, cotangent)
    files = []
    for i, x in enumerate(inputs):
        files.append(os.path.join(folder, "x%d.npy" % i))
        np.save(files[-1], x.numpy())
    np.save(os.path.join(folder, "dy.npy"), cotangent.numpy())
    common = ["--inputs", ",".join(files), "--output-dir", folder]
    worst = {"outputs": 0.0, "inputs": 0.0, "weights": 0.0}
    if not flags:
        cajal(program, "run", path, *common)
        worst["outputs"] = error(np.load(os.path.join(folder, "out0.npy")), y)
    cajal(program, "grad", path, *common, "--cotangents", os.path.join(folder, "dy.npy"), *flags)
    for i, d in enumerate(dx):
        worst["inputs"] = max(worst["inputs"],
                              error(np.load(os.path.join(folder, "grad%d.npy" % i)), d))
    found, floor = 0, 1e-3 * largest(dw.values())
    for name, d in dw.items():
        file = os.path.join(folder, "grad_%s.npy" % name)
        if os.path.exists(file):
            found += 1
            worst["weights"] = max(worst["weights"], error(np.load(file), d, floor))
    if plain and found != len(dw):
        raise Failed("%d of %d parameters have gradients" % (found, len(dw)))
    return worst, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cajal")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--opsets")
    args = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [int(o) for o in args.opsets.split(",")] if args.opsets else None
    wrong = 0
    print("%-14s %-5s %-9s %9s %9s %9s %8s" % ("model", "opset", "export", "outputs", "d inputs",
                                               "d weights", "seconds"))
    for name in args.models or MODELS:
        make, opsets = MODELS[name]
        for opset in [o for o in opsets if not wanted or o in wanted]:
            torch.manual_seed(7)
            model, inputs = make()
            stir(model)
            model.eval()
            cases = [("folded", False, False, ()), ("batch", False, True, ()),
                     ("plain", True, False, ())]
            if name in ("cnn", "unet") and opset >= 14:
                cases.append(("training", True, False, ("--training",)))
            for kind, plain, dynamic, flags in cases:
                start = time.time()
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        e, found = check(args.cajal, model, inputs, folder, opset, plain, dynamic,
                                         flags)
                        bad = (e["outputs"] > OUTPUTS or e["inputs"] > GRADIENTS or
                               e["weights"] > GRADIENTS)
                        print("%-14s %-5d %-9s %9.1e %9.1e %9.1e %8.1f%s" % (
                            name, opset, kind, e["outputs"], e["inputs"], e["weights"],
                            time.time() - start, "   WRONG" if bad else ""), flush=True)
                    except (Failed, FileNotFoundError) as why:
                        bad = True
                        print("%-14s %-5d %-9s   %s" % (name, opset, kind, why), flush=True)
                    except Exception as why:  # PyTorch has no such export
                        bad = False
                        print("%-14s %-5d %-9s   not exported: %s" % (
                            name, opset, kind, str(why).strip().splitlines()[0][:70]), flush=True)
                wrong += bad
    print("%d wrong" % wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
