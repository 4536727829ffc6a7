"""Compares picodet-eval with pycocotools on generated cases, edge cases, and COCO files if given.

usage: compare.py generate DIR [--cases N] [--seed S] [--coco TRUTH DETECTIONS]...
       compare.py compare DIR

`generate` writes a folder per case; `cargo run --release -p picodet-eval --example coco_metrics -- DIR`
adds our numbers; `compare` runs pycocotools on the same files and prints the largest differences.
Exit status 1 if any number differs by more than 1e-12.
"""

import argparse
import contextlib
import io
import json
import pathlib
import random
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

TOLERANCE = 1e-12


def truth(id, image, category, box, crowd=0, area=None, **more):
    area = box[2] * box[3] if area is None else area
    return {"id": id, "image_id": image, "category_id": category, "bbox": box, "area": area,
            "iscrowd": crowd, **more}


def detection(image, category, box, score):
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}


def random_case(r):
    """Generates objects and detections: near them, elsewhere, duplicated, of the wrong class, and by the hundred."""
    images = r.sample(range(1, 100000), r.randint(1, 12))
    categories = r.sample(range(1, 91), r.randint(1, 6))
    levels = r.choice([0, 0, 2, 5])  # few distinct scores: ties
    grid = r.choice([0, 0, 1, 8])  # boxes on a grid: equal overlaps

    def score():
        return r.random() if levels == 0 else r.randint(0, levels) / levels

    def snap(value):
        return value if grid == 0 else float(round(value / grid) * grid)

    def box(side=None):
        side = side or r.choice([8, 32, 64, 96, 200])
        width, height = side * r.uniform(0.5, 1.5), side * r.uniform(0.5, 1.5)
        if r.random() < 0.1:
            width, height = r.choice([(32.0, 32.0), (96.0, 96.0), (0.0, 5.0), (16.0, 64.0)])
        return [snap(r.uniform(-5, 400)), snap(r.uniform(-5, 400)), snap(width), snap(height)]

    def near(b, amount):
        return [snap(v + r.gauss(0, amount) * (b[2 + i % 2] + 1)) if r.random() < 0.9 else v
                for i, v in enumerate(b[:2])] + [snap(abs(v * r.uniform(1 - 2 * amount, 1 + 2 * amount)))
                                                for v in b[2:]]

    truths, detections = [], []
    zero = r.random() < 0.03  # ids from 0
    for image in images:
        if r.random() < 0.15:
            continue
        for _ in range(r.choice([0, 1, 3, 8, 20])):
            category, b = r.choice(categories), box()
            crowd = int(r.random() < 0.1)
            area = r.choice([None, None, b[2] * b[3] * r.uniform(0.3, 1), 1024.0, 9216.0, 1024, 9216])
            more = {"ignore": 1} if r.random() < 0.1 else {}
            truths.append(truth(len(truths) + (not zero), image, category, b, crowd, area, **more))
            for _ in range(r.choice([0, 1, 1, 2, 4])):
                amount = r.choice([0.0, 0.01, 0.05, 0.1, 0.2])
                chosen = category if r.random() < 0.85 else r.choice(categories)
                detections.append(detection(image, chosen, near(b, amount), score()))
    for _ in range(r.choice([0, 5, 30])):
        detections.append(detection(r.choice(images), r.choice(categories), box(), score()))
    if r.random() < 0.15:  # more than 100 in an image
        image, category = r.choice(images), r.choice(categories)
        crowded = [t["bbox"] for t in truths if t["image_id"] == image] or [box()]
        for _ in range(r.randint(95, 180)):
            detections.append(detection(image, category, near(r.choice(crowded), 0.15), score()))
    r.shuffle(detections)
    r.shuffle(truths)
    return images, categories, truths, detections


