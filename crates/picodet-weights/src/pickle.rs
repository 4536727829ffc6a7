//! A closed reader of the pickles that hold arrays: a fixed list of opcodes builds values, a fixed list of names may
//! be called, and calling means building a value too. Nothing is looked up, imported or executed.

use std::collections::HashMap;
use std::rc::Rc;

use crate::ReadError;

/// The deepest nesting and the most values that are believed.
const DEEPEST: usize = 64;
const MOST_VALUES: usize = 4_000_000;

/// A value of a pickle, with big bytes left where they are in the file.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Slice(&'a [u8]),
    Tuple(Rc<Vec<Value<'a>>>),
    /// A list or a dict under construction may be referred to from the memo.
    List(Shared<Vec<Value<'a>>>),
    Dict(Shared<Vec<(Value<'a>, Value<'a>)>>),
    Global(Global),
    Object(Shared<Object<'a>>),
}

pub(crate) type Shared<T> = Rc<std::cell::RefCell<T>>;

/// The names that may appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    Reconstruct,
    NdArray,
    Dtype,
    Encode,
    OrderedDict,
    Tuple,
}

/// A thing that a global built.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    pub(crate) of: Global,
    pub(crate) arguments: Rc<Vec<Value<'a>>>,
    pub(crate) state: Option<Value<'a>>,
}

impl Drop for Value<'_> {
    /// A hostile file nests values deeper than the stack is: they are taken apart one by one, not by recursion.
    fn drop(&mut self) {
        let mut rest = Vec::new();
        self.give_up_children(&mut rest);
        while let Some(mut value) = rest.pop() {
            value.give_up_children(&mut rest);
        }
    }
}

