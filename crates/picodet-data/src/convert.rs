//! Writes a dataset in any format, and converts between formats.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::class_list::unified;
use crate::contained::{real_images, without_contained};
use crate::dataset::{Dataset, Format, ImageRecord, Object, Part};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings};
use crate::format::handler::{FormatHandler, SplitOutput, make_parent};
use crate::format::handler_of;
use crate::image_file::{ImageHeader, is_cut_off, read_header};
use crate::image_names::{names_in, safe, stays_inside};
use crate::image_sizes::with_image_sizes;
use crate::loss::Loss;
use crate::open::{open_split, refuse_faults_of_copy, splits_without_unions};
use crate::unread::find_unread;

/// Treatment of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Images {
    /// Copied into the new dataset.
    Copy,
    /// Not copied: only labels are written, with the names that copies would have.
    Leave,
}

/// Options of [`convert`], [`write()`] and [`crate::fix()`]; [`Images`] converts into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Treatment of the images.
    pub images: Images,
    /// Whether objects may be left out that cannot be read or that the format cannot represent; otherwise
    /// they are an error.
    pub allow_loss: bool,
    /// Whether crowd regions are read as ordinary objects.
    pub crowds_as_objects: bool,
}

impl From<Images> for WriteOptions {
    fn from(images: Images) -> Self {
        Self { images, allow_loss: false, crowds_as_objects: false }
    }
}

impl WriteOptions {
    /// Sets whether objects may be left out.
    #[must_use]
    pub fn with_loss(mut self, allow: bool) -> Self {
        self.allow_loss = allow;
        self
    }

    /// Sets whether crowd regions are read as ordinary objects.
    #[must_use]
    pub fn with_crowds_as_objects(mut self, crowds_as_objects: bool) -> Self {
        self.crowds_as_objects = crowds_as_objects;
        self
    }
}

/// The result of writing a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteReport {
    /// Number of images with written labels.
    pub images: usize,
    /// Number of written objects.
    pub objects: usize,
    /// Contents that were left out: objects and fields that cannot be read, or that the format cannot
    /// represent.
    pub losses: Vec<Loss>,
    /// Images that could not be copied: they do not exist, or are outside of the dataset and not images.
    pub missing: Vec<PathBuf>,
    /// Number of images whose label states another size than the image has, among those that are read: all for YOLO, which
    /// stores boxes as fractions of the size and takes it from the image, otherwise those that are copied.
    pub corrected_sizes: usize,
}

/// Converts the dataset at `from` (all splits, or one) to `format` under `out`.
///
/// # Errors
/// [`DataError`]: as [`Dataset::open`] and [`write()`].
pub fn convert(
    from: impl AsRef<Path>,
    split: Option<&str>,
    format: Format,
    out: impl AsRef<Path>,
    options: impl Into<WriteOptions>,
) -> Result<WriteReport, DataError> {
    let (from, options) = (from.as_ref(), options.into());
    let names = match split {
        Some(split) => vec![Some(split.to_string())],
        None => match splits_without_unions(from)? {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        },
    };
    let mut findings = Findings::default();
    let mut loaded = Vec::new();
    for name in names {
        loaded.push(open_split(from, name.as_deref())?);
    }
    let loaded = without_contained(loaded, &mut findings);
    let mut datasets: Vec<Dataset> = Vec::new();
    for part in loaded {
        findings.extend(part.findings);
        datasets.push(part.dataset);
    }
    // Splits can share label files and therefore their faults.
    findings.deduplicate();
    if split.is_none() {
        findings.extend(find_unread(from, &datasets.iter().collect::<Vec<_>>()).into_findings());
    }
    if !options.allow_loss {
        refuse_faults_of_copy(&findings, from)?;
    }
    if options.crowds_as_objects {
        datasets.iter_mut().for_each(Dataset::crowds_as_objects);
    }
    let out = out.as_ref();
    let not_finite = remove_not_finite(&mut datasets);
    if let (false, Some(loss)) = (options.allow_loss, &not_finite) {
        return Err(DataError::WouldLose { path: out.to_path_buf(), losses: vec![loss.clone()] });
    }
    let parts: Vec<Part<'_>> =
        datasets.iter().map(|dataset| Part { name: dataset.split_name(), dataset }).collect();
    let copy = datasets.iter().all(|dataset| dataset.format == format);
    let of_reader = if copy { findings.losses_of_copy() } else { findings.losses() };
    let points = of_reader.iter().filter(|loss| FindingKind::ShapeUnsupported.lost() == Some(&*loss.what));
    let points: Vec<Loss> = points.cloned().collect();
    if !options.allow_loss && !points.is_empty() {
        return Err(DataError::WouldLose { path: out.to_path_buf(), losses: points });
    }
    let mut report = write(&parts, format, out, options)?;
    report.losses.splice(0..0, of_reader.into_iter().chain(not_finite));
    Ok(report)
}

