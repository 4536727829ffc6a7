#!/bin/sh
# Times a training step (forward and backward) of the paper's S against PyTorch:
#   bench/train/run.sh [--batch 8] [--size 320] [--threads 1] [--rounds 5] [--iterations 3]
# Makes a Python environment with PyTorch (3 GB) in target/venv-torch, or takes the one that PICODET_TORCH names.
set -eu
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
venv="${PICODET_TORCH:-$target/venv-torch}"
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch numpy
fi
cargo build --release --quiet --package picodet-gradient --example step
exec "$venv/bin/python" bench/train/compare.py "$target/release/examples/step" "$@"
