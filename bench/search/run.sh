#!/usr/bin/env bash
# Experiments of the architecture search.
#
#   bench/search/run.sh step                    what a step of a supernet costs beyond the passes of its networks
#   bench/search/run.sh glyphs DATASET          generates a dataset of letters and digits
#   bench/search/run.sh ranking DATASET OUTPUT  whether a supernet ranks networks as training them alone does (an hour or two)
#   bench/search/run.sh cells DATASET OUTPUT    searches from COCO weights under constraints against published networks, all trained further (three hours)
#   bench/search/run.sh kept DATASET OUTPUT     whether recommended networks keep the constraint, in other processes (a quarter of an hour)
#
# DATASET has the splits train and val, on which networks are compared, and test, on which those are evaluated that were trained
# alone. `ranking` and `cells` go on where they were interrupted.
# The numbers of epochs, seeds and evaluations can be set by SUPERNET_EPOCHS, EPOCHS, SEEDS and EVALUATIONS.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=bench/search

usage() {
    sed -n '2,12p' "$0"
    exit 2
}

example() {
    cargo run --release --locked -p "$1" ${3:+--features "$3"} --example "$2" -- "${@:4}"
}

case ${1:-} in
step)
    example picodet-search step_cost '' $here/wide.toml 8 320 2 15
    for which in supernet largest; do
        echo "peak memory, $which:"
        example picodet-search step_cost '' $here/wide.toml 8 320 2 3 $which
    done
    ;;
glyphs)
    [ $# -eq 2 ] || usage
    example picodet glyph_set data,detect "$2"
    ;;
ranking)
    [ $# -eq 3 ] || usage
    example picodet ranking train $here/corners.toml "$2" "$3" "${SUPERNET_EPOCHS:-24}" "${EPOCHS:-5}" "${SEEDS:-2}"
    ;;
cells)
    [ $# -eq 3 ] || usage
    example picodet cells train $here/wide.toml "$2" "$3" "${SUPERNET_EPOCHS:-120}" "${EVALUATIONS:-400}" "${EPOCHS:-60}" "${SEEDS:-3}"
    ;;
kept)
    [ $# -eq 3 ] || usage
    cargo build --release --locked --quiet
    picodet="${CARGO_TARGET_DIR:-target}/release/picodet"
    # The supernet is hardly trained: latencies do not depend on weights.
    [ -e "$3/search/supernet.safetensors" ] || "$picodet" search $here/wide.toml --data "$2" --split train --search-split val \
        --weights coco_s_416 --epochs 1 --batch 8 --sizes 320x320 --evaluations 10 -o "$3/search"
    [ -e "$3/published/last.safetensors" ] || "$picodet" train legacy_s_320 --data "$2" --split train --weights coco_s_416 \
        --epochs 1 -o "$3/published"
    python3 $here/kept.py "$picodet" "$3/search" "$3/published/last.safetensors" "${EVALUATIONS:-30}"
    ;;
*) usage ;;
esac
