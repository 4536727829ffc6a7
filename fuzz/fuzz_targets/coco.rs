//! Bytes of COCO annotations and their segmentations.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = picodet_data::coco::parse(bytes, "annotations.json");
    let _ = picodet_format::coco::read_segmentation_boxes(bytes, &|_| true);
});
