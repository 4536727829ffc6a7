//! The memory of direct buffers and of arrays.

use jni::Env;
use jni::objects::{JByteArray, JByteBuffer};

use crate::failure::Failure;

/// Returns the memory of a direct buffer, from its start to its capacity.
///
/// # Safety
/// The memory is not written to, and the buffer not collected, while the slice is in use: the buffer is an argument of the
/// running call, and the class `Detector` documents that other threads must not write to it.
pub(crate) unsafe fn bytes<'a>(
    env: &Env<'_>,
    buffer: &'a JByteBuffer<'_>,
    name: &'static str,
) -> Result<&'a [u8], Failure> {
    let direct = "a direct buffer (ByteBuffer.allocateDirect)";
    if buffer.is_null() {
        return Err(Failure::argument(name, "null", direct));
    }
    let wrong = |_| Failure::argument(name, "a buffer without native memory", direct);
    let capacity = env.get_direct_buffer_capacity(buffer).map_err(wrong)?;
    if capacity == 0 {
        return Ok(&[]);
    }
    let address = env.get_direct_buffer_address(buffer).map_err(wrong)?;
    // SAFETY: the virtual machine gives `capacity` bytes at `address`, which is not null (`get_direct_buffer_address`
    // refuses that); they live and stay unchanged by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(address, capacity) })
}

/// Returns a copy of an array, or an error if there is no memory for it.
pub(crate) fn copy(env: &Env<'_>, array: &JByteArray<'_>, name: &'static str) -> Result<Vec<u8>, Failure> {
    if array.is_null() {
        return Err(Failure::argument(name, "null", "an array"));
    }
    Ok(env.convert_byte_array(array)?)
}
