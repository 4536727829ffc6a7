//! Copies the values of a sub-network out of a supernet and adds them back.

use super::error::{NotASlice, SliceRule};
use crate::{Tensor, Weights};

/// For each parameter of a sub-network, its values in the supernet.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceMap {
    /// In the order of the sub-network's parameters.
    pub params: Vec<ParamSlice>,
}

/// The values of a parameter of the supernet that a sub-network keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSlice {
    /// Name of the parameter in the sub-network.
    name: String,
    /// Name of the parameter in the supernet.
    source: String,
    /// Shape in the supernet.
    source_shape: Vec<usize>,
    /// Shape in the sub-network.
    shape: Vec<usize>,
    /// Starts and lengths of the runs of values in the supernet's tensor, in the order of the sub-network's.
    runs: Vec<(usize, usize)>,
}

impl ParamSlice {
    pub(super) fn new(name: &str, source: &str, source_shape: &[usize], axes: &[Vec<usize>]) -> Self {
        // From the innermost axis outwards: the runs of one value of the axis, and its number of values.
        let mut runs: Vec<(usize, usize)> = vec![(0, 1)];
        let mut size = 1;
        for (axis, &extent) in axes.iter().zip(source_shape).rev() {
            let mut outer: Vec<(usize, usize)> = Vec::with_capacity(runs.len());
            for &index in axis {
                for &(start, len) in &runs {
                    let at = index * size + start;
                    match outer.last_mut() {
                        Some((start, total)) if *start + *total == at => *total += len,
                        _ => outer.push((at, len)),
                    }
                }
            }
            runs = outer;
            size *= extent;
        }
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            source_shape: source_shape.to_vec(),
            shape: axes.iter().map(Vec::len).collect(),
            runs,
        }
    }

    /// Name of the parameter in the sub-network.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the parameter in the supernet.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Appends the kept values of the supernet's parameter to `values`.
    ///
    /// # Panics
    /// If `source` has fewer values than the parameter.
    pub fn gather(&self, source: &[f32], values: &mut Vec<f32>) {
        self.runs.iter().for_each(|&(start, len)| values.extend_from_slice(&source[start..start + len]));
    }

    /// Adds the values of the sub-network's parameter to those of the supernet.
    ///
    /// # Panics
    /// If one of them has fewer values than the parameter.
    pub fn scatter_add(&self, values: &[f32], target: &mut [f32]) {
        let mut at = 0;
        for &(start, len) in &self.runs {
            let (own, kept) = (&values[at..at + len], &mut target[start..start + len]);
            kept.iter_mut().zip(own).for_each(|(kept, own)| *kept += own);
            at += len;
        }
    }
}

impl SliceMap {
    /// Returns the weights of the sub-network.
    ///
    /// # Errors
    /// [`NotASlice`] when `weights` lacks a parameter of the supernet, or has one of another shape.
    pub fn gather(&self, weights: &Weights) -> Result<Weights, NotASlice> {
        let gather = |param: &ParamSlice| {
            let source = weights.get(&param.source).filter(|tensor| tensor.shape == param.source_shape);
            let source = source.ok_or_else(|| missing(&param.source))?;
            let mut data = Vec::with_capacity(param.shape.iter().product());
            param.gather(&source.data, &mut data);
            Ok((param.name.clone(), Tensor { shape: param.shape.clone(), data }))
        };
        self.params.iter().map(gather).collect()
    }

    /// Adds the weights of the sub-network, such as gradients, to those of the supernet.
    ///
    /// # Errors
    /// [`NotASlice`] when one of them lacks a parameter, or has one of another shape; then some parameters may
    /// have been added.
    pub fn scatter_add(&self, supernet: &mut Weights, sub: &Weights) -> Result<(), NotASlice> {
        for param in &self.params {
            let own = sub.get(&param.name).filter(|tensor| tensor.shape == param.shape);
            let own = own.ok_or_else(|| missing(&param.name))?;
            let target = supernet.get_mut(&param.source).filter(|tensor| tensor.shape == param.source_shape);
            let target = target.ok_or_else(|| missing(&param.source))?;
            param.scatter_add(&own.data, &mut target.data);
        }
        Ok(())
    }
}

fn missing(name: &str) -> NotASlice {
    NotASlice::new(name, SliceRule::Weights { name: name.to_owned() })
}
