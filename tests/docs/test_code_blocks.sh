#!/usr/bin/env bash
# Every code block of README.md and docs/ is true: it compiles and runs. Its first line says what it is.
#
#   ```c            a program (it has main): compiled against the static library, run in an empty folder
#   ```c fragment   statements: compiled inside a function, with prelude.h before it
#   ```c++          statements, the same from C++
#   ```yaml         a recipe: trained for one epoch on 2000 samples
#   ```sh           commands, one a line: each must succeed, in an empty folder
#   ```console      not run: needs root, a fresh clone, or ends where it will
#
# An example that needs data which are not there is skipped with a word, the rest is run.
# ctest: timeout 300
set -uo pipefail
export LC_ALL=C OMP_WAIT_POLICY=passive # waiting threads must not spin on a busy machine
source=$CJ_SOURCE_DIR
library=$CJ_BUILD_DIR/libcajal.a
[[ -z ${CJ_SANITIZE-} && -e $library ]] || { echo "needs the static library of a plain build"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$source/tests/docs

# The libraries that the build found, from its own pkg-config file when there is one.
libraries=$(sed -n 's/^Libs.private: *//p' "$CJ_BUILD_DIR"/cajal.pc 2>/dev/null)
[[ -n $libraries ]] || libraries="-fopenmp -lz -lyaml -lm -lpthread"
read -ra libraries <<<"$libraries"
flags=(-std=c11 -Wall -Wextra -Werror "-I$source/include" "-I$here")

fashion=false
for root in "${CAJAL_DATA-}" "$HOME/.cache/cajal" /usr/share/datasets; do
    [[ -n $root && -e $root/fashion-mnist/train-images-idx3-ubyte.gz ]] && fashion=true
done
if [[ -n ${CAJAL_COMMAND-} ]]; then
    mkdir "$work/bin"
    ln -s "$CAJAL_COMMAND" "$work/bin/cajal"
    export PATH=$work/bin:$PATH
fi

# One file a block: NNN.LANGUAGE, with NNN.where beside it.
extract='
FNR == 1 { inside = 0 }
/^```[a-z]/ && !inside {
    inside = 1; language = substr($0, 4); gsub(/ /, "-", language)
    name = sprintf("%s/%03d", dir, ++n)
    print FILENAME ":" FNR >(name ".where"); close(name ".where")
    next
}
/^```$/ && inside { inside = 0; printf "" >>(name "." language); close(name "." language); next }
inside { print >(name "." language) }
/^```$/ && !inside { print FILENAME ":" FNR ": a code block that does not say its language"; bad = 1 }
END { exit bad }'

# A block that only fetches data would prove nothing, so those without data are told apart.
needs_fashion() { grep -q fashion-mnist "$1"; }
run_program() { "$CC_" "${flags[@]}" "$1" -o "$1.exe" "$library" "${libraries[@]}" && "$1.exe"; }
check() { # language, file
    case $1 in
        c) run_program "$2" ;;
        c-fragment)
            { echo '#include "prelude.h"'; echo 'void fragment(void)'; echo '{'; cat "$2"; echo '}'; } >"$2.c"
            "$CC_" "${flags[@]}" -Wno-unused-variable -Wno-unused-but-set-variable -Wno-unused-parameter -c "$2.c" -o "$2.o" ;;
        c++)
            { echo '#include "prelude.h"'; echo 'void fragment();'; echo 'void fragment() {'; cat "$2"; echo '}'; } >"$2.cc"
            command -v c++ >/dev/null || return 0
            c++ -std=c++17 -Wall -Wextra -Werror -Wno-unused-variable "-I$source/include" "-I$here" -c "$2.cc" -o "$2.o" ;;
        yaml) cajal train "$2" epochs=1 limit=2000 out=run --quiet ;;
        sh)
            while IFS= read -r line; do
                [[ -z $line || $line == \#* ]] && continue
                echo "\$ $line"
                bash -c "$line" || return 1
            done <"$2" ;;
        console) return 0 ;;
        *) echo "no such kind of block: $1"; return 1 ;;
    esac
}

CC_=${CC:-cc}
mkdir "$work/blocks"
mapfile -t pages < <(cd "$source" && find README.md docs -name '*.md' | sort)
failed=0 passed=0 skipped=0
(cd "$source" && awk -v dir="$work/blocks" "$extract" "${pages[@]}") || failed=1
for where in "$work"/blocks/*.where; do
    block=$(find "$work/blocks" -name "$(basename "$where" .where).*" ! -name '*.where')
    language=${block##*/???.} place=$(cat "$where")
    [[ $language == console ]] && continue
    if { [[ $language != c-fragment ]] && ! $fashion && needs_fashion "$block"; } ||
       { [[ $language == sh || $language == yaml ]] && [[ -z ${CAJAL_COMMAND-} ]]; }
    then
        echo "skipped $place ($language): no data or no command here"
        ((++skipped))
        continue
    fi
    if [[ $language == c ]]; then mv "$block" "${block%.c}.program.c"; block=${block%.c}.program.c; fi
    mkdir "$work/empty"
    if (cd "$work/empty" && check "$language" "$block") >"$work/log" 2>&1 </dev/null; then
        ((++passed))
    else
        echo "FAILED $place ($language)"
        sed 's/^/    /' "$work/log" | tail -n 40
        failed=1
    fi
    rm -rf "$work/empty"
done
echo "$passed blocks pass, $skipped skipped"
((passed > 0 || skipped > 0)) || { echo "no code block was found"; exit 1; }
exit $failed
