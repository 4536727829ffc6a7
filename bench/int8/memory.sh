#!/usr/bin/env bash
# Peak memory of `picodet detect` with a float model and with its quantised form, in MB: medians of nine runs.
#
# bench/int8/memory.sh FLOAT.safetensors INT8.safetensors IMAGE
# PICODET: the command (default: the release build)
set -euo pipefail
picodet="${PICODET:-$(dirname "$0")/../../${CARGO_TARGET_DIR:-target}/release/picodet}"

peak() {
    python3 - "$picodet" detect "$2" --model "$1" <<'PYTHON'
import os, statistics, subprocess, sys

def run():
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("picodet detect failed")
    return usage.ru_maxrss / 1024

print(f"{statistics.median(run() for _ in range(9)):.1f}")
PYTHON
}

float=$(peak "$1" "$3")
int8=$(peak "$2" "$3")
echo "f32 $float MB, int8 $int8 MB: $(python3 -c "print(f'{100 * $int8 / $float:.0f} %')")"
