//! Memory of a training batch, and the largest batch for the free memory.

use std::path::{Path, PathBuf};

use picodet_gradient::GradientError;
use picodet_model::graph_of;
use picodet_zoo::REG_CHANNELS;

use crate::{CpuNetwork, Experiment, ExperimentError, Objective};

/// Fraction of the free memory that a run may take; the rest is left to other programs.
const FRACTION: f64 = 0.5;
/// Batches are multiples of this, or smaller powers of two.
const MULTIPLE: usize = 8;
/// Batches in memory: waiting, being prepared, or in training.
const BATCHES: u64 = 4;
/// Copies of all parameters: weights, velocity, gradients, average, its copy for evaluations, three of a checkpoint and
/// its bytes.
const PARAMETER_COPIES: u64 = 11;

/// Memory of a run in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes for any batch.
    pub fixed: u64,
    /// Bytes per image of the batch.
    pub per_image: u64,
    /// The part of `per_image` of the feature maps and their gradients.
    pub maps_per_image: u64,
}

impl Cost {
    /// Returns the memory for a batch of `images` images.
    #[must_use]
    pub fn of(&self, images: usize) -> u64 {
        self.fixed.saturating_add(self.per_image.saturating_mul(images as u64))
    }
}

/// A batch size and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Images per batch.
    pub images: usize,
    /// Memory of a run.
    pub cost: Cost,
    /// Free memory in bytes.
    pub free: u64,
    /// Where the free memory was read.
    pub source: String,
    /// The limit of the batch.
    pub bound: Bound,
}

/// The limit of a batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// The memory.
    Memory,
    /// The batch size of the recipe.
    Recipe,
    /// The number of images.
    Images,
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MIB: u64 = 1 << 20;
        let bound = match self.bound {
            Bound::Memory => "a larger batch would not fit",
            Bound::Recipe => "this is the batch of the recipe",
            Bound::Images => "this is the number of images",
        };
        write!(
            f,
            "batch of {}, about {} MiB ({} MiB and {} MiB per image), in half of the {} MiB that are free according to \
             {}; {bound}",
            self.images,
            self.cost.of(self.images) / MIB,
            self.cost.fixed / MIB,
            self.cost.per_image / MIB,
            self.free / MIB,
            self.source,
        )
    }
}

/// An error in choosing a batch size.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// The free memory is unknown.
    #[error("free memory cannot be determined on this system; give a number to --batch")]
    Unknown,
    /// The memory is too small for a batch of one image.
    #[error(
        "a batch of 1 takes about {needed} MiB, and half of the free memory is {free} MiB; choose smaller --sizes"
    )]
    Short {
        /// MiB of a batch of one image.
        needed: u64,
        /// MiB that may be used.
        free: u64,
    },
    /// The experiment is invalid.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The memory of the network cannot be computed.
    #[error(transparent)]
    Network(#[from] GradientError),
}

/// Computes the memory of a run at the largest of its input sizes; `cache` is the size of the cache of decoded images in
/// bytes.
///
/// # Errors
/// If the network is unknown, cannot be differentiated, or does not take its sizes.
pub fn cost(
    experiment: &Experiment,
    classes: usize,
    frozen: &[String],
    cache: usize,
) -> Result<Cost, ChoiceError> {
    let architecture = experiment.variant()?.architecture;
    let graph = Objective::graph(&graph_of(&architecture, classes, false));
    let network = CpuNetwork::new(&graph, 1, frozen, 0, 0)?;
    let mut most = Cost { fixed: 0, per_image: 0, maps_per_image: 0 };
    for (height, width) in experiment.batch.sizes.iter().map(|size| size.pair()) {
        let maps = |images: usize| network.memory([images, 3, height, width]).map(|bytes| bytes as u64);
        let (one, two) = (maps(MULTIPLE)?, maps(2 * MULTIPLE)?);
        let maps_per_image = two.saturating_sub(one) / MULTIPLE as u64;
        let strides = architecture.strides();
        let cells = strides.iter().map(|stride| height.div_ceil(*stride) * width.div_ceil(*stride));
        // Logits and their gradients, as f64 by cell and as f32 by map.
        let predictions = cells.sum::<usize>() as u64 * (classes + REG_CHANNELS + 1) as u64 * 2 * (8 + 4);
        let pixels = (height * width) as u64 * 3 * 4 * BATCHES;
        let found = Cost {
            fixed: one.saturating_sub(maps_per_image * MULTIPLE as u64),
            per_image: maps_per_image + predictions + pixels,
            maps_per_image,
        };
        if found.of(MULTIPLE) > most.of(MULTIPLE) {
            most = found;
        }
    }
    let parameters: u64 = graph.params.iter().map(|param| param.len() as u64).sum();
    most.fixed += 4 * parameters * PARAMETER_COPIES + cache as u64;
    Ok(most)
}

