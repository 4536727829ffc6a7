//! Reading and writing through the pointers of the caller.
//!
//! What can be checked is checked: NULL, alignment, lengths. The rest is the contract of the header: a pointer that is not
//! NULL points to memory of the stated type and length that no other thread writes to during the call.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use crate::status::Failure;

/// Returns a reference to a struct of the caller.
///
/// # Safety
/// If `pointer` is neither NULL nor misaligned, it points to a valid `T` that is not written to during `'a`.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T, Failure> {
    check(pointer, name)?;
    // SAFETY: not NULL and aligned by the check; valid for `'a` by this function's contract.
    Ok(unsafe { &*pointer })
}

/// A place into which a result is written.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks the place and writes `initial` into it, so that it is defined also when the call fails.
    ///
    /// # Safety
    /// If `pointer` is neither NULL nor misaligned, it points to memory for a `T` that may be written to during the call.
    pub(crate) unsafe fn new(pointer: *mut T, initial: T, name: &'static str) -> Result<Self, Failure> {
        check(pointer, name)?;
        let place = Self(pointer);
        place.write(initial);
        Ok(place)
    }

    /// Writes the result. The previous value is not dropped: types in C have no destructors.
    pub(crate) fn write(&self, value: T) {
        // SAFETY: `new` has checked NULL and alignment, and by its contract the memory is writable during the call.
        unsafe { self.0.write(value) }
    }
}

/// Returns bytes of the caller; NULL is possible only for none.
///
/// # Safety
/// If `data` is not NULL, it points to `size` bytes that are not written to during `'a`.
pub(crate) unsafe fn bytes<'a>(
    data: *const u8,
    size: usize,
    name: &'static str,
) -> Result<&'a [u8], Failure> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::Null(name));
    }
    if size > isize::MAX as usize {
        let expected = "a number of bytes that fits in memory";
        return Err(Failure::Value { name, value: format!("{size} bytes long"), expected });
    }
    // SAFETY: not NULL, at most `isize::MAX` bytes, and readable for `'a` by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(data, size) })
}

/// Returns text of the caller.
///
/// # Safety
/// If `text` is not NULL, it points to bytes that end with a zero byte and are not written to during `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &'static str) -> Result<&'a str, Failure> {
    // SAFETY: by this function's contract.
    unsafe { c_str(text, name) }?.to_str().map_err(|_| Failure::NotUtf8(name))
}

/// Returns a path of the caller: bytes of the system on Unix, UTF-8 elsewhere.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn path(text: *const c_char, name: &'static str) -> Result<PathBuf, Failure> {
    // SAFETY: by this function's contract.
    let text = unsafe { c_str(text, name) }?;
    #[cfg(unix)]
    let path = {
        use std::os::unix::ffi::OsStrExt;
        std::ffi::OsStr::from_bytes(text.to_bytes()).into()
    };
    #[cfg(not(unix))]
    let path = text.to_str().map_err(|_| Failure::NotUtf8(name))?.into();
    Ok(path)
}

/// # Safety
/// As [`text`].
unsafe fn c_str<'a>(text: *const c_char, name: &'static str) -> Result<&'a CStr, Failure> {
    if text.is_null() {
        return Err(Failure::Null(name));
    }
    // SAFETY: not NULL, and ends with a zero byte by this function's contract.
    Ok(unsafe { CStr::from_ptr(text) })
}

fn check<T>(pointer: *const T, name: &'static str) -> Result<(), Failure> {
    if pointer.is_null() {
        Err(Failure::Null(name))
    } else if !pointer.is_aligned() {
        Err(Failure::Misaligned(name))
    } else {
        Ok(())
    }
}
