//! Weights with the names of the reference implementation, batch norms not folded.

use std::collections::BTreeMap;

use picodet_graph::{CheckError, Param, Tensor, Weights};
use picodet_zoo::{HeadKind, REG_CHANNELS, Variant, names};

use super::error::WeightsError;
use super::network::Network;
use crate::MAX_CLASSES;

/// The tensor whose shape gives the number of classes.
const PREDICTION: &str = "head.head_cls0.weight";

/// Renames the tensors of the reference implementation and checks that they are those of `variant`.
pub(super) fn network(variant: &Variant, tensors: Weights) -> Result<Network, WeightsError> {
    let (mut tensors, notes) = with_reference_names(tensors)?;
    let graph = variant.architecture.graph(class_count(variant, &tensors)?);
    let mut weights = Weights::new();
    let (mut problems, mut names) = (Vec::new(), BTreeMap::new());
    for param in &graph.params {
        let reference_name = names::reference_name(&variant.architecture, &param.name).unwrap_or_default();
        match tensors.remove(&reference_name) {
            Some(tensor) => {
                let tensor = with_unit_axes(tensor, param);
                if tensor.shape != param.shape {
                    problems.push(format!(
                        "`{reference_name}` (`{}`) has shape {:?}, not {:?}",
                        param.name, tensor.shape, param.shape
                    ));
                }
                weights.insert(param.name.clone(), tensor);
            }
            None => problems.push(format!("`{reference_name}` is missing")),
        }
        names.insert(param.name.clone(), reference_name);
    }
    let unexpected = tensors.keys().filter(|name| !names::is_unused(name));
    problems.extend(unexpected.map(|name| format!("unexpected tensor `{name}`")));
    if !problems.is_empty() {
        return Err(CheckError { problems }.into());
    }
    graph.check_weights(&weights)?;
    Ok(Network { graph, weights, folded: false, names, notes })
}

/// Removes the prefix that a wrapper of the network adds to every name (`model.`, `_layers.`, `module.`,
/// `student.`).
///
/// The prefix is the text before the name of the prediction. Of several networks in one file, such as student
/// and teacher of a distillation, the student or the averaged one is taken.
fn with_reference_names(tensors: Weights) -> Result<(Weights, Vec<String>), WeightsError> {
    let prefix_of = |name: &String| Some(name.strip_suffix(PREDICTION)?.to_owned());
    let is_path = |prefix: &String| prefix.is_empty() || prefix.ends_with('.');
    let prefixes: Vec<String> = tensors.keys().filter_map(prefix_of).filter(is_path).collect();
    let is_preferred = |prefix: &&String| prefix.contains("student") || prefix.contains("ema");
    let preferred: Vec<&String> = prefixes.iter().filter(is_preferred).collect();
    let prefix = match (prefixes.as_slice(), preferred.as_slice()) {
        ([], _) => return Ok((tensors, Vec::new())),
        ([prefix], _) => prefix,
        (several, []) if several.iter().any(String::is_empty) => return Ok((tensors, Vec::new())),
        (_, [prefix]) => *prefix,
        (several, _) => return Err(WeightsError::Several { prefixes: several.to_vec() }),
    };
    let is_choice = prefixes.len() > 1;
    let listed = || prefixes.iter().map(|prefix| format!("`{prefix}`")).collect::<Vec<_>>().join(" and ");
    let note = is_choice.then(|| format!("the file holds the networks {}; `{prefix}` is read", listed()));
    let is_of_other = |name: &String| prefixes.iter().any(|other| other != prefix && name.starts_with(other));
    let renamed = tensors.into_iter().filter_map(|(name, tensor)| match name.strip_prefix(prefix) {
        Some(stripped) => Some((stripped.to_owned(), tensor)),
        None if is_of_other(&name) => None,
        None => Some((name, tensor)),
    });
    Ok((renamed.collect(), note.into_iter().collect()))
}

