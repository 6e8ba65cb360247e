#!/usr/bin/env bash
# A model of Keras is judged by the loss and the metrics it was compiled with, and trained on with its loss.
# Expected is what its one dense layer, y = x1 + 2 x2 - x3 / 2 + 1/4, gives by hand: errors 1/4, 15/4, 1/4; and the
# price of its kernel, 0.1 (1 + 4 + 1/4) = 0.525, in the loss.
# ctest: timeout 60
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
golden=${CJ_SOURCE_DIR:?}/tests/golden/keras
"$cajal" version | grep -q zlib || { echo "a build without zlib, as the core is, which reads no Keras"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
printf 'a,b,c,y\n1,2,3,4\n0,-1,2,1\n2,0,0,2\n' > three.csv

says() { grep -qF -- "$2" "$1" || { echo "$1 does not say: $2"; cat "$1"; exit 1; }; }

for kind in h5 keras; do
    "$cajal" evaluate "$golden/table.$kind" data=./three.csv >out.txt 2>err.txt || { cat err.txt; exit 1; }
    says out.txt "loss: 1.9417" # 17/12 + 0.525
    says out.txt "mse: 4.7292"  # 227/48
    says err.txt "the file names its loss: mae"
done
"$cajal" evaluate "$golden/table.keras" data=./three.csv loss=mse >out.txt 2>err.txt
says out.txt "loss: 5.2542"
! grep -q "names its loss" err.txt || { echo "loss=mse is given, and the file's is told"; exit 1; }
"$cajal" train from="$golden/table.keras" data=./three.csv epochs=1 validation_split=0 out=run >out.txt 2>err.txt
says err.txt "the file names its loss: mae"
says run/args.yaml "loss: mae"

# Its weights are for the columns as they are: training begins with the loss that evaluate told.
"$cajal" train from="$golden/table.keras" data=./three.csv epochs=1 validation_split=0 optimizer=sgd learning_rate=1e-12 \
    out=still >out.txt 2>err.txt
says err.txt "columns go to the model as they are, not standardised"
"$cajal" evaluate still/last.onnx data=./three.csv >out.txt 2>err.txt
says out.txt "loss: 1.9417"

# Texts of numpy's U become the bytes that a model with a TextVectorization takes: the, cat and grün are 2, 3, 4.
"$cajal" run "$golden/learned.keras" --inputs "$golden/texts.npy" --output-dir texts >out.txt
says out.txt "places	i64[10, 4]"
says out.txt "weighed	f32[10, 6]"
"$cajal" predict "$golden/learned.keras" "$golden/texts.npy" >out.txt 2>err.txt
printf '%s\n' "2	3	2	3" "1	1	0	0" "0	0	0	0" "0	0	0	0" "4	4	1	0" "1	1	0	0" "1	1	0	0" "2	2	2	2" \
    "1	1	0	0" "3	0	0	0" >expected.txt
diff out.txt expected.txt
