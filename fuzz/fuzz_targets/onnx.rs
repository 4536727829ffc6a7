//! Bytes of an `.onnx` file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(network) = picodet_weights::onnx::read(bytes) {
        let sites = picodet_weights::sites_of_foreign(&network);
        let _ = picodet_weights::align(&sites, &sites);
        let variant = picodet_zoo::variant("v2_xs_320").expect("a variant");
        let matches: Vec<usize> = (0..sites.len()).collect();
        let _ = picodet_weights::compare_channels(&variant.architecture.graph(1), &network, &matches);
    }
});
