#!/usr/bin/env bash
# Compares picodet-eval with pycocotools from PyPI: 1,200 seeded cases, the edge cases, and the
# detections of coco-mini if ../shared (or PICODET_SHARED) contains them. Arguments are passed to `generate`.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11
mini="${PICODET_SHARED:-../shared}/data/coco-mini"
coco=()
for detections in "$mini"/detections_*.json; do
    if [ -e "$detections" ]; then coco+=(--coco "$mini/instances_val.json" "$detections"); fi
done
[ ${#coco[@]} -gt 0 ] || echo "skipped: $mini is absent"
script=bench/pycocotools/compare.py
"$work/venv/bin/python" "$script" generate "$work/cases" ${coco[@]+"${coco[@]}"} "$@"
cargo run --quiet --release -p picodet-eval --example coco_metrics -- "$work/cases"
"$work/venv/bin/python" "$script" compare "$work/cases"
