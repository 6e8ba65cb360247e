#!/usr/bin/env bash
# Each public header compiles by itself, as strict C11 and as C++17.
set -euo pipefail
cd "$CJ_SOURCE_DIR/include"
cxx=$(command -v g++ || command -v clang++ || true)
[[ -n $cxx ]] || echo "no C++ compiler: C only"
status=0
for header in cajal/*.h; do
    echo "#include <$header>" | "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror -I. -fsyntax-only -x c - || status=1
    [[ -z $cxx ]] && continue
    echo "#include <$header>" | "$cxx" -std=c++17 -Wall -Wextra -Wpedantic -Werror -I. -fsyntax-only -x c++ - || status=1
done
exit $status