impl<'a> Value<'a> {
    /// Moves the values that nobody else refers to out of this one.
    fn give_up_children(&mut self, children: &mut Vec<Value<'a>>) {
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

fn global(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Some(Global::Reconstruct),
        ("numpy", "ndarray") => Some(Global::NdArray),
        ("numpy", "dtype") => Some(Global::Dtype),
        ("_codecs", "encode") => Some(Global::Encode),
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("builtins" | "__builtin__", "tuple") => Some(Global::Tuple),
        _ => None,
    }
}

fn wrong(at: usize, problem: impl std::fmt::Display) -> ReadError {
    ReadError::Format { format: "a .pdparams file", problem: format!("{problem} at byte {at}") }
}

/// Reads one pickle.
pub(crate) fn load(bytes: &[u8]) -> Result<Value<'_>, ReadError> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        made: 0,
        decoded: 0,
    };
    loop {
        if let Some(value) = machine.step()? {
            return Ok(value);
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    /// Values pushed or remembered so far.
    made: usize,
    /// Bytes that text was decoded to so far.
    decoded: usize,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(ReadError::Truncated { at: self.bytes.len(), what: "a pickle" })?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<usize, ReadError> {
        Ok(usize::from(self.array::<1>()?[0]))
    }

    fn length(&mut self) -> Result<usize, ReadError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn long_length(&mut self) -> Result<usize, ReadError> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| wrong(self.at, "a length that no memory holds"))
    }

    fn line(&mut self) -> Result<&'a str, ReadError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(1024).position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| wrong(self.at, "a line without end"))?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| wrong(self.at, "a line that is not UTF-8"))
    }

    fn text(&mut self, length: usize) -> Result<Value<'a>, ReadError> {
        let at = self.at;
        let text =
            std::str::from_utf8(self.take(length)?).map_err(|_| wrong(at, "text that is not UTF-8"))?;
        Ok(Value::Text(text.into()))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), ReadError> {
        self.count()?;
        self.stack.push(value);
        Ok(())
    }

    fn count(&mut self) -> Result<(), ReadError> {
        self.made += 1;
        if self.made > MOST_VALUES {
            return Err(wrong(self.at, "more values than any model has"));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'a>, ReadError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(wrong(self.at, "a value is missing"));
        }
        self.stack.pop().ok_or_else(|| wrong(self.at, "a value is missing"))
    }

    fn top(&self) -> Result<&Value<'a>, ReadError> {
        self.stack.last().ok_or_else(|| wrong(self.at, "a value is missing"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, ReadError> {
        let mark = self.marks.pop().ok_or_else(|| wrong(self.at, "a mark is missing"))?;
        if mark > self.stack.len() {
            return Err(wrong(self.at, "a mark is missing"));
        }
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, length: usize) -> Result<(), ReadError> {
        let mut values = Vec::with_capacity(length);
        for _ in 0..length {
            values.push(self.pop()?);
        }
        values.reverse();
        self.push(Value::Tuple(values.into()))
    }

    /// Runs one opcode; returns the value when it is the last.
    fn step(&mut self) -> Result<Option<Value<'a>>, ReadError> {
        let at = self.at;
        match self.array::<1>()?[0] {
            0x80 => {
                let protocol = self.byte()?;
                if !(2..=5).contains(&protocol) {
                    return Err(wrong(at, format!("pickle protocol {protocol}")));
                }
            }
            0x95 => {
                self.take(8)?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => {
                if self.marks.len() >= DEEPEST {
                    return Err(wrong(at, "nesting deeper than any model's"));
                }
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value as i64))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))?;
            }
            0x8a => {
                let length = self.byte()?;
                let digits = self.take(length)?;
                if length > 8 {
                    return Err(wrong(at, "an integer of more than 64 bits"));
                }
                let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
                let mut whole = if negative { [0xff; 8] } else { [0; 8] };
                whole[..length].copy_from_slice(digits);
                self.push(Value::Int(i64::from_le_bytes(whole)))?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Float)?;
            }
            0x8c => {
                let length = self.byte()?;
                let text = self.text(length)?;
                self.push(text)?;
            }
            b'X' => {
                let length = self.length()?;
                let text = self.text(length)?;
                self.push(text)?;
            }
            0x8d => {
                let length = self.long_length()?;
                let text = self.text(length)?;
                self.push(text)?;
            }
            b'C' | b'U' => {
                let length = self.byte()?;
                let slice = self.take(length)?;
                self.push(Value::Slice(slice))?;
            }
            b'B' | b'T' => {
                let length = self.length()?;
                let slice = self.take(length)?;
                self.push(Value::Slice(slice))?;
            }
            0x8e | 0x96 => {
                let length = self.long_length()?;
                let slice = self.take(length)?;
                self.push(Value::Slice(slice))?;
            }
            b']' => self.push(Value::List(Shared::default()))?,
            b'}' => self.push(Value::Dict(Shared::default()))?,
            b')' => self.push(Value::Tuple(Rc::default()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let values = self.pop_to_mark()?;
                self.push(Value::Tuple(values.into()))?;
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.pop_to_mark()?;
                self.append(values)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)?;
            }
            b'q' => {
                let key = self.byte()?;
                self.memoize(key)?;
            }
            b'r' => {
                let key = self.length()?;
                self.memoize(key)?;
            }
            0x94 => self.memoize(self.memo.len())?,
            b'h' => {
                let key = self.byte()?;
                self.recall(key)?;
            }
            b'j' => {
                let key = self.length()?;
                self.recall(key)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.find(at, module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&module, &name) {
                    (Value::Text(module), Value::Text(name)) => self.find(at, module, name)?,
                    _ => return Err(wrong(at, "a global whose name is not text")),
                }
            }
            b'R' | 0x81 => self.call(at)?,
            b'b' => {
                let state = self.pop()?;
                match self.top()? {
                    Value::Object(object) => object.borrow_mut().state = Some(state),
                    _ => return Err(wrong(at, "a state for something that has none")),
                }
            }
            opcode => {
                return Err(wrong(at, format!("opcode {opcode:#04x}, which no file of weights needs,")));
            }
        }
        Ok(None)
    }

    fn append(&mut self, values: Vec<Value<'a>>) -> Result<(), ReadError> {
        match self.top()? {
            Value::List(list) => list.borrow_mut().extend(values),
            _ => return Err(wrong(self.at, "an item for something that is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value<'a>>) -> Result<(), ReadError> {
        let at = self.at;
        let Value::Dict(dict) = self.top()? else {
            return Err(wrong(at, "an entry for something that is no dict"));
        };
        if !items.len().is_multiple_of(2) {
            return Err(wrong(at, "a key without value"));
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.borrow_mut().push((key, value));
        }
        Ok(())
    }

    fn memoize(&mut self, key: usize) -> Result<(), ReadError> {
        self.count()?;
        let value = self.top()?.clone();
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Result<(), ReadError> {
        let value = self.memo.get(&key).cloned();
        let value = value.ok_or_else(|| wrong(self.at, format!("memo {key} does not exist")))?;
        self.push(value)
    }

    fn find(&mut self, at: usize, module: &str, name: &str) -> Result<(), ReadError> {
        match global(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(wrong(at, format!("the file asks for `{module}.{name}`, which is never run,"))),
        }
    }

    /// Calls a global, which builds a value.
    fn call(&mut self, at: usize) -> Result<(), ReadError> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(of)) = (&arguments, &callee) else {
            return Err(wrong(at, "a call of something that cannot be called"));
        };
        let (arguments, of) = (arguments.clone(), *of);
        let value = match of {
            Global::Encode => match &arguments[..] {
                // Protocol 2 writes bytes as text whose code points are the bytes.
                [Value::Text(text), Value::Text(codec)] if &**codec == "latin1" => {
                    // A text may be remembered and decoded again and again: no sound file decodes more than it holds.
                    self.decoded += text.len();
                    if self.decoded > self.bytes.len() {
                        return Err(wrong(at, "bytes that repeat themselves"));
                    }
                    let bytes: Option<Vec<u8>> =
                        text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                    Value::Bytes(bytes.ok_or_else(|| wrong(at, "bytes that are not latin-1"))?.into())
                }
                _ => return Err(wrong(at, "bytes in another form than latin-1")),
            },
            Global::OrderedDict if arguments.is_empty() => Value::Dict(Shared::default()),
            // Some writers make a tuple by calling its type with a list or a tuple.
            Global::Tuple => match &arguments[..] {
                [Value::Tuple(values)] => Value::Tuple(values.clone()),
                [Value::List(values)] => {
                    let values = values.borrow().clone();
                    self.made += values.len();
                    Value::Tuple(Rc::new(values))
                }
                _ => return Err(wrong(at, "a tuple of something that is no list")),
            },
            Global::Reconstruct | Global::Dtype => {
                Value::Object(Rc::new(std::cell::RefCell::new(Object { of, arguments, state: None })))
            }
            _ => return Err(wrong(at, "a call that no file of weights makes")),
        };
        self.push(value)
    }
}
