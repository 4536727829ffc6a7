//! The published weights by name, with their addresses.

use crate::{Variant, variant};

/// Weights that their authors publish.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Name of the file without its extension, as in `picodet_s_320_coco_lcnet`.
    pub name: &'static str,
    /// Name of the network, see [`variant`].
    pub variant: &'static str,
    /// Address of the file.
    pub url: &'static str,
    /// Names of the classes, where they differ from those of the network.
    pub classes: Option<&'static [&'static str]>,
}

impl Published {
    /// Returns the network.
    pub fn network(&self) -> Option<&'static Variant> {
        variant(self.variant)
    }
}

/// The licence of all published weights.
pub const PUBLISHED_LICENCE: &str = "Apache-2.0";

/// Returns all published weights, in the order of [`variants`](crate::variants).
pub fn published_weights() -> &'static [Published] {
    PUBLISHED
}

/// Returns the published weights of a name: that of the file, or that of the network, whose first entry
/// counts.
pub fn published(name: &str) -> Option<&'static Published> {
    let by_file = PUBLISHED.iter().find(|published| published.name == name);
    by_file.or_else(|| PUBLISHED.iter().find(|published| published.variant == name))
}

const fn of(name: &'static str, variant: &'static str, url: &'static str) -> Published {
    Published { name, variant, url, classes: None }
}

macro_rules! detection {
    ($name:literal, $variant:literal) => {
        of($name, $variant, concat!("https://paddledet.bj.bcebos.com/models/", $name, ".pdparams"))
    };
}

macro_rules! keypoint {
    ($folder:literal, $name:literal, $variant:literal) => {
        of(
            $name,
            $variant,
            concat!("https://bj.bcebos.com/v1/paddledet/models/", $folder, "/", $name, ".pdparams"),
        )
    };
}

macro_rules! layout {
    ($name:literal, $variant:literal) => {
        of(
            $name,
            $variant,
            concat!("https://paddleocr.bj.bcebos.com/ppstructure/models/layout/", $name, ".pdparams"),
        )
    };
}

// PaddleDetection: configs/picodet/README_en.md, configs/picodet/legacy_model/README.md and the applications
// there; PaddleOCR: ppstructure/docs/models_list_en.md.
const PUBLISHED: &[Published] = &[
    detection!("picodet_s_320_coco", "legacy_s_320"),
    detection!("picodet_s_416_coco", "legacy_s_416"),
    detection!("picodet_m_320_coco", "legacy_m_320"),
    detection!("picodet_m_416_coco", "legacy_m_416"),
    detection!("picodet_l_320_coco", "legacy_l_320"),
    detection!("picodet_l_416_coco", "legacy_l_416"),
    detection!("picodet_l_640_coco", "legacy_l_640"),
    detection!("picodet_shufflenetv2_1x_416_coco", "shufflenetv2_1x_416"),
    detection!("picodet_mobilenetv3_large_1x_416_coco", "mv3_large_1x_416"),
    detection!("picodet_lcnet_1_5x_416_coco", "lcnet_1_5x_416"),
    detection!("picodet_lcnet_1_5x_640_coco", "lcnet_1_5x_640"),
    detection!("picodet_r18_640_coco", "r18vd_640"),
    detection!("picodet_xs_320_coco_lcnet", "v2_xs_320"),
    detection!("picodet_xs_416_coco_lcnet", "v2_xs_416"),
    detection!("picodet_s_320_coco_lcnet", "v2_s_320"),
    detection!("picodet_s_416_coco_lcnet", "v2_s_416"),
    detection!("picodet_m_320_coco_lcnet", "v2_m_320"),
    detection!("picodet_m_416_coco_lcnet", "v2_m_416"),
    detection!("picodet_l_320_coco_lcnet", "v2_l_320"),
    detection!("picodet_l_416_coco_lcnet", "v2_l_416"),
    detection!("picodet_l_640_coco_lcnet", "v2_l_640"),
    of(
        "picodet_s_416_coco_npu",
        "npu_s_416",
        "https://bj.bcebos.com/v1/paddle-slim-models/act/picodet_s_416_coco_npu.tar",
    ),
    keypoint!("keypoint", "picodet_s_192_pedestrian", "pedestrian_s_192"),
    keypoint!("keypoint", "picodet_s_320_pedestrian", "pedestrian_s_320"),
    keypoint!("keypoint/tinypose_enhance", "picodet_s_192_lcnet_pedestrian", "pedestrian_v2_s_192"),
    keypoint!("keypoint/tinypose_enhance", "picodet_s_320_lcnet_pedestrian", "pedestrian_v2_s_320"),
    layout!("picodet_lcnet_x1_0_fgd_layout", "layout_publaynet"),
    layout!("picodet_lcnet_x1_0_layout", "layout_publaynet"),
    layout!("picodet_lcnet_x1_0_fgd_layout_cdla", "layout_cdla"),
    Published {
        classes: Some(&["table"]),
        ..layout!("picodet_lcnet_x1_0_fgd_layout_table", "layout_publaynet")
    },
    detection!("picodet_lcnet_x2_5_640_mainbody", "mainbody_640"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_published_file_has_a_network_and_its_own_address() {
        let lost: Vec<&str> = PUBLISHED.iter().filter(|p| p.network().is_none()).map(|p| p.name).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let urls: BTreeSet<&str> = PUBLISHED.iter().map(|published| published.url).collect();
        let names: BTreeSet<&str> = PUBLISHED.iter().map(|published| published.name).collect();
        assert_eq!((urls.len(), names.len()), (PUBLISHED.len(), PUBLISHED.len()));
        assert!(urls.iter().all(|url| url.starts_with("https://")));
    }

    #[test]
    fn names_of_files_and_networks_are_found() {
        assert_eq!(published("v2_s_320").map(|p| p.name), Some("picodet_s_320_coco_lcnet"));
        assert_eq!(published("picodet_s_320_coco_lcnet").map(|p| p.variant), Some("v2_s_320"));
        assert_eq!(published("layout_publaynet").map(|p| p.name), Some("picodet_lcnet_x1_0_fgd_layout"));
        assert!(published("ablation_1_base_416").is_none() && published("").is_none());
    }
}
