#!/usr/bin/env bash
# What the README promises of whole trainings: Fashion-MNIST (Debian's package), MNIST (shared data, unpacked
# here), and a table of 60,001 rows, whose last batch is one sample.
# ctest: slow, timeout 600
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
source=${CJ_SOURCE_DIR:?}
[[ -z ${CJ_SANITIZE-} ]] || { echo "too slow for sanitizer builds"; exit 77; }
command -v python3 >/dev/null || { echo "no python3 to read JSON"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# at_least NAME DATA FLOOR: the recipe of that name, on that data (empty: its own)
at_least() {
    "$cajal" train "$source/recipes/$1.yaml" out="$1" ${2:+data="$2"} --quiet --json >"$1.json"
    "$cajal" evaluate "$1/best.onnx" data="${2:-$1}" --json >"$1.scores.json"
    python3 - "$1" "$3" <<'PYTHON'
import json, sys
scores = json.load(open(sys.argv[1] + ".scores.json"))
print(sys.argv[1], "test accuracy", scores["accuracy"], "of", scores["samples"], "samples")
sys.exit(not (scores["accuracy"] >= float(sys.argv[2]) and scores["samples"] == 10000))
PYTHON
}

if [[ -d /usr/share/datasets/fashion-mnist || -d ${CAJAL_DATA:-/nonexistent}/fashion-mnist ]] ||
    "$cajal" train "$source/recipes/fashion-mnist.yaml" limit=64 epochs=1 out=probe --quiet >/dev/null 2>&1; then
    at_least fashion-mnist "" 0.90
else
    echo "no Fashion-MNIST: skipped"
fi

packed=$source/../shared/datasets/mnist
if [[ -d $packed ]] && command -v xz >/dev/null; then
    mkdir -p data/mnist
    for file in "$packed"/*.xz; do xz -dc "$file" >"data/mnist/$(basename "${file%.xz}")"; done
    export CAJAL_DATA=$work/data
    at_least mnist "" 0.99
else
    echo "no MNIST: skipped"
fi

# y is the larger of the first two columns, so that it can be learned.
python3 - <<'PYTHON'
import random
random.seed(1)
with open("rows.csv", "w") as f:
    f.write("a,b,c,y\n")
    for _ in range(60001):
        v = [random.random() for _ in range(3)]
        f.write("%.4f,%.4f,%.4f,%s\n" % (*v, "first" if v[0] > v[1] else "second"))
PYTHON
"$cajal" train data=./rows.csv target=y model="dense 8 relu, dense 2 softmax" epochs=1 batch_size=32 validation_split=0 \
    out=rows 2>rows.log >/dev/null
grep -q '1876/1876' rows.log || { cat rows.log; echo "expected 1876 steps of 60,001 samples"; exit 1; }
"$cajal" evaluate rows/best.onnx data=./rows.csv target=y --json >rows.json
python3 -c '
import json
d = json.load(open("rows.json"))
assert d["samples"] == 60001 and d["accuracy"] > 0.95, d'
echo "60,001 rows: 1876 steps"

# bench prints what outside programs read.
"$cajal" bench mlp --threads 1 --json | python3 -c '
import json, sys
lines = [json.loads(line) for line in sys.stdin]
assert [l["mode"] for l in lines] == ["train", "infer", "infer1"], lines
for l in lines:
    assert l["workload"] == "mlp" and l["threads"] == 1 and l["batch"] == (1 if l["mode"] == "infer1" else 32), l
    assert l["ms"] > 0 and abs(l["samples_per_s"] - l["batch"] / l["ms"] * 1e3) < 1e-6 * l["samples_per_s"], l'
