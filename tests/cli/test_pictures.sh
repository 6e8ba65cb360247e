# test_pictures.sh: from folders of pictures to a model and its five likeliest classes.
set -u
cajal=${CAJAL_COMMAND:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "$1"; cat out err; exit 1; }
run() { "$cajal" "$@" >out 2>err || fail "failed: cajal $*"; }
refuse() { # status, part of the message, command
    local status=$1 part=$2; shift 2
    "$cajal" "$@" >out 2>err
    local got=$?
    [[ $got == "$status" ]] || fail "status $got, expected $status: cajal $*"
    grep -qF -- "$part" err || fail "expected '$part': cajal $*"
}

# Dark, middle and bright pictures of several sizes; PGM needs no library.
for class in bright dark middle; do
    for part in train test; do
        mkdir -p "pets/$part/$class"
        for i in 1 2 3 4 5 6 7 8; do
            case $class in dark) v=$((i * 4)) ;; middle) v=$((120 + i)) ;; bright) v=$((230 + i)) ;; esac
            h=$((4 + i % 3)) w=$((5 + i % 2))
            { echo "P2 $w $h 255"; for ((k = 0; k < h * w; k++)); do echo "$v"; done; } >"pets/$part/$class/$i.pgm"
        done
    done
done

run train data=./pets size=4x6 resize=crop model="flatten, dense 16 relu, dense 3 softmax" epochs=60 \
    learning_rate=0.02 batch_size=6 out=run --quiet --json
run evaluate run/best.onnx data=./pets --json
grep -q '"accuracy": *1[,}.]*' out || fail "not learnt"
# A folder with some of the classes: they keep their numbers.
mkdir few && cp -r pets/test/dark pets/test/middle few/
run evaluate run/best.onnx data=./few --json
grep -q '"accuracy": *1[,}.]*' out || fail "classes have other numbers in another folder"
mkdir few/cow && cp pets/test/dark/1.pgm few/cow/
refuse 1 "few/cow: is the folder of a class" evaluate run/best.onnx data=./few
run predict run/best.onnx pets/test/dark/3.pgm pets/test/bright/2.pgm
[[ $(wc -l <out) == 2 ]] || fail "expected two lines"
[[ $(cut -f1,2 out | tr '\n\t' ', ') == "pets/test/dark/3.pgm dark,pets/test/bright/2.pgm bright," ]] || fail "other classes"
[[ $(head -1 out | tr '\t' '\n' | wc -l) == 7 ]] || fail "expected three classes a picture"
run predict run/best.onnx pets/test/middle/1.pgm --json
grep -q '"picture": *"pets/test/middle/1.pgm"' out && grep -q '"top"' out || fail "no picture or top in JSON"
run predict run/best.onnx data=./pets limit=6
[[ $(wc -l <out) == 6 ]] || fail "expected six lines"
grep -aq '"resize":"crop"' run/best.onnx || fail "the model does not know how pictures came to their size"

# Sheets: as PPM, which needs no library; the last word of the header line is 255, then pixels.
run predict run/best.onnx data=./pets limit=6 grid=sheet.ppm
[[ $(wc -l <out) == 6 && $(head -c 2 sheet.ppm) == P6 ]] || fail "no sheet of a data set"
run predict run/best.onnx pets/test/dark/3.pgm pets/test/bright/2.pgm grid=two.ppm
[[ $(head -2 two.ppm | tail -1) == "216 "* ]] || fail "two tiles of 96 are not beside each other"
run train data=./pets size=4x6 restore_input=true model="flatten, dense 72 sigmoid, reshape 4 6 3" epochs=2 out=auto
run predict auto/best.onnx data=./pets limit=3 grid=restored.ppm
[[ $(head -c 2 restored.ppm) == P6 ]] || fail "no sheet of what is restored"
# Masks: the right half of each picture is bright, and of class 1.
for part in train test; do
    mkdir -p "cells/$part/image" "cells/$part/label"
    for i in 1 2 3 4; do
        { echo "P2 8 8 255"; for ((k = 0; k < 64; k++)); do echo $((k % 8 < 4 ? 10 + i : 200 + i)); done; } \
            >"cells/$part/image/$i.pgm"
        { echo "P2 8 8 255"; for ((k = 0; k < 64; k++)); do echo $((k % 8 < 4 ? 0 : 255)); done; } \
            >"cells/$part/label/$i.pgm"
    done
done
run train data=./cells model="unet(width=0.1, depth=1)" epochs=30 learning_rate=0.02 validation_split=0 out=masks --quiet
run evaluate masks/last.onnx data=./cells metrics=mean_iou --json
grep -q '"mean_iou": *1[,}.]*' out || fail "halves are not told apart"
run predict masks/last.onnx data=./cells grid=masks.ppm
[[ $(head -c 2 masks.ppm) == P6 ]] || fail "no sheet of masks"

# Boxes: one bright square in each picture.
mkdir -p dots/Annotations dots/JPEGImages
for i in 1 2 3 4 5 6; do
    { echo "P2 32 32 255"
      for ((k = 0; k < 1024; k++)); do
          x=$((k % 32)) y=$((k / 32))
          echo $((x >= 2 * i && x < 2 * i + 12 && y >= i && y < i + 12 ? 250 : 5))
      done; } >dots/JPEGImages/$i.pgm
    echo "<annotation><filename>$i.pgm</filename><size><width>32</width><height>32</height><depth>1</depth></size>
