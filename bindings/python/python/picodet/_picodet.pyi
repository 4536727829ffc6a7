"""The native part of the package."""

import os
from collections.abc import Callable
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

Found: TypeAlias = tuple[bytearray, bytearray, bytearray, tuple[int, int], list[float]]
Columns: TypeAlias = tuple[list[list[float]], list[float], list[int], list[str]]
_Source: TypeAlias = npt.NDArray[np.uint8] | bytes | str | os.PathLike[str]

DEFAULT_MODEL: str
MAX_INPUT_SIDE: int
__version__: str
__all__ = [
    "DEFAULT_MODEL",
    "Detector",
    "MAX_INPUT_SIDE",
    "__version__",
    "after_fork_in_child",
    "after_fork_in_parent",
    "before_fork",
    "draw",
    "main",
    "open_image",
    "run",
    "save_drawing",
    "to_coco",
    "to_json",
]

@final
class Detector:
    def __new__(
        cls,
        model: str | bytes,
        *,
        score: float,
        iou: float,
        max_detections: int,
        threads: int,
        precision: str,
        input_size: tuple[int, int] | None = None,
        resize: str | None = None,
        max_pixels: int | None = None,
    ) -> Detector: ...
    def detect(self, source: _Source, *, bgr: bool = False) -> Found: ...
    def detect_batch(self, sources: list[Any], *, workers: int, bgr: bool = False) -> list[Found]: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def category_ids(self) -> list[int]: ...
    @property
    def input_size(self) -> tuple[int, int]: ...
    @property
    def origin(self) -> tuple[str, str, str]: ...

def open_image(
    source: _Source, *, bgr: bool = False, max_pixels: int | None = None
) -> npt.NDArray[np.uint8]: ...
def draw(
    columns: Columns,
    source: _Source,
    *,
    bgr: bool = False,
    max_pixels: int | None = None,
    shape: tuple[int, int] | None = None,
) -> npt.NDArray[np.uint8]: ...
def save_drawing(
    columns: Columns,
    source: _Source,
    path: str | os.PathLike[str],
    *,
    bgr: bool = False,
    max_pixels: int | None = None,
    shape: tuple[int, int] | None = None,
) -> None: ...
def to_json(columns: Columns, file: str, size: tuple[int, int]) -> str: ...
def to_coco(columns: Columns, image_id: int, category_ids: list[int]) -> str: ...
def main(arguments: list[str]) -> int: ...
def run(arguments: list[str], listen: Callable[[str, Any], object], patience: float | None) -> int: ...
def before_fork() -> None: ...
def after_fork_in_parent() -> None: ...
def after_fork_in_child() -> None: ...
