//! Finds the id of an image by its file name.

use std::collections::HashMap;

/// Extensions that a file name in results or annotations may have instead of the file's.
const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "jpe", "jfif", "tif"];

/// The file names of a dataset with their ids.
#[derive(Clone, Debug, Default)]
pub struct ImageNames {
    /// Id and `/`-separated path of each image.
    images: Vec<(i64, String)>,
    /// Indices into `images` by file name.
    by_name: HashMap<String, Vec<usize>>,
    /// Indices into `images` by file name without extension.
    by_stem: HashMap<String, Vec<usize>>,
}

/// Two images match a file name equally well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is ambiguous: it matches `{first}` and `{second}`; give more of the path")]
pub struct AmbiguousName {
    /// The file name that is looked for.
    pub name: String,
    /// One image.
    pub first: String,
    /// Another image.
    pub second: String,
}

impl ImageNames {
    /// Indexes ids and file names.
    #[must_use]
    pub fn new(images: impl IntoIterator<Item = (i64, String)>) -> Self {
        let mut names = Self::default();
        for (id, file) in images {
            let file = file.replace('\\', "/");
            let name = file_name(&file).to_owned();
            let index = names.images.len();
            names.by_stem.entry(stem(&name).to_owned()).or_default().push(index);
            names.by_name.entry(name).or_default().push(index);
            names.images.push((id, file));
        }
        names
    }

    /// Returns the id of the image whose path has the longest common suffix with `path`, which may lack its
    /// extension; `None` if no image has this file name.
    ///
    /// # Errors
    /// [`AmbiguousName`] when two images match equally well.
    pub fn find(&self, path: &str) -> Result<Option<i64>, AmbiguousName> {
        let path = path.replace('\\', "/");
        let name = file_name(&path);
        let own_stem = || {
            let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
            let known = EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension));
            known.then(|| self.by_stem.get(stem(name))).flatten()
        };
        let candidates = self.by_name.get(name).or_else(|| self.by_stem.get(name)).or_else(own_stem);
        let Some(candidates) = candidates else { return Ok(None) };
        let folders: Vec<&str> = folders(&path);
        let score = |index: usize| {
            let own = self::folders(&self.images[index].1);
            let common = own.iter().zip(&folders).take_while(|(a, b)| a == b).count();
            // A path that is completely a suffix of the other one is a better match than one that differs.
            (common, common == own.len(), common == folders.len() && common == own.len())
        };
        let best = candidates.iter().map(|&index| score(index)).max();
        let mut of_best = candidates.iter().copied().filter(|&index| Some(score(index)) == best);
        let (first, second) = (of_best.next(), of_best.next());
        match (first, second) {
            (Some(first), Some(second)) => Err(AmbiguousName {
                name: path,
                first: self.images[first].1.clone(),
                second: self.images[second].1.clone(),
            }),
            (first, _) => Ok(first.map(|index| self.images[index].0)),
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}

/// The folders of a path, the innermost first.
fn folders(path: &str) -> Vec<&str> {
    path.rsplit('/').skip(1).filter(|part| !part.is_empty() && *part != ".").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], path: &str) -> Result<Option<i64>, String> {
        let images = files.iter().enumerate().map(|(index, file)| (index as i64 + 1, (*file).to_owned()));
        ImageNames::new(images).find(path).map_err(|error| error.to_string())
    }

    #[test]
    fn images_are_found_by_the_longest_path_suffix() {
        let cameras = ["cam1/0001.png", "cam2/0001.png"];
        assert_eq!(found(&cameras, "d/cam2/0001.png"), Ok(Some(2)));
        assert_eq!(found(&cameras, "d\\cam1\\0001.png"), Ok(Some(1)));
        assert_eq!(found(&cameras, "cam2/0001"), Ok(Some(2)));
        let error = found(&cameras, "0001.png");
        assert!(
            error.as_ref().is_err_and(|e| e.contains("cam1/0001.png") && e.contains("cam2/0001.png")),
            "{error:?}"
        );
        assert_eq!(found(&["a.png", "x/a.png"], "a.png"), Ok(Some(1)));
        assert_eq!(found(&["a.png", "x/a.png"], "d/a.png"), Ok(Some(1)));
        assert_eq!(found(&["a.png", "x/a.png"], "d/x/a.png"), Ok(Some(2)));
    }

    #[test]
    fn extensions_may_be_absent_or_differ() {
        assert_eq!(found(&["frame.001.jpg", "b.jpg"], "frame.001"), Ok(Some(1)));
        assert_eq!(found(&["frame.jpg"], "frame.png"), Ok(Some(1)));
        assert_eq!(found(&["frame.jpg"], "frame.001"), Ok(None));
        assert_eq!(found(&["a.jpg"], "c"), Ok(None));
        assert_eq!(found(&[".hidden"], ".hidden"), Ok(Some(1)));
    }
}
