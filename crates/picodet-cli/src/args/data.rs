//! Arguments of `picodet check` and `picodet data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::shared::size;
use super::{ImageLimits, ReportFormat};

#[derive(Args)]
pub(crate) struct Check {
    /// Dataset: a COCO JSON file, or a folder of COCO, Pascal VOC, YOLO or LabelMe data
    pub(crate) dataset: PathBuf,
    /// Check only this split [default: all splits, compared with each other]
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Network input size; boxes that are too small for it are reported
    #[arg(long, value_parser = size, default_value = "416", value_name = "HxW")]
    pub(crate) input_size: (usize, usize),
    /// Output format of the findings
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Also write a self-contained HTML report
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write a repaired copy into this new or empty folder, and report what remains
    #[arg(long, value_name = "FOLDER")]
    pub(crate) fix: Option<PathBuf>,
    /// With --fix: leave out objects that cannot be repaired, instead of refusing
    #[arg(long, requires = "fix")]
    pub(crate) allow_loss: bool,
    /// Read crowd regions (COCO `iscrowd`) as ordinary objects
    #[arg(long)]
    pub(crate) crowds_as_objects: bool,
    /// Read only the headers of the images
    #[arg(long)]
    pub(crate) fast: bool,
    #[command(flatten)]
    pub(crate) limits: ImageLimits,
}

#[derive(Subcommand)]
pub(crate) enum Data {
    /// Write a dataset in another format
    Convert(DataConvert),
    /// Split a dataset into stratified parts; copies of an image stay in one part
    Split(DataSplit),
}

#[derive(Args)]
pub(crate) struct DataConvert {
    /// Dataset in COCO, Pascal VOC, YOLO or LabelMe format
    pub(crate) dataset: PathBuf,
    /// Format to write
    #[arg(long, value_name = "coco|voc|yolo|labelme")]
    pub(crate) to: picodet::crates::data::Format,
    /// New or empty folder for the result
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Convert only this split [default: all splits]
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Write only the labels; do not copy the images
    #[arg(long)]
    pub(crate) labels_only: bool,
    /// Leave out objects that cannot be read or that the format cannot represent, instead of refusing
    #[arg(long)]
    pub(crate) allow_loss: bool,
    /// Read crowd regions (COCO `iscrowd`) as ordinary objects
    #[arg(long)]
    pub(crate) crowds_as_objects: bool,
}

#[derive(Args)]
pub(crate) struct DataSplit {
    /// Dataset in COCO, Pascal VOC, YOLO or LabelMe format
    pub(crate) dataset: PathBuf,
    /// Names and fractions of the parts; the fractions must add up to 1
    #[arg(long, default_value = "train=0.8,val=0.2", value_name = "NAME=FRACTION,…")]
    pub(crate) parts: String,
    /// New or empty folder for the result, in the format of the dataset
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Random seed; the same seed gives the same parts on every machine
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Write only the labels; do not copy the images
    #[arg(long)]
    pub(crate) labels_only: bool,
    /// Leave out objects that cannot be read or that the format cannot represent, instead of refusing
    #[arg(long)]
    pub(crate) allow_loss: bool,
    /// Read crowd regions (COCO `iscrowd`) as ordinary objects
    #[arg(long)]
    pub(crate) crowds_as_objects: bool,
}
