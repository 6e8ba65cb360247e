#!/usr/bin/env bash
# Models whose shapes depend on values, or whose pictures have any size, in each command: predict gives what numpy gives
# (tools/golden/onnx_values.py), of pictures and arrays, one or several; summary and bench read with random numbers
# or with arrays; evaluate gives numpy's loss and accuracy; train says what can be done.
# ctest: timeout 120
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
golden=${CJ_SOURCE_DIR:?}/tests/golden
model=$golden/format/onnx/detector.onnx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cp "$golden/cli/values/picture.ppm" .
fail() { echo "$*"; exit 1; }

# A picture, one that is larger (its boxes are told in its own pixels), and an array of two.
"$cajal" predict "$model" picture.ppm >one.txt 2>told.txt
diff "$golden/cli/values/detector.txt" one.txt
grep -q "shapes depend on values.*NonMaxSuppression" told.txt || fail "what was assumed is not told"
"$cajal" predict "$model" picture.ppm picture.ppm score=0.7 2>told.txt >two.txt
[[ $(wc -l <two.txt) = 6 && $(grep -c "shapes depend" told.txt) = 1 ]] || fail "two pictures: $(cat two.txt told.txt)"
"$cajal" predict "$model" picture.ppm input.size=16 --json --quiet >out.txt
grep -q '"detections": \[{"label": "1", "class": 1, "score": 1,' out.txt || fail "JSON: $(cat out.txt)"
if command -v python3 >/dev/null; then
    # The same picture as an array, by hand: f32 [2, 3, 16, 16], with the header that numpy writes.
    python3 - <<'PYTHON'
import struct
pixels = open("picture.ppm", "rb").read()[-768:]
one = b"".join(struct.pack("<f", pixels[3 * i + c] / 255) for c in range(3) for i in range(256))
for name, shape in ("two", "(2, 3, 16, 16)"), ("one", "(1, 3, 16, 16)"):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % shape
    head = head.ljust(117) + "\n"
    open(name + ".npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
                                    one * int(shape[1]))
PYTHON
    "$cajal" predict "$model" two.npy --quiet >array.txt
    [[ $(cut -f1 array.txt | sort | uniq -c | tr -s ' \n' ' ') = " 4 0 4 1 " ]] || fail "an array: $(cat array.txt)"
    "$cajal" summary "$model" inputs=one.npy >out.txt 2>told.txt
    grep -q "cells (AvgPool) .*(1, 3, 4, 4)" out.txt || fail "summary of an array: $(cat out.txt)"
    grep -q "with the arrays of inputs" told.txt || fail "$(cat told.txt)"
fi

"$cajal" summary "$model" dims.image_2=16 dims.image_3=16 --json >out.txt 2>told.txt || fail "summary: $(cat told.txt)"
grep -q "read with random numbers" told.txt || fail "$(cat told.txt)"
"$cajal" bench "$model" mode=infer dims.image_2=16 dims.image_3=16 seconds=0.01 --json >out.txt 2>/dev/null
grep -q '"mode": "infer"' out.txt || fail "bench: $(cat out.txt)"

# A U-Net that leaves the picture's size open: each picture has its own, an array that of its samples, and an answer
# is as large. PyTorch's numbers are compared in tests/format/test_onnx_open.c.
open=$golden/format/onnx/open_pad_17.onnx
(printf 'P6 7 9 255\n'; head -c 189 /dev/zero) >small.ppm
"$cajal" predict "$open" picture.ppm small.ppm >out.txt 2>told.txt || fail "open sizes: $(cat told.txt)"
awk -F'\t' '{ print $1, NF - 1 }' out.txt | diff - <(printf 'picture.ppm 512\nsmall.ppm 126\n') || fail "open sizes"
"$cajal" predict "$open" small.ppm input.size=6x8 --quiet | awk -F'\t' 'NF != 97 { exit 1 }' || fail "input.size"
"$cajal" summary "$open" >out.txt || fail "summary of open sizes"
grep -q "/last/Conv .*(None, 2, None, None)" out.txt || fail "summary of open sizes: $(cat out.txt)"
"$cajal" bench "$open" mode=train dims.H=9 dims.W=8 seconds=0.01 --json >out.txt 2>told.txt || fail "bench: $(cat told.txt)"
if command -v python3 >/dev/null; then
    "$cajal" predict "$open" two.npy >out.txt 2>/dev/null
    awk -F'\t' '{ print NF }' out.txt | diff - <(printf '512\n512\n') || fail "an array of an open size"
    "$cajal" predict "$golden/format/onnx/open_classes_17.onnx" two.npy | awk -F'\t' 'NF != 3 { exit 1 }' ||
        fail "classes of an open size"
fi

# A classifier whose shapes depend on values, measured on pictures and on the same as floats, which are as they are.
chosen=$golden/format/onnx/chosen.onnx
for data in pictures floats; do
    "$cajal" evaluate "$chosen" data="$golden/cli/values/$data.npz" >out.txt 2>told.txt || fail "evaluate: $(cat told.txt)"
    diff "$golden/cli/values/chosen.txt" out.txt
    grep -q "the model has no softmax at its end" told.txt || fail "$(cat told.txt)"
done
"$cajal" evaluate "$chosen" data="$golden/cli/values/floats.npz" metrics=recall limit=3 --json --quiet >out.txt
grep -q '"recall": .*"samples": 3' out.txt || fail "evaluate, metrics: $(cat out.txt)"
"$cajal" predict "$chosen" data="$golden/cli/values/pictures.npz" limit=2 --quiet >out.txt
[[ $(wc -l <out.txt) = 2 ]] || fail "predict of data: $(cat out.txt)"

refuses() { # PATTERN COMMAND...
    local pattern=$1 status=0
    shift
    "$cajal" "$@" >told.txt 2>&1 || status=$?
    [[ $status = 3 ]] && grep -q "$pattern" told.txt || fail "$*: $status $(cat told.txt)"
}
refuses "(NonMaxSuppression): scores.*cajal run, grad, predict, evaluate, summary and bench" train from="$model" data=./none.csv
if command -v python3 >/dev/null; then
    mkdir found
    cp two.npy found/x.npy
    python3 -c "
import struct
head = \"{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\".ljust(117) + '\\n'
open('found/y.npy', 'wb').write(b'\\x93NUMPY\\x01\\x00' + struct.pack('<H', 118) + head.encode() + struct.pack('<2q', 0, 1))"
    refuses "output 'boxes' has not \[1, ...\] of one size" evaluate "$model" data=./found
fi
