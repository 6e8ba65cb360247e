#!/usr/bin/env bash
# setup.sh [build|run|test|all]: makes sure that what the build, `make run` or `make test` needs is here.
# As root on Debian (or a relative with apt-get) it says what it is about to install and why, and does;
# anywhere else it says exactly what is missing and how to go on without. Exit status 1: something
# required is missing.
set -euo pipefail

group=${1:-run}
case $group in
    build | run | test | all) ;;
    *) echo "usage: tools/setup.sh [build|run|test|all]" >&2; exit 2 ;;
esac

# group|package|required or optional|how to see that it is there|what it is for|how to go on without
#   cmd NAME: a command;  inc HEADER: a C header;  lib PYTHON_MODULE;  file PATH
packages='
build|cmake|required|cmd cmake|configures the build|-
build|gcc|required|cmd cc|C compiler|-
build|libc6-dev|required|inc stdio.h|C library headers|-
build|ninja-build|optional|cmd ninja|faster builds|make is used instead
build|zlib1g-dev|optional|inc zlib.h|compressed data sets (.gz) and .npz files|CMAKE_FLAGS=-DCJ_ZLIB=OFF
build|libyaml-dev|optional|inc yaml.h|recipes (.yaml)|CMAKE_FLAGS=-DCJ_YAML=OFF
build|libpng-dev|optional|inc png.h|PNG pictures|CMAKE_FLAGS=-DCJ_PNG=OFF
build|libjpeg62-turbo-dev|optional|inc jpeglib.h|JPEG pictures|CMAKE_FLAGS=-DCJ_JPEG=OFF
build|libdnnl-dev|optional|inc oneapi/dnnl/dnnl.h|the fastest convolutions and matrix products|CMAKE_FLAGS=-DCJ_DNNL=OFF
run|dataset-fashion-mnist|optional|file /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz|the pictures that `make run` learns from|put the four .gz files of Fashion-MNIST into ~/.cache/cajal/fashion-mnist
test|libcmocka-dev|required|inc cmocka.h|unit tests|CMAKE_FLAGS=-DCJ_OWN_CMOCKA=ON
test|g++|optional|cmd c++|checks that C++ programs can use the library|that test is skipped
test|pkg-config|optional|cmd pkg-config|checks the installed library|that test is skipped
test|binutils|optional|cmd readelf|checks size and symbols|that test is skipped
test|xz-utils|optional|cmd xz|unpacks test data sets|tests on them are skipped
test|python3|optional|cmd python3|cross checks against other programs|those tests are skipped
test|python3-numpy|optional|lib numpy|cross check of .npy files|that test is skipped
test|python3-onnx|optional|lib onnx|cross check of .onnx files|that test is skipped
test|python3-yaml|optional|lib yaml|cross check of recipes|that test is skipped
test|gcc-aarch64-linux-gnu|optional|cmd aarch64-linux-gnu-gcc|cross build of the NEON kernels|that test is skipped
test|libc6-dev-arm64-cross|optional|file /usr/aarch64-linux-gnu/include/stdio.h|cross build of the NEON kernels|that test is skipped
test|qemu-user|optional|cmd qemu-aarch64|runs the NEON kernels|that test is skipped
'

wanted() { # is a row of group $1 part of what was asked for?
    case $group:$1 in
        all:* | *:build | run:run | test:run | test:test) return 0 ;;
        *) return 1 ;;
    esac
}

there() { # kind, name
    case $1 in
        cmd) command -v "$2" >/dev/null 2>&1 || { [[ $2 == cc ]] && command -v gcc >/dev/null 2>&1; } ;;
        inc) echo "#include <$2>" | "${CC:-cc}" -E -x c - >/dev/null 2>&1 ||
                 find /usr/include /usr/local/include -maxdepth 1 -name "$2" 2>/dev/null | grep -q . ;;
        lib) python3 -c "import importlib.util as u, sys; sys.exit(u.find_spec('$2') is None)" 2>/dev/null ;;
        file) [[ -e $2 ]] ;;
    esac
}

debian=false
if [[ -e ${CAJAL_DEBIAN_VERSION:-/etc/debian_version} ]] && command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
then
    debian=true
fi

missing=() lines=() required=()
while IFS='|' read -r row package need probe purpose without; do
    [[ -n $row ]] && wanted "$row" || continue
    if $debian; then
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] && continue
    fi
    # A program installed by hand is as good as the package.
    there "${probe%% *}" "${probe#* }" && continue
    missing+=("$package")
    line="  $package: $purpose ($need"
    [[ $without == - ]] || line+="; without it: $without"
    lines+=("$line)")
    [[ $need == required ]] && required+=("$package")
done <<<"$packages"

((${#missing[@]})) || exit 0

if $debian && [[ $(id -u) == 0 ]]; then
    echo "Installing with apt-get what is missing for \`$group\`:"
    printf '%s\n' "${lines[@]}"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if { apt-get -q update && apt-get -q -y --no-install-recommends install "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        echo "Installed ${#missing[@]} packages."
        exit 0
    fi
    tail -n 20 "$log" >&2
    echo "apt-get failed; trying the packages one by one." >&2
    failed=() fatal=false
    for package in "${missing[@]}"; do
        apt-get -q -y --no-install-recommends install "$package" >"$log" 2>&1 </dev/null && continue
        failed+=("$package")
        [[ " ${required[*]-} " == *" $package "* ]] && fatal=true
    done
    ((${#failed[@]})) || exit 0
    echo "could not install: ${failed[*]}" >&2
    $fatal && exit 1
    exit 0
fi

{
    echo "Missing for \`$group\` (names of Debian's packages):"
    printf '%s\n' "${lines[@]}"
    if $debian; then
        echo "As root: apt-get install --no-install-recommends ${missing[*]}"
    fi
    if ((${#required[@]})); then
        echo "Cannot go on without: ${required[*]}"
    fi
} >&2
((${#required[@]} == 0))
