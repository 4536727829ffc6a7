//! The options of a detector.

use picodet::{Limits, MAX_INPUT_SIDE, Nms, Precision};

use crate::pointer::reference;
use crate::status::Failure;

/// Precision of convolutions: 32-bit floating point.
pub const PICODET_PRECISION_F32: i32 = 0;
/// Precision of convolutions: factors in bf16, sums in f32; on processors with bf16 instructions.
pub const PICODET_PRECISION_BF16: i32 = 1;
/// Precision of convolutions: f16; on 64-bit ARM processors with arithmetic in it.
pub const PICODET_PRECISION_F16: i32 = 2;
/// Precision of convolutions: the fastest of these on this processor.
pub const PICODET_PRECISION_AUTO: i32 = 3;

/// Maximum number of threads of an inference.
const MAX_THREADS: u32 = 1024;
/// Maximum size of the options of a later version in bytes.
const MAX_SIZE: usize = 4096;

/// The options of a detector; `picodet_options_init` fills in the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of the struct in bytes, as the caller knows it.
    pub struct_size: usize,
    /// Minimum score of a detection, 0 to 1. Default: 0.4.
    pub score_threshold: f32,
    /// IoU above which a box is suppressed by a better one of its class, 0 to 1. Default: 0.6.
    pub iou_threshold: f32,
    /// Maximum number of detections per image, at least 1. Default: 100.
    pub max_detections: u32,
    /// Threads of each inference, 1 to 1024. Default: 1.
    pub threads: u32,
    /// Width of the network input in pixels, a multiple of 32; 0 for both sides: the model's own. Default: 0.
    pub input_width: u32,
    /// Height of the network input in pixels, a multiple of 32; 0 for both sides: the model's own. Default: 0.
    pub input_height: u32,
    /// One of PICODET_PRECISION_; a quantised model is computed in bytes, and BF16 and F16 are errors for it. Default:
    /// PICODET_PRECISION_F32.
    pub precision: i32,
    /// Must be 0.
    pub reserved: u32,
    /// Maximum number of pixels, width times height, of images that are decoded from files; larger JPEG pictures are decoded
    /// at a half, a quarter or an eighth of their sides. Default: 100 million.
    pub max_pixels: u64,
}

impl Options {
    /// Returns the defaults: those of the `picodet detect` command.
    pub(crate) fn new() -> Self {
        let nms = Nms::default();
        Self {
            struct_size: size_of::<Self>(),
            score_threshold: 0.4,
            iou_threshold: nms.iou_threshold,
            max_detections: nms.max_detections as u32,
            threads: 1,
            input_width: 0,
            input_height: 0,
            precision: PICODET_PRECISION_F32,
            reserved: 0,
            max_pixels: Limits::DEFAULT_PIXELS,
        }
    }

    /// Reads the options of a caller, the defaults for NULL.
    ///
    /// # Safety
    /// If `pointer` is neither NULL nor misaligned, it points to a struct whose first field is its size in bytes.
    pub(crate) unsafe fn read(pointer: *const Self) -> Result<Self, Failure> {
        if pointer.is_null() {
            return Ok(Self::new());
        }
        // SAFETY: every version of the struct begins with its size, by this function's contract.
        let size = *unsafe { reference(pointer.cast::<usize>(), "options") }?;
        let wrong =
            |expected| Failure::Value { name: "options.struct_size", value: size.to_string(), expected };
        if !(size_of::<Self>()..=MAX_SIZE).contains(&size) {
            return Err(wrong("the value of picodet_options_init"));
        }
        let extra = size - size_of::<Self>();
        // SAFETY: the struct has `size` bytes by this function's contract, of which `extra` follow those known here.
        let extra = unsafe { std::slice::from_raw_parts(pointer.add(1).cast::<u8>(), extra) };
        if extra.iter().any(|&byte| byte != 0) {
            return Err(wrong("no larger one: the options are of a later version than the library"));
        }
        // SAFETY: the struct has at least the size of `Self`, whose fields are numbers, valid for all bytes.
        unsafe { reference(pointer, "options") }.copied()
    }

    /// Checks the values and converts them.
    pub(crate) fn to_rust(self) -> Result<picodet::Options, Failure> {
        let wrong = |name, value: String, expected| Err(Failure::Value { name, value, expected });
        let unit = 0.0..=1.0;
        if !unit.contains(&self.score_threshold) {
            return wrong("options.score_threshold", self.score_threshold.to_string(), "0 to 1");
        }
        if !unit.contains(&self.iou_threshold) {
            return wrong("options.iou_threshold", self.iou_threshold.to_string(), "0 to 1");
        }
        if self.max_detections == 0 {
            return wrong("options.max_detections", "0".to_owned(), "at least 1");
        }
        if !(1..=MAX_THREADS).contains(&self.threads) {
            return wrong("options.threads", self.threads.to_string(), "1 to 1024");
        }
        if self.max_pixels == 0 {
            return wrong("options.max_pixels", "0".to_owned(), "at least 1");
        }
        if self.reserved != 0 {
            return wrong("options.reserved", self.reserved.to_string(), "0");
        }
        let options = picodet::Options::new();
        let options = match self.precision {
            // The model's own, which is int8 for a quantised one.
            PICODET_PRECISION_F32 => options,
            PICODET_PRECISION_BF16 => options.with_precision(Precision::Bf16),
            PICODET_PRECISION_F16 => options.with_precision(Precision::F16),
            PICODET_PRECISION_AUTO => options.with_fastest_precision(),
            other => return wrong("options.precision", other.to_string(), "one of PICODET_PRECISION_"),
        };
        let input_size = match (self.input_height as usize, self.input_width as usize) {
            (0, 0) => None,
            (height, width) => {
                let is_side = |side: usize| (32..=MAX_INPUT_SIDE).contains(&side) && side.is_multiple_of(32);
                if !is_side(height) || !is_side(width) {
                    let expected = "multiples of 32 from 32 to 4096, or 0 for both";
                    return wrong(
                        "options.input_width x input_height",
                        format!("{width} x {height}"),
                        expected,
                    );
                }
                Some((height, width))
            }
        };
        let nms = Nms {
            score_threshold: self.score_threshold,
            iou_threshold: self.iou_threshold,
            max_detections: self.max_detections as usize,
            ..Nms::default()
        };
        Ok(options
            .with_nms(nms)
            .with_threads(self.threads as usize)
            .with_input_size(input_size)
            .with_limits(Limits::new(self.max_pixels)))
    }
}
