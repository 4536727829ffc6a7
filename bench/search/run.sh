#!/usr/bin/env bash
# Experiments of the architecture search.
#
#   bench/search/run.sh step                    what a step of a supernet costs beyond the passes of its networks
#   bench/search/run.sh ranking DATASET OUTPUT  whether a supernet ranks networks as training them alone does (hours)
#   bench/search/run.sh cells DATASET OUTPUT    a search from COCO weights under a constraint (an hour)
#
# DATASET has the splits train and val, on which networks are compared. `ranking` and `cells` go on where they were interrupted.
# The numbers of epochs, seeds and evaluations can be set by SUPERNET_EPOCHS, EPOCHS, SEEDS and EVALUATIONS.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=bench/search

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
ranking)
    [ $# -eq 3 ] || { sed -n '2,10p' "$0"; exit 2; }
    example picodet ranking train $here/corners.toml "$2" "$3" "${SUPERNET_EPOCHS:-100}" "${EPOCHS:-60}" "${SEEDS:-2}"
    ;;
cells)
    [ $# -eq 3 ] || { sed -n '2,10p' "$0"; exit 2; }
    example picodet search train $here/wide.toml "$2" "$3" 0.75 "${SUPERNET_EPOCHS:-120}" "${EVALUATIONS:-400}"
    ;;
*)
    sed -n '2,10p' "$0"
    exit 2
    ;;
esac
