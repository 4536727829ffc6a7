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
        let names: Vec<String> = files.iter().map(|file| file.name.to_owned()).collect();
        let program = program_of(source, &names)?;
        // The names lack their folders.
        if files.iter().filter(|file| file.name == program).count() > 1 {
            let names = vec![program.clone(); 2];
            return Err(ConvertError::Several { path: source.to_path_buf(), names });
        }
        let program = find(&program).ok_or_else(no_model)?;
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
        let read = |error| ConvertError::Read { path: source.to_path_buf(), source: error };
        let entries = std::fs::read_dir(source).map_err(read)?;
        let names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        return Ok(source.join(program_of(source, &names)?));
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

/// Returns the program among the files of a folder or archive.
fn program_of(source: &Path, files: &[String]) -> Result<String, ConvertError> {
    let is_there = |name: &Path| files.iter().any(|file| Path::new(file) == name);
    let is_program = |name: &&String| {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        let is_named =
            extension.map_or(**name == "__model__", |extension| ["json", "pdmodel"].contains(&extension));
        is_named && is_there(&parameters_path(Path::new(name)))
    };
    // Of two programs with the same parameters, Paddle 3's.
    let rank =
        |name: &String| PROGRAMS.iter().position(|known| name.ends_with(known)).unwrap_or(PROGRAMS.len());
    let mut programs: Vec<&String> = files.iter().filter(is_program).collect();
    programs.sort_by_key(|name| (rank(name), *name));
    let mut of_parameters: Vec<PathBuf> = Vec::new();
    programs.retain(|name| {
        let parameters = parameters_path(Path::new(name));
        let is_new = !of_parameters.contains(&parameters);
        of_parameters.push(parameters);
        is_new
    });
    match programs.as_slice() {
        [program] => Ok((*program).clone()),
        [] => {
            // A program without its parameters: the error of the missing file has its path.
            let known = PROGRAMS.iter().find(|name| is_there(Path::new(name)));
            known.map(ToString::to_string).ok_or_else(|| ConvertError::Folder(source.to_path_buf()))
        }
        several => {
            let names = several.iter().map(ToString::to_string).collect();
            Err(ConvertError::Several { path: source.to_path_buf(), names })
        }
    }
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
    use std::path::Path;

    use super::{labels, program_of};

    #[test]
    fn of_several_models_in_a_folder_none_is_chosen() {
        let program = |files: &[&str]| {
            let files: Vec<String> = files.iter().map(ToString::to_string).collect();
            program_of(Path::new("m"), &files).map_err(|error| error.to_string())
        };
        let found = |name: &str| Ok(name.to_owned());
        assert_eq!(
            program(&["inference.yml", "inference.json", "inference.pdiparams"]),
            found("inference.json")
        );
        assert_eq!(program(&["net.pdmodel", "net.pdiparams", "notes.json"]), found("net.pdmodel"));
        assert_eq!(program(&["__model__", "__params__"]), found("__model__"));
        // Both forms of one program.
        let both = ["inference.pdmodel", "inference.pdiparams", "inference.json"];
        assert_eq!(program(&both), found("inference.json"));
        assert_eq!(program(&["model.pdmodel"]), found("model.pdmodel"));
        let error = program(&["model.pdmodel", "model.pdiparams", "inference.json", "inference.pdiparams"]);
        let expected =
            "m: it holds several models: `inference.json` and `model.pdmodel`; give the path of one of them";
        assert_eq!(error, Err(expected.to_owned()));
        assert!(program(&["a.txt"]).is_err_and(|error| error.contains("no Paddle inference model")));
    }

    #[test]
    fn labels_are_the_items_of_their_list() {
        let text = "mode: paddle\nlabel_list:\n- person\n- 'traffic light'\n- \"hot dog\"\nNMS:\n- x\n";
        assert_eq!(labels(text).unwrap_or_default(), ["person", "traffic light", "hot dog"]);
        assert_eq!(labels("PostProcess:\n  label_list:\n  - a\n  - b\n").unwrap_or_default(), ["a", "b"]);
        assert_eq!(labels("mode: paddle\n"), None);
    }
}
