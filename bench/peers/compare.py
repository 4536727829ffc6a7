"""Times the same networks in picodet and in other engines, in turns, and prints one table.

Run by bench/peers/run.sh, which installs onnxruntime, openvino and numpy from PyPI.
Usage: compare.py PICODET ROUNDS MODEL.safetensors...

Every engine runs the network that `picodet export --head raw --opset 14` writes, batch 1, 32-bit floats. Outputs are
compared first. Then the engines take turns in bursts; a figure is the median over all of an engine's runs, so that what
else the machine does falls on all of them alike. picodet runs in a process of its own (`picodet bench`), whose stage
`network` is counted.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
from safetensors.numpy import load_file, save_file

BURST = 20
WARMUP = 5


def onnx_runtime(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(None, {"image": image})))


def open_vino(path, threads):
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(str(path), "CPU", settings).create_infer_request()

    def run(image):
        result = request.infer({"image": image})
        # A value may go by several names, ours among them.
        return {name: value for key, value in result.items() for name in key.get_names()}

    return run


PEERS = {"ONNX Runtime": onnx_runtime, "OpenVINO": open_vino}


def burst(run, image):
    for _ in range(WARMUP):
        run(image)
    times = []
    for _ in range(BURST):
        start = time.perf_counter()
        run(image)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def ours(picodet, model, threads):
    output = subprocess.run(
        [picodet, "bench", "--model", model, "--threads", str(threads), "--runs", str(BURST),
         "--warmup", str(WARMUP), "--format", "json"], check=True, capture_output=True).stdout
    return json.loads(output)["stages_ms"]["network"]["p50"]


def compare_outputs(picodet, model, folder, size, peers):
    image = np.random.default_rng(1).normal(0, 1, (1, 3, *size)).astype(np.float32)
    save_file({"image": image}, folder / "in.safetensors")
    subprocess.run([picodet, "forward", "--model", model, "--input", folder / "in.safetensors", "--output",
                    folder / "out.safetensors", "--dtype", "f64"], check=True)
    truth = load_file(folder / "out.safetensors")
    for name, run in peers.items():
        # Untrained networks amplify rounding and make large numbers: differences are measured against the largest.
        worst = max(np.abs(value - truth[key]).max() / np.abs(truth[key]).max()
                    for key, value in run(image).items() if key.startswith("reg."))
        assert worst < 1e-2, f"{name} gives other outputs: they differ by {worst} of the largest"
    return image


def main():
    picodet, rounds, *models = sys.argv[1:]
    threads_list = [threads for threads in (1, 2) if threads <= (os.cpu_count() or 1)]
    print(f"processor: {processor()}; {', '.join(f'{name} {version}' for name, version in versions())}")
    print(f"{'network':<14} {'threads':>7} {'picodet':>9} " + " ".join(f"{name:>13}" for name in PEERS) + "  best peer / picodet")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in models:
            info = json.loads(subprocess.run([picodet, "info", model, "--json"], check=True, capture_output=True).stdout)
            path = folder / "model.onnx"
            subprocess.run([picodet, "export", "--model", model, "--output", path, "--head", "raw", "--opset", "14"],
                           check=True, stderr=subprocess.DEVNULL)
            for threads in threads_list:
                peers = {name: make(path, threads) for name, make in PEERS.items()}
                image = compare_outputs(picodet, model, folder, info["input_size"], peers)
                times = {name: [] for name in peers}
                own = []
                for _ in range(int(rounds)):
                    own.append(ours(picodet, model, threads))
                    for name, run in peers.items():
                        times[name] += burst(run, image)
                own = float(np.median(own))
                medians = {name: float(np.median(values)) for name, values in times.items()}
                best = min(medians.values())
                label = info["network"].split(",")[0]
                print(f"{label:<14} {threads:>7} {own:>6.2f} ms " + " ".join(f"{medians[name]:>10.2f} ms" for name in PEERS)
                      + f"  {best / own:.2f}", flush=True)


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown"


def versions():
    return [("onnxruntime", onnxruntime.__version__), ("openvino", openvino.__version__.split("-")[0])]


main()
