//! Weights of other programs.

use std::path::Path;

use picodet_testing::{Cases, shared_path};

use super::{PHOTO, run};

#[test]
fn weights_are_read_by_their_contents() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (code, _, err) =
        run(folder, &["export", "--model", picodet::DEFAULT_MODEL, "--output", "right.onnx"]);
    assert_eq!(code, 0, "{err}");
    let convert = |source: &str| {
        let arguments =
            ["convert", source, "--variant", "legacy_s_416", "--origin", "o", "--output", "out.safetensors"];
        let (code, _, err) = run(folder, &arguments);
        (code, std::fs::read(folder.join("out.safetensors")).ok(), err)
    };
    let (code, expected, err) = convert("right.onnx");
    assert_eq!(code, 0, "{err}");
    for name in ["weights.pdparams", "weights.bin", "weights", "weights.safetensors", "weights.pb"] {
        std::fs::copy(folder.join("right.onnx"), folder.join(name)).expect("a copy");
        let (code, found, err) = convert(name);
        assert!(code == 0 && found == expected, "{name}: {err}");
    }
    std::fs::copy(PHOTO, folder.join("photo.onnx")).expect("a copy");
    let (code, _, err) = convert("photo.onnx");
    assert!(code == 2 && err.contains("photo.onnx: an image; it has no weights"), "{err}");
    // A network of one class, with the 80 of COCO.
    let arguments = ["convert", "right.onnx", "--variant", "pedestrian_s_320", "--output", "p.safetensors"];
    let (code, _, err) = run(folder, &arguments);
    assert!(code == 0 && err.contains("the weights have 80 classes, pedestrian_s_320 has 1"), "{err}");
}

#[test]
fn of_a_pair_of_files_the_damaged_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let Some(param) = shared_path("data/weights/picodet_s_416_esnet_legacy.ncnn.param") else { return };
    let Some(other) = shared_path("data/weights/picodet_s_320_esnet_legacy.ncnn.bin") else { return };
    std::fs::copy(&param, folder.join("m.param")).expect("a copy");
    let bin = std::fs::read(param.with_extension("bin")).expect("the weights");
    let convert = |weights: &[u8]| {
        std::fs::write(folder.join("w.bin"), weights).expect("a file");
        let arguments =
            ["convert", "m.param", "--bin", "w.bin", "--variant", "legacy_s_416", "-o", "out.safetensors"];
        let (code, _, err) = run(folder, &arguments);
        (code, err)
    };
    assert_eq!(convert(&bin).0, 0);
    assert_eq!(
        convert(&std::fs::read(other).expect("the weights")).0,
        0,
        "the network of another input size"
    );
    let mut cases = Cases::new();
    let shifted: Vec<u8> = bin[8..].to_vec();
    let longer = [&bin[..], &[0; 12]].concat();
    let mut with_nan = bin.clone();
    with_nan[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    let faults: [(&[u8], &str); 6] = [
        (&with_nan, "w.bin: `Conv_0` (`backbone.stem.conv.weight`) contains a value that is NaN or infinite"),
        (&bin[..bin.len() / 2], "w.bin: tensor `"),
        (&shifted, "w.bin: tensor `"),
        (&longer, "12 bytes follow the weights"),
        (b"<!DOCTYPE html><html></html>", "w.bin: an HTML page"),
        (b"", "w.bin: an empty file"),
    ];
    for (weights, expected) in faults {
        let (code, err) = convert(weights);
        cases.check(
            format!("{expected}: {err}"),
            code == 2 && err.contains(expected) && !err.contains("m.param"),
        );
    }
    cases.finish();
}

