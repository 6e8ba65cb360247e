#!/usr/bin/env python3
"""Arrays, archives and models of Keras that mean harm, and the first inputs of fuzz_zip.

    tools/golden/hostile_files.py .

writes tests/golden/format/hostile_files/ and fuzz/corpus/zip/. What each file is told stands in
tests/golden/format/hostile_files.txt, which tests/format/test_hostile.c compares. Deterministic.
"""
import io
import json
import os
import struct
import sys
import zipfile
import zlib

import h5py
import numpy as np

FOLDER = os.path.join(sys.argv[1], "tests/golden/format/hostile_files")
CORPUS = os.path.join(sys.argv[1], "fuzz/corpus/zip")


def save(name, data, folder=FOLDER):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


# ---- .npy ------------------------------------------------------------------------------------------


def npy(header, data=b"", version=(1, 0), length=None):
    header = header if isinstance(header, bytes) else header.encode()
    length = len(header) if length is None else length
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", length) + header + data


def array(descr="<f4", shape="(2,)", fortran="False"):
    return "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n" % (descr, fortran, shape)


good = npy(array(), bytes(8))
for name, data in {
        "empty": b"",
        "cut-magic": good[:4],
        "cut-length": good[:9],
        "cut-header": good[:40],
        "cut-data": good[:-1],
        "more-data": good + b"\0",
        "version": npy(array(), bytes(8), (9, 0)),
        "header-length": npy(array(), bytes(8), length=60000),
        "header-length-2": npy(array(), bytes(8), (2, 0), length=2**32 - 1),
        "shape-huge": npy(array(shape="(%d,)" % 2**62)),
        "shape-overflow": npy(array(shape="(4294967296, 4294967296)")),
        "shape-digits": npy(array(shape="(%s,)" % ("9" * 400))),
        "shape-negative": npy(array(shape="(-1,)"), bytes(8)),
        "shape-long": npy(array(shape="(%s)" % ("1," * 5000)), bytes(4)),
        "shape-nested": npy(array(shape="(" * 5000 + ")" * 5000)),
        "shape-float": npy(array(shape="(2.0,)"), bytes(8)),
        "key-missing": npy("{'descr': '<f4', 'shape': (2,), }\n", bytes(8)),
        "key-twice": npy("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", bytes(8)),
        "key-other": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'eval': 1}\n", bytes(8)),
        "pickle": npy(array("|O"), b"\x80\x03cos\nsystem\n."),
        "text-huge": npy(array("<U%d" % 2**31)),
        "text-none": npy(array("<U0", "(%d,)" % 2**40)),
        "text-code-point": npy(array("<U1", "(1,)"), b"\xff\xff\xff\xff"),
        "record-huge": npy("{'descr': [%s], 'fortran_order': False, 'shape': (1,), }\n" % ("('a', '<f4')," * 3000)),
        "unclosed": npy("{'descr': '<f4"),
        "nul": npy("{'descr': '<f4\0', 'fortran_order': False, 'shape': (2,), }\n", bytes(8)),
}.items():
    save("npy-%s.npy" % name, data)

# ---- .safetensors ----------------------------------------------------------------------------------


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin=0, end=4, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


