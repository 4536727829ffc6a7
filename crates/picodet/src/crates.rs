//! The crates behind this facade, for uses that it does not cover.

#[cfg(feature = "data")]
pub use picodet_data as data;
#[cfg(feature = "detect")]
pub use picodet_detect as detect;
#[cfg(feature = "detect")]
pub use picodet_engine as engine;
#[cfg(feature = "eval")]
pub use picodet_eval as eval;
#[cfg(feature = "export")]
pub use picodet_export as export;
pub use picodet_graph as graph;
#[cfg(feature = "detect")]
pub use picodet_image as image;
pub use picodet_model as model;
#[cfg(feature = "train")]
pub use picodet_search as search;
#[cfg(feature = "train")]
pub use picodet_train as train;
pub use picodet_weights as weights;
pub use picodet_zoo as zoo;
