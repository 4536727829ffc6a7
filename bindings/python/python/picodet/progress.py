"""Shows the progress of a command in a terminal, in a notebook, or as lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO, TypeAlias

# Seconds between lines in a log, and between changes of the line in a terminal.
_LOG_INTERVAL = 10.0
_LINE_INTERVAL = 0.1


class Event:
    """What a command reports while it runs."""

    __slots__ = ("kind", "text", "values")

    #: ``status``, ``progress``, ``step``, ``epoch``, or ``end``.
    kind: str
    #: The line of a status, or the operation that makes progress.
    text: str
    #: ``done`` and ``total`` of progress, the losses and rates of a step, the metrics of an epoch.
    values: dict[str, Any]

    def __init__(self, kind: str, text: str, values: dict[str, Any]) -> None:
        self.kind = kind
        self.text = text
        self.values = values

    def __repr__(self) -> str:
        return f"Event({self.kind!r}, {self.text!r}, {self.values!r})"


Listener: TypeAlias = Callable[[Event], object]


def display() -> Display:
    """Returns a display on standard error, or in the output of a notebook's cell."""
    notebook = "ipykernel" in sys.modules
    stream = sys.stdout if notebook else sys.stderr
    return Display(stream, notebook or stream.isatty())


class Display:
    """Prints events: one line that changes where that is possible, otherwise a line at intervals."""

    def __init__(self, stream: TextIO, changing: bool) -> None:
        self._stream = stream
        self._changing = changing
        self._width = 0
        self._last = -_LOG_INTERVAL

    def __call__(self, event: Event) -> None:
        """Prints an event."""
        if event.kind == "status":
            self._print(event.text)
        elif event.kind == "epoch":
            if event.values["map"] is not None:
                self._print(_epoch(event.values))
        elif event.kind in ("progress", "step"):
            text, is_last = (_progress if event.kind == "progress" else _step)(event)
            self._update(text, is_last)
        elif event.kind == "end":
            self._clear()

    def _print(self, line: str) -> None:
        self._clear()
        print(line, file=self._stream, flush=True)

    def _update(self, line: str, is_last: bool) -> None:
        interval = _LINE_INTERVAL if self._changing else _LOG_INTERVAL
        now = time.monotonic()
        if now - self._last < interval and not is_last:
            return
        self._last = now
        if self._changing:
            self._stream.write("\r" + line.ljust(self._width))
            self._stream.flush()
            self._width = len(line)
        else:
            print(line, file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def _progress(event: Event) -> tuple[str, bool]:
    done, total = event.values["done"], event.values["total"]
    if total is None:
        return f"{event.text} {done}", False
    return f"{event.text} {done}/{total}", done == total


def _step(event: Event) -> tuple[str, bool]:
    values = event.values
    done, steps = values["step"] + 1, values["of_steps"]
    left = values["seconds"] / done * (steps - done)
    text = (
        f"step {done}/{steps} epoch {values['epoch']} loss {values['loss']:.3f} rate {values['rate']:.5f} "
        f"{values['images_per_second']:.1f} images/s, {_duration(left)} left"
    )
    return text, done == steps


def _epoch(values: dict[str, Any]) -> str:
    best = ", best so far" if values["best"] else ""
    return (
        f"epoch {values['epoch']}/{values['of_epochs']}: mAP {values['map']:.4f}, mAP 0.5 {values['map50']:.4f}{best} "
        f"({_duration(values['seconds'])})"
    )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