for name, data in {
        "empty": b"",
        "cut-length": b"\1\0\0\0",
        "length-huge": safetensors({}, length=2**63),
        "length-all": safetensors({}, length=2**64 - 1),
        "length-beyond": safetensors({}, length=100),
        "header-none": struct.pack("<Q", 0),
        "header-list": safetensors(b"[]"),
        "header-cut": safetensors(b'{"a":'),
        "header-deep": safetensors(b'{"a":' * 5000),
        "header-brackets": safetensors(b'{"a":' + b"[" * 5000),
        "name-twice": safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                                  b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "overlap": safetensors({"a": entry(0, 4), "b": entry(2, 6)}, bytes(6)),
        "same-bytes": safetensors({"a": entry(), "b": entry()}, bytes(4)),
        "hole": safetensors({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)),
        "backwards": safetensors({"a": entry(4, 0)}, bytes(4)),
        "beyond": safetensors({"a": entry(0, 8, (2,))}, bytes(4)),
        "more": safetensors({"a": entry()}, bytes(5)),
        "offset-negative": safetensors({"a": entry(-4, 0)}, bytes(4)),
        "offset-huge": safetensors({"a": entry(0, 2**64)}, bytes(4)),
        "offset-float": safetensors({"a": entry(0, 4.5)}, bytes(4)),
        "shape-overflow": safetensors({"a": entry(0, 4, (2**32, 2**32))}, bytes(4)),
        "shape-negative": safetensors({"a": entry(0, 4, (-1, -1))}, bytes(4)),
        "shape-long": safetensors({"a": entry(0, 4, [1] * 5000)}, bytes(4)),
        "shape-other": safetensors({"a": entry(0, 4, (2,))}, bytes(4)),
        "type-unknown": safetensors({"a": entry(dtype="F33")}, bytes(4)),
        "key-missing": safetensors({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
        "metadata-number": safetensors({"__metadata__": {"a": 1}}),
        "name-nul": safetensors({"a\0b": entry()}, bytes(4)),
}.items():
    save("safetensors-%s.safetensors" % name, data)


def index(weight_map, **more):
    return json.dumps({"metadata": {"total_size": 4}, "weight_map": weight_map, **more}).encode()


for name, data in {
        "empty": b"", "list": b"[]", "no-map": b"{}", "deep": b'{"weight_map":' * 400,
        "up": index({"a": "../hostile_files/safetensors-more.safetensors"}),
        "absolute": index({"a": "/etc/passwd"}),
        "missing": index({"a": "not-there.safetensors"}),
        "itself": index({"a": "index-itself.safetensors.index.json"}),
        "number": index({"a": 5}),
        "nul": index({"a": "x\0.safetensors"}),
        "damaged": index({"a": "safetensors-overlap.safetensors"}),
}.items():
    save("index-%s.safetensors.index.json" % name, data)

# ---- zip: .npz and .keras --------------------------------------------------------------------------


def deflate(data):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


class Member:
    """A member and its two headers, every field of which may be another."""

    def __init__(self, name, data, method=0, packed=None, **wrong):
        packed = packed if packed is not None else deflate(data) if method == 8 else data
        self.name, self.bytes = name.encode() if isinstance(name, str) else name, packed
        self.fields = {"flags": 0, "method": method, "crc": zlib.crc32(data), "packed": len(packed),
                       "size": len(data), "extra": b"", "local_extra": b"", "local_name": self.name, "at": None,
                       "local_method": method, "comment": b"", **wrong}

    def local(self):
        f = self.fields
        return (struct.pack("<IHHHIIIIHH", 0x04034b50, 20, f["flags"], f["local_method"], 0, f["crc"], f["packed"] & 0xffffffff,
                            f["size"] & 0xffffffff, len(f["local_name"]), len(f["local_extra"])) + f["local_name"] + f["local_extra"])

    def central(self, at):
        f = self.fields
        at = at if f["at"] is None else f["at"]
        return (struct.pack("<IHHHHIIIIHHHHHII", 0x02014b50, 20, 20, f["flags"], f["method"], 0, f["crc"], f["packed"] & 0xffffffff,
                            f["size"] & 0xffffffff, len(self.name), len(f["extra"]), len(f["comment"]), 0, 0, 0,
                            at & 0xffffffff) + self.name + f["extra"] + f["comment"])


def archive(*members, count=None, start=None, length=None, disk=0, comment=b"", zip64=None, behind=b"", between=b""):
    out, directory = b"", b""
    for m in members:
        directory += m.central(len(out))
        out += m.local() + m.bytes
    out += between
    at = len(out)
    count = len(members) if count is None else count
    start, length = at if start is None else start, len(directory) if length is None else length
    out += directory
    if zip64 is not None:
        end64 = len(out)
        out += struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, count, count, length, start)
        out += struct.pack("<IIQI", 0x07064b50, 0, end64 + zip64, 1)
        count, start, length = 0xffff, 0xffffffff, 0xffffffff
    return out + struct.pack("<IHHHHIIH", 0x06054b50, disk, disk, count, count, length, start, len(comment)) + comment + behind


a = npy(array(), bytes(8))
wide = struct.pack("<HHQQQ", 1, 24, len(a), len(a), 0)
zips = {
    "plain": archive(Member("a.npy", a), Member("b.npy", a, 8)),
    "zip64": archive(Member("a.npy", a, size=0xffffffff, packed=a, extra=struct.pack("<HHQ", 1, 8, len(a))), zip64=0),
    "comment": archive(Member("a.npy", a, comment=b"c" * 40), comment=b"PK\5\6" * 10),
    "none": archive(),
    "empty": b"",
    "cut": archive(Member("a.npy", a))[:-1],
    "cut-half": archive(Member("a.npy", a))[:80],
    "end-alone": archive()[:21],
    "behind": archive(Member("a.npy", a), behind=b"x"),
    "between": archive(Member("a.npy", a), between=b"x" * 50),
    "name-twice": archive(Member("a.npy", a), Member("a.npy", a)),
    "name-nul": archive(Member("a\0.npy", a)),
    "name-none": archive(Member("", a)),
    "name-up": archive(Member("../../a.npy", a)),
    "name-long": archive(Member("a" * 6000 + ".npy", a)),
    "not-an-array": archive(Member("a.txt", b"text")),
    "count-more": archive(Member("a.npy", a), count=2),
    "count-less": archive(Member("a.npy", a), Member("b.npy", a), count=1),
    "count-most": archive(Member("a.npy", a), count=65535),
    "directory-beyond": archive(Member("a.npy", a), start=1 << 30),
    "directory-first": archive(Member("a.npy", a), start=0),
    "directory-short": archive(Member("a.npy", a), length=20),
    "disks": archive(Member("a.npy", a), disk=1),
    "member-beyond": archive(Member("a.npy", a, at=1 << 30)),
    "member-is-directory": archive(Member("a.npy", a, at=30 + 5 + len(a))),
    "overlap": archive(Member("a.npy", a), Member("a.npy", a, at=0)),
    "overlap-many": archive(Member("a.npy", a), *[Member("a.npy", a, at=0) for _ in range(200)]),
    "local-name": archive(Member("a.npy", a, local_name=b"b.npy")),
    "local-method": archive(Member("a.npy", a, local_method=8)),
    "encrypted": archive(Member("a.npy", a, flags=1)),
    "method": archive(Member("a.npy", a, 12)),
    "checksum": archive(Member("a.npy", a, crc=5)),
    "checksum-deflated": archive(Member("a.npy", a, 8, crc=5)),
    "stored-size": archive(Member("a.npy", a, size=1 << 30)),
    "bomb-claimed": archive(Member("a.npy", a, 8, size=0xfffffffe)),
    "bomb-within": archive(Member("a.npy", b"", 8, packed=deflate(bytes(100000)), size=1000)),
    "bomb-short": archive(Member("a.npy", b"", 8, packed=deflate(bytes(1000)), size=100000)),
    "bomb-header": archive(Member("a.npy", npy(array(shape="(%d,)" % 2**40)), 8)),
    "bomb-zeros": archive(Member("a.npy", bytes(500000), 8)),
    "deflate-cut": archive(Member("a.npy", a, 8, packed=deflate(a)[:-3])),
    "deflate-more": archive(Member("a.npy", a, 8, packed=deflate(a) + b"xx")),
    "deflate-nonsense": archive(Member("a.npy", a, 8, packed=b"\xff" * 50)),
    "deflate-nothing": archive(Member("a.npy", a, 8, packed=b"")),
    "zip64-nowhere": archive(Member("a.npy", a), zip64=1 << 40),
    "zip64-before": archive(Member("a.npy", a), zip64=-20),
    "zip64-wraps": archive(Member("a.npy", a), zip64=2**62),
    "zip64-counts": archive(Member("a.npy", a), zip64=0, count=2**63),
    "zip64-start": archive(Member("a.npy", a), zip64=0, start=2**63),
    "zip64-length": archive(Member("a.npy", a), zip64=0, length=2**64 - 1),
    "wide-missing": archive(Member("a.npy", a, size=0xffffffff)),
    "wide-short": archive(Member("a.npy", a, size=0xffffffff, extra=struct.pack("<HHI", 1, 4, 0))),
    "wide-beyond": archive(Member("a.npy", a, size=0xffffffff, extra=struct.pack("<HH", 1, 60000))),
    "wide-huge": archive(Member("a.npy", a, 8, size=0xffffffff, extra=struct.pack("<HHQ", 1, 8, 2**63))),
    "wide-offset": archive(Member("a.npy", a, at=0xffffffff, extra=struct.pack("<HHQ", 1, 8, 2**64 - 10))),
}
FINE = ("plain", "zip64", "comment", "none", "between")
for name, data in zips.items():
    if name not in FINE:
        save("zip-%s.npz" % name, data)
    if len(data) < 1000:
        save(name, data, CORPUS)

config = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [
    {"class_name": "Dense", "config": {"name": "dense", "units": 2, "batch_input_shape": [None, 3]}}]}}).encode()
