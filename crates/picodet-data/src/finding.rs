//! Findings: what is wrong with a dataset, where, and what to do about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; does not change the exit code.
    Info,
    /// Probably a fault; exit code 1.
    Warning,
    /// Training or evaluation on this is wrong; exit code 2.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where a finding is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// 1-based line in it (text formats).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// JSON pointer into it (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, pointer: None }
    }

    /// A 1-based line of a file.
    pub fn line(file: impl Into<String>, line: u64) -> Self {
        Self { file: file.into(), line: Some(line), pointer: None }
    }

    /// A JSON pointer into a file.
    pub fn pointer(file: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, pointer: Some(pointer.into()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(pointer) = &self.pointer {
            write!(f, "#{pointer}")?;
        }
        Ok(())
    }
}

macro_rules! kinds {
    ($($variant:ident $id:literal $severity:ident $what:literal $fix:literal;)*) => {
        /// Every kind of finding. The id is stable: scripts may rely on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = $what] $variant,)*
        }

        impl Kind {
            /// All kinds, in the order of this list.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The stable id, like `box-outside`.
            pub fn id(self) -> &'static str {
                match self { $(Kind::$variant => $id,)* }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Kind::$variant => Severity::$severity,)* }
            }

            /// What this kind of finding is, in a sentence.
            pub fn what(self) -> &'static str {
                match self { $(Kind::$variant => $what,)* }
            }

            /// What to do about it.
            pub fn fix(self) -> &'static str {
                match self { $(Kind::$variant => $fix,)* }
            }
        }
    };
}

