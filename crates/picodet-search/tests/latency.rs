//! Latency tables: their parts, files and predictions. No test depends on the times.

use picodet_engine::Precision;
use picodet_search::{
    Gene, Genome, LatencyError, LatencyOptions, LatencyTable, Predictor, Space, check_latency,
    measure_latency,
};

const WIDE: &str = "network = \"legacy_s_320\"\nratios = [0.5, 0.75, 1.0]\nneck = [48, 96]\ntower = [1, 2]\nneck_kernel = [3, 5]\ntower_kernel = [3, 5]\ninput = [32, 64]\n";

fn options() -> LatencyOptions {
    let mut options = LatencyOptions::default();
    (options.classes, options.seconds, options.date) = (3, 0.0, "2026-01-31".to_owned());
    options
}

fn space() -> Space {
    Space::parse(WIDE).expect("a space")
}

#[test]
fn a_measured_table_predicts_every_candidate_and_reads_back() {
    let space = space();
    let mut seen = Vec::new();
    let table = measure_latency(&space, &options(), &mut |done, of| seen.push((done, of))).expect("a table");
    assert_eq!(seen, [(1, 3), (2, 3), (3, 3)]);
    assert_eq!(LatencyTable::from_toml(&table.to_toml()).expect("our own file"), table);
    let predictor = Predictor::new(&table, &space, 3).expect("every part");
    for genome in [space.smallest(), space.largest(), space.published_genome()] {
        let milliseconds = predictor.predict(&genome);
        assert!(milliseconds > 0.0 && milliseconds.is_finite());
    }
    let checked = check_latency(&space, &table, &options(), 3, 1).expect("candidates");
    for check in &checked {
        assert!(check.steps > 0.0 && check.whole > 0.0);
        assert_eq!(check.predicted_steps, predictor.sum_of_steps(&check.genome));
    }
}

#[test]
fn quantised_networks_have_the_same_parts() {
    let lcnet = "network = \"v2_s_320\"\nscales = [0.5, 0.75]\ninput = [64]\n";
    for space in [space(), Space::parse(lcnet).expect("a space")] {
        let table = |precision| {
            let mut options = options();
            options.precision = precision;
            measure_latency(&space, &options, &mut |_, _| {}).expect("a table")
        };
        let [floats, bytes] = [Precision::F32, Precision::U8].map(table);
        assert_eq!([&*floats.machine.precision, &*bytes.machine.precision], ["f32", "int8"]);
        assert!(bytes.parts.keys().eq(floats.parts.keys()));
        assert!(bytes.parts.values().all(|&time| time > 0.0), "{:?}", bytes.parts);
    }
}

/// A table in which every part has another time.
fn counted(space: &Space) -> LatencyTable {
    let mut table = measure_latency(space, &options(), &mut |_, _| {}).expect("a table");
    for (index, time) in table.parts.values_mut().enumerate() {
        *time = (index + 1) as f64;
    }
    (table.whole.scale, table.whole.offset) = (2.0, 5.0);
    table
}

#[test]
fn a_prediction_is_the_sum_of_the_parts_of_the_candidate() {
    let space = space();
    let table = counted(&space);
    let predictor = Predictor::new(&table, &space, 3).expect("every part");
    let mut genome = vec![1u8; 13];
    genome.extend([0, 1, 0, 1, 1]);
    let part = |name: &str| table.parts[&format!("64x64: {name}")];
    let sum = (0..13).map(|block| part(&format!("block {block}, ratio 0.75"))).sum::<f64>()
        + part("neck of 48 channels, kernel 3")
        + part("tower 0 of 48 channels, kernel 5")
        + part("tower 1 of 48 channels, kernel 5")
        + part("predictions from 48 channels")
        + part("rest");
    assert_eq!(predictor.predict(&Genome(genome.clone())), 2.0 * sum + 5.0);
    genome[14] = 0;
    let shorter = 2.0 * (sum - part("tower 1 of 48 channels, kernel 5")) + 5.0;
    assert_eq!(predictor.predict(&Genome(genome)), shorter);
}

#[test]
fn parts_of_lcnet_depend_on_two_genes() {
    let text = "network = \"v2_s_320\"\nscales = [0.25, 0.5, 0.75]\nneck = [48, 64, 80, 96]\nneck_kernel = [3, 5]\ntower_kernel = [3, 5]\ninput = [32]\n";
    let space = Space::parse(text).expect("a space");
    let table = counted(&space);
    let predictor = Predictor::new(&table, &space, 3).expect("every part of every candidate");
    let part = |name: &str| table.parts[&format!("32x32: {name}")];
    // The scales of the groups, the width of the neck, its kernel and that of the towers, the input size.
    let predicted = predictor.sum_of_steps(&Genome(vec![0, 1, 2, 0, 1, 1, 0, 1, 0]));
    let sum = part("group 0, scale 0.25 after 0.75")
        + part("group 1, scale 0.5 after 0.25")
        + part("group 2, scale 0.75 after 0.5")
        + part("group 3, scale 0.25 after 0.75")
        + part("group 4, scale 0.5 after 0.25")
        + part("reduction 0 to 64 channels, scale 0.75")
        + part("reduction 1 to 64 channels, scale 0.25")
        + part("reduction 2 to 64 channels, scale 0.5")
        + part("neck of 64 channels, kernel 3")
        + part("tower 0 of 64 channels, kernel 5")
        + part("tower 1 of 64 channels, kernel 5")
        + part("predictions from 64 channels")
        + part("rest");
    assert_eq!(predicted, sum);
    // Of the scales, 3 pairs of two groups each and 3 values of the first one; of the neck, 12 of each reduction.
    assert_eq!(table.parts.keys().filter(|name| name.contains("group")).count(), 3 + 4 * 9);
    assert_eq!(table.parts.keys().filter(|name| name.contains("reduction")).count(), 3 * 12);
}

#[test]
fn values_that_save_no_time_are_named() {
    let space = space();
    let mut table = counted(&space);
    table.parts.values_mut().for_each(|time| *time = 1.0);
    for (name, time) in &mut table.parts {
        // Only block 4 and the width of the neck are faster with smaller values.
        if name.contains("block 4, ratio 0.5") || name.contains("48 channels") {
            *time = 0.5;
        }
    }
    let predictor = Predictor::new(&table, &space, 3).expect("every part");
    let found = predictor.without_gain(&space);
    assert!(found.contains(&(Gene::Ratio(3), 0.5, 1.0)) && found.contains(&(Gene::Ratio(4), 0.75, 1.0)));
    assert!(!found.contains(&(Gene::Ratio(4), 0.5, 1.0)));
    assert!(!found.iter().any(|(gene, ..)| matches!(gene, Gene::Neck | Gene::Tower)));
}

#[test]
fn tables_of_other_networks_are_refused() {
    let space = space();
    let table = counted(&space);
    let refused = |table: &LatencyTable, space: &Space, classes| {
        Predictor::new(table, space, classes).map(|_| ()).expect_err("another table").to_string()
    };
    assert!(refused(&table, &space, 80).contains("measure it with --classes 80"));
    let other = Space::published("legacy_s_416").expect("a space");
    assert!(refused(&table, &other, 3).contains("of legacy_s_320"));
    let published = Space::published("legacy_s_320").expect("a space");
    assert!(refused(&table, &published, 3).contains("has no `320x320: "));
    let newer = LatencyTable { format: 2, ..table.clone() };
    assert!(matches!(LatencyTable::from_toml(&newer.to_toml()), Err(LatencyError::Format(2))));
    assert!(matches!(LatencyTable::from_toml("format = 1"), Err(LatencyError::Syntax(_))));
}
