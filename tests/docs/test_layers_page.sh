#!/usr/bin/env bash
# docs/layers.md names every layer that there is, and no other.
set -euo pipefail
export LC_ALL=C
[[ -n ${CAJAL_COMMAND-} ]] || { echo "needs the command"; exit 77; }
page=$CJ_SOURCE_DIR/docs/layers.md
there=$("$CAJAL_COMMAND" list layers | sed -n 's/^\([a-z][a-z0-9_]*\)$/\1/p' | sort)

# The first column's words; Nd stands for three.
told=$(sed -n 's/^| *\(`[^|]*\)|.*/\1/p' "$page" | grep -o '`[A-Za-z0-9_]*`' | tr -d '`' |
    sed '/Nd/{h;s/Nd/1d/p;g;s/Nd/2d/p;g;s/Nd/3d/}' | sort)
[[ $(wc -l <<<"$there") -gt 40 ]] || { echo "cajal list layers tells too little"; exit 1; }
diff <(echo "$there") <(echo "$told") || { echo "docs/layers.md (>) is not cajal list layers (<)"; exit 1; }
