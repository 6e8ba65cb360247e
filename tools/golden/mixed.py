#!/usr/bin/python3
"""Makes tests/golden/graph/mixed.npz: a small network and its gradients under torch.autocast in bfloat16 on the CPU.

    conv 3 -> 8, 3 x 3 | relu | flatten | matmul 128 -> 20 | relu | matmul 20 -> 5 | mean of squares

Arrays: x, w0, w1, w2 (f32, images with channels first), y (the last product), loss, dw0, dw1, dw2; and the same results
in f32 as y_f32 and so on, so that a test can tell the two apart.

    tools/golden/mixed.py tests/golden/graph/mixed.npz
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(3)
x = torch.randn(4, 3, 6, 6)
w = [torch.randn(8, 3, 3, 3) / 5, torch.randn(128, 20) / 11, torch.randn(20, 5) / 4]


def run(mixed):
    params = [t.clone().requires_grad_() for t in w]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        h = F.relu(F.conv2d(x, params[0])).flatten(1)
        y = torch.matmul(F.relu(torch.matmul(h, params[1])), params[2])
    assert y.dtype == (torch.bfloat16 if mixed else torch.float32)
    loss = y.float().square().mean()
    return [y.float(), loss, *torch.autograd.grad(loss, params)]


arrays = {"x": x, "w0": w[0], "w1": w[1], "w2": w[2]}
names = ["y", "loss", "dw0", "dw1", "dw2"]
arrays.update(zip(names, run(True)))
arrays.update(("%s_f32" % name, value) for name, value in zip(names, run(False)))
np.savez(sys.argv[1], **{k: v.detach().numpy() for k, v in arrays.items()})
