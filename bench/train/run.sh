#!/bin/sh
# Checks and times training steps (forward, assignment and loss, backward, SGD) of the paper's S against PyTorch:
#   bench/train/run.sh [--batch 8] [--size 320] [--threads 1 2] [--rounds 5] [--iterations 5]
# On a GPU, with the feature of its device: PICODET_FEATURES=cuda bench/train/run.sh --device cuda
# Creates a Python environment with PyTorch (3 GB) in target/venv-torch, or uses the one in PICODET_TORCH.
set -eu
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
venv="${PICODET_TORCH:-$target/venv-torch}"
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch numpy
fi
cargo build --release --quiet --package picodet-train --example whole_step --features "${PICODET_FEATURES:-}"
# At real-time priority where that is permitted.
first=""
if chrt -f 10 true 2>/dev/null; then first="chrt -f 10"; fi
exec $first "$venv/bin/python" bench/train/compare.py "$target/release/examples/whole_step" "$@"
