//! Seeds of the fuzz targets: files of the tests' generators, those in `fuzz/seeds`, and small ones of the reference data.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

#[path = "../../../crates/picodet-weights/tests/forms/ncnn.rs"]
mod ncnn;
#[path = "../../../crates/picodet-weights/tests/forms/onnx.rs"]
mod onnx;
#[path = "../../../crates/picodet-weights/tests/forms/paddle.rs"]
mod paddle;
#[path = "../../../crates/picodet-weights/tests/forms/pdparams.rs"]
mod pdparams;
#[path = "../../../crates/picodet-weights/tests/common/mod.rs"]
mod small_weights;
#[path = "../../../crates/picodet-data/tests/layouts/generator.rs"]
mod tools;

/// Larger files make slow seeds.
const MAX_SEED: usize = 16 << 10;
/// The most files that are taken from one folder of the reference data.
const MAX_FILES: usize = 200;

/// A seed: its name and content.
type Seed = (String, Vec<u8>);

/// Writes the seeds of a target and returns their number.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn write(target: &str, folder: &Path) -> Result<usize> {
    let mut seeds = match target {
        "layout" => layouts()?,
        "coco" | "results" | "labelme" => files_of_tools(&["json"])?,
        "voc" => files_of_tools(&["xml"])?,
        "yolo" => files_of_tools(&["txt", "yaml", "yml"])?,
        "text" => files_of_tools(&["txt", "yaml", "json", "xml"])?,
        "onnx" => named(onnx::forms()).chain([("small".to_owned(), small_weights::model())]).collect(),
        "pdparams" => named(pdparams::forms())
            .chain(named(pdparams::wrapped()))
            .chain([("small".to_owned(), small_weights::sound_pickle())])
            .collect(),
        "ncnn" => (ncnn::forms().into_iter())
            .chain([("plain", ncnn::PLAIN.to_owned(), ncnn::plain_bin())])
            .map(|(name, param, bin)| (name.to_owned(), [param.as_bytes(), &[0], &bin].concat()))
            .collect(),
        "paddle" => (paddle::forms().into_iter())
            .map(|(name, program, parameters)| {
                let length = (program.len() as u16).to_le_bytes();
                (name, [&length[..], &program, &parameters].concat())
            })
            .collect(),
        "safetensors" => vec![
            ("plain".to_owned(), small_weights::native()),
            ("8-bit rows".to_owned(), small_weights::native_rows()),
        ],
        _ => Vec::new(),
    };
    seeds.extend(small_files(&Path::new("fuzz/seeds").join(target))?);
    for place in places(target) {
        seeds.extend(small_files(&picodet_testing::shared_folder().join(place))?);
    }
    fs::create_dir_all(folder)?;
    for (name, content) in &seeds {
        let path = folder.join(name.replace(['/', ' '], "-"));
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(seeds.len())
}

/// Folders of the reference data with small files for a target.
fn places(target: &str) -> &'static [&'static str] {
    match target {
        "image" => &[
            "data/odd_images/exif",
            "data/odd_images/jpeg_ref",
            "data/odd_images/jpeg_ref/mozilla",
            "data/odd_images/jpeg_ref/lossless/1",
            "data/odd_images/png16",
            "data/odd_images/pngsuite",
            "data/odd_images/webp/extended_images",
            "data/odd_images/webp/lossless_images",
            "data/odd_images/webp/lossy_images",
        ],
        "voc" => &["data/bccd/Annotations"],
        _ => &[],
    }
}

fn named(forms: Vec<(&'static str, Vec<u8>)>) -> impl Iterator<Item = Seed> {
    forms.into_iter().map(|(name, content)| (name.to_owned(), content))
}

/// Returns the small files directly in a folder; none if it does not exist.
fn small_files(folder: &Path) -> Result<Vec<Seed>> {
    let Ok(listing) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = listing.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.metadata().is_ok_and(|data| data.is_file() && data.len() <= MAX_SEED as u64));
    paths.sort_unstable();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().take(MAX_FILES).map(|path| Ok((name(path), fs::read(path)?))).collect()
}

/// Returns the files of all labelling tools with one of the extensions.
fn files_of_tools(extensions: &[&str]) -> Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for (tool, files) in exports()? {
        let wanted = |path: &str| extensions.iter().any(|extension| path.ends_with(&format!(".{extension}")));
        let files = files.into_iter().filter(|(path, _)| wanted(path));
        seeds.extend(files.map(|(path, content)| (format!("{tool}-{path}"), content)));
    }
    Ok(seeds)
}

/// Returns the inputs of the target `layout`: each tool's export with each of the operations.
fn layouts() -> Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for (tool, files) in exports()? {
        let mut export = Vec::new();
        for (path, content) in &files {
            // The target supplies pictures.
            let content = if path.ends_with(".png") { &[][..] } else { content };
            export.extend([&[0xF8], path.as_bytes(), &[0xF9], content].concat());
        }
        for operation in [0, 1, 3, 0x84, 0x85, 0x86, 0x87] {
            seeds.push((format!("{tool}-{operation}"), [&[operation], &export[..]].concat()));
        }
    }
    Ok(seeds)
}

/// Returns the name of each tool, and the paths and contents of its export.
fn exports() -> Result<Vec<(&'static str, Vec<Seed>)>> {
    let folder = std::env::temp_dir().join(format!("picodet-seeds-{}", std::process::id()));
    let mut exports = Vec::new();
    for &(tool, write, _) in tools::TOOLS {
        let root = folder.join(tool);
        write(&root);
        let mut files = Vec::new();
        collect(&root, "", &mut files)?;
        files.sort_unstable();
        exports.push((tool, files));
    }
    fs::remove_dir_all(&folder)?;
    Ok(exports)
}

fn collect(folder: &Path, above: &str, files: &mut Vec<Seed>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = format!("{above}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            files.push((name, fs::read(&path)?));
        }
    }
    Ok(())
}
