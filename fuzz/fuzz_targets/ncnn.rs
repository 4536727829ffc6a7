//! Bytes of a `.param` and, after a zero byte, of its `.bin`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (param, bin) = bytes.split_at(split);
    if let Ok(network) = picodet_weights::ncnn::read(param, bin.get(1..).unwrap_or_default()) {
        let sites = picodet_weights::sites_of_foreign(&network);
        let variant = picodet_zoo::variant("v2_xs_320").expect("a variant");
        let matches: Vec<usize> = (0..sites.len()).collect();
        let _ = picodet_weights::compare_channels(&variant.architecture.graph(1), &network, &matches);
    }
});
