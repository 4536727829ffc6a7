//! Bounding boxes of segmentations: polygons and run-length encoded masks.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::JsonError;
use super::entries::split;
use super::value::Scalar;

/// Reads the bounding boxes `[x1, y1, x2, y2]` in pixels of the segmentations of some annotations, by the
/// 0-based index of the annotation. Annotations without a segmentation, or with an empty or malformed one,
/// are absent from the result.
///
/// # Errors
/// [`JsonError`] when the file cannot be read.
pub fn read_segmentation_boxes(
    mut reader: impl Read,
    wanted: &dyn Fn(usize) -> bool,
) -> Result<HashMap<usize, [f64; 4]>, JsonError> {
    let mut found = HashMap::new();
    read_boxes(&mut reader, wanted, &mut found)?;
    Ok(found)
}

/// Not generic, so that it is compiled here and only once.
fn read_boxes(
    reader: &mut dyn Read,
    wanted: &dyn Fn(usize) -> bool,
    found: &mut HashMap<usize, [f64; 4]>,
) -> Result<(), JsonError> {
    split(reader, &[("annotations", "annotation")], &mut |_, entry| {
        if let Some(entry) = entry.filter(|entry| wanted(entry.index)) {
            let Annotation { segmentation } = entry.parse()?;
            if let Some(bbox) = segmentation.and_then(|segmentation| segmentation.0) {
                found.insert(entry.index, bbox);
            }
        }
        Ok(())
    })
}

/// An annotation with its segmentation only.
#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    segmentation: Option<SegmentationBox>,
}

/// The bounding box of a segmentation, if it is not empty.
struct SegmentationBox(Option<[f64; 4]>);

