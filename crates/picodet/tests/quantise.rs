//! A real network in 8 bits: from an image to a file and back, judged by its detections.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use picodet::crates::detect::precision_of;
use picodet::crates::engine::fastest_precision;
use picodet::crates::graph::{Tensor4, Weights};
use picodet::quantise::{
    Gate, Judge, JudgeError, Latencies, Method, Miss, MixedError, Options, Scales, Verdict, mixed,
    network_input, quantise, sensitivity, with_floats,
};
use picodet::{Detector, Limits, Model, Options as DetectorOptions, Precision, Storage};

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png"))
}

/// The model for pages at half of its resolution.
fn model() -> Model {
    let mut model = picodet::layout_model().expect("the embedded model");
    model.metadata.input_size = (416, 320);
    model
}

/// The page, and the page in mirror image.
fn inputs(model: &Model) -> Vec<Tensor4> {
    let input = network_input(model, &picodet::open_image(page()).expect("the page"));
    let width = input.shape[3];
    let mut mirrored = input.clone();
    mirrored.data.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    vec![input, mirrored]
}

fn run(model: &Model, inputs: &[Tensor4], options: &Options) -> Model {
    let quantised = quantise(model, inputs, options, &mut |_, _| ControlFlow::Continue(()));
    quantised.expect("a network that can be quantised").0
}

fn quantised() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let model = model();
        run(&model, &inputs(&model), &Options::default())
    })
}

fn verdict(of: &Model) -> Verdict {
    let files = [page()];
    let judge = Judge::new(&model(), &files, None, Limits::default(), 2).expect("objects on the page");
    judge.verdict(of).expect("detections")
}

#[test]
fn detections_are_those_of_the_float_model_and_a_planted_fault_is_found() {
    let sound = verdict(quantised());
    let latencies = Latencies::measure(&model(), quantised(), Duration::ZERO).expect("both models run");
    // One image gives a coarse fidelity, and a test no speed.
    let gate = Gate::default().with_min_fidelity(85.0).with_min_gain(None);
    assert_eq!(gate.misses(&sound, &latencies), []);
    let names: Vec<&str> = latencies.milliseconds().iter().map(|(name, _)| *name).collect();
    assert!(names.first() == Some(&"f32") && names.last() == Some(&"int8"), "{names:?}");
    let mut faulty = quantised().clone();
    let quantisation = faulty.quantisation.as_mut().expect("a quantised model");
    let stem = |(name, _): &(&String, &mut _)| name.starts_with("backbone.stem");
    let (name, map) = quantisation.maps.iter_mut().find(stem).expect("the map of the stem");
    let largest = map.scale.iter_mut().max_by(|a, b| a.total_cmp(b)).expect("channels");
    *largest *= 8.0;
    let name = name.clone();
    let faulty = verdict(&faulty);
    let misses = gate.misses(&faulty, &latencies);
    assert!(
        matches!(misses[..], [Miss::Fidelity { .. }]),
        "the scale of {name} times 8: {faulty:?} after {sound:?}"
    );
}

