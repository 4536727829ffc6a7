"""Packages that people use together with detectors; a test is skipped where its package is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import picodet
import pytest
from conftest import PAGE

Pixels = npt.NDArray[np.uint8]


def test_pillow(layout: picodet.Model, page: Pixels) -> None:
    image = pytest.importorskip("PIL.Image")
    expected = layout(page).boxes.data
    with image.open(PAGE) as opened:
        assert (layout(opened).boxes.data == expected).all()
        assert (layout.predict(opened, bgr=True).boxes.data == expected).all()
        with_alpha = opened.convert("RGBA")
        assert (layout(with_alpha).boxes.data == expected).all()
        assert len(layout(opened.convert("L"))) > 5 and len(layout(opened.convert("P"))) > 5
    with pytest.raises(TypeError, match="mode F"):
        layout(image.new("F", (8, 8)))
    with pytest.raises(picodet.ImageError, match="without pixels"):
        layout(image.new("RGB", (0, 8)))
    drawn = image.fromarray(layout(page).plot())
    assert drawn.size == (page.shape[1], page.shape[0])


def test_opencv(layout: picodet.Model, page: Pixels, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    bgr = cv2.imread(str(PAGE))
    results = layout.predict(bgr, bgr=True)
    assert (results.boxes.data == layout(page).boxes.data).all()
    assert (layout(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)).boxes.data == results.boxes.data).all()
    path = tmp_path / "drawn.png"
    assert cv2.imwrite(str(path), results.plot())
    assert (cv2.imread(str(path)) == results.plot()).all()


def test_supervision(layout: picodet.Model, page: Pixels) -> None:
    supervision = pytest.importorskip("supervision")
    for image in (page, np.full((40, 60, 3), 255, np.uint8)):
        results = layout(image)
        direct, by_duck = results.to_supervision(), supervision.Detections.from_ultralytics(results)
        for detections in (direct, by_duck):
            assert len(detections) == len(results) and detections.tracker_id is None and detections.mask is None
            np.testing.assert_array_equal(detections.xyxy, results.boxes.xyxy)
            np.testing.assert_array_equal(detections.confidence, results.boxes.conf)
            assert detections.class_id.tolist() == results.boxes.class_id.tolist()
            names = [found.name for found in results]
            assert [str(name) for name in detections.data["class_name"]] == names
        annotated = supervision.BoxAnnotator().annotate(image.copy(), direct)
        assert annotated.shape == image.shape
    detections = layout(page).to_supervision()
    zone = supervision.PolygonZone(np.array([[0, 0], [1215, 0], [1215, 1599], [0, 1599]]))
    assert zone.trigger(detections).sum() > 5 and len(detections[detections.confidence > 0.9]) > 0


def test_pyarrow(layout: picodet.Model, page: Pixels) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    results = layout(PAGE)
    table = results.to_arrow()
    assert table.column_names == ["file", "class", "name", "score", "x1", "y1", "x2", "y2"]
    assert table.num_rows == len(results) and table["file"][0].as_py() == str(PAGE)
    np.testing.assert_array_equal(np.asarray(table["x2"]), results.boxes.xyxy[:, 2])
    empty = results[:0].to_arrow()
    assert empty.num_rows == 0 and empty.schema == table.schema
    assert pyarrow.concat_tables([table, empty]).num_rows == len(results)


def test_fiftyone(layout: picodet.Model, page: Pixels) -> None:
    """Its database is not needed for the conversion."""
    try:
        import fiftyone  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        pytest.skip(f"fiftyone: {error}")
    results = layout(page)
    detections = results.to_fiftyone()
    assert isinstance(detections, fiftyone.Detections) and len(detections.detections) == len(results)
    height, width = results.orig_shape
    for found, detection in zip(results, detections.detections, strict=True):
        x, y, w, h = detection.bounding_box
        corners = [x * width, y * height, (x + w) * width, (y + h) * height]
        np.testing.assert_allclose(corners, found.xyxy, rtol=1e-6, atol=1e-3)
        assert detection.label == found.name and detection.confidence == pytest.approx(found.score)


def test_ray_data(page: Pixels) -> None:
    ray = pytest.importorskip("ray")
    data = pytest.importorskip("ray.data")

    class Detect:
        """Opens the model once per worker."""

        def __init__(self, model: picodet.Model) -> None:
            self.model = model

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {"count": np.array([len(results) for results in self.model(list(batch["path"]))])}

    expected = len(picodet.Model("layout_cdla")(page))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        paths = data.from_items([{"path": str(PAGE)} for _ in range(6)])
        # One worker leaves a core for the tasks that read; with all cores taken the job would not end.
        model = picodet.Model("layout_cdla", threads=1)
        found = paths.map_batches(
            Detect, fn_constructor_args=[model], concurrency=1, num_cpus=1, batch_size=3
        ).take_all()
        assert [row["count"] for row in found] == [expected] * 6
    finally:
        ray.shutdown()


def test_pyspark(page: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = pytest.importorskip("pyspark.sql")
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    model = picodet.Model("layout_cdla", threads=1)

    def detect(frames: Any) -> Any:
        for frame in frames:
            results = model(list(frame["path"]))
            yield pandas.DataFrame({"path": frame["path"], "count": [len(result) for result in results]})

    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        frame = session.createDataFrame([(str(PAGE),)] * 4, "path string")
        rows = frame.mapInPandas(detect, "path string, count long").collect()
        assert [row["count"] for row in rows] == [len(model(page))] * 4
    finally:
        session.stop()