def edge_cases():
    """Name -> (image ids, category ids, truths, detections)."""
    b, far = [10.0, 10.0, 50.0, 50.0], [300.0, 300.0, 50.0, 50.0]
    shift = lambda d: [10.0 + d, 10.0, 50.0, 50.0]
    cases = {
        "nothing": ([1], [1], [], []),
        "no images": ([], [1], [], []),
        "no categories": ([1], [], [], []),
        "no detections": ([1, 2], [1, 2], [truth(1, 1, 1, b)], []),
        "no truth": ([1, 2], [1, 2], [], [detection(1, 1, b, 0.5)]),
        "class without truth": ([1], [1, 2], [truth(1, 1, 1, b)], [detection(1, 1, b, 0.5), detection(1, 2, b, 0.9)]),
        "perfect": ([1], [1], [truth(1, 1, 1, b)], [detection(1, 1, b, 0.5)]),
        "only crowd": ([1], [1], [truth(1, 1, 1, b, 1)], [detection(1, 1, b, 0.5)] * 3),
        "crowd and object": ([1], [1], [truth(1, 1, 1, b, 1), truth(2, 1, 1, b)],
                             [detection(1, 1, b, 0.5), detection(1, 1, [12.0, 12.0, 9.0, 9.0], 0.6), detection(1, 1, b, 0.4)]),
        "crowd in another image": ([1, 2], [1], [truth(1, 1, 1, b, 1), truth(2, 2, 1, b)],
                                   [detection(1, 1, b, 0.9), detection(2, 1, b, 0.4)]),
        "ignore is overwritten": ([1], [1], [truth(1, 1, 1, b, 0, None, ignore=1)], [detection(1, 1, b, 0.5)]),
        "ties right first": ([1, 2], [1], [truth(1, 1, 1, b)], [detection(1, 1, b, 0.5), detection(2, 1, b, 0.5)]),
        "ties wrong first": ([1, 2], [1], [truth(1, 2, 1, b)], [detection(2, 1, b, 0.5), detection(1, 1, b, 0.5)]),
        "ties in an image": ([1], [1], [truth(1, 1, 1, b)], [detection(1, 1, far, 0.5), detection(1, 1, b, 0.5)]),
        "equal overlaps": ([1], [1], [truth(1, 1, 1, b), truth(2, 1, 1, b)], [detection(1, 1, b, 0.5)]),
        "equal overlaps, other area": ([1], [1], [truth(1, 1, 1, b, 0, 100.0), truth(2, 1, 1, b)], [detection(1, 1, b, 0.5)]),
        "minus zero": ([1], [1], [truth(1, 1, 1, b)], [detection(1, 1, far, 0.0), detection(1, 1, b, -0.0)]),
        "negative scores": ([1], [1], [truth(1, 1, 1, b)], [detection(1, 1, far, -3.0), detection(1, 1, b, -2.0)]),
        "large scores": ([1], [1], [truth(1, 1, 1, b)], [detection(1, 1, far, 1e300), detection(1, 1, b, 1e301)]),
        "id zero": ([1], [1], [truth(0, 1, 1, b), truth(1, 1, 1, far)], [detection(1, 1, b, 0.9), detection(1, 1, far, 0.5)]),
        "id zero, crowd": ([1], [1], [truth(0, 1, 1, b, 1), truth(1, 1, 1, far)], [detection(1, 1, b, 0.9), detection(1, 1, far, 0.5)]),
        "negative ids": ([-5, 3], [-1, 2], [truth(-7, -5, -1, b), truth(1, 3, 2, b)], [detection(-5, -1, b, 0.9), detection(3, 2, b, 0.5)]),
        "area at the borders": ([1], [1], [truth(i + 1, 1, 1, [100.0 * i, 0.0, s, s], 0, a) for i, (s, a) in enumerate(
            [(32.0, 1024), (32.0, 1024.0000001), (96.0, 9216), (96.0, 9215.9999999), (1.0, 0), (90.0, 1e10), (90.0, 1.1e10)])],
            [detection(1, 1, [100.0 * i, 0.0, s, s], 0.9 - i / 10) for i, s in enumerate([32.0, 32.0, 96.0, 96.0, 1.0, 90.0, 90.0])]),
        "area of the detection": ([1], [1], [truth(1, 1, 1, far)], [detection(1, 1, [0.0, 0.0, 32.0, 32.0], 0.9),
            detection(1, 1, [0.0, 0.0, 96.0, 96.0], 0.8), detection(1, 1, [0.0, 0.0, 97.0, 96.0], 0.7), detection(1, 1, far, 0.1)]),
        "area beyond all": ([1], [1], [truth(1, 1, 1, [0.0, 0.0, 2e5, 1e5])], [detection(1, 1, [0.0, 0.0, 2e5, 1e5], 0.9)]),
        "overlap at the threshold": ([1], [1], [truth(1, 1, 1, [0.0, 0.0, 10.0, 10.0])], [detection(1, 1, [0.0, 0.0, 5.0, 10.0], 0.9)]),
        "overlaps at all thresholds": ([1], [1], [truth(i + 1, 1, 1, [100.0 * i, 0.0, 20.0, 20.0]) for i in range(10)],
            [detection(1, 1, [100.0 * i, 0.0, 10.0 + i, 20.0], 0.9 - i / 100) for i in range(10)]),
        "empty boxes": ([1], [1], [truth(1, 1, 1, [5.0, 5.0, 0.0, 0.0])], [detection(1, 1, [5.0, 5.0, 0.0, 0.0], 0.9)]),
        "negative sizes": ([1], [1], [truth(1, 1, 1, [60.0, 60.0, -50.0, -50.0])], [detection(1, 1, [60.0, 60.0, -50.0, -50.0], 0.9), detection(1, 1, b, 0.8)]),
        "vanishing boxes": ([1], [1], [truth(1, 1, 1, [0.0, 0.0, 1e-200, 1e-200]), truth(2, 1, 1, [0.0, 0.0, 1e-200, 1e-200])],
                            [detection(1, 1, [0.0, 0.0, 1e-200, 1e-200], 0.9)]),
        "boundless boxes": ([1], [1], [truth(1, 1, 1, [0.0, 0.0, 1e200, 1e200], 0, 100.0)], [detection(1, 1, [0.0, 0.0, 1e200, 1e200], 0.9)]),
        "truth of an unknown image": ([1], [1], [truth(1, 1, 1, b), truth(2, 9, 1, b)], [detection(1, 1, b, 0.9)]),
        "unknown classes": ([1], [1], [truth(1, 1, 1, b), truth(2, 1, 9, b)], [detection(1, 1, b, 0.5), detection(1, 9, b, 0.9)]),
        "repeated images and classes": ([2, 1, 1, 2], [3, 1, 3], [truth(1, 1, 1, b), truth(2, 2, 3, b)], [detection(1, 1, b, 0.5), detection(2, 3, b, 0.9)]),
        "images out of order": ([9, 4, 7], [1], [truth(1, 9, 1, b)], [detection(9, 1, b, 0.5), detection(7, 1, b, 0.5), detection(4, 1, b, 0.5)]),
        "wrong class": ([1], [1, 2], [truth(1, 1, 1, b)], [detection(1, 2, b, 0.9)]),
        "hundredth and hundred and first": ([1], [1], [truth(1, 1, 1, b), truth(2, 1, 1, far)],
            [detection(1, 1, [600.0 + i, 0.0, 9.0, 9.0], 0.9) for i in range(99)] + [detection(1, 1, b, 0.5), detection(1, 1, far, 0.4)]),
        "first and tenth": ([1], [1], [truth(1, 1, 1, b), truth(2, 1, 1, far), truth(3, 1, 1, [100.0, 0.0, 40.0, 40.0])],
            [detection(1, 1, b, 0.9)] + [detection(1, 1, [600.0 + i, 0.0, 9.0, 9.0], 0.8) for i in range(8)]
            + [detection(1, 1, far, 0.5), detection(1, 1, [100.0, 0.0, 40.0, 40.0], 0.4)]),
        "missing fields": ([1], [1], [{"id": 1, "image_id": 1, "category_id": 1, "bbox": b}], [detection(1, 1, b, 0.9)]),
        "extra fields": ([1], [1], [truth(1, 1, 1, b, 0, None, segmentation=[[1, 2, 3, 4, 5, 6]], note="x")],
                         [{**detection(1, 1, b, 0.9), "segmentation": [[1, 2, 3, 4, 5, 6]], "id": 77, "area": 5}]),
    }
    for step in range(1, 24):
        cases[f"shifted by {step}"] = ([1], [1], [truth(1, 1, 1, b)], [detection(1, 1, shift(float(step)), 0.9)])
    return cases