for name, data in {
        "no-config": archive(Member("metadata.json", b"{}")),
        "no-weights": archive(Member("metadata.json", b"{}"), Member("config.json", config)),
        "weights-text": archive(Member("metadata.json", b"{}"), Member("config.json", config),
                                Member("model.weights.h5", b"text")),
        "config-twice": archive(Member("metadata.json", b"{}"), Member("config.json", config), Member("config.json", config)),
        "config-bomb": archive(Member("metadata.json", b"{}"), Member("config.json", b" " * 500000, 8)),
        "config-deep": archive(Member("metadata.json", b"{}"), Member("config.json", b'{"config":' * 5000, 8)),
        "weights-bomb": archive(Member("metadata.json", b"{}"), Member("config.json", config),
                                Member("model.weights.h5", bytes(500000), 8)),
        "weights-claimed": archive(Member("metadata.json", b"{}"), Member("config.json", config),
                                   Member("model.weights.h5", b"text", 8, size=0xfffffffe)),
}.items():
    save("keras-%s.keras" % name, data)

# ---- HDF5 ------------------------------------------------------------------------------------------


def h5(make, **how):
    out = io.BytesIO()
    with h5py.File(out, "w", **how) as f:
        make(f)
    return out.getvalue()


def model(f):
    f.attrs["model_config"] = config
    f.attrs["keras_version"] = b"2.2.4"
    g = f.create_group("model_weights/dense")
    g.attrs["weight_names"] = [b"kernel:0", b"bias:0"]
    g["kernel:0"], g["bias:0"] = np.zeros((3, 2), "f4"), np.zeros(2, "f4")


