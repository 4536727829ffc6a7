//! Settings of the quantisation.

/// How weights and ranges are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Ranges of the float network, weights rounded to the nearest integer.
    MinMax,
    /// Least squares towards the float result, rounding with error feedback, corrected means.
    #[default]
    ClosedForm,
}

/// How many scales a map has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scales {
    /// A scale and a zero point per channel.
    #[default]
    Channel,
    /// One symmetric scale, the same for maps that a concat joins: the reference's configuration (SPEC §11.1), which NPUs need.
    /// It loses far more; training is to win it back.
    Map,
}

/// Settings of [`crate::quantise()`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How weights and ranges are found.
    pub method: Method,
    /// How many scales a map has.
    pub scales: Scales,
    /// How much wider the ranges of maps with a scale per channel are than the values of the images, as a share. The largest values are
    /// those of the objects, and cutting off those of other images loses far more than coarser steps do.
    pub margin: f32,
    /// Weight of the float weights in the least squares, as a share of the mean variance of the inputs.
    pub regularisation: f64,
    /// How much more places count where the float network has a score of 1.
    pub emphasis: f32,
    /// Threads; 0 for one per core. The result does not depend on them.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let (method, scales) = (Method::ClosedForm, Scales::Channel);
        Self { method, scales, margin: 0.25, regularisation: 3e-3, emphasis: 20.0, threads: 0 }
    }
}

impl Options {
    /// Sets the method.
    #[must_use]
    pub fn with_method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// Sets how many scales a map has.
    #[must_use]
    pub fn with_scales(self, scales: Scales) -> Self {
        Self { scales, ..self }
    }

    /// Sets how much wider ranges are than the values of the images.
    #[must_use]
    pub fn with_margin(self, margin: f32) -> Self {
        Self { margin, ..self }
    }

    /// Sets the weight of the float weights in the least squares.
    #[must_use]
    pub fn with_regularisation(self, regularisation: f64) -> Self {
        Self { regularisation, ..self }
    }

    /// Sets how much more places count where the float network has a score of 1.
    #[must_use]
    pub fn with_emphasis(self, emphasis: f32) -> Self {
        Self { emphasis, ..self }
    }

    /// Sets the number of threads.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }
}
