"""The columns of single boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Base = npt.NDArray[Any]
else:
    Base = np.ndarray


class Column(Base):
    """An array of one row, which ``float()`` and ``int()`` take as a number: ``float(box.conf)``, as with ultralytics."""

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())
