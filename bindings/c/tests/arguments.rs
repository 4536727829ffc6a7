//! Arbitrary arguments give a status, and never a crash, a panic or a leak.

#![allow(unsafe_code)]

mod calls;

use picodet_testing::Noise;
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_calls_give_a_status(bytes in vec(any::<u8>(), 0..400)) {
        calls::run(&bytes);
    }
}

#[test]
fn long_sequences_of_calls_leave_nothing_open() {
    calls::run(&Noise::new(1).bytes(20_000));
}
