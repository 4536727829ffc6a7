//! The published networks by name: architecture, classes, input size and normalisation.

use picodet_graph::Activation;

use crate::backbone::{Backbone, EsNet, LcNet, SEARCHED_L, SEARCHED_M, SEARCHED_S};
use crate::block::{HARD_SWISH, LEAKY_RELU, RELU6};
use crate::classes::{CDLA, COCO_CATEGORY_IDS, COCO_CLASSES, MAIN_BODY, PEDESTRIAN, PUBLAYNET};
use crate::{Architecture, Classifier, Head, HeadKind, Neck};

/// A published network, or one that differs from it in [its overrides](Self::overrides).
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Name, as in `legacy_s_320`; the number is the input size.
    pub name: &'static str,
    /// Description in one line.
    pub summary: &'static str,
    /// Backbone, neck and head.
    pub architecture: Architecture,
    /// Names of the classes that it is published for.
    pub classes: &'static [&'static str],
    /// Height and width of its input in pixels.
    pub input_size: (usize, usize),
    /// Mean of each channel (R, G, B), for values from 0 to 1, which preprocessing subtracts.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, by which preprocessing divides.
    pub std: [f32; 3],
}

impl Variant {
    /// Returns COCO's own category ids for the 80 COCO classes, else 1, 2, … (SPEC §6.5).
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
    /// Name, as in `esnet_x1_0`.
    pub name: &'static str,
    /// Backbone and width.
    pub classifier: Classifier,
}

/// Returns the network of a name.
pub fn variant(name: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.name == name)
}

/// Returns all detectors, in the order of SPEC §10.
pub fn variants() -> &'static [Variant] {
    VARIANTS
}

/// Returns all classifiers (1,000 ImageNet classes, 224×224).
pub fn classifiers() -> &'static [ClassifierVariant] {
    CLASSIFIERS
}

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

const fn esnet(scale: f32, ratios: [f32; 13]) -> Backbone {
    Backbone::EsNet(EsNet { scale, ratios, activation: HARD_SWISH })
}

const fn lcnet(scale: f32) -> Backbone {
    Backbone::LcNet(LcNet::uniform(scale, HARD_SWISH))
}

/// Kernel of the depthwise convolutions of every published neck and head.
const KERNEL: usize = 5;

const fn head(kind: HeadKind, tower_convolutions: usize, activation: Activation) -> Head {
    Head { kind, tower_convolutions, tower_kernel: KERNEL, activation }
}

/// The paper's network: CSP-PAN of four levels and the paper's head.
const fn legacy(backbone: Backbone, channels: usize, tower_convolutions: usize) -> Architecture {
    Architecture {
        backbone,
        neck: Neck::CspPan { channels, levels: 4, kernel: KERNEL, activation: HARD_SWISH },
        head: head(HeadKind::PicoHead, tower_convolutions, HARD_SWISH),
    }
}

/// The second generation: LCNet, LC-PAN and the second head.
const fn v2(scale: f32, channels: usize, tower_convolutions: usize) -> Architecture {
    Architecture {
        backbone: lcnet(scale),
        neck: Neck::LcPan { channels, kernel: KERNEL },
        head: head(HeadKind::PicoHeadV2, tower_convolutions, HARD_SWISH),
    }
}

/// A row of the ablation: leaky ReLU everywhere, two tower convolutions, 96 channels.
const fn ablation(backbone: Backbone, neck: Neck) -> Architecture {
    Architecture { backbone, neck, head: head(HeadKind::PicoHead, 2, LEAKY_RELU) }
}

const fn leaky_csp_pan(levels: usize) -> Neck {
    Neck::CspPan { channels: 96, levels, kernel: KERNEL, activation: LEAKY_RELU }
}

