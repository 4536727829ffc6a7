//! The bill of materials of the program and its libraries, in CycloneDX 1.5.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use serde_json::{Value, json};

/// The package of the program.
const ROOT: &str = "picodet-cli";

/// Writes the bill of the program for Linux.
pub(super) fn write(file: &Path) -> Result<()> {
    let options = ["--locked", "--filter-platform", "x86_64-unknown-linux-musl"].map(str::to_owned);
    let metadata = MetadataCommand::new().other_options(options.to_vec()).exec()?;
    let bill = bill(&metadata)?;
    std::fs::write(file, serde_json::to_vec_pretty(&bill)?).with_context(|| file.display().to_string())
}

/// Returns the bill: the packages that are in the program, without tests and build scripts.
fn bill(metadata: &Metadata) -> Result<Value> {
    let packages: BTreeMap<&PackageId, &Package> =
        metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let resolve = metadata.resolve.as_ref().context("cargo has resolved no dependencies")?;
    let root = metadata.packages.iter().find(|package| *package.name == ROOT).context(ROOT)?;
    let mut seen: BTreeSet<&PackageId> = BTreeSet::from([&root.id]);
    let mut open = vec![&root.id];
    let mut dependencies = Vec::new();
    while let Some(id) = open.pop() {
        let node = resolve.nodes.iter().find(|node| node.id == *id).context("a package is not resolved")?;
        let is_linked = |kinds: &[cargo_metadata::DepKindInfo]| {
            kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
        };
        let needed: Vec<&PackageId> =
            node.deps.iter().filter(|dep| is_linked(&dep.dep_kinds)).map(|dep| &dep.pkg).collect();
        let names: Vec<String> = needed.iter().map(|id| reference(packages[id])).collect();
        dependencies.push(json!({ "ref": reference(packages[id]), "dependsOn": names }));
        for id in needed {
            if seen.insert(id) {
                open.push(id);
            }
        }
    }
    let components: Vec<Value> =
        seen.iter().filter(|id| **id != &root.id).map(|id| component(packages[*id], "library")).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(root, "application") },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package, kind: &str) -> Value {
    let mut value = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": *package.name,
        "version": package.version.to_string(),
        "purl": reference(package),
    });
    if let Some(licence) = &package.license {
        // The slash is the old form of `OR`.
        value["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    value
}

/// Returns the package's URL.
fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}
