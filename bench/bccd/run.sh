#!/usr/bin/env bash
# Blood cells (BCCD) from COCO weights with three seeds, and once from random weights; evaluates each model on the test split.
#
# Takes about a quarter of an hour per run on two idle cores. Call it again to resume runs that have stopped.
#
#   bench/bccd/run.sh DATA WEIGHTS OUTPUT [SEEDS...]
#
# DATA holds the dataset with its official splits, WEIGHTS is a native model file of legacy S-416 trained on COCO
# (see `picodet convert`), OUTPUT receives one folder per run. SEEDS defaults to 0 1 2 scratch.
#
# With PICODET_TIME_LIMIT=MINUTES a run from COCO weights has the default recipe, fitted into that time, and its final model is evaluated;
# with PICODET_EPOCHS=NUMBER likewise, in as many epochs.
# PICODET_THREADS sets the threads of a run (default 0: all).
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -ge 3 ] || { sed -n '2,13p' "$0"; exit 2; }
data=$1 weights=$2 output=$3
shift 3
[ $# -gt 0 ] || set -- 0 1 2 scratch

program=${PICODET_PROGRAM:-}
if [ -z "$program" ]; then
    cargo build --release --locked -p picodet-cli
    program=${CARGO_TARGET_DIR:-target}/release/picodet
fi
mkdir -p "$output"

for run in "$@"; do
    folder=$output/$run
    if [ -e "$folder/checkpoint.safetensors" ]; then
        "$program" train --resume "$folder"
    else
        arguments=(--data "$data" --split trainval --validation-split val --output "$folder")
        arguments+=(--threads "${PICODET_THREADS:-0}")
        if [ "$run" = scratch ]; then
            arguments+=(--batch 8 --evaluate-every 10 --epochs 100 --rate 0.02 --seed 0)
        elif [ -n "${PICODET_TIME_LIMIT:-}" ]; then
            arguments+=(--weights "$weights" --time-limit "$PICODET_TIME_LIMIT" --evaluate-every 1000 --seed "$run")
        elif [ -n "${PICODET_EPOCHS:-}" ]; then
            arguments+=(--weights "$weights" --epochs "$PICODET_EPOCHS" --evaluate-every 1000 --seed "$run")
        else
            arguments+=(--weights "$weights" --as-published --batch 8 --evaluate-every 10 --epochs 50 --rate 0.02 --seed "$run")
        fi
        "$program" train legacy_s_416 "${arguments[@]}"
    fi
    model=$folder/last.safetensors
    [ -z "${PICODET_TIME_LIMIT:-}${PICODET_EPOCHS:-}" ] || [ "$run" = scratch ] || model=$folder/final.safetensors
    "$program" eval "$model" "$data" --split test --format json > "$folder/test.json"
done

printf '\n%-10s %8s %8s\n' run mAP 'mAP 0.5'
for run in "$@"; do
    # The metrics over all classes come after those per class.
    awk -v run="$run" -F'[:,]' '/"AP":/ { all = $2 } /"AP50":/ { half = $2 } END { printf "%-10s %8.4f %8.4f\n", run, all, half }' \
        "$output/$run/test.json"
done
