//! Handles to channels-last feature maps, and their division among tasks.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

use super::region::Region;

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
    /// The map of a region of the memory at `data`.
    ///
    /// # Safety
    /// The elements of the region are valid for reads and not written during `'a`.
    pub(super) unsafe fn from_raw(data: *const f32, region: Region) -> Self {
        let Region { offset, stride, channels, size } = region;
        Self { data: data.wrapping_add(offset), stride, channels, size, lifetime: PhantomData }
    }

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
    /// Their pixels: a map of one image with these rows only.
    pub map: MapMut<'a>,
}

impl<'a> MapMut<'a> {
    /// The map of a region of the memory at `data`.
    ///
    /// # Safety
    /// The elements of the region are valid for reads and writes, and only this handle accesses them during `'a`.
    pub(super) unsafe fn from_raw(data: *mut f32, region: Region) -> Self {
        let Region { offset, stride, channels, size } = region;
        Self { data: data.wrapping_add(offset), stride, channels, size, lifetime: PhantomData }
    }

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