fn class_count(variant: &Variant, tensors: &Weights) -> Result<usize, WeightsError> {
    let prediction = tensors.get(PREDICTION).and_then(|tensor| tensor.shape.first().copied());
    let rows =
        prediction.ok_or_else(|| CheckError { problems: vec![format!("`{PREDICTION}` is missing")] })?;
    let classes = match variant.architecture.head.kind {
        HeadKind::PicoHead => rows.saturating_sub(REG_CHANNELS),
        HeadKind::PicoHeadV2 => rows,
    };
    if !(1..=MAX_CLASSES).contains(&classes) {
        return Err(WeightsError::ClassCount { tensor: PREDICTION, rows, classes });
    }
    Ok(classes)
}

/// Gives a tensor the shape of its parameter if only axes of length 1 differ: the reference implementation
/// stores some vectors of one value without an axis.
fn with_unit_axes(mut tensor: Tensor, param: &Param) -> Tensor {
    let is_long = |extent: &&usize| **extent != 1;
    let long_axes = tensor.shape.iter().filter(is_long);
    if tensor.data.len() == param.len() && long_axes.eq(param.shape.iter().filter(is_long)) {
        tensor.shape.clone_from(&param.shape);
    }
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_of_another_shape_has_both_names() {
        let variant = picodet_zoo::variant("v2_s_320").expect("a variant");
        let graph = variant.architecture.graph(80);
        let reference =
            |param: &Param| names::reference_name(&variant.architecture, &param.name).expect("a name");
        let tensors: Weights =
            graph.params.iter().map(|param| (reference(param), Tensor::full(&param.shape, 0.5))).collect();
        let found = network(variant, tensors.clone()).expect("the network");
        assert_eq!(found.names["backbone.stem.conv.weight"], "backbone.conv1.conv.weight");
        let mut changed = tensors;
        changed.insert("backbone.conv1.conv.weight".to_owned(), Tensor::full(&[8, 3, 1, 1], 0.5));
        let error = network(variant, changed).map(drop).expect_err("another shape").to_string();
        assert!(
            error.starts_with(
                "`backbone.conv1.conv.weight` (`backbone.stem.conv.weight`) has shape [8, 3, 1, 1], not"
            ),
            "{error}"
        );
    }

    fn names(of: &[&str]) -> Result<Vec<String>, WeightsError> {
        let tensors = of.iter().map(|name| ((*name).to_owned(), Tensor::full(&[1], 0.0))).collect();
        with_reference_names(tensors).map(|(tensors, _)| tensors.into_keys().collect())
    }

    #[test]
    fn a_prefix_of_all_names_is_removed() {
        for prefix in ["", "model.", "_layers.", "module.", "student.", "module._layers.model."] {
            let wrapped = [format!("{prefix}backbone.conv1.weight"), format!("{prefix}{PREDICTION}")];
            let found = names(&[&wrapped[0], &wrapped[1]]).expect("one network");
            assert_eq!(found, ["backbone.conv1.weight", PREDICTION], "{prefix}");
        }
        // A name that has the prefix in its middle, and one without it, stay.
        let found = names(&["model.model.x", "model.head.head_cls0.weight", "y"]).expect("one network");
        assert_eq!(found, [PREDICTION, "model.x", "y"]);
    }

    #[test]
    fn the_student_is_taken_and_two_equals_are_refused() {
        let student = names(&["student_model.head.head_cls0.weight", "teacher_model.head.head_cls0.weight"]);
        assert_eq!(student.expect("a student"), [PREDICTION]);
        let both = ["student.head.head_cls0.weight", "teacher.head.head_cls0.weight"];
        let tensors = both.iter().map(|name| ((*name).to_owned(), Tensor::full(&[1], 0.0))).collect();
        let (_, notes) = with_reference_names(tensors).expect("a student");
        assert_eq!(notes, ["the file holds the networks `student.` and `teacher.`; `student.` is read"]);
        let error = names(&["a.head.head_cls0.weight", "b.head.head_cls0.weight"]).unwrap_err().to_string();
        assert!(error.contains("`a.`") && error.contains("`b.`"), "{error}");
    }
}
