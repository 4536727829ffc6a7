"""Arrays of every layout, and the errors of everything that is no image."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import picodet
import pytest
from conftest import PAGE

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def small(page: Pixels) -> Pixels:
    """A part of the page that does not begin at its first byte."""
    return page[101:501, 33:434]


def test_layouts_of_memory_do_not_change_the_result(layout: picodet.Model, small: Pixels) -> None:
    expected = layout(np.ascontiguousarray(small)).boxes.data
    assert len(expected) > 0
    read_only = np.ascontiguousarray(small)
    read_only.flags.writeable = False
    padded = np.zeros((400, 401, 7), np.uint8)
    padded[:, :, 2:5] = small
    wide = np.zeros((400, 1000, 3), np.uint8)
    wide[:, 0:802:2] = small
    mapped = np.frombuffer(small.tobytes(), np.uint8).reshape(small.shape)
    for array in [
        small, np.asfortranarray(small), small[::-1][::-1], np.flip(np.flip(small, 1).copy(), 1), read_only,
        padded[:, :, 2:5], wide[:, 0:802:2], mapped, np.concatenate([small, small[:, :, :1]], axis=2),
    ]:
        assert (layout(array).boxes.data == expected).all(), array.strides
    mirrored = layout(small[:, ::-1]).boxes.data
    assert (mirrored == layout(small[:, ::-1].copy()).boxes.data).all()


def test_grey_arrays_are_grey_pictures(layout: picodet.Model, small: Pixels) -> None:
    grey = np.ascontiguousarray(small[:, :, 1])
    expected = layout(np.stack([grey] * 3, axis=2)).boxes.data
    assert (layout(grey).boxes.data == expected).all()
    assert (layout(grey[:, :, None]).boxes.data == expected).all()


def test_the_array_is_not_changed(layout: picodet.Model, small: Pixels) -> None:
    array = small.copy()
    layout(array)
    layout.predict(array, bgr=True).plot()
    assert (array == small).all()


def test_objects_with_an_array_interface_are_images(layout: picodet.Model, small: Pixels) -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> Pixels:
            return small

    assert (layout(Tensor()).boxes.data == layout(small).boxes.data).all()


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros((8, 8, 3), np.float32), TypeError, ["float32", "uint8", "* 255"]),
        (np.zeros((8, 8, 3), np.uint16), TypeError, ["uint16", ">> 8"]),
        (np.zeros((8, 8, 3), bool), TypeError, ["bool", "uint8"]),
        (np.zeros((8, 8, 3), object), TypeError, ["object"]),
        (np.zeros((3, 8, 9), np.uint8), ValueError, ["(3, 8, 9)", "transpose(1, 2, 0)"]),
        (np.zeros((8, 8, 2), np.uint8), ValueError, ["(8, 8, 2)", "(height, width, 3)"]),
        (np.zeros((2, 8, 8, 3), np.uint8), ValueError, ["(2, 8, 8, 3)", "list(batch)"]),
        (np.zeros((8,), np.uint8), ValueError, ["(8,)"]),
        (np.zeros((), np.uint8), ValueError, ["()"]),
        (np.zeros((0, 8, 3), np.uint8), ValueError, ["(0, 8, 3)", "without pixels"]),
        (np.zeros((8, 0), np.uint8), ValueError, ["(8, 0)", "without pixels"]),
        (None, TypeError, ["NoneType"]),
        (7, TypeError, ["int"]),
        ({"image": 1}, TypeError, ["dict"]),
    ],
)
def test_what_is_no_image_is_refused(
    layout: picodet.Model, array: object, error: type[Exception], words: list[str]
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: layout(array), lambda: layout([array]), lambda: layout.predict(array, bgr=True),
    ]
    for call in calls:
        with pytest.raises(error) as caught:
            call()
        message = str(caught.value)
        assert all(word in message for word in words) and "\n" not in message
        if error is ValueError:
            assert isinstance(caught.value, picodet.ImageError)


def test_broken_files_are_image_errors(layout: picodet.Model, tmp_path: Path) -> None:
    for data in [b"", b"text", PAGE.read_bytes()[:64], b"\xff\xd8\xff" + bytes(100)]:
        path = tmp_path / "broken.png"
        path.write_bytes(data)
        with pytest.raises(picodet.ImageError, match=r"broken\.png"):
            layout(path)
        with pytest.raises(picodet.ImageError):
            layout(data)
    with pytest.raises(FileNotFoundError, match="no-such") as missing:
        layout(tmp_path / "no-such.jpg")
    assert missing.value.errno == 2 and missing.value.filename == str(tmp_path / "no-such.jpg")
    with pytest.raises(OSError):
        layout(tmp_path)
    with pytest.raises(picodet.ImageError):
        picodet.Model("layout_cdla", max_pixels=100)(PAGE)


def test_tiny_and_long_pictures(layout: picodet.Model) -> None:
    for shape in [(1, 1, 3), (1, 5000, 3), (5000, 1, 3), (2, 3, 3)]:
        assert layout(np.zeros(shape, np.uint8)).orig_shape == shape[:2]


def test_paths_with_other_characters(layout: picodet.Model, tmp_path: Path) -> None:
    path = tmp_path / "Straße 文档 €.png"
    path.write_bytes(PAGE.read_bytes())
    assert layout(path).path == str(path)
    assert layout(os.fspath(path)).to_dict()["file"] == str(path)


def test_batches_of_arrays(layout: picodet.Model, page: Pixels) -> None:
    batch = np.stack([page[:400, :401], page[400:800, 100:501], np.zeros((400, 401, 3), np.uint8)])
    boxes, scores, classes, index = layout.detect_arrays(batch)
    names = [array.dtype.name for array in (boxes, scores, classes, index)]
    assert names == ["float32", "float32", "int64", "int64"]
    assert boxes.shape == (len(scores), 4) and {0, 1} <= set(index.tolist())
    for number, image in enumerate(batch):
        expected = layout(image).boxes
        rows = index == number
        assert (boxes[rows] == expected.xyxy).all() and (scores[rows] == expected.conf).all()
        assert (classes[rows] == expected.class_id).all()
    for empty in layout.detect_arrays([]), layout.detect_arrays(batch[:0]):
        assert [array.shape for array in empty] == [(0, 4), (0,), (0,), (0,)]
    with pytest.raises(picodet.ImageError, match="n, height, width, 3"):
        layout.detect_arrays(page)
