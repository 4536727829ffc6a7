"""Searches under 20 constraints, and measures each recommended network in processes of its own, in turns with the published one.

kept.py PICODET SEARCH PUBLISHED EVALUATIONS: the command, the folder of a trained search, and a model of the published network with
the same classes. Prints a line per search: the constraint as a fraction of the published latency, the median of the ratios of five
pairs of measurements, and by how much it is above the constraint. Goal: at most 2 % in all searches.
"""

import json
import statistics
import subprocess
import sys

SEARCHES = 20
LEAST, MOST = 0.7, 1.08
PAIRS = 5


def run(*words):
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def main():
    picodet, search, published, evaluations = sys.argv[1:]

    def milliseconds(model):
        found = run(picodet, "bench", "--model", model, "--all-outputs", "--runs", "100", "--format", "json")
        return found["stages_ms"]["network"]["p50"]

    print(f"{'latency':>8} {'seed':>4} {'predicted':>9} {'measured':>8} {'above':>7} {'seconds':>7}")
    kept = 0
    for seed in range(SEARCHES):
        latency = LEAST + (MOST - LEAST) * seed / (SEARCHES - 1)
        limit = f"{latency:.3f}x"
        found = run(picodet, "search", "find", search, "--latency", limit, "--evaluations", evaluations, "--seed", str(seed), "-f", "json")
        chosen = found["front"][found["recommended"]]
        ratio = statistics.median(milliseconds(chosen["model"]) / milliseconds(published) for _ in range(PAIRS))
        above = ratio / float(limit[:-1]) - 1
        kept += above <= 0.02
        predicted = chosen["predicted_ms"] / found["reference_ms"]
        seconds = sum(found["seconds"].values())
        print(f"{limit:>8} {seed:>4} {predicted:>9.3f} {ratio:>8.3f} {above:>+7.1%} {seconds:>7.1f}", flush=True)
    print(f"constraint kept within 2 % in {kept} of {SEARCHES} searches")


main()
