"""PP-PicoDet object detection on the CPU.

    >>> import picodet
    >>> model = picodet.Model("layout_cdla")
    >>> results = model("page.png")
    >>> results.names[int(results.boxes.cls[0])]
    'text'

Arrays are RGB, as Pillow, imageio and torchvision have them; pass ``bgr=True`` for arrays of OpenCV.
"""

from __future__ import annotations

import os

from ._picodet import DEFAULT_MODEL, __version__, after_fork_in_child, after_fork_in_parent, before_fork
from .errors import Error, ImageError, ModelError
from .images import open_image
from .model import Model
from .results import Boxes, Detection, Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .commands import (
        Check,
        Evaluation,
        Event,
        Quantisation,
        Training,
        check,
        convert,
        evaluate,
        export,
        quantise,
        train,
    )

__all__ = [
    "DEFAULT_MODEL",
    "Boxes",
    "Check",
    "Detection",
    "Error",
    "Evaluation",
    "Event",
    "ImageError",
    "Model",
    "ModelError",
    "Quantisation",
    "Results",
    "Training",
    "__version__",
    "check",
    "convert",
    "evaluate",
    "export",
    "open_image",
    "quantise",
    "train",
]

# Loaded when they are used: detection starts faster without them.
_LAZY = frozenset(name for name in __all__ if name not in globals())


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from . import commands

        return getattr(commands, name)
    raise AttributeError(f"module 'picodet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=after_fork_in_child
    )
