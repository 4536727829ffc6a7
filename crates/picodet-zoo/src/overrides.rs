//! Networks that differ from a published one in widths, depths and kernels, such as those of an architecture search.

use serde::{Deserialize, Serialize};

use crate::{Architecture, Backbone, Head, LCNET_GROUPS, Neck, Variant, variant};

/// The values in which a network differs from the published one of its name; those that are absent do not differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchitectureOverrides {
    /// Channel ratio of each block of ESNet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratios: Option<[f32; 13]>,
    /// Width multiplier of each group of blocks of LCNet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scales: Option<[f32; LCNET_GROUPS]>,
    /// Channels of all levels of the neck, and with them of the head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neck_channels: Option<usize>,
    /// Kernel of the depthwise convolutions of the neck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neck_kernel: Option<usize>,
    /// Pairs of depthwise and pointwise convolution in each tower of the head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tower_convolutions: Option<usize>,
    /// Kernel of the depthwise convolutions of the towers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tower_kernel: Option<usize>,
}

/// An override that a network cannot have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// The network has no such value.
    #[error("this network has no {0}")]
    Absent(&'static str),
    /// The value is out of range.
    #[error("{name} = {value}: {rule}")]
    Value {
        /// Name of the override.
        name: &'static str,
        /// The value.
        value: f64,
        /// The values that are possible.
        rule: &'static str,
    },
}

impl ArchitectureOverrides {
    /// Returns the values in which `other` differs from `base`.
    #[must_use]
    pub fn between(base: &Architecture, other: &Architecture) -> Self {
        let ratios = match (base.backbone, other.backbone) {
            (Backbone::EsNet(base), Backbone::EsNet(other)) => differing(base.ratios, other.ratios),
            _ => None,
        };
        let scales = match (base.backbone, other.backbone) {
            (Backbone::LcNet(base), Backbone::LcNet(other)) => differing(base.scales, other.scales),
            _ => None,
        };
        Self {
            ratios,
            scales,
            neck_channels: differing(base.neck.channels(), other.neck.channels()),
            neck_kernel: differing(base.neck.kernel(), other.neck.kernel()).flatten(),
            tower_convolutions: differing(base.head.tower_convolutions, other.head.tower_convolutions),
            tower_kernel: differing(base.head.tower_kernel, other.head.tower_kernel),
        }
    }

    /// Whether there are no differences.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns `base` with these values.
    ///
    /// # Errors
    /// [`OverrideError`] for a value that the network does not have or that is out of range.
    pub fn apply(&self, base: &Architecture) -> Result<Architecture, OverrideError> {
        let mut architecture = *base;
        if let Some(ratios) = self.ratios {
            let Backbone::EsNet(esnet) = &mut architecture.backbone else {
                return Err(OverrideError::Absent("ratios"));
            };
            let is_possible = |ratio: f32| (0.25..=1.0).contains(&ratio);
            for ratio in ratios {
                check("ratios", f64::from(ratio), is_possible(ratio), "a ratio is between 0.25 and 1")?;
            }
            esnet.ratios = ratios;
        }
        if let Some(scales) = self.scales {
            let Backbone::LcNet(lcnet) = &mut architecture.backbone else {
                return Err(OverrideError::Absent("scales"));
            };
            for scale in scales {
                let is_possible = (0.125..=4.0).contains(&scale);
                check("scales", f64::from(scale), is_possible, "a scale is between 0.125 and 4")?;
            }
            lcnet.scales = scales;
        }
        self.apply_to_neck(&mut architecture.neck)?;
        self.apply_to_head(&mut architecture.head)?;
        Ok(architecture)
    }

    fn apply_to_neck(&self, neck: &mut Neck) -> Result<(), OverrideError> {
        if let Some(width) = self.neck_channels {
            let is_possible = width.is_multiple_of(16) && (16..=512).contains(&width);
            check("neck_channels", width as f64, is_possible, "a multiple of 16, at most 512")?;
            match neck {
                Neck::CspPan { channels, .. } | Neck::LcPan { channels, .. } | Neck::Pan { channels } => {
                    *channels = width;
                }
            }
        }
        if let Some(size) = self.neck_kernel {
            check_kernel("neck_kernel", size)?;
            match neck {
                Neck::CspPan { kernel, .. } | Neck::LcPan { kernel, .. } => *kernel = size,
                Neck::Pan { .. } => return Err(OverrideError::Absent("neck_kernel")),
            }
        }
        Ok(())
    }

