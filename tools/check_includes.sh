#!/usr/bin/env bash
# check_includes.sh [ROOT] holds every #include of Cajal's own files against the layers of the design;
# check_includes.sh --self-test shows that bad ones are caught.
#
# The table below has one line a layer: its name, a colon, the layers it may include beside itself.
# A file belongs to the layer of the longest matching folder; a public header to the one `public` names.
# Further rules: a backend never sees another backend and only backend/registry.c names them; passes
# never see each other; command, examples and benchmarks see public headers only (bench/internal/ may
# look inside); nothing includes upwards with "../".
set -euo pipefail

layers='
base:
tensor: base
format: base tensor
data: base tensor
graph: base tensor
backend: base tensor graph
runtime: base tensor graph backend
nn: base tensor graph runtime data format
format/picture: base tensor
format/onnx: base tensor graph runtime nn format
format/keras: base tensor graph runtime nn format
format/model: base tensor graph runtime nn format format/onnx format/keras
train: base tensor graph runtime nn data format format/onnx format/keras
explain: base tensor graph runtime nn data format format/onnx train
robust: base tensor graph runtime nn data format format/onnx train
cluster: base tensor graph runtime nn data format format/onnx train
text: base tensor graph runtime nn data format format/onnx train
audio: base tensor graph runtime nn data format format/onnx train
serve: base tensor graph runtime nn data format format/onnx train
dist: base tensor graph runtime nn data format format/onnx train
emit: base tensor graph runtime nn data format format/onnx train
'
# Public headers whose layer is not the one of their name. option.h is the lowest layer although it
# needs the names of dtypes from tensor.h: option tables describe structures, they hold no tensors. recipe.h is low
# too: it holds no tensors either, and data sets have files in YAML beside them.
public='
option.h base
run.h runtime
program.h runtime
session.h runtime
plan.h runtime
profile.h runtime
op.h graph
conv.h graph
image.h graph
pool.h graph
norm.h graph
augment.h nn
layers.h nn
layers_augment.h nn
signal.h graph
sequence.h graph
recurrent.h graph
store.h graph
model.h nn
layer.h nn
loss.h nn
optimizer.h nn
metric.h nn
schedule.h nn
zoo.h nn
detect.h nn
io.h tensor
picture.h tensor
draw.h tensor
onnx.h format/onnx
safetensors.h format
npy.h format
yaml.h format
recipe.h tensor
dataset.h data
loader.h data
fit.h train
extend.h nn
custom.h nn
register.h nn
'

