//! How operations of a Paddle program rearrange channels.

use std::collections::HashMap;

use super::operation::{Operation, is_batch_norm};
use super::values::Values;
use crate::{ForeignFlow, ForeignPool, ForeignPooling, ForeignRange, ForeignResize};

/// Largest number of integers of one operand.
const MAX_INTEGERS: usize = 64;
/// Inputs of an exported detector next to the image.
const SIDE_INPUTS: &[&str] = &["scale_factor", "im_shape", "im_info"];

/// The splits whose parts later operations take from a list.
pub(super) type Splits = HashMap<String, (i64, Vec<i64>)>;

/// The parts of a program that the flow of an operation depends on.
pub(super) struct Surroundings<'a> {
    pub(super) values: &'a Values,
    /// For each input the number of values, if it is a parameter.
    pub(super) constants: Vec<Option<usize>>,
    pub(super) pooling: Option<ForeignPooling>,
    pub(super) is_activation: bool,
}

/// Returns the flow of an operation; notes it if it is a split into a list.
pub(super) fn read(operation: &Operation, around: &Surroundings<'_>, splits: &mut Splits) -> ForeignFlow {
    if let Some(pooling) = around.pooling {
        return pooling.kind().map(ForeignFlow::Pool).unwrap_or_default();
    }
    if around.is_activation || is_batch_norm(&operation.kind) {
        return ForeignFlow::SAME;
    }
    Reading { operation, around }.flow(splits).unwrap_or_default()
}

struct Reading<'a> {
    operation: &'a Operation,
    around: &'a Surroundings<'a>,
}