/// Removes the objects whose boxes have NaN or infinite coordinates, which no format has.
fn remove_not_finite(datasets: &mut [Dataset]) -> Option<Loss> {
    let mut count = 0;
    for image in datasets.iter_mut().flat_map(|dataset| &mut dataset.images) {
        let before = image.objects.len();
        image.objects.retain(Object::is_finite);
        count += before - image.objects.len();
    }
    let what = "boxes with NaN or infinite coordinates (left out)".to_string();
    (count > 0).then_some(Loss { what, count })
}

/// Writes splits as one dataset of `format` under the new or empty folder `out`:
///
/// * COCO: `annotations/instances_<split>.json`, images in `<split>/`
/// * VOC: `Annotations/`, `JPEGImages/`, `ImageSets/Main/<split>.txt`, `label_list.txt`
/// * YOLO: `images/<split>/`, `labels/<split>/`, `data.yaml`
/// * LabelMe: `<split>/` with images and JSON, `labels.txt`
///
/// In their own format datasets keep the contents of their label files that a [`Dataset`] does not represent;
/// in another format these are counted in [`WriteReport::losses`], as are properties that the format cannot
/// represent. Paths are sanitised: no file is written outside of `out`, and of the files outside of the source
/// only images are copied.
///
/// # Errors
/// [`DataError::WouldLose`] for objects that the format cannot represent, unless the options allow it;
/// [`DataError::NothingToWrite`], [`DataError::OutputExists`], [`DataError::OutputInsideSource`],
/// [`DataError::Io`].
pub fn write(
    parts: &[Part<'_>],
    format: Format,
    out: impl AsRef<Path>,
    options: impl Into<WriteOptions>,
) -> Result<WriteReport, DataError> {
    let (out, handler, options) = (out.as_ref(), handler_of(format), options.into());
    let unified = unified(parts);
    let parts = &replaced(parts, unified.as_deref())[..];
    // Fractions are of the size of the image, whatever the label states.
    let sized = (!handler.conventions().pixel_boxes).then(|| with_image_sizes(parts));
    let (sized, corrected_sizes) = sized.unwrap_or_default();
    let parts = &replaced(parts, sized.as_deref())[..];
    refuse_loss(parts, format, out, options)?;
    prepare(parts, handler, out)?;
    let mut report =
        WriteReport { losses: losses(parts, format)?, corrected_sizes, ..WriteReport::default() };
    // Splits can share a folder of images, and then its names.
    let mut taken: HashMap<String, HashSet<String>> = HashMap::new();
    let mut splits = Vec::new();
    for part in parts {
        let split = split_folder(part, handler);
        let folder = handler.image_folder(&split);
        let names = names_in(part.dataset, format, taken.entry(folder.clone()).or_default());
        if options.images == Images::Copy {
            copy_images(part.dataset, &names, &out.join(folder), &mut report)?;
        }
        handler.write_split(&SplitOutput {
            dataset: part.dataset,
            split: &split,
            image_names: &names,
            out,
            parts,
        })?;
        report.images += part.dataset.images.len();
        report.objects += part.dataset.object_count();
        splits.push(split);
    }
    for rule in handler.losses().iter().filter(|rule| rule.drops_object) {
        report.objects -= count(parts, rule.applies);
    }
    handler.write_lists(parts, &splits, out)?;
    Ok(report)
}

/// Returns the parts with these datasets in place of theirs.
fn replaced<'a>(parts: &[Part<'a>], datasets: Option<&'a [Dataset]>) -> Vec<Part<'a>> {
    let Some(datasets) = datasets else { return parts.to_vec() };
    parts.iter().zip(datasets).map(|(part, dataset)| Part { name: part.name, dataset }).collect()
}