<object><name>dot</name><bndbox><xmin>$((2 * i))</xmin><ymin>$i</ymin><xmax>$((2 * i + 12))</xmax>
<ymax>$((i + 12))</ymax></bndbox></object></annotation>" >dots/Annotations/$i.xml
done
run train data=./dots model="detector(width=0.1)" epochs=2 validation_split=0 out=boxes --quiet
run predict boxes/last.onnx dots/JPEGImages/1.pgm score=0.001 grid=boxes.ppm
grep -q "dots/JPEGImages/1.pgm.dot" out && [[ $(head -c 2 boxes.ppm) == P6 ]] || fail "no boxes"
if "$cajal" predict boxes/last.onnx dots/JPEGImages/1.pgm dots/JPEGImages/2.pgm draw=drawn >out 2>err; then
    [[ $(ls drawn) == "1.png"$'\n'"2.png" ]] || fail "two pictures are not drawn"
    refuse 1 "drawn/1.png: is there already" predict boxes/last.onnx dots/JPEGImages/1.pgm draw=drawn
    run predict boxes/last.onnx dots/JPEGImages/1.pgm draw=drawn --overwrite
    run predict masks/last.onnx data=./cells limit=1 draw=drawn
    [[ -s drawn/000000.png ]] || fail "a sample's mask is not drawn"
else
    grep -q "is without" err || fail "boxes are not drawn"
fi
refuse 2 "the model gives no boxes, masks or pictures" predict run/best.onnx data=./pets draw=drawn
refuse 1 "sheet.ppm/x: cannot be made" predict masks/last.onnx data=./cells draw=sheet.ppm/x

refuse 2 "sheet.gif: pictures are written as" predict run/best.onnx data=./pets grid=sheet.gif
refuse 1 "none/sheet.ppm" predict run/best.onnx data=./pets grid=none/sheet.ppm
echo 'a,b,c' >table.csv
for i in 1 2 3 4 5 6 7 8 9; do echo "$i,$((i * 2)),$((i % 2))"; done >>table.csv
run train data=./table.csv model="dense 2 softmax" epochs=1 validation_split=0 out=table
refuse 3 "samples are no pictures" predict table/best.onnx table.csv grid=sheet.ppm

refuse 1 "'size' brings all to one" train data=./pets model="flatten, dense 3 softmax" epochs=1 out=no
refuse 2 "size: expected pixels such as 64 or 48x64" train data=./pets size=big model="dense 3" out=no
refuse 2 "expected one of stretch|crop|pad" train data=./pets size=4 resize=cropp model="dense 3" out=no
echo "no picture" >bad.png
refuse 1 "bad.png" predict run/best.onnx bad.png
refuse 2 "expected one input, or pictures only" predict run/best.onnx pets/test/dark/3.pgm x.csv
refuse 1 "none.pgm" predict run/best.onnx none.pgm
cp bad.png pets/train/dark/9.pgm
refuse 1 "dark/9.pgm" train data=./pets size=4 model="flatten, dense 3 softmax" epochs=1 out=stopped
run train data=./pets size=4 colour=grey on_bad_sample=skip model="flatten, dense 3 softmax" epochs=1 out=skipped
grep -q "1 of 25 pictures cannot be read" err || fail "bad pictures are not counted"

# A folder's own part for validation is used and named; the key overrules it. A run that goes on keeps to it.
mkdir pets/val && cp -r pets/test/dark pets/test/bright pets/val/
rm pets/train/dark/9.pgm
pets=(data=./pets size=4 "model=flatten, dense 3 softmax" batch_size=6)
run train "${pets[@]}" epochs=1 out=validated workers=3
grep -q "./pets has a part for validation, 16 samples, which are used" err || fail "the part for validation is not named"
grep -q "val_accuracy" validated/results.csv || fail "no val_accuracy"
! grep -q "validation_split" validated/args.yaml || fail "validation_split is written"
run train resume=validated epochs=2
[[ $(wc -l <validated/results.csv) == 3 ]] || fail "not resumed"
run train "${pets[@]}" epochs=2 out=other workers=1 --quiet
cmp <(cut -d, -f1,4- validated/results.csv) <(cut -d, -f1,4- other/results.csv) || fail "workers or resume change the result"
run train "${pets[@]}" epochs=1 out=split validation_split=0.25
! grep -q "part for validation" err || fail "validation_split does not overrule the part"
run train "${pets[@]}" epochs=1 out=none validation_split=0
! grep -q "val_accuracy" none/results.csv || fail "validation_split=0 validates"
refuse 2 "workers=65: expected" train "${pets[@]}" epochs=1 out=none workers=65

# A table of pictures; paths count from where it lies.
{ echo "file,size,shade"; for c in dark bright; do for i in 1 2 3 4 5 6; do echo "train/$c/$i.pgm,$i,$c"; done; done; } >pets/list.csv
run train data=./pets/list.csv pictures=file target=shade size=4 model="flatten, dense 2 softmax" epochs=60 \
    learning_rate=0.02 batch_size=6 validation_split=0 out=listed
grep -q "pictures=file" err || fail "the next command does not name the pictures"
run evaluate listed/best.onnx data=./pets/list.csv pictures=file target=shade --json
grep -q '"accuracy": *1[,}.]*' out || fail "the list is not learnt"
run predict listed/best.onnx data=./pets/list.csv pictures=file limit=2
[[ $(wc -l <out) == 2 ]] || fail "expected two lines of the list"
refuse 1 "pictures: there is no column 'fil'" train data=./pets/list.csv pictures=fil model="dense 2" out=no
echo "pictures work"
