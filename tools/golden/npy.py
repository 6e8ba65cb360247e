#!/usr/bin/env python3
"""Writes tests/golden/format/*.npy and *.npz with numpy, and tests/golden/tensor/{print,floats}.bin.

Every array holds numbers the C test can compute again: element i (in row-major order) of an array of
dtype d is VALUES(d)[i % len]. Run from the source root: python3 tools/golden/npy.py
"""
import io
import os
import struct

import numpy as np

OUT = "tests/golden/format"
DTYPES = ["f8", "f4", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]


def sample(code, shape):
    """0, 1, 2, ... minus 3 for signed types, halves added for floats; alternating for bool."""
    n = int(np.prod(shape))
    i = np.arange(n)
    if code == "b1":
        return (i % 2 == 1).reshape(shape)
    if code[0] == "f":
        return ((i - 3) + 0.5).astype("<" + code).reshape(shape)
    if code[0] == "i":
        return (i - 3).astype("<" + code).reshape(shape)
    return i.astype("<" + code).reshape(shape)


def save(name, array, version):
    with open(os.path.join(OUT, name), "wb") as f:
        np.lib.format.write_array(f, array, version=version)


def files():
    for code in DTYPES:
        a = sample(code, (2, 3))
        save(f"{code}-little.npy", a, (1, 0))
        save(f"{code}-big.npy", a.astype(">" + code), (2, 0))
        save(f"{code}-fortran.npy", np.asfortranarray(a.astype(">" + code)), (3, 0))
    save("rank0.npy", np.array(2.5, "<f4"), (1, 0))
    save("rank1.npy", sample("i4", (5,)), (1, 0))
    save("empty.npy", np.zeros((0, 4), "<f4"), (1, 0))
    save("fortran4.npy", np.asfortranarray(sample("i4", (2, 3, 4, 5))), (1, 0))
    save("rank8.npy", sample("u1", (1, 2, 1, 2, 1, 2, 1, 2)), (1, 0))
    save("bytes.npy", np.array([[b"red", b"", b"green"], [b"blue", b"re", b"\xc3\xa4"]]), (1, 0))
    save("bytes-fortran.npy", np.asfortranarray(np.array([[b"red", b"", b"green"], [b"blue", b"re", b"\xc3\xa4"]])), (1, 0))
    save("text.npy", np.array(["a", "bc"]), (1, 0))
    save("record.npy", np.zeros(2, [("x", "<f4"), ("y", "<i4")]), (1, 0))
    save("complex.npy", np.zeros(2, "<c8"), (1, 0))
    members = {"a": sample("f4", (2, 3)), "b": sample("i8", (4,)), "zeros": np.zeros((100, 100), "<f4")}
    np.savez(os.path.join(OUT, "stored.npz"), a=members["a"], b=members["b"])
    np.savez_compressed(os.path.join(OUT, "deflated.npz"), **members)


