#!/usr/bin/env bash
# The whole way in an empty folder: train, evaluate, predict, run, resume, fine-tune, interrupt; what
# every --json says is read back and checked against itself.
# ctest: timeout 240
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
source=${CJ_SOURCE_DIR:?}
command -v python3 >/dev/null || { echo "no python3 to read JSON"; exit 77; }
table() {
    local folder
    for folder in "${CAJAL_DATA:-/nonexistent}" "$source/../shared/datasets"; do
        [[ -e $folder/tabular/$1 ]] && { (cd "$folder/tabular" && echo "$PWD/$1"); return; }
    done
    echo "no tabular/$1 in \$CAJAL_DATA or ../shared/datasets: skipped" >&2
    exit 77
}
iris=$(table iris.csv)
cancer=$(table breast_cancer.csv)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export PATH=$work/bin:$PATH
mkdir bin && ln -s "$cajal" bin/cajal

# check FILE EXPRESSION: a Python expression over d, the object in the file, and the helpers below.
check() {
    python3 - "$1" "$2" <<'PYTHON'
import ast, json, struct, sys
def npy(path):
    b = open(path, "rb").read()
    n = struct.unpack("<H", b[8:10])[0]
    header = ast.literal_eval(b[10:10 + n].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    rows, columns = header["shape"]
    v = struct.unpack("<%df" % (rows * columns), b[10 + n:])
    return [list(v[i * columns:(i + 1) * columns]) for i in range(rows)]
def near(a, b, by=1e-5):
    return len(a) == len(b) and all(abs(x - y) <= by for p, q in zip(a, b) for x, y in zip(p, q))
def load(path):
    return json.load(open(path))
d = load(sys.argv[1])
if not eval(sys.argv[2]):
    sys.exit("not so: %s\n%s: %.2000s" % (sys.argv[2], sys.argv[1], json.dumps(d)))
PYTHON
}
say() { echo "== $*"; }

say "train, from a recipe"
cajal train "$source/recipes/iris.yaml" data="$iris" --json >train.json 2>train.err
check train.json 'd["run"] == "runs/train1" and d["model"] == "runs/train1/best.onnx"'
check train.json 'd["epochs"] == len(d["history"]) >= 10 and d["seconds"] > 0'
check train.json '[h["epoch"] for h in d["history"]] == list(range(1, d["epochs"] + 1))'
check train.json 'max(h["val_accuracy"] for h in d["history"]) >= 0.9 and d["val_loss"] == d["history"][-1]["val_loss"]'
check train.json 'all(set(h) == {"epoch", "seconds", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy"} for h in d["history"])'
for file in args.yaml results.csv best.onnx last.onnx; do [[ -s runs/train1/$file ]] || { echo "no $file"; exit 1; }; done
[[ $(head -n 1 runs/train1/results.csv) == epoch,seconds,loss,accuracy,val_loss,val_accuracy,learning_rate ]]
model=runs/train1/best.onnx

say "what it says to try next works"
grep '^  cajal ' train.err >next
[[ $(wc -l <next) == 3 ]]
bash -e next >next.out
printf '1,red,0\n2,red,0\n,red,0\n8,blue,1\n9,blue,1\n7,blue,1\n' >gaps.csv
bin/cajal train data=./gaps.csv header=no missing=drop model="dense 1 sigmoid" epochs=1 validation_split=0 out=gaps 2>err >/dev/null
grep '^  bin/cajal ' err >next # started by a path, so told by that path, and the gaps are left out again
[[ $(wc -l <next) == 3 ]]
bash -e next >next.out

say "evaluate"
cajal evaluate $model data="$iris" --json >evaluate.json
check evaluate.json 'd["samples"] == 150 and d["accuracy"] >= 0.95 and d["model"] == "runs/train1/best.onnx"'
check evaluate.json 'sum(map(sum, d["confusion"])) == 150 and [sum(r) for r in d["confusion"]] == [50, 50, 50]'
check evaluate.json 'abs(sum(d["confusion"][i][i] for i in range(3)) / 150 - d["accuracy"]) < 1e-9'
cajal evaluate $model data="$iris" >evaluate.txt
grep -q '^accuracy: 0.9' evaluate.txt && grep -q '^samples: 150$' evaluate.txt
grep -Eq '^ +macro avg +0\.[0-9]{2} +0\.[0-9]{2} +0\.[0-9]{2} +150$' evaluate.txt && grep -q '^ *setosa  0 ' evaluate.txt

say "predict: a table with and without its target, an array, standard input"
cajal predict $model "$iris" --json >predict.json
check predict.json 'len(d["predictions"]) == 150 and d["predictions"][0]["label"] == "setosa"'
check predict.json 'all(abs(sum(p["output"]) - 1) < 1e-5 and abs(max(p["output"]) - p["probability"]) < 1e-9 for p in d["predictions"])'
check predict.json 'abs(sum(p["class"] == i // 50 for i, p in enumerate(d["predictions"])) / 150 - load("evaluate.json")["accuracy"]) < 1e-9'
tail -n +2 "$iris" | cut -d, -f1-4 >flowers.csv
cajal predict $model flowers.csv --json >flowers.json
cajal predict $model - --json <flowers.csv >stdin.json
check flowers.json 'd["predictions"] == load("predict.json")["predictions"] == load("stdin.json")["predictions"]'
[[ $(cajal predict $model flowers.csv limit=2 | cut -f1 | tr '\n' ' ') == "setosa setosa " ]]
python3 - <<'PYTHON'
import struct
rows = [tuple(map(float, line.split(","))) for line in open("flowers.csv")]
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 4), }" % len(rows)
open("x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117).encode() + b"\n" +
                          b"".join(struct.pack("<4f", *r) for r in rows))
