#!/usr/bin/env bash
# The core build: links nothing but libc, libm and threads, and the whole of the library, stripped, is under
# 1.5 MB: a program that holds every member of libcajal.a, at a fixed address, as static programs are: those
# that may lie anywhere have a record of 24 bytes for each pointer in a table, 184 KB. The static command holds
# the C library as well, which is not ours to make smaller: its size is printed.
# ctest: slow
set -euo pipefail
[[ -z ${CJ_SANITIZE-} ]] || { echo "not for sanitizer builds"; exit 77; }
for tool in cmake readelf strip; do
    command -v $tool >/dev/null || { echo "no $tool"; exit 77; }
done
limit=1500000
folder=$CJ_BUILD_DIR/core
mkdir -p "$folder"
run() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }; }
cd "$CJ_SOURCE_DIR"
run cmake --preset core -B "$folder" -DCJ_WERROR=ON
run cmake --build "$folder" --parallel "$(nproc)"

judge() { # what, file
    strip -o "$2.stripped" "$2"
    local size
    size=$(stat -c %s "$2.stripped")
    echo "$1: $size bytes stripped, limit $limit"
    ((size < limit)) || { echo "too large"; exit 1; }
}

echo 'int main(void) { return 0; }' >"$folder/whole.c"
"${CC:-cc}" "$folder/whole.c" -o "$folder/whole" -no-pie -Wl,--whole-archive "$folder/libcajal.a" -Wl,--no-whole-archive -lm -pthread
judge "all of libcajal.a" "$folder/whole"
needed=$(readelf -d "$folder/whole" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p')
echo "needs: ${needed//$'\n'/ }"
other=$(grep -Ev '^(libc|libm|libpthread)\.so\.[0-9]+$|^ld-linux' <<<"$needed" || true)
[[ -z $other ]] || { echo "links more than libc, libm, libpthread: $other"; exit 1; }

if [[ -x $folder/cajal ]]; then
    if readelf -d "$folder/cajal" | grep NEEDED; then echo "the command is not static"; exit 1; fi
    strip -o "$folder/cajal.stripped" "$folder/cajal"
    echo "the static command, C library included: $(stat -c %s "$folder/cajal.stripped") bytes stripped"
    "$folder/cajal" version
fi