def arrays():
    rng = np.random.RandomState(7)
    f4 = np.float32
    yield np.array([1, 2, 3], "f4")
    yield np.array([[1, 2.5, -3], [0.125, np.nan, np.inf]], "f4")
    yield np.array([np.nan, -np.inf, np.inf, 1], "f8")
    yield np.array([np.nan, -np.inf], "f8")
    yield np.array([np.nan], "f4")
    yield np.array([0.1, 1e-5, 123456], "f4")
    yield np.array([0.1, 1.2345678e-5], "f4")
    yield np.array([1e8, 1], "f4")
    yield np.array([1e100, -1e-100, 0, np.nan], "f8")
    yield np.array([1e300, 1], "f8")
    yield np.array([99999999, 99999], "f8")
    yield np.array([1, 1000.5], "f4")
    yield np.array([1, 1000], "f4")
    yield np.array([0.0001, 0.05], "f8")
    yield np.array([0.0001, 0.05], "f4")
    yield np.array([0, 0, -0.0], "f8")
    yield np.array([3.14159265358979, 2.71828182845905, 1.0], "f8")
    yield np.array([65504, 6e-5, 0.1], "f2")
    yield np.array([65504, 100], "f2")
    yield np.array([0.1, 0.2, 0.3], "f2")
    yield np.array([1 / 3, 2 / 3], "f4")
    yield np.array([5e-324, 1], "f8")
    yield np.array([0.99999999999], "f8")
    yield rng.randn(4, 5).astype(f4)
    yield rng.randn(3, 25).astype(f4)
    yield rng.randn(40)
    yield (rng.randn(30) * 1e6).astype(f4)
    yield rng.randn(2, 2, 3, 2).astype(f4)
    yield (rng.randn(50, 30) * 100).astype(f4)
    yield rng.randn(2000)
    yield rng.rand(12, 12, 12).astype(f4)
    yield rng.rand(1001, 2).astype(f4)
    yield rng.rand(2, 600)
    yield np.where(rng.rand(60) < 0.3, np.nan, rng.randn(60)).astype(f4)
    yield (10.0 ** rng.randint(-20, 20, 30)).astype(f4)
    yield (2.0 ** rng.randint(-14, 15, 40)).astype("f2")
    yield np.arange(6).reshape(2, 3)
    yield np.arange(-5, 1500, dtype="i2")
    yield np.arange(60).reshape(3, 4, 5).astype("i4")
    yield np.array([2**64 - 1, 0], "u8")
    yield np.array([-2**63, 2**63 - 1], "i8")
    yield np.array([[True, False], [False, True]])
    yield np.array([True, True])
    yield np.arange(30) % 3 == 0
    yield np.zeros((0, 3), "f4")
    yield np.zeros((1, 1, 1), "f4")
    yield np.zeros(1001, "f4")
    yield np.arange(1000, dtype="u1")
    yield np.zeros((2,) * 8, "u1")
    for v in [0, 1, 0.1, 1e-4, 1e-5, 1e16, 123456789, 1.5e300, -2.5, np.nan, -np.inf, 12345678901234567]:
        yield np.array(v, "f8")
    for v in [0, 1, 0.1, 1e-4, 1.1e-4, 1e16, 16777216, -2.5, 3.4e38, 1e-45]:
        yield np.array(v, "f4")
    for v in [0.1, 65504, 6e-8, 1e-4]:
        yield np.array(v, "f2")
    yield np.array(-7, "i4")
    yield np.array(True)
    yield np.array(2**64 - 1, "u8")
    yield np.array(["a", "bcd", ""])
    yield np.array([["a", "it's"], ["\u00e4\u4e2d", 'say "it"']])
    yield np.array(["'\"", "a b", "line\nbreak\ttab\rback\\slash", "\x1b[31m\x7f"])
    yield np.array(["x" * 80, "y"])
    yield np.array([str(i) for i in range(2000)])
    yield np.array(["\u4e2d\u6587%d" % i for i in range(30)])
    yield np.array([["word %d" % i, "a"] for i in range(20)])
    yield np.array("one text")


def printing():
    """Records of one .npy file and what str() says, each with its length in front."""
    with open("tests/golden/tensor/print.bin", "wb") as out:
        for a in arrays():
            f = io.BytesIO()
            np.lib.format.write_array(f, a, version=(1, 0))
            for part in (f.getvalue(), (str(a) + "\n").encode()):
                out.write(struct.pack("<I", len(part)) + part)


def brain(single):
    """bfloat16's bits of float32 values; numpy has no such type, PyTorch has."""
    import torch

    return torch.from_numpy(single).to(torch.bfloat16).view(torch.int16).numpy().view("u2")


def conversions():
    """Rows of a double, and the bits it has as f4, as f2, and as bf16 by way of f4."""
    reals = [0.0, -0.0, 1.0, 1.5, -2.5, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-11 + 2**-40, 65504.0, 65519.9, 65520.0,
             6e-8, 2.9802322387695312e-08, 2.98023223876953125e-08 * 1.0000001, 5.96e-8, 6.1e-5, 6.09e-5, 1e-300,
             3.4e38, 3.5e38, 1e39, np.inf, -np.inf, 1 / 3, 1e-45, 1.17e-38, 2.0**-133, 2.0**-134 * 1.5, 255.5, 127.9]
    rng = np.random.RandomState(3)
    reals += list((rng.randn(300) * 10.0 ** rng.randint(-9, 6, 300)).astype("f8"))
    x = np.array(reals, "f8")
    with np.errstate(all="ignore"):  # overflow to infinity is what is asked for
        half = x.astype("f2").view("u2")
        single = x.astype("f4").view("u4")
    with open("tests/golden/tensor/floats.bin", "wb") as out:
        out.write(np.rec.fromarrays([x, single, half, brain(x.astype("f4"))]).tobytes())


if __name__ == "__main__":
    files()
    printing()
    conversions()
