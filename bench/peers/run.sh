#!/usr/bin/env bash
# Times networks in picodet and in other engines: bench/peers/run.sh [MODEL.safetensors | VARIANT]... [-- IMAGE.jpg...]
# (default: the embedded model). A variant name selects the network with random weights. The environment variables ROUNDS (5) and
# RUNS (20, per round) set the number of measurements.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment="${PICODET_BENCH_ENV:-target/bench-env}"
target="${CARGO_TARGET_DIR:-target}"
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet numpy safetensors
# A peer that cannot be installed is skipped and marked in the table. OpenCV is needed for the JPEG rows; pnnx converts models for
# ncnn with a program in its wheel, which does not need the wheel's dependencies.
for package in onnxruntime openvino ncnn MNN opencv-python-headless "--no-deps pnnx"; do
    # shellcheck disable=SC2086
    "$environment/bin/pip" install --quiet $package || echo "$package cannot be installed" >&2
done
cargo build --release --quiet --package picodet-cli
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
rustc -O --edition 2024 -o "$made/handoff" bench/peers/handoff.rs
[ $# -gt 0 ] && [ "$1" != -- ] || set -- crates/picodet/models/layout_cdla.safetensors "$@"
arguments=()
for argument in "$@"; do
    if [ "$argument" != -- ] && [ ! -e "$argument" ]; then
        cargo run --release --quiet --package picodet-detect --example untrained "$argument" "$made/$argument.safetensors"
        argument="$made/$argument.safetensors"
    fi
    arguments+=("$argument")
done
"$environment/bin/python" bench/peers/compare.py "$target/release/picodet" "$made/handoff" "${ROUNDS:-5}" "${arguments[@]}"
