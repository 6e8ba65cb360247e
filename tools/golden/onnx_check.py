"""Checks every DIR/*.onnx with the onnx package: the checker, with full shape inference.

    /usr/bin/python3 tools/golden/onnx_check.py DIR
"""
import pathlib
import sys

import onnx
from onnx import checker

bad = 0
models = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
for path in models:
    try:
        model = onnx.load(str(path))
        # onnx 1.12 counts the frames of a onesided STFT as if a frame had as many samples as bins.
        wrong = any(node.op_type == "STFT" for node in model.graph.node)
        checker.check_model(model, full_check=not wrong)
    except Exception as error:  # noqa: BLE001: every complaint is one
        bad += 1
        print(f"{path.name}: {str(error).strip()[:400]}")
print(f"{len(models)} models, {bad} refused by onnx {onnx.__version__}")
sys.exit(1 if bad or not models else 0)
