//! Options of a conversion.

use std::path::PathBuf;

/// Options of a conversion.
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// Class names in order; by default those of the variant or of a native model if the number of classes is the same, else
    /// `class_0`, `class_1`, ….
    pub classes: Option<Vec<String>>,
    /// Height and width of the network input in pixels; by default those of the variant or of a native model.
    pub input_size: Option<(usize, usize)>,
    /// Interpolation of the resize in training; by default that of a native model, else `cubic`.
    pub resize: Option<String>,
    /// Origin of the weights; by default that of a native model, else the name of the file.
    pub origin: Option<String>,
    /// Licence of the weights; by default that of a native model, else `unknown`.
    pub licence: Option<String>,
    /// The ncnn `.bin` file; by default the file next to the `.param` with the same name.
    pub bin: Option<PathBuf>,
}
