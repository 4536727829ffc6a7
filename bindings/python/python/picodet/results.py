"""The detections of an image, in the manner of ultralytics."""

from __future__ import annotations

import operator
import os

from . import _picodet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from .images import Image

    Floats = npt.NDArray[np.float32]


class Detection:
    """One detected object."""

    __slots__ = ("class_id", "name", "score", "xyxy")

    #: Index of the class.
    class_id: int
    #: Name of the class.
    name: str
    #: Probability, 0 to 1.
    score: float
    #: Left, top, right and bottom in pixels of the image.
    xyxy: tuple[float, float, float, float]

    def __init__(self, class_id: int, name: str, score: float, xyxy: tuple[float, float, float, float]) -> None:
        self.class_id = class_id
        self.name = name
        self.score = score
        self.xyxy = xyxy

    def __repr__(self) -> str:
        box = ", ".join(f"{side:.1f}" for side in self.xyxy)
        return f"Detection({self.name!r}, {self.score:.3f}, [{box}])"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detection):
            return NotImplemented
        return (self.class_id, self.name, self.score, self.xyxy) == (
            other.class_id,
            other.name,
            other.score,
            other.xyxy,
        )

    __hash__ = None  # type: ignore[assignment]


class Boxes:
    """The boxes of the detections as arrays with one row per object; ``(0, 4)`` and ``(0,)`` without objects.

    >>> boxes = model("page.png").boxes
    >>> boxes.xyxy.shape == (len(boxes), 4), boxes.conf.dtype.name
    (True, 'float32')
    """

    __slots__ = ("_classes", "_scores", "_xyxy", "id", "orig_shape")

    #: Height and width of the image in pixels.
    orig_shape: tuple[int, int]
    #: Track ids ``(n,)``; ``None`` without tracking.
    id: npt.NDArray[np.int64] | None

    def __init__(
        self,
        xyxy: Floats | bytearray,
        conf: Floats | bytearray,
        cls: npt.NDArray[np.int64] | bytearray,
        orig_shape: tuple[int, int],
        id: npt.NDArray[np.int64] | None = None,
    ) -> None:
        # Buffers become arrays when they are read: files are detected in without numpy.
        self._xyxy = xyxy
        self._scores = conf
        self._classes = cls
        self.orig_shape = orig_shape
        self.id = id

    @property
    def xyxy(self) -> Floats:
        """Left, top, right and bottom in pixels, ``(n, 4)`` of float32."""
        if isinstance(self._xyxy, bytearray):
            import numpy as np

            self._xyxy = np.frombuffer(self._xyxy, np.float32).reshape(-1, 4)
        return self._xyxy

    @property
    def conf(self) -> Floats:
        """Scores, 0 to 1, ``(n,)`` of float32."""
        if isinstance(self._scores, bytearray):
            import numpy as np

            self._scores = np.frombuffer(self._scores, np.float32)
        return self._scores

    @property
    def class_id(self) -> npt.NDArray[np.int64]:
        """Indices of the classes, ``(n,)`` of int64."""
        if isinstance(self._classes, bytearray):
            import numpy as np

            self._classes = np.frombuffer(self._classes, np.int64)
        return self._classes

    @property
    def cls(self) -> Floats:
        """Indices of the classes as floats, as ultralytics has them, ``(n,)`` of float32."""
        import numpy as np

        return self.class_id.astype(np.float32)

    @property
    def xywh(self) -> Floats:
        """Centre, width and height in pixels, as ultralytics has them, ``(n, 4)`` of float32."""
        import numpy as np

        corners = self.xyxy
        size = corners[:, 2:] - corners[:, :2]
        return np.concatenate([corners[:, :2] + size / 2, size], axis=1)

    @property
    def xyxyn(self) -> Floats:
        """Left, top, right and bottom as fractions of the image, ``(n, 4)`` of float32."""
        return self.xyxy / self._extent()

    @property
    def xywhn(self) -> Floats:
        """Centre, width and height as fractions of the image, ``(n, 4)`` of float32."""
        return self.xywh / self._extent()

    @property
    def data(self) -> Floats:
        """Left, top, right, bottom, score and class, ``(n, 6)`` of float32."""
        import numpy as np

        return np.concatenate([self.xyxy, self.conf[:, None], self.cls[:, None]], axis=1)

    def _extent(self) -> Floats:
        import numpy as np

        height, width = self.orig_shape
        return np.array([width, height, width, height], np.float32)

    def __len__(self) -> int:
        scores = self._scores
        return len(scores) // 4 if isinstance(scores, bytearray) else len(scores)

    def __getitem__(self, index: Any) -> Boxes:
        """Returns the boxes of an index, a slice, or an array of indices or of truth values; always with rows.

        >>> [float(box.conf) > 0.4 for box in model("page.png").boxes][:2]
        [True, True]
        """
        if _is_number(index):
            index = operator.index(index)
            if not -len(self) <= index < len(self):
                raise IndexError(f"box {index} of {len(self)}")
            from .columns import Column

            rows = slice(index, index + 1 or None)
            ids = None if self.id is None else self.id[rows].view(Column)
            columns = self.conf[rows].view(Column), self.class_id[rows].view(Column)
            return Boxes(self.xyxy[rows], *columns, self.orig_shape, ids)
        ids = None if self.id is None else self.id[index]
        return Boxes(self.xyxy[index], self.conf[index], self.class_id[index], self.orig_shape, ids)

    def __iter__(self) -> Iterator[Boxes]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> tuple[Any, ...]:
        return self.xyxy, self.conf, self.class_id, self.orig_shape, self.id

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._xyxy, self._scores, self._classes, self.orig_shape, self.id = state

    def __repr__(self) -> str:
        return f"picodet.Boxes({len(self)} of {self.orig_shape[0]}x{self.orig_shape[1]})"


