//! Training with quantisation: every step computes the network with the integers and scales that it will be run with.
//!
//! [`QuantisedNetwork`] is the network as a function of the parameters that training changes, [`QuantisedLearner`] computes
//! their gradients, and [`distil`] is the loss against the float network, which needs no labels.

mod distillation;
mod learner;
mod network;
mod settings;
mod stored;

pub use distillation::distil;
pub use learner::QuantisedLearner;
pub use network::QuantisedNetwork;
pub use settings::QuantisedTraining;
