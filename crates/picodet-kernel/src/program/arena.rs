//! The memory of all feature maps of an inference.

/// Words in a huge page of x86-64 and aarch64.
const HUGE_PAGE: usize = (2 << 20) / size_of::<f32>();

/// Zeroed memory aligned to a huge page, or at least to a cache line.
#[derive(Debug)]
pub struct Arena {
    memory: Vec<f32>,
    begin: usize,
    len: usize,
}

impl Arena {
    /// Allocates `len` words.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let spare = if len >= HUGE_PAGE { HUGE_PAGE } else { 16 };
        // The spare words are never written, so that they cost addresses but no memory.
        let memory = vec![0.0f32; len + spare];
        let begin = memory.as_ptr().align_offset(spare * size_of::<f32>()).min(spare);
        let arena = Self { memory, begin, len };
        if spare == HUGE_PAGE {
            arena.advise_huge_pages();
        }
        arena
    }

    /// Returns the address of the first word.
    pub(super) fn pointer(&mut self) -> *mut f32 {
        self.memory[self.begin..].as_mut_ptr()
    }

    /// Returns all words.
    #[must_use]
    pub fn words(&self) -> &[f32] {
        &self.memory[self.begin..self.begin + self.len]
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len * size_of::<f32>()
    }

    /// Asks the system for huge pages: maps are read row by row, a page or more at a time, and with small
    /// pages the processor would translate addresses all the time and stop prefetching at the end of each.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn advise_huge_pages(&self) {
        unsafe extern "C" {
            fn madvise(
                address: *mut std::ffi::c_void,
                length: usize,
                advice: std::ffi::c_int,
            ) -> std::ffi::c_int;
        }
        const MADV_HUGEPAGE: std::ffi::c_int = 14;
        let whole = self.len / HUGE_PAGE * HUGE_PAGE * size_of::<f32>();
        // SAFETY: the range starts on a huge page and ends inside `memory`, whose `len + spare` words follow;
        // the advice does not change its contents, and a system without huge pages returns an error, which
        // can be ignored.
        unsafe {
            madvise(self.memory.as_ptr().wrapping_add(self.begin).cast_mut().cast(), whole, MADV_HUGEPAGE);
        }
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    fn advise_huge_pages(&self) {}
}

impl Clone for Arena {
    /// Allocates zeroed memory of the same length: no content of an arena outlives a run.
    fn clone(&self) -> Self {
        Self::new(self.len)
    }
}