#[test]
fn steps_in_f32_lose_nothing_and_files_keep_them() {
    let (float, bytes, files) = (model(), quantised(), [page()]);
    let judge = Judge::new(&float, &files, None, Limits::default(), 2).expect("objects on the page");
    let fidelity = |model: &Model| judge.verdict(model).expect("detections").fidelity;
    let steps = sensitivity(&judge, &float, bytes, &mut |_, _| ControlFlow::Continue(())).expect("steps");
    let all: BTreeSet<String> = steps.iter().flat_map(|step| step.convolutions.clone()).collect();
    let convolutions = &bytes.quantisation.as_ref().expect("a quantised model").convolutions;
    assert!(all.iter().eq(convolutions.keys()), "each convolution is in one step");
    assert!(steps.iter().any(|step| step.convolutions.len() == 2), "depthwise and pointwise are one step");
    let floats = with_floats(&float, bytes, &all).expect("a quantised model");
    let (all_floats, all_bytes) = (fidelity(&floats), fidelity(bytes));
    assert!(all_floats > 97.0 && all_floats > all_bytes, "{all_floats} in f32, {all_bytes} in bytes");

    // With this much time every step that does damage is in f32.
    let some = mixed(&float, bytes, &steps, Duration::from_secs(1)).expect("a quantised model");
    let damaging = steps.iter().filter(|step| step.damage > 0.02);
    let damaging: BTreeSet<String> = damaging.flat_map(|step| step.convolutions.clone()).collect();
    let record = some.metadata.quantisation.as_ref().expect("a record");
    assert!(!damaging.is_empty() && record.floats == damaging, "{:?} are not {damaging:?}", record.floats);
    let read = Model::from_bytes(&some.to_bytes(Storage::F32)).expect("its own file");
    assert_eq!(read.metadata, some.metadata);
    assert!(read.quantisation == some.quantisation, "integers, scales or zero points differ");
    let damaged = refused_without_floats(&some);
    assert!(damaged.contains("has no 8-bit weights"), "{damaged}");
    assert!(matches!(with_floats(&float, &float, &all), Err(MixedError::NotQuantised)));
}

/// The error of a mixed model whose record does not name the steps in f32.
fn refused_without_floats(model: &Model) -> String {
    let mut faulty = model.clone();
    faulty.metadata.quantisation.as_mut().expect("a record").floats.clear();
    let read = Model::from_bytes(&faulty.to_bytes(Storage::F32));
    read.map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
}

#[test]
fn files_keep_every_integer() {
    let model = quantised();
    let bytes = model.to_bytes(Storage::F32);
    let read = Model::from_bytes(&bytes).expect("its own file");
    assert!(read.quantisation == model.quantisation, "integers, scales or zero points differ");
    assert_eq!(read.metadata, model.metadata);
    let near = |name: &String| {
        let pairs = read.weights[name].data.iter().zip(&model.weights[name].data);
        pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1e-3))
    };
    assert!(model.weights.keys().all(near), "weights differ");
    let float = float_size(&model.weights);
    assert!(bytes.len() * 10 < float * 4, "{} of {float} bytes", bytes.len());
}

#[test]
fn a_model_without_the_numbers_of_its_integers_detects_the_same() {
    let bytes = quantised().to_bytes(Storage::F32);
    let whole = Model::from_bytes(&bytes).expect("its own file");
    let integers = Model::integers_from_bytes(&bytes).expect("its own file");
    let (left, all) = (float_size(&integers.weights), float_size(&whole.weights));
    assert!(left * 5 < all, "{left} of {all} bytes");
    assert!(*integers.float_weights() == whole.weights, "computed weights differ");
    assert!(integers.to_bytes(Storage::F32) == bytes, "files differ");
    for precision in [Precision::U8, Precision::F32] {
        let options = DetectorOptions::new().with_precision(Some(precision));
        let [expected, found] = [&whole, &integers].map(|model| {
            let detector = Detector::new(model, &options).expect("a sound model");
            detector.detect(page()).expect("the page")
        });
        assert!(!expected.is_empty() && found == expected, "{precision:?}: {found:?}");
    }
}

#[test]
fn the_fastest_precision_is_that_of_the_integers_or_of_the_processor() {
    let options = DetectorOptions::new().with_precision(Some(Precision::F32)).with_fastest_precision();
    let precision = |model: &Model| precision_of(model, &options).expect("a precision of this processor");
    assert_eq!(precision(quantised()), Precision::U8);
    assert_eq!(precision(&model()), fastest_precision());
    let detector = Detector::new(&model(), &options).expect("a sound model");
    assert!(!detector.detect(page()).expect("the page").is_empty());
    let f32 = options.with_precision(Some(Precision::F32));
    assert_eq!(precision_of(quantised(), &f32).ok(), Some(Precision::F32));
}

