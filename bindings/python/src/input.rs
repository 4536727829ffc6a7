//! Images from Python: arrays, which are read in place, paths, and the bytes of image files.

use std::borrow::Cow;
use std::path::PathBuf;

use numpy::{PyArray1, PyArray3, PyArrayMethods, PyReadonlyArray3, PyUntypedArrayMethods};
use picodet::{ChannelOrder, Image, Input, Limits, Pixels};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::exception;

/// An image of Python, borrowed until it is dropped.
pub(crate) enum Source<'py> {
    Array(PyReadonlyArray3<'py, u8>, ChannelOrder),
    Bytes(Bound<'py, PyBytes>),
    Path(PathBuf),
}

impl<'py> Source<'py> {
    /// Takes an array `[h, w, 3]` of bytes in C order, `bytes`, or a path. The Python part of the package has converted
    /// everything else.
    pub(crate) fn new(object: &Bound<'py, PyAny>, bgr: bool) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone()));
        }
        if let Ok(path) = object.extract::<PathBuf>() {
            return Ok(Self::Path(path));
        }
        let Ok(array) = object.cast::<PyArray3<u8>>() else {
            return Err(PyTypeError::new_err(
                "an image must be a numpy array of uint8 with shape (height, width, 3), bytes, or a path",
            ));
        };
        if !array.is_c_contiguous() {
            return Err(PyValueError::new_err("the array of an image must be in C order"));
        }
        let order = if bgr { ChannelOrder::Bgr } else { ChannelOrder::Rgb };
        Ok(Self::Array(array.try_readonly()?, order))
    }

    /// Borrows the image.
    pub(crate) fn input(&self) -> PyResult<Input<'_>> {
        Ok(match self {
            Self::Array(array, order) => {
                let shape = array.shape();
                let pixels = Pixels::new(shape[1], shape[0], array.as_slice()?, *order);
                pixels
                    .ok_or_else(|| PyValueError::new_err("the array has no pixels, or not three channels"))?
                    .into()
            }
            Self::Bytes(bytes) => bytes.as_bytes().into(),
            Self::Path(path) => path.into(),
        })
    }
}

/// Returns the pixels of an image as an array `[h, w, 3]`.
pub(crate) fn to_array(py: Python<'_>, image: Image, bgr: bool) -> PyResult<Bound<'_, PyArray3<u8>>> {
    let shape = [image.height(), image.width(), 3];
    let mut data = image.into_data();
    if bgr {
        data.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.swap(0, 2));
    }
    PyArray1::from_vec(py, data).reshape(shape)
}

/// Reads and decodes an image file, upright.
#[pyfunction]
#[pyo3(signature = (source, *, bgr = false, max_pixels = None))]
pub fn open_image<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    bgr: bool,
    max_pixels: Option<u64>,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let source = Source::new(source, bgr)?;
    let limits = max_pixels.map_or_else(Limits::default, Limits::new);
    let input = source.input()?;
    let image = py.detach(|| input.read_within(&limits).map(Cow::into_owned)).map_err(exception)?;
    to_array(py, image, bgr)
}
