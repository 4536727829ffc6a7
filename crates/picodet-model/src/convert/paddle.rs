//! The files of a Paddle inference model: program, parameters and description.

use std::path::{Path, PathBuf};

use super::error::ConvertError;

/// Names of the program in a folder, those of newer versions first.
const PROGRAMS: &[&str] =
    &["inference.json", "inference.pdmodel", "model.json", "model.pdmodel", "__model__"];
/// Names of the description of an exported model.
const DESCRIPTIONS: &[&str] = &["inference.yml", "infer_cfg.yml"];

/// The paths of an inference model.
pub(super) struct Files {
    pub(super) program: PathBuf,
    pub(super) parameters: PathBuf,
}

impl Files {
    /// Finds the files by the path of one of them or of their folder; `parameters` overrides that of the parameters.
    pub(super) fn find(source: &Path, parameters: Option<&Path>) -> Result<Self, ConvertError> {
        let program = if source.is_dir() {
            let existing = PROGRAMS.iter().map(|name| source.join(name)).find(|path| path.is_file());
            existing.ok_or_else(|| ConvertError::Folder(source.to_path_buf()))?
        } else if source.extension().is_some_and(|extension| extension == "pdiparams") {
            let candidates = [source.with_extension("json"), source.with_extension("pdmodel")];
            let existing = candidates.into_iter().find(|path| path.is_file());
            existing.ok_or_else(|| ConvertError::NoProgram(source.to_path_buf()))?
        } else if source.extension().is_none() && source.file_name().is_none_or(|name| name != "__model__") {
            return Err(ConvertError::Format(source.to_path_buf()));
        } else {
            source.to_path_buf()
        };
        let beside = || match program.extension() {
            Some(_) => program.with_extension("pdiparams"),
            None => program.with_file_name("__params__"),
        };
        let parameters = parameters.map_or_else(beside, Path::to_path_buf);
        Ok(Self { program, parameters })
    }

    /// Returns the class names of the description beside the program, if there is one.
    pub(super) fn class_names(&self) -> Option<Vec<String>> {
        let text = DESCRIPTIONS
            .iter()
            .find_map(|name| std::fs::read_to_string(self.program.with_file_name(name)).ok())?;
        labels(&text)
    }
}

/// Returns the items of the list `label_list` of a YAML text.
fn labels(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| line.trim() != "label_list:");
    lines.next()?;
    let item = |line: &str| Some(line.trim_start().strip_prefix("- ")?.trim().to_owned());
    let unquoted = |name: String| {
        let inner = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote).map(ToOwned::to_owned);
        inner('\'').or_else(|| inner('"')).unwrap_or(name)
    };
    let names: Vec<String> = lines.map_while(item).map(unquoted).collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn labels_are_the_items_of_their_list() {
        let text = "mode: paddle\nlabel_list:\n- person\n- 'traffic light'\n- \"hot dog\"\nNMS:\n- x\n";
        assert_eq!(labels(text).unwrap_or_default(), ["person", "traffic light", "hot dog"]);
        assert_eq!(labels("PostProcess:\n  label_list:\n  - a\n  - b\n").unwrap_or_default(), ["a", "b"]);
        assert_eq!(labels("mode: paddle\n"), None);
    }
}
