//! Networks of the search spaces are slices of their supernets.

use picodet_graph::Graph;
use picodet_graph::pass::{SliceRule, slice_map};
use picodet_testing::{Cases, Noise};
use picodet_zoo::{Architecture, ArchitectureOverrides, Backbone, EsNet, Neck, Variant, variants};

/// The values of a channel ratio in the paper's space.
const RATIOS: [f32; 5] = [0.5, 0.625, 0.75, 0.875, 1.0];

fn pick<T: Copy>(noise: &mut Noise, values: &[T]) -> T {
    values[noise.below(values.len())]
}

/// The architecture with the largest value of each gene, and one with random values.
fn supernet_and_candidate(variant: &Variant, noise: &mut Noise) -> [Architecture; 2] {
    let mut large = variant.architecture;
    let mut small = variant.architecture;
    if let (Backbone::EsNet(large), Backbone::EsNet(small)) = (&mut large.backbone, &mut small.backbone) {
        large.ratios = [1.0; 13];
        small.ratios = std::array::from_fn(|_| pick(noise, &RATIOS));
    }
    if let Backbone::LcNet(lcnet) = &mut small.backbone {
        lcnet.scale *= pick(noise, &[0.5, 0.75, 1.0]);
        lcnet.scales = lcnet.scales.map(|scale| scale * pick(noise, &[0.5, 0.75, 1.0]));
    }
    let overrides = ArchitectureOverrides {
        neck_channels: Some(pick(noise, &[48, 64, 80, 96])),
        neck_kernel: Some(pick(noise, &[3, 5])),
        tower_convolutions: Some(1 + noise.below(large.head.tower_convolutions)),
        tower_kernel: Some(pick(noise, &[3, 5])),
        ..ArchitectureOverrides::default()
    };
    [large, overrides.apply(&small).expect("values of the space")]
}

fn classes(variant: &Variant) -> usize {
    variant.classes.len()
}

#[test]
fn random_candidates_of_every_network_are_slices() {
    let mut cases = Cases::new();
    let mut noise = Noise::new(17);
    let mut count = 0;
    for variant in variants() {
        let searchable = matches!(variant.architecture.backbone, Backbone::EsNet(_) | Backbone::LcNet(_));
        if !searchable || matches!(variant.architecture.neck, Neck::Pan { .. }) {
            continue;
        }
        for number in 0..5 {
            let [large, small] =
                supernet_and_candidate(variant, &mut noise).map(|a| a.graph(classes(variant)));
            let name = format!("{} {number}", variant.name);
            if let Some(map) = cases.succeed(&name, slice_map(&large, &small)) {
                let found: Vec<&str> = map.params.iter().map(|param| param.name()).collect();
                let expected: Vec<&str> = small.params.iter().map(|param| param.name.as_str()).collect();
                cases.equal(format!("{name}: parameters"), found, expected);
                count += 1;
            }
        }
    }
    cases.check("candidates of many networks", count >= 100);
    cases.finish();
}

#[test]
fn a_network_is_the_slice_of_itself() {
    for variant in variants() {
        let graph: Graph = variant.architecture.graph(classes(variant));
        let map = slice_map(&graph, &graph).unwrap_or_else(|error| panic!("{}: {error}", variant.name));
        assert_eq!(map.params.len(), graph.params.len());
    }
}

#[test]
fn the_width_of_esnet_is_no_slice() {
    let variant = picodet_zoo::variant("legacy_s_320").expect("published");
    let Backbone::EsNet(esnet) = variant.architecture.backbone else { panic!("another backbone") };
    let narrow =
        Architecture { backbone: Backbone::EsNet(EsNet { scale: 0.5, ..esnet }), ..variant.architecture };
    let error =
        slice_map(&variant.architecture.graph(80), &narrow.graph(80)).expect_err("halves after a shuffle");
    assert!(error.scope.starts_with("backbone.stage2.1"), "{error}");
    assert!(matches!(error.rule, SliceRule::InsidePart | SliceRule::EqualChannels), "{error}");
}
