//! How layers of ncnn rearrange channels. Maps are `[c, h, w]` there; axes count one less than those of `[n, c, h, w]`.

use super::options::{Options, integer, list, number};
use crate::{ForeignFlow, ForeignPool, ForeignPooling, ForeignRange, ForeignResize};

/// A value that follows from the input.
const REST: i64 = -233;
/// Operators of `BinaryOp`.
const ADD: i64 = 0;
const MULTIPLY: i64 = 2;

/// The parts of a layer that its flow depends on.
pub(super) struct Layer<'a> {
    pub(super) kind: &'a str,
    pub(super) options: &'a Options<'a>,
    /// For each input the number of values, if it is a constant.
    pub(super) constants: Vec<Option<usize>>,
    pub(super) pooling: Option<ForeignPooling>,
    pub(super) is_activation: bool,
}

/// Returns the flow of a layer.
pub(super) fn read(layer: &Layer<'_>) -> ForeignFlow {
    layer.flow().unwrap_or_default()
}

impl Layer<'_> {
    fn flow(&self) -> Option<ForeignFlow> {
        if let Some(pooling) = self.pooling {
            return pooling.kind().map(ForeignFlow::Pool);
        }
        if self.is_activation {
            return Some(ForeignFlow::SAME);
        }
        let get = |key: &str, default: i64| integer(self.options, key, default);
        Some(match self.kind {
            "Input" => ForeignFlow::Image,
            "Split" | "BatchNorm" | "Dropout" | "Noop" | "Packing" | "Cast" | "Quantize" | "Dequantize"
            | "Bias" | "UnaryOp" => ForeignFlow::SAME,
            "Padding" => self.padding()?,
            "Scale" if self.constants.len() == 2 => ForeignFlow::Product,
            "Scale" => ForeignFlow::SAME,
            "Concat" => ForeignFlow::Concat { axis: channel_axis(get("0", 0)?)? },
            "Slice" => self.slice()?,
            "Crop" => self.crop()?,
            "ShuffleChannel" => {
                let groups = usize::try_from(get("0", 1)?).ok()?;
                (get("1", 0)? == 0).then_some(ForeignFlow::Shuffle { groups })?
            }
            "BinaryOp" => self.binary()?,
            "Eltwise" => self.elementwise()?,
            "Interp" => self.interpolation()?,
            "Reduction" => self.reduction()?,
            "Reshape" => self.reshape()?,
            "Permute" => match get("0", 0)? {
                0 => ForeignFlow::SAME,
                // [c, d, h, w] to [d, c, h, w].
                6 => ForeignFlow::Transpose(vec![0, 2, 1, 3, 4]),
                _ => return None,
            },
            "Flatten" => ForeignFlow::Flatten { axis: 1 },
            _ => return None,
        })
    }

    fn padding(&self) -> Option<ForeignFlow> {
        let sides = ["7", "8"].map(|key| integer(self.options, key, 0));
        (sides == [Some(0); 2]).then_some(ForeignFlow::SAME)
    }

    fn slice(&self) -> Option<ForeignFlow> {
        let axis = channel_axis(integer(self.options, "1", 0)?)?;
        let indices: Vec<i64> = list(self.options, 2)?;
        let sizes: Vec<i64> = if indices.is_empty() {
            list::<i64>(self.options, 0)?
                .into_iter()
                .map(|size| if size == REST { -1 } else { size })
                .collect()
        } else {
            // The indices between the parts.
            if !indices.is_sorted() || indices.iter().any(|&index| index < 0) {
                return None;
            }
            let starts = std::iter::once(0).chain(indices.iter().copied());
            starts.zip(&indices).map(|(start, end)| end - start).chain([-1]).collect()
        };
        Some(ForeignFlow::Split { axis, sizes })
    }

    fn crop(&self) -> Option<ForeignFlow> {
        if self.constants.len() > 1 {
            return None;
        }
        let get = |key: &str| integer(self.options, key, 0);
        let (starts, ends): (Vec<i64>, Vec<i64>) = (list(self.options, 9)?, list(self.options, 10)?);
        let axes: Vec<i64> = list(self.options, 11)?;
        if !starts.is_empty() {
            let axes = if axes.is_empty() { (0..starts.len() as i64).collect() } else { axes };
            if ends.len() != starts.len() || axes.len() != starts.len() || axes.len() > 3 {
                return None;
            }
            let range = |((axis, start), end): ((i64, i64), i64)| {
                let axis = if axis < 0 { axis } else { axis.saturating_add(1) };
                // Ends of 0 and -233 are those of the axis.
                let end = if end == 0 || end == REST { i64::MAX } else { end };
                ForeignRange { axis, start: if start == REST { 0 } else { start }, end, step: 1 }
            };
            let ranges = axes.into_iter().zip(starts).zip(ends).map(range).collect();
            return Some(ForeignFlow::Slice(ranges));
        }
        let in_space = ["0", "1", "13", "3", "4", "14", "6", "7", "15"].map(get);
        if !in_space.iter().all(|value| matches!(value, Some(0 | REST))) {
            return None;
        }
        let (start, length, after) = (get("2")?, get("5")?, get("8")?);
        if start < 0 || after < 0 {
            return None;
        }
        let end = match (length, after) {
            (1.., _) => start.checked_add(length)?,
            (_, 0) => i64::MAX,
            (_, after) => -after,
        };
        Some(ForeignFlow::Slice(vec![ForeignRange { axis: 1, start, end, step: 1 }]))
    }

    fn binary(&self) -> Option<ForeignFlow> {
        let operator = integer(self.options, "0", ADD)?;
        let is_with_scalar = integer(self.options, "1", 0)? != 0;
        match *self.constants.as_slice() {
            [_] if is_with_scalar => Some(ForeignFlow::SAME),
            [None, Some(values)] => Some(ForeignFlow::Elementwise { input: 0, values }),
            [Some(values), None] => Some(ForeignFlow::Elementwise { input: 1, values }),
            [None, None] if operator == ADD => Some(ForeignFlow::Sum),
            [None, None] if operator == MULTIPLY => Some(ForeignFlow::Product),
            _ => None,
        }
    }

    fn elementwise(&self) -> Option<ForeignFlow> {
        let coefficients: Vec<f32> = list(self.options, 1)?;
        if self.constants.iter().any(Option::is_some) || coefficients.iter().any(|&value| value != 1.0) {
            return None;
        }
        match integer(self.options, "0", 0)? {
            0 => Some(ForeignFlow::Product),
            1 => Some(ForeignFlow::Sum),
            _ => None,
        }
    }

    fn interpolation(&self) -> Option<ForeignFlow> {
        let mode = match (integer(self.options, "0", 0)?, integer(self.options, "6", 0)?) {
            (1, _) => ForeignResize::Nearest,
            (2, 0) => ForeignResize::Linear,
            _ => ForeignResize::Other,
        };
        let is_sized = self.constants.len() > 1
            || ["3", "4", "5"].iter().any(|key| integer(self.options, key, 0).is_none_or(|value| value != 0));
        let factors = [number(self.options, "1", 1.0)?, number(self.options, "2", 1.0)?];
        Some(ForeignFlow::Resize { mode: Some(mode), factors: (!is_sized).then_some(factors) })
    }

    /// The mean over height and width.
    fn reduction(&self) -> Option<ForeignFlow> {
        const MEAN: i64 = 3;
        let get = |key: &str, default: i64| integer(self.options, key, default);
        let mut axes: Vec<i64> = list(self.options, 3)?;
        axes.sort_unstable();
        let is_mean = get("0", 0)? == MEAN && get("1", 1)? == 0 && number(self.options, "2", 1.0)? == 1.0;
        (is_mean && (axes == [1, 2] || axes == [-2, -1])).then_some(ForeignFlow::Pool(ForeignPool::Whole))
    }

    /// The options have the extents from the last axis on.
    fn reshape(&self) -> Option<ForeignFlow> {
        if let Some(expression) = self.options.get("6") {
            return reshape_of_expression(expression);
        }
        let mut extents = vec![Some(0)];
        for key in ["2", "11", "1", "0"] {
            let extent = integer(self.options, key, REST)?;
            if extent != REST {
                extents.push((extent != -1).then_some(extent));
            }
        }
        Some(ForeignFlow::Reshape(extents))
    }
}

/// Returns the reshape of a list such as `"1,1,//(72,0n),0n"`: width, height, channels and batch, each an expression of the
/// extents of the input.
fn reshape_of_expression(text: &str) -> Option<ForeignFlow> {
    let (mut depth, mut parts) = (0usize, vec![String::new()]);
    for character in text.trim_matches('"').chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut()?.push(character);
    }
    let has_batch = parts.last().is_some_and(|part| part == "0n");
    let extents = parts.iter().rev().skip(usize::from(has_batch)).map(|part| part.parse().ok());
    Some(ForeignFlow::Reshape(std::iter::once(Some(0)).chain(extents).take(8).collect()))
}

/// Returns the axis of channels of `[n, c, h, w]`; `None` for others, whose number of axes is not known.
fn channel_axis(axis: i64) -> Option<i64> {
    (axis == 0 || axis == -3).then_some(1)
}
