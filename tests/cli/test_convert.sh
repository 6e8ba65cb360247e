#!/usr/bin/env bash
# cajal convert: to a newer opset and back the file is the same, and predictions are; files are not replaced.
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cp "${CJ_SOURCE_DIR:?}/recipes/xor.csv" .
"$cajal" train data=./xor.csv target=xor validation_split=0 normalize=none loss=binary_crossentropy \
    model='dense 8 gelu, dense 1 sigmoid' epochs=2 batch_size=4 out=run --quiet
"$cajal" convert run/last.onnx new.onnx opset=21 >said
grep -qx 'new.onnx: opset 21' said || { cat said; exit 1; }
"$cajal" train data=./xor.csv target=xor validation_split=0 normalize=none loss=binary_crossentropy \
    model='dense 8 gelu, dense 1 sigmoid' epochs=2 batch_size=4 out=new --quiet opset=21
grep -aq Gelu new/last.onnx || { echo "train opset=21 writes no Gelu"; exit 1; }
"$cajal" convert new/last.onnx gelu17.onnx opset=17 --quiet
grep -aq Erf gelu17.onnx || { echo "opset=17 writes no Erf"; exit 1; }
"$cajal" convert gelu17.onnx gelu21.onnx opset=21 --quiet
cmp new/last.onnx gelu21.onnx || { echo "by way of opset 17, Gelu is not found again"; exit 1; }
"$cajal" predict run/last.onnx xor.csv >a.txt
"$cajal" predict new/last.onnx xor.csv >b.txt
cmp a.txt b.txt || { echo "trained with opset=21 it predicts otherwise"; exit 1; }
"$cajal" predict new.onnx xor.csv >b.txt
cmp a.txt b.txt || { echo "opset 21 predicts otherwise"; exit 1; }
"$cajal" convert run/last.onnx same.onnx --quiet >said
[[ ! -s said ]] || { echo "not quiet"; exit 1; }
cmp run/last.onnx same.onnx || { echo "written again it is another file"; exit 1; }
"$cajal" convert new.onnx back.onnx --json >said
grep -q '"opset": *17' said || { cat said; exit 1; }
cmp run/last.onnx back.onnx || { echo "there and back it is another file"; exit 1; }
if "$cajal" convert new.onnx back.onnx 2>err; then echo "a file was replaced"; exit 1; fi
grep -q 'back.onnx: exists already; --overwrite replaces it' err || { cat err; exit 1; }
cmp run/last.onnx back.onnx
"$cajal" convert new.onnx back.onnx opset=18 --overwrite --quiet
if cmp -s run/last.onnx back.onnx; then echo "--overwrite replaced nothing"; exit 1; fi
