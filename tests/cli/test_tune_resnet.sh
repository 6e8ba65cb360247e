#!/usr/bin/env bash
# A ResNet-18 as torchvision has it and PyTorch exports it is fine-tuned on CIFAR-10 pictures for 100 steps, whole
# and with all but its last stage frozen: the loss of each step's batch is PyTorch's in double precision (tools/golden/tune.py, which also says why this network). The
# pictures are shared data; the file is exported here, as 45 MB are too many to keep.
# ctest: slow, timeout 1200
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
golden=${CJ_SOURCE_DIR:?}/tests/golden/cli/tune_resnet.json
pictures=$CJ_SOURCE_DIR/../shared/datasets/cifar10-small/train_500.bin.xz
[[ -z ${CJ_SANITIZE-} ]] || { echo "too slow for sanitizer builds"; exit 77; }
[[ -f $pictures ]] || { echo "no ../shared/datasets"; exit 77; }
/usr/bin/python3 -c 'import torch, torchvision' 2>/dev/null || { echo "no python3-torch with torchvision"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
/usr/bin/python3 "$CJ_SOURCE_DIR/tools/golden/tune.py" resnet "$pictures" .

# Rounding grows from step to step: PyTorch's own floats are apart from its doubles by 2e-3 when all is trained, and
# by 5e-7 when the last stage alone is. Ours, whose convolutions round otherwise (Winograd's loses a digit), may be
# ten times as far, or 1e-5 where that is nothing.
follows() { # NAME [KEY=VALUE...]
    local name=$1
    shift
    "$cajal" train from=resnet18.onnx data=./cifar.npz epochs=25 batch_size=32 optimizer=sgd learning_rate=0.0002 \
        shuffle=false validation_split=0 out="$name" --json=steps "$@" >"$name.txt" 2>"$name.err" ||
        { cat "$name.err"; exit 1; }
    /usr/bin/python3 - "$name" "$golden" <<'PYTHON'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1] + ".txt")]
got = [line["loss"] for line in lines if "step" in line]
curve = json.load(open(sys.argv[2]))[sys.argv[1]]
def apart(losses):
    return max(abs(a - b) / b for a, b in zip(losses, curve["double"]))
print(sys.argv[1], "loss %.6f -> %.6f" % (got[0], got[-1]), "apart %.2g" % apart(got), "PyTorch's floats %.2g" %
      apart(curve["float"]), *["%.6f/%.6f" % p for p in zip(got, curve["double"])])
assert len(got) == len(curve["double"]) == 100 and curve["double"][-1] < 0.95 * curve["double"][0]
sys.exit(not apart(got) <= max(1e-5, 10 * apart(curve["float"])))
PYTHON
}

follows whole
follows frozen freeze=conv1,bn1,layer1,layer2,layer3
grep -q "freeze=layer3: .* are not trained" frozen.err
