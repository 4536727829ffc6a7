//! Detection datasets: COCO, Pascal VOC, YOLO and LabelMe; check, convert, split.
