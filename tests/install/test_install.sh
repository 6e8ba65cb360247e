#!/usr/bin/env bash
# Installs into an empty folder (through DESTDIR, then moved to its place, as a package is) and builds and
# runs an outside C and C++ program against it: by pkg-config, by pkg-config --static, by find_package.
# ctest: slow
set -euo pipefail
export LC_ALL=C
[[ -z ${CJ_SANITIZE-} ]] || { echo "a sanitizer build is not installed"; exit 77; }
for tool in cmake pkg-config readelf nm; do
    command -v $tool >/dev/null || { echo "no $tool"; exit 77; }
done
here=$CJ_SOURCE_DIR/tests/install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
cxx=$(command -v g++ || command -v clang++ || true)
say() { echo "== $*"; }

say "install with DESTDIR"
DESTDIR=$work/stage cmake --install "$CJ_BUILD_DIR" --prefix /opt/cajal >"$work/install.log"
[[ ! -e /opt/cajal/include/cajal/base.h ]] || { echo "DESTDIR was not honoured"; exit 1; }
mv "$work/stage/opt/cajal" "$work/prefix" # elsewhere: nothing installed may know its place
prefix=$work/prefix
(cd "$prefix" && find . -type f -o -type l | sort)
if grep -rlF -e "$CJ_SOURCE_DIR" -e "$CJ_BUILD_DIR" "$prefix/include" "$prefix"/lib*/pkgconfig "$prefix"/lib*/cmake \
    "$prefix"/lib/*/pkgconfig "$prefix"/lib/*/cmake 2>/dev/null
then
    echo "the files above name the build's folders"
    exit 1
fi
libdir=$(dirname "$(find "$prefix" -name libcajal.a)")

say "the shared library: soname and visible symbols"
so=$libdir/libcajal.so
readelf -d "$so" | grep -F 'Library soname: [libcajal.so.0]'
foreign=$(nm -D --defined-only "$so" | awk '$3 !~ /^cj_[^_]/ {print $3}')
[[ -z $foreign ]] || { echo "visible, but not public: $foreign"; exit 1; }

export PKG_CONFIG_PATH=$libdir/pkgconfig
unset PKG_CONFIG_LIBDIR
[[ $(pkg-config --modversion cajal) == "$(sed -n 's/.*VERSION_\(MAJOR\|MINOR\|PATCH\) //p' \
    "$CJ_SOURCE_DIR/include/cajal/base.h" | paste -sd.)" ]] || { echo "cajal.pc: wrong version"; exit 1; }

flags() { pkg-config "$@" cajal; }
say "C, pkg-config"
# shellcheck disable=SC2046
"$cc" -std=c11 -Wall -Wextra -Werror "$here/outside.c" -o "$work/c" $(flags --cflags --libs)
LD_LIBRARY_PATH=$libdir "$work/c"
# Debian has oneDNN as a shared library only: then libcajal.a goes into a dynamic program.
static_flags="-static $(flags --static --cflags --libs)"
if [[ $static_flags = *-ldnnl* && $("$cc" -print-file-name=libdnnl.a) != */* ]]; then
    static_flags=$(flags --static --cflags --libs | sed 's/-lcajal/-l:libcajal.a/')
fi
say "C, pkg-config --static"
# shellcheck disable=SC2086
"$cc" -std=c11 "$here/outside.c" -o "$work/c-static" $static_flags
readelf -d "$work/c-static" | grep -q 'NEEDED.*libcajal' && { echo "not static"; exit 1; }
"$work/c-static"
if [[ -n $cxx ]]; then
    say "C++, pkg-config"
    # shellcheck disable=SC2046
    "$cxx" -std=c++17 -Wall -Wextra -Werror "$here/outside.cc" -o "$work/cc" $(flags --cflags --libs)
    LD_LIBRARY_PATH=$libdir "$work/cc"
    # shellcheck disable=SC2086
    "$cxx" -std=c++17 "$here/outside.cc" -o "$work/cc-static" $static_flags
    "$work/cc-static"
fi

for language in C ${cxx:+CXX}; do
    say "$language, find_package"
    cmake -S "$here" -B "$work/$language" -DLANGUAGE="$language" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" ||
        { cat "$work/log"; exit 1; }
    cmake --build "$work/$language" >"$work/log" || { cat "$work/log"; exit 1; }
    "$work/$language/outside"
    "$work/$language/outside_static"
done

if [[ -x $prefix/bin/cajal ]]; then
    say "the command"
    "$prefix/bin/cajal" version
fi
