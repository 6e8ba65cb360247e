#!/usr/bin/env bash
# Models as PyTorch exports them, opsets 9 to 17: cajal run to 1e-4 and cajal grad to 1e-3 of PyTorch's
# numbers, a line a file.
# ctest: slow, timeout 1200
set -euo pipefail
[[ -z ${CJ_SANITIZE-} ]] || { echo "too slow for sanitizer builds"; exit 77; }
/usr/bin/python3 -c 'import torch, torchvision, onnx' 2>/dev/null || { echo "no python3-torch with torchvision and onnx"; exit 77; }
exec /usr/bin/python3 "$CJ_SOURCE_DIR/tools/golden/torch_exports.py" "${CAJAL_COMMAND:?}" "$@"