#[test]
fn other_activations_and_incomplete_copies_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let Some(param) = shared_path("data/weights/picodet_s_416_esnet_legacy.ncnn.param") else { return };
    let text = std::fs::read_to_string(&param).expect("the network");
    let bin = std::fs::read(param.with_extension("bin")).expect("the weights");
    std::fs::write(folder.join("m.bin"), &bin).expect("a file");
    let convert = |text: &str, bin: &[u8], variant: &str| {
        std::fs::write(folder.join("m.param"), text).expect("a file");
        std::fs::write(folder.join("m.bin"), bin).expect("a file");
        let (code, _, err) =
            run(folder, &["convert", "m.param", "--variant", variant, "-o", "out.safetensors"]);
        (code, err)
    };
    assert_eq!(convert(&text, &bin, "legacy_s_416").0, 0);
    let (code, err) = convert(&text, &bin, "ablation_7_esnet_416");
    assert!(code == 2 && err.contains("its activations are 87 hard-swish, 13 ReLU"), "{err}");
    let (code, err) = convert(&text.replace("HardSwish ", "ReLU "), &bin, "legacy_s_416");
    assert!(code == 2 && err.contains("its activations are 100 ReLU, 13 hard sigmoid, those of"), "{err}");
    let zeros = |from: usize, to: usize| {
        let mut copy = bin.clone();
        copy[from..to].fill(0);
        convert(&text, &copy, "legacy_s_416")
    };
    for (from, to) in
        [(0, bin.len()), (bin.len() - 20_000, bin.len()), (bin.len() / 2, bin.len() / 2 + 500_000)]
    {
        let (code, err) = zeros(from, to);
        assert!(code == 2 && err.contains("as in an incomplete copy"), "{from} to {to}: {err}");
    }
}

/// Exports the default model as `m.onnx` and converts it to `m.safetensors`.
fn export(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let commands: [&[&str]; 2] = [
        &["export", "--model", picodet::DEFAULT_MODEL, "--output", "m.onnx"],
        &["convert", "m.onnx", "--variant", "legacy_s_416", "--output", "m.safetensors"],
    ];
    for command in commands {
        let (code, _, err) = run(folder, command);
        assert_eq!(code, 0, "{err}");
    }
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a file");
    (read("m.onnx"), read("m.safetensors"))
}

#[test]
fn cut_models_and_networks_with_other_layers_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (onnx, native) = export(folder);
    let mut cases = Cases::new();
    // In the values, and in the header.
    for cut in [native.len() - 1, 1000] {
        std::fs::write(folder.join("cut.safetensors"), &native[..cut]).expect("a file");
        for command in [&["info", "cut.safetensors"][..], &["detect", PHOTO, "--model", "cut.safetensors"]] {
            let (code, _, err) = run(folder, command);
            let expected = format!("cut.safetensors: the file has {cut} bytes, its header gives ");
            let is_named = err.contains(&expected) && err.contains("; it is cut: copy or download it again");
            cases.check(
                format!("{command:?}: {err}"),
                code == 2 && is_named && err.matches("; ").count() == 1,
            );
        }
    }
    // A type of layer of the same length.
    let at = onnx.windows(7).position(|bytes| bytes == b"MaxPool").expect("a pooling");
    let mut changed = onnx.clone();
    changed[at..at + 7].copy_from_slice(b"Softmax");
    std::fs::write(folder.join("changed.onnx"), &changed).expect("a file");
    let arguments = ["convert", "changed.onnx", "--variant", "legacy_s_416", "--output", "out.safetensors"];
    let (code, _, err) = run(folder, &arguments);
    cases.check(
        format!("Softmax: {err}"),
        code == 2 && err.contains("is of the type Softmax, which no PicoDet has"),
    );
    changed[at..at + 7].copy_from_slice(b"MaxPool");
    assert!(changed == onnx);
    // The sides of the window follow the name of their attribute: a field of packed or single integers.
    let name = b"kernel_shape";
    let found = changed[at..].windows(name.len()).position(|bytes| bytes == name);
    let at = at + found.expect("a window") + name.len();
    let sides: Vec<usize> = (at..at + 8).filter(|&index| changed[index] == 3).collect();
    sides.iter().for_each(|&index| changed[index] = 5);
    std::fs::write(folder.join("changed.onnx"), &changed).expect("a file");
    let (code, _, err) = run(folder, &arguments);
    cases.check(format!("5x5: {err}"), code == 2 && err.contains("a maximum over 5x5 with strides 2 and 2"));
    cases.finish();
}