PYTHON
cajal predict $model x.npy --json >array.json
check array.json 'd["predictions"] == load("predict.json")["predictions"]'

say "run: the same numbers from the graph alone, on every backend"
cajal run $model --inputs x.npy --output-dir out --json >run.json
check run.json 'len(d["outputs"]) == 1 and d["outputs"][0]["shape"] == [150, 3] and d["outputs"][0]["dtype"] == "f32" and d["ms"] >= 0'
check run.json 'd["outputs"][0]["file"] == "out/out0.npy"'
check predict.json 'near(npy("out/out0.npy"), [p["output"] for p in d["predictions"]])'
name=$(python3 -c 'import json; print(json.load(open("run.json"))["outputs"][0]["name"])')
[[ -n $name ]]
cajal run $model inputs=x.npy output_dir=reference backend=reference >run.txt
grep -q $'^reference/out0.npy\t'"$name"$'\tf32\[150, 3\]$' run.txt
check predict.json 'near(npy("reference/out0.npy"), [p["output"] for p in d["predictions"]])'

say "summary"
cajal summary $model --json >summary.json
check summary.json 'd["parameters"] == d["trainable"] == 4 * 16 + 16 + 16 * 3 + 3 and d["multiply_adds"] >= 4 * 16 + 16 * 3'
cajal summary $model >summary.txt
cajal summary $model graph=true | grep -q matmul
cajal summary resnet20 >network.txt
grep -q 'layer3.2.conv2 ' network.txt
cajal summary $model dot=true | head -n 1 | grep -q '^digraph'

say "the same again from args.yaml: the same bytes, in a folder of its own"
[[ $(cajal train runs/train1/args.yaml --quiet 2>err) == runs/train2/best.onnx && ! -s err ]]
cmp runs/train1/best.onnx runs/train2/best.onnx
cmp runs/train1/args.yaml runs/train2/args.yaml
cp -r runs/train1 kept
! cajal train runs/train1/args.yaml out=kept --quiet 2>err && grep -q 'not empty' err
cajal train runs/train1/args.yaml out=kept --overwrite --quiet >/dev/null

say "resume: as if it had never stopped"
small=(data="$iris" "model=dense 8 relu, dropout 0.2, dense 3 softmax" validation_split=0.2 --quiet)
cajal train "${small[@]}" epochs=6 out=whole >/dev/null
cajal train "${small[@]}" epochs=2 out=parts >/dev/null
cajal train resume=parts epochs=6 --quiet >/dev/null
cmp whole/last.onnx parts/last.onnx
cmp whole/best.onnx parts/best.onnx
[[ $(wc -l <parts/results.csv) == 7 ]]