check() { # root
    (
        cd "$1"
        { find src include examples bench -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.inc' \) \
            2>/dev/null || true; } | LC_ALL=C sort | while read -r file; do
            awk -v file="$file" '
                /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
                    text = $0
                    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", text)
                    kind = substr(text, 1, 1)
                    text = substr(text, 2)
                    sub(/[>"].*/, "", text)
                    print file "|" FNR "|" kind "|" text
                }' "$file"
        done
    ) | awk -F'|' -v layers="$layers" -v public="$public" '
        function complain(why) { print $1 ":" $2 ": includes " $4 ": " why; bad++ }
        function layer_of(path,    name, n) {       # path below src/
            n = path
            while (sub(/\/[^\/]*$/, "", n)) if (n in known) return n
            return ""
        }
        function backend_of(path,    part) {        # "cpu" for backend/cpu/x.h, "" for backend/x.h
            if (split(path, part, "/") >= 3 && part[1] == "backend") return part[2]
            return ""
        }
        BEGIN {
            n = split(layers, line, "\n")
            for (i = 1; i <= n; i++) if (split(line[i], part, /: */)) {
                known[part[1]] = 1
                may[part[1], part[1]] = 1
                m = split(part[2], word, " ")
                for (k = 1; k <= m; k++) may[part[1], word[k]] = 1
            }
            n = split(public, line, "\n")
            for (i = 1; i <= n; i++) if (split(line[i], part, " ") == 2) home[part[1]] = part[2]
        }
        {
            from = $1; to = $4
            # Who includes?
            outside = from ~ /^(examples|bench)\// && from !~ /^bench\/internal\//
            if (from ~ /^bench\/internal\//) next
            if (from ~ /^src\/cli\//) outside = 1
            if (from ~ /^include\/cajal\//) {
                if ($3 != "<") { complain("a public header includes <cajal/...> only"); next }
                here = substr(from, 15)
            } else if (from ~ /^src\//) here = substr(from, 5)
            else here = ""
            if (from ~ /^include\//) source = (here in home) ? home[here] : substr(here, 1, length(here) - 2)
            else source = layer_of(here)
            # What is included?
            if (to ~ /\.\./) { complain("no \"..\" in an include"); next }
            if ($3 == "<" && to !~ /^cajal\//) next                   # the system
            if ($3 == "<") {
                header = substr(to, 7)
                if (header == "cajal.h") {
                    if (!outside) complain("the umbrella is for programs, not for the library")
                    next
                }
                if (outside) next
                target = (header in home) ? home[header] : substr(header, 1, length(header) - 2)
                if (here == "cajal.h") next
                if (from ~ /^include\// && here == "option.h" && header == "tensor.h") next
                if (!(target in known)) { complain("unknown public header: name its layer in tools/check_includes.sh"); next }
            } else {
                if (to !~ /\//) {                                     # beside the includer
                    folder = here
                    sub(/\/[^\/]*$/, "", folder)
                    path = folder "/" to
                } else path = to
                if (outside) {
                    if (from ~ /^src\/cli\// && path ~ /^cli\//) next
                    if (from !~ /^src\// && to !~ /\//) next          # helper beside an example
                    complain("only public headers here")
                    next
                }
                target = layer_of(path)
                if (target == "") { complain("belongs to no layer of the table"); next }
            }
            if (source == "") { complain("the including file belongs to no layer of the table"); next }
            if (!(source in known)) { complain("unknown public header: name its layer in tools/check_includes.sh"); next }
            if (!((source, target) in may)) { complain(source " may not see " target); next }
            if ($3 == "<") next
            # Backends and passes.
            if (backend_of(path) != "" && backend_of(here) != backend_of(path) && here != "backend/registry.c") {
                complain(backend_of(here) != "" ? "a backend never sees another" : "only backend/registry.c names backends")
                next
            }
            if (here ~ /^graph\/pass\// && path ~ /^graph\/pass\// && path != "graph/pass/pass.h") {
                own = here
                parent = own # fuse_write.c is a part of fuse.c
                sub(/\.[a-z]*$/, ".h", own)
                sub(/_[a-z]*\.[a-z]*$/, ".h", parent)
                if (path != own && path != parent) complain("passes never see each other")
            }
        }
        END { if (bad) print bad " bad includes"; exit bad > 0 }'
}

self_test() {
    local status=0
    root=$(mktemp -d) # not local: the trap needs it
    trap 'rm -rf "$root"' EXIT
    expect() { # good|bad file include
        rm -rf "${root:?}"/*
        mkdir -p "$root/$(dirname "$2")"
        echo "#include $3" >"$root/$2"
        local found=good
        check "$root" >"$root/output" || found=bad
        if [[ $found != "$1" ]]; then
            echo "self-test: $2 including $3 should be $1"
            status=1
        fi
    }
    expect good src/base/arena.c '"base/arena.h"'
    expect good src/base/arena.c '<stdio.h>'
    expect good src/base/option.h '<cajal/option.h>'
    expect good include/cajal/option.h '<cajal/tensor.h>'
    expect good src/format/npy.c '"tensor/tensor.h"'
    expect good src/format/onnx/read.c '"nn/model.h"'
    expect good src/graph/grad.c '<cajal/graph.h>'
    expect good src/graph/ops/conv.c '"graph/op.h"'
    expect good src/graph/pass/cse.c '"graph/pass/pass.h"'
    expect good src/graph/pass/cse.c '"graph/pass/cse.h"'
    expect good src/backend/registry.c '"backend/cpu/cpu.h"'
    expect good src/backend/cpu/matmul.c '"backend/backend.h"'
    expect good src/backend/cpu/isa_avx2.c '"kernels.inc"'
    expect good src/runtime/plan.c '"backend/backend.h"'
    expect good src/cli/main.c '"cli/command.h"'
    expect good src/cli/main.c '<cajal/cajal.h>'
    expect good examples/xor.c '<cajal/cajal.h>'
    expect good bench/internal/matmul.c '"backend/cpu/cpu.h"'
    expect bad src/base/arena.c '"tensor/tensor.h"'
    expect bad src/base/arena.c '<cajal/graph.h>'
    expect bad src/tensor/tensor.c '"graph/graph.h"'
    expect bad src/data/csv.c '"graph/graph.h"'
    expect bad src/data/csv.c '<cajal/nn.h>'
    expect good src/data/pictures.c '<cajal/picture.h>'
    expect bad src/data/csv.c '"format/npy.h"'
    expect bad src/format/npy.c '"data/csv.h"'
    expect bad src/format/npy.c '"graph/graph.h"'
    expect bad src/format/npy.c '"format/onnx/wire.h"'
    expect bad src/graph/grad.c '"runtime/plan.h"'
    expect bad src/graph/pass/cse.c '"graph/pass/fold.h"'
    expect bad src/graph/ops/exp.c '"backend/backend.h"'
    expect bad src/backend/cpu/matmul.c '"backend/onednn/onednn.h"'
    expect bad src/backend/cpu/matmul.c '"runtime/plan.h"'
    expect bad src/runtime/plan.c '"backend/cpu/cpu.h"'
    expect bad src/nn/dense.c '"backend/backend.h"'
    expect bad src/nn/dense.c '"train/fit.h"'
    expect bad src/train/fit.c '"backend/backend.h"'
    expect bad src/cli/main.c '"nn/model.h"'
    expect bad src/cli/main.c '"base/text.h"'
    expect bad examples/xor.c '"graph/graph.h"'
    expect bad bench/step.c '"backend/cpu/cpu.h"'
    expect bad include/cajal/tensor.h '"tensor/tensor.h"'
    expect bad include/cajal/tensor.h '<cajal/graph.h>'
    expect bad include/cajal/mystery.h '<cajal/base.h>'
    expect bad src/mystery/x.c '"base/arena.h"'
    expect bad src/nn/dense.c '"../graph/graph.h"'
    expect bad src/nn/dense.c '<cajal/cajal.h>'
    ((status == 0)) && echo "self-test: every bad include was caught"
    return $status
}

if [[ ${1-} == --self-test ]]; then
    self_test
else
    check "${1:-$(dirname "$0")/..}"
fi
