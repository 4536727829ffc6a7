"""Prints the detections in the images of a folder: name, tabulator, array in JSON."""

import json
import pathlib
import sys

import picodet

model = picodet.Model()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        boxes = model(str(path)).boxes
    except picodet.ImageError as error:
        print(error, file=sys.stderr)
        continue
    objects = [
        {"class": int(index), "name": model.names[int(index)], "score": float(score), "box": [float(x) for x in box]}
        for index, score, box in zip(boxes.cls, boxes.conf, boxes.xyxy)
    ]
    print(path.name, json.dumps(objects), sep="\t")
