//! The kernels: channels-last maps, vectorised over the channels.
#![allow(unsafe_code)]

pub(crate) mod activate;
pub(crate) mod cellwise;
pub(crate) mod dense;
pub(crate) mod depthwise;
pub(crate) mod lanes;
pub(crate) mod matrix;
pub(crate) mod normalise;
pub(crate) mod resample;
pub(crate) mod transpose;

/// A feature map: cells one after the other (images, rows, columns), each of `channels` numbers.
///
/// `stride` is larger than `channels` where the map is a part of the channels of a larger one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map {
    /// The first number of the first cell.
    pub(crate) data: *mut f32,
    /// Numbers from one cell to the next.
    pub(crate) stride: usize,
    /// Numbers of a cell.
    pub(crate) channels: usize,
    /// Images, height, width.
    pub(crate) size: [usize; 3],
}

// SAFETY: a map is a pointer and its extents; whoever reads or writes through it promises that no other thread
// writes the same cells.
unsafe impl Send for Map {}
// SAFETY: as for Send.
unsafe impl Sync for Map {}

impl Map {
    /// Number of cells.
    pub(crate) fn cells(&self) -> usize {
        self.size.iter().product()
    }

    /// Cells of one image.
    pub(crate) fn plane(&self) -> usize {
        self.size[1] * self.size[2]
    }

    /// The first number of a cell.
    #[inline(always)]
    pub(crate) fn at(&self, cell: usize) -> *mut f32 {
        self.data.wrapping_add(cell * self.stride)
    }

    /// The same cells, `count` channels from `first`.
    pub(crate) fn channels(&self, first: usize, count: usize) -> Self {
        Self { data: self.data.wrapping_add(first), channels: count, ..*self }
    }
}

/// A pointer that threads share under the same promise as [`Map`].
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut f32);

// SAFETY: as for [`Map`].
unsafe impl Send for Shared {}
// SAFETY: as for [`Map`].
unsafe impl Sync for Shared {}

impl Shared {
    /// The number `index` places on.
    #[inline(always)]
    pub(crate) fn at(self, index: usize) -> *mut f32 {
        self.0.wrapping_add(index)
    }
}

/// Runs the block for every vector of a row of channels: `c` is the first channel, `n` says how many are moved.
///
/// A macro, not a function of a closure: the block must be inlined where the instruction set is enabled.
macro_rules! vectors {
    ($V:ident, $channels:expr, |$c:ident, $n:ident| $body:block) => {{
        let channels: usize = $channels;
        let mut $c = 0;
        while $c + $V::LEN <= channels {
            let $n = $crate::kernel::lanes::Whole;
            $body
            $c += $V::LEN;
        }
        if $c < channels {
            let $n = $crate::kernel::lanes::Part(channels - $c);
            $body
        }
    }};
}
pub(crate) use vectors;

/// Makes a function that runs a kernel, generic over [`lanes::Lanes`], with the instruction set asked for.
macro_rules! dispatch {
    ($(#[$meta:meta])* $name:ident, $lanes:ident, $args:ty) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// The processor has `isa`; the maps and pointers of `args` are valid for the cells and channels that `args`
        /// speaks of, and nobody else writes to them or reads what this writes.
        pub(crate) unsafe fn $name(isa: $crate::kernel::lanes::Isa, args: &$args) {
            use $crate::kernel::lanes::Isa;
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => {
                    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                    unsafe fn run(args: &$args) {
                        // SAFETY: the caller's promise.
                        unsafe { $lanes::<$crate::kernel::lanes::Avx512>(args) }
                    }
                    // SAFETY: the caller's promise.
                    unsafe { run(args) }
                }
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    unsafe fn run(args: &$args) {
                        // SAFETY: the caller's promise.
                        unsafe { $lanes::<$crate::kernel::lanes::Avx2>(args) }
                    }
                    // SAFETY: the caller's promise.
                    unsafe { run(args) }
                }
                // SAFETY: the caller's promise.
                Isa::Portable => unsafe { $lanes::<$crate::kernel::lanes::Portable>(args) },
            }
        }
    };
}
pub(crate) use dispatch;
