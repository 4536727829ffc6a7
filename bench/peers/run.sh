#!/usr/bin/env bash
# Times networks in picodet and in other engines: bench/peers/run.sh [MODEL.safetensors | VARIANT]... [-- IMAGE.jpg...]
# (default: the embedded model). A variant's name stands for it with random weights. ROUNDS (5) and RUNS (20) a round are
# variables of the environment.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment="${PICODET_BENCH_ENV:-target/bench-env}"
target="${CARGO_TARGET_DIR:-target}"
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet numpy safetensors
# A peer that cannot be installed is left out, and the table says so. OpenCV is for the JPEG rows; pnnx converts for ncnn
# by a program of its own, without the packages that its wheel asks for.
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
