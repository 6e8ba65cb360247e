#!/usr/bin/env bash
# Tables of every format by the command: the same data in each trains the same model; packed, under
# another name, from standard input; weights and widths, by keys and in a recipe.
# ctest: timeout 120
set -uo pipefail
export LC_ALL=C TERM=dumb
unset CAJAL_DATA
cajal=${CAJAL_COMMAND:?}
golden=${CJ_SOURCE_DIR:?}/tests/golden/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

fail() { echo "FAILED: $1"; cat err; exit 1; }
run() { "$cajal" "$@" >out 2>err </dev/null || fail "cajal $*"; }
# refuse WORD ARGUMENT...
refuse() {
    local word=$1
    shift
    if "$cajal" "$@" >out 2>err </dev/null; then fail "accepted: cajal $*"; fi
    grep -qF -- "$word" err || fail "expected '$word' of cajal $*"
}

# ---- The same data in every format ----------------------------------------------------------------
net="dense 8 relu, dense 3 softmax"
numbers() { cut -d, -f1,3-6 "$1/results.csv"; } # without the seconds
for file in "$golden"/iris.{csv,jsonl,arff,fwf,svm}; do
    name=${file##*.}
    run train data="$file" model="$net" epochs=3 seed=4 deterministic=true out="$name" --quiet
    if "$cajal" version | grep -q zlib; then
        gzip -c "$file" >"iris.$name.gz"
        run train data="iris.$name.gz" model="$net" epochs=3 seed=4 deterministic=true out="$name-gz" --quiet
        cmp -s "$name/best.onnx" "$name-gz/best.onnx" || fail "$name.gz is another model"
    fi
    diff <(numbers csv) <(numbers "$name") || fail "$name trains otherwise"
    run evaluate "$name/best.onnx" data="$file"
    mv out "evaluated-$name"
done
for name in jsonl arff fwf; do
    cmp -s csv/best.onnx "$name/best.onnx" || fail "the model of $name is not that of csv"
    cmp -s evaluated-csv "evaluated-$name" || fail "csv and $name are judged otherwise"
    run evaluate csv/best.onnx data="$golden/iris.$name"
    cmp -s out evaluated-csv || fail "the model of csv judges $name otherwise"
done

# ---- Under another name, and from standard input --------------------------------------------------
run predict csv/best.onnx "$golden/iris.csv"
mv out predicted
for pair in jsonl:jsonl arff:arff fwf:fixed_width; do
    cp "$golden/iris.${pair%:*}" iris
    run predict csv/best.onnx data=iris format="${pair#*:}"
    cmp -s out predicted || fail "format=${pair#*:} predicts otherwise"
    "$cajal" predict csv/best.onnx - format="${pair#*:}" <iris >out 2>err || fail "standard input, $pair"
    cmp -s out predicted || fail "standard input as ${pair#*:} predicts otherwise"
done
refuse "unknown format 'jsnol' (did you mean 'jsonl'?)" predict csv/best.onnx data=iris format=jsnol
refuse "line 1: " train data="$golden/iris.csv" format=jsonl model="$net"
refuse "is a folder; format=csv is for a file" train data=./csv format=csv model="$net"
refuse "widths are for format=fixed_width" train data="$golden/iris.csv" format=csv widths=3,4 model="$net"
refuse "weight, widths, pictures are for tables" train data="$CJ_SOURCE_DIR/fuzz/corpus/npy/f4" format=npy weight=w model="$net"

# ---- Widths and weights ---------------------------------------------------------------------------
for i in 0 1 2 3 4 5 6 7; do printf '%d%03d%s%d\n' $((i % 3)) $((i * 31 % 100)) "$([ $((i % 2)) = 0 ] && echo big || echo low)" $((i % 4)); done >digits
run train data=digits format=fixed_width widths=1,3,3,1 target=2 weight=3 model="dense 2 softmax" epochs=1 validation_split=0 out=keys
grep -q 'data=digits format=fixed_width widths=.*1, 3, 3, 1.* weight=3' err || fail "what to try next lacks the keys"
cat >recipe.json <<'JSON'
{"data": "./digits", "format": "fixed_width", "widths": [1, 3, 3, 1], "target": 2, "weight": -1,
 "model": "dense 2 softmax", "epochs": 1, "validation_split": 0}
JSON
run train recipe.json out=recipe --quiet
cmp -s keys/best.onnx recipe/best.onnx || fail "the recipe trains another model than the keys"
run evaluate keys/best.onnx data=digits format=fixed_width widths=1,3,3,1 target=2 weight=3 --json
cut -c1-4 digits >inputs # neither target nor weights
run predict keys/best.onnx data=inputs format=fixed_width widths=1,3
[[ $(wc -l <out) == 8 ]] || fail "expected 8 predictions"
sed 's/2$/-/' digits >negative
refuse "(row 3, line 3, column 'weight')" train data=negative format=fixed_width widths=1,3,3,1 target=2 weight=3 model="dense 2 softmax"

run list formats
grep -q '^svmlight$' out || fail "no svmlight in the list"
run list formats --json
grep -q '"suffixes": *".jsonl .ndjson"' out || fail "no suffixes in the list"
echo "all is read"
