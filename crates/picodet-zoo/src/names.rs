//! Maps parameter names of the reference (SPEC §12) to the graph's names and back, with one table per family.
//!
//! A rule pairs two patterns of blocks. `{}` stands for a number that both sides share, `{+1}` for one that the
//! reference counts from 1; the style is the reference's naming of the parameters inside the block.

use crate::{Architecture, Backbone, Classifier, HeadKind, Neck};

/// The reference's naming of the parameters of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `weight` and `bias`, as in the graph.
    Plain,
    /// A convolution outside a block: `weight` where the graph has `conv.weight`.
    Bare,
    /// A convolution and a batch norm with these names.
    ConvolutionNorm(&'static str, &'static str),
}

const ESNET: Style = Style::ConvolutionNorm("_conv", "_batch_norm");
const BN: Style = Style::ConvolutionNorm("conv", "bn");
const NORM: Style = Style::ConvolutionNorm("conv", "norm");
const FIRST: Style = Style::ConvolutionNorm("dwconv", "bn1");
const SECOND: Style = Style::ConvolutionNorm("pwconv", "bn2");

/// Block in the graph, block in the reference, style inside.
type Rule = (&'static str, &'static str, Style);

const ESNET_RULES: &[Rule] = &[
    ("backbone.stem", "backbone._conv1", ESNET),
    ("backbone.stage{}.0.branch1.depthwise", "backbone.{}_1._conv_dw_1", ESNET),
    ("backbone.stage{}.0.branch1.project", "backbone.{}_1._conv_linear_1", ESNET),
    ("backbone.stage{}.0.branch2.expand", "backbone.{}_1._conv_pw_2", ESNET),
    ("backbone.stage{}.0.branch2.depthwise", "backbone.{}_1._conv_dw_2", ESNET),
    ("backbone.stage{}.0.branch2.squeeze_excite.reduce", "backbone.{}_1._se.conv1", Style::Plain),
    ("backbone.stage{}.0.branch2.squeeze_excite.expand", "backbone.{}_1._se.conv2", Style::Plain),
    ("backbone.stage{}.0.branch2.project", "backbone.{}_1._conv_linear_2", ESNET),
    ("backbone.stage{}.0.fuse.depthwise", "backbone.{}_1._conv_dw_mv1", ESNET),
    ("backbone.stage{}.0.fuse.pointwise", "backbone.{}_1._conv_pw_mv1", ESNET),
    ("backbone.stage{}.{}.expand", "backbone.{}_{+1}._conv_pw", ESNET),
    ("backbone.stage{}.{}.depthwise", "backbone.{}_{+1}._conv_dw", ESNET),
    ("backbone.stage{}.{}.squeeze_excite.reduce", "backbone.{}_{+1}._se.conv1", Style::Plain),
    ("backbone.stage{}.{}.squeeze_excite.expand", "backbone.{}_{+1}._se.conv2", Style::Plain),
    ("backbone.stage{}.{}.project", "backbone.{}_{+1}._conv_linear", ESNET),
];

const LCNET_RULES: &[Rule] = &[
    ("backbone.stem", "backbone.conv1", BN),
    ("backbone.blocks{}.{}.depthwise", "backbone.blocks{}.{}.dw_conv", BN),
    ("backbone.blocks{}.{}.squeeze_excite.reduce", "backbone.blocks{}.{}.se.conv1", Style::Plain),
    ("backbone.blocks{}.{}.squeeze_excite.expand", "backbone.blocks{}.{}.se.conv2", Style::Plain),
    ("backbone.blocks{}.{}.pointwise", "backbone.blocks{}.{}.pw_conv", BN),
];

const MOBILENET_RULES: &[Rule] = &[
    ("backbone.stem", "backbone.conv1", BN),
    ("backbone.unit{}.expand", "backbone.conv{}.expand_conv", BN),
    ("backbone.unit{}.depthwise", "backbone.conv{}.bottleneck_conv", BN),
    ("backbone.unit{}.squeeze_excite.reduce", "backbone.conv{}.mid_se.conv1", Style::Plain),
    ("backbone.unit{}.squeeze_excite.expand", "backbone.conv{}.mid_se.conv2", Style::Plain),
    ("backbone.unit{}.project", "backbone.conv{}.linear_conv", BN),
];

