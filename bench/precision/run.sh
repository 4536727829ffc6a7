#!/usr/bin/env bash
# AP of f32 and bf16 on the two COCO subsets, separately and merged into one dataset.
#
# bench/precision/run.sh MODEL.safetensors…
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