def write(folder, images, categories, truths, detections, agnostic):
    folder.mkdir(parents=True)
    data = {"images": [{"id": i} for i in images],
            "categories": [{"id": i, "name": f"class {i}"} for i in categories], "annotations": truths}
    (folder / "truth.json").write_text(json.dumps(data))
    (folder / "detections.json").write_text(json.dumps(detections))
    if agnostic:
        (folder / "agnostic").touch()


def generate(arguments):
    base = pathlib.Path(arguments.folder)
    r = random.Random(arguments.seed)
    for number in range(arguments.cases):
        write(base / f"random {number:05}", *random_case(r), agnostic=number % 10 == 9)
    for name, case in edge_cases().items():
        write(base / f"edge {name}", *case, agnostic=False)
        # With classes off pycocotools counts the boxes of a repeated class twice; we count them once.
        if name != "repeated images and classes":
            write(base / f"edge {name}, agnostic", *case, agnostic=True)
    for number, (annotations, detections) in enumerate(arguments.coco or []):
        folder = base / f"file {number} {pathlib.Path(detections).stem}"
        folder.mkdir(parents=True)
        (folder / "truth.json").write_bytes(pathlib.Path(annotations).read_bytes())
        (folder / "detections.json").write_bytes(pathlib.Path(detections).read_bytes())


