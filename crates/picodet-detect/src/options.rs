//! The settings of a detector.

use picodet_engine::Precision;
use picodet_image::{Interpolation, Limits};

use crate::{Error, Instructions, Nms};

/// The longest side of the network input in pixels. Time and memory grow with the number of pixels.
pub const MAX_INPUT_SIDE: usize = 4096;

/// The settings of a detector; the default is the model's own input size, interpolation and precision, and one thread.
///
/// ```
/// let options = picodet_detect::Options::new().with_score_threshold(0.4).with_threads(2);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Thresholds and limits of the suppression.
    pub nms: Nms,
    /// Height and width of the network input instead of the model's own.
    pub input_size: Option<(usize, usize)>,
    /// Interpolation of the resize instead of the model's own.
    pub resize: Option<Interpolation>,
    /// Threads of each inference; 0 is the same as 1.
    pub threads: usize,
    /// Precision of the convolutions; by default f32, and bytes for a quantised model.
    pub precision: Option<Precision>,
    /// Whether a model that is not quantised is computed in the fastest precision of the processor, where `precision` is
    /// `None`.
    pub fastest: bool,
    /// Instruction set instead of the best one of the processor.
    pub instructions: Option<Instructions>,
    /// Limits on the images that the detector decodes.
    pub limits: Limits,
}

impl Options {
    /// Returns the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the thresholds and limits of the suppression.
    #[must_use]
    pub fn with_nms(self, nms: Nms) -> Self {
        Self { nms, ..self }
    }

    /// Sets the score from which on objects are reported, 0 to 1.
    #[must_use]
    pub fn with_score_threshold(self, score_threshold: f32) -> Self {
        Self { nms: Nms { score_threshold, ..self.nms }, ..self }
    }

    /// Sets height and width of the network input, multiples of 32 up to [`MAX_INPUT_SIDE`]; `None` is the model's own size.
    #[must_use]
    pub fn with_input_size(self, input_size: impl Into<Option<(usize, usize)>>) -> Self {
        Self { input_size: input_size.into(), ..self }
    }

    /// Sets the interpolation of the resize; `None` is the model's own.
    #[must_use]
    pub fn with_resize(self, resize: impl Into<Option<Interpolation>>) -> Self {
        Self { resize: resize.into(), ..self }
    }

    /// Sets the number of threads of each inference.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the precision of the convolutions; `None` is the model's own. A quantised model has [`Precision::U8`], and f32, in
    /// which the numbers that its integers stand for are computed.
    #[must_use]
    pub fn with_precision(self, precision: impl Into<Option<Precision>>) -> Self {
        Self { precision: precision.into(), fastest: false, ..self }
    }

    /// Chooses bytes for a quantised model, and for others the fastest precision of the processor: bf16 or f16 where it has such
    /// products, else f32.
    #[must_use]
    pub fn with_fastest_precision(self) -> Self {
        Self { precision: None, fastest: true, ..self }
    }

    /// Sets the instruction set; `None` is the best one of the processor.
    #[must_use]
    pub fn with_instructions(self, instructions: impl Into<Option<Instructions>>) -> Self {
        Self { instructions: instructions.into(), ..self }
    }

    /// Sets the limits on the images that the detector decodes. Boxes are in pixels of the whole picture, also where a larger
    /// JPEG picture is decoded at a reduced size.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Checks the thresholds and the input size.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let in_unit = |value: f32| (0.0..=1.0).contains(&value);
        if !in_unit(self.nms.score_threshold) || !in_unit(self.nms.iou_threshold) {
            return Err(Error::Option("score and IoU thresholds must be between 0 and 1".to_owned()));
        }
        match self.input_size {
            Some((height, width)) if height.max(width) > MAX_INPUT_SIDE => Err(Error::Option(format!(
                "the sides of the network input must be at most {MAX_INPUT_SIDE} pixels, not {height}x{width}"
            ))),
            _ => Ok(()),
        }
    }
}