const RESNET_RULES: &[Rule] = &[
    ("backbone.stem.{}", "backbone.conv1.conv1_{+1}", NORM),
    ("backbone.stage2.0.shortcut.project", "backbone.res2.res2a.short", NORM),
    ("backbone.stage{}.0.shortcut.project", "backbone.res{}.res{}a.short.conv", NORM),
    ("backbone.stage{}.0.first", "backbone.res{}.res{}a.branch2a", NORM),
    ("backbone.stage{}.0.second", "backbone.res{}.res{}a.branch2b", NORM),
    ("backbone.stage{}.1.first", "backbone.res{}.res{}b.branch2a", NORM),
    ("backbone.stage{}.1.second", "backbone.res{}.res{}b.branch2b", NORM),
];

const PATH_AGGREGATION_RULES: &[Rule] = &[
    ("neck.reduce.{}", "neck.conv_t.convs.{}", BN),
    ("neck.downsample.{}.depthwise", "neck.downsamples.{}", FIRST),
    ("neck.downsample.{}.pointwise", "neck.downsamples.{}", SECOND),
    ("neck.extra.from_reduced.depthwise", "neck.first_top_conv", FIRST),
    ("neck.extra.from_reduced.pointwise", "neck.first_top_conv", SECOND),
    ("neck.extra.from_aggregated.depthwise", "neck.second_top_conv", FIRST),
    ("neck.extra.from_aggregated.pointwise", "neck.second_top_conv", SECOND),
];

const CSP_RULES: &[Rule] = &[
    ("neck.top_down.{}.main", "neck.top_down_blocks.{}.main_conv", BN),
    ("neck.top_down.{}.bottleneck.reduce", "neck.top_down_blocks.{}.blocks.0.conv1", BN),
    ("neck.top_down.{}.bottleneck.depthwise", "neck.top_down_blocks.{}.blocks.0.conv2", FIRST),
    ("neck.top_down.{}.bottleneck.pointwise", "neck.top_down_blocks.{}.blocks.0.conv2", SECOND),
    ("neck.top_down.{}.short", "neck.top_down_blocks.{}.short_conv", BN),
    ("neck.top_down.{}.final", "neck.top_down_blocks.{}.final_conv", BN),
    ("neck.bottom_up.{}.main", "neck.bottom_up_blocks.{}.main_conv", BN),
    ("neck.bottom_up.{}.bottleneck.reduce", "neck.bottom_up_blocks.{}.blocks.0.conv1", BN),
    ("neck.bottom_up.{}.bottleneck.depthwise", "neck.bottom_up_blocks.{}.blocks.0.conv2", FIRST),
    ("neck.bottom_up.{}.bottleneck.pointwise", "neck.bottom_up_blocks.{}.blocks.0.conv2", SECOND),
    ("neck.bottom_up.{}.short", "neck.bottom_up_blocks.{}.short_conv", BN),
    ("neck.bottom_up.{}.final", "neck.bottom_up_blocks.{}.final_conv", BN),
];

const LC_RULES: &[Rule] = &[
    ("neck.top_down.{}.{}.depthwise", "neck.top_down_blocks.{}.{}.dw_conv", BN),
    ("neck.top_down.{}.{}.pointwise", "neck.top_down_blocks.{}.{}.pw_conv", BN),
    ("neck.bottom_up.{}.{}.depthwise", "neck.bottom_up_blocks.{}.{}.dw_conv", BN),
    ("neck.bottom_up.{}.{}.pointwise", "neck.bottom_up_blocks.{}.{}.pw_conv", BN),
];

const PAN_RULES: &[Rule] = &[("neck.lateral.{}", "neck.lateral_convs.{}", Style::Plain)];

const TOWER_RULES: &[Rule] = &[
    ("head.level{}.tower.{}.depthwise", "head.conv_feat.cls_conv_dw{}.{}", NORM),
    ("head.level{}.tower.{}.pointwise", "head.conv_feat.cls_conv_pw{}.{}", NORM),
];