impl Reading<'_> {
    /// Returns the integers of the first of some slots that is given, or of an attribute; empty if none is there.
    fn list(&self, attribute: &str, slots: &[&str]) -> Option<Vec<Option<i64>>> {
        let given = slots.iter().find_map(|slot| self.operation.slots.get(*slot));
        let list = match given {
            Some(names) => self.around.values.all(names)?,
            None => self.operation.numbers(attribute).iter().map(|&value| Some(value as i64)).collect(),
        };
        (list.len() <= MAX_INTEGERS).then_some(list)
    }

    /// Returns the integers as [`Reading::list`], if all are constants.
    fn integers(&self, attribute: &str, slots: &[&str]) -> Option<Vec<i64>> {
        self.list(attribute, slots)?.into_iter().collect()
    }

    fn axis(&self) -> Option<i64> {
        Some(self.integers("axis", &["AxisTensor"])?.first().copied().unwrap_or(0))
    }

    fn flow(&self, splits: &mut Splits) -> Option<ForeignFlow> {
        let operation = self.operation;
        Some(match operation.kind.trim_end_matches('_') {
            "feed" | "data" => self.image()?,
            "fetch" | "shadow_output" | "cast" | "assign" | "share_data" | "dropout" | "scale" | "sqrt"
            | "exp" | "floor" | "ceil" | "abs" => ForeignFlow::SAME,
            "add" | "elementwise_add" => self.arithmetic(Some(ForeignFlow::Sum))?,
            "multiply" | "elementwise_mul" => self.arithmetic(Some(ForeignFlow::Product))?,
            "subtract" | "divide" | "elementwise_sub" | "elementwise_div" => self.arithmetic(None)?,
            "concat" => ForeignFlow::Concat { axis: self.axis()? },
            "split" | "split_with_num" => self.split(splits)?,
            "builtin_split" => {
                let (axis, sizes) = splits.get(operation.inputs.first()?)?.clone();
                ForeignFlow::Split { axis, sizes }
            }
            "builtin_slice" => self.part(splits)?,
            "slice" | "strided_slice" => self.slice()?,
            "reshape" | "reshape2" => {
                let extents = self.list("shape", &["ShapeTensor", "Shape"])?;
                let extents = extents.into_iter().map(|extent| extent.filter(|&extent| extent != -1));
                ForeignFlow::Reshape(extents.collect())
            }
            "transpose" | "transpose2" => {
                let order = operation.integers("perm");
                ForeignFlow::Transpose(if order.is_empty() { operation.integers("axis") } else { order })
            }
            "squeeze" | "squeeze2" => ForeignFlow::Squeeze(self.integers("axes", &["AxesTensor"])?),
            "unsqueeze" | "unsqueeze2" => {
                ForeignFlow::Unsqueeze(self.integers("axes", &["AxesTensor", "AxesTensorList"])?)
            }
            "flatten" | "flatten_contiguous_range" => {
                let last = operation.number("stop_axis").unwrap_or(-1.0);
                let axis = operation.number("start_axis").unwrap_or(1.0) as i64;
                (last == -1.0 || last == 3.0).then_some(ForeignFlow::Flatten { axis })?
            }
            "shuffle_channel" | "channel_shuffle" => {
                let groups = operation.number("group").or_else(|| operation.number("groups"))?;
                ForeignFlow::Shuffle { groups: groups as usize }
            }
            "nearest_interp" | "nearest_interp_v2" => self.resize(true),
            "bilinear_interp" | "bilinear_interp_v2" => self.resize(false),
            "reduce_mean" | "mean" => self.mean()?,
            _ => return None,
        })
    }

    /// The image, which is the only input of rank 4.
    fn image(&self) -> Option<ForeignFlow> {
        let shape = self.operation.numbers("shape");
        let mut names =
            self.operation.outputs.iter().map(String::as_str).chain([self.operation.text("name")]);
        // Names of outputs have a version after an `@`.
        let is_side = names.any(|name| SIDE_INPUTS.contains(&name.split('@').next().unwrap_or_default()));
        (!is_side && (shape.is_empty() || shape.len() == 4)).then_some(ForeignFlow::Image)
    }

    /// An operation of one value with parameters, or of several values.
    fn arithmetic(&self, of_several: Option<ForeignFlow>) -> Option<ForeignFlow> {
        match *self.around.constants.as_slice() {
            [None, None] => of_several,
            [None, Some(values)] => Some(ForeignFlow::Elementwise { input: 0, values }),
            [Some(values), None] => Some(ForeignFlow::Elementwise { input: 1, values }),
            _ => None,
        }
    }

    fn split(&self, splits: &mut Splits) -> Option<ForeignFlow> {
        let axis = self.axis()?;
        let sizes = self.integers("sections", &["SectionsTensorList"])?;
        if self.operation.slots.is_empty() || self.operation.outputs.len() > 1 {
            return Some(ForeignFlow::Split { axis, sizes });
        }
        // Of Paddle 3: the list of the parts, from which another operation takes them.
        splits.insert(self.operation.outputs.first()?.clone(), (axis, sizes));
        Some(ForeignFlow::SAME)
    }

    /// One part of a list.
    fn part(&self, splits: &Splits) -> Option<ForeignFlow> {
        let (axis, sizes) = splits.get(self.operation.inputs.first()?)?;
        let index = self.operation.number("index")? as usize;
        if sizes.iter().any(|&size| size < 0) {
            return None;
        }
        let start = sizes.get(..index)?.iter().try_fold(0i64, |sum, &size| sum.checked_add(size))?;
        let end = start.checked_add(*sizes.get(index)?)?;
        Some(ForeignFlow::Slice(vec![ForeignRange { axis: *axis, start, end, step: 1 }]))
    }

    fn slice(&self) -> Option<ForeignFlow> {
        let starts = self.integers("starts", &["StartsTensorList", "StartsTensor"])?;
        let ends = self.integers("ends", &["EndsTensorList", "EndsTensor"])?;
        let steps = self.integers("strides", &["StridesTensorList", "StridesTensor"])?;
        let axes = self.operation.integers("axes");
        let steps = if steps.is_empty() { vec![1; starts.len()] } else { steps };
        let is_sound = [ends.len(), axes.len(), steps.len()].iter().all(|&length| length == starts.len());
        if starts.is_empty()
            || starts.len() > 8
            || !is_sound
            || !self.operation.numbers("decrease_axis").is_empty()
        {
            return None;
        }
        let range =
            |at: usize| ForeignRange { axis: axes[at], start: starts[at], end: ends[at], step: steps[at] };
        Some(ForeignFlow::Slice((0..starts.len()).map(range).collect()))
    }

    fn resize(&self, is_nearest: bool) -> ForeignFlow {
        let operation = self.operation;
        let is_centred = !operation.is_set("align_corners");
        // Linear interpolation between the corners of pixels is the default of the operation, not of its function.
        let is_half_pixel = operation.number("align_mode").unwrap_or(1.0) == 0.0;
        let mode = match is_nearest {
            true if is_centred => ForeignResize::Nearest,
            false if is_centred && is_half_pixel => ForeignResize::Linear,
            _ => ForeignResize::Other,
        };
        let sized = ["OutSize", "SizeTensor", "Scale"].iter().any(|slot| operation.slots.contains_key(*slot));
        let is_sized = sized || ["out_h", "out_w"].iter().any(|name| operation.number(name) > Some(0.0));
        let factors = match *operation.numbers("scale") {
            [both] if !is_sized && both > 0.0 => Some([both as f32; 2]),
            [height, width] if !is_sized && height > 0.0 => Some([height as f32, width as f32]),
            _ => None,
        };
        ForeignFlow::Resize { mode: Some(mode), factors }
    }

    /// The mean over height and width, which remain as axes of extent 1.
    fn mean(&self) -> Option<ForeignFlow> {
        let axes = self.operation.integers("dim");
        let axes = if axes.is_empty() { self.operation.integers("axis") } else { axes };
        let is_kept = self.operation.is_set("keep_dim") || self.operation.is_set("keepdim");
        let is_whole = matches!(axes.as_slice(), [2, 3] | [3, 2] | [-2, -1] | [-1, -2]);
        (is_kept && is_whole).then_some(ForeignFlow::Pool(ForeignPool::Whole))
    }
}
