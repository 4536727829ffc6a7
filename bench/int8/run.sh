#!/usr/bin/env bash
# Int8 of three published networks beside ONNX Runtime and OpenVINO: AP and fidelity on the 106 validation images of
# coco-mini, milliseconds of the network at one and two threads, and bytes of the file. Every quantisation uses the 60
# training images. "QDQ" is our file exported to ONNX; "own" is the program's own quantisation (ONNX Runtime's static
# quantisation, NNCF for OpenVINO). Times of the peers contain the decoding of boxes, which takes little; those of picodet
# copy all outputs.
#
# bench/int8/run.sh [NETWORK…]   networks: s_416 s_320 xs_320 (default: all)
# PICODET: the command (default: the release build); METHOD: closed-form or minmax; SCALES: channel or map; VENV: a folder with the Python packages;
# WORK: a folder in which models and results are kept
set -euo pipefail
cd "$(dirname "$0")/../.."

shared=$(realpath "${PICODET_SHARED:-../shared}/data")
data="$shared/coco-mini"
weights="$shared/weights"
target="${CARGO_TARGET_DIR:-target}"
picodet="${PICODET:-$target/release/picodet}"
venv="${VENV:-$target/int8-venv}"
work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- s_416 s_320 xs_320
[ -n "${PICODET:-}" ] || cargo build --release --quiet
if [ ! -d "$venv" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet nncf numpy onnx onnxruntime opencv-python-headless openvino pycocotools
fi
peers() { "$venv/bin/python" bench/int8/peers.py "$@" 2>"$work/log" || { tail -3 "$work/log" >&2; return 1; }; }

convert() {
    case $1 in
        s_416) set -- "$1" "$weights/picodet_s_416_esnet_legacy.ncnn.param" --variant legacy_s_416 ;;
        s_320) set -- "$1" "$weights/picodet_s_416_esnet_legacy.ncnn.param" --variant legacy_s_320 \
            --bin "$weights/picodet_s_320_esnet_legacy.ncnn.bin" ;;
        xs_320) set -- "$1" "$weights/picodet_xs_320_lcnet_postprocessed.onnx" --variant v2_xs_320 ;;
        *) echo "$1: expected s_416, s_320 or xs_320" >&2; exit 2 ;;
    esac
    local name=$1
    shift
    "$picodet" convert "$@" --output "$work/$name.safetensors" >/dev/null 2>&1
}

ours() { # MODEL PRECISION: milliseconds at one and two threads
    for threads in 1 2; do
        "$picodet" bench --model "$1" --precision "$2" --threads "$threads" --all-outputs --runs 60 --format json 2>/dev/null |
            "$venv/bin/python" -c 'import json, sys; print("%.2f" % json.load(sys.stdin)["stages_ms"]["network"]["p50"])'
    done | tr '\n' ' '
}

row() { printf '%-8s %-24s %6s %9s %7s %7s %9s\n' "$@"; }

row network computed AP fidelity ms-1T ms-2T bytes
for network in "$@"; do
    convert "$network"
    float="$work/$network.safetensors" int8="$work/$network-int8.safetensors"
    start=$(date +%s.%N)
    # Exit code 3 only says that a limit is not kept.
    "$picodet" quantise "$float" --data "$data/train" --images 60 --judge "$data/instances_val.json" \
        --method "${METHOD:-closed-form}" --scales "${SCALES:-channel}" --output "$int8" >"$work/report" 2>"$work/log" || [ $? -eq 3 ]
    grep ' images in ' "$work/log" || true
    detect() { # FILE PRECISION RESULTS
        "$picodet" eval "$1" "$data/instances_val.json" --images "$data/val" --precision "$2" --output "$3" >/dev/null 2>&1
    }
    detect "$float" f32 "$work/float.json"
    for precision in f32 bf16 int8; do
        file=$float
        [ $precision != int8 ] || file=$int8
        detect "$file" $precision "$work/results.json" || continue
        # shellcheck disable=SC2046
        row "$network" "picodet $precision" $(peers judge "$data/instances_val.json" "$work/results.json" "$work/float.json") \
            $(ours "$file" $precision) "$(stat -c %s "$file")"
    done
    "$picodet" export --model "$float" --head decoded --output "$work/$network-float.onnx" >/dev/null 2>&1
    "$picodet" export --model "$int8" --head decoded --output "$work/$network-qdq.onnx" >/dev/null 2>&1
    peers quantise onnxruntime "$work/$network-float.onnx" "$data/train" "$work/$network-own.onnx" >/dev/null
    peers quantise openvino "$work/$network-float.onnx" "$data/train" "$work/$network-own.xml" >/dev/null
    models=(onnxruntime:"$work/$network-float.onnx" onnxruntime:"$work/$network-own.onnx" onnxruntime:"$work/$network-qdq.onnx"
        openvino:"$work/$network-float.onnx" openvino-bf16:"$work/$network-float.onnx" openvino:"$work/$network-own.xml"
        openvino-bf16:"$work/$network-own.xml" openvino:"$work/$network-qdq.onnx" openvino-bf16:"$work/$network-qdq.onnx")
    read -ra one <<<"$(peers latency 1 "${models[@]}")"
    read -ra two <<<"$(peers latency 2 "${models[@]}")"
    for index in "${!models[@]}"; do
        program=${models[index]%%:*} file=${models[index]#*:}
        peers detect "$program" "$file" "$data/instances_val.json" "$data/val" "$work/results.json" >/dev/null
        case $file in *-float.*) kind=f32 ;; *-own.*) kind=own ;; *) kind=QDQ ;; esac
        bytes=$(stat -c %s "$file")
        [ "${file%.xml}" = "$file" ] || bytes=$((bytes + $(stat -c %s "${file%.xml}.bin")))
        # shellcheck disable=SC2046
        row "$network" "$program $kind" $(peers judge "$data/instances_val.json" "$work/results.json" "$work/float.json") \
            "${one[index]}" "${two[index]}" "$bytes"
    done
done
