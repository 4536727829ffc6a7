//! Settings of the heap for a program that runs for some tens of milliseconds.

/// Makes GNU's allocator grow the heap in large steps of large pages.
///
/// Page faults take a considerable part of the time from the start of a program to its first detection: weights, packed
/// weights, images and the network's input are tens of megabytes that are written once. For programs, not for libraries:
/// the settings hold for the whole process. Call it before other threads exist. Other allocators are not changed.
#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
#[allow(unsafe_code)]
pub fn use_large_pages() {
    /// Address space by which the heap grows; only the pages that are written become memory.
    const STEP: libc::c_int = 64 << 20;
    /// The largest threshold that GNU's allocator accepts.
    const LARGEST_BLOCK_IN_HEAP: libc::c_int = 32 << 20;
    /// A multiple of every size of small pages.
    const ALIGNMENT: usize = 64 << 10;

    // SAFETY: `mallopt` takes any value of these parameters and refuses those outside its limits; no other thread
    // allocates yet. `sbrk(0)` only returns the end of the heap. `madvise` gets the range `begin..end` by which the heap
    // has just grown; the advice changes neither its contents nor its owner.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * STEP);
        libc::mallopt(libc::M_TOP_PAD, STEP);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_BLOCK_IN_HEAP);
        // All threads allocate from the one heap.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        let begin = libc::sbrk(0).addr().next_multiple_of(ALIGNMENT);
        // Larger than the initial heap, so that it grows now.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
        let end = libc::sbrk(0);
        if end.addr() > begin {
            libc::madvise(end.with_addr(begin), end.addr() - begin, libc::MADV_HUGEPAGE);
        }
    }
}

/// Has no effect: the settings are those of GNU's allocator.
#[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
pub fn use_large_pages() {}