/// Chooses the largest batch that fits into half of `free` bytes: a multiple of 8, or a smaller power of two, at most the
/// batch of the recipe and the number of images.
///
/// # Errors
/// [`ChoiceError::Short`].
pub fn choose(
    cost: Cost,
    (free, source): (u64, String),
    recipe: usize,
    images: usize,
) -> Result<Choice, ChoiceError> {
    let room = (free as f64 * FRACTION) as u64;
    if cost.of(1) > room {
        return Err(ChoiceError::Short { needed: cost.of(1).div_ceil(1 << 20), free: room >> 20 });
    }
    let fitting = usize::try_from((room - cost.fixed) / cost.per_image.max(1)).unwrap_or(usize::MAX);
    let (most, bound) = [(fitting, Bound::Memory), (recipe, Bound::Recipe), (images, Bound::Images)]
        .into_iter()
        .min_by_key(|(most, _)| *most)
        .unwrap_or((1, Bound::Memory));
    let images = match most {
        0 | 1 => 1,
        most if most < MULTIPLE => 1 << most.ilog2(),
        most => most / MULTIPLE * MULTIPLE,
    };
    Ok(Choice { images, cost, free, source, bound })
}

/// Returns the free memory in bytes and where it was read: that of the system, or of a control group with less. `None` if
/// it is unknown.
pub fn free() -> Option<(u64, String)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let mut least = (available(&text)?, "/proc/meminfo".to_owned());
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for (folder, version) in group_folders(&groups) {
        if let Some(room) = group_room(&folder, version).filter(|room| *room < least.0) {
            least = (room, folder.display().to_string());
        }
    }
    Some(least)
}

/// Parses `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Version of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Returns the folders of the control groups of this process and their ancestors, from `/proc/self/cgroup`.
fn group_folders(text: &str) -> Vec<(PathBuf, Version)> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, version) = match controllers {
            "" => ("/sys/fs/cgroup", Version::Two),
            names if names.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", Version::One),
            _ => continue,
        };
        let own = Path::new(root).join(path.trim_start_matches('/'));
        let above = own.ancestors().take_while(|folder| folder.starts_with(root));
        folders.extend(above.map(|folder| (folder.to_path_buf(), version)));
    }
    folders
}

