//! Finds fonts of the system that have Chinese, Japanese and Korean characters.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::font_file::FontFile;

/// File names of fonts, lower case and without extension, best first, and the face of a collection (.ttc) to
/// take. A name ends at `*` where the rest does not matter.
const KNOWN: [(&str, u32); 28] = [
    // Face 2 of Noto's collections has the simplified Chinese forms.
    ("notosanscjk-medium", 2),
    ("notosanscjk-regular", 2),
    ("notosanscjksc-*", 0),
    ("notosanssc*", 0),
    ("sourcehansans*", 0),
    ("sourcehanserif*", 0),
    ("notoserifcjk-regular", 2),
    ("wqy-microhei", 0),
    ("wqy-zenhei", 0),
    // macOS
    ("pingfang", 0),
    ("hiragino sans gb", 0),
    ("stheiti medium", 0),
    ("stheiti light", 0),
    ("ヒラギノ角ゴシック w4", 0),
    ("applesdgothicneo", 0),
    ("arial unicode", 0),
    // Windows
    ("msyh", 0),
    ("deng", 0),
    ("simhei", 0),
    ("simsun", 0),
    ("msjh", 0),
    ("yugothm", 0),
    ("meiryo", 0),
    ("msgothic", 0),
    ("malgun", 0),
    ("droidsansfallback*", 0),
    ("unifont*", 0),
    ("dejavusans", 0),
];
/// Folders of folders that are searched.
const DEPTH: usize = 6;
/// Entries of folders that are read at most.
const MAX_ENTRIES: usize = 20_000;
/// Fonts that are opened at most.
const MAX_FONTS: usize = 12;

/// System fonts, found and read on the first character that needs them.
#[derive(Debug)]
pub(super) struct SystemFonts {
    folders: Vec<PathBuf>,
    /// `None` before the folders have been searched.
    fonts: Mutex<Option<Vec<SystemFont>>>,
}

#[derive(Debug)]
struct SystemFont {
    path: PathBuf,
    face: u32,
    /// The characters as ranges; `None` before the file has been read.
    coverage: Option<Vec<(u32, u32)>>,
    /// Kept only when a caption uses it: these files have tens of megabytes.
    file: Option<Arc<FontFile>>,
}

impl SystemFonts {
    /// The folders in which Linux, macOS, Windows and Android keep fonts.
    pub(super) fn installed() -> Self {
        let mut folders: Vec<PathBuf> =
            ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts"]
                .into_iter()
                .chain(["/System/Library/AssetsV2", "/system/fonts"])
                .map(PathBuf::from)
                .collect();
        for (variable, below) in [
            ("HOME", ".local/share/fonts"),
            ("HOME", ".fonts"),
            ("HOME", "Library/Fonts"),
            ("WINDIR", "Fonts"),
            ("LOCALAPPDATA", "Microsoft/Windows/Fonts"),
        ] {
            folders.extend(std::env::var_os(variable).map(|base| Path::new(&base).join(below)));
        }
        Self::in_folders(&folders)
    }

    pub(super) fn in_folders(folders: &[PathBuf]) -> Self {
        Self { folders: folders.to_vec(), fonts: Mutex::new(None) }
    }

    /// The best font with a glyph for `character`.
    pub(super) fn font_of(&self, character: char) -> Option<Arc<FontFile>> {
        let mut fonts = self.fonts.lock().unwrap_or_else(PoisonError::into_inner);
        let fonts = fonts.get_or_insert_with(|| search(&self.folders));
        fonts.iter_mut().find_map(|font| font.with(character))
    }
}

impl SystemFont {
    /// The file if it has `character`; reads it where necessary.
    fn with(&mut self, character: char) -> Option<Arc<FontFile>> {
        if let Some(ranges) = &self.coverage
            && !covers(ranges, u32::from(character))
        {
            return None;
        }
        if let Some(file) = &self.file {
            return Some(Arc::clone(file));
        }
        // A broken or missing file covers no characters.
        let file = FontFile::read(&self.path, self.face).or_else(|_| FontFile::read(&self.path, 0)).ok();
        let ranges = self.coverage.insert(file.as_ref().map_or_else(Vec::new, coverage));
        if !covers(ranges, u32::from(character)) {
            return None;
        }
        self.file = file.map(Arc::new);
        self.file.clone()
    }
}

fn covers(ranges: &[(u32, u32)], character: u32) -> bool {
    let after = ranges.partition_point(|range| range.0 <= character);
    after > 0 && ranges[after - 1].1 >= character
}

/// The characters of a font as sorted ranges.
fn coverage(file: &FontFile) -> Vec<(u32, u32)> {
    let mut characters = Vec::new();
    if let Some(face) = file.face()
        && let Some(cmap) = face.tables().cmap
    {
        for table in cmap.subtables.into_iter().filter(ttf_parser::cmap::Subtable::is_unicode) {
            table.codepoints(|character| {
                if table.glyph_index(character).is_some() {
                    characters.push(character);
                }
            });
        }
    }
    characters.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for character in characters {
        match ranges.last_mut() {
            Some(last) if character <= last.1 + 1 => last.1 = character,
            _ => ranges.push((character, character)),
        }
    }
    ranges
}

/// The known fonts in the folders, best first.
fn search(folders: &[PathBuf]) -> Vec<SystemFont> {
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    let mut rest = MAX_ENTRIES;
    let mut pending: Vec<(PathBuf, usize)> =
        folders.iter().rev().map(|folder| (folder.clone(), DEPTH)).collect();
    while let Some((folder, depth)) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            if rest == 0 {
                break;
            }
            rest -= 1;
            let path = entry.path();
            if let Some(rank) = rank(&path) {
                found.push((rank, path));
            } else if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push((path, depth - 1));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(MAX_FONTS);
    let font = |(rank, path): (usize, PathBuf)| {
        let collection = path.extension().is_some_and(|ending| !ending.eq_ignore_ascii_case("ttf"));
        SystemFont { path, face: if collection { KNOWN[rank].1 } else { 0 }, coverage: None, file: None }
    };
    found.into_iter().map(font).collect()
}

/// The index in [`KNOWN`] of a font file.
fn rank(path: &Path) -> Option<usize> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    if !matches!(ending.as_str(), "ttf" | "otf" | "ttc" | "otc") {
        return None;
    }
    let stem = path.file_stem()?.to_str()?.to_lowercase();
    KNOWN.iter().position(|(name, _)| match name.strip_suffix('*') {
        Some(beginning) => stem.starts_with(beginning),
        None => stem == *name,
    })
}
