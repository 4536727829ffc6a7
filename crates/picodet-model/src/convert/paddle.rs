//! The files of a Paddle inference model: program, parameters and description.

use std::path::{Path, PathBuf};

use picodet_format::tar::{TarFile, tar_files};

use super::error::ConvertError;

/// Names of the program in a folder or archive, those of newer versions first.
const PROGRAMS: &[&str] =
    &["inference.json", "inference.pdmodel", "model.json", "model.pdmodel", "__model__"];
/// Names of the description of an exported model.
const DESCRIPTIONS: &[&str] = &["inference.yml", "infer_cfg.yml"];

/// The contents of an inference model.
pub(super) struct Files {
    pub(super) program: Vec<u8>,
    pub(super) parameters: Vec<u8>,
    /// The file of the parameters.
    pub(super) parameters_path: PathBuf,
    /// The text of the description.
    description: Option<String>,
}

impl Files {
    /// Reads the files by the path of one of them, whose `contents` are known, of their folder or of their archive;
    /// `parameters` overrides that of the parameters.
    pub(super) fn read(
        source: &Path,
        contents: Vec<u8>,
        parameters: Option<&Path>,
    ) -> Result<Self, ConvertError> {
        if source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar")) {
            return Self::of_archive(source, &contents);
        }
        let program = program_path(source)?;
        let parameters = parameters.map_or_else(|| parameters_path(&program), Path::to_path_buf);
        let description =
            DESCRIPTIONS.iter().find_map(|name| std::fs::read_to_string(program.with_file_name(name)).ok());
        Ok(Self {
            program: if program == source { contents } else { read_file(&program)? },
            parameters: read_file(&parameters)?,
            parameters_path: parameters,
            description,
        })
    }

    fn of_archive(source: &Path, contents: &[u8]) -> Result<Self, ConvertError> {
        let files = tar_files(contents)
            .map_err(|error| ConvertError::Archive { path: source.to_path_buf(), source: error })?;
        let find = |name: &str| files.iter().find(|file| file.name == name);
        let no_model = || ConvertError::Folder(source.to_path_buf());
        let program = PROGRAMS.iter().find_map(|name| find(name)).ok_or_else(no_model)?;
        let parameters = parameters_path(Path::new(program.name));
        let parameters = find(&parameters.to_string_lossy()).ok_or_else(no_model)?;
        let description = DESCRIPTIONS.iter().find_map(|name| find(name));
        let text = |file: &TarFile<'_>| String::from_utf8_lossy(file.contents).into_owned();
        Ok(Self {
            program: program.contents.to_vec(),
            parameters: parameters.contents.to_vec(),
            parameters_path: source.join(parameters.name),
            description: description.map(text),
        })
    }

    /// Returns the class names of the description, if there is one.
    pub(super) fn class_names(&self) -> Option<Vec<String>> {
        labels(self.description.as_deref()?)
    }
}

/// Returns the path of the program.
fn program_path(source: &Path) -> Result<PathBuf, ConvertError> {
    if source.is_dir() {
        let existing = PROGRAMS.iter().map(|name| source.join(name)).find(|path| path.is_file());
        return existing.ok_or_else(|| ConvertError::Folder(source.to_path_buf()));
    }
    if source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pdiparams")) {
        let candidates = [source.with_extension("json"), source.with_extension("pdmodel")];
        let existing = candidates.into_iter().find(|path| path.is_file());
        return existing.ok_or_else(|| ConvertError::NoProgram(source.to_path_buf()));
    }
    if source.extension().is_none() && source.file_name().is_none_or(|name| name != "__model__") {
        return Err(ConvertError::Format(source.to_path_buf()));
    }
    Ok(source.to_path_buf())
}

/// Returns the path of the parameters of a program.
fn parameters_path(program: &Path) -> PathBuf {
    match program.extension() {
        Some(_) => program.with_extension("pdiparams"),
        None => program.with_file_name("__params__"),
    }
}

/// Reads a file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ConvertError> {
    std::fs::read(path).map_err(|source| ConvertError::Read { path: path.to_path_buf(), source })
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
