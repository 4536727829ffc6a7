//! The value of a tensor as labels of its channels, and the operations that rearrange them.

use std::rc::Rc;

use super::label::{Form, Label};

/// Largest number of channels of one value, and largest number of axes.
const MAX_CHANNELS: usize = 1 << 14;
const MAX_AXES: usize = 8;

/// An axis of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Batch,
    /// Channels, or one of several axes into which they are split.
    Channels(usize),
    /// Height or width.
    Space,
}

/// A tensor: the labels of its channels in the order of its axes. Copies share the labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map {
    axes: Rc<[Axis]>,
    labels: Rc<[Label]>,
    /// Whether height and width are 1.
    is_pooled: bool,
}

impl Map {
    /// Returns a map `[n, c, h, w]`; `None` for too many channels.
    pub(super) fn new(labels: Vec<Label>, is_pooled: bool) -> Option<Self> {
        let axes = [Axis::Batch, Axis::Channels(labels.len()), Axis::Space, Axis::Space];
        (labels.len() <= MAX_CHANNELS).then(|| Self { axes: axes.into(), labels: labels.into(), is_pooled })
    }

    pub(super) fn labels(&self) -> &[Label] {
        &self.labels
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    /// Returns the labels of a map whose channels are one axis after that of the batch.
    pub(super) fn channels(&self) -> Option<&[Label]> {
        let is_plain = matches!(&self.axes[..], [Axis::Batch, Axis::Channels(_), others @ ..]
            if others.iter().all(|axis| *axis == Axis::Space));
        is_plain.then_some(&self.labels)
    }

    /// Returns a map with other labels of the same channels.
    pub(super) fn map(&self, change: impl Fn(Label) -> Label) -> Self {
        Self { labels: self.labels.iter().copied().map(change).collect(), ..self.clone() }
    }

    pub(super) fn pooled(self) -> Self {
        Self { is_pooled: true, ..self }
    }

    /// Resolves an axis that may count from the last.
    fn axis(&self, axis: i64) -> Option<usize> {
        let axis = if axis < 0 { axis + self.axes.len() as i64 } else { axis };
        usize::try_from(axis).ok().filter(|&axis| axis < self.axes.len())
    }

    /// Returns the extent of an axis, if it is one of channels.
    fn extent(&self, axis: usize) -> Option<usize> {
        match self.axes[axis] {
            Axis::Channels(extent) => Some(extent),
            _ => None,
        }
    }

    /// The product of the extents of channels among some axes.
    fn product(axes: &[Axis]) -> usize {
        axes.iter().map(|axis| if let Axis::Channels(extent) = axis { *extent } else { 1 }).product()
    }

    /// Returns the sum or product of two maps, of which one may have one channel.
    pub(super) fn combined(&self, other: &Self, form: Form) -> Option<Self> {
        let (long, short) =
            if self.labels.len() < other.labels.len() { (other, self) } else { (self, other) };
        let is_single = short.labels.len() == 1 && short.axes.len() == long.axes.len();
        if !is_single && long.axes != short.axes {
            return None;
        }
        let other = |index: usize| short.labels[if is_single { 0 } else { index }];
        let labels = long.labels.iter().enumerate().map(|(index, label)| label.combined(other(index), form));
        let is_pooled = self.is_pooled && short.is_pooled && long.is_pooled;
        Some(Self { axes: Rc::clone(&long.axes), labels: labels.collect(), is_pooled })
    }

    /// Returns maps one after the other along an axis of channels.
    pub(super) fn concat(maps: &[&Self], axis: i64) -> Option<Self> {
        let first = *maps.first()?;
        let axis = first.axis(axis)?;
        let is_alike = |map: &&Self| {
            map.axes.len() == first.axes.len()
                && map.extent(axis).is_some()
                && map.is_pooled == first.is_pooled
                && (0..first.axes.len()).all(|at| at == axis || map.axes[at] == first.axes[at])
        };
        let total = maps.iter().try_fold(0usize, |sum, map| sum.checked_add(map.labels.len()))?;
        if total > MAX_CHANNELS || !maps.iter().all(is_alike) {
            return None;
        }
        let outer = Self::product(&first.axes[..axis]);
        let mut labels = Vec::with_capacity(total);
        for index in 0..outer {
            for map in maps {
                let length = map.labels.len() / outer.max(1);
                labels.extend_from_slice(&map.labels[index * length..(index + 1) * length]);
            }
        }
        let extent = maps.iter().filter_map(|map| map.extent(axis)).sum();
        Some(first.with_axis(axis, extent, labels))
    }

    fn with_axis(&self, axis: usize, extent: usize, labels: Vec<Label>) -> Self {
        let mut axes = self.axes.to_vec();
        axes[axis] = Axis::Channels(extent);
        Self { axes: axes.into(), labels: labels.into(), is_pooled: self.is_pooled }
    }

    /// Returns some indices of an axis of channels.
    fn take(&self, axis: usize, indices: &[usize]) -> Option<Self> {
        let extent = self.extent(axis)?;
        let inner = Self::product(&self.axes[axis + 1..]);
        let outer = Self::product(&self.axes[..axis]);
        let total = indices.len().checked_mul(inner)?.checked_mul(outer)?;
        // Nothing is left of a map without channels, whose other extents could be any.
        if total == 0 || total > MAX_CHANNELS || indices.iter().any(|&index| index >= extent) {
            return None;
        }
        let mut labels = Vec::with_capacity(total);
        for block in 0..outer {
            for index in indices {
                let from = (block * extent + index) * inner;
                labels.extend_from_slice(&self.labels[from..from + inner]);
            }
        }
        Some(self.with_axis(axis, indices.len(), labels))
    }

    /// Returns the indices `start`, `start + step`, … before `end` of an axis of channels.
    pub(super) fn slice(&self, axis: i64, start: i64, end: i64, step: i64) -> Option<Self> {
        let axis = self.axis(axis)?;
        let Some(extent) = self.extent(axis) else {
            // The whole height or width.
            return (start == 0 && end >= i64::from(i32::MAX) && step == 1).then(|| self.clone());
        };
        let extent = extent as i64;
        let bound =
            |index: i64| if index < 0 { index.saturating_add(extent) } else { index }.clamp(0, extent);
        let indices: Vec<usize> = match step {
            1.. => {
                let range = bound(start)..bound(end);
                range.step_by(usize::try_from(step).ok()?).map(|index| index as usize).collect()
            }
            -1 if (start >= extent - 1 || start == -1) && end < -extent => {
                (0..extent as usize).rev().collect()
            }
            _ => return None,
        };
        self.take(axis, &indices)
    }

    /// Returns single indices of an axis of channels.
    pub(super) fn gather(&self, axis: i64, indices: &[i64], is_removed: bool) -> Option<Self> {
        let axis = self.axis(axis)?;
        let extent = self.extent(axis)? as i64;
        let resolved = indices.iter().map(|&index| if index < 0 { index + extent } else { index });
        let resolved: Vec<usize> =
            resolved.map(|index| usize::try_from(index).ok()).collect::<Option<_>>()?;
        let taken = self.take(axis, &resolved)?;
        if !is_removed {
            return Some(taken);
        }
        let mut axes = taken.axes.to_vec();
        axes.remove(axis);
        Some(Self { axes: axes.into(), ..taken })
    }

    /// Returns parts of these sizes along an axis of channels; -1 is an equal share of the remaining extent.
    pub(super) fn split(&self, axis: i64, sizes: &[i64], parts: usize) -> Option<Vec<Self>> {
        let position = self.axis(axis)?;
        let extent = self.extent(position)?;
        if parts == 0 || parts > extent || !(sizes.is_empty() || sizes.len() == parts) {
            return None;
        }
        let mut start = 0;
        let mut results = Vec::with_capacity(parts);
        for index in 0..parts {
            let size = match sizes.get(index).copied().unwrap_or(-1) {
                // As ONNX: the last part of an uneven split is smaller.
                -1 if sizes.is_empty() => extent.div_ceil(parts).min(extent - start),
                -1 => (extent - start) / (parts - index),
                size => usize::try_from(size).ok()?,
            };
            let end = start.checked_add(size).filter(|&end| end <= extent)?;
            results.push(self.take(position, &(start..end).collect::<Vec<_>>())?);
            start = end;
        }
        (start == extent).then_some(results)
    }

    /// Returns the map with its axes in another order.
    pub(super) fn transpose(&self, order: &[i64]) -> Option<Self> {
        let rank = self.axes.len();
        let order: Vec<usize> = order.iter().map(|&axis| self.axis(axis)).collect::<Option<_>>()?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return None;
        }
        let axes: Vec<Axis> = order.iter().map(|&axis| self.axes[axis]).collect();
        let steps: Vec<usize> = order.iter().map(|&axis| Self::product(&self.axes[axis + 1..])).collect();
        let mut labels = Vec::with_capacity(self.labels.len());
        for at in 0..self.labels.len() {
            // The index of each channel axis of the result, the last one first.
            let (mut rest, mut from) = (at, 0);
            for (axis, step) in axes.iter().zip(&steps).rev() {
                if let Axis::Channels(extent) = *axis {
                    from += rest % extent * step;
                    rest /= extent;
                }
            }
            labels.push(self.labels[from]);
        }
        Some(Self { axes: axes.into(), labels: labels.into(), is_pooled: self.is_pooled })
    }

