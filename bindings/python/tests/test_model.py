"""Models: options, copies, threads, forks and signals."""

from __future__ import annotations

import copy
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import picodet
import pytest
from conftest import PAGE, REPOSITORY

Pixels = npt.NDArray[np.uint8]
LAYOUT = REPOSITORY / "crates" / "picodet" / "models" / "layout_cdla.safetensors"


@pytest.fixture
def crops(page: Pixels) -> list[Pixels]:
    """Parts of the page with different objects."""
    return [page[160 * index : 160 * index + 400 + 16 * index] for index in range(8)]


def test_the_default_model_is_embedded() -> None:
    model = picodet.Model()
    assert picodet.DEFAULT_MODEL in repr(model) and len(model.names) == len(model.category_ids) > 5
    assert model.info["licence"] == "Apache-2.0"


def test_models_open_from_files_and_bytes(layout: picodet.Model, page: Pixels) -> None:
    expected = layout(page).boxes.data
    sources: list[Path | str | bytes] = [LAYOUT, str(LAYOUT), LAYOUT.read_bytes()]
    for source in sources:
        assert (picodet.Model(source)(page).boxes.data == expected).all()


def test_options_change_what_is_found(layout: picodet.Model, page: Pixels) -> None:
    count = len(layout(page))
    assert len(picodet.Model("layout_cdla", score=0.95)(page)) < count
    assert len(picodet.Model("layout_cdla", score=0.05)(page)) > count
    assert len(picodet.Model("layout_cdla", max_detections=2)(page)) == 2
    assert len(picodet.Model("layout_cdla", score=0.05, iou=0.1)(page)) < len(
        picodet.Model("layout_cdla", score=0.05, iou=0.9)(page)
    )
    fastest = picodet.Model("layout_cdla", precision="auto")(page)
    assert abs(len(fastest) - count) <= 1 and abs(fastest.boxes.conf[0] - layout(page).boxes.conf[0]) < 0.05
    small = picodet.Model("layout_cdla", input_size=(320, 256), resize="area", max_pixels=10_000_000)
    assert small.input_size == (320, 256) and len(small(page)) > 0
    sizes: list[Any] = [np.int64(320), [320, 320], np.array([320, 320])]
    for size in sizes:
        assert picodet.Model("layout_cdla", input_size=size).input_size == (320, 320)
    with pytest.raises(TypeError):
        layout.detect_arrays("page.png")


@pytest.mark.parametrize(
    "options",
    [
        {"score": -0.1}, {"score": math.nan}, {"score": 1.5}, {"iou": 2}, {"iou": math.nan}, {"threads": 0},
        {"threads": -1}, {"max_detections": 0}, {"precision": "f64"}, {"resize": "bicubic"},
        {"input_size": 64000}, {"input_size": 100}, {"input_size": (320,)}, {"input_size": (320, 0)},
    ],
)
def test_invalid_options_are_value_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        picodet.Model("layout_cdla", **options)
    assert "\n" not in str(caught.value)


def test_unknown_and_broken_models_are_model_errors(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(LAYOUT.read_bytes()[:50_000])
    missing = tmp_path / "no-such.safetensors"
    sources: list[Path | str | bytes] = ["no-such-model", missing, broken, broken.read_bytes(), b"", tmp_path]
    for source in sources:
        with pytest.raises(picodet.ModelError):
            picodet.Model(source)
    with pytest.raises(TypeError, match="int"):
        picodet.Model(7)  # type: ignore[arg-type]


def test_copies_detect_the_same(layout: picodet.Model, page: Pixels) -> None:
    expected = layout(page).boxes.data
    for other in [copy.copy(layout), copy.deepcopy(layout), pickle.loads(pickle.dumps(layout))]:
        assert other is not layout and repr(other) == repr(layout)
        assert (other(page).boxes.data == expected).all()


def test_pickles_keep_options_and_check_files(tmp_path: Path, page: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(LAYOUT.read_bytes())
    monkeypatch.chdir(tmp_path)
    model = picodet.Model("model.safetensors", score=0.9, threads=1)
    pickled = pickle.dumps(model)
    monkeypatch.chdir("/")
    assert len(pickled) < 2000
    assert len(pickle.loads(pickled)(page)) == len(picodet.Model("layout_cdla", score=0.9)(page))
    path.write_bytes(LAYOUT.read_bytes() + b" ")
    with pytest.raises(picodet.ModelError, match="changed"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(picodet.ModelError, match="does not exist"):
        pickle.loads(pickled)
    of_bytes = picodet.Model(LAYOUT.read_bytes(), score=0.9)
    assert len(pickle.loads(pickle.dumps(of_bytes))(page)) == len(of_bytes(page))


def test_one_object_serves_eight_threads(layout: picodet.Model, crops: list[Pixels]) -> None:
    expected = [layout(crop).boxes.data for crop in crops]
    assert len({len(boxes) for boxes in expected}) > 2
    start = threading.Barrier(len(crops))

    def work(index: int) -> bool:
        start.wait()
        return all(np.array_equal(layout(crops[index]).boxes.data, expected[index]) for _ in range(2))

    with ThreadPoolExecutor(len(crops)) as pool:
        assert all(pool.map(work, range(len(crops))))


def test_the_interpreter_runs_while_a_model_detects(layout: picodet.Model, page: Pixels) -> None:
    turns = 0
    running = True

    def count() -> None:
        nonlocal turns
        while running:
            turns += 1

    thread = threading.Thread(target=count)
    thread.start()
    # One call into the native module, in which only a released lock lets the thread count.
    before = turns
    layout._detector.detect_batch([np.ascontiguousarray(page)] * 4, workers=2)
    counted = turns - before
    running = False
    thread.join()
    assert counted > 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_children_of_a_fork_detect(layout: picodet.Model, crops: list[Pixels]) -> None:
    model = picodet.Model("layout_cdla", threads=2)
    expected = model(crops[0]).boxes.data
    running = True

    def work() -> None:
        while running:
            model(crops[1])

    # Other threads detect at the time of the fork.
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                os._exit(0 if all((model(crops[0]).boxes.data == expected).all() for _ in range(2)) else 1)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            assert (model(crops[0]).boxes.data == expected).all()
    finally:
        running = False
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.skipif(sys.platform == "win32", reason="this system has one start method")
def test_processes_of_multiprocessing(method: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import multiprocessing, picodet
def count(task):
    model, path = task
    return len(model(path))
if __name__ == "__main__":
    model = picodet.Model("layout_cdla", threads=2)
    expected = len(model({str(PAGE)!r}))
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        counts = pool.map(count, [(model, {str(PAGE)!r})] * 4)
    assert counts == [expected] * 4 and expected > 5, counts
"""
    )
    subprocess.run([sys.executable, "-W", "error", script], check=True, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_control_c_ends_a_long_batch(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import numpy, picodet, sys
model = picodet.Model("layout_cdla", threads=1)
image = picodet.open_image({str(PAGE)!r})
try:
    print("ready", flush=True)
    model([image] * 100_000)
except KeyboardInterrupt:
    sys.exit(7)
"""
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    # The batch begins after the line has been written.
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 7
    process.stdout.close()
