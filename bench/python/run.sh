#!/usr/bin/env bash
# Measures the Python package and ONNX Runtime with the same network: bench/python/run.sh [MODEL.safetensors]
# (default: the embedded default model). The environment variable ROUNDS (40) sets the number of measurements. It builds the wheel in the
# release profile, unless WHEEL names one.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment="${PICODET_BENCH_ENV:-target/python-bench-env}"
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet maturin numpy onnxruntime opencv-python-headless
if [ -z "${WHEEL:-}" ]; then
    rm -rf target/python-wheel
    "$environment/bin/maturin" build --quiet --release --manifest-path bindings/python/Cargo.toml --out target/python-wheel
    WHEEL="$(echo target/python-wheel/*.whl)"
fi
"$environment/bin/pip" install --quiet --force-reinstall --no-deps "$WHEEL"
echo "wheel: $(stat -c %s "$WHEEL") bytes"
"$environment/bin/python" bench/python/bench.py "${ROUNDS:-40}" "$@"
