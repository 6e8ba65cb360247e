#!/usr/bin/env python3
"""zoo_pictures.py: the networks of the zoo that give pictures, or judge them, as PyTorch has them.

Writes tests/golden/nn/zoo_pictures.npz. For each case: text, the model in Cajal's words (none for
the conditional ones); count, the parameters of the network as it is by default (of one case of
each); keys, its weights and statistics; shape, of the input with a batch of two; y, the result.
Weights and inputs are functions of a name and an index, as in zoo.py. PyTorch computes in double.

U-Net is written after github.com/milesial/Pytorch-UNet, DCGAN and the network of styles after
PyTorch's examples (dcgan, fast_neural_style), with their names.
"""
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, "tools/golden")
from zoo import value_of  # noqa: E402


class Twice(nn.Module):
    def __init__(self, channels, filters, norm):
        super().__init__()
        layers = []
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=not norm)]
            layers += [nn.BatchNorm2d(filters)] if norm else []
            layers += [nn.ReLU()]
            channels = filters
        self.double_conv = nn.Sequential(*layers)

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, channels, filters, norm):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), Twice(channels, filters, norm))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, channels, filters, norm):
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, filters, 2, 2)
        self.conv = Twice(2 * filters, filters, norm)

    def forward(self, x, seen):
        x = self.up(x)
        dy, dx = seen.shape[2] - x.shape[2], seen.shape[3] - x.shape[3]
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([seen, x], 1))


