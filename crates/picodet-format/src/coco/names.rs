//! Finds the id of an image by its file name.

use std::collections::HashMap;

/// Extensions that a file name in results or annotations may have instead of the file's.
const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "jpe", "jfif", "tif"];

/// The file names of a dataset with their ids.
#[derive(Clone, Debug, Default)]
pub struct ImageNames {
    /// Id and `/`-separated path of each image.
    images: Vec<(i64, String)>,
    /// Indices into `images` by file name without extension, in lower case.
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
            let key = stem(file_name(&file)).to_lowercase();
            names.by_stem.entry(key).or_default().push(names.images.len());
            names.images.push((id, file));
        }
        names
    }

    /// Returns the id of each image by the number in its file name, whose only digits are at the end of the stem. Empty
    /// if a file name has no such number, or two have the same.
    #[must_use]
    pub fn by_number(&self) -> HashMap<i64, i64> {
        let mut ids = HashMap::with_capacity(self.images.len());
        for (id, file) in &self.images {
            let stem = stem(file_name(file));
            let digits = stem.trim_start_matches(|c: char| !c.is_ascii_digit());
            match digits.parse() {
                Ok(number) if ids.insert(number, *id).is_none() => {}
                _ => return HashMap::new(),
            }
        }
        ids
    }

    /// Whether the image of this id has the file name of `path`, regardless of folders, extension and letter case.
    #[must_use]
    pub fn is_named(&self, id: i64, path: &str) -> bool {
        let path = path.replace('\\', "/");
        let same = self.by_stem.get(&stem(file_name(&path)).to_lowercase());
        same.into_iter().flatten().any(|&index| self.images[index].0 == id)
    }

    /// Returns the id of the image whose path has the longest common suffix with `path`, which may lack its extension, have
    /// another one, or differ in letter case; `None` if no image has this file name.
    ///
    /// # Errors
    /// [`AmbiguousName`] when two images match equally well.
    pub fn find(&self, path: &str) -> Result<Option<i64>, AmbiguousName> {
        let path = path.replace('\\', "/");
        let name = file_name(&path);
        let key = name.to_lowercase();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let is_known = EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension));
        // How well a file name matches; `None` if it is another one.
        let likeness = |own: &str| {
            let own_key = own.to_lowercase();
            match () {
                () if own == name => Some(3),
                () if own_key == key => Some(2),
                () if stem(&own_key) == key => Some(1),
                () if is_known && stem(&own_key) == stem(&key) => Some(0),
                () => None,
            }
        };
        let keys = [stem(&key), key.as_str()];
        let keys = if keys[0] == keys[1] { &keys[..1] } else { &keys };
        let of_stem = keys.iter().filter_map(|key| self.by_stem.get(*key)).flatten().copied();
        let candidates: Vec<(usize, u8)> =
            of_stem.filter_map(|index| Some((index, likeness(file_name(&self.images[index].1))?))).collect();
        let folders: Vec<&str> = folders(&path);
        let score = |(index, likeness): (usize, u8)| {
            let own = self::folders(&self.images[index].1);
            let pairs = || own.iter().zip(&folders);
            let common = pairs().take_while(|(a, b)| a.to_lowercase() == b.to_lowercase()).count();
            let exact = pairs().take_while(|(a, b)| a == b).count();
            // A path that is completely a suffix of the other one is a better match than one that differs.
            let whole = common == own.len();
            (common, whole, whole && common == folders.len(), exact, likeness)
        };
        let best = candidates.iter().map(|&candidate| score(candidate)).max();
        let of_best = candidates.iter().filter(|&&candidate| Some(score(candidate)) == best);
        let mut of_best = of_best.map(|candidate| candidate.0);
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

/// Returns the file name of a path with `/` or `\` without its extension.
#[must_use]
pub fn file_stem(path: &str) -> &str {
    stem(path.rsplit(['/', '\\']).next().unwrap_or(path))
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
    fn the_folder_counts_more_than_extension_and_letter_case() {
        for first in ["cam1/0001.JPG", "cam1/0001", "cam1/0001.png", "CAM1/0001.jpg"] {
            assert_eq!(found(&[first, "cam2/0001.jpg"], "im/cam1/0001.jpg"), Ok(Some(1)), "{first}");
        }
        assert_eq!(found(&["cam1/0001.jpg", "cam2/0001.jpg"], "CAM2/0001.PNG"), Ok(Some(2)));
        assert_eq!(found(&["ABC.JPG"], "abc.jpg"), Ok(Some(1)));
        assert_eq!(found(&["a.jpg", "A.jpg"], "A.jpg"), Ok(Some(2)));
        assert_eq!(found(&["x/a.jpg", "X/a.jpg"], "d/X/a.jpg"), Ok(Some(2)));
        assert!(found(&["a.jpg", "A.jpg"], "a.png").is_err());
    }

    #[test]
    fn numbers_of_file_names_are_unique() {
        let numbers = |files: [&str; 2]| {
            let images = [5, 6].into_iter().zip(files.map(str::to_owned));
            let mut found: Vec<(i64, i64)> = ImageNames::new(images).by_number().into_iter().collect();
            found.sort_unstable();
            found
        };
        assert_eq!(numbers(["x/000012.jpg", "frame_3.jpg"]), [(3, 6), (12, 5)]);
        for others in [["012.jpg", "12.jpg"], ["a.jpg", "1.jpg"], ["1_2.jpg", "3.jpg"]] {
            assert_eq!(numbers(others), []);
        }
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
