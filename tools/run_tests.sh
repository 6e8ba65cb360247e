#!/usr/bin/env bash
# run_tests.sh BUILD_DIR [ctest argument...]: runs ctest, says what failed, and ends with one line
# "N passed, M failed". Fails when a test failed or none ran. FAILFAST=1 stops at the first failure.
set -uo pipefail
folder=${1:?usage: run_tests.sh BUILD_DIR [ctest argument...]}
shift
log=$folder/tests.log
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
ctest --test-dir "$folder" --output-on-failure --no-tests=error -j "$jobs" \
    ${FAILFAST:+--stop-on-failure} "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# Only ctest's own summary, the last thing it prints, is counted: what tests print stands before it.
#   75% tests passed, 1 tests failed out of 5
#   The following tests did not run:        a tab, "  4 - base/skip (Skipped)"
#   The following tests FAILED:             a tab, "  3 - base/hang (Timeout)"
awk -v status="$status" '
    /^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+$/ {
        failed = $4
        total = $NF
        skipped = 0
        skips = fails = ""
        seen = 1
    }
    /^The following tests / { list = $NF }
    seen && /^\t *[0-9]+ - / {
        if (list == "FAILED:") fails = fails "\n  " $3 " " $4 " " $5
        else { skipped++; skips = skips " " $3 }
    }
    END {
        passed = total - failed - skipped
        print ""
        if (passed + failed == 0 || (status != 0 && failed == 0)) {
            print "no test ran, or ctest itself failed (status " status ")"
            failed = 1
        }
        if (skipped) print skipped " skipped:" skips
        if (fails) print "failed:" fails "\n(the whole output: above, and in " FILENAME ")"
        print (passed + 0) " passed, " (failed + 0) " failed"
        exit failed > 0
    }' "$log"
