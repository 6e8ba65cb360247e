#!/usr/bin/python3
"""Makes tests/golden/format/onnx/exported.onnx and .npz: what PyTorch spells out in several nodes.

Group normalisation, GELU and ReLU6 as torch.onnx.export writes them for opset 17, a mirrored edge whose pads are
computed, and a layer normalisation over three axes; numbers are PyTorch's. From the root of the repository:

    tools/golden/onnx_exported.py
"""
import numpy as np
import torch
from torch import nn

TO = "tests/golden/format/onnx/exported"


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.edge, self.conv = nn.ReLU6(), nn.ReflectionPad2d((1, 2, 1, 0)), nn.Conv2d(3, 8, 3)
        self.group, self.gelu, self.layer = nn.GroupNorm(4, 8), nn.GELU(), nn.LayerNorm([8, 5, 7])
        self.head = nn.Linear(7, 5)

    def forward(self, x):
        x = self.gelu(self.group(self.conv(self.edge(self.first(x)))))
        return self.head(self.layer(x))


torch.manual_seed(7)
network = Network().eval()
for p in network.parameters():
    nn.init.normal_(p, std=0.5)
x = 4 * torch.randn(2, 3, 6, 6)
torch.onnx.export(network, x, TO + ".onnx", opset_version=17, input_names=["x"], output_names=["y"],
                  dynamic_axes={"x": {0: "batch"}})
np.savez(TO + ".npz", x=x.numpy(), y=network(x).detach().numpy())