    fn apply_to_head(&self, head: &mut Head) -> Result<(), OverrideError> {
        if let Some(count) = self.tower_convolutions {
            check("tower_convolutions", count as f64, (1..=8).contains(&count), "between 1 and 8")?;
            head.tower_convolutions = count;
        }
        if let Some(size) = self.tower_kernel {
            check_kernel("tower_kernel", size)?;
            head.tower_kernel = size;
        }
        Ok(())
    }
}

impl Variant {
    /// Returns the network with other values; [`Variant::name`] stays that of the published one.
    ///
    /// # Errors
    /// See [`ArchitectureOverrides::apply`].
    pub fn with(&self, overrides: &ArchitectureOverrides) -> Result<Self, OverrideError> {
        Ok(Self { architecture: overrides.apply(&self.architecture)?, ..*self })
    }

    /// Returns the values in which this network differs from the published one of its name.
    #[must_use]
    pub fn overrides(&self) -> ArchitectureOverrides {
        let published = variant(self.name).map(|base| &base.architecture);
        published.map_or_else(ArchitectureOverrides::default, |base| {
            ArchitectureOverrides::between(base, &self.architecture)
        })
    }
}

fn differing<T: PartialEq>(base: T, other: T) -> Option<T> {
    (base != other).then_some(other)
}

fn check_kernel(name: &'static str, size: usize) -> Result<(), OverrideError> {
    check(name, size as f64, matches!(size, 3 | 5), "3 or 5")
}

fn check(name: &'static str, value: f64, is_possible: bool, rule: &'static str) -> Result<(), OverrideError> {
    if is_possible { Ok(()) } else { Err(OverrideError::Value { name, value, rule }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variants;

    #[test]
    fn the_difference_of_two_networks_gives_the_second_again() {
        for variant in variants() {
            assert!(variant.overrides().is_empty(), "{}", variant.name);
            let mut overrides = ArchitectureOverrides {
                neck_channels: Some(48),
                tower_convolutions: Some(3),
                tower_kernel: Some(3),
                ..ArchitectureOverrides::default()
            };
            if variant.architecture.neck.kernel().is_some() {
                overrides.neck_kernel = Some(3);
            }
            if matches!(variant.architecture.backbone, Backbone::EsNet(_)) {
                overrides.ratios = Some([0.25; 13]);
            }
            if matches!(variant.architecture.backbone, Backbone::LcNet(_)) {
                overrides.scales = Some([0.25, 0.25, 0.25, 0.125, 0.25]);
            }
            let other = variant.with(&overrides).expect("possible values");
            assert_eq!(other.overrides(), overrides, "{}", variant.name);
            assert!(
                other.architecture.graph(3).parameter_count()
                    < variant.architecture.graph(3).parameter_count()
            );
        }
    }

    #[test]
    fn impossible_values_are_refused() {
        let base = ArchitectureOverrides::default();
        let cases = [
            ("v2_s_320", ArchitectureOverrides { ratios: Some([0.5; 13]), ..base }, "no ratios"),
            ("legacy_s_320", ArchitectureOverrides { ratios: Some([f32::NAN; 13]), ..base }, "ratios = NaN"),
            ("legacy_s_320", ArchitectureOverrides { scales: Some([0.5; 5]), ..base }, "no scales"),
            (
                "v2_s_320",
                ArchitectureOverrides { scales: Some([0.5, 0.5, 0.5, 0.5, 9.0]), ..base },
                "scales = 9",
            ),
            ("v2_s_320", ArchitectureOverrides { scales: Some([f32::NAN; 5]), ..base }, "scales = NaN"),
            ("legacy_s_320", ArchitectureOverrides { neck_channels: Some(40), ..base }, "neck_channels = 40"),
            ("legacy_s_320", ArchitectureOverrides { neck_channels: Some(0), ..base }, "neck_channels = 0"),
            ("ablation_1_base_416", ArchitectureOverrides { neck_kernel: Some(3), ..base }, "no neck_kernel"),
            ("v2_s_320", ArchitectureOverrides { neck_kernel: Some(4), ..base }, "neck_kernel = 4: 3 or 5"),
            ("v2_s_320", ArchitectureOverrides { tower_convolutions: Some(9), ..base }, "between 1 and 8"),
            ("v2_s_320", ArchitectureOverrides { tower_kernel: Some(7), ..base }, "tower_kernel = 7: 3 or 5"),
        ];
        for (name, overrides, expected) in cases {
            let variant = variant(name).expect("published");
            let error = variant.with(&overrides).map(|network| network.name).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
