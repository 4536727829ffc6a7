"""Training, evaluation, dataset checks, quantisation, export and conversion: the commands of ``picodet`` as functions.

They report their progress in a terminal and in a notebook; ``progress=False`` keeps them silent, and a function receives the
:class:`Event` objects instead. Ctrl-C stops them: training writes a checkpoint first.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _picodet
from .errors import Error
from .progress import Event, Listener, display

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Check",
    "Evaluation",
    "Event",
    "Quantisation",
    "Training",
    "check",
    "convert",
    "evaluate",
    "export",
    "quantise",
    "train",
]

StrPath: TypeAlias = str | os.PathLike[str]
#: Whether to show the progress, or a function that receives it.
Progress: TypeAlias = bool | Listener

# Seconds after which a command that does not stop is left behind; training is waited for.
_LEAVE_AFTER = 2.0


@dataclass(frozen=True)
class Training:
    """The result of a training run."""

    #: The folder of the run: checkpoint, models, metrics and report.
    folder: Path
    #: The model of the best evaluation; ``None`` before an evaluation.
    best: Path | None
    #: The averaged model of the last evaluation; ``None`` before an evaluation.
    last: Path | None
    #: The best mAP over IoU 0.5 to 0.95; ``None`` where it is undefined.
    map: float | None
    #: mAP at IoU 0.5 of that evaluation.
    map50: float | None
    #: The epoch of the best evaluation.
    epoch: int | None
    #: The lines of status.
    messages: list[str] = field(repr=False)


@dataclass(frozen=True)
class Evaluation:
    """COCO metrics of a model on a dataset; ``None`` stands for a metric without objects."""

    #: The number of images.
    images: int
    #: AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm and ARl.
    metrics: dict[str, float | None]
    #: For each class id, name, objects, AP, AP50 and AP75.
    classes: list[dict[str, Any]] = field(repr=False)
    #: The lines of status, such as images that could not be read.
    messages: list[str] = field(repr=False)

    @property
    def ap(self) -> float | None:
        """AP over IoU 0.5 to 0.95."""
        return self.metrics["AP"]


@dataclass(frozen=True)
class Check:
    """The problems of a dataset."""

    #: The number of errors.
    errors: int
    #: The number of warnings.
    warnings: int
    #: The number of problems of each kind.
    counts: dict[str, int]
    #: The problems: kind, severity, place, message and fix.
    findings: list[dict[str, Any]] = field(repr=False)
    #: The whole report, as ``picodet check --format json`` writes it.
    report: dict[str, Any] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return self.errors == 0


@dataclass(frozen=True)
class Quantisation:
    """A model in 8 bits and what was measured of it."""

    #: The model file.
    path: Path
    #: AP in percent, with the detections of the float model as the truth.
    fidelity: float
    #: AP in percent with the labels; ``None`` without labels.
    ap: float | None
    #: The same of the float model.
    ap_float: float | None
    #: Milliseconds of the network on one thread, by precision; ``"int8"`` is that of this model.
    milliseconds: dict[str, float]
    #: The report, as ``picodet quantise`` prints it.
    report: str = field(repr=False)
    #: The lines of status, such as images that could not be read.
    messages: list[str] = field(repr=False)


def train(
    data: StrPath | None = None,
    recipe: StrPath | None = None,
    output: StrPath | None = None,
    *,
    split: str | None = None,
    validation: StrPath | None = None,
    validation_split: str | None = None,
    validation_share: float | None = None,
    crowds_as_objects: bool = False,
    weights: StrPath | None = None,
    batch: int | str | None = None,
    rate: float | None = None,
    epochs: int | None = None,
    sizes: int | Sequence[int | tuple[int, int]] = (),
    augment: Sequence[str] | None = None,
    seed: int | None = None,
    freeze_backbone: bool = False,
    threads: int | None = None,
    workers: int | None = None,
    cache: int | None = None,
    evaluate_every: int | None = None,
    checkpoint_every: int | None = None,
    patience: int | None = None,
    time_limit: float | None = None,
    on_nan: str | None = None,
    overfit_first: bool = False,
    unchecked: bool = False,
    max_pixels: int | None = None,
    resume: StrPath | None = None,
    progress: Progress = True,
) -> Training:
    """Trains a network on a dataset, or resumes a run.

    The options are those of ``picodet train``, whose help describes them; ``None`` stands for its defaults.

    Args:
        data: A dataset in any format: a COCO .json, a YOLO .yaml, or a folder.
        recipe: The name of a published recipe, or a TOML file.
        output: The folder of the run.
        validation_share: The share of the training images to set aside for evaluation.
        weights: A model to start from.
        batch: Images per batch, or ``"auto"``.
        rate: The learning rate for that batch.
        time_limit: Minutes after which the run stops with a checkpoint.
        resume: The folder of a run to resume, instead of data and recipe.
        progress: Whether to show the progress, or a function that receives it.

    Raises:
        picodet.Error: The run cannot start, or ends early; its last checkpoint stays valid.
        ValueError: An option is invalid.
        KeyboardInterrupt: After Ctrl-C, with a checkpoint from which ``resume`` continues.

    >>> run = picodet.train("tiny", "v2_xs_320", "run", epochs=1, sizes=[64], batch=2, progress=False)
    >>> run.last
    PosixPath('run/last.safetensors')
    """
    if resume is None and (data is None or recipe is None):
        raise ValueError("data and recipe are needed, or resume")
    options = {
        "data": data,
        "output": output,
        "split": split,
        "validation": validation,
        "validation_split": validation_split,
        "validation_share": validation_share,
        "crowds_as_objects": crowds_as_objects,
        "weights": weights,
        "batch": batch,
        "rate": rate,
        "epochs": epochs,
        "sizes": ",".join(_size(size) for size in ([sizes] if isinstance(sizes, int) else sizes)) or None,
        "augment": None if augment is None else ",".join(augment),
        "seed": seed,
        "freeze_backbone": freeze_backbone,
        "threads": threads,
        "workers": workers,
        "cache": cache,
        "evaluate_every": evaluate_every,
        "checkpoint_every": checkpoint_every,
        "patience": patience,
        "time_limit": time_limit,
        "on_nan": on_nan,
        "overfit_first": overfit_first,
        "unchecked": unchecked,
        "max_pixels": max_pixels,
        "resume": resume,
    }
    command = _Command(progress, leave_after=None)
    command.run("train", [] if recipe is None else [recipe], options)
    folder = Path(resume or output or "run")
    best, last = folder / "best.safetensors", folder / "last.safetensors"
    found = _best_epoch(folder / "metrics.jsonl")
    return Training(
        folder=folder,
        best=best if best.exists() else None,
        last=last if last.exists() else None,
        map=found.get("map"),
        map50=found.get("map50"),
        epoch=found.get("epoch"),
        messages=command.messages,
    )


def evaluate(
    model: StrPath,
    data: StrPath,
    *,
    split: str | None = None,
    images: StrPath | None = None,
    crowds_as_objects: bool = False,
    score: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    resize: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    max_pixels: int | None = None,
    output: StrPath | None = None,
    html: StrPath | None = None,
    progress: Progress = True,
) -> Evaluation:
    """Evaluates a model on a dataset with the COCO metrics.

    Args:
        model: A model file, the name of an embedded or published model, or an https URL.
        data: A dataset in any format.
        split: The split to evaluate on.
        images: The folder of the images instead of the dataset's.
        output: A file for the detections as COCO results.
        html: A file for a report with curves, errors and the worst images.
        progress: Whether to show the progress, or a function that receives it.

    Raises:
        picodet.ModelError: The model does not exist or cannot be run.
        picodet.Error: The dataset cannot be read.

    >>> picodet.evaluate("layout_cdla", "tiny/data.json", progress=False).images
    4
    """
    options = {
        "split": split,
        "images": images,
        "crowds_as_objects": crowds_as_objects,
        "score": score,
        "nms_iou": iou,
        "max_detections": max_detections,
        "input_size": None if input_size is None else _size(input_size),
        "resize": resize,
        "precision": precision,
        "threads": threads,
        "max_pixels": max_pixels,
        "output": output,
        "html": html,
        "format": "json",
    }
    command = _Command(progress)
    result = json.loads(command.run("eval", [model, data], options))
    return Evaluation(result["images"], result["metrics"], result["classes"], command.messages)


def check(
    data: StrPath,
    *,
    split: str | None = None,
    input_size: int | tuple[int, int] | None = None,
    html: StrPath | None = None,
    fix: StrPath | None = None,
    allow_loss: bool = False,
    crowds_as_objects: bool = False,
    fast: bool = False,
    max_pixels: int | None = None,
    progress: Progress = True,
) -> Check:
    """Checks a dataset for problems that silently degrade training.

    Args:
        data: A dataset in any format.
        split: Check only this split.
        input_size: The size of the network input; boxes that are too small for it are reported.
        html: A file for a report.
        fix: A new or empty folder for a repaired copy.
        allow_loss: With ``fix``: leave out objects that cannot be repaired.
        fast: Read only the headers of the images.
        progress: Whether to show the status, or a function that receives it.

    Raises:
        picodet.Error: The dataset cannot be read.

    >>> picodet.check("tiny/data.json", progress=False).ok
    True
    """
    options = {
        "split": split,
        "input_size": None if input_size is None else _size(input_size),
        "html": html,
        "fix": fix,
        "allow_loss": allow_loss,
        "crowds_as_objects": crowds_as_objects,
        "fast": fast,
        "max_pixels": max_pixels,
        "format": "json",
    }
    report = json.loads(_Command(progress).run("check", [data], options))
    return Check(report["errors"], report["warnings"], report["counts"], report["findings"], report)


def quantise(
    model: StrPath,
    data: StrPath,
    output: StrPath,
    *,
    split: str | None = None,
    images: int | None = None,
    judge: StrPath | None = None,
    method: str | None = None,
    scales: str | None = None,
    mixed: float | str | None = None,
    time_limit: float | None = None,
    min_fidelity: float | None = None,
    max_drop: float | None = None,
    any_speed: bool = False,
    threads: int | None = None,
    max_pixels: int | None = None,
    progress: Progress = True,
) -> Quantisation:
    """Writes a model in 8 bits, computed from a float model and some images, and judges it.

    Args:
        model: The float model: a file, the name of a model, or an https URL.
        data: Images of the kind that the model is for: a dataset, a folder, or a glob pattern. Labels are not needed.
        output: The file to write.
        images: The number of images that the scales are computed from; 128 by default.
        judge: Images that the result is judged on; by default others of ``data``.
        method: ``"closed-form"`` (the default), ``"minmax"``, or ``"train"``.
        scales: ``"channel"`` (the default), or ``"map"`` for one scale per map.
        mixed: Milliseconds that steps in f32 may cost, or ``"auto"``: the steps that lose most are computed in f32.
        time_limit: Minutes of training with ``method="train"``.
        min_fidelity: The smallest fidelity, 90 by default.
        max_drop: The largest loss of AP in percent points, 0.5 by default.
        any_speed: Whether to accept a model that is slower than the float model on this CPU.

    Raises:
        picodet.ModelError: The model does not exist.
        picodet.Error: The images cannot be read, or the result misses a limit; the message says which, and the file is kept.
    """
    options = {
        "split": split,
        "images": images,
        "judge": judge,
        "method": method,
        "scales": scales,
        "mixed": mixed,
        "time_limit": time_limit,
        "min_fidelity": min_fidelity,
        "max_drop": max_drop,
        "any_speed": any_speed,
        "threads": threads,
        "max_pixels": max_pixels,
        "output": output,
    }
    command = _Command(progress)
    report = command.run("quantise", [model], {"data": data, **options})
    measured = json.loads(_Command(False).run("info", [output], {"json": True}))["quantisation"]
    return Quantisation(
        Path(output),
        measured["fidelity"],
        measured.get("ap_quantised"),
        measured.get("ap_float"),
        measured["milliseconds"],
        report,
        command.messages,
    )


def export(
    output: StrPath,
    model: StrPath | None = None,
    *,
    head: str | None = None,
    batch: int | str | None = None,
    opset: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    score: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    progress: Progress = False,
) -> Path:
    """Exports a model to ONNX and returns the path of the file.

    Args:
        output: The file to write.
        model: A model file, the name of a model, or an https URL; ``None`` for the embedded default model.
        head: The outputs: ``"raw"``, ``"decoded"``, or ``"nms"``.
        batch: Images per batch, or ``"dynamic"``.
        opset: The version of the operators, 11 to 17.
        score: With ``head="nms"``: the minimum score.
        iou: With ``head="nms"``: the IoU above which the lower-scoring of two boxes of a class is dropped.

    Raises:
        picodet.ModelError: The model does not exist.
        picodet.Error: The file cannot be written.

    >>> picodet.export("layout.onnx", "layout_cdla").stat().st_size > 1_000_000
    True
    """
    options = {
        "model": model,
        "output": output,
        "head": head,
        "batch": batch,
        "opset": opset,
        "input_size": None if input_size is None else _size(input_size),
        "score": score,
        "nms_iou": iou,
        "max_detections": max_detections,
    }
    _Command(progress).run("export", [], options)
    return Path(output)


def convert(
    source: StrPath,
    output: StrPath,
    variant: str,
    *,
    input_size: int | tuple[int, int] | None = None,
    bin: StrPath | None = None,
    classes: StrPath | Sequence[str] | None = None,
    resize: str | None = None,
    origin: str | None = None,
    licence: str | None = None,
    storage: str | None = None,
    progress: Progress = False,
) -> Path:
    """Converts weights of Paddle, ncnn, ONNX or safetensors to a native model file and returns its path.

    Args:
        source: The weights.
        output: The file to write.
        variant: The network of the weights; ``picodet models`` lists them.
        bin: The second file of the weights, where it is not next to the first.
        classes: The names of the classes, or a text file with one per line.
        origin: The origin of the weights, stored in the file.
        licence: The licence of the weights, stored in the file.
        storage: The stored element type: ``"f32"``, ``"f16"``, or ``"int8-rows"`` (8-bit integers with a scale per row).

    Raises:
        picodet.Error: The weights cannot be read or do not fit the network.
    """
    names: StrPath | None = None
    temporary = None
    if classes is None or isinstance(classes, str | os.PathLike):
        names = classes
    else:
        import tempfile

        temporary = tempfile.TemporaryDirectory()
        names = Path(temporary.name) / "classes.txt"
        names.write_text("\n".join(classes), "utf-8")
    options = {
        "output": output,
        "variant": variant,
        "input_size": None if input_size is None else _size(input_size),
        "bin": bin,
        "classes": names,
        "resize": resize,
        "origin": origin,
        "licence": licence,
        "storage": storage,
    }
    try:
        _Command(progress).run("convert", [source], options)
    finally:
        if temporary is not None:
            temporary.cleanup()
    return Path(output)


class _Command:
    """One run of a command: collects its result and its status, and passes its events on."""

    def __init__(self, progress: Progress, leave_after: float | None = _LEAVE_AFTER) -> None:
        self._listener = display() if progress is True else progress or None
        self._leave_after = leave_after
        self._results: list[str] = []
        self.messages: list[str] = []

    def run(self, name: str, inputs: Sequence[StrPath], options: dict[str, Any]) -> str:
        """Runs the command and returns what it writes to standard output."""
        arguments = [name]
        for option, value in options.items():
            flag = "--" + option.replace("_", "-")
            if value is True:
                arguments.append(flag)
            elif value is not None and value is not False:
                value = os.fsdecode(value) if isinstance(value, os.PathLike) else value
                arguments.append(f"{flag}={value}")
        arguments += ["--", *(os.fsdecode(path) for path in inputs)]
        try:
            code = _picodet.run(arguments, self._receive, self._leave_after)
        finally:
            self._tell(Event("end", "", {}))
        if code > 1 and name != "check":
            raise Error(self.messages[-1].removeprefix("picodet: ") if self.messages else f"picodet {name} failed")
        return "".join(self._results)

    def _receive(self, kind: str, values: Any) -> None:
        if kind == "result":
            self._results.append(values)
            return
        if kind == "status":
            self.messages.append(values)
            self._tell(Event("status", values, {}))
        elif kind == "progress":
            activity, done, total = values
            self._tell(Event("progress", activity, {"done": done, "total": total}))
        elif kind == "training":
            record = json.loads(values)
            self._tell(Event(record.pop("kind"), "", record))

    def _tell(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)


def _size(size: int | tuple[int, int]) -> str:
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def _best_epoch(journal: Path) -> dict[str, Any]:
    """Returns the record of the best evaluation of a run."""
    best: dict[str, Any] = {}
    try:
        lines = journal.read_text("utf-8").splitlines()
    except OSError:
        return best
    for line in lines:
        record = json.loads(line)
        if record["kind"] == "epoch" and record["best"]:
            best = record
    return best
