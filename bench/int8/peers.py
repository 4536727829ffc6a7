"""ONNX Runtime and OpenVINO on models that picodet exports with `--head decoded`: their own quantisation, detections, time.

  peers.py quantise onnxruntime|openvino FLOAT.onnx IMAGES OUTPUT
  peers.py detect onnxruntime|openvino MODEL ANNOTATIONS.json IMAGES RESULTS.json
  peers.py latency THREADS PROGRAM:MODEL...
  peers.py judge ANNOTATIONS.json RESULTS.json FLOAT_RESULTS.json

`judge` prints AP and fidelity: AP with the float model's detections of score 0.3 and more as the truth. `run.sh` calls it.
"""

import contextlib
import io
import json
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SCORE, IOU, MOST = 0.025, 0.6, 100
TRUE_SCORE = 0.3


def read(path, size):
    """The network input of an image, and its height and width."""
    picture = cv2.imread(str(path))[:, :, ::-1]
    resized = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC) / 255.0
    image = ((resized - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    return image, picture.shape[:2]


def files(folder):
    return sorted(path for path in Path(folder).iterdir() if path.suffix in (".jpg", ".png"))


def onnxruntime_model(path, threads=None):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.get_inputs()[0].shape[2:], lambda image: session.run(["scores", "boxes"], {"image": image})


def openvino_model(path, threads=None, precision="f32"):
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = openvino.Core().compile_model(path, "CPU", settings)
    request = model.create_infer_request()

    def run(image):
        results = request.infer([image])
        return [results[model.output(name)] for name in ("scores", "boxes")]

    return list(model.input(0).shape)[2:], run


def openvino_bf16_model(path, threads=None):
    return openvino_model(path, threads, "bf16")


PROGRAMS = {"onnxruntime": onnxruntime_model, "openvino": openvino_model, "openvino-bf16": openvino_bf16_model}


def quantise_onnxruntime(path, images, output):
    import onnxruntime.quantization as quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    size, _ = onnxruntime_model(path)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.rest = iter(files(images))

        def get_next(self):
            path = next(self.rest, None)
            return path and {"image": read(path, size)[0]}

    prepared = output + ".prepared"
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        output,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    Path(prepared).unlink()


def quantise_openvino(path, images, output):
    import nncf
    import openvino

    # `read_model` hides biases, for which NNCF then makes no correction.
    model = openvino.convert_model(path)
    size = list(model.input(0).shape)[2:]
    data = nncf.Dataset(files(images), lambda path: read(path, size)[0])
    count = len(files(images))
    model = nncf.quantize(model, data, subset_size=count, preset=nncf.QuantizationPreset.MIXED)
    openvino.save_model(model, output, compress_to_fp16=False)


def suppress(boxes, scores):
    """The indices that are kept of one class, best first."""
    order = np.argsort(-scores, kind="stable")
    area = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        order = order[common <= IOU * (area[best] + area[order] - common)]
    return kept


def detections(scores, boxes):
    """Class, score and box of the detections of one image."""
    scores, boxes = np.asarray(scores)[0], np.asarray(boxes)[0]
    if scores.shape[0] != boxes.shape[0]:
        scores = scores.T
    found = []
    for label in np.flatnonzero((scores >= SCORE).any(axis=0)):
        at = np.flatnonzero(scores[:, label] >= SCORE)
        at = at[suppress(boxes[at], scores[at, label])]
        found += [(int(label), float(scores[index, label]), boxes[index]) for index in at]
    return sorted(found, key=lambda one: -one[1])[:MOST]


def detect(program, path, annotations, images, results):
    size, run = PROGRAMS[program](path)
    dataset = json.loads(Path(annotations).read_text())
    categories = sorted(category["id"] for category in dataset["categories"])
    found = []
    for record in dataset["images"]:
        image, (height, width) = read(Path(images) / record["file_name"], size)
        scale = np.array([width / size[1], height / size[0]] * 2)
        for label, score, box in detections(*run(image)):
            x1, y1, x2, y2 = (float(side) for side in box * scale)
            box = [x1, y1, x2 - x1, y2 - y1]
            entry = {"image_id": record["id"], "category_id": categories[label], "bbox": box, "score": score}
            found.append(entry)
    Path(results).write_text(json.dumps(found))


def latency(threads, *models):
    """Prints the median milliseconds of each model, measured in turns."""
    runs = []
    for model in models:
        program, path = model.split(":", 1)
        size, run = PROGRAMS[program](path, int(threads))
        runs.append((run, np.random.default_rng(1).normal(size=(1, 3, *size)).astype(np.float32), []))
    for _ in range(8):
        for run, image, times in runs:
            for repeat in range(6):
                start = time.perf_counter()
                run(image)
                if repeat:
                    times.append(time.perf_counter() - start)
    print(*(f"{1e3 * statistics.median(times):.2f}" for _, _, times in runs))


def average_precision(dataset, results):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * evaluation.stats[0]


def judge(annotations, results, float_results):
    dataset = json.loads(Path(annotations).read_text())
    results, teacher = (json.loads(Path(path).read_text()) for path in (results, float_results))
    if not results:
        print("0.00 0.00")
        return
    objects = [
        {**found, "id": index, "area": found["bbox"][2] * found["bbox"][3], "iscrowd": 0}
        for index, found in enumerate((found for found in teacher if found["score"] >= TRUE_SCORE), 1)
    ]
    ap = average_precision(dataset, results)
    print(f"{ap:.2f} {average_precision({**dataset, 'annotations': objects}, results):.2f}")


def main(command, *arguments):
    if command == "quantise":
        program, *rest = arguments
        {"onnxruntime": quantise_onnxruntime, "openvino": quantise_openvino}[program](*rest)
    else:
        {"detect": detect, "latency": latency, "judge": judge}[command](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
