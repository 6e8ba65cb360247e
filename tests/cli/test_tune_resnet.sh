#!/usr/bin/env bash
# ResNet-18 as PyTorch exports it, fine-tuned for 100 steps on CIFAR-10 pictures: the losses are PyTorch's.
# ctest: slow, timeout 1200
set -euo pipefail
[[ -z ${CJ_SANITIZE-} ]] || { echo "too slow for sanitizer builds"; exit 77; }
/usr/bin/python3 -c 'import torch, torchvision' 2>/dev/null || { echo "no python3-torch with torchvision"; exit 77; }
pictures=${CJ_SOURCE_DIR:?}/../shared/datasets/cifar10-small/train_500.bin.xz
[[ -e $pictures ]] || { echo "no ../shared/datasets/cifar10-small"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
xz -dc "$pictures" >"$work/pictures.bin"
/usr/bin/python3 "$CJ_SOURCE_DIR/tools/golden/tune.py" resnet "${CAJAL_COMMAND:?}" "$work/pictures.bin"
