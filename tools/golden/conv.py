#!/usr/bin/python3
"""Makes tests/golden/graph/conv.npz: convolutions and transposed ones with all their gradients, by torch in double.

Arrays of case i are named "i/x", "i/w", "i/b", "i/y", "i/dy", "i/dx", "i/dw", "i/db"; channels are first, weights as
torch has them. "i/how" says how: transposed, groups, then 3 numbers by spatial axis each (0 behind the last axis):
strides, dilations, pads before, pads after, output padding.

    tools/golden/conv.py tests/golden/graph/conv.npz
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(1)
#        transposed groups batch in out size         kernel     strides    dilations  before     after      more
CASES = [
    (0, 1, 2, 3, 4, (9,), (3,), (1,), (1,), (0,), (0,), (0,)),
    (0, 1, 1, 2, 3, (10,), (4,), (3,), (2,), (2,), (1,), (0,)),
    (0, 2, 2, 4, 6, (8,), (3,), (2,), (1,), (1,), (1,), (0,)),
    (0, 1, 2, 3, 5, (6, 7), (3, 3), (1, 1), (1, 1), (0, 0), (0, 0), (0, 0)),
    (0, 1, 2, 2, 3, (7, 6), (3, 2), (2, 3), (1, 1), (1, 0), (0, 2), (0, 0)),
    (0, 1, 1, 3, 2, (9, 8), (3, 3), (1, 2), (3, 2), (2, 2), (2, 3), (0, 0)),
    (0, 3, 2, 6, 9, (5, 6), (2, 3), (1, 1), (1, 1), (1, 1), (1, 1), (0, 0)),
    (0, 4, 1, 4, 8, (6, 5), (3, 3), (2, 1), (1, 1), (1, 1), (1, 1), (0, 0)),
    (0, 1, 1, 17, 33, (4, 5), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), (0, 0)),
    (0, 1, 2, 5, 3, (5, 4), (1, 1), (2, 2), (1, 1), (0, 0), (0, 0), (0, 0)),
    (0, 1, 1, 2, 3, (4, 5, 4), (2, 3, 2), (1, 2, 1), (1, 1, 2), (0, 1, 1), (1, 1, 0), (0, 0, 0)),
    (0, 2, 1, 4, 2, (3, 4, 5), (3, 2, 2), (1, 1, 2), (1, 1, 1), (1, 0, 0), (1, 0, 1), (0, 0, 0)),
    (1, 1, 2, 3, 2, (5,), (3,), (2,), (1,), (1,), (1,), (1,)),
    (1, 1, 2, 3, 4, (4, 5), (3, 3), (2, 2), (1, 1), (1, 0), (1, 0), (1, 0)),
    (1, 2, 1, 4, 6, (3, 4), (2, 3), (3, 2), (1, 2), (0, 1), (0, 1), (2, 1)),
    (1, 1, 1, 2, 3, (4, 3), (3, 2), (2, 1), (3, 1), (2, 0), (2, 0), (2, 0)),
    (1, 1, 1, 2, 2, (3, 2, 3), (2, 3, 2), (2, 1, 2), (1, 1, 1), (0, 1, 0), (0, 1, 0), (1, 0, 0)),
]


def three(v):
    return list(v) + [0] * (3 - len(v))


def run(transposed, groups, batch, n_in, n_out, size, kernel, strides, dilations, before, after, more):
    rank = len(size)
    x = torch.randn(batch, n_in, *size, dtype=torch.float64)
    w = torch.randn(*((n_in, n_out // groups) if transposed else (n_out, n_in // groups)), *kernel, dtype=torch.float64)
    b = torch.randn(n_out, dtype=torch.float64)
    x, w, b = (t.round(decimals=2).requires_grad_() for t in (x, w, b))
    if transposed:
        f = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
        y = f(x, w, b, stride=strides, padding=before, output_padding=more, groups=groups, dilation=dilations)
    else:
        f = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        pads = [p for i in reversed(range(rank)) for p in (before[i], after[i])]
        y = f(F.pad(x, pads), w, b, stride=strides, dilation=dilations, groups=groups)
    dy = torch.randn_like(y).round(decimals=2)
    y.backward(dy)
    how = [transposed, groups, *three(strides), *three(dilations), *three(before), *three(after), *three(more)]
    return dict(x=x, w=w, b=b, y=y, dy=dy, dx=x.grad, dw=w.grad, db=b.grad), how


arrays = {}
for i, c in enumerate(CASES):
    values, how = run(*c)
    for name, t in values.items():
        arrays[f"{i}/{name}"] = t.detach().numpy().astype(np.float64)
    arrays[f"{i}/how"] = np.array(how, np.int64)
np.savez_compressed(sys.argv[1], **arrays)
