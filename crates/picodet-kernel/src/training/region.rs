//! Locations of feature maps in memory.

/// Location of a feature map in an [`super::Arena`]: `channels` columns of a channels-last buffer of `stride` columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Index of the first element.
    pub offset: usize,
    /// Elements between consecutive pixels.
    pub stride: usize,
    /// Elements of a pixel that belong to the map.
    pub channels: usize,
    /// Images, height, width.
    pub size: [usize; 3],
}

impl Region {
    /// Index after the last element; `None` on overflow or where pixels overlap each other.
    pub(super) fn end(&self) -> Option<usize> {
        let pixels = self.size.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))?;
        if self.channels > self.stride && pixels > 1 {
            return None;
        }
        match pixels.checked_sub(1) {
            Some(last) => last.checked_mul(self.stride)?.checked_add(self.channels)?.checked_add(self.offset),
            None => Some(self.offset),
        }
    }

    /// Whether the regions may have an element in common. Exact for regions of one buffer.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (Some(end), Some(other_end)) = (self.end(), other.end()) else { return true };
        if end <= other.offset || other_end <= self.offset {
            return false;
        }
        // Between each other only where both have the same stride and separate columns of it: the elements of a
        // region leave the remainders `offset..offset + channels` modulo the stride.
        if self.stride != other.stride || self.stride == 0 {
            return true;
        }
        let distance = (other.offset % self.stride + self.stride - self.offset % self.stride) % self.stride;
        distance < self.channels || self.stride - distance < other.channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(offset: usize, stride: usize, channels: usize, size: [usize; 3]) -> Region {
        Region { offset, stride, channels, size }
    }

    fn elements(region: &Region) -> Vec<usize> {
        let pixels = region.size.iter().product();
        let columns = |pixel: usize| {
            let start = region.offset + pixel * region.stride;
            start..start + region.channels
        };
        (0..pixels).flat_map(columns).collect()
    }

    #[test]
    fn overlap_of_column_ranges_is_exact() {
        let a = region(7, 5, 2, [1, 1, 4]);
        for offset in 0..40 {
            for channels in 1..=5 {
                let b = region(offset, 5, channels, [1, 2, 2]);
                let common = elements(&b).iter().any(|element| elements(&a).contains(element));
                // Interleaved rows count as overlapping beyond the ends of the other as well.
                assert!(a.overlaps(&b) || !common, "{b:?}");
                assert_eq!(a.overlaps(&b), b.overlaps(&a), "{b:?}");
                let separate = offset % 5 >= 4 && offset % 5 + channels <= 7;
                assert!(!(separate && a.overlaps(&b)), "{b:?}");
            }
        }
    }
}
