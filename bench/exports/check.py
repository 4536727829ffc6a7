"""Runs one exported head in one program and prints how many of the expected boxes it finds.

Usage: check.py PROGRAM HEAD SIZE MODEL.onnx EXPECTED.ndjson IMAGE...   (called by run.sh)
"""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

SCORE, OVERLAP, TOLERANCE = 0.3, 0.6, 0.02
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def onnxruntime_runner(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(None, {"image": image})))


def openvino_runner(path):
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [set(output.get_names()) for output in model.outputs]
    assert all(len(name) == 1 for name in names), f"outputs with several names: {names}"
    return lambda image: {output.get_any_name(): value for output, value in model([image]).items()}


def opencv_runner(path):
    head = Path(path).stem
    net = cv2.dnn.readNetFromONNX(path)

    def run(image):
        net.setInput(image)
        return dict(zip(NAMES[head], net.forward(NAMES[head])))

    return run


def ncnn_runner(path):
    import ncnn

    subprocess.run(["pnnx", path], check=True, capture_output=True)
    base = path.removesuffix(".onnx")
    net = ncnn.Net()
    if net.load_param(base + ".ncnn.param") or net.load_model(base + ".ncnn.bin"):
        raise RuntimeError("ncnn cannot load the network")

    def run(image):
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image[0]))
        names = NAMES[Path(path).stem]
        results = [extractor.extract(f"out{index}") for index in range(len(names))]
        if any(code for code, _ in results):
            raise RuntimeError("ncnn cannot run the network")
        return {name: np.array(value)[None] for name, (_, value) in zip(names, results)}

    return run


def mnn_runner(path):
    import MNN.expr as expr
    import MNN.nn as nn

    file = path.replace(".onnx", ".mnn")
    converter = Path(sys.executable).parent / "mnnconvert"
    subprocess.run([converter, "-f", "ONNX", "--modelFile", path, "--MNNModel", file, "--bizCode", "x"],
                   check=True, capture_output=True)
    names = NAMES[Path(path).stem]
    net = nn.load_module_from_file(file, ["image"], names)

    def run(image):
        outputs = net.forward([expr.const(image, image.shape, expr.NCHW)])
        outputs = outputs if isinstance(outputs, list) else [outputs]
        return {name: np.array(expr.convert(value, expr.NCHW).read()) for name, value in zip(names, outputs)}

    return run


def tflite_runner(path):
    from ai_edge_litert.interpreter import Interpreter

    folder = Path(path).with_suffix(".tflite")
    # Sample images that onnx2tf would download, to compare its results with those of ONNX.
    samples = np.random.default_rng(0).random((20, 128, 128, 3), np.float32)
    np.save(folder.parent / "calibration_image_sample_data_20x128x128x3_float32.npy", samples)
    subprocess.run(["onnx2tf", "-i", path, "-o", str(folder)], check=True, capture_output=True, cwd=folder.parent)
    interpreter = Interpreter(model_path=str(next(folder.glob("*_float32.tflite"))))
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    details = interpreter.get_output_details()

    def run(image):
        interpreter.set_tensor(source, image.transpose(0, 2, 3, 1))
        interpreter.invoke()
        values = [interpreter.get_tensor(detail["index"]) for detail in details]
        return in_order_of_head(Path(path).stem, values)

    return run


def in_order_of_head(head, values):
    """Names the outputs of a program that keeps no names: by shape; maps are channels-last."""
    if head == "raw":
        maps = sorted((value.transpose(0, 3, 1, 2) for value in values), key=lambda value: -value.shape[2])
        score = [value for value in maps if value.shape[1] != 32]
        reg = [value for value in maps if value.shape[1] == 32]
        return {f"{kind}.{level}": value for kind, found in (("score", score), ("reg", reg))
                for level, value in enumerate(found)}
    if head == "decoded":
        boxes, scores = sorted(values, key=lambda value: value.shape[-1] != 4)
        return {"boxes": boxes, "scores": scores}
    return {"detections": values[0]}