    /// Returns the channels in `groups` groups, interleaved.
    pub(super) fn shuffle(&self, groups: usize) -> Option<Self> {
        let channels = self.channels()?.len();
        if groups == 0 || !channels.is_multiple_of(groups) {
            return None;
        }
        let each = channels / groups;
        let indices: Vec<usize> = (0..channels).map(|at| at % groups * each + at / groups).collect();
        self.take(1, &indices)
    }

    /// Returns the map with other extents; only the axes of channels may be split or merged.
    pub(super) fn reshape(&self, extents: &[Option<i64>]) -> Option<Self> {
        let channel_axes = self.axes.iter().filter(|axis| matches!(axis, Axis::Channels(_))).count();
        let (head, space) = self.axes.split_at((1 + channel_axes).min(self.axes.len()));
        let is_ordered = head.first() == Some(&Axis::Batch)
            && head.iter().skip(1).all(|axis| matches!(axis, Axis::Channels(_)))
            && space.iter().all(|axis| *axis == Axis::Space);
        if !is_ordered || extents.len() < 2 || extents.len() > MAX_AXES {
            return None;
        }
        let rank = match self.is_pooled {
            // Only the extents of channels are not 1.
            true => extents.iter().rposition(|extent| *extent != Some(1)).map_or(2, |last| last.max(1) + 1),
            false => extents.len().checked_sub(space.len()).filter(|&rank| rank >= 2)?,
        };
        let known = |index: usize| match extents[index] {
            Some(0) => self.extent_or_space(index).map(Some),
            Some(extent) => Some(usize::try_from(extent).ok()),
            None => Some(None),
        };
        let resolved: Vec<Option<usize>> = (1..rank).map(known).collect::<Option<_>>()?;
        let others =
            resolved.iter().flatten().try_fold(1usize, |product, &extent| product.checked_mul(extent))?;
        let is_large = resolved.iter().flatten().any(|&extent| extent > MAX_CHANNELS);
        if is_large || resolved.iter().filter(|extent| extent.is_none()).count() > 1 {
            return None;
        }
        let rest = self.labels.len().checked_div(others)?;
        let mut axes = vec![Axis::Batch];
        axes.extend(resolved.into_iter().map(|extent| Axis::Channels(extent.unwrap_or(rest))));
        if Self::product(&axes) != self.labels.len() {
            return None;
        }
        axes.extend(vec![Axis::Space; extents.len() - rank]);
        Some(Self { axes: axes.into(), ..self.clone() })
    }

