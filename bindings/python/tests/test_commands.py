"""Training, evaluation, checks, quantisation, export and conversion as functions."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import picodet
import pytest
from conftest import PAGE
from picodet.progress import Display

OPTIONS = {"epochs": 2, "sizes": [64], "batch": 2, "evaluate_every": 1, "threads": 1}


def test_training_evaluation_and_detection(tiny: Path, tmp_path: Path) -> None:
    events: list[picodet.Event] = []
    run = picodet.train(tiny, "v2_xs_320", tmp_path / "run", progress=events.append, **OPTIONS)  # type: ignore[arg-type]
    kinds = [event.kind for event in events]
    assert kinds.count("step") == 4 and kinds.count("epoch") == 2 and kinds[-1] == "end"
    step = next(event for event in events if event.kind == "step")
    assert step.values["loss"] > 0 and step.values["of_steps"] == 4
    assert run.folder == tmp_path / "run" and any("training on 4 images" in line for line in run.messages)
    assert run.best is not None and run.last is not None and run.map is not None and run.epoch in (1, 2)
    assert picodet.Model(run.best).names == {0: "table"}
    evaluation = picodet.evaluate(run.best, tiny, input_size=64, progress=False)
    assert evaluation.images == 4 and evaluation.ap is not None and evaluation.classes[0]["name"] == "table"

    with pytest.raises(picodet.Error, match="already contains a run"):
        picodet.train(tiny, "v2_xs_320", tmp_path / "run", progress=False)
    again = picodet.train(resume=tmp_path / "run", progress=False)
    assert again.best == run.best and again.map == run.map


def test_an_exception_of_the_callback_stops_training_with_a_checkpoint(tiny: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    steps = 0

    def listen(event: picodet.Event) -> None:
        nonlocal steps
        if event.kind == "step":
            steps += 1
            raise Stop

    options = {**OPTIONS, "epochs": 500}
    with pytest.raises(Stop):
        picodet.train(tiny, "v2_xs_320", tmp_path / "run", progress=listen, **options)  # type: ignore[arg-type]
    assert steps == 1 and (tmp_path / "run" / "checkpoint.safetensors").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_control_c_stops_training_with_a_checkpoint(tiny: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import picodet, sys
def listen(event):
    if event.kind == "step":
        print("step", flush=True)
try:
    picodet.train({str(tiny)!r}, "v2_xs_320", {str(tmp_path / "run")!r}, epochs=5000, sizes=[64], batch=2, progress=listen)
except KeyboardInterrupt:
    sys.exit(7)
"""
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"step\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 7
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_evaluation_equals_the_command(tiny: Path, command: list[str]) -> None:
    document = json.loads(tiny.read_text())
    document["categories"][0]["name"] = "table"
    evaluation = picodet.evaluate("layout_cdla", tiny, progress=False)
    arguments = [*command, "eval", "layout_cdla", str(tiny), "--format", "json"]
    expected = json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout)
    assert evaluation.metrics == expected["metrics"] and evaluation.classes == expected["classes"]
    assert evaluation.ap == evaluation.metrics["AP"]


def test_progress_and_missing_images_are_reported(tiny: Path) -> None:
    (tiny.parent / "2.png").write_bytes(b"broken")
    done: list[int] = []

    def listen(event: picodet.Event) -> None:
        if event.kind == "progress":
            done.append(event.values["done"])

    evaluation = picodet.evaluate("layout_cdla", tiny, progress=listen)
    assert sorted(done) == [1, 2, 3, 4] and evaluation.images == 4
    assert any("2.png" in line for line in evaluation.messages)


def test_an_exception_of_the_callback_stops_an_evaluation(tiny: Path) -> None:
    def listen(event: picodet.Event) -> None:
        if event.kind == "progress":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        picodet.evaluate("layout_cdla", tiny, threads=1, progress=listen)


def test_checks_find_problems(tiny: Path) -> None:
    clean = picodet.check(tiny, progress=False)
    assert clean.ok and clean.errors == 0
    document = json.loads(tiny.read_text())
    document["annotations"][0]["bbox"] = [0, 0, -5, 10]
    tiny.write_text(json.dumps(document))
    (tiny.parent / "3.png").unlink()
    found = picodet.check(tiny, progress=False)
    assert not found.ok and found.errors >= 2 and sum(found.counts.values()) == len(found.findings)
    fixed = tiny.parent.parent / "fixed"
    picodet.check(tiny, fix=fixed, allow_loss=True, progress=False)
    assert picodet.check(fixed, progress=False).ok