def loops(f):
    model(f)
    f["model_weights/dense/again"] = f["model_weights"]  # a hard link to a group above it
    f["again"] = f["/"]


def links(f):
    f.attrs["model_config"] = config
    f["model_weights"] = h5py.ExternalLink("/etc/passwd", "/")
    f["soft"] = h5py.SoftLink("/soft")


def huge(f):
    f.attrs["model_config"] = config
    f.attrs["keras_version"] = b"2.2.4"
    g = f.create_group("model_weights/dense")
    g.attrs["weight_names"] = [b"kernel:0", b"bias:0"]
    g.create_dataset("kernel:0", shape=(1 << 30, 1 << 30), chunks=(1, 1), dtype="f4")
    g.create_dataset("bias:0", shape=(2, ), dtype="f4")


whole = h5(model)
signature = whole[:8]


def patched(at, value):
    return whole[:at] + value + whole[at + len(value):]


for name, data in {
        "loops": h5(loops), "links": h5(links), "huge": h5(huge),
        "cut-signature": signature[:7], "signature-alone": signature, "cut-superblock": whole[:40], "cut-half": whole[:len(whole) // 2],
        "cut-end": whole[:-1], "version": patched(8, b"\x09"), "sizes": patched(13, b"\xff\xff"), "sizes-none": patched(13, b"\0\0"),
        "root-beyond": patched(64, b"\xff\xff\xff\xff\xff\xff\xff\x7f"), "root-itself": patched(64, bytes(8)),
        "end-beyond": patched(40, b"\xff\xff\xff\xff\xff\xff\xff\x7f"), "base": patched(24, b"\x10" + bytes(7)),
}.items():
    save("h5-%s.h5" % name, data)