fn float_size(weights: &Weights) -> usize {
    weights.values().map(|tensor| 4 * tensor.data.len()).sum()
}

#[test]
fn one_symmetric_scale_per_map_survives_the_file() {
    let model = model();
    let inputs = &inputs(&model)[..1];
    for method in [Method::MinMax, Method::ClosedForm] {
        let options = Options::default().with_scales(Scales::Map).with_method(method);
        let quantised = run(&model, inputs, &options);
        let integers = quantised.quantisation.as_ref().expect("a quantised model");
        assert!(integers.has_symmetric_maps(&quantised.graph), "{method:?}");
        assert!(integers.maps.len() > 30, "{method:?}: {}", integers.maps.len());
        let read = Model::from_bytes(&quantised.to_bytes(Storage::F32)).expect("its own file");
        assert!(read.quantisation == quantised.quantisation, "{method:?}");
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let model = model();
    let inputs = &inputs(&model)[..1];
    let quantised = |threads| run(&model, inputs, &Options::default().with_threads(threads)).quantisation;
    assert_eq!(quantised(1), quantised(3));
}

#[test]
fn unfit_models_and_images_are_refused() {
    let refused = |model: &Model, inputs: &[Tensor4]| {
        let method = Options::default().with_method(Method::MinMax);
        let result = quantise(model, inputs, &method, &mut |_, _| ControlFlow::Continue(()));
        result.map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
    };
    let inputs = inputs(&model());
    assert!(refused(quantised(), &inputs).contains("quantised already"));
    assert!(refused(&model(), &[]).contains("no images"));
    let other = Tensor4::zeros([1, 3, 32, 32]);
    assert!(refused(&model(), &[inputs[0].clone(), other]).contains("[1, 3, 32, 32]"));
    let mut damaged = model();
    let (name, tensor) = damaged.weights.iter_mut().next().expect("weights");
    tensor.data[0] = f32::NAN;
    let name = name.clone();
    let error = refused(&damaged, &inputs);
    assert!(error.contains("NaN") && error.contains(&name), "{error}");

    let folder = tempfile::tempdir().expect("a folder");
    let grey = picodet::Image::filled(64, 64, [128; 3]);
    let nothing = [folder.path().join("grey.png")];
    std::fs::write(&nothing[0], picodet::crates::image::encode_png(&grey)).expect("a file");
    let judge = Judge::new(&model(), &nothing, None, Limits::default(), 1);
    assert!(matches!(judge, Err(JudgeError::NoObjects { images: 1 })), "{judge:?}");
}

#[test]
fn hostile_files_are_refused_by_name() {
    let bytes = quantised().to_bytes(Storage::F32);
    let refused = |change: &dyn Fn(&mut Model)| {
        let mut model = quantised().clone();
        change(&mut model);
        let read = Model::from_bytes(&model.to_bytes(Storage::F32));
        read.map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
    };
    let missing = refused(&|model| {
        model.quantisation.as_mut().expect("quantised").maps.pop_first();
    });
    assert!(missing.contains("which has no scales"), "{missing}");
    let negative = refused(&|model| {
        let maps = &mut model.quantisation.as_mut().expect("quantised").maps;
        maps.values_mut().next().expect("maps").scale[0] = -1.0;
    });
    assert!(negative.contains("not positive"), "{negative}");
    let short = refused(&|model| {
        let maps = &mut model.quantisation.as_mut().expect("quantised").maps;
        maps.values_mut().next().expect("maps").zero.pop();
    });
    assert!(short.contains("zero points U8 of one shape"), "{short}");
    let unfolded = refused(&|model| model.metadata.folded = false);
    assert!(unfolded.contains("is missing"), "{unfolded}");
    for length in [bytes.len() - 1, bytes.len() / 2, 100, 0] {
        assert!(Model::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
}
