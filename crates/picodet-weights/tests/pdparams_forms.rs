//! Every form in which a `.pdparams` file stores the same arrays: protocols, element types, wrapping dicts.

#[path = "forms/pdparams.rs"]
mod forms;

use forms::{VALUES, array, dict, dtype, f32_bytes, pickle, text};
use picodet_testing::Cases;
use picodet_weights::pdparams;

fn values_of(file: &[u8], name: &str) -> Option<Vec<f32>> {
    Some(pdparams::read(file).ok()?.get(name)?.data.clone())
}

#[test]
fn every_protocol_and_element_type_has_the_same_values() {
    let mut cases = Cases::new();
    for (name, file) in forms::forms() {
        cases.check(name, values_of(&file, "w").as_deref() == Some(&VALUES[..]));
    }
    cases.finish();
}

#[test]
fn wrapping_dicts_and_other_values_are_passed_over() {
    let mut cases = Cases::new();
    for (name, file) in forms::wrapped() {
        cases.check(name, values_of(&file, "w").as_deref() == Some(&VALUES[..]));
    }
    cases.finish();
}

/// A training state: weights in a dict next to a learning rate that is an array.
#[test]
fn an_array_next_to_wrapped_weights_is_not_the_network() {
    let array = || array("f4", &f32_bytes());
    let weights = dict(&[("v", array()), ("w", array())]);
    let file = pickle(4, &dict(&[("model", weights), ("rate", array())]));
    let names: Vec<String> = pdparams::read(&file).expect("weights").into_keys().collect();
    assert_eq!(names, ["v", "w"]);
    // As many arrays in an inner dict: that of an optimiser.
    let file = pickle(4, &dict(&[("w", array()), ("master_weights", dict(&[("w", array())]))]));
    let names: Vec<String> = pdparams::read(&file).expect("weights").into_keys().collect();
    assert_eq!(names, ["w"]);
}

#[test]
fn refusals_have_a_reason() {
    let weights = || dict(&[("w", array("f4", &f32_bytes()))]);
    let evaluated = [b"cbuiltins\neval\n", &text("1 + 1")[..], &dict(&[]), b"\x86R"].concat();
    let whole = pickle(4, &dict(&[("w", array("f4", &f32_bytes()))]));
    let wide = |values: &[u16]| {
        let bytes: Vec<u8> = values.iter().cycle().take(16).flat_map(|value| value.to_le_bytes()).collect();
        let array = array("u2", &bytes);
        let shape = array.windows(4).position(|bytes| bytes == b"K\x02K\x02").expect("the shape");
        pickle(4, &dict(&[("w", [&array[..shape], b"K\x04K\x04", &array[shape + 4..]].concat())]))
    };
    assert!(pdparams::read(&wide(&[0x3f80, 0xbd00, 0, 1])).is_ok() && pdparams::read(&wide(&[0])).is_ok());
    let forms: [(Vec<u8>, &str); 13] = [
        ([&whole[..], b"more"].concat(), "4 bytes follow the pickle"),
        (wide(&[1, 2, 3, 255]), "tensor `w`: its elements are integers (`u2`)"),
        (wide(&[1, 20_000, 40_000, 32_000]), "integers (`u2`)"),
        (pickle(4, &dict(&[("a", weights()), ("b", weights())])), "`a` and `b`"),
        (pickle(4, &dict(&[("epoch", b"K\x03".to_vec())])), "no arrays"),
        (pickle(4, &dict(&[("w", evaluated)])), "never run"),
        (pickle(4, &dict(&[("w", array("c8", &f32_bytes()))])), "`c8`"),
        (pickle(4, &dict(&[("w", array("f4", &[0; 12]))])), "12 bytes"),
        (b"PK\x03\x04 archive".to_vec(), "torch.save"),
        (pickle(4, &dict(&[("w", array("i1", &[1; 4]))])), "tensor `w`: its elements are integers (`i1`)"),
        (pickle(4, &dict(&[("w", array("i4", &[1; 16]))])), "integers (`i4`)"),
        (b"(dp0\nVw\np1\nI3\ns.".to_vec(), "a pickle of protocol 0 or 1; save it again with protocol 2 to 5"),
        (b"}q\x00(X\x01\x00\x00\x00wq\x01F0.5\nu.".to_vec(), "a pickle of protocol 0 or 1"),
    ];
    let mut cases = Cases::new();
    for (file, reason) in forms {
        let error = pdparams::read(&file).map(drop).map_err(|error| error.to_string());
        cases.check(reason, error.as_ref().is_err_and(|error| error.contains(reason)));
    }
    cases.finish();
}

