#!/usr/bin/env bash
# A model that PyTorch exported (batch 1, NCHW, logits) is fine-tuned: loss by loss what PyTorch gets
# (tools/golden/tune.py), with a part frozen, with another head; evaluated, asked, summed up, saved again; the
# result runs in ONNX Runtime with equal outputs where $ORT_NODE is a folder of onnxruntime-node. What is
# refused, and with which words.
# ctest: timeout 240
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
golden=${CJ_SOURCE_DIR:?}/tests/golden/cli
command -v python3 >/dev/null || { echo "no python3 to read JSON"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cp "$golden/tune.onnx" "$golden/tune.npz" .
same=(data=./tune.npz batch_size=8 optimizer=sgd learning_rate=0.05 shuffle=false validation_split=0)

says() { grep -qF -- "$2" "$1" || { echo "$1 does not say: $2"; cat "$1"; exit 1; }; }
refuses() { # STATUS WORDS ARGUMENTS...
    local status=0 want=$1 words=$2
    shift 2
    "$cajal" "$@" >out.txt 2>refused.txt || status=$?
    [[ $status == "$want" ]] || { echo "$*: status $status, expected $want"; cat refused.txt; exit 1; }
    says refused.txt "$words"
}

# f32 against PyTorch in double, over 24 steps.
losses() {
    python3 - "$1" "$2" "$golden/tune.json" <<'PYTHON'
import json, sys
got = [json.loads(line)["loss"] for line in open(sys.argv[1])]
want = json.load(open(sys.argv[3]))[sys.argv[2]]
print(sys.argv[2], *["%.6f/%.6f" % p for p in zip(got, want)])
sys.exit(len(got) != len(want) or any(abs(a - b) > 1e-5 * b for a, b in zip(got, want)))
PYTHON
}

"$cajal" train from=tune.onnx "${same[@]}" epochs=4 out=all --json=lines >all.txt 2>all.err
losses all.txt all
# A step's line has the loss of its batch: their mean is the epoch's.
"$cajal" train from=tune.onnx "${same[@]}" epochs=4 out=steps --json=steps --quiet >steps.txt
python3 - <<'PYTHON'
import json
lines = [json.loads(line) for line in open("steps.txt")]
for epoch in range(1, 5):
    *steps, last = [line for line in lines if line["epoch"] == epoch]
    assert [s["step"] for s in steps] == [1, 2, 3, 4, 5, 6] and "step" not in last, lines
    assert abs(sum(s["loss"] for s in steps) / 6 - last["loss"]) < 1e-6, lines
PYTHON
says all.err "the file's batch of 1 is made a symbol"
says all.err "pictures are [8, 8, 3], and the model takes channels first (NCHW)"
says all.err "(assumed: 0..1 is meant)"
says all.err "the model has no softmax at its end: loss=sparse_categorical_crossentropy(from_logits=true)"

"$cajal" train from=tune.onnx "${same[@]}" epochs=4 freeze=conv1,bn1 out=frozen --json=lines >frozen.txt 2>frozen.err
losses frozen.txt frozen
says frozen.err "freeze=conv1: 2 weights, 168 numbers, are not trained"
says frozen.err "freeze=bn1: 2 weights, 12 numbers, are not trained" # gamma, beta; statistics are no weights
says frozen.err "1 batch normalisations are frozen: they keep their running statistics"
says frozen.err "6 weights are trained"

# Statistics that two batch normalisations share take part in both.
"$cajal" train from="$golden/tune_shared.onnx" "${same[@]}" epochs=4 out=shared --json=lines >shared.txt 2>shared.err
"$cajal" evaluate shared/last.onnx data=./tune.npz --json | tr -d '\n' >>shared.txt
losses shared.txt shared
says shared.err "2 weights are other weights by the file (Identity)"

# A node's name as summary tells it.
"$cajal" train from=tune.onnx "${same[@]}" epochs=1 freeze=/conv1/Conv out=node >/dev/null 2>node.err
says node.err "freeze=/conv1/Conv: 2 weights, 168 numbers, are not trained"

# Saved, what was frozen is a parameter again: it can be trained on without.
"$cajal" train from=frozen/best.onnx "${same[@]}" epochs=1 out=again --json >again.txt 2>again.err
python3 -c 'import json; d = json.load(open("again.txt")); assert d["loss"] < 0.7, d'
"$cajal" summary frozen/last.onnx --json >summary.txt
python3 - <<'PYTHON'
import json
d = json.load(open("summary.txt"))
trained = {w["name"]: w["trained"] for w in d["weights"]}
# As PyTorch counts parameters and buffers (without num_batches_tracked), and Keras.
assert d["trainable"] == 168 + 12 + 440 + 16 + 516 and d["non_trainable"] == 2 * 6 + 2 * 8, d
assert trained["conv1.weight"] and trained["bn1.weight"] and not trained["bn1.running_mean"], trained
PYTHON
"$cajal" summary tune.onnx >summary.txt
says summary.txt " conv1.weight [6, 3, 3, 3]"
says summary.txt " bn1.running_mean [6] (state)"
# PyTorch gives equal weights of several nodes one initializer and Identities of it: these are no layers.
"$cajal" summary "$golden/calls.onnx" >calls.txt
says calls.txt " second.w [4, 4]"
! grep -E "alias|Identity" calls.txt || exit 1
[[ $(grep -c "│ /fc/Gemm (Matmul) .* 516 │" summary.txt) == 1 ]] || { cat summary.txt; exit 1; } # a node is a row

"$cajal" train from=tune.onnx data=./tune.npz epochs=1 head=6 loss="sparse_categorical_crossentropy(from_logits=true)" \
    out=head 2>head.err >/dev/null || says head.err "class"
says head.err "head=6 replaces the weights 'fc.weight' of node '/fc/Gemm' (Gemm): [4, 128] -> [6, 128]"
says head.err "head=6 replaces the bias 'fc.bias' of node '/fc/Gemm' (Gemm): [4] -> [6]"
"$cajal" train from=tune.onnx "${same[@]}" epochs=3 head=4 out=head4 --json=lines >head.txt 2>/dev/null
python3 -c 'import json; l = [json.loads(x)["loss"] for x in open("head.txt")]; assert l[2] < l[0], l'

# The same of the file as it is, and of the tuned one, which knows its preparation.
"$cajal" evaluate tune.onnx data=./tune.npz input.mean=0.5 input.std=0.25 input.layout=nchw --json >raw.txt 2>raw.err
says raw.err "(127.5, 63.75)"
"$cajal" evaluate all/best.onnx data=./tune.npz --json >tuned.txt 2>tuned.err
[[ ! -s tuned.err ]]
python3 -c 'import json; d = json.load(open("tuned.txt")); assert d["accuracy"] > 0.6 and d["loss"] < 1, d'
"$cajal" predict all/best.onnx data=./tune.npz limit=3 >predict.txt
[[ $(wc -l <predict.txt) == 3 ]]

# What we wrote is known; what only training changes is said there alone. Another program's: the same file without
# what we know of it.
"$cajal" train data=./tune.npz model="conv2d 4 3 relu, dropout 0.1, flatten, dense 4 softmax" epochs=1 out=own --quiet >/dev/null
sed 's/cajal\./other./g' own/best.onnx >others.onnx
"$cajal" evaluate own/best.onnx data=./tune.npz >/dev/null 2>own.err
"$cajal" predict own/best.onnx data=./tune.npz >/dev/null 2>>own.err
[[ ! -s own.err ]] || { cat own.err; exit 1; }
"$cajal" evaluate others.onnx data=./tune.npz >/dev/null 2>quiet.err
"$cajal" train from=own/best.onnx data=./tune.npz epochs=1 out=own2 >/dev/null 2>>quiet.err
! grep "folded" quiet.err
"$cajal" train from=others.onnx data=./tune.npz epochs=1 out=others >/dev/null 2>others.err
says others.err "no batch normalisation, and 1 convolutions with a bias"

# A batch that the file has as a number elsewhere, too, stays.
python3 - <<'PYTHON'
import struct, zipfile
def npy(descr, shape, data):
    head = str({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    head += b" " * (117 - len(head)) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data
with open("ids.npy", "wb") as f:
    f.write(npy("<i8", (4, 5), struct.pack("<20q", *range(10), *range(10))))
PYTHON
"$cajal" predict "$golden/tune_lstm.onnx" ids.npy >lstm.txt 2>lstm.err || cat lstm.err
says lstm.err "the batch stays 2, as the file has it; as a symbol: "

# cajal run and cajal grad take another batch, too: the file's own batch of 1, three times.
python3 - <<'PYTHON'
import struct
data = [struct.pack("<192f", *((7 * i * i + 31 * k) % 101 / 50 - 1 for i in range(192))) for k in range(3)]
for name, rows in ("x0", data[:1]), ("x1", data[1:2]), ("x2", data[2:]), ("x3", data):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 3, 8, 8), }" % len(rows)
    head = (head.ljust(117) + "\n").encode()
    open(name + ".npy", "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + b"".join(rows))
PYTHON
for k in 0 1 2 3; do
    "$cajal" run tune.onnx --inputs x$k.npy --output-dir run$k >/dev/null 2>run$k.err
    "$cajal" grad tune.onnx --inputs x$k.npy --output-dir run$k >/dev/null 2>>run$k.err
done
[[ ! -s run0.err ]] || { cat run0.err; exit 1; }
[[ $(grep -cxF "the file's batch of 1 is made a symbol" run3.err) == 2 ]] || { cat run3.err; exit 1; }
python3 - <<'PYTHON'
import struct
def floats(name):
    data = open(name, "rb").read()[128:]
    return struct.unpack("<%df" % (len(data) // 4), data)
for file in "out0.npy", "grad0.npy":
    alone = [v for k in range(3) for v in floats("run%d/%s" % (k, file))]
    together = floats("run3/" + file)
    assert len(alone) == len(together) > 0, (file, len(alone), len(together))
    # Sums of at most 128 products in f32, in another order.
    assert max(map(lambda a, b: abs(a - b), alone, together)) < 1e-5 * max(map(abs, alone)), file
PYTHON
refuses 1 "the sizes 2 and 4 must be equal" run "$golden/tune_lstm.onnx" --inputs ids.npy

# Keras's file, which leaves the size open: what it gives is the mean of each channel, so the preparation shows.
cp "$golden/tune_keras.h5" .
"$cajal" convert tune_keras.h5 keras.onnx --quiet
for model in tune_keras.h5 keras.onnx; do
    "$cajal" predict $model data=./tune.npz input.size=8 input.mean=10,20,30 input.std=2,4,8 limit=3 --json >keras.txt 2>keras.err
    says keras.err "(10, 2), (20, 4), (30, 8) (numbers above 1 are of pixels of 0..255)"
    python3 - <<'PYTHON'
import json, zipfile
pixels = zipfile.ZipFile("tune.npz").read("x.npy")[-48 * 192:]
for i, p in enumerate(json.load(open("keras.txt"))["predictions"]):
    for channel, (mean, std) in enumerate(((10, 2), (20, 4), (30, 8))):
        want = (sum(pixels[192 * i + channel:192 * (i + 1):3]) / 64 - mean) / std
        assert abs(p["output"][channel] - want) < 1e-5 * 64, (p, want)  # 64 pixels of at most 64 are summed in f32
PYTHON
    "$cajal" evaluate $model data=./tune.npz input.size=8 --json >keras.txt 2>keras.err
    says keras.err "(assumed: 0..1 is meant)"
    refuses 2 "the model's input leaves height and width open: expected input.size=N" predict $model data=./tune.npz
done

refuses 1 "freeze=conv9 matches no weight and no node" train from=tune.onnx data=./tune.npz freeze=conv9
refuses 2 "freeze and head are for the model of from=MODEL.onnx" train data=./tune.npz model="flatten, dense 4" head=3
refuses 2 "input.layout=nwhc: expected nchw or nhwc" train from=tune.onnx data=./tune.npz input.layout=nwhc
refuses 2 "input.mean: expected a number, or one a channel, found 'red'" train from=tune.onnx data=./tune.npz input.mean=red
refuses 2 "pictures: 2 numbers as std; the model takes pictures of 3 channels" train from=tune.onnx data=./tune.npz input.std=1,2
refuses 2 "input.sice: expected mean, std, size or layout (did you mean 'size'?)" train from=tune.onnx data=./tune.npz input.sice=8
refuses 2 "input.size: expected pixels" train from=tune.onnx data=./tune.npz input.size=8x
"$cajal" train from=tune.onnx data=./tune.npz head=9 epochs=1 out=nine >/dev/null 2>refused.txt && exit 1
says refused.txt "the model gives 9 numbers, and ./tune.npz has 4 classes: head=4 replaces its last layer"

[[ -n ${ORT_NODE-} && -d $ORT_NODE ]] || { echo "ORT_NODE is not set: no ONNX Runtime"; exit 0; }
mkdir ort out
cp all/best.onnx ort/tuned.onnx
python3 - <<'PYTHON'
import zipfile
z = zipfile.ZipFile("tune.npz")
open("ort/tuned_in_0.npy", "wb").write(z.read("x.npy"))
PYTHON
"$cajal" run ort/tuned.onnx --inputs ort/tuned_in_0.npy --output-dir out >/dev/null
cp out/out0.npy ort/tuned_0.npy
exec node "$CJ_SOURCE_DIR/tools/ort_run.js" "$ORT_NODE" ort
