//! Layers around the convolutions of an exported network: changed ones behind the head are refused, those in front of the
//! first convolution are reported.

use picodet_model::{ConvertOptions, convert, convert_with_notes};
use picodet_testing::Cases;
use picodet_zoo::variant;

mod common;
#[path = "common/paddle.rs"]
#[allow(dead_code)]
mod paddle;

use common::weights;
use paddle::{Attribute, Operation, json_text, operations, parameters, protocol_buffer};

/// The notes of a conversion of a changed network, or its error, in both forms of a Paddle program.
fn converted(of: &str, change: impl Fn(&mut Vec<Operation>)) -> [Result<Vec<String>, String>; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let variant = variant(of).expect("a variant");
    let graph = variant.architecture.graph(variant.classes.len());
    std::fs::write(folder.path().join("m.pdiparams"), parameters(&weights(&graph))).expect("a file");
    let mut operations = operations(&graph);
    change(&mut operations);
    [("m.pdmodel", protocol_buffer(&graph, &operations)), ("m.json", json_text(&graph, &operations))].map(
        |(name, program)| {
            let path = folder.path().join(name);
            std::fs::write(&path, program).expect("a file");
            let found = convert_with_notes(&path, variant, &ConvertOptions::default());
            found.map(|(_, notes)| notes).map_err(|error| error.to_string())
        },
    )
}

/// Changes the last operation for which `change` returns true.
fn last(operations: &mut [Operation], change: impl FnMut(&mut Operation) -> bool) {
    assert!(operations.iter_mut().rev().any(change), "no operation is changed");
}

fn becomes(kind: &str, other: &'static str) -> impl FnMut(&mut Operation) -> bool {
    move |operation| {
        let is_it = operation.kinds[1] == kind;
        if is_it {
            operation.kinds = [other; 2];
        }
        is_it
    }
}

fn is_split_of_prediction(operation: &mut Operation) -> bool {
    operation.list("sections").is_some_and(|sizes| sizes[..] == [80, 32])
}

#[test]
fn changed_layers_of_the_head_are_refused() {
    type Change = fn(&mut Vec<Operation>);
    let changes: [(&str, &str, &str, Change); 8] = [
        ("no root", "v2_xs_320", "without a square root of the product", |all| {
            last(all, becomes("sqrt", "assign"))
        }),
        ("sum of scores", "v2_xs_320", "adds the scores of classes and alignment", |all| {
            last(all, |operation| {
                let is_it = operation.kinds[1] == "multiply";
                if is_it {
                    operation.kinds = ["elementwise_add", "add"];
                }
                is_it
            });
        }),
        ("no sigmoid", "v2_xs_320", "without a sigmoid of both", |all| {
            last(all, becomes("sigmoid", "assign"))
        }),
        ("softmax of scores", "v2_xs_320", "is a softmax of channels that are class logits", |all| {
            // Of the last level the second sigmoid from the end is that of the classes or of the alignment.
            for operation in all.iter_mut().rev().filter(|operation| operation.kinds[1] == "sigmoid").take(2)
            {
                operation.kinds = ["softmax"; 2];
            }
        }),
        ("softmax of classes", "legacy_s_320", "is a softmax of channels that are class logits", |all| {
            last(all, becomes("sigmoid", "softmax"));
        }),
        (
            "boxes before classes",
            "legacy_s_320",
            "where the network has 80 class logits before its distances",
            |all| {
                last(all, |operation| {
                    let is_it = is_split_of_prediction(operation);
                    if is_it {
                        operation.list("sections").expect("sizes").reverse();
                        operation.outputs.reverse();
                    }
                    is_it
                });
            },
        ),
        ("another part", "legacy_s_320", "with 1 class logits and 32 box distances", |all| {
            last(all, |operation| {
                let is_it = is_split_of_prediction(operation);
                if is_it {
                    operation.list("sections").expect("sizes").copy_from_slice(&[79, 33]);
                }
                is_it
            });
        }),
        ("sigmoid of boxes", "legacy_s_320", "is a sigmoid of channels that are box distances", |all| {
            last(all, |operation| {
                let is_it = operation.kinds[1] == "sigmoid";
                if is_it {
                    operation.inputs[0].1 += ".after";
                }
                is_it
            });
        }),
    ];
    let mut cases = Cases::new();
    for of in ["v2_xs_320", "legacy_s_320", "npu_s_416"] {
        cases.equal(of, converted(of, |_| {}), [Ok(Vec::new()), Ok(Vec::new())]);
    }
    for (name, of, expected, change) in changes {
        for found in converted(of, change) {
            let is_refused = found.as_ref().is_err_and(|error| error.contains(expected));
            cases.check(format!("{name}: {found:?}"), is_refused);
        }
    }
    cases.finish();
}

