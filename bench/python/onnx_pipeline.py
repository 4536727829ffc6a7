"""Detection as a Python program does it with ONNX Runtime: OpenCV's resize, numpy before and after the network."""

import json

import cv2
import numpy as np
import onnxruntime


class Pipeline:
    """An exported model with decoded outputs."""

    def __init__(self, path, threads, score, iou, kept):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.mean = np.array(json.loads(metadata["mean"]), np.float32)
        self.scale = 1 / np.array(json.loads(metadata["std"]), np.float32)
        self.resize = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[metadata["resize"]]
        self.size = tuple(self.session.get_inputs()[0].shape[2:])
        self.names = [output.name for output in self.session.get_outputs()]
        self.threads = threads
        self.score, self.iou, self.kept = score, iou, kept

    def __call__(self, image):
        """Returns boxes, scores and classes, `[n, 6]`."""
        cv2.setNumThreads(self.threads)
        height, width = self.size
        small = cv2.resize(image, (width, height), interpolation=self.resize)
        tensor = (small.astype(np.float32) * np.float32(1 / 255) - self.mean) * self.scale
        tensor = np.ascontiguousarray(tensor.transpose(2, 0, 1)[None])
        outputs = dict(zip(self.names, self.session.run(None, {"image": tensor})))
        scores, boxes = outputs["scores"][0], outputs["boxes"][0]
        classes, places = np.nonzero(scores > self.score)
        factor = np.array([image.shape[1] / width, image.shape[0] / height] * 2, np.float32)
        return self.suppress(boxes[places] * factor, scores[classes, places], classes)

    def suppress(self, boxes, scores, classes):
        rows = []
        for label in np.unique(classes):
            chosen = np.flatnonzero(classes == label)
            order = chosen[np.argsort(-scores[chosen], kind="stable")]
            while len(order):
                best, order = order[0], order[1:]
                rows.append([*boxes[best], scores[best], label])
                order = order[self.overlap(boxes[best], boxes[order]) <= self.iou]
        found = np.array(rows, np.float32).reshape(-1, 6)
        return found[np.argsort(-found[:, 4], kind="stable")[: self.kept]]

    @staticmethod
    def overlap(box, boxes):
        sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
        shared = sides.clip(min=0).prod(axis=1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        return shared / (areas + (box[2:] - box[:2]).prod() - shared)