const HEAD_RULES: &[Rule] = &[("head.level{}.prediction", "head.head_cls{}", Style::Plain)];

const HEAD_V2_RULES: &[Rule] = &[
    ("head.level{}.squeeze_excite.gate", "head.conv_feat.se.{}.fc", Style::Plain),
    ("head.level{}.squeeze_excite.pointwise", "head.conv_feat.se.{}.conv", NORM),
    ("head.level{}.cls", "head.head_cls{}", Style::Plain),
    ("head.level{}.reg", "head.head_reg{}", Style::Plain),
    ("head.level{}.align.dense", "head.cls_align.{}", FIRST),
    ("head.level{}.align.pointwise", "head.cls_align.{}", SECOND),
];

/// The classification library has no prefix and counts ESNet's blocks through the stages.
const ESNET_CLASSIFIER_RULES: &[Rule] = &[
    ("backbone.stem", "conv1", BN),
    ("backbone.stage{}.0.branch1.depthwise", "blocks.{}.dw_1", BN),
    ("backbone.stage{}.0.branch1.project", "blocks.{}.pw_1", BN),
    ("backbone.stage{}.0.branch2.expand", "blocks.{}.pw_2_1", BN),
    ("backbone.stage{}.0.branch2.depthwise", "blocks.{}.dw_2", BN),
    ("backbone.stage{}.0.branch2.squeeze_excite.reduce", "blocks.{}.se.conv1", Style::Plain),
    ("backbone.stage{}.0.branch2.squeeze_excite.expand", "blocks.{}.se.conv2", Style::Plain),
    ("backbone.stage{}.0.branch2.project", "blocks.{}.pw_2_2", BN),
    ("backbone.stage{}.0.fuse.depthwise", "blocks.{}.concat_dw", BN),
    ("backbone.stage{}.0.fuse.pointwise", "blocks.{}.concat_pw", BN),
    ("backbone.stage{}.{}.expand", "blocks.{}.pw_1_1", BN),
    ("backbone.stage{}.{}.depthwise", "blocks.{}.dw_1", BN),
    ("backbone.stage{}.{}.squeeze_excite.reduce", "blocks.{}.se.conv1", Style::Plain),
    ("backbone.stage{}.{}.squeeze_excite.expand", "blocks.{}.se.conv2", Style::Plain),
    ("backbone.stage{}.{}.project", "blocks.{}.pw_1_2", BN),
    ("classifier.expand", "conv2", BN),
    ("classifier.last", "last_conv", Style::Bare),
    ("classifier.logits", "fc", Style::Plain),
];

const LCNET_CLASSIFIER_RULES: &[Rule] = &[
    ("backbone.stem", "conv1", BN),
    ("backbone.blocks{}.{}.depthwise", "blocks{}.{}.dw_conv", BN),
    ("backbone.blocks{}.{}.squeeze_excite.reduce", "blocks{}.{}.se.conv1", Style::Plain),
    ("backbone.blocks{}.{}.squeeze_excite.expand", "blocks{}.{}.se.conv2", Style::Plain),
    ("backbone.blocks{}.{}.pointwise", "blocks{}.{}.pw_conv", BN),
    ("classifier.last", "last_conv", Style::Bare),
    ("classifier.logits", "fc", Style::Plain),
];

/// The tables that apply to an architecture, the first match winning.
fn rules(architecture: &Architecture) -> Vec<Rule> {
    let backbone = match architecture.backbone {
        Backbone::EsNet(_) | Backbone::ShuffleNetV2 => ESNET_RULES,
        Backbone::LcNet(_) => LCNET_RULES,
        Backbone::MobileNetV3Large => MOBILENET_RULES,
        Backbone::ResNet18Vd => RESNET_RULES,
    };
    let neck = match architecture.neck {
        Neck::CspPan { .. } => [PATH_AGGREGATION_RULES, CSP_RULES].concat(),
        Neck::LcPan { .. } => [PATH_AGGREGATION_RULES, LC_RULES].concat(),
        Neck::Pan { .. } => PAN_RULES.to_vec(),
    };
    let head = match architecture.head.kind {
        HeadKind::PicoHead => HEAD_RULES,
        HeadKind::PicoHeadV2 => HEAD_V2_RULES,
    };
    [backbone, &neck, TOWER_RULES, head].concat()
}

