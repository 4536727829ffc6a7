//! Handles: numbers in the guise of pointers, so that closed, foreign and repeated ones are errors and not undefined behaviour.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::status::Failure;

/// Bits of a handle that give its kind; the others count.
const KIND_BITS: u32 = 3;
/// Names of the kinds.
const KINDS: [&str; 4] = ["model", "detector", "result", "decoded image"];

/// The open handles of one kind. A number is used once; where numbers have 32 bits, again after half a billion others.
pub(crate) struct Table<T> {
    kind: usize,
    next: AtomicUsize,
    open: RwLock<BTreeMap<usize, Arc<T>>>,
}

impl<T> Table<T> {
    /// Creates the table of the kind `KINDS[kind]`.
    pub(crate) const fn new(kind: usize) -> Self {
        Self { kind, next: AtomicUsize::new(1), open: RwLock::new(BTreeMap::new()) }
    }

    /// Opens a handle.
    pub(crate) fn open<H>(&self, object: T) -> *mut H {
        let object = Arc::new(object);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            let count = self.next.fetch_add(1, Ordering::Relaxed) << KIND_BITS;
            let number = count | (self.kind + 1);
            if count != 0 && !open.contains_key(&number) {
                open.insert(number, object);
                return std::ptr::without_provenance_mut(number);
            }
        }
    }

    /// Returns the object of a handle; it lives on while it is used, also when another thread closes the handle.
    pub(crate) fn get<H>(&self, handle: *const H, name: &'static str) -> Result<Arc<T>, Failure> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&handle.addr()).cloned().ok_or_else(|| self.failure(handle.addr(), name))
    }

    /// Closes a handle; NULL is ignored.
    pub(crate) fn close<H>(&self, handle: *const H, name: &'static str) -> Result<(), Failure> {
        if handle.is_null() {
            return Ok(());
        }
        let closed = self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.addr());
        // The object is dropped without the lock.
        closed.map(drop).ok_or_else(|| self.failure(handle.addr(), name))
    }

    /// Returns the number of open handles.
    pub(crate) fn count(&self) -> usize {
        self.open.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns the reason why a number is not an open handle.
    fn failure(&self, number: usize, name: &'static str) -> Failure {
        let kind = (number & ((1 << KIND_BITS) - 1)).wrapping_sub(1);
        match KINDS.get(kind) {
            _ if number == 0 => Failure::Null(name),
            Some(found) if kind != self.kind => Failure::Kind { name, found, expected: KINDS[self.kind] },
            _ => Failure::Closed(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Opaque;

    #[test]
    fn closed_and_foreign_handles_are_refused() {
        let (models, detectors) = (Table::new(0), Table::new(1));
        let model: *mut Opaque = models.open("m");
        let detector: *mut Opaque = detectors.open("d");
        assert_ne!(model, detector);
        assert_eq!(models.get(model, "model").ok().as_deref(), Some(&"m"));
        let message = |result: Result<(), Failure>| result.map_err(|failure| failure.to_string());
        let get = |table: &Table<&str>, handle| message(table.get(handle, "x").map(drop));
        assert_eq!(get(&models, detector), Err("`x` is a handle of a detector; expected a model".to_owned()));
        assert_eq!(get(&models, std::ptr::null_mut()), Err("`x` is NULL".to_owned()));
        let kept = models.get(model, "model").expect("the model");
        assert_eq!((models.count(), message(models.close(model, "x")), models.count()), (1, Ok(()), 0));
        let closed = Err("`x` is closed, or not a handle of this library".to_owned());
        assert_eq!(message(models.close(model, "x")), closed);
        assert_eq!(get(&models, model), closed);
        assert_eq!(get(&models, std::ptr::without_provenance_mut(0xdead_0000)), closed);
        assert_eq!(message(models.close(std::ptr::null::<Opaque>(), "x")), Ok(()));
        assert_eq!(*kept, "m", "an object in use outlives its handle");
        assert_ne!(models.open::<Opaque>("n"), model, "a number is not used twice");
    }
}