class Out(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv = nn.Conv2d(channels, classes, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    def __init__(self, channels=3, classes=1, width=64, depth=4, norm=True, end=torch.sigmoid):
        super().__init__()
        self.depth, self.end = depth, end
        self.inc = Twice(channels, width, norm)
        for i in range(1, depth + 1):
            setattr(self, f"down{i}", Down(width << i - 1, width << i, norm))
        for i in range(1, depth + 1):
            setattr(self, f"up{i}", Up(width << depth - i + 1, width << depth - i, norm))
        self.outc = Out(width, classes)

    def forward(self, x):
        seen = [self.inc(x)]
        for i in range(1, self.depth + 1):
            seen.append(getattr(self, f"down{i}")(seen[-1]))
        x = seen.pop()
        for i in range(1, self.depth + 1):
            x = getattr(self, f"up{i}")(x, seen.pop())
        return self.end(self.outc(x))


class Encoder(nn.Module):
    pass


class Autoencoder(nn.Module):
    """latent None: the code is a picture. variational: codes are their means, as outside of training."""

    def __init__(self, shape=(28, 28, 1), latent=32, width=1, variational=False):
        super().__init__()
        self.shape, self.latent, self.variational = shape, latent, variational
        e, d = self.encoder, self.decoder = Encoder(), Encoder()
        if len(shape) == 1:
            n = int(128 * width)
            e.fc1, d.fc1, d.fc2 = nn.Linear(shape[0], n), nn.Linear(latent, n), nn.Linear(n, shape[0])
        else:
            a, b, c = int(32 * width), int(64 * width), shape[2]
            self.code = (-(-shape[0] // 4), -(-shape[1] // 4), b)
            e.conv1, e.conv2 = nn.Conv2d(c, a, 3, 2, 1), nn.Conv2d(a, b, 3, 2, 1)
            d.conv1, d.conv2 = nn.ConvTranspose2d(b, a, 4, 2, 1), nn.ConvTranspose2d(a, c, 4, 2, 1)
            n = int(np.prod(self.code))
            if latent:
                d.fc = nn.Linear(latent, n)
        if variational:
            e.mean, e.log_var = nn.Linear(n, latent), nn.Linear(n, latent)
        elif latent:
            e.fc = nn.Linear(n, latent)

    def bottleneck(self, x):
        return self.encoder.mean(x) if self.variational else self.encoder.fc(x)

    def forward(self, x):
        e, d = self.encoder, self.decoder
        if len(self.shape) == 1:
            x = torch.relu(d.fc1(self.bottleneck(torch.relu(e.fc1(x)))))
            return torch.sigmoid(d.fc2(x))
        x = torch.relu(e.conv2(torch.relu(e.conv1(x))))
        if self.latent:
            x = torch.relu(d.fc(self.bottleneck(x.flatten(1))))
            x = x.view(-1, *self.code).permute(0, 3, 1, 2)  # our numbers have the channels last
        x = d.conv2(torch.relu(d.conv1(x)))
        return torch.sigmoid(x[:, :, : self.shape[0], : self.shape[1]])


class Generator(nn.Module):
    def __init__(self, noise=100, first=7, steps=2, channels=1, width=64):
        super().__init__()
        layers = []
        for i in range(steps - 1, -1, -1):
            filters = width << i
            layers += [nn.ConvTranspose2d(noise, filters, 4 if layers else first,
                                          2 if layers else 1, 1 if layers else 0, bias=False),
                       nn.BatchNorm2d(filters), nn.ReLU()]
            noise = filters
        layers += [nn.ConvTranspose2d(noise, channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x[:, :, None, None])


class Judge(nn.Module):
    def __init__(self, first=7, steps=2, channels=1, width=64, critic=False, top=True):
        super().__init__()
        layers, self.end = [], (lambda x: x) if critic else torch.sigmoid
        for i in range(steps):
            filters = width << i
            layers += [nn.Conv2d(channels, filters, 4, 2, 1, bias=False)]
            if i:
                layers += [nn.GroupNorm(1, filters) if critic else nn.BatchNorm2d(filters)]
            layers += [nn.LeakyReLU(0.2)]
            channels = filters
        if top:
            layers += [nn.Conv2d(channels, 1, first, bias=False)]
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.end(self.main(x).flatten(1))


class ConditionalGenerator(Generator):
    def __init__(self, noise, classes, **more):
        super().__init__(noise=noise + 50, **more)
        self.label = nn.Embedding(classes, 50)

    def forward(self, x):
        return super().forward(torch.cat([x, self.label(LABELS)], 1))


class ConditionalJudge(Judge):
    def __init__(self, classes, features, **more):
        super().__init__(top=False, **more)
        self.label, self.fc, self.features = nn.Embedding(classes, features), nn.Linear(features, 1), features

    def forward(self, x):
        x = self.main(x)
        # Our numbers have the channels last; those of fc are moved when they are loaded.
        e = self.label(LABELS).view(-1, *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
        return torch.sigmoid(self.fc(x.flatten(1)) + (x * e).sum((1, 2, 3))[:, None])


class ConvLayer(nn.Module):
    def __init__(self, channels, filters, kernel, stride=1, larger=False):
        super().__init__()
        self.larger, self.pad = larger, nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(channels, filters, kernel, stride)

    def forward(self, x):
        if self.larger:
            x = F.interpolate(x, mode="nearest", scale_factor=2)
        return self.conv2d(self.pad(x))


class Residual(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1, self.conv2 = ConvLayer(n, n, 3), ConvLayer(n, n, 3)
        self.in1, self.in2 = nn.InstanceNorm2d(n, affine=True), nn.InstanceNorm2d(n, affine=True)

    def forward(self, x):
        return self.in2(self.conv2(torch.relu(self.in1(self.conv1(x))))) + x


class Style(nn.Module):
    def __init__(self, n=32):
        super().__init__()
        sizes = {1: n, 2: 2 * n, 3: 4 * n, 4: 2 * n, 5: n}
        for i, size in sizes.items():
            setattr(self, f"in{i}", nn.InstanceNorm2d(size, affine=True))
            setattr(self, f"res{i}", Residual(4 * n))
        self.conv1, self.conv2 = ConvLayer(3, n, 9), ConvLayer(n, 2 * n, 3, 2)
        self.conv3 = ConvLayer(2 * n, 4 * n, 3, 2)
        self.deconv1 = ConvLayer(4 * n, 2 * n, 3, larger=True)
        self.deconv2 = ConvLayer(2 * n, n, 3, larger=True)
        self.deconv3 = ConvLayer(n, 3, 9)

    def forward(self, x):
        for i in 1, 2, 3:
            x = torch.relu(getattr(self, f"in{i}")(getattr(self, f"conv{i}")(x)))
        for i in range(1, 6):
            x = getattr(self, f"res{i}")(x)
        x = torch.relu(self.in4(self.deconv1(x)))
        return self.deconv3(torch.relu(self.in5(self.deconv2(x))))


LABELS = torch.tensor([1, 4])


def soft(x):
    return torch.softmax(x, 1)


# name: the network as it is by default or None, the case, its text, the input's shape
CASES = {
    "unet": (UNet(), UNet(3, 2, 8, end=soft), "input 20 22 3, unet(classes=2, width=0.125)", (20, 22, 3)),
    "unet odd": (None, UNet(1, 1, 16, 3, norm=False),
                 "input 21 19 1, unet(width=0.25, depth=3, no_norm=true)", (21, 19, 1)),
    "unet logits": (None, UNet(1, 3, 4, 1, end=lambda x: x),
                    "input 3 2 1, unet(classes=3, width=0.06, depth=1, activation=linear)", (3, 2, 1)),
    "autoencoder": (Autoencoder(), Autoencoder((10, 13, 2), 5, 0.25),
                    "input 10 13 2, autoencoder(latent=5, width=0.25)", (10, 13, 2)),
    "autoencoder of numbers": (None, Autoencoder((7,), 3), "input 7, autoencoder(latent=3, noise=1)", (7,)),
    "denoising_autoencoder": (Autoencoder(latent=None), Autoencoder((12, 9, 1), None, 0.25),
                              "input 12 9 1, denoising_autoencoder(width=0.25)", (12, 9, 1)),
    "vae": (Autoencoder(latent=16, variational=True), Autoencoder((10, 12, 2), 3, 0.25, True),
            "input 10 12 2, vae(latent=3, width=0.25)", (10, 12, 2)),
    "dcgan_generator": (Generator(), Generator(5, 7, 2, 1, 8), "input 5, dcgan_generator(width=0.125)", (5,)),
    "dcgan_generator of 64": (None, Generator(5, 4, 4, 3, 8),
                              "input 5, dcgan_generator(size=64, channels=3, width=0.125)", (5,)),
    "dcgan_generator of 10": (None, Generator(1, 5, 1, 2, 16),
                              "input 1, dcgan_generator(size=10, channels=2, width=0.25)", (1,)),
    "dcgan_discriminator": (Judge(), Judge(width=8),
                            "input 28 28 1, dcgan_discriminator(width=0.125)", (28, 28, 1)),
    "dcgan_discriminator of 64": (None, Judge(4, 4, 3, 8),
                                  "input 64 64 3, dcgan_discriminator(width=0.125)", (64, 64, 3)),
    "wgan_gp_critic": (Judge(critic=True), Judge(4, 3, 3, 8, True),
                       "input 32 32 3, wgan_gp_critic(width=0.125)", (32, 32, 3)),
    "fast_style": (Style(), Style(8), "input 12 18 3, fast_style(width=0.25)", (12, 18, 3)),
    "conditional generator": (None, ConditionalGenerator(6, 5, width=8), None, (6,)),
    "conditional discriminator": (None, ConditionalJudge(5, 784, width=8), None, (28, 28, 1)),
}


def main():
    out = {}
    for name, (default, net, text, shape) in CASES.items():
        if default:
            out[f"{name}/count"] = np.int64(sum(p.numel() for p in default.parameters()))
        keys = []
        with torch.no_grad():
            for key, t in net.eval().state_dict().items():
                if not key.endswith("num_batches_tracked"):
                    keys.append(" ".join([key] + [str(n) for n in t.shape]))
                    t.copy_(torch.from_numpy(value_of(key, tuple(t.shape))))
            x = value_of("picture", (2,) + shape).astype(np.float64) / np.sqrt(6.0 / np.prod(shape))
            x = torch.from_numpy(x)
            y = net.double()(x.permute(0, 3, 1, 2) if len(shape) == 3 else x)
        if text:
            out[f"{name}/text"] = np.frombuffer(text.encode(), np.uint8)
        out[f"{name}/keys"] = np.frombuffer(("\n".join(keys) + "\n").encode(), np.uint8)
        out[f"{name}/shape"] = np.array((2,) + shape)
        out[f"{name}/y"] = (y.permute(0, 2, 3, 1) if y.dim() == 4 else y).float().numpy()
        print(name, out.get(f"{name}/count", ""), float(y.min()), float(y.max()), file=sys.stderr)
    np.savez_compressed("tests/golden/nn/zoo_pictures.npz", **out)


if __name__ == "__main__":
    main()
