#!/usr/bin/env bash
# Checks exported models with ONNX Runtime: bench/onnx/run.sh MODEL.safetensors... (default: the embedded model)
set -euo pipefail
cd "$(dirname "$0")/../.."
environment="${PICODET_BENCH_ENV:-target/bench-env}"
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet onnx onnxruntime numpy safetensors
cargo build --release --quiet --package picodet-cli
if [ $# -eq 0 ]; then set -- crates/picodet/models/layout_cdla.safetensors; fi
"$environment/bin/python" bench/onnx/check.py target/release/picodet "$@"