RUNNERS = {"onnxruntime": onnxruntime_runner, "openvino": openvino_runner, "opencv4": opencv_runner,
           "opencv5": opencv_runner, "ncnn": ncnn_runner, "mnn": mnn_runner, "tflite": tflite_runner}
NAMES = {"raw": [f"{kind}.{level}" for kind in ("score", "reg") for level in range(4)],
         "decoded": ["scores", "boxes"], "nms": ["detections"]}


def decode(outputs):
    """Scores `[anchors, classes]` and boxes `[anchors, 4]` of the raw maps."""
    scores, boxes = [], []
    for level in range(4):
        score, reg = outputs[f"score.{level}"], outputs[f"reg.{level}"]
        score = score.reshape(-1, *score.shape[-3:])[0]
        reg = reg.reshape(-1, *reg.shape[-3:])[0]
        _, height, width = score.shape
        stride = 8 << level
        bins = reg.reshape(4, 8, height * width)
        weights = np.exp(bins - bins.max(1, keepdims=True))
        distance = (weights / weights.sum(1, keepdims=True) * np.arange(8)[None, :, None]).sum(1) * stride
        y, x = np.mgrid[0:height, 0:width].reshape(2, -1)
        x, y = (x + 0.5) * stride, (y + 0.5) * stride
        boxes.append(np.stack([x - distance[0], y - distance[1], x + distance[2], y + distance[3]], 1))
        scores.append(score.reshape(score.shape[0], -1).T)
    return np.concatenate(scores), np.concatenate(boxes)


def suppress(scores, boxes):
    """Rows of class, score and box after suppression per class."""
    rows = []
    for label in range(scores.shape[1]):
        chosen = np.flatnonzero(scores[:, label] > SCORE)
        chosen = chosen[np.argsort(-scores[chosen, label], kind="stable")]
        while len(chosen):
            best, chosen = chosen[0], chosen[1:]
            rows.append([label, scores[best, label], *boxes[best]])
            chosen = chosen[overlap(boxes[best], boxes[chosen]) <= OVERLAP]
    return np.array(sorted(rows, key=lambda row: -row[1])[:100]).reshape(-1, 6)


def overlap(box, others):
    others = np.asarray(others).reshape(-1, 4)
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    area = np.prod(box[2:] - box[:2]) + (others[:, 2:] - others[:, :2]).prod(1) - shared
    return shared / np.maximum(area, 1e-9)


def main():
    program, head, size, path, expected, *images = sys.argv[1:]
    run, size = RUNNERS[program](path), int(size)
    matched = total = extra = 0
    for line, image in zip(Path(expected).read_text().splitlines(), images, strict=True):
        picture = cv2.cvtColor(cv2.imread(image), cv2.COLOR_BGR2RGB)
        height, width = picture.shape[:2]
        pixels = cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
        outputs = run(((pixels - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None].copy())
        if head == "nms":
            rows = outputs["detections"].reshape(-1, 7)[:, 1:]
            # Programs with outputs of a fixed size append empty rows.
            rows = rows[rows[:, 1] > SCORE]
        else:
            if head == "raw":
                scores, boxes = decode(outputs)
            else:
                scores = outputs["scores"].reshape(-1, *outputs["scores"].shape[-2:])[0].T
                boxes = outputs["boxes"].reshape(-1, 4)
            rows = suppress(scores, boxes)
        rows[:, 2:] *= np.array([width / size, height / size] * 2)
        rows[:, 2:] = np.clip(rows[:, 2:], 0, [width, height, width, height])
        left = list(range(len(rows)))
        for truth in json.loads(line)["detections"]:
            total += 1
            box = np.array(truth["box"], dtype=float)
            found = [index for index in left if int(rows[index, 0]) == truth["class"]
                     and abs(rows[index, 1] - truth["score"]) < TOLERANCE
                     and overlap(box, rows[index, 2:])[0] > 0.9]
            if found:
                left.remove(found[0])
                matched += 1
        extra += len(left)
    print(f"{program:<12} {head:<8} {matched} of {total}, {extra} more")


if __name__ == "__main__":
    main()
