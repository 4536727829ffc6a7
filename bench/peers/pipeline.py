"""From the bytes of a JPEG to boxes with another engine, OpenCV before it and NumPy and OpenCV after it, at picodet's
settings: the model's resize, scores above 0.025, suppression at 0.6, the 100 best.

Written to be quick: distances are decoded only where a class scores, and no more than the best 1,000 of all classes are
suppressed.
"""

import cv2
import numpy as np

SCORE, OVERLAP, BEST, KEPT = 0.025, 0.6, 1000, 100
BINS = np.arange(8, dtype=np.float32)


class Pipeline:
    """The whole path of an image; `threads` applies to OpenCV too."""

    def __init__(self, engine, info, threads):
        self.run, self.arrays = engine
        self.size = info["input_size"]
        self.mean = np.array(info["mean"], np.float32).reshape(3, 1, 1)
        self.scale = 1 / np.array(info["std"], np.float32).reshape(3, 1, 1)
        self.resize = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[info["resize"]]
        self.threads = threads

    def __call__(self, data):
        cv2.setNumThreads(self.threads)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        height, width = self.size
        small = cv2.resize(picture, (width, height), interpolation=self.resize)
        blob = cv2.dnn.blobFromImage(small, 1 / 255, swapRB=True)
        blob[0] -= self.mean
        blob[0] *= self.scale
        return self.boxes(self.arrays(self.run(blob)), picture.shape)

    def boxes(self, outputs, shape):
        height, width = self.size
        boxes, scores, classes = [], [], []
        for level in range(sum(name.startswith("reg.") for name in outputs)):
            score, reg = outputs[f"score.{level}"][0], outputs[f"reg.{level}"][0]
            rows, columns = score.shape[1:]
            flat = score.reshape(-1)
            places = np.flatnonzero(flat > SCORE)
            if len(places) > BEST:
                places = places[np.argpartition(flat[places], -BEST)[-BEST:]]
            if not len(places):
                continue
            cells = places % (rows * columns)
            logits = reg.reshape(4, 8, -1)[:, :, cells]
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            left, top, right, bottom = np.einsum("b,sbn->sn", BINS, shares) / shares.sum(axis=1)
            stride = 8 << level
            x, y = (cells % columns + 0.5), (cells // columns + 0.5)
            boxes.append(np.stack([x - left, y - top, left + right, top + bottom], 1) * stride)
            scores.append(flat[places])
            classes.append(places // (rows * columns))
        if not boxes:
            return []
        boxes, scores, classes = np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes)
        if len(scores) > BEST:
            best = np.argpartition(scores, -BEST)[-BEST:]
            boxes, scores, classes = boxes[best], scores[best], classes[best]
        boxes *= np.tile([shape[1] / width, shape[0] / height], 2).astype(np.float32)
        kept = cv2.dnn.NMSBoxesBatched(boxes, scores, classes.astype(np.int32), SCORE, OVERLAP)
        kept = np.asarray(kept).reshape(-1)
        kept = kept[np.argsort(-scores[kept])[:KEPT]]
        return [(int(classes[i]), float(scores[i]), *boxes[i].tolist()) for i in kept]
