#!/usr/bin/env bash
# Runs exported models in other programs and prints how many boxes match ours:
#   bench/exports/run.sh MODEL.safetensors IMAGE...
# Environments with the programs are created once in $PICODET_EXPORT_ENV (default: target/export-env; several GB).
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -ge 2 ] || { sed -n 2,4p "$0" >&2; exit 2; }
mkdir -p "${PICODET_EXPORT_ENV:=target/export-env}"
environment=$(cd "$PICODET_EXPORT_ENV" && pwd)
picodet="${PICODET:-target/release/picodet}"
[ -x "$picodet" ] || cargo build --release --quiet --package picodet-cli

# One environment per program or version: their dependencies contradict each other.
install() { # NAME PACKAGE...
    local name=$1; shift
    [ -e "$environment/$name/ready" ] && return
    python3 -m venv "$environment/$name"
    if "$environment/$name/bin/pip" install --quiet numpy opencv-python-headless "$@"; then
        touch "$environment/$name/ready"
    else
        echo "$name: cannot be installed, skipped" >&2
    fi
}
install opencv4 "opencv-python-headless<5"
install opencv5 "opencv-python-headless>=5"
install onnxruntime onnxruntime
install openvino openvino
install ncnn pnnx ncnn
install mnn MNN
# onnx2tf declares no dependencies, and downloads sample data when it starts.
install tflite onnx2tf tensorflow-cpu tf-keras onnx onnxruntime psutil onnx-graphsurgeon sng4onnx ai-edge-litert

model=$1; shift
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
for head in raw decoded nms; do
    "$picodet" export --model "$model" --output "$folder/$head.onnx" --head "$head" --score 0.3 2>/dev/null
done
size=$("$picodet" info "$model" --json | tr -d ' \n' | sed 's/.*"input_size":\[\([0-9]*\),.*/\1/')
"$picodet" detect "$@" --model "$model" --score 0.3 --format json > "$folder/expected.ndjson"
printf '%-12s %-8s %s\n' program head "boxes matched (IoU 0.9, score within 0.02)"
for program in onnxruntime openvino opencv4 opencv5 ncnn mnn tflite; do
    [ -e "$environment/$program/ready" ] || continue
    for head in raw decoded nms; do
        PATH="$environment/$program/bin:$PATH" "$environment/$program/bin/python" bench/exports/check.py \
            "$program" "$head" "$size" "$folder/$head.onnx" "$folder/expected.ndjson" "$@" 2>"$folder/log" ||
            printf '%-12s %-8s %s\n' "$program" "$head" "fails: $(grep -v '^ *$' "$folder/log" | tail -n 1 | cut -c1-120)"
    done
done
