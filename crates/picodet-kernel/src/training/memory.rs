//! The memory block of a training step, and checked handles to the feature maps in it.
//!
//! All maps of a step lie in one [`Arena`], several of them as column ranges of one buffer (a concatenation in place).
//! [`Arena::claim`] checks the regions of one operation and lends them as [`Map`]s and [`MapMut`]s. A `MapMut` is split
//! into disjoint parts for the tasks of a [`super::ThreadPool`]; this module is the only place that argues about
//! overlap.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

/// Elements of a cache line; buffers in an [`Arena`] start at one.
pub const LINE: usize = 16;

/// A cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// The memory block of a training step. Its elements stay where they are until it grows.
#[derive(Debug, Default)]
pub struct Arena {
    lines: Vec<Line>,
}

/// Location of a feature map in an [`Arena`]: `channels` columns of a channels-last buffer of `stride` columns.
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
    fn end(&self) -> Option<usize> {
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
    fn overlaps(&self, other: &Self) -> bool {
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

impl Arena {
    /// Makes room for `len` elements. Contents are lost where it grows. Returns `None` if memory is insufficient.
    pub fn reserve(&mut self, len: usize) -> Option<()> {
        let lines = len.div_ceil(LINE);
        if lines > self.lines.len() {
            // Freed first, so that old and new block do not exist at the same time.
            self.lines = Vec::new();
            self.lines.try_reserve_exact(lines).ok()?;
            self.lines.resize(lines, Line([0.0; LINE]));
        }
        Some(())
    }

    /// Returns all elements, those of unused lines too.
    #[must_use]
    pub fn elements(&self) -> &[f32] {
        // SAFETY: a line is `LINE` consecutive f32 elements without padding (`repr(C)`, size 64), all of them initialised.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }

    /// Lends the maps of one operation: `reads` to read, `writes` to write (and read).
    ///
    /// # Panics
    /// If a region leaves the arena, or a written region overlaps another region of the claim. Layouts are computed by
    /// the caller from lifetimes, so either is an internal error.
    pub fn claim<const R: usize, const W: usize>(
        &mut self,
        reads: [Region; R],
        writes: [Region; W],
    ) -> ([Map<'_>; R], [MapMut<'_>; W]) {
        let len = self.lines.len() * LINE;
        for region in reads.iter().chain(&writes) {
            assert!(
                region.end().is_some_and(|end| end <= len),
                "{region:?} leaves the arena of {len} elements"
            );
        }
        for (index, region) in writes.iter().enumerate() {
            let mut others = reads.iter().chain(&writes[..index]);
            assert!(!others.any(|other| region.overlaps(other)), "written {region:?} overlaps another map");
        }
        let data: *mut f32 = self.lines.as_mut_ptr().cast();
        // `wrapping_add` computes addresses inside the block, or one past it for empty maps.
        (
            reads.map(|region| Map {
                data: data.wrapping_add(region.offset),
                stride: region.stride,
                channels: region.channels,
                size: region.size,
                lifetime: PhantomData,
            }),
            writes.map(|region| MapMut {
                data: data.wrapping_add(region.offset),
                stride: region.stride,
                channels: region.channels,
                size: region.size,
                lifetime: PhantomData,
            }),
        )
    }
}

/// A feature map to read, channels last.
///
/// Invariant: for every `pixel < pixels()` and `channel < channels()` the element at `pixel · stride + channel` is
/// valid for reads and is not written during `'a`.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    data: *const f32,
    stride: usize,
    channels: usize,
    size: [usize; 3],
    lifetime: PhantomData<&'a [f32]>,
}

// SAFETY: a `Map` is a shared borrow of f32 elements.
unsafe impl Send for Map<'_> {}
// SAFETY: as above.
unsafe impl Sync for Map<'_> {}

impl<'a> Map<'a> {
    /// A map of consecutive pixels, `size` = images, height, width.
    ///
    /// # Panics
    /// If `data` does not hold exactly the elements of the map.
    #[must_use]
    pub fn new(data: &'a [f32], channels: usize, size: [usize; 3]) -> Self {
        assert_eq!(data.len(), size.iter().product::<usize>() * channels, "elements of a map of {size:?}");
        Self { data: data.as_ptr(), stride: channels, channels, size, lifetime: PhantomData }
    }

    /// Elements of a pixel.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Images, height, width.
    #[must_use]
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Number of pixels of all images.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.size.iter().product()
    }

    /// Pixels of one image.
    #[must_use]
    pub fn plane(&self) -> usize {
        self.size[1] * self.size[2]
    }

    /// The elements of one pixel.
    ///
    /// # Panics
    /// If there is no such pixel.
    #[inline(always)]
    #[must_use]
    pub fn pixel(&self, pixel: usize) -> &'a [f32] {
        assert!(pixel < self.pixels(), "pixel {pixel} of {:?}", self.size);
        // SAFETY: the pixel exists, so its `channels` elements are readable for 'a.
        unsafe { std::slice::from_raw_parts(self.at(pixel), self.channels) }
    }

    /// The columns `first..first + count` of every pixel.
    ///
    /// # Panics
    /// If there are fewer columns.
    #[must_use]
    pub fn columns(&self, first: usize, count: usize) -> Self {
        assert!(count <= self.channels && first <= self.channels - count, "columns {first} and {count} on");
        Self { data: self.data.wrapping_add(first), channels: count, ..*self }
    }

    /// Consecutive pixels from `first` on, as a map of `size`.
    ///
    /// # Panics
    /// If there are fewer pixels.
    #[must_use]
    pub fn part(&self, first: usize, size: [usize; 3]) -> Self {
        let end = first + size.iter().product::<usize>();
        assert!(end <= self.pixels(), "pixels {first} to {end} of {:?}", self.size);
        Self { data: self.data.wrapping_add(first * self.stride), size, ..*self }
    }

    /// One image.
    ///
    /// # Panics
    /// If there is no such image.
    #[must_use]
    pub fn image(&self, image: usize) -> Self {
        self.part(image * self.plane(), [1, self.size[1], self.size[2]])
    }

    /// All elements in order, or `None` if there are gaps between pixels.
    #[must_use]
    pub fn elements(&self) -> Option<&'a [f32]> {
        // SAFETY: without gaps the elements of the pixels are consecutive and readable for 'a.
        (self.stride == self.channels || self.pixels() <= 1)
            .then(|| unsafe { std::slice::from_raw_parts(self.data, self.pixels() * self.channels) })
    }

    /// The bytes of a map without gaps between its pixels.
    ///
    /// # Panics
    /// If there are gaps.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        assert!(self.stride == self.channels || self.pixels() <= 1, "bytes of a map with gaps");
        // SAFETY: without gaps the elements are consecutive; any four bytes of an f32 are bytes.
        unsafe { std::slice::from_raw_parts(self.data.cast(), 4 * self.pixels() * self.channels) }
    }

    /// Elements between consecutive pixels.
    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Address of the first element of a pixel, which need not exist.
    #[inline(always)]
    pub(super) fn at(&self, pixel: usize) -> *const f32 {
        self.data.wrapping_add(pixel.wrapping_mul(self.stride))
    }
}

