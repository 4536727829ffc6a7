//! The kinds of findings: id, severity, description and remedy.

use serde::{Serialize, Serializer};

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information; does not change the exit code.
    Info,
    /// A probable fault; exit code 1.
    Warning,
    /// Training or evaluation would be wrong; exit code 2.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! kinds {
    ($($variant:ident $id:literal $severity:ident $what:literal $fix:literal;)*) => {
        /// Every kind of finding. Ids are stable: scripts may rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FindingKind {
            $(#[doc = $what] $variant,)*
        }

        impl FindingKind {
            /// All kinds, in the order of this list.
            pub const ALL: &'static [FindingKind] = &[$(FindingKind::$variant,)*];

            /// The stable id, as in `box-outside`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(FindingKind::$variant => $id,)* }
            }

            /// Severity of the kind.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(FindingKind::$variant => Severity::$severity,)* }
            }

            /// A one-sentence description.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(FindingKind::$variant => $what,)* }
            }

            /// The remedy.
            #[must_use]
            pub fn fix(self) -> &'static str {
                match self { $(FindingKind::$variant => $fix,)* }
            }
        }
    };
}

impl FindingKind {
    /// Description, in the plural, of the contents that a reader leaves out when it reports this kind; `None`
    /// for other kinds.
    #[must_use]
    pub fn lost(self) -> Option<&'static str> {
        Some(match self {
            Self::UnknownImageId => "annotations of images that are not listed",
            Self::DuplicateImageId => "images with the id of another image",
            Self::DuplicateCategoryId => "categories with the id of another category",
            Self::MissingField => "entries without a required field",
            Self::BadNumber => "objects with a value that is not a number",
            Self::YoloClass => "rows with an unknown class",
            Self::YoloColumns => "rows with the wrong number of columns",
            Self::YoloRange => "rows outside of 0 to 1",
            Self::YoloSize => "label files whose image is missing or cannot be read",
            Self::ShapePoints => "shapes with the wrong number of points",
            Self::ShapeUnknown => "shapes of an unknown type",
            Self::ShapeUnsupported => "shapes without area (points and lines)",
            Self::CategoryRoot => "categories that only group others",
            Self::FileUnreadable => "label files that cannot be read",
            Self::LabelOtherFormat => "label files of another format",
            Self::ClassNameChanged => "spaces and control characters in class names",
            Self::LabelUnread => "labels of images in no split, and second labels of images",
            Self::ImageUnused => "images without labels that are in no split",
            Self::ImageUnreferenced => "images that no label or split refers to",
            Self::LabelWithoutImage => "label files without image",
            _ => return None,
        })
    }
}

