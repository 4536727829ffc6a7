"""Times the same networks in picodet and in other engines, in turns, and prints one table.

Run by bench/peers/run.sh, which installs what it needs from PyPI.
Usage: compare.py PICODET HANDOFF ROUNDS MODEL.safetensors... [-- IMAGE.jpg...]

Every engine runs the network that `picodet export --head raw --opset 14` writes, batch 1. Outputs are compared first. Then
the engines take turns in bursts; a figure is the median over all of an engine's runs, so that what else the machine does
falls on all of them alike. picodet runs in a process of its own (`picodet bench`), whose stage `network` is counted, in
f32 and, where the processor can, in bf16, which OpenVINO takes by itself on such processors; of
JPEG files it is `total`, from the file's bytes to boxes, against OpenCV around ONNX Runtime and OpenVINO. HANDOFF measures
how near to each other the two processors are, before every round. Engines that are not there stand as a dash, and the
reasons below the table.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from engines import ENGINES, Absent, version

BURST = int(os.environ.get("RUNS", "20"))
WARMUP = 5
ROUND_TRIP_NEAR = 250  # nanoseconds


def burst(run, argument):
    for _ in range(WARMUP):
        run(argument)
    times = []
    for _ in range(BURST):
        start = time.perf_counter()
        run(argument)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def ours(picodet, model, threads, stage, image=None, precision="f32"):
    """Measures the whole path for files, otherwise the network with all outputs copied out, as in the other engines."""
    what = ["--image", image] if image else ["--all-outputs"]
    command = [picodet, "bench", "--model", model, "--threads", str(threads), "--runs", str(BURST),
               "--warmup", str(WARMUP), "--format", "json", "--precision", precision, *what]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["stages_ms"][stage]["p50"]


def has_bf16(picodet, model):
    command = [picodet, "bench", "--model", model, "--runs", "1", "--warmup", "0", "--precision", "bf16"]
    return subprocess.run(command, capture_output=True).returncode == 0


def handoff(program):
    try:
        return float(subprocess.run([program], check=True, capture_output=True, timeout=60).stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return float("nan")


def placement(trips):
    """Describes the distance of the processors during a row."""
    near = sum(trip < ROUND_TRIP_NEAR for trip in trips)
    word = "near" if near == len(trips) else "far" if near == 0 else f"near {near} of {len(trips)}"
    return f"{word}, {np.median(trips):.0f} ns"


def check_outputs(picodet, model, folder, size, peers, absent):
    """Returns an image after comparing the outputs of all peers for it with picodet's in float64."""
    image = np.random.default_rng(1).normal(0, 1, (1, 3, *size)).astype(np.float32)
    save_file({"image": image}, folder / "in.safetensors")
    subprocess.run([picodet, "forward", "--model", model, "--input", folder / "in.safetensors", "--output",
                    folder / "out.safetensors", "--dtype", "f64"], check=True)
    truth = load_file(folder / "out.safetensors")
    for name, (run, arrays) in list(peers.items()):
        # Untrained networks amplify rounding and give large values: differences are relative to the largest value.
        outputs = {key: value for key, value in arrays(run(image)).items() if key.startswith("reg.")}
        worst = max((np.abs(value - truth[key]).max() / np.abs(truth[key]).max() for key, value in outputs.items()),
                    default=np.inf)
        allowed = next(1e-2 if is_f32 else 0.5 for other, _, _, is_f32 in ENGINES if other == name)
        if not worst < allowed:
            absent[name] = f"its outputs differ from picodet's by {worst:.1e} of the largest"
            del peers[name]
    return image


def information(picodet, model):
    """Returns what `picodet info` reports about a model, with normalisation and resize from the file."""
    info = json.loads(subprocess.run([picodet, "info", model, "--json"], check=True, capture_output=True).stdout)
    with safe_open(model, "numpy") as file:
        entries = json.loads(file.metadata()["picodet"])
    info |= {key: json.loads(entries[f"picodet.{key}"]) for key in ("mean", "std")}
    return info | {"resize": entries["picodet.resize"], "origin": entries["picodet.origin"]}


def make_peers(path, size, threads, absent):
    peers = {}
    for name, _, make, _ in ENGINES:
        try:
            with chatter_to_stderr():
                peers[name] = make(path, size, threads)
        except Absent as reason:
            absent[name] = str(reason)
        except Exception as error:  # whatever an engine raises, the others are still compared
            absent[name] = f"{type(error).__name__}: {error}"
    return peers


