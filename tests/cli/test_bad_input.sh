#!/usr/bin/env bash
# Bad input of every kind: the exit status, exactly one "cajal: error:" line that names what it must,
# nothing else on either stream, nothing left behind.
# ctest: timeout 120
set -uo pipefail
export LC_ALL=C
unset CAJAL_DATA
cajal=${CAJAL_COMMAND:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
cases=0

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n  command: %s\n  status: %s\n  stdout: %s\n  stderr: %s\n' "$1" "$shown" "$status" \
        "$(head -c 600 out)" "$(head -c 1500 err)"
}

# refuse STATUS WORD... -- ARGUMENT...: the command fails so, and its one line has all the words.
refuse() {
    local expected=$1 words=() word
    shift
    while [[ $1 != -- ]]; do words+=("$1"); shift; done
    shift
    shown="cajal $*"
    cases=$((cases + 1))
    "$cajal" "$@" >out 2>err </dev/null
    status=$?
    [[ $status == "$expected" ]] || { fail "expected exit status $expected"; return; }
    [[ $(wc -l <err) == 1 && $(head -c 14 err) == "cajal: error: " ]] || { fail "expected one line of error"; return; }
    [[ ! -s out ]] || { fail "expected nothing on standard output"; return; }
    for word in "${words[@]}"; do
        grep -qiF -- "$word" err || { fail "expected the error to have '$word'"; return; }
    done
    [[ ! -e runs ]] || { fail "expected no run directory to be left"; rm -rf runs; }
}

# succeed ARGUMENT...
succeed() {
    shown="cajal $*"
    "$cajal" "$@" >out 2>err </dev/null
    status=$?
    [[ $status == 0 ]] || { fail "expected success"; exit 1; }
}

# ---- Data that is as it should be, and a model of it ----------------------------------------------
# Two clouds of points, far from one another: 40 rows of a, b, c, kind.
awk 'BEGIN { print "a,b,c,kind"; for (i = 0; i < 40; i++) { k = i % 2; printf "%.2f,%.2f,%.2f,%s\n",
    k * 4 + (i * 7 % 10) / 10, (i * 3 % 10) / 10 - k * 4, (i * 9 % 10) / 10, k ? "near" : "far" } }' >good.csv
net="dense 4 relu, dense 2 softmax"
succeed train data=./good.csv "model=$net" epochs=2 validation_split=0 out=good --quiet
model=good/best.onnx
[[ -s $model ]] || { echo "no $model"; exit 1; }
succeed evaluate $model data=./good.csv

