#!/usr/bin/env bash
# Every network of the zoo and the models of the examples as ONNX files, one by one: written again they are
# the same bytes (test_onnx_zoo.c), the onnx package's checker takes them with full shape inference, and, where
# $ORT_NODE is a folder of onnxruntime-node, ONNX Runtime gives the same numbers with batches of 1, 7 and 32, to
# 1e-5 of the largest one. The small ones are also in test_onnx_ort.sh.
# ctest: slow timeout 1200
set -euo pipefail
program=$CJ_BUILD_DIR/tests/format/test_onnx_zoo
[[ -z ${CJ_SANITIZE-} ]] || { echo "not for sanitizer builds"; exit 77; }
[[ -x $program ]] || { echo "no $program"; exit 77; }
/usr/bin/python3 -c 'import onnx' 2>/dev/null || { echo "no python3-onnx"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
while read -r name size; do
    [[ $size == large ]] || continue
    echo "$name"
    "$program" --dump "$folder" "$name"
    /usr/bin/python3 "$CJ_SOURCE_DIR/tools/golden/onnx_check.py" "$folder"
    [[ -z ${ORT_NODE-} ]] || node "$CJ_SOURCE_DIR/tools/ort_run.js" "$ORT_NODE" "$folder"
    rm -f "$folder"/*
done < <("$program" --list)
