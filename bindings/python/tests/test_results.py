"""Results: equal to the command's, and complete in every form."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import picodet
import pytest
from conftest import PAGE

Pixels = npt.NDArray[np.uint8]


def test_json_is_that_of_the_command_bitwise(
    layout: picodet.Model, command: list[str], shared: Path
) -> None:
    odd = sorted((shared / "odd_images").rglob("*.[jpw]*"))
    pictures = [PAGE, *sorted((shared / "photos").iterdir()), *odd[:: len(odd) // 24]]
    assert len(pictures) > 30
    for options, model in [
        (["--model", "layout_cdla"], layout),
        (["--score", "0.1", "--nms-iou", "0.5"], picodet.Model(score=0.1, iou=0.5)),
    ]:
        found = subprocess.run(
            [*command, "detect", "--format", "json", *options, *map(str, pictures)], capture_output=True, text=True
        )
        expected = {json.loads(line)["file"]: line for line in found.stdout.splitlines()}
        assert len(expected) > 20, found.stderr
        for path in pictures:
            if str(path) in expected:
                assert model(path).to_json() == expected[str(path)]
            else:
                with pytest.raises(picodet.ImageError):
                    model(path)


def test_every_kind_of_source_gives_the_same_boxes(layout: picodet.Model, page: Pixels) -> None:
    expected = layout(page)
    assert len(expected) > 5
    data = PAGE.read_bytes()
    for source in [str(PAGE), PAGE, data, bytearray(data), memoryview(data)]:
        assert (layout(source).boxes.data == expected.boxes.data).all()
    assert (layout.predict(page[:, :, ::-1], bgr=True).boxes.data == expected.boxes.data).all()
    batch = layout([page, str(PAGE), data])
    assert isinstance(batch, list) and len(batch) == 3
    assert all((results.boxes.data == expected.boxes.data).all() for results in batch)
    assert layout([]) == []


def test_threads_change_the_last_bits_only(layout: picodet.Model, page: Pixels) -> None:
    expected = layout(page)
    for threads in (2, 3):
        found = picodet.Model("layout_cdla", threads=threads)(page)
        np.testing.assert_allclose(found.boxes.xyxy, expected.boxes.xyxy, atol=1e-3)
        np.testing.assert_allclose(found.boxes.conf, expected.boxes.conf, atol=1e-4)
        assert found.boxes.class_id.tolist() == expected.boxes.class_id.tolist()


def test_boxes_have_the_forms_of_ultralytics(layout: picodet.Model, page: Pixels) -> None:
    results = layout(page)
    boxes, (height, width) = results.boxes, results.orig_shape
    assert (height, width) == page.shape[:2] == boxes.orig_shape
    count = len(results)
    assert count == len(boxes) == len(list(results)) == len(list(boxes))
    x1, y1, x2, y2 = boxes.xyxy.T
    centre = np.stack([x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2, x2 - x1, y2 - y1], axis=1)
    np.testing.assert_array_equal(boxes.xywh, centre)
    scale = np.array([width, height, width, height], np.float32)
    np.testing.assert_array_equal(boxes.xyxyn, boxes.xyxy / scale)
    np.testing.assert_array_equal(boxes.xywhn, centre / scale)
    for array, shape in [
        (boxes.xyxy, (count, 4)), (boxes.xywh, (count, 4)), (boxes.xyxyn, (count, 4)), (boxes.xywhn, (count, 4)),
        (boxes.conf, (count,)), (boxes.cls, (count,)), (boxes.data, (count, 6)),
    ]:
        assert array.dtype == np.float32 and array.shape == shape and array.flags.writeable
    assert boxes.id is None and results.masks is None and results.obb is None
    assert set(results.speed) == {"decode", "preprocess", "inference", "postprocess"}
    assert all(results.names[cls] for cls in boxes.cls)


def test_results_are_indexed_like_a_list(layout: picodet.Model, page: Pixels) -> None:
    results = layout(page)
    assert results[0] == list(results)[0] and results[-1] == list(results)[-1]
    assert isinstance(results[0], picodet.Detection) and results[0].name == results.names[results[0].class_id]
    with pytest.raises(IndexError):
        results[len(results)]
    sure = results[results.boxes.conf > 0.9]
    assert 0 < len(sure) < len(results) and all(found.score > 0.9 for found in sure)
    assert len(results[:2]) == 2 and results[:2].orig_shape == results.orig_shape
    assert results.boxes[1].xyxy.shape == (1, 4)


def test_results_without_objects_keep_their_shapes(layout: picodet.Model) -> None:
    results = layout(np.full((40, 60, 3), 255, np.uint8))
    assert len(results) == 0 and list(results) == []
    assert results.boxes.xyxy.shape == results.boxes.xywhn.shape == (0, 4)
    assert results.boxes.conf.shape == results.boxes.cls.shape == (0,)
    assert results.to_dict() == {"file": "", "width": 60, "height": 40, "detections": []}
    assert results.to_coco(1) == [] and results.summary() == ""
    assert "nothing found" in repr(results)
    assert results.plot().shape == (40, 60, 3)


def test_documents_and_coco_results(layout: picodet.Model) -> None:
    results = layout(PAGE)
    document = results.to_dict()
    assert document["file"] == str(PAGE) and (document["height"], document["width"]) == results.orig_shape
    for entry, found, coco in zip(document["detections"], results, results.to_coco(7), strict=True):
        assert entry == {"class": found.class_id, "name": found.name, "score": found.score, "box": list(found.xyxy)}
        x1, y1, x2, y2 = (np.float32(side) for side in found.xyxy)
        assert coco["bbox"] == [x1, y1, x2 - x1, y2 - y1]
        assert (coco["image_id"], coco["category_id"]) == (7, layout.category_ids[found.class_id])


def test_drawings_keep_the_order_of_the_channels(
    layout: picodet.Model, page: Pixels, tmp_path: Path
) -> None:
    results = layout(page)
    drawn = results.plot()
    assert drawn.shape == page.shape and (drawn != page).any()
    assert (layout.predict(page[:, :, ::-1], bgr=True).plot() == drawn[:, :, ::-1]).all()
    assert (layout(PAGE).plot() == drawn).all()
    path = tmp_path / "drawn.png"
    assert results.save(path) == str(path)
    assert (picodet.open_image(path) == drawn).all()
    assert (results.orig_img == page).all() and (layout(PAGE).orig_img == page).all()
    grey = np.full_like(page, 128)
    assert (results.plot(grey) != drawn).any()
    with pytest.raises(FileNotFoundError, match="no-such"):
        results.save(tmp_path / "no-such" / "drawn.png")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_results_can_be_copied(layout: picodet.Model, copied: object) -> None:
    assert callable(copied)
    results = layout(PAGE)
    other = copied(results)
    assert (other.boxes.data == results.boxes.data).all() and other.to_json() == results.to_json()
    assert list(other) == list(results) and other.boxes.id is None


def test_a_single_box_has_numbers(layout: picodet.Model) -> None:
    boxes = layout(PAGE).boxes
    for box, score, class_id in zip(boxes, boxes.conf.tolist(), boxes.class_id.tolist(), strict=True):
        assert float(box.conf) == score and int(box.cls) == class_id and box.xyxy.shape == (1, 4)
        assert box.conf.shape == (1,) and pickle.loads(pickle.dumps(box)).conf == score
    assert boxes[np.int64(1)].xyxy.shape == (1, 4) and layout(PAGE)[np.argmax(boxes.conf)].score == boxes.conf.max()
    assert (boxes[-1].xyxy == boxes.xyxy[-1:]).all() and type(boxes.conf) is np.ndarray


def test_an_image_is_not_written_over(layout: picodet.Model, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(PAGE.read_bytes())
    results = layout(mine)
    with pytest.raises(ValueError, match="is the image itself"):
        results.save(tmp_path / "." / "mine.png")
    assert mine.read_bytes() == PAGE.read_bytes() and results.save(tmp_path / "drawn.png")
    # Another picture under the path, as cameras write it.
    layout(PAGE)[:0].save(mine, np.zeros((64, 96, 3), np.uint8))
    for draw in (results.plot, lambda: results.save(tmp_path / "again.png")):
        with pytest.raises(picodet.ImageError, match="96x64 pixels now, not of 1216x1600"):
            draw()
    assert results.plot(PAGE).shape == (1600, 1216, 3)