/// A file that ends at the maps of the head, with logits in place of scores, is sound.
#[test]
fn absent_layers_of_the_head_are_accepted() {
    let mut cases = Cases::new();
    for of in ["v2_xs_320", "legacy_s_320"] {
        let without = |all: &mut Vec<Operation>| {
            let end = all.iter().rposition(|operation| operation.kinds[1].contains("conv2d")).expect("one");
            let is_tail = |kind: &str| ["sqrt", "sigmoid", "multiply", "scale", "split"].contains(&kind);
            let mut index = 0;
            all.retain(|operation| {
                index += 1;
                index <= end || !is_tail(operation.kinds[1])
            });
        };
        for found in converted(of, without) {
            cases.check(format!("{of}: {found:?}"), found.is_ok());
        }
    }
    cases.finish();
}

#[test]
fn layers_in_front_of_the_first_convolution_are_reported() {
    let insert = |all: &mut Vec<Operation>, operations: Vec<Operation>| {
        let at = all.iter().position(|operation| operation.kinds[1] == "conv2d").expect("a convolution");
        let output = operations.last().expect("an operation").outputs[0].clone();
        all[at].inputs[0].1 = output;
        all.splice(at..at, operations);
    };
    let step = |kinds, inputs: &[&str], output: &str| {
        let inputs: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        Operation::new(kinds, &inputs, output.to_owned())
    };
    let mut cases = Cases::new();
    let normalised = |all: &mut Vec<Operation>| {
        let scale = step(["scale"; 2], &["v0"], "scaled").with("scale", Attribute::Floats(vec![0.5]));
        insert(all, vec![scale]);
    };
    for found in converted("legacy_s_320", normalised) {
        let is_noted = found.as_ref().is_ok_and(|notes| {
            notes.len() == 1
                && notes[0].starts_with("the file changes the values of the image in its layers `")
        });
        cases.check(format!("normalisation: {found:?}"), is_noted);
    }
    let swapped = |all: &mut Vec<Operation>| {
        let mut split =
            step(["split"; 2], &["v0"], "r").with_operand("sections", &[1, 1, 1]).with_operand("axis", &[1]);
        split.outputs = ["r", "g", "b"].map(ToOwned::to_owned).to_vec();
        let concat = step(["concat"; 2], &["b", "g", "r"], "swapped").with_operand("axis", &[1]);
        insert(all, vec![split, concat]);
    };
    for found in converted("legacy_s_320", swapped) {
        let expected = "reads the colours of the image in another order than red, green, blue";
        let is_refused = found.as_ref().is_err_and(|error| {
            error.contains(expected) && error.ends_with("without the layer that reorders them")
        });
        cases.check(format!("swapped colours: {found:?}"), is_refused);
    }
    cases.finish();
}

/// The files of other converters have sound heads.
#[test]
fn the_heads_of_published_files_are_accepted() {
    let files = [
        ("legacy_s_416", "data/weights/picodet_s_416_esnet_legacy.ncnn.param"),
        ("v2_xs_320", "data/weights/picodet_xs_320_lcnet_postprocessed.onnx"),
    ];
    for (name, path) in files {
        let Some(path) = picodet_testing::shared_path(path) else { return };
        let found = convert(&path, variant(name).expect("a variant"), &ConvertOptions::default());
        assert!(found.is_ok(), "{name}: {:?}", found.err().map(|error| error.to_string()));
    }
}

/// The same files with another layer behind the head.
#[test]
fn changed_heads_of_published_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let problem = |name: &str, of: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let found = convert(&path, variant(of).expect("a variant"), &ConvertOptions::default());
        found.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let Some(mut onnx) = picodet_testing::shared("data/weights/picodet_xs_320_lcnet_postprocessed.onnx")
    else {
        return;
    };
    let operator = b"\x22\x04Sqrt";
    let at = onnx.windows(operator.len()).position(|bytes| bytes == operator).expect("a square root");
    onnx[at + 2..at + 6].copy_from_slice(b"Ceil");
    let found = problem("m.onnx", "v2_xs_320", &onnx);
    assert!(found.contains("without a square root of the product"), "{found}");
    let param = picodet_testing::shared("data/weights/picodet_s_416_esnet_legacy.ncnn.param");
    let bin = picodet_testing::shared("data/weights/picodet_s_416_esnet_legacy.ncnn.bin");
    let (Some(param), Some(bin)) = (param, bin) else { return };
    std::fs::write(folder.path().join("m.bin"), bin).expect("a file");
    let text = String::from_utf8(param).expect("text");
    let found = problem("m.param", "legacy_s_416", text.replacen("\nSigmoid ", "\nSoftmax ", 1).as_bytes());
    assert!(found.contains("is a softmax of channels that are class logits"), "{found}");
}
