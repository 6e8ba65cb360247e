# test_annotations.sh: real annotations and masks, every number of them against what Python reads
# with xml.etree and Pillow. The C half is test_annotations.c.
# ctest: slow
set -euo pipefail
data=$CJ_SOURCE_DIR/../shared/datasets
python=/usr/bin/python3
[[ -e $data/bccd/BCCD_voc.tar.xz ]] || { echo "no bccd/BCCD_voc.tar.xz in ../shared/datasets"; exit 77; }
[[ -e $data/membrane/membrane_train.tar ]] || { echo "no membrane/membrane_train.tar in ../shared/datasets"; exit 77; }
$python -c "import numpy, PIL" 2>/dev/null || { echo "no python3 with numpy and Pillow"; exit 77; }
command -v xz >/dev/null || { echo "no xz"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xJf "$data/bccd/BCCD_voc.tar.xz" -C "$work"
tar -xf "$data/membrane/membrane_train.tar" -C "$work"
$python "$CJ_SOURCE_DIR/tests/data/annotations.py" "$work"
CAJAL_ANNOTATIONS=$work "$CJ_BUILD_DIR/tests/data/test_annotations"
