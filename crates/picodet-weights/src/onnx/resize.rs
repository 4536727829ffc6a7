//! Resizes of an ONNX graph: `Resize`, and `Upsample` of old versions.

use super::message::RawNode;
use super::value::{Constant, Constants};
use crate::{ForeignFlow, ForeignResize};

/// Returns the flow of a resize; `None` where the extent of batch or channels changes.
pub(super) fn read(node: &RawNode, constants: &Constants) -> Option<ForeignFlow> {
    let operand = |input: usize| {
        let name = node.inputs.get(input).filter(|name| !name.is_empty())?;
        constants.get(name).filter(|constant| !constant.data.is_empty())
    };
    // Before version 11 there is no region, and the positions of pixels are not defined.
    let is_old = node.operator == "Upsample"
        || node.inputs.len() < 3 && !node.texts.contains_key("coordinate_transformation_mode");
    let scales = operand(if is_old { 1 } else { 2 }).map(values);
    // Version 7, and files of pnnx.
    let scales = scales.or_else(|| node.floats.get("scales").map(Vec::as_slice));
    let factors = match scales {
        None => None,
        Some(&[1.0, 1.0, height, width]) => Some([height, width]),
        Some(&[height, width]) if node.integers("axes") == [2, 3] => Some([height, width]),
        Some(_) => return None,
    };
    Some(ForeignFlow::Resize { mode: mode(node, is_old, factors), factors })
}

fn values(constant: &Constant) -> &[f32] {
    &constant.data
}

fn mode(node: &RawNode, is_old: bool, factors: Option<[f32; 2]>) -> Option<ForeignResize> {
    let text =
        |name: &str, default: &'static str| node.texts.get(name).map_or(default, String::as_str).to_owned();
    let transform = text("coordinate_transformation_mode", "half_pixel");
    match text("mode", "nearest").as_str() {
        "nearest" if is_old => Some(ForeignResize::Nearest),
        "nearest" => {
            let rounding = text("nearest_mode", "round_prefer_floor");
            // A factor that is not known can only be that of the network.
            let factor = factors.map_or(2.0, |[factor, _]| factor);
            Some(nearest(&transform, &rounding, f64::from(factor)))
        }
        "linear" | "bilinear" if is_old => None,
        "linear" => Some(match transform.as_str() {
            "half_pixel" | "pytorch_half_pixel"
                if node.integers("antialias").first().is_none_or(|&on| on == 0) =>
            {
                ForeignResize::Linear
            }
            _ => ForeignResize::Other,
        }),
        _ => Some(ForeignResize::Other),
    }
}

/// Returns whether the pixel that is read is `floor(i / factor)`, whatever the words for it.
fn nearest(transform: &str, rounding: &str, factor: f64) -> ForeignResize {
    const PIXELS: i32 = 16;
    let is_floor = |index: i32| {
        let index = f64::from(index);
        let position = match transform {
            "half_pixel" | "pytorch_half_pixel" => (index + 0.5) / factor - 0.5,
            "tf_half_pixel_for_nn" => (index + 0.5) / factor,
            "asymmetric" => index / factor,
            _ => return false,
        };
        let pixel = match rounding {
            "floor" => position.floor(),
            "ceil" => position.ceil(),
            "round_prefer_ceil" => (position + 0.5).floor(),
            _ => (position - 0.5).ceil(),
        };
        pixel.max(0.0) == (index / factor).floor()
    };
    if (0..PIXELS).all(is_floor) { ForeignResize::Nearest } else { ForeignResize::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pixels_have_several_names() {
        let is_nearest = |transform, rounding| nearest(transform, rounding, 2.0) == ForeignResize::Nearest;
        for (transform, rounding) in [
            ("asymmetric", "floor"),
            ("asymmetric", "round_prefer_floor"),
            ("half_pixel", "round_prefer_floor"),
            ("half_pixel", "round_prefer_ceil"),
            ("pytorch_half_pixel", "round_prefer_floor"),
            ("tf_half_pixel_for_nn", "floor"),
        ] {
            assert!(is_nearest(transform, rounding), "{transform} {rounding}");
        }
        for (transform, rounding) in
            [("asymmetric", "ceil"), ("asymmetric", "round_prefer_ceil"), ("align_corners", "floor")]
        {
            assert!(!is_nearest(transform, rounding), "{transform} {rounding}");
        }
    }
}
