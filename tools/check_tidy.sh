#!/usr/bin/env bash
# check_tidy.sh [ROOT] holds the sources against rules that a machine can see; --self-test shows that it
# does. In src/, include/, tests/, examples/, fuzz/ and bench/: no tabs, no blanks at a line's end, no
# line over 100 columns, no file over 1000 lines. In src/ but base/posix.c and cli/: none of the C
# library's calls that reach around the context, print, end the process, or cannot be used safely.
set -euo pipefail

check() { # root
    (
        cd "$1"
        { find src include tests examples fuzz bench -type f \
            \( -name '*.[ch]' -o -name '*.cc' -o -name '*.def' -o -name '*.inc' \) 2>/dev/null || true; } | LC_ALL=C sort | tr '\n' '\0' | LC_ALL=C.UTF-8 xargs -0 -r awk '
        BEGIN {
            # (Comments here hold no apostrophe: the program is one quoted word of the shell.)
            n = split("malloc calloc realloc free strdup strndup aligned_alloc posix_memalign fopen freopen " \
                "tmpfile printf vprintf puts putchar perror getenv setenv time clock clock_gettime " \
                "gettimeofday localtime gmtime abort exit _exit quick_exit atexit setlocale signal raise " \
                "system popen strtok strcpy strcat sprintf vsprintf gets atoi atol atof rand srand " \
                "alloca longjmp assert", word, " ")
            for (i = 1; i <= n; i++) banned[word[i]] = 1
            allowed["src/base/environment.c", "getenv"] = 1   # the one place that reads the environment
            allowed["src/format/picture/png.c", "longjmp"] = 1  # libpng and libjpeg report errors
            allowed["src/format/picture/jpeg.c", "longjmp"] = 1 # in no other way
            banned_name["stdout"] = banned_name["stderr"] = banned_name["stdin"] = 1
        }
        function complain(why) { print FILENAME ":" FNR ": " why; bad++ }
        # The length in characters, whether this awk counts bytes or not.
        function columns(s) { gsub(/[\200-\277]/, "", s); return length(s) }
        # The line without comments, strings and character constants; in_comment lasts across lines.
        function code(s,    out, c, two) {
            out = ""
            while (s != "") {
                if (in_comment) {
                    if (!match(s, /\*\//)) return out
                    s = substr(s, RSTART + 2)
                    in_comment = 0
                    continue
                }
                c = substr(s, 1, 1)
                two = substr(s, 1, 2)
                if (two == "/*") { in_comment = 1; s = substr(s, 3); out = out " " }
                else if (two == "//") return out
                else if (c == "\"" && match(s, /^"(\\.|[^"\\])*"/)) { s = substr(s, RLENGTH + 1); out = out "\"\"" }
                else if (c == "\047" && match(s, /^\047(\\.|[^\047\\])*\047/)) { s = substr(s, RLENGTH + 1); out = out "0" }
                else if (match(s, /^[^\/"\047]+/)) { out = out substr(s, 1, RLENGTH); s = substr(s, RLENGTH + 1) }
                else { out = out c; s = substr(s, 2) }
            }
            return out
        }
        FNR == 1 {
            in_comment = 0
            library = FILENAME ~ /^src\// && FILENAME !~ /^src\/cli\// && FILENAME != "src/base/posix.c"
        }
        FNR == 1001 { complain("more than 1000 lines: split the file") }
        /\t/ { complain("a tab") }
        /[ \t\r]$/ { complain("blanks at the end of the line") }
        { if (length($0) > 100 && columns($0) > 100) complain("more than 100 columns (" columns($0) ")") }
        library {
            rest = code($0)
            if (rest ~ /^[ \t]*#[ \t]*include/) next
            previous = ""
            while (match(rest, /[A-Za-z_][A-Za-z_0-9]*/)) {
                name = substr(rest, RSTART, RLENGTH)
                before = previous substr(rest, 1, RSTART - 1)
                rest = substr(rest, RSTART + RLENGTH)
                previous = "a"
                # Members (x.free, x->free) and declarations through a pointer, (*free)(...), are our own.
                member = before ~ /(\.|->)[ \t]*$/
                if ((name in banned) && rest ~ /^[ \t]*\(/ && !member && !((FILENAME, name) in allowed))
                    complain(name "() in the library: go through the context (base/context.h, base/file.h)")
                else if (name in banned_name && !member)
                    complain(name " in the library")
            }
        }
        END { if (bad) print bad " lines to tidy"; exit bad > 0 }'
    )
}

self_test() {
    local status=0
    root=$(mktemp -d) # not local: the trap needs it
    trap 'rm -rf "$root"' EXIT
    expect() { # good|bad file text
        rm -rf "${root:?}"/*
        mkdir -p "$root/$(dirname "$2")"
        printf '%b\n' "$3" >"$root/$2"
        local found=good
        check "$root" >"$root/output" || found=bad
        if [[ $found != "$1" ]]; then
            echo "self-test: $2 holding '$3' should be $1"
            status=1
        fi
    }
    local hundred
    hundred=$(printf '%100s' '' | tr ' ' x)
    expect good src/base/a.c 'cj_free(cj, p); cj__free(cj, p, 1); x->free(x); t.free(x); runtime(1);'
    expect good src/base/a.c '/* malloc(1) */ s = "free(x)"; // exit(1)'
    expect good src/base/a.c '/* a\n malloc(1) */'
    expect good src/base/a.c "c = '\"'; d = '\\\\\\\\''; x(); /* abort() */"
    expect good src/base/a.c 'void (*free)(struct x *object);'
    expect good src/base/a.c 'fprintf(to, "x"); int time = 3;'
    expect good src/base/posix.c 'p = malloc(1);'
    expect good src/cli/main.c 'printf("x"); exit(1);'
    expect good tests/a/test_a.c 'p = malloc(1);'
    expect good src/base/a.c "$hundred"
    expect good src/base/a.c "/* ${hundred:0:93}é */"
    expect bad src/base/a.c 'p = malloc(1);'
    expect bad src/base/a.c 'p = (char *)realloc (p, 1);'
    expect bad src/base/a.c '/* x */ free(p);'
    expect bad src/base/a.c 's = "/*"; free(p);'
    expect bad src/base/a.c 'x = free(p) + y;'
    expect bad src/base/a.c 'exit(1);'
    expect bad src/base/a.c 'fprintf(stderr, "x");'
    expect bad src/nn/a.c 'f = fopen("x", "r");'
    expect bad src/nn/a.c 'v = getenv("HOME");'
    expect bad src/nn/a.h 'strtok(s, ",");'
    expect bad src/base/a.c '\tx();'
    expect bad src/base/a.c 'x(); '
    expect bad tests/a/test_a.c "x$hundred"
    expect bad src/base/a.c "$(printf 'x\\n%.0s' {1..1001})"
    ((status == 0)) && echo "self-test: every untidy line was caught"
    return $status
}

if [[ ${1-} == --self-test ]]; then
    self_test
else
    check "${1:-$(dirname "$0")/..}"
fi
