//! The published networks by name: what they are made of, and what they expect of an image.

use crate::backbone::{Backbone, EsNet, SEARCHED_L, SEARCHED_M, SEARCHED_S};
use crate::block::{HARD_SWISH, LEAKY_RELU, RELU6};
use crate::{Architecture, Classifier, Head, HeadKind, Neck};

/// A published network.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// As in `legacy_s_320`; the number is the input size.
    pub name: &'static str,
    /// One line that says what it is.
    pub summary: &'static str,
    /// What it is made of.
    pub architecture: Architecture,
    /// Names of the classes that it was published with.
    pub classes: &'static [&'static str],
    /// Height and width of its input in pixels.
    pub input_size: (usize, usize),
    /// Mean of each channel (R, G, B) that preprocessing subtracts, of values from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel that preprocessing divides by.
    pub std: [f32; 3],
}

impl Variant {
    /// COCO's own category ids for a model of the 80 COCO classes, else 1, 2, … (SPEC §6.5).
    pub fn category_ids(&self) -> Vec<u32> {
        if self.classes == COCO_CLASSES {
            COCO_CATEGORY_IDS.to_vec()
        } else {
            (1..=self.classes.len() as u32).collect()
        }
    }
}

/// A published ImageNet classifier.
#[derive(Clone, Copy, Debug)]
pub struct ClassifierVariant {
    /// As in `esnet_x1_0`.
    pub name: &'static str,
    /// What it is made of.
    pub classifier: Classifier,
}

/// The network of a name.
pub fn variant(name: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.name == name)
}

/// All detectors, in the order of SPEC §10.
pub fn variants() -> &'static [Variant] {
    VARIANTS
}

/// All classifiers (1,000 ImageNet classes, 224×224).
pub fn classifiers() -> &'static [ClassifierVariant] {
    CLASSIFIERS
}

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

const fn esnet(scale: f32, ratios: [f32; 13]) -> Backbone {
    Backbone::EsNet(EsNet { scale, ratios, activation: HARD_SWISH })
}

const fn lcnet(scale: f32) -> Backbone {
    Backbone::LcNet { scale, activation: HARD_SWISH }
}

/// The paper's network: CSP-PAN of four levels and the paper's head.
const fn legacy(backbone: Backbone, channels: usize, tower_convolutions: usize) -> Architecture {
    Architecture {
        backbone,
        neck: Neck::CspPan { channels, levels: 4, activation: HARD_SWISH },
        head: Head { kind: HeadKind::PicoHead, tower_convolutions, activation: HARD_SWISH },
    }
}

/// The second generation: LCNet, LC-PAN and the second head.
const fn v2(scale: f32, channels: usize, tower_convolutions: usize) -> Architecture {
    Architecture {
        backbone: lcnet(scale),
        neck: Neck::LcPan { channels },
        head: Head { kind: HeadKind::PicoHeadV2, tower_convolutions, activation: HARD_SWISH },
    }
}

/// A row of the ablation: leaky ReLU everywhere, two tower convolutions, 96 channels.
const fn ablation(backbone: Backbone, neck: Neck) -> Architecture {
    let head = Head { kind: HeadKind::PicoHead, tower_convolutions: 2, activation: LEAKY_RELU };
    Architecture { backbone, neck, head }
}

const fn leaky_csp_pan(levels: usize) -> Neck {
    Neck::CspPan { channels: 96, levels, activation: LEAKY_RELU }
}

const LEGACY_S: Architecture = legacy(esnet(0.75, SEARCHED_S), 96, 2);
const LEGACY_M: Architecture = legacy(esnet(1.0, SEARCHED_M), 128, 4);
const LEGACY_L: Architecture = legacy(esnet(1.25, SEARCHED_L), 160, 4);
const V2_XS: Architecture = v2(0.35, 96, 2);
const V2_S: Architecture = v2(0.75, 96, 2);
const V2_M: Architecture = v2(1.5, 128, 4);
const V2_L: Architecture = v2(2.0, 160, 4);
const NPU_S: Architecture = Architecture {
    backbone: Backbone::LcNet { scale: 0.75, activation: RELU6 },
    neck: Neck::CspPan { channels: 96, levels: 4, activation: RELU6 },
    head: Head { kind: HeadKind::PicoHeadV2, tower_convolutions: 4, activation: RELU6 },
};
const BASE: Architecture = ablation(Backbone::ShuffleNetV2, Neck::Pan { channels: 96 });
const BASE_CSP_PAN_3: Architecture = ablation(Backbone::ShuffleNetV2, leaky_csp_pan(3));
const BASE_CSP_PAN_4: Architecture = ablation(Backbone::ShuffleNetV2, leaky_csp_pan(4));
const LEAKY_ESNET: Architecture = ablation(
    Backbone::EsNet(EsNet { scale: 0.75, ratios: SEARCHED_S, activation: LEAKY_RELU }),
    leaky_csp_pan(4),
);

