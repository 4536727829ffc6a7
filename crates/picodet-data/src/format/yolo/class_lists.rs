//! Compares the class names that are read with those of other files of the dataset.

use std::path::{Path, PathBuf};

use super::data_yaml::{DataYaml, is_data_yaml, load_yaml};
use super::folder::{CLASS_LISTS, OTHER_LISTS};
use super::label_path::has_rows;
use crate::class_names::{is_placeholder, read_names};
use crate::dataset::display;
use crate::finding::{FindingKind, Findings, Location};
use crate::paths::real;
use crate::sniff::files_with_extension;
use crate::text::clip;

/// Reports the class lists and data files next to `file`, or in the folder `root` of the dataset, that have another name for
/// an index. `root_of` returns the folder of the dataset of another data file with its `path`.
pub(super) fn report_other_lists(
    file: &Path,
    root: &Path,
    data: &DataYaml,
    root_of: &dyn Fn(&Path, Option<&str>) -> PathBuf,
    findings: &mut Findings,
) {
    let home = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut folders = vec![home];
    if real(home) != real(root) {
        folders.push(root);
    }
    let mut report = |other: &Path, names: &[(u32, String)]| {
        let own = |index: u32| data.indices.iter().position(|own| *own == index).map(|at| &data.names[at]);
        let differs = |(index, name): &&(u32, String)| {
            own(*index).is_some_and(|own| own.trim() != name.trim() && !name.trim().is_empty())
        };
        let Some((index, name)) = names.iter().find(differs) else { return };
        let message = format!(
            "class {index} is `{}` here, but `{}` in {}, which is read",
            clip(name),
            own(*index).map(|own| clip(own)).unwrap_or_default(),
            display(file)
        );
        findings.push(FindingKind::ClassListsDiffer, Location::file(display(other)), message);
    };
    for folder in folders {
        for list in CLASS_LISTS.iter().chain(&OTHER_LISTS).map(|list| folder.join(list)) {
            if list.is_file()
                && real(&list) != real(file)
                && !has_rows(&list)
                && let Ok(mut names) = read_names(&list, &mut Findings::default())
            {
                names.retain(|name| !is_placeholder(name));
                report(&list, &(0..).zip(names).collect::<Vec<_>>());
            }
        }
        for yaml in files_with_extension(folder, &["yaml", "yml"]) {
            if real(&yaml) != real(file)
                && is_data_yaml(&yaml)
                && let Ok(other) = load_yaml(&yaml, &mut Findings::default())
                && real(&root_of(&yaml, other.path.as_deref())) == real(root)
            {
                report(&yaml, &other.indices.into_iter().zip(other.names).collect::<Vec<_>>());
            }
        }
    }
}
