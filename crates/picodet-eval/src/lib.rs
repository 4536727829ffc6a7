//! COCO metrics, curves, confusion and error kinds.
