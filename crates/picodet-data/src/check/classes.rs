//! Finds faults of class lists, within and between splits.

use std::collections::{HashMap, HashSet};

use super::options::CheckOptions;
use crate::dataset::{Dataset, display};
use crate::finding::{FindingKind, Findings, Location};

pub(super) fn check(datasets: &[Dataset], options: &CheckOptions, findings: &mut Findings) {
    let Some(first) = datasets.first() else { return };
    let location =
        |dataset: &Dataset| Location::file(display(dataset.annotations.as_ref().unwrap_or(&dataset.root)));
    // Splits of YOLO, VOC and LabelMe share a list, which is reported once.
    let mut lists: HashSet<(Location, Vec<&str>)> = HashSet::new();
    for dataset in datasets {
        let names: Vec<&str> = dataset.classes.iter().map(|class| class.name.as_str()).collect();
        if lists.insert((location(dataset), names.clone())) {
            names_of_one(&names, &location(dataset), findings);
        }
    }
    for dataset in &datasets[1..] {
        let list = |dataset: &Dataset| -> Vec<(String, i64)> {
            dataset.classes.iter().map(|class| (class.name.clone(), class.id)).collect()
        };
        let (here, there) = (list(dataset), list(first));
        if here == there {
            continue;
        }
        let only = |a: &[(String, i64)], b: &[(String, i64)]| -> Vec<String> {
            let known = |name: &str| b.iter().any(|(other, _)| other == name);
            a.iter().filter(|(name, _)| !known(name)).map(|(name, _)| name.clone()).collect()
        };
        let (only_here, only_there) = (only(&here, &there), only(&there, &here));
        let id_of = |name: &str| there.iter().find(|(other, _)| other == name).map(|(_, id)| *id);
        let other_ids: Vec<&str> = here
            .iter()
            .filter(|(name, id)| id_of(name).is_some_and(|other| other != *id))
            .map(|(name, _)| name.as_str())
            .collect();
        if only_here.is_empty() && only_there.is_empty() && other_ids.is_empty() {
            // Only the order differs.
            continue;
        }
        let message = format!(
            "`{}` and `{}` differ: only here {only_here:?}, only there {only_there:?}, other ids {other_ids:?}",
            dataset.split_name(),
            first.split_name(),
        );
        // A model is trained on the classes of the first split, and evaluated by their names.
        let kind =
            if only_here.is_empty() { FindingKind::ClassIdsDiffer } else { FindingKind::ClassesDiffer };
        findings.push(kind, location(dataset), message);
    }

    // Counts over all splits, by name, in the order of first appearance.
    let mut order: Vec<&str> = Vec::new();
    let mut totals: HashMap<&str, usize> = HashMap::new();
    let mut home: HashMap<&str, &Dataset> = HashMap::new();
    for dataset in datasets {
        for (class, count) in dataset.classes.iter().zip(dataset.class_counts()) {
            let name = class.name.as_str();
            *totals.entry(name).or_insert_with(|| {
                order.push(name);
                home.insert(name, dataset);
                0
            }) += count;
        }
    }
    let largest = totals.values().copied().max().unwrap_or(0);
    if largest == 0 {
        // A dataset without objects is reported elsewhere.
        return;
    }
    for &name in &order {
        let count = totals[name];
        if count == 0 {
            let message = format!("class `{name}` has no objects");
            findings.push(FindingKind::ClassUnused, location(home[name]), message);
        } else if largest as f64 > count as f64 * options.imbalance_ratio {
            let message =
                format!("class `{name}` has {count} objects, the most frequent class has {largest}");
            findings.push(FindingKind::ClassImbalance, location(home[name]), message);
        }
    }
    untrained(datasets, &order, findings, &location);
}

fn names_of_one(names: &[&str], location: &Location, findings: &mut Findings) {
    let mut exact: HashSet<&str> = HashSet::new();
    let mut similar: HashMap<String, &str> = HashMap::new();
    for (index, &name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            findings.push(FindingKind::ClassNameEmpty, location.clone(), format!("class {index}"));
            continue;
        }
        if !exact.insert(name) {
            let message = format!("`{name}` is listed twice");
            findings.push(FindingKind::DuplicateClassName, location.clone(), message);
            continue;
        }
        let plain: String =
            name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect();
        if let Some(other) = similar.insert(plain, name) {
            let message = format!("`{other}` and `{name}`");
            findings.push(FindingKind::ClassNameSimilar, location.clone(), message);
        }
    }
}

fn untrained<'a>(
    datasets: &'a [Dataset],
    order: &[&str],
    findings: &mut Findings,
    location: &dyn Fn(&Dataset) -> Location,
) {
    let is_train = |dataset: &&Dataset| dataset.split_name().starts_with("train");
    let Some(train) = datasets.iter().find(is_train) else {
        return;
    };
    // By name; the first of classes with equal names counts.
    let counts = |dataset: &'a Dataset| -> HashMap<&'a str, usize> {
        let names = dataset.classes.iter().map(|class| class.name.as_str());
        names.zip(dataset.class_counts()).rev().collect()
    };
    let in_train = counts(train);
    for dataset in datasets.iter().filter(|dataset| !is_train(dataset)) {
        let in_this = counts(dataset);
        for &name in order {
            let here = in_this.get(name).copied().unwrap_or(0);
            if here > 0 && in_train.get(name) == Some(&0) {
                let message = format!(
                    "class `{name}` has {here} objects in `{}` and none in `{}`",
                    dataset.split_name(),
                    train.split_name()
                );
                findings.push(FindingKind::ClassUntrained, location(dataset), message);
            }
        }
    }
}
