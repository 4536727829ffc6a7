#!/usr/bin/env bash
# The npm package against onnxruntime-web on the same network, one and two threads each, in headless Chromium:
#   bench/web/run.sh [WEIGHTS.ncnn.param]      default: PicoDet-S 416 of the reference data
# Needs npm, Chromium, the target wasm32-unknown-unknown and the component rust-src.
set -euo pipefail
cd "$(dirname "$0")/../.."
weights="${1:-${PICODET_SHARED:-../shared}/data/weights/picodet_s_416_esnet_legacy.ncnn.param}"
target="${CARGO_TARGET_DIR:-$PWD/target}"
bench="$target/web/bench"
mkdir -p "$bench"
[ -n "${PICODET_BUILT:-}" ] || cargo xtask web
picodet() { cargo run --quiet --locked --package picodet-cli -- "$@"; }
if [ ! -f "$bench/decoded.onnx" ]; then
    picodet convert "$weights" --variant legacy_s_416 --output "$bench/s416.safetensors"
    for head in raw decoded; do
        picodet export --model "$bench/s416.safetensors" --head "$head" --output "$bench/$head.onnx"
    done
fi
(cd "$bench" && echo '{ "private": true }' >package.json &&
    npm install --no-audit --no-fund --silent --ignore-scripts onnxruntime-web@1.30.0 playwright-core@1.65.1)
PICTURE="${PICTURE:-${PICODET_SHARED:-../shared}/data/photos/bus.jpg}" \
    PICODET_PACKAGE="$target/web/package" PICODET_NODE_MODULES="$bench" node bench/web/bench.mjs