def test_exports_and_conversions(tmp_path: Path) -> None:
    onnx = picodet.export(tmp_path / "layout.onnx", "layout_cdla", head="decoded", batch="dynamic", opset=17)
    assert onnx.read_bytes()[:1] == b"\x08" and onnx.stat().st_size > 1_000_000
    model = picodet.Model("layout_cdla")
    names = list(model.names.values())
    raw = picodet.export(tmp_path / "raw.onnx", "layout_cdla", head="raw")
    converted = picodet.convert(
        raw, tmp_path / "again.safetensors", "layout_cdla", classes=names, origin="here", licence="Apache-2.0"
    )
    again = picodet.Model(converted)
    assert again.info["origin"] == "here" and list(again.names.values()) == names
    assert (again(PAGE).boxes.data == model(PAGE).boxes.data).all()
    smaller = picodet.convert(raw, tmp_path / "small.safetensors", "layout_cdla", storage="f16")
    assert smaller.stat().st_size < 0.6 * converted.stat().st_size and len(picodet.Model(smaller)(PAGE)) > 5


def test_a_quantised_model_detects_what_the_float_model_detects(tiny: Path, tmp_path: Path) -> None:
    options = {"images": 4, "judge": tiny, "any_speed": True, "min_fidelity": 0, "max_drop": 100, "threads": 2}
    output = tmp_path / "small.safetensors"
    small = picodet.quantise("layout_cdla", tiny, output, method="minmax", progress=False, **options)  # type: ignore[arg-type]
    assert small.path == output and output.stat().st_size < 2_500_000
    assert small.fidelity > 50 and {"int8", "f32"} <= set(small.milliseconds) and "signal to noise" in small.report
    assert any("scales from 4 images" in line for line in small.messages)
    found, expected = picodet.Model(output)(PAGE), picodet.Model("layout_cdla")(PAGE)
    assert len(found) >= 0.75 * len(expected) and found.names == expected.names
    with pytest.raises(picodet.Error, match="The file is kept"):
        picodet.quantise("layout_cdla", tiny, output, method="minmax", progress=False, **{**options, "min_fidelity": 100})  # type: ignore[arg-type]
    with pytest.raises(picodet.Error, match="quantised already"):
        picodet.quantise(output, tiny, tmp_path / "again", progress=False)


def test_errors_are_exceptions_of_one_line(tiny: Path, tmp_path: Path) -> None:
    cases: list[tuple[Callable[[], object], type[Exception], str]] = [
        (lambda: picodet.evaluate("no-such-model", tiny, progress=False), picodet.Error, "no-such-model"),
        (lambda: picodet.evaluate("layout_cdla", tmp_path / "none", progress=False), picodet.Error, "none"),
        (lambda: picodet.evaluate("layout_cdla", tiny, score=0.5, precision="f8"), ValueError, "f8"),
        (lambda: picodet.check(tmp_path / "none"), picodet.Error, "none"),
        (lambda: picodet.export(tmp_path / "no" / "a.onnx", "layout_cdla"), picodet.Error, "a.onnx"),
        (lambda: picodet.export(tmp_path / "a.onnx", "layout_cdla", batch=-1), picodet.Error, "-1"),
        (lambda: picodet.convert(PAGE, tmp_path / "a", "layout_cdla"), picodet.Error, "page.png"),
        (lambda: picodet.train(), ValueError, "data and recipe"),
        (lambda: picodet.train(tiny, "no-such-recipe", tmp_path / "run", progress=False), picodet.Error, "no-such"),
        (lambda: picodet.train(tiny, "v2_xs_320", tmp_path / "run", sizes=[33]), ValueError, "multiples of 32"),
    ]
    for call, error, words in cases:
        with pytest.raises(error) as caught:
            call()
        assert words in str(caught.value) and "\n" not in str(caught.value), caught.value


def test_displays_show_lines_or_one_line_that_changes() -> None:
    values = {
        "step": 0, "of_steps": 4, "epoch": 1, "loss": 2.5, "rate": 0.01, "images_per_second": 3.0, "seconds": 70.0,
    }
    epoch = {"epoch": 1, "of_epochs": 2, "map": 0.25, "map50": 0.5, "best": True, "seconds": 3700.0}
    events = [
        picodet.Event("status", "training", {}), picodet.Event("step", "", values), picodet.Event("step", "", values),
        picodet.Event("epoch", "", epoch), picodet.Event("progress", "detecting", {"done": 3, "total": 3}),
        picodet.Event("end", "", {}),
    ]
    texts = {}
    for changing in (False, True):
        stream = io.StringIO()
        shown = Display(stream, changing)
        for event in events:
            shown(event)
        texts[changing] = stream.getvalue()
    assert texts[False].splitlines() == [
        "training", "step 1/4 epoch 1 loss 2.500 rate 0.01000 3.0 images/s, 3:30 left",
        "epoch 1/2: mAP 0.2500, mAP 0.5 0.5000, best so far (1:01:40)", "detecting 3/3",
    ]
    assert texts[True].count("\r") > 3 and texts[True].endswith("\r") and "mAP 0.2500" in texts[True]
