//! `picodet search` from a dataset to a network that other commands take.

use std::path::Path;
use std::process::Command;

mod squares;

use squares::dataset;

const SPACE: &str = "network = \"legacy_s_320\"\nratios = [0.5, 1.0]\nneck = [48, 96]\ninput = [64]\n";

/// Runs the command in a folder; returns whether it succeeded, its standard output and its errors.
fn run(folder: &Path, arguments: &str) -> (bool, String, String) {
    let output = Command::new(assert_cmd::cargo::cargo_bin("picodet"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("the command runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn succeed(folder: &Path, arguments: &str) -> String {
    let (succeeded, text, errors) = run(folder, arguments);
    assert!(succeeded, "{arguments}: {errors}");
    text
}

/// Replaces the measured milliseconds by fixed ones, so that constraints mean the same on a busy machine.
fn fix_latencies(table: &Path) {
    let measured = std::fs::read_to_string(table).expect("a table");
    let fixed = measured.lines().map(|line| {
        let Some((name, _)) = line.split_once(" = ") else { return line.to_owned() };
        let milliseconds = match name {
            "scale" => 1.0,
            "reference" => 0.3,
            _ if !name.starts_with("\"64x64: ") => return line.to_owned(),
            _ if name.contains("0.5") || name.contains("48") || name.contains("rest") => 0.01,
            _ => 0.02,
        };
        format!("{name} = {milliseconds:?}")
    });
    let fixed = fixed.collect::<Vec<_>>().join("\n");
    assert_eq!(fixed.matches(" = 0.01\n").count() + fixed.matches(" = 0.02").count(), 35, "{fixed}");
    std::fs::write(table, fixed).expect("a table");
}

#[test]
fn a_search_ends_with_a_network_and_finds_another_under_another_constraint() {
    let directory = tempfile::tempdir().expect("a folder");
    let folder = directory.path();
    dataset(folder);
    std::fs::write(folder.join("space.toml"), SPACE).expect("a space");
    let table =
        succeed(folder, "search latency --space space.toml --classes 1 --output table.toml --check 2");
    assert!(table.contains("whole inference") && table.contains("sum of steps"), "{table}");
    fix_latencies(&folder.join("table.toml"));

    let search = "search space.toml --data squares.json --search-share 0.5 --epochs 1 --sizes 64x64 --batch 4 \
                  --evaluations 6 --latency-table table.toml --output found";
    let found = succeed(folder, search);
    let next = found.lines().last().expect("the next command");
    assert!(next.starts_with("picodet train found/front/"), "{found}");
    for file in
        ["space.toml", "search.jsonl", "supernet.safetensors", "front.csv", "report.html", "front/1.toml"]
    {
        assert!(folder.join("found").join(file).exists(), "{file}");
    }
    let page = std::fs::read_to_string(folder.join("found/report.html")).expect("a report");
    assert!(page.contains("recommended") && !page.contains("NaN"));
    succeed(folder, "info found/front/1.safetensors");
    succeed(
        folder,
        &format!(
            "{} --epochs 1 --sizes 64x64 --unchecked",
            next.strip_prefix("picodet ").expect("a command")
        ),
    );

    // A second run must resume from its folder; another constraint needs no training.
    let (succeeded, _, errors) = run(folder, search);
    assert!(!succeeded && errors.contains("picodet search --resume found"), "{errors}");
    let find = "search find found --latency-table table.toml --evaluations 4 --format json --latency";
    let narrow: serde_json::Value =
        serde_json::from_str(&succeed(folder, &format!("{find} 0.99x"))).expect("JSON");
    let limit = narrow["constraint_ms"].as_f64().expect("a constraint");
    let reference = narrow["reference_ms"].as_f64().expect("a latency");
    assert!((limit - 0.99 * reference).abs() < 1e-9 * reference);
    let front = narrow["front"].as_array().expect("a front");
    assert!(!front.is_empty());
    assert!(front.iter().all(|network| network["predicted_ms"].as_f64() <= Some(limit)));
    let (succeeded, _, errors) = run(folder, &format!("{find} 0.0001ms"));
    assert!(!succeeded && errors.contains("no candidate keeps 0.00 ms; the fastest takes"), "{errors}");
    let (succeeded, _, errors) = run(folder, &format!("{find} fast"));
    assert!(!succeeded && errors.contains("3.2ms"), "{errors}");
}
