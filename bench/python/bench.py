"""Times the Python package: overhead over Rust, threads, start, and ONNX Runtime with the same network, interleaved.

Run by bench/python/run.sh. Usage: bench.py ROUNDS [MODEL.safetensors]
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import onnx_pipeline
import picodet

SCORE, IOU, KEPT = 0.4, 0.6, 100
THREADS = (2, 8)
PAGE = "examples/page.png"


def milliseconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1e3


def picture():
    """A picture of 1920x1080 pixels with the contents of the page."""
    page = picodet.open_image(PAGE)
    return np.ascontiguousarray(np.tile(page, (1, 2, 1))[:1080, :1920])


def overhead(model, image, rounds):
    """The time of a call minus the stages that Rust measures inside it."""
    extra, whole = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        results = model(image)
        boxes = results.boxes.xyxy
        whole.append((time.perf_counter() - start) * 1e3)
        extra.append(whole[-1] - sum(results.speed.values()))
        assert boxes.shape[1] == 4
    print(f"Python over Rust, 1080p array: {statistics.median(extra):.3f} ms of {statistics.median(whole):.2f} ms")


def together(work, count):
    """Calls `work(index)` in `count` threads; returns seconds and the cores that were in use."""
    workers = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    start, processor = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wall = time.perf_counter() - start
    return wall, (time.process_time() - processor) / wall


def threads(model, image, rounds, count):
    """Threads on one object, in turns with as many that hash, which use the cores that the machine has free."""
    images = [np.roll(image, 80 * index, axis=1).copy() for index in range(count)]
    expected = [model(one).boxes.data for one in images]
    each = max(rounds, 20)
    data = bytes(20_000_000)
    wrong, used, hashing, ratios = [], [], [], []

    def detect(index):
        for _ in range(each):
            if not np.array_equal(model(images[index]).boxes.data, expected[index]):
                wrong.append(index)

    def digest(_):
        for _ in range(each):
            hashlib.sha256(data).digest()

    for _ in range(5):
        alone = statistics.median(milliseconds(model, images[0]) for _ in range(2 * each))
        wall, cores = together(detect, count)
        used.append(cores)
        ratios.append(count * each / wall * alone / 1e3)
        hashing.append(together(digest, count)[1])
    assert not wrong, f"wrong boxes in threads {wrong}"
    print(
        f"{count} threads on one object: right results, {statistics.median(used):.2f} cores in use (threads that hash: "
        f"{statistics.median(hashing):.2f} of {len(os.sched_getaffinity(0))}), {statistics.median(ratios):.2f} times the "
        "throughput of one thread"
    )


def start(path, rounds):
    """The import alone, and up to the first boxes, in new processes, without and with numpy imported before."""
    detect = f"found = picodet.Model({path!r})({PAGE!r}); count = len(found)"
    cases = {
        "import picodet": ("", ""),
        "import picodet + first detection": ("", detect),
        "import picodet + first detection, after `import numpy`": ("import numpy", detect),
    }
    times = {case: [] for case in cases}
    for _ in range(max(rounds // 2, 5)):
        for case, (before, after) in cases.items():
            lines = [before, "import time", "start = time.perf_counter()", "import picodet", after]
            code = "\n".join([*lines, "print(time.perf_counter() - start)"])
            times[case].append(float(subprocess.check_output([sys.executable, "-c", code])) * 1e3)
    for case, list_ in times.items():
        print(f"{case}: {statistics.median(list_):.1f} ms")


def against_onnx(path, image, rounds):
    with tempfile.TemporaryDirectory() as folder:
        onnx = picodet.export(os.path.join(folder, "model.onnx"), path, head="decoded")
        for count in (1, len(os.sched_getaffinity(0))):
            model = picodet.Model(path, score=SCORE, iou=IOU, max_detections=KEPT, threads=count)
            other = onnx_pipeline.Pipeline(str(onnx), count, SCORE, IOU, KEPT)
            ours, theirs = model(image), other(image)
            agree = len(ours) == len(theirs) and np.allclose(
                np.sort(ours.boxes.conf), np.sort(theirs[:, 4]), atol=2e-2
            )
            # In turns of several calls: the threads of ONNX Runtime keep a core busy for a while after a call.
            times = ([], [])
            for _ in range(max(rounds // 8, 3)):
                for list_, function in zip(times, (model, other)):
                    list_.extend([milliseconds(function, image) for _ in range(12)][4:])
            mine, onnxruntime = map(statistics.median, times)
            height, width = model.input_size
            print(
                f"{height}x{width}, {count} threads: picodet {mine:.2f} ms, onnxruntime + numpy {onnxruntime:.2f} ms: "
                f"{onnxruntime / mine:.2f} x; {len(ours)} and {len(theirs)} objects{'' if agree else ' (scores differ)'}"
            )


def main():
    rounds = int(sys.argv[1])
    path = sys.argv[2] if len(sys.argv) > 2 else picodet.DEFAULT_MODEL
    image = picture()
    model = picodet.Model(path, threads=1)
    model(image)
    overhead(model, image, rounds)
    for count in THREADS:
        threads(model, image, rounds, count)
    start(path, rounds)
    against_onnx(path, image, rounds)


main()
