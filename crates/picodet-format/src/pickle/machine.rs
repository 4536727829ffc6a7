//! The stack machine that runs the opcodes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::{Global, Object, PickleError, RcCell, Value};

/// Largest number of open marks.
const MAX_DEPTH: usize = 64;
/// Largest number of values that are pushed or memoised.
const MAX_VALUES: usize = 4_000_000;
/// Longest line of text, in bytes.
const MAX_LINE: usize = 1024;

/// Reads one pickle.
///
/// # Errors
/// [`PickleError`] when the bytes end early, use an opcode or global outside of the fixed lists, or exceed a
/// limit.
pub fn load(bytes: &[u8]) -> Result<Value<'_>, PickleError> {
    load_prefix(bytes).map(|(value, _)| value)
}

/// Reads the pickle at the beginning of the bytes; returns also its length.
///
/// # Errors
/// As [`load`].
pub fn load_prefix(bytes: &[u8]) -> Result<(Value<'_>, usize), PickleError> {
    let mut machine = Machine {
        bytes,
        offset: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        replaced: Vec::new(),
        value_count: 0,
        decoded_bytes: 0,
    };
    loop {
        if let Some(value) = machine.step()? {
            return Ok((value, machine.offset));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    offset: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    /// Former values of the memo, which count as owners of theirs as long as it does.
    replaced: Vec<Value<'a>>,
    /// Values pushed or memoised so far.
    value_count: usize,
    /// Bytes decoded from text so far.
    decoded_bytes: usize,
}

impl<'a> Machine<'a> {
    /// Runs one opcode; returns the value after the last one.
    fn step(&mut self) -> Result<Option<Value<'a>>, PickleError> {
        let at = self.offset;
        let opcode = self.array::<1>()?[0];
        match opcode {
            0x80 => {
                let protocol = self.byte()?;
                if !(2..=5).contains(&protocol) {
                    return Err(PickleError::Protocol { protocol });
                }
            }
            // The length of a frame, which does not matter in memory.
            0x95 => {
                self.take(8)?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => {
                if self.marks.len() >= MAX_DEPTH {
                    return Err(PickleError::Limit { limit: "more than 64 open marks", offset: at });
                }
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'M' | 0x8a | b'G' => self.scalar(opcode, at)?,
            0x8c | b'X' | 0x8d | b'C' | b'U' | b'B' | b'T' | 0x8e | 0x96 => self.text_or_bytes(opcode)?,
            b']' | b'}' | b')' | 0x85 | 0x86 | 0x87 | b't' | b'a' | b'e' | b's' | b'u' => {
                self.collection(opcode)?;
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memo(opcode)?,
            b'c' | 0x93 | b'R' | 0x81 | b'b' => self.object(opcode, at)?,
            opcode => return Err(PickleError::UnknownOpcode { opcode, offset: at }),
        }
        Ok(None)
    }

    /// Opcodes that push `None`, a boolean or a number.
    fn scalar(&mut self, opcode: u8, at: usize) -> Result<(), PickleError> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            // Protocol 1 has no other booleans.
            b'I' => match self.line()? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => Value::Int(digits.parse().map_err(|_| invalid(at, "a line that is no integer"))?),
            },
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.byte()? as i64),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'G' => {
                self.take(8)?;
                Value::Float
            }
            _ => {
                let length = self.byte()?;
                let digits = self.take(length)?;
                if length > 8 {
                    return Err(PickleError::Limit { limit: "an integer of more than 64 bits", offset: at });
                }
                let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
                let mut whole = if negative { [0xff; 8] } else { [0; 8] };
                whole[..length].copy_from_slice(digits);
                Value::Int(i64::from_le_bytes(whole))
            }
        };
        self.push(value)
    }

    /// Opcodes that push text or bytes with their length before them.
    fn text_or_bytes(&mut self, opcode: u8) -> Result<(), PickleError> {
        let length = match opcode {
            0x8c | b'C' | b'U' => self.byte()?,
            b'X' | b'B' | b'T' => self.length()?,
            _ => self.long_length()?,
        };
        let at = self.offset;
        let bytes = self.take(length)?;
        let is_text = matches!(opcode, 0x8c | b'X' | 0x8d);
        self.push(match (is_text, std::str::from_utf8(bytes)) {
            (false, _) => Value::Slice(bytes),
            (true, Ok(text)) => Value::Text(text.into()),
            (true, Err(_)) => return Err(invalid(at, "text that is not UTF-8")),
        })
    }

    /// Opcodes that push tuples, lists and dicts or add to them.
    fn collection(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            b']' => self.push(Value::List(RcCell::default())),
            b'}' => self.push(Value::Dict(RcCell::default())),
            b')' => self.push(Value::Tuple(Rc::default())),
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84)),
            b't' => {
                let values = self.pop_to_mark()?;
                self.push(Value::Tuple(values.into()))
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])
            }
            b'e' => {
                let values = self.pop_to_mark()?;
                self.append(values)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![key, value])
            }
            _ => {
                let items = self.pop_to_mark()?;
                self.set_items(items)
            }
        }
    }

    /// Opcodes that store the top of the stack in the memo, or push a value of it.
    fn memo(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            b'q' => {
                let key = self.byte()?;
                self.memoise(key)
            }
            b'r' => {
                let key = self.length()?;
                self.memoise(key)
            }
            0x94 => self.memoise(self.memo.len()),
            b'h' => {
                let key = self.byte()?;
                self.recall(key)
            }
            _ => {
                let key = self.length()?;
                self.recall(key)
            }
        }
    }

    /// Opcodes that push a global, call it, or set the state of the result.
    fn object(&mut self, opcode: u8, at: usize) -> Result<(), PickleError> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.find(at, module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&module, &name) {
                    (Value::Text(module), Value::Text(name)) => self.find(at, module, name),
                    _ => Err(invalid(at, "a global whose name is not text")),
                }
            }
            b'b' => {
                let state = self.pop()?;
                match self.top()? {
                    Value::Object(object) => {
                        only_stack_and_memo(object, at)?;
                        object.borrow_mut().state = Some(state);
                    }
                    _ => return Err(invalid(at, "a state for a value that has none")),
                }
                Ok(())
            }
            _ => self.call(at),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let end = self.offset.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(PickleError::Truncated { offset: self.bytes.len() })?;
        let slice = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<usize, PickleError> {
        Ok(usize::from(self.array::<1>()?[0]))
    }

    fn length(&mut self) -> Result<usize, PickleError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn long_length(&mut self) -> Result<usize, PickleError> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| PickleError::Truncated { offset: self.bytes.len() })
    }

    fn line(&mut self) -> Result<&'a str, PickleError> {
        let remaining = &self.bytes[self.offset..];
        let end = remaining.iter().take(MAX_LINE).position(|&byte| byte == b'\n');
        let end = end.ok_or(if remaining.len() < MAX_LINE {
            PickleError::Truncated { offset: self.bytes.len() }
        } else {
            PickleError::Limit { limit: "a line of more than 1024 bytes", offset: self.offset }
        })?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| invalid(self.offset, "a line that is not UTF-8"))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), PickleError> {
        self.count(1)?;
        self.stack.push(value);
        Ok(())
    }

    fn count(&mut self, values: usize) -> Result<(), PickleError> {
        self.value_count = self.value_count.saturating_add(values);
        if self.value_count > MAX_VALUES {
            return Err(PickleError::Limit { limit: "more than 4 million values", offset: self.offset });
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(invalid(self.offset, "an operand is missing"));
        }
        self.stack.pop().ok_or_else(|| invalid(self.offset, "an operand is missing"))
    }

    fn top(&self) -> Result<&Value<'a>, PickleError> {
        self.stack.last().ok_or_else(|| invalid(self.offset, "an operand is missing"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        let mark = mark.ok_or_else(|| invalid(self.offset, "a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, length: usize) -> Result<(), PickleError> {
        let mut values = Vec::with_capacity(length);
        for _ in 0..length {
            values.push(self.pop()?);
        }
        values.reverse();
        self.push(Value::Tuple(values.into()))
    }

    fn append(&mut self, values: Vec<Value<'a>>) -> Result<(), PickleError> {
        match self.top()? {
            Value::List(list) => {
                only_stack_and_memo(list, self.offset)?;
                list.borrow_mut().extend(values);
            }
            _ => return Err(invalid(self.offset, "an item for a value that is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value<'a>>) -> Result<(), PickleError> {
        let at = self.offset;
        let Value::Dict(dict) = self.top()? else {
            return Err(invalid(at, "an entry for a value that is not a dict"));
        };
        only_stack_and_memo(dict, at)?;
        if !items.len().is_multiple_of(2) {
            return Err(invalid(at, "a key without value"));
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.borrow_mut().push((key, value));
        }
        Ok(())
    }

    fn memoise(&mut self, key: usize) -> Result<(), PickleError> {
        self.count(1)?;
        let value = self.top()?.clone();
        self.replaced.extend(self.memo.insert(key, value));
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Result<(), PickleError> {
        let value = self.memo.get(&key).cloned();
        let value = value.ok_or_else(|| invalid(self.offset, "a memo entry that does not exist"))?;
        self.push(value)
    }

    fn find(&mut self, at: usize, module: &str, name: &str) -> Result<(), PickleError> {
        match Global::find(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(forbidden(module, name, at)),
        }
    }

    /// "Calls" a global: builds the value that the call would return.
    fn call(&mut self, at: usize) -> Result<(), PickleError> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(global)) = (&arguments, &callee) else {
            return Err(invalid(at, "a call of a value that cannot be called"));
        };
        let (arguments, global) = (arguments.clone(), *global);
        let value = match global {
            Global::Encode => match &arguments[..] {
                [Value::Text(text), Value::Text(codec)] if &**codec == "latin1" => self.latin1(text, at)?,
                _ => return Err(invalid(at, "bytes in an encoding other than latin-1")),
            },
            Global::OrderedDict if arguments.is_empty() => Value::Dict(RcCell::default()),
            // Some writers build a tuple by calling its type with a list or a tuple.
            Global::Tuple => match &arguments[..] {
                [Value::Tuple(values)] => Value::Tuple(values.clone()),
                [Value::List(values)] => {
                    let values = values.borrow().clone();
                    self.count(values.len())?;
                    Value::Tuple(Rc::new(values))
                }
                _ => return Err(invalid(at, "a tuple of a value that is not a list")),
            },
            Global::Eval => match &arguments[..] {
                [Value::Text(code), Value::Dict(names)] if &**code == "data" => match &names.borrow()[..] {
                    [(Value::Text(name), value)] if &**name == "data" => value.clone(),
                    _ => return Err(forbidden("builtins", "eval", at)),
                },
                _ => return Err(forbidden("builtins", "eval", at)),
            },
            Global::Reconstruct | Global::FromBuffer | Global::Scalar | Global::Dtype => {
                Value::Object(Rc::new(RefCell::new(Object { global, arguments, state: None })))
            }
            _ => return Err(invalid(at, "a call with unsupported arguments")),
        };
        self.push(value)
    }

    /// Protocol 2 stores bytes as text whose code points are the bytes.
    fn latin1(&mut self, text: &str, at: usize) -> Result<Value<'a>, PickleError> {
        // The memo can repeat a text without end: a well-formed file decodes no more bytes than
        // it holds.
        self.decoded_bytes += text.len();
        if self.decoded_bytes > self.bytes.len() {
            return Err(PickleError::Limit { limit: "more decoded bytes than the file holds", offset: at });
        }
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        Ok(Value::Bytes(bytes.ok_or_else(|| invalid(at, "bytes that are not latin-1"))?.into()))
    }
}

/// Refuses to add to a value that another one contains already: it could come to contain itself, and would never be
/// dropped. The stack and the memo each own it once while it grows.
fn only_stack_and_memo<T>(value: &Rc<T>, offset: usize) -> Result<(), PickleError> {
    match Rc::strong_count(value) {
        0..=2 => Ok(()),
        _ => Err(invalid(offset, "a value that grows after another contains it")),
    }
}

fn forbidden(module: &str, name: &str, offset: usize) -> PickleError {
    PickleError::ForbiddenGlobal { module: module.to_owned(), name: name.to_owned(), offset }
}

fn invalid(offset: usize, problem: &'static str) -> PickleError {
    PickleError::Invalid { problem, offset }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A dict of one list that holds a tuple, in protocol 2.
    const SMALL: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01](K\x01\x88Ne\x8a\x02\xff\x00\x86s.";

    #[test]
    fn every_prefix_of_a_pickle_is_refused() {
        let whole = load(SMALL).expect("a sound pickle");
        assert!(matches!(&whole, Value::Dict(entries) if entries.borrow().len() == 1));
        let accepted: Vec<usize> = (0..SMALL.len()).filter(|&cut| load(&SMALL[..cut]).is_ok()).collect();
        assert!(accepted.is_empty(), "{accepted:?}");
    }

    #[test]
    fn deep_nesting_is_dropped_without_recursion() {
        for wrap in [&b"\x85"[..], b"\x85\x94"] {
            let bytes = [b"\x80\x04)".to_vec(), wrap.repeat(1_900_000), b".".to_vec()].concat();
            assert!(load(&bytes).is_ok());
        }
    }

    #[test]
    fn no_value_contains_itself() {
        let in_itself: [&[u8]; 5] = [
            b"\x80\x02]q\x00h\x00a.",
            b"\x80\x02}q\x00K\x01h\x00s.",
            b"\x80\x02}q\x00(K\x01h\x00u.",
            // Through a tuple, and after the memo has forgotten it.
            b"\x80\x02]q\x00h\x00\x85a.",
            b"\x80\x02]q\x00h\x00Nq\x000a.",
        ];
        for bytes in in_itself {
            assert!(load(bytes).is_err(), "{bytes:?}");
        }
        let object = b"\x80\x02cnumpy\ndtype\n)Rq\x00h\x00b.";
        assert!(load(object).is_err());
        // The same list twice, and a list that grows while the memo owns it.
        assert!(load(b"\x80\x02]q\x00(]q\x01K\x01ah\x01e.").is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_opcodes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = load(&bytes);
            let _ = load(&[b"\x80\x04", &bytes[..]].concat());
        }
    }
}
