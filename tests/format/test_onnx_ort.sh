#!/usr/bin/env bash
# Every operator's samples, a trained classifier, the small networks of the zoo and models with masks as ONNX
# files, as others see them: the onnx package's checker with full shape inference, and, where $ORT_NODE is a folder
# of onnxruntime-node, the same numbers from ONNX Runtime.
# ctest: timeout 300
set -euo pipefail
programs=$CJ_BUILD_DIR/tests/format
[[ -z ${CJ_SANITIZE-} ]] || { echo "not for sanitizer builds"; exit 77; }
[[ -x $programs/test_onnx_ops && -x $programs/test_onnx_model ]] || { echo "no $programs/test_onnx_ops"; exit 77; }
/usr/bin/python3 -c 'import onnx' 2>/dev/null || { echo "no python3-onnx"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$programs/test_onnx_ops" --dump "$folder" >/dev/null
"$programs/test_onnx_model" --dump "$folder" >/dev/null
if [[ -x $programs/test_onnx_zoo ]]; then
    mapfile -t small < <("$programs/test_onnx_zoo" --list | sed -n 's/ small$//p')
    "$programs/test_onnx_zoo" --dump "$folder" "${small[@]}"
fi
[[ ! -x $programs/../nn/test_masking ]] || "$programs/../nn/test_masking" --dump "$folder"
/usr/bin/python3 "$CJ_SOURCE_DIR/tools/golden/onnx_check.py" "$folder"
[[ -n ${ORT_NODE-} && -d $ORT_NODE ]] || { echo "ORT_NODE is not set: no ONNX Runtime"; exit 0; }
exec node "$CJ_SOURCE_DIR/tools/ort_run.js" "$ORT_NODE" "$folder"