say "interrupt: saves, ends with 130, says how to go on"
cajal train "${small[@]}" epochs=100000 out=long >out.txt 2>err &
pid=$!
for ((i = 0; i < 300; i++)); do [[ -s long/last.onnx ]] && break; sleep 0.1; done
kill -INT $pid
status=0
wait $pid || status=$?
[[ $status == 130 ]] || { echo "exit status $status"; cat err; exit 1; }
grep -q 'resume=long' err && [[ ! -s out.txt ]]
done_epochs=$(($(wc -l <long/results.csv) - 1))
cajal train resume=long epochs=$((done_epochs + 2)) --quiet >/dev/null
[[ $(wc -l <long/results.csv) == $((done_epochs + 3)) ]]

say "fine-tune, and one line of JSON an epoch"
cajal train from=$model data="$iris" epochs=3 out=tuned --json=lines --quiet >lines
[[ $(wc -l <lines) == 3 ]]
tail -n 1 lines >last.json
check last.json 'd["epoch"] == 3 and d["loss"] > 0 and d["val_accuracy"] > 0.8'
cajal evaluate tuned/best.onnx data="$iris" --json >tuned.json
check tuned.json 'd["accuracy"] >= 0.95'

say "breast cancer: one output for two classes"
cajal train "$source/recipes/breast-cancer.yaml" data="$cancer" out=cancer --quiet --json >cancer.json
check cancer.json 'max(h["val_accuracy"] for h in d["history"]) >= 0.95 and "val_precision" in d'
cajal evaluate cancer/best.onnx data="$cancer" --json >evaluate.json
check evaluate.json 'd["accuracy"] >= 0.95 and sum(map(sum, d["confusion"])) == 569'
cajal predict cancer/best.onnx data="$cancer" limit=5 --json >predict.json
check predict.json 'len(d["predictions"]) == 5 and all(p["label"] in ("malignant", "benign") and 0.5 <= p["probability"] <= 1 for p in d["predictions"])'

say "xor"
(cd "$source" && cajal train recipes/xor.yaml out="$work/xor" --quiet --json) >xor.json
check xor.json 'd["accuracy"] == 1 and "val_loss" not in d'

say "regression: outputs only"
awk 'BEGIN { print "x,y"; for (i = 0; i < 60; i++) printf "%.3f,%.3f\n", i / 10, i * 0.3 + 2 }' >line.csv
cajal train data=./line.csv "model=dense 1" learning_rate=0.5 epochs=60 out=line --quiet --json >line.json
check line.json '"accuracy" not in d and d["val_loss"] < 0.5'
cajal predict line/best.onnx line.csv --json >predict.json
check predict.json 'set(d["predictions"][0]) == {"output"} and abs(d["predictions"][10]["output"][0] - 5) < 1'
cajal evaluate line/best.onnx data=./line.csv --json >evaluate.json
check evaluate.json 'set(d) == {"loss", "samples", "model"} and d["loss"] < 0.5'

say "categories in a table, found again in other data"
awk 'BEGIN { print "colour,size,kind"; for (i = 0; i < 60; i++) printf "%s,%.1f,%s\n", i % 3 ? (i % 3 == 1 ? "red" : "blue") : "green", i % 7, i % 3 == 1 ? "yes" : "no" }' >colours.csv
cajal train data=./colours.csv target=kind types.colour=category "model=dense 8 relu, dense 2 softmax" learning_rate=0.05 epochs=30 out=colours --quiet >/dev/null
printf 'size,colour\n1,blue\n2,red\n' >new.csv
[[ $(cajal predict colours/best.onnx new.csv | cut -f1 | tr '\n' ' ') == "no yes " ]]
printf 'size,colour\n1,pink\n' >new.csv
! cajal predict colours/best.onnx new.csv 2>err && grep -q pink err

if [[ -d /usr/share/datasets/fashion-mnist || -d ${CAJAL_DATA:-/nonexistent}/fashion-mnist ]]; then
    say "pictures, the first few"
    cajal train "$source/recipes/fashion-mnist.yaml" limit=2000 epochs=2 out=fashion --quiet >/dev/null
    cajal evaluate fashion/best.onnx data=fashion-mnist limit=500 --json >evaluate.json
    check evaluate.json 'd["samples"] == 500 and d["accuracy"] > 0.6'
    cajal predict fashion/best.onnx data=fashion-mnist limit=3 --json >predict.json
    check predict.json 'len(d["predictions"]) == 3 and len(d["predictions"][0]["output"]) == 10'
fi
echo done
