//! The memory of the maps.
#![allow(unsafe_code)]

/// Numbers in a huge page of x86-64 and aarch64.
const HUGE_PAGE: usize = (2 << 20) / size_of::<f32>();

/// Zeros that begin on a huge page, where there are such, or at least on a cache line.
#[derive(Debug)]
pub(crate) struct Arena {
    memory: Vec<f32>,
    begin: usize,
    len: usize,
}

impl Arena {
    /// `len` numbers.
    pub(crate) fn new(len: usize) -> Self {
        let spare = if len >= HUGE_PAGE { HUGE_PAGE } else { 16 };
        // Nobody writes what is spare, so that it costs addresses but no memory.
        let memory = vec![0.0f32; len + spare];
        let begin = memory.as_ptr().align_offset(spare * size_of::<f32>()).min(spare);
        let arena = Self { memory, begin, len };
        if spare == HUGE_PAGE {
            arena.ask_for_huge_pages();
        }
        arena
    }

    /// The first number.
    pub(crate) fn pointer(&mut self) -> *mut f32 {
        self.memory[self.begin..].as_mut_ptr()
    }

    /// All numbers.
    pub(crate) fn numbers(&self) -> &[f32] {
        &self.memory[self.begin..]
    }

    /// Maps are walked row by row, a page or more at a time: with small pages, the processor would look up addresses
    /// all the time and stop reading ahead at the end of each.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn ask_for_huge_pages(&self) {
        unsafe extern "C" {
            fn madvise(
                address: *mut std::ffi::c_void,
                length: usize,
                advice: std::ffi::c_int,
            ) -> std::ffi::c_int;
        }
        const MADV_HUGEPAGE: std::ffi::c_int = 14;
        let whole = self.len / HUGE_PAGE * HUGE_PAGE * size_of::<f32>();
        // SAFETY: the range lies in memory of ours and begins on a page; the advice does not change what it holds, and
        // a system that does not know it says so, which is as good as no advice.
        unsafe {
            madvise(self.memory.as_ptr().wrapping_add(self.begin).cast_mut().cast(), whole, MADV_HUGEPAGE);
        }
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    fn ask_for_huge_pages(&self) {}
}

impl Clone for Arena {
    /// Zeros again: nothing in an arena outlives a run.
    fn clone(&self) -> Self {
        Self::new(self.len)
    }
}
