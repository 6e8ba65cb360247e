#!/usr/bin/env python3
"""Writes the first inputs of fuzz_npy, fuzz_npz, fuzz_safetensors and fuzz_json to fuzz/corpus/: one small
file for each shape a parser knows. Run from the source root."""
import binascii
import io
import json
import os
import struct

import numpy as np


def write(target, name, data):
    folder = os.path.join("fuzz", "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def npy(array, version=(1, 0)):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def npz(save, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def checked(entries, data_of):
    """A file with checksums as Cajal writes it; data_of in the order of the data."""
    crcs = "".join(f"{binascii.crc32(d):08x}" for d in data_of)
    header = {"__metadata__": {"cajal.checksum": "crc32", "crc32": "0" * 8 + crcs, "k": "v"}, **entries}
    blank = safetensors(header)
    header["__metadata__"]["crc32"] = f"{binascii.crc32(blank):08x}" + crcs
    return safetensors(header, b"".join(data_of))


def main():
    a = np.arange(6).reshape(2, 3)
    write("npy", "f4", npy(a.astype("<f4")))
    write("npy", "big-fortran-2", npy(np.asfortranarray(a.astype(">i2")), (2, 0)))
    write("npy", "bool-3", npy(a % 2 == 0, (3, 0)))
    write("npy", "scalar", npy(np.array(1.5, "<f2")))
    write("npy", "empty", npy(np.zeros((0, 3))))
    write("npy", "text", npy(np.array(["a"])))
    write("npz", "stored", npz(np.savez, a=a, b=a.astype("<f4")))
    write("npz", "deflated", npz(np.savez_compressed, a=a, z=np.zeros(300)))
    write("npz", "none", npz(np.savez))
    f4 = a.astype("<f4").tobytes()
    entry = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    bools = {"dtype": "BOOL", "shape": [2], "data_offsets": [24, 26]}
    write("safetensors", "plain", safetensors({"a": entry, "b": bools}, f4 + b"\0\1"))
    write("safetensors", "checked", checked({"a": entry, "b": bools}, [f4, b"\0\1"]))
    write("safetensors", "empty", safetensors({}))
    write("safetensors", "metadata", safetensors({"__metadata__": {"format": "pt"}, "s": {
        "dtype": "I64", "shape": [], "data_offsets": [0, 8]}}, b"12345678"))
    write("json", "all", json.dumps({"a": [1, -2.5e3, True, None, "x\u00e9\U0001f600\n"], "b": {"c": ""}}).encode())
    write("json", "raw", '["\u00e9\U0001f600", 0, -0, 1e-5, 12345678901234567890]'.encode())
    write("json", "deep", b"[" * 60 + b"]" * 60)
    write("json", "twice", b'{"a":1,"a":2}')
    write("json", "surrogate", b'"\\ud83d\\ude00\\ud83d"')


if __name__ == "__main__":
    main()
