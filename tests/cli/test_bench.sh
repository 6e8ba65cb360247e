#!/usr/bin/env bash
# cajal bench on tiny sizes: every workload in every mode, its keys, its table, its trace, a model's file.
# ctest: timeout 240
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
command -v python3 >/dev/null || { echo "no python3 to read JSON"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Every workload, every mode, and the numbers agree with each other.
"$cajal" bench threads=1 batch=2 seconds=0 --json >lines.json
python3 - <<'PYTHON'
import json
lines = [json.loads(line) for line in open("lines.json")]
keys = {"peer", "workload", "mode", "threads", "layout", "batch", "ms", "samples_per_s", "roof_gflops", "gflops",
        "of_roof", "arena_bytes", "reordered_bytes", "kernels", "parameters", "multiply_adds"}
# Parameters as torch_bench.py's networks have them (torch's LSTM has a second bias of 512), and GFLOP of a step as
# counted by hand: forward, and twice that backward, less the first layer's.
networks = {"mlp": (101770, 13.1e6 / 16), "cnn": (34826, 1.825e9 / 64), "lstm": (100618 - 512, 3.356e9 / 32),
            "resnet20": (272474, 31.23e9 / 64), "gpt": (3323648, 21.61e9 / 4), "resnet18": (11689512, 85.19e9 / 4)}
# MB that a training step may move from one layout to another (weights only, so the batch does not matter); inference
# moves none. Lower them when less is moved; never raise them without a reason.
ceilings = {"mlp": 0, "cnn": 0.25, "lstm": 0, "resnet20": 3.5, "gpt": 0, "resnet18": 140}
names = {line["workload"] for line in lines}
assert names == set(networks), names
assert len(lines) == 3 * len(names), lines
for line in lines:
    parameters, flop = networks[line["workload"]]
    assert line["parameters"] == parameters, line
    ceiling = 1e6 * ceilings[line["workload"]] if line["mode"] == "train" else 0
    assert line["reordered_bytes"] <= ceiling, (line, ceiling)
    if line["mode"] == "train":
        assert abs(2 * line["multiply_adds"] / flop - 1) < 0.01, (line, flop)
for line in lines:
    assert keys <= set(line), keys - set(line)
    assert line["peer"].startswith("cajal ") and line["threads"] == 1, line
    assert line["batch"] == (1 if line["mode"] == "infer1" else 2), line
    assert line["ms"] > 0 and line["gflops"] > 0 and line["roof_gflops"] > 0 and line["kernels"] > 0, line
    assert abs(line["of_roof"] - line["gflops"] / line["roof_gflops"]) < 1e-9, line
    assert abs(line["samples_per_s"] - line["batch"] / line["ms"] * 1e3) < 1e-6 * line["samples_per_s"], line
print(len(lines), "measurements of", *sorted(names))
PYTHON

# One workload in one mode has a table, and a trace that viewers load: every event complete, none beside another.
"$cajal" bench mlp mode=train threads=1 batch=2 seconds=0 --trace trace.json >table.txt
grep -q 'kernel  *operator  *layer' table.txt && grep -q '^[0-9].*% of the step is matmul' table.txt || {
    cat table.txt; echo "no table, or no sentence below it"; exit 1; }
"$cajal" bench mlp mode=train threads=1 batch=2 seconds=0 --json --verbose >profile.json
python3 - <<'PYTHON'
import json
trace = json.load(open("trace.json"))
names = [e for e in trace["traceEvents"] if e["ph"] == "M"]
assert [e["args"]["name"] for e in names] == ["mlp train"], names
events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
assert len(events) > 5 and all({"name", "cat", "ts", "dur", "pid", "tid", "args"} <= set(e) for e in events)
end = 0
for e in events:
    assert e["ts"] >= end - 1e-3 and e["dur"] >= 0, e  # microseconds, rounded
    end = e["ts"] + e["dur"]
    assert {"kernel", "layer", "where", "dtype", "shape", "multiply_adds", "bytes"} <= set(e["args"]), e
assert sum(e["args"]["multiply_adds"] for e in events) == 2 * (2 * 784 * 128 + 3 * 128 * 10), "multiply-adds of mlp"
profile = json.load(open("profile.json"))["profile"]
assert any(r["op"] == "matmul" and r["layer"] == "dense backward" for r in profile), profile
assert all(a["ms"] >= b["ms"] for a, b in zip(profile, profile[1:])), "the slowest first"
PYTHON

# The short table is the long one with layers of one kernel, operator and result in one row, forward or backward; the
# fastest rows are counted.
"$cajal" bench resnet20 mode=train threads=1 batch=1 seconds=0 >short.txt
"$cajal" bench resnet20 mode=train threads=1 batch=1 seconds=0 --verbose >long.txt
python3 - <<'PYTHON'
import re
def rows(path):
    lines = open(path).read().split(" result\n")[1].split("\n")
    return [re.fullmatch(r" *[0-9.]+ +[0-9.]+ +(\d+) .{22}  (\S+) +(\S+) +(.*?) +(\w+\[.*\])", l).groups() for l in lines if l.endswith("]")], "\n".join(lines)
each, _ = rows("long.txt")
short, text = rows("short.txt")
groups = {}
for calls, kernel, op, layer, result in each:
    groups.setdefault((kernel, op, result, layer.endswith(" backward")), []).append((int(calls), layer))
left = int(re.search(r"(\d+) rows more: --verbose shows them", text).group(1))
assert len(short) == 20 and len(short) + left == len(groups), (len(short), left, len(groups))
for calls, kernel, op, layer, result in short:
    group = groups[kernel, op, result, layer.endswith(" backward")]
    assert int(calls) == sum(n for n, _ in group), (layer, group)
    names, stem = [name for _, name in group], layer.removesuffix(" backward")
    assert (names == [layer] if len(names) == 1 else stem == "%d layers" % len(names) or stem.endswith("*") and all(
        name.startswith(stem[:-1]) for name in names)), (layer, names)
assert any(len(group) == 6 for group in groups.values()), "six convolutions of a stage"
PYTHON

# The same bits for any number of threads have a price, which is told.
"$cajal" bench mlp mode=infer deterministic=true threads=2 batch=2 seconds=0 | grep -q 'deterministic=true costs [0-9.]* times'

# A model's file: symbols from batch=, indices that are in range, layers by the names in the file.
printf '%s\n' a,b,y 1,2,x 2,1,z 3,5,x 4,4,z 5,1,x 6,2,z >t.csv
"$cajal" train data=t.csv target=y model="dense 4 relu, dense 2 softmax" epochs=1 validation_split=0 out=t --quiet
"$cajal" bench t/last.onnx batch=3 threads=1 seconds=0 --json >model.json
"$cajal" bench t/last.onnx threads=1 seconds=0 >model.txt
grep -q 'infer1' model.txt && grep -q 'matmul' model.txt
"$cajal" bench t/last.onnx mode=train batch=3 threads=1 seconds=0 roof=false --json >train.json
python3 - <<'PYTHON'
import json
infer, train = json.load(open("model.json")), json.load(open("train.json"))
assert infer["mode"] == "infer" and infer["batch"] == 3 and infer["layout"] == "as_saved", infer
assert train["roof_gflops"] == 0 and train["gflops"] > 0, train
PYTHON

# What PyTorch exported: its batch made a symbol, or left where another number depends on it; integers; open sizes.
golden=${CJ_SOURCE_DIR:?}/tests/golden/cli
measures() { # FILE BATCH KEY=VALUE...
    local mode
    for mode in train infer; do
        "$cajal" bench "$golden/$1.onnx" mode=$mode batch=3 threads=1 seconds=0 roof=false --json "${@:3}" >file.json 2>file.err
        python3 -c 'import json, sys; d = json.load(open("file.json")); assert d["batch"] == int(sys.argv[1]) and d["ms"] > 0, d' "$2"
    done
}
measures tune 3
measures tune_lstm 2
measures tune_tokens 3
[[ $(grep -c "the size 'length' is open, and taken as 1: dims.length=N says another" file.err) == 1 ]]
measures tune_tokens 3 dims.length=7
[[ ! -s file.err ]] || { cat file.err; exit 1; }
python3 -c 'import json; d = json.load(open("file.json")); assert d["parameters"] == 2626, d'

# What is wrong is said with what there is.
fails() {
    local status=0
    "$cajal" bench "${@:2}" >out 2>err || status=$?
    [[ $status == "$1" ]] || { cat out err; echo "bench ${*:2}: status $status, expected $1"; exit 1; }
}
fails 2 mlpp
grep -q "unknown workload 'mlpp' (there are mlp" err || { cat err; exit 1; }
fails 1 ./nothing.onnx
fails 1 mlp mode=infer seconds=0 roof=false trace=/nonexistent/trace.json
fails 2 mlp mode=fast
