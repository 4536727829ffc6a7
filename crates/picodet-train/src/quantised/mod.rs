//! Training with quantisation: every step computes the network with the integers and scales that it will be run with.
//!
//! [`QuantisedNetwork`] is the network as a function of the parameters that training changes, [`QuantisedLearner`] computes
//! their gradients by the predictions of the float network, which need no labels.

mod learner;
mod network;
mod settings;
mod stored;

pub use learner::QuantisedLearner;
pub use network::QuantisedNetwork;
pub use settings::QuantisedTraining;
