#!/usr/bin/python3
"""Makes tests/golden/graph/attention.npz: attention against torch, in double.

For each case "name/q", "name/k", "name/v", "name/dy", perhaps "name/mask", and the results "name/y", "name/lse",
"name/dq", "name/dk", "name/dv" (and "name/dmask"), by softmax written out in torch with its own gradients; heads
inside positions. "mha/..." are the parameters, operands and results of torch.nn.MultiheadAttention, its packed
projection transposed.

    tools/golden/attention.py tests/golden/graph/attention.npz
"""
import math
import sys

import numpy as np
import torch

torch.manual_seed(3)
out = {}


def real(*shape):
    return torch.randn(*shape, dtype=torch.float64).mul(8).round().div(8)


def attention(q, k, v, scale=None, causal=False, mask=None, softcap=0, seen=None):
    q, k, v = [x.transpose(1, 2) for x in (q, k, v)]
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    s = q @ k.transpose(2, 3) * (scale or 1 / math.sqrt(q.shape[3]))
    if softcap:
        s = softcap * torch.tanh(s / softcap)
    if mask is not None:
        s = s.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else s + mask
    if causal:
        visible = torch.ones(s.shape[2], s.shape[3], dtype=torch.bool).tril(s.shape[3] - s.shape[2])
        s = s.masked_fill(~visible, -math.inf)
    if seen is not None:
        s = s.masked_fill(torch.arange(s.shape[3])[None, None, None] >= seen[:, None, None, None], -math.inf)
    return (torch.softmax(s, -1) @ v).transpose(1, 2), torch.logsumexp(s, -1)


def case(name, n, tq, tk, hq, hk, d, dv, mask=None, **options):
    q, k, v = real(n, tq, hq, d), real(n, tk, hk, d), real(n, tk, hk, dv)
    wrt = [q, k, v] + ([mask] if mask is not None and mask.dtype != torch.bool else [])
    for x in wrt:
        x.requires_grad_()
    y, lse = attention(q, k, v, mask=mask, **options)
    dy = real(*y.shape)
    grads = torch.autograd.grad((y * dy).sum(), wrt)
    for key, value in zip(("q", "k", "v", "mask", "y", "lse", "dy", "dq", "dk", "dv", "dmask"),
                          (q, k, v, mask, y, lse, dy, *grads)):
        if value is not None:
            out[f"{name}/{key}"] = value.detach().numpy()


case("plain", 2, 5, 7, 3, 3, 4, 6)
case("causal", 2, 9, 9, 2, 2, 8, 8, causal=True)
case("causal_late", 2, 3, 9, 2, 2, 8, 8, causal=True)
case("grouped", 2, 6, 8, 6, 2, 4, 5, causal=True)
case("softcap", 1, 6, 6, 2, 2, 4, 4, softcap=1.5, scale=0.75)
case("mask", 2, 5, 6, 2, 1, 4, 4, mask=real(2, 1, 5, 6))
case("bias", 2, 5, 6, 2, 2, 4, 4, mask=real(1, 2, 5, 6), causal=True)
chosen = torch.rand(2, 1, 5, 6) < 0.5
chosen[..., 0] = True
case("chosen", 2, 5, 6, 2, 2, 4, 4, mask=chosen)
seen = torch.tensor([3, 8, 1])
case("lengths", 3, 4, 8, 2, 2, 4, 4, seen=seen)
out["lengths/lengths"] = seen.numpy()
case("long", 1, 70, 150, 2, 1, 4, 4, causal=True)

torch.manual_seed(4)
mha = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
x = real(2, 5, 12).requires_grad_()
with torch.no_grad():
    for p in mha.parameters():
        p.copy_(torch.randn_like(p).mul(0.3))
blocked = torch.ones(5, 5, dtype=torch.bool).triu(1)
y, _ = mha(x, x, x, attn_mask=blocked, need_weights=False)
dy = real(*y.shape)
wrt = [x, mha.in_proj_weight, mha.in_proj_bias, mha.out_proj.weight, mha.out_proj.bias]
grads = torch.autograd.grad((y * dy).sum(), wrt)
names = ["x", "qkv_kernel", "qkv_bias", "output_kernel", "output_bias"]
for key, value, grad in zip(names, wrt, grads):
    turn = (lambda a: a.T) if key.endswith("kernel") else (lambda a: a)
    out[f"mha/{key}"] = turn(value.detach().numpy()).copy()
    out[f"mha/d_{key}"] = turn(grad.numpy()).copy()
out["mha/y"], out["mha/dy"] = y.detach().numpy(), dy.numpy()
np.savez_compressed(sys.argv[1], **out)
