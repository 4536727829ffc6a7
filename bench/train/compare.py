"""Training steps of the paper's S here and in PyTorch: first checked, then timed in turns, each in its own process.

    compare.py STEP [--batch 8] [--size 320] [--threads 1 2] [--rounds 5] [--iterations 5]
               [--device cuda] [--torch-device cuda]

STEP is the built example `whole_step` of picodet-train. A step is forward, assignment and loss, backward, and the optimiser. With
`--device` ours runs forward and backward passes on that device, and assignment, loss and optimiser on the processor; STEP is then
built with the feature of the device. PyTorch's step runs whole on the device of the same name, or on `--torch-device`.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import torch

HERE = pathlib.Path(__file__).parent
PARTS = ["forward", "judge", "backward", "optimiser", "wall", "cpu"]
# Largest accepted differences of a step whose activations are smooth.
ALLOWED = {"loss": 1e-4, "positives": 0, "gradients": 1e-3, "weights": 1e-5}
OURS = "picodet"
LAYOUTS = {"PyTorch NCHW": "nchw", "PyTorch channels last": "nhwc"}


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def ours(args):
    return ["--device", args.device] if args.device else []


def theirs(args):
    device = args.torch_device or args.device
    return [device] if device else []


def check(args, folder):
    """Prints the differences of both kinds and returns the file of the original network."""
    for kind in [["--smooth"], []]:
        file = folder / f"step{len(kind)}.safetensors"
        run(args.step, "legacy_s_320", args.batch, args.size, 1, 1, *ours(args), "--write", file, *kind)
        found = json.loads(run(sys.executable, HERE / "step.py", file, "check", *theirs(args)))
        print("smooth activations:" if kind else "original network:")
        for layout, differences in found.items():
            print(f"  {layout}: " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()))
            limits = ALLOWED if kind else {name: ALLOWED[name] for name in ["loss", "positives"]}
            if any(not abs(differences[name]) <= limit for name, limit in limits.items()):
                sys.exit("the steps differ; not timing them")
    return file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step")
    for name, value in [("batch", 8), ("size", 320), ("rounds", 5), ("iterations", 5)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device")
    parser.add_argument("--torch-device")
    args = parser.parse_args()
    print(f"legacy_s_320, batch {args.batch}, {args.size} px, PyTorch {torch.__version__}; differences from our step:")
    with tempfile.TemporaryDirectory() as folder:
        file = check(args, pathlib.Path(folder))
        for threads in args.threads:
            rows = {name: [] for name in [*LAYOUTS, OURS]}
            for _ in range(args.rounds):
                for name, layout in LAYOUTS.items():
                    text = run(sys.executable, HERE / "step.py", file, layout, threads, args.iterations, *theirs(args))
                    rows[name].append(json.loads(text))
                text = run(args.step, "legacy_s_320", args.batch, args.size, threads, args.iterations, *ours(args))
                rows[OURS].append(json.loads(text))
            report(rows, threads)


def report(rows, threads):
    middle = {n: {key: statistics.median(row[key] for row in r) for key in r[0]} for n, r in rows.items()}
    print(f"{threads} threads, medians, ms" + "".join(f"{part:>11}" for part in PARTS) + "   peak MiB (of which import)")
    for name, row in middle.items():
        memory = f"{row['peak_kib'] / 1024:11.0f}" + (f" ({row['imported_kib'] / 1024:.0f})" if name != OURS else "")
        print(f"{name:22}" + "".join(f"{row[part]:11.1f}" for part in PARTS) + memory)
    picodet = middle[OURS]
    for part in ["wall", "cpu"]:
        print(f"faster layout / {OURS}, {part}: {min(middle[n][part] for n in LAYOUTS) / picodet[part]:.2f}")
    least = min(middle[name]["peak_kib"] for name in LAYOUTS)
    print(f"peak memory, {OURS} / smaller layout: {picodet['peak_kib'] / least:.3f}")


main()