const fn coco(name: &'static str, summary: &'static str, architecture: Architecture, size: usize) -> Variant {
    Variant {
        name,
        summary,
        architecture,
        classes: &COCO_CLASSES,
        input_size: (size, size),
        mean: IMAGENET_MEAN,
        std: IMAGENET_STD,
    }
}

/// The same network for other classes.
const fn for_classes(variant: Variant, classes: &'static [&'static str]) -> Variant {
    Variant { classes, ..variant }
}

/// A document page: 800 high, 608 wide.
const fn page(variant: Variant) -> Variant {
    Variant { input_size: (800, 608), ..variant }
}

const VARIANTS: &[Variant] = &[
    coco("legacy_s_320", "the paper's S: ESNet 0.75x, CSP-PAN", LEGACY_S, 320),
    coco("legacy_s_416", "the paper's S: ESNet 0.75x, CSP-PAN", LEGACY_S, 416),
    coco("legacy_m_320", "the paper's M: ESNet 1.0x, CSP-PAN", LEGACY_M, 320),
    coco("legacy_m_416", "the paper's M: ESNet 1.0x, CSP-PAN", LEGACY_M, 416),
    coco("legacy_l_320", "the paper's L: ESNet 1.25x, CSP-PAN", LEGACY_L, 320),
    coco("legacy_l_416", "the paper's L: ESNet 1.25x, CSP-PAN", LEGACY_L, 416),
    coco("legacy_l_640", "the paper's L: ESNet 1.25x, CSP-PAN", LEGACY_L, 640),
    coco(
        "shufflenetv2_1x_416",
        "ShuffleNetV2 1.0x (leaky ReLU), CSP-PAN",
        legacy(Backbone::ShuffleNetV2, 96, 2),
        416,
    ),
    coco(
        "mv3_large_1x_416",
        "MobileNetV3-large 1.0x, CSP-PAN",
        legacy(Backbone::MobileNetV3Large, 128, 4),
        416,
    ),
    coco("lcnet_1_0x_416", "LCNet 1.0x, CSP-PAN", legacy(lcnet(1.0), 128, 4), 416),
    coco("lcnet_1_5x_416", "LCNet 1.5x, CSP-PAN", legacy(lcnet(1.5), 128, 4), 416),
    coco("lcnet_1_5x_640", "LCNet 1.5x, CSP-PAN of 160 channels", legacy(lcnet(1.5), 160, 4), 640),
    coco("lcnet_2_5x_416", "LCNet 2.5x, CSP-PAN", legacy(lcnet(2.5), 128, 4), 416),
    coco("r18vd_640", "ResNet-18-vd, CSP-PAN", legacy(Backbone::ResNet18Vd, 128, 4), 640),
    coco("v2_xs_320", "second generation XS: LCNet 0.35x, LC-PAN", V2_XS, 320),
    coco("v2_xs_416", "second generation XS: LCNet 0.35x, LC-PAN", V2_XS, 416),
    coco("v2_s_320", "second generation S: LCNet 0.75x, LC-PAN", V2_S, 320),
    coco("v2_s_416", "second generation S: LCNet 0.75x, LC-PAN", V2_S, 416),
    coco("v2_m_320", "second generation M: LCNet 1.5x, LC-PAN", V2_M, 320),
    coco("v2_m_416", "second generation M: LCNet 1.5x, LC-PAN", V2_M, 416),
    coco("v2_l_320", "second generation L: LCNet 2.0x, LC-PAN", V2_L, 320),
    coco("v2_l_416", "second generation L: LCNet 2.0x, LC-PAN", V2_L, 416),
    coco("v2_l_640", "second generation L: LCNet 2.0x, LC-PAN", V2_L, 640),
    Variant {
        mean: [0.0; 3],
        std: [1.0; 3],
        ..coco("npu_s_416", "for NPUs: LCNet 0.75x, CSP-PAN, second head, ReLU6 everywhere", NPU_S, 416)
    },
    for_classes(coco("pedestrian_s_192", "people: the paper's S", LEGACY_S, 192), &["pedestrian"]),
    for_classes(coco("pedestrian_s_320", "people: the paper's S", LEGACY_S, 320), &["pedestrian"]),
    for_classes(coco("pedestrian_v2_s_192", "people: second generation S", V2_S, 192), &["pedestrian"]),
    for_classes(coco("pedestrian_v2_s_320", "people: second generation S", V2_S, 320), &["pedestrian"]),
    page(for_classes(
        coco(
            "layout_publaynet",
            "document layout, PubLayNet classes: LCNet 1.0x",
            legacy(lcnet(1.0), 128, 4),
            800,
        ),
        &["text", "title", "list", "table", "figure"],
    )),
    page(for_classes(
        coco("layout_cdla", "document layout, CDLA classes: LCNet 1.0x", legacy(lcnet(1.0), 128, 4), 800),
        &CDLA_CLASSES,
    )),
    for_classes(
        coco("mainbody_640", "the main body of a photo: LCNet 2.5x", legacy(lcnet(2.5), 128, 4), 640),
        &["foreground"],
    ),
    coco("ablation_1_base_416", "ablation: ShuffleNetV2, PAN without convolutions", BASE, 416),
    coco("ablation_2_csp_pan_3_416", "ablation: + CSP-PAN of 3 levels", BASE_CSP_PAN_3, 416),
    coco("ablation_3_csp_pan_4_416", "ablation: + CSP-PAN of 4 levels", BASE_CSP_PAN_4, 416),
    coco("ablation_4_vfl_416", "ablation: + varifocal loss (the network of row 3)", BASE_CSP_PAN_4, 416),
    coco("ablation_5_simota_416", "ablation: + original SimOTA (the network of row 3)", BASE_CSP_PAN_4, 416),
    coco(
        "ablation_6_cost_416",
        "ablation: + the paper's SimOTA cost (the network of row 3)",
        BASE_CSP_PAN_4,
        416,
    ),
    coco("ablation_7_esnet_416", "ablation: + ESNet 0.75x", LEAKY_ESNET, 416),
    coco("ablation_8_hard_swish_416", "ablation: + hard-swish, which is legacy_s_416", LEGACY_S, 416),
];