impl<'de> Deserialize<'de> for SegmentationBox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SegmentationVisitor;

        impl<'de> Visitor<'de> for SegmentationVisitor {
            type Value = SegmentationBox;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("polygons or a run-length encoded mask")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SegmentationBox, A::Error> {
                let mut bounds = Bounds::default();
                while let Some(item) = list.next_element::<PolygonOrNumber>()? {
                    match item {
                        PolygonOrNumber::Polygon(polygon) => bounds.join(&polygon),
                        PolygonOrNumber::Number(value) => bounds.add(value),
                    }
                }
                Ok(SegmentationBox(bounds.bbox()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SegmentationBox, A::Error> {
                let (mut counts, mut extents) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "counts" => counts = Some(map.next_value::<Counts>()?.0),
                        "size" => {
                            let size: Vec<Scalar> = map.next_value()?;
                            let mut size = size.into_iter().map(|value| value.number().ok().flatten());
                            extents = size.next().flatten().zip(size.next().flatten());
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let bbox = counts.zip(extents).and_then(|(counts, extents)| mask_box(&counts, extents));
                Ok(SegmentationBox(bbox))
            }

            fn visit_unit<E>(self) -> Result<SegmentationBox, E> {
                Ok(SegmentationBox(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<SegmentationBox, E> {
                Ok(SegmentationBox(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<SegmentationBox, E> {
                Ok(SegmentationBox(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<SegmentationBox, E> {
                Ok(SegmentationBox(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<SegmentationBox, E> {
                Ok(SegmentationBox(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<SegmentationBox, E> {
                Ok(SegmentationBox(None))
            }
        }

        deserializer.deserialize_any(SegmentationVisitor)
    }
}

/// Minimum and maximum of coordinates that are added in turn as x, y, x, y, ….
#[derive(Debug)]
struct Bounds {
    bbox: [f64; 4],
    /// Number of added coordinates.
    count: usize,
    finite: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            bbox: [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY],
            count: 0,
            finite: true,
        }
    }
}

impl Bounds {
    fn add(&mut self, value: f64) {
        let side = self.count % 2;
        self.bbox[side] = self.bbox[side].min(value);
        self.bbox[side + 2] = self.bbox[side + 2].max(value);
        self.count += 1;
        self.finite &= value.is_finite();
    }

    fn join(&mut self, other: &Self) {
        for side in 0..2 {
            self.bbox[side] = self.bbox[side].min(other.bbox[side]);
            self.bbox[side + 2] = self.bbox[side + 2].max(other.bbox[side + 2]);
        }
        self.count += other.count & !1;
        self.finite &= other.finite;
    }

    /// The box; `None` if it is empty.
    fn bbox(&self) -> Option<[f64; 4]> {
        let [x1, y1, x2, y2] = self.bbox;
        (self.finite && self.count >= 4 && x2 > x1 && y2 > y1).then_some(self.bbox)
    }
}

/// A list of coordinates, of points `[x, y]` or a single coordinate.
enum PolygonOrNumber {
    Polygon(Bounds),
    Number(f64),
}

impl<'de> Deserialize<'de> for PolygonOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PolygonVisitor;

        impl<'de> Visitor<'de> for PolygonVisitor {
            type Value = PolygonOrNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a polygon")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PolygonOrNumber, A::Error> {
                let mut bounds = Bounds::default();
                while let Some(item) = list.next_element::<PolygonOrNumber>()? {
                    match item {
                        PolygonOrNumber::Polygon(points) => bounds.join(&points),
                        PolygonOrNumber::Number(value) => bounds.add(value),
                    }
                }
                Ok(PolygonOrNumber::Polygon(bounds))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PolygonOrNumber, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(PolygonOrNumber::Number(f64::NAN))
            }

            fn visit_unit<E>(self) -> Result<PolygonOrNumber, E> {
                Ok(PolygonOrNumber::Number(f64::NAN))
            }

            fn visit_bool<E>(self, _: bool) -> Result<PolygonOrNumber, E> {
                Ok(PolygonOrNumber::Number(f64::NAN))
            }

            fn visit_i64<E>(self, value: i64) -> Result<PolygonOrNumber, E> {
                Ok(PolygonOrNumber::Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<PolygonOrNumber, E> {
                Ok(PolygonOrNumber::Number(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<PolygonOrNumber, E> {
                Ok(PolygonOrNumber::Number(value))
            }

            fn visit_str<E>(self, text: &str) -> Result<PolygonOrNumber, E> {
                Ok(PolygonOrNumber::Number(text.trim().parse().unwrap_or(f64::NAN)))
            }
        }

        deserializer.deserialize_any(PolygonVisitor)
    }
}

/// Lengths of runs of equal pixels, the first of background.
struct Counts(Vec<u64>);

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountsVisitor;

        impl<'de> Visitor<'de> for CountsVisitor {
            type Value = Counts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("run lengths, as a list or a compressed text")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Counts, A::Error> {
                let mut counts = Vec::new();
                while let Some(value) = list.next_element::<Scalar>()? {
                    counts.push(value.number().ok().flatten().unwrap_or(0.0) as u64);
                }
                Ok(Counts(counts))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Counts, E> {
                Ok(Counts(decompress(text.as_bytes())))
            }
        }

        deserializer.deserialize_any(CountsVisitor)
    }
}

/// Decodes the text of pycocotools: groups of five bits, lowest first, of the difference to the run before the
/// last one.
fn decompress(text: &[u8]) -> Vec<u64> {
    let mut counts: Vec<i64> = Vec::new();
    let mut bytes = text.iter();
    while let Some(&first) = bytes.next() {
        let (mut value, mut shift, mut byte) = (0i64, 0u32, first);
        loop {
            let bits = i64::from(byte.wrapping_sub(48));
            value |= (bits & 0x1f).checked_shl(shift).unwrap_or(0);
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 && shift < 64 {
                    value |= -1i64 << shift;
                }
                break;
            }
            let Some(&next) = bytes.next() else { break };
            byte = next;
        }
        if counts.len() > 2 {
            value = value.wrapping_add(counts[counts.len() - 2]);
        }
        counts.push(value);
    }
    counts.into_iter().map(|count| u64::try_from(count).unwrap_or(0)).collect()
}

/// Returns the bounding box of a mask of a height and width in column-major order; `None` if it is empty, or its runs are not
/// as long as the mask.
fn mask_box(counts: &[u64], (height, width): (f64, f64)) -> Option<[f64; 4]> {
    if [height, width].iter().any(|extent| !(1.0..=1e9).contains(extent) || extent.fract() != 0.0) {
        return None;
    }
    let length = counts.iter().try_fold(0u64, |sum, &count| sum.checked_add(count))?;
    if length != height as u64 * width as u64 {
        return None;
    }
    let height = height as u64;
    let mut bounds: Option<[u64; 4]> = None;
    let mut start = 0u64;
    for (run, &length) in counts.iter().enumerate() {
        let end = start.checked_add(length)?;
        if run % 2 == 1 && length > 0 {
            let (first, last) = (start / height, (end - 1) / height);
            let (top, bottom) =
                if first == last { (start % height, (end - 1) % height) } else { (0, height - 1) };
            let [x1, y1, x2, y2] = bounds.unwrap_or([first, top, last, bottom]);
            bounds = Some([x1.min(first), y1.min(top), x2.max(last), y2.max(bottom)]);
        }
        start = end;
    }
    bounds.map(|[x1, y1, x2, y2]| [x1 as f64, y1 as f64, (x2 + 1) as f64, (y2 + 1) as f64])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bbox(segmentation: &str) -> Option<[f64; 4]> {
        let text = format!(r#"{{"annotations": [7, {{"id": 1, "segmentation": {segmentation}}}]}}"#);
        let found = read_segmentation_boxes(text.as_bytes(), &|index| index == 1).expect("JSON");
        found.get(&1).copied()
    }

    #[test]
    fn polygons_of_every_nesting_have_a_box() {
        let expected = Some([1.0, 2.0, 5.0, 6.5]);
        let cases = [
            ("[[1, 2, 5, 2, 5, 6.5]]", expected),
            ("[1, 2, 5, 2, 5, 6.5]", expected),
            ("[[[1, 2], [5, 2], [5, 6.5]]]", expected),
            ("[[1, 2, 3, 2, 3, 4], [4, 5, 5, 6.5, 4, 6]]", expected),
            ("[[\"1\", 2, 5, 2, 5, 6.5]]", expected),
            ("[[1, 2, 1, 2]]", None),
            ("[[1, 2, null, 2, 5, 6.5]]", None),
            ("[]", None),
            ("null", None),
            ("\"abc\"", None),
        ];
        let wrong: Vec<_> = cases.into_iter().filter(|(text, expected)| bbox(text) != *expected).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn masks_have_the_box_of_pycocotools() {
        // A mask of 4 columns and 3 rows with pixels in rows 1 and 2 of column 1, and row 0 of column 2.
        assert_eq!(bbox(r#"{"size": [3, 4], "counts": [4, 2, 6]}"#), Some([1.0, 1.0, 2.0, 3.0]));
        assert_eq!(bbox(r#"{"size": [3, 4], "counts": [4, 3, 5]}"#), Some([1.0, 0.0, 3.0, 3.0]));
        assert_eq!(bbox(r#"{"size": [3, 4], "counts": "426"}"#), Some([1.0, 1.0, 2.0, 3.0]));
        assert_eq!(bbox(r#"{"size": [3, 4], "counts": [12]}"#), None);
        assert_eq!(bbox(r#"{"size": [0, 4], "counts": [4, 2, 6]}"#), None);
        // Runs that are longer or shorter than the mask.
        for counts in ["[4, 2, 7]", "[4, 2, 5]", "[4, 1000000000, 6]", "\"garbage~~\""] {
            assert_eq!(bbox(&format!("{{\"size\": [3, 4], \"counts\": {counts}}}")), None, "{counts}");
        }
        assert_eq!(bbox(r#"{"size": [3], "counts": [4, 2, 6]}"#), None);
    }

    #[test]
    fn compressed_runs_are_decoded() {
        // pycocotools: `_frString` of the counts 5, 40, 3, 1000, with a difference to the run before the last.
        let encoded = |counts: &[i64]| -> Vec<u8> {
            let mut text = Vec::new();
            for (index, &count) in counts.iter().enumerate() {
                let mut value = if index > 2 { count - counts[index - 2] } else { count };
                loop {
                    let mut bits = value & 0x1f;
                    value >>= 5;
                    let more = if bits & 0x10 != 0 { value != -1 } else { value != 0 };
                    bits |= if more { 0x20 } else { 0 };
                    text.push(bits as u8 + 48);
                    if !more {
                        break;
                    }
                }
            }
            text
        };
        let counts = [5, 40, 3, 1000, 7, 2];
        assert_eq!(decompress(&encoded(&counts)), counts.map(|count| count as u64));
        assert_eq!(decompress(&[b'o'; 15]).len(), 1);
    }
}
