#!/usr/bin/env bash
# The tests of base, tensor and backend, built for 64-bit ARM and run under qemu-user: NEON kernels included.
# ctest: slow, timeout 1800
set -euo pipefail
[[ -z ${CJ_SANITIZE-} ]] || { echo "not for sanitizer builds"; exit 77; }
for tool in cmake aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v $tool >/dev/null || { echo "no $tool"; exit 77; }
done
[[ -e /usr/aarch64-linux-gnu/include/stdio.h ]] || { echo "no libc6-dev-arm64-cross"; exit 77; }
folder=$CJ_BUILD_DIR/aarch64
mkdir -p "$folder"
cd "$CJ_SOURCE_DIR"
run() { "$@" >"$folder/log" 2>&1 || { tail -n 60 "$folder/log"; exit 1; }; }
run cmake --preset aarch64 -B "$folder" "-DCJ_TEST_AREAS=base;tensor;backend"
run cmake --build "$folder" --parallel "$(nproc)"
ctest --test-dir "$folder" --output-on-failure --no-tests=error --parallel "$(nproc)" 2>&1 | sed 's/^/| /' # so that nobody counts these results as ours
