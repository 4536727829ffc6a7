"""Pictures, models and datasets that several tests use."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import picodet
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("PICODET_SHARED", REPOSITORY.parent / "shared"))
PAGE = REPOSITORY / "examples" / "page.png"

# Jobs in the background of a shell ignore Control-C, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def layout() -> picodet.Model:
    """The embedded model of document layout, which the page suits."""
    return picodet.Model("layout_cdla")


@pytest.fixture(scope="session")
def page() -> npt.NDArray[np.uint8]:
    """The document page of the examples, RGB."""
    return picodet.open_image(PAGE)


@pytest.fixture
def shared() -> Path:
    """The folder of reference data."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the folder of reference data is missing")
    return SHARED / "data"


@pytest.fixture
def command() -> list[str]:
    """The command: the program that `PICODET_PROGRAM` names, or that of the wheel."""
    program = os.environ.get("PICODET_PROGRAM")
    return [program] if program else [sys.executable, "-m", "picodet"]


def write_tiny(folder: Path) -> Path:
    """Writes a COCO dataset of four pages, one turned in four ways, each with one table, and returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    page = picodet.open_image(PAGE)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    nothing = picodet.Model("layout_cdla")(page)[:0]
    for index, image in enumerate([page, page[::-1], page[:, ::-1], page[::-1, ::-1]], 1):
        name = f"{index}.png"
        nothing.save(folder / name, image)
        images.append({"id": index, "file_name": name, "width": 1216, "height": 1600})
        box = [88 if index < 3 else 648, 200 if index % 2 else 800, 480, 600]
        entry = {"id": index, "image_id": index, "category_id": 1, "bbox": box, "area": 480 * 600, "iscrowd": 0}
        annotations.append(entry)
    categories = [{"id": 1, "name": "table"}]
    path = folder / "data.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A COCO dataset of four pages."""
    return write_tiny(tmp_path / "tiny")
