"""Exports models in every head, opset and batch and compares ONNX Runtime's outputs with `picodet forward --dtype f64`.

Run by bench/onnx/run.sh, which installs onnxruntime, onnx, numpy and safetensors from PyPI.
Usage: check.py PICODET MODEL.safetensors...
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file, save_file

TOLERANCE = 1e-4


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)


def largest(found, expected):
    """Largest difference; boxes are measured in units of 100 pixels."""
    return float(np.abs(found.astype(np.float64) - expected).max())


def check(picodet, model, folder):
    size = (128, 160)
    images = np.random.default_rng(0).normal(0, 1, (7, 3, *size)).astype(np.float32)
    tensors = folder / "in.safetensors"
    expected = {}
    for batch in (1, 2, 7):
        save_file({"image": images[:batch]}, tensors)
        run(picodet, "forward", "--model", model, "--input", tensors, "--output", folder / "out.safetensors", "--dtype", "f64")
        expected[batch] = load_file(folder / "out.safetensors")
    worst = 0.0
    for opset in (11, 13, 14, 17):
        for head in ("raw", "decoded", "nms"):
            for batch in ("1", "dynamic"):
                path = folder / "model.onnx"
                run(picodet, "export", "--model", model, "--output", path, "--head", head, "--opset", opset,
                    "--batch", batch, "--input-size", f"{size[0]}x{size[1]}", "--score", "0.3")
                onnx.checker.check_model(str(path), full_check=True)
                session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
                names = [output.name for output in session.get_outputs()]
                for count in (1,) if batch == "1" else (1, 2, 7):
                    outputs = dict(zip(names, session.run(None, {"image": images[:count]})))
                    truth = expected[count]
                    if head == "decoded":
                        worst = max(worst, largest(outputs["scores"], truth["scores"]))
                        worst = max(worst, largest(outputs["boxes"], truth["boxes"]) / 100)
                    elif head == "raw":
                        for name, output in outputs.items():
                            kind, level = name.split(".")
                            if kind == "reg":
                                worst = max(worst, largest(output, truth[name]))
                        scores = np.concatenate(
                            [outputs[f"score.{level}"].reshape(count, truth["scores"].shape[1], -1)
                             for level in range(len(outputs) // 2)], axis=2)
                        worst = max(worst, largest(scores, truth["scores"]))
                    else:
                        rows = outputs["detections"]
                        for image, label, score, *box in rows:
                            scores = truth["scores"][int(image), int(label)]
                            anchor = int(np.abs(truth["boxes"][int(image)] - np.array(box)).sum(axis=1).argmin())
                            worst = max(worst, abs(float(scores[anchor]) - float(score)))
    print(f"{Path(model).name}: largest difference {worst:.2e} over opsets 11, 13, 14, 17, three heads, batches 1, 2, 7")
    return worst <= TOLERANCE


def main():
    picodet, *models = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        good = [check(picodet, model, Path(folder)) for model in models]
    sys.exit(0 if good and all(good) else 1)


main()