/// Refuses to write an empty dataset, or to leave out objects without permission.
fn refuse_loss(
    parts: &[Part<'_>],
    format: Format,
    out: &Path,
    options: WriteOptions,
) -> Result<(), DataError> {
    let images: usize = parts.iter().map(|part| part.dataset.images.len()).sum();
    let objects: usize = parts.iter().map(|part| part.dataset.object_count()).sum();
    let dropped: Vec<Loss> = handler_of(format)
        .losses()
        .iter()
        .filter(|rule| rule.drops_object)
        .map(|rule| Loss { what: rule.what.to_string(), count: count(parts, rule.applies) })
        .filter(|loss| loss.count > 0)
        .collect();
    let path = out.to_path_buf();
    if !dropped.is_empty() && !options.allow_loss {
        return Err(DataError::WouldLose { path, losses: dropped });
    }
    if images == 0 || (objects == 0 && !options.allow_loss) {
        return Err(DataError::NothingToWrite { path, what: if images == 0 { "images" } else { "objects" } });
    }
    Ok(())
}

/// Copies the images that exist under their new names.
fn copy_images(
    dataset: &Dataset,
    names: &[String],
    folder: &Path,
    report: &mut WriteReport,
) -> Result<(), DataError> {
    let (mut unreadable, mut cut_off) = (0, 0);
    for (index, name) in names.iter().enumerate() {
        let Some(from) = dataset.image_path(index) else {
            continue;
        };
        let to = folder.join(name);
        // A label must not copy an arbitrary file of this machine (`../../.ssh/…`).
        let stays = stays_inside(&dataset.images[index].file);
        let header = read_header(&from);
        if from.is_file() && (stays || header.is_ok()) {
            unreadable += usize::from(header.is_err());
            cut_off += usize::from(header.as_ref().is_ok_and(|header| is_cut_off(&from, header)));
            let (image, header) = (&dataset.images[index], header.ok());
            let other = |header: ImageHeader| (header.width, header.height) != (image.width, image.height);
            let is_stated = image.width > 0 && image.height > 0;
            report.corrected_sizes += usize::from(is_stated && header.is_some_and(other));
            make_parent(&to)?;
            fs::copy(&from, &to).map_err(|source| DataError::io(&from, source))?;
        } else if let Some(bytes) = dataset.embedded_image(index) {
            make_parent(&to)?;
            fs::write(&to, bytes).map_err(|source| DataError::io(&to, source))?;
        } else {
            report.missing.push(from);
        }
    }
    for (what, count) in [
        ("images that cannot be read (copied unchanged)", unreadable),
        ("images that are cut off (copied unchanged)", cut_off),
    ] {
        match report.losses.iter_mut().find(|loss| loss.what == what) {
            _ if count == 0 => {}
            Some(loss) => loss.count += count,
            None => report.losses.push(Loss { what: what.to_string(), count }),
        }
    }
    Ok(())
}

/// Checks the output folder and the names of the splits, and creates the folder.
fn prepare(parts: &[Part<'_>], handler: &dyn FormatHandler, out: &Path) -> Result<(), DataError> {
    if parts.is_empty() {
        return Err(DataError::BadArgument { what: "there is no dataset to write".to_string() });
    }
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        return Err(DataError::OutputExists { path: out.to_path_buf() });
    }
    fs::create_dir_all(out).map_err(|source| DataError::io(out, source))?;
    let real = out.canonicalize().map_err(|source| DataError::io(out, source))?;
    for part in parts {
        if let Ok(source_root) = part.dataset.root.canonicalize()
            && real.starts_with(&source_root)
        {
            let _ = fs::remove_dir(out);
            return Err(DataError::OutputInsideSource { path: out.to_path_buf(), source_root });
        }
    }
    let mut names = HashSet::new();
    for part in parts {
        if !names.insert(split_folder(part, handler)) {
            let what = format!("two splits are named `{}`", part.name);
            return Err(DataError::BadArgument { what });
        }
    }
    Ok(())
}

/// The name under which a split is written.
fn split_folder(part: &Part<'_>, handler: &dyn FormatHandler) -> String {
    handler.folder_name(&safe(part.name).replace('/', "_"))
}

/// Number of objects with a property in all splits.
fn count(parts: &[Part<'_>], property: fn(&ImageRecord, &Object) -> bool) -> usize {
    let images = parts.iter().flat_map(|part| &part.dataset.images);
    images.map(|image| image.objects.iter().filter(|object| property(image, object)).count()).sum()
}

/// Properties of the data that the format cannot represent, with the number of objects or images.
fn losses(parts: &[Part<'_>], format: Format) -> Result<Vec<Loss>, DataError> {
    let handler = handler_of(format);
    let mut losses = Vec::new();
    for source in Format::all().filter(|source| *source != format) {
        let of_source: Vec<Part<'_>> =
            parts.iter().copied().filter(|part| part.dataset.format == source).collect();
        if !of_source.is_empty() {
            losses.extend(handler_of(source).extras(&of_source)?);
        }
    }
    let mut add = |what: &str, count: usize| {
        if count > 0 {
            losses.push(Loss { what: what.to_string(), count });
        }
    };
    if !handler.conventions().single_file {
        add("annotation ids", count(parts, |_, object| object.id.is_some()));
        add(
            "areas that differ from the area of the box",
            count(parts, |_, object| {
                let [_, _, width, height] = object.xywh();
                object.stated_area.is_some_and(|area| (area - width * height).abs() > 1e-6 * area.abs())
            }),
        );
        let with_ids = parts.iter().filter(|part| is_single_file(part.dataset.format));
        add("image ids (images are renumbered)", with_ids.map(|part| part.dataset.images.len()).sum());
    }
    if handler.conventions().single_file {
        add("annotation ids that an earlier object has (renumbered)", repeated_ids(parts));
    }
    if format == Format::VOC {
        let empty =
            |part: &Part<'_>| part.dataset.classes.iter().filter(|c| c.name.trim().is_empty()).count();
        add("empty class names (written as `unnamed`)", parts.iter().map(empty).max().unwrap_or(0));
    }
    if [Format::VOC, Format::LABELME].contains(&format) {
        let repeated = |part: &Part<'_>| {
            let names: HashSet<&str> = part.dataset.classes.iter().map(|class| class.name.trim()).collect();
            part.dataset.classes.len() - names.len()
        };
        add("classes with the name of another class (merged)", parts.iter().map(repeated).max().unwrap_or(0));
    }
    for rule in handler.losses() {
        add(rule.what, count(parts, rule.applies));
    }
    let (in_split, in_earlier) = listed_twice(parts);
    add("files of images that are listed twice (each entry keeps its objects)", in_split);
    add("files of images that are in two splits (each split keeps its objects)", in_earlier);
    Ok(losses)
}

/// Number of entries of images that an earlier entry of the same split has as well, and of those that an earlier split has.
fn listed_twice(parts: &[Part<'_>]) -> (usize, usize) {
    let mut earlier: HashSet<PathBuf> = HashSet::new();
    let (mut in_split, mut in_earlier) = (0, 0);
    for part in parts {
        let files = real_images(part.dataset);
        let total = files.len();
        let own: HashSet<PathBuf> = files.into_iter().collect();
        in_split += total - own.len();
        in_earlier += own.intersection(&earlier).count();
        earlier.extend(own);
    }
    (in_split, in_earlier)
}

/// Number of objects with the annotation id of an earlier object of the same split.
fn repeated_ids(parts: &[Part<'_>]) -> usize {
    let repeated = |part: &Part<'_>| {
        let mut seen = HashSet::new();
        let objects = part.dataset.images.iter().flat_map(|image| &image.objects);
        objects.filter_map(|object| object.id).filter(|id| !seen.insert(*id)).count()
    };
    parts.iter().map(repeated).sum()
}

fn is_single_file(format: Format) -> bool {
    handler_of(format).conventions().single_file
}
