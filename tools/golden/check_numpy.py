#!/usr/bin/env python3
"""Reads a folder of arrays that tests/format/test_npz.c wrote and compares them with what numpy says they
should be. Exit status 77: numpy is not installed."""
import json
import os
import sys

try:
    import numpy as np
except ImportError:
    sys.exit(77)
import low  # beside this file

CODES = dict(f64="f8", f32="f4", f16="f2", i8="i1", i16="i2", i32="i4", i64="i8", u8="u1", u16="u2", u32="u4",
             u64="u8", bool="b1")
LOW = ["f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "f8e8m0", "f4e2m1"]  # as raw bits
SAFE = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
        "F8_E4M3": "<u1", "F8_E4M3FNUZ": "<u1", "F8_E5M2": "<u1", "F8_E5M2FNUZ": "<u1", "F8_E8M0": "<u1", "F4": "<u1",
        "U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?"}


def expected():
    i = np.arange(6).reshape(2, 3)
    for name, code in CODES.items():
        kind = code[0]
        value = i % 2 == 1 if kind == "b" else i - 2.5 if kind == "f" else i - 3 if kind == "i" else i
        yield name, value.astype(code)
    yield "bf16", ((i - 2.5).astype("f4").view("u4") >> 16).astype("u2")  # exact in bf16
    for name in LOW:
        values = i if name == "f8e8m0" else i - 2.5
        yield name, np.array([[low.code_of(name, float(v), False, "up") for v in row] for row in values], "u1")
    yield "scalar", np.array(2.5, "f4")
    yield "empty", np.zeros((0, 4), "f4")


def safetensors(path):
    data = open(path, "rb").read()
    n = int.from_bytes(data[:8], "little")
    assert n % 8 == 0
    header = json.loads(data[8:8 + n].decode("utf-8"))
    metadata = header.pop("__metadata__")
    assert metadata["note"] == "\"\\ \n\u00e9", metadata
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = np.dtype(SAFE[entry["dtype"]])
        assert (8 + n + begin) % dtype.itemsize == 0, name
        array = np.frombuffer(data[8 + n + begin:8 + n + end], dtype)
        if entry["dtype"] == "F4":
            array = np.stack([array & 15, array >> 4], 1)
        out[name] = array.reshape(entry["shape"])
    assert max(e["data_offsets"][1] for e in header.values()) == len(data) - 8 - n
    return out


def check(where, found):
    for name, want in expected():
        got = found[name]
        same = got.dtype == want.dtype and got.shape == want.shape and (got == want).all()
        if not same:
            sys.exit(f"{where}: {name}: found {got.dtype} {got.shape}\n{got}\nexpected {want.dtype}\n{want}")


def main(folder):
    check("npy", {name: np.load(os.path.join(folder, name + ".npy")) for name, _ in expected()})
    for name in ("stored.npz", "deflated.npz"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            check(name, np.load(path))
    check("safetensors", safetensors(os.path.join(folder, "all.safetensors")))


if __name__ == "__main__":
    main(sys.argv[1])