kinds! {
    // Files and folders.
    FileUnreadable "file-unreadable" Error "A label file or folder cannot be read or parsed." "repair or remove the file; the message has the position of the fault";
    LabelNotUtf8 "label-not-utf8" Warning "A text file is not UTF-8; its encoding is guessed." "save the file as UTF-8";
    NameNotUtf8 "name-not-utf8" Warning "A file or folder name is not UTF-8." "rename it";
    LinkLoop "link-loop" Warning "A link leads to a parent folder, or many links lead to one folder." "remove the link";
    JsonNan "json-nan" Error "The JSON contains NaN or Infinity, which JSON does not allow." "write null or leave the annotation out (Python: json.dump(…, allow_nan=False))";
    DuplicateKey "duplicate-key" Warning "A key occurs more than once in a file." "remove or rename one of them";
    MissingField "missing-field" Error "A required field is missing." "add the field, or remove the entry";
    OddValue "odd-value" Warning "A value has a type that the format does not have there; it is treated as missing." "write a value of the right type, or remove the field";
    TextId "text-id" Info "The ids of a COCO file are texts; they are numbered." "no action needed if this is intended (--fix writes numbers)";
    CategoriesMissing "categories-missing" Warning "A COCO file lists no categories; the classes are named by their ids." "add `categories` with names";
    CategoryRoot "category-root" Info "A COCO category has no annotations and only groups the others (Roboflow writes one); it is left out." "no action needed if this is intended";
    BoxDerived "box-derived" Warning "A box is missing, empty or not finite; it is derived from the segmentation." "write the box (--fix does)";
    BadNumber "bad-number" Error "A coordinate or size is not a number." "write a plain decimal number";
    // Paths.
    PathAbsolute "path-absolute" Warning "An image path is absolute: the dataset cannot be moved." "make it relative to the dataset (--fix does)";
    PathEscapes "path-escapes" Warning "An image path climbs out of its folder with `..`." "move the image inside, or open the dataset from the folder above (--fix copies it inside)";
    PathBackslash "path-backslash" Warning "Image paths have backslashes, which only Windows understands." "write forward slashes (--fix does)";
    PathElsewhere "path-elsewhere" Info "Image paths were written on another machine and are found by their end." "write the paths relative to the dataset (--fix does)";
    PathAmbiguous "path-ambiguous" Error "A path was written on another machine, and two files fit it." "write the path relative to the dataset";
    // Images.
    ImageMissing "image-missing" Error "A labelled image does not exist." "restore the image, or remove its labels (--fix with --allow-loss does)";
    ImageEmbedded "image-embedded" Info "The image exists only inside its LabelMe file, and is read from there." "no action needed; `picodet data convert` writes it as a file";
    ImageUndecodable "image-undecodable" Error "An image cannot be decoded completely." "replace the file, or remove it with its labels (--fix with --allow-loss does)";
    SizeMismatch "size-mismatch" Error "The size in the label differs from the size of the image." "correct width and height (--fix does); check that the boxes were drawn on this image";
    SizeExif "size-exif" Error "The size in the label is the one before the EXIF orientation is applied." "check in which orientation the boxes were drawn: rotate them, or remove the EXIF orientation";
    SizeUnknown "size-unknown" Warning "The label has no size, or zero." "add width and height (--fix takes them from the image)";
    ImageHuge "image-huge" Warning "An image is so large that decoding dominates the training time." "tile or downscale it";
    ImageTiny "image-tiny" Warning "An image is too small for detection." "remove it, or check that it is not a thumbnail";
    ImageNotRgb "image-not-rgb" Info "An image is not plain 8-bit RGB (grey, alpha, CMYK or 16-bit); it is converted." "no action needed if this is intended";
    ImageWrongExtension "image-wrong-extension" Warning "The format of an image is not the one of its extension." "rename the file";
    ImagesElsewhere "images-elsewhere" Info "A COCO file that is not read lists labelled images of which none exists here." "no action needed if this is intended; copy the images into the dataset to have them reported";
    ImageUnused "image-unused" Info "An image without a label is in no split." "no action needed if this is intended";
    ImageUnreferenced "image-unreferenced" Warning "An image file has no label entry and is not used." "label it, add it as a background image, or remove it";
    ImageWithoutLabel "image-without-label" Info "A YOLO image has no label file; it counts as a background image." "add an empty .txt if this is intended";
    ImageUnsupported "image-unsupported" Error "An image has a format that is not read (TIFF, HEIC, AVIF and others)." "convert it to JPEG or PNG";
    ImageDuplicate "image-duplicate" Warning "Two images of one split have the same content." "keep one (--fix does)";
    ImagesWithoutObjects "images-without-objects" Info "Images without objects are kept as background images." "no action needed if this is intended";
    Leakage "leakage" Error "The same image is in two splits, so the evaluation is unreliable." "keep it in one split (--fix keeps the first), or split again with `picodet data split`, which groups equal images";
    LeakagePossible "leakage-possible" Info "Images of two splits have the same name and size in different formats; they can be one picture." "keep it in one split, or split again with `picodet data split`, which keeps them together";
    // Ids.
    DuplicateImageId "duplicate-image-id" Error "Two images have the same id." "renumber (--fix with --allow-loss keeps the first)";
    DuplicateAnnotationId "duplicate-annotation-id" Error "Two annotations have the same id; pycocotools silently drops one." "renumber (--fix does)";
    DuplicateCategoryId "duplicate-category-id" Error "Two categories have the same id." "renumber one and its annotations";
    DuplicateFileName "duplicate-file-name" Error "Two image entries refer to the same file." "merge them (--fix does)";
    UnknownImageId "unknown-image-id" Error "An annotation belongs to an image that is not listed." "add the image or remove the annotation (--fix with --allow-loss removes it)";
    UnknownCategory "unknown-category" Error "An annotation has a category that is not listed." "add the category with its name (--fix adds it, named by its id)";
    BadFlag "bad-flag" Warning "A flag is neither 0 nor 1." "write 0 or 1";
    // Classes.
    ClassUnused "class-unused" Warning "A class has no objects." "remove it, or check that its labels were not lost";
    ClassImbalance "class-imbalance" Warning "A class has far fewer objects than the most frequent one." "collect more, or repeat its images in training";
    DuplicateClassName "duplicate-class-name" Error "Two classes have the same name." "merge them (--fix does)";
    ClassNameSimilar "class-name-similar" Warning "Two class names differ only in case, spaces, `-` or `_`." "merge them if they are the same class";
    ClassNameChanged "class-name-changed" Warning "A class name has spaces around it, or tabs or line ends, which are removed." "write the name without them (--fix does)";
    ClassNameEmpty "class-name-empty" Error "A class has no name." "name it";
    ClassesDiffer "classes-differ" Error "A split has classes that the first split does not have." "use one class list for all splits (--fix does)";
    ClassListsDiffer "class-lists-differ" Warning "Two files of one dataset list other class names; one of them is read." "remove the list that is not meant, or correct it";
    ClassIdsDiffer "class-ids-differ" Warning "Two splits list the same classes with other ids, or not all of them; they are matched by name." "use one class list for all splits (--fix does)";
    AllCrowds "all-crowds" Error "All objects are crowd regions, which training skips and an evaluation ignores." "set `iscrowd` to 0, or read them as objects with --crowds-as-objects (`picodet train`, `picodet data convert`)";
    ManyCrowds "many-crowds" Warning "More than a fifth of the objects are crowd regions, which training skips and an evaluation ignores." "set `iscrowd` to 0 where a mask is of one object, or read all as objects with --crowds-as-objects (`picodet train`, `picodet data convert`)";
    ClassUntrained "class-untrained" Warning "A class has objects in another split but none in train." "split again with `picodet data split`, which stratifies by class";
    // Boxes.
    BoxOutside "box-outside" Error "A box is completely outside of its image." "remove it (--fix with --allow-loss does); check x/y order and the image's rotation";
    BoxPartlyOutside "box-partly-outside" Warning "A box extends beyond its image." "clip it (--fix does)";
    BoxEmpty "box-empty" Error "A box has no width or no height." "remove it (--fix with --allow-loss does)";
    BoxInverted "box-inverted" Error "A box has its right edge left of its left edge, or its bottom above its top." "swap the corners (--fix does)";
    BoxNotFinite "box-not-finite" Error "A box coordinate is NaN or infinite." "remove the box (--fix with --allow-loss does)";
    BoxDuplicate "box-duplicate" Warning "The same box is labelled twice with one class." "remove one (--fix does)";
    BoxTwoClasses "box-two-classes" Warning "The same box is labelled with two classes." "keep the right one";
    BoxVanishes "box-vanishes" Warning "Boxes are smaller than one cell of the finest stride after resizing to the input size." "use a larger input size, tile the images, or drop these boxes";
    BoxNormalised "box-normalised" Error "All boxes are fractions between 0 and 1 in a format that has pixels." "multiply by the image's size";
    BoxLooksXyxy "box-looks-xyxy" Error "The COCO boxes look like corners; COCO has x, y, width, height." "write width and height instead of the second corner";
    AreaWrong "area-wrong" Warning "The stated area is negative, NaN, or larger than the box." "recompute it (--fix does); it decides small/medium/large at evaluation";
    // Pascal VOC.
    VocFileName "voc-file-name" Warning "The XML's `filename` is not the XML's own name." "correct `filename` (--fix does)";
    SplitUnlabelled "split-unlabelled" Error "A split lists an image that has no label file." "label it, or remove it from the list";
    SplitContained "split-contained" Warning "The images of a COCO file are among those of another file; they are read once." "no action needed if this is intended; --split reads the part on its own";
    SplitDuplicate "split-duplicate" Warning "A split lists an image twice." "remove one line";
    // YOLO.
    YoloRange "yolo-range" Error "A YOLO coordinate is not between 0 and 1; it may be in pixels." "divide by the image's size";
    YoloColumns "yolo-columns" Error "A YOLO row has the wrong number of columns." "write `class x y w h`, normalised";
    YoloClass "yolo-class" Error "A YOLO class is not an index into `names`." "correct the index, or add the name";
    YoloSize "yolo-size" Error "The rows of a YOLO label file are fractions of an image that is missing or cannot be read, so they have no boxes." "restore the image; in CVAT choose `Save images` in the export";
    YoloPolygon "yolo-polygon" Warning "A YOLO row is a segmentation polygon; its bounding box is used." "no action needed if this is intended";
    YoloNamesGap "yolo-names-gap" Info "The `names` map skips an index." "no action needed if this is intended (--fix numbers the names 0, 1, 2, …)";
    YoloFromOne "yolo-from-one" Warning "The class indices of YOLO rows begin at 1." "no action needed if the names are right (--fix numbers them 0, 1, 2, …)";
    YoloCount "yolo-count" Warning "`nc` is not the number of names." "remove `nc`, or correct it";
    SplitMissing "split-missing" Error "A folder or list named in data.yaml does not exist." "correct the path";
    SplitAbsent "split-absent" Warning "The folder of the test images, their list, or all images of the list do not exist." "correct the path, or remove the entry";
    SplitIgnored "split-ignored" Warning "A folder or list has the name of a split, but is not read as one." "move the other labelled images into folders of splits as well, or split with `picodet data split`";
    LabelOtherFormat "label-other-format" Error "An image has no label of the format that is read, but one of another format." "convert each format on its own, and merge the results";
    LabelUnread "label-unread" Error "A label is not read, since its image is in no split, or has another label that is read." "add the image to a split, or remove the label that is not meant";
    FormatsMixed "formats-mixed" Warning "A folder has labels of several formats, of which one is read." "remove the labels that are not meant, or convert each format on its own and merge the results";
    LabelWithoutImage "label-without-image" Error "A label file has no image." "restore the image, or remove the label";
    // LabelMe.
    ShapeUnsupported "shape-unsupported" Warning "A LabelMe shape has no area (a point or a line); it is left out." "draw a rectangle, if it is an object";
    ShapeUnknown "shape-unknown" Error "A LabelMe shape has an unknown type and no area." "draw a rectangle, if it is an object, or remove it";
    ShapePoints "shape-points" Error "A LabelMe shape has the wrong number of points." "redraw the shape";
    LabelCopied "label-copied" Warning "A LabelMe file and its image are copies of others of the same name in another folder; they are read once." "remove the copies";
    // The dataset as a whole.
    DatasetEmpty "dataset-empty" Error "The dataset has no images." "check the path and the split";
    NoObjects "no-objects" Error "No image of a split has an object." "check that labels and images belong together";
    SplitWithoutObjects "split-without-objects" Warning "A split other than those for training and validation has no objects, so it cannot be evaluated." "label its images; no action needed if its labels are not public";
}

impl Serialize for FindingKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