def reference(folder):
    """Values of pycocotools in the order of the example coco_metrics."""
    data = json.loads((folder / "truth.json").read_text())
    detections = json.loads((folder / "detections.json").read_text())
    for annotation in data["annotations"]:  # pycocotools stops at a missing field
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
        annotation.setdefault("iscrowd", 0)
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        coco = COCO()
        coco.dataset = data
        coco.createIndex()
        if detections:
            found = coco.loadRes(detections)
        else:  # loadRes stops at an empty list
            found = COCO()
            found.dataset = {"images": data["images"], "categories": data["categories"], "annotations": []}
            found.createIndex()
        evaluation = COCOeval(coco, found, "bbox")
        if (folder / "agnostic").exists():
            evaluation.params.useCats = 0
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    scores = evaluation.eval["scores"]
    parts = [evaluation.stats]
    for k in range(precision.shape[2]):
        ap = precision[:, :, k, 0, 2]
        ap = ap[ap > -1]
        parts += [precision[:, :, k, :, 2].transpose(2, 0, 1).ravel(), recall[:, k].transpose(1, 2, 0).ravel(),
                  scores[:, :, k, 0, 2].ravel(), np.array([np.mean(ap) if len(ap) else -1.0])]
    return np.concatenate(parts)


def compare(arguments):
    worst, count, numbers, unequal, failures = 0.0, 0, 0, 0, []
    for folder in sorted(pathlib.Path(arguments.folder).iterdir()):
        ours, theirs = np.fromfile(folder / "numbers.f64", "<f8"), reference(folder)
        count += 1
        if ours.shape != theirs.shape:
            failures.append(f"{folder.name}: {ours.shape[0]} numbers, pycocotools {theirs.shape[0]}")
            continue
        difference = np.abs(ours - theirs)
        largest = float(difference.max())
        worst = max(worst, largest)
        numbers += len(ours)
        unequal += int((ours != theirs).sum())
        if not largest <= TOLERANCE:
            failures.append(f"{folder.name}: differs by {largest} at {int(difference.argmax())}")
        if folder.name.startswith("file"):
            print(f"{folder.name}: AP {ours[0]:.6f}, AP50 {ours[1]:.6f}, difference of the twelve {difference[:12].max()}")
    print(f"{count} cases, {numbers} values: largest difference {worst}, {unequal} not bitwise equal")
    print("\n".join(failures[:50]) or "all within 1e-12")
    return 1 if failures or count == 0 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("generate")
    one.add_argument("folder")
    one.add_argument("--cases", type=int, default=1200)
    one.add_argument("--seed", type=int, default=20241)
    one.add_argument("--coco", nargs=2, action="append", metavar=("TRUTH", "DETECTIONS"))
    commands.add_parser("compare").add_argument("folder")
    arguments = parser.parse_args()
    return compare(arguments) if arguments.command == "compare" else generate(arguments)


if __name__ == "__main__":
    sys.exit(main())
