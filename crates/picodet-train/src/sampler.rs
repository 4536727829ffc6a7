//! The images of each batch, independent of the number of processes and of the step at which a run is resumed.

use crate::random::{Purpose, Stream};

/// Distributes the images of a dataset to batches, epoch by epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Images of the dataset.
    pub images: usize,
    /// Images per batch, all processes together.
    pub batch: usize,
    /// Random seed of the orders.
    pub seed: u64,
}

impl Sampler {
    /// Returns the batches per epoch. Images after the last full batch are not used in the epoch. A dataset smaller than a
    /// batch gives one batch with repeated images.
    pub fn batches_per_epoch(&self) -> usize {
        (self.images / self.batch.max(1)).max(1)
    }

    /// Returns the images of an epoch in random order.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.images).collect();
        Stream::new(self.seed, Purpose::Order, epoch as u64, 0).shuffle(&mut order);
        order
    }

    /// Returns the epoch of a step and the batch in the epoch, counted from 0.
    pub fn place(&self, step: usize) -> (usize, usize) {
        (step / self.batches_per_epoch(), step % self.batches_per_epoch())
    }

    /// Returns the indices of the images of a step.
    pub fn batch_of(&self, step: usize) -> Vec<usize> {
        let (epoch, batch) = self.place(step);
        let order = self.order(epoch);
        (0..self.batch).map(|index| order[(batch * self.batch + index) % order.len().max(1)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_image_once_except_the_remainder() {
        let sampler = Sampler { images: 23, batch: 5, seed: 1 };
        assert_eq!(sampler.batches_per_epoch(), 4);
        let epoch =
            |number: usize| -> Vec<usize> { (0..4).flat_map(|b| sampler.batch_of(4 * number + b)).collect() };
        let mut first = epoch(0);
        assert_ne!(first, epoch(1));
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 20);
    }

    #[test]
    fn a_small_dataset_fills_its_batch() {
        let sampler = Sampler { images: 3, batch: 8, seed: 1 };
        let mut batch = sampler.batch_of(5);
        assert_eq!(batch.len(), 8);
        batch.sort_unstable();
        batch.dedup();
        assert_eq!(batch, [0, 1, 2]);
    }
}
