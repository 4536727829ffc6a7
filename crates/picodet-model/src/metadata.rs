//! Metadata of trained and converted models.

use picodet_weights::Metadata;
use picodet_zoo::Variant;

use crate::ConvertOptions;

/// Interpolation of the resize before the network, unless a model names another one.
const DEFAULT_RESIZE: &str = "cubic";

/// Returns the metadata of a model that picodet trained, batch norms not folded.
///
/// `origin` and `licence` are those of the initial weights.
#[must_use]
pub fn for_training(
    variant: &Variant,
    classes: Vec<String>,
    input_size: (usize, usize),
    epochs: usize,
    origin: &str,
    licence: &str,
) -> Metadata {
    Metadata {
        input_size,
        origin: format!("trained by picodet for {epochs} epochs from {origin}"),
        licence: licence.to_owned(),
        ..of_variant(variant, classes)
    }
}

/// Returns the metadata of converted weights; `file_name` is the origin unless `options` gives one.
pub(crate) fn for_conversion(
    variant: &Variant,
    classes: Vec<String>,
    folded: bool,
    options: &ConvertOptions,
    file_name: &str,
) -> Metadata {
    Metadata {
        input_size: options.input_size.unwrap_or(variant.input_size),
        resize: options.resize.clone().unwrap_or_else(|| DEFAULT_RESIZE.to_owned()),
        folded,
        origin: options.origin.clone().unwrap_or_else(|| format!("converted from {file_name}")),
        licence: options.licence.clone().unwrap_or_else(|| "unknown".to_owned()),
        ..of_variant(variant, classes)
    }
}

/// Returns the values that follow from the variant and the classes.
fn of_variant(variant: &Variant, classes: Vec<String>) -> Metadata {
    let is_published = classes.iter().map(String::as_str).eq(variant.classes.iter().copied());
    let category_ids =
        if is_published { variant.category_ids() } else { (1..=classes.len() as u32).collect() };
    Metadata {
        variant: variant.name.to_owned(),
        architecture: architecture_json(variant),
        classes,
        category_ids,
        input_size: variant.input_size,
        mean: variant.mean,
        std: variant.std,
        resize: DEFAULT_RESIZE.to_owned(),
        strides: variant.architecture.strides(),
        folded: false,
        ..Metadata::default()
    }
}

/// Returns the values in which a network differs from the published one of its name as a JSON object; `None` if it does not.
#[must_use]
pub fn architecture_json(variant: &Variant) -> Option<String> {
    let overrides = variant.overrides();
    (!overrides.is_empty()).then(|| serde_json::to_string(&overrides).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_classes_keep_their_category_ids() {
        let variant = picodet_zoo::variant("legacy_s_320").expect("a variant");
        let names: Vec<String> = variant.classes.iter().map(ToString::to_string).collect();
        let published = of_variant(variant, names.clone());
        assert_eq!(published.category_ids, variant.category_ids());
        assert!(published.category_ids.iter().ne(&(1..=80).collect::<Vec<_>>()), "COCO's ids have gaps");
        let own = of_variant(variant, names[..3].to_vec());
        assert_eq!(own.category_ids, [1, 2, 3]);
        let trained = for_training(variant, names, (320, 416), 7, "random weights", "unknown");
        assert_eq!(trained.origin, "trained by picodet for 7 epochs from random weights");
        assert_eq!((trained.input_size, trained.folded), ((320, 416), false));
        assert_eq!(trained.architecture, None);
    }
}
