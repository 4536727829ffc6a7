//! Spaces of candidates.

use picodet_graph::pass::slice_map;
use picodet_search::{Genome, Space};
use picodet_zoo::Backbone;

const WIDE: &str = "network = \"legacy_s_320\"\nratios = [1.0, 0.5, 0.75]\nneck = [96, 48]\ntower = [1, 2]\nneck_kernel = [5, 3]\ntower_kernel = [3, 5]\ninput = [320, 256]\n";

#[test]
fn genomes_are_networks_of_the_zoo() {
    let space = Space::parse(WIDE).expect("a space");
    assert_eq!(space.counts(), [vec![3; 13], vec![2; 5]].concat());
    let largest = space.candidate(&space.largest()).expect("of the space");
    let supernet = largest.architecture.graph(80);
    for genome in [space.smallest(), space.published_genome(), space.largest()] {
        let candidate = space.candidate(&genome).expect("of the space");
        assert!(slice_map(&supernet, &candidate.architecture.graph(80)).is_ok());
    }
    let smallest = space.candidate(&space.smallest()).expect("of the space");
    assert_eq!((smallest.input_size, smallest.architecture.neck.channels()), ((256, 256), 48));
    assert_eq!(smallest.architecture.head.tower_convolutions, 1);
    assert!(space.candidate(&Genome(vec![0; 3])).is_none());
    assert!(space.candidate(&Genome(vec![9; 18])).is_none());
}

#[test]
fn the_published_space_contains_the_published_network() {
    for name in ["legacy_s_320", "legacy_m_416", "legacy_l_640"] {
        let space = Space::published(name).expect("a space");
        let candidate = space.candidate(&space.published_genome()).expect("of the space");
        assert_eq!(
            (candidate.architecture, candidate.input_size),
            (space.base().architecture, space.base().input_size)
        );
    }
}

#[test]
fn groups_of_lcnet_have_widths_of_their_own() {
    let text = "network = \"v2_s_320\"\nscales = [0.375, 0.5, 0.75]\nneck = [64, 96]\n";
    let space = Space::parse(text).expect("a space");
    assert_eq!(space.counts(), [3, 3, 3, 3, 3, 2]);
    assert_eq!(space.corners().len(), 4);
    let supernet = space.supernet().graph(80);
    let candidate =
        |genome: [u8; 6]| space.candidate(&Genome(genome.to_vec())).expect("of the space").architecture;
    for genome in [[0, 2, 1, 2, 0, 1], [2, 0, 2, 0, 2, 0], [1; 6]] {
        let Backbone::LcNet(lcnet) = candidate(genome).backbone else { panic!("an LCNet") };
        let expected = [0, 1, 2, 3, 4].map(|group| [0.375, 0.5, 0.75][usize::from(genome[group])]);
        assert_eq!((lcnet.scale, lcnet.scales), (0.75, expected));
        let graph = candidate(genome).graph(80);
        let map = slice_map(&supernet, &graph).expect("a slice");
        assert_eq!(map.params.len(), graph.params.len());
    }
    assert_eq!(candidate([2, 2, 2, 2, 2, 1]), space.base().architecture);
}

#[test]
fn impossible_spaces_are_refused() {
    let cases = [
        ("network = \"legacy_s_320\"", "single network"),
        ("network = \"legacy_s_320\"\nneck = [96]", "single network"),
        ("network = \"legacy_s\"\nneck = [48, 96]", "no network is named `legacy_s`"),
        ("network = \"v2_s_320\"\nratios = [0.5, 1.0]", "v2_s_320 has no ratios"),
        ("network = \"legacy_s_320\"\nscales = [0.5, 1.0]", "legacy_s_320 has no scales"),
        ("network = \"v2_s_320\"\nscales = [0.5, 9.0]", "scales = 9: a scale is between"),
        ("network = \"v2_s_320\"\nscales = [0.5, nan]", "scales = NaN"),
        ("network = \"legacy_s_320\"\nratios = [0.5, 1.5]", "ratios = 1.5: a ratio is between"),
        ("network = \"legacy_s_320\"\nratios = [0.5, nan]", "ratios = NaN"),
        ("network = \"legacy_s_320\"\nneck = [48, 50]", "neck = 50: a multiple of 16"),
        ("network = \"legacy_s_320\"\ntower = [0, 1]", "tower = 0"),
        ("network = \"legacy_s_320\"\nneck_kernel = [4, 5]", "neck_kernel = 4: 3 or 5"),
        ("network = \"ablation_1_base_416\"\nneck_kernel = [3, 5]", "has no neck_kernel"),
        ("network = \"legacy_s_320\"\ninput = [300, 320]", "input = 300"),
        ("network = \"legacy_s_320\"\nwidth = [1, 2]", "unknown field `width`"),
        ("neck = [48, 96]", "missing field `network`"),
    ];
    for (text, expected) in cases {
        let error = Space::parse(text).map(|space| space.counts()).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn spaces_are_written_as_the_file_that_reads_them() {
    let mut spaces = vec![Space::parse(WIDE).expect("a space")];
    for name in ["legacy_s_320", "legacy_l_640", "v2_s_320"] {
        spaces.push(Space::wide(name).expect("a space"));
    }
    for space in spaces {
        let read = Space::parse(&space.to_toml()).expect("a space");
        assert_eq!((read.genes(), read.base().name), (space.genes(), space.base().name));
        // The published network is in the wide space.
        let seeds = space.seeds();
        assert!(seeds.iter().all(|seed| space.candidate(seed).is_some()));
        let supernet = space.supernet().graph(80);
        for seed in &seeds {
            let candidate = space.candidate(seed).expect("of the space").architecture;
            assert!(slice_map(&supernet, &candidate.graph(80)).is_ok());
        }
    }
    for name in ["legacy_l_640", "v2_s_320", "v2_xs_416"] {
        let space = Space::wide(name).expect("a space");
        let published = space.candidate(&space.published_genome()).expect("of the space");
        assert_eq!(published.architecture, space.base().architecture, "{name}");
    }
}
