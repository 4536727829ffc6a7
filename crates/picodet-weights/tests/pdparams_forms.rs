//! Every form in which a `.pdparams` file stores the same arrays: protocols, element types, wrapping dicts.

#[path = "forms/pdparams.rs"]
mod forms;

use forms::{VALUES, array, dict, f32_bytes, pickle, text};
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

#[test]
fn refusals_have_a_reason() {
    let weights = || dict(&[("w", array("f4", &f32_bytes()))]);
    let evaluated = [b"cbuiltins\neval\n", &text("1 + 1")[..], &dict(&[]), b"\x86R"].concat();
    let forms = [
        (pickle(4, &dict(&[("a", weights()), ("b", weights())])), "`a` and `b`"),
        (pickle(4, &dict(&[("epoch", b"K\x03".to_vec())])), "no arrays"),
        (pickle(4, &dict(&[("w", evaluated)])), "never run"),
        (pickle(4, &dict(&[("w", array("c8", &f32_bytes()))])), "`c8`"),
        (pickle(4, &dict(&[("w", array("f4", &[0; 12]))])), "12 bytes"),
        (b"PK\x03\x04 archive".to_vec(), "torch.save"),
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
