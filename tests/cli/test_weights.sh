#!/usr/bin/env bash
# Pretrained weights of PyTorch by their names: two networks score on the test sets what they are known
# to score, to the second digit. MNIST, CIFAR-10 and the weights are shared data, unpacked here.
# ctest: slow, timeout 600
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
shared=${CJ_SOURCE_DIR:?}/../shared/datasets
[[ -z ${CJ_SANITIZE-} ]] || { echo "too slow for sanitizer builds"; exit 77; }
command -v python3 >/dev/null || { echo "no python3 to read JSON"; exit 77; }
command -v xz >/dev/null || { echo "no xz to unpack with"; exit 77; }
[[ -d $shared/models && -d $shared/mnist && -d $shared/cifar10 ]] || { echo "no ../shared/datasets"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export CAJAL_DATA=$work/data
for name in mnist cifar10; do
    mkdir -p "data/$name"
    cp "$shared/$name"/*.txt "data/$name"
    for file in "$shared/$name"/*.xz; do xz -dc "$file" >"data/$name/$(basename "${file%.xz}")"; done
done
for name in mnist-cnn resnet20_cifar10; do xz -dc "$shared/models/safetensors/$name.safetensors.xz" >"$name.safetensors"; done

# scores NAME DATA PERCENT MODEL
scores() {
    "$cajal" evaluate model="$4" weights="$1.safetensors" data="$2" --json >"$1.json"
    python3 - "$1" "$3" <<'PYTHON'
import json, sys
scores = json.load(open(sys.argv[1] + ".json"))
print(sys.argv[1], "test accuracy", scores["accuracy"], "of", scores["samples"], "samples")
sys.exit(not (f'{100 * scores["accuracy"]:.2f}' == sys.argv[2] and scores["samples"] == 10000))
PYTHON
}

scores mnist-cnn mnist 99.17 "normalization mean=0.1307 variance=0.09493, conv2d 8 3 relu name=conv1,
    conv2d 16 3 relu name=conv2, conv2d 24 3 relu name=conv3, batch_normalization epsilon=1e-5 name=norm1, flatten,
    dense 32 relu name=fc1, dense 10 name=fc2, batch_normalization epsilon=1e-5 name=norm2, activation softmax"
scores resnet20_cifar10 cifar10 91.73 "normalization mean=[0.485, 0.456, 0.406]
    variance=[0.052441, 0.050176, 0.050625], resnet20"
