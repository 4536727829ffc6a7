"""The model: a network that is ready to detect."""

from __future__ import annotations

import operator
import os

from . import _picodet
from .errors import ModelError
from .images import is_array, prepare
from .results import Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, overload

    import numpy as np
    import numpy.typing as npt

    from .images import Image
else:

    def overload(function):
        return function


# Images per worker between two looks at Ctrl-C.
_CHUNK = 8


class Model:
    """A network that is ready to detect.

    One object may be used by any number of threads at the same time; the interpreter lock is released while it works.
    Objects can be copied and pickled: those of a file by its path, with a check that its contents are the same.

    Args:
        model: A model file, the name of an embedded or published model (the command ``picodet models`` lists them), an
            https URL, or the bytes of a model file. ``None`` is the embedded default model.
        score: The minimum score of a detection, 0 to 1.
        iou: The IoU above which the lower-scoring of two boxes of a class is dropped, 0 to 1.
        max_detections: The maximum number of detections per image.
        threads: The number of threads of each detection; ``None`` for one, with results bitwise identical to the command's.
            Other numbers change the order of sums, and with it the last bits. Lists of images always use all cores.
        precision: ``"f32"``, or ``"bf16"`` or ``"f16"`` on processors with such products; ``"auto"`` for the fastest of these. A
            quantised model is computed in bytes.
        input_size: Height and width of the network input, or one number for both, multiples of 32; ``None`` for the model's own.
        resize: The interpolation of the resize (nearest, linear, cubic, area, lanczos4); ``None`` for the model's own.
        max_pixels: The maximum number of pixels of an image file; larger JPEG pictures are decoded at a reduced size.

    Raises:
        ModelError: The model does not exist or cannot be run.
        ValueError: An option is out of its range.

    >>> model = picodet.Model("layout_cdla", score=0.5)
    >>> model.input_size
    (800, 608)
    >>> model.names[3]
    'figure_caption'
    """

    __slots__ = ("_category_ids", "_detector", "_model", "_options", "_stamp", "input_size", "names")

    _detector: _picodet.Detector
    _category_ids: list[int]
    #: The classes: index to name.
    names: dict[int, str]
    #: Height and width of the network input.
    input_size: tuple[int, int]

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | None = None,
        *,
        score: float = 0.4,
        iou: float = 0.6,
        max_detections: int = 100,
        threads: int | None = None,
        precision: str = "f32",
        input_size: int | Sequence[int] | None = None,
        resize: str | None = None,
        max_pixels: int | None = None,
    ) -> None:
        if model is None:
            model = _picodet.DEFAULT_MODEL
        elif isinstance(model, os.PathLike):
            model = os.fsdecode(model)
        elif not isinstance(model, str | bytes):
            raise TypeError(f"a model must be a path, a name or bytes, not {type(model).__name__}")
        if threads is None:
            threads = 1
        for name, value in [("threads", threads), ("max_detections", max_detections)]:
            if value < 1:
                raise ValueError(f"{name}={value}: must be at least 1")
        options: dict[str, Any] = {
            "score": score,
            "iou": iou,
            "max_detections": max_detections,
            "threads": threads,
            "precision": precision,
            "input_size": None if input_size is None else _sides(input_size),
            "resize": resize,
            "max_pixels": max_pixels,
        }
        self._open(model, options)

    def _open(self, model: str | bytes, options: dict[str, Any]) -> None:
        self._model = model
        self._options = options
        self._stamp = _stamp(model)
        self._detector = _picodet.Detector(model, **options)
        self._category_ids = self._detector.category_ids
        self.names = dict(enumerate(self._detector.names))
        self.input_size = self._detector.input_size

    @overload
    def __call__(self, source: list[Image] | tuple[Image, ...], *, bgr: bool = False) -> list[Results]: ...
    @overload
    def __call__(self, source: Image, *, bgr: bool = False) -> Results: ...
    def __call__(self, source: Any, *, bgr: bool = False) -> Any:
        """Detects as :meth:`predict` does.

        >>> len(model("page.png")) > 5
        True
        """
        return self.predict(source, bgr=bgr)

    @overload
    def predict(self, source: list[Image] | tuple[Image, ...], *, bgr: bool = False) -> list[Results]: ...
    @overload
    def predict(self, source: Image, *, bgr: bool = False) -> Results: ...
    def predict(self, source: Any, *, bgr: bool = False) -> Any:
        """Detects the objects in an image, or in each image of a list.

        Args:
            source: A path, the bytes of an image file, a Pillow image, or an array of uint8 with shape ``(h, w, 3)`` in
                RGB, ``(h, w)`` in grey, or ``(h, w, 4)`` with an alpha channel, which is ignored; or a list of those.
                Files are turned upright as their Exif data says, Pillow images and arrays are taken as they are.
            bgr: Whether arrays have blue first, as ``cv2.imread`` returns them.

        Returns:
            The results of the image, or a list of results.

        Raises:
            ImageError: The image cannot be decoded, or the array does not have the shape of an image.
            TypeError: The object is no image, or the array is not of uint8.
            OSError: The file cannot be read.

        >>> image = picodet.open_image("page.png")
        >>> rgb, bgr = model.predict(image), model.predict(image[:, :, ::-1], bgr=True)
        >>> bool((rgb.boxes.xyxy == bgr.boxes.xyxy).all())
        True
        """
        if isinstance(source, list | tuple):
            return [self._results(*pair, bgr) for pair in self._detect_batch(source, bgr)]
        prepared = prepare(source, bgr=bgr)
        return self._results(self._detector.detect(prepared, bgr=bgr), prepared, bgr)

    def detect_arrays(
        self, batch: npt.NDArray[np.uint8] | Sequence[Image], *, bgr: bool = False
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Detects in a batch and returns plain arrays: the fast way for many images.

        Args:
            batch: An array ``(n, h, w, 3)`` of uint8, or a sequence of images.
            bgr: Whether arrays have blue first.

        Returns:
            Boxes ``(m, 4)`` as x1, y1, x2, y2 in pixels, scores ``(m,)``, classes ``(m,)``, and for each box the index of
            its image ``(m,)``.

        >>> boxes, scores, classes, image_index = model.detect_arrays(["page.png", "page.png"])
        >>> boxes.shape[1], len(boxes) == len(scores), image_index.tolist()[0], image_index.tolist()[-1]
        (4, True, 0, 1)
        """
        import numpy as np

        if isinstance(batch, str | bytes | os.PathLike):
            raise TypeError(f"a batch is an array or a sequence of images, not {type(batch).__name__}; use [image]")
        if is_array(batch) and getattr(batch, "ndim", 0) != 4:
            from .errors import ImageError

            raise ImageError(f"the batch has shape {getattr(batch, 'shape', ())}, expected (n, height, width, 3)")
        found = [pair[0] for pair in self._detect_batch(batch, bgr)]
        boxes = np.frombuffer(b"".join([one[0] for one in found]), np.float32).reshape(-1, 4)
        scores = np.frombuffer(b"".join([one[1] for one in found]), np.float32)
        classes = np.frombuffer(b"".join([one[2] for one in found]), np.int64)
        counts = [len(one[1]) // 4 for one in found]
        image_index = np.repeat(np.arange(len(found), dtype=np.int64), counts)
        return boxes.copy(), scores.copy(), classes.copy(), image_index

    def _detect_batch(self, sources: Any, bgr: bool) -> list[tuple[_picodet.Found, Any]]:
        """Returns the detections of each image with the image; Python handles signals between the chunks."""
        workers = max(_cores() // int(self._options["threads"]), 1)
        step = _CHUNK * workers
        found: list[tuple[_picodet.Found, Any]] = []
        for start in range(0, len(sources), step):
            prepared = [prepare(source, bgr=bgr) for source in sources[start : start + step]]
            found.extend(zip(self._detector.detect_batch(prepared, workers=workers, bgr=bgr), prepared, strict=True))
        return found

    def _results(self, found: _picodet.Found, prepared: Any, bgr: bool) -> Results:
        return Results._from_found(
            found, self.names, self._category_ids, (prepared, bgr, self._options["max_pixels"])
        )

    @property
    def category_ids(self) -> list[int]:
        """The COCO category id of each class."""
        return list(self._category_ids)

    @property
    def info(self) -> dict[str, str]:
        """The network, and the origin and licence of the weights."""
        variant, origin, licence = self._detector.origin
        return {"variant": variant, "origin": origin, "licence": licence}

    def __repr__(self) -> str:
        model = f"{len(self._model)} bytes" if isinstance(self._model, bytes) else repr(self._model)
        height, width = self.input_size
        return f"picodet.Model({model}, {len(self.names)} classes, {height}x{width})"

    def __copy__(self) -> Model:
        other = Model.__new__(type(self))
        for name in Model.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        # The detector cannot be changed, so that copies share it.
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        digest = None
        if self._stamp is not None and isinstance(self._model, str):
            digest = _digest(self._model)
            if _stamp(self._model) != self._stamp:
                raise ModelError(f"{self._model}: the file has changed since it was opened; open it again to pickle it")
        model = self._model
        if self._stamp is not None and isinstance(model, str):
            model = os.path.abspath(model)
        return _restore, (type(self), model, digest, self._options)


def _restore(kind: type[Model], model: str | bytes, digest: str | None, options: dict[str, Any]) -> Model:
    """Opens a pickled model."""
    if digest is not None and isinstance(model, str):
        if not os.path.exists(model):
            raise ModelError(f"{model}: the file of the pickled model does not exist on this machine; pickle a model "
                             "that was opened from bytes, or copy the file")
        if _digest(model) != digest:
            raise ModelError(f"{model}: the file has changed since the model was pickled")
    restored = Model.__new__(kind)
    restored._open(model, options)
    return restored


def _sides(size: Any) -> tuple[int, int]:
    """Returns height and width of the network input."""
    sides = (size, size) if hasattr(size, "__index__") and not getattr(size, "shape", ()) else tuple(size)
    if len(sides) != 2:
        raise ValueError(f"input_size={size!r}: expected one side, or height and width")
    height, width = (operator.index(side) for side in sides)
    most = _picodet.MAX_INPUT_SIDE
    if not all(32 <= side <= most and side % 32 == 0 for side in (height, width)):
        raise ValueError(f"input_size={size!r}: expected multiples of 32 from 32 to {most}")
    return height, width


def _cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _stamp(model: str | bytes) -> tuple[int, int] | None:
    """Returns size and time of a model file; ``None`` for a model that is not a file."""
    if isinstance(model, bytes):
        return None
    try:
        status = os.stat(model)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _digest(path: str) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
