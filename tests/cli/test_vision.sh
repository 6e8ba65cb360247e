#!/usr/bin/env bash
# The recipes of pictures: classes (CIFAR-10), boxes (blood cells), masks (membranes), noise taken away. Each
# learns for a few steps from a few pictures: the loss falls, and what is written can be read. With CAJAL_LONG=1
# they are run whole, about an hour of one core, and must reach what the README promises.
# ctest: slow, timeout 900
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
source=${CJ_SOURCE_DIR:?}
shared=$source/../shared/datasets
long=${CAJAL_LONG-}
[[ -z ${CJ_SANITIZE-} ]] || { echo "too slow for sanitizer builds"; exit 77; }
command -v python3 >/dev/null || { echo "no python3 to read scores"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# learn NAME DATA [KEY=VALUE...]: the recipe of that name; whole, or with these keys
learn() {
    local name=$1 data=$2; shift 2
    [[ -z $long ]] || set --
    "$cajal" train "$source/recipes/$name.yaml" ${data:+data="$data"} out="run-$name" --quiet "$@" >/dev/null 2>"$name.err" ||
        { cat "$name.err"; echo "failed: $name"; exit 1; }
    python3 - "$name" <<'PYTHON'
import csv, sys
rows = list(csv.DictReader(open("run-" + sys.argv[1] + "/results.csv")))
first, last = float(rows[0]["loss"]), float(rows[-1]["loss"])
print(sys.argv[1], "loss", first, "->", last)
sys.exit(not last < first)
PYTHON
}

# reaches NAME DATA SCORE FLOOR [KEY=VALUE...]: of the whole recipe
reaches() {
    local name=$1 data=$2 score=$3 floor=$4; shift 4
    [[ -n $long ]] || return 0
    "$cajal" evaluate "run-$name/last.onnx" data="$data" --json "$@" >scores.json
    python3 - "$name" "$score" "$floor" <<'PYTHON'
import json, sys
value = json.load(open("scores.json"))[sys.argv[2]]
print(*sys.argv[1:3], value)
sys.exit(not value >= float(sys.argv[3]))
PYTHON
}

# drawn NAME DATA [KEY=VALUE...]: a sheet of the first samples
drawn() {
    local name=$1 data=$2; shift 2
    "$cajal" predict "run-$name/last.onnx" data="$data" limit=4 grid="$name.ppm" "$@" >/dev/null
    [[ $(head -c 2 "$name.ppm") == P6 ]]
}

tried=0
if [[ -d $shared/cifar10 ]] && command -v xz >/dev/null; then
    mkdir cifar10
    for file in "$shared"/cifar10/*.xz; do xz -dc "$file" >"cifar10/$(basename "${file%.xz}")"; done
    learn cifar10 ./cifar10 limit=1024 epochs=3 batch_size=64
    reaches cifar10 ./cifar10 accuracy 0.85
    drawn cifar10 ./cifar10
    tried=1
else
    echo "no CIFAR-10: skipped"
fi
if [[ -d $shared/bccd ]]; then
    tar xJf "$shared/bccd/BCCD_voc.tar.xz"
    bccd=$(dirname "$(find . -type d -name JPEGImages | head -1)")
    learn bccd "$bccd" limit=8 epochs=4 size=120x160
    reaches bccd "$bccd" map50 0.6 split=test
    drawn bccd "$bccd" split=test score=0.01
    tried=1
else
    echo "no blood cells: skipped"
fi
if [[ -d $shared/membrane ]]; then
    tar xf "$shared/membrane/membrane_train.tar"
    for i in {0..29}; do
        part=train; ((i < 24)) || part=test
        mkdir -p cells/$part/image cells/$part/label
        mv membrane/image/$i.png cells/$part/image
        mv membrane/label/$i.png cells/$part/label
    done
    learn membrane ./cells limit=4 epochs=4 size=128
    reaches membrane ./cells mean_iou 0.7
    drawn membrane ./cells
    tried=1
else
    echo "no membranes: skipped"
fi
if [[ -d /usr/share/datasets/fashion-mnist || -d ${CAJAL_DATA:-/nonexistent}/fashion-mnist ]]; then
    learn denoise "" limit=512 epochs=3
    drawn denoise fashion-mnist
    tried=1
else
    echo "no Fashion-MNIST: skipped"
fi
((tried)) || exit 77
