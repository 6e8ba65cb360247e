#!/usr/bin/env python3
"""hdf5.py FOLDER: tests/golden/hdf5/*.h5, written by h5py (Debian: python3-h5py), and the corpus of fuzz_hdf5.

Numbers are those of tests/format/format_support.h: i - 2.5 for floats, i - 3 for signed integers, i for
unsigned ones, i % 2 for booleans, so the files need no second file with what is expected.
"""
import os
import sys

import h5py
import numpy as np

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


def sample(dtype, *shape):
    n = int(np.prod(shape))
    i = np.arange(n)
    kind = np.dtype(dtype).kind
    values = {"f": i - 2.5, "i": i - 3, "u": i, "b": i % 2}[kind]
    return values.astype(dtype).reshape(shape)


def compact(group, name, data):
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape)
    d = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(data.dtype), space, create)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def types(f):
    for order in "<>":
        g = f.create_group("little" if order == "<" else "big")
        for dtype in DTYPES:
            g[dtype] = sample(order + dtype, 2, 3)
    f["bool"] = sample("?", 2, 3)
    f["scalar"] = np.float32(-2.5)
    f["empty"] = np.zeros((0, 4), "f4")
    f.create_dataset("unwritten", (2, 3), "f4")
    f["complex"] = np.zeros(2, "c8")
    compact(f, "compact", sample("f4", 2, 3))


def layouts(f):
    data = sample("f4", 7, 5)
    f.create_dataset("chunked", data=data, chunks=(3, 2))
    f.create_dataset("gzip", data=data, chunks=(3, 2), compression="gzip")
    f.create_dataset("shuffle", data=data, chunks=(4, 5), compression="gzip", shuffle=True)
    f.create_dataset("fletcher", data=data, chunks=(3, 2), fletcher32=True, shuffle=True)
    f.create_dataset("all", data=data, chunks=(7, 5), compression="gzip", shuffle=True, fletcher32=True)
    f.create_dataset("single", data=data, chunks=(7, 5))
    f.create_dataset("lzf", data=data, chunks=(7, 5), compression="lzf")
    f.create_dataset("grows", data=data, chunks=(3, 2), maxshape=(None, 5))
    d = f.create_dataset("half", (7, 5), "f4", chunks=(4, 5))
    d[:4] = data[:4]
    f.create_dataset("many", data=sample("i2", 1100), chunks=(1,))


def growing(f):
    """Data sets that can grow: along an axis, along several, up to a size; some that have shrunk, some with holes."""
    data = sample("f4", 7, 5)
    for name, most in (("first", (None, 5)), ("last", (7, None)), ("both", (None, None)), ("some", (12, 9))):
        f.create_dataset(name, data=data, chunks=(3, 2), maxshape=most)
        f.create_dataset(name + "_gzip", data=data, chunks=(3, 2), maxshape=most, compression="gzip", shuffle=True)
        f.create_dataset(name + "_fletcher", data=data, chunks=(2, 3), maxshape=most, fletcher32=True)
    f.create_dataset("middle", data=sample("i4", 2, 9, 2), chunks=(1, 2, 1), maxshape=(3, None, 2))
    f.create_dataset("many", data=sample("i2", 300), chunks=(1,), maxshape=(None,))
    f.create_dataset("plane", data=sample("i2", 20, 15), chunks=(1, 1), maxshape=(None, None))
    for name, most in (("shrunk", (None, 5)), ("shrunk_both", (None, None))):
        d = f.create_dataset(name, (20, 5), "f4", chunks=(3, 2), maxshape=most)
        d[...] = 1
        d.resize((7, 5))
        d[...] = data
    for name, most in (("holes", (None,)), ("holes_some", (5000,))):
        d = f.create_dataset(name, (4000,), "i2", chunks=(2,), maxshape=most)
        d[:6] = sample("i2", 6)
        d[3000:3003] = 7


def attributes(f):
    g = f.create_group("attributes")
    g.attrs["fixed"] = np.array([b"kernel:0", b"bias:0", b""])
    g.attrs["text"] = "Ram\u00f3n y Cajal"
    g.attrs["bytes"] = b"tensorflow"
    g.attrs["texts"] = ["one", "two", "", "four"]
    g.attrs["number"] = np.int64(-3)
    g.attrs["numbers"] = sample("f8", 4)
    g.attrs["yes"] = True
    g.attrs["nothing"] = h5py.Empty("f4")


def groups(f, n):
    g = f.create_group("a").create_group("b").create_group("c")
    g["x"] = sample("f4", 2, 3)
    many = f.create_group("many_members")
    for i in range(n):
        many["member_%d" % i] = np.int32(i)
    f["soft"] = h5py.SoftLink("/a/b")
    f["hard"] = g["x"]


def dense(f, n):
    g = f.create_group("dense")
    for i in range(n):
        g.attrs["attribute_%d" % i] = np.int32(i)
    g.attrs["long"] = b"x" * 5000
    g.attrs["fixed_long"] = np.array([b"y" * 900] * 6)


def write(folder, name, make, **how):
    with h5py.File(os.path.join(folder, name), "w", **how) as f:
        make(f)


def main():
    folder = sys.argv[1]
    golden, corpus = os.path.join(folder, "tests/golden/hdf5"), os.path.join(folder, "fuzz/corpus/hdf5")
    for libver in ("earliest", "latest"):
        how = {"libver": libver}
        write(golden, libver + "-types.h5", types, **how)
        write(golden, libver + "-layouts.h5", layouts, **how)
        write(golden, libver + "-growing.h5", growing, **how)
        write(golden, libver + "-attributes.h5", attributes, **how)
        write(golden, libver + "-groups.h5", lambda f: groups(f, 60), **how)
    write(golden, "latest-dense.h5", lambda f: dense(f, 40), libver="latest")
    write(golden, "earliest-ordered.h5", lambda f: groups(f, 20), libver="earliest", track_order=True)

    def small(f):
        attributes(f)
        f["x"] = sample("f4", 2, 3)
        f.create_dataset("gzip", data=sample("i2", 4, 4), chunks=(2, 2), compression="gzip", shuffle=True)
        f.create_dataset("fletcher", data=sample("i2", 4, 4), chunks=(2, 4), fletcher32=True)
        compact(f, "compact", sample(">f8", 3))
    for libver in ("earliest", "latest"):
        write(corpus, libver, small, libver=libver)
    write(corpus, "dense", lambda f: (dense(f, 9), groups(f, 9)), libver="latest")

    def grows(f):
        for name, most in (("one", (None, 4)), ("two", (None, None)), ("some", (9, 9))):
            f.create_dataset(name, data=sample("i2", 4, 4), chunks=(2, 2), maxshape=most)
            f.create_dataset(name + "_gzip", data=sample("i2", 40, 4), chunks=(1, 2), maxshape=(most[0] and 50, most[1]),
                             compression="gzip")
    write(corpus, "grows", grows, libver="latest")
    write(corpus, "ordered", lambda f: groups(f, 9), track_order=True)


main()
