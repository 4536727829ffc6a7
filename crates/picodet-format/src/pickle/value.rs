//! The values of a pickle.

use std::cell::RefCell;
use std::rc::Rc;

/// A value of a pickle; byte strings borrow from the file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float; its value is not kept.
    Float,
    /// Text.
    Text(Rc<str>),
    /// Bytes decoded from latin-1 text (protocol 2).
    Bytes(Rc<[u8]>),
    /// Bytes of the file.
    Slice(&'a [u8]),
    /// A tuple.
    Tuple(Rc<Vec<Value<'a>>>),
    /// A list; the memo may refer to it while it grows.
    List(RcCell<Vec<Value<'a>>>),
    /// The entries of a dict in the order of the file; the memo may refer to it while it grows.
    Dict(RcCell<Vec<(Value<'a>, Value<'a>)>>),
    /// A global that may be called.
    Global(Global),
    /// The result of calling [`Global::Reconstruct`], [`Global::FromBuffer`], [`Global::Scalar`] or
    /// [`Global::Dtype`].
    Object(RcCell<Object<'a>>),
}

/// A mutable value with several owners in one thread.
pub type RcCell<T> = Rc<RefCell<T>>;

/// The globals that a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Global {
    /// `numpy.core.multiarray._reconstruct`.
    Reconstruct,
    /// `numpy.core.numeric._frombuffer` (protocol 5).
    FromBuffer,
    /// `numpy.core.multiarray.scalar`.
    Scalar,
    /// `numpy.ndarray`.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// `ml_dtypes.bfloat16`, an element type of NumPy by another package.
    Bfloat16,
    /// `_codecs.encode`.
    Encode,
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `tuple`.
    Tuple,
    /// `eval`, which Paddle writes to store a tensor as `eval('data', {'data': array})`; other
    /// expressions are rejected, and this one is parsed without evaluation.
    Eval,
}

/// An array or a dtype.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// The global that was called.
    pub global: Global,
    /// The arguments of the call.
    pub arguments: Rc<Vec<Value<'a>>>,
    /// The state that was set after the call (opcode BUILD).
    pub state: Option<Value<'a>>,
}

impl Drop for Value<'_> {
    /// Drops nested values iteratively: a hostile file nests deeper than the stack allows for recursion.
    fn drop(&mut self) {
        let mut pending = Vec::new();
        self.take_children(&mut pending);
        while let Some(mut value) = pending.pop() {
            value.take_children(&mut pending);
        }
    }
}

impl<'a> Value<'a> {
    /// Moves the child values that have no other owner out of this one.
    fn take_children(&mut self, children: &mut Vec<Value<'a>>) {
        match self {
            Self::Tuple(values) => children.append(Rc::get_mut(values).unwrap_or(&mut Vec::new())),
            Self::List(values) if Rc::strong_count(values) == 1 => children.append(&mut values.borrow_mut()),
            Self::Dict(entries) if Rc::strong_count(entries) == 1 => {
                children.extend(entries.borrow_mut().drain(..).flat_map(|(key, value)| [key, value]));
            }
            Self::Object(object) if Rc::strong_count(object) == 1 => {
                let mut object = object.borrow_mut();
                children.extend(object.state.take());
                children.append(Rc::get_mut(&mut object.arguments).unwrap_or(&mut Vec::new()));
            }
            _ => {}
        }
    }
}

impl Global {
    /// The global of this module and name, if it is in the list.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Some(Self::Reconstruct),
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Some(Self::FromBuffer),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Some(Self::Scalar),
            ("numpy", "ndarray") => Some(Self::NdArray),
            ("numpy", "dtype") => Some(Self::Dtype),
            ("ml_dtypes", "bfloat16") => Some(Self::Bfloat16),
            ("_codecs", "encode") => Some(Self::Encode),
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("builtins" | "__builtin__", "tuple") => Some(Self::Tuple),
            ("builtins" | "__builtin__", "eval") => Some(Self::Eval),
            _ => None,
        }
    }
}