kinds! {
    // Files and folders.
    FileUnreadable "file-unreadable" Error "A label file or folder cannot be read or parsed." "repair or remove the file; the message says where the parser stopped";
    LabelNotUtf8 "label-not-utf8" Error "A label file is not UTF-8 text." "save the file as UTF-8";
    NameNotUtf8 "name-not-utf8" Warning "A file or folder name is not UTF-8." "rename it";
    LinkLoop "link-loop" Warning "A link leads back to a folder above it, or links multiply a folder." "remove the link";
    JsonNan "json-nan" Error "The JSON contains NaN or Infinity, which JSON does not have." "write null or leave the annotation out (Python: json.dump(…, allow_nan=False))";
    MissingField "missing-field" Error "A required field is missing." "add the field, or remove the entry";
    BadNumber "bad-number" Error "A coordinate or size is not a number." "write a plain decimal number";
    // Paths.
    PathAbsolute "path-absolute" Warning "An image path is absolute: the dataset cannot be moved." "make it relative to the dataset (--fix does)";
    PathEscapes "path-escapes" Warning "An image path climbs out of its folder with `..`." "move the image inside, or open the dataset from the folder above (--fix copies it inside)";
    PathBackslash "path-backslash" Warning "An image path has backslashes, which only Windows understands." "write forward slashes (--fix does)";
    // Images.
    ImageMissing "image-missing" Error "A labelled image does not exist." "restore the image, or remove its labels (--fix does)";
    ImageUndecodable "image-undecodable" Error "An image cannot be decoded completely." "replace the file, or remove it with its labels (--fix does)";
    SizeMismatch "size-mismatch" Error "The label states another size than the image has." "correct width and height (--fix does); check that the boxes were drawn on this very image";
    SizeExif "size-exif" Error "The label states the size before the camera's rotation (EXIF) is applied." "decide which way the boxes were drawn: rotate them, or strip the EXIF orientation";
    SizeUnknown "size-unknown" Warning "The label states no size, or zero." "state width and height (--fix fills them in from the image)";
    ImageHuge "image-huge" Warning "An image is so large that decoding it dominates." "tile or downscale it";
    ImageTiny "image-tiny" Warning "An image is too small to detect anything in." "remove it, or check that it is no thumbnail";
    ImageNotRgb "image-not-rgb" Info "An image is not plain 8-bit RGB (grey, alpha, CMYK or 16-bit); it is converted." "nothing to do if that is meant";
    ImageWrongExtension "image-wrong-extension" Warning "An image's content is another format than its extension says." "rename the file";
    ImageUnreferenced "image-unreferenced" Warning "An image file has no label entry, so it is never used." "label it, add it as a background image, or remove it";
    ImageWithoutLabel "image-without-label" Info "A YOLO image has no label file; it counts as a background image." "add an empty .txt if that is meant";
    ImageDuplicate "image-duplicate" Warning "Two images of one split have the same content." "keep one (--fix does)";
    ImagesWithoutObjects "images-without-objects" Info "Images without objects are kept as background images." "nothing to do if that is meant";
    Leakage "leakage" Error "The same image is in two splits: the evaluation is not honest." "keep it in one split (--fix keeps the first), or split anew with grouping by content";
    // Ids.
    DuplicateImageId "duplicate-image-id" Error "Two images have the same id." "renumber (--fix keeps the first)";
    DuplicateAnnotationId "duplicate-annotation-id" Error "Two annotations have the same id; pycocotools silently drops one." "renumber (--fix does)";
    DuplicateCategoryId "duplicate-category-id" Error "Two categories have the same id." "renumber one and its annotations";
    DuplicateFileName "duplicate-file-name" Error "Two image entries name the same file." "merge them (--fix does)";
    UnknownImageId "unknown-image-id" Error "An annotation belongs to an image that is not listed." "add the image or remove the annotation (--fix removes it)";
    UnknownCategory "unknown-category" Error "An annotation has a category that is not listed." "add the category or remove the annotation (--fix removes it)";
    BadFlag "bad-flag" Warning "A flag is neither 0 nor 1." "write 0 or 1";
    // Classes.
    ClassUnused "class-unused" Warning "A class has no object." "remove it, or check that its labels were not lost";
    ClassImbalance "class-imbalance" Warning "A class has far fewer objects than the most frequent one." "collect more, or repeat its images in training";
    DuplicateClassName "duplicate-class-name" Error "Two classes have the same name." "merge them (--fix does)";
    ClassNameSimilar "class-name-similar" Warning "Two class names differ only in case, spaces, `-` or `_`." "merge them if they mean the same";
    ClassNameEmpty "class-name-empty" Error "A class has no name." "name it";
    ClassesDiffer "classes-differ" Error "Two splits have different classes." "use one class list for all splits";
    ClassUntrained "class-untrained" Warning "A class has objects in another split but none in train." "split anew, stratified";
    // Boxes.
    BoxOutside "box-outside" Error "A box lies wholly outside its image." "remove it (--fix does); check x/y order and the image's rotation";
    BoxPartlyOutside "box-partly-outside" Warning "A box reaches beyond its image." "clip it (--fix does)";
    BoxEmpty "box-empty" Error "A box has no width or no height." "remove it (--fix does)";
    BoxInverted "box-inverted" Error "A box has its right edge left of its left edge, or its bottom above its top." "swap the corners (--fix does)";
    BoxNotFinite "box-not-finite" Error "A box coordinate is NaN or infinite." "remove the box (--fix does)";
    BoxDuplicate "box-duplicate" Warning "The same box is labelled twice with one class." "remove one (--fix does)";
    BoxTwoClasses "box-two-classes" Warning "The same box is labelled with two classes." "keep the right one";
    BoxVanishes "box-vanishes" Warning "Boxes are smaller than one cell of the finest stride after resizing to the input size." "use a larger input size, tile the images, or drop these boxes";
    BoxNormalised "box-normalised" Error "All boxes are fractions between 0 and 1 in a format that has pixels." "multiply by the image's size";
    BoxLooksXyxy "box-looks-xyxy" Error "The COCO boxes look like corners; COCO has x, y, width, height." "write width and height instead of the second corner";
    AreaWrong "area-wrong" Warning "The stated area is negative, not a number, or larger than the box." "recompute it (--fix does); it decides small/medium/large at evaluation";
    // Pascal VOC.
    VocFileName "voc-file-name" Warning "The XML's `filename` is not the XML's own name." "correct `filename` (--fix does)";
    SplitUnlabelled "split-unlabelled" Error "A split lists an image that has no label file." "label it, or remove it from the list";
    SplitDuplicate "split-duplicate" Warning "A split lists an image twice." "remove one line";
    // YOLO.
    YoloRange "yolo-range" Error "A YOLO number is outside 0 to 1: are these pixels?" "divide by the image's size";
    YoloColumns "yolo-columns" Error "A YOLO row has the wrong number of columns." "write `class x y w h`, normalised";
    YoloClass "yolo-class" Error "A YOLO class is no index into `names`." "correct the index, or add the name";
    YoloPolygon "yolo-polygon" Warning "A YOLO row is a segmentation polygon; its bounding box is used." "nothing to do if that is meant (--fix writes boxes)";
    YoloNamesGap "yolo-names-gap" Error "The `names` map skips an index." "number the names 0, 1, 2, …";
    YoloCount "yolo-count" Error "`nc` is not the number of names." "remove `nc`, or correct it";
    SplitMissing "split-missing" Error "A folder or list named in data.yaml does not exist." "correct the path";
    LabelWithoutImage "label-without-image" Error "A label file has no image." "restore the image, or remove the label";
    // LabelMe.
    ShapeUnsupported "shape-unsupported" Warning "A LabelMe shape is neither rectangle nor polygon; it is left out." "draw a rectangle";
    ShapePoints "shape-points" Error "A LabelMe shape has the wrong number of points." "redraw the shape";
    // The dataset as a whole.
    DatasetEmpty "dataset-empty" Error "The dataset has no images." "check the path and the split";
    NoObjects "no-objects" Error "No image of the dataset has an object." "check that labels and images belong together";
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind it is.
    #[serde(rename = "id")]
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What exactly is wrong.
    pub message: String,
    /// What to do.
    pub fix: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}[{}] {}", self.place, self.severity.name(), self.kind.id(), self.message)
    }
}

