//! Plans a model's network with the settings of a detector.

use std::borrow::Cow;

use picodet_engine::{CpuEngine, CpuPlan, Precision, fastest_precision};
use picodet_graph::{Graph, Weights, pass};
use picodet_zoo::Head;

use crate::{Error, Model, Options};

/// Prepares the part of a model's network that detection needs, on the processor, in the precision of
/// [`precision_of`].
///
/// # Errors
/// [`Error::Option`] for a precision that the model or this processor does not have, [`Error::Plan`] when the engine refuses
/// the network or the input size.
pub fn prepare(model: &Model, options: &Options) -> Result<CpuPlan, Error> {
    let precision = precision_of(model, options)?;
    // Steps of a quantised network that are not computed in bytes are computed in f32.
    let floats = if precision == Precision::U8 { Precision::F32 } else { precision };
    let engine = engine_of(floats, options)?;
    let size = options.input_size.unwrap_or(model.metadata.input_size);
    Ok(match &model.quantisation {
        Some(quantisation) if precision == Precision::U8 => {
            let (graph, weights) = pruned(model, Cow::Borrowed(&model.weights));
            engine.prepare_quantised(&graph, &weights, quantisation, size)?
        }
        _ => {
            let (graph, weights) = network(model);
            engine.prepare(&graph, &weights, size)?
        }
    })
}

/// Returns the precision in which a model is computed: that of the options, else bytes ([`Precision::U8`]) for a quantised model,
/// and for others f32 or, if the options want it, the fastest one of the processor.
///
/// # Errors
/// [`Error::Option`] for bytes of a model that is not quantised, and for 16-bit floats of one that is.
pub fn precision_of(model: &Model, options: &Options) -> Result<Precision, Error> {
    let refused = |problem: String| Err(Error::Option(problem));
    match (options.precision, model.quantisation.is_some()) {
        (None, true) => Ok(Precision::U8),
        (None, false) => Ok(precision_of_floats(options)),
        (Some(Precision::U8), false) => {
            refused("the model is not quantised; `picodet quantise` writes one for int8".to_owned())
        }
        (Some(precision @ (Precision::Bf16 | Precision::F16)), true) => refused(format!(
            "the model is quantised: it is computed in int8, or in f32 for comparison, not in {precision}"
        )),
        (Some(precision), _) => Ok(precision),
    }
}

/// Returns the engine for the given options.
///
/// # Errors
/// When this processor has no instructions for the precision.
pub fn engine(options: &Options) -> Result<CpuEngine, Error> {
    engine_of(precision_of_floats(options), options)
}

/// The precision of a model that is not quantised.
fn precision_of_floats(options: &Options) -> Precision {
    let default = if options.fastest { fastest_precision() } else { Precision::F32 };
    options.precision.unwrap_or(default)
}

fn engine_of(precision: Precision, options: &Options) -> Result<CpuEngine, Error> {
    let engine = options.instructions.map_or_else(CpuEngine::new, crate::Instructions::engine);
    engine.with_threads(options.threads).with_precision(precision).ok_or_else(|| {
        let set = engine.isa();
        Error::Option(format!("there are no instructions for {precision} products in {set}; use f32"))
    })
}

/// Returns the part of a model that detection in floats needs.
pub fn network(model: &Model) -> (Graph, Cow<'_, Weights>) {
    pruned(model, model.float_weights())
}

/// Returns the part of the graph that detection needs, and the parameters of that part.
fn pruned<'a>(model: &Model, weights: Cow<'a, Weights>) -> (Graph, Cow<'a, Weights>) {
    let graph = pass::keep_outputs(&model.graph, Head::is_detection_output);
    // Usually every weight is needed; then megabytes of them are not copied.
    if graph.params.len() == model.graph.params.len() {
        return (graph, weights);
    }
    let weights = pass::keep_weights(&graph, &weights);
    (graph, Cow::Owned(weights))
}
