"""Images as the native module takes them: arrays of bytes in C order, encoded bytes, or paths."""

from __future__ import annotations

import os
import sys

from . import _picodet
from .errors import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    import numpy as np
    import numpy.typing as npt

    #: An array ``(h, w, 3)`` or ``(h, w)`` or ``(h, w, 4)`` of uint8, a path, the bytes of a file, or a Pillow image.
    Image: TypeAlias = npt.NDArray[np.uint8] | str | os.PathLike[str] | bytes | bytearray | memoryview | Any
    #: What the native module takes.
    Prepared: TypeAlias = npt.NDArray[np.uint8] | str | bytes

# Modes of Pillow that become RGB without a loss of range.
_PILLOW_MODES = frozenset(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
_EXPECTED = "a numpy array of uint8 with shape (height, width, 3), a path, bytes, or a Pillow image"


def open_image(
    source: str | os.PathLike[str] | bytes, *, bgr: bool = False, max_pixels: int | None = None
) -> npt.NDArray[np.uint8]:
    """Reads and decodes an image file, upright, exactly as a model does.

    Args:
        source: The path, or the bytes of the file.
        bgr: Whether to return blue first, as OpenCV does, instead of red.
        max_pixels: The maximum number of pixels; larger JPEG pictures are decoded at 1/2, 1/4 or 1/8 of their sides,
            other pictures are errors.

    Returns:
        An array ``(height, width, 3)`` of uint8.

    >>> picodet.open_image("page.png").shape
    (1600, 1216, 3)
    """
    return _picodet.open_image(prepare(source), bgr=bgr, max_pixels=max_pixels)


def prepare(source: Image, *, bgr: bool = False) -> Prepared:
    """Returns an image as the native module takes it; copies only where it must.

    Raises:
        TypeError: For objects that are no images, and for arrays that are not of uint8.
        ImageError: For arrays of the wrong shape.
    """
    if isinstance(source, bytes | str):
        return source
    if isinstance(source, os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    if is_array(source):
        return _prepare_array(source)
    if _is_pillow(source):
        return _prepare_pillow(source, bgr)
    if hasattr(source, "__array__") or hasattr(source, "__array_interface__"):
        import numpy

        return _prepare_array(numpy.asarray(source))
    raise TypeError(f"an image must be {_EXPECTED}, not {type(source).__name__}")


def is_array(source: object) -> bool:
    """Whether an object is an array of numpy, which is not imported for this."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(source, numpy.ndarray)


def _is_pillow(source: object) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(source, pillow.Image)


def _prepare_pillow(image: Any, bgr: bool) -> npt.NDArray[np.uint8]:
    import numpy

    if image.mode not in _PILLOW_MODES:
        raise TypeError(f"the Pillow image has mode {image.mode}, expected RGB; scale its values to 8 bits first")
    # Pillow drops an alpha channel, as decoding does.
    array = numpy.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return _prepare_array(array[:, :, ::-1] if bgr else array)


def _prepare_array(array: Any) -> npt.NDArray[np.uint8]:
    import numpy

    shape: tuple[int, ...] = array.shape
    if array.dtype != numpy.uint8:
        hint = "convert it to values from 0 to 255 first"
        if array.dtype.kind == "f":
            hint = "for values from 0 to 1 pass (image * 255).round().astype(numpy.uint8)"
        elif array.dtype == numpy.uint16:
            hint = "pass (image >> 8).astype(numpy.uint8)"
        raise TypeError(f"the array has dtype {array.dtype}, expected uint8; {hint}")
    if array.ndim == 4:
        raise ImageError(f"the array has shape {shape}, expected (height, width, 3); pass list(batch) for a batch")
    if array.ndim not in (2, 3):
        raise ImageError(f"the array has shape {shape}, expected (height, width, 3)")
    if array.size == 0:
        raise ImageError(f"the array has shape {shape}, without pixels")
    if array.ndim == 2:
        array = array[:, :, None]
    channels = array.shape[2]
    if channels not in (1, 3, 4):
        hint = "; pass image.transpose(1, 2, 0)" if shape[0] in (1, 3, 4) else ""
        raise ImageError(f"the array has shape {shape}, expected (height, width, 3){hint}")
    if channels == 1:
        array = numpy.repeat(array, 3, axis=2)
    elif channels == 4:
        array = array[:, :, :3]
    prepared: npt.NDArray[np.uint8] = numpy.ascontiguousarray(array)
    return prepared
