"""Detects in the images of a dataset with an exported model (head `nms`) and writes COCO results.

Usage: qdq.py onnxruntime|openvino MODEL.onnx ANNOTATIONS.json IMAGES RESULTS.json   (called by run.sh)
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def onnxruntime_runner(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.get_inputs()[0].shape[2:], lambda image: session.run(None, {"image": image})[0]


def openvino_runner(path):
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    print("operations in 8 bits:", eight_bits(model), file=sys.stderr)
    return list(model.input(0).shape)[2:], lambda image: model([image])[0]


def eight_bits(model):
    """The number of convolutions that the program runs in 8 bits, and that of all."""
    types = [
        node.get_rt_info()["runtimePrecision"].astype(str)
        for node in model.get_runtime_model().get_ops()
        if node.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    return f"{sum(kind in ('u8', 'i8') for kind in types)} of {len(types)} convolutions"


def main(program, path, annotations, images, results):
    (height, width), run = {"onnxruntime": onnxruntime_runner, "openvino": openvino_runner}[program](path)
    dataset = json.loads(Path(annotations).read_text())
    categories = sorted(category["id"] for category in dataset["categories"])
    found = []
    for record in dataset["images"]:
        picture = cv2.imread(str(Path(images) / record["file_name"]))[:, :, ::-1]
        resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC) / 255.0
        image = ((resized - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        scale = np.array([picture.shape[1] / width, picture.shape[0] / height] * 2)
        for _, category, score, *box in run(image).tolist():
            x1, y1, x2, y2 = np.array(box) * scale
            found.append(
                {
                    "image_id": record["id"],
                    "category_id": categories[int(category)],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": score,
                }
            )
    Path(results).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