@contextlib.contextmanager
def chatter_to_stderr():
    """Suppresses what engines print while they load."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def print_row(label, threads, own, own_bf16, medians, trips):
    cells = [f"{medians[name]:.2f} ms" if name in medians else "–" for name, *_ in ENGINES]
    f32 = [medians[name] for name, _, _, is_f32 in ENGINES if is_f32 and name in medians]
    ratio = f"{min(f32) / own:.2f}" if f32 else "–"
    narrow = f"{own_bf16:.2f} ms" if own_bf16 else "–"
    other = medians.get("OpenVINO default")
    narrow_ratio = f"{other / own_bf16:.2f}" if own_bf16 and other else "–"
    print(f"| {label} | {threads} | {own:.2f} ms | {narrow} | {' | '.join(cells)} | {ratio} | {narrow_ratio} | "
          f"{placement(trips)} |", flush=True)


def medians_of(times):
    return {name: float(np.median(values)) for name, values in times.items()}


def compare_network(picodet, program, rounds, model, info, folder, threads, absent):
    peers = make_peers(folder / "model.onnx", info["input_size"], threads, absent)
    image = check_outputs(picodet, model, folder, info["input_size"], peers, absent)
    own, own_bf16, trips, times = [], [], [], {name: [] for name in peers}
    narrow = has_bf16(picodet, model)
    for _ in range(rounds):
        trips.append(handoff(program))
        own.append(ours(picodet, model, threads, "network"))
        if narrow:
            own_bf16.append(ours(picodet, model, threads, "network", precision="bf16"))
        for name, (run, _) in peers.items():
            times[name] += burst(run, image)
    own_bf16 = float(np.median(own_bf16)) if own_bf16 else None
    print_row(info["network"].split(",")[0], threads, float(np.median(own)), own_bf16, medians_of(times), trips)


def compare_files(picodet, program, rounds, model, info, folder, threads, images, absent):
    """Returns the mean over files of the median time from bytes to boxes."""
    from pipeline import Pipeline

    peers = make_peers(folder / "model.onnx", info["input_size"], threads, absent)
    peers = {name: Pipeline(peers[name], info, threads) for name in ("ONNX Runtime", "OpenVINO") if name in peers}
    own, trips, times = [[] for _ in images], [], [{name: [] for name in peers} for _ in images]
    for image in images:
        check_boxes(picodet, model, image, peers)
    for _ in range(rounds):
        trips.append(handoff(program))
        for place, image in enumerate(images):
            own[place].append(ours(picodet, model, threads, "total", image))
            data = np.fromfile(image, np.uint8)
            for name, pipeline in peers.items():
                times[place][name] += burst(pipeline, data)
    medians = [medians_of(file_times) for file_times in times]
    means = {name: float(np.mean([file_medians[name] for file_medians in medians])) for name in peers}
    label = f"{info['network'].split(',')[0]}, JPEG to boxes ({len(images)} files)"
    print_row(label, threads, float(np.mean([np.median(values) for values in own])), None, means, trips)


def check_boxes(picodet, model, image, peers):
    """Reports pipelines whose detections differ from picodet's."""
    found = subprocess.run([picodet, "detect", "--model", model, "--score", "0.4", "--format", "json", image],
                           check=True, capture_output=True).stdout
    count = len(json.loads(found)["detections"])
    for name, pipeline in peers.items():
        other = sum(score > 0.4 for _, score, *_ in pipeline(np.fromfile(image, np.uint8)))
        if abs(other - count) > max(1, count // 10):
            print(f"{name} finds {other} objects in {image}, picodet {count}", file=sys.stderr)


def main():
    picodet, program, rounds, *rest = sys.argv[1:]
    split = rest.index("--") if "--" in rest else len(rest)
    models, images = rest[:split], rest[split + 1:]
    threads_list = [threads for threads in (1, 2) if threads <= (os.cpu_count() or 1)]
    engines = ", ".join(f"{package} {version(package)}" for package in dict.fromkeys(p for _, p, _, _ in ENGINES))
    print(f"{processor()}, {os.cpu_count()} processors; {engines}; {rounds} rounds of {BURST} runs\n")
    names = [name for name, *_ in ENGINES]
    print(f"| network | threads | picodet | picodet bf16 | {' | '.join(names)} | best f32 peer ÷ picodet | "
          "OpenVINO default ÷ picodet bf16 | processors |")
    print(f"| --- | ---: | ---: | ---: |{' ---: |' * len(names)} ---: | ---: | --- |")
    absent = {}
    with tempfile.TemporaryDirectory() as name:
        for index, model in enumerate(models):
            folder = Path(name) / str(index)
            folder.mkdir()
            info = information(picodet, model)
            subprocess.run([picodet, "export", "--model", model, "--output", folder / "model.onnx", "--head", "raw",
                            "--opset", "14"], check=True, stderr=subprocess.DEVNULL)
            for threads in threads_list:
                compare_network(picodet, program, int(rounds), model, info, folder, threads, absent)
            # Random weights detect nothing.
            for threads in threads_list if images and info["origin"] != "random numbers" else ():
                compare_files(picodet, program, int(rounds), model, info, folder, threads, images, absent)
    for name, reason in absent.items():
        print(f"\n{name}: {reason}")


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown processor"


main()