#[test]
fn a_dict_that_the_memo_repeats_does_not_take_long() {
    // Each dict holds the one before it a thousand times.
    let mut bytes = b"\x80\x04}q\x00".to_vec();
    for level in 1..6u8 {
        bytes.extend([b"}q"[..].to_vec(), vec![level], b"(".to_vec()].concat());
        for entry in 0..1000 {
            bytes.extend([text(&entry.to_string()), vec![b'h', level - 1]].concat());
        }
        bytes.push(b'u');
    }
    bytes.push(b'.');
    assert!(pdparams::read(&bytes).is_err());
}

/// A 64-bit integer as an array without axes.
fn counter() -> Vec<u8> {
    let head = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01)";
    let data = [b"B", &8u32.to_le_bytes()[..], &7u64.to_le_bytes()].concat();
    [&head[..], &dtype("i8"), b"\x89", &data, b"tb"].concat()
}

#[test]
fn counters_are_read() {
    let file = pickle(4, &dict(&[("w", array("f4", &f32_bytes())), ("bn.num_batches_tracked", counter())]));
    let weights = pdparams::read(&file).expect("a sound file");
    assert_eq!(weights["bn.num_batches_tracked"].data, [7.0]);
}

#[test]
fn an_array_may_have_several_names() {
    // As student and teacher of a distillation with one backbone.
    let shared = [&array("f4", &f32_bytes())[..], b"q\x07"].concat();
    let again = b"h\x07".to_vec();
    let names: [&[&str]; 2] = [&["student.w", "teacher.w"], &["a", "b", "c", "d"]];
    for names in names {
        let value = |(index, name): (usize, &&'static str)| {
            (*name, if index == 0 { shared.clone() } else { again.clone() })
        };
        let entries: Vec<(&str, Vec<u8>)> = names.iter().enumerate().map(value).collect();
        let weights = pdparams::read(&pickle(4, &dict(&entries))).expect("a sound file");
        assert!(names.iter().all(|name| weights[*name].data == VALUES), "{weights:?}");
    }
    // Many times the bytes of the file.
    let wide = array("f4", &[1; 64 * 64 * 4]);
    let extents = wide.windows(4).position(|bytes| bytes == b"K\x02K\x02").expect("the shape");
    let wide = [&wide[..extents], b"K\x40K\x40", &wide[extents + 4..], b"q\x07"].concat();
    let read = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| index.to_string()).collect();
        let mut entries = vec![("w", wide.clone())];
        entries.extend(names.iter().map(|name| (name.as_str(), b"h\x07".to_vec())));
        pdparams::read(&pickle(4, &dict(&entries)))
    };
    assert!(read(2).is_ok() && read(100).is_err());
}

#[test]
fn a_choice_between_weights_is_reported() {
    let weights = || dict(&[("w", array("f4", &f32_bytes()))]);
    let notes = |entries: &[(&str, Vec<u8>)]| {
        pdparams::read_with_notes(&pickle(4, &dict(entries))).map(|read| read.1)
    };
    assert_eq!(notes(&[("model", weights())]), Ok(Vec::new()));
    let expected = "the file holds weights in `model` and `ema`; those in `ema` are read";
    assert_eq!(notes(&[("model", weights()), ("ema", weights())]), Ok(vec![expected.to_owned()]));
}
