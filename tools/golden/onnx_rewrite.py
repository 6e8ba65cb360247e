#!/usr/bin/env python3
"""Our ONNX codec against the onnx package: what we write must say what was there.

    tools/golden/onnx_rewrite.py PROGRAM FOLDER...

PROGRAM (tests/format/test_onnx_proto) is called with --rewrite and lines "input TAB output" and writes each
.onnx and .pb file again; of tensors it also writes output + ".tensor", which went through a cj_tensor. Fields
that the codec leaves out (training_info, quantization_annotation) and the presence of default values are not
compared, and tensor data are compared as arrays, bit by bit.
"""
import os
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, numpy_helper
from google.protobuf.descriptor import FieldDescriptor as F


def normalize(m):
    """In place: defaults absent, tensor data as raw bytes."""
    if isinstance(m, TensorProto) and m.data_type != TensorProto.STRING and m.data_location != TensorProto.EXTERNAL:
        raw = numpy_helper.to_array(m).tobytes()
        for name in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "raw_data"):
            m.ClearField(name)
        m.raw_data = raw
    for field, value in list(m.ListFields()):
        if field.name in ("training_info", "quantization_annotation"):
            m.ClearField(field.name)
        elif field.type == F.TYPE_MESSAGE:
            for inner in value if field.label == F.LABEL_REPEATED else [value]:
                normalize(inner)
        elif field.label != F.LABEL_REPEATED and not field.containing_oneof and value == field.default_value:
            m.ClearField(field.name)
    return m


def read(path, kind):
    with open(path, "rb") as file:
        return kind.FromString(file.read())


def is_tensor(path):
    """The .pb files of sequence and optional inputs are other messages; onnx cannot tell either, but such
    bytes do not decode as a tensor that has data."""
    try:
        t = read(path, TensorProto)
        numpy_helper.to_array(t)
        return t.data_type != 0
    except Exception:
        return False


def main(program, *folders):
    paths = sorted(os.path.join(at, name) for folder in folders for at, _, names in os.walk(folder) for name in names
                   if name.endswith(".onnx") or (name.endswith(".pb") and is_tensor(os.path.join(at, name))))
    wrong = 0
    with tempfile.TemporaryDirectory() as out:
        pairs = [(path, os.path.join(out, str(i))) for i, path in enumerate(paths)]
        lines = "".join(f"{a}\t{b}\n" for a, b in pairs)
        subprocess.run([program, "--rewrite"], input=lines.encode(), check=True)
        for path, ours in pairs:
            kind = onnx.ModelProto if path.endswith(".onnx") else TensorProto
            expected = normalize(read(path, kind))
            for result in [ours] + [name for name in [ours + ".tensor"] if os.path.exists(name)]:
                found = normalize(read(result, kind)) if os.path.exists(result) else None
                # NaN differs from itself in protobuf's comparison: compare bytes.
                if found is None or found.SerializeToString(deterministic=True) != expected.SerializeToString(
                        deterministic=True):
                    wrong += 1
                    print(f"{path}: {'not written' if found is None else 'differs'}")
                    if found is not None and wrong < 5:
                        print("expected:", str(expected)[:600], "found:", str(found)[:600], sep="\n")
    print(f"{len(paths)} files, {wrong} wrong")
    return 1 if wrong or not paths else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