/// The reference's name of one of our parameters of a detector, or `None` for a name that is not ours.
pub fn reference_name(architecture: &Architecture, ours: &str) -> Option<String> {
    rules(architecture).iter().find_map(|rule| apply(rule, ours))
}

/// The classification library's name of one of our parameters of a classifier.
pub fn classifier_reference_name(classifier: &Classifier, ours: &str) -> Option<String> {
    match classifier {
        Classifier::LcNet { .. } => LCNET_CLASSIFIER_RULES.iter().find_map(|rule| apply(rule, ours)),
        Classifier::EsNet { .. } => ESNET_CLASSIFIER_RULES.iter().find_map(|rule| {
            let numbers = flatten_block(ours).into_iter().collect();
            render(rule, &Capture { numbers, ..Capture::of(rule.0, ours)? })
        }),
    }
}

/// The place of a block in the classification library's flat list: stages hold 3, 7 and 3.
fn flatten_block(ours: &str) -> Option<usize> {
    let mut path = ours.strip_prefix("backbone.stage")?.split('.');
    let first = match path.next()? {
        "2" => 0,
        "3" => 3,
        "4" => 10,
        _ => return None,
    };
    Some(first + path.next()?.parse::<usize>().ok()?)
}

/// Names that a reference checkpoint holds although no computation reads them, or that repeat another tensor
/// (SPEC §12).
pub fn is_unused(reference: &str) -> bool {
    reference.starts_with("head.head_cls_list.")
        || reference.starts_with("head.head_reg_list.")
        || reference.starts_with("head.gfl_head_")
        || reference == "head.distribution_project.project"
        || (reference.starts_with("head.p") && reference.ends_with("_feat.scale_reg"))
        || reference.ends_with("num_batches_tracked")
}

fn apply(rule: &Rule, ours: &str) -> Option<String> {
    render(rule, &Capture::of(rule.0, ours)?)
}

/// The numbers that a pattern caught, and the path after it.
struct Capture<'a> {
    numbers: Vec<usize>,
    rest: &'a str,
}

impl<'a> Capture<'a> {
    fn of(pattern: &str, mut text: &'a str) -> Option<Self> {
        let mut numbers = Vec::new();
        let mut literals = pattern.split("{}");
        text = text.strip_prefix(literals.next()?)?;
        for literal in literals {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            numbers.push(text[..digits].parse().ok()?);
            text = text[digits..].strip_prefix(literal)?;
        }
        Some(Self { numbers, rest: text.strip_prefix('.')? })
    }
}

fn render(&(_, theirs, style): &Rule, capture: &Capture<'_>) -> Option<String> {
    let leaf = match (style, capture.rest) {
        (Style::Plain, "weight") | (Style::Bare, "conv.weight") => "weight".to_owned(),
        (Style::Plain, "bias") => "bias".to_owned(),
        (Style::ConvolutionNorm(convolution, _), "conv.weight") => format!("{convolution}.weight"),
        (Style::ConvolutionNorm(_, norm), rest) => {
            let leaf = match rest.strip_prefix("norm.")? {
                "gamma" => "weight",
                "beta" => "bias",
                "mean" => "_mean",
                "variance" => "_variance",
                _ => return None,
            };
            format!("{norm}.{leaf}")
        }
        _ => return None,
    };
    let mut numbers = capture.numbers.iter();
    let mut last = None;
    let mut name = String::new();
    let mut rest = theirs;
    // Where the graph's pattern has fewer numbers than the reference's, the last one is repeated (`res3.res3a`).
    while let Some(at) = rest.find('{') {
        name.push_str(&rest[..at]);
        let end = at + rest[at..].find('}')? + 1;
        let number = *numbers.next().or(last)?;
        last = capture.numbers.last();
        name.push_str(&(number + usize::from(&rest[at..end] == "{+1}")).to_string());
        rest = &rest[end..];
    }
    name.push_str(rest);
    Some(format!("{name}.{leaf}"))
}
