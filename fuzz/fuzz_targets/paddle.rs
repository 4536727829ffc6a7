//! Two bytes with the length of a Paddle program, the program, and its parameters.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (program, parameters) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*length))));
    if let Ok(network) = picodet_weights::paddle::read(program, parameters) {
        let sites = picodet_weights::sites_of_foreign(&network);
        let _ = picodet_weights::align(&sites, &sites);
        let variant = picodet_zoo::variant("v2_xs_320").expect("a variant");
        let matches: Vec<usize> = (0..sites.len()).collect();
        let _ = picodet_weights::compare_channels(&variant.architecture.graph(1), &network, &matches);
    }
});