/// A feature map to write, channels last.
///
/// Invariant: for every `pixel < pixels()` and `channel < channels()` the element at `pixel · stride + channel` is
/// valid for reads and writes, and only this handle accesses it during `'a`.
#[derive(Debug)]
pub struct MapMut<'a> {
    data: *mut f32,
    stride: usize,
    channels: usize,
    size: [usize; 3],
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `MapMut` is an exclusive borrow of f32 elements.
unsafe impl Send for MapMut<'_> {}
// SAFETY: as above; a shared `MapMut` only reads.
unsafe impl Sync for MapMut<'_> {}

/// Consecutive rows of one image of a [`MapMut`].
#[derive(Debug)]
pub struct Band<'a> {
    /// The image.
    pub image: usize,
    /// The rows in that image.
    pub rows: Range<usize>,
    /// Their pixels: a map of one image with so many rows.
    pub map: MapMut<'a>,
}

impl<'a> MapMut<'a> {
    /// A map of consecutive pixels, `size` = images, height, width.
    ///
    /// # Panics
    /// If `data` does not hold exactly the elements of the map.
    #[must_use]
    pub fn new(data: &'a mut [f32], channels: usize, size: [usize; 3]) -> Self {
        assert_eq!(data.len(), size.iter().product::<usize>() * channels, "elements of a map of {size:?}");
        Self { data: data.as_mut_ptr(), stride: channels, channels, size, lifetime: PhantomData }
    }