/// How many findings of one kind are kept in full; beyond that they are only counted.
const KEPT_PER_KIND: usize = 1000;

/// Characters of a message that are kept.
const LONGEST_MESSAGE: usize = 1000;

/// A list of findings that cannot grow without bound: the first thousand of each kind are kept,
/// all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    counts: BTreeMap<Kind, usize>,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, kind: Kind, place: Place, mut message: String) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= KEPT_PER_KIND {
            // Messages quote the data, and a file name may be megabytes long.
            if let Some((cut, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
                message.truncate(cut);
                message.push('…');
            }
            let (severity, fix) = (kind.severity(), kind.fix());
            self.list.push(Finding { kind, severity, place, message, fix });
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Findings) {
        let mut kept: BTreeMap<Kind, usize> = BTreeMap::new();
        for finding in &self.list {
            *kept.entry(finding.kind).or_default() += 1;
        }
        for finding in other.list {
            let count = kept.entry(finding.kind).or_default();
            *count += 1;
            if *count <= KEPT_PER_KIND {
                self.list.push(finding);
            }
        }
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    /// The findings kept in full.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// How many of each kind there are, kept or not.
    pub fn counts(&self) -> &BTreeMap<Kind, usize> {
        &self.counts
    }

    /// How many of this severity there are.
    pub fn count_of(&self, severity: Severity) -> usize {
        self.counts.iter().filter(|(kind, _)| kind.severity() == severity).map(|(_, n)| n).sum()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count_of(Severity::Error)
    }

    /// The first error, if there is one.
    pub fn first_error(&self) -> Option<&Finding> {
        self.list.iter().find(|finding| finding.severity == Severity::Error)
    }

    /// Removes exact repetitions among the findings kept in full.
    pub fn deduplicate(&mut self) {
        let mut seen = std::collections::HashSet::new();
        let counts = &mut self.counts;
        self.list.retain(|finding| {
            let new = seen.insert((finding.kind, finding.place.clone(), finding.message.clone()));
            if !new && let Some(count) = counts.get_mut(&finding.kind) {
                *count -= 1;
            }
            new
        });
    }

    /// Worst first, then by kind and place, so that the same dataset gives the same report.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.kind.cmp(&b.kind))
                .then_with(|| a.place.cmp(&b.place))
                .then_with(|| a.message.cmp(&b.message))
        });
    }
}
