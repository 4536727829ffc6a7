//! Writes a model file with random weights, to time an untrained network:
//! `cargo run --release -p picodet-detect --example untrained VARIANT FILE.safetensors`

use picodet_detect::{Model, graph_of};
use picodet_graph::{Initialiser, Tensor};
use picodet_weights::{Metadata, Storage};
use picodet_zoo::variant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, path] = arguments.as_slice() else { return Err("give a variant and a file".into()) };
    let variant = variant(name).ok_or_else(|| format!("no network is called {name}"))?;
    let graph = graph_of(&variant.architecture, variant.classes.len(), false);
    let mut noise = picodet_testing::Noise::new(1);
    let mut uniform = || noise.uniform(-1.0, 1.0);
    let mut value = |initialiser| match initialiser {
        Initialiser::Constant(value) => value,
        // A uniform distribution of the same deviation will do.
        Initialiser::Normal { std } => uniform() * std * 3.0f32.sqrt(),
        Initialiser::Uniform { limit } => uniform() * limit,
    };
    let tensor = |param: &picodet_graph::Param| {
        let data = (0..param.len()).map(|_| value(param.initialiser)).collect();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    let weights = graph.params.iter().map(tensor).collect();
    let metadata = Metadata {
        variant: variant.name.to_owned(),
        classes: variant.classes.iter().map(ToString::to_string).collect(),
        category_ids: variant.category_ids(),
        input_size: variant.input_size,
        mean: variant.mean,
        std: variant.std,
        resize: "cubic".to_owned(),
        strides: variant.architecture.strides(),
        origin: "random numbers".to_owned(),
        ..Metadata::default()
    };
    let model = Model { variant: *variant, graph, weights, metadata, quantisation: None };
    std::fs::write(path, model.to_bytes(Storage::F32))?;
    Ok(())
}
