#!/usr/bin/env bash
# format.sh [--all] [FILE...]: brings lines over 100 columns back, and nothing else: clang-format over just
# the statements and comments that hold them, section rulers (/* ---- Title ---- ... */) cut. Rows of
# tables keep the shape their author gave them. --all: clang-format over whole files.
# Without FILE: every file of ours.
set -euo pipefail
cd "$(dirname "$0")/.."
all=false
[[ ${1-} == --all ]] && { all=true; shift; }
files=("$@")
if ((${#files[@]} == 0)); then
    for folder in src include tests examples fuzz bench; do
        [[ -d $folder ]] || continue
        mapfile -t -O ${#files[@]} files < <(find $folder -name '*.[ch]' -o -name '*.cc' -o -name '*.inc' | sort)
    done
fi
command -v clang-format >/dev/null || { echo "format.sh: no clang-format (Debian: clang-format)" >&2; exit 1; }

sed -i -E 's|^(/\* ---- .{89})-+ \*/$|\1 */|' "${files[@]}"
for file in "${files[@]}"; do
    if $all; then
        clang-format -i "$file"
        continue
    fi
    mapfile -t lines < <(LC_ALL=C.UTF-8 awk '{ s = $0; gsub(/[\200-\277]/, "", s) } length(s) > 100 { print "--lines=" FNR ":" FNR }' "$file")
    ((${#lines[@]} == 0)) || clang-format -i "${lines[@]}" "$file"
done
