//! How much memory a batch takes, and the largest batch that the free memory holds.

use std::path::{Path, PathBuf};

use picodet_model::graph_of;
use picodet_zoo::REG_CHANNELS;

use crate::{CpuNetwork, Experiment, Objective};

/// Part of the free memory that a run may take: what else the machine does needs some as well.
const SHARE: f64 = 0.5;
/// Batches are multiples of this, or smaller powers of two.
const MULTIPLE: usize = 8;
/// Batches that wait, are being made, or are learned from.
const BATCHES: u64 = 4;
/// Copies of all parameters: weights, velocity, gradients, average, its copy for evaluations, a checkpoint's three in the
/// making and as bytes.
const PARAMETER_COPIES: u64 = 11;

/// Lets the allocator keep what a step frees for the next one.
///
/// A step makes and frees tens of megabytes of maps and predictions. GNU's allocator takes such blocks from the system one
/// by one and gives them back, which costs page faults and interrupts of all threads, until it has seen a block of that
/// size freed; the largest that it learns from is 32 MiB. Other allocators lose nothing by it.
pub fn keep_freed_blocks() {
    const LARGEST: usize = (32 << 20) - (64 << 10);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST)));
}

/// Bytes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Whatever the batch.
    pub fixed: u64,
    /// For each image of the batch.
    pub per_image: u64,
    /// The part of `per_image` that the network's maps and their gradients take.
    pub maps_per_image: u64,
}

impl Cost {
    /// Of a batch.
    pub fn of(&self, images: usize) -> u64 {
        self.fixed.saturating_add(self.per_image.saturating_mul(images as u64))
    }
}

/// A batch that was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Images of the batch.
    pub images: usize,
    /// What a run takes with it.
    pub cost: Cost,
    /// Free bytes.
    pub free: u64,
    /// Who says so.
    pub source: String,
    /// What kept the batch from being larger.
    pub bound: Bound,
}

/// What keeps a batch from being larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The memory.
    Memory,
    /// The batch of the recipe.
    Recipe,
    /// The images that there are.
    Images,
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MIB: u64 = 1 << 20;
        let bound = match self.bound {
            Bound::Memory => "more would not fit",
            Bound::Recipe => "the recipe has no more",
            Bound::Images => "there are no more images",
        };
        write!(
            f,
            "a batch of {}, of about {} MiB ({} and {} an image), in half of the {} MiB that are free by {}; {bound}",
            self.images,
            self.cost.of(self.images) / MIB,
            self.cost.fixed / MIB,
            self.cost.per_image / MIB,
            self.free / MIB,
            self.source,
        )
    }
}

/// Why no batch can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// The system does not tell.
    #[error("this system does not tell its free memory; give --batch a number")]
    Unknown,
    /// There is not enough.
    #[error(
        "a batch of 1 takes about {needed} MiB, and half of the free memory is {free} MiB; choose smaller --sizes"
    )]
    Short {
        /// MiB of a batch of one image.
        needed: u64,
        /// MiB that may be taken.
        free: u64,
    },
    /// The network cannot be measured.
    #[error("{0}")]
    Network(String),
}

/// What a run of an experiment takes at the largest of its sizes; `cache` is the bytes of decoded images that it keeps.
///
/// # Errors
/// When the network is unknown, cannot be differentiated, or its sizes do not fit.
pub fn cost(
    experiment: &Experiment,
    classes: usize,
    frozen: &[String],
    cache: usize,
) -> Result<Cost, ChoiceError> {
    let network = |problem: String| ChoiceError::Network(problem);
    let architecture = experiment.variant().map_err(|error| network(error.to_string()))?.architecture;
    let graph = Objective::graph(&graph_of(&architecture, classes, false));
    let tape = CpuNetwork::new(&graph, 1, frozen, 0, 0).map_err(|error| network(error.to_string()))?;
    let mut most = Cost { fixed: 0, per_image: 0, maps_per_image: 0 };
    for (height, width) in experiment.batch.sizes.iter().map(|size| size.pair()) {
        let maps = |images: usize| {
            let bytes =
                tape.memory([images, 3, height, width]).map_err(|error| network(error.to_string()))?;
            Ok(bytes as u64)
        };
        let (one, two) = (maps(MULTIPLE)?, maps(2 * MULTIPLE)?);
        let maps_per_image = two.saturating_sub(one) / MULTIPLE as u64;
        let strides = architecture.strides();
        let cells = strides.iter().map(|stride| height.div_ceil(*stride) * width.div_ceil(*stride));
        // Logits and their gradients, as f64 by cells and as f32 by maps.
        let judged = cells.sum::<usize>() as u64 * (classes + REG_CHANNELS + 1) as u64 * 2 * (8 + 4);
        let pixels = (height * width) as u64 * 3 * 4 * BATCHES;
        let found = Cost {
            fixed: one.saturating_sub(maps_per_image * MULTIPLE as u64),
            per_image: maps_per_image + judged + pixels,
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

/// The largest batch that fits into half of `free` bytes: a multiple of 8, or a smaller power of two, no larger than the
/// recipe's and than there are images.
///
/// # Errors
/// [`ChoiceError::Short`].
pub fn choose(
    cost: Cost,
    (free, source): (u64, String),
    recipe: usize,
    images: usize,
) -> Result<Choice, ChoiceError> {
    let room = (free as f64 * SHARE) as u64;
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

/// Bytes that a program could still take, and who says so: the system, or a tighter limit of a control group. `None` where
/// the system does not tell.
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

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The versions of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The folders whose limits hold for this process, by `/proc/self/cgroup`: its own and all above.
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

/// Bytes that a control group may still take; what it keeps of files for no need counts as free.
fn group_room(folder: &Path, version: Version) -> Option<u64> {
    let (limit, used, unneeded) = match version {
        Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
        Version::Two => ("memory.max", "memory.current", "inactive_file "),
    };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let statistics = read("memory.stat").unwrap_or_default();
    let unneeded =
        statistics.lines().find_map(|line| line.strip_prefix(unneeded)?.trim().parse::<u64>().ok());
    // No limit is the word `max`, which is no number.
    Some(number(limit)?.saturating_sub(number(used)?.saturating_sub(unneeded.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipes::recipe;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_largest_batch_that_fits_is_chosen_and_its_bound_named() {
        let cost = Cost { fixed: 100 * MIB, per_image: 10 * MIB, maps_per_image: 8 * MIB };
        let chosen = |free: u64, recipe: usize, images: usize| {
            choose(cost, (free * MIB, "test".to_owned()), recipe, images).map(|c| (c.images, c.bound))
        };
        // Half of 1,000 holds 40 images.
        assert_eq!(chosen(1000, 512, 9999), Ok((40, Bound::Memory)));
        assert_eq!(chosen(998, 512, 9999), Ok((32, Bound::Memory)));
        assert_eq!(chosen(1000, 24, 9999), Ok((24, Bound::Recipe)));
        assert_eq!(chosen(1000, 512, 21), Ok((16, Bound::Images)));
        assert_eq!(chosen(1000, 512, 5), Ok((4, Bound::Images)));
        assert_eq!(chosen(220, 512, 9999), Ok((1, Bound::Memory)));
        assert_eq!(chosen(350, 512, 9999), Ok((4, Bound::Memory)));
        assert_eq!(chosen(219, 512, 9999), Err(ChoiceError::Short { needed: 110, free: 109 }));
    }

    #[test]
    fn the_estimate_is_what_the_network_takes() {
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
