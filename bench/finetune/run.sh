#!/usr/bin/env bash
# Short fine-tuning of S 320 from COCO weights on three datasets with several seeds. PICODET_RECIPES lists what is compared:
#
#   default   the default recipe, which flips images only in runs as short as these
#   strong    with the augmentation of longer runs: crop, flip and distort
#   frozen    as strong, with the weights of the backbone as they are
#   before    the published recipe with a warm-up of 300 steps, of which these runs have half (before.toml)
#
# Without it: before and default.
#
# The runs have small network inputs, one thread and some 2,400 images each: one to two minutes per run on an idle core. Call it
# again to go on: runs with a result are skipped.
#
#   bench/finetune/run.sh BCCD COCO WEIGHTS OUTPUT [SEEDS...]
#
# BCCD and COCO are datasets with the splits train and val; the sets person and shapes are derived from COCO (see
# crates/picodet/examples/finetune_sets.rs). WEIGHTS is a native model file of legacy S 320 trained on COCO. SEEDS defaults to
# 0 1 2.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -ge 4 ] || { sed -n '2,20p' "$0"; exit 2; }
bccd=$1 coco=$2 weights=$3 output=$4
shift 4
[ $# -gt 0 ] || set -- 0 1 2

program=${PICODET_PROGRAM:-}
if [ -z "$program" ]; then
    cargo build --release --locked -p picodet-cli
    program=${CARGO_TARGET_DIR:-target}/release/picodet
fi
mkdir -p "$output"
if [ ! -e "$output/sets/shapes/instances_val.json" ]; then
    cargo run --locked -p picodet --features train --example finetune_sets -- "$coco" "$output/sets"
fi

# Prints mAP and mAP 0.5 of a model on the validation images.
measure() {
    "$program" eval "$1" "$2" --split val --format json |
        awk -F'[:,]' '/"AP":/ { all = $2 } /"AP50":/ { half = $2 } END { printf "%.4f %.4f\n", all, half }'
}

read -ra recipes <<< "${PICODET_RECIPES:-before default}"

for seed in "$@"; do
    for set in bccd person shapes; do
        data=$output/sets/$set
        [ "$set" = bccd ] && data=$bccd
        for recipe in "${recipes[@]}"; do
            folder=$output/$set-$recipe-$seed
            [ -e "$folder/result" ] && continue
            rm -rf "$folder"
            start=legacy_s_320 more=()
            case $recipe in
                # A rate of 0.0125 after 300 steps: the part of it that these runs of 144 and 147 steps reach.
                before)
                    start=bench/finetune/before.toml more=(--batch 16)
                    [ "$set" = bccd ] && more+=(--rate 0.006) || more+=(--rate 0.006125) ;;
                strong) more=(--augment crop --augment 'flip 0.5' --augment distort) ;;
                frozen) more=(--augment crop --augment 'flip 0.5' --augment distort --freeze-backbone) ;;
            esac
            # Some 2,400 images: the last batch of an epoch is left out if it is not full.
            case $set-$recipe in bccd-*) epochs=12 ;; shapes-before) epochs=21 ;; shapes-*) epochs=20 ;; *) epochs=21 ;; esac
            "$program" train "$start" --data "$data" --split train --validation-split val --weights "$weights" \
                --sizes 192x192,224x224,256x256 --epochs "$epochs" --seed "$seed" --threads 1 --evaluate-every 1000 \
                --output "$folder" "${more[@]}"
            model=$folder/final.safetensors
            [ -e "$model" ] || model=$folder/last.safetensors
            measure "$model" "$data" > "$folder/result"
            rm -f "$folder/checkpoint.safetensors"
        done
    done
done

printf '\n%-8s %-10s %8s %8s %8s %8s  (%d seeds)\n' set recipe mAP least most 'mAP 0.5' $#
for set in bccd person shapes; do
    for recipe in "${recipes[@]}"; do
        for seed in "$@"; do cat "$output/$set-$recipe-$seed/result"; done |
            awk -v set="$set" -v recipe="$recipe" '
                { sum += $1; half += $2; if (NR == 1 || $1 < least) least = $1; if ($1 > most) most = $1 }
                END { printf "%-8s %-10s %8.4f %8.4f %8.4f %8.4f\n", set, recipe, sum / NR, least, most, half / NR }'
    done
done
