#!/usr/bin/env bash
# AP of f32 and bf16, and of files with 8-bit rows, on the two COCO subsets, separately and merged into one dataset.
#
# bench/precision/run.sh [MODEL.safetensors…] (default: S 416 converted to f32, and the embedded model of the same weights, which
# has 8-bit rows; then the layout model of LAYOUT_F32, if that variable is set, against the embedded one, box by box)
set -euo pipefail
cd "$(dirname "$0")/../.."

data=$(realpath "${PICODET_SHARED:-../shared}/data/coco-mini")
target="${CARGO_TARGET_DIR:-target}"
both=$(mktemp -d)
trap 'rm -rf "$both"' EXIT
mkdir "$both/images"
ln -s "$data"/train/* "$data"/val/* "$both/images/"
python3 - "$data/instances_train.json" "$data/instances_val.json" "$both/instances.json" <<'PYTHON'
import json
import sys

first, second = (json.load(open(path)) for path in sys.argv[1:3])
for key in ("images", "annotations"):
    first[key] += second[key]
for number, annotation in enumerate(first["annotations"], 1):
    annotation["id"] = number
json.dump(first, open(sys.argv[3], "w"))
PYTHON

cargo build --release --quiet
if [ $# -eq 0 ]; then
    "$target"/release/picodet convert "$data"/../weights/picodet_s_416_esnet_legacy.ncnn.param --variant legacy_s_416 \
        --output "$both/s_416_f32.safetensors"
    set -- "$both/s_416_f32.safetensors" coco_s_416
    if [ -n "${LAYOUT_F32:-}" ]; then
        "$target"/release/picodet verify "$LAYOUT_F32" layout_cdla --images "$data"/../publaynet/*.jpg examples/page.png \
            --score 0.5 --iou 0.9 --score-tolerance 0.05 | tail -3
    fi
fi
for model in "$@"; do
    for precision in f32 bf16; do
        line="$(basename "$model") $precision:"
        for set in "val $data/instances_val.json $data/val" "train $data/instances_train.json $data/train" \
            "both $both/instances.json $both/images"; do
            read -r name labels images <<<"$set"
            ap=$("$target"/release/picodet eval "$model" "$labels" --images "$images" --precision "$precision" --format json |
                python3 -c 'import json, sys; print("%.2f" % (100 * json.load(sys.stdin)["metrics"]["AP"]))')
            line="$line $ap ($name)"
        done
        echo "$line"
    done
done
