#!/usr/bin/env bash
# docs/reference is what `cajal list KIND style=markdown` prints. CAJAL_UPDATE=1 writes it anew.
set -euo pipefail
export LC_ALL=C TERM=dumb
cajal=${CAJAL_COMMAND:?}
pages=${CJ_SOURCE_DIR:?}/docs/reference
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for kind in ops layers activations losses metrics optimizers schedules initializers regularizers constraints networks datasets formats folders; do
  "$cajal" list "$kind" style=markdown >"$work/$kind.md"
  [ "$(grep -c '^## ' "$work/$kind.md")" = "$("$cajal" list "$kind" | grep -c '^[^ ]')" ]
  if [ -n "${CAJAL_UPDATE:-}" ]; then
    mkdir -p "$pages"
    cp "$work/$kind.md" "$pages/$kind.md"
  elif ! diff -u "$pages/$kind.md" "$work/$kind.md"; then
    echo "docs/reference/$kind.md differs from the rows: run this test with CAJAL_UPDATE=1"
    failed=1
  fi
done
# No page of what is no longer a kind.
[ "$(ls "$pages" | wc -l)" = "$(ls "$work" | wc -l)" ] || { echo "docs/reference has other pages"; failed=1; }
exit $failed