const CLASSIFIERS: &[ClassifierVariant] = &[
    ClassifierVariant { name: "esnet_x0_25", classifier: Classifier::EsNet { scale: 0.25 } },
    ClassifierVariant { name: "esnet_x0_5", classifier: Classifier::EsNet { scale: 0.5 } },
    ClassifierVariant { name: "esnet_x0_75", classifier: Classifier::EsNet { scale: 0.75 } },
    ClassifierVariant { name: "esnet_x1_0", classifier: Classifier::EsNet { scale: 1.0 } },
    ClassifierVariant { name: "lcnet_x0_25", classifier: Classifier::LcNet { scale: 0.25 } },
    ClassifierVariant { name: "lcnet_x0_35", classifier: Classifier::LcNet { scale: 0.35 } },
    ClassifierVariant { name: "lcnet_x0_5", classifier: Classifier::LcNet { scale: 0.5 } },
    ClassifierVariant { name: "lcnet_x0_75", classifier: Classifier::LcNet { scale: 0.75 } },
    ClassifierVariant { name: "lcnet_x1_0", classifier: Classifier::LcNet { scale: 1.0 } },
    ClassifierVariant { name: "lcnet_x1_5", classifier: Classifier::LcNet { scale: 1.5 } },
    ClassifierVariant { name: "lcnet_x2_0", classifier: Classifier::LcNet { scale: 2.0 } },
    ClassifierVariant { name: "lcnet_x2_5", classifier: Classifier::LcNet { scale: 2.5 } },
];

/// The classes of the CDLA layout model.
const CDLA_CLASSES: [&str; 10] = [
    "text",
    "title",
    "figure",
    "figure_caption",
    "table",
    "table_caption",
    "header",
    "footer",
    "reference",
    "equation",
];

/// The 80 classes of COCO in the order of their category ids.
pub const COCO_CLASSES: [&str; 80] = [
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
];

/// The category ids of [`COCO_CLASSES`] in COCO's files.
pub const COCO_CATEGORY_IDS: [u32; 80] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 31, 32,
    33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
    60, 61, 62, 63, 64, 65, 67, 70, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 84, 85, 86, 87, 88, 89, 90,
];
