#!/usr/bin/env python3
"""The operators of ONNX and the opsets that each has a version in.

    tools/golden/onnx_operators.py ONNX > tests/golden/format/onnx/operators.txt

ONNX is a checkout of github.com/onnx/onnx, or its bare repository; read is the list at the head of
docs/Operators.md. One line an operator, in the order of the names: name (with its domain where that
is not ai.onnx) and opsets. Made from 1.23.0 (f75469120). ai.onnx.ml is left out: it has a list of
its own.
"""
import re
import subprocess
import sys

page = subprocess.run(["git", "-C", sys.argv[1], "show", "HEAD:docs/Operators.md"], check=True,
                      capture_output=True, text=True).stdout
page = page[:page.index("\n## ai.onnx (default)")]
rows = {}
row = r'^\|(?:<sub>experimental</sub> )?<a href="#[\w.]+">([\w.]+)</a>(?: \(deprecated\))?\|(.*)$'
for name, versions in re.findall(row, page, re.M):
    opsets = sorted({int(n) for n in re.findall(r">(\d+)</a>", versions)})
    if name in rows:
        sys.exit(f"{name} is there twice")
    rows[name] = opsets
for name in sorted(rows):
    print(name, *rows[name])
