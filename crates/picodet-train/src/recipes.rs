//! The published experiments and the rows of the ablation: the files of `recipes/`.

use crate::{Experiment, ExperimentError};

/// Name and text of a recipe.
type Recipe = (&'static str, &'static str);

macro_rules! recipe {
    ($name:literal) => {
        ($name, include_str!(concat!("../recipes/", $name, ".toml")))
    };
}

/// All recipes, by name.
pub const RECIPES: &[Recipe] = &[
    recipe!("ablation_1_base_416"),
    recipe!("ablation_2_csp_pan_3_416"),
    recipe!("ablation_3_csp_pan_4_416"),
    recipe!("ablation_4_vfl_416"),
    recipe!("ablation_5_simota_416"),
    recipe!("ablation_6_cost_416"),
    recipe!("ablation_7_esnet_416"),
    recipe!("ablation_8_hard_swish_416"),
    recipe!("layout_cdla"),
    recipe!("layout_publaynet"),
    recipe!("lcnet_1_0x_416"),
    recipe!("lcnet_1_5x_416"),
    recipe!("lcnet_1_5x_640"),
    recipe!("lcnet_2_5x_416"),
    recipe!("legacy_l_320"),
    recipe!("legacy_l_416"),
    recipe!("legacy_l_640"),
    recipe!("legacy_m_320"),
    recipe!("legacy_m_416"),
    recipe!("legacy_s_320"),
    recipe!("legacy_s_320_voc"),
    recipe!("legacy_s_416"),
    recipe!("mainbody_640"),
    recipe!("mv3_large_1x_416"),
    recipe!("npu_s_416"),
    recipe!("pedestrian_s_192"),
    recipe!("pedestrian_s_320"),
    recipe!("pedestrian_v2_s_192"),
    recipe!("pedestrian_v2_s_320"),
    recipe!("r18vd_640"),
    recipe!("shufflenetv2_1x_416"),
    recipe!("v2_l_320"),
    recipe!("v2_l_416"),
    recipe!("v2_l_640"),
    recipe!("v2_m_320"),
    recipe!("v2_m_416"),
    recipe!("v2_s_320"),
    recipe!("v2_s_416"),
    recipe!("v2_xs_320"),
    recipe!("v2_xs_416"),
];

/// Returns the experiment of a recipe.
///
/// # Errors
/// If no recipe has this name.
pub fn recipe(name: &str) -> Result<Experiment, ExperimentError> {
    let unknown = || ExperimentError {
        place: name.to_owned(),
        problem: "unknown recipe; `picodet models` lists the networks, each of which has one".to_owned(),
    };
    let (_, text) = RECIPES.iter().find(|recipe| recipe.0 == name).ok_or_else(unknown)?;
    Experiment::from_toml(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_recipe_is_valid_and_names_its_published_result() {
        let mut problems = Vec::new();
        for (name, text) in RECIPES {
            match recipe(name) {
                Err(error) => problems.push(format!("{name}: {error}")),
                Ok(experiment) => {
                    let again = Experiment::from_toml(&experiment.to_toml());
                    if again.as_ref() != Ok(&experiment) {
                        problems.push(format!("{name}: written and read again it is {again:?}"));
                    }
                    // A recipe copied from another network's would train that one.
                    let network = picodet_zoo::variant(name);
                    if network.is_some_and(|network| network.name != experiment.model) {
                        problems.push(format!("{name}: `model` is {}", experiment.model));
                    }
                }
            }
            if !text.lines().next().unwrap_or_default().contains("published")
                || !text.contains(&format!("train {name} --data"))
            {
                problems.push(format!("{name}: its first two lines are not what it reaches and the command"));
            }
        }
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }

    #[test]
    fn every_network_has_a_recipe_and_every_file_is_listed() {
        let known: BTreeSet<&str> = RECIPES.iter().map(|recipe| recipe.0).collect();
        let networks = picodet_zoo::variants().iter().map(|variant| variant.name);
        let missing: Vec<&str> = networks.filter(|name| !known.contains(name)).collect();
        assert!(missing.is_empty(), "without a recipe: {missing:?}");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes");
        let files = std::fs::read_dir(folder).expect("the folder of recipes").flatten();
        let files: BTreeSet<String> =
            files.map(|file| file.file_name().to_string_lossy().replace(".toml", "")).collect();
        assert_eq!(files, known.iter().map(|name| (*name).to_owned()).collect());
    }
}