#[test]
fn other_layers_of_ncnn_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let Some(param) = shared_path("data/weights/picodet_s_416_esnet_legacy.ncnn.param") else { return };
    let text = std::fs::read_to_string(&param).expect("the network");
    std::fs::copy(param.with_extension("bin"), folder.join("m.bin")).expect("a copy");
    let convert = |text: &str| {
        std::fs::write(folder.join("m.param"), text).expect("a file");
        let (code, _, err) =
            run(folder, &["convert", "m.param", "--variant", "legacy_s_416", "-o", "out.safetensors"]);
        (code, err)
    };
    assert_eq!(convert(&text).0, 0);
    let changes = [
        ("1=3 11=3 2=2 12=2", "1=2 11=2 2=2 12=2", "pooling `MaxPool_0` is a maximum over 2x2"),
        ("1=3 11=3 2=2 12=2", "1=3 11=3 2=1 12=1", "with strides 1 and 1"),
        ("HardSwish ", "Mish ", "of the type Mish, which no PicoDet has"),
    ];
    let mut cases = Cases::new();
    for (from, to, expected) in changes {
        let (code, err) = convert(&text.replacen(from, to, 1));
        cases.check(format!("{expected}: {err}"), code == 2 && err.contains(expected));
    }
    cases.finish();
}

#[test]
fn single_activations_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (mut onnx, _) = export(folder);
    let arguments = ["convert", "m.onnx", "--variant", "legacy_s_416", "--output", "out.safetensors"];
    let at = onnx.windows(9).position(|bytes| bytes == b"HardSwish").expect("an activation");
    // A type of the same length.
    onnx[at..at + 9].copy_from_slice(b"LeakyRelu");
    std::fs::write(folder.join("m.onnx"), &onnx).expect("a file");
    let (code, _, err) = run(folder, &arguments);
    assert!(
        code == 2 && err.contains("its activations are") && err.contains("those of the network"),
        "{err}"
    );
}

#[test]
fn native_models_change_their_storage_and_no_command_writes_over_its_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (_, native) = export(folder);
    let convert = |output: &str, more: &[&str]| {
        let arguments = ["convert", "m.safetensors", "--variant", "legacy_s_416", "--output", output];
        run(folder, &[&arguments[..], more].concat())
    };
    let (code, _, err) = convert("rows.safetensors", &["--storage", "int8-rows", "--licence", "CC0-1.0"]);
    assert_eq!(code, 0, "{err}");
    let rows = std::fs::read(folder.join("rows.safetensors")).expect("a file");
    assert!(3 * rows.len() < native.len(), "{} of {}", rows.len(), native.len());
    let (_, info, _) = run(folder, &["info", "rows.safetensors"]);
    assert!(info.contains("CC0-1.0") && info.contains("m.onnx"), "{info}");
    let other = ["convert", "m.safetensors", "--variant", "v2_xs_320", "--output", "x.safetensors"];
    let (code, _, err) = run(folder, &other);
    assert!(code == 2 && err.contains("a native model of legacy_s_416, not of v2_xs_320"), "{err}");

    let mut cases = Cases::new();
    let own: [&[&str]; 2] = [
        &["convert", "m.safetensors", "--variant", "legacy_s_416", "--output", "./m.safetensors"],
        &["export", "--model", "m.safetensors", "--output", "m.safetensors"],
    ];
    for command in own {
        let (code, _, err) = run(folder, command);
        cases
            .check(format!("{command:?}: {err}"), code == 2 && err.contains("this is the file that is read"));
    }
    std::fs::write(folder.join("m.param"), "7767517\n").expect("a file");
    std::fs::write(folder.join("m.bin"), "weights").expect("a file");
    let pair = ["convert", "m.param", "--variant", "legacy_s_416", "--output", "m.bin"];
    let (code, _, err) = run(folder, &pair);
    cases.check(format!("pair: {err}"), code == 2 && err.contains("m.bin: this is the file that is read"));
    assert!(std::fs::read(folder.join("m.safetensors")).expect("a file") == native);
    cases.finish();
}
