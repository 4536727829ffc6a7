//! Truncated, damaged and hostile Paddle programs: a typed error or a network, without panic and in bounded time.

#[path = "forms/paddle.rs"]
#[allow(dead_code)]
mod forms;

use std::time::{Duration, Instant};

use forms::{json, parameters, program, slot, variable, weight};
use picodet_format::protobuf::Message;
use picodet_weights::{ForeignNetwork, align, compare_channels, paddle, sites_of_foreign};
use proptest::prelude::*;

/// Longest time of a hostile file; most need a hundredth of it.
const LIMIT: Duration = Duration::from_secs(20);

/// Follows a network as a conversion does.
fn follow(network: &ForeignNetwork) {
    let sites = sites_of_foreign(network);
    let _ = align(&sites, &sites);
    let graph = picodet_zoo::variant("v2_xs_320").expect("a variant").architecture.graph(1);
    let _ = compare_channels(&graph, network, &(0..sites.len()).collect::<Vec<_>>());
}

fn read(program: &[u8], parameters: &[u8]) {
    match paddle::read(program, parameters) {
        Ok(network) => follow(&network),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
}

/// A JSON program of these operations, without parameters.
fn with(operations: &[String]) -> String {
    format!(
        r##"{{"base_code":{{"magic":"pir","version":1}},"program":{{"regions":[{{"blocks":[{{"ops":[{}]}}]}}]}}}}"##,
        operations.join(",")
    )
}

#[test]
fn every_prefix_of_json_is_refused() {
    let (text, stream) = (json(), parameters(&weight()));
    let accepted = (0..text.len()).filter(|&cut| paddle::read(&text.as_bytes()[..cut], &stream).is_ok());
    assert_eq!(accepted.count(), 0);
}

/// Lists of many tensors that many operations read.
#[test]
fn lists_of_tensors_do_not_multiply() {
    const COUNT: usize = 20_000;
    let started = Instant::now();
    let inputs = vec![r#"{"%":1}"#; COUNT].join(",");
    let constant = r##"{"#":"1.full_int_array","A":[{"N":"value","AT":{"#":"0.a_array","D":[]}}],"I":[],"O":[{"%":1}]}"##;
    let list = format!(r##"{{"#":"0.combine","A":[],"I":[{inputs}],"O":[{{"%":2}}]}}"##);
    let reader = |kind: &str, inputs: &str| {
        (3..COUNT + 3)
            .map(|output| format!(r##"{{"#":"1.{kind}","A":[],"I":[{inputs}],"O":[{{"%":{output}}}]}}"##))
            .collect::<Vec<String>>()
    };
    let file = |readers: Vec<String>| with(&[vec![constant.to_owned(), list.clone()], readers].concat());
    for (kind, inputs) in [("concat", r#"{"%":2},{"%":1}"#), ("stack", r#"{"%":2}"#)] {
        let error =
            paddle::read(file(reader(kind, inputs)).as_bytes(), &[]).map(drop).unwrap_err().to_string();
        assert!(error.contains("its list of tensors is too long"), "{error}");
    }
    assert!(paddle::read(file(reader("reshape", r#"{"%":1},{"%":2}"#)).as_bytes(), &[]).is_ok());
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
}

#[test]
fn deep_json_and_many_operations_are_refused() {
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let deep = [b"{\"a\":", &deep[..], b"}"].concat();
    let error = paddle::read(&deep, &[]).map(drop).unwrap_err().to_string();
    assert!(error.contains("recursion limit"), "{error}");
    let operations = vec![r##"{"#":"1.relu"}"##.to_owned(); 100_001];
    let error = paddle::read(with(&operations).as_bytes(), &[]).map(drop).unwrap_err().to_string();
    assert!(error.contains("more than 100000 operations"), "{error}");
}

/// Attributes with extreme numbers, in operations whose inputs are the image.
#[test]
fn extreme_numbers_are_followed_without_panic() {
    let numbers = ["-9223372036854775808", "9223372036854775807", "1e308", "-1", "0", "0.5", "4294967297"];
    let kinds = [
        "concat",
        "split",
        "split_with_num",
        "slice",
        "strided_slice",
        "reshape",
        "transpose",
        "squeeze",
        "unsqueeze",
        "flatten",
        "shuffle_channel",
        "nearest_interp",
        "bilinear_interp",
        "pool2d",
        "mean",
        "hardswish",
        "leaky_relu",
    ];
    let names = [
        "axes",
        "starts",
        "ends",
        "strides",
        "shape",
        "perm",
        "axis",
        "start_axis",
        "stop_axis",
        "group",
        "scale",
        "ksize",
        "paddings",
        "dim",
        "keepdim",
        "sections",
        "index",
        "threshold",
        "offset",
    ];
    for number in numbers {
        for repeats in [1, 4, 5] {
            let value = vec![number; repeats].join(",");
            let attributes = names
                .map(|name| format!(r##"{{"N":"{name}","AT":{{"#":"0.a_array","D":[{value}]}}}}"##))
                .join(",");
            let mut operations = vec![
                r##"{"#":"1.data","A":[],"I":[],"O":[{"%":1}]}"##.to_owned(),
                format!(
                    r##"{{"#":"1.full_int_array","A":[{{"N":"value","AT":{{"#":"0.a_array","D":[{value}]}}}}],"I":[],"O":[{{"%":2}}]}}"##
                ),
            ];
            for (index, kind) in kinds.iter().enumerate() {
                let output = 3 + 2 * index;
                for (at, inputs) in
                    [r#"{"%":1}"#, r#"{"%":1},{"%":2},{"%":2},{"%":2}"#].into_iter().enumerate()
                {
                    operations.push(format!(
                        r##"{{"#":"1.{kind}","A":[{attributes}],"I":[{inputs}],"O":[{{"%":{}}}]}}"##,
                        output + at
                    ));
                }
                for kind in ["split", "slice"] {
                    operations.push(format!(
                        r##"{{"#":"0.{kind}","A":[{attributes}],"I":[{{"%":{output}}}],"O":[{{"%":900}},{{"%":901}}]}}"##
                    ));
                }
            }
            let network = paddle::read(with(&operations).as_bytes(), &[]).expect("a readable program");
            follow(&network);
        }
    }
}

/// An activation that an optimiser has merged into a convolution is not lost.
#[test]
fn merged_activations_are_refused() {
    let convolution = |name: &str, attribute: Message| {
        let convolution = Message::default()
            .message(1, &slot("Input", "x"))
            .message(1, &slot("Filter", "c.w"))
            .message(2, &slot("Output", "y"))
            .text(3, "conv2d")
            .message(4, &attribute.text(1, name));
        let block = Message::default().message(3, &variable("c.w", 7, true)).message(4, &convolution);
        let file = Message::default().message(1, &block).into_bytes();
        paddle::read(&file, &weight()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(convolution("fuse_activation", Message::default().text(5, "")), Ok(()));
    assert_eq!(convolution("fuse_relu", Message::default().integer(10, 0)), Ok(()));
    for found in [
        convolution("fuse_activation", Message::default().text(5, "hard_swish")),
        convolution("fuse_relu", Message::default().integer(10, 1)),
    ] {
        assert!(
            found.as_ref().is_err_and(|error| error.contains("a fused or quantised convolution")),
            "{found:?}"
        );
    }
}

proptest! {
    #[test]
    fn flipped_and_truncated_programs_never_panic(
        is_json in any::<bool>(),
        in_parameters in any::<bool>(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let (mut program, mut stream) =
            (if is_json { json().into_bytes() } else { program() }, parameters(&weight()));
        let target = if in_parameters { &mut stream } else { &mut program };
        for (at, byte) in flips {
            let at = at.index(target.len());
            target[at] ^= byte;
        }
        read(&program, &stream);
        read(&program[..cut.index(program.len())], &stream);
        read(&program, &stream[..cut.index(stream.len())]);
    }
}