be32() { printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"; }
zeros() { head -c "$1" /dev/zero; }
# idx FOLDER: 20 black pictures of 4 x 4 and their labels, all 3.
idx() {
    mkdir -p "$1"
    for part in train t10k; do
        { printf '\0\0\x08\x03'; be32 20; be32 4; be32 4; zeros 320; } >"$1/$part-images-idx3-ubyte"
        { printf '\0\0\x08\x01'; be32 20; zeros 20 | tr '\0' '\3'; } >"$1/$part-labels-idx1-ubyte"
    done
}
# npy FILE SHAPE BYTES: f32 zeros.
npy() {
    local header="{'descr': '<f4', 'fortran_order': False, 'shape': $2, }"
    { printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header"; zeros "$3"; } >"$1"
}
pictures="flatten, dense 10 softmax"
idx fine
succeed train data=./fine "model=$pictures" epochs=1 validation_split=0 out=fine-run --quiet

# ---- Data ----------------------------------------------------------------------------------------
idx cut
gzip cut/*
head -c 40 cut/train-images-idx3-ubyte.gz >cut/part && mv cut/part cut/train-images-idx3-ubyte.gz
refuse 1 train-images-idx3-ubyte.gz gzip -- train data=./cut "model=$pictures"
idx short
head -c 100 fine/train-images-idx3-ubyte >short/train-images-idx3-ubyte
refuse 1 train-images-idx3-ubyte -- train data=./short "model=$pictures"
idx labels
{ printf '\0\0\x08\x01'; be32 20; zeros 19; printf '\xc8'; } >labels/train-labels-idx1-ubyte
refuse 1 train-labels-idx1-ubyte 200 -- train data=./labels "model=$pictures"
sed '3s/far/nowhere/;3s/near/nowhere/' good.csv >label.csv
refuse 1 label.csv "line 3" nowhere -- evaluate $model data=./label.csv
sed '4s/$/,7/' good.csv >ragged.csv
refuse 1 ragged.csv "line 4" "5 cells" -- train data=./ragged.csv "model=$net"
sed '5s/^[^,]*,[^,]*/1,nan/' good.csv >nan.csv
refuse 1 nan.csv "NaN" "row 4" "line 5" "'b'" -- train data=./nan.csv "model=$net"
sed '6s/^[^,]*//' good.csv >gap.csv
refuse 1 gap.csv "missing" "row 5" "'a'" -- train data=./gap.csv "model=$net"
succeed train data=./gap.csv missing=drop "model=$net" epochs=1 out=gap-run --quiet
: >empty.csv
refuse 1 empty.csv empty -- train data=./empty.csv "model=$net"
refuse 1 nothing.csv "no such file" -- train data=./nothing.csv "model=$net"
refuse 1 "'mnist'" "looked in" -- train data=mnist "model=$pictures"
refuse 2 fashion-mnist "did you mean" -- train data=fashion-mnits "model=$pictures"
refuse 1 species kind -- train data=./good.csv target=species "model=$net"
refuse 1 "'d'" -- train data=./good.csv types.d=category "model=$net"
refuse 2 "types.a" -- train data=./good.csv types.a=colour "model=$net"

# ---- Shapes that disagree ------------------------------------------------------------------------
refuse 1 "input" -- train data=./good.csv "model=input 5, dense 2 softmax"
refuse 1 binary_crossentropy "3 values" -- train data=./good.csv "model=dense 3 softmax" loss=binary_crossentropy
cut -d, -f1,2,4 good.csv >two.csv
refuse 1 "'c'" -- evaluate $model data=./two.csv
refuse 1 "'c'" -- predict $model two.csv
npy wide.npy "(2, 5)" 40
refuse 1 wide.npy "f32[3]" "f32[2, 5]" -- predict $model wide.npy
refuse 1 "dimension 1 is 5" "expected 3" -- run $model --inputs wide.npy
refuse 2 "not trained on a table" -- predict fine-run/best.onnx good.csv
refuse 2 missing -- run $model
npy fits.npy "(2, 3)" 24
refuse 2 fits.npy "1 input" -- run $model --inputs fits.npy,fits.npy
refuse 2 "other" -- run $model --input other=fits.npy

# ---- Names and numbers ---------------------------------------------------------------------------
refuse 2 "'dens'" "'dense'" -- train data=./good.csv "model=dens 4, dense 2 softmax"
refuse 2 "unit" "units" -- train data=./good.csv "model=dense(unit=4)"
refuse 2 "activation" "'rellu'" -- train data=./good.csv "model=dense 4 activation=rellu, dense 2"
refuse 2 "loss" "'msse'" "'mse'" -- train data=./good.csv "model=$net" loss=msse
refuse 2 "optimizer" "'adamm'" "'adam'" -- train data=./good.csv "model=$net" optimizer=adamm
refuse 2 "momentun" "momentum" -- train data=./good.csv "model=$net" "optimizer=sgd(momentun=1)"
refuse 2 "momentum=2" -- train data=./good.csv "model=$net" optimizer=sgd optimizer.momentum=2
refuse 2 "metric" "'acuracy'" "'accuracy'" -- train data=./good.csv "model=$net" metrics=acuracy
refuse 2 "schedule" "'cosin'" "'cosine'" -- train data=./good.csv "model=$net" schedule=cosin
refuse 2 "monitor" "val_los" -- train data=./good.csv "model=$net" monitor=val_los
refuse 2 "'lerning_rate'" "'learning_rate'" -- train data=./good.csv "model=$net" lerning_rate=1
refuse 2 "learning_rate=-1" "at least 0" -- train data=./good.csv "model=$net" learning_rate=-1
refuse 2 "learning_rate=0" -- train data=./good.csv "model=$net" learning_rate=0
refuse 2 "epochs=0.5" integer -- train data=./good.csv "model=$net" epochs=0.5
refuse 2 "data" -- train "model=$net"
refuse 2 "model" -- train data=./good.csv
refuse 2 "from" -- train data=./good.csv "model=$net" from=$model
refuse 2 "recipe" -- train fashion-mnist
printf 'data: ./good.csv\nmodel: [dense: {units: 2}]\nepochs: many\n' >bad.yaml
refuse 2 bad.yaml:3 "epochs=many" -- train bad.yaml
printf 'data: ./good.csv\nepoch: 3\n' >bad.yaml
refuse 2 bad.yaml:2 "'epoch'" "'epochs'" -- train bad.yaml
printf 'data: [\n' >bad.yaml
refuse 1 bad.yaml -- train bad.yaml
refuse 1 none.yaml -- train none.yaml
refuse 2 "pictures" shoe.png -- predict $model shoe.png
refuse 2 "optimzers" "optimizers" -- list optimzers
refuse 2 "backend" "'gpu'" -- run $model --inputs fits.npy backend=gpu

# ---- Models --------------------------------------------------------------------------------------
: >zero.onnx
head -c 3000 /dev/urandom >random.onnx
head -c 200 $model >half.onnx
mkdir folder.onnx
for command in "evaluate %s data=./good.csv" "predict %s good.csv" "summary %s" "run %s --inputs fits.npy" \
    "train from=%s data=./good.csv"; do
    # shellcheck disable=SC2086,SC2059
    for bad in zero random half folder none; do refuse 1 $bad.onnx -- $(printf "$command" $bad.onnx); done
done
refuse 1 fits.npy "an array of numpy, not a model" -- summary fits.npy
refuse 1 good.csv "a text, not a model" -- summary good.csv
refuse 1 "folder.onnx" -- train data=./folder.onnx "model=$net"

# ---- Files that cannot be written ----------------------------------------------------------------
touch file
refuse 1 file -- train data=./good.csv "model=$net" out=file
refuse 1 file/run -- train data=./good.csv "model=$net" out=file/run
refuse 1 "/proc/run" -- train data=./good.csv "model=$net" out=/proc/run
refuse 1 good "not empty" -- train data=./good.csv "model=$net" out=good
refuse 1 "args.yaml" -- train resume=folder.onnx
refuse 1 "/proc/out" -- run $model --inputs fits.npy --output-dir /proc/out
if [[ $(id -u) != 0 ]]; then
    mkdir locked && chmod 500 locked
    refuse 1 locked -- train data=./good.csv "model=$net" out=locked
    refuse 1 locked/run -- train data=./good.csv "model=$net" out=locked/run
fi

# A disk that fills up: no file may grow beyond a kilobyte, as a quota has it. The old files stay.
full() {
    cases=$((cases + 1))
    shown="cajal $* (files limited)"
    (
        ulimit -f 1
        exec "$cajal" "$@" --quiet
    ) 2>&1 >out </dev/null | head -c 4000 >err
    status=${PIPESTATUS[0]}
    [[ $status == 1 ]] || fail "expected exit status 1"
    [[ $(grep -c '^cajal: error: ' err) == 1 ]] || fail "expected one line of error"
    grep -q 'File too large' err || fail "expected the reason"
}
cp -r good before
full train resume=good epochs=4
cmp -s good/best.onnx before/best.onnx || fail "the previous model has changed"
succeed evaluate good/best.onnx data=./good.csv
full train data=./good.csv "model=$net" out=new
[[ ! -e new/best.onnx ]] || fail "half a model was left"
succeed train resume=good epochs=4 --quiet # and when there is room again, it goes on

# The same on a disk of 128 KiB, where we may mount one.
if unshare -m true 2>/dev/null; then
    mkdir disk
    cat >on_disk <<'SCRIPT'
    mount -t tmpfs -o size=128k none disk || exit 77
    "$1" train data=./good.csv "model=dense 4 relu, dense 2 softmax" epochs=1 out=disk/run --quiet >out 2>err || exit 78
    cp disk/run/best.onnx kept.onnx
    head -c 200000 /dev/zero >disk/fill 2>/dev/null
    "$1" train resume=disk/run epochs=3 --quiet >out 2>err
    status=$?
    cmp -s disk/run/best.onnx kept.onnx || exit 79
    "$1" evaluate disk/run/best.onnx data=./good.csv >out2 2>&1 || exit 80
    exit $status
SCRIPT
    cases=$((cases + 1))
    shown="cajal train resume=disk/run (disk full)"
    unshare -m bash ./on_disk "$cajal"
    status=$?
    [[ $status == 77 ]] || {
        [[ $status == 1 && $(grep -c '^cajal: error: ' err) == 1 ]] || fail "expected exit status 1 and one error (79: the model has changed)"
        grep -q 'No space left' err || fail "expected the reason"
    }
fi

# With --json the failure is an object as well.
cases=$((cases + 1))
shown="cajal evaluate zero.onnx --json"
"$cajal" evaluate zero.onnx data=./good.csv --json >out 2>err
status=$?
[[ $status == 1 ]] && grep -q '^{"error": {"status": "[a-z ]*", "message": ".*zero.onnx.*"}}$' out || fail "expected an error as JSON"

echo "$cases cases, $failures failures"
[[ $failures == 0 ]]