/// Returns the free memory of a control group in bytes, including inactive file pages; `None` without a limit.
fn group_room(folder: &Path, version: Version) -> Option<u64> {
    let (limit, used, inactive) = match version {
        Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
        Version::Two => ("memory.max", "memory.current", "inactive_file "),
    };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let statistics = read("memory.stat").unwrap_or_default();
    let inactive =
        statistics.lines().find_map(|line| line.strip_prefix(inactive)?.trim().parse::<u64>().ok());
    // Without a limit the file holds the word `max`.
    Some(number(limit)?.saturating_sub(number(used)?.saturating_sub(inactive.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipes::recipe;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_largest_fitting_batch_is_chosen_with_its_bound() {
        let cost = Cost { fixed: 100 * MIB, per_image: 10 * MIB, maps_per_image: 8 * MIB };
        let chosen = |free: u64, recipe: usize, images: usize| {
            choose(cost, (free * MIB, "test".to_owned()), recipe, images)
                .map(|choice| (choice.images, choice.bound))
                .map_err(|error| error.to_string())
        };
        // Half of 1,000 holds 40 images.
        assert_eq!(chosen(1000, 512, 9999), Ok((40, Bound::Memory)));
        assert_eq!(chosen(998, 512, 9999), Ok((32, Bound::Memory)));
        assert_eq!(chosen(1000, 24, 9999), Ok((24, Bound::Recipe)));
        assert_eq!(chosen(1000, 512, 21), Ok((16, Bound::Images)));
        assert_eq!(chosen(1000, 512, 5), Ok((4, Bound::Images)));
        assert_eq!(chosen(220, 512, 9999), Ok((1, Bound::Memory)));
        assert_eq!(chosen(350, 512, 9999), Ok((4, Bound::Memory)));
        assert_eq!(chosen(219, 512, 9999), Err(ChoiceError::Short { needed: 110, free: 109 }.to_string()));
    }

    #[test]
    fn the_estimate_is_the_memory_of_the_network() {
        for name in ["legacy_s_320", "v2_xs_320", "legacy_m_416"] {
            let mut experiment = recipe(name).expect("a recipe");
            let cost = cost(&experiment, 5, &[], 0).expect("a cost");
            let largest = experiment.batch.sizes.iter().map(|size| size.pair()).max().expect("a size");
            let choice = choose(cost, (6 << 30, "test".to_owned()), 512, 9999).expect("a choice");
            assert!(choice.images >= MULTIPLE && choice.bound == Bound::Memory, "{name}: {choice}");
            let architecture = experiment.variant().expect("a variant").architecture;
            let graph = Objective::graph(&graph_of(&architecture, 5, false));
            let network = CpuNetwork::new(&graph, 1, &[], 0, 0).expect("a network");
            let real = network.memory([choice.images, 3, largest.0, largest.1]).expect("a size") as f64;
            let maps = cost.maps_per_image as f64 * choice.images as f64;
            assert!((maps / real - 1.0).abs() < 0.2, "{name}: {maps} bytes of maps, not {real}");
            // The maps are most of the cost.
            assert!(real > 0.5 * cost.of(choice.images) as f64, "{name}: {choice}");
            experiment.batch.sizes.truncate(1);
            let smaller = super::cost(&experiment, 5, &[], 0).expect("a cost");
            assert!(smaller.per_image < cost.per_image || recipe(name).expect("it").batch.sizes.len() == 1);
        }
    }

    #[test]
    fn limits_of_control_groups_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(group_room(folder.path(), Version::Two), None);
        write("memory.max", "1000\n");
        assert_eq!(group_room(folder.path(), Version::Two), Some(300));
        write("memory.stat", "anon 1\ninactive_file 200\n");
        assert_eq!(group_room(folder.path(), Version::Two), Some(500));
        write("memory.limit_in_bytes", "1000\n");
        write("memory.usage_in_bytes", "900\n");
        assert_eq!(group_room(folder.path(), Version::One), Some(100));

        let folders = group_folders("5:cpu,memory:/a\n4:pids:/b\n0::/user/run\n");
        let expected = [
            ("/sys/fs/cgroup/memory/a", Version::One),
            ("/sys/fs/cgroup/memory", Version::One),
            ("/sys/fs/cgroup/user/run", Version::Two),
            ("/sys/fs/cgroup/user", Version::Two),
            ("/sys/fs/cgroup", Version::Two),
        ];
        assert_eq!(folders, expected.map(|(path, version)| (PathBuf::from(path), version)));
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    3 kB\n"), Some(3072));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
