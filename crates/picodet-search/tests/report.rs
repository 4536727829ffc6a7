//! The report of a search.

use std::collections::BTreeMap;

use picodet_search::{
    Entry, Evaluated, Gene, Genome, LatencyTable, Machine, SearchReport, Space, WholeRuns, front,
};

fn table() -> LatencyTable {
    LatencyTable {
        format: 1,
        network: "legacy_s_320".to_owned(),
        classes: 3,
        date: "2026-01-31".to_owned(),
        machine: Machine { processor: Some("<CPU>".to_owned()), threads: 2, ..Machine::default() },
        whole: WholeRuns { scale: 1.0, offset: 0.0, reference: 4.0, median_error: 0.004, worst_error: 0.012 },
        parts: BTreeMap::new(),
    }
}

/// Candidates whose accuracy and latency grow with their values.
fn candidates(space: &Space) -> Vec<Evaluated> {
    let of = |index: u8| {
        let mut genome = space.smallest();
        (genome.0[13], genome.0[14], genome.0[0]) = (index % 3, index / 3 % 2, index / 6);
        let sum: f64 = genome.0.iter().map(|&value| f64::from(value)).sum();
        Evaluated::new(genome, 0.5 + 0.03 * sum - 0.01 * f64::from(index % 2), 2.5 + 0.4 * sum, 0)
    };
    (0..12).map(of).collect()
}

#[test]
fn a_report_shows_every_candidate_and_the_front_as_a_table() {
    let space = "network = \"legacy_s_320\"\nratios = [0.5, 1.0]\nneck = [48, 80, 96]\ntower = [1, 2]\n";
    let space = Space::parse(space).expect("a space");
    let (table, candidates) = (table(), candidates(&space));
    let entry = |(index, found): (usize, &Evaluated)| Entry {
        candidate: found.clone(),
        error: 0.02,
        parameters: 1_000_000 + index,
        macs: 500_000_000,
        measured: (index < 2).then_some(found.latency * 1.01),
    };
    let front: Vec<Entry> = front(&candidates).into_iter().enumerate().map(entry).collect();
    let mut report = SearchReport {
        space: &space,
        table: &table,
        candidates: &candidates,
        front: &front,
        recommended: 1,
        constraint: Some(3.5),
        agreement: 0.2,
        without_gain: &[(Gene::Ratio(3), 0.5, 1.0)],
        seconds: &[("search", 12.0)],
    };
    let page = report.html();
    // Each judged network, each of the front, the recommended one, and the published one if it was judged.
    let published = candidates.iter().filter(|found| found.genome == space.published_genome()).count();
    assert_eq!(page.matches("<circle cx").count(), candidates.len() + front.len() + 1 + published);
    for text in [
        "&lt;CPU&gt;",
        "cannot tell the candidates apart",
        "ratio_3 0.5 costs as much as 1",
        "at most 3.50 ms",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("NaN"));
    report.agreement = 0.9;
    assert!(!report.html().contains("cannot tell"));

    let csv = report.front_csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), front.len() + 1);
    assert!(
        lines[0]
            .starts_with("number,ap,ap_error,predicted_ms,measured_ms,parameters,macs,recommended,ratio_0,")
    );
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns));
    let recommended: Vec<&str> = lines[2].split(',').collect();
    assert_eq!((recommended[0], recommended[5], recommended[7]), ("2", "1000001", "1"));
    let Genome(genome) = &front[1].candidate.genome;
    assert_eq!(recommended[columns - 2], [48, 80, 96][usize::from(genome[13])].to_string());
}

#[test]
fn a_report_needs_no_front() {
    let space = Space::published("legacy_s_320").expect("a space");
    let table = table();
    let report = SearchReport {
        space: &space,
        table: &table,
        candidates: &[],
        front: &[],
        recommended: 0,
        constraint: None,
        agreement: 1.0,
        without_gain: &[],
        seconds: &[],
    };
    let page = report.html();
    for text in ["NaN", ">inf", "\"inf", "-inf", " inf "] {
        assert!(!page.contains(text), "{text}");
    }
    assert_eq!(report.front_csv().lines().count(), 1);
}