class Results:
    """The detections of one image, ordered by class, then by falling score.

    Iterating gives :class:`Detection` objects; an index gives one, a slice or a mask gives results with fewer detections.

    >>> results = model("page.png")
    >>> sure = results[results.boxes.conf > 0.8]
    >>> all(found.score > 0.8 for found in sure)
    True
    """

    __slots__ = ("_category_ids", "_source", "boxes", "names", "orig_shape", "speed")

    _category_ids: list[int]
    #: The image, whether it has blue first, and its limit of pixels.
    _source: tuple[Any, bool, int | None]
    #: The boxes; never ``None``.
    boxes: Boxes
    #: The classes: index to name.
    names: dict[int, str]
    #: Height and width of the image in pixels.
    orig_shape: tuple[int, int]
    #: Milliseconds of ``decode``, ``preprocess``, ``inference`` and ``postprocess``.
    speed: dict[str, float]
    #: A detector has no masks.
    masks = None
    #: A detector has no oriented boxes.
    obb = None

    @classmethod
    def _from_found(
        cls,
        found: _picodet.Found,
        names: dict[int, str],
        category_ids: list[int],
        source: tuple[Any, bool, int | None],
    ) -> Results:
        xyxy, scores, classes, orig_shape, seconds = found
        results = cls.__new__(cls)
        results.boxes = Boxes(xyxy, scores, classes, orig_shape)
        results.names = names
        results.orig_shape = orig_shape
        results.speed = {
            "decode": seconds[0] * 1e3,
            "preprocess": seconds[1] * 1e3,
            "inference": seconds[2] * 1e3,
            "postprocess": seconds[3] * 1e3,
        }
        results._category_ids = category_ids
        results._source = source
        return results

    @property
    def path(self) -> str | None:
        """The path of the image; ``None`` for an image in memory."""
        return self._source[0] if isinstance(self._source[0], str) else None

    @property
    def orig_img(self) -> npt.NDArray[np.uint8]:
        """The image ``(h, w, 3)`` in its channel order; read again where it was given by a path."""
        source, bgr, max_pixels = self._source
        if isinstance(source, str | bytes):
            return _picodet.open_image(source, bgr=bgr, max_pixels=max_pixels)
        image: npt.NDArray[np.uint8] = source
        return image

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Iterator[Detection]:
        boxes = zip(
            self.boxes.class_id.tolist(), self.boxes.conf.tolist(), self.boxes.xyxy.tolist(), strict=True
        )
        for class_id, score, xyxy in boxes:
            yield Detection(class_id, self.names[class_id], score, tuple(xyxy))

    def __getitem__(self, index: Any) -> Any:
        if _is_number(index):
            return next(iter(self._with(self.boxes[index])))
        return self._with(self.boxes[index])

    def _with(self, boxes: Boxes) -> Results:
        other = type(self).__new__(type(self))
        other.__setstate__((boxes, *self.__getstate__()[1:]))
        return other

    def __getstate__(self) -> tuple[Any, ...]:
        return self.boxes, self.names, self.orig_shape, self.speed, self._category_ids, self._source

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.boxes, self.names, self.orig_shape, self.speed, self._category_ids, self._source = state

    def __repr__(self) -> str:
        height, width = self.orig_shape
        return f"picodet.Results({self.path or 'image'}, {height}x{width}, {self.summary() or 'nothing found'})"

    def summary(self) -> str:
        """Returns the number of objects of each class, such as ``2 person, 1 dog``.

        >>> "1 table" in model("page.png").summary().split(", ")
        True
        """
        counts: dict[int, int] = {}
        for class_id in self.boxes.class_id.tolist():
            counts[class_id] = counts.get(class_id, 0) + 1
        return ", ".join(f"{count} {self.names[class_id]}" for class_id, count in counts.items())

    def _columns(self) -> _picodet.Columns:
        boxes = self.boxes
        names = [self.names[index] for index in range(len(self.names))]
        return boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.class_id.tolist(), names

    def plot(self, image: Image | None = None) -> npt.NDArray[np.uint8]:
        """Returns a copy of the image with the detections drawn in, ``(h, w, 3)`` in the channel order of the input; a file is
        read again, and drawn in RGB.

        Args:
            image: Draw into this image instead.

        Raises:
            ImageError: The file is an image of another size now.
            OSError: The file cannot be read any more.

        >>> model("page.png").plot().shape
        (1600, 1216, 3)
        """
        source, bgr, max_pixels = self._picture(image)
        shape = self.orig_shape if image is None else None
        return _picodet.draw(self._columns(), source, bgr=bgr, max_pixels=max_pixels, shape=shape)

    def save(self, path: str | os.PathLike[str], image: Image | None = None) -> str:
        """Writes a copy of the image with the detections drawn in, and returns its path; ``.jpg`` and ``.jpeg`` are JPEG,
        everything else is PNG.

        Raises:
            ValueError: The path is that of the image itself.
            ImageError, OSError: As :meth:`plot`.

        >>> model("page.png").save("drawn.jpg")
        'drawn.jpg'
        """
        source, bgr, max_pixels = self._picture(image)
        path = os.fsdecode(path)
        for original in (self.path, source):
            if isinstance(original, str) and _is_same_file(original, path):
                raise ValueError(f"{path}: is the image itself, which would be lost; save to another path")
        shape = self.orig_shape if image is None else None
        _picodet.save_drawing(self._columns(), source, path, bgr=bgr, max_pixels=max_pixels, shape=shape)
        return path

    def _picture(self, image: Image | None) -> tuple[Any, bool, int | None]:
        if image is None:
            return self._source
        from .images import prepare

        _, bgr, max_pixels = self._source
        return prepare(image, bgr=bgr), bgr, max_pixels

    def to_json(self) -> str:
        """Returns the text that ``picodet detect --format json`` writes.

        >>> model("page.png").to_json()[:24]
        '{"detections":[{"box":[8'
        """
        return _picodet.to_json(self._columns(), self.path or "", self.orig_shape)

    def to_dict(self) -> dict[str, Any]:
        """Returns ``file``, ``width``, ``height`` and ``detections`` with ``class``, ``name``, ``score`` and ``box``.

        >>> sorted(model("page.png").to_dict())
        ['detections', 'file', 'height', 'width']
        """
        import json

        document: dict[str, Any] = json.loads(self.to_json())
        return document

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """Returns COCO results: ``image_id``, ``category_id``, ``bbox`` (left, top, width, height) and ``score``.

        >>> sorted(model("page.png").to_coco(7)[0])
        ['bbox', 'category_id', 'image_id', 'score']
        """
        import json

        entries: list[dict[str, Any]] = json.loads(
            _picodet.to_coco(self._columns(), image_id, self._category_ids)
        )
        return entries

    def to_supervision(self) -> Any:
        """Returns ``supervision.Detections``; needs the package supervision."""
        import numpy as np
        import supervision

        boxes = self.boxes
        names = np.array([self.names[index] for index in boxes.class_id.tolist()], dtype=str)
        return supervision.Detections(
            xyxy=boxes.xyxy.copy(),
            confidence=boxes.conf.copy(),
            class_id=boxes.class_id.astype(int),
            tracker_id=None if boxes.id is None else boxes.id.astype(int),
            data={"class_name": names},
        )

    def to_fiftyone(self) -> Any:
        """Returns ``fiftyone.Detections`` with relative boxes; needs the package fiftyone."""
        import fiftyone

        height, width = self.orig_shape
        detections = []
        for found in self:
            x1, y1, x2, y2 = found.xyxy
            box = [x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height]
            detections.append(fiftyone.Detection(label=found.name, bounding_box=box, confidence=found.score))
        return fiftyone.Detections(detections=detections)

    def to_arrow(self) -> Any:
        """Returns a ``pyarrow.Table`` with the columns of ``picodet detect --format csv``; needs the package pyarrow."""
        import pyarrow

        boxes = self.boxes
        columns = {
            "file": pyarrow.array([self.path or ""] * len(self), pyarrow.string()),
            "class": pyarrow.array(boxes.class_id, pyarrow.int64()),
            "name": pyarrow.array([self.names[index] for index in boxes.class_id.tolist()], pyarrow.string()),
            "score": pyarrow.array(boxes.conf, pyarrow.float32()),
        }
        for column, name in enumerate(["x1", "y1", "x2", "y2"]):
            columns[name] = pyarrow.array(boxes.xyxy[:, column], pyarrow.float32())
        return pyarrow.table(columns)


def _is_number(index: Any) -> bool:
    """Whether an index is one integer, also one of numpy."""
    return hasattr(index, "__index__") and not getattr(index, "shape", ()) and not isinstance(index, bool)


def _is_same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
