//! How the system gives memory to a command that lives for some tens of milliseconds.

/// Lets the heap grow in large steps, of large pages.
///
/// Taking up memory page by page is a good part of the time from the start to the first detection: weights, packed
/// weights, pictures and the network's input are tens of megabytes that are written once. Call it before there are
/// other threads. Allocators other than GNU's stay as they are.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(crate) fn take_large_pages() {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
        fn sbrk(increment: isize) -> *mut c_void;
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    // <malloc.h> and <asm-generic/mman-common.h>.
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_TOP_PAD: c_int = -2;
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;
    const MADV_HUGEPAGE: c_int = 14;
    // Bytes of addresses; memory is what of them is written.
    const STEP: c_int = 64 << 20;
    // The most that GNU's allocator lets be asked for.
    const LARGEST_BLOCK_IN_HEAP: c_int = 32 << 20;
    // A multiple of every size of small pages.
    const ALIGNMENT: usize = 64 << 10;

    // SAFETY: the parameters and their values are those that the manual names; others are refused. An increment of 0 only
    // asks where the heap ends. The advice is for addresses that the heap has just grown by; it changes neither what memory
    // holds nor whose it is, and a system that cannot follow it says so, which is as good as no advice.
    unsafe {
        mallopt(M_TRIM_THRESHOLD, 2 * STEP);
        mallopt(M_TOP_PAD, STEP);
        mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK_IN_HEAP);
        // Threads take from the one heap too.
        mallopt(M_ARENA_MAX, 1);
        let begin = sbrk(0).addr().next_multiple_of(ALIGNMENT);
        // More than the heap begins with, so that it grows now.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
        let end = sbrk(0);
        if end.addr() > begin {
            madvise(end.with_addr(begin), end.addr() - begin, MADV_HUGEPAGE);
        }
    }
}

/// Elsewhere the system gives memory as it does.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn take_large_pages() {}
