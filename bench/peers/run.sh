#!/usr/bin/env bash
# Times networks in picodet and in other engines: bench/peers/run.sh [MODEL.safetensors...] (default: the embedded model)
set -euo pipefail
cd "$(dirname "$0")/../.."
environment="${PICODET_BENCH_ENV:-target/bench-env}"
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet onnxruntime openvino numpy safetensors
cargo build --release --quiet --package picodet-cli
if [ $# -eq 0 ]; then set -- models/layout_cdla.safetensors; fi
"$environment/bin/python" bench/peers/compare.py target/release/picodet "${ROUNDS:-5}" "$@"
