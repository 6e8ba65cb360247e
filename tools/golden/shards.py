#!/usr/bin/env python3
"""A list of tensors in two files and an index, as Hugging Face's tools write it.

    tools/golden/shards.py tests/golden/format/shards

Written by numpy after the rules of the format: the real library is not everywhere. The test knows
the values: w[i] = i / 4, b[i] = -i, n[i] = 3 i.
"""
import json
import pathlib
import sys

import numpy as np

FOLDER = pathlib.Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)
NAMES = {np.dtype(np.float32): "F32", np.dtype(np.float64): "F64", np.dtype(np.int64): "I64"}


def save(name, arrays):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for key, a in arrays.items():
        header[key] = {"dtype": NAMES[a.dtype], "shape": a.shape, "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (FOLDER / name).write_bytes(len(text).to_bytes(8, "little") + text + data)


w = (np.arange(12, dtype=np.float32) / 4).reshape(3, 4)
b = -np.arange(4, dtype=np.float64)
n = 3 * np.arange(5, dtype=np.int64)
one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
save(one, {"layer.b": b, "layer.w": w})
save(two, {"n": n})
index = {"metadata": {"total_size": w.nbytes + b.nbytes + n.nbytes},
         "weight_map": {"layer.w": one, "n": two, "layer.b": one}}
(FOLDER / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
