#!/usr/bin/env bash
# Our ONNX files as the onnx package reads them: the corpus, and every model and tensor of Debian's
# libonnx-testdata where it is installed.
# ctest: timeout 120
set -euo pipefail
program=$CJ_BUILD_DIR/tests/format/test_onnx_proto
[[ -z ${CJ_SANITIZE-} ]] || { echo "not for sanitizer builds"; exit 77; }
[[ -x $program ]] || { echo "no $program"; exit 77; }
/usr/bin/python3 -c 'import onnx' 2>/dev/null || { echo "no python3-onnx"; exit 77; }
folders=("$CJ_SOURCE_DIR/fuzz/corpus/onnx")
data=/usr/share/libonnx-testdata/data
[[ ! -d $data ]] || folders+=("$data")
exec /usr/bin/python3 "$CJ_SOURCE_DIR/tools/golden/onnx_rewrite.py" "$program" "${folders[@]}"