    /// The extent that a 0 of a reshape keeps.
    fn extent_or_space(&self, axis: usize) -> Option<usize> {
        match self.axes.get(axis)? {
            Axis::Channels(extent) => Some(*extent),
            Axis::Space if self.is_pooled => Some(1),
            _ => None,
        }
    }

    /// Returns the map without these axes of extent 1, such as height and width of a pooled map.
    pub(super) fn squeeze(&self, axes: &[i64]) -> Option<Self> {
        let removed: Vec<usize> = axes.iter().map(|&axis| self.axis(axis)).collect::<Option<_>>()?;
        let is_single = |&index: &usize| match self.axes[index] {
            Axis::Batch => false,
            Axis::Channels(extent) => extent == 1,
            Axis::Space => self.is_pooled,
        };
        // Without axes all of extent 1 are removed, which may be that of the batch.
        if removed.is_empty() || !removed.iter().all(is_single) {
            return None;
        }
        let kept = self.axes.iter().enumerate().filter(|(index, _)| !removed.contains(index));
        Some(Self { axes: kept.map(|(_, axis)| *axis).collect(), ..self.clone() })
    }

    /// Returns the map with additional axes of extent 1: those of channels between others, height or width at the end.
    pub(super) fn unsqueeze(&self, axes: &[i64]) -> Option<Self> {
        let rank = self.axes.len() + axes.len();
        if rank > MAX_AXES {
            return None;
        }
        let resolve = |&axis: &i64| usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok();
        let added: Vec<usize> = axes.iter().map(resolve).collect::<Option<_>>()?;
        let mut others = self.axes.iter();
        let mut result = Vec::with_capacity(rank);
        for index in 0..rank {
            result.push(match added.contains(&index) {
                true if others.as_slice().iter().any(|axis| *axis != Axis::Space) => Axis::Channels(1),
                true if self.is_pooled => Axis::Space,
                true => Axis::Channels(1),
                false => *others.next()?,
            });
        }
        others.next().is_none().then(|| Self { axes: result.into(), ..self.clone() })
    }

    /// Returns a pooled map as `[n, c]`.
    pub(super) fn flatten(&self, axis: i64) -> Option<Self> {
        let is_vector = self.is_pooled && self.axis(axis) == Some(1) && self.channels().is_some();
        let axes = [Axis::Batch, Axis::Channels(self.labels.len())];
        is_vector.then(|| Self { axes: axes.into(), ..self.clone() })
    }
}
