//! Buffers that are reused from one call to the next, whichever threads the calls come from.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Idle buffers of one kind. Their number is at most the number that were leased at the same time.
#[derive(Debug)]
pub struct BufferPool<T> {
    idle: Mutex<Vec<T>>,
}

impl<T> Default for BufferPool<T> {
    fn default() -> Self {
        Self { idle: Mutex::default() }
    }
}

impl<T> BufferPool<T> {
    /// Leases `count` buffers: idle ones first, then new ones from `make`. Their contents are those of an earlier use.
    pub fn lease(&self, count: usize, make: impl FnMut() -> T) -> Lease<'_, T> {
        let mut idle = self.idle();
        let rest = idle.len().saturating_sub(count);
        let mut buffers = idle.split_off(rest);
        drop(idle);
        buffers.resize_with(count, make);
        Lease { buffers, pool: self }
    }

    /// The idle buffers; the list is whole even if a thread has panicked while it held the lock.
    fn idle(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buffers of a [`BufferPool`], which go back to it when the lease is dropped.
#[derive(Debug)]
pub struct Lease<'a, T> {
    buffers: Vec<T>,
    pool: &'a BufferPool<T>,
}

impl<T> Deref for Lease<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffers
    }
}

impl<T> DerefMut for Lease<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffers
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        self.pool.idle().append(&mut self.buffers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_made_once_and_reused() {
        let pool = BufferPool::default();
        let mut made = 0;
        let mut lease = |count| {
            pool.lease(count, || {
                made += 1;
                made
            })
        };
        let (first, second) = (lease(1), lease(2));
        assert_eq!((&first[..], &second[..]), (&[1][..], &[2, 3][..]));
        drop(first);
        assert_eq!(lease(2)[..], [1, 4]);
        drop(second);
        let mut all = lease(4).to_vec();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4]);
    }
}
