#!/usr/bin/env bash
# Quantises S 416, S 320 and XS 320 with the 60 training images of coco-mini and judges them on its 106 validation images:
# fidelity, AP, size; then the AP of the exported ONNX files in ONNX Runtime and OpenVINO.
#
# bench/int8/run.sh [METHOD…] (default: minmax closed-form); needs python3 with venv
set -euo pipefail
cd "$(dirname "$0")/../.."

shared=$(realpath "${PICODET_SHARED:-../shared}/data")
data="$shared/coco-mini"
target="${CARGO_TARGET_DIR:-target}"
picodet="${PICODET:-$target/release/picodet}"
venv="$target/int8-venv"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- minmax closed-form
[ -n "${PICODET:-}" ] || cargo build --release --quiet
if [ ! -d "$venv" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet onnxruntime openvino opencv-python-headless numpy
fi

weights="$shared/weights"
ap() {
    "$picodet" eval "$data/instances_val.json" --images "$data/val" --detections "$1" --format json |
        python3 -c 'import json, sys; print("%.2f" % (100 * json.load(sys.stdin)["metrics"]["AP"]))'
}
"$picodet" convert "$weights/picodet_s_416_esnet_legacy.ncnn.param" --variant legacy_s_416 --output "$work/s_416.safetensors"
"$picodet" convert "$weights/picodet_s_416_esnet_legacy.ncnn.param" --bin "$weights/picodet_s_320_esnet_legacy.ncnn.bin" \
    --variant legacy_s_320 --output "$work/s_320.safetensors"
"$picodet" convert "$weights/picodet_xs_320_lcnet_postprocessed.onnx" --variant v2_xs_320 --output "$work/xs_320.safetensors"
for network in s_416 s_320 xs_320; do
    for method in "$@"; do
        file="$work/$network-$method.safetensors"
        echo "== $network, $method"
        # Exit code 3 only says that a limit is passed; the figures are printed all the same.
        "$picodet" quantise "$work/$network.safetensors" --data "$data/train" --judge "$data/instances_val.json" \
            --method "$method" --output "$file" | grep -v dB || [ "${PIPESTATUS[0]}" -eq 3 ]
        "$picodet" export --model "$file" --head nms --output "$work/$network.onnx"
        for program in onnxruntime openvino; do
            "$venv/bin/python" bench/int8/qdq.py "$program" "$work/$network.onnx" "$data/instances_val.json" "$data/val" \
                "$work/results.json"
            echo "AP of the ONNX file in $program: $(ap "$work/results.json"), $(stat -c %s "$work/$network.onnx") bytes"
        done
    done
done