    /// The map to read, while this handle is not used.
    #[inline(always)]
    #[must_use]
    pub fn as_map(&self) -> Map<'_> {
        let Self { data, stride, channels, size, .. } = *self;
        Map { data, stride, channels, size, lifetime: PhantomData }
    }

    /// The same map for a shorter time.
    #[must_use]
    pub fn reborrow(&mut self) -> MapMut<'_> {
        let Self { data, stride, channels, size, .. } = *self;
        MapMut { data, stride, channels, size, lifetime: PhantomData }
    }

    /// Elements of a pixel.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Images, height, width.
    #[must_use]
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Number of pixels of all images.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.size.iter().product()
    }

    /// Pixels of one image.
    #[must_use]
    pub fn plane(&self) -> usize {
        self.size[1] * self.size[2]
    }

    /// The elements of one pixel.
    ///
    /// # Panics
    /// If there is no such pixel.
    #[inline(always)]
    #[must_use]
    pub fn pixel(&mut self, pixel: usize) -> &mut [f32] {
        assert!(pixel < self.pixels(), "pixel {pixel} of {:?}", self.size);
        // SAFETY: the pixel exists, so its `channels` elements belong to this handle, which is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.at(pixel), self.channels) }
    }

    /// The columns `first..first + count` of every pixel.
    ///
    /// # Panics
    /// If there are fewer columns.
    #[must_use]
    pub fn columns(self, first: usize, count: usize) -> Self {
        assert!(count <= self.channels && first <= self.channels - count, "columns {first} and {count} on");
        Self { data: self.data.wrapping_add(first), channels: count, ..self }
    }

    /// The bytes of a map without gaps between its pixels.
    ///
    /// # Panics
    /// If there are gaps.
    #[must_use]
    pub fn into_bytes(self) -> &'a mut [u8] {
        assert!(self.stride == self.channels || self.pixels() <= 1, "bytes of a map with gaps");
        // SAFETY: without gaps the elements are consecutive; any four bytes are an f32, and this handle is consumed.
        unsafe { std::slice::from_raw_parts_mut(self.data.cast(), 4 * self.pixels() * self.channels) }
    }

    /// The images, one map each.
    #[must_use]
    pub fn images(self) -> Vec<MapMut<'a>> {
        let plane = self.plane();
        let size = [1, self.size[1], self.size[2]];
        // SAFETY: images are consecutive ranges of `plane` pixels.
        (0..self.size[0]).map(|image| unsafe { self.part(image * plane, size) }).collect()
    }

    /// Bands of `rows` rows (fewer at the end of an image), image after image.
    ///
    /// # Panics
    /// If `rows` is 0.
    #[must_use]
    pub fn bands(self, rows: usize) -> Vec<Band<'a>> {
        let [images, height, width] = self.size;
        let starts = (0..images).flat_map(|image| (0..height).step_by(rows).map(move |row| (image, row)));
        let band = |(image, row): (usize, usize)| {
            let end = (row + rows).min(height);
            // SAFETY: bands are consecutive ranges of whole rows, each row in one band.
            let map = unsafe { self.part((image * height + row) * width, [1, end - row, width]) };
            Band { image, rows: row..end, map }
        };
        starts.map(band).collect()
    }

    /// Blocks of `pixels` pixels (fewer in the last): index of the first pixel, and a map of one row.
    ///
    /// # Panics
    /// If `pixels` is 0.
    #[must_use]
    pub fn blocks(self, pixels: usize) -> Vec<(usize, MapMut<'a>)> {
        let all = self.pixels();
        let block = |first: usize| {
            // SAFETY: blocks are consecutive ranges of pixels, each pixel in one block.
            (first, unsafe { self.part(first, [1, 1, pixels.min(all - first)]) })
        };
        (0..all).step_by(pixels).map(block).collect()
    }

    /// Consecutive pixels from `first` on, as a map of `size`.
    ///
    /// # Safety
    /// The pixels exist, and of overlapping parts and `self` only one is used.
    unsafe fn part(&self, first: usize, size: [usize; 3]) -> MapMut<'a> {
        debug_assert!(first + size.iter().product::<usize>() <= self.pixels());
        let Self { stride, channels, lifetime, .. } = *self;
        MapMut { data: self.data.wrapping_add(first * stride), stride, channels, size, lifetime }
    }

    /// Elements between consecutive pixels.
    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Address of the first element of a pixel, which need not exist.
    #[inline(always)]
    pub(super) fn at(&self, pixel: usize) -> *mut f32 {
        self.data.wrapping_add(pixel.wrapping_mul(self.stride))
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

    #[test]
    fn columns_of_one_buffer_are_read_and_written_at_once() {
        let mut arena = Arena::default();
        arena.reserve(60).expect("memory");
        let (reads, writes) = (region(0, 5, 2, [2, 2, 3]), region(2, 5, 3, [2, 2, 3]));
        let ([], [mut all]) = arena.claim([], [region(0, 5, 5, [2, 2, 3])]);
        all.pixel(3).fill(2.0);
        let ([x], [y]) = arena.claim([reads], [writes]);
        for (first, mut block) in y.blocks(5) {
            for pixel in 0..block.pixels() {
                let value = x.pixel(first + pixel)[1] + 1.0;
                block.pixel(pixel).fill(value);
            }
        }
        let ([all], []) = arena.claim([region(0, 5, 5, [2, 2, 3])], []);
        assert_eq!(all.pixel(3), [2.0, 2.0, 3.0, 3.0, 3.0]);
        assert_eq!(all.pixel(11), [0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "overlaps")]
    fn a_written_map_that_overlaps_is_refused() {
        let mut arena = Arena::default();
        arena.reserve(64).expect("memory");
        arena.claim([region(1, 4, 2, [1, 1, 9])], [region(2, 4, 2, [1, 1, 9])]);
    }

    #[test]
    #[should_panic(expected = "leaves the arena")]
    fn a_map_beyond_the_end_is_refused() {
        let mut arena = Arena::default();
        arena.reserve(64).expect("memory");
        arena.claim([region(32, 4, 2, [1, 3, 3])], []);
    }

    #[test]
    fn bands_cover_every_row_once() {
        let mut data = vec![0.0; 2 * 7 * 3 * 2];
        let map = MapMut::new(&mut data, 2, [2, 7, 3]);
        let bands = map.bands(3);
        let rows: Vec<_> = bands.iter().map(|band| (band.image, band.rows.clone())).collect();
        assert_eq!(rows, [(0, 0..3), (0, 3..6), (0, 6..7), (1, 0..3), (1, 3..6), (1, 6..7)]);
        for mut band in bands {
            for pixel in 0..band.map.pixels() {
                band.map.pixel(pixel).iter_mut().for_each(|value| *value += 1.0);
            }
        }
        assert!(data.iter().all(|&value| value == 1.0));
    }
}