const LEGACY_S: Architecture = legacy(esnet(0.75, SEARCHED_S), 96, 2);
const LEGACY_M: Architecture = legacy(esnet(1.0, SEARCHED_M), 128, 4);
const LEGACY_L: Architecture = legacy(esnet(1.25, SEARCHED_L), 160, 4);
const V2_XS: Architecture = v2(0.35, 96, 2);
const V2_S: Architecture = v2(0.75, 96, 2);
const V2_M: Architecture = v2(1.5, 128, 4);
const V2_L: Architecture = v2(2.0, 160, 4);
const NPU_S: Architecture = Architecture {
    backbone: Backbone::LcNet(LcNet::uniform(0.75, RELU6)),
    neck: Neck::CspPan { channels: 96, levels: 4, kernel: KERNEL, activation: RELU6 },
    head: head(HeadKind::PicoHeadV2, 4, RELU6),
};
const SHUFFLENET_V2: Architecture = legacy(Backbone::ShuffleNetV2, 96, 2);
const MOBILENET_V3: Architecture = legacy(Backbone::MobileNetV3Large, 128, 4);
const LCNET_1_0X: Architecture = legacy(lcnet(1.0), 128, 4);
const LCNET_2_5X: Architecture = legacy(lcnet(2.5), 128, 4);
// Rows of the paper's ablation.
const ROW_1: Architecture = ablation(Backbone::ShuffleNetV2, Neck::Pan { channels: 96 });
const ROW_2: Architecture = ablation(Backbone::ShuffleNetV2, leaky_csp_pan(3));
const ROW_3: Architecture = ablation(Backbone::ShuffleNetV2, leaky_csp_pan(4));
const ROW_7: Architecture = ablation(
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

/// A network whose input is scaled to 0 to 1 and not normalised.
const fn raw(variant: Variant) -> Variant {
    Variant { mean: [0.0; 3], std: [1.0; 3], ..variant }
}

/// A network for document pages, 800 pixels high and 608 wide.
const fn page(
    name: &'static str,
    summary: &'static str,
    architecture: Architecture,
    classes: &'static [&'static str],
) -> Variant {
    Variant { input_size: (800, 608), ..for_classes(coco(name, summary, architecture, 800), classes) }
}

const VARIANTS: &[Variant] = &[
    coco("legacy_s_320", "the paper's S: ESNet 0.75x, CSP-PAN", LEGACY_S, 320),
    coco("legacy_s_416", "the paper's S: ESNet 0.75x, CSP-PAN", LEGACY_S, 416),
    coco("legacy_m_320", "the paper's M: ESNet 1.0x, CSP-PAN", LEGACY_M, 320),
    coco("legacy_m_416", "the paper's M: ESNet 1.0x, CSP-PAN", LEGACY_M, 416),
    coco("legacy_l_320", "the paper's L: ESNet 1.25x, CSP-PAN", LEGACY_L, 320),
    coco("legacy_l_416", "the paper's L: ESNet 1.25x, CSP-PAN", LEGACY_L, 416),
    coco("legacy_l_640", "the paper's L: ESNet 1.25x, CSP-PAN", LEGACY_L, 640),
    coco("shufflenetv2_1x_416", "ShuffleNetV2 1.0x (leaky ReLU), CSP-PAN", SHUFFLENET_V2, 416),
    coco("mv3_large_1x_416", "MobileNetV3-large 1.0x, CSP-PAN", MOBILENET_V3, 416),
    coco("lcnet_1_0x_416", "LCNet 1.0x, CSP-PAN", LCNET_1_0X, 416),
    coco("lcnet_1_5x_416", "LCNet 1.5x, CSP-PAN", legacy(lcnet(1.5), 128, 4), 416),
    coco("lcnet_1_5x_640", "LCNet 1.5x, CSP-PAN of 160 channels", legacy(lcnet(1.5), 160, 4), 640),
    coco("lcnet_2_5x_416", "LCNet 2.5x, CSP-PAN", LCNET_2_5X, 416),
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
    raw(coco("npu_s_416", "for NPUs: LCNet 0.75x, CSP-PAN, second head, ReLU6 everywhere", NPU_S, 416)),
    for_classes(coco("pedestrian_s_192", "people: the paper's S", LEGACY_S, 192), &PEDESTRIAN),
    for_classes(coco("pedestrian_s_320", "people: the paper's S", LEGACY_S, 320), &PEDESTRIAN),
    for_classes(coco("pedestrian_v2_s_192", "people: second generation S", V2_S, 192), &PEDESTRIAN),
    for_classes(coco("pedestrian_v2_s_320", "people: second generation S", V2_S, 320), &PEDESTRIAN),
    page("layout_publaynet", "document layout, PubLayNet classes: LCNet 1.0x", LCNET_1_0X, &PUBLAYNET),
    page("layout_cdla", "document layout, CDLA classes: LCNet 1.0x", LCNET_1_0X, &CDLA),
    for_classes(coco("mainbody_640", "the main body of a photo: LCNet 2.5x", LCNET_2_5X, 640), &MAIN_BODY),
    coco("ablation_1_base_416", "ablation: ShuffleNetV2, PAN without convolutions", ROW_1, 416),
    coco("ablation_2_csp_pan_3_416", "ablation: + CSP-PAN of 3 levels", ROW_2, 416),
    coco("ablation_3_csp_pan_4_416", "ablation: + CSP-PAN of 4 levels", ROW_3, 416),
    coco("ablation_4_vfl_416", "ablation: + varifocal loss (the network of row 3)", ROW_3, 416),
    coco("ablation_5_simota_416", "ablation: + original SimOTA (the network of row 3)", ROW_3, 416),
    coco("ablation_6_cost_416", "ablation: + the paper's SimOTA cost (the network of row 3)", ROW_3, 416),
    coco("ablation_7_esnet_416", "ablation: + ESNet 0.75x", ROW_7, 416),
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
